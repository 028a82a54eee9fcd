//! Damage to sled's files is found before sled writes to them, or by the reads that meet it.

use std::collections::BTreeSet;

use super::*;

/// A log of commits that fill several segments, or of few in one.
#[track_caller]
fn written(case: &Case, groups: usize, bytes: usize) -> SledJournal {
    let journal = case.open();
    for n in 0..groups {
        append(&journal, &[filled(n, bytes), filled(n + 1, bytes / 2)]);
    }
    journal.mark(journal.head(), [7; 32]).expect("marked");
    journal
}

fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |n| n + 1)
}

/// When it is opened, then it is refused in words, and its file is as it was.
#[track_caller]
fn assert_refused_untouched(case: &Case) -> JournalError {
    let db = case.log_path().join("db");
    let before = fs::read(&db).expect("readable");
    let refused = case.try_open().err().expect("the journal is refused");
    let said = refused.to_string();
    assert!(said.contains("stratad restore"), "{said}");
    assert!(fs::read(&db).expect("readable") == before, "{said}");
    refused
}

/// Given a log, its file flipped at many places, then what is found in it is all that was
/// acknowledged, or it is refused.
#[track_caller]
fn finds_all_or_refuses(case: &Case) {
    let path = case.log_path();
    let bytes = fs::read(path.join("db")).expect("readable");
    let file = fs::File::options().write(true).open(path.join("db"));
    let file = file.expect("a file");
    let head = preflight::check(&path, 0).expect("whole");
    let write = |byte: u8, at: usize| {
        std::os::unix::fs::FileExt::write_all_at(&file, &[byte], at as u64).expect("written");
    };
    let mut refused = 0;
    for (at, byte) in bytes.iter().enumerate().take(used(&bytes)).step_by(113) {
        write(byte ^ (1 << (at % 8)), at);
        match preflight::check(&path, head) {
            Ok(found) => assert_eq!(found, head, "flipped at {at}"),
            Err(error) => {
                assert!(error.is_damage(), "{error}");
                refused += 1;
            }
        }
        write(*byte, at);
    }
    assert!(refused > 0);
    assert_eq!(preflight::check(&path, head).expect("whole again"), head);
}

#[test]
fn a_flip_in_a_log_that_was_killed_is_found_before_sled_opens_it() {
    let case = Case::new();
    drop(written(&case, 60, 100));
    finds_all_or_refuses(&case);
    // A second life, with the snapshot of its start.
    drop(written(&case, 60, 100));
    finds_all_or_refuses(&case);
}

#[test]
fn a_flip_in_a_log_that_was_stopped_is_found_before_sled_opens_it() {
    let case = Case::new();
    written(&case, 60, 100).close().expect("closed");
    finds_all_or_refuses(&case);
}

/// Where each segment of the file belongs in the log; nothing of a free one.
fn segments(bytes: &[u8]) -> Vec<Option<usize>> {
    let lsn = |segment: &[u8]| {
        let number = i64::from_le_bytes(segment.get(4..12)?.try_into().ok()?);
        let written = segment.iter().take(20).any(|byte| *byte != 0);
        usize::try_from(number ^ i64::MAX).ok().filter(|_| written)
    };
    bytes.chunks(SEGMENT_BYTES).map(lsn).collect()
}

/// Given a log so long that sled wrote some of its segments anew, stopped once and then killed.
#[track_caller]
fn reused(case: &Case) -> Vec<u8> {
    for _ in 0..40 {
        let journal = written(case, 60, 60_000);
        let bytes = fs::read(case.log_path().join("db")).expect("readable");
        let starts = (0..).step_by(SEGMENT_BYTES);
        let used = segments(&bytes);
        let again = used
            .iter()
            .zip(starts)
            .filter(|(lsn, at)| lsn.is_some_and(|lsn| lsn != *at));
        if again.count() > 1 {
            drop(journal);
            return bytes;
        }
        journal.close().expect("closed");
    }
    panic!("sled frees nothing");
}

