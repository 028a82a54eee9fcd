//! What was tried before is found again, over all plans: by its words, with its strategy and what came
//! of it, as soon as it was answered, as it was at any position, and the same after every restart.

mod asking;

use std::{collections::BTreeMap, fs};

use strata::proto::{
    AddTactic, AdoptStrategy, AttemptState, CorrectEvent, CreatePlan, DescribePlan, Event,
    ExecuteRequest, FailTactic, Failure, Point, RetractEvent, ReviseStrategy, RewordTactic,
    SearchTacticsRequest, SearchTacticsResponse, StopTactic, SucceedTactic, TacticFailed,
    TacticHit, TacticState, TryTactic, command::Kind, event, point,
};
use tempfile::{TempDir, tempdir};

use crate::{
    daemon::{Daemon, request},
    language::{Refused, commands, execute, from_now, position, refused},
};

async fn search(daemon: &Daemon, query: SearchTacticsRequest) -> SearchTacticsResponse {
    let answer = daemon.advice().search_tactics(query).await;
    answer.expect("found").into_inner()
}

async fn refusal(daemon: &Daemon, query: SearchTacticsRequest) -> Refused {
    refused(daemon.advice().search_tactics(query).await)
}

fn asking(query: &str) -> SearchTacticsRequest {
    SearchTacticsRequest {
        query: query.to_owned(),
        ..Default::default()
    }
}

fn ids(hits: &[TacticHit]) -> Vec<String> {
    let id = |hit: &TacticHit| format!("{}/{}", hit.plan_id, hit.tactic_id);
    hits.iter().map(id).collect()
}

/// The hits of a query on one page, in the order of plans.
async fn found(daemon: &Daemon, query: SearchTacticsRequest) -> Vec<String> {
    let answer = search(daemon, query).await;
    assert_eq!(answer.total_hits as usize, answer.hits.len());
    let mut found = ids(&answer.hits);
    found.sort();
    found
}

fn create(title: &str, labels: &[(&str, &str)]) -> Kind {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Kind::CreatePlan(CreatePlan {
        title: title.to_owned(),
        labels: labels.iter().map(owned).collect::<BTreeMap<_, _>>(),
        ..Default::default()
    })
}

fn adopt(strategy_id: &str, intent: &str) -> Kind {
    Kind::AdoptStrategy(AdoptStrategy {
        strategy_id: strategy_id.to_owned(),
        intent: intent.to_owned(),
        ..Default::default()
    })
}

fn add(tactic_id: &str, strategy_id: &str, kind: &str, statement: &str) -> Kind {
    Kind::AddTactic(AddTactic {
        tactic_id: tactic_id.to_owned(),
        strategy_id: strategy_id.to_owned(),
        kind: kind.to_owned(),
        statement: statement.to_owned(),
        ..Default::default()
    })
}

fn attempt(tactic_id: &str, reason: &str) -> Kind {
    Kind::TryTactic(TryTactic {
        tactic_id: tactic_id.to_owned(),
        reason: reason.to_owned(),
        ..Default::default()
    })
}

fn fail(tactic_id: &str, observed: &str) -> Kind {
    Kind::FailTactic(FailTactic {
        tactic_id: tactic_id.to_owned(),
        failure: Failure::Effect.into(),
        observed: observed.to_owned(),
        ..Default::default()
    })
}

fn succeed(tactic_id: &str, observed: &str) -> Kind {
    Kind::SucceedTactic(SucceedTactic {
        tactic_id: tactic_id.to_owned(),
        observed: observed.to_owned(),
    })
}

fn occurred(seconds_ago: i64, request: ExecuteRequest) -> ExecuteRequest {
    ExecuteRequest {
        occurred_at: Some(from_now(-seconds_ago)),
        ..request
    }
}

