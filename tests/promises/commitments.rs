//! Commitments over all plans: listed by due date, page by page, each exactly once, as of any position; and
//! how people keep them.

use prost_types::Timestamp;
use strata::proto::{
    CommitmentState, ExecuteRequest, GetReliabilityRequest, KeepCommitment, ListCommitmentsRequest,
    ListCommitmentsResponse, MakeCommitment, MissCommitment, MoveDeadline, Point,
    ReassignCommitment, ReleaseCommitment, Reliability, command::Kind, point::Point as At,
};
use tempfile::{TempDir, tempdir};
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, request},
    language::{commands, execute, from_now, position, refused},
};

const MALFORMED: (Code, &str) = (Code::InvalidArgument, "MALFORMED_REQUEST");
const DAY_SECONDS: i64 = 86_400;

/// The command with which somebody promises something.
pub(crate) fn promise(commitment_id: &str, assignee: &str, due: Timestamp) -> Kind {
    Kind::MakeCommitment(MakeCommitment {
        commitment_id: commitment_id.to_owned(),
        assignee: assignee.to_owned(),
        promise: "The samples are sent".to_owned(),
        due: Some(due),
        ..Default::default()
    })
}

/// The command that moves a deadline.
pub(crate) fn move_to(commitment_id: &str, due: Timestamp) -> Kind {
    Kind::MoveDeadline(MoveDeadline {
        commitment_id: commitment_id.to_owned(),
        due: Some(due),
        reason: "The mill is late".to_owned(),
    })
}

/// The command that says that a commitment was kept.
pub(crate) fn keep(commitment_id: &str) -> Kind {
    Kind::KeepCommitment(KeepCommitment {
        commitment_id: commitment_id.to_owned(),
        ..Default::default()
    })
}

fn miss(commitment_id: &str) -> Kind {
    Kind::MissCommitment(MissCommitment {
        commitment_id: commitment_id.to_owned(),
        reason: "Ill".to_owned(),
    })
}

/// A time some days from the beginning of the test.
fn day(begin: Timestamp, days: i64) -> Timestamp {
    Timestamp {
        seconds: begin.seconds + days * DAY_SECONDS,
        nanos: 0,
    }
}

/// A request whose events occurred some days from the beginning of the test.
fn on(begin: Timestamp, days: i64, request: ExecuteRequest) -> ExecuteRequest {
    ExecuteRequest {
        occurred_at: Some(day(begin, days)),
        ..request
    }
}

/// A daemon with commitments in the plans `bakery` and `growth`: some 30 of Ada, Ben and Cleo, due on
/// ten days to come, two plans and several ids at once.
async fn promised() -> (TempDir, Daemon, Timestamp) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let begin = from_now(0);
    for plan_id in ["growth", "bakery"] {
        execute(&daemon, request(plan_id, "begun", create_plan())).await;
    }
    for number in 0..30 {
        let plan_id = if number % 2 == 0 { "growth" } else { "bakery" };
        let assignee = ["Ada", "Ben", "Cleo"][number % 3];
        let due = day(begin, 1 + i64::try_from(number % 10).expect("small"));
        let promised = promise(&format!("c-{number:02}"), assignee, due);
        execute(&daemon, request(plan_id, &number.to_string(), promised)).await;
    }
    (dir, daemon, begin)
}

/// What a list shows, each as its due day, plan and id.
async fn list(daemon: &Daemon, query: ListCommitmentsRequest) -> Vec<(i64, String, String)> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = page(daemon, &query, page_token).await;
        found.extend(keys(&page));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

async fn page(
    daemon: &Daemon,
    query: &ListCommitmentsRequest,
    page_token: String,
) -> ListCommitmentsResponse {
    let query = ListCommitmentsRequest {
        page_token,
        ..query.clone()
    };
    let answer = daemon.advice().list_commitments(query).await;
    answer.expect("listed").into_inner()
}

fn keys(page: &ListCommitmentsResponse) -> Vec<(i64, String, String)> {
    let shown = page.commitments.iter().map(|it| {
        let commitment = it.commitment.as_ref().expect("a commitment");
        let due = commitment.due.expect("a date");
        (
            due.seconds,
            it.plan_id.clone(),
            commitment.commitment_id.clone(),
        )
    });
    shown.collect()
}

fn point(at: At) -> Point {
    Point { point: Some(at) }
}

#[tokio::test]
async fn commitments_are_listed_by_due_date_plan_and_id_whatever_the_size_of_a_page() {
    let (_dir, daemon, _) = promised().await;
    let all = list(&daemon, ListCommitmentsRequest::default()).await;
    assert_eq!(all.len(), 30);
    assert!(all.is_sorted(), "{all:?}");
    for page_size in [1, 7, 29, 30, 31] {
        let query = ListCommitmentsRequest {
            page_size,
            ..Default::default()
        };
        assert_eq!(list(&daemon, query).await, all, "{page_size} a page");
    }
}

