//! What is suggested by the ranks, and what speaks against an option.

use super::*;
use crate::{
    domain::given,
    proto::{self, event::Kind},
};

/// A plan with the strategy `s` and the options `a` and `b`, `a` the better one.
fn plan(later: impl IntoIterator<Item = Kind>) -> Plan {
    let first = [
        given::created(),
        given::strategy("s"),
        given::assumption("load", true),
        given::assumption("detail", false),
        given::ranked_tactic("b", "s", 2),
        given::ranked_tactic("a", "s", 1),
    ];
    given::plan(first.into_iter().chain(later))
}

fn suggested(later: impl IntoIterator<Item = Kind>) -> Suggestion {
    ranked(&plan(later), "s")
}

fn against_a(later: impl IntoIterator<Item = Kind>) -> Vec<Obstacle> {
    let plan = plan(later);
    obstacles(&plan, &plan.tactics["a"])
}

fn trying(tactic_id: &str) -> Suggestion {
    Suggestion::Try {
        tactic_id: tactic_id.into(),
        followed: false,
    }
}

fn resting_on(assumption_ids: &[&str], after_tactic_ids: &[&str]) -> Kind {
    Kind::TacticReworded(proto::TacticReworded {
        tactic_id: "a".into(),
        statement: "Send samples".into(),
        assumption_ids: assumption_ids.iter().map(|&id| id.into()).collect(),
        after_tactic_ids: after_tactic_ids.iter().map(|&id| id.into()).collect(),
        ..proto::TacticReworded::default()
    })
}

fn refuted(assumption_id: &str) -> Kind {
    Kind::AssumptionRefuted(proto::AssumptionRefuted {
        assumption_id: assumption_id.into(),
    })
}

fn stopped(inconclusive: bool) -> Kind {
    Kind::TacticStopped(proto::TacticStopped {
        tactic_id: "a".into(),
        attempt: 1,
        inconclusive,
        ..proto::TacticStopped::default()
    })
}

fn retired(tactic_id: &str) -> Kind {
    Kind::TacticRetired(proto::TacticRetired {
        tactic_id: tactic_id.into(),
        ..proto::TacticRetired::default()
    })
}

#[test]
fn the_best_ranked_option_comes_first() {
    assert_eq!(suggested([]), trying("a"));
}

#[test]
fn ties_go_by_age_and_unranked_options_come_last() {
    let plan = plan([
        given::ranked_tactic("c", "s", 0),
        given::ranked_tactic("aa", "s", 2),
        given::ranked_tactic("elsewhere", "", 1),
    ]);
    let ids: Vec<_> = options(&plan, "s")
        .iter()
        .map(|tactic| tactic.tactic_id.to_string())
        .collect();
    assert_eq!(ids, ["a", "b", "aa", "c"]);
}

#[test]
fn an_option_that_failed_of_its_effect_gives_way_to_the_next() {
    let failing = given::failed("a", 1, Failure::Effect);
    assert_eq!(suggested([given::tried("a", 1), failing]), trying("b"));
}

#[test]
fn a_precondition_failure_may_be_tried_again_once() {
    let failing = |attempt| given::failed("a", attempt, Failure::Precondition);
    let once = [given::tried("a", 1), failing(1)];
    assert_eq!(against_a(once.clone()), []);
    let twice = once.into_iter().chain([given::tried("a", 2), failing(2)]);
    assert_eq!(against_a(twice), [Obstacle::RetryLimit]);
}

#[test]
fn an_option_waits_for_those_that_should_succeed_first() {
    assert_eq!(
        against_a([resting_on(&[], &["b"])]),
        [Obstacle::AfterNotMet]
    );
    let succeeding = [given::tried("b", 1), given::succeeded("b", 1)];
    let later = [resting_on(&[], &["b"])].into_iter().chain(succeeding);
    assert_eq!(against_a(later), []);
}

#[test]
fn only_a_refuted_load_bearing_assumption_stands_in_the_way() {
    let on_both = resting_on(&["detail", "load"], &[]);
    assert_eq!(against_a([on_both.clone(), refuted("detail")]), []);
    assert_eq!(
        against_a([on_both, refuted("load")]),
        [Obstacle::RefutedAssumption]
    );
}

#[test]
fn an_inconclusive_stop_leaves_an_option_eligible() {
    assert_eq!(against_a([given::tried("a", 1), stopped(true)]), []);
    assert_eq!(
        against_a([given::tried("a", 1), stopped(false)]),
        [Obstacle::Stopped]
    );
}

#[test]
fn every_obstacle_is_listed() {
    let later = [
        given::tried("a", 1),
        given::succeeded("a", 1),
        given::tried("a", 2),
        given::failed("a", 2, Failure::Effect),
        resting_on(&["load"], &["b"]),
        refuted("load"),
        given::tried("a", 3),
        retired("a"),
    ];
    let expected = [
        Obstacle::OpenAttempt,
        Obstacle::AfterNotMet,
        Obstacle::RefutedAssumption,
        Obstacle::RetryLimit,
        Obstacle::Succeeded,
        Obstacle::Retired,
    ];
    assert_eq!(against_a(later), expected);
}

#[test]
fn an_open_attempt_is_waited_for_when_nothing_else_is_eligible() {
    let later = [given::tried("a", 1), retired("b")];
    assert_eq!(suggested(later), Suggestion::Wait);
    assert_eq!(suggested([given::tried("a", 1)]), trying("b"));
}

#[test]
fn a_strategy_whose_options_all_succeeded_is_done() {
    let later = [given::tried("a", 1), given::succeeded("a", 1), retired("b")];
    assert_eq!(suggested(later), Suggestion::AllSucceeded);
}

#[test]
fn a_strategy_without_an_eligible_option_is_exhausted() {
    let failing = given::failed("a", 1, Failure::Effect);
    let later = [given::tried("a", 1), failing, retired("b")];
    assert_eq!(suggested(later), Suggestion::StrategyExhausted);
    let none_left = [retired("a"), retired("b")];
    assert_eq!(suggested(none_left), Suggestion::StrategyExhausted);
}

#[test]
fn a_try_knows_whether_it_follows_the_suggestion() {
    let plan = plan([given::tactic("loose", "")]);
    let for_tactic = |id: &str| suggestion_for(&plan, &plan.tactics[id]);
    let try_a = |followed| {
        Some(Suggestion::Try {
            tactic_id: "a".into(),
            followed,
        })
    };
    assert_eq!(for_tactic("a"), try_a(true));
    assert_eq!(for_tactic("b"), try_a(false));
    assert_eq!(for_tactic("loose"), None);
}