/// Three plans that have to do with trade shows, each in another way, and one that has not.
async fn with_experience() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let growth = [
        create("Growth", &[("team", "sales"), ("year", "2026")]),
        adopt("meet", "Meet buyers where they gather"),
        add("fairs", "meet", "event", "Exhibit at three trade shows"),
    ];
    execute(&daemon, commands("growth", "1", growth)).await;
    let tried = request("growth", "2", attempt("fairs", "Our rivals do"));
    execute(&daemon, occurred(7_200, tried)).await;
    let failed = request(
        "growth",
        "3",
        fail("fairs", "Forty visitors came and none ordered"),
    );
    execute(&daemon, occurred(3_600, failed)).await;

    let bakery = [
        create("Bakery", &[("team", "shop")]),
        adopt("known", "Show the trade what regulars know already"),
        add("samples", "known", "gift", "Hand out samples"),
        attempt("samples", ""),
        succeed("samples", "The regulars came back"),
    ];
    execute(&daemon, commands("bakery", "1", bakery)).await;

    let clinic = [
        create("Clinic", &[]),
        add("letters", "", "", "Write to every household"),
        attempt("letters", ""),
        Kind::StopTactic(StopTactic {
            tactic_id: "letters".into(),
            reason: "The trade show took all hands".into(),
            inconclusive: true,
        }),
    ];
    execute(&daemon, commands("clinic", "1", clinic)).await;

    let other = [create("Other", &[]), add("mail", "", "", "Send a letter")];
    execute(&daemon, commands("other", "1", other)).await;
    (dir, daemon)
}

#[tokio::test]
async fn what_was_tried_is_found_in_all_plans_with_its_strategy_and_outcome() {
    let (_dir, daemon) = with_experience().await;
    let answer = search(&daemon, asking("trade show")).await;
    assert_eq!(
        ids(&answer.hits),
        ["growth/fairs", "bakery/samples", "clinic/letters"],
        "the statement weighs most, then the intent"
    );
    assert_eq!(
        (answer.total_hits, answer.position),
        (3, daemon.head().await)
    );
    assert!(answer.hits.is_sorted_by(|a, b| a.score >= b.score));

    let hit = &answer.hits[0];
    assert_eq!((&*hit.plan_title, &*hit.strategy_id), ("Growth", "meet"));
    assert_eq!(hit.intent, "Meet buyers where they gather");
    assert_eq!(
        (&*hit.statement, &*hit.kind),
        ("Exhibit at three trade shows", "event")
    );
    assert_eq!(hit.state(), TacticState::Failed);
    assert_eq!(hit.outcome(), AttemptState::Failed);
    assert_eq!(
        (hit.attempt_count, hit.effect_failures, hit.successes),
        (1, 1, 0)
    );
    assert_eq!(hit.observed, "Forty visitors came and none ordered");
    let lasted =
        hit.last_ended_at.expect("ended").seconds - hit.last_tried_at.expect("tried").seconds;
    assert_eq!(lasted, 3_600);
    let matches: Vec<_> = hit
        .matches
        .iter()
        .map(|it| (&*it.field, &*it.excerpt))
        .collect();
    assert_eq!(matches, [("statement", "Exhibit at three trade shows")]);

    assert_eq!(answer.hits[1].state(), TacticState::Succeeded);
    assert_eq!(answer.hits[1].matches[0].field, "intent");
    let stopped = &answer.hits[2];
    assert_eq!(
        (stopped.state(), &*stopped.strategy_id),
        (TacticState::Stopped, "")
    );
    assert_eq!(stopped.observed, "The trade show took all hands");
    assert_eq!(stopped.matches[0].field, "reason");
}

#[tokio::test]
async fn every_word_must_stand_somewhere_in_what_is_told_of_a_tactic() {
    let (_dir, daemon) = with_experience().await;
    let cases: [(&str, &[&str]); 8] = [
        // From the statement, the intent and what was seen.
        ("exhibiting buyer visitor", &["growth/fairs"]),
        ("rivals", &["growth/fairs"]),
        ("letter", &["other/mail"]),
        ("regular", &["bakery/samples"]),
        (
            "the TRADE of a show",
            &["bakery/samples", "clinic/letters", "growth/fairs"],
        ),
        ("trade show zeppelin", &[]),
        ("meet regulars", &[]),
        ("household hands", &["clinic/letters"]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&daemon, asking(query)).await, expected, "{query}");
    }
}

