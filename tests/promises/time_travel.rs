//! Time travel: what a plan was at a revision, at a position, by what was recorded and by what
//! occurred, and how corrections tell the two apart.

use std::{fs, path::Path};

use prost_types::Timestamp;
use strata::{
    json,
    proto::{
        CorrectEvent, Event, ExecuteRequest, GetPlanResponse, ListEventsRequest,
        MeasurementRecorded, Plan, Point, RetractEvent, command::Kind, event, point::Point as At,
    },
};
use tempfile::{TempDir, tempdir};
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, request},
    language::{
        add_tactic, define_indicator, execute, from_now, measure, plan_as_of, refused, try_tactic,
    },
};

const YEAR_SECONDS: i64 = 31_556_952;

/// Some instant of a year.
fn year(year: i64) -> Timestamp {
    Timestamp {
        seconds: (year - 1970) * YEAR_SECONDS + YEAR_SECONDS / 2,
        nanos: 0,
    }
}

fn in_year(when: i64, request_id: &str, command: Kind) -> ExecuteRequest {
    ExecuteRequest {
        occurred_at: Some(year(when)),
        ..request("growth", request_id, command)
    }
}

fn corrected(revision: u64, value: f64, when: Option<i64>) -> Kind {
    let measured = MeasurementRecorded {
        indicator_id: "sales".into(),
        value: Some(value),
        unit: "pieces".into(),
        ..Default::default()
    };
    Kind::CorrectEvent(CorrectEvent {
        revision,
        replacement: Some(Event {
            kind: Some(event::Kind::MeasurementRecorded(measured)),
            ..Default::default()
        }),
        occurred_at: when.map(year),
        reason: "Misread".into(),
        ..Default::default()
    })
}

fn retracted(revision: u64) -> Kind {
    Kind::RetractEvent(RetractEvent {
        revision,
        reason: "Counted twice".into(),
    })
}

/// Has requests recorded, and tells when each was.
async fn recorded(
    daemon: &Daemon,
    requests: impl IntoIterator<Item = ExecuteRequest>,
) -> Vec<Timestamp> {
    let mut times = Vec::new();
    for request in requests {
        let entry = execute(daemon, request).await.entry.expect("an entry");
        let commit = entry.decode_commit().expect("a commit");
        times.push(commit.recorded_at.expect("a time"));
    }
    times
}

async fn shown(daemon: &Daemon, plan_id: &str, point: At) -> GetPlanResponse {
    let answer = daemon.plans().get_plan(plan_as_of(plan_id, point)).await;
    answer.expect("shown").into_inner()
}

async fn plan_at(daemon: &Daemon, point: At) -> Plan {
    shown(daemon, "growth", point).await.plan.expect("a plan")
}

/// The last value of the only indicator.
#[track_caller]
fn last_value(plan: &Plan) -> Option<f64> {
    plan.indicators[0].last.as_ref().map(|last| last.value)
}

/// A daemon with a plan of the year 2000 that was recorded today: at revision 3 a value of 2003,
/// at 4 one of 2002 that came late, at 5 a tactic of 2006, at 6 an attempt that claims to be of 2005.
async fn with_late_records() -> (TempDir, Daemon, Vec<Timestamp>) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let requests = [
        in_year(2000, "1", create_plan()),
        in_year(2000, "2", define_indicator("sales")),
        in_year(2003, "3", measure("sales", 3.0)),
        in_year(2002, "4", measure("sales", 2.0)),
        in_year(2006, "5", add_tactic("samples")),
        in_year(2005, "6", try_tactic("samples")),
    ];
    let times = recorded(&daemon, requests).await;
    (dir, daemon, times)
}

#[tokio::test]
async fn a_plan_is_shown_as_it_was_recorded_and_as_it_occurred() {
    let (_dir, daemon, times) = with_late_records().await;
    for (revision, time) in (1..).zip(&times) {
        let by_time = plan_at(&daemon, At::RecordedAt(*time)).await;
        assert!(by_time.revision >= revision);
        let by_revision = plan_at(&daemon, At::Revision(by_time.revision)).await;
        assert_eq!(by_time, by_revision);
        assert_eq!(
            plan_at(&daemon, At::Position(by_time.revision)).await,
            by_time
        );
    }
}

#[tokio::test]
async fn at_an_occurred_time_what_came_late_is_in_its_place_and_nothing_before_its_ground() {
    let (_dir, daemon, _) = with_late_records().await;
    let at = async |when| plan_at(&daemon, At::OccurredAt(year(when))).await;
    assert_eq!(last_value(&at(2001).await), None);
    assert_eq!(last_value(&at(2002).await), Some(2.0));
    assert_eq!(last_value(&at(2003).await), Some(3.0));
    assert_eq!(
        at(2002).await.revision,
        4,
        "of the last recorded that counts"
    );
    assert!(
        at(2005).await.tactics.is_empty(),
        "an attempt waits for its tactic"
    );
    let tried = at(2006).await;
    assert_eq!(tried.tactics[0].attempts.len(), 1);
    assert_eq!(tried.tactics[0].attempts[0].tried_at, Some(year(2005)));
    assert_eq!(tried, plan_at(&daemon, At::Revision(6)).await);
}

