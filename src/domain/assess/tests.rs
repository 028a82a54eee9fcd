//! What is observed of a strategy and what is not, and where that puts it.

use super::*;
use crate::{
    domain::given,
    proto::{self, Failure, event::Kind},
};

/// A plan with the strategy `s` that rests on these assumptions and is judged by these indicators.
fn resting_on(assumption_ids: &[&str], indicator_ids: &[&str]) -> Kind {
    let owned = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
    Kind::StrategyAdopted(proto::StrategyAdopted {
        strategy_id: "s".into(),
        intent: "Win accounts one at a time".into(),
        assumption_ids: owned(assumption_ids),
        indicator_ids: owned(indicator_ids),
        ..proto::StrategyAdopted::default()
    })
}

#[track_caller]
fn assessed(kinds: impl IntoIterator<Item = Kind>) -> StrategyAssessment {
    let moment = given::moment([given::created()].into_iter().chain(kinds));
    let mut assessments = assess(&moment, Some("s")).expect("the strategy is there");
    assert_eq!(assessments.len(), 1);
    assessments.remove(0)
}

/// Each observation: its subject, whether it holds, what it says, the revisions behind it.
fn told(axis: Option<&AssessedAxis>) -> Vec<(String, bool, String, Vec<u64>)> {
    let axis = axis.expect("an axis");
    let holding = axis.observations.iter().filter(|it| it.holds).count();
    assert_eq!(axis.holding as usize, holding);
    assert_eq!(axis.observed as usize, axis.observations.len());
    let told = axis.observations.iter().map(|it| {
        let revisions = it.events.iter().map(|event| event.revision).collect();
        (it.subject.clone(), it.holds, it.text.clone(), revisions)
    });
    told.collect()
}

#[track_caller]
fn is_right_thing(
    kinds: impl IntoIterator<Item = Kind>,
    subject: &str,
    holds: bool,
    text: &str,
    revisions: &[u64],
) {
    let observed = told(assessed(kinds).right_things.as_ref());
    let expected = (
        subject.to_owned(),
        holds,
        text.to_owned(),
        revisions.to_vec(),
    );
    assert_eq!(observed, [expected]);
}

#[track_caller]
fn is_no_right_thing(kinds: impl IntoIterator<Item = Kind>) {
    assert_eq!(told(assessed(kinds).right_things.as_ref()), []);
}

fn refuted(assumption_id: &str) -> Kind {
    Kind::AssumptionRefuted(proto::AssumptionRefuted {
        assumption_id: assumption_id.into(),
    })
}

fn supported(assumption_id: &str) -> Kind {
    Kind::AssumptionSupported(proto::AssumptionSupported {
        assumption_id: assumption_id.into(),
    })
}

#[test]
fn a_load_bearing_assumption_holds_until_it_is_refuted() {
    let begun = [given::assumption("a", true), resting_on(&["a"], &[])];
    let then = |later: Vec<Kind>| begun.iter().cloned().chain(later);
    let subject = "assumptions/a";
    let text = "`a`, which is load-bearing, was not refuted, nor found to hold.";
    is_right_thing(then(vec![]), subject, true, text, &[2]);
    let text = "`a`, which is load-bearing, was found to hold.";
    is_right_thing(then(vec![supported("a")]), subject, true, text, &[4]);
    let evidence = Kind::EvidenceRecorded(proto::EvidenceRecorded {
        evidence_id: "e".into(),
        assumption_id: "a".into(),
        ..proto::EvidenceRecorded::default()
    });
    let text = "`a`, which is load-bearing, was refuted.";
    is_right_thing(
        then(vec![evidence, refuted("a")]),
        subject,
        false,
        text,
        &[4, 5],
    );
}

#[test]
fn an_assumption_that_bears_no_load_or_is_not_rested_on_is_not_observed() {
    is_no_right_thing([given::assumption("a", false), resting_on(&["a"], &[])]);
    is_no_right_thing([given::assumption("a", true), resting_on(&[], &[])]);
}

fn indicator(direction: Direction, target: Option<f64>) -> Kind {
    Kind::IndicatorDefined(proto::IndicatorDefined {
        indicator_id: "i".into(),
        name: "Replies".into(),
        unit: "replies".into(),
        direction: direction.into(),
        target,
        ..proto::IndicatorDefined::default()
    })
}

/// A strategy judged by the indicator `i`, which had these values.
fn judged(direction: Direction, target: Option<f64>, values: &[f64]) -> Vec<Kind> {
    let mut kinds = vec![indicator(direction, target), resting_on(&[], &["i"])];
    kinds.extend(values.iter().map(|value| given::measured("i", *value)));
    kinds
}

