//! The other end of a connection.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use rustls::ServerConnection;

use crate::access::credentials::CertificateNames;

/// The other end of a connection; in the extensions of each of its calls, as `Arc<Peer>`.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether what is said is kept from others.
    pub is_encrypted: bool,
    /// The names in its certificate, if it showed one; the handshake has verified it.
    pub certificate: Option<CertificateNames>,
}

/// An address as it is counted: of IPv6 the network of 64 bits, for who has one address of it has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl Network {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(formatter, "{address}"),
            IpAddr::V6(network) => write!(formatter, "{network}/64"),
        }
    }
}

impl Peer {
    /// One without TLS.
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            is_encrypted: false,
            certificate: None,
        }
    }

    /// One after its handshake.
    pub(super) fn encrypted(address: SocketAddr, connection: &ServerConnection) -> Self {
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        Self {
            address,
            is_encrypted: true,
            // Without names it is a certificate of nobody, as if none had been shown.
            certificate: shown.and_then(|it| CertificateNames::from_der(it).ok()),
        }
    }
}
