//! A work that is done with a contender, over all its rounds: its clients stay connected, and what they had
//! acknowledged is remembered.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    contender::{Contender, Failure, Last, Writer},
    delays,
    idle::Idle,
    load::{self, Round},
    plans,
    work::Work,
};

/// How long those who came to watch, and those who went, are left alone.
const SETTLING: Duration = Duration::from_millis(500);

pub(crate) struct Session<'a> {
    work: Work,
    contender: &'a dyn Contender,
    writers: Vec<Box<dyn Writer>>,
    /// Those who watch what nobody writes, while they do.
    idle: Idle,
    /// How many plans were asked for.
    asked: Arc<AtomicU64>,
    /// How many events were acknowledged.
    pub(crate) acknowledged: u64,
}

impl<'a> Session<'a> {
    pub(crate) async fn begin(work: Work, contender: &'a dyn Contender) -> Result<Self, Failure> {
        let count = match work {
            Work::Append { clients, .. } | Work::Crowded { clients, .. } => clients,
            Work::Watch { writers, .. } => writers,
            Work::Stream { .. } | Work::GetPlan { .. } | Work::Read { .. } | Work::Start { .. } => {
                0
            }
        };
        let mut writers = Vec::new();
        for number in 0..count {
            writers.push(contender.writer(number).await?);
        }
        Ok(Self {
            work,
            contender,
            writers,
            idle: Idle::default(),
            asked: Arc::default(),
            acknowledged: 0,
        })
    }

    /// Does the work for a while, or once.
    pub(crate) async fn run(&mut self, time: Duration) -> Result<Round, Failure> {
        let round = match self.work {
            Work::Append { events, .. } => self.append(events, time).await?,
            Work::Crowded { .. } => {
                let round = self.append(1, time).await?;
                self.idle.check()?;
                round
            }
            Work::Stream { in_flight } => {
                let work = load::Work::Stream { in_flight };
                let server = self.contender.streams().ok_or("it has no streams")?;
                work.run(server, 0, time)
                    .await
                    .map_err(|it| it.to_string())?
            }
            Work::GetPlan {
                clients,
                size,
                plans,
                ..
            } => {
                let server = self.contender.plans().ok_or("it has no plans")?;
                plans::ask(server, clients, size, plans, &self.asked, time).await?
            }
            Work::Watch { a_second, .. } => {
                let news = self.contender.watched().ok_or("it tells no news")?;
                let watcher = news.watcher().await?;
                delays::watch(&mut self.writers, watcher, a_second, time).await?
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
            Work::Start { .. } => return Err("it is not done while it runs".into()),
        };
        if self.work.records() && self.contender.data().is_some() {
            self.acknowledged += round.answers;
        }
        Ok(round)
    }

    /// Lets those come who watch what nobody writes, and says how many came; from then on until they go they are there.
    pub(crate) async fn gather(&mut self, watchers: usize) -> Result<usize, Failure> {
        let crowd = self.contender.crowd().ok_or("nobody can watch it")?;
        self.idle = crowd.gather(watchers).await?;
        tokio::time::sleep(SETTLING).await;
        self.idle.check()?;
        Ok(self.idle.len())
    }

    /// Lets them go.
    pub(crate) async fn scatter(&mut self) {
        self.idle = Idle::default();
        tokio::time::sleep(SETTLING).await;
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
