//! One damage in one file of a data directory, drawn by chance, many times: nothing is lost without
//! a word. `TEST_FLIPS` says how many are tried, and `TEST_SEED` repeats them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use strata::proto::{
    Command, ExecuteRequest, ExecuteResponse, GetPlanRequest, GetPlanResponse, ListEventsRequest,
    ListEventsResponse, LogEntry, Point, ReadLogRequest, point,
};
use tempfile::{TempDir, tempdir};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    chance::{Chance, times},
    daemon::{Daemon, create_plan, note, request, serve_arguments},
    reading::{assert_sound, whole_log},
    segments::reused,
    view::{copy, cut, used_bytes},
};

/// The lives of a log so long that segments are written anew in it, before and after the last
/// snapshot.
const REUSED: [Ending; 3] = [Ending::Stopped, Ending::Stopped, Ending::Killed];
/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 7_900;
/// How many are tried when nothing is said.
const TRIALS: usize = 300;
/// Daemons that run side by side.
const SIDE_BY_SIDE: usize = 2;
/// A page of the disk, in bytes.
const PAGE_BYTES: u64 = 4096;
/// The smallest cache there is, so that reads go to the files.
const SMALL_CACHE: [&str; 2] = ["--plan-cache-bytes", "64KiB"];
/// What a daemon says when it makes the view anew.
const MADE_AGAIN: [&str; 2] = ["making it again", "there is no view of this log yet"];

#[tokio::test(flavor = "multi_thread")]
async fn loss_is_noticed_whichever_byte_is_flipped() {
    let trials = times("TEST_FLIPS", TRIALS);
    let mut chance = Chance::new();
    eprintln!("seed {}", chance.seed());
    let bases = [
        Arc::new(Base::written(4, 60, 900, &[Ending::Stopped]).await),
        Arc::new(Base::written(4, 60, 900, &[Ending::Killed]).await),
        Arc::new(Base::written(6, 100, 7_900, &[Ending::Stopped]).await),
        Arc::new(Base::written(6, 100, 7_900, &[Ending::Stopped, Ending::Killed]).await),
        Arc::new(Base::written(6, 100, 7_900, &[Ending::Killed]).await),
        Arc::new(Base::written(24, 30, 60_000, &REUSED).await),
    ];
    let reused = reused(&bases[bases.len() - 1].dir.path().join("journal/db"));
    assert!(reused > 0, "the engine wrote no segment anew");
    let mut outcomes: BTreeMap<(String, Outcome), u64> = BTreeMap::new();
    let mut running = JoinSet::new();
    for trial in 0..trials {
        while running.len() >= SIDE_BY_SIDE {
            count(&mut outcomes, running.join_next().await);
        }
        // The last one, with segments written anew, every fourth time.
        let others = bases.len() as u64 - 1;
        let number = match chance.below(4) {
            0 => others,
            _ => chance.below(others),
        };
        let number = usize::try_from(number).expect("small");
        let base = bases[number].clone();
        let damage = Damage::draw(&base, &mut chance);
        running.spawn(async move {
            let outcome = base.outcome_of(&damage, trial, number).await;
            (damage.file.display().to_string(), outcome)
        });
    }
    while !running.is_empty() {
        count(&mut outcomes, running.join_next().await);
    }
    for ((file, outcome), times) in &outcomes {
        eprintln!("{times:6}  {outcome:?}  {file}");
    }
    let mut sums: BTreeMap<Outcome, u64> = BTreeMap::new();
    for ((_, outcome), times) in &outcomes {
        *sums.entry(*outcome).or_default() += times;
    }
    eprintln!("{trials} tried: {sums:?}");
}

fn count(
    outcomes: &mut BTreeMap<(String, Outcome), u64>,
    ended: Option<Result<(String, Outcome), tokio::task::JoinError>>,
) {
    let ended = ended.expect("one runs").expect("a trial that went well");
    // A snapshot is named after its end.
    let (file, outcome) = ended;
    let name = file.split(".0").next().unwrap_or_default().to_owned();
    *outcomes.entry((name, outcome)).or_default() += 1;
}

/// The names of the engine's snapshots: it writes another when it opens a log that was not stopped.
fn snapshots(dir: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(dir.join("journal")).into_iter().flatten();
    let names = files.map(|file| file.expect("a file").file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with("snap."))
        .collect()
}

/// How damage may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    NoEffect,
    ViewMadeAgain,
    DataLoss,
    Refused,
}

/// How a daemon ended.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Stopped,
    Killed,
}

/// One damage.
#[derive(Debug)]
struct Damage {
    file: PathBuf,
    at: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The byte is changed by these bits.
    Flip(u8),
    ZeroPage,
    CutOff,
}

