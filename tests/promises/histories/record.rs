//! A history of calls: who called what, when it was sent and when its answer came, on one order of
//! all events, and what came of it. Beside the calls it holds what watches were sent, what each start
//! of the daemon found, and the roots of the log as an auditor computed them on the way.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use strata::proto::{
    Commit, Event, ExecuteRequest, ExecuteResponse, GetPlanRequest, GetPlanResponse,
    ListEventsRequest, ListEventsResponse, ListPlansRequest, ListPlansResponse, LogEntry,
    ReadLogRequest, WatchRequest, watch_response::Response,
};
use tonic::{Code, Status};
use tonic_types::{RpcStatusExt as _, StatusExt as _, pb};

/// A moment: a number that no other event of the history has.
pub(super) type Moment = u64;

/// All that was seen from outside.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The calls, in the order in which they returned.
    pub(super) calls: Vec<Call>,
    /// The watches.
    pub(super) watches: Vec<Watching>,
    /// The starts of the daemon.
    pub(super) starts: Vec<Start>,
    /// How often it was killed; else it was told to stop.
    pub(super) kills: usize,
    /// What an auditor computed.
    pub(super) roots: Vec<Root>,
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Who called. A client has one call under way, but for those of a pipeline.
    pub(super) client: usize,
    /// When it was sent.
    pub(super) invoked: Moment,
    /// When its answer came, or when the client gave up.
    pub(super) returned: Moment,
    /// The stream by which it was sent, if by one; its calls stand in the order of their sending.
    pub(super) pipeline: Option<Moment>,
    /// What was asked.
    pub(super) request: Request,
    /// What came of it.
    pub(super) outcome: Outcome,
}

/// What was asked.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Execute(ExecuteRequest),
    GetPlan(GetPlanRequest),
    ListPlans(ListPlansRequest),
    ListEvents(ListEventsRequest),
    ReadLog(ReadLogRequest),
}

/// What came of a call.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Executed(ExecuteResponse),
    Plan(Box<GetPlanResponse>),
    Plans(ListPlansResponse),
    Events(ListEventsResponse),
    Entries(Read),
    Refused(Refused),
    Unknown(Unknown),
}

/// What `ReadLog` streamed.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    pub(super) entries: Vec<LogEntry>,
    /// Up to where it said to have sent all.
    pub(super) position: u64,
    /// Whether it ended by itself.
    pub(super) whole: bool,
}

/// A refusal of the daemon, with its reason.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) code: Code,
    pub(super) reason: String,
    pub(super) metadata: HashMap<String, String>,
}

/// Why the outcome of a call is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Its deadline came first, by the client's clock or the daemon's.
    Expired,
    /// The client dropped it.
    Cancelled,
    /// The connection went, or never came.
    Lost,
    /// The daemon says that it does not know.
    Doubtful,
}

/// One watch, from its call to its end.
#[derive(Debug, Clone)]
pub(super) struct Watching {
    pub(super) invoked: Moment,
    pub(super) request: WatchRequest,
    /// The first position it may send, as the test knows it.
    pub(super) from: u64,
    pub(super) messages: Vec<(Moment, Response)>,
}

/// A start of the daemon, after it served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Before the head was asked for.
    pub(super) at: Moment,
    pub(super) head: u64,
}

/// The log's RFC 6962 root at a size, computed from the bytes that were read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    pub(super) size: usize,
    pub(super) root: [u8; 32],
}

/// The log as it was read at the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    entries: Vec<(LogEntry, Commit)>,
}

/// Where a history is written while it happens.
#[derive(Clone, Default)]
pub(super) struct Recorder {
    moments: Arc<AtomicU64>,
    history: Arc<Mutex<History>>,
}

impl Recorder {
    /// A new moment, after all that were given out.
    pub(super) fn now(&self) -> Moment {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    /// Adds to the history.
    pub(super) fn note(&self, add: impl FnOnce(&mut History)) {
        add(&mut self.history.lock().expect("no recorder panicked"));
    }

    /// The history so far.
    pub(super) fn history(&self) -> History {
        self.history.lock().expect("no recorder panicked").clone()
    }
}

impl History {
    /// Asserts what makes it a history: no two events in one moment, answers after their calls, and
    /// one call of a client at a time.
    #[track_caller]
    pub(super) fn assert_coherent(&self) {
        let mut free_since: HashMap<usize, Moment> = HashMap::new();
        let mut moments = HashSet::new();
        for call in &self.calls {
            assert!(call.invoked < call.returned, "{call:?}");
            assert!(moments.insert(call.invoked) && moments.insert(call.returned));
            let since = free_since.insert(call.client, call.returned);
            let alone = since.is_none_or(|since| since < call.invoked);
            assert!(
                alone || call.pipeline.is_some(),
                "two calls at once: {call:?}"
            );
        }
    }
}

impl Call {
    /// The request, if it was to write.
    pub(super) fn execute(&self) -> Option<&ExecuteRequest> {
        match &self.request {
            Request::Execute(request) => Some(request),
            Request::GetPlan(_)
            | Request::ListPlans(_)
            | Request::ListEvents(_)
            | Request::ReadLog(_) => None,
        }
    }

