//! The only wiring. This stands in for the daemon until it is built: it holds the listener until it
//! is told to stop.

use std::future::Future;

use tokio::net::TcpListener;

use crate::config::Config;

/// Why the daemon could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {}

/// Runs until `stop` is ready, then drains.
pub async fn run(
    _config: Config,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DaemonError> {
    stop.await;
    drop(listener);
    Ok(())
}
