//! What a review of a plan finds, now and as of any moment; what was accepted, and when that lapses.

use prost_types::Timestamp;
use strata::proto::{
    AcknowledgeFinding, AdoptStrategy, ArchivePlan, Command, ExecuteRequest, Finding, FindingLevel,
    PlanOutcome, Point, ReviewPlanRequest, ReviewPlanResponse, ReviseStrategy, SetObjective,
    TryTactic, command::Kind, point::Point as At,
};
use tempfile::{TempDir, tempdir};
use tonic::{Code, Response, Status};

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{
        add_tactic, cause, commands, execute, fail_tactic, from_now, position, refused, try_tactic,
    },
};

const MALFORMED: (Code, &str) = (Code::InvalidArgument, "MALFORMED_REQUEST");
const DAY_SECONDS: i64 = 86_400;
/// 1 January 2020.
const BEGIN_SECONDS: i64 = 1_577_836_800;

/// A day of 2020, from 0.
fn day(number: i64) -> Timestamp {
    Timestamp {
        seconds: BEGIN_SECONDS + number * DAY_SECONDS,
        nanos: 0,
    }
}

/// A request that says when it happened.
fn on_day(number: i64, request: ExecuteRequest) -> ExecuteRequest {
    ExecuteRequest {
        occurred_at: Some(day(number)),
        ..request
    }
}

async fn daemon() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    (dir, daemon)
}

/// A daemon with the plan `growth`: three tactics under no strategy that fail one after another.
/// Revisions 1 to 10.
async fn with_roulette() -> (TempDir, Daemon) {
    let (dir, daemon) = daemon().await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    for id in ["trade-shows", "webinars", "samples"] {
        let failing = [add_tactic(id), try_tactic(id), fail_tactic(id)];
        execute(&daemon, commands("growth", id, failing)).await;
    }
    (dir, daemon)
}

fn growth() -> ReviewPlanRequest {
    ReviewPlanRequest {
        plan_id: "growth".into(),
        ..Default::default()
    }
}

fn as_of(point: At) -> ReviewPlanRequest {
    ReviewPlanRequest {
        as_of: Some(Point { point: Some(point) }),
        ..growth()
    }
}

fn only(codes: &[&str]) -> ReviewPlanRequest {
    ReviewPlanRequest {
        codes: codes.iter().map(|&code| code.into()).collect(),
        ..growth()
    }
}

async fn answer(
    daemon: &Daemon,
    request: ReviewPlanRequest,
) -> Result<Response<ReviewPlanResponse>, Status> {
    daemon.advice().review_plan(request).await
}

async fn review(daemon: &Daemon, request: ReviewPlanRequest) -> ReviewPlanResponse {
    answer(daemon, request)
        .await
        .expect("reviewed")
        .into_inner()
}

fn findings_of(answer: &ReviewPlanResponse) -> Vec<Finding> {
    answer.decode_findings().expect("findings")
}

async fn findings(daemon: &Daemon, request: ReviewPlanRequest) -> Vec<Finding> {
    findings_of(&review(daemon, request).await)
}

/// Code and subject of each finding.
async fn found(daemon: &Daemon, request: ReviewPlanRequest) -> Vec<String> {
    let found = findings(daemon, request).await.into_iter();
    found
        .map(|it| format!("{} {}", it.code, it.subject))
        .collect()
}

