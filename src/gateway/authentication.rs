//! Who calls: every call is asked before anything of it is read. Health alone is open, for what
//! watches over a daemon has no credentials. What was shown never goes further than here.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Method, Request, Response, header};
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service},
};
use tower::Layer;

use crate::{
    access::{
        ANONYMOUS, Principal, Rejected,
        credentials::{self, Credentials},
        door::Access,
        lease::Lease,
    },
    gateway::{
        cors::Origins,
        peer::{Network, Peer},
        strangers::{Exhausted, Strangers},
    },
    rpc::{noted, status},
};

/// The calls that nobody is asked for: the paths below this one.
pub(super) const OPEN: &str = "/grpc.health.v1.Health/";

/// The layer that puts a [`Principal`] into the extensions of every call, with the [`Lease`] on which it
/// may go on, or refuses it.
#[derive(Clone)]
pub(super) struct AuthenticationLayer {
    /// Who calls.
    pub(super) access: Arc<Access>,
    /// The pages of which origins may call.
    pub(super) origins: Arc<Origins>,
    /// Who tried in vain.
    pub(super) strangers: Arc<Strangers>,
}

/// A service whose every call has a [`Principal`].
#[derive(Clone)]
pub(super) struct Authentication<S> {
    asks: AuthenticationLayer,
    inner: S,
}

impl<S> Layer<S> for AuthenticationLayer {
    type Service = Authentication<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authentication {
            asks: self.clone(),
            inner,
        }
    }
}

impl<S> Service<Request<Body>> for Authentication<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that was polled ready serves this call.
        let spare = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, spare);
        let asks = self.asks.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            // Every call is a POST; the services behind do not look.
            if head.method != Method::POST {
                return Ok(status::no_post(&head.method).into_http());
            }
            let lease = if head.uri.path().starts_with(OPEN) {
                // Known as little as a caller of a daemon that does not ask, and may do nothing else.
                Ok(Lease::of_principal(Principal::new(ANONYMOUS, Vec::new())))
            } else {
                asks.who_calls(&head.headers, head.extensions.get()).await
            };
            // No room behind this one sees it, by accident or otherwise.
            head.headers.remove(header::AUTHORIZATION);
            match lease {
                Ok(lease) => {
                    let principal = lease.principal();
                    noted::caller(principal.name());
                    head.extensions.insert(principal);
                    head.extensions.insert(lease);
                    inner.call(Request::from_parts(head, body)).await
                }
                Err(refused) => Ok(refused.into_http()),
            }
        })
    }
}

impl AuthenticationLayer {
    async fn who_calls(
        &self,
        headers: &HeaderMap,
        peer: Option<&Arc<Peer>>,
    ) -> Result<Lease, Status> {
        if !self.access.is_required() {
            // A page can have its own name lead to this machine, and is then of the daemon's own origin
            // to its browser, which lets it call. The name in its origin still tells.
            return match headers.get(header::ORIGIN) {
                Some(origin) if !self.origins.may_call_unasked(origin) => {
                    Err(status::of_page(origin))
                }
                Some(_) | None => Ok(Lease::of_principal(Principal::anonymous())),
            };
        }
        let network = peer.map(|peer| Network::of(peer.address.ip()));
        let is_doubtful = network.is_some_and(|it| self.strangers.exhausted(it));
        let shown = bearer(headers).map(|bearer| Credentials {
            bearer,
            certificate: peer.and_then(|peer| peer.certificate.as_ref()),
            is_doubtful,
        });
        let told = match shown {
            Ok(shown) => self.access.authenticate(shown).await,
            Err(rejected) => Err(rejected),
        };
        told.map_err(|rejected| {
            let network = network.filter(|_| rejected.is_in_vain());
            match network.and_then(|it| self.strangers.tried(it).err()) {
                Some(Exhausted {
                    network,
                    per_minute,
                    wait,
                }) => status::too_many_in_vain(&network, per_minute, wait),
                None => status::of_rejected(&rejected),
            }
        })
    }
}

/// The token that is shown, if one is.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Rejected> {
    let mut headers = headers.get_all(header::AUTHORIZATION).iter();
    match (headers.next(), headers.next()) {
        (None, _) => Ok(None),
        (Some(header), None) => credentials::bearer(header.as_bytes()).map(Some),
        // Which of them counts is not for us to guess.
        (Some(_), Some(_)) => Err(Rejected::Malformed),
    }
}
