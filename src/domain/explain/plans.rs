//! The plans that an explanation leads through: each is loaded when a step leads into it, and indexed
//! once by what cites what.

use std::{cell::OnceCell, collections::BTreeMap};

use foldhash::{HashMap, HashMapExt as _};

use super::{
    Elsewhere, Other,
    known::{Known, Seen},
    made,
};
use crate::{
    domain::{history::Moment, value::Id},
    proto::{CauseRole, Event, event::Kind},
};

/// How many other plans an explanation leads into: each is in memory with its history meanwhile.
pub(super) const PLANS_MAX: usize = 64;

/// Where an event is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) plan_id: Id,
    pub(super) revision: u64,
}

/// The plans that were met, and what is known of them.
pub(super) struct Plans<'a, E> {
    elsewhere: &'a Elsewhere<'a, E>,
    /// Up to which position of the log other plans are known.
    position: u64,
    met: HashMap<Id, Met>,
    /// Whether a step would have led into one plan too many.
    is_full: bool,
}

/// A plan that was met.
enum Met {
    Absent,
    Hidden,
    Told(Box<Indexed>),
}

/// A plan and what its events are to each other.
struct Indexed {
    known: Known,
    /// The revisions that events cite, ascending, each with one that cites it.
    cited_by: OnceCell<Vec<(u64, Place)>>,
    /// The events that made revisions of strategies: of each strategy in order.
    makers: OnceCell<HashMap<String, BTreeMap<u32, u64>>>,
}

impl<'a, E> Plans<'a, E> {
    pub(super) fn new(moment: &'a Moment, elsewhere: &'a Elsewhere<'a, E>) -> Self {
        let own = Indexed::new(Known::of(moment));
        Self {
            elsewhere,
            position: moment.position,
            met: HashMap::from_iter([(moment.plan.plan_id.clone(), Met::Told(Box::new(own)))]),
            is_full: false,
        }
    }

    /// Whether a plan was left out because there are too many.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether there is something to show at a place: an event that is known, or one that is hidden.
    /// Loads its plan, unless there are too many.
    pub(super) fn find(&mut self, place: &Place) -> Result<bool, E> {
        if !self.met.contains_key(&place.plan_id) {
            if self.met.len() > PLANS_MAX {
                self.is_full = true;
                return Ok(false);
            }
            let met = match (self.elsewhere.history)(&place.plan_id)? {
                Other::Absent => Met::Absent,
                Other::Hidden => Met::Hidden,
                Other::Told(history) => {
                    let known = Known::up_to(history, self.position);
                    Met::Told(Box::new(Indexed::new(known)))
                }
            };
            self.met.insert(place.plan_id.clone(), met);
        }
        Ok(self.event(place).is_some() || self.is_hidden(place))
    }

    /// Whether a place is in a plan that was met and is hidden. There is an event: its plan was looked at
    /// before what cites it was recorded.
    pub(super) fn is_hidden(&self, place: &Place) -> bool {
        matches!(self.met.get(&place.plan_id), Some(Met::Hidden))
    }

