//! How likely a tactic is to work, from how the attempts of tactics like it ended, and which
//! assumptions lower that. All sums are of quarters, which are exact, so that their order is nothing
//! to an answer.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt as _};

use crate::{
    domain::{
        history::Moment,
        outcomes::{self, Tally},
        plan::{Assumption, AssumptionState, AttemptState, Tactic},
        value::Id,
    },
    proto::{self, Doubt, DoubtedAssumption, EventReference, Failure, event::Kind},
};

/// How many attempts a kind's share weighs, and what is expected of a kind of which nothing is known:
/// as if one of three attempts had worked.
const PRIOR_ATTEMPTS: f64 = 3.0;
const PRIOR_SUCCESSES: f64 = 1.0;
/// What the attempts of other strategies of the plan weigh, and those of other plans.
const SAME_PLAN_WEIGHT: f64 = 0.5;
const ELSEWHERE_WEIGHT: f64 = 0.25;
/// What a chance is multiplied by for an assumption that is suspected, or refuted without being
/// load-bearing.
const SUSPECTED_FACTOR: f64 = 0.5;
const REFUTED_FACTOR: f64 = 0.25;

/// How the attempts of tactics of a kind ended in other plans, at the moment asked for.
pub type Elsewhere<'a> = &'a dyn Fn(&str) -> Tally;

/// The chance of a tactic and what it comes from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Chance {
    /// Weighted successes.
    pub successes: f64,
    /// Weighted failures of effect.
    pub effect_failures: f64,
    /// From 0 to 1.
    pub probability: f64,
    /// What lowers it.
    pub doubts: Vec<DoubtedAssumption>,
}

/// What the chances of a plan's tactics are worked out from.
pub(super) struct Chances<'a> {
    moment: &'a Moment,
    cells: BTreeMap<(Option<Id>, String), Tally>,
    /// For each kind of the plan's tactics: its attempts under any strategy, and those elsewhere.
    kinds: BTreeMap<&'a str, (Tally, Tally)>,
    /// Assumptions that failures cast doubt on, with the revisions of these failures.
    suspicions: BTreeMap<Id, BTreeSet<u64>>,
    /// For each kind the last successes and failures of effect of the plan's own.
    outcomes: BTreeMap<&'a str, Vec<EventReference>>,
    /// The events that gave the tactics their ranks.
    rankings: HashMap<&'a str, u64>,
}

impl<'a> Chances<'a> {
    pub(super) fn new(moment: &'a Moment, elsewhere: Elsewhere<'_>) -> Self {
        let mut kinds: BTreeMap<&str, (Tally, Tally)> = BTreeMap::new();
        for tactic in moment.plan.tactics.values() {
            // Asked once a kind: behind it is a lock that the writer takes too.
            let kind = kinds.entry(&tactic.kind);
            let (own, _) = kind.or_insert_with(|| (Tally::default(), elsewhere(&tactic.kind)));
            *own = own.plus(Tally::of(tactic));
        }
        Self {
            moment,
            cells: outcomes::cells(&moment.plan),
            kinds,
            suspicions: suspicions(moment),
            outcomes: outcomes_of_kinds(moment),
            rankings: rankings(moment),
        }
    }

    /// The event that gave a tactic its rank.
    pub(super) fn ranking(&self, tactic: &Tactic) -> Option<EventReference> {
        let ranked = self.rankings.get(&*tactic.tactic_id).copied();
        self.moment.references(ranked).pop()
    }

    /// The plan's own attempts that count for the chance of a tactic, by the events that ended them.
    pub(super) fn alike(&self, tactic: &Tactic) -> Vec<EventReference> {
        if tactic.kind.is_empty() {
            return self.moment.last_references(outcomes_of(tactic));
        }
        let of_kind = self.outcomes.get(tactic.kind.as_str());
        of_kind.cloned().unwrap_or_default()
    }

    /// The chance that the next attempt of the tactic works.
    pub(super) fn of(&self, tactic: &Tactic) -> Chance {
        let (mean, same, same_plan, elsewhere) = self.known(tactic);
        let weighted = |count: fn(&Tally) -> u32| {
            f64::from(count(&same))
                + SAME_PLAN_WEIGHT * f64::from(count(&same_plan))
                + ELSEWHERE_WEIGHT * f64::from(count(&elsewhere))
        };
        let successes = weighted(|tally| tally.successes);
        let effect_failures = weighted(|tally| tally.effect_failures);
        let unspoilt = shrunk(mean, successes, effect_failures);
        let doubts = self.doubts(tactic);
        Chance {
            successes,
            effect_failures,
            // Halves and quarters are exact too.
            probability: doubts
                .iter()
                .fold(unspoilt, |chance, doubt| chance * doubt.factor),
            doubts,
        }
    }

    /// What is expected of the tactic's kind, and the attempts of tactics like it: of its strategy,
    /// of the rest of its plan, of other plans.
    fn known(&self, tactic: &Tactic) -> (f64, Tally, Tally, Tally) {
        if tactic.kind.is_empty() {
            let none = Tally::default();
            let mean = PRIOR_SUCCESSES / PRIOR_ATTEMPTS;
            return (mean, Tally::of(tactic), none, none);
        }
        let cell = (tactic.strategy_id.clone(), tactic.kind.clone());
        let same = self.cells.get(&cell).copied().unwrap_or_default();
        let of_kind = self.kinds.get(tactic.kind.as_str());
        let (of_plan, elsewhere) = of_kind.copied().unwrap_or_default();
        let all = of_plan.plus(elsewhere);
        let mean = shrunk(
            PRIOR_SUCCESSES / PRIOR_ATTEMPTS,
            f64::from(all.successes),
            f64::from(all.effect_failures),
        );
        (mean, same, of_plan.minus(same), elsewhere)
    }

