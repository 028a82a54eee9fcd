//! `PostgreSQL` with the functions of message-db: an append calls `write_message` with the version that the stream is
//! expected to have. Writers of one category wait for each other until their commits are on disk, so every writer
//! here has a category of its own.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use futures_util::{TryStreamExt as _, future::try_join_all};
use tokio_postgres::{Client, NoTls, Statement};
use tonic::async_trait;

use crate::{
    contender::{
        Contender, End, Ended, Failure, Last, Log, STREAM_EVENTS, Stream, Writer, next_writer,
    },
    event,
    spawned::{Spawned, answered, free_port},
};

/// The server refuses to be root.
const USER: &str = "postgres";
/// Where the functions of message-db are.
const DATABASE: &str = "message_store";
/// More than there are clients at once.
const CONNECTIONS_MAX: usize = 400;
/// How many connections fill the log, each with a category of its own.
const FILL_CONNECTIONS: u64 = 2;

const WRITE: &str = "SELECT message_store.write_message(gen_random_uuid()::varchar, $1::varchar, \
    'NoteRecorded', $2::text::jsonb, NULL, $3::bigint)";
const FILL: &str = "SELECT count(message_store.write_message(gen_random_uuid()::varchar, \
    $1::varchar, 'NoteRecorded', $2::text::jsonb)) FROM generate_series(1, $3::bigint)";
const READ: &str = "SELECT global_position, stream_name, position, type, data::text FROM messages \
    ORDER BY global_position LIMIT $1";
const LAST: &str = "SELECT position, data::text FROM message_store.get_last_stream_message($1)";

pub(crate) struct MessageDb {
    place: Place,
    spawned: Spawned,
    client: Client,
}

/// Where it is and what it kept.
struct Place {
    programs: PathBuf,
    user: Option<&'static str>,
    dir: PathBuf,
    data: PathBuf,
    port: u16,
}

impl MessageDb {
    /// A new cluster in `dir`, with what it does by default but for the number of connections. `programs` has those
    /// of the server, `functions` the script of message-db.
    pub(crate) async fn start(
        programs: &Path,
        functions: &Path,
        dir: &Path,
    ) -> Result<Self, Failure> {
        let data = dir.join("pg");
        fs::create_dir(&data)?;
        let user = (fs::metadata(&data)?.uid() == 0).then_some(USER);
        if let Some(user) = user {
            done(Command::new("chown").arg(user).arg(&data))?;
        }
        let mut initdb = Spawned::command(&programs.join("initdb"), user);
        initdb.args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"]);
        done(initdb.arg(&data))?;

        let place = Place {
            programs: programs.to_owned(),
            user,
            dir: dir.to_owned(),
            data,
            port: free_port()?,
        };
        let spawned = place.spawn()?;
        answered(|| connect(place.port, "postgres")).await?;
        let mut install = Command::new("bash");
        install
            .arg(functions)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", place.port.to_string())
            .env("PGUSER", "postgres")
            .env("DATABASE_NAME", DATABASE);
        done(&mut install)?;
        Self::at(place, spawned).await
    }

    async fn at(place: Place, spawned: Spawned) -> Result<Self, Failure> {
        // While it recovers it listens and refuses.
        let client = answered(|| connect(place.port, DATABASE)).await?;
        Ok(Self {
            place,
            spawned,
            client,
        })
    }
}

impl Place {
    fn spawn(&self) -> Result<Spawned, Failure> {
        let mut command = Spawned::command(&self.programs.join("postgres"), self.user);
        command.arg("-D").arg(&self.data);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=on",
            "synchronous_commit=on",
            &format!("port={}", self.port),
            &format!("max_connections={CONNECTIONS_MAX}"),
        ] {
            command.args(["-c", setting]);
        }
        Spawned::start(command, self.port, &self.dir)
    }
}

#[async_trait]
impl Ended for Place {
    async fn start(self: Box<Self>) -> Result<Box<dyn Contender>, Failure> {
        let spawned = self.spawn()?;
        Ok(Box::new(MessageDb::at(*self, spawned).await?))
    }
}

async fn connect(port: u16, database: &str) -> Result<Client, Failure> {
    let config = format!(
        "host=127.0.0.1 port={port} user=postgres dbname={database} \
         options='-c search_path=message_store,public'"
    );
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    // It ends when the client is dropped; what breaks it the client is told too.
    tokio::spawn(connection);
    Ok(client)
}

fn done(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended with {}: {said}", output.status).into())
}

