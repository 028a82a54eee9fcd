//! One walk along the events of a plan, for what its state does not keep: what a tactic was when it
//! was tried, when a strategy lost its options, which dates were moved or missed.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use super::{is_blank, roulette::Window};
use crate::{
    domain::{history::Recorded, plan::Plan, value::Time},
    proto::{self, Failure, SuggestionVerdict, event::Kind},
};

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Trail<'a> {
    pub(super) strategies: HashMap<&'a str, StrategyTrail>,
    pub(super) tactics: HashMap<&'a str, TacticTrail<'a>>,
    pub(super) commitments: HashMap<&'a str, CommitmentTrail>,
    /// The last evidence or conclusion about each assumption.
    learned: HashMap<&'a str, u64>,
    /// The events that retired indicators.
    pub(super) retired_indicators: Vec<u64>,
    /// What was tried and failed since the strategies last changed.
    pub(super) window: Window<'a>,
    /// The events that were recorded long after they had occurred.
    pub(super) recorded_late: Vec<u64>,
}

/// What happened to a strategy.
#[derive(Debug, Default)]
pub(super) struct StrategyTrail {
    /// The event that made its head revision.
    revised: u64,
    /// Its revisions since an attempt of one of its tactics last began or ended.
    pub(super) revised_in_a_row: Vec<u64>,
    /// When it was adopted, or last lost an option.
    pub(super) short_since: Time,
    /// The events that took options from it.
    pub(super) losses: Vec<u64>,
    /// The event that ended it.
    pub(super) ended: Option<u64>,
}

/// What happened to a tactic.
#[derive(Debug, Default)]
pub(super) struct TacticTrail<'a> {
    added: u64,
    /// The event that put it where it is: under its strategy, or under none.
    pub(super) grouped: u64,
    strategy_id: Option<&'a str>,
    assumption_ids: &'a [String],
    after_tactic_ids: &'a [String],
    reworded: u64,
    is_retired: bool,
    has_succeeded: bool,
    /// The failure of its effect that nothing has made up for since.
    failed: Option<u64>,
    /// The failures after which it was tried again with nothing changed, and these tries.
    pub(super) repeats: Vec<(u64, u64)>,
    /// The tries that came before a tactic which should have succeeded first.
    pub(super) early_tries: Vec<u64>,
}

/// What happened to a commitment.
#[derive(Debug, Default)]
pub(super) struct CommitmentTrail {
    due: Option<Time>,
    /// The event that gave it to its assignee.
    pub(super) assigned: u64,
    /// The events that moved its deadline.
    pub(super) moves: Vec<u64>,
    /// The due dates that passed in silence, and a miss that was said too late: the events, and
    /// when it had been due.
    pub(super) late_misses: Vec<(u64, Time)>,
}

impl CommitmentTrail {
    /// The present date was not missed after all.
    fn was_in_time(&mut self) {
        let due = self.due;
        self.late_misses.retain(|(_, missed)| Some(*missed) != due);
    }
}

impl<'a> Trail<'a> {
    /// Walks along the events of a plan as they hold, the first one first.
    pub(super) fn of(plan: &Plan, events: &'a [Arc<Recorded>]) -> Self {
        let mut trail = Self {
            tactics: HashMap::with_capacity(plan.tactics.len()),
            commitments: HashMap::with_capacity(plan.commitments.len()),
            ..Self::default()
        };
        for recorded in events {
            if super::history::is_late(recorded) {
                trail.recorded_late.push(recorded.event.revision);
            }
            if let Some(kind) = &recorded.event.kind {
                trail.pass(kind, recorded.event.revision, recorded.occurred_at());
            }
        }
        trail
    }

