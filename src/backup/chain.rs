//! Backup files as they stand on a disk: each checked whole, and a full one with its incremental ones
//! put into a chain that leads from the first commit to the last without a gap.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    Flaw, Header, Trailer,
    decode::{Part, ReadError, Reader, Whole},
};
use crate::journal::{Entry, LogId};

/// A file that was read to its end and found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Where it is.
    pub path: PathBuf,
    /// What it stands on.
    pub header: Header,
    /// Where it leads.
    pub trailer: Trailer,
    /// How long it is.
    pub bytes: u64,
}

/// Files that lead from the first commit of a log to its last one without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    earlier: Vec<Checked>,
    last: Checked,
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The operating system refused.
    #[error("{} cannot be read: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A file is not whole.
    #[error("{} cannot be used: {flaw}", path.display())]
    Flawed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// No file was named.
    #[error("no backup was named")]
    NoFiles,
    /// No file begins with the first commit.
    #[error(
        "the full backup is missing: the earliest file, {}, begins at position {from_position}; \
         name the files from the full one on",
        path.display()
    )]
    NoBase {
        /// The earliest file.
        path: PathBuf,
        /// Where it begins.
        from_position: u64,
    },
    /// Two files are of different logs.
    #[error(
        "{} is a backup of log {log_id}, and {} of log {other_id}: name the files of one log",
        path.display(),
        other.display()
    )]
    OtherLog {
        /// A file.
        path: PathBuf,
        /// Its log.
        log_id: LogId,
        /// Another file.
        other: PathBuf,
        /// The other's log.
        other_id: LogId,
    },
    /// What lies between two files is missing.
    #[error(
        "the backup of positions {from} to {to} is missing between {} and {}",
        before.display(),
        behind.display()
    )]
    Gap {
        /// The first position that is missing.
        from: u64,
        /// The last one.
        to: u64,
        /// The file before.
        before: PathBuf,
        /// The file behind.
        behind: PathBuf,
    },
    /// Two files hold the same positions.
    #[error(
        "{} ends at position {head}, and {} begins at {from_position}: each is to begin behind the \
         end of another, so leave one out",
        before.display(),
        behind.display()
    )]
    Overlap {
        /// The file that begins first.
        before: PathBuf,
        /// Where it ends.
        head: u64,
        /// The other.
        behind: PathBuf,
        /// Where that begins.
        from_position: u64,
    },
    /// Two files are of histories that went different ways.
    #[error(
        "{} does not go on from {}: up to position {position} they hold different commits, so the \
         log was restored or rewritten between the two",
        behind.display(),
        before.display()
    )]
    Diverged {
        /// The file before.
        before: PathBuf,
        /// The file behind.
        behind: PathBuf,
        /// Where one ends and the other begins.
        position: u64,
    },
    /// Two files hold different commits under the same position.
    #[error(
        "LOG_DIVERGED: {} and {} hold two different commits at position {position}: the log was \
         restored or rewritten between the two; verify each by itself with a checkpoint that was \
         kept, to learn which is the log's",
        before.display(),
        behind.display()
    )]
    TwoHistories {
        /// The file that begins first.
        before: PathBuf,
        /// The other.
        behind: PathBuf,
        /// The first position at which they differ.
        position: u64,
    },
    /// A file was whole and is another now.
    #[error("{} changed while it was used: begin again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file to its end and hands on its commits; `progress` is told how many bytes were read.
/// What was handed on is believed only when this returns.
pub fn walk<E: From<ChainError>>(
    path: &Path,
    mut commits: impl FnMut(Vec<Entry>) -> Result<(), E>,
    mut progress: impl FnMut(u64),
) -> Result<Checked, E> {
    let cannot_use = |error| ChainError::of(path, error);
    let file = File::open(path).map_err(|error| cannot_use(ReadError::Io(error)))?;
    let mut reader = Reader::new(file);
    while let Some(part) = reader.part().map_err(cannot_use)? {
        if let Part::Commits(entries) = part {
            commits(entries)?;
        }
        progress(reader.bytes());
    }
    let Whole { header, trailer } = reader.finish().map_err(cannot_use)?;
    Ok(Checked {
        path: path.to_owned(),
        header,
        trailer,
        bytes: reader.bytes(),
    })
}

/// The first position from `from` to `to` at which two files hold different commits. Both are read
/// side by side.
fn first_difference(
    one: &Path,
    other: &Path,
    from: u64,
    to: u64,
) -> Result<Option<u64>, ChainError> {
    let (mut one, mut other) = (Entries::of(one)?, Entries::of(other)?);
    for position in from..=to {
        match (one.at(position)?, other.at(position)?) {
            (Some(one), Some(other)) if one.commit != other.commit => return Ok(Some(position)),
            (Some(_), Some(_)) => {}
            (None, _) | (_, None) => break,
        }
    }
    Ok(None)
}

