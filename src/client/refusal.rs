//! What a daemon answers instead of doing what was asked, with its details as types.

use std::{error::Error, fmt, time::Duration};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _, pb};

use crate::proto::{ErrorReason, code_name};

/// What the names of reasons begin with in the published language, and not on the wire.
const REASON_PREFIX: &str = "ERROR_REASON_";

/// The key of the current revision in the metadata of a lost race.
const CURRENT_REVISION: &str = "current_revision";

/// What a daemon answered instead of doing what was asked, or what the way to it ended in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: Code,
    /// The name of the [`ErrorReason`] without its prefix; empty when none was given.
    pub reason: String,
    /// The daemon's words.
    pub message: String,
    /// What the reason is about: names and values, in the order of the names.
    pub metadata: Vec<(String, String)>,
    /// What is wrong with the request: paths of fields and descriptions.
    pub violations: Vec<(String, String)>,
    /// How long to wait at least before the request is sent again, when the daemon said so.
    pub retry_delay: Option<Duration>,
    /// Whether no daemon said this: the connection could not be made, broke, or took too long.
    pub is_broken_connection: bool,
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let mut metadata: Vec<(String, String)> =
            info.iter().flat_map(|info| info.metadata.clone()).collect();
        metadata.sort();
        let violations = details
            .bad_request()
            .map(|details| details.field_violations.clone())
            .unwrap_or_default();
        // A status with a source was made on this side.
        let source = status.source();
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: match source {
                Some(source) => innermost(source),
                None => status.message().to_owned(),
            },
            metadata,
            violations: violations.into_iter().map(path_and_words).collect(),
            retry_delay: details.retry_info().and_then(|info| info.retry_delay),
            is_broken_connection: source.is_some(),
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

/// The status of one request of a stream.
impl From<pb::Status> for Refusal {
    fn from(status: pb::Status) -> Self {
        let details = status.encode_to_vec().into();
        Self::from(&Status::with_details(
            Code::from(status.code),
            status.message,
            details,
        ))
    }
}

impl Refusal {
    /// The reason as the published language names it. `None` for none, and for one of a newer daemon.
    #[must_use]
    pub fn known_reason(&self) -> Option<ErrorReason> {
        ErrorReason::from_str_name(&format!("{REASON_PREFIX}{}", self.reason))
    }

    /// A value of the metadata.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The revision that is current, of the plan or of a strategy, when a race was lost.
    #[must_use]
    pub fn current_revision(&self) -> Option<u64> {
        self.value(CURRENT_REVISION)?.parse().ok()
    }

    /// Whether the daemon serves and records nothing at the moment, because of its disk or clock.
    #[must_use]
    pub fn is_hindrance(&self) -> bool {
        matches!(
            self.known_reason(),
            Some(ErrorReason::DiskReserve | ErrorReason::ClockLeapt)
        )
    }

    /// Whether the first answer to a command is none that a daemon gives, which always says its reason.
    #[must_use]
    pub fn is_of_no_stratad(&self) -> bool {
        let codes = [Code::Unknown, Code::Internal, Code::Unimplemented];
        self.reason.is_empty() && codes.contains(&self.code)
    }

    /// Whether the daemon may answer the same request otherwise when it is sent again a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self.code {
            Code::Unavailable => true,
            // Of its watches the caller must end one: to wait helps only where one is ending.
            Code::ResourceExhausted if self.known_reason() == Some(ErrorReason::WatchLimit) => {
                false
            }
            Code::ResourceExhausted => self.retry_delay.is_some() || self.is_passing_exhaustion(),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => false,
        }
    }

    /// Whether the daemon did not answer, so that what became of the request is not known.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        // Without a reason these are of the transport or of something between, and not of the daemon.
        let ran_out = matches!(self.code, Code::DeadlineExceeded | Code::Cancelled);
        // The daemon gives up a little earlier than its caller, and does not know more.
        let gave_up = self.known_reason() == Some(ErrorReason::TimedOut);
        self.is_broken_connection || gave_up || (ran_out && self.reason.is_empty())
    }

    fn is_passing_exhaustion(&self) -> bool {
        matches!(
            self.known_reason(),
            Some(
                ErrorReason::QueueFull
                    | ErrorReason::DiskReserve
                    | ErrorReason::RateLimit
                    | ErrorReason::ConcurrencyLimit
                    | ErrorReason::Overloaded
            )
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(code_name(self.code))?;
        if !self.reason.is_empty() {
            write!(formatter, " ({})", self.reason)?;
        }
        if !self.message.is_empty() {
            write!(formatter, ": {}", self.message)?;
        }
        for (name, value) in self.metadata.iter().chain(&self.violations) {
            write!(formatter, "\n  {name}: {value}")?;
        }
        Ok(())
    }
}

