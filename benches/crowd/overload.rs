//! More questions than can be answered: what becomes of those that are answered, of those that are sent away, and of
//! good clients who ask nothing that takes long.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use strata::proto::{
    AddTactic, Command, Point, ReviewPlanRequest, advice_service_client::AdviceServiceClient,
    command::Kind, plan_service_client::PlanServiceClient, point::Point as At,
};
use tokio::task::JoinSet;
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    Failure,
    daemon::{Daemon, token},
    good::{self, Client, call_of},
    seen::{self, Seen, megabytes},
    writing,
};

/// How many good clients there are, and how often each calls.
const GOOD: usize = 16;
const EVERY: Duration = Duration::from_millis(10);
/// How many principals ask, each over a connection of its own.
const ASKING: usize = 16;
/// How many ask at once where all can be answered.
const FEW: usize = 4;
/// How many events the long plan has, whose past is reviewed.
const EVENTS: u64 = 5_000;
/// How many of them add a tactic, of which a review says that it serves no strategy.
const TACTICS: u64 = 490;
/// How long each part is measured, and how long it goes on before.
const ROUND: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(4);

const PLAN: &str = "long";

pub(crate) async fn measure(out: &mut impl Write, count: usize) -> Result<(), Failure> {
    let (mut good_tokens, mut asking_tokens) = (Vec::new(), Vec::new());
    let daemon = Daemon::start(|dir| {
        let access = dir.join("access.toml");
        for number in 0..GOOD {
            good_tokens.push(token(&access, &format!("good-{number}"))?);
        }
        for number in 0..ASKING {
            asking_tokens.push(token(&access, &format!("asking-{number}"))?);
        }
        let arguments = ["--access-file", &access.display().to_string()];
        Ok(arguments.map(str::to_owned).to_vec())
    })
    .await?;
    let mut good = Vec::new();
    for token in good_tokens {
        good.push(Client::modest(daemon.connect().await?, token, EVERY));
    }
    let mut asking = Vec::new();
    for token in asking_tokens {
        asking.push(Asker::new(daemon.connect().await?, token));
    }
    let author = asking.first().ok_or("nobody asks")?;
    author.write().await?;

    let alone = (good::call_for(&good, ROUND).await?, daemon.memory()?.now);
    let (seen, few) = beside(&good, &asking, FEW).await?;
    let beside_few = (seen, daemon.memory()?.now);
    let (seen, many) = beside(&good, &asking, count).await?;
    let beside_many = (seen, daemon.memory()?.now);
    daemon.stop()?;

    writeln!(out, "{}", seen::head(&format!("{GOOD} good clients")))?;
    for (name, (mut seen, memory)) in [
        ("alone".to_owned(), alone),
        (format!("while {FEW} ask"), beside_few),
        (format!("while {count} ask"), beside_many),
    ] {
        writeln!(out, "{name:<40} {} {}", seen.shown(), megabytes(memory))?;
    }
    writeln!(out, "questions, of which those failed that were sent away")?;
    for (name, mut seen) in [(FEW, few), (count, many)] {
        writeln!(out, "{:<40} {}", format!("{name} ask"), seen.shown())?;
    }
    Ok(())
}

/// What good clients and some who ask see side by side.
async fn beside(good: &[Client], asking: &[Asker], count: usize) -> Result<(Seen, Seen), Failure> {
    let until = Instant::now() + WARM_UP + ROUND;
    let mut questions = JoinSet::new();
    for asker in asking.iter().cycle().take(count) {
        questions.spawn(asker.clone().ask_until(until));
    }
    tokio::time::sleep(WARM_UP).await;
    let seen = good::call_for(good, ROUND).await?;
    let mut asked = Seen::default();
    while let Some(ended) = questions.join_next().await {
        asked.join(ended??);
    }
    Ok((seen, asked))
}

/// How long somebody should wait who was sent away; what else went wrong is none of that.
fn wait_told(refused: &Status) -> Result<Duration, Failure> {
    let told = refused.get_details_retry_info();
    let wait = told.and_then(|it| it.retry_delay);
    wait.ok_or_else(|| refused.to_string().into())
}

/// Somebody who asks what was wrong with the long plan before its last event, again and again.
#[derive(Clone)]
struct Asker {
    channel: Channel,
    token: String,
}

impl Asker {
    fn new(channel: Channel, token: String) -> Self {
        Self { channel, token }
    }

    /// Writes the long plan.
    async fn write(&self) -> Result<(), Failure> {
        let mut plans = PlanServiceClient::new(self.channel.clone());
        for revision in 0..EVENTS {
            let mut request = writing::request(PLAN, revision);
            if (1..=TACTICS).contains(&revision) {
                request.commands = vec![Command {
                    kind: Some(Kind::AddTactic(AddTactic {
                        tactic_id: format!("tactic-{revision}"),
                        statement: format!("Visit customer {revision}"),
                        ..AddTactic::default()
                    })),
                }];
            }
            plans.execute(call_of(&self.token, request)?).await?;
        }
        Ok(())
    }

    /// Asks, waits for the answer and asks again; when it is sent away, after as long as it is told. What was asked
    /// before the others were there does not count.
    async fn ask_until(self, until: Instant) -> Result<Seen, Failure> {
        let mut advice = AdviceServiceClient::new(self.channel);
        let mut seen = Seen {
            took: ROUND,
            ..Seen::default()
        };
        loop {
            let asked = Instant::now();
            if asked >= until {
                return Ok(seen);
            }
            let question = call_of(
                &self.token,
                ReviewPlanRequest {
                    plan_id: PLAN.to_owned(),
                    as_of: Some(Point {
                        point: Some(At::Revision(EVENTS - 1)),
                    }),
                    ..ReviewPlanRequest::default()
                },
            )?;
            let answer = advice.review_plan(question).await;
            let counts = asked + ROUND >= until;
            match answer {
                Ok(_) if counts => seen.latencies.push(asked.elapsed()),
                Ok(_) => {}
                Err(refused) => {
                    seen.failed += u64::from(counts);
                    tokio::time::sleep(wait_told(&refused)?).await;
                }
            }
        }
    }
}
