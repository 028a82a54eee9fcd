//! What `Execute` promises: exactly once, isolated, ordered, atomic, and read by whoever wrote it.

use std::{
    collections::HashMap,
    pin::pin,
    time::{Duration, Instant},
};

use strata::proto::{
    ExecuteRequest, ExecuteResponse, GetPlanRequest, ListEventsRequest, ListPlansRequest, LogEntry,
    ReadLogRequest,
};
use tempfile::{TempDir, tempdir};
use tokio::task::JoinSet;
use tonic::{Code, Response, Status};

use crate::{
    daemon::{Daemon, PATIENCE, create_plan, note, request},
    language::{
        Refused, add_tactic, cause, commands, connect, execute, from_now, get_plan, position,
        read_log, reading, refused, try_tactic,
    },
};

/// A daemon with the plan `growth` at revision 1.
async fn with_plan() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    (dir, daemon)
}

/// Sends requests at once, each over a connection of its own.
async fn at_once(
    daemon: &Daemon,
    requests: impl IntoIterator<Item = ExecuteRequest>,
) -> (Vec<ExecuteResponse>, Vec<Refused>) {
    let mut calls = JoinSet::new();
    for request in requests {
        let mut plans = connect(daemon).await;
        calls.spawn(async move { plans.execute(request).await });
    }
    let (mut recorded, mut refusals) = (Vec::new(), Vec::new());
    for answer in calls.join_all().await {
        match answer.map(Response::into_inner) {
            Ok(answer) => recorded.push(answer),
            Err(status) => refusals.push(reading(&status)),
        }
    }
    (recorded, refusals)
}

async fn validated(
    daemon: &Daemon,
    mut request: ExecuteRequest,
) -> Result<ExecuteResponse, Status> {
    request.validate_only = true;
    let answer = daemon.plans().execute(request).await;
    answer.map(Response::into_inner)
}

#[tokio::test]
async fn exactly_once_of_a_request_sent_many_times_at_once_one_is_recorded() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let requests = [
        request("growth", "begun", create_plan()),
        request("growth", "noted", note("Once")),
        commands(
            "growth",
            "both",
            [add_tactic("samples"), try_tactic("samples")],
        ),
    ];
    for (number, request) in (1..).zip(requests) {
        let (answers, refusals) = at_once(&daemon, vec![request; 32]).await;
        assert_eq!(refusals, []);
        let first: Vec<_> = answers.iter().filter(|answer| !answer.replayed).collect();
        assert_eq!(first.len(), 1, "one is recorded, the rest are replays");
        assert_eq!(answers.len(), 32);
        for answer in &answers {
            assert_eq!(position(answer), number);
            assert_eq!(
                answer.entry, first[0].entry,
                "the first answer, byte for byte"
            );
            assert_eq!(answer.revision, first[0].revision);
        }
        assert_eq!(daemon.head().await, number);
    }
}

