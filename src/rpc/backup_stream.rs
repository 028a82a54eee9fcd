//! A backup as a stream: read from the log block by block as the client takes them, up to the head at
//! the call. It is read from the disk and never from memory, so that what is kept is what is there.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::Stream;
use tonic::Status;

use super::{Core, Gate, blocking, call::Call, log_stream::stored, status};
use crate::{
    backup::{Header, encode::Encoder},
    merkle::Frontier,
    proto::BackupResponse,
    view::ViewError,
};

/// The commits from `from` to `head`, as the pieces of a file.
pub(super) fn backup(
    gate: Gate,
    core: Arc<Core>,
    from: u64,
    head: u64,
) -> impl Stream<Item = Result<BackupResponse, Status>> {
    let call = Call::current();
    async_stream::try_stream! {
        let before = tree_at(&core, from - 1).await?;
        let acknowledged = tree_at(&core, head).await?.root();
        let header = Header { log_id: core.journal.log_id(), before, made_at_seconds: now() };
        let (mut file, begin) = Encoder::begin(&header);
        yield piece(begin, file.position(), head);
        while file.position() < head {
            let entries = stored(&gate, &core, &call, file.position() + 1, head).await?;
            let mut entries = entries.as_slice();
            while !entries.is_empty() {
                let block = file.commits(&mut entries);
                yield piece(block, file.position(), head);
            }
        }
        // What is on the disk must be what was acknowledged, or it is no backup.
        if file.root() != acknowledged {
            Err(status::of_view(&ViewError::Incoherent(format!(
                "the {head} commits on the disk do not lead to the root that was acknowledged"
            ))))?;
        }
        yield piece(file.end(), head, head);
    }
}

/// The log's tree when it had `size` commits.
async fn tree_at(core: &Arc<Core>, size: u64) -> Result<Frontier, Status> {
    let core = core.clone();
    blocking(move || core.view.frontier_at(size)).await
}

fn piece(chunk: bytes::Bytes, position: u64, head_position: u64) -> BackupResponse {
    BackupResponse {
        chunk,
        position,
        head_position,
    }
}

/// The daemon's clock, in seconds since 1970; one that is set before that counts as 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
