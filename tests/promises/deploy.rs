//! What those who run the daemon rely on: what it says to systemd, and that the files of `deploy/`
//! are right.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::tempdir;

use crate::{
    certificates::write_secret,
    daemon::{Daemon, PATIENCE, create_plan, request, serve_arguments},
    language::execute,
    metrics::free_address,
};

/// Stands where systemd does: what the daemon says of itself comes here.
struct Manager {
    socket: UnixDatagram,
    /// Lines that have come and were not asked for yet.
    heard: VecDeque<String>,
}

impl Manager {
    /// Listens below `dir`.
    fn listen(dir: &Path) -> Self {
        let socket = UnixDatagram::bind(dir.join("notify")).expect("a socket");
        let patience = socket.set_read_timeout(Some(Duration::from_millis(50)));
        patience.expect("a time limit");
        Self {
            socket,
            heard: VecDeque::new(),
        }
    }

    /// The command that starts a daemon as systemd would, with a watchdog.
    fn command(&self, data_dir: &Path) -> Command {
        let address = self.socket.local_addr().expect("an address");
        let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
        command
            .args(serve_arguments(data_dir))
            .env("NOTIFY_SOCKET", address.as_pathname().expect("a path"))
            .env("WATCHDOG_USEC", "30000000");
        command
    }

    /// The next line, if one comes soon.
    fn line(&mut self) -> Option<String> {
        if self.heard.is_empty() {
            let mut bytes = [0; 4096];
            let length = self.socket.recv(&mut bytes).ok()?;
            let lines = String::from_utf8_lossy(&bytes[..length]);
            self.heard.extend(lines.lines().map(str::to_owned));
        }
        self.heard.pop_front()
    }

    /// All lines up to one that begins so, that one included.
    fn until(&mut self, beginning: &str) -> Vec<String> {
        let since = Instant::now();
        let mut lines = Vec::new();
        while since.elapsed() < PATIENCE {
            let Some(line) = self.line() else { continue };
            let is_it = line.starts_with(beginning);
            lines.push(line);
            if is_it {
                return lines;
            }
        }
        panic!("never said {beginning}, but {lines:?}");
    }
}

fn says(lines: &[String], beginning: &str) -> bool {
    lines.iter().any(|line| line.starts_with(beginning))
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_that_it_starts_serves_lives_and_stops() {
    let dir = tempdir().expect("a directory");
    let mut manager = Manager::listen(dir.path());
    let daemon = Daemon::spawn(manager.command(&dir.path().join("data"))).await;

    let before = manager.until("READY=1");
    assert!(says(&before, "EXTEND_TIMEOUT_USEC="), "{before:?}");
    assert!(says(&before, "STATUS=opening"), "{before:?}");
    assert!(!says(&before, "WATCHDOG=1"), "{before:?}");
    // READY is the truth: a call is answered at once.
    execute(&daemon, request("growth", "1", create_plan())).await;

    assert!(says(&manager.until("WATCHDOG=1"), "STATUS=serving"));
    manager.until("WATCHDOG=1");

    daemon.signal("TERM");
    let until_stop = manager.until("STOPPING=1");
    assert!(!says(&until_stop, "READY=1"), "{until_stop:?}");
    let (status, log) = daemon.ended().await;
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_not_told_that_a_daemon_is_ready_that_does_not_start() {
    let dir = tempdir().expect("a directory");
    let data_dir = dir.path().join("data");
    let running = Daemon::start(&data_dir).await;
    let mut manager = Manager::listen(dir.path());
    let second = Daemon::spawn(manager.command(&data_dir)).await;
    let ended = second.serving_or_ended().await;
    assert!(ended.is_err(), "the directory is in use");
    while let Some(line) = manager.line() {
        assert_ne!(line, "READY=1");
        assert_ne!(line, "WATCHDOG=1");
    }
    running.stop().await;
}

/// A file of `deploy/`.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(path).expect("it is shipped")
}

/// The configuration in the manifest for Kubernetes: the lines that are set in below its name.
fn configuration_of_the_pods() -> String {
    let manifest = shipped("kubernetes/configmap.yaml");
    let (_, block) = manifest
        .split_once("  strata.toml: |\n")
        .expect("it is there");
    let lines: Option<Vec<_>> = block.lines().map(|it| it.strip_prefix("    ")).collect();
    lines.expect("it is the last in its file").join("\n")
}

/// Starts a daemon by a configuration as it is shipped, but for the places of files and ports, which
/// variables say: `paths` are those that it names.
async fn start_by(configuration: &str, paths: &[&str]) -> (Daemon, tempfile::TempDir) {
    let dir = tempdir().expect("a directory");
    for path in paths {
        assert!(configuration.contains(path), "it names {path}");
    }
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let names = vec!["localhost".to_owned()];
    // Where they are for others, it is by the word of the file.
    let mut metrics = free_address();
    if configuration.contains("metrics_listen = \"0.0.0.0:") {
        metrics.set_ip([0, 0, 0, 0].into());
    }
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a pair");
    let key = dir.path().join("tls.key");
    write_secret(&key, &signing_key.serialize_pem());
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command
        .args(["serve", "--config"])
        .arg(file("strata.toml", configuration))
        .env("STRATA_LISTEN", "0.0.0.0:0")
        .env("STRATA_DATA_DIR", dir.path().join("data"))
        .env("STRATA_METRICS_LISTEN", metrics.to_string())
        .env("STRATA_TLS_CERT_FILE", file("tls.crt", &cert.pem()))
        .env("STRATA_TLS_KEY_FILE", key)
        .env("STRATA_ACCESS_FILE", file("access.toml", ""));
    (Daemon::spawn(command).await, dir)
}

#[tokio::test]
async fn the_configurations_that_are_shipped_for_callers_from_elsewhere_serve() {
    let keys = ["tls_cert_file = ", "tls_key_file = ", "access_file = "];
    for configuration in [shipped("production.toml"), configuration_of_the_pods()] {
        let (daemon, dir) = start_by(&configuration, &keys).await;
        let port = daemon.address().rsplit(':').next().expect("a port");
        let began = Instant::now();
        loop {
            let mut health = Command::new(env!("CARGO_BIN_EXE_stratad"));
            health
                .args(["health", &format!("https://localhost:{port}"), "--ca-file"])
                .arg(dir.path().join("tls.crt"));
            let answer = health.output().expect("stratad runs");
            if answer.status.success() {
                break;
            }
            let said = String::from_utf8_lossy(&answer.stderr);
            assert!(began.elapsed() < PATIENCE, "{said}{}", daemon.log());
        }
        daemon.stop().await;
    }
}

#[test]
fn what_to_do_about_each_alert_is_written() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operate.md");
    let page = fs::read_to_string(page).expect("the page");
    let rules = shipped("alerts.yaml");
    let alerts: BTreeSet<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    let written: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    assert_eq!(alerts, written);
}
