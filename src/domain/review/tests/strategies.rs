//! Whether strategies choose, leave options, and change for a reason.

use super::*;

const NONE: [&str; 0] = [];

/// The sound plan with a strategy changed when it was adopted.
fn adopted(change: impl FnOnce(&mut proto::StrategyAdopted)) -> Story {
    let mut head = strategy("s");
    change(&mut head);
    let mut story = sound();
    story[4].1 = Kind::StrategyAdopted(head);
    story
}

fn with_intent(intent: &str) -> Story {
    adopted(|it| it.intent = intent.into())
}

fn on(story: Story, later: impl IntoIterator<Item = (i64, Kind)>) -> Story {
    story.into_iter().chain(later).collect()
}

fn unprompted(number: u32) -> Kind {
    Kind::StrategyRevised(proto::StrategyRevised {
        unprompted: true,
        ..revised("s", number)
    })
}

const TRADE_SHOWS: &str = "Our strategy for next year will be to do more trade shows";

#[test]
fn an_action_stated_as_a_strategy_is_noted_with_the_words_that_say_so() {
    let finding = only(&told(0, with_intent(TRADE_SHOWS)), "STR001");
    assert_eq!(finding.subject, "strategies/s");
    assert_eq!(level(&finding), FindingLevel::Note);
    assert_eq!(behind(&finding), [5]);
    let hit = finding
        .hits
        .iter()
        .find(|hit| hit.class == "channel")
        .expect("a channel");
    assert_eq!(hit.text, "trade shows");
    assert_eq!(&TRADE_SHOWS[hit.start as usize..hit.end as usize], hit.text);
    assert!(hit.weight > 0.0);
    let intention = "Win those who know us already";
    assert_eq!(about(&told(0, with_intent(intention)), "STR001"), NONE);
}

#[test]
fn an_action_that_is_also_a_tactic_of_the_plan_is_warned_of() {
    let shows = proto::TacticAdded {
        statement: "Do more trade shows".into(),
        ..tactic("shows", "")
    };
    let story = on(with_intent(TRADE_SHOWS), [(0, Kind::TacticAdded(shows))]);
    let finding = only(&told(0, story), "STR001");
    assert_eq!(level(&finding), FindingLevel::Warn);
    assert_eq!(behind(&finding), [5, NEXT]);
    says(&finding, &["`shows`", "`s`"]);
}

#[test]
fn a_strategy_may_be_without_tactics_for_two_weeks() {
    let story: Story = sound().into_iter().take(5).collect();
    assert_eq!(about(&told(13, story.clone()), "STR002"), NONE);
    let finding = only(&told(14, story), "STR002");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("strategies/s", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [5]);
    says(&finding, &["14 days", "1970-01-01"]);
    assert_eq!(about(&told(99, sound()), "STR002"), NONE);
}

#[test]
fn a_strategy_is_without_tactics_since_it_lost_the_last() {
    let retiring = Kind::StrategyRevised(proto::StrategyRevised {
        retire_tactic_ids: vec!["a".into()],
        ..revised("s", 2)
    });
    for last in [retired("b"), regrouped("b", "")] {
        let story = sound_then([(20, retiring.clone()), (30, last)]);
        assert_eq!(about(&told(43, story.clone()), "STR002"), NONE);
        let finding = only(&told(44, story), "STR002");
        assert_eq!(behind(&finding), [5, NEXT, NEXT + 1]);
        says(&finding, &["14 days", "1970-01-31"]);
    }
}

#[test]
fn a_single_option_is_one_untried_tactic_and_no_other() {
    let first = sound_then([(1, tried("a", 1)), (2, failed("a", 1))]);
    let finding = only(&told(2, first.clone()), "STR003");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("strategies/s", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [7, NEXT]);
    says(&finding, &["`b`", "`s`"]);
    assert_eq!(about(&told(2, sound()), "STR003"), NONE);
    let none_left = on(first, [(2, retired("b"))]);
    assert_eq!(about(&told(2, none_left), "STR003"), NONE);
}

