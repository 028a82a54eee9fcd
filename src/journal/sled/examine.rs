//! Reading a data directory without opening it: nothing is written, sled is not asked, and what is
//! damaged is passed over, so that of a log which is refused it can be told what is whole.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;

use super::super::home::reading;
use super::super::{Entry, HighWater, JournalError, Left, LogId, high_water, pack};
use super::SledJournal;
use super::preflight::whole::{self, Damage, Log};

/// A data directory that was looked at. No daemon opens it for as long as this lives.
pub struct Examined {
    /// The log; nothing if no file tells which it is.
    pub log_id: Option<LogId>,
    /// What was acknowledged last, at least; nothing if that cannot be read.
    pub mark: Option<HighWater>,
    /// What is wrong with the directory, in words.
    pub damage: Vec<String>,
    log: Option<Log>,
    _lock: Option<File>,
}

/// What stands at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A commit that is whole.
    Commit(Entry),
    /// Something that is not what was written.
    Damaged {
        /// Where it begins.
        position: u64,
        /// What was found.
        what: String,
    },
}

impl SledJournal {
    /// Looks at a data directory and reads what can be read of its log. It refuses one that another
    /// process holds, and one whose restore has not ended; damage is no error.
    pub fn examine(dir: &Path) -> Result<Examined, JournalError> {
        let lock = reading::hold(dir)?;
        reading::refuse_restoring(dir)?;
        let mut damage = Damage::default();
        let named = damage.note(reading::log_id(dir))?;
        let mut mark = None;
        if let Some((found, wrong)) = damage.note(high_water::read(&dir.join("high-water")))? {
            mark = Some(found);
            if let Some(what) = wrong {
                damage.add(what);
            }
        }
        if let (Some(expected), Some(mark)) = (named, mark)
            && mark.log_id != expected
        {
            let found = mark.log_id;
            damage.add(JournalError::OtherLog { found, expected }.found());
        }
        let marked = mark.map_or(0, |mark| mark.position);
        let log = whole::find(&dir.join("journal"), marked, &mut damage)?;
        Ok(Examined {
            log_id: named.or(mark.map(|mark| mark.log_id)),
            mark,
            damage: damage.0,
            log,
            _lock: lock,
        })
    }
}

impl Examined {
    /// What can be read, each position at most once and in order, a page of the log in memory at a
    /// time. Positions that are left out are missing.
    pub fn read(&self) -> impl Iterator<Item = Read> + '_ {
        let values = self.log.iter().flat_map(Log::values);
        let mut next = 1;
        let reads = values.flat_map(|(first, value)| unpacked(first, &Bytes::from(value)));
        reads.filter(move |read| {
            let position = match read {
                Read::Commit(entry) => entry.position,
                Read::Damaged { position, .. } => *position,
            };
            let is_new = position >= next;
            next = next.max(position.saturating_add(1));
            is_new
        })
    }

    /// The positions from 1 on that are whole.
    #[must_use]
    pub fn whole(&self) -> u64 {
        let in_order = (1..).zip(self.read()).take_while(
            |(expected, read)| matches!(read, Read::Commit(entry) if entry.position == *expected),
        );
        in_order.last().map_or(0, |(position, _)| position)
    }
}

/// The commits of a stored value, or what is wrong with it.
fn unpacked(first: u64, value: &Bytes) -> Vec<Read> {
    let frames = match pack::decode(first, value) {
        Ok(frames) => frames,
        Err(flaw) => {
            return vec![Read::Damaged {
                position: first,
                what: flaw.to_string(),
            }];
        }
    };
    let read = |(position, range): (u64, Result<_, pack::Flaw>)| match range {
        Ok(range) => Read::Commit(Entry {
            position,
            commit: value.slice(range),
        }),
        Err(flaw) => Read::Damaged {
            position,
            what: flaw.to_string(),
        },
    };
    (first..).zip(frames).map(read).collect()
}

impl SledJournal {
    /// Adds to a refusal what is whole in the directory, which nobody has open. Where that cannot be
    /// told, the refusal speaks for itself.
    #[must_use]
    pub fn told(dir: &Path, refusal: JournalError) -> JournalError {
        if !refusal.is_damage() {
            return refusal;
        }
        let Ok(examined) = SledJournal::examine(dir) else {
            return refusal;
        };
        let left = Left {
            dir: dir.to_owned(),
            whole: examined.whole(),
            marked: examined.mark.map(|mark| mark.position),
        };
        if left.whole == 0 && matches!(refusal, JournalError::OtherFormat { .. }) {
            // The log of another format may be whole, and look otherwise.
            return refusal;
        }
        JournalError::Refused {
            refusal: Box::new(refusal),
            left,
        }
    }
}
