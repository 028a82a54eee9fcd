//! What a call holds until its answer was sent to the end, or nobody takes it any more.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::{Status, body::Body, codegen::http};

use super::Place;
use crate::rpc::{call::Call, status};

/// What a call holds: its places, and that it is wanted.
pub(super) struct Held {
    call: Call,
    /// When a stream has to end by the caller's own deadline, and how long that was.
    ends_at: Option<(Instant, Duration)>,
    is_finished: bool,
    _places: [Option<Place>; 2],
}

/// An answer on its way.
struct Sent {
    answer: Body,
    /// Wakes the answer when it has to end.
    end: Option<(Pin<Box<Sleep>>, Duration)>,
    held: Held,
}

impl Held {
    pub(super) fn new(
        places: [Option<Place>; 2],
        call: Call,
        ends_after: Option<Duration>,
    ) -> Self {
        Self {
            call,
            ends_at: ends_after.map(|after| (Instant::now() + after, after)),
            is_finished: false,
            _places: places,
        }
    }

    /// The same answer, which holds this until it was sent.
    pub(super) fn until_sent(self, answer: http::Response<Body>) -> http::Response<Body> {
        answer.map(|answer| {
            let end = |(at, after)| (Box::pin(tokio::time::sleep_until(at)), after);
            Body::new(Sent {
                end: self.ends_at.map(end),
                held: self.ends_with(&answer),
                answer,
            })
        })
    }

    /// Its answer was given.
    pub(super) fn finished(mut self) {
        self.is_finished = true;
    }

    fn ends_with(mut self, answer: &Body) -> Self {
        self.is_finished = answer.is_end_stream();
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.call.end();
        if !self.is_finished {
            metrics::counter!("strata_calls_abandoned_total").increment(1);
        }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.answer).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() && !self.answer.is_end_stream() => {}
            Poll::Ready(_) => self.held.is_finished = true,
            Poll::Pending => {
                if let Some((end, after)) = &mut self.end
                    && end.as_mut().poll(context).is_ready()
                {
                    let mut trailers = http::HeaderMap::new();
                    let added = status::timed_out(*after).add_header(&mut trailers);
                    self.answer = Body::empty();
                    self.held.is_finished = true;
                    return Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))));
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
