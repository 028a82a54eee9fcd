//! What a server used of the machine: its process, and those below it.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use crate::{contender::Failure, usage};

/// What was used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Of the processors.
    pub(crate) cpu: Duration,
    /// Of the way to the disk: whole pages, once for each time that they have to be written.
    pub(crate) written_bytes: u64,
}

/// What a process and those below it have used so far.
pub(crate) fn used(pid: u32) -> Result<Used, Failure> {
    let mut used = Used::default();
    for pid in family(pid)? {
        // One that ended meanwhile has no figures.
        let Ok(io) = fs::read_to_string(format!("/proc/{pid}/io")) else {
            continue;
        };
        let written = io.lines().find_map(|it| it.strip_prefix("write_bytes: "));
        used.written_bytes += written.ok_or("no write_bytes")?.parse::<u64>()?;
        used.cpu += usage::cpu_time(pid).unwrap_or_default();
    }
    Ok(used)
}

/// How much of the disk a file or a directory takes.
pub(crate) fn disk_bytes(path: &Path) -> Result<u64, Failure> {
    let metadata = fs::symlink_metadata(path)?;
    // In the unit in which Linux counts them.
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            // A file may be gone since.
            bytes += disk_bytes(&entry?.path()).unwrap_or_default();
        }
    }
    Ok(bytes)
}

fn family(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse() else {
            continue;
        };
        if let Some(parent) = parent(child) {
            below.entry(parent).or_default().push(child);
        }
    }
    let mut family = vec![pid];
    let mut seen = 0;
    while let Some(one) = family.get(seen) {
        let children = below.remove(one).unwrap_or_default();
        family.extend(children);
        seen += 1;
    }
    Ok(family)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold spaces: the state, then the parent.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}
