//! Events back to commands. An event holds all that its command said and what the daemon added; the
//! command is what is left without the latter.

use proto::{command::Kind as Command, event::Kind};

use crate::proto;

/// The command that would record this event again. None for an event without a kind.
#[must_use]
pub fn command_of(event: &proto::Event) -> Option<proto::Command> {
    let kind = command_kind(event.kind.clone()?);
    Some(proto::Command { kind: Some(kind) })
}

fn command_kind(kind: Kind) -> Command {
    match kind {
        Kind::PlanCreated(it) => Command::CreatePlan(it.into()),
        Kind::PlanDescribed(it) => Command::DescribePlan(it.into()),
        Kind::PlanArchived(it) => Command::ArchivePlan(it.into()),
        Kind::PlanReopened(it) => Command::ReopenPlan(it.into()),
        Kind::ObjectiveSet(it) => Command::SetObjective(it.into()),
        Kind::ObjectiveRefined(it) => Command::SetObjective(it.into()),
        Kind::ObjectiveMet(it) => Command::MarkObjectiveMet(it.into()),
        Kind::IndicatorDefined(it) => Command::DefineIndicator(it.into()),
        Kind::IndicatorReplaced(it) => Command::ReplaceIndicator(it.into()),
        Kind::IndicatorRetired(it) => Command::RetireIndicator(it.into()),
        Kind::MeasurementRecorded(it) => Command::RecordMeasurement(it.into()),
        Kind::AssumptionStated(it) => Command::StateAssumption(it.into()),
        Kind::EvidenceRecorded(it) => Command::RecordEvidence(it.into()),
        Kind::AssumptionSupported(it) => conclude(it.assumption_id, proto::Conclusion::Supported),
        Kind::AssumptionRefuted(it) => conclude(it.assumption_id, proto::Conclusion::Refuted),
        Kind::AssumptionReopened(it) => Command::ReopenAssumption(it.into()),
        Kind::StrategyAdopted(it) => Command::AdoptStrategy(it.into()),
        Kind::StrategyRevised(it) => Command::ReviseStrategy(it.into()),
        Kind::RevisionProposed(it) => Command::ProposeRevision(it.into()),
        Kind::RevisionDeclined(it) => Command::DeclineRevision(it.into()),
        Kind::StrategyBranched(it) => Command::BranchStrategy(it.into()),
        Kind::StrategySuperseded(it) => Command::SupersedeStrategy(it.into()),
        Kind::StrategyAbandoned(it) => Command::AbandonStrategy(it.into()),
        Kind::StrategyFulfilled(it) => Command::FulfilStrategy(it.into()),
        Kind::TacticAdded(it) => Command::AddTactic(it.into()),
        Kind::TacticReworded(it) => Command::RewordTactic(it.into()),
        Kind::TacticRegrouped(it) => Command::RegroupTactic(it.into()),
        Kind::TacticRetired(it) => Command::RetireTactic(it.into()),
        Kind::TacticsRanked(it) => Command::RankTactics(it.into()),
        Kind::TacticTried(it) => Command::TryTactic(it.into()),
        Kind::TacticFailed(it) => Command::FailTactic(it.into()),
        Kind::TacticSucceeded(it) => Command::SucceedTactic(it.into()),
        Kind::TacticStopped(it) => Command::StopTactic(it.into()),
        Kind::CommitmentMade(it) => Command::MakeCommitment(it.into()),
        Kind::CommitmentReassigned(it) => Command::ReassignCommitment(it.into()),
        Kind::CommitmentReleased(it) => Command::ReleaseCommitment(it.into()),
        Kind::DeadlineMoved(it) => Command::MoveDeadline(it.into()),
        Kind::CommitmentKept(it) => Command::KeepCommitment(it.into()),
        Kind::DeadlineMissed(it) => missed(it),
        Kind::EventCorrected(it) => Command::CorrectEvent((*it).into()),
        Kind::EventRetracted(it) => Command::RetractEvent(it.into()),
        Kind::FindingAcknowledged(it) => Command::AcknowledgeFinding(it.into()),
        Kind::NoteRecorded(it) => Command::RecordNote(it.into()),
    }
}

