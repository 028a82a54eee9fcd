//! Strata beside what one would use instead: each a process of its own on the same disk of the same machine, given
//! the same work in turn, round by round. `benches/versus/run` builds and starts it; words choose contenders and
//! works by a part of their names. docs/versus.md tells what is compared, and what one run came to.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::Instant,
};

use clap::Parser as _;
use mimalloc::MiMalloc;
use tokio::signal::unix::{SignalKind, signal};

mod append;
mod arguments;
mod contender;
mod delays;
#[path = "../../speed/disk.rs"]
mod disk;
mod docs;
#[path = "../../speed/echo.rs"]
mod echo;
mod etcd;
mod event;
mod family;
mod figures;
mod idle;
mod installed;
mod lineup;
#[expect(dead_code, reason = "the bench it is from has more works")]
#[path = "../../speed/load.rs"]
mod load;
mod machine;
mod message_db;
mod nats;
mod picture;
mod plans;
#[expect(dead_code, reason = "the bench it is from records its plans by it")]
#[path = "../../speed/prepare.rs"]
mod prepare;
#[path = "../../speed/process.rs"]
mod process;
mod report;
mod room;
mod rounds;
#[path = "../../speed/server.rs"]
mod server;
mod session;
mod spawned;
#[path = "../../speed/spread.rs"]
mod spread;
mod starts;
mod strata_server;
mod umadb;
#[path = "../../speed/usage.rs"]
mod usage;
mod work;
#[path = "../../speed/writing.rs"]
mod writing;

use self::{
    arguments::{Arguments, Pace},
    contender::{Contender, End, Failure},
    figures::Comparison,
    lineup::Programs,
    starts::Seen,
    strata_server::StrataServer,
    work::Work,
};

/// As the daemon, so that the bare servers are no slower for it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
    let dir = dir.path();
    room::let_others_in(dir)?;
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/versus-tools");
    let programs = Programs::new(&arguments.stratad, &tools);
    let names = arguments.names();
    let before = disk::sync_time(dir)?;

    let pace = arguments.pace();
    let (starts, works): (Vec<Work>, Vec<Work>) = arguments
        .works()
        .into_iter()
        .partition(|it| matches!(it, Work::Start { .. }));
    let mut comparisons = Vec::new();
    if !works.is_empty() {
        comparisons = run(&works, &programs, &names, &pace, dir).await?;
    }
    let seen = start(&starts, &programs, &names, &pace, dir).await?;
    let after = disk::sync_time(dir)?;

    let machine = machine::described(dir, before, after);
    let versions = programs.versions(&names).join(", ");
    let tables = report::tables(&comparisons, &seen);
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

/// Does all works that are done while all run.
async fn run(
    works: &[Work],
    programs: &Programs,
    names: &[&str],
    pace: &Pace,
    dir: &Path,
) -> Result<Vec<Comparison>, Failure> {
    let mut contenders = lineup::start(programs, names, dir).await?;
    let mut acknowledged = vec![0; contenders.len()];
    let mut comparisons = Vec::new();
    for work in works {
        if let Work::Read { events } = *work {
            contenders = fill(contenders, events, &mut acknowledged).await?;
        }
        let all: Vec<&dyn Contender> = contenders.iter().map(|it| &**it as _).collect();
        let compared = if let Work::GetPlan {
            size,
            plans,
            cold: true,
            ..
        } = *work
        {
            let own = lineup::own(dir, "cold")?;
            tell(&format!("{work}: {plans} plans are written"));
            let strata = StrataServer::cold(&programs.stratad, &own, size, plans).await?;
            let compared = compare_cold(*work, &strata, &all, pace, dir).await?;
            Box::new(strata).stop(End::Stopped)?;
            fs::remove_dir_all(own)?;
            compared
        } else {
            rounds::alternate(*work, &all, pace, dir, &mut acknowledged).await?
        };
        comparisons.push(compared);
    }
    count(&contenders, &acknowledged).await?;
    for contender in contenders {
        contender.stop(End::Stopped)?;
    }
    Ok(comparisons)
}

/// With a daemon in Strata's place that has none of the plans in memory.
async fn compare_cold(
    work: Work,
    strata: &StrataServer,
    contenders: &[&dyn Contender],
    pace: &Pace,
    dir: &Path,
) -> Result<Comparison, Failure> {
    let bare = contenders.iter().filter(|it| it.data().is_none());
    let with: Vec<&dyn Contender> = [strata as _].into_iter().chain(bare.copied()).collect();
    let mut nothing = vec![0; with.len()];
    rounds::alternate(work, &with, pace, dir, &mut nothing).await
}

/// Starts all again and again that keep what they are given.
async fn start(
    works: &[Work],
    programs: &Programs,
    names: &[&str],
    pace: &Pace,
    dir: &Path,
) -> Result<Seen, Failure> {
    let lengths = works.iter().filter_map(|it| {
        if let Work::Start { events } = it {
            Some(*events)
        } else {
            None
        }
    });
    let lengths: Vec<u64> = lengths.collect();
    if lengths.is_empty() {
        return Ok(Seen::default());
    }
    let names: Vec<&str> = [lineup::STRATA].iter().chain(names).copied().collect();
    starts::measure(programs, &names, &lengths, pace.starts, dir).await
}

/// Makes the logs that are read long enough.
async fn fill(
    contenders: Vec<Box<dyn Contender>>,
    events: u64,
    acknowledged: &mut [u64],
) -> Result<Vec<Box<dyn Contender>>, Failure> {
    let mut filled = Vec::new();
    for (mut contender, acknowledged) in contenders.into_iter().zip(acknowledged) {
        let missing = events.saturating_sub(*acknowledged);
        if missing > 0 && contender.log().is_some() && contender.data().is_some() {
            let (name, began) = (contender.name(), Instant::now());
            let added;
            (contender, added) = contender.fill(missing).await?;
            *acknowledged += added;
            tell(&format!(
                "{name}: {added} events more in {:.1?}",
                began.elapsed()
            ));
        }
        filled.push(contender);
    }
    Ok(filled)
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
