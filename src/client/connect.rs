//! What a client is told before it connects: whom it trusts, who it says it is, and how long it waits.
//! A connection that cannot be made is told apart by what must be done about it.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    AlertDescription, CertificateError,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tonic::{
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use super::{
    Carrier, Client,
    address::Address,
    carrier,
    credentials::{BadToken, Credentials},
    refusal::innermost,
    secure::Secure,
};

/// How long a connection may take to be made, with its handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take until it is answered: longer than a group takes to be synced on a slow disk.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a daemon that is away is tried again: long enough for a restart.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a silent connection is asked whether it is still there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Where the system may keep the certificates of the authorities that it trusts.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variable that names another file of such certificates, as for OpenSSL.
const SYSTEM_AUTHORITIES_VARIABLE: &str = "SSL_CERT_FILE";

/// What is said of a certificate that stands in no file.
const CERTIFICATE: &str = "the certificate";

/// A client that is not connected yet.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it connects"]
pub struct Builder {
    address: Address,
    authority: Option<Source>,
    identity: Option<(Source, Source)>,
    token: Option<Source>,
    connect_timeout: Duration,
    call_timeout: Duration,
    patience: Duration,
    keep_alive: Duration,
}

/// The way to the daemon.
enum Way {
    Plain(Endpoint),
    Secure(Endpoint, Secure),
}

/// Something secret or not that was given, or stands in a file.
#[derive(Clone)]
enum Source {
    Given(String),
    File(PathBuf),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("cannot connect to {url}: {reason}; is `stratad serve` running there?")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the way ended in.
        reason: String,
    },
    /// Who answers has a certificate that no authority trusted here has signed, or that is not for this
    /// host, or not for now.
    #[error("cannot trust {url}: {reason}")]
    Untrusted {
        /// Where.
        url: String,
        /// What is wrong with its certificate.
        reason: String,
        /// Whether that is its authority, which may be a good one that nobody named.
        is_of_unknown_issuer: bool,
    },
    /// Who answers asks for a certificate, and none was given.
    #[error("{url} asks for a client's certificate: {reason}")]
    Unnamed {
        /// Where.
        url: String,
        /// What it said.
        reason: String,
    },
    /// Who answers refuses the client's certificate.
    #[error("{url} refuses the client's certificate: {reason}")]
    Unrecognized {
        /// Where.
        url: String,
        /// What it said.
        reason: String,
    },
    /// Who answers does not speak TLS.
    #[error("{url} does not answer in TLS; does it serve http:// there?")]
    NotSecure {
        /// Where.
        url: String,
    },
    /// A file that was named cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is no certificate or key where one was said to be, or they do not belong together.
    #[error("{what} is not what it should be in PEM: {reason}")]
    Pem {
        /// What was read.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// No token can be had.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// A token or certificate was given, and the way is not secure.
    #[error(
        "a token is not sent to {url} without TLS, where others can read it: say https://, or reach the \
         daemon over this machine's own loopback"
    )]
    InTheClear {
        /// Where it was to be sent.
        url: String,
    },
    /// Certificates were given, and the way has none.
    #[error("certificates are for https://, and the URL is {url}")]
    NoTls {
        /// Where.
        url: String,
    },
}

impl ConnectError {
    /// Whether a connection may be made a little later all the same, as to a daemon that starts.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Untrusted { .. }
            | Self::Unnamed { .. }
            | Self::Unrecognized { .. }
            | Self::NotSecure { .. }
            | Self::Unreadable { .. }
            | Self::Pem { .. }
            | Self::Token(_)
            | Self::InTheClear { .. }
            | Self::NoTls { .. } => false,
        }
    }
}

