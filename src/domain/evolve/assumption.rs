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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::given, proto::event::Kind};

    fn evidence(evidence_id: &str) -> Kind {
        Kind::EvidenceRecorded(proto::EvidenceRecorded {
            evidence_id: evidence_id.into(),
            assumption_id: "a".into(),
            verdict: proto::Verdict::Refutes.into(),
            strength: proto::Strength::Strong.into(),
            summary: "Nobody does".into(),
            uri: "https://example.org".into(),
        })
    }

    fn refuting() -> Kind {
        Kind::AssumptionRefuted(proto::AssumptionRefuted {
            assumption_id: "a".into(),
        })
    }

    fn state(kinds: impl IntoIterator<Item = Kind>) -> AssumptionState {
        let first = [given::created(), given::assumption("a", true)];
        given::plan(first.into_iter().chain(kinds)).assumptions["a"].state
    }

    #[test]
    fn a_stated_assumption_is_kept_as_stated() {
        let stated = Kind::AssumptionStated(proto::AssumptionStated {
            assumption_id: "a".into(),
            statement: "Buyers read mail".into(),
            kind: proto::AssumptionKind::Necessary.into(),
            load_bearing: true,
            vulnerable: true,
            signpost: "Mail comes back".into(),
        });
        let plan = given::plan([given::created(), stated]);
        let expected = Assumption {
            assumption_id: "a".into(),
            statement: "Buyers read mail".into(),
            kind: proto::AssumptionKind::Necessary.into(),
            load_bearing: true,
            vulnerable: true,
            signpost: "Mail comes back".into(),
            state: AssumptionState::Stated,
            evidence_ids: Vec::new(),
            stated_revision: 2,
        };
        assert_eq!(*plan.assumptions["a"], expected);
    }

    #[test]
    fn evidence_is_listed_in_order_of_recording() {
        let plan = given::plan([
            given::created(),
            given::assumption("a", true),
            evidence("z"),
            evidence("b"),
        ]);
        let ids: Vec<_> = plan.assumptions["a"].evidence_ids.iter().collect();
        assert_eq!(ids, [&"z".into(), &"b".into()]);
        assert_eq!(plan.evidence["b"].summary, "Nobody does");
        assert_eq!(plan.evidence["b"].revision, 4);
    }

    #[test]
    fn evidence_about_nothing_is_passed_over() {
        assert!(
            given::plan([given::created(), evidence("e")])
                .evidence
                .is_empty()
        );
    }

    #[test]
    fn a_conclusion_names_its_event() {
        let supporting = Kind::AssumptionSupported(proto::AssumptionSupported {
            assumption_id: "a".into(),
        });
        assert_eq!(state([supporting]), AssumptionState::Supported(3));
        assert_eq!(state([refuting()]), AssumptionState::Refuted(3));
    }

    #[test]
    fn a_reopened_assumption_is_not_concluded() {
        let reopening = Kind::AssumptionReopened(proto::AssumptionReopened {
            assumption_id: "a".into(),
            ..proto::AssumptionReopened::default()
        });
        assert_eq!(state([refuting(), reopening]), AssumptionState::Stated);
    }
}
