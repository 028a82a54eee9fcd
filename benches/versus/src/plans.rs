//! Plans of three sizes that are asked for: written with as much in flight as the daemon takes, and asked for by
//! clients that wait for each answer.

use std::{
    fmt, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prost::Message as _;
use strata::proto::{
    Command, ExecuteRequest, ExecuteStreamRequest, GetPlanRequest, RecordEvidence, StateAssumption,
    Verdict, command::Kind, execute_stream_response::Outcome,
    plan_service_client::PlanServiceClient,
};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{contender::Failure, load::Round, prepare, server::Server, writing};

/// Over how many streams plans are written.
const STREAMS: u64 = 4;
/// Pieces of evidence in the largest plan: nearly as many as one may have.
const EVIDENCE: usize = 1_000;
/// As many of them as one commit takes.
const EVIDENCE_A_COMMIT: usize = 20;
/// How long their texts are, so that all of them are as many bytes as a plan may be shown with, but a few.
const SUMMARY_BYTES: usize = 2_000;
const URI_BYTES: usize = 940;

/// How large a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// It was just created.
    Small,
    /// It has a real history of forty commits.
    Typical,
    /// It is as large as a plan may be.
    Largest,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "small",
            Self::Typical => "typical",
            Self::Largest => "largest",
        })
    }
}

impl Size {
    pub(crate) const ALL: [Self; 3] = [Self::Small, Self::Typical, Self::Largest];

    /// How many are asked for again and again: their answers together are fewer bytes than the daemon keeps.
    pub(crate) fn hot(self) -> u64 {
        match self {
            Self::Small | Self::Typical => 64,
            Self::Largest => 4,
        }
    }

    /// How many are asked for in turn, so that each has been forgotten when its turn comes: their answers together are
    /// several times as many bytes as the daemon keeps of answers, which has a limit of its own. Fewer where time is
    /// short: some of their answers are kept then, but not the plans.
    pub(crate) fn cold(self, short: bool) -> u64 {
        match (self, short) {
            (Self::Small, false) => 100_000,
            (Self::Small, true) => 10_000,
            (Self::Typical, false) => 8_192,
            (Self::Typical, true) => 1_024,
            (Self::Largest, false) => 40,
            (Self::Largest, true) => 10,
        }
    }

    /// What made it.
    fn history(self) -> Result<Vec<ExecuteRequest>, Failure> {
        match self {
            Self::Small => Ok(vec![writing::request("", 0)]),
            Self::Typical => prepare::history().map_err(|it| it.to_string().into()),
            Self::Largest => Ok(largest()),
        }
    }

    fn plan_id(self, number: u64) -> String {
        format!("{self}-{number}")
    }
}

/// Evidence about one assumption, told at length.
fn largest() -> Vec<ExecuteRequest> {
    let commit = |number: usize, kinds: Vec<Kind>| ExecuteRequest {
        request_id: format!("largest-{number}"),
        commands: kinds
            .into_iter()
            .map(|kind| Command { kind: Some(kind) })
            .collect(),
        ..ExecuteRequest::default()
    };
    let assumption = StateAssumption {
        assumption_id: "assumption".into(),
        statement: "Those who are asked tell what they know".into(),
        ..StateAssumption::default()
    };
    let evidence = |number: usize| RecordEvidence {
        evidence_id: format!("evidence-{number}"),
        assumption_id: "assumption".into(),
        verdict: Verdict::Supports.into(),
        summary: "x".repeat(SUMMARY_BYTES),
        uri: "x".repeat(URI_BYTES),
        ..RecordEvidence::default()
    };
    let mut history = vec![
        writing::request("", 0),
        commit(0, vec![Kind::StateAssumption(assumption)]),
    ];
    for first in (0..EVIDENCE).step_by(EVIDENCE_A_COMMIT) {
        let numbers = first..first + EVIDENCE_A_COMMIT;
        let kinds = numbers.map(|it| Kind::RecordEvidence(evidence(it)));
        history.push(commit(1 + first, kinds.collect()));
    }
    history
}

