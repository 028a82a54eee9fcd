//! Reading a backup and checking all of it: bytes go in as they come, from a file or a connection,
//! and what they hold comes out block by block. Only what reached the end without a flaw is a
//! backup; memory is bounded by a block.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::{
    BLOCK_BYTES_MAX, FORMAT, FRAME_BYTES, Flaw, HEAD_BYTES, HEADER_BYTES, Header, Kind, MAGIC,
    MAGIC_WORDS, POSITION_MAX, TRAILER_BYTES, Trailer, commit_checksum, head_checksum,
};
use crate::{
    commit::leaf_hash,
    journal::{COMMIT_BYTES_MAX, Entry, LogId},
    merkle::Frontier,
};

/// How much of a file is read at a time, in bytes.
const READ_BYTES: usize = 256 << 10;

/// What a file holds, in this order: a header, any number of times commits, a trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What it stands on.
    Header(Header),
    /// Consecutive commits, at least one. They share memory.
    Commits(Vec<Entry>),
    /// Where it leads. All that came before is whole.
    Trailer(Trailer),
}

/// What is known of a file that was read to its end without a flaw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// What it stands on.
    pub header: Header,
    /// Where it leads.
    pub trailer: Trailer,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not a whole backup.
    #[error(transparent)]
    Flawed(#[from] Flaw),
    /// The operating system refused.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// A file that is being read, whoever brings its bytes.
pub struct Decoder {
    /// What came and was not taken yet.
    buffer: BytesMut,
    /// Where in the file the buffer begins.
    offset: u64,
    digest: Sha256,
    expected: Expected,
    header: Option<Header>,
    trailer: Option<Trailer>,
    /// The log's tree up to the last commit read.
    tree: Frontier,
}

#[derive(Clone, Copy)]
enum Expected {
    Magic,
    Header,
    CommitsOrTrailer,
    /// The file has ended.
    Nothing,
}

/// A file that is read from its beginning to its end.
pub struct Reader<R> {
    source: R,
    chunk: Vec<u8>,
    decoder: Decoder,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            offset: 0,
            digest: Sha256::new(),
            expected: Expected::Magic,
            header: None,
            trailer: None,
            tree: Frontier::default(),
        }
    }
}

impl Decoder {
    /// Takes in the next bytes of the file. Ask for each [`part`](Self::part) before more are taken
    /// in: what is not taken out stays in memory.
    pub fn take_in(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The position of the last commit read; that before the first one of the file at its beginning.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.tree.size()
    }

