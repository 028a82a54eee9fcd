//! `ReviewPlan`: what is wrong with a plan.

use tonic::{Response, Status};

use crate::{
    proto::{ReviewPlanRequest, ReviewPlanResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: ReviewPlanRequest,
) -> Result<Response<ReviewPlanResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
