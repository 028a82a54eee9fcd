//! How long each question about a plan of 5,000 events takes while 64 clients write to other plans,
//! beside `GetPlan` of the same plan, and what the questions cost those who write. The real binary on
//! a real disk. `cargo bench --bench queries` takes about two minutes; words behind `--` choose the
//! questions whose names contain one of them.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    process::Command,
    time::{Duration, Instant},
};

use strata::proto::{GetStatusRequest, admin_service_client::AdminServiceClient};

mod load;
mod plan;
#[path = "../speed/process.rs"]
mod process;
mod question;
#[path = "../speed/writing.rs"]
mod writing;

use self::{
    load::{Pace, Writers, Written},
    process::Process,
    question::{QUESTIONS, Question},
};

/// How long each question is asked.
const ROUND: Duration = Duration::from_secs(3);
/// How long it is asked before that, so that what it reads has been read once.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long the daemon may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often one that is starting is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(2);

/// What was measured of one question.
struct Row {
    name: &'static str,
    /// How large an answer is.
    bytes: usize,
    alone: Vec<Duration>,
    beside_steady: Beside,
    beside_full: Beside,
}

/// What was measured while others wrote.
struct Beside {
    latencies: Vec<Duration>,
    written: Written,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|it| !it.starts_with("--"))
        .collect();
    // Beside the build, which is on a disk; /tmp may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut stratad = Command::new(env!("CARGO_BIN_EXE_stratad"));
    stratad
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .arg("--data-dir")
        .arg(dir.path().join("data"));
    let daemon = Process::start(stratad)?;
    wait_until_serving(daemon.url()).await?;
    plan::record(daemon.url()).await?;

    let steady = load::write_for(daemon.url(), Pace::Steady, ROUND).await?;
    let full = load::write_for(daemon.url(), Pace::Full, ROUND).await?;
    let mut rows = Vec::new();
    let chosen = |question: &&Question| {
        let is_named = |word: &String| question.name().contains(word.as_str());
        words.is_empty() || words.iter().any(is_named)
    };
    for question in QUESTIONS.iter().filter(chosen) {
        rows.push(measure(&daemon, *question).await?);
    }
    let resident = resident(&daemon)?;
    daemon.stop()?;
    let mut out = io::stdout().lock();
    print(&mut out, [&steady, &full], &mut rows)?;
    writeln!(out, "resident after all questions: {resident}")?;
    Ok(())
}

/// It listens before it serves.
async fn wait_until_serving(url: &str) -> Result<(), Box<dyn Error>> {
    let mut admin = AdminServiceClient::connect(url.to_owned()).await?;
    let started = Instant::now();
    while let Err(refused) = admin.get_status(GetStatusRequest {}).await {
        if started.elapsed() > PATIENCE {
            return Err(refused.into());
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
    Ok(())
}

/// Asks one question without and with others writing.
async fn measure(daemon: &Process, question: Question) -> Result<Row, Box<dyn Error>> {
    question.ask_for(daemon.url(), WARM_UP).await?;
    let (alone, bytes) = question.ask_for(daemon.url(), ROUND).await?;
    Ok(Row {
        name: question.name(),
        bytes,
        alone,
        beside_steady: beside(daemon, question, Pace::Steady).await?,
        beside_full: beside(daemon, question, Pace::Full).await?,
    })
}

async fn beside(
    daemon: &Process,
    question: Question,
    pace: Pace,
) -> Result<Beside, Box<dyn Error>> {
    let writers = Writers::start(daemon.url(), pace).await?;
    question.ask_for(daemon.url(), WARM_UP).await?;
    writers.forget();
    let (latencies, _) = question.ask_for(daemon.url(), ROUND).await?;
    let written = writers.stop().await?;
    Ok(Beside { latencies, written })
}

/// What the daemon takes of the memory.
fn resident(daemon: &Process) -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.ok_or("no such line")?.trim().to_owned())
}

fn print(out: &mut impl Write, unasked: [&Written; 2], rows: &mut [Row]) -> io::Result<()> {
    let [steady, full] = unasked;
    writeln!(
        out,
        "{:<34} {:>6} {:>15} {:>40} {:>40}",
        "",
        "answer",
        "alone",
        "beside 64 that keep a pace: Execute",
        "as fast as they can: Execute"
    )?;
    let columns = ["p50", "p99"].map(|it| format!("{it:>7}")).join(" ");
    let beside = format!("{columns} {columns} {:>8}", "a second");
    writeln!(out, "{:<34} {:>6} {columns} {beside} {beside}", "ms", "KB")?;
    writeln!(
        out,
        "{:<57}{:>16}{} {:>15} {}",
        "nothing is asked",
        "",
        steady.shown(),
        "",
        full.shown()
    )?;
    for row in rows {
        writeln!(
            out,
            "{:<34} {:>6} {} {} {}",
            row.name,
            row.bytes / 1_000,
            shown(&mut row.alone),
            row.beside_steady.shown(),
            row.beside_full.shown(),
        )?;
    }
    Ok(())
}

impl Beside {
    fn shown(&mut self) -> String {
        format!("{} {}", shown(&mut self.latencies), self.written.shown())
    }
}

/// The 50th and the 99th percentile in milliseconds.
fn shown(latencies: &mut [Duration]) -> String {
    latencies.sort_unstable();
    let at = |percent: usize| {
        let place = latencies.len().saturating_sub(1) * percent / 100;
        latencies
            .get(place)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    format!("{:>7.2} {:>7.2}", at(50), at(99))
}
