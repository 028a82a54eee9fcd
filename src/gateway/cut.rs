//! The end of a call whose answer nobody takes. Whoever makes an answer is asked for more only while its
//! client has room for it, so it cannot end what waits for a client that reads nothing. What sends the
//! answer is given up instead: a call over HTTP/2 is reset, over HTTP/1.1 its connection is closed.

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

tokio::task_local! {
    /// What sends the answers of this task.
    static SENDING: Cut;
}

/// Gives up what sends an answer, with all that it holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(CancellationToken);

/// Runs what hyper has to do for a connection: over HTTP/2 each call in a task that can be cut.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tasks;

impl Cut {
    /// What sends the answers of this task; nothing outside of any.
    pub(super) fn current() -> Option<Self> {
        SENDING.try_with(Self::clone).ok()
    }

    /// Gives it up.
    pub(super) fn give_up(&self) {
        self.0.cancel();
    }

    /// Sends until there is nothing more to send, or it is given up. Whether it came to its end.
    pub(super) async fn unless_given_up<T>(sending: impl Future<Output = T>) -> Option<T> {
        let cut = Self::default();
        let given_up = cut.0.clone();
        SENDING
            .scope(cut, given_up.run_until_cancelled(sending))
            .await
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, sending: F) {
        tokio::spawn(Cut::unless_given_up(sending));
    }
}
