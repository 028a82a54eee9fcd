//! What differs in a plan between two points, however these are named.

use prost_types::value::Kind as Value;
use strata::proto::{
    ChangeKind, DiffPlanRequest, DiffPlanResponse, EntityChange, FieldChange, Point,
    plan_entity::Entity, point::Point as At,
};
use tonic::Code;

use crate::{daemon::Daemon, language::refused, queries::with_history};

fn asked(from: Option<At>, to: Option<At>) -> DiffPlanRequest {
    let point = |point: Option<At>| point.map(|point| Point { point: Some(point) });
    DiffPlanRequest {
        plan_id: "growth".into(),
        from: point(from),
        to: point(to),
        ..Default::default()
    }
}

async fn diff(daemon: &Daemon, from: Option<At>, to: Option<At>) -> DiffPlanResponse {
    let answer = daemon.history().diff_plan(asked(from, to)).await;
    let answer = answer.expect("compared").into_inner();
    assert_eq!((answer.position, answer.unlisted), (11, 0));
    assert!(answer.changes.iter().all(|change| !change.abridged));
    answer
}

/// Each change as its kind and subject, with the paths of its fields.
fn told(answer: &DiffPlanResponse) -> Vec<String> {
    let tell = |change: &EntityChange| {
        let kind = match change.kind() {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
            ChangeKind::Unspecified => '?',
        };
        let paths: Vec<_> = change.fields.iter().map(|it| it.path.as_str()).collect();
        format!("{kind} {} {}", change.subject, paths.join(" "))
    };
    let told = answer.changes.iter().map(tell);
    told.map(|text| text.trim_end().to_owned()).collect()
}

fn text(value: Option<&prost_types::Value>) -> Option<&str> {
    if let Value::StringValue(text) = value?.kind.as_ref()? {
        Some(text)
    } else {
        None
    }
}

#[track_caller]
fn field<'a>(answer: &'a DiffPlanResponse, subject: &str, path: &str) -> &'a FieldChange {
    let change = answer.changes.iter().find(|it| it.subject == subject);
    let mut fields = change.expect("it differs").fields.iter();
    fields
        .find(|it| it.path == path)
        .expect("the field differs")
}

#[tokio::test]
async fn what_differs_between_two_points_is_told_thing_by_thing_and_field_by_field() {
    let (_dir, daemon) = with_history().await;
    let answer = diff(&daemon, Some(At::Revision(5)), Some(At::Revision(9))).await;
    let expected = [
        "~ plan notes",
        "~ indicators/sales measurements last",
        "+ strategies/known",
        "~ tactics/samples state attempts[2] attempt_count",
    ];
    assert_eq!(told(&answer), expected);
    assert_eq!((answer.from_revision, answer.to_revision), (5, 9));
    let state = field(&answer, "tactics/samples", "state");
    assert_eq!(text(state.before.as_ref()), Some("TACTIC_STATE_FAILED"));
    assert_eq!(text(state.after.as_ref()), Some("TACTIC_STATE_OPEN"));
    let attempt = field(&answer, "tactics/samples", "attempts[2]");
    assert!(attempt.before.is_none() && attempt.after.is_some());
    let samples = answer.changes.last().expect("a change");
    for (thing, attempts) in [(&samples.before, 1), (&samples.after, 2)] {
        let entity = thing.as_ref().and_then(|it| it.entity.as_ref());
        let Some(Entity::Tactic(tactic)) = entity else {
            panic!("{entity:?} is no tactic");
        };
        assert_eq!(tactic.attempts.len(), attempts);
    }
    let strategy = &answer.changes[2];
    assert!(strategy.before.is_none() && strategy.after.is_some());
}

#[tokio::test]
async fn the_points_may_be_named_in_any_way_and_order() {
    let (_dir, daemon) = with_history().await;
    let forth = diff(&daemon, Some(At::Position(3)), Some(At::Revision(9))).await;
    let by_revision = diff(&daemon, Some(At::Revision(5)), Some(At::Revision(9))).await;
    assert_eq!(forth, by_revision);
    let back = diff(&daemon, Some(At::Revision(9)), Some(At::Position(3))).await;
    let expected = [
        "~ plan notes",
        "~ indicators/sales measurements last",
        "- strategies/known",
        "~ tactics/samples state attempts[2] attempt_count",
    ];
    assert_eq!(told(&back), expected);
    assert_eq!((back.from_revision, back.to_revision), (9, 5));
    let (one, other) = (
        field(&forth, "tactics/samples", "state"),
        field(&back, "tactics/samples", "state"),
    );
    assert_eq!((&one.before, &one.after), (&other.after, &other.before));
    let nothing = diff(&daemon, Some(At::Revision(12)), None).await;
    assert!(nothing.changes.is_empty());
    let noted = diff(&daemon, Some(At::Revision(10)), Some(At::Revision(11))).await;
    assert!(
        noted.changes.is_empty(),
        "notes are counted, and one was corrected"
    );
}

#[tokio::test]
async fn without_a_point_to_compare_from_everything_is_added() {
    let (_dir, daemon) = with_history().await;
    let expected = [
        "+ plan",
        "+ indicators/sales",
        "+ strategies/known",
        "+ tactics/samples",
    ];
    let answer = diff(&daemon, None, None).await;
    assert_eq!(told(&answer), expected);
    assert_eq!((answer.from_revision, answer.to_revision), (0, 12));
    let first = diff(&daemon, None, Some(At::Revision(1))).await;
    assert_eq!(told(&first), ["+ plan"]);
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused() {
    let (_dir, daemon) = with_history().await;
    let refusal = async |query| refused(daemon.history().diff_plan(query).await);
    let malformed = DiffPlanRequest {
        plan_id: "No id".into(),
        ..asked(Some(At::Revision(0)), Some(At::Position(0)))
    };
    let malformed = refusal(malformed).await;
    assert_eq!(
        malformed.kind(),
        (Code::InvalidArgument, "MALFORMED_REQUEST")
    );
    assert_eq!(malformed.fields, ["plan_id", "from", "to"]);
    let nobodys = DiffPlanRequest {
        plan_id: "nowhere".into(),
        ..Default::default()
    };
    assert_eq!(
        refusal(nobodys).await.kind(),
        (Code::NotFound, "PLAN_NOT_FOUND")
    );
    for (from, to) in [
        (Some(At::Revision(13)), None),
        (None, Some(At::Revision(13))),
        (Some(At::Position(12)), Some(At::Revision(1))),
    ] {
        let beyond = refusal(asked(from, to)).await;
        assert_eq!(beyond.kind(), (Code::OutOfRange, "BEYOND_HEAD"));
    }
    let before_bakery = DiffPlanRequest {
        plan_id: "bakery".into(),
        ..asked(Some(At::Position(1)), None)
    };
    assert_eq!(
        refusal(before_bakery).await.kind(),
        (Code::NotFound, "PLAN_NOT_FOUND")
    );
}
