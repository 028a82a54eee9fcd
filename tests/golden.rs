//! Bytes that are for ever: an event that was ever written reads as it did then, and is written
//! again as the same bytes. A line of a fixture is never changed; a new kind, or a field that is
//! added to one, adds a line.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use strata::{
    domain::event::{TYPE_NAMES, type_name},
    proto,
};

/// Type, bytes in hexadecimal, and meaning in JSON of events, a line each.
const EVENTS: &str = include_str!("fixtures/golden/events-1.tsv");

#[test]
fn an_event_that_was_ever_written_means_what_it_did_and_keeps_its_bytes() {
    let descriptor = event_descriptor();
    for line in EVENTS.lines() {
        let [name, bytes, meaning] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line} has three fields");
        };
        let bytes = hex::decode(bytes).expect("hexadecimal");
        let event = proto::Event::decode(bytes.as_slice()).expect(name);
        assert_eq!(type_name(&event), name);
        assert_eq!(event.encode_to_vec(), bytes, "{name}");

        let mut json = serde_json::Deserializer::from_str(meaning);
        let meant = DynamicMessage::deserialize(descriptor.clone(), &mut json).expect(name);
        assert_eq!(meant.transcode_to::<proto::Event>().expect(name), event);
    }
}

#[test]
fn every_kind_of_event_has_golden_bytes() {
    let golden: BTreeSet<_> = EVENTS
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(golden, BTreeSet::from(TYPE_NAMES));
}

fn event_descriptor() -> MessageDescriptor {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    pool.get_message_by_name("strata.v1.Event")
        .expect("the event")
}
