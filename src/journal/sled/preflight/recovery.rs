//! What sled would take for the log when it opens, found without writing: its recovery done over
//! again on its file. sled ends the log, or leaves out the rest of a segment, where it cannot read
//! on, writes zeros over what it left out, and says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use super::super::SEGMENT_BYTES;
use super::messages::{self, Kind, Message, SEGMENT_HEADER_BYTES};
use super::pages::{Place, Snapshot, Table};
use super::tree::{self, Fault, Flaw, Tree};

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
) -> Result<Found, Fault<Refusal>> {
    let found = |head, snapshot| Found { head, snapshot };
    let refused = match snapshot {
        None => None,
        Some(snapshot) => match judge(file, recover(file, segments, Some(snapshot))?, marked) {
            Ok(head) => return Ok(found(head, true)),
            // What could not be read once is no reason to do without the snapshot.
            Err(Fault::Io(error)) => return Err(Fault::Io(error)),
            Err(Fault::Flaw(refusal)) => Some(refusal),
        },
    };
    match (judge(file, recover(file, segments, None)?, marked), refused) {
        (Ok(head), _) => Ok(found(head, false)),
        (Err(Fault::Flaw(without)), Some(with)) if with.whole >= without.whole => {
            Err(Fault::Flaw(with))
        }
        (Err(fault), Some(_) | None) => Err(fault),
    }
}

/// The pages as sled would know them.
pub(super) struct Recovered {
    pub(super) table: Table,
    /// Pages that got a value after the snapshot; nothing where there was none.
    changed: Option<BTreeSet<u64>>,
    /// What sled would not survive, or what it would pass over.
    flaw: Option<String>,
}

fn judge(file: &File, recovered: Recovered, marked: u64) -> Result<u64, Fault<Refusal>> {
    let Recovered {
        table,
        changed,
        flaw,
    } = recovered;
    let tree = Tree {
        file,
        table: &table,
    };
    let mut from = 1;
    if let Some(changed) = changed {
        from = marked.saturating_sub(TAIL_POSITIONS).max(1);
        for page in changed {
            let first = tree.first_position(page)?;
            from = first.map_or(from, |first| from.min(first));
        }
    }
    let flaw = match (tree.head(from), flaw) {
        (Ok(head), None) if head >= marked => return Ok(head),
        (Ok(head), flaw) => flaw.map(|what| Flaw {
            what,
            position: head + 1,
        }),
        (Err(Fault::Flaw(flaw)), _) => Some(flaw),
        (Err(Fault::Io(error)), _) => return Err(Fault::Io(error)),
    };
    let whole = tree.whole()?;
    Err(Fault::Flaw(Refusal { whole, flaw }))
}

/// Does what sled does: finds where the log ends, then takes in the messages up to there.
pub(super) fn recover(
    file: &File,
    segments: &[Segment],
    snapshot: Option<Snapshot>,
) -> io::Result<Recovered> {
    let end = snapshot.as_ref().map(|snapshot| snapshot.end);
    let begin = snapshot.as_ref().map_or(0, Snapshot::segment);
    let table = snapshot.map(|snapshot| snapshot.table).unwrap_or_default();
    let used = || segments.iter().filter(|segment| segment.lsn >= begin);
    let order: BTreeMap<u64, u64> = used().map(|s| (s.lsn, s.offset)).collect();
    let (tail, torn) = tail(
        &order,
        used().filter_map(|s| s.stable).fold(begin, u64::max),
    );
    let to_the_end = Walk {
        file,
        stop: torn,
        to_the_first_tear: true,
    };
    let ended = to_the_end.over(&tail, |_| ControlFlow::Continue(()))?;
    // Where the snapshot ends with its segment, the next one may not be there yet.
    let short = end.is_some_and(|end| ended.unwrap_or(begin) < end);
    let mut taken = Taken {
        begin: end.unwrap_or(0),
        table,
        changed: BTreeSet::new(),
        behind_tears: BTreeMap::new(),
        foreign: None,
    };
    let walk = Walk {
        file,
        stop: Some(ended.unwrap_or(0).saturating_sub(1)),
        to_the_first_tear: false,
    };
    walk.over(&order, |met| taken.take(met))?;
    let flaw = short
        .then(|| "the storage file cannot be read up to where it was written".to_owned())
        .or_else(|| taken.flaw(segments));
    Ok(Recovered {
        table: taken.table,
        changed: end.map(|_| taken.changed),
        flaw,
    })
}

/// What came of the messages up to the end of the log.
struct Taken {
    /// The snapshot has what came before.
    begin: u64,
    table: Table,
    changed: BTreeSet<u64>,
    /// The last place of each page among the whole messages behind a tear.
    behind_tears: BTreeMap<u64, Place>,
    /// Where something begins that was not written by us.
    foreign: Option<u64>,
}

