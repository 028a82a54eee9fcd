//! The figures as a picture: a panel for each work, a bar for each contender with its range as a line.

use std::fmt::Write as _;

use crate::{
    figures::{Comparison, Row},
    spread::{Spread, count},
    work::Work,
};

const PANELS_A_ROW: usize = 2;
const PANEL: f64 = 440.0;
const BAR: f64 = 15.0;
const GAP: f64 = 4.0;
/// Where bars begin in a panel, and how long the longest is.
const BARS_X: f64 = 112.0;
const BARS_LENGTH: f64 = 240.0;
const HEAD: f64 = 34.0;
/// What stands below all.
const FOOT: f64 = 34.0;
const STRATA: &str = "#0b6e99";
const FLOOR: &str = "#c9cdd2";
const OTHER: &str = "#e0a458";

/// An SVG that needs nothing else and looks the same on light and dark pages.
pub(crate) fn svg(comparisons: &[Comparison], below: &str) -> String {
    // Who is alone with a work is compared with nobody.
    let panels: Vec<&Comparison> = comparisons.iter().filter(|it| it.rows.len() > 1).collect();
    let mut drawings = String::new();
    let mut y = 0.0;
    for row in panels.chunks(PANELS_A_ROW) {
        for (panel, x) in row.iter().zip([0.0, PANEL]) {
            let drawn = drawn(panel);
            let _ = writeln!(
                drawings,
                "<g transform=\"translate({x} {y})\">\n{drawn}</g>"
            );
        }
        let bars = row.iter().map(|panel| panel.rows.len()).max();
        y += HEAD + (BAR + GAP) * count(bars.unwrap_or_default() as u64);
    }
    let (width, height) = (PANEL * count(PANELS_A_ROW as u64), y + FOOT);
    let below = text(10.0, height - 10.0, "start", "#666", below);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{drawings}{below}</svg>\n"
    )
}

fn drawn(panel: &Comparison) -> String {
    let (unit, better) = match panel.work {
        Work::Watch { .. } => ("ms at p50, the line to p99", "less"),
        Work::GetPlan { .. } => ("answers a second", "more"),
        Work::Append { .. }
        | Work::Crowded { .. }
        | Work::Stream { .. }
        | Work::Read { .. }
        | Work::Start { .. } => ("events a second", "more"),
    };
    let spreads: Vec<Spread> = panel
        .rows
        .iter()
        .map(|row| shown(panel.work, row))
        .collect();
    let most = spreads
        .iter()
        .map(|it| it.most)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut out = String::new();
    let title = format!("{}: {unit}, {better} is better", panel.work);
    out += &text(10.0, 22.0, "start", "#111", &title);
    for (number, (row, spread)) in panel.rows.iter().zip(&spreads).enumerate() {
        let y = HEAD + (BAR + GAP) * count(number as u64);
        let length = |value: f64| BARS_LENGTH * value / most;
        let (bar, middle) = (length(spread.median), y + BAR / 2.0);
        out += &text(BARS_X - 6.0, y + 12.0, "end", "#333", row.contender);
        let _ = writeln!(
            out,
            "<rect x=\"{BARS_X}\" y=\"{y}\" width=\"{bar:.1}\" height=\"{BAR}\" fill=\"{}\"/>\n\
             <path d=\"M{:.1} {middle}H{:.1}\" stroke=\"#333\"/>",
            colour(row.contender),
            BARS_X + length(spread.least),
            BARS_X + length(spread.most),
        );
        let end = BARS_X + length(spread.most) + 6.0;
        out += &text(end, y + 12.0, "start", "#111", &number_of(spread.median));
    }
    out
}

fn shown(work: Work, row: &Row) -> Spread {
    if let Work::Watch { .. } = work {
        let at = |per_mille| row.rounds.latency_ms(per_mille).unwrap_or_default();
        return Spread {
            least: at(500),
            median: at(500),
            most: at(990),
        };
    }
    row.rounds.rates()
}

fn colour(contender: &str) -> &'static str {
    match contender {
        "Strata" => STRATA,
        bare if bare.starts_with("bare") => FLOOR,
        _ => OTHER,
    }
}

fn number_of(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn text(x: f64, y: f64, anchor: &str, colour: &str, text: &str) -> String {
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>\n"
    )
}
