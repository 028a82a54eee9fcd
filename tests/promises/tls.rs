//! Over what the API is served: TLS with certificates that are renewed while it runs, clients with
//! certificates of their own, and no reach from elsewhere without protection.

use std::{
    fs::{self, Permissions, rename},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use strata::proto::{
    GetStatusRequest, WatchRequest, WatchResponse, admin_service_client::AdminServiceClient,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient,
};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tonic::{
    Code, Streaming,
    transport::{Channel, ClientTlsConfig},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    certificates::{Authority, Pair, SERVER_NAME, tls_arguments, write_secret},
    daemon::{AccessFile, Daemon, PATIENCE, POLL_INTERVAL, create_plan, request},
    language::refused,
    metrics::free_address,
};

const ANA: &str = "spiffe://example.org/ana";

/// A daemon over TLS with the certificate of an authority.
async fn over_tls(authority: &Authority) -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    authority.server().write(dir.path());
    let arguments = tls_arguments(dir.path());
    let data = dir.path().join("data");
    let daemon = Daemon::start_over_tls(&data, &authority.trusted(), &arguments).await;
    (dir, daemon)
}

/// A daemon that asks clients for certificates of an authority, and knows `ANA` by hers.
async fn mutual(authority: &Authority, client_auth: &str) -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    authority.server().write(dir.path());
    let ca = dir.path().join("ca.crt");
    fs::write(&ca, authority.pem()).expect("a file");
    let access = AccessFile::new(dir.path());
    access.grant_certificate("ana", "planner", "*", ANA);
    let mut arguments = tls_arguments(dir.path());
    let ca = ca.to_str().expect("UTF-8");
    arguments
        .extend(["--tls-client-ca-file", ca, "--tls-client-auth", client_auth].map(Into::into));
    arguments.extend(access.arguments());
    let data = dir.path().join("data");
    let ana = authority
        .trusted()
        .identity(authority.client(ANA).identity());
    let daemon = Daemon::start_over_tls(&data, &ana, &arguments).await;
    (dir, daemon)
}

/// Whether calls go through: a handshake alone tells little, for a client learns that its certificate
/// was refused from the first thing it reads.
async fn answers(daemon: &Daemon, tls: &ClientTlsConfig) -> bool {
    let Ok(channel) = daemon.connect(tls).await else {
        return false;
    };
    let asked = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    asked.is_ok()
}

async fn until_answered(daemon: &Daemon, tls: &ClientTlsConfig) {
    let answered = async {
        while !answers(daemon, tls).await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    let answered = timeout(PATIENCE, answered).await;
    assert!(answered.is_ok(), "it said:\n{}", daemon.log());
}

#[tokio::test]
async fn calls_go_over_tls_and_nothing_else_is_served_there() {
    let authority = Authority::new();
    let (_dir, daemon) = over_tls(&authority).await;
    let answer = daemon
        .plans()
        .execute(request("growth", "one", create_plan()))
        .await;
    assert_eq!(answer.expect("recorded").into_inner().revision, 1);
    assert!(
        !answers(&daemon, &Authority::new().trusted()).await,
        "another authority's"
    );

    let plain = Channel::from_shared(format!("http://{}", daemon.address())).expect("a URL");
    let plain = plain.connect_lazy();
    let asked = HealthClient::new(plain)
        .check(HealthCheckRequest::default())
        .await;
    assert!(asked.is_err(), "served without TLS");
}

/// Whether a second connection of a client took up the session of its first.
async fn is_resumed(daemon: &Daemon, connector: &TlsConnector) -> bool {
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let socket = TcpStream::connect(daemon.address()).await;
        let name = SERVER_NAME.try_into().expect("a name");
        let tls = connector.connect(name, socket.expect("connected")).await;
        let mut tls = tls.expect("a handshake");
        tls.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .expect("sent");
        // What sessions are taken up by has come before any answer.
        tls.read_u8().await.expect("an answer");
        kinds.push(tls.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds[0], Some(HandshakeKind::Full));
    kinds[1] == Some(HandshakeKind::Resumed)
}

/// A client that shows a certificate, of one version of TLS.
fn showing(
    authority: &Authority,
    pair: &Pair,
    version: &'static SupportedProtocolVersion,
) -> TlsConnector {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let mut roots = RootCertStore::empty();
    roots.add(certificate(authority.pem())).expect("trusted");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(&pair.certificate)], key);
    TlsConnector::from(Arc::new(config.expect("a pair")))
}

