//! What is found and what, just beside it, is not: a file for each family of codes. Each starts from
//! a plan with nothing wrong and tells what happens to it, day by day.

use std::sync::Arc;

use super::{DAY_SECONDS, Review};
use crate::{
    domain::{
        event::type_name,
        given,
        history::{History, Moment, Recorded},
        value::Time,
    },
    proto::{self, Event, Finding, FindingLevel, StopRule, event::Kind},
};

mod acknowledgement;
mod assumptions;
mod commitments;
mod history;
mod indicators;
mod messages;
mod objective;
mod properties;
mod real;
mod roulette;
mod strategies;
mod tactics;

/// All findings at a moment.
fn review(moment: &Moment) -> Vec<Finding> {
    let review = Review::of(moment);
    review.findings(moment, |_, _, _| true).collect()
}

/// What happens, and on which day.
type Story = Vec<(i64, Kind)>;

/// A plan with nothing wrong on day 0: the strategy `s` with the untried tactics `a` and `b`, which
/// rest on the assumption `load`, and the indicator `replies`. Revisions 1 to 7.
fn sound() -> Story {
    [
        given::created(),
        Kind::ObjectiveSet(objective()),
        given::indicator("replies"),
        given::assumption("load", true),
        Kind::StrategyAdopted(strategy("s")),
        Kind::TacticAdded(tactic("a", "s")),
        Kind::TacticAdded(tactic("b", "s")),
    ]
    .map(|kind| (0, kind))
    .into()
}

/// The first revision behind [`sound`].
const NEXT: u64 = 8;

/// The sound plan, and what happens then.
fn sound_then(later: impl IntoIterator<Item = (i64, Kind)>) -> Story {
    sound().into_iter().chain(later).collect()
}

fn objective() -> proto::ObjectiveSet {
    proto::ObjectiveSet {
        statement: "Sell more".into(),
        measure: "Sales a month".into(),
        target: Some(90.0),
        unit: "sales".into(),
        horizon: Some(given::at(1_000 * DAY_SECONDS)),
        ..proto::ObjectiveSet::default()
    }
}

fn strategy(strategy_id: &str) -> proto::StrategyAdopted {
    proto::StrategyAdopted {
        strategy_id: strategy_id.into(),
        intent: "Win those who know us already".into(),
        diagnosis: "Nobody else reads what we write".into(),
        will: vec!["Call".into()],
        will_not: vec!["Advertise".into()],
        assumption_ids: vec!["load".into()],
        ..proto::StrategyAdopted::default()
    }
}

fn revised(strategy_id: &str, strategy_revision: u32) -> proto::StrategyRevised {
    let head = strategy(strategy_id);
    proto::StrategyRevised {
        strategy_id: head.strategy_id,
        parent_revision: strategy_revision - 1,
        intent: head.intent,
        diagnosis: head.diagnosis,
        will: head.will,
        will_not: head.will_not,
        assumption_ids: head.assumption_ids,
        reason: "It does not work".into(),
        strategy_revision,
        ..proto::StrategyRevised::default()
    }
}

/// A tactic that rests on the assumption `load`.
fn tactic(tactic_id: &str, strategy_id: &str) -> proto::TacticAdded {
    proto::TacticAdded {
        tactic_id: tactic_id.into(),
        strategy_id: strategy_id.into(),
        statement: "Send samples".into(),
        assumption_ids: vec!["load".into()],
        ..proto::TacticAdded::default()
    }
}

fn added(tactic_id: &str, strategy_id: &str) -> Kind {
    Kind::TacticAdded(tactic(tactic_id, strategy_id))
}

/// An attempt with nothing wrong but that nobody has promised it.
fn attempt(tactic_id: &str, attempt: u32) -> proto::TacticTried {
    proto::TacticTried {
        tactic_id: tactic_id.into(),
        attempt,
        expected: "Three replies".into(),
        stop_rule: Some(StopRule {
            state: "No reply in a month".into(),
            by: None,
        }),
        ..proto::TacticTried::default()
    }
}

fn tried(tactic_id: &str, number: u32) -> Kind {
    Kind::TacticTried(attempt(tactic_id, number))
}

fn failed(tactic_id: &str, number: u32) -> Kind {
    given::failed(tactic_id, number, proto::Failure::Effect)
}

fn retired(tactic_id: &str) -> Kind {
    Kind::TacticRetired(proto::TacticRetired {
        tactic_id: tactic_id.into(),
        reason: "It does not work".into(),
    })
}

fn regrouped(tactic_id: &str, strategy_id: &str) -> Kind {
    Kind::TacticRegrouped(proto::TacticRegrouped {
        tactic_id: tactic_id.into(),
        strategy_id: strategy_id.into(),
    })
}

fn abandoned(strategy_id: &str) -> Kind {
    Kind::StrategyAbandoned(proto::StrategyAbandoned {
        strategy_id: strategy_id.into(),
        reason: "Hopeless".into(),
    })
}

fn evidence(evidence_id: &str, assumption_id: &str, verdict: proto::Verdict) -> Kind {
    Kind::EvidenceRecorded(proto::EvidenceRecorded {
        evidence_id: evidence_id.into(),
        assumption_id: assumption_id.into(),
        verdict: verdict.into(),
        summary: "We asked them".into(),
        ..proto::EvidenceRecorded::default()
    })
}

