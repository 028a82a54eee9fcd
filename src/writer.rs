//! The one way to write. Requests are made ready by their callers, wait in a bounded queue, and are
//! decided one after another by one thread against plans that run ahead of the disk. Whatever waited
//! while the last group was being made durable is the next group: one append, one sync, then view,
//! watchers and answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    domain::{
        decide::Refusal,
        shape::{self, Violation},
    },
    feed::Feed,
    journal::{Journal, Syncing, underway::UnderWay},
    proto::{self, LogEntry},
    view::{View, ViewError, index::RequestKey, plans::Folded},
};

pub mod clock;
pub mod course;
mod group;
pub mod guard;
mod ready;
#[cfg(test)]
mod tests;
mod turn;

use self::{
    course::{Course, Moment},
    group::GroupWriter,
    guard::{Guard, Hindrance},
    ready::Prepared,
    turn::{Order, Turn},
};

/// How often a request is made ready again because its plan moved on meanwhile. Each round means
/// that another request on the plan went through, so only a storm of them reaches this.
const ROUNDS_MAX: usize = 64;

/// What the writer waits for when it is held up and no file is.
pub const A_GROUP: &str = "the disk, for a group of commits";

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The commit at its place in the log; position 0 for one that was only validated.
    pub entry: LogEntry,
    /// The revision of the plan after the commit.
    pub revision: u64,
    /// Whether it had been recorded before.
    pub replayed: bool,
}

/// Why a request was not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The request alone shows what is wrong.
    #[error("the request is malformed")]
    Malformed(Vec<Violation>),
    /// The plan forbids it.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// Its id was recorded with other content.
    #[error(
        "The `request_id` was recorded at position {position} with other content: send the new content with a new id."
    )]
    RequestIdReused {
        /// Where it was recorded.
        position: u64,
        /// The revision of the plan after that commit.
        revision: u64,
    },
    /// The queue was full until the deadline.
    #[error("The queue was full until the deadline of the call: try again later, at a lower rate.")]
    QueueFull,
    /// The machine is not as it must be for writing. Nothing was recorded.
    #[error("{}", words_of(.0))]
    Hindered(Hindrance),
    /// The plan changed each time the request was ready.
    #[error("The plan changed too often while the request was made ready: try again.")]
    Contended,
    /// The daemon is stopping.
    #[error("The daemon is stopping: try again.")]
    Stopping,
    /// Writing failed: whether the commit was recorded is unknown until the next start.
    #[error(
        "Writing failed, and whether the request was recorded is unknown: send it again with the same `request_id`."
    )]
    WriteFailed,
    /// The plan cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// A request that waits to be decided.
struct Job {
    request: shape::CheckedRequest,
    /// The key of its id.
    key: RequestKey,
    /// About how many bytes its commit will have.
    bytes: usize,
    /// Who sent it, as far as the daemon knows.
    actor: Arc<str>,
    /// The plan as its caller found it; nothing: there was none.
    folded: Option<Arc<Folded>>,
    /// How many of the plan's commits were searched for the request's id.
    searched_commits: usize,
    /// What a request that corrects or retracts comes to, worked out beforehand.
    prepared: Option<Prepared>,
    /// Its place among the requests of a lane.
    turn: Option<Turn>,
    course: Arc<Course>,
    reply: oneshot::Sender<Reply>,
}

impl Job {
    fn answer(self, reply: Reply) {
        // A caller that has gone does not want it any more; a retry finds what was recorded.
        drop(self.reply.send(reply));
    }

    fn send_back(self) {
        drop(self.reply.send(Reply::Again(Box::new(self.request))));
    }
}

/// What the writer's thread takes from its queue.
enum Message {
    Decide(Box<Job>),
    Stop,
}

/// What became of a job. Sent when all that its decision saw is durable.
enum Reply {
    Recorded(Answer),
    Refused(Refusal),
    TooLarge {
        bytes: usize,
    },
    Hindered(Hindrance),
    /// The plan, or what is known of the request's id, moved on: make it ready again.
    Again(Box<shape::CheckedRequest>),
    Stopping,
    Failed,
}

/// Where requests are handed in.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Message>,
    view: Arc<View>,
    guard: Arc<Guard>,
    /// The group that the thread is at.
    settling: Arc<UnderWay>,
    /// Whether the thread ended because it was told to: what it left unanswered is not recorded.
    stopped: Arc<AtomicBool>,
}

/// Where requests are handed in that are decided in the order in which they came, also when one of
/// them has to be made ready again. Their answers have to be awaited in that order too.
pub struct Lane {
    writer: Writer,
    order: Arc<Order>,
    /// How many requests were queued.
    queued: u64,
}