#[test]
fn a_single_option_is_left_when_others_are_retired() {
    let finding = only(&told(2, sound_then([(1, retired("a"))])), "STR003");
    assert_eq!(behind(&finding), [7, NEXT]);
}

#[test]
fn a_strategy_is_exhausted_when_none_of_its_tactics_can_be_tried() {
    let both_failed = [
        (1, tried("a", 1)),
        (1, tried("b", 1)),
        (2, failed("a", 1)),
        (2, failed("b", 1)),
    ];
    let one_open: Vec<_> = both_failed.iter().take(3).cloned().collect();
    assert_eq!(about(&told(2, sound_then(one_open)), "STR004"), NONE);
    let finding = only(&told(2, sound_then(both_failed)), "STR004");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("strategies/s", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT + 2, NEXT + 3]);
    says(&finding, &["`s`", "2 tactics", "`revise_strategy`"]);
}

#[test]
fn a_strategy_that_was_revised_since_its_options_failed_is_told_to_have_another() {
    let both_failed = [
        (1, tried("a", 1)),
        (1, tried("b", 1)),
        (2, failed("a", 1)),
        (2, failed("b", 1)),
        (3, Kind::StrategyRevised(revised("s", 2))),
    ];
    let finding = only(&told(3, sound_then(both_failed)), "STR004");
    assert_eq!(behind(&finding), [NEXT + 2, NEXT + 3, NEXT + 4]);
    says(&finding, &["`s`", "since it was revised", "`add_tactic`"]);
}

#[test]
fn an_exhausted_strategy_names_the_assumption_that_closed_its_tactics() {
    let finding = only(&told(2, sound_then([(1, refuted("load"))])), "STR004");
    assert_eq!(behind(&finding), [NEXT]);
}

#[test]
fn an_exhausted_strategy_names_the_retiring_of_what_a_tactic_waits_for() {
    let waiting = Kind::TacticReworded(proto::TacticReworded {
        tactic_id: "b".into(),
        statement: "Send samples".into(),
        assumption_ids: vec!["load".into()],
        after_tactic_ids: vec!["a".into()],
        ..proto::TacticReworded::default()
    });
    let finding = only(
        &told(2, sound_then([(1, waiting), (1, retired("a"))])),
        "STR004",
    );
    assert_eq!(behind(&finding), [NEXT, NEXT + 1]);
}

#[test]
fn a_strategy_without_tactics_or_with_all_succeeded_is_not_exhausted() {
    let none = sound_then([(1, retired("a")), (1, retired("b"))]);
    assert_eq!(about(&told(1, none), "STR004"), NONE);
    let done = [
        (1, retired("b")),
        (1, tried("a", 1)),
        (1, given::succeeded("a", 1)),
    ];
    assert_eq!(about(&told(1, sound_then(done)), "STR004"), NONE);
}

#[test]
fn a_strategy_that_gives_nothing_up_makes_no_choice() {
    for story in [
        adopted(|it| it.will_not.clear()),
        adopted(|it| it.will_not = vec![" ".into()]),
    ] {
        let finding = only(&told(0, story), "STR005");
        assert_eq!(finding.subject, "strategies/s");
        assert_eq!(level(&finding), FindingLevel::Note);
        assert_eq!(behind(&finding), [5]);
    }
    assert_eq!(about(&told(0, sound()), "STR005"), NONE);
}

#[test]
fn a_strategy_without_a_diagnosis_is_found_by_its_head_revision() {
    let forgetting = Kind::StrategyRevised(proto::StrategyRevised {
        diagnosis: String::new(),
        ..revised("s", 2)
    });
    let finding = only(&told(1, sound_then([(1, forgetting)])), "STR006");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("strategies/s", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [NEXT]);
    assert_eq!(about(&told(0, sound()), "STR006"), NONE);
}

