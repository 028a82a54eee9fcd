//! A backup as a stream: read from the log block by block as the client takes them, up to the head at
//! the call. It is read from the disk and never from memory, so that what is kept is what is there.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::Stream;
use tonic::Status;

use super::{BATCH_BYTES, Core, Gate, blocking, stopping};
use crate::{
    backup::{Header, encode::Encoder},
    commit::leaf_hash,
    journal::{Entry, JournalError},
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
    async_stream::try_stream! {
        let before = tree_before(&gate, &core, from).await?;
        let header = Header { log_id: core.journal.log_id(), before, made_at_seconds: now() };
        let (mut file, begin) = Encoder::begin(&header);
        yield piece(begin, file.position(), head);
        while file.position() < head {
            let entries = read(&gate, &core, file.position() + 1, head).await?;
            let mut entries = entries.as_slice();
            while !entries.is_empty() {
                let block = file.commits(&mut entries);
                yield piece(block, file.position(), head);
            }
        }
        yield piece(file.end(), head, head);
    }
}

/// The log's tree before a position. It is worked out from the first commit on, as slowly as the log
/// is long.
async fn tree_before(gate: &Gate, core: &Arc<Core>, from: u64) -> Result<Frontier, Status> {
    let mut tree = Frontier::default();
    while tree.size() + 1 < from {
        for entry in read(gate, core, tree.size() + 1, from - 1).await? {
            tree.push(leaf_hash(&entry.commit));
        }
    }
    Ok(tree)
}

/// Some of the commits from `from` to `to`, at least one, unless the daemon stops.
async fn read(gate: &Gate, core: &Arc<Core>, from: u64, to: u64) -> Result<Vec<Entry>, Status> {
    if gate.stopping().is_cancelled() {
        return Err(stopping());
    }
    let core = core.clone();
    let read = move || {
        let mut entries = core.journal.read(from, BATCH_BYTES)?;
        let wanted = entries.partition_point(|entry| entry.position <= to);
        entries.truncate(wanted);
        if entries.is_empty() {
            return Err(ViewError::Journal(JournalError::Damaged {
                what: "its commit is missing".to_owned(),
                position: Some(from),
            }));
        }
        Ok(entries)
    };
    blocking(read).await
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
