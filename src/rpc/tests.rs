//! Promises of the services' queries, on a log that is written as the writer writes it.

use std::{
    pin::pin,
    task::{Context as Poll, Waker},
};

use prost::Message as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    admin_service::{Process, Standing},
    bookmark::Bookmark,
    gate::Caller,
    history_service::History,
    log_stream::Start,
    plan_service::Plans,
    query::Checks,
    *,
};
use crate::{
    access::{Principal, rights::Rpc},
    domain::{given, value::Time},
    journal::fake::FakeJournal,
    proto::{
        self, GetPlanRequest, GetPlanResponse, ListEventsRequest, ListPlansRequest, PlanState,
        Point, event::Kind, history_service_server::HistoryService,
        plan_service_server::PlanService, point, read_log_request::Start as StartAt,
    },
    writer::guard::Machine,
};

mod abandoned;
mod backup;
mod gate;

struct World {
    journal: Arc<FakeJournal>,
    core: Arc<Core>,
    gate: Gate,
    _dir: TempDir,
}

impl World {
    /// `growth` with a commit of three events, one of `retreat`, and two more of `growth`.
    fn new() -> Self {
        let journal = Arc::new(FakeJournal::new());
        let dir = tempfile::tempdir().expect("a directory");
        let interrupt = CancellationToken::new();
        let view = View::open(
            &dir.path().join("view"),
            journal.clone(),
            1 << 20,
            &interrupt,
        );
        let view = Arc::new(view.expect("the view opens"));
        let feed = Feed::new(journal.clone(), 1 << 20);
        let log: Arc<dyn Journal> = journal.clone();
        let machine = Machine::with_disk_of(dir.path()).expect("a disk");
        let guard = Guard::new(machine, 0, Time::default());
        let (writer, _) = Writer::new(log.clone(), view.clone(), feed.clone(), 1, guard.clone());
        let gate = Gate::default();
        let core = Arc::new(Core {
            journal: log,
            view,
            feed,
            writer,
            signing_key: SigningKey::random([7; 16]).expect("a key"),
            guard,
            sync_stall: Duration::ZERO,
            started_at: SystemTime::UNIX_EPOCH,
            plan_cache_bytes: 1 << 20,
            process: Process {
                set_log_filter: |filter, _| Err(filter.to_owned()),
                look: Box::new(Standing::default),
            },
        });
        gate.open(core.clone());
        let world = Self {
            journal,
            core,
            gate,
            _dir: dir,
        };
        world.commit("growth", 1, [created("Growth", "eu"), noted(), noted()]);
        world.commit("retreat", 1, [created("Ruhe über alles", "us")]);
        world.commit("growth", 4, [noted()]);
        world.commit("growth", 5, [archived()]);
        world
    }

    fn commit<const N: usize>(&self, plan_id: &str, first_revision: u64, kinds: [Kind; N]) {
        let core = self.core();
        let position = self.journal.head() + 1;
        let commit = proto::Commit {
            plan_id: plan_id.into(),
            first_revision,
            // Ten seconds apart, but the second and third at once.
            recorded_at: Some(given::at(if position == 3 {
                20
            } else {
                10 * position.cast_signed()
            })),
            actor: "anonymous".into(),
            request_id: format!("request-{position}"),
            events: (first_revision..)
                .zip(kinds)
                .map(|(r, kind)| given::event(r, kind))
                .collect(),
            ..Default::default()
        };
        self.journal
            .append_foreign(&[commit.encode_to_vec().into()]);
        let followed = core.view.follow(|recent| core.feed.publish(vec![recent]));
        followed.expect("followed");
    }

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    async fn plan_at(&self, plan_id: &str, point: point::Point) -> Result<(u64, bool), Status> {
        let request = GetPlanRequest {
            plan_id: plan_id.into(),
            as_of: Some(Point { point: Some(point) }),
            ..Default::default()
        };
        let shown = Plans::new(self.gate.clone())
            .get_plan(by_anybody(request))
            .await?;
        // As a client has it.
        let sent = shown.into_inner().encode_to_vec();
        let shown = GetPlanResponse::decode(&*sent).expect("it decodes");
        Ok((shown.plan.expect("a plan").revision, shown.inside_commit))
    }

    async fn list(&self, query: ListPlansRequest) -> Result<(Vec<String>, String), Status> {
        let listed = Plans::new(self.gate.clone())
            .list_plans(by_anybody(query))
            .await?;
        let listed = listed.into_inner();
        assert_eq!(listed.position, 4);
        let ids = listed.plans.into_iter().map(|plan| plan.plan_id).collect();
        Ok((ids, listed.next_page_token))
    }

