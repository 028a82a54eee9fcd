//! Why: the closure of what events say they are because of, and what they led to. Causes are
//! followed by every role and into other plans; the revision of a strategy that another revised,
//! and corrections made later, are shown beside and not followed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    event,
    history::{History, Moment},
    value::{Id, Subject},
};
use crate::proto::{self, event::Kind};

pub(super) mod known;
mod plans;
#[cfg(test)]
mod tests;
mod walk;

use known::Known;

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The event of this revision of the plan.
    Revision(u64),
    /// A revision of a strategy; 0: the one that stands.
    StrategyRevision {
        /// The strategy.
        strategy_id: Id,
        /// Its revision.
        revision: u32,
    },
    /// All events about a subject.
    Subject(Subject),
}

/// How far an explanation goes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many steps causes are followed back, and effects forward.
    pub depth: u32,
    /// How many events are shown.
    pub events: usize,
    /// How many bytes the events that are shown may take with their links, by estimate.
    pub bytes: usize,
}

/// That an event of one plan cites an event of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The plan of the event that cites.
    pub plan_id: Id,
    /// Its revision.
    pub revision: u64,
    /// The position of its commit in the log.
    pub position: u64,
    /// What the cited event was to it ([`proto::CauseRole`]).
    pub role: i32,
    /// The revision of the cited event in its plan.
    pub cited_revision: u64,
}

/// What can be told of another plan.
#[derive(Debug, Clone)]
pub enum Other {
    /// There is none.
    Absent,
    /// It is hidden from who asks. What cites it names its event, and nothing more is told.
    Hidden,
    /// Its events.
    Told(Arc<History>),
}

/// Gives the events of another plan.
pub type Histories<'a, E> = dyn Fn(&str) -> Result<Other, E> + 'a;

/// What an explanation asks of other plans.
pub struct Elsewhere<'a, E> {
    /// The events of a plan.
    pub history: &'a Histories<'a, E>,
    /// The events of other plans that cite events of a plan. Those of hidden plans are not among them:
    /// what a plan cites is a part of it.
    pub citing: &'a dyn Fn(&str) -> Vec<Citation>,
}

/// What led to some events, and what they led to, as a graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// The events: those asked about, their causes from near to far, their effects from near to far,
    /// then what is shown beside them. Each once.
    pub events: Vec<proto::ExplainedEvent>,
    /// What they are to each other: every link between two of them.
    pub links: Vec<proto::ExplainedLink>,
    /// Whether there is more than is shown.
    pub truncated: bool,
    /// The events of which not all is shown that belongs to them.
    pub truncated_at: Vec<proto::EventReference>,
}

/// The revisions of the events that are asked about, in ascending order. Nothing if the plan does not
/// have at that moment what is named.
#[must_use]
pub fn roots(moment: &Moment, target: &Target) -> Option<Vec<u64>> {
    match target {
        Target::Revision(revision) => {
            let known = Known::of(moment);
            known.event(*revision).map(|_| vec![*revision])
        }
        Target::StrategyRevision {
            strategy_id,
            revision,
        } => {
            let strategy = moment.plan.strategies.get(strategy_id)?;
            let wanted = match revision {
                0 => strategy.revision,
                revision => *revision,
            };
            let makes = |event: &proto::Event| {
                made(event).is_some_and(|(id, made)| id == &**strategy_id && made == wanted)
            };
            let mut events = moment.events.iter().map(|recorded| &recorded.event);
            Some(vec![events.find(|event| makes(event))?.revision])
        }
        Target::Subject(subject) => has(moment, subject).then(|| about(moment, subject)),
    }
}

/// What led to the events of these revisions of the moment's plan, and what they led to, as far as
/// it is known then. Of events asked about that are too many the latest are shown.
pub fn explain<E>(
    moment: &Moment,
    roots: &[u64],
    limits: Limits,
    elsewhere: &Elsewhere<'_, E>,
) -> Result<Explanation, E> {
    let mut walk = walk::Walk::new(moment, limits, elsewhere);
    walk.begin(roots);
    walk.back()?;
    walk.forth()?;
    walk.beside()?;
    Ok(walk.told())
}

/// The strategy and the revision of it that an event made.
fn made(event: &proto::Event) -> Option<(&str, u32)> {
    if let Some(Kind::StrategyRevised(it)) = &event.kind {
        return Some((&it.strategy_id, it.strategy_revision));
    }
    if let Some(Kind::StrategyAdopted(it)) = &event.kind {
        return Some((&it.strategy_id, 1));
    }
    if let Some(Kind::StrategyBranched(it)) = &event.kind {
        return Some((&it.strategy_id, 1));
    }
    None
}

fn has(moment: &Moment, subject: &Subject) -> bool {
    let plan = &moment.plan;
    match subject {
        Subject::Plan => true,
        Subject::Objective => plan.objective.is_some(),
        Subject::Strategy(id) => plan.strategies.contains_key(id),
        Subject::Tactic(id) => plan.tactics.contains_key(id),
        Subject::Assumption(id) => plan.assumptions.contains_key(id),
        Subject::Indicator(id) => plan.indicators.contains_key(id),
        Subject::Commitment(id) => plan.commitments.contains_key(id),
    }
}

/// The events about a subject, retracted ones among them.
fn about(moment: &Moment, subject: &Subject) -> Vec<u64> {
    let known = Known::of(moment);
    let events = known.events().map(|seen| &seen.latest().event);
    events
        .filter(|event| event::is_about(event, subject))
        .map(|event| event.revision)
        .collect()
}
