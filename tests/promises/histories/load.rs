//! A load that breaks promises if anything does: clients that write, retry, give up and read at once,
//! on one plan more than on all others, while the daemon is stopped and killed under them. All that
//! chance decides comes from one seed; what the threads make of it differs from run to run.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use strata::proto::{
    ExecuteRequest, GetPlanRequest, ListEventsRequest, ListPlansRequest, PlanView, Point,
    ReadLogRequest, WatchRequest, point, read_log_request, watch_request, watch_response::Response,
};
use tokio::{sync::watch, task::JoinSet};

use super::{
    client::{Client, Patience},
    record::{History, Log, Outcome, Recorder, Root, Start, Unknown},
    requests::{self, PLANS},
    validators::root_of,
};
use crate::{
    chance::Chance,
    daemon::{Daemon, PATIENCE},
    reading::whole_log,
};

/// How often the daemon is started under load.
const LIVES: u64 = 4;
const CLIENTS: usize = 6;
/// Clients of this number on send what another one sends at the same time.
const TWINS: usize = 100;
/// Who looks on after each start and at the end.
const AUDITOR: usize = 200;
/// How many calls end before the daemon does, at most.
const CALLS_OF_A_LIFE: u64 = 400;
/// How long a call lives that ends before its answer, at most: about as long as answers take.
const HASTE_MICROS: u64 = 4_000;
/// How many requests are remembered to be sent again.
const REMEMBERED_MAX: usize = 300;

/// What the clients know in common.
struct World {
    recorder: Recorder,
    number: AtomicU64,
    /// The highest position that anybody was answered.
    head: AtomicU64,
    /// The highest revision of each plan that anybody was answered.
    revisions: [AtomicU64; PLANS.len()],
    /// Sent, and not answered: to be sent again.
    unsettled: Mutex<Vec<ExecuteRequest>>,
    /// Answered: to be sent again, too.
    recorded: Mutex<Vec<ExecuteRequest>>,
    calls: watch::Sender<u64>,
}

/// One client at work.
struct Worker {
    world: Arc<World>,
    client: Client,
    id: usize,
    chance: Chance,
}

/// A watch that outlives daemons.
type Resumed = (WatchRequest, u64);

/// Records one history in `dir`, and the log at its end.
pub(super) async fn record(dir: &Path, seed: u64) -> (History, Log) {
    let mut chance = Chance::of_seed(seed);
    let world = Arc::new(World {
        recorder: Recorder::default(),
        number: AtomicU64::new(0),
        head: AtomicU64::new(0),
        revisions: [const { AtomicU64::new(0) }; PLANS.len()],
        unsettled: Mutex::default(),
        recorded: Mutex::default(),
        calls: watch::Sender::new(0),
    });
    let mut watches: Vec<Resumed> = vec![
        (WatchRequest::default(), 1),
        (requests::watch_of(PLANS[0]), 1),
        (requests::watch_of(PLANS[1]), 1),
    ];
    for life in 0..LIVES {
        let daemon = start_with(dir, &world.recorder, any_settings(&mut chance)).await;
        let from = chance.below(daemon.head().await + 1) + 1;
        watches.push((from_position(from), from));
        watches = live(daemon, &world, watches, life, &mut chance).await;
    }
    let daemon = start(dir, &world.recorder).await;
    settle(&daemon, &world).await;
    let head = daemon.head().await;
    let auditor = Client::new(&daemon, &world.recorder, AUDITOR);
    look_at_all(&auditor).await;
    for (request, from) in watches {
        let reached_head = |response: &Response| super::validators::reached(response) >= head;
        let watch = auditor.watch(request, from, reached_head);
        let ended = tokio::time::timeout(PATIENCE, watch).await;
        ended.expect("a watch reaches the head");
    }
    let log = Log::of(whole_log(&daemon).await);
    daemon.stop().await;
    (world.recorder.history(), log)
}

/// Settings under which little is at hand or can wait, or those of everyday.
fn any_settings(chance: &mut Chance) -> &'static [&'static str] {
    match chance.below(4) {
        0 => &[
            "--plan-cache-bytes",
            "64KiB",
            "--recent-commits-bytes",
            "64KiB",
        ],
        1 => &["--queue-limit", "1", "--drain-seconds", "0"],
        _ => &[],
    }
}

/// Starts the daemon and writes down what it found.
pub(super) async fn start(dir: &Path, recorder: &Recorder) -> Daemon {
    start_with(dir, recorder, &[]).await
}

async fn start_with(dir: &Path, recorder: &Recorder, settings: &[&str]) -> Daemon {
    let daemon = Daemon::start_with(dir, settings).await;
    let at = recorder.now();
    let head = daemon.head().await;
    let log = whole_log(&daemon).await;
    recorder.note(|history| {
        history.starts.push(Start { at, head });
        history.roots.push(Root {
            size: log.len(),
            root: root_of(&log),
        });
    });
    daemon
}

