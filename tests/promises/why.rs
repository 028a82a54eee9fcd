//! Why a plan is as it is, through the API: the closure of causes of a real history, how its strategy
//! evolved, across plans, as of any point, and what is refused.

use std::{collections::BTreeSet, path::Path};

use strata::{
    json,
    proto::{
        Cause, CauseRole, ExecuteRequest, ExplainRequest, ExplainResponse, ExplainedSide,
        FindingTarget, LinkRole, ListRevisionsRequest, ListRevisionsResponse, Point, ProposalState,
        StrategyRevision, StrategyRevisionTarget, TacticState, explain_request::Target, point,
    },
};
use tempfile::{TempDir, tempdir};
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{Refused, adopt_strategy, cause, execute, from_now, refused},
};

pub(crate) const PLAN: &str = "smallpox-india";
const STRATEGY: &str = "stop-transmission";

/// A daemon that holds the real history.
pub(crate) async fn with_history() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smallpox-india.jsonl");
    for line in std::fs::read_to_string(path).expect("the fixture").lines() {
        let request: ExecuteRequest = json::from_json(line).expect("a request");
        execute(&daemon, request).await;
    }
    (dir, daemon)
}

fn strategy_revision(revision: u32) -> Target {
    Target::StrategyRevision(StrategyRevisionTarget {
        strategy_id: STRATEGY.into(),
        revision,
    })
}

fn about(target: Target) -> ExplainRequest {
    ExplainRequest {
        plan_id: PLAN.into(),
        target: Some(target),
        ..Default::default()
    }
}

fn as_of(target: Target, point: point::Point) -> ExplainRequest {
    ExplainRequest {
        as_of: Some(Point { point: Some(point) }),
        ..about(target)
    }
}

async fn explain(daemon: &Daemon, request: ExplainRequest) -> ExplainResponse {
    let answer = daemon.history().explain(request).await;
    answer.expect("explained").into_inner()
}

async fn refusal(daemon: &Daemon, request: ExplainRequest) -> Refused {
    refused(daemon.history().explain(request).await)
}

fn on(answer: &ExplainResponse, side: ExplainedSide) -> BTreeSet<u64> {
    let events = answer.events.iter();
    events
        .filter(|event| event.side() == side)
        .map(|event| event.revision)
        .collect()
}

fn is_linked(answer: &ExplainResponse, earlier: u64, later: u64, role: LinkRole) -> bool {
    answer.links.iter().any(|link| {
        (link.earlier_revision, link.later_revision, link.role()) == (earlier, later, role)
    })
}

fn evolution(page_size: u32) -> ListRevisionsRequest {
    ListRevisionsRequest {
        plan_id: PLAN.into(),
        strategy_id: STRATEGY.into(),
        page_size,
        ..Default::default()
    }
}

async fn list_revisions(daemon: &Daemon, request: ListRevisionsRequest) -> ListRevisionsResponse {
    let answer = daemon.history().list_revisions(request).await;
    answer.expect("listed").into_inner()
}

#[tokio::test]
async fn a_revision_of_a_real_strategy_is_explained_by_all_that_led_to_it() {
    let (_dir, daemon) = with_history().await;
    let answer = explain(&daemon, about(strategy_revision(2))).await;
    assert_eq!(on(&answer, ExplainedSide::Target), [20].into());
    // What it cites, 11, 13, 18 and 19, and what these rest on, down to the strategy's adoption.
    let closure = [5, 6, 7, 10, 11, 12, 13, 18, 19].into();
    assert_eq!(on(&answer, ExplainedSide::Cause), closure);
    assert!(is_linked(&answer, 19, 20, LinkRole::Trigger));
    assert!(is_linked(&answer, 18, 19, LinkRole::Evidence));
    assert!(is_linked(&answer, 5, 20, LinkRole::Parent));
    let near: Vec<_> = answer
        .events
        .iter()
        .map(|it| (it.revision, it.depth))
        .collect();
    assert_eq!(near[..5], [(20, 0), (19, 1), (18, 1), (13, 1), (11, 1)]);

    let effects = on(&answer, ExplainedSide::Effect);
    assert!(effects.is_superset(&[21, 22, 23, 29, 31, 32, 35, 36].into()));
    assert!(!effects.contains(&30), "it was measured anyway");
    assert!(!answer.truncated && answer.truncated_at.is_empty());
    assert_eq!((answer.position, answer.inside_commit), (40, false));

    let head = explain(&daemon, about(strategy_revision(0))).await;
    assert_eq!(on(&head, ExplainedSide::Target), [35].into());
    assert!(is_linked(&head, 20, 35, LinkRole::Parent));
}

