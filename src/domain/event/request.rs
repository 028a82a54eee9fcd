//! Commits back to requests, as an export writes them and an import sends them again.

use super::command_of;
use crate::proto;

/// The request that would record this commit again. It says what the daemon would otherwise fill in:
/// when it happened, at which revision, and that a correction corrects. None for a commit without
/// events or with one that has no kind, which are never recorded.
#[must_use]
pub fn request_of(commit: &proto::Commit) -> Option<proto::ExecuteRequest> {
    let first = commit.events.first()?;
    Some(proto::ExecuteRequest {
        plan_id: commit.plan_id.clone(),
        request_id: commit.request_id.clone(),
        expected_revision: Some(commit.first_revision.saturating_sub(1)),
        occurred_at: first.occurred_at,
        occurred_precision: first.occurred_precision,
        actor: commit.on_behalf_of.clone(),
        because: shared_causes(&commit.events),
        source: first.source.clone(),
        commands: commit
            .events
            .iter()
            .map(command_of)
            .collect::<Option<_>>()?,
        validate_only: false,
    })
}

/// The causes that all events of a commit share: what else one of them holds, the daemon added.
fn shared_causes(events: &[proto::Event]) -> Vec<proto::Cause> {
    let Some((first, others)) = events.split_first() else {
        return Vec::new();
    };
    first
        .because
        .iter()
        .filter(|cause| others.iter().all(|event| event.because.contains(cause)))
        .cloned()
        .collect()
}
