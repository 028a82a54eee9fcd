//! Corrections and retractions, the times of what happened, and deadlines that passed, all through
//! the API.

use prost_types::Timestamp;
use strata::proto::{
    CommitmentState, ExecuteRequest, KeepCommitment, LapseCommitment, ListEventsRequest,
    MakeCommitment, Plan, Precision, RecordedEvent, RetractEvent, command::Kind, point::Point,
};
use tempfile::{TempDir, tempdir};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{
        Refused, add_tactic, connect, correct_note, define_indicator, execute, from_now, get_plan,
        measure, plan_as_of, refused, try_tactic,
    },
};

/// A daemon with a plan at revision 5: begun, an indicator, two measurements and a note.
async fn with_plan() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let said = [
        create_plan(),
        define_indicator("sales"),
        measure("sales", 7.0),
        measure("sales", 8.0),
        note("Frist impressions"),
    ];
    for (command, number) in said.into_iter().zip(1..) {
        execute(&daemon, request("growth", &format!("{number}"), command)).await;
    }
    (dir, daemon)
}

async fn refusal_of(daemon: &Daemon, request: ExecuteRequest) -> Refused {
    refused(daemon.plans().execute(request).await)
}

async fn plan_at(daemon: &Daemon, revision: u64) -> Plan {
    let asked = plan_as_of("growth", Point::Revision(revision));
    let answer = daemon.plans().get_plan(asked).await.expect("shown");
    answer.into_inner().plan.expect("a plan")
}

async fn events(daemon: &Daemon) -> Vec<RecordedEvent> {
    let asked = ListEventsRequest {
        plan_id: "growth".into(),
        page_size: 1_000,
        ..Default::default()
    };
    let listed = daemon.history().list_events(asked).await.expect("listed");
    listed.into_inner().events
}

fn retract(revision: u64) -> Kind {
    Kind::RetractEvent(RetractEvent {
        revision,
        reason: "Counted twice".into(),
    })
}

#[track_caller]
fn last_value(plan: &Plan) -> Option<f64> {
    plan.indicators[0].last.as_ref().map(|last| last.value)
}

#[tokio::test]
async fn a_retraction_counts_from_then_on_and_what_was_believed_stays_visible() {
    let (_dir, daemon) = with_plan().await;
    let answer = execute(&daemon, request("growth", "6", retract(4))).await;
    let commit = answer
        .entry
        .expect("an entry")
        .decode_commit()
        .expect("a commit");
    let corrects = &commit.events[0].because;
    assert_eq!(corrects.len(), 1, "the daemon adds the cause");
    assert_eq!((corrects[0].revision, corrects[0].role), (4, 3));

    assert_eq!(last_value(&plan_at(&daemon, 5).await), Some(8.0));
    let now = get_plan(&daemon, "growth").await.plan.expect("a plan");
    assert_eq!(last_value(&now), Some(7.0));
    assert_eq!((now.revision, now.indicators[0].measurements), (6, 1));

    execute(&daemon, request("growth", "7", correct_note(5, "First"))).await;
    execute(
        &daemon,
        request("growth", "8", correct_note(5, "First impressions")),
    )
    .await;
    let listed = events(&daemon).await;
    let corrected: Vec<_> = listed.iter().map(|event| event.corrected_by).collect();
    assert_eq!(
        corrected,
        [0, 0, 0, 6, 8, 0, 0, 0],
        "the last that amends it"
    );
    assert!(
        listed[4].summary.contains("Frist"),
        "an event stays as it was recorded"
    );
}

