//! What the lists answer: every filter, every direction, page by page, each thing exactly once.

use std::collections::BTreeSet;

use strata::proto::{
    CreatePlan, ExecuteRequest, GetPlanRequest, ListEventsRequest, ListPlansRequest,
    ListPlansResponse, PlanState, Point, RecordedEvent, SetObjective, WatchRequest,
    command::Kind,
    point::Point::{self as At, Position, Revision},
    watch_request,
};
use tempfile::{TempDir, tempdir};
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{
        add_tactic, adopt_strategy, commands, correct_note, define_indicator, execute, fail_tactic,
        measure, position, refused, try_tactic,
    },
};

const MALFORMED: (Code, &str) = (Code::InvalidArgument, "MALFORMED_REQUEST");
const BEYOND_HEAD: (Code, &str) = (Code::OutOfRange, "BEYOND_HEAD");

/// A daemon with 23 plans of all sorts: a third in the north, every fifth archived, `plan-07` with
/// an objective.
async fn with_plans() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for n in 0..23 {
        let region = if n % 3 == 0 { "north" } else { "south" };
        let begun = Kind::CreatePlan(CreatePlan {
            title: format!("Title {n}"),
            summary: if n == 11 {
                "About Éclairs".into()
            } else {
                String::new()
            },
            labels: [
                ("region".to_owned(), region.to_owned()),
                (format!("n{n}"), String::new()),
            ]
            .into(),
        });
        let plan_id = format!("plan-{n:02}");
        execute(&daemon, request(&plan_id, "begun", begun)).await;
        if n % 5 == 0 {
            let archived = Kind::ArchivePlan(strata::proto::ArchivePlan {
                outcome: 3,
                ..Default::default()
            });
            execute(&daemon, request(&plan_id, "archived", archived)).await;
        }
    }
    let objective = Kind::SetObjective(SetObjective {
        statement: "Sell 900 loaves a day".into(),
        ..Default::default()
    });
    execute(&daemon, request("plan-07", "objective", objective)).await;
    (dir, daemon)
}

async fn page(daemon: &Daemon, query: ListPlansRequest) -> ListPlansResponse {
    let answer = daemon.plans().list_plans(query).await;
    answer.expect("listed").into_inner()
}

/// The ids of all plans that a query finds, page by page.
async fn found(daemon: &Daemon, query: ListPlansRequest) -> Vec<String> {
    let head = daemon.head().await;
    let size = match query.page_size {
        0 => 50,
        size => size as usize,
    };
    let (mut ids, mut query) = (Vec::new(), query);
    loop {
        let answer = page(daemon, query.clone()).await;
        assert_eq!(answer.position, head);
        assert!(answer.plans.len() <= size);
        ids.extend(answer.plans.into_iter().map(|plan| plan.plan_id));
        query.page_token = answer.next_page_token;
        if query.page_token.is_empty() {
            return ids;
        }
    }
}

fn labelled(label: &str) -> ListPlansRequest {
    ListPlansRequest {
        labels: vec![label.into()],
        ..Default::default()
    }
}

