//! The only wiring: config -> journal -> view -> writer -> rpc. It answers health from the first
//! moment, opens the gate once recovery has ended, and stops in order: health first, the daemon's own
//! clock, then the calls, the writer, the view, the journal.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{codec::CompressionEncoding, server::NamedService, service::Routes};
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::HealthReporter,
};
use tonic_reflection::pb;

use crate::{
    access::door::{Access, AccessError},
    config::Config,
    feed::Feed,
    gateway::{
        Gateway,
        calls::{Calls, Ended, Noting, Trace, open},
        connections::Bounds,
        tls::{Tls, TlsError},
    },
    journal::{
        Journal, JournalError,
        sled::{SledJournal, SledOptions},
    },
    notary::key::{KeyError, SigningKey},
    proto::{
        FILE_DESCRIPTOR_SET, admin_service_server::AdminServiceServer,
        advice_service_server::AdviceServiceServer, audit_service_server::AuditServiceServer,
        history_service_server::HistoryServiceServer, plan_service_server::PlanServiceServer,
    },
    rpc::{
        Core, Gate, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX,
        admin_service::{Admin, Process, Standing},
        advice_service::Advice,
        audit_service::Audit,
        documented::Documented,
        history_service::History,
        plan_service::Plans,
    },
    telemetry::{
        figures::{self, FiguresError},
        filter,
        otlp::{self, Otlp, OtlpError},
        process,
    },
    view::{View, ViewError},
    writer::{
        WriteFailure, Writer,
        guard::{Guard, Machine},
    },
};

mod lapses;
mod notify;
mod watchdog;

/// The services that health speaks of; the empty name stands for the daemon. It comes last: when the
/// whole serves, each of them does.
const HEALTH_OF: [&str; 6] = [
    PlanServiceServer::<Plans>::NAME,
    HistoryServiceServer::<History>::NAME,
    AdviceServiceServer::<Advice>::NAME,
    AuditServiceServer::<Audit>::NAME,
    AdminServiceServer::<Admin>::NAME,
    "",
];

/// Those of them that are not well while no commit can be made durable. Reads go on, and so does
/// the health of the services that only read.
const WRITING_HEALTH_OF: [&str; 2] = [PlanServiceServer::<Plans>::NAME, ""];

/// The task that serves.
type Serving = tokio::task::JoinHandle<()>;

