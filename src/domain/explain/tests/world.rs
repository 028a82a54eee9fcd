//! The plans that explanations are tried on: notes and other events with what they are because of,
//! alone or in a world of other plans.

use std::{convert::Infallible, sync::Arc};

use crate::{
    domain::{
        explain::{Citation, Elsewhere, Explanation, Limits, Other, explain},
        given,
        history::{History, Moment, Recorded},
        value::Time,
    },
    proto::{Cause, CauseRole, Event, NoteRecorded, event::Kind},
};

pub(super) const TRIGGER: CauseRole = CauseRole::Trigger;
pub(super) const EVIDENCE: CauseRole = CauseRole::Evidence;
pub(super) const LIMITS: Limits = Limits {
    depth: 32,
    events: 256,
    bytes: 1 << 20,
};

/// An event and what it is because of: plan (empty: its own), revision, role.
pub(super) type Told = (Kind, Vec<(&'static str, u64, CauseRole)>);

/// A plan as it is now; its event of revision n is at position `step * n`.
pub(super) fn moment(plan_id: &str, step: u64, told: Vec<Told>) -> Moment {
    let history = Arc::new(history(plan_id, step, told));
    let revision = history.events.len() as u64;
    Moment::at_revision(history, revision, Time::default(), u64::MAX)
}

pub(super) fn history(plan_id: &str, step: u64, told: Vec<Told>) -> History {
    let event = |(revision, (kind, because)): (u64, Told)| {
        let because = because.into_iter().map(|(plan_id, revision, role)| Cause {
            plan_id: plan_id.into(),
            revision,
            role: role.into(),
        });
        Arc::new(Recorded::new(
            step * revision,
            Time::default(),
            "ada".into(),
            "".into(),
            Event {
                because: because.collect(),
                ..given::event(revision, kind)
            },
        ))
    };
    History::of(plan_id.into(), (1..).zip(told).map(event).collect())
}

pub(super) fn note() -> Kind {
    Kind::NoteRecorded(NoteRecorded {
        subject: "plan".into(),
        text: "So it is".into(),
    })
}

/// A note because of earlier events of its plan.
pub(super) fn because(revisions: &[u64]) -> Told {
    let causes = revisions.iter().map(|&revision| ("", revision, TRIGGER));
    (note(), causes.collect())
}

pub(super) fn plain(kind: Kind) -> Told {
    (kind, Vec::new())
}

pub(super) fn alone(moment: &Moment, roots: &[u64], limits: Limits) -> Explanation {
    within(moment, roots, limits, &[])
}

/// The explanation in a world of these other plans.
pub(super) fn within(
    moment: &Moment,
    roots: &[u64],
    limits: Limits,
    others: &[&History],
) -> Explanation {
    let find = |plan_id: &str| others.iter().find(|other| &*other.plan_id == plan_id);
    let history = |plan_id: &str| -> Result<_, Infallible> {
        let own = (plan_id == &*moment.plan.plan_id).then_some(&*moment.history);
        let found = own.or(find(plan_id).copied()).cloned();
        Ok(found.map_or(Other::Absent, |it| Other::Told(Arc::new(it))))
    };
    let citing = |plan_id: &str| {
        let all = others.iter().copied().chain([&*moment.history]);
        all.flat_map(|other| citations(other, plan_id)).collect()
    };
    let elsewhere = Elsewhere {
        history: &history,
        citing: &citing,
    };
    explain(moment, roots, limits, &elsewhere).unwrap_or_else(|never| match never {})
}

fn citations(citing: &History, cited: &str) -> Vec<Citation> {
    let of_event = |recorded: &Arc<Recorded>| {
        let because = recorded.event.because.clone().into_iter();
        let of_plan = because.filter(|cause| cause.plan_id == cited);
        let citation = |cause: Cause| Citation {
            plan_id: citing.plan_id.clone(),
            revision: recorded.event.revision,
            position: recorded.position,
            role: cause.role,
            cited_revision: cause.revision,
        };
        of_plan.map(citation).collect::<Vec<_>>()
    };
    citing.events.iter().flat_map(of_event).collect()
}
