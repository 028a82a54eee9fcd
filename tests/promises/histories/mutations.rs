//! Tests of the validators: a good history of a real daemon, and that history broken in ways that
//! break one promise each. The validator of that promise objects, and no other does.

use prost::Message as _;
use strata::{
    domain::{evolve, value::Id},
    proto::{
        Command, Commit, ExecuteRequest, GetPlanRequest, ListEventsRequest, ListPlansRequest,
        LogEntry, Plan, ReadLogRequest, WatchRequest, read_log_request, watch_response::Response,
    },
};
use tempfile::tempdir;
use tonic::Code;

use super::{
    client::{Client, Patience},
    load,
    record::{Call, History, Log, Outcome, Recorder, Refused, Request, Unknown, last_revision},
    validators::{broken, reached},
};
use crate::{
    daemon::{Daemon, create_plan, note, request},
    reading::whole_log,
};

/// A history that can be broken.
#[derive(Clone)]
struct Case {
    history: History,
    log: Vec<LogEntry>,
}

/// What a case is called, the promise that it breaks, and how.
type Mutation = (&'static str, &'static str, fn(&mut Case));

const MUTATIONS: [Mutation; 24] = [
    ("an answered commit is gone", "durable", |case| {
        case.log.pop();
    }),
    ("an answered commit is another", "durable", |case| {
        let last = case.log.len() - 1;
        case.log[last] = changed(&case.log[last], |it| it.actor += "!");
    }),
    ("half a commit is recorded", "atomic", |case| {
        case.call("last").outcome = Outcome::Unknown(Unknown::Lost);
        let last = case.log.len() - 1;
        case.log[last] = changed(&case.log[last], |it| drop(it.events.pop()));
    }),
    ("half a commit is shown", "atomic", |case| {
        let events = Log::of(case.log.clone()).events("hot", 3);
        let half = Plan::from(&evolve::fold(Id::from("hot"), &events));
        *case.plan_shown(0) = half;
    }),
    ("a refused request is recorded", "atomic", |case| {
        case.call("last").outcome = Outcome::Refused(Refused {
            code: Code::Unavailable,
            reason: "STOPPING".to_owned(),
            metadata: [].into(),
        });
    }),
    ("a request is recorded twice", "exactly_once", |case| {
        let again = case.entry("unseen");
        let revision = Log::of(case.log.clone()).revision_at("quiet", u64::MAX);
        let last = case.log.last().expect("a commit");
        let (position, time) = (last.position + 1, commit_of(last).recorded_at);
        let again = changed(&again, |it| {
            it.recorded_at = time;
            it.first_revision = revision + 1;
            it.events[0].revision = revision + 1;
        });
        case.log.push(LogEntry { position, ..again });
    }),
    ("a request is new twice", "exactly_once", |case| {
        for call in &mut case.history.calls {
            if let (true, Outcome::Executed(response)) = (is(call, "twins"), &mut call.outcome) {
                response.replayed = false;
            }
        }
    }),
    ("a replay is of another", "exactly_once", |case| {
        let other = case.entry("piped-1");
        let replay = case.call_where(|call| is_replay(call, "three"));
        if let Outcome::Executed(response) = &mut replay.outcome {
            response.entry = Some(other);
        }
    }),
    (
        "a request is refused as if it were another",
        "exactly_once",
        |case| {
            let reused = case.call_where(|call| reason(call) == "REQUEST_ID_REUSED");
            let Request::Execute(request) = &mut reused.request else {
                return;
            };
            request.commands = three().commands;
        },
    ),
    (
        "a commit is decided on another revision",
        "isolated",
        |case| {
            if let Request::Execute(request) = &mut case.call("expecting").request {
                request.expected_revision = Some(2);
            }
        },
    ),
    ("a conflict names what was expected", "isolated", |case| {
        case.conflict("1");
    }),
    ("a revision is left out", "isolated", |case| {
        let entry = case.entry("last");
        case.rewrite(&changed(&entry, |it| {
            it.first_revision += 1;
            it.events.iter_mut().for_each(|event| event.revision += 1);
        }));
        if let Outcome::Executed(response) = &mut case.call("last").outcome {
            response.revision += 1;
        }
    }),
    ("a position is left out", "ordered", |case| {
        let last = case.log.last_mut().expect("a commit");
        last.position += 1;
        let entry = last.clone();
        if let Outcome::Executed(response) = &mut case.call("last").outcome {
            response.entry = Some(entry);
        }
    }),
    ("what came later stands before", "ordered", |case| {
        let unseen = case.call("unseen").clone();
        let after = case.call("after");
        let times = (after.invoked, after.returned);
        (after.invoked, after.returned) = (unseen.invoked, unseen.returned);
        (case.call("unseen").invoked, case.call("unseen").returned) = times;
    }),
    ("a stream is overtaken", "ordered", |case| {
        let mut calls = case.history.calls.iter();
        let one = calls.position(|call| is(call, "piped-1")).expect("a call");
        case.history.calls.swap(one, one + 1);
    }),
    ("what was shown is gone", "only_durable_is_shown", |case| {
        case.without("last");
        case.call("shown").outcome = Outcome::Unknown(Unknown::Lost);
        case.log.pop();
    }),
    (
        "what nobody asked for yet is shown",
        "only_durable_is_shown",
        |case| {
            case.without("last");
            let shown = case.call("shown");
            (shown.invoked, shown.returned) = (shown.invoked + 10_000, shown.returned + 10_000);
        },
    ),
    (
        "a conflict names what is not recorded",
        "only_durable_is_shown",
        |case| {
            case.conflict("99");
        },
    ),
    (
        "a read misses what was answered",
        "read_your_writes",
        |case| {
            let stale = case.nth_plan(1).outcome.clone();
            case.nth_plan(2).outcome = stale;
        },
    ),
    ("a watch leaves out a commit", "watch", |case| {
        drop(case.watched().remove(1));
    }),
    ("a watch sends a commit twice", "watch", |case| {
        let again = case.watched()[1].clone();
        case.watched().insert(1, again);
    }),
    ("a plan is not what its events say", "replayable", |case| {
        case.plan_shown(2).title += "!";
    }),
    (
        "a start does not miss what was answered",
        "loss_is_noticed",
        |case| {
            case.history.starts[1].head -= 1;
        },
    ),
    (
        "history is rewritten, wherever it was shown",
        "tamper_evident",
        |case| {
            let entry = case.entry("old");
            case.rewrite(&changed(&entry, |it| it.actor = "somebody else".to_owned()));
        },
    ),
];

