//! An auditor who does not trust the daemon: keeps checkpoints, and proves with code of its own that
//! what is in the log was in it and that it was only added to.

use std::{fs, path::Path, process::Command};

use prost::Message as _;
use strata::proto::{
    Commit, ExecuteRequest, GetCheckpointRequest, ProveConsistencyRequest,
    ProveConsistencyResponse, ProveInclusionRequest, ProveInclusionResponse, RawEntry,
    ReadRawRequest,
};
use tempfile::tempdir;
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::execute,
    reading::{reason, whole_log},
};

mod rfc6962;

use self::rfc6962::{Checkpoint, Hash, extends, includes, leaf, root};

/// How many requests are under way at once.
const WRITERS: u64 = 32;

/// What `stratad key` prints.
fn public_key(data_dir: &Path) -> String {
    let mut key = Command::new(env!("CARGO_BIN_EXE_stratad"));
    let output = key.arg("key").arg("--data-dir").arg(data_dir).output();
    let output = output.expect("stratad runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let key = String::from_utf8(output.stdout).expect("text");
    key.trim_end().to_owned()
}

/// A checkpoint whose signature holds.
async fn checkpoint(daemon: &Daemon, key: &str) -> Checkpoint {
    let asked = GetCheckpointRequest::default();
    let answer = daemon.audit().get_checkpoint(asked).await;
    let answer = answer.expect("signed").into_inner();
    let opened = rfc6962::open(&answer.checkpoint, key);
    assert_eq!(answer.position, opened.size);
    assert_eq!(answer.root, opened.root);
    assert_eq!(answer.verifier_key, key);
    // Our own code for auditors reads it alike.
    let ours: strata::notary::VerifierKey = key.parse().expect("a key");
    let read = ours.verify(&answer.checkpoint).expect("it holds");
    assert_eq!(
        (read.size, read.root.to_vec()),
        (opened.size, opened.root.clone())
    );
    opened
}

async fn raw(daemon: &Daemon, request: ReadRawRequest) -> Vec<RawEntry> {
    let stream = daemon.audit().read_raw(request).await;
    let mut stream = stream.expect("read").into_inner();
    let mut entries = Vec::new();
    while let Some(response) = stream.message().await.expect("it goes on") {
        entries.extend(response.entries);
    }
    entries
}

async fn inclusion(daemon: &Daemon, position: u64, tree_size: u64) -> ProveInclusionResponse {
    let asked = ProveInclusionRequest {
        position,
        tree_size,
        ..Default::default()
    };
    let answer = daemon.audit().prove_inclusion(asked).await;
    answer.expect("proved").into_inner()
}

async fn consistency(daemon: &Daemon, old: u64, new: u64) -> ProveConsistencyResponse {
    let asked = ProveConsistencyRequest {
        old_tree_size: old,
        new_tree_size: new,
        ..Default::default()
    };
    let answer = daemon.audit().prove_consistency(asked).await;
    answer.expect("proved").into_inner()
}

fn hashes(sent: &[bytes::Bytes]) -> Vec<Hash> {
    sent.iter().map(|hash| hash.to_vec()).collect()
}

fn at(leaves: &[Hash], size: u64) -> Checkpoint {
    Checkpoint {
        origin: String::new(),
        size,
        root: root(&leaves[..usize::try_from(size).expect("small")]),
    }
}

/// Checks the commits at these positions and the trees of these sizes, and returns all leaves.
async fn audit(daemon: &Daemon, key: &str, sizes: &[u64]) -> Vec<Hash> {
    let entries = raw(daemon, ReadRawRequest::default()).await;
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf(&entry.commit)).collect();
    let checkpoint = checkpoint(daemon, key).await;
    assert_eq!(checkpoint.size, leaves.len() as u64);
    assert_eq!(
        checkpoint.root,
        root(&leaves),
        "the root is that of the bytes"
    );
    for &position in sizes {
        let leaf = &leaves[usize::try_from(position).expect("small") - 1];
        let proof = inclusion(daemon, position, 0).await;
        assert_eq!(
            (proof.leaf_index, proof.tree_size),
            (position - 1, checkpoint.size)
        );
        assert_eq!(
            (&proof.leaf_hash, &proof.root),
            (&leaf.clone().into(), &checkpoint.root.clone().into())
        );
        let path = hashes(&proof.hashes);
        assert!(includes(
            leaf,
            position - 1,
            checkpoint.size,
            &path,
            &checkpoint.root
        ));
    }
    let trees: Vec<Checkpoint> = sizes.iter().map(|size| at(&leaves, *size)).collect();
    for (number, new) in trees.iter().enumerate() {
        let path = hashes(&inclusion(daemon, 1, new.size).await.hashes);
        assert!(includes(&leaves[0], 0, new.size, &path, &new.root));
        for old in &trees[..=number] {
            let proof = consistency(daemon, old.size, new.size).await;
            assert_eq!(proof.old_root, old.root);
            assert_eq!(proof.new_root, new.root);
            let steps = hashes(&proof.hashes);
            assert!(extends(old, new, &steps), "{old:?} {new:?}");
        }
    }
    leaves
}

