//! Connections: taken one by one, up to a bound of all and of each address, each served by a task of
//! its own. What a client may send and how long it may take is bounded here, so that many bad ones
//! cost little and keep no good one out: a handshake, a preface, the head of a request, frames and
//! headers, streams, idleness.

use std::{
    convert::Infallible, future::pending, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use metrics::counter;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::{either::Either, sync::CancellationToken};
use tonic::{body::Body, codegen::Service};
use tower::{ServiceExt as _, service_fn};

use crate::gateway::{
    authentication::OPEN,
    calls::open::Open,
    crowding::{Counted, Crowding},
    cut::{Cut, Tasks},
    peer::{Network, Peer},
    standing::{Held, Leaving, Standing, Standings},
    tls::{Tls, Trust},
    wire::Wire,
};

/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a client may take to say which HTTP it speaks.
const PREFACE_TIME: Duration = Duration::from_secs(10);
/// How long the head of a request may take over HTTP/1.1, the pause before it included. Over HTTP/2 one
/// that is half sent keeps its client from answering the question below.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// A connection over HTTP/2 is asked this often whether it still lives.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// And is closed when it does not answer for so long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection that was told to end may stand without a call.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// The same where another waits for its place.
const LEAVE_TIME: Duration = Duration::from_millis(100);
/// How long calls may go on of a client whose certificate is no longer believed: a write ends, a watch does not.
const DISTRUSTED_TIME: Duration = Duration::from_secs(2);
/// How long a connection waits for the place of another of its address: one that was given a call while
/// it was told to leave goes later, or not.
const GONE_TIME: Duration = LEAVE_TIME.saturating_mul(10);
/// The pause after the system had no socket to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Open files beside the connections: the log, the view, the metrics, configuration.
const OTHER_FILES: u64 = 256;
/// How often room is looked for while there is none.
const ROOM_INTERVAL: Duration = Duration::from_millis(100);

/// Calls at once over one connection of HTTP/2; clients wait with more.
const STREAMS_MAX: u32 = 256;
/// The head of a request: a token, the baggage of traces, and as much again.
const HEAD_BYTES_MAX: u32 = 16 << 10;
/// What is read of a request's head over HTTP/1.1 before it must be whole, with what comes behind it.
const BUFFER_BYTES_MAX: usize = 32 << 10;
/// What a client may send of one call before it is read: two messages of the largest size.
const STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// And of all its calls over one connection.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// What waits to be sent in one call.
const SEND_BYTES_MAX: usize = 256 << 10;
/// Calls that were taken back before they were looked at; more in one go is an attack.
const RESETS_MAX: usize = 20;
/// Calls over one connection that broke the protocol.
const ERRORS_MAX: usize = 64;

/// What connections may take together and alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once. With more, the one that has been idle longest makes room.
    pub connections_max: usize,
    /// Connections at once of one address; 0: any number. With more, the one of it that has been idle
    /// longest makes room; if none is idle, they are refused.
    pub per_address_max: usize,
    /// How long a connection may stand without a call.
    pub idle: Duration,
}

/// A connection that has come, with its places among those there may be.
struct Taken {
    socket: TcpStream,
    address: SocketAddr,
    network: Network,
    /// Of its address, and of all.
    places: (Counted, OwnedSemaphorePermit),
}

/// What every connection is served with.
struct Door<S> {
    tls: Option<Arc<Tls>>,
    service: S,
    http: auto::Builder<Tasks>,
    idle: Duration,
    close: CancellationToken,
}

