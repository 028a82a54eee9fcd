//! What clients who write at a gentle pace feel while the daemon does something large: a few of them, each of which
//! waits for its answers. A request that was due before the last answer came is late, and counts from when it was due,
//! so that a pause counts for all that it keeps waiting.

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use strata::proto::plan_service_client::PlanServiceClient;
use tokio::{
    task::JoinSet,
    time::{Instant as Due, interval_at},
};
use tonic::transport::Channel;

use crate::{cost, daemon::Daemon, report::Column, writing};

/// How many clients there are.
const CLIENTS: u32 = 8;
/// How many commits a second they write together.
const A_SECOND: u32 = 500;
/// For how long.
const TIME: Duration = Duration::from_secs(10);

/// Whose number no plan had before.
static NEXT: AtomicU64 = AtomicU64::new(0);

type Failure = Box<dyn Error + Send + Sync>;

/// Writes one commit: how long it took since a start until it was answered.
pub(crate) async fn first(
    daemon: &Daemon,
    started: Instant,
    name: &str,
    column: &mut Column,
) -> Result<(), Box<dyn Error>> {
    let mut plans = daemon.plans().await?;
    plans.execute(writing::request(&plan_id(), 0)).await?;
    column.duration(name, started.elapsed());
    Ok(())
}

/// What they feel right after a start, while the index for searches is made.
pub(crate) async fn after_start(
    daemon: &Daemon,
    column: &mut Column,
) -> Result<(), Box<dyn Error>> {
    let mut latencies = write(daemon).await?;
    column.latencies("right after that: p50, p99", &mut latencies);
    Ok(())
}

/// What they feel alone, while the log is read, and while it is backed up.
pub(crate) async fn beside(daemon: &Daemon, column: &mut Column) -> Result<(), Box<dyn Error>> {
    cost::latencies_beside(daemon, "", async || write(daemon).await, column).await
}

fn plan_id() -> String {
    format!("gentle-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Lets them write, each on a connection of its own, and returns how long each answer took.
async fn write(daemon: &Daemon) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut clients = JoinSet::new();
    let began = Due::now();
    for number in 0..CLIENTS {
        // One after the other, not all at once.
        let first = began + Duration::from_secs(1) * number / A_SECOND;
        clients.spawn(write_from(first, daemon.plans().await?));
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client?.map_err(|failure| failure.to_string())?);
    }
    Ok(latencies)
}

async fn write_from(
    first: Due,
    mut plans: PlanServiceClient<Channel>,
) -> Result<Vec<Duration>, Failure> {
    let plan_id = plan_id();
    let mut pace = interval_at(first, Duration::from_secs(1) * CLIENTS / A_SECOND);
    let mut latencies = Vec::new();
    let mut answered = first;
    for revision in 0.. {
        let due = pace.tick().await;
        if due >= first + TIME {
            break;
        }
        // Who was on time was woken some time after that by the clock, which is not the daemon's to answer for.
        let from = if answered > due { due } else { Due::now() };
        plans.execute(writing::request(&plan_id, revision)).await?;
        latencies.push(from.elapsed());
        answered = Due::now();
    }
    Ok(latencies)
}
