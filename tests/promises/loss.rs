//! A log that is not what was acknowledged is not served: the daemon says what it found and ends.

use std::{fs, path::Path, process::Command};

use strata::proto::LogEntry;
use tempfile::{TempDir, tempdir};

use crate::{
    daemon::{Daemon, create_plan, note, request, serve_arguments},
    reading::whole_log,
    view::{copy, cut, flip, used_bytes},
};

#[tokio::test]
async fn a_second_daemon_on_a_directory_is_refused() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let said = refusal(dir.path()).await;
    let expected = format!("is in use by process {}", daemon.pid());
    assert!(said.contains(&expected), "{said}");
    let created = request("growth", "one", create_plan());
    let answer = daemon.plans().execute(created).await;
    answer.expect("the first daemon is not disturbed");
    daemon.stop().await;
}

#[tokio::test]
async fn a_directory_of_another_format_is_refused() {
    let (dir, _) = written().await;
    let path = dir.path().join("FORMAT");
    let format = fs::read_to_string(&path).expect("a format");
    fs::write(&path, format.replace("format 1", "format 2")).expect("written");
    let said = refusal(dir.path()).await;
    assert!(said.contains("the data directory has format 2"), "{said}");
    assert!(said.contains("this version reads format 1"), "{said}");
    fs::write(&path, format).expect("written");
    Daemon::start(dir.path()).await.stop().await;
}

#[tokio::test]
async fn loss_is_noticed_when_files_are_gone_or_cut() {
    let (dir, _) = written().await;
    for file in ["journal/db", "journal/conf", "high-water", "FORMAT"] {
        let said = refused_after(dir.path(), |dir| {
            fs::remove_file(dir.join(file)).expect("deleted");
        })
        .await;
        let name = file.rsplit('/').next().expect("a name");
        assert!(said.contains(name), "{file}: {said}");
    }
    let said = refused_after(dir.path(), |dir| {
        fs::remove_dir_all(dir.join("journal")).expect("deleted");
    })
    .await;
    assert!(said.contains("journal"), "{said}");
    let used = used_bytes(&dir.path().join("journal/db"));
    for bytes in [0, 10, used / 4, used / 2, used - 600] {
        refused_after(dir.path(), |dir| cut(&dir.join("journal/db"), bytes)).await;
    }
    for bytes in [0, 30] {
        refused_after(dir.path(), |dir| cut(&dir.join("high-water"), bytes)).await;
    }
}

#[tokio::test]
async fn loss_is_noticed_when_the_log_is_rolled_back() {
    let (dir, _) = written().await;
    let earlier = tempdir().expect("a directory");
    copy(dir.path(), &earlier.path().join("data"));
    let daemon = Daemon::start(dir.path()).await;
    let noted = request("growth", "newest", note("newest"));
    daemon.plans().execute(noted).await.expect("recorded");
    let head = daemon.head().await;
    daemon.kill();
    let said = refused_after(dir.path(), |dir| {
        fs::remove_dir_all(dir.join("journal")).expect("deleted");
        copy(&earlier.path().join("data/journal"), &dir.join("journal"));
    })
    .await;
    let expected = format!(
        "ends at position {}, but position {head} was acknowledged",
        head - 1
    );
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn loss_is_noticed_when_files_of_two_logs_are_mixed() {
    let (dir, _) = written().await;
    let (other, _) = written().await;
    for name in ["high-water", "FORMAT"] {
        let said = refused_after(dir.path(), |dir| {
            fs::copy(other.path().join(name), dir.join(name)).expect("copied");
        })
        .await;
        assert!(said.contains("two data directories were mixed"), "{said}");
    }
    let said = refused_after(dir.path(), |dir| {
        fs::remove_dir_all(dir.join("journal")).expect("deleted");
        copy(&other.path().join("journal"), &dir.join("journal"));
    })
    .await;
    assert!(said.contains("not the one that was acknowledged"), "{said}");
}

#[tokio::test]
async fn loss_is_noticed_when_bytes_of_the_log_are_flipped() {
    let (dir, log) = written().await;
    let used = used_bytes(&dir.path().join("journal/db"));
    let mut refused = 0;
    let places = 24;
    for place in 0..places {
        let at = used * place / places + 7;
        let copied = tempdir().expect("a directory");
        let damaged = copied.path().join("data");
        copy(dir.path(), &damaged);
        flip(&damaged.join("journal/db"), &[at]);
        match start_or_refusal(&damaged).await {
            // A byte that nothing rests on.
            Ok(daemon) => {
                assert!(
                    whole_log(&daemon).await == log,
                    "served otherwise, flipped at {at}"
                );
                daemon.stop().await;
            }
            Err(said) => {
                assert!(said.contains("journal"), "flipped at {at}: {said}");
                refused += 1;
            }
        }
    }
    assert!(refused > places / 2, "{refused} of {places} were noticed");
}

/// A directory with a log whose daemon was stopped, and the log.
async fn written() -> (TempDir, Vec<LogEntry>) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let created = request("growth", "create", create_plan());
    daemon.plans().execute(created).await.expect("recorded");
    for number in 0..40 {
        let text = "words ".repeat(number + 1);
        let noted = request("growth", &format!("note-{number}"), note(&text));
        daemon.plans().execute(noted).await.expect("recorded");
    }
    let log = whole_log(&daemon).await;
    daemon.stop().await;
    (dir, log)
}

/// Damages a copy of a directory and returns what the daemon says that refuses it.
async fn refused_after(dir: &Path, damage: impl FnOnce(&Path)) -> String {
    let copied = tempdir().expect("a directory");
    let damaged = copied.path().join("data");
    copy(dir, &damaged);
    damage(&damaged);
    refusal(&damaged).await
}

/// What a daemon says that refuses to start, ending with status 1.
async fn refusal(dir: &Path) -> String {
    match start_or_refusal(dir).await {
        Ok(daemon) => panic!(
            "it serves {} commits; it said:\n{}",
            daemon.head().await,
            daemon.log()
        ),
        Err(said) => said,
    }
}

/// A daemon on a directory, if one starts; else what it says.
async fn start_or_refusal(dir: &Path) -> Result<Daemon, String> {
    let mut trial = Command::new(env!("CARGO_BIN_EXE_stratad"));
    trial.args(serve_arguments(dir));
    let daemon = Daemon::spawn(trial).await;
    daemon.serving_or_ended().await
}
