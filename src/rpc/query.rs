//! What a query alone shows wrong. As with commands, all of it is reported at once, each with the
//! path of its field; behind [`Checks::finish`] ids, points and lists are within their bounds.

use prost_types::Timestamp;
use tonic::Status;

use super::status::{malformed, quoted};
use crate::{
    domain::{
        event,
        shape::Violation,
        value::{Id, Time},
    },
    proto::{self, point},
};

/// The longest list of filters.
const FILTERS_MAX: usize = 64;
/// What a time must be.
const TIME_BOUNDS: &str = "a time of the years 1 to 9999, nanos 0 to 999999999";

/// Collects what is wrong with a query.
#[derive(Default)]
pub(super) struct Checks {
    violations: Vec<Violation>,
}

impl Checks {
    /// Reports a violation of a field.
    pub(super) fn fault(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(Violation {
            field: field.into(),
            description: description.into(),
        });
    }

    /// An id that must be given.
    pub(super) fn id(&mut self, field: impl Into<String>, id: &str) {
        if id.is_empty() {
            self.fault(field, "required");
        } else if !Id::is_valid(id) {
            let description = format!(
                "an id is 1 to 63 of a-z, 0-9 and -, with no - at its ends; found {}",
                quoted(id)
            );
            self.fault(field, description);
        }
    }

    /// How many filters of one kind there are.
    pub(super) fn filters(&mut self, field: &'static str, count: usize) {
        if count > FILTERS_MAX {
            self.fault(field, format!("{count} are more than {FILTERS_MAX}"));
        }
    }

    /// Names of event types as bits; none named: all bits.
    pub(super) fn kinds(&mut self, field: &'static str, names: &[String]) -> u64 {
        self.filters(field, names.len());
        if names.is_empty() {
            return u64::MAX;
        }
        let mut kinds = 0;
        for (number, name) in names.iter().enumerate() {
            if let Some(bit) = event::type_bit(name) {
                kinds |= 1 << bit;
            } else {
                let wrong = format!(
                    "a type of event is the name of a message of strata.v1.Event, such as \
                     TacticFailed; found {}",
                    quoted(name)
                );
                self.fault(format!("{field}[{number}]"), wrong);
            }
        }
        kinds
    }

    /// A point of a plan's history, numbers from 1 on and times within their bounds; nothing if none
    /// is asked for.
    pub(super) fn point(
        &mut self,
        field: &'static str,
        point: Option<proto::Point>,
    ) -> Option<point::Point> {
        match point?.point {
            None => self.fault(
                field,
                "say a revision, position, recorded_at or occurred_at, or leave it out",
            ),
            Some(point::Point::Revision(0) | point::Point::Position(0)) => {
                self.fault(field, "revisions and positions start at 1");
            }
            Some(point::Point::RecordedAt(time) | point::Point::OccurredAt(time))
                if !Time::holds(&time) =>
            {
                self.fault(field, TIME_BOUNDS);
            }
            Some(named) => return Some(named),
        }
        None
    }

    /// A time within its bounds; nothing if none is given.
    pub(super) fn time(
        &mut self,
        field: impl Into<String>,
        time: Option<Timestamp>,
    ) -> Option<Time> {
        let time = time?;
        if !Time::holds(&time) {
            self.fault(field, TIME_BOUNDS);
            return None;
        }
        Some(time.into())
    }

    /// Refuses the query if anything is wrong with it.
    pub(super) fn finish(self) -> Result<(), Status> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(malformed(self.violations))
        }
    }
}
