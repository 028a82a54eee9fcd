//! The 64 clients that write to plans of their own meanwhile, each waiting for an answer before it
//! sends again.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use strata::proto::plan_service_client::PlanServiceClient;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::{self, MissedTickBehavior},
};
use tonic::transport::{Channel, Endpoint};

use crate::writing;

/// How many clients write.
const CLIENTS: usize = 64;
/// How many of them share a connection.
const CLIENTS_A_CONNECTION: usize = 8;
/// How many commits a second they send together when they keep a pace: far more than people make, and
/// what a daemon has to do beside the questions.
const PACE: u32 = 4_000;
/// How far behind the daemon their threads stand in the queue for a processor.
const NICE: i32 = 19;
/// A client begins a new plan after so many commits.
const PLAN_COMMITS: u64 = 500;

type Failure = Box<dyn Error + Send + Sync>;

/// How fast they write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// So many commits a second together, so that something is left of the processors.
    Steady,
    /// Each sends again as soon as it was answered: all that the machine gives.
    Full,
}

/// How long writing took.
pub(crate) struct Written {
    latencies: Vec<Duration>,
    took: Duration,
}

impl Written {
    /// Its percentiles and rate.
    pub(crate) fn shown(&self) -> String {
        let mut latencies = self.latencies.clone();
        let count = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
        let rate = f64::from(count) / self.took.as_secs_f64();
        format!("{} {rate:>8.0}", crate::shown(&mut latencies))
    }
}

/// Clients that write until they are told to stop.
pub(crate) struct Writers {
    clients: JoinSet<Result<(), Failure>>,
    machine: Runtime,
    latencies: Arc<Mutex<Vec<Duration>>>,
    stop: Arc<AtomicBool>,
    since: Mutex<Instant>,
}

impl Writers {
    /// Starts them, on threads of their own that leave the processors to the daemon and to the one who
    /// asks: in life each of them has a machine of its own.
    pub(crate) async fn start(url: &str, pace: Pace) -> Result<Self, Box<dyn Error>> {
        let machine = Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(|| {
                // Of this thread only, as Linux has it. Where it is refused, the load weighs more.
                let _ = rustix::process::nice(NICE);
            })
            .enable_all()
            .build()?;
        let mut writers = Self {
            clients: JoinSet::new(),
            machine,
            latencies: Arc::default(),
            stop: Arc::default(),
            since: Mutex::new(Instant::now()),
        };
        let mut channel = None;
        for number in 0..CLIENTS {
            if number % CLIENTS_A_CONNECTION == 0 {
                let connect = Endpoint::from_shared(url.to_owned())?;
                let connected = writers
                    .machine
                    .spawn(async move { connect.connect().await });
                channel = Some(connected.await??);
            }
            let plans = PlanServiceClient::new(channel.clone().ok_or("no connection")?);
            let (latencies, stop) = (writers.latencies.clone(), writers.stop.clone());
            let client = write(plans, latencies, stop, beat(pace, number));
            writers.clients.spawn_on(client, writers.machine.handle());
        }
        Ok(writers)
    }

    /// Forgets what was measured so far.
    pub(crate) fn forget(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = Instant::now();
        self.latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Stops them.
    pub(crate) async fn stop(mut self) -> Result<Written, Box<dyn Error>> {
        let written = self.written();
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client?.map_err(|failure| failure.to_string())?;
        }
        self.machine.shutdown_background();
        Ok(written)
    }

    fn written(&self) -> Written {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Written {
            latencies: std::mem::take(&mut *latencies),
            took: since.elapsed(),
        }
    }
}

/// Lets them write for a while with nothing else asked.
pub(crate) async fn write_for(
    url: &str,
    pace: Pace,
    time: Duration,
) -> Result<Written, Box<dyn Error>> {
    let writers = Writers::start(url, pace).await?;
    tokio::time::sleep(crate::WARM_UP).await;
    writers.forget();
    tokio::time::sleep(time).await;
    writers.stop().await
}

async fn write(
    mut plans: PlanServiceClient<Channel>,
    latencies: Arc<Mutex<Vec<Duration>>>,
    stop: Arc<AtomicBool>,
    beat: Option<(Duration, Duration)>,
) -> Result<(), Failure> {
    let mut beat = beat.map(|(first, period)| {
        let mut beat = time::interval_at(time::Instant::now() + first, period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat
    });
    while !stop.load(Ordering::Relaxed) {
        let plan_id = uuid::Uuid::new_v4().to_string();
        for revision in 0..PLAN_COMMITS {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if let Some(beat) = &mut beat {
                beat.tick().await;
            }
            let sent = Instant::now();
            plans.execute(writing::request(&plan_id, revision)).await?;
            let latency = sent.elapsed();
            latencies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(latency);
        }
    }
    Ok(())
}

/// When a client sends first, and how long it then waits from one request to the next.
fn beat(pace: Pace, number: usize) -> Option<(Duration, Duration)> {
    let clients = u32::try_from(CLIENTS).unwrap_or(u32::MAX);
    let period = Duration::from_secs(1) * clients / PACE;
    let share = period * u32::try_from(number).unwrap_or_default() / clients;
    (pace == Pace::Steady).then_some((share, period))
}
