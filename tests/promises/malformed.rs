//! Requests that are wrong by themselves: every violation is reported at once with the path of its
//! field, and nothing comes of it.

use prost_types::{Duration, Timestamp};
use strata::proto::{
    AcknowledgeFinding, AddTactic, AdoptStrategy, ArchivePlan, Cause, Command, ConcludeAssumption,
    CreatePlan, ExecuteRequest, MakeCommitment, RecordEvidence, RecordMeasurement, RecordNote,
    SetObjective, command::Kind,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    daemon::{Daemon, note, request},
    language::{
        cause, execute, fail_tactic, from_now, malformed, measure, refusal_of, refused, try_tactic,
        with_plans,
    },
};

const COMMIT_BYTES_MAX: usize = 65_536;

/// Expects each of these commands to be malformed in its field.
async fn all_malformed<const N: usize>(daemon: &Daemon, cases: [(Kind, &str); N]) {
    for (command, field) in cases {
        let field = format!("commands[0].{field}");
        malformed(daemon, asking(command), &[&field]).await;
    }
}

fn asking(command: Kind) -> ExecuteRequest {
    request("growth", "asked", command)
}

#[tokio::test]
async fn a_malformed_header_is_refused_with_the_path_of_its_field() {
    let (_dir, daemon) = with_plans().await;
    let cases: [(ExecuteRequest, &[&str]); 11] = [
        (changed(|it| it.plan_id = String::new()), &["plan_id"]),
        (changed(|it| it.plan_id = "Growth".into()), &["plan_id"]),
        (changed(|it| it.plan_id = "-growth".into()), &["plan_id"]),
        (changed(|it| it.plan_id = "growth-".into()), &["plan_id"]),
        (changed(|it| it.plan_id = "gröwth".into()), &["plan_id"]),
        (changed(|it| it.plan_id = "a/b".into()), &["plan_id"]),
        (changed(|it| it.plan_id = "a".repeat(64)), &["plan_id"]),
        (
            changed(|it| it.request_id = "x".repeat(201)),
            &["request_id"],
        ),
        (changed(|it| it.actor = "x".repeat(201)), &["actor"]),
        (changed(|it| it.source = "x".repeat(2_001)), &["source"]),
        (changed(|it| it.source = "bell\u{7}".into()), &["source"]),
    ];
    for (request, fields) in cases {
        malformed(&daemon, request, fields).await;
    }
    assert_eq!(daemon.head().await, 2);
}

/// A good request but for one change.
fn changed(change: fn(&mut ExecuteRequest)) -> ExecuteRequest {
    let mut request = asking(note("x"));
    change(&mut request);
    request
}

#[tokio::test]
async fn a_time_a_cause_or_a_number_of_commands_that_cannot_be_is_refused() {
    let (_dir, daemon) = with_plans().await;
    let cases: [(ExecuteRequest, &[&str]); 11] = [
        (
            changed(|it| it.occurred_precision = 42),
            &["occurred_precision"],
        ),
        (
            changed(|it| it.occurred_at = Some(from_now(600))),
            &["occurred_at"],
        ),
        (
            changed(|it| it.occurred_at = Some(time(0, -1))),
            &["occurred_at"],
        ),
        (
            changed(|it| it.occurred_at = Some(time(i64::MAX, 0))),
            &["occurred_at"],
        ),
        (
            changed(|it| it.occurred_at = Some(time(i64::MIN, 0))),
            &["occurred_at"],
        ),
        (
            changed(|it| it.because = vec![cause("", 0)]),
            &["because[0].revision"],
        ),
        (
            changed(|it| it.because = vec![cause("No", 1)]),
            &["because[0].plan_id"],
        ),
        (
            changed(|it| it.because = vec![cause("", 1), cause("growth", 1)]),
            &["because[1]"],
        ),
        (
            changed(|it| it.because = (1..=65).map(|n| cause("", n)).collect()),
            &["because"],
        ),
        (changed(|it| it.commands.clear()), &["commands"]),
        (
            changed(|it| it.commands = vec![it.commands[0].clone(); 65]),
            &["commands"],
        ),
    ];
    for (request, fields) in cases {
        malformed(&daemon, request, fields).await;
    }
    for role in [0, 7] {
        let mut request = asking(note("x"));
        request.because = vec![Cause {
            role,
            ..cause("", 1)
        }];
        malformed(&daemon, request, &["because[0].role"]).await;
    }
    assert_eq!(daemon.head().await, 2);
}

fn time(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp { seconds, nanos }
}

