//! The messages of sled's file, read byte by byte as sled 0.34.7 reads them when it recovers. A
//! message is a checksum, a kind, a length, the number of its segment, the number of a page and a
//! body; numbers are little-endian or of sled's own variable length.

use super::super::SEGMENT_BYTES;

/// The header of a segment, in bytes.
pub(super) const SEGMENT_HEADER_BYTES: usize = 20;

/// Nothing begins within so many bytes of the end of a segment.
const RED_ZONE_BYTES: usize = 32;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Canceled,
    Cap,
    BatchManifest,
    Free,
    Counter,
    Meta,
    Node,
    Link,
    /// The body is in a file of its own.
    Blob,
}

/// A whole message.
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    pub(super) page: u64,
    pub(super) body: &'a [u8],
    /// Its length with its header.
    pub(super) bytes: usize,
}

/// A header as it stands there, not yet checked against its body.
struct Header {
    crc: u32,
    kind: Option<Kind>,
    body_bytes: usize,
    segment: u64,
    page: u64,
    bytes: usize,
}

/// Whether a message may begin so far into a segment.
pub(super) const fn may_begin_at(at: usize) -> bool {
    at >= SEGMENT_HEADER_BYTES && at <= SEGMENT_BYTES - RED_ZONE_BYTES
}

/// How many bytes the message that begins here says it has.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let header = header(bytes)?;
    header.bytes.checked_add(header.body_bytes)
}

/// The message that begins here, if it is whole and of that segment.
pub(super) fn read(bytes: &[u8], segment: u64) -> Option<Message<'_>> {
    // Looked at first, for it is the cheapest.
    let header = header(bytes).filter(|header| header.segment == segment)?;
    let end = header.bytes.checked_add(header.body_bytes)?;
    let body = bytes.get(header.bytes..end)?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(body);
    crc.update(bytes.get(4..header.bytes)?);
    let whole = !crc.finalize() == header.crc;
    Some(Message {
        kind: header.kind.filter(|_| whole)?,
        page: header.page,
        body,
        bytes: end,
    })
}

/// The whole messages of a segment that begin somewhere behind `at`, and where each does.
pub(super) fn behind(
    bytes: &[u8],
    at: usize,
    segment: u64,
) -> impl Iterator<Item = (usize, Message<'_>)> {
    let mut at = at;
    std::iter::from_fn(move || {
        loop {
            at += 1;
            if !may_begin_at(at) {
                return None;
            }
            let read = bytes.get(at..).and_then(|rest| read(rest, segment));
            if let Some(message) = read {
                let begin = at;
                at += message.bytes - 1;
                return Some((begin, message));
            }
        }
    })
}

fn header(bytes: &[u8]) -> Option<Header> {
    let mut fields = Fields(bytes);
    let crc = u32::from_le_bytes(*fields.take(4)?.first_chunk()?);
    let kind = kind(fields.byte()?);
    let body_bytes = usize::try_from(fields.number()?).ok()?;
    let segment = fields.number()?;
    let page = fields.number()?;
    Some(Header {
        crc,
        kind,
        body_bytes,
        segment,
        page,
        bytes: bytes.len() - fields.0.len(),
    })
}

fn kind(byte: u8) -> Option<Kind> {
    Some(match byte {
        1 => Kind::Canceled,
        2 => Kind::Cap,
        3 => Kind::BatchManifest,
        4 => Kind::Free,
        5 => Kind::Counter,
        6 => Kind::Meta,
        8 => Kind::Node,
        10 => Kind::Link,
        7 | 9 | 11 => Kind::Blob,
        // Zero stands where nothing was written.
        _ => return None,
    })
}

/// What is left of some bytes, taken field by field; nothing where they end too early.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A fixed eight bytes.
    pub(super) fn fixed(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    /// One to nine bytes.
    pub(super) fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        Some(match first {
            0..=240 => u64::from(first),
            241..=248 => 240 + 256 * u64::from(first - 241) + u64::from(self.byte()?),
            249 => 2288 + 256 * u64::from(self.byte()?) + u64::from(self.byte()?),
            250.. => {
                let taken = self.take(usize::from(first - 247))?;
                let mut bytes = [0; 8];
                bytes.get_mut(..taken.len())?.copy_from_slice(taken);
                u64::from_le_bytes(bytes)
            }
        })
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}