    /// The assumptions that lower the chance of a tactic. A refuted one that is load-bearing does not:
    /// it makes the tactic ineligible.
    fn doubts(&self, tactic: &Tactic) -> Vec<DoubtedAssumption> {
        let ids: BTreeSet<&Id> = tactic.assumption_ids.iter().collect();
        ids.into_iter()
            .filter_map(|id| self.doubt(id))
            .filter(|doubt| doubt.factor > 0.0)
            .collect()
    }

    /// Why an assumption is in doubt, if it is.
    pub(super) fn doubt(&self, assumption_id: &str) -> Option<DoubtedAssumption> {
        let assumption = self.moment.plan.assumptions.get(assumption_id)?;
        match assumption.state {
            AssumptionState::Refuted(revision) => Some(self.refuted(assumption, revision)),
            // What was said before the conclusion was settled by it.
            AssumptionState::Supported(revision) => self.suspected(assumption, revision),
            AssumptionState::Stated => self.suspected(assumption, 0),
        }
    }

    fn refuted(&self, assumption: &Assumption, revision: u64) -> DoubtedAssumption {
        let id = &assumption.assumption_id;
        let (factor, text) = if assumption.load_bearing {
            (0.0, format!("`{id}`, which is load-bearing, was refuted."))
        } else {
            (REFUTED_FACTOR, format!("`{id}` was refuted."))
        };
        DoubtedAssumption {
            assumption_id: id.to_string(),
            factor,
            events: self
                .moment
                .last_references(refutation(self.moment, assumption, revision)),
            doubt: Doubt::Refuted.into(),
            text,
        }
    }

    fn suspected(&self, assumption: &Assumption, settled: u64) -> Option<DoubtedAssumption> {
        let id = &assumption.assumption_id;
        let failures: Vec<_> = self.suspicions.get(id)?.range(settled..).copied().collect();
        let text = match failures.len() {
            0 => return None,
            1 => format!("A failure casts doubt on `{id}`."),
            count => format!("{count} failures cast doubt on `{id}`."),
        };
        Some(DoubtedAssumption {
            assumption_id: id.to_string(),
            factor: SUSPECTED_FACTOR,
            events: self.moment.last_references(failures),
            doubt: Doubt::Suspected.into(),
            text,
        })
    }
}

/// The events that refuted an assumption: the evidence that was recorded before, and the conclusion.
pub(in crate::domain) fn refutation(
    moment: &Moment,
    assumption: &Assumption,
    revision: u64,
) -> Vec<u64> {
    let evidence = assumption.evidence_ids.iter();
    let evidence = evidence.filter_map(|id| moment.plan.evidence.get(id));
    let refutes = evidence
        .filter(|it| it.verdict == i32::from(proto::Verdict::Refutes) && it.revision < revision);
    let mut revisions: Vec<_> = refutes.map(|evidence| evidence.revision).collect();
    revisions.push(revision);
    revisions
}

/// The attempts of a tactic that worked, or were carried out and did not, by the events that ended them.
fn outcomes_of(tactic: &Tactic) -> impl Iterator<Item = u64> {
    tactic
        .attempts
        .iter()
        .filter_map(|attempt| match &attempt.state {
            AttemptState::Succeeded(ending) => Some(ending.revision),
            AttemptState::Failed {
                ending, failure, ..
            } if *failure == i32::from(Failure::Effect) => Some(ending.revision),
            AttemptState::Open | AttemptState::Failed { .. } | AttemptState::Stopped { .. } => None,
        })
}

fn outcomes_of_kinds(moment: &Moment) -> BTreeMap<&str, Vec<EventReference>> {
    let mut revisions: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for tactic in moment.plan.tactics.values() {
        if !tactic.kind.is_empty() {
            let of_kind = revisions.entry(&tactic.kind).or_default();
            of_kind.extend(outcomes_of(tactic));
        }
    }
    let referred = revisions.into_iter();
    referred
        .map(|(kind, revisions)| (kind, moment.last_references(revisions)))
        .collect()
}

fn rankings(moment: &Moment) -> HashMap<&str, u64> {
    let mut rankings = HashMap::new();
    for recorded in moment.events.iter() {
        let revision = recorded.event.revision;
        if let Some(Kind::TacticAdded(it)) = &recorded.event.kind {
            rankings.insert(&*it.tactic_id, revision);
        } else if let Some(Kind::TacticsRanked(it)) = &recorded.event.kind {
            rankings.extend(it.tactic_ids.iter().map(|id| (&**id, revision)));
        }
    }
    rankings
}

/// A share of successes, drawn towards what was expected before.
fn shrunk(mean: f64, successes: f64, failures: f64) -> f64 {
    (PRIOR_ATTEMPTS * mean + successes) / (PRIOR_ATTEMPTS + successes + failures)
}

fn suspicions(moment: &Moment) -> BTreeMap<Id, BTreeSet<u64>> {
    let mut found: BTreeMap<Id, BTreeSet<u64>> = BTreeMap::new();
    let tactics = moment.plan.tactics.values();
    for attempt in tactics.flat_map(|tactic| &tactic.attempts) {
        if let AttemptState::Failed {
            ending,
            suspected_assumption_ids,
            ..
        } = &attempt.state
        {
            for id in suspected_assumption_ids {
                found.entry(id.clone()).or_default().insert(ending.revision);
            }
        }
    }
    found
}
