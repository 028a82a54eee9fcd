//! Errors of the system's calls, put in by `strace`: each call on each file fails at its first time,
//! its second and so on. `when` counts for each thread of the daemon by itself.

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::Arc};

use tempfile::{TempDir, tempdir};

use super::{Ledger, serve};
use crate::{
    daemon::{Daemon, strace},
    durable::whole_trace,
    reading::picture,
};

/// A call on a file that fails.
#[derive(Clone, Copy)]
struct Fault {
    file: &'static str,
    call: &'static str,
    error: &'static str,
    /// As `strace` has it: the n-th call, or `n+` for that and all behind it.
    when: &'static str,
}

/// Of the log's file the daemon reads the header of its one segment and then all of it, in nine pieces,
/// before sled does: an error that sled met would cost the segment.
const WHENS_AT_START: [&str; 4] = ["1", "2", "3", "10"];

/// How often each kind of fault was put in.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn add(&mut self, fault: &Fault, injected: usize) {
        let kind = format!("{} of {}: {}", fault.call, fault.file, fault.error);
        *self.0.entry(kind).or_default() += injected;
    }

    fn show(&self, what: &str) {
        for (kind, count) in &self.0 {
            eprintln!("faults injected, {what}: {kind}: {count}");
        }
        let total: usize = self.0.values().sum();
        eprintln!("faults injected, {what}: total: {total}");
    }
}

/// The command that serves a directory and fails as it is told.
fn failing(fault: &Fault, data_dir: &Path, trace: &Path) -> Command {
    let Fault {
        file,
        call,
        error,
        when,
    } = fault;
    let mut command = strace();
    command
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:error={error}:when={when}")])
        .arg("-P")
        .arg(data_dir.join(file))
        .arg("-o")
        .arg(trace)
        .arg(env!("CARGO_BIN_EXE_stratad"))
        .args(crate::daemon::serve_arguments(data_dir));
    command
}

async fn injected(trace: &Path) -> usize {
    whole_trace(trace).await.matches("(INJECTED)").count()
}

/// Serves a directory with a fault until the daemon has stopped because of it, and asserts that it
/// said why and that all is there again.
async fn endure(fault: &Fault, tally: &mut Tally) -> (TempDir, Arc<Ledger>) {
    let dir = tempdir().expect("a directory");
    let (data_dir, trace) = (dir.path().join("data"), dir.path().join("trace"));
    fs::create_dir(&data_dir).expect("created");
    let ledger = Arc::new(Ledger::default());
    let daemon = Daemon::spawn(failing(fault, &data_dir, &trace)).await;
    let said = match daemon.serving_or_ended().await {
        Err(said) => said,
        Ok(daemon) => {
            ledger.write_until_refused(&daemon, "fault", 10).await;
            let (status, said) = daemon.ended().await;
            assert_eq!(status.code(), Some(1), "{}: {said}", fault.call);
            said
        }
    };
    let name = format!("{} of {} at {}", fault.call, fault.file, fault.when);
    assert!(says(&said, fault), "{name} is not said:\n{said}");
    let count = injected(&trace).await;
    assert!(count > 0, "{name} never came");
    tally.add(fault, count);
    (dir, ledger)
}

