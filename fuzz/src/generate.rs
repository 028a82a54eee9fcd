//! Requests made of bytes by the descriptors of the published language: any command, with ids from a
//! small pool, so that they meet, and texts, times and numbers that are mostly good. A command that is
//! added to the language is tried without a line here.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use strata::{
    domain::value::Time,
    proto::{self, Command, ExecuteRequest},
};

use crate::plans::{OTHER_PLAN, PLAN_ID};

/// How deep messages lie within each other: command, replacement, kind, value.
const DEPTH_MAX: usize = 6;

static COMMAND: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)
        .expect("descriptors")
        .get_message_by_name("strata.v1.Command")
        .expect("the command")
});

/// A request to the plan at a time; the first one creates it.
pub fn request(source: &mut Unstructured<'_>, now: Time, is_first: bool) -> Result<ExecuteRequest> {
    let create = Command {
        kind: Some(proto::command::Kind::CreatePlan(proto::CreatePlan {
            title: "Growth".to_owned(),
            ..Default::default()
        })),
    };
    let mut commands: Vec<_> = is_first.then_some(create).into_iter().collect();
    for _ in 0..if source.ratio(1, 4)? { 3 } else { 1 } {
        let command = message(source, &COMMAND, now, 0)?;
        commands.push(command.transcode_to().expect("one language"));
    }
    let mut because = Vec::new();
    if source.ratio(1, 4)? {
        let plan_ids = ["", PLAN_ID, OTHER_PLAN.0, "nowhere"];
        because.push(proto::Cause {
            plan_id: (*source.choose(&plan_ids)?).to_owned(),
            revision: source.int_in_range(0..=12)?,
            role: source.int_in_range(0..=6)?,
        });
    }
    let occurred_at = source.ratio(1, 4)?.then(|| -> Result<_> {
        let ago: u32 = source.arbitrary()?;
        Ok(now.plus_seconds(-i64::from(ago)).into())
    });
    Ok(ExecuteRequest {
        plan_id: PLAN_ID.to_owned(),
        request_id: String::new(),
        occurred_at: occurred_at.transpose()?,
        occurred_precision: source.int_in_range(0..=3)?,
        because,
        commands,
        ..Default::default()
    })
}

fn message(
    source: &mut Unstructured<'_>,
    descriptor: &MessageDescriptor,
    now: Time,
    depth: usize,
) -> Result<DynamicMessage> {
    let mut made = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = if source.ratio(1, 16)? {
                source.arbitrary()?
            } else {
                now.seconds + i64::from(source.arbitrary::<i32>()? >> 4)
            };
            made.set_field_by_name("seconds", Value::I64(seconds));
            return Ok(made);
        }
        "google.protobuf.Duration" => {
            let seconds = i64::from(source.arbitrary::<i32>()? >> 4);
            made.set_field_by_name("seconds", Value::I64(seconds));
            return Ok(made);
        }
        _ => {}
    }
    if depth > DEPTH_MAX {
        return Ok(made);
    }
    for oneof in descriptor.oneofs() {
        let fields: Vec<_> = oneof.fields().collect();
        let field = source.choose(&fields)?;
        // An optional field is a oneof of one.
        if fields.len() > 1 || source.ratio(3, 4)? {
            made.set_field(field, value(source, field, now, depth)?);
        }
    }
    // Only its kind may be set.
    let is_replacement = descriptor.full_name() == "strata.v1.Event";
    for field in descriptor.fields() {
        if field.containing_oneof().is_some() || (is_replacement && !source.ratio(1, 64)?) {
            continue;
        }
        if source.ratio(7, 8)? {
            made.set_field(&field, value(source, &field, now, depth)?);
        }
    }
    Ok(made)
}

fn value(
    source: &mut Unstructured<'_>,
    field: &FieldDescriptor,
    now: Time,
    depth: usize,
) -> Result<Value> {
    if field.is_map() {
        let label = text(source, "label")?;
        let pair = (MapKey::String(label.clone()), Value::String(label));
        return Ok(Value::Map([pair].into_iter().collect()));
    }
    if field.is_list() {
        let count = source.int_in_range(0..=3)?;
        let one = |_| single(source, field, now, depth);
        return Ok(Value::List((0..count).map(one).collect::<Result<_>>()?));
    }
    single(source, field, now, depth)
}

fn single(
    source: &mut Unstructured<'_>,
    field: &FieldDescriptor,
    now: Time,
    depth: usize,
) -> Result<Value> {
    Ok(match field.kind() {
        Kind::String => Value::String(text(source, field.name())?),
        Kind::Bytes => Value::Bytes(source.arbitrary::<Vec<u8>>()?.into()),
        Kind::Bool => Value::Bool(source.arbitrary()?),
        Kind::Enum(all) => {
            let numbers: Vec<_> = all.values().map(|it| it.number()).collect();
            Value::EnumNumber(*source.choose(&numbers)?)
        }
        Kind::Double => {
            let plain = [0.0, 1.0, -1.0, 0.5, 100.0, 1e9];
            let any = source.ratio(1, 16)?;
            Value::F64(if any {
                source.arbitrary()?
            } else {
                *source.choose(&plain)?
            })
        }
        Kind::Float => Value::F32(source.arbitrary()?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(source.int_in_range(-2..=12)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(source.int_in_range(-2..=12)?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(source.int_in_range(0..=16)?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(source.int_in_range(0..=32)?),
        Kind::Message(descriptor) => Value::Message(message(source, &descriptor, now, depth + 1)?),
    })
}

fn text(source: &mut Unstructured<'_>, name: &str) -> Result<String> {
    if source.ratio(1, 64)? {
        return source.arbitrary();
    }
    let pool: &[&str] = if name.contains("plan_id") {
        &[OTHER_PLAN.0, PLAN_ID, "nowhere"]
    } else if name.ends_with("_id") || name.ends_with("_ids") {
        &["a", "b", "c", "d"]
    } else {
        &[
            "Call the first ten",
            "Post",
            "grow by 3 each week before May",
            "calls",
            " ",
            "é\n–",
        ]
    };
    Ok((*source.choose(pool)?).to_owned())
}
