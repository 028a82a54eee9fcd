//! What is noted of a call while it is answered, by those who know it: who calls, which plan it is
//! about, why it is refused, where its time went. Whoever stands before the services hands in a slip
//! to be written on, and reads it when the call has ended; without one nothing is noted. It holds
//! names and times, never what a call is about otherwise.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use tokio::task::futures::TaskLocalFuture;
use tonic::Code;

use crate::{
    domain::value::Id,
    writer::course::{Course, Phase},
};

/// The longest `request_id` that is noted, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 200;

tokio::task_local! {
    /// The slip of the call that this task answers.
    static SLIP: Arc<Slip>;
}

/// What is noted of one call.
#[derive(Debug, Default)]
pub struct Slip(Mutex<Notes>);

/// The notes themselves.
#[derive(Debug, Default, Clone)]
pub struct Notes {
    /// Who calls, once that is known.
    pub caller: Option<Arc<str>>,
    /// The plan that the call names, if it names one.
    pub plan_id: Option<String>,
    /// The `request_id` of what is to be recorded.
    pub request_id: Option<String>,
    /// Why something was refused, by the name of its `ErrorReason`; the last time counts.
    pub reason: Option<&'static str>,
    /// How it was made to end, where it did not end by itself.
    pub ended_with: Option<Code>,
    /// How what is to be recorded went through the writer.
    course: Option<Arc<Course>>,
}

impl Notes {
    /// Where the time of a request went that was to be recorded.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        self.course
            .as_ref()
            .map_or_else(Vec::new, |course| course.phases())
    }
}

impl Slip {
    /// The notes so far.
    #[must_use]
    pub fn read(&self) -> Notes {
        self.lock().clone()
    }

    /// The same, taken off the slip.
    #[must_use]
    pub fn take(&self) -> Notes {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        // Nothing panics half-way through a note.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a call whose notes go onto `slip`.
pub fn on<F: Future>(slip: Arc<Slip>, answer: F) -> TaskLocalFuture<Arc<Slip>, F> {
    SLIP.scope(slip, answer)
}

/// What belongs to the call that this task answers, and is done by another task.
pub fn also<F: Future>(work: F) -> impl Future<Output = F::Output> {
    // A call that nobody looks at notes on a slip that nobody reads.
    let slip = SLIP.try_with(Arc::clone).unwrap_or_default();
    SLIP.scope(slip, work)
}

/// The same for a step of an answer that comes in pieces.
pub fn on_step<T>(slip: &Arc<Slip>, step: impl FnOnce() -> Poll<T>) -> Poll<T> {
    SLIP.sync_scope(slip.clone(), step)
}

/// Who calls.
pub fn caller(name: &Arc<str>) {
    note(|notes| notes.caller = Some(name.clone()));
}

/// The plan that the call names.
pub fn plan(plan_id: &str) {
    if Id::is_valid(plan_id) {
        note(|notes| notes.plan_id = Some(plan_id.to_owned()));
    }
}

/// The `request_id` of what is to be recorded.
pub fn request_id(request_id: &str) {
    if !request_id.is_empty() && request_id.len() <= REQUEST_ID_BYTES_MAX {
        note(|notes| notes.request_id = Some(request_id.to_owned()));
    }
}

/// How a call was made to end that may be given up before it says so.
pub fn ended_with(code: Code) {
    note(|notes| notes.ended_with = Some(code));
}

/// Why something is refused.
pub(super) fn reason(name: &'static str) {
    note(|notes| notes.reason = Some(name));
}

/// How what is to be recorded goes through the writer.
pub(super) fn course(course: &Arc<Course>) {
    note(|notes| notes.course = Some(course.clone()));
}

fn note(write: impl FnOnce(&mut Notes)) {
    // A call that nobody looks at has no slip.
    SLIP.try_with(|slip| write(&mut slip.lock())).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_known_of_a_call_reaches_its_own_slip_alone() {
        let slips = [Arc::<Slip>::default(), Arc::<Slip>::default()];
        on(slips[0].clone(), async {
            caller(&"alice".into());
            plan("growth");
            request_id(&"x".repeat(REQUEST_ID_BYTES_MAX + 1));
        })
        .await;
        let step = on_step(&slips[1], || {
            reason("STOPPING");
            Poll::Ready(())
        });
        assert!(step.is_ready());
        plan("nobody looks");

        let first = slips[0].read();
        assert_eq!(first.caller.as_deref(), Some("alice"));
        assert_eq!(first.plan_id.as_deref(), Some("growth"));
        assert_eq!((first.request_id, first.reason), (None, None));
        let second = slips[1].take();
        assert_eq!((second.plan_id, second.reason), (None, Some("STOPPING")));
        assert_eq!(slips[1].read().reason, None);
    }
}