impl Builder {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            authority: None,
            identity: None,
            token: None,
            connect_timeout: CONNECT_TIMEOUT,
            call_timeout: CALL_TIMEOUT,
            patience: PATIENCE,
            keep_alive: KEEP_ALIVE,
        }
    }

    /// Where the daemon is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Trusts the authorities whose certificates a file holds in PEM, and no others. Without this, those
    /// that the system trusts.
    pub fn authority_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authority = Some(Source::File(path.into()));
        self
    }

    /// Trusts the authorities whose certificates these are in PEM, and no others.
    pub fn authority_pem(mut self, pem: impl Into<String>) -> Self {
        self.authority = Some(Source::Given(pem.into()));
        self
    }

    /// Says who it is by a certificate; both files are in PEM.
    pub fn identity_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some((Source::File(certificate.into()), Source::File(key.into())));
        self
    }

    /// Says who it is by a certificate; both are PEM.
    pub fn identity_pem(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.identity = Some((Source::Given(certificate.into()), Source::Given(key.into())));
        self
    }

    /// Says who it is by a token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Source::Given(token.into()));
        self
    }

    /// Says who it is by the token that a file holds at the time of each call, so that a new one counts
    /// as soon as it is there.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token = Some(Source::File(path.into()));
        self
    }

    /// How long a connection may take to be made. By itself 5 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call may take until it is answered, and a stream until it begins. By itself 30 seconds;
    /// `Duration::MAX` is for ever.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// How long [`Client::execute`] and a watch try again while the daemon is away or refuses for now. By
    /// itself a minute; `Duration::MAX` is for ever.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How often a silent connection with calls under way is asked whether it is still there, and how
    /// long it may take to say so. By itself 20 seconds each.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    /// Connects.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let (way, credentials) = self.prepare()?;
        let connected = match way {
            Way::Plain(endpoint) => endpoint.connect().await,
            Way::Secure(endpoint, secure) => endpoint.connect_with_connector(secure).await,
        };
        let channel = connected.map_err(|error| self.cannot_connect(&error))?;
        Ok(self.over(channel, credentials))
    }

    /// The same, but the connection is made by the first call.
    pub fn connect_lazy(self) -> Result<Client, ConnectError> {
        let (way, credentials) = self.prepare()?;
        let channel = match way {
            Way::Plain(endpoint) => endpoint.connect_lazy(),
            Way::Secure(endpoint, secure) => endpoint.connect_with_connector_lazy(secure),
        };
        Ok(self.over(channel, credentials))
    }

    fn over(self, channel: Channel, credentials: Credentials) -> Client {
        self.client(carrier(channel), credentials)
    }

    pub(super) fn client(self, carrier: Carrier, credentials: Credentials) -> Client {
        Client {
            address: Arc::new(self.address),
            connection: InterceptedService::new(carrier, credentials.clone()),
            credentials,
            call_timeout: self.call_timeout,
            patience: self.patience,
        }
    }

    fn prepare(&self) -> Result<(Way, Credentials), ConnectError> {
        let credentials = match &self.token {
            None => Credentials::none(),
            Some(Source::Given(token)) => Credentials::token(token)?,
            Some(Source::File(path)) => Credentials::token_file(path)?,
        };
        let url = || self.address.to_string();
        if credentials.are_a_secret() && !self.address.is_secure() && !self.address.is_loopback() {
            return Err(ConnectError::InTheClear { url: url() });
        }
        let endpoint = Endpoint::from(self.address.plain_uri().clone())
            .origin(self.address.uri().clone())
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(self.keep_alive)
            .keep_alive_timeout(self.keep_alive)
            .timeout(self.call_timeout);
        if self.address.is_secure() {
            return Ok((Way::Secure(endpoint, self.secure()?), credentials));
        }
        if self.authority.is_some() || self.identity.is_some() {
            return Err(ConnectError::NoTls { url: url() });
        }
        Ok((Way::Plain(endpoint), credentials))
    }

    fn secure(&self) -> Result<Secure, ConnectError> {
        let authorities = if let Some(source) = &self.authority {
            certificates(&source.name(CERTIFICATE), &source.read()?)?
        } else {
            // A system without any trusts nobody, which shows when a certificate is to be trusted; what is
            // none among them takes nothing from the others.
            let pem = system_authorities_pem();
            let found = CertificateDer::pem_slice_iter(&pem);
            found.filter_map(Result::ok).collect()
        };
        let Some((certificate, key)) = &self.identity else {
            return Secure::new(authorities, None).map_err(|error| self.cannot_show(&error));
        };
        let chain = certificates(&certificate.name(CERTIFICATE), &certificate.read()?)?;
        let key_pem = key.read()?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| {
            // What is wrong with it could tell something of it.
            ConnectError::Pem {
                what: key.name("the key"),
                reason: "it holds no private key".to_owned(),
            }
        })?;
        let secure = Secure::new(authorities, Some((chain, key)));
        secure.map_err(|error| self.cannot_show(&error))
    }

    /// Of the authorities none is refused here, so it is what is to be shown.
    fn cannot_show(&self, error: &rustls::Error) -> ConnectError {
        let key = self.identity.as_ref().map(|(_, key)| key.name("the key"));
        ConnectError::Pem {
            what: key.unwrap_or_default(),
            reason: if matches!(error, rustls::Error::InconsistentKeys(_)) {
                "it is the key of another certificate".to_owned()
            } else {
                error.to_string()
            },
        }
    }

    fn cannot_connect(&self, error: &tonic::transport::Error) -> ConnectError {
        let url = self.address.to_string();
        let reason = innermost(error);
        match tls_error(error) {
            Some(
                error @ (rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented),
            ) => ConnectError::Untrusted {
                url,
                reason,
                is_of_unknown_issuer: matches!(
                    error,
                    rustls::Error::InvalidCertificate(
                        // The second is of an authority that has the name of a trusted one.
                        CertificateError::UnknownIssuer | CertificateError::BadSignature
                    )
                ),
            },
            Some(rustls::Error::InvalidMessage(_)) => ConnectError::NotSecure { url },
            Some(rustls::Error::AlertReceived(_)) if self.identity.is_some() => {
                ConnectError::Unrecognized { url, reason }
            }
            Some(rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
            )) => ConnectError::Unnamed { url, reason },
            Some(_) | None => ConnectError::Unreachable { url, reason },
        }
    }
}

