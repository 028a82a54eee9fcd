//! What is written: the same event for every contender, of a usual size.

use std::sync::LazyLock;

use prost::Message as _;
use strata::proto::{Event, ExecuteRequest, command::Kind, event};

use crate::writing;

static BYTES: LazyLock<Vec<u8>> =
    LazyLock::new(|| writing::request("", 1).commands.remove(0).encode_to_vec());

static TEXT: LazyLock<String> =
    LazyLock::new(|| match writing::request("", 1).commands.remove(0).kind {
        Some(Kind::RecordNote(note)) => note.text,
        _ => String::new(),
    });

static JSON: LazyLock<String> = LazyLock::new(|| format!(r#"{{"text": "{}"}}"#, *TEXT));

/// The event as bytes, for whom it is nothing else.
pub(crate) fn bytes() -> Vec<u8> {
    BYTES.clone()
}

/// The event as JSON, for whom it must be that; its text is as long as the note's.
pub(crate) fn json() -> &'static str {
    &JSON
}

/// The request that takes a plan on from a revision by so many events.
pub(crate) fn request(plan_id: &str, revision: u64, events: usize) -> ExecuteRequest {
    let mut request = writing::request(plan_id, revision);
    for further in 1..events as u64 {
        let next = writing::request(plan_id, revision + further);
        request.commands.extend(next.commands);
    }
    request
}

/// Whether an event of Strata's log is what was written, whole.
pub(crate) fn is_written(event: &Event) -> bool {
    match &event.kind {
        Some(event::Kind::PlanCreated(created)) => created.summary == *TEXT,
        Some(event::Kind::NoteRecorded(noted)) => noted.text == *TEXT,
        _ => false,
    }
}
