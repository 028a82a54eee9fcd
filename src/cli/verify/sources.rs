//! Where the log is read from that is verified: backup files, a data directory, a running daemon. Each
//! hands every commit to the checker, goes on behind what it cannot read, and adds what it says of
//! itself: a trailer, a high-water mark, a checkpoint of today.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use tonic::{Code, Status};

use super::{
    VerifyError,
    checker::{Checker, Claim, Positions, Signature, Verified, Witness},
    kept::Kept,
};
use crate::{
    backup::{
        Flaw, Header,
        chain::{ChainError, Checked},
        decode::{Part, ReadError, Reader, Whole},
    },
    cli::{progress, remote::Remote},
    client::{Connection, refusal::Refusal},
    journal::{
        JournalError, LogId,
        sled::{Examined, Read, SledJournal},
    },
    merkle::Frontier,
    notary::{Checkpoint, CheckpointError},
    proto::{GetCheckpointRequest, ReadRawRequest, audit_service_client::AuditServiceClient},
};

/// How often a long pass says how far it is, where no bar is drawn.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The files of a data directory that say it is one.
const HOME_FILES: [&str; 3] = ["FORMAT", "journal", "high-water"];

/// A log that was read, and what came of it.
#[derive(Debug)]
pub(super) struct Pass {
    /// The log; nothing if what was to be read does not even tell that.
    pub(super) log_id: Option<LogId>,
    pub(super) verified: Verified,
}

/// How far a pass is, for whoever waits for it.
struct Progress {
    bar: ProgressBar,
    said: Instant,
    end: u64,
}

impl Progress {
    fn new(end: u64, bar: ProgressBar) -> Self {
        let bar = bar.with_message("verifying");
        Self {
            bar,
            said: Instant::now(),
            end,
        }
    }

