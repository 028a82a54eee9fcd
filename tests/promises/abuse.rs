//! Clients that mean no good, or are broken: whatever they send or leave unsent, a good client gets
//! its answers meanwhile and afterwards, and the daemon takes no more memory than it should.

use std::{fs, time::Duration};

use bytes::Bytes;
use h2::{Reason, client};
use prost::Message as _;
use strata::proto::{GetPlanRequest, plan_service_client::PlanServiceClient};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    certificates::{Authority, tls_arguments},
    daemon::{AccessFile, Daemon, PATIENCE, create_plan, note, request},
    language::execute,
    metrics::{free_address, wait_for_figure},
    raw::{self, GRPC},
};

/// What all of a test's bad clients together may make a daemon grow by.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// How long a good client may wait while bad ones do their worst; it takes milliseconds alone.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// What HTTP/2 begins with, and settings that are the usual ones.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PATH: &str = "/strata.v1.PlanService/GetPlan";

async fn serving() -> (TempDir, Daemon) {
    serving_with(&[]).await
}

async fn serving_with(arguments: &[&str]) -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), arguments).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    (dir, daemon)
}

async fn serving_over_tls() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let authority = Authority::new();
    authority.server().write(dir.path());
    let data = dir.path().join("data");
    let arguments = tls_arguments(dir.path());
    let daemon = Daemon::start_over_tls(&data, &authority.trusted(), &arguments).await;
    (dir, daemon)
}

/// A client that just came gets its answer.
async fn a_good_client_is_answered(daemon: &Daemon) {
    let mut health = HealthClient::new(daemon.another_channel());
    let answer = timeout(ANSWER_TIME, health.check(HealthCheckRequest::default())).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer in time: {}", daemon.log()));
    answer.expect("an answer");
}

/// What the daemon holds in memory.
fn memory_bytes(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .expect("a size");
    kib.parse::<u64>().expect("a number") << 10
}

/// That it has not grown.
#[track_caller]
fn assert_small(daemon: &Daemon, before_bytes: u64) {
    let grown_bytes = memory_bytes(daemon).saturating_sub(before_bytes);
    assert!(
        grown_bytes < GROWTH_BYTES_MAX,
        "grew by {} MiB",
        grown_bytes >> 20
    );
}

/// Sends the same again and again until the daemon has had enough; how many bytes it took.
async fn send_until_closed(daemon: &Daemon, first: &[u8], again: &[u8], bytes_max: usize) -> usize {
    let socket = TcpStream::connect(daemon.address())
        .await
        .expect("connected");
    let (mut reader, mut writer) = socket.into_split();
    // What it says is read, so that it need not wait with it.
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while matches!(reader.read(&mut buffer).await, Ok(1..)) {}
    });
    let mut sent_bytes = first.len();
    let sending = async {
        writer.write_all(first).await?;
        while sent_bytes < bytes_max {
            writer.write_all(again).await?;
            sent_bytes += again.len();
        }
        Ok::<_, std::io::Error>(())
    };
    // What is not read any more may be left unsent.
    let sent = timeout(ANSWER_TIME, sending).await;
    drop((sent, writer));
    reading.abort();
    sent_bytes
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn calls_that_are_taken_back_at_once_end_the_connection_and_trouble_nobody() {
    let (_dir, daemon) = serving().await;
    let before = memory_bytes(&daemon);
    // The head of no call, of one and of a watch, whose stream is reset in the same breath.
    let head_of = |path: &str| {
        let length = u8::try_from(path.len()).expect("short");
        let path = [&[0x83, 0x86, 0x04, length], path.as_bytes()].concat();
        [&path, &b"\x41\x09localhost\x0f\x10\x10application/grpc"[..]].concat()
    };
    let paths = [
        "/",
        "/strata.v1.PlanService/GetPlan",
        "/strata.v1.HistoryService/Watch",
    ];
    let mut attack = JoinSet::new();
    for path in paths.into_iter().cycle().take(9) {
        let head = head_of(path);
        let daemon = daemon.address().to_owned();
        attack.spawn(async move {
            let socket = TcpStream::connect(daemon).await.expect("connected");
            let (mut reader, mut writer) = socket.into_split();
            let reading = tokio::spawn(async move {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).await.ok();
                read
            });
            writer.write_all(BEGINNING).await.expect("sent");
            let mut calls = 0_u32;
            for stream in (1_u32..100_000).step_by(2) {
                let call = [
                    frame(1, 4, stream, &head),
                    frame(3, 0, stream, &Reason::CANCEL.to_be_bytes()),
                ];
                if writer.write_all(&call.concat()).await.is_err() {
                    break;
                }
                calls += 1;
            }
            drop(writer);
            (calls, reading.await.expect("read"))
        });
    }
    a_good_client_is_answered(&daemon).await;
    while let Some(ended) = attack.join_next().await {
        let (calls, read) = ended.expect("ended");
        assert!(calls < 50_000, "all of {calls} were taken");
        // GOAWAY, ENHANCE_YOUR_CALM.
        let goes_away = read
            .windows(4)
            .any(|four| four == Reason::ENHANCE_YOUR_CALM.to_be_bytes());
        assert!(goes_away || read.is_empty(), "{read:?}");
    }
    a_good_client_is_answered(&daemon).await;
    assert_small(&daemon, before);
}

