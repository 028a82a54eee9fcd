//! What holds of suggestions whatever happened: chances are chances, more successes raise them and more
//! failures lower them, an old answer can be had again, and the order by ratio costs least.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{arbitrary, given},
    proto::{self, event::Kind},
};

/// Options of the kinds `k0`, `k1`, … with these costs under the strategy `s`.
fn options_costing(costs: &[f64]) -> Moment {
    let first = [given::created(), given::strategy("s")];
    let options = costs.iter().enumerate().map(|(number, cost)| {
        Kind::TacticAdded(proto::TacticAdded {
            tactic_id: format!("t{number}"),
            strategy_id: "s".into(),
            statement: "Send samples".into(),
            kind: format!("k{number}"),
            cost: Some(*cost),
            ..proto::TacticAdded::default()
        })
    });
    given::moment(first.into_iter().chain(options))
}

fn tally((successes, effect_failures): (u32, u32)) -> Tally {
    Tally {
        successes,
        effect_failures,
        ..Tally::default()
    }
}

/// What trying in this order costs on average until one works.
fn expected_cost(order: &[(f64, f64)]) -> f64 {
    let (mut cost, mut all_failed) = (0.0, 1.0);
    for (chance, option_cost) in order {
        cost += all_failed * option_cost;
        all_failed *= 1.0 - chance;
    }
    cost
}

/// The least of the expected costs over all orders.
fn least_cost(before: &mut Vec<(f64, f64)>, rest: &[(f64, f64)]) -> f64 {
    if rest.is_empty() {
        return expected_cost(before);
    }
    let mut least = f64::INFINITY;
    for (place, option) in rest.iter().enumerate() {
        before.push(*option);
        let others: Vec<_> = [&rest[..place], &rest[place + 1..]].concat();
        least = least.min(least_cost(before, &others));
        before.pop();
    }
    least
}

fn chance(own: &[bool], elsewhere: Tally) -> f64 {
    let first = [
        given::created(),
        given::strategy("s"),
        Kind::TacticAdded(proto::TacticAdded {
            tactic_id: "t".into(),
            strategy_id: "s".into(),
            kind: "mail".into(),
            ..proto::TacticAdded::default()
        }),
    ];
    let attempts = (1..).zip(own).flat_map(|(attempt, succeeded)| {
        let end = if *succeeded {
            given::succeeded("t", attempt)
        } else {
            given::failed("t", attempt, proto::Failure::Effect)
        };
        [given::tried("t", attempt), end]
    });
    let moment = given::moment(first.into_iter().chain(attempts));
    let suggestions = suggest(&moment, None, Policy::Ranked, &|_| elsewhere);
    suggestions.expect("a suggestion")[0].options[0].success_probability
}

/// Attempts elsewhere, by kind.
fn elsewhere() -> impl proptest::strategy::Strategy<Value = BTreeMap<String, (u32, u32)>> {
    prop::collection::btree_map("[a-zé ]{0,2}", (0..50_u32, 0..50_u32), 0..4)
}

proptest! {
    /// Kadane and Simon: for independent options this order is the best there is.
    #[test]
    fn the_order_by_ratio_costs_least_until_one_works(
        options in prop::collection::vec(((0..40_u32, 0..40_u32), 0.01..100.0_f64), 1..=6)
    ) {
        let costs: Vec<f64> = options.iter().map(|it| it.1).collect();
        let moment = options_costing(&costs);
        let elsewhere = |kind: &str| {
            let number: usize = kind[1..].parse().expect("a number");
            tally(options[number].0)
        };
        let suggestions = suggest(&moment, None, Policy::Ratio, &elsewhere).expect("suggestions");
        let order: Vec<_> = suggestions[0]
            .options
            .iter()
            .map(|it| (it.success_probability, it.cost.expect("a cost")))
            .collect();
        prop_assert_eq!(order.len(), costs.len());
        let least = least_cost(&mut Vec::new(), &order);
        let cost = expected_cost(&order);
        prop_assert!(cost <= least * (1.0 + 1e-12), "{} > {}", cost, least);
    }

    #[test]
    fn successes_raise_a_chance_and_failures_lower_it(
        own in prop::collection::vec(any::<bool>(), 0..8),
        (successes, failures) in (0..10_000_u32, 0..10_000_u32),
    ) {
        let here = |outcome: Option<bool>| {
            let own: Vec<_> = own.iter().copied().chain(outcome).collect();
            chance(&own, tally((successes, failures)))
        };
        let there = |s, f| chance(&own, tally((successes + s, failures + f)));
        let as_it_is = here(None);
        prop_assert!(0.0 < here(Some(false)) && here(Some(false)) < as_it_is);
        prop_assert!(as_it_is < here(Some(true)) && here(Some(true)) < 1.0);
        prop_assert!(there(0, 1) < as_it_is && as_it_is < there(1, 0));
    }

    /// What was answered at a revision is answered as of that revision, whatever came after.
    #[test]
    fn an_old_answer_can_be_had_again(
        events in arbitrary::history(60),
        elsewhere in elsewhere(),
        cut in any::<prop::sample::Index>(),
    ) {
        let revision = cut.index(events.len()) + 1;
        let elsewhere = |kind: &str| tally(elsewhere.get(kind).copied().unwrap_or_default());
        let whole = given::moment_of(events.clone());
        let then = given::moment_of(events[..revision].to_vec());
        let again = Moment::at_revision(
            Arc::clone(&whole.history), revision as u64, whole.now, then.position,
        );
        for policy in [Policy::Ranked, Policy::Ratio] {
            let asked = |moment: &Moment| suggest(moment, None, policy, &elsewhere);
            prop_assert_eq!(asked(&again), asked(&then));
            for option in asked(&then).into_iter().flatten().flat_map(|it| it.options) {
                let chance = option.success_probability;
                prop_assert!(0.0 < chance && chance < 1.0, "{}", chance);
                prop_assert_eq!(option.eligible, option.obstacles.is_empty());
            }
        }
    }

    /// By the ranks, the answer is the one that a try records.
    #[test]
    fn the_answer_by_rank_is_what_a_try_records(events in arbitrary::history(60)) {
        let moment = given::moment_of(events);
        let nowhere = |_: &str| Tally::default();
        let suggestions = suggest(&moment, None, Policy::Ranked, &nowhere).expect("suggestions");
        for suggestion in suggestions {
            let recorded = match ranked(&moment.plan, &suggestion.strategy_id) {
                Suggestion::Try { tactic_id, .. } => (SuggestionVerdict::Try, tactic_id.to_string()),
                Suggestion::Wait => (SuggestionVerdict::Wait, String::new()),
                Suggestion::AllSucceeded => (SuggestionVerdict::AllSucceeded, String::new()),
                Suggestion::StrategyExhausted => {
                    (SuggestionVerdict::StrategyExhausted, String::new())
                }
            };
            prop_assert_eq!((suggestion.verdict(), suggestion.tactic_id.clone()), recorded);
        }
    }
}
