//! What `kill -9` leaves: all that was acknowledged or shown, whole, in its place and once.
//! `TEST_KILLS` says how often the daemon is killed, under load and while it starts.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use strata::proto::{
    Command as PlanCommand, Commit, ExecuteRequest, ExecuteResponse, LogEntry, WatchRequest,
    event::Kind, history_service_client::HistoryServiceClient,
    plan_service_client::PlanServiceClient, watch_response::Response,
};
use tempfile::tempdir;
use tokio::{sync::watch, task::JoinSet};
use tonic::transport::Channel;

use crate::{
    chance::{Chance, times},
    daemon::{Daemon, PATIENCE, create_plan, note, request, serve_arguments},
    reading::{assert_sound, reason, whole_log},
};

/// A third of them while it starts.
const KILLS: usize = 33;
/// How many of a hundred come while a new directory comes into being.
const CREATIONS_PERCENT: usize = 10;
const WRITERS: usize = 8;
/// The plan that all writers write; each has another of its own.
const SHARED: &str = "shared";
/// Every so many requests of a cycle, all writers send the same one.
const RACE_EVERY: usize = 5;

/// What was sent and what came back, over all cycles.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<(ExecuteRequest, ExecuteResponse)>>,
    /// Sent and not answered: to be sent again by the same writer.
    unanswered: Mutex<HashMap<usize, ExecuteRequest>>,
    /// What a watcher was shown.
    shown: Mutex<BTreeMap<u64, LogEntry>>,
    answers: watch::Sender<usize>,
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_atomic_exactly_once_and_ordered_whenever_the_daemon_is_killed() {
    let dir = tempdir().expect("a directory");
    let ledger = Arc::new(Ledger::default());
    let mut chance = Chance::new();
    let kills = times("TEST_KILLS", KILLS);
    let mut killed = Killed::default();
    let mut start_time = Duration::from_millis(50);
    let mut cycle = 0;
    while killed.sum() < kills {
        let creations = kills * CREATIONS_PERCENT / 100;
        while killed.sum() < creations || chance.below(3) == 0 {
            let after = moment(&mut chance, start_time);
            let how_far = kill_while_starting(dir.path(), after).await;
            *killed.starting(how_far) += 1;
        }
        let started = Instant::now();
        let daemon = Daemon::start(dir.path()).await;
        start_time = started.elapsed();
        assert_kept(&ledger, &whole_log(&daemon).await);
        if cycle == 0 {
            create_plans(&daemon, &ledger).await;
        }

        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(daemon.plans(), ledger.clone(), writer, cycle));
        }
        writers.spawn(look_on(daemon.history(), ledger.clone()));
        let enough = *ledger.answers.borrow() + usize::try_from(chance.below(250)).expect("small");
        let mut answers = ledger.answers.subscribe();
        let answered = answers.wait_for(|answers| *answers > enough);
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.expect("answered in time").expect("a ledger");
        daemon.kill();
        killed.under_load += 1;
        cycle += 1;
        while let Some(ended) = writers.join_next().await {
            ended.expect("a writer that found nothing wrong");
        }
    }
    settle(dir.path(), &ledger).await;
    eprintln!("kills: {killed}, seed {}", chance.seed());
}

/// Sends what was never answered once more, and asserts that each request is recorded once.
async fn settle(dir: &Path, ledger: &Ledger) {
    let daemon = Daemon::start(dir).await;
    let unanswered = std::mem::take(&mut *lock(&ledger.unanswered));
    for request in unanswered.into_values() {
        let answer = daemon.plans().execute(request.clone()).await;
        ledger.acknowledge(request, answer.expect("answered").into_inner());
    }
    let log = whole_log(&daemon).await;
    assert_kept(ledger, &log);
    assert_each_once(ledger, &log);
    assert!(log.len() > WRITERS, "{} commits", log.len());
    daemon.stop().await;
}

/// Asserts that every request is in the log once, and that one answer at most says it was new.
#[track_caller]
fn assert_each_once(ledger: &Ledger, log: &[LogEntry]) {
    let acknowledged = lock(&ledger.acknowledged);
    let mut sent = HashSet::new();
    let mut answered_as_new = HashSet::new();
    for (request, response) in acknowledged.iter() {
        let name = (&request.plan_id, &request.request_id);
        sent.insert(name);
        assert!(
            response.replayed || answered_as_new.insert(name),
            "{name:?} was answered as new twice"
        );
    }
    assert_eq!(log.len(), sent.len(), "every request is recorded once");
}

/// Asserts that the log is sound and holds all that was acknowledged or shown.
#[track_caller]
fn assert_kept(ledger: &Ledger, log: &[LogEntry]) {
    assert_sound(log);
    let at = |position: u64| {
        let index = usize::try_from(position).expect("small") - 1;
        log.get(index)
            .unwrap_or_else(|| panic!("{position} of {} is lost", log.len()))
    };
    for (request, response) in lock(&ledger.acknowledged).iter() {
        let entry = response.entry.as_ref().expect("an entry");
        assert_eq!(entry, at(entry.position), "{}", request.request_id);
    }
    for (position, entry) in lock(&ledger.shown).iter() {
        assert_eq!(entry, at(*position), "shown at {position}");
    }
    for entry in log {
        assert_whole(&entry.decode_commit().expect("a commit"));
    }
}

