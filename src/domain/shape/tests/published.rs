//! The published comments and the rules say the same: every field of every command is driven to the
//! bounds that its comment states and just over them, and so is every event that replaces another.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as Type, ReflectMessage as _, Value};

use super::{NOW, fields};
use crate::{
    domain::{
        event::{
            self,
            sample::{self, Sample},
        },
        shape,
    },
    proto,
};

#[test]
fn every_command_is_held_to_what_its_comments_say() {
    let mut driven = 0;
    for sample in sample::commands() {
        let request = |message: &DynamicMessage| of_command(sample.command(message));
        let path = format!("commands[0].{}", sample.field.name());
        for field in sample.message.descriptor().fields() {
            driven += drive(&sample.message, &field, &comment(&field), &path, &request);
        }
    }
    assert!(driven > 500, "{driven}");
}

#[test]
fn every_replacement_is_held_to_what_its_command_is() {
    let commands = sample::commands();
    let mut driven = 0;
    for sample in sample::events() {
        if sample.field.name() == "event_corrected" || sample.field.name() == "event_retracted" {
            continue;
        }
        let correct = |message: &DynamicMessage| {
            of_command(proto::Command {
                kind: Some(proto::command::Kind::CorrectEvent(proto::CorrectEvent {
                    revision: 1,
                    replacement: Some(sample.event(message)),
                    reason: "x".into(),
                    ..Default::default()
                })),
            })
        };
        let like = command_like(&sample, &commands);
        let path = format!(
            "commands[0].correct_event.replacement.{}",
            sample.field.name()
        );
        for field in sample.message.descriptor().fields() {
            let name = match field.name() {
                "new" => "due",
                name => name,
            };
            if let Some(same) = like.message.descriptor().get_field_by_name(name) {
                let mut comment = comment(&same);
                if sample.field.name() == "objective_refined" {
                    comment = comment.replace("Required from the second time on", "Required");
                }
                driven += drive(&sample.message, &field, &comment, &path, &correct);
            }
        }
    }
    assert!(driven > 500, "{driven}");
}

fn command_like<'a>(event: &Sample, commands: &'a [Sample]) -> &'a Sample {
    let command = event::command_of(&event.event(&event.message)).expect("it has a kind");
    let field = shape::command_field(&command);
    let found = commands.iter().find(|sample| sample.field.name() == field);
    found.expect("every field is a command's")
}

fn of_command(command: proto::Command) -> proto::ExecuteRequest {
    proto::ExecuteRequest {
        plan_id: "p".into(),
        commands: vec![command],
        ..Default::default()
    }
}

/// Sets one field of a message to what its comment allows and to what it refuses. Tells how often.
#[track_caller]
fn drive(
    good: &DynamicMessage,
    field: &FieldDescriptor,
    comment: &str,
    path: &str,
    request: &dyn Fn(&DynamicMessage) -> proto::ExecuteRequest,
) -> usize {
    let cases = cases(field, comment);
    for (value, wrong_at) in &cases {
        let mut message = good.clone();
        if comment.contains("Required when a target is set") {
            message.clear_field_by_name("target");
        }
        match value {
            Some(value) => message.set_field(field, value.clone()),
            None => message.clear_field(field),
        }
        let result = shape::check(request(&message), NOW);
        let told = || format!("{} = {value:?}: {result:?}", field.full_name());
        match (wrong_at, &result) {
            (None, Ok(checked)) => {
                if value.as_ref().and_then(Value::as_str) == Some(BLANK) {
                    message.clear_field(field);
                    assert_eq!(checked.request(), &request(&message), "{}", told());
                }
            }
            (Some(place), Err(violations)) => {
                let expected = format!("{path}.{}{place}", field.name());
                assert_eq!(fields(violations), [expected], "{}", told());
            }
            (None, Err(_)) | (Some(_), Ok(_)) => panic!("{}", told()),
        }
    }
    cases.len()
}

