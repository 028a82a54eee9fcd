//! What an event says, in one line of plain English: the ids first, then the words that were sent,
//! cut short. For people who skim a history; programs read the event.

use proto::event::Kind;

use crate::proto;

/// The most characters of one text that a summary quotes.
const QUOTED_CHARS_MAX: usize = 120;

/// One line about an event. Empty only for one without a kind, which is never recorded.
#[must_use]
pub fn summary(event: &proto::Event) -> String {
    event.kind.as_ref().map(line).unwrap_or_default()
}

fn line(kind: &Kind) -> String {
    match kind {
        Kind::PlanCreated(it) => said("plan begun", &it.title),
        Kind::PlanDescribed(it) => said("plan restated", &it.title),
        Kind::PlanArchived(it) => plan_archived(it),
        Kind::PlanReopened(it) => said("plan taken up again", &it.reason),
        Kind::ObjectiveSet(it) => said("objective set", &it.statement),
        Kind::ObjectiveRefined(it) => said("objective refined", &it.statement),
        Kind::ObjectiveMet(it) => said("objective met", &it.evidence),
        Kind::IndicatorDefined(it) => indicator(&it.indicator_id, "defined", &it.name),
        Kind::IndicatorReplaced(it) => indicator_replaced(it),
        Kind::IndicatorRetired(it) => indicator(&it.indicator_id, "retired", &it.reason),
        Kind::MeasurementRecorded(it) => measurement_recorded(it),
        Kind::AssumptionStated(it) => assumption(&it.assumption_id, "stated", &it.statement),
        Kind::EvidenceRecorded(it) => evidence_recorded(it),
        Kind::AssumptionSupported(it) => assumption(&it.assumption_id, "found to hold", ""),
        Kind::AssumptionRefuted(it) => assumption(&it.assumption_id, "found not to hold", ""),
        Kind::AssumptionReopened(it) => {
            assumption(&it.assumption_id, "put in question again", &it.reason)
        }
        Kind::StrategyAdopted(it) => strategy(&it.strategy_id, "adopted", &it.intent),
        Kind::StrategyRevised(it) => strategy_revised(it),
        Kind::RevisionProposed(it) => revision_proposed(it),
        Kind::RevisionDeclined(it) => said(
            format!("proposed revision {} declined", it.proposal_id),
            &it.reason,
        ),
        Kind::StrategyBranched(it) => strategy_branched(it),
        Kind::StrategySuperseded(it) => strategy_superseded(it),
        Kind::StrategyAbandoned(it) => strategy(&it.strategy_id, "given up", &it.reason),
        Kind::StrategyFulfilled(it) => strategy(&it.strategy_id, "fulfilled", &it.evidence),
        Kind::TacticAdded(it) => tactic_added(it),
        Kind::TacticReworded(it) => tactic(&it.tactic_id, "reworded", &it.statement),
        Kind::TacticRegrouped(it) => tactic_regrouped(it),
        Kind::TacticRetired(it) => tactic(&it.tactic_id, "retired", &it.reason),
        Kind::TacticsRanked(it) => tactics_ranked(it),
        Kind::TacticTried(it) => tactic_tried(it),
        Kind::TacticFailed(it) => tactic_failed(it),
        Kind::TacticSucceeded(it) => attempt(&it.tactic_id, it.attempt, "succeeded", &it.observed),
        Kind::TacticStopped(it) => tactic_stopped(it),
        Kind::CommitmentMade(it) => commitment_made(it),
        Kind::CommitmentReassigned(it) => commitment_reassigned(it),
        Kind::CommitmentReleased(it) => commitment(&it.commitment_id, "released", &it.reason),
        Kind::DeadlineMoved(it) => deadline_moved(it),
        Kind::CommitmentKept(it) => commitment(&it.commitment_id, "kept", &it.note),
        Kind::DeadlineMissed(it) => deadline_missed(it),
        Kind::EventCorrected(it) => said(format!("revision {} corrected", it.revision), &it.reason),
        Kind::EventRetracted(it) => said(format!("revision {} retracted", it.revision), &it.reason),
        Kind::FindingAcknowledged(it) => finding_acknowledged(it),
        Kind::NoteRecorded(it) => said(format!("note on {}", it.subject), &it.text),
    }
}

