//! A real history through the real binary: imported, sent again, looked at as it was, exported, and
//! imported elsewhere; and how the command line says what it refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use strata::{
    json,
    proto::{
        CommitmentState, ExecuteRequest, GetPlanResponse, LapseCommitment, ListEventsRequest,
        MakeCommitment, PlanOutcome, PlanState, RetractEvent, command::Kind, point::Point,
    },
};
use tempfile::{TempDir, tempdir};

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{
        add_tactic, adopt_strategy, commands, correct_note, define_indicator, execute, fail_tactic,
        get_plan, measure, plan_as_of, position, try_tactic,
    },
    run::{Run, stratad, well},
};

const PLAN: &str = "smallpox-india";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smallpox-india.jsonl")
}

fn requests_in(lines: &str) -> Vec<ExecuteRequest> {
    let read = |line: &str| json::from_json(line).expect("a request");
    lines.lines().map(read).collect()
}

fn history() -> Vec<ExecuteRequest> {
    requests_in(&fs::read_to_string(fixture()).expect("the fixture"))
}

fn import(file: &Path, daemon: &Daemon) -> Run {
    let file = file.to_str().expect("a path in UTF-8");
    stratad(&["import", file, "--to", &daemon.url()])
}

#[track_caller]
fn import_well(file: &Path, daemon: &Daemon) -> String {
    well(import(file, daemon))
}

#[track_caller]
fn export(plan_id: &str, daemon: &Daemon) -> String {
    well(stratad(&[
        "export",
        "--plan",
        plan_id,
        "--from",
        &daemon.url(),
    ]))
}

fn file_of(dir: &TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("lines.jsonl");
    fs::write(&path, text).expect("written");
    path
}

/// A daemon that has imported the history.
async fn with_history(dir: &TempDir) -> Daemon {
    let daemon = Daemon::start(dir.path()).await;
    let out = import_well(&fixture(), &daemon);
    assert_eq!(out, "40 recorded, 0 replayed, 0 refused\n");
    daemon
}

async fn plan_at(daemon: &Daemon, plan_id: &str, point: Point) -> GetPlanResponse {
    let answer = daemon.plans().get_plan(plan_as_of(plan_id, point)).await;
    answer.expect("shown").into_inner()
}

fn strategy_revision(answer: &GetPlanResponse, strategy_id: &str) -> u32 {
    let plan = answer.plan.as_ref().expect("a plan");
    let strategy = plan
        .strategies
        .iter()
        .find(|it| it.strategy_id == strategy_id);
    strategy.expect("the strategy").revision
}

#[tokio::test]
async fn a_real_history_is_accepted_in_order_and_replayed_when_it_comes_again() {
    let dir = tempdir().expect("a directory");
    let daemon = with_history(&dir).await;
    let asked = ListEventsRequest {
        plan_id: PLAN.into(),
        page_size: 1_000,
        ..Default::default()
    };
    let listed = daemon.history().list_events(asked).await;
    let events = listed.expect("listed").into_inner().events;
    assert_eq!(events.len(), 40);
    for (event, (number, sent)) in events.iter().zip((1..).zip(history())) {
        assert_eq!(event.position, number);
        assert_eq!(event.event.as_ref().expect("an event").revision, number);
        assert_eq!(event.request_id, sent.request_id);
        assert_eq!(event.on_behalf_of, sent.actor);
    }

    let out = import_well(&fixture(), &daemon);
    assert_eq!(out, "0 recorded, 40 replayed, 0 refused\n");
    for (number, sent) in (1..).zip(history()) {
        let answer = execute(&daemon, sent).await;
        assert!(answer.replayed);
        assert_eq!((position(&answer), answer.revision), (number, number));
    }
    assert_eq!(daemon.head().await, 40, "nothing was recorded twice");
}

#[tokio::test]
async fn a_real_history_shows_what_was_believed_then() {
    let dir = tempdir().expect("a directory");
    let daemon = with_history(&dir).await;
    let strategy = "stop-transmission";
    for (number, expected) in [(19, 1), (20, 2), (34, 2), (35, 3), (40, 3)] {
        for point in [Point::Revision(number), Point::Position(number)] {
            let answer = plan_at(&daemon, PLAN, point).await;
            assert_eq!(strategy_revision(&answer, strategy), expected, "{point:?}");
            assert_eq!(answer.plan.expect("a plan").revision, number);
            assert_eq!(
                answer.position, 40,
                "what the answer reflects is the log as it is"
            );
            assert!(!answer.inside_commit);
        }
    }
    let now = get_plan(&daemon, PLAN).await;
    assert_eq!(strategy_revision(&now, strategy), 3);
    let plan = now.plan.expect("a plan");
    assert_eq!(plan.state(), PlanState::Archived);
    assert_eq!(
        plan.archiving.expect("archived").outcome(),
        PlanOutcome::Met
    );

    // The year of the last case was recorded wrongly at 37 and corrected at 38.
    for (revision, year) in [(37, "22 May 1976"), (38, "22 May 1975")] {
        let then = plan_at(&daemon, PLAN, Point::Revision(revision)).await;
        let plan = then.plan.expect("a plan");
        let cases = plan
            .indicators
            .iter()
            .find(|it| it.indicator_id == "pending-outbreaks");
        let last = cases.and_then(|it| it.last.as_ref()).expect("measured");
        assert!(last.note.contains(year), "{}", last.note);
    }
}