fn containing(text: &str) -> ListPlansRequest {
    ListPlansRequest {
        text: text.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn plans_are_listed_by_state_label_and_text() {
    let (_dir, daemon) = with_plans().await;
    let ids = |numbers: &[u32]| -> Vec<String> {
        numbers.iter().map(|n| format!("plan-{n:02}")).collect()
    };
    let in_state = |state: PlanState| ListPlansRequest {
        state: state.into(),
        ..Default::default()
    };
    let all: Vec<u32> = (0..23).collect();
    let active: Vec<u32> = (0..23).filter(|n| n % 5 != 0).collect();
    let mut both = labelled("region=north");
    both.state = PlanState::Archived.into();
    let mut two_labels = labelled("region");
    two_labels.labels.push("n4".into());
    let cases = [
        (ListPlansRequest::default(), ids(&all)),
        (in_state(PlanState::Active), ids(&active)),
        (in_state(PlanState::Archived), ids(&[0, 5, 10, 15, 20])),
        (labelled("region=north"), ids(&[0, 3, 6, 9, 12, 15, 18, 21])),
        (labelled("region"), ids(&all)),
        (labelled("n4"), ids(&[4])),
        (labelled("n4="), ids(&[4])),
        (labelled("n4=x"), ids(&[])),
        (labelled("reg"), ids(&[])),
        (two_labels, ids(&[4])),
        (both, ids(&[0, 15])),
        (
            containing("PLAN-1"),
            ids(&[10, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
        ),
        (containing("title 2"), ids(&[2, 20, 21, 22])),
        (containing("éCLAIR"), ids(&[11])),
        (containing("900 Loaves"), ids(&[7])),
        (containing("nowhere"), ids(&[])),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&daemon, query.clone()).await, expected, "{query:?}");
        for page_size in [1, 4, 23, 1_000] {
            let paged = ListPlansRequest {
                page_size,
                ..query.clone()
            };
            assert_eq!(
                found(&daemon, paged).await,
                expected,
                "{page_size} {query:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_list_of_plans_tells_of_each_how_it_is() {
    let (_dir, daemon) = with_plans().await;
    let listed = page(&daemon, containing("900 loaves")).await;
    let plan = &listed.plans[0];
    assert_eq!(
        (&*plan.title, &*plan.objective),
        ("Title 7", "Sell 900 loaves a day")
    );
    assert_eq!((plan.revision, plan.state()), (2, PlanState::Active));
    assert_eq!((plan.last_position, listed.position), (29, 29));
    assert_eq!(plan.labels["region"], "south");
    assert!(plan.last_recorded_at.is_some());
}

#[tokio::test]
async fn what_is_no_query_for_plans_is_refused() {
    let (_dir, daemon) = with_plans().await;
    let first = ListPlansRequest {
        page_size: 2,
        ..labelled("region")
    };
    let token = page(&daemon, first.clone()).await.next_page_token;
    let with_token = |query: ListPlansRequest, token: &str| ListPlansRequest {
        page_token: token.into(),
        ..query
    };
    let other_size = with_token(
        ListPlansRequest {
            page_size: 3,
            ..first.clone()
        },
        &token,
    );
    assert_eq!(page(&daemon, other_size).await.plans[0].plan_id, "plan-02");
    let refusals = [
        (with_token(first.clone(), "nonsense"), "page_token"),
        (with_token(first.clone(), &token[2..]), "page_token"),
        (with_token(labelled("n4"), &token), "page_token"),
        (
            ListPlansRequest {
                page_size: 1_001,
                ..first
            },
            "page_size",
        ),
        (
            ListPlansRequest {
                state: 9,
                ..Default::default()
            },
            "state",
        ),
        (labelled("=north"), "labels[0]"),
        (
            ListPlansRequest {
                labels: vec!["a".into(); 65],
                ..Default::default()
            },
            "labels",
        ),
        (containing(&"x".repeat(201)), "text"),
    ];
    for (query, field) in refusals {
        let refusal = refused(daemon.plans().list_plans(query).await);
        assert_eq!(refusal.kind(), MALFORMED);
        assert_eq!(refusal.fields, [field]);
    }
}

/// A daemon with the plan `growth` of 12 events in 8 commits, among commits of another plan.
pub(crate) async fn with_history() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let by = |actor: &str, request: ExecuteRequest| ExecuteRequest {
        actor: actor.into(),
        ..request
    };
    let tried = [
        add_tactic("samples"),
        try_tactic("samples"),
        fail_tactic("samples"),
    ];
    let sent = [
        by(
            "Ada",
            commands("growth", "1", [create_plan(), define_indicator("sales")]),
        ),
        request("bakery", "1", create_plan()),
        by("Ben", commands("growth", "2", tried)),
        by("Ada", request("growth", "3", note("Frist"))),
        request("bakery", "2", note("Elsewhere")),
        by("Ben", request("growth", "4", measure("sales", 7.0))),
        request("growth", "5", adopt_strategy("known")),
        by(
            "Ada",
            commands("growth", "6", [try_tactic("samples"), note("Again")]),
        ),
        request("growth", "7", correct_note(6, "First")),
        by("Ben", request("growth", "8", fail_tactic("samples"))),
        request("bakery", "3", note("Last")),
    ];
    for request in sent {
        execute(&daemon, request).await;
    }
    (dir, daemon)
}

fn about_growth() -> ListEventsRequest {
    ListEventsRequest {
        plan_id: "growth".into(),
        ..Default::default()
    }
}

/// All events that a query finds, page by page.
async fn listed(daemon: &Daemon, query: &ListEventsRequest) -> Vec<RecordedEvent> {
    let (mut events, mut query) = (Vec::new(), query.clone());
    loop {
        let answer = daemon.history().list_events(query.clone()).await;
        let answer = answer.expect("listed").into_inner();
        assert_eq!(answer.position, 11);
        events.extend(answer.events);
        query.page_token = answer.next_page_token;
        if query.page_token.is_empty() {
            return events;
        }
    }
}

fn revisions(events: &[RecordedEvent]) -> Vec<u64> {
    let revision = |event: &RecordedEvent| event.event.as_ref().expect("an event").revision;
    events.iter().map(revision).collect()
}

fn point(point: At) -> Point {
    Point { point: Some(point) }
}

#[tokio::test]
async fn events_are_listed_by_type_subject_and_actor() {
    let (_dir, daemon) = with_history().await;
    let of_types = |types: &[&str]| ListEventsRequest {
        event_types: types.iter().map(|name| (*name).to_owned()).collect(),
        ..about_growth()
    };
    let about = |subject: &str| ListEventsRequest {
        subjects: vec![subject.into()],
        ..about_growth()
    };
    let by = |actor: &str| ListEventsRequest {
        actors: vec![actor.into()],
        ..about_growth()
    };
    let failed = of_types(&["TacticFailed"]);
    let cases: Vec<(ListEventsRequest, Vec<u64>)> = vec![
        (about_growth(), (1..=12).collect()),
        (failed.clone(), vec![5, 12]),
        (of_types(&["TacticFailed", "PlanCreated"]), vec![1, 5, 12]),
        (about("tactics/samples"), vec![3, 4, 5, 9, 12]),
        (about("indicators/sales"), vec![2, 7]),
        (about("strategies/known"), vec![8]),
        (about("plan"), vec![1, 6, 10, 11]),
        (about("commitments/none"), vec![]),
        (by("Ada"), vec![1, 2, 6, 9, 10]),
        (by("Ben"), vec![3, 4, 5, 7, 12]),
        (by("anonymous"), (1..=12).collect()),
        (by("Cid"), vec![]),
        (
            ListEventsRequest {
                actors: vec!["Ben".into()],
                ..failed
            },
            vec![5, 12],
        ),
    ];
    for (query, expected) in cases {
        finds(&daemon, query, expected).await;
    }
}

#[tokio::test]
async fn events_are_listed_from_and_to_any_revision_or_position() {
    let (_dir, daemon) = with_history().await;
    let between = |from: Option<At>, to: Option<At>| ListEventsRequest {
        from: from.map(point),
        to: to.map(point),
        ..about_growth()
    };
    let cases: Vec<(ListEventsRequest, Vec<u64>)> = vec![
        (between(Some(Revision(4)), None), (4..=12).collect()),
        (between(None, Some(Revision(4))), (1..=4).collect()),
        (
            between(Some(Revision(4)), Some(Revision(9))),
            (4..=9).collect(),
        ),
        (between(Some(Revision(9)), Some(Revision(4))), vec![]),
        (between(Some(Position(2)), None), (3..=12).collect()),
        (
            between(Some(Position(3)), Some(Position(5))),
            (3..=6).collect(),
        ),
        (between(Some(Position(5)), Some(Position(5))), vec![]),
        (between(Some(Position(11)), None), vec![]),
        (between(None, Some(Position(2))), vec![1, 2]),
        (between(None, Some(Position(11))), (1..=12).collect()),
    ];
    for (query, expected) in cases {
        finds(&daemon, query, expected).await;
    }
}

/// Expects that a query finds these revisions, in both directions and however it is paged.
async fn finds(daemon: &Daemon, query: ListEventsRequest, mut expected: Vec<u64>) {
    for newest_first in [false, true] {
        for page_size in [0, 1, 2, 5] {
            let query = ListEventsRequest {
                newest_first,
                page_size,
                ..query.clone()
            };
            let found = revisions(&listed(daemon, &query).await);
            assert_eq!(found, expected, "{query:?}");
        }
        expected.reverse();
    }
}

#[tokio::test]
async fn a_listed_event_tells_all_that_was_recorded_about_it() {
    let (_dir, daemon) = with_history().await;
    let events = listed(&daemon, &about_growth()).await;
    for event in &events {
        assert!(
            !event.summary.is_empty() && !event.summary.contains('\n'),
            "{event:?}"
        );
        assert!(event.recorded_at.is_some());
        assert_eq!(event.actor, "anonymous");
    }
    let types: Vec<_> = events.iter().map(|event| event.r#type.as_str()).collect();
    let expected = [
        "PlanCreated",
        "IndicatorDefined",
        "TacticAdded",
        "TacticTried",
        "TacticFailed",
        "NoteRecorded",
        "MeasurementRecorded",
        "StrategyAdopted",
        "TacticTried",
        "NoteRecorded",
        "EventCorrected",
        "TacticFailed",
    ];
    assert_eq!(types, expected);
    let positions: Vec<_> = events.iter().map(|event| event.position).collect();
    assert_eq!(positions, [1, 1, 3, 3, 3, 4, 6, 7, 8, 8, 9, 10]);
    let corrected: Vec<_> = events.iter().map(|event| event.corrected_by).collect();
    assert_eq!(corrected, [0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        (&*events[4].on_behalf_of, &*events[4].request_id),
        ("Ben", "2")
    );
    assert!(
        events[4].summary.contains("samples"),
        "{}",
        events[4].summary
    );
}

#[tokio::test]
async fn what_is_no_query_for_events_is_refused() {
    let (_dir, daemon) = with_history().await;
    let refusal =
        |query: ListEventsRequest| async { refused(daemon.history().list_events(query).await) };
    let wrong = ListEventsRequest {
        event_types: vec!["TacticFailed".into(), "TeaMade".into()],
        subjects: vec!["tactics".into()],
        actors: vec!["x".into(); 65],
        ..about_growth()
    };
    let wrong = refusal(wrong).await;
    assert_eq!(wrong.kind(), MALFORMED);
    let fields: BTreeSet<_> = wrong.fields.iter().map(String::as_str).collect();
    assert_eq!(fields, ["actors", "event_types[1]", "subjects[0]"].into());
    for point in [Point::default(), point(Revision(0)), point(Position(0))] {
        let from = ListEventsRequest {
            from: Some(point),
            ..about_growth()
        };
        let to = ListEventsRequest {
            to: Some(point),
            ..about_growth()
        };
        for (query, field) in [(from, "from"), (to, "to")] {
            let refusal = refusal(query).await;
            assert_eq!(refusal.kind(), MALFORMED);
            assert_eq!(refusal.fields, [field]);
        }
    }
    for beyond in [Revision(13), Position(12)] {
        let from = ListEventsRequest {
            from: Some(point(beyond)),
            ..about_growth()
        };
        let to = ListEventsRequest {
            to: Some(point(beyond)),
            ..about_growth()
        };
        for query in [from, to] {
            assert_eq!(refusal(query).await.kind(), BEYOND_HEAD);
        }
    }
    let other = ListEventsRequest {
        page_token: "00ff".into(),
        ..about_growth()
    };
    assert_eq!(refusal(other).await.kind(), MALFORMED);
}

#[tokio::test]
async fn all_violations_of_a_query_are_reported_at_once() {
    let (_dir, daemon) = with_history().await;
    let plan = refused(
        daemon
            .plans()
            .get_plan(GetPlanRequest {
                as_of: Some(point(Position(0))),
                view: 9,
                ..Default::default()
            })
            .await,
    );
    assert_eq!(plan.fields, ["plan_id", "as_of", "view"]);
    let plans = refused(
        daemon
            .plans()
            .list_plans(ListPlansRequest {
                state: 9,
                page_size: 1_001,
                ..labelled("")
            })
            .await,
    );
    assert_eq!(plans.fields, ["state", "labels[0]", "page_size"]);
    let events = ListEventsRequest {
        plan_id: "No id".into(),
        event_types: vec!["TeaMade".into()],
        from: Some(point(Revision(0))),
        to: Some(Point::default()),
        page_size: 1_001,
        ..Default::default()
    };
    let events = refused(daemon.history().list_events(events).await);
    let fields = ["plan_id", "event_types[0]", "from", "to", "page_size"];
    assert_eq!(events.fields, fields);
    let watch = WatchRequest {
        start: Some(watch_request::Start::FromNow(false)),
        plan_ids: vec![String::new()],
        event_types: vec!["TeaMade".into()],
        ..Default::default()
    };
    let watch = refused(daemon.history().watch(watch).await);
    assert_eq!(watch.fields, ["from_now", "plan_ids[0]", "event_types[0]"]);
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_ended_whatever_was_recorded_since() {
    let (_dir, daemon) = with_history().await;
    for newest_first in [false, true] {
        let head = daemon.head().await;
        let query = ListEventsRequest {
            newest_first,
            page_size: 5,
            ..about_growth()
        };
        let answer = daemon.history().list_events(query.clone()).await;
        let first = answer.expect("listed").into_inner();
        let recorded = execute(&daemon, request("growth", &format!("{head}"), note("New"))).await;
        let next = ListEventsRequest {
            page_token: first.next_page_token,
            ..query
        };
        let answer = daemon.history().list_events(next).await;
        let second = answer.expect("listed").into_inner();
        assert_eq!(second.position, position(&recorded));
        let (first, second) = (revisions(&first.events), revisions(&second.events));
        if newest_first {
            assert_eq!(first[4] - 1, second[0]);
        } else {
            assert_eq!(first[4] + 1, second[0]);
        }
    }
}
