//! A `stratad` of one test: started on a free port with a directory of its own, and killed when
//! the test ends, however it ends.
//!
//! A data directory begins empty: what else a test writes stands beside it, as in `dir` and `dir/data`.
//!
//! - `Daemon::start(data)`: over plain HTTP, asking nobody; `daemon.plans()` and its like are clients.
//! - One that asks who calls: `AccessFile::new(dir)`, then `.grant("ana", "planner", "*")` gives a token
//!   for each caller; start with `access.arguments()`, and call by
//!   `PlanServiceClient::with_interceptor(daemon.channel(), bearing(&token))`.
//! - One with TLS: `Authority::new()` of `certificates.rs`, `authority.server().write(dir)`, then
//!   `Daemon::start_over_tls(&data, &authority.trusted(), &tls_arguments(dir))`. All clients of that
//!   daemon speak TLS; `daemon.connect(tls)` is a channel that trusts or shows something else.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use strata::{
    access::token::Token,
    proto::{
        Command as PlanCommand, CreatePlan, ExecuteRequest, GetStatusRequest, GetStatusResponse,
        RecordNote, admin_service_client::AdminServiceClient,
        advice_service_client::AdviceServiceClient, audit_service_client::AuditServiceClient,
        command::Kind, history_service_client::HistoryServiceClient,
        plan_service_client::PlanServiceClient,
    },
};
use tokio::sync::oneshot;
use tonic::{
    Request,
    metadata::MetadataValue,
    service::Interceptor,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long anything may take that is waited for; far more than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked at that does not say when it changes.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The longest message a client takes, gRPC's default.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// The smallest window that HTTP/2 begins with.
const UNREAD_BYTES_MAX: u32 = 65_535;

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
    address: String,
    tls: Option<ClientTlsConfig>,
    channel: Channel,
    log: Arc<Mutex<String>>,
    /// Ends when the daemon has said its last word.
    listener: Option<thread::JoinHandle<()>>,
}

impl Daemon {
    /// Starts a daemon on `data_dir` and waits until it serves.
    pub(crate) async fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(data_dir: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
        command.args(serve_arguments(data_dir)).args(arguments);
        let daemon = Self::spawn(command).await;
        daemon.wait_until_serving().await;
        daemon
    }

    /// The same over TLS: `trust` is what its clients believe and show.
    pub(crate) async fn start_over_tls(
        data_dir: &Path,
        trust: &ClientTlsConfig,
        arguments: &[String],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
        command.args(serve_arguments(data_dir)).args(arguments);
        let daemon = Self::spawn_with(command, Some(trust.clone())).await;
        daemon.wait_until_serving().await;
        daemon
    }

    /// Starts a daemon by a command, such as one that traces it, and returns as soon as it listens.
    pub(crate) async fn spawn(command: Command) -> Self {
        Self::spawn_with(command, None).await
    }

