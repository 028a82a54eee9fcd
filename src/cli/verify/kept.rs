//! What an auditor brings along: public keys, and checkpoints that were kept from before.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    VerifyError,
    checker::{Claim, Signature, Witness},
};
use crate::{
    journal::LogId,
    notary::{Checkpoint, CheckpointError, VerifierKey},
};

/// Keys and checkpoints are lines of text, in bytes; a longer file is neither.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What a secret key of a signed note begins with.
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// What is to be said of anything that is no public key.
const NO_KEY: &str =
    "no public key, which is one line `strata/LOG-ID+HASH+KEY` as `stratad key` prints it";

/// What is to be said of a secret key, without showing it.
const SECRET: &str = "the SECRET key, by which anyone can sign in the log's name: show it to nobody, \
                      and give the public key that `stratad key` prints";

/// What an auditor brings along.
#[derive(Debug)]
pub(super) struct Kept {
    keys: Vec<VerifierKey>,
    checkpoints: Vec<Claimed>,
}

/// A checkpoint that was kept, and what is known of its signature.
#[derive(Debug)]
struct Claimed {
    name: String,
    checkpoint: Checkpoint,
    signature: Signature,
}

impl Kept {
    /// Reads keys, each a text or the name of a file with one a line, and files of a checkpoint each.
    pub(super) fn read(keys: &[String], checkpoints: &[PathBuf]) -> Result<Self, VerifyError> {
        let mut kept = Self {
            keys: Vec::new(),
            checkpoints: Vec::new(),
        };
        for key in keys {
            kept.keys.extend(read_keys(key)?);
        }
        for path in checkpoints {
            let name = path.display().to_string();
            let unreadable = |error| VerifyError::Unreadable {
                name: name.clone(),
                error,
            };
            let text = read_text(path).map_err(unreadable)?;
            let (checkpoint, signature) =
                kept.open(&text).map_err(|error| VerifyError::Checkpoint {
                    name: name.clone(),
                    error,
                })?;
            kept.checkpoints.push(Claimed {
                name,
                checkpoint,
                signature,
            });
        }
        Ok(kept)
    }

    /// Whether there is a key to check signatures with.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The keys that were given, by name and hash.
    pub(super) fn key_names(&self) -> String {
        let names: Vec<_> = self.keys.iter().map(VerifierKey::name_and_hash).collect();
        names.join(", ")
    }

    /// The checkpoint in a signed note, and what is known of its signature. Without a key it is
    /// taken as it is.
    pub(super) fn open(&self, note: &str) -> Result<(Checkpoint, Signature), CheckpointError> {
        // Whoever kept it may have lost its last line end, or added one.
        let note = format!("{}\n", note.trim_end());
        let mut refused = None;
        for key in &self.keys {
            match key.verify(&note) {
                Ok(checkpoint) => {
                    return Ok((checkpoint, Signature::Holds(key.name_and_hash())));
                }
                // That a signature of the very key is wrong says more than that there is none.
                Err(error) => match refused {
                    Some(CheckpointError::NotSigned { .. }) => {}
                    Some(_) | None => refused = Some(error),
                },
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok((Checkpoint::unverified(&note)?, Signature::NotChecked)),
        }
    }

    /// What the checkpoints claim of this log. Keys and checkpoints of another are refused: what they
    /// say is nothing about this one.
    pub(super) fn claims(&self, log_id: LogId) -> Result<Vec<Claim>, VerifyError> {
        for key in &self.keys {
            refuse_other(
                &format!("--key {}", key.name_and_hash()),
                key.log_id(),
                log_id,
            )?;
        }
        let claim = |kept: &Claimed| {
            refuse_other(&kept.name, kept.checkpoint.log_id, log_id)?;
            Ok(Claim {
                name: kept.name.clone(),
                size: kept.checkpoint.size,
                root: kept.checkpoint.root,
                witness: Witness::Auditor(kept.signature.clone()),
            })
        };
        self.checkpoints.iter().map(claim).collect()
    }
}

fn refuse_other(name: &str, found: [u8; 16], expected: LogId) -> Result<(), VerifyError> {
    let found = LogId::from_bytes(found);
    if found == expected {
        return Ok(());
    }
    Err(VerifyError::OtherLog {
        name: name.to_owned(),
        found,
        expected,
    })
}

/// A key as it is, or those in a file.
fn read_keys(text_or_path: &str) -> Result<Vec<VerifierKey>, VerifyError> {
    if let Ok(key) = text_or_path.parse() {
        return Ok(vec![key]);
    }
    if text_or_path.contains(SECRET_PREFIX) {
        return Err(VerifyError::SecretKey(format!("--key: this is {SECRET}")));
    }
    let not_a_key = |what: String| VerifyError::Key {
        value: text_or_path.to_owned(),
        what,
    };
    let text = match read_text(Path::new(text_or_path)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_a_key(format!(
                "there is no such file, and this is {NO_KEY}"
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(not_a_key(format!("the file is not UTF-8, and so {NO_KEY}")));
        }
        Err(error) => {
            return Err(VerifyError::Unreadable {
                name: text_or_path.to_owned(),
                error,
            });
        }
    };
    if text.contains(SECRET_PREFIX) {
        return Err(VerifyError::SecretKey(format!(
            "--key {text_or_path}: the file holds {SECRET}"
        )));
    }
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let keys: Vec<_> = lines
        .map(|(line, number)| {
            line.parse()
                .map_err(|_| not_a_key(format!("line {number} of the file is {NO_KEY}")))
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(not_a_key("the file is empty".to_owned()));
    }
    Ok(keys)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let why = format!(
            "it has more than {FILE_BYTES_MAX} bytes: it is neither a key nor a checkpoint"
        );
        return Err(io::Error::other(why));
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}
