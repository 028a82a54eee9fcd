//! How one strategy evolved: each of its revisions with what it said, why it was made, and what
//! became of it and of its tactics while it stood. A revision stands from the event that made it
//! to the next one or to the strategy's end, in the order of recording.

use std::cell::OnceCell;

use foldhash::{HashMap, HashMapExt as _};

use super::{
    explain::{Other, known::Known},
    history::{Moment, Recorded},
    plan::Strategy,
    show,
    value::{Id, Time},
};
use crate::proto::{self, CitedEvent, EventReference, event::Kind};

mod changes;
mod replay;
#[cfg(test)]
mod tests;

use replay::{Span, TacticTally};

/// How many events that ended attempts are named with one revision, at most: they are counted all
/// the same.
const OUTCOMES_MAX: usize = 1_000;

const NANOS_A_SECOND: i128 = 1_000_000_000;

/// The revisions of a strategy, as they are known at a moment.
pub struct Evolution<'a> {
    moment: &'a Moment,
    /// What is known of the plan's events, once something asks for it.
    known: OnceCell<Known>,
    spans: Vec<Span<'a>>,
    proposals: Vec<proto::Proposal>,
}

/// How one strategy evolved up to a moment. Nothing if the plan has no such strategy then.
#[must_use]
pub fn evolution<'a>(moment: &'a Moment, strategy_id: &str) -> Option<Evolution<'a>> {
    let strategy = moment.plan.strategies.get(strategy_id)?;
    Some(Evolution {
        moment,
        known: OnceCell::new(),
        spans: replay::spans(moment, &strategy.strategy_id),
        proposals: show::proposals(&moment.plan, &strategy.strategy_id),
    })
}

