//! What comes next for a strategy: every option with what speaks for or against it, why the first is
//! the first, and what the runner-up would need.

use std::ops::Range;

pub use super::chance::Elsewhere;
use super::{
    Obstacle,
    chance::{Chance, Chances},
    exhausted, obstacles,
    obstacles::{ended_revision, named, told},
    ranked, speaking_for,
};
use crate::{
    domain::{
        history::Moment,
        outcomes::Tally,
        plan::{Plan, Strategy, Suggestion, Tactic},
        value::Id,
    },
    proto::{RunnerUpNeeds, SuggestionPolicy, SuggestionVerdict, TacticOption, TacticSuggestion},
};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The numbers that people read without an exponent.
const PLAIN_NUMBERS: Range<f64> = 1e-4..1e9;

/// By which rule the next tactic is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// By rank.
    Ranked,
    /// By chance for cost.
    Ratio,
}

/// Why there is no suggestion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuggestion {
    /// The plan has no such strategy at that moment.
    #[error("The plan has no strategy `{0}` at that point.")]
    NoStrategy(Id),
    /// The strategy has ended.
    #[error("The strategy `{0}` has ended: ask about a live one, or about a time before.")]
    Ended(Id),
    /// Options are to be chosen by their costs and have none.
    #[error(
        "Eligible, but without a cost above 0: {}. Reword {} with one, or ask by rank.",
        named(.0.iter().map(|id| &**id)),
        if .0.len() == 1 { "it" } else { "them" }
    )]
    NoCost(Vec<Id>),
}

/// What comes next for a strategy, or for each live one in order of adoption.
pub fn suggest(
    moment: &Moment,
    strategy_id: Option<&str>,
    policy: Policy,
    elsewhere: Elsewhere<'_>,
) -> Result<Vec<TacticSuggestion>, NoSuggestion> {
    let plan = &moment.plan;
    let strategies = match strategy_id {
        Some(id) => vec![live_strategy(plan, id)?],
        None => plan.live_strategies(),
    };
    let chances = Chances::new(moment, elsewhere);
    let fields: Vec<_> = strategies
        .into_iter()
        .map(|strategy| Field::of(moment, strategy, policy, &chances))
        .collect();
    if policy == Policy::Ratio {
        let eligible = fields.iter().flat_map(Field::eligible);
        let costless = eligible.filter(|option| option.index.is_none());
        let costless: Vec<_> = costless.map(|it| it.tactic.tactic_id.clone()).collect();
        if !costless.is_empty() {
            return Err(NoSuggestion::NoCost(costless));
        }
    }
    Ok(fields.iter().map(Field::suggestion).collect())
}

fn live_strategy<'a>(plan: &'a Plan, id: &str) -> Result<&'a Strategy, NoSuggestion> {
    match plan.strategies.get(id) {
        None => Err(NoSuggestion::NoStrategy(id.into())),
        Some(strategy) if !strategy.is_live() => Err(NoSuggestion::Ended(id.into())),
        Some(strategy) => Ok(strategy),
    }
}

/// A tactic as an option.
struct Candidate<'a> {
    tactic: &'a Tactic,
    against: Vec<Obstacle>,
    chance: Chance,
    /// The chance for the cost, where there is a cost.
    index: Option<f64>,
}

impl Candidate<'_> {
    fn is_eligible(&self) -> bool {
        self.against.is_empty()
    }

    /// Its rank as people write it: none of those that are not ranked.
    fn rank(&self) -> Option<u32> {
        Some(self.tactic.rank).filter(|rank| *rank > 0)
    }
}

/// The options of a strategy, in the order in which they should be tried.
struct Field<'a> {
    moment: &'a Moment,
    strategy: &'a Strategy,
    policy: Policy,
    verdict: Suggestion,
    candidates: Vec<Candidate<'a>>,
    chances: &'a Chances<'a>,
}

impl<'a> Field<'a> {
    fn of(
        moment: &'a Moment,
        strategy: &'a Strategy,
        policy: Policy,
        chances: &'a Chances<'a>,
    ) -> Self {
        let plan = &moment.plan;
        let of_strategy =
            |tactic: &&Tactic| tactic.strategy_id.as_ref() == Some(&strategy.strategy_id);
        let tactics = plan.tactics.values().map(AsRef::as_ref);
        let mut tactics: Vec<&Tactic> = tactics.filter(of_strategy).collect();
        tactics.sort_by_key(|tactic| super::place(tactic));
        let mut candidates: Vec<_> = tactics
            .into_iter()
            .map(|tactic| candidate(plan, tactic, chances))
            .collect();
        // Both sorts keep the order of ranks among equals.
        if policy == Policy::Ratio {
            let index = |it: &Candidate<'_>| it.index.unwrap_or_default();
            candidates.sort_by(|one, other| index(other).total_cmp(&index(one)));
            // Those that are not eligible stand by rank under either policy.
            let (first, mut rest): (Vec<_>, Vec<_>) =
                candidates.into_iter().partition(Candidate::is_eligible);
            rest.sort_by_key(|it| super::place(it.tactic));
            candidates = first.into_iter().chain(rest).collect();
        } else {
            candidates.sort_by_key(|candidate| !candidate.is_eligible());
        }
        Self {
            moment,
            strategy,
            policy,
            verdict: ranked(plan, &strategy.strategy_id),
            candidates,
            chances,
        }
    }

