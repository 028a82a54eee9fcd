//! What commits change across plans: commitments, outcomes of attempts, citations. Each commit's changes
//! are worked out off the lock, and only where its events can matter; they are taken in in memory and
//! written once, in pieces, in the order of the log. The pieces together are the projections: at the start
//! they are taken in again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    Applied, Projection, StoreError, ViewError,
    citations::Citations,
    commitments::{CommitmentKey, Commitments, Step},
    outcomes::{CellKey, Outcomes},
    store::Record,
};
use crate::{
    domain::{
        explain::Citation,
        outcomes::Tally,
        plan::{Plan, Tactic},
        value::{Id, Time},
    },
    proto::{self, event::Kind},
};

/// The first byte of the keys of pieces.
pub(super) const TAG: u8 = b'l';
/// Where a piece ends. One change can make a piece larger, by a few texts of 8 KiB.
const PIECE_BYTES: usize = 12 << 10;
/// One change, and how it is written.
#[derive(Debug)]
pub struct Change {
    placed: Placed,
    encoded: Vec<u8>,
}

impl Change {
    fn of(placed: Placed) -> Self {
        // Writing plain data into memory cannot fail; what is empty is refused when it is written.
        let encoded = super::encode(&placed).unwrap_or_default();
        Self { placed, encoded }
    }
}

/// A change at its place among those of its commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Placed {
    position: u64,
    ordinal: u32,
    recorded_at: Time,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum What {
    /// What the commit makes of a commitment; nothing if that it was made is retracted.
    Commitment {
        key: CommitmentKey,
        step: Option<Box<Step>>,
        /// Whether the commit made, moved or corrected its due date.
        due_is_new: bool,
    },
    /// What is counted more and what less.
    Outcome {
        cell: CellKey,
        gained: Tally,
        lost: Tally,
    },
    Citation {
        cited_plan_id: Id,
        citation: Citation,
    },
}

/// What a commit changes across plans, given its plan before and after it.
#[must_use]
pub fn changes_of(
    before: &Plan,
    after: &Plan,
    events: &[proto::Event],
    position: u64,
    recorded_at: Time,
) -> Arc<[Change]> {
    let mut what = Vec::new();
    let touched = Touched::by(events);
    touched.commitments(before, after, &mut what);
    touched.outcomes(before, after, &mut what);
    citations(&after.plan_id, events, position, &mut what);
    (0..)
        .zip(what)
        .map(|(ordinal, what)| {
            Change::of(Placed {
                position,
                ordinal,
                recorded_at,
                what,
            })
        })
        .collect()
}

/// What events may have changed.
#[derive(Default)]
struct Touched<'a> {
    commitments: BTreeSet<&'a str>,
    /// The commitments whose deadline was moved.
    moved: BTreeSet<&'a str>,
    /// The tactics whose attempts ended, or are counted elsewhere.
    tactics: BTreeSet<&'a str>,
    /// A correction or retraction can change whatever came after its target.
    all: bool,
}

impl<'a> Touched<'a> {
    fn by(events: &'a [proto::Event]) -> Self {
        let mut touched = Self::default();
        for kind in events.iter().filter_map(|event| event.kind.as_ref()) {
            touched.add(kind);
        }
        touched
    }

