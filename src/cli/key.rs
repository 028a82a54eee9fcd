//! `stratad key`: shows the public half of the key that signs checkpoints, and carries the secret
//! half out of the data directory and back. It is in no backup of the log, so that whoever gets one
//! cannot sign in the log's name.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use crate::{
    cli::data_dir::{DataDir, NoLog, refuse_no_log},
    config::ConfigError,
    journal::{self, JournalError, LogId},
    notary::{
        VerifierKey,
        key::{FILE_NAME, KeyError, SigningKey},
    },
    telemetry,
};

/// What `stratad key` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do with it.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Whose key.
    #[command(flatten)]
    pub data_dir: DataDir,
}

/// What can be done with the key.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print the public key, by which auditors check checkpoints. What `stratad key` does by itself
    Show,
    /// Copy the secret key to a new file that only you may read
    Backup {
        /// The file; one that exists is not overwritten.
        file: PathBuf,
    },
    /// Put a secret key back, while no daemon runs on the data directory
    Restore {
        /// The file that `stratad key backup` wrote.
        file: PathBuf,
        /// Put it in the place of another key, which is lost then
        #[arg(long)]
        replace: bool,
    },
}

/// Why the key was not shown, copied or put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyCommandError {
    /// The data directory cannot be told.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no log.
    #[error(transparent)]
    NoLog(#[from] NoLog),
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] JournalError),
    /// The key cannot be read or written.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no key yet.
    #[error(
        "there is no signing key in {}: `stratad serve` makes one when it starts, or put one back \
         by `stratad key restore FILE`",
        dir.display()
    )]
    NoKey {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file to be written is there already.
    #[error("{} exists and is not overwritten: choose another name", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// The file to be put back holds no key.
    #[error(
        "{} is not a signing key of stratad: give the file that `stratad key backup` wrote",
        file.display()
    )]
    NotAKey {
        /// The file.
        file: PathBuf,
    },
    /// The file to be put back holds the public key.
    #[error(
        "{} holds the public key, by which nothing can be signed: give the file with the secret key \
         that `stratad key backup` wrote",
        file.display()
    )]
    PublicKey {
        /// The file.
        file: PathBuf,
    },
    /// The key to be put back is that of another log.
    #[error(
        "{} is the key of log {found}, and the data directory holds log {expected}: give the key \
         that was backed up from this one",
        file.display()
    )]
    OtherLog {
        /// The file.
        file: PathBuf,
        /// The log of the key.
        found: LogId,
        /// The log of the directory.
        expected: LogId,
    },
    /// The data directory has another key.
    #[error(
        "the data directory has another signing key, {present}; auditors who know that one will not \
         believe what {restored} signs; to put it in its place all the same, add --replace"
    )]
    OtherKey {
        /// The public half of the key that is there.
        present: String,
        /// The public half of the key that was given.
        restored: String,
    },
    /// The public key cannot be printed.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// What `stratad key --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Show the public key of a log, and keep its secret key safe.

The daemon signs checkpoints (strata.v1.AuditService/GetCheckpoint) with a key of the log's own, \
made at the first start. `stratad key` prints its public half on one line: hand that to those who \
audit the log, when the log begins and not by the daemon. It works beside a running daemon.

The secret half is in no backup of the log. Copy it with `stratad key backup` to where you keep \
secrets, and put it back with `stratad key restore` after restoring the log: without it a new key \
is made at the next start, which auditors have to be told.";

/// What `stratad key --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad key
  stratad key --data-dir /var/lib/strata > strata.pub
  stratad key backup strata.secret --data-dir /var/lib/strata
  stratad key restore strata.secret --data-dir /var/lib/strata";

/// Shows, copies or puts back the key.
pub fn run(arguments: &Arguments) -> Result<(), KeyCommandError> {
    telemetry::init_client();
    let dir = arguments.data_dir.resolve()?;
    refuse_no_log(&dir)?;
    match &arguments.action {
        None | Some(Action::Show) => {
            let key = read(&dir)?;
            writeln!(io::stdout(), "{}", key.verifier_key()).map_err(KeyCommandError::Output)
        }
        Some(Action::Backup { file }) => backup(&dir, file),
        Some(Action::Restore { file, replace }) => restore(&dir, file, *replace),
    }
}

fn read(dir: &Path) -> Result<SigningKey, KeyCommandError> {
    let log_id = journal::log_id_of(dir)?;
    match SigningKey::read(&dir.join(FILE_NAME), *log_id.as_bytes()) {
        Err(KeyError::Missing { .. }) => Err(KeyCommandError::NoKey {
            dir: dir.to_owned(),
        }),
        read => Ok(read?),
    }
}

fn backup(dir: &Path, file: &Path) -> Result<(), KeyCommandError> {
    let key = read(dir)?;
    // A link that leads nowhere is there too.
    if fs::symlink_metadata(file).is_ok() {
        return Err(KeyCommandError::Exists {
            file: file.to_owned(),
        });
    }
    key.write_new(file)?;
    say(&format!(
        "the secret key of {} is in {}: keep it where you keep secrets",
        key.verifier_key(),
        file.display()
    ));
    Ok(())
}

fn restore(dir: &Path, file: &Path, replace: bool) -> Result<(), KeyCommandError> {
    // Held to the end, so that no daemon starts with the old key meanwhile.
    let held = journal::hold(dir)?;
    let key = read_backup(file, held.log_id())?;
    let path = dir.join(FILE_NAME);
    match SigningKey::read(&path, *held.log_id().as_bytes()) {
        Ok(present) if present.verifier_key() == key.verifier_key() => {
            say("the data directory has this key already");
            return Ok(());
        }
        Ok(present) if !replace => {
            return Err(KeyCommandError::OtherKey {
                present: present.verifier_key().to_string(),
                restored: key.verifier_key().to_string(),
            });
        }
        Err(error @ (KeyError::Io { .. } | KeyError::NoRandomness(_))) => return Err(error.into()),
        // What signs nothing for this log is no loss.
        Ok(_)
        | Err(KeyError::Missing { .. } | KeyError::Damaged { .. } | KeyError::OtherLog { .. }) => {}
    }
    key.replace(&path)?;
    say(&format!(
        "the log signs with {} from now on",
        key.verifier_key()
    ));
    Ok(())
}

fn read_backup(file: &Path, log_id: LogId) -> Result<SigningKey, KeyCommandError> {
    SigningKey::read(file, *log_id.as_bytes()).map_err(|error| match error {
        KeyError::Damaged { path } if is_public(&path) => KeyCommandError::PublicKey { file: path },
        KeyError::Damaged { path } => KeyCommandError::NotAKey { file: path },
        KeyError::OtherLog { path, found, .. } => KeyCommandError::OtherLog {
            file: path,
            found: LogId::from_bytes(found),
            expected: log_id,
        },
        KeyError::Io { .. } | KeyError::Missing { .. } | KeyError::NoRandomness(_) => error.into(),
    })
}

/// Whether a file, of which it is known that it is no secret key, holds a public one.
fn is_public(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.parse::<VerifierKey>().is_ok())
}

/// It is done whether or not anyone reads this.
fn say(what: &str) {
    writeln!(io::stderr(), "{what}").ok();
}