#[tokio::test]
async fn a_validator_objects_to_what_breaks_its_promise_and_to_nothing_else() {
    let good = recorded().await;
    assert_eq!(good.objections(), Vec::<&str>::new());
    for (name, promise, mutate) in MUTATIONS {
        let mut case = good.clone();
        mutate(&mut case);
        // The model of a plan holds several promises at once.
        let mut objections = case.objections();
        objections.retain(|it| *it != "linearizable");
        assert_eq!(objections, [promise], "{name}: {:?}", case.objections());
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_breaks_no_promise() {
    let good = recorded().await;
    let mut lost = 0;
    for index in 0..good.history.calls.len() {
        let mut case = good.clone();
        let call = &mut case.history.calls[index];
        if call.acknowledged().is_some() {
            call.outcome = Outcome::Unknown(Unknown::Lost);
            lost += 1;
        }
        assert_eq!(case.objections(), Vec::<&str>::new(), "{index}");
    }
    assert!(lost > 10, "{lost} answers were lost");
}

#[tokio::test]
async fn a_history_that_no_order_explains_is_not_linearizable() {
    let good = recorded().await;
    let mutations: [fn(&mut Case); 5] = [
        // A reason that the plan did not give.
        |case| {
            let refused = case.call_where(|call| reason(call) == "REVISION_CONFLICT");
            if let Outcome::Refused(refused) = &mut refused.outcome {
                refused.reason = "ID_TAKEN".to_owned();
            }
        },
        // A conflict where there was none.
        |case| case.conflict("6"),
        // A read that saw what was written after it.
        |case| {
            let later = case.nth_plan(2).outcome.clone();
            case.nth_plan(0).outcome = later;
        },
        // A read that did not see what was written before it.
        |case| {
            let stale = case.nth_plan(1).outcome.clone();
            case.nth_plan(2).outcome = stale;
        },
        // A request that went through although its precondition did not hold.
        |case| {
            if let Request::Execute(request) = &mut case.call("expecting").request {
                request.expected_revision = Some(2);
            }
        },
    ];
    for (number, mutate) in mutations.into_iter().enumerate() {
        let mut case = good.clone();
        mutate(&mut case);
        assert!(case.objections().contains(&"linearizable"), "{number}");
    }
}

/// A history of a few calls, each known by the id of its request. What is called `last` and `unseen`
/// is in no answer to anything else.
async fn recorded() -> Case {
    let dir = tempdir().expect("a directory");
    let recorder = Recorder::default();
    let daemon = load::start(dir.path(), &recorder).await;
    let client = Client::new(&daemon, &recorder, 0);
    for plan_id in ["hot", "quiet"] {
        write(&client, request(plan_id, "begin", create_plan())).await;
    }
    write(&client, three()).await;
    write(&client, request("quiet", "old", note("Old"))).await;
    look(&client, "hot").await;
    let piped = ["piped-1", "piped-2", "piped-3"].map(|id| request("hot", id, note(id)));
    client.pipeline(piped.to_vec()).await;
    let twins = request("hot", "twins", note("Twins"));
    tokio::join!(write(&client, twins.clone()), write(&client, twins));
    let stale = ExecuteRequest {
        expected_revision: Some(1),
        ..request("hot", "stale", note("Stale"))
    };
    write(&client, stale).await;
    write(&client, three()).await;
    write(&client, request("hot", "three", note("Other"))).await;
    let head = daemon.head().await;
    let all = |response: &Response| reached(response) >= head;
    let (resume, from) = client.watch(WatchRequest::default(), 1, all).await;
    daemon.kill();

    let daemon = load::start(dir.path(), &recorder).await;
    after_the_kill(&daemon, &recorder, resume, from).await;
    let log = whole_log(&daemon).await;
    daemon.stop().await;
    Case {
        history: recorder.history(),
        log,
    }
}

async fn after_the_kill(daemon: &Daemon, recorder: &Recorder, resume: WatchRequest, from: u64) {
    let client = Client::new(daemon, recorder, 0);
    look(&client, "hot").await;
    let expecting = ExecuteRequest {
        expected_revision: Some(8),
        ..request("hot", "expecting", note("Expecting"))
    };
    write(&client, expecting).await;
    look(&client, "hot").await;
    let head = daemon.head().await;
    let all = |response: &Response| reached(response) >= head;
    client.watch(resume, from, all).await;
    write(&client, request("quiet", "unseen", note("Unseen"))).await;
    write(&client, request("hot", "after", note("After"))).await;
    write(&client, request("quiet", "shown", note("Shown"))).await;
    let shown = read_log_request::Start::FromPosition(daemon.head().await);
    let read = ReadLogRequest {
        start: Some(shown),
        ..Default::default()
    };
    client.read_log(read).await;
    let mut last = request("hot", "last", note("Half of it"));
    last.commands
        .extend(request("", "", note("The rest")).commands);
    write(&client, last).await;
}

/// A request of three commands.
fn three() -> ExecuteRequest {
    let commands = ["one", "two", "three"].map(|text| Command {
        kind: Some(note(text)),
    });
    ExecuteRequest {
        plan_id: "hot".to_owned(),
        request_id: "three".to_owned(),
        commands: commands.to_vec(),
        ..Default::default()
    }
}

async fn write(client: &Client, request: ExecuteRequest) {
    client.execute(request, Patience::Endless).await;
}

/// Shows a plan in all ways.
async fn look(client: &Client, plan_id: &str) {
    let plan_id = plan_id.to_owned();
    let plan = GetPlanRequest {
        plan_id: plan_id.clone(),
        ..Default::default()
    };
    client.get_plan(plan).await;
    client.list_plans(ListPlansRequest::default()).await;
    let newest = ListEventsRequest {
        plan_id,
        newest_first: true,
        ..Default::default()
    };
    client.list_events(newest).await;
}

impl Case {
    /// The validators that object.
    fn objections(&self) -> Vec<&'static str> {
        let broken = broken(&self.history, &Log::of(self.log.clone()));
        broken.into_iter().map(|(name, _)| name).collect()
    }

    fn call_where(&mut self, wanted: impl Fn(&Call) -> bool) -> &mut Call {
        let mut calls = self.history.calls.iter_mut();
        calls.find(|call| wanted(call)).expect("such a call")
    }

    /// The first call of a request.
    fn call(&mut self, request_id: &str) -> &mut Call {
        self.call_where(|call| is(call, request_id))
    }

    /// The call that showed a plan, by its number.
    fn nth_plan(&mut self, number: usize) -> &mut Call {
        let calls = self.history.calls.iter_mut();
        let mut shown = calls.filter(|call| matches!(call.request, Request::GetPlan(_)));
        shown.nth(number).expect("a plan was shown")
    }

    fn plan_shown(&mut self, number: usize) -> &mut Plan {
        let Outcome::Plan(shown) = &mut self.nth_plan(number).outcome else {
            panic!("a plan was not shown");
        };
        shown.plan.as_mut().expect("a plan")
    }

    /// What the first watch was sent.
    fn watched(&mut self) -> &mut Vec<LogEntry> {
        let mut messages = self.history.watches[0].messages.iter_mut();
        let entries = messages.find_map(|(_, response)| match response {
            Response::Entries(entries) if entries.entries.len() > 2 => Some(&mut entries.entries),
            Response::Entries(_) | Response::Checkpoint(_) | Response::CaughtUp(_) => None,
        });
        entries.expect("a watch that was sent commits")
    }

    /// What the log holds of a request.
    fn entry(&self, request_id: &str) -> LogEntry {
        let mut entries = self.log.iter();
        let entry = entries.find(|entry| commit_of(entry).request_id == request_id);
        entry.expect("a commit").clone()
    }

    /// Makes as if a request had not been sent, whose commit is the last.
    fn without(&mut self, request_id: &str) {
        self.history.calls.retain(|call| !is(call, request_id));
        self.log.pop();
    }

    /// Puts other words into the refusal for a stale revision.
    fn conflict(&mut self, current: &str) {
        let refused = self.call_where(|call| reason(call) == "REVISION_CONFLICT");
        if let Outcome::Refused(refused) = &mut refused.outcome {
            let current = ("current_revision".to_owned(), current.to_owned());
            refused.metadata.extend([current]);
        }
    }

    /// Puts another commit in the place of one, in the log and wherever it was shown.
    fn rewrite(&mut self, entry: &LogEntry) {
        let replace = |there: &mut LogEntry| {
            if there.position == entry.position {
                there.clone_from(entry);
            }
        };
        self.log.iter_mut().for_each(replace);
        for call in &mut self.history.calls {
            match &mut call.outcome {
                Outcome::Executed(response) => response.entry.iter_mut().for_each(replace),
                Outcome::Entries(read) => read.entries.iter_mut().for_each(replace),
                Outcome::Plan(_)
                | Outcome::Plans(_)
                | Outcome::Events(_)
                | Outcome::Refused(_)
                | Outcome::Unknown(_) => {}
            }
        }
        let watches = self.history.watches.iter_mut();
        for (_, response) in watches.flat_map(|watch| &mut watch.messages) {
            if let Response::Entries(entries) = response {
                entries.entries.iter_mut().for_each(replace);
            }
        }
    }
}

fn is(call: &Call, request_id: &str) -> bool {
    let request = call.execute();
    request.is_some_and(|request| request.request_id == request_id)
}

fn is_replay(call: &Call, request_id: &str) -> bool {
    let replayed = call.acknowledged().map(|(_, response)| response.replayed);
    is(call, request_id) && replayed == Some(true)
}

fn reason(call: &Call) -> &str {
    call.refused().map_or("", |refused| &refused.reason)
}

fn commit_of(entry: &LogEntry) -> Commit {
    entry.decode_commit().expect("a commit")
}

/// An entry with another commit.
fn changed(entry: &LogEntry, change: impl FnOnce(&mut Commit)) -> LogEntry {
    let mut commit = commit_of(entry);
    change(&mut commit);
    assert!(last_revision(&commit) > 0, "a commit has events");
    LogEntry {
        position: entry.position,
        commit: commit.encode_to_vec().into(),
    }
}
