//! What a suggestion says of each option, on plans small enough to check by hand.

use super::*;
use crate::{
    domain::given,
    proto::{self, Doubt, Failure, Obstacle as Told, event::Kind},
};

mod chance;
mod obstacles;

/// A plan with the strategies `s` and `other`, and under `s` the options `a` and `b` of the kinds
/// `mail` and `call`, `a` the better one by rank.
fn moment(later: impl IntoIterator<Item = Kind>) -> Moment {
    let first = [
        given::created(),
        given::strategy("s"),
        given::strategy("other"),
        given::assumption("load", true),
        given::assumption("detail", false),
        tactic("a", "s", 1, "mail", Some(2.0)),
        tactic("b", "s", 2, "call", Some(4.0)),
    ];
    given::moment(first.into_iter().chain(later))
}

fn tactic(tactic_id: &str, strategy_id: &str, rank: u32, kind: &str, cost: Option<f64>) -> Kind {
    Kind::TacticAdded(proto::TacticAdded {
        tactic_id: tactic_id.into(),
        strategy_id: strategy_id.into(),
        statement: "Send samples".into(),
        rank,
        kind: kind.into(),
        cost,
        ..proto::TacticAdded::default()
    })
}

fn resting_on(assumption_ids: &[&str], after_tactic_ids: &[&str]) -> Kind {
    Kind::TacticReworded(proto::TacticReworded {
        tactic_id: "a".into(),
        statement: "Send samples".into(),
        kind: "mail".into(),
        cost: Some(2.0),
        assumption_ids: assumption_ids.iter().map(|&id| id.into()).collect(),
        after_tactic_ids: after_tactic_ids.iter().map(|&id| id.into()).collect(),
        ..proto::TacticReworded::default()
    })
}

fn suspecting(tactic_id: &str, attempt: u32, assumption_id: &str) -> Kind {
    Kind::TacticFailed(proto::TacticFailed {
        tactic_id: tactic_id.into(),
        attempt,
        failure: Failure::Precondition.into(),
        observed: "No reply".into(),
        suspected_assumption_ids: vec![assumption_id.into()],
    })
}

fn refuted(assumption_id: &str) -> Kind {
    Kind::AssumptionRefuted(proto::AssumptionRefuted {
        assumption_id: assumption_id.into(),
    })
}

fn supported(assumption_id: &str) -> Kind {
    Kind::AssumptionSupported(proto::AssumptionSupported {
        assumption_id: assumption_id.into(),
    })
}

fn reopened(assumption_id: &str) -> Kind {
    Kind::AssumptionReopened(proto::AssumptionReopened {
        assumption_id: assumption_id.into(),
        reason: "The sample was small".into(),
    })
}

fn stopped(tactic_id: &str, attempt: u32) -> Kind {
    Kind::TacticStopped(proto::TacticStopped {
        tactic_id: tactic_id.into(),
        attempt,
        reason: "The fair was cancelled".into(),
        inconclusive: false,
    })
}

fn retired(tactic_id: &str) -> Kind {
    Kind::TacticRetired(proto::TacticRetired {
        tactic_id: tactic_id.into(),
        reason: "Banned".into(),
    })
}

fn nowhere(_: &str) -> Tally {
    Tally::default()
}

#[track_caller]
fn suggested_by(policy: Policy, moment: &Moment, elsewhere: Elsewhere<'_>) -> TacticSuggestion {
    let suggestions = suggest(moment, Some("s"), policy, elsewhere);
    let mut suggestions = suggestions.expect("a suggestion");
    assert_eq!(suggestions.len(), 1);
    suggestions.remove(0)
}

#[track_caller]
fn suggested(later: impl IntoIterator<Item = Kind>) -> TacticSuggestion {
    suggested_by(Policy::Ranked, &moment(later), &nowhere)
}

#[track_caller]
fn option(suggestion: &TacticSuggestion, tactic_id: &str) -> TacticOption {
    let found = suggestion
        .options
        .iter()
        .find(|it| it.tactic_id == tactic_id);
    found.expect("an option").clone()
}

