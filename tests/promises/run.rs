//! Runs of `stratad` that end by themselves, and what became of them.

use std::process::{Command, Output};

/// What became of a run.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// Runs a command of `stratad`.
pub(crate) fn stratad(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    run_of(command.args(arguments).output().expect("stratad runs"))
}

/// What a run that has ended wrote.
pub(crate) fn run_of(output: Output) -> Run {
    Run {
        status: output.status.code().expect("it exits"),
        out: String::from_utf8(output.stdout).expect("text"),
        error: String::from_utf8(output.stderr).expect("text"),
    }
}

/// What a run said that did what it was asked for.
#[track_caller]
pub(crate) fn well(run: Run) -> String {
    assert_eq!(run.status, 0, "{}", run.error);
    run.out
}