trait ToBytes {
    fn to_be_bytes(self) -> [u8; 4];
}

impl ToBytes for Reason {
    fn to_be_bytes(self) -> [u8; 4] {
        u32::from(self).to_be_bytes()
    }
}

#[tokio::test]
async fn heads_without_end_are_cut_off() {
    let (_dir, daemon) = serving().await;
    let before = memory_bytes(&daemon);
    let limit = 64 << 20;
    // Over HTTP/1.1, a header that goes on, and ever more headers.
    let long = vec![b'a'; 16 << 10];
    for again in [long, b"x-another: header\r\n".repeat(1_000)] {
        let first = b"POST / HTTP/1.1\r\nhost: localhost\r\nx-long: ";
        let sent = send_until_closed(&daemon, first, &again, limit).await;
        assert!(sent < limit, "it went on reading");
    }
    // Over HTTP/2, a head that goes on in CONTINUATION frames: of much, of little and of nothing.
    let first = [BEGINNING, &frame(1, 0, 1, b"\x83\x86\x04\x01/")].concat();
    let literal = [&b"\x00\x01a\x7f\x81\x01"[..], &[b'b'; 256]].concat();
    for payload in [&literal.repeat(60)[..], &literal, b""] {
        let again = frame(9, 0, 1, payload);
        let again = again.repeat((16 << 10) / again.len());
        let sent = send_until_closed(&daemon, &first, &again, limit).await;
        assert!(sent < limit, "it went on reading");
    }
    a_good_client_is_answered(&daemon).await;
    assert_small(&daemon, before);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_the_next_call_is_answered() {
    let (_dir, daemon) = serving().await;
    let connection = raw::connect(&daemon).await;
    let mut sender = connection.clone().ready().await.expect("ready");
    let mut large = raw::head(PATH, GRPC, &[]);
    let value = "a".repeat(20 << 10).parse().expect("a value");
    large.headers_mut().insert("x-large", value);
    let (answer, _) = sender.send_request(large, true).expect("sent");
    let refused = timeout(PATIENCE, answer).await.expect("in time");
    assert!(refused.map_or(true, |answer| answer.status() == 431));
    let status = raw::status_of_head(&connection, raw::head("/x", GRPC, &[])).await;
    assert!(status.is_some());
}

#[tokio::test]
async fn frames_that_ask_for_answers_are_not_gathered() {
    let (_dir, daemon) = serving().await;
    let before = memory_bytes(&daemon);
    let mut attack = JoinSet::new();
    for again in [
        frame(6, 0, 0, b"are you?"),
        frame(4, 0, 0, &[0, 4, 0, 1, 0, 0]),
    ] {
        let again = again.repeat(1_000);
        for _ in 0..4 {
            let mut socket = TcpStream::connect(daemon.address())
                .await
                .expect("connected");
            let again = again.clone();
            attack.spawn(async move {
                // Nothing is read of what it says.
                socket.write_all(BEGINNING).await.ok();
                for _ in 0..1_000 {
                    let sent = timeout(Duration::from_secs(1), socket.write_all(&again)).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        break;
                    }
                }
                socket
            });
        }
    }
    a_good_client_is_answered(&daemon).await;
    let held = attack.join_all().await;
    a_good_client_is_answered(&daemon).await;
    assert_small(&daemon, before);
    drop(held);
}