fn conclude(assumption_id: String, conclusion: proto::Conclusion) -> Command {
    Command::ConcludeAssumption(proto::ConcludeAssumption {
        assumption_id,
        conclusion: conclusion.into(),
    })
}

fn missed(it: proto::DeadlineMissed) -> Command {
    if it.silent {
        Command::LapseCommitment(proto::LapseCommitment {
            commitment_id: it.commitment_id,
            due: it.due,
        })
    } else {
        Command::MissCommitment(proto::MissCommitment {
            commitment_id: it.commitment_id,
            reason: it.reason,
        })
    }
}

impl From<proto::PlanCreated> for proto::CreatePlan {
    fn from(it: proto::PlanCreated) -> Self {
        Self {
            title: it.title,
            summary: it.summary,
            labels: it.labels,
        }
    }
}

impl From<proto::PlanDescribed> for proto::DescribePlan {
    fn from(it: proto::PlanDescribed) -> Self {
        Self {
            title: it.title,
            summary: it.summary,
            labels: it.labels,
        }
    }
}

impl From<proto::PlanArchived> for proto::ArchivePlan {
    fn from(it: proto::PlanArchived) -> Self {
        Self {
            outcome: it.outcome,
            reason: it.reason,
            successor_plan_id: it.successor_plan_id,
        }
    }
}

impl From<proto::PlanReopened> for proto::ReopenPlan {
    fn from(it: proto::PlanReopened) -> Self {
        Self { reason: it.reason }
    }
}

impl From<proto::ObjectiveSet> for proto::SetObjective {
    fn from(it: proto::ObjectiveSet) -> Self {
        Self {
            statement: it.statement,
            measure: it.measure,
            baseline: it.baseline,
            target: it.target,
            unit: it.unit,
            horizon: it.horizon,
            reason: it.reason,
        }
    }
}

impl From<proto::ObjectiveRefined> for proto::SetObjective {
    fn from(it: proto::ObjectiveRefined) -> Self {
        Self {
            statement: it.statement,
            measure: it.measure,
            baseline: it.baseline,
            target: it.target,
            unit: it.unit,
            horizon: it.horizon,
            reason: it.reason,
        }
    }
}

impl From<proto::ObjectiveMet> for proto::MarkObjectiveMet {
    fn from(it: proto::ObjectiveMet) -> Self {
        Self {
            evidence: it.evidence,
        }
    }
}

impl From<proto::IndicatorDefined> for proto::DefineIndicator {
    fn from(it: proto::IndicatorDefined) -> Self {
        Self {
            indicator_id: it.indicator_id,
            name: it.name,
            unit: it.unit,
            direction: it.direction,
            target: it.target,
            cadence: it.cadence,
        }
    }
}

impl From<proto::IndicatorReplaced> for proto::ReplaceIndicator {
    fn from(it: proto::IndicatorReplaced) -> Self {
        Self {
            old_indicator_id: it.old_indicator_id,
            indicator_id: it.indicator_id,
            name: it.name,
            unit: it.unit,
            direction: it.direction,
            target: it.target,
            cadence: it.cadence,
            reason: it.reason,
        }
    }
}

impl From<proto::IndicatorRetired> for proto::RetireIndicator {
    fn from(it: proto::IndicatorRetired) -> Self {
        Self {
            indicator_id: it.indicator_id,
            reason: it.reason,
        }
    }
}

impl From<proto::MeasurementRecorded> for proto::RecordMeasurement {
    fn from(it: proto::MeasurementRecorded) -> Self {
        Self {
            indicator_id: it.indicator_id,
            value: it.value,
            unit: it.unit,
            window: it.window,
            note: it.note,
        }
    }
}

impl From<proto::AssumptionStated> for proto::StateAssumption {
    fn from(it: proto::AssumptionStated) -> Self {
        Self {
            assumption_id: it.assumption_id,
            statement: it.statement,
            kind: it.kind,
            load_bearing: it.load_bearing,
            vulnerable: it.vulnerable,
            signpost: it.signpost,
        }
    }
}

