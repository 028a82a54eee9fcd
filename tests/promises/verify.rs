//! `stratad verify` finds what holds, names what is damaged, and with a checkpoint that was kept from
//! before it convicts whoever rewrote history, however well.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use strata::{
    journal::LogId,
    merkle::proof::check_consistency,
    notary::{Checkpoint, VerifierKey},
    proto::{
        GetCheckpointRequest, GetCheckpointResponse, ProveConsistencyRequest,
        ProveConsistencyResponse,
    },
};
use tempfile::{TempDir, tempdir};
use tokio::task::JoinSet;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    reading::whole_log,
    view::{copy, flip},
};

mod forger;
mod verdicts;

use self::forger::{History, change_value, history, text_of, write_backup, write_directory};

const HOLDS: i32 = 0;
const DOES_NOT_HOLD: i32 = 1;
const NOT_VERIFIED: i32 = 2;

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `stratad` to its end.
pub(crate) fn stratad(arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    let output = command.args(arguments).output().expect("stratad runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Outcome {
        status: output.status.code().expect("no signal"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A log with its key and a checkpoint that an auditor kept on a Monday, when it had `MONDAY` commits.
struct Kept {
    dir: TempDir,
    key: String,
    monday: String,
}

const MONDAY: u64 = 12;

impl Kept {
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn file(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    fn log_id(&self) -> LogId {
        let key: VerifierKey = self.key.parse().expect("a key");
        LogId::from_bytes(key.log_id())
    }

    fn opened(&self, note: &str) -> Checkpoint {
        let key: VerifierKey = self.key.parse().expect("a key");
        key.verify(note).expect("signed by the same key")
    }

    fn keep(&self, name: &str, text: &str) -> String {
        let file = self.file(name);
        fs::write(&file, text).expect("written");
        file
    }

    /// Verifies a source with the key and nothing else.
    fn trustingly(&self, source: &str) -> Outcome {
        stratad(&["verify", source, "--key", &self.key])
    }

    /// Verifies a source with the key and Monday's checkpoint.
    fn with_monday(&self, source: &str) -> Outcome {
        let monday = self.file("monday.checkpoint");
        stratad(&[
            "verify",
            source,
            "--key",
            &self.key,
            "--checkpoint",
            &monday,
        ])
    }

    /// Asserts that a source is content by itself and that Monday convicts it.
    #[track_caller]
    fn assert_only_monday_convicts(&self, source: &str, why: &str) {
        let trusted = self.trustingly(source);
        assert_eq!(trusted.status, HOLDS, "{trusted:?}");
        let convicted = self.with_monday(source);
        assert_eq!(convicted.status, DOES_NOT_HOLD, "{convicted:?}");
        assert!(convicted.out.contains("CONVICTS"), "{convicted:?}");
        assert!(convicted.out.contains("monday.checkpoint"), "{convicted:?}");
        assert!(convicted.out.contains(why), "{convicted:?}");
    }
}

async fn record(daemon: &Daemon, plan: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let command = if number == 0 {
            create_plan()
        } else {
            note(&format!("note {number} of {plan}"))
        };
        let sent = request(plan, &format!("request-{number}"), command);
        daemon.plans().execute(sent).await.expect("recorded");
    }
}

async fn signed(daemon: &Daemon) -> GetCheckpointResponse {
    let mut client = daemon.audit();
    let answer = client.get_checkpoint(GetCheckpointRequest::default());
    answer.await.expect("signed").into_inner()
}

async fn checkpoint(daemon: &Daemon) -> String {
    signed(daemon).await.checkpoint
}

async fn consistency(daemon: &Daemon, old_tree_size: u64) -> ProveConsistencyResponse {
    let asked = ProveConsistencyRequest {
        old_tree_size,
        ..Default::default()
    };
    let proof = daemon.audit().prove_consistency(asked).await;
    proof.expect("proved").into_inner()
}

/// A daemon on a log of two plans, Monday's checkpoint, and more commits since.
async fn begun() -> (Kept, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(&dir.path().join("data")).await;
    record(&daemon, "growth", 0..7).await;
    record(&daemon, "thrift", 0..5).await;
    let monday = checkpoint(&daemon).await;
    let key = signed(&daemon).await.verifier_key;
    let kept = Kept { dir, key, monday };
    assert_eq!(kept.opened(&kept.monday).size, MONDAY);
    kept.keep("monday.checkpoint", &kept.monday);
    record(&daemon, "growth", 7..12).await;
    (kept, daemon)
}

/// The same, stopped, and the history.
async fn written() -> (Kept, History) {
    let (kept, daemon) = begun().await;
    let history = history(&whole_log(&daemon).await);
    daemon.stop().await;
    (kept, history)
}

#[tokio::test]
async fn tamper_evident_is_a_log_that_holds_wherever_it_is_read() {
    let (kept, daemon) = begun().await;
    let (full, since) = (kept.file("full.strata"), kept.file("since.strata"));
    let backed_up = stratad(&["backup", &full, "--from", &daemon.url()]);
    assert_eq!(backed_up.status, 0, "{backed_up:?}");
    record(&daemon, "thrift", 5..9).await;
    let backed_up = stratad(&["backup", &since, "--from", &daemon.url(), "--after", &full]);
    assert_eq!(backed_up.status, 0, "{backed_up:?}");
    let today = kept.keep("today.checkpoint", &(checkpoint(&daemon).await + "\n"));
    let monday = kept.file("monday.checkpoint");
    // As `stratad key` leaves it in a file.
    let key = kept.keep("strata.pub", &(kept.key.clone() + "\n"));
    let (url, data) = (daemon.url(), kept.file("data"));
    let (url, data, full, since) = (url.as_str(), data.as_str(), full.as_str(), since.as_str());
    let (key, monday, today) = (key.as_str(), monday.as_str(), today.as_str());
    let sources: [&[&str]; 4] = [&[url], &[daemon.address()], &[full, since], &[since, full]];
    let verify = |sources: &[&str]| {
        let told = ["--key", key, "--checkpoint", monday, "--checkpoint", today];
        let outcome = stratad(&[&["verify"][..], sources, &told[..]].concat());
        assert_eq!(outcome.status, HOLDS, "{outcome:?}");
        for said in [
            "21 commits of 2 plans are whole: positions 1 to 21",
            &format!("{monday}, of 12 commits (signed by strata/"),
            &format!("{today}, of 21 commits (signed by strata/"),
            "HOLDS: 21 commits",
        ] {
            assert!(outcome.out.contains(said), "{said}: {outcome:?}");
        }
        outcome.out
    };
    for source in sources {
        verify(source);
    }
    let root = stratad(&["verify", full, since]).out;
    assert!(root.contains("signatures were not checked"), "{root}");
    assert!(root.contains(&hex::encode(kept.opened(&checkpoint(&daemon).await).root)));

    // An incremental backup alone stands on its header, and cannot say what was before.
    let alone = stratad(&["verify", since, "--key", key, "--checkpoint", today]);
    assert_eq!(alone.status, HOLDS, "{alone:?}");
    assert!(
        alone.out.contains("positions 1 to 17 are not in these"),
        "{alone:?}"
    );
    let alone = stratad(&["verify", since, "--checkpoint", monday]);
    assert_eq!(alone.status, NOT_VERIFIED, "{alone:?}");
    assert!(alone.out.contains("UNKNOWN"), "{alone:?}");
    assert!(alone.out.contains("NOT VERIFIED: 1 that"), "{alone:?}");

    // While a daemon has it, the directory is its own.
    let held = stratad(&["verify", data]);
    assert_eq!(held.status, NOT_VERIFIED, "{held:?}");
    let process = format!("in use by process {}", daemon.pid());
    assert!(held.err.contains(&process), "{held:?}");
    assert!(
        held.err.contains("verified at its daemon's URL"),
        "{held:?}"
    );
    daemon.stop().await;
    let said = verify(&[data]);
    assert!(
        said.contains("holds    the directory's high-water mark"),
        "{said}"
    );
    Daemon::start(&kept.data()).await.stop().await;
}

#[tokio::test]
async fn tamper_evident_is_a_history_that_was_rewritten_with_all_that_vouches_for_it() {
    let (kept, mut history) = written().await;
    let text = text_of(&mut history[4]);
    assert_eq!(text, "note 4 of growth");
    *text = text.replace('4', "5");
    let forged = kept.dir.path().join("rewritten");
    write_directory(&kept.data(), kept.log_id(), &history, &forged);
    let daemon = Daemon::start(&forged).await;

    // It serves the new history and signs it with the old key.
    let served = forger::history(&whole_log(&daemon).await);
    assert_eq!(served, history);
    let today = checkpoint(&daemon).await;
    let opened = kept.opened(&today);
    assert_eq!(opened.size, 17);
    let why = "these commits are not those of the log";
    kept.assert_only_monday_convicts(&daemon.url(), why);

    // No proof leads from the old checkpoint to the new one.
    let monday = kept.opened(&kept.monday);
    let proof = consistency(&daemon, MONDAY).await;
    let hashes = proof.hashes.iter().map(|hash| hash[..].try_into());
    let hashes: Vec<[u8; 32]> = hashes.collect::<Result<_, _>>().expect("32 bytes each");
    let proved = check_consistency(MONDAY, &monday.root, opened.size, &opened.root, &hashes);
    proved.expect_err("it is another history");
    assert_ne!(proof.old_root, monday.root[..]);
    #[cfg(feature = "ci")]
    assert_convicted_without_our_code(&kept, &today, &proof);

    let backup = kept.file("rewritten.strata");
    let backed_up = stratad(&["backup", &backup, "--from", &daemon.url()]);
    assert_eq!(backed_up.status, 0, "{backed_up:?}");
    daemon.stop().await;
    kept.assert_only_monday_convicts(&backup, why);
    kept.assert_only_monday_convicts(forged.to_str().expect("a path in UTF-8"), why);
    let honest = kept.with_monday(&kept.file("data"));
    assert_eq!(honest.status, HOLDS, "{honest:?}");
}

/// The script that auditors are given comes to the same.
#[cfg(feature = "ci")]
fn assert_convicted_without_our_code(kept: &Kept, today: &str, proof: &ProveConsistencyResponse) {
    use base64::Engine as _;

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check_proof.py");
    let encode = |hash: &bytes::Bytes| base64::prelude::BASE64_STANDARD.encode(hash);
    let hashes: Vec<_> = proof.hashes.iter().map(encode).collect();
    let proof = serde_json::json!({ "hashes": hashes }).to_string();
    let (monday, today) = (kept.file("monday.checkpoint"), kept.keep("today", today));
    let check = |arguments: &[&str]| {
        let output = Command::new("python3")
            .arg(&script)
            .args(arguments)
            .output();
        let output = output.expect("this test needs python3 and openssl: install them");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said)
    };
    let signed = check(&["checkpoint", &kept.key, &today]);
    assert!(signed.0, "{signed:?}");
    let proof = kept.keep("consistency.json", &proof);
    let convicted = check(&["consistency", &kept.key, &monday, &today, &proof]);
    assert!(!convicted.0, "{convicted:?}");
    assert!(
        convicted.1.contains("history was rewritten"),
        "{convicted:?}"
    );
}

#[tokio::test]
async fn tamper_evident_is_a_directory_that_was_put_back_to_an_earlier_day() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(&dir.path().join("data")).await;
    record(&daemon, "growth", 0..7).await;
    daemon.stop().await;
    let sunday = dir.path().join("sunday");
    copy(&dir.path().join("data"), &sunday);

    let daemon = Daemon::start(&dir.path().join("data")).await;
    record(&daemon, "growth", 7..12).await;
    let answer = signed(&daemon).await;
    daemon.stop().await;
    let kept = Kept {
        dir,
        key: answer.verifier_key,
        monday: answer.checkpoint,
    };
    kept.keep("monday.checkpoint", &kept.monday);
    fs::remove_dir_all(kept.data()).expect("removed");
    copy(&sunday, &kept.data());

    // Shorter than it was.
    let daemon = Daemon::start(&kept.data()).await;
    let why = "the log ends at position 7: commits were taken back";
    kept.assert_only_monday_convicts(&daemon.url(), why);
    let asked = ProveConsistencyRequest {
        old_tree_size: MONDAY,
        ..Default::default()
    };
    let refused = daemon.audit().prove_consistency(asked).await;
    refused.expect_err("it is not that long");
    daemon.stop().await;
    kept.assert_only_monday_convicts(&kept.file("data"), why);

    // As long again, and longer, with other commits under the same positions.
    let daemon = Daemon::start(&kept.data()).await;
    record(&daemon, "thrift", 0..9).await;
    assert!(daemon.head().await > MONDAY);
    let why = "these commits are not those of the log";
    kept.assert_only_monday_convicts(&daemon.url(), why);
    let monday = kept.opened(&kept.monday);
    assert_ne!(consistency(&daemon, MONDAY).await.old_root, monday.root[..]);
    daemon.stop().await;
    kept.assert_only_monday_convicts(&kept.file("data"), why);
}

#[tokio::test]
async fn tamper_evident_is_a_commit_that_was_moved_or_dropped_or_put_in() {
    let (kept, history) = written().await;
    let backup = kept.file("forged.strata");
    let why = "these commits are not those of the log";
    // The last commit of one plan before Monday and the first of the other.
    let mut moved = history.clone();
    let (earlier, later) = (moved[6].recorded_at, moved[7].recorded_at);
    moved.swap(6, 7);
    (moved[6].recorded_at, moved[7].recorded_at) = (earlier, later);
    let mut dropped = history.clone();
    dropped.remove(11);
    let mut put_in = history.clone();
    let mut another = put_in[0].clone();
    another.plan_id = "another".to_owned();
    another.recorded_at = put_in[8].recorded_at;
    put_in.insert(9, another);
    for forged in [&moved, &dropped, &put_in] {
        write_backup(kept.log_id(), forged, Path::new(&backup));
        kept.assert_only_monday_convicts(&backup, why);
    }
    // Who forgets what else belongs to it is found out without a checkpoint.
    let mut clumsy = history.clone();
    clumsy.remove(3);
    let mut late = history.clone();
    late[5].recorded_at.as_mut().expect("a time").seconds += 3_600;
    let mut swapped = history.clone();
    swapped.swap(2, 3);
    for (forged, found) in [
        (
            clumsy,
            "position 4: goes on with plan \"growth\" at revision 5",
        ),
        (late, "position 7: was recorded earlier"),
        (
            swapped,
            "position 3: goes on with plan \"growth\" at revision 4",
        ),
    ] {
        write_backup(kept.log_id(), &forged, Path::new(&backup));
        let outcome = kept.trustingly(&backup);
        assert_eq!(outcome.status, DOES_NOT_HOLD, "{outcome:?}");
        assert!(outcome.out.contains(found), "{found}: {outcome:?}");
    }
}

#[tokio::test]
async fn damage_is_named_by_its_position() {
    let (kept, history) = written().await;
    let backup = kept.file("whole.strata");
    write_backup(kept.log_id(), &history, Path::new(&backup));
    let flip_text = |file: &Path| {
        let text = b"note 4 of growth";
        let bytes = fs::read(file).expect("read");
        let places = bytes.windows(text.len()).zip(0..);
        let places = places.filter(|(found, _)| found == text);
        let places: Vec<u64> = places.map(|(_, place)| place).collect();
        assert!(!places.is_empty(), "the text is nowhere");
        flip(file, &places);
    };
    let damaged = kept.file("damaged.strata");
    fs::copy(&backup, &damaged).expect("copied");
    flip_text(Path::new(&damaged));
    let outcome = kept.with_monday(&damaged);
    assert_eq!(outcome.status, DOES_NOT_HOLD, "{outcome:?}");
    assert!(outcome.out.contains("DAMAGED  position 5: "), "{outcome:?}");

    let bytes = fs::read(&backup).expect("read");
    fs::write(&damaged, &bytes[..bytes.len() - 7]).expect("cut");
    let outcome = kept.with_monday(&damaged);
    assert_eq!(outcome.status, DOES_NOT_HOLD, "{outcome:?}");
    assert!(outcome.out.contains("incomplete"), "{outcome:?}");
    // But all the commits are there, and those up to Monday are those of Monday.
    assert!(outcome.out.contains("positions 1 to 17"), "{outcome:?}");
    assert!(outcome.out.contains("holds    "), "{outcome:?}");

    let directory = kept.dir.path().join("damaged");
    copy(&kept.data(), &directory);
    flip_text(&directory.join("journal/db"));
    let outcome = kept.with_monday(directory.to_str().expect("a path in UTF-8"));
    assert_eq!(outcome.status, DOES_NOT_HOLD, "{outcome:?}");
    assert!(outcome.out.contains("DAMAGED"), "{outcome:?}");

    // With the engine's own checksums made to fit, only ours tell.
    let directory = kept.dir.path().join("other-value");
    copy(&kept.data(), &directory);
    change_value(&directory, 5);
    let outcome = kept.with_monday(directory.to_str().expect("a path in UTF-8"));
    assert_eq!(outcome.status, DOES_NOT_HOLD, "{outcome:?}");
    assert!(outcome.out.contains("position 5: "), "{outcome:?}");
}

#[tokio::test]
async fn keys_and_checkpoints_that_say_nothing_of_the_log_are_refused_in_words() {
    let (kept, _) = written().await;
    let other_dir = tempdir().expect("a directory");
    let other = Daemon::start(other_dir.path()).await;
    let answer = signed(&other).await;
    other.stop().await;
    let data = kept.file("data");
    let monday = kept.file("monday.checkpoint");
    let foreign = kept.keep("foreign.checkpoint", &answer.checkpoint);
    let changed = kept.keep("changed", &kept.monday.replace("\n12\n", "\n13\n"));
    let cut = kept.keep("cut", &kept.monday[..kept.monday.len() / 2]);
    let (key, other_key) = (kept.key.as_str(), answer.verifier_key.as_str());
    let secret = kept.data().join("signing-key");
    let secret = secret.to_str().expect("a path in UTF-8");
    let cases: [(&[&str], &str); 9] = [
        (&["--key", other_key], "is of log"),
        (
            &["--key", other_key, "--checkpoint", &monday],
            "is not signed by the key",
        ),
        (
            &["--checkpoint", &foreign],
            "it says nothing about this one",
        ),
        (
            &["--key", key, "--checkpoint", &foreign],
            "is not signed by the key",
        ),
        (
            &["--key", key, "--checkpoint", &changed],
            "its text was changed",
        ),
        (&["--checkpoint", &cut], "no signed checkpoint"),
        (&["--checkpoint", "nowhere"], "cannot read nowhere"),
        (&["--key", "nowhere"], "there is no such file"),
        (&["--key", secret], "the SECRET key"),
    ];
    for (told, said) in cases {
        let outcome = stratad(&[&["verify", data.as_str()][..], told].concat());
        assert_eq!(outcome.status, NOT_VERIFIED, "{told:?}: {outcome:?}");
        assert!(outcome.err.contains(said), "{told:?}: {outcome:?}");
        assert!(!outcome.err.contains("PRIVATE+KEY"), "{outcome:?}");
    }
    // One of the old key and one of the new: both are given, and each finds its own.
    let told = [
        "--key",
        key,
        "--checkpoint",
        &monday,
        "--checkpoint",
        &monday,
    ];
    let outcome = stratad(&[&["verify", data.as_str()][..], &told[..]].concat());
    assert_eq!(outcome.status, HOLDS, "{outcome:?}");
    let elsewhere = kept.file("elsewhere");
    for (sources, said) in [
        (
            vec![elsewhere.as_str()],
            "there is no file and no directory",
        ),
        (vec![data.as_str(), &monday], "cannot be verified together"),
        (vec![monday.as_str()], "it is no backup"),
        (
            vec![kept.dir.path().to_str().expect("UTF-8")],
            "is no data directory",
        ),
        (vec!["127.0.0.1:1"], "cannot connect to http://127.0.0.1:1"),
    ] {
        let outcome = stratad(&[&["verify"][..], sources.as_slice()].concat());
        assert_eq!(outcome.status, NOT_VERIFIED, "{sources:?}: {outcome:?}");
        assert!(outcome.err.contains(said), "{sources:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn tamper_evident_are_checkpoints_of_an_old_key_and_of_a_new_one() {
    let (kept, daemon) = begun().await;
    daemon.stop().await;
    fs::remove_file(kept.data().join("signing-key")).expect("removed");
    let daemon = Daemon::start(&kept.data()).await;
    record(&daemon, "thrift", 5..7).await;
    let answer = signed(&daemon).await;
    let tuesday = kept.keep("tuesday.checkpoint", &answer.checkpoint);
    let (url, monday) = (daemon.url(), kept.file("monday.checkpoint"));
    let old_alone = kept.with_monday(&url);
    verdicts::assert_unsigned(&old_alone, &kept.key, &answer.verifier_key);
    let keys = format!("{}\n\n{}\n", kept.key, answer.verifier_key);
    let both = kept.keep("strata.keys", &keys);
    for keys in [
        vec!["--key", both.as_str()],
        vec!["--key", kept.key.as_str(), "--key", &answer.verifier_key],
    ] {
        let told = [
            "verify",
            url.as_str(),
            "--checkpoint",
            &monday,
            "--checkpoint",
            &tuesday,
        ];
        let outcome = stratad(&[&told[..], keys.as_slice()].concat());
        assert_eq!(outcome.status, HOLDS, "{outcome:?}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tamper_evident_is_a_log_while_writes_go_on() {
    let (kept, daemon) = begun().await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let mut plans = daemon.plans();
        writers.spawn(async move {
            let plan_id = format!("busy-{writer}");
            for number in 0_u64.. {
                let command = if number == 0 {
                    create_plan()
                } else {
                    note("busy")
                };
                let sent = request(&plan_id, &format!("request-{number}"), command);
                plans.execute(sent).await.expect("recorded");
            }
        });
    }
    let url = daemon.url();
    let mut heads = Vec::new();
    for _ in 0..5 {
        heads.push(daemon.head().await);
        let outcome = tokio::task::block_in_place(|| kept.with_monday(&url));
        assert_eq!(outcome.status, HOLDS, "{outcome:?}");
    }
    assert!(
        heads.first() < heads.last(),
        "nothing was written meanwhile"
    );
    writers.shutdown().await;
    daemon.stop().await;
}
