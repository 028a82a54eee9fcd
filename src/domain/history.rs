//! A plan's events with what was recorded about them, and what they come to at a moment: the state
//! then, the events as they hold then, and what counts as now. Every question about the past is
//! answered from a [`Moment`], whichever way the point in time was named.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::{Arc, OnceLock},
};

use super::{
    event, evolve,
    plan::{Lifecycle, Plan},
    value::{Id, Memo, Time},
};
use crate::proto::{self, EventReference};

pub use self::checkpoints::Checkpoints;

mod checkpoints;
mod grounds;
#[cfg(test)]
mod tests;

/// How many events a list shows at most.
const LAST_REFERENCES: usize = 16;

/// An event with what was recorded about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The position of its commit in the log.
    pub position: u64,
    /// When its commit was recorded.
    pub recorded_at: Time,
    /// Who sent it, as far as the daemon knows.
    pub actor: Arc<str>,
    /// Who the sender said to act for; may be empty.
    pub on_behalf_of: Arc<str>,
    /// The event.
    pub event: proto::Event,
    /// A review of a long plan tells of thousands.
    pub(in crate::domain) summary: Memo<Box<str>>,
}

impl Recorded {
    /// An event of the commit at a position, which was recorded at a time by somebody who may have acted for
    /// somebody else.
    #[must_use]
    pub fn new(
        position: u64,
        recorded_at: Time,
        actor: Arc<str>,
        on_behalf_of: Arc<str>,
        event: proto::Event,
    ) -> Self {
        Self {
            position,
            recorded_at,
            actor,
            on_behalf_of,
            event,
            summary: Memo::default(),
        }
    }

    /// What other answers say of it.
    #[must_use]
    pub fn reference(&self, plan_id: &str) -> EventReference {
        EventReference {
            plan_id: plan_id.to_owned(),
            revision: self.event.revision,
            r#type: event::type_name(&self.event).to_owned(),
            summary: self.summary().to_owned(),
        }
    }

    /// The event in one line.
    #[must_use]
    pub fn summary(&self) -> &str {
        let summary = || event::summary(&self.event).into();
        self.summary.get_or_make(summary)
    }

    /// When the event occurred.
    #[must_use]
    pub fn occurred_at(&self) -> Time {
        self.event
            .occurred_at
            .map_or_else(Time::default, Time::from)
    }
}

/// A plan's events as they were recorded, from revision 1 without holes.
#[derive(Debug, Clone)]
pub struct History {
    /// The plan.
    pub plan_id: Id,
    /// Its events, that of revision 1 first.
    pub events: Vec<Arc<Recorded>>,
    /// States to fold from, as many as were made.
    pub checkpoints: Checkpoints,
    /// The first event that corrects or retracts one, when that was first asked. 0: there is none.
    first_amendment: OnceLock<u64>,
    /// All events as they hold at the end, when that was first asked.
    standing: OnceLock<Arc<[Arc<Recorded>]>>,
    /// From when each of these counts, when that was first asked.
    counted_from: OnceLock<Arc<[Time]>>,
}

/// Events of a plan as they hold: a corrected one with what corrects it in its place, a retracted one left out.
/// Ascending by revision.
#[derive(Debug, Clone)]
pub enum Standing {
    /// The first so many of a history, none of which another one of them amends.
    AsRecorded(Arc<History>, usize),
    /// These, which may have holes.
    Listed(Arc<[Arc<Recorded>]>),
}

impl Deref for Standing {
    type Target = [Arc<Recorded>];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::AsRecorded(history, count) => history.events.get(..*count).unwrap_or_default(),
            Self::Listed(events) => events,
        }
    }
}

impl PartialEq for Standing {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl History {
    /// Of events that nothing was made of yet.
    #[must_use]
    pub fn of(plan_id: Id, events: Vec<Arc<Recorded>>) -> Self {
        Self {
            plan_id,
            events,
            checkpoints: Checkpoints::default(),
            first_amendment: OnceLock::new(),
            standing: OnceLock::new(),
            counted_from: OnceLock::new(),
        }
    }

    /// The events up to and including a revision.
    #[must_use]
    pub fn until(&self, revision: u64) -> &[Arc<Recorded>] {
        let end = usize::try_from(revision).unwrap_or(usize::MAX);
        self.events.get(..end).unwrap_or(&self.events)
    }

    /// The events up to and including a revision as they hold there. Where none is amended, and at the end
    /// of the history, which most ask about, they are shared.
    #[must_use]
    pub fn standing(self: &Arc<Self>, revision: u64) -> Standing {
        let known = self.until(revision);
        let first_amendment = *self.first_amendment.get_or_init(|| {
            let mut events = self.events.iter().map(|recorded| &recorded.event);
            let first = events.find(|event| evolve::is_amendment(event));
            first.map_or(0, |event| event.revision)
        });
        if first_amendment == 0 || first_amendment > revision {
            return Standing::AsRecorded(self.clone(), known.len());
        }
        let standing = || evolve::standing(known).into();
        Standing::Listed(if known.len() == self.events.len() {
            self.standing.get_or_init(standing).clone()
        } else {
            standing()
        })
    }

