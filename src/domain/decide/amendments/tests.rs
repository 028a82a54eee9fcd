//! What can be set right after the fact, and what cannot.

use super::super::testing::{
    BEGIN, World, at, cause,
    commands::{
        abandon, add, adopt, archive, assume, attempt, conclude, correct, decline, define,
        evidence, fail, keep, lapse, measure, measure_in, miss, move_to, note, objective, promise,
        propose, reassign, release, reopen, reopen_assumption, retire, retract, stop, succeed,
    },
    given_plan, request, timestamp,
};
use crate::{
    domain::plan::{AssumptionState, AttemptState, CommitmentState},
    proto::{
        self, CauseRole, Conclusion, CorrectEvent, ErrorReason, Failure, Notice, Verdict,
        command::Kind as Asked, event::Kind,
    },
};

/// When the promises of these tests are due, in seconds.
const DUE: i64 = BEGIN + 1_000;

/// What the event of this revision says, with a change.
fn changed(world: &World, revision: usize, change: impl FnOnce(&mut Kind)) -> Kind {
    let mut kind = world.history[revision - 1]
        .kind
        .clone()
        .expect("events have kinds");
    change(&mut kind);
    kind
}

#[track_caller]
fn not_correctable(world: &World, command: Asked) {
    let refusal = world.when(command).0.expect_err("it is refused");
    assert_eq!(refusal.reason, ErrorReason::NotCorrectable, "{refusal:?}");
}

fn made_due(due_seconds: i64) -> Kind {
    Kind::CommitmentMade(proto::CommitmentMade {
        commitment_id: "c".to_owned(),
        assignee: "ada".to_owned(),
        promise: "a list".to_owned(),
        due: timestamp(due_seconds),
        ..Default::default()
    })
}

fn failed(attempt: u32, observed: &str) -> Kind {
    Kind::TacticFailed(proto::TacticFailed {
        tactic_id: "t".to_owned(),
        attempt,
        failure: Failure::Precondition as i32,
        observed: observed.to_owned(),
        ..Default::default()
    })
}

fn failed_once() -> World {
    given_plan([add("t", ""), attempt("t"), fail("t")])
}

mod corrections {
    use std::slice;

    use super::*;

    #[test]
    fn texts_values_and_choices_may_differ_and_the_last_correction_holds() {
        let world =
            failed_once().and([correct(4, failed(1, "rain")), correct(4, failed(1, "snow"))]);
        let AttemptState::Failed {
            ending, failure, ..
        } = &world.plan.tactics["t"].attempts[0].state
        else {
            panic!("the attempt failed");
        };
        assert_eq!(
            (ending.text.as_str(), *failure),
            ("snow", Failure::Precondition as i32)
        );
    }

    #[test]
    fn a_number_that_only_the_daemon_knows_may_be_left_out_but_not_changed() {
        let world = failed_once();
        not_correctable(&world, correct(4, failed(2, "rain")));
        let mut events = world.when(correct(4, failed(0, "rain"))).events();
        let Some(Kind::EventCorrected(corrected)) = events.remove(0).kind else {
            panic!("the event is corrected");
        };
        let replacement = corrected
            .replacement
            .expect("a correction has a replacement");
        assert_eq!(replacement.kind, Some(failed(1, "rain")));
    }

    #[test]
    fn the_kind_and_every_reference_stay() {
        let world = given_plan([adopt("s"), add("t", "s"), attempt("t"), fail("t")]);
        not_correctable(
            &world,
            correct(5, world.history[3].kind.clone().expect("a kind")),
        );
        let other = changed(&world, 3, |kind| {
            if let Kind::TacticAdded(it) = kind {
                it.strategy_id.clear();
            }
        });
        not_correctable(&world, correct(3, other));
        let after = changed(&world, 3, |kind| {
            if let Kind::TacticAdded(it) = kind {
                it.after_tactic_ids.push("u".to_owned());
            }
        });
        not_correctable(&world, correct(3, after));
        let followed = changed(&world, 4, |kind| {
            if let Kind::TacticTried(it) = kind {
                it.suggestion.get_or_insert_default().followed = false;
            }
        });
        not_correctable(&world, correct(4, followed));
    }