/// A request on its way: handed in, not answered yet.
pub struct Pending {
    writer: Writer,
    actor: Arc<str>,
    deadline: Instant,
    turn: Option<Turn>,
    course: Arc<Course>,
    /// How often the writer may send it back yet, and once more.
    rounds_left: usize,
    stage: Stage,
}

enum Stage {
    Answered(Box<Result<Answer, ExecuteError>>),
    Queued(oneshot::Receiver<Reply>),
}

impl Writer {
    /// The writer, and the thread's body, which runs until the writer is stopped or writing fails. Call it
    /// within the runtime whose tasks wait for answers.
    pub fn new(
        journal: Arc<dyn Journal>,
        view: Arc<View>,
        feed: Arc<Feed>,
        queue_limit: usize,
        guard: Arc<Guard>,
    ) -> (
        Self,
        impl FnOnce() -> Result<(), WriteFailure> + Send + use<>,
    ) {
        let (queue, jobs) = mpsc::channel(queue_limit);
        let settling = Arc::new(UnderWay::new(A_GROUP.into()));
        let behind = settling.clone();
        let runtime = Handle::current();
        let group_writer =
            GroupWriter::new(journal, view.clone(), feed, guard.clone(), behind, runtime);
        let stopped = Arc::new(AtomicBool::new(false));
        let writer = Self {
            queue,
            view,
            guard,
            settling,
            stopped: stopped.clone(),
        };
        (writer, move || group_writer.run(jobs, &stopped))
    }

    /// Ends the thread once what is queued was answered. Blocks while the queue is full.
    pub fn stop(&self) {
        // A thread that has ended does not need to be told.
        drop(self.queue.blocking_send(Message::Stop));
    }

    /// The group that is under way, from its first look at the disk until it is shown, so that one
    /// which does not return is noticed, whatever it waits for.
    #[must_use]
    pub fn settling(&self) -> Option<Syncing> {
        self.settling.syncing()
    }

    /// How many requests wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// How many requests may wait.
    #[must_use]
    pub fn queue_limit(&self) -> usize {
        self.queue.max_capacity()
    }

    /// Hands a request in. Waits until `deadline` for a place in the queue.
    pub async fn submit(
        &self,
        request: proto::ExecuteRequest,
        actor: Arc<str>,
        deadline: Instant,
    ) -> Pending {
        self.hand_in(request, actor, deadline, None).await
    }

    /// A lane of its own, for requests that must not overtake each other.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane {
            writer: self.clone(),
            order: Arc::default(),
            queued: 0,
        }
    }

    async fn hand_in(
        &self,
        mut request: proto::ExecuteRequest,
        actor: Arc<str>,
        deadline: Instant,
        turn: Option<Turn>,
    ) -> Pending {
        // A text of blanks is empty.
        if request.request_id.trim().is_empty() {
            request.request_id = uuid::Uuid::now_v7().to_string();
        }
        let course = Arc::<Course>::default();
        let stage = match shape::check(request, self.guard.now()) {
            Ok(request) => {
                let behind = turn.clone();
                self.enqueue(request, actor.clone(), deadline, behind, course.clone())
                    .await
            }
            Err(violations) => Err(ExecuteError::Malformed(violations)),
        };
        let stage = stage.unwrap_or_else(|error| Stage::Answered(Box::new(Err(error))));
        // One that was answered at once takes no turn: nobody waits for it.
        let turn = turn.filter(|_| matches!(stage, Stage::Queued(_)));
        Pending {
            writer: self.clone(),
            actor,
            deadline,
            turn,
            course,
            rounds_left: ROUNDS_MAX,
            stage,
        }
    }

    async fn enqueue(
        &self,
        request: shape::CheckedRequest,
        actor: Arc<str>,
        deadline: Instant,
        turn: Option<Turn>,
        course: Arc<Course>,
    ) -> Result<Stage, ExecuteError> {
        // What a request comes to that amends the plan cannot be worked out while those before it
        // are on their way: the writer sends it back, and it is made ready again in its turn.
        let works_out = turn.as_ref().is_none_or(Turn::is_next);
        let ready = ready::make_ready(&self.view, &self.guard, request, works_out).await?;
        let ready = match ready {
            ready::Outcome::Replay(answer) => return Ok(Stage::Answered(Box::new(Ok(answer)))),
            ready::Outcome::Ready(ready) => ready,
        };
        course.mark(Moment::Ready);
        let place = tokio::time::timeout_at(deadline, self.queue.reserve())
            .await
            .map_err(|_| ExecuteError::QueueFull)?
            .map_err(|_| ExecuteError::Stopping)?;
        course.mark(Moment::Queued);
        let (reply, answer) = oneshot::channel();
        let job = ready.into_job(actor, turn, course, reply);
        place.send(Message::Decide(job));
        Ok(Stage::Queued(answer))
    }
}

