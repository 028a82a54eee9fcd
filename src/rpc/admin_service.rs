//! `AdminService`: what operators ask of a daemon.

use std::{
    pin::Pin,
    time::{self, SystemTime},
};

use futures_util::Stream;
use prost_types::{Duration, Timestamp};
use tonic::{Request, Response, Status};

use super::{Gate, backup_stream, query::Checks, status};
use crate::{
    access::rights::Rpc,
    domain::shape::TEXT_CHARS_MAX,
    proto::{
        BackupRequest, BackupResponse, ConfirmClockRequest, ConfirmClockResponse, ErrorReason,
        GetStatusRequest, GetStatusResponse, SetLogFilterRequest, SetLogFilterResponse,
        admin_service_server::AdminService,
    },
    writer::clock::Leap,
};

/// The target of the lines that say who changed what the daemon does. No filter of the log that is set
/// leaves them out: nobody hides that it was them.
pub const OPERATORS: &str = "strata::operators";
/// The longest filter of the log, in characters.
const FILTER_CHARS_MAX: usize = 1_000;
/// The longest time for which it may be changed.
const FILTER_SECONDS_MAX: i64 = 24 * 3_600;

/// What the daemon knows of itself that stands above the services.
pub struct Process {
    /// Changes what is logged: to this filter, or to the configured one if it is empty, for so long if
    /// that is said. Says what is wrong with a filter that is none.
    pub set_log_filter: fn(&str, Option<time::Duration>) -> Result<Changed, String>,
    /// How it is.
    pub look: Box<dyn Fn() -> Standing + Send + Sync>,
}

/// A change of what is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The filter that held before.
    pub previous: String,
    /// The filter that holds now.
    pub filter: String,
}

/// How the daemon is towards those who call.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The filter of the log that holds.
    pub log_filter: String,
    /// How many connections are open.
    pub connections: u64,
    /// How many calls are under way.
    pub calls_under_way: u64,
    /// Until when the certificate is good; nothing: there is none, or it does not say.
    pub certificate_expires_at: Option<SystemTime>,
}

/// The service.
pub struct Admin {
    gate: Gate,
}

impl Admin {
    /// The service behind a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::GetStatus)?;
        let core = caller.core()?;
        let view = core.view.stats();
        let machine = core.guard.condition();
        let refused = machine.hindrance.map(status::reason_of);
        let stalled = core.stalled_sync();
        let standing = (core.process.look)();
        Ok(Response::new(GetStatusResponse {
            head_position: core.feed.head(),
            log_id: core.journal.log_id().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(core.started_at.into()),
            view_position: view.written_position,
            plans: view.plans as u64,
            watches: core.feed.watchers() as u64,
            queued_requests: core.writer.queued() as u64,
            queue_limit: core.writer.queue_limit() as u64,
            cached_bytes: view.cached_bytes,
            cache_limit_bytes: core.plan_cache_bytes,
            last_recorded_at: core.view.last_recorded_at().map(Into::into),
            disk_free_bytes: machine.free_bytes,
            disk_reserve_bytes: machine.reserve_bytes,
            writes_refused: refused.unwrap_or(ErrorReason::Unspecified).into(),
            clock_expected: machine.leap.map(|leap| leap.expected.into()),
            sync_stalled: stalled
                .as_ref()
                .and_then(|sync| sync.since.elapsed().try_into().ok()),
            sync_stalled_file: stalled
                .map_or_else(String::new, |sync| sync.what.display().to_string()),
            watch_lag: core.feed.watch_lag(),
            search_lag: view.search_lag,
            connections: standing.connections,
            calls_under_way: standing.calls_under_way,
            tls_certificate_expires: standing.certificate_expires_at.map(Into::into),
            log_filter: standing.log_filter,
        }))
    }

    async fn confirm_clock(
        &self,
        request: Request<ConfirmClockRequest>,
    ) -> Result<Response<ConfirmClockResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ConfirmClock)?;
        let core = caller.core()?;
        let reason = request.into_inner().reason;
        if reason.chars().count() > TEXT_CHARS_MAX {
            return Err(status::malformed_field(
                "reason",
                format!("has more than {TEXT_CHARS_MAX} characters"),
            ));
        }
        let (accepted, leap) = core.guard.confirm_clock();
        let accepted = Timestamp::from(accepted);
        if leap.is_some() {
            tracing::warn!(
                target: OPERATORS,
                caller = &*caller.rights().actor(),
                %accepted,
                reason,
                "an operator confirmed the clock"
            );
        }
        Ok(Response::new(ConfirmClockResponse {
            accepted_time: Some(accepted),
            leap: leap.map(duration_of),
        }))
    }

    async fn set_log_filter(
        &self,
        request: Request<SetLogFilterRequest>,
    ) -> Result<Response<SetLogFilterResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::SetLogFilter)?;
        let core = caller.core()?;
        let SetLogFilterRequest { filter, r#for } = request.into_inner();
        let mut check = Checks::default();
        if filter.chars().count() > FILTER_CHARS_MAX {
            let longest = format!("it has more than {FILTER_CHARS_MAX} characters");
            check.fault("filter", longest);
        }
        let lasts = r#for.map(|lasts| seconds(&lasts));
        if lasts.is_some_and(|lasts| lasts.is_none()) {
            check.fault("for", "from 1 second to 24 hours, or leave it out");
        }
        check.finish()?;
        let changed = (core.process.set_log_filter)(&filter, lasts.flatten())
            .map_err(|wrong| status::malformed_field("filter", wrong))?;
        tracing::warn!(
            target: OPERATORS,
            caller = &*caller.rights().actor(),
            filter = changed.filter,
            previous = changed.previous,
            seconds = lasts.flatten().map(|lasts| lasts.as_secs()),
            "an operator changed what is logged"
        );
        Ok(Response::new(SetLogFilterResponse {
            previous_filter: changed.previous,
            filter: changed.filter,
        }))
    }

    type BackupStream = Pin<Box<dyn Stream<Item = Result<BackupResponse, Status>> + Send>>;

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let caller = self.gate.caller(&request, Rpc::Backup)?;
        let from = request.into_inner().from_position.max(1);
        let core = caller.core()?.clone();
        let head = core.feed.head();
        if from > head + 1 {
            return Err(status::beyond_head("position", from, head));
        }
        let stream = backup_stream::backup(self.gate.clone(), core, from, head);
        Ok(Response::new(Box::pin(stream)))
    }
}

/// A time for which something lasts, if it is within its bounds.
fn seconds(lasts: &Duration) -> Option<time::Duration> {
    let is_long_enough = (1..=FILTER_SECONDS_MAX).contains(&lasts.seconds);
    let lasts = time::Duration::try_from(*lasts).ok()?;
    let longest = time::Duration::from_secs(FILTER_SECONDS_MAX.unsigned_abs());
    Some(lasts).filter(|lasts| is_long_enough && *lasts <= longest)
}

fn duration_of(leap: Leap) -> Duration {
    const NANOS_A_SECOND: i128 = 1_000_000_000;
    // Times are of the years 1 to 9999, so both fit; seconds and nanos have one sign, as they must.
    Duration {
        seconds: i64::try_from(leap.nanos() / NANOS_A_SECOND).unwrap_or_default(),
        nanos: i32::try_from(leap.nanos() % NANOS_A_SECOND).unwrap_or_default(),
    }
}
