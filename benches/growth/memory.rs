//! What a process takes of the memory, as the system counts it.

use std::{
    error::Error,
    fs,
    process::{Child, ExitStatus},
    thread,
    time::Duration,
};

/// How often a process that runs is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// The resident memory of a process, in bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) now: u64,
    /// At most, since it was started.
    pub(crate) most: u64,
}

impl Memory {
    /// The memory of a process that runs.
    pub(crate) fn of(pid: u32) -> Result<Self, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kilobytes.map_or(0, |kilobytes: u64| kilobytes << 10)
        };
        Ok(Self {
            now: bytes("VmRSS:"),
            most: bytes("VmHWM:"),
        })
    }
}

/// Waits until a process has ended, and tells how much memory it took at most.
pub(crate) fn watch(child: &mut Child) -> Result<(ExitStatus, u64), Box<dyn Error>> {
    let mut most = 0;
    loop {
        // It may have ended since it was looked at.
        most = most.max(Memory::of(child.id()).unwrap_or_default().most);
        if let Some(status) = child.try_wait()? {
            return Ok((status, most));
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