/// The commits of a file, one after the other.
struct Entries<'a> {
    path: &'a Path,
    reader: Reader<File>,
    block: std::vec::IntoIter<Entry>,
}

impl<'a> Entries<'a> {
    fn of(path: &'a Path) -> Result<Self, ChainError> {
        let file = File::open(path).map_err(|error| ChainError::of(path, error.into()))?;
        Ok(Self {
            path,
            reader: Reader::new(file),
            block: Vec::new().into_iter(),
        })
    }

    /// The commit at a position behind that of the call before.
    fn at(&mut self, position: u64) -> Result<Option<Entry>, ChainError> {
        loop {
            if let Some(entry) = self.block.find(|entry| entry.position >= position) {
                return Ok(Some(entry));
            }
            let part = self.reader.part();
            match part.map_err(|error| ChainError::of(self.path, error))? {
                Some(Part::Commits(entries)) => self.block = entries.into_iter(),
                Some(Part::Header(_) | Part::Trailer(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

/// Reads a file to its end and says what it is.
pub fn check(path: &Path, progress: impl FnMut(u64)) -> Result<Checked, ChainError> {
    walk(path, |_| Ok(()), progress)
}

impl Chain {
    /// Puts files into the order of their positions. Each must go on where the one before ends, and
    /// the first begin with the first commit.
    pub fn link(mut files: Vec<Checked>) -> Result<Self, ChainError> {
        files.sort_by_key(|file| (file.header.from_position(), file.trailer.head));
        let mut earlier: Vec<Checked> = Vec::new();
        let mut last: Option<Checked> = None;
        for file in files {
            match last.take() {
                None if file.header.from_position() > 1 => {
                    return Err(ChainError::NoBase {
                        from_position: file.header.from_position(),
                        path: file.path,
                    });
                }
                None => {}
                Some(before) => {
                    before
                        .leads_to(&file.path, &file.header)
                        .map_err(ChainError::looked_into)?;
                    earlier.push(before);
                }
            }
            last = Some(file);
        }
        let last = last.ok_or(ChainError::NoFiles)?;
        Ok(Self { earlier, last })
    }

    /// The files in order.
    pub fn files(&self) -> impl Iterator<Item = &Checked> {
        self.earlier.iter().chain([&self.last])
    }

    /// The one that leads to the end.
    #[must_use]
    pub fn last(&self) -> &Checked {
        &self.last
    }
}

impl Checked {
    /// Whether another file begins where this one ends, and goes on with no other history.
    pub fn leads_to(&self, behind: &Path, header: &Header) -> Result<(), ChainError> {
        let (ends, begins) = (self.trailer.head, header.from_position());
        let (before, behind) = (self.path.clone(), behind.to_owned());
        if self.header.log_id != header.log_id {
            return Err(ChainError::OtherLog {
                path: before,
                log_id: self.header.log_id,
                other: behind,
                other_id: header.log_id,
            });
        }
        if begins > ends + 1 {
            return Err(ChainError::Gap {
                from: ends + 1,
                to: begins - 1,
                before,
                behind,
            });
        }
        if begins <= ends {
            return Err(ChainError::Overlap {
                before,
                head: ends,
                behind,
                from_position: begins,
            });
        }
        if header.before.root() != self.trailer.root {
            return Err(ChainError::Diverged {
                before,
                behind,
                position: ends,
            });
        }
        Ok(())
    }
}

impl ChainError {
    /// For two files that hold the same positions: whether they are of one history there.
    #[must_use]
    pub fn looked_into(self) -> Self {
        let Self::Overlap {
            before,
            head,
            behind,
            from_position,
        } = &self
        else {
            return self;
        };
        match first_difference(before, behind, *from_position, *head) {
            Ok(None) => self,
            Ok(Some(position)) => Self::TwoHistories {
                before: before.clone(),
                behind: behind.clone(),
                position,
            },
            Err(error) => error,
        }
    }

    /// Whether the log itself is at fault, and not how files were named.
    #[must_use]
    pub fn is_divergence(&self) -> bool {
        matches!(self, Self::TwoHistories { .. } | Self::Diverged { .. })
    }

    fn of(path: &Path, error: ReadError) -> Self {
        let path = path.to_owned();
        match error {
            ReadError::Flawed(flaw) => Self::Flawed { path, flaw },
            ReadError::Io(error) => Self::Io { path, error },
        }
    }
}