    async fn events(&self, query: ListEventsRequest) -> Result<(Vec<u64>, String), Status> {
        let listed = History::new(self.gate.clone())
            .list_events(by_anybody(query))
            .await?;
        let listed = listed.into_inner();
        let revisions = listed.events.into_iter();
        let revisions = revisions.map(|it| it.event.expect("an event").revision);
        Ok((revisions.collect(), listed.next_page_token))
    }

    async fn resolve(&self, start: StartAt) -> Result<u64, Status> {
        let mut check = Checks::default();
        let start = Start::of(Some(start), &mut check);
        check.finish()?;
        start.resolve(self.core()).await
    }
}

/// A request of whoever calls a daemon that asks nobody.
fn by_anybody<T>(message: T) -> Request<T> {
    by(&Principal::anonymous(), message)
}

fn by<T>(caller: &Principal, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

fn anybody_at(gate: &Gate) -> Caller<'_> {
    let caller = gate.caller(&by_anybody(()), Rpc::GetPlan);
    caller.expect("permitted")
}

fn created(title: &str, region: &str) -> Kind {
    Kind::PlanCreated(proto::PlanCreated {
        title: title.into(),
        labels: [("region".to_owned(), region.to_owned())].into(),
        ..Default::default()
    })
}

fn noted() -> Kind {
    Kind::NoteRecorded(proto::NoteRecorded::default())
}

fn archived() -> Kind {
    Kind::PlanArchived(proto::PlanArchived::default())
}