#[test]
fn a_flip_in_a_log_whose_segments_were_written_anew_is_found_before_sled_opens_it() {
    let case = Case::new();
    let bytes = reused(&case);
    let path = case.log_path();
    let head = preflight::check(&path, 0).expect("whole");
    let file = fs::File::options().write(true).open(path.join("db"));
    let file = file.expect("a file");
    let write = |byte: u8, at: usize| {
        std::os::unix::fs::FileExt::write_all_at(&file, &[byte], at as u64).expect("written");
    };
    let snapshot = preflight::snapshots(&path).expect("readable");
    let newest = fs::read(snapshot.last().expect("there")).expect("readable");
    let mut refused = 0;
    for at in (777..bytes.len()).step_by(bytes.len() / 60) {
        write(bytes[at] ^ 8, at);
        match preflight::check(&path, head) {
            Ok(found) => assert_eq!(found, head, "flipped at {at}"),
            Err(error) => {
                assert!(error.to_string().contains("whole"), "{error}");
                refused += 1;
            }
        }
        write(bytes[at], at);
    }
    assert!(refused > 0);
    assert!(fs::read(snapshot.last().expect("there")).expect("still there") == newest);
    assert_eq!(preflight::check(&path, head).expect("whole again"), head);
    assert_eq!(case.open().head(), head);
}

#[test]
fn a_flip_at_the_end_is_refused_and_nothing_is_overwritten() {
    let case = Case::new();
    drop(written(&case, 60, 100));
    let db = case.log_path().join("db");
    let mut bytes = fs::read(&db).expect("readable");
    let end = used(&bytes);
    bytes[end - 40] ^= 4;
    fs::write(&db, &bytes).expect("written");
    let refusal = assert_refused_untouched(&case);
    assert!(
        matches!(
            &refusal,
            JournalError::Refused { refusal, left }
                if matches!(**refusal, JournalError::Shorter { head, marked: 120 } if head == left.whole)
                    && (110..120).contains(&left.whole)
        ),
        "{refusal}"
    );
}

#[test]
fn a_log_cut_to_whole_segments_is_refused_and_says_what_is_whole() {
    let case = Case::new();
    drop(written(&case, 400, 40_000));
    let db = case.log_path().join("db");
    let length = fs::metadata(&db).expect("there").len();
    let segments = length / SEGMENT_BYTES as u64;
    assert!(segments > 1, "{length}");
    fs::File::options()
        .write(true)
        .open(&db)
        .and_then(|file| file.set_len(SEGMENT_BYTES as u64))
        .expect("cut");
    let refusal = assert_refused_untouched(&case);
    assert!(
        refusal.to_string().contains("800 was acknowledged"),
        "{refusal}"
    );
}

#[test]
fn bytes_behind_the_log_are_no_log() {
    let case = Case::new();
    drop(written(&case, 10, 100));
    let db = case.log_path().join("db");
    let mut bytes = fs::read(&db).expect("readable");
    bytes.resize(SEGMENT_BYTES, 0);
    bytes.extend([0xA5; 4096]);
    fs::write(&db, &bytes).expect("written");
    let refusal = assert_refused_untouched(&case);
    assert!(
        refusal.to_string().contains("positions 1 to 20 are whole"),
        "{refusal}"
    );
}

#[test]
fn a_damaged_snapshot_is_thrown_away_and_the_log_is_read_without_it() {
    let case = Case::new();
    written(&case, 60, 100).close().expect("closed");
    let snapshot = preflight::snapshots(&case.log_path()).expect("readable");
    let snapshot = snapshot.last().expect("there");
    let bytes = fs::read(snapshot).expect("readable");
    for at in [0, 9, bytes.len() / 2, bytes.len() - 10, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 16;
        fs::write(snapshot, flipped).expect("written");
        let journal = case.open();
        assert_eq!(journal.head(), 120);
        journal.close().expect("closed");
    }
    fs::write(snapshot, "").expect("written");
    assert_eq!(case.open().head(), 120);
}