/// Lets all clients loose on a daemon, ends it among them, and returns how watches go on.
async fn live(
    daemon: Daemon,
    world: &Arc<World>,
    watches: Vec<Resumed>,
    life: u64,
    chance: &mut Chance,
) -> Vec<Resumed> {
    let mut onlookers = JoinSet::new();
    for (request, from) in watches {
        let client = Client::new(&daemon, &world.recorder, AUDITOR);
        onlookers.spawn(async move { client.watch(request, from, |_| false).await });
    }
    let mut workers = JoinSet::new();
    for id in 0..CLIENTS {
        let worker = Worker {
            world: world.clone(),
            client: Client::new(&daemon, &world.recorder, id),
            id,
            chance: Chance::of_seed(chance.below(u64::MAX)),
        };
        workers.spawn(worker.work(life == 0));
    }
    let mut calls = world.calls.subscribe();
    let enough = *calls.borrow() + CALLS_OF_A_LIFE / 4 + chance.below(CALLS_OF_A_LIFE * 3 / 4);
    let enough = calls.wait_for(|calls| *calls > enough);
    let enough = tokio::time::timeout(PATIENCE, enough).await;
    drop(enough.expect("called in time").expect("a world"));
    if chance.below(2) == 0 {
        daemon.stop().await;
    } else {
        world.recorder.note(|history| history.kills += 1);
        daemon.kill();
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker");
    }
    let mut resumed = Vec::new();
    while let Some(watch) = onlookers.join_next().await {
        resumed.push(watch.expect("a watcher"));
    }
    resumed
}

/// Sends all that was not answered until it is.
async fn settle(daemon: &Daemon, world: &Arc<World>) {
    let unsettled = std::mem::take(&mut *world.unsettled.lock().expect("requests"));
    let client = Client::new(daemon, &world.recorder, AUDITOR);
    for request in unsettled {
        client.execute(request, Patience::Endless).await;
    }
}

async fn look_at_all(client: &Client) {
    for plan_id in PLANS {
        let plan_id = plan_id.to_owned();
        client
            .get_plan(GetPlanRequest {
                plan_id: plan_id.clone(),
                ..Default::default()
            })
            .await;
        client.list_events(newest(&plan_id, 0)).await;
    }
    client.list_plans(all_plans(0)).await;
    client.read_log(ReadLogRequest::default()).await;
}

impl Worker {
    /// Calls until the daemon is gone.
    async fn work(mut self, begins: bool) {
        if begins {
            for plan in 0..PLANS.len() {
                let create = requests::create(plan, self.id);
                self.write(create, Patience::Endless).await;
            }
        }
        loop {
            let outcome = self.call().await;
            self.world.calls.send_modify(|calls| *calls += 1);
            if matches!(outcome, Outcome::Unknown(Unknown::Lost)) {
                return;
            }
        }
    }

    async fn call(&mut self) -> Outcome {
        match self.chance.below(100) {
            0..40 => {
                let (request, patience) = (self.fresh(), self.patience());
                self.write(request, patience).await
            }
            40..50 => self.retry().await,
            50..54 => {
                let Some(again) = self.remembered() else {
                    return self.list_plans().await;
                };
                self.write(again, Patience::Endless).await
            }
            54..58 => {
                let Some(again) = self.remembered() else {
                    return self.list_plans().await;
                };
                let other = ExecuteRequest {
                    commands: self.fresh().commands,
                    ..again
                };
                self.client.execute(other, Patience::Endless).await
            }
            58..63 => self.twins().await,
            63..69 => self.pipeline().await,
            69..73 => {
                let request = ExecuteRequest {
                    validate_only: true,
                    ..self.fresh()
                };
                self.client.execute(request, Patience::Endless).await
            }
            73..74 => {
                let nothing = ExecuteRequest {
                    commands: Vec::new(),
                    ..self.fresh()
                };
                self.client.execute(nothing, Patience::Endless).await
            }
            74..86 => self.get_plan().await,
            86..91 => self.list_plans().await,
            91..97 => {
                let (plan, least) = (requests::any_plan(&mut self.chance), self.least());
                self.client.list_events(newest(PLANS[plan], least)).await
            }
            _ => {
                let from = self.chance.below(self.head()) + 1;
                let request = ReadLogRequest {
                    start: Some(read_log_request::Start::FromPosition(from)),
                    min_position: self.least(),
                    ..Default::default()
                };
                self.client.read_log(request).await
            }
        }
    }

    fn fresh(&mut self) -> ExecuteRequest {
        let plan = requests::any_plan(&mut self.chance);
        let number = self.world.number.fetch_add(1, Ordering::Relaxed);
        let revision = self.world.revisions[plan].load(Ordering::Relaxed);
        let name = format!("c{}-{number}", self.id);
        requests::fresh(plan, &name, revision, &mut self.chance)
    }

