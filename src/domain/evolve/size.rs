//! An upper bound of the size of a plan's view, kept event by event. Encoding the view at each event
//! would cost more than everything else; what an event can add to it is known from the event.

use prost::Message as _;

use crate::{
    domain::{
        plan::{Choice, Plan},
        show,
    },
    proto::{Event, event::Kind},
};

/// When the bound passes this, the view is measured and the bound starts from there: what was
/// replaced or retracted no longer counts. It is the size at which a plan takes nothing more.
pub(in crate::domain) const MEASURED_ABOVE_BYTES: usize = 3 * 1024 * 1024;

/// What an event can add to the view beyond its own bytes: tags, lengths, states, counts, two times
/// and three revisions.
const OVERHEAD_BYTES: usize = 160;

/// What a text or number can add beyond its bytes: its tag, and lengths that grow with it.
const FIELD_BYTES: usize = 8;

/// Counts what every plan shows.
pub(super) fn begin(plan: &mut Plan) {
    let own_bytes = plan.plan_id.len().saturating_add(OVERHEAD_BYTES);
    plan.size_bound_bytes = plan.size_bound_bytes.saturating_add(own_bytes);
}

/// What the event adds to the view of this plan at most, in bytes.
pub(super) fn growth_bound_bytes(plan: &Plan, event: &Event, kind: &Kind) -> usize {
    if is_unseen(kind) {
        return 0;
    }
    event
        .encoded_len()
        .saturating_add(OVERHEAD_BYTES)
        .saturating_add(copied_bytes(plan, kind))
}

/// Adds to the bound, and replaces it by the true size when it has grown too large to be useful.
pub(super) fn grow(plan: &mut Plan, growth_bytes: usize) {
    if growth_bytes == 0 {
        return;
    }
    plan.size_bound_bytes = plan.size_bound_bytes.saturating_add(growth_bytes);
    if plan.size_bound_bytes > MEASURED_ABOVE_BYTES {
        // What is unseen may still lengthen the counts.
        plan.size_bound_bytes = show::encoded_size_bytes(plan).saturating_add(OVERHEAD_BYTES);
    }
}

/// Whether the view shows nothing of such an event but that there is one more.
fn is_unseen(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::NoteRecorded(_) | Kind::EventCorrected(_) | Kind::EventRetracted(_)
    )
}

/// What the view repeats of the event, or of what was there before it.
fn copied_bytes(plan: &Plan, kind: &Kind) -> usize {
    if let Kind::StrategyBranched(branched) = kind {
        plan.strategies
            .get(branched.from_strategy_id.as_str())
            .map_or(0, |origin| choice_bytes(&origin.choice))
    } else if let Kind::StrategyRevised(revised) = kind {
        revised.retire_tactic_ids.len() * (revised.reason.len() + FIELD_BYTES)
    } else if let Kind::IndicatorReplaced(replaced) = kind {
        replaced.indicator_id.len()
    } else if let Kind::TacticsRanked(ranked) = kind {
        ranked.tactic_ids.len() * FIELD_BYTES
    } else {
        0
    }
}

fn choice_bytes(choice: &Choice) -> usize {
    let texts = choice.will.iter().chain(&choice.will_not);
    let ids = choice.assumption_ids.iter().chain(&choice.indicator_ids);
    texts
        .map(String::len)
        .chain(ids.map(|id| id.len()))
        .chain([choice.diagnosis.len()])
        .map(|text_bytes| text_bytes + FIELD_BYTES)
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{
            arbitrary,
            evolve::{evolve, fold},
            given,
        },
        proto,
    };

    fn noted_measurement(note_bytes: usize) -> Kind {
        Kind::MeasurementRecorded(proto::MeasurementRecorded {
            indicator_id: "replies".into(),
            value: Some(1.0),
            note: "x".repeat(note_bytes),
            ..proto::MeasurementRecorded::default()
        })
    }

    #[test]
    fn notes_and_amendments_cost_a_plan_nothing() {
        let note = Kind::NoteRecorded(proto::NoteRecorded {
            subject: "plan".into(),
            text: "x".repeat(8_000),
        });
        let without = given::plan([given::created()]).size_bound_bytes;
        let with = given::plan([
            given::created(),
            note,
            given::corrected(1, given::created()),
        ]);
        assert_eq!(with.size_bound_bytes, without);
    }

    #[test]
    fn a_bound_that_has_run_away_is_measured_anew() {
        let first = [given::created(), given::indicator("replies")];
        let many = std::iter::repeat_n(noted_measurement(8_000), 400);
        let plan = given::plan(first.into_iter().chain(many));
        assert!(show::encoded_size_bytes(&plan) < 20_000);
        assert!(plan.size_bound_bytes < 400_000);
        assert!(plan.size_bound_bytes >= show::encoded_size_bytes(&plan));
    }

    #[test]
    fn what_a_branch_and_a_revision_repeat_is_counted() {
        let strategy = Kind::StrategyAdopted(proto::StrategyAdopted {
            strategy_id: "s".into(),
            will: vec!["x".repeat(2_000); 20],
            ..proto::StrategyAdopted::default()
        });
        let branches = (0..10).map(|number| {
            Kind::StrategyBranched(proto::StrategyBranched {
                from_strategy_id: "s".into(),
                strategy_id: format!("s{number}"),
                ..proto::StrategyBranched::default()
            })
        });
        let tactics = (0..64).map(|number| given::tactic(&format!("t{number}"), "s"));
        let revision = Kind::StrategyRevised(proto::StrategyRevised {
            strategy_id: "s".into(),
            reason: "x".repeat(2_000),
            retire_tactic_ids: (0..64).map(|number| format!("t{number}")).collect(),
            ..proto::StrategyRevised::default()
        });
        let kinds = [given::created(), strategy];
        let kinds = kinds.into_iter().chain(branches).chain(tactics);
        let plan = given::plan(kinds.chain([revision]));
        let true_bytes = show::encoded_size_bytes(&plan);
        assert!(true_bytes > 10 * 40_000 + 64 * 2_000);
        assert!(plan.size_bound_bytes >= true_bytes);
    }

    proptest! {
        #[test]
        fn the_bound_is_never_below_the_true_size(history in arbitrary::history(80)) {
            let mut plan = Plan::unborn("growth".into());
            for event in &history {
                evolve(&mut plan, event);
                prop_assert!(plan.size_bound_bytes >= show::encoded_size_bytes(&plan));
            }
            let folded = fold("growth".into(), &history);
            prop_assert!(folded.size_bound_bytes >= show::encoded_size_bytes(&folded));
        }
    }
}
