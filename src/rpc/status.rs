//! Errors to statuses, in one place: each reason has one code, and every status carries
//! `google.rpc` details for programs.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use prost_types::Timestamp;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::noted;
use crate::{
    access::{Rejected, jwt::Refused},
    domain::{
        decide::Refusal,
        shape::{VIOLATIONS_BYTES_MAX, VIOLATIONS_MAX, Violation},
        value::Time,
    },
    journal::JournalError,
    proto::ErrorReason,
    view::ViewError,
    writer::{ExecuteError, clock::Leap, guard::Hindrance},
};

pub(super) mod not_permitted;

/// `ErrorInfo.domain` of every status.
const DOMAIN: &str = "strata.v1";
/// How much of a wrong value is quoted, in characters: statuses travel in headers.
const QUOTED_CHARS_MAX: usize = 40;
/// Whose quota is used up where it is that of all callers.
const DAEMON: &str = "daemon";
/// How long a caller should wait at least when others have to be done first.
const RETRY: Duration = Duration::from_millis(100);
/// How long, when a place is free only once a watch ends.
const RETRY_WATCH: Duration = Duration::from_secs(1);

/// A status with a reason and nothing to add.
pub(super) fn refuse(reason: ErrorReason, message: impl Into<String>) -> Status {
    with_metadata(reason, message, HashMap::new())
}

/// A status with what programs need to know about its reason.
pub(super) fn with_metadata(
    reason: ErrorReason,
    message: impl Into<String>,
    metadata: HashMap<String, String>,
) -> Status {
    let details = ErrorDetails::with_error_info(name(reason), DOMAIN, metadata);
    refusal(reason, message, details)
}

/// Every status is made here. Operators who look for why a client is refused see it at `debug`, and
/// how often there was too much to do in the metrics.
fn refusal(reason: ErrorReason, message: impl Into<String>, details: ErrorDetails) -> Status {
    let message = message.into();
    if OF_LIMITS.contains(&reason) {
        metrics::counter!("strata_calls_refused_total", "reason" => name(reason)).increment(1);
    }
    tracing::debug!(reason = name(reason), %message, "refused");
    noted::reason(name(reason));
    Status::with_error_details(code(reason), message, details)
}

/// Those that say that there was too much to do, of one caller or of all.
const OF_LIMITS: [ErrorReason; 6] = [
    ErrorReason::RateLimit,
    ErrorReason::ConcurrencyLimit,
    ErrorReason::WatchLimit,
    ErrorReason::Overloaded,
    ErrorReason::QueueFull,
    ErrorReason::TimedOut,
];

/// The names of the reasons that are counted in `strata_calls_refused_total`.
pub fn counted_reasons() -> impl Iterator<Item = &'static str> {
    OF_LIMITS.into_iter().map(name)
}

/// What the request alone shows wrong, all of it as far as a header has room.
pub(super) fn malformed(violations: Vec<Violation>) -> Status {
    let violations = listed(violations);
    let message = match violations.as_slice() {
        [only] if only.field.is_empty() => only.description.clone(),
        [only] => format!("{}: {}", only.field, only.description),
        [first, rest @ ..] => {
            format!(
                "{}: {} (and {} more)",
                first.field,
                first.description,
                rest.len()
            )
        }
        [] => "the request is malformed".into(),
    };
    let reason = ErrorReason::MalformedRequest;
    let mut details = ErrorDetails::with_error_info(name(reason), DOMAIN, HashMap::new());
    let fields: Vec<_> = violations
        .into_iter()
        .map(|v| FieldViolation::new(v.field, v.description))
        .collect();
    details.set_bad_request(fields);
    refusal(reason, message, details)
}

/// The violations that are listed, and how many are not.
fn listed(mut violations: Vec<Violation>) -> Vec<Violation> {
    let mut bytes = 0;
    let fits = violations.iter().take_while(|violation| {
        bytes += violation.field.len() + violation.description.len();
        bytes <= VIOLATIONS_BYTES_MAX
    });
    let fit = fits.count().min(VIOLATIONS_MAX);
    // A list that was cut before ends with a line that counts; it stays.
    let unlisted = violations.len() - fit;
    if unlisted > 1 {
        violations.truncate(fit);
        violations.push(Violation {
            field: String::new(),
            description: format!("and {unlisted} more, not listed"),
        });
    }
    violations
}

/// A wrong value in quotes, cut when it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// One violation.
pub(super) fn malformed_field(field: &str, description: impl Into<String>) -> Status {
    malformed(vec![Violation {
        field: field.into(),
        description: description.into(),
    }])
}

/// Whether the transport refused a message that it could not take: our own refusals say why.
pub(super) fn is_undocumented(status: &Status) -> bool {
    status.details().is_empty() && matches!(status.code(), Code::OutOfRange | Code::Internal)
}

