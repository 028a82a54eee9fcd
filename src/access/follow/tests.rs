//! What is in force while a file changes.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Instant};

use super::*;

/// How long the change of a file may take to be noticed here.
const NOTICED: Duration = Duration::from_secs(20);

/// What somebody does to a file.
type Break = fn(&std::path::Path);

fn reading(path: PathBuf) -> Reading<String> {
    Reading {
        path,
        what: "the text",
        bytes_max: 100,
        parse: |bytes| match std::str::from_utf8(bytes) {
            Ok("bad") => Err("line 1: this is bad".to_owned()),
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(error.to_string()),
        },
    }
}

fn open(path: &std::path::Path) -> Result<Followed<String>, FileError> {
    open_counting(path, Changes::default())
}

fn open_counting(path: &std::path::Path, changes: Changes) -> Result<Followed<String>, FileError> {
    Followed::open_looking_every(reading(path.to_owned()), changes, Duration::from_millis(5))
}

#[track_caller]
fn await_text(followed: &Followed<String>, text: &str) {
    let began = Instant::now();
    while *followed.current() != text {
        assert!(
            began.elapsed() < NOTICED,
            "{text:?} is not in force: {}",
            followed.current()
        );
        thread::yield_now();
    }
}

#[test]
fn a_version_that_comes_into_force_counts_as_a_change() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "one").expect("written");
    let changes = Changes::default();
    let followed = open_counting(&path, changes.clone()).expect("right");
    assert_eq!(changes.count(), 0);
    // At once: a file that is written in place is empty for a moment, which would count as well.
    let beside = dir.path().join("beside");
    fs::write(&beside, "two").expect("written");
    fs::rename(&beside, &path).expect("renamed");
    await_text(&followed, "two");
    let began = Instant::now();
    while changes.count() == 0 {
        assert!(began.elapsed() < NOTICED, "nobody counted it");
        thread::yield_now();
    }
    assert_eq!(changes.count(), 1);
}

#[test]
fn a_change_is_in_force_however_it_was_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "one").expect("written");
    let followed = open(&path).expect("right");
    assert_eq!(*followed.current(), "one");
    // In place, of the same length.
    fs::write(&path, "two").expect("written");
    await_text(&followed, "two");
    // By a rename.
    let other = dir.path().join("other");
    fs::write(&other, "three").expect("written");
    fs::rename(&other, &path).expect("renamed");
    await_text(&followed, "three");
    // By a link that leads elsewhere.
    fs::write(&other, "four").expect("written");
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink(&other, &path).expect("linked");
    await_text(&followed, "four");
}

#[test]
fn what_is_not_right_leaves_in_force_what_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "one").expect("written");
    let mut follower = Follower {
        changes: Changes::default(),
        reading: reading(path.clone()),
        current: Arc::new(ArcSwap::from_pointee("one".to_owned())),
        seen: Sha256::digest(b"one").into(),
        told: None,
    };
    let breaks: [Break; 4] = [
        |path| fs::write(path, "bad").expect("written"),
        |path| fs::write(path, "x".repeat(101)).expect("written"),
        |path| fs::remove_file(path).expect("removed"),
        |path| {
            fs::write(path, "open").expect("written");
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("set");
        },
    ];
    for break_it in breaks {
        break_it(&path);
        let error = follower.look().expect_err("it is broken");
        follower.tell(&error);
        assert_eq!(**follower.current.load(), "one");
        assert!(error.to_string().contains("/file"), "{error}");
    }
    // The same as before is in force again, and told.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    fs::write(&path, "two").expect("written");
    follower.look().expect("right");
    assert_eq!(**follower.current.load(), "two");
}

#[test]
fn what_is_not_right_at_the_start_is_refused_with_the_file_and_the_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    let refused = open(&path).expect_err("there is none").to_string();
    assert!(refused.contains("/file"), "{refused}");
    fs::write(&path, "bad").expect("written");
    let refused = open(&path).expect_err("bad").to_string();
    assert!(refused.ends_with("/file: line 1: this is bad"), "{refused}");
    fs::write(&path, "x".repeat(100)).expect("written");
    assert!(open(&path).is_ok());
    fs::write(&path, "x".repeat(101)).expect("written");
    assert!(matches!(open(&path), Err(FileError::TooLarge { .. })));
    fs::write(&path, "one").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).expect("set");
    let refused = open(&path).expect_err("anyone may write it").to_string();
    assert!(refused.contains("chmod o-w"), "{refused}");
    assert!(matches!(
        open(dir.path()),
        Err(FileError::Unreadable { .. })
    ));
}

#[test]
fn whoever_follows_no_longer_leaves_no_thread() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "one").expect("written");
    let followed = open(&path).expect("right");
    let current = Arc::clone(&followed.current);
    drop(followed);
    let began = Instant::now();
    while Arc::strong_count(&current) > 1 {
        assert!(began.elapsed() < NOTICED, "the thread holds on");
        thread::yield_now();
    }
}
