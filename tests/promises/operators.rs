//! What operators and their tools ask of a daemon: its health, what can be asked of it, and how it
//! is.

use prost::Message as _;
use prost_types::{FileDescriptorProto, Timestamp};
use strata::proto::WatchRequest;
use tempfile::tempdir;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::execute,
};

const SERVICES: [&str; 4] = [
    "strata.v1.PlanService",
    "strata.v1.HistoryService",
    "strata.v1.AuditService",
    "strata.v1.AdminService",
];

async fn channel(daemon: &Daemon) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(daemon.url()).expect("a URL");
    endpoint.connect().await.expect("connected")
}

async fn health(daemon: &Daemon, service: &str) -> Result<ServingStatus, Status> {
    let asked = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(channel(daemon).await).check(asked).await;
    answer.map(|answer| answer.into_inner().status())
}

#[tokio::test]
async fn health_is_said_for_each_service_until_the_daemon_drains() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for service in SERVICES.into_iter().chain([""]) {
        let said = health(&daemon, service).await.expect("known");
        assert_eq!(said, ServingStatus::Serving, "{service}");
    }
    let unknown = health(&daemon, "strata.v1.Tea")
        .await
        .expect_err("not served");
    assert_eq!(unknown.code(), Code::NotFound);

    let asked = HealthCheckRequest {
        service: SERVICES[0].to_owned(),
    };
    let watched = HealthClient::new(channel(&daemon).await).watch(asked).await;
    let mut watched = watched.expect("watched").into_inner();
    let first = watched.message().await.expect("said").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    let stopping = tokio::spawn(daemon.stop());
    let next = watched.message().await.expect("said").expect("a status");
    assert_eq!(next.status(), ServingStatus::NotServing);
    drop(watched);
    stopping.await.expect("stopped well");
}

#[tokio::test]
async fn why_a_client_is_refused_is_logged_for_those_who_ask() {
    for (filter, said) in [("info", false), ("info,strata=debug", true)] {
        let dir = tempdir().expect("a directory");
        let daemon = Daemon::start_with(dir.path(), &["--log", filter, "--call-log", "none"]).await;
        let stray = request("none", "1", note("to nothing"));
        let refused = daemon.plans().execute(stray).await;
        assert_eq!(refused.expect_err("no plan").code(), Code::NotFound);
        let log = daemon.stop().await;
        assert_eq!(log.contains("PLAN_NOT_FOUND"), said, "{log}");
    }
}

/// The names of all services, by reflection v1.
async fn services_v1(channel: Channel) -> Vec<String> {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let asked = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let asked = tokio_stream::iter([asked]);
    let answer = ServerReflectionClient::new(channel)
        .server_reflection_info(asked)
        .await;
    let answer = answer.expect("reflected").into_inner().message().await;
    match answer
        .expect("reflected")
        .expect("an answer")
        .message_response
    {
        Some(MessageResponse::ListServicesResponse(list)) => list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// The files that define a symbol or have a name, by reflection v1alpha, as older tools ask.
async fn files_v1alpha(channel: Channel, symbol: &str, name: &str) -> Vec<FileDescriptorProto> {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let asked = if symbol.is_empty() {
        MessageRequest::FileByFilename(name.to_owned())
    } else {
        MessageRequest::FileContainingSymbol(symbol.to_owned())
    };
    let asked = ServerReflectionRequest {
        message_request: Some(asked),
        ..Default::default()
    };
    let asked = tokio_stream::iter([asked]);
    let answer = ServerReflectionClient::new(channel)
        .server_reflection_info(asked)
        .await;
    let answer = answer.expect("reflected").into_inner().message().await;
    match answer
        .expect("reflected")
        .expect("an answer")
        .message_response
    {
        Some(MessageResponse::FileDescriptorResponse(files)) => files
            .file_descriptor_proto
            .iter()
            .map(|file| FileDescriptorProto::decode(file.as_slice()).expect("a file"))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reflection_serves_what_can_be_asked_and_what_errors_carry() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let channel = channel(&daemon).await;
    let listed = services_v1(channel.clone()).await;
    for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(
            listed.iter().any(|name| name == service),
            "{service}: {listed:?}"
        );
    }
    for service in SERVICES {
        let files = files_v1alpha(channel.clone(), service, "").await;
        let (_, name) = service.rsplit_once('.').expect("a package");
        let mut services = files.iter().flat_map(|file| &file.service);
        assert!(services.any(|found| found.name() == name), "{service}");
    }
    for (symbol, name) in [
        ("google.rpc.ErrorInfo", ""),
        ("google.rpc.BadRequest", ""),
        ("", "google/rpc/error_details.proto"),
    ] {
        let files = files_v1alpha(channel.clone(), symbol, name).await;
        let mut messages = files.iter().flat_map(|file| &file.message_type);
        assert!(
            messages.any(|message| message.name() == "ErrorInfo"),
            "{symbol}{name}"
        );
    }
}

#[tokio::test]
async fn the_status_tells_how_the_daemon_is() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let empty = daemon.status().await;
    assert_eq!((empty.head_position, empty.plans, empty.watches), (0, 0, 0));
    assert_eq!(empty.last_recorded_at, None);
    assert_eq!(empty.version, env!("CARGO_PKG_VERSION"));
    assert!(empty.queue_limit > 0 && empty.cache_limit_bytes > 0);
    assert_eq!(empty.log_id.len(), 36, "{}", empty.log_id);

    execute(&daemon, request("growth", "1", create_plan())).await;
    execute(&daemon, request("bakery", "1", create_plan())).await;
    let last = execute(&daemon, request("growth", "2", note("x"))).await;
    let commit = last
        .entry
        .expect("an entry")
        .decode_commit()
        .expect("a commit");
    let watched = daemon
        .history()
        .watch(WatchRequest::default())
        .await
        .expect("watched");
    let full = daemon.status().await;
    assert_eq!(
        (full.head_position, full.plans, full.queued_requests),
        (3, 2, 0)
    );
    assert_eq!(full.last_recorded_at, commit.recorded_at);
    assert_eq!(
        (full.started_at, &full.log_id),
        (empty.started_at, &empty.log_id)
    );
    assert!(full.cached_bytes > 0 && full.cached_bytes <= full.cache_limit_bytes);
    let mut stream = watched.into_inner();
    stream.message().await.expect("watched").expect("an entry");
    assert_eq!(daemon.status().await.watches, 1);
    drop(stream);

    daemon.stop().await;
    let daemon = Daemon::start(dir.path()).await;
    let again = daemon.status().await;
    assert_eq!((again.head_position, again.view_position), (3, 3));
    assert_eq!(
        (&again.log_id, again.last_recorded_at),
        (&full.log_id, full.last_recorded_at)
    );
    assert_eq!((again.plans, again.watches), (2, 0));
    let at = |time: Option<Timestamp>| time.map(|time| (time.seconds, time.nanos));
    assert!(at(again.started_at) > at(full.started_at));
}