/// Adds notes to plans of their own until the log has this many commits.
async fn write_up_to(daemon: &Daemon, head: u64) {
    let mut writers = JoinSet::new();
    let first = daemon.head().await;
    for writer in 0..WRITERS {
        let mut plans = daemon.plans();
        let plan_id = format!("plan-{writer}");
        let numbers = (first + 1..=head).filter(move |number| number % WRITERS == writer);
        writers.spawn(async move {
            for number in numbers {
                let command = match number {
                    1..=WRITERS => create_plan(),
                    _ => note(&format!("Number {number}")),
                };
                let request = request(&plan_id, &format!("request-{number}"), command);
                plans.execute(request).await.expect("recorded");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("written");
    }
    assert_eq!(daemon.head().await, head);
}

#[tokio::test]
async fn tamper_evident_is_every_commit_of_a_real_history_at_every_size() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let key = public_key(dir.path());
    let empty = checkpoint(&daemon, &key).await;
    assert_eq!((empty.size, &empty.root), (0, &root(&[])));

    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smallpox-india.jsonl");
    let lines = fs::read_to_string(fixture).expect("the fixture");
    for line in lines.lines() {
        let request: ExecuteRequest = strata::json::from_json(line).expect("a request");
        execute(&daemon, request).await;
    }
    let head = daemon.head().await;
    assert!(head > 30, "{head}");
    let sizes: Vec<u64> = (1..=head).collect();
    let leaves = audit(&daemon, &key, &sizes).await;
    let from_nothing = consistency(&daemon, 0, 0).await;
    assert_eq!(from_nothing.old_root, empty.root);
    assert!(extends(
        &empty,
        &at(&leaves, head),
        &hashes(&from_nothing.hashes)
    ));
    // And the bytes are those that everybody else is shown.
    let log = whole_log(&daemon).await;
    let shown: Vec<Hash> = log.iter().map(|entry| leaf(&entry.commit)).collect();
    assert_eq!(shown, leaves);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tamper_evident_is_what_was_proved_before_a_kill_and_the_loss_of_the_view() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let key = public_key(dir.path());
    let head = 600;
    write_up_to(&daemon, head).await;
    let sizes = [1, 31, 32, 255, 256, 257, 258, 300, 511, 512, 513, 514, head];
    let leaves = audit(&daemon, &key, &sizes).await;
    let mut proofs = Vec::new();
    for size in sizes {
        proofs.push((
            inclusion(&daemon, size, 0).await,
            consistency(&daemon, size, 0).await,
        ));
    }
    daemon.kill();

    for without_view in [false, true] {
        if without_view {
            fs::remove_dir_all(dir.path().join("view")).expect("deleted");
        }
        let daemon = Daemon::start(dir.path()).await;
        assert_eq!(public_key(dir.path()), key);
        assert_eq!(audit(&daemon, &key, &sizes).await, leaves);
        for (size, (included, consistent)) in sizes.into_iter().zip(&proofs) {
            assert_eq!(inclusion(&daemon, size, 0).await, *included);
            assert_eq!(consistency(&daemon, size, 0).await, *consistent);
        }
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tamper_evident_is_each_checkpoint_while_writes_go_on_and_after_a_kill() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let key = public_key(dir.path());
    write_up_to(&daemon, WRITERS).await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let mut plans = daemon.plans();
        writers.spawn(async move {
            // Until the daemon is killed.
            for number in 0.. {
                let id = format!("more-{writer}-{number}");
                let sent = request(&format!("plan-{writer}"), &id, note("more"));
                if plans.execute(sent).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut kept = checkpoint(&daemon, &key).await;
    for _ in 0..200 {
        let next = checkpoint(&daemon, &key).await;
        assert!(next.size >= kept.size);
        let proof = consistency(&daemon, kept.size, next.size).await;
        assert!(
            extends(&kept, &next, &hashes(&proof.hashes)),
            "{kept:?} {next:?}"
        );
        let position = next.size;
        let proof = inclusion(&daemon, position, next.size).await;
        assert!(includes(
            &proof.leaf_hash,
            position - 1,
            next.size,
            &hashes(&proof.hashes),
            &next.root
        ));
        assert!(proof.position >= next.size);
        kept = next;
    }
    assert!(kept.size > WRITERS, "nothing was written meanwhile");
    daemon.kill();
    while let Some(ended) = writers.join_next().await {
        ended.expect("no panic");
    }
    // Then what was signed was durable.
    let daemon = Daemon::start(dir.path()).await;
    let next = checkpoint(&daemon, &key).await;
    let proof = consistency(&daemon, kept.size, next.size).await;
    assert!(
        extends(&kept, &next, &hashes(&proof.hashes)),
        "{kept:?} {next:?}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn tamper_evident_are_the_stored_bytes_of_any_stretch() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    assert!(raw(&daemon, ReadRawRequest::default()).await.is_empty());
    write_up_to(&daemon, 40).await;
    let all = raw(&daemon, ReadRawRequest::default()).await;
    for (entry, position) in all.iter().zip(1..) {
        assert_eq!(entry.position, position);
        Commit::decode(entry.commit.clone()).expect("a commit");
    }
    assert_eq!(all.len(), 40);
    for (from, to) in [(0, 0), (1, 1), (7, 9), (40, 40), (41, 0), (9, 7), (38, 0)] {
        let asked = ReadRawRequest {
            from_position: from,
            to_position: to,
            ..Default::default()
        };
        let to = if to == 0 { 40 } else { to };
        let expected = all
            .iter()
            .filter(|it| (from.max(1)..=to).contains(&it.position));
        assert_eq!(
            raw(&daemon, asked).await,
            expected.cloned().collect::<Vec<_>>()
        );
    }
    daemon.stop().await;
}

#[tokio::test]
async fn tamper_evident_answers_are_readable_as_json() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write_up_to(&daemon, 33).await;
    // Given what grpcurl prints.
    let shown = |name: &str, message: &[u8]| {
        let pool = prost_reflect::DescriptorPool::decode(strata::proto::FILE_DESCRIPTOR_SET);
        let kind = pool
            .expect("descriptors")
            .get_message_by_name(&format!("strata.v1.{name}"));
        let message = prost_reflect::DynamicMessage::decode(kind.expect("a message"), message);
        serde_json::to_value(message.expect("decoded")).expect("JSON")
    };
    let decoded = |value: &serde_json::Value| {
        use base64::Engine as _;
        let text = value.as_str().expect("a text");
        base64::prelude::BASE64_STANDARD
            .decode(text)
            .expect("base64")
    };
    let proof = inclusion(&daemon, 33, 0).await;
    let proof = shown("ProveInclusionResponse", &proof.encode_to_vec());
    let asked = ReadRawRequest {
        from_position: 33,
        ..Default::default()
    };
    let entry = shown("RawEntry", &raw(&daemon, asked).await[0].encode_to_vec());
    // Then its texts are all that a check needs.
    let leaf = leaf(&decoded(&entry["commit"]));
    assert_eq!(leaf, decoded(&proof["leafHash"]));
    let path = proof["hashes"].as_array().expect("hashes");
    let path: Vec<Hash> = path.iter().map(decoded).collect();
    let root = decoded(&proof["root"]);
    assert!(includes(&leaf, 32, 33, &path, &root));
    daemon.stop().await;
}

#[tokio::test]
async fn what_cannot_be_proved_is_refused_with_a_reason() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    write_up_to(&daemon, 5).await;
    let malformed = (Code::InvalidArgument, "MALFORMED_REQUEST");
    let beyond = (Code::OutOfRange, "BEYOND_HEAD");
    for (position, tree_size, refused) in [
        (0, 0, malformed),
        (0, 3, malformed),
        (4, 3, malformed),
        (6, 0, beyond),
        (6, 7, beyond),
        (5, 6, beyond),
        (u64::MAX, 0, beyond),
        (1, u64::MAX, beyond),
    ] {
        let asked = ProveInclusionRequest {
            position,
            tree_size,
            ..Default::default()
        };
        let answer = daemon.audit().prove_inclusion(asked).await;
        assert_refused(answer, refused, &format!("{asked:?}"));
    }
    for (old, new, refused) in [
        (4, 3, malformed),
        (6, 0, beyond),
        (6, 7, beyond),
        (5, 6, beyond),
        (u64::MAX, 0, beyond),
        (0, u64::MAX, beyond),
    ] {
        let asked = ProveConsistencyRequest {
            old_tree_size: old,
            new_tree_size: new,
            ..Default::default()
        };
        let answer = daemon.audit().prove_consistency(asked).await;
        assert_refused(answer, refused, &format!("{asked:?}"));
    }
    for (from, to) in [(7, 0), (1, 6), (u64::MAX, u64::MAX)] {
        let asked = ReadRawRequest {
            from_position: from,
            to_position: to,
            ..Default::default()
        };
        let answer = daemon
            .audit()
            .read_raw(asked)
            .await
            .map(|_| tonic::Response::new(()));
        assert_refused(answer, beyond, &format!("{asked:?}"));
    }
    daemon.stop().await;
}

#[track_caller]
fn assert_refused<T>(
    answer: Result<tonic::Response<T>, tonic::Status>,
    refused: (Code, &str),
    asked: &str,
) {
    let Err(status) = answer else {
        panic!("{asked} is answered");
    };
    let said = (status.code(), reason(&status));
    assert_eq!(said, (refused.0, Some(refused.1.to_owned())), "{asked}");
}
