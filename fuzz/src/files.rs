//! What is read from disks: values of the journal and backups. Their checksums are made right before a
//! second try, for bytes that were only damaged seldom get past them, and bytes that were forged do.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use strata::{
    backup::decode::{Decoder, Part},
    commit::{self, leaf_hash},
    journal::pack,
    merkle::Frontier,
    proto::LogEntry,
};

/// A value of the journal: the position of its first commit, and its bytes.
pub fn stored_value(bytes: &[u8]) {
    let Some((first, value)) = bytes.split_first_chunk() else {
        return;
    };
    let first = u64::from_be_bytes(*first);
    is_read(first, value);
    if value.len() < 9 {
        return;
    }
    let mut forged = value.to_vec();
    let sum = crc32c::crc32c(&first.to_be_bytes());
    let sum = crc32c::crc32c_append(sum, &forged[..5]);
    let sum = crc32c::crc32c_append(sum, &forged[9..]);
    forged[5..9].copy_from_slice(&sum.to_be_bytes());
    is_read(first, &forged);
}

/// What is read of a value is all of it, and is written as it was.
fn is_read(first: u64, value: &[u8]) {
    let Ok(frames) = pack::decode(first, value) else {
        return;
    };
    let Ok(ranges) = frames.collect::<Result<Vec<_>, _>>() else {
        return;
    };
    let commits: Vec<_> = ranges
        .into_iter()
        .map(|range| Bytes::copy_from_slice(&value[range]))
        .collect();
    let mut written = Vec::new();
    pack::encode(first, &commits, &mut written);
    assert_eq!(written, value);
    for commit in commits {
        is_judged_alike(&commit);
    }
}

/// A commit that can be decoded has a header that says the same.
fn is_judged_alike(bytes: &Bytes) {
    let header = commit::header(bytes);
    let entry = LogEntry {
        position: 1,
        commit: bytes.clone(),
    };
    if let Ok(commit) = entry.decode_commit()
        && !commit.plan_id.is_empty()
    {
        let header = header.expect("what is decoded has a header");
        assert_eq!(*header.plan_id, *commit.plan_id);
    }
}

/// A backup: how large the pieces are in which it comes, and its bytes.
pub fn backup(bytes: &[u8]) {
    let Some((piece, file)) = bytes.split_first() else {
        return;
    };
    let piece = 1 + 16 * usize::from(*piece);
    is_read_in_pieces(file, piece);
    is_read_in_pieces(&forged(file), piece);
}

/// However a file comes, the same is read of it.
fn is_read_in_pieces(file: &[u8], piece: usize) {
    let at_once = read(file.chunks(file.len().max(1)));
    let in_pieces = read(file.chunks(piece));
    assert_eq!(at_once, in_pieces);
}

/// The commits of a file, and whether it is whole.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool) {
    let mut decoder = Decoder::default();
    let mut commits = Vec::new();
    for piece in pieces {
        decoder.take_in(piece);
        loop {
            match decoder.part() {
                Ok(Some(Part::Commits(entries))) => {
                    assert_eq!(
                        entries.last().map(|it| it.position),
                        Some(decoder.position())
                    );
                    commits.extend(entries.into_iter().map(|it| it.commit));
                }
                Ok(Some(Part::Header(_) | Part::Trailer(_))) => {}
                Ok(None) => break,
                Err(_) => return (commits, false),
            }
        }
    }
    let whole = decoder.finish();
    if let Ok(whole) = &whole {
        assert_eq!(whole.trailer.count, commits.len() as u64);
        assert_eq!(whole.trailer.head, decoder.position());
    }
    (commits, whole.is_ok())
}

/// The file with right checksums, as far as it is made of blocks; its trailer says what is there.
fn forged(file: &[u8]) -> Vec<u8> {
    const HEAD_BYTES: usize = 13;
    let mut made = file.to_vec();
    let mut at = 16;
    let mut tree = None;
    let mut from = 1;
    while at + HEAD_BYTES <= made.len() {
        let kind = made[at];
        let asked = u32::from_be_bytes(made[at + 1..at + 5].try_into().expect("four"));
        let left = made.len() - at - HEAD_BYTES;
        let length = usize::try_from(asked).unwrap_or(left).min(left);
        let (before, rest) = made.split_at_mut(at);
        let (head, rest) = rest.split_at_mut(HEAD_BYTES);
        let payload = &mut rest[..length];
        match kind {
            1 if length >= 32 => {
                from = u64::from_be_bytes(payload[16..24].try_into().expect("eight"));
                let subtrees = payload[32..].as_chunks::<32>().0.to_vec();
                tree = Frontier::from_subtrees(from.saturating_sub(1), subtrees);
            }
            2 if length >= 8 => {
                let first = tree.as_ref().map_or(0, Frontier::size) + 1;
                payload[..8].copy_from_slice(&first.to_be_bytes());
                frames(&mut payload[8..], first, tree.as_mut());
            }
            3 if length == 80 => {
                let head = tree.as_ref().map_or(0, Frontier::size);
                payload[..8].copy_from_slice(&head.to_be_bytes());
                let count = (head + 1).wrapping_sub(from);
                payload[8..16].copy_from_slice(&count.to_be_bytes());
                if let Some(tree) = &tree {
                    payload[16..48].copy_from_slice(&tree.root());
                }
                payload[48..].copy_from_slice(&Sha256::digest(&*before));
            }
            _ => {}
        }
        head[1..5].copy_from_slice(&u32::try_from(length).expect("small").to_be_bytes());
        head[5..9].copy_from_slice(&crc32c::crc32c(payload).to_be_bytes());
        let sum = crc32c::crc32c(&(at as u64).to_be_bytes());
        let sum = crc32c::crc32c_append(sum, &head[..9]);
        head[9..].copy_from_slice(&sum.to_be_bytes());
        at += HEAD_BYTES + length;
    }
    made
}

/// Makes the checksums of the commits of a block right, and counts them into the tree.
fn frames(mut rest: &mut [u8], first: u64, mut tree: Option<&mut Frontier>) {
    for position in first.. {
        if rest.len() < 8 {
            break;
        }
        let (frame, behind) = rest.split_at_mut(8);
        let length = u32::from_be_bytes(frame[..4].try_into().expect("four")) as usize;
        if length > behind.len() {
            break;
        }
        let (commit, behind) = behind.split_at_mut(length);
        let sum = crc32c::crc32c(&position.to_be_bytes());
        frame[4..].copy_from_slice(&crc32c::crc32c_append(sum, commit).to_be_bytes());
        if let Some(tree) = &mut tree {
            tree.push(leaf_hash(commit));
        }
        rest = behind;
    }
}
