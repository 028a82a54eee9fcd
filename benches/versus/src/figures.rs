//! What the rounds came to.

use std::time::Duration;

use crate::{
    load::Round,
    spread::{Spread, count},
    work::Work,
};

/// A round with a contender, and what its processes used meanwhile.
pub(crate) struct Measured {
    /// Its latencies are in order.
    pub(crate) round: Round,
    /// What the disk was given meanwhile and right after, if it can be asked.
    pub(crate) written_bytes: Option<u64>,
}

impl Measured {
    pub(crate) fn rate(&self) -> f64 {
        count(self.round.answers) / self.round.took.as_secs_f64()
    }
}

/// All rounds of a work with a contender.
pub(crate) struct Row {
    pub(crate) contender: &'static str,
    pub(crate) rounds: Vec<Measured>,
}

impl Row {
    /// Events a second.
    pub(crate) fn rates(&self) -> Spread {
        Spread::of(self.rounds.iter().map(Measured::rate))
    }

    /// The median of the rounds' latencies at so many of a thousand, in milliseconds; none if it has none.
    pub(crate) fn latency_ms(&self, per_mille: usize) -> Option<f64> {
        let of_round = |measured: &Measured| {
            let latencies = &measured.round.latencies;
            let last = latencies.len().checked_sub(1)?;
            let latency: &Duration = latencies.get(last * per_mille / 1_000)?;
            Some(latency.as_secs_f64() * 1e3)
        };
        let latencies: Option<Vec<f64>> = self.rounds.iter().map(of_round).collect();
        Some(Spread::of(latencies?.into_iter()).median)
    }

    /// What an event costs the server's processors, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        let cpu = |it: &Measured| it.round.server_cpu.as_secs_f64() * 1e6 / count(it.round.answers);
        Spread::of(self.rounds.iter().map(cpu)).median
    }

    /// How many bytes the disk is given for an event, if it can be asked.
    pub(crate) fn written_bytes(&self) -> Option<f64> {
        let written = |it: &Measured| Some(count(it.written_bytes?) / count(it.round.answers));
        let written: Option<Vec<f64>> = self.rounds.iter().map(written).collect();
        Some(Spread::of(written?.into_iter()).median)
    }
}

/// A work with all contenders that can do it, measured in turn.
pub(crate) struct Comparison {
    pub(crate) work: Work,
    pub(crate) rows: Vec<Row>,
}

impl Comparison {
    /// How many times the rate of a row the first contender's is, round by round.
    pub(crate) fn times(&self, row: &Row) -> Option<Spread> {
        let first = self.rows.first().filter(|it| it.contender == "Strata")?;
        let pairs = first.rounds.iter().zip(&row.rounds);
        Some(Spread::of(
            pairs.map(|(first, other)| first.rate() / other.rate()),
        ))
    }
}

/// How much of the disk a contender takes for how many events.
pub(crate) struct Kept {
    pub(crate) contender: &'static str,
    pub(crate) events: u64,
    pub(crate) disk_bytes: u64,
}