#[test]
fn the_best_ranked_option_is_suggested_and_every_option_is_listed() {
    let suggestion = suggested([
        retired("b"),
        tactic("c", "s", 3, "", None),
        tactic("d", "other", 1, "", None),
    ]);
    assert_eq!(suggestion.verdict(), SuggestionVerdict::Try);
    assert_eq!(suggestion.policy(), SuggestionPolicy::Ranked);
    assert_eq!(
        (&*suggestion.strategy_id, &*suggestion.tactic_id),
        ("s", "a")
    );
    let ids: Vec<_> = suggestion.options.iter().map(|it| &*it.tactic_id).collect();
    assert_eq!(ids, ["a", "c", "b"], "eligible ones first");
    assert_eq!(
        suggestion.advice,
        "Try `a` next: its rank 1 is the best of the 2 eligible options."
    );
    assert_eq!(
        suggestion.options[0].reason,
        "Its rank 1 is the best of the 2 eligible options."
    );
    assert_eq!(
        suggestion.options[1].reason,
        "It is eligible, but `a` comes before it by rank."
    );
    assert_eq!(suggestion.reconsider, None);
}

#[test]
fn the_first_says_why_it_is_the_first() {
    let advice = |later: &[Kind]| suggested(later.to_vec()).advice;
    assert_eq!(
        advice(&[retired("b")]),
        "Try `a` next: it is the only eligible option."
    );
    assert_eq!(
        advice(&[retired("b"), tactic("c", "s", 1, "", None)]),
        "Try `a` next: it has rank 1 like `c`, and is older."
    );
    let unranked = [
        retired("a"),
        retired("b"),
        tactic("c", "s", 0, "", None),
        tactic("d", "s", 0, "", None),
    ];
    assert_eq!(
        advice(&unranked),
        "Try `c` next: none of the 2 eligible options is ranked, and it is the oldest."
    );
}

/// Halves and quarters are exact, so answers are compared bit by bit.
#[track_caller]
fn is_exactly(found: f64, expected: f64) {
    assert_eq!(
        found.to_bits(),
        expected.to_bits(),
        "{found} is not {expected}"
    );
}

#[test]
fn by_ratio_the_largest_chance_for_its_cost_comes_first() {
    let suggestion = suggested_by(
        Policy::Ratio,
        &moment([retired("b"), tactic("c", "s", 3, "", Some(1.0))]),
        &nowhere,
    );
    assert_eq!(suggestion.policy(), SuggestionPolicy::Ratio);
    assert_eq!(
        (suggestion.verdict(), &*suggestion.tactic_id),
        (SuggestionVerdict::Try, "c")
    );
    let ids: Vec<_> = suggestion.options.iter().map(|it| &*it.tactic_id).collect();
    assert_eq!(ids, ["c", "a", "b"]);
    assert_eq!(
        suggestion.advice,
        "Try `c` next: its chance of 0.333 for a cost of 1 is the best of the 2 eligible options."
    );
    assert_eq!(
        suggestion.options[1].reason,
        "It is eligible, but its chance of 0.333 for a cost of 2 is no better than that of `c`."
    );
}

#[test]
fn of_equal_indices_the_better_rank_comes_first() {
    let twin = tactic("c", "s", 3, "", Some(2.0));
    let suggestion = suggested_by(Policy::Ratio, &moment([retired("b"), twin]), &nowhere);
    assert_eq!(
        suggestion.advice,
        "Try `a` next: its chance for its cost is as large as that of `c`, and its rank is better."
    );
}

#[test]
fn the_runner_up_says_which_rank_it_would_need() {
    let failing = [given::tried("a", 1), given::failed("a", 1, Failure::Effect)];
    let third = [tactic("c", "s", 3, "", None), tactic("d", "s", 4, "", None)];
    let suggestion = suggested(failing.into_iter().chain(third));
    assert_eq!(suggestion.tactic_id, "b");
    let needs = option(&suggestion, "c").needs.expect("needs");
    assert_eq!(needs.rank, Some(2));
    assert_eq!(
        needs.text,
        "It would have to stand before `b` in the ranks: at place 2 or better."
    );
    for other in ["a", "b", "d"] {
        assert_eq!(option(&suggestion, other).needs, None, "{other}");
    }
    // With that place it is suggested.
    let ranking = Kind::TacticsRanked(proto::TacticsRanked {
        strategy_id: "s".into(),
        tactic_ids: ["a", "c", "b", "d"].map(String::from).to_vec(),
    });
    let failing = [given::tried("a", 1), given::failed("a", 1, Failure::Effect)];
    let third = [tactic("c", "s", 3, "", None), tactic("d", "s", 4, "", None)];
    let reranked = suggested(failing.into_iter().chain(third).chain([ranking]));
    assert_eq!(reranked.tactic_id, "c");
}