#[tokio::test]
async fn an_export_gives_back_the_requests_that_were_imported() {
    let dir = tempdir().expect("a directory");
    let daemon = with_history(&dir).await;
    let exported = export(PLAN, &daemon);
    assert_eq!(requests_in(&exported), history());

    let file = dir.path().join("exported.jsonl");
    let name = file.to_str().expect("a path in UTF-8");
    let run = stratad(&[
        "export",
        "--plan",
        PLAN,
        "--from",
        &daemon.url(),
        "-o",
        name,
    ]);
    assert_eq!(run.status, 0, "{}", run.error);
    assert_eq!(fs::read_to_string(file).expect("written"), exported);
}

#[tokio::test]
async fn an_export_imports_elsewhere_to_an_equal_plan_and_at_home_as_replays() {
    let (home, abroad) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let first = with_history(&home).await;
    let second = Daemon::start(abroad.path()).await;
    let file = file_of(&home, &export(PLAN, &first));

    assert_eq!(
        import_well(&file, &second),
        "40 recorded, 0 replayed, 0 refused\n"
    );
    assert_eq!(get_plan(&second, PLAN).await, get_plan(&first, PLAN).await);
    for number in 1..=40 {
        for point in [Point::Revision(number), Point::Position(number)] {
            assert_eq!(
                plan_at(&second, PLAN, point).await,
                plan_at(&first, PLAN, point).await,
                "{point:?}"
            );
        }
    }
    assert_eq!(
        import_well(&file, &first),
        "0 recorded, 40 replayed, 0 refused\n"
    );
    assert_eq!(first.head().await, 40);
}

/// What a client sends that leaves to the daemon all that it can fill in: times, ids of requests
/// and the causes of corrections.
async fn recorded_without_times(daemon: &Daemon) {
    let due = prost_types::Timestamp {
        seconds: 1_600_000_000,
        nanos: 0,
    };
    let promise = MakeCommitment {
        commitment_id: "oven".into(),
        assignee: "Ada".into(),
        promise: "A second oven".into(),
        due: Some(due),
        ..Default::default()
    };
    let mut promised = request("growth", "promised", Kind::MakeCommitment(promise));
    promised.occurred_at = Some(prost_types::Timestamp {
        seconds: 1_500_000_000,
        nanos: 5,
    });
    let lapse = LapseCommitment {
        commitment_id: "oven".into(),
        due: Some(due),
    };
    let retract = RetractEvent {
        revision: 4,
        reason: "Counted twice".into(),
    };
    let sent = [
        commands(
            "growth",
            "begun",
            [create_plan(), define_indicator("sales")],
        ),
        request("growth", "", note("Frist impressions")),
        commands(
            "growth",
            "counted",
            [measure("sales", 7.0), add_tactic("samples")],
        ),
        request("growth", "", correct_note(3, "First impressions")),
        commands(
            "growth",
            "",
            [
                Kind::RetractEvent(retract),
                correct_note(3, "First impressions."),
            ],
        ),
        commands(
            "growth",
            "",
            [adopt_strategy("known"), try_tactic("samples")],
        ),
        request("growth", "", fail_tactic("samples")),
        promised,
        request("growth", "lapsed", Kind::LapseCommitment(lapse)),
    ];
    for request in sent {
        execute(daemon, request).await;
    }
}

#[tokio::test]
async fn a_plan_whose_times_the_daemon_chose_is_exported_and_replayed_too() {
    let (home, abroad) = (tempdir().expect("a directory"), tempdir().expect("another"));
    let first = Daemon::start(home.path()).await;
    let second = Daemon::start(abroad.path()).await;
    recorded_without_times(&first).await;
    let file = file_of(&home, &export("growth", &first));

    assert_eq!(
        import_well(&file, &second),
        "9 recorded, 0 replayed, 0 refused\n"
    );
    let plan = get_plan(&second, "growth").await;
    assert_eq!(plan, get_plan(&first, "growth").await);
    let plan = plan.plan.expect("a plan");
    assert_eq!(plan.commitments[0].state(), CommitmentState::Overdue);
    assert_eq!(plan.indicators[0].measurements, 0, "it was retracted");
    assert_eq!(export("growth", &second), export("growth", &first));

    for daemon in [&first, &second] {
        assert_eq!(
            import_well(&file, daemon),
            "0 recorded, 9 replayed, 0 refused\n"
        );
    }
}