#[test]
fn an_indicator_holds_at_its_target() {
    let is_at = |direction, value, holds, text: &str| {
        let kinds = judged(direction, Some(10.0), &[value]);
        is_right_thing(kinds, "indicators/i", holds, text, &[4]);
    };
    let reached =
        |value: f64| format!("`i` is at {value} replies and has reached its target of 10.");
    let short =
        |value: f64| format!("`i` is at {value} replies and has not reached its target of 10.");
    is_at(Direction::Increase, 10.0, true, &reached(10.0));
    is_at(Direction::Increase, 11.0, true, &reached(11.0));
    is_at(Direction::Increase, 9.0, false, &short(9.0));
    is_at(Direction::Decrease, 10.0, true, &reached(10.0));
    is_at(Direction::Decrease, 9.0, true, &reached(9.0));
    is_at(Direction::Decrease, 11.0, false, &short(11.0));
    let kinds = judged(Direction::Increase, Some(10.0), &[12.0, 10.0]);
    is_right_thing(kinds, "indicators/i", true, &reached(10.0), &[5]);
}

#[test]
fn an_indicator_holds_when_its_last_two_values_move_in_its_direction() {
    let moves = |direction, target, values: &[f64], holds, text: &str| {
        let kinds = judged(direction, target, values);
        is_right_thing(kinds, "indicators/i", holds, text, &[5, 6]);
    };
    let nearer = "`i` went from 2 to 3 replies, in its direction.";
    moves(Direction::Increase, None, &[9.0, 2.0, 3.0], true, nearer);
    moves(
        Direction::Increase,
        Some(10.0),
        &[9.0, 2.0, 3.0],
        true,
        nearer,
    );
    let same = "`i` went from 3 to 3 replies, not in its direction.";
    moves(Direction::Increase, None, &[2.0, 3.0, 3.0], false, same);
    let away = "`i` went from 2 to 3 replies, not in its direction.";
    moves(Direction::Decrease, None, &[9.0, 2.0, 3.0], false, away);
    let down = "`i` went from 3 to 2 replies, in its direction.";
    moves(Direction::Decrease, Some(0.0), &[1.0, 3.0, 2.0], true, down);
}

#[test]
fn an_indicator_that_says_nothing_is_not_observed() {
    is_no_right_thing(judged(Direction::Increase, Some(10.0), &[]));
    is_no_right_thing(judged(Direction::Increase, None, &[1.0]));
    let mut unjudged = judged(Direction::Increase, None, &[1.0, 2.0]);
    unjudged[1] = resting_on(&[], &[]);
    is_no_right_thing(unjudged);
    let retiring = Kind::IndicatorRetired(proto::IndicatorRetired {
        indicator_id: "i".into(),
        reason: "Nobody reads it".into(),
    });
    let retired = judged(Direction::Increase, None, &[1.0, 2.0]);
    is_no_right_thing(retired.into_iter().chain([retiring]));
}

#[test]
fn a_replaced_indicator_is_judged_by_what_took_its_place_and_once() {
    let replacing = Kind::IndicatorReplaced(proto::IndicatorReplaced {
        old_indicator_id: "i".into(),
        indicator_id: "j".into(),
        name: "Orders".into(),
        unit: "orders".into(),
        direction: Direction::Increase.into(),
        target: Some(5.0),
        ..proto::IndicatorReplaced::default()
    });
    let kinds = [
        indicator(Direction::Increase, None),
        resting_on(&[], &["i", "j"]),
        given::measured("i", 2.0),
        given::measured("i", 1.0),
        replacing,
        given::measured("j", 5.0),
    ];
    let text = "`j` is at 5 orders and has reached its target of 5.";
    is_right_thing(kinds, "indicators/j", true, text, &[7]);
}

/// What is observed of how things are done, under `s` with the tactic `t`.
fn things_right(later: impl IntoIterator<Item = Kind>) -> Vec<(String, bool, String, Vec<u64>)> {
    let begun = [
        given::strategy("s"),
        given::tactic("t", "s"),
        given::tactic("u", ""),
    ];
    let assessment = assessed(begun.into_iter().chain(later));
    told(assessment.things_right.as_ref())
}