/// Takes connections and serves them until `close` is cancelled and the calls under way have ended. Once
/// dropped, it has closed all of them.
pub(super) async fn serve<S>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    service: S,
    bounds: Bounds,
    close: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    make_room_for_sockets(bounds.connections_max);
    let room = Arc::new(Semaphore::new(bounds.connections_max));
    let standings = Standings::default();
    let mut crowding = Crowding::new(bounds.per_address_max);
    let door = Arc::new(Door {
        tls,
        service,
        http: http(),
        idle: bounds.idle,
        close: close.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        let mut taken = tokio::select! {
            () = close.cancelled() => break,
            taken = take(&listener, &mut crowding, &room, &standings) => taken,
        };
        // Those that have ended.
        while connections.try_join_next().is_some() {}
        let standing = standings.enter(taken.network);
        let door = door.clone();
        connections.spawn(async move {
            let _open = Open::default();
            let displaced = taken.places.0.displaced.take();
            door.serve(taken.socket, taken.address, displaced, &standing)
                .await;
            drop(taken.places);
        });
    }
    // So that whoever connects now is refused at once.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection that there may be.
async fn take(
    listener: &TcpListener,
    crowding: &mut Crowding,
    room: &Arc<Semaphore>,
    standings: &Standings,
) -> Taken {
    loop {
        match listener.accept().await {
            Ok((socket, address)) => {
                // First of all, so that whom it has too many of costs nobody else a connection.
                let network = Network::of(address.ip());
                let its_most_idle = || standings.close_most_idle_of(network);
                let Some(counted) = crowding.enter(network, its_most_idle) else {
                    turn_away(&socket);
                    continue;
                };
                let one_leaves = counted.displaced.is_some();
                let places = (counted, make_room(room, standings, one_leaves).await);
                return Taken {
                    socket,
                    address,
                    network,
                    places,
                };
            }
            // Whoever it was has gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Refuses a connection, and has the system forget it as soon as it is closed.
fn turn_away(socket: &TcpStream) {
    use rustix::net::sockopt::set_socket_linger;
    counter!("strata_connections_refused_total").increment(1);
    // Without it the system keeps what is left of it for a minute.
    set_socket_linger(socket, Some(Duration::ZERO)).ok();
}

/// A place among all. Where one leaves already, nobody else is closed before it had its time for that.
async fn make_room(
    room: &Arc<Semaphore>,
    standings: &Standings,
    one_leaves: bool,
) -> OwnedSemaphorePermit {
    let time = if one_leaves {
        2 * LEAVE_TIME
    } else {
        Duration::ZERO
    };
    if let Ok(Ok(place)) = timeout(time, room.clone().acquire_owned()).await {
        return place;
    }
    loop {
        if let Ok(place) = room.clone().try_acquire_owned() {
            return place;
        }
        standings.close_most_idle();
        if let Ok(Ok(place)) = timeout(ROOM_INTERVAL, room.clone().acquire_owned()).await {
            return place;
        }
    }
}

fn http() -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(Tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(ERRORS_MAX);
    builder
}

impl<S> Door<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    async fn serve(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        displaced: Option<Leaving>,
        standing: &Arc<Standing>,
    ) {
        // Both make it quicker to answer and to notice who is gone; without them it works as well.
        socket.set_nodelay(true).ok();
        keep_alive(&socket).ok();
        let beginning = async {
            if let Some(displaced) = displaced
                && timeout(GONE_TIME, displaced.gone()).await.is_err()
            {
                turn_away(&socket);
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.shake_hands(socket, address, standing).await
        };
        let shaken = tokio::select! {
            shaken = beginning => shaken,
            () = standing.told_to_leave() => return,
            () = self.close.cancelled() => return,
        };
        match shaken {
            Ok((wire, peer, trust)) => {
                let answering = self.answer(wire, Arc::new(peer), trust, standing);
                if Cut::unless_given_up(answering).await.is_none() {
                    tracing::debug!(peer = %address, "an answer over HTTP/1.1 was not taken");
                }
            }
            Err(error) => tracing::debug!(peer = %address, %error, "no handshake"),
        }
    }

    async fn shake_hands(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        standing: &Arc<Standing>,
    ) -> io::Result<(Wire, Peer, Option<Trust>)> {
        let wire = |stream| Wire::new(stream, standing.clone());
        let Some(tls) = &self.tls else {
            return Ok((wire(Either::Left(socket)), Peer::plain(address), None));
        };
        let shaken = timeout(HANDSHAKE_TIME, tls.accept(socket)).await;
        let (stream, trust) = shaken.map_err(|_| io::ErrorKind::TimedOut)??;
        let peer = Peer::encrypted(address, stream.get_ref().1);
        Ok((wire(Either::Right(Box::new(stream))), peer, trust))
    }

    /// Answers calls until the client leaves, has been idle for too long or is not trusted any more, or the
    /// daemon stops.
    async fn answer(
        &self,
        mut wire: Wire,
        peer: Arc<Peer>,
        mut trust: Option<Trust>,
        standing: &Arc<Standing>,
    ) {
        let address = peer.address;
        let spoken = wire.spoken();
        let (service, begin) = (self.service.clone(), standing.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let call = begin.begin_call(!request.uri().path().starts_with(OPEN));
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let answer = service.clone().oneshot(request);
            async move { Ok::<_, Infallible>(answer.await?.map(|body| Held::new(body, call))) }
        });
        let service = TowerToHyperService::new(service);
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(wire), service));
        let silent = async {
            if timeout(PREFACE_TIME, spoken).await.is_ok() {
                pending::<()>().await;
            }
        };
        let distrusted = async {
            match &mut trust {
                Some(trust) => trust.ended().await,
                None => pending().await,
            }
        };
        let failed = |error| tracing::debug!(peer = %address, %error, "a connection failed");
        let (linger, at_most) = tokio::select! {
            ended = connection.as_mut() => return ended.unwrap_or_else(failed),
            () = silent => {
                tracing::debug!(peer = %address, "a connection said nothing");
                return;
            }
            () = standing.idle_for(self.idle) => (LINGER_TIME, None),
            () = self.close.cancelled() => (LINGER_TIME, None),
            () = standing.told_to_leave() => (LEAVE_TIME, None),
            () = distrusted => {
                tracing::info!(
                    peer = %address,
                    "a connection is closed: its client's certificate has expired, or its authority is no \
                     longer believed"
                );
                (LEAVE_TIME, Some(DISTRUSTED_TIME))
            }
        };
        let overdue = async {
            match at_most {
                Some(time) => sleep(time).await,
                None => pending().await,
            }
        };
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => ended.unwrap_or_else(failed),
            // It was told; one that does not go is not waited for.
            () = standing.idle_for(linger) => {}
            () = overdue => {}
        }
    }
}

/// Asks the system for as many open files as there may be connections, with some for all else.
fn make_room_for_sockets(connections_max: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = u64::try_from(connections_max)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    limit.current = Some(allowed);
    if setrlimit(Resource::Nofile, limit).is_err() || allowed < wanted {
        tracing::warn!(
            wanted,
            "the system allows fewer open files than there may be connections: raise its limit, or \
             lower max_connections"
        );
    }
}

/// Has the system ask whoever says nothing for long whether it still lives: HTTP/1.1 has no such question.
fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_TIMEOUT / 4)?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    Ok(())
}
