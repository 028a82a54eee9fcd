//! Recording something once, however often it must be sent: every request has a `request_id`, which
//! the daemon records once for ever, so that a lost answer is asked for by sending the same again.

use std::time::Duration;

use tokio::time::timeout;
use tonic::Request;
use uuid::Uuid;

use super::{Client, pause::Pauses, refusal::Refusal};
use crate::proto::{ErrorReason, ExecuteRequest, ExecuteResponse};

/// The longest wait that is said to the daemon: gRPC has no words for what is far longer.
const SAID_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Why nothing was recorded, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// Somebody else was faster: `expected_revision` is not the plan's revision any more. Read the plan,
    /// decide again, and send the request with the current revision.
    #[error("{refusal}")]
    Conflict {
        /// The plan's revision.
        current_revision: u64,
        /// The daemon's answer.
        refusal: Refusal,
    },
    /// The daemon refuses; sending the same again does not help. Nothing was recorded.
    #[error("{0}")]
    Refused(Refusal),
    /// The daemon was away, or refused for now, for longer than the client's patience. Whether the request
    /// is recorded is not known: sent again with this `request_id`, it is recorded once.
    #[error("given up after {attempts} attempts, request_id {request_id:?}: {refusal}")]
    GivenUp {
        /// How often it was sent.
        attempts: u32,
        /// The id with which it was sent.
        request_id: String,
        /// What the last attempt ended in.
        refusal: Refusal,
    },
}

impl ExecuteError {
    /// What the daemon answered last.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::Conflict { refusal, .. }
            | Self::Refused(refusal)
            | Self::GivenUp { refusal, .. } => refusal,
        }
    }
}

impl Client {
    /// Records a request once. One without a `request_id` gets one. While the daemon is away, or refuses
    /// for now, the same request is sent again, at longer and longer intervals that are never shorter
    /// than the daemon asks for, until the client's patience ends.
    ///
    /// ```no_run
    /// # use strata::{client::{Client, execute::ExecuteError}, proto::ExecuteRequest};
    /// # async fn example(client: Client, mut request: ExecuteRequest) -> Result<(), ExecuteError> {
    /// let answer = match client.execute(request.clone()).await {
    ///     // Decide again on what the plan is now; here it makes no difference.
    ///     Err(ExecuteError::Conflict { current_revision, .. }) => {
    ///         request.expected_revision = Some(current_revision);
    ///         client.execute(request).await?
    ///     }
    ///     answered => answered?,
    /// };
    /// println!("the plan is at revision {}", answer.revision);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn execute(
        &self,
        mut request: ExecuteRequest,
    ) -> Result<ExecuteResponse, ExecuteError> {
        if request.request_id.is_empty() {
            request.request_id = Uuid::new_v4().to_string();
        }
        let mut pauses = Pauses::within(self.patience);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let refusal = match self.attempt(&request, &pauses).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            if !(refusal.is_passing() || refusal.is_unanswered()) {
                return Err(ExecuteError::of(refusal));
            }
            let Some(pause) = pauses.next(refusal.retry_delay) else {
                return Err(ExecuteError::GivenUp {
                    attempts,
                    request_id: request.request_id,
                    refusal,
                });
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        request: &ExecuteRequest,
        pauses: &Pauses,
    ) -> Result<ExecuteResponse, Refusal> {
        let limit = pauses
            .left()
            .map_or(self.call_timeout, |left| left.min(self.call_timeout));
        let mut call = Request::new(request.clone());
        // The daemon keeps a request waiting for no longer than its caller waits.
        if limit <= SAID_TIMEOUT_MAX {
            call.set_timeout(limit);
        }
        match timeout(limit, self.plans().execute(call)).await {
            Ok(answered) => answered
                .map(tonic::Response::into_inner)
                .map_err(Refusal::from),
            Err(_) => Err(Refusal::of_silence(limit)),
        }
    }
}

impl ExecuteError {
    fn of(refusal: Refusal) -> Self {
        match (refusal.known_reason(), refusal.current_revision()) {
            (Some(ErrorReason::RevisionConflict), Some(current_revision)) => Self::Conflict {
                current_revision,
                refusal,
            },
            _ => Self::Refused(refusal),
        }
    }
}

impl Refusal {
    /// What becomes of a call that is not answered.
    pub(super) fn of_silence(limit: Duration) -> Self {
        Self {
            code: tonic::Code::DeadlineExceeded,
            reason: String::new(),
            message: format!("no answer within {limit:?}"),
            metadata: Vec::new(),
            violations: Vec::new(),
            retry_delay: None,
            is_broken_connection: true,
        }
    }
}
