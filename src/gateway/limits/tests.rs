//! Promises of the limits, on services that answer when they are told to.

use std::{convert::Infallible, future::Ready};

use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::access::Grant;

const GET_PLAN: &str = "/strata.v1.PlanService/GetPlan";
const EXECUTE: &str = "/strata.v1.PlanService/Execute";
const EXECUTE_STREAM: &str = "/strata.v1.PlanService/ExecuteStream";
const GET_STATUS: &str = "/strata.v1.AdminService/GetStatus";
const WATCH: &str = "/strata.v1.HistoryService/Watch";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// Answers at once with a body that never ends by itself.
#[derive(Clone)]
struct Endless {
    has_more: bool,
}

impl Service<http::Request<()>> for Endless {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        let has_more = self.has_more;
        let body = Body::new(Unending { has_more });
        std::future::ready(Ok(http::Response::new(body)))
    }
}

/// A body that always has more, or never.
struct Unending {
    has_more: bool,
}

impl http_body::Body for Unending {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
        if !self.has_more {
            return Poll::Pending;
        }
        let data = bytes::Bytes::from_static(b"more");
        Poll::Ready(Some(Ok(http_body::Frame::data(data))))
    }
}

fn limited(limits: &Limits) -> Limited<Endless> {
    LimitsLayer::new(limits).layer(Endless { has_more: false })
}

/// The answer to a call, with what it holds; or why it was refused.
async fn call(
    services: &Limited<Endless>,
    caller: &str,
    path: &str,
) -> Result<http::Response<Body>, Status> {
    let mut request = http::Request::new(());
    *request.uri_mut() = path.parse().expect("a path");
    let grants: Vec<Grant> = Vec::new();
    request
        .extensions_mut()
        .insert(Principal::new(caller, grants));
    let answer = services.clone().call(request).await;
    let answer = answer.expect("answered");
    match Status::from_header_map(answer.headers()) {
        Some(refused) => Err(refused),
        None => Ok(answer),
    }
}

#[track_caller]
fn reason(refused: Result<http::Response<Body>, Status>) -> String {
    let refused = refused.expect_err("refused");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let info = refused.get_details_error_info().expect("an ErrorInfo");
    info.reason
}

#[tokio::test]
async fn a_caller_has_so_many_calls_under_way_and_others_have_theirs() {
    let services = limited(&Limits {
        calls_at_once: 2,
        watches_at_once: 1,
        ..Limits::default()
    });
    let first = call(&services, "a", GET_PLAN).await.expect("the first");
    let _second = call(&services, "a", EXECUTE).await.expect("the second");
    let third = call(&services, "a", GET_PLAN).await;
    assert_eq!(reason(third), "CONCURRENCY_LIMIT");
    let _watch = call(&services, "a", WATCH).await.expect("not a call");
    assert_eq!(reason(call(&services, "a", WATCH).await), "WATCH_LIMIT");
    call(&services, "a", HEALTH).await.expect("never limited");
    let _other = call(&services, "b", GET_PLAN).await.expect("another's");
    drop(first);
    call(&services, "a", GET_PLAN).await.expect("a place again");
}

#[tokio::test]
async fn a_rate_is_each_callers_own_and_says_when_it_has_room_again() {
    let services = limited(&Limits {
        calls_per_second: 1,
        calls_burst: 3,
        ..Limits::default()
    });
    for _ in 0..3 {
        call(&services, "a", GET_PLAN)
            .await
            .expect("within the burst");
    }
    let refused = call(&services, "a", GET_PLAN).await;
    let refused = refused.expect_err("over the rate");
    let wait = refused.get_details_retry_info().expect("a RetryInfo");
    let wait = wait.retry_delay.expect("a delay");
    assert!(
        wait <= Duration::from_secs(1) && !wait.is_zero(),
        "{wait:?}"
    );
    let quota = refused.get_details_quota_failure().expect("a QuotaFailure");
    assert_eq!(quota.violations[0].subject, "principal:a");
    assert_eq!(reason(Err(refused)), "RATE_LIMIT");
    call(&services, "a", HEALTH).await.expect("never limited");
    call(&services, "b", GET_PLAN).await.expect("another's");
}

