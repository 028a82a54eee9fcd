//! A writer on a fake journal, whose thread runs when a test says so, and requests to hand in.

use std::{
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
};

use prost::Message as _;
use proto::command::Kind as Asked;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::super::{clock::Reading, guard::Machine, *};
use crate::domain::value::Time;
use crate::journal::{Append, Entry, HighWater, JournalError, LogId, fake::FakeJournal};

pub(super) const PLAN: &str = "growth";
pub(super) const RESERVE_BYTES: u64 = 1_000;
const QUEUE_LIMIT: usize = 64;

type Body = Box<dyn FnOnce() -> Result<(), WriteFailure> + Send>;

/// A fake journal that notes how large the groups were that it was handed.
pub(super) struct Noted {
    pub(super) fake: FakeJournal,
    pub(super) groups: Mutex<Vec<usize>>,
}

impl Journal for Noted {
    fn log_id(&self) -> LogId {
        self.fake.log_id()
    }

    fn head(&self) -> u64 {
        self.fake.head()
    }

    fn append(
        &self,
        expected_head: u64,
        term: u64,
        group: &[bytes::Bytes],
    ) -> Result<Append, JournalError> {
        self.groups().push(group.len());
        self.fake.append(expected_head, term, group)
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Entry>, JournalError> {
        self.fake.read(from, max_bytes)
    }

    fn get(&self, position: u64) -> Result<Option<bytes::Bytes>, JournalError> {
        self.fake.get(position)
    }

    fn mark(&self, position: u64, root: [u8; 32]) -> Result<(), JournalError> {
        self.fake.mark(position, root)
    }

    fn recovered_mark(&self) -> Option<HighWater> {
        self.fake.recovered_mark()
    }

    fn close(&self) -> Result<(), JournalError> {
        self.fake.close()
    }
}

impl Noted {
    pub(super) fn groups(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A writer whose thread runs only when a test says so: what is handed in before is one group.
pub(super) struct World {
    pub(super) journal: Arc<Noted>,
    pub(super) view: Arc<View>,
    pub(super) feed: Arc<Feed>,
    pub(super) writer: Writer,
    pub(super) guard: Arc<Guard>,
    clock: Arc<Mutex<i64>>,
    free_bytes: Arc<Mutex<u64>>,
    body: Option<Body>,
    pub(super) thread: Option<JoinHandle<Result<(), WriteFailure>>>,
    _dir: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(FakeJournal::new(), QUEUE_LIMIT)
    }

    pub(super) fn on(fake: FakeJournal, queue_limit: usize) -> Self {
        let journal = Arc::new(Noted {
            fake,
            groups: Mutex::default(),
        });
        let dir = tempfile::tempdir().expect("a directory");
        let log: Arc<dyn Journal> = journal.clone();
        let view = View::open(
            &dir.path().join("view"),
            log.clone(),
            1 << 20,
            &CancellationToken::new(),
        );
        let view = Arc::new(view.expect("the view opens"));
        let feed = Feed::new(log.clone(), 1 << 20);
        let clock = Arc::new(Mutex::new(1_000));
        let free_bytes = Arc::new(Mutex::new(u64::MAX));
        let (hand, free) = (clock.clone(), free_bytes.clone());
        let machine = Machine {
            clocks: Arc::new(move || Reading {
                time: at(*hand.lock().expect("no panic")),
                running: Duration::ZERO,
            }),
            free_bytes: Arc::new(move || Some(*free.lock().expect("no panic"))),
        };
        let last_recorded_at = view.last_recorded_at().unwrap_or_default();
        let guard = Guard::new(machine, RESERVE_BYTES, last_recorded_at);
        let (writer, body) =
            Writer::new(log, view.clone(), feed.clone(), queue_limit, guard.clone());
        Self {
            journal,
            view,
            feed,
            writer,
            guard,
            clock,
            free_bytes,
            body: Some(Box::new(body)),
            thread: None,
            _dir: dir,
        }
    }

    /// A world whose log holds these requests, and whose thread does not run yet.
    pub(super) async fn holding(requests: impl IntoIterator<Item = proto::ExecuteRequest>) -> Self {
        let mut before = Self::new();
        before.start();
        for request in requests {
            before.submit(request).await.answer().await.expect("taken");
        }
        before.stop().await.expect("stopped");
        Self::on(before.journal.fake.crash(), QUEUE_LIMIT)
    }

    pub(super) fn start(&mut self) {
        let body = self.body.take().expect("started once");
        self.thread = Some(std::thread::spawn(body));
    }

    pub(super) async fn submit(&self, request: proto::ExecuteRequest) -> Pending {
        self.writer.submit(request, actor(), soon()).await
    }

    pub(super) async fn stop(&mut self) -> Result<(), WriteFailure> {
        let (writer, thread) = (self.writer.clone(), self.thread.take().expect("started"));
        let stopping = tokio::task::spawn_blocking(move || {
            writer.stop();
            thread.join()
        });
        stopping.await.expect("no panic").expect("no panic")
    }

    pub(super) fn set_clock(&self, seconds: i64) {
        *self.clock.lock().expect("no panic") = seconds;
    }

    /// A disk that does not answer how much room it has, until this is dropped.
    pub(super) fn hold_disk(&self) -> std::sync::MutexGuard<'_, u64> {
        self.free_bytes.lock().expect("no panic")
    }

    pub(super) fn set_free_bytes(&self, bytes: u64) {
        *self.free_bytes.lock().expect("no panic") = bytes;
    }

    /// All commits in the log.
    pub(super) fn log(&self) -> Vec<proto::Commit> {
        let entries = self.journal.read(1, usize::MAX).expect("readable");
        entries
            .iter()
            .map(|entry| proto::Commit::decode(entry.commit.clone()).expect("a commit"))
            .collect()
    }

    pub(super) fn request_ids(&self) -> Vec<String> {
        self.log().into_iter().map(|it| it.request_id).collect()
    }
}

pub(super) fn actor() -> Arc<str> {
    "tester".into()
}

pub(super) fn at(seconds: i64) -> Time {
    Time { seconds, nanos: 0 }
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(super) fn request(request_id: &str, command: Asked) -> proto::ExecuteRequest {
    proto::ExecuteRequest {
        plan_id: PLAN.into(),
        request_id: request_id.into(),
        commands: vec![proto::Command {
            kind: Some(command),
        }],
        ..Default::default()
    }
}

pub(super) fn create(request_id: &str) -> proto::ExecuteRequest {
    let title = "Growth".into();
    let created = proto::CreatePlan {
        title,
        ..Default::default()
    };
    request(request_id, Asked::CreatePlan(created))
}

pub(super) fn note(request_id: &str, text: &str) -> proto::ExecuteRequest {
    let noted = proto::RecordNote {
        subject: "plan".into(),
        text: text.into(),
    };
    request(request_id, Asked::RecordNote(noted))
}

pub(super) fn retract(request_id: &str, revision: u64) -> proto::ExecuteRequest {
    let retracted = proto::RetractEvent {
        revision,
        reason: "It never happened".into(),
    };
    request(request_id, Asked::RetractEvent(retracted))
}

pub(super) fn expecting(revision: u64, request: proto::ExecuteRequest) -> proto::ExecuteRequest {
    proto::ExecuteRequest {
        expected_revision: Some(revision),
        ..request
    }
}
