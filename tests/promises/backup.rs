//! A backup is taken while the daemon serves and records: it is a prefix of the log, whole, and a
//! file appears only when all of it is there.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use strata::{
    backup::chain::{self, ChainError, Checked},
    proto::{LogEntry, ReadLogRequest},
};
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request},
    language::{commands, connect, execute},
    reading::{assert_sound, read_log, whole_log},
    run::{Run, run_of, stratad},
};

mod target;

const WRITERS: usize = 6;

/// What `stratad` says that refuses what it was asked for.
#[track_caller]
pub(crate) fn refused(arguments: &[&str]) -> String {
    let run = stratad(arguments);
    assert_eq!(run.status, 1, "{arguments:?}: {}", run.out);
    assert_eq!(run.out, "", "{arguments:?}");
    run.error
}

/// Takes a backup, the rest of whose arguments follow, and says what was said.
#[track_caller]
pub(crate) fn backup(daemon: &Daemon, file: &Path, arguments: &[&str]) -> String {
    let url = daemon.url();
    let taken = [&["backup", text(file), "--from", &url], arguments].concat();
    let run = stratad(&taken);
    assert_eq!(run.status, 0, "{}", run.error);
    // Where nobody looks, no bar is drawn.
    assert_eq!(run.error, "");
    run.out
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// What a file holds that is whole.
pub(crate) fn read(file: &Path) -> (Checked, Vec<LogEntry>) {
    let mut log = Vec::new();
    let commits = |entries: Vec<strata::journal::Entry>| {
        log.extend(entries.into_iter().map(|entry| LogEntry {
            position: entry.position,
            commit: entry.commit,
        }));
        Ok::<(), ChainError>(())
    };
    let checked = chain::walk(file, commits, |_| {}).expect("a whole backup");
    (checked, log)
}

/// The names in a directory, in order.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// Records a plan with so many notes.
pub(crate) async fn write(daemon: &Daemon, plan_id: &str, count: usize) {
    execute(daemon, request(plan_id, "create", create_plan())).await;
    for number in 0..count {
        let noted = request(plan_id, &format!("note-{number}"), note("words"));
        execute(daemon, noted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_durable_is_shown_in_a_backup_that_is_taken_while_writers_write() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let daemon = Daemon::start(dir.path()).await;
    let (stop, stopped) = watch::channel(false);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (mut plans, stopped) = (connect(&daemon).await, stopped.clone());
        writers.spawn(async move {
            let plan_id = format!("plan-{writer}");
            let created = request(&plan_id, "create", create_plan());
            plans.execute(created).await.expect("recorded");
            for number in 0.. {
                if *stopped.borrow() {
                    break;
                }
                let noted = request(&plan_id, &format!("note-{number}"), note("words"));
                plans.execute(noted).await.expect("recorded");
            }
        });
    }
    let mut before: Option<PathBuf> = None;
    let mut entries = Vec::new();
    for number in 0..5 {
        let acknowledged = daemon.head().await;
        let file = kept.path().join(format!("{number}.strata"));
        let (url, after) = (daemon.url(), before.clone());
        let taken = tokio::task::spawn_blocking({
            let file = file.clone();
            move || {
                let mut arguments = vec!["backup", text(&file), "--from", &url];
                if let Some(before) = &after {
                    arguments.extend(["--after", text(before)]);
                }
                stratad(&arguments)
            }
        });
        let run = taken.await.expect("it ran");
        assert_eq!(run.status, 0, "{}", run.error);
        let (checked, part) = read(&file);
        assert!(checked.trailer.head >= acknowledged, "{acknowledged}");
        assert_eq!(checked.header.from_position(), entries.len() as u64 + 1);
        entries.extend(part);
        assert_eq!(entries.len() as u64, checked.trailer.head);
        before = Some(file);
    }
    stop.send(true).expect("writers");
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer that found nothing wrong");
    }
    let log = whole_log(&daemon).await;
    assert_sound(&log);
    assert!(entries.len() > WRITERS && log.starts_with(&entries));
    daemon.stop().await;
}

#[tokio::test]
async fn a_backup_says_what_it_holds_and_a_second_one_only_what_came_since() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let daemon = Daemon::start(dir.path()).await;
    let file = |name: &str| kept.path().join(name);
    let (empty, full, next) = (file("empty"), file("full"), file("next"));

    let said = backup(&daemon, &empty, &[]);
    assert!(said.contains("positions 1 to 0 of log"), "{said}");
    let said = backup(&daemon, &file("none"), &["--after", text(&empty)]);
    assert!(
        said.contains("positions 1 to 0"),
        "a backup of an empty log is one: {said}"
    );

    write(&daemon, "growth", 4).await;
    let said = backup(&daemon, &full, &[]);
    let (checked, log) = read(&full);
    assert_eq!(log, whole_log(&daemon).await);
    let bytes = fs::metadata(&full).expect("a file").len();
    for part in [
        "positions 1 to 5 of log".to_owned(),
        format!("{}", checked.header.log_id),
        format!(
            "5 commits, {bytes} bytes, root {}",
            hex::encode(checked.trailer.root)
        ),
    ] {
        assert!(said.contains(&part), "{said}");
    }
    let said = backup(&daemon, &next, &["--after", text(&full)]);
    assert!(said.contains("nothing is new"), "{said}");
    assert!(said.contains("still ends at position 5"), "{said}");
    assert!(!next.exists());

    write(&daemon, "bakery", 1).await;
    let said = backup(&daemon, &next, &["--after", text(&full)]);
    assert!(said.contains("positions 6 to 7"), "{said}");
    let (by_file, log) = read(&next);
    let since = ReadLogRequest {
        start: Some(strata::proto::read_log_request::Start::FromPosition(6)),
        ..Default::default()
    };
    assert_eq!(log, read_log(&daemon, since).await);
    let by_position = file("by-position");
    backup(&daemon, &by_position, &["--from-position", "6"]);
    assert_eq!(read(&by_position).0.header.before, by_file.header.before);
    daemon.stop().await;
}

