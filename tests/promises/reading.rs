//! What tests read of a daemon to compare it with what was acknowledged: the whole log, the whole
//! picture of its plans, and why it refused.

use std::collections::{HashMap, HashSet};

use strata::proto::{
    ExecuteRequest, ExecuteResponse, GetPlanRequest, GetPlanResponse, ListEventsRequest,
    ListEventsResponse, ListPlansRequest, LogEntry, PlanSummary, PlanView, Point, ReadLogRequest,
    point,
};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::daemon::Daemon;

/// The whole log.
pub(crate) async fn whole_log(daemon: &Daemon) -> Vec<LogEntry> {
    read_log(daemon, ReadLogRequest::default()).await
}

/// A part of the log.
pub(crate) async fn read_log(daemon: &Daemon, request: ReadLogRequest) -> Vec<LogEntry> {
    let stream = daemon.history().read_log(request).await;
    let mut stream = stream.expect("the log is read").into_inner();
    let mut entries = Vec::new();
    while let Some(response) = stream.message().await.expect("the log goes on") {
        entries.extend(response.entries);
    }
    entries
}

/// Asserts what holds of every log: positions 1, 2, 3, …; every commit whole; the revisions of every
/// plan 1, 2, 3, …; no request twice in a plan.
#[track_caller]
pub(crate) fn assert_sound(log: &[LogEntry]) {
    let mut revisions: HashMap<String, u64> = HashMap::new();
    let mut requests = HashSet::new();
    for (entry, position) in log.iter().zip(1..) {
        assert_eq!(entry.position, position, "positions have no hole");
        let commit = entry.decode_commit().expect("a whole commit");
        let revision = revisions.entry(commit.plan_id.clone()).or_default();
        assert_eq!(commit.first_revision, *revision + 1, "at {position}");
        assert!(!commit.events.is_empty(), "at {position}");
        for event in &commit.events {
            *revision += 1;
            assert_eq!(event.revision, *revision, "at {position}");
        }
        let request = (commit.plan_id, commit.request_id);
        assert!(!requests.contains(&request), "{request:?} is there twice");
        requests.insert(request);
    }
}

/// The reason a call was refused for: the name of the `ErrorReason`, or nothing when the status is
/// not one of the daemon's.
pub(crate) fn reason(status: &Status) -> Option<String> {
    Some(status.get_details_error_info()?.reason)
}

/// All that the daemon shows of its plans.
#[derive(Debug, PartialEq)]
pub(crate) struct Picture {
    plans: Vec<PlanSummary>,
    states: Vec<GetPlanResponse>,
    events: Vec<ListEventsResponse>,
    log: Vec<LogEntry>,
}

/// Reads it.
pub(crate) async fn picture(daemon: &Daemon) -> Picture {
    let plans = list_plans(daemon).await;
    let (mut states, mut events) = (Vec::new(), Vec::new());
    for plan in &plans {
        for request in points_of(plan) {
            let state = daemon.plans().get_plan(request).await;
            states.push(state.expect("a plan").into_inner());
        }
        let mut request = ListEventsRequest {
            plan_id: plan.plan_id.clone(),
            page_size: 1_000,
            ..Default::default()
        };
        loop {
            let page = daemon.history().list_events(request.clone()).await;
            let page = page.expect("events").into_inner();
            request.page_token.clone_from(&page.next_page_token);
            events.push(page);
            if request.page_token.is_empty() {
                break;
            }
        }
    }
    let log = whole_log(daemon).await;
    Picture {
        plans,
        states,
        events,
        log,
    }
}

/// Sends recorded requests again and asserts that each gets its first answer.
pub(crate) async fn assert_replayed(
    daemon: &Daemon,
    answered: &[(ExecuteRequest, ExecuteResponse)],
) {
    for (request, first) in answered {
        let again = daemon.plans().execute(request.clone()).await;
        let again = again.expect("answered again").into_inner();
        let expected = ExecuteResponse {
            replayed: true,
            ..first.clone()
        };
        assert_eq!(again, expected, "{}", request.request_id);
    }
}

async fn list_plans(daemon: &Daemon) -> Vec<PlanSummary> {
    let mut request = ListPlansRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let mut plans = Vec::new();
    loop {
        let page = daemon.plans().list_plans(request.clone()).await;
        let page = page.expect("a page").into_inner();
        plans.extend(page.plans);
        if page.next_page_token.is_empty() {
            return plans;
        }
        request.page_token = page.next_page_token;
    }
}

/// Now in full and in short, and as of a revision half-way.
fn points_of(plan: &PlanSummary) -> [GetPlanRequest; 3] {
    let now = GetPlanRequest {
        plan_id: plan.plan_id.clone(),
        ..Default::default()
    };
    let short = GetPlanRequest {
        view: PlanView::Basic.into(),
        ..now.clone()
    };
    let half_way = Point {
        point: Some(point::Point::Revision(plan.revision.div_ceil(2))),
    };
    let then = GetPlanRequest {
        as_of: Some(half_way),
        ..now.clone()
    };
    [now, short, then]
}