fn events_of(plan_id: &str) -> ListEventsRequest {
    ListEventsRequest {
        plan_id: plan_id.into(),
        ..Default::default()
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("refused");
    let info = status.get_details_error_info().expect("a reason");
    assert_eq!(info.domain, "strata.v1");
    (status.code(), info.reason)
}

fn refusal(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

#[tokio::test]
async fn a_point_in_a_plans_history_names_a_revision_and_may_lie_inside_a_commit() {
    use point::Point::{Position, Revision};
    let world = World::new();
    for (point, expected) in [
        (Revision(1), (1, true)),
        (Revision(2), (2, true)),
        (Revision(3), (3, false)),
        (Revision(4), (4, false)),
        (Revision(5), (5, false)),
        (Position(1), (3, false)),
        (Position(2), (3, false)),
        (Position(3), (4, false)),
        (Position(4), (5, false)),
    ] {
        let shown = world.plan_at("growth", point).await.expect("there");
        assert_eq!(shown, expected, "{point:?}");
    }
    for (plan_id, point, code, reason) in [
        (
            "growth",
            Revision(0),
            Code::InvalidArgument,
            "MALFORMED_REQUEST",
        ),
        (
            "growth",
            Position(0),
            Code::InvalidArgument,
            "MALFORMED_REQUEST",
        ),
        ("growth", Revision(6), Code::OutOfRange, "BEYOND_HEAD"),
        ("growth", Position(5), Code::OutOfRange, "BEYOND_HEAD"),
        ("retreat", Position(1), Code::NotFound, "PLAN_NOT_FOUND"),
        ("nowhere", Revision(1), Code::NotFound, "PLAN_NOT_FOUND"),
    ] {
        let answer = world.plan_at(plan_id, point).await;
        assert_eq!(
            refused(answer),
            refusal(code, reason),
            "{plan_id} {point:?}"
        );
    }
}

#[tokio::test]
async fn plans_are_listed_by_state_label_and_text() {
    let world = World::new();
    let any = ListPlansRequest::default;
    let labelled = |labels: &[&str]| ListPlansRequest {
        labels: labels.iter().map(|it| (*it).to_owned()).collect(),
        ..any()
    };
    let text = |text: &str| ListPlansRequest {
        text: text.into(),
        ..any()
    };
    let state = |state: PlanState| ListPlansRequest {
        state: state.into(),
        ..any()
    };
    for (query, expected) in [
        (any(), &["growth", "retreat"][..]),
        (state(PlanState::Active), &["retreat"]),
        (state(PlanState::Archived), &["growth"]),
        (labelled(&["region"]), &["growth", "retreat"]),
        (labelled(&["region=eu"]), &["growth"]),
        (labelled(&["region", "team"]), &[]),
        (labelled(&["region="]), &[]),
        (text("ÜBER"), &["retreat"]),
        (text("grow"), &["growth"]),
        (text("nothing"), &[]),
    ] {
        let (listed, token) = world.list(query.clone()).await.expect("listed");
        assert_eq!(
            (listed.as_slice(), token.as_str()),
            (expected_of(expected).as_slice(), ""),
            "{query:?}"
        );
    }
    let bad = ListPlansRequest {
        state: 9,
        labels: vec![String::new(), "=x".into()],
        text: "x".repeat(201),
        ..any()
    };
    let status = world.list(bad).await.expect_err("refused");
    let fields = status
        .get_details_bad_request()
        .expect("fields")
        .field_violations;
    let fields: Vec<_> = fields.into_iter().map(|it| it.field).collect();
    assert_eq!(fields, ["state", "labels[0]", "labels[1]", "text"]);
}

fn expected_of(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test]
async fn a_page_goes_on_where_the_one_before_ended_and_only_with_its_own_query() {
    let world = World::new();
    let page = |page_token: String| ListPlansRequest {
        page_size: 1,
        page_token,
        ..Default::default()
    };
    let (first, token) = world.list(page(String::new())).await.expect("listed");
    let (second, end) = world.list(page(token.clone())).await.expect("listed");
    assert_eq!(
        (first, second, end),
        (vec!["growth".into()], vec!["retreat".into()], String::new())
    );
    let other = ListPlansRequest {
        text: "x".into(),
        ..page(token.clone())
    };
    for query in [
        other,
        page("zz".into()),
        page(token.replace(|_: char| true, "f")),
    ] {
        let answer = world.list(query).await;
        assert_eq!(
            refused(answer),
            refusal(Code::InvalidArgument, "MALFORMED_REQUEST")
        );
    }

    for newest_first in [false, true] {
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let query = ListEventsRequest {
                page_size: 2,
                newest_first,
                page_token: token,
                ..events_of("growth")
            };
            let (revisions, next) = world.events(query).await.expect("listed");
            listed.extend(revisions);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        if newest_first {
            listed.reverse();
        }
        assert_eq!(listed, [1, 2, 3, 4, 5]);
    }
}

#[tokio::test]
async fn a_token_that_was_made_up_is_refused_or_empty_but_never_harmful() {
    let world = World::new();
    let query = events_of("growth");
    let beyond = ListEventsRequest {
        page_token: page::token(&query, &[0xff; 8]),
        ..query.clone()
    };
    assert_eq!(
        world.events(beyond).await.expect("listed").0,
        Vec::<u64>::new()
    );
    let short = ListEventsRequest {
        page_token: page::token(&query, &[1; 7]),
        ..query
    };
    let answer = world.events(short).await;
    assert_eq!(
        refused(answer),
        refusal(Code::InvalidArgument, "MALFORMED_REQUEST")
    );
}

#[tokio::test]
async fn events_are_listed_between_two_points_and_by_what_they_are() {
    use point::Point::{Position, Revision};
    let world = World::new();
    let between = |from, to| ListEventsRequest {
        from: Some(Point { point: Some(from) }),
        to: Some(Point { point: Some(to) }),
        ..events_of("growth")
    };
    for (from, to, expected) in [
        (Revision(2), Revision(4), &[2, 3, 4][..]),
        (Position(1), Position(1), &[1, 2, 3]),
        (Position(2), Position(2), &[]),
        (Position(2), Position(4), &[4, 5]),
        (Revision(4), Revision(2), &[]),
        (Revision(5), Revision(5), &[5]),
    ] {
        let (revisions, _) = world.events(between(from, to)).await.expect("listed");
        assert_eq!(revisions, expected, "{from:?} to {to:?}");
    }
    for (from, to, code) in [
        (Revision(0), Revision(1), Code::InvalidArgument),
        (Revision(1), Revision(0), Code::InvalidArgument),
        (Position(1), Position(0), Code::InvalidArgument),
        (Revision(6), Revision(9), Code::OutOfRange),
        (Position(5), Position(9), Code::OutOfRange),
        (Revision(1), Revision(6), Code::OutOfRange),
        (Position(1), Position(5), Code::OutOfRange),
    ] {
        let status = world.events(between(from, to)).await.expect_err("refused");
        assert_eq!(status.code(), code, "{from:?} to {to:?}");
    }
    let notes = ListEventsRequest {
        event_types: vec!["NoteRecorded".into()],
        actors: vec!["anonymous".into()],
        ..events_of("growth")
    };
    assert_eq!(world.events(notes).await.expect("listed").0, [2, 3, 4]);
}

#[tokio::test]
async fn a_status_fits_its_headers_whatever_was_wrong() {
    let world = World::new();
    let many = ListEventsRequest {
        plan_id: "growth".into(),
        event_types: vec!["é".repeat(100); 2_000],
        ..Default::default()
    };
    let long = events_of(&"x".repeat(100_000));
    for query in [many, long] {
        let status = world.events(query).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        let bytes = status.message().len() + status.details().len();
        assert!(bytes < 8 << 10, "{bytes} bytes");
        assert!(
            !status
                .get_details_bad_request()
                .expect("fields")
                .field_violations
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_stream_starts_where_it_was_asked_to() {
    let world = World::new();
    let time = |seconds| StartAt::FromTime(given::at(seconds));
    let bookmark = Bookmark::at(world.core(), 2).expect("readable").to_bytes();
    let start_of_all = Bookmark::at(world.core(), 0).expect("readable").to_bytes();
    for (start, expected) in [
        (StartAt::FromPosition(1), 1),
        (StartAt::FromPosition(5), 5),
        (StartAt::FromNow(true), 5),
        (StartAt::Bookmark(bookmark.clone().into()), 3),
        (StartAt::Bookmark(start_of_all.into()), 1),
        (time(crate::domain::value::Time::MIN_SECONDS), 1),
        (time(10), 1),
        (time(11), 2),
        (time(20), 2),
        (time(21), 4),
        (time(40), 4),
        (time(41), 5),
        (time(crate::domain::value::Time::MAX_SECONDS), 5),
    ] {
        assert_eq!(world.resolve(start).await.expect("a place"), expected);
    }
    let mut elsewhere = bookmark.clone();
    elsewhere[1] ^= 1;
    let mut rewritten = bookmark.clone();
    *rewritten.last_mut().expect("a byte") ^= 1;
    let mut ahead = bookmark.clone();
    ahead[17] = 0xff;
    for bookmark in [elsewhere, rewritten, ahead] {
        let answer = world.resolve(StartAt::Bookmark(bookmark.into())).await;
        assert_eq!(
            refused(answer),
            refusal(Code::FailedPrecondition, "LOG_DIVERGED")
        );
    }
    for (start, code) in [
        (StartAt::FromPosition(0), Code::InvalidArgument),
        (StartAt::FromNow(false), Code::InvalidArgument),
        (time(i64::MAX), Code::InvalidArgument),
        (StartAt::Bookmark(vec![1, 2].into()), Code::InvalidArgument),
        (StartAt::FromPosition(6), Code::OutOfRange),
    ] {
        assert_eq!(
            world.resolve(start).await.expect_err("refused").code(),
            code
        );
    }
}

#[tokio::test]
async fn the_first_commit_of_a_time_is_found_in_a_log_of_any_length() {
    for commits in 0..12 {
        let world = World::new();
        for revision in 0..commits {
            world.commit("growth", 6 + revision, [noted()]);
        }
        let head = world.journal.head();
        for position in 4..=head {
            let exact = StartAt::FromTime(given::at(10 * position.cast_signed()));
            assert_eq!(world.resolve(exact).await.expect("a place"), position);
            let after = StartAt::FromTime(given::at(10 * position.cast_signed() + 1));
            assert_eq!(world.resolve(after).await.expect("a place"), position + 1);
        }
    }
}

#[tokio::test]
async fn the_gate_says_that_the_daemon_starts_or_stops() {
    let closed = Gate::default();
    let answer = anybody_at(&closed).core().map(|_| ());
    assert_eq!(refused(answer), refusal(Code::Unavailable, "STARTING"));
    let world = World::new();
    world.gate.stop();
    let answer = anybody_at(&world.gate).core().map(|_| ());
    assert_eq!(refused(answer), refusal(Code::Unavailable, "STOPPING"));
}

#[tokio::test]
async fn a_query_waits_for_the_position_it_asks_for_until_the_daemon_stops() {
    let world = World::new();
    let mut poll = Poll::from_waker(Waker::noop());
    {
        let caller = anybody_at(&world.gate);
        let mut waiting = pin!(caller.core_at(5));
        assert!(waiting.as_mut().poll(&mut poll).is_pending());
        world.commit("retreat", 2, [noted()]);
        assert!(waiting.await.is_ok());
    }
    let caller = anybody_at(&world.gate);
    let mut waiting = pin!(caller.core_at(99));
    assert!(waiting.as_mut().poll(&mut poll).is_pending());
    world.gate.stop();
    let answer = waiting.await.map(|_| ());
    assert_eq!(refused(answer), refusal(Code::Unavailable, "STOPPING"));
}

#[test]
fn a_calls_timeout_is_read_in_every_unit() {
    assert_eq!(parse_timeout("5S"), Some(Duration::from_secs(5)));
    assert_eq!(parse_timeout("100m"), Some(Duration::from_millis(100)));
    assert_eq!(
        parse_timeout("99999999H"),
        Some(Duration::from_secs(99_999_999 * 3_600))
    );
    for bad in ["", "S", "5", "5s", "-5S", "123456789S", "5é"] {
        assert_eq!(parse_timeout(bad), None, "{bad}");
    }
}
