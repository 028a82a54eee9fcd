//! The writer's thread: takes what waits, decides it, makes it durable as one group, and only then
//! shows and answers it. It never reads a disk, unless the log turns out to end elsewhere.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use metrics::Histogram;
use prost::Message as _;
use tokio::{runtime::Handle, sync::mpsc};

use super::{Answer, Guard, Hindrance, Job, Message, Moment, Prepared, Reply, Turn, WriteFailure};
use crate::{
    commit,
    domain::{
        decide::{self, Context, Decision, Refusal},
        event, shape,
        value::{Id, Time},
    },
    feed::{Feed, Recent},
    journal::{Append, Journal, JournalError, underway::UnderWay},
    merkle::Frontier,
    proto::{self, LogEntry},
    view::{Applied, View, ViewError, index::IndexEntry, ledger, plans::Folded},
};

/// How many requests one group takes at most: more only makes the first of them wait longer.
const GROUP_REQUESTS_MAX: usize = 1_024;
/// How many bytes of requests one group takes at most, which bounds what a sync has to carry.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// How many answers one task gives: the others of a large group are given beside it.
const ANSWERED_AT_ONCE: usize = 128;
/// The term of a log that has one writer by its lock.
const TERM: u64 = 0;

/// The state of the writer's thread.
pub(super) struct GroupWriter {
    journal: Arc<dyn Journal>,
    view: Arc<View>,
    feed: Arc<Feed>,
    guard: Arc<Guard>,
    settling: Arc<UnderWay>,
    runtime: Handle,
    head: u64,
    frontier: Frontier,
    last_recorded_at: Time,
    waited: Histogram,
    commits: Histogram,
}

/// What was decided and is not durable yet.
#[derive(Default)]
struct Group {
    /// Why none of it may be written, if it may not.
    hindrance: Option<Hindrance>,
    /// Plans as they will be.
    ahead: HashMap<Id, Arc<Folded>>,
    commits: Vec<Bytes>,
    applied: Vec<Applied>,
    recent: Vec<Recent>,
}

