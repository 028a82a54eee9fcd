//! `AuditService`: what proves that the history was not rewritten. Bytes go out as they are stored,
//! and proofs as the view confirmed them.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use tonic::{Request, Response, Status};

use super::{Core, Gate, call::Call, log_stream::stored, query::Checks, status, working};
use crate::{
    access::rights::Rpc,
    journal::Entry,
    merkle::Hash,
    notary::Checkpoint,
    proto::{
        GetCheckpointRequest, GetCheckpointResponse, ProveConsistencyRequest,
        ProveConsistencyResponse, ProveInclusionRequest, ProveInclusionResponse, RawEntry,
        ReadRawRequest, ReadRawResponse, audit_service_server::AuditService,
    },
};

/// The service.
pub struct Audit {
    gate: Gate,
}

impl Audit {
    /// The service behind a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    type ReadRawStream = Pin<Box<dyn Stream<Item = Result<ReadRawResponse, Status>> + Send>>;

    async fn read_raw(
        &self,
        request: Request<ReadRawRequest>,
    ) -> Result<Response<Self::ReadRawStream>, Status> {
        let caller = self.gate.caller(&request, Rpc::ReadRaw)?;
        let request = request.into_inner();
        let core = caller.core_at(request.min_position).await?.clone();
        let head = core.feed.head();
        let from = request.from_position.max(1);
        if from > head + 1 {
            return Err(status::beyond_head("position", from, head));
        }
        within([("position", request.to_position)], head)?;
        let to = or_head(request.to_position, head);
        let stream = read_raw(self.gate.clone(), core, Call::current(), from, to);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::GetCheckpoint)?;
        let core = caller.core_at(request.into_inner().min_position).await?;
        // The view takes in what is durable and nothing else.
        let frontier = core.view.frontier();
        let checkpoint = Checkpoint {
            log_id: *core.journal.log_id().as_bytes(),
            size: frontier.size(),
            root: frontier.root(),
        };
        Ok(Response::new(GetCheckpointResponse {
            checkpoint: checkpoint.signed_by(&core.signing_key),
            position: checkpoint.size,
            root: bytes(checkpoint.root),
            verifier_key: core.signing_key.verifier_key().to_string(),
        }))
    }

    async fn prove_inclusion(
        &self,
        request: Request<ProveInclusionRequest>,
    ) -> Result<Response<ProveInclusionResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ProveInclusion)?;
        let request = request.into_inner();
        let position = request.position;
        let mut check = Checks::default();
        if position == 0 {
            check.fault("position", "required; positions start at 1");
        }
        if (1..position).contains(&request.tree_size) {
            let size = request.tree_size;
            let wrong = format!("a tree of {size} commits does not hold position {position}");
            check.fault("tree_size", wrong);
        }
        check.finish()?;
        let core = caller.core_at(request.min_position).await?.clone();
        working(move || {
            let tree = core.view.tree();
            let head = tree.size();
            let asked = [("position", position), ("size", request.tree_size)];
            if let Err(refused) = within(asked, head) {
                return Ok(Err(refused));
            }
            let tree_size = or_head(request.tree_size, head);
            let proof = tree.prove_inclusion(position, tree_size)?;
            Ok(Ok(Response::new(ProveInclusionResponse {
                leaf_index: position - 1,
                tree_size,
                leaf_hash: bytes(proof.leaf),
                hashes: proof.hashes.into_iter().map(bytes).collect(),
                root: bytes(proof.root),
                position: head,
            })))
        })
        .await?
    }

    async fn prove_consistency(
        &self,
        request: Request<ProveConsistencyRequest>,
    ) -> Result<Response<ProveConsistencyResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ProveConsistency)?;
        let request = request.into_inner();
        let old_size = request.old_tree_size;
        let mut check = Checks::default();
        if (1..old_size).contains(&request.new_tree_size) {
            let size = request.new_tree_size;
            let wrong = format!("a tree of {size} commits is older than one of {old_size}");
            check.fault("new_tree_size", wrong);
        }
        check.finish()?;
        let core = caller.core_at(request.min_position).await?.clone();
        working(move || {
            let tree = core.view.tree();
            let head = tree.size();
            let asked = [("size", old_size), ("size", request.new_tree_size)];
            if let Err(refused) = within(asked, head) {
                return Ok(Err(refused));
            }
            let new_tree_size = or_head(request.new_tree_size, head);
            let proof = tree.prove_consistency(old_size, new_tree_size)?;
            Ok(Ok(Response::new(ProveConsistencyResponse {
                hashes: proof.hashes.into_iter().map(bytes).collect(),
                old_root: bytes(proof.old_root),
                new_root: bytes(proof.new_root),
                new_tree_size,
                position: head,
            })))
        })
        .await?
    }
}

/// Refuses what lies beyond the head.
fn within<const N: usize>(asked: [(&str, u64); N], head: u64) -> Result<(), Status> {
    match asked.into_iter().find(|(_, number)| *number > head) {
        Some((what, number)) => Err(status::beyond_head(what, number, head)),
        None => Ok(()),
    }
}

/// A position or a size that is asked for; 0 is the head.
fn or_head(asked: u64, head: u64) -> u64 {
    if asked == 0 { head } else { asked }
}

fn bytes(hash: Hash) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&hash)
}

/// The stored commits from `next` to `to`, then the end. A stream that is not read reads nothing.
fn read_raw(
    gate: Gate,
    core: Arc<Core>,
    call: Call,
    mut next: u64,
    to: u64,
) -> impl Stream<Item = Result<ReadRawResponse, Status>> {
    async_stream::try_stream! {
        while next <= to {
            let entries = stored(&gate, &core, &call, next, to).await?;
            next += entries.len() as u64;
            let raw = |Entry { position, commit }| RawEntry { position, commit };
            yield ReadRawResponse { entries: entries.into_iter().map(raw).collect() };
        }
    }
}
