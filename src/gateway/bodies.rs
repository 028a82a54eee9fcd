//! What a call may take: its deadline, and a bound on the time in which a message comes. A request
//! that is begun and never ended would otherwise hold its stream and its buffers for ever.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::time::{Sleep, sleep, timeout};
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service},
};
use tower::Layer;

use crate::rpc::{self, status};

/// How long a message may take to come in whole: the largest, at 10 KiB a second.
pub(super) const MESSAGE_TIME: Duration = Duration::from_secs(30);

/// What stands before each message: a flag and the length.
const PREFIX_BYTES: usize = 5;

/// The layer that ends calls at their deadline, and those whose message does not come.
#[derive(Debug, Clone)]
pub(super) struct BodiesLayer {
    /// The paths of calls that take many messages: a pause between two of them is no fault.
    streaming: Arc<HashSet<String>>,
    message_time: Duration,
}

/// A service whose calls end.
#[derive(Debug, Clone)]
pub(super) struct Bodies<S> {
    streaming: Arc<HashSet<String>>,
    message_time: Duration,
    inner: S,
}

/// A body that comes in time or fails.
struct Timely {
    body: Body,
    time: Duration,
    end: Pin<Box<Sleep>>,
}

/// A body of many messages, each of which comes in time once it is begun, or the body fails.
struct EachTimely {
    body: Body,
    time: Duration,
    coming: Coming,
    /// Runs while the rest of a message is waited for.
    end: Option<Pin<Box<Sleep>>>,
}

/// How far the message has come that is on its way.
#[derive(Debug, Default)]
struct Coming {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    /// What is still to come behind its prefix.
    rest_bytes: usize,
}

impl BodiesLayer {
    /// For the services that a set of descriptors describes, of which there may be several.
    pub(super) fn new(encoded: &[&[u8]]) -> Self {
        let sets = encoded
            .iter()
            .filter_map(|it| FileDescriptorSet::decode(*it).ok());
        let mut streaming = HashSet::new();
        for file in sets.flat_map(|set| set.file) {
            for service in &file.service {
                let many = service.method.iter().filter(|it| it.client_streaming());
                streaming.extend(many.map(|method| {
                    format!("/{}.{}/{}", file.package(), service.name(), method.name())
                }));
            }
        }
        Self {
            streaming: Arc::new(streaming),
            message_time: MESSAGE_TIME,
        }
    }
}

impl<S> Layer<S> for BodiesLayer {
    type Service = Bodies<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Bodies {
            streaming: self.streaming.clone(),
            message_time: self.message_time,
            inner,
        }
    }
}

impl<S> Service<Request<Body>> for Bodies<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = rpc::timeout_of(request.headers());
        let time = self.message_time;
        let request = if self.streaming.contains(request.uri().path()) {
            request.map(|body| {
                Body::new(EachTimely {
                    body,
                    time,
                    coming: Coming::default(),
                    end: None,
                })
            })
        } else {
            request.map(|body| {
                Body::new(Timely {
                    body,
                    time,
                    end: Box::pin(sleep(time)),
                })
            })
        };
        let answer = self.inner.call(request);
        let Some(deadline) = deadline else {
            return Box::pin(answer);
        };
        Box::pin(async move {
            match timeout(deadline, answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(status::deadline_passed().into_http()),
            }
        })
    }
}

