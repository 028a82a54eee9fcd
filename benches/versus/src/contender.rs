//! What every contender can do: the same works are done with each through this, with its own client and its
//! own way to say which state an append expects.

use std::{
    error::Error,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use tonic::async_trait;

use crate::{idle::Idle, server::Server};

/// What went wrong, to be told and nothing else.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A stream of events is left for a new one after so many; plans of the world are not longer.
pub(crate) const STREAM_EVENTS: u64 = 500;

/// A number that nobody who writes had before, also not with a server that was started again.
pub(crate) fn next_writer() -> usize {
    static WRITERS: AtomicUsize = AtomicUsize::new(0);
    WRITERS.fetch_add(1, Ordering::Relaxed)
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is told to stop, and stops in good order.
    Stopped,
    /// It is killed, and so are the processes below it.
    Killed,
}

/// A contender that runs.
#[async_trait]
pub(crate) trait Contender: Send + Sync {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Its process, which may have others below it.
    fn pid(&self) -> u32;

    /// Where it keeps what it is given, if it does.
    fn data(&self) -> Option<&Path>;

    /// How many events go into one commit at most.
    fn batch_max(&self) -> usize;

    /// Someone who writes streams that nobody else writes; neighbours in number use different connections.
    async fn writer(&self, number: usize) -> Result<Box<dyn Writer>, Failure>;

    /// How many events it says it keeps.
    async fn count(&self) -> Result<u64, Failure>;

    /// Whether it shows this as the last event of its stream, whole.
    async fn shows(&self, last: &Last) -> Result<bool, Failure>;

    /// Adds at least so many events, in streams as long as those of writers and with as much in flight as it likes,
    /// and says how many. It may be another process of it that goes on.
    async fn fill(self: Box<Self>, events: u64) -> Result<(Box<dyn Contender>, u64), Failure>;

    /// Its log, if it can be read from its beginning.
    fn log(&self) -> Option<&dyn Log> {
        None
    }

    /// Its news, if it tells them.
    fn watched(&self) -> Option<&dyn Watched> {
        None
    }

    /// What can be crowded with those who watch and are told nothing, if it is.
    fn crowd(&self) -> Option<&dyn Crowd> {
        None
    }

    /// The server, if it answers many requests on one stream as Strata does.
    fn streams(&self) -> Option<&Server> {
        None
    }

    /// The server, if it answers what a plan is.
    fn plans(&self) -> Option<&Server> {
        None
    }

    /// Ends it and waits until it has ended.
    fn stop(self: Box<Self>, end: End) -> Result<Box<dyn Ended>, Failure>;
}

/// A contender that has ended, with all that it kept.
#[async_trait]
pub(crate) trait Ended: Send {
    /// Starts it again on what it kept, and waits until it answers.
    async fn start(self: Box<Self>) -> Result<Box<dyn Contender>, Failure>;
}

/// A log that can be read from its beginning.
#[async_trait]
pub(crate) trait Log: Sync {
    /// Reads so many events from the first on, as its users do, and checks that none is missing.
    async fn read(&self, events: u64) -> Result<(), Failure>;
}

/// News that are told.
#[async_trait]
pub(crate) trait Watched: Sync {
    /// Someone who is told of every event from now on.
    async fn watcher(&self) -> Result<Box<dyn Watcher>, Failure>;
}

/// What many can watch.
#[async_trait]
pub(crate) trait Crowd: Sync {
    /// Opens so many watches, each of a stream of its own that nobody writes, over some connections.
    async fn gather(&self, watches: usize) -> Result<Idle, Failure>;
}

/// Someone who writes.
#[async_trait]
pub(crate) trait Writer: Send {
    /// Appends so many events to a stream, all or none, if the stream is where the last append left it; returns the
    /// position of the last, as watchers are told it.
    async fn append(&mut self, events: usize) -> Result<u64, Failure>;

    /// The last event that was acknowledged.
    fn last(&self) -> Last;
}

/// Someone who waits for events.
#[async_trait]
pub(crate) trait Watcher: Send {
    /// The positions of the events that came with the next message, in order.
    async fn next(&mut self) -> Result<Vec<u64>, Failure>;
}

/// The last event of a stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Last {
    pub(crate) stream: String,
    /// The number that the contender gave it.
    pub(crate) at: u64,
}

/// A stream and how many events it has. When it is long enough the next one begins.
#[derive(Debug)]
pub(crate) struct Stream {
    writer: String,
    begun: u64,
    pub(crate) name: String,
    pub(crate) events: u64,
}

impl Stream {
    /// The first stream of a writer whose name no other writer has.
    pub(crate) fn of(writer: String) -> Self {
        let name = format!("{writer}-0");
        Self {
            writer,
            begun: 0,
            name,
            events: 0,
        }
    }

    /// Goes on to a new stream if this one is long enough.
    pub(crate) fn turn(&mut self) {
        if self.events >= STREAM_EVENTS {
            self.begun += 1;
            self.name = format!("{}-{}", self.writer, self.begun);
            self.events = 0;
        }
    }
}
