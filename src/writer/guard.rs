//! What must hold of the machine before a commit is written: room on the disk beyond a reserve, and
//! a clock that did not leap. Looked at before each group and, so that a leap is seen whenever it
//! comes, once a second while nothing is written. What does not hold is said once when it begins and
//! once when it ends.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::fstatvfs,
    time::{ClockId, clock_gettime},
};

use super::clock::{CheckedClock, Leap, Reading};
use crate::domain::value::Time;

/// What is asked of the machine, handed in so that tests can turn it.
#[derive(Clone)]
pub struct Machine {
    /// What its clocks say.
    pub clocks: Arc<dyn Fn() -> Reading + Send + Sync>,
    /// How many bytes this process may still use on the disk of the data directory; nothing if
    /// the system does not say.
    pub free_bytes: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
}

impl Machine {
    /// The machine this runs on, and the disk of a directory that exists.
    pub fn with_disk_of(dir: &Path) -> io::Result<Self> {
        // Held open, so that what is asked is this directory's disk, whatever becomes of its name.
        let dir = File::open(dir)?;
        Ok(Self {
            clocks: Arc::new(read_clocks),
            // One system call of about a microsecond, beside a sync of a hundred.
            free_bytes: Arc::new(move || {
                let disk = fstatvfs(&dir).ok()?;
                Some(disk.f_bavail.saturating_mul(disk.f_frsize))
            }),
        })
    }
}

fn read_clocks() -> Reading {
    let time = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Time {
            seconds: i64::try_from(since.as_secs()).unwrap_or(Time::MAX_SECONDS),
            // Below 10^9, so it fits.
            nanos: since.subsec_nanos().cast_signed(),
        },
        // A clock before 1970 is as good as none.
        Err(_) => Time::default(),
    };
    // Unlike `Instant` it counts while the machine is suspended: waking up is no leap.
    let running = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    Reading { time, running }
}

/// Why nothing is written at the moment. It ends by itself or by an operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// The disk has less room left than is kept in reserve.
    DiskReserve {
        /// What is left.
        free_bytes: u64,
        /// What is kept.
        reserve_bytes: u64,
    },
    /// The clock is not believed.
    ClockLeapt(Leap),
}

impl Hindrance {
    /// Its name, as in `ErrorReason` and in the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DiskReserve { .. } => "DISK_RESERVE",
            Self::ClockLeapt(_) => "CLOCK_LEAPT",
        }
    }
}

/// How the machine was found when it was last looked at.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    /// How many bytes are left on the disk, if the system says.
    pub free_bytes: Option<u64>,
    /// How many are kept in reserve.
    pub reserve_bytes: u64,
    /// Why nothing is written, if nothing is.
    pub hindrance: Option<Hindrance>,
    /// How the clock leapt, if it did.
    pub leap: Option<Leap>,
}

/// Looks at the machine for all who need to know.
pub struct Guard {
    machine: Machine,
    reserve_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clock: CheckedClock,
    last_recorded_at: Time,
    free_bytes: Option<u64>,
    said_disk: bool,
    said_clock: bool,
}

impl Guard {
    /// A guard of a log whose last commit was recorded at that time, and of a disk on which
    /// `reserve_bytes` are kept free.
    #[must_use]
    pub fn new(machine: Machine, reserve_bytes: u64, last_recorded_at: Time) -> Arc<Self> {
        let state = State {
            last_recorded_at,
            ..State::default()
        };
        let guard = Self {
            machine,
            reserve_bytes,
            state: Mutex::new(state),
        };
        guard.look();
        Arc::new(guard)
    }

    /// The time to decide by and to record under. It is the expected one while the clock has leapt, so
    /// that what needs no writing is still judged rightly.
    pub fn now(&self) -> Time {
        self.read_clock(&mut self.state())
    }

    /// Looks at disk and clock, and answers what hinders writing.
    pub fn look(&self) -> Option<Hindrance> {
        // Not under the lock: a disk that hangs must not take the clock with it.
        let free_bytes = (self.machine.free_bytes)();
        let mut state = self.state();
        state.free_bytes = free_bytes;
        self.read_clock(&mut state);
        self.say_disk(&mut state);
        self.hindrance(&state)
    }

    /// Learns when the last commit was recorded.
    pub(super) fn recorded(&self, at: Time) {
        self.state().last_recorded_at = at;
    }

    /// Believes the clock as it is. Answers what it says, and how it had leapt if it had.
    pub fn confirm_clock(&self) -> (Time, Option<Leap>) {
        let mut state = self.state();
        let now = (self.machine.clocks)();
        let last_recorded_at = state.last_recorded_at;
        let leap = state.clock.confirm(now, last_recorded_at);
        say_clock(&mut state);
        (now.time, leap)
    }

    /// How the machine was found last.
    pub fn condition(&self) -> Condition {
        let state = self.state();
        Condition {
            free_bytes: state.free_bytes,
            reserve_bytes: self.reserve_bytes,
            hindrance: self.hindrance(&state),
            leap: state.clock.leap(),
        }
    }

    fn read_clock(&self, state: &mut State) -> Time {
        // Read under the lock, so that readings are taken in the order in which they were made.
        let now = (self.machine.clocks)();
        let time = state.clock.read(now, state.last_recorded_at);
        say_clock(state);
        time
    }

    fn hindrance(&self, state: &State) -> Option<Hindrance> {
        if let Some(free_bytes) = self.below_reserve(state) {
            return Some(Hindrance::DiskReserve {
                free_bytes,
                reserve_bytes: self.reserve_bytes,
            });
        }
        state.clock.leap().map(Hindrance::ClockLeapt)
    }

    /// What is left, if that is less than the reserve. A disk that does not say is written to: the
    /// sync tells.
    fn below_reserve(&self, state: &State) -> Option<u64> {
        state
            .free_bytes
            .filter(|free_bytes| *free_bytes < self.reserve_bytes)
    }

    fn say_disk(&self, state: &mut State) {
        let below = self.below_reserve(state);
        if below.is_some() == state.said_disk {
            return;
        }
        state.said_disk = below.is_some();
        if let Some(free_bytes) = below {
            tracing::error!(
                free_bytes,
                reserve_bytes = self.reserve_bytes,
                "the disk has less room than is kept in reserve: writes are refused and reads go \
                 on; make room, and writing resumes by itself"
            );
        } else {
            tracing::info!(
                free_bytes = state.free_bytes,
                reserve_bytes = self.reserve_bytes,
                "the disk has room again: writing resumes"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves whole values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say_clock(state: &mut State) {
    let leap = state.clock.leap();
    if leap.is_some() == state.said_clock {
        return;
    }
    state.said_clock = leap.is_some();
    if let Some(Leap { clock, expected }) = leap {
        tracing::error!(
            clock = %prost_types::Timestamp::from(clock),
            expected = %prost_types::Timestamp::from(expected),
            "the clock leapt: writes are refused and reads go on; set the machine's clock right, \
             and writing resumes by itself; if it is right already, confirm it: grpcurl -plaintext \
             ADDRESS strata.v1.AdminService/ConfirmClock"
        );
    } else {
        tracing::info!("the clock is believed again: writing resumes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_its_time_and_the_room_on_a_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let machine = Machine::with_disk_of(dir.path()).expect("a disk");
        let (first, second) = ((machine.clocks)(), (machine.clocks)());
        assert!(first.running > Duration::ZERO && first.running <= second.running);
        assert!(first.time.seconds > 1_700_000_000);
        assert!((machine.free_bytes)().is_some());
        drop(dir);
        // The directory is still open, so its disk can still be asked.
        assert!((machine.free_bytes)().is_some());
    }
}
