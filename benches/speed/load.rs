//! The works that are measured, as clients do them: each waits for an answer before it asks again,
//! apart from the streams, which keep a number of requests in flight.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use strata::proto::{
    ExecuteRequest, ExecuteStreamRequest, GetPlanRequest, ReadLogRequest,
    execute_stream_response::Outcome, plan_service_client::PlanServiceClient,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::{prepare::TYPICAL_PLANS, server::Server, writing};

/// A client begins a new plan after so many commits; plans of the world are not longer.
const PLAN_COMMITS: u64 = 500;

type Failure = Box<dyn Error + Send + Sync>;

/// Something that is measured.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// One event a request, by clients that each write a plan of their own.
    Execute { clients: usize },
    /// The same on one stream.
    Stream { in_flight: usize },
    /// A plan with a real history.
    GetPlan { clients: usize },
    /// The whole log once.
    ReadLog,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execute { clients: 1 } => write!(f, "Execute, 1 client"),
            Self::Execute { clients } => write!(f, "Execute, {clients} clients"),
            Self::Stream { in_flight } => write!(f, "ExecuteStream, {in_flight} in flight"),
            Self::GetPlan { clients } => write!(f, "GetPlan, {clients} clients"),
            Self::ReadLog => write!(f, "ReadLog, entries"),
        }
    }
}

/// What one round came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// How many answers there were; of the log, how many entries.
    pub(crate) answers: u64,
    /// How many bytes of commits the log's entries had.
    pub(crate) bytes: u64,
    /// How long it took.
    pub(crate) took: Duration,
    /// How long each answer took.
    pub(crate) latencies: Vec<Duration>,
    /// What the server's process used of the processors meanwhile.
    pub(crate) server_cpu: Duration,
}

impl Round {
    fn answer(&mut self, latency: Duration) {
        self.answers += 1;
        self.latencies.push(latency);
    }

    fn join(&mut self, other: Self) {
        self.answers += other.answers;
        self.latencies.extend(other.latencies);
    }
}

impl Work {
    /// Whether its answers are commits.
    pub(crate) fn records(&self) -> bool {
        match self {
            Self::Execute { .. } | Self::Stream { .. } => true,
            Self::GetPlan { .. } | Self::ReadLog => false,
        }
    }

    /// Does the work for a while. `head` is how long the daemon's log is.
    pub(crate) async fn run(
        &self,
        server: &Server,
        head: u64,
        time: Duration,
    ) -> Result<Round, Box<dyn Error>> {
        let started = Instant::now();
        let until = started + time;
        let mut clients = JoinSet::new();
        match *self {
            Self::Execute { clients: count } => {
                for number in 0..count {
                    clients.spawn(execute(server.plans(number), until));
                }
            }
            Self::Stream { in_flight } => {
                clients.spawn(stream(server.plans(0), in_flight, until));
            }
            Self::GetPlan { clients: count } => {
                for number in 0..count {
                    clients.spawn(get_plan(server.plans(number), number, until));
                }
            }
            Self::ReadLog => return read_log(server, head).await,
        }
        let mut round = Round::default();
        while let Some(client) = clients.join_next().await {
            round.join(client?.map_err(|failure| failure.to_string())?);
        }
        round.took = started.elapsed();
        Ok(round)
    }
}

/// Writes plans: each request names the revision that the one before it led to.
#[derive(Debug, Default)]
pub(crate) struct Author {
    plan_id: String,
    revision: u64,
}

impl Author {
    /// The next request.
    pub(crate) fn write(&mut self) -> ExecuteRequest {
        static PLANS: AtomicU64 = AtomicU64::new(0);
        if self.plan_id.is_empty() || self.revision == PLAN_COMMITS {
            self.plan_id = format!("plan-{}", PLANS.fetch_add(1, Ordering::Relaxed));
            self.revision = 0;
        }
        let request = writing::request(&self.plan_id, self.revision);
        self.revision += 1;
        request
    }
}

/// Asks for a plan with the real history.
pub(crate) fn typical_plan(number: usize) -> GetPlanRequest {
    GetPlanRequest {
        plan_id: format!("typical-{}", number % TYPICAL_PLANS),
        ..GetPlanRequest::default()
    }
}

async fn execute(mut plans: PlanServiceClient<Channel>, until: Instant) -> Result<Round, Failure> {
    let mut author = Author::default();
    let mut round = Round::default();
    while Instant::now() < until {
        let request = author.write();
        let sent = Instant::now();
        plans.execute(request).await?;
        round.answer(sent.elapsed());
    }
    Ok(round)
}

async fn stream(
    mut plans: PlanServiceClient<Channel>,
    in_flight: usize,
    until: Instant,
) -> Result<Round, Failure> {
    let (requests, queue) = mpsc::channel(in_flight);
    let mut requests = Some(requests);
    let mut answers = plans
        .execute_stream(ReceiverStream::new(queue))
        .await?
        .into_inner();
    let mut author = Author::default();
    let mut sent = VecDeque::with_capacity(in_flight);
    let mut round = Round::default();
    let mut room = in_flight;
    loop {
        if Instant::now() >= until {
            // The daemon answers what it has taken and then ends the stream.
            requests = None;
        }
        if let Some(requests) = &requests {
            for _ in 0..std::mem::take(&mut room) {
                let execute = Some(author.write());
                requests.send(ExecuteStreamRequest { execute }).await?;
                sent.push_back(Instant::now());
            }
        }
        let Some(answer) = answers.message().await? else {
            break;
        };
        match answer.outcome {
            Some(Outcome::Response(_)) => {}
            Some(Outcome::Error(error)) => return Err(error.message.into()),
            None => return Err("an answer says nothing".into()),
        }
        let sent = sent.pop_front().ok_or("an answer to no request")?;
        round.answer(sent.elapsed());
        room += 1;
    }
    if sent.is_empty() {
        Ok(round)
    } else {
        Err("some requests were not answered".into())
    }
}

async fn get_plan(
    mut plans: PlanServiceClient<Channel>,
    number: usize,
    until: Instant,
) -> Result<Round, Failure> {
    let mut round = Round::default();
    while Instant::now() < until {
        let sent = Instant::now();
        plans.get_plan(typical_plan(number)).await?;
        round.answer(sent.elapsed());
    }
    Ok(round)
}

async fn read_log(server: &Server, head: u64) -> Result<Round, Box<dyn Error>> {
    let started = Instant::now();
    let request = ReadLogRequest {
        to_position: head,
        ..ReadLogRequest::default()
    };
    let mut log = server.history().read_log(request).await?.into_inner();
    let mut round = Round::default();
    let mut asked = started;
    while let Some(message) = log.message().await? {
        round.latencies.push(asked.elapsed());
        round.answers += message.entries.len() as u64;
        round.bytes += message
            .entries
            .iter()
            .map(|it| it.commit.len() as u64)
            .sum::<u64>();
        asked = Instant::now();
    }
    round.took = started.elapsed();
    if round.answers < head {
        return Err(format!("{} of {head} entries were read", round.answers).into());
    }
    Ok(round)
}
