//! What an event is about, so that a history can be read by subject.

use foldhash::{HashSet, HashSetExt as _};

use proto::event::Kind;

use crate::{
    domain::value::{Id, Subject},
    proto,
};

/// Everything that an event names, each once. Evidence is about its assumption, a commitment also
/// about its tactic, an attempt also about the tactic that was suggested, a correction about what it
/// puts in place. A retraction and a declined proposal name nothing that is a subject.
#[must_use]
pub fn subjects(event: &proto::Event) -> Vec<Subject> {
    let mut named = Vec::new();
    visit(event, &mut |name| named.push(name.subject()));
    let mut seen = HashSet::with_capacity(named.len());
    named.retain(|subject| seen.insert(subject.clone()));
    named
}

/// Whether a subject is among those that an event names.
#[must_use]
pub fn is_about(event: &proto::Event, subject: &Subject) -> bool {
    let (wanted, mut is_named) = (Name::of(subject), false);
    visit(event, &mut |name| is_named |= name == wanted);
    is_named
}

fn visit(event: &proto::Event, take: &mut dyn FnMut(Name<'_>)) {
    if let Some(kind) = &event.kind {
        collect(&mut Named(take), kind);
    }
}

/// A subject as an event names it. Thousands of events are asked for one subject, and nothing is
/// copied for that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name<'a> {
    Plan,
    Objective,
    Strategy(&'a str),
    Tactic(&'a str),
    Assumption(&'a str),
    Indicator(&'a str),
    Commitment(&'a str),
}

impl<'a> Name<'a> {
    fn of(subject: &'a Subject) -> Self {
        match subject {
            Subject::Plan => Self::Plan,
            Subject::Objective => Self::Objective,
            Subject::Strategy(id) => Self::Strategy(id),
            Subject::Tactic(id) => Self::Tactic(id),
            Subject::Assumption(id) => Self::Assumption(id),
            Subject::Indicator(id) => Self::Indicator(id),
            Subject::Commitment(id) => Self::Commitment(id),
        }
    }

    fn subject(self) -> Subject {
        match self {
            Self::Plan => Subject::Plan,
            Self::Objective => Subject::Objective,
            Self::Strategy(id) => Subject::Strategy(Id::from(id)),
            Self::Tactic(id) => Subject::Tactic(Id::from(id)),
            Self::Assumption(id) => Subject::Assumption(Id::from(id)),
            Self::Indicator(id) => Subject::Indicator(Id::from(id)),
            Self::Commitment(id) => Subject::Commitment(Id::from(id)),
        }
    }
}

/// Who takes what an event names.
struct Named<'v>(&'v mut dyn FnMut(Name<'_>));

impl Named<'_> {
    fn add(&mut self, name: Name<'_>) -> &mut Self {
        (self.0)(name);
        self
    }

    /// Adds what these ids name; an empty one names nothing.
    fn each<'a>(
        &mut self,
        name: impl Fn(&'a str) -> Name<'a>,
        ids: impl IntoIterator<Item = &'a String>,
    ) -> &mut Self {
        for id in ids.into_iter().filter(|id| !id.is_empty()) {
            self.add(name(id));
        }
        self
    }

    fn written(&mut self, subject: &str) -> &mut Self {
        if let Some(subject) = Subject::parse(subject) {
            self.add(Name::of(&subject));
        }
        self
    }
}

fn collect<'a, 'v>(named: &'a mut Named<'v>, kind: &Kind) -> &'a mut Named<'v> {
    match kind {
        Kind::PlanCreated(_)
        | Kind::PlanDescribed(_)
        | Kind::PlanArchived(_)
        | Kind::PlanReopened(_) => named.add(Name::Plan),
        Kind::ObjectiveSet(_) | Kind::ObjectiveRefined(_) | Kind::ObjectiveMet(_) => {
            named.add(Name::Objective)
        }
        Kind::IndicatorDefined(it) => named.each(Name::Indicator, [&it.indicator_id]),
        Kind::IndicatorReplaced(it) => {
            named.each(Name::Indicator, [&it.old_indicator_id, &it.indicator_id])
        }
        Kind::IndicatorRetired(it) => named.each(Name::Indicator, [&it.indicator_id]),
        Kind::MeasurementRecorded(it) => named.each(Name::Indicator, [&it.indicator_id]),
        Kind::AssumptionStated(it) => named.each(Name::Assumption, [&it.assumption_id]),
        Kind::EvidenceRecorded(it) => named.each(Name::Assumption, [&it.assumption_id]),
        Kind::AssumptionSupported(it) => named.each(Name::Assumption, [&it.assumption_id]),
        Kind::AssumptionRefuted(it) => named.each(Name::Assumption, [&it.assumption_id]),
        Kind::AssumptionReopened(it) => named.each(Name::Assumption, [&it.assumption_id]),
        Kind::StrategyAdopted(it) => strategy_adopted(named, it),
        Kind::StrategyRevised(it) => strategy_revised(named, it),
        Kind::RevisionProposed(it) => named.each(Name::Strategy, [&it.strategy_id]),
        Kind::RevisionDeclined(_) | Kind::EventRetracted(_) => named,
        Kind::StrategyBranched(it) => {
            named.each(Name::Strategy, [&it.from_strategy_id, &it.strategy_id])
        }
        Kind::StrategySuperseded(it) => {
            named.each(Name::Strategy, [&it.strategy_id, &it.by_strategy_id])
        }
        Kind::StrategyAbandoned(it) => named.each(Name::Strategy, [&it.strategy_id]),
        Kind::StrategyFulfilled(it) => named.each(Name::Strategy, [&it.strategy_id]),
        Kind::TacticAdded(it) => tactic_added(named, it),
        Kind::TacticReworded(it) => tactic_reworded(named, it),
        Kind::TacticRegrouped(it) => named
            .each(Name::Tactic, [&it.tactic_id])
            .each(Name::Strategy, [&it.strategy_id]),
        Kind::TacticRetired(it) => named.each(Name::Tactic, [&it.tactic_id]),
        Kind::TacticsRanked(it) => named
            .each(Name::Strategy, [&it.strategy_id])
            .each(Name::Tactic, &it.tactic_ids),
        Kind::TacticTried(it) => tactic_tried(named, it),
        Kind::TacticFailed(it) => named
            .each(Name::Tactic, [&it.tactic_id])
            .each(Name::Assumption, &it.suspected_assumption_ids),
        Kind::TacticSucceeded(it) => named.each(Name::Tactic, [&it.tactic_id]),
        Kind::TacticStopped(it) => named.each(Name::Tactic, [&it.tactic_id]),
        Kind::CommitmentMade(it) => named
            .each(Name::Commitment, [&it.commitment_id])
            .each(Name::Tactic, [&it.tactic_id]),
        Kind::CommitmentReassigned(it) => named.each(Name::Commitment, [&it.commitment_id]),
        Kind::CommitmentReleased(it) => named.each(Name::Commitment, [&it.commitment_id]),
        Kind::DeadlineMoved(it) => named.each(Name::Commitment, [&it.commitment_id]),
        Kind::CommitmentKept(it) => named.each(Name::Commitment, [&it.commitment_id]),
        Kind::DeadlineMissed(it) => named.each(Name::Commitment, [&it.commitment_id]),
        Kind::EventCorrected(it) => event_corrected(named, it),
        Kind::FindingAcknowledged(it) => named.written(&it.subject),
        Kind::NoteRecorded(it) => named.written(&it.subject),
    }
}

fn strategy_adopted<'a, 'v>(
    named: &'a mut Named<'v>,
    it: &proto::StrategyAdopted,
) -> &'a mut Named<'v> {
    named
        .each(Name::Strategy, [&it.strategy_id])
        .each(Name::Assumption, &it.assumption_ids)
        .each(Name::Indicator, &it.indicator_ids)
}

fn strategy_revised<'a, 'v>(
    named: &'a mut Named<'v>,
    it: &proto::StrategyRevised,
) -> &'a mut Named<'v> {
    named
        .each(Name::Strategy, [&it.strategy_id])
        .each(Name::Assumption, &it.assumption_ids)
        .each(Name::Indicator, &it.indicator_ids)
        .each(Name::Tactic, &it.retire_tactic_ids)
}

fn tactic_added<'a, 'v>(named: &'a mut Named<'v>, it: &proto::TacticAdded) -> &'a mut Named<'v> {
    named
        .each(Name::Tactic, [&it.tactic_id])
        .each(Name::Strategy, [&it.strategy_id])
        .each(Name::Assumption, &it.assumption_ids)
        .each(Name::Tactic, &it.after_tactic_ids)
}

fn tactic_reworded<'a, 'v>(
    named: &'a mut Named<'v>,
    it: &proto::TacticReworded,
) -> &'a mut Named<'v> {
    named
        .each(Name::Tactic, [&it.tactic_id])
        .each(Name::Assumption, &it.assumption_ids)
        .each(Name::Tactic, &it.after_tactic_ids)
}

fn tactic_tried<'a, 'v>(named: &'a mut Named<'v>, it: &proto::TacticTried) -> &'a mut Named<'v> {
    let suggested = it.suggestion.iter().map(|suggestion| &suggestion.tactic_id);
    named
        .each(Name::Tactic, [&it.tactic_id])
        .each(Name::Tactic, suggested)
}

fn event_corrected<'a, 'v>(
    named: &'a mut Named<'v>,
    it: &proto::EventCorrected,
) -> &'a mut Named<'v> {
    match it
        .replacement
        .as_ref()
        .and_then(|event| event.kind.as_ref())
    {
        // A correction is never corrected, so this goes one step down and no further.
        Some(Kind::EventCorrected(_)) | None => named,
        Some(kind) => collect(named, kind),
    }
}
