//! What an auditor brings along: public keys, and checkpoints that were kept from before.

use std::{fs, io, path::PathBuf};

use super::{VerifyError, checker::Claim};
use crate::{
    journal::LogId,
    notary::{Checkpoint, CheckpointError, VerifierKey},
};

/// Keys and checkpoints are lines of text, in bytes; a longer file is neither.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What to say of a signature that nobody could check.
const UNCHECKED: &str = "signature not checked";

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
    signature: String,
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

    /// The checkpoint in a signed note, and what is to be said of its signature. Without a key it is
    /// taken as it is.
    pub(super) fn open(&self, note: &str) -> Result<(Checkpoint, String), CheckpointError> {
        // Whoever kept it may have lost its last line end, or added one.
        let note = format!("{}\n", note.trim_end());
        let mut refused = None;
        for key in &self.keys {
            match key.verify(&note) {
                Ok(checkpoint) => return Ok((checkpoint, format!("signed by {}", name_of(key)))),
                // That a signature of the very key is wrong says more than that there is none.
                Err(error) => match refused {
                    Some(CheckpointError::NotSigned { .. }) => {}
                    Some(_) | None => refused = Some(error),
                },
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok((Checkpoint::unverified(&note)?, UNCHECKED.to_owned())),
        }
    }

    /// What the checkpoints claim of this log. Keys and checkpoints of another are refused: what they
    /// say is nothing about this one.
    pub(super) fn claims(&self, log_id: LogId) -> Result<Vec<Claim>, VerifyError> {
        for key in &self.keys {
            refuse_other(&format!("--key {}", name_of(key)), key.log_id(), log_id)?;
        }
        let claim = |kept: &Claimed| {
            refuse_other(&kept.name, kept.checkpoint.log_id, log_id)?;
            Ok(Claim {
                name: kept.name.clone(),
                size: kept.checkpoint.size,
                root: kept.checkpoint.root,
                signature: kept.signature.clone(),
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

/// The key without its key: its name and its hash, as they stand at its signatures.
fn name_of(key: &VerifierKey) -> String {
    let text = key.to_string();
    let name = text.rsplit_once('+').map(|(name, _)| name.to_owned());
    name.unwrap_or(text)
}

/// A key as it is, or those in a file.
fn read_keys(text_or_path: &str) -> Result<Vec<VerifierKey>, VerifyError> {
    if let Ok(key) = text_or_path.parse() {
        return Ok(vec![key]);
    }
    let not_a_key = || VerifyError::Key {
        value: text_or_path.to_owned(),
    };
    let text = match read_text(&PathBuf::from(text_or_path)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_a_key()),
        Err(error) => {
            return Err(VerifyError::Unreadable {
                name: text_or_path.to_owned(),
                error,
            });
        }
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let keys: Vec<_> = lines
        .map(|line| line.parse().map_err(|_| not_a_key()))
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(not_a_key());
    }
    Ok(keys)
}

fn read_text(path: &PathBuf) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > FILE_BYTES_MAX {
        let why = format!("it has {length} bytes, and is neither a key nor a checkpoint");
        return Err(io::Error::other(why));
    }
    fs::read_to_string(path)
}
