//! What differs between two revisions of a strategy, field by field.

use prost_types::{ListValue, Value, value::Kind};

use crate::{
    domain::{plan::Choice, value::Id},
    proto::FieldChange,
};

/// What a revision says otherwise than the one before it. Lists are compared as a whole.
pub(super) fn between(before: &Choice, after: &Choice) -> Vec<FieldChange> {
    let fields = [
        ("intent", text(&before.intent), text(&after.intent)),
        ("diagnosis", text(&before.diagnosis), text(&after.diagnosis)),
        ("will", texts(&before.will), texts(&after.will)),
        ("will_not", texts(&before.will_not), texts(&after.will_not)),
        (
            "assumption_ids",
            texts(&ids(&before.assumption_ids)),
            texts(&ids(&after.assumption_ids)),
        ),
        (
            "indicator_ids",
            texts(&ids(&before.indicator_ids)),
            texts(&ids(&after.indicator_ids)),
        ),
    ];
    let changed = fields
        .into_iter()
        .filter(|(_, before, after)| before != after);
    changed
        .map(|(path, before, after)| FieldChange {
            path: path.to_owned(),
            before,
            after,
        })
        .collect()
}

fn ids(ids: &[Id]) -> Vec<String> {
    ids.iter().map(Id::to_string).collect()
}

/// A text as in proto3 JSON, where an empty one is none.
fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    })
}

/// Texts as in proto3 JSON, where an empty list is none.
fn texts(texts: &[String]) -> Option<Value> {
    let value = |text: &String| Value {
        kind: Some(Kind::StringValue(text.clone())),
    };
    let values = texts.iter().map(value).collect();
    (!texts.is_empty()).then_some(Value {
        kind: Some(Kind::ListValue(ListValue { values })),
    })
}
