//! The founding examples of the domain, imported by the real command: what comes next when the first
//! tactic has failed, what the review says then, and what it says when nothing is left to try.

use std::{path::Path, process::Command};

use strata::proto::{
    Finding, FindingLevel, Obstacle, Point, ReviewPlanRequest, SuggestTacticRequest,
    SuggestionVerdict, TacticSuggestion, point,
};
use tempfile::{TempDir, tempdir};

use crate::daemon::Daemon;

/// A daemon that has imported one example.
async fn with_example(plan_id: &str, dir: &TempDir) -> Daemon {
    let daemon = Daemon::start(dir.path()).await;
    let file = format!("tests/fixtures/founding/{plan_id}.jsonl");
    let imported = Command::new(env!("CARGO_BIN_EXE_stratad"))
        .arg("import")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .args(["--to", &daemon.url()])
        .output()
        .expect("stratad runs");
    let said = String::from_utf8_lossy(&imported.stdout);
    assert!(imported.status.success(), "{imported:?}");
    assert!(said.contains(" 0 refused"), "{said}");
    daemon
}

fn revision(revision: u64) -> Point {
    let point = Some(point::Point::Revision(revision));
    Point { point }
}

async fn suggestions(daemon: &Daemon, plan_id: &str, at: u64) -> Vec<TacticSuggestion> {
    let asked = SuggestTacticRequest {
        plan_id: plan_id.into(),
        as_of: Some(revision(at)),
        ..SuggestTacticRequest::default()
    };
    let answer = daemon.advice().suggest_tactic(asked).await;
    answer.expect("answered").into_inner().suggestions
}

async fn suggestion(daemon: &Daemon, plan_id: &str, at: u64) -> TacticSuggestion {
    let mut suggestions = suggestions(daemon, plan_id, at).await;
    assert_eq!(suggestions.len(), 1, "{suggestions:?}");
    suggestions.remove(0)
}

async fn findings(daemon: &Daemon, plan_id: &str, at: u64) -> Vec<Finding> {
    let asked = ReviewPlanRequest {
        plan_id: plan_id.into(),
        as_of: Some(revision(at)),
        ..ReviewPlanRequest::default()
    };
    let answer = daemon.advice().review_plan(asked).await;
    let answer = answer.expect("answered").into_inner();
    answer.decode_findings().expect("findings")
}

/// Code and subject of each finding, but for that of the late record: every import has it.
async fn found(daemon: &Daemon, plan_id: &str, at: u64) -> Vec<(String, String)> {
    let findings = findings(daemon, plan_id, at).await;
    assert!(findings.iter().any(|finding| finding.code == "HIS001"));
    let others = findings.into_iter().filter(|it| it.code != "HIS001");
    others
        .map(|finding| (finding.code, finding.subject))
        .collect()
}

fn named(found: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(code, subject): &(&str, &str)| ((*code).to_owned(), (*subject).to_owned());
    found.iter().map(owned).collect()
}

/// Verdict and tactic of a suggestion.
fn told(suggestion: &TacticSuggestion) -> (SuggestionVerdict, &str) {
    (suggestion.verdict(), &suggestion.tactic_id)
}

/// The tactics that gave out, in the order of their ranks, each with what speaks against it.
fn closed(suggestion: &TacticSuggestion) -> Vec<(&str, Vec<Obstacle>)> {
    let obstacles = |option: &'_ strata::proto::TacticOption| {
        option
            .obstacles
            .iter()
            .map(strata::proto::OptionObstacle::obstacle)
            .collect()
    };
    let closed = suggestion.options.iter().filter(|option| !option.eligible);
    closed
        .map(|option| (option.tactic_id.as_str(), obstacles(option)))
        .collect()
}

const EXHAUSTED: (SuggestionVerdict, &str) = (SuggestionVerdict::StrategyExhausted, "");

#[tokio::test]
async fn advocates_are_invited_when_samples_fail_and_the_refuted_assumption_is_told_in_the_end() {
    let dir = tempdir().expect("a directory");
    let (daemon, plan) = (with_example("advocates", &dir).await, "advocates");

    let next = suggestion(&daemon, plan, 13).await;
    assert_eq!(told(&next), (SuggestionVerdict::Try, "launch-party"));
    assert_eq!(
        closed(&next),
        [("free-samples", vec![Obstacle::RetryLimit])]
    );
    let expected = [("ASM001", "assumptions/product-speaks")];
    assert_eq!(found(&daemon, plan, 13).await, named(&expected));

    let last = suggestion(&daemon, plan, 24).await;
    assert_eq!(told(&last), EXHAUSTED);
    let reconsider = last.reconsider.expect("what to reconsider");
    assert_eq!(reconsider.assumptions[0].assumption_id, "authors-reachable");
    let kinds: Vec<_> = reconsider
        .failures
        .iter()
        .map(|it| it.kind.as_str())
        .collect();
    assert_eq!(kinds, ["content", "event", "sampling"]);
    let expected = [
        ("ASM001", "assumptions/product-speaks"),
        ("ASM002", "assumptions/authors-reachable"),
        ("STR004", "strategies/thought-leaders"),
    ];
    assert_eq!(found(&daemon, plan, 24).await, named(&expected));
}

