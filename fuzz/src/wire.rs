//! What else comes from clients and auditors: headers, tokens of pages, bookmarks, JSON, checkpoints and
//! proofs.

use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use strata::{
    gateway::calls::trace_id_of,
    json::{differences, from_json, to_json},
    merkle::proof::{check_consistency, check_inclusion},
    notary::{Checkpoint, VerifierKey},
    proto::{Commit, ExecuteRequest, ListPlansRequest},
    rpc::{bookmark::Bookmark, page, timeout_of},
};

/// `traceparent` and `grpc-timeout`.
pub fn headers(bytes: &[u8]) {
    let Ok(header) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    if let Some(id) = trace_id_of(&header) {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(id, "0".repeat(32));
    }
    let headers: HeaderMap = [(http::HeaderName::from_static("grpc-timeout"), header)]
        .into_iter()
        .collect();
    if let Some(timeout) = timeout_of(&headers) {
        assert!(timeout.as_secs() <= 99_999_999 * 3_600);
    }
}

/// Bookmarks and tokens of pages.
pub fn resume(bytes: &[u8]) {
    if let Some(bookmark) = Bookmark::from_bytes(bytes) {
        assert_eq!(bookmark.to_bytes(), bytes);
    }
    let query = ListPlansRequest::default();
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(Some(place)) = page::place(&query, text)
    {
        assert!(page::token(&query, &place).eq_ignore_ascii_case(text));
    }
    let token = page::token(&query, bytes);
    assert_eq!(
        page::place(&query, &token).expect("its own token"),
        Some(bytes.to_vec())
    );
    let other = ListPlansRequest {
        page_size: 7,
        ..query
    };
    assert!(
        page::place(&other, &token).is_err(),
        "another query's token"
    );
}

/// A line of an import or an export.
pub fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(request) = from_json::<ExecuteRequest>(text) {
        let written = to_json(&request).expect("JSON");
        let read: ExecuteRequest = from_json(&written).expect("what was written");
        assert_eq!(read.encode_to_vec(), request.encode_to_vec());
    }
    if let Ok(commit) = from_json::<Commit>(text) {
        let written = to_json(&commit).expect("JSON");
        let read: Commit = from_json(&written).expect("what was written");
        assert_eq!(read.encode_to_vec(), commit.encode_to_vec());
        drop(differences(&commit, &Commit::default()));
    }
}

/// A verifier key, an empty line, a checkpoint; behind it two sizes and a proof.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let (key, note) = text.split_once("\n\n").unwrap_or(("", text));
        drop(Checkpoint::unverified(note));
        if let Ok(key) = key.parse::<VerifierKey>() {
            assert_eq!(key.to_string().parse().as_ref(), Ok(&key));
            if let Ok(checkpoint) = key.verify(note) {
                assert_eq!(Checkpoint::unverified(note), Ok(checkpoint));
            }
        }
    }
    let Some((old_size, rest)) = bytes.split_first_chunk() else {
        return;
    };
    let Some((new_size, rest)) = rest.split_first_chunk() else {
        return;
    };
    let sizes = (u64::from_le_bytes(*old_size), u64::from_le_bytes(*new_size));
    if let [old_root, new_root, proof @ ..] = rest.as_chunks::<32>().0 {
        let (old, new) = sizes;
        let is_part = check_consistency(old, old_root, new, new_root, proof);
        assert!(
            is_part.is_err() || old <= new,
            "no tree begins with a larger one"
        );
        let is_in = check_inclusion(old_root, old, new, new_root, proof);
        assert!(
            is_in.is_err() || old < new,
            "no leaf lies outside of its tree"
        );
    }
}
