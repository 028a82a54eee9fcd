//! The log's signing key: an Ed25519 key in a file of the data directory, in the encoding that Go's
//! `note` package and its kin read. It is made at the first start, so that whatever crash comes there
//! is either a whole key or none. The secret half is in no text, log or error of the program.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use signed_note::{Note, StandardSigner};

use super::{VerifierKey, origin};

/// The name of the key's file in the data directory.
pub const FILE_NAME: &str = "signing-key";

/// Only the daemon's user may read the key.
const FILE_MODE: u32 = 0o600;
/// A key is one line of about 130 bytes; a longer file is none.
const FILE_BYTES_MAX: u64 = 1_024;
/// The number of Ed25519 among the algorithms of signed notes.
const ALGORITHM_ED25519: u8 = 1;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The operating system refused.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done, with the path.
        doing: String,
        /// What it said.
        source: io::Error,
    },
    /// There is no such file.
    #[error("there is no key at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file does not hold a key.
    #[error(
        "{} is not a signing key as stratad writes it; put the right one back by `stratad key \
         restore FILE`, or remove the file to have a new key made at the next start, and tell the \
         auditors its public key",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The key is that of another log.
    #[error(
        "{} is the signing key of log {}, and this is log {}; put the right one back by `stratad key \
         restore FILE`, or remove the file to have a new key made at the next start, and tell the \
         auditors its public key",
        path.display(),
        uuid::Uuid::from_bytes(*found),
        uuid::Uuid::from_bytes(*expected)
    )]
    OtherLog {
        /// The file.
        path: PathBuf,
        /// The log that the key names.
        found: [u8; 16],
        /// The log it should be of.
        expected: [u8; 16],
    },
    /// The system has no randomness to make a key of.
    #[error("the system gives no random bytes for a signing key: {0}")]
    NoRandomness(String),
}

/// The secret key of a log.
pub struct SigningKey {
    /// `PRIVATE+KEY+name+hash+base64`.
    text: String,
    signer: StandardSigner,
    verifier_key: VerifierKey,
}

impl SigningKey {
    /// Makes a key for a log.
    pub fn random(log_id: [u8; 16]) -> Result<Self, KeyError> {
        let mut seed = [0; ed25519_dalek::SECRET_KEY_LENGTH];
        getrandom::fill(&mut seed).map_err(|error| KeyError::NoRandomness(error.to_string()))?;
        Ok(Self::from_seed(log_id, &seed))
    }

    pub(super) fn from_seed(log_id: [u8; 16], seed: &ed25519_dalek::SecretKey) -> Self {
        let name = origin(log_id);
        let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
        let public = [&[ALGORITHM_ED25519][..], public.as_bytes()].concat();
        let hash = signed_note::key_id(&name, &public);
        let secret = BASE64_STANDARD.encode([&[ALGORITHM_ED25519][..], seed].concat());
        let text = format!("PRIVATE+KEY+{name}+{hash:08x}+{secret}");
        Self::parse(&text).unwrap_or_else(|| unreachable!("the key was just encoded"))
    }

    fn parse(text: &str) -> Option<Self> {
        // It checks that the hash is that of name and key.
        let signer = StandardSigner::new(text).ok()?;
        // Base64 has a plus of its own.
        let secret = BASE64_STANDARD.decode(text.splitn(5, '+').last()?).ok()?;
        let seed = secret.split_first()?.1.try_into().ok()?;
        let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
        let name = signed_note::Signer::name(&signer);
        let verifier_key = signed_note::new_ed25519_verifier_key(name, &public);
        Some(Self {
            text: text.to_owned(),
            signer,
            verifier_key: verifier_key.parse().ok()?,
        })
    }

    /// Reads the key of the log from a file.
    pub fn read(path: &Path, log_id: [u8; 16]) -> Result<Self, KeyError> {
        let mut text = String::new();
        let read =
            File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing {
                    path: path.to_owned(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(KeyError::Damaged {
                    path: path.to_owned(),
                });
            }
            Err(source) => return Err(io_error("reading", path)(source)),
        }
        let key = Self::parse(text.trim()).ok_or_else(|| KeyError::Damaged {
            path: path.to_owned(),
        })?;
        let found = key.verifier_key.log_id();
        if found != log_id {
            return Err(KeyError::OtherLog {
                path: path.to_owned(),
                found,
                expected: log_id,
            });
        }
        Ok(key)
    }

    /// The key in a data directory, which is made if there is none; whether it was.
    pub fn open(data_dir: &Path, log_id: [u8; 16]) -> Result<(Self, bool), KeyError> {
        let path = data_dir.join(FILE_NAME);
        match Self::read(&path, log_id) {
            Ok(key) => Ok((key, false)),
            Err(KeyError::Missing { .. }) => {
                let key = Self::random(log_id)?;
                key.replace(&path)?;
                Ok((key, true))
            }
            Err(
                error @ (KeyError::Io { .. }
                | KeyError::Damaged { .. }
                | KeyError::OtherLog { .. }
                | KeyError::NoRandomness(_)),
            ) => Err(error),
        }
    }

