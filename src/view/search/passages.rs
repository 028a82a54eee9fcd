//! What the events of a plan say that can be searched: statements of tactics, intents of strategies,
//! what was seen when an attempt ended, and reasons. A passage is known by the event that it is from,
//! so its text is kept nowhere but in the log.

use std::collections::BTreeMap;

use super::words::words;
use crate::{
    domain::value::Id,
    proto::{Event, event::Kind},
};

/// What of a tactic or a strategy a passage tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// What is to be done.
    Statement,
    /// The intention of a strategy.
    Intent,
    /// What was seen when an attempt succeeded or failed.
    Observed,
    /// Why something was tried, stopped, retired, revised, branched or given up.
    Reason,
}

impl Field {
    /// What clients know it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Intent => "intent",
            Self::Observed => "observed",
            Self::Reason => "reason",
        }
    }

    /// How much one of its words counts: the statement says what a tactic is, the rest what was said
    /// about it.
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::Statement => 6,
            Self::Intent => 3,
            Self::Observed | Self::Reason => 2,
        }
    }

    /// Whether a later one takes its place. Of the other fields each event adds one more.
    pub(super) fn is_restated(self) -> bool {
        match self {
            Self::Statement | Self::Intent => true,
            Self::Observed | Self::Reason => false,
        }
    }
}

/// Whom a passage is about, by its id in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About<'a> {
    Tactic(&'a str),
    Strategy(&'a str),
}

/// A text that an event says.
pub(super) struct Said<'a> {
    pub(super) about: About<'a>,
    pub(super) field: Field,
    pub(super) text: &'a str,
}

/// What an event tells a search.
#[derive(Default)]
pub(super) struct Told<'a> {
    pub(super) said: Vec<Said<'a>>,
    /// Tactics that stand otherwise after it.
    pub(super) touched: Vec<&'a str>,
}

impl<'a> Told<'a> {
    fn of_strategy(&mut self, strategy_id: &'a str, field: Field, text: &'a str) {
        self.say(About::Strategy(strategy_id), field, text);
    }

    fn of_tactic(&mut self, tactic_id: &'a str, field: Field, text: &'a str) {
        self.touched.push(tactic_id);
        self.say(About::Tactic(tactic_id), field, text);
    }

    /// A statement and an intent are said also when they hold no word, for they are shown.
    fn say(&mut self, about: About<'a>, field: Field, text: &'a str) {
        if field.is_restated() || !text.trim().is_empty() {
            self.said.push(Said { about, field, text });
        }
    }
}

/// What an event tells a search.
pub(super) fn told(kind: &Kind) -> Told<'_> {
    use Field::{Intent, Observed, Reason, Statement};
    let mut told = Told::default();
    match kind {
        Kind::StrategyAdopted(it) => told.of_strategy(&it.strategy_id, Intent, &it.intent),
        Kind::StrategyRevised(it) => {
            told.of_strategy(&it.strategy_id, Intent, &it.intent);
            told.of_strategy(&it.strategy_id, Reason, &it.reason);
            let retired = it.retire_tactic_ids.iter().map(String::as_str);
            told.touched.extend(retired);
        }
        Kind::StrategyBranched(it) => {
            told.of_strategy(&it.strategy_id, Intent, &it.intent);
            told.of_strategy(&it.strategy_id, Reason, &it.reason);
        }
        Kind::StrategySuperseded(it) => told.of_strategy(&it.strategy_id, Reason, &it.reason),
        Kind::StrategyAbandoned(it) => told.of_strategy(&it.strategy_id, Reason, &it.reason),
        Kind::TacticAdded(it) => told.of_tactic(&it.tactic_id, Statement, &it.statement),
        Kind::TacticReworded(it) => told.of_tactic(&it.tactic_id, Statement, &it.statement),
        Kind::TacticRegrouped(it) => told.touched.push(&it.tactic_id),
        Kind::TacticRetired(it) => told.of_tactic(&it.tactic_id, Reason, &it.reason),
        Kind::TacticTried(it) => told.of_tactic(&it.tactic_id, Reason, &it.reason),
        Kind::TacticFailed(it) => told.of_tactic(&it.tactic_id, Observed, &it.observed),
        Kind::TacticSucceeded(it) => told.of_tactic(&it.tactic_id, Observed, &it.observed),
        Kind::TacticStopped(it) => told.of_tactic(&it.tactic_id, Reason, &it.reason),
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
        | Kind::RevisionProposed(_)
        | Kind::RevisionDeclined(_)
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
        | Kind::NoteRecorded(_) => {}
    }
    told
}

