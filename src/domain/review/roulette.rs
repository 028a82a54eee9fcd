//! Tactical roulette: one tactic after another, and never another strategy. What counts is what
//! happened since a strategy of the plan last was adopted, revised, branched or superseded.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};

use super::{Case, Draft, codes::TAC001, counted, day, listed};
use crate::domain::value::{Id, Subject};

/// So many tactics in a row that failed, or were tried out of rank, are no accident.
const TACTICS_MIN: usize = 3;

/// What was tried and failed since the strategies last changed.
#[derive(Debug, Default)]
pub(super) struct Window<'a> {
    /// The first failure of each tactic, in order.
    failures: Vec<Failure<'a>>,
    failed_ids: HashSet<&'a str>,
    /// The tries of another tactic than the suggested one, without a word why.
    out_of_rank: BTreeMap<&'a str, Vec<u64>>,
}

/// That a tactic failed of its effect.
#[derive(Debug, Clone, Copy)]
struct Failure<'a> {
    tactic_id: &'a str,
    /// The strategy it served then.
    strategy_id: Option<&'a str>,
    /// The event that added the tactic.
    added: u64,
    revision: u64,
}

impl<'a> Window<'a> {
    /// The strategies changed: what came before is settled.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// A tactic failed of its effect. That it fails again makes no longer a chain.
    pub(super) fn failed(
        &mut self,
        tactic_id: &'a str,
        strategy_id: Option<&'a str>,
        added: u64,
        revision: u64,
    ) {
        if self.failed_ids.insert(tactic_id) {
            self.failures.push(Failure {
                tactic_id,
                strategy_id,
                added,
                revision,
            });
        }
    }

    /// A tactic was tried where another one was suggested, and nobody said why.
    pub(super) fn tried_out_of_rank(&mut self, tactic_id: &'a str, revision: u64) {
        self.out_of_rank
            .entry(tactic_id)
            .or_default()
            .push(revision);
    }
}

/// Three failures, each of a tactic that was added after the one before had failed, and not all under
/// one strategy; or three tactics tried out of rank.
pub(super) fn tactical_roulette(case: &Case<'_>) -> Option<Draft> {
    let window = &case.trail.window;
    let chain = longest_chain(&window.failures);
    let ranked_over: Vec<_> = window.out_of_rank.iter().collect();
    let (mut said, mut behind, mut tactic_ids) = (Vec::new(), Vec::new(), Vec::new());
    if chain.len() >= TACTICS_MIN {
        said.push(said_of_chain(case, &chain));
        behind.extend(chain.iter().map(|failure| failure.revision));
        behind.extend(chain.iter().skip(1).map(|failure| failure.added));
        tactic_ids.extend(chain.iter().map(|failure| failure.tactic_id));
    }
    if ranked_over.len() >= TACTICS_MIN {
        let ids: Vec<_> = ranked_over.iter().map(|(id, _)| **id).collect();
        said.push(format!(
            "{} ({}) were tried where another one was suggested, without a reason",
            counted(ids.len(), "tactic"),
            listed(&ids)
        ));
        behind.extend(ranked_over.iter().flat_map(|(_, tries)| tries.iter()));
        tactic_ids.extend(ids);
    }
    if said.is_empty() {
        return None;
    }
    tactic_ids.sort_unstable();
    tactic_ids.dedup();
    let message = format!(
        "{}{}: stop trying, and {} to say what these tactics have taught and which come next.",
        match case.trail.strategies.len() {
            0 => "",
            1 => "Since the strategy last changed ",
            _ => "Since the strategies last changed ",
        },
        said.join(", and "),
        next_step(case)
    );
    let subjects = tactic_ids
        .into_iter()
        .map(|id| Subject::Tactic(Id::from(id)));
    Some(Draft::new(&TAC001, Subject::Plan, behind, message).about(subjects))
}