/// A value, none for an unset field, and where it is wrong, if it is: `""` is the field itself.
type Case = (Option<Value>, Option<&'static str>);

const BLANK: &str = " \u{3000}\n";

fn cases(field: &FieldDescriptor, comment: &str) -> Vec<Case> {
    let sometimes = comment.contains("Required when") || comment.contains("Required from");
    let required = (comment.contains("Required") && !sometimes).then_some("");
    let kind = field.kind();
    if field.is_map() {
        Vec::new()
    } else if field.is_list() {
        list_cases(comment)
    } else if kind == Type::String {
        text_cases(comment, required)
    } else if kind.as_enum().is_some() {
        vec![
            (Some(Value::EnumNumber(0)), required),
            (Some(Value::EnumNumber(99)), Some("")),
            (Some(Value::EnumNumber(-1)), Some("")),
        ]
    } else if kind == Type::Double {
        let wrong = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let wrong = wrong.map(|number| (Some(Value::F64(number)), Some("")));
        wrong.into_iter().chain([(None, required)]).collect()
    } else if let Some(message) = kind.as_message() {
        let wrong = match message.name() {
            "Timestamp" => {
                let mut late = sample::filled(message);
                late.set_field_by_name("seconds", Value::I64(253_402_300_800));
                late
            }
            "Duration" => DynamicMessage::new(message.clone()),
            _ => return Vec::new(),
        };
        vec![(Some(Value::Message(wrong)), Some("")), (None, required)]
    } else {
        Vec::new()
    }
}

fn text_cases(comment: &str, required: Option<&'static str>) -> Vec<Case> {
    let text = |text: String| Some(Value::String(text));
    let Some(bound) = bound(comment) else {
        // What has no bound of its own is an id, a subject or a code.
        let may_be_empty = comment.contains("may be empty") || comment.contains("empty: none");
        return vec![
            (None, (!may_be_empty).then_some("")),
            (text("A!".into()), Some("")),
            (text(BLANK.into()), Some("")),
        ];
    };
    let (longest, too_long) = match bound {
        Bound::Chars(max) => ("é".repeat(max), "é".repeat(max + 1)),
        Bound::Bytes(max) => ("é".repeat(max / 2), "é".repeat(max / 2) + "x"),
    };
    vec![
        (text(longest), None),
        (text(too_long), Some("")),
        (text("a\0".into()), Some("")),
        (None, required),
        (text(BLANK.into()), required),
    ]
}

fn list_cases(comment: &str) -> Vec<Case> {
    let list = |texts: [String; 2]| {
        let texts = texts.map(Value::String);
        Some(Value::List(texts.into()))
    };
    if let Some(Bound::Chars(max)) = bound(comment) {
        vec![
            (None, None),
            (list(["x".into(), "é".repeat(max)]), None),
            (list(["x".into(), "é".repeat(max + 1)]), Some("[1]")),
            (list([BLANK.into(), "x".into()]), Some("[0]")),
            (list([String::new(), "x".into()]), Some("[0]")),
        ]
    } else {
        vec![
            (None, None),
            (list(["x".into(), "x".into()]), Some("[1]")),
            (list(["x".into(), "X".into()]), Some("[1]")),
            (list([String::new(), "x".into()]), Some("[0]")),
        ]
    }
}

enum Bound {
    Chars(usize),
    Bytes(usize),
}

/// The bound that a comment states: "at most 2,000 characters", "at most 8 KiB".
fn bound(comment: &str) -> Option<Bound> {
    comment.split("at most ").skip(1).find_map(|rest| {
        let mut words = rest.split_whitespace();
        let number = words.next()?.replace(',', "").parse::<usize>().ok()?;
        match words
            .next()?
            .trim_end_matches(|char: char| !char.is_alphanumeric())
        {
            "characters" => Some(Bound::Chars(number)),
            "KiB" => Some(Bound::Bytes(number * 1_024)),
            _ => None,
        }
    })
}

/// The comment above a field, on one line.
fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_file();
    let source = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = &source.expect("the build keeps comments").location;
    let place = locations.iter().find(|place| place.path == field.path());
    let comment = place.and_then(|place| place.leading_comments.as_ref());
    let comment = comment.unwrap_or_else(|| panic!("{} has a comment", field.full_name()));
    let mut comment = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    if field.full_name() == "strata.v1.RecordMeasurement.unit" {
        // It has to be the indicator's, so the bound stands there.
        comment.push_str(" It has at most 200 characters.");
    }
    comment
}
