//! How commits lie in a stored value. A value holds one or more whole commits, so that a group
//! costs few inserts; its checksum covers its position too, so that a value found under another
//! key is told from a whole one.
//!
//! ```text
//! format u8 = 1 | count u32 | crc32c u32 | count times: length u32, commit
//! ```
//!
//! Numbers are big-endian. The checksum is that of the key (the position of the first commit,
//! u64), format, count and frames.

use std::ops::Range;

use bytes::Bytes;

/// The format that is written. A new one gets a new number; old ones stay readable.
const FORMAT: u8 = 1;

/// A value is closed before the frame that would bring it above this many bytes. Eight values of
/// this size are stored as fast as one of their sum, with a quarter of its latency at the tail.
const FRAMES_BYTES_MAX: usize = 12 * 1024;

const COUNT_AT: Range<usize> = 1..5;
const CRC_AT: Range<usize> = 5..9;
const HEADER_BYTES: usize = 9;
const LENGTH_BYTES: usize = 4;

/// What is wrong with a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It ends before its last commit does.
    #[error("the stored value is cut short")]
    Short,
    /// Another version wrote it.
    #[error("the stored value has format {0}, which this version cannot read")]
    Format(u8),
    /// Its bytes are not those that were written here.
    #[error("the checksum of the stored value does not match its bytes")]
    Checksum,
    /// No value is written without a commit.
    #[error("the stored value holds no commit")]
    Empty,
    /// Something was written behind it.
    #[error("the stored value has bytes after its last commit")]
    Trailing,
}

/// Cuts a group into the runs of commits that share a value. A commit that is larger than a value
/// should be stands alone.
pub(super) fn runs(mut group: &[Bytes]) -> impl Iterator<Item = &[Bytes]> {
    std::iter::from_fn(move || {
        let (run, rest) = group.split_at(run_length(group));
        group = rest;
        (!run.is_empty()).then_some(run)
    })
}

fn run_length(group: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = |commit: &&Bytes| {
        bytes += LENGTH_BYTES + commit.len();
        bytes <= FRAMES_BYTES_MAX
    };
    group
        .iter()
        .take_while(fits)
        .count()
        .max(1)
        .min(group.len())
}

/// Writes the value of one run into `value`, whose memory is used again.
///
/// # Panics
///
/// If a run holds 4 Gi commits or a commit 4 GiB. The journal's bounds are far below.
pub fn encode(first: u64, run: &[Bytes], value: &mut Vec<u8>) {
    value.clear();
    value.push(FORMAT);
    value.extend_from_slice(&length(run.len()).to_be_bytes());
    value.extend_from_slice(&[0; 4]);
    for commit in run {
        value.extend_from_slice(&length(commit.len()).to_be_bytes());
        value.extend_from_slice(commit);
    }
    let crc = checksum(first, value);
    value[CRC_AT].copy_from_slice(&crc.to_be_bytes());
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a run and its commits are bounded by kilobytes")
}

fn checksum(first: u64, value: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&first.to_be_bytes());
    let crc = crc32c::crc32c_append(crc, &value[..CRC_AT.start]);
    crc32c::crc32c_append(crc, &value[CRC_AT.end..])
}

/// Checks a stored value and opens it: its commits can then be walked.
pub fn decode(first: u64, value: &[u8]) -> Result<Frames<'_>, Flaw> {
    match value.first() {
        None => return Err(Flaw::Short),
        Some(&FORMAT) => {}
        Some(&other) => return Err(Flaw::Format(other)),
    }
    if value.len() < HEADER_BYTES {
        return Err(Flaw::Short);
    }
    if u32_at(value, CRC_AT.start) != Some(checksum(first, value)) {
        return Err(Flaw::Checksum);
    }
    match u32_at(value, COUNT_AT.start) {
        None | Some(0) => Err(Flaw::Empty),
        Some(count) => Ok(Frames {
            value,
            at: HEADER_BYTES,
            left: count,
        }),
    }
}

