//! How far a long command is: a bar on stderr where a person sees it, else one that is not drawn.

use std::{
    fmt,
    io::{self, IsTerminal as _},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A bar of so many things of one kind, such as `lines`.
#[must_use]
pub fn bar(count: u64, unit: &str) -> ProgressBar {
    let template =
        format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{whole_per_sec}}, {{eta}} left");
    drawn(count, &template)
}

/// A bar of so many bytes.
#[must_use]
pub fn bytes_bar(bytes: u64) -> ProgressBar {
    drawn(
        bytes,
        "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    )
}

fn drawn(count: u64, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key(
            "whole_per_sec",
            |state: &ProgressState, out: &mut dyn fmt::Write| {
                write!(out, "{:.0}/s", state.per_sec()).ok();
            },
        );
    ProgressBar::new(count).with_style(style)
}
