//! Where a daemon is: a URL with a host and a port, and nothing behind them.

use std::{fmt, net::IpAddr};

use http::Uri;

/// Where a daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    /// The same without TLS, for whoever puts in TLS of their own.
    plain_uri: Uri,
    is_secure: bool,
}

/// Why a text is no address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAddress {
    /// Another scheme.
    #[error("only http:// and https:// are spoken")]
    Scheme,
    /// It cannot be read.
    #[error("{0}")]
    Syntax(String),
    /// There is a path or a query.
    #[error("it goes on behind the port with {0:?}: leave that out")]
    Path(String),
    /// There is a name or a password: nothing sends them, and addresses are shown.
    #[error("nobody is known there by what stands before the @: leave that out")]
    Credentials,
    /// There is no port, or none that is one: it would silently be that of the web.
    #[error("it says no port, as localhost:7421 does")]
    Port,
}

impl Address {
    /// Reads a URL with a port; `http://` may be left out.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim_end_matches('/');
        let is_secure = text.starts_with("https://");
        let url = if is_secure || text.starts_with("http://") {
            text.to_owned()
        } else if text.contains("://") {
            return Err(BadAddress::Scheme);
        } else {
            format!("http://{text}")
        };
        let read = |url: &str| {
            let uri = url.parse::<Uri>();
            uri.map_err(|error| BadAddress::Syntax(error.to_string()))
        };
        let uri = read(&url)?;
        let path = uri.path_and_query().map_or("", |it| it.as_str());
        if !["", "/"].contains(&path) {
            return Err(BadAddress::Path(path.to_owned()));
        }
        if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(BadAddress::Credentials);
        }
        if uri.port_u16().is_none() {
            return Err(BadAddress::Port);
        }
        let plain_uri = if is_secure {
            read(&url.replacen("https", "http", 1))?
        } else {
            uri.clone()
        };
        Ok(Self {
            uri,
            plain_uri,
            is_secure,
        })
    }

    /// Where services are that are reached without a network.
    pub(super) fn inside() -> Self {
        let uri = Uri::from_static("http://inside:0");
        Self {
            plain_uri: uri.clone(),
            uri,
            is_secure: false,
        }
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether it is this machine, which nobody else hears.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.uri.host().unwrap_or_default())
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn plain_uri(&self) -> &Uri {
        &self.plain_uri
    }
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Its URL.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        let authority = self.uri.authority().map_or("", |it| it.as_str());
        write!(formatter, "{scheme}://{authority}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_may_be_left_out() {
        for text in [
            "localhost:7421",
            "http://localhost:7421",
            "http://localhost:7421/",
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), "http://localhost:7421");
            assert!(!address.is_secure());
        }
        let address = Address::parse("https://localhost:7421").expect("an address");
        assert_eq!(address.to_string(), "https://localhost:7421");
        assert!(address.is_secure());
        for text in ["unix:///tmp/socket", "not a url", "", "ftp://localhost:1"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_may_not_be_left_out() {
        for text in [
            "localhost",
            "7421",
            "http://localhost/",
            "https://localhost",
            "localhost:99999",
            "localhost:",
        ] {
            let error = Address::parse(text).expect_err(text);
            let words = error.to_string();
            assert!(words.contains("localhost:7421"), "{text}: {words}");
        }
    }

    #[test]
    fn what_stands_behind_the_port_is_not_passed_over() {
        for text in ["localhost:7421/metrics", "https://localhost:7421/?x=1"] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(error.contains("behind the port"), "{text}: {error}");
        }
    }

    #[test]
    fn nobody_is_named_in_an_address() {
        for text in ["me:secret@localhost:7421", "https://me@localhost:7421"] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(
                error.contains('@') && !error.contains("me"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, loopback) in [
            ("localhost:1", true),
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("localhost.example:1", false),
            ("10.0.0.1:1", false),
            ("[::2]:1", false),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.is_loopback(), loopback, "{text}");
        }
    }
}
