//! An explanation as what is drawn of it: events by their places, links both ways, and when each
//! event occurred, as exactly as that is known.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    domain::event,
    proto::{ExplainResponse, ExplainedEvent, ExplainedSide, LinkRole, Precision},
};

/// An answer, indexed.
pub(super) struct Graph<'a> {
    /// The plan that was asked about.
    pub(super) plan_id: &'a str,
    /// The answer.
    pub(super) answer: &'a ExplainResponse,
    /// Of each event, by its number in the answer, those that came before it.
    earlier: Vec<Vec<Link>>,
    /// And those that came after it.
    later: Vec<Vec<Link>>,
    cut_at: HashSet<usize>,
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// The event at the other end, by its number in the answer.
    pub(super) to: usize,
    /// What the earlier event was to the later.
    pub(super) role: LinkRole,
}

/// Says that there is more, and how to get at it.
const MORE: &str = "There is more where (…) stands, or that was asked about: ask about one of these events, or \
                    raise --max-depth or --max-events.";

impl<'a> Graph<'a> {
    pub(super) fn of(plan_id: &'a str, answer: &'a ExplainResponse) -> Self {
        let places = answer.events.iter().zip(0..);
        let numbers: HashMap<_, _> = places
            .map(|(event, number)| ((event.plan_id.as_str(), event.revision), number))
            .collect();
        let number = |plan_id: &str, revision| numbers.get(&(plan_id, revision)).copied();
        let count = answer.events.len();
        let mut graph = Self {
            plan_id,
            answer,
            earlier: vec![Vec::new(); count],
            later: vec![Vec::new(); count],
            cut_at: answer
                .truncated_at
                .iter()
                .filter_map(|at| number(&at.plan_id, at.revision))
                .collect(),
        };
        for link in &answer.links {
            let role = link.role();
            let earlier = number(&link.earlier_plan_id, link.earlier_revision);
            let later = number(&link.later_plan_id, link.later_revision);
            let (Some(earlier), Some(later)) = (earlier, later) else {
                continue;
            };
            if let Some(links) = graph.earlier.get_mut(later) {
                links.push(Link { to: earlier, role });
            }
            if let Some(links) = graph.later.get_mut(earlier) {
                links.push(Link { to: later, role });
            }
        }
        graph
    }

    /// The event of a number.
    pub(super) fn event(&self, number: usize) -> Option<&'a ExplainedEvent> {
        self.answer.events.get(number)
    }

    /// What came before an event.
    pub(super) fn earlier(&self, number: usize) -> &[Link] {
        self.earlier.get(number).map_or(&[], Vec::as_slice)
    }

    /// What came after an event.
    pub(super) fn later(&self, number: usize) -> &[Link] {
        self.later.get(number).map_or(&[], Vec::as_slice)
    }

    /// What is to be said when there is more than is shown.
    pub(super) fn more(&self) -> Option<&'static str> {
        self.answer.truncated.then_some(MORE)
    }

    /// Whether there is more about an event than is shown.
    pub(super) fn is_cut_at(&self, number: usize) -> bool {
        self.cut_at.contains(&number)
    }

    /// The events that were asked about.
    pub(super) fn targets(&self) -> Vec<usize> {
        let events = self.answer.events.iter().zip(0..);
        events
            .filter(|(event, _)| event.side() == ExplainedSide::Target)
            .map(|(_, number)| number)
            .collect()
    }

    /// How many steps each event is away from those that were asked about, going by `next`.
    pub(super) fn steps(
        &self,
        next: impl for<'g> Fn(&'g Self, usize) -> Vec<Link>,
    ) -> BTreeMap<usize, usize> {
        let mut steps = BTreeMap::new();
        let mut queue: VecDeque<_> = self.targets().into_iter().map(|it| (it, 0)).collect();
        while let Some((number, distance)) = queue.pop_front() {
            if steps.contains_key(&number) {
                continue;
            }
            steps.insert(number, distance);
            let next = next(self, number).into_iter();
            queue.extend(next.map(|link| (link.to, distance + 1)));
        }
        steps
    }

    /// How an event is named: by its revision, and by its plan if that is another.
    pub(super) fn name(&self, event: &ExplainedEvent) -> String {
        if event.plan_id == self.plan_id {
            event.revision.to_string()
        } else {
            format!("{}/{}", event.plan_id, event.revision)
        }
    }
}