/// What the transport says of a message that it could not take, in our words; all else as it is.
pub(super) fn documented(status: Status) -> Status {
    if is_undocumented(&status) {
        malformed_field("", status.message())
    } else {
        status
    }
}

/// Who calls is not known, and must be.
#[must_use]
pub fn of_rejected(rejected: &Rejected) -> Status {
    if let Rejected::Jwt(Refused::KeysAwaited | Refused::Doubtful) = rejected {
        return shed(rejected.to_string());
    }
    let reason = match rejected {
        Rejected::Missing => ErrorReason::CredentialsRequired,
        Rejected::Malformed
        | Rejected::NoToken(_)
        | Rejected::UnknownToken
        | Rejected::Expired
        | Rejected::UnknownCertificate
        | Rejected::AmbiguousCertificate
        | Rejected::NoIssuer
        | Rejected::Jwt(_) => ErrorReason::CredentialsInvalid,
    };
    refuse(reason, rejected.to_string())
}

/// A page of another origin calls a daemon that does not ask who calls.
#[must_use]
pub fn of_page(origin: &http::HeaderValue) -> Status {
    let origin = quoted(&String::from_utf8_lossy(origin.as_bytes()));
    refuse(
        ErrorReason::NotPermitted,
        format!(
            "Pages of {origin} may not call this daemon, which does not ask who calls: its operator \
             can list the origin in cors_origins."
        ),
    )
}

/// The request is of HTTP and no call.
#[must_use]
pub fn no_post(method: &http::Method) -> Status {
    Status::unimplemented(format!(
        "{method} is no way to call: send a POST, as every client of gRPC does."
    ))
}

/// The caller's own deadline has passed. It is told for the record: the caller has gone.
#[must_use]
pub fn deadline_passed() -> Status {
    refuse(
        ErrorReason::TimedOut,
        "The deadline of the call has passed: try again with a later one.",
    )
}

/// A message was begun and did not come in whole.
#[must_use]
pub fn message_did_not_come(time: Duration) -> Status {
    let seconds = time.as_secs();
    refuse(
        ErrorReason::TimedOut,
        format!("The request did not come in whole within {seconds} seconds: send it in one go."),
    )
}

/// There is no such plan.
pub(super) fn no_plan(plan_id: &str) -> Status {
    with_metadata(
        ErrorReason::PlanNotFound,
        format!("There is no plan `{plan_id}`: mend the id."),
        metadata([("plan_id", plan_id)]),
    )
}

/// The plan exists, but did not at the point asked for.
pub(super) fn no_plan_then(plan_id: &str) -> Status {
    with_metadata(
        ErrorReason::PlanNotFound,
        format!("The plan `{plan_id}` had not begun at that point: name a later one."),
        metadata([("plan_id", plan_id)]),
    )
}

/// A time that is asked about is still to come.
pub(super) fn beyond_now(time: Time) -> Status {
    let time = Timestamp::from(time);
    with_metadata(
        ErrorReason::BeyondHead,
        format!("The time {time} is still to come: name one that has passed."),
        metadata([("time", time)]),
    )
}

/// Something that a query names is not in the plan at the point asked for.
pub(super) fn no_subject(subject: &str) -> Status {
    with_metadata(
        ErrorReason::SubjectNotFound,
        format!("The plan has no `{subject}` at that point: read the plan and mend the id."),
        metadata([("subject", subject)]),
    )
}

/// A point lies beyond the head.
pub(super) fn beyond_head(what: &str, asked: u64, head: u64) -> Status {
    with_metadata(
        ErrorReason::BeyondHead,
        format!("The {what} {asked} lies beyond the head, which is {head}: name one that exists."),
        metadata([("head", head)]),
    )
}

/// `min_position` was not reached in time.
pub(super) fn not_reached(position: u64) -> Status {
    with_metadata(
        ErrorReason::PositionNotReached,
        format!("The position {position} was not reached in time: try again."),
        metadata([("position", position)]),
    )
}

/// A caller sends more calls a second than it may.
pub(crate) fn too_fast(caller: &str, per_second: u32, wait: Duration) -> Status {
    let message = format!("More than {per_second} calls a second: send them at a lower rate.");
    let subject = of_principal(caller);
    exhausted(ErrorReason::RateLimit, subject, message, wait)
}

/// An address has tried credentials that name nobody more often than it may.
pub(crate) fn too_many_in_vain(address: &impl Display, per_minute: u32, wait: Duration) -> Status {
    let message = format!(
        "More than {per_minute} calls a minute came from {address} with credentials that name nobody: \
         mend them, and send no more until then."
    );
    let subject = format!("address:{address}");
    exhausted(ErrorReason::RateLimit, subject, message, wait)
}

