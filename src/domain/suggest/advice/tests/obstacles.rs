//! What speaks against an option, in which words, and the events behind it.

use super::*;

/// What speaks against `a`: what, in which words, and behind that the events of which revisions.
fn against_a(later: impl IntoIterator<Item = Kind>) -> Vec<(Told, String, Vec<u64>)> {
    let option = option(&suggested(later), "a");
    assert_eq!(option.eligible, option.obstacles.is_empty());
    let texts: Vec<_> = option.obstacles.iter().map(|it| it.text.clone()).collect();
    if !option.eligible {
        assert_eq!(option.reason, texts.join(" "));
    }
    let told = option.obstacles.iter().map(|it| {
        let revisions = it.events.iter().map(|event| event.revision).collect();
        (it.obstacle(), it.text.clone(), revisions)
    });
    told.collect()
}

#[track_caller]
fn is_told(later: impl IntoIterator<Item = Kind>, obstacle: Told, text: &str, revisions: &[u64]) {
    let expected = (obstacle, text.to_owned(), revisions.to_vec());
    assert_eq!(against_a(later), [expected]);
}

#[test]
fn an_open_attempt_stands_in_the_way_of_another() {
    is_told(
        [given::tried("a", 1)],
        Told::OpenAttempt,
        "Its attempt 1 is open.",
        &[8],
    );
}

#[test]
fn what_should_have_succeeded_first_is_named_with_how_it_stands() {
    let text = "It comes after `b`, not yet successful.";
    is_told([resting_on(&[], &["b"])], Told::AfterNotMet, text, &[8]);
    let failing = [
        given::tried("b", 1),
        given::failed("b", 1, Failure::Effect),
        resting_on(&[], &["b"]),
    ];
    is_told(failing, Told::AfterNotMet, text, &[9, 10]);
    is_told(
        [resting_on(&[], &["b"]), retired("b")],
        Told::AfterNotMet,
        "It comes after `b`, which has not succeeded and is retired.",
        &[8, 9],
    );
}

#[test]
fn a_refuted_load_bearing_assumption_is_named_with_what_refuted_it() {
    let evidence = Kind::EvidenceRecorded(proto::EvidenceRecorded {
        evidence_id: "e".into(),
        assumption_id: "load".into(),
        verdict: proto::Verdict::Refutes.into(),
        summary: "Nobody does".into(),
        ..proto::EvidenceRecorded::default()
    });
    is_told(
        [
            resting_on(&["load"], &[]),
            evidence,
            given::created(),
            refuted("load"),
        ],
        Told::RefutedAssumption,
        "It rests on `load`, which is load-bearing and was refuted.",
        &[9, 11],
    );
}

#[test]
fn a_tactic_that_failed_is_not_suggested_again_and_shows_how_it_failed() {
    is_told(
        [given::tried("a", 1), given::failed("a", 1, Failure::Effect)],
        Told::RetryLimit,
        "It failed of its effect once: the same again is not expected to work.",
        &[9],
    );
    let once = [
        given::tried("a", 1),
        given::failed("a", 1, Failure::Precondition),
    ];
    assert_eq!(against_a(once.clone()), []);
    let again = [
        given::tried("a", 2),
        given::failed("a", 2, Failure::Precondition),
    ];
    is_told(
        once.into_iter().chain(again),
        Told::RetryLimit,
        "It failed of a precondition twice: what was missing was not procured.",
        &[9, 11],
    );
}

#[test]
fn success_stop_and_retirement_stand_in_the_way() {
    is_told(
        [given::tried("a", 1), given::succeeded("a", 1)],
        Told::Succeeded,
        "It has succeeded already.",
        &[9],
    );
    is_told(
        [given::tried("a", 1), stopped("a", 1)],
        Told::Stopped,
        "Its attempt 1 was stopped, and something was learned from that.",
        &[9],
    );
    is_told(
        [retired("a")],
        Told::Retired,
        "It is retired and no longer an option.",
        &[8],
    );
}

#[test]
fn all_obstacles_are_told() {
    let later = [
        given::tried("a", 1),
        given::succeeded("a", 1),
        given::tried("a", 2),
    ];
    let told: Vec<_> = against_a(later).into_iter().map(|it| it.0).collect();
    assert_eq!(told, [Told::OpenAttempt, Told::Succeeded]);
}

#[test]
fn a_retracted_end_of_an_attempt_stands_in_nobodys_way() {
    let later = [
        given::tried("a", 1),
        given::failed("a", 1, Failure::Effect),
        given::retracted(9),
    ];
    is_told(later, Told::OpenAttempt, "Its attempt 1 is open.", &[8]);
}
