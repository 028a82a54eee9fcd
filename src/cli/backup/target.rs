//! The file that a backup is to become, and what stands in its place: nothing is replaced that is no
//! backup, or that holds what the new one does not.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::{Arguments, BackupError};
use crate::{
    backup::{
        Trailer,
        chain::{self, Checked},
        decode::Part,
    },
    commit::leaf_hash,
    merkle::Frontier,
};

/// What a backup of any format begins with.
const BEGINNING: &[u8] = b"strata backup ";

/// The backup in whose place the new one is to be put; nothing if none is there.
pub(super) fn replaced(arguments: &Arguments) -> Result<Option<Checked>, BackupError> {
    let path = arguments.file.as_path();
    let not_a_file = |what| BackupError::NotAFile {
        path: path.to_owned(),
        what,
    };
    if path == Path::new("-") {
        return Err(not_a_file(
            "a backup is not written to standard output, as it must be whole before it is there",
        ));
    }
    let directory = directory_of(path);
    if !directory.is_dir() {
        return Err(BackupError::NoDirectory {
            path: directory.to_owned(),
        });
    }
    // A link that leads nowhere is there too.
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|error| BackupError::Write {
            path: path.to_owned(),
            error,
        })?,
    };
    if path.is_dir() {
        return Err(not_a_file("this is a directory"));
    }
    if !arguments.overwrite {
        return Err(BackupError::Exists {
            path: path.to_owned(),
        });
    }
    if !found.is_file() || !begins_as_a_backup(path) {
        return Err(BackupError::NotReplaced {
            path: path.to_owned(),
        });
    }
    let previous = arguments
        .after
        .as_deref()
        .and_then(|it| fs::metadata(it).ok());
    if previous.is_some_and(|it| (it.dev(), it.ino()) == (found.dev(), found.ino())) {
        return Err(BackupError::ReplacesPrevious {
            path: path.to_owned(),
        });
    }
    chain::check(path, |_| {})
        .map(Some)
        .map_err(BackupError::Unreadable)
}

fn begins_as_a_backup(path: &Path) -> bool {
    let mut beginning = [0; BEGINNING.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && beginning == BEGINNING
}

/// The directory that a file stands in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        Some(_) | None => Path::new("."),
    }
}

/// Finds out, while a backup comes, whether it holds all of the one in whose place it is to be put.
pub(super) struct Replacement<'a> {
    old: &'a Checked,
    /// The log up to where the old one ends, as the new one has it.
    tree: Option<Frontier>,
}

impl<'a> Replacement<'a> {
    pub(super) fn of(old: &'a Checked) -> Self {
        Self { old, tree: None }
    }

    /// Takes in what came of the new one.
    pub(super) fn take_in(&mut self, part: &Part) {
        match part {
            Part::Header(header) => {
                let begins_in_time = header.from_position() <= self.old.header.from_position();
                let is_same_log = header.log_id == self.old.header.log_id;
                self.tree = (begins_in_time && is_same_log).then(|| header.before.clone());
            }
            Part::Commits(entries) => {
                let Some(tree) = &mut self.tree else {
                    return;
                };
                for entry in entries {
                    if entry.position <= self.old.trailer.head {
                        tree.push(leaf_hash(&entry.commit));
                    }
                }
            }
            Part::Trailer(_) => {}
        }
    }

    /// Whether it did, now that all of it came.
    pub(super) fn holds_all(&self) -> bool {
        let Trailer { head, root, .. } = self.old.trailer;
        let tree = self.tree.as_ref();
        tree.is_some_and(|tree| tree.size() == head && tree.root() == root)
    }
}
