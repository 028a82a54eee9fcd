//! Who calls: where that must be known, nothing is answered before it is, but for health. The calls are
//! those of the descriptors, so that one which is added is asked as well.

use bytes::Bytes;
use h2::client::SendRequest;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use strata::{
    access::token::Token,
    proto::{
        FILE_DESCRIPTOR_SET, GetStatusRequest, admin_service_client::AdminServiceClient,
        plan_service_client::PlanServiceClient,
    },
};
use tempfile::{TempDir, tempdir};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb;
use tonic_types::StatusExt as _;

use crate::{
    daemon::{AccessFile, Daemon, bearing, create_plan, request},
    issuer,
    language::{reading, refused},
    raw::{self, GRPC, WEB},
};

/// A daemon that asks who calls, and the token of one who may both plan and operate.
async fn asking() -> (TempDir, Daemon, String) {
    asking_with(&[]).await
}

async fn asking_with(arguments: &[&str]) -> (TempDir, Daemon, String) {
    let dir = tempdir().expect("a directory");
    let access = AccessFile::new(dir.path());
    let token = access.grant("ops", "operator\", \"planner", "*");
    let given = access.arguments();
    let mut all: Vec<_> = given.iter().map(String::as_str).collect();
    all.extend(arguments);
    let daemon = Daemon::start_with(&dir.path().join("data"), &all).await;
    (dir, daemon, token)
}

/// The paths of all calls that some descriptors hold.
fn paths(descriptors: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(descriptors).expect("descriptors");
    let mut paths = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            paths.extend(
                service
                    .method
                    .iter()
                    .map(|it| format!("/{name}/{}", it.name())),
            );
        }
    }
    paths
}

/// All calls but health, and some that there are not.
fn guarded() -> Vec<String> {
    let mut all = paths(FILE_DESCRIPTOR_SET);
    assert!(all.len() >= 20, "{all:?}");
    all.extend(paths(pb::v1::FILE_DESCRIPTOR_SET));
    all.extend(paths(pb::v1alpha::FILE_DESCRIPTOR_SET));
    let unknown = [
        "/",
        "/strata.v1.PlanService",
        "/strata.v1.PlanService/",
        "/strata.v1.PlanService/Nothing",
        "/strata.v2.PlanService/GetPlan",
        "/tea.v1.Kitchen/Boil",
        "/metrics",
        "//grpc.health.v1.Health/Check",
        "/grpc.health.v1.HealthCheck/Check",
        "/x/../grpc.health.v1.Health/Check",
        "/strata.v1.AdminService/GetStatus?/grpc.health.v1.Health/Check",
    ];
    all.extend(unknown.map(str::to_owned));
    all
}