#[test]
fn attempts_that_ended_are_observed_and_stops_are_not() {
    let retiring = Kind::TacticRetired(proto::TacticRetired {
        tactic_id: "t".into(),
        ..proto::TacticRetired::default()
    });
    let stopping = Kind::TacticStopped(proto::TacticStopped {
        tactic_id: "t".into(),
        attempt: 4,
        ..proto::TacticStopped::default()
    });
    let observed = things_right([
        given::tried("t", 1),
        given::failed("t", 1, Failure::Precondition),
        given::tried("u", 1),
        given::failed("u", 1, Failure::Effect),
        given::tried("t", 2),
        given::failed("t", 2, Failure::Effect),
        given::tried("t", 3),
        given::succeeded("t", 3),
        given::tried("t", 4),
        stopping,
        retiring,
        given::tried("t", 5),
    ]);
    let attempt = |number: u32, holds: bool, revisions: [u64; 2]| {
        let what = if holds { "succeeded" } else { "failed" };
        let text = format!("Attempt {number} of `t` {what}.");
        ("tactics/t".to_owned(), holds, text, revisions.to_vec())
    };
    let expected = [
        attempt(1, false, [5, 6]),
        attempt(2, false, [9, 10]),
        attempt(3, true, [11, 12]),
    ];
    assert_eq!(observed, expected);
}

/// A commitment for a tactic, due at the second 50.
fn promised(tactic_id: &str) -> Kind {
    Kind::CommitmentMade(proto::CommitmentMade {
        commitment_id: "c".into(),
        tactic_id: tactic_id.into(),
        assignee: "Ada".into(),
        due: Some(given::at(50)),
        ..proto::CommitmentMade::default()
    })
}

fn kept() -> Kind {
    Kind::CommitmentKept(proto::CommitmentKept {
        commitment_id: "c".into(),
        ..proto::CommitmentKept::default()
    })
}

fn moved(to_seconds: i64, notice: proto::Notice) -> Kind {
    Kind::DeadlineMoved(proto::DeadlineMoved {
        commitment_id: "c".into(),
        old: Some(given::at(50)),
        new: Some(given::at(to_seconds)),
        notice: notice.into(),
        ..proto::DeadlineMoved::default()
    })
}

fn missed(silent: bool) -> Kind {
    Kind::DeadlineMissed(proto::DeadlineMissed {
        commitment_id: "c".into(),
        silent,
        due: Some(given::at(50)),
        ..proto::DeadlineMissed::default()
    })
}

#[test]
fn commitments_hold_when_they_were_kept_in_time() {
    let is_observed = |later: &[Kind], holds, text: &str| {
        let observed = things_right([promised("t")].into_iter().chain(later.iter().cloned()));
        let last = 5 + later.len() as u64;
        let expected = (
            "commitments/c".to_owned(),
            holds,
            text.to_owned(),
            vec![5, last],
        );
        assert_eq!(observed, [expected]);
    };
    is_observed(&[kept()], true, "The commitment `c` was kept in time.");
    let with_notice = [moved(60, proto::Notice::BeforeDue), kept()];
    is_observed(&with_notice, true, "The commitment `c` was kept in time.");
    let late = "The commitment `c` was kept only after a due date had passed.";
    is_observed(&[moved(60, proto::Notice::AfterDue), kept()], false, late);
    let after_silence = [missed(true), moved(60, proto::Notice::BeforeDue), kept()];
    is_observed(&after_silence, false, late);
    // It had been kept before the date passed, and that was only recorded later.
    let in_time = "The commitment `c` was kept in time.";
    is_observed(&[missed(true), kept()], true, in_time);
    is_observed(&[missed(true)], false, "The commitment `c` is overdue.");
    is_observed(&[missed(false)], false, "The commitment `c` was missed.");
    let sooner = [moved(1, proto::Notice::BeforeDue), kept()];
    is_observed(&sooner, false, "The commitment `c` was kept late.");
}

#[test]
fn what_is_open_or_released_or_for_no_tactic_of_the_strategy_is_not_observed() {
    let releasing = Kind::CommitmentReleased(proto::CommitmentReleased {
        commitment_id: "c".into(),
        ..proto::CommitmentReleased::default()
    });
    assert_eq!(things_right([promised("t")]), []);
    assert_eq!(things_right([promised("t"), releasing]), []);
    assert_eq!(things_right([promised("u"), kept()]), []);
    assert_eq!(things_right([promised(""), kept()]), []);
}

