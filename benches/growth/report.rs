//! The figures as a table: a line for each, a column for each length of the log.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    load::Loaded,
    memory::{self, Memory},
};

/// What was measured of a log of one length.
pub(crate) struct Column {
    commits: u64,
    /// Names and figures, in the order in which they were measured.
    figures: Vec<(String, String)>,
}

impl Column {
    pub(crate) fn new(commits: u64) -> Self {
        Self {
            commits,
            figures: Vec::new(),
        }
    }

    pub(crate) fn duration(&mut self, name: &str, took: Duration) {
        self.figure(name, shown(took));
    }

    pub(crate) fn memory(&mut self, name: &str, memory: Memory) {
        let figure = format!(
            "{}, at most {}",
            megabytes(memory.now),
            megabytes(memory.most)
        );
        self.figure(&format!("resident: {name}"), figure);
    }

    pub(crate) fn latencies(&mut self, name: &str, latencies: &mut [Duration]) {
        let [p50, p99] = percentiles(latencies).map(shown);
        self.figure(name, format!("{p50}, {p99}"));
    }

    pub(crate) fn throughput(&mut self, name: &str, entries: u64, bytes: u64, took: Duration) {
        let seconds = took.as_secs_f64();
        let figure = format!(
            "{:.0}/s, {:.0} MB/s",
            exact(entries) / seconds,
            exact(bytes) / seconds / 1e6
        );
        self.figure(name, figure);
    }

    pub(crate) fn loaded(&mut self, loaded: &Loaded, memory: Memory) {
        self.figure("plans", loaded.plans.to_string());
        self.throughput(
            "loading, 4 streams",
            loaded.commits,
            loaded.payload_bytes,
            loaded.took,
        );
        self.memory("after loading", memory);
        self.per_commit("payload, bytes a commit", loaded.payload_bytes);
    }

    /// What the parts of a data directory take on the disk.
    pub(crate) fn disk(&mut self, data_dir: &Path) -> Result<(), Box<dyn Error>> {
        for part in ["journal", "view"] {
            let bytes = allocated_bytes(&data_dir.join(part))?;
            self.per_commit(&format!("disk of the {part}, bytes a commit"), bytes);
        }
        Ok(())
    }

    pub(crate) fn per_commit(&mut self, name: &str, bytes: u64) {
        self.figure(name, format!("{:.0}", exact(bytes) / exact(self.commits)));
    }

    /// Runs a command to its end and measures time and memory.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Result<(), Box<dyn Error>> {
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let (status, most) = memory::watch(&mut child)?;
        if !status.success() {
            return Err(format!("{command:?} ended with {status}").into());
        }
        let figure = format!("{}, {}", shown(started.elapsed()), megabytes(most));
        self.figure(&format!("{name}: time, memory"), figure);
        Ok(())
    }

    fn figure(&mut self, name: &str, figure: String) {
        self.figures.push((name.to_owned(), figure));
    }
}

/// Prints the table.
pub(crate) fn print(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    let cells = |name: &str, of: &dyn Fn(&Column) -> String| {
        columns.iter().fold(format!("{name:<48}"), |line, column| {
            format!("{line} | {:>26}", of(column))
        })
    };
    let heads = cells("commits", &|column| column.commits.to_string());
    writeln!(out, "{heads}")?;
    let Some(first) = columns.first() else {
        return Ok(());
    };
    for (number, (name, _)) in first.figures.iter().enumerate() {
        let line = cells(name, &|column| column.figures[number].1.clone());
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The bytes of the blocks that the files of a directory have: sparse files take fewer than their
/// length says.
fn allocated_bytes(dir: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let metadata = entry?.metadata()?;
        bytes += metadata.blocks() * 512;
    }
    Ok(bytes)
}

/// The 50th and the 99th percentile.
pub(crate) fn percentiles(latencies: &mut [Duration]) -> [Duration; 2] {
    latencies.sort_unstable();
    let last = latencies.len().saturating_sub(1);
    [50, 99].map(|percent| {
        let latency = latencies.get(last * percent / 100);
        latency.copied().unwrap_or_default()
    })
}

fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of a bench is exact in an f64"
)]
pub(crate) fn exact(number: u64) -> f64 {
    number as f64
}
