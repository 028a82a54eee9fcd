//! The figures as tables that read alike in a terminal and on a page: medians of the rounds, with the smallest and
//! the largest in brackets.

use std::fmt::Write as _;

use crate::{
    contender::End,
    figures::{Comparison, Kept, Rounds, Row, Starts},
    spread::{Spread, count},
    starts::Seen,
    work::Work,
};

/// All tables.
pub(crate) fn tables(comparisons: &[Comparison], seen: &Seen) -> String {
    let (watches, others): (Vec<&Comparison>, Vec<&Comparison>) = comparisons
        .iter()
        .partition(|it| matches!(it.work, Work::Watch { .. }));
    let crowded = others
        .iter()
        .filter(|it| matches!(it.work, Work::Crowded { .. }));
    let crowded: Vec<&Row> = crowded.flat_map(|it| &it.rows).collect();
    let mut out = String::new();
    if !others.is_empty() {
        out += &table(&rates(&others));
    }
    if !crowded.is_empty() {
        out += "\nWithout and with those who watch what nobody writes, in turn:\n\n";
        out += &table(&crowds(&crowded));
    }
    if !watches.is_empty() {
        out += "\nFrom sending an event to its coming to who watches, in milliseconds:\n\n";
        out += &table(&delays(&watches));
    }
    if !seen.starts.is_empty() {
        out +=
            "\nFrom a start to the first answer, and the memory that is taken a second later:\n\n";
        out += &table(&starts(&seen.starts));
    }
    if !seen.kept.is_empty() {
        out += "\nOn the disk with nothing but these events of about 300 bytes, right after they were written:\n\n";
        out += &table(&disk(&seen.kept));
    }
    out
}

fn rates(comparisons: &[&Comparison]) -> Vec<Vec<String>> {
    let head = [
        "work",
        "contender",
        "a second",
        "Strata's is ×",
        "p50, p99 ms",
        "CPU µs",
        "bytes written",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    for comparison in comparisons {
        for row in &comparison.rows {
            rows.push(vec![
                comparison.work.to_string(),
                row.contender.to_owned(),
                row.rounds.rates().whole(),
                times(comparison, row),
                latencies(&row.rounds, &[500, 990]),
                format!("{:.1}", row.rounds.cpu_us()),
                written(comparison.work, &row.rounds),
            ]);
        }
    }
    rows
}

fn delays(comparisons: &[&Comparison]) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["work", "contender", "a second", "p50", "p99", "p99.9"]
            .map(String::from)
            .to_vec(),
    ];
    for comparison in comparisons {
        for row in &comparison.rows {
            rows.push(vec![
                comparison.work.to_string(),
                row.contender.to_owned(),
                row.rounds.rates().whole(),
                latencies(&row.rounds, &[500]),
                latencies(&row.rounds, &[990]),
                latencies(&row.rounds, &[999]),
            ]);
        }
    }
    rows
}

fn crowds(rows: &[&Row]) -> Vec<Vec<String>> {
    let head = [
        "contender",
        "watch",
        "a second",
        "of that without",
        "p50, p99 ms",
        "CPU µs",
    ];
    let mut table = vec![head.map(String::from).to_vec()];
    for row in rows {
        let of = |watchers: usize, rounds: &Rounds, left: String| {
            vec![
                row.contender.to_owned(),
                watchers.to_string(),
                rounds.rates().whole(),
                left,
                latencies(rounds, &[500, 990]),
                format!("{:.1}", rounds.cpu_us()),
            ]
        };
        table.push(of(0, &row.alone, "1".into()));
        table.push(of(row.watchers, &row.rounds, hundredths(&row.left())));
    }
    table
}

fn starts(starts: &[Starts]) -> Vec<Vec<String>> {
    let head = [
        "events",
        "contender",
        "ms to stop",
        "ms to start",
        "MB",
        "ms to start when killed",
        "MB",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    for of in starts {
        rows.push(vec![
            of.events.to_string(),
            of.contender.to_owned(),
            of.ended_ms(End::Stopped).whole(),
            of.started_ms(End::Stopped).whole(),
            of.resident_mb(End::Stopped).whole(),
            of.started_ms(End::Killed).whole(),
            of.resident_mb(End::Killed).whole(),
        ]);
    }
    rows
}

fn disk(kept: &[Kept]) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["contender", "events", "MB", "bytes an event"]
            .map(String::from)
            .to_vec(),
    ];
    for kept in kept {
        rows.push(vec![
            kept.contender.to_owned(),
            kept.events.to_string(),
            format!("{:.0}", count(kept.disk_bytes) / 1e6),
            format!("{:.0}", count(kept.disk_bytes) / count(kept.events)),
        ]);
    }
    rows
}

fn times(comparison: &Comparison, row: &Row) -> String {
    match comparison.times(row) {
        Some(_) if row.contender == "Strata" => "1".into(),
        Some(spread) => hundredths(&spread),
        None => "–".into(),
    }
}

fn hundredths(spread: &Spread) -> String {
    let Spread {
        least,
        median,
        most,
    } = spread;
    format!("{median:.2} ({least:.2}-{most:.2})")
}

fn latencies(rounds: &Rounds, per_mille: &[usize]) -> String {
    let shown = |at: &usize| rounds.latency_ms(*at).map(|it| format!("{it:.2}"));
    let shown: Option<Vec<String>> = per_mille.iter().map(shown).collect();
    shown.map_or("–".into(), |shown| shown.join(", "))
}

/// What is read or only answered writes nothing.
fn written(work: Work, rounds: &Rounds) -> String {
    let written = work.records().then(|| rounds.written_bytes()).flatten();
    written.map_or("–".into(), |it| format!("{it:.0}"))
}

/// A table whose columns are as wide as they must be. What repeats from the row above is left out in the first.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    let mut above = "";
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let repeats = column == 0 && cell == above;
            let cell = if repeats { "" } else { cell.as_str() };
            // Writing to a text does not fail.
            let _ = write!(out, "| {cell:<width$} ");
        }
        out += "|\n";
        if number == 0 {
            for width in &widths {
                let _ = write!(out, "| {:-<width$} ", "");
            }
            out += "|\n";
        }
        above = row.first().map_or("", String::as_str);
    }
    out
}