#[tokio::test]
async fn a_backup_replaces_no_file_unless_it_is_told_to() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, "growth", 1).await;
    let (file, url) = (kept.path().join("full.strata"), daemon.url());
    fs::write(&file, "precious").expect("written");
    let said = refused(&["backup", text(&file), "--from", &url]);
    assert!(
        said.contains("exists") && said.contains("--overwrite"),
        "{said}"
    );
    let said = refused(&["backup", text(&file), "--from", &url, "--overwrite"]);
    assert!(said.contains("is no backup"), "{said}");
    assert_eq!(fs::read(&file).expect("a file"), b"precious");
    fs::remove_file(&file).expect("removed");
    backup(&daemon, &file, &[]);
    backup(&daemon, &file, &["--overwrite"]);
    assert_eq!(read(&file).1.len(), 2);
    assert_eq!(names_in(kept.path()), ["full.strata"]);

    let nowhere = kept.path().join("missing/full.strata");
    let said = refused(&["backup", text(&nowhere), "--from", &url]);
    assert!(said.contains("there is no directory"), "{said}");
    let beyond = kept.path().join("beyond");
    let said = refused(&[
        "backup",
        text(&beyond),
        "--from",
        &url,
        "--from-position",
        "4",
    ]);
    assert!(said.contains("OUT_OF_RANGE (BEYOND_HEAD)"), "{said}");
    assert!(!said.contains("again"), "{said}");
    daemon.stop().await;
    let said = refused(&["backup", text(&beyond), "--from", &url]);
    assert!(said.contains("cannot connect"), "{said}");
    assert_eq!(names_in(kept.path()), ["full.strata"]);
}

