//! `AdviceService`: what comes next, what is wrong, whose word holds and what was tried before. One file
//! for each question; the answers are worked out in the domain.

use tonic::{Request, Response, Status};

use super::Gate;
use crate::{
    access::rights::Rpc,
    proto::{
        AssessStrategyRequest, AssessStrategyResponse, GetReliabilityRequest,
        GetReliabilityResponse, GetTacticStatsRequest, GetTacticStatsResponse,
        ListCommitmentsRequest, ListCommitmentsResponse, ReviewPlanRequest, ReviewPlanResponse,
        SearchTacticsRequest, SearchTacticsResponse, SuggestTacticRequest, SuggestTacticResponse,
        advice_service_server::AdviceService,
    },
};

mod assess;
mod commitments;
mod review;
mod search;
mod stats;
mod suggest;

/// The service.
pub struct Advice {
    gate: Gate,
}

impl Advice {
    /// The service behind a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl AdviceService for Advice {
    async fn suggest_tactic(
        &self,
        request: Request<SuggestTacticRequest>,
    ) -> Result<Response<SuggestTacticResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::SuggestTactic)?;
        suggest::answer(&caller, request.into_inner()).await
    }

    async fn review_plan(
        &self,
        request: Request<ReviewPlanRequest>,
    ) -> Result<Response<ReviewPlanResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ReviewPlan)?;
        review::answer(&caller, request.into_inner()).await
    }

    async fn list_commitments(
        &self,
        request: Request<ListCommitmentsRequest>,
    ) -> Result<Response<ListCommitmentsResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ListCommitments)?;
        commitments::list(&caller, request.into_inner()).await
    }

    async fn get_reliability(
        &self,
        request: Request<GetReliabilityRequest>,
    ) -> Result<Response<GetReliabilityResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::GetReliability)?;
        commitments::reliability(&caller, request.into_inner()).await
    }

    async fn get_tactic_stats(
        &self,
        request: Request<GetTacticStatsRequest>,
    ) -> Result<Response<GetTacticStatsResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::GetTacticStats)?;
        stats::answer(&caller, request.into_inner()).await
    }

    async fn assess_strategy(
        &self,
        request: Request<AssessStrategyRequest>,
    ) -> Result<Response<AssessStrategyResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::AssessStrategy)?;
        assess::answer(&caller, request.into_inner()).await
    }

    async fn search_tactics(
        &self,
        request: Request<SearchTacticsRequest>,
    ) -> Result<Response<SearchTacticsResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::SearchTactics)?;
        search::answer(&caller, request.into_inner()).await
    }
}
