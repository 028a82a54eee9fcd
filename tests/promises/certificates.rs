//! Certificates for tests: authorities, the daemon's own, those of clients, and such as have expired.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The name of the daemon in its certificate.
pub(crate) const SERVER_NAME: &str = "localhost";

/// Who signs certificates.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// The certificate of the daemon.
    pub(crate) fn server(&self) -> Pair {
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// The certificate of a client that has this name.
    pub(crate) fn client(&self, name: &str) -> Pair {
        self.sign(&client(name))
    }

    /// The same, but it was good long ago only.
    pub(crate) fn expired_client(&self, name: &str) -> Pair {
        let mut params = client(name);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(&params)
    }

    /// The same, but it is good for so long only.
    pub(crate) fn client_for(&self, name: &str, time: Duration) -> Pair {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut params = client(name);
        params.not_after = date_time_ymd(1970, 1, 1) + since.expect("after 1970") + time;
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// The certificate of the authority itself, in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// What a client believes that trusts this authority alone.
    pub(crate) fn trusted(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.pem))
            .domain_name(SERVER_NAME)
    }
}

impl Pair {
    /// Writes both where a daemon looks for them.
    pub(crate) fn write(&self, dir: &Path) {
        fs::write(dir.join("tls.crt"), &self.certificate).expect("a file");
        write_secret(&dir.join("tls.key"), &self.key);
    }

    /// For a client that shows it.
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

/// Writes a file that nobody else may read.
pub(crate) fn write_secret(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = file.open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
}

/// The arguments of a daemon whose certificate was written to this directory.
pub(crate) fn tls_arguments(dir: &Path) -> Vec<String> {
    let file = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
    vec![
        "--tls-cert-file".to_owned(),
        file("tls.crt"),
        "--tls-key-file".to_owned(),
        file("tls.key"),
    ]
}

fn client(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let uri = name.try_into().expect("ASCII");
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}
