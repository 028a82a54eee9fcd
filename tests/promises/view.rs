//! The view is disposable: whatever becomes of it while the daemon is down, the next start answers
//! as before.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use strata::proto::{
    CorrectEvent, Event, ExecuteRequest, ExecuteResponse, NoteRecorded, PlanDescribed,
    RetractEvent, command::Kind, event,
};
use tempfile::{TempDir, tempdir};

use crate::{
    daemon::{Daemon, create_plan, note, request},
    reading::{Picture, assert_replayed, picture},
};

/// A plan gets a snapshot from so many commits on, so histories here are longer.
const SNAPSHOT_AFTER_COMMITS: usize = 32;
/// The smallest cache there is: plans are read from the view, not from memory.
const SMALL_CACHE: [&str; 2] = ["--plan-cache-bytes", "64KiB"];
/// What a daemon says when it makes the view anew.
const MADE_AGAIN: [&str; 2] = ["making it again", "there is no view of this log yet"];
/// What it says after reading commits into the view.
const HAS_READ: &str = "the view has read the log";

/// A directory with a history, and what its daemon answered.
struct History {
    dir: TempDir,
    answered: Vec<(ExecuteRequest, ExecuteResponse)>,
    picture: Picture,
}

#[tokio::test]
async fn replayable_when_the_view_is_deleted() {
    let history = history().await;
    let log = history
        .assert_answers_as_before(|dir| fs::remove_dir_all(dir.join("view")).expect("deleted"))
        .await;
    assert!(MADE_AGAIN.iter().any(|words| log.contains(words)), "{log}");
    assert!(log.contains(HAS_READ), "{log}");
}

#[tokio::test]
async fn replayable_when_files_of_the_view_are_cut_or_gone() {
    let history = history().await;
    for (file, bytes) in [
        ("db", 0),
        ("db", 1),
        ("db", 5_000),
        ("conf", 0),
        ("conf", 7),
    ] {
        history
            .assert_answers_as_before(|dir| cut(&dir.join("view").join(file), bytes))
            .await;
    }
    for file in ["db", "conf"] {
        history
            .assert_answers_as_before(|dir| {
                fs::remove_file(dir.join("view").join(file)).expect("deleted");
            })
            .await;
    }
}

#[tokio::test]
async fn replayable_when_bytes_of_the_view_are_flipped() {
    let history = history().await;
    let used = used_bytes(&history.dir.path().join("view/db"));
    let many: Vec<u64> = (100..used).step_by(512).collect();
    history
        .assert_answers_as_before(|dir| flip(&dir.join("view/db"), &many))
        .await;
    let places = 12;
    for place in 0..places {
        let at = used * place / places + 30;
        history
            .assert_answers_as_before(|dir| flip(&dir.join("view/db"), &[at]))
            .await;
    }
    history
        .assert_answers_as_before(|dir| flip(&dir.join("view/conf"), &[15]))
        .await;
}

#[tokio::test]
async fn replayable_when_the_view_is_of_another_log() {
    let history = history().await;
    let other = self::history().await;
    let log = history
        .assert_answers_as_before(|dir| {
            fs::remove_dir_all(dir.join("view")).expect("deleted");
            copy(&other.dir.path().join("view"), &dir.join("view"));
        })
        .await;
    assert!(log.contains("it is of another log"), "{log}");
}

#[tokio::test]
async fn a_view_from_earlier_is_brought_up_to_the_log() {
    let history = history().await;
    let earlier = tempdir().expect("a directory");
    copy(
        &history.dir.path().join("view"),
        &earlier.path().join("view"),
    );
    let History {
        dir, mut answered, ..
    } = history;
    let daemon = Daemon::start(dir.path()).await;
    let commands = [note("later"), retract(3), note("and later"), create_plan()];
    for (number, command) in commands.into_iter().enumerate() {
        let plan_id = if number == 3 { "newcomer" } else { "long" };
        answer(
            &daemon,
            request(plan_id, &format!("later-{number}"), command),
            &mut answered,
        )
        .await;
    }
    let later = History {
        picture: picture(&daemon).await,
        dir,
        answered,
    };
    let log = daemon.stop().await;
    assert!(!log.contains(HAS_READ), "{log}");
    let log = later
        .assert_answers_as_before(|dir| {
            fs::remove_dir_all(dir.join("view")).expect("deleted");
            copy(&earlier.path().join("view"), &dir.join("view"));
        })
        .await;
    assert!(!log.contains(MADE_AGAIN[0]), "{log}");
    assert_eq!(commits_read(&log), Some(4), "{log}");
}

#[tokio::test]
async fn a_start_reads_only_what_is_new() {
    let history = history().await;
    let daemon = Daemon::start(history.dir.path()).await;
    let command = note("the last words");
    daemon
        .plans()
        .execute(request("long", "last-words", command))
        .await
        .expect("recorded");
    assert_eq!(commits_read(&daemon.kill()), None, "after a clean stop");

    let daemon = Daemon::start(history.dir.path()).await;
    let read = commits_read(&daemon.stop().await).unwrap_or_default();
    assert!(
        read <= 1,
        "{read} commits were read for the one that may be new"
    );
}

#[tokio::test]
async fn read_your_writes_with_a_cache_that_holds_next_to_nothing() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &SMALL_CACHE).await;
    let mut answered = Vec::new();
    let plan_ids: Vec<String> = (0..60).map(|number| format!("plan-{number}")).collect();
    for round in 0..4 {
        for plan_id in &plan_ids {
            let command = if round == 0 {
                create_plan()
            } else {
                note("a note")
            };
            let request = request(plan_id, &format!("round-{round}"), command);
            answer(&daemon, request, &mut answered).await;
        }
        for plan_id in &plan_ids {
            let query = strata::proto::GetPlanRequest {
                plan_id: plan_id.clone(),
                ..Default::default()
            };
            let plan = daemon.plans().get_plan(query).await.expect("shown");
            let plan = plan.into_inner().plan.expect("a plan");
            assert_eq!(plan.revision, round + 1, "{plan_id}");
        }
    }
    let with_little = picture(&daemon).await;
    assert_replayed(&daemon, &answered).await;
    daemon.stop().await;

    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(picture(&daemon).await, with_little);
    daemon.stop().await;
}

