//! `ExecuteStream`: many requests on their way at once, decided and answered in the order in which
//! they were sent, whatever becomes of each.

use prost::Message as _;
use strata::proto::{
    ExecuteRequest, ExecuteResponse, ExecuteStreamRequest, ReadLogRequest,
    execute_stream_response::Outcome,
};
use tempfile::tempdir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{
        Refused, add_tactic, commands, correct_note, execute, position, read_log, reading,
        try_tactic,
    },
};

/// Sends all requests before it looks at an answer, and returns one outcome each.
async fn send(daemon: &Daemon, requests: Vec<ExecuteRequest>) -> Vec<Outcome> {
    let requests = requests.into_iter().map(|request| ExecuteStreamRequest {
        execute: Some(request),
    });
    outcomes(daemon, requests.collect()).await
}

async fn outcomes(daemon: &Daemon, requests: Vec<ExecuteStreamRequest>) -> Vec<Outcome> {
    let sent = tokio_stream::iter(requests);
    let answer = daemon.plans().execute_stream(sent).await.expect("streamed");
    let mut stream = answer.into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = stream.message().await.expect("the stream goes on") {
        outcomes.push(answer.outcome.expect("an outcome"));
    }
    outcomes
}

#[track_caller]
fn recorded(outcome: &Outcome) -> &ExecuteResponse {
    match outcome {
        Outcome::Response(response) => response,
        Outcome::Error(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_stream_is_answered_in_the_order_in_which_it_was_sent() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let plan_of = |n: u64| format!("plan-{}", n % 3);
    let mut requests: Vec<_> = (0..3)
        .map(|n| request(&plan_of(n), "begun", create_plan()))
        .collect();
    requests.extend((3..600).map(|n| request(&plan_of(n), &format!("{n}"), note("Noted"))));
    let outcomes = send(&daemon, requests.clone()).await;
    assert_eq!(outcomes.len(), requests.len());
    for ((outcome, request), number) in outcomes.iter().zip(&requests).zip(1..) {
        let response = recorded(outcome);
        assert_eq!((position(response), response.replayed), (number, false));
        let entry = response.entry.as_ref().expect("an entry");
        let commit = entry.decode_commit().expect("a commit");
        assert_eq!(commit.request_id, request.request_id);
        assert_eq!(commit.plan_id, request.plan_id);
    }
    let log = read_log(&daemon, ReadLogRequest::default()).await;
    let answered = outcomes
        .iter()
        .map(|outcome| recorded(outcome).entry.as_ref());
    assert!(answered.eq(log.iter().map(Some)));
}

#[tokio::test]
async fn a_refusal_answers_its_request_and_the_stream_goes_on() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    let refused = [
        request("Growth", "a", note("x")),
        request("bakery", "b", note("x")),
        commands("growth", "c", [add_tactic("t"), try_tactic("none")]),
        request("growth", "begun", note("Another")),
        ExecuteRequest {
            expected_revision: Some(7),
            ..request("growth", "d", note("x"))
        },
        request("growth", "e", create_plan()),
        request("growth", "f", correct_note(9, "x")),
    ];
    let mut statuses = Vec::new();
    for request in &refused {
        let status = daemon.plans().execute(request.clone()).await;
        let status = status.expect_err("it is refused");
        statuses.push((status.message().to_owned(), reading(&status)));
    }
    let mut requests = Vec::new();
    for (number, request) in refused.into_iter().enumerate() {
        requests.push(note_number(number));
        requests.push(ExecuteStreamRequest {
            execute: Some(request),
        });
    }
    requests.push(ExecuteStreamRequest { execute: None });
    requests.push(note_number(7));

    let outcomes = outcomes(&daemon, requests).await;
    assert_eq!(outcomes.len(), 16);
    for (number, pair) in outcomes.chunks(2).enumerate() {
        let Outcome::Error(error) = &pair[1] else {
            assert_eq!(number, 7, "{:?}", pair[1]);
            continue;
        };
        let revision = number as u64 + 2;
        assert_eq!(recorded(&pair[0]).revision, revision, "the notes go on");
        if let Some(status) = statuses.get(number).filter(|_| number != 4 && number != 6) {
            assert_eq!(said(error), *status, "as Execute answers");
        } else {
            // What these found is no longer so, but for its kind.
            assert_ne!(said(error).1.code, Code::Ok, "{error:?}");
        }
    }
    let Outcome::Error(empty) = &outcomes[14] else {
        panic!("a message without a request is recorded");
    };
    assert_eq!(empty.code, Code::InvalidArgument as i32);
    assert_eq!(recorded(&outcomes[15]).revision, 9);
}

/// The words of a status, and what it says to programs.
#[track_caller]
fn said(error: &pb::Status) -> (String, Refused) {
    let code = Code::from(error.code);
    let details = error.encode_to_vec().into();
    let status = Status::with_details(code, error.message.clone(), details);
    (error.message.clone(), reading(&status))
}

fn note_number(number: usize) -> ExecuteStreamRequest {
    ExecuteStreamRequest {
        execute: Some(request("growth", &format!("note {number}"), note("Noted"))),
    }
}

#[tokio::test]
async fn a_stream_that_corrects_what_it_has_just_said_is_decided_in_its_order() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let mut requests = vec![request("growth", "begun", create_plan())];
    for revision in (2..60).step_by(3) {
        requests.push(request("growth", &format!("{revision}"), note("Frist")));
        let corrected = correct_note(revision, "First");
        requests.push(request("growth", &format!("{revision} again"), corrected));
        requests.push(request("growth", &format!("{revision} next"), note("Next")));
    }
    let outcomes = send(&daemon, requests.clone()).await;
    assert_eq!(outcomes.len(), requests.len());
    for (outcome, number) in outcomes.iter().zip(1..) {
        assert_eq!(position(recorded(outcome)), number);
    }
}

#[tokio::test]
async fn a_stream_is_answered_while_it_is_open_and_replays_like_execute() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let (requests, sent) = mpsc::channel(1);
    let answer = daemon
        .plans()
        .execute_stream(ReceiverStream::new(sent))
        .await;
    let mut stream = answer.expect("streamed").into_inner();
    let first = execute(&daemon, request("growth", "begun", create_plan())).await;
    for replayed in [true, false, true] {
        let request_id = if replayed { "begun" } else { "noted" };
        let command = if replayed {
            create_plan()
        } else {
            note("Noted")
        };
        let message = ExecuteStreamRequest {
            execute: Some(request("growth", request_id, command)),
        };
        requests.send(message).await.expect("the stream is open");
        let answer = stream
            .message()
            .await
            .expect("answered")
            .expect("an answer");
        let outcome = answer.outcome.expect("an outcome");
        assert_eq!(recorded(&outcome).replayed, replayed);
        assert_eq!(recorded(&outcome).entry == first.entry, replayed);
    }
    drop(requests);
    assert_eq!(stream.message().await.expect("a good end"), None);
}
