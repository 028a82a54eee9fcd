//! Imports sent to a daemon that is played: it records what it is sent, and refuses, goes away or
//! hangs up at requests whose id says so.

use std::{
    collections::BTreeSet,
    io::Cursor,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use async_stream::stream;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::{Request, Response, transport::Server};
use tonic_types::pb;

use super::*;
use crate::proto::{
    self,
    execute_stream_response::Outcome,
    plan_service_server::{PlanService, PlanServiceServer},
};

/// The requests a played daemon has seen.
#[derive(Default)]
struct Seen {
    /// Those recorded, in order.
    recorded: Vec<String>,
    /// Those at which it went away, which it does once each.
    gone_at: BTreeSet<String>,
}

#[derive(Clone, Default)]
struct Played(Arc<Mutex<Seen>>);

impl Played {
    fn recorded(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recorded
            .clone()
    }

    /// The answer to a request; `None` hangs up.
    fn answer(&self, request_id: &str) -> Option<Outcome> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first_time = seen.gone_at.insert(request_id.to_owned());
        if request_id.starts_with("refused") {
            return Some(refusal(Code::FailedPrecondition));
        }
        if request_id.starts_with("hindered") && first_time {
            return Some(hindrance());
        }
        if request_id.starts_with("busy") && first_time {
            return Some(refusal(Code::Unavailable));
        }
        let replayed = seen.recorded.iter().any(|known| known == request_id);
        if !replayed {
            seen.recorded.push(request_id.to_owned());
        }
        if request_id.starts_with("cut") && first_time {
            return None;
        }
        let entry = proto::LogEntry {
            position: seen.recorded.len() as u64,
            ..Default::default()
        };
        Some(Outcome::Response(proto::ExecuteResponse {
            entry: Some(entry),
            replayed,
            ..Default::default()
        }))
    }
}

fn hindrance() -> Outcome {
    use tonic_types::{ErrorDetails, StatusExt as _};
    let mut details = ErrorDetails::new();
    details.set_error_info(
        "DISK_RESERVE",
        "strata.v1",
        std::collections::HashMap::new(),
    );
    let status = Status::with_error_details(Code::ResourceExhausted, "no room", details);
    let status: pb::Status = prost::Message::decode(status.details()).expect("a status");
    Outcome::Error(status)
}

fn refusal(code: Code) -> Outcome {
    Outcome::Error(pb::Status {
        code: code.into(),
        message: "so it was asked for".to_owned(),
        details: Vec::new(),
    })
}

#[tonic::async_trait]
impl PlanService for Played {
    type ExecuteStreamStream =
        Pin<Box<dyn Stream<Item = Result<ExecuteStreamResponse, Status>> + Send>>;

