//! `stratad token`: a token is shown once and kept as a hash, and the file is changed as a whole or not
//! at all.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::{TempDir, tempdir};

use crate::run::{Run, run_of, stratad, well};

fn token(file: &Path, arguments: &[&str]) -> Run {
    token_told(file, arguments, "")
}

/// The same with a text on standard input.
fn token_told(file: &Path, arguments: &[&str], told: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stratad"))
        .arg("token")
        .args(arguments)
        .arg("--access-file")
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("stratad runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Whoever reads none of it has ended.
    stdin.write_all(told.as_bytes()).ok();
    drop(stdin);
    run_of(child.wait_with_output().expect("it ends"))
}

#[track_caller]
fn refused(run: &Run, words: &str) {
    assert_eq!(run.status, 1, "{}", run.error);
    assert!(run.error.contains(words), "{}", run.error);
    assert!(run.out.is_empty(), "{}", run.out);
}

fn file() -> (TempDir, PathBuf) {
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("access.toml");
    (dir, file)
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("a file").permissions().mode() & 0o777
}

const ADD_ANA: [&str; 7] = [
    "add", "--name", "ana", "--role", "planner", "--plans", "growth-*",
];

#[test]
fn a_token_is_shown_once_and_kept_as_its_hash_in_a_file_of_its_owner_s() {
    let (dir, file) = file();
    let run = token(&file, &ADD_ANA);
    assert_eq!(run.status, 0, "{}", run.error);
    let shown = run.out.strip_suffix('\n').expect("a line");
    let secret = shown.strip_prefix("strata_").expect("a token");
    assert!(secret.len() == 72 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(!run.error.contains(secret), "{}", run.error);
    let text = fs::read_to_string(&file).expect("written");
    assert!(
        !text.contains(secret) && text.contains("plans = [\"growth-*\"]"),
        "{text}"
    );
    assert_eq!(mode(&file), 0o600);
    assert_eq!(
        fs::read_dir(dir.path()).expect("read").count(),
        1,
        "nothing is left beside it"
    );
    let list = well(token(&file, &["list"]));
    assert!(
        list.contains("ana\n  planner of growth-*\n  token "),
        "{list}"
    );
    assert!(!list.contains(secret), "{list}");
}

#[test]
fn what_was_revoked_is_gone_however_it_was_named() {
    let (_dir, file) = file();
    let one = well(token(&file, &ADD_ANA));
    for note in ["two", "three"] {
        well(token(
            &file,
            &["add", "--name", "ana", "--note", note, "--expires", "90d"],
        ));
    }
    well(token_told(&file, &["revoke", "--stdin"], &one));
    let list = well(token(&file, &["list"]));
    assert_eq!(list.matches("token ").count(), 2, "{list}");
    assert_eq!(list.matches(", expires 2").count(), 2, "{list}");
    let two = list
        .lines()
        .find(|line| line.ends_with("\"two\""))
        .expect("it is listed");
    let hash = two
        .trim()
        .trim_start_matches("token ")
        .split(',')
        .next()
        .expect("a hash");
    well(token(&file, &["revoke", hash]));
    let list = well(token(&file, &["list"]));
    assert!(
        list.contains("\"three\"") && !list.contains("\"two\""),
        "{list}"
    );
    well(token(&file, &["revoke", "--name", "ana"]));
    let list = well(token(&file, &["list"]));
    assert_eq!(list, "ana\n  planner of growth-*\n");
    refused(
        &token_told(&file, &["revoke", "--stdin"], &one),
        "no token in the file",
    );
    refused(
        &token_told(&file, &["revoke", "--stdin"], "secret"),
        "is no token",
    );
}

#[test]
fn a_token_in_the_place_of_a_hash_is_revoked_and_never_said_again() {
    let (_dir, file) = file();
    let made = well(token(&file, &ADD_ANA));
    let live = made.trim();
    let secret = live.strip_prefix("strata_").expect("a token");
    let before = fs::read_to_string(&file).expect("read");
    let cut = &live[..live.len() - 1];
    let wrongly: [&[&str]; 5] = [
        &["revoke", cut],
        &["revoke", ""],
        &["revoke", "--name", live],
        &["add", "--role", "reader", "--name", live],
        &["add", "--name", "ana", "--note", live],
    ];
    for arguments in wrongly {
        let run = token(&file, arguments);
        assert_eq!(run.status, 1, "{}", run.error);
        assert!(!run.error.contains(&secret[..16]), "{}", run.error);
        assert_eq!(fs::read_to_string(&file).expect("read"), before);
    }
    // Nor as one word too many.
    for words in [&["revoke", cut, live][..], &["list", live]] {
        let run = token(&file, words);
        assert_eq!(run.status, 2, "{}", run.error);
        assert!(run.error.contains("unexpected argument"), "{}", run.error);
        assert!(!run.error.contains(&secret[..16]), "{}", run.error);
    }
    let run = token(&file, &["revoke", live]);
    assert!(!run.error.contains(secret), "{}", run.error);
    well(run);
    let list = well(token(&file, &["list"]));
    assert_eq!(list, "ana\n  planner of growth-*\n");
    // Nor where it is not there any more.
    let run = token(&file, &["revoke", live]);
    assert!(!run.error.contains(secret), "{}", run.error);
    refused(&run, "no token in the file");
}

#[test]
fn a_token_in_the_place_of_a_path_or_a_filter_is_not_said_again() {
    let (dir, file) = file();
    let made = well(token(&file, &ADD_ANA));
    let live = made.trim();
    let data = dir.path().join("data");
    let data = data.to_str().expect("a path in UTF-8");
    for arguments in [
        &["health", "--token-file", live][..],
        &["serve", "--data-dir", data, "--access-file", live],
        &["serve", "--data-dir", data, "--config", live],
        &["serve", "--data-dir", data, "--log", live],
        &["serve", "--data-dir", data, "--listen", live],
    ] {
        let run = stratad(arguments);
        assert_ne!(run.status, 0, "{arguments:?}");
        assert!(!run.error.contains(&live[..16]), "{}", run.error);
    }
}

#[test]
fn a_file_keeps_its_mode_its_words_and_its_place() {
    let (dir, link) = file();
    let file = dir.path().join("elsewhere.toml");
    let text = "# Ours.\n[[principal]]\nname = \"ben\" # of sales\nroles = [\"reader\"]\n";
    fs::write(&file, text).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
    symlink(&file, &link).expect("linked");
    well(token(&link, &ADD_ANA));
    let metadata = fs::symlink_metadata(&link).expect("there");
    assert!(metadata.is_symlink());
    assert_eq!(mode(&file), 0o640);
    let changed = fs::read_to_string(&file).expect("read");
    assert!(
        changed.starts_with(text) && changed.contains("\"ana\""),
        "{changed}"
    );
}

#[test]
fn a_file_that_is_wrong_is_told_and_left_as_it_is() {
    let (_dir, file) = file();
    let text = "[[principal]]\nname = \"ben\"\nrole = \"reader\"\n";
    fs::write(&file, text).expect("written");
    for arguments in [&ADD_ANA[..], &["list"], &["revoke", "--name", "ben"]] {
        refused(
            &token(&file, arguments),
            "line 3: there is no key \"role\" here",
        );
    }
    assert_eq!(fs::read_to_string(&file).expect("read"), text);
    let nowhere = Path::new("/nonexistent/access.toml");
    refused(&token(nowhere, &ADD_ANA), "/nonexistent");
}

#[test]
fn a_file_that_is_not_there_is_not_listed_as_an_empty_one() {
    let (_dir, file) = file();
    refused(&token(&file, &["list"]), "there is no file");
    assert!(!file.exists());
}

#[test]
fn somebody_new_needs_a_role_and_a_time_that_is_to_come() {
    let (_dir, file) = file();
    refused(&token(&file, &["add", "--name", "ana"]), "--role");
    for name in ["stratad", "anonymous", ""] {
        let run = token(&file, &["add", "--name", name, "--role", "reader"]);
        assert_eq!(run.status, 1, "{}", run.error);
    }
    for expires in ["2020-01-01", "-1d", "soon"] {
        let when = format!("--expires={expires}");
        let run = token(&file, &["add", "--name", "ana", "--role", "reader", &when]);
        assert_eq!(run.status, 2, "{}", run.error);
    }
    assert!(!file.exists());
}

#[test]
fn of_many_who_add_at_once_none_is_lost() {
    let (_dir, file) = file();
    let file = &file;
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let name = format!("caller-{number}");
                well(token(file, &["add", "--name", &name, "--role", "reader"]))
            });
        }
    });
    let list = well(token(file, &["list"]));
    assert_eq!(list.matches("  token ").count(), 8, "{list}");
}
