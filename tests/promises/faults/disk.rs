//! A disk that is nearly full, full, or read-only: a small file system in a mount namespace of its
//! own, which ends with the test. Root makes it directly, others in a user namespace.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use strata::proto::{ErrorReason, ExecuteRequest, GetPlanRequest, WatchRequest};
use tempfile::{TempDir, tempdir};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{Ledger, serve};
use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::execute,
    reading::{reason, whole_log},
};

const DISK_BYTES: u64 = 64 << 20;
const RESERVE_BYTES: u64 = 24 << 20;

/// A small disk that only processes in its namespace see.
struct Disk {
    holder: Child,
    is_root: bool,
    dir: TempDir,
}

impl Disk {
    fn new() -> Self {
        let id = Command::new("id").arg("-u").output().expect("id runs");
        let is_root = id.stdout.trim_ascii() == b"0";
        let dir = tempdir().expect("a directory");
        let namespaces = if is_root { "-m" } else { "-Urm" };
        let mount =
            format!("mount -t tmpfs -o size={DISK_BYTES} none \"$0\" && echo mounted && exec cat");
        let mut holder = Command::new("unshare")
            .args([namespaces, "sh", "-c", &mount])
            .arg(dir.path())
            // It ends when its input does: with the test, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs: install the package `util-linux`");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut said).expect("read");
        assert_eq!(
            said.trim(),
            "mounted",
            "this test needs a small disk of its own: run it as root, or where `unshare -Urm` may \
             mount a tmpfs (sysctl kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns)"
        );
        Self {
            holder,
            is_root,
            dir,
        }
    }

    /// A command that is run where the disk is seen.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        let namespaces: &[&str] = if self.is_root {
            &["-m"]
        } else {
            &["-U", "-m", "--preserve-credentials"]
        };
        inside
            .args(["-t", &self.holder.id().to_string()])
            .args(namespaces)
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        inside
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A path on the disk, as it is seen from outside.
    fn outside(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let on_disk = self.dir.path().strip_prefix("/").expect("absolute");
        root.join(on_disk).join(name)
    }

    async fn spawn(&self, arguments: &[&str]) -> Daemon {
        let serve = serve(&self.data_dir(), arguments);
        Daemon::spawn(self.inside(&serve)).await
    }

    async fn start(&self, arguments: &[&str]) -> Daemon {
        let daemon = self.spawn(arguments).await;
        daemon.wait_until_serving().await;
        daemon
    }

    /// Takes room on the disk until so many bytes are left.
    fn leave(&self, bytes: u64) {
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(self.outside("ballast"))
            .expect("opened");
        let block = [0; 4096];
        while self.free_bytes() > bytes {
            if let Err(full) = ballast.write_all(&block) {
                assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
                return;
            }
        }
    }

    fn free_all(&self) {
        fs::remove_file(self.outside("ballast")).expect("removed");
    }

    fn free_bytes(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.outside(".")).expect("a disk");
        disk.f_bavail * disk.f_frsize
    }

    fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", &format!("remount,{how}")])
            .arg(self.dir.path());
        let mounted = self.inside(&mount).status().expect("mount runs");
        assert!(mounted.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

fn exists(path: &Path) -> bool {
    path.try_exists().expect("seen")
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_reserve_writes_are_refused_and_resume_when_there_is_room() {
    let disk = Disk::new();
    let reserve = RESERVE_BYTES.to_string();
    let daemon = disk.start(&["--disk-reserve-bytes", &reserve]).await;
    let create = request("growth", "create", create_plan());
    execute(&daemon, create.clone()).await;
    let watch = daemon.history().watch(WatchRequest::default()).await;
    let mut watch = watch.expect("watched").into_inner();
    watch.message().await.expect("watched").expect("the commit");

    for round in 0..2 {
        disk.leave(RESERVE_BYTES / 2);
        let new = request("growth", &format!("note-{round}"), note("a note"));
        let refused = daemon
            .plans()
            .execute(new.clone())
            .await
            .expect_err("refused");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(reason(&refused).as_deref(), Some("DISK_RESERVE"));
        let told = refused.get_details_error_info().expect("details").metadata;
        assert_eq!(told["reserve_bytes"], reserve);
        assert!(told["free_bytes"].parse::<u64>().expect("a number") < RESERVE_BYTES);
        assert_eq!(
            daemon.status().await.writes_refused(),
            ErrorReason::DiskReserve
        );

        assert!(execute(&daemon, create.clone()).await.replayed);
        let validated = ExecuteRequest {
            validate_only: true,
            ..new.clone()
        };
        execute(&daemon, validated).await;
        let query = GetPlanRequest {
            plan_id: "growth".into(),
            ..Default::default()
        };
        daemon.plans().get_plan(query).await.expect("shown");
        assert_eq!(whole_log(&daemon).await.len(), 1 + round);

        disk.free_all();
        execute(&daemon, new).await;
        assert_eq!(
            daemon.status().await.writes_refused(),
            ErrorReason::Unspecified
        );
        while let Some(message) = watch.message().await.expect("the watch goes on") {
            if matches!(
                message.response,
                Some(strata::proto::watch_response::Response::Entries(_))
            ) {
                break;
            }
        }
    }
    let log = daemon.stop().await;
    let lines = |text| log.matches(text).count();
    assert_eq!(lines("less room than is kept in reserve"), 2, "{log}");
    assert_eq!(lines("has room again"), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_when_the_disk_is_full_in_spite_of_all() {
    for (reserve, left_bytes) in [("0", 0), ("65536", 1 << 20)] {
        let disk = Disk::new();
        let ledger = Arc::new(Ledger::default());
        let daemon = disk.start(&["--disk-reserve-bytes", reserve]).await;
        // Somebody else takes what is left, and the log goes on until its own part is full.
        disk.leave(left_bytes);
        ledger.write_until_refused(&daemon, reserve, 2_000).await;
        assert!(ledger.acknowledged() > 0);
        daemon.kill();

        disk.leave(0);
        let refused = disk.spawn(&[]).await.serving_or_ended().await;
        let said = refused.err().expect("there is no room");
        assert!(said.contains("make room there and start again"), "{said}");
        assert!(!exists(&disk.outside("data/CREATING")));
        disk.free_all();
        let daemon = disk.start(&["--disk-reserve-bytes", "64KiB"]).await;
        ledger.settle(&daemon).await;
        daemon.stop().await;
        eprintln!(
            "a full disk, reserve {reserve}: {} commits acknowledged, none lost",
            ledger.acknowledged()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_has_turned_read_only_is_refused_and_serves_all_when_it_can_be_written() {
    let disk = Disk::new();
    let ledger = Arc::new(Ledger::default());
    let arguments = ["--disk-reserve-bytes", "64KiB"];
    let daemon = disk.start(&arguments).await;
    ledger.record(&daemon, 20).await;
    daemon.kill();
    disk.remount("ro");
    let refused = disk.spawn(&arguments).await.serving_or_ended().await;
    let said = refused.err().expect("it cannot be written");
    assert!(said.contains("Read-only file system"), "{said}");
    disk.remount("rw");
    let daemon = disk.start(&arguments).await;
    ledger.settle(&daemon).await;
    daemon.stop().await;
}
