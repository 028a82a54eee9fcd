//! A server as a process of its own that ends with the one that started it.

use std::{
    error::Error,
    io::{self, BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that listens.
pub(crate) struct Process {
    child: Child,
    url: String,
}

impl Process {
    /// Starts a server and waits until it says where it listens.
    pub(crate) fn start(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("there is no stderr")?;
        let mut process = Self {
            child,
            url: String::new(),
        };
        let (listening, address) = mpsc::channel();
        thread::spawn(move || {
            let mut log = BufReader::new(stderr);
            let found = log
                .by_ref()
                .lines()
                .map_while(Result::ok)
                .find_map(|line| address_in(&line));
            if let Some(address) = found {
                drop(listening.send(address));
            }
            // To the end, so that the server never waits for its log to be read; nobody looks at it any more, for
            // that would take of the processors that are measured.
            drop(io::copy(&mut log, &mut io::sink()));
        });
        process.url = format!("http://{}", address.recv_timeout(PATIENCE)?);
        Ok(process)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The number by which the system knows it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.child.id().to_string()])
            .status()?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended with {status}").into())
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The address in the line with which a server says that it listens.
fn address_in(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    Some(fields.get("address")?.as_str()?.to_owned())
}
