//! When a stream has to end that does not by itself: at its caller's deadline, and when its caller may
//! not make the call any more. Somebody else looks out for that than who makes the answer, for that one is
//! asked for nothing while the client takes nothing.

use std::{
    future::pending,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use crate::{
    access::rights::Rpc,
    gateway::cut::Cut,
    rpc::{Rights, call::Call, noted, status},
};

/// How long a client has to take what is on its way to it, and with that the status, before its call is
/// given up.
const TAKE_TIME: Duration = Duration::from_secs(5);
/// The same where requests were accepted, which are answered first: a request waits for no longer to be
/// recorded.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// When a stream has to end.
pub(super) struct Ending {
    /// What is called.
    pub(super) rpc: Rpc,
    /// The call.
    pub(super) call: Call,
    /// How long its caller gave it.
    pub(super) time_max: Option<Duration>,
    /// What its caller may do.
    pub(super) rights: Option<Rights>,
}

/// Tells an answer when it has to end, until it is dropped.
pub(super) struct End {
    /// Nothing once it was told, or will not be.
    told: Option<oneshot::Receiver<Status>>,
    _look_out: AbortOnDropHandle<()>,
}

/// Why a stream ends.
enum Why {
    Deadline(Status),
    Withdrawn(Status),
}

impl Ending {
    /// Begins to look out for it; nothing for a stream that may go on for ever.
    pub(super) fn look_out(self) -> Option<End> {
        let may_change = self.rights.as_ref().is_some_and(Rights::may_change);
        if self.time_max.is_none() && !may_change {
            return None;
        }
        let (tell, told) = oneshot::channel();
        let cut = Cut::current();
        // What is found out is noted of the call, and not of nobody.
        let look_out = noted::also(async move {
            let why = self.why().await;
            let (Why::Deadline(status) | Why::Withdrawn(status)) = &why;
            noted::ended_with(status.code());
            let take_time = match why {
                // Its service ends it, behind the answers to what was accepted.
                Why::Withdrawn(_) if self.rpc == Rpc::ExecuteStream => ANSWER_TIME,
                Why::Deadline(status) | Why::Withdrawn(status) => {
                    tell.send(status).ok();
                    TAKE_TIME
                }
            };
            tokio::time::sleep(take_time).await;
            if let Some(cut) = cut {
                cut.give_up();
            }
        });
        Some(End {
            told: Some(told),
            _look_out: AbortOnDropHandle::new(tokio::spawn(look_out)),
        })
    }

    async fn why(&self) -> Why {
        let deadline = async {
            match self.call.deadline() {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let withdrawn = async {
            match &self.rights {
                Some(rights) => rights.withdrawn(&self.call).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = deadline => Why::Deadline(self.timed_out()),
            status = withdrawn => Why::Withdrawn(status),
        }
    }

    fn timed_out(&self) -> Status {
        let time_max = self.time_max.unwrap_or_default();
        if self.rpc == Rpc::ExecuteStream {
            status::timed_out(time_max)
        } else {
            status::stream_timed_out(time_max)
        }
    }
}

impl End {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        let Some(told) = &mut self.told else {
            return Poll::Pending;
        };
        let told = ready!(Pin::new(told).poll(context));
        self.told = None;
        // Told nothing, it is given up soon, or ends by itself.
        told.map_or(Poll::Pending, Poll::Ready)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_told_nothing_may_ask_again() {
        let (tell, told) = oneshot::channel();
        let mut end = End {
            told: Some(told),
            _look_out: AbortOnDropHandle::new(tokio::spawn(pending())),
        };
        drop(tell);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(end.poll(&mut context).is_pending());
        }
    }
}
