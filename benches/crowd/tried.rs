//! The bad clients, and what they come to. Each tries again and again, at a rate that leaves the
//! machine to the daemon and to the good ones.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
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
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::Failure;

/// How long a bad client rests between two tries.
const REST: Duration = Duration::from_millis(100);
/// How long it waits for what it does not expect, before it tries again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many calls are taken back in one go.
const RESETS: usize = 50;
/// How many watches of health are held over one connection.
const WATCHES: usize = 50;
/// How many connections are held by one of those who come from one address.
const HELD: usize = 20;
/// The address that they come from; all others have one of their own each.
const ONE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// A token that the issuer might have signed with a key that it might have.
const UNKNOWN_KEY: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InVua25vd24ifQ.e30.AAAA";

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
    /// It has a signed token with a key of which nobody knows.
    UnknownKey,
    /// It holds watches of health, for which nobody is asked.
    HealthWatch,
    /// It opens connections from the address of all its kind.
    OneAddress,
    /// It sends more calls than it may.
    Greedy,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Silent,
        Self::Slow,
        Self::Resetting,
        Self::Garbage,
        Self::WrongToken,
        Self::UnknownKey,
        Self::HealthWatch,
        Self::OneAddress,
        Self::Greedy,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Silent => "connects and sends nothing",
            Self::Slow => "sends a head a byte at a time",
            Self::Resetting => "takes its calls back at once",
            Self::Garbage => "sends garbage",
            Self::WrongToken => "calls with a wrong token",
            Self::UnknownKey => "calls with a JWT of an unknown key",
            Self::HealthWatch => "holds watches of health",
            Self::OneAddress => "opens connections from one address",
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
pub(crate) fn crowd(address: &str, token_of_greedy: &str, count: usize) -> Result<Crowd, Failure> {
    let address: SocketAddr = address.parse()?;
    let tries = Arc::<Tries>::default();
    let mut clients = JoinSet::new();
    for number in 0..count {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let client = Bad {
            kind,
            address,
            from: if kind == Kind::OneAddress {
                ONE_ADDRESS
            } else {
                address_of(number)
            },
            token: match kind {
                Kind::Greedy => token_of_greedy.to_owned(),
                Kind::UnknownKey => UNKNOWN_KEY.to_owned(),
                Kind::Silent
                | Kind::Slow
                | Kind::Resetting
                | Kind::Garbage
                | Kind::WrongToken
                | Kind::HealthWatch
                | Kind::OneAddress => format!("strata_{:072}", 0),
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
    Ok(Crowd { tries, clients })
}

/// An address of this machine for each of many.
fn address_of(number: usize) -> IpAddr {
    let [.., high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low).into()
}

struct Bad {
    kind: Kind,
    address: SocketAddr,
    /// Where it comes from.
    from: IpAddr,
    token: String,
    tries: Arc<Tries>,
}

impl Bad {
    async fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        socket.connect(self.address).await
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        Ok(endpoint.local_address(Some(self.from)))
    }

    async fn attempt(&self) -> Result<(), Failure> {
        match self.kind {
            Kind::Silent => self.say_slowly(&[]).await,
            Kind::Slow => self.say_slowly(&[PREFACE, HEADERS].concat()).await,
            Kind::Garbage => {
                self.tries.try_it(self.kind);
                let mut socket = self.connect().await?;
                let sent = socket.write_all(&[0xA7; 4_096]).await;
                let cut = sent.is_err() || is_cut(&mut socket).await;
                self.tries.end(self.kind, !cut);
                Ok(())
            }
            Kind::Resetting => self.take_back().await,
            Kind::WrongToken | Kind::UnknownKey | Kind::Greedy => self.call().await,
            Kind::HealthWatch => self.watch_health().await,
            Kind::OneAddress => self.crowd_in().await,
        }
    }

    /// Says something a byte at a time, and then nothing, until it is cut off.
    async fn say_slowly(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.tries.try_it(self.kind);
        let mut socket = self.connect().await?;
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
        let socket = self.connect().await?;
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

    /// Holds watches over one connection for as long as it is let.
    async fn watch_health(&self) -> Result<(), Failure> {
        let mut health = HealthClient::new(self.endpoint()?.connect().await?);
        let mut held = Vec::new();
        for _ in 0..WATCHES {
            self.tries.try_it(self.kind);
            let watch = health.watch(HealthCheckRequest::default()).await;
            self.tries.end(self.kind, watch.is_ok());
            held.extend(watch.map(tonic::Response::into_inner));
        }
        for watch in &mut held {
            while let Ok(Some(_)) = watch.message().await {}
        }
        Ok(())
    }

    /// Opens connections and holds them for a while.
    async fn crowd_in(&self) -> Result<(), Failure> {
        let mut held = Vec::new();
        for _ in 0..HELD {
            self.tries.try_it(self.kind);
            held.push(self.connect().await);
        }
        tokio::time::sleep(PATIENCE).await;
        for socket in held {
            // One that is open has nothing to read.
            let is_open = |socket: &TcpStream| {
                let read = socket.try_read(&mut [0; 1]);
                read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            };
            self.tries
                .end(self.kind, socket.is_ok_and(|it| is_open(&it)));
        }
        Ok(())
    }

    /// Calls on one connection for as long as it is let.
    async fn call(&self) -> Result<(), Failure> {
        let mut plans = PlanServiceClient::new(self.endpoint()?.connect().await?);
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
