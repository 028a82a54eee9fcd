//! NATS `JetStream` with a sync for every message: an append names the last sequence that its subject is expected to
//! have. A stream of events is a subject.

use std::{
    fs,
    path::{Path, PathBuf},
};

use async_nats::{
    HeaderMap, header,
    jetstream::{
        self, Context,
        consumer::{DeliverPolicy, pull},
        stream,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream as futures};
use tonic::async_trait;

use crate::{
    contender::{
        Contender, End, Ended, Failure, Last, Log, STREAM_EVENTS, Stream, Watched, Watcher, Writer,
        next_writer,
    },
    event,
    server::CONNECTIONS,
    spawned::{Spawned, answered, free_port},
};

/// How much is in flight while the log is filled.
const FILL_IN_FLIGHT: usize = 1_024;
/// With a sync for each of more than so many, filling would take minutes: they are synced as it does by default.
const FILL_SYNCED: u64 = 20_000;
/// The stream that has all subjects.
const STREAM: &str = "versus";

pub(crate) struct Nats {
    place: Place,
    spawned: Spawned,
    contexts: Vec<Context>,
}

/// Where it is and what it kept.
struct Place {
    binary: PathBuf,
    dir: PathBuf,
    data: PathBuf,
    port: u16,
}

/// When a message is synced.
enum Sync {
    /// Before it is acknowledged.
    Always,
    /// As by default: some time after it was acknowledged, and when the server stops.
    Later,
}

impl Nats {
    /// A new store in `dir`.
    pub(crate) async fn start(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let place = Place {
            binary: binary.to_owned(),
            dir: dir.to_owned(),
            data: dir.join("jetstream"),
            port: free_port()?,
        };
        Self::at(place, Sync::Always).await
    }

    async fn at(place: Place, sync: Sync) -> Result<Self, Failure> {
        let config = place.dir.join("nats.conf");
        let (port, store) = (place.port, place.data.display());
        let sync_interval = match sync {
            Sync::Always => ", sync_interval: always",
            Sync::Later => "",
        };
        fs::write(
            &config,
            format!(
                "listen: \"127.0.0.1:{port}\"\n\
                 jetstream {{ store_dir: \"{store}\"{sync_interval} }}\n"
            ),
        )?;
        let mut command = Spawned::command(&place.binary, None);
        command.arg("--config").arg(config);
        let spawned = Spawned::start(command, port, &place.dir)?;
        let mut contexts = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = async_nats::connect(format!("127.0.0.1:{port}")).await?;
            contexts.push(jetstream::new(client));
        }
        let config = stream::Config {
            name: STREAM.into(),
            subjects: vec!["plan.>".into()],
            storage: stream::StorageType::File,
            ..stream::Config::default()
        };
        let context = &contexts[0];
        let create = || async { Ok(context.get_or_create_stream(config.clone()).await?) };
        answered(create).await?;
        Ok(Self {
            place,
            spawned,
            contexts,
        })
    }

    fn end(self, end: End) -> Result<Place, Failure> {
        drop(self.contexts);
        self.spawned.end(end, "-TERM")?;
        Ok(self.place)
    }

    async fn publish(&self, events: u64) -> Result<(), Failure> {
        let writer = next_writer();
        let publish = |number: u64| async move {
            let subject = format!("plan.filling-{writer}-{}", number / STREAM_EVENTS);
            let sent = self.contexts[0].publish(subject, event::bytes().into());
            sent.await?.await.map(drop)
        };
        futures::iter(0..events)
            .map(publish)
            .buffer_unordered(FILL_IN_FLIGHT)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    async fn messages(&self, from: DeliverPolicy) -> Result<pull::Ordered, Failure> {
        let stream = self.contexts[1].get_stream(STREAM).await?;
        let config = pull::OrderedConfig {
            deliver_policy: from,
            ..pull::OrderedConfig::default()
        };
        Ok(stream.create_consumer(config).await?.messages().await?)
    }

    async fn read_in_order(&self, events: u64) -> Result<(), Failure> {
        let mut messages = self.messages(DeliverPolicy::All).await?;
        for sequence in 1..=events {
            let message = messages.try_next().await?.ok_or("the stream ended")?;
            let found = message.info()?.stream_sequence;
            if found != sequence || message.payload.is_empty() {
                return Err(format!("{found} is where {sequence} should be").into());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Ended for Place {
    async fn start(self: Box<Self>) -> Result<Box<dyn Contender>, Failure> {
        Ok(Box::new(Nats::at(*self, Sync::Always).await?))
    }
}

#[async_trait]
impl Contender for Nats {
    fn name(&self) -> &'static str {
        "NATS"
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
        Ok(Box::new(NatsWriter {
            context: self.contexts[number % CONNECTIONS].clone(),
            stream: Stream::of(format!("plan.{writer}")),
            sequence: 0,
        }))
    }

    async fn count(&self) -> Result<u64, Failure> {
        let stream = self.contexts[0].get_stream(STREAM).await?;
        Ok(stream.get_info().await?.state.messages)
    }

    async fn shows(&self, last: &Last) -> Result<bool, Failure> {
        let stream = self.contexts[0].get_stream(STREAM).await?;
        let shown = stream.get_last_raw_message_by_subject(&last.stream).await?;
        Ok(shown.sequence == last.at && shown.payload == event::bytes())
    }

    fn log(&self) -> Option<&dyn Log> {
        Some(self)
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(self)
    }

    async fn fill(self: Box<Self>, events: u64) -> Result<(Box<dyn Contender>, u64), Failure> {
        if events <= FILL_SYNCED {
            self.publish(events).await?;
            return Ok((self, events));
        }
        let unsynced = Self::at(self.end(End::Stopped)?, Sync::Later).await?;
        unsynced.publish(events).await?;
        let synced = Self::at(unsynced.end(End::Stopped)?, Sync::Always).await?;
        Ok((Box::new(synced), events))
    }

    fn stop(self: Box<Self>, end: End) -> Result<Box<dyn Ended>, Failure> {
        Ok(Box::new(self.end(end)?))
    }
}

#[async_trait]
impl Log for Nats {
    async fn read(&self, events: u64) -> Result<(), Failure> {
        self.read_in_order(events).await
    }
}

#[async_trait]
impl Watched for Nats {
    async fn watcher(&self) -> Result<Box<dyn Watcher>, Failure> {
        let messages = self.messages(DeliverPolicy::New).await?;
        Ok(Box::new(NatsWatcher { messages }))
    }
}

struct NatsWriter {
    context: Context,
    stream: Stream,
    sequence: u64,
}

#[async_trait]
impl Writer for NatsWriter {
    async fn append(&mut self, events: usize) -> Result<u64, Failure> {
        if events != 1 {
            return Err("a message is a commit".into());
        }
        self.stream.turn();
        if self.stream.events == 0 {
            self.sequence = 0;
        }
        let mut headers = HeaderMap::new();
        let expected = self.sequence.to_string();
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            expected.as_str(),
        );
        let subject = self.stream.name.clone();
        let sent = self
            .context
            .publish_with_headers(subject, headers, event::bytes().into())
            .await?;
        self.sequence = sent.await?.sequence;
        self.stream.events += 1;
        Ok(self.sequence)
    }

    fn last(&self) -> Last {
        Last {
            stream: self.stream.name.clone(),
            at: self.sequence,
        }
    }
}

struct NatsWatcher {
    messages: pull::Ordered,
}

#[async_trait]
impl Watcher for NatsWatcher {
    async fn next(&mut self) -> Result<Vec<u64>, Failure> {
        let message = self.messages.try_next().await?.ok_or("the watch ended")?;
        Ok(vec![message.info()?.stream_sequence])
    }
}
