//! Sends the lines of an import over one stream. A line is sent when no line is under way that it
//! could depend on: one of its plan, or of a plan that its causes name. So a refused line is never
//! overtaken by a later one of its plan, whose revision would then be another than the file says.

use std::{collections::VecDeque, error::Error as _, io::BufRead, iter::Peekable, time::Duration};

use indicatif::ProgressBar;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{
    cli::{
        import::{
            ImportError, Lost, Tally, UnderWay,
            lines::{Line, LineError, Lines},
        },
        remote::Remote,
    },
    client::refusal::Refusal,
    proto::{ExecuteRequest, ExecuteStreamRequest, ExecuteStreamResponse, execute_stream_response},
};

/// How many lines are under way at most: enough for the daemon to make one group of them.
const UNDER_WAY_MAX: usize = 64;

/// How long a daemon that was never reached is waited for: long enough for one that is starting.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// How long a daemon that has answered before is waited for: long enough for a restart.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first and the longest pause between two attempts.
const PAUSE_MS_MIN: u64 = 100;
const PAUSE_MS_MAX: u64 = 5_000;

/// How long answers to later lines are waited for after a line was refused.
const SETTLE_SECONDS_MAX: u64 = 10;

/// An import that is being sent.
pub struct Sending<'a, R: BufRead> {
    remote: &'a Remote,
    lines: Peekable<Lines<R>>,
    /// Sent and not answered, in the order of sending.
    under_way: VecDeque<Line>,
    tally: Tally,
    progress: &'a ProgressBar,
    /// How long the daemon is waited for while it has answered nothing.
    first_patience: Duration,
    /// Whether a daemon that is hindered by its disk or clock is waited for without an end.
    through_hindrances: bool,
    /// Whether it was said that one is.
    said_hindered: bool,
}

/// Why one stream ended before all lines were answered.
enum Ended {
    /// The same lines may be sent again.
    Lost(Lost),
    /// The import is over.
    Failed(ImportError),
}

/// What one answer means for the import.
enum Answer {
    Done,
    Refused(Refusal),
}

impl<'a, R: BufRead> Sending<'a, R> {
    /// An import of `lines` of which nothing is sent yet.
    pub fn new(remote: &'a Remote, lines: Lines<R>, progress: &'a ProgressBar) -> Self {
        Self {
            remote,
            lines: lines.peekable(),
            under_way: VecDeque::new(),
            tally: Tally::default(),
            progress,
            first_patience: FIRST_PATIENCE,
            through_hindrances: false,
            said_hindered: false,
        }
    }

    /// The same, but waiting for a daemon that is hindered by its disk or clock however long it is.
    #[must_use]
    pub fn through_hindrances(self) -> Self {
        Self {
            through_hindrances: true,
            ..self
        }
    }