#[tokio::test]
async fn a_correction_holds_from_then_on_and_as_of_any_occurred_time() {
    let (_dir, daemon, _) = with_late_records().await;
    let requests = [
        request("growth", "7", corrected(3, 3.5, Some(2004))),
        request("growth", "8", corrected(3, 3.75, Some(2004))),
        request("growth", "9", retracted(4)),
    ];
    let times = recorded(&daemon, requests).await;
    let by_revision = [(6, 3.0), (7, 3.5), (8, 3.75), (9, 3.75)];
    for (revision, value) in by_revision {
        for point in [At::Revision(revision), At::Position(revision)] {
            assert_eq!(
                last_value(&plan_at(&daemon, point).await),
                Some(value),
                "{point:?}"
            );
        }
    }
    for (time, value) in times.iter().zip([3.5, 3.75, 3.75]) {
        let just_before = Timestamp {
            nanos: time.nanos.saturating_sub(1),
            ..*time
        };
        let believed = plan_at(&daemon, At::RecordedAt(*time)).await;
        assert_eq!(last_value(&believed), Some(value));
        let before = plan_at(&daemon, At::RecordedAt(just_before)).await;
        assert!(before.revision < believed.revision || time.nanos == 0);
    }
    let at = async |when| plan_at(&daemon, At::OccurredAt(year(when))).await;
    assert_eq!(
        last_value(&at(2003).await),
        None,
        "it was later, and the other was none"
    );
    assert_eq!(last_value(&at(2004).await), Some(3.75));
    assert_eq!(at(2004).await.indicators[0].measurements, 1);
    assert_eq!(
        at(2004).await.revision,
        3,
        "the corrections were not made yet"
    );
}

#[tokio::test]
async fn a_moment_that_is_none_is_refused_with_what_is_wrong() {
    let (_dir, daemon, times) = with_late_records().await;
    execute(&daemon, request("bakery", "1", create_plan())).await;
    let refusal = async |plan_id: &str, point| {
        refused(daemon.plans().get_plan(plan_as_of(plan_id, point)).await)
    };
    let ahead = from_now(3_600);
    for point in [At::RecordedAt(ahead), At::OccurredAt(ahead)] {
        let refusal = refusal("growth", point).await;
        assert_eq!(refusal.kind(), (Code::OutOfRange, "BEYOND_HEAD"));
        assert!(refusal.metadata("time").ends_with('Z'), "{refusal:?}");
    }
    for point in [
        At::OccurredAt(year(1999)),
        At::RecordedAt(year(2000)),
        At::RecordedAt(Timestamp {
            seconds: times[0].seconds - 1,
            nanos: 0,
        }),
    ] {
        let refusal = refusal("growth", point).await;
        assert_eq!(
            refusal.kind(),
            (Code::NotFound, "PLAN_NOT_FOUND"),
            "{point:?}"
        );
        assert_eq!(refusal.metadata("plan_id"), "growth");
    }
    let unborn = refusal("bakery", At::RecordedAt(times[5])).await;
    assert_eq!(unborn.kind(), (Code::NotFound, "PLAN_NOT_FOUND"));
    for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
        let time = Timestamp { seconds, nanos };
        for point in [At::RecordedAt(time), At::OccurredAt(time)] {
            let refusal = refusal("growth", point).await;
            assert_eq!(refusal.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
            assert_eq!(refusal.fields, ["as_of"]);
        }
    }
}

/// The revisions of the events between two points.
async fn listed(daemon: &Daemon, from: Option<At>, to: Option<At>) -> Vec<u64> {
    let point = |point: Option<At>| point.map(|point| Point { point: Some(point) });
    let mut revisions = Vec::new();
    let mut query = ListEventsRequest {
        plan_id: "growth".into(),
        from: point(from),
        to: point(to),
        page_size: 2,
        ..Default::default()
    };
    loop {
        let answer = daemon.history().list_events(query.clone()).await;
        let answer = answer.expect("listed").into_inner();
        let events = answer.events.into_iter().filter_map(|it| it.event);
        revisions.extend(events.map(|event| event.revision));
        query.page_token = answer.next_page_token;
        if query.page_token.is_empty() {
            return revisions;
        }
    }
}

