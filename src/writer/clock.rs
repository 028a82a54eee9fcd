//! Whether the machine's clock can be believed. It may drift and be set by minutes; what moves it by
//! more at once, against the clock that only counts or behind what was recorded last, is a leap, and
//! until it is undone or confirmed the time that was to be expected is gone by. Pure: readings are
//! handed in.

use std::time::Duration;

use crate::domain::value::Time;

/// What a clock may be off at once. Machines that keep time are set by seconds; two people who set one
/// by hand are minutes apart; a wrong time zone, a lost battery or a wrong year are more.
const LEAP_MAX_NANOS: i128 = 600 * NANOS_A_SECOND;
const NANOS_A_SECOND: i128 = 1_000_000_000;

/// What the machine's clocks said at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time of day.
    pub time: Time,
    /// For how long the machine has been up, suspended or not: nobody can set this.
    pub running: Duration,
}

/// A time of day that is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leap {
    /// What the clock says.
    pub clock: Time,
    /// What it should say.
    pub expected: Time,
}

impl Leap {
    /// How far the clock is off in nanoseconds, positive if it is ahead.
    #[must_use]
    pub fn nanos(self) -> i128 {
        nanos(self.clock) - nanos(self.expected)
    }

    /// The same in seconds, as a figure.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "nobody counts the nanoseconds of a leap"
    )]
    pub fn seconds(self) -> f64 {
        self.nanos() as f64 / NANOS_A_SECOND as f64
    }
}

/// A clock that is believed until it leaps.
#[derive(Debug, Default)]
pub(super) struct CheckedClock {
    /// The last reading that was believed; moved on with each one, so that slow drift is no leap. None
    /// before the first, when only the log tells what time it is at least.
    anchor: Option<Reading>,
    leap: Option<Leap>,
    /// Whether it was confirmed that the log is ahead of the time, not the clock behind the log.
    log_is_ahead: bool,
}

impl CheckedClock {
    /// Takes a reading, and answers the time to go by: the clock's, or the expected one while it
    /// has leapt.
    pub(super) fn read(&mut self, now: Reading, last_recorded_at: Time) -> Time {
        let expected = self.anchor.map_or(now.time, |anchor| {
            later(anchor.time, now.running.saturating_sub(anchor.running))
        });
        let leapt = (nanos(now.time) - nanos(expected)).abs() > LEAP_MAX_NANOS;
        let behind = nanos(last_recorded_at) - nanos(now.time) > LEAP_MAX_NANOS;
        self.log_is_ahead &= behind;
        if leapt || (behind && !self.log_is_ahead) {
            let expected = expected.max(last_recorded_at);
            self.leap = Some(Leap {
                clock: now.time,
                expected,
            });
            return expected;
        }
        self.anchor = Some(now);
        self.leap = None;
        now.time
    }

    /// The leap that the last reading showed.
    pub(super) const fn leap(&self) -> Option<Leap> {
        self.leap
    }

    /// Believes the clock from now on. Answers what was confirmed; nothing if it had not leapt.
    pub(super) fn confirm(&mut self, now: Reading, last_recorded_at: Time) -> Option<Leap> {
        self.read(now, last_recorded_at);
        let leap = self.leap.take()?;
        self.anchor = Some(now);
        self.log_is_ahead = true;
        Some(leap)
    }
}

fn nanos(time: Time) -> i128 {
    i128::from(time.seconds) * NANOS_A_SECOND + i128::from(time.nanos)
}

