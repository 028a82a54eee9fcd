//! What is noted of each call: counted and timed for the metrics, told in a line of the log, and
//! handed to whoever traces. The layer stands before all others, so that it sees what they refuse as
//! well; what only those behind it know comes up on a slip (`rpc::noted`). Nothing of what a call is
//! about is looked at: neither messages nor credentials.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::ACCESS_CONTROL_REQUEST_METHOD,
};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tonic::{Code, body::Body as AnyBody};
use tower::{Layer, Service};

use crate::{
    access::rights::Rpc,
    gateway::{authentication::OPEN, peer::Peer},
    rpc::noted::{self, Notes, Slip},
};

mod figures;
mod frames;
mod line;
pub mod open;

pub use self::line::{CallLog, trace_id_of};
use self::{figures::Figures, frames::Frames, line::Lines};

/// What is called: an RPC, health, or something that there is not. There are no more names than
/// these, whatever callers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// A call of the table of rights.
    Rpc(Rpc),
    /// Health, which anyone may ask for.
    Health,
    /// Nothing that is served.
    Other,
}

/// What is noted of calls.
#[derive(Debug, Clone, Copy)]
pub struct Noting {
    /// Which calls have a line in the log.
    pub log: CallLog,
    /// A call that takes longer until its answer begins is told with where the time went; nothing:
    /// none is.
    pub slow: Option<Duration>,
}

/// A call that has ended, for who traces.
#[derive(Debug)]
pub struct Ended {
    /// What was called.
    pub called: Called,
    /// When it came.
    pub began: Instant,
    /// The same by the clock.
    pub began_at: SystemTime,
    /// How long it took, a stream to its end.
    pub took: Duration,
    /// How long it took until its answer began; nothing: it never did.
    pub answered: Option<Duration>,
    /// How it ended.
    pub code: Code,
    /// What was noted of it by those who answered.
    pub notes: Notes,
    /// From where it came.
    pub peer: Option<SocketAddr>,
    /// How many messages were sent.
    pub messages: u64,
    /// How many bytes they had, as sent.
    pub bytes: u64,
    /// The caller's `traceparent`.
    pub traceparent: Option<HeaderValue>,
    /// The caller's `tracestate`.
    pub tracestate: Option<HeaderValue>,
}

/// Traces a call that has ended, and returns the id of its trace if it has one.
pub type Trace = Box<dyn Fn(&Ended) -> Option<String> + Send + Sync>;

/// The layer.
#[derive(Clone)]
pub struct Calls(Arc<Desk>);

/// What all calls share.
struct Desk {
    under_way: AtomicU64,
    figures: Figures,
    lines: Lines,
    trace: Option<Trace>,
}

/// A service whose calls are noted.
#[derive(Clone)]
pub struct Noted<S> {
    inner: S,
    desk: Arc<Desk>,
}

/// A call under way. However it ends, it is noted.
struct Call {
    desk: Arc<Desk>,
    slip: Arc<Slip>,
    called: Called,
    began: Instant,
    began_at: SystemTime,
    answered: Option<Duration>,
    code: Option<Code>,
    frames: Frames,
    peer: Option<SocketAddr>,
    traceparent: Option<HeaderValue>,
    tracestate: Option<HeaderValue>,
}

pin_project! {
    /// The answer to a call, as it is made.
    pub struct Answer<F> {
        #[pin]
        inner: TaskLocalFuture<Arc<Slip>, F>,
        call: Option<Call>,
    }
}

pin_project! {
    /// The body of an answer, as it is sent.
    struct Sent<B> {
        #[pin]
        inner: B,
        call: Option<Call>,
    }
}

impl Called {
    /// What a request's path names.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match Rpc::of(path) {
            Some(rpc) => Self::Rpc(rpc),
            None if path.starts_with(OPEN) => Self::Health,
            None => Self::Other,
        }
    }

    /// Its name, as figures and lines show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rpc(Rpc::Reflection) => "Reflection",
            Self::Rpc(rpc) => rpc.name(),
            Self::Health => "Health",
            Self::Other => "Other",
        }
    }
}

impl Ended {
    /// Whether the daemon is to blame, rather than what the caller asked for.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(
            self.code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        )
    }
}

impl Calls {
    /// The layer. Make it when the recorder of the metrics is there, for it keeps its figures at hand.
    #[must_use]
    pub fn new(noting: Noting, trace: Option<Trace>) -> Self {
        Self(Arc::new(Desk {
            under_way: AtomicU64::new(0),
            figures: Figures::new(),
            lines: Lines::new(noting),
            trace,
        }))
    }

    /// How many calls are under way.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.0.under_way.load(Ordering::Relaxed)
    }
}

impl<S> Layer<S> for Calls {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        Noted {
            inner,
            desk: self.0.clone(),
        }
    }
}

