//! Rows of the plan as a whole, its objective, its indicators and its assumptions.

use super::{
    super::testing::{
        commands::{
            add, archive, archive_for, assume, attempt, conclude, create, define, describe,
            evidence, measure, measure_in, objective, objective_met, promise, reopen,
            reopen_assumption, replace, retire_indicator, retract,
        },
        given, given_plan,
    },
    Row, row,
};
use crate::{
    domain::decide::bounds,
    proto::{Conclusion, ErrorReason as Reason, Verdict},
};

pub(super) fn rows() -> Vec<Row> {
    [plan(), objective_rows(), indicators(), assumptions()]
        .into_iter()
        .flatten()
        .collect()
}

fn plan() -> Vec<Row> {
    vec![
        row(given([]), create()),
        row(given_plan([]), describe("Growth 2")),
        row(given_plan([]), archive_for("retreat"))
            .refuses(
                given_plan([]),
                archive_for("nowhere"),
                Reason::PlanNotFound,
                "successor_plan_id",
            )
            .refuses(
                given_plan([]),
                archive_for("growth"),
                Reason::PlanNotFound,
                "successor_plan_id",
            )
            .busy(given_plan([add("t", ""), attempt("t")]), archive(), "")
            .refuses(
                given_plan([promise("c", "", 2_000_000)]),
                archive(),
                Reason::CommitmentOpen,
                "",
            ),
        row(given_plan([archive()]), reopen()).refuses(
            given_plan([]),
            reopen(),
            Reason::PlanNotArchived,
            "",
        ),
    ]
}

fn objective_rows() -> Vec<Row> {
    vec![
        row(given_plan([objective("")]), objective("grown")).refuses(
            given_plan([objective("")]),
            objective(" "),
            Reason::ReasonRequired,
            "reason",
        ),
        row(given_plan([objective("")]), objective_met()).refuses(
            given_plan([]),
            objective_met(),
            Reason::NoObjective,
            "",
        ),
    ]
}

fn indicators() -> Vec<Row> {
    let full = || given_plan((0..bounds::INDICATORS_MAX).map(|n| define(&format!("i{n}"))));
    let retired = || given_plan([define("i"), retire_indicator("i")]);
    vec![
        row(given_plan([]), define("i"))
            .taken(given_plan([define("i")]), define("i"), "indicator_id")
            .refuses(full(), define("more"), Reason::PlanLimit, ""),
        row(given_plan([define("i")]), replace("i", "j"))
            .missing(given_plan([]), replace("i", "j"), "old_indicator_id")
            .taken(given_plan([define("i")]), replace("i", "i"), "indicator_id")
            .ended(retired(), replace("i", "j"), "old_indicator_id")
            .refuses(full(), replace("i0", "more"), Reason::PlanLimit, ""),
        row(given_plan([define("i")]), retire_indicator("i"))
            .missing(given_plan([]), retire_indicator("i"), "indicator_id")
            .ended(retired(), retire_indicator("i"), "indicator_id"),
        row(given_plan([define("i")]), measure("i", 1.0))
            .missing(given_plan([]), measure("i", 1.0), "indicator_id")
            .ended(retired(), measure("i", 1.0), "indicator_id")
            .refuses(
                given_plan([define("i")]),
                measure_in("i", 1.0, "EUR"),
                Reason::UnitMismatch,
                "unit",
            ),
    ]
}

fn assumptions() -> Vec<Row> {
    let full = || given_plan((0..bounds::ASSUMPTIONS_MAX).map(|n| assume(&format!("a{n}"))));
    let evidenced = || given_plan([assume("a"), evidence("e", "a", Verdict::Refutes)]);
    let concluded = || evidenced().and([conclude("a", Conclusion::Refuted)]);
    let next = |id: &str| evidence(id, "a", Verdict::Supports);
    let much = || {
        let pieces = (0..bounds::EVIDENCE_MAX).map(|n| next(&format!("e{n}")));
        given_plan([assume("a")]).and_at_once(pieces)
    };
    let (refuted, supported) = (Conclusion::Refuted, Conclusion::Supported);
    vec![
        row(given_plan([]), assume("a"))
            .taken(given_plan([assume("a")]), assume("a"), "assumption_id")
            .refuses(full(), assume("more"), Reason::PlanLimit, ""),
        row(given_plan([assume("a")]), next("e"))
            .missing(given_plan([]), next("e"), "assumption_id")
            .taken(evidenced(), next("e"), "evidence_id")
            .taken(evidenced().and([retract(3)]), next("e"), "evidence_id")
            .refuses(much(), next("more"), Reason::PlanLimit, ""),
        row(evidenced(), conclude("a", refuted))
            .missing(given_plan([]), conclude("a", refuted), "assumption_id")
            .refuses(
                evidenced(),
                conclude("a", supported),
                Reason::NoEvidence,
                "conclusion",
            )
            .refuses(
                evidenced().and([retract(3)]),
                conclude("a", refuted),
                Reason::NoEvidence,
                "conclusion",
            )
            .refuses(
                concluded(),
                conclude("a", refuted),
                Reason::AlreadyConcluded,
                "assumption_id",
            ),
        row(concluded(), reopen_assumption("a"))
            .missing(given_plan([]), reopen_assumption("a"), "assumption_id")
            .refuses(
                evidenced(),
                reopen_assumption("a"),
                Reason::NotConcluded,
                "assumption_id",
            ),
    ]
}
