//! Strata, and the two bare servers that speak its language: the real binary, and this program once more.

use std::{
    env,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use strata::proto::{
    GetPlanRequest, LogEntry, ReadLogRequest, WatchRequest, WatchResponse,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient,
    read_log_request, watch_request, watch_response::Response,
};
use tonic::{Streaming, async_trait, transport::Channel};

use crate::{
    append,
    contender::{Contender, Failure, Last, Log, Stream, Watched, Watcher, Writer},
    event, load, prepare,
    server::Server,
    spawned::Spawned,
};

/// How much is in flight while the log is filled.
const FILL_IN_FLIGHT: usize = 1_024;
/// How long it is filled before it is looked at again.
const FILL_ROUND: Duration = Duration::from_millis(500);

/// A server that speaks Strata's language.
pub(crate) struct StrataServer {
    name: &'static str,
    server: Server,
    /// Where it keeps its log; the bare servers keep none.
    data: Option<PathBuf>,
    /// Whether it is the bare server that syncs, which knows no plans.
    syncs: bool,
    /// The commits there were before anything was measured.
    prepared: u64,
    writers: AtomicUsize,
}

impl StrataServer {
    /// The daemon on a new log in `dir`, with plans of the world; answers of each kind are kept in `dir` for the
    /// bare servers.
    pub(crate) async fn stratad(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let data = dir.join("data");
        let command = Spawned::command(binary, None);
        let server = Server::stratad(command, &data).await.map_err(told)?;
        prepare::record_plans(&server).await.map_err(told)?;
        prepare::keep_answers(&server, dir).await.map_err(told)?;
        let prepared = server.head().await.map_err(told)?;
        Ok(Self::new("Strata", server, Some(data), prepared))
    }

    /// The bare server that answers at once.
    pub(crate) async fn echo(answers: &Path) -> Result<Self, Failure> {
        let command = Spawned::command(&env::current_exe()?, None);
        let server = Server::echo(command, answers).await.map_err(told)?;
        Ok(Self::new("bare echo", server, None, 0))
    }

    /// The bare server that first appends to a file.
    pub(crate) async fn sync(answers: &Path, dir: &Path) -> Result<Self, Failure> {
        let mut command = Spawned::command(&env::current_exe()?, None);
        command.arg(append::SERVER).arg(answers).arg(dir);
        let server = Server::start(command).await.map_err(told)?;
        Ok(Self {
            syncs: true,
            ..Self::new("bare sync", server, None, 0)
        })
    }

    fn new(name: &'static str, server: Server, data: Option<PathBuf>, prepared: u64) -> Self {
        Self {
            name,
            server,
            data,
            syncs: false,
            prepared,
            writers: AtomicUsize::new(0),
        }
    }

    fn keeps(&self) -> bool {
        self.data.is_some()
    }
}

#[async_trait]
impl Contender for StrataServer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pid(&self) -> u32 {
        self.server.pid()
    }

    fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    fn batch_max(&self) -> usize {
        if self.keeps() { 64 } else { 1 }
    }

    async fn writer(&self, number: usize) -> Result<Box<dyn Writer>, Failure> {
        let writer = self.writers.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(StrataWriter {
            plans: self.server.plans(number),
            stream: Stream::of(format!("versus-{writer}")),
        }))
    }

    async fn count(&self) -> Result<u64, Failure> {
        if !self.keeps() {
            return Ok(0);
        }
        // Of commits it says it itself, but some have many events.
        let head = self.server.head().await.map_err(told)?;
        let mut events = 0;
        let mut log = read_log(&self.server, self.prepared + 1, head).await?;
        while let Some(entry) = log.next().await? {
            events += entry.decode_commit()?.events.len() as u64;
        }
        Ok(events)
    }

    async fn shows(&self, last: &Last) -> Result<bool, Failure> {
        let request = GetPlanRequest {
            plan_id: last.stream.clone(),
            ..GetPlanRequest::default()
        };
        let shown = self.server.plans(0).get_plan(request).await?.into_inner();
        Ok(shown.plan.is_some_and(|plan| plan.revision == last.at))
    }

    fn streams(&self) -> Option<&Server> {
        Some(&self.server)
    }

    fn plans(&self) -> Option<&Server> {
        (!self.syncs).then_some(&self.server)
    }

    fn log(&self) -> Option<&dyn Log> {
        self.keeps().then_some(self as _)
    }

    fn watched(&self) -> Option<&dyn Watched> {
        self.keeps().then_some(self as _)
    }

    fn stop(self: Box<Self>) -> Result<(), Failure> {
        if self.keeps() {
            self.server.stop().map_err(told)
        } else {
            // A bare server knows no good order, and ends with this.
            Ok(())
        }
    }
}

