//! Promises of the view: whatever is lost or damaged of what it stored, it answers what the log says.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index as Pick};
use prost::Message as _;
use proto::event::Kind;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{load::index_entry, *};

mod ledger;
mod tree;

use crate::{
    commit,
    domain::{arbitrary, evolve, given},
    journal::fake::FakeJournal,
};

/// So small that no plan stays in memory once it is written.
pub(super) const NO_CACHE: u64 = 1;

/// A view, and beside it what was committed.
pub(super) struct World {
    pub(super) journal: Arc<FakeJournal>,
    view: Option<View>,
    dir: TempDir,
    cache_bytes: u64,
}

impl World {
    pub(super) fn new(cache_bytes: u64) -> Self {
        let mut world = Self {
            journal: Arc::new(FakeJournal::new()),
            view: None,
            dir: tempfile::tempdir().expect("a directory"),
            cache_bytes,
        };
        world.reopen();
        world
    }

    pub(super) fn view(&self) -> &View {
        self.view.as_ref().expect("open")
    }

    fn open_on(&mut self, journal: Arc<FakeJournal>) -> Result<View, ViewError> {
        self.view = None;
        self.journal = journal.clone();
        View::open(
            self.dir.path(),
            journal,
            self.cache_bytes,
            &CancellationToken::new(),
        )
    }

    /// Opens the view again, as after a crash: what was not written is gone.
    pub(super) fn reopen(&mut self) {
        let view = self.open_on(self.journal.clone());
        self.view = Some(view.expect("the view opens"));
    }

    /// What the stored view comes to, without the way out of making it again.
    fn reopen_stored(&mut self) -> Result<Option<View>, ViewError> {
        self.view = None;
        View::open_stored(
            self.dir.path(),
            self.journal.clone(),
            self.cache_bytes,
            &CancellationToken::new(),
        )
    }

    /// Commits events to a plan, and has the view take them in as the writer does.
    pub(super) fn commit(&mut self, plan_id: &str, events: Vec<proto::Event>) {
        let bytes = encoded(plan_id, events, self.journal.head() + 1);
        self.journal.append_foreign(&[bytes]);
        self.view().follow(|_| {}).expect("followed");
    }

    pub(super) fn note(&mut self, plan_id: &str) {
        self.append(plan_id);
        self.view().follow(|_| {}).expect("followed");
    }

    /// Appends a note that the view does not know of yet.
    pub(super) fn append(&self, plan_id: &str) {
        let revision = self.view().entry(plan_id).map_or(1, |it| it.revision + 1);
        let bytes = encoded(plan_id, vec![noted(revision)], self.journal.head() + 1);
        self.journal.append_foreign(&[bytes]);
    }

    pub(super) fn write(&self) {
        self.view().write().expect("written");
    }

    /// Writes the first `records` of what is due, as a crash may leave it.
    fn write_prefix(&self, records: Pick) {
        let changes = self.view().lock().changes();
        let Some(changes) = changes else {
            return;
        };
        let mut due = self.view().records(&changes).expect("encoded");
        due.truncate(records.index(due.len() + 1));
        self.view().store.write(due).expect("written");
    }

    /// The stored records whose key starts so, damaged or not.
    fn keys(&self, tag: &[u8]) -> Vec<Vec<u8>> {
        let keys = self.view().store.scan_keys(tag);
        keys.expect("readable")
    }

    /// The plans as the log has them, folded from their first events.
    fn expected(&self) -> Vec<Folded> {
        let mut plans: Vec<(Folded, Vec<proto::Event>)> = Vec::new();
        for entry in self.journal.read(1, usize::MAX).expect("readable") {
            let commit = commit::decode(&entry.commit).expect("a commit");
            let known = plans
                .iter()
                .position(|(it, _)| *it.plan.plan_id == *commit.plan_id);
            let place = known.unwrap_or_else(|| {
                plans.push((Folded::unborn(commit.plan_id.as_str().into()), Vec::new()));
                plans.len() - 1
            });
            let (folded, events) = &mut plans[place];
            folded.index.push(index_entry(entry.position, &commit));
            events.extend(commit.events);
        }
        plans
            .into_iter()
            .map(|(folded, events)| Folded {
                plan: Arc::new(evolve::fold(folded.plan.plan_id.clone(), &events)),
                index: folded.index,
            })
            .collect()
    }

