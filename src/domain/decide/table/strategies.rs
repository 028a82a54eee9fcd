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
            .refuses(
                base(),
                resting_on("c", "j"),
                Reason::SubjectNotFound,
                "assumption_ids[1]",
            )
            .refuses(
                base(),
                resting_on("b", "k"),
                Reason::SubjectNotFound,
                "indicator_ids[1]",
            )
            .refuses(
                given_plan([adopt("s")]),
                adopt("s"),
                Reason::IdTaken,
                "strategy_id",
            )
            .refuses(full(), adopt("more"), Reason::PlanLimit, ""),
        row(given_plan([adopt("s")]), branch("s", "r"))
            .refuses(
                given_plan([]),
                branch("s", "r"),
                Reason::SubjectNotFound,
                "from_strategy_id",
            )
            .refuses(
                given_plan([adopt("s")]),
                branch("s", "s"),
                Reason::IdTaken,
                "strategy_id",
            )
            .refuses(
                abandoned(),
                branch("s", "q"),
                Reason::NotLive,
                "from_strategy_id",
            )
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
    vec![
        row(base(), retiring())
            .refuses(
                given_plan([]),
                retiring(),
                Reason::SubjectNotFound,
                "strategy_id",
            )
            .refuses(
                base(),
                resting_on_nothing,
                Reason::SubjectNotFound,
                "assumption_ids[0]",
            )
            .refuses(
                base(),
                judged_by_nothing,
                Reason::SubjectNotFound,
                "indicator_ids[0]",
            )
            .refuses(
                given_plan([adopt("s")]),
                retiring(),
                Reason::SubjectNotFound,
                "retire_tactic_ids[0]",
            )
            .refuses(base(), accepting(), Reason::SubjectNotFound, "proposal_id")
            .refuses(
                base(),
                revise("s", 2, "Be liked"),
                Reason::ParentRevisionConflict,
                "parent_revision",
            )
            .refuses(
                abandoned(),
                revise("s", 1, "Be liked"),
                Reason::NotLive,
                "strategy_id",
            )
            .refuses(
                base(),
                with(|it| it.retire_tactic_ids = texts(&["t", "u"])),
                Reason::OtherStrategy,
                "retire_tactic_ids[1]",
            )
            .refuses(
                base().and([retire("t")]),
                retiring(),
                Reason::NotLive,
                "retire_tactic_ids[0]",
            )
            .refuses(
                tried(),
                retiring(),
                Reason::AttemptOpen,
                "retire_tactic_ids[0]",
            )
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
            .refuses(
                base(),
                with(|it| it.unprompted = false),
                Reason::NoTrigger,
                "unprompted",
            )
            .refuses(
                base(),
                revise("s", 1, "Be known"),
                Reason::NothingChanged,
                "",
            ),
    ]
}

fn proposed() -> Vec<Row> {
    let open = || given_plan([adopt("s"), propose("p", "s")]);
    vec![
        row(given_plan([adopt("s")]), propose("p", "s"))
            .refuses(
                given_plan([]),
                propose("p", "s"),
                Reason::SubjectNotFound,
                "strategy_id",
            )
            .refuses(open(), propose("p", "s"), Reason::IdTaken, "proposal_id")
            .refuses(
                open().and([retract(3)]),
                propose("p", "s"),
                Reason::IdTaken,
                "proposal_id",
            )
            .refuses(
                abandoned(),
                propose("p", "s"),
                Reason::NotLive,
                "strategy_id",
            ),
        row(open(), decline("p"))
            .refuses(
                given_plan([]),
                decline("p"),
                Reason::SubjectNotFound,
                "proposal_id",
            )
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
            .refuses(
                two(),
                supersede("q", "r"),
                Reason::SubjectNotFound,
                "strategy_id",
            )
            .refuses(
                two(),
                supersede("s", "q"),
                Reason::SubjectNotFound,
                "by_strategy_id",
            )
            .refuses(two(), supersede("s", "s"), Reason::Cycle, "by_strategy_id")
            .refuses(
                two().and([supersede("s", "r")]),
                supersede("r", "s"),
                Reason::Cycle,
                "by_strategy_id",
            )
            .refuses(
                abandoned(),
                supersede("s", "r"),
                Reason::NotLive,
                "strategy_id",
            )
            .refuses(
                abandoned(),
                supersede("r", "s"),
                Reason::NotLive,
                "by_strategy_id",
            )
            .refuses(
                tried(),
                supersede("s", "r"),
                Reason::AttemptOpen,
                "strategy_id",
            ),
        row(two(), abandon("s"))
            .refuses(
                given_plan([]),
                abandon("s"),
                Reason::SubjectNotFound,
                "strategy_id",
            )
            .refuses(abandoned(), abandon("s"), Reason::NotLive, "strategy_id")
            .refuses(tried(), abandon("s"), Reason::AttemptOpen, "strategy_id"),
        row(two(), fulfil("s"))
            .refuses(
                given_plan([]),
                fulfil("s"),
                Reason::SubjectNotFound,
                "strategy_id",
            )
            .refuses(abandoned(), fulfil("s"), Reason::NotLive, "strategy_id")
            .refuses(tried(), fulfil("s"), Reason::AttemptOpen, "strategy_id"),
    ]
}
