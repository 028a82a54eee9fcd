//! The walk through the graph of causes: breadth first, within its limits, causes before effects and
//! near before far, so that what is left out is what matters least.

use std::{cmp::Reverse, collections::BTreeSet};

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use prost::Message as _;

use super::{
    Elsewhere, Explanation, Limits,
    known::Seen,
    plans::{Place, Plans, place_of},
};
use crate::{
    domain::{event, evolve, history::Moment, value::Id},
    proto::{CauseRole, EventReference, ExplainedEvent, ExplainedLink, ExplainedSide, LinkRole},
};

/// What a link takes in an answer, in bytes, with the longest ids.
const LINK_BYTES: usize = 160;
/// What an event takes in an answer besides itself, in bytes: its summary and who recorded it.
const EVENT_OVERHEAD_BYTES: usize = 512;

/// An explanation that is being made.
pub(super) struct Walk<'a, E> {
    own: Id,
    plans: Plans<'a, E>,
    limits: Limits,
    shown: Vec<Shown>,
    /// Where in `shown` an event is.
    numbers: HashMap<Place, usize>,
    /// The events whose effects are followed.
    led_on: HashSet<Place>,
    bytes: usize,
    is_full: bool,
}

/// An event that is shown.
struct Shown {
    place: Place,
    side: ExplainedSide,
    depth: u32,
}

impl<'a, E> Walk<'a, E> {
    pub(super) fn new(moment: &'a Moment, limits: Limits, elsewhere: &'a Elsewhere<'a, E>) -> Self {
        Self {
            own: moment.plan.plan_id.clone(),
            plans: Plans::new(moment, elsewhere),
            limits,
            shown: Vec::new(),
            numbers: HashMap::new(),
            led_on: HashSet::new(),
            bytes: 0,
            is_full: false,
        }
    }

    /// Shows what is asked about, the latest of it if it is too much.
    pub(super) fn begin(&mut self, roots: &[u64]) {
        for &revision in roots.iter().rev() {
            let place = place_of("", revision, &self.own);
            if !self.show(place, ExplainedSide::Target, 0) {
                break;
            }
        }
        self.shown.reverse();
        let numbered = self.shown.iter().zip(0..);
        self.numbers = numbered.map(|(it, n)| (it.place.clone(), n)).collect();
    }

