//! `stratad export`: writes the history of one plan as the requests that would record it, one in
//! JSON a line, so that another daemon can import it.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
};

use clap::Args;
use tokio::runtime;
use tonic::Status;

use crate::{
    cli::{
        DEFAULT_URL,
        remote::{self, Remote, Unreachable, Way},
    },
    client::{Client, refusal::Refusal},
    domain::event,
    json,
    proto::{GetPlanRequest, LogEntry, PlanView, ReadLogRequest},
    telemetry,
};

/// What `stratad export` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The plan.
    #[arg(long, value_name = "ID")]
    pub plan: String,
    /// The daemon; `http://` may be left out.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL, value_parser = Remote::parse)]
    pub from: Remote,
    /// How it is reached.
    #[command(flatten)]
    pub way: Way,
    /// Write to this file, which appears only once it is whole; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The daemon is not there.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The daemon refused to show the plan or its history.
    #[error("plan {plan_id:?} cannot be exported: {}", remote::words(refusal))]
    Refused {
        /// The plan.
        plan_id: String,
        /// The daemon's answer.
        refusal: Refusal,
    },
    /// A commit cannot be read by this version.
    #[error(
        "the commit at position {position} cannot be exported: {reason}; is the daemon of a newer \
         version? Use its stratad"
    )]
    Commit {
        /// Its position.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// What was read cannot be written.
    #[error("cannot write {name}: {error}")]
    Write {
        /// Where to.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The system refused what the export needs.
    #[error("cannot start the export: {0}")]
    System(io::Error),
}

/// What `stratad export --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Write the history of a plan: one strata.v1.ExecuteRequest in proto3 JSON a line, as `stratad \
import` reads it, from the plan's first commit to its last one now. Imported elsewhere, the plan \
has the same events; when they were recorded, and by whom, is then that of the import.";

/// What `stratad export --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad export --plan growth
  stratad export --plan growth -o growth.jsonl
  stratad export --plan growth --from localhost:7500 | stratad import -";

/// Writes the history of a plan.
pub fn run(arguments: &Arguments) -> Result<(), ExportError> {
    telemetry::init_client();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ExportError::System)?;
    let export_to = |name: &str, out: &mut dyn Write| {
        let mut sink = Sink { name, out };
        runtime.block_on(export(arguments, &mut sink))
    };
    match arguments.output.as_deref() {
        Some(path) if path != Path::new("-") => {
            let count = into_file(path, export_to)?;
            // The file is whole whether or not anyone reads this.
            writeln!(
                io::stderr(),
                "{count} requests written to {}",
                path.display()
            )
            .ok();
            Ok(())
        }
        Some(_) | None => {
            let mut out = BufWriter::new(io::stdout().lock());
            match export_to("standard output", &mut out) {
                // Who reads has read enough.
                Err(error) if error.is_closed_pipe() => Ok(()),
                outcome => outcome.map(|_count| ()),
            }
        }
    }
}

/// Where an export is written.
struct Sink<'a> {
    name: &'a str,
    out: &'a mut dyn Write,
}

impl Sink<'_> {
    fn cannot_write(&self, error: io::Error) -> ExportError {
        ExportError::Write {
            name: self.name.to_owned(),
            error,
        }
    }
}

