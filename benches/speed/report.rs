//! The figures as a table: medians of the rounds, with the smallest and the largest in brackets.

use std::{
    io::{self, Write},
    time::Duration,
};

use crate::{
    load::{Round, Work},
    spread::{Spread, count},
};

/// What came of one work.
pub(crate) struct Row {
    work: Work,
    /// How many commits it recorded on the daemon, warm-up included.
    pub(crate) recorded: u64,
    strata: Vec<Round>,
    echo: Vec<Round>,
}

impl Row {
    pub(crate) fn new(work: Work) -> Self {
        Self {
            work,
            recorded: 0,
            strata: Vec::new(),
            echo: Vec::new(),
        }
    }

    /// Counts the commits of a round on the daemon.
    pub(crate) fn take(&mut self, round: &Round) {
        if self.work.records() {
            self.recorded += round.answers;
        }
    }

    /// Keeps a round of each server, one after the other.
    pub(crate) fn compare(&mut self, mut strata: Round, mut echo: Round) {
        strata.latencies.sort_unstable();
        echo.latencies.sort_unstable();
        self.strata.push(strata);
        self.echo.push(echo);
    }
}

/// Prints the table.
pub(crate) fn print(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let rounds = rows.first().map_or(0, |row| row.strata.len());
    writeln!(
        out,
        "a second; medians of {rounds} rounds, with their range\n"
    )?;
    line(
        out,
        [
            "work",
            "strata",
            "echo",
            "ratio",
            "p50, p99 ms",
            "echo's",
            "CPU µs",
            "echo's",
        ],
    )?;
    for row in rows {
        print_row(out, &row.work.to_string(), row, rate)?;
        if row.strata.iter().any(|round| round.bytes > 0) {
            print_row(out, "ReadLog, MB", row, megabytes)?;
        }
    }
    writeln!(out)
}

fn print_row(
    out: &mut impl Write,
    name: &str,
    row: &Row,
    rate: impl Fn(&Round) -> f64,
) -> io::Result<()> {
    let ratios = row
        .strata
        .iter()
        .zip(&row.echo)
        .map(|(strata, echo)| rate(strata) / rate(echo));
    let ratio = Spread::of(ratios);
    let rates = |rounds: &[Round]| Spread::of(rounds.iter().map(&rate)).whole();
    line(
        out,
        [
            name,
            &rates(&row.strata),
            &rates(&row.echo),
            &format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.least, ratio.most),
            &latencies(&row.strata),
            &latencies(&row.echo),
            &cpu(&row.strata),
            &cpu(&row.echo),
        ],
    )
}

fn line(out: &mut impl Write, cells: [&str; 8]) -> io::Result<()> {
    let [
        work,
        strata,
        echo,
        ratio,
        latency,
        echo_latency,
        cpu,
        echo_cpu,
    ] = cells;
    writeln!(
        out,
        "{work:<28} | {strata:>27} | {echo:>27} | {ratio:>16} | {latency:>13} | \
         {echo_latency:>13} | {cpu:>6} | {echo_cpu:>6}"
    )
}

fn rate(round: &Round) -> f64 {
    count(round.answers) / round.took.as_secs_f64()
}

fn megabytes(round: &Round) -> f64 {
    count(round.bytes) / round.took.as_secs_f64() / 1e6
}

fn latencies(rounds: &[Round]) -> String {
    let at = |percent: usize| {
        let of_round = |round: &Round| {
            let last = round.latencies.len().saturating_sub(1);
            let latency: Option<&Duration> = round.latencies.get(last * percent / 100);
            latency.copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        Spread::of(rounds.iter().map(of_round)).median
    };
    format!("{:.2}, {:.2}", at(50), at(99))
}

/// What one answer costs the server's process.
fn cpu(rounds: &[Round]) -> String {
    let of_round = |round: &Round| round.server_cpu.as_secs_f64() * 1e6 / count(round.answers);
    format!("{:.1}", Spread::of(rounds.iter().map(of_round)).median)
}