    fn pass(&mut self, kind: &'a Kind, revision: u64, at: Time) {
        match kind {
            Kind::StrategyAdopted(it) => self.begun(&it.strategy_id, revision, at),
            Kind::StrategyBranched(it) => self.begun(&it.strategy_id, revision, at),
            Kind::StrategyRevised(it) => self.revised(it, revision, at),
            Kind::StrategySuperseded(it) => {
                self.window.restart();
                self.ended(&it.strategy_id, revision);
            }
            Kind::StrategyAbandoned(it) => self.ended(&it.strategy_id, revision),
            Kind::StrategyFulfilled(it) => self.ended(&it.strategy_id, revision),
            Kind::TacticAdded(it) => self.added(it, revision),
            Kind::TacticReworded(it) => self.reworded(it, revision),
            Kind::TacticRegrouped(it) => self.regrouped(it, revision, at),
            Kind::TacticRetired(it) => self.retired(&it.tactic_id, revision, at),
            Kind::TacticTried(it) => self.tried(it, revision),
            Kind::TacticFailed(it) => self.failed(it, revision),
            Kind::TacticSucceeded(it) => self.succeeded(&it.tactic_id),
            Kind::TacticStopped(it) => self.stopped(&it.tactic_id),
            Kind::EvidenceRecorded(it) => self.learned(&it.assumption_id, revision),
            Kind::AssumptionSupported(it) => self.learned(&it.assumption_id, revision),
            Kind::AssumptionRefuted(it) => self.learned(&it.assumption_id, revision),
            Kind::IndicatorRetired(_) => self.retired_indicators.push(revision),
            Kind::CommitmentMade(it) => self.promised(it, revision),
            Kind::CommitmentReassigned(it) => self.reassigned(&it.commitment_id, revision),
            Kind::DeadlineMoved(it) => self.moved(it, revision),
            Kind::DeadlineMissed(it) => self.missed(it, revision),
            Kind::CommitmentKept(it) => self.kept(&it.commitment_id, at),
            Kind::PlanCreated(_)
            | Kind::PlanDescribed(_)
            | Kind::PlanArchived(_)
            | Kind::PlanReopened(_)
            | Kind::ObjectiveSet(_)
            | Kind::ObjectiveRefined(_)
            | Kind::ObjectiveMet(_)
            | Kind::IndicatorDefined(_)
            | Kind::IndicatorReplaced(_)
            | Kind::MeasurementRecorded(_)
            | Kind::AssumptionStated(_)
            | Kind::AssumptionReopened(_)
            | Kind::RevisionProposed(_)
            | Kind::RevisionDeclined(_)
            | Kind::TacticsRanked(_)
            | Kind::CommitmentReleased(_)
            | Kind::EventCorrected(_)
            | Kind::EventRetracted(_)
            | Kind::FindingAcknowledged(_)
            | Kind::NoteRecorded(_) => {}
        }
    }

    fn begun(&mut self, strategy_id: &'a str, revision: u64, at: Time) {
        self.window.restart();
        let begin = || StrategyTrail {
            revised: revision,
            short_since: at,
            ..StrategyTrail::default()
        };
        self.strategies.entry(strategy_id).or_insert_with(begin);
    }

    fn revised(&mut self, it: &'a proto::StrategyRevised, revision: u64, at: Time) {
        self.window.restart();
        if let Some(strategy) = self.strategies.get_mut(it.strategy_id.as_str()) {
            strategy.revised = revision;
            strategy.revised_in_a_row.push(revision);
        }
        for tactic_id in &it.retire_tactic_ids {
            self.retired(tactic_id, revision, at);
        }
    }

    fn ended(&mut self, strategy_id: &str, revision: u64) {
        if let Some(strategy) = self.strategies.get_mut(strategy_id) {
            strategy.ended = Some(revision);
        }
    }

    fn added(&mut self, it: &'a proto::TacticAdded, revision: u64) {
        let begin = || TacticTrail {
            added: revision,
            grouped: revision,
            strategy_id: named(&it.strategy_id),
            assumption_ids: &it.assumption_ids,
            after_tactic_ids: &it.after_tactic_ids,
            reworded: revision,
            ..TacticTrail::default()
        };
        self.tactics.entry(&it.tactic_id).or_insert_with(begin);
    }

    fn reworded(&mut self, it: &'a proto::TacticReworded, revision: u64) {
        if let Some(tactic) = self.tactics.get_mut(it.tactic_id.as_str()) {
            tactic.assumption_ids = &it.assumption_ids;
            tactic.after_tactic_ids = &it.after_tactic_ids;
            tactic.reworded = revision;
        }
    }

    fn regrouped(&mut self, it: &'a proto::TacticRegrouped, revision: u64, at: Time) {
        let Some(tactic) = self.tactics.get_mut(it.tactic_id.as_str()) else {
            return;
        };
        let old = tactic.strategy_id;
        tactic.strategy_id = named(&it.strategy_id);
        tactic.grouped = revision;
        if !tactic.is_retired && old != tactic.strategy_id {
            self.lost(old, revision, at);
        }
    }

    fn retired(&mut self, tactic_id: &str, revision: u64, at: Time) {
        let Some(tactic) = self.tactics.get_mut(tactic_id) else {
            return;
        };
        if !tactic.is_retired {
            tactic.is_retired = true;
            let strategy_id = tactic.strategy_id;
            self.lost(strategy_id, revision, at);
        }
    }

    /// A strategy has one option fewer.
    fn lost(&mut self, strategy_id: Option<&str>, revision: u64, at: Time) {
        if let Some(strategy) = strategy_id.and_then(|id| self.strategies.get_mut(id)) {
            strategy.losses.push(revision);
            strategy.short_since = strategy.short_since.max(at);
        }
    }

