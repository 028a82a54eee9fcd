//! What sled would take for the log when it opens, found without writing: its recovery done over
//! again on its file. sled ends the log, or leaves out the rest of a segment, where it cannot read
//! on, writes zeros over what it left out, and says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::ControlFlow;

use super::super::SEGMENT_BYTES;
use super::messages::{self, Kind, SEGMENT_HEADER_BYTES};
use super::pages::{Place, Snapshot, Table};
use super::tree::{self, Flaw, Tree};

const SEGMENT: u64 = SEGMENT_BYTES as u64;

/// How many positions before the mark are read at each start, however sled was stopped: what a last
/// write that went wrong may have hit, and the page to which the next one is added.
const TAIL_POSITIONS: u64 = 64;

/// The header of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Its place in the log, in bytes: a multiple of the length of a segment.
    pub(super) lsn: u64,
    /// Up to where the log was safe when it was begun.
    pub(super) stable: Option<u64>,
    /// Where it begins in the file.
    pub(super) offset: u64,
}

/// What was found.
pub(super) struct Found {
    /// The last position.
    pub(super) head: u64,
    /// Whether sled's snapshot is of use.
    pub(super) snapshot: bool,
}

/// Why sled must not open the file.
pub(super) struct Refusal {
    /// The positions from 1 on that can be read.
    pub(super) whole: u64,
    /// What ends them; nothing if the log just ends there.
    pub(super) flaw: Option<Flaw>,
}

/// Finds the end of the log that sled would open, and checks what leads to it: all that came after
/// sled's snapshot, or all if there is none.
///
/// A snapshot only saves time. If it does not lead to the mark, the file is read without it.
pub(super) fn find(
    file: &File,
    segments: &[Segment],
    snapshot: Option<Snapshot>,
    marked: u64,
) -> Result<Found, Refusal> {
    let with = snapshot.map(|snapshot| recover(file, segments, Some(snapshot)));
    let refused = match with.map(|recovered| judge(file, recovered, marked)) {
        Some(Ok(head)) => {
            return Ok(Found {
                head,
                snapshot: true,
            });
        }
        Some(Err(refusal)) => Some(refusal),
        None => None,
    };
    match (judge(file, recover(file, segments, None), marked), refused) {
        (Ok(head), _) => Ok(Found {
            head,
            snapshot: false,
        }),
        (Err(without), Some(with)) if with.whole >= without.whole => Err(with),
        (Err(without), Some(_) | None) => Err(without),
    }
}

/// The pages as sled would know them.
pub(super) struct Recovered {
    pub(super) table: Table,
    /// Pages that got a value after the snapshot; nothing where there was none.
    changed: Option<BTreeSet<u64>>,
    /// What sled would not survive.
    flaw: Option<String>,
}

fn judge(file: &File, recovered: Recovered, marked: u64) -> Result<u64, Refusal> {
    let Recovered {
        table,
        changed,
        flaw,
    } = recovered;
    let tree = Tree {
        file,
        table: &table,
    };
    let from = changed.map_or(1, |changed| {
        let firsts = changed.iter().filter_map(|page| tree.first_position(*page));
        let tail = marked.saturating_sub(TAIL_POSITIONS).max(1);
        firsts.fold(tail, u64::min)
    });
    match (tree.head(from), flaw) {
        (Ok(head), None) if head >= marked => Ok(head),
        (Ok(head), flaw) => Err(Refusal {
            whole: tree.whole(),
            flaw: flaw.map(|what| Flaw {
                what,
                position: head + 1,
            }),
        }),
        (Err(flaw), _) => Err(Refusal {
            whole: tree.whole(),
            flaw: Some(flaw),
        }),
    }
}

