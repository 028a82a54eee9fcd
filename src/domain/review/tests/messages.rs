//! Every message that counts something, word for word: of one thing, and of several.

use super::*;

/// On which day which story is looked at, for which code, and what is said.
type Row = (i64, Story, &'static str, &'static str);

#[track_caller]
fn are_said(rows: impl IntoIterator<Item = Row>) {
    for (today, story, code, message) in rows {
        let said: Vec<_> = of_code(&told(today, story), code)
            .into_iter()
            .map(|it| it.message)
            .collect();
        assert_eq!(said, [message]);
    }
}

fn then(later: impl IntoIterator<Item = Kind>) -> Story {
    sound_then(later.into_iter().map(|kind| (1, kind)))
}

fn under_none(later: impl IntoIterator<Item = Kind>) -> Story {
    let later = later.into_iter().map(|kind| (1, kind));
    [(0, given::created())].into_iter().chain(later).collect()
}

#[test]
fn of_assumptions() {
    let without = |id: &str| {
        Kind::TacticAdded(proto::TacticAdded {
            assumption_ids: Vec::new(),
            ..tactic(id, "s")
        })
    };
    are_said([
        (
            1,
            then([tried("a", 1)]),
            "ASM001",
            "Assumption `load` carries the plan and was never tested, though a tactic was tried that \
             rests on it (`a`): look for evidence on either side, and record it with \
             `record_evidence`.",
        ),
        (
            1,
            then([tried("a", 1), tried("b", 1)]),
            "ASM001",
            "Assumption `load` carries the plan and was never tested, though 2 tactics were tried that \
             rest on it (`a` and `b`): look for evidence on either side, and record it with \
             `record_evidence`.",
        ),
        (
            1,
            then([refuted("load")]),
            "ASM002",
            "Assumption `load` was found not to hold on 1970-01-02, and strategy `s` still rests on \
             it: revise that with `revise_strategy` because of revision 8, or reopen the assumption \
             if it was judged wrongly.",
        ),
        (
            1,
            then([Kind::StrategyAdopted(strategy("t")), refuted("load")]),
            "ASM002",
            "Assumption `load` was found not to hold on 1970-01-02, and 2 strategies (`s` and `t`) \
             still rest on it: revise them with `revise_strategy` because of revision 9, or reopen \
             the assumption if it was judged wrongly.",
        ),
        (
            1,
            then([without("c")]),
            "ASM003",
            "Tactic `c` names no assumption: say with `reword_tactic` what has to be true for it to \
             work, so that a failure teaches something.",
        ),
        (
            1,
            then([without("c"), without("d")]),
            "ASM003",
            "2 tactics name no assumption (`c` and `d`): say with `reword_tactic` what has to be true \
             for each to work, so that a failure teaches something.",
        ),
    ]);
}

