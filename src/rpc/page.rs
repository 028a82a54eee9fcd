//! Pages of lists: their sizes, and tokens that say where to go on. A token is opaque to clients and
//! bound to the query it came from. It says where to go on and gives no right: each page shows what its own
//! caller may see. Whoever may not see all plans gets none that names a hidden one.

use prost::Message;
use tonic::Status;

use super::{Core, query::Checks, status::malformed_field};

/// The size of a page when none is asked for.
const SIZE_DEFAULT: u32 = 50;
/// The largest page.
const SIZE_MAX: u32 = 1_000;

/// The checked size of a page.
pub(super) fn size(check: &mut Checks, asked: u32) -> usize {
    if asked > SIZE_MAX {
        check.fault("page_size", format!("{asked} is more than {SIZE_MAX}"));
    }
    let size = if asked == 0 { SIZE_DEFAULT } else { asked };
    size as usize
}

/// A token for going on after `place` with the same `query`.
#[must_use]
pub fn token(query: &impl Message, place: &[u8]) -> String {
    let mut bytes = fingerprint(query).to_vec();
    bytes.extend_from_slice(place);
    hex::encode(bytes)
}

/// The place that a token names; nothing for the first page.
pub fn place(query: &impl Message, token: &str) -> Result<Option<Vec<u8>>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = hex::decode(token).unwrap_or_default();
    match bytes.split_first_chunk() {
        Some((mark, place)) if *mark == fingerprint(query) => Ok(Some(place.to_vec())),
        Some(_) | None => Err(no_token()),
    }
}

/// The position that a token holds on to, and what stands behind it there.
pub(super) fn pinned<T>(
    core: &Core,
    place: &[u8],
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<(u64, Option<T>), Status> {
    let (position, after) = place.split_first_chunk().ok_or_else(no_token)?;
    let position = u64::from_be_bytes(*position);
    if position > core.view.position() {
        return Err(no_token());
    }
    Ok((position, Some(read(after).ok_or_else(no_token)?)))
}

/// The place of a token: the position that the pages hold on to, and what the last one ended with.
pub(super) fn pinned_place(position: u64, last: &[u8]) -> Vec<u8> {
    let mut place = position.to_be_bytes().to_vec();
    place.extend_from_slice(last);
    place
}

/// The refusal of a token that was not given out.
pub(super) fn no_token() -> Status {
    malformed_field(
        "page_token",
        "it is no next_page_token of this query; leave it empty to start again",
    )
}

/// Tells apart queries whose tokens must not be mixed up; `query` comes without token and size.
fn fingerprint(query: &impl Message) -> [u8; 4] {
    crc32c::crc32c(&query.encode_to_vec()).to_be_bytes()
}
