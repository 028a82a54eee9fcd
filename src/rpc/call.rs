//! The call that a task answers: whose it is, until when, and whether its caller still waits. Who
//! lets a call through says so once; what answers it asks here, however deep it is.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    access::ANONYMOUS,
    domain::value::Id,
    view::{ViewError, wanted::Wanted},
};

tokio::task_local! {
    static CALL: Call;
}

/// Takes the right to one more request of a stream, or says how long until there is one.
pub type Pace = Arc<dyn Fn() -> Option<Duration> + Send + Sync>;

/// A call that is being answered. Cheap to clone.
#[derive(Clone)]
pub struct Call(Arc<Known>);

struct Known {
    caller: Arc<str>,
    deadline: Option<Instant>,
    pace: Option<Pace>,
    /// The plans that it names, of a stream of answers about some.
    plan_ids: OnceLock<Vec<Id>>,
    /// Whether its answer was given, or nobody waits for it any more.
    has_ended: AtomicBool,
}

impl Call {
    /// A call that has to be answered in a time, if there is one.
    #[must_use]
    pub fn new(caller: Arc<str>, time_max: Option<Duration>, pace: Option<Pace>) -> Self {
        Self(Arc::new(Known {
            caller,
            deadline: time_max.map(|time_max| Instant::now() + time_max),
            pace,
            plan_ids: OnceLock::new(),
            has_ended: AtomicBool::new(false),
        }))
    }

    /// The call that this task answers. Outside of any, one of nobody that is always wanted.
    #[must_use]
    pub(super) fn current() -> Self {
        CALL.try_with(Self::clone)
            .unwrap_or_else(|_| Self::new(ANONYMOUS.into(), None, None))
    }

    /// Nobody waits for its answer any more.
    pub fn end(&self) {
        self.0.has_ended.store(true, Ordering::Release);
    }

    /// Until when it has to be answered, if there is a time for it.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// Notes the plans without which it would not be answered.
    pub(super) fn names(&self, plan_ids: &[Id]) {
        // A call names its plans once.
        drop(self.0.plan_ids.set(plan_ids.to_vec()));
    }

    /// The plans without which it would not be answered.
    pub(super) fn plan_ids(&self) -> &[Id] {
        self.0.plan_ids.get().map_or(&[], Vec::as_slice)
    }

    /// Who calls.
    pub(super) fn caller(&self) -> &Arc<str> {
        &self.0.caller
    }

    /// Whether somebody still waits for its answer.
    pub(super) fn is_wanted(&self) -> bool {
        !self.0.has_ended.load(Ordering::Acquire) && !self.is_late()
    }

    /// Whether the time is over in which it has to be answered.
    #[must_use]
    pub fn is_late(&self) -> bool {
        let deadline = self.0.deadline;
        deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Returns once its caller may send one more request on a stream.
    pub(super) async fn paced(&self) {
        let Some(pace) = &self.0.pace else {
            return;
        };
        while let Some(wait) = pace() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Whether what is being worked out is still wanted; asked between the steps of what takes long.
pub(super) fn go_on() -> Result<(), ViewError> {
    if Call::current().is_wanted() {
        Ok(())
    } else {
        Err(ViewError::Interrupted)
    }
}

/// The same for what is not answered by this task.
pub(super) fn wanted() -> Wanted {
    let call = Call::current();
    Wanted::while_true(move || call.is_wanted())
}

/// Answers within a call.
pub fn answering<F: Future>(call: Call, answer: F) -> impl Future<Output = F::Output> {
    CALL.scope(call, answer)
}

/// Runs within a call.
pub fn within<T>(call: Call, run: impl FnOnce() -> T) -> T {
    CALL.sync_scope(call, run)
}
