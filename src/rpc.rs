//! The services: each call is checked, handed to the room that knows, and answered. No rule of the
//! domain lives here. This file holds what they share: the core behind the gate, and the limits of
//! messages and waits.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Status};

use crate::{
    domain::value::Id,
    feed::Feed,
    journal::{Journal, Syncing},
    notary::key::SigningKey,
    proto::ErrorReason,
    view::{View, ViewError, plans::Folded},
    writer::{QUEUE_WAIT, Writer, guard::Guard},
};

pub mod admin_service;
pub mod advice_service;
mod as_of;
pub mod audit_service;
mod backup_stream;
pub mod bookmark;
pub mod call;
pub mod documented;
mod gate;
pub mod history_service;
mod log_stream;
mod naming;
pub mod noted;
pub mod page;
pub mod plan_service;
mod query;
pub mod status;
#[cfg(test)]
mod tests;
mod turns;

pub use self::gate::{Gate, Rights};
use self::{call::Call, gate::Permitted, status::refuse};

/// The largest message taken: a request may hold no more than a commit, with room for its envelope.
pub const REQUEST_BYTES_MAX: usize = 256 << 10;
/// The largest message sent stays below 4 MiB, the default limit of clients; pages and batches end
/// well before.
pub const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// Where pages and batches end.
pub const BATCH_BYTES: usize = 512 << 10;
/// How long a query waits for `min_position` at most.
const MIN_POSITION_WAIT: Duration = Duration::from_secs(5);

/// What the services work with once recovery has ended.
pub struct Core {
    /// The log.
    pub journal: Arc<dyn Journal>,
    /// The plans.
    pub view: Arc<View>,
    /// What watchers stand on.
    pub feed: Arc<Feed>,
    /// The one way to write.
    pub writer: Writer,
    /// What checkpoints are signed with.
    pub signing_key: SigningKey,
    /// What is known of disk and clock.
    pub guard: Arc<Guard>,
    /// How long a sync of the disk may take before it counts as held up.
    pub sync_stall: Duration,
    /// When the daemon was started.
    pub started_at: SystemTime,
    /// How many bytes the plans that are kept in memory may take.
    pub plan_cache_bytes: u64,
    /// What the daemon knows of itself that stands above the services.
    pub process: admin_service::Process,
}

impl Core {
    /// The sync or write of the disk that is held up, if one is: the one that began first of those
    /// of a file, and the writer's group only where no file says what it waits for.
    #[must_use]
    pub fn stalled_sync(&self) -> Option<Syncing> {
        let is_stalled = |it: &Syncing| it.since.elapsed() > self.sync_stall;
        let of_files = [self.journal.syncing(), self.view.syncing()];
        of_files
            .into_iter()
            .flatten()
            .filter(is_stalled)
            .min_by_key(|it| it.since)
            .or_else(|| self.writer.settling().filter(is_stalled))
    }

    /// The plan, from memory or disk, and the position it is shown at.
    async fn plan(&self, plan: Permitted<'_>) -> Result<(Arc<Folded>, u64), Status> {
        let plan_id = plan.id();
        if let Some(found) = self.view.in_memory(plan_id) {
            return Ok(found);
        }
        let (view, id) = (self.view.clone(), Id::from(plan_id));
        match blocking(move || view.load(&id)).await? {
            Some(found) => Ok(found),
            None => Err(status::no_plan(plan_id)),
        }
    }
}

/// Runs what reads disks on a thread that may block. What its caller does not wait for any more when
/// the thread comes to it is not begun.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ViewError> + Send + 'static,
) -> Result<T, Status> {
    let call = Call::current();
    let read = move || call::within(call, read);
    match AbortOnDropHandle::new(tokio::task::spawn_blocking(read)).await {
        Ok(outcome) => outcome.map_err(|error| status::of_view(&error)),
        // The runtime is going down.
        Err(_) => Err(stopping()),
    }
}

/// The same for what takes long: in its turn.
async fn working<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ViewError> + Send + 'static,
) -> Result<T, Status> {
    let turn = turns::take().await?;
    blocking(move || {
        let _turn = turn;
        read()
    })
    .await
}

/// The same for a step of a stream that answers a call.
async fn stepping<T: Send + 'static>(
    call: &Call,
    read: impl FnOnce() -> Result<T, ViewError> + Send + 'static,
) -> Result<T, Status> {
    let turn = turns::take_for_step(call).await?;
    let step = blocking(move || {
        let _turn = turn;
        read()
    });
    call::answering(call.clone(), step).await
}

fn stopping() -> Status {
    refuse(ErrorReason::Stopping, "The daemon is stopping: try again.")
}

/// Until when a call may wait in the queue: a little less than its caller waits, so that the answer
/// says why.
fn queue_deadline<T>(request: &Request<T>) -> Instant {
    let timeout = timeout_of(request.metadata().as_ref())
        .map_or(QUEUE_WAIT, |timeout| (timeout / 10 * 9).min(QUEUE_WAIT));
    Instant::now() + timeout
}

/// How long the caller waits, if it says so.
#[must_use]
pub fn timeout_of(headers: &http::HeaderMap) -> Option<Duration> {
    parse_timeout(headers.get("grpc-timeout")?.to_str().ok()?)
}

/// `grpc-timeout`: at most 8 digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}
