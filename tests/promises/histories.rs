//! Histories of calls, recorded from clients at work on the real daemon while it is stopped and
//! killed, and checked: each plan against the model of one plan, and all promises against the log,
//! each by the validator of its name. `TEST_HISTORIES=N` checks N histories instead of a few, and
//! `TEST_SEED=S` begins with the seed of one that failed:
//! `TEST_HISTORIES=50 cargo test --test promises histories::every -- --nocapture`.

use std::{collections::BTreeMap, fs, time::Instant};

use tempfile::tempdir;

use crate::chance::{Chance, times};

mod checker;
mod client;
mod load;
mod model;
#[cfg(test)]
mod mutations;
mod record;
mod requests;
mod validators;

use record::{History, Log, Outcome};

/// How many histories an ordinary run of the tests checks.
const A_FEW: usize = 2;
/// How many one with the feature `ci` does.
const MORE: usize = 20;

/// What these calls may be refused for; anything else, such as damage, is wrong by itself.
const REASONS: [&str; 14] = [
    "BEYOND_HEAD",
    "CONTENDED",
    "ID_TAKEN",
    "MALFORMED_REQUEST",
    "NOT_CORRECTABLE",
    "PLAN_ARCHIVED",
    "PLAN_EXISTS",
    "PLAN_NOT_ARCHIVED",
    "PLAN_NOT_FOUND",
    "POSITION_NOT_REACHED",
    "QUEUE_FULL",
    "REQUEST_ID_REUSED",
    "REVISION_CONFLICT",
    "STOPPING",
];

/// What was checked.
#[derive(Debug, Default)]
struct Counts {
    histories: u64,
    calls: usize,
    starts: usize,
    /// Restarts after a kill; the others are after a stop.
    kills: usize,
    watches: usize,
    commits: usize,
    /// Answers that came again.
    replays: usize,
    unknown: BTreeMap<String, usize>,
    /// Of the unknown ones, those whose request was recorded.
    unknown_recorded: usize,
    refused: BTreeMap<String, usize>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_holds_in_every_history() {
    let few = if cfg!(feature = "ci") { MORE } else { A_FEW };
    let histories = times("TEST_HISTORIES", few);
    let first = Chance::new().seed();
    eprintln!("TEST_SEED={first}");
    let started = Instant::now();
    let mut counts = Counts::default();
    for seed in (first..).take(histories) {
        let dir = tempdir().expect("a directory");
        let (history, log) = load::record(dir.path(), seed).await;
        history.assert_coherent();
        counts.add(&history, &log);
        let broken = validators::broken(&history, &log);
        if !broken.is_empty() {
            let kept = keep(seed, &history, &log);
            panic!("TEST_SEED={seed}: {broken:#?}\nThe history is in {kept}");
        }
        eprintln!("{seed}: {} calls", history.calls.len());
    }
    eprintln!("{:?}: {counts:#?}", started.elapsed());
}

/// Writes down a history that breaks a promise: its seed alone may not bring it back.
fn keep(seed: u64, history: &History, log: &Log) -> String {
    let path = format!("{}/history-{seed}.txt", env!("CARGO_TARGET_TMPDIR"));
    fs::write(&path, format!("{history:#?}\n{log:#?}\n")).expect("the history is written");
    path
}

impl Counts {
    fn add(&mut self, history: &History, log: &Log) {
        self.histories += 1;
        self.calls += history.calls.len();
        self.starts += history.starts.len();
        self.kills += history.kills;
        self.watches += history.watches.len();
        self.commits += log.commits().count();
        for call in &history.calls {
            let replay = call
                .acknowledged()
                .filter(|(_, response)| response.replayed);
            self.replays += usize::from(replay.is_some());
            match &call.outcome {
                Outcome::Unknown(unknown) => {
                    *self.unknown.entry(format!("{unknown:?}")).or_default() += 1;
                    let request = call.execute();
                    let commit = request.and_then(|it| log.find(&it.plan_id, &it.request_id));
                    self.unknown_recorded += usize::from(commit.is_some());
                }
                Outcome::Refused(refused) => {
                    assert!(REASONS.contains(&refused.reason.as_str()), "{call:?}");
                    let reason = format!("{:?} {}", refused.code, refused.reason);
                    *self.refused.entry(reason).or_default() += 1;
                }
                Outcome::Executed(_)
                | Outcome::Plan(_)
                | Outcome::Plans(_)
                | Outcome::Events(_)
                | Outcome::Entries(_) => {}
            }
        }
    }
}
