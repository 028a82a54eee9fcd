//! Findings that somebody has decided to live with.

use super::*;

fn accepted(code: &str, subject: &str, until_day: Option<i64>) -> Kind {
    Kind::FindingAcknowledged(proto::FindingAcknowledged {
        code: code.into(),
        subject: subject.into(),
        until: until_day.map(|day| given::at(day * DAY_SECONDS)),
        reason: "We know".into(),
    })
}

/// A plan whose tactic `loose` serves no strategy.
fn loose_then(later: impl IntoIterator<Item = (i64, Kind)>) -> Story {
    let mut story = sound_then([(1, added("loose", ""))]);
    story.extend(later);
    story
}

#[test]
fn an_acknowledged_finding_is_shown_with_who_accepted_it() {
    let story = loose_then([(2, accepted("TAC006", "tactics/loose", None))]);
    let finding = only(&told(99, story), "TAC006");
    let acknowledgement = finding.acknowledgement.expect("it holds");
    let expected = proto::Acknowledgement {
        code: "TAC006".into(),
        subject: "tactics/loose".into(),
        until: None,
        reason: "We know".into(),
        revision: NEXT + 1,
    };
    assert_eq!(acknowledgement, expected);
}

#[test]
fn an_acknowledgement_is_of_one_code_and_one_subject() {
    for (code, subject) in [("TAC007", "tactics/loose"), ("TAC006", "tactics/a")] {
        let story = loose_then([(2, accepted(code, subject, None))]);
        assert_eq!(only(&told(3, story), "TAC006").acknowledgement, None);
    }
}

#[test]
fn an_acknowledgement_lapses_at_its_date() {
    let story = loose_then([(2, accepted("TAC006", "tactics/loose", Some(9)))]);
    let on = |day| only(&told(day, story.clone()), "TAC006").acknowledgement;
    assert!(on(8).is_some());
    assert_eq!(on(9), None);
}

#[test]
fn an_acknowledgement_lapses_when_new_events_join_the_finding() {
    let silent = |tactic_id: &str, number| {
        let silent = proto::TacticTried {
            expected: String::new(),
            ..attempt(tactic_id, number)
        };
        (1, Kind::TacticTried(silent))
    };
    let story = sound_then([
        silent("a", 1),
        (2, failed("a", 1)),
        (2, accepted("HIS002", "tactics/a", None)),
    ]);
    let then = |later: Vec<(i64, Kind)>| {
        let moment = told(9, story.iter().cloned().chain(later));
        let found = of_code(&moment, "HIS002");
        let of_a = found.into_iter().find(|it| it.subject == "tactics/a");
        of_a.expect("it is found").acknowledgement
    };
    assert!(then(vec![]).is_some());
    assert!(then(vec![silent("b", 1), (3, tried("a", 2))]).is_some());
    assert_eq!(then(vec![silent("a", 2)]), None);
    let again = vec![silent("a", 2), (3, accepted("HIS002", "tactics/a", None))];
    assert!(then(again).is_some());
}

#[test]
fn an_acknowledgement_lapses_also_when_the_new_event_is_not_the_last_one_shown() {
    // A commitment is reassigned, and is still one of eight.
    let make = |number: i64| (1, promised(&format!("c{number}"), "", 9));
    let story = sound_then((1..=8).map(make));
    let acknowledging = (2, accepted("COM003", "plan", None));
    let story: Story = story.into_iter().chain([acknowledging]).collect();
    let held = |story: Story| only(&told(2, story), "COM003").acknowledgement.is_some();
    assert!(held(story.clone()));
    assert!(!held(story.into_iter().chain([make(9)]).collect()));
}

#[test]
fn an_acknowledgement_lapses_when_an_event_behind_the_finding_is_corrected() {
    let stated = |statement: &str| {
        Kind::ObjectiveSet(proto::ObjectiveSet {
            statement: statement.into(),
            horizon: objective().horizon,
            ..proto::ObjectiveSet::default()
        })
    };
    let mut story = sound();
    story[1].1 = stated("Increase sales");
    story.push((1, accepted("OBJ001", "objective", None)));
    let holds = |later: &[Kind]| {
        let later = later.iter().map(|kind| (2, kind.clone()));
        let moment = told(3, story.iter().cloned().chain(later));
        only(&moment, "OBJ001").acknowledgement.is_some()
    };
    assert!(holds(&[]));
    let other = given::corrected(3, given::indicator("replies"));
    assert!(holds(&[other]), "not behind it");
    let nicer = given::corrected(2, stated("Be nicer"));
    assert!(
        !holds(std::slice::from_ref(&nicer)),
        "another text was accepted"
    );
    assert!(holds(&[nicer, accepted("OBJ001", "objective", None)]));
}

#[test]
fn a_long_plan_can_be_accepted_for_good() {
    let note = || (0, Kind::NoteRecorded(proto::NoteRecorded::default()));
    let notes = |count| std::iter::repeat_with(note).take(count);
    let story = sound_then(notes(5_000)).into_iter();
    let story = story.chain([(0, accepted("HIS003", "plan", None))]);
    let finding = only(&told(0, story.chain(notes(9))), "HIS003");
    assert!(finding.acknowledgement.is_some());
}
