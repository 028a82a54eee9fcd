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
            .refuses(one(), add("u", "r"), Reason::SubjectNotFound, "strategy_id")
            .refuses(
                one(),
                resting_on_nothing,
                Reason::SubjectNotFound,
                "assumption_ids[0]",
            )
            .refuses(
                one(),
                add_after("u", &["t", "v"]),
                Reason::SubjectNotFound,
                "after_tactic_ids[1]",
            )
            .refuses(one(), add("t", "s"), Reason::IdTaken, "tactic_id")
            .refuses(ended(), add("u", "s"), Reason::NotLive, "strategy_id")
            .refuses(
                one(),
                add_after("u", &["u"]),
                Reason::Cycle,
                "after_tactic_ids",
            )
            .refuses(full, add("more", ""), Reason::PlanLimit, ""),
        row(chain(), reword("v", &["t"]))
            .refuses(
                one(),
                reword("u", &[]),
                Reason::SubjectNotFound,
                "tactic_id",
            )
            .refuses(
                one(),
                reworded_on_nothing,
                Reason::SubjectNotFound,
                "assumption_ids[0]",
            )
            .refuses(
                one(),
                reword("t", &["v"]),
                Reason::SubjectNotFound,
                "after_tactic_ids[0]",
            )
            .refuses(retired(), reword("t", &[]), Reason::NotLive, "tactic_id")
            .refuses(tried(), reword("t", &[]), Reason::AttemptOpen, "tactic_id")
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
            .refuses(
                one(),
                regroup("u", "s"),
                Reason::SubjectNotFound,
                "tactic_id",
            )
            .refuses(
                one(),
                regroup("t", "r"),
                Reason::SubjectNotFound,
                "strategy_id",
            )
            .refuses(retired(), regroup("t", "s"), Reason::NotLive, "tactic_id")
            .refuses(tried(), regroup("t", ""), Reason::AttemptOpen, "tactic_id")
            .refuses(ended(), regroup("t", "s"), Reason::NotLive, "strategy_id"),
        row(one(), retire("t"))
            .refuses(one(), retire("u"), Reason::SubjectNotFound, "tactic_id")
            .refuses(retired(), retire("t"), Reason::NotLive, "tactic_id")
            .refuses(tried(), retire("t"), Reason::AttemptOpen, "tactic_id"),
    ]
}

fn order() -> Vec<Row> {
    let three = || one().and([add("u", "s"), add("v", "s"), retire("v"), add("w", "")]);
    let unordered = |ids: &[&str]| rank("s", ids);
    vec![
        row(three(), unordered(&["u", "t"]))
            .refuses(
                given_plan([]),
                unordered(&[]),
                Reason::SubjectNotFound,
                "strategy_id",
            )
            .refuses(
                three(),
                unordered(&["u", "x"]),
                Reason::SubjectNotFound,
                "tactic_ids[1]",
            )
            .refuses(
                one().and([abandon("s")]),
                unordered(&["t"]),
                Reason::NotLive,
                "strategy_id",
            )
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
            .refuses(one(), attempt("u"), Reason::SubjectNotFound, "tactic_id")
            .refuses(retired(), attempt("t"), Reason::NotLive, "tactic_id")
            .refuses(
                one().and([abandon("s")]),
                attempt("t"),
                Reason::NotLive,
                "tactic_id",
            )
            .refuses(tried(), attempt("t"), Reason::AttemptOpen, "tactic_id")
            .refuses(one().and_at_once(many), attempt("t"), Reason::PlanLimit, ""),
        row(tried(), fail("t"))
            .refuses(one(), fail("u"), Reason::SubjectNotFound, "tactic_id")
            .refuses(
                tried(),
                suspecting(),
                Reason::SubjectNotFound,
                "suspected_assumption_ids[0]",
            )
            .refuses(one(), fail("t"), Reason::NoOpenAttempt, "tactic_id")
            .refuses(
                tried().and([fail("t")]),
                fail("t"),
                Reason::NoOpenAttempt,
                "tactic_id",
            ),
        row(tried(), succeed("t"))
            .refuses(one(), succeed("u"), Reason::SubjectNotFound, "tactic_id")
            .refuses(one(), succeed("t"), Reason::NoOpenAttempt, "tactic_id"),
        row(tried(), stop("t"))
            .refuses(one(), stop("u"), Reason::SubjectNotFound, "tactic_id")
            .refuses(one(), stop("t"), Reason::NoOpenAttempt, "tactic_id"),
    ]
}