#[tokio::test]
async fn ideal_clients_are_reached_by_introductions_when_mail_fails() {
    let dir = tempdir().expect("a directory");
    let (daemon, plan) = (with_example("ideal-clients", &dir).await, "ideal-clients");

    let next = suggestion(&daemon, plan, 12).await;
    assert_eq!(told(&next), (SuggestionVerdict::Try, "introductions"));
    assert_eq!(
        closed(&next),
        [("tailored-email", vec![Obstacle::RetryLimit])]
    );
    let expected = [("ASM001", "assumptions/profile-buys")];
    assert_eq!(found(&daemon, plan, 12).await, named(&expected));

    let single = found(&daemon, plan, 16).await;
    assert!(single.contains(&("STR003".into(), "strategies/ideal-profile".into())));

    let last = suggestion(&daemon, plan, 20).await;
    assert_eq!(told(&last), EXHAUSTED);
    let reconsider = last.reconsider.expect("what to reconsider");
    assert_eq!(reconsider.assumptions[0].assumption_id, "profile-buys");
    let expected = [
        ("ASM001", "assumptions/profile-buys"),
        ("IND002", "indicators/meetings"),
        ("STR004", "strategies/ideal-profile"),
    ];
    assert_eq!(found(&daemon, plan, 20).await, named(&expected));
}

#[tokio::test]
async fn a_weight_is_sought_by_a_calorie_goal_when_exercise_fails() {
    let dir = tempdir().expect("a directory");
    let (daemon, plan) = (with_example("healthy-weight", &dir).await, "healthy-weight");

    let next = suggestion(&daemon, plan, 14).await;
    assert_eq!(told(&next), (SuggestionVerdict::Try, "calorie-goal"));
    let expected = [("ASM003", "plan")];
    assert_eq!(found(&daemon, plan, 14).await, named(&expected));

    let last = suggestion(&daemon, plan, 24).await;
    assert_eq!(told(&last), EXHAUSTED);
    let failures = last.reconsider.expect("what to reconsider").failures;
    let diet = failures.iter().find(|it| it.kind == "diet").expect("diets");
    assert_eq!((diet.effect_failures, diet.tactic_ids.len()), (2, 2));
    let expected = [("ASM003", "plan"), ("STR004", "strategies/body-care")];
    assert_eq!(found(&daemon, plan, 24).await, named(&expected));
}

#[tokio::test]
async fn an_action_that_passes_for_a_strategy_is_told_from_one_that_is() {
    let dir = tempdir().expect("a directory");
    let (daemon, plan) = (with_example("next-year", &dir).await, "next-year");

    // What was called a strategy has nothing left when its one action fails.
    let [shows, territories] = &suggestions(&daemon, plan, 13).await[..] else {
        panic!("two strategies");
    };
    assert_eq!(told(shows), EXHAUSTED);
    let expected = (SuggestionVerdict::Try, "local-distributor");
    assert_eq!(told(territories), expected);
    let findings = findings(&daemon, plan, 13).await;
    let wordings: Vec<_> = findings.iter().filter(|it| it.code == "STR001").collect();
    let [wording] = &wordings[..] else {
        panic!("one of the two is an action: {wordings:?}");
    };
    assert_eq!(wording.subject, "strategies/more-trade-shows");
    assert_eq!(
        wording.level(),
        FindingLevel::Warn,
        "its tactic says the same"
    );
    assert!(wording.hits.iter().any(|hit| hit.text == "trade shows"));
    let expected = [
        ("ASM003", "plan"),
        ("IND001", "plan"),
        ("OBJ001", "objective"),
        ("OBJ002", "objective"),
        ("STR001", "strategies/more-trade-shows"),
        ("STR004", "strategies/more-trade-shows"),
        ("STR005", "strategies/more-trade-shows"),
        ("STR006", "strategies/more-trade-shows"),
    ];
    assert_eq!(found(&daemon, plan, 13).await, named(&expected));

    for last in suggestions(&daemon, plan, 25).await {
        assert_eq!(told(&last), EXHAUSTED, "{}", last.strategy_id);
    }
    let end = found(&daemon, plan, 25).await;
    for strategy in ["more-trade-shows", "new-territories"] {
        assert!(end.contains(&("STR004".into(), format!("strategies/{strategy}"))));
    }
}

#[tokio::test]
async fn tactics_without_a_strategy_have_no_next_one_and_end_as_roulette() {
    let dir = tempdir().expect("a directory");
    let (daemon, plan) = (with_example("roulette", &dir).await, "roulette");

    assert_eq!(suggestions(&daemon, plan, 4).await, []);
    let expected = [
        ("ASM003", "plan"),
        ("HIS002", "tactics/cold-calls"),
        ("IND001", "plan"),
        ("OBJ003", "plan"),
        ("STR010", "plan"),
        ("TAC006", "tactics/cold-calls"),
    ];
    assert_eq!(found(&daemon, plan, 4).await, named(&expected));

    // Two that failed are bad luck, three are roulette.
    let is_roulette = |found: &[(String, String)]| found.iter().any(|(code, _)| code == "TAC001");
    assert!(!is_roulette(&found(&daemon, plan, 7).await));
    let end = findings(&daemon, plan, 10).await;
    let roulette = end.iter().find(|it| it.code == "TAC001").expect("roulette");
    let expected = [
        "tactics/cold-calls",
        "tactics/search-ads",
        "tactics/webinar",
    ];
    assert_eq!(roulette.subjects, expected);
    assert_eq!(suggestions(&daemon, plan, 10).await, []);
}
