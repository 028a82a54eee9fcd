//! What a daemon is to begin with: a file of requests that it records over its own door, as an
//! import from outside would, as soon as it serves.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use tokio::time::sleep;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tracing::info;

use crate::cli::{
    import::{self, ImportError, lines::Source},
    remote::Remote,
};

/// The pause between two attempts to ask a daemon that is starting how it is.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the file once, so that a wrong one is refused before anything is started.
pub(super) fn check(path: &Path) -> Result<Source, ImportError> {
    let requests = Source::open(path)?;
    requests.check()?;
    Ok(requests)
}

/// Records the requests with the daemon at `address`, once it serves.
pub(super) async fn record(requests: &Source, address: SocketAddr) -> Result<(), ImportError> {
    let remote = Remote::parse(&address.to_string())
        .map_err(|reason| ImportError::System(io::Error::other(reason)))?;
    until_serving(&remote).await;
    let tally = import::record_patiently(requests, &remote).await?;
    info!(
        recorded = tally.recorded,
        replayed = tally.replayed,
        "imported"
    );
    Ok(())
}

/// Returns once the daemon serves, which takes as long as its recovery.
async fn until_serving(remote: &Remote) {
    loop {
        if let Ok(client) = remote.connect().await
            && let Ok(answer) = HealthClient::new(client.connection())
                .watch(HealthCheckRequest::default())
                .await
        {
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
