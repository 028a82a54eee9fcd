//! Strata, and the two bare servers that speak its language: the real binary, and this program once more.

use std::{
    env,
    path::{Path, PathBuf},
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
    contender::{
        Contender, Crowd, End, Ended, Failure, Last, Log, STREAM_EVENTS, Stream, Watched, Watcher,
        Writer, next_writer,
    },
    event,
    idle::{Idle, WATCHES_A_CONNECTION},
    plans::{self, Size},
    prepare,
    server::Server,
    spawned::Spawned,
    writing,
};

/// How long plans that were just written are left alone, so that they are in memory no longer.
const SETTLING: Duration = Duration::from_secs(3);
/// The variable by which the daemon is told how much memory plans may take, and the least that it takes.
const PLAN_CACHE: (&str, &str) = ("STRATA_PLAN_CACHE_BYTES", "64KiB");

/// A server that speaks Strata's language.
pub(crate) struct StrataServer {
    place: Place,
    server: Server,
}

/// Where it is and what it kept.
#[derive(Clone)]
enum Place {
    /// The daemon on a log.
    Daemon {
        binary: PathBuf,
        data: PathBuf,
        /// The commits there were before anything was measured.
        prepared: u64,
        /// Whether it keeps next to no plans in memory.
        cold: bool,
    },
    /// The bare server that answers at once.
    Echo { answers: PathBuf },
    /// The bare server that first appends to a file; it knows no plans.
    Sync { answers: PathBuf, dir: PathBuf },
}

impl StrataServer {
    /// The daemon on a new log in `dir`.
    pub(crate) async fn new(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        Self::at(Place::Daemon {
            binary: binary.to_owned(),
            data: dir.join("data"),
            prepared: 0,
            cold: false,
        })
        .await
    }

    /// The daemon on a new log in `dir`, with the plans that are asked for again and again; answers of each kind are
    /// kept in `dir` for the bare servers.
    pub(crate) async fn prepared(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let mut started = Self::new(binary, dir).await?;
        let server = &started.server;
        for size in Size::ALL {
            plans::record(server, size, size.hot()).await?;
        }
        prepare::keep_answers(server, dir).await.map_err(told)?;
        plans::keep_answers(server, dir).await?;
        let head = server.head().await.map_err(told)?;
        started.place.prepare(head);
        Ok(started)
    }

    /// The daemon on a new log in `dir`, with so many plans of a size that are not in its memory when they are asked
    /// for: it keeps next to none there.
    pub(crate) async fn cold(
        binary: &Path,
        dir: &Path,
        size: Size,
        count: u64,
    ) -> Result<Self, Failure> {
        let started = Self::at(Place::Daemon {
            binary: binary.to_owned(),
            data: dir.join("data"),
            prepared: 0,
            cold: true,
        })
        .await?;
        plans::record(&started.server, size, count).await?;
        // What was just written it has in memory for about a second.
        tokio::time::sleep(SETTLING).await;
        Ok(started)
    }

    /// The bare server that answers at once.
    pub(crate) async fn echo(answers: &Path) -> Result<Self, Failure> {
        let answers = answers.to_owned();
        Self::at(Place::Echo { answers }).await
    }

    /// The bare server that first appends to a file.
    pub(crate) async fn sync(answers: &Path, dir: &Path) -> Result<Self, Failure> {
        let (answers, dir) = (answers.to_owned(), dir.to_owned());
        Self::at(Place::Sync { answers, dir }).await
    }

    async fn at(place: Place) -> Result<Self, Failure> {
        let server = match &place {
            Place::Daemon {
                binary, data, cold, ..
            } => {
                let mut command = Spawned::command(binary, None);
                if *cold {
                    command.env(PLAN_CACHE.0, PLAN_CACHE.1);
                }
                Server::stratad(command, data).await
            }
            Place::Echo { answers } => {
                let command = Spawned::command(&env::current_exe()?, None);
                Server::echo(command, answers).await
            }
            Place::Sync { answers, dir } => {
                let mut command = Spawned::command(&env::current_exe()?, None);
                command.arg(append::SERVER).arg(answers).arg(dir);
                Server::start(command).await
            }
        };
        let server = server.map_err(told)?;
        Ok(Self { place, server })
    }
}

impl Place {
    /// How many commits there were before anything was measured.
    fn prepared(&self) -> u64 {
        match self {
            Self::Daemon { prepared, .. } => *prepared,
            Self::Echo { .. } | Self::Sync { .. } => 0,
        }
    }

    fn prepare(&mut self, commits: u64) {
        if let Self::Daemon { prepared, .. } = self {
            *prepared = commits;
        }
    }

    fn keeps(&self) -> bool {
        match self {
            Self::Daemon { .. } => true,
            Self::Echo { .. } | Self::Sync { .. } => false,
        }
    }
}

#[async_trait]
impl Ended for Place {
    async fn start(self: Box<Self>) -> Result<Box<dyn Contender>, Failure> {
        Ok(Box::new(StrataServer::at(*self).await?))
    }
}

