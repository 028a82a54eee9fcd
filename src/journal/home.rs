//! The data directory: who holds it, which format it has, and how it comes into being so that a
//! crash at any instant leaves either a directory that opens or one that was never written.
//!
//! ```text
//! DIR/LOCK         held for life by the process that has the directory open
//! DIR/CREATING     only while the directory comes into being: nothing in it was ever acknowledged
//! DIR/RESTORING    only while a backup is restored into the directory: its log is not whole
//! DIR/FORMAT       format number and log id; written last, it says that the rest is there
//! DIR/high-water   what was acknowledged last
//! DIR/journal/     the log
//! DIR/signing-key  what checkpoints are signed with, of another room
//! DIR/view/        projections, of another room
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{JournalError, LogId, high_water, io_error};

pub(super) mod reading;
mod restoring;

/// The layout of the directory that this version reads and writes.
const FORMAT: u64 = 1;

/// FORMAT is three lines, in bytes; a longer one is not ours.
const FORMAT_BYTES_MAX: u64 = 4096;

/// How long a lock that somebody holds is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// A data directory that this process holds.
#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    /// Locked until it is closed, with this value or with the process.
    _lock: File,
    log_id: LogId,
}

impl Home {
    /// Takes hold of a data directory, and brings it into being if it is new. `create_log` is
    /// called for a new one with the path where the log belongs; what it leaves there must be
    /// durable.
    pub(super) fn open(
        dir: &Path,
        create_log: impl FnOnce(&Path) -> Result<(), JournalError>,
    ) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(io_error(format!(
            "creating the directory {}",
            dir.display()
        )))?;
        let lock = lock(dir)?;
        restoring::refuse(dir)?;
        let log_id = match (exists(dir, "FORMAT")?, exists(dir, "CREATING")?) {
            (true, creating) => {
                if creating {
                    remove(dir, "CREATING")?;
                }
                read_format(dir)?
            }
            (false, true) => create(dir, LogId::random(), create_log)?,
            (false, false) => {
                refuse_data(dir, &["journal", "high-water", "view"])?;
                create(dir, LogId::random(), create_log)?
            }
        };
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
            log_id,
        })
    }

    pub(super) const fn log_id(&self) -> LogId {
        self.log_id
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn log_path(&self) -> PathBuf {
        log_path(&self.dir)
    }

    pub(super) fn high_water_path(&self) -> PathBuf {
        self.dir.join("high-water")
    }
}

/// A data directory that no daemon opens for as long as this lives.
#[derive(Debug)]
pub struct Held {
    _lock: File,
    log_id: LogId,
}

impl Held {
    /// The log in it.
    #[must_use]
    pub const fn log_id(&self) -> LogId {
        self.log_id
    }
}

/// Takes hold of a data directory that exists, without a look at its log.
pub fn hold(dir: &Path) -> Result<Held, JournalError> {
    let lock = lock(dir)?;
    Ok(Held {
        _lock: lock,
        log_id: read_format(dir)?,
    })
}

/// Which log is in a data directory, whoever holds it.
pub fn log_id_of(dir: &Path) -> Result<LogId, JournalError> {
    read_format(dir)
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// Makes the names in a directory survive power loss.
pub(super) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    sync_file(dir)
}

/// Makes a file's bytes survive power loss, whoever wrote them.
pub(super) fn sync_file(path: &Path) -> Result<(), JournalError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io_error(format!("syncing {}", path.display())))
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("LOCK");
    let failed = || io_error(format!("locking {}", path.display()));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed())?;
    match wait_for_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held_by_another(dir, &file)),
        Err(TryLockError::Error(source)) => return Err(failed()(source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed())?;
    Ok(file)
}

fn held_by_another(dir: &Path, mut lock: &File) -> JournalError {
    let mut holder = String::new();
    let pid = lock
        .read_to_string(&mut holder)
        .ok()
        .and_then(|_| holder.trim().parse().ok());
    JournalError::Locked {
        dir: dir.to_owned(),
        pid,
    }
}

/// A daemon that was just killed, or a child that is only being started, may hold the lock for a
/// moment longer.
fn wait_for_lock(file: &File) -> Result<(), TryLockError> {
    let give_up = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => thread::sleep(LOCK_RETRY),
            locked => return locked,
        }
    }
}

