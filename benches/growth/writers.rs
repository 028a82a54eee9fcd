//! Clients that each write a commit of one event, wait for its answer, and write the next: what that costs them and
//! the daemon, by how many they are, among how many plans, and beside what else.

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use strata::proto::{
    ExecuteRequest, ExecuteStreamRequest, execute_stream_response::Outcome,
    plan_service_client::PlanServiceClient,
};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{daemon::Daemon, usage::cpu_time, writing};

/// Over how many connections they come.
const CONNECTIONS: usize = 8;
/// A client with plans of its own begins a new one after so many commits.
const PLAN_COMMITS: u64 = 500;
/// How far apart the plans are that a client writes to one after another.
const STRIDE: u64 = 7_919;

/// Whose number no request and no plan had before.
static NEXT: AtomicU64 = AtomicU64::new(0);

type Failure = Box<dyn Error + Send + Sync>;

/// What they write to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plans {
    /// Each to a plan of its own.
    Own,
    /// All to all of so many, which [`begin`] has begun.
    Among(u64),
}

/// What was written.
pub(crate) struct Written {
    /// How long each answer took.
    pub(crate) latencies: Vec<Duration>,
    /// For how long they wrote.
    pub(crate) took: Duration,
    /// What the daemon used of the processors meanwhile.
    pub(crate) cpu: Duration,
}

/// Lets so many clients write for a while.
pub(crate) async fn write(
    daemon: &Daemon,
    clients: usize,
    to: Plans,
    time: Duration,
) -> Result<Written, Box<dyn Error>> {
    let mut connections = Vec::new();
    for _ in 0..clients.min(CONNECTIONS) {
        connections.push(daemon.plans().await?);
    }
    let pid = daemon.process().pid();
    let (began, cpu) = (Instant::now(), cpu_time(pid)?);
    let mut writing = JoinSet::new();
    for plans in connections.iter().cycle().take(clients) {
        writing.spawn(write_until(plans.clone(), to, began + time));
    }
    let mut latencies = Vec::new();
    while let Some(ended) = writing.join_next().await {
        latencies.extend(ended?.map_err(|failure| failure.to_string())?);
    }
    Ok(Written {
        latencies,
        took: began.elapsed(),
        cpu: cpu_time(pid)?.saturating_sub(cpu),
    })
}

async fn write_until(
    mut plans: PlanServiceClient<Channel>,
    to: Plans,
    until: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    let mut own = (String::new(), PLAN_COMMITS);
    loop {
        let asked = Instant::now();
        if asked >= until {
            return Ok(latencies);
        }
        let request = match to {
            Plans::Own => {
                if own.1 == PLAN_COMMITS {
                    own = (format!("own-{}", NEXT.fetch_add(1, Ordering::Relaxed)), 0);
                }
                own.1 += 1;
                writing::request(&own.0, own.1 - 1)
            }
            Plans::Among(count) => note(count),
        };
        plans.execute(request).await?;
        latencies.push(asked.elapsed());
    }
}

/// A commit to the next of so many plans, whatever their revision.
fn note(plans: u64) -> ExecuteRequest {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ExecuteRequest {
        request_id: format!("note-{number}"),
        expected_revision: None,
        ..writing::request(&among(plans, number * STRIDE % plans), 1)
    }
}

/// Begins so many plans.
pub(crate) async fn begin(daemon: &Daemon, plans: u64) -> Result<(), Box<dyn Error>> {
    let requests = (0..plans).map(move |number| ExecuteStreamRequest {
        execute: Some(writing::request(&among(plans, number), 0)),
    });
    let mut client = daemon.plans().await?;
    let answers = client.execute_stream(tokio_stream::iter(requests)).await?;
    let mut answers = answers.into_inner();
    while let Some(answer) = answers.message().await? {
        if let Some(Outcome::Error(refused)) = answer.outcome {
            return Err(refused.message.into());
        }
    }
    Ok(())
}

fn among(plans: u64, number: u64) -> String {
    format!("among-{plans}-{number}")
}
