//! TLS: the certificate, its key and the authority of client certificates, read from files and read
//! again when they change, so that a renewed certificate needs no restart.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpStream, sync::watch, time::sleep};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::parse_x509_certificate;

use crate::access::follow::{self, CERTIFICATES_BYTES_MAX, FileError};

/// What is offered in the handshake, the best first; gRPC-Web comes over HTTP/1.1 as well.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long the end of a client's certificate is slept towards at a time: a clock that was set is noticed as
/// soon.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

/// A certificate that ends sooner is warned of.
const EXPIRES_SOON: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What a key of the daemon's own user may let nobody do: group and others, anything.
const OTHERS_OF_OWN: u32 = 0o077;
/// The same of a key of root's, which its group may read: it is the daemon's where root gives it out, such
/// as secrets of Kubernetes, credentials of systemd, and files of a group made for it.
const OTHERS_OF_ROOT: u32 = 0o037;

/// Where a daemon's identity is kept, and whose clients it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that lead from it to an authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// The authorities of client certificates, in PEM; nothing: clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is let in.
    pub client_auth: ClientAuth,
}

/// Whether a client needs a certificate, where clients are asked for one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// It may have one; without, it shows a token.
    #[default]
    Optional,
    /// Without one there is no connection.
    Required,
}

/// What handshakes are made with: always the last set of files that was whole.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    /// Of the files as they were last looked at, right or wrong: each is judged once.
    seen: Mutex<[u8; 32]>,
    /// Until when the certificate is good, in seconds since 1970; 0: it does not say.
    expires_at: AtomicI64,
    /// The authorities of clients, as one hash: told to the connections that stand on them.
    authorities: watch::Sender<[u8; 32]>,
}

/// For how long the certificate that a client showed is believed.
#[derive(Debug)]
pub(super) struct Trust {
    authorities: watch::Receiver<[u8; 32]>,
    /// In seconds since 1970.
    until: i64,
}

/// Why the files of TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The key cannot be read.
    #[error("cannot read {}: {source}; see to the path and the rights of the file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key is not the daemon's alone.
    #[error(
        "{} is a private key that {whom} (owner {owner}, mode {mode:04o}), so it is not used: make it the \
         daemon's own with mode 0600, or root's with mode 0640 and a group of the daemon's",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who may do what.
        whom: &'static str,
        /// The number of the user whose it is.
        owner: u32,
        /// Who may read, write and execute it.
        mode: u32,
    },
    /// A file of certificates is not to be had, or others can say what is in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what it should be.
    #[error("{} holds no {wanted} in PEM: put one there", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// Certificate and key do not work, or not together.
    #[error("{} and {} cannot be used: {source}; put a certificate and its own key there",
        certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The authorities of clients do not work.
    #[error("{} cannot be used: {reason}; put the certificates of authorities there", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The files as they were read together.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl ClientAuth {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Optional, Self::Required];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

impl Tls {
    /// Reads the files.
    pub fn open(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let contents = Contents::read(&files)?;
        let config = contents.config(&files)?;
        let expires_at = contents.tell_of_expiry(&files).unwrap_or_default();
        Ok(Arc::new(Self {
            config: ArcSwap::from(config),
            seen: Mutex::new(contents.digest()),
            expires_at: AtomicI64::new(expires_at),
            authorities: watch::Sender::new(contents.authorities()),
            files,
        }))
    }

    /// Until when the certificate is good, if it says.
    pub fn expires_at(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.expires_at.load(Ordering::Relaxed)).ok()?;
        (seconds > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// Makes a handshake, and says for how long the client's certificate is believed, if it showed one.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Trust>)> {
        // Before the files that this is made with: what changes from here on ends the trust.
        let authorities = self.authorities.subscribe();
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let stream = acceptor.accept(socket).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let until = shown.iter().filter_map(expires_at).min();
        let trust = (!shown.is_empty()).then(|| Trust {
            authorities,
            until: until.unwrap_or(i64::MAX),
        });
        Ok((stream, trust))
    }

