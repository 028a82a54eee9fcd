//! The scenario of tests/clients/README.md in Rust, on `strata::client`.
#![expect(clippy::print_stdout, reason = "what it is for")]

use std::{env, error::Error, fmt::Debug, fs, process};

use strata::{
    client::{
        Client,
        connect::{Builder, ConnectError},
        execute::ExecuteError,
        refusal::Refusal,
        watch::Watched,
    },
    json,
    proto::{
        CauseRole, Command, CommitmentState, CreatePlan, ErrorReason, ExecuteRequest,
        ExplainRequest, GetPlanRequest, ListCommitmentsRequest, ListRevisionsRequest, RecordNote,
        StrategyRevisionTarget, TryTactic, WatchRequest, command::Kind, explain_request::Target,
    },
};
use tonic::Code;

const PLAN: &str = "smallpox-india";
const STRATEGY: &str = "stop-transmission";

type Outcome = Result<(), Box<dyn Error>>;

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("{name} is not set"), &""))
}

fn fail(what: &str, found: &dyn Debug) -> ! {
    println!("FAILED: {what}: {found:?}");
    process::exit(1)
}

fn holds(what: &str, condition: bool, found: impl Debug) {
    if !condition {
        fail(what, &found);
    }
    println!("ok: {what}");
}

fn refused(what: &str, refusal: &Refusal, code: Code, reason: ErrorReason) {
    let is_so = refusal.code == code && refusal.known_reason() == Some(reason);
    holds(what, is_so, refusal);
}

/// The daemon, with the authority that signed its certificate.
fn daemon() -> Result<Builder, Box<dyn Error>> {
    let url = format!("https://{}", variable("STRATA_ADDRESS"));
    Ok(Client::at(&url)?.authority_file(variable("STRATA_CA")))
}

fn get_plan(plan_id: &str) -> GetPlanRequest {
    GetPlanRequest {
        plan_id: plan_id.into(),
        ..GetPlanRequest::default()
    }
}

fn bakery(request_id: &str, kinds: Vec<Kind>) -> ExecuteRequest {
    let commands = kinds.into_iter().map(|kind| Command { kind: Some(kind) });
    ExecuteRequest {
        plan_id: "bakery".into(),
        request_id: request_id.into(),
        commands: commands.collect(),
        ..ExecuteRequest::default()
    }
}

fn note(request_id: &str, text: &str) -> ExecuteRequest {
    let note = RecordNote {
        subject: "plan".into(),
        text: text.into(),
    };
    bakery(request_id, vec![Kind::RecordNote(note)])
}

async fn load(client: &Client) -> Outcome {
    let history = fs::read_to_string(variable("STRATA_HISTORY"))?;
    let lines: Vec<ExecuteRequest> = history
        .lines()
        .map(json::from_json)
        .collect::<Result<_, _>>()?;
    let expected: Vec<u64> = (1..=40).collect();
    for (what, replayed) in [
        ("all 40 lines are recorded", false),
        ("sent again, each is replayed where it is", true),
    ] {
        let mut positions = Vec::new();
        for line in &lines {
            let answer = client.execute(line.clone()).await?;
            if answer.replayed == replayed {
                positions.extend(answer.entry.map(|entry| entry.position));
            }
        }
        holds(what, positions == expected, &positions);
    }
    Ok(())
}

async fn ask(client: &Client) -> Outcome {
    let plan = client.plans().get_plan(get_plan(PLAN)).await?.into_inner();
    let strategies = plan.plan.unwrap_or_default().strategies;
    let stands = strategies.iter().find(|it| it.strategy_id == STRATEGY);
    let revision = stands.map(|strategy| strategy.revision);
    holds(
        "the strategy stands at revision 3 of it",
        revision == Some(3),
        revision,
    );

    let request = ListRevisionsRequest {
        plan_id: PLAN.into(),
        strategy_id: STRATEGY.into(),
        ..ListRevisionsRequest::default()
    };
    let listed = client.history().list_revisions(request).await?.into_inner();
    let revisions: Vec<u32> = listed.revisions.iter().map(|it| it.revision).collect();
    holds(
        "its three revisions are listed",
        revisions == [1, 2, 3],
        &revisions,
    );

    let request = ExplainRequest {
        plan_id: PLAN.into(),
        target: Some(Target::StrategyRevision(StrategyRevisionTarget {
            strategy_id: STRATEGY.into(),
            revision: 2,
        })),
        ..ExplainRequest::default()
    };
    let why = client.history().explain(request).await?.into_inner();
    let asked_about = why.events.first().and_then(|it| it.event.as_ref());
    let because = asked_about.map_or(&[][..], |event| event.because.as_slice());
    let triggers = because
        .iter()
        .filter(|cause| cause.role() == CauseRole::Trigger);
    let forced: Vec<u64> = triggers.map(|cause| cause.revision).collect();
    holds(
        "events 11 and 19 forced its revision 2",
        forced == [11, 19],
        &forced,
    );

    let request = ListCommitmentsRequest {
        plan_ids: vec![PLAN.into()],
        ..ListCommitmentsRequest::default()
    };
    let listed = client
        .advice()
        .list_commitments(request)
        .await?
        .into_inner();
    let found: Vec<_> = listed
        .commitments
        .into_iter()
        .filter_map(|it| it.commitment)
        .map(|it| (it.commitment_id.clone(), it.state()))
        .collect();
    let missed = [("zero-in-two-seasons".into(), CommitmentState::Missed)];
    holds("its one commitment was missed", found == missed, &found);
    Ok(())
}