#[tokio::test]
async fn the_certificate_of_a_client_is_looked_at_anew_for_each_connection() {
    let authority = Authority::new();
    let (_dir, plain) = over_tls(&authority).await;
    let (_other_dir, asking) = mutual(&authority, "required").await;
    let ana = authority.client(ANA);
    for version in [&TLS12, &TLS13] {
        let connector = showing(&authority, &ana, version);
        assert!(
            is_resumed(&plain, &connector).await,
            "nobody is asked for one"
        );
        let connector = showing(&authority, &ana, version);
        assert!(!is_resumed(&asking, &connector).await, "{version:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_never_ended_holds_up_nobody() {
    let authority = Authority::new();
    let (_dir, daemon) = over_tls(&authority).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut socket = TcpStream::connect(daemon.address())
            .await
            .expect("connected");
        // The first byte of a handshake.
        socket.write_all(&[22]).await.expect("sent");
        held.push(socket);
    }
    assert!(answers(&daemon, &authority.trusted()).await);
}

#[tokio::test]
async fn a_certificate_that_is_swapped_on_disk_is_served_to_new_connections_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let (dir, daemon) = over_tls(&old).await;
    let open = daemon.connect(&old.trusted()).await.expect("connected");
    assert!(!answers(&daemon, &new.trusted()).await);

    new.server().write(dir.path());
    until_answered(&daemon, &new.trusted()).await;
    assert!(
        !answers(&daemon, &old.trusted()).await,
        "the old one is gone"
    );
    let asked = HealthClient::new(open)
        .check(HealthCheckRequest::default())
        .await;
    assert!(
        asked.is_ok(),
        "a connection that was open goes on: {asked:?}"
    );
}

#[tokio::test]
async fn a_certificate_is_swapped_through_links_as_a_cluster_does_it() {
    let (old, new) = (Authority::new(), Authority::new());
    let dir = tempdir().expect("a directory");
    let versions = [("one", &old), ("two", &new)];
    for (name, authority) in versions {
        let version = dir.path().join(name);
        fs::create_dir(&version).expect("a directory");
        authority.server().write(&version);
    }
    symlink("one", dir.path().join("..data")).expect("a link");
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), dir.path().join(name)).expect("a link");
    }
    let data = dir.path().join("data");
    let arguments = tls_arguments(dir.path());
    let daemon = Daemon::start_over_tls(&data, &old.trusted(), &arguments).await;

    symlink("two", dir.path().join("..next")).expect("a link");
    rename(dir.path().join("..next"), dir.path().join("..data")).expect("renamed");
    until_answered(&daemon, &new.trusted()).await;
}

#[tokio::test]
async fn what_is_not_whole_is_logged_once_and_the_old_certificate_stays() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (dir, daemon) = over_tls(&authority).await;
    let good = fs::read(dir.path().join("tls.crt")).expect("a file");
    let staying = "the old certificate stays in use";

    // A certificate without its key, half a file, and none.
    fs::write(dir.path().join("tls.crt"), other.server().certificate).expect("a file");
    daemon.until_it_says(staying).await;
    assert!(answers(&daemon, &authority.trusted()).await);
    fs::write(dir.path().join("tls.crt"), &good[..good.len() / 2]).expect("a file");
    daemon.until_it_says("holds no certificate").await;
    fs::remove_file(dir.path().join("tls.crt")).expect("removed");
    daemon.until_it_says("cannot read").await;
    assert!(answers(&daemon, &authority.trusted()).await);

    let renewed = Authority::new();
    renewed.server().write(dir.path());
    until_answered(&daemon, &renewed.trusted()).await;
    let log = daemon.stop().await;
    assert_eq!(log.matches(staying).count(), 3, "{log}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its owner may");
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_at_the_start_with_what_to_do() {
    let dir = tempdir().expect("a directory");
    Authority::new().server().write(dir.path());
    let key = dir.path().join("tls.key");
    let data = dir.path().join("data");
    let tls = tls_arguments(dir.path());
    let tls: Vec<_> = tls.iter().map(String::as_str).collect();
    for mode in [0o604, 0o644, 0o660] {
        set_mode(&key, mode);
        let ended = ended(&data, &tls).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{mode:o}: {said}");
        for word in ["tls.key", "0600", "0640", &format!("mode {mode:04o}")] {
            assert!(said.contains(word), "{mode:o}: {said}");
        }
    }
}

#[tokio::test]
async fn a_new_key_that_others_can_read_is_not_taken_until_they_cannot() {
    let (old, new) = (Authority::new(), Authority::new());
    let (dir, daemon) = over_tls(&old).await;
    let key = dir.path().join("tls.key");
    set_mode(&key, 0o644);
    daemon
        .until_it_says("a private key that others can read")
        .await;
    new.server().write(dir.path());
    set_mode(&key, 0o644);
    assert!(answers(&daemon, &old.trusted()).await, "the old one serves");
    set_mode(&key, 0o600);
    until_answered(&daemon, &new.trusted()).await;
}

