//! How often tactics worked: what was counted, by kind, strategy or plan, and what that says of the
//! chance of success. Before anything is known a chance is a Beta(1, 2), as if one of three attempts
//! had worked; each success and each failure of effect adds one to its side.

use std::collections::BTreeMap;

use statrs::{
    distribution::{Beta, Continuous as _, ContinuousCDF as _},
    statistics::Distribution as _,
};

use super::{outcomes::Tally, value::Id};
use crate::proto::TacticStats;

/// What the distribution of a chance begins with: successes and failures.
const PRIOR_SUCCESSES: f64 = 1.0;
const PRIOR_FAILURES: f64 = 2.0;
/// The chance lies below the low end of its interval with this probability, and above the high end too.
const TAIL: f64 = 0.05;
/// So many standard deviations from its mean a normal distribution has that tail.
const TAIL_DEVIATIONS: f64 = 1.644_853_626_951_472_7;
/// From so many on either side the distribution is nearly normal.
const EXPANDED_FROM: f64 = 10_000.0;
/// Relative to the chance: an end of an interval is found when it moves by no more.
const PRECISION: f64 = 1e-12;
/// Bounds that close in by halves meet within so many steps.
const STEPS_MAX: u32 = 128;

/// By what attempts are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// By kind of tactic, across plans and strategies.
    Kind,
    /// By strategy.
    Strategy,
    /// By plan.
    Plan,
}

/// What attempts are counted together for, in the order in which rows are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The plan, unless they are counted by kind.
    pub plan_id: Option<Id>,
    /// The strategy, if they are counted by strategy and serve one.
    pub strategy_id: Option<Id>,
    /// The kind, if they are counted by kind; may be empty.
    pub kind: String,
}

impl Grouping {
    /// The group that the attempts of such tactics belong to.
    #[must_use]
    pub fn group(self, plan_id: &Id, strategy_id: Option<&Id>, kind: &str) -> Group {
        match self {
            Self::Kind => Group {
                kind: kind.to_owned(),
                ..Group::default()
            },
            Self::Strategy => Group {
                plan_id: Some(plan_id.clone()),
                strategy_id: strategy_id.cloned(),
                kind: String::new(),
            },
            Self::Plan => Group {
                plan_id: Some(plan_id.clone()),
                ..Group::default()
            },
        }
    }
}

/// The attempts of one plan by group, of one strategy or all, of the kinds that are taken.
#[must_use]
pub fn of_plan(
    plan_id: &Id,
    cells: &BTreeMap<(Option<Id>, String), Tally>,
    grouping: Grouping,
    takes: impl Fn(Option<&Id>, &str) -> bool,
) -> BTreeMap<Group, Tally> {
    let mut groups: BTreeMap<Group, Tally> = BTreeMap::new();
    for ((strategy_id, kind), tally) in cells {
        if takes(strategy_id.as_ref(), kind) {
            let group = grouping.group(plan_id, strategy_id.as_ref(), kind);
            let total = groups.entry(group).or_default();
            *total = total.plus(*tally);
        }
    }
    groups
}

/// A row: what was counted and what that says of the chance.
#[must_use]
pub fn row(group: &Group, tally: Tally) -> TacticStats {
    let (successes, failures) = (tally.successes, tally.effect_failures);
    let chance = Chance::of(successes, failures);
    let text = |id: &Option<Id>| id.as_ref().map(ToString::to_string).unwrap_or_default();
    TacticStats {
        kind: group.kind.clone(),
        plan_id: text(&group.plan_id),
        strategy_id: text(&group.strategy_id),
        n: u64::from(successes) + u64::from(failures),
        s: successes.into(),
        f: failures.into(),
        precondition_failures: tally.precondition_failures.into(),
        stops: tally.stops.into(),
        posterior_mean: chance.mean,
        interval_low: chance.low,
        interval_high: chance.high,
    }
}

/// What is known of a chance of success.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Chance {
    mean: f64,
    low: f64,
    high: f64,
}

impl Chance {
    fn of(successes: u32, failures: u32) -> Self {
        let (a, b) = (
            PRIOR_SUCCESSES + f64::from(successes),
            PRIOR_FAILURES + f64::from(failures),
        );
        let (low, high) = if a.min(b) < EXPANDED_FROM {
            // Both are finite and at least 1, so there is such a distribution.
            Beta::new(a, b).map_or((0.0, 1.0), |beta| {
                (quantile(&beta, TAIL), quantile(&beta, 1.0 - TAIL))
            })
        } else {
            (
                expanded(a, b, -TAIL_DEVIATIONS),
                expanded(a, b, TAIL_DEVIATIONS),
            )
        };
        Self {
            mean: a / (a + b),
            low,
            high,
        }
    }
}

/// Where the distribution function has a value: by Newton's method between bounds that close in, so
/// that it ends. That of the library goes on for ever where it meets no number, as with millions of
/// successes and few failures.
fn quantile(beta: &Beta, value: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let mut at = beta.mean().unwrap_or(0.5);
    for _ in 0..STEPS_MAX {
        let excess = beta.cdf(at) - value;
        if excess > 0.0 {
            high = at;
        } else {
            low = at;
        }
        let newton = at - excess / beta.pdf(at);
        let next = if low < newton && newton < high {
            newton
        } else {
            f64::midpoint(low, high)
        };
        let step = (next - at).abs();
        at = next;
        if step <= PRECISION * at {
            break;
        }
    }
    at
}

