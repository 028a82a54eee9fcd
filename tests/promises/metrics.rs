//! The metrics, as Prometheus fetches them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Instant,
};

use strata::{
    access::rights::Rpc,
    gateway::calls::Called,
    proto::{GetPlanRequest, WatchRequest},
    telemetry::figures::{FIGURES, Figure, Kind},
};
use tempfile::tempdir;

use crate::{
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, create_plan, note, request, serve_arguments},
    language::execute,
};

const NAMES: [&str; 8] = [
    "strata_head_position",
    "strata_sync_seconds_count",
    "strata_sync_stalled_seconds",
    "strata_disk_free_bytes",
    "strata_disk_reserve_bytes",
    "strata_clock_leap_seconds",
    "strata_writes_refused_total{reason=\"DISK_RESERVE\"}",
    "strata_writes_refused_total{reason=\"CLOCK_LEAPT\"}",
];

/// An address that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// A figure that is there only with TLS.
const OF_TLS: &str = "strata_tls_certificate_expires_timestamp_seconds";

/// Labels that whoever fetches the figures adds to them.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

/// All codes of gRPC.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What a daemon says of a figure; nothing if it does not say.
pub(crate) fn figure(address: SocketAddr, name: &str) -> Option<f64> {
    page(address)
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// All that it says.
fn page(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("answered");
    page
}

/// Waits until a figure is as it should be.
pub(crate) async fn wait_for_figure(
    address: SocketAddr,
    name: &str,
    is_right: impl Fn(f64) -> bool,
) {
    let waiting_since = Instant::now();
    while !figure(address, name).is_some_and(&is_right) {
        let said = figure(address, name);
        assert!(waiting_since.elapsed() < PATIENCE, "{name} is {said:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[tokio::test]
async fn the_metrics_follow_the_log_and_the_disk() {
    let dir = tempdir().expect("a directory");
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    for id in ["growth", "bakery"] {
        execute(&daemon, request(id, "1", create_plan())).await;
    }
    wait_for_figure(metrics, "strata_head_position", |head| head >= 2.0).await;
    for name in NAMES {
        assert!(figure(metrics, name).is_some(), "{name} is missing");
    }
    let of = |name| figure(metrics, name).expect("a figure");
    assert!(of("strata_disk_free_bytes") > 0.0);
    assert!(of("strata_sync_seconds_count") >= 2.0);
    assert_eq!(of("strata_clock_leap_seconds").to_bits(), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_place_for_the_metrics_that_is_taken_is_said() {
    let dir = tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_taken, address) = taken.expect("an address");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command
        .args(serve_arguments(dir.path()))
        .args(["--metrics-listen", &address.to_string()]);
    let ended = Daemon::spawn(command).await.serving_or_ended().await;
    let said = ended.err().expect("the port is taken");
    assert!(said.contains("--metrics-listen"), "{said}");
}

#[tokio::test]
async fn the_figures_are_those_of_the_table_and_each_says_what_it_means() {
    let dir = tempdir().expect("a directory");
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    execute(&daemon, request("growth", "1", create_plan())).await;
    wait_for_figure(metrics, "strata_head_position", |head| head >= 1.0).await;
    let page = page(metrics);
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in page
        .lines()
        .filter(|line| line.starts_with("strata_") || line.starts_with("process_"))
    {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        let (name, said) = series.split_once('{').unwrap_or((series, ""));
        let figure = named(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let known = labels.entry(figure.name).or_default();
        let said = said
            .trim_end_matches('}')
            .split(',')
            .filter_map(|it| it.split_once('='));
        known.extend(
            said.map(|(label, _)| label)
                .filter(|it| !OF_PROMETHEUS.contains(it)),
        );
    }
    for figure in FIGURES.iter().filter(|it| it.name != OF_TLS) {
        let said = labels.get(figure.name);
        let said = said.unwrap_or_else(|| panic!("{} is not given out", figure.name));
        assert_eq!(
            *said,
            figure.labels.iter().copied().collect(),
            "{}",
            figure.name
        );
        let help = format!("# HELP {} {}", figure.name, figure.meaning);
        assert!(page.contains(&help), "{help}");
    }
    daemon.stop().await;
}

#[test]
fn the_page_on_metrics_shows_the_table() {
    let written = fs::read_to_string("docs/metrics.md").expect("the page");
    for figure in &FIGURES {
        let kind = match figure.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels = figure.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let row = format!(
            "| `{}` | {kind} | {labels} | {} |",
            figure.name, figure.meaning
        );
        assert!(
            written.contains(&row),
            "docs/metrics.md lacks the line\n{row}"
        );
    }
    let is_row = |line: &&str| line.starts_with("| `strata_") || line.starts_with("| `process_");
    let rows = written.lines().filter(is_row);
    assert_eq!(rows.count(), FIGURES.len());
}

#[tokio::test]
async fn calls_are_counted_by_what_they_are_and_how_they_end_whatever_is_sent() {
    let dir = tempdir().expect("a directory");
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    execute(&daemon, request("growth", "1", create_plan())).await;
    let missing = GetPlanRequest {
        plan_id: "nowhere".to_owned(),
        ..Default::default()
    };
    let missing = daemon.plans().get_plan(missing).await;
    missing.expect_err("there is no such plan");
    let series_before = page(metrics).matches("strata_calls_total{").count();
    for number in 0..5 {
        knock(
            daemon.address(),
            &format!("/strata.v1.PlanService/Try{number}"),
        );
    }
    let watch = daemon.history().watch(WatchRequest::default()).await;
    let watch = watch.expect("a watch");

    let calls = |rpc, code| format!("strata_calls_total{{rpc=\"{rpc}\",code=\"{code}\"}}");
    let is = |number: f64| move |value: f64| (value - number).abs() < 0.5;
    wait_for_figure(metrics, &calls("Execute", "OK"), is(1.0)).await;
    wait_for_figure(metrics, &calls("GetPlan", "NOT_FOUND"), is(1.0)).await;
    wait_for_figure(
        metrics,
        "strata_call_seconds_count{rpc=\"Execute\"}",
        is(1.0),
    )
    .await;
    let under_way = "strata_calls_under_way{rpc=\"Watch\"}";
    wait_for_figure(metrics, under_way, is(1.0)).await;
    wait_for_figure(metrics, "strata_watches", is(1.0)).await;
    drop(watch);
    wait_for_figure(metrics, under_way, is(0.0)).await;
    wait_for_figure(metrics, &calls("Watch", "CANCELLED"), is(1.0)).await;
    // Whatever the paths were, they are one series more at most.
    let series = page(metrics).matches("strata_calls_total{").count();
    assert!(
        series <= series_before + 2,
        "{series_before}, then {series}"
    );
    assert!(!page(metrics).contains("Try0"));
    daemon.stop().await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_shows_how_far_it_is_behind() {
    let dir = tempdir().expect("a directory");
    let metrics = free_address();
    let arguments = ["--metrics-listen", &metrics.to_string()];
    let daemon = Daemon::start_with(dir.path(), &arguments).await;
    execute(&daemon, request("growth", "0", create_plan())).await;
    let mut history = daemon.slow_history().await;
    let watch = history.watch(WatchRequest::default()).await;
    let mut watch = watch.expect("a watch").into_inner();
    watch.message().await.expect("goes on").expect("a message");
    // More than fits between the daemon and who does not read.
    let text = "words ".repeat(300);
    for id in 1..600 {
        execute(&daemon, request("growth", &id.to_string(), note(&text))).await;
    }
    wait_for_figure(metrics, "strata_watch_lag_commits", |lag| lag > 0.0).await;
    let mut read = 0;
    while read < 600 {
        let message = watch.message().await.expect("goes on").expect("a message");
        read = position_of(&message).unwrap_or(read);
    }
    wait_for_figure(metrics, "strata_watch_lag_commits", |lag| lag < 0.5).await;
    daemon.stop().await;
}

#[test]
fn rules_and_dashboard_name_figures_that_there_are() {
    let rules = fs::read_to_string("deploy/alerts.yaml").expect("the rules");
    let rules: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("expr: "))
        .collect();
    assert!(rules.len() > 10, "the rules are found");
    let board = fs::read_to_string("deploy/grafana/strata.json").expect("the dashboard");
    let board: serde_json::Value = serde_json::from_str(&board).expect("JSON");
    let mut queries = Vec::new();
    strings_of(&board, &mut queries);
    assert!(queries.len() > 20, "the queries are found");

    let mut shown = BTreeSet::new();
    for query in rules.into_iter().chain(queries.iter().map(String::as_str)) {
        for (name, selectors) in selections(query) {
            let figure = named(name).unwrap_or_else(|| panic!("no {name}: {query}"));
            shown.insert(figure.name);
            for (label, values) in selectors {
                let is_known = figure.labels.contains(&label) || OF_PROMETHEUS.contains(&label);
                assert!(is_known, "{name} has no {label}: {query}");
                for value in values.split('|') {
                    let is_known = match label {
                        "rpc" => rpcs().contains(&value),
                        "code" => CODES.contains(&value),
                        _ => true,
                    };
                    assert!(is_known, "there is no {label} {value}: {query}");
                }
            }
        }
        for label in groups(query) {
            let is_known = OF_PROMETHEUS.contains(&label)
                || FIGURES.iter().any(|figure| figure.labels.contains(&label));
            assert!(is_known, "there is no label {label}: {query}");
        }
    }
    // Whatever the daemon gives out is to be seen somewhere.
    let unseen: Vec<_> = FIGURES
        .iter()
        .map(|figure| figure.name)
        .filter(|name| !shown.contains(name))
        .collect();
    assert_eq!(
        unseen,
        ["strata_view_position", "process_virtual_memory_bytes"]
    );
}

#[test]
fn every_rule_says_where_to_read_on() {
    let rules = fs::read_to_string("deploy/alerts.yaml").expect("the rules");
    let mut names = Vec::new();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().expect("a name");
        let anchor = format!("runbook_url: docs/operate.md#{}", name.to_lowercase());
        assert!(rule.contains(&anchor), "{name}");
        for part in ["expr: ", "severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} lacks {part}");
        }
        names.push(name);
    }
    assert!(names.len() > 10 && names.iter().collect::<BTreeSet<_>>().len() == names.len());
}

/// The figure that a series belongs to.
fn named(series: &str) -> Option<&'static Figure> {
    let exactly = |name: &str| FIGURES.iter().find(|figure| figure.name == name);
    let of_histogram = |end| {
        let figure = exactly(series.strip_suffix(end)?)?;
        matches!(figure.kind, Kind::Histogram(_)).then_some(figure)
    };
    // A histogram has no series of its bare name.
    let bare = exactly(series).filter(|it| !matches!(it.kind, Kind::Histogram(_)));
    bare.or_else(|| {
        ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(of_histogram)
    })
}

fn rpcs() -> Vec<&'static str> {
    let rpcs = Rpc::ALL.map(Called::Rpc).into_iter();
    let rpcs = rpcs.chain([Called::Health, Called::Other]);
    rpcs.map(Called::name).collect()
}

/// The series that a query names, with the labels and values it picks by.
fn selections(query: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find(is_name) {
        rest = &rest[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        rest = behind;
        if !(name.starts_with("strata_") || name.starts_with("process_")) {
            continue;
        }
        let mut selectors = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            let (inside, behind) = inside.split_once('}').expect("an end");
            rest = behind;
            for selector in inside.split("\",") {
                let (label, value) = selector.split_once('"').expect("a value");
                let label = label.trim().trim_end_matches(['=', '!', '~']);
                selectors.push((label, value.trim_end_matches('"')));
            }
        }
        found.push((name, selectors));
    }
    found
}

/// The labels that a query groups by.
fn groups(query: &str) -> Vec<&str> {
    let lists = query.split("by (").skip(1);
    let lists = lists.filter_map(|rest| Some(rest.split_once(')')?.0));
    lists
        .flat_map(|list| list.split(',').map(str::trim))
        .collect()
}

/// The queries of a dashboard.
fn strings_of(value: &serde_json::Value, found: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) if name == "expr" || name == "query" => found.push(text.to_owned()),
            _ => strings_of(value, found),
        }
    }
    for value in value.as_array().into_iter().flatten() {
        strings_of(value, found);
    }
}

fn position_of(message: &strata::proto::WatchResponse) -> Option<u64> {
    use strata::proto::watch_response::Response;
    match message.response.as_ref()? {
        Response::Entries(entries) => entries.entries.last().map(|entry| entry.position),
        Response::CaughtUp(_) | Response::Checkpoint(_) => None,
    }
}

/// Sends a request for something, as somebody might who tries paths.
fn knock(address: &str, path: &str) {
    let mut stream = TcpStream::connect(address).expect("connected");
    let head = "Host: localhost\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 0";
    let request = format!("POST {path} HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    assert!(!answer.is_empty());
}
