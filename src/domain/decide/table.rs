//! One row for each command of the published language: a plan on which it is accepted, and a plan
//! for each rule by which it is refused. A command without a row fails the test, and so does a
//! reason of refusal that no row gives.

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;

use super::testing::{Outcome, World, is_told_as_promised, request};
use crate::{
    domain::{event::command_of, shape::command_field},
    proto::{self, ErrorReason, command::Kind as Asked},
};

mod commitments;
mod hindsight;
mod strategies;
mod tactics;
mod whole;

/// The rules of one command.
struct Row {
    given: World,
    accepts: Asked,
    refuses: Vec<Refused>,
}

/// A command that a rule refuses.
struct Refused {
    given: World,
    command: Asked,
    reason: ErrorReason,
    /// The field at fault below the command; empty for all of it.
    field: &'static str,
}

fn row(given: World, accepts: Asked) -> Row {
    Row {
        given,
        accepts,
        refuses: Vec::new(),
    }
}

impl Row {
    fn refuses(
        mut self,
        given: World,
        command: Asked,
        reason: ErrorReason,
        field: &'static str,
    ) -> Self {
        self.refuses.push(Refused {
            given,
            command,
            reason,
            field,
        });
        self
    }

    /// Refuses because something that is named does not exist.
    fn missing(self, given: World, command: Asked, field: &'static str) -> Self {
        self.refuses(given, command, ErrorReason::SubjectNotFound, field)
    }

    /// Refuses because the id was used before.
    fn taken(self, given: World, command: Asked, field: &'static str) -> Self {
        self.refuses(given, command, ErrorReason::IdTaken, field)
    }

    /// Refuses because something that is named has ended.
    fn ended(self, given: World, command: Asked, field: &'static str) -> Self {
        self.refuses(given, command, ErrorReason::NotLive, field)
    }

    /// Refuses because an attempt is open.
    fn busy(self, given: World, command: Asked, field: &'static str) -> Self {
        self.refuses(given, command, ErrorReason::AttemptOpen, field)
    }
}

fn rows() -> Vec<Row> {
    [
        whole::rows(),
        strategies::rows(),
        tactics::rows(),
        commitments::rows(),
        hindsight::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn name_of(command: &Asked) -> &'static str {
    command_field(&proto::Command {
        kind: Some(command.clone()),
    })
}

/// The names of all commands, as the published language lists them.
pub(super) fn published_commands() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptors decode");
    let command = pool
        .get_message_by_name("strata.v1.Command")
        .expect("commands are published");
    let kinds = command.oneofs().next().expect("a command has kinds");
    kinds
        .fields()
        .map(|field| field.name().to_owned())
        .collect()
}

#[test]
fn every_command_has_a_row() {
    let named: Vec<_> = rows()
        .iter()
        .map(|row| name_of(&row.accepts).to_owned())
        .collect();
    let distinct: BTreeSet<_> = named.iter().cloned().collect();
    assert_eq!(distinct, published_commands());
    assert_eq!(named.len(), distinct.len(), "no command has two rows");
}

#[test]
fn every_command_is_accepted_as_one_event() {
    for row in rows() {
        let name = name_of(&row.accepts);
        let outcome = row.given.when(row.accepts);
        let Outcome(Ok(decision)) = outcome else {
            panic!("{name}: {outcome:?}");
        };
        assert_eq!(decision.events.len(), 1, "{name}");
        assert_eq!(
            decision.events[0].revision,
            row.given.plan.revision + 1,
            "{name}"
        );
        assert_eq!(
            decision.plan.revision,
            row.given.plan.revision + 1,
            "{name}"
        );
    }
}

#[test]
fn every_event_says_what_its_command_said() {
    for row in rows() {
        let name = name_of(&row.accepts);
        let events = row.given.when(row.accepts.clone()).events();
        let said = events.first().and_then(command_of).and_then(|it| it.kind);
        assert_eq!(said, Some(row.accepts), "{name}");
    }
}

#[test]
fn every_rule_refuses() {
    for row in rows() {
        let name = name_of(&row.accepts);
        for refused in row.refuses {
            assert_eq!(name_of(&refused.command), name);
            let outcome = refused.given.when(refused.command.clone());
            let Outcome(Err(refusal)) = outcome else {
                panic!("{name}, {:?}: {outcome:?}", refused.reason);
            };
            let separator = if refused.field.is_empty() { "" } else { "." };
            let field = format!("commands[0].{name}{separator}{}", refused.field);
            assert_eq!(
                (refusal.reason, &refusal.field),
                (refused.reason, &field),
                "{refusal:?}"
            );
            is_told_as_promised(&refusal);
        }
    }
}

#[test]
fn every_reason_of_the_domain_is_given_by_a_row() {
    let given: BTreeSet<_> = rows()
        .iter()
        .flat_map(|row| row.refuses.iter().map(|refused| refused.reason as i32))
        .collect();
    let all = ErrorReason::SubjectNotFound as i32..=ErrorReason::PlanLimit as i32;
    // These are the request's rather than a command's, and are tested with it.
    let of_requests = [
        ErrorReason::CauseNotFound,
        ErrorReason::RevisionConflict,
        ErrorReason::RequestIdReused,
    ];
    let missing: Vec<_> = all
        .filter(|reason| !given.contains(reason))
        .filter_map(|reason| ErrorReason::try_from(reason).ok())
        .filter(|reason| !of_requests.contains(reason))
        .collect();
    assert_eq!(missing, []);
}

#[test]
fn every_command_but_one_needs_a_plan_and_every_but_one_an_open_one() {
    let archived = super::testing::given_plan([super::testing::commands::archive()]);
    let unborn = super::testing::given([]);
    for row in rows() {
        let name = name_of(&row.accepts);
        let asked = request([row.accepts]);
        let (unborn, archived) = (unborn.execute(&asked), archived.execute(&asked));
        let reason = |outcome: Result<_, super::Refusal>| outcome.err().map(|it| it.reason);
        let (on_unborn, on_archived) = match name {
            "create_plan" => (None, Some(ErrorReason::PlanExists)),
            "reopen_plan" => (Some(ErrorReason::PlanNotFound), None),
            _ => (
                Some(ErrorReason::PlanNotFound),
                Some(ErrorReason::PlanArchived),
            ),
        };
        assert_eq!(reason(unborn), on_unborn, "{name}");
        assert_eq!(reason(archived), on_archived, "{name}");
    }
}