#[track_caller]
fn assert_refused(status: Option<Status>, reason: &str, of: &str) {
    let status = status.unwrap_or_else(|| panic!("{of} is answered"));
    assert_eq!(
        reading(&status).kind(),
        (Code::Unauthenticated, reason),
        "{of}"
    );
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_known_who_calls() {
    let (_dir, daemon, _token) = asking().await;
    let connection = raw::connect(&daemon).await;
    for path in guarded() {
        for kind in [GRPC, WEB, "application/grpc-web-text", "text/plain"] {
            // The message never comes, so the answer cannot have waited for it.
            let status = raw::status_of_head(&connection, raw::head(&path, kind, &[])).await;
            assert_refused(status, "CREDENTIALS_REQUIRED", &format!("{path} as {kind}"));
        }
        let headers = [("content-type", WEB), ("content-length", "100")];
        let (line, headers) = raw::over_http1(&daemon, "POST", &path, &headers).await;
        assert_eq!(line, "HTTP/1.1 200 OK", "{path}");
        let status = Status::from_header_map(&headers);
        assert_refused(
            status,
            "CREDENTIALS_REQUIRED",
            &format!("{path} over HTTP/1.1"),
        );
    }
}

#[tokio::test]
async fn credentials_that_name_nobody_open_nothing() {
    let (_dir, daemon, token) = asking_with(&["--failed-credentials-per-minute", "0"]).await;
    let connection = raw::connect(&daemon).await;
    let unknown = Token::random().expect("random bytes");
    let unknown = format!("Bearer {}", unknown.reveal());
    let (good, basic) = (format!("Bearer {token}"), format!("Basic {token}"));
    let cut = &good[..good.len() - 1];
    let long = format!("Bearer {}", "a".repeat(9_000));
    let twice = format!("{good}, {good}");
    for path in guarded() {
        for shown in [
            &["Bearer "][..],
            &["Bearer"],
            &[""],
            &[token.as_str()],
            &[&unknown],
            &[&basic],
            &[cut],
            &[&long],
            &[&twice],
            &[&good, &good],
            &["Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcHMifQ."],
        ] {
            for kind in [GRPC, WEB] {
                let status = raw::status_of_head(&connection, raw::head(&path, kind, shown)).await;
                assert_refused(
                    status,
                    "CREDENTIALS_INVALID",
                    &format!("{path} with {shown:?}"),
                );
            }
        }
    }
}

#[tokio::test]
async fn whoever_is_known_gets_answers_and_only_then() {
    let (_dir, daemon, token) = asking().await;
    let answer = daemon.admin().get_status(GetStatusRequest {}).await;
    assert_eq!(
        refused(answer).kind(),
        (Code::Unauthenticated, "CREDENTIALS_REQUIRED")
    );
    let mut known = AdminServiceClient::with_interceptor(daemon.channel(), bearing(&token));
    let answer = known.get_status(GetStatusRequest {}).await;
    assert_eq!(answer.expect("a status").into_inner().head_position, 0);
    let mut known = PlanServiceClient::with_interceptor(daemon.channel(), bearing(&token));
    let answer = known.execute(request("growth", "one", create_plan())).await;
    assert_eq!(answer.expect("recorded").into_inner().revision, 1);
}

const GET_STATUS: &str = "/strata.v1.AdminService/GetStatus";
/// How often an address may try in vain in the tests of that.
const IN_VAIN: usize = 5;

/// The reason for which a call with a token is refused; nothing: it is answered.
async fn refused_for(connection: &SendRequest<Bytes>, token: &str) -> String {
    let bearer = format!("Bearer {token}");
    let shown: &[&str] = if token.is_empty() { &[] } else { &[&bearer] };
    let (head, connection) = (raw::head(GET_STATUS, GRPC, shown), connection.clone());
    let (answer, mut message) = {
        let mut sender = connection.ready().await.expect("ready");
        sender.send_request(head, false).expect("sent")
    };
    // An empty message; it may be too late for it.
    message.send_data(Bytes::from_static(&[0; 5]), true).ok();
    let status = raw::status_of(answer).await;
    status.map_or_else(String::new, |status| reading(&status).reason)
}

fn unknown_token() -> String {
    let token = Token::random().expect("random bytes");
    token.reveal().to_string()
}

#[tokio::test]
async fn credentials_that_name_nobody_are_bounded_by_address_and_keep_out_no_good_ones() {
    let limits = ["--failed-credentials-per-minute", "1"];
    let burst = IN_VAIN.to_string();
    let limits = [&limits[..], &["--failed-credentials-burst", &burst]].concat();
    let (_dir, daemon, token) = asking_with(&limits).await;
    let connection = raw::connect_from("127.0.0.2", &daemon).await;
    for _ in 0..IN_VAIN {
        let refused = refused_for(&connection, &unknown_token()).await;
        assert_eq!(refused, "CREDENTIALS_INVALID");
    }
    // From then on what is tried in vain is refused for that, over whatever connection it comes.
    let another = raw::connect_from("127.0.0.2", &daemon).await;
    for connection in [&connection, &another] {
        for bad in [&unknown_token(), "strata_x", "a.b.c"] {
            assert_eq!(refused_for(connection, bad).await, "RATE_LIMIT", "{bad}");
        }
        // Who shows nothing has tried nothing, and who is known is let in.
        let refused = refused_for(connection, "").await;
        assert_eq!(refused, "CREDENTIALS_REQUIRED");
        assert_eq!(refused_for(connection, &token).await, "");
    }
    // Others have theirs.
    let other = raw::connect_from("127.0.0.3", &daemon).await;
    let refused = refused_for(&other, &unknown_token()).await;
    assert_eq!(refused, "CREDENTIALS_INVALID");

    let bearer = format!("Bearer {}", unknown_token());
    let head = raw::head(GET_STATUS, GRPC, &[&bearer]);
    let status = raw::status_of_head(&connection, head).await;
    let details = status.expect("a refusal").get_error_details();
    let retry = details.retry_info().and_then(|info| info.retry_delay);
    assert!(retry.expect("when to try again").as_secs() <= 60);
    let quota = details.quota_failure().expect("a quota");
    assert_eq!(quota.violations[0].subject, "address:127.0.0.2");
}

#[tokio::test]
async fn a_good_jwt_opens_where_too_many_bad_ones_come_from() {
    let dir = tempdir().expect("a directory");
    let arguments = issuer::arguments(&issuer::keys_in(dir.path()));
    let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["--failed-credentials-per-minute", "1"]);
    let daemon = Daemon::start_with(&dir.path().join("data"), &arguments).await;
    let connection = raw::connect_from("127.0.0.2", &daemon).await;
    // What a planner may not do, it is told when it is known who it is.
    let known = "NOT_PERMITTED";
    let before = issuer::token(issuer::KEY, 0);
    assert_eq!(refused_for(&connection, &before).await, known);
    let (signed, _) = before.rsplit_once('.').expect("a signature");
    let forged = format!("{signed}.{}", "A".repeat(86));
    let refused = refused_for(&connection, &forged).await;
    assert_eq!(refused, "CREDENTIALS_INVALID");
    for bad in [&forged, &issuer::token("another", 1)] {
        assert_eq!(refused_for(&connection, bad).await, "RATE_LIMIT");
    }
    for number in 0..3 {
        let good = issuer::token(issuer::KEY, number);
        assert_eq!(refused_for(&connection, &good).await, known, "{number}");
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_holds_up_few_who_name_its_keys_and_nobody_else() {
    const CALLS: usize = 200;
    const WAITING: usize = 64;
    let dir = tempdir().expect("a directory");
    let access = AccessFile::new(dir.path());
    let token = access.grant("ops", "operator", "*");
    let unknown = issuer::token("unknown", 0);
    let stalled = issuer::Stalled::start();
    let arguments = [access.arguments(), issuer::arguments(&stalled.url).to_vec()].concat();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let daemon = Daemon::start_with(&dir.path().join("data"), &arguments).await;
    let connection = raw::connect_from("127.0.0.2", &daemon).await;
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let (connection, token) = (connection.clone(), unknown.clone());
        calls.spawn(async move { refused_for(&connection, &token).await });
    }
    for _ in WAITING..CALLS {
        let refused = calls.join_next().await.expect("a call").expect("ended");
        assert_eq!(refused, "OVERLOADED");
    }
    assert_eq!(refused_for(&connection, &token).await, "", "a good token");
    // Those who wait are told when the fetch has ended, and it was one for all.
    while let Some(refused) = calls.join_next().await {
        let reason = refused.expect("ended");
        assert!(["CREDENTIALS_INVALID", "RATE_LIMIT"].contains(&&*reason));
    }
    assert_eq!(stalled.asked(), 1);
}

#[tokio::test]
async fn health_is_told_to_all() {
    let (_dir, daemon, _token) = asking().await;
    let mut health = HealthClient::new(daemon.channel());
    health
        .check(HealthCheckRequest::default())
        .await
        .expect("told");
    let watch = health.watch(HealthCheckRequest::default()).await;
    let first = watch.expect("told").into_inner().message().await;
    assert!(first.expect("a status").is_some());
    for path in paths(tonic_health::pb::FILE_DESCRIPTOR_SET) {
        let connection = raw::connect(&daemon).await;
        let mut sender = connection.ready().await.expect("ready");
        let request = raw::head(&path, GRPC, &[]);
        let (answer, mut message) = sender.send_request(request, false).expect("sent");
        message
            .send_data(bytes::Bytes::from_static(&[0; 5]), true)
            .expect("sent");
        assert_eq!(
            raw::status_of(answer).await.map(|it| it.code()),
            None,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_callers_show_is_not_logged() {
    let keys = tempdir().expect("a directory");
    let issuer = issuer::arguments(&issuer::keys_in(keys.path()));
    let issuer = issuer.iter().map(String::as_str);
    let arguments: Vec<_> = issuer.chain(["--log", "trace"]).collect();
    let (_dir, daemon, token) = asking_with(&arguments).await;
    let mut known = AdminServiceClient::with_interceptor(daemon.channel(), bearing(&token));
    known
        .get_status(GetStatusRequest {})
        .await
        .expect("a status");
    let bad = "Bearer strata_not-a-token-but-a-secret";
    let connection = raw::connect(&daemon).await;
    let head = raw::head("/strata.v1.PlanService/GetPlan", GRPC, &[bad]);
    assert_refused(
        raw::status_of_head(&connection, head).await,
        "CREDENTIALS_INVALID",
        bad,
    );
    // Whoever signed them: taken for a good one, of an unknown key, and with a signature that does not hold.
    let signed = issuer::token(issuer::KEY, 0);
    let unknown = issuer::token("another", 0);
    let (head, _) = signed.rsplit_once('.').expect("a signature");
    let forged = format!("{head}.{}", "A".repeat(86));
    assert_eq!(refused_for(&connection, &signed).await, "NOT_PERMITTED");
    for token in [&unknown, &forged] {
        let refused = refused_for(&connection, token).await;
        assert_eq!(refused, "CREDENTIALS_INVALID");
    }
    // And over HTTP/1.1, as pages send them.
    for shown in [&token, &signed, &unknown, &forged] {
        let bearer = format!("Bearer {shown}");
        let headers = [("content-type", raw::WEB), ("authorization", &bearer)];
        raw::over_http1(&daemon, "POST", GET_STATUS, &headers).await;
    }
    let log = daemon.stop().await;
    assert!(log.contains("refused"), "it was logged what happened");
    let claims = |token: &str| token.split('.').nth(1).expect("claims").to_owned();
    for secret in [
        token,
        "not-a-token-but-a-secret".to_owned(),
        claims(&signed),
        claims(&unknown),
    ] {
        assert!(!log.contains(&secret), "{secret}");
    }
}

/// The services behind look at a path only, and an `OPTIONS` is noted nowhere.
#[tokio::test]
async fn only_a_post_is_a_call_whoever_sends_it() {
    let (_dir, daemon, token) = asking().await;
    let bearer = format!("Bearer {token}");
    for method in ["OPTIONS", "GET", "PUT"] {
        let mut sender = raw::connect(&daemon).await.ready().await.expect("ready");
        let mut head = raw::head("/strata.v1.AdminService/Backup", GRPC, &[&bearer]);
        *head.method_mut() = method.parse().expect("a method");
        let (answer, _) = sender.send_request(head, true).expect("sent");
        let refused = raw::status_of(answer).await.expect("a status");
        assert_eq!(refused.code(), Code::Unimplemented, "{method}");
    }
    daemon.stop().await;
}