#[tokio::test]
async fn a_malformed_text_is_refused_with_the_path_of_its_field() {
    let (_dir, daemon) = with_plans().await;
    let titled = |title: &str| CreatePlan {
        title: title.into(),
        ..Default::default()
    };
    let labelled = |name: &str, value: &str| CreatePlan {
        labels: [(name.to_owned(), value.to_owned())].into(),
        ..titled("A plan")
    };
    let noted = |subject: &str, text: String| {
        Kind::RecordNote(RecordNote {
            subject: subject.into(),
            text,
        })
    };
    let cases = [
        (Kind::CreatePlan(titled("")), "create_plan.title"),
        (Kind::CreatePlan(titled(" \t\n")), "create_plan.title"),
        (
            Kind::CreatePlan(titled(&"é".repeat(2_001))),
            "create_plan.title",
        ),
        (
            Kind::CreatePlan(labelled("", "x")),
            "create_plan.labels[\"\"]",
        ),
        (
            Kind::CreatePlan(labelled("a", &"x".repeat(201))),
            "create_plan.labels[\"a\"]",
        ),
        (noted("plan", String::new()), "record_note.text"),
        (noted("plan", "\u{2003}".into()), "record_note.text"),
        (noted("plan", "x".repeat(8_193)), "record_note.text"),
        (noted("plan", "é".repeat(4_097)), "record_note.text"),
        (noted("", "x".into()), "record_note.subject"),
        (noted("tactics", "x".into()), "record_note.subject"),
        (noted("tactics/No", "x".into()), "record_note.subject"),
    ];
    all_malformed(&daemon, cases).await;
    // What just fits is recorded.
    let full = noted("plan", "é".repeat(4_096));
    execute(&daemon, request("growth", "full", full)).await;
    let full = Kind::CreatePlan(titled(&"é".repeat(2_000)));
    execute(&daemon, request(&"a".repeat(63), "full", full)).await;
    assert_eq!(daemon.head().await, 4);
}

#[tokio::test]
async fn a_malformed_list_is_refused_with_the_path_of_its_element() {
    let (_dir, daemon) = with_plans().await;
    let strategy = |change: fn(&mut AdoptStrategy)| {
        let mut strategy = AdoptStrategy {
            strategy_id: "s".into(),
            intent: "Win".into(),
            ..Default::default()
        };
        change(&mut strategy);
        Kind::AdoptStrategy(strategy)
    };
    let cases = [
        (
            strategy(|it| it.will = vec!["x".into(); 65]),
            "adopt_strategy.will",
        ),
        (
            strategy(|it| it.will_not = vec!["x".into(), " ".into()]),
            "adopt_strategy.will_not[1]",
        ),
        (
            strategy(|it| it.assumption_ids = vec!["a".into(), "a".into()]),
            "adopt_strategy.assumption_ids[1]",
        ),
        (
            strategy(|it| it.indicator_ids = vec![String::new()]),
            "adopt_strategy.indicator_ids[0]",
        ),
        (
            strategy(|it| it.diagnosis = "x".repeat(2_001)),
            "adopt_strategy.diagnosis",
        ),
        (
            strategy(|it| it.strategy_id = "S".into()),
            "adopt_strategy.strategy_id",
        ),
    ];
    all_malformed(&daemon, cases).await;
    assert_eq!(daemon.head().await, 2);
}

#[tokio::test]
async fn a_malformed_number_or_span_is_refused_with_the_path_of_its_field() {
    let (_dir, daemon) = with_plans().await;
    let costing = |cost| {
        Kind::AddTactic(AddTactic {
            tactic_id: "t".into(),
            statement: "Try".into(),
            cost: Some(cost),
            ..Default::default()
        })
    };
    let confident = |confidence| {
        Kind::TryTactic(strata::proto::TryTactic {
            tactic_id: "samples".into(),
            confidence: Some(confidence),
            ..Default::default()
        })
    };
    let aiming = |target, measure: &str| {
        Kind::SetObjective(SetObjective {
            statement: "Sell more".into(),
            measure: measure.into(),
            target: Some(target),
            ..Default::default()
        })
    };
    let windowed = |value, window| {
        Kind::RecordMeasurement(RecordMeasurement {
            indicator_id: "sales".into(),
            unit: "pieces".into(),
            value,
            window,
            ..Default::default()
        })
    };
    let span = |seconds, nanos| Some(Duration { seconds, nanos });
    let cases = [
        (costing(f64::NAN), "add_tactic.cost"),
        (costing(-1.0), "add_tactic.cost"),
        (costing(f64::INFINITY), "add_tactic.cost"),
        (confident(1.5), "try_tactic.confidence"),
        (confident(f64::NAN), "try_tactic.confidence"),
        (aiming(f64::NAN, "loaves"), "set_objective.target"),
        (aiming(3.0, " "), "set_objective.measure"),
        (measure("sales", f64::NAN), "record_measurement.value"),
        (windowed(None, None), "record_measurement.value"),
        (windowed(Some(1.0), span(0, 0)), "record_measurement.window"),
        (
            windowed(Some(1.0), span(-1, 0)),
            "record_measurement.window",
        ),
        (
            windowed(Some(1.0), span(1, -1)),
            "record_measurement.window",
        ),
    ];
    all_malformed(&daemon, cases).await;
    assert_eq!(daemon.head().await, 2);
}

