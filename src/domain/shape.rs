//! What a request alone shows wrong, before any plan is looked at. [`check`] is the one gate: behind
//! it every id, text, number and time is within its bounds, and a [`CheckedRequest`] is the proof.
//! In reading order: `checker` (the single checks), `rules` (which of them hold for a command),
//! `replacement` (the same for a corrected event), `digest` (what makes two requests the same).

mod checker;
mod digest;
mod replacement;
mod rules;
#[cfg(test)]
mod tests;

use prost::Message as _;
use proto::command::Kind;

use self::checker::{Checker, Segment};
use super::value::Time;
use crate::proto;

/// The most commands in a request. One commit holds them all, and a client waits for all of them.
pub const COMMANDS_MAX: usize = 64;
/// The most causes in a request.
pub const CAUSES_MAX: usize = 64;
/// The most elements of a list, labels included.
pub const LIST_MAX: usize = 64;
/// The most tactics in an order: as many as a plan may hold.
pub const RANKED_TACTICS_MAX: usize = 512;
/// The longest statement or title, in characters.
pub const STATEMENT_CHARS_MAX: usize = 500;
/// The longest name, in characters: people, units, labels and ids of requests too.
pub const NAME_CHARS_MAX: usize = 200;
/// The longest text of any other kind, in characters.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// The longest note or observation, in bytes.
pub const NOTE_BYTES_MAX: usize = 8_192;
/// The largest encoded commit, in bytes. A request is never larger than the commit it asks for.
pub const COMMIT_BYTES_MAX: usize = 65_536;
/// How far ahead of ours the clock of a client may run, in seconds.
pub const AHEAD_SECONDS_MAX: i64 = 300;
/// The most violations that are listed; a further one says how many were left out.
pub const VIOLATIONS_MAX: usize = 64;
/// The size of the listed violations, in bytes: they travel in a header, base64 adds a third, and
/// many clients read no more than 8 KiB of headers.
pub const VIOLATIONS_BYTES_MAX: usize = 5_120;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, such as `commands[2].try_tactic.tactic_id`; empty in the line that
    /// counts the violations that are not listed.
    pub field: String,
    /// What is wrong, with the bound and what was found.
    pub description: String,
}

/// A request in which nothing is wrong by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedRequest {
    request: proto::ExecuteRequest,
    digest: [u8; 33],
}

impl CheckedRequest {
    /// The request. Its texts of blanks are empty.
    #[must_use]
    pub fn request(&self) -> &proto::ExecuteRequest {
        &self.request
    }

    /// A version byte and the SHA-256 of what the request asks for: the same for a request that is
    /// sent again, whatever its `request_id`, `expected_revision` and `validate_only`.
    #[must_use]
    pub fn digest(&self) -> [u8; 33] {
        self.digest
    }

    /// Whether it corrects or retracts an event, so that the plan has to be folded anew.
    #[must_use]
    pub fn amends(&self) -> bool {
        let mut commands = self.request.commands.iter();
        commands.any(|command| digest::target(command).is_some())
    }

    /// The request itself.
    #[must_use]
    pub fn into_request(self) -> proto::ExecuteRequest {
        self.request
    }
}

/// Checks a request, at the time `now`, and reports all that is wrong with it. A text of blanks is
/// made empty, so that nobody behind this gate has to look for blanks again.
pub fn check(
    mut request: proto::ExecuteRequest,
    now: Time,
) -> Result<CheckedRequest, Vec<Violation>> {
    let mut checker = Checker::new(now);
    header(&mut checker, &mut request);
    causes(&mut checker, &request);
    commands(&mut checker, &mut request);
    checker.finish()?;
    let digest = digest::of(&mut request);
    Ok(CheckedRequest { request, digest })
}

/// The digest of a request that was checked before, as [`CheckedRequest::digest`] says it.
#[must_use]
pub fn digest_of(mut request: proto::ExecuteRequest) -> [u8; 33] {
    digest::of(&mut request)
}

/// The field of a command's oneof, as it stands in paths: `try_tactic`. Empty without a kind.
#[must_use]
pub fn command_field(command: &proto::Command) -> &'static str {
    command.kind.as_ref().map_or("", rules::field)
}

fn header(check: &mut Checker, request: &mut proto::ExecuteRequest) {
    check.id("plan_id", &request.plan_id);
    check.optional_name("request_id", &mut request.request_id);
    check.past("occurred_at", request.occurred_at.as_ref());
    check.optional_choice::<proto::Precision>("occurred_precision", request.occurred_precision);
    check.optional_name("actor", &mut request.actor);
    check.optional_text("source", &mut request.source);
}

fn causes(check: &mut Checker, request: &proto::ExecuteRequest) {
    let because = &request.because;
    // The cause that the daemon adds to a correction does not count: a request that was exported
    // with it must be as good as the one that left it out.
    let implied = usize::from(digest::implied_cause(request).is_some());
    check.count("because", because.len(), CAUSES_MAX + implied);
    let shown = || because.iter().take(CAUSES_MAX + implied);
    for (index, cause) in shown().enumerate() {
        check.within(Segment::Element("because", index), |check| {
            check.optional_id("plan_id", &cause.plan_id);
            check.revision("revision", cause.revision);
            check.choice::<proto::CauseRole>("role", cause.role);
        });
    }
    let events = shown().map(|cause| {
        let own = cause.plan_id.is_empty() || cause.plan_id == request.plan_id;
        let plan_id = if own { "" } else { &cause.plan_id };
        // What an event corrects may be cited for a second reason.
        let corrects = cause.role == proto::CauseRole::Corrects as i32;
        (plan_id, cause.revision, corrects)
    });
    check.distinct("because", events);
}

fn commands(check: &mut Checker, request: &mut proto::ExecuteRequest) {
    if request.commands.is_empty() {
        check.fault("commands", "required: at least one command");
    }
    check.count("commands", request.commands.len(), COMMANDS_MAX);
    let encoded_bytes = request.encoded_len();
    if encoded_bytes > COMMIT_BYTES_MAX {
        check.fault(
            "commands",
            format_args!(
                "the request is {encoded_bytes} bytes, a commit at most {COMMIT_BYTES_MAX}"
            ),
        );
    }
    for (index, command) in request.commands.iter_mut().take(COMMANDS_MAX).enumerate() {
        check.within(Segment::Element("commands", index), |check| {
            command_kind(check, command.kind.as_mut());
        });
    }
}

fn command_kind(check: &mut Checker, kind: Option<&mut Kind>) {
    match kind {
        Some(kind) => check.within(Segment::Field(rules::field(kind)), |check| {
            rules::hold(check, kind);
        }),
        None => check.fault_here("required: the command says nothing"),
    }
}
