//! Strata beside what one would use instead: each a process of its own on the same disk of the same machine, given
//! the same work in turn, round by round. `benches/versus/run` builds and starts it; words choose contenders and
//! works by a part of their names. docs/versus.md tells what is compared, and what one run came to.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

mod append;
mod contender;
#[path = "../../speed/disk.rs"]
mod disk;
mod docs;
#[path = "../../speed/echo.rs"]
mod echo;
mod etcd;
mod event;
mod family;
mod figures;
mod installed;
#[expect(dead_code, reason = "the bench it is from has more works")]
#[path = "../../speed/load.rs"]
mod load;
mod machine;
mod message_db;
mod nats;
mod picture;
#[path = "../../speed/prepare.rs"]
mod prepare;
#[path = "../../speed/process.rs"]
mod process;
mod report;
#[path = "../../speed/server.rs"]
mod server;
mod spawned;
#[path = "../../speed/spread.rs"]
mod spread;
mod strata_server;
mod umadb;
#[path = "../../speed/usage.rs"]
mod usage;
mod work;
#[path = "../../speed/writing.rs"]
mod writing;

use self::{
    contender::{Contender, Failure},
    figures::{Comparison, Kept, Measured, Row},
    installed::Installed,
    strata_server::StrataServer,
    work::{Session, Work},
};

/// How often each work is measured with each contender.
const ROUNDS: usize = 5;
/// Who watches is told this many events a second.
const WATCHED_A_SECOND: u32 = 200;

/// Compares Strata with what one would use instead.
#[derive(Debug, Parser)]
struct Arguments {
    /// Shorter rounds and a shorter log: to see that it runs, not to quote.
    #[arg(long)]
    short: bool,
    /// How many events are read from the log [default: 200000, or 50000 with --short]
    #[arg(long)]
    events: Option<u64>,
    /// Write the figures into docs/versus.md, and the picture beside it.
    #[arg(long)]
    write_docs: bool,
    /// Where all of them keep their data: on the disk that is meant.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"))]
    dir: PathBuf,
    /// The daemon.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/stratad"))]
    stratad: PathBuf,
    /// Parts of names: of contenders, of works, or of both.
    words: Vec<String>,
}

/// How long everything takes.
struct Pace {
    warm_up: Duration,
    round: Duration,
    watch: Duration,
    events: u64,
}

impl Arguments {
    fn pace(&self) -> Pace {
        let (warm_up, round, watch, events) = if self.short {
            (200, 500, 1_500, 50_000)
        } else {
            (1_000, 2_000, 10_000, 200_000)
        };
        Pace {
            warm_up: Duration::from_millis(warm_up),
            round: Duration::from_millis(round),
            watch: Duration::from_millis(watch),
            events: self.events.unwrap_or(events),
        }
    }

    /// Those whose names have one of the words; all if there is none for them.
    fn chosen<T>(&self, all: Vec<T>, name: impl Fn(&T) -> String) -> Vec<T> {
        let is_named = |it: &T| {
            let name = name(it).to_lowercase();
            let mut words = self.words.iter();
            words.any(|word| name.contains(&word.to_lowercase()))
        };
        if all.iter().any(is_named) {
            all.into_iter().filter(is_named).collect()
        } else {
            all
        }
    }
}

/// In this order: commits with more than one event come after the log was read, in which each has one.
fn works(events: u64) -> Vec<Work> {
    let one = |clients| Work::Append { clients, events: 1 };
    let together = |events| Work::Append { clients: 8, events };
    vec![
        one(1),
        one(8),
        one(64),
        one(256),
        Work::Stream { in_flight: 64 },
        Work::Stream { in_flight: 1_024 },
        Work::GetPlan { clients: 64 },
        Work::Watch {
            a_second: WATCHED_A_SECOND,
        },
        Work::Read { events },
        together(64),
        together(100),
    ]
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, server::ECHO, answers] => {
            let served = echo::serve(Path::new(answers)).await;
            return served.map_err(|it| it.to_string().into());
        }
        [_, append::SERVER, answers, dir] => {
            let served = append::serve(Path::new(answers), Path::new(dir)).await;
            return served.map_err(|it| it.to_string().into());
        }
        _ => {}
    }
    let mut terminated = signal(SignalKind::terminate())?;
    // However it ends, the servers end with what holds them.
    tokio::select! {
        compared = compare(Arguments::parse()) => compared,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        _ = terminated.recv() => Err("terminated".into()),
    }
}

