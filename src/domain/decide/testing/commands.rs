//! Commands as tests write them, with texts that nobody reads filled in.

use crate::proto::{
    self, AssumptionKind, Conclusion, Direction, Event, Failure, PlanOutcome, Strength, Verdict,
    command::Kind as Asked, event::Kind,
};

use super::timestamp;

const WEEK: prost_types::Duration = prost_types::Duration {
    seconds: 7 * 24 * 60 * 60,
    nanos: 0,
};

pub(in super::super) fn create() -> Asked {
    Asked::CreatePlan(proto::CreatePlan {
        title: "Growth".to_owned(),
        summary: "Forty by June".to_owned(),
        labels: [("team".to_owned(), "sales".to_owned())].into(),
    })
}

pub(in super::super) fn describe(title: &str) -> Asked {
    Asked::DescribePlan(proto::DescribePlan {
        title: title.to_owned(),
        summary: "Fifty by June".to_owned(),
        labels: [("team".to_owned(), "ops".to_owned())].into(),
    })
}

pub(in super::super) fn archive() -> Asked {
    archive_for("")
}

pub(in super::super) fn archive_for(successor: &str) -> Asked {
    Asked::ArchivePlan(proto::ArchivePlan {
        outcome: PlanOutcome::Met as i32,
        reason: "reached".to_owned(),
        successor_plan_id: successor.to_owned(),
    })
}

pub(in super::super) fn reopen() -> Asked {
    Asked::ReopenPlan(proto::ReopenPlan {
        reason: "not over".to_owned(),
    })
}

pub(in super::super) fn objective(reason: &str) -> Asked {
    Asked::SetObjective(proto::SetObjective {
        statement: "40 customers".to_owned(),
        measure: "customers".to_owned(),
        target: Some(40.0),
        reason: reason.to_owned(),
        baseline: Some(0.0),
        unit: "customers".to_owned(),
        horizon: timestamp(3_000_000),
    })
}

pub(in super::super) fn objective_met() -> Asked {
    Asked::MarkObjectiveMet(proto::MarkObjectiveMet {
        evidence: "the ledger".to_owned(),
    })
}

pub(in super::super) fn define(id: &str) -> Asked {
    Asked::DefineIndicator(proto::DefineIndicator {
        indicator_id: id.to_owned(),
        name: "Customers".to_owned(),
        unit: "customers".to_owned(),
        direction: Direction::Increase as i32,
        target: Some(0.0),
        cadence: Some(WEEK),
    })
}

pub(in super::super) fn replace(old: &str, id: &str) -> Asked {
    Asked::ReplaceIndicator(proto::ReplaceIndicator {
        old_indicator_id: old.to_owned(),
        indicator_id: id.to_owned(),
        name: "Revenue".to_owned(),
        unit: "EUR".to_owned(),
        direction: Direction::Increase as i32,
        reason: "says more".to_owned(),
        target: Some(0.0),
        cadence: Some(WEEK),
    })
}

pub(in super::super) fn retire_indicator(id: &str) -> Asked {
    Asked::RetireIndicator(proto::RetireIndicator {
        indicator_id: id.to_owned(),
        reason: "says nothing".to_owned(),
    })
}

pub(in super::super) fn measure(id: &str, value: f64) -> Asked {
    measure_in(id, value, "customers")
}

pub(in super::super) fn measure_in(id: &str, value: f64, unit: &str) -> Asked {
    Asked::RecordMeasurement(proto::RecordMeasurement {
        indicator_id: id.to_owned(),
        value: Some(value),
        unit: unit.to_owned(),
        window: Some(WEEK),
        note: "counted".to_owned(),
    })
}

pub(in super::super) fn assume(id: &str) -> Asked {
    Asked::StateAssumption(proto::StateAssumption {
        assumption_id: id.to_owned(),
        statement: "They buy".to_owned(),
        load_bearing: true,
        kind: AssumptionKind::Necessary as i32,
        vulnerable: true,
        signpost: "fewer calls".to_owned(),
    })
}

pub(in super::super) fn evidence(id: &str, assumption_id: &str, verdict: Verdict) -> Asked {
    Asked::RecordEvidence(proto::RecordEvidence {
        evidence_id: id.to_owned(),
        assumption_id: assumption_id.to_owned(),
        verdict: verdict as i32,
        summary: "Ten calls".to_owned(),
        strength: Strength::Weak as i32,
        uri: "https://example.org/calls".to_owned(),
    })
}

