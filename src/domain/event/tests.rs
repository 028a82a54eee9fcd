//! Names and bits against the protos, a line for every kind, and events back to what recorded them.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use super::*;
use crate::{
    domain::{shape::command_field, value::Subject},
    json,
};

const SMALLPOX_INDIA: &str = include_str!("../../../tests/fixtures/smallpox-india.jsonl");

fn event(kind: Kind) -> proto::Event {
    proto::Event {
        kind: Some(kind),
        ..Default::default()
    }
}

/// The events that would record a request, but for what only a plan can say.
fn recorded(request: &proto::ExecuteRequest) -> proto::Commit {
    let first_revision = request.expected_revision.unwrap_or_default() + 1;
    let events = request.commands.iter().zip(first_revision..);
    proto::Commit {
        plan_id: request.plan_id.clone(),
        first_revision,
        actor: "anonymous".into(),
        on_behalf_of: request.actor.clone(),
        request_id: request.request_id.clone(),
        events: events
            .map(|(command, revision)| proto::Event {
                revision,
                occurred_at: request.occurred_at,
                occurred_precision: request.occurred_precision,
                because: request.because.clone(),
                source: request.source.clone(),
                kind: happened(command),
            })
            .collect(),
        ..Default::default()
    }
}

/// The event of a command: the fields that both have, by their names.
fn happened(command: &proto::Command) -> Option<Kind> {
    if let Some(proto::command::Kind::ConcludeAssumption(it)) = &command.kind {
        let assumption_id = it.assumption_id.clone();
        return Some(match it.conclusion() {
            proto::Conclusion::Supported => {
                Kind::AssumptionSupported(proto::AssumptionSupported { assumption_id })
            }
            proto::Conclusion::Refuted | proto::Conclusion::Unspecified => {
                Kind::AssumptionRefuted(proto::AssumptionRefuted { assumption_id })
            }
        });
    }
    let field = command_field(command);
    let said = sample::commands()
        .into_iter()
        .find(|sample| sample.field.name() == field)?;
    let mut whole = DynamicMessage::new(said.field.parent_message().clone());
    whole.transcode_from(command).expect("they are the same");
    let said = whole.get_field(&said.field);
    let said = said.as_message().expect("every kind is a message");
    sample::events().into_iter().find_map(|sample| {
        let mut message = DynamicMessage::new(sample.message.descriptor());
        let silent = field == "lapse_commitment";
        if message.descriptor().get_field_by_name("silent").is_some() {
            message.set_field_by_name("silent", Value::Bool(silent));
        }
        let like = command_of(&sample.event(&message))?;
        if command_field(&like) != field {
            return None;
        }
        for (part, value) in said.fields() {
            let renamed = field == "move_deadline" && part.name() == "due";
            let name = if renamed { "new" } else { part.name() };
            message.set_field_by_name(name, value.clone());
        }
        sample.event(&message).kind
    })
}

#[test]
fn every_kind_has_its_name_and_its_bit() {
    let samples = sample::events();
    assert_eq!(samples.len(), TYPE_NAMES.len());
    for sample in samples {
        let event = sample.event(&sample.message);
        let name = sample.message.descriptor().name().to_owned();
        assert_eq!(type_name(&event), name);
        assert_eq!(bit_of(&event), sample.field.number() - 10, "{name}");
        assert_eq!(type_bit(&name), Some(bit_of(&event)), "{name}");
    }
    assert_eq!(type_bit("TacticEaten"), None);
    assert_eq!(type_name(&proto::Event::default()), "");
    assert_eq!(1_u64 << bit_of(&proto::Event::default()), 1 << 63);
}

#[test]
fn every_kind_has_a_line_that_names_its_ids() {
    let lines: Vec<_> = sample::events()
        .iter()
        .map(|sample| summary(&sample.event(&sample.message)))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(summary(&proto::Event::default()), "");
}

#[test]
fn a_long_text_is_cut_and_stays_on_one_line() {
    let noted = |text: &str| {
        summary(&event(Kind::NoteRecorded(proto::NoteRecorded {
            subject: "plan".into(),
            text: text.into(),
        })))
    };
    assert_eq!(noted("a\r\nb\u{2028}c"), "note on plan: a  b c");
    assert_eq!(
        noted(&"é".repeat(120)),
        format!("note on plan: {}", "é".repeat(120))
    );
    assert_eq!(
        noted(&"é".repeat(121)),
        format!("note on plan: {}…", "é".repeat(120))
    );
}

