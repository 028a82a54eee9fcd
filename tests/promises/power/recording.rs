//! A daemon's lives on one directory, recorded: what each did to its files, when it answered what,
//! and the log that came of it. A life ends by a clean stop or by `kill -9`; what was not synced
//! when it ended is still not synced in the next.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use strata::proto::LogEntry;
use tempfile::TempDir;

use super::{
    disk::{History, Image, Policy},
    load::{Ledger, ids_in},
    trace::{self, Effect, Event},
};
use crate::{
    chance::Chance,
    daemon::{Daemon, PATIENCE, POLL_INTERVAL, serve_arguments, strace},
    reading::whole_log,
};

/// So much of each written buffer stands in the trace, in bytes: more than a segment of sled.
const TRACED_BYTES: &str = "16777216";

/// What the daemon was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Creation,
    /// After a clean stop.
    Start,
    /// After a kill or a loss of power.
    Recovery,
    Load,
    Stop,
}

/// A phase of a life, by the lines of the trace.
pub(super) struct Stretch {
    pub(super) phase: Phase,
    /// Lines where something changes, by what: an answer leaves, a sync begins or ends, other.
    moments: [Vec<usize>; 3],
}

impl Stretch {
    /// A moment of the stretch. Answers and syncs are few among the writes and tell the most.
    pub(super) fn moment(&self, chance: &mut Chance) -> usize {
        let choices: Vec<_> = self.moments.iter().filter(|m| !m.is_empty()).collect();
        let moments = choices[below(chance, choices.len())];
        moments[below(chance, moments.len())]
    }
}

/// What was acknowledged or shown.
#[derive(Clone)]
pub(super) struct Answer {
    /// The line of the trace where the first of it went out.
    pub(super) line: usize,
    pub(super) id: String,
    /// What the log must hold from then on.
    pub(super) entry: LogEntry,
}

/// All lives on one directory.
pub(super) struct Recording {
    pub(super) name: &'static str,
    pub(super) history: History,
    pub(super) ledger: Ledger,
    /// In the order of their lines.
    pub(super) answers: Vec<Answer>,
    pub(super) stretches: Vec<Stretch>,
    /// The data directory, relative to the tree that the history is of.
    pub(super) data: String,
    /// Where the traces are.
    pub(super) dir: TempDir,
}

impl Recording {
    /// What had been answered at a moment.
    pub(super) fn answered_by(&self, moment: usize) -> &[Answer] {
        &self.answers[..self.answers.partition_point(|answer| answer.line <= moment)]
    }

    /// A stretch: often one of load, and else any.
    pub(super) fn stretch(&self, chance: &mut Chance) -> &Stretch {
        let loaded = |stretch: &&Stretch| stretch.phase == Phase::Load;
        let loads: Vec<_> = self.stretches.iter().filter(loaded).collect();
        if chance.below(2) == 0 && !loads.is_empty() {
            return loads[below(chance, loads.len())];
        }
        &self.stretches[below(chance, self.stretches.len())]
    }
}

/// Makes a recording.
pub(super) struct Recorder {
    name: &'static str,
    dir: TempDir,
    data: String,
    base: Image,
    /// What the base holds and must go on to hold.
    before: Vec<Answer>,
    pub(super) ledger: Arc<Ledger>,
    events: Vec<Event>,
    lines: usize,
    lives: Vec<Life>,
}

struct Life {
    begins_with: Phase,
    lines: Range<usize>,
}

impl Recorder {
    /// On a data directory that is not there yet.
    pub(super) fn new(name: &'static str, data: &str) -> Self {
        let before = (Image::default(), Vec::new());
        Self::on(name, data, before, Ledger::default())
    }

    /// On what a loss of power left of another recording at this moment.
    pub(super) fn after(
        name: &'static str,
        other: &Recording,
        moment: usize,
        image: Image,
    ) -> Self {
        let mut answers = other.answered_by(moment).to_vec();
        for answer in &mut answers {
            answer.line = 0;
        }
        let ids: Vec<String> = answers.iter().map(|answer| answer.id.clone()).collect();
        let ledger = other.ledger.with_answers_to(&ids);
        Self::on(name, &other.data, (image, answers), ledger)
    }