impl http_body::Body for Timely {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.end.as_mut().poll(context));
        Poll::Ready(Some(Err(status::message_did_not_come(self.time))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl http_body::Body for EachTimely {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let data = frame.as_ref().and_then(|it| it.as_ref().ok()?.data_ref());
            if data.is_some_and(|data| self.coming.take(data)) {
                self.end = None;
            }
            return Poll::Ready(frame);
        }
        if !self.coming.is_begun() {
            return Poll::Pending;
        }
        // From when it is waited for: until then it may have been us who took nothing.
        let time = self.time;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Some(Err(status::message_did_not_come(time))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Coming {
    /// Whether a part of a message has come, and the rest has not.
    fn is_begun(&self) -> bool {
        self.prefix_bytes > 0
    }

    /// Takes the next bytes; whether a message ends among them.
    fn take(&mut self, mut data: &[u8]) -> bool {
        let mut ends = false;
        while !data.is_empty() {
            if self.prefix_bytes < PREFIX_BYTES {
                let missing = &mut self.prefix[self.prefix_bytes..];
                let taken = missing.len().min(data.len());
                missing[..taken].copy_from_slice(&data[..taken]);
                self.prefix_bytes += taken;
                data = &data[taken..];
                if self.prefix_bytes < PREFIX_BYTES {
                    return ends;
                }
                let [_, length @ ..] = self.prefix;
                self.rest_bytes = u32::from_be_bytes(length) as usize;
            }
            let taken = self.rest_bytes.min(data.len());
            self.rest_bytes -= taken;
            data = &data[taken..];
            if self.rest_bytes == 0 {
                self.prefix_bytes = 0;
                ends = true;
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn};

    use tonic::Code;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::proto::FILE_DESCRIPTOR_SET;

    /// Comes before any deadline here, and after one that is not set.
    const SHORT: Duration = Duration::from_millis(20);

    /// A body of which nothing ever comes.
    struct Silent;

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Pending
        }
    }

    /// A body of which these pieces come, and nothing after them.
    struct Pieces(Vec<&'static [u8]>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            if self.0.is_empty() {
                return Poll::Pending;
            }
            let piece = Bytes::from_static(self.0.remove(0));
            Poll::Ready(Some(Ok(Frame::data(piece))))
        }
    }

    /// A call of which nothing comes behind its head, to a service that waits for its message.
    async fn call(path: &str, message_time: Duration, timeout: Option<&str>) -> Status {
        call_with(path, message_time, timeout, Body::new(Silent)).await
    }

    async fn call_with(
        path: &str,
        message_time: Duration,
        timeout: Option<&str>,
        body: Body,
    ) -> Status {
        let service = service_fn(|request: Request<Body>| async {
            let mut body = request.into_body();
            let failed = loop {
                let frame =
                    poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context));
                match frame.await {
                    Some(Ok(_)) => {}
                    Some(Err(failed)) => break Some(failed),
                    None => break None,
                }
            };
            let status = failed.unwrap_or_else(|| Status::ok("the message came"));
            Ok::<_, Infallible>(status.into_http::<Body>())
        });
        let layer = BodiesLayer {
            message_time,
            ..BodiesLayer::new(&[FILE_DESCRIPTOR_SET])
        };
        let mut request = Request::post(path);
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let request = request.body(body).expect("a request");
        let answer = layer.layer(service).oneshot(request).await;
        let Ok(answer) = answer;
        Status::from_header_map(answer.headers()).expect("a status")
    }

    #[tokio::test]
    async fn a_message_that_does_not_come_ends_its_call() {
        let status = call("/strata.v1.PlanService/GetPlan", SHORT, None).await;
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(status.message().contains("did not come"), "{status:?}");
    }

    #[tokio::test]
    async fn a_stream_of_messages_may_pause_until_its_deadline() {
        let status = call("/strata.v1.PlanService/ExecuteStream", SHORT, Some("200m")).await;
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(status.message().contains("deadline"), "{status:?}");
    }

    #[tokio::test]
    async fn a_message_of_a_stream_that_is_begun_comes_in_time_or_ends_it() {
        let path = "/strata.v1.PlanService/ExecuteStream";
        let whole: &[u8] = &[0, 0, 0, 0, 2, 7, 7];
        for begun in [
            &[whole, &[0]][..],
            &[&[0, 0, 0, 0, 2, 7, 7, 0, 0]],
            &[whole, &[0, 0, 0], &[0, 2, 7]],
        ] {
            let body = Body::new(Pieces(begun.to_vec()));
            let status = call_with(path, SHORT, Some("10S"), body).await;
            assert!(status.message().contains("did not come"), "{status:?}");
        }
        for ended in [
            &[whole, whole][..],
            &[&[0, 0, 0], &[0, 2, 7], &[7]],
            &[&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[7]],
        ] {
            let body = Body::new(Pieces(ended.to_vec()));
            let status = call_with(path, SHORT, Some("200m"), body).await;
            assert!(status.message().contains("deadline"), "{status:?}");
        }
    }

    #[tokio::test]
    async fn the_deadline_of_a_call_ends_it() {
        let status = call("/strata.v1.PlanService/GetPlan", MESSAGE_TIME, Some("1m")).await;
        assert!(status.message().contains("deadline"), "{status:?}");
    }
}