#[tokio::test]
async fn a_choice_that_is_none_and_what_is_left_out_are_refused_with_the_path_of_their_field() {
    let (_dir, daemon) = with_plans().await;
    let Kind::FailTactic(mut failed) = fail_tactic("samples") else {
        unreachable!("it fails a tactic")
    };
    failed.failure = 99;
    let archived = |outcome| {
        Kind::ArchivePlan(ArchivePlan {
            outcome,
            ..Default::default()
        })
    };
    let cases = [
        (Kind::FailTactic(failed), "fail_tactic.failure"),
        (archived(0), "archive_plan.outcome"),
        (archived(9), "archive_plan.outcome"),
        (
            Kind::ConcludeAssumption(ConcludeAssumption {
                assumption_id: "a".into(),
                conclusion: -1,
            }),
            "conclude_assumption.conclusion",
        ),
        (
            Kind::MakeCommitment(MakeCommitment {
                commitment_id: "c".into(),
                assignee: "Ada".into(),
                promise: "An oven".into(),
                ..Default::default()
            }),
            "make_commitment.due",
        ),
        (
            Kind::AcknowledgeFinding(AcknowledgeFinding {
                code: "str005".into(),
                subject: "plan".into(),
                reason: "For now".into(),
                ..Default::default()
            }),
            "acknowledge_finding.code",
        ),
    ];
    all_malformed(&daemon, cases).await;
    assert_eq!(daemon.head().await, 2);
}

#[tokio::test]
async fn all_violations_of_a_request_are_reported_at_once() {
    let (_dir, daemon) = with_plans().await;
    let wrong = ExecuteRequest {
        plan_id: "No id".into(),
        occurred_at: Some(from_now(600)),
        occurred_precision: -3,
        because: vec![cause("", 0)],
        commands: vec![
            Command { kind: None },
            Command {
                kind: Some(try_tactic("Samples")),
            },
            Command {
                kind: Some(note("fine")),
            },
            Command {
                kind: Some(Kind::RecordEvidence(RecordEvidence::default())),
            },
        ],
        ..Default::default()
    };
    let fields = [
        "plan_id",
        "occurred_at",
        "occurred_precision",
        "because[0].revision",
        "commands[0]",
        "commands[1].try_tactic.tactic_id",
        "commands[3].record_evidence.evidence_id",
        "commands[3].record_evidence.assumption_id",
        "commands[3].record_evidence.verdict",
        "commands[3].record_evidence.summary",
    ];
    malformed(&daemon, wrong.clone(), &fields).await;

    // Also where there are more than a client's headers would carry.
    let many = ExecuteRequest {
        commands: vec![
            Command {
                kind: Some(try_tactic(&"X".repeat(500)))
            };
            64
        ],
        ..wrong
    };
    let refusal = refusal_of(&daemon, many).await;
    assert_eq!(refusal.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
    assert!(
        (10..=65).contains(&refusal.fields.len()),
        "{}",
        refusal.fields.len()
    );
    assert_eq!(
        refusal.fields.last().map(String::as_str),
        Some(""),
        "the rest is counted"
    );
    assert_eq!(daemon.head().await, 2);
}

/// Eight notes that together make a commit of about so many bytes.
fn notes_of(bytes: usize) -> ExecuteRequest {
    let each = bytes / 8;
    let notes = (0..8).map(|n| {
        let text = "x".repeat(if n == 0 { bytes - 7 * each } else { each });
        Command {
            kind: Some(note(&text)),
        }
    });
    ExecuteRequest {
        commands: notes.collect(),
        occurred_at: Some(time(1_000_000_000, 0)),
        ..asking(note(""))
    }
}

#[tokio::test]
async fn a_commit_of_64_kib_is_recorded_and_one_byte_more_is_refused() {
    let (_dir, daemon) = with_plans().await;
    let validated = ExecuteRequest {
        validate_only: true,
        ..notes_of(60_000)
    };
    let entry = execute(&daemon, validated).await.entry.expect("an entry");
    let overhead = entry.commit.len() - 60_000;
    // The encoded time of recording may be a byte or two shorter than another time, so more than
    // one attempt may be needed to meet the bound exactly.
    let (mut fits_exactly, mut exceeds_by_one) = (false, false);
    for n in 0..400 {
        let sent = ExecuteRequest {
            request_id: format!("{n:05}"),
            ..notes_of(COMMIT_BYTES_MAX - overhead - 2 + n % 6)
        };
        match daemon.plans().execute(sent).await {
            Ok(answer) => {
                let commit = answer.into_inner().entry.expect("an entry").commit;
                assert!(commit.len() <= COMMIT_BYTES_MAX, "{}", commit.len());
                fits_exactly |= commit.len() == COMMIT_BYTES_MAX;
            }
            Err(status) => {
                let refusal = refused::<()>(Err(status.clone()));
                assert_eq!(refusal.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
                assert_eq!(refusal.fields, ["commands"]);
                let said = status.get_details_bad_request().expect("details");
                exceeds_by_one |= said.field_violations[0].description.contains("65537 bytes");
            }
        }
        if fits_exactly && exceeds_by_one {
            break;
        }
    }
    assert!(
        fits_exactly && exceeds_by_one,
        "{fits_exactly} {exceeds_by_one}"
    );

    let head = daemon.head().await;
    let mut far_too_large = notes_of(60_000);
    far_too_large.commands = [far_too_large.commands.clone(), far_too_large.commands].concat();
    malformed(&daemon, far_too_large, &["commands"]).await;
    assert_eq!(daemon.head().await, head);
}
