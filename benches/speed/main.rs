//! How fast the daemon is beside a bare tonic server that answers with the same messages: the real
//! binary on a real disk, and this program once more as the bare server, each a process of its own,
//! measured in turn. `cargo bench --bench speed` takes about two minutes; words behind `--` choose
//! the works whose names contain one of them.

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    path::Path,
    process::Command,
    time::Duration,
};

mod disk;
mod echo;
mod load;
mod prepare;
mod process;
mod report;
mod server;
mod spread;
mod usage;
mod writing;

use self::{
    load::{Round, Work},
    report::Row,
    server::Server,
};

/// How often each work is measured on each server.
const ROUNDS: usize = 5;
/// How long one round lasts; reading the log takes as long as it takes.
const ROUND: Duration = Duration::from_millis(1_200);
/// How long a work runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// In this order: the log is read last, when it is longest.
const WORKS: [Work; 8] = [
    Work::Execute { clients: 1 },
    Work::Execute { clients: 8 },
    Work::Execute { clients: 64 },
    Work::Execute { clients: 256 },
    Work::Stream { in_flight: 64 },
    Work::Stream { in_flight: 1_024 },
    Work::GetPlan { clients: 64 },
    Work::ReadLog,
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1).filter(|it| !it.starts_with("--"));
    let mut words = Vec::new();
    while let Some(word) = arguments.next() {
        if word == server::ECHO {
            let answers = arguments.next().ok_or("say where the answers are")?;
            return echo::serve(Path::new(&answers)).await;
        }
        words.push(word);
    }
    compare(&words).await
}

async fn compare(words: &[String]) -> Result<(), Box<dyn Error>> {
    // Beside the build, which is on a disk; /tmp may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let before = disk::sync_time(dir.path())?;
    let stratad = Command::new(env!("CARGO_BIN_EXE_stratad"));
    let strata = Server::stratad(stratad, &dir.path().join("data")).await?;
    let mut acknowledged = prepare::record_plans(&strata).await?;
    acknowledged += prepare::keep_answers(&strata, dir.path()).await?;
    let echo = Server::echo(Command::new(env::current_exe()?), dir.path()).await?;

    let mut rows = Vec::new();
    let chosen = |work: &&Work| {
        let name = work.to_string();
        words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
    };
    for work in WORKS.iter().filter(chosen) {
        let row = alternate(work, &strata, &echo).await?;
        acknowledged += row.recorded;
        rows.push(row);
    }

    let head = strata.head().await?;
    strata.stop()?;
    let after = disk::sync_time(dir.path())?;
    let mut out = io::stdout().lock();
    report::print(&mut out, &rows)?;
    writeln!(
        out,
        "fdatasync of 12 KiB here: {} µs before, {} µs after",
        before.as_micros(),
        after.as_micros()
    )?;
    writeln!(
        out,
        "acknowledged {acknowledged} commits; the log's head is {head}"
    )?;
    if head != acknowledged {
        return Err("the head is not the number of acknowledged commits".into());
    }
    Ok(())
}

/// Measures a work on one server and then on the other, again and again.
async fn alternate(work: &Work, strata: &Server, echo: &Server) -> Result<Row, Box<dyn Error>> {
    let head = strata.head().await?;
    let mut row = Row::new(work.clone());
    row.take(&work.run(strata, head, WARM_UP).await?);
    work.run(echo, head, WARM_UP).await?;
    for _ in 0..ROUNDS {
        let head = strata.head().await?;
        let on_strata = measure(work, strata, head).await?;
        let on_echo = measure(work, echo, head).await?;
        row.take(&on_strata);
        row.compare(on_strata, on_echo);
    }
    Ok(row)
}

async fn measure(work: &Work, server: &Server, head: u64) -> Result<Round, Box<dyn Error>> {
    let before = usage::cpu_time(server.pid())?;
    let mut round = work.run(server, head, ROUND).await?;
    round.server_cpu = usage::cpu_time(server.pid())?.saturating_sub(before);
    Ok(round)
}