/// Writes so many plans of a size.
pub(crate) async fn record(server: &Server, size: Size, count: u64) -> Result<(), Failure> {
    let history = Arc::new(size.history()?);
    let mut streams = JoinSet::new();
    for share in 0..STREAMS {
        let history = Arc::clone(&history);
        let commits = history.len() as u64;
        let numbers = (share..count).step_by(usize::try_from(STREAMS)?);
        let expected = numbers.clone().count() as u64 * commits;
        let requests = numbers.flat_map(move |plan| {
            let history = Arc::clone(&history);
            (0..history.len()).map(move |number| ExecuteRequest {
                plan_id: size.plan_id(plan),
                ..history[number].clone()
            })
        });
        let plans = server.plans(usize::try_from(share)?);
        streams.spawn(async move {
            let recorded = execute_all(plans, requests).await?;
            if recorded == expected {
                Ok(())
            } else {
                Err(Failure::from("some commits were not answered"))
            }
        });
    }
    while let Some(stream) = streams.join_next().await {
        stream??;
    }
    Ok(())
}

/// Sends all requests on one stream and waits for all answers; says how many.
pub(crate) async fn execute_all(
    mut plans: PlanServiceClient<Channel>,
    requests: impl Iterator<Item = ExecuteRequest> + Send + 'static,
) -> Result<u64, Failure> {
    let requests = requests.map(|request| ExecuteStreamRequest {
        execute: Some(request),
    });
    let answers = plans.execute_stream(tokio_stream::iter(requests)).await?;
    let mut answers = answers.into_inner();
    let mut answered = 0;
    while let Some(answer) = answers.message().await? {
        match answer.outcome.ok_or("an answer says nothing")? {
            Outcome::Response(_) => answered += 1,
            Outcome::Error(refused) => return Err(refused.message.into()),
        }
    }
    Ok(answered)
}

/// Keeps the answer of each size in `dir`, for the bare server to give.
pub(crate) async fn keep_answers(server: &Server, dir: &Path) -> Result<(), Failure> {
    for size in Size::ALL {
        let shown = server.plans(0).get_plan(question(size, 0)).await?;
        let answer = shown.into_inner().encode_to_vec();
        fs::write(dir.join(format!("{size}.plan")), answer)?;
    }
    Ok(())
}

fn question(size: Size, number: u64) -> GetPlanRequest {
    GetPlanRequest {
        plan_id: size.plan_id(number),
        ..GetPlanRequest::default()
    }
}

/// Clients ask for the first so many plans of a size, one after the other, for a while. They go on where `asked` says that
/// it ended before, so that no plan is asked for sooner than its turn comes.
pub(crate) async fn ask(
    server: &Server,
    clients: usize,
    size: Size,
    count: u64,
    asked: &Arc<AtomicU64>,
    time: Duration,
) -> Result<Round, Failure> {
    let events: usize = size.history()?.iter().map(|it| it.commands.len()).sum();
    let started = Instant::now();
    let mut asking = JoinSet::new();
    for number in 0..clients {
        let (mut plans, next) = (server.plans(number), asked.clone());
        asking.spawn(async move {
            let mut latencies = Vec::new();
            while started.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed) % count;
                let sent = Instant::now();
                let shown = plans.get_plan(question(size, number)).await?;
                latencies.push(sent.elapsed());
                let plan = shown.into_inner().plan.ok_or("there is no plan")?;
                if plan.revision != events as u64 {
                    return Err(Failure::from(format!("{} is not whole", plan.plan_id)));
                }
            }
            Ok(latencies)
        });
    }
    let mut round = Round::default();
    while let Some(client) = asking.join_next().await {
        round.latencies.extend(client??);
    }
    round.answers = round.latencies.len() as u64;
    round.took = started.elapsed();
    Ok(round)
}