/// A caller has as many calls under way as it may.
pub(crate) fn too_many_calls(caller: &str, max: u32) -> Status {
    let message = format!("{max} calls are under way: await some of them before the next.");
    let subject = of_principal(caller);
    exhausted(ErrorReason::ConcurrencyLimit, subject, message, RETRY)
}

/// A caller has as many watches open as it may.
pub(crate) fn too_many_watches(caller: &str, max: u32) -> Status {
    let message = format!("{max} watches are open: close one, or watch more plans with one watch.");
    let subject = of_principal(caller);
    exhausted(ErrorReason::WatchLimit, subject, message, RETRY_WATCH)
}

fn of_principal(caller: &str) -> String {
    format!("principal:{caller}")
}

/// Somebody has used up what it may, or all have together.
fn exhausted(reason: ErrorReason, subject: String, message: String, wait: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(name(reason), DOMAIN, HashMap::new());
    details.add_quota_failure_violation(subject, message.clone());
    details.set_retry_info(Some(wait));
    refusal(reason, message, details)
}

/// There is more to do than can be done in time.
pub(crate) fn overloaded() -> Status {
    shed(
        "The daemon has more to do than it can do in time, so nothing was done: try again later, at a \
         lower rate.",
    )
}

/// The same, where it is known what there is too much of.
fn shed(message: impl Into<String>) -> Status {
    static SHED: AtomicU32 = AtomicU32::new(0);
    // Spread over a second, so that those who are sent away do not come back together.
    let spread = SHED.fetch_add(1, Ordering::Relaxed) % 8;
    let wait = RETRY * (2 + spread);
    exhausted(
        ErrorReason::Overloaded,
        DAEMON.to_owned(),
        message.into(),
        wait,
    )
}

/// A call took too long.
pub(crate) fn timed_out(time_max: Duration) -> Status {
    refuse(
        ErrorReason::TimedOut,
        format!(
            "The call took longer than {time_max:?}: whether a request was recorded is unknown, so \
             send it again with the same `request_id`; of a question ask for less."
        ),
    )
}

/// A stream of answers was open for as long as its caller gave it.
pub(crate) fn stream_timed_out(time_max: Duration) -> Status {
    refuse(
        ErrorReason::TimedOut,
        format!(
            "The stream was open for the {time_max:?} that its deadline gave it: go on from what came \
             last, with a later deadline or none."
        ),
    )
}

/// A request was not recorded.
pub(super) fn of_execute(error: ExecuteError) -> Status {
    let message = error.to_string();
    match error {
        ExecuteError::Malformed(violations) => malformed(violations),
        ExecuteError::Refused(refused) => of_refusal(refused),
        ExecuteError::RequestIdReused { position, revision } => of_refusal(Refusal {
            reason: ErrorReason::RequestIdReused,
            field: "request_id".into(),
            message,
            metadata: BTreeMap::from([
                ("position", position.to_string()),
                ("revision", revision.to_string()),
            ]),
        }),
        ExecuteError::QueueFull => {
            exhausted(ErrorReason::QueueFull, DAEMON.to_owned(), message, RETRY)
        }
        ExecuteError::Hindered(hindrance) => of_hindrance(hindrance, message),
        ExecuteError::Contended => refuse(ErrorReason::Contended, message),
        ExecuteError::Stopping => refuse(ErrorReason::Stopping, message),
        ExecuteError::WriteFailed => refuse(ErrorReason::WriteFailed, message),
        ExecuteError::View(error) => of_view(&error),
    }
}

fn of_hindrance(hindrance: Hindrance, message: String) -> Status {
    let metadata = match hindrance {
        Hindrance::DiskReserve {
            free_bytes,
            reserve_bytes,
        } => metadata([("free_bytes", free_bytes), ("reserve_bytes", reserve_bytes)]),
        Hindrance::ClockLeapt(Leap { clock, expected }) => metadata(
            [("clock", clock), ("expected", expected)].map(|(key, at)| (key, Timestamp::from(at))),
        ),
    };
    with_metadata(reason_of(hindrance), message, metadata)
}

/// What refuses requests while that hinders writing.
pub(super) fn reason_of(hindrance: Hindrance) -> ErrorReason {
    match hindrance {
        Hindrance::DiskReserve { .. } => ErrorReason::DiskReserve,
        Hindrance::ClockLeapt(_) => ErrorReason::ClockLeapt,
    }
}

/// The view or the log cannot answer.
pub(super) fn of_view(error: &ViewError) -> Status {
    match error {
        ViewError::Journal(error) => of_journal(error),
        ViewError::Undecodable { position, .. } => damaged(error, Some(*position)),
        ViewError::Incoherent(_) => damaged(error, None),
        ViewError::Interrupted => super::stopping(),
        ViewError::NotSearchable => refuse(
            ErrorReason::Starting,
            "The daemon has started and is still making the index for searches: try again.",
        ),
        ViewError::Store(_) => {
            tracing::error!(%error, "the view cannot be read");
            refuse(
                ErrorReason::ReadFailed,
                "The daemon cannot read its view: operators find why in its log.",
            )
        }
    }
}