#[tokio::test]
async fn a_refused_line_is_named_with_its_number_and_reason() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let lines = concat!(
        r#"{"plan_id":"growth","request_id":"1","commands":[{"create_plan":{"title":"Grow"}}]}"#,
        "\n\n",
        r#"{"plan_id":"growth","request_id":"2","commands":[{"try_tactic":{"tactic_id":"t"}}]}"#,
        "\n",
        r#"{"plan_id":"growth","request_id":"3","commands":[{"reopen_plan":{"reason":"r"}}]}"#,
        "\n",
    );
    let run = import(&file_of(&dir, lines), &daemon);
    assert_eq!(run.status, 1);
    assert!(run.error.contains("line 3 was refused"), "{}", run.error);
    for word in [
        "NOT_FOUND",
        "SUBJECT_NOT_FOUND",
        "tactics/t",
        "commands[0].try_tactic",
    ] {
        assert!(run.error.contains(word), "{word}: {}", run.error);
    }
    assert!(
        run.error.contains("1 recorded, 0 replayed, 1 refused"),
        "{}",
        run.error
    );
    assert_eq!(
        daemon.head().await,
        1,
        "what came before is recorded, nothing after"
    );

    let mended = lines.replace(
        r#"{"try_tactic":{"tactic_id":"t"}}"#,
        r#"{"describe_plan":{"title":"G"}}"#,
    );
    let run = import(&file_of(&dir, &mended), &daemon);
    assert_eq!(run.status, 1);
    assert!(run.error.contains("line 4 was refused"), "{}", run.error);
    assert!(run.error.contains("PLAN_NOT_ARCHIVED"), "{}", run.error);
    assert!(
        run.error.contains("1 recorded, 1 replayed, 1 refused"),
        "{}",
        run.error
    );
}

#[tokio::test]
async fn every_line_that_is_no_request_is_named_and_nothing_is_sent() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let lines = concat!(
        r#"{"plan_id":"growth","request_id":"1","commands":[{"create_plan":{"title":"Grow"}}]}"#,
        "\n",
        r#"{"plan_id":"growth","commands":[{"make_tea":{}}]}"#,
        "\nnothing\n",
        r#"{"plan_id":"growth","request_id":"4","commands":[{"reopen_plan":{"reason":"r"}}]}"#,
        "\n",
        r#"{"plan_id":7}"#,
    );
    let run = import(&file_of(&dir, lines), &daemon);
    assert_eq!(run.status, 1);
    assert!(
        run.error.contains("3 lines are not requests"),
        "{}",
        run.error
    );
    for place in ["line 2: ", "line 3: ", "line 5: ", "make_tea"] {
        assert!(run.error.contains(place), "{place}: {}", run.error);
    }
    for place in ["line 1", "line 4"] {
        assert!(!run.error.contains(place), "{place}: {}", run.error);
    }
    assert_eq!(daemon.head().await, 0);
}

#[tokio::test]
async fn the_exit_status_says_what_kind_of_failure_it_was() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let url = daemon.url();
    let cases: [(i32, &[&str]); 14] = [
        (0, &["--help"]),
        (0, &["--version"]),
        (0, &["import", "/dev/null", "--to", &url]),
        (1, &["import", "/nonexistent.jsonl", "--to", &url]),
        (1, &["export", "--plan", "nobodys", "--from", &url]),
        (1, &["export", "--plan", "No id", "--from", &url]),
        (1, &["export", "--plan", "growth", "--from", "127.0.0.1:1"]),
        (2, &[]),
        (2, &["plan"]),
        (2, &["import"]),
        (2, &["export", "--plan"]),
        (2, &["import", "x.jsonl", "--to", "https://localhost"]),
        (64, &["serve", "--listen", "0.0.0.0:0"]),
        (64, &["serve", "--queue-limit", "many"]),
    ];
    for (status, arguments) in cases {
        let run = stratad(arguments);
        assert_eq!(
            run.status, status,
            "{arguments:?}: {}{}",
            run.out, run.error
        );
        let words = if status == 0 { &run.out } else { &run.error };
        assert!(!words.is_empty(), "{arguments:?} says what came of it");
    }
    assert_eq!(daemon.head().await, 0);
}