impl History {
    /// Damages a copy of the directory, starts a daemon on it and asserts that it answers as the
    /// one before did. Returns what it logged.
    async fn assert_answers_as_before(&self, damage: impl FnOnce(&Path)) -> String {
        let copied = tempdir().expect("a directory");
        let dir = copied.path().join("data");
        copy(self.dir.path(), &dir);
        damage(&dir);
        let daemon = Daemon::start_with(&dir, &SMALL_CACHE).await;
        assert_replayed(&daemon, &self.answered).await;
        let picture = picture(&daemon).await;
        assert!(
            picture == self.picture,
            "it answers otherwise; it said:\n{}",
            daemon.log()
        );
        let next = request("long", "after-the-damage", note("it goes on"));
        daemon.plans().execute(next).await.expect("recorded");
        daemon.stop().await
    }
}

/// A history of plans with few and with many commits, amended before and after their snapshots; and
/// a real one. Its daemon was stopped.
async fn history() -> History {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    import_a_real_history(&daemon);
    let mut answered = Vec::new();
    for (plan_id, notes) in [
        ("short", 3),
        ("long", 2 * SNAPSHOT_AFTER_COMMITS),
        ("other", 40),
    ] {
        let created = request(plan_id, "create", create_plan());
        answer(&daemon, created, &mut answered).await;
        for number in 0..notes {
            let request = request(plan_id, &format!("note-{number}"), note(&texts(number)));
            answer(&daemon, request, &mut answered).await;
        }
        for (number, command) in amendments().into_iter().enumerate() {
            let request = request(plan_id, &format!("amend-{number}"), command);
            answer(&daemon, request, &mut answered).await;
        }
    }
    // The view is written, snapshots included; what follows comes after it.
    daemon.stop().await;
    let daemon = Daemon::start(dir.path()).await;
    for number in 0..SNAPSHOT_AFTER_COMMITS {
        let request = request("other", &format!("after-{number}"), note("after"));
        answer(&daemon, request, &mut answered).await;
    }
    let amended = request("other", "amended-late", retract(30));
    answer(&daemon, amended, &mut answered).await;
    let picture = picture(&daemon).await;
    daemon.stop().await;
    History {
        dir,
        answered,
        picture,
    }
}

fn texts(number: usize) -> String {
    format!("note {number} {}", "words ".repeat(number))
}

/// A description and its correction, a corrected note and a retracted one.
fn amendments() -> [Kind; 4] {
    let corrected = |revision, kind| {
        Kind::CorrectEvent(CorrectEvent {
            revision,
            replacement: Some(Event {
                kind: Some(kind),
                ..Default::default()
            }),
            reason: "it was wrong".into(),
            ..Default::default()
        })
    };
    let title = "A better plan".to_owned();
    let created = event::Kind::PlanCreated(strata::proto::PlanCreated {
        title: title.clone(),
        ..Default::default()
    });
    let noted = event::Kind::NoteRecorded(NoteRecorded {
        subject: "plan".into(),
        text: "what was meant".into(),
    });
    let described = PlanDescribed {
        title,
        ..Default::default()
    };
    [
        corrected(1, created),
        corrected(2, noted),
        Kind::DescribePlan(strata::proto::DescribePlan {
            title: described.title,
            summary: "described late".into(),
            ..Default::default()
        }),
        retract(4),
    ]
}

fn retract(revision: u64) -> Kind {
    Kind::RetractEvent(RetractEvent {
        revision,
        reason: "it was not so".into(),
    })
}

async fn answer(
    daemon: &Daemon,
    request: ExecuteRequest,
    answered: &mut Vec<(ExecuteRequest, ExecuteResponse)>,
) {
    let response = daemon.plans().execute(request.clone()).await;
    answered.push((request, response.expect("recorded").into_inner()));
}

fn import_a_real_history(daemon: &Daemon) {
    let history = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/smallpox-india.jsonl"
    );
    let imported = Command::new(env!("CARGO_BIN_EXE_stratad"))
        .args(["import", history, "--to", &daemon.url()])
        .output()
        .expect("stratad runs");
    let said = String::from_utf8_lossy(&imported.stderr);
    assert!(imported.status.success(), "{said}");
}

/// How many commits a start read into the view, if it said so.
fn commits_read(log: &str) -> Option<u64> {
    let line = log.lines().find(|line| line.contains(HAS_READ))?;
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    line.get("commits")?.as_u64()
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path: PathBuf = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

/// Cuts a file to so many bytes.
pub(crate) fn cut(path: &Path, bytes: u64) {
    let file = fs::File::options().write(true).open(path);
    file.expect("a file").set_len(bytes).expect("cut");
}

/// Flips all bits of the bytes at some places.
pub(crate) fn flip(path: &Path, places: &[u64]) {
    let file = fs::File::options().read(true).write(true).open(path);
    let file = file.expect("a file");
    for place in places {
        let mut byte = [0];
        file.read_exact_at(&mut byte, *place).expect("read");
        file.write_all_at(&[!byte[0]], *place).expect("flipped");
    }
}

/// How far a file is not zeros.
pub(crate) fn used_bytes(path: &Path) -> u64 {
    let bytes = fs::read(path).expect("a file");
    let last = bytes.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| last as u64 + 1)
}
