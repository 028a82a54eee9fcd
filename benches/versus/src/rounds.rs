//! A work with all who can do it, one after the other, round by round.

use std::{path::Path, time::Duration};

use crate::{
    arguments::Pace,
    contender::{Contender, Failure},
    family,
    figures::{Comparison, Measured, Row},
    room,
    session::Session,
    tell,
    work::Work,
};

/// How often each work is measured with each contender.
const ROUNDS: usize = 5;

/// Someone who does a work, with what came of it so far.
struct Turn<'a> {
    /// The place among all contenders.
    number: usize,
    contender: &'a dyn Contender,
    session: Session<'a>,
    row: Row,
}

/// Measures a work with one contender after the other, again and again; adds what they acknowledged.
pub(crate) async fn alternate(
    work: Work,
    contenders: &[&dyn Contender],
    pace: &Pace,
    dir: &Path,
    acknowledged: &mut [u64],
) -> Result<Comparison, Failure> {
    let mut turns = Vec::new();
    for (number, contender) in contenders.iter().enumerate() {
        if work.is_for(*contender) {
            tell(&format!("{work}: {} warms up", contender.name()));
            let mut session = Session::begin(work, *contender).await?;
            session.run(pace.warm_up).await?;
            turns.push(Turn {
                number,
                contender: *contender,
                session,
                row: Row::new(contender.name()),
            });
        }
    }
    for _ in 0..ROUNDS {
        for turn in &mut turns {
            let taken = turn.take(work, pace, dir).await;
            let name = turn.row.contender;
            taken.map_err(|failure| format!("{work}: {name}: {failure}"))?;
            tell(&format!(
                "{work}: {name} {}",
                turn.row.rounds.rates().whole()
            ));
        }
    }
    let mut rows = Vec::new();
    for turn in turns {
        acknowledged[turn.number] += turn.session.acknowledged;
        for last in turn.session.last() {
            if turn.contender.data().is_some() && !turn.contender.shows(&last).await? {
                return Err(format!("{} lost {last:?}", turn.contender.name()).into());
            }
        }
        rows.push(turn.row);
    }
    Ok(Comparison { work, rows })
}

impl Turn<'_> {
    /// A round; where others watch meanwhile, after one without them.
    async fn take(&mut self, work: Work, pace: &Pace, dir: &Path) -> Result<(), Failure> {
        if let Work::Crowded { watchers, .. } = work {
            let alone = self.measure(pace.round(), dir).await?;
            self.row.alone.0.push(alone);
            self.row.watchers = self.session.gather(watchers).await?;
        }
        let measured = self.measure(pace.time(work), dir).await?;
        self.row.rounds.0.push(measured);
        if let Work::Crowded { .. } = work {
            self.session.scatter().await;
        }
        Ok(())
    }

    async fn measure(&mut self, time: Duration, dir: &Path) -> Result<Measured, Failure> {
        let pid = self.contender.pid();
        room::flush(dir)?;
        let written_before = room::written_bytes(dir);
        let cpu_before = family::cpu_time(pid)?;
        let mut round = self.session.run(time).await?;
        let cpu_after = family::cpu_time(pid)?;
        room::flush(dir)?;
        let written_after = room::written_bytes(dir);
        round.server_cpu = cpu_after.saturating_sub(cpu_before);
        round.latencies.sort_unstable();
        Ok(Measured {
            round,
            written_bytes: written_after
                .zip(written_before)
                .map(|(after, before)| after - before),
        })
    }
}
