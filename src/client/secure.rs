//! The way to a daemon over TLS 1.3 or 1.2. With 1.3, who asks for certificates judges them only after the
//! client has ended its own part of the handshake, so the client waits for the first word from there
//! before it says anything: a certificate that is refused is then told as such, and not as a connection
//! that breaks in one way or another.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    sign::CertifiedKey,
};
use tokio::{io::AsyncBufReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::codegen::{Service, StdError};

/// HTTP/2, without which there is no gRPC.
const PROTOCOL: &[u8] = b"h2";

/// How long the first word may take of somebody who has asked for a certificate. The daemon says it at
/// once; a proxy may wait for the client's, and is then spoken to all the same.
const FIRST_WORD_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes connections over TLS.
#[derive(Debug, Clone)]
pub(super) struct Secure {
    tcp: HttpConnector,
    config: Arc<ClientConfig>,
    shown: Arc<Shown>,
}

/// What is shown to those who ask for a certificate.
#[derive(Debug)]
struct Shown {
    identity: Option<Arc<CertifiedKey>>,
    was_asked: AtomicBool,
}

impl Secure {
    /// Trusts `authorities`, and shows `identity` to those who ask for it.
    pub(super) fn new(
        authorities: Vec<CertificateDer<'static>>,
        identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        // A system's own may hold some that are not understood here.
        roots.add_parsable_certificates(authorities);
        let identity = identity
            .map(|(chain, key)| CertifiedKey::from_der(chain, key, &provider))
            .transpose()?;
        let shown = Arc::new(Shown {
            identity: identity.map(Arc::new),
            was_asked: AtomicBool::new(false),
        });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_cert_resolver(shown.clone());
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Ok(Self {
            tcp,
            config: Arc::new(config),
            shown,
        })
    }
}

impl Service<Uri> for Secure {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Self::Response, StdError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned());
        let tcp = self.tcp.call(uri);
        let (connector, shown) = (TlsConnector::from(self.config.clone()), self.shown.clone());
        Box::pin(async move {
            let tcp = tcp.await?.into_inner();
            let mut stream = connector.connect(name?, tcp).await?;
            let (_, session) = stream.get_ref();
            if session.alpn_protocol() != Some(PROTOCOL) {
                return Err("it does not speak HTTP/2 there".into());
            }
            if shown.was_asked.load(Ordering::Relaxed) {
                hear(&mut stream).await?;
            }
            Ok(TokioIo::new(stream))
        })
    }
}

/// Waits for the first word, and leaves it where it is.
async fn hear(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    match timeout(FIRST_WORD_TIMEOUT, stream.fill_buf()).await {
        Ok(Ok([])) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Err(error)) => Err(error),
        // It waits for ours.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
