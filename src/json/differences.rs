//! How two messages of one kind differ, field by field, as JSON: for whoever shows a change without
//! knowing the message.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use prost::{
    DecodeError,
    encoding::{DecodeContext, decode_key, skip_field},
};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage,
    SerializeOptions, Value,
};
use prost_types::{ListValue, Struct, value::Kind as Said};
use serde_json::Value as Json;

use super::{JsonError, Published, descriptor, disagreement};
use crate::proto::FieldChange;

/// What the elements of a list go by, by the full names of their messages: they are told apart by
/// this field, and not by their place.
const IDENTITIES: [(&str, &str); 3] = [
    ("strata.v1.Attempt", "attempt"),
    ("strata.v1.Evidence", "evidence_id"),
    ("strata.v1.Proposal", "proposal_id"),
];
/// The package of messages that are a text in JSON.
const WELL_KNOWN: &str = "google.protobuf";

/// The fields that differ, in the order of the fields.
pub fn differences<T: Published>(before: &T, after: &T) -> Result<Vec<FieldChange>, JsonError> {
    let descriptor = descriptor::<T>()?;
    let bytes = (before.encode_to_vec(), after.encode_to_vec());
    let dynamic = |of: &Records, other: &Records| {
        let differing = differing(&descriptor, of, other);
        DynamicMessage::decode(descriptor.clone(), &*differing)
    };
    let parted = records(&bytes.0).and_then(|before| Ok((before, records(&bytes.1)?)));
    let decoded = parted
        .and_then(|(before, after)| Ok((dynamic(&before, &after)?, dynamic(&after, &before)?)));
    let (before, after) = decoded.map_err(|error| disagreement::<T>(&error))?;
    let mut changes = Changes(Vec::new());
    changes.compare("", &before, &after)?;
    Ok(changes.0)
}

/// What an encoded message says of each field, by the numbers of the fields: one record for each
/// element of a list, otherwise one.
type Records<'a> = BTreeMap<u32, Vec<&'a [u8]>>;

fn records(bytes: &[u8]) -> Result<Records<'_>, DecodeError> {
    let mut records = Records::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let from = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
        let record = from.get(..from.len() - rest.len()).unwrap_or_default();
        records.entry(number).or_default().push(record);
    }
    Ok(records)
}

/// The encoding of a message without what it has alike with another one, which need not be read:
/// fields, and those elements of lists that go by something.
fn differing(descriptor: &MessageDescriptor, of: &Records, other: &Records) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, records) in of {
        let others = other.get(number).map_or(&[][..], Vec::as_slice);
        let field = descriptor.get_field(*number);
        if others == records {
            continue;
        }
        if field.is_some_and(|field| is_named_list(&field)) {
            let others: HashSet<_> = others.iter().collect();
            let differing = records.iter().filter(|record| !others.contains(record));
            differing.for_each(|record| bytes.extend_from_slice(record));
        } else {
            for record in records {
                bytes.extend_from_slice(record);
            }
        }
    }
    bytes
}

fn is_named_list(field: &FieldDescriptor) -> bool {
    let kind = field.kind();
    let element = kind.as_message().filter(|_| field.is_list());
    element.is_some_and(|element| identity(element).is_some())
}

/// Only what differs is put into JSON: most of two messages is alike.
struct Changes(Vec<FieldChange>);

impl Changes {
    fn compare(
        &mut self,
        path: &str,
        before: &DynamicMessage,
        after: &DynamicMessage,
    ) -> Result<(), JsonError> {
        for field in before.descriptor().fields() {
            // Neither says anything of most fields.
            if !before.has_field(&field) && !after.has_field(&field) {
                continue;
            }
            let (before, after) = (value(before, &field), value(after, &field));
            if before != after {
                let path = match path {
                    "" => field.name().to_owned(),
                    path => format!("{path}.{}", field.name()),
                };
                self.compare_field(path, &field, before.as_deref(), after.as_deref())?;
            }
        }
        Ok(())
    }

    fn compare_field(
        &mut self,
        path: String,
        field: &FieldDescriptor,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), JsonError> {
        let kind = field.kind();
        if let (Some(Value::Message(before)), Some(Value::Message(after))) = (before, after)
            && before.descriptor().package_name() != WELL_KNOWN
        {
            return self.compare(&path, before, after);
        }
        let (earlier, later) = (elements(before), elements(after));
        if let (Some(earlier), Some(later)) = (earlier, later) {
            return self.compare_elements(&path, &earlier, &later);
        }
        self.add(path, said(&kind, before), said(&kind, after), &kind)
    }

