//! Notes, and findings of the review that are accepted for the time being. Both may be about what
//! has ended: looking back is what they are for.

use super::{super::plan::Plan, CommandContext, Refusal, subjects::subject_exists};
use crate::proto::{self, event::Kind};

/// Accepts a finding for the time being.
pub(super) fn acknowledge(
    plan: &Plan,
    command: &proto::AcknowledgeFinding,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    subject_exists(plan, &command.subject, "subject", context)?;
    Ok(Kind::FindingAcknowledged(proto::FindingAcknowledged {
        code: command.code.clone(),
        subject: command.subject.clone(),
        until: command.until,
        reason: command.reason.clone(),
    }))
}

/// Keeps a note.
pub(super) fn record(
    plan: &Plan,
    command: &proto::RecordNote,
    context: &CommandContext<'_>,
) -> Result<Kind, Refusal> {
    subject_exists(plan, &command.subject, "subject", context)?;
    Ok(Kind::NoteRecorded(proto::NoteRecorded {
        subject: command.subject.clone(),
        text: command.text.clone(),
    }))
}