#[tokio::test]
async fn exactly_once_holds_across_restarts() {
    let (dir, mut daemon) = with_plan().await;
    let sent = request("growth", "noted", note("Once"));
    let first = execute(&daemon, sent.clone()).await;
    for clean in [true, false] {
        if clean {
            daemon.stop().await;
        } else {
            daemon.kill();
        }
        daemon = Daemon::start(dir.path()).await;
        let again = execute(&daemon, sent.clone()).await;
        assert!(again.replayed);
        assert_eq!((again.entry, again.revision), (first.entry.clone(), 2));
        let other = request("growth", "noted", note("Twice"));
        let refusal = refused(daemon.plans().execute(other).await);
        assert_eq!(refusal.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
        assert_eq!(daemon.head().await, 2);
    }
}

#[tokio::test]
async fn exactly_once_a_request_id_with_other_content_is_refused_and_says_where_it_was_used() {
    let (_dir, daemon) = with_plan().await;
    let sent = commands("growth", "noted", [note("One"), note("Two")]);
    let first = execute(&daemon, sent.clone()).await;
    assert_eq!((position(&first), first.revision), (2, 3));
    let other = |change: fn(&mut ExecuteRequest)| {
        let mut request = sent.clone();
        change(&mut request);
        request
    };
    let others = [
        other(|it| drop(it.commands.pop())),
        other(|it| it.commands.reverse()),
        other(|it| it.actor = "Ada".into()),
        other(|it| it.source = "A letter".into()),
        other(|it| it.occurred_at = Some(from_now(-60))),
        other(|it| it.because = vec![cause("", 1)]),
    ];
    for changed in others {
        let refusal = refused(daemon.plans().execute(changed).await);
        assert_eq!(refusal.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
        assert_eq!(refusal.metadata("position"), "2");
        assert_eq!(refusal.metadata("revision"), "3");
    }
    // What only says how to record it is not content: the replay comes before the revision.
    let again = execute(&daemon, other(|it| it.expected_revision = Some(9))).await;
    assert!(again.replayed);
    assert_eq!(again.entry, first.entry);

    // Ids are the plan's own.
    execute(&daemon, request("bakery", "begun", create_plan())).await;
    let elsewhere = execute(&daemon, request("bakery", "noted", note("Three"))).await;
    assert!(!elsewhere.replayed);
    assert_eq!(position(&elsewhere), 4);
}

#[tokio::test]
async fn exactly_once_of_different_requests_with_one_id_sent_at_once_one_is_recorded() {
    let (_dir, daemon) = with_plan().await;
    let requests = (0..16).map(|n| request("growth", "noted", note(&format!("Note {n}"))));
    let (answers, refusals) = at_once(&daemon, requests).await;
    assert_eq!(answers.len(), 1);
    assert!(!answers[0].replayed);
    assert_eq!(refusals.len(), 15);
    for refusal in refusals {
        assert_eq!(refusal.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
        assert_eq!(refusal.metadata("position"), "2");
    }
    assert_eq!(daemon.head().await, 2);
}

#[tokio::test]
async fn exactly_once_what_was_refused_or_only_validated_binds_no_request_id() {
    let (_dir, daemon) = with_plan().await;
    let refusal = refused(
        daemon
            .plans()
            .execute(request("growth", "a", try_tactic("none")))
            .await,
    );
    assert_eq!(refusal.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    let answer = execute(&daemon, request("growth", "a", note("One"))).await;
    assert!(!answer.replayed);

    let tried = validated(&daemon, request("growth", "b", note("Two"))).await;
    let tried = tried.expect("it would be recorded");
    assert_eq!(
        (position(&tried), tried.revision, tried.replayed),
        (0, 3, false)
    );
    let commit = tried
        .entry
        .expect("an entry")
        .decode_commit()
        .expect("a commit");
    assert_eq!((commit.first_revision, commit.events.len()), (3, 1));
    assert_eq!(daemon.head().await, 2, "nothing was recorded");
    assert_eq!(
        get_plan(&daemon, "growth")
            .await
            .plan
            .expect("a plan")
            .revision,
        2
    );

    let answer = execute(&daemon, request("growth", "b", note("Three"))).await;
    assert!(!answer.replayed);
    let again = validated(&daemon, request("growth", "b", note("Three"))).await;
    let again = again.expect("a replay");
    assert!(again.replayed, "an id already recorded answers its replay");
    assert_eq!(again.entry, answer.entry);
    let other = validated(&daemon, request("growth", "b", note("Four"))).await;
    let refusal = reading(&other.expect_err("another content"));
    assert_eq!(refusal.kind(), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    let refused = validated(&daemon, request("growth", "c", try_tactic("none"))).await;
    let refusal = reading(&refused.expect_err("no such tactic"));
    assert_eq!(refusal.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    assert_eq!(daemon.head().await, 3);
}

#[tokio::test]
async fn a_request_without_an_id_gets_one_and_can_be_recorded_twice() {
    let (_dir, daemon) = with_plan().await;
    let mut ids = Vec::new();
    for request_id in ["", "", "  ", "  "] {
        let answer = execute(&daemon, request("growth", request_id, note("Same"))).await;
        assert!(!answer.replayed);
        let commit = answer.entry.expect("an entry").decode_commit();
        ids.push(commit.expect("a commit").request_id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(ids.iter().all(|id| !id.trim().is_empty()), "{ids:?}");
}

/// What a call comes to, unless that takes longer. The runtime's own timers count milliseconds, in which a
/// call is over.
async fn cancelled_after<T>(patience: Duration, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let began = Instant::now();
    loop {
        tokio::select! {
            biased;
            answer = &mut call => return Some(answer),
            () = tokio::task::yield_now() => {}
        }
        if began.elapsed() > patience {
            return None;
        }
    }
}

#[tokio::test]
async fn exactly_once_a_cancelled_call_that_is_sent_again_gets_its_first_answer() {
    let (_dir, daemon) = with_plan().await;
    let mut plans = daemon.plans();
    let (mut sent, mut settled_all_the_same) = (1, 0);
    let began = Instant::now();
    let mut patience = Duration::ZERO;
    while settled_all_the_same < 5 {
        assert!(began.elapsed() < PATIENCE, "no cancelled call was recorded");
        let request = request("growth", &format!("note {sent}"), note("Once"));
        let call = cancelled_after(patience, plans.execute(request.clone())).await;
        let again = execute(&daemon, request).await;
        sent += 1;
        assert_eq!(
            daemon.head().await,
            sent,
            "recorded once, whether or not it was answered"
        );
        assert_eq!((position(&again), again.revision), (sent, sent));
        if let Some(answer) = call {
            let first = answer.expect("an answer").into_inner();
            assert!(again.replayed && first.entry == again.entry);
            // However long a call takes here, it is cancelled at every part of that.
            patience = Duration::ZERO;
        } else {
            settled_all_the_same += u32::from(again.replayed);
            patience += patience / 16 + Duration::from_micros(10);
        }
    }
}

#[tokio::test]
async fn isolated_of_requests_that_expect_one_revision_one_wins() {
    let (_dir, daemon) = with_plan().await;
    for round in 1..=5 {
        let requests = (0..16).map(|n| ExecuteRequest {
            expected_revision: Some(round),
            ..request("growth", &format!("{round} {n}"), note("Mine"))
        });
        let (answers, refusals) = at_once(&daemon, requests).await;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].revision, round + 1);
        assert_eq!(refusals.len(), 15);
        for refusal in refusals {
            assert_eq!(refusal.kind(), (Code::Aborted, "REVISION_CONFLICT"));
            assert_eq!(
                refusal.metadata("current_revision"),
                (round + 1).to_string()
            );
            assert_eq!(refusal.fields, ["expected_revision"]);
        }
    }
}

#[tokio::test]
async fn isolated_a_plan_that_must_not_exist_is_begun_once() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let requests = (0..16).map(|n| ExecuteRequest {
        expected_revision: Some(0),
        ..request("growth", &format!("{n}"), create_plan())
    });
    let (answers, refusals) = at_once(&daemon, requests).await;
    assert_eq!((answers.len(), refusals.len()), (1, 15));
    for refusal in refusals {
        assert_eq!(refusal.kind(), (Code::AlreadyExists, "PLAN_EXISTS"));
        assert_eq!(refusal.metadata("plan_id"), "growth");
    }
    let late = ExecuteRequest {
        expected_revision: Some(1),
        ..request("bakery", "begun", create_plan())
    };
    let refusal = refused(daemon.plans().execute(late).await);
    assert_eq!(refusal.kind(), (Code::NotFound, "PLAN_NOT_FOUND"));
}

#[tokio::test]
async fn ordered_positions_of_many_clients_have_no_holes() {
    const CLIENTS: u64 = 8;
    const REQUESTS: u64 = 50;
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let plan_of = |client: u64| format!("plan-{}", client % 4);
    for client in 0..4 {
        execute(&daemon, request(&plan_of(client), "begun", create_plan())).await;
    }
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut plans = connect(&daemon).await;
        clients.spawn(async move {
            let mut answers = Vec::new();
            for n in 0..REQUESTS {
                let request = request(&plan_of(client), &format!("{client} {n}"), note("Noted"));
                answers.push(plans.execute(request).await.expect("recorded").into_inner());
            }
            answers
        });
    }
    let answered: Vec<_> = clients.join_all().await;
    for answers in &answered {
        assert!(
            answers.is_sorted_by(|a, b| position(a) < position(b) && a.revision < b.revision),
            "a client that waits for its answers finds them in its order"
        );
    }
    let mut answers: Vec<_> = answered.concat();
    answers.sort_by_key(position);
    let log = read_log(&daemon, ReadLogRequest::default()).await;
    assert_eq!(log.len() as u64, 4 + CLIENTS * REQUESTS);
    assert_eq!(daemon.head().await, 4 + CLIENTS * REQUESTS);
    let answered = answers
        .iter()
        .map(|answer| answer.entry.as_ref().expect("an entry"));
    assert!(
        answered.eq(&log[4..]),
        "each answer is in the log, where it said"
    );
    holds_together(&log);
}

/// Positions without holes, revisions of each plan without holes, times that never run backwards.
#[track_caller]
fn holds_together(log: &[LogEntry]) {
    let mut revisions: HashMap<String, u64> = HashMap::new();
    let mut latest = (0, 0);
    for (entry, number) in log.iter().zip(1..) {
        assert_eq!(entry.position, number);
        let commit = entry.decode_commit().expect("a commit");
        let last = revisions.entry(commit.plan_id).or_default();
        for event in commit.events {
            *last += 1;
            assert_eq!(event.revision, *last);
        }
        let at = commit.recorded_at.expect("a time");
        assert!((at.seconds, at.nanos) >= latest);
        latest = (at.seconds, at.nanos);
    }
}

#[tokio::test]
async fn atomic_of_several_commands_one_refused_leaves_nothing() {
    let (_dir, daemon) = with_plan().await;
    let sent = [
        add_tactic("samples"),
        try_tactic("samples"),
        try_tactic("none"),
        note("Last"),
    ];
    let refusal = refused(daemon.plans().execute(commands("growth", "a", sent)).await);
    assert_eq!(refusal.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    assert_eq!(refusal.fields, ["commands[2].try_tactic.tactic_id"]);
    assert_eq!(refusal.metadata("subject"), "tactics/none");
    assert_eq!(daemon.head().await, 1);
    let plan = get_plan(&daemon, "growth").await.plan.expect("a plan");
    assert_eq!((plan.revision, plan.tactics.len()), (1, 0));
    // Nor did it take the id of the tactic.
    let answer = execute(
        &daemon,
        commands("growth", "a", [add_tactic("samples"), note("n")]),
    )
    .await;
    assert_eq!((position(&answer), answer.revision), (2, 3));
}

#[tokio::test]
async fn atomic_no_reader_sees_part_of_a_commit() {
    const COMMITS: u64 = 40;
    let (_dir, daemon) = with_plan().await;
    let mut plans = daemon.plans();
    let writer = tokio::spawn(async move {
        for n in 0..COMMITS {
            let notes = [note("1"), note("2"), note("3"), note("4"), note("5")];
            let request = commands("growth", &format!("{n}"), notes);
            plans.execute(request).await.expect("recorded");
        }
    });
    let mut seen = 0;
    while seen < 1 + COMMITS * 5 {
        let answer = get_plan(&daemon, "growth").await;
        let plan = answer.plan.expect("a plan");
        assert!(plan.revision >= seen, "it does not go backwards");
        assert_eq!(
            plan.revision,
            1 + (answer.position - 1) * 5,
            "whole commits only"
        );
        assert_eq!(u64::from(plan.notes), plan.revision - 1);
        seen = plan.revision;
        assert!(!writer.is_finished() || seen > 1);
    }
    writer.await.expect("it wrote all");
}

#[tokio::test]
async fn read_your_writes_every_query_shows_what_was_just_recorded() {
    let (_dir, daemon) = with_plan().await;
    let mut writer = connect(&daemon).await;
    for n in 2..=40_u64 {
        let sent = request("growth", &format!("{n}"), note(&format!("Note {n}")));
        let answer = writer.execute(sent).await.expect("recorded").into_inner();
        let at = position(&answer);

        let shown = get_plan(&daemon, "growth").await;
        assert_eq!(
            (shown.plan.expect("a plan").revision, shown.position),
            (n, at)
        );
        let listed = daemon.plans().list_plans(ListPlansRequest::default()).await;
        let listed = listed.expect("listed").into_inner();
        assert_eq!(
            (listed.plans[0].revision, listed.plans[0].last_position),
            (n, at)
        );
        assert_eq!(listed.position, at);
        let latest = ListEventsRequest {
            plan_id: "growth".into(),
            newest_first: true,
            page_size: 1,
            min_position: at,
            ..Default::default()
        };
        let latest = daemon.history().list_events(latest).await;
        let latest = latest.expect("listed").into_inner();
        assert_eq!((latest.events[0].position, latest.position), (at, at));
        assert!(latest.events[0].summary.ends_with(&format!("Note {n}")));
        let log = read_log(&daemon, ReadLogRequest::default()).await;
        assert_eq!(log.last(), answer.entry.as_ref());
    }
}

#[tokio::test]
async fn read_your_writes_a_query_waits_for_the_position_it_names() {
    let (_dir, daemon) = with_plan().await;
    let ahead = GetPlanRequest {
        plan_id: "growth".into(),
        min_position: 3,
        ..Default::default()
    };
    let mut plans = daemon.plans();
    let waiting = {
        let ahead = ahead.clone();
        tokio::spawn(async move { plans.get_plan(ahead).await })
    };
    execute(&daemon, request("growth", "2", note("Two"))).await;
    execute(&daemon, request("growth", "3", note("Three"))).await;
    let answer = tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("in time");
    let answer = answer.expect("it ran").expect("shown").into_inner();
    assert_eq!(
        (answer.position, answer.plan.expect("a plan").revision),
        (3, 3)
    );

    let beyond = GetPlanRequest {
        min_position: 4,
        ..ahead
    };
    let refusal = refused(daemon.plans().get_plan(beyond).await);
    assert_eq!(refusal.kind(), (Code::Unavailable, "POSITION_NOT_REACHED"));
    assert_eq!(refusal.metadata("position"), "4");
}

#[tokio::test]
async fn a_commit_says_who_sent_it_and_for_whom() {
    let (_dir, daemon) = with_plan().await;
    let sent = ExecuteRequest {
        actor: "Ada".into(),
        source: "https://example.org/minutes".into(),
        because: vec![cause("", 1)],
        ..commands("growth", "noted", [note("One"), note("Two")])
    };
    let answer = execute(&daemon, sent).await;
    let commit = answer
        .entry
        .expect("an entry")
        .decode_commit()
        .expect("a commit");
    assert_eq!(
        (&*commit.actor, &*commit.on_behalf_of),
        ("anonymous", "Ada")
    );
    assert_eq!((&*commit.plan_id, &*commit.request_id), ("growth", "noted"));
    assert_eq!(commit.request_digest.len(), 33);
    for event in commit.events {
        assert_eq!(event.source, "https://example.org/minutes");
        assert_eq!(event.because, [cause("", 1)]);
        assert_eq!(event.occurred_at, commit.recorded_at);
    }
}
