//! What must be there before anything is measured: plans with a real history to be shown, and one
//! answer of each kind for the bare server to give.

use std::{error::Error, fs, path::Path};

use prost::Message as _;
use strata::{
    json,
    proto::{ExecuteRequest, ReadLogRequest},
};
use tokio::task::JoinSet;
use tonic::Status;

use crate::{
    echo,
    load::{Author, typical_plan},
    server::Server,
};

/// How many plans have the real history.
pub(crate) const TYPICAL_PLANS: usize = 64;
/// How many notes are recorded besides, so that the first message of the log is a full one. Fewer
/// than go into one plan.
const NOTES: usize = 400;

const HISTORY: &str = include_str!("../../tests/fixtures/smallpox-india.jsonl");

/// The real history, of a plan that is still to be named.
pub(crate) fn history() -> Result<Vec<ExecuteRequest>, Box<dyn Error>> {
    Ok(HISTORY
        .lines()
        .map(json::from_json)
        .collect::<Result<_, _>>()?)
}

/// Records plans with the real history and returns how many commits that took.
pub(crate) async fn record_plans(server: &Server) -> Result<u64, Box<dyn Error>> {
    let history = history()?;
    let mut clients = JoinSet::new();
    for number in 0..TYPICAL_PLANS {
        let mut plans = server.plans(number);
        let history = history.clone();
        clients.spawn(async move {
            for mut request in history {
                request.plan_id = typical_plan(number).plan_id;
                plans.execute(request).await?;
            }
            Ok::<_, Status>(())
        });
    }
    while let Some(recorded) = clients.join_next().await {
        recorded??;
    }
    Ok((TYPICAL_PLANS * history.len()) as u64)
}

/// Keeps an answer of each kind in `dir`, where the bare server looks for them, and returns how many
/// commits that took. The log's is of the commits that Execute is measured with.
pub(crate) async fn keep_answers(server: &Server, dir: &Path) -> Result<u64, Box<dyn Error>> {
    let from = server.head().await? + 1;
    let mut author = Author::default();
    let mut plans = server.plans(0);
    for _ in 0..NOTES {
        let recorded = plans.execute(author.write()).await?.into_inner();
        fs::write(dir.join(echo::EXECUTE), recorded.encode_to_vec())?;
    }
    let shown = plans.get_plan(typical_plan(0)).await?.into_inner();
    fs::write(dir.join(echo::PLAN), shown.encode_to_vec())?;
    let log = ReadLogRequest {
        start: Some(strata::proto::read_log_request::Start::FromPosition(from)),
        ..ReadLogRequest::default()
    };
    let mut log = server.history().read_log(log).await?.into_inner();
    let mut read = log.message().await?.ok_or("the log is empty")?;
    // A full message of the daemon has more entries than were recorded for it: up to the one that fills it.
    let entries = std::mem::take(&mut read.entries);
    let mut bytes = 0;
    for entry in entries.iter().cycle() {
        if bytes >= strata::rpc::BATCH_BYTES {
            break;
        }
        bytes += entry.encoded_len();
        read.entries.push(entry.clone());
    }
    fs::write(dir.join(echo::LOG), read.encode_to_vec())?;
    Ok(NOTES as u64)
}
