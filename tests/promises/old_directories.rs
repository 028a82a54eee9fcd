//! Data directories that an earlier version left, kept for ever: each version opens them, reads what
//! is in them, adds to it and reads it again. A form that is not read any more gets a refusal in words
//! or a migration, and another directory beside these.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use strata::{
    json,
    proto::{ExecuteRequest, GetCheckpointRequest},
};
use tempfile::{TempDir, tempdir};

use crate::{
    daemon::{Daemon, note, request},
    reading::{assert_sound, whole_log},
};

const HISTORY: &str = include_str!("../fixtures/smallpox-india.jsonl");

/// A directory as it was left.
struct Left {
    /// Its archive, below the fixtures.
    archive: &'static str,
    /// The root of the log's Merkle tree: it stands for every byte of every commit.
    root: &'static str,
    /// The public half of its key.
    verifier_key: &'static str,
}

/// The real history, and one commit of two events in another plan.
const COMMITS: u64 = 41;

#[tokio::test]
async fn a_directory_of_format_1_that_was_stopped_is_read_and_written() {
    read_and_write(&Left {
        archive: "data-directory-1/stopped",
        root: "1c644c9a6f93c0a459bd5d162d34d7691c53adca3fa9f6e5dd2f8585edf8f3ac",
        verifier_key: "strata/9ff6f074-52c0-47d2-b655-43a76c78a2f9+47b78f10+\
                           AZRsbi6SElW2bj/n71GtQj5RRl9UXbYsOWob8yE9DRSP",
    })
    .await;
}

#[tokio::test]
async fn a_directory_of_format_1_whose_daemon_was_killed_is_read_and_written() {
    read_and_write(&Left {
        archive: "data-directory-1/killed",
        root: "b38f6ec0100e46b4c381cea076f76f2f5b558f53421b551a7235f8d33ae05536",
        verifier_key: "strata/9cdbd050-2262-44de-9bde-b767d85665d5+170525ec+\
                           AfD8yMtugKs9wcIkwUvnJvJCtc0k6LRtcODmk0u5AB17",
    })
    .await;
}

async fn read_and_write(left: &Left) {
    let dir = tempdir().expect("a directory");
    let data_dir = unpack(left.archive, &dir);

    let daemon = Daemon::start(&data_dir).await;
    let checkpoint = daemon
        .audit()
        .get_checkpoint(GetCheckpointRequest::default())
        .await
        .expect("a checkpoint")
        .into_inner();
    assert_eq!(checkpoint.position, COMMITS);
    assert_eq!(hex::encode(&checkpoint.root), left.root);
    assert_eq!(checkpoint.verifier_key, left.verifier_key);
    let log = whole_log(&daemon).await;
    assert_sound(&log);

    for line in HISTORY.lines() {
        let recorded: ExecuteRequest = json::from_json(line).expect("a request");
        let answer = daemon.plans().execute(recorded).await.expect("replayed");
        assert!(answer.into_inner().replayed, "{line}");
    }
    let noted = request("bakery", "second", note("Years later."));
    let answer = daemon.plans().execute(noted).await.expect("recorded");
    assert_eq!(answer.into_inner().revision, 3);
    daemon.stop().await;

    let daemon = Daemon::start(&data_dir).await;
    let longer = whole_log(&daemon).await;
    assert_eq!(longer.len(), log.len() + 1);
    assert_eq!(longer[..log.len()], log);
    daemon.stop().await;
}

/// Unpacks a directory and says where it is.
fn unpack(archive: &str, dir: &TempDir) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let packed = File::open(fixtures.join(format!("{archive}.tar.gz"))).expect("an archive");
    tar::Archive::new(GzDecoder::new(packed))
        .unpack(dir.path())
        .expect("unpacked");
    let name = archive.rsplit('/').next().expect("a name");
    dir.path().join(name)
}
