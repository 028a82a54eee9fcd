//! Of a directory that is not served it is told what is whole, nothing is written to it, and what is
//! whole is brought over.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use strata::proto::{GetCheckpointRequest, LogEntry};
use tempfile::{TempDir, tempdir};

use crate::{
    daemon::{Daemon, create_plan, note, request, serve_arguments},
    reading::whole_log,
    verify::{Outcome, stratad},
    view::{copy, cut, flip, used_bytes},
};

/// How many commits the log has.
const COMMITS: u64 = 41;
/// A page of the disk, in bytes, and so a slot of the high-water mark.
const PAGE_BYTES: u64 = 4096;

/// What is done to a directory.
type Harm = fn(&Path);

/// A log whose daemon was stopped, and its root.
struct Written {
    dir: TempDir,
    log: Vec<LogEntry>,
    root: String,
}

async fn written() -> Written {
    let dir = tempdir().expect("a directory");
    let data = dir.path().join("data");
    let daemon = Daemon::start(&data).await;
    let created = request("growth", "create", create_plan());
    daemon.plans().execute(created).await.expect("recorded");
    for number in 1..COMMITS {
        let noted = request("growth", &format!("note-{number}"), note("words"));
        daemon.plans().execute(noted).await.expect("recorded");
    }
    let log = whole_log(&daemon).await;
    let root = root(&daemon).await;
    daemon.stop().await;
    Written { dir, log, root }
}

async fn root(daemon: &Daemon) -> String {
    let asked = GetCheckpointRequest::default();
    let answer = daemon.audit().get_checkpoint(asked).await;
    let note = answer.expect("signed").into_inner().checkpoint;
    note.lines().nth(2).expect("the root").to_owned()
}