#[tokio::test]
async fn calls_of_which_half_was_sent_keep_nobody_out() {
    let (_dir, daemon) = serving().await;
    let before = memory_bytes(&daemon);
    let mut held = Vec::new();
    for _ in 0..20 {
        let connection = raw::connect(&daemon).await;
        for _ in 0..100 {
            let mut sender = connection.clone().ready().await.expect("ready");
            let (answer, mut message) = sender
                .send_request(raw::head(PATH, GRPC, &[]), false)
                .expect("sent");
            // A message of 200 KiB, of which the first byte comes.
            message
                .send_data(Bytes::from_static(&[0, 0, 3, 32, 0, 1]), false)
                .expect("sent");
            held.push((answer, message));
        }
    }
    a_good_client_is_answered(&daemon).await;
    assert_small(&daemon, before);
}

#[tokio::test]
async fn answers_that_nobody_takes_are_not_gathered() {
    let (_dir, daemon) = serving().await;
    for n in 0..40 {
        let text = "x".repeat(8_000);
        execute(&daemon, request("growth", &format!("{n}"), note(&text))).await;
    }
    let before = memory_bytes(&daemon);
    let message = strata::proto::ReadLogRequest::default().encode_to_vec();
    let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).expect("short")];
    framed.extend(message);
    let mut builder = client::Builder::new();
    builder.initial_window_size(0);
    let mut held = Vec::new();
    for _ in 0..2 {
        let connection = raw::connect_with(&daemon, &builder).await;
        for _ in 0..250 {
            let mut sender = connection.clone().ready().await.expect("ready");
            let begun = raw::head("/strata.v1.HistoryService/ReadLog", GRPC, &[]);
            let (answer, mut message) = sender.send_request(begun, false).expect("sent");
            message
                .send_data(framed.clone().into(), true)
                .expect("sent");
            held.push(tokio::spawn(timeout(PATIENCE, answer)));
        }
    }
    let mut answers = Vec::new();
    for answer in held {
        answers.push(answer.await.expect("asked"));
    }
    a_good_client_is_answered(&daemon).await;
    assert_small(&daemon, before);
    let asked = GetPlanRequest {
        plan_id: "growth".to_owned(),
        ..GetPlanRequest::default()
    };
    daemon.plans().get_plan(asked).await.expect("shown");
}

#[tokio::test]
async fn what_is_no_http_and_no_tls_is_shown_the_door() {
    let (_dir, plain) = serving().await;
    let (_tls_dir, encrypted) = serving_over_tls().await;
    // The beginning of a handshake with nobody.
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 505]].concat();
    let never = |_: &[u8]| false;
    for daemon in [&plain, &encrypted] {
        for bytes in [
            &[0_u8; 64][..],
            &[255; 1_000],
            &b"\r\n".repeat(100_000),
            b"GET / SPDY/3\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame of settings",
        ] {
            raw::exchange(daemon, bytes, never).await;
        }
        a_good_client_is_answered(daemon).await;
    }
    raw::exchange(&plain, &hello, never).await;
    raw::exchange(&encrypted, BEGINNING, never).await;
    raw::exchange(
        &encrypted,
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        never,
    )
    .await;
    a_good_client_is_answered(&plain).await;
    a_good_client_is_answered(&encrypted).await;
}

