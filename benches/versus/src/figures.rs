//! What the rounds came to.

use std::time::Duration;

use crate::{
    contender::End,
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
#[derive(Default)]
pub(crate) struct Rounds(pub(crate) Vec<Measured>);

impl Rounds {
    /// Events a second.
    pub(crate) fn rates(&self) -> Spread {
        Spread::of(self.0.iter().map(Measured::rate))
    }

    /// The median of the rounds' latencies at so many of a thousand, in milliseconds; none if it has none.
    pub(crate) fn latency_ms(&self, per_mille: usize) -> Option<f64> {
        let of_round = |measured: &Measured| {
            let latencies = &measured.round.latencies;
            let last = latencies.len().checked_sub(1)?;
            let latency: &Duration = latencies.get(last * per_mille / 1_000)?;
            Some(latency.as_secs_f64() * 1e3)
        };
        let latencies: Option<Vec<f64>> = self.0.iter().map(of_round).collect();
        Some(Spread::of(latencies?.into_iter()).median)
    }

    /// What an event costs the server's processors, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        let cpu = |it: &Measured| it.round.server_cpu.as_secs_f64() * 1e6 / count(it.round.answers);
        Spread::of(self.0.iter().map(cpu)).median
    }

    /// How many bytes the disk is given for an event, if it can be asked.
    pub(crate) fn written_bytes(&self) -> Option<f64> {
        let written = |it: &Measured| Some(count(it.written_bytes?) / count(it.round.answers));
        let written: Option<Vec<f64>> = self.0.iter().map(written).collect();
        Some(Spread::of(written?.into_iter()).median)
    }
}

/// What a work came to with a contender.
pub(crate) struct Row {
    pub(crate) contender: &'static str,
    pub(crate) rounds: Rounds,
    /// The same without those who watch meanwhile, each right before the round with them.
    pub(crate) alone: Rounds,
    /// How many watched.
    pub(crate) watchers: usize,
}

impl Row {
    pub(crate) fn new(contender: &'static str) -> Self {
        Self {
            contender,
            rounds: Rounds::default(),
            alone: Rounds::default(),
            watchers: 0,
        }
    }

    /// How many times the rate without those who watch the rate with them is, round by round.
    pub(crate) fn left(&self) -> Spread {
        let pairs = self.rounds.0.iter().zip(&self.alone.0);
        Spread::of(pairs.map(|(with, without)| with.rate() / without.rate()))
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
        let pairs = first.rounds.0.iter().zip(&row.rounds.0);
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

/// How long a contender took to start with a log of some length, again and again.
pub(crate) struct Starts {
    pub(crate) contender: &'static str,
    pub(crate) events: u64,
    ended: Vec<(End, f64)>,
    started: Vec<(End, f64)>,
    resident: Vec<(End, f64)>,
}

impl Starts {
    pub(crate) fn new(contender: &'static str, events: u64) -> Self {
        Self {
            contender,
            events,
            ended: Vec::new(),
            started: Vec::new(),
            resident: Vec::new(),
        }
    }

    /// Adds a start after an end.
    pub(crate) fn add(
        &mut self,
        end: End,
        ended_in: Duration,
        started_in: Duration,
        resident_bytes: u64,
    ) {
        self.ended.push((end, ended_in.as_secs_f64() * 1e3));
        self.started.push((end, started_in.as_secs_f64() * 1e3));
        self.resident.push((end, count(resident_bytes) / 1e6));
    }

    /// How long it took to end, in milliseconds.
    pub(crate) fn ended_ms(&self, end: End) -> Spread {
        after(end, &self.ended)
    }

    /// How long it took until it answered after such an end, in milliseconds.
    pub(crate) fn started_ms(&self, end: End) -> Spread {
        after(end, &self.started)
    }

    /// How much memory it took then, in megabytes.
    pub(crate) fn resident_mb(&self, end: End) -> Spread {
        after(end, &self.resident)
    }

    /// For who waits.
    pub(crate) fn told(&self) -> String {
        format!(
            "{}: with {} events it answers after {} ms, {} ms when it was killed",
            self.contender,
            self.events,
            self.started_ms(End::Stopped).whole(),
            self.started_ms(End::Killed).whole(),
        )
    }
}

fn after(end: End, values: &[(End, f64)]) -> Spread {
    let values = values.iter().filter(|(it, _)| *it == end);
    Spread::of(values.map(|(_, value)| *value))
}
