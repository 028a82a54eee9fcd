//! What becomes of requests while the machine is not as it must be for writing.

use super::world::RESERVE_BYTES;
use super::*;

const DAY: i64 = 86_400;

fn validating(request_id: &str) -> proto::ExecuteRequest {
    proto::ExecuteRequest {
        validate_only: true,
        ..note(request_id, "only to see")
    }
}

#[track_caller]
fn hindered_by(answer: Result<Answer, ExecuteError>) -> Hindrance {
    match answer {
        Err(ExecuteError::Hindered(hindrance)) => hindrance,
        other => panic!("not hindered: {other:?}"),
    }
}

async fn answer(world: &World, request: proto::ExecuteRequest) -> Result<Answer, ExecuteError> {
    world.submit(request).await.answer().await
}

#[tokio::test]
async fn below_the_reserve_only_what_would_be_written_is_refused_until_there_is_room() {
    let mut world = World::holding([create("a"), note("b", "one")]).await;
    world.start();
    world.set_free_bytes(RESERVE_BYTES - 1);
    let hindrance = hindered_by(answer(&world, note("c", "two")).await);
    assert_eq!(
        hindrance,
        Hindrance::DiskReserve {
            free_bytes: RESERVE_BYTES - 1,
            reserve_bytes: RESERVE_BYTES,
        }
    );
    assert!(
        answer(&world, note("b", "one"))
            .await
            .expect("recorded before")
            .replayed
    );
    assert_eq!(
        answer(&world, validating("v"))
            .await
            .expect("validated")
            .entry
            .position,
        0
    );
    let refused = refused_for(answer(&world, create("again")).await);
    assert_eq!(refused, ErrorReason::PlanExists);
    assert_eq!(world.guard.condition().hindrance, Some(hindrance));
    assert_eq!(world.request_ids(), ["a", "b"]);

    world.set_free_bytes(RESERVE_BYTES);
    let recorded = answer(&world, note("c", "two")).await.expect("recorded");
    assert_eq!((recorded.entry.position, recorded.replayed), (3, false));
    assert_eq!(world.guard.condition().hindrance, None);
    world.stop().await.expect("stopped");
}

#[tokio::test]
#[expect(
    clippy::await_holding_lock,
    reason = "the disk does not answer until it is let go"
)]
async fn a_group_that_waits_for_a_disk_without_an_answer_is_seen_from_outside() {
    let mut world = World::holding([create("a")]).await;
    world.start();
    assert_eq!(world.writer.settling(), None);
    let held = world.hold_disk();
    let pending = world.submit(note("b", "one")).await;
    let seen = async {
        while world.writer.settling().is_none() {
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
    seen.expect("the group is seen");
    assert_eq!(
        world.journal.syncing(),
        None,
        "no file says what is waited for"
    );
    drop(held);
    assert_eq!(pending.answer().await.expect("recorded").entry.position, 2);
    assert_eq!(world.writer.settling(), None);
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_leapt_clock_hinders_writing_and_judges_nothing_until_it_is_right_again() {
    let mut world = World::holding([create("a")]).await;
    world.start();
    world.set_clock(1_000 + DAY);
    let hindrance = hindered_by(answer(&world, note("b", "one")).await);
    let Hindrance::ClockLeapt(leap) = hindrance else {
        panic!("hindered by {hindrance:?}");
    };
    assert_eq!((leap.clock, leap.expected), (at(1_000 + DAY), at(1_000)));
    assert!(
        answer(&world, create("a"))
            .await
            .expect("recorded before")
            .replayed
    );
    world.set_clock(1_000 - DAY);
    // What occurred now is not refused for lying in the future of a wrong clock.
    let now = proto::ExecuteRequest {
        occurred_at: Some(at(1_000).into()),
        ..validating("v")
    };
    answer(&world, now.clone()).await.expect("validated");
    let now = proto::ExecuteRequest {
        validate_only: false,
        ..now
    };
    hindered_by(answer(&world, now.clone()).await);

    world.set_clock(1_001);
    answer(&world, now).await.expect("recorded");
    let recorded_at = world.log()[1].recorded_at.expect("recorded");
    assert_eq!(Time::from(recorded_at), at(1_001));
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_confirmed_clock_is_recorded_by_at_once() {
    let mut world = World::holding([create("a")]).await;
    world.start();
    assert_eq!(world.guard.confirm_clock(), (at(1_000), None));
    world.set_clock(1_000 + DAY);
    hindered_by(answer(&world, note("b", "one")).await);
    let (accepted, leap) = world.guard.confirm_clock();
    assert_eq!(accepted, at(1_000 + DAY));
    assert_eq!(leap.expect("leapt").expected, at(1_000));
    answer(&world, note("b", "one")).await.expect("recorded");
    let recorded_at = world.log()[1].recorded_at.expect("recorded");
    assert_eq!(Time::from(recorded_at), at(1_000 + DAY));
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn a_leap_in_the_middle_of_a_group_is_recorded_by_nobody() {
    let mut world = World::holding([create("a"), note("b", "one")]).await;
    // Worked out while the clock had leapt, and written when it is right.
    world.set_clock(1_000 + DAY);
    let retracting = world.submit(retract("c", 2)).await;
    world.set_clock(1_000);
    world.start();
    retracting.answer().await.expect("recorded");
    let recorded_at = world.log()[2].recorded_at.expect("recorded");
    assert_eq!(Time::from(recorded_at), at(1_000));
    world.stop().await.expect("stopped");
}

#[tokio::test]
async fn requests_of_a_stream_are_refused_in_their_order_and_taken_in_it_again() {
    let mut world = World::holding([create("a")]).await;
    world.set_free_bytes(0);
    let mut lane = world.writer.lane();
    let mut pending = Vec::new();
    for id in ["b", "c"] {
        pending.push(lane.submit(note(id, "x"), actor(), soon()).await);
    }
    world.start();
    for refused in answers(pending).await {
        hindered_by(refused);
    }
    world.set_free_bytes(RESERVE_BYTES);
    let recorded = lane.submit(note("b", "x"), actor(), soon()).await;
    assert_eq!(recorded.answer().await.expect("recorded").entry.position, 2);
    world.stop().await.expect("stopped");
}
