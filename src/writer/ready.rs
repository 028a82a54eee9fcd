//! What is done for a request before it is queued, on its caller's time: its plan is loaded, its id
//! is looked for among the plan's commits, and a correction is worked out, so that the writer never
//! reads a disk.

use std::sync::Arc;

use prost::Message as _;
use tokio::sync::oneshot;

use super::{Answer, Course, ExecuteError, Guard, Job, Reply, Turn};
use crate::{
    domain::{
        decide::{self, Context, Decision, Refusal},
        event,
        plan::Plan,
        shape::{self, CheckedRequest},
        value::Time,
    },
    proto::{self, LogEntry},
    view::{View, ViewError, index::RequestKey, plans::Folded},
};

/// What a request that corrects or retracts comes to. It holds while the plan stays at this revision.
pub(super) struct Prepared {
    pub(super) revision: u64,
    /// The time it was decided at, which is the time of recording unless that would run backwards.
    pub(super) decided_at: Time,
    pub(super) outcome: Result<Decision, Refusal>,
}

/// A request that can be queued.
pub(super) struct Ready {
    request: CheckedRequest,
    /// The key of its id.
    key: RequestKey,
    folded: Option<Arc<Folded>>,
    searched_commits: usize,
    prepared: Option<Prepared>,
}

pub(super) enum Outcome {
    /// It was recorded before.
    Replay(Answer),
    Ready(Box<Ready>),
}

impl Ready {
    pub(super) fn into_job(
        self: Box<Self>,
        actor: Arc<str>,
        turn: Option<Turn>,
        course: Arc<Course>,
        reply: oneshot::Sender<Reply>,
    ) -> Box<Job> {
        let Self {
            request,
            key,
            folded,
            searched_commits,
            prepared,
        } = *self;
        let bytes = request.request().encoded_len();
        Box::new(Job {
            request,
            key,
            bytes,
            actor,
            folded,
            searched_commits,
            prepared,
            turn,
            course,
            reply,
        })
    }
}

/// Makes a request ready. One that corrects or retracts is only
/// worked out if `works_out`.
pub(super) async fn make_ready(
    view: &Arc<View>,
    guard: &Arc<Guard>,
    request: CheckedRequest,
    works_out: bool,
) -> Result<Outcome, ExecuteError> {
    let key = RequestKey::of(&request.request().request_id);
    let plan_id = &request.request().plan_id;
    let in_memory = view.in_memory(plan_id).map(|(folded, _)| folded);
    let exists = in_memory.is_some() || view.entry(plan_id).is_some();
    if !exists {
        let ready = Ready {
            request,
            key,
            folded: None,
            searched_commits: 0,
            prepared: None,
        };
        return Ok(Outcome::Ready(Box::new(ready)));
    }
    if let Some(folded) = &in_memory
        && !request.amends()
        && candidates(folded, key).next().is_none()
    {
        let searched_commits = folded.index.len();
        let ready = Ready {
            request,
            key,
            folded: in_memory,
            searched_commits,
            prepared: None,
        };
        return Ok(Outcome::Ready(Box::new(ready)));
    }
    let (view, guard) = (view.clone(), guard.clone());
    let reading = tokio::task::spawn_blocking(move || {
        make_ready_blocking(&view, &guard, request, key, works_out)
    });
    match reading.await {
        Ok(outcome) => outcome,
        // The runtime is going down.
        Err(_) => Err(ExecuteError::Stopping),
    }
}

/// Makes a request ready that needs the disk.
fn make_ready_blocking(
    view: &View,
    guard: &Guard,
    request: CheckedRequest,
    key: RequestKey,
    works_out: bool,
) -> Result<Outcome, ExecuteError> {
    let Some((folded, _)) = view.load(&request.request().plan_id)? else {
        let ready = Ready {
            request,
            key,
            folded: None,
            searched_commits: 0,
            prepared: None,
        };
        return Ok(Outcome::Ready(Box::new(ready)));
    };
    let recorded: Vec<u64> = candidates(&folded, key).collect();
    for position in recorded {
        if let Some(answer) = replay(view, position, &request)? {
            return Ok(Outcome::Replay(answer));
        }
    }
    let prepared = if works_out && request.amends() {
        Some(prepare(view, guard, &folded, &request)?)
    } else {
        None
    };
    let searched_commits = folded.index.len();
    let ready = Ready {
        request,
        key,
        folded: Some(folded),
        searched_commits,
        prepared,
    };
    Ok(Outcome::Ready(Box::new(ready)))
}

/// The positions of the plan's commits whose request id may be that of this key.
fn candidates(folded: &Folded, key: RequestKey) -> impl Iterator<Item = u64> {
    folded
        .index
        .iter_from(0)
        .filter(move |entry| entry.request == key)
        .map(|entry| entry.position)
}

/// The first answer to the request, if the commit at `position` is it; nothing if that commit has
/// another request id after all.
fn replay(
    view: &View,
    position: u64,
    request: &CheckedRequest,
) -> Result<Option<Answer>, ExecuteError> {
    let (commit, bytes) = view.commit_bytes(position)?;
    if commit.request_id != request.request().request_id {
        return Ok(None);
    }
    let revision = last_revision(&commit);
    if !asks_for(request, &commit) {
        return Err(ExecuteError::RequestIdReused { position, revision });
    }
    let entry = LogEntry {
        position,
        commit: bytes,
    };
    Ok(Some(Answer {
        entry,
        revision,
        replayed: true,
    }))
}

/// Whether a request asks for what the commit records: it is the request that was recorded, or says
/// itself what that one left to the daemon, such as the time, as an export does.
fn asks_for(request: &CheckedRequest, commit: &proto::Commit) -> bool {
    let digest = request.digest();
    commit.request_digest == digest[..]
        || event::request_of(commit).is_some_and(|spelt_out| shape::digest_of(spelt_out) == digest)
}

fn prepare(
    view: &View,
    guard: &Guard,
    folded: &Folded,
    request: &CheckedRequest,
) -> Result<Prepared, ViewError> {
    let plan: &Plan = &folded.plan;
    let history = view.events(folded, plan.revision)?;
    let revision_of = |plan_id: &str| view.entry(plan_id).map(|entry| entry.revision);
    let decided_at = guard.now().max(view.last_recorded_at().unwrap_or_default());
    let context = Context {
        now: decided_at,
        other_plans: &revision_of,
        history: &history,
    };
    let outcome = decide::execute(plan, request.request(), &context);
    Ok(Prepared {
        revision: plan.revision,
        decided_at,
        outcome,
    })
}

fn last_revision(commit: &proto::Commit) -> u64 {
    commit.first_revision + (commit.events.len() as u64).saturating_sub(1)
}