/// Does what sled does: finds where the log ends, then takes in the messages up to there.
pub(super) fn recover(file: &File, segments: &[Segment], snapshot: Option<Snapshot>) -> Recovered {
    let end = snapshot.as_ref().map(|snapshot| snapshot.end);
    let begin = snapshot.as_ref().map_or(0, Snapshot::segment);
    let mut table = snapshot.map(|snapshot| snapshot.table).unwrap_or_default();
    let mut changed = BTreeSet::new();
    let mut flaw = None;
    let used = || segments.iter().filter(|segment| segment.lsn >= begin);
    let order: BTreeMap<u64, u64> = used().map(|s| (s.lsn, s.offset)).collect();
    let (tail, torn) = tail(
        &order,
        used().filter_map(|s| s.stable).fold(begin, u64::max),
    );
    let ended = Walk {
        file,
        stop: torn,
        to_the_first_tear: true,
    }
    .over(&tail, |_, _, _| ControlFlow::Continue(()));
    // Where the snapshot ends with its segment, the next one may not be there yet.
    if let Some(end) = end
        && ended.unwrap_or(begin) < end
    {
        flaw = Some("the storage file cannot be read up to where it was written".into());
    }
    let walk = Walk {
        file,
        stop: Some(ended.unwrap_or(0).saturating_sub(1)),
        to_the_first_tear: false,
    };
    walk.over(&order, |kind, page, place| {
        if place.lsn < end.unwrap_or(0) {
            return ControlFlow::Continue(());
        }
        if kind == Kind::Link {
            changed.insert(page);
        }
        if kind == Kind::Blob || !table.take(kind, page, place) {
            flaw = Some(format!(
                "the storage file holds something that was not written by stratad at byte {}",
                place.offset
            ));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    if let Some(page) = table.absent() {
        flaw = flaw.or(Some(format!(
            "page {page} of the storage engine is missing"
        )));
    }
    Recovered {
        table,
        changed: end.map(|_| changed),
        flaw,
    }
}

/// The segments at the end of the log that follow each other, and where one is missing.
fn tail(order: &BTreeMap<u64, u64>, stable: u64) -> (BTreeMap<u64, u64>, Option<u64>) {
    let mut expected = stable / SEGMENT * SEGMENT;
    let mut tail = BTreeMap::new();
    for (lsn, offset) in order.range(expected..) {
        if *lsn != expected {
            return (tail, Some(expected));
        }
        tail.insert(*lsn, *offset);
        expected += SEGMENT;
    }
    (tail, None)
}

/// One way through segments.
struct Walk<'a> {
    file: &'a File,
    /// Nothing that begins behind it is read.
    stop: Option<u64>,
    /// Whether the walk ends where a message is not whole, or goes on in the next segment.
    to_the_first_tear: bool,
}

impl Walk<'_> {
    /// Hands on each message that is about a page, and returns where the last one ended; nothing if
    /// no segment could be read.
    fn over(
        &self,
        segments: &BTreeMap<u64, u64>,
        mut take: impl FnMut(Kind, u64, Place) -> ControlFlow<()>,
    ) -> Option<u64> {
        let mut ended = None;
        let mut bytes = vec![0; SEGMENT_BYTES];
        for (&begin, &offset) in segments {
            if self.stop.is_some_and(|stop| begin > stop) {
                break;
            }
            bytes.fill(0);
            tree::read_up_to(self.file, &mut bytes, offset)?;
            let mut at = SEGMENT_HEADER_BYTES;
            loop {
                let lsn = begin + at as u64;
                ended = Some(lsn);
                if !messages::may_begin_at(at) {
                    break;
                }
                if self.stop.is_some_and(|stop| lsn > stop) {
                    return ended;
                }
                let message = bytes
                    .get(at..)
                    .and_then(|rest| messages::read(rest, begin / SEGMENT));
                let Some(message) = message else {
                    if self.to_the_first_tear {
                        return ended;
                    }
                    break;
                };
                match message.kind {
                    Kind::Cap => break,
                    Kind::Canceled => {}
                    Kind::BatchManifest => {
                        let last = messages::Fields(message.body).fixed();
                        let last = last.and_then(|last| u64::try_from(last).ok());
                        if last > self.stop && self.stop.is_some() {
                            return ended;
                        }
                    }
                    kind @ (Kind::Free
                    | Kind::Counter
                    | Kind::Meta
                    | Kind::Node
                    | Kind::Link
                    | Kind::Blob) => {
                        let place = Place {
                            lsn,
                            offset: offset + at as u64,
                        };
                        if take(kind, message.page, place).is_break() {
                            return ended;
                        }
                    }
                }
                at += message.bytes;
            }
        }
        ended
    }
}