    #[test]
    fn what_cannot_be_retracted_says_whether_that_is_for_its_type_or_for_what_rests_on_it() {
        let world = given_plan([adopt("s"), add("t", "s"), attempt("t"), fail("t")]);
        let said = |revision| {
            let refusal = world.when(retract(revision)).0.expect_err("it is refused");
            refusal.message
        };
        assert!(said(2).contains("any event of its type"), "{}", said(2));
        assert!(said(4).contains("others rest on it"), "{}", said(4));
    }

    #[test]
    fn an_amendment_is_not_amended_and_a_retracted_event_is_gone() {
        let world = given_plan([note("plan"), note("plan"), retract(2)]);
        let said = world.history[1].kind.clone().expect("a kind");
        not_correctable(&world, correct(2, said.clone()));
        not_correctable(&world, correct(4, said));
        not_correctable(&world, retract(4));
        not_correctable(&world, retract(2));
    }

    #[test]
    fn an_event_of_the_same_request_is_not_amended() {
        let asked = request([note("plan"), retract(2)]);
        given_plan([]).when_requested(&asked).then_refused(
            ErrorReason::RevisionNotFound,
            "commands[1].retract_event.revision",
            &[("revision", "2")],
        );
    }

    #[test]
    fn commands_after_a_correction_see_it() {
        let world = given_plan([define("i")]);
        let renamed = changed(&world, 2, |kind| {
            if let Kind::IndicatorDefined(it) = kind {
                "EUR".clone_into(&mut it.unit);
            }
        });
        let in_euro = measure_in("i", 1.0, "EUR");
        let asked = request([correct(2, renamed), in_euro]);
        world.when_requested(&asked).then_plan();
    }

    #[test]
    fn the_cause_names_the_target_once() {
        let world = given_plan([note("plan")]);
        let corrects = cause(2, CauseRole::Corrects);
        let causes = |because: &[proto::Cause]| {
            let asked = proto::ExecuteRequest {
                because: because.to_vec(),
                ..request([retract(2)])
            };
            world.when_requested(&asked).events().remove(0).because
        };
        assert_eq!(causes(&[]), slice::from_ref(&corrects));
        assert_eq!(
            causes(slice::from_ref(&corrects)),
            slice::from_ref(&corrects)
        );
        let trigger = cause(2, CauseRole::Trigger);
        assert_eq!(
            causes(slice::from_ref(&trigger)),
            [trigger, corrects.clone()]
        );
        let spelt_out = proto::Cause {
            plan_id: "growth".to_owned(),
            ..corrects
        };
        assert_eq!(causes(slice::from_ref(&spelt_out)), [spelt_out]);
    }

    #[test]
    fn a_corrected_time_is_never_in_the_future() {
        let world = given_plan([note("plan")]).at(BEGIN + 50);
        let Asked::CorrectEvent(command) =
            correct(2, world.history[1].kind.clone().expect("a kind"))
        else {
            panic!("it is a correction");
        };
        let ahead = CorrectEvent {
            occurred_at: timestamp(BEGIN + 99),
            ..command
        };
        let mut events = world.when(Asked::CorrectEvent(ahead)).events();
        let Some(Kind::EventCorrected(corrected)) = events.remove(0).kind else {
            panic!("the event is corrected");
        };
        assert_eq!(corrected.occurred_at, timestamp(BEGIN + 50));
    }

    #[test]
    fn a_target_keeps_its_measure_and_an_indicator_the_unit_it_was_measured_in() {
        let world = given_plan([objective(""), define("i"), measure("i", 1.0)]);
        let unmeasured = changed(&world, 2, |kind| {
            if let Kind::ObjectiveSet(it) = kind {
                it.measure.clear();
            }
        });
        not_correctable(&world, correct(2, unmeasured));
        let in_euro = changed(&world, 3, |kind| {
            if let Kind::IndicatorDefined(it) = kind {
                "EUR".clone_into(&mut it.unit);
            }
        });
        not_correctable(&world, correct(3, in_euro.clone()));
        let measured = changed(&world, 4, |kind| {
            if let Kind::MeasurementRecorded(it) = kind {
                "EUR".clone_into(&mut it.unit);
            }
        });
        world.when(correct(4, measured)).then_refused(
            ErrorReason::UnitMismatch,
            "commands[0].correct_event.replacement.measurement_recorded.unit",
            &[("subject", "indicators/i"), ("unit", "customers")],
        );
        let unmeasured_world = world.and([retract(4)]);
        unmeasured_world.when(correct(3, in_euro)).then_plan();
    }