#[tokio::test]
async fn who_says_too_little_is_not_waited_for() {
    let (_dir, plain) = serving().await;
    let (_tls_dir, encrypted) = serving_over_tls().await;
    let began = Instant::now();
    let mut waiting = JoinSet::new();
    for (daemon, bytes) in [
        (&plain, &b""[..]),
        (&plain, b"PRI * HTT"),
        (&plain, b"POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: "),
        (&encrypted, b""),
        (&encrypted, &[22, 3, 1]),
    ] {
        let mut socket = TcpStream::connect(daemon.address())
            .await
            .expect("connected");
        socket.write_all(bytes).await.expect("sent");
        waiting.spawn(async move {
            let mut read = Vec::new();
            socket.read_to_end(&mut read).await.ok();
        });
    }
    a_good_client_is_answered(&plain).await;
    a_good_client_is_answered(&encrypted).await;
    let closed = timeout(PATIENCE, waiting.join_all()).await;
    assert!(closed.is_ok(), "still open after {:?}", began.elapsed());
}

#[tokio::test]
async fn connections_that_only_stand_there_make_room_for_others() {
    let (_dir, daemon) = serving_with(&["--max-connections", "20"]).await;
    let mut busy = daemon.history();
    let watch = busy.watch(strata::proto::WatchRequest::default()).await;
    let mut watch = watch.expect("watching").into_inner();
    let mut held = Vec::new();
    for _ in 0..100 {
        let socket = TcpStream::connect(daemon.address())
            .await
            .expect("connected");
        held.push(socket);
    }
    for _ in 0..3 {
        a_good_client_is_answered(&daemon).await;
    }
    // Whoever has a call under way is not one of those.
    while let Ok(Some(_)) = timeout(Duration::from_millis(100), watch.message())
        .await
        .unwrap_or(Ok(None))
    {}
    execute(&daemon, request("growth", "seen", note("Seen"))).await;
    let shown = timeout(PATIENCE, watch.message()).await.expect("in time");
    assert!(shown.expect("the watch goes on").is_some());
    drop(held);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_watch_that_says_nothing_is_not() {
    let (_dir, daemon) = serving_with(&["--idle-seconds", "3"]).await;
    let watch = daemon
        .history()
        .watch(strata::proto::WatchRequest::default())
        .await;
    let mut watch = watch.expect("watching").into_inner();
    let connection = raw::connect(&daemon).await;
    let status = raw::status_of_head(&connection, raw::head("/x", GRPC, &[])).await;
    assert!(status.is_some());
    let closed = async {
        while connection.clone().ready().await.is_ok() {
            tokio::time::sleep(crate::daemon::POLL_INTERVAL).await;
        }
    };
    timeout(PATIENCE, closed).await.expect("it is closed");
    let mut idle = TcpStream::connect(daemon.address())
        .await
        .expect("connected");
    let mut read = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut read))
        .await
        .expect("closed")
        .ok();
    execute(&daemon, request("growth", "seen", note("Seen"))).await;
    let seen = async {
        while let Ok(Some(answer)) = watch.message().await {
            if let Some(strata::proto::watch_response::Response::Entries(entries)) = answer.response
                && entries.entries.iter().any(|it| it.position == 2)
            {
                return true;
            }
        }
        false
    };
    assert!(
        timeout(PATIENCE, seen).await.expect("in time"),
        "the watch was cut"
    );
}

#[tokio::test]
async fn strangers_cost_little_where_callers_are_asked_who_they_are() {
    let dir = tempdir().expect("a directory");
    let access = AccessFile::new(dir.path()).arguments();
    let access: Vec<_> = access.iter().map(String::as_str).collect();
    let daemon = Daemon::start_with(&dir.path().join("data"), &access).await;
    let before = memory_bytes(&daemon);
    let mut held = Vec::new();
    for _ in 0..20 {
        let connection = raw::connect(&daemon).await;
        for _ in 0..50 {
            let mut sender = connection.clone().ready().await.expect("ready");
            let begun = raw::head("/strata.v1.PlanService/ExecuteStream", GRPC, &[]);
            let (answer, mut message) = sender.send_request(begun, false).expect("sent");
            // As much as there is room for; what is not taken is not held either.
            message.send_data(vec![0; 60 << 10].into(), false).ok();
            answer.await.expect("an answer");
            held.push(message);
        }
    }
    a_good_client_is_answered(&daemon).await;
    assert_small(&daemon, before);
}

