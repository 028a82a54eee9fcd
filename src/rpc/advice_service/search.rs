//! `SearchTactics`: what was tried before, in all plans.

use tonic::{Response, Status};

use crate::{
    proto::{SearchTacticsRequest, SearchTacticsResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: SearchTacticsRequest,
) -> Result<Response<SearchTacticsResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
