//! Promises of the writer, on a journal in memory and a view on disk.

use std::{
    pin::pin,
    task::{Context as Poll, Waker},
};

use prost::Message as _;
use proto::command::Kind as Asked;

use super::*;
use crate::{
    domain::{permits::Permits, value::Time},
    feed::Filter,
    journal::fake::{FakeJournal, Fault},
    proto::ErrorReason,
    view::search::Query,
};

mod hindered;
mod world;

use self::world::{PLAN, World, actor, at, create, expecting, note, request, retract, soon};

#[track_caller]
fn refused_for(answer: Result<Answer, ExecuteError>) -> ErrorReason {
    match answer {
        Err(ExecuteError::Refused(refusal)) => refusal.reason,
        other => panic!("not refused: {other:?}"),
    }
}

async fn answers(pending: Vec<Pending>) -> Vec<Result<Answer, ExecuteError>> {
    let mut answers = Vec::new();
    for pending in pending {
        answers.push(pending.answer().await);
    }
    answers
}

#[tokio::test]
async fn only_durable_is_shown_or_answered_and_a_group_is_one_append() {
    let mut world = World::new();
    let everything = Filter {
        plan_ids: Vec::new(),
        kinds: u64::MAX,
        permits: Permits::all(),
    };
    let watcher = world.feed.watch(everything.clone());
    let requests = [create("a"), note("b", "one"), create("c"), note("b", "one")];
    let mut pending = Vec::new();
    for request in requests {
        pending.push(world.submit(request).await);
    }

    world.journal.fake.hold_syncs();
    world.start();
    let journal = world.journal.clone();
    tokio::task::spawn_blocking(move || journal.fake.wait_for_held_sync())
        .await
        .expect("held");
    let mut answers: Vec<_> = pending
        .into_iter()
        .map(|it| Box::pin(it.answer()))
        .collect();
    let mut poll = Poll::from_waker(Waker::noop());
    for answer in &mut answers {
        // The third is a refusal, and the fourth a replay: what they saw can still be lost.
        assert!(answer.as_mut().poll(&mut poll).is_pending());
    }
    assert!(pin!(watcher.told()).poll(&mut poll).is_pending());
    assert_eq!((world.view.position(), world.feed.head()), (0, 0));
    assert!(world.view.in_memory(PLAN).is_none() && world.view.entry(PLAN).is_none());
    assert_eq!(world.journal.fake.last_mark(), None);

    world.journal.fake.release_syncs();
    let mut answered = Vec::new();
    for answer in answers {
        answered.push(answer.await);
    }
    watcher.told().await;
    let [created, noted, refused, replayed] = answered.try_into().expect("four");
    let noted = noted.expect("recorded");
    assert_eq!(created.expect("recorded").entry.position, 1);
    assert_eq!((noted.entry.position, noted.revision), (2, 2));
    assert_eq!(refused_for(refused), ErrorReason::PlanExists);
    let replayed = replayed.expect("replayed");
    assert!(replayed.replayed && replayed.entry == noted.entry);
    assert_eq!(*world.journal.groups(), [2]);
    assert_eq!((world.view.position(), world.feed.head()), (2, 2));
    let shown = world.feed.read(&everything, 1, 2, 1 << 20);
    assert_eq!(shown.expect("readable").entries.len(), 2);
    let mark = world.journal.fake.last_mark().expect("marked");
    assert_eq!(mark.root, world.view.frontier().root());
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn what_the_view_shows_or_finds_the_feed_has_told_of_and_the_other_way_round() {
    const COMMITS: u64 = 2_000;
    let mut world = World::new();
    world.start();
    let (view, feed) = (world.view.clone(), world.feed.clone());
    let onlooker = std::thread::spawn(move || {
        let mut shown = 0;
        while shown < COMMITS {
            shown = view.position();
            let told = feed.head();
            assert!(told >= shown, "shown up to {shown}, told up to {told}");
            let found = view.search_tactics(&Query::default());
            let found = found.expect("searchable").position;
            assert!(found >= told, "told up to {told}, found up to {found}");
            let told = feed.head();
            assert!(told >= found, "found up to {found}, told up to {told}");
            let shown = view.position();
            assert!(shown >= told, "told up to {told}, shown up to {shown}");
        }
    });
    let notes = (1..COMMITS).map(|n| note(&format!("note {n}"), "one"));
    for request in std::iter::once(create("created")).chain(notes) {
        let answer = world.submit(request).await.answer().await;
        answer.expect("recorded");
    }
    onlooker.join().expect("nothing was seen too early");
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_request_id_is_recorded_once_and_refused_with_other_content_within_one_group() {
    let mut world = World::holding([create("a")]).await;
    let pending = vec![
        world.submit(note("b", "one")).await,
        world.submit(note("b", "one")).await,
        world.submit(note("b", "two")).await,
    ];
    world.start();
    let [first, second, third] = answers(pending).await.try_into().expect("three");
    let (first, second) = (first.expect("recorded"), second.expect("replayed"));
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(
        (first.entry, first.revision),
        (second.entry, second.revision)
    );
    assert!(matches!(
        third,
        Err(ExecuteError::RequestIdReused {
            position: 2,
            revision: 2
        })
    ));
    assert_eq!(world.request_ids(), ["a", "b"]);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn an_expected_revision_is_checked_against_what_the_group_decided_before() {
    let mut world = World::holding([create("a")]).await;
    let pending = vec![
        world.submit(expecting(1, note("b", "one"))).await,
        world.submit(expecting(1, note("c", "two"))).await,
        world.submit(expecting(2, note("d", "three"))).await,
    ];
    world.start();
    let [first, second, third] = answers(pending).await.try_into().expect("three");
    assert_eq!(first.expect("recorded").revision, 2);
    assert_eq!(refused_for(second), ErrorReason::RevisionConflict);
    assert_eq!(third.expect("recorded").revision, 3);
    assert_eq!(*world.journal.groups(), [2]);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_failed_append_answers_all_as_unknown_and_ends_the_thread_with_the_failure() {
    for fault in [Fault::ErrorAndLost, Fault::ErrorYetWritten] {
        let mut world = World::new();
        let pending = vec![
            world.submit(create("a")).await,
            world.submit(create("b")).await,
        ];
        world.journal.fake.fail_next(fault);
        world.start();
        for answer in answers(pending).await {
            assert!(
                matches!(answer, Err(ExecuteError::WriteFailed)),
                "{answer:?}"
            );
        }
        let thread = world.thread.take().expect("started");
        let ended = tokio::task::spawn_blocking(|| thread.join()).await;
        assert!(ended.expect("no panic").expect("no panic").is_err());
        assert_eq!((world.view.position(), world.feed.head()), (0, 0));
        let late = world.submit(create("c")).await.answer().await;
        assert!(matches!(late, Err(ExecuteError::Stopping)), "{late:?}");
    }
}

#[tokio::test]
async fn an_append_of_unknown_outcome_is_settled_by_reading_and_records_each_request_once() {
    for fault in [Fault::UnknownAndLost, Fault::UnknownYetWritten] {
        let mut world = World::holding([create("a"), note("b", "one")]).await;
        let pending = vec![
            world.submit(note("c", "two")).await,
            world.submit(note("d", "three")).await,
            world.submit(retract("e", 2)).await,
        ];
        world.journal.fake.fail_next(fault);
        world.start();
        let revisions: Vec<_> = answers(pending)
            .await
            .into_iter()
            .map(|answer| answer.expect("recorded").revision)
            .collect();
        assert_eq!(revisions, [3, 4, 5], "{fault:?}");
        assert_eq!(world.request_ids(), ["a", "b", "c", "d", "e"]);
        assert_eq!((world.view.position(), world.feed.head()), (5, 5));
        let mark = world.journal.fake.last_mark().expect("marked");
        assert_eq!(
            (mark.position, mark.root),
            (5, world.view.frontier().root())
        );
        world.stop().await.expect("stopped");
    }
}

#[tokio::test]
async fn commits_of_another_writer_are_taken_in_and_the_group_is_decided_again_on_them() {
    let there = World::holding([create("a"), note("b", "one"), note("c", "two")]).await;
    let foreign = there.journal.read(2, usize::MAX).expect("readable");
    let foreign: Vec<_> = foreign.into_iter().map(|entry| entry.commit).collect();

    let mut world = World::holding([create("a")]).await;
    let pending = vec![
        // The other writer got this one in already.
        world.submit(note("b", "one")).await,
        // And this was true before it did.
        world.submit(expecting(1, note("d", "three"))).await,
        world.submit(note("e", "four")).await,
    ];
    world.journal.fake.append_foreign(&foreign);
    world.start();
    let [replayed, refused, recorded] = answers(pending).await.try_into().expect("three");
    let replayed = replayed.expect("replayed");
    assert!(replayed.replayed && replayed.entry.position == 2);
    assert_eq!(refused_for(refused), ErrorReason::RevisionConflict);
    let recorded = recorded.expect("recorded");
    assert_eq!((recorded.entry.position, recorded.revision), (4, 4));
    assert_eq!(world.request_ids(), ["a", "b", "c", "e"]);
    assert_eq!((world.view.position(), world.feed.head()), (4, 4));
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_request_that_is_given_up_as_overtaken_too_often_is_not_recorded_afterwards() {
    let mut world = World::holding([create("a"), note("b", "one")]).await;
    let overtaking = world.submit(note("c", "two")).await;
    let mut overtaken = world.submit(retract("d", 2)).await;
    overtaken.rounds_left = 1;
    world.start();
    overtaking.answer().await.expect("recorded");
    let answer = overtaken.answer().await;
    assert!(matches!(answer, Err(ExecuteError::Contended)), "{answer:?}");
    world.stop().await.expect("stopped");
    assert_eq!(world.request_ids(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_retraction_that_was_overtaken_is_worked_out_again_until_it_holds() {
    let mut world = World::holding([create("a"), note("b", "one")]).await;
    // Both retractions were worked out at revision 2; each is decided at a later one.
    let pending = vec![
        world.submit(note("c", "two")).await,
        world.submit(retract("d", 2)).await,
        world.submit(retract("e", 2)).await,
    ];
    world.start();
    let [noted, first, second] = answers(pending).await.try_into().expect("three");
    assert_eq!(noted.expect("recorded").revision, 3);
    assert_eq!(first.expect("recorded").revision, 4);
    assert_eq!(refused_for(second), ErrorReason::NotCorrectable);
    let (folded, _) = world.view.in_memory(PLAN).expect("in memory");
    assert_eq!(
        *folded.plan,
        world.view.plan_at(&folded, 4).expect("folded")
    );
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_retraction_on_a_plan_that_does_not_exist_is_refused_for_that() {
    let mut world = World::new();
    world.start();
    let answer = world.submit(retract("a", 1)).await.answer().await;
    assert_eq!(refused_for(answer), ErrorReason::PlanNotFound);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn requests_of_a_lane_do_not_overtake_one_that_is_made_ready_again() {
    let mut world = World::holding([create("a")]).await;
    let mut lane = world.writer.lane();
    let mut pending = Vec::new();
    for request in [
        note("b", "one"),
        // Nothing is there yet that it could retract when it is handed in.
        expecting(2, retract("c", 2)),
        request("d", Asked::RecordNote(proto::RecordNote::default())),
        expecting(3, note("e", "two")),
        expecting(4, retract("f", 4)),
        expecting(5, note("g", "three")),
    ] {
        pending.push(lane.submit(request, actor(), soon()).await);
    }
    world.start();
    let mut revisions = Vec::new();
    for answer in answers(pending).await {
        match answer {
            Ok(answer) => revisions.push(answer.revision),
            Err(ExecuteError::Malformed(_)) => revisions.push(0),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(revisions, [2, 3, 0, 4, 5, 6]);
    assert_eq!(world.request_ids(), ["a", "b", "c", "e", "f", "g"]);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_full_queue_is_said_at_the_deadline_and_nothing_of_the_request_is_recorded() {
    let mut world = World::on(FakeJournal::new(), 1);
    let queued = world.submit(create("a")).await;
    assert_eq!((world.writer.queued(), world.writer.queue_limit()), (1, 1));
    let passed = Instant::now();
    let turned_away = world.writer.submit(note("b", "one"), actor(), passed).await;
    let answer = turned_away.answer().await;
    assert!(matches!(answer, Err(ExecuteError::QueueFull)), "{answer:?}");
    world.start();
    queued.answer().await.expect("recorded");
    assert_eq!(world.request_ids(), ["a"]);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn the_time_of_recording_never_runs_backwards_when_the_clock_does() {
    let mut world = World::holding([create("a"), note("b", "one")]).await;
    world.set_clock(1_600);
    // Worked out at 1,600 and recorded when the clock says less.
    let retracting = world.submit(retract("c", 2)).await;
    world.set_clock(1_000);
    world.start();
    retracting.answer().await.expect("recorded");
    let noting = world.submit(note("d", "two")).await;
    noting.answer().await.expect("recorded");
    let mut last = Time::default();
    for commit in world.log() {
        let recorded_at: Time = commit.recorded_at.expect("recorded").into();
        assert!(recorded_at >= last, "{commit:?}");
        for event in &commit.events {
            let occurred_at: Time = event.occurred_at.expect("occurred").into();
            assert!(occurred_at <= recorded_at, "{commit:?}");
        }
        last = recorded_at;
    }
    assert_eq!(last, at(1_600));
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn what_is_only_validated_is_answered_as_if_recorded_and_leaves_nothing_behind() {
    let mut world = World::holding([create("a")]).await;
    let validating = proto::ExecuteRequest {
        validate_only: true,
        ..note("b", "one")
    };
    let pending = vec![
        world.submit(validating.clone()).await,
        world.submit(note("b", "another")).await,
    ];
    world.start();
    let [validated, recorded] = answers(pending).await.try_into().expect("two");
    let validated = validated.expect("valid");
    assert_eq!((validated.entry.position, validated.revision), (0, 2));
    let recorded = recorded.expect("the id is not bound");
    assert_eq!((recorded.entry.position, recorded.revision), (2, 2));
    assert_eq!(world.request_ids(), ["a", "b"]);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_commit_that_would_be_too_large_is_malformed_and_changes_nothing() {
    let mut world = World::holding([create("a")]).await;
    let mut large = note("b", &"x".repeat(shape::NOTE_BYTES_MAX));
    let command = large.commands.first().expect("one").clone();
    large.commands.resize(7, command);
    large.commands.extend(note("", "").commands);
    let missing = shape::COMMIT_BYTES_MAX - large.encoded_len();
    // The lengths before the text take some bytes more.
    let rest = note("", &"x".repeat(missing - 6)).commands;
    large.commands.truncate(7);
    large.commands.extend(rest);
    assert!(large.encoded_len() <= shape::COMMIT_BYTES_MAX);
    world.start();
    match world.submit(large).await.answer().await {
        Err(ExecuteError::Malformed(violations)) => {
            assert_eq!(violations.first().expect("one").field, "commands");
        }
        other => panic!("{other:?}"),
    }
    let after = world.submit(expecting(1, note("b", "one"))).await;
    assert_eq!(after.answer().await.expect("recorded").revision, 2);
    assert_eq!(world.request_ids(), ["a", "b"]);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn what_was_queued_before_the_stop_is_answered_and_what_came_after_is_told_so() {
    let mut world = World::new();
    let before = world.submit(create("a")).await;
    let writer = world.writer.clone();
    tokio::task::spawn_blocking(move || writer.stop())
        .await
        .expect("no panic");
    let after = world.submit(note("b", "one")).await;
    world.start();
    assert_eq!(before.answer().await.expect("recorded").revision, 1);
    let answer = after.answer().await;
    assert!(matches!(answer, Err(ExecuteError::Stopping)), "{answer:?}");
    let thread = world.thread.take().expect("started");
    let ended = tokio::task::spawn_blocking(|| thread.join()).await;
    ended
        .expect("no panic")
        .expect("no panic")
        .expect("stopped");
    let late = world.submit(note("c", "two")).await.answer().await;
    assert!(matches!(late, Err(ExecuteError::Stopping)), "{late:?}");
    assert_eq!(world.request_ids(), ["a"]);
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_not_recorded_for_nobody() {
    let mut world = World::new();
    drop(world.submit(create("a")).await);
    world.start();
    world
        .submit(create("b"))
        .await
        .answer()
        .await
        .expect("recorded");
    assert_eq!(world.request_ids(), ["b"]);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_request_id_of_blanks_is_none_and_gets_one_assigned() {
    let mut world = World::holding([create("a")]).await;
    world.start();
    for text in ["one", "two"] {
        let answer = world.submit(note("  ", text)).await.answer().await;
        assert!(!answer.expect("recorded").replayed);
    }
    for request_id in world.request_ids() {
        assert!(!request_id.trim().is_empty());
    }
    assert_eq!(world.log().len(), 3);
    world.stop().await.expect("stopped");
}