impl Damage {
    /// Half of them in the log, most of them where something is written.
    fn draw(base: &Base, chance: &mut Chance) -> Self {
        let log = Path::new("journal/db").to_owned();
        let file = if chance.below(2) == 0 {
            log
        } else {
            let drawn = chance.below(base.files.len() as u64);
            base.files[usize::try_from(drawn).expect("small")].clone()
        };
        let path = base.dir.path().join(&file);
        let length = fs::metadata(&path).expect("a file").len().max(1);
        let used = used_bytes(&path).max(1);
        let range = if chance.below(10) == 0 { length } else { used };
        let at = chance.below(range);
        let kind = match chance.below(40) {
            0 if length >= PAGE_BYTES => Kind::ZeroPage,
            1 => Kind::CutOff,
            2..=20 => Kind::Flip(1 << chance.below(8)),
            _ => Kind::Flip(u8::try_from(1 + chance.below(255)).expect("a byte")),
        };
        Self { file, at, kind }
    }

    fn be_done_to(&self, dir: &Path) {
        let path = dir.join(&self.file);
        let file = fs::File::options().read(true).write(true).open(&path);
        let file = file.expect("a file");
        match self.kind {
            Kind::Flip(bits) => {
                let mut byte = [0];
                if file.read_at(&mut byte, self.at).expect("read") == 1 {
                    file.write_all_at(&[byte[0] ^ bits], self.at)
                        .expect("flipped");
                }
            }
            Kind::ZeroPage => {
                let page = self.at / PAGE_BYTES * PAGE_BYTES;
                let end = file.metadata().expect("a file").len();
                let bytes = usize::try_from(PAGE_BYTES.min(end - page)).expect("a page");
                file.write_all_at(&vec![0; bytes], page).expect("cleared");
            }
            Kind::CutOff => cut(&path, self.at),
        }
    }
}

/// A whole directory, and what its daemon answered.
struct Base {
    dir: TempDir,
    files: Vec<PathBuf>,
    log: Vec<LogEntry>,
    answered: Vec<(ExecuteRequest, ExecuteResponse)>,
    plans: Vec<(GetPlanRequest, GetPlanResponse)>,
    events: Vec<(ListEventsRequest, ListEventsResponse)>,
}

impl Base {
    /// Plans of so many notes each, of up to so many bytes, recorded side by side by one daemon after
    /// another.
    async fn written(plans: u64, notes: u64, bytes_max: u64, endings: &[Ending]) -> Self {
        let dir = tempdir().expect("a directory");
        let (mut answered, mut asked_plans, mut asked_events) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut log = Vec::new();
        let share = notes / endings.len() as u64;
        for (ending, life) in endings.iter().zip(0..) {
            let daemon = Daemon::start(dir.path()).await;
            let mut writers = JoinSet::new();
            for plan in 0..plans {
                let mut client = daemon.plans();
                writers.spawn(async move {
                    let mut answered = Vec::new();
                    for number in life * share..(life + 1) * share {
                        let request = request_of(plan, number, bytes_max);
                        let response = client.execute(request.clone()).await;
                        answered.push((request, response.expect("recorded").into_inner()));
                    }
                    answered
                });
            }
            while let Some(ended) = writers.join_next().await {
                answered.extend(ended.expect("a writer that found nothing wrong"));
            }
            log = whole_log(&daemon).await;
            asked_plans = ask_plans(&daemon, plans, notes).await;
            asked_events = ask_events(&daemon, plans).await;
            match ending {
                Ending::Stopped => daemon.stop().await,
                Ending::Killed => daemon.kill(),
            };
        }
        assert_sound(&log);
        let files = files_of(dir.path());
        Self {
            dir,
            files,
            log,
            answered,
            plans: asked_plans,
            events: asked_events,
        }
    }

