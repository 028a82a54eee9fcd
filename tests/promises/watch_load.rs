//! Many watchers while many commits are made: each sees what it asked for, once, in order and whole,
//! one that does not read holds up nobody, and the daemon's memory stays bounded.

use std::{
    fs,
    hash::{DefaultHasher, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use strata::proto::{
    Command, ExecuteRequest, LogEntry, WatchRequest, WatchResponse, watch_response::Response,
};
use tempfile::tempdir;
use tokio::{sync::watch, task::JoinSet};
use tonic::Streaming;

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request},
    reading::{assert_sound, whole_log},
    watch::{described, matches},
};

const PLANS: usize = 16;
const WRITERS: usize = 32;
const NOTE_BYTES: usize = 1_000;
/// Of so many watchers one watches a plan and one a type of event.
const FILTERED_EVERY: usize = 20;
/// Small, so that memory shows what watchers cost.
const SMALL_CACHES: [&str; 6] = [
    "--plan-cache-bytes",
    "8MiB",
    "--journal-cache-bytes",
    "8MiB",
    "--recent-commits-bytes",
    "2MiB",
];
/// The caches, what sled keeps beside its own, and a batch of 512 KiB on its way to each of 200 watchers.
/// Buffered for each of them, the log of the full load would be 5 GB.
const RESIDENT_KIB_MAX: u64 = 300 << 10;
/// How long all deliveries may take after the last commit.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(300);

/// How much is done.
struct Load {
    watchers: usize,
    commits: usize,
    /// How long one watcher does not read, at least; it never reads before all commits are made.
    stall: Duration,
}

/// What one watcher must have seen in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    commits: usize,
    digest: u64,
}

/// The log, once all commits are made.
type Goal = watch::Receiver<Option<Arc<Vec<LogEntry>>>>;

#[tokio::test(flavor = "multi_thread")]
async fn watch_delivers_to_many_while_one_does_not_read() {
    let load = Load {
        watchers: 40,
        commits: 2_000,
        stall: Duration::ZERO,
    };
    deliver(load).await;
}

/// Takes more than a minute even when optimized.
#[cfg(feature = "ci")]
#[tokio::test(flavor = "multi_thread")]
async fn watch_delivers_20_000_commits_to_200_while_one_does_not_read_for_a_minute() {
    let load = Load {
        watchers: 200,
        commits: 20_000,
        stall: Duration::from_secs(60),
    };
    deliver(load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_that_do_not_read_cost_a_bounded_amount_of_memory() {
    const WATCHERS: usize = 6;
    const COMMITS: usize = 800;
    /// Six times the log of 48 MB would be twice as much.
    const GROWTH_KIB_MAX: u64 = 140 << 10;
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &SMALL_CACHES).await;
    let created = request("growth", "create", create_plan());
    daemon.plans().execute(created).await.expect("recorded");
    let before_kib = resident_kib(daemon.pid());
    let mut stalled = Vec::new();
    for _ in 0..WATCHERS {
        stalled.push(watch(&daemon, WatchRequest::default()).await);
    }
    let large = "x".repeat(7_500);
    let mut peak_kib = 0;
    for number in 0..COMMITS {
        let commands =
            std::iter::repeat_n(note(&large), 8).map(|kind| Command { kind: Some(kind) });
        let request = ExecuteRequest {
            commands: commands.collect(),
            ..request("growth", &format!("note-{number}"), note(""))
        };
        daemon.plans().execute(request).await.expect("recorded");
        peak_kib = peak_kib.max(resident_kib(daemon.pid()));
    }
    eprintln!("{before_kib} KiB before, at most {peak_kib} KiB");
    assert!(
        peak_kib - before_kib < GROWTH_KIB_MAX,
        "{before_kib} to {peak_kib} KiB"
    );
    let log = whole_log(&daemon).await;
    for mut stream in stalled {
        let mut entries = Vec::new();
        while entries.len() < log.len() {
            entries.extend(next(&mut stream).await);
        }
        assert!(entries == log, "each gets all once it reads");
    }
    daemon.stop().await;
}

async fn deliver(load: Load) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &SMALL_CACHES).await;
    let started = Instant::now();
    let before_kib = resident_kib(daemon.pid());
    let peak_kib = Arc::new(AtomicU64::new(0));
    let sampling = Arc::new(AtomicBool::new(true));
    let sampler = sample_resident(daemon.pid(), peak_kib.clone(), sampling.clone());

    let (made, goal) = watch::channel(None);
    let mut watchers = JoinSet::new();
    for number in 0..load.watchers {
        let (plans, types) = filter_of(number);
        let stream = watch(
            &daemon,
            WatchRequest {
                plan_ids: plans.clone(),
                event_types: types.clone(),
                ..Default::default()
            },
        )
        .await;
        let stalls = number == load.watchers - 1;
        let stall_until = stalls.then(|| started + load.stall);
        watchers.spawn(follow(stream, plans, types, goal.clone(), stall_until));
    }
    write(&daemon, load.commits).await;
    let written = started.elapsed();
    let log = whole_log(&daemon).await;
    assert_sound(&log);
    assert_eq!(log.len(), load.commits);
    made.send_replace(Some(Arc::new(log)));
    while let Some(ended) = watchers.join_next().await {
        ended.expect("a watcher that saw all it asked for");
    }
    let delivered = started.elapsed();
    sampling.store(false, Ordering::Relaxed);
    sampler.join().expect("sampled");
    let after_kib = resident_kib(daemon.pid());
    let peak_kib = peak_kib.load(Ordering::Relaxed).max(after_kib);
    eprintln!(
        "{} watchers, {} commits: written in {written:.1?}, delivered after {delivered:.1?}; \
         resident {before_kib} KiB before, at most {peak_kib}, {after_kib} after",
        load.watchers, load.commits
    );
    assert!(
        peak_kib < RESIDENT_KIB_MAX,
        "{before_kib} KiB to {peak_kib} KiB"
    );
    daemon.stop().await;
}

