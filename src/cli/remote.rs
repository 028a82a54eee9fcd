//! The daemon at the other end of a client command: its address, the way to it, and what it
//! refuses, put in words.

use std::{error::Error, fmt, time::Duration};

use prost::Message as _;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::{FieldViolation, StatusExt as _, pb};

/// How long a connection may take to be made.
const CONNECT_SECONDS_MAX: u64 = 5;

/// How often a silent connection is asked whether it is still there.
const KEEP_ALIVE_SECONDS: u64 = 20;

/// Where a daemon is.
#[derive(Debug, Clone)]
pub struct Remote {
    url: String,
    endpoint: Endpoint,
}

/// Why a daemon cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {url}: {reason}; is `stratad serve` running there?")]
pub struct Unreachable {
    /// Where it was looked for.
    pub url: String,
    /// What the way ended in.
    pub reason: String,
}

/// What a daemon answered instead of doing what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: Code,
    /// The name of the `ErrorReason`; empty when none was given.
    pub reason: String,
    /// The daemon's words.
    pub message: String,
    /// What the reason is about: names and values.
    pub metadata: Vec<(String, String)>,
    /// What is wrong with the request: paths of fields and descriptions.
    pub violations: Vec<(String, String)>,
}

impl Remote {
    /// Reads a URL with a port; `http://` may be left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = if text.contains("://") {
            text.trim_end_matches('/').to_owned()
        } else {
            format!("http://{}", text.trim_end_matches('/'))
        };
        if !url.starts_with("http://") {
            return Err("only http:// is spoken".to_owned());
        }
        let endpoint = Endpoint::from_shared(url.clone()).map_err(|error| innermost(&error))?;
        let path = endpoint.uri().path_and_query().map_or("", |it| it.as_str());
        if !["", "/"].contains(&path) {
            return Err(format!(
                "it goes on behind the port with {path:?}: leave that out"
            ));
        }
        // Without one, and with one that is no port, the port would silently be that of the web.
        if endpoint.uri().port_u16().is_none() {
            return Err("it says no port, as localhost:7421 does".to_owned());
        }
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .http2_keep_alive_interval(Duration::from_secs(KEEP_ALIVE_SECONDS));
        Ok(Self { url, endpoint })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Result<Channel, Unreachable> {
        self.endpoint.connect().await.map_err(|error| Unreachable {
            url: self.url.clone(),
            reason: innermost(&error),
        })
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let info = status.get_details_error_info();
        let violations = status
            .get_details_bad_request()
            .map(|details| details.field_violations)
            .unwrap_or_default();
        let mut metadata: Vec<(String, String)> =
            info.iter().flat_map(|info| info.metadata.clone()).collect();
        metadata.sort();
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason).unwrap_or_default(),
            message: status.message().to_owned(),
            metadata,
            violations: violations.into_iter().map(path_and_words).collect(),
        }
    }
}

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
    /// Whether the daemon serves and records nothing at the moment, because of its disk or clock.
    #[must_use]
    pub fn is_hindrance(&self) -> bool {
        ["DISK_RESERVE", "CLOCK_LEAPT"].contains(&self.reason.as_str())
    }

    /// Whether the first answer to a command is none that a daemon gives, which always says its reason.
    #[must_use]
    pub fn is_of_no_stratad(&self) -> bool {
        let codes = [Code::Unknown, Code::Internal, Code::Unimplemented];
        self.reason.is_empty() && codes.contains(&self.code)
    }

    /// Whether the same request may be answered otherwise when it is sent again a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.code == Code::Unavailable
            || (self.code == Code::ResourceExhausted
                && ["QUEUE_FULL", "DISK_RESERVE"].contains(&self.reason.as_str()))
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
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The name of a status code as the published language and grpcurl write it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn http_may_be_left_out() {
        for text in [
            "localhost:7421",
            "http://localhost:7421",
            "http://localhost:7421/",
        ] {
            let remote = Remote::parse(text).expect(text);
            assert_eq!(remote.url(), "http://localhost:7421");
        }
        for text in [
            "https://localhost:7421",
            "unix:///tmp/socket",
            "not a url",
            "",
        ] {
            assert!(Remote::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_may_not_be_left_out() {
        for text in [
            "localhost",
            "7421",
            "http://localhost/",
            "localhost:99999",
            "localhost:",
        ] {
            let error = Remote::parse(text).expect_err(text);
            assert!(error.contains("localhost:7421"), "{text}: {error}");
        }
    }

    #[test]
    fn what_stands_behind_the_port_is_not_passed_over() {
        for text in ["localhost:7421/metrics", "http://localhost:7421/?x=1"] {
            let error = Remote::parse(text).expect_err(text);
            assert!(error.contains("behind the port"), "{text}: {error}");
        }
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
        let mut full = ErrorDetails::new();
        full.set_error_info("QUEUE_FULL", "strata.v1", HashMap::new());
        for (status, passing) in [
            (Status::unavailable("stopping"), true),
            (
                Status::with_error_details(Code::ResourceExhausted, "full", full),
                true,
            ),
            (Status::resource_exhausted("64 strategies"), false),
            (Status::aborted("revision 5"), false),
        ] {
            assert_eq!(Refusal::from(&status).is_passing(), passing, "{status}");
        }
    }
}