async fn compare(arguments: Arguments) -> Result<(), Failure> {
    let began = Instant::now();
    fs::create_dir_all(&arguments.dir)?;
    let dir = tempfile::tempdir_in(&arguments.dir)?;
    // One of them is run as somebody else.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    let pace = arguments.pace();
    let before = disk::sync_time(dir.path())?;
    let works = arguments.chosen(works(pace.events), Work::to_string);
    let contenders = start(&arguments, dir.path()).await?;

    let mut acknowledged = vec![0; contenders.len()];
    let mut comparisons = Vec::new();
    let mut kept = Vec::new();
    for work in works {
        if let Work::Read { events } = work {
            fill(&contenders, events, &mut acknowledged).await?;
        }
        let compared = alternate(work, &contenders, &pace, dir.path(), &mut acknowledged).await?;
        if let Work::Read { .. } = work {
            kept = disk_used(&contenders, &acknowledged)?;
        }
        comparisons.extend(compared);
    }
    count(&contenders, &acknowledged).await?;
    for contender in contenders {
        contender.stop()?;
    }
    let after = disk::sync_time(dir.path())?;

    let machine = machine::described(dir.path(), before, after);
    let text = format!("{machine}\n\n{}", report::tables(&comparisons, &kept));
    writeln!(io::stdout().lock(), "\n{text}")?;
    if arguments.write_docs {
        let picture = picture::svg(&comparisons, &machine::in_a_line());
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        docs::write(&docs, &text, &picture)?;
    }
    tell(&format!("It took {} s.", began.elapsed().as_secs()));
    Ok(())
}

/// Starts those that are installed and chosen; who is not there is named. Strata is always one, and first.
async fn start(arguments: &Arguments, dir: &Path) -> Result<Vec<Box<dyn Contender>>, Failure> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/versus-tools");
    let installed = Installed::below(&tools);
    let all = vec![
        "bare echo",
        "bare append",
        "UmaDB",
        "message-db",
        "NATS JetStream",
        "etcd",
    ];
    let chosen = arguments.chosen(all, ToString::to_string);
    let own = |name: &str| {
        let own = dir.join(name.replace(' ', "-"));
        fs::create_dir(&own)?;
        // PostgreSQL looks into its own as somebody else.
        fs::set_permissions(&own, Permissions::from_mode(0o755))?;
        Ok::<_, Failure>(own)
    };
    let answers = own("Strata")?;
    tell(&format!(
        "Strata: {}",
        installed::version(&arguments.stratad)
    ));
    let strata = StrataServer::stratad(&arguments.stratad, &answers).await?;
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(strata)];
    for name in chosen {
        let own = own(name)?;
        let started: Option<Box<dyn Contender>> = match name {
            "bare echo" => Some(Box::new(StrataServer::echo(&answers).await?)),
            "bare append" => Some(Box::new(StrataServer::append(&answers, &own).await?)),
            "UmaDB" => match &installed.umadb {
                Some(binary) => Some(Box::new(umadb::UmaDb::start(binary, &own).await?)),
                None => None,
            },
            "message-db" => match &installed.message_db {
                Some((programs, functions)) => {
                    let started = message_db::MessageDb::start(programs, functions, &own);
                    Some(Box::new(started.await?))
                }
                None => None,
            },
            "NATS JetStream" => match &installed.nats {
                Some(binary) => Some(Box::new(nats::Nats::start(binary, &own).await?)),
                None => None,
            },
            _ => match &installed.etcd {
                Some(binary) => Some(Box::new(etcd::Etcd::start(binary, &own).await?)),
                None => None,
            },
        };
        match started {
            Some(started) => contenders.push(started),
            None => tell(&format!(
                "{name} is not installed and left out; benches/versus/install"
            )),
        }
    }
    Ok(contenders)
}

