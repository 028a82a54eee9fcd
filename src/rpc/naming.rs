//! What requests name that is noted of their calls. It is noted of each that comes to the gate, before
//! its caller's rights are asked: whoever looks for what was refused finds it by its plan.

use tonic::Streaming;

use super::noted;
use crate::proto::{
    AssessStrategyRequest, BackupRequest, ConfirmClockRequest, DiffPlanRequest, ExecuteRequest,
    ExplainRequest, GetCheckpointRequest, GetPlanRequest, GetReliabilityRequest, GetStatusRequest,
    GetTacticStatsRequest, ListCommitmentsRequest, ListEventsRequest, ListPlansRequest,
    ListRevisionsRequest, ProveConsistencyRequest, ProveInclusionRequest, ReadLogRequest,
    ReadRawRequest, ReviewPlanRequest, SearchTacticsRequest, SetLogFilterRequest,
    SuggestTacticRequest, WatchRequest,
};

/// A request, or what else a call begins with.
pub(super) trait Naming {
    /// Notes what it names.
    fn note(&self) {}
}

macro_rules! naming_a_plan {
    ($($request:ty),* $(,)?) => {
        $(impl Naming for $request {
            fn note(&self) {
                noted::plan(&self.plan_id);
            }
        })*
    };
}

macro_rules! naming_plans {
    ($($request:ty),* $(,)?) => {
        $(impl Naming for $request {
            fn note(&self) {
                for plan_id in &self.plan_ids {
                    noted::one_of_plans(plan_id);
                }
            }
        })*
    };
}

macro_rules! naming_nothing {
    ($($request:ty),* $(,)?) => {
        $(impl Naming for $request {})*
    };
}

naming_a_plan!(
    AssessStrategyRequest,
    DiffPlanRequest,
    ExplainRequest,
    GetPlanRequest,
    GetTacticStatsRequest,
    ListEventsRequest,
    ListRevisionsRequest,
    ReviewPlanRequest,
    SuggestTacticRequest,
);

naming_plans!(
    GetReliabilityRequest,
    ListCommitmentsRequest,
    ReadLogRequest,
    SearchTacticsRequest,
    WatchRequest,
);

naming_nothing!(
    BackupRequest,
    ConfirmClockRequest,
    GetCheckpointRequest,
    GetStatusRequest,
    ListPlansRequest,
    ProveConsistencyRequest,
    ProveInclusionRequest,
    ReadRawRequest,
    SetLogFilterRequest,
);

impl Naming for ExecuteRequest {
    fn note(&self) {
        noted::plan(&self.plan_id);
        noted::request_id(&self.request_id);
    }
}

/// Its requests come later.
impl<T> Naming for Streaming<T> {}

#[cfg(test)]
impl Naming for () {}
