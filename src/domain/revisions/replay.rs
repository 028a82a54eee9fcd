//! The history of a strategy cut into the spans in which its revisions stood, with what became of
//! its tactics in each.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{
        evolve,
        history::{Moment, Recorded},
        plan::{Plan, Strategy, Tactic},
        value::Id,
    },
    proto::{Failure, TacticState, event::Kind},
};

/// The span in which a revision stood.
pub(super) struct Span {
    /// The strategy as the revision made it.
    pub(super) strategy: Arc<Strategy>,
    /// The event that made it.
    pub(super) made: Arc<Recorded>,
    /// The event that ended it: the next revision, or the strategy's end.
    pub(super) ended: Option<Arc<Recorded>>,
    /// The strategy's tactics in that time, in the order in which they were added.
    pub(super) tactics: Vec<TacticTally>,
}

/// What became of a tactic in a span.
#[derive(Default)]
pub(super) struct TacticTally {
    pub(super) tactic_id: String,
    /// As it was worded at the end.
    pub(super) statement: String,
    /// Where it stood at the end.
    pub(super) state: TacticState,
    pub(super) attempts: u32,
    pub(super) successes: u32,
    pub(super) effect_failures: u32,
    pub(super) precondition_failures: u32,
    pub(super) stops: u32,
    /// The revisions of the events that ended attempts.
    pub(super) outcomes: Vec<u64>,
}

/// The spans of a strategy's revisions, in order.
pub(super) fn spans(moment: &Moment, strategy_id: &Id) -> Vec<Span> {
    let mut replay = Replay {
        strategy_id,
        plan: Plan::unborn(moment.plan.plan_id.clone()),
        spans: Vec::new(),
        open: None,
    };
    for recorded in &moment.events {
        if let Some(kind) = &recorded.event.kind
            && matters(kind)
        {
            replay.step(recorded, kind);
        }
    }
    replay.close(None);
    replay.spans
}

struct Replay<'a> {
    strategy_id: &'a Id,
    plan: Plan,
    spans: Vec<Span>,
    open: Option<Open>,
}

/// The span that was not ended yet.
struct Open {
    strategy: Arc<Strategy>,
    made: Arc<Recorded>,
    tactics: BTreeMap<Id, TacticTally>,
}

impl Replay<'_> {
    fn step(&mut self, recorded: &Arc<Recorded>, kind: &Kind) {
        // What the end of a span does is no part of it.
        if ends(kind, self.strategy_id) {
            self.close(Some(recorded));
        }
        evolve::evolve(&mut self.plan, &recorded.event);
        if makes(kind, self.strategy_id) {
            self.open(recorded);
        } else if let Some(tactic_id) = tactic_of(kind) {
            self.tally(tactic_id, recorded.event.revision, kind);
        }
    }

    fn open(&mut self, made: &Arc<Recorded>) {
        let Some(strategy) = self.plan.strategies.get(self.strategy_id) else {
            return;
        };
        let is_option = |tactic: &&Arc<Tactic>| {
            tactic.retired.is_none() && tactic.strategy_id.as_ref() == Some(self.strategy_id)
        };
        let options = self.plan.tactics.values().filter(is_option);
        let tactics = options.map(|tactic| (tactic.tactic_id.clone(), TacticTally::default()));
        self.open = Some(Open {
            strategy: strategy.clone(),
            made: made.clone(),
            tactics: tactics.collect(),
        });
    }

    fn close(&mut self, ended: Option<&Arc<Recorded>>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let mut tactics = Vec::new();
        for (tactic_id, mut tally) in open.tactics {
            let Some(tactic) = self.plan.tactics.get(&tactic_id) else {
                continue;
            };
            tally.tactic_id = tactic_id.to_string();
            tally.statement.clone_from(&tactic.statement);
            tally.state = tactic.state();
            tactics.push((tactic.added_revision, tally));
        }
        tactics.sort_by_key(|(added_revision, _)| *added_revision);
        self.spans.push(Span {
            strategy: open.strategy,
            made: open.made,
            ended: ended.cloned(),
            tactics: tactics.into_iter().map(|(_, tally)| tally).collect(),
        });
    }

    /// Counts what an event means for a tactic, if that is one of the strategy's.
    fn tally(&mut self, tactic_id: &str, revision: u64, kind: &Kind) {
        let (Some(open), Some(tactic)) = (&mut self.open, self.plan.tactics.get(tactic_id)) else {
            return;
        };
        if tactic.strategy_id.as_ref() != Some(self.strategy_id) {
            return;
        }
        let tally = open.tactics.entry(tactic.tactic_id.clone()).or_default();
        let counted = match outcome(kind) {
            Some(Outcome::Tried) => {
                tally.attempts += 1;
                return;
            }
            Some(Outcome::Succeeded) => &mut tally.successes,
            Some(Outcome::Failed(Failure::Precondition)) => &mut tally.precondition_failures,
            Some(Outcome::Failed(Failure::Effect)) => &mut tally.effect_failures,
            Some(Outcome::Stopped) => &mut tally.stops,
            // In which way it failed was not said, or another version knows it.
            Some(Outcome::Failed(Failure::Unspecified)) | None => return,
        };
        *counted += 1;
        tally.outcomes.push(revision);
    }
}