#[tokio::test]
async fn who_takes_much_leaves_room_for_others_and_operators_always_have_some() {
    let services = limited(&Limits {
        calls_at_once: u32::MAX,
        ..Limits::default()
    });
    let mut held = Vec::new();
    for caller in ["a", "b", "c"] {
        let shed = loop {
            match call(&services, caller, GET_PLAN).await {
                Ok(answer) => held.push(answer),
                Err(refused) => break refused,
            }
        };
        assert!(shed.get_details_retry_info().is_some());
        assert_eq!(reason(Err(shed)), "OVERLOADED");
        call(&services, caller, GET_STATUS)
            .await
            .expect("an operator's");
        // Writes have places of their own.
        call(&services, "writer", EXECUTE).await.expect("a write");
        held.push(
            call(&services, "modest", GET_PLAN)
                .await
                .expect("room is left"),
        );
    }
    held.clear();
    assert_eq!(services.shared.reads.load(Ordering::Acquire), 0);
    call(&services, "a", GET_PLAN).await.expect("room again");
}

/// A watch whose caller gives it 10 ms.
fn brief_watch() -> http::Request<()> {
    let mut request = http::Request::new(());
    *request.uri_mut() = WATCH.parse().expect("a path");
    let timeout = http::HeaderValue::from_static("10m");
    request.headers_mut().insert("grpc-timeout", timeout);
    request
}

/// How a watch ends whose caller gives it 10 ms.
async fn end_at_deadline<S>(mut services: S) -> Status
where
    S: Service<http::Request<()>, Response = http::Response<Body>, Error = Infallible>,
{
    let answer = services.call(brief_watch()).await.expect("answered");
    let mut body = std::pin::pin!(answer.into_body());
    loop {
        let frame = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await;
        let frame = frame.expect("an end").expect("trailers");
        if let Ok(trailers) = frame.into_trailers() {
            return Status::from_header_map(&trailers).expect("a status");
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_ends_at_the_deadline_of_its_caller() {
    let status = end_at_deadline(limited(&Limits::default())).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let words = "go on from what came last";
    assert!(status.message().contains(words), "{status:?}");
}

#[tokio::test]
async fn a_stream_that_always_has_more_ends_at_the_deadline_of_its_caller() {
    let services = LimitsLayer::new(&Limits::default()).layer(Endless { has_more: true });
    let status = end_at_deadline(services).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn nobody_looks_out_for_a_stream_that_is_at_its_end_when_it_begins() {
    let refuse = |_| std::future::ready(Ok::<_, Infallible>(status::overloaded().into_http()));
    let mut services = LimitsLayer::new(&Limits::default()).layer(tower::service_fn(refuse));
    let _answer = services.call(brief_watch()).await.expect("answered");
    let tasks = tokio::runtime::Handle::current().metrics();
    assert_eq!(tasks.num_alive_tasks(), 0);
}

#[tokio::test]
async fn streams_that_stand_open_keep_nobody_from_writing() {
    let services = limited(&Limits {
        calls_at_once: u32::MAX,
        ..Limits::default()
    });
    let mut open = Vec::new();
    let refused = loop {
        match call(&services, "a", EXECUTE_STREAM).await {
            Ok(stream) => open.push(stream),
            Err(refused) => break refused,
        }
    };
    assert_eq!(reason(Err(refused)), "OVERLOADED");
    assert_eq!(services.shared.writes.load(Ordering::Acquire), 0);
    call(&services, "b", EXECUTE).await.expect("a write");
}

#[tokio::test]
async fn callers_at_rest_are_forgotten_and_those_who_call_are_not() {
    let services = limited(&Limits {
        calls_per_second: 1_000,
        ..Limits::default()
    });
    let _under_way = call(&services, "busy", GET_PLAN).await.expect("a call");
    for number in 0..5_000 {
        let caller = format!("caller-{number}");
        call(&services, &caller, GET_PLAN).await.expect("a call");
    }
    let known = services.shared.callers.known_count();
    assert!(known < 5_000, "{known} are known");
    assert_eq!(
        services
            .shared
            .callers
            .of(&"busy".into())
            .under_way
            .load(Ordering::Acquire),
        1
    );
}

#[tokio::test]
async fn an_answer_that_was_ready_too_late_is_given_only_where_something_was_done() {
    let late = async |_: http::Request<()>| {
        // As when the runtime comes to the answer and to its time at once.
        std::thread::sleep(Duration::from_millis(20));
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    };
    for (path, given) in [(GET_PLAN, false), (EXECUTE, true)] {
        let mut services = LimitsLayer::new(&Limits::default()).layer(tower::service_fn(late));
        let mut request = http::Request::new(());
        *request.uri_mut() = path.parse().expect("a path");
        let in_time = "10m".parse().expect("a value");
        request.headers_mut().insert("grpc-timeout", in_time);
        let answer = services.call(request).await.expect("answered");
        let refused = Status::from_header_map(answer.headers());
        let code = refused.map(|it| it.code());
        assert_eq!(code, (!given).then_some(Code::DeadlineExceeded), "{path}");
    }
}