#[async_trait]
impl Contender for StrataServer {
    fn name(&self) -> &'static str {
        match self.place {
            Place::Daemon { .. } => "Strata",
            Place::Echo { .. } => "bare echo",
            Place::Sync { .. } => "bare sync",
        }
    }

    fn pid(&self) -> u32 {
        self.server.pid()
    }

    fn data(&self) -> Option<&Path> {
        match &self.place {
            Place::Daemon { data, .. } => Some(data),
            Place::Echo { .. } | Place::Sync { .. } => None,
        }
    }

    fn batch_max(&self) -> usize {
        if self.place.keeps() { 64 } else { 1 }
    }

    async fn writer(&self, number: usize) -> Result<Box<dyn Writer>, Failure> {
        let writer = next_writer();
        Ok(Box::new(StrataWriter {
            plans: self.server.plans(number),
            stream: Stream::of(format!("versus-{writer}")),
        }))
    }

    async fn count(&self) -> Result<u64, Failure> {
        if !self.place.keeps() {
            return Ok(0);
        }
        // Of commits it says it itself, but some have many events.
        let head = self.server.head().await.map_err(told)?;
        let mut events = 0;
        let mut log = read_log(&self.server, self.place.prepared() + 1, head).await?;
        while let Some(entry) = log.next().await? {
            let commit = entry.decode_commit()?;
            if !commit.events.iter().all(event::is_written) {
                return Err(format!("{} is not what was written", entry.position).into());
            }
            events += commit.events.len() as u64;
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
        match self.place {
            Place::Daemon { .. } | Place::Echo { .. } => Some(&self.server),
            Place::Sync { .. } => None,
        }
    }

    async fn fill(self: Box<Self>, events: u64) -> Result<(Box<dyn Contender>, u64), Failure> {
        let writer = next_writer();
        let requests = (0..events).map(move |number| {
            let plan = number / STREAM_EVENTS;
            writing::request(&format!("filling-{writer}-{plan}"), number % STREAM_EVENTS)
        });
        let filled = plans::execute_all(self.server.plans(0), requests).await?;
        Ok((self, filled))
    }

    fn log(&self) -> Option<&dyn Log> {
        match self.place {
            Place::Daemon { .. } | Place::Echo { .. } => Some(self),
            Place::Sync { .. } => None,
        }
    }

    fn watched(&self) -> Option<&dyn Watched> {
        self.place.keeps().then_some(self as _)
    }

    fn crowd(&self) -> Option<&dyn Crowd> {
        self.place.keeps().then_some(self as _)
    }

    fn stop(self: Box<Self>, end: End) -> Result<Box<dyn Ended>, Failure> {
        // A bare server knows no good order.
        if end == End::Stopped && self.place.keeps() {
            self.server.stop().map_err(told)?;
        } else {
            drop(self.server);
        }
        Ok(Box::new(self.place))
    }
}

#[async_trait]
impl Log for StrataServer {
    async fn read(&self, events: u64) -> Result<(), Failure> {
        if self.place.keeps() {
            // Every commit up to here has one event.
            let prepared = self.place.prepared();
            let (first, last) = (prepared + 1, prepared + events);
            read(&self.server, first, last).await
        } else {
            read_floor(&self.server, events).await
        }
    }
}

#[async_trait]
impl Watched for StrataServer {
    async fn watcher(&self) -> Result<Box<dyn Watcher>, Failure> {
        watch(self.server.history(), from_now()).await
    }
}

#[async_trait]
impl Crowd for StrataServer {
    async fn gather(&self, watches: usize) -> Result<Idle, Failure> {
        let mut idle = Idle::default();
        let mut left = watches;
        while left > 0 {
            let connection = self.server.connect().await.map_err(told)?;
            let history = HistoryServiceClient::new(connection);
            for number in 0..left.min(WATCHES_A_CONNECTION) {
                let request = WatchRequest {
                    plan_ids: vec![format!("quiet-{left}-{number}")],
                    ..from_now()
                };
                let mut news = watch(history.clone(), request).await?;
                idle.add(async move {
                    match news.next().await {
                        Ok(positions) => format!("{positions:?} came"),
                        Err(failure) => failure.to_string(),
                    }
                });
            }
            left -= left.min(WATCHES_A_CONNECTION);
        }
        Ok(idle)
    }
}

/// From the bare server, whose one message comes again and again: its entries are counted.
async fn read_floor(server: &Server, events: u64) -> Result<(), Failure> {
    let request = ReadLogRequest {
        to_position: events,
        ..ReadLogRequest::default()
    };
    let mut messages = server.history().read_log(request).await?.into_inner();
    let mut read = 0;
    while let Some(message) = messages.message().await? {
        read += message.entries.len() as u64;
    }
    if read < events {
        return Err(format!("{read} of {events} entries were read").into());
    }
    Ok(())
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

fn from_now() -> WatchRequest {
    WatchRequest {
        start: Some(watch_request::Start::FromNow(true)),
        ..WatchRequest::default()
    }
}

async fn watch(
    mut history: HistoryServiceClient<Channel>,
    request: WatchRequest,
) -> Result<Box<dyn Watcher>, Failure> {
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
    async fn next(&mut self) -> Result<Vec<u64>, Failure> {
        loop {
            match self.message().await? {
                Response::Entries(entries) => {
                    return Ok(entries.entries.iter().map(|it| it.position).collect());
                }
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
    async fn append(&mut self, events: usize) -> Result<u64, Failure> {
        self.stream.turn();
        let request = event::request(&self.stream.name, self.stream.events, events);
        let recorded = self.plans.execute(request).await?.into_inner();
        self.stream.events += events as u64;
        Ok(recorded.entry.ok_or("no entry")?.position)
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