#[test]
fn the_runner_up_says_which_chance_or_cost_it_would_need() {
    let asked = |costs: [f64; 2]| {
        let later = [
            retired("a"),
            retired("b"),
            tactic("c", "s", 3, "", Some(costs[0])),
            tactic("d", "s", 4, "", Some(costs[1])),
        ];
        let suggestion = suggested_by(Policy::Ratio, &moment(later), &nowhere);
        (suggestion.tactic_id.clone(), option(&suggestion, "d").needs)
    };
    let (first, needs) = asked([2.0, 4.0]);
    let needs = needs.expect("needs");
    assert_eq!(first, "c");
    assert_eq!(
        needs.text,
        "To come before `c` it would need a chance above 0.667 or a cost below 2."
    );
    assert_eq!(needs.success_probability, Some(4.0 * (1.0 / 3.0 / 2.0)));
    assert_eq!((needs.cost, needs.rank), (Some(2.0), None));
    assert_eq!(asked([2.0, 1.99]).0, "d");

    let needs = asked([2.0, 8.0]).1.expect("needs");
    assert_eq!(needs.success_probability, None);
    assert_eq!(
        needs.text,
        "To come before `c` it would need a cost below 2: no chance is enough."
    );
}

#[test]
fn by_ratio_every_eligible_option_needs_a_cost_above_0() {
    let asked = |later: &[Kind]| suggest(&moment(later.to_vec()), None, Policy::Ratio, &nowhere);
    let free = [
        tactic("c", "s", 3, "", Some(0.0)),
        tactic("d", "other", 1, "", None),
    ];
    let refusal = asked(&free).expect_err("no costs");
    assert_eq!(refusal, NoSuggestion::NoCost(vec!["c".into(), "d".into()]));
    assert_eq!(
        refusal.to_string(),
        "Eligible, but without a cost above 0: `c` and `d`. Reword them with one, or ask by rank."
    );
    let of_one = suggest(&moment(free.to_vec()), Some("s"), Policy::Ratio, &nowhere);
    assert_eq!(
        of_one.expect_err("no cost").to_string(),
        "Eligible, but without a cost above 0: `c`. Reword it with one, or ask by rank."
    );
    let ineligible = [
        free[0].clone(),
        free[1].clone(),
        retired("c"),
        given::tried("d", 1),
    ];
    assert!(asked(&ineligible).is_ok(), "the others need none");
}

#[test]
fn a_cost_too_small_to_divide_by_is_none() {
    let tiny = tactic("c", "s", 3, "", Some(1e-320));
    let refusal = suggest(&moment([tiny.clone()]), Some("s"), Policy::Ratio, &nowhere);
    assert_eq!(refusal, Err(NoSuggestion::NoCost(vec!["c".into()])));
    let by_rank = option(&suggested([tiny]), "c");
    assert_eq!((by_rank.cost, by_rank.index), (Some(1e-320), None));
}

#[test]
fn numbers_are_told_shortly() {
    let told = [
        (0.0, "0"),
        (2.0 / 3.0, "0.667"),
        (0.000_123_4, "0.000123"),
        (0.000_012_34, "1.23e-5"),
        (1e-305, "1e-305"),
        (12_345.0, "12300"),
        (1.5e300, "1.5e300"),
    ];
    for (number, text) in told {
        assert_eq!(significant(number), text);
    }
}

