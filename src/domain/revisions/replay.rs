//! The history of a strategy cut into the spans in which its revisions stood, with what became of
//! its tactics in each.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::{
    domain::{
        evolve,
        history::{Moment, Recorded},
        plan::{Plan, Strategy},
        value::Id,
    },
    proto::{Failure, TacticState, event::Kind},
};

/// The span in which a revision stood.
pub(super) struct Span<'a> {
    /// The strategy as the revision made it.
    pub(super) strategy: Arc<Strategy>,
    /// The event that made it.
    pub(super) made: &'a Recorded,
    /// The event that ended it: the next revision, or the strategy's end.
    pub(super) ended: Option<&'a Recorded>,
    /// The strategy's tactics in that time, in the order in which they were added.
    pub(super) tactics: Vec<TacticTally<'a>>,
}

/// What became of a tactic in a span.
#[derive(Default)]
pub(super) struct TacticTally<'a> {
    pub(super) tactic_id: &'a str,
    /// As it was worded at the end.
    pub(super) statement: &'a str,
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
pub(super) fn spans<'a>(moment: &'a Moment, strategy_id: &'a Id) -> Vec<Span<'a>> {
    let mut replay = Replay {
        strategy_id,
        plan: Plan::unborn(moment.plan.plan_id.clone()),
        tactics: Vec::new(),
        places: HashMap::new(),
        spans: Vec::new(),
        open: None,
    };
    for recorded in moment.events.iter() {
        if let Some(kind) = &recorded.event.kind {
            replay.step(recorded, kind);
        }
    }
    replay.close(None);
    replay.spans
}

struct Replay<'a> {
    strategy_id: &'a Id,
    /// The strategies so far. What else a plan has is left out of it: no revision depends on it.
    plan: Plan,
    /// The tactics so far, in the order in which they were added.
    tactics: Vec<Followed<'a>>,
    /// Where in `tactics` each is.
    places: HashMap<&'a str, usize>,
    spans: Vec<Span<'a>>,
    open: Option<Open<'a>>,
}

/// The span that was not ended yet.
struct Open<'a> {
    strategy: Arc<Strategy>,
    made: &'a Recorded,
    /// By the places of the tactics.
    tactics: BTreeMap<usize, TacticTally<'a>>,
}

/// A tactic that is followed along the events, as far as a tally tells of it.
struct Followed<'a> {
    tactic_id: &'a str,
    statement: &'a str,
    /// Empty: under none.
    strategy_id: &'a str,
    is_retired: bool,
    /// The numbers of its attempts, and where each stands.
    attempts: Vec<(u32, TacticState)>,
}

impl<'a> Replay<'a> {
    fn step(&mut self, recorded: &'a Recorded, kind: &'a Kind) {
        // What the end of a span does is no part of it.
        if ends(kind, self.strategy_id) {
            self.close(Some(recorded));
        }
        if made(kind).or_else(|| ended(kind)).is_some() {
            evolve::evolve(&mut self.plan, &recorded.event);
            self.retire_with(kind);
        }
        if makes(kind, self.strategy_id) {
            self.open(recorded);
        } else if let Some(tactic_id) = tactic_of(kind)
            && let Some(place) = self.follow(tactic_id, kind)
        {
            self.tally(place, recorded.event.revision, kind);
        }
    }

    /// Retires the tactics that a revision of a strategy retires.
    fn retire_with(&mut self, kind: &Kind) {
        let Kind::StrategyRevised(it) = kind else {
            return;
        };
        if !self.plan.strategies.contains_key(it.strategy_id.as_str()) {
            return;
        }
        for tactic_id in &it.retire_tactic_ids {
            let place = self.places.get(tactic_id.as_str());
            if let Some(tactic) = place.and_then(|place| self.tactics.get_mut(*place)) {
                tactic.is_retired = true;
            }
        }
    }

    /// Lets an event have its effect on its tactic, and says where that is.
    fn follow(&mut self, tactic_id: &'a str, kind: &'a Kind) -> Option<usize> {
        let place = match self.places.entry(tactic_id) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(vacant) => {
                self.tactics.push(Followed::added(kind)?);
                *vacant.insert(self.tactics.len() - 1)
            }
        };
        self.tactics.get_mut(place)?.evolve(kind);
        Some(place)
    }

    fn open(&mut self, made: &'a Recorded) {
        let Some(strategy) = self.plan.strategies.get(self.strategy_id) else {
            return;
        };
        let tactics = self.tactics.iter().enumerate();
        let options = tactics
            .filter(|(_, tactic)| !tactic.is_retired && *tactic.strategy_id == **self.strategy_id);
        let tallies = options.map(|(place, _)| (place, TacticTally::default()));
        self.open = Some(Open {
            strategy: strategy.clone(),
            made,
            tactics: tallies.collect(),
        });
    }

    fn close(&mut self, ended: Option<&'a Recorded>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let told = |(place, tally): (usize, TacticTally<'a>)| {
            let tactic = self.tactics.get(place)?;
            Some(TacticTally {
                tactic_id: tactic.tactic_id,
                statement: tactic.statement,
                state: tactic.state(),
                ..tally
            })
        };
        let tactics = open.tactics.into_iter().filter_map(told).collect();
        self.spans.push(Span {
            strategy: open.strategy,
            made: open.made,
            ended,
            tactics,
        });
    }

    /// Counts what an event means for a tactic, if that is one of the strategy's.
    fn tally(&mut self, place: usize, revision: u64, kind: &Kind) {
        let (Some(open), Some(tactic)) = (&mut self.open, self.tactics.get(place)) else {
            return;
        };
        if *tactic.strategy_id != **self.strategy_id {
            return;
        }
        let tally = open.tactics.entry(place).or_default();
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

impl<'a> Followed<'a> {
    /// The tactic that an event adds.
    fn added(kind: &'a Kind) -> Option<Self> {
        let Kind::TacticAdded(it) = kind else {
            return None;
        };
        Some(Self {
            tactic_id: &it.tactic_id,
            statement: &it.statement,
            strategy_id: &it.strategy_id,
            is_retired: false,
            attempts: Vec::new(),
        })
    }

    fn evolve(&mut self, kind: &'a Kind) {
        if let Kind::TacticReworded(it) = kind {
            self.statement = &it.statement;
        } else if let Kind::TacticRegrouped(it) = kind {
            self.strategy_id = &it.strategy_id;
        } else if let Kind::TacticRetired(_) = kind {
            self.is_retired = true;
        } else if let Kind::TacticTried(it) = kind {
            self.attempts.push((it.attempt, TacticState::Open));
        } else if let Kind::TacticSucceeded(it) = kind {
            self.end(it.attempt, TacticState::Succeeded);
        } else if let Kind::TacticFailed(it) = kind {
            self.end(it.attempt, TacticState::Failed);
        } else if let Kind::TacticStopped(it) = kind {
            self.end(it.attempt, TacticState::Stopped);
        }
    }

    fn end(&mut self, number: u32, state: TacticState) {
        let mut latest_first = self.attempts.iter_mut().rev();
        if let Some((_, standing)) = latest_first.find(|(attempt, _)| *attempt == number) {
            *standing = state;
        }
    }

    fn state(&self) -> TacticState {
        if self.is_retired {
            return TacticState::Retired;
        }
        let last = self.attempts.last();
        last.map_or(TacticState::Untried, |(_, state)| *state)
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
