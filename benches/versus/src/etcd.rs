//! etcd, one member: an append is a transaction that puts a key if it has the version expected. A stream is a key,
//! whose former values are kept as its history until they are compacted; it is no log that one reads from the
//! beginning.

use std::path::{Path, PathBuf};

use etcd_client::{Client, Compare, CompareOp, Event, Txn, TxnOp, WatchOptions, WatchStream};
use futures_util::{StreamExt as _, TryStreamExt as _, stream as futures};
use tonic::async_trait;

use crate::{
    contender::{
        Contender, End, Ended, Failure, Last, STREAM_EVENTS, Stream, Watched, Watcher, Writer,
        next_writer,
    },
    event,
    server::CONNECTIONS,
    spawned::{Spawned, answered, free_port},
};

/// The most that its makers suggest; by default it takes a quarter.
const QUOTA_BYTES: u64 = 8 << 30;
/// How much is in flight while it is filled. In single puts, as writers do: with more in one it would keep what it
/// has to read again at a start in another shape.
const FILL_IN_FLIGHT: usize = 1_024;
/// The key that shows that it leads.
const READY: &str = "ready";

pub(crate) struct Etcd {
    place: Place,
    spawned: Spawned,
    clients: Vec<Client>,
}

/// Where it is and what it kept.
struct Place {
    binary: PathBuf,
    dir: PathBuf,
    data: PathBuf,
    port: u16,
    peer_port: u16,
}

impl Etcd {
    /// A new member in `dir`, alone.
    pub(crate) async fn start(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let place = Place {
            binary: binary.to_owned(),
            dir: dir.to_owned(),
            data: dir.join("etcd"),
            port: free_port()?,
            peer_port: free_port()?,
        };
        let started = Self::at(place).await?;
        started.clients[0].clone().put(READY, "", None).await?;
        Ok(started)
    }

    async fn at(place: Place) -> Result<Self, Failure> {
        let url = format!("http://127.0.0.1:{}", place.port);
        let peer_url = format!("http://127.0.0.1:{}", place.peer_port);
        let mut command = Spawned::command(&place.binary, None);
        command.arg("--data-dir").arg(&place.data);
        for (option, value) in [
            ("--listen-client-urls", url.as_str()),
            ("--advertise-client-urls", &url),
            ("--listen-peer-urls", &peer_url),
            ("--initial-advertise-peer-urls", &peer_url),
            ("--initial-cluster", &format!("default={peer_url}")),
            ("--quota-backend-bytes", &QUOTA_BYTES.to_string()),
        ] {
            command.args([option, value]);
        }
        let spawned = Spawned::start(command, place.port, &place.dir)?;
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::connect([&url], None).await?);
        }
        // It listens before it leads.
        let client = &clients[0];
        answered(|| async { Ok(client.clone().get(READY, None).await?) }).await?;
        Ok(Self {
            place,
            spawned,
            clients,
        })
    }
}

#[async_trait]
impl Ended for Place {
    async fn start(self: Box<Self>) -> Result<Box<dyn Contender>, Failure> {
        Ok(Box::new(Etcd::at(*self).await?))
    }
}

#[async_trait]
impl Contender for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn pid(&self) -> u32 {
        self.spawned.pid()
    }

    fn data(&self) -> Option<&Path> {
        Some(&self.place.data)
    }

    fn batch_max(&self) -> usize {
        1
    }

    async fn writer(&self, number: usize) -> Result<Box<dyn Writer>, Failure> {
        let writer = next_writer();
        Ok(Box::new(EtcdWriter {
            client: self.clients[number % CONNECTIONS].clone(),
            stream: Stream::of(format!("plan/{writer}")),
        }))
    }

    async fn count(&self) -> Result<u64, Failure> {
        let shown = self.clients[0].clone().get(READY, None).await?;
        let revision = shown.header().ok_or("no header")?.revision();
        // Every put is one more; the first revision is 1, and the first put was no event.
        Ok(u64::try_from(revision - 2)?)
    }

    async fn shows(&self, last: &Last) -> Result<bool, Failure> {
        let mut client = self.clients[0].clone();
        let shown = client.get(last.stream.as_str(), None).await?;
        let shown = shown.kvs().first().ok_or("no such key")?;
        Ok(u64::try_from(shown.version())? == last.at && shown.value() == event::bytes())
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(self)
    }

    async fn fill(self: Box<Self>, events: u64) -> Result<(Box<dyn Contender>, u64), Failure> {
        let writer = next_writer();
        let put = |number: u64| {
            let connection = usize::try_from(number).unwrap_or_default() % CONNECTIONS;
            let mut client = self.clients[connection].clone();
            async move {
                let key = format!("plan/filling-{writer}-{}", number / STREAM_EVENTS);
                client.put(key, event::bytes(), None).await.map(drop)
            }
        };
        futures::iter(0..events)
            .map(put)
            .buffer_unordered(FILL_IN_FLIGHT)
            .try_collect::<()>()
            .await?;
        Ok((self, events))
    }

    fn stop(self: Box<Self>, end: End) -> Result<Box<dyn Ended>, Failure> {
        drop(self.clients);
        self.spawned.end(end, "-TERM")?;
        Ok(Box::new(self.place))
    }
}

#[async_trait]
impl Watched for Etcd {
    async fn watcher(&self) -> Result<Box<dyn Watcher>, Failure> {
        watch(self.clients[1].clone()).await
    }
}

async fn watch(mut client: Client) -> Result<Box<dyn Watcher>, Failure> {
    let options = WatchOptions::new().with_prefix();
    let mut messages = client.watch("plan/", Some(options)).await?;
    let created = messages.message().await?.ok_or("the watch ended")?;
    if !created.created() {
        return Err("the watch does not begin".into());
    }
    Ok(Box::new(EtcdWatcher { messages }))
}

struct EtcdWriter {
    client: Client,
    stream: Stream,
}

#[async_trait]
impl Writer for EtcdWriter {
    async fn append(&mut self, events: usize) -> Result<u64, Failure> {
        if events != 1 {
            return Err("a key is put once in a transaction".into());
        }
        self.stream.turn();
        let key = self.stream.name.as_str();
        let version = i64::try_from(self.stream.events)?;
        let txn = Txn::new()
            .when([Compare::version(key, CompareOp::Equal, version)])
            .and_then([TxnOp::put(key, event::bytes(), None)]);
        let answer = self.client.txn(txn).await?;
        if !answer.succeeded() {
            return Err("the key has another version".into());
        }
        self.stream.events += 1;
        let revision = answer.header().ok_or("no header")?.revision();
        Ok(u64::try_from(revision)?)
    }

    fn last(&self) -> Last {
        Last {
            stream: self.stream.name.clone(),
            at: self.stream.events,
        }
    }
}

struct EtcdWatcher {
    messages: WatchStream,
}

#[async_trait]
impl Watcher for EtcdWatcher {
    async fn next(&mut self) -> Result<Vec<u64>, Failure> {
        let message = self.messages.message().await?.ok_or("the watch ended")?;
        let revision = |event: &Event| {
            let put = event.kv().ok_or("an event of no key")?;
            Ok(u64::try_from(put.mod_revision())?)
        };
        message.events().iter().map(revision).collect()
    }
}
