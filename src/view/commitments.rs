//! The commitments of all plans as of any position: in the order of their due dates, by who held them,
//! and those whose due date the daemon's clock has to look at.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{PAGE_ENTRIES, View};
use crate::domain::{
    plan::Commitment,
    value::{Id, Time},
};

/// A commitment of a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitmentKey {
    /// The plan.
    pub plan_id: Id,
    /// The commitment.
    pub commitment_id: Id,
}

/// A commitment and a date that it is or was due, ordered by that date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    /// The date.
    pub due: Time,
    /// The plan.
    pub plan_id: Id,
    /// The commitment.
    pub commitment_id: Id,
}

/// A commitment after a commit that changed it. Most versions are of the past and seldom asked for, so
/// they are kept encoded: with its share of the indexes one takes about 360 bytes, half of what it would
/// take as it is.
pub(super) struct Version {
    position: u64,
    /// Nothing: that it was made is retracted.
    commitment: Option<Standing>,
}

/// What a commitment was, and what is asked for often.
struct Standing {
    due: Time,
    /// When the due date was recorded, by making, moving or correcting it.
    due_recorded_at: Time,
    encoded: Encoded,
}

/// A commitment as it is kept: whoever reads it lets go of the lock first.
#[derive(Clone)]
struct Encoded(Arc<[u8]>);

impl Encoded {
    fn of(commitment: &Commitment) -> Self {
        // Writing plain data into memory cannot fail.
        Self(super::encode(commitment).unwrap_or_default().into())
    }

    fn decode(&self) -> Option<Commitment> {
        postcard::from_bytes(&self.0).ok()
    }
}

/// The commitments.
#[derive(Default)]
pub(super) struct Commitments {
    versions: BTreeMap<Id, BTreeMap<Id, Vec<Version>>>,
    /// Each with every date that it was due in some version.
    by_due: BTreeSet<Due>,
    /// Each with everyone who held it in some version.
    by_holder: BTreeMap<Arc<str>, BTreeSet<CommitmentKey>>,
    /// Those whose due date will pass in silence if nothing is said.
    silent: BTreeSet<Due>,
}

impl Commitments {
    /// Takes in what a commit made of a commitment. Answers whether the first date that the clock has
    /// to look at is another now.
    pub(super) fn add(
        &mut self,
        position: u64,
        recorded_at: Time,
        of: &CommitmentKey,
        commitment: Option<&Commitment>,
        due_is_new: bool,
    ) -> bool {
        // Ids are in memory once, however often they are read from disk.
        let plan_id = known(&self.versions, &of.plan_id);
        let of_plan = self.versions.entry(plan_id.clone()).or_default();
        let commitment_id = known(of_plan, &of.commitment_id);
        let versions = of_plan.entry(commitment_id.clone()).or_default();
        let due_at = |due| Due {
            due,
            plan_id: plan_id.clone(),
            commitment_id: commitment_id.clone(),
        };
        let before = versions.last().and_then(|it| it.commitment.as_ref());
        if let Some(before) = before {
            self.silent.remove(&due_at(before.due));
        }
        let due_recorded_at = before
            .filter(|_| !due_is_new)
            .map_or(recorded_at, |it| it.due_recorded_at);
        versions.push(Version {
            position,
            commitment: commitment.map(|commitment| Standing {
                due: commitment.due,
                due_recorded_at,
                encoded: Encoded::of(commitment),
            }),
        });
        let Some(commitment) = commitment else {
            return false;
        };
        let due = due_at(commitment.due);
        for held in &commitment.held {
            let holder = held.assignee.as_str();
            if !self.by_holder.contains_key(holder) {
                self.by_holder.insert(holder.into(), BTreeSet::new());
            }
            if let Some(of) = self.by_holder.get_mut(holder) {
                of.insert(CommitmentKey {
                    plan_id: plan_id.clone(),
                    commitment_id: commitment_id.clone(),
                });
            }
        }
        let mut is_first = false;
        if may_pass_in_silence(commitment, due_recorded_at) {
            self.silent.insert(due.clone());
            is_first = self.silent.first() == Some(&due);
        }
        self.by_due.insert(due);
        is_first
    }

