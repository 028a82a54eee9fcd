//! Rows of the strategies and of the revisions proposed for them.

use super::{
    super::testing::{
        World,
        commands::{
            abandon, add, adopt, assume, attempt, branch, decline, define, fulfil, propose, retire,
            retract, revise, revision, supersede, texts,
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
    [begun(), revised(), proposed(), ended()]
        .into_iter()
        .flatten()
        .collect()
}

fn full() -> World {
    given_plan((0..bounds::STRATEGIES_MAX).map(|n| adopt(&format!("s{n}"))))
}

fn tried() -> World {
    given_plan([adopt("s"), adopt("r"), add("t", "s"), attempt("t")])
}

fn abandoned() -> World {
    given_plan([adopt("s"), adopt("r"), abandon("s")])
}

fn begun() -> Vec<Row> {
    let resting_on = |assumption: &str, indicator: &str| {
        Asked::AdoptStrategy(proto::AdoptStrategy {
            strategy_id: "s".to_owned(),
            intent: "Be known".to_owned(),
            assumption_ids: texts(&["a", assumption]),
            indicator_ids: texts(&["i", indicator]),
            ..Default::default()
        })
    };
    let base = || given_plan([assume("a"), assume("b"), define("i"), define("j")]);
    vec![
        row(base(), resting_on("b", "j"))
            .missing(base(), resting_on("c", "j"), "assumption_ids[1]")
            .missing(base(), resting_on("b", "k"), "indicator_ids[1]")
            .taken(given_plan([adopt("s")]), adopt("s"), "strategy_id")
            .refuses(full(), adopt("more"), Reason::PlanLimit, ""),
        row(given_plan([adopt("s")]), branch("s", "r"))
            .missing(given_plan([]), branch("s", "r"), "from_strategy_id")
            .taken(given_plan([adopt("s")]), branch("s", "s"), "strategy_id")
            .ended(abandoned(), branch("s", "q"), "from_strategy_id")
            .refuses(full(), branch("s0", "more"), Reason::PlanLimit, ""),
    ]
}

fn revised() -> Vec<Row> {
    let base = || given_plan([adopt("s"), adopt("r"), add("t", "s"), add("u", "r")]);
    let with = |change: fn(&mut proto::ReviseStrategy)| {
        let mut command = revision("s", 1, "Be liked");
        change(&mut command);
        Asked::ReviseStrategy(command)
    };
    let retiring = || with(|it| it.retire_tactic_ids = texts(&["t"]));
    let accepting = || with(|it| it.proposal_id = "p".to_owned());
    let resting_on_nothing = with(|it| it.assumption_ids = texts(&["a"]));
    let judged_by_nothing = with(|it| it.indicator_ids = texts(&["i"]));
    let unforced = with(|it| it.unprompted = false);
    let unchanged = revise("s", 1, "Be known");
    vec![
        row(base(), retiring())
            .missing(given_plan([]), retiring(), "strategy_id")
            .missing(base(), resting_on_nothing, "assumption_ids[0]")
            .missing(base(), judged_by_nothing, "indicator_ids[0]")
            .missing(given_plan([adopt("s")]), retiring(), "retire_tactic_ids[0]")
            .missing(base(), accepting(), "proposal_id")
            .refuses(
                base(),
                revise("s", 2, "Be liked"),
                Reason::ParentRevisionConflict,
                "parent_revision",
            )
            .ended(abandoned(), revise("s", 1, "Be liked"), "strategy_id")
            .refuses(
                base(),
                with(|it| it.retire_tactic_ids = texts(&["t", "u"])),
                Reason::OtherStrategy,
                "retire_tactic_ids[1]",
            )
            .ended(
                base().and([retire("t")]),
                retiring(),
                "retire_tactic_ids[0]",
            )
            .busy(tried(), retiring(), "retire_tactic_ids[0]")
            .refuses(
                base().and([propose("p", "r")]),
                accepting(),
                Reason::ProposalNotOpen,
                "proposal_id",
            )
            .refuses(
                base().and([propose("p", "s"), decline("p")]),
                accepting(),
                Reason::ProposalNotOpen,
                "proposal_id",
            )
            .refuses(base(), unforced, Reason::NoTrigger, "unprompted")
            .refuses(base(), unchanged, Reason::NothingChanged, ""),
    ]
}

fn proposed() -> Vec<Row> {
    let open = || given_plan([adopt("s"), propose("p", "s")]);
    vec![
        row(given_plan([adopt("s")]), propose("p", "s"))
            .missing(given_plan([]), propose("p", "s"), "strategy_id")
            .taken(open(), propose("p", "s"), "proposal_id")
            .taken(open().and([retract(3)]), propose("p", "s"), "proposal_id")
            .ended(abandoned(), propose("p", "s"), "strategy_id"),
        row(open(), decline("p"))
            .missing(given_plan([]), decline("p"), "proposal_id")
            .refuses(
                open().and([decline("p")]),
                decline("p"),
                Reason::ProposalNotOpen,
                "proposal_id",
            ),
    ]
}

fn ended() -> Vec<Row> {
    let two = || given_plan([adopt("s"), adopt("r")]);
    vec![
        row(two(), supersede("s", "r"))
            .missing(two(), supersede("q", "r"), "strategy_id")
            .missing(two(), supersede("s", "q"), "by_strategy_id")
            .refuses(two(), supersede("s", "s"), Reason::Cycle, "by_strategy_id")
            .refuses(
                two().and([supersede("s", "r")]),
                supersede("r", "s"),
                Reason::Cycle,
                "by_strategy_id",
            )
            .ended(abandoned(), supersede("s", "r"), "strategy_id")
            .ended(abandoned(), supersede("r", "s"), "by_strategy_id")
            .busy(tried(), supersede("s", "r"), "strategy_id"),
        row(two(), abandon("s"))
            .missing(given_plan([]), abandon("s"), "strategy_id")
            .ended(abandoned(), abandon("s"), "strategy_id")
            .busy(tried(), abandon("s"), "strategy_id"),
        row(two(), fulfil("s"))
            .missing(given_plan([]), fulfil("s"), "strategy_id")
            .ended(abandoned(), fulfil("s"), "strategy_id")
            .busy(tried(), fulfil("s"), "strategy_id"),
    ]
}