/// The text of a passage in a commit: what the event of that revision says of it, or what corrects
/// that event there.
pub(super) fn text_in<'a>(
    events: &'a [Event],
    revision: u64,
    about: About<'_>,
    field: Field,
) -> Option<&'a str> {
    let kinds = events.iter().rev().filter_map(|event| match &event.kind {
        Some(Kind::EventCorrected(it)) if it.revision == revision => {
            it.replacement.as_ref()?.kind.as_ref()
        }
        kind => kind.as_ref().filter(|_| event.revision == revision),
    });
    let said = kinds.flat_map(|kind| told(kind).said);
    said.into_iter()
        .find(|said| said.field == field && said.about == about)
        .map(|said| said.text)
}

/// What an event changes of what a search finds.
pub(super) enum Change<'a> {
    /// It says this itself.
    Says(Passage<'a>),
    /// What the event of this revision says is this from now on.
    Corrects(u64, Vec<Passage<'a>>),
    /// What the event of this revision says does not count any more.
    Retracts(u64),
}

/// A text that was said, as words and how often each is in it.
pub(super) struct Passage<'a> {
    pub(super) about: About<'a>,
    pub(super) field: Field,
    /// The event that it is known by, by its revision: what corrects that event goes by it as well.
    pub(super) revision: u64,
    pub(super) words: BTreeMap<String, u16>,
}

impl<'a> Passage<'a> {
    fn of(said: &Said<'a>, revision: u64) -> Self {
        let mut counts = BTreeMap::<_, u16>::new();
        for word in words(said.text) {
            let count = counts.entry(word.stem).or_default();
            *count = count.saturating_add(1);
        }
        Self {
            about: said.about,
            field: said.field,
            revision,
            words: counts,
        }
    }
}

/// A commit's events as the index takes them in. All words are cut here, before any lock is held.
pub(super) struct Step<'a> {
    pub(super) changes: Vec<Change<'a>>,
    /// Tactics that stand otherwise than before.
    pub(super) touched: Vec<&'a str>,
    /// Whether it amends an earlier event, and any tactic may stand otherwise.
    pub(super) amends: bool,
}

impl<'a> Step<'a> {
    /// Leaves out what amends events that say nothing, given the tactics that its amendments folded
    /// anew.
    pub(super) fn narrow(&mut self, anew: &'a [Id], says: impl Fn(u64) -> bool) {
        self.touched.extend(anew.iter().map(|id| &**id));
        self.amends = false;
        self.changes.retain(|change| match change {
            Change::Says(_) => true,
            Change::Corrects(revision, _) | Change::Retracts(revision) => says(*revision),
        });
    }

    pub(super) fn of(events: &'a [Event]) -> Self {
        let mut step = Self {
            changes: Vec::new(),
            touched: Vec::new(),
            amends: false,
        };
        for event in events {
            if let Some(kind) = &event.kind {
                step.add(event.revision, kind);
            }
        }
        step
    }

    fn add(&mut self, revision: u64, kind: &'a Kind) {
        if let Kind::EventCorrected(correction) = kind {
            self.amends = true;
            let replacement = correction.replacement.as_ref();
            // One that changes nothing but the time says nothing new.
            if let Some(kind) = replacement.and_then(|event| event.kind.as_ref()) {
                let of = correction.revision;
                let says = told(kind).said;
                let passages = says.iter().map(|said| Passage::of(said, of)).collect();
                self.changes.push(Change::Corrects(of, passages));
            }
        } else if let Kind::EventRetracted(retraction) = kind {
            self.amends = true;
            self.changes.push(Change::Retracts(retraction.revision));
        } else {
            let told = told(kind);
            let says = |said| Change::Says(Passage::of(said, revision));
            self.changes.extend(told.said.iter().map(says));
            self.touched.extend(told.touched);
        }
    }
}
