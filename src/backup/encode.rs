//! Writing a backup: pieces in order, each a whole block, that together are the file. A piece is
//! made when it is asked for, so a slow reader costs the memory of one.

use bytes::{BufMut as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::{
    BLOCK_BYTES_MAX, FRAME_BYTES, HEAD_BYTES, HEADER_BYTES, Header, Kind, MAGIC, TRAILER_BYTES,
    commit_checksum, head_checksum,
};
use crate::{commit::leaf_hash, journal::Entry, merkle::Frontier};

/// A file that is being written.
pub struct Encoder {
    /// How many bytes of it there are.
    offset: u64,
    digest: Sha256,
    first: u64,
    /// The log's tree up to the last commit written.
    tree: Frontier,
}

impl Encoder {
    /// Begins a file; the bytes are its first piece.
    #[must_use]
    pub fn begin(header: &Header) -> (Self, Bytes) {
        let mut encoder = Self {
            offset: MAGIC.len() as u64,
            digest: Sha256::new_with_prefix(MAGIC),
            first: header.from_position(),
            tree: header.before.clone(),
        };
        let subtrees = header.before.subtrees();
        let mut payload = BytesMut::with_capacity(HEADER_BYTES + 32 * subtrees.len());
        payload.put_slice(header.log_id.as_bytes());
        payload.put_u64(header.from_position());
        payload.put_u64(header.made_at_seconds);
        for subtree in subtrees {
            payload.put_slice(subtree);
        }
        let block = encoder.block(Kind::Header, &payload);
        let piece = [MAGIC.as_slice(), block.as_ref()].concat().into();
        (encoder, piece)
    }

    /// The position of the last commit written.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.tree.size()
    }

    /// Takes as many commits off the front of `entries` as fit a piece, and makes it of them.
    ///
    /// # Panics
    ///
    /// If an entry is not the next of the log, or longer than a journal takes: a bug of the caller.
    pub fn commits(&mut self, entries: &mut &[Entry]) -> Bytes {
        let mut payload = BytesMut::with_capacity(BLOCK_BYTES_MAX);
        payload.put_u64(self.position() + 1);
        while let Some((entry, rest)) = entries.split_first() {
            if payload.len() + FRAME_BYTES + entry.commit.len() > BLOCK_BYTES_MAX {
                break;
            }
            assert_eq!(entry.position, self.position() + 1, "commits in order");
            payload.put_u32(length(&entry.commit));
            payload.put_u32(commit_checksum(entry.position, &entry.commit));
            payload.put_slice(&entry.commit);
            self.tree.push(leaf_hash(&entry.commit));
            *entries = rest;
        }
        self.block(Kind::Commits, &payload)
    }

    /// Ends the file; the bytes are its last piece.
    #[must_use]
    pub fn end(mut self) -> Bytes {
        let mut payload = BytesMut::with_capacity(TRAILER_BYTES);
        payload.put_u64(self.position());
        payload.put_u64(self.position() + 1 - self.first);
        payload.put_slice(&self.tree.root());
        payload.put_slice(&self.digest.clone().finalize());
        self.block(Kind::Trailer, &payload)
    }

    fn block(&mut self, kind: Kind, payload: &[u8]) -> Bytes {
        let mut block = BytesMut::with_capacity(HEAD_BYTES + payload.len());
        block.put_u8(kind as u8);
        block.put_u32(length(payload));
        block.put_u32(crc32c::crc32c(payload));
        block.put_u32(head_checksum(self.offset, &block));
        block.put_slice(payload);
        self.digest.update(&block);
        self.offset += block.len() as u64;
        block.freeze()
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("blocks and commits are bounded by kilobytes")
}