impl Source {
    fn read(&self) -> Result<String, ConnectError> {
        match self {
            Self::Given(text) => Ok(text.clone()),
            Self::File(path) => {
                fs::read_to_string(path).map_err(|error| ConnectError::Unreadable {
                    path: path.clone(),
                    error,
                })
            }
        }
    }

    fn name(&self, what: &str) -> String {
        match self {
            Self::Given(_) => what.to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Where it stands; never what was given.
impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(_) => formatter.write_str("given"),
            Self::File(path) => write!(formatter, "{path:?}"),
        }
    }
}

/// The certificates in a PEM file. One that holds none is refused: it would be passed over in silence.
fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let bad = |reason: String| ConnectError::Pem {
        what: what.to_owned(),
        reason,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| bad(error.to_string()))?;
    if found.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    Ok(found)
}

/// What is trusted over TLS elsewhere, in PEM: the authorities in a file, or those that the system trusts.
pub fn authorities_pem(file: Option<&Path>) -> Result<Vec<u8>, ConnectError> {
    let Some(path) = file else {
        return Ok(system_authorities_pem());
    };
    let source = Source::File(path.to_owned());
    let pem = source.read()?;
    certificates(&source.name(CERTIFICATE), &pem)?;
    Ok(pem.into_bytes())
}

fn system_authorities_pem() -> Vec<u8> {
    let read = |path: &Path| fs::read(path).ok();
    let pem = match env::var_os(SYSTEM_AUTHORITIES_VARIABLE) {
        Some(path) => read(Path::new(&path)),
        None => SYSTEM_AUTHORITIES.iter().map(Path::new).find_map(read),
    };
    pem.unwrap_or_default()
}

/// What TLS said, below the layers that carry it.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut layer = Some(error);
    while let Some(error) = layer {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An error of the system hides the one that it was made of.
        if let Some(carrier) = error.downcast_ref::<io::Error>()
            && let Some(inner) = carrier.get_ref()
            && let Some(found) = inner.downcast_ref::<rustls::Error>()
        {
            return Some(found);
        }
        layer = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Builder {
        Client::at(url).expect("an address")
    }

    fn refused(builder: &Builder) -> ConnectError {
        builder.prepare().map(|_| ()).expect_err("it is refused")
    }

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        assert!(matches!(
            refused(&at("http://plans.example:7421").token("secret")),
            ConnectError::InTheClear { .. }
        ));
        for url in ["http://127.0.0.1:7421", "https://plans.example:7421"] {
            assert!(at(url).token("secret").prepare().is_ok(), "{url}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let builder = at("https://plans.example:7421")
            .token("sesame")
            .identity_pem("certificate", "open");
        let shown = format!("{builder:?} {}", refused(&builder));
        assert!(
            !shown.contains("sesame") && !shown.contains("open"),
            "{shown}"
        );
    }

    #[test]
    fn what_holds_no_certificate_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ca.pem");
        fs::write(&path, "no certificate").expect("it is written");
        let https = || at("https://localhost:7421");
        let error = refused(&https().authority_file(&path)).to_string();
        assert!(error.contains("ca.pem"), "{error}");
        fs::remove_file(&path).expect("it is removed");
        let error = refused(&https().authority_file(&path)).to_string();
        assert!(error.contains("cannot read"), "{error}");
        let error = refused(&at("localhost:7421").authority_pem("any")).to_string();
        assert!(error.contains("https://"), "{error}");
    }
}