/// What an event means for an attempt.
enum Outcome {
    Tried,
    Succeeded,
    Failed(Failure),
    Stopped,
}

fn outcome(kind: &Kind) -> Option<Outcome> {
    if let Kind::TacticTried(_) = kind {
        return Some(Outcome::Tried);
    }
    if let Kind::TacticSucceeded(_) = kind {
        return Some(Outcome::Succeeded);
    }
    if let Kind::TacticStopped(_) = kind {
        return Some(Outcome::Stopped);
    }
    if let Kind::TacticFailed(failed) = kind {
        return Some(Outcome::Failed(failed.failure()));
    }
    None
}

/// Whether strategies or tactics depend on events of this kind.
fn matters(kind: &Kind) -> bool {
    made(kind).or_else(|| ended(kind)).is_some() || tactic_of(kind).is_some()
}

/// The tactic that an event is about.
fn tactic_of(kind: &Kind) -> Option<&str> {
    Some(match kind {
        Kind::TacticAdded(it) => &it.tactic_id,
        Kind::TacticReworded(it) => &it.tactic_id,
        Kind::TacticRegrouped(it) => &it.tactic_id,
        Kind::TacticRetired(it) => &it.tactic_id,
        Kind::TacticTried(it) => &it.tactic_id,
        Kind::TacticFailed(it) => &it.tactic_id,
        Kind::TacticSucceeded(it) => &it.tactic_id,
        Kind::TacticStopped(it) => &it.tactic_id,
        Kind::PlanCreated(_)
        | Kind::PlanDescribed(_)
        | Kind::PlanArchived(_)
        | Kind::PlanReopened(_)
        | Kind::ObjectiveSet(_)
        | Kind::ObjectiveRefined(_)
        | Kind::ObjectiveMet(_)
        | Kind::IndicatorDefined(_)
        | Kind::IndicatorReplaced(_)
        | Kind::IndicatorRetired(_)
        | Kind::MeasurementRecorded(_)
        | Kind::AssumptionStated(_)
        | Kind::EvidenceRecorded(_)
        | Kind::AssumptionSupported(_)
        | Kind::AssumptionRefuted(_)
        | Kind::AssumptionReopened(_)
        | Kind::StrategyAdopted(_)
        | Kind::StrategyRevised(_)
        | Kind::RevisionProposed(_)
        | Kind::RevisionDeclined(_)
        | Kind::StrategyBranched(_)
        | Kind::StrategySuperseded(_)
        | Kind::StrategyAbandoned(_)
        | Kind::StrategyFulfilled(_)
        | Kind::TacticsRanked(_)
        | Kind::CommitmentMade(_)
        | Kind::CommitmentReassigned(_)
        | Kind::CommitmentReleased(_)
        | Kind::DeadlineMoved(_)
        | Kind::CommitmentKept(_)
        | Kind::DeadlineMissed(_)
        | Kind::EventCorrected(_)
        | Kind::EventRetracted(_)
        | Kind::FindingAcknowledged(_)
        | Kind::NoteRecorded(_) => return None,
    })
}

/// Whether an event made a revision of the strategy.
fn makes(kind: &Kind, strategy_id: &Id) -> bool {
    made(kind).is_some_and(|made| *made == **strategy_id)
}

/// Whether an event ended what stood of the strategy.
fn ends(kind: &Kind, strategy_id: &Id) -> bool {
    ended(kind).is_some_and(|ended| *ended == **strategy_id)
}

/// The strategy of which an event made a revision.
fn made(kind: &Kind) -> Option<&str> {
    if let Kind::StrategyAdopted(it) = kind {
        return Some(&it.strategy_id);
    }
    if let Kind::StrategyBranched(it) = kind {
        return Some(&it.strategy_id);
    }
    revised(kind)
}

/// The strategy of which an event ended a revision.
fn ended(kind: &Kind) -> Option<&str> {
    if let Kind::StrategySuperseded(it) = kind {
        return Some(&it.strategy_id);
    }
    if let Kind::StrategyAbandoned(it) = kind {
        return Some(&it.strategy_id);
    }
    if let Kind::StrategyFulfilled(it) = kind {
        return Some(&it.strategy_id);
    }
    revised(kind)
}

fn revised(kind: &Kind) -> Option<&str> {
    if let Kind::StrategyRevised(it) = kind {
        return Some(&it.strategy_id);
    }
    None
}
