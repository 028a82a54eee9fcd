//! What makes two requests the same: the digest of all that a request asks for. It leaves out what
//! only says how to record it, and the cause that the daemon adds to a correction by itself, so that
//! a request which lets the daemon add it is the same as one that says it.

use std::mem;

use prost::Message as _;
use proto::command::Kind;
use sha2::{Digest as _, Sha256};

use crate::proto;

/// The first byte of a digest; another way of computing it gets another one.
const VERSION: u8 = 1;

/// The digest of a request, which is the same afterwards as before: encoding it without some fields
/// is cheaper than copying it.
pub(super) fn of(request: &mut proto::ExecuteRequest) -> [u8; 33] {
    let request_id = mem::take(&mut request.request_id);
    let expected_revision = request.expected_revision.take();
    let validate_only = mem::take(&mut request.validate_only);
    let implied = implied_cause(request).map(|index| (index, request.because.remove(index)));

    let encoded = request.encode_to_vec();

    if let Some((index, cause)) = implied {
        request.because.insert(index, cause);
    }
    request.request_id = request_id;
    request.expected_revision = expected_revision;
    request.validate_only = validate_only;

    let mut digest = [VERSION; 33];
    let (_, hash) = digest.split_at_mut(1);
    hash.copy_from_slice(&Sha256::digest(&encoded));
    digest
}

/// Where in `because` the cause stands that the daemon would add by itself: that the one event which
/// all commands correct or retract is corrected.
pub(super) fn implied_cause(request: &proto::ExecuteRequest) -> Option<usize> {
    let mut targets = request.commands.iter().map(target);
    let revision = targets.next()??;
    targets.all(|other| other == Some(revision)).then_some(())?;
    request.because.iter().position(|cause| {
        cause.role == proto::CauseRole::Corrects as i32
            && cause.revision == revision
            && (cause.plan_id.is_empty() || cause.plan_id == request.plan_id)
    })
}

/// The revision of the event that a command corrects or retracts.
pub(super) fn target(command: &proto::Command) -> Option<u64> {
    if let Some(Kind::CorrectEvent(it)) = &command.kind {
        Some(it.revision)
    } else if let Some(Kind::RetractEvent(it)) = &command.kind {
        Some(it.revision)
    } else {
        None
    }
}