/// Follows one watch to the end of the log and asserts that it brought what it was asked for. One
/// that stalls begins to read only then, when all commits are made.
async fn follow(
    mut stream: Streaming<WatchResponse>,
    plans: Vec<String>,
    types: Vec<String>,
    mut goal: Goal,
    stall_until: Option<Instant>,
) {
    if let Some(until) = stall_until {
        goal.wait_for(Option::is_some)
            .await
            .expect("commits are made");
        tokio::time::sleep_until(until.into()).await;
    }
    let (mut seen, mut hasher, mut last) = (Seen::default(), DefaultHasher::new(), 0);
    let mut expected: Option<Seen> = None;
    while expected.is_none_or(|expected| seen.commits < expected.commits) {
        let entries = tokio::select! {
            entries = next(&mut stream) => entries,
            made = goal.wait_for(Option::is_some), if expected.is_none() => {
                let log = made.expect("commits are made").clone().expect("a log");
                expected = Some(seen_of(&log, &plans, &types));
                continue;
            }
        };
        for entry in entries {
            assert!(entry.position > last, "{} after {last}", entry.position);
            last = entry.position;
            seen.commits += 1;
            digest(&mut hasher, &entry);
        }
    }
    seen.digest = hasher.finish();
    assert_eq!(Some(seen), expected, "{plans:?} {types:?}");
}

fn seen_of(log: &[LogEntry], plans: &[String], types: &[String]) -> Seen {
    let plans: Vec<&str> = plans.iter().map(String::as_str).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let everything = plans.is_empty() && types.is_empty();
    let mut hasher = DefaultHasher::new();
    let wanted = |entry: &&LogEntry| everything || matches(entry, &plans, &types);
    let commits = log
        .iter()
        .filter(wanted)
        .inspect(|entry| digest(&mut hasher, entry))
        .count();
    Seen {
        commits,
        digest: hasher.finish(),
    }
}

fn digest(hasher: &mut DefaultHasher, entry: &LogEntry) {
    hasher.write_u64(entry.position);
    hasher.write(&entry.commit);
}

async fn next(stream: &mut Streaming<WatchResponse>) -> Vec<LogEntry> {
    let message = tokio::time::timeout(DELIVERY_PATIENCE, stream.message()).await;
    let message = message.expect("a message in time").expect("it goes on");
    match message.and_then(|m| m.response).expect("a response") {
        Response::Entries(entries) => entries.entries,
        Response::CaughtUp(_) | Response::Checkpoint(_) => Vec::new(),
    }
}

/// A watch on a connection of its own, of which little fits between the daemon and its reader.
async fn watch(daemon: &Daemon, request: WatchRequest) -> Streaming<WatchResponse> {
    let stream = daemon.slow_history().await.watch(request).await;
    stream.expect("a watch").into_inner()
}

fn filter_of(watcher: usize) -> (Vec<String>, Vec<String>) {
    match watcher % FILTERED_EVERY {
        0 => (vec![plan_of(watcher / FILTERED_EVERY)], vec![]),
        1 => (vec![], vec!["PlanDescribed".into()]),
        _ => (vec![], vec![]),
    }
}

fn plan_of(number: usize) -> String {
    format!("plan-{}", number % PLANS)
}

/// Makes so many commits, most of a note and some of several events.
async fn write(daemon: &Daemon, commits: usize) {
    for number in 0..PLANS {
        let created = request(&plan_of(number), "create", create_plan());
        daemon.plans().execute(created).await.expect("recorded");
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut client = daemon.plans();
        writers.spawn(async move {
            for number in (PLANS + writer..commits).step_by(WRITERS) {
                let (plan_id, request_id) = (plan_of(number), format!("request-{number}"));
                let request = if number % 9 == 0 {
                    described(&plan_id, &request_id)
                } else {
                    request(&plan_id, &request_id, note(&"x".repeat(NOTE_BYTES)))
                };
                let answer = tokio::time::timeout(PATIENCE, client.execute(request)).await;
                answer.expect("in time").expect("recorded");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("written");
    }
}

fn sample_resident(
    pid: u32,
    peak_kib: Arc<AtomicU64>,
    sampling: Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while sampling.load(Ordering::Relaxed) {
            peak_kib.fetch_max(resident_kib(pid), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
        }
    })
}

/// How much memory a process has resident.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let amount = line.and_then(|line| line.trim().split(' ').next());
    amount.expect("an amount").parse().expect("a number")
}
