//! `Explain`: why, as a graph of events.

use tonic::{Response, Status};

use crate::{
    proto::{ExplainRequest, ExplainResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: ExplainRequest,
) -> Result<Response<ExplainResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
