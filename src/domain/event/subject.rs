//! What an event is about, so that a history can be read by subject.

use std::collections::HashSet;

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
    let mut named = Named(Vec::new());
    if let Some(kind) = &event.kind {
        collect(&mut named, kind);
    }
    let mut seen = HashSet::with_capacity(named.0.len());
    named.0.retain(|subject| seen.insert(subject.clone()));
    named.0
}

struct Named(Vec<Subject>);

impl Named {
    fn add(&mut self, subject: Subject) -> &mut Self {
        self.0.push(subject);
        self
    }

    /// Adds what these ids name; an empty one names nothing.
    fn each<'a>(
        &mut self,
        subject: impl Fn(Id) -> Subject,
        ids: impl IntoIterator<Item = &'a String>,
    ) -> &mut Self {
        for id in ids.into_iter().filter(|id| !id.is_empty()) {
            self.add(subject(Id::from(id.as_str())));
        }
        self
    }

    fn written(&mut self, subject: &str) -> &mut Self {
        if let Some(subject) = Subject::parse(subject) {
            self.add(subject);
        }
        self
    }
}

fn collect<'a>(named: &'a mut Named, kind: &Kind) -> &'a mut Named {
    match kind {
        Kind::PlanCreated(_)
        | Kind::PlanDescribed(_)
        | Kind::PlanArchived(_)
        | Kind::PlanReopened(_) => named.add(Subject::Plan),
        Kind::ObjectiveSet(_) | Kind::ObjectiveRefined(_) | Kind::ObjectiveMet(_) => {
            named.add(Subject::Objective)
        }
        Kind::IndicatorDefined(it) => named.each(Subject::Indicator, [&it.indicator_id]),
        Kind::IndicatorReplaced(it) => {
            named.each(Subject::Indicator, [&it.old_indicator_id, &it.indicator_id])
        }
        Kind::IndicatorRetired(it) => named.each(Subject::Indicator, [&it.indicator_id]),
        Kind::MeasurementRecorded(it) => named.each(Subject::Indicator, [&it.indicator_id]),
        Kind::AssumptionStated(it) => named.each(Subject::Assumption, [&it.assumption_id]),
        Kind::EvidenceRecorded(it) => named.each(Subject::Assumption, [&it.assumption_id]),
        Kind::AssumptionSupported(it) => named.each(Subject::Assumption, [&it.assumption_id]),
        Kind::AssumptionRefuted(it) => named.each(Subject::Assumption, [&it.assumption_id]),
        Kind::AssumptionReopened(it) => named.each(Subject::Assumption, [&it.assumption_id]),
        Kind::StrategyAdopted(it) => strategy_adopted(named, it),
        Kind::StrategyRevised(it) => strategy_revised(named, it),
        Kind::RevisionProposed(it) => named.each(Subject::Strategy, [&it.strategy_id]),
        Kind::RevisionDeclined(_) | Kind::EventRetracted(_) => named,
        Kind::StrategyBranched(it) => {
            named.each(Subject::Strategy, [&it.from_strategy_id, &it.strategy_id])
        }
        Kind::StrategySuperseded(it) => {
            named.each(Subject::Strategy, [&it.strategy_id, &it.by_strategy_id])
        }
        Kind::StrategyAbandoned(it) => named.each(Subject::Strategy, [&it.strategy_id]),
        Kind::StrategyFulfilled(it) => named.each(Subject::Strategy, [&it.strategy_id]),
        Kind::TacticAdded(it) => tactic_added(named, it),
        Kind::TacticReworded(it) => tactic_reworded(named, it),
        Kind::TacticRegrouped(it) => named
            .each(Subject::Tactic, [&it.tactic_id])
            .each(Subject::Strategy, [&it.strategy_id]),
        Kind::TacticRetired(it) => named.each(Subject::Tactic, [&it.tactic_id]),
        Kind::TacticsRanked(it) => named
            .each(Subject::Strategy, [&it.strategy_id])
            .each(Subject::Tactic, &it.tactic_ids),
        Kind::TacticTried(it) => tactic_tried(named, it),
        Kind::TacticFailed(it) => named
            .each(Subject::Tactic, [&it.tactic_id])
            .each(Subject::Assumption, &it.suspected_assumption_ids),
        Kind::TacticSucceeded(it) => named.each(Subject::Tactic, [&it.tactic_id]),
        Kind::TacticStopped(it) => named.each(Subject::Tactic, [&it.tactic_id]),
        Kind::CommitmentMade(it) => named
            .each(Subject::Commitment, [&it.commitment_id])
            .each(Subject::Tactic, [&it.tactic_id]),
        Kind::CommitmentReassigned(it) => named.each(Subject::Commitment, [&it.commitment_id]),
        Kind::CommitmentReleased(it) => named.each(Subject::Commitment, [&it.commitment_id]),
        Kind::DeadlineMoved(it) => named.each(Subject::Commitment, [&it.commitment_id]),
        Kind::CommitmentKept(it) => named.each(Subject::Commitment, [&it.commitment_id]),
        Kind::DeadlineMissed(it) => named.each(Subject::Commitment, [&it.commitment_id]),
        Kind::EventCorrected(it) => event_corrected(named, it),
        Kind::FindingAcknowledged(it) => named.written(&it.subject),
        Kind::NoteRecorded(it) => named.written(&it.subject),
    }
}

fn strategy_adopted<'a>(named: &'a mut Named, it: &proto::StrategyAdopted) -> &'a mut Named {
    named
        .each(Subject::Strategy, [&it.strategy_id])
        .each(Subject::Assumption, &it.assumption_ids)
        .each(Subject::Indicator, &it.indicator_ids)
}

fn strategy_revised<'a>(named: &'a mut Named, it: &proto::StrategyRevised) -> &'a mut Named {
    named
        .each(Subject::Strategy, [&it.strategy_id])
        .each(Subject::Assumption, &it.assumption_ids)
        .each(Subject::Indicator, &it.indicator_ids)
        .each(Subject::Tactic, &it.retire_tactic_ids)
}

fn tactic_added<'a>(named: &'a mut Named, it: &proto::TacticAdded) -> &'a mut Named {
    named
        .each(Subject::Tactic, [&it.tactic_id])
        .each(Subject::Strategy, [&it.strategy_id])
        .each(Subject::Assumption, &it.assumption_ids)
        .each(Subject::Tactic, &it.after_tactic_ids)
}

fn tactic_reworded<'a>(named: &'a mut Named, it: &proto::TacticReworded) -> &'a mut Named {
    named
        .each(Subject::Tactic, [&it.tactic_id])
        .each(Subject::Assumption, &it.assumption_ids)
        .each(Subject::Tactic, &it.after_tactic_ids)
}

fn tactic_tried<'a>(named: &'a mut Named, it: &proto::TacticTried) -> &'a mut Named {
    let suggested = it.suggestion.iter().map(|suggestion| &suggestion.tactic_id);
    named
        .each(Subject::Tactic, [&it.tactic_id])
        .each(Subject::Tactic, suggested)
}

fn event_corrected<'a>(named: &'a mut Named, it: &proto::EventCorrected) -> &'a mut Named {
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