#[test]
fn of_commitments() {
    let lapsed = |due_day: i64| {
        Kind::DeadlineMissed(proto::DeadlineMissed {
            commitment_id: "c".into(),
            silent: true,
            due: Some(given::at(due_day * DAY_SECONDS)),
            ..proto::DeadlineMissed::default()
        })
    };
    let moved = |due_day: i64, notice: proto::Notice| {
        Kind::DeadlineMoved(proto::DeadlineMoved {
            commitment_id: "c".into(),
            new: Some(given::at(due_day * DAY_SECONDS)),
            notice: notice.into(),
            ..proto::DeadlineMoved::default()
        })
    };
    let early = |due_day| moved(due_day, proto::Notice::BeforeDue);
    let late = |due_day| moved(due_day, proto::Notice::AfterDue);
    let made = |later: &[Kind]| then([promised("c", "", 9)].into_iter().chain(later.to_vec()));
    let held_by = |assignee: &'static str| {
        (1..=8).map(move |number| {
            Kind::CommitmentMade(proto::CommitmentMade {
                commitment_id: format!("{}{number}", assignee.to_lowercase()),
                assignee: assignee.into(),
                promise: "The samples are sent".into(),
                due: Some(given::at(9 * DAY_SECONDS)),
                ..proto::CommitmentMade::default()
            })
        })
    };
    are_said([
        (
            20,
            made(&[lapsed(9), late(30)]),
            "COM001",
            "Commitment `c` of Ada was missed on 1970-01-10, and nobody said so before: ask Ada what \
             has become of it, and keep, move, release or miss it on record.",
        ),
        (
            20,
            made(&[lapsed(9), late(12), lapsed(12)]),
            "COM001",
            "Commitment `c` of Ada was missed on 1970-01-10 and 1970-01-13, and nobody said so before: \
             ask Ada what has become of it, and keep, move, release or miss it on record.",
        ),
        (
            20,
            made(&[late(15)]),
            "COM002",
            "The deadline of commitment `c` of Ada was moved once, when it was due already, to \
             1970-01-16: find out what keeps it from being done, and promise less or release it \
             rather than move it again.",
        ),
        (
            20,
            made(&[early(12), early(15)]),
            "COM002",
            "The deadline of commitment `c` of Ada was moved twice, to 1970-01-16: find out what \
             keeps it from being done, and promise less or release it rather than move it again.",
        ),
        (
            20,
            made(&[early(12), late(15)]),
            "COM002",
            "The deadline of commitment `c` of Ada was moved twice, once when it was due already, to \
             1970-01-16: find out what keeps it from being done, and promise less or release it \
             rather than move it again.",
        ),
        (
            20,
            made(&[late(12), late(15)]),
            "COM002",
            "The deadline of commitment `c` of Ada was moved twice, each time when it was due already, \
             to 1970-01-16: find out what keeps it from being done, and promise less or release it \
             rather than move it again.",
        ),
        (
            2,
            then(held_by("Ada")),
            "COM003",
            "More than 7 commitments of this plan are open for one person (Ada: 8): reassign or \
             release some with `reassign_commitment` or `release_commitment` before they are missed.",
        ),
        (
            2,
            then(held_by("Ada").chain(held_by("Grace"))),
            "COM003",
            "More than 7 commitments of this plan are open for each of 2 people (Ada: 8 and Grace: 8): \
             reassign or release some with `reassign_commitment` or `release_commitment` before they \
             are missed.",
        ),
    ]);
}

#[test]
fn of_the_history() {
    let silent = |number| {
        Kind::TacticTried(proto::TacticTried {
            expected: String::new(),
            ..attempt("a", number)
        })
    };
    are_said([
        (
            1,
            then([silent(1)]),
            "HIS002",
            "1 attempt of tactic `a` began without a word of what was expected, so that its outcome \
             can surprise nobody: say it in `expected` when you try it again.",
        ),
        (
            1,
            then([silent(1), failed("a", 1), silent(2)]),
            "HIS002",
            "2 attempts of tactic `a` began without a word of what was expected, so that their \
             outcomes can surprise nobody: say it in `expected` when you try it again.",
        ),
    ]);
    let late = |count: usize| {
        let moment = told(0, sound());
        let events = moment.events.iter().enumerate().map(|(place, it)| {
            let days = if place < count { 9 } else { 0 };
            let recorded_at = it.occurred_at().plus_seconds(days * DAY_SECONDS);
            Arc::new(Recorded {
                recorded_at,
                ..Recorded::clone(it)
            })
        });
        only(&recorded_moment(Time::default(), events), "HIS001").message
    };
    let rest = "recorded more than 7 days after occurring: record what happens while it is fresh, or \
                acknowledge this if the history was imported.";
    assert_eq!(late(1), format!("1 event was {rest}"));
    assert_eq!(late(2), format!("2 events were {rest}"));
}

