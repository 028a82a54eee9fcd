//! What must hold of a directory after a loss of power, tried with the real daemon: it starts, holds
//! every acknowledged commit in its place, answers every acknowledged request as it did, goes on
//! writing, and starts again.

use std::{fmt, path::Path, process::Command};

use strata::proto::{ExecuteResponse, LogEntry, command, event};

use super::recording::{Answer, Recording};
use crate::{
    chance::Chance,
    daemon::{Daemon, create_plan, note, request, serve_arguments},
    reading::{assert_sound, whole_log},
};

/// What is wrong with a directory.
#[derive(Debug)]
pub(super) enum Failure {
    /// The daemon does not start.
    Refused(String),
    /// An acknowledged commit is not there, or is another.
    Lost(String),
    /// Anything else.
    Wrong(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(said) => write!(f, "refused, saying:\n{said}"),
            Self::Lost(what) => write!(f, "lost: {what}"),
            Self::Wrong(what) => write!(f, "wrong: {what}"),
        }
    }
}

/// Looks at a directory that was made of a recording at a moment.
pub(super) async fn examine(
    recording: &Recording,
    moment: usize,
    disk: &Path,
    chance: &mut Chance,
) -> Result<(), Failure> {
    let data = disk.join(&recording.data);
    let daemon = start(&data).await?;
    let log = whole_log(&daemon).await;
    let answered = recording.answered_by(moment);
    held(answered, &log)?;
    sound(recording, &log)?;
    replayed(recording, answered, &daemon).await?;
    let new = append(&daemon, &log).await?;
    if chance.below(2) == 0 {
        daemon.kill();
    } else {
        daemon.stop().await;
    }
    let again = start(&data).await?;
    let log_again = whole_log(&again).await;
    let expected: Vec<_> = log.into_iter().chain(new).collect();
    if log_again == expected {
        Ok(())
    } else {
        let (length, before) = (log_again.len(), expected.len());
        let what = format!("{length} commits after another start, {before} before");
        Err(Failure::Lost(what))
    }
}

async fn start(data: &Path) -> Result<Daemon, Failure> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stratad"));
    command.args(serve_arguments(data));
    let daemon = Daemon::spawn(command).await;
    daemon.serving_or_ended().await.map_err(Failure::Refused)
}

fn held(answered: &[Answer], log: &[LogEntry]) -> Result<(), Failure> {
    for Answer { id, entry, .. } in answered {
        let found = below_or_at(log, entry.position);
        if found != Some(entry) {
            let what = if found.is_some() {
                "is another"
            } else {
                "is lost"
            };
            let (position, length) = (entry.position, log.len());
            let what = format!("{id} at position {position} of {length} {what}");
            return Err(Failure::Lost(what));
        }
    }
    Ok(())
}

fn below_or_at(log: &[LogEntry], position: u64) -> Option<&LogEntry> {
    log.get(usize::try_from(position).ok()?.checked_sub(1)?)
}

/// Every commit is whole: it says what its request asked for.
fn sound(recording: &Recording, log: &[LogEntry]) -> Result<(), Failure> {
    assert_sound(log);
    for entry in log {
        let commit = entry.decode_commit().expect("a commit");
        let id = &commit.request_id;
        let Some(request) = recording.ledger.request(id) else {
            return Err(Failure::Wrong(format!("nobody asked for {id}")));
        };
        let asked = request.commands.iter().map(|command| {
            let Some(command::Kind::RecordNote(note)) = &command.kind else {
                return None;
            };
            Some(note.text.as_str())
        });
        let recorded = commit.events.iter().map(|event| {
            let Some(event::Kind::NoteRecorded(note)) = &event.kind else {
                return None;
            };
            Some(note.text.as_str())
        });
        if !asked.eq(recorded) {
            return Err(Failure::Wrong(format!("{id} is not whole")));
        }
    }
    Ok(())
}

/// Every request that was answered is answered so again.
async fn replayed(
    recording: &Recording,
    answered: &[Answer],
    daemon: &Daemon,
) -> Result<(), Failure> {
    for Answer { id, .. } in answered {
        let request = recording.ledger.request(id).expect("sent");
        let again = daemon.plans().execute(request).await;
        let again = match again {
            Ok(again) => again.into_inner(),
            Err(status) => return Err(Failure::Wrong(format!("{id} is answered {status:?}"))),
        };
        let as_before = match recording.ledger.answer(id) {
            Some(first) => {
                let replayed = true;
                again == ExecuteResponse { replayed, ..first }
            }
            // It was shown, and its client did not hear the answer.
            None => again.replayed,
        };
        if !as_before {
            return Err(Failure::Wrong(format!("{id} is answered otherwise")));
        }
    }
    Ok(())
}

/// Two commits more, on a new plan.
async fn append(daemon: &Daemon, log: &[LogEntry]) -> Result<Vec<LogEntry>, Failure> {
    let mut new = Vec::new();
    for (id, command) in [
        ("one more", create_plan()),
        ("and another", note("goes on")),
    ] {
        let position = (log.len() + new.len() + 1) as u64;
        let answer = daemon
            .plans()
            .execute(request("afterwards", id, command))
            .await;
        match answer.map(|answer| answer.into_inner().entry) {
            Ok(Some(entry)) if entry.position == position => new.push(entry),
            other => return Err(Failure::Wrong(format!("the next commit is {other:?}"))),
        }
    }
    Ok(new)
}
