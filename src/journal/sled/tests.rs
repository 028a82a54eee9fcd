//! Promises of the journal on sled.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

mod damaged;
mod killed;

struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("journal")
    }

    #[track_caller]
    fn open(&self) -> SledJournal {
        self.try_open().expect("the journal opens")
    }

    fn try_open(&self) -> Result<SledJournal, JournalError> {
        SledJournal::open(self.path(), SledOptions::default())
    }

    #[track_caller]
    fn refusal(&self) -> JournalError {
        let refused = self.try_open().err().expect("the journal is refused");
        if let JournalError::Refused { refusal, .. } = refused {
            return *refusal;
        }
        refused
    }

    /// Given a journal of these commits, one group each, closed.
    #[track_caller]
    fn holding(texts: &[&'static str]) -> Self {
        let case = Self::new();
        let journal = case.open();
        for text in texts {
            append(&journal, &group(&[text]));
            journal.mark(journal.head(), [7; 32]).expect("marked");
        }
        journal.close().expect("closed");
        case
    }

    /// Does something to the stored values behind the journal's back.
    fn tamper(&self, with: impl FnOnce(&Db)) {
        let db = open_log(&self.log_path(), SledOptions::default()).expect("sled opens");
        with(&db);
        db.flush().expect("flushed");
    }
}

