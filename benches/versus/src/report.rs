//! The figures as tables that read alike in a terminal and on a page: medians of the rounds, with the smallest and
//! the largest in brackets.

use std::fmt::Write as _;

use crate::{
    figures::{Comparison, Kept, Row},
    spread::{Spread, count},
    work::Work,
};

/// All tables.
pub(crate) fn tables(comparisons: &[Comparison], kept: &[Kept]) -> String {
    let (watches, others): (Vec<&Comparison>, Vec<&Comparison>) = comparisons
        .iter()
        .partition(|it| matches!(it.work, Work::Watch { .. }));
    let mut out = String::new();
    if !others.is_empty() {
        out += &table(&rates(&others));
    }
    if !watches.is_empty() {
        out += "\nFrom sending an event to its coming to who watches, in milliseconds:\n\n";
        out += &table(&delays(&watches));
    }
    if !kept.is_empty() {
        out += "\nOn the disk after the log was read:\n\n";
        out += &table(&disk(kept));
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
                row.rates().whole(),
                times(comparison, row),
                latencies(row, &[500, 990]),
                format!("{:.1}", row.cpu_us()),
                written(comparison.work, row),
            ]);
        }
    }
    rows
}

fn delays(comparisons: &[&Comparison]) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["work", "contender", "p50", "p99", "p99.9"]
            .map(String::from)
            .to_vec(),
    ];
    for comparison in comparisons {
        for row in &comparison.rows {
            rows.push(vec![
                comparison.work.to_string(),
                row.contender.to_owned(),
                latencies(row, &[500]),
                latencies(row, &[990]),
                latencies(row, &[999]),
            ]);
        }
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
        Some(Spread {
            least,
            median,
            most,
        }) => format!("{median:.2} ({least:.2}-{most:.2})"),
        None => "–".into(),
    }
}

fn latencies(row: &Row, per_mille: &[usize]) -> String {
    let shown = |at: &usize| row.latency_ms(*at).map(|it| format!("{it:.2}"));
    let shown: Option<Vec<String>> = per_mille.iter().map(shown).collect();
    shown.map_or("–".into(), |shown| shown.join(", "))
}

/// What is read or only answered writes nothing.
fn written(work: Work, row: &Row) -> String {
    match work {
        Work::Append { .. } | Work::Stream { .. } | Work::Watch { .. } => {
            let written = row.written_bytes();
            written.map_or("–".into(), |it| format!("{it:.0}"))
        }
        Work::GetPlan { .. } | Work::Read { .. } => "–".into(),
    }
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
