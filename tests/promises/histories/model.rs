//! The model of one plan, as somebody would describe it who never saw the daemon: a list of commits,
//! each bound to its request, a title, some tactics, and whether the plan is archived. All that calls
//! say of a plan is checked against it by [`super::checker`], one plan at a time: plans share nothing
//! that the calls of a history could see.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use strata::proto::{
    Commit, Event, ExecuteRequest, ExecuteResponse, Plan, PlanState, command, event,
};

use super::{
    checker::{Model, Timed},
    record::{Call, History, Log, Outcome, Request},
};

/// The reasons that a plan gives; all others say nothing of it.
const OF_THE_PLAN: [&str; 8] = [
    "REQUEST_ID_REUSED",
    "REVISION_CONFLICT",
    "PLAN_NOT_FOUND",
    "PLAN_EXISTS",
    "PLAN_ARCHIVED",
    "PLAN_NOT_ARCHIVED",
    "ID_TAKEN",
    "NOT_CORRECTABLE",
];

/// What a command of these histories does to a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    Create(String),
    Describe(String),
    Note(String),
    AddTactic(String),
    Archive,
    Reopen(String),
    /// Corrects the text of the note of a revision.
    Correct(u64, String),
    /// Retracts the note of a revision.
    Retract(u64),
}

/// A request to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    request_id: String,
    expected_revision: Option<u64>,
    deeds: Arc<[Deed]>,
}

/// A call on one plan with its outcome.
#[derive(Debug, Clone)]
pub(super) enum PlanCall {
    /// Recorded with this first and last revision.
    Recorded(Write, u64, u64),
    /// Recorded before, with this first and last revision.
    Replayed(Write, u64, u64),
    /// Found good, with this first and last revision, and not recorded.
    Validated(Write, u64, u64),
    /// Refused for a reason, with the number that the reason names.
    Refused(Write, String, Option<u64>),
    /// Nobody knows; if recorded, it was with this first revision.
    Unknown(Write, u64),
    /// Shown in full.
    Shown(Box<Shown>),
    /// Shown with this revision and title.
    Listed(u64, String),
    /// Shown with this last revision, whose event came with this request.
    LastEvent(u64, String),
    /// Not there.
    Absent,
}

/// What of a shown plan the model knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    revision: u64,
    title: String,
    notes: usize,
    tactics: BTreeSet<String>,
    archived: bool,
}

/// A plan.
#[derive(Debug, Clone)]
pub(super) struct State {
    shown: Shown,
    /// The revisions of the notes that are not retracted.
    notes: BTreeSet<u64>,
    /// What each request that was recorded did, and between which revisions.
    recorded: Arc<BTreeMap<String, Recorded>>,
    /// The request of the last commit.
    last_request: String,
    /// Stands for all commits so far, in their order.
    chain: u64,
}

/// What was done, and the first and last revision of it.
type Recorded = (Arc<[Deed]>, u64, u64);

/// The sequential plan.
pub(super) struct PlanModel;

impl Model for PlanModel {
    type State = State;
    type Call = PlanCall;
    type Key = (u64, u64);

    fn initial(&self) -> State {
        State {
            shown: Shown {
                revision: 0,
                title: String::new(),
                notes: 0,
                tactics: BTreeSet::new(),
                archived: false,
            },
            notes: BTreeSet::new(),
            recorded: Arc::default(),
            last_request: String::new(),
            chain: 0,
        }
    }

