//! `strata::client` and the client commands against real daemons: what is sent across restarts is
//! recorded once, a watch goes on by itself, a new token counts at once, and nothing waits for ever.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use strata::{
    client::{
        Client,
        connect::{Builder, ConnectError},
        execute::ExecuteError,
        refusal::Refusal,
        watch::{WatchError, Watched},
    },
    proto::{ErrorReason, GetPlanRequest, ListEventsRequest, WatchRequest},
};
use tempfile::{TempDir, tempdir};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    certificates::Authority,
    daemon::{AccessFile, Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request},
};

mod certified;

/// A real history of 40 requests.
const HISTORY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/smallpox-india.jsonl"
);

/// How often a daemon is killed.
const KILLS: u32 = 3;

fn stratad() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stratad"))
}

/// Starts a daemon that listens at an address; returns before it serves.
async fn start_at(address: &str, data_dir: &Path, arguments: &[&str]) -> Daemon {
    let mut command = stratad();
    command
        .args(["serve", "--listen", address, "--data-dir"])
        .arg(data_dir)
        .args(arguments);
    Daemon::spawn(command).await
}

fn at(daemon: &Daemon) -> Builder {
    Client::at(daemon.address()).expect("an address")
}

fn get_plan(plan_id: &str) -> GetPlanRequest {
    GetPlanRequest {
        plan_id: plan_id.to_owned(),
        ..GetPlanRequest::default()
    }
}

/// Kills the daemon again and again, with something recorded in between, and leaves the last one.
async fn killed_again_and_again(mut daemon: Daemon, data_dir: &Path, client: &Client) -> Daemon {
    for round in 0..KILLS {
        let address = daemon.address().to_owned();
        daemon.kill();
        daemon = start_at(&address, data_dir, &[]).await;
        let between = request("growth", "", note(&format!("after kill {round}")));
        client.execute(between).await.expect("it is recorded");
    }
    daemon
}

#[tokio::test]
async fn exactly_once_holds_for_what_the_client_sends_across_kills() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let client = at(&daemon).connect().await.expect("a connection");
    let create = request("growth", "", create_plan());
    client.execute(create).await.expect("the plan is made");

    let busy = client.clone();
    let writing = tokio::spawn(async move {
        let mut texts = BTreeSet::new();
        for number in 0..200 {
            let text = format!("note {number}");
            let answer = busy.execute(request("growth", "", note(&text))).await;
            answer.expect("it is recorded");
            texts.insert(text);
        }
        texts
    });
    let daemon = killed_again_and_again(daemon, dir.path(), &client).await;
    let written = timeout(PATIENCE, writing)
        .await
        .expect("in time")
        .expect("written");

    let request = ListEventsRequest {
        plan_id: "growth".to_owned(),
        page_size: 1_000,
        ..ListEventsRequest::default()
    };
    let events = client.history().list_events(request).await.expect("listed");
    let events = events.into_inner().events;
    assert_eq!(events.len(), 1 + written.len() + KILLS as usize);
    let summaries: BTreeSet<_> = events.iter().map(|event| &event.summary).collect();
    assert_eq!(summaries.len(), events.len(), "none is there twice");
    daemon.stop().await;
}

#[tokio::test]
async fn watch_goes_on_by_itself_across_kills_and_tells_each_commit_once() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let client = at(&daemon).connect().await.expect("a connection");
    let create = request("growth", "", create_plan());
    client.execute(create).await.expect("the plan is made");

    let mut watch = client.watch(WatchRequest::default()).await.expect("begun");
    let following = tokio::spawn(async move {
        let (mut positions, mut reconnections) = (Vec::new(), 0);
        while positions.len() < 101 + KILLS as usize {
            match watch.next().await.expect("it goes on") {
                Watched::Commit(entry) => positions.push(entry.position),
                Watched::Reconnected { position, .. } => {
                    assert!(position >= positions.last().copied().unwrap_or_default());
                    reconnections += 1;
                }
                Watched::CaughtUp { .. } | Watched::Checkpoint { .. } => {}
            }
        }
        (positions, reconnections)
    });
    let busy = client.clone();
    let writing = tokio::spawn(async move {
        for number in 0..100 {
            let text = format!("note {number}");
            let answer = busy.execute(request("growth", "", note(&text))).await;
            answer.expect("it is recorded");
        }
    });
    let daemon = killed_again_and_again(daemon, dir.path(), &client).await;
    timeout(PATIENCE, writing)
        .await
        .expect("in time")
        .expect("written");
    let (positions, reconnections) = timeout(PATIENCE, following)
        .await
        .expect("in time")
        .expect("followed");
    let all: Vec<u64> = (1..=101 + u64::from(KILLS)).collect();
    assert_eq!(positions, all);
    assert!(reconnections >= 1);
    daemon.stop().await;
}