#[test]
fn an_option_shows_what_gave_it_its_rank_and_the_outcomes_that_count_for_its_chance() {
    let ranking = Kind::TacticsRanked(proto::TacticsRanked {
        strategy_id: "s".into(),
        tactic_ids: ["c", "a"].map(String::from).to_vec(),
    });
    let suggestion = suggested([
        tactic("c", "s", 3, "mail", None),
        tactic("d", "other", 1, "mail", None),
        tactic("e", "s", 4, "", None),
        ranking,
        given::tried("d", 1),
        given::succeeded("d", 1),
        given::tried("c", 1),
        given::failed("c", 1, Failure::Precondition),
        given::tried("c", 2),
        given::failed("c", 2, Failure::Effect),
        given::tried("e", 1),
        stopped("e", 1),
    ]);
    let shown = |id: &str| {
        let option = option(&suggestion, id);
        let ranked_by = option.ranked_by.map(|it| (it.r#type, it.revision));
        let revisions = |events: Vec<proto::EventReference>| -> Vec<u64> {
            events.into_iter().map(|it| it.revision).collect()
        };
        (
            ranked_by.expect("an event"),
            revisions(option.outcomes),
            revisions(option.alike_outcomes),
        )
    };
    let ranked = |name: &str, revision| (name.to_owned(), revision);
    // That of `d` counts a half, that of a precondition nothing.
    assert_eq!(
        shown("a"),
        (ranked("TacticsRanked", 11), vec![], vec![13, 17])
    );
    assert_eq!(
        shown("c"),
        (ranked("TacticsRanked", 11), vec![15, 17], vec![13, 17])
    );
    assert_eq!(shown("b"), (ranked("TacticAdded", 7), vec![], vec![]));
    assert_eq!(shown("e"), (ranked("TacticAdded", 10), vec![19], vec![]));
}

#[test]
fn without_a_strategy_each_live_one_is_told_of_in_order_of_adoption() {
    let ids = |moment: &Moment| -> Vec<String> {
        let suggestions = suggest(moment, None, Policy::Ranked, &nowhere).expect("suggestions");
        suggestions.into_iter().map(|it| it.strategy_id).collect()
    };
    assert_eq!(ids(&moment([])), ["s", "other"]);
    let abandoning = Kind::StrategyAbandoned(proto::StrategyAbandoned {
        strategy_id: "s".into(),
        reason: "Nobody came".into(),
    });
    let ended = moment([abandoning]);
    assert_eq!(ids(&ended), ["other"]);
    let refusal =
        |id: &str| suggest(&ended, Some(id), Policy::Ranked, &nowhere).expect_err("refused");
    assert_eq!(refusal("s"), NoSuggestion::Ended("s".into()));
    assert_eq!(refusal("nobody"), NoSuggestion::NoStrategy("nobody".into()));
}

#[test]
fn an_open_attempt_is_waited_for_by_name() {
    let suggestion = suggested([given::tried("a", 1), retired("b")]);
    assert_eq!(
        (suggestion.verdict(), &*suggestion.tactic_id),
        (SuggestionVerdict::Wait, "")
    );
    assert_eq!(
        suggestion.advice,
        "Wait for what comes of `a`: nothing else is eligible."
    );
}

#[test]
fn when_all_succeeded_nothing_is_left_to_try() {
    let later = [given::tried("a", 1), given::succeeded("a", 1), retired("b")];
    let suggestion = suggested(later);
    assert_eq!(suggestion.verdict(), SuggestionVerdict::AllSucceeded);
    assert_eq!(
        suggestion.advice,
        "Every tactic of `s` has succeeded: nothing is left to try."
    );
    assert_eq!(suggestion.reconsider, None);
}

#[test]
fn an_archived_plan_says_so() {
    let archiving = Kind::PlanArchived(proto::PlanArchived::default());
    assert_eq!(
        suggested([retired("b"), archiving]).advice,
        "Try `a` next: it is the only eligible option. The plan is archived: nothing is tried before \
         it is reopened."
    );
}

#[test]
fn an_exhausted_strategy_says_what_to_reconsider() {
    let revising = Kind::StrategyRevised(proto::StrategyRevised {
        strategy_id: "s".into(),
        strategy_revision: 2,
        intent: "Win accounts".into(),
        assumption_ids: vec!["load".into()],
        ..proto::StrategyRevised::default()
    });
    let later = [
        revising,
        resting_on(&["detail"], &[]),
        given::tried("a", 1),
        suspecting("a", 1, "detail"),
        given::tried("a", 2),
        given::failed("a", 2, Failure::Effect),
        given::tried("b", 1),
        suspecting("b", 1, "load"),
        given::tried("b", 2),
        suspecting("b", 2, "load"),
    ];
    let suggestion = suggested(later.clone());
    assert_eq!(suggestion.verdict(), SuggestionVerdict::StrategyExhausted);
    assert_eq!(
        suggestion.advice,
        "No option of `s` is eligible: it is the strategy that must be revised."
    );
    let reconsider = suggestion.reconsider.expect("what to reconsider");
    let assumptions: Vec<_> = reconsider
        .assumptions
        .iter()
        .map(|it| {
            let revisions: Vec<_> = it.events.iter().map(|event| event.revision).collect();
            (
                &*it.assumption_id,
                it.doubt(),
                it.factor,
                &*it.text,
                revisions,
            )
        })
        .collect();
    let expected = [
        (
            "load",
            Doubt::Suspected,
            0.5,
            "2 failures cast doubt on `load`.",
            vec![15, 17],
        ),
        (
            "detail",
            Doubt::Suspected,
            0.5,
            "A failure casts doubt on `detail`.",
            vec![11],
        ),
    ];
    assert_eq!(
        assumptions, expected,
        "what the strategy rests on comes first"
    );
    let failures: Vec<_> = reconsider
        .failures
        .iter()
        .map(|it| {
            let revisions: Vec<_> = it.events.iter().map(|event| event.revision).collect();
            let counts = (it.effect_failures, it.precondition_failures);
            (&*it.kind, counts, it.tactic_ids.join(" "), revisions)
        })
        .collect();
    let expected = [
        ("call", (0, 2), "b".to_owned(), vec![15, 17]),
        ("mail", (1, 1), "a".to_owned(), vec![11, 13]),
    ];
    assert_eq!(failures, expected);
    assert_eq!(
        reconsider.advice,
        "Put `load` and `detail` to the test, or revise `s` so that it does without."
    );
    let later = later.into_iter().chain([refuted("load")]);
    let reconsider = suggested(later).reconsider.expect("what to reconsider");
    is_exactly(reconsider.assumptions[0].factor, 0.0);
    assert_eq!(
        reconsider.advice,
        "Revise `s` so that it does without `load`, and cite what refuted that."
    );
}

#[test]
fn a_strategy_without_options_is_exhausted_too() {
    let advice = |later: &[Kind]| {
        let suggestion = suggested(later.to_vec());
        assert_eq!(suggestion.verdict(), SuggestionVerdict::StrategyExhausted);
        (
            suggestion.advice,
            suggestion.reconsider.expect("what to reconsider").advice,
        )
    };
    let moved = |id: &str| {
        Kind::TacticRegrouped(proto::TacticRegrouped {
            tactic_id: id.into(),
            strategy_id: "other".into(),
        })
    };
    let (said, reconsider) = advice(&[moved("a"), moved("b")]);
    assert_eq!(said, "`s` has no tactic: add one, or revise the strategy.");
    assert_eq!(reconsider, "Add an option to `s`, or revise it.");
    let failing = [
        given::tried("a", 1),
        given::failed("a", 1, Failure::Effect),
        retired("b"),
    ];
    assert_eq!(
        advice(&failing).1,
        "Ask which assumption of `s` its failure speaks against, and revise it, citing that."
    );
    let twice = [
        given::tried("a", 1),
        given::failed("a", 1, Failure::Effect),
        given::tried("b", 1),
        given::failed("b", 1, Failure::Effect),
    ];
    assert_eq!(
        advice(&twice).1,
        "Ask which assumption of `s` its failures speak against, and revise it, citing them."
    );
    let both = [
        resting_on(&["detail", "load"], &[]),
        refuted("detail"),
        refuted("load"),
        retired("b"),
    ];
    assert_eq!(
        advice(&both).1,
        "Revise `s` so that it does without `detail` and `load`, and cite what refuted them."
    );
}
