//! What a browser does: gRPC-Web over HTTP/1.1, in both of its encodings, for single answers and
//! for streams.

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message;
use strata::proto::{
    GetPlanRequest, GetPlanResponse, LogEntry, WatchRequest, WatchResponse,
    watch_response::Response,
};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};
use tonic::{
    Code, Status,
    codegen::http::{HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request},
    language::{execute, get_plan, reading},
    raw,
};

const PROTO: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";
/// The flag of the frame that carries the trailers.
const TRAILERS: u8 = 0x80;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One connection of a browser, and what it is reading.
struct Browser {
    socket: BufReader<TcpStream>,
    content_type: &'static str,
    headers: HeaderMap,
    /// What was read of the body and is no whole frame yet.
    body: BytesMut,
    ended: bool,
}

/// A frame of gRPC-Web: its flag and what it holds.
type Frame = (u8, Bytes);

impl Browser {
    async fn open(daemon: &Daemon, content_type: &'static str) -> Self {
        let socket = TcpStream::connect(daemon.address())
            .await
            .expect("connected");
        Self {
            socket: BufReader::new(socket),
            content_type,
            headers: HeaderMap::new(),
            body: BytesMut::new(),
            ended: false,
        }
    }

    /// Posts a call and reads the head of its answer.
    async fn call(&mut self, method: &str, message: &impl Message) {
        let mut body = raw::framed(message);
        if self.content_type == TEXT {
            body = to_base64(&body);
        }
        let head = format!(
            "POST /strata.v1.{method} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
             content-type: {type}\r\naccept: {type}\r\nx-grpc-web: 1\r\n\
             content-length: {length}\r\n\r\n",
            type = self.content_type,
            length = body.len()
        );
        let request = [head.as_bytes(), &body].concat();
        self.socket.write_all(&request).await.expect("sent");
        assert_eq!(self.line().await, "HTTP/1.1 200 OK");
        (self.ended, self.headers) = (false, HeaderMap::new());
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                assert_eq!(line, "");
                break;
            };
            let name: HeaderName = name.parse().expect("a name");
            self.headers.append(name, value.parse().expect("a value"));
        }
        let answered = self.headers.get("content-type");
        let answered = answered
            .and_then(|value| value.to_str().ok())
            .expect("a type");
        // The status of a call that was refused at once stands in its headers.
        if !self.headers.contains_key("grpc-status") {
            assert_eq!(answered, self.content_type);
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.socket.read_line(&mut line)).await;
        read.expect("in time").expect("read");
        line.trim_end().to_owned()
    }

    /// Reads a chunk of the body.
    async fn chunk(&mut self) {
        let size = self.line().await;
        let size = usize::from_str_radix(&size, 16).expect("the size of a chunk");
        let mut chunk = vec![0; size + 2];
        let read = timeout(PATIENCE, self.socket.read_exact(&mut chunk)).await;
        read.expect("in time").expect("read");
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(size);
        self.ended = chunk.is_empty();
        if self.content_type == TEXT {
            chunk = from_base64(&chunk);
        }
        self.body.extend_from_slice(&chunk);
    }

    /// The next frame; nothing at the end of the answer.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((mut head, _)) = self.body.split_at_checked(5) {
                let (flag, length) = (head.get_u8(), head.get_u32() as usize);
                if self.body.len() >= 5 + length {
                    self.body.advance(5);
                    return Some((flag, self.body.split_to(length).freeze()));
                }
            }
            if self.ended {
                assert!(self.body.is_empty(), "half a frame at the end");
                return None;
            }
            self.chunk().await;
        }
    }

    /// The next message of the answer.
    async fn message<M: Message + Default>(&mut self) -> M {
        let (flag, message) = self.frame().await.expect("a frame");
        assert_eq!(flag, 0, "{message:?}");
        M::decode(message).expect("a message")
    }

    /// The status in the last frame, after which the answer ends.
    async fn status(&mut self) -> Status {
        let (flag, trailers) = self.frame().await.expect("a frame");
        assert_eq!(flag, TRAILERS);
        let trailers = String::from_utf8(trailers.to_vec()).expect("text");
        let mut headers = HeaderMap::new();
        for line in trailers.lines() {
            let (name, value) = line.split_once(':').expect("a trailer");
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value.trim()).expect("a value"));
        }
        assert_eq!(self.frame().await, None);
        Status::from_header_map(&headers).expect("a status")
    }
}