fn exists(dir: &Path, name: &str) -> Result<bool, JournalError> {
    let path = dir.join(name);
    path.try_exists()
        .map_err(io_error(format!("looking for {}", path.display())))
}

fn remove(dir: &Path, name: &str) -> Result<(), JournalError> {
    let path = dir.join(name);
    fs::remove_file(&path).map_err(io_error(format!("removing {}", path.display())))?;
    sync_dir(dir)
}

fn refuse_data(dir: &Path, names: &[&'static str]) -> Result<(), JournalError> {
    for found in names {
        if exists(dir, found)? {
            return Err(JournalError::NoFormat {
                dir: dir.to_owned(),
                found,
            });
        }
    }
    Ok(())
}

/// Brings a directory into being. CREATING is durable before anything else is there and goes
/// when all is, before the first append: what stands beside it was never acknowledged, and may be
/// thrown away when an interrupted creation is done again.
fn create(
    dir: &Path,
    log_id: LogId,
    create_log: impl FnOnce(&Path) -> Result<(), JournalError>,
) -> Result<LogId, JournalError> {
    refuse_data(dir, &["view"])?;
    let path = |name: &str| dir.join(name);
    write_whole(&path("CREATING"), b"this directory is being created\n")?;
    sync_dir(dir)?;
    sync_parents(dir)?;
    match fs::remove_dir_all(log_path(dir)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("removing the remains of an interrupted creation")(
                e,
            ));
        }
        Ok(()) | Err(_) => {}
    }
    create_log(&log_path(dir))?;
    write_whole(&path("high-water"), &high_water::fresh(log_id))?;
    write_whole(&path("FORMAT.new"), format_text(log_id).as_bytes())?;
    sync_dir(dir)?;
    fs::rename(path("FORMAT.new"), path("FORMAT")).map_err(io_error(format!(
        "renaming {}",
        path("FORMAT.new").display()
    )))?;
    sync_dir(dir)?;
    remove(dir, "CREATING")?;
    Ok(log_id)
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(io_error(format!("writing {}", path.display())))
}

