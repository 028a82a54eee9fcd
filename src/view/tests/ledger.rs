//! What goes across plans is, as of every position, what a fold of each plan up to there says.

use std::{collections::BTreeMap, ops::Bound};

use super::*;
use crate::{
    domain::{
        explain::Citation,
        outcomes::{self, Tally},
        plan::Plan,
    },
    view::{
        PAGE_ENTRIES,
        commitments::{Due, Holding},
        outcomes::CellKey,
        wanted::Wanted,
    },
};

/// All plans as they were at some position, folded from their first events.
#[derive(Default)]
struct Then {
    events: BTreeMap<String, Vec<proto::Event>>,
    plans: BTreeMap<String, Plan>,
    citations: BTreeMap<String, Vec<Citation>>,
}

impl Then {
    fn take(&mut self, position: u64, commit: proto::Commit) {
        let plan_id = commit.plan_id;
        for event in &commit.events {
            let foreign = |it: &&proto::Cause| !it.plan_id.is_empty() && it.plan_id != plan_id;
            for cause in event.because.iter().filter(foreign) {
                let of = self.citations.entry(cause.plan_id.clone()).or_default();
                of.push(Citation {
                    cited_revision: cause.revision,
                    plan_id: plan_id.as_str().into(),
                    revision: event.revision,
                    position,
                    role: cause.role,
                });
            }
        }
        let events = self.events.entry(plan_id.clone()).or_default();
        events.extend(commit.events);
        let plan = evolve::fold(plan_id.as_str().into(), &*events);
        self.plans.insert(plan_id, plan);
    }

    fn cells(&self) -> Vec<(CellKey, Tally)> {
        let cells = self.plans.values().flat_map(|plan| {
            let cells = outcomes::cells(plan).into_iter();
            cells.map(|((strategy_id, kind), tally)| {
                let key = CellKey {
                    plan_id: plan.plan_id.clone(),
                    strategy_id,
                    kind,
                };
                (key, tally)
            })
        });
        cells.collect()
    }

    fn held_by(&self, holder: &str) -> Vec<Holding> {
        let plans = self.plans.values();
        let commitments = plans.flat_map(|plan| plan.commitments.values());
        let held = commitments.filter_map(|it| {
            let held = it.held.iter().find(|it| it.assignee == holder)?.clone();
            let state = (it.assignee == holder).then(|| it.state.clone());
            Some(Holding { held, state })
        });
        held.collect()
    }

    fn commitments(&self) -> Vec<(Due, proto::Commitment)> {
        let mut commitments: Vec<_> = self
            .plans
            .values()
            .flat_map(|plan| {
                plan.commitments.values().map(|commitment| {
                    let due = Due {
                        due: commitment.due,
                        plan_id: plan.plan_id.clone(),
                        commitment_id: commitment.commitment_id.clone(),
                    };
                    (due, commitment.as_ref().into())
                })
            })
            .collect();
        commitments.sort_by(|one, other| one.0.cmp(&other.0));
        commitments
    }
}

impl World {
    /// Checks what goes across plans as of every position.
    #[track_caller]
    pub(super) fn goes_across_plans_as_the_log_says(&self) {
        let mut then = Then::default();
        for entry in self.journal.read(1, usize::MAX).expect("readable") {
            let commit = commit::decode(&entry.commit).expect("a commit");
            then.take(entry.position, commit);
            self.is_as_then(entry.position, &then);
        }
    }

    #[track_caller]
    fn is_as_then(&self, at: u64, then: &Then) {
        let view = self.view();
        let cells = then.cells();
        assert_eq!(self.cells(at), cells, "at {at}");
        let mut kinds: BTreeMap<&str, Tally> = BTreeMap::new();
        for (cell, tally) in &cells {
            let kind = kinds.entry(&cell.kind).or_default();
            *kind = kind.plus(*tally);
        }
        for (kind, tally) in &kinds {
            assert_eq!(view.kind_total(kind, at), *tally, "{kind} at {at}");
        }
        let named = kinds
            .iter()
            .map(|(kind, tally)| ((*kind).to_owned(), *tally));
        assert_eq!(self.kinds(at), named.collect::<Vec<_>>(), "at {at}");
        for plan_id in then.plans.keys() {
            let own = cells.iter().filter(|(cell, _)| *cell.plan_id == **plan_id);
            let own: Vec<_> = own.cloned().collect();
            assert_eq!(view.cells_of(&plan_id.as_str().into(), at), own, "at {at}");
        }
        let commitments = then.commitments();
        assert!(self.by_due(at) == commitments, "at {at}");
        for holder in ["a", "b", "Ada", "Grace"] {
            let expected: Vec<_> = then.held_by(holder);
            assert!(self.held_by(holder, at) == expected, "{holder} at {at}");
        }
        for (cited, citations) in &then.citations {
            assert_eq!(view.citing(cited, at), *citations, "of {cited} at {at}");
        }
    }

