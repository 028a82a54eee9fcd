//! The signing key of a log: made once, shown, carried out and back, and never lost by mistake.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tempfile::{TempDir, tempdir};

use crate::{
    daemon::{Daemon, create_plan, request, serve_arguments},
    language::execute,
    run::{Run, run_of, well},
};

fn key(data_dir: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    let command = command
        .arg("key")
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir);
    run_of(command.output().expect("stratad runs"))
}

#[track_caller]
fn refused(run: &Run, words: &str) {
    assert_eq!(run.status, 1, "{}", run.error);
    assert!(run.error.contains(words), "{}", run.error);
}

/// A log with one commit, and the public key.
async fn stopped() -> (TempDir, String) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    execute(&daemon, request("growth", "one", create_plan())).await;
    let shown = well(key(dir.path(), &[]));
    assert_eq!(shown, well(key(dir.path(), &["show"])), "beside a daemon");
    daemon.stop().await;
    (dir, shown)
}

/// What a daemon says that does not start.
async fn refusal(data_dir: &Path) -> String {
    let mut trial = Command::new(env!("CARGO_BIN_EXE_stratad"));
    trial.args(serve_arguments(data_dir));
    let outcome = Daemon::spawn(trial).await.serving_or_ended().await;
    outcome.err().expect("it does not start")
}

fn secret(data_dir: &Path) -> String {
    fs::read_to_string(data_dir.join("signing-key")).expect("a key")
}

#[tokio::test]
async fn a_log_has_one_key_that_only_its_owner_may_read() {
    let (dir, shown) = stopped().await;
    assert!(shown.starts_with("strata/"), "{shown}");
    assert_eq!(shown.lines().count(), 1);
    let file = fs::metadata(dir.path().join("signing-key")).expect("a key");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(well(key(dir.path(), &[])), shown);
    // And its secret is in nothing that is said.
    let secret = secret(dir.path());
    let secret = secret.trim_end().splitn(5, '+').last().expect("parts");
    assert!(!daemon.stop().await.contains(secret));
    assert!(!shown.contains(secret));
}

#[tokio::test]
async fn a_key_is_carried_out_and_back() {
    let (dir, shown) = stopped().await;
    let outside = tempdir().expect("a directory");
    let backup = outside.path().join("strata.secret");
    let file = backup.to_str().expect("a path in UTF-8");
    let run = key(dir.path(), &["backup", file]);
    assert!(run.error.contains(shown.trim_end()), "{}", run.error);
    well(run);
    let mode = fs::metadata(&backup).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        fs::read_to_string(&backup).expect("read"),
        secret(dir.path())
    );
    refused(&key(dir.path(), &["backup", file]), "is not overwritten");

    // Given a directory that lost its key, as one that was restored.
    fs::remove_file(dir.path().join("signing-key")).expect("removed");
    refused(&key(dir.path(), &[]), "there is no signing key in");
    well(key(dir.path(), &["restore", file]));
    assert_eq!(well(key(dir.path(), &[])), shown);
    // Again is no harm.
    well(key(dir.path(), &["restore", file]));

    let daemon = Daemon::start(dir.path()).await;
    refused(&key(dir.path(), &["restore", file]), "is in use by process");
    daemon.stop().await;
}

#[tokio::test]
async fn another_key_is_put_in_the_place_of_one_only_when_that_is_said() {
    let (dir, old) = stopped().await;
    let outside = tempdir().expect("a directory");
    let backup = outside.path().join("strata.secret");
    let file = backup.to_str().expect("a path in UTF-8");
    well(key(dir.path(), &["backup", file]));
    fs::remove_file(dir.path().join("signing-key")).expect("removed");
    // Then a start makes a new one, and says so, for the log has commits.
    let daemon = Daemon::start(dir.path()).await;
    let log = daemon.stop().await;
    assert!(
        log.contains("WARN") && log.contains("made a new one"),
        "{log}"
    );
    let new = well(key(dir.path(), &[]));
    assert_ne!(new, old);
    let run = key(dir.path(), &["restore", file]);
    refused(&run, "--replace");
    assert!(run.error.contains(old.trim_end()), "{}", run.error);
    assert!(run.error.contains(new.trim_end()), "{}", run.error);
    assert_eq!(well(key(dir.path(), &[])), new);
    well(key(dir.path(), &["restore", "--replace", file]));
    assert_eq!(well(key(dir.path(), &[])), old);
}

#[tokio::test]
async fn a_key_that_is_damaged_or_of_another_log_is_refused_in_words() {
    let (dir, shown) = stopped().await;
    let (other, _) = stopped().await;
    let outside = tempdir().expect("a directory");
    let backup = outside.path().join("strata.secret");
    let file = backup.to_str().expect("a path in UTF-8");
    well(key(dir.path(), &["backup", file]));
    let theirs = outside.path().join("theirs.key");
    let theirs = theirs.to_str().expect("a path in UTF-8");
    well(key(other.path(), &["backup", theirs]));
    refused(&key(dir.path(), &["restore", theirs]), "is the key of log");
    refused(
        &key(dir.path(), &["restore", "/dev/null"]),
        "is not a signing key",
    );
    refused(&key(dir.path(), &["restore", "/nowhere"]), "/nowhere");
    let public = outside.path().join("strata.pub");
    fs::write(&public, &shown).expect("written");
    refused(
        &key(dir.path(), &["restore", public.to_str().expect("UTF-8")]),
        "holds the public key",
    );

    for wrong in ["PRIVATE+KEY+strata".to_owned(), secret(other.path())] {
        fs::write(dir.path().join("signing-key"), &wrong).expect("written");
        let said = refusal(dir.path()).await;
        assert!(said.contains("stratad key restore FILE"), "{said}");
        assert!(said.contains("tell the auditors"), "{said}");
        assert_eq!(secret(dir.path()), wrong, "it was left as it was");
        assert_eq!(key(dir.path(), &[]).status, 1);
        // And the advice holds.
        well(key(dir.path(), &["restore", file]));
        assert_eq!(well(key(dir.path(), &[])), shown);
    }
    Daemon::start(dir.path()).await.stop().await;
}

#[test]
fn a_directory_without_a_log_has_no_key() {
    let dir = tempdir().expect("a directory");
    refused(&key(dir.path(), &[]), "there is no log in");
    refused(&key(&dir.path().join("missing"), &[]), "there is no log in");
    assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 0);
    // The variable counts as it does for `serve`.
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    let output = command
        .arg("key")
        .env("STRATA_DATA_DIR", dir.path())
        .output();
    let said = String::from_utf8(output.expect("stratad runs").stderr).expect("text");
    assert!(said.contains(dir.path().to_str().expect("UTF-8")), "{said}");
}