#[tokio::test]
async fn an_explanation_that_is_cut_says_where_and_goes_on_there() {
    let (_dir, daemon) = with_history().await;
    let whole = explain(&daemon, about(strategy_revision(2))).await;
    let mut seen = BTreeSet::new();
    let mut unasked = vec![20];
    while let Some(revision) = unasked.pop() {
        let short = ExplainRequest {
            max_depth: 1,
            ..about(Target::Revision(revision))
        };
        let part = explain(&daemon, short).await;
        assert_eq!(part.truncated, !part.truncated_at.is_empty());
        seen.insert(revision);
        seen.extend(on(&part, ExplainedSide::Cause));
        let causes = on(&part, ExplainedSide::Cause);
        let cut = part.truncated_at.iter().map(|it| it.revision);
        unasked.extend(cut.filter(|it| causes.contains(it)));
    }
    let mut closure = on(&whole, ExplainedSide::Cause);
    closure.insert(20);
    assert_eq!(seen, closure);

    let few = ExplainRequest {
        max_events: 3,
        ..about(strategy_revision(2))
    };
    let few = explain(&daemon, few).await;
    let shown: Vec<_> = few.events.iter().map(|it| it.revision).collect();
    assert_eq!(shown, [20, 19, 18]);
    assert!(few.truncated);
}

#[tokio::test]
async fn as_of_a_point_only_what_was_known_then_is_told() {
    let (_dir, daemon) = with_history().await;
    let failure = || Target::Revision(11);
    let now = explain(&daemon, about(failure())).await;
    assert!(on(&now, ExplainedSide::Effect).is_superset(&[18, 20].into()));
    for point in [point::Point::Revision(18), point::Point::Position(18)] {
        let then = explain(&daemon, as_of(failure(), point)).await;
        assert_eq!(on(&then, ExplainedSide::Effect), [18].into());
        assert_eq!(then.position, 40);
    }
    let unknown = refusal(&daemon, as_of(failure(), point::Point::Revision(10))).await;
    assert_eq!(unknown.kind(), (Code::NotFound, "REVISION_NOT_FOUND"));

    let last = || Target::Revision(37);
    let corrected = explain(&daemon, about(last())).await;
    let event = &corrected.events[0];
    let year = |event: &Option<strata::proto::Event>| {
        let time = event.as_ref().expect("an event").occurred_at;
        time.expect("a time").seconds / (365 * 86_400) + 1970
    };
    assert_eq!((event.corrected_by, event.retracted), (38, false));
    assert!(event.corrected.is_some() && year(&event.event) > 1970);
    assert_eq!(on(&corrected, ExplainedSide::Context), [38].into());
    assert!(is_linked(&corrected, 37, 38, LinkRole::Corrects));
    let then = explain(&daemon, as_of(last(), point::Point::Revision(37))).await;
    assert_eq!(then.events.len(), 1, "nobody knew better yet");
    assert_eq!(then.events[0].corrected_by, 0);
}

