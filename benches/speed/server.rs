//! The two servers, each a process of its own that ends with this one: the daemon, and this program
//! once more as the bare server.

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use strata::proto::{
    GetStatusRequest, admin_service_client::AdminServiceClient,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient,
};
use tonic::transport::{Channel, Endpoint};

/// The argument that makes this program the bare server.
pub(crate) const ECHO: &str = "echo-server";

/// How many connections the clients share.
const CONNECTIONS: usize = 8;
/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// The unit of processor times in `/proc` on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// A running server.
pub(crate) struct Server {
    child: Child,
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

    async fn start(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("there is no stderr")?;
        let mut server = Self {
            child,
            channels: Vec::new(),
        };
        let (listening, address) = mpsc::channel();
        thread::spawn(move || {
            // To the end, so that the server never waits for its log to be read.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    drop(listening.send(address));
                }
            }
        });
        let url = format!("http://{}", address.recv_timeout(PATIENCE)?);
        for _ in 0..CONNECTIONS {
            server
                .channels
                .push(Endpoint::from_shared(url.clone())?.connect().await?);
        }
        Ok(server)
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
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
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
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        self.channels.clear();
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.child.id().to_string()])
            .status()?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended with {status}").into())
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The address in the line with which a server says that it listens.
fn address_in(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    Some(fields.get("address")?.as_str()?.to_owned())
}
