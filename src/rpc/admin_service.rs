//! `AdminService`: what operators ask of a daemon.

use std::pin::Pin;

use futures_util::Stream;
use tonic::{Request, Response, Status};

use super::{Gate, backup_stream, status};
use crate::proto::{
    BackupRequest, BackupResponse, GetStatusRequest, GetStatusResponse,
    admin_service_server::AdminService,
};

/// The service.
pub struct Admin {
    gate: Gate,
}

impl Admin {
    /// The service behind a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_status(
        &self,
        _: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let core = self.gate.core()?;
        let view = core.view.stats();
        Ok(Response::new(GetStatusResponse {
            head_position: core.feed.head(),
            log_id: core.journal.log_id().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(core.started_at.into()),
            view_position: view.written_position,
            plans: view.plans as u64,
            watches: core.feed.watchers() as u64,
            queued_requests: core.writer.queued() as u64,
            queue_limit: core.writer.queue_limit() as u64,
            cached_bytes: view.cached_bytes,
            cache_limit_bytes: core.plan_cache_bytes,
            last_recorded_at: core.view.last_recorded_at().map(Into::into),
        }))
    }

    type BackupStream = Pin<Box<dyn Stream<Item = Result<BackupResponse, Status>> + Send>>;

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let from = request.into_inner().from_position.max(1);
        let core = self.gate.core()?.clone();
        let head = core.feed.head();
        if from > head + 1 {
            return Err(status::beyond_head("position", from, head));
        }
        let stream = backup_stream::backup(self.gate.clone(), core, from, head);
        Ok(Response::new(Box::pin(stream)))
    }
}