fn said_of_chain(case: &Case<'_>, chain: &[Failure<'_>]) -> String {
    let ids = listed(chain.iter().map(|failure| failure.tactic_id));
    let mut groups: Vec<_> = chain.iter().map(|failure| failure.strategy_id).collect();
    groups.sort_unstable();
    groups.dedup();
    let under = match groups.as_slice() {
        [None] => "under no strategy".to_owned(),
        [None, rest @ ..] => format!("under {} and under none", listed(rest.iter().flatten())),
        named => format!("under {}", listed(named.iter().flatten())),
    };
    let last = chain.last().and_then(|it| case.moment.event(it.revision));
    let on = last.map_or_else(String::new, |it| {
        format!(", the last on {}", day(it.occurred_at()))
    });
    format!(
        "{} {under} failed one after another ({ids}{on}), each added after the one before had failed",
        counted(chain.len(), "tactic")
    )
}

fn next_step(case: &Case<'_>) -> String {
    let live: Vec<_> = case.live_strategies().map(|it| &it.strategy_id).collect();
    match live.as_slice() {
        [] => "adopt a strategy".to_owned(),
        [one] => format!("revise strategy `{one}`"),
        more => format!("revise a strategy ({})", listed(more)),
    }
}

/// The longest chain that is not all under one strategy: each failure of a tactic that was added after
/// the failure before it.
fn longest_chain<'a>(failures: &[Failure<'a>]) -> Vec<Failure<'a>> {
    let mut ends = Ends::default();
    for failure in failures {
        let earlier = failures.partition_point(|before| before.revision < failure.added);
        let chains = ends.led_on_to(failure.strategy_id, earlier);
        ends.add(failure.strategy_id, chains);
    }
    let tactics = |place: &usize| ends.chains.get(*place).map(|it| it.mixed.tactics);
    let best = (0..failures.len()).max_by_key(tactics);
    let mut chain = Vec::new();
    let mut at = best.map(|place| (place, true));
    while let Some((place, is_mixed)) = at {
        let (Some(failure), Some(ending)) = (failures.get(place), ends.chains.get(place)) else {
            break;
        };
        let chosen = if is_mixed { ending.mixed } else { ending.alike };
        if chosen.tactics == 0 {
            break;
        }
        chain.push(*failure);
        at = chosen.before;
    }
    chain.reverse();
    chain
}

/// The longest chains that end with a failure.
#[derive(Debug, Clone, Copy, Default)]
struct Chains {
    /// All under one strategy.
    alike: Chain,
    /// Under several, or under none.
    mixed: Chain,
}

/// How many tactics a chain has, and where it goes on backwards: a place, and whether there with the
/// mixed chain.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    tactics: usize,
    before: Option<(usize, bool)>,
}

/// The chains that end with each failure, and which of them are the longest, so that the next one
/// need not be held against each.
#[derive(Default)]
struct Ends<'a> {
    chains: Vec<Chains>,
    /// Behind each failure, the longest until then.
    longest: Vec<Longest<'a>>,
    /// Of each strategy the places at which a chain under it alone was longer than any before.
    alike: HashMap<&'a str, Vec<usize>>,
}

