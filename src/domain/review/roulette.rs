//! Tactical roulette: one tactic after another, and never another strategy. What counts is what
//! happened since a strategy of the plan last was adopted, revised, branched or superseded.

use std::collections::BTreeMap;

use foldhash::HashSet;

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
    let mut links: Vec<Links> = Vec::with_capacity(failures.len());
    for failure in failures {
        let mut here = Links::first(failure);
        let earlier = failures.iter().zip(&links).enumerate();
        for (place, (before, link)) in
            earlier.take_while(|(_, (before, _))| before.revision < failure.added)
        {
            here.extend(place, link, before.strategy_id == failure.strategy_id);
        }
        links.push(here);
    }
    let best = (0..links.len()).max_by_key(|place| links.get(*place).map(|it| it.mixed.tactics));
    let mut chain = Vec::new();
    let mut at = best.map(|place| (place, true));
    while let Some((place, is_mixed)) = at {
        let (Some(failure), Some(link)) = (failures.get(place), links.get(place)) else {
            break;
        };
        let chosen = if is_mixed { link.mixed } else { link.alike };
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
struct Links {
    /// All under one strategy.
    alike: Link,
    /// Under several, or under none.
    mixed: Link,
}

/// A chain: how many tactics it has, and where it goes on backwards: a place, and whether there with
/// the mixed chain.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    tactics: usize,
    before: Option<(usize, bool)>,
}

impl Links {
    fn first(failure: &Failure<'_>) -> Self {
        let alone = Link {
            tactics: 1,
            before: None,
        };
        match failure.strategy_id {
            Some(_) => Self {
                alike: alone,
                mixed: Link::default(),
            },
            None => Self {
                alike: Link::default(),
                mixed: alone,
            },
        }
    }

    fn extend(&mut self, place: usize, before: &Links, is_same: bool) {
        self.mixed.follow(before.mixed, (place, true));
        if is_same {
            // Under none there is no chain of this kind to go on from.
            self.alike.follow(before.alike, (place, false));
        } else {
            self.mixed.follow(before.alike, (place, false));
        }
    }
}

impl Link {
    fn follow(&mut self, before: Link, at: (usize, bool)) {
        if before.tactics > 0 && before.tactics + 1 > self.tactics {
            self.tactics = before.tactics + 1;
            self.before = Some(at);
        }
    }
}
