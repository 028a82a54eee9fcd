//! How strategies evolve, tried on small histories.

use std::{convert::Infallible, sync::Arc};

use prost_types::value;

use super::*;
use crate::{
    domain::{
        given,
        history::{History, Moment},
        plan::Lifecycle,
    },
    proto::{
        Cause, CauseRole, Event, Failure, FieldChange, ProposalState, StrategyRevision, TacticState,
    },
};

/// The plan `growth` as it is at the second 100; the event of revision n occurred at the second n.
fn moment(kinds: impl IntoIterator<Item = Kind>) -> Moment {
    of_events(given::history(kinds))
}

fn of_events(events: Vec<Event>) -> Moment {
    let recorded = |event: Event| {
        Arc::new(Recorded::new(
            event.revision,
            given::at(100).into(),
            "anonymous".into(),
            "Ada".into(),
            event,
        ))
    };
    let history = History::of("growth".into(), events.into_iter().map(recorded).collect());
    let revision = history.events.len() as u64;
    Moment::at_revision(Arc::new(history), revision, given::at(100).into(), 100)
}

fn shown(moment: &Moment, strategy_id: &str) -> Vec<StrategyRevision> {
    let evolution = evolution(moment, strategy_id).expect("the plan has it");
    let revision = |number| {
        let shown = evolution.revision(number, |_| Ok::<_, Infallible>(Other::Absent));
        shown.unwrap_or_else(|never| match never {})
    };
    assert_eq!(revision(evolution.count()), None);
    (0..evolution.count()).filter_map(revision).collect()
}

fn revised(parent_revision: u32, intent: &str) -> proto::StrategyRevised {
    proto::StrategyRevised {
        strategy_id: "s".into(),
        parent_revision,
        intent: intent.into(),
        reason: "One at a time is slow".into(),
        options_considered: vec!["Go on".into()],
        strategy_revision: parent_revision + 1,
        ..proto::StrategyRevised::default()
    }
}

fn proposed(proposal_id: &str) -> Kind {
    Kind::RevisionProposed(proto::RevisionProposed {
        strategy_id: "s".into(),
        proposal_id: proposal_id.into(),
        intent: "Win them by the dozen".into(),
        reason: "It is faster".into(),
    })
}

fn declined(proposal_id: &str) -> Kind {
    Kind::RevisionDeclined(proto::RevisionDeclined {
        proposal_id: proposal_id.into(),
        reason: "Too dear".into(),
    })
}

fn regrouped(tactic_id: &str, strategy_id: &str) -> Kind {
    Kind::TacticRegrouped(proto::TacticRegrouped {
        tactic_id: tactic_id.into(),
        strategy_id: strategy_id.into(),
    })
}

fn references(references: &[EventReference]) -> Vec<u64> {
    references.iter().map(|it| it.revision).collect()
}

