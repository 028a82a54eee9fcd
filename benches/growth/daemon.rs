//! The daemon whose growth is measured, and the connection to it.

use std::{
    error::Error,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use strata::proto::{
    GetStatusRequest, admin_service_client::AdminServiceClient,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use crate::process::Process;

/// How long a daemon may take until it serves. The view of a long log is rebuilt for minutes.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// How often one that is starting is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(2);

/// A daemon that serves.
pub(crate) struct Daemon {
    process: Process,
    channel: Channel,
}

/// The program.
pub(crate) fn stratad() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stratad"))
}

impl Daemon {
    /// Starts one on a data directory and waits until it serves.
    pub(crate) async fn start(data_dir: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = stratad();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--data-dir")
            .arg(data_dir);
        let process = Process::start(command)?;
        let endpoint = Endpoint::from_shared(process.url().to_owned())?;
        let daemon = Self {
            channel: endpoint.connect().await?,
            process,
        };
        let started = Instant::now();
        while daemon.head().await.is_err() {
            if started.elapsed() > PATIENCE {
                return Err("stratad does not serve".into());
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
        Ok(daemon)
    }

    /// The position of its last commit.
    pub(crate) async fn head(&self) -> Result<u64, Box<dyn Error>> {
        let status = self.admin().get_status(GetStatusRequest {}).await?;
        Ok(status.into_inner().head_position)
    }

    /// A client of `AdminService`.
    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// A client of `PlanService`, on a connection of its own.
    pub(crate) async fn plans(&self) -> Result<PlanServiceClient<Channel>, Box<dyn Error>> {
        let endpoint = Endpoint::from_shared(self.process.url().to_owned())?;
        Ok(PlanServiceClient::new(endpoint.connect().await?))
    }

    /// A client of `HistoryService`.
    pub(crate) fn history(&self) -> HistoryServiceClient<Channel> {
        HistoryServiceClient::new(self.channel.clone())
    }

    /// Its process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(self) -> Result<(), Box<dyn Error>> {
        self.process.stop()
    }
}
