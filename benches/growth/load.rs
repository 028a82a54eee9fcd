//! What clients do with the growing log: they write plans over streams, read plans that nobody has
//! read for long, and read the whole log.

use std::{
    collections::VecDeque,
    error::Error,
    time::{Duration, Instant},
};

use strata::proto::{
    BackupRequest, ExecuteRequest, ExecuteStreamRequest, GetPlanRequest, ReadLogRequest,
    execute_stream_response::Outcome, plan_service_client::PlanServiceClient,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::{
    daemon::Daemon,
    story::{Lengths, Story},
};

/// How many clients write.
const CLIENTS: usize = 4;
/// How many plans a client writes in turn.
const OPEN_PLANS: usize = 32;
/// How many requests of a client wait for their answers.
const IN_FLIGHT: usize = 256;
/// Every so many plans one is read after a start, far from each other.
const COLD_PLANS_STEP: usize = 37;

type Failure = Box<dyn Error + Send + Sync>;

/// What was loaded.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// How many plans.
    pub(crate) plans: usize,
    /// How many commits.
    pub(crate) commits: u64,
    /// The bytes of the commits themselves.
    pub(crate) payload_bytes: u64,
    /// How long it took.
    pub(crate) took: Duration,
    /// The number of the plan with the most commits.
    pub(crate) longest: usize,
}

/// A plan under way.
struct Draft {
    number: usize,
    at: usize,
    commits: usize,
}

/// Loads plans until the log has `commits`.
pub(crate) async fn load(
    daemon: &Daemon,
    story: &Story,
    commits: u64,
) -> Result<Loaded, Box<dyn Error>> {
    let mut shares: [VecDeque<Draft>; CLIENTS] = Default::default();
    let mut loaded = outline(&mut shares, story, commits)?;
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for share in shares {
        let (plans, story) = (daemon.plans().await?, story.clone());
        clients.spawn(write(plans, story, share));
    }
    while let Some(client) = clients.join_next().await {
        loaded.payload_bytes += client?.map_err(|failure| failure.to_string())?;
    }
    loaded.took = started.elapsed();
    Ok(loaded)
}

/// Shares plans of drawn lengths out among the clients.
fn outline(
    shares: &mut [VecDeque<Draft>],
    story: &Story,
    commits: u64,
) -> Result<Loaded, Box<dyn Error>> {
    let mut lengths = Lengths::new(story.len());
    let mut loaded = Loaded::default();
    let mut longest = 0;
    while loaded.commits < commits {
        let left = usize::try_from(commits - loaded.commits)?;
        let length = lengths.draw().min(left);
        if length > longest {
            (longest, loaded.longest) = (length, loaded.plans);
        }
        shares[loaded.plans % CLIENTS].push_back(Draft {
            number: loaded.plans,
            at: 0,
            commits: length,
        });
        loaded.plans += 1;
        loaded.commits += length as u64;
    }
    Ok(loaded)
}

/// Writes plans on one stream, and returns the bytes of their commits.
async fn write(
    mut plans: PlanServiceClient<Channel>,
    story: Story,
    mut share: VecDeque<Draft>,
) -> Result<u64, Failure> {
    let (requests, queue) = mpsc::channel(IN_FLIGHT);
    let answers = plans.execute_stream(ReceiverStream::new(queue)).await?;
    let mut answers = answers.into_inner();
    let mut open = VecDeque::new();
    let mut next = move || {
        while open.len() < OPEN_PLANS
            && let Some(draft) = share.pop_front()
        {
            open.push_back(draft);
        }
        next_request(&story, &mut open)
    };
    let (mut waiting, mut bytes) = (0, 0);
    loop {
        while waiting < IN_FLIGHT
            && let Some(request) = next()
        {
            let execute = Some(request);
            requests.send(ExecuteStreamRequest { execute }).await?;
            waiting += 1;
        }
        if waiting == 0 {
            return Ok(bytes);
        }
        let answer = answers.message().await?.ok_or("the stream ended")?;
        match answer.outcome.ok_or("an answer says nothing")? {
            Outcome::Response(response) => {
                bytes += response.entry.ok_or("no entry")?.commit.len() as u64;
            }
            Outcome::Error(refused) => return Err(refused.message.into()),
        }
        waiting -= 1;
    }
}

/// The next request of the plans that are written in turn.
fn next_request(story: &Story, open: &mut VecDeque<Draft>) -> Option<ExecuteRequest> {
    let mut draft = open.pop_front()?;
    let request = story.request(&plan_id(draft.number), draft.at);
    draft.at += 1;
    if draft.at < draft.commits {
        open.push_back(draft);
    }
    Some(request)
}

/// Writes one commit more.
pub(crate) async fn append(daemon: &Daemon, story: &Story) -> Result<(), Box<dyn Error>> {
    let mut plans = daemon.plans().await?;
    plans.execute(story.request("one-more", 0)).await?;
    Ok(())
}

/// Reads plans that are not in memory, and returns how long each took.
pub(crate) async fn cold_plans(
    daemon: &Daemon,
    loaded: &Loaded,
    count: usize,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut plans = daemon.plans().await?;
    let mut took = Vec::new();
    for number in (0..loaded.plans).step_by(COLD_PLANS_STEP).take(count) {
        if number != loaded.longest {
            took.push(get_plan(&mut plans, number).await?);
        }
    }
    Ok(took)
}

/// Reads the plan with the most commits, and returns how long it took.
pub(crate) async fn longest_plan(
    daemon: &Daemon,
    loaded: &Loaded,
) -> Result<Duration, Box<dyn Error>> {
    get_plan(&mut daemon.plans().await?, loaded.longest).await
}

async fn get_plan(
    plans: &mut PlanServiceClient<Channel>,
    number: usize,
) -> Result<Duration, Box<dyn Error>> {
    let asked = Instant::now();
    let request = GetPlanRequest {
        plan_id: plan_id(number),
        ..GetPlanRequest::default()
    };
    plans.get_plan(request).await?;
    Ok(asked.elapsed())
}

/// Reads the whole log: how many entries and bytes it has, and how long it took.
pub(crate) async fn read_log(daemon: &Daemon) -> Result<(u64, u64, Duration), Box<dyn Error>> {
    let started = Instant::now();
    let log = daemon.history().read_log(ReadLogRequest::default()).await?;
    let mut log = log.into_inner();
    let (mut entries, mut bytes) = (0, 0);
    while let Some(message) = log.message().await? {
        entries += message.entries.len() as u64;
        bytes += message
            .entries
            .iter()
            .map(|entry| entry.commit.len() as u64)
            .sum::<u64>();
    }
    Ok((entries, bytes, started.elapsed()))
}

/// Takes a backup, and keeps nothing of it.
pub(crate) async fn back_up(daemon: &Daemon) -> Result<(), Box<dyn Error>> {
    let backup = daemon.admin().backup(BackupRequest::default()).await?;
    let mut backup = backup.into_inner();
    while backup.message().await?.is_some() {}
    Ok(())
}

fn plan_id(number: usize) -> String {
    format!("plan-{number}")
}
