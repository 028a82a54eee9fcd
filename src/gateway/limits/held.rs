//! What a call holds until its answer was sent to the end, or nobody takes it any more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tonic::{Status, body::Body, codegen::http};

use super::{Place, ending::End};
use crate::rpc::call::Call;

/// What a call holds: its places, and that it is wanted.
pub(super) struct Held {
    call: Call,
    is_finished: bool,
    _places: [Option<Place>; 2],
}

/// An answer on its way.
struct Sent {
    answer: Body,
    /// Of an answer that may have to end before it comes to its own.
    end: Option<End>,
    held: Held,
}

impl Held {
    pub(super) fn new(places: [Option<Place>; 2], call: Call) -> Self {
        Self {
            call,
            is_finished: false,
            _places: places,
        }
    }

    /// The same answer, which holds this until it was sent or has to end.
    pub(super) fn until_sent(
        self,
        answer: http::Response<Body>,
        end: Option<End>,
    ) -> http::Response<Body> {
        answer.map(|answer| {
            Body::new(Sent {
                end,
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
        // First: an answer that always has more would never come to its end.
        if let Some(Poll::Ready(status)) = self.end.as_mut().map(|end| end.poll(context)) {
            let mut trailers = http::HeaderMap::new();
            let added = status.add_header(&mut trailers);
            self.end = None;
            self.answer = Body::empty();
            self.held.is_finished = true;
            return Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))));
        }
        let polled = Pin::new(&mut self.answer).poll_frame(context);
        let goes_on = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.is_data() && !self.answer.is_end_stream(),
            Poll::Ready(_) => false,
            Poll::Pending => true,
        };
        if !goes_on {
            self.held.is_finished = true;
            self.end = None;
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
