//! One of each kind for tests, made from the descriptors: a kind or a field that is added to the
//! protos is in every test that goes through them all.

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind as Type, MapKey, MessageDescriptor, Value,
};

use crate::proto;

/// The field of a oneof and the message it holds, with every field of it filled in.
pub(crate) struct Sample {
    pub(crate) field: FieldDescriptor,
    pub(crate) message: DynamicMessage,
}

/// One of each command.
pub(crate) fn commands() -> Vec<Sample> {
    samples("strata.v1.Command")
}

/// One of each event.
pub(crate) fn events() -> Vec<Sample> {
    samples("strata.v1.Event")
}

impl Sample {
    /// The command of this kind with `message` as its content.
    pub(crate) fn command(&self, message: &DynamicMessage) -> proto::Command {
        self.whole(message)
    }

    /// The event of this kind with `message` as its content.
    pub(crate) fn event(&self, message: &DynamicMessage) -> proto::Event {
        self.whole(message)
    }

    fn whole<T: prost::Message + Default>(&self, message: &DynamicMessage) -> T {
        let mut whole = DynamicMessage::new(self.field.parent_message().clone());
        whole.set_field(&self.field, Value::Message(message.clone()));
        whole.transcode_to().expect("it is of this message")
    }
}

/// A message with every field filled in, with what its rules allow.
pub(crate) fn filled(descriptor: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    if descriptor.full_name() == "strata.v1.Event" {
        let field = descriptor.get_field_by_name("note_recorded");
        let field = field.expect("it is a kind of event");
        message.set_field(&field, value(&field));
        return message;
    }
    for field in descriptor.fields() {
        let value = if field.is_map() {
            Value::Map([(MapKey::String("k".into()), Value::String("v".into()))].into())
        } else if field.is_list() {
            Value::List(["1", "2"].map(|place| text(&field, place)).into())
        } else {
            value(&field)
        };
        message.set_field(&field, value);
    }
    message
}

fn value(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Type::String => text(field, ""),
        Type::Bool => Value::Bool(true),
        Type::Double => Value::F64(0.5),
        Type::Uint32 => Value::U32(7),
        Type::Uint64 => Value::U64(7),
        Type::Int32 => Value::I32(7),
        Type::Int64 => Value::I64(7),
        Type::Enum(_) => Value::EnumNumber(1),
        Type::Message(message) => Value::Message(filled(&message)),
        Type::Float
        | Type::Sint32
        | Type::Sint64
        | Type::Fixed32
        | Type::Fixed64
        | Type::Sfixed32
        | Type::Sfixed64
        | Type::Bytes => panic!("{} is of a type without a sample", field.full_name()),
    }
}

/// A text that is its field's name, and an id where it has to be one.
fn text(field: &FieldDescriptor, place: &str) -> Value {
    let text = match field.name() {
        "code" => "STR005".to_owned(),
        "subject" => "tactics/subject".to_owned(),
        name => name.replace('_', "-") + place,
    };
    Value::String(text)
}

fn samples(name: &str) -> Vec<Sample> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the build wrote it");
    let message = pool.get_message_by_name(name).expect("it is published");
    let kind = message.oneofs().next().expect("its kinds");
    kind.fields()
        .map(|field| {
            let Type::Message(content) = field.kind() else {
                panic!("every kind is a message");
            };
            let message = filled(&content);
            Sample { field, message }
        })
        .collect()
}