fn path_and_words(violation: FieldViolation) -> (String, String) {
    let path = if violation.field.is_empty() {
        "request".to_owned()
    } else {
        violation.field
    };
    (path, violation.description)
}

/// The cause at the bottom of an error: the layers above it only say that something failed.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn refused(code: Code, reason: &str) -> Refusal {
        let details = ErrorDetails::with_error_info(reason, "strata.v1", HashMap::new());
        Refusal::from(&Status::with_error_details(code, "", details))
    }

    #[test]
    fn a_refusal_says_code_reason_words_and_every_violation() {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            "MALFORMED_REQUEST",
            "strata.v1",
            HashMap::from([("plan_id".to_owned(), "growth".to_owned())]),
        );
        details.add_bad_request_violation("commands[0].try_tactic.tactic_id", "may not be empty");
        details.add_bad_request_violation("", "has no commands");
        let status = Status::with_error_details(Code::InvalidArgument, "two mistakes", details);
        assert_eq!(
            Refusal::from(&status).to_string(),
            "INVALID_ARGUMENT (MALFORMED_REQUEST): two mistakes\n  plan_id: growth\n  \
             commands[0].try_tactic.tactic_id: may not be empty\n  request: has no commands"
        );
    }

    #[test]
    fn only_what_passes_is_worth_sending_again() {
        for (refusal, passing) in [
            (Refusal::from(&Status::unavailable("stopping")), true),
            (refused(Code::ResourceExhausted, "QUEUE_FULL"), true),
            (refused(Code::ResourceExhausted, "RATE_LIMIT"), true),
            (refused(Code::ResourceExhausted, "OVERLOADED"), true),
            (refused(Code::ResourceExhausted, "PLAN_LIMIT"), false),
            (refused(Code::ResourceExhausted, "WATCH_LIMIT"), false),
            (
                Refusal::from(&Status::resource_exhausted("64 strategies")),
                false,
            ),
            (Refusal::from(&Status::aborted("revision 5")), false),
        ] {
            assert_eq!(refusal.is_passing(), passing, "{refusal}");
        }
        let retry_delay = Some(Duration::from_secs(1));
        for (reason, passing) in [("OF_A_NEWER_DAEMON", true), ("WATCH_LIMIT", false)] {
            let refusal = Refusal {
                retry_delay,
                ..refused(Code::ResourceExhausted, reason)
            };
            assert_eq!(refusal.is_passing(), passing, "{refusal}");
        }
    }

    #[test]
    fn details_come_as_types() {
        let mut details = ErrorDetails::with_error_info(
            "REVISION_CONFLICT",
            "strata.v1",
            HashMap::from([("current_revision".to_owned(), "17".to_owned())]),
        );
        details.set_retry_info(Some(Duration::from_millis(1_500)));
        let refusal = Refusal::from(&Status::with_error_details(Code::Aborted, "", details));
        assert_eq!(refusal.known_reason(), Some(ErrorReason::RevisionConflict));
        assert_eq!(refusal.current_revision(), Some(17));
        assert_eq!(refusal.retry_delay, Some(Duration::from_millis(1_500)));
        assert!(!refusal.is_broken_connection);
    }

    #[test]
    fn a_reason_of_a_newer_daemon_is_kept_by_its_name() {
        let refusal = refused(Code::FailedPrecondition, "OF_TOMORROW");
        assert_eq!(refusal.known_reason(), None);
        assert_eq!(refusal.reason, "OF_TOMORROW");
    }
}