/// What describes the services, health and reflection.
const DESCRIPTORS: [&[u8]; 4] = [
    FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    pb::v1::FILE_DESCRIPTOR_SET,
    pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Why the daemon did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The log cannot be opened or closed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The key that signs checkpoints cannot be read or made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The view cannot be opened or written.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A commit could not be written.
    #[error("{0}; restart stratad, which recovers the log")]
    Write(#[from] WriteFailure),
    /// The disk of the data directory cannot be asked for its room.
    #[error("opening {}: {source}; see to the rights of the directory", dir.display())]
    Disk {
        /// The data directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no place for the metrics.
    #[error(transparent)]
    Figures(#[from] FiguresError),
    /// Nothing can be sent to the collector.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// The certificate of the daemon cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// It cannot be told who calls.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The published language cannot be served by reflection.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A thread could not be started, or ended without a word.
    #[error("the {0} thread failed")]
    Thread(&'static str),
}

/// Serves `listener` from the data directory of `config` until `stop` completes, then drains and
/// returns. The services themselves are handed to `inside`: whoever calls them there has passed nothing
/// that asks, and must say who calls.
pub async fn run(
    config: Config,
    listener: TcpListener,
    inside: oneshot::Sender<Routes>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DaemonError> {
    let seeing = &config.seeing;
    let otlp = (!seeing.otlp_endpoint.is_empty()).then(|| {
        Otlp::start(otlp::Settings {
            endpoint: &seeing.otlp_endpoint,
            ca_file: seeing.otlp_ca_file.as_deref(),
            traced_of_a_million: seeing.trace_calls_in_a_million,
        })
    });
    let otlp = otlp.transpose()?;
    figures::start(config.metrics_listen, otlp.as_ref().map(Otlp::meter))?;
    let calls = noting(&config, otlp.as_ref());
    let ended = serve_until(config, listener, inside, stop, calls).await;
    if let Some(otlp) = otlp {
        otlp.stop().await;
    }
    ended
}

async fn serve_until(
    config: Config,
    listener: TcpListener,
    inside: oneshot::Sender<Routes>,
    stop: impl Future<Output = ()> + Send + 'static,
    calls: Calls,
) -> Result<(), DaemonError> {
    let gateway = gateway(&config, calls.clone()).await?;
    let tls = gateway.tls.clone();
    let process = Process {
        set_log_filter: filter::set,
        look: Box::new(move || Standing {
            log_filter: filter::in_force(),
            connections: open::connections(),
            calls_under_way: calls.under_way(),
            certificate_expires_at: tls.as_ref().and_then(|tls| tls.expires_at()),
        }),
    };
    let gate = Gate::default();
    let (mut health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::NotServing).await;
    let close = CancellationToken::new();
    let services = services(&gate, health_service)?;
    // Nobody is there unless something is to be recorded to begin with.
    drop(inside.send(services.clone()));
    let mut server = tokio::spawn(gateway.serve(listener, services, &DESCRIPTORS, close.clone()));

    let drain = Duration::from_secs(config.drain_seconds);
    let stop = stop_token(stop);
    let interrupt = stop.clone();
    let opening = tokio::task::spawn_blocking(move || Engine::start(&config, &interrupt, process));
    let opened = tokio::select! {
        opened = opening => opened,
        () = notify::starting() => return Err(DaemonError::Thread("start")),
    };
    let engine = match opened {
        Ok(Ok(engine)) => engine,
        Ok(Err(DaemonError::View(ViewError::Interrupted))) => return Ok(()),
        Ok(Err(error)) => return Err(error),
        Err(_) => return Err(DaemonError::Thread("start")),
    };
    gate.open(engine.core.clone());
    set_health(&health, ServingStatus::Serving).await;
    tracing::info!(head = engine.core.feed.head(), "serving");
    notify::ready();

    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        // What failed is said by the thread itself, below.
        () = engine.ended.cancelled() => Ok(()),
        () = watchdog::look_on(engine.core.clone(), health.clone()) => Ok(()),
        () = lapses::record(engine.core.clone()) => Ok(()),
        _ = &mut server => Err(DaemonError::Thread("server")),
    };

    tracing::info!("stopping");
    notify::stopping();
    set_health(&health, ServingStatus::NotServing).await;
    gate.stop();
    close.cancel();
    end_health_watches(&mut health).await;
    let core = engine.core.clone();
    let stopped = watchdog::look_on_until(core, drain_and_stop(drain, server, engine)).await;
    ended.and(stopped)?;
    tracing::info!("stopped");
    Ok(())
}

/// Gives calls under way their time, then ends what runs behind the services.
async fn drain_and_stop(
    drain: Duration,
    mut server: Serving,
    engine: Engine,
) -> Result<(), DaemonError> {
    if !server.is_finished() && tokio::time::timeout(drain, &mut server).await.is_err() {
        tracing::warn!(
            seconds = drain.as_secs(),
            "calls are still open: closing them"
        );
        server.abort();
    }
    match tokio::task::spawn_blocking(move || engine.stop()).await {
        Ok(stopped) => stopped,
        Err(_) => Err(DaemonError::Thread("stop")),
    }
}

/// A token that is cancelled when `stop` completes, for those who cannot await.
fn stop_token(stop: impl Future<Output = ()> + Send + 'static) -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        stop.await;
        cancel.cancel();
    });
    token
}

/// What runs behind the services.
struct Engine {
    core: Arc<Core>,
    writer: JoinHandle<Result<(), DaemonError>>,
    view_writer: JoinHandle<Result<(), DaemonError>>,
    searches: JoinHandle<Result<(), DaemonError>>,
    /// Cancelled when one of the threads ends, however it does.
    ended: CancellationToken,
}

impl Engine {
    /// Opens the log, brings the view up to it and starts the threads. Takes as long as recovery.
    fn start(
        config: &Config,
        interrupt: &CancellationToken,
        process: Process,
    ) -> Result<Self, DaemonError> {
        let (began, started_at) = (Instant::now(), SystemTime::now());
        process::show_start(started_at);
        let options = SledOptions {
            cache_bytes: config.journal_cache_bytes,
        };
        let journal: Arc<dyn Journal> = Arc::new(SledJournal::open(&config.data_dir, options)?);
        figures::show_phase("log", began.elapsed());
        let signing_key = signing_key(&config.data_dir, journal.as_ref())?;
        let view_began = Instant::now();
        let view = Arc::new(open_view(config, &journal, interrupt)?);
        figures::show_phase("view", view_began.elapsed());
        let machine =
            Machine::with_disk_of(&config.data_dir).map_err(|source| DaemonError::Disk {
                dir: config.data_dir.clone(),
                source,
            })?;
        let last_recorded_at = view.last_recorded_at().unwrap_or_default();
        let guard = Guard::new(machine, config.disk_reserve_bytes, last_recorded_at);
        let feed = Feed::new(journal.clone(), config.recent_commits_bytes);
        let (writer, write) = Writer::new(
            journal.clone(),
            view.clone(),
            feed.clone(),
            config.queue_limit,
            guard.clone(),
        );
        let ended = CancellationToken::new();
        let behind = view.clone();
        let writer_thread = spawn("writer", &ended, move || Ok(write()?))?;
        let view_thread = spawn("view", &ended, move || Ok(behind.write_behind()?))?;
        let searched = view.clone();
        let search_thread = spawn("search", &ended, move || {
            searched.keep_searchable();
            Ok(())
        })?;
        let core = Core {
            journal,
            view,
            feed,
            writer,
            signing_key,
            guard,
            sync_stall: Duration::from_secs(config.sync_stall_seconds),
            started_at,
            plan_cache_bytes: config.plan_cache_bytes,
            process,
        };
        figures::show_phase("all", began.elapsed());
        figures::show_journal_cache(config.journal_cache_bytes);
        Ok(Self {
            core: Arc::new(core),
            writer: writer_thread,
            view_writer: view_thread,
            searches: search_thread,
            ended,
        })
    }

    /// Ends the threads, writes what is left of the view and closes the log.
    fn stop(self) -> Result<(), DaemonError> {
        self.core.writer.stop();
        let written = self
            .writer
            .join()
            .unwrap_or(Err(DaemonError::Thread("writer")));
        self.core.view.stop_writing();
        let behind = self
            .view_writer
            .join()
            .unwrap_or(Err(DaemonError::Thread("view")));
        let searched = self
            .searches
            .join()
            .unwrap_or(Err(DaemonError::Thread("search")));
        let closed = self.core.journal.close().map_err(DaemonError::from);
        written.and(behind).and(searched).and(closed)
    }
}

/// The key of the log, which is made if there is none.
fn signing_key(data_dir: &Path, journal: &dyn Journal) -> Result<SigningKey, KeyError> {
    let (key, is_new) = SigningKey::open(data_dir, *journal.log_id().as_bytes())?;
    let verifier_key = key.verifier_key();
    if is_new && journal.head() > 0 {
        tracing::warn!(
            %verifier_key,
            "the log has commits and no key to sign checkpoints with: made a new one; tell the \
             auditors, or stop stratad and put the old one back by `stratad key restore FILE`"
        );
    } else if is_new {
        tracing::info!(%verifier_key, "made the key that signs checkpoints; `stratad key` shows it");
    }
    Ok(key)
}

/// Opens the view. An old commit that it needs and that is damaged is a refusal like those of the log.
fn open_view(
    config: &Config,
    journal: &Arc<dyn Journal>,
    interrupt: &CancellationToken,
) -> Result<View, DaemonError> {
    let dir = config.data_dir.join("view");
    match View::open(&dir, journal.clone(), config.plan_cache_bytes, interrupt) {
        Err(ViewError::Journal(refusal)) => {
            // So that it can be looked at; what the view met says more than how this ends.
            if let Err(error) = journal.close() {
                tracing::warn!(%error, "the log could not be closed");
            }
            Err(SledJournal::told(&config.data_dir, refusal).into())
        }
        opened => Ok(opened?),
    }
}

fn spawn(
    name: &'static str,
    ended: &CancellationToken,
    body: impl FnOnce() -> Result<(), DaemonError> + Send + 'static,
) -> Result<JoinHandle<Result<(), DaemonError>>, DaemonError> {
    let guard = ended.clone().drop_guard();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _guard = guard;
            body()
        })
        .map_err(|_| DaemonError::Thread(name))
}