    fn compare_elements(
        &mut self,
        path: &str,
        before: &[(String, &Value)],
        after: &[(String, &Value)],
    ) -> Result<(), JsonError> {
        let earlier: HashMap<_, _> = before.iter().map(|(name, it)| (name, *it)).collect();
        let later: HashMap<_, _> = after.iter().map(|(name, it)| (name, *it)).collect();
        let lost = before.iter().filter(|(name, _)| !later.contains_key(name));
        for (name, _) in after.iter().chain(lost) {
            let path = format!("{path}[{name}]");
            match (earlier.get(name).copied(), later.get(name).copied()) {
                (Some(Value::Message(before)), Some(Value::Message(after))) => {
                    self.compare(&path, before, after)?;
                }
                (before, after) if before != after => {
                    self.add(path, before, after, &Kind::String)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: String,
        before: Option<&Value>,
        after: Option<&Value>,
        kind: &Kind,
    ) -> Result<(), JsonError> {
        let told = |value: Option<&Value>| value.map(|value| told(value, kind)).transpose();
        self.0.push(FieldChange {
            path,
            before: told(before)?,
            after: told(after)?,
        });
        Ok(())
    }
}

/// The value of a field, unless it can be unset and is.
fn value<'a>(message: &'a DynamicMessage, field: &FieldDescriptor) -> Option<Cow<'a, Value>> {
    let is_set = !field.supports_presence() || message.has_field(field);
    is_set.then(|| message.get_field(field))
}

/// The elements of a map, or of a list whose elements go by something, with their names.
fn elements(value: Option<&Value>) -> Option<Vec<(String, &Value)>> {
    if let Value::Map(map) = value? {
        let mut named: Vec<_> = map.iter().map(|(key, it)| (key_text(key), it)).collect();
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        return Some(named);
    }
    let named = |element: &'_ Value| {
        let message = element.as_message()?;
        let identity = message.get_field_by_name(identity(&message.descriptor())?)?;
        let text = identity.as_str().map(str::to_owned);
        Some(text.unwrap_or_else(|| identity.to_string()))
    };
    let list = value?.as_list()?;
    list.iter().map(|it| Some((named(it)?, it))).collect()
}

fn key_text(key: &MapKey) -> String {
    key.as_str()
        .map_or_else(|| format!("{key:?}"), str::to_owned)
}

/// The field that elements of this message go by.
fn identity(message: &MessageDescriptor) -> Option<&'static str> {
    let of_message = |(name, _): &&(&str, &str)| *name == message.full_name();
    IDENTITIES.iter().find(of_message).map(|(_, field)| *field)
}

/// A value, unless it says nothing: an empty text or list, or an enumeration's first value.
fn said<'a>(kind: &Kind, value: Option<&'a Value>) -> Option<&'a Value> {
    value.filter(|value| {
        !(value.as_str() == Some("")
            || value.as_list().is_some_and(<[Value]>::is_empty)
            || kind.as_enum().is_some() && value.as_enum_number() == Some(0))
    })
}

/// A value as JSON says it.
fn told(value: &Value, kind: &Kind) -> Result<prost_types::Value, JsonError> {
    let told = match value {
        Value::Bool(flag) => Said::BoolValue(*flag),
        Value::I32(number) => Said::NumberValue(f64::from(*number)),
        Value::U32(number) => Said::NumberValue(f64::from(*number)),
        Value::F32(number) => Said::NumberValue(f64::from(*number)),
        Value::F64(number) => Said::NumberValue(*number),
        Value::I64(number) => Said::StringValue(number.to_string()),
        Value::U64(number) => Said::StringValue(number.to_string()),
        Value::String(text) => Said::StringValue(text.clone()),
        Value::EnumNumber(number) => {
            let named = kind.as_enum().and_then(|it| it.get_value(*number));
            named.map_or(Said::NumberValue(f64::from(*number)), |it| {
                Said::StringValue(it.name().to_owned())
            })
        }
        Value::List(list) => {
            let values = list
                .iter()
                .map(|it| told(it, kind))
                .collect::<Result<_, _>>()?;
            Said::ListValue(ListValue { values })
        }
        Value::Message(message) => {
            let options = SerializeOptions::new()
                .use_proto_field_name(true)
                .stringify_64_bit_integers(true)
                .skip_default_fields(true);
            return Ok(of_json(&message.serialize_with_options(
                serde_json::value::Serializer,
                &options,
            )?));
        }
        // No view has any by itself; maps are told element by element.
        Value::Bytes(_) | Value::Map(_) => Said::NullValue(0),
    };
    Ok(prost_types::Value { kind: Some(told) })
}