    /// Follows causes.
    pub(super) fn back(&mut self) -> Result<(), E> {
        let mut frontier = self.targets();
        for depth in 1..=self.limits.depth {
            let causes = frontier.iter().flat_map(|place| self.plans.causes(place));
            let mut next: Vec<Place> = causes
                .filter(|place| !self.numbers.contains_key(place))
                .collect();
            next.sort_by_key(|place| (self.distance(place), Reverse(place.revision)));
            next.dedup();
            frontier.clear();
            for place in next {
                if !self.plans.find(&place)? {
                    continue;
                }
                if !self.show(place.clone(), ExplainedSide::Cause, depth) {
                    return Ok(());
                }
                frontier.push(place);
            }
            if frontier.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Follows effects. What is shown as a cause may lead on all the same.
    pub(super) fn forth(&mut self) -> Result<(), E> {
        let mut frontier = self.targets();
        self.led_on.extend(frontier.iter().cloned());
        for depth in 1..=self.limits.depth {
            let effects = frontier.iter().flat_map(|place| self.plans.effects(place));
            let mut next: Vec<Place> = effects
                .filter(|place| !self.led_on.contains(place))
                .cloned()
                .collect();
            next.sort_by_key(|place| (self.distance(place), place.revision));
            next.dedup();
            frontier.clear();
            for place in next {
                if !self.plans.find(&place)? {
                    continue;
                }
                let is_shown = self.numbers.contains_key(&place)
                    || self.show(place.clone(), ExplainedSide::Effect, depth);
                if !is_shown {
                    return Ok(());
                }
                self.led_on.insert(place.clone());
                frontier.push(place);
            }
            if frontier.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Shows what stands beside the events that were found, and is not followed.
    pub(super) fn beside(&mut self) -> Result<(), E> {
        for number in 0..self.shown.len() {
            let Some(Shown { place, depth, .. }) = self.shown.get(number) else {
                break;
            };
            let (beside, depth) = (self.plans.beside(place), depth.saturating_add(1));
            for place in beside {
                let is_known = self.plans.find(&place)?;
                if is_known && !self.numbers.contains_key(&place) {
                    self.show(place, ExplainedSide::Context, depth);
                }
            }
        }
        Ok(())
    }

    /// What was found.
    pub(super) fn told(&self) -> Explanation {
        let truncated_at: Vec<_> = self
            .shown
            .iter()
            .filter(|shown| self.is_cut_at(shown))
            .filter_map(|shown| self.reference(&shown.place))
            .collect();
        let events = self.shown.iter().filter_map(|shown| self.event(shown));
        Explanation {
            events: events.collect(),
            links: self.links(),
            truncated: self.is_full || self.plans.is_full() || !truncated_at.is_empty(),
            truncated_at,
        }
    }

    /// Adds an event that is known to what is shown. Once there is no room for one, there is none.
    fn show(&mut self, place: Place, side: ExplainedSide, depth: u32) -> bool {
        let bytes = match self.plans.event(&place) {
            Some(seen) => weight_bytes(seen),
            None if self.plans.is_hidden(&place) => EVENT_OVERHEAD_BYTES,
            None => return true,
        };
        let is_first = self.shown.is_empty();
        let is_over = self.shown.len() >= self.limits.events
            || self.bytes.saturating_add(bytes) > self.limits.bytes;
        self.is_full |= is_over && !is_first;
        if self.is_full {
            return false;
        }
        self.bytes += bytes;
        self.numbers.insert(place.clone(), self.shown.len());
        self.shown.push(Shown { place, side, depth });
        true
    }

    fn targets(&self) -> Vec<Place> {
        let targets = self.shown.iter();
        targets
            .filter(|shown| shown.side == ExplainedSide::Target)
            .map(|shown| shown.place.clone())
            .collect()
    }

    /// Events of the plan itself are nearer than others.
    fn distance(&self, place: &Place) -> (bool, Id) {
        (place.plan_id != self.own, place.plan_id.clone())
    }

    fn is_cut_at(&self, shown: &Shown) -> bool {
        let place = &shown.place;
        let is_missing = |it: &Place| !self.numbers.contains_key(it) && self.plans.may_be(it);
        let (has_causes, has_beside) = match shown.side {
            ExplainedSide::Target | ExplainedSide::Cause => (true, true),
            ExplainedSide::Effect => (false, true),
            ExplainedSide::Context | ExplainedSide::Unspecified => (false, false),
        };
        (has_causes && self.plans.causes(place).iter().any(is_missing))
            || (has_beside && self.plans.beside(place).iter().any(is_missing))
            || (self.led_on.contains(place) && self.plans.effects(place).any(is_missing))
    }

    fn event(&self, shown: &Shown) -> Option<ExplainedEvent> {
        if self.plans.is_hidden(&shown.place) {
            return Some(ExplainedEvent {
                plan_id: shown.place.plan_id.to_string(),
                revision: shown.place.revision,
                side: shown.side.into(),
                depth: shown.depth,
                hidden: true,
                ..ExplainedEvent::default()
            });
        }
        let seen = self.plans.event(&shown.place)?;
        let recorded = seen.recorded;
        let is_corrected = !seen.amendments.is_empty();
        Some(ExplainedEvent {
            plan_id: shown.place.plan_id.to_string(),
            revision: recorded.event.revision,
            side: shown.side.into(),
            depth: shown.depth,
            position: recorded.position,
            recorded_at: Some(recorded.recorded_at.into()),
            actor: recorded.actor.to_string(),
            on_behalf_of: recorded.on_behalf_of.to_string(),
            r#type: event::type_name(&recorded.event).to_owned(),
            summary: recorded.summary().to_owned(),
            event: Some(recorded.event.clone()),
            corrected: seen
                .holds
                .filter(|_| is_corrected)
                .map(|holds| holds.event.clone()),
            corrected_by: seen.amendments.last().copied().unwrap_or_default(),
            retracted: seen.holds.is_none(),
            hidden: false,
        })
    }

    fn reference(&self, place: &Place) -> Option<EventReference> {
        Some(self.plans.event(place)?.reference(&place.plan_id))
    }

    /// Every link between two events that are shown, in the order of the later and the earlier.
    fn links(&self) -> Vec<ExplainedLink> {
        let mut links = BTreeSet::new();
        for (later, number) in self.shown.iter().zip(0_usize..) {
            for (earlier, role) in self.earlier(&later.place) {
                if let Some(earlier) = self.numbers.get(&earlier) {
                    links.insert((number, *earlier, role as i32));
                }
            }
        }
        let place = |number: usize| self.shown.get(number).map(|shown| &shown.place);
        let link = |(later, earlier, role)| {
            let (later, earlier) = (place(later)?, place(earlier)?);
            Some(ExplainedLink {
                earlier_plan_id: earlier.plan_id.to_string(),
                earlier_revision: earlier.revision,
                later_plan_id: later.plan_id.to_string(),
                later_revision: later.revision,
                role,
            })
        };
        links.into_iter().filter_map(link).collect()
    }

    /// Everything that an event names as earlier, and as what.
    fn earlier(&self, place: &Place) -> Vec<(Place, LinkRole)> {
        let Some(Seen { recorded, .. }) = self.plans.event(place) else {
            return Vec::new();
        };
        let from = |plan_id: &str, revision| place_of(plan_id, revision, &place.plan_id);
        let because = recorded.event.because.iter();
        let mut earlier: Vec<_> = because
            .map(|cause| {
                (
                    from(&cause.plan_id, cause.revision),
                    link_role(cause.role()),
                )
            })
            .collect();
        let amended = recorded.event.kind.as_ref().and_then(evolve::amended);
        earlier.extend(amended.map(|revision| (from("", revision), LinkRole::Corrects)));
        let parent = self.plans.parent(place);
        earlier.extend(parent.map(|revision| (from("", revision), LinkRole::Parent)));
        earlier
    }
}

fn weight_bytes(seen: Seen<'_>) -> usize {
    let recorded = &seen.recorded.event;
    let corrected = seen.holds.filter(|_| !seen.amendments.is_empty());
    let links = recorded.because.len() + seen.amendments.len() + 1;
    recorded.encoded_len()
        + corrected.map_or(0, |holds| holds.event.encoded_len())
        + LINK_BYTES * links
        + EVENT_OVERHEAD_BYTES
}

fn link_role(role: CauseRole) -> LinkRole {
    match role {
        CauseRole::Unspecified => LinkRole::Unspecified,
        CauseRole::Trigger => LinkRole::Trigger,
        CauseRole::Evidence => LinkRole::Evidence,
        CauseRole::Corrects => LinkRole::Corrects,
    }
}
