//! The questions, each asked again and again on a connection of its own.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use bytes::{Buf as _, BufMut as _};
use http::uri::PathAndQuery;
use prost::Message as _;
use strata::proto::{
    AssessStrategyRequest, DiffPlanRequest, ExplainRequest, GetPlanRequest, GetReliabilityRequest,
    GetTacticStatsRequest, ListCommitmentsRequest, ListRevisionsRequest, Point, ReviewPlanRequest,
    SearchTacticsRequest, StrategyRevisionTarget, SuggestTacticRequest, SuggestionPolicy,
    explain_request::Target, plan_service_client::PlanServiceClient, point,
};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

use crate::plan::{EVENTS, PLAN};

/// One after another in this order.
pub(crate) const QUESTIONS: [Question; 16] = [
    Question::GetPlan,
    Question::GetPlanAsOf,
    Question::GetPlanOccurred,
    Question::DiffPlan,
    Question::ListRevisions,
    Question::ExplainRevision,
    Question::ExplainTactic,
    Question::SuggestRanked,
    Question::SuggestRatio,
    Question::ReviewPlan,
    Question::ReviewPlanAsOf,
    Question::AssessStrategy,
    Question::TacticStats,
    Question::ListCommitments,
    Question::Reliability,
    Question::SearchTactics,
];

/// How long the answer may take before the measurement fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// A strategy that was revised more than once.
const STRATEGY: &str = "strategy-3";
/// A tactic that was tried more than once.
const TACTIC: &str = "tactics/tactic-3";

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
    GetPlan,
    GetPlanAsOf,
    GetPlanOccurred,
    DiffPlan,
    ListRevisions,
    ExplainRevision,
    ExplainTactic,
    SuggestRanked,
    SuggestRatio,
    ReviewPlan,
    ReviewPlanAsOf,
    AssessStrategy,
    TacticStats,
    ListCommitments,
    Reliability,
    SearchTactics,
}

impl Question {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GetPlan => "GetPlan",
            Self::GetPlanAsOf => "GetPlan as of a revision",
            Self::GetPlanOccurred => "GetPlan as of an occurred time",
            Self::DiffPlan => "DiffPlan of the last 100 events",
            Self::ListRevisions => "ListRevisions",
            Self::ExplainRevision => "Explain a strategy revision",
            Self::ExplainTactic => "Explain a tactic",
            Self::SuggestRanked => "SuggestTactic RANKED",
            Self::SuggestRatio => "SuggestTactic RATIO",
            Self::ReviewPlan => "ReviewPlan",
            Self::ReviewPlanAsOf => "ReviewPlan as of a revision",
            Self::AssessStrategy => "AssessStrategy",
            Self::TacticStats => "GetTacticStats",
            Self::ListCommitments => "ListCommitments",
            Self::Reliability => "GetReliability",
            Self::SearchTactics => "SearchTactics",
        }
    }

    /// Asks it for a while and returns how long each answer took and how large the last one was.
    pub(crate) async fn ask_for(
        self,
        url: &str,
        time: Duration,
    ) -> Result<(Vec<Duration>, usize), Box<dyn Error>> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        let then = half_time(channel.clone()).await?;
        let (path, request) = self.asked(then);
        let mut daemon = Grpc::new(channel);
        let until = Instant::now() + time;
        let (mut latencies, mut bytes) = (Vec::new(), 0);
        while Instant::now() < until {
            let asked = Instant::now();
            let answer = ask(&mut daemon, path, request.clone());
            bytes = tokio::time::timeout(PATIENCE, answer).await??;
            latencies.push(asked.elapsed());
        }
        Ok((latencies, bytes))
    }

    /// The method and its request, encoded.
    fn asked(self, then: prost_types::Timestamp) -> (&'static str, Vec<u8>) {
        let plan_id = PLAN.to_owned();
        let strategy_id = STRATEGY.to_owned();
        match self {
            Self::GetPlan => get_plan(None),
            Self::GetPlanAsOf => get_plan(Some(revision(EVENTS / 2))),
            Self::GetPlanOccurred => get_plan(Some(Point {
                point: Some(point::Point::OccurredAt(then)),
            })),
            Self::DiffPlan => {
                let from = Some(revision(EVENTS - 100));
                let asked = DiffPlanRequest {
                    plan_id,
                    from,
                    ..DiffPlanRequest::default()
                };
                ("HistoryService/DiffPlan", asked.encode_to_vec())
            }
            Self::ListRevisions => {
                let asked = ListRevisionsRequest {
                    plan_id,
                    strategy_id,
                    ..Default::default()
                };
                ("HistoryService/ListRevisions", asked.encode_to_vec())
            }
            Self::ExplainRevision => {
                let target = StrategyRevisionTarget {
                    strategy_id,
                    revision: 0,
                };
                explain(Target::StrategyRevision(target))
            }
            Self::ExplainTactic => explain(Target::Subject(TACTIC.into())),
            Self::SuggestRanked => suggest(SuggestionPolicy::Ranked),
            Self::SuggestRatio => suggest(SuggestionPolicy::Ratio),
            Self::ReviewPlan => review(None),
            // Of nearly the whole plan, and not at hand.
            Self::ReviewPlanAsOf => review(Some(revision(EVENTS - 1))),
            Self::AssessStrategy => {
                let asked = AssessStrategyRequest {
                    plan_id,
                    strategy_id,
                    ..AssessStrategyRequest::default()
                };
                ("AdviceService/AssessStrategy", asked.encode_to_vec())
            }
            Self::TacticStats => {
                let asked = GetTacticStatsRequest::default();
                ("AdviceService/GetTacticStats", asked.encode_to_vec())
            }
            Self::ListCommitments => {
                let asked = ListCommitmentsRequest::default();
                ("AdviceService/ListCommitments", asked.encode_to_vec())
            }
            Self::Reliability => {
                let asked = GetReliabilityRequest::default();
                ("AdviceService/GetReliability", asked.encode_to_vec())
            }
            Self::SearchTactics => {
                let asked = SearchTacticsRequest {
                    query: "call companies".to_owned(),
                    ..SearchTacticsRequest::default()
                };
                ("AdviceService/SearchTactics", asked.encode_to_vec())
            }
        }
    }
}

