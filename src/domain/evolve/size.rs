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
const MEASURED_ABOVE_BYTES: usize = 3 * 1024 * 1024;

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
