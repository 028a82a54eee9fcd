//! The daemon's clock: records that a due date passed in silence, once it has. It goes through the
//! writer like any client, with a request id made of what it is about, so that a date is recorded once
//! however often the daemon is restarted, and late rather than never when it was down.

use std::{sync::Arc, time::Duration};

use prost_types::Timestamp;
use tokio::time::Instant;

use crate::{
    domain::value::Time,
    proto::{Command, ErrorReason, ExecuteRequest, LapseCommitment, command::Kind},
    rpc::Core,
    view::commitments::Due,
    writer::{ExecuteError, Pending, QUEUE_WAIT},
};

/// Who records it, as the log shows.
const ACTOR: &str = "stratad";
/// How many are on their way at once: few beside what clients may queue, and many for one sync.
const BATCH_LAPSES: usize = 64;
/// How many request ids it has for one date: a client may have used the first for something else, and
/// one who takes all of them does so at will.
const REQUEST_IDS: u32 = 8;
/// How long it sleeps at most: the time of day can be set, and machines are suspended.
const SLEEP_MAX: Duration = Duration::from_secs(10);
/// How long it waits for what hinders it.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// Records what passes in silence until it is dropped.
pub(super) async fn record(core: Arc<Core>) {
    loop {
        let wait = work_off(&core).await;
        tokio::select! {
            () = core.view.earlier_silence() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Records what has passed in silence, and answers how long to wait for more.
async fn work_off(core: &Core) -> Duration {
    loop {
        if core.guard.condition().hindrance.is_some() {
            return RETRY_WAIT;
        }
        let now = core.guard.now();
        let passed = core.view.silent_since(now, BATCH_LAPSES);
        if passed.is_empty() {
            return core
                .view
                .next_silence()
                .map_or(SLEEP_MAX, |next| until(now, next).min(SLEEP_MAX));
        }
        if !record_batch(core, passed).await {
            return RETRY_WAIT;
        }
    }
}

/// Records a batch. Answers whether all of it is settled.
async fn record_batch(core: &Core, passed: Vec<Due>) -> bool {
    let mut under_way = Vec::with_capacity(passed.len());
    for due in passed {
        let pending = submit(core, &due, 1).await;
        under_way.push((due, pending));
    }
    let (mut recorded, mut all_settled) = (0, true);
    for (due, pending) in under_way {
        let mut answer = pending.answer().await;
        for id_number in 2..=REQUEST_IDS {
            if !matches!(answer, Err(ExecuteError::RequestIdReused { .. })) {
                break;
            }
            answer = submit(core, &due, id_number).await.answer().await;
        }
        match answer {
            Ok(answer) => {
                recorded += usize::from(!answer.replayed);
                // What was recorded and retracted since is answered as it was then.
                core.view.leave_silent(&due);
            }
            Err(error) if is_final(&due, &error) => core.view.leave_silent(&due),
            Err(_) => all_settled = false,
        }
    }
    if recorded > 0 {
        tracing::info!(recorded, "due dates passed in silence");
    }
    all_settled
}

async fn submit(core: &Core, due: &Due, id_number: u32) -> Pending {
    let deadline = Instant::now() + QUEUE_WAIT;
    let request = request(due, id_number);
    core.writer.submit(request, ACTOR.into(), deadline).await
}

/// Whether asking again would change nothing. A commitment that was closed, or moved, while this was on
/// its way is a refusal like any other.
fn is_final(due: &Due, error: &ExecuteError) -> bool {
    match error {
        // The clock was set back by less than a leap: the date has not passed after all.
        ExecuteError::Refused(refusal) => refusal.reason != ErrorReason::DueDate,
        ExecuteError::Malformed(_) | ExecuteError::RequestIdReused { .. } => {
            tracing::warn!(
                plan_id = %due.plan_id,
                commitment_id = %due.commitment_id,
                %error,
                "that a due date passed in silence cannot be recorded"
            );
            true
        }
        ExecuteError::View(_) => {
            tracing::warn!(plan_id = %due.plan_id, %error, "a commitment cannot be looked at");
            false
        }
        ExecuteError::QueueFull
        | ExecuteError::Hindered(_)
        | ExecuteError::Contended
        | ExecuteError::Stopping
        | ExecuteError::WriteFailed => false,
    }
}

/// The request that records a date. It happened when the date had come: as of then the commitment is
/// overdue, however late that is recorded.
fn request(passed: &Due, id_number: u32) -> ExecuteRequest {
    let due = Timestamp::from(passed.due);
    let commitment_id = passed.commitment_id.to_string();
    let mut request_id = format!("lapse/{commitment_id}/{due}");
    if id_number > 1 {
        request_id = format!("{request_id}/{id_number}");
    }
    ExecuteRequest {
        plan_id: passed.plan_id.to_string(),
        request_id,
        occurred_at: Some(due),
        commands: vec![Command {
            kind: Some(Kind::LapseCommitment(LapseCommitment {
                commitment_id,
                due: Some(due),
            })),
        }],
        ..ExecuteRequest::default()
    }
}

/// How long it is from one time to a later one.
fn until(now: Time, later: Time) -> Duration {
    let nanos = |time: Time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let between = nanos(later).saturating_sub(nanos(now)).max(0);
    u64::try_from(between).map_or(SLEEP_MAX, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{shape, value::Id};

    fn due(seconds: i64, nanos: i32) -> Due {
        Due {
            due: Time { seconds, nanos },
            plan_id: Id::from("a".repeat(63).as_str()),
            commitment_id: Id::from("c".repeat(63).as_str()),
        }
    }

    #[test]
    fn the_request_of_any_due_date_is_well_formed_and_says_what_it_is_about() {
        let last = Time::MAX_SECONDS;
        for passed in [due(Time::MIN_SECONDS, 0), due(0, 1), due(last, 999_999_999)] {
            let now = passed.due;
            assert!(
                shape::check(request(&passed, REQUEST_IDS), now).is_ok(),
                "{passed:?}"
            );
        }
        let at_noon = request(&due(43_200, 0), 1);
        let id = format!("lapse/{}/1970-01-01T12:00:00Z", "c".repeat(63));
        assert_eq!(at_noon.request_id, id);
        let again = request(&due(43_200, 0), 2);
        assert_eq!(again.request_id, format!("{id}/2"));
    }

    #[test]
    fn it_sleeps_until_the_date_and_never_longer_than_it_may() {
        let at = |seconds, nanos| Time { seconds, nanos };
        let half = Duration::from_millis(500);
        assert_eq!(until(at(1, 900_000_000), at(2, 400_000_000)), half);
        assert_eq!(until(at(5, 0), at(2, 0)), Duration::ZERO);
        assert!(until(at(i64::MIN, 0), at(i64::MAX, 0)) >= SLEEP_MAX);
    }
}
