//! What each command must look like: one function a command, or one for several that look alike.
//! They say which check holds for which field, and nothing else.

use std::collections::BTreeMap;

use proto::command::Kind;

use super::{
    LIST_MAX, RANKED_TACTICS_MAX,
    checker::{Checker, Segment},
    replacement,
};
use crate::proto;

/// The field of a command's kind, as it stands in paths.
pub(super) fn field(kind: &Kind) -> &'static str {
    match kind {
        Kind::CreatePlan(_) => "create_plan",
        Kind::DescribePlan(_) => "describe_plan",
        Kind::ArchivePlan(_) => "archive_plan",
        Kind::ReopenPlan(_) => "reopen_plan",
        Kind::SetObjective(_) => "set_objective",
        Kind::MarkObjectiveMet(_) => "mark_objective_met",
        Kind::DefineIndicator(_) => "define_indicator",
        Kind::ReplaceIndicator(_) => "replace_indicator",
        Kind::RetireIndicator(_) => "retire_indicator",
        Kind::RecordMeasurement(_) => "record_measurement",
        Kind::StateAssumption(_) => "state_assumption",
        Kind::RecordEvidence(_) => "record_evidence",
        Kind::ConcludeAssumption(_) => "conclude_assumption",
        Kind::ReopenAssumption(_) => "reopen_assumption",
        Kind::AdoptStrategy(_) => "adopt_strategy",
        Kind::ReviseStrategy(_) => "revise_strategy",
        Kind::ProposeRevision(_) => "propose_revision",
        Kind::DeclineRevision(_) => "decline_revision",
        Kind::BranchStrategy(_) => "branch_strategy",
        Kind::SupersedeStrategy(_) => "supersede_strategy",
        Kind::AbandonStrategy(_) => "abandon_strategy",
        Kind::FulfilStrategy(_) => "fulfil_strategy",
        Kind::AddTactic(_) => "add_tactic",
        Kind::RewordTactic(_) => "reword_tactic",
        Kind::RegroupTactic(_) => "regroup_tactic",
        Kind::RetireTactic(_) => "retire_tactic",
        Kind::RankTactics(_) => "rank_tactics",
        Kind::TryTactic(_) => "try_tactic",
        Kind::FailTactic(_) => "fail_tactic",
        Kind::SucceedTactic(_) => "succeed_tactic",
        Kind::StopTactic(_) => "stop_tactic",
        Kind::MakeCommitment(_) => "make_commitment",
        Kind::ReassignCommitment(_) => "reassign_commitment",
        Kind::ReleaseCommitment(_) => "release_commitment",
        Kind::MoveDeadline(_) => "move_deadline",
        Kind::KeepCommitment(_) => "keep_commitment",
        Kind::MissCommitment(_) => "miss_commitment",
        Kind::LapseCommitment(_) => "lapse_commitment",
        Kind::CorrectEvent(_) => "correct_event",
        Kind::RetractEvent(_) => "retract_event",
        Kind::AcknowledgeFinding(_) => "acknowledge_finding",
        Kind::RecordNote(_) => "record_note",
    }
}

