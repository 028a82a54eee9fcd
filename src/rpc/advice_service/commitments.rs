//! `ListCommitments` and `GetReliability`: what was promised, and whose word holds.

use tonic::{Response, Status};

use crate::{
    proto::{
        GetReliabilityRequest, GetReliabilityResponse, ListCommitmentsRequest,
        ListCommitmentsResponse,
    },
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn list(
    gate: &Gate,
    _request: ListCommitmentsRequest,
) -> Result<Response<ListCommitmentsResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn reliability(
    gate: &Gate,
    _request: GetReliabilityRequest,
) -> Result<Response<GetReliabilityResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
