//! What a daemon is to begin with: a file of requests that it records by its own services, as an
//! import from outside would, as soon as it serves. Nobody stands between: whoever starts a daemon is
//! not asked for a token, and needs no certificate to trust it.

use std::{path::Path, time::Duration};

use http::Request;
use tokio::time::sleep;
use tonic::{body::Body, service::Routes};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::ServiceExt as _;
use tracing::info;

use crate::{
    access::Principal,
    cli::{
        import::{self, ImportError, lines::Source},
        remote::Remote,
    },
    client::Client,
};

/// The pause between two attempts to ask a daemon that is starting how it is.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the file once, so that a wrong one is refused before anything is started.
pub(super) fn check(path: &Path) -> Result<Source, ImportError> {
    let requests = Source::open(path)?;
    requests.check()?;
    Ok(requests)
}

/// Records the requests with the daemon's services in the name of `principal`, once it serves.
pub(super) async fn record(
    requests: &Source,
    services: Routes,
    principal: Principal,
) -> Result<(), ImportError> {
    let client = Client::over(services.map_request(move |mut call: Request<Body>| {
        call.extensions_mut().insert(principal.clone());
        call
    }));
    let remote = Remote::inside(client.clone());
    until_serving(&client).await;
    let tally = import::record_patiently(requests, &remote).await?;
    info!(
        recorded = tally.recorded,
        replayed = tally.replayed,
        "imported"
    );
    Ok(())
}

/// Returns once the daemon serves, which takes as long as its recovery.
async fn until_serving(client: &Client) {
    let mut health = HealthClient::new(client.connection());
    loop {
        if let Ok(answer) = health.watch(HealthCheckRequest::default()).await {
            let mut statuses = answer.into_inner();
            while let Ok(Some(status)) = statuses.message().await {
                if status.status() == ServingStatus::Serving {
                    return;
                }
            }
        }
        sleep(PAUSE).await;
    }
}
