//! What the clients of a history ask to be recorded: requests of one to three commands, whose texts
//! are named after them, so that what was recorded tells who asked for it.

use strata::proto::{
    AddTactic, ArchivePlan, Command, CreatePlan, DescribePlan, ExecuteRequest, PlanOutcome,
    ReopenPlan, RetractEvent, WatchRequest, command::Kind,
};

use crate::{
    chance::Chance,
    daemon::{note, request},
    language::correct_note,
};

/// The plans: one that all write, some that fewer do, and one that is archived now and then.
pub(super) const PLANS: [&str; 4] = ["hot", "warm", "cool", "archived-at-times"];
/// The number of the last.
const ARCHIVED_AT_TIMES: usize = 3;
/// How many tactics a plan can have before their ids are taken.
const TACTICS: u64 = 60;
/// How long some notes are, in bytes: a few such commits fill a value of the store.
const LONG_BYTES: usize = 3_000;

/// One of the plans, the first more often than all others.
pub(super) fn any_plan(chance: &mut Chance) -> usize {
    let drawn = chance.below(9);
    usize::try_from(drawn.saturating_sub(5)).map_or(0, |plan| plan.min(ARCHIVED_AT_TIMES))
}

/// The request by which each client tries to begin a plan.
pub(super) fn create(plan: usize, client: usize) -> ExecuteRequest {
    let name = format!("create-{client}");
    let begin = Kind::CreatePlan(CreatePlan {
        title: format!("begun by {name}"),
        ..Default::default()
    });
    ExecuteRequest {
        expected_revision: client.is_multiple_of(2).then_some(0),
        ..request(PLANS[plan], &name, begin)
    }
}

/// A request that nobody sent before, by somebody who last saw the plan at `revision`.
pub(super) fn fresh(plan: usize, name: &str, revision: u64, chance: &mut Chance) -> ExecuteRequest {
    let expected_revision = match chance.below(10) {
        0..5 => None,
        5..9 => Some(revision),
        _ => Some(revision.saturating_sub(1)),
    };
    let commands = (0..=chance.below(3)).map(|number| Command {
        kind: Some(any_command(
            plan,
            &format!("{name} {number}"),
            revision,
            chance,
        )),
    });
    ExecuteRequest {
        plan_id: PLANS[plan].to_owned(),
        request_id: name.to_owned(),
        expected_revision,
        commands: commands.collect(),
        ..Default::default()
    }
}

/// A watch of one plan from its beginning.
pub(super) fn watch_of(plan_id: &str) -> WatchRequest {
    WatchRequest {
        plan_ids: vec![plan_id.to_owned()],
        ..Default::default()
    }
}

fn any_command(plan: usize, text: &str, revision: u64, chance: &mut Chance) -> Kind {
    match chance.below(40) {
        0..14 => Kind::DescribePlan(DescribePlan {
            title: text.to_owned(),
            ..Default::default()
        }),
        14..17 => note(&format!("{text} {}", "x".repeat(LONG_BYTES))),
        // What stands there is a note or is not.
        17..19 if revision > 0 => correct_note(chance.below(revision) + 1, text),
        19 if revision > 0 => Kind::RetractEvent(RetractEvent {
            revision: chance.below(revision) + 1,
            reason: text.to_owned(),
        }),
        17..32 => note(text),
        32..37 => Kind::AddTactic(AddTactic {
            tactic_id: format!("tactic-{}", chance.below(TACTICS)),
            statement: text.to_owned(),
            ..Default::default()
        }),
        37 => Kind::CreatePlan(CreatePlan {
            title: text.to_owned(),
            ..Default::default()
        }),
        38 if plan == ARCHIVED_AT_TIMES => Kind::ArchivePlan(ArchivePlan {
            outcome: PlanOutcome::Met.into(),
            ..Default::default()
        }),
        _ => Kind::ReopenPlan(ReopenPlan {
            reason: text.to_owned(),
        }),
    }
}
