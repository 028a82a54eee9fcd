//! What a server used of the processors: its process, and those below it.

use std::{collections::BTreeMap, fs, time::Duration};

use crate::{contender::Failure, usage};

/// What a process and those below it have used so far.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, Failure> {
    // One that ended meanwhile has no figures.
    let times = family(pid)?.into_iter().map(usage::cpu_time);
    Ok(times.map(Result::unwrap_or_default).sum())
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