fn refuted(assumption_id: &str) -> Kind {
    Kind::AssumptionRefuted(proto::AssumptionRefuted {
        assumption_id: assumption_id.into(),
    })
}

/// A promise of Ada's for a tactic, due on a day.
fn promised(commitment_id: &str, tactic_id: &str, due_day: i64) -> Kind {
    Kind::CommitmentMade(proto::CommitmentMade {
        commitment_id: commitment_id.into(),
        tactic_id: tactic_id.into(),
        assignee: "Ada".into(),
        promise: "The samples are sent".into(),
        due: Some(given::at(due_day * DAY_SECONDS)),
        ..proto::CommitmentMade::default()
    })
}

/// The moment after a story, on a day.
fn told(today: i64, story: impl IntoIterator<Item = (i64, Kind)>) -> Moment {
    let events = (1..).zip(story).map(|(revision, (day, kind))| Event {
        occurred_at: Some(given::at(day * DAY_SECONDS)),
        ..given::event(revision, kind)
    });
    moment(given::at(today * DAY_SECONDS).into(), events)
}

/// The moment after events that were recorded when they occurred.
fn moment(now: Time, events: impl IntoIterator<Item = Event>) -> Moment {
    let recorded = events.into_iter().map(|event| {
        Arc::new(Recorded::new(
            event.revision,
            event.occurred_at.map(Into::into).unwrap_or_default(),
            "ada".into(),
            "".into(),
            event,
        ))
    });
    recorded_moment(now, recorded)
}

fn recorded_moment(now: Time, events: impl IntoIterator<Item = Arc<Recorded>>) -> Moment {
    let events: Vec<_> = events.into_iter().collect();
    let revision = events.last().map_or(0, |last| last.event.revision);
    let history = History::of("growth".into(), events);
    let moment = Moment::at_revision(history.into(), revision, now, revision);
    Moment::of(moment.plan, moment.history, now, revision)
}

/// What findings of a code are about.
fn about(moment: &Moment, code: &str) -> Vec<String> {
    of_code(moment, code)
        .into_iter()
        .map(|finding| finding.subject)
        .collect()
}

fn of_code(moment: &Moment, code: &str) -> Vec<Finding> {
    let mut found = review(moment);
    found.retain(|finding| finding.code == code);
    found
}

/// The only finding of a code.
#[track_caller]
fn only(moment: &Moment, code: &str) -> Finding {
    let found = of_code(moment, code);
    assert_eq!(found.len(), 1, "{code}: {found:#?}");
    found.into_iter().next().expect("a finding")
}

/// The revisions of the events behind a finding.
fn behind(finding: &Finding) -> Vec<u64> {
    finding.events.iter().map(|it| it.revision).collect()
}

/// Asserts that each of these texts stands in the message.
#[track_caller]
fn says(finding: &Finding, texts: &[&str]) {
    for text in texts {
        assert!(finding.message.contains(text), "{text}: {finding:#?}");
    }
}

fn level(finding: &Finding) -> FindingLevel {
    finding.level()
}

#[test]
fn in_a_sound_plan_nothing_is_found() {
    assert_eq!(review(&told(0, sound())), []);
}

#[test]
fn a_finding_says_what_it_is_about_how_much_it_weighs_and_what_is_behind_it() {
    let story = sound_then([(3, added("loose", ""))]);
    let finding = only(&told(4, story), "TAC006");
    assert_eq!(finding.subject, "tactics/loose");
    assert_eq!(finding.level(), FindingLevel::Note);
    assert_eq!(finding.title, "ungrouped");
    assert_eq!(finding.rationale, "docs/findings.md#tac006");
    assert_eq!(finding.event_count, 1);
    let event = &finding.events[0];
    assert_eq!((event.plan_id.as_str(), event.revision), ("growth", NEXT));
    assert_eq!(event.r#type, type_name(&given::event(1, added("x", ""))));
    assert!(!event.summary.is_empty());
    says(&finding, &["`loose`", "`regroup_tactic`"]);
}

#[test]
fn findings_stand_in_the_order_of_codes_then_of_subjects() {
    let story = [
        (0, given::created()),
        (0, added("b", "")),
        (0, added("a", "")),
    ];
    let found = review(&told(0, story));
    let named: Vec<_> = found
        .iter()
        .map(|it| (it.code.as_str(), it.subject.as_str()))
        .collect();
    let expected = [
        ("IND001", "plan"),
        ("OBJ003", "plan"),
        ("STR010", "plan"),
        ("TAC006", "tactics/a"),
        ("TAC006", "tactics/b"),
    ];
    assert_eq!(named, expected);
}

#[test]
fn of_many_events_the_last_are_shown_and_all_are_counted() {
    let story = (1..=70).map(|number| {
        let silent = proto::TacticTried {
            expected: " ".into(),
            ..attempt("a", number)
        };
        (1, Kind::TacticTried(silent))
    });
    let finding = only(&told(2, sound_then(story)), "HIS002");
    assert_eq!(finding.event_count, 70);
    assert_eq!(behind(&finding), (NEXT + 6..NEXT + 70).collect::<Vec<_>>());
}
