//! `UmaDB`, an event store in Rust with consistency boundaries by tags: an append names a query and the position
//! after which nothing may match it. A stream is a tag.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tonic::async_trait;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{
    DcbAppendCondition, DcbEvent, DcbEventStoreAsync as _, DcbQuery, DcbQueryItem,
    DcbSubscriptionAsync,
};

use crate::{
    contender::{Contender, Failure, Last, Log, Stream, Watched, Watcher, Writer},
    event,
    spawned::{Spawned, free_port},
};

/// How many connections the clients share, as with the daemon.
const CONNECTIONS: usize = 8;
/// How many events an append has that fills the log.
const FILL_EVENTS: u64 = 500;

pub(crate) struct UmaDb {
    spawned: Spawned,
    clients: Vec<Arc<AsyncUmaDbClient>>,
    data: PathBuf,
    writers: AtomicUsize,
}

impl UmaDb {
    /// A new store in `dir`, with what it does by default.
    pub(crate) async fn start(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let port = free_port()?;
        let data = dir.join("uma.db");
        let mut command = Spawned::command(binary, None);
        command
            .args(["--listen", &format!("127.0.0.1:{port}"), "--db-path"])
            .arg(&data);
        let spawned = Spawned::start(command, port, dir)?;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = UmaDbClient::new(format!("http://127.0.0.1:{port}"));
            clients.push(Arc::new(client.connect_async().await?));
        }
        Ok(Self {
            spawned,
            clients,
            data,
            writers: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Contender for UmaDb {
    fn name(&self) -> &'static str {
        "UmaDB"
    }

    fn pid(&self) -> u32 {
        self.spawned.pid()
    }

    fn data(&self) -> Option<&Path> {
        Some(&self.data)
    }

    fn batch_max(&self) -> usize {
        100
    }

    async fn writer(&self, number: usize) -> Result<Box<dyn Writer>, Failure> {
        let writer = self.writers.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(UmaDbWriter {
            client: Arc::clone(&self.clients[number % CONNECTIONS]),
            stream: Stream::of(format!("plan-{writer}")),
            position: None,
        }))
    }

    async fn count(&self) -> Result<u64, Failure> {
        // Positions have no gaps.
        Ok(self.clients[0].head().await?.unwrap_or_default())
    }

    async fn shows(&self, last: &Last) -> Result<bool, Failure> {
        let query = Some(events_of(&last.stream));
        let mut read = self.clients[0].read(query, None, true, Some(1)).await?;
        let shown = read.next_batch().await?;
        Ok(shown
            .first()
            .is_some_and(|it| it.position == last.at && it.event.data == event::bytes()))
    }

    fn log(&self) -> Option<&dyn Log> {
        Some(self)
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(self)
    }

    fn stop(self: Box<Self>) -> Result<(), Failure> {
        // It waits for calls under way, not for connections.
        drop(self.clients);
        self.spawned.stop("-TERM")
    }
}

#[async_trait]
impl Log for UmaDb {
    async fn fill(&self, events: u64) -> Result<u64, Failure> {
        let mut missing = events;
        while missing > 0 {
            let now = missing.min(FILL_EVENTS);
            let appended = (0..now).map(|_| event_of("filling")).collect();
            self.clients[0].append(appended, None, None).await?;
            missing -= now;
        }
        Ok(events)
    }

    async fn read(&self, events: u64) -> Result<(), Failure> {
        read(&self.clients[0], events).await
    }
}

#[async_trait]
impl Watched for UmaDb {
    async fn watcher(&self) -> Result<Box<dyn Watcher>, Failure> {
        watch(&self.clients[1]).await
    }
}

async fn read(client: &AsyncUmaDbClient, events: u64) -> Result<(), Failure> {
    let limit = u32::try_from(events)?;
    let mut read = client.read(None, None, false, Some(limit)).await?;
    let mut position = 0;
    while position < events {
        let batch = read.next_batch().await?;
        if batch.is_empty() {
            return Err(format!("the log ends after {position} events").into());
        }
        for event in batch {
            if event.position != position + 1 || event.event.data.is_empty() {
                return Err(format!("{} comes after {position}", event.position).into());
            }
            position = event.position;
        }
    }
    Ok(())
}

async fn watch(client: &AsyncUmaDbClient) -> Result<Box<dyn Watcher>, Failure> {
    let head = client.head().await?;
    let subscription = client.subscribe(None, head).await?;
    Ok(Box::new(UmaDbWatcher { subscription }))
}

struct UmaDbWriter {
    client: Arc<AsyncUmaDbClient>,
    stream: Stream,
    position: Option<u64>,
}

#[async_trait]
impl Writer for UmaDbWriter {
    async fn append(&mut self, events: usize) -> Result<(), Failure> {
        self.stream.turn();
        if self.stream.events == 0 {
            self.position = None;
        }
        let condition = DcbAppendCondition::new(events_of(&self.stream.name)).after(self.position);
        let appended = (0..events).map(|_| event_of(&self.stream.name)).collect();
        let position = self.client.append(appended, Some(condition), None).await?;
        self.position = Some(position);
        self.stream.events += events as u64;
        Ok(())
    }

    fn last(&self) -> Last {
        Last {
            stream: self.stream.name.clone(),
            at: self.position.unwrap_or_default(),
        }
    }
}

struct UmaDbWatcher {
    subscription: Box<dyn DcbSubscriptionAsync + Send>,
}

#[async_trait]
impl Watcher for UmaDbWatcher {
    async fn next(&mut self) -> Result<usize, Failure> {
        Ok(self.subscription.next_batch().await?.len())
    }
}

fn events_of(stream: &str) -> DcbQuery {
    DcbQuery::new().item(DcbQueryItem::new().tags([stream]))
}

fn event_of(stream: &str) -> DcbEvent {
    DcbEvent::default()
        .event_type("NoteRecorded")
        .tags([stream])
        .data(event::bytes())
}
