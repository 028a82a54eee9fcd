//! The line of sight, tried on whole and on broken chains.

use super::*;
use crate::{domain::given, proto::event::Kind};

fn objective(measure: &str) -> Kind {
    Kind::ObjectiveSet(proto::ObjectiveSet {
        statement: "New accounts".into(),
        measure: measure.into(),
        target: Some(10.0),
        ..proto::ObjectiveSet::default()
    })
}

fn strategy() -> Kind {
    Kind::StrategyAdopted(proto::StrategyAdopted {
        strategy_id: "s".into(),
        intent: "Win accounts one at a time".into(),
        assumption_ids: vec!["b".into(), "a".into()],
        indicator_ids: vec!["replies".into()],
        ..proto::StrategyAdopted::default()
    })
}

fn tactic() -> Kind {
    Kind::TacticAdded(proto::TacticAdded {
        tactic_id: "t".into(),
        strategy_id: "s".into(),
        statement: "Send samples".into(),
        assumption_ids: vec!["a".into(), "c".into()],
        ..proto::TacticAdded::default()
    })
}

fn committed(tactic_id: &str) -> Kind {
    Kind::CommitmentMade(proto::CommitmentMade {
        commitment_id: "c".into(),
        tactic_id: tactic_id.into(),
        assignee: "Ada".into(),
        promise: "The samples are sent".into(),
        due: Some(given::at(86_400)),
        ..proto::CommitmentMade::default()
    })
}

/// A chain without a gap: revisions 1 to 10.
fn whole() -> Vec<Kind> {
    vec![
        given::created(),
        objective("accounts"),
        given::indicator("replies"),
        given::indicator("other"),
        given::assumption("a", true),
        given::assumption("b", false),
        given::assumption("c", false),
        strategy(),
        tactic(),
        committed("t"),
    ]
}

fn sight(kinds: Vec<Kind>, subject: &str) -> Option<LineOfSight> {
    let subject = Subject::parse(subject).expect(subject);
    line_of_sight(&given::plan(kinds), &subject)
}

#[track_caller]
fn gaps(kinds: Vec<Kind>, subject: &str) -> Vec<String> {
    sight(kinds, subject).expect("the plan has it").gaps
}

#[test]
fn a_commitment_is_seen_in_line_with_all_up_to_the_objective() {
    let sight = sight(whole(), "commitments/c").expect("the plan has it");
    assert_eq!(
        sight.commitment.map(|it| it.commitment_id),
        Some("c".into())
    );
    assert_eq!(sight.tactic.map(|it| it.tactic_id), Some("t".into()));
    assert_eq!(sight.strategy.map(|it| it.strategy_id), Some("s".into()));
    let assumptions: Vec<_> = sight
        .assumptions
        .iter()
        .map(|it| &it.assumption_id)
        .collect();
    assert_eq!(assumptions, ["a", "c", "b"], "those of the tactic first");
    let indicators: Vec<_> = sight.indicators.iter().map(|it| &it.indicator_id).collect();
    assert_eq!(indicators, ["replies"]);
    assert!(sight.objective.is_some());
    assert_eq!(
        sight.summary,
        "commitments/c (Ada, due 1970-01-02): The samples are sent → tactics/t: Send samples → \
         strategies/s@1: Win accounts one at a time → objective: New accounts"
    );
    assert_eq!(sight.gaps, [""; 0]);
}

#[test]
fn a_tactic_is_seen_without_its_commitments() {
    let sight = sight(whole(), "tactics/t").expect("the plan has it");
    assert!(sight.commitment.is_none());
    assert!(sight.summary.starts_with("tactics/t: Send samples → "));
}

#[test]
fn an_objective_that_names_a_quantity_says_how_much_as_one_with_a_measure_and_a_target_does() {
    let Kind::ObjectiveSet(vague) = objective("") else {
        panic!("it sets an objective");
    };
    for (statement, is_vague) in [("New accounts", true), ("Sell 900 loaves", false)] {
        let named = Kind::ObjectiveSet(proto::ObjectiveSet {
            statement: statement.into(),
            target: None,
            ..vague.clone()
        });
        let gaps = gaps(
            vec![given::created(), named, given::tactic("t", "")],
            "tactics/t",
        );
        let is_said = |gap: &String| gap.starts_with("The objective does not say");
        assert_eq!(gaps.iter().any(is_said), is_vague, "{statement}");
    }
}

#[test]
fn only_tactics_and_commitments_have_a_line_of_sight() {
    for subject in [
        "plan",
        "objective",
        "strategies/s",
        "assumptions/a",
        "indicators/replies",
    ] {
        assert_eq!(sight(whole(), subject), None, "{subject}");
    }
    assert_eq!(sight(whole(), "tactics/none"), None);
    assert_eq!(sight(whole(), "commitments/none"), None);
}

#[test]
fn a_missing_link_is_a_gap() {
    let alone = vec![given::created(), committed("")];
    assert_eq!(
        gaps(alone, "commitments/c"),
        [
            "The commitment `c` is for no tactic.",
            "The plan has no objective."
        ]
    );
    let ungrouped = vec![given::created(), objective(""), given::tactic("t", "")];
    assert_eq!(
        gaps(ungrouped, "tactics/t"),
        [
            "The tactic `t` serves no strategy.",
            "Nothing says on what assumptions it rests.",
            "The objective does not say what is to be measured, or how much of it.",
        ]
    );
    let unmeasured = vec![
        given::created(),
        objective("accounts"),
        given::assumption("a", true),
        given::strategy("s"),
        tactic(),
    ];
    assert_eq!(
        gaps(unmeasured, "tactics/t"),
        ["The strategy `s` is judged by no indicator."]
    );
}

#[test]
fn a_retired_tactic_is_no_option_also_where_it_serves_no_strategy() {
    let retiring = Kind::TacticRetired(proto::TacticRetired {
        tactic_id: "t".into(),
        reason: "Too dear".into(),
    });
    let story = vec![
        given::created(),
        objective("accounts"),
        given::tactic("t", ""),
        committed("t"),
        retiring,
    ];
    for subject in ["tactics/t", "commitments/c"] {
        assert_eq!(
            gaps(story.clone(), subject),
            [
                "The tactic `t` is no longer an option.",
                "The tactic `t` serves no strategy.",
                "Nothing says on what assumptions it rests.",
            ]
        );
    }
}

#[test]
fn a_broken_link_is_a_gap() {
    let breaking = [
        (
            Kind::StrategyAbandoned(proto::StrategyAbandoned {
                strategy_id: "s".into(),
                reason: "Hopeless".into(),
            }),
            "The strategy `s` was given up.",
        ),
        (
            Kind::AssumptionRefuted(proto::AssumptionRefuted {
                assumption_id: "b".into(),
            }),
            "The assumption `b` was found not to hold.",
        ),
        (
            Kind::IndicatorRetired(proto::IndicatorRetired {
                indicator_id: "replies".into(),
                reason: "Nobody counts".into(),
            }),
            "The strategy `s` is judged by the indicator `replies`, which is no longer measured.",
        ),
        (
            Kind::TacticRetired(proto::TacticRetired {
                tactic_id: "t".into(),
                reason: "Too dear".into(),
            }),
            "The tactic `t` is no longer an option.",
        ),
    ];
    for (kind, gap) in breaking {
        let mut story = whole();
        story.push(kind);
        assert_eq!(gaps(story, "commitments/c"), [gap]);
    }
}