/// The commits of one value, as the ranges of its bytes where they lie.
pub struct Frames<'a> {
    value: &'a [u8],
    at: usize,
    left: u32,
}

impl Frames<'_> {
    fn step(&mut self) -> Result<Range<usize>, Flaw> {
        let length = u32_at(self.value, self.at).ok_or(Flaw::Short)?;
        let start = self.at + LENGTH_BYTES;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length))
            .filter(|end| *end <= self.value.len())
            .ok_or(Flaw::Short)?;
        if self.left == 1 && end != self.value.len() {
            return Err(Flaw::Trailing);
        }
        self.at = end;
        Ok(start..end)
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Range<usize>, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let step = self.step();
        self.left = if step.is_ok() { self.left - 1 } else { 0 };
        Some(step)
    }
}

fn u32_at(value: &[u8], at: usize) -> Option<u32> {
    let bytes = value.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commits(lengths: &[usize]) -> Vec<Bytes> {
        lengths
            .iter()
            .map(|length| Bytes::from(vec![7; *length]))
            .collect()
    }

    fn run_lengths(lengths: &[usize]) -> Vec<usize> {
        runs(&commits(lengths)).map(<[Bytes]>::len).collect()
    }

    fn encoded(first: u64, run: &[Bytes]) -> Vec<u8> {
        let mut value = Vec::new();
        encode(first, run, &mut value);
        value
    }

    #[test]
    fn a_value_is_closed_at_about_12_kib() {
        assert_eq!(run_lengths(&[4092, 4092, 4092, 1]), [3, 1]);
    }

    #[test]
    fn a_large_commit_stands_alone() {
        assert_eq!(run_lengths(&[10, 60_000, 10, 10]), [1, 1, 2]);
    }

    #[test]
    fn an_empty_group_has_no_values() {
        assert!(run_lengths(&[]).is_empty());
    }

    #[test]
    fn the_bytes_of_a_value_never_change() {
        let value = encoded(
            7,
            &[Bytes::from_static(b"one"), Bytes::from_static(b"three")],
        );
        assert_eq!(
            hex::encode(value),
            [
                "01",
                "00000002",
                "a1eca6f2",
                "000000036f6e65",
                "000000057468726565"
            ]
            .concat()
        );
    }

    #[test]
    fn a_value_under_another_key_is_not_taken() {
        let value = encoded(7, &commits(&[3]));
        assert_eq!(decode(8, &value).err(), Some(Flaw::Checksum));
    }

    #[test]
    fn a_value_of_a_later_format_is_named() {
        let mut value = encoded(7, &commits(&[3]));
        value[0] = 9;
        assert_eq!(decode(7, &value).err(), Some(Flaw::Format(9)));
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            first in 1..u64::MAX,
            run in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..20),
        ) {
            let run: Vec<Bytes> = run.into_iter().map(Bytes::from).collect();
            let value = encoded(first, &run);
            let frames = decode(first, &value).expect("just encoded");
            let back: Vec<&[u8]> = frames.map(|range| &value[range.expect("whole")]).collect();
            prop_assert_eq!(back, run);
        }

        #[test]
        fn a_flipped_bit_or_a_cut_is_noticed(
            flip in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let value = encoded(7, &commits(&[3, 0, 40]));
            let mut flipped = value.clone();
            let bit = flip.index(flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(7, &flipped).is_err());
            prop_assert!(decode(7, &value[..cut.index(value.len())]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(
            first in any::<u64>(),
            mut value in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            if value.len() >= HEADER_BYTES {
                // Else none would get beyond its checksum.
                value[0] = FORMAT;
                let crc = checksum(first, &value);
                value[CRC_AT].copy_from_slice(&crc.to_be_bytes());
            }
            if let Ok(frames) = decode(first, &value) {
                prop_assert!(frames.take(100).count() > 0);
            }
        }
    }
}