fn group(texts: &[&'static str]) -> Vec<Bytes> {
    texts
        .iter()
        .map(|text| Bytes::from_static(text.as_bytes()))
        .collect()
}

/// A commit that differs from its neighbours.
fn filled(n: usize, length: usize) -> Bytes {
    Bytes::from(vec![n.to_le_bytes()[0]; length])
}

#[track_caller]
fn append(journal: &SledJournal, group: &[Bytes]) -> u64 {
    match journal.append(journal.head(), 0, group).expect("appended") {
        Append::Appended { head } => head,
        other @ (Append::Conflict { .. } | Append::Unknown) => panic!("{other:?}"),
    }
}

#[track_caller]
fn commits(journal: &SledJournal) -> Vec<Bytes> {
    let entries = journal.read(1, usize::MAX).expect("readable");
    assert!(
        (1..)
            .zip(&entries)
            .all(|(position, entry)| entry.position == position)
    );
    entries.into_iter().map(|entry| entry.commit).collect()
}

#[test]
fn what_was_acknowledged_survives_a_crash_and_a_clean_stop() {
    let case = Case::new();
    let journal = case.open();
    assert_eq!(journal.head(), 0);
    assert_eq!(journal.recovered_mark(), None);
    assert_eq!(append(&journal, &group(&["a", "b"])), 2);
    let log_id = journal.log_id();
    // When it is dropped, as a crash would.
    drop(journal);
    let journal = case.open();
    assert_eq!((journal.head(), journal.log_id()), (2, log_id));
    assert_eq!(append(&journal, &group(&["c"])), 3);
    journal.mark(journal.head(), [7; 32]).expect("marked");
    journal.close().expect("closed");
    // Then both kinds of stop kept everything.
    let journal = case.open();
    assert_eq!(commits(&journal), group(&["a", "b", "c"]));
    assert_eq!(
        journal.recovered_mark(),
        Some(HighWater {
            log_id,
            position: 3,
            root: [7; 32]
        })
    );
}

#[test]
fn a_group_is_stored_as_values_of_whole_commits() {
    let opened = Case::new().open_in_place();
    let (small, large) = (Bytes::from_static(b"small"), Bytes::from(vec![1; 60_000]));
    let group = [small.clone(), small.clone(), large, small];
    append(&opened.journal, &group);
    let stored = opened
        .journal
        .with_db(|db| guarded(None, || db.iter().collect()));
    let stored: Vec<(IVec, IVec)> = stored.expect("readable");
    let expected = [(1, &group[..2]), (3, &group[2..3]), (4, &group[3..])].map(|(first, run)| {
        let mut value = Vec::new();
        pack::encode(first, run, &mut value);
        (IVec::from(&key(first)), IVec::from(value))
    });
    // Not by assert_eq, which would show 60,000 bytes.
    assert!(stored == expected);
}

#[test]
fn another_expected_head_is_a_conflict_and_writes_nothing() {
    let journal = Case::holding(&["a"]).open_in_place();
    let answer = journal
        .journal
        .append(0, 0, &group(&["b"]))
        .expect("no error");
    assert_eq!(answer, Append::Conflict { head: 1 });
    assert_eq!(commits(&journal.journal), group(&["a"]));
}

/// A journal together with the directory it needs.
struct Opened {
    journal: SledJournal,
    case: Case,
}

impl Case {
    #[track_caller]
    fn open_in_place(self) -> Opened {
        Opened {
            journal: self.open(),
            case: self,
        }
    }
}

#[test]
fn a_commit_that_is_too_large_is_refused_and_the_journal_goes_on() {
    let opened = Case::new().open_in_place();
    let journal = &opened.journal;
    let largest = Bytes::from(vec![1; COMMIT_BYTES_MAX]);
    let too_large = Bytes::from(vec![1; COMMIT_BYTES_MAX + 1]);
    let refusal = journal.append(0, 0, &[largest.clone(), too_large]);
    assert!(matches!(refusal, Err(JournalError::TooLarge { .. })));
    assert_eq!(journal.head(), 0);
    // Enough of the largest to split leaves; none becomes a blob file.
    for _ in 0..3 {
        append(journal, &vec![largest.clone(); 20]);
    }
    assert_eq!(commits(journal), vec![largest; 60]);
    let blobs = opened.case.log_path().join("blobs");
    assert_eq!(fs::read_dir(blobs).expect("there").count(), 0);
}

#[test]
fn an_empty_group_changes_nothing() {
    let opened = Case::holding(&["a"]).open_in_place();
    assert_eq!(append(&opened.journal, &[]), 1);
}

#[test]
fn reads_are_bounded_by_bytes_and_head() {
    let opened = Case::holding(&["aa", "bb", "cc"]).open_in_place();
    let read = |from, max_bytes| -> Vec<u64> {
        let entries = opened.journal.read(from, max_bytes).expect("readable");
        entries.iter().map(|entry| entry.position).collect()
    };
    assert_eq!(read(0, usize::MAX), [1, 2, 3]);
    assert_eq!(read(2, 0), [2]);
    assert_eq!(read(1, 2), [1]);
    assert_eq!(read(1, 3), [1, 2]);
    assert_eq!(read(4, 10), [0; 0]);
    assert_eq!(read(u64::MAX, 10), [0; 0]);
    assert_eq!(opened.journal.get(0).expect("readable"), None);
    assert_eq!(opened.journal.get(4).expect("readable"), None);
}

#[test]
fn a_closed_journal_says_so_and_lets_go_of_its_directory() {
    let case = Case::new();
    let journal = case.open();
    append(&journal, &group(&["a"]));
    journal.close().expect("closed");
    journal.close().expect("closed again");
    assert!(matches!(
        journal.append(1, 0, &group(&["b"])),
        Err(JournalError::Closed)
    ));
    assert!(matches!(journal.read(1, 1), Err(JournalError::Closed)));
    assert!(matches!(journal.get(1), Err(JournalError::Closed)));
    assert!(matches!(
        journal.mark(journal.head(), [0; 32]),
        Err(JournalError::Closed)
    ));
    assert_eq!(commits(&case.open()), group(&["a"]));
}

#[test]
fn a_clean_stop_leaves_a_snapshot_of_its_end() {
    let case = Case::holding(&["a"]);
    let snapshots = || -> Vec<_> {
        let files = fs::read_dir(case.log_path()).expect("there");
        let names = files.map(|file| file.expect("there").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("snap."))
            .collect()
    };
    let at_stop = snapshots();
    assert_eq!(at_stop.len(), 1);
    drop(case.open());
    assert_eq!(snapshots(), at_stop);
}

#[test]
fn a_second_process_is_refused() {
    let case = Case::new();
    let _first = case.open();
    assert!(matches!(case.refusal(), JournalError::Locked { .. }));
}

#[test]
fn a_damaged_value_is_refused_with_its_position() {
    let case = Case::holding(&["a", "b", "c"]);
    case.tamper(|db| {
        let mut value = db.get(key(2)).expect("readable").expect("there").to_vec();
        *value.last_mut().expect("not empty") ^= 1;
        db.insert(key(2), value).expect("written");
    });
    let refusal = case.refusal();
    assert!(
        matches!(
            refusal,
            JournalError::Damaged {
                position: Some(2),
                ..
            }
        ),
        "{refusal}"
    );
    assert!(refusal.to_string().contains("at position 2"), "{refusal}");
}

#[test]
fn damage_under_a_running_journal_is_noticed_by_every_read() {
    let opened = Case::holding(&["a", "b", "c"]).open_in_place();
    let journal = &opened.journal;
    let damage = |value: &[u8]| {
        journal
            .with_db(|db| guarded(None, || db.insert(key(2), value)))
            .expect("written");
        for read in [
            journal.read(2, 100).err(),
            journal.read(2, 1).err(),
            journal.get(2).err(),
        ] {
            assert!(matches!(
                read,
                Some(JournalError::Damaged {
                    position: Some(2),
                    ..
                })
            ));
        }
        assert_eq!(
            journal.get(1).expect("readable"),
            Some(Bytes::from_static(b"a"))
        );
        // What comes before it is not held back.
        assert_eq!(journal.read(1, 100).expect("readable").len(), 1);
    };
    damage(b"");
    damage(b"\x01 something else");
    journal
        .with_db(|db| guarded(None, || db.remove(key(2))))
        .expect("removed");
    for read in [
        journal.read(2, 100).err(),
        journal.read(2, 1).err(),
        journal.get(2).err(),
    ] {
        assert!(matches!(
            read,
            Some(JournalError::Damaged {
                position: Some(2),
                ..
            })
        ));
    }
}

#[test]
fn a_hole_is_refused() {
    let case = Case::holding(&["a", "b", "c"]);
    case.tamper(|db| drop(db.remove(key(2)).expect("removed")));
    assert!(matches!(
        case.refusal(),
        JournalError::Damaged {
            position: Some(2),
            ..
        }
    ));
}

#[test]
fn a_key_that_is_no_position_is_refused() {
    let case = Case::holding(&["a"]);
    case.tamper(|db| drop(db.insert(b"other", b"value").expect("written")));
    assert!(matches!(case.refusal(), JournalError::Damaged { .. }));
}

#[test]
fn a_log_that_lost_its_end_is_refused() {
    let case = Case::holding(&["a", "b", "c"]);
    case.tamper(|db| drop(db.remove(key(3)).expect("removed")));
    let refusal = case.refusal();
    assert!(
        matches!(refusal, JournalError::Shorter { head: 2, marked: 3 }),
        "{refusal}"
    );
}

#[test]
fn a_log_beyond_its_mark_opens() {
    let case = Case::holding(&["a"]);
    let journal = case.open();
    append(&journal, &group(&["b"]));
    drop(journal);
    let journal = case.open();
    assert_eq!(journal.head(), 2);
    assert_eq!(journal.recovered_mark().map(|mark| mark.position), Some(1));
}

#[test]
fn files_that_are_missing_or_strange_are_refused_and_nothing_is_made_in_their_place() {
    let lose = |name: &str| {
        let case = Case::holding(&["a"]);
        fs::remove_file(case.path().join(name)).expect("removed");
        let refusal = case.refusal();
        assert!(
            matches!(refusal, JournalError::Damaged { .. }),
            "{name}: {refusal}"
        );
        assert!(!case.path().join(name).exists(), "{name}");
    };
    lose("high-water");
    lose("journal/db");
    lose("journal/conf");

    let case = Case::holding(&["a"]);
    fs::remove_dir_all(case.log_path()).expect("removed");
    assert!(matches!(case.refusal(), JournalError::Damaged { .. }));
    assert!(!case.log_path().exists());

    let case = Case::holding(&["a"]);
    fs::write(case.log_path().join("blobs/17"), "a value").expect("written");
    assert!(matches!(case.refusal(), JournalError::Damaged { .. }));

    let case = Case::holding(&["a"]);
    fs::write(case.log_path().join("db"), "").expect("written");
    assert!(matches!(case.refusal(), JournalError::Damaged { .. }));

    let case = Case::holding(&["a"]);
    fs::write(case.log_path().join("conf"), "segment_size: 512\n....").expect("written");
    assert!(matches!(case.refusal(), JournalError::Damaged { .. }));
}

/// Given a log of several segments; when the header of the newest is changed, then it is refused,
/// and sled has not written over what is left.
#[track_caller]
fn refuses_a_newest_segment_with(header: impl Fn(&mut [u8])) {
    let case = Case::new();
    let journal = case.open();
    append(&journal, &vec![filled(1, 60_000); 200]);
    journal.mark(journal.head(), [7; 32]).expect("marked");
    journal.close().expect("closed");
    let db = case.log_path().join("db");
    let mut bytes = fs::read(&db).expect("readable");
    let newest = (bytes.len() - 1) / SEGMENT_BYTES * SEGMENT_BYTES;
    assert!(newest > 0);
    header(&mut bytes[newest..newest + 20]);
    fs::write(&db, &bytes).expect("written");
    let refusal = case.refusal();
    assert!(matches!(refusal, JournalError::Damaged { .. }), "{refusal}");
    assert!(fs::read(&db).expect("readable") == bytes);
}

#[test]
fn a_damaged_segment_header_is_refused_before_anything_is_overwritten() {
    refuses_a_newest_segment_with(|header| header[7] ^= 1);
}

#[test]
fn a_newest_segment_that_is_gone_is_refused_before_anything_is_overwritten() {
    refuses_a_newest_segment_with(|header| header.fill(0));
}

#[test]
fn after_a_failed_sync_nothing_more_is_written_and_nothing_more_is_shown() {
    let case = Case::holding(&["a"]);
    let journal = case.open();
    // Given a disk that fails, which is what syncing this device does.
    let failing = fs::File::open("/dev/null").expect("a device");
    let healthy = std::mem::replace(
        &mut journal.writer().open.as_mut().expect("open").file,
        failing,
    );
    assert!(matches!(
        journal.append(1, 0, &group(&["b"])),
        Err(JournalError::Io { .. })
    ));
    // When the disk is well again, then the journal is not, until it is opened again.
    journal.writer().open.as_mut().expect("open").file = healthy;
    assert!(matches!(
        journal.append(1, 0, &group(&["c"])),
        Err(JournalError::Failed)
    ));
    assert_eq!(commits(&journal), group(&["a"]));
    assert_eq!(journal.get(2).expect("readable"), None);
    journal.close().expect("closed");
    // The group that was not acknowledged may be there, and the one after it is not.
    assert_eq!(commits(&case.open()), group(&["a", "b"]));
}

#[test]
fn readers_beside_the_writer_see_whole_durable_groups() {
    let opened = Case::new().open_in_place();
    let journal: &dyn Journal = &opened.journal;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..300 {
                let group = vec![filled(round, 700); 7];
                journal.append(journal.head(), 0, &group).expect("appended");
            }
        });
        while journal.head() < 2100 {
            let head = journal.head();
            let from = head.saturating_sub(100) + 1;
            let read = journal.read(from, usize::MAX).expect("readable");
            assert!(read.len() as u64 >= head.min(100));
            assert!(
                (from..)
                    .zip(&read)
                    .all(|(position, entry)| entry.position == position)
            );
            assert_eq!(read.last().map_or(0, |entry| entry.position) % 7, 0);
        }
    });
}

