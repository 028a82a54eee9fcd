//! Strata beside what one would use instead: each a process of its own on the same disk of the same machine, given
//! the same work in turn, round by round. `benches/versus/run` builds and starts it; words choose contenders and
//! works by a part of their names. docs/versus.md tells what is compared, and what one run came to.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
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
mod lineup;
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
mod room;
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
    lineup::Lineup,
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

    /// Every word must be a part of some name.
    fn check(&self) -> Result<(), Failure> {
        let works = works(0);
        let mut names: Vec<String> = works.iter().map(Work::to_string).collect();
        names.extend(lineup::OTHERS.map(String::from));
        for word in &self.words {
            if !names.iter().any(|name| is_part(word, name)) {
                return Err(format!("`{word}` is no part of: {}", names.join("; ")).into());
            }
        }
        Ok(())
    }

    /// Those whose names have one of the words; all if there is none for them.
    fn chosen<T>(&self, all: Vec<T>, name: impl Fn(&T) -> String) -> Vec<T> {
        let is_named = |it: &T| {
            let name = name(it);
            self.words.iter().any(|word| is_part(word, &name))
        };
        if all.iter().any(is_named) {
            all.into_iter().filter(is_named).collect()
        } else {
            all
        }
    }
}

fn is_part(word: &str, name: &str) -> bool {
    name.to_lowercase().contains(&word.to_lowercase())
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
    arguments.check()?;
    fs::create_dir_all(&arguments.dir)?;
    let dir = tempfile::Builder::new()
        .prefix("versus-run-")
        .tempdir_in(fs::canonicalize(&arguments.dir)?)?;
    // One of them is run as somebody else.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    let pace = arguments.pace();
    let before = disk::sync_time(dir.path())?;
    let works = arguments.chosen(works(pace.events), Work::to_string);
    let names = arguments.chosen(lineup::OTHERS.to_vec(), ToString::to_string);
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/versus-tools");
    let Lineup {
        contenders,
        versions,
    } = lineup::start(&arguments.stratad, &names, &tools, dir.path()).await?;

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
        comparisons.push(compared);
    }
    count(&contenders, &acknowledged).await?;
    for contender in contenders {
        contender.stop()?;
    }
    let after = disk::sync_time(dir.path())?;

    let machine = machine::described(dir.path(), before, after);
    let (tables, versions) = (report::tables(&comparisons, &kept), versions.join(", "));
    let text = format!("{machine}\n\nCompared were {versions}.\n\n{tables}");
    writeln!(io::stdout().lock(), "\n{text}")?;
    if arguments.write_docs {
        let picture = picture::svg(&comparisons, &machine::in_a_line());
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        docs::write(&docs, &text, &picture)?;
    }
    tell(&format!("It took {} s.", began.elapsed().as_secs()));
    Ok(())
}

/// Measures a work with one contender after the other, again and again.
async fn alternate(
    work: Work,
    contenders: &[Box<dyn Contender>],
    pace: &Pace,
    dir: &Path,
    acknowledged: &mut [u64],
) -> Result<Comparison, Failure> {
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
            let measured = measure(*contender, session, time, dir).await;
            let named = |failure| format!("{work}: {}: {failure}", row.contender);
            row.rounds.push(measured.map_err(named)?);
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
    Ok(Comparison { work, rows })
}

async fn measure(
    contender: &dyn Contender,
    session: &mut Session<'_>,
    time: Duration,
    dir: &Path,
) -> Result<Measured, Failure> {
    room::flush(dir)?;
    let written_before = room::written_bytes(dir);
    let cpu_before = family::cpu_time(contender.pid())?;
    let mut round = session.run(time).await?;
    let cpu_after = family::cpu_time(contender.pid())?;
    room::flush(dir)?;
    let written_after = room::written_bytes(dir);
    round.server_cpu = cpu_after.saturating_sub(cpu_before);
    round.latencies.sort_unstable();
    Ok(Measured {
        round,
        written_bytes: written_after
            .zip(written_before)
            .map(|(after, before)| after - before),
    })
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
                disk_bytes: room::taken_bytes(data)?,
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

pub(crate) fn tell(what: &str) {
    // Who does not listen misses nothing but this.
    drop(writeln!(io::stderr().lock(), "{what}"));
}
