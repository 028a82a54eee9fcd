//! A verdict weighs no more than what it stands on: a backup cannot show what came after it, a
//! checkpoint that nobody signed convicts nobody, and a verdict that nobody could read is none.

use std::{fs, path::Path, process::Command};

use strata::notary::VerifierKey;

use super::{
    DOES_NOT_HOLD, HOLDS, Kept, MONDAY, NOT_VERIFIED, Outcome,
    forger::{text_of, write_backup, write_directory},
    stratad, written,
};

/// What was verified is signed by a key that was not given, and nothing else is wrong with it.
#[track_caller]
pub(super) fn assert_unsigned(outcome: &Outcome, given: &str, signer: &str) {
    assert_eq!(outcome.status, NOT_VERIFIED, "{outcome:?}");
    let lines = outcome.out.lines();
    let today: Vec<_> = lines.filter(|line| line.contains("today")).collect();
    let [line] = today.as_slice() else {
        panic!("one line of the checkpoint of today: {outcome:?}");
    };
    let name = |key: &str| key.parse::<VerifierKey>().expect("a key").name_and_hash();
    for said in [
        format!("signed by the key {}, which you did not give", name(signer)),
        format!("you gave {}; if the log was restored", name(given)),
    ] {
        assert!(line.starts_with("UNSIGNED"), "{line}");
        assert!(line.contains(&said), "{said}: {line}");
    }
    assert!(!outcome.out.contains("DAMAGED"), "{outcome:?}");
    assert!(
        outcome.out.contains("NOT VERIFIED: 1 signed"),
        "{outcome:?}"
    );
}

fn without_key(kept: &Kept, source: &str) -> Outcome {
    let monday = kept.file("monday.checkpoint");
    stratad(&["verify", source, "--checkpoint", &monday])
}

#[tokio::test]
async fn a_backup_is_not_convicted_by_a_checkpoint_that_came_after_it() {
    let (kept, mut history) = written().await;
    history.truncate(7);
    let backup = kept.file("sunday.strata");
    write_backup(kept.log_id(), &history, Path::new(&backup));
    for outcome in [kept.with_monday(&backup), without_key(&kept, &backup)] {
        assert_eq!(outcome.status, NOT_VERIFIED, "{outcome:?}");
        for said in [
            "UNKNOWN  ",
            "what was read ends at position 7, and the backup was taken before this checkpoint",
            "NOT VERIFIED: 1 that cannot be compared",
        ] {
            assert!(outcome.out.contains(said), "{said}: {outcome:?}");
        }
        assert!(!outcome.out.contains("CONVICTS"), "{outcome:?}");
    }
    // But a directory that ends there lost commits.
    let directory = kept.dir.path().join("sunday");
    write_directory(&kept.data(), kept.log_id(), &history, &directory);
    let why = "the log ends at position 7: commits were taken back";
    kept.assert_only_monday_convicts(directory.to_str().expect("a path in UTF-8"), why);
}

#[tokio::test]
async fn backups_of_two_histories_are_told_from_the_same_backup_twice() {
    let (kept, mut history) = written().await;
    let (one, other) = (kept.file("one.strata"), kept.file("other.strata"));
    write_backup(kept.log_id(), &history, Path::new(&one));
    let twice = stratad(&["verify", &one, &one]);
    assert_eq!(twice.status, NOT_VERIFIED, "{twice:?}");
    assert!(twice.err.contains("leave one out"), "{twice:?}");
    *text_of(&mut history[4]) = "another".to_owned();
    write_backup(kept.log_id(), &history, Path::new(&other));
    let diverged = stratad(&["verify", &one, &other]);
    assert_eq!(diverged.status, DOES_NOT_HOLD, "{diverged:?}");
    let data = kept.file("restored");
    let refused = stratad(&["restore", &one, &other, "--data-dir", &data]);
    assert_eq!(refused.status, 1, "{refused:?}");
    for outcome in [diverged, refused] {
        let said = "two different commits at position 5";
        assert!(outcome.err.contains("LOG_DIVERGED"), "{outcome:?}");
        assert!(outcome.err.contains(said), "{outcome:?}");
    }
    assert!(!Path::new(&data).exists(), "nothing is made");
}

#[tokio::test]
async fn a_checkpoint_whose_signature_was_not_checked_convicts_nobody() {
    let (kept, mut history) = written().await;
    let backup = kept.file("honest.strata");
    write_backup(kept.log_id(), &history, Path::new(&backup));
    let agreed = without_key(&kept, &backup);
    assert_eq!(agreed.status, HOLDS, "{agreed:?}");
    *text_of(&mut history[4]) = "another".to_owned();
    write_backup(kept.log_id(), &history, Path::new(&backup));
    let differs = without_key(&kept, &backup);
    assert_eq!(differs.status, NOT_VERIFIED, "{differs:?}");
    assert!(differs.out.contains("DIFFERS  "), "{differs:?}");
    let why = "its signature was not checked, give --key";
    assert!(differs.out.contains(why), "{differs:?}");
    assert!(!differs.out.contains("CONVICTS"), "{differs:?}");
    // Anybody can write one, of this log at a size that it never had.
    let forged = kept.monday.replace(&format!("\n{MONDAY}\n"), "\n99\n");
    kept.keep("monday.checkpoint", &forged);
    let beyond = without_key(&kept, &kept.file("data"));
    assert_eq!(beyond.status, NOT_VERIFIED, "{beyond:?}");
    assert!(beyond.out.contains("DIFFERS  "), "{beyond:?}");
}

#[tokio::test]
async fn what_is_given_for_a_key_or_a_source_is_named_as_what_it_is() {
    let (kept, _) = written().await;
    let data = kept.file("data");
    let secret = fs::read_to_string(kept.data().join("signing-key")).expect("a key");
    let secret_file = kept.keep("strata.secret", &secret);
    let (empty, letters) = (kept.keep("empty", "\n"), kept.keep("letters", "Dear\n"));
    let bytes = kept.file("bytes");
    fs::write(&bytes, [0xff, 0xfe]).expect("written");
    for (key, said) in [
        ("nowhere", "--key nowhere: there is no such file"),
        (empty.as_str(), "the file is empty"),
        (letters.as_str(), "line 1 of the file is no public key"),
        (bytes.as_str(), "the file is not UTF-8"),
        (secret_file.as_str(), "the file holds the SECRET key"),
        (secret.trim(), "--key: this is the SECRET key"),
    ] {
        let outcome = stratad(&["verify", &data, "--key", key]);
        assert_eq!(outcome.status, NOT_VERIFIED, "{outcome:?}");
        assert!(outcome.err.contains(said), "{said}: {outcome:?}");
        assert!(!outcome.err.contains("PRIVATE+KEY"), "{outcome:?}");
    }
    for (source, said) in [
        ("localhost:7421/metrics", "it goes on behind the port"),
        ("nothing", "it says no port, as localhost:7421 does"),
    ] {
        let outcome = stratad(&["verify", source]);
        assert_eq!(outcome.status, NOT_VERIFIED, "{outcome:?}");
        assert!(outcome.err.contains(said), "{said}: {outcome:?}");
        assert!(outcome.err.matches("7421").count() < 2, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_verdict_that_cannot_be_written_is_no_success() {
    let (kept, _) = written().await;
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    let output = command
        .args(["verify", &kept.file("data")])
        .stdout(full.expect("/dev/full"))
        .output()
        .expect("stratad runs");
    assert_eq!(output.status.code(), Some(NOT_VERIFIED));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("the verdict cannot be written"), "{said}");
}