    /// How many bytes were read and checked.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.offset
    }

    /// The next part; nothing until more bytes were taken in.
    pub fn part(&mut self) -> Result<Option<Part>, Flaw> {
        let part = match self.expected {
            Expected::Magic => {
                if !self.take_magic()? {
                    return Ok(None);
                }
                self.expected = Expected::Header;
                return self.part();
            }
            Expected::Nothing if self.buffer.is_empty() => return Ok(None),
            Expected::Nothing => return Err(self.damaged("there are bytes behind its end")),
            Expected::Header | Expected::CommitsOrTrailer => self.block()?,
        };
        Ok(part)
    }

    /// Says that there are no more bytes. Nothing may be left that [`part`](Self::part) would answer.
    pub fn finish(&self) -> Result<Whole, Flaw> {
        match (&self.header, self.trailer) {
            (Some(header), Some(trailer)) => Ok(Whole {
                header: header.clone(),
                trailer,
            }),
            _ => Err(Flaw::Incomplete {
                byte: self.offset + self.buffer.len() as u64,
                position: self.position(),
            }),
        }
    }

    /// Whether the file begins as it must, once enough of it is there.
    fn take_magic(&mut self) -> Result<bool, Flaw> {
        if self.buffer.starts_with(MAGIC) {
            self.digest.update(MAGIC);
            self.offset = MAGIC.len() as u64;
            self.buffer.advance(MAGIC.len());
            return Ok(true);
        }
        if MAGIC.starts_with(&self.buffer) {
            return Ok(false);
        }
        match format_number(&self.buffer) {
            Some(found) if found != FORMAT => Err(Flaw::OtherFormat {
                found,
                supported: FORMAT,
            }),
            Some(_) | None => Err(Flaw::NotABackup),
        }
    }

    /// The next block, once all of it is there.
    fn block(&mut self) -> Result<Option<Part>, Flaw> {
        let Some((kind, length, checksum)) = self.head()? else {
            return Ok(None);
        };
        if self.buffer.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        let block = self.buffer.split_to(HEAD_BYTES + length).freeze();
        let payload = block.slice(HEAD_BYTES..);
        let part = match (kind, self.expected) {
            (Kind::Header, Expected::Header) => {
                self.confirm(&payload, checksum)?;
                self.header(payload).map(Part::Header)?
            }
            (Kind::Commits, Expected::CommitsOrTrailer) => {
                // Commit by commit first, which says where the damage is.
                let entries = self.entries(payload.clone())?;
                self.confirm(&payload, checksum)?;
                for entry in &entries {
                    self.tree.push(leaf_hash(&entry.commit));
                }
                Part::Commits(entries)
            }
            (Kind::Trailer, Expected::CommitsOrTrailer) => {
                self.confirm(&payload, checksum)?;
                self.trailer(payload).map(Part::Trailer)?
            }
            (Kind::Header | Kind::Commits | Kind::Trailer, _) => {
                return Err(self.damaged("a block of another kind belongs here"));
            }
        };
        self.digest.update(&block);
        self.offset += block.len() as u64;
        self.expected = match part {
            Part::Header(_) | Part::Commits(_) => Expected::CommitsOrTrailer,
            Part::Trailer(_) => Expected::Nothing,
        };
        Ok(Some(part))
    }

    /// The kind, the length and the checksum of the next block's payload.
    fn head(&self) -> Result<Option<(Kind, usize, u32)>, Flaw> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let (checked, mut checksum) = head.split_at(HEAD_BYTES - 4);
        if checksum.get_u32() != head_checksum(self.offset, checked) {
            return Err(self.damaged("the head of a block is not what was written here"));
        }
        let mut fields = checked;
        let kind = Kind::of(fields.get_u8());
        let length = usize::try_from(fields.get_u32()).ok();
        match (kind, length.filter(|length| *length <= BLOCK_BYTES_MAX)) {
            (Some(kind), Some(length)) => Ok(Some((kind, length, fields.get_u32()))),
            (None, _) => Err(self.damaged("a block is of an unknown kind")),
            (_, None) => Err(self.damaged("a block is longer than any that is written")),
        }
    }

    fn confirm(&self, payload: &[u8], checksum: u32) -> Result<(), Flaw> {
        if crc32c::crc32c(payload) == checksum {
            Ok(())
        } else {
            Err(self.damaged("a block is not what was written"))
        }
    }

    fn header(&mut self, mut payload: Bytes) -> Result<Header, Flaw> {
        if payload.len() < HEADER_BYTES || !(payload.len() - HEADER_BYTES).is_multiple_of(32) {
            return Err(self.damaged("the header has another length"));
        }
        let mut log_id = [0; 16];
        payload.copy_to_slice(&mut log_id);
        let from_position = payload.get_u64();
        let made_at_seconds = payload.get_u64();
        let subtrees = payload.as_chunks::<32>().0.to_vec();
        let before = from_position
            .checked_sub(1)
            .filter(|size| *size <= POSITION_MAX)
            .and_then(|size| Frontier::from_subtrees(size, subtrees))
            .ok_or_else(|| self.damaged("the header makes no sense"))?;
        self.tree = before.clone();
        let header = Header {
            log_id: LogId::from_bytes(log_id),
            before,
            made_at_seconds,
        };
        self.header = Some(header.clone());
        Ok(header)
    }

    fn entries(&self, payload: Bytes) -> Result<Vec<Entry>, Flaw> {
        let mut rest = payload;
        let whole = rest.len();
        if rest.try_get_u64() != Ok(self.position() + 1) {
            return Err(self.damaged("the commits of another position stand here"));
        }
        let mut entries = Vec::new();
        for position in self.position() + 1.. {
            if rest.is_empty() {
                break;
            }
            let damaged = |what| Flaw::Damaged {
                byte: self.offset + (HEAD_BYTES + whole - rest.len()) as u64,
                position: Some(position),
                what,
            };
            if rest.len() < FRAME_BYTES {
                return Err(damaged("the commit is cut"));
            }
            let mut frame = rest.slice(..FRAME_BYTES);
            let (length, checksum) = (frame.get_u32(), frame.get_u32());
            let end = usize::try_from(length)
                .ok()
                .filter(|length| *length <= COMMIT_BYTES_MAX)
                .map(|length| FRAME_BYTES + length)
                .filter(|end| *end <= rest.len())
                .ok_or_else(|| damaged("the length of the commit is not what was written"))?;
            let commit = rest.slice(FRAME_BYTES..end);
            if commit_checksum(position, &commit) != checksum {
                return Err(damaged("the commit is not what was written"));
            }
            rest.advance(end);
            entries.push(Entry { position, commit });
        }
        if entries.is_empty() {
            return Err(self.damaged("a block holds no commit"));
        }
        Ok(entries)
    }

    fn trailer(&mut self, mut payload: Bytes) -> Result<Trailer, Flaw> {
        if payload.len() != TRAILER_BYTES {
            return Err(self.damaged("the trailer has another length"));
        }
        let (head, count) = (payload.get_u64(), payload.get_u64());
        let (mut root, mut digest) = ([0; 32], [0; 32]);
        payload.copy_to_slice(&mut root);
        payload.copy_to_slice(&mut digest);
        let before = self
            .header
            .as_ref()
            .map_or(0, |header| header.before.size());
        if head != self.position() || Some(count) != head.checked_sub(before) {
            return Err(self.damaged("commits are missing or are too many"));
        }
        if root != self.tree.root() {
            return Err(self.damaged("the commits are not those that the root at its end is of"));
        }
        if digest != <[u8; 32]>::from(self.digest.clone().finalize()) {
            return Err(self.damaged("its blocks are not all of one file"));
        }
        let trailer = Trailer { head, count, root };
        self.trailer = Some(trailer);
        Ok(trailer)
    }

    /// Damage in the block that begins where the checked bytes end.
    fn damaged(&self, what: &'static str) -> Flaw {
        Flaw::Damaged {
            byte: self.offset,
            position: None,
            what,
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads a file from its beginning.
    pub fn new(source: R) -> Self {
        Self {
            source,
            chunk: vec![0; READ_BYTES],
            decoder: Decoder::default(),
        }
    }

    /// The next part; nothing at the end of the file, when all of it is known to be whole.
    pub fn part(&mut self) -> Result<Option<Part>, ReadError> {
        loop {
            if let Some(part) = self.decoder.part()? {
                return Ok(Some(part));
            }
            let bytes = match self.source.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if bytes == 0 {
                self.decoder.finish()?;
                return Ok(None);
            }
            self.decoder
                .take_in(self.chunk.get(..bytes).unwrap_or_default());
        }
    }

    /// What the file is, once there is no further [`part`](Self::part).
    pub fn finish(&self) -> Result<Whole, ReadError> {
        Ok(self.decoder.finish()?)
    }

    /// How many bytes were read and checked.
    pub fn bytes(&self) -> u64 {
        self.decoder.bytes()
    }
}

/// The number in the first line of a backup of another format.
fn format_number(buffer: &[u8]) -> Option<u64> {
    let number = buffer.strip_prefix(MAGIC_WORDS)?;
    let line = number.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.parse().ok()
}
