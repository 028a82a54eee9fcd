//! Traces and metrics, as a collector receives them.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
    trace::v1::Span,
};
use strata::proto::GetPlanRequest;
use tempfile::tempdir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Server, ServerTlsConfig},
};

use crate::{
    certificates::Authority,
    daemon::{Daemon, create_plan, note, request, serve_arguments},
    language::execute,
    metrics::free_address,
};

/// The span of the caller.
const PARENT: &str = "00f067aa0ba902b7";
/// What the collector asks for, and is in no log.
const CREDENTIAL: &str = "Bearer swordfish";
/// What must never be in a trace.
const SECRET: &str = "the chef leaves in May";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    /// What the last delivery had in `authorization`.
    credential: Option<String>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let credential = request.metadata().get("authorization");
        let credential = credential.map(|it| it.to_str().expect("ASCII").to_owned());
        let scopes = request.into_inner().resource_spans.into_iter();
        let scopes = scopes.flat_map(|resource| resource.scope_spans);
        let mut received = self.0.lock().expect("what was received");
        received.credential = credential;
        received.spans.extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_metrics.into_iter();
        let scopes = scopes.flat_map(|resource| resource.scope_metrics);
        let mut received = self.0.lock().expect("what was received");
        received.metrics = scopes.flat_map(|scope| scope.metrics).collect();
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, SocketAddr, JoinHandle<()>) {
        Self::start_on(Server::builder()).await
    }

    async fn start_over_tls(authority: &Authority) -> (Self, SocketAddr, JoinHandle<()>) {
        let tls = ServerTlsConfig::new().identity(authority.server().identity());
        Self::start_on(Server::builder().tls_config(tls).expect("a certificate")).await
    }

    async fn start_on(mut server: Server) -> (Self, SocketAddr, JoinHandle<()>) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = server
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move { server.await.expect("serves") });
        (collector, address, serving)
    }

    fn spans_of(&self, trace: &str) -> Vec<Span> {
        let received = self.0.lock().expect("what was received");
        let spans = received.spans.iter();
        spans
            .filter(|span| hex::encode(&span.trace_id) == trace)
            .cloned()
            .collect()
    }
}

/// A request of a caller who traces, or says that it does not.
fn traced<T>(message: T, trace: &str, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let traceparent = format!("00-{trace}-{PARENT}-{flags}");
    let traceparent = traceparent.parse().expect("a header");
    request.metadata_mut().insert("traceparent", traceparent);
    request
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = attribute.value.as_ref().and_then(|it| it.value.as_ref());
        let value = value.expect("a value");
        if let Value::StringValue(text) = value {
            text.clone()
        } else if let Value::IntValue(number) = value {
            number.to_string()
        } else {
            format!("{value:?}")
        }
    };
    let attributes = span.attributes.iter();
    attributes.map(|it| (it.key.clone(), text(it))).collect()
}

#[tokio::test]
async fn a_callers_trace_goes_on_in_the_daemon_down_to_the_disk() {
    let (collector, address, serving) = Collector::start().await;
    let dir = tempdir().expect("a directory");
    let endpoint = format!("http://{address}");
    let arguments = [
        "--otlp-endpoint",
        &endpoint,
        "--trace-calls-in-a-million",
        "0",
    ];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    let (seen, unseen) = (
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "5bf92f3577b34da6a3ce929d0e0e4736",
    );
    for (trace, id, flags) in [(unseen, "unseen", "00"), (seen, "seen", "01")] {
        let message = request("growth", id, note(SECRET));
        let answer = daemon.plans().execute(traced(message, trace, flags)).await;
        answer.expect("recorded");
    }
    let missing = GetPlanRequest {
        plan_id: "nowhere".to_owned(),
        ..Default::default()
    };
    let refused = daemon.plans().get_plan(traced(missing, seen, "01")).await;
    refused.expect_err("there is no such plan");
    // What is left is delivered at the stop.
    daemon.stop().await;
    serving.abort();

    let spans = collector.spans_of(seen);
    let of = |name: &str| spans.iter().find(|span| span.name == name);
    let call = of("Execute").unwrap_or_else(|| panic!("{spans:?}"));
    assert_eq!(hex::encode(&call.parent_span_id), PARENT);
    for phase in ["ready", "place", "queue", "decide", "sync"] {
        let phase = of(phase).unwrap_or_else(|| panic!("no {phase}: {spans:?}"));
        assert_eq!(phase.parent_span_id, call.span_id);
        assert!(phase.start_time_unix_nano >= call.start_time_unix_nano);
        assert!(phase.end_time_unix_nano <= call.end_time_unix_nano);
    }
    let said = attributes(call);
    for (key, value) in [
        ("rpc.service", "strata.v1.PlanService"),
        ("rpc.method", "Execute"),
        ("rpc.grpc.status_code", "0"),
        ("strata.plan", "growth"),
        ("strata.request_id", "seen"),
        ("strata.caller", "anonymous"),
    ] {
        assert_eq!(said.get(key).map(String::as_str), Some(value), "{said:?}");
    }
    let refused = attributes(of("GetPlan").expect("a span"));
    assert_eq!(refused["rpc.grpc.status_code"], "5");
    assert_eq!(refused["strata.reason"], "PLAN_NOT_FOUND");
    assert_eq!(collector.spans_of(unseen), []);
    let received = collector.0.lock().expect("what was received");
    assert!(!format!("{:?}", received.spans).contains(SECRET));
    // Nobody asked for a trace of the first request.
    assert!(
        received
            .spans
            .iter()
            .all(|it| hex::encode(&it.trace_id) == seen)
    );
}