    /// Damages a copy of the directory, starts a daemon on it and asserts that nothing is lost without
    /// a word.
    async fn outcome_of(&self, damage: &Damage, trial: usize, base: usize) -> Outcome {
        let place = format!("trial {trial} on base {base}, {damage:?}");
        let copied = tempdir().expect("a directory");
        let dir = copied.path().join("data");
        copy(self.dir.path(), &dir);
        damage.be_done_to(&dir);
        let db = dir.join("journal/db");
        let before = fs::read(&db).expect("a file");
        let opened_from = snapshots(&dir);
        let daemon = match start_or_refusal(&dir).await {
            Ok(daemon) => daemon,
            Err(said) => {
                assert_says_what_is_left(&said, &damage.file, &place);
                assert_worded(&said, &place);
                // The key, and an old part that the view needs, are looked at once the log is open.
                if snapshots(&dir) == opened_from {
                    let after = fs::read(&db).expect("a file");
                    assert!(before == after, "{place}: the log was written to: {said}");
                }
                return Outcome::Refused;
            }
        };
        let lost = self.assert_log(&daemon, &place).await;
        self.assert_answers(&daemon, &lost, &place).await;
        let appended = append(&daemon, &lost, &place).await;
        assert_eq!(
            daemon.head().await,
            self.log.len() as u64 + appended,
            "{place}"
        );
        assert_eq!(self.assert_log(&daemon, &place).await, lost, "{place}");
        let said = if lost.is_empty() {
            daemon.stop().await
        } else {
            daemon.kill()
        };
        assert_worded(&said, &place);
        if !lost.is_empty() {
            Outcome::DataLoss
        } else if MADE_AGAIN.iter().any(|words| said.contains(words)) {
            Outcome::ViewMadeAgain
        } else {
            Outcome::NoEffect
        }
    }

    /// Reads the whole log, around what is refused, and returns the positions that were.
    async fn assert_log(&self, daemon: &Daemon, place: &str) -> BTreeSet<u64> {
        let mut lost = BTreeSet::new();
        let acknowledged = self.log.len() as u64;
        let mut next = 1;
        while next <= acknowledged {
            let request = ReadLogRequest {
                start: Some(strata::proto::read_log_request::Start::FromPosition(next)),
                ..Default::default()
            };
            let mut stream = match daemon.history().read_log(request).await {
                Ok(stream) => stream.into_inner(),
                Err(status) => {
                    next = after(&status, &mut lost, next, place);
                    continue;
                }
            };
            loop {
                match stream.message().await {
                    Ok(Some(response)) => {
                        for entry in response.entries {
                            assert_eq!(entry.position, next, "{place}");
                            if let Some(first) = self.entry(next) {
                                assert!(entry == *first, "{place}: another commit at {next}");
                            }
                            next += 1;
                        }
                    }
                    Ok(None) => {
                        assert!(
                            next > acknowledged,
                            "{place}: the log ends at {}, and {acknowledged} were acknowledged",
                            next - 1
                        );
                        return lost;
                    }
                    Err(status) => {
                        next = after(&status, &mut lost, next, place);
                        break;
                    }
                }
            }
        }
        lost
    }

    fn entry(&self, position: u64) -> Option<&LogEntry> {
        self.log.get(usize::try_from(position - 1).expect("small"))
    }

    async fn assert_answers(&self, daemon: &Daemon, lost: &BTreeSet<u64>, place: &str) {
        for (request, first) in &self.plans {
            let answer = daemon.plans().get_plan(request.clone()).await;
            assert_same(answer, first, lost, place);
        }
        for (request, first) in &self.events {
            let answer = daemon.history().list_events(request.clone()).await;
            assert_same(answer, first, lost, place);
        }
        for (request, first) in &self.answered {
            let answer = daemon.plans().execute(request.clone()).await;
            let first = ExecuteResponse {
                replayed: true,
                ..first.clone()
            };
            assert_same(answer, &first, lost, place);
        }
    }
}

/// Where to read on after a refusal, which must name the position.
fn after(status: &Status, lost: &mut BTreeSet<u64>, next: u64, place: &str) -> u64 {
    let position = position_in(status).unwrap_or_else(|| panic!("{place}: at {next}: {status:?}"));
    assert_eq!(status.code(), Code::DataLoss, "{place}: {status:?}");
    assert!(
        position <= next && position + 10_000 > next,
        "{place}: {position} for {next}"
    );
    lost.insert(next);
    next + 1
}

fn position_in(status: &Status) -> Option<u64> {
    let info = status.get_details_error_info()?;
    info.metadata.get("position")?.parse().ok()
}

/// The answer is the first one, or says which of the lost positions it cannot do without.
#[track_caller]
fn assert_same<T: PartialEq + std::fmt::Debug>(
    answer: Result<tonic::Response<T>, Status>,
    first: &T,
    lost: &BTreeSet<u64>,
    place: &str,
) {
    match answer {
        Ok(answer) => assert!(answer.into_inner() == *first, "{place}: another answer"),
        Err(status) => {
            assert_eq!(status.code(), Code::DataLoss, "{place}: {status:?}");
            let position = position_in(&status);
            assert!(
                position.is_some_and(|position| lost.contains(&position)),
                "{place}: {status:?}, lost are {lost:?}"
            );
        }
    }
}