impl Lane {
    /// Hands a request in, behind those before it. Waits until `deadline` for a place in the queue.
    pub async fn submit(
        &mut self,
        request: proto::ExecuteRequest,
        actor: Arc<str>,
        deadline: Instant,
    ) -> Pending {
        let turn = Turn::new(self.order.clone(), self.queued);
        let pending = self
            .writer
            .hand_in(request, actor, deadline, Some(turn))
            .await;
        self.queued += u64::from(pending.turn.is_some());
        pending
    }
}

impl Pending {
    /// How it goes through the writer.
    #[must_use]
    pub fn course(&self) -> &Arc<Course> {
        &self.course
    }

    /// Waits for the answer.
    pub async fn answer(mut self) -> Result<Answer, ExecuteError> {
        while self.rounds_left > 0 {
            self.rounds_left -= 1;
            let reply = match &mut self.stage {
                Stage::Answered(_) => break,
                Stage::Queued(reply) => reply.await,
            };
            match reply {
                Ok(Reply::Recorded(answer)) => return Ok(answer),
                Ok(Reply::Refused(refusal)) => return Err(ExecuteError::Refused(refusal)),
                Ok(Reply::TooLarge { bytes }) => return Err(too_large(bytes)),
                Ok(Reply::Hindered(hindrance)) => return Err(ExecuteError::Hindered(hindrance)),
                Ok(Reply::Stopping) => return Err(ExecuteError::Stopping),
                // It came to the queue after the last look at it.
                Err(_) if self.writer.stopped.load(Ordering::Acquire) => {
                    return Err(ExecuteError::Stopping);
                }
                // A writer that is gone without an answer failed.
                Ok(Reply::Failed) | Err(_) => return Err(ExecuteError::WriteFailed),
                // What is said to be given up must not be in the queue.
                Ok(Reply::Again(_)) if self.rounds_left == 0 => break,
                Ok(Reply::Again(request)) => self.stage = self.enqueue_again(*request).await,
            }
        }
        // Those before it are answered, so what it got without the writer is final too.
        if let Some(turn) = &self.turn {
            turn.settle();
        }
        match self.stage {
            Stage::Answered(answer) => *answer,
            Stage::Queued(_) => Err(ExecuteError::Contended),
        }
    }

    /// Makes the request ready again. On a task of its own: an answer that nobody reads on must not
    /// keep a place in the queue.
    async fn enqueue_again(&self, request: shape::CheckedRequest) -> Stage {
        let (writer, actor) = (self.writer.clone(), self.actor.clone());
        let (deadline, turn, course) = (self.deadline, self.turn.clone(), self.course.clone());
        let enqueued = tokio::spawn(async move {
            let enqueued = writer.enqueue(request, actor, deadline, turn, course);
            enqueued.await
        });
        // A task that is gone went down with the runtime.
        let stage = enqueued.await.unwrap_or(Err(ExecuteError::Stopping));
        stage.unwrap_or_else(|error| Stage::Answered(Box::new(Err(error))))
    }
}

fn words_of(hindrance: &Hindrance) -> String {
    match hindrance {
        Hindrance::DiskReserve {
            free_bytes,
            reserve_bytes,
        } => format!(
            "The disk has {free_bytes} bytes left and {reserve_bytes} are kept in reserve, so \
             nothing was recorded: try again when an operator has made room."
        ),
        Hindrance::ClockLeapt(_) => "The daemon's clock leapt, so nothing was recorded: try again \
                                     when it is right or an operator has confirmed it."
            .to_owned(),
    }
}

fn too_large(bytes: usize) -> ExecuteError {
    ExecuteError::Malformed(vec![Violation {
        field: "commands".into(),
        description: format!(
            "the commit would have {bytes} bytes encoded, and the most is {}; send the commands \
             in several requests",
            shape::COMMIT_BYTES_MAX
        ),
    }])
}

/// Why the writer's thread ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("writing to the log failed: {0}")]
pub struct WriteFailure(#[from] pub ViewError);

/// How long a call without a deadline of its own waits for a place in the queue.
pub const QUEUE_WAIT: Duration = Duration::from_secs(30);
