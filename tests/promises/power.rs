//! What a loss of power leaves: all that was acknowledged. The real daemon is recorded by `strace`
//! while it works, a model of a disk makes of the recording what power that fails at some moment
//! may leave, and the real daemon has to start on it and to hold every commit it answered for.
//!
//! `TEST_CRASH_IMAGES` says how many images are tried, `TEST_SEED` from which seed. An image that
//! fails is kept, with the traces it was made of.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tempfile::tempdir;
use tokio::task::JoinSet;

use crate::{
    chance::{Chance, times},
    reading::whole_log,
    segments::reused,
};
use disk::{Image, Lie, Policy};
use examination::{Failure, examine};
use load::{Burst, burst, burst_until_killed};
use recording::{Phase, Recorder, Recording, below};

mod disk;
mod examination;
mod load;
mod recording;
mod trace;

/// What is tried unless told otherwise: about a minute.
const IMAGES: usize = 200;
/// How many images of a disk that lies are made to see that the loss is noticed.
const LIES: usize = 8;
/// In so many lives of 5 MiB each the storage engine frees a segment.
const UNRECORDED_LIVES_MAX: usize = 16;
/// Daemons that run at a time.
const WORKERS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn durable_whatever_a_loss_of_power_leaves() {
    let seed = Chance::new().seed();
    let images = times("TEST_CRASH_IMAGES", IMAGES);
    eprintln!("seed {seed}: TEST_SEED={seed} draws the same again, of another recording");
    let recordings = Arc::new(recordings(seed).await);
    let began = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (recordings, tally, next) = (recordings.clone(), tally.clone(), next.clone());
        workers.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= images {
                    return;
                }
                let drawn = Drawn::new(&recordings, seed, index);
                let outcome = tried(&recordings, &drawn, None).await;
                if let Err(failure) = &outcome {
                    report(&recordings, &drawn, failure);
                }
                let name = recordings[drawn.recording].name;
                tally.lock().expect("a tally").count(name, &drawn, &outcome);
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker");
    }
    let tally = tally.lock().expect("a tally");
    eprintln!("{tally}in {} s, seed {seed}", began.elapsed().as_secs());
    assert_eq!((tally.all.tried, tally.all.failed()), (images, 0));
}

/// Were the disk to lie, commits would be lost. A test that does not see that sees nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_lies_loses_commits_and_the_test_sees_it() {
    let recordings = Arc::new(vec![many_clients().await]);
    let history = &recordings[0].history;
    let since = recordings[0].answers[0].line;
    let log = Some(history.node(&format!("{}/journal/db", recordings[0].data)));
    let (mut noticed, mut lost) = (0, 0);
    for index in 0..LIES {
        let mut drawn = Drawn::new(&recordings, 0, index);
        drawn.policy = Policy::Nothing;
        // A moment at which much was acknowledged, and the mark was synced.
        drawn.moment = recordings[0].answers.last().expect("answers").line - index;
        let about_the_log = Lie { since, node: log };
        let outcome = tried(&recordings, &drawn, Some(about_the_log)).await;
        noticed += u32::from(matches!(outcome, Err(Failure::Refused(_))));
        let about_all = Lie { since, node: None };
        let outcome = tried(&recordings, &drawn, Some(about_all)).await;
        lost += u32::from(matches!(outcome, Err(Failure::Lost(_))));
    }
    eprintln!(
        "of {LIES} images each: {noticed} refused when the disk lied about the log, {lost} lost when about all"
    );
    assert!(noticed > 0, "a log that is lost is not noticed by its mark");
    assert!(
        lost > 0,
        "commits that are lost are not noticed by this test"
    );
}

/// One image, drawn by a seed and a number.
struct Drawn {
    index: usize,
    recording: usize,
    phase: Phase,
    moment: usize,
    policy: Policy,
    chance: Chance,
}

impl Drawn {
    fn new(recordings: &[Recording], seed: u64, index: usize) -> Self {
        let index_seed = Chance::of_seed(index as u64).below(u64::MAX);
        let mut chance = Chance::of_seed(seed ^ index_seed);
        let recording = below(&mut chance, recordings.len());
        let stretch = recordings[recording].stretch(&mut chance);
        Self {
            index,
            recording,
            phase: stretch.phase,
            moment: stretch.moment(&mut chance),
            policy: Policy::ALL[below(&mut chance, Policy::ALL.len())],
            chance,
        }
    }

