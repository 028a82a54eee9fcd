//! `ListRevisions`: how one strategy evolved.

use tonic::{Response, Status};

use crate::{
    proto::{ListRevisionsRequest, ListRevisionsResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: ListRevisionsRequest,
) -> Result<Response<ListRevisionsResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