pub(in super::super) fn conclude(id: &str, conclusion: Conclusion) -> Asked {
    Asked::ConcludeAssumption(proto::ConcludeAssumption {
        assumption_id: id.to_owned(),
        conclusion: conclusion as i32,
    })
}

pub(in super::super) fn reopen_assumption(id: &str) -> Asked {
    Asked::ReopenAssumption(proto::ReopenAssumption {
        assumption_id: id.to_owned(),
        reason: "doubts".to_owned(),
    })
}

pub(in super::super) fn adopt(id: &str) -> Asked {
    Asked::AdoptStrategy(proto::AdoptStrategy {
        strategy_id: id.to_owned(),
        intent: "Be known".to_owned(),
        diagnosis: "Nobody knows us".to_owned(),
        will: texts(&["visit"]),
        will_not: texts(&["advertise"]),
        ..Default::default()
    })
}

pub(in super::super) fn revision(id: &str, parent: u32, intent: &str) -> proto::ReviseStrategy {
    proto::ReviseStrategy {
        strategy_id: id.to_owned(),
        parent_revision: parent,
        intent: intent.to_owned(),
        reason: "learned".to_owned(),
        unprompted: true,
        diagnosis: "Nobody knows us".to_owned(),
        will: texts(&["visit"]),
        will_not: texts(&["advertise"]),
        options_considered: texts(&["wait"]),
        ..Default::default()
    }
}

pub(in super::super) fn revise(id: &str, parent: u32, intent: &str) -> Asked {
    Asked::ReviseStrategy(revision(id, parent, intent))
}

pub(in super::super) fn propose(id: &str, strategy_id: &str) -> Asked {
    Asked::ProposeRevision(proto::ProposeRevision {
        strategy_id: strategy_id.to_owned(),
        proposal_id: id.to_owned(),
        intent: "Be loved".to_owned(),
        reason: "idea".to_owned(),
    })
}

pub(in super::super) fn decline(id: &str) -> Asked {
    Asked::DeclineRevision(proto::DeclineRevision {
        proposal_id: id.to_owned(),
        reason: "no".to_owned(),
    })
}

pub(in super::super) fn branch(from: &str, id: &str) -> Asked {
    Asked::BranchStrategy(proto::BranchStrategy {
        from_strategy_id: from.to_owned(),
        strategy_id: id.to_owned(),
        intent: "Be near".to_owned(),
        reason: "two markets".to_owned(),
    })
}

pub(in super::super) fn supersede(id: &str, by: &str) -> Asked {
    Asked::SupersedeStrategy(proto::SupersedeStrategy {
        strategy_id: id.to_owned(),
        by_strategy_id: by.to_owned(),
        reason: "better".to_owned(),
    })
}

pub(in super::super) fn abandon(id: &str) -> Asked {
    Asked::AbandonStrategy(proto::AbandonStrategy {
        strategy_id: id.to_owned(),
        reason: "hopeless".to_owned(),
    })
}

pub(in super::super) fn fulfil(id: &str) -> Asked {
    Asked::FulfilStrategy(proto::FulfilStrategy {
        strategy_id: id.to_owned(),
        evidence: "all know".to_owned(),
    })
}

pub(in super::super) fn tactic(id: &str, strategy_id: &str) -> proto::AddTactic {
    proto::AddTactic {
        tactic_id: id.to_owned(),
        strategy_id: strategy_id.to_owned(),
        statement: "Visit".to_owned(),
        kind: "visit".to_owned(),
        cost: Some(2.0),
        rank: 2,
        ..Default::default()
    }
}

pub(in super::super) fn add(id: &str, strategy_id: &str) -> Asked {
    Asked::AddTactic(tactic(id, strategy_id))
}

pub(in super::super) fn add_after(id: &str, after: &[&str]) -> Asked {
    Asked::AddTactic(proto::AddTactic {
        after_tactic_ids: texts(after),
        ..tactic(id, "")
    })
}

pub(in super::super) fn reword(id: &str, after: &[&str]) -> Asked {
    Asked::RewordTactic(proto::RewordTactic {
        tactic_id: id.to_owned(),
        statement: "Visit twice".to_owned(),
        after_tactic_ids: texts(after),
        reason: "clearer".to_owned(),
        kind: "visits".to_owned(),
        cost: Some(0.0),
        ..Default::default()
    })
}

pub(in super::super) fn regroup(id: &str, strategy_id: &str) -> Asked {
    Asked::RegroupTactic(proto::RegroupTactic {
        tactic_id: id.to_owned(),
        strategy_id: strategy_id.to_owned(),
    })
}

pub(in super::super) fn retire(id: &str) -> Asked {
    Asked::RetireTactic(proto::RetireTactic {
        tactic_id: id.to_owned(),
        reason: "stale".to_owned(),
    })
}

