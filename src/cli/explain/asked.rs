//! What is asked about and as of when, as people write it on a command line.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    domain::value::{Id, Subject},
    proto::{FindingTarget, Point, StrategyRevisionTarget, explain_request::Target, point},
};

/// Reads a target: `12`, `strategies/ID@2`, `TAC005:tactics/ID`, or a subject.
pub(super) fn target(text: &str) -> Result<Target, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return number(text).map(Target::Revision);
    }
    if let Some((code, subject)) = text.split_once(':') {
        return Ok(Target::Finding(FindingTarget {
            code: code.to_owned(),
            subject: checked_subject(subject)?,
        }));
    }
    let strategy = text.strip_prefix("strategies/");
    if let Some((strategy_id, revision)) = strategy.and_then(|it| it.split_once('@')) {
        if !Id::is_valid(strategy_id) {
            return Err(format!("{strategy_id:?} is no id"));
        }
        let revision = u32::try_from(number(revision)?).map_err(|_| no_number(revision))?;
        return Ok(Target::StrategyRevision(StrategyRevisionTarget {
            strategy_id: strategy_id.to_owned(),
            revision,
        }));
    }
    checked_subject(text).map(Target::Subject)
}

/// Reads a point: `revision:N`, `position:N`, `recorded:TIME` or `occurred:TIME`.
pub(super) fn point(text: &str) -> Result<Point, String> {
    let (way, value) = text.split_once(':').unwrap_or((text, ""));
    let point = match way {
        "revision" => point::Point::Revision(number(value)?),
        "position" => point::Point::Position(number(value)?),
        "recorded" => point::Point::RecordedAt(time(value)?),
        "occurred" => point::Point::OccurredAt(time(value)?),
        _ => {
            return Err("a point is revision:N, position:N, recorded:TIME or occurred:TIME".into());
        }
    };
    Ok(Point { point: Some(point) })
}

fn checked_subject(text: &str) -> Result<String, String> {
    match Subject::parse(text) {
        Some(subject) => Ok(subject.to_string()),
        None => Err(
            "what can be asked about is a revision (12), a revision of a strategy \
             (strategies/ID@2), plan, objective, strategies/ID, tactics/ID, assumptions/ID, \
             indicators/ID, commitments/ID, or a finding (CODE:SUBJECT)"
                .to_owned(),
        ),
    }
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(no_number(text)),
        Ok(number) => Ok(number),
    }
}

fn no_number(text: &str) -> String {
    format!("{text:?} is no number from 1")
}

/// A day is taken from its beginning, in UTC.
fn time(text: &str) -> Result<prost_types::Timestamp, String> {
    let exact = text.parse::<Timestamp>().ok();
    let of_day = || {
        let day = text.parse::<Date>().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = exact.or_else(of_day);
    let time = time
        .ok_or_else(|| format!("{text:?} is no time: write 2024-05-06 or 2024-05-06T08:00:00Z"))?;
    // A timestamp has its nanoseconds count forward, also before 1970.
    let nanos = time.as_nanosecond().rem_euclid(1_000_000_000);
    Ok(prost_types::Timestamp {
        seconds: i64::try_from(time.as_nanosecond().div_euclid(1_000_000_000)).unwrap_or_default(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_told_by_how_it_is_written() {
        assert_eq!(target("12"), Ok(Target::Revision(12)));
        let strategy_revision = StrategyRevisionTarget {
            strategy_id: "s".into(),
            revision: 2,
        };
        assert_eq!(
            target("strategies/s@2"),
            Ok(Target::StrategyRevision(strategy_revision))
        );
        for subject in [
            "plan",
            "objective",
            "strategies/s",
            "tactics/a-b",
            "commitments/0",
        ] {
            assert_eq!(target(subject), Ok(Target::Subject(subject.into())));
        }
        let finding = FindingTarget {
            code: "TAC001".into(),
            subject: "tactics/t".into(),
        };
        assert_eq!(target("TAC001:tactics/t"), Ok(Target::Finding(finding)));
    }

    #[test]
    fn what_names_nothing_is_no_target() {
        for text in [
            "",
            "0",
            "-1",
            "99999999999999999999",
            "strategies/s@",
            "strategies/s@0",
            "strategies/S@1",
            "strategies/s@4294967296",
            "tactics",
            "tactics/t@1",
            "TAC001:",
            "evidence/e",
        ] {
            assert!(target(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_point_is_named_in_four_ways() {
        let read = |text| point(text).expect(text).point.expect(text);
        let at = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        assert_eq!(read("revision:3"), point::Point::Revision(3));
        assert_eq!(read("position:4"), point::Point::Position(4));
        assert_eq!(
            read("recorded:1970-01-02T00:00:01.5Z"),
            point::Point::RecordedAt(at(86_401, 500_000_000))
        );
        assert_eq!(
            read("occurred:1970-01-02"),
            point::Point::OccurredAt(at(86_400, 0))
        );
        assert_eq!(
            read("occurred:1969-12-31T23:59:59.5Z"),
            point::Point::OccurredAt(at(-1, 500_000_000))
        );
        for text in [
            "",
            "3",
            "revision:",
            "revision:0",
            "at:3",
            "recorded:yesterday",
        ] {
            assert!(point(text).is_err(), "{text:?}");
        }
    }
}
