//! A restored daemon is the one that was backed up: positions, requests, identity. What cannot be
//! restored is refused before anything is touched, and half a restore is never served.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use bytes::Bytes;
use prost::Message as _;
use strata::{
    backup::{Header, encode::Encoder},
    commit::leaf_hash,
    journal::{Entry, LogId},
    merkle::Frontier,
    proto::{
        Commit, Event, ExecuteRequest, ExecuteResponse, LogEntry, NoteRecorded, PlanCreated,
        WatchRequest, event::Kind, watch_request::Start, watch_response::Response,
    },
    rpc::bookmark::Bookmark,
};
use tempfile::{TempDir, tempdir};

use crate::{
    backup::{backup, names_in, read, refused, text, write},
    chance::Chance,
    daemon::{Daemon, PATIENCE, create_plan, note, request, serve_arguments},
    language::{execute, get_plan},
    reading::{assert_replayed, assert_sound, picture, reason, whole_log},
    run::stratad,
    view::flip,
};

/// A backup of the plan in `smallpox-india.jsonl`, written by the first version that wrote any. It
/// is never made again: what reads another format gets another fixture.
const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/backup-1.strata"
);
const GOLDEN_ROOT: &str = "11ad535a25352405fc0ac9d3122ba8f02fdd0a3dbbb31a6cd8bda1679b4052cf";
const GOLDEN_LOG: &str = "d863abee-3d1a-4f81-91ee-90b613ebed90";
const GOLDEN_REQUESTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/smallpox-india.jsonl"
);

#[tokio::test]
async fn a_restored_daemon_keeps_its_positions_its_requests_and_its_identity() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let files = ["full", "monday", "tuesday"].map(|name| kept.path().join(name));
    let daemon = Daemon::start(dir.path()).await;
    let mut answered = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let plan_id = format!("plan-{number}");
        record(
            &daemon,
            &mut answered,
            request(&plan_id, "1", create_plan()),
        )
        .await;
        for noted in 2..20 {
            let noted = request(&plan_id, &noted.to_string(), note("words"));
            record(&daemon, &mut answered, noted).await;
        }
        let after = number.checked_sub(1).map(|before| &files[before]);
        let after = after.map_or(vec![], |before| vec!["--after", text(before)]);
        backup(&daemon, file, &after);
    }
    let (before, log_id) = (picture(&daemon).await, log_id(&daemon).await);
    daemon.stop().await;

    // In any order.
    let restored = kept.path().join("deep/data");
    let [full, monday, tuesday] = files.each_ref().map(|file| text(file));
    let said = restore(&[tuesday, full, monday], &restored);
    let (last, _) = read(&files[2]);
    for part in [
        format!("positions 1 to 57 of log {log_id}"),
        hex::encode(last.trailer.root),
        format!("stratad serve --data-dir {}", restored.display()),
    ] {
        assert!(said.contains(&part), "{said}");
    }
    let daemon = Daemon::start(&restored).await;
    assert_eq!(self::log_id(&daemon).await, log_id);
    assert!(picture(&daemon).await == before, "it shows what it showed");
    assert_replayed(&daemon, &answered).await;
    record(
        &daemon,
        &mut answered,
        request("plan-0", "new", note("more")),
    )
    .await;
    assert_eq!(daemon.head().await, 58, "a replay records nothing");
    daemon.stop().await;
    let daemon = Daemon::start(&restored).await;
    assert_sound(&whole_log(&daemon).await);
    assert_replayed(&daemon, &answered).await;
    daemon.stop().await;
}