impl ExportError {
    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Writes the history of the plan as it is now, and answers how many requests that are.
async fn export(arguments: &Arguments, sink: &mut Sink<'_>) -> Result<u64, ExportError> {
    let refused = |status: Status| ExportError::Refused {
        plan_id: arguments.plan.clone(),
        refusal: Refusal::from(&status),
    };
    let client = arguments.from.by(&arguments.way).connect().await?;
    let position = find_plan(&client, &arguments.plan).await.map_err(refused)?;
    let request = ReadLogRequest {
        plan_ids: vec![arguments.plan.clone()],
        min_position: position,
        ..Default::default()
    };
    let mut responses = client
        .history()
        .read_log(request)
        .await
        .map_err(refused)?
        .into_inner();
    let mut count = 0;
    while let Some(response) = responses.message().await.map_err(refused)? {
        for entry in &response.entries {
            let line = line_of(entry)?;
            writeln!(sink.out, "{line}").map_err(|error| sink.cannot_write(error))?;
            count += 1;
        }
        sink.out.flush().map_err(|error| sink.cannot_write(error))?;
    }
    Ok(count)
}

/// The position of the log at which the plan exists. The log itself has no word for a plan that
/// does not: it would just be empty.
async fn find_plan(client: &Client, plan_id: &str) -> Result<u64, Status> {
    let request = GetPlanRequest {
        plan_id: plan_id.to_owned(),
        view: PlanView::Basic.into(),
        ..Default::default()
    };
    let response = client.plans().get_plan(request).await?;
    Ok(response.into_inner().position)
}

/// A commit as the request that would record it.
fn line_of(entry: &LogEntry) -> Result<String, ExportError> {
    let unreadable = |reason: String| ExportError::Commit {
        position: entry.position,
        reason,
    };
    let commit = entry
        .decode_commit()
        .map_err(|error| unreadable(error.to_string()))?;
    let request = event::request_of(&commit)
        .ok_or_else(|| unreadable("it holds an event of an unknown kind".to_owned()))?;
    json::to_json(&request).map_err(|error| unreadable(error.to_string()))
}

/// Writes a file that appears under its name only once it is whole and on disk.
fn into_file(
    path: &Path,
    write: impl FnOnce(&str, &mut dyn Write) -> Result<u64, ExportError>,
) -> Result<u64, ExportError> {
    let name = path.display().to_string();
    let cannot_write = |error| ExportError::Write {
        name: name.clone(),
        error,
    };
    let partial = partial_path(path);
    let file = File::create_new(&partial).map_err(cannot_write)?;
    let mut out = BufWriter::new(file);
    let outcome = write(&name, &mut out).and_then(|count| {
        let synced = out.into_inner().map_err(io::IntoInnerError::into_error);
        synced
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&partial, path))
            .and_then(|()| sync_directory_of(path))
            .map_err(cannot_write)?;
        Ok(count)
    });
    if outcome.is_err() {
        // What went wrong before is what the user must hear of.
        fs::remove_file(&partial).ok();
    }
    outcome
}

/// A name beside `path` that no other process uses.
fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", process::id()));
    path.with_file_name(name)
}

/// Makes the name of a file last.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if directory != Path::new("") => File::open(directory)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message as _;

    use super::*;
    use crate::proto::{self, ExecuteRequest, event::Kind};

    fn entry(kind: Option<Kind>) -> LogEntry {
        let commit = proto::Commit {
            plan_id: "growth".to_owned(),
            first_revision: 1,
            request_id: "first".to_owned(),
            events: vec![proto::Event {
                revision: 1,
                kind,
                ..Default::default()
            }],
            ..Default::default()
        };
        LogEntry {
            position: 7,
            commit: commit.encode_to_vec().into(),
        }
    }

    #[test]
    fn a_commit_is_written_as_a_request_on_one_line() {
        let created = proto::PlanCreated {
            title: "Grow\nthe bakery".to_owned(),
            ..Default::default()
        };
        let line = line_of(&entry(Some(Kind::PlanCreated(created)))).expect("it can be exported");
        assert!(!line.contains('\n'), "{line}");
        let request: ExecuteRequest = json::from_json(&line).expect("import can read it");
        assert_eq!(request.plan_id, "growth");
        assert_eq!(request.request_id, "first");
        assert_eq!(request.commands.len(), 1);
    }

    #[test]
    fn a_commit_that_this_version_does_not_know_ends_the_export() {
        let damaged = LogEntry {
            position: 7,
            commit: Bytes::from_static(b"\xff\xff"),
        };
        for entry in [damaged, entry(None)] {
            let error = line_of(&entry).expect_err("it cannot be exported");
            assert!(error.to_string().contains("position 7"), "{error}");
        }
    }

    #[test]
    fn a_file_appears_only_when_it_is_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("growth.jsonl");
        fs::write(&path, "before").expect("a file from before");

        into_file(&path, |name, out| {
            out.write_all(b"half").expect("it can be written");
            Err(ExportError::Write {
                name: name.to_owned(),
                error: io::Error::other("the daemon went away"),
            })
        })
        .expect_err("the export failed");
        assert_eq!(fs::read(&path).expect("it is still there"), b"before");

        let count = into_file(&path, |_, out| {
            out.write_all(b"whole").expect("it can be written");
            Ok(1)
        });
        assert_eq!(count.expect("the export is done"), 1);
        assert_eq!(fs::read(&path).expect("it is there"), b"whole");
        let names = fs::read_dir(directory.path())
            .expect("it can be listed")
            .count();
        assert_eq!(names, 1, "nothing partial is left");
    }
}