    fn cells(&self, at: u64) -> Vec<(CellKey, Tally)> {
        let mut found: Vec<(CellKey, Tally)> = Vec::new();
        let mut after = None;
        loop {
            let page = self.view().cells(at, after.as_ref());
            assert!(page.len() <= PAGE_ENTRIES);
            let Some((last, _)) = page.last() else {
                return found;
            };
            after = Some(last.clone());
            found.extend(page.into_iter().filter(|(_, tally)| !tally.is_empty()));
        }
    }

    fn kinds(&self, at: u64) -> Vec<(String, Tally)> {
        let mut found: Vec<(String, Tally)> = Vec::new();
        let mut after = None;
        loop {
            let page = self.view().kinds(at, after.as_deref());
            assert!(page.len() <= PAGE_ENTRIES);
            let Some((last, _)) = page.last() else {
                return found;
            };
            after = Some(last.clone());
            found.extend(page.into_iter().filter(|(_, tally)| !tally.is_empty()));
        }
    }

    fn by_due(&self, at: u64) -> Vec<(Due, proto::Commitment)> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.view().commitments_by_due(at, start);
            let Some((last, _)) = page.last() else {
                return found;
            };
            after = Some(last.clone());
            found.extend(page.into_iter().filter_map(|(due, it)| Some((due, it?))));
        }
    }

    fn held_by(&self, holder: &str, at: u64) -> Vec<Holding> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.view().held_by(holder, at, after.as_ref());
            let Some((last, _)) = page.last() else {
                return found;
            };
            after = Some(last.clone());
            found.extend(page.into_iter().filter_map(|(_, it)| it));
        }
    }

    /// Records kinds of events in a commit of their own.
    fn record(&mut self, plan_id: &str, kinds: impl IntoIterator<Item = Kind>) {
        let revision = self.view().entry(plan_id).map_or(0, |it| it.revision);
        let events = (revision + 1..).zip(kinds);
        let events = events.map(|(revision, kind)| given::event(revision, kind));
        self.commit(plan_id, events.collect());
    }

    fn silent_since(&self, seconds: i64) -> Vec<i64> {
        let due = self.view().silent_since(given::at(seconds).into(), 64);
        due.iter().map(|it| it.due.seconds).collect()
    }
}

/// Plans in which things end again and again, over many commits, all written.
fn busy() -> World {
    let mut world = World::new(NO_CACHE);
    for plan_id in ["a", "b"] {
        world.record(plan_id, [given::created(), given::tactic("t", "s")]);
    }
    for number in 0..400_u32 {
        let plan_id = if number % 3 == 0 { "a" } else { "b" };
        let attempt = number + 1;
        let ended = if number % 2 == 0 {
            given::succeeded("t", attempt)
        } else {
            given::failed("t", attempt, proto::Failure::Effect)
        };
        let commitment_id = format!("c-{number}");
        let committed = given::committed(&commitment_id, 5_000 + i64::from(number % 7));
        world.record(plan_id, [given::tried("t", attempt), ended, committed]);
    }
    assert!(world.view().lock().dirty_bytes() > 0);
    world.write();
    assert_eq!(world.view().lock().dirty_bytes(), 0);
    world
}

#[test]
fn a_lost_or_damaged_piece_of_what_goes_across_plans_is_noticed_and_the_view_made_again() {
    let keys = busy().keys(b"l");
    assert!(keys.len() > 2, "the test needs several pieces");
    for key in keys {
        for damaged in [None, Some(&b"damaged"[..])] {
            let mut world = busy();
            world.view().store.overwrite(&key, damaged);
            assert!(world.reopen_stored().is_err());
            world.reopen();
            world.goes_across_plans_as_the_log_says();
        }
    }
}

#[test]
fn counts_over_some_plans_stop_when_nobody_waits_for_them() {
    let world = busy();
    let at = world.journal.head();
    let of_b = |plan_id: &Id| &**plan_id == "b";
    let counted = world.view().kind_totals(at, of_b, &Wanted::always());
    assert_eq!(counted.expect("counted").len(), 1);
    let nobody = Wanted::while_true(|| false);
    let looked_at = |_: &Id| -> bool { panic!("it goes on") };
    let outcome = world.view().kind_totals(at, looked_at, &nobody);
    assert!(matches!(outcome, Err(ViewError::Interrupted)));
}

#[test]
fn pages_across_plans_have_neither_gaps_nor_repeats() {
    let world = busy();
    let at = world.journal.head();
    assert_eq!(world.by_due(at).len(), 400);
    assert_eq!(world.held_by("Ada", at).len(), 400);
    assert_eq!(
        world.held_by("Ada", at / 2).len(),
        usize::try_from(at / 2 - 2).expect("small")
    );
    assert_eq!(world.view().holders(None, 9), ["Ada".into()]);
    assert!(world.view().holders(Some("Ada"), 9).is_empty());
    let all = world.view().cells(at, None);
    let plans: Vec<_> = all.iter().map(|it| &*it.0.plan_id).collect();
    assert_eq!(plans, ["a", "b"]);
    assert_eq!(world.view().cells(at, Some(&all[0].0)), all[1..]);
}