    /// Request and answer, if it was answered that its commit is recorded, now or before.
    pub(super) fn acknowledged(&self) -> Option<(&ExecuteRequest, &ExecuteResponse)> {
        let request = self.execute()?;
        let Outcome::Executed(response) = &self.outcome else {
            return None;
        };
        (!request.validate_only || response.replayed).then_some((request, response))
    }

    /// The refusal, if it was refused.
    pub(super) fn refused(&self) -> Option<&Refused> {
        match &self.outcome {
            Outcome::Refused(refused) => Some(refused),
            Outcome::Executed(_)
            | Outcome::Plan(_)
            | Outcome::Plans(_)
            | Outcome::Events(_)
            | Outcome::Entries(_)
            | Outcome::Unknown(_) => None,
        }
    }
}

impl Outcome {
    /// Of a call that failed.
    pub(super) fn of_status(status: &Status) -> Self {
        let info = status.get_details_error_info();
        Self::failed(status.code(), info.map(|info| (info.reason, info.metadata)))
    }

    /// Of a request that a stream answered with an error.
    pub(super) fn of_error(error: &pb::Status) -> Self {
        let info = error.get_details_error_info();
        Self::failed(
            Code::from(error.code),
            info.map(|info| (info.reason, info.metadata)),
        )
    }

    fn failed(code: Code, info: Option<(String, HashMap<String, String>)>) -> Self {
        let unknown = match (&info, code) {
            (Some((reason, _)), _) if reason == "WRITE_FAILED" => Unknown::Doubtful,
            (Some((reason, _)), _) if reason == "TIMED_OUT" => Unknown::Expired,
            (Some(_), _) => {
                let (reason, metadata) = info.unwrap_or_default();
                return Self::Refused(Refused {
                    code,
                    reason,
                    metadata,
                });
            }
            (None, Code::Cancelled | Code::DeadlineExceeded) => Unknown::Expired,
            (None, _) => Unknown::Lost,
        };
        Self::Unknown(unknown)
    }
}

impl Refused {
    /// A number that the refusal names.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.metadata.get(name)?.parse().ok()
    }
}

impl Log {
    /// Of entries as they were read.
    pub(super) fn of(entries: Vec<LogEntry>) -> Self {
        let decode = |entry: LogEntry| {
            let commit = entry.decode_commit().expect("a commit");
            (entry, commit)
        };
        Self {
            entries: entries.into_iter().map(decode).collect(),
        }
    }

    /// All entries as they were read.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &LogEntry> + Clone {
        self.entries.iter().map(|(entry, _)| entry)
    }

    /// All commits with their positions.
    pub(super) fn commits(&self) -> impl DoubleEndedIterator<Item = (u64, &Commit)> + Clone {
        let commits = self.entries.iter();
        commits.map(|(entry, commit)| (entry.position, commit))
    }

    /// The commits of one plan.
    pub(super) fn of_plan<'a>(
        &'a self,
        plan_id: &'a str,
    ) -> impl DoubleEndedIterator<Item = (u64, &'a Commit)> + Clone {
        self.commits()
            .filter(move |(_, commit)| commit.plan_id == plan_id)
    }

    /// The events of one plan up to a revision.
    pub(super) fn events(&self, plan_id: &str, revision: u64) -> Vec<Event> {
        let events = self
            .of_plan(plan_id)
            .flat_map(|(_, commit)| commit.events.clone());
        events.filter(|event| event.revision <= revision).collect()
    }

    /// What stands at a position.
    pub(super) fn at(&self, position: u64) -> Option<&LogEntry> {
        // Where it stands in a log without holes; broken ones are searched.
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        let there = self.entries.get(index).map(|(entry, _)| entry);
        there
            .filter(|entry| entry.position == position)
            .or_else(|| self.entries().find(|entry| entry.position == position))
    }

    /// The commit of a request.
    pub(super) fn find(&self, plan_id: &str, request_id: &str) -> Option<(u64, &Commit)> {
        self.commits()
            .find(|(_, commit)| commit.plan_id == plan_id && commit.request_id == request_id)
    }

    /// The last position.
    pub(super) fn head(&self) -> u64 {
        self.entries.last().map_or(0, |(entry, _)| entry.position)
    }

    /// The revision of a plan as of a position.
    pub(super) fn revision_at(&self, plan_id: &str, position: u64) -> u64 {
        let last = self.of_plan(plan_id).rfind(|(at, _)| *at <= position);
        last.map_or(0, |(_, commit)| last_revision(commit))
    }
}

/// The revision of the plan after a commit.
pub(super) fn last_revision(commit: &Commit) -> u64 {
    commit.first_revision + commit.events.len() as u64 - 1
}
