//! How the daemon grows: plans as the world writes them, in a log as long as is asked for: loaded,
//! stopped, killed, read, backed up, verified and rebuilt, by the real binary on a real disk.
//! `cargo bench --bench growth -- 100000 1000000` measures one length after the other. A million
//! commits take some minutes and a few gigabytes below `target/`. What a commit costs as the log, the clients and the
//! plans grow is printed as well, and drawn where a word is the name of a file: `… -- 1000000 docs/growth.svg`.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    time::Instant,
};

mod cost;
mod daemon;
mod gentle;
mod load;
mod memory;
mod picture;
#[path = "../speed/process.rs"]
mod process;
mod report;
mod story;
#[path = "../speed/usage.rs"]
mod usage;
mod writers;
#[path = "../speed/writing.rs"]
mod writing;

use self::{
    cost::Cost,
    daemon::{Daemon, stratad},
    load::Loaded,
    memory::Memory,
    report::Column,
    story::Story,
};

/// The length of the log when none is asked for, in commits.
const COMMITS: u64 = 100_000;
/// How many plans are read for the first time after a start.
const COLD_PLANS: usize = 300;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut lengths, mut drawing) = (Vec::new(), None);
    for word in env::args().skip(1).filter(|it| !it.starts_with("--")) {
        if Path::new(&word).extension().is_some() {
            drawing = Some(word);
        } else {
            lengths.push(word.replace('_', "").parse()?);
        }
    }
    if lengths.is_empty() {
        lengths.push(COMMITS);
    }
    let story = Story::tell()?;
    let (mut columns, mut besides) = (Vec::new(), Vec::new());
    let (mut longest, mut costs) = (0, Vec::new());
    for commits in lengths {
        let (column, beside, cost) = grow(&story, commits).await?;
        columns.push(column);
        besides.push(beside);
        // The longest log shows the others' as well.
        if longest < commits {
            (longest, costs) = (commits, vec![cost]);
        }
    }
    let mut out = io::stdout().lock();
    report::print(&mut out, &columns)?;
    writeln!(out, "\nExecute, 8 clients who write 500 commits a second")?;
    report::print(&mut out, &besides)?;
    costs.extend(costs_of_many().await?);
    for cost in &costs {
        cost.print(&mut out)?;
    }
    if let Some(path) = drawing {
        let panels: Vec<_> = costs.iter().flat_map(Cost::panels).collect();
        fs::write(path, picture::svg(&panels))?;
    }
    Ok(())
}

/// What a commit costs by the number of clients and of plans.
async fn costs_of_many() -> Result<[Cost; 2], Box<dyn Error>> {
    say("many clients, many plans");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let daemon = Daemon::start(&dir.path().join("data")).await?;
    let costs = [
        cost::of_clients(&daemon).await?,
        cost::of_plans(&daemon).await?,
    ];
    daemon.stop()?;
    Ok(costs)
}