#[tokio::test]
async fn hits_are_filtered_by_kind_state_label_time_and_plan() {
    let (_dir, daemon) = with_experience().await;
    let of = |change: &dyn Fn(&mut SearchTacticsRequest)| {
        let mut query = asking("trade show");
        change(&mut query);
        query
    };
    let growth: &[&str] = &["growth/fairs"];
    let not_growth: &[&str] = &["bakery/samples", "clinic/letters"];
    let (none, all): (&[&str], &[&str]) =
        (&[], &["bakery/samples", "clinic/letters", "growth/fairs"]);
    let failed: i32 = TacticState::Failed.into();
    let [succeeded, stopped] = [TacticState::Succeeded.into(), TacticState::Stopped.into()];
    let cases: [(SearchTacticsRequest, &[&str]); 19] = [
        (of(&|it| it.kinds = vec!["event".into()]), growth),
        (
            of(&|it| it.kinds = vec!["event".into(), "gift".into(), "none".into()]),
            &["bakery/samples", "growth/fairs"],
        ),
        (of(&|it| it.kinds = vec!["Event".into()]), none),
        (of(&|it| it.states = vec![failed]), growth),
        (of(&|it| it.states = vec![stopped, succeeded]), not_growth),
        (
            of(&|it| it.states = vec![TacticState::Untried.into()]),
            none,
        ),
        (
            of(&|it| it.labels = vec!["team".into()]),
            &["bakery/samples", "growth/fairs"],
        ),
        (
            of(&|it| it.labels = vec!["team=shop".into()]),
            &["bakery/samples"],
        ),
        (
            of(&|it| it.labels = vec!["team".into(), "year=2026".into()]),
            growth,
        ),
        (of(&|it| it.labels = vec!["team=".into()]), none),
        (of(&|it| it.tried_from = Some(from_now(-1_800))), not_growth),
        (of(&|it| it.tried_before = Some(from_now(-1_800))), growth),
        (of(&|it| it.tried_from = Some(from_now(-5_000))), all),
        (of(&|it| it.tried_before = Some(from_now(-5_000))), growth),
        // It began before and ended after.
        (
            of(&|it| {
                it.tried_from = Some(from_now(-6_000));
                it.tried_before = Some(from_now(-5_000));
            }),
            none,
        ),
        (of(&|it| it.plan_ids = vec!["growth".into()]), growth),
        (
            of(&|it| it.plan_ids = vec!["clinic".into(), "bakery".into(), "nobody".into()]),
            not_growth,
        ),
        (of(&|it| it.plan_ids = vec!["nobody".into()]), none),
        (
            of(&|it| {
                it.plan_ids = vec!["growth".into()];
                it.states = vec![stopped];
            }),
            none,
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&daemon, query.clone()).await, expected, "{query:?}");
    }
    let untried = SearchTacticsRequest {
        tried_before: Some(from_now(60)),
        ..asking("send letter")
    };
    assert_eq!(
        found(&daemon, untried).await,
        none,
        "never tried is at no time"
    );
}

#[tokio::test]
async fn what_came_of_a_tactic_is_found_also_when_a_revision_retired_it() {
    let (_dir, daemon) = with_experience().await;
    let revised = Kind::ReviseStrategy(ReviseStrategy {
        strategy_id: "meet".into(),
        parent_revision: 1,
        intent: "Meet buyers at home".into(),
        reason: "Shows do not sell".into(),
        retire_tactic_ids: vec!["fairs".into()],
        unprompted: true,
        ..Default::default()
    });
    execute(&daemon, request("growth", "4", revised)).await;
    let of = |outcomes: &[AttemptState], states: &[TacticState]| SearchTacticsRequest {
        outcomes: outcomes.iter().map(|it| (*it).into()).collect(),
        states: states.iter().map(|it| (*it).into()).collect(),
        ..asking("trade show")
    };
    let (failed, stopped) = (AttemptState::Failed, AttemptState::Stopped);
    let (retired, succeeded) = (TacticState::Retired, TacticState::Succeeded);
    let cases: [(SearchTacticsRequest, &[&str]); 6] = [
        (of(&[failed], &[]), &["growth/fairs"]),
        (
            of(&[failed, stopped], &[]),
            &["clinic/letters", "growth/fairs"],
        ),
        (of(&[failed], &[retired]), &["growth/fairs"]),
        (of(&[failed], &[succeeded]), &[]),
        (of(&[AttemptState::Open], &[]), &[]),
        (of(&[], &[TacticState::Failed]), &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&daemon, query.clone()).await, expected, "{query:?}");
    }
    let hit = search(&daemon, of(&[failed], &[])).await.hits[0].clone();
    assert_eq!((hit.state(), hit.outcome()), (retired, failed));
    let untried = search(&daemon, asking("send letter")).await.hits[0].clone();
    assert_eq!(untried.outcome, None);
}