/// The name of the data directory itself has to survive as well, and so do those of the
/// directories above it, which may be as new. One that may not be read, or cannot be synced, was
/// not made by us.
fn sync_parents(dir: &Path) -> Result<(), JournalError> {
    for parent in dir.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            Err(e)
                if !matches!(
                    e.kind(),
                    io::ErrorKind::PermissionDenied
                        | io::ErrorKind::ReadOnlyFilesystem
                        | io::ErrorKind::InvalidInput
                ) =>
            {
                return Err(io_error(format!("syncing {}", parent.display()))(e));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn format_text(log_id: LogId) -> String {
    let lines = format!("strata data format {FORMAT}\nlog {log_id}\n");
    format!("{lines}crc32c {:08x}\n", crc32c::crc32c(lines.as_bytes()))
}

fn read_format(dir: &Path) -> Result<LogId, JournalError> {
    let path = dir.join("FORMAT");
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(FORMAT_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(io_error(format!("reading {}", path.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    // The number is looked at before the checksum: another format may check otherwise.
    match format_number(&text) {
        Some(FORMAT) => {}
        Some(found) => {
            return Err(JournalError::OtherFormat {
                found,
                supported: FORMAT,
            });
        }
        None => return Err(unreadable(&path)),
    }
    let log_id = text
        .lines()
        .nth(1)
        .and_then(|line| line.strip_prefix("log "))
        .and_then(|id| uuid::Uuid::try_parse(id).ok())
        .map(|id| LogId::from_bytes(id.into_bytes()))
        .ok_or_else(|| unreadable(&path))?;
    if format_text(log_id) == text {
        Ok(log_id)
    } else {
        Err(unreadable(&path))
    }
}

fn format_number(text: &str) -> Option<u64> {
    text.lines()
        .next()?
        .strip_prefix("strata data format ")?
        .parse()
        .ok()
}

fn unreadable(path: &Path) -> JournalError {
    JournalError::Damaged {
        what: format!("{} is not what was written", path.display()),
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_log(path: &Path) -> Result<(), JournalError> {
        fs::create_dir(path).map_err(io_error("creating the log"))
    }

    #[track_caller]
    fn open(dir: &Path) -> Home {
        Home::open(dir, make_log).expect("the directory opens")
    }

    #[track_caller]
    fn refusal(dir: &Path) -> JournalError {
        Home::open(dir, make_log).expect_err("the directory is refused")
    }

    #[test]
    fn a_new_directory_keeps_its_log_id() {
        let dir = tempfile::tempdir().expect("a directory");
        let log_id = open(dir.path()).log_id();
        assert_eq!(open(dir.path()).log_id(), log_id);
        assert!(!dir.path().join("CREATING").exists());
    }

    #[test]
    fn the_bytes_of_format_never_change() {
        let text = format_text(LogId::from_bytes([0xab; 16]));
        assert_eq!(
            text,
            "strata data format 1\nlog abababab-abab-abab-abab-abababababab\ncrc32c beb08e73\n"
        );
    }

    #[test]
    fn a_second_holder_is_refused_with_the_first_ones_pid() {
        let dir = tempfile::tempdir().expect("a directory");
        let _first = open(dir.path());
        let refusal = refusal(dir.path());
        let JournalError::Locked { pid, .. } = &refusal else {
            panic!("{refusal}")
        };
        assert_eq!(*pid, Some(std::process::id()));
        assert!(
            refusal.to_string().contains("is in use by process"),
            "{refusal}"
        );
    }

    #[test]
    fn another_format_is_refused_in_words() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(open(dir.path()));
        fs::write(
            dir.path().join("FORMAT"),
            "strata data format 2\nwhatever\n",
        )
        .expect("written");
        let refusal = refusal(dir.path());
        assert!(matches!(
            refusal,
            JournalError::OtherFormat {
                found: 2,
                supported: 1
            }
        ));
        assert!(refusal.to_string().contains("has format 2"), "{refusal}");
    }

    #[test]
    fn a_damaged_format_file_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(open(dir.path()));
        let text = format_text(LogId::random());
        for damaged in [
            "",
            "strata data format one\n",
            &text[..text.len() - 1],
            &text.to_uppercase(),
        ] {
            fs::write(dir.path().join("FORMAT"), damaged).expect("written");
            assert!(
                matches!(refusal(dir.path()), JournalError::Damaged { .. }),
                "{damaged:?}"
            );
        }
    }

    #[test]
    fn data_without_a_format_file_is_refused() {
        for name in ["journal", "high-water", "view"] {
            let dir = tempfile::tempdir().expect("a directory");
            fs::create_dir(dir.path().join(name)).expect("created");
            assert!(
                matches!(refusal(dir.path()), JournalError::NoFormat { found, .. } if found == name)
            );
            assert!(dir.path().join(name).exists());
        }
    }

    #[test]
    fn a_populated_directory_that_lost_its_format_file_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(open(dir.path()));
        fs::remove_file(dir.path().join("FORMAT")).expect("removed");
        assert!(matches!(refusal(dir.path()), JournalError::NoFormat { .. }));
    }

    #[test]
    fn an_interrupted_creation_is_done_again() {
        let finished = tempfile::tempdir().expect("a directory");
        drop(open(finished.path()));
        // Given what each instant of a creation leaves behind, from first to last.
        let steps = ["CREATING", "journal", "high-water", "FORMAT.new", "FORMAT"];
        for last in 0..steps.len() {
            let dir = tempfile::tempdir().expect("a directory");
            for name in &steps[..=last] {
                match *name {
                    "journal" => fs::create_dir(dir.path().join(name)).expect("created"),
                    // Its rename took FORMAT.new away, whole.
                    "FORMAT" => {
                        fs::remove_file(dir.path().join("FORMAT.new")).expect("removed");
                        fs::copy(finished.path().join(name), dir.path().join(name))
                            .expect("copied");
                    }
                    _ => fs::write(dir.path().join(name), "torn").expect("written"),
                }
            }
            // When it is opened, then it is whole, and opens again.
            drop(open(dir.path()));
            assert!(!dir.path().join("CREATING").exists());
            drop(open(dir.path()));
        }
    }
}
