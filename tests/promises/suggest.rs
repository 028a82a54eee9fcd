//! What comes next: by rank or by chance for cost, with what other plans tried, the same after a restart,
//! and as of any moment what was answered then.

use strata::proto::{
    AbandonStrategy, AddTactic, Obstacle, Point, SucceedTactic, SuggestTacticRequest,
    SuggestTacticResponse, SuggestionPolicy, SuggestionVerdict, TacticOption, TacticSuggestion,
    command::Kind, point::Point as At,
};
use tempfile::tempdir;
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, request},
    language::{adopt_strategy, commands, execute, fail_tactic, refused, try_tactic},
};

/// A real history of 40 requests.
pub(crate) const HISTORY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/smallpox-india.jsonl"
);

/// The command that adds an option to the strategy `s`.
pub(crate) fn add_option(tactic_id: &str, kind: &str, rank: u32, cost: Option<f64>) -> Kind {
    Kind::AddTactic(AddTactic {
        tactic_id: tactic_id.to_owned(),
        strategy_id: "s".to_owned(),
        statement: "Hand out samples".to_owned(),
        kind: kind.to_owned(),
        rank,
        cost,
        ..Default::default()
    })
}

/// The command that ends an attempt as succeeded.
pub(crate) fn succeed_tactic(tactic_id: &str) -> Kind {
    Kind::SucceedTactic(SucceedTactic {
        tactic_id: tactic_id.to_owned(),
        observed: "They came back".to_owned(),
    })
}

fn about(plan_id: &str) -> SuggestTacticRequest {
    SuggestTacticRequest {
        plan_id: plan_id.to_owned(),
        ..Default::default()
    }
}

async fn ask(daemon: &Daemon, request: SuggestTacticRequest) -> SuggestTacticResponse {
    let answer = daemon.advice().suggest_tactic(request).await;
    answer.expect("a suggestion").into_inner()
}

fn only(response: &SuggestTacticResponse) -> &TacticSuggestion {
    assert_eq!(response.suggestions.len(), 1, "{response:?}");
    &response.suggestions[0]
}

fn option<'a>(suggestion: &'a TacticSuggestion, tactic_id: &str) -> &'a TacticOption {
    let found = suggestion
        .options
        .iter()
        .find(|it| it.tactic_id == tactic_id);
    found.unwrap_or_else(|| panic!("no option {tactic_id} in {suggestion:?}"))
}

/// Halves and quarters are exact, so answers are compared bit by bit.
#[track_caller]
fn is_exactly(found: f64, expected: f64) {
    assert_eq!(
        found.to_bits(),
        expected.to_bits(),
        "{found} is not {expected}"
    );
}

/// A plan with the strategy `s` and the options `mail` and `call` of these kinds, and one with `mail`.
async fn with_options(daemon: &Daemon) {
    for plan_id in ["growth", "bakery"] {
        let begun = [
            create_plan(),
            adopt_strategy("s"),
            add_option("mail", "mail", 1, Some(2.0)),
            add_option("call", "call", 2, Some(3.0)),
        ];
        execute(daemon, commands(plan_id, "begun", begun)).await;
    }
}

#[tokio::test]
async fn what_other_plans_tried_moves_a_chance_also_after_a_restart() {
    let dir = tempdir().expect("a directory");
    let mut daemon = Daemon::start(dir.path()).await;
    with_options(&daemon).await;
    let before = ask(&daemon, about("growth")).await;
    let mail = option(only(&before), "mail");
    assert_eq!((mail.successes, mail.success_probability), (0.0, 1.0 / 3.0));

    let tried = [try_tactic("mail"), succeed_tactic("mail")];
    execute(&daemon, commands("bakery", "tried", tried)).await;
    for _ in 0..2 {
        let answer = ask(&daemon, about("growth")).await;
        let suggestion = only(&answer);
        let mail = option(suggestion, "mail");
        // One success elsewhere: the kind is expected to work in 2 of 4, and that counts a quarter.
        assert_eq!((mail.successes, mail.effect_failures), (0.25, 0.0));
        is_exactly(mail.success_probability, (3.0 * 0.5 + 0.25) / 3.25);
        assert_eq!(mail.index, Some(mail.success_probability / 2.0));
        is_exactly(option(suggestion, "call").success_probability, 1.0 / 3.0);
        assert_eq!((answer.revision, answer.position), (4, 3));
        daemon.stop().await;
        daemon = Daemon::start(dir.path()).await;
    }
}