#[tokio::test]
async fn what_others_rest_on_is_neither_retracted_nor_made_something_else() {
    let (_dir, daemon) = with_plan().await;
    execute(&daemon, request("growth", "6", retract(4))).await;
    let refusals = [
        (retract(1), Code::FailedPrecondition, "NOT_CORRECTABLE", "1"),
        (retract(2), Code::FailedPrecondition, "NOT_CORRECTABLE", "2"),
        (retract(4), Code::FailedPrecondition, "NOT_CORRECTABLE", "4"),
        (retract(6), Code::FailedPrecondition, "NOT_CORRECTABLE", "6"),
        (retract(7), Code::NotFound, "REVISION_NOT_FOUND", "7"),
        (
            correct_note(3, "x"),
            Code::FailedPrecondition,
            "NOT_CORRECTABLE",
            "3",
        ),
        (
            correct_note(6, "x"),
            Code::FailedPrecondition,
            "NOT_CORRECTABLE",
            "6",
        ),
        (
            correct_note(99, "x"),
            Code::NotFound,
            "REVISION_NOT_FOUND",
            "99",
        ),
    ];
    for (command, code, reason, revision) in refusals {
        let refusal = refusal_of(&daemon, request("growth", "7", command.clone())).await;
        assert_eq!(refusal.kind(), (code, reason), "{command:?}");
        assert_eq!(refusal.metadata("revision"), revision, "{command:?}");
    }
    let nobodys = refusal_of(&daemon, request("bakery", "7", retract(1))).await;
    assert_eq!(nobodys.kind(), (Code::NotFound, "PLAN_NOT_FOUND"));
    assert_eq!(daemon.head().await, 6);
}