impl Written {
    /// A damaged copy.
    fn damaged(&self, damage: impl FnOnce(&Path)) -> TempDir {
        let copied = tempdir().expect("a directory");
        let data = copied.path().join("data");
        copy(&self.dir.path().join("data"), &data);
        damage(&data);
        copied
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// All files, and what is in them; but for the process that looked last.
fn bytes_of(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(bytes_of(&path));
        } else if !path.ends_with("LOCK") {
            found.push((text(&path).to_owned(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

async fn refusal(data: &Path) -> String {
    let mut trial = Command::new(env!("CARGO_BIN_EXE_stratad"));
    trial.args(serve_arguments(data));
    match Daemon::spawn(trial).await.serving_or_ended().await {
        Ok(daemon) => panic!("it is served: {}", daemon.log()),
        Err(said) => said,
    }
}

/// Verifies, and is refused by a daemon; nothing is written by either.
async fn looked_at(data: &Path) -> (Outcome, String) {
    let before = bytes_of(data);
    let lock = fs::read(data.join("LOCK")).expect("a file");
    let verified = stratad(&["verify", text(data)]);
    assert!(bytes_of(data) == before, "verify wrote: {verified:?}");
    assert_eq!(fs::read(data.join("LOCK")).expect("a file"), lock);
    let said = refusal(data).await;
    assert!(bytes_of(data) == before, "serve wrote: {said}");
    (verified, said)
}

#[tokio::test]
async fn loss_is_none_where_damage_is_beside_the_commits() {
    let written = written().await;
    let header_of_no_segment = |data: &Path| {
        let db = data.join("journal/db");
        let mut bytes = fs::read(&db).expect("a file");
        bytes.resize(8 << 20, 0);
        bytes.extend([0xA5; 4096]);
        fs::write(&db, bytes).expect("written");
    };
    let cases: [(&str, Harm); 6] = [
        ("conf", |data| flip(&data.join("journal/conf"), &[3])),
        ("blobs", |data| {
            fs::create_dir_all(data.join("journal/blobs")).expect("made");
            fs::write(data.join("journal/blobs/1"), "blob").expect("written");
        }),
        ("FORMAT", |data| flip(&data.join("FORMAT"), &[40])),
        ("no FORMAT", |data| {
            fs::remove_file(data.join("FORMAT")).expect("removed");
        }),
        ("high-water", |data| cut(&data.join("high-water"), 0)),
        ("header", header_of_no_segment),
    ];
    for (name, damage) in cases {
        let copied = written.damaged(damage);
        let data = copied.path().join("data");
        let (verified, said) = looked_at(&data).await;
        assert_eq!(verified.status, 1, "{name}: {verified:?}");
        assert!(verified.out.contains("DAMAGED"), "{name}: {verified:?}");
        let whole = format!("are whole: positions 1 to {COMMITS}");
        assert!(verified.out.contains(&whole), "{name}: {verified:?}");
        let whole = format!("positions 1 to {COMMITS} are whole");
        assert!(said.contains(&whole), "{name}: {said}");
        let advice = format!("stratad backup FILE --from-dir {}", text(&data));
        assert!(said.contains(&advice), "{name}: {said}");

        // What the refusal says to do loses nothing.
        let (file, new) = (copied.path().join("saved"), copied.path().join("new"));
        let before = bytes_of(&data);
        let saved = stratad(&["backup", text(&file), "--from-dir", text(&data)]);
        assert!(bytes_of(&data) == before, "{name}: {saved:?}");
        // Without the mark nobody knows whether that was all.
        assert_eq!(saved.status, i32::from(name == "high-water"), "{saved:?}");
        let restored = stratad(&["restore", text(&file), "--data-dir", text(&new)]);
        assert_eq!(restored.status, 0, "{name}: {restored:?}");
        let daemon = Daemon::start(&new).await;
        assert_eq!(whole_log(&daemon).await, written.log, "{name}");
        assert_eq!(root(&daemon).await, written.root, "{name}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn loss_is_told_by_position_and_what_is_before_it_is_brought_over() {
    let written = written().await;
    let copied = written.damaged(|data| {
        let db = data.join("journal/db");
        cut(&db, used_bytes(&db) * 2 / 3);
    });
    let data = copied.path().join("data");
    let (verified, said) = looked_at(&data).await;
    assert_eq!(verified.status, 1, "{verified:?}");
    let file = copied.path().join("saved");
    let saved = stratad(&["backup", text(&file), "--from-dir", text(&data)]);
    assert_eq!(saved.status, 1, "{saved:?}");
    let whole = (1..COMMITS)
        .rev()
        .find(|head| said.contains(&format!("positions 1 to {head} are whole")));
    let Some(whole) = whole else {
        for said in [&said, &verified.out, &saved.err] {
            assert!(said.contains("no commit can be read"), "{said}");
        }
        assert!(!file.exists());
        return;
    };
    let lost = format!("positions {} to {COMMITS}", whole + 1);
    assert!(verified.out.contains(&lost), "{verified:?}");
    assert!(saved.err.contains(&lost), "{saved:?}");
    let new = copied.path().join("new");
    let restored = stratad(&["restore", text(&file), "--data-dir", text(&new)]);
    assert_eq!(restored.status, 0, "{restored:?}");
    let daemon = Daemon::start(&new).await;
    let kept = usize::try_from(whole).expect("small");
    assert_eq!(whole_log(&daemon).await, written.log[..kept]);
    daemon.stop().await;
}

#[tokio::test]
async fn loss_is_sought_on_a_medium_that_cannot_be_written_to() {
    let written = written().await;
    let data = written.dir.path().join("data");
    let allow = |mode| {
        for path in [&data, &data.join("journal")] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        }
    };
    allow(0o555);
    let verified = stratad(&["verify", text(&data)]);
    allow(0o755);
    assert_eq!(verified.status, 0, "{verified:?}");
    // A copy need not have been held by anybody.
    fs::remove_file(data.join("LOCK")).expect("removed");
    let verified = stratad(&["verify", text(&data)]);
    assert_eq!(verified.status, 0, "{verified:?}");
    assert!(!data.join("LOCK").exists());
}

#[tokio::test]
async fn loss_of_one_high_water_mark_is_told_and_made_good() {
    let written = written().await;
    let mut told = 0;
    for slot in 0..2 {
        let copied =
            written.damaged(|data| flip(&data.join("high-water"), &[slot * PAGE_BYTES + 9]));
        let data = copied.path().join("data");
        let verified = stratad(&["verify", text(&data)]);
        assert_eq!(verified.status, 1, "{verified:?}");
        let said = "one of its two marks cannot be read";
        assert!(verified.out.contains(said), "{verified:?}");
        let daemon = Daemon::start(&data).await;
        let log = daemon.stop().await;
        told += usize::from(log.contains("one of the two high-water marks"));
        let verified = stratad(&["verify", text(&data)]);
        assert_eq!(verified.status, 0, "{verified:?}");
    }
    assert_eq!(told, 2);
}
