//! Promises of the file format: what was written is read, its bytes never change, and whatever else
//! stands in a file is refused, with the place where it stands.

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    BLOCK_BYTES_MAX, FRAME_BYTES, Flaw, HEAD_BYTES, Header, MAGIC, Trailer,
    decode::{Decoder, Part, ReadError, Reader},
    encode::Encoder,
};
use crate::{
    commit::leaf_hash,
    journal::{COMMIT_BYTES_MAX, Entry, LogId},
    merkle::Frontier,
};

/// A log in memory.
struct Log {
    id: u8,
    commits: Vec<Bytes>,
}

impl Log {
    fn new(id: u8, commits: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let commits = commits.into_iter().map(Bytes::from).collect();
        Self { id, commits }
    }

    /// Commits of 1, 2, 3, … bytes.
    fn of(count: u8) -> Self {
        Self::new(7, (1..=count).map(|n| vec![n; usize::from(n)]))
    }

    fn tree(&self, size: usize) -> Frontier {
        let mut tree = Frontier::default();
        for commit in &self.commits[..size] {
            tree.push(leaf_hash(commit));
        }
        tree
    }

    fn header(&self, from: usize) -> Header {
        Header {
            log_id: LogId::from_bytes([self.id; 16]),
            before: self.tree(from - 1),
            made_at_seconds: 1_700_000_000,
        }
    }

    fn entries(&self, from: usize) -> Vec<Entry> {
        (1..)
            .zip(&self.commits)
            .skip(from - 1)
            .map(|(position, commit)| Entry {
                position,
                commit: commit.clone(),
            })
            .collect()
    }

    /// A backup from a position on, of pieces of `step` commits.
    fn pieces(&self, from: usize, step: usize) -> Vec<Bytes> {
        let (mut encoder, begin) = Encoder::begin(&self.header(from));
        let mut pieces = vec![begin];
        for mut entries in self.entries(from).chunks(step) {
            while !entries.is_empty() {
                pieces.push(encoder.commits(&mut entries));
            }
        }
        pieces.push(encoder.end());
        pieces
    }

    fn backup(&self, from: usize, step: usize) -> Vec<u8> {
        self.pieces(from, step).concat()
    }
}

/// What a file holds when it is whole.
fn read(file: &[u8]) -> Result<(Header, Vec<Entry>, Trailer), Flaw> {
    let mut reader = Reader::new(file);
    let (mut header, mut entries, mut trailer) = (None, Vec::new(), None);
    loop {
        match reader.part() {
            Ok(Some(Part::Header(found))) => header = Some(found),
            Ok(Some(Part::Commits(found))) => entries.extend(found),
            Ok(Some(Part::Trailer(found))) => trailer = Some(found),
            Ok(None) => break,
            Err(ReadError::Flawed(flaw)) => return Err(flaw),
            Err(ReadError::Io(error)) => panic!("memory cannot be read: {error}"),
        }
    }
    assert_eq!(reader.bytes(), file.len() as u64);
    Ok((header.expect("a header"), entries, trailer.expect("an end")))
}

