//! Promises of the backup as a stream.

use futures_util::StreamExt as _;
use tonic::Response;

use super::*;
use crate::{
    backup::decode::{Part, Reader},
    proto::{BackupRequest, BackupResponse, admin_service_server::AdminService},
    rpc::admin_service::Admin,
};

type Pieces = <Admin as AdminService>::BackupStream;

async fn backup(world: &World, from_position: u64) -> Result<Pieces, Status> {
    let admin = Admin::new(world.gate.clone());
    let request = by_anybody(BackupRequest { from_position });
    admin.backup(request).await.map(Response::into_inner)
}

async fn next(pieces: &mut Pieces) -> Result<BackupResponse, Status> {
    pieces.next().await.expect("the stream goes on")
}

/// All bytes of a backup, and the positions that its pieces named.
async fn whole(mut pieces: Pieces) -> (Vec<u8>, Vec<u64>) {
    let (mut bytes, mut positions) = (Vec::new(), Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece.expect("it goes on");
        assert_eq!(piece.head_position, 4);
        bytes.extend_from_slice(&piece.chunk);
        positions.push(piece.position);
    }
    (bytes, positions)
}

/// The positions of the commits in a backup that is whole and of this log.
fn positions_in(bytes: &[u8], world: &World) -> Vec<u64> {
    let mut reader = Reader::new(bytes);
    let mut positions = Vec::new();
    while let Some(part) = reader.part().expect("whole") {
        if let Part::Commits(entries) = part {
            for entry in entries {
                let stored = world.journal.get(entry.position).expect("read");
                assert_eq!(Some(entry.commit), stored);
                positions.push(entry.position);
            }
        }
    }
    let header = reader.finish().expect("whole").header;
    assert_eq!(header.log_id, world.journal.log_id());
    assert!(header.made_at_seconds > 1_700_000_000);
    positions
}

#[tokio::test]
async fn a_backup_holds_the_commits_up_to_the_head_at_the_call() {
    let world = World::new();
    for (from, expected) in [
        (0, vec![1, 2, 3, 4]),
        (1, vec![1, 2, 3, 4]),
        (3, vec![3, 4]),
        (5, vec![]),
    ] {
        let (bytes, announced) = whole(backup(&world, from).await.expect("begun")).await;
        assert_eq!(positions_in(&bytes, &world), expected);
        assert_eq!(announced.first(), Some(&(from.max(1) - 1)));
        assert_eq!(announced.last(), Some(&4));
    }
    let mut begun = backup(&world, 1).await.expect("begun");
    let mut bytes = next(&mut begun).await.expect("a piece").chunk.to_vec();
    world.commit("retreat", 2, [noted()]);
    bytes.extend(whole(begun).await.0);
    assert_eq!(positions_in(&bytes, &world), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_backup_from_beyond_the_head_is_refused() {
    let world = World::new();
    for from in [6, u64::MAX] {
        let answer = backup(&world, from).await.map(|_| ());
        let status = answer.expect_err("beyond the head");
        let details = status.get_details_error_info().expect("details");
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(details.reason, "BEYOND_HEAD");
        assert_eq!(details.metadata["head"], "4");
    }
}

#[tokio::test]
async fn a_backup_ends_at_a_damaged_commit_with_its_position() {
    let world = World::new();
    world.journal.damage(3);
    let mut pieces = backup(&world, 1).await.expect("begun");
    let status = loop {
        if let Err(status) = next(&mut pieces).await {
            break status;
        }
    };
    let details = status.get_details_error_info().expect("details");
    assert_eq!(status.code(), Code::DataLoss);
    assert_eq!(details.reason, "LOG_DAMAGED");
    assert_eq!(details.metadata["position"], "3");
    assert!(pieces.next().await.is_none());

    // What came after the damage can still be kept.
    let (bytes, _) = whole(backup(&world, 4).await.expect("begun")).await;
    assert_eq!(positions_in(&bytes, &world), [4]);
}

#[tokio::test]
async fn a_backup_ends_when_the_daemon_stops() {
    let world = World::new();
    let mut pieces = backup(&world, 1).await.expect("begun");
    next(&mut pieces).await.expect("a piece");
    world.gate.stop();
    let answer = next(&mut pieces).await.map(|_| ());
    assert_eq!(refused(answer), refusal(Code::Unavailable, "STOPPING"));
}
