//! What a plan is shown as: at any point of its history, in full or in short, and never in a message
//! too large for a client.

use prost::Message as _;
use strata::proto::{
    Command, ExecuteRequest, GetPlanRequest, ListEventsRequest, Plan, PlanView, Point,
    RecordEvidence, StateAssumption, Verdict, command::Kind, point,
};
use tempfile::tempdir;
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{Refused, commands, execute, get_plan, plan_as_of, refused},
    queries::with_history,
};

const MALFORMED: (Code, &str) = (Code::InvalidArgument, "MALFORMED_REQUEST");
const BEYOND_HEAD: (Code, &str) = (Code::OutOfRange, "BEYOND_HEAD");

fn about_growth() -> ListEventsRequest {
    ListEventsRequest {
        plan_id: "growth".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_plan_is_shown_as_of_any_point_and_says_when_that_lies_inside_a_commit() {
    let (_dir, daemon) = with_history().await;
    let ends = [2, 5, 6, 7, 8, 10, 11, 12];
    for revision in 1..=12 {
        let asked = plan_as_of("growth", point::Point::Revision(revision));
        let answer = daemon
            .plans()
            .get_plan(asked)
            .await
            .expect("shown")
            .into_inner();
        assert_eq!(answer.plan.expect("a plan").revision, revision);
        assert_eq!(
            answer.inside_commit,
            !ends.contains(&revision),
            "{revision}"
        );
        assert_eq!(answer.position, 11);
    }
    let by_position = [2, 2, 5, 6, 6, 7, 8, 10, 11, 12, 12];
    for (revision, position) in by_position.into_iter().zip(1..) {
        let asked = plan_as_of("growth", point::Point::Position(position));
        let answer = daemon
            .plans()
            .get_plan(asked)
            .await
            .expect("shown")
            .into_inner();
        assert_eq!(answer.plan.expect("a plan").revision, revision);
        assert!(!answer.inside_commit);
    }
    let refusal = async |request| -> Refused { refused(daemon.plans().get_plan(request).await) };
    for (point, head) in [
        (point::Point::Revision(13), "12"),
        (point::Point::Position(12), "11"),
    ] {
        let beyond = refusal(plan_as_of("growth", point)).await;
        assert_eq!(beyond.kind(), BEYOND_HEAD);
        assert_eq!(beyond.metadata("head"), head);
    }
    let unborn = refusal(plan_as_of("bakery", point::Point::Position(1))).await;
    assert_eq!(unborn.kind(), (Code::NotFound, "PLAN_NOT_FOUND"));
    for point in [point::Point::Revision(0), point::Point::Position(0)] {
        assert_eq!(refusal(plan_as_of("growth", point)).await.kind(), MALFORMED);
    }
    let pointless = GetPlanRequest {
        plan_id: "growth".into(),
        as_of: Some(Point::default()),
        ..Default::default()
    };
    assert_eq!(refusal(pointless.clone()).await.kind(), MALFORMED);
    let unseen = GetPlanRequest {
        view: 9,
        as_of: None,
        ..pointless
    };
    assert_eq!(refusal(unseen).await.fields, ["view"]);
}

async fn viewed(daemon: &Daemon, view: PlanView) -> Plan {
    let asked = GetPlanRequest {
        plan_id: "growth".into(),
        view: view.into(),
        ..Default::default()
    };
    let answer = daemon.plans().get_plan(asked).await.expect("shown");
    answer.into_inner().plan.expect("a plan")
}

fn evidence(n: usize, summary: &str) -> Kind {
    Kind::RecordEvidence(RecordEvidence {
        evidence_id: format!("e{n}"),
        assumption_id: "a".into(),
        verdict: Verdict::Supports.into(),
        summary: summary.into(),
        ..Default::default()
    })
}

fn state_assumption() -> Kind {
    Kind::StateAssumption(StateAssumption {
        assumption_id: "a".into(),
        statement: "Samples make regulars".into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn a_basic_view_counts_what_a_full_one_lists() {
    let (_dir, daemon) = with_history().await;
    let more = [
        state_assumption(),
        evidence(1, "One came back"),
        evidence(2, "Two"),
    ];
    execute(&daemon, commands("growth", "more", more)).await;
    let full = viewed(&daemon, PlanView::Full).await;
    assert_eq!(viewed(&daemon, PlanView::Unspecified).await, full);
    assert_eq!(full.tactics[0].attempts.len(), 2);
    assert_eq!(full.assumptions[0].evidence.len(), 2);

    let basic = viewed(&daemon, PlanView::Basic).await;
    let mut expected = full.clone();
    expected.tactics[0].attempts.remove(0);
    expected.assumptions[0].evidence.clear();
    assert_eq!(basic, expected);
    assert_eq!(
        (
            basic.tactics[0].attempt_count,
            basic.assumptions[0].evidence_count
        ),
        (2, 2)
    );
}

#[tokio::test]
async fn a_plan_as_large_as_it_may_be_is_shown_in_one_message() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    execute(
        &daemon,
        commands("growth", "begun", [create_plan(), state_assumption()]),
    )
    .await;
    // 2,000 characters of 4 bytes each, the most that a summary holds.
    let summary = "🍞".repeat(2_000);
    let mut recorded = 0;
    let refusal = loop {
        let pieces = (recorded..recorded + 7).map(|n| Command {
            kind: Some(evidence(n, &summary)),
        });
        let request = ExecuteRequest {
            commands: pieces.collect(),
            ..request("growth", &format!("{recorded}"), note(""))
        };
        match daemon.plans().execute(request).await {
            Ok(_) => recorded += 7,
            Err(status) => break refused::<()>(Err(status)),
        }
    };
    assert_eq!(refusal.kind(), (Code::ResourceExhausted, "PLAN_LIMIT"));
    assert_eq!(refusal.metadata("bound"), "plan_bytes");
    let plan = viewed(&daemon, PlanView::Full).await;
    assert_eq!(plan.assumptions[0].evidence_count as usize, recorded);
    assert!(
        (2_800_000..4 << 20).contains(&plan.encoded_len()),
        "{}",
        plan.encoded_len()
    );
    let revision = plan.revision - 1;
    let asked = plan_as_of("growth", point::Point::Revision(revision));
    let then = daemon
        .plans()
        .get_plan(asked)
        .await
        .expect("shown")
        .into_inner();
    assert_eq!(then.plan.expect("a plan").revision, revision);
    assert!(then.inside_commit);

    pages_cover_all(&daemon, plan.revision).await;
    assert_eq!(
        get_plan(&daemon, "growth").await.plan.expect("a plan"),
        plan
    );
}

/// Pages of large events end early, and cover them all the same.
async fn pages_cover_all(daemon: &Daemon, revision: u64) {
    let (mut seen, mut pages) = (0, 0);
    let mut query = ListEventsRequest {
        page_size: 1_000,
        ..about_growth()
    };
    loop {
        let answer = daemon.history().list_events(query.clone()).await;
        let answer = answer.expect("listed").into_inner();
        assert!(answer.encoded_len() < 1 << 20, "{}", answer.encoded_len());
        (seen, pages) = (seen + answer.events.len(), pages + 1);
        query.page_token = answer.next_page_token;
        if query.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen as u64, revision);
    assert!(pages > 3, "{pages}");
}