#[tokio::test]
async fn watch_resumes_behind_a_backup_from_a_bookmark_that_the_restored_log_confirms() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let file = kept.path().join("full");
    let daemon = Daemon::start(dir.path()).await;
    write(&daemon, "growth", 5).await;
    backup(&daemon, &file, &[]);
    write(&daemon, "bakery", 5).await;
    let (log, id) = (whole_log(&daemon).await, log_id(&daemon).await);
    daemon.stop().await;
    let bookmark = |position: usize| bookmark(&id, &log[position - 1]);

    let restored = kept.path().join("data");
    restore(&[text(&file)], &restored);
    let daemon = Daemon::start(&restored).await;
    assert_diverged(&daemon, [bookmark(7), bookmark(12)]).await;
    // As many commits as there were, and others: nothing of them is shown behind those bookmarks.
    write(&daemon, "elsewhere", 9).await;
    assert_diverged(&daemon, [bookmark(7), bookmark(12)]).await;
    let now = whole_log(&daemon).await;
    for position in [1, 6] {
        let watched = daemon.history().watch(from(bookmark(position))).await;
        let mut stream = watched.expect("it resumes").into_inner();
        let mut seen = Vec::new();
        while seen.len() < now.len() - position {
            let message = stream.message().await.expect("watched");
            match message.and_then(|message| message.response) {
                Some(Response::Entries(entries)) => seen.extend(entries.entries),
                Some(Response::CaughtUp(_) | Response::Checkpoint(_)) => {}
                None => panic!("the watch ended"),
            }
        }
        assert_eq!(seen, now[position..]);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_empty_log_is_restored_with_its_identity_and_goes_on() {
    let (dir, kept) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let (empty, next) = (kept.path().join("empty"), kept.path().join("next"));
    let daemon = Daemon::start(dir.path()).await;
    let id = log_id(&daemon).await;
    backup(&daemon, &empty, &[]);
    write(&daemon, "growth", 3).await;
    backup(&daemon, &next, &["--after", text(&empty)]);
    daemon.stop().await;
    for (files, head) in [
        (vec![text(&empty)], 0),
        (vec![text(&empty), text(&next)], 4),
    ] {
        let restored = kept.path().join(format!("data-{head}"));
        restore(&files, &restored);
        let daemon = Daemon::start(&restored).await;
        assert_eq!(
            (log_id(&daemon).await, daemon.head().await),
            (id.clone(), head)
        );
        write(&daemon, "bakery", 1).await;
        daemon.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_and_nothing_is_touched() {
    let kept = tempdir().expect("a directory");
    let (ours, theirs) = (backups(&kept, "ours").await, backups(&kept, "theirs").await);
    let bytes = fs::metadata(&ours[0]).expect("a file").len();
    let changed = |name: &str, change: &dyn Fn(&Path)| {
        let path = kept.path().join(name);
        fs::copy(&ours[0], &path).expect("copied");
        change(&path);
        path
    };
    let flipped = changed("flipped", &|path| flip(path, &[bytes / 2]));
    let cut = changed("cut", &|path| crate::view::cut(path, bytes - 1));
    let foreign = changed("foreign", &|path| {
        fs::write(path, "letters").expect("written");
    });
    let later = changed("later", &|path| {
        fs::write(path, "strata backup 2\n").expect("written");
    });
    let empty = changed("empty", &|path| fs::write(path, "").expect("written"));
    let missing = kept.path().join("missing");
    let [full, second, third] = &ours;
    for (files, expected) in [
        (vec![&flipped, second], "is damaged at byte"),
        (vec![full, &cut], "it is incomplete: it breaks off at byte"),
        (vec![&empty], "it is incomplete: it breaks off at byte 0"),
        (vec![&foreign], "it is no backup"),
        (
            vec![&later],
            "it has format 2, and this version reads format 1",
        ),
        (vec![full, &missing], "missing cannot be read"),
        (vec![second, third], "the full backup is missing"),
        (
            vec![full, third],
            "the backup of positions 4 to 6 is missing between",
        ),
        (vec![full, second, second], "leave one out"),
        (vec![full, &theirs[1]], "name the files of one log"),
    ] {
        let data = kept.path().join("data");
        let said = refused_restore(&files, &data);
        assert!(said.contains(expected), "{said}");
        assert!(!data.exists(), "{expected}: nothing is made");
        // Nor in a directory that is there.
        fs::create_dir(&data).expect("created");
        refused_restore(&files, &data);
        assert!(names_in(&data).is_empty(), "{expected}: nothing is made");
        fs::remove_dir(&data).expect("still empty");
    }

    let data = kept.path().join("data");
    restore(&[text(full), text(second)], &data);
    Daemon::start(&data).await.stop().await;
    let before = tree(&data);
    let said = refused_restore(&[full], &data);
    assert!(said.contains("missing or empty"), "{said}");
    assert!(tree(&data) == before, "a log that is there stays as it is");
    let other = kept.path().join("letters");
    fs::create_dir(&other).expect("created");
    fs::write(other.join("letter.txt"), "Dear").expect("written");
    let said = refused_restore(&[full], &other);
    assert!(said.contains("holds letter.txt"), "{said}");
    assert_eq!(names_in(&other), ["letter.txt"]);
}

#[tokio::test]
async fn a_directory_in_use_is_not_restored_into() {
    let kept = tempdir().expect("a directory");
    let ours = backups(&kept, "ours").await;
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let said = refused_restore(&[&ours[0]], dir.path());
    assert!(said.contains("missing or empty"), "{said}");
    write(&daemon, "growth", 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn half_a_restore_is_never_served_and_can_be_done_again() {
    let kept = tempdir().expect("a directory");
    let (file, log) = large_backup(&kept);
    let data = kept.path().join("data");
    let mut chance = Chance::new();
    eprintln!("seed {}", chance.seed());
    let (mut refusals, mut wholes) = (0, 0);
    let places = [
        "RESTORING",
        "CREATING",
        "FORMAT",
        "journal/db",
        "high-water",
    ];
    for cycle in 0..8 {
        // When this is there, and then some: RESTORING comes first and goes last.
        let place = places[cycle % places.len()];
        // What the one before has left stays, but for that: it is seen when it is made again.
        if place == "RESTORING" {
            fs::remove_dir_all(&data).ok();
        } else {
            fs::remove_file(data.join(place)).ok();
        }
        let mut child = begin_restore(&file, &data);
        let began = Instant::now();
        while !(data.join("RESTORING").exists() && data.join(place).exists()) {
            assert!(began.elapsed() < PATIENCE, "it does not come to {place}");
            if child.try_wait().expect("a child").is_some() {
                break;
            }
            std::thread::yield_now();
        }
        // The first are killed at once, and surely half-way; the others come further.
        let further = if cycle < places.len() {
            0
        } else {
            chance.below(4)
        };
        let later = began.elapsed() + began.elapsed() / 2 * u32::try_from(further).expect("small");
        while began.elapsed() < later && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("reaped");
        if data.join("RESTORING").exists() {
            let mut trial = Command::new(env!("CARGO_BIN_EXE_stratad"));
            trial.args(serve_arguments(&data));
            let Err(said) = Daemon::spawn(trial).await.serving_or_ended().await else {
                panic!("half a restore is served");
            };
            assert!(said.contains("holds a restore that did not end"), "{said}");
            assert!(said.contains("run `stratad restore` again"), "{said}");
            refusals += 1;
        } else if data.join("FORMAT").exists() {
            wholes += 1;
            fs::remove_dir_all(&data).expect("removed");
        }
    }
    assert!(
        refusals >= places.len(),
        "{refusals} killed half-way, {wholes} whole"
    );
    restore(&[text(&file)], &data);
    let daemon = Daemon::start(&data).await;
    assert!(whole_log(&daemon).await == log);
    daemon.stop().await;
}

#[tokio::test]
async fn replayable_is_a_backup_that_an_earlier_version_wrote() {
    let kept = tempdir().expect("a directory");
    let data = kept.path().join("data");
    let said = restore(&[GOLDEN], &data);
    assert!(
        said.contains(GOLDEN_ROOT) && said.contains(GOLDEN_LOG),
        "{said}"
    );
    let daemon = Daemon::start(&data).await;
    assert_eq!(log_id(&daemon).await, GOLDEN_LOG);
    let log = whole_log(&daemon).await;
    assert_sound(&log);
    assert_eq!(log, read(Path::new(GOLDEN)).1);
    let plan = get_plan(&daemon, "smallpox-india")
        .await
        .plan
        .expect("a plan");
    let last = log
        .last()
        .expect("a log")
        .decode_commit()
        .expect("a commit");
    let revision = last.first_revision + last.events.len() as u64 - 1;
    assert_eq!((plan.revision, plan.strategies[0].revision), (revision, 3));

    // The requests that made it are known, and what is new comes behind it.
    let run = stratad(&["import", GOLDEN_REQUESTS, "--to", &daemon.url()]);
    assert_eq!(
        run.out, "0 recorded, 40 replayed, 0 refused\n",
        "{}",
        run.error
    );
    write(&daemon, "growth", 2).await;
    daemon.stop().await;
    let daemon = Daemon::start(&data).await;
    let longer = whole_log(&daemon).await;
    assert_sound(&longer);
    assert!(longer.len() == 43 && longer.starts_with(&log));
    daemon.stop().await;
}

async fn record(
    daemon: &Daemon,
    answered: &mut Vec<(ExecuteRequest, ExecuteResponse)>,
    request: ExecuteRequest,
) {
    let answer = execute(daemon, request.clone()).await;
    answered.push((request, answer));
}

async fn log_id(daemon: &Daemon) -> String {
    daemon.status().await.log_id
}

/// Restores files and says what was said.
#[track_caller]
fn restore(files: &[&str], data_dir: &Path) -> String {
    let run = stratad(&[&["restore"], files, &["--data-dir", text(data_dir)]].concat());
    assert_eq!((run.status, run.error.as_str()), (0, ""));
    run.out
}

#[track_caller]
fn refused_restore(files: &[&PathBuf], data_dir: &Path) -> String {
    let files = files.iter().map(|file| text(file));
    let arguments: Vec<&str> = ["restore", "--data-dir", text(data_dir)]
        .into_iter()
        .chain(files)
        .collect();
    refused(&arguments)
}

/// A full backup of three commits and two of three more each.
async fn backups(kept: &TempDir, name: &str) -> [PathBuf; 3] {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let files = [1, 2, 3].map(|number| kept.path().join(format!("{name}-{number}")));
    let mut after = vec![];
    for file in &files {
        let plan_id = text(file).rsplit('/').next().expect("a name");
        write(&daemon, plan_id, 2).await;
        backup(&daemon, file, &after);
        after = vec!["--after", text(file)];
    }
    daemon.stop().await;
    files
}

/// The published bookmark of an entry, as a watch gives it out.
fn bookmark(log_id: &str, entry: &LogEntry) -> Bytes {
    let id = uuid::Uuid::parse_str(log_id).expect("an id");
    let bookmark = Bookmark {
        log_id: LogId::from_bytes(id.into_bytes()),
        position: entry.position,
        leaf: leaf_hash(&entry.commit),
    };
    bookmark.to_bytes().into()
}

fn from(bookmark: Bytes) -> WatchRequest {
    WatchRequest {
        start: Some(Start::Bookmark(bookmark)),
        ..Default::default()
    }
}

async fn assert_diverged(daemon: &Daemon, bookmarks: [Bytes; 2]) {
    for bookmark in bookmarks {
        let watched = daemon.history().watch(from(bookmark)).await;
        let status = watched.map(drop).expect_err("of another history");
        assert_eq!(reason(&status).as_deref(), Some("LOG_DIVERGED"));
    }
}

/// All files below a directory with what they hold.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in names_in(dir) {
        let path = dir.join(name);
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.insert(path, bytes);
        }
    }
    found
}

fn begin_restore(file: &Path, data_dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_stratad"))
        .args(["restore", text(file), "--data-dir", text(data_dir)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("stratad starts")
}

/// A backup that takes a while to restore, and the log in it.
fn large_backup(kept: &TempDir) -> (PathBuf, Vec<LogEntry>) {
    const COMMITS: u64 = 8_000;
    let header = Header {
        log_id: LogId::from_bytes([7; 16]),
        before: Frontier::default(),
        made_at_seconds: 1_700_000_000,
    };
    let (mut encoder, begin) = Encoder::begin(&header);
    let mut file = begin.to_vec();
    let entries: Vec<Entry> = (1..=COMMITS).map(entry).collect();
    let mut left = entries.as_slice();
    while !left.is_empty() {
        file.extend(encoder.commits(&mut left));
    }
    file.extend(encoder.end());
    let path = kept.path().join("large");
    fs::write(&path, file).expect("written");
    let log = entries.into_iter().map(|entry| LogEntry {
        position: entry.position,
        commit: entry.commit,
    });
    (path, log.collect())
}

/// The first creates a plan; each of the others adds a note.
fn entry(position: u64) -> Entry {
    let kind = if position == 1 {
        Kind::PlanCreated(PlanCreated {
            title: "A plan".to_owned(),
            ..Default::default()
        })
    } else {
        Kind::NoteRecorded(NoteRecorded {
            subject: "plan".to_owned(),
            text: "words ".repeat(200),
        })
    };
    let commit = Commit {
        plan_id: "growth".to_owned(),
        first_revision: position,
        recorded_at: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
        actor: "anonymous".to_owned(),
        request_id: position.to_string(),
        events: vec![Event {
            revision: position,
            kind: Some(kind),
            ..Default::default()
        }],
        ..Default::default()
    };
    Entry {
        position,
        commit: commit.encode_to_vec().into(),
    }
}