    /// Reads the files whenever they change, for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let tls = self.clone();
            // It ends badly only when the runtime goes down.
            tokio::task::spawn_blocking(move || tls.look()).await.ok();
        }
    }

    /// Takes the files if they have changed and are whole. What is wrong is said once: the files may
    /// be on their way, one after the other.
    fn look(&self) {
        let contents = match Contents::read(&self.files) {
            Ok(contents) => contents,
            Err(error) => {
                if self.is_new(Sha256::digest(error.to_string()).into()) {
                    tracing::error!(%error, "the old certificate stays in use");
                }
                return;
            }
        };
        if !self.is_new(contents.digest()) {
            return;
        }
        match contents.config(&self.files) {
            Ok(config) => {
                self.config.store(config);
                let authorities = contents.authorities();
                self.authorities
                    .send_if_modified(|known| std::mem::replace(known, authorities) != authorities);
                tracing::info!("the files of TLS have changed: new connections use them");
                let expires_at = contents.tell_of_expiry(&self.files).unwrap_or_default();
                self.expires_at.store(expires_at, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(%error, "the old certificate stays in use"),
        }
    }

    fn is_new(&self, digest: [u8; 32]) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, digest) != digest
    }
}

impl Trust {
    /// Completes when the certificate has expired, or others are believed than those who gave it out.
    pub(super) async fn ended(&mut self) {
        let until = self.until;
        let expired = async {
            loop {
                let left_seconds = until.saturating_sub(seconds_now());
                let Ok(left @ 1..) = u64::try_from(left_seconds) else {
                    return;
                };
                sleep(Duration::from_secs(left).min(CLOCK_INTERVAL)).await;
            }
        };
        tokio::select! {
            () = expired => {}
            // With an error if the daemon stops, which ends it as well.
            _ = self.authorities.changed() => {}
        }
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| follow::read(path, CERTIFICATES_BYTES_MAX);
        let key = read_key(&files.key).map_err(|source| TlsError::Read {
            path: files.key.clone(),
            source,
        })?;
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: key.map_err(|exposed| exposed.of(&files.key))?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    /// What tells one state of the files from another.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let client_ca = self.client_ca.as_deref().unwrap_or_default();
        for part in [&self.certificate, &self.key, client_ca] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    fn authorities(&self) -> [u8; 32] {
        Sha256::digest(self.client_ca.as_deref().unwrap_or_default()).into()
    }

    fn config(&self, files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::Missing {
            path: files.key.clone(),
            wanted: "private key",
        })?;
        let unusable = |source| TlsError::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let mut roots = RootCertStore::empty();
                let wrong = |reason: String| TlsError::Authorities {
                    path: path.clone(),
                    reason,
                };
                for authority in certificates(pem, path)? {
                    roots.add(authority).map_err(|it| wrong(it.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier = match files.client_auth {
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                    ClientAuth::Required => verifier,
                };
                let verifier = verifier
                    .build()
                    .map_err(|it: VerifierBuilderError| wrong(it.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        if self.client_ca.is_some() {
            // A session that is taken up again brings its client's certificate with it, and nobody looks
            // at that again, whether or not it has expired.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }

    /// Says until when the certificate is good, to people and to whoever watches the metrics.
    fn tell_of_expiry(&self, files: &TlsFiles) -> Option<i64> {
        let chain = certificates(&self.certificate, &files.certificate).ok()?;
        let Some(expires_at) = chain.first().and_then(expires_at) else {
            tracing::warn!("the certificate does not say until when it is good");
            return None;
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "exact for times below 2^53 seconds"
        )]
        metrics::gauge!("strata_tls_certificate_expires_timestamp_seconds").set(expires_at as f64);
        let expiry = prost_types::Timestamp {
            seconds: expires_at,
            nanos: 0,
        };
        let left_seconds = expires_at.saturating_sub(seconds_now());
        if left_seconds <= 0 {
            tracing::error!(%expiry, "the certificate has expired: clients refuse it; renew it");
        } else if left_seconds.unsigned_abs() < EXPIRES_SOON.as_secs() {
            tracing::warn!(%expiry, "the certificate expires soon: renew it");
        } else {
            tracing::info!(%expiry, "the certificate is in use");
        }
        Some(expires_at)
    }
}

fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Why a key is not the daemon's alone.
#[derive(Debug, PartialEq, Eq)]
struct Exposed {
    whom: &'static str,
    owner: u32,
    mode: u32,
}

impl Exposed {
    fn of(self, path: &Path) -> TlsError {
        let Self { whom, owner, mode } = self;
        TlsError::Exposed {
            path: path.to_owned(),
            whom,
            owner,
            mode,
        }
    }
}

/// Reads the key, if nobody else can: what is looked at and what is read are one file, whatever becomes of
/// its path meanwhile.
fn read_key(path: &Path) -> io::Result<Result<Vec<u8>, Exposed>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let user = rustix::process::geteuid().as_raw();
    if let Err(exposed) = judge(metadata.uid(), metadata.mode() & 0o777, user) {
        return Ok(Err(exposed));
    }
    let mut key = Vec::new();
    file.read_to_end(&mut key)?;
    Ok(Ok(key))
}

/// Whether a file of an owner with a mode can be read or changed by nobody but a user and root.
fn judge(owner: u32, mode: u32, user: u32) -> Result<(), Exposed> {
    // As PostgreSQL judges its keys.
    let exposed = |whom| Exposed { whom, owner, mode };
    let others = match owner {
        0 => OTHERS_OF_ROOT,
        owner if owner == user => OTHERS_OF_OWN,
        _ => return Err(exposed("belongs to another user")),
    };
    if mode & others == 0 {
        Ok(())
    } else {
        Err(exposed("others can read or change"))
    }
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = || TlsError::Missing {
        path: path.to_owned(),
        wanted: "certificate",
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| missing())?;
    if found.is_empty() {
        return Err(missing());
    }
    Ok(found)
}

/// In seconds since 1970.
fn expires_at(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    const DAEMON: u32 = 65_532;

    #[test]
    fn a_key_is_the_daemons_alone_or_given_out_by_root() {
        for (owner, mode) in [
            (DAEMON, 0o600),
            (DAEMON, 0o400),
            (0, 0o600),
            (0, 0o640),
            // Secrets of Kubernetes with a group of the pod's, and credentials of systemd.
            (0, 0o440),
            (0, 0o400),
        ] {
            assert_eq!(judge(owner, mode, DAEMON), Ok(()), "{owner} {mode:o}");
        }
        for (owner, mode) in [
            (DAEMON, 0o640),
            (DAEMON, 0o604),
            (DAEMON, 0o620),
            (0, 0o644),
            (0, 0o660),
            (0, 0o641),
            (1_000, 0o600),
            (1_000, 0o640),
        ] {
            assert!(judge(owner, mode, DAEMON).is_err(), "{owner} {mode:o}");
        }
    }

    #[test]
    fn certificates_that_everyone_may_write_are_not_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, mode| {
            let path = dir.path().join(name);
            fs::write(&path, name).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its owner's");
            path
        };
        let read_with = |certificate, client_ca| {
            Contents::read(&TlsFiles {
                certificate: file("tls.crt", certificate),
                key: file("tls.key", 0o600),
                client_ca: Some(file("ca.crt", client_ca)),
                client_auth: ClientAuth::Optional,
            })
        };
        assert!(read_with(0o644, 0o644).is_ok());
        for (modes, name) in [((0o646, 0o644), "tls.crt"), ((0o644, 0o646), "ca.crt")] {
            let refused = read_with(modes.0, modes.1).err().expect("not taken");
            let refused = refused.to_string();
            assert!(
                refused.starts_with("everyone on this machine may write"),
                "{refused}"
            );
            assert!(refused.contains(name), "{refused}");
        }
    }

    #[test]
    fn root_itself_may_leave_its_key_to_a_group() {
        assert_eq!(judge(0, 0o640, 0), Ok(()));
        assert!(judge(0, 0o644, 0).is_err());
    }
}