    /// A commitment as of a position, if there was one.
    fn at(&self, plan_id: &str, commitment_id: &str, position: u64) -> Option<&Standing> {
        let versions = self.versions.get(plan_id)?.get(commitment_id)?;
        let place = versions.partition_point(|it| it.position <= position);
        versions.get(place.checked_sub(1)?)?.commitment.as_ref()
    }
}

fn known<T>(map: &BTreeMap<Id, T>, id: &Id) -> Id {
    let known = map.get_key_value(id).map(|(known, _)| known);
    known.unwrap_or(id).clone()
}

/// Whether the due date passes in silence when it does. What was due already when that was recorded,
/// as history is that is recorded later, was not kept silent about.
fn may_pass_in_silence(commitment: &Commitment, due_recorded_at: Time) -> bool {
    commitment.is_open()
        && due_recorded_at < commitment.due
        && !commitment.silently_missed.contains(&commitment.due)
}

impl View {
    /// The next commitments behind `after` by their due dates, and by plan and id among those that
    /// are due at once. Looks at a page of dates; a date at which a commitment was not due as of the
    /// position comes without it. At the end there are none.
    pub fn commitments_by_due(
        &self,
        at: u64,
        after: Bound<&Due>,
    ) -> Vec<(Due, Option<Commitment>)> {
        let state = self.lock();
        let commitments = &state.ledger.commitments;
        let page = commitments
            .by_due
            .range::<Due, _>((after, Bound::Unbounded));
        let encoded = |key: &Due| {
            let found = commitments.at(&key.plan_id, &key.commitment_id, at)?;
            (found.due == key.due).then(|| found.encoded.clone())
        };
        let page = page.take(PAGE_ENTRIES);
        let page: Vec<_> = page.map(|key| (key.clone(), encoded(key))).collect();
        drop(state);
        decoded(page)
    }

    /// The next who ever held a commitment, up to `limit` of them, in the order of their names.
    pub fn holders(&self, after: Option<&str>, limit: usize) -> Vec<Arc<str>> {
        let state = self.lock();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let holders = &state.ledger.commitments.by_holder;
        let page = holders.range::<str, _>((start, Bound::Unbounded));
        page.take(limit.min(PAGE_ENTRIES))
            .map(|(holder, _)| holder.clone())
            .collect()
    }

    /// A page of the commitments behind `after` that somebody held, by plan and id, each as of a
    /// position, if there was such a one. At the end there are none.
    pub fn held_by(
        &self,
        holder: &str,
        at: u64,
        after: Option<&CommitmentKey>,
    ) -> Vec<(CommitmentKey, Option<Commitment>)> {
        let state = self.lock();
        let commitments = &state.ledger.commitments;
        let Some(held) = commitments.by_holder.get(holder) else {
            return Vec::new();
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = held.range::<CommitmentKey, _>((start, Bound::Unbounded));
        let encoded = |key: &CommitmentKey| {
            let found = commitments.at(&key.plan_id, &key.commitment_id, at)?;
            Some(found.encoded.clone())
        };
        let page = page.take(PAGE_ENTRIES);
        let page: Vec<_> = page.map(|key| (key.clone(), encoded(key))).collect();
        drop(state);
        decoded(page)
    }

    /// The first commitments, up to `limit`, whose due date has passed in silence at `now` and that
    /// are not recorded to have.
    pub fn silent_since(&self, now: Time, limit: usize) -> Vec<Due> {
        let state = self.lock();
        let silent = state.ledger.commitments.silent.iter();
        let passed = silent.take_while(|it| it.due <= now);
        passed.take(limit).cloned().collect()
    }

    /// The first due date that has not passed in silence yet and may.
    pub fn next_silence(&self) -> Option<Time> {
        let state = self.lock();
        state.ledger.commitments.silent.first().map(|it| it.due)
    }

    /// Leaves out of [`silent_since`](Self::silent_since), until it is due at another date or the next
    /// start, what cannot be recorded to have passed in silence.
    pub fn leave_silent(&self, due: &Due) {
        self.lock().ledger.commitments.silent.remove(due);
    }

    /// Completes when an earlier due date may pass in silence than before; for one who waits.
    pub async fn earlier_silence(&self) {
        self.silence.notified().await;
    }
}

fn decoded<K>(page: Vec<(K, Option<Encoded>)>) -> Vec<(K, Option<Commitment>)> {
    let page = page.into_iter();
    page.map(|(key, encoded)| (key, encoded.and_then(|it| it.decode())))
        .collect()
}
