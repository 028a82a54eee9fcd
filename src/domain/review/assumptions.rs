//! Findings about what is taken for true: whether it was tested, and whether anybody heeds the result.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt as _};

use super::{
    Case, Draft,
    codes::{ASM001, ASM002, ASM003},
    day, listed,
};
use crate::domain::{
    plan::{Assumption, AssumptionState, Strategy, Tactic},
    suggest::refutation,
    value::{Id, Subject},
};

pub(super) fn find(case: &Case<'_>, found: &mut Vec<Draft>) {
    let tried = tried_tactics(case);
    let resting = resting_strategies(case);
    for (id, assumption) in &case.plan.assumptions {
        found.extend(untested(assumption, tried.get(id)));
        found.extend(refuted_in_use(case, assumption, resting.get(id)));
    }
    found.extend(without_assumption(case));
}

/// The tactics that name an assumption and were tried, by the assumption.
fn tried_tactics<'a>(case: &Case<'a>) -> HashMap<&'a Id, Vec<&'a Tactic>> {
    let mut tried: HashMap<_, Vec<_>> = HashMap::new();
    for tactic in case.plan.tactics.values() {
        if !tactic.attempts.is_empty() {
            for id in BTreeSet::from_iter(&tactic.assumption_ids) {
                tried.entry(id).or_default().push(tactic.as_ref());
            }
        }
    }
    tried
}

/// The live strategies that rest on an assumption, by the assumption.
fn resting_strategies<'a>(case: &Case<'a>) -> HashMap<&'a Id, Vec<&'a Strategy>> {
    let mut resting: HashMap<_, Vec<_>> = HashMap::new();
    for strategy in case.live_strategies() {
        for id in BTreeSet::from_iter(&strategy.choice.assumption_ids) {
            resting.entry(id).or_default().push(strategy);
        }
    }
    resting
}

fn subject(assumption: &Assumption) -> Subject {
    Subject::Assumption(assumption.assumption_id.clone())
}

fn untested(assumption: &Assumption, tried: Option<&Vec<&Tactic>>) -> Option<Draft> {
    let tried = tried?;
    if !assumption.load_bearing || !assumption.evidence_ids.is_empty() {
        return None;
    }
    let id = &assumption.assumption_id;
    let message = format!(
        "Assumption `{id}` carries the plan and was never tested, though {} on it ({}): look for \
         evidence on either side, and record it with `record_evidence`.",
        match tried.len() {
            1 => "a tactic was tried that rests".to_owned(),
            more => format!("{more} tactics were tried that rest"),
        },
        listed(tried.iter().map(|it| &it.tactic_id))
    );
    let attempts = tried.iter().flat_map(|tactic| &tactic.attempts);
    let behind = attempts
        .map(|attempt| attempt.tried_revision)
        .chain([assumption.stated_revision]);
    Some(Draft::new(&ASM001, subject(assumption), behind, message))
}

fn refuted_in_use(
    case: &Case<'_>,
    assumption: &Assumption,
    resting: Option<&Vec<&Strategy>>,
) -> Option<Draft> {
    let (AssumptionState::Refuted(refuted), Some(resting)) = (assumption.state, resting) else {
        return None;
    };
    let id = &assumption.assumption_id;
    let when = case.moment.event(refuted);
    let message = format!(
        "Assumption `{id}` was found not to hold on {}, and {} with `revise_strategy` because of \
         revision {refuted}, or reopen the assumption if it was judged wrongly.",
        when.map_or_else(|| "an unknown day".to_owned(), |it| day(it.occurred_at())),
        resting_yet(resting)
    );
    let behind = resting
        .iter()
        .map(|strategy| strategy.revised_revision)
        .chain(refutation(case.moment, assumption, refuted));
    Some(Draft::new(&ASM002, subject(assumption), behind, message))
}

fn resting_yet(resting: &[&Strategy]) -> String {
    let ids = listed(resting.iter().map(|it| &it.strategy_id));
    match resting.len() {
        1 => format!("strategy {ids} still rests on it: revise that"),
        more => format!("{more} strategies ({ids}) still rest on it: revise them"),
    }
}

/// Said of tactics that can still be tried.
fn without_assumption(case: &Case<'_>) -> Option<Draft> {
    let is_option = |tactic: &Tactic| {
        let strategy_id = tactic.strategy_id.as_ref();
        let strategy = strategy_id.and_then(|id| case.plan.strategies.get(id));
        tactic.retired.is_none() && strategy.is_none_or(|strategy| strategy.is_live())
    };
    let tactics = case.plan.tactics.values();
    let without: Vec<_> = tactics
        .filter(|tactic| tactic.assumption_ids.is_empty() && is_option(tactic))
        .collect();
    if without.is_empty() {
        return None;
    }
    let ids = listed(without.iter().map(|it| &it.tactic_id));
    let message = format!(
        "{} to work, so that a failure teaches something.",
        match without.len() {
            1 => format!(
                "Tactic {ids} names no assumption: say with `reword_tactic` what has to be true for it"
            ),
            more => format!(
                "{more} tactics name no assumption ({ids}): say with `reword_tactic` what has to be \
                 true for each"
            ),
        }
    );
    let behind = without.iter().map(|it| it.worded_revision);
    let subjects = without
        .iter()
        .map(|it| Subject::Tactic(it.tactic_id.clone()));
    Some(Draft::new(&ASM003, Subject::Plan, behind, message).about(subjects))
}
