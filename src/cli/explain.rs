//! `stratad explain`: tells why something in a plan is as it is, as a tree to read, as a graph to
//! draw, or as JSON for programs.

use std::io::{self, BufWriter, Write};

use clap::{Args, ValueEnum};
use tokio::runtime;
use tonic::Status;

use crate::{
    cli::{
        DEFAULT_URL,
        remote::{self, Remote, Unreachable, Way},
    },
    client::{Client, refusal::Refusal},
    json::{self, JsonError},
    proto::{
        ExplainRequest, ExplainResponse, GetPlanRequest, PlanView, Point, StrategyRevisionTarget,
        explain_request::Target,
    },
    telemetry,
};

mod asked;
mod dot;
mod graph;
mod text;

use graph::Graph;

/// What `stratad explain` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The plan.
    #[arg(value_name = "PLAN")]
    pub plan: String,
    /// What is to be explained: a revision (`12`), a revision of a strategy (`strategies/ID@2`), a
    /// subject (`tactics/ID`), or a finding (`TAC005:tactics/ID`). Left out: the strategy that was
    /// revised last; in a plan without strategies, what was recorded about the plan itself.
    #[arg(value_name = "TARGET", value_parser = asked::target)]
    pub target: Option<Target>,
    /// The daemon; `http://` may be left out.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL, value_parser = Remote::parse)]
    pub to: Remote,
    /// How it is reached.
    #[command(flatten)]
    pub way: Way,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Answer as of then: `revision:N`, `position:N`, `recorded:TIME` (what was believed then) or
    /// `occurred:TIME` (what was true then); a time is `2024-05-06T08:00:00Z`, or
    /// `2024-05-06` for the beginning of that day in UTC.
    #[arg(long, value_name = "POINT", value_parser = asked::point)]
    pub as_of: Option<Point>,
    /// How many steps to follow causes back, and effects forward: 1 to 64 [default: 32].
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub max_depth: Option<u32>,
    /// How many events to show: 1 to 1,000 [default: 256].
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub max_events: Option<u32>,
}

/// How an explanation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A tree to read.
    Text,
    /// A graph for Graphviz.
    Dot,
    /// The answer of the daemon, on one line.
    Json,
}

/// Why nothing was explained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The daemon is not there.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The daemon refused to explain it.
    #[error("plan {plan_id:?} cannot be explained: {}", remote::words(refusal))]
    Refused {
        /// The plan.
        plan_id: String,
        /// The daemon's answer.
        refusal: Refusal,
    },
    /// The answer cannot be written as JSON.
    #[error("the answer cannot be written as JSON: {0}; is the daemon of a newer version?")]
    Json(#[from] JsonError),
    /// The answer cannot be written.
    #[error("cannot write to standard output: {0}")]
    Write(io::Error),
    /// The system refused what the command needs.
    #[error("cannot start: {0}")]
    System(io::Error),
}

/// What `stratad explain --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Tell why something in a plan is as it is: what led to it, back to where that ends, also in other \
plans, and what it led to.

The tree names each event by its revision (`12`; of another plan `bakery/12`), says when it occurred and \
what happened, and what it was to the event above it: a trigger, which made it happen, or evidence, \
which spoke for it; a parent is the revision of a strategy that another took the place of. An event is \
told once; `see 12` stands where another way leads to it. For a tactic \
or a commitment the line of sight follows: what it is for, up to the objective, and what is missing.";

/// What `stratad explain --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad explain growth                              # the strategy that was revised last
  stratad explain growth 12                           # the event of revision 12
  stratad explain growth strategies/win-regulars@2    # why that strategy was revised
  stratad explain growth tactics/free-samples --as-of recorded:2024-05-06
  stratad explain growth TAC005:tactics/free-samples  # a finding of the review
  stratad explain growth --format dot | dot -Tsvg > why.svg";

/// Explains something.
pub fn run(arguments: &Arguments) -> Result<(), ExplainError> {
    telemetry::init_client();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ExplainError::System)?;
    let answer = runtime.block_on(ask(arguments))?;
    let written = match arguments.format {
        Format::Text => text::of(&Graph::of(&arguments.plan, &answer)),
        Format::Dot => dot::of(&Graph::of(&arguments.plan, &answer)),
        Format::Json => json::to_json(&answer)? + "\n",
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match out.write_all(written.as_bytes()).and_then(|()| out.flush()) {
        // Who reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(ExplainError::Write),
    }
}

async fn ask(arguments: &Arguments) -> Result<ExplainResponse, ExplainError> {
    let refused = |status: Status| ExplainError::Refused {
        plan_id: arguments.plan.clone(),
        refusal: Refusal::from(&status),
    };
    let client = arguments.to.by(&arguments.way).connect().await?;
    let target = match &arguments.target {
        Some(target) => target.clone(),
        None => revised_last(&client, arguments).await.map_err(refused)?,
    };
    let request = ExplainRequest {
        plan_id: arguments.plan.clone(),
        target: Some(target),
        as_of: arguments.as_of,
        max_depth: arguments.max_depth.unwrap_or_default(),
        max_events: arguments.max_events.unwrap_or_default(),
        min_position: 0,
    };
    let answer = client.history().explain(request).await;
    Ok(answer.map_err(refused)?.into_inner())
}

/// The strategy that was revised last; the plan itself when it has none.
async fn revised_last(client: &Client, arguments: &Arguments) -> Result<Target, Status> {
    let request = GetPlanRequest {
        plan_id: arguments.plan.clone(),
        as_of: arguments.as_of,
        view: PlanView::Basic.into(),
        ..GetPlanRequest::default()
    };
    let answer = client.plans().get_plan(request).await?;
    let plan = answer.into_inner().plan.unwrap_or_default();
    let mut strategies = plan.strategies;
    strategies.sort_by_key(|strategy| strategy.revised_revision);
    Ok(match strategies.pop() {
        Some(strategy) => Target::StrategyRevision(StrategyRevisionTarget {
            strategy_id: strategy.strategy_id,
            revision: strategy.revision,
        }),
        None => Target::Subject("plan".to_owned()),
    })
}
