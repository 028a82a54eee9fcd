//! Open streams and the rights of their callers: none goes on when a new call would be refused, whatever
//! it is, whether anything is sent over it, and whether anybody reads it.

use std::{fs, future::Future, path::Path, pin::Pin, time::Duration};

use strata::{
    client::{
        Client,
        watch::{WatchError, Watched},
    },
    proto::{
        BackupRequest, ErrorReason, ExecuteRequest, ExecuteStreamRequest, GetPlanRequest,
        ReadLogRequest, ReadRawRequest, WatchRequest, WatchResponse,
        admin_service_client::AdminServiceClient, audit_service_client::AuditServiceClient,
        execute_stream_response::Outcome, history_service_client::HistoryServiceClient,
        plan_service_client::PlanServiceClient, watch_response::Response,
    },
};
use tempfile::{TempDir, tempdir};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::{
    daemon::{AccessFile, Daemon, PATIENCE, POLL_INTERVAL, bearing, create_plan, note, request},
    issuer,
    language::reading,
};

/// For as long as a test takes.
const MINUTES: Duration = Duration::from_secs(600);
/// The roles that make every call.
const ALL: &str = "planner\", \"auditor\", \"operator";

type Calling<I> = InterceptedService<Channel, I>;
type Ending = Pin<Box<dyn Future<Output = Status>>>;

/// A daemon that asks who calls, with somebody who stays as they are.
async fn asking() -> (TempDir, Daemon, AccessFile, String) {
    let dir = tempdir().expect("a directory");
    let access = AccessFile::new(dir.path());
    let steady = access.grant("steady", ALL, "*");
    let daemon = patient(&dir.path().join("data"), &access.arguments()).await;
    (dir, daemon, access, steady)
}

/// A daemon that may be tried in vain as often as it takes until a change is in force.
async fn patient(data_dir: &Path, asking: &[String]) -> Daemon {
    let mut given: Vec<_> = asking.iter().map(String::as_str).collect();
    given.extend(["--failed-credentials-per-minute", "0"]);
    Daemon::start_with(data_dir, &given).await
}

/// More commits than are on their way to who does not read.
async fn write_a_long_log(daemon: &Daemon, token: &str) {
    let text = "words ".repeat(1_300);
    let requests = (0..250).map(move |number| {
        let command = if number == 0 {
            create_plan()
        } else {
            note(&text)
        };
        asked(request("growth", &number.to_string(), command))
    });
    let mut plans = plans(daemon.channel(), token);
    let answer = plans.execute_stream(tokio_stream::iter(requests)).await;
    let mut answers = answer.expect("streamed").into_inner();
    while let Some(answer) = answers.message().await.expect("goes on") {
        assert!(matches!(answer.outcome, Some(Outcome::Response(_))));
    }
}

fn asked(request: ExecuteRequest) -> ExecuteStreamRequest {
    ExecuteStreamRequest {
        execute: Some(request),
    }
}

fn plans(channel: Channel, token: &str) -> PlanServiceClient<Calling<impl Interceptor + use<>>> {
    PlanServiceClient::with_interceptor(channel, bearing(token))
}

fn history(
    channel: Channel,
    token: &str,
) -> HistoryServiceClient<Calling<impl Interceptor + use<>>> {
    HistoryServiceClient::with_interceptor(channel, bearing(token))
}

/// How a stream ends that has to end with a refusal.
fn end_of<T: 'static>(mut stream: Streaming<T>) -> Ending {
    Box::pin(async move {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("it ended as if nothing had happened"),
                Err(status) => return status,
            }
        }
    })
}

