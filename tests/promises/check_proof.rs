//! The auditor's script, which has none of our code, on checkpoints and proofs that a daemon gave out:
//! what holds, what does not, and what could not be checked are three exit statuses. The key in the
//! fixture holds a plus, as half of all keys do, and its checkpoints end as `jq -r` ends them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::{TempDir, tempdir};

const HOLDS: i32 = 0;
const DOES_NOT_HOLD: i32 = 1;
const NOT_CHECKED: i32 = 2;

#[test]
fn tamper_evident_to_whoever_has_only_the_script() {
    for arguments in [
        vec!["checkpoint", "key", "old.checkpoint"],
        vec![
            "inclusion",
            "key",
            "old.checkpoint",
            "commit.bin",
            "inclusion.json",
        ],
        vec![
            "consistency",
            "key",
            "old.checkpoint",
            "new.checkpoint",
            "consistency.json",
        ],
    ] {
        let (status, said) = check(fixtures().as_path(), &arguments);
        assert_eq!(status, HOLDS, "{arguments:?}: {said}");
    }
}

#[test]
fn the_script_convicts_whatever_was_changed() {
    let inclusion = [
        "inclusion",
        "key",
        "old.checkpoint",
        "commit.bin",
        "inclusion.json",
    ];
    let consistency = [
        "consistency",
        "key",
        "old.checkpoint",
        "new.checkpoint",
        "consistency.json",
    ];
    for (file, from, to, arguments) in [
        ("old.checkpoint", "\n40\n", "\n39\n", &inclusion),
        (
            "old.checkpoint",
            "\u{2014} strata",
            "x\n\u{2014} strata",
            &inclusion,
        ),
        ("commit.bin", "smallpox-india", "smallpox-indja", &inclusion),
        (
            "inclusion.json",
            "\"leafIndex\": \"19\"",
            "\"leafIndex\": \"18\"",
            &inclusion,
        ),
        (
            "inclusion.json",
            "\"treeSize\": \"40\"",
            "\"treeSize\": \"41\"",
            &inclusion,
        ),
        ("new.checkpoint", "\n41\n", "\n42\n", &consistency),
        (
            "consistency.json",
            "\"hashes\": [",
            "\"hashes\": [\"AAAA\",",
            &consistency,
        ),
    ] {
        let dir = copied();
        replace(&dir.path().join(file), from, to);
        let (status, said) = check(dir.path(), arguments);
        assert_eq!(status, DOES_NOT_HOLD, "{file} {to:?}: {said}");
        assert!(said.contains("DOES NOT HOLD"), "{said}");
    }
}

#[test]
fn the_script_says_when_it_could_not_check() {
    let dir = copied();
    fs::write(
        dir.path().join("secret"),
        "PRIVATE+KEY+strata/x+00000000+AAAA",
    )
    .expect("written");
    fs::write(dir.path().join("empty"), "").expect("written");
    for arguments in [
        ["checkpoint", "key", "none.checkpoint"],
        ["checkpoint", "none", "old.checkpoint"],
        ["checkpoint", "secret", "old.checkpoint"],
        ["checkpoint", "key", "empty"],
        ["checkpoint", "key", "commit.bin"],
    ] {
        let (status, said) = check(dir.path(), &arguments);
        assert_eq!(status, NOT_CHECKED, "{arguments:?}: {said}");
        assert!(said.contains("NOT CHECKED"), "{said}");
        assert!(!said.contains("Traceback"), "{said}");
    }
}

/// What the script answers in a directory.
fn check(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check_proof.py");
    let answer = Command::new("python3")
        .arg(script)
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("this test needs python3 on the PATH, and openssl: .ci/install installs both");
    let said = [answer.stdout, answer.stderr].concat();
    let status = answer.status.code().expect("an exit status");
    (status, String::from_utf8_lossy(&said).into_owned())
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/proofs-1")
}

/// The fixtures, to be changed.
fn copied() -> TempDir {
    let dir = tempdir().expect("a directory");
    for file in fs::read_dir(fixtures()).expect("the fixtures") {
        let file = file.expect("a file");
        fs::copy(file.path(), dir.path().join(file.file_name())).expect("copied");
    }
    dir
}

/// Changes the first place in a file that says `from`.
fn replace(path: &Path, from: &str, to: &str) {
    let bytes = fs::read(path).expect("a file");
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .expect("it says so");
    let changed = [&bytes[..at], to, &bytes[at + from.len()..]].concat();
    fs::write(path, changed).expect("written");
}