fn of_journal(error: &JournalError) -> Status {
    match error {
        JournalError::Closed => super::stopping(),
        JournalError::Damaged { position, .. } => damaged(error, *position),
        JournalError::Locked { .. }
        | JournalError::OtherFormat { .. }
        | JournalError::NoFormat { .. }
        | JournalError::Restoring { .. }
        | JournalError::NotEmpty { .. }
        | JournalError::Shorter { .. }
        | JournalError::OtherLog { .. }
        | JournalError::Refused { .. }
        | JournalError::TooLarge { .. }
        | JournalError::NoRoom { .. }
        | JournalError::Failed
        | JournalError::Io { .. }
        | JournalError::Engine(_) => {
            tracing::error!(%error, "the log cannot be read");
            refuse(
                ErrorReason::ReadFailed,
                "The daemon cannot read the log of commits: operators find why in its own log.",
            )
        }
    }
}

fn damaged(error: &dyn Display, position: Option<u64>) -> Status {
    tracing::error!(%error, "the log is damaged");
    let metadata = position.map_or_else(HashMap::new, |at| metadata([("position", at)]));
    with_metadata(ErrorReason::LogDamaged, error.to_string(), metadata)
}

fn of_refusal(refused: Refusal) -> Status {
    let Refusal {
        reason,
        field,
        message,
        metadata,
    } = refused;
    let owned: HashMap<_, _> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let mut details = ErrorDetails::with_error_info(name(reason), DOMAIN, owned);
    if !field.is_empty() {
        details.add_bad_request_violation(field, message.clone());
    }
    refusal(reason, message, details)
}

/// The name without its prefix.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

fn metadata<const N: usize, V: Display>(pairs: [(&str, V); N]) -> HashMap<String, String> {
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_string()))
        .into()
}

fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::MalformedRequest => Code::InvalidArgument,
        ErrorReason::PlanNotFound
        | ErrorReason::SubjectNotFound
        | ErrorReason::CauseNotFound
        | ErrorReason::RevisionNotFound => Code::NotFound,
        ErrorReason::PlanExists | ErrorReason::IdTaken | ErrorReason::RequestIdReused => {
            Code::AlreadyExists
        }
        ErrorReason::RevisionConflict | ErrorReason::ParentRevisionConflict => Code::Aborted,
        ErrorReason::PlanLimit
        | ErrorReason::QueueFull
        | ErrorReason::DiskReserve
        | ErrorReason::RateLimit
        | ErrorReason::ConcurrencyLimit
        | ErrorReason::WatchLimit
        | ErrorReason::Overloaded => Code::ResourceExhausted,
        ErrorReason::CredentialsRequired | ErrorReason::CredentialsInvalid => Code::Unauthenticated,
        ErrorReason::NotPermitted => Code::PermissionDenied,
        ErrorReason::BeyondHead => Code::OutOfRange,
        ErrorReason::PositionNotReached
        | ErrorReason::Starting
        | ErrorReason::Stopping
        | ErrorReason::WriteFailed
        | ErrorReason::ClockLeapt
        | ErrorReason::Contended
        | ErrorReason::ReadFailed => Code::Unavailable,
        ErrorReason::LogDamaged => Code::DataLoss,
        ErrorReason::TimedOut => Code::DeadlineExceeded,
        // Never sent; if a bug sends it, it must not look like success or a client's fault.
        ErrorReason::Unspecified => Code::Internal,
        ErrorReason::PlanArchived
        | ErrorReason::PlanNotArchived
        | ErrorReason::AttemptOpen
        | ErrorReason::NoOpenAttempt
        | ErrorReason::CommitmentOpen
        | ErrorReason::CommitmentClosed
        | ErrorReason::NotLive
        | ErrorReason::ProposalNotOpen
        | ErrorReason::NoObjective
        | ErrorReason::ReasonRequired
        | ErrorReason::UnitMismatch
        | ErrorReason::NoEvidence
        | ErrorReason::AlreadyConcluded
        | ErrorReason::NotConcluded
        | ErrorReason::NoTrigger
        | ErrorReason::NothingChanged
        | ErrorReason::Cycle
        | ErrorReason::NotAPermutation
        | ErrorReason::OtherStrategy
        | ErrorReason::DueDate
        | ErrorReason::NotCorrectable
        | ErrorReason::LogDiverged
        | ErrorReason::CostRequired => Code::FailedPrecondition,
    }
}

#[cfg(test)]
mod tests;
