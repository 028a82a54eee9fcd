//! Random commands that fit the plan more often than not: they name what exists, restate what was
//! recorded, and cite the revision that holds.

use proptest::prelude::*;

use super::super::testing::{
    World,
    commands::{
        abandon, acknowledge, add, adopt, archive, archive_for, assume, attempt, branch, conclude,
        correct, create, decline, define, describe, evidence, fail_suspecting, fulfil, keep, lapse,
        measure, measure_in, miss, move_to, note, objective, objective_met, promise, propose, rank,
        reassign, regroup, release, reopen, reopen_assumption, replace, retire, retire_indicator,
        retract, revision, reword, stop, succeed, supersede,
    },
    timestamp,
};
use crate::{
    domain::value::Id,
    proto::{self, Conclusion, Verdict, command::Kind as Asked, event::Kind},
};

/// What a command is made of, whatever the plan will be.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    kind: usize,
    picks: [u8; 3],
    luck: u64,
}

/// Any draft.
pub(super) fn any_draft() -> impl Strategy<Value = Draft> {
    (0..MAKERS.len(), any::<[u8; 3]>(), any::<u64>()).prop_map(|(kind, picks, luck)| Draft {
        kind,
        picks,
        luck,
    })
}

type Maker = fn(&World, &Draft) -> Asked;

/// How commands are made; what leads on stands here more than once.
const MAKERS: &[Maker] = &[
    |_, _| create(),
    |_, _| describe("Growth 2"),
    |_, draft| {
        if draft.chance(2) {
            archive()
        } else {
            archive_for("retreat")
        }
    },
    |_, _| archive(),
    |_, _| reopen(),
    |_, draft| objective(if draft.chance(2) { "" } else { "grown" }),
    |_, _| objective_met(),
    |_, draft| define(&draft.fresh("i", 0)),
    |world, draft| replace(&draft.known(world, "i", 0), &draft.fresh("i", 1)),
    |world, draft| retire_indicator(&draft.known(world, "i", 0)),
    |world, draft| measure(&draft.known(world, "i", 0), 1.5),
    |world, draft| measure_in(&draft.known(world, "i", 0), 2.5, "EUR"),
    |_, draft| assume(&draft.fresh("a", 0)),
    |world, draft| {
        evidence(
            &draft.fresh("e", 0),
            &draft.known(world, "a", 1),
            draft.verdict(),
        )
    },
    |world, draft| {
        evidence(
            &draft.fresh("e", 0),
            &draft.known(world, "a", 1),
            draft.verdict(),
        )
    },
    |world, draft| conclude(&draft.known(world, "a", 0), Conclusion::Supported),
    |world, draft| conclude(&draft.known(world, "a", 0), Conclusion::Refuted),
    |world, draft| reopen_assumption(&draft.known(world, "a", 0)),
    |_, draft| adopt(&draft.fresh("s", 0)),
    |_, draft| adopt(&draft.fresh("s", 0)),
    revised,
    revised,
    |world, draft| propose(&draft.fresh("p", 0), &draft.known(world, "s", 1)),
    |world, draft| propose(&draft.fresh("p", 0), &draft.known(world, "s", 1)),
    |world, draft| decline(&draft.known(world, "p", 0)),
    |world, draft| branch(&draft.known(world, "s", 0), &draft.fresh("s", 1)),
    |world, draft| supersede(&draft.known(world, "s", 0), &draft.known(world, "s", 1)),
    |world, draft| abandon(&draft.known(world, "s", 0)),
    |world, draft| fulfil(&draft.known(world, "s", 0)),
    |world, draft| add(&draft.fresh("t", 0), &draft.known(world, "s", 1)),
    |_, draft| add(&draft.fresh("t", 0), ""),
    |world, draft| reword(&draft.known(world, "t", 0), &[]),
    |world, draft| reword(&draft.known(world, "t", 0), &[&draft.known(world, "t", 1)]),
    |world, draft| {
        reword(
            &draft.known(world, "t", 0),
            &[&draft.known(world, "t", 1), &draft.known(world, "t", 2)],
        )
    },
    |world, draft| regroup(&draft.known(world, "t", 0), &draft.known(world, "s", 1)),
    |world, draft| retire(&draft.known(world, "t", 0)),
    ranked,
    |world, draft| attempt(&draft.known(world, "t", 0)),
    |world, draft| attempt(&draft.known(world, "t", 0)),
    |world, draft| attempt(&draft.known(world, "t", 0)),
    |world, draft| fail_suspecting(&draft.known(world, "t", 0), &[]),
    |world, draft| fail_suspecting(&draft.known(world, "t", 0), &[&draft.known(world, "a", 1)]),
    |world, draft| succeed(&draft.known(world, "t", 0)),
    |world, draft| stop(&draft.known(world, "t", 0)),
    |world, draft| promise(&draft.fresh("c", 0), "", draft.ahead(world)),
    |world, draft| {
        promise(
            &draft.fresh("c", 0),
            &draft.known(world, "t", 1),
            draft.ahead(world),
        )
    },
    |world, draft| reassign(&draft.known(world, "c", 0)),
    |world, draft| release(&draft.known(world, "c", 0)),
    |world, draft| move_to(&draft.known(world, "c", 0), draft.ahead(world)),
    |world, draft| keep(&draft.known(world, "c", 0)),
    |world, draft| miss(&draft.known(world, "c", 0)),
    lapsed,
    lapsed,
    corrected,
    corrected,
    corrected,
    |world, draft| retract(1 + draft.pick(world.plan.revision + 1)),
    |world, draft| retract(world.plan.revision.saturating_sub(draft.pick(4))),
    |world, draft| acknowledge(&format!("strategies/{}", draft.known(world, "s", 0))),
    |world, draft| note(&format!("commitments/{}", draft.known(world, "c", 0))),
];

