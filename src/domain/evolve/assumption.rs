//! What events make of the assumptions and of the evidence about them.

use std::sync::Arc;

use super::Stamp;
use crate::{
    domain::plan::{Assumption, AssumptionState, Evidence, Plan},
    proto,
};

pub(super) fn stated(plan: &mut Plan, stated: &proto::AssumptionStated, at: Stamp) {
    let assumption_id = stated.assumption_id.as_str().into();
    plan.assumptions
        .entry(assumption_id)
        .or_insert_with_key(|id| {
            Arc::new(Assumption {
                assumption_id: id.clone(),
                statement: stated.statement.clone(),
                kind: stated.kind,
                load_bearing: stated.load_bearing,
                vulnerable: stated.vulnerable,
                signpost: stated.signpost.clone(),
                state: AssumptionState::Stated,
                evidence_ids: Vec::new(),
                stated_revision: at.revision,
            })
        });
}

pub(super) fn evidenced(plan: &mut Plan, recorded: &proto::EvidenceRecorded, at: Stamp) {
    let evidence_id = recorded.evidence_id.as_str();
    let Some(assumption) = plan.assumptions.get_mut(recorded.assumption_id.as_str()) else {
        return;
    };
    if plan.evidence.contains_key(evidence_id) {
        return;
    }
    let evidence = Evidence {
        evidence_id: evidence_id.into(),
        assumption_id: assumption.assumption_id.clone(),
        verdict: recorded.verdict,
        strength: recorded.strength,
        summary: recorded.summary.clone(),
        uri: recorded.uri.clone(),
        revision: at.revision,
    };
    Arc::make_mut(assumption)
        .evidence_ids
        .push(evidence.evidence_id.clone());
    plan.evidence
        .insert(evidence.evidence_id.clone(), Arc::new(evidence));
}

pub(super) fn supported(plan: &mut Plan, supported: &proto::AssumptionSupported, at: Stamp) {
    conclude(
        plan,
        &supported.assumption_id,
        AssumptionState::Supported(at.revision),
    );
}

pub(super) fn refuted(plan: &mut Plan, refuted: &proto::AssumptionRefuted, at: Stamp) {
    conclude(
        plan,
        &refuted.assumption_id,
        AssumptionState::Refuted(at.revision),
    );
}

pub(super) fn reopened(plan: &mut Plan, reopened: &proto::AssumptionReopened) {
    conclude(plan, &reopened.assumption_id, AssumptionState::Stated);
}

fn conclude(plan: &mut Plan, assumption_id: &str, state: AssumptionState) {
    if let Some(assumption) = plan.assumptions.get_mut(assumption_id) {
        Arc::make_mut(assumption).state = state;
    }
}
