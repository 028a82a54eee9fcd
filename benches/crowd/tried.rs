//! The bad clients, and what they come to. Each tries again and again, at a rate that leaves the
//! machine to the daemon and to the good ones.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use strata::proto::{GetPlanRequest, plan_service_client::PlanServiceClient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tonic::transport::Endpoint;

use crate::Failure;

/// How long a bad client rests between two tries.
const REST: Duration = Duration::from_millis(100);
/// How long it waits for what it does not expect, before it tries again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many calls are taken back in one go.
const RESETS: usize = 50;

/// What HTTP/2 begins with, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The begin of a frame of headers that would have 64 bytes.
const HEADERS: &[u8] = b"\0\0\x40\x01\x04\0\0\0\x01";

/// How a client is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It connects and sends nothing.
    Silent,
    /// It sends the head of a request a byte at a time.
    Slow,
    /// It takes its calls back at once.
    Resetting,
    /// It sends what is no HTTP.
    Garbage,
    /// It has a token that nobody gave out.
    WrongToken,
    /// It sends more calls than it may.
    Greedy,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Silent,
        Self::Slow,
        Self::Resetting,
        Self::Garbage,
        Self::WrongToken,
        Self::Greedy,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Silent => "connects and sends nothing",
            Self::Slow => "sends a head a byte at a time",
            Self::Resetting => "takes its calls back at once",
            Self::Garbage => "sends garbage",
            Self::WrongToken => "calls with a wrong token",
            Self::Greedy => "calls more often than it may",
        }
    }
}

/// What clients of each kind came to.
#[derive(Default)]
pub(crate) struct Tries([Count; Kind::ALL.len()]);

#[derive(Default)]
struct Count {
    tries: AtomicU64,
    refused: AtomicU64,
    done: AtomicU64,
}

impl Tries {
    /// How often it was tried, refused or cut off, and done.
    pub(crate) fn of(&self, kind: Kind) -> (u64, u64, u64) {
        let count = &self.0[kind as usize];
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&count.tries), read(&count.refused), read(&count.done))
    }

    fn try_it(&self, kind: Kind) {
        self.0[kind as usize].tries.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, kind: Kind, is_done: bool) {
        let count = &self.0[kind as usize];
        let ended = if is_done { &count.done } else { &count.refused };
        ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Bad clients that try until they are told to end.
pub(crate) struct Crowd {
    tries: Arc<Tries>,
    clients: JoinSet<()>,
}

impl Crowd {
    /// Ends them, and tells what they came to.
    pub(crate) async fn end(mut self) -> Arc<Tries> {
        self.clients.shutdown().await;
        self.tries
    }
}

/// Lets a crowd come, of each kind as many.
pub(crate) fn crowd(address: &str, token_of_greedy: &str, count: usize) -> Crowd {
    let tries = Arc::<Tries>::default();
    let mut clients = JoinSet::new();
    for number in 0..count {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let client = Bad {
            kind,
            address: address.to_owned(),
            token: match kind {
                Kind::Greedy => token_of_greedy.to_owned(),
                _ => format!("strata_{:072}", 0),
            },
            tries: tries.clone(),
        };
        clients.spawn(async move {
            loop {
                // Being cut off is what it came for.
                drop(client.attempt().await);
                tokio::time::sleep(REST).await;
            }
        });
    }
    Crowd { tries, clients }
}

struct Bad {
    kind: Kind,
    address: String,
    token: String,
    tries: Arc<Tries>,
}

impl Bad {
    async fn attempt(&self) -> Result<(), Failure> {
        match self.kind {
            Kind::Silent => self.say_slowly(&[]).await,
            Kind::Slow => self.say_slowly(&[PREFACE, HEADERS].concat()).await,
            Kind::Garbage => {
                self.tries.try_it(self.kind);
                let mut socket = TcpStream::connect(&self.address).await?;
                let sent = socket.write_all(&[0xA7; 4_096]).await;
                let cut = sent.is_err() || is_cut(&mut socket).await;
                self.tries.end(self.kind, !cut);
                Ok(())
            }
            Kind::Resetting => self.take_back().await,
            Kind::WrongToken | Kind::Greedy => self.call().await,
        }
    }

    /// Says something a byte at a time, and then nothing, until it is cut off.
    async fn say_slowly(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.tries.try_it(self.kind);
        let mut socket = TcpStream::connect(&self.address).await?;
        for byte in bytes {
            if socket.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(REST).await;
        }
        while !is_cut(&mut socket).await {}
        self.tries.end(self.kind, false);
        Ok(())
    }

    /// Begins calls and takes them back, on one connection for as long as it is let.
    async fn take_back(&self) -> Result<(), Failure> {
        let socket = TcpStream::connect(&self.address).await?;
        let (mut calls, connection) = h2::client::handshake(socket).await?;
        let connection = tokio::spawn(connection);
        let url = format!("http://{}/strata.v1.PlanService/GetPlan", self.address);
        'connected: loop {
            for _ in 0..RESETS {
                let call = Request::post(&url)
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .body(())?;
                match calls.ready().await {
                    Ok(ready) => calls = ready,
                    Err(_) => break 'connected,
                }
                let Ok((_answer, mut message)) = calls.send_request(call, false) else {
                    break 'connected;
                };
                self.tries.try_it(self.kind);
                drop(message.send_data(Bytes::new(), false));
                message.send_reset(h2::Reason::CANCEL);
            }
            if connection.is_finished() {
                break;
            }
            tokio::time::sleep(REST).await;
        }
        // The connection with all its calls.
        self.tries.end(self.kind, false);
        Ok(())
    }

    /// Calls on one connection for as long as it is let.
    async fn call(&self) -> Result<(), Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        let mut plans = PlanServiceClient::new(endpoint.connect().await?);
        let bearer: tonic::metadata::AsciiMetadataValue =
            format!("Bearer {}", self.token).parse()?;
        loop {
            let mut call = tonic::Request::new(GetPlanRequest {
                plan_id: "plan-0".to_owned(),
                ..GetPlanRequest::default()
            });
            call.metadata_mut().insert("authorization", bearer.clone());
            self.tries.try_it(self.kind);
            let answer = plans.get_plan(call).await;
            self.tries.end(self.kind, answer.is_ok());
            let is_cut = answer.is_err_and(|status| status.code() == tonic::Code::Unavailable);
            if is_cut {
                return Ok(());
            }
            tokio::time::sleep(REST).await;
        }
    }
}

/// Whether the other side has closed a connection, or does so within a while.
async fn is_cut(socket: &mut TcpStream) -> bool {
    let mut bytes = [0; 1_024];
    let reading = async { while let Ok(1..) = socket.read(&mut bytes).await {} };
    tokio::time::timeout(PATIENCE, reading).await.is_ok()
}
