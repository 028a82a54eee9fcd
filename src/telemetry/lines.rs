//! Lines for programs on their way to stderr. A thread of its own writes them, as many at a time as have come
//! together, so that a call that has a line waits for none and pays for no system call. No line is left out:
//! where nobody reads, whoever has one more than may wait is held up.

use std::{
    io::{self, BufWriter, Stderr, Write},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// How many lines may wait.
const LINES_MAX: usize = 16_384;
/// How much is written at once.
const WRITTEN_BYTES: usize = 64 << 10;
/// How long lines are let come together after some were written: waking the thread for each costs whoever has it
/// as much as writing it would.
const PAUSE: Duration = Duration::from_millis(1);

/// Writes what is left when it is let go of.
static WRITING: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Where lines are handed in from now on.
pub(super) fn begin() -> NonBlocking {
    let (lines, writing) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .lossy(false)
        .thread_name("log")
        .finish(Together(BufWriter::with_capacity(
            WRITTEN_BYTES,
            io::stderr(),
        )));
    keep(Some(writing));
    lines
}

/// Writes the lines that are left. What comes later is lost: call it before the process ends.
pub fn end() {
    keep(None);
}

fn keep(writing: Option<WorkerGuard>) {
    let before = {
        let mut kept = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, writing)
    };
    drop(before);
}

/// Lets lines come together.
struct Together(BufWriter<Stderr>);

impl Write for Together {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    /// No line waits when this is called.
    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        thread::sleep(PAUSE);
        flushed
    }
}
