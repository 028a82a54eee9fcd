//! Promises of the feed: the same answer from memory and from the journal, and no watcher that
//! misses what it waits for.

use std::{
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use super::*;
use crate::{journal::fake::FakeJournal, proto};

const PLANS: [&str; 4] = ["a", "b", "c", "d"];
/// Notes, events of the other kind, and both.
const NOTED: u64 = 1 << 42;
const CREATED: u64 = 1;

/// A commit of a plan with events of these kinds.
fn recent(position: u64, plan_id: &str, kinds: u64) -> Recent {
    let kinds_of_events = [
        (
            CREATED,
            proto::event::Kind::PlanCreated(proto::PlanCreated::default()),
        ),
        (
            NOTED,
            proto::event::Kind::NoteRecorded(proto::NoteRecorded::default()),
        ),
    ];
    let events = kinds_of_events
        .into_iter()
        .filter(|(bit, _)| kinds & bit != 0)
        .map(|(_, kind)| proto::Event {
            kind: Some(kind),
            ..Default::default()
        });
    let commit = proto::Commit {
        plan_id: plan_id.into(),
        request_id: format!("request-{position}"),
        events: events.collect(),
        ..Default::default()
    };
    Recent {
        position,
        plan_id: plan_id.into(),
        kinds,
        commit: commit.encode_to_vec().into(),
    }
}

/// Appends commits and shows them, as the writer does.
fn publish(journal: &FakeJournal, feed: &Feed, group: Vec<Recent>) {
    let commits: Vec<Bytes> = group.iter().map(|it| it.commit.clone()).collect();
    journal.append_foreign(&commits);
    feed.publish(group);
}

fn feed(ring_bytes_max: usize) -> (Arc<FakeJournal>, Arc<Feed>) {
    let journal = Arc::new(FakeJournal::new());
    let feed = Feed::new(journal.clone(), ring_bytes_max);
    (journal, feed)
}

fn filter(plan_ids: &[&str], kinds: u64) -> Filter {
    Filter {
        plan_ids: plan_ids.iter().map(|id| Id::from(*id)).collect(),
        kinds,
        permits: Permits::all(),
    }
}

fn kinds() -> impl Strategy<Value = u64> {
    prop_oneof![Just(CREATED), Just(NOTED), Just(CREATED | NOTED)]
}

fn filters() -> impl Strategy<Value = Filter> {
    let plan_ids = proptest::sample::subsequence(PLANS.to_vec(), 0..3);
    let permits = prop_oneof![
        2 => Just(Permits::all()),
        1 => Just(Permits::only(|plan_id| plan_id == PLANS[0])),
    ];
    (
        plan_ids,
        prop_oneof![2 => Just(u64::MAX), 3 => kinds()],
        permits,
    )
        .prop_map(|(plan_ids, kinds, permits)| Filter {
            permits,
            ..filter(&plan_ids, kinds)
        })
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn what_is_read_in_stretches_is_the_log_filtered_wherever_it_comes_from(
        commits in vec((0..PLANS.len(), kinds()), 1..80),
        filter in filters(),
        ring_bytes_max in prop_oneof![Just(0), 100..10_000_usize, Just(1 << 20)],
        bytes_max in 1..1_000_usize,
        (from, to) in (1..90_u64, 0..90_u64),
    ) {
        let (journal, feed) = feed(ring_bytes_max);
        let commits: Vec<_> = (1..)
            .zip(&commits)
            .map(|(position, (plan, kinds))| recent(position, PLANS[*plan], *kinds))
            .collect();
        let head = commits.len() as u64;
        let to = to.min(head);
        for group in commits.chunks(7) {
            publish(&journal, &feed, group.to_vec());
        }
        let expected: Vec<_> = commits
            .iter()
            .filter(|it| (from..=to).contains(&it.position))
            .filter(|it| filter.matches(&it.plan_id, it.kinds))
            .map(|it| LogEntry { position: it.position, commit: it.commit.clone() })
            .collect();

        let mut read = Vec::new();
        let mut next = from;
        runtime().block_on(async {
            while next <= to {
                let stretch = feed.read(&filter, next, to, bytes_max).expect("readable");
                assert!(stretch.next > next && stretch.next <= to + 1, "it goes on");
                let bytes: usize = stretch.entries.iter().map(|it| it.commit.len()).sum();
                let last = stretch.entries.last().map_or(0, |it| it.commit.len());
                assert!(bytes < bytes_max + last, "it ends with the commit that fills it");
                next = stretch.next;
                read.extend(stretch.entries);
            }
        });
        prop_assert_eq!(read, expected);
    }
}

/// Follows the log as a watch does, until it has seen so many matches.
async fn follow(feed: Arc<Feed>, filter: Filter, matches: usize) -> Vec<u64> {
    let watcher = feed.watch(filter.clone());
    let (mut seen, mut next) = (Vec::new(), 1);
    while seen.len() < matches {
        let head = feed.head();
        if next <= head {
            let stretch = feed.read(&filter, next, head, 2_000);
            let stretch = stretch.expect("readable");
            next = stretch.next;
            seen.extend(stretch.entries.iter().map(|it| it.position));
        } else {
            watcher.told().await;
            next = watcher.skip_ahead(next);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_watcher_misses_a_match_while_others_publish() {
    const COMMITS: u64 = 3_000;
    let (journal, feed) = feed(20_000);
    let commits: Vec<_> = (1..=COMMITS)
        .map(|position| {
            // Uneven, so that watchers sleep and wake at different times.
            let plan = PLANS[(position * position % 7 % 4) as usize];
            let kinds = if position % 3 == 0 { CREATED } else { NOTED };
            recent(position, plan, kinds)
        })
        .collect();
    let filters = [
        filter(&[], u64::MAX),
        filter(&[], CREATED),
        filter(&["a"], u64::MAX),
        filter(&["b", "c"], NOTED),
        filter(&["c"], CREATED),
    ];
    let watchers: Vec<_> = (0..20)
        .map(|number| {
            let filter = filters[number % filters.len()].clone();
            let expected: Vec<_> = commits
                .iter()
                .filter(|it| filter.matches(&it.plan_id, it.kinds))
                .map(|it| it.position)
                .collect();
            let following = tokio::spawn(follow(feed.clone(), filter, expected.len()));
            (following, expected)
        })
        .collect();
    let publishing = {
        let (journal, feed) = (journal.clone(), feed.clone());
        std::thread::spawn(move || {
            for (number, group) in commits.chunks(3).enumerate() {
                publish(&journal, &feed, group.to_vec());
                if number % 5 == 0 {
                    std::thread::yield_now();
                }
            }
        })
    };
    for (following, expected) in watchers {
        let bound = Duration::from_secs(60);
        let seen = tokio::time::timeout(bound, following).await;
        let seen = seen.expect("a watcher sleeps for ever").expect("no panic");
        assert_eq!(seen, expected);
    }
    publishing.join().expect("no panic");
    assert_eq!(feed.watchers(), 0);
}

#[test]
fn a_watcher_is_told_once_of_what_it_wants_and_never_of_anything_else() {
    let (journal, feed) = feed(1 << 20);
    let idle = [
        feed.watch(filter(&["b"], u64::MAX)),
        feed.watch(filter(&["a"], CREATED)),
        feed.watch(filter(&[], CREATED)),
    ];
    let wanting = feed.watch(filter(&["a", "c"], NOTED));
    publish(&journal, &feed, vec![recent(1, "a", NOTED)]);
    publish(&journal, &feed, vec![recent(2, "a", NOTED)]);
    let mut poll = Context::from_waker(Waker::noop());
    assert!(pin!(wanting.told()).poll(&mut poll).is_ready());
    assert!(pin!(wanting.told()).poll(&mut poll).is_pending());
    assert_eq!(wanting.skip_ahead(1), 1);
    // Told of nothing since: all that is there was of no concern.
    assert_eq!(wanting.skip_ahead(3), 3);
    for watcher in &idle {
        assert!(pin!(watcher.told()).poll(&mut poll).is_pending());
        assert_eq!(watcher.skip_ahead(1), 3);
    }
}

#[test]
fn a_kind_of_a_later_version_is_any_kind() {
    let (journal, feed) = feed(1 << 20);
    let any = feed.watch(filter(&["a"], u64::MAX));
    publish(&journal, &feed, vec![recent(1, "a", 0)]);
    assert_eq!(any.skip_ahead(1), 1);
    assert!(filter(&["a"], u64::MAX).matches("a", 0));
    assert!(!filter(&["a"], NOTED).matches("a", 0));
}

#[test]
fn a_watcher_that_is_dropped_leaves_nothing_behind() {
    let (_, feed) = feed(1 << 20);
    let of_all = feed.watch(filter(&[], u64::MAX));
    let of_two = feed.watch(filter(&["a", "b"], u64::MAX));
    let of_one = feed.watch(filter(&["a"], u64::MAX));
    assert_eq!(feed.watchers(), 3);
    drop(of_two);
    assert_eq!(feed.watchers(), 2);
    assert_eq!(feed.lock().of_plans.keys().count(), 1);
    drop((of_all, of_one));
    let state = feed.lock();
    assert!(state.watchers == 0 && state.of_all.is_empty() && state.of_plans.is_empty());
}

#[test]
fn the_ring_keeps_within_its_bytes() {
    let (journal, feed) = feed(1_000);
    for position in 1..=50 {
        publish(&journal, &feed, vec![recent(position, "a", NOTED)]);
        let state = feed.lock();
        let weights = state.ring.iter().map(Recent::weight_bytes);
        assert_eq!(state.ring_bytes, weights.sum::<usize>());
        assert!(state.ring_bytes <= 1_000);
    }
}

#[tokio::test]
async fn one_read_looks_through_a_bounded_part_of_the_ring() {
    let (journal, feed) = feed(10 << 20);
    let head = 3 * SCAN_COMMITS as u64;
    let commits = (1..=head).map(|position| recent(position, "a", NOTED));
    publish(&journal, &feed, commits.collect());
    let stretch = feed.read(&filter(&["b"], u64::MAX), 1, head, 1);
    let stretch = stretch.expect("readable");
    assert_eq!(
        (stretch.entries.len(), stretch.next),
        (0, SCAN_COMMITS as u64 + 1)
    );
}

#[tokio::test]
async fn a_position_is_waited_for() {
    let (journal, feed) = feed(1 << 20);
    let mut poll = Context::from_waker(Waker::noop());
    let mut reached = pin!(feed.reached(2));
    publish(&journal, &feed, vec![recent(1, "a", NOTED)]);
    assert!(reached.as_mut().poll(&mut poll).is_pending());
    publish(&journal, &feed, vec![recent(2, "a", NOTED)]);
    assert!(reached.as_mut().poll(&mut poll).is_ready());
}

#[test]
fn what_comes_before_damage_is_shown_and_only_who_reads_on_meets_it() {
    let (journal, feed) = feed(0);
    publish(
        &journal,
        &feed,
        (1..=4).map(|at| recent(at, "a", NOTED)).collect(),
    );
    journal.damage(3);
    let all = filter(&[], u64::MAX);
    let stretch = feed
        .read_journal(&all, 1, 4, 1 << 20)
        .expect("before the damage");
    let shown: Vec<u64> = stretch.entries.iter().map(|it| it.position).collect();
    assert_eq!((shown, stretch.next), (vec![1, 2], 3));
    assert!(feed.read_journal(&all, 3, 4, 1 << 20).is_err());
    let behind = feed.read_journal(&all, 4, 4, 1 << 20).expect("behind it");
    assert_eq!(behind.entries.len(), 1);
}
