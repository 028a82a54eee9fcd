//! Where and when the figures were taken.

use std::{fs, path::Path, process::Command, thread, time::Duration};

/// The day, the machine and what a sync of the disk took, as a sentence or two.
pub(crate) fn described(dir: &Path, before: Duration, after: Duration) -> String {
    let filesystem = said(
        "findmnt",
        &["-n", "-o", "FSTYPE", "-T", &dir.display().to_string()],
    );
    format!(
        "{}. `fdatasync` of 12 KiB took {} µs before and {} µs after, on {filesystem}.",
        in_a_line(),
        before.as_micros(),
        after.as_micros(),
    )
}

/// The day and the machine.
pub(crate) fn in_a_line() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let memory_gib = field("/proc/meminfo", "MemTotal")
        .split_whitespace()
        .next()
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or_default()
        >> 20;
    format!(
        "{}: {cores} cores of {}, shared by servers and clients, {memory_gib} GiB of memory, Linux {}",
        said("date", &["-u", "+%F"]),
        field("/proc/cpuinfo", "model name"),
        said("uname", &["-r"]),
    )
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    said.unwrap_or_default()
}
