//! What stands between the socket and the services: who may connect, over what, who calls, how much
//! at once, and what is noted of each call. It knows no plan.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;

use crate::access::door::Access;

mod authentication;
mod bodies;
pub mod calls;
pub mod connections;
pub mod cors;
mod crowding;
mod cut;
mod known;
pub mod limits;
pub mod peer;
mod standing;
mod strangers;
pub mod tls;
mod untaken;
mod wire;

use self::{
    authentication::AuthenticationLayer,
    bodies::BodiesLayer,
    calls::Calls,
    connections::Bounds,
    cors::Origins,
    limits::{Limits, LimitsLayer},
    strangers::Strangers,
    tls::Tls,
};

/// What calls come through before they reach the services.
pub struct Gateway {
    /// What is noted of calls.
    pub calls: Calls,
    /// What is said is kept from others; nothing: it can be read on its way.
    pub tls: Option<Arc<Tls>>,
    /// Who calls.
    pub access: Arc<Access>,
    /// The pages of which origins may call.
    pub origins: Origins,
    /// What connections may take.
    pub bounds: Bounds,
    /// What callers may do at once.
    pub limits: Limits,
}

impl Gateway {
    /// Serves calls over `listener` until `close` is cancelled and those under way have ended. Once
    /// dropped, it has closed all connections. `descriptors` describe the services.
    pub async fn serve(
        self,
        listener: TcpListener,
        services: Routes,
        descriptors: &[&[u8]],
        close: CancellationToken,
    ) {
        // The way of a call, from the socket inwards. The order matters:
        let service = ServiceBuilder::new()
            // First, so that what is refused behind it is noted as well.
            .layer(self.calls)
            // A browser's question whether a page may call has no credentials, and its page must be
            // able to read every answer, refusals too.
            .option_layer(cors::layer(&self.origins))
            // Whoever comes behind speaks plain gRPC; a refusal becomes one that pages can read.
            .layer(GrpcWebLayer::new())
            // All that comes behind is within the caller's deadline.
            .layer(BodiesLayer::new(descriptors))
            // Nobody unknown gets further, so what comes behind may hold its caller to account.
            .layer(AuthenticationLayer {
                access: self.access,
                origins: self.origins.into(),
                strangers: Strangers::new(&self.limits).into(),
            })
            // Innermost: it limits whom the layers before it let through.
            .layer(LimitsLayer::new(&self.limits))
            .service(services.prepare());
        let follow = async {
            if let Some(tls) = self.tls.clone() {
                tls.follow().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = connections::serve(listener, self.tls.clone(), service, self.bounds, close) => {}
            () = follow => {}
        }
    }
}