/// Checks that the rules of a command hold.
pub(super) fn hold(check: &mut Checker, kind: &mut Kind) {
    match kind {
        Kind::CreatePlan(it) => description(check, &it.title, &mut it.summary, &mut it.labels),
        Kind::DescribePlan(it) => {
            description(check, &it.title, &mut it.summary, &mut it.labels);
        }
        Kind::ArchivePlan(it) => archive_plan(check, it),
        Kind::ReopenPlan(it) => check.text("reason", &it.reason),
        Kind::SetObjective(it) => set_objective(check, it),
        Kind::MarkObjectiveMet(it) => check.optional_text("evidence", &mut it.evidence),
        Kind::DefineIndicator(it) => define_indicator(check, it),
        Kind::ReplaceIndicator(it) => replace_indicator(check, it),
        Kind::RetireIndicator(it) => end(check, ("indicator_id", &it.indicator_id), &it.reason),
        Kind::RecordMeasurement(it) => record_measurement(check, it),
        Kind::StateAssumption(it) => state_assumption(check, it),
        Kind::RecordEvidence(it) => record_evidence(check, it),
        Kind::ConcludeAssumption(it) => conclude_assumption(check, it),
        Kind::ReopenAssumption(it) => {
            end(check, ("assumption_id", &it.assumption_id), &it.reason);
        }
        Kind::AdoptStrategy(it) => adopt_strategy(check, it),
        Kind::ReviseStrategy(it) => revise_strategy(check, it),
        Kind::ProposeRevision(it) => propose_revision(check, it),
        Kind::DeclineRevision(it) => end(check, ("proposal_id", &it.proposal_id), &it.reason),
        Kind::BranchStrategy(it) => branch_strategy(check, it),
        Kind::SupersedeStrategy(it) => supersede_strategy(check, it),
        Kind::AbandonStrategy(it) => end(check, ("strategy_id", &it.strategy_id), &it.reason),
        Kind::FulfilStrategy(it) => fulfil_strategy(check, it),
        Kind::AddTactic(it) => add_tactic(check, it),
        Kind::RewordTactic(it) => reword_tactic(check, it),
        Kind::RegroupTactic(it) => regroup_tactic(check, it),
        Kind::RetireTactic(it) => end(check, ("tactic_id", &it.tactic_id), &it.reason),
        Kind::RankTactics(it) => rank_tactics(check, it),
        Kind::TryTactic(it) => try_tactic(check, it),
        Kind::FailTactic(it) => fail_tactic(check, it),
        Kind::SucceedTactic(it) => succeed_tactic(check, it),
        Kind::StopTactic(it) => end(check, ("tactic_id", &it.tactic_id), &it.reason),
        Kind::MakeCommitment(it) => make_commitment(check, it),
        Kind::ReassignCommitment(it) => reassign_commitment(check, it),
        Kind::ReleaseCommitment(it) => {
            end(check, ("commitment_id", &it.commitment_id), &it.reason);
        }
        Kind::MoveDeadline(it) => move_deadline(check, it),
        Kind::KeepCommitment(it) => keep_commitment(check, it),
        Kind::MissCommitment(it) => {
            end(check, ("commitment_id", &it.commitment_id), &it.reason);
        }
        Kind::LapseCommitment(it) => lapse_commitment(check, it),
        Kind::CorrectEvent(it) => correct_event(check, it),
        Kind::RetractEvent(it) => retract_event(check, it),
        Kind::AcknowledgeFinding(it) => acknowledge_finding(check, it),
        Kind::RecordNote(it) => record_note(check, it),
    }
}

