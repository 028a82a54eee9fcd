//! What a process that is killed while it appends leaves behind.

use std::{fs, path::PathBuf, time::Duration};

use super::{Case, SledJournal, SledOptions, append, commits, group};
use crate::journal::Journal as _;

/// Names the directory of the child that is to be killed.
const CHILD_DIR: &str = "STRATA_TEST_CHILD_DIR";

/// No test of its own: what the child of the next test does until it is killed.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let journal = SledJournal::open(&dir, SledOptions::default()).expect("the journal opens");
    let acknowledged = fs::File::create(dir.join("acknowledged")).expect("created");
    loop {
        let head = append(&journal, &group(&["a", "b", "c"]));
        journal.mark(journal.head(), [0; 32]).expect("marked");
        std::os::unix::fs::FileExt::write_all_at(&acknowledged, &head.to_be_bytes(), 0)
            .expect("written");
    }
}

#[test]
fn killed_at_any_instant_a_directory_opens_with_all_that_was_acknowledged() {
    for delay_ms in (0..60).step_by(3) {
        let case = Case::new();
        let mut child = std::process::Command::new(std::env::current_exe().expect("known"))
            .args([
                "--exact",
                "journal::sled::tests::killed::child_that_appends_until_it_is_killed",
            ])
            .env(CHILD_DIR, case.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("started");
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().expect("killed");
        child.wait().expect("gone");
        let acknowledged = fs::read(case.path().join("acknowledged"))
            .ok()
            .and_then(|bytes| Some(u64::from_be_bytes(*bytes.first_chunk()?)))
            .unwrap_or(0);
        let journal = case.open();
        assert!(
            journal.head() >= acknowledged,
            "{} < {acknowledged}",
            journal.head()
        );
        assert_eq!(commits(&journal).len() as u64, journal.head());
    }
}