    #[test]
    fn a_verdict_stays_while_a_conclusion_rests_on_it() {
        let world = given_plan([
            assume("a"),
            evidence("e", "a", Verdict::Refutes),
            conclude("a", Conclusion::Refuted),
        ]);
        let turned = changed(&world, 3, |kind| {
            if let Kind::EvidenceRecorded(it) = kind {
                it.verdict = Verdict::Supports as i32;
            }
        });
        let reworded = changed(&world, 3, |kind| {
            if let Kind::EvidenceRecorded(it) = kind {
                "Twenty calls".clone_into(&mut it.summary);
            }
        });
        not_correctable(&world, correct(3, turned.clone()));
        world.when(correct(3, reworded)).then_plan();
        world
            .and([reopen_assumption("a")])
            .when(correct(3, turned))
            .then_plan();
    }
}

mod dates {
    use super::*;

    fn promised() -> World {
        given_plan([promise("c", "", DUE)])
    }

    fn corrected_at(seconds: i64, revision: u64, kind: Kind) -> Asked {
        let Asked::CorrectEvent(command) = correct(revision, kind) else {
            panic!("it is a correction");
        };
        Asked::CorrectEvent(CorrectEvent {
            occurred_at: timestamp(seconds),
            ..command
        })
    }

    #[test]
    fn a_due_date_can_be_corrected_but_not_to_before_it_was_made() {
        let world = promised();
        let plan = world.when(correct(2, made_due(DUE + 5))).then_plan();
        assert_eq!(plan.commitments["c"].due, at(DUE + 5));
        not_correctable(&world, correct(2, made_due(BEGIN)));
        not_correctable(&world.at(DUE + 50), corrected_at(DUE, 2, made_due(DUE)));
    }

    #[test]
    fn a_date_that_passed_in_silence_was_never_due_once_it_is_corrected() {
        let world = promised()
            .at(DUE)
            .and([lapse("c", DUE), correct(2, made_due(DUE + 500))]);
        let commitment = &world.plan.commitments["c"];
        assert_eq!(
            (&commitment.state, commitment.silently_missed.len()),
            (&CommitmentState::Open, 0)
        );
        world.at(DUE + 500).and([lapse("c", DUE + 500)]);
    }

    #[test]
    fn a_date_from_which_another_was_moved_or_missed_stays() {
        let moved = promised().and([move_to("c", DUE + 500)]);
        not_correctable(&moved, correct(2, made_due(DUE + 5)));
        moved.when(correct(2, made_due(DUE))).then_plan();
        not_correctable(&promised().and([miss("c")]), correct(2, made_due(DUE + 5)));
        promised()
            .and([keep("c")])
            .when(correct(2, made_due(DUE + 5)))
            .then_plan();
    }

    #[test]
    fn whether_somebody_spoke_in_time_is_worked_out_anew() {
        let world = promised().at(DUE + 10).and([move_to("c", DUE + 500)]);
        assert_eq!(world.plan.commitments["c"].late_moves, 1);
        let forged = changed(&world, 3, |kind| {
            if let Kind::DeadlineMoved(it) = kind {
                it.notice = Notice::BeforeDue as i32;
            }
        });
        let still = world.when(correct(3, forged.clone())).then_plan();
        assert_eq!(still.commitments["c"].late_moves, 1);
        let earlier = world.when(corrected_at(DUE - 10, 3, forged)).then_plan();
        assert_eq!(earlier.commitments["c"].late_moves, 0);
    }

