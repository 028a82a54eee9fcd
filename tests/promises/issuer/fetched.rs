//! Tokens of an issuer whose keys are fetched over HTTPS, from a server on this machine that a private
//! authority vouches for.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Instant,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use strata::proto::plan_service_client::PlanServiceClient;
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{Signer, arguments};
use crate::{
    certificates::Authority,
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, bearing, create_plan, request},
};

/// A server of keys over HTTPS, which says what a test wants.
struct Issuer {
    url: String,
    published: Arc<Mutex<String>>,
    serving: JoinHandle<()>,
}

impl Issuer {
    async fn start(authority: &Authority, signer: &Signer) -> Self {
        let pair = authority.server();
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a certificate")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let published = Arc::new(Mutex::new(signer.published(signer.key_name)));
        let said = published.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let body = said.lock().expect("no test failed").clone();
                // Whoever trusts nobody here leaves in the midst.
                answer(&acceptor, stream, &body).await.ok();
            }
        });
        Self {
            url: format!("https://localhost:{port}/keys"),
            published,
            serving,
        }
    }

    /// From now on this is its key, and no other.
    fn changes_to(&self, signer: &Signer) {
        *self.published.lock().expect("no test failed") = signer.published(signer.key_name);
    }
}

async fn answer(acceptor: &TlsAcceptor, stream: TcpStream, body: &str) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = [0; 4_096];
    let read = stream.read(&mut request).await?;
    assert!(request[..read].starts_with(b"GET /keys "));
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((head + body).as_bytes()).await?;
    stream.shutdown().await
}

async fn daemon_of(issuer: &Issuer, data_dir: &Path, ca_file: Option<&Path>) -> Daemon {
    let arguments = arguments(&issuer.url);
    let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if let Some(ca_file) = ca_file {
        arguments.extend(["--jwt-keys-ca-file", ca_file.to_str().expect("UTF-8")]);
    }
    Daemon::start_with(data_dir, &arguments).await
}

/// Whether a plan may be made by a token.
async fn lets_in(daemon: &Daemon, token: &str, plan_id: &str) -> bool {
    let mut plans = PlanServiceClient::with_interceptor(daemon.channel(), bearing(token));
    let answer = plans.execute(request(plan_id, "made", create_plan())).await;
    answer.is_ok()
}

#[tokio::test]
async fn keys_are_fetched_over_https_and_those_of_a_new_key_are_let_in_without_a_restart() {
    let (authority, dir) = (Authority::new(), tempdir().expect("a directory"));
    let ca_file = dir.path().join("ca.pem");
    fs::write(&ca_file, authority.pem()).expect("written");
    let (first, second) = (Signer::first(), Signer::second());
    let issuer = Issuer::start(&authority, &first).await;
    let daemon = daemon_of(&issuer, &dir.path().join("data"), Some(&ca_file)).await;
    assert!(
        lets_in(&daemon, &first.token_of_its_own(), "first").await,
        "{}",
        daemon.log()
    );
    assert!(!lets_in(&daemon, &second.token_of_its_own(), "too-early").await);

    issuer.changes_to(&second);
    // Keys that are not known are asked for at most every ten seconds.
    let began = Instant::now();
    while !lets_in(&daemon, &second.token_of_its_own(), "second").await {
        assert!(began.elapsed() < PATIENCE, "{}", daemon.log());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    assert!(!lets_in(&daemon, &first.token_of_its_own(), "too-late").await);
    daemon.stop().await;
    issuer.serving.abort();
}

#[tokio::test]
async fn keys_from_whom_no_trusted_authority_vouches_for_let_nobody_in() {
    let (authority, dir) = (Authority::new(), tempdir().expect("a directory"));
    let other = dir.path().join("ca.pem");
    fs::write(&other, Authority::new().pem()).expect("written");
    let issuer = Issuer::start(&authority, &Signer::first()).await;
    for (name, ca_file) in [("one", None), ("two", Some(other.as_path()))] {
        let daemon = daemon_of(&issuer, &dir.path().join(name), ca_file).await;
        assert!(!lets_in(&daemon, &Signer::first().token_of_its_own(), "first").await);
        let log = daemon.stop().await;
        assert!(log.contains("cannot fetch the keys"), "{log}");
        assert!(log.contains("invalid peer certificate"), "{log}");
    }
    issuer.serving.abort();
}