#[tokio::test]
async fn causes_and_their_causes_are_found_in_other_plans() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for plan_id in ["mill", "bakery", "growth"] {
        execute(&daemon, request(plan_id, "begun", create_plan())).await;
    }
    let evidence = Cause {
        role: CauseRole::Evidence.into(),
        ..cause("mill", 1)
    };
    let chain = [
        ("bakery", "Flour is dear", vec![evidence, cause("", 1)]),
        ("growth", "Bread will be dear", vec![cause("bakery", 2)]),
        ("bakery", "Raise prices", vec![cause("growth", 2)]),
    ];
    for (plan_id, text, because) in chain {
        let told = ExecuteRequest {
            because,
            ..request(plan_id, text, note(text))
        };
        execute(&daemon, told).await;
    }
    let asked = ExplainRequest {
        plan_id: "bakery".into(),
        ..about(Target::Revision(3))
    };
    let answer = explain(&daemon, asked).await;
    let places: Vec<_> = answer
        .events
        .iter()
        .map(|it| (it.plan_id.as_str(), it.revision, it.depth, it.position))
        .collect();
    let expected = [
        ("bakery", 3, 0, 6),
        ("growth", 2, 1, 5),
        ("bakery", 2, 2, 4),
        ("bakery", 1, 3, 2),
        ("mill", 1, 3, 1),
    ];
    assert_eq!(places, expected);
    assert!(answer.links.iter().any(|link| {
        (link.earlier_plan_id.as_str(), link.role()) == ("mill", LinkRole::Evidence)
    }));
}

#[tokio::test]
async fn what_followed_in_other_plans_is_told_as_far_as_it_was_recorded() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for plan_id in ["mill", "bakery"] {
        execute(&daemon, request(plan_id, "begun", create_plan())).await;
    }
    for (plan_id, text, because) in [
        ("bakery", "Flour is dear", cause("mill", 1)),
        ("mill", "The bakery buys less", cause("bakery", 2)),
    ] {
        let told = ExecuteRequest {
            because: vec![because],
            ..request(plan_id, text, note(text))
        };
        execute(&daemon, told).await;
    }
    let of_the_mill = |target| ExplainRequest {
        plan_id: "mill".into(),
        ..target
    };
    let answer = explain(&daemon, of_the_mill(about(Target::Revision(1)))).await;
    let effects: Vec<_> = answer
        .events
        .iter()
        .filter(|event| event.side() == ExplainedSide::Effect)
        .map(|event| (event.plan_id.as_str(), event.revision, event.depth))
        .collect();
    assert_eq!(effects, [("bakery", 2, 1), ("mill", 2, 2)]);

    let before = as_of(Target::Revision(1), point::Point::Position(2));
    let answer = explain(&daemon, of_the_mill(before)).await;
    assert_eq!(answer.events.len(), 1, "nothing had followed then");
}