/// Measures a work with one contender after the other, again and again; none if Strata is alone with it.
async fn alternate(
    work: Work,
    contenders: &[Box<dyn Contender>],
    pace: &Pace,
    dir: &Path,
    acknowledged: &mut [u64],
) -> Result<Option<Comparison>, Failure> {
    let mut sessions = Vec::new();
    let mut rows = Vec::new();
    for (number, contender) in contenders.iter().enumerate() {
        let contender = contender.as_ref();
        if work.is_for(contender) {
            tell(&format!("{work}: {} warms up", contender.name()));
            let mut session = Session::begin(work, contender).await?;
            session.run(pace.warm_up).await?;
            sessions.push((number, contender, session));
            rows.push(Row {
                contender: contender.name(),
                rounds: Vec::new(),
            });
        }
    }
    let time = match work {
        Work::Watch { .. } => pace.watch,
        Work::Append { .. } | Work::Stream { .. } | Work::GetPlan { .. } | Work::Read { .. } => {
            pace.round
        }
    };
    for _ in 0..ROUNDS {
        for ((_, contender, session), row) in sessions.iter_mut().zip(&mut rows) {
            flush(dir)?;
            row.rounds.push(measure(*contender, session, time).await?);
            tell(&format!(
                "{work}: {} {}",
                row.contender,
                row.rates().whole()
            ));
        }
    }
    for (number, contender, session) in sessions {
        acknowledged[number] += session.acknowledged;
        for last in session.last() {
            if contender.data().is_some() && !contender.shows(&last).await? {
                return Err(format!("{} lost {last:?}", contender.name()).into());
            }
        }
    }
    Ok(Some(Comparison { work, rows }))
}

async fn measure(
    contender: &dyn Contender,
    session: &mut Session<'_>,
    time: Duration,
) -> Result<Measured, Failure> {
    let before = family::used(contender.pid())?;
    let mut round = session.run(time).await?;
    let after = family::used(contender.pid())?;
    round.server_cpu = after.cpu.saturating_sub(before.cpu);
    round.latencies.sort_unstable();
    Ok(Measured {
        round,
        written_bytes: after.written_bytes.saturating_sub(before.written_bytes),
    })
}

/// What one left to be written later shall not be paid by the next.
fn flush(dir: &Path) -> Result<(), Failure> {
    let status = Command::new("sync").arg("-f").arg(dir).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("sync ended with {status}").into())
    }
}

/// Makes the logs that are read long enough.
async fn fill(
    contenders: &[Box<dyn Contender>],
    events: u64,
    acknowledged: &mut [u64],
) -> Result<(), Failure> {
    for (contender, acknowledged) in contenders.iter().zip(acknowledged) {
        if let Some(log) = contender.log() {
            let missing = events.saturating_sub(*acknowledged);
            tell(&format!("{}: {missing} events more", contender.name()));
            *acknowledged += log.fill(missing).await?;
        }
    }
    Ok(())
}

fn disk_used(
    contenders: &[Box<dyn Contender>],
    acknowledged: &[u64],
) -> Result<Vec<Kept>, Failure> {
    let mut kept = Vec::new();
    for (contender, events) in contenders.iter().zip(acknowledged) {
        if let Some(data) = contender.data().filter(|_| *events > 0) {
            kept.push(Kept {
                contender: contender.name(),
                events: *events,
                disk_bytes: family::disk_bytes(data)?,
            });
        }
    }
    Ok(kept)
}

/// Everything that was acknowledged is there, and nothing else.
async fn count(contenders: &[Box<dyn Contender>], acknowledged: &[u64]) -> Result<(), Failure> {
    for (contender, acknowledged) in contenders.iter().zip(acknowledged) {
        if contender.data().is_some() {
            let (name, counted) = (contender.name(), contender.count().await?);
            tell(&format!(
                "{name}: {acknowledged} events acknowledged, {counted} there"
            ));
            if counted != *acknowledged {
                return Err(format!("{name} has not what it acknowledged").into());
            }
        }
    }
    Ok(())
}

fn tell(what: &str) {
    // Who does not listen misses nothing but this.
    drop(writeln!(io::stderr().lock(), "{what}"));
}
