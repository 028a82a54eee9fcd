//! Bad requests of every kind: each is answered with its documented status and details, nothing is
//! recorded, and the daemon goes on.

use strata::proto::{
    AddTactic, ArchivePlan, ConcludeAssumption, ExecuteRequest, GetPlanRequest, ListEventsRequest,
    PlanOutcome, RecordEvidence, StateAssumption, Verdict, command::Kind,
};
use tonic::Code;

use crate::{
    daemon::{create_plan, note, request},
    language::{
        add_tactic, cause, commands, execute, get_plan, malformed, measure, position, refusal_of,
        refused, try_tactic, with_plans,
    },
};

fn asking(command: Kind) -> ExecuteRequest {
    request("growth", "asked", command)
}

#[tokio::test]
async fn a_plan_that_does_not_exist_is_not_found_by_any_call() {
    let (_dir, daemon) = with_plans().await;
    let not_found = (Code::NotFound, "PLAN_NOT_FOUND");
    let executed = refusal_of(&daemon, request("nobodys", "1", note("x"))).await;
    let asked = GetPlanRequest {
        plan_id: "nobodys".into(),
        ..Default::default()
    };
    let shown = refused(daemon.plans().get_plan(asked).await);
    let asked = ListEventsRequest {
        plan_id: "nobodys".into(),
        ..Default::default()
    };
    let listed = refused(daemon.history().list_events(asked).await);
    for refusal in [executed, shown, listed] {
        assert_eq!(refusal.kind(), not_found);
        assert_eq!(refusal.metadata("plan_id"), "nobodys");
    }
    for plan_id in ["", "No id"] {
        let asked = GetPlanRequest {
            plan_id: plan_id.into(),
            ..Default::default()
        };
        let refusal = refused(daemon.plans().get_plan(asked).await);
        assert_eq!(refusal.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
        assert_eq!(refusal.fields, ["plan_id"]);
    }
}

#[tokio::test]
async fn a_cause_that_does_not_exist_is_named() {
    let (_dir, daemon) = with_plans().await;
    let cases = [
        (cause("", 4), "growth", "because[1].revision"),
        (cause("growth", u64::MAX), "growth", "because[1].revision"),
        (cause("bakery", 2), "bakery", "because[1].revision"),
        (cause("nobodys", 1), "nobodys", "because[1].plan_id"),
    ];
    for (missing, plan_id, field) in cases {
        let revision = missing.revision.to_string();
        let mut citing = asking(note("x"));
        citing.because = vec![cause("", 1), missing];
        let refusal = refusal_of(&daemon, citing).await;
        assert_eq!(refusal.kind(), (Code::NotFound, "CAUSE_NOT_FOUND"));
        assert_eq!(refusal.metadata("plan_id"), plan_id);
        assert_eq!(refusal.metadata("revision"), revision);
        assert_eq!(refusal.fields, [field]);
    }
    assert_eq!(daemon.head().await, 2);
    let mut citing = asking(note("x"));
    citing.because = vec![cause("", 3), cause("bakery", 1)];
    assert_eq!(position(&execute(&daemon, citing).await), 3);
}

/// A request on `growth` that expects another revision than it has.
fn stale(request_id: &str, command: Kind) -> ExecuteRequest {
    ExecuteRequest {
        expected_revision: Some(77),
        ..request("growth", request_id, command)
    }
}

#[tokio::test]
async fn refusals_come_in_their_order_shape_replay_plan_archived_revision_commands() {
    let (_dir, daemon) = with_plans().await;
    let kind = async |request| {
        let refusal = refusal_of(&daemon, request).await;
        (refusal.code, refusal.reason)
    };
    let is = |code, reason: &str| (code, reason.to_owned());

    malformed(
        &daemon,
        stale("begun", note("")),
        &["commands[0].record_note.text"],
    )
    .await;
    let mut unknown = stale("1", try_tactic("none"));
    unknown.because = vec![cause("", 99)];
    assert_eq!(
        kind(unknown.clone()).await,
        is(Code::Aborted, "REVISION_CONFLICT")
    );
    unknown.plan_id = "nobodys".into();
    assert_eq!(kind(unknown).await, is(Code::NotFound, "PLAN_NOT_FOUND"));
    assert_eq!(
        kind(stale("1", create_plan())).await,
        is(Code::AlreadyExists, "PLAN_EXISTS")
    );

    // The first command that is refused decides; what it finds missing before what it finds taken.
    let two = commands(
        "growth",
        "1",
        [note("x"), add_tactic("samples"), try_tactic("none")],
    );
    let refusal = refusal_of(&daemon, two).await;
    assert_eq!(refusal.kind(), (Code::AlreadyExists, "ID_TAKEN"));
    assert_eq!(refusal.fields, ["commands[1].add_tactic.tactic_id"]);
    let both = Kind::AddTactic(AddTactic {
        tactic_id: "samples".into(),
        strategy_id: "none".into(),
        statement: "Again".into(),
        ..Default::default()
    });
    let refusal = refusal_of(&daemon, asking(both)).await;
    assert_eq!(refusal.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
}

#[tokio::test]
async fn an_archived_plan_says_so_before_its_revision_and_after_its_replays() {
    let (_dir, daemon) = with_plans().await;
    let archive = Kind::ArchivePlan(ArchivePlan {
        outcome: PlanOutcome::Abandoned.into(),
        ..Default::default()
    });
    execute(&daemon, request("growth", "archived", archive.clone())).await;
    let refusal = refusal_of(&daemon, stale("1", note("x"))).await;
    assert_eq!(refusal.kind(), (Code::FailedPrecondition, "PLAN_ARCHIVED"));
    let refusal = refusal_of(&daemon, stale("archived", note("x"))).await;
    assert_eq!(refusal.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    let replayed = execute(&daemon, stale("archived", archive)).await;
    assert!(replayed.replayed);
    assert_eq!(daemon.head().await, 3);
}

#[tokio::test]
async fn what_the_state_of_a_plan_forbids_says_why_and_changes_nothing() {
    let (_dir, daemon) = with_plans().await;
    let stated = Kind::StateAssumption(StateAssumption {
        assumption_id: "a".into(),
        statement: "Samples make regulars".into(),
        ..Default::default()
    });
    execute(&daemon, request("growth", "2", stated)).await;
    execute(&daemon, request("growth", "3", try_tactic("samples"))).await;
    let before = get_plan(&daemon, "growth").await;
    let conclude = Kind::ConcludeAssumption(ConcludeAssumption {
        assumption_id: "a".into(),
        conclusion: 1,
    });
    let archive = Kind::ArchivePlan(ArchivePlan {
        outcome: PlanOutcome::Met.into(),
        ..Default::default()
    });
    let evidence = Kind::RecordEvidence(RecordEvidence {
        evidence_id: "e".into(),
        assumption_id: "b".into(),
        verdict: Verdict::Supports.into(),
        summary: "They came back".into(),
        ..Default::default()
    });
    let no_evidence = (Code::FailedPrecondition, "NO_EVIDENCE");
    let attempt_open = (Code::FailedPrecondition, "ATTEMPT_OPEN");
    let not_found = (Code::NotFound, "SUBJECT_NOT_FOUND");
    let id_taken = (Code::AlreadyExists, "ID_TAKEN");
    let cases = [
        (conclude, no_evidence, "assumptions/a"),
        (archive, attempt_open, "tactics/samples"),
        (try_tactic("samples"), attempt_open, "tactics/samples"),
        (evidence, not_found, "assumptions/b"),
        (add_tactic("samples"), id_taken, "tactics/samples"),
        (measure("sales", 1.0), not_found, "indicators/sales"),
    ];
    for (command, kind, subject) in cases {
        let refusal = refusal_of(&daemon, asking(command)).await;
        assert_eq!(refusal.kind(), kind);
        assert_eq!(refusal.metadata("subject"), subject);
        assert!(
            refusal.fields[0].starts_with("commands[0]."),
            "{:?}",
            refusal.fields
        );
    }
    assert_eq!(get_plan(&daemon, "growth").await, before);
}
