//! A commit as the log keeps it: encoded once when it is decided, and from then on handed around as
//! those bytes. What routing needs (plan, kinds of events) is read from them without decoding the
//! rest.

use bytes::{Buf as _, Bytes};
use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use sha2::{Digest as _, Sha256};

use crate::{domain::value::Id, proto};

/// The hash of a leaf of the log's Merkle tree.
pub type LeafHash = [u8; 32];

/// The field numbers of `Commit` that routing reads.
const PLAN_ID: u32 = 1;
const EVENTS: u32 = 8;
/// The first and last field numbers of the kinds in `Event`.
const KIND_FIRST: u32 = 10;
const KIND_LAST: u32 = 52;

/// What routing needs to know about a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The plan it is about.
    pub plan_id: Id,
    /// The kinds of its events, a bit each: the kind's field number in `Event` less 10.
    pub kinds: u64,
}

/// Stored bytes that are no commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACommit {
    /// They are no protobuf, or not one of a commit.
    #[error("the stored bytes do not decode as a commit: {0}")]
    Undecodable(#[from] DecodeError),
    /// A field ends before its length says.
    #[error("the stored bytes end in the middle of a field")]
    Truncated,
    /// No plan is named.
    #[error("the stored commit names no plan")]
    NoPlan,
}

/// Decodes a commit whole.
pub fn decode(commit: &Bytes) -> Result<proto::Commit, NotACommit> {
    Ok(proto::Commit::decode(commit.clone())?)
}

/// Reads the header of an encoded commit.
pub fn header(commit: &Bytes) -> Result<Header, NotACommit> {
    let mut rest = commit.clone();
    let mut plan_id = None;
    let mut kinds = 0;
    while rest.has_remaining() {
        let (tag, wire_type) = decode_key(&mut rest)?;
        match (tag, wire_type) {
            (PLAN_ID, WireType::LengthDelimited) => {
                let bytes = delimited(&mut rest)?;
                let text = std::str::from_utf8(&bytes).map_err(|_| NotACommit::NoPlan)?;
                plan_id = Some(Id::from(text));
            }
            (EVENTS, WireType::LengthDelimited) => kinds |= kind_bit(delimited(&mut rest)?)?,
            _ => skip_field(wire_type, tag, &mut rest, DecodeContext::default())?,
        }
    }
    Ok(Header {
        plan_id: plan_id.ok_or(NotACommit::NoPlan)?,
        kinds,
    })
}

/// RFC 6962: a leaf is hashed behind a zero byte, so that no leaf can pass for an inner node.
#[must_use]
pub fn leaf_hash(commit: &[u8]) -> LeafHash {
    Sha256::new()
        .chain_update([0])
        .chain_update(commit)
        .finalize()
        .into()
}

fn kind_bit(mut event: Bytes) -> Result<u64, NotACommit> {
    let mut bit = 0;
    while event.has_remaining() {
        let (tag, wire_type) = decode_key(&mut event)?;
        if (KIND_FIRST..=KIND_LAST).contains(&tag) {
            bit |= 1 << (tag - KIND_FIRST);
        }
        skip_field(wire_type, tag, &mut event, DecodeContext::default())?;
    }
    Ok(bit)
}

fn delimited(rest: &mut Bytes) -> Result<Bytes, NotACommit> {
    let length = usize::try_from(decode_varint(rest)?).map_err(|_| NotACommit::Truncated)?;
    if length > rest.len() {
        return Err(NotACommit::Truncated);
    }
    Ok(rest.split_to(length))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto;

    #[test]
    fn a_header_is_read_without_decoding_the_commit() {
        let event = |kind| proto::Event {
            revision: 1,
            kind: Some(kind),
            ..Default::default()
        };
        let commit = proto::Commit {
            plan_id: "growth".into(),
            first_revision: 1,
            events: vec![
                event(proto::event::Kind::PlanCreated(
                    proto::PlanCreated::default(),
                )),
                event(proto::event::Kind::NoteRecorded(
                    proto::NoteRecorded::default(),
                )),
            ],
            ..Default::default()
        };
        let header = header(&commit.encode_to_vec().into()).expect("a commit");
        assert_eq!(
            header,
            Header {
                plan_id: "growth".into(),
                kinds: 1 | 1 << 42
            }
        );
    }

    #[test]
    fn bytes_that_are_no_commit_are_an_error() {
        for bytes in [&b""[..], b"\x0a", b"\x0a\x05ab", b"\x42\x01", b"\xff\xff"] {
            assert!(header(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
