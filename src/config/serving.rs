//! How the API is served: over what, to which pages, and how the daemon refuses to be reached from
//! elsewhere without protection.

use std::path::PathBuf;

use super::{
    Config, Problem,
    keys::{Form, Key},
    value,
};
use crate::gateway::{
    cors::Origins,
    tls::{ClientAuth, TlsFiles},
};

/// How the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The certificate of the daemon; nothing: no TLS.
    pub tls_cert_file: Option<PathBuf>,
    /// Its key.
    pub tls_key_file: Option<PathBuf>,
    /// The authorities of client certificates; nothing: clients are not asked for one.
    pub tls_client_ca_file: Option<PathBuf>,
    /// Whether clients need one.
    pub tls_client_auth: ClientAuth,
    /// The pages of which origins may call.
    pub cors_origins: Origins,
    /// Whether others may be served without TLS.
    pub insecure_without_tls: bool,
    /// Whether others may be served without asking who they are.
    pub insecure_without_authentication: bool,
    /// Whether others may fetch the metrics.
    pub insecure_metrics_for_others: bool,
    /// How many connections there may be at once.
    pub max_connections: usize,
    /// How many of them one address may have; 0: any number.
    pub max_connections_per_address: usize,
    /// How long a connection may stand without a call.
    pub idle_seconds: u64,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            tls_cert_file: None,
            tls_key_file: None,
            tls_client_ca_file: None,
            tls_client_auth: ClientAuth::default(),
            cors_origins: Origins::default(),
            insecure_without_tls: false,
            insecure_without_authentication: false,
            insecure_metrics_for_others: false,
            max_connections: 1024,
            max_connections_per_address: 512,
            idle_seconds: 300,
        }
    }
}

impl Serving {
    /// Where the identity of the daemon is kept; nothing: it has none, and no TLS.
    #[must_use]
    pub fn tls_files(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: self.tls_cert_file.clone()?,
            key: self.tls_key_file.clone()?,
            client_ca: self.tls_client_ca_file.clone(),
            client_auth: self.tls_client_auth,
        })
    }
}

/// What is missing beside what was given: half of an identity, and protection of what others reach.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let serving = &config.serving;
    let mut missing = |origin: &str, wrong: String, expected: &str| {
        problems.push(Problem {
            origin: origin.to_owned(),
            wrong,
            expected: expected.to_owned(),
        });
    };
    match (&serving.tls_cert_file, &serving.tls_key_file) {
        (Some(_), None) => missing(
            "tls_key_file",
            "tls_cert_file is set, and this is not".to_owned(),
            "the file of the certificate's private key",
        ),
        (None, Some(_)) => missing(
            "tls_cert_file",
            "tls_key_file is set, and this is not".to_owned(),
            "the file of the key's certificate",
        ),
        (None, None) if serving.tls_client_ca_file.is_some() => missing(
            "tls_client_ca_file",
            "it is set, and tls_cert_file is not".to_owned(),
            "tls_cert_file and tls_key_file beside it, for clients are asked in TLS only",
        ),
        _ => {}
    }
    if serving.tls_client_auth == ClientAuth::Required && serving.tls_client_ca_file.is_none() {
        missing(
            "tls_client_auth",
            "it is required, and tls_client_ca_file is not set".to_owned(),
            "tls_client_ca_file beside it, with the authorities of the clients",
        );
    }
    let metrics = config.metrics_listen;
    if let Some(metrics) = metrics.filter(|it| !it.ip().to_canonical().is_loopback())
        && !serving.insecure_metrics_for_others
    {
        missing(
            "metrics_listen",
            format!(
                "others can reach {metrics}, and whoever does is given the metrics, without TLS"
            ),
            "a loopback address, or insecure_metrics_for_others = true where something else keeps \
             strangers away",
        );
    }
    let listen = config.listen;
    if listen.ip().to_canonical().is_loopback() {
        return;
    }
    if serving.tls_files().is_none() && !serving.insecure_without_tls {
        missing(
            "listen",
            format!(
                "others can reach {listen}, and without TLS what is said can be read and changed \
                     on its way"
            ),
            "tls_cert_file and tls_key_file, or insecure_without_tls = true where something else \
             encrypts, or a loopback address",
        );
    }
    if !config.access.is_required() && !serving.insecure_without_authentication {
        missing(
            "listen",
            format!("others can reach {listen}, and whoever does may do everything"),
            "access_file or jwt_keys, or insecure_without_authentication = true where something else \
             keeps strangers away, or a loopback address",
        );
    }
}

