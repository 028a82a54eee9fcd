//! What holds for any history, sensible or not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::{arbitrary, plan::Plan, review::codes};

/// Whether the plan has what a finding is about.
fn exists(plan: &Plan, subject: &str) -> bool {
    let Some((collection, id)) = subject.split_once('/') else {
        return subject == "plan" || (subject == "objective" && plan.objective.is_some());
    };
    match collection {
        "strategies" => plan.strategies.contains_key(id),
        "tactics" => plan.tactics.contains_key(id),
        "assumptions" => plan.assumptions.contains_key(id),
        "indicators" => plan.indicators.contains_key(id),
        "commitments" => plan.commitments.contains_key(id),
        _ => false,
    }
}

fn check(moment: &Moment) -> Result<(), TestCaseError> {
    let found = review(moment);
    prop_assert_eq!(&found, &review(moment));
    let much_later = moment.now.plus_seconds(1_000 * DAY_SECONDS);
    for now in [Time::default(), much_later] {
        let drawn = Review::of(&Moment {
            now,
            ..moment.clone()
        });
        let shown: Vec<_> = drawn.findings(moment, |_, _, _| true).collect();
        prop_assert_eq!(&found, &shown, "drawn at {:?}", now);
    }
    let keys: Vec<_> = found.iter().map(|it| (&it.code, &it.subject)).collect();
    prop_assert!(keys.is_sorted(), "{:?}", keys);
    let distinct: BTreeSet<_> = keys.iter().collect();
    prop_assert_eq!(distinct.len(), keys.len());
    for finding in &found {
        let code = codes::code(&finding.code);
        prop_assert_eq!(code.map(|it| it.title), Some(finding.title.as_str()));
        prop_assert!(finding.level() != FindingLevel::Unspecified);
        prop_assert!(exists(&moment.plan, &finding.subject), "{:?}", finding);
        for subject in &finding.subjects {
            prop_assert!(exists(&moment.plan, subject), "{:?}", finding);
        }
        prop_assert!(finding.message.ends_with('.'), "{:?}", finding);
        prop_assert!(finding.event_count as usize >= finding.events.len());
        // Where an only event retracts itself there is none to name.
        let is_empty = moment.events.is_empty();
        prop_assert_eq!(finding.events.is_empty(), is_empty, "{:?}", finding);
        prop_assert!(finding.events.is_sorted_by(|a, b| a.revision < b.revision));
        for event in &finding.events {
            prop_assert!(moment.event(event.revision).is_some());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_review_of_any_history_is_sorted_and_names_only_what_there_is(
        events in arbitrary::history(60),
        seconds in prop_oneof![0..100_i64, any::<i64>()],
    ) {
        let now = Time { seconds, nanos: 0 };
        check(&moment(now, events.clone()))?;
        let recorded = moment(now, events);
        let (last, history) = (recorded.plan.revision, recorded.history);
        check(&Moment::at_revision(history.clone(), last.div_ceil(2), now, last))?;
        if let Some(then) = Moment::at_occurred(history, last, now, last) {
            check(&then)?;
        }
    }
}