/// The same for a distribution that is nearly normal, by its first moments (Cornish and Fisher): to a
/// millionth of the standard deviation. The function of the library does not converge for billions.
fn expanded(a: f64, b: f64, deviations: f64) -> f64 {
    let (sum, product) = (a + b, a * b);
    let (square, cube) = (deviations.powi(2), deviations.powi(3));
    let deviation = (product / (sum + 1.0)).sqrt() / sum;
    let skewness = 2.0 * (b - a) * (sum + 1.0).sqrt() / ((sum + 2.0) * product.sqrt());
    let excess = 6.0 * ((a - b).powi(2) * (sum + 1.0) - product * (sum + 2.0))
        / (product * (sum + 2.0) * (sum + 3.0));
    let shift = skewness * (square - 1.0) / 6.0 + excess * (cube - 3.0 * deviations) / 24.0
        - skewness.powi(2) * (2.0 * cube - 5.0 * deviations) / 36.0;
    a / sum + deviation * (deviations + shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn is_near(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-6 * expected,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn the_interval_is_that_of_a_beta_distribution() {
        // Successes, failures, and the quantiles at 5 % and 95 % that SciPy gives.
        let known = [
            (0, 0, 2.532_056_551e-2, 7.763_932_022e-1),
            (1, 0, 1.353_503_621e-1, 8.646_496_378e-1),
            (0, 1, 1.695_242_75e-2, 6.315_968_501e-1),
            (2, 3, 1.287_563_928e-1, 6.587_385_638e-1),
            (10, 0, 6.613_193_315e-1, 9.695_398_343e-1),
            (0, 500, 1.021_726_572e-4, 5.949_823_447e-3),
            (7, 50, 6.929_685_498e-2, 2.113_254_112e-1),
            (500, 500, 4.735_446_214e-1, 5.254_595_004e-1),
            (100_000, 3, 9.999_084_717e-1, 9.999_802_992e-1),
            (3, 100_000, 1.366_261_243e-5, 7.753_084_593e-5),
            (1_000_000, 2_000_000, 3.328_857_243e-1, 3.337_810_686e-1),
            (10_000, 9_999, 4.941_849_789e-1, 5.058_150_211e-1),
            (
                2_000_000_000,
                1_000_000_000,
                6.666_525_096e-1,
                6.666_808_229e-1,
            ),
            (9_240_602, 32, 9.999_952_248e-1, 9.999_972_934e-1),
        ];
        for (successes, failures, low, high) in known {
            let chance = Chance::of(successes, failures);
            is_near(chance.low, low);
            is_near(chance.high, high);
        }
    }

    #[test]
    fn a_row_counts_what_worked_and_shows_the_rest_apart() {
        let group = Grouping::Strategy.group(&"growth".into(), Some(&"s".into()), "mail");
        let tally = Tally {
            successes: 2,
            effect_failures: 3,
            precondition_failures: 4,
            stops: 5,
        };
        let row = row(&group, tally);
        assert_eq!(
            (&*row.plan_id, &*row.strategy_id, &*row.kind),
            ("growth", "s", "")
        );
        assert_eq!((row.n, row.s, row.f), (5, 2, 3));
        assert_eq!((row.precondition_failures, row.stops), (4, 5));
        is_near(row.posterior_mean, 3.0 / 8.0);
    }

    #[test]
    fn attempts_are_counted_together_by_kind_strategy_or_plan() {
        let one = Tally {
            successes: 1,
            ..Tally::default()
        };
        let cell = |strategy: Option<&str>, kind: &str| (strategy.map(Id::from), kind.to_owned());
        let cells = BTreeMap::from([
            (cell(None, "mail"), one),
            (cell(Some("s"), "call"), one),
            (cell(Some("s"), "mail"), one),
            (cell(Some("t"), "mail"), one),
        ]);
        let counted = |grouping, takes: fn(Option<&Id>, &str) -> bool| -> Vec<(String, u32)> {
            let groups = of_plan(&"growth".into(), &cells, grouping, takes);
            let told = groups.iter().map(|(group, tally)| {
                let row = row(group, *tally);
                let name = [row.plan_id, row.strategy_id, row.kind].join("/");
                (name, tally.successes)
            });
            told.collect()
        };
        let rows = |rows: &[(&str, u32)]| -> Vec<(String, u32)> {
            rows.iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let all = |_: Option<&Id>, _: &str| true;
        assert_eq!(
            counted(Grouping::Kind, all),
            rows(&[("//call", 1), ("//mail", 3)])
        );
        assert_eq!(
            counted(Grouping::Strategy, all),
            rows(&[("growth//", 1), ("growth/s/", 2), ("growth/t/", 1)])
        );
        assert_eq!(counted(Grouping::Plan, all), rows(&[("growth//", 4)]));
        let mail = |_: Option<&Id>, kind: &str| kind == "mail";
        assert_eq!(counted(Grouping::Plan, mail), rows(&[("growth//", 3)]));
        let of_s = |strategy: Option<&Id>, _: &str| strategy.is_some_and(|id| &**id == "s");
        assert_eq!(
            counted(Grouping::Kind, of_s),
            rows(&[("//call", 1), ("//mail", 1)])
        );
    }

    proptest! {
        #[test]
        fn the_mean_lies_within_the_interval_and_both_rise_with_successes(
            successes in 0..u32::MAX,
            failures in 0..u32::MAX,
            small in (0..30_u32, 0..30_u32),
        ) {
            for (successes, failures) in [(successes, failures), small] {
                let chance = Chance::of(successes, failures);
                prop_assert!(0.0 <= chance.low && chance.low < chance.mean, "{:?}", chance);
                prop_assert!(chance.mean < chance.high && chance.high <= 1.0, "{:?}", chance);
            }
            let (fewer, more) = (Chance::of(small.0, small.1), Chance::of(small.0 + 1, small.1));
            prop_assert!(fewer.low < more.low && fewer.mean < more.mean && fewer.high < more.high);
        }
    }
}