    fn step(&self, state: &State, call: &PlanCall) -> Option<State> {
        match call {
            PlanCall::Recorded(write, first, last) => match state.execute(write) {
                Answer::Recorded(after) => state.between(&after, *first, *last).then_some(after),
                Answer::Replayed(..) | Answer::Refused(..) => None,
            },
            PlanCall::Validated(write, first, last) => match state.execute(write) {
                Answer::Recorded(after) => {
                    state.between(&after, *first, *last).then(|| state.clone())
                }
                Answer::Replayed(..) | Answer::Refused(..) => None,
            },
            PlanCall::Replayed(write, first, last) => match state.execute(write) {
                Answer::Replayed(one, two) if (one, two) == (*first, *last) => Some(state.clone()),
                Answer::Recorded(_) | Answer::Replayed(..) | Answer::Refused(..) => None,
            },
            PlanCall::Refused(write, reason, number) => match state.execute(write) {
                Answer::Refused(why, named) if why == reason && (named == *number) => {
                    Some(state.clone())
                }
                Answer::Recorded(_) | Answer::Replayed(..) | Answer::Refused(..) => None,
            },
            PlanCall::Unknown(write, first) => match state.execute(write) {
                Answer::Recorded(after) => (state.shown.revision + 1 == *first).then_some(after),
                Answer::Replayed(..) | Answer::Refused(..) => None,
            },
            PlanCall::Shown(shown) => (**shown == state.shown).then(|| state.clone()),
            PlanCall::Listed(revision, title) => {
                let same = *revision == state.shown.revision && *title == state.shown.title;
                same.then(|| state.clone())
            }
            PlanCall::LastEvent(revision, request_id) => {
                let same = *revision == state.shown.revision && *request_id == state.last_request;
                same.then(|| state.clone())
            }
            PlanCall::Absent => (state.shown.revision == 0).then(|| state.clone()),
        }
    }

    fn key(&self, state: &State) -> (u64, u64) {
        (state.shown.revision, state.chain)
    }
}

/// What the model answers.
enum Answer {
    Recorded(State),
    /// With this first and last revision.
    Replayed(u64, u64),
    /// The reason, and the number that it names.
    Refused(&'static str, Option<u64>),
}

impl State {
    /// Replay, plan, archived, revision, then the first command that is refused.
    fn execute(&self, write: &Write) -> Answer {
        if let Some((deeds, first, last)) = self.recorded.get(&write.request_id) {
            if *deeds == write.deeds {
                return Answer::Replayed(*first, *last);
            }
            return Answer::Refused("REQUEST_ID_REUSED", Some(*last));
        }
        let revision = self.shown.revision;
        let first_deed = write.deeds.first();
        if let Some(refused) = first_deed.and_then(|deed| self.shown.refuses(deed)) {
            return Answer::Refused(refused, None);
        }
        match write.expected_revision {
            Some(expected) if expected > 0 && revision == 0 => {
                return Answer::Refused("PLAN_NOT_FOUND", None);
            }
            Some(expected) if expected != revision => {
                return Answer::Refused("REVISION_CONFLICT", Some(revision));
            }
            Some(_) | None => {}
        }
        let mut after = self.clone();
        for deed in write.deeds.iter() {
            if let Err(reason) = after.apply(deed) {
                return Answer::Refused(reason, None);
            }
        }
        let recorded = (write.deeds.clone(), revision + 1, after.shown.revision);
        Arc::make_mut(&mut after.recorded).insert(write.request_id.clone(), recorded);
        after.last_request.clone_from(&write.request_id);
        let mut chain = DefaultHasher::new();
        (self.chain, &write.request_id, &write.deeds).hash(&mut chain);
        after.chain = chain.finish();
        Answer::Recorded(after)
    }

    fn apply(&mut self, deed: &Deed) -> Result<(), &'static str> {
        let shown = &mut self.shown;
        shown.refuses(deed).map_or(Ok(()), Err)?;
        match deed {
            Deed::Create(title) | Deed::Describe(title) => shown.title.clone_from(title),
            Deed::Note(_) => drop(self.notes.insert(shown.revision + 1)),
            Deed::AddTactic(id) if !shown.tactics.insert(id.clone()) => return Err("ID_TAKEN"),
            Deed::Archive => shown.archived = true,
            Deed::Reopen(_) if !shown.archived => return Err("PLAN_NOT_ARCHIVED"),
            Deed::Reopen(_) => shown.archived = false,
            Deed::Correct(revision, _) | Deed::Retract(revision)
                if !self.notes.contains(revision) =>
            {
                return Err("NOT_CORRECTABLE");
            }
            Deed::AddTactic(_) | Deed::Correct(..) => {}
            Deed::Retract(revision) => drop(self.notes.remove(revision)),
        }
        shown.notes = self.notes.len();
        shown.revision += 1;
        Ok(())
    }