#[tokio::test]
async fn watch_ends_when_another_log_is_served_where_the_first_one_was() {
    let (dir, other) = (tempdir().expect("one"), tempdir().expect("another"));
    let daemon = Daemon::start(dir.path()).await;
    let address = daemon.address().to_owned();
    let client = at(&daemon).connect().await.expect("a connection");
    for (id, kind) in [("a", create_plan()), ("b", note("one"))] {
        client
            .execute(request("growth", id, kind))
            .await
            .expect("recorded");
    }
    let mut watch = client.watch(WatchRequest::default()).await.expect("begun");
    loop {
        if let Watched::CaughtUp { position } = watch.next().await.expect("told") {
            assert_eq!(position, 2);
            break;
        }
    }
    daemon.kill();
    let daemon = start_at(&address, other.path(), &[]).await;
    for (id, kind) in [
        ("c", create_plan()),
        ("d", note("another")),
        ("e", note("more")),
    ] {
        client
            .execute(request("growth", id, kind))
            .await
            .expect("recorded");
    }
    let ended = async {
        loop {
            if let Err(error) = watch.next().await {
                return error;
            }
        }
    };
    let error = timeout(PATIENCE, ended).await.expect("in time");
    assert_eq!(error, WatchError::LogDiverged { position: 2 });
    daemon.stop().await;
}

fn token(access: &Path, name: &str, role: &str) -> String {
    let arguments = ["token", "add", "--name", name, "--role", role];
    let mut command = stratad();
    command.args(arguments).arg("--access-file").arg(access);
    let output = command.output().expect("stratad runs");
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("text");
    printed.trim().to_owned()
}