/// Its keys.
pub(super) static KEYS: [Key; 11] = [
    Key {
        name: "tls_cert_file",
        flag: "tls-cert-file",
        value_name: "FILE",
        form: Form::Text,
        meaning: "The certificate of the daemon, in PEM, with those behind it that lead to an \
                  authority. It, its key and tls_client_ca_file are read again when they change; what \
                  is not whole is logged, and the old ones stay in use. Empty: no TLS.",
        expected: "nothing, or the path of a file",
        show: |config| value::path_text(config.serving.tls_cert_file.as_deref()),
        set: |config, text| {
            config.serving.tls_cert_file = value::path_or_none(text);
            Ok(())
        },
    },
    Key {
        name: "tls_key_file",
        flag: "tls-key-file",
        value_name: "FILE",
        form: Form::Text,
        meaning: "The private key of that certificate, in PEM. It is taken only if nobody but the daemon \
                  can read it: its own with mode 0600, or root's with mode 0640 and a group of its own.",
        expected: "nothing, or the path of a file",
        show: |config| value::path_text(config.serving.tls_key_file.as_deref()),
        set: |config, text| {
            config.serving.tls_key_file = value::path_or_none(text);
            Ok(())
        },
    },
    Key {
        name: "tls_client_ca_file",
        flag: "tls-client-ca-file",
        value_name: "FILE",
        form: Form::Text,
        meaning: "The authorities of client certificates, in PEM. Clients are asked for a certificate, \
                  and one that no such authority signed is refused. Which principal a certificate is \
                  stands in the access file. When the file changes, clients with certificates have to connect \
                  again. Empty: clients are not asked.",
        expected: "nothing, or the path of a file",
        show: |config| value::path_text(config.serving.tls_client_ca_file.as_deref()),
        set: |config, text| {
            config.serving.tls_client_ca_file = value::path_or_none(text);
            Ok(())
        },
    },
    Key {
        name: "tls_client_auth",
        flag: "tls-client-auth",
        value_name: "WHETHER",
        form: Form::Text,
        meaning: "Whether a client needs a certificate where clients are asked for one. With optional, \
                  one without shows a token; with required there is no connection without, not even to \
                  ask for health.",
        expected: "optional or required",
        show: |config| config.serving.tls_client_auth.name().to_owned(),
        set: |config, text| {
            config.serving.tls_client_auth = value::client_auth(text)?;
            Ok(())
        },
    },
    Key {
        name: "cors_origins",
        flag: "cors-origins",
        value_name: "ORIGINS",
        form: Form::Text,
        meaning: "The origins whose web pages may call, with commas between them, as browsers write \
                  them. * is every page there is: each still needs credentials where callers are asked \
                  who they are. Empty: browsers let pages of this daemon's own origin call, and no \
                  other.",
        expected: "nothing, *, or origins such as https://app.example.com,http://localhost:5173",
        show: |config| config.serving.cors_origins.to_string(),
        set: |config, text| {
            config.serving.cors_origins = value::origins(text)?;
            Ok(())
        },
    },
    Key {
        name: "insecure_without_tls",
        flag: "insecure-without-tls",
        value_name: "BOOL",
        form: Form::Switch,
        meaning: "Serve without TLS where others can reach the daemon: tokens and plans can then be \
                  read on their way. For where something else encrypts, such as a proxy on the same \
                  machine or a service mesh.",
        expected: "true or false",
        show: |config| config.serving.insecure_without_tls.to_string(),
        set: |config, text| {
            config.serving.insecure_without_tls = value::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "insecure_without_authentication",
        flag: "insecure-without-authentication",
        value_name: "BOOL",
        form: Form::Switch,
        meaning: "Serve without asking who calls where others can reach the daemon: whoever does may \
                  do everything. For where something else keeps strangers away.",
        expected: "true or false",
        show: |config| config.serving.insecure_without_authentication.to_string(),
        set: |config, text| {
            config.serving.insecure_without_authentication = value::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "insecure_metrics_for_others",
        flag: "insecure-metrics-for-others",
        value_name: "BOOL",
        form: Form::Switch,
        meaning: "Serve the metrics where others can reach metrics_listen: without TLS, and without \
                  asking who fetches them. For where something else keeps strangers away.",
        expected: "true or false",
        show: |config| config.serving.insecure_metrics_for_others.to_string(),
        set: |config, text| {
            config.serving.insecure_metrics_for_others = value::switch(text)?;
            Ok(())
        },
    },
    Key {
        name: "max_connections",
        flag: "max-connections",
        value_name: "COUNT",
        form: Form::Number,
        meaning: "How many connections there may be at once. With more, the one that has been without \
                  a call for longest is closed; if all have calls under way, new ones wait.",
        expected: "a whole number from 1 to 1,000,000",
        show: |config| config.serving.max_connections.to_string(),
        set: |config, text| {
            config.serving.max_connections = value::number(text, 1..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "max_connections_per_address",
        flag: "max-connections-per-address",
        value_name: "COUNT",
        form: Form::Number,
        // Half of all: whoever comes from one place alone leaves as much to the others.
        meaning: "How many connections one address may have at once. With more, the one of it that has \
                  been without a call for longest is closed; if all have calls under way, new ones \
                  are refused. Of IPv6 a network of 64 bits counts as one address; a load balancer or \
                  proxy that calls in its own name is one as well, with all who come through it. 0: \
                  any number.",
        expected: "a whole number from 0 to 1,000,000",
        show: |config| config.serving.max_connections_per_address.to_string(),
        set: |config, text| {
            config.serving.max_connections_per_address = value::number(text, 0..=1_000_000)?;
            Ok(())
        },
    },
    Key {
        name: "idle_seconds",
        flag: "idle-seconds",
        value_name: "SECONDS",
        form: Form::Number,
        meaning: "How long a connection may stand without a call before it is closed. A watch is a \
                  call, however little it says. Clients connect again by themselves.",
        expected: "a whole number of seconds from 1 to 86,400",
        show: |config| config.serving.idle_seconds.to_string(),
        set: |config, text| {
            config.serving.idle_seconds = value::number(text, 1..=86_400)?;
            Ok(())
        },
    },
];
