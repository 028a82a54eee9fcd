//! `UmaDB`, an event store in Rust with consistency boundaries by tags: an append names a query and the position
//! after which nothing may match it. A stream is a tag.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tonic::async_trait;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{
    DcbAppendCondition, DcbEvent, DcbEventStoreAsync as _, DcbQuery, DcbQueryItem,
    DcbSubscriptionAsync,
};

use crate::{
    contender::{
        Contender, Crowd, End, Ended, Failure, Last, Log, STREAM_EVENTS, Stream, Watched, Watcher,
        Writer, next_writer,
    },
    event,
    idle::{Idle, WATCHES_A_CONNECTION},
    server::CONNECTIONS,
    spawned::{Spawned, answered, free_port},
};

pub(crate) struct UmaDb {
    place: Place,
    spawned: Spawned,
    clients: Vec<Arc<AsyncUmaDbClient>>,
}

/// Where it is and what it kept.
#[derive(Clone)]
struct Place {
    binary: PathBuf,
    dir: PathBuf,
    data: PathBuf,
    port: u16,
}

impl UmaDb {
    /// A new store in `dir`, with what it does by default.
    pub(crate) async fn start(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let place = Place {
            binary: binary.to_owned(),
            dir: dir.to_owned(),
            data: dir.join("uma.db"),
            port: free_port()?,
        };
        Self::at(place).await
    }

    async fn at(place: Place) -> Result<Self, Failure> {
        let mut command = Spawned::command(&place.binary, None);
        command
            .args(["--listen", &format!("127.0.0.1:{}", place.port)])
            .arg("--db-path")
            .arg(&place.data);
        let spawned = Spawned::start(command, place.port, &place.dir)?;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Arc::new(place.connect().await?));
        }
        let client = &clients[0];
        answered(|| async { Ok(client.head().await?) }).await?;
        Ok(Self {
            place,
            spawned,
            clients,
        })
    }
}

impl Place {
    async fn connect(&self) -> Result<AsyncUmaDbClient, Failure> {
        let client = UmaDbClient::new(format!("http://127.0.0.1:{}", self.port));
        answered(|| async { Ok(client.connect_async().await?) }).await
    }
}

#[async_trait]
impl Ended for Place {
    async fn start(self: Box<Self>) -> Result<Box<dyn Contender>, Failure> {
        Ok(Box::new(UmaDb::at(*self).await?))
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
        Some(&self.place.data)
    }

    fn batch_max(&self) -> usize {
        100
    }

    async fn writer(&self, number: usize) -> Result<Box<dyn Writer>, Failure> {
        let writer = next_writer();
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

    fn crowd(&self) -> Option<&dyn Crowd> {
        Some(self)
    }

    async fn fill(self: Box<Self>, events: u64) -> Result<(Box<dyn Contender>, u64), Failure> {
        let mut stream = Stream::of(format!("filling-{}", next_writer()));
        let mut missing = events;
        while missing > 0 {
            stream.turn();
            let now = missing.min(STREAM_EVENTS);
            let appended = (0..now).map(|_| event_of(&stream.name)).collect();
            self.clients[0].append(appended, None, None).await?;
            stream.events += now;
            missing -= now;
        }
        Ok((self, events))
    }

    fn stop(self: Box<Self>, end: End) -> Result<Box<dyn Ended>, Failure> {
        // It waits for calls under way, not for connections.
        drop(self.clients);
        self.spawned.end(end, "-TERM")?;
        Ok(Box::new(self.place))
    }
}

#[async_trait]
impl Log for UmaDb {
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

#[async_trait]
impl Crowd for UmaDb {
    async fn gather(&self, watches: usize) -> Result<Idle, Failure> {
        let mut idle = Idle::default();
        let mut left = watches;
        while left > 0 {
            let client = Arc::new(self.place.connect().await?);
            let head = client.head().await?;
            for number in 0..left.min(WATCHES_A_CONNECTION) {
                let query = Some(events_of(&format!("quiet-{left}-{number}")));
                let mut subscription = client.subscribe(query, head).await?;
                // A client that is dropped ends what it has subscribed to.
                let client = Arc::clone(&client);
                idle.add(async move {
                    let told = subscription.next_batch().await;
                    drop(client);
                    match told {
                        Ok(events) => format!("{} events came", events.len()),
                        Err(failure) => failure.to_string(),
                    }
                });
            }
            left -= left.min(WATCHES_A_CONNECTION);
        }
        Ok(idle)
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
    async fn append(&mut self, events: usize) -> Result<u64, Failure> {
        self.stream.turn();
        if self.stream.events == 0 {
            self.position = None;
        }
        let condition = DcbAppendCondition::new(events_of(&self.stream.name)).after(self.position);
        let appended = (0..events).map(|_| event_of(&self.stream.name)).collect();
        let position = self.client.append(appended, Some(condition), None).await?;
        self.position = Some(position);
        self.stream.events += events as u64;
        Ok(position)
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
    async fn next(&mut self) -> Result<Vec<u64>, Failure> {
        let events = self.subscription.next_batch().await?;
        if events.is_empty() {
            return Err("the watch ended".into());
        }
        Ok(events.iter().map(|it| it.position).collect())
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