fn of_json(json: &Json) -> prost_types::Value {
    let said = match json {
        Json::Null => Said::NullValue(0),
        Json::Bool(flag) => Said::BoolValue(*flag),
        // Of 64 bits only doubles come as numbers.
        Json::Number(number) => Said::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Said::StringValue(text.clone()),
        Json::Array(elements) => Said::ListValue(ListValue {
            values: elements.iter().map(of_json).collect(),
        }),
        Json::Object(fields) => {
            let fields = fields.iter();
            Said::StructValue(Struct {
                fields: fields
                    .map(|(name, it)| (name.clone(), of_json(it)))
                    .collect(),
            })
        }
    };
    prost_types::Value { kind: Some(said) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;

    /// Each change as `path: before -> after`.
    fn told<T: Published>(before: &T, after: &T) -> Vec<String> {
        let changes = differences(before, after).expect("it can be said");
        let shown = |value: &Option<prost_types::Value>| value.as_ref().map_or("-".into(), text);
        changes
            .iter()
            .map(|it| format!("{}: {} -> {}", it.path, shown(&it.before), shown(&it.after)))
            .collect()
    }

    fn text(value: &prost_types::Value) -> String {
        match value.kind.as_ref().expect("a kind") {
            Said::NullValue(_) => "null".into(),
            Said::NumberValue(number) => number.to_string(),
            Said::StringValue(text) => text.clone(),
            Said::BoolValue(flag) => flag.to_string(),
            Said::StructValue(it) => format!("{{{} fields}}", it.fields.len()),
            Said::ListValue(it) => {
                format!("{:?}", it.values.iter().map(text).collect::<Vec<_>>())
            }
        }
    }

    fn attempt(number: u32, observed: &str) -> proto::Attempt {
        proto::Attempt {
            attempt: number,
            observed: observed.into(),
            ..proto::Attempt::default()
        }
    }

    #[test]
    fn a_message_does_not_differ_from_itself() {
        let tactic = proto::Tactic {
            cost: Some(0.0),
            attempts: vec![attempt(1, "Nothing")],
            ..proto::Tactic::default()
        };
        assert!(told(&tactic, &tactic).is_empty());
    }

    #[test]
    fn fields_are_named_in_their_order_with_what_they_say() {
        let before = proto::Indicator {
            name: "Replies".into(),
            target: Some(0.0),
            cadence: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
            ..proto::Indicator::default()
        };
        let after = proto::Indicator {
            unit: "replies".into(),
            direction: proto::Direction::Increase.into(),
            measurements: 1,
            last: Some(proto::Measurement {
                value: 2.5,
                revision: 1 << 60,
                ..proto::Measurement::default()
            }),
            ..proto::Indicator::default()
        };
        let later = proto::Indicator {
            last: Some(proto::Measurement {
                value: 2.5,
                revision: (1 << 60) + 1,
                ..proto::Measurement::default()
            }),
            ..after.clone()
        };
        let expected = [
            "name: Replies -> -",
            "unit: - -> replies",
            "direction: - -> DIRECTION_INCREASE",
            "target: 0 -> -",
            "cadence: 60s -> -",
            "measurements: 0 -> 1",
            "last: - -> {2 fields}",
        ];
        assert_eq!(told(&before, &after), expected);
        assert_eq!(
            told(&after, &later),
            ["last.revision: 1152921504606846976 -> 1152921504606846977"]
        );
    }

    #[test]
    fn lists_of_texts_are_one_value_and_labels_one_each() {
        let before = proto::Plan {
            labels: [("a".into(), "1".into()), ("b".into(), "1".into())].into(),
            ..proto::Plan::default()
        };
        let after = proto::Plan {
            labels: [("b".into(), "2".into()), ("c".into(), String::new())].into(),
            ..proto::Plan::default()
        };
        let expected = ["labels[b]: 1 -> 2", "labels[c]: - -> ", "labels[a]: 1 -> -"];
        assert_eq!(told(&before, &after), expected);
        let strategy = |will: &[&str]| proto::Strategy {
            will: will.iter().map(|it| (*it).to_owned()).collect(),
            ..proto::Strategy::default()
        };
        let (before, after) = (strategy(&[]), strategy(&["call", "write"]));
        assert_eq!(told(&before, &after), [r#"will: - -> ["call", "write"]"#]);
    }

    #[test]
    fn elements_go_by_their_number_or_id_and_not_by_their_place() {
        let tactic = |attempts: Vec<proto::Attempt>| proto::Tactic {
            attempts,
            ..proto::Tactic::default()
        };
        let before = tactic(vec![attempt(1, "Rain"), attempt(3, "")]);
        let after = tactic(vec![attempt(3, "Sun"), attempt(4, "")]);
        let told = told(&before, &after);
        assert_eq!(told[0], "attempts[3].observed: - -> Sun");
        assert!(told[1].starts_with("attempts[4]: - -> {"), "{}", told[1]);
        assert!(told[2].starts_with("attempts[1]: {"), "{}", told[2]);
        assert_eq!(told.len(), 3);
    }
}
