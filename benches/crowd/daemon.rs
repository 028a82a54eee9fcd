//! The daemon that the crowd comes to.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Failure, process::Process};

/// How long a daemon may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often one that is starting is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(5);

/// A daemon that serves.
pub(crate) struct Daemon {
    process: Process,
    metrics: SocketAddr,
    _dir: TempDir,
}

/// The resident memory of a process, in bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) now: u64,
    /// At most, since it was started.
    pub(crate) most: u64,
}

/// Lets this process and those that it starts open as many files as the system allows, and says how
/// many that is.
pub(crate) fn allow_files() -> Result<u64, Failure> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

impl Daemon {
    /// Starts one with more arguments, in a directory that is made ready first, and waits until it
    /// serves.
    pub(crate) async fn start(
        prepare: impl FnOnce(&Path) -> Result<Vec<String>, Failure>,
    ) -> Result<Self, Failure> {
        // Beside the build, which is on a disk; /tmp may be memory.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let arguments = prepare(dir.path())?;
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = stratad();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--log", "error,strata=info"])
            .args(["--metrics-listen", &metrics.to_string()])
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(arguments);
        let process = Process::start(command).map_err(|error| error.to_string())?;
        let daemon = Self {
            process,
            metrics,
            _dir: dir,
        };
        daemon.wait_until_serving().await?;
        Ok(daemon)
    }

    async fn wait_until_serving(&self) -> Result<(), Failure> {
        let mut health = HealthClient::new(self.connect().await?);
        let started = Instant::now();
        loop {
            let checked = health.check(HealthCheckRequest::default()).await?;
            if checked.into_inner().status == ServingStatus::Serving as i32 {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err("stratad does not serve".into());
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Channel, Failure> {
        let endpoint = Endpoint::from_shared(self.process.url().to_owned())?;
        Ok(endpoint.connect().await?)
    }

    /// Where it listens: host and port.
    pub(crate) fn address(&self) -> String {
        self.process.url().trim_start_matches("http://").to_owned()
    }

    /// What it takes of the memory.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kilobytes.map_or(0, |kilobytes: u64| kilobytes << 10)
        };
        Ok(Memory {
            now: bytes("VmRSS:"),
            most: bytes("VmHWM:"),
        })
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> Result<usize, Failure> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.process.pid()))?.count())
    }

    /// What it counted under names that begin so.
    pub(crate) fn counted(&self, prefix: &str) -> Result<Vec<(String, u64)>, Failure> {
        let mut stream = TcpStream::connect(self.metrics)?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        let counted = page.lines().filter_map(|line| {
            let (name, count) = line.strip_prefix(prefix)?.rsplit_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        });
        Ok(counted.collect())
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        self.process
            .stop()
            .map_err(|error| error.to_string().into())
    }
}

/// The token of a principal that is added to an access file.
pub(crate) fn token(access_file: &PathBuf, name: &str) -> Result<String, Failure> {
    let mut command = stratad();
    command
        .args(["token", "add", "--name", name, "--role", "planner"])
        .arg("--access-file")
        .arg(access_file);
    let made = command.output()?;
    if made.status.success() {
        Ok(String::from_utf8(made.stdout)?.trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&made.stderr).into())
    }
}

fn stratad() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stratad"))
}