/// Takes one log through its life.
async fn grow(story: &Story, commits: u64) -> Result<(Column, Column, Cost), Box<dyn Error>> {
    // Beside the build, which is on a disk; /tmp may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let data = dir.path().join("data");
    let (mut column, mut beside) = (Column::new(commits), Column::new(commits));
    let daemon = Daemon::start(&data).await?;
    say(&format!("loading {commits} commits"));
    let (loaded, cost) = tokio::try_join!(
        load::load(&daemon, story, commits),
        cost::of_length(&daemon, commits)
    )?;
    column.loaded(&loaded, Memory::of(daemon.process().pid())?);
    // Nothing of what was loaded has been read by a start yet.
    drop(daemon);
    let daemon = start(&data, "start after kill -9 in the first life", &mut column).await?;
    let stopping = Instant::now();
    daemon.stop()?;
    column.duration("clean stop", stopping.elapsed());
    column.disk(&data)?;

    let daemon = start(&data, "start after a clean stop", &mut column).await?;
    read(&daemon, &loaded, &mut column).await?;
    // So that the log was written to when the daemon is killed.
    load::append(&daemon, story).await?;
    drop(daemon);
    let daemon = start(&data, "start after kill -9", &mut column).await?;
    back_up(&daemon, dir.path(), &mut column)?;
    verify_online(&daemon, &data, &mut column)?;
    daemon.stop()?;
    verify(dir.path(), &data, &mut column)?;

    let started = Instant::now();
    let daemon = Daemon::start(&data).await?;
    gentle::first(
        &daemon,
        started,
        "first, from a start with the view",
        &mut beside,
    )
    .await?;
    daemon.stop()?;
    fs::remove_dir_all(data.join("view"))?;
    let started = Instant::now();
    let daemon = start(&data, "start with the view to be made", &mut column).await?;
    gentle::first(
        &daemon,
        started,
        "first, from a start that makes the view",
        &mut beside,
    )
    .await?;
    gentle::after_start(&daemon, &mut beside).await?;
    gentle::beside(&daemon, &mut beside).await?;
    // Last, for it makes the log longer.
    cost::beside(&daemon, &mut column).await?;
    daemon.stop()?;
    Ok((column, beside, cost))
}

/// Starts the daemon; measures how long that takes and how much memory.
async fn start(data: &Path, name: &str, column: &mut Column) -> Result<Daemon, Box<dyn Error>> {
    say(name);
    let starting = Instant::now();
    let daemon = Daemon::start(data).await?;
    column.duration(name, starting.elapsed());
    column.memory(name, Memory::of(daemon.process().pid())?);
    Ok(daemon)
}

async fn read(daemon: &Daemon, loaded: &Loaded, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let mut cold = load::cold_plans(daemon, loaded, COLD_PLANS).await?;
    column.latencies("GetPlan of a cold plan, p50, p99", &mut cold);
    let longest = load::longest_plan(daemon, loaded).await?;
    column.duration("GetPlan of the longest plan, cold", longest);
    let (entries, bytes, took) = load::read_log(daemon).await?;
    column.throughput("ReadLog of the whole log", entries, bytes, took);
    column.memory("after ReadLog", Memory::of(daemon.process().pid())?);
    Ok(())
}

/// Backs the log up and restores it elsewhere.
fn back_up(daemon: &Daemon, dir: &Path, column: &mut Column) -> Result<(), Box<dyn Error>> {
    say("backup and restore");
    let file = dir.join("backup");
    let mut backup = stratad();
    backup
        .args(["backup", "--from", daemon.process().url()])
        .arg(&file);
    column.run("backup", &mut backup)?;
    column.memory("after a backup", Memory::of(daemon.process().pid())?);
    column.per_commit("backup, bytes a commit", fs::metadata(&file)?.len());
    let restored = dir.join("restored");
    let mut restore = stratad();
    restore
        .arg("restore")
        .arg(&file)
        .arg("--data-dir")
        .arg(&restored);
    column.run("restore", &mut restore)?;
    fs::remove_dir_all(restored)?;
    Ok(())
}

fn verify_online(daemon: &Daemon, data: &Path, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let key = stratad()
        .args(["key", "show", "--data-dir"])
        .arg(data)
        .output()?;
    let key = String::from_utf8(key.stdout)?;
    let mut verify = stratad();
    verify.args(["verify", daemon.process().url(), "--key", key.trim()]);
    column.run("verify of a running daemon", &mut verify)
}

fn verify(dir: &Path, data: &Path, column: &mut Column) -> Result<(), Box<dyn Error>> {
    say("verify");
    column.run("verify of a directory", stratad().arg("verify").arg(data))?;
    let file = dir.join("backup");
    column.run("verify of a backup", stratad().arg("verify").arg(file))
}

/// Tells whoever waits how far it is.
fn say(what: &str) {
    // Nobody has to read it.
    writeln!(io::stderr(), "{what}").ok();
}