#[test]
fn what_is_counted_moves_with_a_tactic_that_is_reworded_or_regrouped() {
    let mut world = World::new(NO_CACHE);
    let ended = [
        given::created(),
        given::tactic("t", "s"),
        given::tried("t", 1),
        given::succeeded("t", 1),
    ];
    world.record("a", ended);
    let reworded = Kind::TacticReworded(proto::TacticReworded {
        tactic_id: "t".into(),
        kind: "call".into(),
        ..Default::default()
    });
    let regrouped = Kind::TacticRegrouped(proto::TacticRegrouped {
        tactic_id: "t".into(),
        ..Default::default()
    });
    world.record("a", [reworded]);
    world.record("a", [regrouped]);
    world.record("a", [given::retracted(4)]);
    world.goes_across_plans_as_the_log_says();
    let called = |at| world.view().kind_total("call", at).successes;
    assert_eq!([1, 2, 3, 4].map(called), [0, 1, 1, 0]);
}

#[test]
fn only_a_date_that_was_recorded_before_it_was_due_passes_in_silence() {
    let mut world = World::new(NO_CACHE);
    // Commits are recorded at the seconds of their positions.
    world.record("a", [given::created(), given::committed("history", 1)]);
    world.record("a", [given::committed("c", 50), given::committed("d", 60)]);
    assert_eq!(world.view().next_silence(), Some(given::at(50).into()));
    assert_eq!(world.silent_since(49), [0; 0]);
    assert_eq!(world.silent_since(50), [50]);
    assert_eq!(world.silent_since(99), [50, 60]);

    // A date that had passed when another was moved to it was not kept silent about either.
    let moved = |new| {
        Kind::DeadlineMoved(proto::DeadlineMoved {
            commitment_id: "d".into(),
            new: Some(given::at(new)),
            ..Default::default()
        })
    };
    world.record("a", [moved(2)]);
    assert_eq!(world.silent_since(99), [50]);
    world.record("a", [moved(70)]);
    assert_eq!(world.silent_since(99), [50, 70]);

    let lapsed = Kind::DeadlineMissed(proto::DeadlineMissed {
        commitment_id: "c".into(),
        silent: true,
        due: Some(given::at(50)),
        ..Default::default()
    });
    world.record("a", [lapsed]);
    assert_eq!(world.silent_since(99), [70]);
    world.write();
    world.reopen();
    assert_eq!(world.silent_since(99), [70]);
    let due = world.view().silent_since(given::at(99).into(), 1);
    world.view().leave_silent(&due[0]);
    assert_eq!(world.silent_since(99), [0; 0]);
}

/// A commitment that goes to and fro between many people with long names, and long promises.
fn passed_around(times: u32) -> World {
    let mut world = World::new(NO_CACHE);
    let Kind::CommitmentMade(made) = given::committed("c", 5_000) else {
        panic!("it is made");
    };
    let made = Kind::CommitmentMade(proto::CommitmentMade {
        promise: "x".repeat(8_000),
        ..made
    });
    world.record("a", [given::created(), made]);
    for number in 0..times {
        let passed_on = Kind::CommitmentReassigned(proto::CommitmentReassigned {
            commitment_id: "c".into(),
            assignee: format!("{:x<195}", number % 64),
            ..Default::default()
        });
        world.record("a", [passed_on]);
    }
    world
}

#[test]
fn what_many_events_about_one_commitment_take_grows_with_their_number_only() {
    let world = passed_around(2_000);
    let taken = world.view().lock().ledger.dirty_bytes();
    assert!(taken < 9_000 + 2_000 * 300, "{taken}");
    world.write();
    let pieces = world.keys(b"l");
    assert!(pieces.len() > 20);
    for key in pieces {
        let piece = world.view().store.get(&key).expect("readable");
        assert!(piece.is_some_and(|it| it.len() < 64 << 10));
    }
    assert_eq!(world.view().lock().dirty_bytes(), 0);
}

#[test]
fn who_held_a_commitment_is_known_as_of_every_position_also_from_disk() {
    let mut world = passed_around(5);
    let passed_to = |who: &str| {
        Kind::CommitmentReassigned(proto::CommitmentReassigned {
            commitment_id: "c".into(),
            assignee: who.into(),
            ..Default::default()
        })
    };
    let moved = Kind::DeadlineMoved(proto::DeadlineMoved {
        commitment_id: "c".into(),
        new: Some(given::at(6_000)),
        ..Default::default()
    });
    world.record("a", [passed_to("Grace")]);
    world.record("a", [moved]);
    world.record("a", [passed_to("Ada")]);
    world.record("a", [given::corrected(8, passed_to("Ben"))]);
    world.record("a", [given::retracted(10)]);
    world.record("a", [given::retracted(2)]);
    world.goes_across_plans_as_the_log_says();
    world.write();
    world.reopen();
    world.goes_across_plans_as_the_log_says();
}