#[tokio::test]
async fn read_your_writes_a_search_finds_what_was_just_answered() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let (mut plans, mut searches) = (daemon.plans(), daemon.advice());
    for number in 0..200 {
        let plan_id = format!("plan-{}", number % 7);
        let mut said = vec![add(
            &format!("t{number}"),
            "",
            "",
            &format!("Word{number} is new"),
        )];
        if number < 7 {
            said.insert(0, create("A plan", &[]));
        }
        let mut execute = request(&plan_id, &format!("r{number}"), said.remove(0));
        for more in said {
            execute
                .commands
                .push(strata::proto::Command { kind: Some(more) });
        }
        let written = plans.execute(execute).await.expect("recorded").into_inner();
        let answer = searches
            .search_tactics(asking(&format!("word{number}")))
            .await;
        let answer = answer.expect("found").into_inner();
        assert_eq!(ids(&answer.hits), [format!("{plan_id}/t{number}")]);
        assert!(answer.position >= position(&written));
    }
}

fn as_of(query: &str, position: u64) -> SearchTacticsRequest {
    SearchTacticsRequest {
        as_of: Some(Point {
            point: Some(point::Point::Position(position)),
        }),
        ..asking(query)
    }
}

#[tokio::test]
async fn a_search_as_of_a_position_finds_what_could_be_found_then() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let begun = [
        create("Old title", &[("team", "old")]),
        adopt("s", "Meet buyers"),
        add("t", "s", "", "Exhibit at trade shows"),
    ];
    let added = position(&execute(&daemon, commands("growth", "1", begun)).await);
    let tried = position(&execute(&daemon, request("growth", "2", attempt("t", ""))).await);
    let failed =
        position(&execute(&daemon, request("growth", "3", fail("t", "Nobody came"))).await);
    let described = Kind::DescribePlan(DescribePlan {
        title: "New title".into(),
        ..Default::default()
    });
    let reworded = Kind::RewordTactic(RewordTactic {
        tactic_id: "t".into(),
        statement: "Visit trade shows".into(),
        reason: "Cheaper".into(),
        ..Default::default()
    });
    let revised = Kind::ReviseStrategy(ReviseStrategy {
        strategy_id: "s".into(),
        parent_revision: 1,
        intent: "Learn from sellers".into(),
        reason: "Shows do not sell".into(),
        unprompted: true,
        ..Default::default()
    });
    let changed = commands("growth", "4", [described, reworded, revised]);
    let changed = position(&execute(&daemon, changed).await);

    let hit = async |query: SearchTacticsRequest| -> TacticHit {
        let answer = search(&daemon, query.clone()).await;
        assert_eq!(answer.hits.len(), 1, "{query:?}");
        answer.hits[0].clone()
    };
    assert_eq!(
        hit(as_of("trade", added)).await.state(),
        TacticState::Untried
    );
    assert_eq!(hit(as_of("trade", tried)).await.state(), TacticState::Open);
    let then = hit(as_of("trade", failed)).await;
    assert_eq!(
        (then.state(), &*then.observed),
        (TacticState::Failed, "Nobody came")
    );
    assert_eq!(
        (&*then.plan_title, &*then.intent),
        ("Old title", "Meet buyers")
    );
    assert_eq!(then.statement, "Exhibit at trade shows");
    let now = hit(as_of("trade", changed)).await;
    assert_eq!(
        (&*now.plan_title, &*now.intent),
        ("New title", "Learn from sellers")
    );
    assert_eq!(now.statement, "Visit trade shows");
    assert_eq!(now, hit(asking("trade")).await);

    let nothing: &[&str] = &[];
    assert_eq!(found(&daemon, as_of("nobody", tried)).await, nothing);
    assert_eq!(found(&daemon, as_of("learn", failed)).await, nothing);
    assert_eq!(found(&daemon, asking("buyers")).await, nothing);
    assert_eq!(found(&daemon, asking("exhibit")).await, nothing);
    assert_eq!(
        found(&daemon, asking("sell")).await,
        ["growth/t"],
        "why it was revised"
    );
    let labelled = |position| SearchTacticsRequest {
        labels: vec!["team=old".into()],
        ..as_of("trade", position)
    };
    assert_eq!(found(&daemon, labelled(failed)).await, ["growth/t"]);
    assert_eq!(found(&daemon, labelled(changed)).await, nothing);
    assert_eq!(search(&daemon, as_of("trade", tried)).await.position, tried);
    let by_time = SearchTacticsRequest {
        as_of: Some(Point {
            point: Some(point::Point::RecordedAt(from_now(-3_600))),
        }),
        ..asking("trade")
    };
    assert_eq!(
        found(&daemon, by_time).await,
        nothing,
        "nothing was recorded by then"
    );
}