    fn eligible(&self) -> impl Iterator<Item = &Candidate<'a>> {
        self.candidates.iter().filter(|it| it.is_eligible())
    }

    fn suggestion(&self) -> TacticSuggestion {
        let (verdict, tactic_id) = match (&self.verdict, self.candidates.first()) {
            (Suggestion::Try { tactic_id, .. }, first) => (
                SuggestionVerdict::Try,
                first
                    .map_or(tactic_id, |first| &first.tactic.tactic_id)
                    .to_string(),
            ),
            (Suggestion::Wait, _) => (SuggestionVerdict::Wait, String::new()),
            (Suggestion::AllSucceeded, _) => (SuggestionVerdict::AllSucceeded, String::new()),
            (Suggestion::StrategyExhausted, _) => {
                (SuggestionVerdict::StrategyExhausted, String::new())
            }
        };
        let exhausted = self.verdict == Suggestion::StrategyExhausted;
        TacticSuggestion {
            strategy_id: self.strategy.strategy_id.to_string(),
            verdict: verdict.into(),
            tactic_id,
            policy: match self.policy {
                Policy::Ranked => SuggestionPolicy::Ranked,
                Policy::Ratio => SuggestionPolicy::Ratio,
            }
            .into(),
            advice: self.advice(),
            options: (0..)
                .zip(&self.candidates)
                .map(|it| self.option(it))
                .collect(),
            reconsider: exhausted
                .then(|| exhausted::reconsider(self.moment, self.strategy, self.chances)),
            options_left_out: 0,
        }
    }

    fn advice(&self) -> String {
        let id = &self.strategy.strategy_id;
        let mut advice = match (&self.verdict, self.candidates.first()) {
            (Suggestion::Try { .. }, Some(first)) => {
                format!(
                    "Try `{}` next: {}.",
                    first.tactic.tactic_id,
                    self.why_first(first)
                )
            }
            (Suggestion::Try { tactic_id, .. }, None) => format!("Try `{tactic_id}` next."),
            (Suggestion::Wait, _) => {
                let open = self.candidates.iter().map(|it| it.tactic);
                let open = open.filter(|tactic| tactic.open_attempt().is_some());
                let ids = named(open.map(|tactic| &*tactic.tactic_id));
                format!("Wait for what comes of {ids}: nothing else is eligible.")
            }
            (Suggestion::AllSucceeded, _) => {
                format!("Every tactic of `{id}` has succeeded: nothing is left to try.")
            }
            (Suggestion::StrategyExhausted, None) => {
                format!("`{id}` has no tactic: add one, or revise the strategy.")
            }
            (Suggestion::StrategyExhausted, Some(_)) if self.is_revised_since() => {
                format!(
                    "No option of `{id}` is eligible, and since it was revised none has been added: add \
                     one that the revision asks for."
                )
            }
            (Suggestion::StrategyExhausted, Some(_)) => {
                format!("No option of `{id}` is eligible: it is the strategy that must be revised.")
            }
        };
        if self.moment.plan.is_archived() {
            advice.push_str(" The plan is archived: nothing is tried before it is reopened.");
        }
        advice
    }

    /// Whether the strategy was revised after all that speaks against its options.
    fn is_revised_since(&self) -> bool {
        let revised = self.strategy.revised_revision;
        let mut closing = self.candidates.iter().flat_map(|option| {
            let against = option.against.iter();
            against.flat_map(|obstacle| speaking_for(self.moment, option.tactic, *obstacle))
        });
        closing.all(|revision| revision < revised)
    }

    /// Why the first is the first, as the end of a sentence.
    fn why_first(&self, first: &Candidate<'_>) -> String {
        let mut others = self.eligible().skip(1);
        let Some(runner_up) = others.next() else {
            return "it is the only eligible option".to_owned();
        };
        let count = 2 + others.count();
        let second = &runner_up.tactic.tactic_id;
        match self.policy {
            Policy::Ranked => match first.rank() {
                None => {
                    format!("none of the {count} eligible options is ranked, and it is the oldest")
                }
                rank @ Some(number) if rank == runner_up.rank() => {
                    format!("it has rank {number} like `{second}`, and is older")
                }
                Some(number) => {
                    format!("its rank {number} is the best of the {count} eligible options")
                }
            },
            Policy::Ratio if first.index == runner_up.index => {
                format!(
                    "its chance for its cost is as large as that of `{second}`, and its rank is better"
                )
            }
            Policy::Ratio => format!(
                "its chance of {} for a cost of {} is the best of the {count} eligible options",
                significant(first.chance.probability),
                significant(first.tactic.cost.unwrap_or_default()),
            ),
        }
    }

    fn option(&self, (place, candidate): (usize, &Candidate<'_>)) -> TacticOption {
        let tactic = candidate.tactic;
        let against = candidate.against.iter();
        let obstacles: Vec<_> = against.map(|it| told(self.moment, tactic, *it)).collect();
        let needs = self
            .candidates
            .first()
            .filter(|_| place == 1 && candidate.is_eligible());
        let reason = if !candidate.is_eligible() {
            let texts: Vec<_> = obstacles.iter().map(|it| it.text.as_str()).collect();
            texts.join(" ")
        } else if place == 0 {
            capitalized(&self.why_first(candidate))
        } else {
            self.why_later(candidate)
        };
        let tally = Tally::of(tactic);
        let ended = tactic
            .attempts
            .iter()
            .filter_map(|it| ended_revision(&it.state));
        TacticOption {
            tactic_id: tactic.tactic_id.to_string(),
            statement: tactic.statement.clone(),
            rank: tactic.rank,
            kind: tactic.kind.clone(),
            eligible: candidate.is_eligible(),
            obstacles,
            reason,
            successes: candidate.chance.successes,
            effect_failures: candidate.chance.effect_failures,
            success_probability: candidate.chance.probability,
            cost: tactic.cost,
            index: candidate.index,
            needs: needs.map(|first| self.needs(first, candidate)),
            precondition_failures: tally.precondition_failures,
            stops: tally.stops,
            outcomes: self.moment.last_references(ended),
            doubts: candidate.chance.doubts.clone(),
            ranked_by: self.chances.ranking(tactic),
            alike_outcomes: self.chances.alike(tactic),
        }
    }

    fn why_later(&self, candidate: &Candidate<'_>) -> String {
        let first = self
            .candidates
            .first()
            .map_or("", |it| &it.tactic.tactic_id);
        match self.policy {
            Policy::Ranked => format!("It is eligible, but `{first}` comes before it by rank."),
            Policy::Ratio => format!(
                "It is eligible, but its chance of {} for a cost of {} is no better than that of `{first}`.",
                significant(candidate.chance.probability),
                significant(candidate.tactic.cost.unwrap_or_default()),
            ),
        }
    }

    /// What would put the runner-up first.
    fn needs(&self, first: &Candidate<'_>, runner_up: &Candidate<'_>) -> RunnerUpNeeds {
        let id = &first.tactic.tactic_id;
        match (self.policy, first.index, runner_up.tactic.cost) {
            (Policy::Ratio, Some(index), Some(cost)) => {
                by_ratio(id, index, cost, runner_up.chance.probability)
            }
            (Policy::Ratio | Policy::Ranked, ..) => {
                let options = super::options(&self.moment.plan, &self.strategy.strategy_id);
                let before = options.iter().take_while(|it| it.tactic_id != *id).count();
                let place = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
                RunnerUpNeeds {
                    text: format!(
                        "It would have to stand before `{id}` in the ranks: at place {place} or better."
                    ),
                    rank: Some(place),
                    ..RunnerUpNeeds::default()
                }
            }
        }
    }
}

