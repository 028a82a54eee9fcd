//! What callers may do at once: each limit refuses with what programs need to know, is counted, and
//! has room again when calls end, however they do. What nobody waits for any more is not worked out.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command as Process,
    time::{Duration, Instant, SystemTime},
};

use strata::proto::{
    Command, ExecuteStreamRequest, GetPlanRequest, GetStatusRequest, Point, WatchRequest,
    admin_service_client::AdminServiceClient, execute_stream_response::Outcome,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient, point,
};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::mpsc,
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use crate::{
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request},
    language::{correct_note, execute, reading},
    metrics::{figure, free_address, wait_for_figure},
    raw,
};

/// How many connections are used where one takes too few calls at once.
const CONNECTIONS: usize = 10;
/// How many calls a connection takes at once.
const CALLS_A_CONNECTION: usize = 150;

/// What counts the questions that had their turn.
const BEGUN: &str = "strata_questions_begun_total";

/// A number as figures are.
fn many(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("fewer than that"))
}

/// A daemon with limits, and where its metrics are.
async fn limited(limits: &[&str]) -> (TempDir, Daemon, SocketAddr) {
    let dir = tempdir().expect("a directory");
    let metrics = free_address();
    let at = metrics.to_string();
    let arguments = [&["--metrics-listen", &at], limits].concat();
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    (dir, daemon, metrics)
}

/// A connection of its own.
async fn connection(url: String) -> Channel {
    let endpoint = Endpoint::from_shared(url).expect("a URL");
    endpoint.connect().await.expect("connected")
}

fn refusals(metrics: SocketAddr, reason: &str) -> f64 {
    let name = format!("strata_calls_refused_total{{reason=\"{reason}\"}}");
    figure(metrics, &name).expect("a figure")
}

/// Expects that a limit of the caller's refuses, and says whose it is; how long to wait, if it says so.
#[track_caller]
fn exhausted(refused: &Status, reason: &str) -> Option<Duration> {
    let said = reading(refused);
    assert_eq!(said.kind(), (Code::ResourceExhausted, reason));
    let quota = refused.get_details_quota_failure().expect("a QuotaFailure");
    assert_eq!(quota.violations[0].subject, "principal:anonymous");
    assert!(!quota.violations[0].description.is_empty());
    refused.get_details_retry_info()?.retry_delay
}