fn plan_archived(it: &proto::PlanArchived) -> String {
    let outcome = match it.outcome() {
        proto::PlanOutcome::Met => "objective met",
        proto::PlanOutcome::Missed => "objective missed",
        proto::PlanOutcome::Abandoned => "abandoned",
        proto::PlanOutcome::Unspecified => "outcome unknown",
    };
    let successor = if it.successor_plan_id.is_empty() {
        String::new()
    } else {
        format!(", carried on by {}", it.successor_plan_id)
    };
    said(format!("plan ended, {outcome}{successor}"), &it.reason)
}

fn indicator(indicator_id: &str, what: &str, text: &str) -> String {
    said(format!("indicator {indicator_id} {what}"), text)
}

fn indicator_replaced(it: &proto::IndicatorReplaced) -> String {
    let what = format!("replaced by {}", it.indicator_id);
    indicator(&it.old_indicator_id, &what, &it.reason)
}

fn measurement_recorded(it: &proto::MeasurementRecorded) -> String {
    let unit = cut(&it.unit);
    said(
        format!("{} measured, {} {unit}", it.indicator_id, it.value()),
        &it.note,
    )
}

fn assumption(assumption_id: &str, what: &str, text: &str) -> String {
    said(format!("assumption {assumption_id} {what}"), text)
}

fn evidence_recorded(it: &proto::EvidenceRecorded) -> String {
    let verdict = match it.verdict() {
        proto::Verdict::Supports => "supports",
        proto::Verdict::Refutes => "refutes",
        proto::Verdict::Inconclusive | proto::Verdict::Unspecified => "is inconclusive about",
    };
    said(
        format!("evidence {} {verdict} {}", it.evidence_id, it.assumption_id),
        &it.summary,
    )
}

fn strategy(strategy_id: &str, what: &str, text: &str) -> String {
    said(format!("strategy {strategy_id} {what}"), text)
}

fn strategy_revised(it: &proto::StrategyRevised) -> String {
    let what = format!("revised to its revision {}", it.strategy_revision);
    let line = strategy(&it.strategy_id, &what, &it.intent);
    format!("{line} (because: {})", cut(&it.reason))
}

fn revision_proposed(it: &proto::RevisionProposed) -> String {
    let what = format!(
        "revision {} of strategy {} proposed",
        it.proposal_id, it.strategy_id
    );
    said(what, &it.intent)
}

fn strategy_branched(it: &proto::StrategyBranched) -> String {
    let what = format!("branched from {}", it.from_strategy_id);
    strategy(&it.strategy_id, &what, &it.intent)
}

fn strategy_superseded(it: &proto::StrategySuperseded) -> String {
    let what = format!("superseded by {}", it.by_strategy_id);
    strategy(&it.strategy_id, &what, &it.reason)
}

fn tactic(tactic_id: &str, what: &str, text: &str) -> String {
    said(format!("tactic {tactic_id} {what}"), text)
}

fn tactic_added(it: &proto::TacticAdded) -> String {
    let what = format!("added under {}", strategy_or_none(&it.strategy_id));
    tactic(&it.tactic_id, &what, &it.statement)
}

fn tactic_regrouped(it: &proto::TacticRegrouped) -> String {
    let what = format!("moved under {}", strategy_or_none(&it.strategy_id));
    tactic(&it.tactic_id, &what, "")
}

fn strategy_or_none(strategy_id: &str) -> &str {
    if strategy_id.is_empty() {
        "no strategy"
    } else {
        strategy_id
    }
}

fn tactics_ranked(it: &proto::TacticsRanked) -> String {
    said(
        format!("tactics of {} ranked", it.strategy_id),
        &it.tactic_ids.join(", "),
    )
}

fn attempt(tactic_id: &str, attempt: u32, what: &str, text: &str) -> String {
    said(format!("{tactic_id}, attempt {attempt}, {what}"), text)
}

fn tactic_tried(it: &proto::TacticTried) -> String {
    let overridden = it.suggestion.as_ref().filter(|suggestion| {
        !suggestion.followed && suggestion.verdict() == proto::SuggestionVerdict::Try
    });
    let what = match overridden {
        Some(suggestion) => format!("begun, though {} was suggested", suggestion.tactic_id),
        None => "begun".to_owned(),
    };
    attempt(&it.tactic_id, it.attempt, &what, &it.expected)
}