    fn between(&self, after: &Self, first: u64, last: u64) -> bool {
        first == self.shown.revision + 1 && last == after.shown.revision
    }
}

impl Shown {
    /// Why the plan as a whole does not take a deed.
    fn refuses(&self, deed: &Deed) -> Option<&'static str> {
        let is_new = self.revision == 0;
        match deed {
            Deed::Create(_) => (!is_new).then_some("PLAN_EXISTS"),
            Deed::Reopen(_) => is_new.then_some("PLAN_NOT_FOUND"),
            Deed::Describe(_)
            | Deed::Note(_)
            | Deed::AddTactic(_)
            | Deed::Archive
            | Deed::Correct(..)
            | Deed::Retract(_) => match (is_new, self.archived) {
                (true, _) => Some("PLAN_NOT_FOUND"),
                (false, true) => Some("PLAN_ARCHIVED"),
                (false, false) => None,
            },
        }
    }

    fn of(plan: &Plan) -> Self {
        Self {
            revision: plan.revision,
            title: plan.title.clone(),
            notes: plan.notes as usize,
            tactics: plan.tactics.iter().map(|it| it.tactic_id.clone()).collect(),
            archived: plan.state() == PlanState::Archived,
        }
    }
}

impl Write {
    pub(super) fn of(request: &ExecuteRequest) -> Self {
        let deeds = request
            .commands
            .iter()
            .filter_map(|it| of_command(it.kind.as_ref()?));
        Self {
            request_id: request.request_id.clone(),
            expected_revision: request.expected_revision,
            deeds: deeds.collect(),
        }
    }
}