#[test]
fn a_line_says_what_only_some_events_hold() {
    let missed = proto::DeadlineMissed {
        commitment_id: "c".into(),
        due: Some(prost_types::Timestamp {
            seconds: 141_782_400,
            nanos: 0,
        }),
        notice: proto::Notice::AfterDue.into(),
        reason: "too many cases".into(),
        silent: false,
    };
    assert_eq!(
        summary(&event(Kind::DeadlineMissed(missed))),
        "commitment c missed, said after it was due, due 1974-06-30: too many cases"
    );
    let tried = proto::TacticTried {
        tactic_id: "b".into(),
        attempt: 2,
        suggestion: Some(proto::Suggestion {
            verdict: proto::SuggestionVerdict::Try.into(),
            tactic_id: "a".into(),
            followed: false,
        }),
        ..Default::default()
    };
    let tried = event(Kind::TacticTried(tried));
    assert_eq!(
        summary(&tried),
        "b, attempt 2, begun, though a was suggested"
    );
    assert_eq!(
        subjects(&tried),
        [Subject::Tactic("b".into()), Subject::Tactic("a".into())]
    );
    let added = proto::TacticAdded {
        tactic_id: "t".into(),
        ..Default::default()
    };
    let added = event(Kind::TacticAdded(added));
    assert_eq!(summary(&added), "tactic t added under no strategy");
    assert_eq!(subjects(&added), [Subject::Tactic("t".into())]);
}

#[test]
fn every_kind_is_about_what_it_names() {
    let lines: Vec<_> = sample::events()
        .iter()
        .map(|sample| {
            let event = sample.event(&sample.message);
            let subjects: Vec<_> = subjects(&event).iter().map(ToString::to_string).collect();
            format!("{}: {}", type_name(&event), subjects.join(" "))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_event_is_about_what_it_names_and_nothing_else() {
    let samples = sample::events();
    let events: Vec<_> = samples.iter().map(|it| it.event(&it.message)).collect();
    let all: Vec<_> = events.iter().flat_map(subjects).collect();
    assert!(!all.is_empty());
    for event in &events {
        let named = subjects(event);
        for subject in &all {
            let said = format!("{} and {subject}", type_name(event));
            assert_eq!(is_about(event, subject), named.contains(subject), "{said}");
        }
    }
}

#[test]
fn every_command_comes_back_whole_from_its_event() {
    for sample in sample::commands() {
        let command = sample.command(&sample.message);
        let kind = happened(&command);
        assert!(kind.is_some(), "{} has an event", sample.field.name());
        let event = proto::Event {
            kind,
            ..Default::default()
        };
        assert_eq!(command_of(&event), Some(command));
    }
    assert_eq!(command_of(&proto::Event::default()), None);
}

#[test]
fn a_real_history_comes_back_as_it_was_sent() {
    for line in SMALLPOX_INDIA.lines() {
        let request: proto::ExecuteRequest = json::from_json(line).expect(line);
        assert_eq!(request_of(&recorded(&request)).as_ref(), Some(&request));
        let written = json::to_json(&request).expect(line);
        let again: proto::ExecuteRequest = json::from_json(&written).expect(&written);
        assert_eq!(again, request);
    }
}

#[test]
fn only_the_causes_that_all_events_share_were_the_request_s() {
    let cause = |revision, role: proto::CauseRole| proto::Cause {
        revision,
        role: role.into(),
        ..Default::default()
    };
    let shared = cause(1, proto::CauseRole::Trigger);
    let added = cause(2, proto::CauseRole::Corrects);
    let retract = |because: &[proto::Cause]| proto::Event {
        because: because.to_vec(),
        ..event(Kind::EventRetracted(proto::EventRetracted::default()))
    };
    let mut commit = proto::Commit {
        first_revision: 3,
        events: vec![retract(&[shared.clone(), added.clone()])],
        ..Default::default()
    };
    let alone = request_of(&commit).expect("it holds an event");
    assert_eq!(alone.because, [shared.clone(), added]);
    assert_eq!(alone.expected_revision, Some(2));
    commit.events.push(retract(std::slice::from_ref(&shared)));
    let both = request_of(&commit).expect("it holds events");
    assert_eq!(both.because, [shared]);

    commit.events.push(proto::Event::default());
    assert_eq!(
        request_of(&commit),
        None,
        "an event without a kind was never recorded"
    );
    commit.events.clear();
    assert_eq!(request_of(&commit), None);
}