/// Streams of every kind that are open and not read, each over a connection of its own, and what keeps those open that the caller ends.
async fn open_all(daemon: &Daemon, token: &str) -> (Vec<(&'static str, Ending)>, Vec<Kept>) {
    let channel = || daemon.slow_channel();
    let shown = || bearing(token);
    let watch = history(channel().await, token)
        .watch(WatchRequest::default())
        .await;
    let quiet = WatchRequest {
        plan_ids: vec!["quiet".to_owned()],
        ..WatchRequest::default()
    };
    let quiet = history(channel().await, token).watch(quiet).await;
    let read_log = history(channel().await, token)
        .read_log(ReadLogRequest::default())
        .await;
    let read_raw = AuditServiceClient::with_interceptor(channel().await, shown())
        .read_raw(ReadRawRequest::default())
        .await;
    let backup = AdminServiceClient::with_interceptor(channel().await, shown())
        .backup(BackupRequest::default())
        .await;
    let (requests, sent) = mpsc::channel(1);
    let execute = plans(channel().await, token)
        .execute_stream(ReceiverStream::new(sent))
        .await;
    let (questions, asked) = mpsc::channel(1);
    let reflection = ServerReflectionClient::with_interceptor(channel().await, shown())
        .server_reflection_info(ReceiverStream::new(asked))
        .await;
    let open = vec![
        ("Watch", end_of(watch.expect("opened").into_inner())),
        ("a quiet Watch", end_of(quiet.expect("opened").into_inner())),
        ("ReadLog", end_of(read_log.expect("opened").into_inner())),
        ("ReadRaw", end_of(read_raw.expect("opened").into_inner())),
        ("Backup", end_of(backup.expect("opened").into_inner())),
        (
            "ExecuteStream",
            end_of(execute.expect("opened").into_inner()),
        ),
        (
            "ServerReflectionInfo",
            end_of(reflection.expect("opened").into_inner()),
        ),
    ];
    (open, vec![Box::new(requests), Box::new(questions)])
}

/// What is kept, whatever it is.
type Kept = Box<dyn std::any::Any>;

#[track_caller]
fn assert_refused(status: &Status, reason: &str, what: &str) {
    assert_eq!(reading(status).kind().1, reason, "{what}: {status:?}");
}

/// Returns once a new call of somebody is refused.
async fn refused_anew(daemon: &Daemon, token: &str) -> Status {
    let mut plans = plans(daemon.channel(), token);
    let refused = async {
        loop {
            let answer = plans.get_plan(GetPlanRequest::default()).await;
            match answer.expect_err("no plan is named") {
                unnamed if unnamed.code() == Code::InvalidArgument => {}
                refused => return refused,
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    timeout(PATIENCE, refused).await.expect("in time")
}

async fn assert_all_end(open: Vec<(&'static str, Ending)>, reason: &str) {
    for (what, end) in open {
        let end = timeout(PATIENCE, end).await;
        let end = end.unwrap_or_else(|_| panic!("{what} goes on"));
        assert_refused(&end, reason, what);
    }
}

#[tokio::test]
async fn no_stream_outlives_the_token_of_its_caller() {
    let (_dir, daemon, access, steady) = asking().await;
    write_a_long_log(&daemon, &steady).await;
    let token = access.grant("gone", ALL, "*");
    wait_until_known(&daemon, &token).await;
    let (open, _kept) = open_all(&daemon, &token).await;
    access.change(|text| without(text, "gone"));
    let refused = refused_anew(&daemon, &token).await;
    assert_refused(&refused, "CREDENTIALS_INVALID", "a new call");
    assert_all_end(open, "CREDENTIALS_INVALID").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_request_that_was_accepted_is_answered_before_its_stream_ends() {
    let (_dir, daemon, access, steady) = asking().await;
    let token = access.grant("gone", "planner", "*");
    wait_until_known(&daemon, &token).await;
    let (requests, sent) = mpsc::channel(64);
    let answers = plans(daemon.channel(), &token)
        .execute_stream(ReceiverStream::new(sent))
        .await;
    let mut answers = answers.expect("opened").into_inner();
    let sending = tokio::spawn(async move {
        for number in 0.. {
            let command = if number == 0 {
                create_plan()
            } else {
                note("Noted")
            };
            let next = asked(request("growth", &number.to_string(), command));
            if requests.send(next).await.is_err() {
                return;
            }
        }
    });
    let mut answered = 0;
    let end = loop {
        match timeout(PATIENCE, answers.message()).await.expect("in time") {
            Ok(Some(answer)) => {
                assert!(
                    matches!(answer.outcome, Some(Outcome::Response(_))),
                    "{answer:?}"
                );
                answered += 1;
                if answered == 10 {
                    access.change(|text| without(text, "gone"));
                }
            }
            Ok(None) => panic!("it ended as if nothing had happened"),
            Err(end) => break end,
        }
    };
    assert_refused(&end, "CREDENTIALS_INVALID", "ExecuteStream");
    timeout(PATIENCE, sending).await.expect("in time").ok();
    let plan = GetPlanRequest {
        plan_id: "growth".to_owned(),
        ..GetPlanRequest::default()
    };
    let plan = plans(daemon.channel(), &steady).get_plan(plan).await;
    let plan = plan.expect("shown").into_inner().plan.expect("a plan");
    assert_eq!(plan.revision, answered);
    daemon.stop().await;
}

#[tokio::test]
async fn a_stream_that_its_caller_may_not_open_any_more_ends_as_not_permitted() {
    let (_dir, daemon, access, steady) = asking().await;
    write_a_long_log(&daemon, &steady).await;
    let token = access.grant("fallen", ALL, "*");
    wait_until_known(&daemon, &token).await;
    let (open, _kept) = open_all(&daemon, &token).await;
    access.change(|text| {
        let (before, fallen) = text
            .split_once("name = \"fallen\"")
            .expect("it is the last");
        let reader = fallen.replace(ALL, "reader").replace("\"*\"", "\"none\"");
        format!("{before}name = \"fallen\"{reader}")
    });
    // Somebody else came later, so that it is seen when the change is in force.
    let other = access.grant("other", "reader", "*");
    wait_until_known(&daemon, &other).await;
    for (what, end) in open {
        // With no named plan it goes on with what may still be seen; reflection is open to all roles.
        if ["Watch", "ReadLog", "ServerReflectionInfo"].contains(&what) {
            continue;
        }
        let end = timeout(PATIENCE, end).await;
        let end = end.unwrap_or_else(|_| panic!("{what} goes on"));
        assert_refused(&end, "NOT_PERMITTED", what);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_watch_shows_at_any_time_what_its_caller_may_see_then() {
    let (_dir, daemon, access, steady) = asking().await;
    let token = access.grant("narrow", "reader", "a-*");
    wait_until_known(&daemon, &token).await;
    let watch = history(daemon.channel(), &token)
        .watch(WatchRequest::default())
        .await;
    let mut watch = watch.expect("opened").into_inner();
    let mut plans = plans(daemon.channel(), &steady);
    let make = async |plans: &mut PlanServiceClient<_>, plan_id: &str| {
        let answer = plans.execute(request(plan_id, "1", create_plan())).await;
        let entry = answer.expect("recorded").into_inner().entry;
        entry.expect("an entry").position
    };
    make(&mut plans, "b-1").await;
    let first = make(&mut plans, "a-1").await;
    assert_eq!(next_position(&mut watch).await, first);
    access.change(|text| text.replace("plans = [\"a-*\"]", "plans = [\"b-*\"]"));
    let other = access.grant("other", "reader", "*");
    wait_until_known(&daemon, &other).await;
    make(&mut plans, "a-2").await;
    let second = make(&mut plans, "b-2").await;
    assert_eq!(next_position(&mut watch).await, second);
    daemon.stop().await;
}

#[tokio::test]
async fn a_change_that_leaves_a_caller_as_it_was_ends_none_of_its_streams() {
    let (_dir, daemon, access, steady) = asking().await;
    let watch = history(daemon.channel(), &steady)
        .watch(WatchRequest::default())
        .await;
    let mut watch = watch.expect("opened").into_inner();
    let (requests, sent) = mpsc::channel(1);
    let answers = plans(daemon.channel(), &steady)
        .execute_stream(ReceiverStream::new(sent))
        .await;
    let mut answers = answers.expect("opened").into_inner();
    for number in 0..3 {
        let newcomer = access.grant(&format!("newcomer-{number}"), "reader", "*");
        wait_until_known(&daemon, &newcomer).await;
        let made = request(&format!("plan-{number}"), "1", create_plan());
        requests.send(asked(made)).await.expect("it is open");
        let answer = answers.message().await.expect("goes on").expect("answered");
        assert!(matches!(answer.outcome, Some(Outcome::Response(_))));
        assert_eq!(next_position(&mut watch).await, number + 1);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn no_stream_outlives_its_jwt_or_the_key_of_that() {
    let dir = tempdir().expect("a directory");
    let mut believing = issuer::arguments(&issuer::keys_in(dir.path())).to_vec();
    believing.extend(["--jwt-leeway-seconds", "0"].map(str::to_owned));
    let data = dir.path().join("data");
    let daemon = patient(&data, &believing).await;
    write_a_long_log(&daemon, &issuer::token_for(MINUTES)).await;

    let brief = issuer::token_for(Duration::from_secs(10));
    let (open, _kept) = open_all(&daemon, &brief).await;
    let refused = refused_anew(&daemon, &brief).await;
    assert_refused(&refused, "CREDENTIALS_INVALID", "a new call");
    assert_all_end(open, "CREDENTIALS_INVALID").await;

    let long = issuer::token_for(MINUTES);
    let (open, _kept) = open_all(&daemon, &long).await;
    issuer::keys_named("another", dir.path());
    refused_anew(&daemon, &long).await;
    assert_all_end(open, "CREDENTIALS_INVALID").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_client_takes_the_end_of_its_rights_for_what_it_is() {
    let (dir, daemon, access, _steady) = asking().await;
    let token = access.grant("gone", "reader", "*");
    wait_until_known(&daemon, &token).await;
    let shown = dir.path().join("token");
    fs::write(&shown, &token).expect("written");
    let client = Client::at(daemon.address()).expect("an address");
    let client = client.token_file(&shown).connect().await;
    let client = client.expect("connected");
    let mut watch = client
        .watch(WatchRequest::default())
        .await
        .expect("a watch");
    access.change(|text| without(text, "gone"));
    let end = async {
        loop {
            if let Err(end) = watch.next().await {
                return end;
            }
        }
    };
    let end = timeout(PATIENCE, end).await.expect("in time");
    let WatchError::Refused(refusal) = end else {
        panic!("{end:?}");
    };
    let reason = refusal.known_reason();
    assert_eq!(reason, Some(ErrorReason::CredentialsInvalid));
    daemon.stop().await;
}

#[tokio::test]
async fn a_client_whose_token_is_renewed_in_its_file_watches_on() {
    let (dir, daemon, access, steady) = asking().await;
    let old = access.grant("old", "reader", "*");
    let new = access.grant("new", "reader", "*");
    wait_until_known(&daemon, &new).await;
    let shown = dir.path().join("token");
    fs::write(&shown, &old).expect("written");
    let client = Client::at(daemon.address()).expect("an address");
    let client = client.token_file(&shown).connect().await;
    let client = client.expect("connected");
    let watch = client.watch(WatchRequest::default()).await;
    let mut watch = watch.expect("a watch");
    fs::write(&shown, &new).expect("written");
    access.change(|text| without(text, "old"));
    let found_again = async {
        loop {
            if let Watched::Reconnected { lost, .. } = watch.next().await.expect("it goes on") {
                return lost;
            }
        }
    };
    let lost = timeout(PATIENCE, found_again).await.expect("in time");
    let reason = lost.known_reason();
    assert_eq!(reason, Some(ErrorReason::CredentialsInvalid));
    let made = request("growth", "1", create_plan());
    let made = plans(daemon.channel(), &steady).execute(made).await;
    made.expect("recorded");
    let told = async {
        loop {
            if let Watched::Commit(entry) = watch.next().await.expect("it goes on") {
                return entry.position;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, told).await.expect("in time"), 1);
    daemon.stop().await;
}

/// Returns once somebody new is known.
async fn wait_until_known(daemon: &Daemon, token: &str) {
    let mut plans = plans(daemon.channel(), token);
    let known = async {
        loop {
            let answer = plans.get_plan(GetPlanRequest::default()).await;
            if answer.expect_err("no plan is named").code() != Code::Unauthenticated {
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    timeout(PATIENCE, known).await.expect("in time");
}

/// The position of the next commit that a watch shows, of which one comes at a time.
async fn next_position(watch: &mut Streaming<WatchResponse>) -> u64 {
    let next = async {
        loop {
            let message = watch.message().await.expect("goes on").expect("a message");
            if let Some(Response::Entries(entries)) = message.response {
                assert_eq!(entries.entries.len(), 1);
                return entries.entries[0].position;
            }
        }
    };
    timeout(PATIENCE, next).await.expect("in time")
}

/// An access file without somebody.
fn without(text: &str, name: &str) -> String {
    let named = format!("name = \"{name}\"\n");
    let others = text.split("[[principal]]\n").skip(1);
    let others = others.filter(|it| !it.starts_with(&named));
    let mut kept = String::new();
    for other in others {
        kept.push_str("[[principal]]\n");
        kept.push_str(other);
    }
    kept.push_str("# somebody is gone\n");
    kept
}