#[track_caller]
fn damage(file: &[u8]) -> (u64, Option<u64>, &'static str) {
    match read(file) {
        Err(Flaw::Damaged {
            byte,
            position,
            what,
        }) => (byte, position, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bytes_of_a_backup_never_change() {
    let log = Log::new(0xab, [b"one".to_vec(), b"three".to_vec()]);
    let golden = [
        "737472617461206261636b757020310a",
        // Header: log, from position 2, the time, the subtree of the first commit.
        "01",
        "00000040",
        "0e3472eb",
        "4bab7d4b",
        "abababababababababababababababab",
        "0000000000000002",
        "000000006553f100",
        "d0d7360ab79f58ab1e1e3fe64ad77e2ea0bc07e36b5f46ed2223edd9298df9e9",
        // Commits: from position 2, one of 5 bytes.
        "02",
        "00000015",
        "d48b0c27",
        "6ba09857",
        "0000000000000002",
        "00000005",
        "3ee122ae",
        "7468726565",
        // Trailer: head, count, root, digest.
        "03",
        "00000050",
        "218365f9",
        "d5ac187a",
        "0000000000000002",
        "0000000000000001",
        "55cbe8053b6fee2ea78327f488850d5860f24274e35de4eff644b61fe5f7c0f3",
        "6d7518c5b67a6c1a70ea7b2d1f35233abf07aad4b0c2a36062b3f936dda2dcf5",
    ]
    .concat();
    assert_eq!(hex::encode(log.backup(2, 1)), golden);
}

#[test]
fn what_is_written_is_read_from_any_position_and_in_any_pieces() {
    let log = Log::of(9);
    for from in 1..=10 {
        for step in [1, 2, 100] {
            let (header, entries, trailer) = read(&log.backup(from, step)).expect("whole");
            assert_eq!(header, log.header(from));
            assert_eq!(header.from_position(), from as u64);
            assert_eq!(entries, log.entries(from));
            let expected = Trailer {
                head: 9,
                count: 10 - from as u64,
                root: log.tree(9).root(),
            };
            assert_eq!(trailer, expected);
        }
    }
}

#[test]
fn an_empty_log_has_a_backup() {
    let (header, entries, trailer) = read(&Log::of(0).backup(1, 1)).expect("whole");
    assert_eq!((header.from_position(), entries), (1, vec![]));
    assert_eq!((trailer.head, trailer.count), (0, 0));
}

#[test]
fn no_block_is_longer_than_a_reader_takes() {
    let log = Log::new(7, (0..20).map(|_| vec![9; COMMIT_BYTES_MAX]));
    let pieces = log.pieces(1, 20);
    assert_eq!(pieces.len(), 2 + 3, "seven of the largest fit a block");
    for piece in &pieces {
        assert!(piece.len() <= HEAD_BYTES + BLOCK_BYTES_MAX);
    }
    let (_, entries, _) = read(&pieces.concat()).expect("whole");
    assert_eq!(entries, log.entries(1));
}

#[test]
fn a_backup_cut_anywhere_is_incomplete_and_says_where_it_ends() {
    for from in [1, 4] {
        let file = Log::of(6).backup(from, 2);
        for length in 0..file.len() {
            match read(&file[..length]) {
                Err(Flaw::Incomplete { byte, position }) => {
                    assert_eq!(byte, length as u64);
                    assert!(position <= 6, "{position}");
                }
                other => panic!("cut at {length}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_flip_of_any_bit_is_refused_and_not_taken_for_a_cut() {
    for from in [1, 4] {
        let file = Log::of(6).backup(from, 2);
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match read(&flipped) {
                Err(Flaw::NotABackup | Flaw::OtherFormat { .. }) => {
                    assert!(bit / 8 < MAGIC.len(), "bit {bit}");
                }
                Err(Flaw::Damaged { byte, .. }) => {
                    assert!(byte <= bit as u64 / 8, "bit {bit} is before {byte}");
                }
                other => panic!("bit {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_damaged_commit_is_named_with_its_position_and_its_byte() {
    let log = Log::of(6);
    let pieces = log.pieces(1, 100);
    let before = pieces[0].len() + HEAD_BYTES + 8;
    let mut byte = before;
    for (position, commit) in (1..).zip(&log.commits) {
        for offset in 0..FRAME_BYTES + commit.len() {
            let mut flipped = pieces.concat();
            flipped[byte + offset] ^= 0xff;
            let (at, named, what) = damage(&flipped);
            assert_eq!((at, named), (byte as u64, Some(position)), "{what}");
        }
        byte += FRAME_BYTES + commit.len();
    }
    let mut flipped = pieces.concat();
    flipped[before] ^= 1;
    let flaw = read(&flipped).expect_err("damaged");
    assert_eq!(
        flaw.to_string(),
        format!(
            "it is damaged at byte {before}, position 1: the length of the commit is not what was \
             written"
        )
    );
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let file = Log::of(3).backup(1, 2);
    for extra in [&b"\0"[..], &file] {
        let (byte, _, what) = damage(&[&file, extra].concat());
        assert_eq!(
            (byte, what),
            (file.len() as u64, "there are bytes behind its end")
        );
    }
}

#[test]
fn blocks_in_another_order_twice_or_left_out_are_refused() {
    let pieces = Log::new(7, (0..8).map(|n| vec![n; 5])).pieces(1, 2);
    let mut swapped = pieces.clone();
    swapped.swap(1, 2);
    let mut twice = pieces.clone();
    twice.insert(2, pieces[1].clone());
    let mut left_out = pieces.clone();
    left_out.remove(2);
    for wrong in [swapped, twice, left_out] {
        let (_, _, what) = damage(&wrong.concat());
        assert_eq!(what, "the head of a block is not what was written here");
    }
}

#[test]
fn files_put_together_from_two_are_refused() {
    let log = Log::new(7, (0..8).map(|n| vec![n; 5]));
    // Another history of the same log, and another log of the same history.
    let diverged = Log::new(7, (0..8).map(|n| vec![n / 6 * 10 + n; 5]));
    let other = Log::new(8, (0..8).map(|n| vec![n; 5]));
    for (other, expected) in [
        (
            diverged,
            "the commits are not those that the root at its end is of",
        ),
        (other, "its blocks are not all of one file"),
    ] {
        let (ours, theirs) = (log.pieces(1, 2), other.pieces(1, 2));
        for cut in 1..ours.len() {
            let spliced = [&ours[..cut], &theirs[cut..]].concat().concat();
            match read(&spliced) {
                // Up to there both are the same.
                Ok(_) => assert!(spliced == ours.concat() || spliced == theirs.concat()),
                Err(Flaw::Damaged { what, .. }) => assert_eq!(what, expected, "at {cut}"),
                Err(flaw) => panic!("{flaw}"),
            }
        }
    }
}

#[test]
fn files_that_are_no_backup_or_of_another_format_are_told_apart() {
    assert_eq!(read(b"PK\x03\x04"), Err(Flaw::NotABackup));
    assert_eq!(read(b"strata backup one\n"), Err(Flaw::NotABackup));
    let later = Flaw::OtherFormat {
        found: 2,
        supported: 1,
    };
    assert_eq!(read(b"strata backup 2\nwhatever"), Err(later));
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        commits in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40),
        from in any::<prop::sample::Index>(),
        step in 1_usize..10,
        chunk in 1_usize..2_000,
    ) {
        let log = Log::new(7, commits);
        let from = 1 + from.index(log.commits.len() + 1);
        let file = log.backup(from, step);
        let mut decoder = Decoder::default();
        let mut entries = Vec::new();
        for bytes in file.chunks(chunk) {
            decoder.take_in(bytes);
            while let Some(part) = decoder.part().expect("whole") {
                if let Part::Commits(found) = part {
                    entries.extend(found);
                }
            }
        }
        prop_assert_eq!(decoder.finish().expect("whole").trailer.root, log.tree(log.commits.len()).root());
        prop_assert_eq!(entries, log.entries(from));
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        // Behind a beginning that is right, else none would get beyond its checksums.
        let file = Log::of(6).backup(3, 2);
        let cut = cut.index(file.len());
        prop_assert!(read(&[&file[..cut], &bytes].concat()).is_err() || file[cut..] == bytes);
    }
}

mod chain {
    use std::{fs, path::Path};

    use tempfile::TempDir;

    use super::*;
    use crate::{
        backup::{
            chain::{Chain, ChainError, check},
            restore::{RestoreError, Step, restore},
        },
        journal::{
            Journal as _, JournalError,
            sled::{SledJournal, SledOptions},
        },
    };

    /// Files of a directory, checked and linked.
    fn link(dir: &Path, files: &[(&str, Vec<u8>)]) -> Result<Chain, ChainError> {
        let mut checked = Vec::new();
        for (name, bytes) in files {
            let path = dir.join(name);
            fs::write(&path, bytes).expect("written");
            checked.push(check(&path, |_| {})?);
        }
        Chain::link(checked)
    }

    fn dir() -> TempDir {
        tempfile::tempdir().expect("a directory")
    }

    /// The first commits of a log.
    fn start_of(log: &Log, head: usize) -> Log {
        Log {
            id: log.id,
            commits: log.commits[..head].to_vec(),
        }
    }

    #[test]
    fn a_full_backup_and_those_behind_it_are_linked_in_any_order() {
        let (dir, log) = (dir(), Log::of(9));
        let files = [
            ("c", log.backup(7, 2)),
            ("a", start_of(&log, 4).backup(1, 2)),
            ("b", start_of(&log, 6).backup(5, 2)),
        ];
        let chain = link(dir.path(), &files).expect("linked");
        let names: Vec<_> = chain
            .files()
            .map(|file| file.path.file_name().expect("a name").to_owned())
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(chain.last().trailer.head, 9);
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused_by_name() {
        let log = Log::of(9);
        let full = || ("full", start_of(&log, 4).backup(1, 2));
        let mut rewritten = Log::of(9);
        rewritten.commits[3] = Bytes::from_static(b"other");
        let stranger = Log::new(8, log.commits.iter().map(|commit| commit.to_vec()));
        for (files, expected) in [
            (
                vec![("next", log.backup(5, 2))],
                "the full backup is missing: the earliest file",
            ),
            (
                vec![full(), ("next", log.backup(6, 2))],
                "the backup of positions 5 to 5 is missing between",
            ),
            (
                vec![full(), ("next", log.backup(4, 2))],
                "begins at 4: each is to begin behind the end of another",
            ),
            (
                vec![full(), ("again", log.backup(1, 2))],
                "begins at 1: each is to begin behind the end of another",
            ),
            (
                vec![full(), ("next", rewritten.backup(5, 2))],
                "up to position 4 they hold different commits",
            ),
            (
                vec![full(), ("next", stranger.backup(5, 2))],
                "of log 08080808-0808-0808-0808-080808080808: name the files of one log",
            ),
            (
                vec![full(), ("next", log.backup(5, 2)[..100].to_vec())],
                "next cannot be used: it is incomplete: it breaks off at byte 100",
            ),
            (vec![], "no backup was named"),
        ] {
            let dir = dir();
            let refused = link(dir.path(), &files).expect_err(expected).to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn what_is_restored_is_the_log_that_was_backed_up() {
        let (dir, log) = (dir(), Log::of(9));
        let files = [
            ("a", start_of(&log, 4).backup(1, 2)),
            ("b", log.backup(5, 2)),
        ];
        let chain = link(dir.path(), &files).expect("linked");
        let data = dir.path().join("data");
        let mut steps = Vec::new();
        restore(&chain, &data, |step| steps.push(step)).expect("restored");
        assert_eq!(steps.last(), Some(&Step::ReadBack(9)));
        assert!(steps.contains(&Step::Appended(4)));

        let journal = SledJournal::open(&data, SledOptions::default()).expect("it opens");
        assert_eq!(journal.log_id(), LogId::from_bytes([7; 16]));
        assert_eq!(journal.read(1, usize::MAX).expect("read"), log.entries(1));
        let mark = journal.recovered_mark().expect("a mark");
        assert_eq!((mark.position, mark.root), (9, log.tree(9).root()));
    }

    #[test]
    fn a_file_that_changes_while_it_is_restored_ends_in_a_directory_that_is_not_served() {
        let (dir, log) = (dir(), Log::of(9));
        let chain = link(dir.path(), &[("a", log.backup(1, 2))]).expect("linked");
        let data = dir.path().join("data");
        for other in [
            start_of(&log, 8).backup(1, 2),
            log.backup(1, 2)[..90].to_vec(),
        ] {
            fs::write(dir.path().join("a"), other).expect("written");
            let failed = restore(&chain, &data, |_| {}).expect_err("another file");
            assert!(matches!(failed, RestoreError::Chain(_)), "{failed}");
            let refused = SledJournal::open(&data, SledOptions::default()).err();
            assert!(matches!(refused, Some(JournalError::Restoring { .. })));
        }
        fs::write(dir.path().join("a"), log.backup(1, 2)).expect("written");
        restore(&chain, &data, |_| {}).expect("restored at last");
        SledJournal::open(&data, SledOptions::default()).expect("it opens");
    }
}
