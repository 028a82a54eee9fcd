//! A disk that fails, fills up, hangs or turns read-only, and a clock that leaps, under the real
//! daemon. Whatever happens, what was acknowledged is in the log of the next start, what was not is
//! recorded at most once, and a daemon that stops says why.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
};

use strata::proto::{ExecuteRequest, ExecuteResponse, LogEntry};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    daemon::{Daemon, create_plan, note, request, serve_arguments},
    reading::{assert_sound, reason, whole_log},
};

mod clock;
mod disk;
mod injected;
mod stall;

const WRITERS: usize = 4;
/// What one writer sends at most: far more than are sent before any fault here.
const REQUESTS_MAX: usize = 20_000;

/// What was sent and what came back, over all starts of a daemon.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<(ExecuteRequest, ExecuteResponse)>>,
    /// Sent and not answered, or answered as not known.
    unknown: Mutex<Vec<ExecuteRequest>>,
    reasons: Mutex<BTreeSet<String>>,
}

impl Ledger {
    /// Records commits of one plan, one after the other, none of which may be refused.
    async fn record(&self, daemon: &Daemon, commits: usize) {
        for number in 0..commits {
            let command = if number == 0 {
                create_plan()
            } else {
                note("a note")
            };
            let request = request("growth", &number.to_string(), command);
            let answer = daemon.plans().execute(request.clone()).await;
            assert!(self.take(request, answer));
        }
    }

    /// Writes with several clients, notes of `note_chars` each, until each of them was refused or cut off.
    async fn write_until_refused(
        self: &Arc<Self>,
        daemon: &Daemon,
        round: &str,
        note_chars: usize,
    ) {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (ledger, mut client) = (self.clone(), daemon.plans());
            let plan_id = format!("plan-{round}-{writer}");
            writers.spawn(async move {
                for number in 0..REQUESTS_MAX {
                    let command = if number == 0 {
                        create_plan()
                    } else {
                        note(&"x".repeat(note_chars))
                    };
                    let request = request(&plan_id, &number.to_string(), command);
                    let answer = client.execute(request.clone()).await;
                    if !ledger.take(request, answer) {
                        return;
                    }
                }
                panic!("{REQUESTS_MAX} requests, and nothing failed");
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.expect("a writer that found nothing wrong");
        }
    }

    /// Takes an answer; says whether it was recorded.
    #[track_caller]
    fn take(
        &self,
        request: ExecuteRequest,
        answer: Result<tonic::Response<ExecuteResponse>, Status>,
    ) -> bool {
        match answer {
            Ok(answer) => {
                lock(&self.acknowledged).push((request, answer.into_inner()));
                true
            }
            Err(status) => {
                let reason = reason(&status);
                let known = ["WRITE_FAILED", "STOPPING", "DISK_RESERVE"];
                match &reason {
                    Some(reason) => assert!(known.contains(&reason.as_str()), "{status:?}"),
                    // The connection ended with the daemon.
                    None => assert_ne!(status.code(), Code::DataLoss, "{status:?}"),
                }
                lock(&self.reasons).extend(reason);
                lock(&self.unknown).push(request);
                false
            }
        }
    }

    fn was_refused_for(&self, reason: &str) -> bool {
        lock(&self.reasons).contains(reason)
    }

    fn acknowledged(&self) -> usize {
        lock(&self.acknowledged).len()
    }

    /// Asserts that the log holds all that was acknowledged at its place, and at most once what was
    /// not answered.
    #[track_caller]
    fn assert_kept_by(&self, log: &[LogEntry]) {
        assert_sound(log);
        for (request, response) in lock(&self.acknowledged).iter() {
            let entry = response.entry.as_ref().expect("an entry");
            let index = usize::try_from(entry.position).expect("small") - 1;
            assert_eq!(
                log.get(index),
                Some(entry),
                "{} is lost",
                request.request_id
            );
        }
        let most = self.acknowledged() + lock(&self.unknown).len();
        assert!(
            log.len() <= most,
            "{} commits of {most} requests",
            log.len()
        );
    }

    /// Asserts the same of a daemon, sends what is unknown again, and asserts that the log then
    /// holds each request once.
    async fn settle(&self, daemon: &Daemon) {
        self.assert_kept_by(&whole_log(daemon).await);
        let unknown = std::mem::take(&mut *lock(&self.unknown));
        for request in unknown {
            let answer = daemon.plans().execute(request.clone()).await;
            assert!(self.take(request, answer), "sent again, it is recorded");
        }
        let log = whole_log(daemon).await;
        self.assert_kept_by(&log);
        assert_eq!(
            log.len(),
            self.acknowledged(),
            "each request is recorded once"
        );
    }

    /// Starts a daemon on the directory, settles and stops it.
    async fn settle_in(&self, data_dir: &Path) {
        let daemon = Daemon::start(data_dir).await;
        self.settle(&daemon).await;
        daemon.stop().await;
    }
}

/// The command that serves a directory, with more arguments.
fn serve(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command.args(serve_arguments(data_dir)).args(arguments);
    command
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a writer that found nothing wrong")
}