impl Draft {
    /// The command that this draft comes to. Nothing is gained by knocking at an archived plan or
    /// at one that does not exist, so it does that only now and then.
    pub(super) fn command(&self, world: &World) -> Asked {
        if world.plan.revision == 0 && !self.chance(16) {
            return create();
        }
        if world.plan.is_archived() && !self.chance(4) {
            return reopen();
        }
        MAKERS
            .get(self.kind)
            .map_or_else(create, |make| make(world, self))
    }

    /// One of `count`, from 0.
    pub(super) fn pick(&self, count: u64) -> u64 {
        (self.luck >> 8) % count.max(1)
    }

    /// True once in so many times.
    pub(super) fn chance(&self, times: u64) -> bool {
        (self.luck >> 40).is_multiple_of(times)
    }

    /// How long ago it occurred, in seconds; mostly not said.
    pub(super) fn past(&self) -> Option<i64> {
        self.chance(3).then(|| i64::from(self.picks[2]))
    }

    /// How long the clock runs on after it, in seconds.
    pub(super) fn wait_seconds(&self) -> i64 {
        i64::from(self.picks[2] % 32)
    }

    /// An id of few for something new, so that some are taken.
    fn fresh(&self, prefix: &str, which: usize) -> String {
        format!(
            "{prefix}{}",
            self.picks.get(which).map_or(0, |pick| pick % 5)
        )
    }

    /// The id of something that exists, if anything does, or now and then of nothing.
    fn known(&self, world: &World, prefix: &str, which: usize) -> String {
        let plan = &world.plan;
        let ids: Vec<&Id> = match prefix {
            "i" => plan.indicators.keys().collect(),
            "a" => plan.assumptions.keys().collect(),
            "s" => plan.strategies.keys().collect(),
            "p" => plan.proposals.keys().collect(),
            "t" => plan.tactics.keys().collect(),
            "c" => plan.commitments.keys().collect(),
            _ => Vec::new(),
        };
        let pick = self.picks.get(which).map_or(0, |pick| usize::from(*pick));
        match ids.get(pick % ids.len().max(1)) {
            Some(id) if pick < 250 => id.to_string(),
            Some(_) | None => "nowhere".to_owned(),
        }
    }

    fn verdict(&self) -> Verdict {
        if self.chance(2) {
            Verdict::Supports
        } else {
            Verdict::Refutes
        }
    }

    /// A time that is mostly to come, in seconds.
    fn ahead(&self, world: &World) -> i64 {
        world.now.seconds - 20 + i64::from(self.picks[2])
    }
}

fn revised(world: &World, draft: &Draft) -> Asked {
    let id = draft.known(world, "s", 0);
    let head = world
        .plan
        .strategies
        .get(id.as_str())
        .map_or(1, |it| it.revision);
    let parent = if draft.chance(8) { 1 } else { head };
    let intent = if draft.chance(4) {
        "Be known"
    } else {
        "Be liked"
    };
    let retired = world
        .plan
        .live_tactics_of(&id)
        .take(usize::from(draft.chance(3)));
    Asked::ReviseStrategy(proto::ReviseStrategy {
        retire_tactic_ids: retired.map(|it| it.tactic_id.to_string()).collect(),
        proposal_id: if draft.chance(3) {
            draft.known(world, "p", 1)
        } else {
            String::new()
        },
        unprompted: draft.chance(2),
        ..revision(&id, parent, intent)
    })
}

fn ranked(world: &World, draft: &Draft) -> Asked {
    let id = draft.known(world, "s", 0);
    let mut options: Vec<_> = world
        .plan
        .live_tactics_of(&id)
        .map(|it| &*it.tactic_id)
        .collect();
    options.reverse();
    if draft.chance(4) {
        options.pop();
    }
    rank(&id, &options)
}

fn lapsed(world: &World, draft: &Draft) -> Asked {
    let id = draft.known(world, "c", 0);
    let due = world
        .plan
        .commitments
        .get(id.as_str())
        .map_or(0, |it| it.due.seconds);
    lapse(&id, due)
}

/// An event as it was recorded, with other values and at another time.
fn corrected(world: &World, draft: &Draft) -> Asked {
    let revision = 1 + draft.pick(world.plan.revision + 1);
    let index = usize::try_from(revision - 1).unwrap_or(usize::MAX);
    let recorded = world
        .history
        .get(index)
        .and_then(|event| event.kind.clone());
    let mut kind = recorded.unwrap_or(Kind::NoteRecorded(proto::NoteRecorded::default()));
    if let Kind::MeasurementRecorded(it) = &mut kind {
        it.value = Some(3.5);
    } else if let Kind::EvidenceRecorded(it) = &mut kind {
        it.verdict = draft.verdict() as i32;
    } else if let Kind::IndicatorDefined(it) = &mut kind {
        "EUR".clone_into(&mut it.unit);
    } else if let Kind::CommitmentMade(it) = &mut kind {
        it.due = timestamp(draft.ahead(world));
    } else if let Kind::DeadlineMoved(it) = &mut kind {
        it.new = timestamp(draft.ahead(world));
    } else if let Kind::TacticStopped(it) = &mut kind {
        it.inconclusive = !it.inconclusive;
    }
    let Asked::CorrectEvent(mut command) = correct(revision, kind) else {
        return create();
    };
    command.occurred_at = draft
        .past()
        .and_then(|ago| timestamp(world.now.seconds - ago));
    Asked::CorrectEvent(command)
}
