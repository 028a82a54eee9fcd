//! What is said to differ between two plans, and what is not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{decide::properties, evolve::fold, given},
    proto::{Failure, event::Kind},
};

/// Each change as its kind and subject, with the paths of its fields.
fn told(before: Option<&Plan>, after: &Plan) -> Vec<String> {
    let changes = between(before, after).expect("it can be said");
    let tell = |change: &EntityChange| {
        let fields: Vec<_> = change.fields.iter().map(|it| &*it.path).collect();
        let kind = change.kind().as_str_name().to_lowercase();
        let kind = kind.trim_start_matches("change_kind_").to_owned();
        format!("{kind} {} {}", change.subject, fields.join(" "))
            .trim_end()
            .to_owned()
    };
    changes.iter().map(tell).collect()
}

fn kinds() -> Vec<Kind> {
    vec![
        given::created(),
        given::indicator("i"),
        given::strategy("s"),
        given::tactic("t", "s"),
        given::tried("t", 1),
        given::failed("t", 1, Failure::Effect),
        given::committed("c", 99),
        given::measured("i", 4.0),
        given::corrected(8, given::measured("i", 5.0)),
        given::retracted(7),
    ]
}

fn after(revision: usize) -> Plan {
    given::plan(kinds().into_iter().take(revision))
}

#[test]
fn before_the_first_event_everything_is_added() {
    let expected = [
        "added plan",
        "added indicators/i",
        "added strategies/s",
        "added tactics/t",
        "added commitments/c",
    ];
    assert_eq!(told(None, &after(7)), expected);
}

#[test]
fn what_changed_is_told_field_by_field() {
    let tried = "state attempts[1] attempt_count";
    assert_eq!(
        told(Some(&after(4)), &after(5)),
        [format!("changed tactics/t {tried}")]
    );
    let failed = [
        "state",
        "attempts[1].state",
        "attempts[1].failure",
        "attempts[1].observed",
        "attempts[1].ended_at",
        "attempts[1].ended_revision",
        "effect_failures",
    ];
    let expected = format!("changed tactics/t {}", failed.join(" "));
    assert_eq!(told(Some(&after(5)), &after(6)), [expected]);
    let measured = ["changed indicators/i measurements last"];
    assert_eq!(told(Some(&after(7)), &after(8)), measured);
}

#[test]
fn what_is_corrected_differs_and_what_is_retracted_is_removed() {
    assert_eq!(
        told(Some(&after(8)), &after(9)),
        ["changed indicators/i last.value"]
    );
    assert_eq!(told(Some(&after(9)), &after(10)), ["removed commitments/c"]);
    assert_eq!(told(Some(&after(10)), &after(9)), ["added commitments/c"]);
}

#[test]
fn the_plan_itself_differs_by_its_own_fields_only() {
    let described = Kind::PlanDescribed(proto::PlanDescribed {
        title: "Growth in the north".into(),
        labels: [("region".to_owned(), "north".to_owned())].into(),
        ..proto::PlanDescribed::default()
    });
    let archived = Kind::PlanArchived(proto::PlanArchived::default());
    let plan = |count| {
        let all = [given::created(), described.clone(), archived.clone()];
        given::plan(all.into_iter().take(count))
    };
    assert_eq!(
        told(Some(&plan(1)), &plan(2)),
        ["changed plan title labels[region]"]
    );
    assert_eq!(
        told(Some(&plan(2)), &plan(3)),
        ["changed plan state archiving"]
    );
}

/// Everything in a plan, by its subject.
fn things(plan: &Plan) -> BTreeMap<String, PlanEntity> {
    let added = between(None, plan).expect("it can be said").into_iter();
    added
        .map(|it| (it.subject, it.after.expect("it is there")))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_changes_between_any_two_points_lead_from_one_to_the_other(
        events in properties::recorded(),
        places in any::<[prop::sample::Index; 2]>(),
    ) {
        prop_assume!(!events.is_empty());
        let [before, after] = places.map(|place| {
            let end = place.index(events.len()) + 1;
            fold("growth".into(), events.iter().take(end))
        });
        prop_assert!(between(Some(&after), &after).expect("it can be said").is_empty());
        let mut led = things(&before);
        for change in between(Some(&before), &after).expect("it can be said") {
            prop_assert_eq!(led.get(&change.subject), change.before.as_ref());
            prop_assert_ne!(&change.before, &change.after);
            prop_assert_eq!(change.kind() == ChangeKind::Changed, !change.fields.is_empty());
            for field in &change.fields {
                prop_assert_ne!(&field.before, &field.after);
            }
            match change.after {
                Some(thing) => led.insert(change.subject, thing),
                None => led.remove(&change.subject),
            };
        }
        prop_assert_eq!(led, things(&after));
    }
}