#[tokio::test]
async fn a_client_is_the_principal_that_its_certificate_names() {
    for client_auth in ["optional", "required"] {
        let authority = Authority::new();
        let (_dir, daemon) = mutual(&authority, client_auth).await;
        let answer = daemon
            .plans()
            .execute(request("growth", "one", create_plan()))
            .await;
        assert_eq!(answer.expect("recorded").into_inner().revision, 1);

        // The handshake knows this one, the access file does not.
        let bob = authority.client("spiffe://example.org/bob").identity();
        let bob = daemon.connect(&authority.trusted().identity(bob)).await;
        let mut bob = PlanServiceClient::new(bob.expect("connected"));
        let answer = bob.execute(request("growth", "two", create_plan())).await;
        let refusal = refused(answer);
        assert_eq!(
            refusal.kind(),
            (Code::Unauthenticated, "CREDENTIALS_INVALID")
        );
    }
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_or_from_the_past_is_refused() {
    for client_auth in ["optional", "required"] {
        let authority = Authority::new();
        let (_dir, daemon) = mutual(&authority, client_auth).await;
        let trusted = authority.trusted();
        let stranger = Authority::new().client(ANA).identity();
        assert!(!answers(&daemon, &trusted.clone().identity(stranger)).await);
        let expired = authority.expired_client(ANA).identity();
        assert!(!answers(&daemon, &trusted.clone().identity(expired)).await);
        let known = authority.client(ANA).identity();
        assert!(answers(&daemon, &trusted.identity(known)).await);
    }
}

/// A watch of all plans over a connection of its own.
async fn watch(daemon: &Daemon, tls: &ClientTlsConfig) -> Streaming<WatchResponse> {
    let channel = daemon.connect(tls).await.expect("connected");
    let mut history = HistoryServiceClient::new(channel);
    let watching = history.watch(WatchRequest::default()).await;
    watching.expect("it may watch").into_inner()
}

/// Until nothing more can come.
async fn until_cut(watch: &mut Streaming<WatchResponse>) {
    let ended = async { while let Ok(Some(_)) = watch.message().await {} };
    assert!(timeout(PATIENCE, ended).await.is_ok(), "it still watches");
}

#[tokio::test]
async fn a_connection_ends_with_the_client_certificate_that_opened_it() {
    let authority = Authority::new();
    let (_dir, daemon) = mutual(&authority, "required").await;
    let trusted = authority.trusted();
    let soon = authority
        .client_for(ANA, Duration::from_secs(15))
        .identity();
    let soon = trusted.clone().identity(soon);
    let mut ends = watch(&daemon, &soon).await;
    let later = trusted.identity(authority.client(ANA).identity());
    let mut stays = watch(&daemon, &later).await;
    until_cut(&mut ends).await;
    assert!(!answers(&daemon, &soon).await, "it has expired");
    let next = timeout(POLL_INTERVAL, async {
        while stays.message().await.expect("it goes on").is_some() {}
    });
    assert!(next.await.is_err(), "the other watch ended as well");
}

#[tokio::test]
async fn a_connection_ends_when_the_authority_of_its_client_is_taken_back() {
    let (old, new) = (Authority::new(), Authority::new());
    let (dir, daemon) = mutual(&old, "required").await;
    let of = |authority: &Authority| {
        let client = authority.client(ANA).identity();
        old.trusted().identity(client)
    };
    let mut of_old = watch(&daemon, &of(&old)).await;
    let both = format!("{}{}", old.pem(), new.pem());
    fs::write(dir.path().join("ca.crt"), both).expect("a file");
    until_cut(&mut of_old).await;
    // Whoever is still believed comes again.
    let mut of_old = watch(&daemon, &of(&old)).await;
    until_answered(&daemon, &of(&new)).await;

    fs::write(dir.path().join("ca.crt"), new.pem()).expect("a file");
    until_cut(&mut of_old).await;
    assert!(!answers(&daemon, &of(&old)).await);
    assert!(answers(&daemon, &of(&new)).await);
}

#[tokio::test]
async fn a_client_without_a_certificate_connects_only_where_it_is_optional() {
    let authority = Authority::new();
    let (_dir, daemon) = mutual(&authority, "optional").await;
    let channel = daemon
        .connect(&authority.trusted())
        .await
        .expect("connected");
    let answer = AdminServiceClient::new(channel)
        .get_status(GetStatusRequest {})
        .await;
    assert_eq!(
        refused(answer).kind(),
        (Code::Unauthenticated, "CREDENTIALS_REQUIRED")
    );
    let (_dir, daemon) = mutual(&authority, "required").await;
    assert!(!answers(&daemon, &authority.trusted()).await);
}

/// What a daemon says that does not start.
async fn ended(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command
        .args(["serve", "--data-dir"])
        .arg(dir)
        .args(arguments);
    command.stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output().expect("stratad runs"));
    timeout(PATIENCE, ended)
        .await
        .expect("it ends")
        .expect("waited")
}