#[test]
fn each_revision_says_what_made_it_what_ended_it_and_how_long_it_stood() {
    let moment = moment([
        given::created(),
        given::strategy("s"),
        given::strategy("other"),
        Kind::StrategyRevised(proto::StrategyRevised {
            unprompted: true,
            ..revised(1, "Win them by the dozen")
        }),
        Kind::StrategyAbandoned(proto::StrategyAbandoned {
            strategy_id: "s".into(),
            reason: "Hopeless".into(),
        }),
        given::strategy("third"),
    ]);
    let revisions = shown(&moment, "s");
    assert_eq!(revisions.len(), 2);
    let (first, second) = (&revisions[0], &revisions[1]);
    assert_eq!((first.revision, second.revision), (1, 2));
    assert_eq!(first.made_by.as_ref().map(|it| it.revision), Some(2));
    assert_eq!(first.ended_by, second.made_by);
    assert_eq!(first.stood_until, Some(given::at(4)));
    assert_eq!(first.stood_for.map(|it| it.seconds), Some(2));
    assert_eq!(first.intent, "Win accounts one at a time");
    assert_eq!(first.on_behalf_of, "Ada");
    assert_eq!((first.reason.as_str(), first.unprompted), ("", false));
    assert_eq!(second.intent, "Win them by the dozen");
    assert_eq!(second.reason, "One at a time is slow");
    assert_eq!(second.options_considered, ["Go on"]);
    assert!(second.unprompted);
    let ended_by = second.ended_by.as_ref().expect("it was abandoned");
    assert_eq!(ended_by.r#type, "StrategyAbandoned");
    assert_eq!(second.stood_for.map(|it| it.seconds), Some(1));
}

#[test]
fn the_revision_that_stands_has_stood_until_now_or_the_archiving() {
    let story = [given::created(), given::strategy("s")];
    let mut moment = moment(story);
    let stands = &shown(&moment, "s")[0];
    assert_eq!((&stands.stood_until, &stands.ended_by), (&None, &None));
    assert_eq!(stands.stood_for.map(|it| it.seconds), Some(98));
    moment.now = given::at(7).into();
    Arc::make_mut(&mut moment.plan).lifecycle = Lifecycle::Unborn;
    assert_eq!(
        shown(&moment, "s")[0].stood_for.map(|it| it.seconds),
        Some(5)
    );
    moment.now = given::at(1).into();
    assert_eq!(
        shown(&moment, "s")[0].stood_for.map(|it| it.seconds),
        Some(0)
    );
}

#[test]
fn what_differs_is_said_field_by_field() {
    let moment = moment([
        given::created(),
        given::strategy("s"),
        Kind::StrategyRevised(proto::StrategyRevised {
            will: vec!["Call".into(), "Write".into()],
            will_not: vec!["Advertise".into()],
            ..revised(1, "Win accounts one at a time")
        }),
    ]);
    let revisions = shown(&moment, "s");
    assert_eq!(revisions[0].changes, []);
    let text = |text: &str| prost_types::Value {
        kind: Some(value::Kind::StringValue(text.into())),
    };
    let list = |texts: &[&str]| prost_types::Value {
        kind: Some(value::Kind::ListValue(prost_types::ListValue {
            values: texts.iter().map(|it| text(it)).collect(),
        })),
    };
    let diagnosis = FieldChange {
        path: "diagnosis".into(),
        before: Some(text("Nobody knows us")),
        after: None,
    };
    let will = FieldChange {
        path: "will".into(),
        before: Some(list(&["Call"])),
        after: Some(list(&["Call", "Write"])),
    };
    assert_eq!(revisions[1].changes, [diagnosis, will]);
}

#[test]
fn proposals_stand_with_the_revision_during_which_they_were_made() {
    let accepting = proto::StrategyRevised {
        proposal_id: "good".into(),
        ..revised(1, "Win them by the dozen")
    };
    let moment = moment([
        given::created(),
        given::strategy("s"),
        proposed("dear"),
        declined("dear"),
        proposed("good"),
        Kind::StrategyRevised(accepting),
        proposed("new"),
    ]);
    let revisions = shown(&moment, "s");
    let made = |revision: &StrategyRevision| -> Vec<_> {
        let proposals = revision.proposals.iter();
        proposals
            .map(|it| {
                (
                    it.proposal_id.clone(),
                    it.state(),
                    it.decline_reason.clone(),
                )
            })
            .collect()
    };
    let expected = [
        (
            "dear".to_owned(),
            ProposalState::Declined,
            "Too dear".to_owned(),
        ),
        ("good".to_owned(), ProposalState::Accepted, String::new()),
    ];
    assert_eq!(made(&revisions[0]), expected);
    assert_eq!(revisions[1].accepted_proposal_id, "good");
    let expected = [("new".to_owned(), ProposalState::Open, String::new())];
    assert_eq!(made(&revisions[1]), expected);
}

#[test]
fn tactics_are_told_by_what_became_of_them_while_the_revision_stood() {
    let moment = moment([
        given::created(),
        given::strategy("s"),
        given::tactic("a", "s"),
        given::tactic("b", "s"),
        given::tried("a", 1),
        given::failed("a", 1, Failure::Effect),
        given::tried("b", 1),
        given::failed("b", 1, Failure::Precondition),
        given::tried("b", 2),
        Kind::StrategyRevised(proto::StrategyRevised {
            retire_tactic_ids: vec!["a".into()],
            ..revised(1, "Win them by the dozen")
        }),
        given::succeeded("b", 2),
        given::tactic("c", "s"),
    ]);
    let revisions = shown(&moment, "s");
    let told = |revision: &StrategyRevision| -> Vec<_> {
        let tactics = revision.tactics.iter();
        tactics
            .map(|it| {
                let counts = [
                    it.attempts,
                    it.successes,
                    it.effect_failures,
                    it.precondition_failures,
                ];
                (
                    it.tactic_id.clone(),
                    it.state(),
                    counts,
                    references(&it.outcomes),
                )
            })
            .collect()
    };
    let first = [
        ("a".to_owned(), TacticState::Failed, [1, 0, 1, 0], vec![6]),
        ("b".to_owned(), TacticState::Open, [2, 0, 0, 1], vec![8]),
    ];
    assert_eq!(told(&revisions[0]), first);
    let second = [
        (
            "b".to_owned(),
            TacticState::Succeeded,
            [0, 1, 0, 0],
            vec![11],
        ),
        ("c".to_owned(), TacticState::Untried, [0; 4], vec![]),
    ];
    assert_eq!(told(&revisions[1]), second);
    assert_eq!(revisions[1].retired_tactic_ids, ["a"]);
}

#[test]
fn attempts_under_another_strategy_are_not_counted() {
    let moment = moment([
        given::created(),
        given::strategy("s"),
        given::strategy("other"),
        given::tactic("t", "s"),
        regrouped("t", "other"),
        given::tried("t", 1),
        given::failed("t", 1, Failure::Effect),
        regrouped("t", "s"),
        given::tried("t", 2),
    ]);
    let of = |strategy_id| shown(&moment, strategy_id)[0].tactics[0].clone();
    let (own, other) = (of("s"), of("other"));
    assert_eq!((own.attempts, own.effect_failures), (1, 0));
    assert_eq!((other.attempts, other.effect_failures), (1, 1));
}

#[test]
fn a_branch_says_where_it_began() {
    let branching = Kind::StrategyBranched(proto::StrategyBranched {
        from_strategy_id: "s".into(),
        strategy_id: "b".into(),
        intent: "Win resellers".into(),
        reason: "They know everybody".into(),
    });
    let moment = moment([given::created(), given::strategy("s"), branching]);
    let branch = &shown(&moment, "b")[0];
    assert_eq!(branch.branched_from, "s");
    assert_eq!(branch.will, ["Call"], "copied from where it began");
    assert_eq!(branch.reason, "They know everybody");
    assert_eq!(shown(&moment, "s").len(), 1);
}

#[test]
fn a_corrected_revision_is_told_as_it_holds_and_a_retracted_outcome_is_not_told() {
    let moment = moment([
        given::created(),
        given::strategy("s"),
        given::tactic("t", "s"),
        given::tried("t", 1),
        given::failed("t", 1, Failure::Effect),
        given::corrected(
            2,
            Kind::StrategyAdopted(proto::StrategyAdopted {
                strategy_id: "s".into(),
                intent: "Win accounts".into(),
                ..proto::StrategyAdopted::default()
            }),
        ),
        given::retracted(5),
    ]);
    let revision = &shown(&moment, "s")[0];
    assert_eq!(revision.intent, "Win accounts");
    let tactic = &revision.tactics[0];
    assert_eq!(
        (tactic.state(), tactic.effect_failures),
        (TacticState::Open, 0)
    );
    assert_eq!(tactic.outcomes, []);
}

#[test]
fn what_a_revision_was_because_of_is_named_with_its_role_also_in_other_plans() {
    let mut events = given::history([
        given::created(),
        given::strategy("s"),
        Kind::StrategyRevised(revised(1, "Win them by the dozen")),
    ]);
    let cause = |plan_id: &str, revision, role: CauseRole| Cause {
        plan_id: plan_id.into(),
        revision,
        role: role.into(),
    };
    events[2].because = vec![
        cause("", 1, CauseRole::Trigger),
        cause("bakery", 1, CauseRole::Evidence),
        cause("nowhere", 1, CauseRole::Evidence),
        cause("bakery", 2, CauseRole::Evidence),
    ];
    let moment = of_events(events);
    let bakery = of_events(given::history([given::created(), given::strategy("x")])).history;
    let bakery = Arc::new(History::of("bakery".into(), bakery.events.clone()));
    let evolution = evolution(&moment, "s").expect("the plan has it");
    let shown = evolution.revision(1, |plan_id| {
        Ok::<_, Infallible>(match plan_id {
            "bakery" => Other::Told(bakery.clone()),
            _ => Other::Absent,
        })
    });
    let shown = shown.unwrap_or_else(|never| match never {});
    let because = shown.expect("a revision").because;
    let told: Vec<_> = because
        .iter()
        .map(|cited| {
            let event = cited.event.as_ref().expect("an event");
            (event.plan_id.as_str(), event.revision, cited.role())
        })
        .collect();
    let expected = [
        ("growth", 1, CauseRole::Trigger),
        ("bakery", 1, CauseRole::Evidence),
        ("bakery", 2, CauseRole::Evidence),
    ];
    assert_eq!(told, expected);
    assert!(
        because[0]
            .event
            .as_ref()
            .is_some_and(|it| it.summary.contains("Growth"))
    );
}

#[test]
fn a_strategy_that_is_not_there_has_no_revisions() {
    assert!(evolution(&moment([given::created()]), "s").is_none());
}

#[test]
fn a_failure_of_which_the_way_is_not_known_is_counted_as_none() {
    let story = [
        given::created(),
        given::strategy("s"),
        given::tactic("t", "s"),
        given::tried("t", 1),
        given::failed("t", 1, Failure::Unspecified),
    ];
    let revisions = shown(&moment(story), "s");
    let tactic = &revisions[0].tactics[0];
    assert_eq!(tactic.state(), TacticState::Failed);
    assert_eq!((tactic.attempts, tactic.effect_failures), (1, 0));
    assert_eq!(tactic.outcomes, []);
}

#[test]
fn of_very_many_outcomes_the_last_are_named_and_all_are_counted() {
    let attempts = (1..=1_001).flat_map(|attempt| {
        [
            given::tried("t", attempt),
            given::failed("t", attempt, Failure::Effect),
        ]
    });
    let begun = [
        given::created(),
        given::strategy("s"),
        given::tactic("t", "s"),
    ];
    let moment = moment(begun.into_iter().chain(attempts));
    let tactic = &shown(&moment, "s")[0].tactics[0];
    assert_eq!((tactic.attempts, tactic.effect_failures), (1_001, 1_001));
    assert_eq!(tactic.outcomes.len(), OUTCOMES_MAX);
    assert_eq!(tactic.outcomes.first().map(|it| it.revision), Some(7));
}