/// Asserts that a commit of notes holds those that its request has.
#[track_caller]
fn assert_whole(commit: &Commit) {
    let mut texts = Vec::new();
    for event in &commit.events {
        if let Some(Kind::NoteRecorded(note)) = &event.kind {
            texts.push(note.text.as_str());
        }
    }
    if commit.request_id != "create" {
        assert_eq!(texts, texts_of(&commit.request_id), "{}", commit.request_id);
    }
}

async fn create_plans(daemon: &Daemon, ledger: &Ledger) {
    let own = (0..WRITERS).map(own_plan);
    for plan_id in own.chain([SHARED.to_owned()]) {
        let request = request(&plan_id, "create", create_plan());
        let answer = daemon.plans().execute(request.clone()).await;
        ledger.acknowledge(request, answer.expect("created").into_inner());
    }
}

/// Sends what was not answered in the cycle before, then new requests, until the daemon is gone.
async fn write(
    mut client: PlanServiceClient<Channel>,
    ledger: Arc<Ledger>,
    writer: usize,
    cycle: u32,
) {
    let left = lock(&ledger.unanswered).remove(&writer);
    let fresh = (0..).map(|number| {
        if number % RACE_EVERY == 0 {
            return notes(SHARED, &format!("race-{cycle}-{number}-2"));
        }
        let count = number % 4 + 1;
        let plan_id = if number % 2 == 0 {
            SHARED.to_owned()
        } else {
            own_plan(writer)
        };
        notes(&plan_id, &format!("w{writer}-{cycle}-{number}-{count}"))
    });
    for request in left.into_iter().chain(fresh) {
        match client.execute(request.clone()).await {
            Ok(answer) => ledger.acknowledge(request, answer.into_inner()),
            Err(status) => {
                assert_eq!(reason(&status), None, "refused: {status:?}");
                lock(&ledger.unanswered).insert(writer, request);
                return;
            }
        }
    }
}

/// Keeps what a watch shows until the daemon is gone.
async fn look_on(mut client: HistoryServiceClient<Channel>, ledger: Arc<Ledger>) {
    let Ok(stream) = client.watch(WatchRequest::default()).await else {
        return;
    };
    let mut stream = stream.into_inner();
    while let Ok(Some(message)) = stream.message().await {
        if let Some(Response::Entries(entries)) = message.response {
            let shown = entries.entries.into_iter().map(|e| (e.position, e));
            lock(&ledger.shown).extend(shown);
        }
    }
}

/// How far a daemon had come when it was killed while it started.
#[derive(Clone, Copy)]
enum HowFar {
    Nowhere,
    Listening,
    Serving,
}

/// How often a daemon was killed, and when.
#[derive(Default)]
struct Killed {
    under_load: usize,
    before_it_listened: usize,
    before_it_served: usize,
    just_serving: usize,
}

impl Killed {
    fn sum(&self) -> usize {
        self.under_load + self.before_it_listened + self.before_it_served + self.just_serving
    }

    fn starting(&mut self, how_far: HowFar) -> &mut usize {
        match how_far {
            HowFar::Nowhere => &mut self.before_it_listened,
            HowFar::Listening => &mut self.before_it_served,
            HowFar::Serving => &mut self.just_serving,
        }
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} under load; while starting: {} before it listened, {} while it opened its data, {} \
             when it just served",
            self.under_load, self.before_it_listened, self.before_it_served, self.just_serving
        )
    }
}

/// Starts a daemon, kills it after a while, and says how far it had come.
async fn kill_while_starting(dir: &Path, after: Duration) -> HowFar {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stratad"))
        .args(serve_arguments(dir))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("stratad starts");
    // The moment is what the test varies: there is nothing to wait for.
    tokio::time::sleep(after).await;
    child.kill().expect("killed");
    let output = child.wait_with_output().expect("reaped");
    let said = String::from_utf8_lossy(&output.stderr);
    if !said.contains("listening") {
        HowFar::Nowhere
    } else if !said.contains("serving") {
        HowFar::Listening
    } else {
        HowFar::Serving
    }
}

fn moment(chance: &mut Chance, longest: Duration) -> Duration {
    let micros = u64::try_from(longest.as_micros()).expect("short");
    Duration::from_micros(chance.below(micros))
}

/// A request whose notes follow from its id, which ends with their number.
fn notes(plan_id: &str, request_id: &str) -> ExecuteRequest {
    let commands = texts_of(request_id).into_iter().map(|text| PlanCommand {
        kind: Some(note(&text)),
    });
    ExecuteRequest {
        plan_id: plan_id.to_owned(),
        request_id: request_id.to_owned(),
        commands: commands.collect(),
        ..Default::default()
    }
}

fn texts_of(request_id: &str) -> Vec<String> {
    let count = request_id.rsplit('-').next().expect("a part");
    let count: usize = count.parse().expect("a number");
    // Some are long, so that commits differ in size.
    let long = "x".repeat(count * 200);
    (0..count)
        .map(|number| format!("{request_id} {number} {long}"))
        .collect()
}

fn own_plan(writer: usize) -> String {
    format!("own-{writer}")
}

impl Ledger {
    fn acknowledge(&self, request: ExecuteRequest, response: ExecuteResponse) {
        let commit = response.entry.as_ref().expect("an entry").decode_commit();
        assert_eq!(commit.expect("a commit").request_id, request.request_id);
        lock(&self.acknowledged).push((request, response));
        self.answers.send_modify(|answers| *answers += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a writer that found nothing wrong")
}
