//! Where the pages of sled's tree lie in its file: the table that sled keeps in memory, made from
//! the snapshot it left and the messages after it.

use std::fs;
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
    /// Nothing was read of it. sled panics if that stays so.
    Absent,
    Free,
    Present {
        base: Place,
        /// Changes of the base, in order.
        links: Vec<Place>,
    },
}

/// Pages by number.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Page>);

impl Table {
    pub(super) fn get(&self, number: u64) -> Option<&Page> {
        self.0.get(usize::try_from(number).ok()?)
    }

    /// How many page numbers are known.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn absent(&self) -> Option<usize> {
        self.0.iter().position(|page| *page == Page::Absent)
    }

    /// Takes in a message of a page, as sled does. Says no if the number cannot be one.
    pub(super) fn take(&mut self, kind: Kind, number: u64, place: Place) -> bool {
        // A page takes more bytes than one in the file, so that a larger number is none.
        let Some(index) = usize::try_from(number).ok().filter(|n| *n < PAGES_MAX) else {
            return false;
        };
        match kind {
            Kind::Node | Kind::Counter | Kind::Meta => {
                let links = Vec::new();
                *self.slot(index) = Page::Present { base: place, links };
            }
            Kind::Free => *self.slot(index) = Page::Free,
            Kind::Link => {
                // Without its base, which was rewritten later on, it says nothing.
                if let Some(Page::Present { base, links }) = self.0.get_mut(index)
                    && links.last().unwrap_or(base).lsn < place.lsn
                {
                    links.push(place);
                }
            }
            Kind::Canceled | Kind::Cap | Kind::BatchManifest | Kind::Blob => {}
        }
        true
    }

    fn slot(&mut self, index: usize) -> &mut Page {
        if self.0.len() <= index {
            self.0.resize(index + 1, Page::Absent);
        }
        &mut self.0[index]
    }
}

/// sled's own bound of page numbers is far above what a file has room for.
const PAGES_MAX: usize = 1 << 37;

/// What sled wrote when it opened last, so that it need not read all of its file.
pub(super) struct Snapshot {
    /// The log sequence number up to which it goes.
    pub(super) end: u64,
    pub(super) table: Table,
}

impl Snapshot {
    /// Reads the snapshot in a file; nothing if it is not what was written.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let (rest, crc) = bytes.split_last_chunk::<4>()?;
        let (body, _length) = rest.split_last_chunk::<8>()?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
            return None;
        }
        let mut fields = Fields(body);
        // Both are shifted by one, so that zero is none.
        let end = u64::try_from(fields.fixed()?.checked_sub(1)?).ok()?;
        fields.number()?;
        let mut pages = Vec::new();
        while !fields.is_empty() {
            pages.push(page(&mut fields)?);
        }
        Some(Self {
            end,
            table: Table(pages),
        })
    }

    /// Where the segment begins in which it ends; sled reads the log from there.
    pub(super) fn segment(&self) -> u64 {
        self.end / SEGMENT_BYTES as u64 * SEGMENT_BYTES as u64
    }
}

fn page(fields: &mut Fields<'_>) -> Option<Page> {
    let count = fields.byte()?;
    if count == 0 {
        place(fields)?;
        return Some(Page::Free);
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