#[tokio::test]
async fn a_list_of_commitments_shows_only_what_is_asked_for() {
    let (_dir, daemon, begin) = promised().await;
    execute(&daemon, request("growth", "kept", keep("c-00"))).await;
    let count = async |query| list(&daemon, query).await.len();
    let any = ListCommitmentsRequest::default;
    let of_ada = ListCommitmentsRequest {
        assignee: "Ada".into(),
        ..any()
    };
    assert_eq!(count(of_ada).await, 10);
    let of_bakery = ListCommitmentsRequest {
        plan_ids: vec!["bakery".into(), "nowhere".into()],
        ..any()
    };
    assert_eq!(count(of_bakery).await, 15);
    let kept = ListCommitmentsRequest {
        states: vec![CommitmentState::Kept.into()],
        ..any()
    };
    let found = list(&daemon, kept).await;
    assert_eq!(
        found,
        [(day(begin, 1).seconds, "growth".into(), "c-00".into())]
    );
    let due = |from, before| ListCommitmentsRequest {
        due_from: Some(day(begin, from)),
        due_before: Some(day(begin, before)),
        page_size: 2,
        ..any()
    };
    assert_eq!(count(due(2, 4)).await, 6);
    assert_eq!(count(due(11, 99)).await, 0);
}

#[tokio::test]
async fn commitments_are_listed_as_they_were_and_pages_hold_on_to_where_they_began() {
    let (_dir, daemon, begin) = promised().await;
    let before = list(&daemon, ListCommitmentsRequest::default()).await;
    let head = daemon.head().await;
    let query = ListCommitmentsRequest {
        page_size: 10,
        ..Default::default()
    };
    let first = page(&daemon, &query, String::new()).await;
    assert_eq!(first.position, head);

    // What was listed already moves behind, and what was not in front.
    let moved = [
        move_to("c-00", day(begin, 50)),
        move_to("c-28", day(begin, 1)),
    ];
    let answer = execute(&daemon, commands("growth", "moved", moved)).await;
    let mut found = keys(&first);
    let mut token = first.next_page_token;
    while !token.is_empty() {
        let next = page(&daemon, &query, token).await;
        assert_eq!(next.position, head);
        found.extend(keys(&next));
        token = next.next_page_token;
    }
    assert_eq!(found, before);

    let at_head = ListCommitmentsRequest {
        as_of: Some(point(At::Position(head))),
        ..Default::default()
    };
    assert_eq!(list(&daemon, at_head).await, before);
    let entry = answer.entry.expect("an entry").decode_commit();
    let recorded_at = entry.expect("a commit").recorded_at.expect("a time");
    let then = ListCommitmentsRequest {
        as_of: Some(point(At::RecordedAt(recorded_at))),
        ..Default::default()
    };
    let now = list(&daemon, ListCommitmentsRequest::default()).await;
    assert_eq!(list(&daemon, then).await, now);
    assert_ne!(now, before);
    let at_first = ListCommitmentsRequest {
        as_of: Some(point(At::Position(3))),
        ..Default::default()
    };
    assert_eq!(list(&daemon, at_first).await.len(), 1);
}