impl<S, Q, B> Service<Request<Q>> for Noted<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<AnyBody>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let slip = Arc::<Slip>::default();
        // A browser that asks what it may is no call, and nothing is done for one.
        let is_question = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let call = (!is_question).then(|| Call::begin(self.desk.clone(), slip.clone(), &request));
        Answer {
            inner: noted::on(slip, self.inner.call(request)),
            call,
        }
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Output = Result<Response<AnyBody>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(context));
        let mut call = this.call.take();
        Poll::Ready(match answer {
            Ok(response) => {
                if let Some(call) = &mut call {
                    call.answer(&response);
                }
                // What has been said in the headers is all there is.
                let call = call.filter(|call| call.code.is_none());
                Ok(response.map(|inner| AnyBody::new(Sent { inner, call })))
            }
            Err(error) => {
                if let Some(call) = &mut call {
                    call.code = Some(Code::Unknown);
                }
                Err(error)
            }
        })
    }
}

impl<B: Body<Data = Bytes>> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(call) = this.call else {
            return this.inner.poll_frame(context);
        };
        let slip = call.slip.clone();
        let frame = ready!(noted::on_step(&slip, || this.inner.poll_frame(context)));
        match &frame {
            Some(Ok(frame)) => call.send(frame),
            Some(Err(_)) => call.code = Some(Code::Unknown),
            // The end came without a status, where clients see UNKNOWN as well.
            None => call.code = call.code.or(Some(Code::Unknown)),
        }
        if call.code.is_some() {
            // Noted now and not when the connection lets go of the body.
            drop(this.call.take());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Call {
    fn begin<Q>(desk: Arc<Desk>, slip: Arc<Slip>, request: &Request<Q>) -> Self {
        let called = Called::of(request.uri().path());
        desk.figures.begin(called);
        desk.under_way.fetch_add(1, Ordering::Relaxed);
        let header = |name| request.headers().get(name).cloned();
        Self {
            desk,
            slip,
            called,
            began: Instant::now(),
            began_at: SystemTime::now(),
            answered: None,
            code: None,
            frames: Frames::default(),
            peer: peer(request),
            traceparent: header("traceparent"),
            tracestate: header("tracestate"),
        }
    }

    /// The answer begins.
    fn answer<B>(&mut self, response: &Response<B>) {
        self.answered = Some(self.began.elapsed());
        self.frames = Frames::of(response.headers());
        self.code = code(response.headers()).or_else(|| code_of_http(response.status()));
        if self.code.is_none() && self.called == Called::Rpc(Rpc::Watch) {
            let (lines, notes) = (&self.desk.lines, self.slip.read());
            lines.watch_begins(&notes, self.peer, self.traceparent.as_ref());
        }
    }

    /// A piece of the answer is sent.
    fn send(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.code = code(trailers).or(Some(Code::Unknown));
        } else if let Some(data) = frame.data_ref() {
            self.code = self.frames.send(data);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let notes = self.slip.take();
        let ended = Ended {
            called: self.called,
            began: self.began,
            began_at: self.began_at,
            took: self.began.elapsed(),
            answered: self.answered,
            // Let go before its end: it was given up, or the caller has left.
            code: self.code.or(notes.ended_with).unwrap_or(Code::Cancelled),
            notes,
            peer: self.peer,
            messages: self.frames.messages(),
            bytes: self.frames.bytes(),
            traceparent: self.traceparent.take(),
            tracestate: self.tracestate.take(),
        };
        self.desk.figures.end(&ended);
        self.desk.under_way.fetch_sub(1, Ordering::Relaxed);
        let trace_id = self.desk.trace.as_ref().and_then(|trace| trace(&ended));
        self.desk.lines.end(&ended, trace_id);
    }
}

/// From where a request came.
fn peer<Q>(request: &Request<Q>) -> Option<SocketAddr> {
    let peer = request.extensions().get::<Arc<Peer>>()?;
    Some(peer.address)
}

/// The status that headers or trailers tell.
fn code(headers: &HeaderMap) -> Option<Code> {
    let code = headers.get("grpc-status")?;
    Some(Code::from_bytes(code.as_bytes()))
}

/// What a refusal by HTTP alone means, as clients of gRPC read it.
fn code_of_http(status: StatusCode) -> Option<Code> {
    match status {
        StatusCode::OK => None,
        StatusCode::BAD_REQUEST => Some(Code::Internal),
        StatusCode::UNAUTHORIZED => Some(Code::Unauthenticated),
        StatusCode::FORBIDDEN => Some(Code::PermissionDenied),
        StatusCode::NOT_FOUND => Some(Code::Unimplemented),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(Code::Unavailable),
        _ => Some(Code::Unknown),
    }
}