    /// Takes what is there, durable, for where the recording begins. The daemon that made it, and
    /// showed this log, has ended.
    pub(super) fn begin_here(&mut self, log: &[LogEntry]) {
        self.base = Image::read(&self.disk());
        let answer = |entry: &LogEntry| Answer {
            line: 0,
            id: entry.decode_commit().expect("a commit").request_id,
            entry: entry.clone(),
        };
        self.before = log.iter().map(answer).collect();
    }

    /// A daemon that is not recorded.
    pub(super) async fn start_unrecorded(&self) -> Daemon {
        Daemon::start(&self.disk().join(&self.data)).await
    }

    fn on(
        name: &'static str,
        data: &str,
        (base, before): (Image, Vec<Answer>),
        ledger: Ledger,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = dir.path().join("disk");
        fs::create_dir(&disk).expect("created");
        base.write(&disk);
        Self {
            name,
            dir,
            data: data.to_owned(),
            base,
            before,
            ledger: Arc::new(ledger),
            events: Vec::new(),
            lines: 0,
            lives: Vec::new(),
        }
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn trace(&self, life: usize) -> PathBuf {
        self.dir.path().join(format!("trace-{life}"))
    }

    /// A file of the data directory.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.disk().join(&self.data).join(name)
    }

    /// Begins a life. It listens, and may not serve yet.
    pub(super) async fn spawn(&mut self) -> Daemon {
        let begins_with = if !self.file("FORMAT").exists() {
            Phase::Creation
        } else if self.stopped_cleanly() {
            Phase::Start
        } else {
            Phase::Recovery
        };
        let lines = self.lines..self.lines;
        self.lives.push(Life { begins_with, lines });
        let mut command = strace();
        command
            .args(["--seccomp-bpf", "-q", "-yy", "-s", TRACED_BYTES, "-e"])
            .arg(format!("trace={}", trace::CALLS))
            .arg("-o")
            .arg(self.trace(self.lives.len()))
            .arg(env!("CARGO_BIN_EXE_stratad"))
            .args(serve_arguments(&self.disk().join(&self.data)));
        Daemon::spawn(command).await
    }

    /// Begins a life and waits until it serves.
    pub(super) async fn start(&mut self) -> Daemon {
        let daemon = self.spawn().await;
        daemon.wait_until_serving().await;
        daemon
    }

    fn stopped_cleanly(&self) -> bool {
        let last = self.lives.last().map_or(0, |life| life.lines.start);
        let of_last_life = self.events.iter().filter(|event| event.begin >= last);
        of_last_life
            .map(|event| &event.effect)
            .any(|effect| matches!(effect, Effect::Terminate))
    }

    /// Takes in the trace of a life whose daemon has ended.
    pub(super) async fn ended(&mut self) {
        let text = self.whole_trace().await;
        let (disk, lines) = (self.disk(), text.lines().count());
        for mut event in trace::events(&text, &disk) {
            if event.end.is_none() && !settle(&mut event, &disk, lines) {
                continue;
            }
            event.begin += self.lines;
            event.end = event.end.map(|end| end + self.lines);
            self.events.push(event);
        }
        self.lines += lines + 1;
        self.lives.last_mut().expect("a life").lines.end = self.lines;
    }

