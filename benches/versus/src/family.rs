//! What a server uses of the machine: its process, and those below it.

use std::{collections::BTreeMap, fs, time::Duration};

use crate::{contender::Failure, usage};

/// What a process and those below it have used so far.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, Failure> {
    // One that ended meanwhile has no figures.
    let times = of(pid)?.into_iter().map(usage::cpu_time);
    Ok(times.map(Result::unwrap_or_default).sum())
}

/// The resident memory of a process and those below it, in bytes. What several of them share counts once, by what
/// the system gives each of it.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64, Failure> {
    match *of(pid)? {
        [alone] => kibibytes(&format!("/proc/{alone}/status"), "VmRSS:"),
        ref family => {
            let shares = family
                .iter()
                .map(|it| kibibytes(&format!("/proc/{it}/smaps_rollup"), "Pss:"));
            // One that ended meanwhile has none.
            Ok(shares.map(Result::unwrap_or_default).sum())
        }
    }
}

/// A field that the system gives in kibibytes, in bytes.
fn kibibytes(file: &str, field: &str) -> Result<u64, Failure> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let value = value.and_then(|value| value.split_whitespace().next());
    let value: u64 = value.ok_or("the system does not say")?.parse()?;
    Ok(value << 10)
}

/// Whether a process has not ended yet.
pub(crate) fn lives(pid: u32) -> bool {
    state(pid).is_some_and(|(state, _)| !matches!(state.as_str(), "Z" | "X"))
}

/// A process and those below it.
pub(crate) fn of(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse() else {
            continue;
        };
        if let Some((_, parent)) = state(child) {
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

/// The state of a process by its letter, and the number of its parent.
fn state(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
