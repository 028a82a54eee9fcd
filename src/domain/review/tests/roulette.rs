//! One tactic after another, and never another strategy.

use super::*;

const NONE: [&str; 0] = [];

fn created() -> Story {
    vec![(0, given::created())]
}

/// A tactic is added under a strategy or under none, tried, and fails.
fn fails(tactic_id: &str, strategy_id: &str) -> [Kind; 3] {
    [
        added(tactic_id, strategy_id),
        tried(tactic_id, 1),
        failed(tactic_id, 1),
    ]
}

fn after(start: Story, later: impl IntoIterator<Item = Kind>) -> Moment {
    let later = later.into_iter().map(|kind| (1, kind));
    told(1, start.into_iter().chain(later))
}

fn with_strategies(ids: &[&str]) -> Story {
    let adopted = ids
        .iter()
        .map(|id| (0, Kind::StrategyAdopted(strategy(id))));
    created().into_iter().chain(adopted).collect()
}

#[test]
fn three_tactics_under_no_strategy_that_fail_one_after_another_are_roulette() {
    let three = [fails("a", ""), fails("b", ""), fails("c", "")].concat();
    let moment = after(created(), three.clone());
    let finding = only(&moment, "TAC001");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Warn)
    );
    assert_eq!(finding.subjects, ["tactics/a", "tactics/b", "tactics/c"]);
    // The failures, and the adding of the second and third tactic between them.
    assert_eq!(behind(&finding), [4, 5, 7, 8, 10]);
    says(
        &finding,
        &[
            "3 tactics",
            "no strategy",
            "`a`, `b` and `c`",
            "1970-01-02",
            "adopt a strategy",
        ],
    );
    assert_eq!(about(&moment, "STR010"), ["plan"]);
    assert_eq!(
        about(&moment, "TAC006"),
        ["tactics/a", "tactics/b", "tactics/c"]
    );
    let two = after(created(), three.into_iter().take(6));
    assert_eq!(about(&two, "TAC001"), NONE);
}

#[test]
fn failures_across_two_strategies_are_roulette_and_under_one_they_are_not() {
    let across = [fails("a", "s"), fails("b", "t"), fails("c", "s")].concat();
    let finding = only(&after(with_strategies(&["s", "t"]), across), "TAC001");
    assert_eq!(behind(&finding), [6, 7, 9, 10, 12]);
    says(
        &finding,
        &["under `s` and `t`", "revise a strategy (`s` and `t`)"],
    );
    let under_one = [fails("a", "s"), fails("b", "s"), fails("c", "s")].concat();
    assert_eq!(
        about(&after(with_strategies(&["s", "t"]), under_one), "TAC001"),
        NONE
    );
}

#[test]
fn failures_under_a_strategy_and_under_none_are_roulette() {
    let mixed = [fails("a", ""), fails("b", "s"), fails("c", "s")].concat();
    let finding = only(&after(with_strategies(&["s"]), mixed), "TAC001");
    says(
        &finding,
        &["under `s` and under none", "revise strategy `s`"],
    );
}

#[test]
fn an_option_that_was_there_before_the_failure_is_no_roulette() {
    let waiting = [
        added("c", ""),
        added("a", ""),
        tried("a", 1),
        failed("a", 1),
        added("b", ""),
        tried("b", 1),
        failed("b", 1),
        tried("c", 1),
        failed("c", 1),
    ];
    let moment = after(created(), waiting.clone());
    assert_eq!(about(&moment, "TAC001"), NONE);
    // A fourth that is added then makes three that follow each other: a, b and d.
    let fourth = waiting.into_iter().chain(fails("d", ""));
    let finding = only(&after(created(), fourth), "TAC001");
    assert_eq!(finding.subjects, ["tactics/a", "tactics/b", "tactics/d"]);
}

#[test]
fn a_tactic_that_fails_again_does_not_make_the_chain_longer() {
    let twice = [fails("a", ""), fails("b", "")].concat().into_iter();
    let twice = twice.chain([tried("b", 2), failed("b", 2)]);
    assert_eq!(about(&after(created(), twice.clone()), "TAC001"), NONE);
    let third = twice.chain(fails("c", ""));
    let finding = only(&after(created(), third), "TAC001");
    assert_eq!(finding.subjects, ["tactics/a", "tactics/b", "tactics/c"]);
}

#[test]
fn only_failures_of_the_effect_count() {
    let missing = [
        added("b", ""),
        tried("b", 1),
        given::failed("b", 1, proto::Failure::Precondition),
    ];
    let story = [fails("a", ""), missing, fails("c", "")].concat();
    assert_eq!(about(&after(created(), story), "TAC001"), NONE);
}