    /// The trace, once the tracer has seen the daemon end.
    async fn whole_trace(&self) -> String {
        let waiting_since = Instant::now();
        loop {
            let text = fs::read_to_string(self.trace(self.lives.len())).expect("a trace");
            if text.trim_end().ends_with("+++") && text.ends_with('\n') {
                return text;
            }
            assert!(waiting_since.elapsed() < PATIENCE, "the trace never ends");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends the last life cleanly, and the recording with it.
    pub(super) async fn finish(mut self, daemon: Daemon) -> Recording {
        let log = whole_log(&daemon).await;
        daemon.stop().await;
        self.ended().await;
        let answers = self.answers(&log);
        let stretches = self.stretches(&answers);
        let actual = Image::read(&self.disk());
        let history = History::new(&self.base, self.events);
        let chance = &mut Chance::of_seed(0);
        let modelled = history.image(self.lines, Policy::Everything, None, chance);
        for (path, bytes) in &actual.0 {
            let same = modelled.0.get(path) == Some(bytes);
            assert!(same, "{}: the trace does not tell all of {path}", self.name);
        }
        assert_eq!(modelled.0.len(), actual.0.len(), "{}", self.name);
        Recording {
            name: self.name,
            history,
            ledger: Arc::into_inner(self.ledger).expect("all clients have ended"),
            answers,
            stretches,
            data: self.data,
            dir: self.dir,
        }
    }

    /// When each commit went out first, as an answer or by a query.
    fn answers(&self, log: &[LogEntry]) -> Vec<Answer> {
        let mut lines: HashMap<String, usize> = HashMap::new();
        for event in &self.events {
            if let Effect::Send { data } = &event.effect {
                for id in ids_in(data) {
                    let line = lines.entry(id).or_insert(event.begin);
                    *line = event.begin.min(*line);
                }
            }
        }
        for answer in &self.before {
            lines.insert(answer.id.clone(), 0);
        }
        let mut entries: BTreeMap<String, &LogEntry> = BTreeMap::new();
        for entry in log {
            let commit = entry.decode_commit().expect("a commit");
            entries.insert(commit.request_id, entry);
        }
        for id in self.ledger.answered() {
            assert!(lines.contains_key(&id), "the trace shows no answer to {id}");
            assert!(
                entries.contains_key(&id),
                "{id} was answered and is not recorded"
            );
        }
        let mut answers: Vec<Answer> = entries
            .into_iter()
            .filter_map(|(id, entry)| {
                let (line, entry) = (*lines.get(&id)?, entry.clone());
                Some(Answer { line, id, entry })
            })
            .collect();
        answers.sort_by_key(|answer| answer.line);
        answers
    }

    fn stretches(&self, answers: &[Answer]) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        for life in &self.lives {
            let of_life = |line: &usize| life.lines.contains(line);
            let first = answers.iter().map(|answer| answer.line).find(of_life);
            let terminated = self.events.iter().filter_map(|event| {
                matches!(event.effect, Effect::Terminate).then_some(event.begin)
            });
            let stop = terminated.filter(of_life).min().unwrap_or(life.lines.end);
            let load = first.unwrap_or(stop).min(stop);
            for (phase, lines) in [
                (life.begins_with, life.lines.start..load),
                (Phase::Load, load..stop),
                (Phase::Stop, stop..life.lines.end),
            ] {
                let moments = self.moments(&lines, answers);
                if moments.iter().any(|moments| !moments.is_empty()) {
                    stretches.push(Stretch { phase, moments });
                }
            }
        }
        stretches
    }

    fn moments(&self, lines: &Range<usize>, answers: &[Answer]) -> [Vec<usize>; 3] {
        let mut moments = [const { Vec::new() }; 3];
        moments[0].extend(answers.iter().map(|answer| answer.line));
        for event in &self.events {
            let end = event.end.expect("settled");
            match event.effect {
                Effect::Send { .. } | Effect::Terminate => {}
                Effect::Sync { .. } => {
                    moments[1].extend([event.begin, end.saturating_sub(1), end]);
                }
                Effect::Open { .. }
                | Effect::Write { .. }
                | Effect::SetLength { .. }
                | Effect::Rename { .. }
                | Effect::Remove { .. }
                | Effect::MakeDirectory { .. } => moments[2].extend([event.begin, end]),
            }
        }
        for moments in &mut moments {
            moments.retain(|line| lines.contains(line));
        }
        moments
    }
}

/// Finds out what became of a call within which the daemon was killed, and says whether anything
/// did.
fn settle(event: &mut Event, disk: &Path, last_line: usize) -> bool {
    event.end = Some(last_line);
    let exists = |path: &str| disk.join(path).exists();
    match &mut event.effect {
        Effect::Write { path, offset, data } => {
            let Ok(file) = fs::File::open(disk.join(path)) else {
                return false;
            };
            let length = file.metadata().expect("a length").len();
            let length = usize::try_from(length).expect("small");
            data.truncate(length.saturating_sub(*offset));
            file.read_exact_at(data, *offset as u64).expect("read");
            !data.is_empty()
        }
        Effect::SetLength { path, length } => {
            fs::metadata(disk.join(path)).is_ok_and(|file| file.len() == *length as u64)
        }
        Effect::Open { path, .. } | Effect::MakeDirectory { path } => exists(path),
        Effect::Rename { from, to } => !exists(from) && exists(to),
        Effect::Remove { path } => !exists(path),
        Effect::Sync { .. } => false,
        Effect::Send { .. } | Effect::Terminate => true,
    }
}

pub(super) fn below(chance: &mut Chance, bound: usize) -> usize {
    usize::try_from(chance.below(bound as u64)).expect("small")
}
