//! How much callers may do at once: each of them, so that none takes from the others, and all of
//! them, so that what is answered is answered in time. It stands behind whatever says who calls.
//! Health is never limited.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body::Body as _;
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
};
use tower::Layer;

mod callers;
mod ending;
mod held;

use self::{
    callers::{Caller, Callers},
    ending::Ending,
    held::Held,
};
use crate::{
    access::{Principal, rights::Rpc},
    rpc::{
        self, Rights,
        call::{self, Call},
        status,
    },
};

/// How many calls that write are under way at most, whoever calls. They wait in the writer's queue,
/// and so many of them are answered within half a second by a disk that makes 16,000 a second durable.
const WRITES_AT_ONCE: usize = 8_192;
/// How many streams that write are open at most, whoever calls: for themselves, for one on which nothing
/// comes must keep nobody from writing. Their requests wait for places in the writer's queue.
const STREAMS_AT_ONCE: usize = 8_192;
/// How many other calls that end by themselves are under way at most. The long ones among them also
/// wait for turns.
const READS_AT_ONCE: usize = 8_192;
/// How much earlier than its caller a call gives up, so that the answer still says why: a twentieth
/// of its time, and no more than this.
const LEAD_MAX: Duration = Duration::from_millis(50);

/// How much callers may do at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many calls a second each caller may send for as long as it likes; 0: any number.
    pub calls_per_second: u32,
    /// How many of them may come at once after a rest; 0: those of one second.
    pub calls_burst: u32,
    /// How often a minute credentials of each address may name nobody; 0: any number.
    pub failed_credentials_per_minute: u32,
    /// How many of those may come at once after a rest; 0: those of one minute.
    pub failed_credentials_burst: u32,
    /// How many calls each caller may have under way.
    pub calls_at_once: u32,
    /// How many watches each caller may have open.
    pub watches_at_once: u32,
    /// How long a call with one answer may take that sets itself no shorter deadline.
    pub call_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_per_second: 0,
            calls_burst: 0,
            failed_credentials_per_minute: 60,
            failed_credentials_burst: 0,
            calls_at_once: 4_096,
            watches_at_once: 16_384,
            call_seconds: 60,
        }
    }
}

/// Limits the calls to the services behind it.
#[derive(Clone)]
pub(super) struct LimitsLayer(Arc<Shared>);

/// Services whose calls are limited.
#[derive(Clone)]
pub(super) struct Limited<S> {
    inner: S,
    shared: Arc<Shared>,
}

struct Shared {
    callers: Callers,
    writes: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    /// How long a call with one answer may take.
    call_time_max: Duration,
}

/// A call that is let through.
struct Admitted {
    call: Call,
    /// How long it may take until its answer begins.
    time_max: Duration,
    held: Held,
    /// Of a stream: when it has to end.
    ending: Option<Ending>,
}

/// A place among the calls under way, given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes one of `max` places. A few who come for the last one at once may all go without.
    fn take(taken: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let place = Self(taken.clone());
        (taken.fetch_add(1, Ordering::AcqRel) < max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl LimitsLayer {
    /// Limits as they are configured.
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Shared {
            callers: Callers::new(limits.clone()),
            writes: Arc::default(),
            streams: Arc::default(),
            reads: Arc::default(),
            call_time_max: Duration::from_secs(limits.call_seconds),
        }))
    }
}

impl Shared {
    /// Lets a call through, with its places, or says why not. Its rate is counted first: who sends too
    /// much has used it up also by what is refused for another reason.
    fn admit<B>(&self, rpc: Rpc, request: &http::Request<B>) -> Result<Admitted, Status> {
        let caller = match request.extensions().get::<Principal>() {
            Some(principal) => self.callers.of(principal.name()),
            None => self.callers.anonymous(),
        };
        let limits = &self.callers.limits;
        if let Some(wait) = caller.rate_wait() {
            return Err(status::too_fast(
                &caller.name,
                limits.calls_per_second,
                wait,
            ));
        }
        let mut places = [None, None];
        if rpc == Rpc::Watch {
            let max = limits.watches_at_once;
            let place = Place::take(&caller.watches, max as usize);
            let refused = || status::too_many_watches(&caller.name, max);
            places[0] = Some(place.ok_or_else(refused)?);
        } else {
            let max = limits.calls_at_once;
            let place = Place::take(&caller.under_way, max as usize);
            let refused = || status::too_many_calls(&caller.name, max);
            places[0] = Some(place.ok_or_else(refused)?);
            places[1] = self.place_among_all(rpc, &caller)?;
        }
        let own = time_to_answer(request.headers());
        let time_max = own.map_or(self.call_time_max, |own| own.min(self.call_time_max));
        let deadline = if is_stream(rpc) { own } else { Some(time_max) };
        let call = Call::new(caller.name.clone(), deadline, caller.pace.clone());
        let ending = is_stream(rpc).then(|| Ending {
            rpc,
            call: call.clone(),
            time_max: own,
            rights: Rights::of(request.extensions(), rpc),
        });
        let held = Held::new(places, call.clone());
        Ok(Admitted {
            call,
            time_max,
            held,
            ending,
        })
    }

