//! Where the pages of sled's tree lie in its file: the table that sled keeps in memory, made from
//! the snapshot it left and the messages after it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::SEGMENT_BYTES;
use super::messages::{Fields, Kind};

/// A message: its log sequence number, and where it begins in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lsn: u64,
    pub(super) offset: u64,
}

/// What the table knows of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    Free(Place),
    Present {
        base: Place,
        /// Changes of the base, in order.
        links: Vec<Place>,
    },
}

impl Page {
    /// Where all lies that makes up the page.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let (base, links) = match self {
            Self::Free(place) => (*place, [].as_slice()),
            Self::Present { base, links } => (*base, links.as_slice()),
        };
        std::iter::once(base).chain(links.iter().copied())
    }
}

/// Pages by number. A message may say any number, so that no room is made for what lies between.
#[derive(Debug, Default)]
pub(super) struct Table {
    pages: BTreeMap<u64, Page>,
    /// sled panics if it has nothing of a page below this number.
    end: u64,
}

impl Table {
    pub(super) fn get(&self, number: u64) -> Option<&Page> {
        self.pages.get(&number)
    }

    /// The numbers of the pages of which something was read.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.pages.keys().copied()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.pages.values().flat_map(Page::places)
    }

    /// The first page of which nothing was read, and should have been.
    pub(super) fn absent(&self) -> Option<u64> {
        let mut expected = (0..).zip(self.pages.keys());
        let gap = expected.find(|(expected, number)| expected != *number);
        let first = gap.map_or(self.pages.len() as u64, |(expected, _)| expected);
        (first < self.end).then_some(first)
    }

    /// Takes in a message of a page, as sled does.
    pub(super) fn take(&mut self, kind: Kind, number: u64, place: Place) {
        match kind {
            Kind::Node | Kind::Counter | Kind::Meta => {
                let links = Vec::new();
                self.put(number, Page::Present { base: place, links });
            }
            Kind::Free => self.put(number, Page::Free(place)),
            Kind::Link => {
                // sled makes room up to it, and then takes back its own.
                self.end = self.end.max(number);
                // Without its base, which was rewritten later on, it says nothing.
                if let Some(Page::Present { base, links }) = self.pages.get_mut(&number)
                    && links.last().unwrap_or(base).lsn < place.lsn
                {
                    links.push(place);
                }
            }
            Kind::Canceled | Kind::Cap | Kind::BatchManifest | Kind::Blob => {}
        }
    }

    fn put(&mut self, number: u64, page: Page) {
        self.pages.insert(number, page);
        self.end = self.end.max(number.saturating_add(1));
    }

    /// Whether what a message at `lsn` said of a page was written anew after it.
    pub(super) fn supersedes(&self, number: u64, lsn: u64) -> bool {
        match self.get(number) {
            Some(Page::Present { base: last, .. } | Page::Free(last)) => last.lsn > lsn,
            None => false,
        }
    }
}

/// What sled wrote when it opened last, so that it need not read all of its file.
pub(super) struct Snapshot {
    /// The log sequence number up to which it goes.
    pub(super) end: u64,
    pub(super) table: Table,
}

impl Snapshot {
    /// Reads the snapshot in a file; nothing if it is not what was written.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        Ok(Self::decode(&fs::read(path)?))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (rest, crc) = bytes.split_last_chunk::<4>()?;
        let (body, _length) = rest.split_last_chunk::<8>()?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
            return None;
        }
        let mut fields = Fields(body);
        // Both are shifted by one, so that zero is none.
        let end = u64::try_from(fields.fixed()?.checked_sub(1)?).ok()?;
        fields.number()?;
        let mut table = Table::default();
        for number in 0.. {
            if fields.is_empty() {
                break;
            }
            table.put(number, page(&mut fields)?);
        }
        Some(Self { end, table })
    }

    /// Where the segment begins in which it ends; sled reads the log from there.
    pub(super) fn segment(&self) -> u64 {
        self.end / SEGMENT_BYTES as u64 * SEGMENT_BYTES as u64
    }
}

fn page(fields: &mut Fields<'_>) -> Option<Page> {
    let count = fields.byte()?;
    if count == 0 {
        return Some(Page::Free(place(fields)?));
    }
    let mut sized_place = || {
        let place = place(fields)?;
        fields.number()?;
        Some(place)
    };
    let base = sized_place()?;
    let links = (1..count).map(|_| sized_place()).collect::<Option<_>>()?;
    Some(Page::Present { base, links })
}

/// A pointer to a blob file is none of ours.
fn place(fields: &mut Fields<'_>) -> Option<Place> {
    let lsn = u64::try_from(fields.fixed()?).ok()?;
    (fields.byte()? == 0).then_some(())?;
    let offset = fields.number()?;
    Some(Place { lsn, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        lsn: 20,
        offset: 20,
    };

    #[test]
    fn no_room_is_made_up_to_a_page_whose_number_makes_no_sense() {
        for kind in [Kind::Node, Kind::Link, Kind::Free] {
            for number in [1 << 36, u64::MAX - 1, u64::MAX] {
                let mut table = Table::default();
                table.take(Kind::Meta, 0, PLACE);
                assert_eq!(table.absent(), None);
                table.take(kind, number, PLACE);
                assert_eq!(table.absent(), Some(1), "{kind:?} {number}");
            }
        }
    }

    #[test]
    fn a_page_is_superseded_by_what_is_later_and_whole() {
        let mut table = Table::default();
        table.take(Kind::Node, 0, PLACE);
        table.take(
            Kind::Link,
            0,
            Place {
                lsn: 40,
                offset: 40,
            },
        );
        assert!(table.supersedes(0, 19));
        assert!(!table.supersedes(0, 20) && !table.supersedes(0, 30));
        assert!(!table.supersedes(1, 19));
    }
}
