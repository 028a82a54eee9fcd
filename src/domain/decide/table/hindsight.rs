//! Rows of corrections, retractions, findings and notes.

use super::{
    super::testing::{
        commands::{acknowledge, adopt, correct, note, objective, promise, release, retract},
        given_plan,
    },
    Row, row,
};
use crate::{
    domain::decide::bounds,
    proto::{self, ErrorReason as Reason, event::Kind},
};

pub(super) fn rows() -> Vec<Row> {
    amendments().into_iter().chain(remarks()).collect()
}

fn amendments() -> Vec<Row> {
    let created = || {
        Kind::PlanCreated(proto::PlanCreated {
            title: "Growing".to_owned(),
            ..Default::default()
        })
    };
    let reopened = Kind::PlanReopened(proto::PlanReopened::default());
    let promised = || given_plan([promise("c", "", 2_000_000)]);
    let many = (0..bounds::OPEN_COMMITMENTS_MAX).map(|n| promise(&format!("c{n}"), "", 2_000_000));
    let full = promised().and([release("c")]).and_at_once(many);
    vec![
        row(given_plan([]), correct(1, created()))
            .refuses(
                given_plan([]),
                correct(0, created()),
                Reason::RevisionNotFound,
                "revision",
            )
            .refuses(
                given_plan([]),
                correct(2, created()),
                Reason::RevisionNotFound,
                "revision",
            )
            .refuses(
                given_plan([]),
                correct(1, reopened),
                Reason::NotCorrectable,
                "replacement",
            )
            .refuses(
                given_plan([correct(1, created())]),
                correct(2, created()),
                Reason::NotCorrectable,
                "revision",
            ),
        row(given_plan([note("plan")]), retract(2))
            .refuses(
                given_plan([]),
                retract(2),
                Reason::RevisionNotFound,
                "revision",
            )
            .refuses(
                given_plan([]),
                retract(1),
                Reason::NotCorrectable,
                "revision",
            )
            .refuses(
                given_plan([note("plan"), retract(2)]),
                retract(2),
                Reason::NotCorrectable,
                "revision",
            )
            .refuses(full, retract(3), Reason::PlanLimit, ""),
    ]
}

fn remarks() -> Vec<Row> {
    let gone = given_plan([promise("c", "", 2_000_000), retract(2)]);
    vec![
        row(given_plan([adopt("s")]), acknowledge("strategies/s"))
            .missing(given_plan([]), acknowledge("objective"), "subject")
            .missing(given_plan([]), acknowledge("strategies/s"), "subject"),
        row(given_plan([objective("")]), note("objective"))
            .missing(given_plan([]), note("objective"), "subject")
            .missing(given_plan([]), note("tactics/t"), "subject")
            .missing(given_plan([]), note("assumptions/a"), "subject")
            .missing(given_plan([]), note("indicators/i"), "subject")
            .missing(gone, note("commitments/c"), "subject")
            .missing(given_plan([]), note("moods/m"), "subject"),
    ]
}
