//! Histories of calls, recorded from clients at work on the real daemon while it is stopped and
//! killed, and checked: each plan against the model of one plan, and all promises against the log,
//! each by the validator of its name. `STRATA_HISTORIES=N` checks N histories instead of a few,
//! `STRATA_HISTORIES_SEED=S` begins with the seed of one that failed.

use std::{collections::BTreeMap, env, time::Instant};

use tempfile::tempdir;

use crate::chance::Chance;

mod checker;
mod client;
mod load;
mod model;
#[cfg(test)]
mod mutations;
mod record;
mod requests;
mod validators;

use record::{History, Outcome};

/// How many histories an ordinary run of the tests checks.
const A_FEW: u64 = 3;
/// How many are checked where there is time.
const MORE: u64 = 25;

/// What was checked.
#[derive(Debug, Default)]
struct Counts {
    histories: u64,
    calls: usize,
    starts: usize,
    watches: usize,
    commits: usize,
    unknown: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_holds_in_every_history() {
    let more = if cfg!(feature = "ci") { MORE } else { A_FEW };
    let histories = number("STRATA_HISTORIES").unwrap_or(more);
    let first = number("STRATA_HISTORIES_SEED").unwrap_or_else(|| Chance::new().seed());
    let started = Instant::now();
    let mut counts = Counts::default();
    for seed in (0..histories).map(|number| first.wrapping_add(number)) {
        let dir = tempdir().expect("a directory");
        let (history, log) = load::record(dir.path(), seed).await;
        counts.add(&history, log.commits().count());
        let broken = validators::broken(&history, &log);
        assert!(
            broken.is_empty(),
            "STRATA_HISTORIES_SEED={seed}: {broken:#?}"
        );
    }
    eprintln!("{:?}: {counts:#?}", started.elapsed());
}

impl Counts {
    fn add(&mut self, history: &History, commits: usize) {
        self.histories += 1;
        self.calls += history.calls.len();
        self.starts += history.starts.len();
        self.watches += history.watches.len();
        self.commits += commits;
        for call in &history.calls {
            match &call.outcome {
                Outcome::Unknown(unknown) => {
                    *self.unknown.entry(format!("{unknown:?}")).or_default() += 1;
                }
                Outcome::Refused(refused) => {
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

/// A number from the environment.
fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