    /// Checks that every plan, the directory and the tree are what the log says.
    #[track_caller]
    fn answers_as_the_log_says(&self) {
        let (view, expected) = (self.view(), self.expected());
        assert_eq!(view.stats().plans, expected.len());
        assert_eq!(view.position(), self.journal.head());
        assert_eq!(view.frontier(), self.frontier());
        self.proves_what_the_log_says();
        self.goes_across_plans_as_the_log_says();
        for folded in expected {
            let plan_id = folded.plan.plan_id.clone();
            let entry = view.entry(&plan_id).expect("listed");
            assert_eq!(entry.revision, folded.plan.revision);
            assert_eq!(entry.commits, folded.index.commits());
            assert_eq!(entry.description, folded.plan.description);
            let last = folded.index.last().map(|last| last.position);
            assert_eq!(Some(entry.last_position), last);
            let last = view.commit(entry.last_position).expect("stored");
            let recorded_at = last.recorded_at.expect("recorded");
            assert_eq!(entry.last_recorded_at, recorded_at.into());
            let (found, position) = view.load(&plan_id).expect("loaded").expect("there");
            // Said in short: a plan fills pages.
            assert!(*found == folded, "plan {plan_id} is not what the log says");
            assert_eq!(position, self.journal.head());
        }
        let last = self.journal.get(self.journal.head()).expect("readable");
        let last = last.map(|bytes| commit::decode(&bytes).expect("a commit"));
        let recorded_at = last.and_then(|last| last.recorded_at).map(Time::from);
        assert_eq!(view.last_recorded_at(), recorded_at);
    }

    fn frontier(&self) -> Frontier {
        let mut frontier = Frontier::default();
        for entry in self.journal.read(1, usize::MAX).expect("readable") {
            frontier.push(commit::leaf_hash(&entry.commit));
        }
        frontier
    }
}

fn encoded(plan_id: &str, events: Vec<proto::Event>, number: u64) -> Bytes {
    let commit = proto::Commit {
        plan_id: plan_id.into(),
        first_revision: events.first().map_or(0, |event| event.revision),
        recorded_at: Some(given::at(i64::try_from(number).expect("small"))),
        request_id: format!("request-{number}"),
        events,
        ..Default::default()
    };
    commit.encode_to_vec().into()
}

/// The same log as it was before its last commit.
fn without_last(journal: &FakeJournal) -> FakeJournal {
    let earlier = journal.at_its_start();
    let entries = journal.read(1, usize::MAX).expect("readable");
    for entry in entries.iter().take(entries.len() - 1) {
        earlier.append_foreign(std::slice::from_ref(&entry.commit));
    }
    earlier
}

fn noted(revision: u64) -> proto::Event {
    let text = format!("Note {revision}");
    let noted = proto::NoteRecorded {
        subject: "plan".into(),
        text,
    };
    proto::Event {
        revision,
        occurred_at: Some(given::at(1)),
        kind: Some(Kind::NoteRecorded(noted)),
        ..Default::default()
    }
}

/// A history in which only what is there is amended, as the rules see to.
fn history() -> impl Strategy<Value = Vec<proto::Event>> {
    arbitrary::history(90).prop_map(|mut events| {
        for event in &mut events {
            cite(event);
            let target = match &event.kind {
                Some(Kind::EventCorrected(it)) => it.revision,
                Some(Kind::EventRetracted(it)) => it.revision,
                Some(_) | None => continue,
            };
            if target >= event.revision {
                *event = noted(event.revision);
            }
        }
        events
    })
}

/// Has some of the events cite other plans, or their own.
fn cite(event: &mut proto::Event) {
    if event.revision.is_multiple_of(5) {
        event.because.push(proto::Cause {
            plan_id: format!("plan-{}", event.revision % 3),
            revision: event.revision / 5,
            role: proto::CauseRole::Evidence.into(),
        });
    }
}

/// A step of a view's life.
#[derive(Debug, Clone)]
enum Step {
    /// The plan's next few events, in one commit.
    Commit {
        plan: usize,
        events: usize,
    },
    /// Many small commits, so that there are snapshots.
    CommitMany {
        plan: usize,
    },
    Write,
    WritePrefix(Pick),
    Reopen,
    Damage(Pick),
    Lose(Pick),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 1..4_usize).prop_map(|(plan, events)| Step::Commit { plan, events }),
        2 => (0..3_usize).prop_map(|plan| Step::CommitMany { plan }),
        3 => Just(Step::Write),
        1 => any::<Pick>().prop_map(Step::WritePrefix),
        2 => Just(Step::Reopen),
        2 => any::<Pick>().prop_map(Step::Damage),
        1 => any::<Pick>().prop_map(Step::Lose),
    ]
}

