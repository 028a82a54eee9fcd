//! What events make of the plan as a whole: its name, its end, and the findings accepted about it.

use std::sync::Arc;

use super::Stamp;
use crate::{
    domain::plan::{Acknowledgement, Archiving, Description, Lifecycle, Plan},
    proto,
};

pub(super) fn created(plan: &mut Plan, created: &proto::PlanCreated) {
    plan.lifecycle = Lifecycle::Active;
    plan.description = Arc::new(Description {
        title: created.title.clone(),
        summary: created.summary.clone(),
        labels: created.labels.clone(),
    });
}

pub(super) fn described(plan: &mut Plan, described: &proto::PlanDescribed) {
    plan.description = Arc::new(Description {
        title: described.title.clone(),
        summary: described.summary.clone(),
        labels: described.labels.clone(),
    });
}

pub(super) fn archived(plan: &mut Plan, archived: &proto::PlanArchived, at: Stamp) {
    plan.lifecycle = Lifecycle::Archived(Arc::new(Archiving {
        outcome: archived.outcome,
        reason: archived.reason.clone(),
        successor_plan_id: archived.successor_plan_id.clone(),
        archived_at: at.occurred_at,
        revision: at.revision,
    }));
}

pub(super) fn reopened(plan: &mut Plan) {
    plan.lifecycle = Lifecycle::Active;
}

pub(super) fn acknowledged(plan: &mut Plan, finding: &proto::FindingAcknowledged, at: Stamp) {
    plan.acknowledgements.insert(
        (finding.code.clone(), finding.subject.clone()),
        Arc::new(Acknowledgement {
            until: finding.until.map(Into::into),
            reason: finding.reason.clone(),
            revision: at.revision,
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::given, proto::event::Kind};

    fn archiving() -> Kind {
        Kind::PlanArchived(proto::PlanArchived {
            outcome: proto::PlanOutcome::Missed.into(),
            reason: "Too late".into(),
            successor_plan_id: "growth-2".into(),
        })
    }

    fn acknowledging(reason: &str) -> Kind {
        Kind::FindingAcknowledged(proto::FindingAcknowledged {
            code: "STR005".into(),
            subject: "strategies/s".into(),
            until: Some(given::at(99)),
            reason: reason.into(),
        })
    }

    #[test]
    fn a_created_plan_is_active_and_named() {
        let plan = given::plan([given::created()]);
        assert_eq!(plan.lifecycle, Lifecycle::Active);
        assert_eq!(plan.description.title, "Growth");
    }

    #[test]
    fn what_a_description_leaves_out_is_empty() {
        let created = Kind::PlanCreated(proto::PlanCreated {
            title: "Growth".into(),
            summary: "More of it".into(),
            labels: [("team".to_owned(), "sales".to_owned())].into(),
        });
        let described = Kind::PlanDescribed(proto::PlanDescribed {
            title: "Reach".into(),
            ..proto::PlanDescribed::default()
        });
        let plan = given::plan([created, described]);
        let expected = Description {
            title: "Reach".into(),
            ..Description::default()
        };
        assert_eq!(*plan.description, expected);
    }

    #[test]
    fn an_archived_plan_says_how_it_ended() {
        let plan = given::plan([given::created(), archiving()]);
        let Lifecycle::Archived(archiving) = &plan.lifecycle else {
            panic!("{:?} is not archived", plan.lifecycle);
        };
        assert_eq!(archiving.outcome, i32::from(proto::PlanOutcome::Missed));
        assert_eq!(archiving.reason, "Too late");
        assert_eq!(archiving.successor_plan_id, "growth-2");
        assert_eq!(archiving.archived_at, given::at(2).into());
        assert_eq!(archiving.revision, 2);
    }

    #[test]
    fn a_reopened_plan_is_active() {
        let reopening = Kind::PlanReopened(proto::PlanReopened::default());
        let plan = given::plan([given::created(), archiving(), reopening]);
        assert_eq!(plan.lifecycle, Lifecycle::Active);
    }

    #[test]
    fn the_latest_acknowledgement_of_a_finding_holds() {
        let plan = given::plan([
            given::created(),
            acknowledging("For now"),
            acknowledging("For good"),
        ]);
        let accepted: Vec<_> = plan.acknowledgements.values().collect();
        assert_eq!(accepted.len(), 1);
        assert_eq!(accepted[0].reason, "For good");
        assert_eq!(accepted[0].revision, 3);
        assert_eq!(accepted[0].until, Some(given::at(99).into()));
    }

    #[test]
    fn notes_are_counted_unless_retracted() {
        let note = || Kind::NoteRecorded(proto::NoteRecorded::default());
        let plan = given::plan([given::created(), note(), note(), given::retracted(2)]);
        assert_eq!(plan.notes, 1);
    }
}