#[tokio::test]
async fn a_backup_after_one_of_another_history_is_refused() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let file = |name: &str| kept.path().join(name);
    let (first, second, next) = (file("first"), file("second"), file("next"));
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, "growth", 2).await;
    backup(&daemon, &first, &[]);
    write(&daemon, "bakery", 2).await;
    backup(&daemon, &second, &["--after", text(&first)]);
    daemon.stop().await;

    let restored = kept.path().join("data");
    stratad(&["restore", text(&first), "--data-dir", text(&restored)]);
    let daemon = Daemon::start(&restored).await;
    let after_second = |url: &str| {
        refused(&[
            "backup",
            text(&next),
            "--from",
            url,
            "--after",
            text(&second),
        ])
    };
    let said = after_second(&daemon.url());
    assert!(
        said.contains("LOG_DIVERGED") && said.contains("ends at position 6"),
        "{said}"
    );
    write(&daemon, "elsewhere", 4).await;
    let said = after_second(&daemon.url());
    assert!(
        said.contains("LOG_DIVERGED") && said.contains("other commits"),
        "{said}"
    );
    daemon.stop().await;

    let other = tempdir().expect("a directory");
    let daemon = Daemon::start(other.path()).await;
    write(&daemon, "growth", 9).await;
    let said = after_second(&daemon.url());
    assert!(said.contains("is a backup of log"), "{said}");
    crate::view::cut(&second, 200);
    let said = after_second(&daemon.url());
    assert!(
        said.contains("--after") && said.contains("it is incomplete"),
        "{said}"
    );
    assert!(!next.exists());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_connection_is_cut_leaves_no_file() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let daemon = large(dir.path()).await;
    let mut proxy = Proxy::to(&daemon).await;
    let child = begin(&kept.path().join("full.strata"), proxy.address);
    proxy.until_some_passed().await;
    daemon.kill();
    drop(proxy);
    let run = ended(child).await;
    assert_eq!(run.status, 1, "{}", run.out);
    assert!(
        run.error.contains("the backup ended at position"),
        "{}",
        run.error
    );
    assert!(run.error.contains("no file was written"), "{}", run.error);
    assert!(names_in(kept.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_interrupted_leaves_no_file() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let daemon = large(dir.path()).await;
    for signal in ["INT", "TERM"] {
        let mut proxy = Proxy::to(&daemon).await;
        let child = begin(&kept.path().join("full.strata"), proxy.address);
        proxy.until_some_passed().await;
        let pid = child.id().to_string();
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(pid)
            .status();
        assert!(sent.expect("kill runs").success());
        let run = ended(child).await;
        assert_eq!((run.status, run.out.as_str()), (1, ""), "{}", run.error);
        assert!(run.error.contains("interrupted"), "{}", run.error);
        assert!(names_in(kept.path()).is_empty());
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_ends_when_the_daemon_stops_and_does_not_hold_it_up() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let daemon = large(dir.path()).await;
    let mut proxy = Proxy::to(&daemon).await;
    let child = begin(&kept.path().join("full.strata"), proxy.address);
    proxy.until_some_passed().await;
    let address = daemon.address().to_owned();
    let stopping = tokio::spawn(daemon.stop_by("TERM"));
    // It takes no connections from when it stops.
    while TcpStream::connect(&address).await.is_ok() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    proxy.let_all_pass();
    let run = ended(child).await;
    assert_eq!(run.status, 1, "{}", run.out);
    assert!(run.error.contains("UNAVAILABLE"), "{}", run.error);
    assert!(names_in(kept.path()).is_empty());
    let (status, log) = stopping.await.expect("stopped");
    assert!(status.success(), "{log}");
}

/// A daemon with several times what waits between it and a client that does not read: the 2 MiB that
/// the client grants before it reads, and the blocks that are ready on either side.
async fn large(dir: &Path) -> Daemon {
    let daemon = Daemon::start(dir).await;
    execute(&daemon, request("growth", "create", create_plan())).await;
    let words = "words ".repeat(1_300);
    for number in 0..240 {
        // About 55 KiB.
        let notes = [(); 7].map(|()| note(&words));
        execute(
            &daemon,
            commands("growth", &format!("notes-{number}"), notes),
        )
        .await;
    }
    daemon
}

/// Begins a backup over a proxy.
fn begin(file: &Path, address: SocketAddr) -> Child {
    Command::new(env!("CARGO_BIN_EXE_stratad"))
        .args(["backup", text(file), "--from", &address.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("stratad starts")
}

async fn ended(child: Child) -> Run {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().expect("it ends"));
    let output = tokio::time::timeout(PATIENCE, output).await;
    run_of(output.expect("in time").expect("waited"))
}

/// Stands between a daemon and one client, and lets only the beginning of the answer pass.
struct Proxy {
    address: SocketAddr,
    passed: watch::Receiver<usize>,
    limit: watch::Sender<usize>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// How much of the answer passes, in bytes.
    const FIRST_BYTES: usize = 1 << 20;

    async fn to(daemon: &Daemon) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (passing, passed) = watch::channel(0);
        let (limit, limited) = watch::channel(Self::FIRST_BYTES);
        let target = daemon.address().to_owned();
        let task = tokio::spawn(async move {
            let (client, _) = listener.accept().await.expect("a client");
            let server = TcpStream::connect(target).await.expect("the daemon");
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let asked = async move {
                drop(tokio::io::copy(&mut from_client, &mut to_server).await);
                std::future::pending::<()>().await;
            };
            let answered = async move {
                answer(&mut from_server, &mut to_client, &passing, limited).await;
            };
            tokio::select! {
                () = asked => {}
                () = answered => {}
            }
        });
        Self {
            address,
            passed,
            limit,
            task,
        }
    }

    async fn until_some_passed(&mut self) {
        let passed = self.passed.wait_for(|bytes| *bytes >= Self::FIRST_BYTES);
        let passed = tokio::time::timeout(PATIENCE, passed).await;
        passed.expect("in time").expect("a proxy");
    }

    fn let_all_pass(&self) {
        self.limit.send_replace(usize::MAX);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    passing: &watch::Sender<usize>,
    mut limited: watch::Receiver<usize>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let passed = *passing.borrow();
        if limited.wait_for(|limit| passed < *limit).await.is_err() {
            return;
        }
        let Ok(bytes @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
        passing.send_replace(passed + bytes);
    }
}
