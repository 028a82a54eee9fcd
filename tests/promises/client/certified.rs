//! Clients that say who they are by a certificate: the commands and `strata::client` against daemons
//! that ask for one.

use super::*;
use crate::certificates::tls_arguments;

const PRINCIPALS: [(&str, &str); 4] = [
    ("planner", "spiffe://example.org/ada"),
    ("reader", "spiffe://example.org/bob"),
    ("auditor", "spiffe://example.org/eve"),
    ("operator", "spiffe://example.org/olga"),
];

/// A daemon that knows its callers by their certificates, and those certificates.
struct Mutual {
    dir: TempDir,
    daemon: Daemon,
    url: String,
    /// What its flags are, but for where it listens.
    arguments: Vec<String>,
}

impl Mutual {
    async fn start(client_auth: &str) -> Self {
        let dir = tempdir().expect("a directory");
        let authority = Authority::new();
        authority.server().write(dir.path());
        let write =
            |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
        write("ca.pem", authority.pem());
        let access = AccessFile::new(dir.path());
        for (role, name) in PRINCIPALS {
            access.grant_certificate(role, role, "*", name);
        }
        let known = PRINCIPALS.map(|(role, name)| (role, authority.client(name)));
        let stranger = Authority::new().client(PRINCIPALS[0].1);
        let others = [
            ("unknown", authority.client("spiffe://example.org/mallory")),
            ("expired", authority.expired_client(PRINCIPALS[0].1)),
            ("stranger", stranger),
        ];
        for (name, pair) in known.into_iter().chain(others) {
            write(&format!("{name}.crt"), &pair.certificate);
            write(&format!("{name}.key"), &pair.key);
        }
        let mut arguments = tls_arguments(dir.path());
        let ca = dir
            .path()
            .join("ca.pem")
            .to_str()
            .expect("UTF-8")
            .to_owned();
        arguments.extend(["--tls-client-ca-file".to_owned(), ca]);
        arguments.extend(["--tls-client-auth", client_auth].map(str::to_owned));
        arguments.extend(access.arguments());
        let planner = authority.client(PRINCIPALS[0].1).identity();
        let trust = authority.trusted().identity(planner);
        let daemon = Daemon::start_over_tls(&dir.path().join("data"), &trust, &arguments).await;
        let (_, port) = daemon.address().rsplit_once(':').expect("a port");
        let url = format!("https://localhost:{port}");
        Self {
            dir,
            daemon,
            url,
            arguments,
        }
    }

    /// The same daemon, killed and started again where it was.
    async fn restarted(self) -> Self {
        let address = self.daemon.address().to_owned();
        self.daemon.kill();
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let daemon = start_at(&address, &self.dir.path().join("data"), &arguments).await;
        Self { daemon, ..self }
    }

    fn path(&self, name: &str) -> String {
        self.dir
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    }

    /// Runs a command as somebody, or as nobody.
    async fn run_as(&self, who: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = stratad();
        command
            .args(arguments)
            .arg("--ca-file")
            .arg(self.path("ca.pem"));
        if let Some(who) = who {
            command
                .arg("--client-cert-file")
                .arg(self.path(&format!("{who}.crt")));
            command
                .arg("--client-key-file")
                .arg(self.path(&format!("{who}.key")));
        }
        timeout(PATIENCE, run(command)).await.expect("it ends")
    }

    /// A client, but for its certificate.
    fn builder(&self) -> Builder {
        let builder = Client::at(&self.url).expect("an address");
        builder.authority_file(self.path("ca.pem"))
    }

    fn builder_as(&self, who: &str) -> Builder {
        let file = |kind: &str| self.path(&format!("{who}.{kind}"));
        self.builder().identity_files(file("crt"), file("key"))
    }
}