    /// Sends all lines, over a new stream whenever one is lost, until the daemon was away too long.
    pub async fn run(mut self) -> Result<Tally, ImportError> {
        let mut lost_since = Instant::now();
        let mut pause_ms = PAUSE_MS_MIN;
        loop {
            let answered_before = self.tally.answered();
            let reason = match self.send_over_one_stream().await {
                Ok(()) => return Ok(self.tally),
                Err(Ended::Failed(error)) => return Err(error),
                Err(Ended::Lost(reason)) => reason,
            };
            if self.tally.answered() > answered_before {
                lost_since = Instant::now();
                pause_ms = PAUSE_MS_MIN;
            }
            let patience = if self.tally.answered() == 0 {
                self.first_patience
            } else {
                PATIENCE
            };
            if self.waits_for(&reason) {
                lost_since = Instant::now();
            } else if lost_since.elapsed() >= patience {
                let tally = self.tally;
                return Err(ImportError::Unavailable { reason, tally });
            }
            self.progress.set_message("(waiting for the daemon)");
            sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MS_MAX);
        }
    }

    /// Whether to wait for a daemon without an end, which is said once.
    fn waits_for(&mut self, reason: &Lost) -> bool {
        let Some(refusal) = reason.hindrance().filter(|_| self.through_hindrances) else {
            return false;
        };
        if !self.said_hindered {
            self.said_hindered = true;
            tracing::warn!(
                reason = refusal.reason,
                answered = self.tally.answered(),
                "the import waits until the daemon records again"
            );
        }
        true
    }

    async fn send_over_one_stream(&mut self) -> Result<(), Ended> {
        let client = self.remote.connect().await.map_err(|error| {
            if error.is_passing() {
                return Ended::Lost(error.into());
            }
            let (reason, tally) = (error.into(), self.tally);
            Ended::Failed(ImportError::Unavailable { reason, tally })
        })?;
        let (requests, outbox) = mpsc::channel(UNDER_WAY_MAX);
        for line in &self.under_way {
            enqueue(&requests, &line.request);
        }
        // The first lines stand ready before the call, whose answer may wait for them.
        self.fill(&requests)?;
        if self.under_way.is_empty() {
            return Ok(());
        }
        let mut answers = client
            .plans()
            .execute_stream(ReceiverStream::new(outbox))
            .await
            .map_err(|status| self.ended_by(&status))?
            .into_inner();
        self.progress.set_message("");
        loop {
            let answer = answers
                .message()
                .await
                .map_err(|status| self.ended_by(&status))?;
            let Some(answer) = answer else {
                return Err(self.ended_by(&Status::unavailable("the stream ended")));
            };
            let Some(line) = self.under_way.pop_front() else {
                return Err(self.ended_by(&Status::internal("an answer to no request")));
            };
            match self.settle(answer) {
                Answer::Done => {}
                Answer::Refused(refusal) if refusal.is_passing() => {
                    self.under_way.push_front(line);
                    return Err(Ended::Lost(self.refusing(refusal)));
                }
                Answer::Refused(refusal) => {
                    drop(requests);
                    let error = self.end_at(line.number, refusal, answers).await;
                    return Err(Ended::Failed(error));
                }
            }
            self.fill(&requests)?;
            if self.under_way.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends as many lines as may be under way together.
    fn fill(&mut self, requests: &mpsc::Sender<ExecuteStreamRequest>) -> Result<(), Ended> {
        while self.under_way.len() < UNDER_WAY_MAX {
            let under_way = &self.under_way;
            let may_follow = |line: &Result<Line, LineError>| {
                !line
                    .as_ref()
                    .is_ok_and(|line| depends_on(&line.request, under_way))
            };
            match self.lines.next_if(may_follow) {
                None => break,
                Some(Ok(line)) => {
                    enqueue(requests, &line.request);
                    self.under_way.push_back(line);
                }
                Some(Err(error)) => {
                    let tally = self.tally;
                    return Err(Ended::Failed(ImportError::Changed { error, tally }));
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, answer: ExecuteStreamResponse) -> Answer {
        use execute_stream_response::Outcome;
        let response = match answer.outcome {
            Some(Outcome::Response(response)) => response,
            Some(Outcome::Error(error)) => return Answer::Refused(Refusal::from(error)),
            None => {
                let status = Status::internal("an answer that this version does not know");
                return Answer::Refused(Refusal::from(&status));
            }
        };
        let counter = if response.replayed {
            &mut self.tally.replayed
        } else if response.entry.is_none_or(|entry| entry.position == 0) {
            &mut self.tally.validated
        } else {
            &mut self.tally.recorded
        };
        *counter += 1;
        self.progress.inc(1);
        if std::mem::take(&mut self.said_hindered) {
            tracing::info!("the import goes on");
        }
        Answer::Done
    }

    /// Ends the import at a refused line, after the lines that cannot be called back were answered.
    async fn end_at(
        &mut self,
        line: u64,
        refusal: Refusal,
        mut answers: Streaming<ExecuteStreamResponse>,
    ) -> ImportError {
        self.tally.refused += 1;
        let mut others = UnderWay::default();
        let settling = async {
            while let Some(answer) = answers.message().await.ok().flatten() {
                if self.under_way.pop_front().is_none() {
                    break;
                }
                match self.settle(answer) {
                    Answer::Done => others.settled += 1,
                    Answer::Refused(_) => {}
                }
            }
        };
        // Whether it was in time shows in what is left under way.
        timeout(Duration::from_secs(SETTLE_SECONDS_MAX), settling)
            .await
            .ok();
        others.unknown = self.under_way.len() as u64;
        ImportError::Refused {
            line,
            refusal,
            tally: self.tally,
            others,
        }
    }

    /// What a status means that ends the whole stream.
    fn ended_by(&self, status: &Status) -> Ended {
        let refusal = Refusal::from(status);
        // A status with a source was made on this side, of a connection that broke.
        if refusal.is_passing() || status.source().is_some() || refusal.code == Code::Cancelled {
            Ended::Lost(if status.source().is_some() {
                self.silent(refusal)
            } else {
                self.refusing(refusal)
            })
        } else {
            let tally = self.tally;
            Ended::Failed(ImportError::CallRefused { refusal, tally })
        }
    }

    fn silent(&self, refusal: Refusal) -> Lost {
        Lost::Silent {
            url: self.remote.url(),
            refusal,
        }
    }

    fn refusing(&self, refusal: Refusal) -> Lost {
        Lost::Refusing {
            url: self.remote.url(),
            refusal,
        }
    }
}

/// Whether a request is of a plan that has a line under way, or its causes name such a plan.
fn depends_on(request: &ExecuteRequest, under_way: &VecDeque<Line>) -> bool {
    under_way.iter().any(|line| {
        let plan_id = &line.request.plan_id;
        *plan_id == request.plan_id
            || request
                .because
                .iter()
                .any(|cause| cause.plan_id == *plan_id)
    })
}

fn enqueue(requests: &mpsc::Sender<ExecuteStreamRequest>, request: &ExecuteRequest) {
    let request = ExecuteStreamRequest {
        execute: Some(request.clone()),
    };
    // There is room for all that may be under way; a stream that is gone shows when it is read.
    requests.try_send(request).ok();
}

#[cfg(test)]
mod tests;