/// When an event occurred, as it holds, as exactly as that is known.
pub(super) fn date(event: &ExplainedEvent) -> String {
    let Some(holds) = event.corrected.as_ref().or(event.event.as_ref()) else {
        return String::new();
    };
    let time = holds.occurred_at.unwrap_or_default();
    let Ok(time) = Timestamp::new(time.seconds, time.nanos) else {
        return String::new();
    };
    let day: Date = time.to_zoned(TimeZone::UTC).date();
    match holds.occurred_precision() {
        Precision::Unspecified => time.to_string().replace("T00:00:00Z", ""),
        Precision::Day => day.to_string(),
        Precision::Week => format!("week of {day}"),
        Precision::Month => day.strftime("%Y-%m").to_string(),
        Precision::Quarter => format!("{} Q{}", day.year(), (day.month() + 2) / 3),
        Precision::Year => day.year().to_string(),
    }
}

/// What became of an event after it was recorded, in brackets; nothing if nothing did. A correction is
/// told with what it put in place, if that reads otherwise.
pub(super) fn amended(event: &ExplainedEvent) -> String {
    let corrected = event.corrected.as_ref().map(event::summary);
    match (event.retracted, event.corrected_by) {
        (_, 0) => String::new(),
        (true, by) => format!(" [retracted by {by}]"),
        (false, by) => match corrected.filter(|corrected| *corrected != event.summary) {
            Some(corrected) => format!(" [corrected by {by}: {corrected}]"),
            None => format!(" [corrected by {by}]"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Event, NoteRecorded, event::Kind};

    fn dated(seconds: i64, precision: Precision) -> String {
        let event = Event {
            occurred_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            occurred_precision: precision.into(),
            ..Event::default()
        };
        date(&ExplainedEvent {
            event: Some(event),
            ..ExplainedEvent::default()
        })
    }

    #[test]
    fn a_date_says_no_more_than_is_known() {
        // 1974-06-28T08:00:00Z
        let time = 141_638_400;
        assert_eq!(dated(time, Precision::Unspecified), "1974-06-28T08:00:00Z");
        assert_eq!(dated(time, Precision::Day), "1974-06-28");
        assert_eq!(dated(time, Precision::Week), "week of 1974-06-28");
        assert_eq!(dated(time, Precision::Month), "1974-06");
        assert_eq!(dated(time, Precision::Quarter), "1974 Q2");
        assert_eq!(dated(time, Precision::Year), "1974");
        assert_eq!(dated(0, Precision::Quarter), "1970 Q1");
        assert_eq!(dated(-86_400, Precision::Quarter), "1969 Q4");
        assert_eq!(dated(-86_400, Precision::Unspecified), "1969-12-31");
        assert_eq!(dated(i64::MAX, Precision::Day), "", "no time");
    }

    #[test]
    fn an_amended_event_says_by_what() {
        let amended_by = |corrected_by, retracted| {
            amended(&ExplainedEvent {
                corrected_by,
                retracted,
                ..ExplainedEvent::default()
            })
        };
        assert_eq!(amended_by(0, false), "");
        assert_eq!(amended_by(7, false), " [corrected by 7]");
        assert_eq!(amended_by(7, true), " [retracted by 7]");
    }

    #[test]
    fn a_corrected_event_says_what_holds_in_its_place() {
        let note = |text: &str| Event {
            kind: Some(Kind::NoteRecorded(NoteRecorded {
                subject: "plan".into(),
                text: text.into(),
            })),
            ..Event::default()
        };
        let corrected = |as_recorded: &str| {
            amended(&ExplainedEvent {
                corrected_by: 7,
                summary: event::summary(&note(as_recorded)),
                corrected: Some(note("17 cards")),
                ..ExplainedEvent::default()
            })
        };
        let expected = " [corrected by 7: note on plan: 17 cards]";
        assert_eq!(corrected("12 cards"), expected);
        assert_eq!(corrected("17 cards"), " [corrected by 7]", "only its time");
    }
}
