//! What a chance comes from, and which assumptions lower it.

use super::*;

#[test]
fn the_chance_weighs_attempts_by_how_near_they_are() {
    let later = [
        tactic("c", "s", 3, "mail", None),
        tactic("d", "other", 1, "mail", None),
        tactic("e", "", 1, "call", None),
        given::tried("c", 1),
        given::succeeded("c", 1),
        given::tried("c", 2),
        given::failed("c", 2, Failure::Effect),
        given::tried("d", 1),
        given::failed("d", 1, Failure::Effect),
        given::tried("e", 1),
        given::failed("e", 1, Failure::Effect),
    ];
    let elsewhere = |kind: &str| Tally {
        successes: if kind == "mail" { 3 } else { 0 },
        precondition_failures: 7,
        ..Tally::default()
    };
    let moment = moment(later);
    let suggestion = suggested_by(Policy::Ranked, &moment, &elsewhere);
    let a = option(&suggestion, "a");
    // 1 here and 3 elsewhere; 1 here and 1 under the other strategy.
    assert_eq!((a.successes, a.effect_failures), (1.75, 1.5));
    let m = (1.0 + 4.0) / (3.0 + 6.0);
    is_exactly(a.success_probability, (3.0 * m + 1.75) / (3.0 + 3.25));
    assert_eq!(a.cost, Some(2.0));
    assert_eq!(a.index, Some(a.success_probability / 2.0));
    // Nothing of its kind but a failure under no strategy.
    let b = option(&suggestion, "b");
    assert_eq!((b.successes, b.effect_failures), (0.0, 0.5));
    is_exactly(b.success_probability, (3.0 * (1.0 / 4.0)) / 3.5);
    let c = option(&suggestion, "c");
    is_exactly(c.success_probability, a.success_probability);
    assert_eq!((c.cost, c.index), (None, None));
    let revisions: Vec<_> = c.outcomes.iter().map(|it| it.revision).collect();
    assert_eq!(revisions, [12, 14]);
}

#[test]
fn a_tactic_without_a_kind_is_like_no_other() {
    let later = [
        tactic("c", "s", 3, "", None),
        tactic("d", "s", 4, "", None),
        given::tried("d", 1),
        given::succeeded("d", 1),
    ];
    let elsewhere = |_: &str| Tally {
        successes: 100,
        ..Tally::default()
    };
    let suggestion = suggested_by(Policy::Ranked, &moment(later), &elsewhere);
    let (c, d) = (option(&suggestion, "c"), option(&suggestion, "d"));
    assert_eq!((c.successes, c.success_probability), (0.0, 1.0 / 3.0));
    assert_eq!((d.successes, d.success_probability), (1.0, 2.0 / 4.0));
}

/// The factors of the doubts about `a`, and the revisions behind each.
fn doubts(later: impl IntoIterator<Item = Kind>) -> Vec<(String, Doubt, f64, Vec<u64>)> {
    let plain = option(&suggested([]), "a").success_probability;
    let option = option(&suggested(later), "a");
    let factors: f64 = option.doubts.iter().map(|it| it.factor).product();
    is_exactly(option.success_probability, plain * factors);
    let told = option.doubts.iter().map(|it| {
        let revisions = it.events.iter().map(|event| event.revision).collect();
        (it.assumption_id.clone(), it.doubt(), it.factor, revisions)
    });
    told.collect()
}

#[test]
fn a_suspected_assumption_halves_the_chance_of_those_that_name_it() {
    let suspected =
        |revisions: &[u64]| [("load".to_owned(), Doubt::Suspected, 0.5, revisions.to_vec())];
    let begun = [
        resting_on(&["detail", "load"], &[]),
        given::tried("b", 1),
        suspecting("b", 1, "load"),
    ];
    let then = |later: &[Kind]| doubts(begun.iter().cloned().chain(later.iter().cloned()));
    assert_eq!(then(&[]), suspected(&[10]));
    let again = [given::tried("b", 2), suspecting("b", 2, "load")];
    assert_eq!(then(&again), suspected(&[10, 12]), "once, however often");
    assert_eq!(then(&[supported("load")]), [], "settled");
    let reopening = [supported("load"), reopened("load")];
    assert_eq!(then(&reopening), suspected(&[10]), "no longer settled");
    let since = [
        supported("load"),
        given::tried("b", 2),
        suspecting("b", 2, "load"),
    ];
    assert_eq!(
        then(&since),
        suspected(&[13]),
        "only what came after the conclusion"
    );
    assert_eq!(then(&[given::retracted(10)]), [], "it never happened");
    let unnamed = [given::tried("b", 1), suspecting("b", 1, "load")];
    assert_eq!(doubts(unnamed), [], "`a` does not rest on it");
}

#[test]
fn a_refuted_assumption_quarters_the_chance_unless_it_is_load_bearing() {
    let resting = resting_on(&["detail", "load"], &[]);
    let quartered = [("detail".to_owned(), Doubt::Refuted, 0.25, vec![9])];
    assert_eq!(doubts([resting.clone(), refuted("detail")]), quartered);
    let suspected_too = [
        resting.clone(),
        refuted("detail"),
        given::tried("b", 1),
        suspecting("b", 1, "detail"),
    ];
    assert_eq!(doubts(suspected_too), quartered, "not both");
    assert_eq!(
        doubts([resting, refuted("load")]),
        [],
        "an obstacle, and no doubt"
    );
}