#[tokio::test]
async fn corrections_and_retractions_change_what_is_found() {
    let (_dir, daemon) = with_experience().await;
    let before = daemon.head().await;
    let misheard = Kind::CorrectEvent(CorrectEvent {
        revision: 5,
        replacement: Some(Event {
            kind: Some(event::Kind::TacticFailed(TacticFailed {
                tactic_id: "fairs".into(),
                attempt: 1,
                failure: Failure::Precondition.into(),
                observed: "The hall was closed".into(),
                ..Default::default()
            })),
            ..Default::default()
        }),
        reason: "It was misheard".into(),
        ..Default::default()
    });
    execute(&daemon, request("growth", "4", misheard)).await;
    let nothing: &[&str] = &[];
    assert_eq!(found(&daemon, asking("forty visitors")).await, nothing);
    let hit = search(&daemon, asking("closed hall")).await.hits[0].clone();
    assert_eq!(
        (&*hit.observed, &*hit.tactic_id),
        ("The hall was closed", "fairs")
    );
    assert_eq!((hit.effect_failures, hit.precondition_failures), (0, 1));
    assert_eq!(
        found(&daemon, as_of("forty visitors", before)).await,
        ["growth/fairs"]
    );

    let never = Kind::RetractEvent(RetractEvent {
        revision: 5,
        reason: "It goes on".into(),
    });
    execute(&daemon, request("growth", "5", never)).await;
    assert_eq!(found(&daemon, asking("closed hall")).await, nothing);
    let hit = search(&daemon, asking("three trade shows")).await.hits[0].clone();
    assert_eq!((hit.state(), &*hit.observed), (TacticState::Open, ""));
}

#[tokio::test]
async fn searches_give_the_same_answers_after_a_restart_and_without_the_view() {
    let (dir, daemon) = with_experience().await;
    let reworded = Kind::RewordTactic(RewordTactic {
        tactic_id: "fairs".into(),
        statement: "Visit three trade shows".into(),
        reason: "Cheaper".into(),
        ..Default::default()
    });
    execute(&daemon, request("growth", "4", reworded)).await;
    let queries = [
        asking("trade show"),
        as_of("trade show", 3),
        asking("letter"),
        asking("visit"),
    ];
    let answers = async |daemon: &Daemon| {
        let mut answers = Vec::new();
        for query in &queries {
            answers.push(search(daemon, query.clone()).await);
        }
        answers
    };
    let before = answers(&daemon).await;
    assert_eq!(before[0].hits.len(), 3);
    daemon.stop().await;
    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(answers(&daemon).await, before);
    daemon.kill();
    fs::remove_dir_all(dir.path().join("view")).expect("deleted");
    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(answers(&daemon).await, before);
    execute(
        &daemon,
        request("growth", "5", attempt("fairs", "Once more")),
    )
    .await;
    assert_eq!(found(&daemon, asking("once more")).await, ["growth/fairs"]);
}
