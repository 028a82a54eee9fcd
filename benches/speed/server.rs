//! The two servers, each a process of its own that ends with this one: the daemon, and this program
//! once more as the bare server.

use std::{error::Error, path::Path, process::Command, time::Duration};

use strata::proto::{
    GetStatusRequest, admin_service_client::AdminServiceClient,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use crate::process::Process;

/// The argument that makes this program the bare server.
pub(crate) const ECHO: &str = "echo-server";

/// How many connections the clients share.
pub(crate) const CONNECTIONS: usize = 8;
/// How long the daemon may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often one that is starting is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(2);

/// A running server.
pub(crate) struct Server {
    process: Process,
    channels: Vec<Channel>,
}

impl Server {
    /// The daemon, of which `command` names the binary, on a new log in `data_dir`.
    pub(crate) async fn stratad(
        mut command: Command,
        data_dir: &Path,
    ) -> Result<Self, Box<dyn Error>> {
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
            tokio::time::sleep(ASK_INTERVAL).await;
        }
        Ok(server)
    }

    /// The bare server, of which `command` names the program, with the answers in `answers`.
    pub(crate) async fn echo(mut command: Command, answers: &Path) -> Result<Self, Box<dyn Error>> {
        command.arg(ECHO).arg(answers);
        Self::start(command).await
    }

    /// A server that says on stderr where it listens.
    pub(crate) async fn start(command: Command) -> Result<Self, Box<dyn Error>> {
        let mut server = Self {
            process: Process::start(command)?,
            channels: Vec::new(),
        };
        for _ in 0..CONNECTIONS {
            let channel = server.connect().await?;
            server.channels.push(channel);
        }
        Ok(server)
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Channel, Box<dyn Error>> {
        let endpoint = Endpoint::from_shared(self.process.url().to_owned())?;
        Ok(endpoint.connect().await?)
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

    /// The number by which the system knows it.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(self) -> Result<(), Box<dyn Error>> {
        // It waits for calls under way, not for connections.
        drop(self.channels);
        self.process.stop()
    }
}
