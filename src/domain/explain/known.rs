//! What is known of a plan's events at a moment: as they were recorded, as they hold, and what
//! corrected or retracted them. What is not known yet is not there.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{
        history::{History, Moment, Recorded, Standing},
        value::Id,
    },
    proto::{self, EventReference, event::Kind},
};

/// The events of a plan that are known.
pub(in crate::domain) struct Known {
    history: Arc<History>,
    /// As they hold, ascending by revision; retracted ones are left out.
    holds: Standing,
    /// The last revision that can be known.
    until: u64,
    /// The corrections and retractions of events, in order, by the revision of what they amend.
    amendments: BTreeMap<u64, Vec<u64>>,
}

/// An event that is known.
#[derive(Clone, Copy)]
pub(in crate::domain) struct Seen<'a> {
    /// As it was recorded.
    pub(in crate::domain) recorded: &'a Recorded,
    /// As it holds; nothing if it was retracted.
    pub(in crate::domain) holds: Option<&'a Recorded>,
    /// What corrected or retracted it, in order.
    pub(in crate::domain) amendments: &'a [u64],
}

impl Known {
    /// The plan of a moment, as it is known then.
    pub(in crate::domain) fn of(moment: &Moment) -> Self {
        let until = moment.plan.revision;
        let is_recorded = |it: &&Arc<Recorded>| it.position <= moment.position;
        let mut amendments = BTreeMap::<u64, Vec<u64>>::new();
        for recorded in moment.history.events.iter().take_while(is_recorded) {
            let Some((amended, replacement)) = amendment(&recorded.event) else {
                continue;
            };
            // As of an occurred time also what was recorded later has its effect.
            let has_effect = || match (replacement, moment.event(amended)) {
                (Some(kind), Some(holds)) => holds.event.kind.as_ref() == Some(kind),
                (None, None) => true,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if recorded.event.revision <= until || has_effect() {
                let all = amendments.entry(amended).or_default();
                all.push(recorded.event.revision);
            }
        }
        Self {
            history: moment.history.clone(),
            holds: moment.events.clone(),
            until,
            amendments,
        }
    }

    /// A plan of which is known what was recorded up to a position of the log.
    pub(in crate::domain) fn up_to(history: Arc<History>, position: u64) -> Self {
        let recorded = history.events.partition_point(|it| it.position <= position);
        let until = recorded as u64;
        let holds = history.standing(until);
        let mut amendments = BTreeMap::<u64, Vec<u64>>::new();
        for recorded in history.until(until) {
            if let Some((amended, _)) = amendment(&recorded.event) {
                let all = amendments.entry(amended).or_default();
                all.push(recorded.event.revision);
            }
        }
        Self {
            history,
            holds,
            until,
            amendments,
        }
    }

    /// The plan.
    pub(in crate::domain) fn plan_id(&self) -> &Id {
        &self.history.plan_id
    }

    /// The event of a revision, if it is known.
    pub(in crate::domain) fn event(&self, revision: u64) -> Option<Seen<'_>> {
        let recorded = self.history.get(revision)?;
        let place = self
            .holds
            .binary_search_by_key(&revision, |it| it.event.revision);
        let holds = place.ok().and_then(|place| self.holds.get(place));
        self.seen(recorded, holds)
    }

    /// All events that are known, in order.
    pub(in crate::domain) fn events(&self) -> impl Iterator<Item = Seen<'_>> {
        let mut holds = self.holds.iter().peekable();
        let revisions = self.history.until(self.until).iter();
        revisions.filter_map(move |recorded| {
            let revision = recorded.event.revision;
            let holds = holds.next_if(|it| it.event.revision == revision);
            self.seen(recorded, holds)
        })
    }

    /// An event and what holds of it, if it is known.
    fn seen<'k>(
        &'k self,
        recorded: &'k Recorded,
        holds: Option<&'k Arc<Recorded>>,
    ) -> Option<Seen<'k>> {
        let revision = recorded.event.revision;
        let amendments = self
            .amendments
            .get(&revision)
            .map_or(&[][..], Vec::as_slice);
        let is_known = holds.is_some() || (revision <= self.until && !amendments.is_empty());
        is_known.then_some(Seen {
            recorded,
            holds: holds.map(AsRef::as_ref),
            amendments,
        })
    }
}

impl<'a> Seen<'a> {
    /// The event as it holds, or as it was recorded if it was retracted.
    pub(in crate::domain) fn latest(self) -> &'a Recorded {
        self.holds.unwrap_or(self.recorded)
    }

    /// What other answers say of it.
    pub(in crate::domain) fn reference(self, plan_id: &str) -> EventReference {
        self.latest().reference(plan_id)
    }
}

/// The revision that an event amends, and what a correction puts in its place.
fn amendment(event: &proto::Event) -> Option<(u64, Option<&Kind>)> {
    if let Some(Kind::EventRetracted(retraction)) = &event.kind {
        return Some((retraction.revision, None));
    }
    let Some(Kind::EventCorrected(correction)) = &event.kind else {
        return None;
    };
    let replacement = correction.replacement.as_deref();
    Some((correction.revision, replacement?.kind.as_ref()))
}