#[test]
fn a_torn_snapshot_is_thrown_away() {
    let case = Case::holding(&["a"]);
    fs::write(
        case.log_path().join("snap.FFFFFFFFFFFFFFFF.generating"),
        "torn",
    )
    .expect("written");
    assert_eq!(commits(&case.open()), group(&["a"]));
}

#[test]
fn an_interrupted_creation_opens() {
    // Given a creation that died while sled made its files.
    let case = Case::new();
    fs::write(case.path().join("CREATING"), "").expect("written");
    fs::create_dir_all(case.log_path().join("blobs")).expect("created");
    fs::write(case.log_path().join("conf"), "segment_size: 8").expect("written");
    fs::write(case.log_path().join("db"), "torn").expect("written");
    let journal = case.open();
    assert_eq!(append(&journal, &group(&["a"])), 1);
    drop(journal);
    assert_eq!(commits(&case.open()), group(&["a"]));
}

#[test]
fn a_small_cache_holds_a_large_group() {
    // sled would wait for itself if a page it let go within a batch were needed again.
    let case = Case::new();
    let journal = SledJournal::open(case.path(), SledOptions { cache_bytes: 0 }).expect("opens");
    let group: Vec<Bytes> = (0..2000).map(|n| filled(n, 9000)).collect();
    append(&journal, &group);
    assert_eq!(commits(&journal), group);
}

