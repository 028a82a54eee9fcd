//! etcd, one member: an append is a transaction that puts a key if it has the version expected. A stream is a key,
//! whose former values are kept as its history until they are compacted; it is no log that one reads from the
//! beginning.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp, WatchOptions, WatchStream};
use tonic::async_trait;

use crate::{
    contender::{Contender, Failure, Last, Stream, Watched, Watcher, Writer},
    event,
    spawned::{Spawned, free_port},
};

/// How many connections the clients share, as with the daemon.
const CONNECTIONS: usize = 8;
/// The most that its makers suggest; by default it takes a quarter.
const QUOTA_BYTES: u64 = 8 << 30;

pub(crate) struct Etcd {
    spawned: Spawned,
    clients: Vec<Client>,
    data: PathBuf,
    writers: AtomicUsize,
}

impl Etcd {
    /// A new member in `dir`, alone.
    pub(crate) async fn start(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let (port, peers) = (free_port()?, free_port()?);
        let data = dir.join("etcd");
        let url = format!("http://127.0.0.1:{port}");
        let peer_url = format!("http://127.0.0.1:{peers}");
        let mut command = Spawned::command(binary, None);
        command.arg("--data-dir").arg(&data);
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
        let spawned = Spawned::start(command, port, dir)?;
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::connect([&url], None).await?);
        }
        // It listens before it leads.
        clients[0].put("ready", "", None).await?;
        Ok(Self {
            spawned,
            clients,
            data,
            writers: AtomicUsize::new(0),
        })
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
        Some(&self.data)
    }

    fn batch_max(&self) -> usize {
        1
    }

    async fn writer(&self, number: usize) -> Result<Box<dyn Writer>, Failure> {
        let writer = self.writers.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(EtcdWriter {
            client: self.clients[number % CONNECTIONS].clone(),
            stream: Stream::of(format!("plan/{writer}")),
        }))
    }

    async fn count(&self) -> Result<u64, Failure> {
        let shown = self.clients[0].clone().get("ready", None).await?;
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

    fn stop(self: Box<Self>) -> Result<(), Failure> {
        drop(self.clients);
        self.spawned.stop("-TERM")
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
    async fn append(&mut self, events: usize) -> Result<(), Failure> {
        if events != 1 {
            return Err("a key is put once in a transaction".into());
        }
        self.stream.turn();
        let key = self.stream.name.as_str();
        let version = i64::try_from(self.stream.events)?;
        let txn = Txn::new()
            .when([Compare::version(key, CompareOp::Equal, version)])
            .and_then([TxnOp::put(key, event::bytes(), None)]);
        if !self.client.txn(txn).await?.succeeded() {
            return Err("the key has another version".into());
        }
        self.stream.events += 1;
        Ok(())
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
    async fn next(&mut self) -> Result<usize, Failure> {
        let message = self.messages.message().await?.ok_or("the watch ended")?;
        Ok(message.events().len())
    }
}
