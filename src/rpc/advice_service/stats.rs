//! `GetTacticStats`: how often tactics worked.

use tonic::{Response, Status};

use crate::{
    proto::{GetTacticStatsRequest, GetTacticStatsResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: GetTacticStatsRequest,
) -> Result<Response<GetTacticStatsResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