    fn image(&self, recordings: &[Recording], lie: Option<&Lie>) -> Image {
        let history = &recordings[self.recording].history;
        let mut chance = Chance::of_seed(self.chance.seed());
        history.image(self.moment, self.policy, lie, &mut chance)
    }
}

/// Makes the image and looks at it.
async fn tried(
    recordings: &Arc<Vec<Recording>>,
    drawn: &Drawn,
    lie: Option<Lie>,
) -> Result<(), Failure> {
    let image = drawn.image(recordings, lie.as_ref());
    let recordings = recordings.clone();
    let (recording, moment) = (drawn.recording, drawn.moment);
    let mut chance = Chance::of_seed(drawn.chance.seed());
    // In a task of its own, so that a panic is a failure of this image and not of all.
    let examined = tokio::spawn(async move {
        let dir = tempdir().expect("a directory");
        image.write(dir.path());
        drop(image);
        examine(&recordings[recording], moment, dir.path(), &mut chance).await
    });
    examined.await.unwrap_or_else(|panicked| {
        let panic = panicked.into_panic();
        let said = panic.downcast_ref::<String>().cloned();
        Err(Failure::Wrong(said.unwrap_or_else(|| "a panic".to_owned())))
    })
}

/// Keeps an image that failed, and says where it is and what was done to come to it.
fn report(recordings: &[Recording], drawn: &Drawn, failure: &Failure) {
    let recording = &recordings[drawn.recording];
    let kept = kept_directory();
    let image = kept.join("image");
    std::fs::create_dir(&image).expect("created");
    drawn.image(recordings, None).write(&image);
    for entry in std::fs::read_dir(recording.dir.path()).expect("traces") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let name = path.file_name().expect("a name");
            std::fs::copy(&path, kept.join(name)).expect("copied");
        }
    }
    eprintln!(
        "image {} failed: {failure}\n  {}, {:?}, {:?}, after line {} of the traces\n  kept in \
         {}: copy it, then stratad serve --data-dir {}",
        drawn.index,
        recording.name,
        drawn.phase,
        drawn.policy,
        drawn.moment,
        kept.display(),
        image.join(&recording.data).display(),
    );
}

fn kept_directory() -> PathBuf {
    tempfile::Builder::new()
        .prefix("strata-crash-")
        .tempdir()
        .expect("a directory")
        .keep()
}

/// How many images were tried and what came of them.
#[derive(Default)]
struct Count {
    tried: usize,
    lost: usize,
    refused: usize,
    wrong: usize,
}

impl Count {
    fn count(&mut self, outcome: &Result<(), Failure>) {
        self.tried += 1;
        match outcome {
            Ok(()) => {}
            Err(Failure::Lost(_)) => self.lost += 1,
            Err(Failure::Refused(_)) => self.refused += 1,
            Err(Failure::Wrong(_)) => self.wrong += 1,
        }
    }

    fn failed(&self) -> usize {
        self.lost + self.refused + self.wrong
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            tried,
            lost,
            refused,
            wrong,
        } = self;
        write!(
            f,
            "{tried} tried, {lost} lost, {refused} refused, {wrong} wrong"
        )
    }
}

