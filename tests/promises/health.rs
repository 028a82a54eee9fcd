//! `stratad health`, with which a daemon is probed by whoever runs it.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Output},
    time::Instant,
};

use tempfile::tempdir;
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::ServingStatus;

use crate::{
    certificates::{Authority, tls_arguments},
    daemon::{Daemon, PATIENCE, serve_arguments},
};

/// Asks for the health of a daemon.
fn health(address: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stratad"))
        .args(["health", address])
        .args(arguments)
        .output()
        .expect("stratad runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn a_daemon_that_serves_is_well_as_a_whole_and_by_service() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for service in ["", "strata.v1.PlanService", "strata.v1.HistoryService"] {
        let answer = health(daemon.address(), &["--service", service]);
        assert!(answer.status.success(), "{service}: {}", said(&answer));
        assert_eq!(said(&answer), "SERVING\n");
    }
    let answer = health(daemon.address(), &["--service", "strata.v1.Plans"]);
    assert_eq!(answer.status.code(), Some(1));
    let words = said(&answer);
    assert!(words.contains("no service \"strata.v1.Plans\""), "{words}");
    let listing = format!("`grpcurl -plaintext {} list`", daemon.address());
    assert!(words.contains(&listing), "{words}");
    daemon.stop().await;
}

#[tokio::test]
async fn who_asks_a_daemon_over_tls_in_the_wrong_way_is_told_what_helps() {
    let dir = tempdir().expect("a directory");
    let authority = Authority::new();
    authority.server().write(dir.path());
    let file = |name: &str, authority: &Authority| {
        let path = dir.path().join(name);
        fs::write(&path, authority.pem()).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (right, wrong) = (
        file("ca.crt", &authority),
        file("other.crt", &Authority::new()),
    );
    let data = dir.path().join("data");
    let arguments = tls_arguments(dir.path());
    let daemon = Daemon::start_over_tls(&data, &authority.trusted(), &arguments).await;
    let address = daemon.address();
    let told = |url: &str, arguments: &[&str]| {
        let answer = health(url, arguments);
        assert_eq!(answer.status.code(), Some(1));
        said(&answer)
    };

    let in_the_clear = told(address, &[]);
    let advice = format!("if it serves TLS, say https://{address}");
    assert!(in_the_clear.contains(&advice), "{in_the_clear}");

    let port = address.rsplit(':').next().expect("a port");
    let url = format!("https://localhost:{port}");
    let unknown_issuer = told(&url, &["--ca-file", &wrong]);
    assert!(unknown_issuer.contains("say --ca-file"), "{unknown_issuer}");
    let other_name = told(&format!("https://{address}"), &["--ca-file", &right]);
    assert!(other_name.contains("cannot trust"), "{other_name}");
    assert!(!other_name.contains("say --ca-file"), "{other_name}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_says_it_does_not_serve_is_not_well() {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let answer = health(&address, &[]);
    assert_eq!(answer.status.code(), Some(1));
    let words = said(&answer);
    assert!(words.contains("NOT_SERVING"), "{words}");
}

#[tokio::test]
async fn where_nobody_serves_the_status_is_1_and_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let address = free.expect("a free port").to_string();
    let answer = health(&address, &[]);
    assert_eq!(answer.status.code(), Some(1));
    let words = said(&answer);
    assert!(words.contains("cannot connect"), "{words}");
}

#[test]
fn a_daemon_that_hangs_is_given_up_in_time() {
    // Takes connections into its queue and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let began = Instant::now();
    let answer = health(&address, &["--timeout", "1"]);
    assert_eq!(answer.status.code(), Some(1));
    let words = said(&answer);
    assert!(words.contains("within 1 s"), "{words}");
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_daemon_that_stands_still_is_not_well() {
    let dir = tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command.args(serve_arguments(dir.path()));
    let daemon = Daemon::spawn(command).await;
    daemon.wait_until_serving().await;
    daemon.signal("STOP");
    let answer = health(daemon.address(), &["--timeout", "1"]);
    assert_eq!(answer.status.code(), Some(1), "{}", said(&answer));
    daemon.signal("CONT");
    let answer = health(daemon.address(), &[]);
    assert!(answer.status.success(), "{}", said(&answer));
    daemon.stop().await;
}