    fn tried(&mut self, it: &'a proto::TacticTried, revision: u64) {
        let Some(tactic) = self.tactics.get(it.tactic_id.as_str()) else {
            return;
        };
        attempted(&mut self.strategies, tactic.strategy_id);
        let repeated = tactic
            .failed
            .filter(|failed| !self.has_changed_since(tactic, *failed));
        let is_early = !self.is_after_met(tactic);
        if let Some(suggestion) = &it.suggestion
            && suggestion.verdict() == SuggestionVerdict::Try
            && !suggestion.followed
            && is_blank(&it.reason)
        {
            self.window.tried_out_of_rank(&it.tactic_id, revision);
        }
        if (repeated.is_some() || is_early)
            && let Some(tactic) = self.tactics.get_mut(it.tactic_id.as_str())
        {
            tactic
                .repeats
                .extend(repeated.map(|failed| (failed, revision)));
            tactic.early_tries.extend(is_early.then_some(revision));
        }
    }

    /// Whether the tactic, its strategy, or what is known of its assumptions is not what it was.
    fn has_changed_since(&self, tactic: &TacticTrail<'_>, revision: u64) -> bool {
        let strategy = tactic.strategy_id.and_then(|id| self.strategies.get(id));
        let has_learned = |id: &String| {
            let last = self.learned.get(id.as_str());
            last.is_some_and(|last| *last > revision)
        };
        tactic.reworded > revision
            || strategy.is_some_and(|strategy| strategy.revised > revision)
            || tactic.assumption_ids.iter().any(has_learned)
    }

    fn is_after_met(&self, tactic: &TacticTrail<'_>) -> bool {
        let has_succeeded = |id: &String| {
            let earlier = self.tactics.get(id.as_str());
            earlier.is_some_and(|earlier| earlier.has_succeeded)
        };
        tactic.after_tactic_ids.iter().all(has_succeeded)
    }

    fn failed(&mut self, it: &'a proto::TacticFailed, revision: u64) {
        let Some(tactic) = self.tactics.get_mut(it.tactic_id.as_str()) else {
            return;
        };
        attempted(&mut self.strategies, tactic.strategy_id);
        if it.failure() == Failure::Effect {
            tactic.failed = Some(revision);
            let (added, strategy_id) = (tactic.added, tactic.strategy_id);
            self.window
                .failed(&it.tactic_id, strategy_id, added, revision);
        }
    }

    fn succeeded(&mut self, tactic_id: &str) {
        if let Some(tactic) = self.tactics.get_mut(tactic_id) {
            attempted(&mut self.strategies, tactic.strategy_id);
            tactic.has_succeeded = true;
            tactic.failed = None;
        }
    }

    fn stopped(&mut self, tactic_id: &str) {
        if let Some(tactic) = self.tactics.get(tactic_id) {
            attempted(&mut self.strategies, tactic.strategy_id);
        }
    }

    fn learned(&mut self, assumption_id: &'a str, revision: u64) {
        self.learned.insert(assumption_id, revision);
    }

    fn promised(&mut self, it: &'a proto::CommitmentMade, revision: u64) {
        let begin = || CommitmentTrail {
            due: it.due.map(Into::into),
            assigned: revision,
            ..CommitmentTrail::default()
        };
        self.commitments
            .entry(&it.commitment_id)
            .or_insert_with(begin);
    }

    fn reassigned(&mut self, commitment_id: &str, revision: u64) {
        if let Some(commitment) = self.commitments.get_mut(commitment_id) {
            commitment.assigned = revision;
        }
    }

    fn moved(&mut self, it: &proto::DeadlineMoved, revision: u64) {
        if let Some(commitment) = self.commitments.get_mut(it.commitment_id.as_str()) {
            commitment.due = it.new.map(Into::into);
            commitment.moves.push(revision);
        }
    }

    /// What was kept in time was not missed, though it was recorded late.
    fn kept(&mut self, commitment_id: &str, at: Time) {
        if let Some(commitment) = self.commitments.get_mut(commitment_id)
            && commitment.due.is_some_and(|due| at <= due)
        {
            commitment.was_in_time();
        }
    }

    /// A date that passed in silence but was corrected since was never due.
    fn missed(&mut self, it: &proto::DeadlineMissed, revision: u64) {
        let Some(commitment) = self.commitments.get_mut(it.commitment_id.as_str()) else {
            return;
        };
        let due = it.due.map(Time::from);
        let is_late = if it.silent {
            due == commitment.due
        } else {
            it.notice() == proto::Notice::AfterDue
        };
        if it.notice() == proto::Notice::BeforeDue {
            commitment.was_in_time();
        }
        let late = due.or(commitment.due).filter(|_| is_late);
        commitment
            .late_misses
            .extend(late.map(|due| (revision, due)));
    }
}

/// An attempt under a strategy began or ended, so that its next revision can rest on one.
fn attempted(strategies: &mut HashMap<&str, StrategyTrail>, strategy_id: Option<&str>) {
    if let Some(strategy) = strategy_id.and_then(|id| strategies.get_mut(id)) {
        strategy.revised_in_a_row.clear();
    }
}

fn named(id: &str) -> Option<&str> {
    (!id.is_empty()).then_some(id)
}