/// Whether a commit records what a request asks, all of it and in its order.
pub(super) fn records(request: &ExecuteRequest, commit: &Commit) -> bool {
    let recorded = commit.events.iter().map(|it| of_event(it.kind.as_ref()?));
    let asked = request
        .commands
        .iter()
        .map(|it| of_command(it.kind.as_ref()?));
    request.plan_id == commit.plan_id && asked.eq(recorded)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "these histories hold few of all kinds"
)]
fn of_command(kind: &command::Kind) -> Option<Deed> {
    Some(match kind {
        command::Kind::CreatePlan(it) => Deed::Create(it.title.clone()),
        command::Kind::DescribePlan(it) => Deed::Describe(it.title.clone()),
        command::Kind::RecordNote(it) => Deed::Note(it.text.clone()),
        command::Kind::AddTactic(it) => Deed::AddTactic(it.tactic_id.clone()),
        command::Kind::ArchivePlan(_) => Deed::Archive,
        command::Kind::ReopenPlan(it) => Deed::Reopen(it.reason.clone()),
        command::Kind::CorrectEvent(it) => of_correction(it.revision, it.replacement.as_ref()?)?,
        command::Kind::RetractEvent(it) => Deed::Retract(it.revision),
        _ => return None,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "these histories hold few of all kinds"
)]
fn of_event(kind: &event::Kind) -> Option<Deed> {
    Some(match kind {
        event::Kind::PlanCreated(it) => Deed::Create(it.title.clone()),
        event::Kind::PlanDescribed(it) => Deed::Describe(it.title.clone()),
        event::Kind::NoteRecorded(it) => Deed::Note(it.text.clone()),
        event::Kind::TacticAdded(it) => Deed::AddTactic(it.tactic_id.clone()),
        event::Kind::PlanArchived(_) => Deed::Archive,
        event::Kind::PlanReopened(it) => Deed::Reopen(it.reason.clone()),
        event::Kind::EventCorrected(it) => of_correction(it.revision, it.replacement.as_ref()?)?,
        event::Kind::EventRetracted(it) => Deed::Retract(it.revision),
        _ => return None,
    })
}

fn of_correction(revision: u64, replacement: &Event) -> Option<Deed> {
    let Some(event::Kind::NoteRecorded(note)) = &replacement.kind else {
        return None;
    };
    Some(Deed::Correct(revision, note.text.clone()))
}

/// What the calls of a history say of one plan. The log tells at which revision a request was
/// recorded of which no answer came; one that is not in the log was not recorded.
pub(super) fn calls_of(history: &History, log: &Log, plan_id: &str) -> Vec<Timed<PlanCall>> {
    let timed = |call: &Call| {
        let said = said_of(call, log, plan_id)?;
        let unknown = matches!(said, PlanCall::Unknown(..));
        Some(Timed {
            invoked: call.invoked,
            returned: (!unknown).then_some(call.returned),
            call: said,
        })
    };
    history.calls.iter().filter_map(timed).collect()
}

fn said_of(call: &Call, log: &Log, plan_id: &str) -> Option<PlanCall> {
    let absent = call
        .refused()
        .is_some_and(|it| it.reason == "PLAN_NOT_FOUND");
    match &call.request {
        Request::Execute(request) if request.plan_id == plan_id => {
            of_execute(request, &call.outcome, log)
        }
        Request::GetPlan(request) if request.plan_id == plan_id && request.as_of.is_none() => {
            of_plan(&call.outcome).or(absent.then_some(PlanCall::Absent))
        }
        Request::ListEvents(request) if request.plan_id == plan_id && request.newest_first => {
            of_last_event(&call.outcome).or(absent.then_some(PlanCall::Absent))
        }
        Request::ListPlans(_) => of_list(&call.outcome, plan_id),
        Request::Execute(_)
        | Request::GetPlan(_)
        | Request::ListEvents(_)
        | Request::ReadLog(_) => None,
    }
}

fn of_plan(outcome: &Outcome) -> Option<PlanCall> {
    let Outcome::Plan(shown) = outcome else {
        return None;
    };
    let shown = Shown::of(shown.plan.as_ref()?);
    Some(PlanCall::Shown(Box::new(shown)))
}

fn of_last_event(outcome: &Outcome) -> Option<PlanCall> {
    let Outcome::Events(page) = outcome else {
        return None;
    };
    let last = page.events.first()?;
    let revision = last.event.as_ref()?.revision;
    Some(PlanCall::LastEvent(revision, last.request_id.clone()))
}

fn of_list(outcome: &Outcome, plan_id: &str) -> Option<PlanCall> {
    let Outcome::Plans(listed) = outcome else {
        return None;
    };
    let found = listed.plans.iter().find(|it| it.plan_id == plan_id);
    Some(found.map_or(PlanCall::Absent, |it| {
        PlanCall::Listed(it.revision, it.title.clone())
    }))
}

fn of_execute(request: &ExecuteRequest, outcome: &Outcome, log: &Log) -> Option<PlanCall> {
    let write = Write::of(request);
    match outcome {
        Outcome::Executed(response) => {
            let (first, last) = revisions(response)?;
            Some(if response.replayed {
                PlanCall::Replayed(write, first, last)
            } else if request.validate_only {
                PlanCall::Validated(write, first, last)
            } else {
                PlanCall::Recorded(write, first, last)
            })
        }
        Outcome::Refused(refused) if OF_THE_PLAN.contains(&refused.reason.as_str()) => {
            let number = match refused.reason.as_str() {
                "REQUEST_ID_REUSED" => refused.number("revision"),
                "REVISION_CONFLICT" => refused.number("current_revision"),
                _ => None,
            };
            Some(PlanCall::Refused(write, refused.reason.clone(), number))
        }
        Outcome::Unknown(_) if !request.validate_only => {
            let (_, commit) = log.find(&request.plan_id, &request.request_id)?;
            let unknown = PlanCall::Unknown(write, commit.first_revision);
            records(request, commit).then_some(unknown)
        }
        Outcome::Refused(_)
        | Outcome::Unknown(_)
        | Outcome::Plan(_)
        | Outcome::Plans(_)
        | Outcome::Events(_)
        | Outcome::Entries(_) => None,
    }
}

fn revisions(response: &ExecuteResponse) -> Option<(u64, u64)> {
    let commit = response.entry.as_ref()?.decode_commit().ok()?;
    Some((commit.first_revision, response.revision))
}
