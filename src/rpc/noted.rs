//! What is noted of a call while it is answered, by those who know it: who calls, which plan it is
//! about, why it is refused, where its time went. Whoever stands before the services hands in a slip
//! to be written on, and reads it when the call has ended; without one nothing is noted. It holds
//! names and times, never what a call is about otherwise.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
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
/// How many plans of a stream are noted by name.
const PLANS_NAMED_MAX: usize = 4;
/// How many others are told apart, and so counted.
const PLANS_COUNTED_MAX: usize = 1_000;

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
    /// The plans that it names where it may name several, or the requests of a stream.
    pub plans: Plans,
    /// The `request_id` of what is to be recorded.
    pub request_id: Option<String>,
    /// Why something was refused, by the name of its `ErrorReason`; the last time counts.
    pub reason: Option<&'static str>,
    /// How it was made to end, where it did not end by itself.
    pub ended_with: Option<Code>,
    /// How what is to be recorded went through the writer.
    course: Option<Arc<Course>>,
}

/// The plans that a call or the requests of its stream name: the first few, and how many others.
#[derive(Debug, Default, Clone)]
pub struct Plans {
    first: Vec<String>,
    /// Their hashes, of as many as are told apart.
    others: HashSet<u64>,
}

impl Plans {
    fn add(&mut self, plan_id: &str) {
        if self.first.iter().any(|known| known == plan_id) {
            return;
        }
        if self.first.len() < PLANS_NAMED_MAX {
            self.first.push(plan_id.to_owned());
        } else if self.others.len() < PLANS_COUNTED_MAX {
            let mut hasher = DefaultHasher::new();
            plan_id.hash(&mut hasher);
            self.others.insert(hasher.finish());
        }
    }

    /// Them in words; nothing if there are none.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let named = self.first.join(", ");
        match self.others.len() {
            _ if self.first.is_empty() => None,
            0 => Some(named),
            PLANS_COUNTED_MAX => Some(format!("{named} and {PLANS_COUNTED_MAX} others or more")),
            others => Some(format!("{named} and {others} more")),
        }
    }
}

impl Notes {
    /// The plan, or the plans in words.
    #[must_use]
    pub fn about(&self) -> Option<String> {
        self.plan_id.clone().or_else(|| self.plans.told())
    }

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

/// One of the plans that the call names, or the requests of its stream.
pub(super) fn one_of_plans(plan_id: &str) {
    if Id::is_valid(plan_id) {
        note(|notes| notes.plans.add(plan_id));
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

    #[test]
    fn of_the_plans_of_a_stream_a_few_are_named_and_the_others_counted() {
        let mut plans = Plans::default();
        assert_eq!(plans.told(), None);
        for plan_id in ["a", "b", "a"] {
            plans.add(plan_id);
        }
        assert_eq!(plans.told().as_deref(), Some("a, b"));
        for plan_id in ["c", "d", "e", "f", "e"] {
            plans.add(plan_id);
        }
        assert_eq!(plans.told().as_deref(), Some("a, b, c, d and 2 more"));
        for number in 0..2 * PLANS_COUNTED_MAX {
            plans.add(&number.to_string());
        }
        let told = plans.told().expect("plans");
        assert_eq!(told, "a, b, c, d and 1000 others or more");
    }

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
