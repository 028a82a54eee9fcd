//! What the process takes of its machine, under the names that programs share.

use std::{fs, time::SystemTime};

use metrics::gauge;
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// Shows when the process was started.
pub fn show_start(started_at: SystemTime) {
    let since = started_at.duration_since(SystemTime::UNIX_EPOCH);
    gauge!("process_start_time_seconds").set(since.unwrap_or_default().as_secs_f64());
}

/// Shows what the process takes. Reads files of the system, none of a disk.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats; what a machine has is below 2^53"
)]
pub fn show() {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    // A counter holds whole numbers, and this one has parts of a second.
    gauge!("process_cpu_seconds_total").set(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
    if let Some(most) = getrlimit(Resource::Nofile).current {
        gauge!("process_max_fds").set(most as f64);
    }
    // One of them is the look itself.
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(open.count().saturating_sub(1) as f64);
    }
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return;
    };
    for (line, name, factor) in [
        ("VmRSS:", "process_resident_memory_bytes", 1_024),
        ("VmSize:", "process_virtual_memory_bytes", 1_024),
        ("Threads:", "process_threads", 1),
    ] {
        if let Some(value) = value(&status, line) {
            gauge!(name).set((value * factor) as f64);
        }
    }
}

fn value(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_what_the_process_takes() {
        let status = fs::read_to_string("/proc/self/status").expect("a status");
        assert!(value(&status, "VmRSS:").is_some_and(|kib| kib > 0));
        assert!(value(&status, "Threads:").is_some_and(|threads| threads > 0));
        assert_eq!(value(&status, "None:"), None);
    }
}
