//! What a sync costs on the disk that the log is on: a commit alone waits for it, and a group shares
//! it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

/// How many syncs are timed.
const SYNCS: u32 = 300;
/// What is written before each, in bytes: a value of the log when groups are full.
const WRITTEN_BYTES: u32 = 12 << 10;

/// The median time of a `fdatasync` in `dir`, of a file that has its size already, as the log's has.
pub(crate) fn sync_time(dir: &Path) -> io::Result<Duration> {
    let file = File::create(dir.join("synced"))?;
    let written = vec![7; WRITTEN_BYTES as usize];
    let offsets = || (0..SYNCS).map(|number| u64::from(number * WRITTEN_BYTES));
    for offset in offsets() {
        file.write_all_at(&written, offset)?;
    }
    file.sync_all()?;
    let mut times = Vec::new();
    for offset in offsets() {
        file.write_all_at(&written, offset)?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
