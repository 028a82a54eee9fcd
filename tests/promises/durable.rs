//! Under `strace`: each answer leaves the daemon only after a completed `fdatasync` of the log that
//! began when the commit's bytes had been written. The trace holds both: a request's id stands in
//! what is written to the log and in what is written to the socket.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use strata::proto::{
    ExecuteRequest, ExecuteStreamRequest, GetPlanRequest, execute_stream_response::Outcome,
};
use tempfile::{TempDir, tempdir};
use tokio::{sync::mpsc, task::JoinSet};
use tonic::Code;

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request, serve_arguments, strace},
    queue::{held_up_after_one_commit, stays_full},
    reading::whole_log,
};

const SEQUENTIAL: usize = 50;
const CLIENTS: usize = 16;
const REQUESTS_A_CLIENT: usize = 10;
/// So much of each written buffer stands in the trace, in bytes: more than is ever written at once
/// here.
const TRACED_BYTES: &str = "262144";

#[tokio::test]
async fn durable_each_answer_waits_for_the_sync_of_its_commit() {
    let (daemon, dir, trace) = traced().await;
    let mut client = daemon.plans();
    let mut ids = vec!["traced-create-".to_owned()];
    let created = request("growth", &ids[0], create_plan());
    client.execute(created).await.expect("created");
    for number in 0..SEQUENTIAL {
        let id = format!("traced-one-{number:04}-");
        let answer = client.execute(request("growth", &id, note("a note"))).await;
        answer.expect("recorded");
        ids.push(id);
    }
    assert_synced_before_answered(daemon, &dir, &trace, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_each_answer_of_a_group_waits_for_the_sync_of_its_commit() {
    let (daemon, dir, trace) = traced().await;
    let mut clients = JoinSet::new();
    let mut ids = Vec::new();
    for client_number in 0..CLIENTS {
        let mut client = daemon.plans();
        let of_client = (0..REQUESTS_A_CLIENT)
            .map(|number| format!("traced-{client_number:02}-{number:02}-"))
            .collect::<Vec<_>>();
        ids.extend(of_client.clone());
        clients.spawn(async move {
            let plan_id = format!("plan-{client_number}");
            for (number, id) in of_client.iter().enumerate() {
                let command = if number == 0 {
                    create_plan()
                } else {
                    note("a note")
                };
                let answer = client.execute(request(&plan_id, id, command)).await;
                answer.expect("recorded");
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("answered");
    }
    assert_synced_before_answered(daemon, &dir, &trace, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_durable_is_shown_while_a_sync_is_held_up() {
    let dir = tempdir().expect("a directory");
    let daemon = held_up_after_one_commit(dir.path()).await;
    let send = |request: ExecuteRequest| {
        let mut client = daemon.plans();
        tokio::spawn(async move { client.execute(request).await })
    };
    let written = request("growth", "written", note("a note"));
    let raced = ExecuteRequest {
        expected_revision: Some(1),
        ..request("growth", "raced", note("another"))
    };
    // On one stream, so that the second is decided after the first, by which it is refused.
    let mut answered = on_one_stream(&daemon, [written.clone(), raced]);
    let mut replays = Vec::new();
    while !stays_full(&daemon).await {
        // These come to the first answer again. None of all may say so yet.
        replays.push(send(written.clone()));
    }
    assert_eq!(daemon.head().await, 1);
    assert_eq!(whole_log(&daemon).await.len(), 1);
    let query = GetPlanRequest {
        plan_id: "growth".into(),
        ..Default::default()
    };
    let shown = daemon
        .plans()
        .get_plan(query)
        .await
        .expect("shown")
        .into_inner();
    assert_eq!(
        (shown.position, shown.plan.expect("a plan").revision),
        (1, 1)
    );
    assert!(stays_full(&daemon).await, "the sync is still held up");
    assert!(answered.try_recv().is_err());
    assert!(replays.iter().all(|answer| !answer.is_finished()));

    let mut recorded = Vec::new();
    match answered.recv().await.expect("answered") {
        Outcome::Response(answer) => recorded.push(answer),
        Outcome::Error(refused) => panic!("refused: {refused:?}"),
    }
    match answered.recv().await.expect("answered") {
        Outcome::Response(answer) => panic!("recorded: {answer:?}"),
        Outcome::Error(refused) => assert_eq!(refused.code, Code::Aborted as i32),
    }
    for answer in replays {
        let answer = answer.await.expect("called").expect("recorded");
        recorded.push(answer.into_inner());
    }
    assert!(recorded.iter().all(|answer| answer.revision == 2));
    let first = recorded.iter().filter(|answer| !answer.replayed);
    assert_eq!(first.count(), 1);
    assert_eq!(daemon.head().await, 2);
    daemon.stop().await;
}

/// What becomes of requests that are sent on one stream, as it is answered.
fn on_one_stream<const N: usize>(
    daemon: &Daemon,
    requests: [ExecuteRequest; N],
) -> mpsc::UnboundedReceiver<Outcome> {
    let (answered, answers) = mpsc::unbounded_channel();
    let mut client = daemon.plans();
    tokio::spawn(async move {
        let requests = requests.map(|request| ExecuteStreamRequest {
            execute: Some(request),
        });
        let stream = client.execute_stream(tokio_stream::iter(requests)).await;
        let mut stream = stream.expect("a stream").into_inner();
        while let Some(answer) = stream.message().await.expect("answers") {
            drop(answered.send(answer.outcome.expect("an outcome")));
        }
    });
    answers
}

/// A daemon whose writes and syncs are traced to a file.
async fn traced() -> (Daemon, TempDir, PathBuf) {
    let dir = tempdir().expect("a directory");
    let trace = dir.path().join("trace");
    let mut command = strace();
    command
        .args(["-yy", "-s", TRACED_BYTES, "-e"])
        .arg("trace=fdatasync,fsync,write,writev,pwrite64,pwritev,sendto,sendmsg")
        .arg("-o")
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_stratad"))
        .args(serve_arguments(&dir.path().join("data")));
    let daemon = Daemon::spawn(command).await;
    daemon.wait_until_serving().await;
    (daemon, dir, trace)
}

/// Stops the daemon and looks through the trace for every id.
async fn assert_synced_before_answered(
    daemon: Daemon,
    dir: &TempDir,
    trace: &Path,
    ids: &[String],
) {
    daemon.stop().await;
    let log_file = dir.path().join("data/journal/db");
    let log_file = log_file.to_str().expect("UTF-8");
    let calls = calls(&whole_trace(trace).await);
    let syncs: Vec<&Call> = calls
        .iter()
        .filter(|call| matches!(call.name.as_str(), "fdatasync" | "fsync"))
        .filter(|call| call.file() == log_file && call.succeeded)
        .collect();
    for id in ids {
        let written = calls
            .iter()
            .filter(|call| call.file() == log_file && call.text.contains(id.as_str()))
            .filter_map(|call| call.end)
            .min();
        let written = written.unwrap_or_else(|| panic!("{id} was never written to {log_file}"));
        let answered = calls
            .iter()
            .filter(|call| call.file().starts_with("TCP:") && call.text.contains(id.as_str()))
            .map(|call| call.start)
            .min();
        let answered = answered.unwrap_or_else(|| panic!("{id} was never answered in the trace"));
        let synced_between = syncs
            .iter()
            .any(|sync| written < sync.start && sync.end.is_some_and(|end| end < answered));
        assert!(
            synced_between,
            "{id}: written by line {written} of the trace, answered at line {answered}, and no \
             sync of the log between"
        );
    }
}

/// The trace, once the tracer has seen the daemon end.
pub(crate) async fn whole_trace(trace: &Path) -> String {
    let waiting_since = Instant::now();
    loop {
        let text = fs::read(trace).expect("a trace");
        let text = String::from_utf8_lossy(&text).into_owned();
        if text
            .lines()
            .last()
            .is_some_and(|line| line.ends_with("+++"))
        {
            return text;
        }
        assert!(waiting_since.elapsed() < PATIENCE, "the trace never ends");
        tokio::task::yield_now().await;
    }
}

/// A system call in the trace, from the line where it begins to the line where it ends.
struct Call {
    thread: String,
    name: String,
    /// Its arguments; the first names the file in angle brackets.
    text: String,
    start: usize,
    end: Option<usize>,
    succeeded: bool,
}

impl Call {
    /// The path or the socket of its first argument.
    fn file(&self) -> &str {
        let first = self.text.split_once('<').map_or("", |(_, rest)| rest);
        // A socket's ends are joined by `->`, so the bracket that closes stands before a comma or
        // the end.
        let end = first
            .find(">,")
            .or_else(|| first.find(">)"))
            .or_else(|| first.find("> "))
            .unwrap_or(0);
        &first[..end]
    }
}

fn calls(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            let open = |call: &&mut Call| call.thread == thread && call.end.is_none();
            if let Some(call) = calls.iter_mut().rev().find(open) {
                call.end = Some(number);
                call.succeeded = succeeded(rest);
            }
        } else if let Some((name, text)) = rest.split_once('(') {
            let unfinished = rest.ends_with("<unfinished ...>");
            calls.push(Call {
                thread: thread.to_owned(),
                name: name.to_owned(),
                text: text.to_owned(),
                start: number,
                end: (!unfinished).then_some(number),
                succeeded: !unfinished && succeeded(rest),
            });
        }
    }
    calls
}

fn succeeded(line: &str) -> bool {
    line.rsplit_once(" = ")
        .is_some_and(|(_, result)| !result.starts_with('-') && !result.starts_with('?'))
}
