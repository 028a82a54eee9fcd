//! The two servers, each a process of its own that ends with this one: the daemon, and this program
//! once more as the bare server.

use std::{env, error::Error, fs, path::Path, process::Command, time::Duration};

use strata::proto::{
    GetStatusRequest, admin_service_client::AdminServiceClient,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use crate::process::Process;

/// The argument that makes this program the bare server.
pub(crate) const ECHO: &str = "echo-server";

/// How many connections the clients share.
const CONNECTIONS: usize = 8;
/// How long the daemon may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);
/// The unit of processor times in `/proc` on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// A running server.
pub(crate) struct Server {
    process: Process,
    channels: Vec<Channel>,
}

impl Server {
    /// The daemon, on a new log in `data_dir`.
    pub(crate) async fn stratad(data_dir: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log-format",
                "json",
                "--data-dir",
            ])
            .arg(data_dir);
        let server = Self::start(command).await?;
        // It listens before it serves.
        let started = std::time::Instant::now();
        while server.head().await.is_err() {
            if started.elapsed() > PATIENCE {
                return Err("stratad does not serve".into());
            }
            tokio::task::yield_now().await;
        }
        Ok(server)
    }

    /// The bare server, with the answers in `answers`.
    pub(crate) async fn echo(answers: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(ECHO).arg(answers);
        Self::start(command).await
    }

    async fn start(command: Command) -> Result<Self, Box<dyn Error>> {
        let process = Process::start(command)?;
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            let endpoint = Endpoint::from_shared(process.url().to_owned())?;
            channels.push(endpoint.connect().await?);
        }
        Ok(Self { process, channels })
    }

    /// A client of `PlanService`; neighbours in number use different connections.
    pub(crate) fn plans(&self, number: usize) -> PlanServiceClient<Channel> {
        PlanServiceClient::new(self.channels[number % CONNECTIONS].clone())
    }

    /// A client of `HistoryService`.
    pub(crate) fn history(&self) -> HistoryServiceClient<Channel> {
        HistoryServiceClient::new(self.channels[0].clone())
    }

    /// The position of the daemon's last commit.
    pub(crate) async fn head(&self) -> Result<u64, Box<dyn Error>> {
        let mut admin = AdminServiceClient::new(self.channels[0].clone());
        let status = admin.get_status(GetStatusRequest {}).await?;
        Ok(status.into_inner().head_position)
    }

    /// What the process has used of the processors so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.pid()))?;
        // Fields are counted behind the name, which may hold spaces: user and system time are the
        // 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').ok_or("no process")?;
        let mut ticks = 0.0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<f64>()?;
        }
        Ok(Duration::from_secs_f64(ticks / TICKS_A_SECOND))
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(self) -> Result<(), Box<dyn Error>> {
        // It waits for calls under way, not for connections.
        drop(self.channels);
        self.process.stop()
    }
}
