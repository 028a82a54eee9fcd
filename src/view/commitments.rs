//! The commitments of all plans as of any position: in the order of their due dates, by who held them,
//! and those whose due date the daemon's clock has to look at.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{PAGE_ENTRIES, View};
use crate::{
    domain::{
        plan::{Commitment, CommitmentState, Held},
        value::{Id, Time},
    },
    proto,
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

/// What a commit makes of a commitment. What can be long is there only if it is another than before, so that
/// many events about one commitment take as much as they would about many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    counts: Counts,
    /// Whether the due date passes in silence if nothing is said.
    is_awaited: bool,
    assignee: Option<String>,
    founding: Option<Founding>,
    state: Option<CommitmentState>,
    /// What other things are counted of those who hold or held it than before.
    held: Vec<Held>,
    /// Who did not hold it after all.
    unheld: Vec<String>,
}

/// What most events about a commitment change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Counts {
    due: Time,
    last_revision: u64,
    moves: u32,
    late_moves: u32,
    silent_misses: u32,
}

/// What a commitment is from the beginning; only a correction changes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Founding {
    tactic_id: Option<Id>,
    made_to: String,
    promise: String,
    made_at: Time,
    made_revision: u64,
}

impl Founding {
    fn of(commitment: &Commitment) -> Self {
        Self {
            tactic_id: commitment.tactic_id.clone(),
            made_to: commitment.made_to.clone(),
            promise: commitment.promise.clone(),
            made_at: commitment.made_at,
            made_revision: commitment.made_revision,
        }
    }
}

impl Step {
    /// From what it was, if it was there, to what it is.
    pub(super) fn between(was: Option<&Commitment>, is: &Commitment) -> Self {
        let founding = Founding::of(is);
        let held = |of: Option<&Commitment>| -> BTreeMap<String, Held> {
            let held = of.map_or(&[][..], |it| &it.held).iter();
            held.map(|it| (it.assignee.clone(), it.clone())).collect()
        };
        let (held_before, mut held) = (held(was), held(Some(is)));
        let unheld = held_before.keys().filter(|who| !held.contains_key(*who));
        let unheld = unheld.cloned().collect();
        held.retain(|who, it| held_before.get(who) != Some(it));
        Self {
            counts: Counts {
                due: is.due,
                last_revision: is.last_revision,
                moves: is.moves,
                late_moves: is.late_moves,
                silent_misses: u32::try_from(is.silently_missed.len()).unwrap_or(u32::MAX),
            },
            is_awaited: is.is_open() && !is.silently_missed.contains(&is.due),
            assignee: (was.map(|it| &it.assignee) != Some(&is.assignee))
                .then(|| is.assignee.clone()),
            founding: (was.map(Founding::of).as_ref() != Some(&founding)).then_some(founding),
            state: (was.map(|it| &it.state) != Some(&is.state)).then(|| is.state.clone()),
            held: held.into_values().collect(),
            unheld,
        }
    }
}

/// A commitment after a commit that changed it. Most versions are of the past and seldom asked for, so
/// what is long is kept encoded, and by all versions together that it did not change in.
struct Version {
    position: u64,
    /// Nothing: that it was made is retracted.
    standing: Option<Standing>,
}

/// What a commitment was.
#[derive(Clone)]
struct Standing {
    counts: Counts,
    /// When the due date was recorded, by making, moving or correcting it.
    due_recorded_at: Time,
    assignee: Arc<str>,
    /// A [`Founding`].
    founding: Arc<[u8]>,
    /// A [`CommitmentState`].
    state: Arc<[u8]>,
}

impl Standing {
    fn shown(&self, commitment_id: &Id) -> Option<proto::Commitment> {
        let founding: Founding = postcard::from_bytes(&self.founding).ok()?;
        let commitment = Commitment {
            commitment_id: commitment_id.clone(),
            tactic_id: founding.tactic_id,
            state: self.state()?,
            assignee: self.assignee.to_string(),
            made_to: founding.made_to,
            promise: founding.promise,
            due: self.counts.due,
            made_at: founding.made_at,
            moves: self.counts.moves,
            late_moves: self.counts.late_moves,
            // Which they are and who held it is not shown.
            silently_missed: Vec::new(),
            held: Vec::new(),
            made_revision: founding.made_revision,
            last_revision: self.counts.last_revision,
        };
        Some(proto::Commitment {
            silent_misses: self.counts.silent_misses,
            ..(&commitment).into()
        })
    }