#[tokio::test]
async fn an_old_suggestion_can_be_had_again_whatever_was_recorded_since() {
    let dir = tempdir().expect("a directory");
    let mut daemon = Daemon::start(dir.path()).await;
    with_options(&daemon).await;
    for plan_id in ["growth", "bakery"] {
        let tried = [try_tactic("mail"), fail_tactic("mail")];
        execute(&daemon, commands(plan_id, "tried", tried)).await;
    }
    let policies = [SuggestionPolicy::Ranked, SuggestionPolicy::Ratio];
    let asked = |policy: SuggestionPolicy, as_of: Option<At>| SuggestTacticRequest {
        policy: policy.into(),
        as_of: as_of.map(|point| Point { point: Some(point) }),
        ..about("growth")
    };
    let mut old = Vec::new();
    for policy in policies {
        old.push(ask(&daemon, asked(policy, None)).await);
    }
    assert_eq!(only(&old[0]).tactic_id, "call");
    assert_eq!(old[0].position, 4);

    for plan_id in ["growth", "bakery"] {
        let later = [
            try_tactic("call"),
            succeed_tactic("call"),
            try_tactic("mail"),
            succeed_tactic("mail"),
            add_option("fair", "fair", 1, Some(1.0)),
        ];
        execute(&daemon, commands(plan_id, "later", later)).await;
    }
    for _ in 0..2 {
        for (policy, old) in policies.into_iter().zip(&old) {
            let now = ask(&daemon, asked(policy, None)).await;
            assert_ne!(now.suggestions, old.suggestions);
            let mut again = ask(&daemon, asked(policy, Some(At::Position(4)))).await;
            assert_eq!((again.position, again.inside_commit), (6, false));
            again.position = old.position;
            assert_eq!(&again, old);
            // At the plan's own last revision then, the other plan had not failed yet.
            let sooner = ask(&daemon, asked(policy, Some(At::Revision(6)))).await;
            assert_eq!(sooner.revision, old.revision);
            let failures = |it| option(only(it), "mail").effect_failures;
            assert_eq!((failures(&sooner), failures(old)), (1.0, 1.25));
        }
        daemon.stop().await;
        daemon = Daemon::start(dir.path()).await;
    }
}

#[tokio::test]
async fn by_ratio_the_best_chance_for_its_cost_comes_first() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    with_options(&daemon).await;
    let more = [
        add_option("fair", "fair", 3, Some(1.0)),
        add_option("advert", "advert", 4, None),
        try_tactic("advert"),
    ];
    execute(&daemon, commands("growth", "more", more)).await;
    let by_ratio = SuggestTacticRequest {
        strategy_id: "s".to_owned(),
        policy: SuggestionPolicy::Ratio.into(),
        ..about("growth")
    };
    let answer = ask(&daemon, by_ratio.clone()).await;
    let ids: Vec<_> = only(&answer)
        .options
        .iter()
        .map(|it| &*it.tactic_id)
        .collect();
    assert_eq!(ids, ["fair", "mail", "call", "advert"]);
    let needs = option(only(&answer), "mail").needs.clone().expect("needs");
    assert_eq!(
        (needs.cost, needs.success_probability),
        (Some(1.0), Some(2.0 / 3.0))
    );

    let ended = commands(
        "growth",
        "ended",
        [fail_tactic("advert"), add_option("shop", "", 5, Some(0.0))],
    );
    execute(&daemon, ended).await;
    let refusal = refused(daemon.advice().suggest_tactic(by_ratio).await);
    assert_eq!(refusal.kind(), (Code::FailedPrecondition, "COST_REQUIRED"));
    assert_eq!(refusal.metadata("subjects"), "tactics/shop");
    assert_eq!(refusal.metadata("count"), "1");
}