impl World {
    fn take(&mut self, step: &Step, histories: &mut [std::vec::IntoIter<proto::Event>]) {
        match step {
            Step::Commit { plan, events } => {
                let events: Vec<_> = histories[*plan].by_ref().take(*events).collect();
                if !events.is_empty() {
                    self.commit(&format!("plan-{plan}"), events);
                }
            }
            Step::CommitMany { plan } => {
                for event in histories[*plan].by_ref().take(40) {
                    self.commit(&format!("plan-{plan}"), vec![event]);
                }
            }
            Step::Write => self.write(),
            // A crash follows, so what was taken for written is not missed.
            Step::WritePrefix(records) => {
                self.write_prefix(*records);
                self.reopen();
            }
            Step::Reopen => self.reopen(),
            Step::Damage(pick) | Step::Lose(pick) => {
                let keys = self.keys(b"");
                if !keys.is_empty() {
                    let damaged = matches!(step, Step::Damage(_)).then_some(&b"damaged"[..]);
                    let key = &keys[pick.index(keys.len())];
                    self.view().store.overwrite(key, damaged);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..Default::default() })]

    #[test]
    fn a_view_answers_what_the_log_says_whatever_becomes_of_its_records(
        histories in vec(history(), 3),
        steps in vec(step(), 1..24),
        cache_bytes in prop_oneof![Just(NO_CACHE), Just(16 << 10), Just(1 << 20)],
    ) {
        let mut histories: Vec<_> = histories.into_iter().map(Vec::into_iter).collect();
        let mut world = World::new(cache_bytes);
        for step in &steps {
            world.take(step, &mut histories);
        }
        world.answers_as_the_log_says();
        world.write();
        world.answers_as_the_log_says();
        world.reopen();
        world.answers_as_the_log_says();
    }
}

/// Two plans, one of them long enough for a snapshot and several chunks of its index, all written.
fn written() -> World {
    let mut world = World::new(NO_CACHE);
    for _ in 0..300 {
        world.note("long");
    }
    world.note("short");
    world.write();
    assert!(world.keys(b"i").len() >= 3 && !world.keys(b"s").is_empty());
    world
}

#[test]
fn a_damaged_or_lost_record_of_a_plan_changes_no_answer_and_is_mended() {
    let mut world = written();
    let records = [world.keys(b"i"), world.keys(b"s")].concat();
    for key in records {
        for damaged in [None, Some(&b"damaged"[..])] {
            world.view().store.overwrite(&key, damaged);
            world.answers_as_the_log_says();
            // Writing goes on although what is there cannot be read.
            world.note("long");
            world.write();
            world.reopen();
            world.answers_as_the_log_says();
        }
    }
    assert!(world.view().store.scan(b"i").all(|record| record.is_ok()));
}

#[test]
fn a_damaged_index_is_written_again_although_nothing_was_committed() {
    let world = written();
    let key = world.keys(b"i").swap_remove(0);
    world.view().store.overwrite(&key, Some(b"damaged"));
    world.view().load("long").expect("loaded").expect("there");
    world.write();
    assert!(world.view().store.get(&key).expect("sound").is_some());
}

#[test]
fn a_written_view_is_used_as_it_is_and_reads_only_what_is_new() {
    let mut world = written();
    world.note("short");
    let view = world.reopen_stored().expect("sound").expect("stored");
    assert_eq!(view.stats().written_position, world.journal.head() - 1);
    world.view = Some(view);
    world.answers_as_the_log_says();
}

#[test]
fn a_lost_entry_of_the_directory_is_noticed_and_the_view_made_again() {
    for plan_id in ["dlong", "dshort"] {
        let mut world = written();
        world.view().store.overwrite(plan_id.as_bytes(), None);
        let refused = world.reopen_stored().err();
        assert!(
            matches!(refused, Some(ViewError::Incoherent(_))),
            "{refused:?}"
        );
        world.reopen();
        world.answers_as_the_log_says();
    }
}

#[test]
fn a_view_of_another_log_or_of_another_past_is_refused_and_made_again() {
    // Another log with as many commits.
    let mut world = written();
    let other = Arc::new(FakeJournal::new());
    for entry in world.journal.read(1, usize::MAX).expect("readable") {
        other.append_foreign(&[entry.commit]);
    }
    world.journal = other;
    let refused = world.reopen_stored().err();
    assert!(matches!(&refused, Some(ViewError::Incoherent(why)) if why.contains("another log")));
    world.reopen();
    world.answers_as_the_log_says();

    // The same log, which holds another commit where the view ends.
    let mut world = written();
    let went_elsewhere = without_last(&world.journal);
    went_elsewhere.append_foreign(&[encoded("elsewhere", vec![noted(1)], 301)]);
    world.journal = Arc::new(went_elsewhere);
    let refused = world.reopen_stored().err();
    assert!(matches!(&refused, Some(ViewError::Incoherent(why)) if why.contains("another commit")));
    world.reopen();
    world.answers_as_the_log_says();

    // The same log, which ends before the view does.
    let mut world = written();
    world.journal = Arc::new(without_last(&world.journal));
    let refused = world.reopen_stored().err();
    assert!(matches!(&refused, Some(ViewError::Incoherent(why)) if why.contains("ahead")));
    world.reopen();
    world.answers_as_the_log_says();
}

#[test]
fn a_view_of_another_format_or_with_a_damaged_checkpoint_is_made_again() {
    let mut world = written();
    let other = recover::checkpoint_of_another_format(&world.view().store);
    world.view().store.write(vec![other]).expect("written");
    let refused = world.reopen_stored().err();
    assert!(matches!(&refused, Some(ViewError::Incoherent(why)) if why.contains("format")));
    world.reopen();
    world.answers_as_the_log_says();

    world.write();
    world.view().store.overwrite(b"c", Some(b"damaged"));
    let refused = world.reopen_stored().err();
    assert!(matches!(
        refused,
        Some(ViewError::Store(StoreError::Damaged(_)))
    ));
    world.reopen();
    world.answers_as_the_log_says();
}

#[test]
fn what_another_writer_appended_is_followed_and_handed_on_in_order() {
    let mut world = World::new(NO_CACHE);
    world.note("a");
    let commits = [
        encoded("a", vec![noted(2), noted(3)], 2),
        encoded("b", vec![noted(1)], 3),
    ];
    world.journal.append_foreign(&commits);
    let mut recent = Vec::new();
    let followed = world.view().follow(|it| recent.push(it));
    followed.expect("followed");
    let told: Vec<_> = recent
        .iter()
        .map(|it| (it.position, &*it.plan_id, it.kinds, it.commit.clone()))
        .collect();
    let [first, second] = commits;
    assert_eq!(told, [(2, "a", 1 << 42, first), (3, "b", 1 << 42, second)]);
    let mark = world.journal.last_mark().expect("marked");
    assert_eq!(
        (mark.position, mark.root),
        (3, world.view().frontier().root())
    );
    let again = world.view().follow(|it| panic!("told again of {it:?}"));
    again.expect("nothing to follow");
    world.answers_as_the_log_says();
}

#[test]
fn a_log_that_is_not_the_acknowledged_one_is_not_served() {
    let mut world = World::new(NO_CACHE);
    world.note("a");
    world
        .journal
        .mark(world.journal.head(), [7; 32])
        .expect("marked");
    let opened = world.open_on(Arc::new(world.journal.crash()));
    let refused = opened.err();
    assert!(
        matches!(
            refused,
            Some(ViewError::Journal(JournalError::Damaged {
                position: Some(1),
                ..
            }))
        ),
        "{refused:?}"
    );
}

#[test]
fn opening_can_be_interrupted() {
    let mut world = World::new(NO_CACHE);
    world.note("a");
    world.view = None;
    let interrupt = CancellationToken::new();
    interrupt.cancel();
    let opened = View::open(
        world.dir.path(),
        world.journal.clone(),
        NO_CACHE,
        &interrupt,
    );
    assert!(matches!(opened.err(), Some(ViewError::Interrupted)));
}

#[test]
fn nobody_waits_for_a_view_that_is_not_written_any_more() {
    let mut world = World::new(NO_CACHE);
    world.note("a");
    // The checkpoint needs the log, so that writing fails now.
    world.journal.close().expect("closed");
    assert!(world.view().write_behind().is_err());
    world.view().lock().plans.press();
    let (folded, _) = world.view().in_memory("a").expect("not written");
    let applied = Applied {
        events: Arc::default(),
        position: 2,
        recorded_at: Time::default(),
        leaf: [0; 32],
        state: folded,
        changes: Arc::default(),
    };
    world
        .view()
        .publish(&[applied], &Frontier::default(), || {});
    assert_eq!(world.view().position(), 2);
}

#[test]
fn writing_behind_ends_when_it_is_stopped_with_everything_written() {
    let mut world = World::new(NO_CACHE);
    world.note("a");
    let view = world.view();
    std::thread::scope(|scope| {
        let behind = scope.spawn(|| view.write_behind());
        view.stop_writing();
        behind.join().expect("no panic").expect("written");
    });
    assert_eq!(view.stats().written_position, 1);
    assert_eq!(view.lock().plans.dirty_bytes(), 0);
}

#[test]
fn an_index_that_is_not_in_order_does_not_serve() {
    let world = written();
    let key = world.keys(b"i").swap_remove(0);
    let entry = index_entry(9, &proto::Commit::default());
    let chunk = encode(&vec![entry; 256]).expect("encoded");
    let value = Some(chunk);
    world
        .view()
        .store
        .write(vec![Record { key, value }])
        .expect("written");
    world.answers_as_the_log_says();
}