/// Three load-bearing assumptions, so many of them refuted, and three attempts, so many of them failed.
fn square(refuted_count: usize, failed_count: usize) -> StrategyAssessment {
    let ids = ["a", "b", "c"];
    let mut kinds: Vec<_> = ids.iter().map(|id| given::assumption(id, true)).collect();
    kinds.extend([resting_on(&ids, &[]), given::tactic("t", "s")]);
    kinds.extend(ids.iter().take(refuted_count).map(|id| refuted(id)));
    for (attempt, number) in (1..=3).zip(0..) {
        kinds.push(given::tried("t", attempt));
        kinds.push(if number < failed_count {
            given::failed("t", attempt, Failure::Effect)
        } else {
            given::succeeded("t", attempt)
        });
    }
    assessed(kinds)
}

#[test]
fn the_axes_put_a_strategy_into_the_square() {
    let is_in = |refuted_count, failed_count, quadrant, summary: &str| {
        let assessment = square(refuted_count, failed_count);
        assert_eq!(assessment.quadrant(), quadrant);
        assert_eq!(assessment.summary, summary);
    };
    let thrives = "It does the right things and does them right: it thrives.";
    is_in(0, 0, Quadrant::Thrive, thrives);
    is_in(1, 1, Quadrant::Thrive, thrives);
    let survives = "It does the right things and does not do them right: it survives.";
    is_in(1, 2, Quadrant::Survive, survives);
    let quickly = "It does the wrong things and does them right: it dies quickly.";
    is_in(2, 1, Quadrant::DieQuickly, quickly);
    let slowly = "It does the wrong things and does not do them right: it dies slowly.";
    is_in(3, 3, Quadrant::DieSlowly, slowly);
}

#[test]
fn half_of_the_observations_is_enough_and_three_are_needed() {
    let verdict = |outcomes: &[bool]| {
        let mut kinds = vec![given::strategy("s"), given::tactic("t", "s")];
        for (attempt, succeeded) in (1..).zip(outcomes) {
            kinds.push(given::tried("t", attempt));
            kinds.push(if *succeeded {
                given::succeeded("t", attempt)
            } else {
                given::failed("t", attempt, Failure::Effect)
            });
        }
        let assessment = assessed(kinds);
        assert_eq!(assessment.quadrant(), Quadrant::Unknown);
        (
            assessment.things_right.expect("an axis").verdict(),
            assessment.summary,
        )
    };
    let right_unknown = "Whether it does the right things is not known: observed 0, needed 3";
    let (two, summary) = verdict(&[true, true]);
    assert_eq!(two, AxisVerdict::Unknown);
    assert_eq!(
        summary,
        format!(
            "{right_unknown}; whether it does things right is not known: observed 2, needed 3."
        )
    );
    let (half, summary) = verdict(&[true, false, false, true]);
    assert_eq!(half, AxisVerdict::Holds);
    assert_eq!(summary, format!("{right_unknown}; it does things right."));
    let (less, summary) = verdict(&[true, false, false]);
    assert_eq!(less, AxisVerdict::Fails);
    assert_eq!(
        summary,
        format!("{right_unknown}; it does not do things right.")
    );
}

#[test]
fn only_the_last_observations_are_listed_and_all_are_counted() {
    let mut kinds = vec![
        given::created(),
        given::strategy("s"),
        given::tactic("t", "s"),
    ];
    for attempt in 1..=300 {
        kinds.extend([given::tried("t", attempt), given::succeeded("t", attempt)]);
    }
    let assessments = assess(&given::moment(kinds), None).expect("assessments");
    let axis = assessments[0].things_right.as_ref().expect("an axis");
    assert_eq!((axis.observed, axis.holding), (300, 300));
    assert_eq!(axis.observations.len(), 256);
    assert_eq!(axis.observations[0].text, "Attempt 45 of `t` succeeded.");
}

#[test]
fn a_strategy_that_ended_is_assessed_when_it_is_named() {
    let abandoning = Kind::StrategyAbandoned(proto::StrategyAbandoned {
        strategy_id: "s".into(),
        ..proto::StrategyAbandoned::default()
    });
    let kinds = [
        given::created(),
        given::strategy("s"),
        given::strategy("b"),
        given::strategy("a"),
        abandoning,
    ];
    let moment = given::moment(kinds);
    let ids = |strategy_id| -> Option<Vec<String>> {
        let assessments = assess(&moment, strategy_id)?;
        Some(assessments.into_iter().map(|it| it.strategy_id).collect())
    };
    assert_eq!(ids(None), Some(vec!["b".into(), "a".into()]));
    assert_eq!(ids(Some("s")), Some(vec!["s".into()]));
    assert_eq!(ids(Some("nobody")), None);
}