#[tokio::test]
async fn events_are_listed_by_when_they_were_recorded_and_when_they_occurred() {
    let (_dir, daemon, mut times) = with_late_records().await;
    let later = [
        request("growth", "7", corrected(3, 3.5, Some(2004))),
        request("growth", "8", retracted(4)),
    ];
    times.extend(recorded(&daemon, later).await);
    let recorded_from = |revision: usize| Some(At::RecordedAt(times[revision - 1]));
    let after = |revision: usize| {
        let time = times[revision - 1];
        let nanos = time.nanos + 1;
        Some(At::RecordedAt(Timestamp { nanos, ..time }))
    };
    assert_eq!(
        listed(&daemon, recorded_from(3), recorded_from(5)).await,
        [3, 4, 5]
    );
    assert_eq!(listed(&daemon, after(3), after(5)).await, [4, 5]);
    assert_eq!(
        listed(&daemon, None, Some(At::RecordedAt(year(2010)))).await,
        [0_u64; 0]
    );
    let all: Vec<u64> = (1..=8).collect();
    assert_eq!(
        listed(&daemon, Some(At::RecordedAt(year(2010))), None).await,
        all
    );
    assert_eq!(
        listed(&daemon, recorded_from(3), Some(At::Revision(4))).await,
        [3, 4]
    );

    let occurred = |when| Some(At::OccurredAt(year(when)));
    assert_eq!(
        listed(&daemon, occurred(2002), occurred(2003)).await,
        [4],
        "as was recorded"
    );
    assert_eq!(
        listed(&daemon, occurred(2004), occurred(2005)).await,
        [3, 6],
        "as corrected"
    );
    assert_eq!(listed(&daemon, None, occurred(2001)).await, [1, 2]);
    assert_eq!(listed(&daemon, occurred(2006), None).await, [5, 7, 8]);
    assert_eq!(
        listed(&daemon, Some(At::Revision(4)), occurred(2005)).await,
        [4, 6]
    );

    let ahead = Some(Point {
        point: Some(At::OccurredAt(from_now(3_600))),
    });
    let query = ListEventsRequest {
        plan_id: "growth".into(),
        from: ahead,
        ..Default::default()
    };
    let refusal = refused(daemon.history().list_events(query).await);
    assert_eq!(refusal.kind(), (Code::OutOfRange, "BEYOND_HEAD"));
}

/// A daemon with the real history, and when its lines were recorded.
async fn with_real_history() -> (TempDir, Daemon, Vec<Timestamp>) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smallpox-india.jsonl");
    let lines = fs::read_to_string(fixture).expect("the fixture");
    let requests: Vec<ExecuteRequest> = lines
        .lines()
        .map(|line| json::from_json(line).expect("a request"))
        .collect();
    let times = recorded(&daemon, requests).await;
    (dir, daemon, times)
}

#[tokio::test]
async fn what_was_believed_of_the_last_patient_stays_apart_from_what_was_true() {
    let (_dir, daemon, times) = with_real_history().await;
    let last_note = async |point| {
        let plan = shown(&daemon, "smallpox-india", point).await.plan;
        let plan = plan.expect("a plan");
        let mut indicators = plan.indicators.into_iter();
        let pending = indicators.find(|it| it.indicator_id == "pending-outbreaks");
        pending.and_then(|it| it.last).expect("measured").note
    };
    let onset = |year| format!("onset of illness {year}");
    // Revision 37 recorded the wrong year, 38 corrected it, both of 24 May 1975.
    for point in [
        At::Revision(37),
        At::Position(37),
        At::RecordedAt(times[36]),
    ] {
        let believed = last_note(point).await;
        assert!(
            believed.ends_with("recorded as 22 May 1976"),
            "{point:?}: {believed}"
        );
    }
    let on_24_may_1975 = Timestamp {
        seconds: 170_121_600,
        nanos: 0,
    };
    for point in [
        At::Revision(38),
        At::Position(38),
        At::RecordedAt(times[37]),
        At::OccurredAt(on_24_may_1975),
    ] {
        let known = last_note(point).await;
        assert!(known.ends_with(&onset("22 May 1975")), "{point:?}: {known}");
    }
    let the_day_before = Timestamp {
        seconds: on_24_may_1975.seconds - 86_400,
        nanos: 0,
    };
    let earlier = last_note(At::OccurredAt(the_day_before)).await;
    assert!(!earlier.contains("last known patient"), "{earlier}");
}

#[tokio::test]
async fn a_real_history_can_be_followed_by_its_own_dates() {
    let (_dir, daemon, _) = with_real_history().await;
    let at = async |seconds| {
        let point = At::OccurredAt(Timestamp { seconds, nanos: 0 });
        shown(&daemon, "smallpox-india", point)
            .await
            .plan
            .expect("a plan")
    };
    // The strategy was revised on 1 October 1972 and on 1 January 1975.
    let revised = [
        (86_745_599, 1, 16),
        (86_745_600, 2, 20),
        (157_766_399, 2, 34),
        (157_766_400, 3, 35),
    ];
    for (seconds, strategy_revision, revision) in revised {
        let plan = at(seconds).await;
        let strategy = &plan.strategies[0];
        assert_eq!(strategy.revision, strategy_revision, "at {seconds}");
        let last = plan.last_occurred_at.expect("a time");
        assert!(
            last.seconds <= seconds && plan.revision >= revision,
            "{}",
            plan.revision
        );
    }
    let now = shown(&daemon, "smallpox-india", At::Revision(40))
        .await
        .plan;
    assert_eq!(
        Some(at(from_now(-60).seconds).await),
        now,
        "all has occurred"
    );
}