#[tokio::test]
async fn a_question_about_what_is_not_there_says_so() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    with_options(&daemon).await;
    let abandoning = Kind::AbandonStrategy(AbandonStrategy {
        strategy_id: "s".to_owned(),
        reason: "Nobody came".to_owned(),
    });
    execute(&daemon, request("growth", "abandoned", abandoning)).await;
    let mut client = daemon.advice();
    let mut refusal = async |request| refused(client.suggest_tactic(request).await);
    let named = |strategy_id: &str| SuggestTacticRequest {
        strategy_id: strategy_id.to_owned(),
        ..about("growth")
    };
    let ended = refusal(named("s")).await;
    assert_eq!(ended.kind(), (Code::FailedPrecondition, "NOT_LIVE"));
    assert_eq!(ended.metadata("subject"), "strategies/s");
    let unknown = refusal(named("nobody")).await;
    assert_eq!(unknown.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    assert_eq!(unknown.metadata("subject"), "strategies/nobody");
    let no_plan = refusal(about("nobody")).await;
    assert_eq!(no_plan.kind(), (Code::NotFound, "PLAN_NOT_FOUND"));
    let wrong = refusal(SuggestTacticRequest {
        plan_id: String::new(),
        strategy_id: "S".to_owned(),
        policy: 9,
        as_of: Some(Point::default()),
        ..Default::default()
    });
    assert_eq!(
        wrong.await.fields,
        ["plan_id", "strategy_id", "policy", "as_of"]
    );

    assert_eq!(ask(&daemon, about("growth")).await.suggestions, []);
    let before = SuggestTacticRequest {
        as_of: Some(Point {
            point: Some(At::Position(2)),
        }),
        ..named("s")
    };
    assert_eq!(only(&ask(&daemon, before).await).tactic_id, "mail");
}

/// Mass vaccination of India, with what was known before each turn.
#[tokio::test]
async fn a_real_history_is_advised_as_it_went() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--import", HISTORY]).await;
    imported(&daemon).await;
    let at = async |revision| {
        let request = SuggestTacticRequest {
            as_of: Some(Point {
                point: Some(At::Revision(revision)),
            }),
            ..about("smallpox-india")
        };
        only(&ask(&daemon, request).await).clone()
    };
    // The campaign failed, the jet guns are being tried.
    let waiting = at(11).await;
    assert_eq!(waiting.verdict(), SuggestionVerdict::Wait);
    assert_eq!(
        waiting.advice,
        "Wait for what comes of `jet-guns`: nothing else is eligible."
    );
    // They broke down: with better ones they may be tried again, though their assumption is suspected.
    let trying = at(14).await;
    assert_eq!(
        (trying.verdict(), &*trying.tactic_id),
        (SuggestionVerdict::Try, "jet-guns")
    );
    let guns = option(&trying, "jet-guns");
    assert_eq!(guns.doubts[0].assumption_id, "coverage-80");
    assert_eq!(guns.doubts[0].events[0].revision, 11);
    is_exactly(guns.success_probability, 0.5 / 3.0);
    let ranked_by = guns.ranked_by.as_ref().expect("an event");
    assert!(["TacticAdded", "TacticsRanked"].contains(&&*ranked_by.r#type));
    // Births outran the coverage: no option is left, and that is what has to be reconsidered.
    let exhausted = at(19).await;
    assert_eq!(exhausted.verdict(), SuggestionVerdict::StrategyExhausted);
    let against = |tactic_id: &str| -> Vec<(Obstacle, Vec<u64>)> {
        let obstacles = option(&exhausted, tactic_id).obstacles.iter();
        let told = obstacles.map(|it| {
            let revisions = it.events.iter().map(|event| event.revision).collect();
            (it.obstacle(), revisions)
        });
        told.collect()
    };
    let refuted = || (Obstacle::RefutedAssumption, vec![18, 19]);
    assert_eq!(against("jet-guns"), [refuted()]);
    let failed = (Obstacle::RetryLimit, vec![11]);
    assert_eq!(against("mass-campaign"), [refuted(), failed]);
    assert_eq!(
        against("bifurcated-needle"),
        [(Obstacle::Succeeded, vec![17])]
    );
    let reconsider = exhausted.reconsider.expect("what to reconsider");
    assert_eq!(
        reconsider.advice,
        "Revise `stop-transmission` so that it does without `coverage-80`, and cite what refuted that."
    );
    let revisions: Vec<_> = reconsider.failures[0]
        .events
        .iter()
        .map(|it| it.revision)
        .collect();
    assert_eq!(revisions, [11, 14]);
}

/// Waits until a daemon that begins with the history has recorded all of it.
pub(crate) async fn imported(daemon: &Daemon) {
    let all = SuggestTacticRequest {
        min_position: 40,
        ..about("smallpox-india")
    };
    let mut client = daemon.advice();
    while client.suggest_tactic(all.clone()).await.is_err() {}
}