impl Evolution<'_> {
    /// How many revisions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// The revision of a number, counted from 0. `history` gives the events of other plans.
    pub fn revision<E>(
        &self,
        number: usize,
        history: impl Fn(&str) -> Result<Other, E>,
    ) -> Result<Option<proto::StrategyRevision>, E> {
        let Some(span) = self.spans.get(number) else {
            return Ok(None);
        };
        let before = number
            .checked_sub(1)
            .and_then(|before| self.spans.get(before));
        let because = self.because(span.made, history)?;
        let mut shown = self.said(span);
        self.tell_what_became_of_it(&mut shown, span);
        shown.because = because;
        if let Some(before) = before {
            shown.changes = changes::between(&before.strategy.choice, &span.strategy.choice);
        }
        Ok(Some(shown))
    }

    /// What a revision said, and what was recorded with it.
    fn said(&self, span: &Span<'_>) -> proto::StrategyRevision {
        let (made, strategy) = (span.made, &span.strategy);
        let Strategy { choice, reason, .. } = strategy.as_ref();
        let texts = |ids: &[Id]| ids.iter().map(Id::to_string).collect();
        let mut shown = proto::StrategyRevision {
            revision: strategy.revision,
            made_by: Some(self.reference(made)),
            position: made.position,
            recorded_at: Some(made.recorded_at.into()),
            occurred_at: Some(made.occurred_at().into()),
            occurred_precision: made.event.occurred_precision,
            actor: made.actor.to_string(),
            on_behalf_of: made.on_behalf_of.to_string(),
            intent: choice.intent.clone(),
            diagnosis: choice.diagnosis.clone(),
            will: choice.will.clone(),
            will_not: choice.will_not.clone(),
            assumption_ids: texts(&choice.assumption_ids),
            indicator_ids: texts(&choice.indicator_ids),
            reason: reason.clone(),
            unprompted: strategy.unprompted,
            ..proto::StrategyRevision::default()
        };
        if let Some(Kind::StrategyRevised(revised)) = &made.event.kind {
            shown
                .options_considered
                .clone_from(&revised.options_considered);
            shown
                .retired_tactic_ids
                .clone_from(&revised.retire_tactic_ids);
            shown.accepted_proposal_id.clone_from(&revised.proposal_id);
        } else if let Some(Kind::StrategyBranched(branched)) = &made.event.kind {
            shown.branched_from.clone_from(&branched.from_strategy_id);
        }
        shown
    }

    fn tell_what_became_of_it(&self, shown: &mut proto::StrategyRevision, span: &Span<'_>) {
        let (begun, ended) = (span.made, span.ended);
        let is_within = |revision: u64| {
            revision > begun.event.revision
                && ended.is_none_or(|ended| revision <= ended.event.revision)
        };
        let proposals = self.proposals.iter();
        shown.proposals = proposals
            .filter(|proposal| is_within(proposal.revision))
            .cloned()
            .collect();
        shown.tactics = self.tactics(span);
        shown.ended_by = ended.map(|ended| self.reference(ended));
        shown.stood_until = ended.map(|ended| ended.occurred_at().into());
        let until = ended.map_or(self.moment.now, Recorded::occurred_at);
        shown.stood_for = Some(duration(begun.occurred_at(), until));
    }

    fn tactics(&self, span: &Span<'_>) -> Vec<proto::TacticRecord> {
        let outcomes = span.tactics.iter().flat_map(|tally| &tally.outcomes);
        let mut outcomes: Vec<u64> = outcomes.copied().collect();
        outcomes.sort_unstable();
        let left_out = outcomes.len().saturating_sub(OUTCOMES_MAX);
        let first = outcomes.get(left_out).copied().unwrap_or_default();
        let named = |tally: &TacticTally<'_>| {
            let outcomes = tally.outcomes.iter().copied();
            let outcomes = outcomes.filter(|revision| *revision >= first);
            self.moment.references(outcomes)
        };
        let record = |tally: &TacticTally<'_>| proto::TacticRecord {
            tactic_id: tally.tactic_id.to_owned(),
            statement: tally.statement.to_owned(),
            state: tally.state.into(),
            attempts: tally.attempts,
            successes: tally.successes,
            effect_failures: tally.effect_failures,
            precondition_failures: tally.precondition_failures,
            stops: tally.stops,
            outcomes: named(tally),
        };
        span.tactics.iter().map(record).collect()
    }

    fn reference(&self, recorded: &Recorded) -> EventReference {
        recorded.reference(&self.moment.plan.plan_id)
    }

    /// The events that an event says it is because of, as they hold.
    fn because<E>(
        &self,
        made: &Recorded,
        history: impl Fn(&str) -> Result<Other, E>,
    ) -> Result<Vec<CitedEvent>, E> {
        let own = &self.moment.plan.plan_id;
        let mut others: HashMap<&str, Cited> = HashMap::new();
        let mut cited = Vec::new();
        for cause in &made.event.because {
            let is_own = cause.plan_id.is_empty() || cause.plan_id == **own;
            if !is_own && !others.contains_key(cause.plan_id.as_str()) {
                let cited = match history(&cause.plan_id)? {
                    Other::Absent => Cited::Absent,
                    Other::Hidden => Cited::Hidden,
                    Other::Told(history) => {
                        Cited::Known(Known::up_to(history, self.moment.position))
                    }
                };
                others.insert(&cause.plan_id, cited);
            }
            let reference = |known: &Known| {
                let seen = known.event(cause.revision)?;
                Some(seen.reference(known.plan_id()))
            };
            let event = if is_own {
                reference(self.known.get_or_init(|| Known::of(self.moment)))
            } else {
                match others.get(cause.plan_id.as_str()) {
                    Some(Cited::Known(known)) => reference(known),
                    Some(Cited::Hidden) => Some(EventReference {
                        plan_id: cause.plan_id.clone(),
                        revision: cause.revision,
                        ..EventReference::default()
                    }),
                    Some(Cited::Absent) | None => None,
                }
            };
            cited.extend(event.map(|event| CitedEvent {
                event: Some(event),
                role: cause.role,
            }));
        }
        Ok(cited)
    }
}

/// Another plan of which an event is cited.
enum Cited {
    Absent,
    Hidden,
    Known(Known),
}

/// The time between two points; nothing if the second is not later.
fn duration(from: Time, to: Time) -> prost_types::Duration {
    let nanos_of = |time: Time| i128::from(time.seconds) * NANOS_A_SECOND + i128::from(time.nanos);
    let nanos = (nanos_of(to) - nanos_of(from)).max(0);
    prost_types::Duration {
        seconds: i64::try_from(nanos / NANOS_A_SECOND).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos % NANOS_A_SECOND).unwrap_or_default(),
    }
}