    fn add(&mut self, kind: &'a Kind) {
        let (commitment_id, tactic_id) = match kind {
            Kind::CommitmentMade(it) => (Some(&it.commitment_id), None),
            Kind::CommitmentReassigned(it) => (Some(&it.commitment_id), None),
            Kind::CommitmentReleased(it) => (Some(&it.commitment_id), None),
            Kind::DeadlineMoved(it) => {
                self.moved.insert(&it.commitment_id);
                (Some(&it.commitment_id), None)
            }
            Kind::CommitmentKept(it) => (Some(&it.commitment_id), None),
            Kind::DeadlineMissed(it) => (Some(&it.commitment_id), None),
            Kind::TacticReworded(it) => (None, Some(&it.tactic_id)),
            Kind::TacticRegrouped(it) => (None, Some(&it.tactic_id)),
            Kind::TacticFailed(it) => (None, Some(&it.tactic_id)),
            Kind::TacticSucceeded(it) => (None, Some(&it.tactic_id)),
            Kind::TacticStopped(it) => (None, Some(&it.tactic_id)),
            Kind::EventCorrected(_) | Kind::EventRetracted(_) => {
                self.all = true;
                (None, None)
            }
            Kind::PlanCreated(_)
            | Kind::PlanDescribed(_)
            | Kind::PlanArchived(_)
            | Kind::PlanReopened(_)
            | Kind::ObjectiveSet(_)
            | Kind::ObjectiveRefined(_)
            | Kind::ObjectiveMet(_)
            | Kind::IndicatorDefined(_)
            | Kind::IndicatorReplaced(_)
            | Kind::IndicatorRetired(_)
            | Kind::MeasurementRecorded(_)
            | Kind::AssumptionStated(_)
            | Kind::EvidenceRecorded(_)
            | Kind::AssumptionSupported(_)
            | Kind::AssumptionRefuted(_)
            | Kind::AssumptionReopened(_)
            | Kind::StrategyAdopted(_)
            | Kind::StrategyRevised(_)
            | Kind::RevisionProposed(_)
            | Kind::RevisionDeclined(_)
            | Kind::StrategyBranched(_)
            | Kind::StrategySuperseded(_)
            | Kind::StrategyAbandoned(_)
            | Kind::StrategyFulfilled(_)
            | Kind::TacticAdded(_)
            | Kind::TacticRetired(_)
            | Kind::TacticsRanked(_)
            | Kind::TacticTried(_)
            | Kind::FindingAcknowledged(_)
            | Kind::NoteRecorded(_) => (None, None),
        };
        self.commitments.extend(commitment_id.map(String::as_str));
        self.tactics.extend(tactic_id.map(String::as_str));
    }

    fn commitments(&self, before: &Plan, after: &Plan, changes: &mut Vec<What>) {
        let mut touched = self.commitments.clone();
        if self.all {
            touched.extend(before.commitments.keys().map(|id| &**id));
            touched.extend(after.commitments.keys().map(|id| &**id));
        }
        for id in touched {
            let (was, is) = (before.commitments.get(id), after.commitments.get(id));
            if was == is {
                continue;
            }
            let due_was = was.map(|it| it.due);
            changes.push(What::Commitment {
                key: CommitmentKey {
                    plan_id: after.plan_id.clone(),
                    commitment_id: id.into(),
                },
                step: is.map(|is| Box::new(Step::between(was.map(Arc::as_ref), is))),
                due_is_new: due_was != is.map(|it| it.due) || self.moved.contains(id),
            });
        }
    }

    fn outcomes(&self, before: &Plan, after: &Plan, changes: &mut Vec<What>) {
        let mut touched = self.tactics.clone();
        if self.all {
            touched.extend(before.tactics.keys().map(|id| &**id));
            touched.extend(after.tactics.keys().map(|id| &**id));
        }
        let mut cells: BTreeMap<CellKey, (Tally, Tally)> = BTreeMap::new();
        let cell = |tactic: &Tactic| CellKey {
            plan_id: after.plan_id.clone(),
            strategy_id: tactic.strategy_id.clone(),
            kind: tactic.kind.clone(),
        };
        for id in touched {
            if let Some(is) = after.tactics.get(id) {
                let (gained, _) = cells.entry(cell(is)).or_default();
                *gained = gained.plus(Tally::of(is));
            }
            if let Some(was) = before.tactics.get(id) {
                let (_, lost) = cells.entry(cell(was)).or_default();
                *lost = lost.plus(Tally::of(was));
            }
        }
        let counted = cells
            .into_iter()
            .filter(|(_, (gained, lost))| gained != lost);
        changes.extend(counted.map(|(cell, (gained, lost))| What::Outcome {
            cell,
            gained: gained.minus(lost),
            lost: lost.minus(gained),
        }));
    }
}