fn tactic_failed(it: &proto::TacticFailed) -> String {
    let what = match it.failure() {
        proto::Failure::Precondition => "failed of a precondition",
        proto::Failure::Effect => "failed of its effect",
        proto::Failure::Unspecified => "failed",
    };
    attempt(&it.tactic_id, it.attempt, what, &it.observed)
}

fn tactic_stopped(it: &proto::TacticStopped) -> String {
    let what = if it.inconclusive {
        "stopped without anything learned"
    } else {
        "stopped"
    };
    attempt(&it.tactic_id, it.attempt, what, &it.reason)
}

fn commitment(commitment_id: &str, what: &str, text: &str) -> String {
    said(format!("commitment {commitment_id} {what}"), text)
}

fn commitment_made(it: &proto::CommitmentMade) -> String {
    let made_to = if it.made_to.is_empty() {
        String::new()
    } else {
        format!(" to {}", cut(&it.made_to))
    };
    let what = format!(
        "made by {}{made_to}, due {}",
        cut(&it.assignee),
        date(it.due.as_ref())
    );
    commitment(&it.commitment_id, &what, &it.promise)
}

fn commitment_reassigned(it: &proto::CommitmentReassigned) -> String {
    let what = format!("reassigned to {}", cut(&it.assignee));
    commitment(&it.commitment_id, &what, &it.reason)
}

fn deadline_moved(it: &proto::DeadlineMoved) -> String {
    let (old, new) = (date(it.old.as_ref()), date(it.new.as_ref()));
    let what = format!("moved from {old} to {new}{}", noticed(it.notice()));
    commitment(&it.commitment_id, &what, &it.reason)
}

fn deadline_missed(it: &proto::DeadlineMissed) -> String {
    let what = if it.silent {
        "missed in silence".to_owned()
    } else {
        format!("missed{}", noticed(it.notice()))
    };
    let what = format!("{what}, due {}", date(it.due.as_ref()));
    commitment(&it.commitment_id, &what, &it.reason)
}

fn noticed(notice: proto::Notice) -> &'static str {
    match notice {
        proto::Notice::BeforeDue => ", said before it was due",
        proto::Notice::AfterDue => ", said after it was due",
        proto::Notice::Unspecified => "",
    }
}

fn finding_acknowledged(it: &proto::FindingAcknowledged) -> String {
    let until = if it.until.is_some() {
        format!(" until {}", date(it.until.as_ref()))
    } else {
        String::new()
    };
    said(
        format!("finding {} on {} accepted{until}", it.code, it.subject),
        &it.reason,
    )
}

/// `what`, and after a colon the text, if there is one.
fn said(what: impl Into<String>, text: &str) -> String {
    let mut line = what.into();
    if !text.is_empty() {
        line.push_str(": ");
        push_cut(&mut line, text);
    }
    line
}

/// The beginning of a text, on one line.
pub(in crate::domain) fn cut(text: &str) -> String {
    let mut short = String::new();
    push_cut(&mut short, text);
    short
}

fn push_cut(line: &mut String, text: &str) {
    let end = text.char_indices().nth(QUOTED_CHARS_MAX);
    let (short, rest) = text.split_at(end.map_or(text.len(), |(end, _)| end));
    line.reserve(short.len() + '…'.len_utf8());
    let breaks = |char: char| char.is_control() || char.is_whitespace();
    for words in short.split_inclusive(breaks) {
        match words.strip_suffix(breaks) {
            Some(word) => {
                line.push_str(word);
                line.push(' ');
            }
            None => line.push_str(words),
        }
    }
    if !rest.is_empty() {
        line.push('…');
    }
}

/// A day, or a day and a time of day where that says more.
pub(in crate::domain) fn date(time: Option<&prost_types::Timestamp>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok());
    time.map_or_else(
        || "at an unknown time".to_owned(),
        |time| {
            let text = time.to_string();
            text.strip_suffix("T00:00:00Z").unwrap_or(&text).to_owned()
        },
    )
}