fn get_plan(as_of: Option<Point>) -> (&'static str, Vec<u8>) {
    let asked = GetPlanRequest {
        plan_id: PLAN.into(),
        as_of,
        ..GetPlanRequest::default()
    };
    ("PlanService/GetPlan", asked.encode_to_vec())
}

fn review(as_of: Option<Point>) -> (&'static str, Vec<u8>) {
    let asked = ReviewPlanRequest {
        plan_id: PLAN.into(),
        as_of,
        ..ReviewPlanRequest::default()
    };
    ("AdviceService/ReviewPlan", asked.encode_to_vec())
}

fn explain(target: Target) -> (&'static str, Vec<u8>) {
    let asked = ExplainRequest {
        plan_id: PLAN.into(),
        target: Some(target),
        ..ExplainRequest::default()
    };
    ("HistoryService/Explain", asked.encode_to_vec())
}

fn suggest(policy: SuggestionPolicy) -> (&'static str, Vec<u8>) {
    let asked = SuggestTacticRequest {
        plan_id: PLAN.into(),
        strategy_id: STRATEGY.into(),
        policy: policy.into(),
        ..SuggestTacticRequest::default()
    };
    ("AdviceService/SuggestTactic", asked.encode_to_vec())
}

/// A time at which the plan had some half of its events.
async fn half_time(channel: Channel) -> Result<prost_types::Timestamp, Box<dyn Error>> {
    let asked = GetPlanRequest {
        plan_id: PLAN.into(),
        as_of: Some(revision(EVENTS / 2)),
        ..GetPlanRequest::default()
    };
    let answer = PlanServiceClient::new(channel).get_plan(asked).await?;
    let plan = answer.into_inner().plan;
    let last = plan.and_then(|plan| plan.last_occurred_at);
    last.ok_or_else(|| "no time".into())
}

/// Asks once, and says how many bytes the answer has when all of them are there. What a client makes of
/// them is not the daemon's time, but would be taken from the same processors here.
async fn ask(
    daemon: &mut Grpc<Channel>,
    path: &'static str,
    request: Vec<u8>,
) -> Result<usize, Status> {
    let unready = |error: tonic::transport::Error| Status::unavailable(error.to_string());
    daemon.ready().await.map_err(unready)?;
    let path = PathAndQuery::try_from(format!("/strata.v1.{path}"))
        .map_err(|error| Status::internal(error.to_string()))?;
    let answer = daemon.unary(Request::new(request), path, AsBytes).await?;
    Ok(answer.into_inner())
}

/// Messages that were encoded before, and of whose answers only the length is looked at.
#[derive(Debug, Clone, Copy)]
struct AsBytes;

impl Codec for AsBytes {
    type Encode = Vec<u8>;
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for AsBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, request: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&request);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let bytes = buffer.remaining();
        buffer.advance(bytes);
        Ok(Some(bytes))
    }
}

fn revision(revision: u64) -> Point {
    Point {
        point: Some(point::Point::Revision(revision)),
    }
}
