//! How long a contender takes until it answers when it was stopped in good order and when it was killed, how much
//! memory it takes then, and how much of the disk, with a log of a given length. Each is alone meanwhile. What the
//! system keeps of its files in memory stays there: it is a server that starts again that is measured, not a machine.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    contender::{Contender, End, Failure},
    family,
    figures::{Kept, Starts},
    lineup::Programs,
    room, tell,
};

/// How much is written between a start and an end, so that a kill finds something to lose.
const WRITTEN: u64 = 1_000;
/// How long a server is left alone before it is seen how much memory it takes.
const SETTLING: Duration = Duration::from_secs(1);

/// What came of all.
#[derive(Default)]
pub(crate) struct Seen {
    /// By the length of the log, then by contender.
    pub(crate) starts: Vec<Starts>,
    /// With the longest log.
    pub(crate) kept: Vec<Kept>,
}

/// Takes one contender after the other through logs of these lengths, the shortest first.
pub(crate) async fn measure(
    programs: &Programs,
    names: &[&str],
    lengths: &[u64],
    repeats: usize,
    dir: &Path,
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    for name in names {
        let own = dir.join("starts");
        fs::create_dir(&own)?;
        room::let_others_in(&own)?;
        if let Some(contender) = programs.start(name, &own).await? {
            let measured = grow(contender, lengths, repeats, &own, &mut seen).await;
            measured.map_err(|failure| format!("{name}: {failure}"))?;
        }
        fs::remove_dir_all(&own)?;
    }
    seen.starts.sort_by_key(|it| it.events);
    Ok(seen)
}

async fn grow(
    mut contender: Box<dyn Contender>,
    lengths: &[u64],
    repeats: usize,
    dir: &Path,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let name = contender.name();
    let mut acknowledged = 0;
    for (number, events) in lengths.iter().enumerate() {
        tell(&format!("{name}: {events} events"));
        let filling = Instant::now();
        let filled;
        (contender, filled) = contender.fill(events - acknowledged).await?;
        acknowledged += filled;
        tell(&format!("{name}: filled in {:.1?}", filling.elapsed()));
        room::flush(dir)?;
        if number + 1 == lengths.len() {
            let data = contender.data().ok_or("it keeps nothing")?;
            seen.kept.push(Kept {
                contender: name,
                events: acknowledged,
                disk_bytes: room::taken_bytes(data)?,
            });
        }
        let mut starts = Starts::new(name, *events);
        for _ in 0..repeats {
            for end in [End::Stopped, End::Killed] {
                contender = again(contender, end, &mut acknowledged, &mut starts).await?;
            }
        }
        tell(&starts.told());
        seen.starts.push(starts);
    }
    contender.stop(End::Stopped)?;
    Ok(())
}

/// Writes a little, ends it and starts it again; what was acknowledged must be there, the last event first of all.
async fn again(
    contender: Box<dyn Contender>,
    end: End,
    acknowledged: &mut u64,
    starts: &mut Starts,
) -> Result<Box<dyn Contender>, Failure> {
    let (contender, written) = contender.fill(WRITTEN).await?;
    let mut writer = contender.writer(0).await?;
    writer.append(1).await?;
    *acknowledged += written + 1;
    let last = writer.last();
    drop(writer);

    let ending = Instant::now();
    let ended = contender.stop(end)?;
    let ended_in = ending.elapsed();
    let starting = Instant::now();
    let contender = ended.start().await?;
    if !contender.shows(&last).await? {
        return Err(format!("{last:?} is lost: it was {end:?}").into());
    }
    let started_in = starting.elapsed();
    tokio::time::sleep(SETTLING).await;
    let resident_bytes = family::resident_bytes(contender.pid())?;
    let counted = contender.count().await?;
    if counted != *acknowledged {
        return Err(format!("{acknowledged} were acknowledged, {counted} are there").into());
    }
    starts.add(end, ended_in, started_in, resident_bytes);
    Ok(contender)
}
