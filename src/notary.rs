//! The notary: says under a signature what the log is, and checks such a word. A checkpoint is a C2SP
//! tlog-checkpoint (origin, size, root) in a C2SP signed note, under an Ed25519 key that `key` keeps in
//! the data directory; any tool that speaks these reads it.

use std::{fmt, str::FromStr};

use signed_note::{Note, StandardVerifier, Verifier as _, VerifierList};
use tlog_tiles::checkpoint;

use crate::merkle::Hash;

pub mod key;

use self::key::SigningKey;

/// Before the log's id in the name of a log. There is no domain in it: a daemon does not know by
/// which name it is reached, and the id alone is unique.
const ORIGIN_PREFIX: &str = "strata/";

/// The name of a log, in its checkpoints and in its key: `strata/` and the log's id.
#[must_use]
pub fn origin(log_id: [u8; 16]) -> String {
    let log_id = uuid::Uuid::from_bytes(log_id);
    format!("{ORIGIN_PREFIX}{}", log_id.hyphenated())
}

/// The log that a name stands for; nothing if it is not one of [`origin`].
fn log_id_of(origin: &str) -> Option<[u8; 16]> {
    let log_id = uuid::Uuid::try_parse(origin.strip_prefix(ORIGIN_PREFIX)?).ok()?;
    let log_id = log_id.into_bytes();
    (self::origin(log_id) == origin).then_some(log_id)
}

/// What a log was when somebody signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub log_id: [u8; 16],
    /// How many commits it had: the position of the last one.
    pub size: u64,
    /// The root of the Merkle tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    fn body(&self) -> Vec<u8> {
        let origin = origin(self.log_id);
        let root = tlog_tiles::Hash(self.root);
        checkpoint::Checkpoint::new(&origin, self.size, root, "").map_or_else(
            |_| unreachable!("an origin is not empty"),
            |it| it.to_bytes(),
        )
    }

    /// What a signed note claims, whoever signed it: to be believed only by somebody who has kept it
    /// since it was checked.
    pub fn unverified(note: &str) -> Result<Self, CheckpointError> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::NotANote)?;
        Self::parse(parsed.text())
    }

    /// Reads the text that is signed.
    fn parse(body: &[u8]) -> Result<Self, CheckpointError> {
        let claimed = checkpoint::Checkpoint::from_bytes(body)
            .map_err(|_| CheckpointError::NotACheckpoint)?;
        Ok(Self {
            log_id: log_id_of(claimed.origin()).ok_or(CheckpointError::NotACheckpoint)?,
            size: claimed.size(),
            root: claimed.hash().0,
        })
    }

    /// The checkpoint as a note signed with the log's key.
    #[must_use]
    pub fn signed_by(&self, key: &SigningKey) -> String {
        key.sign(&self.body())
    }
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It is no signed note.
    #[error(
        "this is no signed checkpoint: it must be the whole text, from the line `strata/…` to \
             the line that begins with a dash, with all line ends"
    )]
    NotANote,
    /// The signature is not that of the key.
    #[error(
        "the signature of the checkpoint does not hold under the key {key_name}: its text was \
             changed, or it is not of that key"
    )]
    NotSigned {
        /// The name and the hash of the key.
        key_name: String,
    },
    /// The signature is missing.
    #[error("the checkpoint is not signed by the key {key_name}, but by {}; use the key of the log \
             it is of", signers.join(", "))]
    OtherKey {
        /// The name and the hash of the key.
        key_name: String,
        /// The names and the hashes of those who signed.
        signers: Vec<String>,
    },
    /// What is signed is not a checkpoint of a log of strata.
    #[error("what is signed is no checkpoint of a log of strata")]
    NotACheckpoint,
    /// The key of one log signed a checkpoint of another.
    #[error("the checkpoint is of log {}, and the key of another", uuid::Uuid::from_bytes(*log_id))]
    OtherLog {
        /// The log that the checkpoint names.
        log_id: [u8; 16],
    },
}

/// Text that is no verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a verifier key is one line `strata/LOG-ID+HASH+KEY`, as `stratad key` prints it")]
pub struct NotAVerifierKey;

/// The public half of a log's key, by which auditors check checkpoints: `name+hash+base64`, the
/// verifier key of signed notes.
#[derive(Clone)]
pub struct VerifierKey {
    log_id: [u8; 16],
    text: String,
    verifier: StandardVerifier,
}

impl VerifierKey {
    /// The log whose checkpoints it checks.
    #[must_use]
    pub fn log_id(&self) -> [u8; 16] {
        self.log_id
    }

    /// The key without its key: its name and its hash, which stand at its signatures.
    #[must_use]
    pub fn name_and_hash(&self) -> String {
        format!("{}+{:08x}", self.verifier.name(), self.verifier.key_id())
    }

    /// The checkpoint in a signed note, if this key signed it. Signatures of others beside it, such
    /// as those of witnesses, are passed over.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::NotANote)?;
        let known = VerifierList::new(vec![Box::new(self.verifier.clone())]);
        parsed.verify(&known).map_err(|error| match error {
            signed_note::NoteError::UnverifiedNote => CheckpointError::OtherKey {
                key_name: self.name_and_hash(),
                signers: signers(note),
            },
            signed_note::NoteError::MalformedNote
            | signed_note::NoteError::InvalidSigner
            | signed_note::NoteError::InvalidSignature { .. }
            | signed_note::NoteError::MismatchedVerifier
            | signed_note::NoteError::VerificationError(_)
            | signed_note::NoteError::SignatureError(_) => CheckpointError::NotSigned {
                key_name: self.name_and_hash(),
            },
        })?;
        let signed = Checkpoint::parse(parsed.text())?;
        if signed.log_id != self.log_id {
            return Err(CheckpointError::OtherLog {
                log_id: signed.log_id,
            });
        }
        Ok(signed)
    }
}