#[test]
fn five_live_strategies_are_in_focus_and_six_are_not() {
    let adopting = |id: &str| (0, Kind::StrategyAdopted(strategy(id)));
    let five = sound_then(["t", "u", "v", "w"].map(adopting));
    assert_eq!(about(&told(0, five.clone()), "STR007"), NONE);
    let six = on(five, [adopting("x")]);
    let finding = only(&told(0, six.clone()), "STR007");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Warn)
    );
    assert_eq!(finding.subjects.len(), 6);
    assert_eq!(behind(&finding), [5, 8, 9, 10, 11, 12]);
    says(&finding, &["6 strategies"]);
    let one_given_up = on(six, [(1, abandoned("t"))]);
    assert_eq!(about(&told(1, one_given_up), "STR007"), NONE);
}

#[test]
fn an_unprompted_revision_is_found_while_it_is_the_head() {
    let story = sound_then([(1, unprompted(2))]);
    let finding = only(&told(1, story.clone()), "STR008");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("strategies/s", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [NEXT]);
    says(&finding, &["Revision 2", "1970-01-02"]);
    let prompted = on(story, [(2, Kind::StrategyRevised(revised("s", 3)))]);
    assert_eq!(about(&told(2, prompted), "STR008"), NONE);
}

#[test]
fn three_revisions_without_an_attempt_between_are_churn() {
    let revising = |number| (1, Kind::StrategyRevised(revised("s", number)));
    let two = sound_then([revising(2), revising(3)]);
    assert_eq!(about(&told(1, two.clone()), "STR009"), NONE);
    let finding = only(&told(1, on(two.clone(), [revising(4)])), "STR009");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("strategies/s", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [NEXT, NEXT + 1, NEXT + 2]);
    says(&finding, &["3 times"]);
    let with_attempt = on(two.clone(), [(1, tried("a", 1)), revising(4)]);
    assert_eq!(about(&told(1, with_attempt), "STR009"), NONE);
    let of_another = [(1, added("loose", "")), (1, tried("loose", 1)), revising(4)];
    assert_eq!(
        about(&told(1, on(two, of_another)), "STR009"),
        ["strategies/s"]
    );
}

#[test]
fn tactics_without_any_strategy_are_found_once_a_plan() {
    let loose: Story = vec![
        (0, given::created()),
        (0, added("a", "")),
        (0, added("b", "")),
    ];
    let finding = only(&told(0, loose.clone()), "STR010");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Warn)
    );
    assert_eq!(finding.subjects, ["tactics/a", "tactics/b"]);
    assert_eq!(behind(&finding), [2, 3]);
    let none_left = on(loose.clone(), [(1, retired("a")), (1, retired("b"))]);
    assert_eq!(about(&told(1, none_left), "STR010"), NONE);
    let grouped = on(loose, [(1, Kind::StrategyAdopted(strategy("s")))]);
    assert_eq!(about(&told(1, grouped), "STR010"), NONE);
}

#[test]
fn a_plan_whose_strategies_were_given_up_has_none_and_one_that_fulfilled_its_has_had_one() {
    let given_up = only(&told(1, sound_then([(1, abandoned("s"))])), "STR010");
    assert_eq!(behind(&given_up), [6, 7, NEXT]);
    let fulfilled = Kind::StrategyFulfilled(proto::StrategyFulfilled {
        strategy_id: "s".into(),
        evidence: String::new(),
    });
    assert_eq!(
        about(&told(1, sound_then([(1, fulfilled)])), "STR010"),
        NONE
    );
}

#[test]
fn a_strategy_that_is_not_live_is_not_reviewed() {
    let story = adopted(|it| {
        it.intent = TRADE_SHOWS.into();
        it.diagnosis.clear();
        it.will_not.clear();
    });
    let story = on(story, [(1, abandoned("s"))]);
    let found = review(&told(99, story));
    let of_strategy = found.iter().filter(|it| it.subject == "strategies/s");
    assert_eq!(of_strategy.count(), 0, "{found:#?}");
}