#[test]
fn of_strategies() {
    are_said([
        (
            1,
            then([tried("a", 1), failed("a", 1), retired("b")]),
            "STR004",
            "The only tactic of strategy `s` (`a`) can no longer be tried: revise the strategy with \
             `revise_strategy`, because of the events that closed it.",
        ),
        (
            1,
            then([tried("a", 1), failed("a", 1), tried("b", 1), failed("b", 1)]),
            "STR004",
            "None of the 2 tactics of strategy `s` can be tried any more: revise the strategy with \
             `revise_strategy`, because of the events that closed them.",
        ),
        (
            1,
            under_none([added("a", "")]),
            "STR010",
            "The plan has 1 tactic (`a`) but no strategy that says what it is for, or what comes after \
             it: adopt one with `adopt_strategy`, and group the tactic there with `regroup_tactic`.",
        ),
        (
            1,
            under_none([added("a", ""), added("b", "")]),
            "STR010",
            "The plan has 2 tactics (`a` and `b`) but no strategy that says which comes next, or what \
             they have in common: adopt one with `adopt_strategy`, and put them under it with \
             `regroup_tactic`.",
        ),
    ]);
}

#[test]
fn of_roulette() {
    let fails = |id: &str| [added(id, ""), tried(id, 1), failed(id, 1)];
    let adopting = |id: &str| Kind::StrategyAdopted(strategy(id));
    let three = || ["x", "y", "z"].map(fails).concat();
    are_said([
        (
            1,
            under_none(three()),
            "TAC001",
            "3 tactics under no strategy failed one after another (`x`, `y` and `z`, the last on \
             1970-01-02), each added after the one before had failed: stop trying, and adopt a \
             strategy to say what these tactics have taught and which come next.",
        ),
        (
            1,
            under_none([adopting("s")].into_iter().chain(three())),
            "TAC001",
            "Since the strategy last changed 3 tactics under no strategy failed one after another (`x`, \
             `y` and `z`, the last on 1970-01-02), each added after the one before had failed: stop \
             trying, and revise strategy `s` to say what these tactics have taught and which come \
             next.",
        ),
        (
            1,
            under_none([adopting("s"), adopting("t")].into_iter().chain(three())),
            "TAC001",
            "Since the strategies last changed 3 tactics under no strategy failed one after another \
             (`x`, `y` and `z`, the last on 1970-01-02), each added after the one before had failed: \
             stop trying, and revise a strategy (`s` and `t`) to say what these tactics have taught \
             and which come next.",
        ),
    ]);
}

#[test]
fn of_tactics() {
    let after = |ids: &[&str]| {
        let waiting = proto::TacticAdded {
            after_tactic_ids: ids.iter().map(|&id| id.into()).collect(),
            ..tactic("c", "s")
        };
        [Kind::TacticAdded(waiting), tried("c", 1)]
    };
    let unlinked = Kind::TacticReworded(proto::TacticReworded {
        tactic_id: "c".into(),
        statement: "Send samples".into(),
        assumption_ids: vec!["load".into()],
        ..proto::TacticReworded::default()
    });
    let looked_at = Kind::TacticTried(proto::TacticTried {
        stop_rule: Some(StopRule {
            by: Some(given::at(2 * DAY_SECONDS - 60)),
            ..StopRule::default()
        }),
        ..attempt("a", 1)
    });
    are_said([
        (
            2,
            then([looked_at]),
            "TAC004",
            "Attempt 1 of tactic `a` was to be looked at by 1970-01-02, less than a day ago, and is \
             still open: end it with `fail_tactic`, `succeed_tactic` or `stop_tactic`.",
        ),
        (
            1,
            then(after(&["a"])),
            "TAC007",
            "Tactic `c` was tried once before `a`, which it is to come after, had succeeded: wait for \
             that before the next attempt, or reword `c` if it does not depend on it.",
        ),
        (
            1,
            then(after(&["a", "b"])),
            "TAC007",
            "Tactic `c` was tried once before all that it is to come after (`a` and `b`) had succeeded: \
             wait for these before the next attempt, or reword `c` if it does not depend on them.",
        ),
        (
            1,
            then(after(&["a"]).into_iter().chain([unlinked])),
            "TAC007",
            "Tactic `c` was tried once before what it was then to come after had succeeded: reword `c` \
             before the next attempt if it still depends on that.",
        ),
    ]);
}