/// The names at the signatures of a note and the hashes of their keys.
fn signers(note: &str) -> Vec<String> {
    let (_, signatures) = note.rsplit_once("\n\n").unwrap_or_default();
    let signatures = signatures.lines().map(str::as_bytes);
    signatures
        .filter_map(|line| signed_note::Signature::from_bytes(line).ok())
        .map(|signature| format!("{}+{:08x}", signature.name(), signature.id()))
        .collect()
}

impl FromStr for VerifierKey {
    type Err = NotAVerifierKey;

    fn from_str(text: &str) -> Result<Self, NotAVerifierKey> {
        let text = text.trim();
        let verifier = StandardVerifier::new(text).map_err(|_| NotAVerifierKey)?;
        Ok(Self {
            log_id: log_id_of(verifier.name()).ok_or(NotAVerifierKey)?,
            text: text.to_owned(),
            verifier,
        })
    }
}

impl PartialEq for VerifierKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{key::testing, *};

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            log_id: testing::LOG_ID,
            size: 3,
            root: [7; 32],
        }
    }

    #[test]
    fn the_bytes_of_a_checkpoint_never_change() {
        let key = testing::key();
        assert_eq!(
            key.verifier_key().to_string(),
            "strata/07070707-0707-0707-0707-070707070707+9d4d9255\
             +AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
        );
        assert_eq!(
            checkpoint().signed_by(&key),
            "strata/07070707-0707-0707-0707-070707070707\n\
             3\n\
             BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\
             \n\
             \u{2014} strata/07070707-0707-0707-0707-070707070707 \
             nU2SVf6hEDqNcte14swb+JQb+TDqr99MfdC0MBj7kW3BrEEadBi/DXdBF+DNS1rC0HBHIYG9W93+NIUkYq8XnU3BQg0=\n"
        );
    }

    #[test]
    fn a_signed_checkpoint_is_read_back_with_the_public_key() {
        let key = testing::key();
        let public: VerifierKey = key.verifier_key().to_string().parse().expect("a key");
        let note = checkpoint().signed_by(&key);
        assert_eq!(public.verify(&note), Ok(checkpoint()));
        // A witness may sign beside.
        let witness = "\u{2014} example.com/witness AAAAAAAAAAAA\n";
        assert_eq!(public.verify(&(note + witness)), Ok(checkpoint()));
    }

    #[test]
    fn a_checkpoint_that_was_changed_is_not_believed() {
        let key = testing::key();
        let public = key.verifier_key();
        let note = checkpoint().signed_by(&key);
        for (from, to) in [("\n3\n", "\n4\n"), ("BwcH", "CAgI"), ("0707-", "0708-")] {
            assert!(note.contains(from), "{from}");
            let changed = note.replacen(from, to, 1);
            let refused = public.verify(&changed).expect_err(from);
            assert!(
                matches!(refused, CheckpointError::NotSigned { .. }),
                "{refused}"
            );
        }
        for cut in 0..note.len() {
            if let Some(cut) = note.get(..cut) {
                assert_eq!(public.verify(cut), Err(CheckpointError::NotANote));
            }
        }
    }

    #[test]
    fn a_checkpoint_of_another_key_is_not_believed() {
        let (key, other) = (testing::key(), testing::other_key());
        let refused = key.verifier_key().verify(&checkpoint().signed_by(&other));
        let refused = refused.expect_err("it is of another key");
        assert!(
            matches!(refused, CheckpointError::OtherKey { .. }),
            "{refused}"
        );
        // Nor is what the key signed, if it is no checkpoint of its log.
        let foreign = Checkpoint {
            log_id: [9; 16],
            ..checkpoint()
        };
        let refused = key.verifier_key().verify(&foreign.signed_by(&key));
        assert_eq!(refused, Err(CheckpointError::OtherLog { log_id: [9; 16] }));
        let refused = key
            .verifier_key()
            .verify(&key.sign(b"the moon is made of cheese\n"));
        assert_eq!(refused, Err(CheckpointError::NotACheckpoint));
    }

    #[test]
    fn a_key_is_named_without_its_bytes_even_where_they_hold_a_plus() {
        let named = |seed: u8| {
            let key = SigningKey::from_seed(testing::LOG_ID, &[seed; 32]);
            let (text, name) = (
                key.verifier_key().to_string(),
                key.verifier_key().name_and_hash(),
            );
            let (rest, bytes) = text.split_at(name.len());
            assert!(rest == name && bytes.starts_with('+'), "{text}: {name}");
            bytes.matches('+').count() > 1
        };
        assert!((0..=u8::MAX).any(named), "no key with a plus was tried");
    }

    #[test]
    fn what_is_no_verifier_key_is_refused() {
        let text = testing::key().verifier_key().to_string();
        let example = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        for wrong in ["", "strata/", example, &text[1..], &text[..text.len() - 1]] {
            assert!(VerifierKey::from_str(wrong).is_err(), "{wrong}");
        }
        assert!(VerifierKey::from_str(&format!("{text}\n")).is_ok());
    }
}