    async fn spawn_with(mut command: Command, tls: Option<ClientTlsConfig>) -> Self {
        let mut child = command
            .env("STRATA_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("stratad starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::new(Mutex::new(String::new()));
        let (listening, address) = oneshot::channel();
        let kept = log.clone();
        let listener = thread::spawn(move || {
            let mut listening = Some(listening);
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line)
                    && let Some(listening) = listening.take()
                {
                    drop(listening.send(address));
                }
                *kept.lock().expect("the log") += &(line + "\n");
            }
        });
        let Ok(Ok(address)) = tokio::time::timeout(PATIENCE, address).await else {
            drop(child.kill());
            panic!(
                "stratad did not listen; it said:\n{}",
                log.lock().expect("the log")
            );
        };
        let channel = endpoint(&address, tls.as_ref()).connect_lazy();
        Self {
            child,
            address,
            tls,
            channel,
            log,
            listener: Some(listener),
        }
    }

    /// Waits until health says SERVING.
    pub(crate) async fn wait_until_serving(&self) {
        let serving = async {
            let mut health = HealthClient::new(self.channel.clone());
            let status = ServingStatus::Serving as i32;
            loop {
                let watch = health.watch(HealthCheckRequest::default()).await;
                let Ok(mut statuses) = watch.map(tonic::Response::into_inner) else {
                    continue;
                };
                while let Ok(Some(response)) = statuses.message().await {
                    if response.status == status {
                        return;
                    }
                }
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, serving).await.is_ok(),
            "stratad did not serve; it said:\n{}",
            self.log()
        );
    }

    /// Waits until it serves, or has ended with status 1 and says why.
    pub(crate) async fn serving_or_ended(mut self) -> Result<Self, String> {
        let started = Instant::now();
        let mut health = HealthClient::new(self.channel.clone());
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child") {
                let listener = self.listener.take().expect("nobody else waits");
                listener.join().expect("heard to the end");
                assert_eq!(status.code(), Some(1), "it said:\n{}", self.log());
                return Err(self.log());
            }
            let checked = health.check(HealthCheckRequest::default()).await;
            let serving = ServingStatus::Serving as i32;
            if checked.is_ok_and(|response| response.into_inner().status == serving) {
                return Ok(self);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        panic!("neither serving nor ended; it said:\n{}", self.log());
    }

    /// Where it listens: host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        url(&self.address, self.tls.as_ref())
    }

    /// The connection that its clients share.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A connection of its own.
    pub(crate) fn another_channel(&self) -> Channel {
        endpoint(&self.address, self.tls.as_ref()).connect_lazy()
    }

    /// A connection that trusts or shows something else.
    pub(crate) async fn connect(
        &self,
        tls: &ClientTlsConfig,
    ) -> Result<Channel, tonic::transport::Error> {
        endpoint(&self.address, Some(tls)).connect().await
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far. Its lines are written by a thread of its own: what it said of a call may come
    /// after the answer, so wait for a line, or take what it had said when it stopped.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Waits until it has said something.
    pub(crate) async fn until_it_says(&self, words: &str) {
        let waiting_since = Instant::now();
        while !self.log().contains(words) {
            assert!(
                waiting_since.elapsed() < PATIENCE,
                "it said:\n{}",
                self.log()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// A client of its `PlanService`.
    pub(crate) fn plans(&self) -> PlanServiceClient<Channel> {
        PlanServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A client of its `HistoryService`.
    pub(crate) fn history(&self) -> HistoryServiceClient<Channel> {
        HistoryServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A client of its `HistoryService` on a connection of its own that takes little unread.
    pub(crate) async fn slow_history(&self) -> HistoryServiceClient<Channel> {
        HistoryServiceClient::new(self.slow_channel().await)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A connection of its own that takes little unread.
    pub(crate) async fn slow_channel(&self) -> Channel {
        let endpoint = endpoint(&self.address, self.tls.as_ref())
            .initial_stream_window_size(UNREAD_BYTES_MAX)
            .initial_connection_window_size(UNREAD_BYTES_MAX);
        endpoint.connect().await.expect("connected")
    }

    /// A client of its `AdviceService`.
    pub(crate) fn advice(&self) -> AdviceServiceClient<Channel> {
        AdviceServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A client of its `AuditService`.
    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A client of its `AdminService`.
    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// How it says it is.
    pub(crate) async fn status(&self) -> GetStatusResponse {
        let answer = self.admin().get_status(GetStatusRequest {}).await;
        answer.expect("a status").into_inner()
    }

    /// Its head position.
    pub(crate) async fn head(&self) -> u64 {
        self.status().await.head_position
    }

    /// Waits until its view is written. It is, about a second after a commit.
    #[cfg(feature = "ci")]
    pub(crate) async fn view_written(&self) {
        let waiting_since = Instant::now();
        loop {
            let status = self.status().await;
            if status.view_position == status.head_position {
                return;
            }
            assert!(
                waiting_since.elapsed() < PATIENCE,
                "the view is never written"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Kills it without a chance to clean up, and returns what it had said.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
        let listener = self.listener.take().expect("nobody else waits");
        listener.join().expect("heard to the end");
        self.log()
    }

    /// Tells it to stop by a signal (`TERM` or `INT`) and returns how it ended, and all that it said.
    pub(crate) async fn stop_by(self, signal: &str) -> (ExitStatus, String) {
        self.signal(signal);
        self.ended().await
    }

    /// Waits until it ends by itself and returns how, and all that it said.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let pid = self.pid();
        let mut child = std::mem::replace(&mut self.child, placeholder());
        let listener = self.listener.take().expect("nobody else waits");
        let ended = tokio::task::spawn_blocking(move || {
            let status = child.wait().expect("reaped");
            listener.join().expect("heard to the end");
            status
        });
        let status = tokio::time::timeout(PATIENCE, ended).await;
        let status = status.unwrap_or_else(|_| {
            // Or the test waits for the thread that waits for it.
            send("KILL", pid);
            panic!("it did not stop in time; it said:\n{}", self.log());
        });
        let status = status.expect("waited");
        (status, self.log())
    }

    /// Tells it to stop, expects that it does so well, and returns all that it said.
    pub(crate) async fn stop(self) -> String {
        let (status, log) = self.stop_by("TERM").await;
        assert!(status.success(), "{status}; it said:\n{log}");
        log
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        send(signal, self.pid());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The file that says who may call a daemon, and what was made for its callers.
pub(crate) struct AccessFile {
    path: PathBuf,
}

impl AccessFile {
    /// A file that names nobody yet.
    pub(crate) fn new(dir: &Path) -> Self {
        let path = dir.join("access.toml");
        fs::write(&path, "").expect("a file");
        Self { path }
    }

    /// A caller with a role over the plans of a pattern, and its token.
    pub(crate) fn grant(&self, name: &str, role: &str, plans: &str) -> String {
        let token = Token::random().expect("random bytes");
        self.write(
            name,
            role,
            plans,
            &format!("token_sha256 = [\"{}\"]", token.hash()),
        );
        token.reveal().to_owned()
    }

    /// A caller who is known by the name in its certificate.
    pub(crate) fn grant_certificate(&self, name: &str, role: &str, plans: &str, certified: &str) {
        self.write(name, role, plans, &format!("certificate = \"{certified}\""));
    }

    /// Puts another version of it in its place, in one go.
    pub(crate) fn change(&self, other: impl FnOnce(&str) -> String) {
        let text = fs::read_to_string(&self.path).expect("a file");
        let new = self.path.with_extension("new");
        fs::write(&new, other(&text)).expect("a file");
        fs::rename(&new, &self.path).expect("a file");
    }

    fn write(&self, name: &str, role: &str, plans: &str, known_by: &str) {
        let mut text = fs::read_to_string(&self.path).expect("a file");
        let known = format!(
            "[[principal]]\nname = \"{name}\"\nroles = [\"{role}\"]\nplans = [\"{plans}\"]\n"
        );
        text.push_str(&known);
        text.push_str(known_by);
        text.push('\n');
        fs::write(&self.path, text).expect("a file");
    }

    /// What tells a daemon to ask who calls.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = self.path.to_str().expect("a path in UTF-8");
        vec!["--access-file".to_owned(), path.to_owned()]
    }
}

/// A caller who shows a token.
pub(crate) fn bearing(token: &str) -> impl Interceptor + Clone + use<> {
    let header: MetadataValue<_> = format!("Bearer {token}").parse().expect("a header");
    move |mut request: Request<()>| {
        request
            .metadata_mut()
            .insert("authorization", header.clone());
        Ok(request)
    }
}

fn url(address: &str, tls: Option<&ClientTlsConfig>) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

fn endpoint(address: &str, tls: Option<&ClientTlsConfig>) -> Endpoint {
    let endpoint = Endpoint::from_shared(url(address, tls)).expect("a URL");
    match tls {
        Some(tls) => endpoint.tls_config(tls.clone()).expect("a configuration"),
        None => endpoint,
    }
}

/// The arguments that serve `data_dir` on a free port.
pub(crate) fn serve_arguments(data_dir: &Path) -> Vec<String> {
    let data_dir = data_dir.to_str().expect("a path in UTF-8");
    ["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir]
        .map(str::to_owned)
        .to_vec()
}

/// The command that traces what comes after it and all its threads. Fails where there is no `strace`.
#[cfg(feature = "ci")]
pub(crate) fn strace() -> Command {
    let version = Command::new("strace").arg("--version").output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "this test needs strace on the PATH: install the package `strace`, as .ci/run does"
    );
    let mut command = Command::new("strace");
    // The tracer stands aside, so that the child is the daemon itself.
    command.args(["-D", "-f"]);
    command
}

/// A request with one command.
pub(crate) fn request(plan_id: &str, request_id: &str, command: Kind) -> ExecuteRequest {
    ExecuteRequest {
        plan_id: plan_id.to_owned(),
        request_id: request_id.to_owned(),
        commands: vec![PlanCommand {
            kind: Some(command),
        }],
        ..ExecuteRequest::default()
    }
}

/// The command that begins a plan.
pub(crate) fn create_plan() -> Kind {
    Kind::CreatePlan(CreatePlan {
        title: "A plan".to_owned(),
        ..CreatePlan::default()
    })
}

/// The command that keeps a note about the plan.
pub(crate) fn note(text: &str) -> Kind {
    Kind::RecordNote(RecordNote {
        subject: "plan".to_owned(),
        text: text.to_owned(),
    })
}

/// The address in the line with which a daemon says that it listens.
fn address_in(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    Some(fields.get("address")?.as_str()?.to_owned())
}

fn send(signal: &str, pid: u32) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(pid.to_string());
    assert!(kill.status().expect("kill runs").success());
}

/// A child that has ended, to stand where one was taken out.
fn placeholder() -> Child {
    Command::new("true").spawn().expect("true runs")
}
