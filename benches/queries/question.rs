//! The questions, each asked again and again on a connection of its own.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use prost::Message;
use strata::proto::{
    AssessStrategyRequest, DiffPlanRequest, ExplainRequest, GetPlanRequest, GetReliabilityRequest,
    GetTacticStatsRequest, ListCommitmentsRequest, ListRevisionsRequest, Point, ReviewPlanRequest,
    SearchTacticsRequest, StrategyRevisionTarget, SuggestTacticRequest, SuggestionPolicy,
    advice_service_client::AdviceServiceClient, explain_request::Target,
    history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient, point,
};
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};

use crate::plan::{EVENTS, PLAN};

/// One after another in this order.
pub(crate) const QUESTIONS: [Question; 15] = [
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
    AssessStrategy,
    TacticStats,
    ListCommitments,
    Reliability,
    SearchTactics,
}

/// An answer: when it was there, and how large it is.
struct Answer {
    at: Instant,
    bytes: usize,
}

/// The services that it is asked of.
struct Services {
    plans: PlanServiceClient<Channel>,
    history: HistoryServiceClient<Channel>,
    advice: AdviceServiceClient<Channel>,
    /// A time at which the plan had some half of its events.
    then: prost_types::Timestamp,
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
        let mut services = Services::connect(url).await?;
        let until = Instant::now() + time;
        let (mut latencies, mut bytes) = (Vec::new(), 0);
        while Instant::now() < until {
            let asked = Instant::now();
            let answer = tokio::time::timeout(PATIENCE, self.ask(&mut services)).await??;
            latencies.push(answer.at - asked);
            bytes = answer.bytes;
        }
        Ok((latencies, bytes))
    }

    async fn ask(self, services: &mut Services) -> Result<Answer, Status> {
        let plan_id = PLAN.to_owned();
        let strategy_id = STRATEGY.to_owned();
        match self {
            Self::GetPlan => services.get_plan(None).await,
            Self::GetPlanAsOf => {
                services
                    .get_plan(Some(point::Point::Revision(EVENTS / 2)))
                    .await
            }
            Self::GetPlanOccurred => {
                let then = services.then;
                services
                    .get_plan(Some(point::Point::OccurredAt(then)))
                    .await
            }
            Self::DiffPlan => {
                let from = Some(revision(EVENTS - 100));
                let asked = DiffPlanRequest {
                    plan_id,
                    from,
                    ..DiffPlanRequest::default()
                };
                services.history.diff_plan(asked).await.map(Answer::of)
            }
            Self::ListRevisions => {
                let asked = ListRevisionsRequest {
                    plan_id,
                    strategy_id,
                    ..Default::default()
                };
                services.history.list_revisions(asked).await.map(Answer::of)
            }
            Self::ExplainRevision => {
                let target = StrategyRevisionTarget {
                    strategy_id,
                    revision: 0,
                };
                services.explain(Target::StrategyRevision(target)).await
            }
            Self::ExplainTactic => services.explain(Target::Subject(TACTIC.into())).await,
            Self::SuggestRanked => services.suggest(SuggestionPolicy::Ranked).await,
            Self::SuggestRatio => services.suggest(SuggestionPolicy::Ratio).await,
            Self::ReviewPlan => {
                let asked = ReviewPlanRequest {
                    plan_id,
                    ..ReviewPlanRequest::default()
                };
                services.advice.review_plan(asked).await.map(Answer::of)
            }
            Self::AssessStrategy => {
                let asked = AssessStrategyRequest {
                    plan_id,
                    strategy_id,
                    ..AssessStrategyRequest::default()
                };
                services.advice.assess_strategy(asked).await.map(Answer::of)
            }
            Self::TacticStats => {
                let asked = GetTacticStatsRequest::default();
                services
                    .advice
                    .get_tactic_stats(asked)
                    .await
                    .map(Answer::of)
            }
            Self::ListCommitments => {
                let asked = ListCommitmentsRequest::default();
                services
                    .advice
                    .list_commitments(asked)
                    .await
                    .map(Answer::of)
            }
            Self::Reliability => {
                let asked = GetReliabilityRequest::default();
                services.advice.get_reliability(asked).await.map(Answer::of)
            }
            Self::SearchTactics => {
                let query = "call companies".to_owned();
                let asked = SearchTacticsRequest {
                    query,
                    ..SearchTacticsRequest::default()
                };
                services.advice.search_tactics(asked).await.map(Answer::of)
            }
        }
    }
}

impl Services {
    async fn connect(url: &str) -> Result<Self, Box<dyn Error>> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        let mut services = Self {
            plans: PlanServiceClient::new(channel.clone()),
            history: HistoryServiceClient::new(channel.clone()),
            advice: AdviceServiceClient::new(channel),
            then: prost_types::Timestamp::default(),
        };
        let asked = GetPlanRequest {
            plan_id: PLAN.into(),
            as_of: Some(revision(EVENTS / 2)),
            ..GetPlanRequest::default()
        };
        let plan = services.plans.get_plan(asked).await?.into_inner().plan;
        services.then = plan
            .and_then(|plan| plan.last_occurred_at)
            .ok_or("no time")?;
        Ok(services)
    }

    async fn get_plan(&mut self, point: Option<point::Point>) -> Result<Answer, Status> {
        let asked = GetPlanRequest {
            plan_id: PLAN.into(),
            as_of: point.map(|point| Point { point: Some(point) }),
            ..GetPlanRequest::default()
        };
        self.plans.get_plan(asked).await.map(Answer::of)
    }

    async fn explain(&mut self, target: Target) -> Result<Answer, Status> {
        let asked = ExplainRequest {
            plan_id: PLAN.into(),
            target: Some(target),
            ..ExplainRequest::default()
        };
        self.history.explain(asked).await.map(Answer::of)
    }

    async fn suggest(&mut self, policy: SuggestionPolicy) -> Result<Answer, Status> {
        let asked = SuggestTacticRequest {
            plan_id: PLAN.into(),
            strategy_id: STRATEGY.into(),
            policy: policy.into(),
            ..SuggestTacticRequest::default()
        };
        self.advice.suggest_tactic(asked).await.map(Answer::of)
    }
}

impl Answer {
    /// One that has just come, decoded.
    fn of<T: Message>(answer: Response<T>) -> Self {
        let at = Instant::now();
        Self {
            at,
            bytes: answer.into_inner().encoded_len(),
        }
    }
}

fn revision(revision: u64) -> Point {
    Point {
        point: Some(point::Point::Revision(revision)),
    }
}