fn to_base64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for three in bytes.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let sextet = (bits >> (18 - 6 * n) & 63) as usize;
            text.push(if n > three.len() {
                b'='
            } else {
                BASE64[sextet]
            });
        }
    }
    text
}

fn from_base64(text: &[u8]) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0, "whole quadruples");
    let mut bytes = Vec::new();
    for four in text.chunks(4) {
        let digits = four.iter().take_while(|letter| **letter != b'=').count();
        let bits = four.iter().fold(0_u32, |bits, letter| {
            let sextet = BASE64.iter().position(|it| it == letter).unwrap_or(0);
            bits << 6 | u32::try_from(sextet).expect("below 64")
        });
        bytes.extend_from_slice(&bits.to_be_bytes()[1..digits]);
    }
    bytes
}

async fn with_plan() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    (dir, daemon)
}

fn growth() -> GetPlanRequest {
    GetPlanRequest {
        plan_id: "growth".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_browser_reads_a_plan_in_either_encoding_and_again_over_the_same_connection() {
    let (_dir, daemon) = with_plan().await;
    let expected = get_plan(&daemon, "growth").await;
    for content_type in [PROTO, TEXT] {
        let mut browser = Browser::open(&daemon, content_type).await;
        for _ in 0..2 {
            browser.call("PlanService/GetPlan", &growth()).await;
            let answer: GetPlanResponse = browser.message().await;
            assert_eq!(answer, expected);
            assert_eq!(browser.status().await.code(), Code::Ok);
        }
    }
}

#[tokio::test]
async fn a_browser_writes_and_reads_what_it_wrote() {
    let (_dir, daemon) = with_plan().await;
    let mut browser = Browser::open(&daemon, PROTO).await;
    browser
        .call(
            "PlanService/Execute",
            &request("growth", "noted", note("Hello")),
        )
        .await;
    let answer: strata::proto::ExecuteResponse = browser.message().await;
    assert_eq!((answer.revision, answer.replayed), (2, false));
    assert_eq!(browser.status().await.code(), Code::Ok);
    browser.call("PlanService/GetPlan", &growth()).await;
    let answer: GetPlanResponse = browser.message().await;
    assert_eq!(answer.plan.expect("a plan").notes, 1);
}

#[tokio::test]
async fn a_browser_reads_why_it_was_refused() {
    let (_dir, daemon) = with_plan().await;
    let mut browser = Browser::open(&daemon, PROTO).await;
    browser
        .call("PlanService/GetPlan", &GetPlanRequest::default())
        .await;
    let status = Status::from_header_map(&browser.headers).expect("a status");
    let refusal = reading(&status);
    assert_eq!(refusal.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
    assert_eq!(refusal.fields, ["plan_id"]);
}

/// The commits of the next response that holds some.
async fn entries(browser: &mut Browser) -> Vec<LogEntry> {
    loop {
        let answer: WatchResponse = browser.message().await;
        match answer.response.expect("a response") {
            Response::Entries(entries) => return entries.entries,
            Response::Checkpoint(_) | Response::CaughtUp(_) => {}
        }
    }
}

#[tokio::test]
async fn watch_in_a_browser_shows_each_commit_as_it_is_made_and_says_why_it_ends() {
    for content_type in [PROTO, TEXT] {
        let (_dir, daemon) = with_plan().await;
        let mut browser = Browser::open(&daemon, content_type).await;
        browser
            .call("HistoryService/Watch", &WatchRequest::default())
            .await;
        assert_eq!(entries(&mut browser).await.len(), 1);
        let caught_up = loop {
            let answer: WatchResponse = browser.message().await;
            match answer.response.expect("a response") {
                Response::CaughtUp(caught_up) => break caught_up,
                Response::Checkpoint(_) => {}
                Response::Entries(entries) => panic!("{entries:?}"),
            }
        };
        assert_eq!(caught_up.position, 1);
        for n in 2..=5 {
            let answer = execute(&daemon, request("growth", &format!("{n}"), note("Live"))).await;
            let shown = entries(&mut browser).await;
            assert_eq!(shown, [answer.entry.expect("an entry")]);
            assert!(!browser.ended, "the answer goes on");
        }
        daemon.signal("TERM");
        let refusal = reading(&browser.status().await);
        assert_eq!(refusal.kind(), (Code::Unavailable, "STOPPING"));
    }
}
