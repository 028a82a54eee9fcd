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