    /// The event at a place, if its plan was met and it is known.
    pub(super) fn event(&self, place: &Place) -> Option<Seen<'_>> {
        self.indexed(place)?.known.event(place.revision)
    }

    /// Whether there may be an event at a place: of a plan that was not met nothing else is said.
    pub(super) fn may_be(&self, place: &Place) -> bool {
        !self.met.contains_key(&place.plan_id)
            || self.event(place).is_some()
            || self.is_hidden(place)
    }

    /// What the event at a place says it is because of.
    pub(super) fn causes(&self, place: &Place) -> Vec<Place> {
        let Some(seen) = self.event(place) else {
            return Vec::new();
        };
        let because = seen.recorded.event.because.iter();
        because
            .map(|cause| place_of(&cause.plan_id, cause.revision, &place.plan_id))
            .collect()
    }

    /// The events that say they are because of the one at a place. Corrections of it are not among
    /// them.
    pub(super) fn effects(&self, place: &Place) -> impl Iterator<Item = &Place> {
        let revision = place.revision;
        let cited_by = self.indexed(place).map_or(&[][..], |indexed| {
            indexed.cited_by.get_or_init(|| self.citing(&indexed.known))
        });
        let first = cited_by.partition_point(|(cited, _)| *cited < revision);
        let from_here = cited_by.iter().skip(first);
        let citing = from_here.take_while(move |(cited, _)| *cited == revision);
        citing.map(|(_, place)| place)
    }

    /// What is shown beside the event at a place: the revision of a strategy that it revised or
    /// branched from, and what corrected or retracted it.
    pub(super) fn beside(&self, place: &Place) -> Vec<Place> {
        let Some(seen) = self.event(place) else {
            return Vec::new();
        };
        let revisions = self.parent(place).into_iter();
        revisions
            .chain(seen.amendments.iter().copied())
            .map(|revision| place_of("", revision, &place.plan_id))
            .collect()
    }

    /// The revision of the event that made what the one at a place revised or branched from.
    pub(super) fn parent(&self, place: &Place) -> Option<u64> {
        let indexed = self.indexed(place)?;
        let kind = indexed
            .known
            .event(place.revision)?
            .recorded
            .event
            .kind
            .as_ref();
        if let Some(Kind::StrategyRevised(it)) = kind {
            let makers = indexed.makers().get(&it.strategy_id)?;
            return makers.get(&it.parent_revision).copied();
        }
        if let Some(Kind::StrategyBranched(it)) = kind {
            let makers = indexed.makers().get(&it.from_strategy_id)?;
            let mut earlier = makers.values().filter(|made| **made < place.revision);
            return earlier.next_back().copied();
        }
        None
    }

    fn indexed(&self, place: &Place) -> Option<&Indexed> {
        match self.met.get(&place.plan_id)? {
            Met::Told(indexed) => Some(indexed),
            Met::Absent | Met::Hidden => None,
        }
    }

    fn citing(&self, known: &Known) -> Vec<(u64, Place)> {
        let own = known.plan_id();
        let mut cited_by = Vec::new();
        for seen in known.events() {
            let event = &seen.recorded.event;
            let cited = cited_in(event, own);
            cited_by.extend(cited.map(|cited| (cited, place_of("", event.revision, own))));
        }
        for citation in (self.elsewhere.citing)(own) {
            if citation.position <= self.position && &citation.plan_id != own {
                let citing = Place {
                    plan_id: citation.plan_id,
                    revision: citation.revision,
                };
                cited_by.push((citation.cited_revision, citing));
            }
        }
        // Of those that cite the same event the order stays.
        cited_by.sort_by_key(|(cited, _)| *cited);
        cited_by
    }
}

impl Indexed {
    fn new(known: Known) -> Self {
        Self {
            known,
            cited_by: OnceCell::new(),
            makers: OnceCell::new(),
        }
    }

    fn makers(&self) -> &HashMap<String, BTreeMap<u32, u64>> {
        self.makers.get_or_init(|| {
            let mut makers = HashMap::<String, BTreeMap<u32, u64>>::new();
            for seen in self.known.events() {
                let event = &seen.recorded.event;
                if let Some((strategy_id, revision)) = made(event) {
                    let of_strategy = makers.entry(strategy_id.to_owned()).or_default();
                    of_strategy.insert(revision, event.revision);
                }
            }
            makers
        })
    }
}

/// The place that a cause names, seen from a plan.
pub(super) fn place_of(plan_id: &str, revision: u64, own: &Id) -> Place {
    let plan_id = if plan_id.is_empty() || plan_id == &**own {
        own.clone()
    } else {
        Id::from(plan_id)
    };
    Place { plan_id, revision }
}

/// The events of its own plan that an event came of. What it corrects did not lead to it.
fn cited_in(event: &Event, own: &Id) -> impl Iterator<Item = u64> {
    let because = event.because.iter();
    because
        .filter(|cause| cause.role() != CauseRole::Corrects)
        .filter(|cause| cause.plan_id.is_empty() || cause.plan_id == **own)
        .map(|cause| cause.revision)
}