#[test]
fn damage_in_an_old_part_is_noticed_by_the_reads_that_meet_it_and_writes_go_on() {
    let case = Case::new();
    written(&case, 400, 40_000).close().expect("closed");
    let db = case.log_path().join("db");
    let mut bytes = fs::read(&db).expect("readable");
    assert!(bytes.len() > 2 * SEGMENT_BYTES);
    // Given flips all over its first half.
    for at in (SEGMENT_BYTES / 64..bytes.len() / 2).step_by(SEGMENT_BYTES / 32) {
        bytes[at] ^= 1;
    }
    fs::write(&db, &bytes).expect("written");
    // When it is opened, then what is damaged is named, and the rest is what was written.
    let journal = case.open();
    let mut lost = BTreeSet::new();
    for position in 1..=journal.head() {
        let n = usize::try_from(position).expect("small") - 1;
        let expected = filled(n / 2 + n % 2, 40_000 >> (n % 2));
        match journal.get(position) {
            Ok(commit) => assert!(commit == Some(expected), "{position}"),
            Err(JournalError::Damaged {
                position: Some(at), ..
            }) => {
                assert!(at <= position);
                assert!(journal.read(position, 1).is_err(), "{position}");
                lost.insert(position);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(!lost.is_empty() && lost.len() < 600, "{lost:?}");
    // And writes go on.
    for n in 0..200 {
        append(&journal, &[filled(n, 40_000)]);
    }
    assert_eq!(journal.head(), 1000);
    journal.close().expect("closed");
    assert_eq!(case.open().head(), 1000);
}

/// The positions that can be read of a directory, and what is told to be wrong with it.
#[track_caller]
fn examined(case: &Case) -> (Vec<u64>, Vec<String>) {
    let examined = SledJournal::examine(case.path()).expect("it is no error");
    let mut whole = Vec::new();
    for read in examined.read() {
        if let Read::Commit(entry) = read {
            let n = usize::try_from(entry.position).expect("small") - 1;
            assert_eq!(
                entry.commit.first(),
                Some(&(n / 2 + n % 2).to_le_bytes()[0])
            );
            whole.push(entry.position);
        }
    }
    (whole, examined.damage.clone())
}

fn all_files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            files.push((path.clone(), fs::read(&path).expect("readable")));
        }
    }
    files.sort();
    files
}

#[test]
fn what_is_whole_is_read_without_a_write_however_the_log_was_left() {
    let case = Case::new();
    let journal = written(&case, 60, 100);
    assert!(matches!(
        SledJournal::examine(case.path()).err(),
        Some(JournalError::Locked { .. })
    ));
    drop(journal);
    let everything: Vec<u64> = (1..=120).collect();
    let before = all_files(case.path());
    assert_eq!(examined(&case), (everything.clone(), Vec::new()));
    assert!(all_files(case.path()) == before, "something was written");
    case.open().close().expect("closed");
    assert_eq!(examined(&case), (everything, Vec::new()));
}

#[test]
fn damage_beside_the_log_hides_no_commit_and_the_refusal_says_so() {
    for name in ["high-water", "FORMAT", "journal/conf"] {
        for bytes in [None, Some("torn")] {
            let case = Case::new();
            written(&case, 60, 100).close().expect("closed");
            let path = case.path().join(name);
            match bytes {
                Some(bytes) => fs::write(&path, bytes).expect("written"),
                None => fs::remove_file(&path).expect("removed"),
            }
            let (whole, damage) = examined(&case);
            assert_eq!(whole, (1..=120).collect::<Vec<_>>(), "{name}");
            assert_eq!(damage.len(), 1, "{damage:?}");
            let said = assert_refused_untouched(&case).to_string();
            assert!(said.contains("positions 1 to 120 are whole"), "{said}");
            let is_known = name != "high-water";
            assert_eq!(
                said.contains("all that was acknowledged"),
                is_known,
                "{said}"
            );
            assert!(said.contains("stratad backup FILE --from-dir"), "{said}");
        }
    }
}

#[test]
fn damage_behind_the_last_acknowledged_commit_names_no_position_that_never_was() {
    let case = Case::new();
    drop(written(&case, 10, 100));
    let db = case.log_path().join("db");
    let mut bytes = fs::read(&db).expect("readable");
    bytes.resize(SEGMENT_BYTES, 0);
    bytes.extend([0xA5; 4096]);
    fs::write(&db, &bytes).expect("written");
    let said = assert_refused_untouched(&case).to_string();
    assert!(!said.contains("position 21"), "{said}");
    assert!(said.contains("all that was acknowledged"), "{said}");
}

#[test]
fn what_is_whole_behind_damage_is_read_too() {
    let case = Case::new();
    written(&case, 400, 40_000).close().expect("closed");
    let db = case.log_path().join("db");
    let mut bytes = fs::read(&db).expect("readable");
    // Given flips all over its first half, of which some hit what was written anew elsewhere.
    for at in (SEGMENT_BYTES / 64..bytes.len() / 2).step_by(SEGMENT_BYTES / 32) {
        bytes[at] ^= 1;
    }
    fs::write(&db, &bytes).expect("written");
    let (whole, damage) = examined(&case);
    assert_eq!(whole.last(), Some(&800));
    assert!((200..800).contains(&whole.len()), "{}", whole.len());
    assert!(!damage.is_empty(), "{damage:?}");
}