/// Whether the last line says what failed, in words for operators.
fn says(log: &str, fault: &Fault) -> bool {
    let reason = match fault.error {
        "EIO" => "Input/output error",
        "ENOSPC" => "No space left on device",
        "EROFS" => "Read-only file system",
        other => panic!("no words for {other}"),
    };
    let last = log.lines().last().unwrap_or_default();
    last.contains("\"level\":\"ERROR\"") && last.contains(reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_whichever_write_or_sync_of_the_log_fails() {
    let mut tally = Tally::default();
    let faults = |file, call, error, whens: &[&'static str]| {
        let fault = |when: &&'static str| Fault {
            file,
            call,
            error,
            when,
        };
        whens.iter().map(fault).collect::<Vec<_>>()
    };
    let all = [
        faults(
            "journal/db",
            "fdatasync",
            "EIO",
            &["1", "2", "5", "20", "3+"],
        ),
        faults("journal/db", "pwrite64", "EIO", &["2", "4", "9", "3+"]),
        faults("journal/db", "pwrite64", "ENOSPC", &["2", "4", "9", "3+"]),
        faults("journal/db", "pwrite64", "EROFS", &["2", "3+"]),
        faults("journal/db", "sync_file_range", "EIO", &["1", "2", "5"]),
        faults("high-water", "pwrite64", "EIO", &["1", "2", "20"]),
        faults("high-water", "fdatasync", "EIO", &["1", "2"]),
    ];
    for fault in all.iter().flatten() {
        let (dir, ledger) = endure(fault, &mut tally).await;
        assert!(ledger.acknowledged() == 0 || ledger.was_refused_for("WRITE_FAILED"));
        ledger.settle_in(&dir.path().join("data")).await;
    }
    tally.show("log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_cannot_be_written_is_never_shown_otherwise_than_the_log_has_it() {
    let mut tally = Tally::default();
    for (call, error, when) in [
        ("pwrite64", "EIO", "1"),
        ("pwrite64", "ENOSPC", "2"),
        ("pwrite64", "EROFS", "1+"),
        ("sync_file_range", "EIO", "1"),
        ("fdatasync", "EIO", "1"),
        ("fdatasync", "EIO", "2"),
    ] {
        let fault = Fault {
            file: "view/db",
            call,
            error,
            when,
        };
        let (dir, ledger) = endure(&fault, &mut tally).await;
        let data_dir = dir.path().join("data");
        let daemon = Daemon::start(&data_dir).await;
        ledger.settle(&daemon).await;
        let shown = picture(&daemon).await;
        daemon.stop().await;
        fs::remove_dir_all(data_dir.join("view")).expect("removed");
        let daemon = Daemon::start(&data_dir).await;
        assert!(picture(&daemon).await == shown, "{call} at {when}");
        daemon.stop().await;
    }
    tally.show("view");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_meets_an_error_ends_with_the_reason_or_serves_all() {
    let mut tally = Tally::default();
    let dir = tempdir().expect("a directory");
    let (data_dir, trace) = (dir.path().join("data"), dir.path().join("trace"));
    let ledger = Arc::new(Ledger::default());
    let daemon = Daemon::start(&data_dir).await;
    ledger.record(&daemon, 50).await;
    // Killed, so that opening it has the most to do.
    daemon.kill();
    for (file, call, error) in [
        ("LOCK", "openat", "EIO"),
        ("LOCK", "write", "ENOSPC"),
        ("FORMAT", "openat", "EIO"),
        ("high-water", "openat", "EIO"),
        ("high-water", "pread64", "EIO"),
        ("journal", "openat", "EIO"),
        ("journal", "fsync", "EIO"),
        ("journal/conf", "openat", "EIO"),
        ("journal/conf", "fsync", "EIO"),
        ("journal/db", "openat", "EIO"),
        ("journal/db", "openat", "EROFS"),
        ("journal/db", "fsync", "EIO"),
        ("journal/db", "pread64", "EIO"),
        ("journal/db", "pwrite64", "ENOSPC"),
        ("view/db", "openat", "EIO"),
        ("view/db", "fsync", "EIO"),
        ("view", "fsync", "EIO"),
    ] {
        for when in WHENS_AT_START {
            let fault = Fault {
                file,
                call,
                error,
                when,
            };
            let daemon = Daemon::spawn(failing(&fault, &data_dir, &trace)).await;
            match daemon.serving_or_ended().await {
                Ok(daemon) => {
                    ledger.settle(&daemon).await;
                    daemon.kill();
                }
                Err(said) => {
                    let last = said.lines().last().unwrap_or_default();
                    assert!(
                        last.contains("\"level\":\"ERROR\""),
                        "{file} {call}: {said}"
                    );
                    assert!(!last.contains("thread failed"), "{file} {call}: {said}");
                }
            }
            tally.add(&fault, injected(&trace).await);
        }
    }
    ledger.settle_in(&data_dir).await;
    tally.show("start");
    assert!(tally.0.values().all(|count| *count > 0), "some never came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_made_is_made_by_the_next_start() {
    let mut tally = Tally::default();
    for (file, call, error) in [
        ("CREATING", "openat", "EROFS"),
        ("CREATING", "write", "ENOSPC"),
        ("CREATING", "fsync", "EIO"),
        ("CREATING", "unlink", "EIO"),
        ("FORMAT.new", "write", "ENOSPC"),
        ("FORMAT.new", "rename", "EIO"),
        ("high-water", "write", "ENOSPC"),
        ("high-water", "fsync", "EIO"),
        ("journal/db", "pwrite64", "ENOSPC"),
        ("journal/db", "fsync", "EIO"),
    ] {
        let fault = Fault {
            file,
            call,
            error,
            when: "1",
        };
        let dir = tempdir().expect("a directory");
        let (data_dir, trace) = (dir.path().join("data"), dir.path().join("trace"));
        let daemon = Daemon::spawn(failing(&fault, &data_dir, &trace)).await;
        let said = daemon.serving_or_ended().await.err();
        let said = said.unwrap_or_else(|| panic!("{call} of {file} went unnoticed"));
        assert!(says(&said, &fault), "{call} of {file}: {said}");
        let count = injected(&trace).await;
        assert!(count > 0, "{call} of {file} never came");
        tally.add(&fault, count);
        let daemon = Daemon::spawn(serve(&data_dir, &[])).await;
        daemon.wait_until_serving().await;
        assert_eq!(daemon.head().await, 0);
        daemon.stop().await;
    }
    tally.show("creation");
}
