//! Rows of the tactics and of the attempts of them.

use super::{
    super::testing::{
        World,
        commands::{
            abandon, add, add_after, adopt, attempt, fail, fail_suspecting, rank, regroup, retire,
            reword, stop, succeed, tactic, texts,
        },
        given_plan,
    },
    Row, row,
};
use crate::{
    domain::decide::bounds,
    proto::{self, ErrorReason as Reason, command::Kind as Asked},
};

pub(super) fn rows() -> Vec<Row> {
    [options(), order(), attempts()]
        .into_iter()
        .flatten()
        .collect()
}

fn one() -> World {
    given_plan([adopt("s"), add("t", "s")])
}

fn tried() -> World {
    one().and([attempt("t")])
}

fn retired() -> World {
    one().and([retire("t")])
}

fn options() -> Vec<Row> {
    let resting_on_nothing = Asked::AddTactic(proto::AddTactic {
        assumption_ids: texts(&["a"]),
        ..tactic("u", "s")
    });
    let reworded_on_nothing = Asked::RewordTactic(proto::RewordTactic {
        tactic_id: "t".to_owned(),
        assumption_ids: texts(&["a"]),
        ..Default::default()
    });
    let full =
        given_plan([]).and_at_once((0..bounds::TACTICS_MAX).map(|n| add(&format!("t{n}"), "")));
    let chain = || given_plan([add("t", ""), add_after("u", &["t"]), add_after("v", &["u"])]);
    let ended = || given_plan([adopt("s"), abandon("s"), add("t", "")]);
    vec![
        row(one(), add("u", "s"))
            .missing(one(), add("u", "r"), "strategy_id")
            .missing(one(), resting_on_nothing, "assumption_ids[0]")
            .missing(one(), add_after("u", &["t", "v"]), "after_tactic_ids[1]")
            .taken(one(), add("t", "s"), "tactic_id")
            .ended(ended(), add("u", "s"), "strategy_id")
            .refuses(
                one(),
                add_after("u", &["u"]),
                Reason::Cycle,
                "after_tactic_ids",
            )
            .refuses(full, add("more", ""), Reason::PlanLimit, ""),
        row(chain(), reword("v", &["t"]))
            .missing(one(), reword("u", &[]), "tactic_id")
            .missing(one(), reworded_on_nothing, "assumption_ids[0]")
            .missing(one(), reword("t", &["v"]), "after_tactic_ids[0]")
            .ended(retired(), reword("t", &[]), "tactic_id")
            .busy(tried(), reword("t", &[]), "tactic_id")
            .refuses(
                chain(),
                reword("t", &["t"]),
                Reason::Cycle,
                "after_tactic_ids",
            )
            .refuses(
                chain(),
                reword("t", &["v"]),
                Reason::Cycle,
                "after_tactic_ids",
            ),
        row(one().and([adopt("r")]), regroup("t", "r"))
            .missing(one(), regroup("u", "s"), "tactic_id")
            .missing(one(), regroup("t", "r"), "strategy_id")
            .ended(retired(), regroup("t", "s"), "tactic_id")
            .busy(tried(), regroup("t", ""), "tactic_id")
            .ended(ended(), regroup("t", "s"), "strategy_id"),
        row(one(), retire("t"))
            .missing(one(), retire("u"), "tactic_id")
            .ended(retired(), retire("t"), "tactic_id")
            .busy(tried(), retire("t"), "tactic_id"),
    ]
}

fn order() -> Vec<Row> {
    let three = || one().and([add("u", "s"), add("v", "s"), retire("v"), add("w", "")]);
    let unordered = |ids: &[&str]| rank("s", ids);
    vec![
        row(three(), unordered(&["u", "t"]))
            .missing(given_plan([]), unordered(&[]), "strategy_id")
            .missing(three(), unordered(&["u", "x"]), "tactic_ids[1]")
            .ended(one().and([abandon("s")]), unordered(&["t"]), "strategy_id")
            .refuses(
                three(),
                unordered(&["t"]),
                Reason::NotAPermutation,
                "tactic_ids",
            )
            .refuses(
                three(),
                unordered(&["t", "u", "u"]),
                Reason::NotAPermutation,
                "tactic_ids",
            )
            .refuses(
                three(),
                unordered(&["t", "u", "v"]),
                Reason::NotAPermutation,
                "tactic_ids",
            )
            .refuses(
                three(),
                unordered(&["t", "u", "w"]),
                Reason::NotAPermutation,
                "tactic_ids",
            ),
    ]
}

fn attempts() -> Vec<Row> {
    let many = (0..bounds::ATTEMPTS_PER_TACTIC_MAX).flat_map(|_| [attempt("t"), fail("t")]);
    let suspecting = || fail_suspecting("t", &["a"]);
    vec![
        row(one(), attempt("t"))
            .missing(one(), attempt("u"), "tactic_id")
            .ended(retired(), attempt("t"), "tactic_id")
            .ended(one().and([abandon("s")]), attempt("t"), "tactic_id")
            .busy(tried(), attempt("t"), "tactic_id")
            .refuses(one().and_at_once(many), attempt("t"), Reason::PlanLimit, ""),
        row(tried(), fail("t"))
            .missing(one(), fail("u"), "tactic_id")
            .missing(tried(), suspecting(), "suspected_assumption_ids[0]")
            .refuses(one(), fail("t"), Reason::NoOpenAttempt, "tactic_id")
            .refuses(
                tried().and([fail("t")]),
                fail("t"),
                Reason::NoOpenAttempt,
                "tactic_id",
            ),
        row(tried(), succeed("t"))
            .missing(one(), succeed("u"), "tactic_id")
            .refuses(one(), succeed("t"), Reason::NoOpenAttempt, "tactic_id"),
        row(tried(), stop("t"))
            .missing(one(), stop("u"), "tactic_id")
            .refuses(one(), stop("t"), Reason::NoOpenAttempt, "tactic_id"),
    ]
}