#[tokio::test]
async fn from_elsewhere_nobody_is_served_without_protection_unless_told_so_in_so_many_words() {
    let dir = tempdir().expect("a directory");
    Authority::new().server().write(dir.path());
    let data = dir.path().join("data");
    let access = AccessFile::new(dir.path());
    let (tls, access) = (tls_arguments(dir.path()), access.arguments());
    let words = ["tls_cert_file", "access_file"];
    for (given, missing) in [
        (vec![], vec![words[0], words[1]]),
        (tls.clone(), vec![words[1]]),
        (access.clone(), vec![words[0]]),
        (vec!["--insecure-without-tls".to_owned()], vec![words[1]]),
        (
            vec!["--insecure-without-authentication".to_owned()],
            vec![words[0]],
        ),
    ] {
        let given: Vec<_> = given.iter().map(String::as_str).collect();
        let ended = ended(&data, &[&["--listen", "0.0.0.0:0"], &given[..]].concat()).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{given:?}: {said}");
        for word in words {
            let is_missing = missing.contains(&word);
            assert_eq!(said.contains(word), is_missing, "{given:?}: {said}");
        }
        for way in ["insecure_without", "loopback"] {
            assert!(said.contains(way), "{given:?}: {said}");
        }
        assert!(!data.exists(), "nothing was begun");
    }
}

#[tokio::test]
async fn from_elsewhere_nobody_gets_the_metrics_unless_told_so_in_so_many_words() {
    let dir = tempdir().expect("a directory");
    let data = dir.path().join("data");
    for address in ["0.0.0.0:7422", "[::]:7422", "203.0.113.7:7422"] {
        let metrics = ["--listen", "127.0.0.1:0", "--metrics-listen", address];
        let ended = ended(&data, &metrics).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(64), "{address}: {said}");
        for word in ["metrics_listen", "insecure_metrics_for_others", "loopback"] {
            assert!(said.contains(word), "{address}: {said}");
        }
        assert!(!data.exists(), "nothing was begun");
    }
    let mut address = free_address();
    address.set_ip([0, 0, 0, 0].into());
    let address = address.to_string();
    let told = [
        "--metrics-listen",
        &address,
        "--insecure-metrics-for-others",
    ];
    Daemon::start_with(&data, &told).await.stop().await;
}

#[tokio::test]
async fn half_an_identity_or_a_file_that_is_none_is_said_at_the_start() {
    let dir = tempdir().expect("a directory");
    Authority::new().server().write(dir.path());
    let data = dir.path().join("data");
    let tls = tls_arguments(dir.path());
    let (cert, key) = (tls[1].as_str(), tls[3].as_str());
    let secret_cert = dir.path().join("secret.crt");
    write_secret(&secret_cert, &fs::read_to_string(cert).expect("a file"));
    let secret_cert = secret_cert.to_str().expect("UTF-8");
    for (arguments, expected) in [
        (vec!["--tls-cert-file", cert], "tls_key_file"),
        (vec!["--tls-key-file", key], "tls_cert_file"),
        (vec!["--tls-client-ca-file", cert], "tls_cert_file"),
        (
            vec![
                "--tls-cert-file",
                cert,
                "--tls-key-file",
                key,
                "--tls-client-auth",
                "required",
            ],
            "tls_client_ca_file",
        ),
        (
            vec!["--tls-cert-file", key, "--tls-key-file", key],
            "holds no certificate",
        ),
        (
            vec!["--tls-cert-file", cert, "--tls-key-file", secret_cert],
            "holds no private key",
        ),
        (
            vec![
                "--tls-cert-file",
                "/nonexistent/tls.crt",
                "--tls-key-file",
                key,
            ],
            "cannot read",
        ),
    ] {
        let ended = ended(
            &data,
            &[&["--listen", "127.0.0.1:0"], &arguments[..]].concat(),
        )
        .await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            !ended.status.success() && said.contains(expected),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("PRIVATE"), "{said}");
    }
}
