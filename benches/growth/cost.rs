//! What a commit costs as everything around it grows: the log, the clients, the plans, and what else the daemon does.

use std::{
    error::Error,
    io::{self, Write},
    time::{Duration, Instant},
};

use crate::{
    daemon::Daemon,
    load,
    picture::{Line, Panel},
    report::{Column, exact, percentiles},
    usage::cpu_time,
    writers::{self, Plans, Written},
};

/// How many clients there are at a time.
const CLIENTS: [usize; 6] = [1, 8, 64, 256, 512, 1_000];
/// Among how many plans they write.
const PLANS: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];
/// How many clients there are where nothing else is said.
const USUAL: usize = 64;
/// How long they write each time, and before the first.
const TIME: Duration = Duration::from_secs(3);
/// A log that is loaded is looked at so many times.
const LOOKS: u64 = 20;
/// How often it is asked for its head meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What a commit cost, by how much there was of something.
pub(crate) struct Cost {
    of: &'static str,
    points: Vec<Point>,
}

struct Point {
    at: f64,
    a_second: f64,
    cpu_micros: f64,
    /// Where answers were waited for one by one.
    waited: Option<(Duration, Duration)>,
}

impl Cost {
    fn new(of: &'static str) -> Self {
        Self {
            of,
            points: Vec::new(),
        }
    }

    fn add(&mut self, at: f64, mut written: Written) {
        let [p50, p99] = percentiles(&mut written.latencies);
        let commits = exact(written.latencies.len() as u64);
        self.points.push(Point {
            at,
            a_second: commits / written.took.as_secs_f64(),
            cpu_micros: written.cpu.as_secs_f64() * 1e6 / commits,
            waited: Some((p50, p99)),
        });
    }

    /// A line for each point.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "\n{:<28} {:>10} {:>12} {:>9} {:>9}",
            self.of, "a second", "CPU µs each", "p50 ms", "p99 ms"
        )?;
        for point in &self.points {
            write!(
                out,
                "{:<28} {:>10.0} {:>12.1}",
                point.at, point.a_second, point.cpu_micros
            )?;
            if let Some((p50, p99)) = point.waited {
                let millis = |time: Duration| time.as_secs_f64() * 1e3;
                write!(out, " {:>9.2} {:>9.2}", millis(p50), millis(p99))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// The same as two panels: what a commit costs the daemon, and how many there are in a second.
    pub(crate) fn panels(&self) -> [Panel; 2] {
        let line = |value: fn(&Point) -> f64| -> Line {
            self.points
                .iter()
                .map(|point| (point.at, value(point)))
                .collect()
        };
        [
            Panel::new(
                "µs of processor a commit",
                self.of,
                line(|it| it.cpu_micros),
            ),
            Panel::new("commits a second", self.of, line(|it| it.a_second)),
        ]
    }
}

/// Looks at a daemon that is being loaded until its log has so many commits.
pub(crate) async fn of_length(daemon: &Daemon, commits: u64) -> Result<Cost, Box<dyn Error>> {
    let mut cost = Cost::new("commits in the log");
    let pid = daemon.process().pid();
    let step = (commits / LOOKS).max(1);
    let mut last = (0, Instant::now(), cpu_time(pid)?);
    while last.0 < commits {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let now = (daemon.head().await?, Instant::now(), cpu_time(pid)?);
        if now.0 < commits && now.0 - last.0 < step {
            continue;
        }
        let written = exact(now.0 - last.0);
        let used = now.2.saturating_sub(last.2);
        cost.points.push(Point {
            at: exact(now.0),
            a_second: written / (now.1 - last.1).as_secs_f64(),
            cpu_micros: used.as_secs_f64() * 1e6 / written,
            waited: None,
        });
        last = now;
    }
    Ok(cost)
}

/// By the number of clients, each with plans of its own.
pub(crate) async fn of_clients(daemon: &Daemon) -> Result<Cost, Box<dyn Error>> {
    let mut cost = Cost::new("clients");
    writers::write(daemon, USUAL, Plans::Own, TIME).await?;
    for clients in CLIENTS {
        let written = writers::write(daemon, clients, Plans::Own, TIME).await?;
        cost.add(exact(clients as u64), written);
    }
    Ok(cost)
}

/// By the number of plans, among which all clients write.
pub(crate) async fn of_plans(daemon: &Daemon) -> Result<Cost, Box<dyn Error>> {
    let mut cost = Cost::new("plans");
    for plans in PLANS {
        writers::begin(daemon, plans).await?;
        let written = writers::write(daemon, USUAL, Plans::Among(plans), TIME).await?;
        cost.add(exact(plans), written);
    }
    Ok(cost)
}

/// What clients who write as fast as they can feel.
pub(crate) async fn beside(daemon: &Daemon, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let write = async || {
        Ok(writers::write(daemon, USUAL, Plans::Own, TIME)
            .await?
            .latencies)
    };
    latencies_beside(
        daemon,
        &format!("Execute, {USUAL} clients, "),
        write,
        column,
    )
    .await
}

/// What some clients feel alone, while the log is read, and while it is backed up, again and again.
pub(crate) async fn latencies_beside(
    daemon: &Daemon,
    who: &str,
    write: impl AsyncFn() -> Result<Vec<Duration>, Box<dyn Error>>,
    column: &mut Column,
) -> Result<(), Box<dyn Error>> {
    let reading = async {
        loop {
            load::read_log(daemon).await?;
        }
    };
    let backing_up = async {
        loop {
            load::back_up(daemon).await?;
        }
    };
    let name = |beside: &str| format!("{who}{beside}: p50, p99");
    column.latencies(&name("alone"), &mut write().await?);
    let mut latencies = while_doing(reading, write()).await?;
    column.latencies(&name("while the log is read"), &mut latencies);
    let mut latencies = while_doing(backing_up, write()).await?;
    column.latencies(&name("during a backup"), &mut latencies);
    Ok(())
}

/// Does one thing for as long as another takes.
async fn while_doing<T>(
    other: impl Future<Output = Result<(), Box<dyn Error>>>,
    measured: impl Future<Output = Result<T, Box<dyn Error>>>,
) -> Result<T, Box<dyn Error>> {
    tokio::select! {
        failed = other => Err(failed.err().unwrap_or_else(|| "it ended".into())),
        measured = measured => measured,
    }
}