impl Taken {
    fn take(&mut self, met: Met) -> ControlFlow<()> {
        let Met {
            kind,
            page,
            place,
            behind_a_tear,
        } = met;
        if place.lsn < self.begin {
            return ControlFlow::Continue(());
        }
        if behind_a_tear {
            self.behind_tears.insert(page, place);
            return ControlFlow::Continue(());
        }
        if kind == Kind::Blob {
            self.foreign = Some(place.offset);
            return ControlFlow::Break(());
        }
        if kind == Kind::Link {
            self.changed.insert(page);
        }
        self.table.take(kind, page, place);
        ControlFlow::Continue(())
    }

    /// What sled would not survive, or what it would pass over without a word.
    fn flaw(&self, segments: &[Segment]) -> Option<String> {
        if let Some(offset) = self.foreign {
            let what = "the storage file holds something that was not written by stratad at byte";
            return Some(format!("{what} {offset}"));
        }
        if let Some(page) = self.table.absent() {
            return Some(format!("page {page} of the storage engine is missing"));
        }
        // sled writes over a segment that is free, and its head last if power fails: what is left
        // behind such a tear was written anew elsewhere. All else behind a tear is lost by it.
        let lost = |(page, place): &(&u64, &Place)| !self.table.supersedes(**page, place.lsn);
        if let Some((_, Place { offset, .. })) = self.behind_tears.iter().find(lost) {
            return Some(format!(
                "the storage file is damaged before byte {offset}, in the middle of the log"
            ));
        }
        // A page of the snapshot that moved, and of whose move nothing is known, points into a
        // segment that may have been written anew.
        let lsns: BTreeMap<u64, u64> = segments.iter().map(|s| (s.offset, s.lsn)).collect();
        let segment = |at: u64| at / SEGMENT * SEGMENT;
        let stale = |place: &Place| lsns.get(&segment(place.offset)) != Some(&segment(place.lsn));
        self.table.places().find(stale).map(|Place { offset, .. }| {
            format!("the storage file no longer holds what was written at byte {offset}")
        })
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

/// A message about a page.
#[derive(Clone, Copy)]
struct Met {
    kind: Kind,
    page: u64,
    place: Place,
    /// Whether sled does not come to it, for what is before it in its segment is not whole.
    behind_a_tear: bool,
}

/// One way through segments.
struct Walk<'a> {
    file: &'a File,
    /// Nothing that begins behind it is read.
    stop: Option<u64>,
    /// Whether the walk ends where a message is not whole, or goes on in the next segment.
    to_the_first_tear: bool,
}

/// A segment as it was read.
struct Read<'a> {
    bytes: &'a [u8],
    lsn: u64,
    offset: u64,
}

impl Read<'_> {
    fn place(&self, at: usize) -> Place {
        Place {
            lsn: self.lsn + at as u64,
            offset: self.offset + at as u64,
        }
    }

    fn message(&self, at: usize) -> Option<Message<'_>> {
        messages::read(self.bytes.get(at..)?, self.lsn / SEGMENT)
    }
}

impl Walk<'_> {
    /// Hands on each message that is about a page, and returns where the last one ended; nothing if
    /// there is no segment.
    fn over(
        &self,
        segments: &BTreeMap<u64, u64>,
        mut take: impl FnMut(Met) -> ControlFlow<()>,
    ) -> io::Result<Option<u64>> {
        let mut ended = None;
        let mut bytes = vec![0; SEGMENT_BYTES];
        for (&lsn, &offset) in segments {
            if self.is_behind_the_end(lsn) {
                break;
            }
            bytes.fill(0);
            tree::read_up_to(self.file, &mut bytes, offset)?;
            let segment = Read {
                bytes: &bytes,
                lsn,
                offset,
            };
            let (at, flow) = self.through(&segment, &mut take);
            ended = Some(segment.place(at).lsn);
            if flow.is_break() {
                break;
            }
        }
        Ok(ended)
    }

    /// Returns where in the segment it came to, and whether to go on with the next.
    fn through(
        &self,
        segment: &Read<'_>,
        take: &mut impl FnMut(Met) -> ControlFlow<()>,
    ) -> (usize, ControlFlow<()>) {
        let mut at = SEGMENT_HEADER_BYTES;
        while messages::may_begin_at(at) {
            let place = segment.place(at);
            if self.is_behind_the_end(place.lsn) {
                return (at, ControlFlow::Break(()));
            }
            let Some(message) = segment.message(at) else {
                if self.to_the_first_tear {
                    return (at, ControlFlow::Break(()));
                }
                self.hand_on_behind(segment, at, take);
                break;
            };
            if message.kind == Kind::Cap {
                break;
            }
            if self.ends_at(&message) || hand_on(&message, place, false, take).is_break() {
                return (at, ControlFlow::Break(()));
            }
            at += message.bytes;
        }
        (at, ControlFlow::Continue(()))
    }

    fn hand_on_behind(
        &self,
        segment: &Read<'_>,
        tear: usize,
        take: &mut impl FnMut(Met) -> ControlFlow<()>,
    ) {
        for (at, message) in messages::behind(segment.bytes, tear, segment.lsn / SEGMENT) {
            let place = segment.place(at);
            if self.is_behind_the_end(place.lsn) || hand_on(&message, place, true, take).is_break()
            {
                return;
            }
        }
    }

    fn is_behind_the_end(&self, lsn: u64) -> bool {
        self.stop.is_some_and(|stop| lsn > stop)
    }

    /// Whether it begins a batch that is not there to its end.
    fn ends_at(&self, message: &Message<'_>) -> bool {
        message.kind == Kind::BatchManifest
            && messages::Fields(message.body)
                .fixed()
                .and_then(|last| u64::try_from(last).ok())
                .is_some_and(|last| self.is_behind_the_end(last))
    }
}