async fn race(client: &Client) -> Outcome {
    let create = CreatePlan {
        title: "Grow the bakery".into(),
        ..CreatePlan::default()
    };
    client
        .execute(bakery("found", vec![Kind::CreatePlan(create)]))
        .await?;
    client
        .execute(note("rival", "someone else was faster"))
        .await?;

    let mut request = note("mine", "the oven is hot");
    request.expected_revision = Some(1);
    let outcome = client.execute(request.clone()).await;
    let Err(ExecuteError::Conflict {
        current_revision, ..
    }) = outcome
    else {
        fail("a stale revision is refused", &outcome);
    };
    holds(
        "a stale revision is refused with the current one",
        current_revision == 2,
        current_revision,
    );

    request.expected_revision = Some(current_revision);
    let answer = client.execute(request.clone()).await?;
    holds(
        "with that revision it is recorded",
        !answer.replayed,
        &answer,
    );
    let again = client.execute(request).await?;
    holds(
        "sent again it is replayed, not recorded",
        again.replayed && again.entry == answer.entry,
        &again,
    );

    let error = client.execute(note("mine", "the oven is cold")).await;
    refused(
        "its request_id takes no other content",
        error.expect_err("it is refused").refusal(),
        Code::AlreadyExists,
        ErrorReason::RequestIdReused,
    );
    Ok(())
}

async fn mistakes(client: &Client) {
    let wrong = TryTactic {
        tactic_id: "Not An Id".into(),
        ..TryTactic::default()
    };
    let mut request = bakery("wrong", vec![Kind::TryTactic(wrong)]);
    request.commands.push(Command { kind: None });
    let error = client
        .execute(request)
        .await
        .expect_err("it has two mistakes");
    refused(
        "a request with mistakes is malformed",
        error.refusal(),
        Code::InvalidArgument,
        ErrorReason::MalformedRequest,
    );
    let violations = error.refusal().violations.iter();
    let fields: Vec<_> = violations.map(|(field, _)| field.as_str()).collect();
    holds(
        "each mistake is named by the path of its field",
        fields == ["commands[0].try_tactic.tactic_id", "commands[1]"],
        error.refusal(),
    );

    let status = client.plans().get_plan(get_plan("nowhere")).await;
    let refusal = Refusal::from(status.expect_err("there is no such plan"));
    refused(
        "a plan that does not exist is not found",
        &refusal,
        Code::NotFound,
        ErrorReason::PlanNotFound,
    );
    holds(
        "by name",
        refusal.value("plan_id") == Some("nowhere"),
        &refusal,
    );
}

async fn watch_across_a_restart(client: &Client) -> Outcome {
    let mut watch = client.watch(WatchRequest::default()).await?;
    let mut positions = Vec::new();
    loop {
        match watch.next().await? {
            Watched::Commit(entry) => positions.push(entry.position),
            Watched::CaughtUp { .. } => break,
            Watched::Checkpoint { .. } | Watched::Reconnected { .. } => {}
        }
    }
    let restart = process::Command::new("sh")
        .args(["-c", &variable("STRATA_RESTART")])
        .status()?;
    holds("the daemon is restarted", restart.success(), restart);
    client
        .execute(note("meanwhile", "made while nobody watched"))
        .await?;
    client
        .execute(note("afterwards", "made while one watches"))
        .await?;
    let mut reconnected = 0;
    while positions.last() != Some(&45) {
        match watch.next().await? {
            Watched::Commit(entry) => positions.push(entry.position),
            Watched::Reconnected { lost, .. } => {
                reconnected += 1;
                println!("   the daemon was away: {lost}");
            }
            Watched::CaughtUp { .. } | Watched::Checkpoint { .. } => {}
        }
    }
    holds(
        "a watch says that it reconnected",
        reconnected == 1,
        reconnected,
    );
    let expected: Vec<u64> = (1..=45).collect();
    holds(
        "across a restart it sees every commit once, in order",
        positions == expected,
        &positions,
    );
    Ok(())
}

async fn who_calls() -> Outcome {
    let outcome = Client::at(&format!("https://{}", variable("STRATA_ADDRESS")))?
        .token(variable("STRATA_TOKEN"))
        .connect()
        .await;
    holds(
        "without the authority's certificate there is no connection",
        matches!(outcome, Err(ConnectError::Untrusted { .. })),
        outcome.err(),
    );
    for (what, builder, reason) in [
        (
            "without a token nobody is let in",
            daemon()?,
            ErrorReason::CredentialsRequired,
        ),
        (
            "nor with one that is unknown",
            daemon()?.token("nobody-knows-this-one"),
            ErrorReason::CredentialsInvalid,
        ),
    ] {
        let client = builder.connect().await?;
        let status = client.plans().get_plan(get_plan(PLAN)).await;
        let refusal = Refusal::from(status.expect_err(what));
        refused(what, &refusal, Code::Unauthenticated, reason);
    }
    let reader = daemon()?
        .token(variable("STRATA_READER_TOKEN"))
        .connect()
        .await?;
    let plan = reader.plans().get_plan(get_plan(PLAN)).await;
    holds("a reader reads", plan.is_ok(), plan.err());
    let certified = daemon()?
        .identity_files(
            variable("STRATA_CLIENT_CERT"),
            variable("STRATA_CLIENT_KEY"),
        )
        .connect()
        .await?;
    let plan = certified.plans().get_plan(get_plan(PLAN)).await;
    holds(
        "and so does one who shows a certificate",
        plan.is_ok(),
        plan.err(),
    );
    let error = reader.execute(note("reader", "I only read")).await;
    refused(
        "and does not write",
        error.expect_err("it may not").refusal(),
        Code::PermissionDenied,
        ErrorReason::NotPermitted,
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    let client = daemon()?.token(variable("STRATA_TOKEN")).connect().await?;
    load(&client).await?;
    ask(&client).await?;
    race(&client).await?;
    mistakes(&client).await;
    watch_across_a_restart(&client).await?;
    who_calls().await
}