#[derive(Default)]
struct Tally {
    all: Count,
    by: BTreeMap<(&'static str, String), Count>,
}

impl Tally {
    fn count(&mut self, recording: &str, drawn: &Drawn, outcome: &Result<(), Failure>) {
        self.all.count(outcome);
        for kind in [
            ("load", recording.to_owned()),
            ("phase", format!("{:?}", drawn.phase)),
            ("policy", format!("{:?}", drawn.policy)),
        ] {
            self.by.entry(kind).or_default().count(outcome);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "crash images: {}", self.all)?;
        for ((kind, name), count) in &self.by {
            writeln!(f, "  {kind} {name}: {count}")?;
        }
        Ok(())
    }
}

async fn recordings(seed: u64) -> Vec<Recording> {
    let mut recordings = vec![
        one_client().await,
        many_clients().await,
        large_commits().await,
        creation().await,
        segments_written_anew().await,
    ];
    // A recovery is recorded as well, of what a loss of power left of the load of many clients.
    let of = &recordings[1];
    let mut chance = Chance::of_seed(seed);
    let loaded = |stretch: &&recording::Stretch| stretch.phase == Phase::Load;
    let stretch = of.stretches.iter().filter(loaded).nth(1).expect("a load");
    let moment = stretch.moment(&mut chance);
    let image = of
        .history
        .image(moment, Policy::Anything, None, &mut chance);
    let recovery = recovery(Recorder::after("after a loss of power", of, moment, image)).await;
    recordings.push(recovery);
    recordings
}

const fn of(clients: usize, requests_a_client: usize) -> Burst {
    Burst {
        clients,
        requests_a_client,
        large: false,
    }
}

/// Groups of one commit.
async fn one_client() -> Recording {
    let mut recorder = Recorder::new("one client", "data");
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(1, 80)).await;
    daemon.view_written().await;
    burst(&daemon, &recorder.ledger, of(1, 40)).await;
    daemon.stop().await;
    recorder.ended().await;
    let daemon = recorder.start().await;
    burst_until_killed(daemon, &recorder.ledger, of(1, 80), 40).await;
    recorder.ended().await;
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(1, 20)).await;
    recorder.finish(daemon).await
}

/// Groups of many commits.
async fn many_clients() -> Recording {
    let mut recorder = Recorder::new("many clients", "data");
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(16, 6)).await;
    daemon.view_written().await;
    burst_until_killed(daemon, &recorder.ledger, of(16, 12), 70).await;
    recorder.ended().await;
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(16, 4)).await;
    daemon.view_written().await;
    burst_until_killed(daemon, &recorder.ledger, of(16, 12), 40).await;
    recorder.ended().await;
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(16, 3)).await;
    recorder.finish(daemon).await
}

/// Commits almost as long as they may be, enough of them to fill a segment of sled and begin the
/// next.
async fn large_commits() -> Recording {
    let mut recorder = Recorder::new("large commits", "data");
    let large = |clients, requests_a_client| Burst {
        clients,
        requests_a_client,
        large: true,
    };
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, large(4, 20)).await;
    daemon.view_written().await;
    burst_until_killed(daemon, &recorder.ledger, large(4, 20), 60).await;
    recorder.ended().await;
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, large(2, 4)).await;
    recorder.finish(daemon).await
}

/// A log so long that the storage engine writes segments of it anew. Only the last lives are
/// recorded.
async fn segments_written_anew() -> Recording {
    let mut recorder = Recorder::new("segments written anew", "data");
    let load = |requests_a_client| Burst {
        clients: 4,
        requests_a_client,
        large: true,
    };
    let db = recorder.file("journal/db");
    for _ in 0..UNRECORDED_LIVES_MAX {
        let daemon = recorder.start_unrecorded().await;
        burst(&daemon, &recorder.ledger, load(20)).await;
        let log = whole_log(&daemon).await;
        daemon.stop().await;
        recorder.begin_here(&log);
        if reused(&db) > 0 {
            break;
        }
    }
    let before = reused(&db);
    let daemon = recorder.start().await;
    burst_until_killed(daemon, &recorder.ledger, load(30), 60).await;
    recorder.ended().await;
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, load(20)).await;
    let after = reused(&db);
    eprintln!("segments written anew: {before}, and {after} at the end");
    assert!(after > before, "none was written anew in the recording");
    recorder.finish(daemon).await
}

/// A directory that comes into being, below others that do, and is twice interrupted.
async fn creation() -> Recording {
    let mut recorder = Recorder::new("creation", "some/where/data");
    for made in ["journal", "high-water"] {
        let daemon = recorder.spawn().await;
        while !recorder.file(made).exists() {
            tokio::task::yield_now().await;
        }
        daemon.kill();
        recorder.ended().await;
    }
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(2, 5)).await;
    recorder.finish(daemon).await
}

/// A recovery, load, a kill, and another recovery.
async fn recovery(mut recorder: Recorder) -> Recording {
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(4, 5)).await;
    burst_until_killed(daemon, &recorder.ledger, of(8, 10), 20).await;
    recorder.ended().await;
    let daemon = recorder.start().await;
    burst(&daemon, &recorder.ledger, of(4, 3)).await;
    recorder.finish(daemon).await
}