#[tokio::test]
async fn a_collector_gets_the_figures_that_prometheus_gets() {
    let (collector, address, serving) = Collector::start().await;
    let dir = tempdir().expect("a directory");
    let endpoint = format!("http://{address}");
    let metrics = free_address().to_string();
    let arguments = ["--otlp-endpoint", &endpoint, "--metrics-listen", &metrics];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    for id in ["1", "2", "3"] {
        execute(&daemon, request(&format!("plan-{id}"), id, create_plan())).await;
    }
    daemon.stop().await;
    serving.abort();

    let received = collector.0.lock().expect("what was received");
    let of = |name: &str| {
        let found = received.metrics.iter().find(|metric| metric.name == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    };
    let calls = of("strata_calls_total");
    assert!(!calls.description.is_empty());
    let Some(Data::Sum(sum)) = &calls.data else {
        panic!("{calls:?}");
    };
    let has = |labels: &[KeyValue], key: &str, value: &str| {
        let text = Value::StringValue(value.to_owned());
        labels.iter().any(|label| {
            let said = label.value.as_ref().and_then(|it| it.value.as_ref());
            label.key == key && said == Some(&text)
        })
    };
    let recorded = sum.data_points.iter().find(|point| {
        has(&point.attributes, "rpc", "Execute") && has(&point.attributes, "code", "OK")
    });
    let recorded = recorded.and_then(|point| point.value);
    assert_eq!(recorded, Some(number_data_point::Value::AsInt(3)));
    assert!(matches!(
        of("strata_sync_seconds").data,
        Some(Data::Histogram(_))
    ));
    assert_eq!(of("strata_sync_seconds").unit, "s");
    assert!(matches!(
        of("strata_head_position").data,
        Some(Data::Gauge(_))
    ));
}

#[tokio::test]
async fn a_collector_that_is_away_holds_up_nothing_and_is_told_of_once() {
    let dir = tempdir().expect("a directory");
    let endpoint = format!("http://{}", free_address());
    let arguments = [
        "--otlp-endpoint",
        &endpoint,
        "--trace-calls-in-a-million",
        "1000000",
    ];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    let refusal = "the collector does not take";
    execute(&daemon, request("growth", "0", create_plan())).await;
    daemon.until_it_says(refusal).await;
    for id in 1..200 {
        execute(&daemon, request("growth", &id.to_string(), note("on"))).await;
    }
    let log = daemon.stop().await;
    assert_eq!(log.matches(refusal).count(), 1, "{log}");
    assert!(!log.contains("opentelemetry"), "{log}");
}

/// A daemon that traces every call for a collector on this machine, which it trusts by a file, or
/// does not.
async fn tracing_over_tls(data_dir: &Path, address: SocketAddr, ca_file: Option<&Path>) -> Daemon {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command.args(serve_arguments(data_dir));
    // Its name in the certificate.
    let endpoint = format!("https://localhost:{}", address.port());
    command.args(["--otlp-endpoint", &endpoint, "--log", "debug"]);
    command.args(["--trace-calls-in-a-million", "1000000"]);
    if let Some(ca_file) = ca_file {
        command.arg("--otlp-ca-file").arg(ca_file);
    }
    let headers = format!("authorization={}", CREDENTIAL.replace(' ', "%20"));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", headers);
    let daemon = Daemon::spawn(command).await;
    daemon.wait_until_serving().await;
    daemon
}

#[tokio::test]
async fn a_collector_over_tls_gets_traces_and_figures_with_a_credential_that_no_log_shows() {
    let authority = Authority::new();
    let (collector, address, serving) = Collector::start_over_tls(&authority).await;
    let dir = tempdir().expect("a directory");
    let ca_file = dir.path().join("ca.pem");
    fs::write(&ca_file, authority.pem()).expect("written");
    let daemon = tracing_over_tls(&dir.path().join("data"), address, Some(&ca_file)).await;
    execute(&daemon, request("growth", "1", create_plan())).await;
    let log = daemon.stop().await;
    serving.abort();

    let received = collector.0.lock().expect("what was received");
    assert!(received.spans.iter().any(|span| span.name == "Execute"));
    assert!(!received.metrics.is_empty());
    assert_eq!(received.credential.as_deref(), Some(CREDENTIAL));
    assert!(!log.contains("swordfish"), "{log}");
}

#[tokio::test]
async fn a_collector_with_a_certificate_that_nobody_vouches_for_gets_nothing() {
    let (collector, address, serving) = Collector::start_over_tls(&Authority::new()).await;
    let dir = tempdir().expect("a directory");
    let other = dir.path().join("ca.pem");
    fs::write(&other, Authority::new().pem()).expect("written");
    for (name, ca_file) in [("one", None), ("two", Some(other.as_path()))] {
        let daemon = tracing_over_tls(&dir.path().join(name), address, ca_file).await;
        execute(&daemon, request("growth", "1", create_plan())).await;
        let log = daemon.stop().await;
        assert!(log.contains("the collector does not take"), "{log}");
    }
    serving.abort();
    let received = collector.0.lock().expect("what was received");
    assert!(received.spans.is_empty() && received.metrics.is_empty());
    assert_eq!(received.credential, None);
}

#[tokio::test]
async fn a_file_of_authorities_that_is_none_is_said_at_the_start() {
    let dir = tempdir().expect("a directory");
    let none = dir.path().join("ca.pem");
    for words in ["cannot read", "it holds no certificate"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
        command.args(serve_arguments(&dir.path().join("data")));
        command.args(["--otlp-endpoint", "https://localhost:4317"]);
        command.arg("--otlp-ca-file").arg(&none);
        let ended = tokio::task::spawn_blocking(move || command.output()).await;
        let ended = ended.expect("it ends").expect("stratad runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{said}");
        for words in [words, "ca.pem", "--otlp-ca-file"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        fs::write(&none, "none").expect("written");
    }
}