/// The only finding of a request.
async fn one(daemon: &Daemon, request: ReviewPlanRequest) -> Finding {
    let mut found = findings(daemon, request).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn acknowledge(code: &str, subject: &str, until: Option<Timestamp>) -> Kind {
    Kind::AcknowledgeFinding(AcknowledgeFinding {
        code: code.into(),
        subject: subject.into(),
        until,
        reason: "We know".into(),
    })
}

#[tokio::test]
async fn three_tactics_that_fail_one_after_another_under_no_strategy_are_found() {
    let (_dir, daemon) = with_roulette().await;
    let expected = [
        "ASM003 plan",
        "HIS002 tactics/samples",
        "HIS002 tactics/trade-shows",
        "HIS002 tactics/webinars",
        "IND001 plan",
        "OBJ003 plan",
        "STR010 plan",
        "TAC001 plan",
        "TAC006 tactics/samples",
        "TAC006 tactics/trade-shows",
        "TAC006 tactics/webinars",
    ];
    assert_eq!(found(&daemon, growth()).await, expected);
    let roulette = one(&daemon, only(&["TAC001"])).await;
    assert_eq!(roulette.level(), FindingLevel::Warn);
    assert_eq!(roulette.title, "tactical roulette");
    assert_eq!(roulette.rationale, "docs/findings.md#tac001");
    assert_eq!(
        roulette.subjects,
        ["tactics/samples", "tactics/trade-shows", "tactics/webinars"]
    );
    let behind: Vec<_> = roulette.events.iter().map(|it| it.revision).collect();
    assert_eq!(behind, [4, 5, 7, 8, 10]);
    assert_eq!(roulette.event_count, 5);
    assert_eq!(roulette.events[0].plan_id, "growth");
    assert_eq!(roulette.events[0].r#type, "TacticFailed");
}

#[tokio::test]
async fn a_trade_show_is_no_strategy_until_it_is_revised_into_one() {
    let (_dir, daemon) = daemon().await;
    let intent = "Our strategy for next year will be to do more trade shows";
    let adopting = Kind::AdoptStrategy(AdoptStrategy {
        strategy_id: "shows".into(),
        intent: intent.into(),
        ..Default::default()
    });
    execute(
        &daemon,
        commands("growth", "begun", [create_plan(), adopting]),
    )
    .await;
    let finding = one(&daemon, only(&["STR001"])).await;
    assert_eq!(finding.subject, "strategies/shows");
    assert_eq!(finding.level(), FindingLevel::Note);
    let channel = finding.hits.iter().find(|hit| hit.class == "channel");
    let channel = channel.expect("trade shows are a channel");
    assert_eq!(
        &intent[channel.start as usize..channel.end as usize],
        "trade shows"
    );

    let revising = Kind::ReviseStrategy(ReviseStrategy {
        strategy_id: "shows".into(),
        parent_revision: 1,
        intent: "Win those who know us already".into(),
        reason: "It was an action".into(),
        ..Default::default()
    });
    let mut revising = request("growth", "revised", revising);
    revising.because = vec![cause("", 2)];
    execute(&daemon, revising).await;
    assert_eq!(found(&daemon, only(&["STR001"])).await, [""; 0]);
    let then = ReviewPlanRequest {
        codes: vec!["STR001".into()],
        ..as_of(At::Revision(2))
    };
    assert_eq!(found(&daemon, then).await, ["STR001 strategies/shows"]);
}

#[tokio::test]
async fn a_review_shows_a_plan_as_it_was_and_what_it_took_for_now() {
    let (_dir, daemon) = daemon().await;
    let begun = on_day(0, request("growth", "begun", create_plan()));
    execute(&daemon, begun).await;
    let added = on_day(1, request("growth", "added", add_tactic("samples")));
    let added = position(&execute(&daemon, added).await);
    let tried = on_day(
        2,
        commands("growth", "tried", [try_tactic("samples"), note("Sent")]),
    );
    execute(&daemon, tried).await;

    let inside = review(&daemon, as_of(At::Revision(3))).await;
    assert_eq!((inside.revision, inside.inside_commit), (3, true));
    assert_eq!(inside.reviewed_at, Some(day(2)));
    assert_eq!(inside.position, daemon.head().await);
    let open = findings_of(&inside).iter().any(|it| it.code == "TAC002");
    assert!(open, "{inside:?}");

    let before = review(&daemon, as_of(At::Position(added))).await;
    assert_eq!((before.revision, before.inside_commit), (2, false));
    assert!(findings_of(&before).iter().all(|it| it.code != "TAC002"));

    let of_day = review(&daemon, as_of(At::OccurredAt(day(0)))).await;
    assert_eq!((of_day.revision, of_day.reviewed_at), (1, Some(day(0))));
    let of_day = findings_of(&of_day);
    let codes: Vec<_> = of_day.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["HIS001", "IND001", "OBJ003"]);
    // Recorded years after it happened.
    assert_eq!(of_day[0].event_count, 1);
}

#[tokio::test]
async fn an_archived_plan_is_reviewed_as_of_its_archiving() {
    let (_dir, daemon) = daemon().await;
    let due = TryTactic {
        tactic_id: "samples".into(),
        expected: "Three replies".into(),
        ..Default::default()
    };
    let begun = [create_plan(), add_tactic("samples"), Kind::TryTactic(due)];
    execute(&daemon, on_day(0, commands("growth", "begun", begun))).await;
    let archiving = Kind::ArchivePlan(ArchivePlan {
        outcome: PlanOutcome::Abandoned.into(),
        ..Default::default()
    });
    let ended = commands("growth", "ended", [fail_tactic("samples"), archiving]);
    execute(&daemon, on_day(9, ended)).await;
    let reviewed = review(&daemon, growth()).await;
    assert_eq!(reviewed.reviewed_at, Some(day(9)));
    assert!(findings_of(&reviewed).iter().any(|it| it.code == "STR010"));
}

#[tokio::test]
async fn a_review_is_of_the_codes_and_levels_asked_for() {
    let (_dir, daemon) = with_roulette().await;
    let both = only(&["TAC001", "OBJ003", "TAC001"]);
    assert_eq!(found(&daemon, both).await, ["OBJ003 plan", "TAC001 plan"]);
    let warnings = |codes: &[&str]| ReviewPlanRequest {
        min_level: FindingLevel::Warn.into(),
        ..only(codes)
    };
    let expected = ["OBJ003 plan", "STR010 plan", "TAC001 plan"];
    assert_eq!(found(&daemon, warnings(&[])).await, expected);
    assert_eq!(found(&daemon, warnings(&["IND001"])).await, [""; 0]);
    let notes = ReviewPlanRequest {
        min_level: FindingLevel::Note.into(),
        ..growth()
    };
    assert_eq!(found(&daemon, notes).await.len(), 11);
}

#[tokio::test]
async fn a_review_that_is_asked_for_wrongly_says_where() {
    let (_dir, daemon) = with_roulette().await;
    let wrong = ReviewPlanRequest {
        plan_id: "Growth".into(),
        codes: vec!["TAC001".into(), "TAC999".into(), "tac001".into()],
        min_level: 9,
        as_of: Some(Point {
            point: Some(At::Revision(0)),
        }),
        ..Default::default()
    };
    let refusal = refused(answer(&daemon, wrong).await);
    assert_eq!(refusal.kind(), MALFORMED);
    let fields = ["plan_id", "codes[1]", "codes[2]", "min_level", "as_of"];
    assert_eq!(refusal.fields, fields);
    let many = vec!["TAC001"; 65];
    let refusal = refused(answer(&daemon, only(&many)).await);
    assert_eq!(refusal.kind(), MALFORMED);
    assert_eq!(refusal.fields, ["codes"]);
    let nowhere = ReviewPlanRequest {
        plan_id: "nowhere".into(),
        ..Default::default()
    };
    let refusal = refused(answer(&daemon, nowhere).await);
    assert_eq!(refusal.kind(), (Code::NotFound, "PLAN_NOT_FOUND"));
    let refusal = refused(answer(&daemon, as_of(At::Revision(99))).await);
    assert_eq!(refusal.kind(), (Code::OutOfRange, "BEYOND_HEAD"));
    let tomorrow = as_of(At::OccurredAt(from_now(DAY_SECONDS)));
    assert_eq!(
        refused(answer(&daemon, tomorrow).await).code,
        Code::OutOfRange
    );
}

#[tokio::test]
async fn an_acknowledged_finding_is_shown_as_such_until_new_events_join_it() {
    let (_dir, daemon) = with_roulette().await;
    let accepting = acknowledge("TAC001", "plan", None);
    execute(&daemon, request("growth", "accepted", accepting)).await;
    let accepted = one(&daemon, only(&["TAC001"])).await.acknowledgement;
    let accepted = accepted.expect("it was acknowledged");
    assert_eq!(
        (accepted.reason.as_str(), accepted.revision),
        ("We know", 11)
    );
    assert_eq!(
        (accepted.code.as_str(), accepted.subject.as_str()),
        ("TAC001", "plan")
    );

    execute(&daemon, request("growth", "noted", note("Nothing new"))).await;
    let still = one(&daemon, only(&["TAC001"])).await;
    assert!(still.acknowledgement.is_some());

    let fourth = [
        add_tactic("radio"),
        try_tactic("radio"),
        fail_tactic("radio"),
    ];
    execute(&daemon, commands("growth", "radio", fourth)).await;
    let grown = one(&daemon, only(&["TAC001"])).await;
    assert_eq!(grown.subjects.len(), 4);
    assert_eq!(grown.acknowledgement, None);

    let then = ReviewPlanRequest {
        codes: vec!["TAC001".into()],
        ..as_of(At::Revision(12))
    };
    assert!(one(&daemon, then).await.acknowledgement.is_some());
}

#[tokio::test]
async fn an_acknowledgement_lapses_at_its_date() {
    let (_dir, daemon) = daemon().await;
    let begun = commands("growth", "begun", [create_plan(), add_tactic("samples")]);
    execute(&daemon, on_day(0, begun)).await;
    let accepting = acknowledge("TAC006", "tactics/samples", Some(day(9)));
    execute(&daemon, on_day(1, request("growth", "accepted", accepting))).await;
    let then = |number| ReviewPlanRequest {
        codes: vec!["TAC006".into()],
        ..as_of(At::OccurredAt(day(number)))
    };
    assert_eq!(one(&daemon, then(0)).await.acknowledgement, None);
    let holding = one(&daemon, then(8)).await.acknowledgement;
    assert_eq!(holding.expect("it holds").until, Some(day(9)));
    assert_eq!(one(&daemon, then(9)).await.acknowledgement, None);
    assert_eq!(one(&daemon, only(&["TAC006"])).await.acknowledgement, None);
}

#[tokio::test]
async fn a_review_with_more_findings_than_an_answer_holds_says_so() {
    let (_dir, daemon) = daemon().await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    let ids: Vec<_> = (0..512).map(|number| format!("t{number}")).collect();
    for (number, some) in ids.chunks(64).enumerate() {
        for (what, command) in [
            ("added", add_tactic as fn(&str) -> Kind),
            ("tried", try_tactic),
        ] {
            let commands = some.iter().map(|id| Command {
                kind: Some(command(id)),
            });
            let request = ExecuteRequest {
                commands: commands.collect(),
                ..request("growth", &format!("{what}-{number}"), create_plan())
            };
            execute(&daemon, request).await;
        }
    }
    let all = review(&daemon, growth()).await;
    assert_eq!((all.findings.len(), all.truncated), (1_000, true));
    let some = review(&daemon, only(&["TAC002"])).await;
    assert_eq!((some.findings.len(), some.truncated), (512, false));
}

#[tokio::test]
async fn read_your_writes_holds_for_reviews() {
    let (_dir, daemon) = with_roulette().await;
    let objective = Kind::SetObjective(SetObjective {
        statement: "Sell 900 loaves a day".into(),
        horizon: Some(from_now(DAY_SECONDS)),
        ..Default::default()
    });
    let set = execute(&daemon, request("growth", "set", objective)).await;
    let request = ReviewPlanRequest {
        min_position: position(&set),
        ..only(&["OBJ001", "OBJ002", "OBJ003"])
    };
    let reviewed = review(&daemon, request).await;
    assert_eq!(findings_of(&reviewed), []);
    assert_eq!(reviewed.position, position(&set));
    assert_eq!(reviewed.revision, 11);
}