#[tokio::test]
async fn a_token_that_is_replaced_in_its_file_counts_from_the_next_call_on() {
    let dir = tempdir().expect("a directory");
    let access = dir.path().join("access");
    let (first, second) = (
        token(&access, "ada", "reader"),
        token(&access, "bob", "reader"),
    );
    let file = dir.path().join("token");
    fs::write(&file, &first).expect("written");
    let arguments = ["--access-file", access.to_str().expect("UTF-8")];
    let daemon = start_at("127.0.0.1:0", &dir.path().join("data"), &arguments).await;
    daemon.wait_until_serving().await;
    let builder = at(&daemon).token_file(&file);
    let client = builder.connect().await.expect("a connection");
    let reason = async || {
        let answer = client.plans().get_plan(get_plan("nowhere")).await;
        Refusal::from(answer.expect_err("there is no such plan")).known_reason()
    };
    assert_eq!(reason().await, Some(ErrorReason::PlanNotFound));

    let revoked = stratad()
        .args(["token", "revoke", "--name", "ada", "--access-file"])
        .arg(&access)
        .output();
    assert!(revoked.expect("stratad runs").status.success());
    let began = Instant::now();
    while reason().await != Some(ErrorReason::CredentialsInvalid) {
        assert!(began.elapsed() < PATIENCE, "it was never refused");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    fs::write(&file, format!("{second}\n")).expect("written");
    assert_eq!(reason().await, Some(ErrorReason::PlanNotFound));
    daemon.stop().await;
}

#[tokio::test]
async fn nothing_waits_for_ever_for_somebody_who_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let taking = tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((socket, _)) = silent.accept().await {
            taken.push(socket);
        }
    });
    let brief = Duration::from_millis(200);
    let impatient = |scheme: &str| {
        let builder = Client::at(&format!("{scheme}://{address}")).expect("an address");
        let builder = builder.connect_timeout(brief).call_timeout(brief);
        builder.patience(brief * 5)
    };
    let trial = async {
        let outcome = impatient("https").connect().await;
        assert!(
            matches!(outcome, Err(ConnectError::Unreachable { .. })),
            "{outcome:?}"
        );
        let client = impatient("http").connect_lazy().expect("a client");
        let answer = client.plans().get_plan(get_plan("growth")).await;
        let refusal = Refusal::from(answer.expect_err("nobody answers"));
        assert!(refusal.is_unanswered(), "{refusal}");
        let outcome = client.execute(request("growth", "", create_plan())).await;
        let Err(ExecuteError::GivenUp { attempts, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(attempts > 1);
        let outcome = client.watch(WatchRequest::default()).await;
        assert!(
            matches!(outcome, Err(WatchError::GivenUp { .. })),
            "{outcome:?}"
        );
    };
    timeout(PATIENCE, trial).await.expect("each of them ends");
    taking.abort();
}

/// A daemon with TLS that asks who calls, and what its callers need.
struct Guarded {
    dir: TempDir,
    daemon: Daemon,
}

impl Guarded {
    async fn start(arguments: &[&str]) -> Self {
        let dir = tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
        let authority = Authority::new();
        authority.server().write(dir.path());
        fs::write(path("ca.pem"), authority.pem()).expect("written");
        for (name, role) in [("ada", "planner"), ("bob", "reader")] {
            let token = token(&dir.path().join("access"), name, role);
            fs::write(path(role), token).expect("written");
        }
        let files = [path("tls.crt"), path("tls.key"), path("access")];
        let mut all = vec!["--tls-cert-file", &files[0], "--tls-key-file", &files[1]];
        all.extend(["--access-file", &files[2]]);
        all.extend(arguments);
        let daemon = start_at("127.0.0.1:0", &dir.path().join("data"), &all).await;
        Self { dir, daemon }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn url(&self) -> String {
        let (_, port) = self.daemon.address().rsplit_once(':').expect("a port");
        format!("https://localhost:{port}")
    }

    /// Runs a command against it with these flags, a file to each.
    async fn run(&self, arguments: &[&str], files: &[(&str, &str)]) -> Output {
        let mut command = stratad();
        command.args(arguments);
        for (flag, name) in files {
            command.arg(flag).arg(self.path(name));
        }
        run(command).await
    }

    async fn wait_until_serving(&self) {
        let builder = Client::at(&self.url()).expect("an address");
        let builder = builder.authority_file(self.path("ca.pem"));
        let client = builder.token_file(self.path("planner")).connect().await;
        let client = client.expect("a connection");
        let began = Instant::now();
        loop {
            let answer = client.plans().get_plan(get_plan("nowhere")).await;
            let refusal = Refusal::from(answer.expect_err("there is no such plan"));
            if refusal.known_reason() == Some(ErrorReason::PlanNotFound) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{refusal}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

async fn run(mut command: Command) -> Output {
    let running = tokio::task::spawn_blocking(move || command.output());
    running.await.expect("it ends").expect("stratad runs")
}

#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for words in words {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_command_says_what_is_missing_until_the_daemon_lets_it_in() {
    let guarded = Guarded::start(&[]).await;
    guarded.wait_until_serving().await;
    let url = guarded.url();
    let import = ["import", HISTORY, "--to", &url];
    let ca = ("--ca-file", "ca.pem");
    let (planner, reader) = (("--token-file", "planner"), ("--token-file", "reader"));

    refused(
        &guarded.run(&import, &[]).await,
        &["cannot trust", "--ca-file"],
    );
    let without = guarded.run(&import, &[ca]).await;
    refused(&without, &["CREDENTIALS_REQUIRED", "--token-file"]);
    let unknown = guarded
        .run(&import, &[ca, ("--token-file", "tls.crt")])
        .await;
    refused(&unknown, &["tls.crt", "no token"]);
    let may_not = guarded.run(&import, &[ca, reader]).await;
    refused(&may_not, &["NOT_PERMITTED", "it takes the role planner\n"]);
    let imported = guarded.run(&import, &[ca, planner]).await;
    let said = String::from_utf8_lossy(&imported.stdout);
    assert!(said.starts_with("40 recorded"), "{imported:?}");

    let file = guarded.path("backup.strata");
    let file = file.to_str().expect("UTF-8");
    let backup = ["backup", file, "--from", &url];
    let may_not = guarded.run(&backup, &[ca, planner]).await;
    refused(&may_not, &["NOT_PERMITTED", "it takes the role operator"]);
    let verify = guarded.run(&["verify", &url], &[ca, planner]).await;
    refused(&verify, &["NOT_PERMITTED", "it takes the role auditor"]);

    let mut explain = stratad();
    explain
        .args(["explain", "smallpox-india", "--to", &url])
        .env("STRATA_CA_FILE", guarded.path("ca.pem"))
        .env("STRATA_TOKEN_FILE", guarded.path("reader"));
    let explained = run(explain).await;
    let told = String::from_utf8_lossy(&explained.stdout);
    assert!(told.contains("Target Zero"), "{explained:?}");

    let plain = url.replace("https", "http");
    let in_the_clear = guarded.run(&["import", HISTORY, "--to", &plain], &[]).await;
    refused(&in_the_clear, &[&plain]);
}

#[tokio::test]
async fn a_daemon_that_asks_who_calls_begins_with_a_file_all_the_same() {
    let guarded = Guarded::start(&["--import", HISTORY]).await;
    let began = Instant::now();
    while !guarded.daemon.log().contains("\"imported\"") {
        assert!(began.elapsed() < PATIENCE, "{}", guarded.daemon.log());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let builder = Client::at(&guarded.url()).expect("an address");
    let builder = builder.authority_file(guarded.path("ca.pem"));
    let client = builder.token_file(guarded.path("reader")).connect().await;
    let request = ListEventsRequest {
        plan_id: "smallpox-india".to_owned(),
        ..ListEventsRequest::default()
    };
    let mut history = client.expect("a connection").history();
    let events = history.list_events(request).await.expect("listed");
    let events = events.into_inner().events;
    assert_eq!(events.len(), 40);
    assert!(events.iter().all(|event| event.actor == "stratad"));
}