fn candidate<'a>(plan: &Plan, tactic: &'a Tactic, chances: &Chances<'_>) -> Candidate<'a> {
    let chance = chances.of(tactic);
    let cost = tactic.cost.filter(|cost| *cost > 0.0);
    Candidate {
        tactic,
        against: obstacles(plan, tactic),
        // A cost can be too small to divide by.
        index: cost
            .map(|cost| chance.probability / cost)
            .filter(|index| index.is_finite()),
        chance,
    }
}

fn by_ratio(first_id: &str, index: f64, cost: f64, chance: f64) -> RunnerUpNeeds {
    let chance_needed = Some(index * cost).filter(|needed| *needed < 1.0);
    let cost_needed = chance / index;
    let by_cost = format!("a cost below {}", significant(cost_needed));
    let text = match chance_needed {
        Some(needed) => format!(
            "To come before `{first_id}` it would need a chance above {} or {by_cost}.",
            significant(needed)
        ),
        None => {
            format!("To come before `{first_id}` it would need {by_cost}: no chance is enough.")
        }
    };
    RunnerUpNeeds {
        text,
        rank: None,
        success_probability: chance_needed,
        cost: Some(cost_needed),
    }
}

/// A number to three significant digits, for people; with an exponent where zeros would hide them.
fn significant(number: f64) -> String {
    let rounded: Result<f64, _> = format!("{number:.2e}").parse();
    let rounded = rounded.unwrap_or(number);
    if rounded == 0.0 || PLAIN_NUMBERS.contains(&rounded.abs()) {
        rounded.to_string()
    } else {
        format!("{rounded:e}")
    }
}

/// The end of a sentence as a sentence.
fn capitalized(end: &str) -> String {
    let mut chars = end.chars();
    let first = chars.next().map(|it| it.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}
