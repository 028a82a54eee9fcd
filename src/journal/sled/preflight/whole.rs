//! What can be read of a log whether or not sled may open it: its files looked at as they are before
//! every start, and then read around what is damaged. Nothing is written.

use std::fs::File;
use std::io;
use std::path::Path;

use super::pages::{Snapshot, Table};
use super::recovery::{self, Found, Segment};
use super::tree::salvage::{Leaf, Value};
use super::tree::{Fault, Tree};
use super::{
    JournalError, check_conf, damaged_header, io_error, open, pack, read_through, refuse_blobs,
    refused, segments, snapshots,
};

/// How many damages are kept in words: more of them say nothing new.
const DAMAGE_MAX: usize = 200;

/// The log in a file, in order. It keeps where each page lies, and none of them.
pub(in super::super) struct Log {
    file: File,
    table: Table,
    leaves: Vec<Leaf>,
}

/// What is wrong with the files of a log.
#[derive(Debug, Default)]
pub(in super::super) struct Damage(pub(in super::super) Vec<String>);

impl Damage {
    /// Goes on behind damage, which is kept; another error is handed back.
    pub(in super::super) fn note<T>(
        &mut self,
        outcome: Result<T, JournalError>,
    ) -> Result<Option<T>, JournalError> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_damage() => {
                self.add(error.found());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(in super::super) fn add(&mut self, what: String) {
        let is_known = self.0.iter().any(|known| known.contains(&what));
        if self.0.len() < DAMAGE_MAX && !is_known {
            self.0.push(what);
        }
    }
}

/// Looks at the files of a log and finds what can be read of it; nothing if there is no log.
pub(in super::super) fn find(
    path: &Path,
    marked: u64,
    damage: &mut Damage,
) -> Result<Option<Log>, JournalError> {
    damage.note(check_conf(&path.join("conf")))?;
    damage.note(refuse_blobs(path))?;
    let db = path.join("db");
    let Some(file) = damage.note(open(&db))? else {
        return Ok(None);
    };
    let Some(headers) = damage.note(segments(&file, &db))? else {
        return Ok(None);
    };
    // An error of the disk is told as such, and not as damage.
    let reading = || io_error(format!("reading {}", db.display()));
    read_through::check(&file, &headers.whole, 0).map_err(reading())?;
    let snapshot = || {
        let newest = snapshots(path)?.pop();
        let read = newest.map(|newest| {
            Snapshot::read(&newest).map_err(io_error(format!("reading {}", newest.display())))
        });
        Ok::<_, JournalError>(read.transpose()?.flatten())
    };
    if let Some(start) = headers.damaged {
        damage.add(damaged_header(&db, start).found());
    }
    let mut leads_to_the_mark = false;
    match recovery::find(&file, &headers.whole, snapshot()?, marked) {
        Ok(Found { snapshot, .. }) => leads_to_the_mark = snapshot,
        Err(Fault::Flaw(refusal)) => damage.add(refused(&db, refusal, marked).found()),
        Err(Fault::Io(error)) => return Err(reading()(error)),
    }
    let recovered = |snapshot| Log::recovered(&file, &headers.whole, snapshot).map_err(reading());
    let mut log = recovered(snapshot()?)?;
    if !leads_to_the_mark {
        let without = recovered(None)?;
        if without.commits() > log.commits() {
            log = without;
        }
    }
    log.tree().leaves(|what| damage.add(what));
    Ok(Some(log))
}

impl Log {
    fn recovered(
        file: &File,
        segments: &[Segment],
        snapshot: Option<Snapshot>,
    ) -> io::Result<Self> {
        let table = recovery::recover(file, segments, snapshot)?.table;
        let leaves = Tree {
            file,
            table: &table,
        }
        .leaves(|_| {});
        Ok(Self {
            file: file.try_clone()?,
            table,
            leaves,
        })
    }

    fn tree(&self) -> Tree<'_> {
        Tree {
            file: &self.file,
            table: &self.table,
        }
    }

    /// The stored values in order, a page at a time.
    pub(in super::super) fn values(&self) -> impl Iterator<Item = Value> + '_ {
        let leaves = self.leaves.iter();
        leaves.flat_map(|leaf| self.tree().values(*leaf))
    }

    fn commits(&self) -> u64 {
        let frames = |(first, value): Value| match pack::decode(first, &value) {
            Ok(frames) => frames.flatten().count() as u64,
            Err(_) => 0,
        };
        self.values().map(frames).sum()
    }
}