/// Where the longest chains end; of several the first.
#[derive(Debug, Clone, Copy, Default)]
struct Longest<'a> {
    mixed: Option<usize>,
    /// Under one strategy, and under another than that.
    alike: [Option<(usize, &'a str)>; 2],
}

impl<'a> Ends<'a> {
    /// The longest chains that a failure ends: it goes on from one of the first so many.
    fn led_on_to(&self, strategy_id: Option<&str>, earlier: usize) -> Chains {
        let mut chains = Chains::first(strategy_id);
        let Some(last) = earlier.checked_sub(1) else {
            return chains;
        };
        let longest = self.longest.get(last).copied().unwrap_or_default();
        let mixed = longest.mixed.map(|place| (place, true));
        let mut others = longest.alike.into_iter().flatten();
        let other = others.find(|(_, other)| Some(*other) != strategy_id);
        let other = other.map(|(place, _)| (place, false));
        // Of two that are as long the first counts.
        let mut before = [mixed, other];
        before.sort_by_key(|end| end.map(|(place, _)| place));
        for end in before.into_iter().flatten() {
            chains.mixed.follow(self.at(end), end);
        }
        let same = strategy_id.and_then(|id| self.alike.get(id));
        if let Some(same) = same
            && let Some(place) = same[..same.partition_point(|it| *it < earlier)].last()
        {
            // Under none there is no chain of this kind to go on from.
            chains
                .alike
                .follow(self.at((*place, false)), (*place, false));
        }
        chains
    }

    fn add(&mut self, strategy_id: Option<&'a str>, chains: Chains) {
        let place = self.chains.len();
        self.chains.push(chains);
        let mut longest = self.longest.last().copied().unwrap_or_default();
        let is_longer = |than: Option<(usize, bool)>, chain: Chain| {
            chain.tactics > than.map_or(0, |end| self.at(end).tactics)
        };
        if is_longer(longest.mixed.map(|it| (it, true)), chains.mixed) {
            longest.mixed = Some(place);
        }
        if let Some(id) = strategy_id {
            let [first, second] = longest.alike;
            let is_longer = |than: Option<(usize, &str)>| {
                is_longer(than.map(|(it, _)| (it, false)), chains.alike)
            };
            let here = Some((place, id));
            if is_longer(first) {
                let is_same = first.is_none_or(|(_, other)| other == id);
                longest.alike = [here, if is_same { second } else { first }];
            } else if first.is_some_and(|(_, other)| other != id) && is_longer(second) {
                longest.alike = [first, here];
            }
            let of_strategy = self.alike.get(id).and_then(|places| places.last());
            if is_longer(of_strategy.map(|it| (*it, id))) {
                self.alike.entry(id).or_default().push(place);
            }
        }
        self.longest.push(longest);
    }

    fn at(&self, (place, is_mixed): (usize, bool)) -> Chain {
        let chains = self.chains.get(place).copied().unwrap_or_default();
        if is_mixed { chains.mixed } else { chains.alike }
    }
}

impl Chains {
    /// Of a failure alone.
    fn first(strategy_id: Option<&str>) -> Self {
        let alone = Chain {
            tactics: 1,
            before: None,
        };
        match strategy_id {
            Some(_) => Self {
                alike: alone,
                mixed: Chain::default(),
            },
            None => Self {
                alike: Chain::default(),
                mixed: alone,
            },
        }
    }
}

impl Chain {
    fn follow(&mut self, before: Chain, at: (usize, bool)) {
        if before.tactics > 0 && before.tactics + 1 > self.tactics {
            self.tactics = before.tactics + 1;
            self.before = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tactics of the longest chain, by holding each failure against each before it.
    fn tried_one_by_one(failures: &[Failure<'_>]) -> usize {
        let mut chains: Vec<Chains> = Vec::new();
        for failure in failures {
            let mut here = Chains::first(failure.strategy_id);
            for (place, before) in failures.iter().enumerate().take(chains.len()) {
                if before.revision >= failure.added {
                    continue;
                }
                here.mixed.follow(chains[place].mixed, (place, true));
                if before.strategy_id == failure.strategy_id {
                    here.alike.follow(chains[place].alike, (place, false));
                } else {
                    here.mixed.follow(chains[place].alike, (place, false));
                }
            }
            chains.push(here);
        }
        chains.iter().map(|it| it.mixed.tactics).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn the_chain_that_is_told_is_one_and_none_is_longer(
            told in prop::collection::vec((0..4_usize, any::<prop::sample::Index>()), 0..24),
        ) {
            let named = [None, Some("s"), Some("t"), Some("u")];
            let failures: Vec<_> = told.iter().zip(1_u64..).map(|((strategy, added), number)| Failure {
                tactic_id: "a",
                strategy_id: named[*strategy],
                added: 2 * added.index(usize::try_from(number).unwrap_or(1)) as u64 + 1,
                revision: 2 * number,
            }).collect();
            let chain = longest_chain(&failures);
            prop_assert_eq!(chain.len(), tried_one_by_one(&failures));
            let follows = |pair: &[Failure<'_>]| pair[0].revision < pair[1].added;
            prop_assert!(chain.windows(2).all(follows), "{:?}", chain);
            let mut groups: Vec<_> = chain.iter().map(|it| it.strategy_id).collect();
            groups.dedup();
            prop_assert!(groups.len() != 1 || groups == [None], "{:?}", chain);
        }
    }
}