/// What events cite of other plans.
fn citations(plan_id: &Id, events: &[proto::Event], position: u64, changes: &mut Vec<What>) {
    for event in events {
        for cause in &event.because {
            if cause.plan_id.is_empty() || *cause.plan_id == **plan_id {
                continue;
            }
            changes.push(What::Citation {
                cited_plan_id: cause.plan_id.as_str().into(),
                citation: Citation {
                    cited_revision: cause.revision,
                    plan_id: plan_id.clone(),
                    revision: event.revision,
                    position,
                    role: cause.role,
                },
            });
        }
    }
}

/// The projections across plans, and what of them is not written yet.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) commitments: Commitments,
    pub(super) outcomes: Outcomes,
    pub(super) citations: Citations,
    /// How many changes were taken in since the first commit.
    changes: u64,
    /// The last of them: its position and ordinal.
    last: Option<(u64, u32)>,
    unwritten: Vec<Arc<[Change]>>,
    unwritten_bytes: usize,
    /// Pieces that a crash left ahead of the checkpoint: they are written anew, cut otherwise.
    ahead: Vec<Vec<u8>>,
    /// Whether the first due date that the clock has to look at is another.
    pub(super) silence_is_earlier: bool,
}

impl Ledger {
    /// Takes in the stored pieces up to a position, which must hold so many changes.
    pub(super) fn restore(
        pieces: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>>,
        position: u64,
        changes: u64,
    ) -> Result<Self, ViewError> {
        let mut ledger = Self::default();
        for piece in pieces {
            let (key, value) = piece?;
            let senseless =
                || StoreError::Damaged(format!("piece {} makes no sense", key.escape_ascii()));
            let begins = key.get(1..9).and_then(|bytes| bytes.try_into().ok());
            if u64::from_be_bytes(begins.ok_or_else(senseless)?) > position {
                ledger.ahead.push(key);
                continue;
            }
            let mut rest = value.as_slice();
            while !rest.is_empty() {
                let (change, behind) =
                    postcard::take_from_bytes::<Placed>(rest).map_err(|_| senseless())?;
                let place = Some((change.position, change.ordinal));
                if place <= ledger.last || change.position > position {
                    return Err(senseless().into());
                }
                ledger.take_in(&change);
                rest = behind;
            }
        }
        if ledger.changes != changes {
            return Err(ViewError::Incoherent(format!(
                "it counts {changes} changes across plans and holds {}",
                ledger.changes
            )));
        }
        Ok(ledger)
    }

    /// How many bytes the changes take that are not written yet.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    fn take_in(&mut self, change: &Placed) {
        let position = change.position;
        match &change.what {
            What::Commitment {
                key,
                step,
                due_is_new,
            } => {
                self.silence_is_earlier |= self.commitments.add(
                    position,
                    change.recorded_at,
                    key,
                    step.as_deref(),
                    *due_is_new,
                );
            }
            What::Outcome { cell, gained, lost } => {
                self.outcomes.count(position, cell, *gained, *lost);
            }
            What::Citation {
                cited_plan_id,
                citation,
            } => self.citations.add(cited_plan_id, citation),
        }
        self.changes += 1;
        self.last = Some((position, change.ordinal));
    }
}

/// What is to be written: changes, and how many there are then for the checkpoint.
pub(super) struct LedgerChanges {
    pub(super) count: u64,
    ahead: Vec<Vec<u8>>,
    unwritten: Vec<Arc<[Change]>>,
}

impl Projection for Ledger {
    type Changes = LedgerChanges;

    fn apply(&mut self, applied: &Applied) {
        if applied.changes.is_empty() {
            return;
        }
        for change in applied.changes.iter() {
            self.take_in(&change.placed);
            self.unwritten_bytes += change.encoded.len();
        }
        self.unwritten.push(applied.changes.clone());
    }