#[tokio::test]
async fn a_finding_is_explained_by_the_events_behind_it() {
    let (_dir, daemon) = with_history().await;
    let finding = |code: &str, subject: &str| {
        Target::Finding(FindingTarget {
            code: code.into(),
            subject: subject.into(),
        })
    };
    let refuted = finding("ASM002", "assumptions/coverage-80");
    let asked = as_of(refuted.clone(), point::Point::Revision(19));
    let answer = explain(&daemon, asked).await;
    let found = answer.finding.expect("the finding");
    assert_eq!(found.code, "ASM002");
    let roots: Vec<_> = answer
        .events
        .iter()
        .filter(|event| event.side() == ExplainedSide::Target)
        .map(|event| event.revision)
        .collect();
    assert_eq!(roots, [5, 18, 19]);
    assert!(answer.events.iter().any(|event| event.revision == 7));

    // The strategy has been revised since.
    let gone = refusal(&daemon, about(refuted)).await;
    assert_eq!(gone.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    assert_eq!(gone.metadata("subject"), "ASM002:assumptions/coverage-80");
    let no_code = refusal(&daemon, about(finding("ASM999", "plan"))).await;
    assert_eq!(no_code.fields, ["finding.code"]);
}

#[tokio::test]
async fn a_subject_is_explained_by_its_events_and_a_tactic_by_what_it_is_for() {
    let (_dir, daemon) = with_history().await;
    let answer = explain(&daemon, about(Target::Subject("tactics/reward".into()))).await;
    assert_eq!(on(&answer, ExplainedSide::Target), [33, 34, 36].into());
    assert!(on(&answer, ExplainedSide::Cause).contains(&20));
    let sight = answer.line_of_sight.expect("a tactic is for something");
    assert_eq!(sight.tactic.expect("the tactic").tactic_id, "reward");
    assert_eq!(sight.strategy.expect("the strategy").revision, 3);
    assert!(sight.objective.is_some());
    assert!(sight.summary.starts_with("tactics/reward: Pay a reward"));

    let commitment = "commitments/zero-in-two-seasons";
    let answer = explain(&daemon, about(Target::Subject(commitment.into()))).await;
    assert_eq!(on(&answer, ExplainedSide::Target), [22, 32].into());
    let sight = answer.line_of_sight.expect("a commitment is for something");
    assert!(sight.tactic.is_none());
    assert!(
        sight.gaps[0].contains("is for no tactic"),
        "{:?}",
        sight.gaps
    );

    let answer = explain(&daemon, about(Target::Subject("objective".into()))).await;
    assert!(on(&answer, ExplainedSide::Target).is_superset(&[2, 21, 39].into()));
    assert_eq!(answer.line_of_sight, None);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_its_field_and_what_is_not_there_with_its_name() {
    let (_dir, daemon) = with_history().await;
    let malformed = [
        (
            ExplainRequest {
                target: None,
                max_depth: 65,
                max_events: 1_001,
                ..Default::default()
            },
            vec!["plan_id", "max_depth", "max_events", "target"],
        ),
        (about(Target::Revision(0)), vec!["revision"]),
        (about(Target::Subject("evidence/e".into())), vec!["subject"]),
        (
            about(Target::StrategyRevision(StrategyRevisionTarget::default())),
            vec!["strategy_revision.strategy_id"],
        ),
        (
            about(Target::Finding(FindingTarget::default())),
            vec!["finding.code", "finding.subject"],
        ),
        (
            as_of(Target::Revision(1), point::Point::Position(0)),
            vec!["as_of"],
        ),
    ];
    for (request, fields) in malformed {
        let refusal = refusal(&daemon, request).await;
        assert_eq!(refusal.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
        assert_eq!(refusal.fields, fields);
    }
    let missing = refusal(&daemon, about(Target::Revision(41))).await;
    assert_eq!(missing.kind(), (Code::NotFound, "REVISION_NOT_FOUND"));
    assert_eq!(missing.metadata("revision"), "41");
    for (target, subject) in [
        (strategy_revision(4), "strategies/stop-transmission@4"),
        (Target::Subject("tactics/none".into()), "tactics/none"),
    ] {
        let missing = refusal(&daemon, about(target)).await;
        assert_eq!(missing.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
        assert_eq!(missing.metadata("subject"), subject);
    }
    let beyond = as_of(Target::Revision(1), point::Point::Position(41));
    assert_eq!(
        refusal(&daemon, beyond).await.kind(),
        (Code::OutOfRange, "BEYOND_HEAD")
    );
    let nowhere = ExplainRequest {
        plan_id: "nowhere".into(),
        ..about(Target::Revision(1))
    };
    assert_eq!(
        refusal(&daemon, nowhere).await.kind(),
        (Code::NotFound, "PLAN_NOT_FOUND")
    );
}

/// What became of a tactic: its id, its state, attempts, effect-failures and successes.
fn tactics(revision: &StrategyRevision) -> Vec<(&str, TacticState, [u32; 3])> {
    let tactics = revision.tactics.iter();
    tactics
        .map(|it| {
            let counts = [it.attempts, it.effect_failures, it.successes];
            (it.tactic_id.as_str(), it.state(), counts)
        })
        .collect()
}

#[tokio::test]
async fn a_real_strategy_shows_what_each_of_its_revisions_said_and_why_the_next_was_made() {
    let (_dir, daemon) = with_history().await;
    let answer = list_revisions(&daemon, evolution(0)).await;
    assert_eq!((answer.position, answer.next_page_token.as_str()), (40, ""));
    let [first, second, third] = answer.revisions.as_slice() else {
        panic!("{} revisions", answer.revisions.len());
    };
    assert_eq!(
        first.made_by.as_ref().expect("an event").r#type,
        "StrategyAdopted"
    );
    assert_eq!((first.position, first.because.len()), (5, 0));
    assert_eq!(first.ended_by, second.made_by);
    assert_eq!(first.stood_until, second.occurred_at);
    let tried = [
        ("mass-campaign", TacticState::Failed, [1, 1, 0]),
        ("jet-guns", TacticState::Failed, [1, 0, 0]),
        ("bifurcated-needle", TacticState::Succeeded, [1, 0, 1]),
    ];
    assert_eq!(tactics(first), tried);

    let because: Vec<_> = second
        .because
        .iter()
        .map(|it| (it.event.as_ref().expect("an event").revision, it.role()))
        .collect();
    let expected = [
        (11, CauseRole::Trigger),
        (13, CauseRole::Evidence),
        (18, CauseRole::Evidence),
        (19, CauseRole::Trigger),
    ];
    assert_eq!(because, expected);
    assert!(
        second
            .reason
            .starts_with("Mass vaccination could not contain")
    );
    assert!(
        second
            .changes
            .iter()
            .any(|it| it.path == "intent" && it.before.is_some())
    );

    let declined = &second.proposals[..];
    assert_eq!(declined.len(), 1);
    assert_eq!(declined[0].proposal_id, "back-to-mass-vaccination");
    assert_eq!(declined[0].state(), ProposalState::Declined);
    assert!(
        declined[0]
            .decline_reason
            .contains("containment overtaking")
    );
    assert!(first.proposals.is_empty() && third.proposals.is_empty());
    assert_eq!(third.ended_by, None, "it stands");
    let years = third.stood_for.expect("a time").seconds / (365 * 86_400);
    assert_eq!(years, 2, "until the plan was archived");
}

#[tokio::test]
async fn revisions_come_in_pages_and_as_of_a_point() {
    let (_dir, daemon) = with_history().await;
    let mut query = evolution(2);
    let first = list_revisions(&daemon, query.clone()).await;
    assert_eq!(first.revisions.len(), 2);
    query.page_token.clone_from(&first.next_page_token);
    let second = list_revisions(&daemon, query.clone()).await;
    assert_eq!(
        (second.revisions.len(), second.next_page_token.as_str()),
        (1, "")
    );
    let whole = list_revisions(&daemon, evolution(0)).await;
    assert_eq!(
        [first.revisions, second.revisions].concat(),
        whole.revisions
    );

    query.strategy_id = "other".into();
    let mixed = refused(daemon.history().list_revisions(query).await);
    assert_eq!(mixed.fields, ["page_token"]);

    let then = |point| ListRevisionsRequest {
        as_of: Some(Point { point: Some(point) }),
        ..evolution(0)
    };
    let before = list_revisions(&daemon, then(point::Point::Revision(30))).await;
    assert_eq!(before.revisions.len(), 2);
    assert_eq!(
        before.revisions[1].proposals[0].state(),
        ProposalState::Open
    );
    assert_eq!(before.revisions[1].ended_by, None);
    let too_early = then(point::Point::Revision(4));
    let missing = refused(daemon.history().list_revisions(too_early).await);
    assert_eq!(missing.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    assert_eq!(missing.metadata("subject"), "strategies/stop-transmission");
    let ahead = then(point::Point::RecordedAt(from_now(600)));
    let ahead = refused(daemon.history().list_revisions(ahead).await);
    assert_eq!(ahead.kind(), (Code::OutOfRange, "BEYOND_HEAD"));
}

#[tokio::test]
async fn a_commit_is_explained_up_to_a_revision_within_it() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let begun = [create_plan(), adopt_strategy("s"), note("Begun")];
    execute(&daemon, crate::language::commands("growth", "begun", begun)).await;
    let asked = ExplainRequest {
        plan_id: "growth".into(),
        ..as_of(Target::Revision(2), point::Point::Revision(2))
    };
    assert!(explain(&daemon, asked.clone()).await.inside_commit);
    let later = ExplainRequest {
        target: Some(Target::Revision(3)),
        ..asked
    };
    assert_eq!(
        refusal(&daemon, later).await.kind(),
        (Code::NotFound, "REVISION_NOT_FOUND")
    );
}
