//! `DiffPlan`: what differs in a plan between two points.

use tonic::{Response, Status};

use crate::{
    proto::{DiffPlanRequest, DiffPlanResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: DiffPlanRequest,
) -> Result<Response<DiffPlanResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