#[async_trait]
impl Contender for MessageDb {
    fn name(&self) -> &'static str {
        "message-db"
    }

    fn pid(&self) -> u32 {
        self.spawned.pid()
    }

    fn data(&self) -> Option<&Path> {
        Some(&self.place.data)
    }

    fn batch_max(&self) -> usize {
        64
    }

    async fn writer(&self, _number: usize) -> Result<Box<dyn Writer>, Failure> {
        let writer = next_writer();
        let client = connect(self.place.port, DATABASE).await?;
        let write = client.prepare(WRITE).await?;
        Ok(Box::new(MessageDbWriter {
            client,
            write,
            stream: Stream::of(format!("plan{writer}")),
        }))
    }

    async fn count(&self) -> Result<u64, Failure> {
        let row = self.client.query_one("SELECT count(*) FROM messages", &[]);
        Ok(u64::try_from(row.await?.get::<_, i64>(0))?)
    }

    async fn shows(&self, last: &Last) -> Result<bool, Failure> {
        let shown = self.client.query_one(LAST, &[&last.stream]).await?;
        let (position, data): (i64, &str) = (shown.get(0), shown.get(1));
        Ok(u64::try_from(position)? == last.at && data == event::json())
    }

    fn log(&self) -> Option<&dyn Log> {
        Some(self)
    }

    async fn fill(self: Box<Self>, events: u64) -> Result<(Box<dyn Contender>, u64), Failure> {
        let share = events.div_ceil(FILL_CONNECTIONS);
        try_join_all((0..FILL_CONNECTIONS).map(|_| fill(self.place.port, share))).await?;
        Ok((self, share * FILL_CONNECTIONS))
    }

    fn stop(self: Box<Self>, end: End) -> Result<Box<dyn Ended>, Failure> {
        drop(self.client);
        self.spawned.end(end, "-INT")?;
        Ok(Box::new(self.place))
    }
}

#[async_trait]
impl Log for MessageDb {
    async fn read(&self, events: u64) -> Result<(), Failure> {
        read(&self.client, events).await
    }
}

/// A stream with each statement.
async fn fill(port: u16, events: u64) -> Result<(), Failure> {
    let client = connect(port, DATABASE).await?;
    let fill = client.prepare(FILL).await?;
    let writer = next_writer();
    let mut missing = events;
    while missing > 0 {
        let now = missing.min(STREAM_EVENTS);
        let (stream, count) = (format!("filling{writer}-{missing}"), i64::try_from(now)?);
        client
            .query_one(&fill, &[&stream, &event::json(), &count])
            .await?;
        missing -= now;
    }
    Ok(())
}

async fn read(client: &Client, events: u64) -> Result<(), Failure> {
    let limit = i64::try_from(events)?;
    let rows = client.query_raw(READ, [&limit]).await?;
    let mut rows = std::pin::pin!(rows);
    let (mut read, mut position) = (0, 0);
    while let Some(row) = rows.try_next().await? {
        let next: i64 = row.get(0);
        let data: &str = row.get(4);
        if next <= position || data.is_empty() {
            return Err(format!("{next} comes after {position}").into());
        }
        position = next;
        read += 1;
    }
    if read < events {
        return Err(format!("{read} of {events} events were read").into());
    }
    Ok(())
}

struct MessageDbWriter {
    client: Client,
    write: Statement,
    stream: Stream,
}

#[async_trait]
impl Writer for MessageDbWriter {
    async fn append(&mut self, events: usize) -> Result<u64, Failure> {
        self.stream.turn();
        // The version of a stream with no event is -1.
        let version = i64::try_from(self.stream.events)? - 1;
        if events == 1 {
            let (name, json) = (&self.stream.name, event::json());
            self.client
                .query_one(&self.write, &[name, &json, &version])
                .await?;
        } else {
            self.append_together(version, i64::try_from(events)?)
                .await?;
        }
        self.stream.events += events as u64;
        // In the stream: it has no watchers who would be told one in the log.
        Ok(self.last().at)
    }

    fn last(&self) -> Last {
        Last {
            stream: self.stream.name.clone(),
            at: self.stream.events.saturating_sub(1),
        }
    }
}

impl MessageDbWriter {
    /// In one transaction, whose calls are sent without waiting for each other.
    async fn append_together(&mut self, version: i64, events: i64) -> Result<(), Failure> {
        let (name, write) = (&self.stream.name, &self.write);
        let transaction = self.client.transaction().await?;
        let calls = (version..version + events).map(|version| {
            let transaction = &transaction;
            async move {
                transaction
                    .query_one(write, &[name, &event::json(), &version])
                    .await
            }
        });
        try_join_all(calls).await?;
        transaction.commit().await?;
        Ok(())
    }
}
