//! A real history: how smallpox was eradicated from India, reviewed where it stood at three points.
//! It was recorded half a century after it happened.

use super::*;
use crate::{
    domain::{
        decide::{Context, execute},
        plan::Plan,
        shape,
    },
    json,
};

const LINES: &str = include_str!("../../../../tests/fixtures/smallpox-india.jsonl");

/// When it was imported.
const IMPORTED: Time = Time {
    seconds: 1_700_000_000,
    nanos: 0,
};

fn history() -> Arc<History> {
    let mut plan = Plan::unborn("smallpox-india".into());
    let mut events = Vec::new();
    for line in LINES.lines() {
        let request = json::from_json(line).expect(line);
        let checked = shape::check(request, IMPORTED).expect(line);
        let context = Context {
            now: IMPORTED,
            other_plans: &|_| None,
            history: &events,
        };
        let decision = execute(&plan, checked.request(), &context).expect(line);
        plan = decision.plan;
        events.extend(decision.events);
    }
    let recorded = events
        .into_iter()
        .map(|event| Recorded::new(event.revision, IMPORTED, "".into(), "".into(), event));
    Arc::new(History::of(
        "smallpox-india".into(),
        recorded.map(Arc::new).collect(),
    ))
}

/// The plan at a revision, when that happened.
fn at_revision(revision: u64) -> Moment {
    let history = history();
    let now = history.get(revision).expect("an event").occurred_at();
    Moment::at_revision(history, revision, now, revision)
}

/// Code, subject and the events behind each finding.
fn found(revision: u64) -> Vec<String> {
    let found = review(&at_revision(revision));
    let line = |it: &Finding| format!("{} {} {:?}", it.code, it.subject, behind(it));
    found.iter().map(line).collect()
}

#[test]
fn in_1962_one_campaign_is_begun_on_an_untested_assumption() {
    let expected = [
        "ASM001 assumptions/coverage-80 [4, 7]",
        "HIS001 plan [1, 2, 3, 4, 5, 6, 7]",
        "OBJ002 objective [2]",
        "STR005 strategies/stop-transmission [5]",
        "TAC002 tactics/mass-campaign [7]",
        "TAC003 tactics/mass-campaign [7]",
    ];
    assert_eq!(found(7), expected);
}

#[test]
fn in_1972_the_strategy_rests_on_a_refuted_assumption_and_is_exhausted() {
    let all: Vec<u64> = (1..=19).collect();
    let expected = [
        "ASM002 assumptions/coverage-80 [5, 18, 19]",
        "ASM003 plan [15]",
        &format!("HIS001 plan {all:?}"),
        "OBJ002 objective [2]",
        "STR004 strategies/stop-transmission [11, 17, 18, 19]",
        "STR005 strategies/stop-transmission [5]",
    ];
    assert_eq!(found(19), expected);
    let moment = at_revision(19);
    let says = |code| only(&moment, code).message;
    assert_eq!(
        says("ASM002"),
        "Assumption `coverage-80` was found not to hold on 1972-10-01, and strategy \
         `stop-transmission` still rests on it: revise that with `revise_strategy` because of \
         revision 19, or reopen the assumption if it was judged wrongly."
    );
    assert_eq!(
        says("STR004"),
        "None of the 3 tactics of strategy `stop-transmission` can be tried any more: revise the \
         strategy with `revise_strategy`, because of the events that closed them."
    );
}

#[test]
fn in_1977_the_archived_plan_says_what_was_left() {
    let all: Vec<u64> = (1..=40).collect();
    let expected = [
        "ASM003 plan [15]",
        "COM001 commitments/zero-in-two-seasons [22, 32]",
        &format!("HIS001 plan {all:?}"),
    ];
    assert_eq!(found(40), expected);
}

#[test]
fn a_vaccination_campaign_is_no_strategy_of_trade_shows() {
    for revision in 5..=40 {
        assert_eq!(about(&at_revision(revision), "STR001"), [""; 0]);
    }
}
