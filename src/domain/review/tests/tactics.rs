//! Who answers for attempts, when they end, and whether they were worth beginning.

use super::*;

const NONE: [&str; 0] = [];

fn closing(kind: fn(String) -> Kind) -> Kind {
    kind("c".into())
}

fn released(commitment_id: String) -> Kind {
    Kind::CommitmentReleased(proto::CommitmentReleased {
        commitment_id,
        reason: "Somebody else does it".into(),
    })
}

fn kept(commitment_id: String) -> Kind {
    Kind::CommitmentKept(proto::CommitmentKept {
        commitment_id,
        note: String::new(),
    })
}

fn reworded(assumption_ids: &[&str], after_tactic_ids: &[&str]) -> Kind {
    Kind::TacticReworded(proto::TacticReworded {
        tactic_id: "a".into(),
        statement: "Send samples".into(),
        assumption_ids: assumption_ids.iter().map(|&id| id.into()).collect(),
        after_tactic_ids: after_tactic_ids.iter().map(|&id| id.into()).collect(),
        ..proto::TacticReworded::default()
    })
}

fn with_stop_rule(state: &str, by_day: Option<i64>) -> Kind {
    Kind::TacticTried(proto::TacticTried {
        stop_rule: Some(StopRule {
            state: state.into(),
            by: by_day.map(|day| given::at(day * DAY_SECONDS)),
        }),
        ..attempt("a", 1)
    })
}

#[test]
fn an_open_attempt_needs_an_open_commitment_for_its_tactic() {
    let finding = only(&told(1, sound_then([(1, tried("a", 1))])), "TAC002");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("tactics/a", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT]);
    says(&finding, &["`a`", "1970-01-02", "`make_commitment`"]);
    let found = |kinds: Vec<Kind>| {
        let story = sound_then(kinds.into_iter().map(|kind| (1, kind)));
        about(&told(1, story), "TAC002")
    };
    let promise = || promised("c", "a", 9);
    assert_eq!(found(vec![tried("a", 1), promise()]), NONE);
    assert_eq!(found(vec![promise(), tried("a", 1)]), NONE);
    let of_another = promised("c", "b", 9);
    assert_eq!(found(vec![tried("a", 1), of_another]), ["tactics/a"]);
    let of_nothing = promised("c", "", 9);
    assert_eq!(found(vec![tried("a", 1), of_nothing]), ["tactics/a"]);
    assert_eq!(found(vec![tried("a", 1), failed("a", 1)]), NONE);
}

#[test]
fn an_attempt_whose_commitment_has_ended_has_no_owner() {
    for end in [released, kept] {
        let story = [tried("a", 1), promised("c", "a", 9), closing(end)];
        let story = sound_then(story.map(|kind| (1, kind)));
        let finding = only(&told(1, story), "TAC002");
        assert_eq!(behind(&finding), [NEXT, NEXT + 2]);
    }
}

#[test]
fn an_overdue_commitment_still_has_an_owner() {
    let lapsed = Kind::DeadlineMissed(proto::DeadlineMissed {
        commitment_id: "c".into(),
        silent: true,
        due: Some(given::at(9 * DAY_SECONDS)),
        ..proto::DeadlineMissed::default()
    });
    let story = [(1, tried("a", 1)), (1, promised("c", "a", 9)), (9, lapsed)];
    assert_eq!(about(&told(10, sound_then(story)), "TAC002"), NONE);
}

#[test]
fn an_open_attempt_needs_a_state_or_a_date_to_stop_at() {
    let without = Kind::TacticTried(proto::TacticTried {
        stop_rule: None,
        ..attempt("a", 1)
    });
    for kind in [without.clone(), with_stop_rule(" ", None)] {
        let finding = only(&told(1, sound_then([(1, kind)])), "TAC003");
        assert_eq!(
            (finding.subject.as_str(), level(&finding)),
            ("tactics/a", FindingLevel::Note)
        );
        assert_eq!(behind(&finding), [NEXT]);
    }
    for kind in [
        with_stop_rule("", Some(9)),
        with_stop_rule("No reply", None),
    ] {
        assert_eq!(about(&told(1, sound_then([(1, kind)])), "TAC003"), NONE);
    }
    let ended = sound_then([(1, without), (2, failed("a", 1))]);
    assert_eq!(about(&told(2, ended), "TAC003"), NONE);
}

#[test]
fn an_open_attempt_is_past_its_stop_rule_once_the_date_has_passed() {
    let story = sound_then([(1, with_stop_rule("", Some(9)))]);
    assert_eq!(about(&told(9, story.clone()), "TAC004"), NONE);
    let finding = only(&told(11, story.clone()), "TAC004");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("tactics/a", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT]);
    says(&finding, &["1970-01-10", "2 days ago"]);
    let ended = story.into_iter().chain([(10, failed("a", 1))]);
    assert_eq!(about(&told(11, ended), "TAC004"), NONE);
}

/// A failed attempt, what happens then, and another attempt.
fn again_after(between: impl IntoIterator<Item = Kind>) -> Moment {
    let first = [tried("a", 1), failed("a", 1)];
    let story = first.into_iter().chain(between).chain([tried("a", 2)]);
    told(1, sound_then(story.map(|kind| (1, kind))))
}