    /// Writes the key to a file that nobody else may read, in the place of what is there. A crash
    /// leaves the old file or the new one, whole.
    pub fn replace(&self, path: &Path) -> Result<(), KeyError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("removing", &unfinished)(error));
            }
            Ok(()) | Err(_) => {}
        }
        self.write_new(&unfinished)?;
        fs::rename(&unfinished, path).map_err(io_error("writing", path))?;
        sync_directory_of(path)
    }

    /// Writes the key to a file that must not be there yet, and that nobody else may read.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)
            .map_err(io_error("writing", path))?;
        let written = file
            .write_all(format!("{}\n", self.text).as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io_error("writing", path));
        if written.is_err() {
            // What went wrong before is what the user must hear of.
            fs::remove_file(path).ok();
        }
        written?;
        sync_directory_of(path)
    }

    /// Its public half.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }

    /// A text, which ends with a line end, as a note under the key's signature.
    pub(super) fn sign(&self, text: &[u8]) -> String {
        let signed = Note::new(text, &[]).and_then(|mut note| {
            note.add_sigs(&[&self.signer])?;
            Ok(note.to_bytes())
        });
        let note = signed.unwrap_or_else(|error| unreachable!("plain lines are signed: {error}"));
        String::from_utf8(note).unwrap_or_else(|_| unreachable!("a note is text"))
    }
}

impl fmt::Debug for SigningKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey of {}", self.verifier_key)
    }
}

fn sync_directory_of(path: &Path) -> Result<(), KeyError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(io_error("syncing", directory))
}

fn io_error(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let doing = format!("{verb} {}", path.display());
    move |source| KeyError::Io { doing, source }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::SigningKey;

    /// The log of the keys here.
    pub(crate) const LOG_ID: [u8; 16] = [7; 16];

    /// Always the same key.
    pub(crate) fn key() -> SigningKey {
        SigningKey::from_seed(LOG_ID, &[1; 32])
    }

    /// Another key of the same log.
    pub(crate) fn other_key() -> SigningKey {
        SigningKey::from_seed(LOG_ID, &[2; 32])
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        // Given what an interrupted start left behind.
        fs::write(dir.path().join("signing-key.new"), "PRIVATE+K").expect("written");
        let (made, is_new) = SigningKey::open(dir.path(), [7; 16]).expect("made");
        assert!(is_new);
        let (found, is_new) = SigningKey::open(dir.path(), [7; 16]).expect("found");
        assert!(!is_new);
        assert_eq!(found.text, made.text);
        let file = fs::metadata(dir.path().join(FILE_NAME)).expect("a file");
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 1);
        let (other, _) =
            SigningKey::open(tempfile::tempdir().expect("a directory").path(), [7; 16])
                .expect("made");
        assert_ne!(other.text, made.text);
    }

    #[test]
    fn the_bytes_of_a_key_never_change() {
        assert_eq!(
            testing::key().text,
            "PRIVATE+KEY+strata/07070707-0707-0707-0707-070707070707+9d4d9255\
             +AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
        );
    }

    #[test]
    fn every_key_is_read_back() {
        for number in 0..=255 {
            let key = SigningKey::from_seed(testing::LOG_ID, &[number; 32]);
            let read = SigningKey::parse(&key.text).expect("a key");
            assert_eq!(read.verifier_key, key.verifier_key);
        }
        for _ in 0..100 {
            SigningKey::random(testing::LOG_ID).expect("a key");
        }
    }

    #[test]
    fn the_key_of_go_s_note_package_is_read_as_it_is() {
        let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        assert!(StandardSigner::new(text).is_ok());
        // But it is not one of a log of ours.
        assert!(SigningKey::parse(text).is_none());
    }

    #[test]
    fn a_damaged_key_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        let text = testing::key().text;
        let damaged = [
            String::new(),
            text[1..].to_owned(),
            text[..text.len() - 1].to_owned(),
            text.replace("+AQ", "+AR"),
            text.replace("strata/", "stratb/"),
            "x".repeat(5_000),
        ];
        for damaged in damaged {
            fs::write(&path, &damaged).expect("written");
            let refused = SigningKey::open(dir.path(), testing::LOG_ID).expect_err(&damaged);
            assert!(matches!(refused, KeyError::Damaged { .. }), "{refused}");
            assert!(
                refused.to_string().contains("stratad key restore"),
                "{refused}"
            );
            assert_eq!(fs::read_to_string(&path).expect("read"), damaged);
        }
        fs::write(&path, [0xff, 0xfe]).expect("written");
        assert!(matches!(
            SigningKey::open(dir.path(), testing::LOG_ID),
            Err(KeyError::Damaged { .. })
        ));
    }

    #[test]
    fn the_key_of_another_log_is_refused_by_its_name() {
        let dir = tempfile::tempdir().expect("a directory");
        testing::key()
            .replace(&dir.path().join(FILE_NAME))
            .expect("written");
        let refused = SigningKey::open(dir.path(), [8; 16]).expect_err("another log");
        assert!(matches!(refused, KeyError::OtherLog { .. }), "{refused}");
        let said = refused.to_string();
        assert!(
            said.contains("07070707-") && said.contains("08080808-"),
            "{said}"
        );
    }

    #[test]
    fn no_file_is_overwritten_by_a_new_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("backup");
        testing::key().write_new(&path).expect("written");
        assert!(testing::other_key().write_new(&path).is_err());
        let read = SigningKey::read(&path, testing::LOG_ID).expect("a key");
        assert_eq!(read.text, testing::key().text);
    }

    #[test]
    fn the_secret_is_in_no_text() {
        let key = testing::key();
        let secret = key.text.splitn(5, '+').last().expect("parts").to_owned();
        assert!(!format!("{key:?}").contains(&secret));
        assert!(!format!("{:?}", key.verifier_key()).contains(&secret));
    }
}
