//! The works that are measured, and how each is done with any contender that can do it.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    contender::{Contender, Failure, Last, Watcher, Writer},
    load::{self, Round},
};

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Commits of so many events by clients that each write a stream of their own and wait for each answer.
    Append { clients: usize, events: usize },
    /// Commits of one event on one stream of requests.
    Stream { in_flight: usize },
    /// A plan with a real history.
    GetPlan { clients: usize },
    /// How long after it was sent a commit of one event is with who watches, at so many a second.
    Watch { a_second: u32 },
    /// So many events from the first on, once.
    Read { events: u64 },
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append {
                clients: 1,
                events: 1,
            } => write!(f, "append 1 event, 1 client"),
            Self::Append { clients, events: 1 } => write!(f, "append 1 event, {clients} clients"),
            Self::Append { clients, events } => {
                write!(f, "append {events} events, {clients} clients")
            }
            Self::Stream { in_flight } => write!(f, "stream, {in_flight} in flight"),
            Self::GetPlan { clients } => write!(f, "GetPlan, {clients} clients"),
            Self::Watch { a_second } => write!(f, "watch, {a_second} a second"),
            Self::Read { .. } => write!(f, "read the log"),
        }
    }
}

impl Work {
    /// Whether a contender can do it.
    pub(crate) fn is_for(self, contender: &dyn Contender) -> bool {
        match self {
            Self::Append { events, .. } => events <= contender.batch_max(),
            Self::Stream { .. } => contender.streams().is_some(),
            Self::GetPlan { .. } => contender.plans().is_some(),
            Self::Watch { .. } => contender.watched().is_some(),
            Self::Read { .. } => contender.log().is_some(),
        }
    }

    /// Whether its answers are events that a contender keeps.
    fn records(self) -> bool {
        match self {
            Self::Append { .. } | Self::Stream { .. } | Self::Watch { .. } => true,
            Self::GetPlan { .. } | Self::Read { .. } => false,
        }
    }
}

/// A work with a contender, over all its rounds: the clients stay connected.
pub(crate) struct Session<'a> {
    work: Work,
    contender: &'a dyn Contender,
    writers: Vec<Box<dyn Writer>>,
    /// How many events were acknowledged.
    pub(crate) acknowledged: u64,
}

impl<'a> Session<'a> {
    pub(crate) async fn begin(work: Work, contender: &'a dyn Contender) -> Result<Self, Failure> {
        let count = match work {
            Work::Append { clients, .. } => clients,
            Work::Watch { .. } => 1,
            Work::Stream { .. } | Work::GetPlan { .. } | Work::Read { .. } => 0,
        };
        let mut writers = Vec::new();
        for number in 0..count {
            writers.push(contender.writer(number).await?);
        }
        Ok(Self {
            work,
            contender,
            writers,
            acknowledged: 0,
        })
    }

    /// Does the work for a while, or once.
    pub(crate) async fn run(&mut self, time: Duration) -> Result<Round, Failure> {
        let round = match self.work {
            Work::Append { events, .. } => self.append(events, time).await?,
            Work::Stream { in_flight } => {
                let work = load::Work::Stream { in_flight };
                let server = self.contender.streams().ok_or("it has no streams")?;
                work.run(server, 0, time)
                    .await
                    .map_err(|it| it.to_string())?
            }
            Work::GetPlan { clients } => {
                let work = load::Work::GetPlan { clients };
                let server = self.contender.plans().ok_or("it has no plans")?;
                work.run(server, 0, time)
                    .await
                    .map_err(|it| it.to_string())?
            }
            Work::Watch { a_second } => {
                let news = self.contender.watched().ok_or("it tells no news")?;
                let mut watcher = news.watcher().await?;
                let writer = self.writers.first_mut().ok_or("nobody writes")?;
                watch(writer.as_mut(), watcher.as_mut(), a_second, time).await?
            }
            Work::Read { events } => {
                let log = self.contender.log().ok_or("it has no log")?;
                let started = Instant::now();
                log.read(events).await?;
                Round {
                    answers: events,
                    took: started.elapsed(),
                    ..Round::default()
                }
            }
        };
        if self.work.records() && self.contender.data().is_some() {
            self.acknowledged += round.answers;
        }
        Ok(round)
    }

    /// What each client had acknowledged last.
    pub(crate) fn last(&self) -> impl Iterator<Item = Last> {
        self.writers
            .iter()
            .map(|it| it.last())
            .filter(|it| !it.stream.is_empty())
    }

    async fn append(&mut self, events: usize, time: Duration) -> Result<Round, Failure> {
        let started = Instant::now();
        let until = started + time;
        let mut clients = JoinSet::new();
        for mut writer in self.writers.drain(..) {
            clients.spawn(async move {
                let latencies = append(writer.as_mut(), events, until).await;
                latencies.map(|latencies| (writer, latencies))
            });
        }
        let mut round = Round::default();
        while let Some(client) = clients.join_next().await {
            let (writer, latencies) = client??;
            self.writers.push(writer);
            round.answers += (latencies.len() * events) as u64;
            round.latencies.extend(latencies);
        }
        round.took = started.elapsed();
        Ok(round)
    }
}

async fn append(
    writer: &mut dyn Writer,
    events: usize,
    until: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let sent = Instant::now();
        writer.append(events).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// The latencies are from when an event was sent to when it came to the watcher.
async fn watch(
    writer: &mut dyn Writer,
    watcher: &mut dyn Watcher,
    a_second: u32,
    time: Duration,
) -> Result<Round, Failure> {
    let started = Instant::now();
    let events = (time.as_secs_f64() * f64::from(a_second)).round();
    let (sending, mut sent) = mpsc::unbounded_channel();
    let write = async {
        let mut pace = interval(Duration::from_secs(1) / a_second);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut written = 0.0;
        while written < events {
            pace.tick().await;
            sending.send(Instant::now())?;
            writer.append(1).await?;
            written += 1.0;
        }
        Ok::<_, Failure>(())
    };
    let receive = async {
        let mut latencies = Vec::new();
        let mut under_way = VecDeque::new();
        while f64::from(u32::try_from(latencies.len())?) < events {
            let came = watcher.next().await?;
            while let Ok(at) = sent.try_recv() {
                under_way.push_back(at);
            }
            for _ in 0..came {
                let at: Instant = under_way.pop_front().ok_or("it came before it was sent")?;
                latencies.push(at.elapsed());
            }
        }
        Ok::<_, Failure>(latencies)
    };
    let ((), latencies) = tokio::try_join!(write, receive)?;
    Ok(Round {
        answers: latencies.len() as u64,
        took: started.elapsed(),
        latencies,
        ..Round::default()
    })
}