/// Reads everything from `from` in steps.
#[track_caller]
fn read_in_steps(journal: &SledJournal, from: u64, max_bytes: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let next = entries.last().map_or(from, |entry| entry.position + 1);
        let step = journal.read(next, max_bytes).expect("readable");
        if step.is_empty() {
            return entries;
        }
        let before_last: usize = step[..step.len() - 1].iter().map(|e| e.commit.len()).sum();
        assert!(
            step.len() == 1 || before_last < max_bytes,
            "it stops once max_bytes is reached"
        );
        entries.extend(step);
    }
}

fn lengths_of_groups() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let length = prop_oneof![8 => 0..400_usize, 2 => 3000..7000_usize, 1 => 12_000..60_000_usize];
    prop::collection::vec(prop::collection::vec(length, 0..40), 1..8)
}

proptest! {
    // Each case makes a database.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_groups_read_back_the_same_from_any_position(
        groups in lengths_of_groups(),
        from in any::<prop::sample::Index>(),
        max_bytes in 0..40_000_usize,
        reopen in any::<bool>(),
    ) {
        let case = Case::new();
        let mut journal = case.open();
        let mut expected: Vec<Bytes> = Vec::new();
        for lengths in groups {
            let begin = expected.len();
            expected.extend((begin..).zip(lengths).map(|(n, len)| filled(n, len)));
            append(&journal, &expected[begin..]);
        }
        if reopen {
            drop(journal);
            journal = case.open();
        }
        prop_assert_eq!(journal.head(), expected.len() as u64);
        let from = from.index(expected.len() + 1);
        let entries = read_in_steps(&journal, from as u64 + 1, max_bytes);
        let read: Vec<Bytes> = entries.iter().map(|entry| entry.commit.clone()).collect();
        prop_assert_eq!(&read, &expected[from..]);
        for entry in &entries {
            let got = journal.get(entry.position).expect("readable");
            prop_assert_eq!(got.as_ref(), Some(&entry.commit));
        }
    }
}