impl GroupWriter {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        view: Arc<View>,
        feed: Arc<Feed>,
        guard: Arc<Guard>,
        settling: Arc<UnderWay>,
        runtime: Handle,
    ) -> Self {
        let (head, frontier) = (view.position(), view.frontier());
        let last_recorded_at = view.last_recorded_at().unwrap_or_default();
        Self {
            journal,
            view,
            feed,
            guard,
            settling,
            runtime,
            head,
            frontier,
            last_recorded_at,
            waited: metrics::histogram!("strata_queue_seconds"),
            commits: metrics::histogram!("strata_group_commits"),
        }
    }

    pub(super) fn run(
        mut self,
        mut queue: mpsc::Receiver<Message>,
        stopped: &AtomicBool,
    ) -> Result<(), WriteFailure> {
        let ended = self.write_groups(&mut queue);
        stopped.store(ended.is_ok(), Ordering::Release);
        queue.close();
        while let Ok(message) = queue.try_recv() {
            let Message::Decide(job) = message else {
                continue;
            };
            job.answer(if ended.is_ok() {
                Reply::Stopping
            } else {
                Reply::Failed
            });
        }
        Ok(ended?)
    }

    fn write_groups(&mut self, queue: &mut mpsc::Receiver<Message>) -> Result<(), ViewError> {
        let mut stopping = false;
        while !stopping {
            let Some(first) = queue.blocking_recv() else {
                return Ok(());
            };
            let (mut jobs, mut bytes) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(message) = next.take() {
                let Message::Decide(job) = message else {
                    stopping = true;
                    break;
                };
                bytes += job.bytes;
                jobs.push(job);
                if jobs.len() < GROUP_REQUESTS_MAX && bytes < GROUP_BYTES_MAX {
                    next = queue.try_recv().ok();
                }
            }
            self.write(jobs)?;
        }
        Ok(())
    }

    /// Decides jobs in order, makes their commits durable, shows them and answers.
    #[expect(clippy::vec_box, reason = "they come and go in boxes, and are large")]
    fn write(&mut self, mut jobs: Vec<Box<Job>>) -> Result<(), ViewError> {
        // The caller has gone, and nothing is recorded yet: nobody misses it.
        jobs.retain(|job| !job.reply.is_closed());
        match self.settle(&mut jobs) {
            Ok(replies) => {
                let settled = jobs.iter().zip(&replies).filter(|(_, it)| it.is_some());
                let turns = settled.filter_map(|(job, _)| job.turn.as_ref());
                turns.for_each(Turn::settle);
                self.answer(jobs.into_iter().zip(replies));
                Ok(())
            }
            Err(error) => {
                for job in jobs {
                    job.answer(Reply::Failed);
                }
                Err(error)
            }
        }
    }

    /// Has the runtime answer jobs. From this thread each answer would wake whoever waits for it by a system
    /// call, and the next group would wait for all of them.
    fn answer(&self, mut replies: impl Iterator<Item = (Box<Job>, Option<Reply>)>) {
        loop {
            let some: Vec<_> = replies.by_ref().take(ANSWERED_AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            self.runtime.spawn(async {
                for (job, reply) in some {
                    match reply {
                        Some(reply) => job.answer(reply),
                        None => job.send_back(),
                    }
                }
            });
        }
    }

    /// The replies to jobs, with all that they rest on durable and shown; nothing for those that
    /// must be made ready again.
    fn settle(&mut self, jobs: &mut [Box<Job>]) -> Result<Vec<Option<Reply>>, ViewError> {
        let settling = self.settling.clone();
        let _under_way = settling.begin();
        loop {
            let mut group = Group {
                hindrance: self.guard.look(),
                ..Group::default()
            };
            jobs.iter()
                .filter_map(|job| job.turn.as_ref())
                .for_each(Turn::begin_group);
            let replies = jobs
                .iter_mut()
                .map(|job| self.reply_in_turn(&mut group, job))
                .collect();
            if group.commits.is_empty() {
                return Ok(replies);
            }
            let sync_began = Instant::now();
            let appended = self.append(&group.commits);
            let synced = Instant::now();
            for job in jobs.iter() {
                job.course.mark_at(Moment::SyncBegan, sync_began);
                job.course.mark_at(Moment::Synced, synced);
            }
            match appended? {
                Append::Appended { head } => {
                    self.show(group, head)?;
                    return Ok(replies);
                }
                // The log does not end where it was thought to, or it is not known whether the
                // group is in it. What ran ahead is dropped, and the same requests are decided
                // again on what the log really holds: those that did get in are found by their ids.
                Append::Conflict { .. } | Append::Unknown => self.catch_up()?,
            }
        }
    }

    fn append(&self, commits: &[Bytes]) -> Result<Append, JournalError> {
        let began = Instant::now();
        let outcome = self.journal.append(self.head, TERM, commits);
        metrics::histogram!("strata_sync_seconds").record(began.elapsed());
        self.commits.record(count(commits.len()));
        outcome
    }

    fn reply_in_turn(&mut self, group: &mut Group, job: &mut Job) -> Option<Reply> {
        if job.turn.as_ref().is_some_and(|turn| !turn.has_come()) {
            return None;
        }
        job.course.mark(Moment::Taken);
        if let Some(waited) = job.course.waited() {
            self.waited.record(waited);
        }
        let reply = self.reply(group, job);
        job.course.mark(Moment::Decided);
        let reply = reply?;
        if let Some(turn) = &job.turn {
            turn.decide();
        }
        Some(reply)
    }

    /// What a job comes to; nothing if the plan, or what is known of the request's id, moved on
    /// since it was made ready.
    fn reply(&mut self, group: &mut Group, job: &mut Job) -> Option<Reply> {
        let base = self.base(&group.ahead, job)?;
        let request = job.request.request();
        if base
            .index
            .iter_from(job.searched_commits)
            .any(|entry| entry.request == job.key)
        {
            return None;
        }
        // A plan without events has nothing to fold anew.
        let (decided, decided_at) = if job.request.amends() && base.plan.revision > 0 {
            let holds = |prepared: &Prepared| prepared.revision == base.plan.revision;
            let prepared = job.prepared.take().filter(holds)?;
            (prepared.outcome, prepared.decided_at)
        } else {
            let now = self.guard.now().max(self.last_recorded_at);
            (self.decide(&group.ahead, &base, request, now), now)
        };
        let recorded_at = decided_at.max(self.last_recorded_at);
        Some(match decided {
            Ok(decision) => self.stage(group, job, &base, decision, recorded_at),
            Err(refusal) => Reply::Refused(refusal),
        })
    }

    /// The plan as the job must be decided on; nothing if it is not in memory.
    fn base(&self, ahead: &HashMap<Id, Arc<Folded>>, job: &Job) -> Option<Arc<Folded>> {
        let plan_id = job.request.request().plan_id.as_str();
        if let Some(folded) = ahead.get(plan_id) {
            return Some(folded.clone());
        }
        if let Some((folded, _)) = self.view.in_memory(plan_id) {
            return Some(folded);
        }
        match self.view.entry(plan_id) {
            None => Some(Arc::new(Folded::unborn(plan_id.into()))),
            Some(entry) => job
                .folded
                .clone()
                .filter(|folded| folded.plan.revision == entry.revision),
        }
    }

    fn decide(
        &self,
        ahead: &HashMap<Id, Arc<Folded>>,
        base: &Folded,
        request: &proto::ExecuteRequest,
        now: Time,
    ) -> Result<Decision, Refusal> {
        let revision_of = |plan_id: &str| match ahead.get(plan_id) {
            Some(folded) => Some(folded.plan.revision),
            None => self.view.entry(plan_id).map(|entry| entry.revision),
        };
        decide::execute(
            &base.plan,
            request,
            &Context {
                now,
                other_plans: &revision_of,
                history: &[],
            },
        )
    }

    /// Encodes a decision and adds it to the group.
    fn stage(
        &mut self,
        group: &mut Group,
        job: &Job,
        base: &Folded,
        decision: Decision,
        recorded_at: Time,
    ) -> Reply {
        let request = job.request.request();
        let kinds = decision
            .events
            .iter()
            .fold(0, |bits, event| bits | 1 << event::bit_of(event));
        let commit = commit_of(job, base.plan.revision + 1, recorded_at, decision.events);
        let bytes = Bytes::from(commit.encode_to_vec());
        if bytes.len() > shape::COMMIT_BYTES_MAX {
            return Reply::TooLarge { bytes: bytes.len() };
        }
        let revision = decision.plan.revision;
        let answer = |position| {
            let entry = LogEntry {
                position,
                commit: bytes.clone(),
            };
            Reply::Recorded(Answer {
                entry,
                revision,
                replayed: false,
            })
        };
        if request.validate_only {
            return answer(0);
        }
        if let Some(hindrance) = group.hindrance {
            metrics::counter!("strata_writes_refused_total", "reason" => hindrance.name())
                .increment(1);
            return Reply::Hindered(hindrance);
        }

        let position = self.head + group.commits.len() as u64 + 1;
        self.last_recorded_at = recorded_at;
        let changes = ledger::changes_of(
            &base.plan,
            &decision.plan,
            &commit.events,
            position,
            recorded_at,
        );
        let plan_id = decision.plan.plan_id.clone();
        let mut index = base.index.clone();
        index.push(IndexEntry {
            position,
            first_revision: commit.first_revision,
            request: job.key,
        });
        let state = Arc::new(Folded {
            plan: Arc::new(decision.plan),
            index,
        });
        group.ahead.insert(plan_id.clone(), state.clone());
        group.commits.push(bytes.clone());
        group.applied.push(Applied {
            position,
            recorded_at,
            leaf: commit::leaf_hash(&bytes),
            events: commit.events.into(),
            state,
            changes,
        });
        group.recent.push(Recent {
            position,
            plan_id,
            kinds,
            commit: bytes.clone(),
        });
        answer(position)
    }

    /// Marks and shows a group that is durable.
    fn show(&mut self, group: Group, head: u64) -> Result<(), ViewError> {
        for applied in &group.applied {
            self.frontier.push(applied.leaf);
        }
        assert_eq!(
            self.frontier.size(),
            head,
            "the tree has a leaf for each commit of the log"
        );
        self.head = head;
        self.guard.recorded(self.last_recorded_at);
        self.journal.mark(head, self.frontier.root())?;
        let tell = || self.feed.publish(group.recent);
        self.view.publish(&group.applied, &self.frontier, tell);
        Ok(())
    }

    /// Takes in what others appended.
    fn catch_up(&mut self) -> Result<(), ViewError> {
        self.view.follow(|recent| self.feed.publish(vec![recent]))?;
        self.head = self.view.position();
        self.frontier = self.view.frontier();
        self.last_recorded_at = self.view.last_recorded_at().unwrap_or_default();
        self.guard.recorded(self.last_recorded_at);
        Ok(())
    }
}

/// The commit that records what a request came to.
fn commit_of(
    job: &Job,
    first_revision: u64,
    recorded_at: Time,
    events: Vec<proto::Event>,
) -> proto::Commit {
    let request = job.request.request();
    proto::Commit {
        plan_id: request.plan_id.clone(),
        first_revision,
        recorded_at: Some(recorded_at.into()),
        actor: job.actor.to_string(),
        on_behalf_of: request.actor.clone(),
        request_id: request.request_id.clone(),
        request_digest: Bytes::copy_from_slice(&job.request.digest()),
        events,
    }
}

fn count(commits: usize) -> f64 {
    f64::from(u32::try_from(commits).unwrap_or(u32::MAX))
}
