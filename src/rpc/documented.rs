//! Messages that never reach a service: too large, or not to be decoded. What the transport says of
//! them has no details for programs; here it gets what every other malformed request is answered
//! with.

use std::task::{Context, Poll};

use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::NamedService,
};

use super::status;

/// A service whose every refusal is a documented one.
#[derive(Clone)]
pub struct Documented<S>(pub S);

impl<S: NamedService> NamedService for Documented<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Documented<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map(document) })
    }
}

/// A refusal stands in the headers of an answer without a body.
fn document(answer: http::Response<Body>) -> http::Response<Body> {
    match Status::from_header_map(answer.headers()) {
        Some(refused) if status::is_undocumented(&refused) => {
            status::documented(refused).into_http()
        }
        Some(_) | None => answer,
    }
}