/// Asks again until it is answered.
async fn until_answered(channel: &Channel) {
    let since = Instant::now();
    let mut admin = AdminServiceClient::new(channel.clone());
    while let Err(refused) = admin.get_status(GetStatusRequest {}).await {
        assert!(since.elapsed() < PATIENCE, "still {refused:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// A stream of requests that stays open for as long as the sender lives.
async fn open_stream(channel: &Channel) -> Result<mpsc::Sender<ExecuteStreamRequest>, Status> {
    let (requests, sent) = mpsc::channel(1);
    let mut plans = PlanServiceClient::new(channel.clone());
    let answers = plans.execute_stream(ReceiverStream::new(sent)).await?;
    tokio::spawn(async move {
        let mut answers = answers.into_inner();
        while let Ok(Some(_)) = answers.message().await {}
    });
    Ok(requests)
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_again_and_health_is_always_answered() {
    const CALLS: u32 = 40;
    let (_dir, daemon, metrics) = limited(&["--calls-per-second", "2", "--calls-burst", "5"]).await;
    let began = Instant::now();
    let mut refused = Vec::new();
    for _ in 0..CALLS {
        let answer = daemon.admin().get_status(GetStatusRequest {}).await;
        refused.extend(answer.err());
    }
    let answered = CALLS - u32::try_from(refused.len()).expect("no more than were sent");
    let allowed = 5.0 + 2.0 * began.elapsed().as_secs_f64();
    assert!(answered >= 5, "the burst");
    assert!(f64::from(answered) <= allowed + 1.0, "{answered} answered");
    for status in &refused {
        let wait = exhausted(status, "RATE_LIMIT").expect("when to come again");
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
    }
    assert!(refusals(metrics, "RATE_LIMIT") >= many(refused.len()));
    let mut health = HealthClient::new(connection(daemon.url()).await);
    for _ in 0..CALLS {
        let asked = HealthCheckRequest::default();
        health.check(asked).await.expect("health is never limited");
    }
    until_answered(&connection(daemon.url()).await).await;
}

#[tokio::test]
async fn a_stream_that_sends_too_much_is_taken_from_at_its_callers_rate() {
    const REQUESTS: usize = 30;
    let (_dir, daemon, metrics) =
        limited(&["--calls-per-second", "20", "--calls-burst", "2"]).await;
    let began = Instant::now();
    let first = request("growth", "0", create_plan());
    let later = (1..REQUESTS).map(|n| request("growth", &n.to_string(), note("Noted")));
    let requests = std::iter::once(first).chain(later);
    let requests = requests.map(|execute| ExecuteStreamRequest {
        execute: Some(execute),
    });
    let sent = tokio_stream::iter(requests.collect::<Vec<_>>());
    let answers = daemon.plans().execute_stream(sent).await.expect("streamed");
    let mut answers = answers.into_inner();
    let mut recorded = 0;
    while let Some(answer) = answers.message().await.expect("it goes on") {
        assert!(matches!(answer.outcome, Some(Outcome::Response(_))));
        recorded += 1;
    }
    assert_eq!(recorded, REQUESTS);
    // Two at once, the stream itself among them, and then one each 50 ms.
    assert!(began.elapsed() >= Duration::from_millis(50) * 28);
    assert_eq!(refusals(metrics, "RATE_LIMIT").to_bits(), 0);
}

#[tokio::test]
async fn calls_under_way_have_a_bound_and_room_again_when_they_end_or_their_caller_vanishes() {
    let (_dir, daemon, metrics) = limited(&["--calls-at-once", "2"]).await;
    let channel = connection(daemon.url()).await;
    let first = open_stream(&channel).await.expect("a call");
    let doomed = Doomed::before(daemon.address()).await;
    let _second = open_stream(&connection(doomed.url()).await)
        .await
        .expect("a call");
    let mut admin = AdminServiceClient::new(channel.clone());
    let third = admin.get_status(GetStatusRequest {}).await;
    let wait = exhausted(&third.expect_err("two are under way"), "CONCURRENCY_LIMIT");
    assert!(wait.is_some_and(|wait| !wait.is_zero()));
    assert_eq!(
        refusals(metrics, "CONCURRENCY_LIMIT").to_bits(),
        1.0_f64.to_bits()
    );
    // One that ends gives its place back,
    drop(first);
    until_answered(&channel).await;
    let _first = open_stream(&channel).await.expect("a place");
    let full = admin.get_status(GetStatusRequest {}).await;
    exhausted(&full.expect_err("two again"), "CONCURRENCY_LIMIT");
    // and so does one whose connection is cut.
    doomed.cut();
    until_answered(&channel).await;
    wait_for_figure(metrics, "strata_calls_abandoned_total", |gone| gone >= 1.0).await;
}

#[tokio::test]
async fn watches_have_a_bound_of_their_own() {
    let (_dir, daemon, metrics) = limited(&["--watches-at-once", "1"]).await;
    let watch = async |channel: Channel| {
        let mut history = HistoryServiceClient::new(channel);
        history.watch(WatchRequest::default()).await
    };
    let doomed = Doomed::before(daemon.address()).await;
    let _first = watch(connection(doomed.url()).await)
        .await
        .expect("a watch");
    let channel = connection(daemon.url()).await;
    let refused = watch(channel.clone()).await.expect_err("one is open");
    let wait = exhausted(&refused, "WATCH_LIMIT");
    assert!(wait.is_some_and(|wait| !wait.is_zero()), "{wait:?}");
    assert!(refusals(metrics, "WATCH_LIMIT") >= 1.0);
    until_answered(&channel).await;
    doomed.cut();
    let since = Instant::now();
    while watch(channel.clone()).await.is_err() {
        assert!(since.elapsed() < PATIENCE, "no room again");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_not_worked_out() {
    let (_dir, daemon, metrics) = limited(&[]).await;
    let question = long_question(&daemon).await;
    let mut asked = ask_at_once(
        &daemon,
        &Request::new(question.clone()),
        4 * CALLS_A_CONNECTION,
    )
    .await;
    wait_for_figure(metrics, BEGUN, |begun| begun >= 1.0).await;
    asked.abort_all();
    while asked.join_next().await.is_some() {}
    // Of the same caller, so that it comes behind all of them.
    let mut plans = daemon.plans();
    while let Err(refused) = plans.get_plan(question.clone()).await {
        assert_eq!(reading(&refused).reason, "OVERLOADED");
    }
    let begun = figure(metrics, BEGUN).expect("a figure");
    assert!(begun < many(4 * CALLS_A_CONNECTION), "{begun} were begun");
    wait_for_figure(metrics, "strata_calls_abandoned_total", |gone| gone >= 1.0).await;
}

#[tokio::test]
async fn a_call_ends_at_its_own_deadline_or_the_daemons_and_says_so() {
    let (_dir, daemon, metrics) = limited(&["--call-seconds", "2"]).await;
    execute(&daemon, request("growth", "create", create_plan())).await;
    // A position that will not be reached is waited for longer than that.
    let question = GetPlanRequest {
        plan_id: "growth".to_owned(),
        min_position: 99,
        ..GetPlanRequest::default()
    };
    // By hand: a client that says a deadline gives up at it as well, and may be first.
    let connection = raw::connect(&daemon).await;
    for (own, at_least) in [(Some("1S"), 900), (Some("1H"), 2_000), (None, 2_000)] {
        let mut call = raw::head("/strata.v1.PlanService/GetPlan", raw::GRPC, &[]);
        if let Some(timeout) = own {
            let timeout = timeout.parse().expect("a value");
            call.headers_mut().insert("grpc-timeout", timeout);
        }
        let began = Instant::now();
        let refused = raw::status_of_call(&connection, call, &question).await;
        let refused = refused.expect("it is not reached");
        assert_eq!(
            reading(&refused).kind(),
            (Code::DeadlineExceeded, "TIMED_OUT")
        );
        assert!(
            began.elapsed() >= Duration::from_millis(at_least),
            "{own:?}"
        );
    }
    assert_eq!(refusals(metrics, "TIMED_OUT").to_bits(), 3.0_f64.to_bits());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_can_be_done_in_time_is_refused_at_once_and_the_rest_is_answered() {
    let (_dir, daemon, metrics) = limited(&[]).await;
    let question = long_question(&daemon).await;
    let all = CONNECTIONS * CALLS_A_CONNECTION;
    let mut asked = ask_at_once(&daemon, &Request::new(question.clone()), all).await;
    let (mut answered, mut shed) = (0, 0);
    while let Some(ended) = asked.join_next().await {
        match ended.expect("asked") {
            Ok(()) => answered += 1,
            Err(refused) => {
                let said = reading(&refused);
                assert_eq!(said.kind(), (Code::ResourceExhausted, "OVERLOADED"));
                let retry = refused.get_details_retry_info().expect("a RetryInfo");
                assert!(retry.retry_delay.is_some_and(|wait| !wait.is_zero()));
                shed += 1;
            }
        }
    }
    assert!(answered > 0 && shed > 0, "{answered} answered, {shed} shed");
    assert!(refusals(metrics, "OVERLOADED") >= f64::from(shed));
    // What is small goes on meanwhile and afterwards.
    daemon.plans().get_plan(question).await.expect("room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_much_waits_behind_itself_and_not_before_others() {
    const ASKED: usize = 6 * CALLS_A_CONNECTION;
    const MODEST: usize = 3;
    let dir = tempdir().expect("a directory");
    let access = dir.path().join("access.toml");
    let [greedy, modest] = ["greedy", "modest"].map(|name| token(&access, name));
    let metrics = free_address();
    let arguments = [
        "--metrics-listen",
        &metrics.to_string(),
        "--access-file",
        access.to_str().expect("a path in UTF-8"),
    ];
    let data = dir.path().join("data");
    let daemon = Daemon::start_with(&data, &arguments).await;
    let question = long_question_by(&daemon, Some(&modest)).await;
    let greedy = by(Some(&greedy), question.clone());
    let asked = ask_at_once(&daemon, &greedy, ASKED).await;
    wait_for_figure(metrics, BEGUN, |begun| begun >= 1.0).await;
    for _ in 0..MODEST {
        let question = by(Some(&modest), question.clone());
        daemon.plans().get_plan(question).await.expect("answered");
    }
    // In one line for all, the last of them would have come behind every other question, or been sent
    // away with them.
    let begun = figure(metrics, BEGUN).expect("a figure");
    assert!(begun < many(ASKED), "{begun} were begun meanwhile");
    drop(asked);
}

/// The token of a principal that is added to an access file.
fn token(access_file: &Path, name: &str) -> String {
    let mut stratad = Process::new(env!("CARGO_BIN_EXE_stratad"));
    stratad
        .args(["token", "add", "--name", name, "--role", "planner"])
        .arg("--access-file")
        .arg(access_file);
    let made = stratad.output().expect("stratad runs");
    assert!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout).expect("text");
    token.trim().to_owned()
}

/// A call by whoever has a token.
fn by<T>(token: Option<&String>, message: T) -> Request<T> {
    let mut call = Request::new(message);
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().expect("a header");
        call.metadata_mut().insert("authorization", bearer);
    }
    call
}

/// A question that takes a while: a plan as of a time, which is folded from its first event on, for that was
/// corrected last.
async fn long_question(daemon: &Daemon) -> GetPlanRequest {
    long_question_by(daemon, None).await
}

/// The same about a plan of somebody's who has a token.
async fn long_question_by(daemon: &Daemon, token: Option<&String>) -> GetPlanRequest {
    let record = async |request| {
        let answer = daemon.plans().execute(by(token, request)).await;
        answer.expect("recorded");
    };
    record(request("growth", "create", create_plan())).await;
    for number in 0..60 {
        let notes = std::iter::repeat_n(note("Noted"), 64);
        let mut many = request("growth", &format!("notes-{number}"), note(""));
        many.commands = notes.map(|kind| Command { kind: Some(kind) }).collect();
        record(many).await;
    }
    record(request("growth", "corrected", correct_note(2, "Corrected"))).await;
    let now = SystemTime::now();
    GetPlanRequest {
        plan_id: "growth".to_owned(),
        as_of: Some(Point {
            point: Some(point::Point::OccurredAt(now.into())),
        }),
        ..GetPlanRequest::default()
    }
}

/// Asks often, all at once, over connections of their own.
async fn ask_at_once(
    daemon: &Daemon,
    question: &Request<GetPlanRequest>,
    times: usize,
) -> JoinSet<Result<(), Status>> {
    let mut asked = JoinSet::new();
    for _ in 0..times / CALLS_A_CONNECTION {
        let channel = connection(daemon.url()).await;
        for _ in 0..CALLS_A_CONNECTION {
            let mut plans = PlanServiceClient::new(channel.clone());
            let mut call = Request::new(question.get_ref().clone());
            *call.metadata_mut() = question.metadata().clone();
            asked.spawn(async move { plans.get_plan(call).await.map(|_| ()) });
        }
    }
    asked
}

/// A way to a daemon that can be cut: its caller vanishes without a word about its calls.
struct Doomed {
    address: SocketAddr,
    passing: tokio::task::JoinHandle<()>,
}

impl Doomed {
    async fn before(daemon: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let daemon = daemon.to_owned();
        let passing = tokio::spawn(async move {
            let (caller, _) = listener.accept().await.expect("a caller");
            let daemon = TcpStream::connect(daemon).await.expect("connected");
            let (from_caller, to_caller) = caller.into_split();
            let (from_daemon, to_daemon) = daemon.into_split();
            tokio::join!(pass(from_caller, to_daemon), pass(from_daemon, to_caller));
        });
        Self { address, passing }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn cut(self) {
        self.passing.abort();
    }
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf) {
    let mut bytes = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
