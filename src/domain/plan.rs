//! The state of a plan, folded from its events. Plain data: it is built by `evolve` only, holds no
//! rule, and shares its parts, so that a copy that runs ahead of the disk costs little.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    value::{Id, Memo, Time},
    wording::Hit,
};

mod questions;

/// A plan at some revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The plan's id.
    pub plan_id: Id,
    /// The revision of the last event; 0 before the plan exists.
    pub revision: u64,
    /// Whether it takes commands.
    pub lifecycle: Lifecycle,
    /// Title, summary and labels.
    pub description: Arc<Description>,
    /// What it is to reach.
    pub objective: Option<Arc<Objective>>,
    /// What is measured.
    pub indicators: BTreeMap<Id, Arc<Indicator>>,
    /// What is taken for true.
    pub assumptions: BTreeMap<Id, Arc<Assumption>>,
    /// What speaks for or against the assumptions.
    pub evidence: BTreeMap<Id, Arc<Evidence>>,
    /// The strategies.
    pub strategies: BTreeMap<Id, Arc<Strategy>>,
    /// Revisions that were proposed.
    pub proposals: BTreeMap<Id, Arc<Proposal>>,
    /// The tactics.
    pub tactics: BTreeMap<Id, Arc<Tactic>>,
    /// The commitments.
    pub commitments: BTreeMap<Id, Arc<Commitment>>,
    /// Findings that were accepted, by code and subject; the latest for each.
    pub acknowledgements: BTreeMap<(String, String), Arc<Acknowledgement>>,
    /// Subjects (`commitments/ID`, `evidence/ID`, `proposals/ID`) whose founding event was
    /// retracted: their ids stay used.
    pub spent: BTreeSet<String>,
    /// The events that were corrected or retracted, by their revision.
    pub amendments: BTreeMap<u64, Amendment>,
    /// How many notes were recorded and not retracted.
    pub notes: u32,
    /// When the first event occurred.
    pub created_at: Time,
    /// When the last event occurred.
    pub last_occurred_at: Time,
    /// An upper bound of the encoded size of the plan's view, in bytes.
    pub size_bound_bytes: usize,
}

/// Whether a plan takes commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Lifecycle {
    /// There is no such plan yet.
    Unborn,
    /// It takes commands.
    Active,
    /// It has ended.
    Archived(Arc<Archiving>),
}

/// How a plan ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Archiving {
    /// The outcome ([`proto::PlanOutcome`]).
    pub outcome: i32,
    /// Why; may be empty.
    pub reason: String,
    /// The plan that carries on; may be empty.
    pub successor_plan_id: String,
    /// When.
    pub archived_at: Time,
    /// The revision of the event.
    pub revision: u64,
}

/// Title, summary and labels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// What the plan is called.
    pub title: String,
    /// What it is about; may be empty.
    pub summary: String,
    /// Labels to list it by.
    pub labels: BTreeMap<String, String>,
}

/// What a plan is to reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// What is to be reached.
    pub statement: String,
    /// What is measured to know; may be empty.
    pub measure: String,
    /// Where the measure stood at the start.
    pub baseline: Option<f64>,
    /// The value to reach.
    pub target: Option<f64>,
    /// The unit of both; may be empty.
    pub unit: String,
    /// By when.
    pub horizon: Option<Time>,
    /// How often it was refined.
    pub refinements: u32,
    /// The revision of the event that last stated it.
    pub stated_revision: u64,
    /// When and how it was reached.
    pub met: Option<ObjectiveMet>,
}

/// That an objective was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveMet {
    /// When.
    pub at: Time,
    /// How it is known; may be empty.
    pub evidence: String,
}

/// Something that is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Indicator {
    /// The indicator's id.
    pub indicator_id: Id,
    /// What is measured.
    pub name: String,
    /// The unit of every measurement.
    pub unit: String,
    /// In which direction it improves ([`proto::Direction`]).
    pub direction: i32,
    /// The value to reach.
    pub target: Option<f64>,
    /// How often it is to be measured: seconds and nanoseconds.
    pub cadence: Option<(i64, i32)>,
    /// Whether it is still measured.
    pub state: IndicatorState,
    /// How many measurements were recorded.
    pub measurements: u32,
    /// The two measurements that occurred last, the last one first.
    pub latest: Vec<Measurement>,
    /// The revision of the event that defined it.
    pub defined_revision: u64,
}

/// Whether an indicator is still measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndicatorState {
    /// It takes measurements.
    Live,
    /// The indicator named took its place.
    Replaced(Id),
    /// It is no longer measured.
    Retired,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The value.
    pub value: f64,
    /// When it was measured.
    pub occurred_at: Time,
    /// The span of time that it sums up: seconds and nanoseconds.
    pub window: Option<(i64, i32)>,
    /// What to know about it; may be empty.
    pub note: String,
    /// The revision of the event.
    pub revision: u64,
}

