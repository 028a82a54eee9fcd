//! The other end of a connection.

use std::net::SocketAddr;

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
