//! Which web pages may call: the answers to the questions that a browser asks before it lets a page
//! of one origin speak to a daemon of another.

use std::{fmt, net::IpAddr, time::Duration};

use http::{HeaderName, HeaderValue, Method, Uri, header};
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

impl Origins {
    /// Whether a page may call a daemon that does not ask who calls: one that is listed, or that this
    /// machine serves under its own name.
    pub(super) fn may_call_unasked(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let is_listed = match self {
            Self::None => false,
            Self::Any => true,
            Self::Listed(listed) => listed.iter().any(|it| it == origin),
        };
        is_listed || is_of_this_machine(origin)
    }
}

fn is_of_this_machine(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address
            .parse()
            .is_ok_and(|it: IpAddr| it.to_canonical().is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_asks_nobody_serves_pages_of_this_machine_and_those_that_are_listed() {
        let listed = Origins::Listed(vec!["https://app.example.com".to_owned()]);
        for (origin, unlisted, with_list, any) in [
            ("http://localhost:5173", true, true, true),
            ("http://127.0.0.1:7421", true, true, true),
            ("http://[::1]:7421", true, true, true),
            ("https://app.example.com", false, true, true),
            ("https://app.example.com.evil.example", false, false, true),
            ("http://evil.example:7421", false, false, true),
            ("http://localhost.evil.example", false, false, true),
            ("http://192.168.1.2", false, false, true),
            ("null", false, false, true),
        ] {
            let value = HeaderValue::from_static(origin);
            let found =
                [&Origins::None, &listed, &Origins::Any].map(|it| it.may_call_unasked(&value));
            assert_eq!(found, [unlisted, with_list, any], "{origin}");
        }
    }
}