impl From<proto::EvidenceRecorded> for proto::RecordEvidence {
    fn from(it: proto::EvidenceRecorded) -> Self {
        Self {
            evidence_id: it.evidence_id,
            assumption_id: it.assumption_id,
            verdict: it.verdict,
            strength: it.strength,
            summary: it.summary,
            uri: it.uri,
        }
    }
}

impl From<proto::AssumptionReopened> for proto::ReopenAssumption {
    fn from(it: proto::AssumptionReopened) -> Self {
        Self {
            assumption_id: it.assumption_id,
            reason: it.reason,
        }
    }
}

impl From<proto::StrategyAdopted> for proto::AdoptStrategy {
    fn from(it: proto::StrategyAdopted) -> Self {
        Self {
            strategy_id: it.strategy_id,
            intent: it.intent,
            diagnosis: it.diagnosis,
            will: it.will,
            will_not: it.will_not,
            assumption_ids: it.assumption_ids,
            indicator_ids: it.indicator_ids,
        }
    }
}

impl From<proto::StrategyRevised> for proto::ReviseStrategy {
    fn from(it: proto::StrategyRevised) -> Self {
        Self {
            strategy_id: it.strategy_id,
            parent_revision: it.parent_revision,
            intent: it.intent,
            diagnosis: it.diagnosis,
            will: it.will,
            will_not: it.will_not,
            assumption_ids: it.assumption_ids,
            indicator_ids: it.indicator_ids,
            reason: it.reason,
            options_considered: it.options_considered,
            retire_tactic_ids: it.retire_tactic_ids,
            proposal_id: it.proposal_id,
            unprompted: it.unprompted,
        }
    }
}

impl From<proto::RevisionProposed> for proto::ProposeRevision {
    fn from(it: proto::RevisionProposed) -> Self {
        Self {
            strategy_id: it.strategy_id,
            proposal_id: it.proposal_id,
            intent: it.intent,
            reason: it.reason,
        }
    }
}

impl From<proto::RevisionDeclined> for proto::DeclineRevision {
    fn from(it: proto::RevisionDeclined) -> Self {
        Self {
            proposal_id: it.proposal_id,
            reason: it.reason,
        }
    }
}

impl From<proto::StrategyBranched> for proto::BranchStrategy {
    fn from(it: proto::StrategyBranched) -> Self {
        Self {
            from_strategy_id: it.from_strategy_id,
            strategy_id: it.strategy_id,
            intent: it.intent,
            reason: it.reason,
        }
    }
}

impl From<proto::StrategySuperseded> for proto::SupersedeStrategy {
    fn from(it: proto::StrategySuperseded) -> Self {
        Self {
            strategy_id: it.strategy_id,
            by_strategy_id: it.by_strategy_id,
            reason: it.reason,
        }
    }
}

impl From<proto::StrategyAbandoned> for proto::AbandonStrategy {
    fn from(it: proto::StrategyAbandoned) -> Self {
        Self {
            strategy_id: it.strategy_id,
            reason: it.reason,
        }
    }
}

impl From<proto::StrategyFulfilled> for proto::FulfilStrategy {
    fn from(it: proto::StrategyFulfilled) -> Self {
        Self {
            strategy_id: it.strategy_id,
            evidence: it.evidence,
        }
    }
}

impl From<proto::TacticAdded> for proto::AddTactic {
    fn from(it: proto::TacticAdded) -> Self {
        Self {
            tactic_id: it.tactic_id,
            strategy_id: it.strategy_id,
            statement: it.statement,
            kind: it.kind,
            cost: it.cost,
            rank: it.rank,
            assumption_ids: it.assumption_ids,
            after_tactic_ids: it.after_tactic_ids,
        }
    }
}

impl From<proto::TacticReworded> for proto::RewordTactic {
    fn from(it: proto::TacticReworded) -> Self {
        Self {
            tactic_id: it.tactic_id,
            statement: it.statement,
            kind: it.kind,
            cost: it.cost,
            assumption_ids: it.assumption_ids,
            after_tactic_ids: it.after_tactic_ids,
            reason: it.reason,
        }
    }
}

