//! What a process used of the machine, as the system counts it.

use std::{error::Error, fs, time::Duration};

/// The unit of processor times in `/proc` on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// What a process has used of the processors so far.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields are counted behind the name, which may hold spaces: user and system time are the
    // 12th and 13th.
    let (_, fields) = stat.rsplit_once(')').ok_or("no process")?;
    let mut ticks = 0.0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(Duration::from_secs_f64(ticks / TICKS_A_SECOND))
}
