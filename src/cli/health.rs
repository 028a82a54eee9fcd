//! `stratad health`: asks a running daemon whether it serves, for whoever starts it, stops it or sends
//! callers to it. The answer is the exit status; what is wrong is said.

use std::{
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use clap::Args;
use tokio::runtime;
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    cli::{
        DEFAULT_URL,
        remote::{Remote, Unreachable, Way},
    },
    client::refusal::Refusal,
};

/// What `stratad health` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The daemon; `http://` may be left out.
    #[arg(value_name = "URL", default_value = DEFAULT_URL, value_parser = Remote::parse)]
    pub url: Remote,
    /// Ask for one service, such as strata.v1.HistoryService, instead of the whole.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub service: String,
    /// How many seconds the answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub timeout: u64,
    /// How it is reached.
    #[command(flatten)]
    pub way: Way,
}

/// Why a daemon is not taken for one that serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// Nobody is there.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// It is there and does not serve.
    #[error(
        "{whose}NOT_SERVING: {url} recovers its log, stops, or waits for its disk; its log says \
         which"
    )]
    NotServing {
        /// Where it is.
        url: String,
        /// What was asked about.
        whose: String,
    },
    /// It has no such service.
    #[error("{url} has no service {service:?}; `{listing}` names those it has")]
    NoService {
        /// Where it is.
        url: String,
        /// What was asked about.
        service: String,
        /// The command line that lists its services.
        listing: String,
    },
    /// It refused to answer.
    #[error("{url} did not say how it is: {refusal}{advice}", advice = advice_on(url, refusal))]
    Refused {
        /// Where it is.
        url: String,
        /// What it said instead.
        refusal: Refusal,
    },
    /// It did not answer in time.
    #[error("{url} did not answer within {seconds} s; it hangs, or is overloaded")]
    Late {
        /// Where it is.
        url: String,
        /// How long it was given.
        seconds: u64,
    },
    /// The system refused what every client needs.
    #[error("cannot start the runtime: {0}")]
    System(#[from] io::Error),
}

/// What `stratad health --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Ask a running daemon whether it serves, by the standard gRPC health service. Nobody has to say who \
they are for that. Exit status 0: SERVING. 1: it does not, or does not answer in time; what is wrong \
is said.

The whole and strata.v1.PlanService do not serve while the daemon recovers its log, while it stops, \
and while a sync of its disk does not return. In that last case the other services go on: whoever \
restarts a daemon by this answer should ask for strata.v1.HistoryService, for a restart would take \
the reads away and mend no disk.";

/// What `stratad health --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad health
  stratad health --service strata.v1.HistoryService --timeout 2
  stratad health https://localhost:7421 --ca-file ca.crt
  stratad health localhost:7500 || echo 'it does not serve'";

/// Asks, and says the answer.
pub fn run(arguments: &Arguments) -> Result<(), HealthError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let patience = Duration::from_secs(arguments.timeout);
    let late = |_| HealthError::Late {
        url: arguments.url.url(),
        seconds: arguments.timeout,
    };
    let asked = async { tokio::time::timeout(patience, ask(arguments)).await };
    runtime.block_on(asked).map_err(late)??;
    // Where stdout is closed nobody listens, and the exit status still speaks.
    writeln!(io::stdout(), "SERVING").ok();
    Ok(())
}

async fn ask(arguments: &Arguments) -> Result<(), HealthError> {
    let url = arguments.url.url();
    let service = arguments.service.clone();
    let client = arguments.url.by(&arguments.way).connect().await?;
    let mut health = HealthClient::new(client.connection());
    let request = Request::new(HealthCheckRequest {
        service: service.clone(),
    });
    let status = match health.check(request).await {
        Ok(answer) => answer.into_inner().status,
        Err(status) if status.code() == Code::NotFound => {
            let listing = listing(&url, arguments.way.ca_file.as_deref());
            return Err(HealthError::NoService {
                url,
                service,
                listing,
            });
        }
        Err(status) => {
            let refusal = Refusal::from(&status);
            return Err(HealthError::Refused { url, refusal });
        }
    };
    if status == ServingStatus::Serving as i32 {
        return Ok(());
    }
    let whose = if service.is_empty() {
        service
    } else {
        format!("{service} is ")
    };
    Err(HealthError::NotServing { url, whose })
}

/// How grpcurl, which takes no URL, is asked for the services.
fn listing(url: &str, ca_file: Option<&Path>) -> String {
    let place = |scheme| url.strip_prefix(scheme);
    match (place("https://"), ca_file) {
        (Some(place), Some(ca_file)) => {
            format!("grpcurl -cacert {} {place} list", ca_file.display())
        }
        (Some(place), None) => format!("grpcurl {place} list"),
        (None, _) => format!(
            "grpcurl -plaintext {} list",
            place("http://").unwrap_or(url)
        ),
    }
}

/// Who is not asked in TLS, and serves nothing else, ends the connection or answers in bytes that are no
/// frames: nothing tells it apart from what speaks no gRPC at all.
fn advice_on(url: &str, refusal: &Refusal) -> String {
    let is_strange = refusal.is_broken_connection || refusal.is_of_no_stratad();
    match url.strip_prefix("http://") {
        Some(place) if is_strange => format!("\nif it serves TLS, say https://{place}"),
        Some(_) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpcurl_is_told_as_it_takes_it_how_the_daemon_is_reached() {
        let ca_file = Some(Path::new("ca.crt"));
        assert_eq!(
            listing("http://localhost:7421", None),
            "grpcurl -plaintext localhost:7421 list"
        );
        assert_eq!(
            listing("https://strata:7421", None),
            "grpcurl strata:7421 list"
        );
        assert_eq!(
            listing("https://strata:7421", ca_file),
            "grpcurl -cacert ca.crt strata:7421 list"
        );
    }
}