/// A refusal says which commits are whole and how they are brought back; but one for a key, which is
/// brought back by itself.
#[track_caller]
fn assert_says_what_is_left(said: &str, file: &Path, place: &str) {
    if file == Path::new("signing-key") {
        assert!(said.contains("stratad key restore"), "{place}: {said}");
        return;
    }
    let whole = ["positions 1 to ", "no commit can be read"];
    let is_told = whole.iter().any(|words| said.contains(words));
    assert!(is_told, "{place}: {said}");
    assert!(said.contains("stratad restore"), "{place}: {said}");
}

/// A panic of the engine is caught and told in words.
fn assert_worded(said: &str, place: &str) {
    assert!(
        !said.contains("panicked at") || said.contains("the storage engine panicked"),
        "{place}: {said}"
    );
}

/// Goes on writing: on a plan of its own always, on the others unless they are damaged.
async fn append(daemon: &Daemon, lost: &BTreeSet<u64>, place: &str) -> u64 {
    let mut appended = 0;
    let created = request("newcomer", "create", create_plan());
    let answer = daemon.plans().execute(created).await;
    assert!(answer.is_ok(), "{place}: {answer:?}; {}", daemon.log());
    appended += 1;
    for number in 0..20 {
        let noted = request("newcomer", &format!("after-{number}"), note("it goes on"));
        let answer = daemon.plans().execute(noted).await;
        assert!(answer.is_ok(), "{place}: {answer:?}; {}", daemon.log());
        appended += 1;
    }
    let noted = request("plan-0", "after-the-damage", note("it goes on"));
    match daemon.plans().execute(noted).await {
        Ok(_) => appended += 1,
        Err(status) => {
            assert_eq!(status.code(), Code::DataLoss, "{place}: {status:?}");
            assert!(!lost.is_empty(), "{place}: {status:?}");
        }
    }
    appended
}

fn plan_id(plan: u64) -> String {
    format!("plan-{plan}")
}

/// Texts differ in every byte that counts, so that one cannot stand for another.
fn request_of(plan: u64, number: u64, bytes_max: u64) -> ExecuteRequest {
    if number == 0 {
        return request(&plan_id(plan), "create", create_plan());
    }
    let bytes = (number * 7919 + plan * 104_729) % bytes_max;
    let mut text = format!("{plan} {number} ");
    let mut words = Chance::of_seed(plan << 32 | number);
    while (text.len() as u64) < bytes {
        text += &words.below(u64::MAX).to_string();
    }
    let parts = text.as_bytes().chunks(NOTE_BYTES_MAX);
    let commands = parts.map(|part| Command {
        kind: Some(note(std::str::from_utf8(part).expect("digits and spaces"))),
    });
    ExecuteRequest {
        plan_id: plan_id(plan),
        request_id: format!("note-{number}"),
        commands: commands.collect(),
        ..ExecuteRequest::default()
    }
}

async fn ask_plans(
    daemon: &Daemon,
    plans: u64,
    notes: u64,
) -> Vec<(GetPlanRequest, GetPlanResponse)> {
    let mut asked = Vec::new();
    for plan in 0..plans {
        let now = GetPlanRequest {
            plan_id: plan_id(plan),
            ..Default::default()
        };
        let then = GetPlanRequest {
            as_of: Some(Point {
                point: Some(point::Point::Revision(notes / 3)),
            }),
            ..now.clone()
        };
        for request in [now, then] {
            let answer = daemon.plans().get_plan(request.clone()).await;
            asked.push((request, answer.expect("a plan").into_inner()));
        }
    }
    asked
}

async fn ask_events(daemon: &Daemon, plans: u64) -> Vec<(ListEventsRequest, ListEventsResponse)> {
    let mut asked = Vec::new();
    for plan in 0..plans {
        let mut request = ListEventsRequest {
            plan_id: plan_id(plan),
            page_size: 1_000,
            ..Default::default()
        };
        loop {
            let page = daemon.history().list_events(request.clone()).await;
            let page = page.expect("events").into_inner();
            let token = page.next_page_token.clone();
            asked.push((request.clone(), page));
            if token.is_empty() {
                break;
            }
            request.page_token = token;
        }
    }
    asked
}

/// All files below a directory, by their paths in it.
fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(path.strip_prefix(dir).expect("below it").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A daemon on a directory, if one starts; else what it says.
async fn start_or_refusal(dir: &Path) -> Result<Daemon, String> {
    let mut trial = process::Command::new(env!("CARGO_BIN_EXE_stratad"));
    trial.args(serve_arguments(dir)).args(SMALL_CACHE);
    let daemon = Daemon::spawn(trial).await;
    daemon.serving_or_ended().await
}
