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

use crate::contender::Failure;

/// How long a server may take until it listens, and until it has stopped.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

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

    /// Sends it a signal by which it stops in good order, and waits until it has.
    pub(crate) fn stop(mut self, signal: &str) -> Result<(), Failure> {
        let mut kill = Command::new("kill");
        kill.args([signal, &self.child.id().to_string()]).status()?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                return Err(self.complain("it does not stop"));
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

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