    /// From when each of the events that stand at a revision counts. Shared like these.
    fn counted_from(&self, revision: u64, standing: &[Arc<Recorded>]) -> Arc<[Time]> {
        let counted = || grounds::counted_from(&self.plan_id, standing).into();
        if self.until(revision).len() == self.events.len() {
            self.counted_from.get_or_init(counted).clone()
        } else {
            counted()
        }
    }

    /// The times at which events occurred, as far as they are known at a revision to be others than
    /// was recorded, by the revisions of the events.
    #[must_use]
    pub fn corrected_times(self: &Arc<Self>, revision: u64) -> BTreeMap<u64, Time> {
        let standing = self.standing(revision);
        let corrected = standing.iter().filter(|holds| {
            let recorded = self.get(holds.event.revision);
            recorded.is_some_and(|it| it.event.occurred_at != holds.event.occurred_at)
        });
        corrected
            .map(|holds| (holds.event.revision, holds.occurred_at()))
            .collect()
    }

    /// The event of a revision, as it was recorded.
    #[must_use]
    pub fn get(&self, revision: u64) -> Option<&Arc<Recorded>> {
        let place = usize::try_from(revision.checked_sub(1)?).ok()?;
        self.events.get(place)
    }
}

/// A plan at a moment of its history.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The plan as it was.
    pub plan: Arc<Plan>,
    /// The events that count at that moment, as they hold then.
    pub events: Standing,
    /// All events as they were recorded, also those after the moment.
    pub history: Arc<History>,
    /// What counts as now.
    pub now: Time,
    /// The position of the log that bounds what other plans add to an answer.
    pub position: u64,
}

impl Moment {
    /// The plan after the event of a revision.
    #[must_use]
    pub fn at_revision(history: Arc<History>, revision: u64, now: Time, position: u64) -> Self {
        let plan = history.fold(revision);
        Self::of(Arc::new(plan), history, now, position)
    }

    /// What was true at a time, as it is known at a revision: the events that count by then, with
    /// all corrections and retractions applied whenever they were made. An event counts from the
    /// latest of its own time and those of the events it builds on. The plan's revision is that of
    /// the last recorded event that counts. Nothing if the plan had not begun.
    #[must_use]
    pub fn at_occurred(
        history: Arc<History>,
        revision: u64,
        time: Time,
        position: u64,
    ) -> Option<Self> {
        let standing = history.standing(revision);
        let counted_from = history.counted_from(revision, &standing);
        let counts = |from: &Time| *from <= time;
        let are_first = counted_from.is_sorted_by_key(|from| !counts(from));
        let events = match standing {
            Standing::AsRecorded(history, _) if are_first => {
                Standing::AsRecorded(history, counted_from.partition_point(counts))
            }
            Standing::AsRecorded(..) | Standing::Listed(_) => {
                let counts = standing.iter().zip(counted_from.iter());
                let counts = counts.filter(|(_, from)| **from <= time);
                Standing::Listed(counts.map(|(recorded, _)| recorded.clone()).collect())
            }
        };
        if events.is_empty() {
            return None;
        }
        let plan = history.fold_standing(revision, &events, time);
        let now = Self::now_of(&plan, time);
        Some(Self {
            plan: Arc::new(plan),
            events,
            history,
            now,
            position,
        })
    }

    /// A plan that was folded already, from all events of the history up to its revision.
    #[must_use]
    pub fn of(plan: Arc<Plan>, history: Arc<History>, now: Time, position: u64) -> Self {
        let events = history.standing(plan.revision);
        let now = Self::now_of(&plan, now);
        Self {
            plan,
            events,
            history,
            now,
            position,
        }
    }

    /// The event of a revision as it holds, if it counts.
    #[must_use]
    pub fn event(&self, revision: u64) -> Option<&Arc<Recorded>> {
        let place = self
            .events
            .binary_search_by_key(&revision, |recorded| recorded.event.revision);
        self.events.get(place.ok()?)
    }

    /// References to events of this plan, as they hold, in the order given; those that do not count
    /// are passed over.
    #[must_use]
    pub fn references(&self, revisions: impl IntoIterator<Item = u64>) -> Vec<EventReference> {
        let found = revisions
            .into_iter()
            .filter_map(|revision| self.event(revision));
        found
            .map(|recorded| recorded.reference(&self.plan.plan_id))
            .collect()
    }

    /// The same in the order of the events, of the last 16 of them: a list that people can read.
    #[must_use]
    pub fn last_references(&self, revisions: impl IntoIterator<Item = u64>) -> Vec<EventReference> {
        let ordered: BTreeSet<_> = revisions.into_iter().collect();
        let passed_over = ordered.len().saturating_sub(LAST_REFERENCES);
        self.references(ordered.into_iter().skip(passed_over))
    }

    /// An archived plan stands still at its archiving.
    fn now_of(plan: &Plan, now: Time) -> Time {
        match &plan.lifecycle {
            Lifecycle::Archived(archiving) => archiving.archived_at,
            Lifecycle::Active | Lifecycle::Unborn => now,
        }
    }
}
