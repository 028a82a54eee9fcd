//! What is asked for: which works, with whom, and how long everything takes.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use crate::{contender::Failure, lineup, plans::Size, work::Work};

/// Who watches at a gentle pace is told this many events a second.
const WATCHED_A_SECOND: u32 = 200;
/// How many clients there are where many are meant.
const MANY: usize = 64;
/// How many watch what nobody writes.
const WATCHERS: usize = 10_000;
/// The least length of a log that is asked for: starts are measured with a tenth of it, and what each start adds, first.
const EVENTS_MIN: u64 = 20_000;

/// Compares Strata with what one would use instead.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Shorter rounds and a shorter log: to see that it runs, not to quote.
    #[arg(long)]
    short: bool,
    /// How many events are read from the log, and kept at a start [default: 1000000, or 50000 with --short]
    #[arg(long)]
    events: Option<u64>,
    /// Write the figures into docs/versus.md, and the picture beside it.
    #[arg(long)]
    pub(crate) write_docs: bool,
    /// Where all of them keep their data: on the disk that is meant.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"))]
    pub(crate) dir: PathBuf,
    /// The daemon.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/stratad"))]
    pub(crate) stratad: PathBuf,
    /// Parts of names: of contenders, of works, or of both.
    words: Vec<String>,
}

/// How long everything takes.
pub(crate) struct Pace {
    pub(crate) warm_up: Duration,
    round: Duration,
    watch: Duration,
    crowded: Duration,
    /// How often each contender is stopped, and how often killed.
    pub(crate) starts: usize,
    events: u64,
}

impl Pace {
    /// How long a round of a work lasts, if it does not last as long as it takes.
    pub(crate) fn time(&self, work: Work) -> Duration {
        match work {
            Work::Watch {
                a_second: Some(_), ..
            } => self.watch,
            Work::Crowded { .. } => self.crowded,
            Work::Append { .. }
            | Work::Stream { .. }
            | Work::GetPlan { .. }
            | Work::Watch { a_second: None, .. }
            | Work::Read { .. }
            | Work::Start { .. } => self.round,
        }
    }

    /// How long a round lasts in which nothing is special.
    pub(crate) fn round(&self) -> Duration {
        self.round
    }
}

impl Arguments {
    pub(crate) fn pace(&self) -> Pace {
        let millis = Duration::from_millis;
        if self.short {
            Pace {
                warm_up: millis(200),
                round: millis(500),
                watch: millis(1_500),
                crowded: millis(500),
                starts: 2,
                events: self.events.unwrap_or(50_000),
            }
        } else {
            Pace {
                warm_up: millis(1_000),
                round: millis(2_000),
                watch: millis(10_000),
                // Within it every watch of Strata is told once where it stands.
                crowded: millis(10_000),
                starts: 5,
                events: self.events.unwrap_or(1_000_000),
            }
        }
    }

    /// Every word must be a part of some name.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.events.is_some_and(|events| events < EVENTS_MIN) {
            return Err(format!("--events takes at least {EVENTS_MIN}").into());
        }
        let works = works(self.pace().events, self.short);
        let mut names: Vec<String> = works.iter().map(Work::to_string).collect();
        names.extend(lineup::OTHERS.map(String::from));
        for word in &self.words {
            if !names.iter().any(|name| is_part(word, name)) {
                return Err(format!("`{word}` is no part of: {}", names.join("; ")).into());
            }
        }
        Ok(())
    }

    /// The works that are chosen.
    pub(crate) fn works(&self) -> Vec<Work> {
        self.chosen(works(self.pace().events, self.short), Work::to_string)
    }

    /// The names of the others that are chosen.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.chosen(lineup::OTHERS.to_vec(), ToString::to_string)
    }

    /// Those whose names have one of the words; all if there is none for them.
    fn chosen<T>(&self, all: Vec<T>, name: impl Fn(&T) -> String) -> Vec<T> {
        let is_named = |it: &T| {
            let name = name(it);
            self.words.iter().any(|word| is_part(word, &name))
        };
        if all.iter().any(is_named) {
            all.into_iter().filter(is_named).collect()
        } else {
            all
        }
    }
}

fn is_part(word: &str, name: &str) -> bool {
    name.to_lowercase().contains(&word.to_lowercase())
}

/// In this order: commits with more than one event come after the log was read, in which each has one.
fn works(events: u64, short: bool) -> Vec<Work> {
    let one = |clients| Work::Append { clients, events: 1 };
    let together = |events| Work::Append { clients: 8, events };
    let plan = |size: Size, cold| Work::GetPlan {
        clients: MANY,
        size,
        plans: if cold { size.cold(short) } else { size.hot() },
        cold,
    };
    let mut works = vec![
        one(1),
        one(8),
        one(MANY),
        one(256),
        Work::Crowded {
            clients: MANY,
            watchers: WATCHERS,
        },
        Work::Stream { in_flight: 64 },
        Work::Stream { in_flight: 1_024 },
    ];
    for size in Size::ALL {
        works.extend([plan(size, false), plan(size, true)]);
    }
    works.extend([
        Work::Watch {
            writers: 1,
            a_second: Some(WATCHED_A_SECOND),
        },
        Work::Watch {
            writers: MANY,
            a_second: None,
        },
        Work::Read { events },
        together(64),
        together(100),
        Work::Start {
            events: events / 10,
        },
        Work::Start { events },
    ]);
    works
}