#[tokio::test]
async fn corrections_sent_at_once_are_all_recorded_and_the_last_holds() {
    let (_dir, daemon) = with_plan().await;
    let mut calls = JoinSet::new();
    for n in 0..24 {
        let mut plans = connect(&daemon).await;
        let command = match n % 3 {
            0 => note("In between"),
            _ => correct_note(5, &format!("Correction {n}")),
        };
        let request = request("growth", &format!("at once {n}"), command);
        calls.spawn(async move { plans.execute(request).await.expect("recorded").into_inner() });
    }
    let mut answers = calls.join_all().await;
    answers.sort_by_key(|answer| answer.revision);
    let revisions: Vec<_> = answers.iter().map(|answer| answer.revision).collect();
    assert_eq!(
        revisions,
        (6..30).collect::<Vec<_>>(),
        "none is lost, none recorded twice"
    );

    let listed = events(&daemon).await;
    let last = listed
        .iter()
        .rfind(|event| event.r#type == "EventCorrected");
    let last = last
        .and_then(|event| event.event.as_ref())
        .expect("a correction");
    assert_eq!(listed[4].corrected_by, last.revision);
}

#[tokio::test]
async fn of_retractions_sent_at_once_one_is_recorded() {
    let (_dir, daemon) = with_plan().await;
    let mut calls = JoinSet::new();
    for n in 0..8 {
        let mut plans = connect(&daemon).await;
        let request = request("growth", &format!("at once {n}"), retract(4));
        calls.spawn(async move { plans.execute(request).await });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refusal in answers.into_iter().filter(Result::is_err).map(refused) {
        assert_eq!(
            refusal.kind(),
            (Code::FailedPrecondition, "NOT_CORRECTABLE")
        );
    }
    assert_eq!(daemon.head().await, 6);
}

#[tokio::test]
async fn what_happened_is_dated_by_its_sender_or_else_by_its_recording() {
    let (_dir, daemon) = with_plan().await;
    let at = |occurred_at: Option<Timestamp>, request_id: &str| ExecuteRequest {
        occurred_at,
        occurred_precision: Precision::Month.into(),
        ..request("growth", request_id, note("Noted"))
    };
    let past = Timestamp {
        seconds: -343_353_600,
        nanos: 7,
    };
    for (occurred_at, request_id) in [(None, "6"), (Some(from_now(240)), "7")] {
        let answer = execute(&daemon, at(occurred_at, request_id)).await;
        let commit = answer
            .entry
            .expect("an entry")
            .decode_commit()
            .expect("a commit");
        assert_eq!(
            commit.events[0].occurred_at, commit.recorded_at,
            "{request_id}"
        );
    }
    let answer = execute(&daemon, at(Some(past), "8")).await;
    let commit = answer
        .entry
        .expect("an entry")
        .decode_commit()
        .expect("a commit");
    assert_eq!(commit.events[0].occurred_at, Some(past));
    assert_eq!(commit.events[0].occurred_precision(), Precision::Month);
    assert_ne!(commit.recorded_at, Some(past));

    let ahead = refusal_of(&daemon, at(Some(from_now(600)), "9")).await;
    assert_eq!(ahead.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
    assert_eq!(ahead.fields, ["occurred_at"]);
    let plan = get_plan(&daemon, "growth").await.plan.expect("a plan");
    assert_eq!(plan.revision, 8);
    assert_eq!(
        plan.last_occurred_at,
        Some(past),
        "of the last event, not the latest time"
    );
}

/// A promise by Ada.
fn promise(commitment_id: &str, due: Timestamp) -> Kind {
    Kind::MakeCommitment(MakeCommitment {
        commitment_id: commitment_id.into(),
        assignee: "Ada".into(),
        promise: "A second oven".into(),
        due: Some(due),
        ..Default::default()
    })
}

fn lapse(commitment_id: &str, due: Timestamp) -> ExecuteRequest {
    let lapse = LapseCommitment {
        commitment_id: commitment_id.into(),
        due: Some(due),
    };
    request("growth", "lapsed", Kind::LapseCommitment(lapse))
}

async fn commitment_state(daemon: &Daemon) -> CommitmentState {
    let plan = get_plan(daemon, "growth").await.plan.expect("a plan");
    plan.commitments[0].state()
}

#[tokio::test]
async fn a_deadline_that_passed_in_silence_lapses_once_and_can_still_be_kept_late() {
    let (_dir, daemon) = with_plan().await;
    let (due, later) = (from_now(-3_600), from_now(3_600));
    let due_date = (Code::FailedPrecondition, "DUE_DATE");
    let promised = request("growth", "promised", promise("oven", due));
    let late = refusal_of(&daemon, promised.clone()).await;
    assert_eq!(late.kind(), due_date, "due before it was made");
    let promised = ExecuteRequest {
        occurred_at: Some(from_now(-7_200)),
        ..promised
    };
    execute(&daemon, promised).await;
    execute(&daemon, request("growth", "flour", promise("flour", later))).await;

    for wrong in [lapse("flour", later), lapse("oven", from_now(-60))] {
        assert_eq!(refusal_of(&daemon, wrong).await.kind(), due_date);
    }
    execute(&daemon, lapse("oven", due)).await;
    let again = ExecuteRequest {
        request_id: "lapsed again".into(),
        ..lapse("oven", due)
    };
    let again = refusal_of(&daemon, again).await;
    assert_eq!(again.kind(), due_date);
    assert_eq!(again.metadata("subject"), "commitments/oven");
    assert_eq!(commitment_state(&daemon).await, CommitmentState::Overdue);

    let keep = Kind::KeepCommitment(KeepCommitment {
        commitment_id: "oven".into(),
        ..Default::default()
    });
    execute(&daemon, request("growth", "kept", keep.clone())).await;
    assert_eq!(commitment_state(&daemon).await, CommitmentState::KeptLate);
    let twice = refusal_of(&daemon, request("growth", "twice", keep)).await;
    let closed = (Code::FailedPrecondition, "COMMITMENT_CLOSED");
    assert_eq!(twice.kind(), closed);
}

#[tokio::test]
async fn a_retracted_attempt_leaves_the_tactic_as_it_was_before_it() {
    let (_dir, daemon) = with_plan().await;
    execute(&daemon, request("growth", "6", add_tactic("samples"))).await;
    let before = get_plan(&daemon, "growth").await.plan.expect("a plan");
    execute(&daemon, request("growth", "7", try_tactic("samples"))).await;
    let open = get_plan(&daemon, "growth").await.plan.expect("a plan");
    assert_ne!(open.tactics, before.tactics);
    execute(&daemon, request("growth", "8", retract(7))).await;
    let after = get_plan(&daemon, "growth").await.plan.expect("a plan");
    assert_eq!(after.tactics[0].state, before.tactics[0].state);
    assert_eq!(after.tactics[0].attempts, []);
}