/// Something that is taken for true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assumption {
    /// The assumption's id.
    pub assumption_id: Id,
    /// What is taken for true.
    pub statement: String,
    /// What it is to the strategies that rest on it ([`proto::AssumptionKind`]).
    pub kind: i32,
    /// Whether a plan that rests on it fails without it.
    pub load_bearing: bool,
    /// Whether it may well turn out wrong.
    pub vulnerable: bool,
    /// What would be seen first if it were; may be empty.
    pub signpost: String,
    /// What is thought of it.
    pub state: AssumptionState,
    /// The evidence about it, in order of recording.
    pub evidence_ids: Vec<Id>,
    /// The revision of the event that stated it.
    pub stated_revision: u64,
}

/// What is thought of an assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssumptionState {
    /// Nothing was concluded.
    Stated,
    /// It was found to hold, by the event of this revision.
    Supported(u64),
    /// It was found not to hold, by the event of this revision.
    Refuted(u64),
}

/// A piece of evidence about an assumption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The evidence's id.
    pub evidence_id: Id,
    /// The assumption it is about.
    pub assumption_id: Id,
    /// What it says ([`proto::Verdict`]).
    pub verdict: i32,
    /// How much it weighs ([`proto::Strength`]).
    pub strength: i32,
    /// What was found.
    pub summary: String,
    /// Where it can be read; may be empty.
    pub uri: String,
    /// The revision of the event.
    pub revision: u64,
}

/// An intention that groups tactics under a common path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strategy {
    /// The strategy's id.
    pub strategy_id: Id,
    /// The revision of the strategy, from 1.
    pub revision: u32,
    /// Whether it is being followed.
    pub state: StrategyState,
    /// What its head revision says.
    pub choice: Choice,
    /// Why its head revision was made; empty for an adopted strategy.
    pub reason: String,
    /// Whether its head revision was made without being forced.
    pub unprompted: bool,
    /// The strategy it was branched from.
    pub branched_from: Option<Id>,
    /// When its head revision was made.
    pub revised_at: Time,
    /// The revision of the plan's event that made its head revision.
    pub revised_revision: u64,
    /// The revision of the event that adopted or branched it.
    pub adopted_revision: u64,
}

/// What a revision of a strategy says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The intention that its tactics share.
    pub intent: String,
    /// What the challenge is thought to be; may be empty.
    pub diagnosis: String,
    /// What will be done.
    pub will: Vec<String>,
    /// What will not be done.
    pub will_not: Vec<String>,
    /// The assumptions it rests on.
    pub assumption_ids: Vec<Id>,
    /// The indicators it is judged by.
    pub indicator_ids: Vec<Id>,
    /// The words for which the intent reads as a tactic, if it does: each review looks at them.
    #[serde(skip)]
    pub(in crate::domain) tactical: Memo<Option<Vec<Hit>>>,
}

/// Whether a strategy is being followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StrategyState {
    /// It is being followed.
    Live,
    /// Another took its place.
    Superseded {
        /// The one that did.
        by: Id,
        /// Why.
        reason: String,
    },
    /// It was given up.
    Abandoned {
        /// Why.
        reason: String,
    },
    /// It did its work.
    Fulfilled {
        /// How that is known; may be empty.
        evidence: String,
    },
}

/// A revision that was proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The proposal's id.
    pub proposal_id: Id,
    /// The strategy it is about.
    pub strategy_id: Id,
    /// What became of it.
    pub state: ProposalState,
    /// The intention that was proposed.
    pub intent: String,
    /// Why.
    pub reason: String,
    /// The revision of the event that proposed it.
    pub revision: u64,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposalState {
    /// It waits for an answer.
    Open,
    /// A revision accepted it.
    Accepted,
    /// It was declined.
    Declined {
        /// Why.
        reason: String,
    },
}

/// A specific action item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tactic {
    /// The tactic's id.
    pub tactic_id: Id,
    /// The strategy it serves.
    pub strategy_id: Option<Id>,
    /// 1 is the best, 0 after all others.
    pub rank: u32,
    /// What is to be done.
    pub statement: String,
    /// Free text by which statistics group tactics; may be empty.
    pub kind: String,
    /// What an attempt costs.
    pub cost: Option<f64>,
    /// The assumptions it rests on.
    pub assumption_ids: Vec<Id>,
    /// Tactics that should have succeeded first.
    pub after_tactic_ids: Vec<Id>,
    /// The attempts that stand, in order of their numbers.
    pub attempts: Vec<Arc<Attempt>>,
    /// How many attempts were ever recorded, retracted ones included: numbers are not used again.
    pub attempts_recorded: u32,
    /// Set once it is no longer an option.
    pub retired: Option<Retirement>,
    /// The revision of the event that added it.
    pub added_revision: u64,
    /// The revision of the event that last reworded it; that of its adding before.
    pub worded_revision: u64,
}

/// That a tactic is no longer an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirement {
    /// Why.
    pub reason: String,
    /// The revision of the event.
    pub revision: u64,
}