#[tokio::test]
async fn every_command_says_who_calls_by_a_certificate() {
    for client_auth in ["optional", "required"] {
        let mutual = Mutual::start(client_auth).await;
        let url = mutual.url.as_str();
        let (exported, backed_up) = (mutual.path("exported"), mutual.path("backup"));
        let export = ["export", "--plan", "smallpox-india", "-o", &exported];
        for (who, arguments) in [
            ("planner", vec!["import", HISTORY, "--to", url]),
            ("reader", [&export[..], &["--from", url]].concat()),
            ("reader", vec!["explain", "smallpox-india", "--to", url]),
            ("auditor", vec!["verify", url]),
            ("operator", vec!["backup", &backed_up, "--from", url]),
        ] {
            let unknown = mutual.run_as(Some("unknown"), &arguments).await;
            refused(
                &unknown,
                &["CREDENTIALS_INVALID", "no principal has the name"],
            );
            let nobody = mutual.run_as(None, &arguments).await;
            let words = match client_auth {
                "optional" => "CREDENTIALS_REQUIRED",
                _ => "asks for a client's certificate",
            };
            refused(
                &nobody,
                &[words, "--client-cert-file and --client-key-file"],
            );
            for who in ["stranger", "expired"] {
                let began = Instant::now();
                let output = mutual.run_as(Some(who), &arguments).await;
                refused(
                    &output,
                    &["refuses the client's certificate", "tls_client_ca_file"],
                );
                // It is not tried again: nothing will be otherwise.
                assert!(began.elapsed() < Duration::from_secs(30), "{output:?}");
            }
            let output = mutual.run_as(Some(who), &arguments).await;
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        }
        let health = mutual.run_as(Some("reader"), &["health", url]).await;
        assert!(health.status.success(), "{health:?}");
        mutual.daemon.stop().await;
    }
}

#[tokio::test]
async fn half_an_identity_or_one_that_does_not_belong_together_is_said_before_anything_is_sent() {
    let mutual = Mutual::start("required").await;
    let (certificate, key) = (mutual.path("reader.crt"), mutual.path("reader.key"));
    let (other_key, none) = (mutual.path("planner.key"), mutual.path("ca.pem"));
    for (files, words) in [
        (
            vec!["--client-cert-file", &certificate],
            "--client-key-file",
        ),
        (
            vec![
                "--client-cert-file",
                &certificate,
                "--client-key-file",
                &other_key,
            ],
            "planner.key is not what it should be in PEM: it is the key of another certificate",
        ),
        (
            vec![
                "--client-cert-file",
                &certificate,
                "--client-key-file",
                &none,
            ],
            "ca.pem is not what it should be in PEM: it holds no private key",
        ),
        (
            vec!["--client-cert-file", &key, "--client-key-file", &key],
            "reader.key is not what it should be in PEM: it holds no certificate",
        ),
        (
            vec![
                "--client-cert-file",
                "/nonexistent",
                "--client-key-file",
                &key,
            ],
            "cannot read /nonexistent",
        ),
    ] {
        let output = mutual
            .run_as(None, &[&["health", &mutual.url], &files[..]].concat())
            .await;
        refused(&output, &[words]);
        assert!(!format!("{output:?}").contains("PRIVATE"), "{output:?}");
    }
}

#[tokio::test]
async fn a_client_is_who_its_certificate_says_in_what_it_records_and_across_a_restart() {
    for client_auth in ["optional", "required"] {
        let mutual = Mutual::start(client_auth).await;
        let planner = mutual
            .builder_as("planner")
            .connect()
            .await
            .expect("a connection");
        let create = request("growth", "", create_plan());
        planner.execute(create).await.expect("the plan is made");
        let reader = mutual
            .builder_as("reader")
            .connect_lazy()
            .expect("a client");
        let list = ListEventsRequest {
            plan_id: "growth".to_owned(),
            ..ListEventsRequest::default()
        };
        let events = reader.history().list_events(list).await.expect("listed");
        assert_eq!(events.into_inner().events[0].actor, "planner");
        let refused = reader
            .execute(request("growth", "", note("I only read")))
            .await;
        let refused = refused.expect_err("it may not");
        assert_eq!(
            refused.refusal().known_reason(),
            Some(ErrorReason::NotPermitted)
        );

        let mutual = mutual.restarted().await;
        let again = planner.execute(request("growth", "", note("again"))).await;
        assert_eq!(again.expect("it is recorded").revision, 2);
        mutual.daemon.stop().await;
    }
}

#[tokio::test]
async fn a_client_is_told_at_once_that_its_certificate_is_missing_or_refused() {
    for client_auth in ["optional", "required"] {
        let mutual = Mutual::start(client_auth).await;
        let nobody = mutual.builder().connect().await.map(drop);
        if client_auth == "optional" {
            nobody.expect("a connection, for a token may come");
        } else {
            let error = nobody.expect_err("it is refused");
            assert!(matches!(error, ConnectError::Unnamed { .. }), "{error}");
        }
        for who in ["stranger", "expired"] {
            let error = mutual.builder_as(who).connect().await.map(drop);
            let error = error.expect_err("it is refused");
            assert!(
                matches!(error, ConnectError::Unrecognized { .. }),
                "{error}"
            );
        }
        mutual.daemon.stop().await;
    }
}