#[test]
fn a_tactic_tried_again_with_nothing_changed_is_a_blind_repeat() {
    let finding = only(&again_after([]), "TAC005");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("tactics/a", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT + 1, NEXT + 2]);
    says(&finding, &["`a`", "once", "revision 9", "at 10"]);
}

#[test]
fn a_repeat_is_not_blind_when_something_was_changed_or_learned() {
    for change in [
        reworded(&["load"], &[]),
        Kind::StrategyRevised(revised("s", 2)),
        evidence("e", "load", proto::Verdict::Inconclusive),
        refuted("load"),
        Kind::AssumptionSupported(proto::AssumptionSupported {
            assumption_id: "load".into(),
        }),
    ] {
        assert_eq!(
            about(&again_after([change.clone()]), "TAC005"),
            NONE,
            "{change:?}"
        );
    }
}

#[test]
fn what_changed_elsewhere_does_not_open_the_eyes() {
    for changes in [
        vec![
            given::assumption("other", false),
            evidence("e", "other", proto::Verdict::Refutes),
        ],
        vec![
            Kind::StrategyAdopted(strategy("t")),
            Kind::StrategyRevised(revised("t", 2)),
        ],
        vec![Kind::TacticReworded(proto::TacticReworded {
            tactic_id: "b".into(),
            statement: "Call".into(),
            ..proto::TacticReworded::default()
        })],
        vec![given::measured("replies", 1.0)],
    ] {
        assert_eq!(
            about(&again_after(changes.clone()), "TAC005"),
            ["tactics/a"],
            "{changes:?}"
        );
    }
}

#[test]
fn what_changed_before_the_failure_does_not_open_the_eyes_either() {
    let story = [
        evidence("e", "load", proto::Verdict::Supports),
        reworded(&["load"], &[]),
        tried("a", 1),
        failed("a", 1),
        tried("a", 2),
    ];
    let story = sound_then(story.map(|kind| (1, kind)));
    assert_eq!(about(&told(1, story), "TAC005"), ["tactics/a"]);
}

#[test]
fn only_a_failure_of_the_effect_makes_a_repeat_blind() {
    let of_precondition = given::failed("a", 1, proto::Failure::Precondition);
    let stopped = Kind::TacticStopped(proto::TacticStopped {
        tactic_id: "a".into(),
        attempt: 1,
        ..proto::TacticStopped::default()
    });
    for end in [of_precondition, stopped, given::succeeded("a", 1)] {
        let story = [tried("a", 1), end, tried("a", 2)].map(|kind| (1, kind));
        assert_eq!(about(&told(1, sound_then(story)), "TAC005"), NONE);
    }
    // The failure stays unanswered when a precondition fails after it, and is answered by a success.
    let missing = given::failed("a", 2, proto::Failure::Precondition);
    let twice = [failed("a", 1), tried("a", 2), missing, tried("a", 3)];
    let story = sound_then(
        [tried("a", 1)]
            .into_iter()
            .chain(twice)
            .map(|kind| (1, kind)),
    );
    let finding = only(&told(1, story), "TAC005");
    assert_eq!(behind(&finding), [NEXT + 1, NEXT + 2, NEXT + 4]);
    says(&finding, &["twice"]);
    let done = again_after([
        reworded(&["load"], &[]),
        tried("a", 2),
        given::succeeded("a", 2),
    ]);
    assert_eq!(about(&done, "TAC005"), NONE);
}

#[test]
fn a_retracted_failure_makes_no_repeat_blind() {
    let story = [
        tried("a", 1),
        failed("a", 1),
        tried("a", 2),
        given::retracted(NEXT + 2),
        given::retracted(NEXT + 1),
    ];
    let story = sound_then(story.map(|kind| (1, kind)));
    assert_eq!(about(&told(1, story), "TAC005"), NONE);
}

#[test]
fn a_tactic_under_no_strategy_is_ungrouped_until_it_is_put_under_one_or_retired() {
    let story = sound_then([(1, regrouped("a", ""))]);
    let finding = only(&told(1, story.clone()), "TAC006");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("tactics/a", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [NEXT]);
    for end in [regrouped("a", "s"), retired("a")] {
        let story = story.clone().into_iter().chain([(2, end)]);
        assert_eq!(about(&told(2, story), "TAC006"), NONE);
    }
}

#[test]
fn a_tactic_is_tried_too_early_before_those_it_is_to_come_after_have_succeeded() {
    let after_b = || (1, reworded(&["load"], &["b"]));
    let finding = only(
        &told(1, sound_then([after_b(), (1, tried("a", 1))])),
        "TAC007",
    );
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("tactics/a", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT + 1]);
    says(&finding, &["`a`", "`b`"]);
    let found = |end: Kind| {
        let story = [after_b(), (1, tried("b", 1)), (1, end), (1, tried("a", 1))];
        about(&told(1, sound_then(story)), "TAC007")
    };
    assert_eq!(found(given::succeeded("b", 1)), NONE);
    assert_eq!(found(failed("b", 1)), ["tactics/a"]);
    // What `after` says counts as it was when the tactic was tried.
    let later = sound_then([(1, tried("a", 1)), after_b()]);
    assert_eq!(about(&told(1, later), "TAC007"), NONE);
}