#[async_trait]
impl Log for StrataServer {
    async fn fill(&self, events: u64) -> Result<u64, Failure> {
        let work = load::Work::Stream {
            in_flight: FILL_IN_FLIGHT,
        };
        let mut filled = 0;
        while filled < events {
            let round = work.run(&self.server, 0, FILL_ROUND).await;
            filled += round.map_err(told)?.answers;
        }
        Ok(filled)
    }

    async fn read(&self, events: u64) -> Result<(), Failure> {
        // Every commit up to here has one event.
        let (first, last) = (self.prepared + 1, self.prepared + events);
        read(&self.server, first, last).await
    }
}

#[async_trait]
impl Watched for StrataServer {
    async fn watcher(&self) -> Result<Box<dyn Watcher>, Failure> {
        watch(self.server.history()).await
    }
}

async fn read(server: &Server, first: u64, last: u64) -> Result<(), Failure> {
    let mut log = read_log(server, first, last).await?;
    while let Some(entry) = log.next().await? {
        if entry.commit.is_empty() {
            return Err(format!("there is nothing at {}", entry.position).into());
        }
    }
    Ok(())
}

/// The commits between two positions, each where it must be.
struct Commits {
    messages: Streaming<strata::proto::ReadLogResponse>,
    entries: std::vec::IntoIter<LogEntry>,
    position: u64,
    last: u64,
}

async fn read_log(server: &Server, first: u64, last: u64) -> Result<Commits, Failure> {
    let request = ReadLogRequest {
        start: Some(read_log_request::Start::FromPosition(first)),
        to_position: last,
        ..ReadLogRequest::default()
    };
    Ok(Commits {
        messages: server.history().read_log(request).await?.into_inner(),
        entries: Vec::new().into_iter(),
        position: first - 1,
        last,
    })
}

impl Commits {
    async fn next(&mut self) -> Result<Option<LogEntry>, Failure> {
        loop {
            if let Some(entry) = self.entries.next() {
                if entry.position != self.position + 1 {
                    return Err(format!("{} after {}", entry.position, self.position).into());
                }
                self.position += 1;
                return Ok(Some(entry));
            }
            match self.messages.message().await? {
                Some(message) => self.entries = message.entries.into_iter(),
                None if self.position == self.last => return Ok(None),
                None => return Err(format!("the log ends at {}", self.position).into()),
            }
        }
    }
}

async fn watch(mut history: HistoryServiceClient<Channel>) -> Result<Box<dyn Watcher>, Failure> {
    let request = WatchRequest {
        start: Some(watch_request::Start::FromNow(true)),
        ..WatchRequest::default()
    };
    let messages = history.watch(request).await?.into_inner();
    let mut watcher = StrataWatcher { messages };
    // From here on it is told.
    while !matches!(watcher.message().await?, Response::CaughtUp(_)) {}
    Ok(Box::new(watcher))
}

struct StrataWatcher {
    messages: Streaming<WatchResponse>,
}

impl StrataWatcher {
    async fn message(&mut self) -> Result<Response, Failure> {
        let message = self.messages.message().await?.ok_or("the watch ended")?;
        Ok(message.response.ok_or("a message says nothing")?)
    }
}

#[async_trait]
impl Watcher for StrataWatcher {
    async fn next(&mut self) -> Result<usize, Failure> {
        loop {
            match self.message().await? {
                Response::Entries(entries) => return Ok(entries.entries.len()),
                Response::Checkpoint(_) | Response::CaughtUp(_) => {}
            }
        }
    }
}

struct StrataWriter {
    plans: PlanServiceClient<Channel>,
    stream: Stream,
}

#[async_trait]
impl Writer for StrataWriter {
    async fn append(&mut self, events: usize) -> Result<(), Failure> {
        self.stream.turn();
        let request = event::request(&self.stream.name, self.stream.events, events);
        self.plans.execute(request).await?;
        self.stream.events += events as u64;
        Ok(())
    }

    fn last(&self) -> Last {
        Last {
            stream: self.stream.name.clone(),
            at: self.stream.events,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn told(failure: impl ToString) -> Failure {
    failure.to_string().into()
}