    fn state(&self) -> Option<CommitmentState> {
        postcard::from_bytes(&self.state).ok()
    }
}

/// What is counted of somebody who holds or held a commitment.
#[derive(Clone, Copy)]
struct HeldCounts {
    moved_with_notice: u32,
    moved_late: u32,
    missed_silently: u32,
}

/// What was counted of a holder from each position on that changed it.
type Counted = Vec<(u64, Option<HeldCounts>)>;

/// What became of one commitment.
#[derive(Default)]
struct Course {
    versions: Vec<Version>,
    /// By their names, what was counted of all who hold or held it from each position on that changed
    /// that; nothing from where they did not after all.
    held: Vec<(Arc<str>, Counted)>,
}

impl Course {
    fn push(&mut self, version: Version) {
        // Most have two or three versions: to double would take more than they do.
        if self.versions.len() == self.versions.capacity() {
            self.versions.reserve_exact(1 + self.versions.len() / 2);
        }
        self.versions.push(version);
    }

    fn count(&mut self, position: u64, holder: Arc<str>, counts: Option<HeldCounts>) {
        let place = self.held.binary_search_by(|(who, _)| (**who).cmp(&holder));
        let place = place.unwrap_or_else(|place| {
            self.held.insert(place, (holder, Vec::with_capacity(1)));
            place
        });
        if let Some((_, counted)) = self.held.get_mut(place) {
            counted.push((position, counts));
        }
    }

    fn at(&self, position: u64) -> Option<&Standing> {
        let place = self.versions.partition_point(|it| it.position <= position);
        self.versions.get(place.checked_sub(1)?)?.standing.as_ref()
    }

    fn held_at(&self, holder: &str, position: u64) -> Option<HeldCounts> {
        let place = self.held.binary_search_by(|(who, _)| (**who).cmp(holder));
        let (_, counted) = self.held.get(place.ok()?)?;
        let place = counted.partition_point(|it| it.0 <= position);
        counted.get(place.checked_sub(1)?)?.1
    }
}

/// How somebody held a commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// What happened while they held it.
    pub held: Held,
    /// Where it stands, if they are its assignee.
    pub state: Option<CommitmentState>,
}

/// The commitments.
#[derive(Default)]
pub(super) struct Commitments {
    courses: BTreeMap<Id, BTreeMap<Id, Course>>,
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
        step: Option<&Step>,
        due_is_new: bool,
    ) -> bool {
        // Ids are in memory once, however often they are read from disk.
        let plan_id = known(&self.courses, &of.plan_id);
        let of_plan = self.courses.entry(plan_id.clone()).or_default();
        let commitment_id = known(of_plan, &of.commitment_id);
        let course = of_plan.entry(commitment_id.clone()).or_default();
        let due_at = |due| Due {
            due,
            plan_id: plan_id.clone(),
            commitment_id: commitment_id.clone(),
        };
        let before = course.versions.last().and_then(|it| it.standing.clone());
        if let Some(before) = &before {
            self.silent.remove(&due_at(before.counts.due));
        }
        let Some(step) = step else {
            course.push(Version {
                position,
                standing: None,
            });
            for (_, counted) in &mut course.held {
                counted.push((position, None));
            }
            return false;
        };
        let key = CommitmentKey {
            plan_id: plan_id.clone(),
            commitment_id: commitment_id.clone(),
        };
        for held in &step.held {
            let holder = holder(&mut self.by_holder, &held.assignee, &key);
            let counts = HeldCounts {
                moved_with_notice: held.moved_with_notice,
                moved_late: held.moved_late,
                missed_silently: held.missed_silently,
            };
            course.count(position, holder, Some(counts));
        }
        for who in &step.unheld {
            let holder = holder(&mut self.by_holder, who, &key);
            course.count(position, holder, None);
        }
        let due_recorded_at = before
            .as_ref()
            .filter(|_| !due_is_new)
            .map_or(recorded_at, |it| it.due_recorded_at);
        let assignee = step.assignee.as_deref();
        let assignee = assignee.map(|name| holder(&mut self.by_holder, name, &key));
        let founding = step.founding.as_ref().map(encoded);
        let state = step.state.as_ref().map(encoded);
        let (assignee_before, founding_before, state_before) = match before {
            Some(it) => (it.assignee, it.founding, it.state),
            None => (Arc::from(""), Arc::default(), Arc::default()),
        };
        course.push(Version {
            position,
            standing: Some(Standing {
                counts: step.counts,
                due_recorded_at,
                assignee: assignee.unwrap_or(assignee_before),
                founding: founding.unwrap_or(founding_before),
                state: state.unwrap_or(state_before),
            }),
        });
        let due = due_at(step.counts.due);
        let mut is_first = false;
        // What was due already when that was recorded, as history is that is recorded later, was not
        // kept silent about.
        if step.is_awaited && due_recorded_at < due.due {
            self.silent.insert(due.clone());
            is_first = self.silent.first() == Some(&due);
        }
        self.by_due.insert(due);
        is_first
    }

    fn course(&self, plan_id: &str, commitment_id: &str) -> Option<&Course> {
        self.courses.get(plan_id)?.get(commitment_id)
    }
}