    fn changes(&mut self) -> Self::Changes {
        self.unwritten_bytes = 0;
        LedgerChanges {
            count: self.changes,
            ahead: std::mem::take(&mut self.ahead),
            unwritten: std::mem::take(&mut self.unwritten),
        }
    }

    fn records(changes: &Self::Changes, records: &mut Vec<Record>) -> Result<(), StoreError> {
        let removed = changes.ahead.iter().cloned();
        records.extend(removed.map(|key| Record { key, value: None }));
        let mut piece: Option<(Vec<u8>, Vec<u8>)> = None;
        for change in changes
            .unwritten
            .iter()
            .flat_map(|of_commit| of_commit.iter())
        {
            let encoded = &change.encoded;
            if encoded.is_empty() {
                return Err(StoreError::Engine("a change has no bytes".to_owned()));
            }
            match &mut piece {
                Some((_, value)) if value.len() + encoded.len() <= PIECE_BYTES => {
                    value.extend_from_slice(encoded);
                }
                Some(_) | None => {
                    let begun = piece.replace((key(&change.placed), encoded.clone()));
                    records.extend(begun.map(record));
                }
            }
        }
        records.extend(piece.map(record));
        Ok(())
    }
}

fn record((key, value): (Vec<u8>, Vec<u8>)) -> Record {
    Record {
        key,
        value: Some(value),
    }
}

/// Keys sort as their first changes do.
fn key(first: &Placed) -> Vec<u8> {
    let mut key = vec![TAG];
    key.extend_from_slice(&first.position.to_be_bytes());
    key.extend_from_slice(&first.ordinal.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(position: u64) -> Change {
        Change::of(Placed {
            position,
            ordinal: 0,
            recorded_at: Time::default(),
            what: What::Citation {
                cited_plan_id: "a".into(),
                citation: Citation {
                    cited_revision: 1,
                    plan_id: "b".into(),
                    revision: position,
                    position,
                    role: 1,
                },
            },
        })
    }

    fn pieces(changes: &LedgerChanges) -> Vec<Record> {
        let mut records = Vec::new();
        Ledger::records(changes, &mut records).expect("encoded");
        records
    }

    fn of(positions: impl IntoIterator<Item = u64>) -> Vec<Record> {
        pieces(&LedgerChanges {
            count: 0,
            ahead: Vec::new(),
            unwritten: vec![positions.into_iter().map(change).collect()],
        })
    }

    fn restore(records: Vec<Record>, position: u64, changes: u64) -> Result<Ledger, ViewError> {
        let stored = records.into_iter();
        let stored = stored.map(|it| Ok((it.key, it.value.unwrap_or_default())));
        Ledger::restore(stored, position, changes)
    }

    #[test]
    fn pieces_are_bounded_and_hold_every_change_once() {
        let records = of(1..=5_000);
        assert!(records.len() > 5);
        let bytes = |it: &Record| it.value.as_ref().map_or(0, Vec::len);
        assert!(records.iter().all(|it| bytes(it) <= PIECE_BYTES));
        assert!(restore(records.clone(), 5_000, 5_000).is_ok());
        assert!(restore(records.clone(), 5_000, 4_999).is_err());
        let twice = [records.clone(), records].concat();
        assert!(restore(twice, 5_000, 5_000).is_err());
    }

    #[test]
    fn what_a_crash_left_ahead_of_the_checkpoint_is_not_taken_in_and_goes_with_the_next_write() {
        let ahead = of([8, 9]);
        let stored = [of([3, 5]), ahead.clone()].concat();
        let mut ledger = restore(stored, 7, 2).expect("restored");
        let removed = Record {
            key: ahead[0].key.clone(),
            value: None,
        };
        assert_eq!(pieces(&ledger.changes()), [removed]);
        assert!(pieces(&ledger.changes()).is_empty());
    }
}
