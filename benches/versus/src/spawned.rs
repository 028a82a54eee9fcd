//! A server of others as a process of its own: it is given a free port, says what it says into a file, and
//! ends with the one that started it, however that ends.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    contender::{End, Failure},
    family,
};

/// How long a server may take until it listens, and until it has stopped.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(2);

/// A server that listens.
pub(crate) struct Spawned {
    child: Child,
    said: PathBuf,
}

impl Spawned {
    /// A command that the system ends when this program is killed and cannot do it; it is run as somebody else if
    /// so it must be.
    pub(crate) fn command(program: &Path, user: Option<&str>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// Starts a server and waits until it listens on a port.
    pub(crate) fn start(mut command: Command, port: u16, dir: &Path) -> Result<Self, Failure> {
        let said = dir.join("said");
        let mut spawned = Self {
            child: command
                .stdin(Stdio::null())
                .stdout(File::create(&said)?)
                .stderr(File::options().append(true).open(&said)?)
                .spawn()?,
            said,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = spawned.child.try_wait()? {
                return Err(spawned.complain(&format!("it ended with {status}")));
            }
            if started.elapsed() > PATIENCE {
                return Err(spawned.complain("it does not listen"));
            }
            thread::sleep(PAUSE);
        }
        Ok(spawned)
    }

    /// The number by which the system knows it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it and waits until it has ended, with all below it; `signal` is that by which it stops in good order.
    pub(crate) fn end(mut self, end: End, signal: &str) -> Result<(), Failure> {
        let family = family::of(self.child.id())?;
        let mut kill = Command::new("kill");
        match end {
            End::Stopped => kill.args([signal, &self.child.id().to_string()]),
            End::Killed => kill
                .arg("-KILL")
                .args(family.iter().map(ToString::to_string)),
        };
        kill.stderr(Stdio::null()).status()?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() || family.iter().any(|it| family::lives(*it)) {
            if asked.elapsed() > PATIENCE {
                return Err(self.complain("it does not end"));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn complain(&self, what: &str) -> Failure {
        let said = fs::read_to_string(&self.said).unwrap_or_default();
        let lines: Vec<_> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].join("\n");
        format!("{what}; it said:\n{last}").into()
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks a server that listens until it answers what it is asked.
pub(crate) async fn answered<T, A>(mut ask: impl FnMut() -> A) -> Result<T, Failure>
where
    A: Future<Output = Result<T, Failure>>,
{
    let asked = Instant::now();
    loop {
        match ask().await {
            Err(failure) if asked.elapsed() > PATIENCE => return Err(failure),
            Err(_) => tokio::time::sleep(PAUSE).await,
            answered => return answered,
        }
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