impl From<proto::TacticRegrouped> for proto::RegroupTactic {
    fn from(it: proto::TacticRegrouped) -> Self {
        Self {
            tactic_id: it.tactic_id,
            strategy_id: it.strategy_id,
        }
    }
}

impl From<proto::TacticRetired> for proto::RetireTactic {
    fn from(it: proto::TacticRetired) -> Self {
        Self {
            tactic_id: it.tactic_id,
            reason: it.reason,
        }
    }
}

impl From<proto::TacticsRanked> for proto::RankTactics {
    fn from(it: proto::TacticsRanked) -> Self {
        Self {
            strategy_id: it.strategy_id,
            tactic_ids: it.tactic_ids,
        }
    }
}

impl From<proto::TacticTried> for proto::TryTactic {
    fn from(it: proto::TacticTried) -> Self {
        Self {
            tactic_id: it.tactic_id,
            expected: it.expected,
            confidence: it.confidence,
            stop_rule: it.stop_rule,
            reason: it.reason,
        }
    }
}

impl From<proto::TacticFailed> for proto::FailTactic {
    fn from(it: proto::TacticFailed) -> Self {
        Self {
            tactic_id: it.tactic_id,
            failure: it.failure,
            observed: it.observed,
            suspected_assumption_ids: it.suspected_assumption_ids,
        }
    }
}

impl From<proto::TacticSucceeded> for proto::SucceedTactic {
    fn from(it: proto::TacticSucceeded) -> Self {
        Self {
            tactic_id: it.tactic_id,
            observed: it.observed,
        }
    }
}

impl From<proto::TacticStopped> for proto::StopTactic {
    fn from(it: proto::TacticStopped) -> Self {
        Self {
            tactic_id: it.tactic_id,
            reason: it.reason,
            inconclusive: it.inconclusive,
        }
    }
}

impl From<proto::CommitmentMade> for proto::MakeCommitment {
    fn from(it: proto::CommitmentMade) -> Self {
        Self {
            commitment_id: it.commitment_id,
            tactic_id: it.tactic_id,
            assignee: it.assignee,
            made_to: it.made_to,
            promise: it.promise,
            due: it.due,
        }
    }
}

impl From<proto::CommitmentReassigned> for proto::ReassignCommitment {
    fn from(it: proto::CommitmentReassigned) -> Self {
        Self {
            commitment_id: it.commitment_id,
            assignee: it.assignee,
            reason: it.reason,
        }
    }
}

impl From<proto::CommitmentReleased> for proto::ReleaseCommitment {
    fn from(it: proto::CommitmentReleased) -> Self {
        Self {
            commitment_id: it.commitment_id,
            reason: it.reason,
        }
    }
}

impl From<proto::DeadlineMoved> for proto::MoveDeadline {
    fn from(it: proto::DeadlineMoved) -> Self {
        Self {
            commitment_id: it.commitment_id,
            due: it.new,
            reason: it.reason,
        }
    }
}

impl From<proto::CommitmentKept> for proto::KeepCommitment {
    fn from(it: proto::CommitmentKept) -> Self {
        Self {
            commitment_id: it.commitment_id,
            note: it.note,
        }
    }
}

impl From<proto::EventCorrected> for proto::CorrectEvent {
    fn from(it: proto::EventCorrected) -> Self {
        Self {
            revision: it.revision,
            replacement: it.replacement.map(|event| *event),
            occurred_at: it.occurred_at,
            occurred_precision: it.occurred_precision,
            reason: it.reason,
        }
    }
}

impl From<proto::EventRetracted> for proto::RetractEvent {
    fn from(it: proto::EventRetracted) -> Self {
        Self {
            revision: it.revision,
            reason: it.reason,
        }
    }
}

impl From<proto::FindingAcknowledged> for proto::AcknowledgeFinding {
    fn from(it: proto::FindingAcknowledged) -> Self {
        Self {
            code: it.code,
            subject: it.subject,
            until: it.until,
            reason: it.reason,
        }
    }
}

impl From<proto::NoteRecorded> for proto::RecordNote {
    fn from(it: proto::NoteRecorded) -> Self {
        Self {
            subject: it.subject,
            text: it.text,
        }
    }
}
