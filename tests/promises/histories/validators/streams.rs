//! What is promised of the log as a whole: that watches send all of it, that no start is blind to a
//! loss, and that it only grows.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};
use strata::proto::{LogEntry, watch_response::Response};

use super::{History, Known, Log, Verdict, reached};
use crate::histories::record::Watching;

/// Every watch was sent the commits that it wants from where it began, whole, each once, in order and
/// none left out, up to where it said to have sent all.
pub(super) fn watch(history: &History, log: &Log) -> Verdict {
    let known = Known::acknowledged(history);
    for watching in &history.watches {
        let mut expected: VecDeque<&LogEntry> = wanted(watching, log).collect();
        let mut caught_up = false;
        for (_, response) in &watching.messages {
            let entries = match response {
                Response::Entries(entries) => entries.entries.as_slice(),
                Response::Checkpoint(_) => &[],
                Response::CaughtUp(at) => {
                    if caught_up || at.position < known.before(watching.invoked) {
                        return Err(format!("a watch said to have caught up at {}", at.position));
                    }
                    caught_up = true;
                    &[]
                }
            };
            for entry in entries {
                // What lies beyond the log is not durable, which is another promise.
                if entry.position <= log.head() && expected.pop_front() != Some(entry) {
                    return Err(format!(
                        "a watch of {:?} from {} was sent {} out of its turn",
                        watching.request.plan_ids, watching.from, entry.position
                    ));
                }
            }
            let left_out = expected
                .front()
                .filter(|next| next.position <= reached(response));
            if let Some(next) = left_out {
                return Err(format!("a watch was not sent {}", next.position));
            }
        }
    }
    Ok(())
}

fn wanted<'a>(watching: &'a Watching, log: &'a Log) -> impl Iterator<Item = &'a LogEntry> {
    let plans = &watching.request.plan_ids;
    let commits = log.entries().zip(log.commits());
    let wanted = commits.filter(move |(entry, (_, commit))| {
        let of_plan = plans.is_empty() || plans.contains(&commit.plan_id);
        of_plan && entry.position >= watching.from
    });
    wanted.map(|(entry, _)| entry)
}

/// No start served a log that ends before what had been acknowledged or shown.
pub(super) fn loss_is_noticed(history: &History, _: &Log) -> Verdict {
    let seen = Known::seen(history);
    for start in &history.starts {
        let before = seen.before(start.at);
        if start.head < before {
            return Err(format!(
                "{} was served after {before} had been shown",
                start.head
            ));
        }
    }
    Ok(())
}

/// Every root that was computed on the way is that of the same beginning of the log at the end.
pub(super) fn tamper_evident(history: &History, log: &Log) -> Verdict {
    for earlier in &history.roots {
        let prefix: Vec<_> = log.entries().take(earlier.size).collect();
        // A log that is shorter has lost something, which is another promise.
        if prefix.len() == earlier.size && root_of(prefix) != earlier.root {
            return Err(format!("the first {} commits are others now", earlier.size));
        }
    }
    Ok(())
}

/// The root of RFC 6962 over commits as they were read, as it is defined.
pub(in crate::histories) fn root_of<'a>(
    entries: impl IntoIterator<Item = &'a LogEntry>,
) -> [u8; 32] {
    let leaf = |entry: &LogEntry| {
        let leaf = Sha256::new().chain_update([0]).chain_update(&entry.commit);
        leaf.finalize().into()
    };
    let leaves: Vec<[u8; 32]> = entries.into_iter().map(leaf).collect();
    subtree(&leaves)
}

fn subtree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let inner = Sha256::new().chain_update([1]);
            let inner = inner.chain_update(subtree(left));
            inner.chain_update(subtree(right)).finalize().into()
        }
    }
}
