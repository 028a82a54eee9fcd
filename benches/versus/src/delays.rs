//! How long after an event was sent it is with who watches: the positions that writers are answered are held to those
//! that the watcher is told.

use std::time::{Duration, Instant};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    contender::{Failure, Watcher, Writer},
    load::Round,
};

/// How long the watcher may still take once nothing more is written.
const PATIENCE: Duration = Duration::from_secs(60);

/// A position, and when it was sent or came.
type At = (u64, Instant);

/// Commits of one event by writers at so many a second in all, or as fast as they can, while one watches. The latencies
/// are from when an event was sent to when it came to the watcher.
pub(crate) async fn watch(
    writers: &mut Vec<Box<dyn Writer>>,
    watcher: Box<dyn Watcher>,
    a_second: Option<u32>,
    time: Duration,
) -> Result<Round, Failure> {
    let (news, mut came) = mpsc::unbounded_channel();
    let mut telling = JoinSet::new();
    telling.spawn(tell(watcher, news));

    let started = Instant::now();
    let each = a_second.map(|it| Duration::from_secs(1) * share(writers.len()) / it);
    let mut writing = JoinSet::new();
    for mut writer in writers.drain(..) {
        writing.spawn(async move {
            let sent = write(writer.as_mut(), each, started + time).await;
            sent.map(|sent| (writer, sent))
        });
    }
    let mut sent = Vec::new();
    while let Some(written) = writing.join_next().await {
        let (writer, written) = written??;
        writers.push(writer);
        sent.extend(written);
    }
    let took = started.elapsed();

    let mut arrived: Vec<At> = Vec::new();
    while arrived.len() < sent.len() {
        match timeout(PATIENCE, came.recv()).await {
            Ok(Some((at, positions))) => arrived.extend(positions.iter().map(|it| (*it, at))),
            Ok(None) => match telling.join_next().await {
                Some(told) => told??,
                None => return Err("nobody watches".into()),
            },
            Err(_) => {
                let (sent, arrived) = (sent.len(), arrived.len());
                return Err(format!("{arrived} of {sent} events came to who watches").into());
            }
        }
    }
    sent.sort_unstable();
    Ok(Round {
        answers: sent.len() as u64,
        took,
        latencies: delays(&sent, &arrived)?,
        ..Round::default()
    })
}

/// As a multiple of a duration. There are never that many.
fn share(writers: usize) -> u32 {
    u32::try_from(writers).unwrap_or(u32::MAX)
}

/// Hands on what the watcher is told, with when it came, until nobody wants it.
async fn tell(
    mut watcher: Box<dyn Watcher>,
    news: mpsc::UnboundedSender<(Instant, Vec<u64>)>,
) -> Result<(), Failure> {
    loop {
        let positions = watcher.next().await?;
        news.send((Instant::now(), positions))?;
    }
}

async fn write(
    writer: &mut dyn Writer,
    each: Option<Duration>,
    until: Instant,
) -> Result<Vec<At>, Failure> {
    let mut pace = each.map(interval);
    if let Some(pace) = &mut pace {
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let mut sent = Vec::new();
    while Instant::now() < until {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let at = Instant::now();
        sent.push((writer.append(1).await?, at));
    }
    Ok(sent)
}

/// All that was sent came, in order, and nothing else.
fn delays(sent: &[At], arrived: &[At]) -> Result<Vec<Duration>, Failure> {
    let pairs = sent.iter().zip(arrived);
    let delays = pairs.map(|((position, sent), (told, came))| {
        if told == position {
            Ok(came.saturating_duration_since(*sent))
        } else {
            Err(format!("who watches is told {told} where {position} should be").into())
        }
    });
    delays.collect()
}
