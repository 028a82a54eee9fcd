//! Which web pages may call: the answers to the questions that a browser asks before it lets a page
//! of one origin speak to a daemon of another.

use std::{fmt, time::Duration};

use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// How long a browser may remember an answer.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// What a page may send.
const REQUEST_HEADERS: [HeaderName; 14] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::USER_AGENT,
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-user-agent"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("connect-protocol-version"),
    HeaderName::from_static("connect-timeout-ms"),
];

/// What a page may read: without these a refusal would be told to nobody.
const ANSWER_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("x-request-id"),
];

/// The origins whose pages may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// None: browsers keep every page of another origin away.
    #[default]
    None,
    /// Every one. A page sends what it knows itself; the browser adds no cookie or certificate.
    Any,
    /// These, as browsers write them: `https://app.example.com`.
    Listed(Vec<String>),
}

/// As they are configured.
impl fmt::Display for Origins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Any => formatter.write_str("*"),
            Self::Listed(origins) => formatter.write_str(&origins.join(",")),
        }
    }
}

/// The layer that answers browsers; nothing where no page may call.
pub(super) fn layer(origins: &Origins) -> Option<CorsLayer> {
    let layer = match origins {
        Origins::None => return None,
        Origins::Any => CorsLayer::new().allow_origin(Any),
        Origins::Listed(origins) => {
            // What could not be a header's value was refused with the configuration.
            let listed = origins.iter().map(|it| HeaderValue::from_str(it));
            CorsLayer::new().allow_origin(AllowOrigin::list(listed.filter_map(Result::ok)))
        }
    };
    let layer = layer
        .allow_methods([Method::POST])
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(ANSWER_HEADERS)
        .max_age(REMEMBERED);
    Some(layer)
}