    fn at(&mut self, done: u64, checker: &Checker) {
        self.bar.set_position(done);
        if !io::stderr().is_terminal() && self.said.elapsed() >= PROGRESS_INTERVAL {
            self.said = Instant::now();
            let percent = done.saturating_mul(100) / self.end.max(1);
            let position = checker.next() - 1;
            // Where stderr is closed nobody waits.
            writeln!(
                io::stderr(),
                "verified up to position {position}, {percent}%"
            )
            .ok();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Reads the log in a data directory.
pub(super) fn directory(dir: &Path, kept: &Kept) -> Result<Pass, VerifyError> {
    if dir.join("CREATING").exists() || !HOME_FILES.iter().any(|name| dir.join(name).exists()) {
        return Err(VerifyError::NotADirectory {
            path: dir.to_owned(),
        });
    }
    let examined = match SledJournal::examine(dir) {
        Ok(examined) => examined,
        Err(error @ JournalError::Locked { .. }) => return Err(VerifyError::InUse(error)),
        Err(error) => return Err(VerifyError::Journal(error)),
    };
    let claims = match examined.log_id {
        Some(log_id) => kept.claims(log_id)?,
        None => Vec::new(),
    };
    let mut checker = Checker::new(Frontier::default(), claims);
    if examined.log_id.is_none() {
        let what = "no file tells which log it is, so no checkpoint was compared with it";
        checker.find(None, what.to_owned());
    }
    if let Some(mark) = examined.mark.filter(|mark| mark.position > 0) {
        checker.claim(Claim {
            name: "the directory's high-water mark".to_owned(),
            size: mark.position,
            root: mark.root,
            witness: Witness::Log(Signature::None),
        });
    }
    for what in &examined.damage {
        checker.find(None, what.clone());
    }
    read_directory(&examined, &mut checker);
    Ok(Pass {
        log_id: examined.log_id,
        verified: checker.finish(),
    })
}

fn read_directory(examined: &Examined, checker: &mut Checker) {
    let marked = examined.mark.map_or(0, |mark| mark.position);
    let mut progress = Progress::new(marked, progress::bar(marked, "commits"));
    for read in examined.read() {
        match read {
            Read::Commit(entry) => checker.commit(entry.position, &entry.commit),
            Read::Damaged { position, what } => {
                if !checker.unreadable_at(position, &what) {
                    return;
                }
            }
        }
        progress.at(checker.next() - 1, checker);
    }
    if checker.next() <= marked {
        let lost = checker.next()..=marked;
        let what = "was acknowledged and cannot be read";
        checker.find(None, format!("{}: {what}", Positions(&lost)));
    }
}

/// A backup of which the header was read.
struct Opened {
    path: PathBuf,
    header: Header,
    bytes: u64,
}

/// Reads backup files in the order of their positions, each behind the one before.
pub(super) fn backups(paths: &[PathBuf], kept: &Kept) -> Result<Pass, VerifyError> {
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    for path in paths {
        match open_backup(path)? {
            Ok(file) => files.push(file),
            Err(flaw) => unreadable.push(ChainError::Flawed {
                path: path.clone(),
                flaw,
            }),
        }
    }
    // Of two that begin together only one that holds nothing can be the first: it is the shorter.
    files.sort_by_key(|file| (file.header.from_position(), file.bytes));
    let log_id = one_log(&files)?;
    let claims = log_id.map_or(Ok(Vec::new()), |log_id| kept.claims(log_id))?;
    let before = files.first().map(|file| file.header.before.clone());
    let mut checker = Checker::over_a_part(before.unwrap_or_default(), claims);
    for error in unreadable {
        checker.find(None, error.to_string());
    }
    let end = files.iter().map(|file| file.bytes).sum();
    let mut progress = Progress::new(end, progress::bytes_bar(end));
    let mut done = 0;
    let mut last = None;
    for (number, file) in files.iter().enumerate() {
        if number > 0 {
            go_on(&mut checker, last.take(), file)?;
        }
        last = read_backup(file, done, &mut checker, &mut progress)?;
        done += file.bytes;
    }
    drop(progress);
    Ok(Pass {
        log_id,
        verified: checker.finish(),
    })
}

/// The header of a backup, or what is wrong with it. What is no backup at all is wrong usage.
fn open_backup(path: &Path) -> Result<Result<Opened, Flaw>, VerifyError> {
    let unreadable = |error| VerifyError::Unreadable {
        name: path.display().to_string(),
        error,
    };
    let file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let mut reader = Reader::new(file);
    match reader.part() {
        Ok(Some(Part::Header(header))) => Ok(Ok(Opened {
            path: path.to_owned(),
            header,
            bytes,
        })),
        Ok(Some(Part::Commits(_) | Part::Trailer(_)) | None) => Ok(Err(Flaw::Incomplete {
            byte: bytes,
            position: 0,
        })),
        Err(ReadError::Io(error)) => Err(unreadable(error)),
        Err(ReadError::Flawed(flaw @ (Flaw::NotABackup | Flaw::OtherFormat { .. }))) => {
            Err(VerifyError::Backup(ChainError::Flawed {
                path: path.to_owned(),
                flaw,
            }))
        }
        Err(ReadError::Flawed(flaw @ (Flaw::Incomplete { .. } | Flaw::Damaged { .. }))) => {
            Ok(Err(flaw))
        }
    }
}

/// The log that all files are of.
fn one_log(files: &[Opened]) -> Result<Option<LogId>, VerifyError> {
    for pair in files.windows(2) {
        if let [one, other] = pair
            && one.header.log_id != other.header.log_id
        {
            return Err(VerifyError::Backup(ChainError::OtherLog {
                path: one.path.clone(),
                log_id: one.header.log_id,
                other: other.path.clone(),
                other_id: other.header.log_id,
            }));
        }
    }
    Ok(files.first().map(|file| file.header.log_id))
}

/// Begins with the next file, behind one that was read to its end or one that is damaged.
fn go_on(checker: &mut Checker, before: Option<Checked>, file: &Opened) -> Result<(), VerifyError> {
    let Some(before) = before else {
        // Where the one before broke off was said.
        checker.go_on_from(file.header.before.clone());
        return Ok(());
    };
    match before.leads_to(&file.path, &file.header) {
        Ok(()) => {}
        Err(error @ ChainError::Overlap { .. }) => {
            return Err(VerifyError::Backup(error.looked_into()));
        }
        Err(error) => {
            checker.find(None, error.to_string());
            checker.go_on_from(file.header.before.clone());
        }
    }
    Ok(())
}

/// Reads one file, and says where it leads if it is whole.
fn read_backup(
    file: &Opened,
    done: u64,
    checker: &mut Checker,
    progress: &mut Progress,
) -> Result<Option<Checked>, VerifyError> {
    let unreadable = |error| VerifyError::Unreadable {
        name: file.path.display().to_string(),
        error,
    };
    let mut reader = Reader::new(File::open(&file.path).map_err(unreadable)?);
    let flaw = loop {
        match reader.part() {
            Ok(Some(Part::Commits(entries))) => {
                for entry in entries {
                    checker.commit(entry.position, &entry.commit);
                }
            }
            Ok(Some(Part::Header(_) | Part::Trailer(_))) => {}
            Ok(None) => break None,
            Err(ReadError::Flawed(flaw)) => break Some(flaw),
            Err(ReadError::Io(error)) => return Err(unreadable(error)),
        }
        progress.at(done + reader.bytes(), checker);
    };
    match (flaw, reader.finish()) {
        (None, Ok(Whole { header, trailer })) => {
            checker.claim(Claim {
                name: format!("the trailer of {}", file.path.display()),
                size: trailer.head,
                root: trailer.root,
                witness: Witness::Log(Signature::None),
            });
            Ok(Some(Checked {
                path: file.path.clone(),
                header,
                trailer,
                bytes: file.bytes,
            }))
        }
        (Some(flaw), _) | (None, Err(ReadError::Flawed(flaw))) => {
            let at = match &flaw {
                Flaw::Damaged { position, .. } => position.or(Some(checker.next())),
                Flaw::Incomplete { .. } | Flaw::NotABackup | Flaw::OtherFormat { .. } => None,
            };
            checker.find(at, format!("{}: {flaw}", file.path.display()));
            Ok(None)
        }
        (None, Err(ReadError::Io(error))) => Err(unreadable(error)),
    }
}

/// Reads the log of a running daemon, up to its head at the call.
pub(super) async fn daemon(remote: &Remote, kept: &Kept) -> Result<Pass, VerifyError> {
    let mut client = remote.connect().await?.audit();
    let answer = client.get_checkpoint(GetCheckpointRequest::default()).await;
    let note = answer
        .map_err(|status| refused(remote, &status))?
        .into_inner()
        .checkpoint;
    let today = Today::open(&note, remote, kept)?;
    let log_id = LogId::from_bytes(today.checkpoint.log_id);
    let mut checker = Checker::new(Frontier::default(), kept.claims(log_id)?);
    let head = today.checkpoint.size;
    today.hand_to(&mut checker);
    let mut progress = Progress::new(head, progress::bar(head, "commits"));
    while checker.next() <= head {
        let from = checker.next();
        match read_raw(&mut client, head, &mut checker, &mut progress).await {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(status) if status.code() == Code::DataLoss => {
                let refusal = Refusal::from(&status);
                if !checker.unreadable(&refusal.message) {
                    break;
                }
            }
            Err(status) => {
                return Err(VerifyError::Ended {
                    position: checker.next() - 1,
                    refusal: Refusal::from(&status),
                });
            }
        }
        if checker.next() == from {
            // It ended before its own head, which the claim of today tells.
            break;
        }
    }
    drop(progress);
    Ok(Pass {
        log_id: Some(log_id),
        verified: checker.finish(),
    })
}

/// What a daemon answered to the first call instead of a checkpoint.
fn refused(remote: &Remote, status: &Status) -> VerifyError {
    let refusal = Refusal::from(status);
    if refusal.is_of_no_stratad() {
        let url = remote.url();
        return VerifyError::NoDaemon { url, refusal };
    }
    VerifyError::Ended {
        position: 0,
        refusal,
    }
}

/// What a daemon says of its log now.
struct Today {
    checkpoint: Checkpoint,
    signature: Signature,
    distrust: Option<CheckpointError>,
}

impl Today {
    fn open(note: &str, remote: &Remote, kept: &Kept) -> Result<Self, VerifyError> {
        let (signature, distrust) = match kept.open(note) {
            Ok((checkpoint, signature)) => {
                return Ok(Self {
                    checkpoint,
                    signature,
                    distrust: None,
                });
            }
            Err(CheckpointError::OtherKey { signers, .. }) => {
                let signature = Signature::OfAnother {
                    signers: signers.join(", "),
                    given: kept.key_names(),
                };
                (signature, None)
            }
            Err(error) => (Signature::None, Some(error)),
        };
        let checkpoint = Checkpoint::unverified(note).map_err(|error| VerifyError::Checkpoint {
            name: format!("the checkpoint of {}", remote.url()),
            error,
        })?;
        Ok(Self {
            checkpoint,
            signature,
            distrust,
        })
    }

    fn hand_to(self, checker: &mut Checker) {
        if let Some(error) = self.distrust {
            checker.find(None, format!("the daemon's checkpoint of today: {error}"));
        }
        checker.claim(Claim {
            name: "the daemon's checkpoint of today".to_owned(),
            size: self.checkpoint.size,
            root: self.checkpoint.root,
            witness: Witness::Log(self.signature),
        });
    }
}

/// Reads on up to `head`, or to where the daemon cannot, or sends what was not asked for.
async fn read_raw(
    client: &mut AuditServiceClient<Connection>,
    head: u64,
    checker: &mut Checker,
    progress: &mut Progress,
) -> Result<ControlFlow<()>, Status> {
    let request = ReadRawRequest {
        from_position: checker.next(),
        to_position: head,
        min_position: head,
    };
    let mut responses = client.read_raw(request).await?.into_inner();
    while let Some(response) = responses.message().await? {
        let commits = response.entries.into_iter();
        let commits = commits.map(|entry| (entry.position, entry.commit));
        if checker.commits_up_to(head, commits).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        progress.at(checker.next() - 1, checker);
    }
    Ok(ControlFlow::Continue(()))
}