/// One attempt of a tactic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number among the tactic's, from 1.
    pub attempt: u32,
    /// What was expected; may be empty.
    pub expected: String,
    /// How likely that was thought to be, from 0 to 1.
    pub confidence: Option<f64>,
    /// When to give up.
    pub stop_rule: Option<StopRule>,
    /// Why this tactic, when another was suggested; may be empty.
    pub reason: String,
    /// What the ranks suggested.
    pub suggestion: Option<Suggestion>,
    /// When it began.
    pub tried_at: Time,
    /// The revision of the event that began it.
    pub tried_revision: u64,
    /// How it stands.
    pub state: AttemptState,
}

/// When to give an attempt up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRule {
    /// The state of the world that ends it; may be empty.
    pub state: String,
    /// When to look at the latest.
    pub by: Option<Time>,
}

/// What the ranks of a strategy suggested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suggestion {
    /// Try this tactic next.
    Try {
        /// The tactic.
        tactic_id: Id,
        /// Whether it is the one that was tried.
        followed: bool,
    },
    /// None is eligible, an attempt is open.
    Wait,
    /// Every tactic has succeeded.
    AllSucceeded,
    /// None is eligible and none is open.
    StrategyExhausted,
}

/// How an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptState {
    /// It goes on.
    Open,
    /// It worked.
    Succeeded(Ending),
    /// It failed.
    Failed {
        /// When and what was seen.
        ending: Ending,
        /// In which way ([`proto::Failure`]).
        failure: i32,
        /// Assumptions that the failure casts doubt on.
        suspected_assumption_ids: Vec<Id>,
    },
    /// It was stopped without an outcome.
    Stopped {
        /// When and why.
        ending: Ending,
        /// Whether nothing was learned.
        inconclusive: bool,
    },
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    pub at: Time,
    /// The revision of the event.
    pub revision: u64,
    /// What was seen, or why it was stopped.
    pub text: String,
}

/// Something promised by a date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commitment {
    /// The commitment's id.
    pub commitment_id: Id,
    /// The tactic it is for.
    pub tactic_id: Option<Id>,
    /// Where it stands.
    pub state: CommitmentState,
    /// Who promises.
    pub assignee: String,
    /// To whom; may be empty.
    pub made_to: String,
    /// What is promised.
    pub promise: String,
    /// By when.
    pub due: Time,
    /// When it was made.
    pub made_at: Time,
    /// How often its deadline was moved.
    pub moves: u32,
    /// How many of these moves were said after the due date.
    pub late_moves: u32,
    /// The due dates that passed in silence, each once.
    pub silently_missed: Vec<Time>,
    /// Who has held it, each once, in the order in which they last got it; the last is the assignee.
    pub held: Vec<Held>,
    /// The revision of the event that made it.
    pub made_revision: u64,
    /// The revision of the last event about it.
    pub last_revision: u64,
}

/// What happened to a commitment while somebody held it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Who held it.
    pub assignee: String,
    /// How often its deadline was moved before it was due.
    pub moved_with_notice: u32,
    /// How often it was moved when it was due already.
    pub moved_late: u32,
    /// How many due dates passed in silence.
    pub missed_silently: u32,
}

/// Where a commitment stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitmentState {
    /// It is promised.
    Open,
    /// Its deadline passed in silence; it is still open.
    Overdue,
    /// It was kept in time.
    Kept(Closing),
    /// It was kept after its due date.
    KeptLate(Closing),
    /// Somebody said that it is missed.
    Missed {
        /// When and why.
        closing: Closing,
        /// Whether that was said before the due date ([`proto::Notice`]).
        notice: i32,
    },
    /// Somebody was let off.
    Released(Closing),
}

/// The end of a commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// When.
    pub at: Time,
    /// The note or reason; may be empty.
    pub text: String,
}

/// A finding that was accepted for the time being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// When the finding is shown again.
    pub until: Option<Time>,
    /// Why it was accepted.
    pub reason: String,
    /// The revision of the event.
    pub revision: u64,
}

/// What was done to an event after it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amendment {
    /// The event of this revision last corrected it.
    Corrected(u64),
    /// The event of this revision retracted it.
    Retracted(u64),
}

impl Amendment {
    /// The revision of the correction or retraction.
    #[must_use]
    pub fn revision(self) -> u64 {
        match self {
            Self::Corrected(revision) | Self::Retracted(revision) => revision,
        }
    }
}

impl Plan {
    /// A plan that does not exist yet.
    #[must_use]
    pub fn unborn(plan_id: Id) -> Self {
        Self {
            plan_id,
            revision: 0,
            lifecycle: Lifecycle::Unborn,
            description: Arc::default(),
            objective: None,
            indicators: BTreeMap::new(),
            assumptions: BTreeMap::new(),
            evidence: BTreeMap::new(),
            strategies: BTreeMap::new(),
            proposals: BTreeMap::new(),
            tactics: BTreeMap::new(),
            commitments: BTreeMap::new(),
            acknowledgements: BTreeMap::new(),
            spent: BTreeSet::new(),
            amendments: BTreeMap::new(),
            notes: 0,
            created_at: Time::default(),
            last_occurred_at: Time::default(),
            size_bound_bytes: 0,
        }
    }

    /// Whether it takes no command but reopening.
    #[must_use]
    pub fn is_archived(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Archived(_))
    }
}
