//! Whether the record was kept in time, says what was expected, and stays readable.

use super::*;

const NONE: [&str; 0] = [];

/// The sound plan, each event recorded so many seconds after it occurred.
fn recorded_after(seconds: i64) -> Moment {
    let events = told(0, sound()).events;
    let late = events.iter().map(|recorded| {
        Arc::new(Recorded {
            recorded_at: recorded.occurred_at().plus_seconds(seconds),
            ..Recorded::clone(recorded)
        })
    });
    recorded_moment(Time::default(), late)
}

#[test]
fn what_is_recorded_more_than_a_week_later_is_late_and_said_once_a_plan() {
    assert_eq!(about(&recorded_after(7 * DAY_SECONDS), "HIS001"), NONE);
    let finding = only(&recorded_after(7 * DAY_SECONDS + 1), "HIS001");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Note)
    );
    assert_eq!(finding.event_count, 7);
    says(&finding, &["7 events"]);
}

#[test]
fn a_lapse_that_the_daemon_could_only_record_later_is_no_late_record() {
    let missed = |silent| {
        let missed = proto::DeadlineMissed {
            commitment_id: "c".into(),
            silent,
            due: Some(given::at(9 * DAY_SECONDS)),
            ..proto::DeadlineMissed::default()
        };
        let story = sound_then([(1, promised("c", "", 9)), (9, Kind::DeadlineMissed(missed))]);
        let moment = told(9, story);
        let events = moment.events.iter().map(|it| {
            let is_miss = matches!(it.event.kind, Some(Kind::DeadlineMissed(_)));
            let later = if is_miss { 30 * DAY_SECONDS } else { 0 };
            Arc::new(Recorded {
                recorded_at: it.occurred_at().plus_seconds(later),
                ..Recorded::clone(it)
            })
        });
        recorded_moment(given::at(40 * DAY_SECONDS).into(), events)
    };
    assert_eq!(about(&missed(true), "HIS001"), NONE);
    assert_eq!(behind(&only(&missed(false), "HIS001")), [NEXT + 1]);
}

#[test]
fn an_attempt_without_an_expectation_is_found_also_when_it_has_ended() {
    let silent = Kind::TacticTried(proto::TacticTried {
        expected: " ".into(),
        ..attempt("a", 1)
    });
    let story = sound_then([(1, silent), (2, failed("a", 1)), (3, tried("b", 1))]);
    let finding = only(&told(3, story), "HIS002");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("tactics/a", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [NEXT]);
}

#[test]
fn a_plan_is_long_beyond_five_thousand_events() {
    let notes = |count: usize| {
        let note = || (0, Kind::NoteRecorded(proto::NoteRecorded::default()));
        told(0, sound_then(std::iter::repeat_with(note).take(count)))
    };
    assert_eq!(about(&notes(4_993), "HIS003"), NONE);
    let finding = only(&notes(5_000), "HIS003");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [5_001]);
    says(&finding, &["5007 events"]);
}
