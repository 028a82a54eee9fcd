//! Plans that are hidden from who asks: named where they are cited, and no more.

use std::convert::Infallible;

use super::{
    super::*,
    world::{LIMITS, TRIGGER, Told, moment, note, plain},
};
use crate::{
    domain::given,
    proto::{ExplainedEvent, ExplainedSide},
};

/// An event because of one of a mill that is hidden, and one of a plan that does not exist.
fn explained(limits: Limits) -> Explanation {
    let told: Vec<Told> = vec![
        plain(given::created()),
        (note(), vec![("mill", 3, TRIGGER), ("nowhere", 1, TRIGGER)]),
    ];
    let elsewhere = Elsewhere {
        history: &|plan_id: &str| -> Result<_, Infallible> {
            Ok(if plan_id == "mill" {
                Other::Hidden
            } else {
                Other::Absent
            })
        },
        citing: &|_: &str| Vec::new(),
    };
    let explanation = explain(&moment("growth", 1, told), &[2], limits, &elsewhere);
    explanation.unwrap_or_else(|never| match never {})
}

#[test]
fn a_hidden_cause_is_a_bare_id_that_leads_nowhere() {
    let explanation = explained(LIMITS);
    let bare = ExplainedEvent {
        plan_id: "mill".into(),
        revision: 3,
        side: ExplainedSide::Cause.into(),
        depth: 1,
        hidden: true,
        ..ExplainedEvent::default()
    };
    assert_eq!(explanation.events.len(), 2);
    assert_eq!(explanation.events[1], bare);
    let links = explanation.links.iter();
    let links: Vec<_> = links
        .map(|it| (&*it.earlier_plan_id, it.earlier_revision, it.later_revision))
        .collect();
    assert_eq!(links, [("mill", 3, 2)]);
    assert!(!explanation.truncated && explanation.truncated_at.is_empty());
}

#[test]
fn a_hidden_cause_that_there_is_no_room_for_is_said_to_be_missing() {
    for limits in [
        Limits {
            events: 1,
            ..LIMITS
        },
        Limits { bytes: 1, ..LIMITS },
    ] {
        let explanation = explained(limits);
        assert_eq!(explanation.events.len(), 1);
        let cut: Vec<_> = explanation
            .truncated_at
            .iter()
            .map(|it| it.revision)
            .collect();
        assert_eq!((explanation.truncated, cut), (true, vec![2]));
    }
}