fn later(time: Time, by: Duration) -> Time {
    let by_nanos = i128::try_from(by.as_nanos()).unwrap_or(i128::MAX);
    let nanos = nanos(time).saturating_add(by_nanos);
    let seconds = i64::try_from(nanos.div_euclid(NANOS_A_SECOND)).unwrap_or(Time::MAX_SECONDS);
    Time {
        seconds,
        // Below 10^9, so it fits.
        nanos: i32::try_from(nanos.rem_euclid(NANOS_A_SECOND)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const DAY: i64 = 86_400;
    const START: i64 = 1_700_000_000;

    /// A clock that was read once, when the machine had been up for a second.
    struct Given {
        clock: CheckedClock,
        running: Duration,
        last_recorded_at: Time,
    }

    fn at(seconds: i64) -> Time {
        Time { seconds, nanos: 0 }
    }

    fn given_a_clock_that_is_believed() -> Given {
        let mut given = given_a_log_that_ends_at(START - DAY);
        given.when_it_says(START, 0).then_it_is_believed();
        given
    }

    fn given_a_log_that_ends_at(seconds: i64) -> Given {
        Given {
            clock: CheckedClock::default(),
            running: Duration::from_secs(1),
            last_recorded_at: at(seconds),
        }
    }

    impl Given {
        fn reading(&self, seconds: i64) -> Reading {
            Reading {
                time: at(seconds),
                running: self.running,
            }
        }

        /// After `elapsed` seconds the clock says `seconds`.
        fn when_it_says(&mut self, seconds: i64, elapsed: u64) -> Then<'_> {
            self.running += Duration::from_secs(elapsed);
            let said = self.reading(seconds);
            let goes_by = self.clock.read(said, self.last_recorded_at);
            Then {
                clock: &self.clock,
                said: said.time,
                goes_by,
            }
        }

        fn when_it_is_confirmed(&mut self, seconds: i64) -> Option<Leap> {
            self.clock
                .confirm(self.reading(seconds), self.last_recorded_at)
        }
    }

    struct Then<'a> {
        clock: &'a CheckedClock,
        said: Time,
        goes_by: Time,
    }

    impl Then<'_> {
        #[track_caller]
        fn then_it_is_believed(self) {
            assert_eq!((self.clock.leap(), self.goes_by), (None, self.said));
        }

        #[track_caller]
        fn then_it_leapt_and_should_say(self, seconds: i64) {
            let leap = self.clock.leap().expect("a leap");
            assert_eq!((leap.clock, leap.expected), (self.said, at(seconds)));
            assert_eq!(self.goes_by, at(seconds));
        }
    }

    #[test]
    fn a_clock_that_goes_with_the_machine_or_is_off_by_minutes_is_believed() {
        let mut given = given_a_clock_that_is_believed();
        given.when_it_says(START + 5, 5).then_it_is_believed();
        given.when_it_says(START + 605, 0).then_it_is_believed();
        given.when_it_says(START + 5, 0).then_it_is_believed();
        given
            .when_it_says(START + DAY, 86_395)
            .then_it_is_believed();
    }

    #[test]
    fn drift_is_no_leap_however_far_it_goes() {
        let mut given = given_a_clock_that_is_believed();
        for day in 1..=1_000 {
            let drifted = START + day * (DAY + MINUTE);
            given.when_it_says(drifted, 86_400).then_it_is_believed();
        }
    }

    #[test]
    fn a_leap_of_more_than_ten_minutes_is_seen_either_way_and_time_goes_on_as_expected() {
        for leap in [10 * MINUTE + 1, -10 * MINUTE - 1, 365 * DAY, -365 * DAY] {
            let mut given = given_a_clock_that_is_believed();
            let leapt = given.when_it_says(START + 3 + leap, 3);
            leapt.then_it_leapt_and_should_say(START + 3);
            let later = given.when_it_says(START + 3_600 + leap, 3_597);
            later.then_it_leapt_and_should_say(START + 3_600);
        }
    }

    #[test]
    fn a_clock_that_is_right_again_is_believed_again() {
        let mut given = given_a_clock_that_is_believed();
        let leapt = given.when_it_says(START + DAY, 1);
        leapt.then_it_leapt_and_should_say(START + 1);
        given.when_it_says(START + 100, 99).then_it_is_believed();
    }

    #[test]
    fn a_confirmed_clock_is_believed_and_the_next_leap_is_seen() {
        let mut given = given_a_clock_that_is_believed();
        assert_eq!(given.when_it_is_confirmed(START), None);
        let leapt = given.when_it_says(START + DAY, 1);
        leapt.then_it_leapt_and_should_say(START + 1);
        let confirmed = given.when_it_is_confirmed(START + DAY).expect("a leap");
        assert_eq!(confirmed.expected, at(START + 1));
        given.when_it_says(START + DAY + 9, 9).then_it_is_believed();
        let back = given.when_it_says(START + 10, 1);
        back.then_it_leapt_and_should_say(START + DAY + 10);
    }

    #[test]
    fn a_start_far_behind_the_log_is_a_leap_until_the_clock_is_not_behind_any_more() {
        let mut given = given_a_log_that_ends_at(START);
        let behind = given.when_it_says(START - 10 * MINUTE - 1, 1);
        behind.then_it_leapt_and_should_say(START);
        // What time it really is nobody knows, so any time from there on is one.
        given
            .when_it_says(START + 30 * DAY, 1)
            .then_it_is_believed();

        let mut given = given_a_log_that_ends_at(START);
        let within = given.when_it_says(START - 10 * MINUTE, 1);
        within.then_it_is_believed();
    }

    #[test]
    fn small_steps_back_are_a_leap_once_they_add_up_to_one_behind_the_log() {
        let mut given = given_a_clock_that_is_believed();
        given.last_recorded_at = at(START);
        given
            .when_it_says(START - 9 * MINUTE, 0)
            .then_it_is_believed();
        let behind = given.when_it_says(START - 18 * MINUTE, 0);
        behind.then_it_leapt_and_should_say(START);
    }

    #[test]
    fn a_log_that_is_confirmed_to_be_ahead_is_lived_with_until_it_is_caught_up() {
        let mut given = given_a_log_that_ends_at(START + DAY);
        let behind = given.when_it_says(START, 1);
        behind.then_it_leapt_and_should_say(START + DAY);
        assert!(given.when_it_is_confirmed(START).is_some());
        given.when_it_says(START + 5, 5).then_it_is_believed();
        let caught_up = given.when_it_says(START + DAY, 86_395);
        caught_up.then_it_is_believed();
        given.last_recorded_at = at(START + 2 * DAY);
        let behind = given.when_it_says(START + DAY + 1, 1);
        behind.then_it_leapt_and_should_say(START + 2 * DAY);
    }

    #[test]
    fn how_far_it_is_off_is_told_to_the_nanosecond() {
        let leap = Leap {
            clock: Time {
                seconds: -1,
                nanos: 999_999_999,
            },
            expected: at(1),
        };
        assert_eq!(leap.nanos(), -1_000_000_001);
        assert_eq!(
            later(at(-1), Duration::from_millis(1_500)).nanos,
            500_000_000
        );
    }
}
