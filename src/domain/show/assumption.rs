//! The views of assumptions and of the evidence about them.

use super::{Detail, in_order};
use crate::{
    domain::plan::{Assumption, AssumptionState, Evidence, Plan},
    proto,
};

pub(super) fn all(plan: &Plan, detail: Detail) -> Vec<proto::Assumption> {
    let assumptions = in_order(&plan.assumptions, |it| it.stated_revision);
    let shown = assumptions.map(|assumption| show(plan, assumption, detail));
    shown.collect()
}

fn show(plan: &Plan, assumption: &Assumption, detail: Detail) -> proto::Assumption {
    let (state, concluded_revision) = match assumption.state {
        AssumptionState::Stated => (proto::AssumptionState::Stated, 0),
        AssumptionState::Supported(revision) => (proto::AssumptionState::Supported, revision),
        AssumptionState::Refuted(revision) => (proto::AssumptionState::Refuted, revision),
    };
    proto::Assumption {
        assumption_id: assumption.assumption_id.to_string(),
        statement: assumption.statement.clone(),
        kind: assumption.kind,
        load_bearing: assumption.load_bearing,
        vulnerable: assumption.vulnerable,
        signpost: assumption.signpost.clone(),
        state: state.into(),
        evidence: match detail {
            Detail::Full => evidence_about(plan, assumption),
            Detail::Basic => Vec::new(),
        },
        evidence_count: u32::try_from(assumption.evidence_ids.len()).unwrap_or(u32::MAX),
        stated_revision: assumption.stated_revision,
        concluded_revision,
    }
}

fn evidence_about(plan: &Plan, assumption: &Assumption) -> Vec<proto::Evidence> {
    let ids = assumption.evidence_ids.iter();
    ids.filter_map(|id| plan.evidence.get(id))
        .map(|evidence| show_evidence(evidence))
        .collect()
}

fn show_evidence(evidence: &Evidence) -> proto::Evidence {
    proto::Evidence {
        evidence_id: evidence.evidence_id.to_string(),
        verdict: evidence.verdict,
        strength: evidence.strength,
        summary: evidence.summary.clone(),
        uri: evidence.uri.clone(),
        revision: evidence.revision,
    }
}
