//! What is no request at all: garbage on the socket, half a frame, messages that are too large or
//! cannot be decoded. It harms nobody but its sender.

use std::io::ErrorKind;

use strata::proto::{ExecuteRequest, ExecuteResponse, ExecuteStreamRequest, ListEventsRequest};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request},
    language::{connect, execute, position, reading, refused},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A message of no use: its first field is a number where requests have a text.
#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    number: u64,
}

async fn with_plan() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    (dir, daemon)
}

/// Sends bytes, says that no more will come, and returns whatever comes back until the daemon
/// closes.
async fn send(daemon: &Daemon, bytes: &[u8]) -> Vec<u8> {
    exchange(daemon, bytes, true).await
}

async fn exchange(daemon: &Daemon, bytes: &[u8], says_so: bool) -> Vec<u8> {
    let mut socket = TcpStream::connect(daemon.address())
        .await
        .expect("connected");
    // The daemon may close before it has read all of it.
    drop(socket.write_all(bytes).await);
    if says_so {
        drop(socket.shutdown().await);
    }
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    if let Err(error) = read.expect("the daemon closes the connection") {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    answer
}

/// Expects that nothing was recorded and that the daemon goes on as ever.
async fn unharmed(daemon: &Daemon, head: u64) {
    assert_eq!(daemon.head().await, head);
    let mut plans = connect(daemon).await;
    let sent = request("growth", &format!("after {head}"), note("Still here"));
    let answer = plans.execute(sent).await.expect("recorded").into_inner();
    assert_eq!(position(&answer), head + 1);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

fn frame(length: [u8; 3], kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = [length[0], length[1], length[2], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn garbage_on_the_socket_harms_nobody() {
    let (_dir, daemon) = with_plan().await;
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_be_bytes()[3])
        .collect();
    let after_preface = |bytes: &[u8]| [PREFACE, SETTINGS, bytes].concat();
    let garbage = [
        noise.clone(),
        vec![0; 70_000],
        PREFACE[..10].to_vec(),
        after_preface(&noise),
        after_preface(&frame([0xff; 3], 0, 0, 1, b"a frame that is never so long")),
        after_preface(&frame([0, 0, 50], 1, 4, 1, b"half a frame")),
        after_preface(&frame([0, 0, 5], 1, 4, 1, &[0xff; 5])),
        after_preface(&frame([0, 0, 5], 0, 1, 7, b"hello")),
        after_preface(&frame([0, 0, 4], 8, 0, 0, &[0, 0, 0, 0])),
    ];
    for (bytes, head) in garbage.iter().zip(1..) {
        send(&daemon, bytes).await;
        unharmed(&daemon, head).await;
    }
}

#[tokio::test]
async fn http_1_that_is_no_call_is_answered_and_harms_nobody() {
    let (_dir, daemon) = with_plan().await;
    let requests = [
        (
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 ",
        ),
        (
            "OPTIONS /strata.v1.PlanService/GetPlan HTTP/1.1\r\nhost: x\r\norigin: http://a\r\n\
             access-control-request-method: POST\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 ",
        ),
        (
            "POST /strata.v1.PlanService/Execute HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 ",
        ),
        ("GET / HTTP/1.1\r\nno header at all\r\n\r\n", "HTTP/1.1 400"),
        ("SOME NOISE\r\n\r\n", "HTTP/1.1 400"),
        (
            "POST /strata.v1.PlanService/Execute HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n",
            "",
        ),
    ];
    for ((bytes, begins), head) in requests.into_iter().zip(1..) {
        let answer =
            String::from_utf8_lossy(&exchange(&daemon, bytes.as_bytes(), begins.is_empty()).await)
                .into_owned();
        assert!(answer.starts_with(begins), "{bytes}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{bytes}: {answer}");
        unharmed(&daemon, head).await;
    }
}

#[tokio::test]
async fn connections_that_never_finish_a_request_hold_nobody_up() {
    let (_dir, daemon) = with_plan().await;
    let mut silent = Vec::new();
    for n in 0..50 {
        let mut socket = TcpStream::connect(daemon.address())
            .await
            .expect("connected");
        let begun: &[u8] = match n % 3 {
            0 => b"",
            1 => &PREFACE[..20],
            _ => b"POST /strata.v1.PlanService/Execute HTTP/1.1\r\nhost",
        };
        socket.write_all(begun).await.expect("written");
        silent.push(socket);
    }
    unharmed(&daemon, 1).await;
    drop(silent);
    daemon.stop().await;
}

/// Calls a method with a message of any kind.
async fn call<M: prost::Message + Clone + 'static>(
    daemon: &Daemon,
    path: &'static str,
    message: M,
) -> Status {
    let mut grpc = Grpc::new(
        tonic::transport::Endpoint::from_shared(daemon.url())
            .expect("a URL")
            .connect_lazy(),
    );
    grpc.ready().await.expect("connected");
    let path = PathAndQuery::from_static(path);
    let codec = ProstCodec::<M, ExecuteResponse>::default();
    let answer = grpc.unary(Request::new(message), path, codec).await;
    answer.expect_err("it is refused")
}

#[tokio::test]
async fn a_message_that_is_too_large_or_no_request_is_refused_as_malformed() {
    let (_dir, daemon) = with_plan().await;
    let malformed = (Code::InvalidArgument, "MALFORMED_REQUEST");
    for bytes in [300 << 10, 5 << 20] {
        let too_large = request("growth", "large", note(&"x".repeat(bytes)));
        let refusal = refused(daemon.plans().execute(too_large.clone()).await);
        assert_eq!(refusal.kind(), malformed, "{bytes}");

        let sent = tokio_stream::iter([ExecuteStreamRequest {
            execute: Some(too_large),
        }]);
        let mut answers = daemon
            .plans()
            .execute_stream(sent)
            .await
            .expect("streamed")
            .into_inner();
        let refusal = reading(&answers.message().await.expect_err("it ends the stream"));
        assert_eq!(refusal.kind(), malformed, "{bytes}");
    }
    for path in [
        "/strata.v1.PlanService/Execute",
        "/strata.v1.PlanService/GetPlan",
        "/strata.v1.HistoryService/ListEvents",
    ] {
        let refusal = reading(&call(&daemon, path, Number { number: 7 }).await);
        assert_eq!(refusal.kind(), malformed, "{path}");
    }
    // A stream's first field is a number where a page's is a text.
    let page = ListEventsRequest {
        plan_id: "growth".into(),
        ..Default::default()
    };
    let refusal = reading(&call(&daemon, "/strata.v1.HistoryService/Watch", page).await);
    assert_eq!(refusal.kind(), malformed);
    unharmed(&daemon, 1).await;
}

#[tokio::test]
async fn a_method_or_service_that_does_not_exist_is_unimplemented() {
    let (_dir, daemon) = with_plan().await;
    for path in [
        "/strata.v1.PlanService/Delete",
        "/strata.v2.PlanService/Execute",
        "/",
    ] {
        let status = call(&daemon, path, ExecuteRequest::default()).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
    }
    unharmed(&daemon, 1).await;
}
