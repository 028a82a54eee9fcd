//! `stratad serve`: resolves the configuration, opens the door, and runs the daemon until it is
//! told to stop.

use std::{
    collections::BTreeMap,
    env, io,
    io::{IsTerminal as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    process,
    time::Duration,
};

use clap::{Arg, ArgMatches, Args, FromArgMatches};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    access::Principal,
    cli::{
        import::{ImportError, lines::Source},
        remote,
    },
    config::{
        self, Config, ConfigError,
        keys::{self, Form, VARIABLE_PREFIX},
    },
    daemon::{self, DaemonError},
    telemetry,
};

mod beginning;

/// What `stratad serve` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to read the configuration from.
    #[arg(
        long,
        value_name = "FILE",
        help = "Read the configuration from this TOML file [env: STRATA_CONFIG]"
    )]
    pub config: Option<PathBuf>,
    /// A file of requests to begin with.
    #[arg(
        long,
        value_name = "FILE.jsonl",
        help = "Record the requests of this file, as `stratad import` does, and go on serving"
    )]
    pub import: Option<PathBuf>,
    /// The keys of the configuration.
    #[command(flatten)]
    pub keys: KeyFlags,
}

/// The flags that were given, by the name of their key: made from the table of keys, and checked
/// with the other layers of the configuration.
#[derive(Debug, Default)]
pub struct KeyFlags(pub BTreeMap<String, String>);

/// Why the daemon did not run, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// What it was told cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {error}; {advice}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The system refused what every daemon needs.
    #[error("cannot {attempt}: {error}")]
    System {
        /// What was attempted.
        attempt: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// What it was to begin with is not recorded, so it does not go on.
    #[error("--import: {0}")]
    Import(#[from] ImportError),
    /// The daemon itself.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
}

/// What `stratad serve --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Run the daemon. It serves the gRPC API, gRPC-Web for browsers, health and reflection on one \
address, and runs until SIGTERM or SIGINT: calls under way are then given time to end, and a second \
signal ends it at once.

A flag counts before its variable in the environment, which counts before the file, which counts \
before the default. All mistakes are reported at once.

With --import the daemon records the requests of a file once it serves, and is reached by others \
meanwhile. What was recorded before is replayed, so the flag may stay for the next start. While disk \
or clock hinder recording it waits and serves on. When a line is refused the daemon stops and says \
which.";

/// What `stratad serve --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad serve
  stratad serve --listen 127.0.0.1:7500 --data-dir /var/lib/strata
  stratad serve --import history.jsonl
  STRATA_LOG=info,strata=debug stratad serve --config /etc/strata/strata.toml

See that it works:
  grpcurl -plaintext localhost:7421 list
  grpcurl -plaintext localhost:7421 strata.v1.AdminService/GetStatus";

/// How long work that was left behind may go on after the daemon has returned.
const LEFTOVERS_SECONDS_MAX: u64 = 5;

impl FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for key in keys::all() {
            if let Some(text) = matches.get_one::<String>(key.name) {
                self.0.insert(key.name.to_owned(), text.clone());
            }
        }
        Ok(())
    }
}

impl Args for KeyFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        keys::all().fold(command, |command, key| {
            let default = key.default_text();
            let variable = key.variable();
            let flag = Arg::new(key.name)
                .long(key.flag)
                .value_name(key.value_name)
                .help(format!(
                    "{} [default: {default}] [env: {variable}]",
                    key.meaning
                ));
            command.arg(if key.form == Form::Switch {
                flag.num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
            } else {
                // So that a negative number is refused with all else that is wrong.
                flag.allow_hyphen_values(true)
            })
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Runs the daemon until it is told to stop.
pub fn run(arguments: Arguments) -> Result<(), ServeError> {
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
        // A shell in which clients are run may also start a daemon.
        .filter(|(name, _)| !remote::VARIABLES.contains(&name.as_str()))
        .collect();
    let config = config::load(&arguments.keys.0, &environment, arguments.config)?;
    telemetry::init(&config.log, config.log_format);
    let beginning = arguments.import.map(|path| beginning::check(&path));
    let beginning = beginning.transpose()?;
    let runtime = Runtime::new().map_err(|error| ServeError::System {
        attempt: "start the runtime",
        error,
    })?;
    let outcome = runtime.block_on(serve(config, beginning));
    runtime.shutdown_timeout(Duration::from_secs(LEFTOVERS_SECONDS_MAX));
    outcome
}

async fn serve(config: Config, beginning: Option<Source>) -> Result<(), ServeError> {
    let refused = |error: io::Error| ServeError::Listen {
        address: config.listen,
        advice: advice_on(error.kind()),
        error,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let stop = stop_signal()?;
    info!(%address, data_dir = %config.data_dir.display(), "listening");
    if io::stderr().is_terminal() && config.log_format.is_human() {
        writeln!(
            io::stderr(),
            "Try it: grpcurl -plaintext {address} list\nStop it: Ctrl-C"
        )
        .ok();
    }
    run_until(stop, beginning, config, listener).await
}

/// Runs the daemon until `stop` completes or what it was to begin with is refused.
async fn run_until(
    stop: impl Future<Output = ()>,
    beginning: Option<Source>,
    config: Config,
    listener: TcpListener,
) -> Result<(), ServeError> {
    let stopping = CancellationToken::new();
    let principal = if config.access.is_required() {
        Principal::daemon()
    } else {
        Principal::anonymous()
    };
    let (inside, services) = oneshot::channel();
    let mut running = pin!(daemon::run(
        config,
        listener,
        inside,
        stopping.clone().cancelled_owned()
    ));
    let begun = async {
        match (beginning, services.await) {
            (Some(requests), Ok(services)) => {
                beginning::record(&requests, services, principal).await
            }
            // Nothing to record, or a daemon that did not start, which says so itself.
            (None, _) | (_, Err(_)) => Ok(()),
        }
    };
    let outcome = tokio::select! {
        ended = &mut running => return Ok(ended?),
        () = stop => Ok(()),
        // Once all is recorded, this arm falls silent and the others are waited for.
        Err(error) = begun => {
            error!(%error, "the import ended early: stopping");
            Err(error)
        }
    };
    stopping.cancel();
    running.await?;
    Ok(outcome?)
}

fn advice_on(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::AddrInUse {
        "is another stratad running? Stop it, or choose another port with --listen"
    } else if kind == io::ErrorKind::PermissionDenied {
        "choose a port above 1023 with --listen"
    } else {
        "choose another address with --listen"
    }
}

/// Ready at the first SIGTERM or SIGINT; the second one ends the process.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, ServeError> {
    let cannot = |error| ServeError::System {
        attempt: "wait for signals",
        error,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(cannot)?;
    tokio::spawn(async move {
        // Otherwise it would end the process without a word. Files that may change are followed anyway.
        while hangup.recv().await.is_some() {
            let outcome = telemetry::filter::set("", None);
            let filter = outcome.map_or_else(|wrong| wrong, |changed| changed.filter);
            info!(signal = "SIGHUP", filter, "logging as configured");
        }
    });
    let (told, stop) = oneshot::channel();
    tokio::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        info!(signal = name, "stopping; a second signal ends at once");
        told.send(()).ok();
        let name = either(&mut terminate, &mut interrupt).await;
        warn!(signal = name, "ended at once");
        telemetry::lines::end();
        process::exit(1);
    });
    Ok(async {
        // The sender is dropped only with the runtime, when stopping is right as well.
        stop.await.ok();
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