    async fn execute(
        &self,
        _: Request<ExecuteRequest>,
    ) -> Result<Response<proto::ExecuteResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn execute_stream(
        &self,
        requests: Request<Streaming<ExecuteStreamRequest>>,
    ) -> Result<Response<Self::ExecuteStreamStream>, Status> {
        let daemon = self.clone();
        let mut requests = requests.into_inner();
        let answers = stream! {
            while let Some(Ok(request)) = requests.next().await {
                let request_id = request.execute.unwrap_or_default().request_id;
                // Slow enough for everything that may be under way to be sent.
                sleep(Duration::from_millis(20)).await;
                let Some(outcome) = daemon.answer(&request_id) else { return };
                yield Ok(ExecuteStreamResponse { outcome: Some(outcome) });
            }
        };
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_plan(
        &self,
        _: Request<proto::GetPlanRequest>,
    ) -> Result<Response<proto::GetPlanResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn list_plans(
        &self,
        _: Request<proto::ListPlansRequest>,
    ) -> Result<Response<proto::ListPlansResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

/// Sends requests (plan, request id) to the played daemon.
async fn import(daemon: &Played, requests: &[(&str, &str)]) -> Result<Tally, ImportError> {
    import_as(daemon, requests, |sending| sending).await
}

async fn import_as(
    daemon: &Played,
    requests: &[(&str, &str)],
    made: impl for<'a> FnOnce(Sending<'a, Cursor<String>>) -> Sending<'a, Cursor<String>>,
) -> Result<Tally, ImportError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let server = Server::builder()
        .add_service(PlanServiceServer::new(daemon.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let server = tokio::spawn(server);
    let line_of = |(plan_id, request_id): &(&str, &str)| {
        format!("{{\"plan_id\":\"{plan_id}\",\"request_id\":\"{request_id}\"}}")
    };
    let text = requests.iter().map(line_of).collect::<Vec<_>>().join("\n");
    let remote = Remote::parse(&address).expect("an address");
    let progress = ProgressBar::hidden();
    let lines = Lines::new(Cursor::new(text));
    let outcome = made(Sending::new(&remote, lines, &progress)).run().await;
    server.abort();
    outcome
}

fn tally(recorded: u64, replayed: u64, refused: u64) -> Tally {
    Tally {
        recorded,
        replayed,
        refused,
        validated: 0,
    }
}

#[tokio::test]
async fn an_import_run_twice_records_once() {
    let daemon = Played::default();
    let requests = [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")];
    let first = import(&daemon, &requests).await.expect("it is recorded");
    assert_eq!(first, tally(4, 0, 0));
    let again = import(&daemon, &requests).await.expect("it is replayed");
    assert_eq!(again, tally(0, 4, 0));
    assert_eq!(daemon.recorded(), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_refused_line_is_never_overtaken_by_a_later_one_of_its_plan() {
    let daemon = Played::default();
    let requests = [
        ("a", "1"),
        ("b", "2"),
        ("a", "refused"),
        ("c", "3"),
        ("a", "4"),
        ("d", "5"),
    ];
    let error = import(&daemon, &requests)
        .await
        .expect_err("one is refused");
    assert_eq!(daemon.recorded(), ["1", "2", "3"]);
    let ImportError::Refused {
        line,
        refusal,
        tally: found,
        others,
    } = error
    else {
        panic!("another error: {error}");
    };
    assert_eq!(line, 3);
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert_eq!(found, tally(3, 0, 1));
    assert_eq!((others.settled, others.unknown), (1, 0));
}

#[tokio::test]
async fn a_daemon_that_is_busy_is_asked_again_and_nothing_is_recorded_twice() {
    let daemon = Played::default();
    let requests = [("a", "1"), ("b", "busy"), ("c", "2"), ("a", "3")];
    import(&daemon, &requests)
        .await
        .expect("all is recorded in the end");
    let mut recorded = daemon.recorded();
    recorded.sort();
    assert_eq!(recorded, ["1", "2", "3", "busy"]);
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_answer_loses_and_repeats_nothing() {
    let daemon = Played::default();
    let requests = [("a", "1"), ("a", "cut"), ("b", "2"), ("a", "3")];
    let found = import(&daemon, &requests)
        .await
        .expect("all is recorded in the end");
    assert_eq!(found, tally(3, 1, 0));
    assert_eq!(daemon.recorded(), ["1", "cut", "2", "3"]);
}

#[tokio::test]
async fn nothing_to_send_is_done() {
    let found = import(&Played::default(), &[])
        .await
        .expect("nothing can fail");
    assert_eq!(found, Tally::default());
}

#[tokio::test]
async fn a_daemon_without_room_is_waited_for_by_itself_and_named_to_others() {
    let requests = [("a", "hindered"), ("a", "next")];
    let (room_comes, no_room) = (Played::default(), Played::default());
    let found = import_as(&room_comes, &requests, |mut sending| {
        sending.first_patience = Duration::ZERO;
        sending.through_hindrances()
    });
    assert_eq!(found.await.expect("recorded in the end"), tally(2, 0, 0));

    let ended = import_as(&no_room, &requests, |mut sending| {
        sending.first_patience = Duration::ZERO;
        sending
    });
    let said = ended.await.expect_err("it gave up").to_string();
    assert!(
        said.contains("refuses for now: RESOURCE_EXHAUSTED (DISK_RESERVE)"),
        "{said}"
    );
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_named_with_what_to_do() {
    let remote = Remote::parse("127.0.0.1:1").expect("an address");
    let progress = ProgressBar::hidden();
    let lines = Lines::new(Cursor::new("{\"plan_id\":\"a\",\"request_id\":\"1\"}"));
    let mut sending = Sending::new(&remote, lines, &progress);
    sending.first_patience = Duration::from_millis(50);
    let error = sending
        .run()
        .await
        .expect_err("nothing listens there")
        .to_string();
    assert!(
        error.contains("cannot connect to http://127.0.0.1:1"),
        "{error}"
    );
    assert!(
        error.contains("is `stratad serve` running there?"),
        "{error}"
    );
    assert!(error.contains("0 recorded"), "{error}");
}