/// What is noted of calls.
fn noting(config: &Config, otlp: Option<&Otlp>) -> Calls {
    let slow = config.seeing.slow_call_milliseconds;
    let noting = Noting {
        log: config.seeing.call_log,
        slow: (slow > 0).then(|| Duration::from_millis(slow)),
    };
    let trace = otlp.map(|otlp| {
        let tracer = otlp.tracer();
        Box::new(move |call: &Ended| tracer.trace(call)) as Trace
    });
    Calls::new(noting, trace)
}

/// What calls come through. Reads the files that it needs.
async fn gateway(config: &Config, calls: Calls) -> Result<Gateway, DaemonError> {
    let access = config.access.settings();
    let opening = tokio::task::spawn_blocking(move || Access::open(&access));
    Ok(Gateway {
        calls,
        tls: config.serving.tls_files().map(Tls::open).transpose()?,
        access: opening.await.map_err(|_| DaemonError::Thread("start"))??,
        origins: config.serving.cors_origins.clone(),
        bounds: Bounds {
            connections_max: config.serving.max_connections,
            per_address_max: config.serving.max_connections_per_address,
            idle: Duration::from_secs(config.serving.idle_seconds),
        },
        limits: config.limits.clone(),
    })
}

/// Serves all services until `close` is cancelled and the calls under way have ended.
fn services<H: Health>(gate: &Gate, health: HealthServer<H>) -> Result<Routes, DaemonError> {
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure();
        DESCRIPTORS
            .into_iter()
            .fold(builder, |builder, set| {
                builder.register_encoded_file_descriptor_set(set)
            })
            .include_reflection_service(false)
    };
    let plans = PlanServiceServer::new(Plans::new(gate.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let history = HistoryServiceServer::new(History::new(gate.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let advice = AdviceServiceServer::new(Advice::new(gate.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let audit = AuditServiceServer::new(Audit::new(gate.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let admin = AdminServiceServer::new(Admin::new(gate.clone()))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    Ok(Routes::new(health)
        .add_service(Documented(plans))
        .add_service(Documented(history))
        .add_service(Documented(advice))
        .add_service(Documented(audit))
        .add_service(Documented(admin))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in HEALTH_OF {
        health.set_service_status(service, status).await;
    }
}

/// A watch of health has no end of its own, so one would hold up the stop until its time is over.
/// Those that are open still send the last status.
async fn end_health_watches(health: &mut HealthReporter) {
    for service in HEALTH_OF {
        health.clear_service_status(service).await;
    }
}
