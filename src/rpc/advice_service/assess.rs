//! `AssessStrategy`: whether a strategy does the right things, and does them right.

use tonic::{Response, Status};

use crate::{
    proto::{AssessStrategyRequest, AssessStrategyResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: AssessStrategyRequest,
) -> Result<Response<AssessStrategyResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
