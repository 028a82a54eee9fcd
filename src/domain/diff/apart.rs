//! Two states of a plan without the things that both hold alike. Much of two states is one and the
//! same memory, and the rest is compared as it is: both cost far less than showing it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::domain::{
    plan::{Assumption, Plan},
    value::Id,
};

type Things<K, T> = BTreeMap<K, Arc<T>>;

/// The two plans, of their things only those whose views may differ. A thing that is kept is kept
/// with all that its view shows.
pub(super) fn apart(before: &Plan, after: &Plan) -> (Plan, Plan) {
    let differing = Differing::between(before, after);
    (differing.part(before), differing.part(after))
}

/// What the things that differ go by.
struct Differing<'a> {
    indicators: BTreeSet<&'a Id>,
    assumptions: BTreeSet<&'a Id>,
    strategies: BTreeSet<&'a Id>,
    tactics: BTreeSet<&'a Id>,
    commitments: BTreeSet<&'a Id>,
    acknowledgements: BTreeSet<&'a (String, String)>,
}

impl<'a> Differing<'a> {
    fn between(before: &'a Plan, after: &'a Plan) -> Self {
        Self {
            indicators: differing(&before.indicators, &after.indicators),
            assumptions: assumptions(before, after),
            strategies: strategies(before, after),
            tactics: differing(&before.tactics, &after.tactics),
            commitments: differing(&before.commitments, &after.commitments),
            acknowledgements: differing(&before.acknowledgements, &after.acknowledgements),
        }
    }

    fn part(&self, plan: &Plan) -> Plan {
        let assumptions = part(&plan.assumptions, &self.assumptions);
        let evidence = assumptions.values().flat_map(|it| &it.evidence_ids);
        let evidence = part(&plan.evidence, &evidence.collect());
        let is_shown = |id: &Id| self.strategies.contains(id);
        let proposals = plan.proposals.iter();
        Plan {
            revision: plan.revision,
            lifecycle: plan.lifecycle.clone(),
            description: plan.description.clone(),
            objective: plan.objective.clone(),
            indicators: part(&plan.indicators, &self.indicators),
            assumptions,
            evidence,
            strategies: part(&plan.strategies, &self.strategies),
            proposals: proposals
                .filter(|(_, proposal)| is_shown(&proposal.strategy_id))
                .map(|(id, proposal)| (id.clone(), proposal.clone()))
                .collect(),
            tactics: part(&plan.tactics, &self.tactics),
            commitments: part(&plan.commitments, &self.commitments),
            acknowledgements: part(&plan.acknowledgements, &self.acknowledgements),
            notes: plan.notes,
            created_at: plan.created_at,
            last_occurred_at: plan.last_occurred_at,
            ..Plan::unborn(plan.plan_id.clone())
        }
    }
}

/// An assumption is shown with its evidence.
fn assumptions<'a>(before: &'a Plan, after: &'a Plan) -> BTreeSet<&'a Id> {
    let mut assumptions = differing(&before.assumptions, &after.assumptions);
    let evidence = differing(&before.evidence, &after.evidence);
    if !evidence.is_empty() {
        let concerns = |it: &Assumption| it.evidence_ids.iter().any(|id| evidence.contains(id));
        let all = before.assumptions.iter().chain(&after.assumptions);
        assumptions.extend(all.filter(|(_, it)| concerns(it)).map(|(id, _)| id));
    }
    assumptions
}

/// A strategy is shown with the revisions proposed for it.
fn strategies<'a>(before: &'a Plan, after: &'a Plan) -> BTreeSet<&'a Id> {
    let mut strategies = differing(&before.strategies, &after.strategies);
    for id in differing(&before.proposals, &after.proposals) {
        let proposals = [before, after].map(|plan| plan.proposals.get(id));
        strategies.extend(proposals.into_iter().flatten().map(|it| &it.strategy_id));
    }
    strategies
}

/// The names of what is in one of two maps only, or not alike in both.
fn differing<'a, K: Ord, T: PartialEq>(
    before: &'a Things<K, T>,
    after: &'a Things<K, T>,
) -> BTreeSet<&'a K> {
    let mut names = BTreeSet::new();
    let mut earlier = before.iter().peekable();
    for (name, thing) in after {
        while let Some((lost, _)) = earlier.next_if(|(earlier, _)| *earlier < name) {
            names.insert(lost);
        }
        let was = earlier.next_if(|(earlier, _)| *earlier == name);
        if was.is_none_or(|(_, was)| !Arc::ptr_eq(was, thing) && was != thing) {
            names.insert(name);
        }
    }
    names.extend(earlier.map(|(lost, _)| lost));
    names
}

fn part<K: Ord + Clone, T>(things: &Things<K, T>, names: &BTreeSet<&K>) -> Things<K, T> {
    let found = names.iter().filter_map(|name| things.get_key_value(name));
    found
        .map(|(name, thing)| (name.clone(), thing.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{decide::properties, evolve::fold},
        proto,
    };

    /// What of two lists is in one of them only.
    fn in_one_only<T: Clone + PartialEq>(before: &[T], after: &[T]) -> (Vec<T>, Vec<T>) {
        let without = |these: &[T], those: &[T]| {
            let apart = these.iter().filter(|it| !those.contains(it));
            apart.cloned().collect()
        };
        (without(before, after), without(after, before))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn what_differs_is_shown_as_it_would_be_in_the_whole_plan(
            events in properties::recorded(),
            places in any::<[prop::sample::Index; 2]>(),
        ) {
            prop_assume!(!events.is_empty());
            let [before, after] = places.map(|place| {
                let end = place.index(events.len()) + 1;
                fold("growth".into(), events.iter().take(end))
            });
            let (before_part, after_part) = apart(&before, &after);
            let [before, after] = [before, after].map(|plan| proto::Plan::from(&plan));
            let parts = [before_part, after_part].map(|plan| proto::Plan::from(&plan));
            let [before_part, after_part] = parts;
            macro_rules! same {
                ($($field:ident),*) => {$(
                    let whole = in_one_only(&before.$field, &after.$field);
                    let part = in_one_only(&before_part.$field, &after_part.$field);
                    prop_assert_eq!(whole, part);
                )*};
            }
            same!(indicators, assumptions, strategies, tactics, commitments, acknowledgements);
            prop_assert_eq!(before_part.objective, before.objective);
            prop_assert_eq!(after_part.objective, after.objective);
            prop_assert_eq!(after_part.title, after.title);
        }
    }
}
