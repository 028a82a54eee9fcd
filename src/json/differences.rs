//! How two messages of one kind differ, field by field, as JSON: for whoever shows a change without
//! knowing the message.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions};
use prost_types::{ListValue, Struct, Value, value::Kind as ValueKind};
use serde_json::{Map, Value as Json};

use super::{JsonError, Published, descriptor, disagreement};
use crate::proto::FieldChange;

/// What the elements of a list go by, by the full names of their messages: they are told apart by
/// this field, and not by their place.
const IDENTITIES: [(&str, &str); 3] = [
    ("strata.v1.Attempt", "attempt"),
    ("strata.v1.Evidence", "evidence_id"),
    ("strata.v1.Proposal", "proposal_id"),
];

/// The fields that differ, in the order of the fields.
pub fn differences<T: Published>(before: &T, after: &T) -> Result<Vec<FieldChange>, JsonError> {
    let (before, after) = (tree(before)?, tree(after)?);
    let mut changes = Changes(Vec::new());
    changes.compare(String::new(), &descriptor::<T>()?, &before, &after);
    Ok(changes.0)
}

/// The message as JSON, with those empty fields that cannot be unset.
fn tree<T: Published>(message: &T) -> Result<Map<String, Json>, JsonError> {
    let mut dynamic = DynamicMessage::new(descriptor::<T>()?);
    dynamic
        .transcode_from(message)
        .map_err(|error| disagreement::<T>(&error))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(true)
        .skip_default_fields(false);
    match dynamic.serialize_with_options(serde_json::value::Serializer, &options)? {
        Json::Object(fields) => Ok(fields),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Err(disagreement::<T>("it is no message with fields"))
        }
    }
}

struct Changes(Vec<FieldChange>);

impl Changes {
    fn compare(
        &mut self,
        path: String,
        descriptor: &MessageDescriptor,
        before: &Map<String, Json>,
        after: &Map<String, Json>,
    ) {
        for field in descriptor.fields() {
            let (before, after) = (before.get(field.name()), after.get(field.name()));
            if before != after {
                let path = match path.as_str() {
                    "" => field.name().to_owned(),
                    path => format!("{path}.{}", field.name()),
                };
                self.compare_field(path, &field, before, after);
            }
        }
    }

    fn compare_field(
        &mut self,
        path: String,
        field: &FieldDescriptor,
        before: Option<&Json>,
        after: Option<&Json>,
    ) {
        let kind = field.kind();
        match (before, after) {
            (Some(Json::Object(before)), Some(Json::Object(after))) if field.is_map() => {
                self.compare_map(&path, before, after);
            }
            (Some(Json::Array(before)), Some(Json::Array(after)))
                if kind.as_message().and_then(identity).is_some() =>
            {
                self.compare_list(&path, &kind, before, after);
            }
            (Some(Json::Object(before)), Some(Json::Object(after)))
                if let Kind::Message(message) = &kind =>
            {
                self.compare(path, message, before, after);
            }
            _ => self.add(path, said(&kind, before), said(&kind, after)),
        }
    }

    fn compare_map(&mut self, path: &str, before: &Map<String, Json>, after: &Map<String, Json>) {
        let lost = before.keys().filter(|key| !after.contains_key(*key));
        for key in after.keys().chain(lost) {
            let (before, after) = (before.get(key), after.get(key));
            if before != after {
                self.add(format!("{path}[{key}]"), before, after);
            }
        }
    }

    fn compare_list(&mut self, path: &str, kind: &Kind, before: &[Json], after: &[Json]) {
        let Some((message, identity)) = kind
            .as_message()
            .and_then(|message| Some((message, identity(message)?)))
        else {
            return;
        };
        let find = |list: &'_ [Json], element: &Json| {
            let same = |it: &&Json| it.get(identity) == element.get(identity);
            list.iter().find(same).cloned()
        };
        let lost = before.iter().filter(|it| find(after, it).is_none());
        for element in after.iter().chain(lost) {
            let (before, after) = (find(before, element), find(after, element));
            let path = format!("{path}[{}]", name(element.get(identity)));
            match (&before, &after) {
                (Some(Json::Object(before)), Some(Json::Object(after))) => {
                    self.compare(path, message, before, after);
                }
                _ => self.add(path, before.as_ref(), after.as_ref()),
            }
        }
    }

    fn add(&mut self, path: String, before: Option<&Json>, after: Option<&Json>) {
        self.0.push(FieldChange {
            path,
            before: before.map(value),
            after: after.map(value),
        });
    }
}

/// The field that elements of this message go by.
fn identity(message: &MessageDescriptor) -> Option<&'static str> {
    let of_message = |(name, _): &&(&str, &str)| *name == message.full_name();
    IDENTITIES.iter().find(of_message).map(|(_, field)| *field)
}

/// What an element goes by, as text.
fn name(identity: Option<&Json>) -> String {
    match identity {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// A value, unless it says nothing: an empty text or list, or an enumeration's first value.
fn said<'a>(kind: &Kind, value: Option<&'a Json>) -> Option<&'a Json> {
    value.filter(|value| match value {
        Json::String(text) => {
            let unspecified = kind.as_enum().map(|it| it.default_value());
            !text.is_empty() && unspecified.is_none_or(|first| first.name() != text)
        }
        Json::Array(elements) => !elements.is_empty(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => true,
    })
}

fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => ValueKind::NullValue(0),
        Json::Bool(flag) => ValueKind::BoolValue(*flag),
        // Of 64 bits only doubles come as numbers.
        Json::Number(number) => ValueKind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => ValueKind::StringValue(text.clone()),
        Json::Array(elements) => ValueKind::ListValue(ListValue {
            values: elements.iter().map(value).collect(),
        }),
        Json::Object(fields) => ValueKind::StructValue(Struct {
            fields: fields
                .iter()
                .map(|(name, field)| (name.clone(), value(field)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;

    /// Each change as `path: before -> after`.
    fn told<T: Published>(before: &T, after: &T) -> Vec<String> {
        let changes = differences(before, after).expect("it can be said");
        let shown = |value: &Option<Value>| value.as_ref().map_or("-".into(), |it| text(it));
        changes
            .iter()
            .map(|it| format!("{}: {} -> {}", it.path, shown(&it.before), shown(&it.after)))
            .collect()
    }

    fn text(value: &Value) -> String {
        match value.kind.as_ref().expect("a kind") {
            ValueKind::NullValue(_) => "null".into(),
            ValueKind::NumberValue(number) => number.to_string(),
            ValueKind::StringValue(text) => text.clone(),
            ValueKind::BoolValue(flag) => flag.to_string(),
            ValueKind::StructValue(it) => format!("{{{} fields}}", it.fields.len()),
            ValueKind::ListValue(it) => {
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
            "last: - -> {3 fields}",
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
