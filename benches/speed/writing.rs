//! What clients write: a plan of their own, an event of a usual size at a time.

use strata::proto::{Command, CreatePlan, ExecuteRequest, RecordNote, command::Kind};

/// How long the text of an event is: with its envelope the event has about 300 bytes.
const TEXT_BYTES: usize = 270;

/// The request that takes a plan on from a revision; from 0 it begins it.
pub(crate) fn request(plan_id: &str, revision: u64) -> ExecuteRequest {
    let text = "x".repeat(TEXT_BYTES);
    let kind = match revision {
        0 => Kind::CreatePlan(CreatePlan {
            title: "A plan".into(),
            summary: text,
            ..CreatePlan::default()
        }),
        _ => Kind::RecordNote(RecordNote {
            subject: "plan".into(),
            text,
        }),
    };
    ExecuteRequest {
        plan_id: plan_id.to_owned(),
        request_id: format!("request-{revision}"),
        expected_revision: Some(revision),
        commands: vec![Command { kind: Some(kind) }],
        ..ExecuteRequest::default()
    }
}