/// Whether a connection stands that is served: it is answered with settings of HTTP/2.
async fn is_served(socket: &mut TcpStream) -> bool {
    let mut byte = [0];
    socket.write_all(BEGINNING).await.is_ok()
        && matches!(timeout(PATIENCE, socket.read(&mut byte)).await, Ok(Ok(1)))
}

/// A connection with a call of which the message is still to come.
async fn call_under_way(address: &str, daemon: &Daemon) -> TcpStream {
    let mut socket = raw::socket_from(address, daemon).await.expect("connected");
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc-web\r\n\
         expect: 100-continue\r\ncontent-length: 100\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.expect("sent");
    let mut go_on = [0; 12];
    let read = timeout(PATIENCE, socket.read_exact(&mut go_on)).await;
    read.expect("in time").expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100");
    socket
}

#[tokio::test]
async fn idle_connections_make_room_for_others_of_their_address() {
    const ITS: usize = 4;
    let arguments = ["--max-connections-per-address", &ITS.to_string()];
    let (_dir, daemon) = serving_with(&arguments).await;
    let mut strangers = Vec::new();
    for _ in 0..3 * ITS {
        let mut socket = raw::socket_from("127.0.0.1", &daemon)
            .await
            .expect("connected");
        assert!(is_served(&mut socket).await, "in the place of an idle one");
        strangers.push(socket);
        a_good_client_is_answered(&daemon).await;
    }
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections_and_leaves_the_rest_to_others() {
    const ITS: usize = 4;
    let metrics = free_address();
    let arguments = [
        "--max-connections-per-address",
        &ITS.to_string(),
        "--metrics-listen",
        &metrics.to_string(),
    ];
    let (_dir, daemon) = serving_with(&arguments).await;
    let mut held = Vec::new();
    for _ in 0..ITS {
        held.push(call_under_way("127.0.0.2", &daemon).await);
    }
    let (mut served, mut refused) = (0, 0);
    for _ in 0..50 {
        // The system may say that it was refused before anything is sent.
        let socket = raw::socket_from("127.0.0.2", &daemon).await.ok();
        let is_served = match socket {
            Some(mut socket) => is_served(&mut socket).await,
            None => false,
        };
        served += usize::from(is_served);
        refused += usize::from(!is_served);
    }
    assert_eq!((served, refused), (0, 50));
    // Those that it has are left alone, and others have theirs.
    for socket in &mut held {
        socket.write_all(b"\0").await.expect("open");
    }
    let mut other = raw::socket_from("127.0.0.3", &daemon)
        .await
        .expect("connected");
    assert!(is_served(&mut other).await, "another address");
    a_good_client_is_answered(&daemon).await;
    let counted = wait_for_figure(metrics, "strata_connections_refused_total", |it| it >= 50.0);
    counted.await;
    // When one has ended, it may have another.
    held.pop();
    let another = async {
        loop {
            if let Ok(mut socket) = raw::socket_from("127.0.0.2", &daemon).await
                && is_served(&mut socket).await
            {
                return;
            }
            tokio::time::sleep(crate::daemon::POLL_INTERVAL).await;
        }
    };
    timeout(PATIENCE, another).await.expect("in its place");
    let log = daemon.stop().await;
    let refusals = log
        .lines()
        .filter(|line| line.contains("max_connections_per_address"));
    assert_eq!(refusals.count(), 1, "{log}");
}

/// Nobody knows who asks after health, so that must not keep a place from those who are known.
#[tokio::test]
async fn watches_of_health_make_room_for_others() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(&dir.path().join("data"), &["--max-connections", "4"]).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut health = HealthClient::new(daemon.another_channel());
        let watch = timeout(ANSWER_TIME, health.watch(HealthCheckRequest::default())).await;
        held.push(watch.expect("in time").expect("a watch"));
    }
    let mut plans = PlanServiceClient::new(daemon.another_channel());
    let shown = timeout(ANSWER_TIME, plans.get_plan(GetPlanRequest::default())).await;
    let refused = shown.expect("in time").expect_err("no plan is named");
    assert_eq!(refused.code(), Code::InvalidArgument);
}
