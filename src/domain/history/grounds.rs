//! From when an event counts as of an occurred time: from the latest of its own time and those of
//! the events it builds on. Events may be recorded long after they occurred and out of order, but a
//! tactic is never seen tried before it is there, whatever the dates say.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use super::{Recorded, Time};
use crate::proto::{self, Cause, Event, Verdict, event::Kind};

/// Something that has a first event, which all that name it build on, and a story: the events that
/// made it what it is, each of which builds on the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Thing<'a> {
    /// The story is how it was archived and reopened.
    Plan,
    /// The story is what it was stated to be, and that it was met.
    Objective,
    Indicator(&'a str),
    /// The story is what was concluded about it.
    Assumption(&'a str),
    /// The story is its revisions, and its end.
    Strategy(&'a str),
    Proposal(&'a str),
    /// The story is under which strategy it was put.
    Tactic(&'a str),
    /// The story is all of its events.
    Commitment(&'a str),
}

/// What an event can build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ground<'a> {
    /// The first event of a thing.
    Founding(Thing<'a>),
    /// The last event of its story.
    Story(Thing<'a>),
    /// The first evidence about an assumption that says so: a conclusion needs one.
    Evidence(&'a str, Verdict),
    /// The last event of the attempts of a tactic.
    Attempts(&'a str),
    /// The last event of attempts that were made under a strategy: it ends when none is open.
    AttemptsUnder(&'a str),
    /// The last event of any attempt or commitment: a plan is archived when none is open.
    Undertakings,
}

/// From when each event counts. The events are those of one plan as they hold, ascending by revision.
pub(super) fn counted_from(plan_id: &str, events: &[Arc<Recorded>]) -> Vec<Time> {
    let mut counted: Vec<_> = events.iter().map(|it| it.occurred_at()).collect();
    // What is recorded as it occurs is in order, and then nothing waits for anything.
    if counted.is_sorted() {
        return counted;
    }
    counted.clear();
    let mut grounds = Grounds {
        laid: HashMap::with_capacity(events.len()),
        ..Grounds::default()
    };
    let mut laid = Vec::new();
    for recorded in events {
        let event = &recorded.event;
        let mut step = Step {
            grounds: &mut grounds,
            from: recorded.occurred_at(),
            laid: &mut laid,
        };
        // What was retracted is not among the events, and nothing waits for it.
        for revision in cited(plan_id, event) {
            let place = events.binary_search_by_key(&revision, |it| it.event.revision);
            let from = place.ok().and_then(|place| counted.get(place));
            step.wait_until(from.copied());
        }
        if let Some(kind) = &event.kind {
            take(&mut step, kind);
        }
        counted.push(step.end());
    }
    counted
}

/// The earlier events of the plan that an event names by their revision.
fn cited<'a>(plan_id: &'a str, event: &'a Event) -> impl Iterator<Item = u64> + 'a {
    let is_of_plan = move |cause: &&Cause| cause.plan_id.is_empty() || cause.plan_id == plan_id;
    let corrected = if let Some(Kind::EventCorrected(it)) = &event.kind {
        Some(it.revision)
    } else {
        None
    };
    let causes = event.because.iter().filter(is_of_plan);
    causes.map(|cause| cause.revision).chain(corrected)
}

/// What events have laid so far, and from when it counts.
#[derive(Default)]
struct Grounds<'a> {
    laid: HashMap<Ground<'a>, Time>,
    /// That the plan was created: every event asks for it.
    created: Option<Time>,
    /// The latest of all: what occurred no earlier waits for nothing.
    latest: Option<Time>,
    /// Under which strategy a tactic is put.
    strategies: HashMap<&'a str, &'a str>,
}

/// One event: what it builds on is looked up first, what it lays is laid once its time is known.
struct Step<'g, 'a> {
    grounds: &'g mut Grounds<'a>,
    from: Time,
    laid: &'g mut Vec<Ground<'a>>,
}

impl<'a> Step<'_, 'a> {
    fn wait_until(&mut self, time: Option<Time>) {
        self.from = time.map_or(self.from, |time| time.max(self.from));
    }

    fn on(&mut self, ground: Ground<'a>) -> &mut Self {
        if self.grounds.latest <= Some(self.from) {
            return self;
        }
        let time = self.grounds.laid.get(&ground).copied();
        self.wait_until(time);
        self
    }

    fn on_thing(&mut self, thing: Thing<'a>) -> &mut Self {
        self.on(Ground::Founding(thing))
    }

    fn on_created(&mut self) -> &mut Self {
        self.wait_until(self.grounds.created);
        self
    }

    fn on_each(
        &mut self,
        thing: impl Fn(&'a str) -> Thing<'a>,
        ids: impl IntoIterator<Item = &'a String>,
    ) -> &mut Self {
        for id in ids {
            self.on_thing(thing(id));
        }
        self
    }

    /// On where the tactics are put.
    fn on_put(&mut self, tactic_ids: impl IntoIterator<Item = &'a String>) -> &mut Self {
        for tactic_id in tactic_ids {
            self.on(Ground::Story(Thing::Tactic(tactic_id)));
        }
        self
    }

    /// On where the tactics are put, and on the ends of their attempts: what is tried is not moved.
    fn on_ended(&mut self, tactic_ids: impl IntoIterator<Item = &'a String>) -> &mut Self {
        for tactic_id in tactic_ids {
            self.on(Ground::Story(Thing::Tactic(tactic_id)))
                .on(Ground::Attempts(tactic_id));
        }
        self
    }

    fn on_subject(&mut self, subject: &'a str) -> &mut Self {
        let thing = match subject.split_once('/') {
            Some(("indicators", id)) => Thing::Indicator(id),
            Some(("assumptions", id)) => Thing::Assumption(id),
            Some(("strategies", id)) => Thing::Strategy(id),
            Some(("tactics", id)) => Thing::Tactic(id),
            Some(("commitments", id)) => Thing::Commitment(id),
            None if subject == "objective" => Thing::Objective,
            Some(_) | None => return self,
        };
        self.on_thing(thing)
    }

    fn lay(&mut self, ground: Ground<'a>) -> &mut Self {
        self.laid.push(ground);
        self
    }

    /// The event is the first of all.
    fn create(&mut self) -> &mut Self {
        self.grounds.created = Some(self.from);
        self
    }

    /// The event is the first of the thing.
    fn found(&mut self, thing: Thing<'a>) -> &mut Self {
        self.lay(Ground::Founding(thing)).lay(Ground::Story(thing))
    }

    /// The event goes on with the story of the thing.
    fn go_on(&mut self, thing: Thing<'a>) -> &mut Self {
        let story = Ground::Story(thing);
        self.on(story).lay(story)
    }

    fn conclude(&mut self, assumption_id: &'a str, verdict: Verdict) -> &mut Self {
        self.on(Ground::Evidence(assumption_id, verdict))
            .go_on(Thing::Assumption(assumption_id))
    }

    fn end_strategy(&mut self, strategy_id: &'a str) -> &mut Self {
        self.on(Ground::AttemptsUnder(strategy_id))
            .go_on(Thing::Strategy(strategy_id))
    }

    fn add_tactic(&mut self, added: &'a proto::TacticAdded) -> &mut Self {
        self.on_each(Thing::Assumption, &added.assumption_ids)
            .on_each(Thing::Tactic, &added.after_tactic_ids)
            .put(&added.tactic_id, &added.strategy_id)
            .found(Thing::Tactic(&added.tactic_id))
    }

    /// The tactic serves this strategy from now on.
    fn put(&mut self, tactic_id: &'a str, strategy_id: &'a str) -> &mut Self {
        self.grounds.strategies.insert(tactic_id, strategy_id);
        self.on_thing(Thing::Strategy(strategy_id))
    }

    /// An attempt begins or ends.
    fn attempt(&mut self, tactic_id: &'a str) -> &mut Self {
        if let Some(strategy_id) = self.grounds.strategies.get(tactic_id).copied() {
            self.lay(Ground::AttemptsUnder(strategy_id));
        }
        let attempts = Ground::Attempts(tactic_id);
        self.on(attempts).lay(attempts).lay(Ground::Undertakings)
    }

    /// A commitment goes on, and perhaps ends.
    fn promise(&mut self, commitment_id: &'a str) -> &mut Self {
        self.go_on(Thing::Commitment(commitment_id))
            .lay(Ground::Undertakings)
    }

    fn end(self) -> Time {
        let from = self.from;
        self.grounds.latest = self.grounds.latest.max(Some(from));
        for ground in self.laid.drain(..) {
            let laid = self.grounds.laid.entry(ground).or_insert(from);
            *laid = match ground {
                // The first is enough.
                Ground::Evidence(..) => from.min(*laid),
                Ground::Founding(_)
                | Ground::Story(_)
                | Ground::Attempts(_)
                | Ground::AttemptsUnder(_)
                | Ground::Undertakings => from.max(*laid),
            };
        }
        from
    }
}

/// What an event builds on, and what it lays for later ones.
fn take<'s, 'g, 'a>(step: &'s mut Step<'g, 'a>, kind: &'a Kind) -> &'s mut Step<'g, 'a> {
    use Thing::{Assumption, Commitment, Indicator, Objective, Plan, Proposal, Strategy, Tactic};
    match kind {
        Kind::PlanCreated(_) => step.create(),
        Kind::PlanDescribed(_) | Kind::EventCorrected(_) | Kind::EventRetracted(_) => step,
        Kind::PlanArchived(_) => step.on(Ground::Undertakings).go_on(Plan),
        Kind::PlanReopened(_) => step.go_on(Plan),
        Kind::ObjectiveSet(_) => step.found(Objective),
        Kind::ObjectiveRefined(_) | Kind::ObjectiveMet(_) => step.go_on(Objective),
        Kind::IndicatorDefined(it) => step.found(Indicator(&it.indicator_id)),
        Kind::IndicatorReplaced(it) => step
            .on_thing(Indicator(&it.old_indicator_id))
            .found(Indicator(&it.indicator_id)),
        Kind::IndicatorRetired(it) => step.on_thing(Indicator(&it.indicator_id)),
        Kind::MeasurementRecorded(it) => step.on_thing(Indicator(&it.indicator_id)),
        Kind::AssumptionStated(it) => step.found(Assumption(&it.assumption_id)),
        Kind::EvidenceRecorded(it) => step
            .on_thing(Assumption(&it.assumption_id))
            .lay(Ground::Evidence(&it.assumption_id, it.verdict())),
        Kind::AssumptionSupported(it) => step.conclude(&it.assumption_id, Verdict::Supports),
        Kind::AssumptionRefuted(it) => step.conclude(&it.assumption_id, Verdict::Refutes),
        Kind::AssumptionReopened(it) => step.go_on(Assumption(&it.assumption_id)),
        Kind::StrategyAdopted(it) => step
            .on_each(Assumption, &it.assumption_ids)
            .on_each(Indicator, &it.indicator_ids)
            .found(Strategy(&it.strategy_id)),
        Kind::StrategyRevised(it) => step
            .on_each(Assumption, &it.assumption_ids)
            .on_each(Indicator, &it.indicator_ids)
            .on_ended(&it.retire_tactic_ids)
            .on_thing(Proposal(&it.proposal_id))
            .go_on(Strategy(&it.strategy_id)),
        Kind::RevisionProposed(it) => step
            .on_thing(Strategy(&it.strategy_id))
            .found(Proposal(&it.proposal_id)),
        Kind::RevisionDeclined(it) => step.on_thing(Proposal(&it.proposal_id)),
        // A branch copies what its origin says then.
        Kind::StrategyBranched(it) => step
            .on(Ground::Story(Strategy(&it.from_strategy_id)))
            .found(Strategy(&it.strategy_id)),
        Kind::StrategySuperseded(it) => step
            .on_thing(Strategy(&it.by_strategy_id))
            .end_strategy(&it.strategy_id),
        Kind::StrategyAbandoned(it) => step.end_strategy(&it.strategy_id),
        Kind::StrategyFulfilled(it) => step.end_strategy(&it.strategy_id),
        Kind::TacticAdded(it) => step.add_tactic(it),
        Kind::TacticReworded(it) => step
            .on_thing(Tactic(&it.tactic_id))
            .on(Ground::Attempts(&it.tactic_id))
            .on_each(Assumption, &it.assumption_ids)
            .on_each(Tactic, &it.after_tactic_ids),
        Kind::TacticRegrouped(it) => step
            .on_ended([&it.tactic_id])
            .put(&it.tactic_id, &it.strategy_id)
            .go_on(Tactic(&it.tactic_id)),
        Kind::TacticRetired(it) => step.on_ended([&it.tactic_id]),
        Kind::TacticsRanked(it) => step
            .on_thing(Strategy(&it.strategy_id))
            .on_put(&it.tactic_ids),
        Kind::TacticTried(it) => step
            .on_each(Tactic, it.suggestion.iter().map(|it| &it.tactic_id))
            .on_put([&it.tactic_id])
            .attempt(&it.tactic_id),
        Kind::TacticFailed(it) => step
            .on_each(Assumption, &it.suspected_assumption_ids)
            .attempt(&it.tactic_id),
        Kind::TacticSucceeded(it) => step.attempt(&it.tactic_id),
        Kind::TacticStopped(it) => step.attempt(&it.tactic_id),
        Kind::CommitmentMade(it) => step
            .on_thing(Tactic(&it.tactic_id))
            .lay(Ground::Undertakings)
            .found(Commitment(&it.commitment_id)),
        Kind::CommitmentReassigned(it) => step.promise(&it.commitment_id),
        Kind::CommitmentReleased(it) => step.promise(&it.commitment_id),
        Kind::DeadlineMoved(it) => step.promise(&it.commitment_id),
        Kind::CommitmentKept(it) => step.promise(&it.commitment_id),
        Kind::DeadlineMissed(it) => step.promise(&it.commitment_id),
        Kind::FindingAcknowledged(it) => step.on_subject(&it.subject),
        Kind::NoteRecorded(it) => step.on_subject(&it.subject),
    }
    .on_created()
}
