//! What clients ask of a daemon whose disk is recorded: requests whose ids are found in the bytes
//! of a trace, in bursts, and what came back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use strata::proto::{
    Command, ExecuteRequest, ExecuteResponse, plan_service_client::PlanServiceClient,
};
use tokio::{sync::watch, task::JoinSet};
use tonic::transport::Channel;

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request},
    reading::reason,
};

/// Every id starts so, and nothing else does that is sent or stored.
const ID_PREFIX: &str = "power-";
const ID_BYTES: usize = ID_PREFIX.len() + 6;

/// Of the longest note a plan takes, in bytes, and how many make a commit almost as long as it may
/// be.
const LARGE_NOTE_BYTES: usize = 8_000;
const LARGE_NOTES: usize = 8;

/// What was sent and what came back. A clone begins with the same and goes its own way.
#[derive(Default)]
pub(super) struct Ledger {
    sent: Mutex<HashMap<String, ExecuteRequest>>,
    answered: Mutex<HashMap<String, ExecuteResponse>>,
    answers: watch::Sender<usize>,
}

/// How much is asked for at once.
#[derive(Clone, Copy)]
pub(super) struct Burst {
    pub(super) clients: usize,
    pub(super) requests_a_client: usize,
    pub(super) large: bool,
}

impl Ledger {
    /// The request of this id.
    pub(super) fn request(&self, id: &str) -> Option<ExecuteRequest> {
        lock(&self.sent).get(id).cloned()
    }

    /// What the request of this id was answered, if a client heard it.
    pub(super) fn answer(&self, id: &str) -> Option<ExecuteResponse> {
        lock(&self.answered).get(id).cloned()
    }

    /// The ids of all that was answered.
    pub(super) fn answered(&self) -> Vec<String> {
        lock(&self.answered).keys().cloned().collect()
    }

    /// The same, without the answers to other ids than these.
    pub(super) fn with_answers_to(&self, ids: &[String]) -> Self {
        let answer = |id: &String| Some((id.clone(), self.answer(id)?));
        Self {
            sent: Mutex::new(lock(&self.sent).clone()),
            answered: Mutex::new(ids.iter().filter_map(answer).collect()),
            answers: watch::Sender::default(),
        }
    }

    fn knows_plan(&self, plan_id: &str) -> bool {
        let requests = self.answered().into_iter().map(|id| self.request(&id));
        requests.flatten().any(|request| request.plan_id == plan_id)
    }

    /// A new request that begins a plan, noted as sent.
    fn creating(&self, plan_id: &str) -> ExecuteRequest {
        self.sending(|id, _| request(plan_id, id, create_plan()))
    }

    /// A new request for some notes, noted as sent.
    fn noting(&self, plan_id: &str, large: bool) -> ExecuteRequest {
        self.sending(|id, number| ExecuteRequest {
            plan_id: plan_id.to_owned(),
            request_id: id.to_owned(),
            commands: notes(number, large),
            ..ExecuteRequest::default()
        })
    }

    fn sending(&self, new: impl FnOnce(&str, usize) -> ExecuteRequest) -> ExecuteRequest {
        let mut sent = lock(&self.sent);
        let number = sent.len();
        let id = format!("{ID_PREFIX}{number:06}");
        let request = new(&id, number);
        sent.insert(id, request.clone());
        request
    }

    fn answer_with(&self, request: ExecuteRequest, response: ExecuteResponse) {
        lock(&self.answered).insert(request.request_id, response);
        self.answers.send_modify(|answers| *answers += 1);
    }
}

/// Asks for what a burst says, each client for one thing after another, and waits for all. Clients
/// stop when the daemon is gone.
pub(super) async fn burst(daemon: &Daemon, ledger: &Arc<Ledger>, burst: Burst) {
    for client in 0..burst.clients {
        let plan_id = plan_of(client);
        if !ledger.knows_plan(&plan_id) {
            ask(&mut daemon.plans(), ledger, ledger.creating(&plan_id)).await;
        }
    }
    let mut clients = JoinSet::new();
    for client in 0..burst.clients {
        let mut plans = daemon.plans();
        let ledger = ledger.clone();
        clients.spawn(async move {
            for number in 0..burst.requests_a_client {
                // Every other goes to a plan that all share.
                let plan_id = plan_of(client * (number % 2));
                let request = ledger.noting(&plan_id, burst.large);
                if !ask(&mut plans, &ledger, request).await {
                    return;
                }
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client that found nothing wrong");
    }
}

/// Says whether the daemon is still there.
async fn ask(
    plans: &mut PlanServiceClient<Channel>,
    ledger: &Ledger,
    request: ExecuteRequest,
) -> bool {
    match plans.execute(request.clone()).await {
        Ok(response) => {
            ledger.answer_with(request, response.into_inner());
            true
        }
        Err(status) => {
            assert_eq!(reason(&status), None, "refused: {status:?}");
            false
        }
    }
}

fn plan_of(client: usize) -> String {
    format!("plan-{client}")
}

/// Asks for what a burst says and kills the daemon after so many answers to it.
pub(super) async fn burst_until_killed(
    daemon: Daemon,
    ledger: &Arc<Ledger>,
    wanted: Burst,
    answers: usize,
) {
    let mut answered = ledger.answers.subscribe();
    let enough = *answered.borrow() + answers;
    let kill = async {
        let answered = answered.wait_for(|answers| *answers >= enough);
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        drop(answered.expect("answered in time").expect("a ledger"));
        daemon.signal("KILL");
    };
    tokio::join!(burst(&daemon, ledger, wanted), kill);
    daemon.kill();
}

/// The ids in bytes that were written or sent, each once.
pub(super) fn ids_in(bytes: &[u8]) -> Vec<String> {
    let mut ids = Vec::new();
    let prefix = ID_PREFIX.as_bytes();
    for at in 0..bytes.len().saturating_sub(ID_BYTES - 1) {
        let id = &bytes[at..at + ID_BYTES];
        if let Some(digits) = id.strip_prefix(prefix)
            && digits.iter().all(u8::is_ascii_digit)
        {
            let id = String::from_utf8_lossy(id).into_owned();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

/// Notes that follow from the number of their request.
fn notes(number: usize, large: bool) -> Vec<Command> {
    let (count, bytes) = if large {
        (LARGE_NOTES, LARGE_NOTE_BYTES)
    } else {
        (number % 3 + 1, number % 7 * 100)
    };
    let text = |part: usize| format!("{number} {part} {}", "x".repeat(bytes));
    let commands = (0..count).map(|part| Command {
        kind: Some(note(&text(part))),
    });
    commands.collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a client that found nothing wrong")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_among_other_bytes() {
        let bytes = b"\0\x05power-000001*power-12power-000023power-000001";
        assert_eq!(ids_in(bytes), ["power-000001", "power-000023"]);
        assert!(ids_in(b"power").is_empty());
    }
}