/// Hands on a message if it is about a page.
fn hand_on(
    message: &Message<'_>,
    place: Place,
    behind_a_tear: bool,
    take: &mut impl FnMut(Met) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match message.kind {
        Kind::Canceled | Kind::Cap | Kind::BatchManifest => ControlFlow::Continue(()),
        Kind::Free | Kind::Counter | Kind::Meta | Kind::Node | Kind::Link | Kind::Blob => {
            take(Met {
                kind: message.kind,
                page: message.page,
                place,
                behind_a_tear,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(lsn: u64, offset: u64) -> Place {
        Place { lsn, offset }
    }

    fn segment(lsn: u64, offset: u64) -> Segment {
        Segment {
            lsn,
            stable: None,
            offset,
        }
    }

    /// After a page that is in the second segment.
    fn taken() -> Taken {
        let mut table = Table::default();
        table.take(Kind::Meta, 0, place(SEGMENT + 20, SEGMENT + 20));
        Taken {
            begin: SEGMENT,
            table,
            changed: BTreeSet::new(),
            behind_tears: BTreeMap::new(),
            foreign: None,
        }
    }

    #[test]
    fn a_page_in_a_segment_that_was_written_anew_or_cleared_is_a_flaw() {
        let mut taken = taken();
        let segments = [segment(0, 0), segment(SEGMENT, SEGMENT)];
        assert_eq!(taken.flaw(&segments), None);
        let reused = [segment(0, 0), segment(7 * SEGMENT, SEGMENT)];
        assert!(taken.flaw(&reused).is_some());
        assert!(taken.flaw(&segments[..1]).is_some());
        // So is a change of it, and a page that is free.
        taken.table.take(Kind::Link, 0, place(3 * SEGMENT + 20, 20));
        assert!(taken.flaw(&segments).is_some());
        taken.table.take(Kind::Free, 0, place(4 * SEGMENT + 20, 20));
        assert!(taken.flaw(&segments).is_some());
    }

    #[test]
    fn what_is_behind_a_tear_is_a_flaw_unless_it_was_written_anew() {
        let segments = [segment(SEGMENT, SEGMENT)];
        let behind = |lsn| Met {
            kind: Kind::Link,
            page: 0,
            place: place(lsn, lsn),
            behind_a_tear: true,
        };
        for (lsn, is_flaw) in [
            // The snapshot has it.
            (SEGMENT - 20, false),
            (SEGMENT + 19, false),
            (SEGMENT + 21, true),
        ] {
            let mut taken = taken();
            assert!(taken.take(behind(lsn)).is_continue());
            assert_eq!(taken.flaw(&segments).is_some(), is_flaw, "{lsn}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_damage() {
        let dir = tempfile::tempdir().expect("a directory");
        // A directory opens like a file, and has no bytes.
        let unreadable = File::open(dir.path()).expect("opened");
        let segments = [segment(0, 0)];
        for snapshot in [true, false] {
            let snapshot = snapshot.then(|| Snapshot {
                end: 20,
                table: Table::default(),
            });
            let found = find(&unreadable, &segments, snapshot, 1);
            assert!(matches!(found, Err(Fault::Io(_))));
        }
        // Nor is a page of the tree that cannot be read.
        let mut table = taken().table;
        table.take(Kind::Counter, 1, place(20, 20));
        let tree = Tree {
            file: &unreadable,
            table: &table,
        };
        assert!(matches!(tree.head(1), Err(Fault::Io(_))));
        assert!(tree.whole().is_err());
    }
}