#[test]
fn a_changed_strategy_settles_what_came_before() {
    let changes = [
        Kind::StrategyAdopted(strategy("t")),
        Kind::StrategyRevised(revised("s", 2)),
        Kind::StrategyBranched(proto::StrategyBranched {
            from_strategy_id: "s".into(),
            strategy_id: "t".into(),
            intent: "Win resellers".into(),
            reason: "They know everybody".into(),
        }),
        Kind::StrategySuperseded(proto::StrategySuperseded {
            strategy_id: "s".into(),
            by_strategy_id: "r".into(),
            reason: "Better".into(),
        }),
    ];
    for change in changes {
        let first_two = [fails("a", ""), fails("b", "")].concat();
        let third = fails("c", "");
        let between = first_two.into_iter().chain([change.clone()]).chain(third);
        let moment = after(with_strategies(&["r", "s"]), between);
        assert_eq!(about(&moment, "TAC001"), NONE, "{change:?}");
    }
    // Given up or fulfilled, nothing says what is done instead.
    let three = [fails("a", ""), fails("b", ""), fails("c", "")].concat();
    let (first, last) = three.split_at(6);
    let between = first.iter().cloned().chain([abandoned("s")]);
    let moment = after(
        with_strategies(&["r", "s"]),
        between.chain(last.iter().cloned()),
    );
    assert_eq!(about(&moment, "TAC001"), ["plan"]);
}

#[test]
fn a_failure_counts_under_the_strategy_that_the_tactic_served_then() {
    let three = [fails("a", "s"), fails("b", "s"), fails("c", "s")].concat();
    let moved = three.into_iter().chain([regrouped("c", "t")]);
    assert_eq!(
        about(&after(with_strategies(&["s", "t"]), moved), "TAC001"),
        NONE
    );
}

#[test]
fn a_longer_chain_under_one_strategy_does_not_hide_one_across_two() {
    let story = [
        fails("a", "s"),
        fails("b", "s"),
        fails("c", "s"),
        fails("d", "t"),
    ];
    let finding = only(
        &after(with_strategies(&["s", "t"]), story.concat()),
        "TAC001",
    );
    assert_eq!(finding.subjects.len(), 4);
    // `d` was there from the start: it begins a chain, and there are two others behind it.
    let story = [added("d", "t"), tried("d", 1)].into_iter();
    let story = story.chain(fails("a", "s")).chain([failed("d", 1)]);
    let story = story.chain(fails("b", "s")).chain(fails("c", "s"));
    let finding = only(&after(with_strategies(&["s", "t"]), story), "TAC001");
    assert_eq!(finding.subjects, ["tactics/b", "tactics/c", "tactics/d"]);
}

fn out_of_rank(tactic_id: &str, followed: bool, reason: &str) -> Kind {
    Kind::TacticTried(proto::TacticTried {
        reason: reason.into(),
        suggestion: Some(proto::Suggestion {
            verdict: proto::SuggestionVerdict::Try.into(),
            tactic_id: if followed { tactic_id } else { "a" }.into(),
            followed,
        }),
        ..attempt(tactic_id, 1)
    })
}

fn third_try(third: Kind) -> Moment {
    let options = ["a", "b", "c", "d"].map(|id| added(id, "s"));
    let two = [out_of_rank("b", false, ""), out_of_rank("c", false, " ")];
    after(
        with_strategies(&["s"]),
        options.into_iter().chain(two).chain([third]),
    )
}

#[test]
fn three_tactics_tried_out_of_rank_without_a_word_are_roulette() {
    let finding = only(&third_try(out_of_rank("d", false, "")), "TAC001");
    assert_eq!(finding.subjects, ["tactics/b", "tactics/c", "tactics/d"]);
    assert_eq!(behind(&finding), [7, 8, 9]);
    says(&finding, &["3 tactics", "without a reason"]);
    for beside in [
        out_of_rank("d", false, "The printer is on holiday"),
        out_of_rank("d", true, ""),
        // The same tactic again is not a third one.
        out_of_rank("c", false, ""),
        tried("d", 1),
        added("e", "s"),
    ] {
        assert_eq!(
            about(&third_try(beside.clone()), "TAC001"),
            NONE,
            "{beside:?}"
        );
    }
}

#[test]
fn a_try_when_nothing_was_suggested_is_not_out_of_rank() {
    for verdict in [
        proto::SuggestionVerdict::Wait,
        proto::SuggestionVerdict::StrategyExhausted,
    ] {
        let Kind::TacticTried(mut tried) = out_of_rank("d", false, "") else {
            unreachable!("it is a try");
        };
        tried.suggestion = Some(proto::Suggestion {
            verdict: verdict.into(),
            ..proto::Suggestion::default()
        });
        assert_eq!(about(&third_try(Kind::TacticTried(tried)), "TAC001"), NONE);
    }
}