    /// A place among the calls of all callers. Nobody may hold more of them than are left, so that
    /// whoever takes much leaves room for others: one caller at most half of them, two a third each.
    fn place_among_all(&self, rpc: Rpc, caller: &Caller) -> Result<Option<Place>, Status> {
        let (taken, max) = match rpc {
            Rpc::Execute => (&self.writes, WRITES_AT_ONCE),
            Rpc::ExecuteStream => (&self.streams, STREAMS_AT_ONCE),
            // What operators see and settle by is never refused because others do much.
            Rpc::GetStatus | Rpc::ConfirmClock | Rpc::SetLogFilter => return Ok(None),
            Rpc::GetPlan
            | Rpc::ListPlans
            | Rpc::ListEvents
            | Rpc::ReadLog
            | Rpc::Watch
            | Rpc::DiffPlan
            | Rpc::ListRevisions
            | Rpc::Explain
            | Rpc::SuggestTactic
            | Rpc::ReviewPlan
            | Rpc::ListCommitments
            | Rpc::GetReliability
            | Rpc::GetTacticStats
            | Rpc::AssessStrategy
            | Rpc::SearchTactics
            | Rpc::GetCheckpoint
            | Rpc::ProveInclusion
            | Rpc::ProveConsistency
            | Rpc::ReadRaw
            | Rpc::Backup
            | Rpc::Reflection => (&self.reads, READS_AT_ONCE),
        };
        let left = max.saturating_sub(taken.load(Ordering::Acquire));
        if caller.under_way.load(Ordering::Acquire) > left {
            return Err(status::overloaded());
        }
        Place::take(taken, max)
            .map(Some)
            .ok_or_else(status::overloaded)
    }
}

/// Whether the answer goes on until one side ends it.
fn is_stream(rpc: Rpc) -> bool {
    matches!(
        rpc,
        Rpc::ExecuteStream
            | Rpc::ReadLog
            | Rpc::Watch
            | Rpc::ReadRaw
            | Rpc::Backup
            | Rpc::Reflection
    )
}

/// Whether it looks as it goes on whether there is still time, so that an answer that comes later may lack what was
/// not looked at.
fn looks_on(rpc: Rpc) -> bool {
    let changes = matches!(rpc, Rpc::Execute | Rpc::ConfirmClock | Rpc::SetLogFilter);
    !changes && !is_stream(rpc)
}

/// A little less than how long the caller waits, if it says so.
fn time_to_answer(headers: &http::HeaderMap) -> Option<Duration> {
    let timeout = rpc::timeout_of(headers)?;
    Some(timeout.saturating_sub((timeout / 20).min(LEAD_MAX)))
}

impl<S> Layer<S> for LimitsLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limited {
            inner,
            shared: self.0.clone(),
        }
    }
}

impl<S, B> Service<http::Request<B>> for Limited<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // Health, and what nobody serves.
        let Some(rpc) = Rpc::of(request.uri().path()) else {
            return Box::pin(self.inner.call(request));
        };
        let admitted = match self.shared.admit(rpc, &request) {
            Ok(admitted) => admitted,
            Err(refused) => return Box::pin(async move { Ok(refused.into_http()) }),
        };
        let Admitted {
            call,
            time_max,
            held,
            ending,
        } = admitted;
        // Within the call, so that what the service begins at once knows whose it is.
        let answer = call::within(call.clone(), || self.inner.call(request));
        let answer = call::answering(call.clone(), answer);
        Box::pin(async move {
            // An answer that is ready is taken before the time is looked at.
            let is_cut_short = || looks_on(rpc) && call.is_late();
            if let Ok(answered) = tokio::time::timeout(time_max, answer).await
                && !is_cut_short()
            {
                let answer = answered?;
                let ending = ending.filter(|_| !answer.body().is_end_stream());
                return Ok(held.until_sent(answer, ending.and_then(Ending::look_out)));
            }
            held.finished();
            Ok(status::timed_out(time_max).into_http())
        })
    }
}

#[cfg(test)]
mod tests;
