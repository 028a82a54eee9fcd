//! What a sync costs on the disk that the log is on, which is what a commit alone waits for and
//! what a group shares.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

/// How many syncs are timed.
const SYNCS: usize = 300;
/// What is written before each, in bytes: a value of the log when groups are full.
const WRITTEN_BYTES: usize = 12 << 10;

/// The median time of a `fdatasync` of a file that has grown, in `dir`.
pub(crate) fn sync_time(dir: &Path) -> io::Result<Duration> {
    let mut file = File::create(dir.join("synced"))?;
    let written = vec![7; WRITTEN_BYTES];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&written)?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}
