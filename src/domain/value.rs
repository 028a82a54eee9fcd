//! The small values of the domain: ids, points in time and subjects, checked once and cheap to copy.

use std::{
    borrow::Borrow,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

/// The longest id, in characters (all of them ASCII).
pub const ID_CHARS_MAX: usize = 63;

/// The id of a plan or of something in a plan, as a client chose it. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id(Arc<str>);

impl Id {
    /// Whether `text` is `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        let bytes = text.as_bytes();
        let letter_or_digit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        (1..=ID_CHARS_MAX).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| letter_or_digit(byte) || *byte == b'-')
            && bytes.first().is_some_and(letter_or_digit)
            && bytes.last().is_some_and(letter_or_digit)
    }
}

impl From<&str> for Id {
    /// Takes over an id that was checked when its event was decided.
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Deref for Id {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A point in time, to the nanosecond, ordered.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time {
    /// Seconds since 1970-01-01T00:00:00Z, negative before.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanos: i32,
}

impl Time {
    /// The first instant that a protobuf timestamp can hold: the year 1.
    pub const MIN_SECONDS: i64 = -62_135_596_800;
    /// The last second that a protobuf timestamp can hold: the end of the year 9999.
    pub const MAX_SECONDS: i64 = 253_402_300_799;

    /// Whether a timestamp that was sent is a time: of the years 1 to 9999, nanos 0 to 999999999.
    #[must_use]
    pub fn holds(timestamp: &prost_types::Timestamp) -> bool {
        (Self::MIN_SECONDS..=Self::MAX_SECONDS).contains(&timestamp.seconds)
            && (0..=999_999_999).contains(&timestamp.nanos)
    }

    /// The next instant that can be told from this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self.nanos {
            999_999_999.. => Self {
                seconds: self.seconds.saturating_add(1),
                nanos: 0,
            },
            nanos => Self {
                seconds: self.seconds,
                nanos: nanos + 1,
            },
        }
    }

    /// The time `seconds` later.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self {
            seconds: self.seconds.saturating_add(seconds),
            nanos: self.nanos,
        }
    }
}

impl From<prost_types::Timestamp> for Time {
    fn from(timestamp: prost_types::Timestamp) -> Self {
        Self {
            seconds: timestamp.seconds,
            nanos: timestamp.nanos,
        }
    }
}

impl From<Time> for prost_types::Timestamp {
    fn from(time: Time) -> Self {
        Self {
            seconds: time.seconds,
            nanos: time.nanos,
        }
    }
}

/// What follows from the rest of a value, made when it is first asked for. A copy makes its own, for it may become
/// another value.
#[derive(Debug)]
pub(in crate::domain) struct Memo<T>(OnceLock<T>);

impl<T> Memo<T> {
    /// It, made now if nobody has asked before.
    pub(in crate::domain) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(make)
    }
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Clone for Memo<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What follows from equal values is equal.
impl<T> PartialEq for Memo<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What a note, a finding or a filter is about: the plan, its objective, or one thing in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// `plan`
    Plan,
    /// `objective`
    Objective,
    /// `strategies/ID`
    Strategy(Id),
    /// `tactics/ID`
    Tactic(Id),
    /// `assumptions/ID`
    Assumption(Id),
    /// `indicators/ID`
    Indicator(Id),
    /// `commitments/ID`
    Commitment(Id),
}

impl Subject {
    /// Reads a subject as clients write it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "plan" => return Some(Self::Plan),
            "objective" => return Some(Self::Objective),
            _ => {}
        }
        let (collection, id) = text.split_once('/')?;
        let subject = match collection {
            "strategies" => Self::Strategy,
            "tactics" => Self::Tactic,
            "assumptions" => Self::Assumption,
            "indicators" => Self::Indicator,
            "commitments" => Self::Commitment,
            _ => return None,
        };
        Id::is_valid(id).then(|| subject(Id::from(id)))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => formatter.write_str("plan"),
            Self::Objective => formatter.write_str("objective"),
            Self::Strategy(id) => write!(formatter, "strategies/{id}"),
            Self::Tactic(id) => write!(formatter, "tactics/{id}"),
            Self::Assumption(id) => write!(formatter, "assumptions/{id}"),
            Self::Indicator(id) => write!(formatter, "indicators/{id}"),
            Self::Commitment(id) => write!(formatter, "commitments/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_lower_case_and_bounded_by_letters_or_digits() {
        for good in ["a", "0", "growth", "a-b", "a--b", &"x".repeat(63)] {
            assert!(Id::is_valid(good), "{good}");
        }
        for bad in [
            "",
            "-",
            "a-",
            "-a",
            "A",
            "a b",
            "a_b",
            "é",
            "a/b",
            &"x".repeat(64),
        ] {
            assert!(!Id::is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn a_subject_is_written_as_it_is_read() {
        for text in [
            "plan",
            "objective",
            "strategies/a",
            "tactics/free-samples",
            "assumptions/a",
            "indicators/0",
            "commitments/a-b",
        ] {
            let subject = Subject::parse(text).unwrap_or_else(|| panic!("{text} is a subject"));
            assert_eq!(subject.to_string(), text);
        }
        for text in [
            "",
            "Plan",
            "plan/x",
            "tactics",
            "tactics/",
            "tactics/A",
            "tactics/a/b",
            "evidence/a",
        ] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }
}
