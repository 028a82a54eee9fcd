//! Whose word held, and who has promised too much.

use super::*;

const NONE: [&str; 0] = [];

fn lapsed(due_day: i64) -> Kind {
    Kind::DeadlineMissed(proto::DeadlineMissed {
        commitment_id: "c".into(),
        silent: true,
        due: Some(given::at(due_day * DAY_SECONDS)),
        ..proto::DeadlineMissed::default()
    })
}

fn missed(notice: proto::Notice) -> Kind {
    Kind::DeadlineMissed(proto::DeadlineMissed {
        commitment_id: "c".into(),
        notice: notice.into(),
        reason: "The mill is late".into(),
        ..proto::DeadlineMissed::default()
    })
}

fn moved(due_day: i64, notice: proto::Notice) -> Kind {
    Kind::DeadlineMoved(proto::DeadlineMoved {
        commitment_id: "c".into(),
        new: Some(given::at(due_day * DAY_SECONDS)),
        notice: notice.into(),
        ..proto::DeadlineMoved::default()
    })
}

fn kept() -> Kind {
    Kind::CommitmentKept(proto::CommitmentKept {
        commitment_id: "c".into(),
        note: String::new(),
    })
}

/// A commitment of day 1 that is due on day 9, and what becomes of it.
fn commitment(later: impl IntoIterator<Item = (i64, Kind)>) -> Moment {
    let made = [(1, promised("c", "", 9))];
    told(20, sound_then(made.into_iter().chain(later)))
}

#[test]
fn a_date_that_passed_in_silence_is_found_also_when_the_promise_was_kept_later() {
    let finding = only(&commitment([(9, lapsed(9))]), "COM001");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("commitments/c", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT, NEXT + 1]);
    says(&finding, &["`c`", "Ada", "1970-01-10", "ask Ada"]);
    let late = only(&commitment([(9, lapsed(9)), (12, kept())]), "COM001");
    says(&late, &["agree with Ada"]);
    assert_eq!(about(&commitment([(8, kept())]), "COM001"), NONE);
    // Kept in time, though that was recorded when the date had passed.
    assert_eq!(
        about(&commitment([(9, lapsed(9)), (8, kept())]), "COM001"),
        NONE
    );
}

#[test]
fn a_commitment_that_is_open_past_its_date_is_found_though_the_clock_did_not_miss_it() {
    // Recorded when it was due already, so the clock is silent.
    let finding = only(&commitment([]), "COM001");
    assert_eq!(behind(&finding), [NEXT]);
    says(&finding, &["due on 1970-01-10", "still open", "ask Ada"]);
    let moved_on = commitment([(8, moved(25, proto::Notice::BeforeDue))]);
    assert_eq!(about(&moved_on, "COM001"), NONE);
}

#[test]
fn a_miss_is_silent_unless_it_was_said_before_the_date() {
    let late = only(
        &commitment([(10, missed(proto::Notice::AfterDue))]),
        "COM001",
    );
    assert_eq!(behind(&late), [NEXT, NEXT + 1]);
    let early = commitment([(8, missed(proto::Notice::BeforeDue))]);
    assert_eq!(about(&early, "COM001"), NONE);
}

#[test]
fn a_date_that_was_corrected_never_passed_in_silence() {
    let corrected = given::corrected(NEXT, promised("c", "", 25));
    let moment = commitment([(9, lapsed(9)), (10, corrected)]);
    assert_eq!(about(&moment, "COM001"), NONE);
}

#[test]
fn a_miss_is_named_by_the_date_that_was_missed_and_not_by_that_to_which_it_was_moved() {
    let after = proto::Notice::AfterDue;
    let said = missed(after);
    let moment = commitment([
        (9, lapsed(9)),
        (10, moved(15, after)),
        (15, lapsed(15)),
        (16, moved(400, after)),
    ]);
    let finding = only(&moment, "COM001");
    says(&finding, &["missed on 1970-01-10 and 1970-01-16, "]);
    assert!(!finding.message.contains("1971"), "{finding:#?}");
    // Said late about the date that had passed in silence: one date, and somebody did speak.
    let twice = only(&commitment([(9, lapsed(9)), (10, said)]), "COM001");
    assert_eq!(twice.event_count, 3);
    says(
        &twice,
        &["missed on 1970-01-10, and nobody said so before:"],
    );
    assert!(!twice.message.contains("without notice"), "{twice:#?}");
}

#[test]
fn an_assignee_is_who_was_written_down_blanks_and_all() {
    let make = |number: i64| {
        let assignee = if number % 2 == 0 { "Ada" } else { " Ada " };
        let made = proto::CommitmentMade {
            commitment_id: format!("c{number}"),
            assignee: assignee.into(),
            promise: "The samples are sent".into(),
            due: Some(given::at(9 * DAY_SECONDS)),
            ..proto::CommitmentMade::default()
        };
        (1, Kind::CommitmentMade(made))
    };
    assert_eq!(
        about(&told(2, sound_then((1..=14).map(make))), "COM003"),
        NONE
    );
    let finding = only(&told(2, sound_then((1..=15).map(make))), "COM003");
    says(&finding, &["one person ( Ada : 8)"]);
}

#[test]
fn a_deadline_moved_twice_is_found_and_once_in_time_is_not() {
    let before = proto::Notice::BeforeDue;
    let once = [(2, moved(12, before))];
    assert_eq!(about(&commitment(once.clone()), "COM002"), NONE);
    let twice = once.into_iter().chain([(3, moved(15, before))]);
    let finding = only(&commitment(twice.clone()), "COM002");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("commitments/c", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT + 1, NEXT + 2]);
    says(&finding, &["twice", "1970-01-16", "Ada"]);
    let closed = twice.chain([(4, kept())]);
    assert_eq!(about(&commitment(closed), "COM002"), ["commitments/c"]);
}

#[test]
fn a_deadline_moved_when_it_was_due_is_found_at_once() {
    let finding = only(
        &commitment([(10, moved(15, proto::Notice::AfterDue))]),
        "COM002",
    );
    says(&finding, &["once, when it was due already"]);
}

#[test]
fn seven_open_commitments_of_one_person_are_enough() {
    let make = |number: i64| (1, promised(&format!("c{number}"), "", 9));
    let seven = sound_then((1..=7).map(make));
    assert_eq!(about(&told(2, seven.clone()), "COM003"), NONE);
    let eight: Story = seven.into_iter().chain([make(8)]).collect();
    let finding = only(&told(2, eight.clone()), "COM003");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Warn)
    );
    assert_eq!(finding.subjects.len(), 8);
    assert_eq!(behind(&finding), (NEXT..NEXT + 8).collect::<Vec<_>>());
    says(&finding, &["Ada: 8"]);
    let given_away = Kind::CommitmentReassigned(proto::CommitmentReassigned {
        commitment_id: "c8".into(),
        assignee: "Grace".into(),
        reason: "Ada has enough".into(),
    });
    let released = Kind::CommitmentReleased(proto::CommitmentReleased {
        commitment_id: "c1".into(),
        reason: "Not needed".into(),
    });
    for change in [given_away, released] {
        let story = eight.clone().into_iter().chain([(2, change)]);
        assert_eq!(about(&told(2, story), "COM003"), NONE);
    }
}
