//! States within a history that a fold may start from, so that asking about the past costs as much
//! in a long history as in a short one. A state is right for a later revision where nothing between
//! the two amends what came before it.

use std::{ops::Range, sync::Arc};

use super::{History, Recorded};
use crate::domain::{
    evolve,
    plan::Plan,
    value::{Id, Time},
};

/// How many events lie between two checkpoints: folding them takes about as long as copying what a
/// checkpoint shares with others.
const EVENTS_BETWEEN: usize = 256;
/// How many events may be folded for each event that a new checkpoint lies after the last one. Where
/// early events are amended again and again it then gets fewer of them, and not slower.
const FOLDED_PER_EVENT: usize = 8;

/// The checkpoints of a history, ascending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checkpoints(Vec<Checkpoint>);

#[derive(Debug, Clone, PartialEq)]
struct Checkpoint {
    /// How many events it was folded from.
    events: usize,
    plan: Arc<Plan>,
}

impl Checkpoints {
    /// A bound of the bytes of memory they take: as much as if they shared nothing.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.0.iter().map(|it| it.plan.size_bound_bytes).sum()
    }
}

impl History {
    /// A history that carries on one which was checkpointed.
    #[must_use]
    pub fn checkpointed(
        plan_id: Id,
        events: Vec<Arc<Recorded>>,
        before: (usize, &Checkpoints),
    ) -> Self {
        let (events_before, checkpoints) = before;
        let mut history = Self {
            checkpoints: checkpoints.clone(),
            ..Self::of(plan_id, events)
        };
        let first = events_before / EVENTS_BETWEEN + 1;
        for place in first..=history.events.len() / EVENTS_BETWEEN {
            history.checkpoint(place * EVENTS_BETWEEN);
        }
        history
    }

    /// The plan after the event of a revision.
    #[must_use]
    pub fn fold(&self, revision: u64) -> Plan {
        let events = self.until(revision).len();
        let (plan, folded) = self.start(events);
        let tail = self.between(folded..events);
        evolve::fold_on(plan, tail.iter().map(|recorded| &recorded.event))
    }

    /// The same, where there is a checkpoint to start from: it shares its memory with what else was.
    #[must_use]
    pub fn fold_from_checkpoint(&self, revision: u64) -> Option<Plan> {
        self.base(self.until(revision).len())?;
        Some(self.fold(revision))
    }

    /// The plan as of an occurred time: after events that stand at a revision, some of them. The first of
    /// them are often the first of all, as they were recorded, and need not be folded again.
    #[must_use]
    pub(super) fn fold_standing(
        &self,
        revision: u64,
        events: &[Arc<Recorded>],
        time: Time,
    ) -> Plan {
        let as_recorded = events.iter().zip(&self.events);
        let as_recorded =
            as_recorded.take_while(|(stands, recorded)| Arc::ptr_eq(stands, recorded));
        let (base, folded) = self.start(as_recorded.count());
        evolve::fold_standing(base, (events, folded), self.until(revision), time)
    }

    /// The state that a fold of the first so many events starts from, and how many of them it holds.
    fn start(&self, events: usize) -> (Plan, usize) {
        self.base(events).map_or_else(
            || (Plan::unborn(self.plan_id.clone()), 0),
            |base| (Plan::clone(&base.plan), base.events),
        )
    }

    fn checkpoint(&mut self, events: usize) {
        let last = self.checkpoints.0.last().map_or(0, |last| last.events);
        let folded_from = self.base(events).map_or(0, |base| base.events);
        if events - folded_from <= FOLDED_PER_EVENT * (events - last) {
            let plan = Arc::new(self.fold(events as u64));
            self.checkpoints.0.push(Checkpoint { events, plan });
        }
    }

    /// The last checkpoint that is right for a state after so many events.
    fn base(&self, events: usize) -> Option<&Checkpoint> {
        let mut end = events;
        let mut amended = u64::MAX;
        let reached = self.checkpoints.0.iter().rev();
        let mut reached = reached.filter(|it| it.events <= events);
        reached.find(|checkpoint| {
            let later = self.between(checkpoint.events..end);
            let amends = later
                .iter()
                .filter_map(|it| evolve::amended(it.event.kind.as_ref()?));
            amended = amended.min(amends.min().unwrap_or(u64::MAX));
            end = checkpoint.events;
            amended > checkpoint.events as u64
        })
    }

