//! Rows of the commitments.

use super::{
    super::testing::{
        BEGIN, World,
        commands::{add, keep, lapse, miss, move_to, promise, reassign, release, retire, retract},
        given_plan,
    },
    Row, row,
};
use crate::{domain::decide::bounds, proto::ErrorReason as Reason};

/// When the promises of these rows are due, in seconds.
const DUE: i64 = BEGIN + 1_000;

pub(super) fn rows() -> Vec<Row> {
    [made(), changed(), closed()]
        .into_iter()
        .flatten()
        .collect()
}

fn none() -> World {
    given_plan([])
}

fn open() -> World {
    given_plan([promise("c", "", DUE)])
}

fn kept() -> World {
    open().and([keep("c")])
}

fn made() -> Vec<Row> {
    let retired = given_plan([add("t", ""), retire("t")]);
    let full = none().and_at_once(
        (0..bounds::OPEN_COMMITMENTS_MAX).map(|n| promise(&format!("c{n}"), "", DUE + 1_000_000)),
    );
    vec![
        row(given_plan([add("t", "")]), promise("c", "t", DUE))
            .missing(none(), promise("c", "t", DUE), "tactic_id")
            .taken(kept(), promise("c", "", DUE), "commitment_id")
            .taken(
                open().and([retract(2)]),
                promise("c", "", DUE),
                "commitment_id",
            )
            .ended(retired, promise("c", "t", DUE), "tactic_id")
            .refuses(
                none().at(DUE),
                promise("c", "", DUE),
                Reason::DueDate,
                "due",
            )
            .refuses(
                full,
                promise("more", "", DUE + 1_000_000),
                Reason::PlanLimit,
                "",
            ),
    ]
}

fn changed() -> Vec<Row> {
    vec![
        row(open(), reassign("c"))
            .missing(none(), reassign("c"), "commitment_id")
            .refuses(
                kept(),
                reassign("c"),
                Reason::CommitmentClosed,
                "commitment_id",
            ),
        row(open(), move_to("c", DUE + 1))
            .missing(none(), move_to("c", DUE), "commitment_id")
            .refuses(
                kept(),
                move_to("c", DUE),
                Reason::CommitmentClosed,
                "commitment_id",
            )
            .refuses(open(), move_to("c", BEGIN), Reason::DueDate, "due"),
        row(open().at(DUE), lapse("c", DUE))
            .missing(none(), lapse("c", DUE), "commitment_id")
            .refuses(
                kept().at(DUE),
                lapse("c", DUE),
                Reason::CommitmentClosed,
                "commitment_id",
            )
            .refuses(open().at(DUE), lapse("c", DUE - 1), Reason::DueDate, "due")
            .refuses(open().at(DUE - 1), lapse("c", DUE), Reason::DueDate, "due")
            .refuses(
                open().at(DUE).and([lapse("c", DUE)]),
                lapse("c", DUE),
                Reason::DueDate,
                "due",
            ),
    ]
}

fn closed() -> Vec<Row> {
    vec![
        row(open(), release("c"))
            .missing(none(), release("c"), "commitment_id")
            .refuses(
                kept(),
                release("c"),
                Reason::CommitmentClosed,
                "commitment_id",
            ),
        row(open().at(DUE).and([lapse("c", DUE)]), keep("c"))
            .missing(none(), keep("c"), "commitment_id")
            .refuses(kept(), keep("c"), Reason::CommitmentClosed, "commitment_id"),
        row(open(), miss("c"))
            .missing(none(), miss("c"), "commitment_id")
            .refuses(
                open().and([miss("c")]),
                miss("c"),
                Reason::CommitmentClosed,
                "commitment_id",
            ),
    ]
}