    #[test]
    fn a_silent_miss_stays_silent_and_after_its_date() {
        let world = promised().at(DUE).and([lapse("c", DUE)]);
        let lapsed = world.history[2].kind.clone().expect("a kind");
        not_correctable(&world, corrected_at(DUE - 1, 3, lapsed.clone()));
        let said = changed(&world, 3, |kind| {
            if let Kind::DeadlineMissed(it) = kind {
                it.silent = false;
            }
        });
        not_correctable(&world, correct(3, said));
        let plan = world.when(corrected_at(DUE, 3, lapsed)).then_plan();
        assert_eq!(plan.commitments["c"].state, CommitmentState::Overdue);
    }
}

mod retractions {
    use super::*;

    #[test]
    fn a_measurement_a_note_and_an_open_proposal_can_be_retracted() {
        let world = given_plan([define("i"), measure("i", 1.0), note("plan")]).and([
            adopt("s"),
            propose("p", "s"),
            retract(3),
            retract(4),
            retract(6),
        ]);
        assert_eq!(world.plan.indicators["i"].measurements, 0);
        assert_eq!(world.plan.notes, 0);
        assert!(world.plan.proposals.is_empty());
        let declined = given_plan([adopt("s"), propose("p", "s"), decline("p")]);
        not_correctable(&declined, retract(3));
    }

    #[test]
    fn evidence_can_be_retracted_while_no_conclusion_rests_on_it() {
        let world = given_plan([
            assume("a"),
            evidence("e", "a", Verdict::Refutes),
            evidence("f", "a", Verdict::Supports),
            conclude("a", Conclusion::Refuted),
        ]);
        not_correctable(&world, retract(3));
        world.when(retract(4)).then_plan();
        let reopened = world.and([reopen_assumption("a"), retract(3)]);
        assert_eq!(
            reopened.plan.assumptions["a"].state,
            AssumptionState::Stated
        );
        reopened
            .when(conclude("a", Conclusion::Refuted))
            .then_refused(
                ErrorReason::NoEvidence,
                "commands[0].conclude_assumption.conclusion",
                &[("subject", "assumptions/a")],
            );
    }

    #[test]
    fn attempts_are_retracted_from_the_last_event_back() {
        let world = failed_once().and([attempt("t"), succeed("t")]);
        for earlier in [3, 4, 5] {
            not_correctable(&world, retract(earlier));
        }
        let back = world.and([retract(6)]);
        assert!(back.plan.tactics["t"].open_attempt().is_some());
        let further = back.and([retract(5), retract(4), retract(3)]);
        assert!(further.plan.tactics["t"].attempts.is_empty());
        assert_eq!(further.plan.tactics["t"].attempts_recorded, 2);
    }

    #[test]
    fn an_attempt_is_not_opened_again_where_none_may_be_open() {
        not_correctable(&failed_once().and([retire("t")]), retract(4));
        let ended = [
            adopt("s"),
            add("t", "s"),
            attempt("t"),
            stop("t"),
            abandon("s"),
        ];
        not_correctable(&given_plan(ended), retract(5));
    }

    #[test]
    fn commitments_are_retracted_from_the_last_event_back() {
        let world = given_plan([promise("c", "", DUE), reassign("c"), release("c")]);
        not_correctable(&world, retract(2));
        not_correctable(&world, retract(3));
        let back = world.and([retract(4), retract(3)]);
        assert_eq!(back.plan.commitments["c"].state, CommitmentState::Open);
        assert_eq!(back.plan.commitments["c"].assignee, "ada");
        let gone = back.and([retract(2)]);
        assert!(gone.plan.commitments.is_empty());
    }

    #[test]
    fn a_plan_that_was_taken_up_again_can_be_set_right() {
        let world = failed_once().and([archive()]);
        world
            .when(retract(4))
            .then_refused(ErrorReason::PlanArchived, "plan_id", &[]);
        world.and([reopen(), retract(4)]);
    }

    #[test]
    fn what_others_rest_on_is_not_retracted() {
        let world = given_plan([
            objective(""),
            define("i"),
            assume("a"),
            adopt("s"),
            add("t", "s"),
            retire("t"),
            archive(),
            reopen(),
        ]);
        for revision in 1..=9 {
            not_correctable(&world, retract(revision));
        }
    }
}