/// One thing and the reason why something ends for it.
fn end(check: &mut Checker, (field, id): (&'static str, &str), reason: &str) {
    check.id(field, id);
    check.text("reason", reason);
}

fn description(
    check: &mut Checker,
    title: &str,
    summary: &mut String,
    labels: &mut BTreeMap<String, String>,
) {
    check.text("title", title);
    check.optional_text("summary", summary);
    check.labels("labels", labels);
}

fn archive_plan(check: &mut Checker, it: &mut proto::ArchivePlan) {
    check.choice::<proto::PlanOutcome>("outcome", it.outcome);
    check.optional_text("reason", &mut it.reason);
    check.optional_id("successor_plan_id", &it.successor_plan_id);
}

fn set_objective(check: &mut Checker, it: &mut proto::SetObjective) {
    check.statement("statement", &it.statement);
    check.optional_text("measure", &mut it.measure);
    if it.target.is_some() && it.measure.is_empty() {
        check.fault("measure", "required: a target needs a measure");
    }
    check.optional_number("baseline", it.baseline);
    check.optional_number("target", it.target);
    check.optional_name("unit", &mut it.unit);
    check.optional_time("horizon", it.horizon.as_ref());
    check.optional_text("reason", &mut it.reason);
}

fn define_indicator(check: &mut Checker, it: &proto::DefineIndicator) {
    check.id("indicator_id", &it.indicator_id);
    check.name("name", &it.name);
    check.name("unit", &it.unit);
    check.choice::<proto::Direction>("direction", it.direction);
    check.optional_number("target", it.target);
    check.optional_span("cadence", it.cadence.as_ref());
}

fn replace_indicator(check: &mut Checker, it: &proto::ReplaceIndicator) {
    check.id("old_indicator_id", &it.old_indicator_id);
    check.id("indicator_id", &it.indicator_id);
    check.name("name", &it.name);
    check.name("unit", &it.unit);
    check.choice::<proto::Direction>("direction", it.direction);
    check.optional_number("target", it.target);
    check.optional_span("cadence", it.cadence.as_ref());
    check.text("reason", &it.reason);
}

fn record_measurement(check: &mut Checker, it: &mut proto::RecordMeasurement) {
    check.id("indicator_id", &it.indicator_id);
    check.number("value", it.value);
    check.name("unit", &it.unit);
    check.optional_span("window", it.window.as_ref());
    check.optional_note("note", &mut it.note);
}

fn state_assumption(check: &mut Checker, it: &mut proto::StateAssumption) {
    check.id("assumption_id", &it.assumption_id);
    check.statement("statement", &it.statement);
    check.optional_choice::<proto::AssumptionKind>("kind", it.kind);
    check.optional_text("signpost", &mut it.signpost);
}

fn record_evidence(check: &mut Checker, it: &mut proto::RecordEvidence) {
    check.id("evidence_id", &it.evidence_id);
    check.id("assumption_id", &it.assumption_id);
    check.choice::<proto::Verdict>("verdict", it.verdict);
    check.optional_choice::<proto::Strength>("strength", it.strength);
    check.text("summary", &it.summary);
    check.optional_text("uri", &mut it.uri);
}

fn conclude_assumption(check: &mut Checker, it: &proto::ConcludeAssumption) {
    check.id("assumption_id", &it.assumption_id);
    check.choice::<proto::Conclusion>("conclusion", it.conclusion);
}

fn adopt_strategy(check: &mut Checker, it: &mut proto::AdoptStrategy) {
    check.id("strategy_id", &it.strategy_id);
    check.text("intent", &it.intent);
    check.optional_text("diagnosis", &mut it.diagnosis);
    check.texts("will", &it.will);
    check.texts("will_not", &it.will_not);
    check.ids("assumption_ids", &it.assumption_ids, LIST_MAX);
    check.ids("indicator_ids", &it.indicator_ids, LIST_MAX);
}

fn revise_strategy(check: &mut Checker, it: &mut proto::ReviseStrategy) {
    check.id("strategy_id", &it.strategy_id);
    check.revision("parent_revision", it.parent_revision);
    check.text("intent", &it.intent);
    check.optional_text("diagnosis", &mut it.diagnosis);
    check.texts("will", &it.will);
    check.texts("will_not", &it.will_not);
    check.ids("assumption_ids", &it.assumption_ids, LIST_MAX);
    check.ids("indicator_ids", &it.indicator_ids, LIST_MAX);
    check.text("reason", &it.reason);
    check.texts("options_considered", &it.options_considered);
    check.ids("retire_tactic_ids", &it.retire_tactic_ids, LIST_MAX);
    check.optional_id("proposal_id", &it.proposal_id);
}

fn propose_revision(check: &mut Checker, it: &proto::ProposeRevision) {
    check.id("strategy_id", &it.strategy_id);
    check.id("proposal_id", &it.proposal_id);
    check.text("intent", &it.intent);
    check.text("reason", &it.reason);
}

fn branch_strategy(check: &mut Checker, it: &proto::BranchStrategy) {
    check.id("from_strategy_id", &it.from_strategy_id);
    check.id("strategy_id", &it.strategy_id);
    check.text("intent", &it.intent);
    check.text("reason", &it.reason);
}

fn supersede_strategy(check: &mut Checker, it: &proto::SupersedeStrategy) {
    check.id("strategy_id", &it.strategy_id);
    check.id("by_strategy_id", &it.by_strategy_id);
    check.text("reason", &it.reason);
}

fn fulfil_strategy(check: &mut Checker, it: &mut proto::FulfilStrategy) {
    check.id("strategy_id", &it.strategy_id);
    check.optional_text("evidence", &mut it.evidence);
}

fn add_tactic(check: &mut Checker, it: &mut proto::AddTactic) {
    check.id("tactic_id", &it.tactic_id);
    check.optional_id("strategy_id", &it.strategy_id);
    check.statement("statement", &it.statement);
    check.optional_name("kind", &mut it.kind);
    check.optional_cost("cost", it.cost);
    check.ids("assumption_ids", &it.assumption_ids, LIST_MAX);
    check.ids("after_tactic_ids", &it.after_tactic_ids, LIST_MAX);
}

fn reword_tactic(check: &mut Checker, it: &mut proto::RewordTactic) {
    check.id("tactic_id", &it.tactic_id);
    check.statement("statement", &it.statement);
    check.optional_name("kind", &mut it.kind);
    check.optional_cost("cost", it.cost);
    check.ids("assumption_ids", &it.assumption_ids, LIST_MAX);
    check.ids("after_tactic_ids", &it.after_tactic_ids, LIST_MAX);
    check.text("reason", &it.reason);
}

fn regroup_tactic(check: &mut Checker, it: &proto::RegroupTactic) {
    check.id("tactic_id", &it.tactic_id);
    check.optional_id("strategy_id", &it.strategy_id);
}

fn rank_tactics(check: &mut Checker, it: &proto::RankTactics) {
    check.id("strategy_id", &it.strategy_id);
    check.ids("tactic_ids", &it.tactic_ids, RANKED_TACTICS_MAX);
}

fn try_tactic(check: &mut Checker, it: &mut proto::TryTactic) {
    check.id("tactic_id", &it.tactic_id);
    check.optional_text("expected", &mut it.expected);
    check.optional_probability("confidence", it.confidence);
    if let Some(rule) = &mut it.stop_rule {
        check.within(Segment::Field("stop_rule"), |check| {
            check.optional_text("state", &mut rule.state);
            check.optional_time("by", rule.by.as_ref());
        });
    }
    check.optional_text("reason", &mut it.reason);
}

fn fail_tactic(check: &mut Checker, it: &proto::FailTactic) {
    check.id("tactic_id", &it.tactic_id);
    check.choice::<proto::Failure>("failure", it.failure);
    check.note("observed", &it.observed);
    let suspected = &it.suspected_assumption_ids;
    check.ids("suspected_assumption_ids", suspected, LIST_MAX);
}

fn succeed_tactic(check: &mut Checker, it: &proto::SucceedTactic) {
    check.id("tactic_id", &it.tactic_id);
    check.note("observed", &it.observed);
}

fn make_commitment(check: &mut Checker, it: &mut proto::MakeCommitment) {
    check.id("commitment_id", &it.commitment_id);
    check.optional_id("tactic_id", &it.tactic_id);
    check.name("assignee", &it.assignee);
    check.optional_name("made_to", &mut it.made_to);
    check.text("promise", &it.promise);
    check.time("due", it.due.as_ref());
}

fn reassign_commitment(check: &mut Checker, it: &proto::ReassignCommitment) {
    check.id("commitment_id", &it.commitment_id);
    check.name("assignee", &it.assignee);
    check.text("reason", &it.reason);
}

fn move_deadline(check: &mut Checker, it: &proto::MoveDeadline) {
    check.id("commitment_id", &it.commitment_id);
    check.time("due", it.due.as_ref());
    check.text("reason", &it.reason);
}

fn keep_commitment(check: &mut Checker, it: &mut proto::KeepCommitment) {
    check.id("commitment_id", &it.commitment_id);
    check.optional_note("note", &mut it.note);
}

fn lapse_commitment(check: &mut Checker, it: &proto::LapseCommitment) {
    check.id("commitment_id", &it.commitment_id);
    check.time("due", it.due.as_ref());
}

fn correct_event(check: &mut Checker, it: &mut proto::CorrectEvent) {
    check.revision("revision", it.revision);
    match &mut it.replacement {
        Some(event) => check.within(Segment::Field("replacement"), |check| {
            replacement::holds(check, event);
        }),
        None => check.fault("replacement", "required"),
    }
    check.past("occurred_at", it.occurred_at.as_ref());
    check.optional_choice::<proto::Precision>("occurred_precision", it.occurred_precision);
    check.text("reason", &it.reason);
}

fn retract_event(check: &mut Checker, it: &proto::RetractEvent) {
    check.revision("revision", it.revision);
    check.text("reason", &it.reason);
}

fn acknowledge_finding(check: &mut Checker, it: &proto::AcknowledgeFinding) {
    check.code("code", &it.code);
    check.subject("subject", &it.subject);
    check.optional_time("until", it.until.as_ref());
    check.text("reason", &it.reason);
}

fn record_note(check: &mut Checker, it: &proto::RecordNote) {
    check.subject("subject", &it.subject);
    check.note("text", &it.text);
}
