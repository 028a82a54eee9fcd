//! What a corrected event must look like: what the command of its kind must. So the event is put
//! back into that command and checked by the same rules; only what the daemon adds to an event is
//! looked at here.

use std::collections::BTreeMap;

use proto::event::Kind;

use super::{
    checker::{self, Checker, Segment},
    rules,
};
use crate::{domain::event, proto};

/// Checks that the rules of a replacement hold.
pub(super) fn holds(check: &mut Checker, replacement: &mut proto::Event) {
    nothing_but_its_kind(check, replacement);
    let name = event::type_name(replacement);
    let command = event::command_of(replacement);
    let (
        Some(kind),
        Some(proto::Command {
            kind: Some(mut like),
        }),
    ) = (&mut replacement.kind, command)
    else {
        check.fault_here("required: the kind of the event that is corrected");
        return;
    };
    check.within(Segment::Event(name), |check| {
        if let Kind::EventCorrected(_) | Kind::EventRetracted(_) = kind {
            check.fault_here("a correction or retraction is not corrected");
        } else if let Kind::DeadlineMoved(it) = kind {
            deadline_moved(check, it);
        } else {
            rules::hold(check, &mut like);
            added_by_the_daemon(check, kind);
            empty_blanks(kind);
        }
    });
}

fn nothing_but_its_kind(check: &mut Checker, event: &proto::Event) {
    let set = [
        ("revision", event.revision != 0),
        ("occurred_at", event.occurred_at.is_some()),
        ("occurred_precision", event.occurred_precision != 0),
        ("because", !event.because.is_empty()),
        ("source", !event.source.is_empty()),
    ];
    for (field, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
        check.fault(field, "must be left empty: only the kind is replaced");
    }
}

/// The one event whose fields are named otherwise than its command's.
fn deadline_moved(check: &mut Checker, it: &proto::DeadlineMoved) {
    check.id("commitment_id", &it.commitment_id);
    check.optional_time("old", it.old.as_ref());
    check.time("new", it.new.as_ref());
    check.text("reason", &it.reason);
    check.optional_choice::<proto::Notice>("notice", it.notice);
}

fn added_by_the_daemon(check: &mut Checker, kind: &mut Kind) {
    if let Kind::ObjectiveRefined(it) = kind {
        // The command leaves it open, as only the plan says whether it sets or refines.
        if checker::is_blank(&it.reason) {
            check.fault("reason", "required");
        }
    } else if let Kind::DeadlineMissed(it) = kind {
        if it.silent {
            check.optional_text("reason", &mut it.reason);
        } else {
            check.optional_time("due", it.due.as_ref());
        }
        check.optional_choice::<proto::Notice>("notice", it.notice);
    } else if let Kind::TacticTried(it) = kind
        && let Some(suggestion) = &it.suggestion
    {
        check.within(Segment::Field("suggestion"), |check| {
            check.optional_choice::<proto::SuggestionVerdict>("verdict", suggestion.verdict);
            check.optional_id("tactic_id", &suggestion.tactic_id);
        });
    }
}

/// Makes the texts of blanks empty that the rules only emptied in the command that they checked.
fn empty_blanks(kind: &mut Kind) {
    match kind {
        Kind::PlanCreated(it) => description(&mut it.summary, &mut it.labels),
        Kind::PlanDescribed(it) => description(&mut it.summary, &mut it.labels),
        Kind::PlanArchived(it) => empty([&mut it.reason]),
        Kind::ObjectiveSet(it) => empty([&mut it.measure, &mut it.unit, &mut it.reason]),
        Kind::ObjectiveRefined(it) => empty([&mut it.measure, &mut it.unit]),
        Kind::ObjectiveMet(it) => empty([&mut it.evidence]),
        Kind::MeasurementRecorded(it) => empty([&mut it.note]),
        Kind::AssumptionStated(it) => empty([&mut it.signpost]),
        Kind::EvidenceRecorded(it) => empty([&mut it.uri]),
        Kind::StrategyAdopted(it) => empty([&mut it.diagnosis]),
        Kind::StrategyRevised(it) => empty([&mut it.diagnosis]),
        Kind::StrategyFulfilled(it) => empty([&mut it.evidence]),
        Kind::TacticAdded(it) => empty([&mut it.kind]),
        Kind::TacticReworded(it) => empty([&mut it.kind]),
        Kind::TacticTried(it) => {
            empty([&mut it.expected, &mut it.reason]);
            empty(it.stop_rule.as_mut().map(|rule| &mut rule.state));
        }
        Kind::CommitmentMade(it) => empty([&mut it.made_to]),
        Kind::CommitmentKept(it) => empty([&mut it.note]),
        // These hold no text that may be empty, or were emptied as they stand.
        Kind::PlanReopened(_)
        | Kind::IndicatorDefined(_)
        | Kind::IndicatorReplaced(_)
        | Kind::IndicatorRetired(_)
        | Kind::AssumptionSupported(_)
        | Kind::AssumptionRefuted(_)
        | Kind::AssumptionReopened(_)
        | Kind::RevisionProposed(_)
        | Kind::RevisionDeclined(_)
        | Kind::StrategyBranched(_)
        | Kind::StrategySuperseded(_)
        | Kind::StrategyAbandoned(_)
        | Kind::TacticRegrouped(_)
        | Kind::TacticRetired(_)
        | Kind::TacticsRanked(_)
        | Kind::TacticFailed(_)
        | Kind::TacticSucceeded(_)
        | Kind::TacticStopped(_)
        | Kind::CommitmentReassigned(_)
        | Kind::CommitmentReleased(_)
        | Kind::DeadlineMoved(_)
        | Kind::DeadlineMissed(_)
        | Kind::EventCorrected(_)
        | Kind::EventRetracted(_)
        | Kind::FindingAcknowledged(_)
        | Kind::NoteRecorded(_) => {}
    }
}

fn description(summary: &mut String, labels: &mut BTreeMap<String, String>) {
    empty([summary]);
    empty(labels.values_mut());
}

fn empty<'a>(texts: impl IntoIterator<Item = &'a mut String>) {
    for text in texts {
        if checker::is_blank(text) {
            text.clear();
        }
    }
}