    fn between(&self, range: Range<usize>) -> &[Arc<Recorded>] {
        self.events.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{decide::properties, given, history::Moment},
        proto::{Event, event::Kind},
    };

    fn recorded(event: Event) -> Arc<Recorded> {
        Arc::new(Recorded::new(
            event.revision,
            Time::default(),
            "anonymous".into(),
            "".into(),
            event,
        ))
    }

    /// Checkpointed in two steps.
    fn history(events: Vec<Event>, first: usize) -> History {
        let events: Vec<_> = events.into_iter().map(recorded).collect();
        let some = events.iter().take(first).cloned().collect();
        let part = History::checkpointed("growth".into(), some, (0, &Checkpoints::default()));
        let before = (part.events.len(), &part.checkpoints);
        History::checkpointed("growth".into(), events, before)
    }

    fn from_the_start(history: &History, revision: u64) -> Plan {
        let events = history.until(revision).iter();
        evolve::fold("growth".into(), events.map(|recorded| &recorded.event))
    }

    fn measurements(count: usize) -> Vec<Kind> {
        let first = [given::created(), given::indicator("i")];
        let measured = (0..count - 2).map(|_| given::measured("i", 1.0));
        first.into_iter().chain(measured).collect()
    }

    fn placed(history: &History) -> Vec<usize> {
        history.checkpoints.0.iter().map(|it| it.events).collect()
    }

    #[test]
    fn a_fold_starts_from_the_last_checkpoint_that_nothing_amends() {
        let mut kinds = measurements(3 * EVENTS_BETWEEN - 2);
        let early = EVENTS_BETWEEN as u64 + 1;
        kinds.push(given::corrected(early, given::measured("i", 2.0)));
        kinds.push(given::created());
        let history = history(given::history(kinds), 300);
        assert_eq!(placed(&history), [1, 2, 3].map(|it| it * EVENTS_BETWEEN));
        let base = |events| history.base(events).map_or(0, |base| base.events);
        assert_eq!(base(EVENTS_BETWEEN - 1), 0);
        assert_eq!(base(3 * EVENTS_BETWEEN - 2), 2 * EVENTS_BETWEEN);
        assert_eq!(base(3 * EVENTS_BETWEEN - 1), EVENTS_BETWEEN);
        assert_eq!(base(3 * EVENTS_BETWEEN), 3 * EVENTS_BETWEEN);
    }

    #[test]
    fn early_events_amended_all_the_time_cost_checkpoints_and_not_time() {
        let mut kinds = measurements(EVENTS_BETWEEN / 2);
        for _ in 0..40 {
            kinds.push(given::corrected(3, given::measured("i", 2.0)));
            kinds.extend(measurements(EVENTS_BETWEEN).into_iter().skip(3));
        }
        let history = history(given::history(kinds), 0);
        let placed = placed(&history);
        assert!((8..40).contains(&placed.len()), "{placed:?}");
        let folded: usize = placed.iter().sum();
        assert!(folded <= FOLDED_PER_EVENT * history.events.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn a_fold_from_a_checkpoint_is_the_fold_from_the_start(
            events in properties::recorded(),
            (checkpoint, end) in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            prop_assume!(!events.is_empty());
            let mut history = history(events, 0);
            let (checkpoint, end) = (
                checkpoint.index(history.events.len()) + 1,
                end.index(history.events.len()) as u64 + 1,
            );
            history.checkpoint(checkpoint);
            prop_assert_eq!(placed(&history), [checkpoint]);
            prop_assert_eq!(history.fold(end), from_the_start(&history, end));
        }

        #[test]
        fn an_occurred_time_is_the_same_from_a_checkpoint(
            events in properties::recorded(),
            (checkpoint, at) in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            prop_assume!(!events.is_empty());
            let plain = history(events.clone(), 0);
            let mut checkpointed = plain.clone();
            checkpointed.checkpoint(checkpoint.index(events.len()) + 1);
            prop_assert!(checkpointed.checkpoints.0.len() == 1);
            let time = plain.events[at.index(events.len())].occurred_at();
            let last = events.len() as u64;
            let then = |history| Moment::at_occurred(Arc::new(history), last, time, last);
            let (plain, checkpointed) = (then(plain), then(checkpointed));
            prop_assert_eq!(plain.map(|it| it.plan), checkpointed.map(|it| it.plan));
        }
    }
}