#[tokio::test]
async fn what_a_query_for_commitments_shows_wrong_is_said_at_once() {
    let (_dir, daemon, begin) = promised().await;
    let mut advice = daemon.advice();
    let wrong = ListCommitmentsRequest {
        assignee: "a".repeat(201),
        states: vec![0, 99],
        due_from: Some(Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        plan_ids: vec!["No Id".into()],
        as_of: Some(point(At::Revision(1))),
        page_size: 1_001,
        ..Default::default()
    };
    let refusal = refused(advice.list_commitments(wrong).await);
    assert_eq!(refusal.kind(), MALFORMED);
    let fields = [
        "assignee",
        "states[0]",
        "states[1]",
        "plan_ids[0]",
        "due_from",
        "as_of",
        "page_size",
    ];
    assert_eq!(refusal.fields, fields);

    let first = ListCommitmentsRequest {
        page_size: 1,
        ..Default::default()
    };
    let token = page(&daemon, &first, String::new()).await.next_page_token;
    let other = ListCommitmentsRequest {
        page_token: token,
        due_before: Some(begin),
        ..Default::default()
    };
    let refusal = refused(advice.list_commitments(other).await);
    assert_eq!(
        (refusal.kind(), &*refusal.fields),
        (MALFORMED, &["page_token".to_owned()][..])
    );
    for due_before in [day(begin, 3), day(begin, 2)] {
        let never = ListCommitmentsRequest {
            due_from: Some(day(begin, 3)),
            due_before: Some(due_before),
            ..Default::default()
        };
        let refusal = refused(advice.list_commitments(never).await);
        assert_eq!(
            (refusal.kind(), &*refusal.fields),
            (MALFORMED, &["due_before".to_owned()][..])
        );
    }
    let beyond = ListCommitmentsRequest {
        as_of: Some(point(At::Position(999))),
        ..Default::default()
    };
    let refusal = refused(advice.list_commitments(beyond).await);
    assert_eq!(refusal.kind(), (Code::OutOfRange, "BEYOND_HEAD"));
}

async fn reliability(daemon: &Daemon, mut query: GetReliabilityRequest) -> Vec<Reliability> {
    let mut advice = daemon.advice();
    let mut found = Vec::new();
    loop {
        let answer = advice.get_reliability(query.clone()).await;
        let answer = answer.expect("counted").into_inner();
        found.extend(answer.assignees);
        query.page_token = answer.next_page_token;
        if query.page_token.is_empty() {
            return found;
        }
    }
}

/// A daemon on which Ada keeps two of three promises and passes one on to Grace, who is late with it
/// and lets another go; and the position before that.
async fn kept() -> (TempDir, Daemon, u64) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let begin = from_now(0);
    let ada = |id: &str| promise(id, "Ada", day(begin, -50));
    let made = [
        create_plan(),
        ada("in-time"),
        ada("moved"),
        ada("passed-on"),
    ];
    let made = on(begin, -90, commands("growth", "made", made));
    let made = position(&execute(&daemon, made).await);
    let grace = [
        create_plan(),
        promise("given-up", "Grace", day(begin, -50)),
        promise("let-off", "Grace", day(begin, -50)),
        promise("open", "Grace", day(begin, 50)),
    ];
    execute(&daemon, on(begin, -90, commands("bakery", "made", grace))).await;

    let passed_on = Kind::ReassignCommitment(ReassignCommitment {
        commitment_id: "passed-on".into(),
        assignee: "Grace".into(),
        reason: "Ada is ill".into(),
    });
    let early = [
        keep("in-time"),
        move_to("moved", day(begin, -40)),
        move_to("passed-on", day(begin, -45)),
        passed_on,
    ];
    execute(&daemon, on(begin, -60, commands("growth", "early", early))).await;
    let released = Kind::ReleaseCommitment(ReleaseCommitment {
        commitment_id: "let-off".into(),
        reason: "Not needed".into(),
    });
    let early = [miss("given-up"), released];
    execute(&daemon, on(begin, -60, commands("bakery", "early", early))).await;
    let late = [keep("moved"), keep("passed-on")];
    execute(&daemon, on(begin, -43, commands("growth", "late", late))).await;
    (dir, daemon, made)
}

#[tokio::test]
async fn how_commitments_are_kept_counts_for_who_held_them_over_all_plans() {
    let (_dir, daemon, made) = kept().await;
    let ada = Reliability {
        assignee: "Ada".into(),
        kept: 1,
        kept_after_notice: 1,
        moved_with_notice: 2,
        ..Default::default()
    };
    let grace = Reliability {
        assignee: "Grace".into(),
        kept_late: 1,
        missed_with_notice: 1,
        released: 1,
        open: 1,
        ..Default::default()
    };
    let any = GetReliabilityRequest::default;
    let both = [ada.clone(), grace.clone()];
    assert_eq!(reliability(&daemon, any()).await, both);
    let one_a_page = GetReliabilityRequest {
        page_size: 1,
        ..any()
    };
    assert_eq!(reliability(&daemon, one_a_page).await, both);
    let of_grace = GetReliabilityRequest {
        assignee: "Grace".into(),
        plan_ids: vec!["growth".into()],
        ..any()
    };
    let of_growth = Reliability {
        missed_with_notice: 0,
        released: 0,
        open: 0,
        ..grace
    };
    assert_eq!(reliability(&daemon, of_grace).await, [of_growth]);
    let of_nobody = GetReliabilityRequest {
        assignee: "Nobody".into(),
        ..any()
    };
    assert_eq!(reliability(&daemon, of_nobody).await, []);
    let then = GetReliabilityRequest {
        as_of: Some(point(At::Position(made))),
        ..any()
    };
    let promised = Reliability {
        assignee: "Ada".into(),
        open: 3,
        ..Default::default()
    };
    assert_eq!(reliability(&daemon, then).await, [promised]);
}

#[tokio::test]
async fn what_a_query_for_reliability_shows_wrong_is_said_at_once() {
    let (_dir, daemon, _) = kept().await;
    let wrong = GetReliabilityRequest {
        assignee: "a".repeat(201),
        plan_ids: vec![String::new()],
        as_of: Some(point(At::OccurredAt(from_now(-1)))),
        page_size: 1_001,
        ..Default::default()
    };
    let refusal = refused(daemon.advice().get_reliability(wrong).await);
    assert_eq!(refusal.kind(), MALFORMED);
    assert_eq!(
        refusal.fields,
        ["assignee", "plan_ids[0]", "as_of", "page_size"]
    );
    let page_token = "00".into();
    let forged = GetReliabilityRequest {
        page_token,
        ..Default::default()
    };
    let refusal = refused(daemon.advice().get_reliability(forged).await);
    assert_eq!(refusal.fields, ["page_token"]);
}
