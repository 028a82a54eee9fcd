//! `SuggestTactic`: which tactic comes next.

use tonic::{Response, Status};

use crate::{
    proto::{SuggestTacticRequest, SuggestTacticResponse},
    rpc::Gate,
};

#[expect(clippy::unused_async, reason = "it will ask the core")]
pub(super) async fn answer(
    gate: &Gate,
    _request: SuggestTacticRequest,
) -> Result<Response<SuggestTacticResponse>, Status> {
    gate.core()?;
    Err(Status::unimplemented("not built yet"))
}