    fn patience(&mut self) -> Patience {
        let haste = Duration::from_micros(self.chance.below(HASTE_MICROS));
        match self.chance.below(10) {
            0 => Patience::Deadline(haste),
            1 => Patience::Drop(haste),
            _ => Patience::Endless,
        }
    }

    /// Sends a request and remembers what became of it.
    async fn write(&mut self, request: ExecuteRequest, patience: Patience) -> Outcome {
        let outcome = self.client.execute(request.clone(), patience).await;
        self.learn(request, &outcome);
        outcome
    }

    fn learn(&mut self, request: ExecuteRequest, outcome: &Outcome) {
        match outcome {
            Outcome::Executed(response) => {
                let position = response.entry.as_ref().map_or(0, |entry| entry.position);
                self.world.head.fetch_max(position, Ordering::Relaxed);
                if let Some(plan) = PLANS.iter().position(|id| *id == request.plan_id) {
                    self.world.revisions[plan].fetch_max(response.revision, Ordering::Relaxed);
                }
                let mut recorded = self.world.recorded.lock().expect("requests");
                if recorded.len() < REMEMBERED_MAX {
                    recorded.push(request);
                }
            }
            // Some are never heard of again.
            Outcome::Unknown(_) if self.chance.below(8) > 0 => {
                self.world.unsettled.lock().expect("requests").push(request);
            }
            Outcome::Unknown(_)
            | Outcome::Refused(_)
            | Outcome::Plan(_)
            | Outcome::Plans(_)
            | Outcome::Events(_)
            | Outcome::Entries(_) => {}
        }
    }

    /// Sends what somebody was not answered.
    async fn retry(&mut self) -> Outcome {
        let unsettled = self.world.unsettled.lock().expect("requests").pop();
        let request = unsettled.unwrap_or_else(|| self.fresh());
        let patience = self.patience();
        self.write(request, patience).await
    }

    fn remembered(&mut self) -> Option<ExecuteRequest> {
        let recorded = self.world.recorded.lock().expect("requests");
        let index = self.chance.below(recorded.len() as u64);
        recorded.get(usize::try_from(index).ok()?).cloned()
    }

    /// One request by two clients at once, and at times an impatient one.
    async fn twins(&mut self) -> Outcome {
        let unsettled = self.world.unsettled.lock().expect("requests").pop();
        let request = unsettled.unwrap_or_else(|| self.fresh());
        let (twin, patience) = (self.client.named(self.id + TWINS), self.patience());
        let (outcome, _) = tokio::join!(
            self.client.execute(request.clone(), patience),
            twin.execute(request.clone(), Patience::Endless),
        );
        self.learn(request, &outcome);
        outcome
    }

    async fn pipeline(&mut self) -> Outcome {
        let count = 2 + self.chance.below(6);
        let mut sent: Vec<_> = (0..count).map(|_| self.fresh()).collect();
        if let Some(again) = self.remembered() {
            sent.push(again);
        }
        let outcomes = self.client.pipeline(sent.clone()).await;
        let mut last = Outcome::Unknown(Unknown::Lost);
        for (request, outcome) in sent.into_iter().zip(outcomes) {
            self.learn(request, &outcome);
            last = outcome;
        }
        last
    }

    async fn get_plan(&mut self) -> Outcome {
        let plan = requests::any_plan(&mut self.chance);
        let revision = self.world.revisions[plan].load(Ordering::Relaxed);
        let as_of = match self.chance.below(8) {
            0 => Some(point::Point::Revision(self.chance.below(revision) + 1)),
            1 => Some(point::Point::Position(self.chance.below(self.head()) + 1)),
            2 => Some(point::Point::Position(self.head().max(1))),
            _ => None,
        };
        let basic = self.chance.below(4) == 0;
        let request = GetPlanRequest {
            plan_id: PLANS[plan].to_owned(),
            as_of: as_of.map(|point| Point { point: Some(point) }),
            view: i32::from(if basic {
                PlanView::Basic
            } else {
                PlanView::Full
            }),
            min_position: self.least(),
        };
        self.client.get_plan(request).await
    }

    async fn list_plans(&mut self) -> Outcome {
        let least = self.least();
        self.client.list_plans(all_plans(least)).await
    }

    /// The position to wait for, now and then.
    fn least(&mut self) -> u64 {
        if self.chance.below(3) == 0 {
            self.head()
        } else {
            0
        }
    }

    fn head(&self) -> u64 {
        self.world.head.load(Ordering::Relaxed)
    }
}

fn all_plans(min_position: u64) -> ListPlansRequest {
    ListPlansRequest {
        page_size: 1_000,
        min_position,
        ..Default::default()
    }
}

fn newest(plan_id: &str, min_position: u64) -> ListEventsRequest {
    ListEventsRequest {
        plan_id: plan_id.to_owned(),
        newest_first: true,
        page_size: 20,
        min_position,
        ..Default::default()
    }
}

fn from_position(position: u64) -> WatchRequest {
    WatchRequest {
        start: Some(watch_request::Start::FromPosition(position)),
        ..Default::default()
    }
}