/// The name of somebody who holds a commitment, which is in memory once.
fn holder(
    by_holder: &mut BTreeMap<Arc<str>, BTreeSet<CommitmentKey>>,
    name: &str,
    holds: &CommitmentKey,
) -> Arc<str> {
    let known = by_holder
        .get_key_value(name)
        .map(|(known, _)| known.clone());
    let holder = known.unwrap_or_else(|| name.into());
    let held = by_holder.entry(holder.clone()).or_default();
    if !held.contains(holds) {
        held.insert(holds.clone());
    }
    holder
}

fn encoded(part: &impl Serialize) -> Arc<[u8]> {
    // Writing plain data into memory cannot fail.
    super::encode(part).unwrap_or_default().into()
}

fn known<T>(map: &BTreeMap<Id, T>, id: &Id) -> Id {
    let known = map.get_key_value(id).map(|(known, _)| known);
    known.unwrap_or(id).clone()
}

impl View {
    /// The next commitments behind `after` by their due dates, and by plan and id among those that
    /// are due at once. Looks at a page of dates; a date at which a commitment was not due as of the
    /// position comes without it. At the end there are none.
    pub fn commitments_by_due(
        &self,
        at: u64,
        after: Bound<&Due>,
    ) -> Vec<(Due, Option<proto::Commitment>)> {
        let state = self.lock();
        let commitments = &state.ledger.commitments;
        let page = commitments
            .by_due
            .range::<Due, _>((after, Bound::Unbounded));
        let standing = |key: &Due| {
            let course = commitments.course(&key.plan_id, &key.commitment_id)?;
            course.at(at).filter(|it| it.counts.due == key.due).cloned()
        };
        let page = page.take(PAGE_ENTRIES);
        let page: Vec<_> = page.map(|key| (key.clone(), standing(key))).collect();
        drop(state);
        let shown = page.into_iter().map(|(key, standing)| {
            let shown = standing.and_then(|it| it.shown(&key.commitment_id));
            (key, shown)
        });
        shown.collect()
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

    /// A page of the commitments behind `after` that somebody held in some version, by plan and id, each
    /// with how they held it as of a position, if they did. At the end there are none.
    pub fn held_by(
        &self,
        holder: &str,
        at: u64,
        after: Option<&CommitmentKey>,
    ) -> Vec<(CommitmentKey, Option<Holding>)> {
        let state = self.lock();
        let commitments = &state.ledger.commitments;
        let Some(held) = commitments.by_holder.get(holder) else {
            return Vec::new();
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = held.range::<CommitmentKey, _>((start, Bound::Unbounded));
        let found = |key: &CommitmentKey| {
            let course = commitments.course(&key.plan_id, &key.commitment_id)?;
            let standing = course.at(at)?;
            let state = (*standing.assignee == *holder).then(|| standing.clone());
            Some((course.held_at(holder, at)?, state))
        };
        let page = page.take(PAGE_ENTRIES);
        let page: Vec<_> = page.map(|key| (key.clone(), found(key))).collect();
        drop(state);
        let held = page.into_iter().map(|(key, found)| {
            let holding = found.map(|(counts, standing)| Holding {
                held: Held {
                    assignee: holder.to_owned(),
                    moved_with_notice: counts.moved_with_notice,
                    moved_late: counts.moved_late,
                    missed_silently: counts.missed_silently,
                },
                state: standing.and_then(|it| it.state()),
            });
            (key, holding)
        });
        held.collect()
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