pub(in super::super) fn rank(strategy_id: &str, ids: &[&str]) -> Asked {
    Asked::RankTactics(proto::RankTactics {
        strategy_id: strategy_id.to_owned(),
        tactic_ids: texts(ids),
    })
}

pub(in super::super) fn attempt(id: &str) -> Asked {
    Asked::TryTactic(proto::TryTactic {
        tactic_id: id.to_owned(),
        expected: "orders".to_owned(),
        confidence: Some(0.5),
        stop_rule: Some(proto::StopRule {
            state: "no orders".to_owned(),
            by: timestamp(1_500_000),
        }),
        reason: "at hand".to_owned(),
    })
}

pub(in super::super) fn fail(id: &str) -> Asked {
    fail_suspecting(id, &[])
}

pub(in super::super) fn fail_suspecting(id: &str, suspected: &[&str]) -> Asked {
    Asked::FailTactic(proto::FailTactic {
        tactic_id: id.to_owned(),
        failure: Failure::Effect as i32,
        observed: "silence".to_owned(),
        suspected_assumption_ids: texts(suspected),
    })
}

pub(in super::super) fn succeed(id: &str) -> Asked {
    Asked::SucceedTactic(proto::SucceedTactic {
        tactic_id: id.to_owned(),
        observed: "orders".to_owned(),
    })
}

pub(in super::super) fn stop(id: &str) -> Asked {
    Asked::StopTactic(proto::StopTactic {
        tactic_id: id.to_owned(),
        reason: "strike".to_owned(),
        inconclusive: true,
    })
}

pub(in super::super) fn promise(id: &str, tactic_id: &str, due_seconds: i64) -> Asked {
    Asked::MakeCommitment(proto::MakeCommitment {
        commitment_id: id.to_owned(),
        tactic_id: tactic_id.to_owned(),
        assignee: "ada".to_owned(),
        promise: "a list".to_owned(),
        due: timestamp(due_seconds),
        made_to: "eve".to_owned(),
    })
}

pub(in super::super) fn reassign(id: &str) -> Asked {
    Asked::ReassignCommitment(proto::ReassignCommitment {
        commitment_id: id.to_owned(),
        assignee: "bob".to_owned(),
        reason: "holiday".to_owned(),
    })
}

pub(in super::super) fn release(id: &str) -> Asked {
    Asked::ReleaseCommitment(proto::ReleaseCommitment {
        commitment_id: id.to_owned(),
        reason: "no need".to_owned(),
    })
}

pub(in super::super) fn move_to(id: &str, due_seconds: i64) -> Asked {
    Asked::MoveDeadline(proto::MoveDeadline {
        commitment_id: id.to_owned(),
        due: timestamp(due_seconds),
        reason: "late".to_owned(),
    })
}

pub(in super::super) fn keep(id: &str) -> Asked {
    Asked::KeepCommitment(proto::KeepCommitment {
        commitment_id: id.to_owned(),
        note: "twice".to_owned(),
    })
}

pub(in super::super) fn miss(id: &str) -> Asked {
    Asked::MissCommitment(proto::MissCommitment {
        commitment_id: id.to_owned(),
        reason: "ill".to_owned(),
    })
}

pub(in super::super) fn lapse(id: &str, due_seconds: i64) -> Asked {
    Asked::LapseCommitment(proto::LapseCommitment {
        commitment_id: id.to_owned(),
        due: timestamp(due_seconds),
    })
}

pub(in super::super) fn correct(revision: u64, replacement: Kind) -> Asked {
    Asked::CorrectEvent(proto::CorrectEvent {
        revision,
        replacement: Some(Event {
            kind: Some(replacement),
            ..Event::default()
        }),
        reason: "typo".to_owned(),
        ..Default::default()
    })
}

pub(in super::super) fn retract(revision: u64) -> Asked {
    Asked::RetractEvent(proto::RetractEvent {
        revision,
        reason: "never happened".to_owned(),
    })
}

pub(in super::super) fn acknowledge(subject: &str) -> Asked {
    Asked::AcknowledgeFinding(proto::AcknowledgeFinding {
        code: "STR005".to_owned(),
        subject: subject.to_owned(),
        until: timestamp(1_500_000),
        reason: "known".to_owned(),
    })
}

pub(in super::super) fn note(subject: &str) -> Asked {
    Asked::RecordNote(proto::RecordNote {
        subject: subject.to_owned(),
        text: "Rain".to_owned(),
    })
}

pub(in super::super) fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}
