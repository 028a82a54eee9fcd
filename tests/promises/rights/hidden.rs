//! Of plans that a caller may not read nothing is shown: not in lists, not in counts, not in ranks, not in
//! tokens. What a plan of the caller's cites is a bare id, and what cites it from elsewhere is not there.

use std::collections::BTreeSet;

use strata::{
    json,
    proto::{
        EventReference, ExplainRequest, ExplainResponse, ExplainedEvent, ExplainedSide, LinkRole,
        ListRevisionsRequest, WatchRequest, explain_request::Target, watch_request::Start,
        watch_response::Response as Said,
    },
};
use tempfile::{TempDir, tempdir};
use tonic::Code;

use super::{
    callers::{Caller, asking},
    is_refused,
};
use crate::{
    daemon::{Daemon, PATIENCE},
    language::reading,
};

/// What stands in every text of the hidden plan, and nowhere else.
const WORD: &str = "xyzzy";
/// The plan that is hidden from `narrow`.
const SECRET: &str = "secret";

/// A plan that `narrow` may read and one that it may not, which cite each other. Each has tactics of the
/// same kinds, and commitments of the same people, and more of its own.
async fn with_two_plans() -> (TempDir, Daemon, Caller, Caller) {
    let roles = ["reader", "planner", "auditor", "operator"];
    let over = |plans: &'static str| roles.map(|role| (role, plans)).to_vec();
    let dir = tempdir().expect("a directory");
    let (daemon, callers) =
        asking(dir.path(), &[("narrow", over("open")), ("wide", over("*"))]).await;
    let [narrow, wide] = <[Caller; 2]>::try_from(callers).unwrap_or_else(|_| panic!("two callers"));
    for request in [
        r#"{"plan_id": "secret", "request_id": "xyzzy-1", "actor": "xyzzy", "source": "xyzzy:1", "commands": [
            {"create_plan": {"title": "xyzzy samples", "summary": "xyzzy", "labels": {"xyzzy": "xyzzy"}}},
            {"set_objective": {"statement": "xyzzy"}},
            {"adopt_strategy": {"strategy_id": "xyzzy-s", "intent": "xyzzy samples", "diagnosis": "xyzzy"}},
            {"add_tactic": {"tactic_id": "xyzzy-t", "strategy_id": "xyzzy-s", "statement": "xyzzy samples", "kind": "mail", "cost": 2}},
            {"add_tactic": {"tactic_id": "xyzzy-u", "strategy_id": "xyzzy-s", "statement": "xyzzy samples", "kind": "xyzzy"}},
            {"try_tactic": {"tactic_id": "xyzzy-t"}},
            {"succeed_tactic": {"tactic_id": "xyzzy-t", "observed": "xyzzy"}},
            {"try_tactic": {"tactic_id": "xyzzy-u"}},
            {"fail_tactic": {"tactic_id": "xyzzy-u", "failure": "FAILURE_EFFECT", "observed": "xyzzy"}},
            {"make_commitment": {"commitment_id": "xyzzy-c", "assignee": "xyzzy", "promise": "xyzzy", "due": "2090-01-01T00:00:00Z"}},
            {"make_commitment": {"commitment_id": "xyzzy-d", "assignee": "Ada", "promise": "xyzzy", "due": "2090-01-03T00:00:00Z"}}
        ]}"#,
        r#"{"plan_id": "open", "commands": [
            {"create_plan": {"title": "Samples"}},
            {"set_objective": {"statement": "Sell 900 loaves a day"}},
            {"adopt_strategy": {"strategy_id": "s", "intent": "Win those who know us already"}},
            {"add_tactic": {"tactic_id": "t", "strategy_id": "s", "statement": "Hand out samples", "kind": "mail", "cost": 1, "rank": 1}},
            {"add_tactic": {"tactic_id": "u", "strategy_id": "s", "statement": "Hand out samples by mail", "kind": "mail", "cost": 1, "rank": 2}},
            {"try_tactic": {"tactic_id": "t"}},
            {"fail_tactic": {"tactic_id": "t", "failure": "FAILURE_EFFECT", "observed": "Nobody came back"}},
            {"make_commitment": {"commitment_id": "c", "assignee": "Ada", "promise": "Bake", "due": "2090-01-02T00:00:00Z"}},
            {"make_commitment": {"commitment_id": "d", "assignee": "Grace", "promise": "Bake", "due": "2090-01-04T00:00:00Z"}}
        ]}"#,
        r#"{"plan_id": "open", "because": [
            {"plan_id": "secret", "revision": 7, "role": "CAUSE_ROLE_TRIGGER"},
            {"revision": 7, "role": "CAUSE_ROLE_EVIDENCE"}
        ], "commands": [
            {"revise_strategy": {"strategy_id": "s", "parent_revision": 1, "intent": "Win their friends", "reason": "They tell them"}}
        ]}"#,
        r#"{"plan_id": "secret", "request_id": "xyzzy-2", "because": [
            {"plan_id": "open", "revision": 10, "role": "CAUSE_ROLE_TRIGGER"}
        ], "commands": [{"record_note": {"subject": "plan", "text": "xyzzy"}}]}"#,
    ] {
        wide.call("Execute", request).await.expect("recorded");
    }
    (dir, daemon, narrow, wide)
}

/// Calls that show what is known of one plan or of all, and that show the same again later.
const TIMELESS: [(&str, &str); 20] = [
    ("GetPlan", r#"{"plan_id": "open"}"#),
    ("ListPlans", "{}"),
    ("ListPlans", r#"{"text": "xyzzy"}"#),
    ("ListEvents", r#"{"plan_id": "open"}"#),
    ("ReadLog", "{}"),
    ("Watch", r#"{"from_position": 1}"#),
    ("DiffPlan", r#"{"plan_id": "open"}"#),
    ("Explain", r#"{"plan_id": "open", "revision": 10}"#),
    (
        "Explain",
        r#"{"plan_id": "open", "subject": "strategies/s"}"#,
    ),
    ("SuggestTactic", r#"{"plan_id": "open"}"#),
    (
        "SuggestTactic",
        r#"{"plan_id": "open", "policy": "SUGGESTION_POLICY_RATIO"}"#,
    ),
    ("ListCommitments", "{}"),
    ("GetReliability", "{}"),
    ("GetReliability", r#"{"assignee": "Ada"}"#),
    ("GetTacticStats", "{}"),
    ("GetTacticStats", r#"{"kinds": ["mail", "xyzzy"]}"#),
    (
        "GetTacticStats",
        r#"{"group_by": "STATS_GROUPING_STRATEGY"}"#,
    ),
    ("GetTacticStats", r#"{"group_by": "STATS_GROUPING_PLAN"}"#),
    ("SearchTactics", r#"{"query": "samples"}"#),
    ("SearchTactics", r#"{"query": "xyzzy samples"}"#),
];

/// And those that also say what time it is, or how long the log is.
const OF_THE_MOMENT: [(&str, &str); 7] = [
    (
        "ListRevisions",
        r#"{"plan_id": "open", "strategy_id": "s"}"#,
    ),
    ("ReviewPlan", r#"{"plan_id": "open"}"#),
    ("AssessStrategy", r#"{"plan_id": "open"}"#),
    ("GetCheckpoint", "{}"),
    ("ProveInclusion", r#"{"position": 1}"#),
    ("ProveConsistency", r#"{"old_tree_size": 1}"#),
    ("GetStatus", "{}"),
];

/// Those that show the hidden plan to whoever may read all.
const OVER_PLANS: [(&str, &str); 13] = [
    ("ListPlans", "{}"),
    ("ListPlans", r#"{"text": "xyzzy"}"#),
    ("ReadLog", "{}"),
    ("Watch", r#"{"from_position": 1}"#),
    ("Explain", r#"{"plan_id": "open", "revision": 10}"#),
    ("ListCommitments", "{}"),
    ("GetReliability", "{}"),
    ("GetTacticStats", "{}"),
    ("GetTacticStats", r#"{"kinds": ["mail", "xyzzy"]}"#),
    (
        "GetTacticStats",
        r#"{"group_by": "STATS_GROUPING_STRATEGY"}"#,
    ),
    ("SearchTactics", r#"{"query": "samples"}"#),
    ("SearchTactics", r#"{"query": "xyzzy samples"}"#),
    (
        "ListRevisions",
        r#"{"plan_id": "open", "strategy_id": "s"}"#,
    ),
];

#[tokio::test]
async fn no_answer_holds_a_text_of_a_plan_that_its_caller_may_not_read() {
    let (_dir, _daemon, narrow, wide) = with_two_plans().await;
    for (rpc, request) in TIMELESS.into_iter().chain(OF_THE_MOMENT) {
        let answer = narrow.call(rpc, request).await.expect(rpc);
        assert!(!answer.is_empty(), "{rpc} {request}");
        assert!(!answer.contains(WORD), "{rpc} {request}: {answer}");
    }
    for (rpc, request) in OVER_PLANS {
        let answer = wide.call(rpc, request).await.expect(rpc);
        assert!(answer.contains(WORD), "{rpc} {request}: {answer}");
    }
}

#[tokio::test]
async fn what_happens_in_hidden_plans_changes_no_answer() {
    let (_dir, _daemon, narrow, wide) = with_two_plans().await;
    let ask = async |caller: &Caller| {
        let mut answers = Vec::new();
        for (rpc, request) in TIMELESS {
            let answer = caller.call(rpc, request).await.expect(rpc);
            answers.push(format!("{rpc} {request}: {}", without_positions(&answer)));
        }
        answers
    };
    let (before, seen_before) = (ask(&narrow).await, ask(&wide).await);
    let more = r#"{"plan_id": "secret", "because": [
            {"plan_id": "open", "revision": 3, "role": "CAUSE_ROLE_EVIDENCE"}
        ], "commands": [
            {"add_tactic": {"tactic_id": "v", "strategy_id": "xyzzy-s", "statement": "Hand out samples by mail", "kind": "mail", "cost": 1}},
            {"try_tactic": {"tactic_id": "v"}},
            {"succeed_tactic": {"tactic_id": "v", "observed": "samples"}},
            {"make_commitment": {"commitment_id": "v", "assignee": "Ada", "promise": "xyzzy", "due": "2090-01-02T00:00:00Z"}},
            {"keep_commitment": {"commitment_id": "xyzzy-d"}}
        ]}"#;
    wide.call("Execute", more).await.expect("recorded");
    let begun = r#"{"plan_id": "opened", "commands": [{"create_plan": {"title": "Samples"}}]}"#;
    wide.call("Execute", begun).await.expect("recorded");
    assert_eq!(ask(&narrow).await, before);
    let seen = ask(&wide).await;
    let changed = seen
        .iter()
        .zip(&seen_before)
        .filter(|(now, then)| now != then);
    assert!(changed.count() >= 10, "{seen:#?}");
}

/// An answer but for the positions of the log that it reflects.
fn without_positions(answer: &str) -> String {
    let mut pieces = answer.split("position: ");
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        masked += "position: …";
        masked += piece.trim_start_matches(|it: char| it.is_ascii_digit());
    }
    masked
}

/// All pages of one a page, and their tokens in clear.
async fn walked(caller: &Caller, rpc: &str, request: &str) -> (Vec<String>, String) {
    let (mut pages, mut tokens, mut token) = (Vec::new(), String::new(), String::new());
    loop {
        let request = request.trim_end_matches('}');
        let separator = if request.ends_with('{') { "" } else { ", " };
        let request = format!(r#"{request}{separator}"page_size": 1, "page_token": "{token}"}}"#);
        let answer = caller.call(rpc, &request).await.expect(rpc);
        let (before, next) = answer.split_once(r#"next_page_token: ""#).expect("pages");
        next.split('"')
            .next()
            .unwrap_or_default()
            .clone_into(&mut token);
        pages.push(before.to_owned());
        tokens += &String::from_utf8_lossy(&hex::decode(&token).expect("hex"));
        tokens.push('\n');
        if token.is_empty() {
            return (pages, tokens);
        }
        assert!(pages.len() < 50, "{rpc} has no end: {pages:?}");
    }
}

const LISTS: [(&str, &str); 7] = [
    ("ListPlans", "{}"),
    ("ListCommitments", "{}"),
    ("GetReliability", "{}"),
    ("GetTacticStats", "{}"),
    (
        "GetTacticStats",
        r#"{"group_by": "STATS_GROUPING_STRATEGY"}"#,
    ),
    ("GetTacticStats", r#"{"group_by": "STATS_GROUPING_PLAN"}"#),
    ("SearchTactics", r#"{"query": "samples"}"#),
];

#[tokio::test]
async fn page_by_page_nothing_more_is_shown_and_no_token_names_what_is_hidden() {
    let (_dir, _daemon, narrow, wide) = with_two_plans().await;
    // In the orders of all lists something hidden stands before, between and behind what is not.
    let before = r#"{"plan_id": "aaa-xyzzy", "commands": [
        {"create_plan": {"title": "xyzzy"}},
        {"add_tactic": {"tactic_id": "t", "statement": "samples", "kind": "aaa-xyzzy"}},
        {"try_tactic": {"tactic_id": "t"}},
        {"succeed_tactic": {"tactic_id": "t", "observed": "xyzzy"}},
        {"make_commitment": {"commitment_id": "t", "assignee": "AAA xyzzy", "promise": "xyzzy", "due": "2080-01-01T00:00:00Z"}},
        {"make_commitment": {"commitment_id": "u", "assignee": "Bxyzzy", "promise": "xyzzy", "due": "2090-01-03T00:00:00Z"}}
    ]}"#;
    wide.call("Execute", before).await.expect("recorded");
    for (rpc, request) in LISTS {
        let (pages, tokens) = walked(&narrow, rpc, request).await;
        let whole = pages.concat() + &tokens;
        assert!(
            !whole.contains(WORD) && !whole.contains(SECRET),
            "{rpc}: {whole}"
        );
        let at_once = narrow.call(rpc, request).await.expect(rpc);
        let count = |text: &str| text.matches(item_of(rpc)).count();
        assert_eq!(count(&pages.concat()), count(&at_once), "{rpc}: {pages:?}");
        assert!(count(&at_once) >= 1, "{rpc}: {at_once}");

        let (pages, _) = walked(&wide, rpc, request).await;
        assert!(pages.concat().contains(WORD), "{rpc}: {pages:?}");
    }
}

/// What the text of an answer holds once for each thing that is listed.
fn item_of(rpc: &str) -> &'static str {
    match rpc {
        "ListPlans" => "PlanSummary {",
        "ListCommitments" => "PlanCommitment {",
        "GetReliability" => "Reliability {",
        "GetTacticStats" => "TacticStats {",
        _ => "TacticHit {",
    }
}

#[tokio::test]
async fn the_token_of_one_caller_shows_another_no_more() {
    let (_dir, _daemon, narrow, wide) = with_two_plans().await;
    let begun = r#"{"plan_id": "aaa", "commands": [{"create_plan": {"title": "xyzzy"}}]}"#;
    wide.call("Execute", begun).await.expect("recorded");
    for (rpc, request) in LISTS {
        let mut token = String::new();
        loop {
            let request = request.trim_end_matches('}');
            let separator = if request.ends_with('{') { "" } else { ", " };
            let page = |size: u32| {
                format!(r#"{request}{separator}"page_size": {size}, "page_token": "{token}"}}"#)
            };
            let shown = narrow.call(rpc, &page(50)).await.expect(rpc);
            assert!(
                !shown.contains(WORD) && !shown.contains(SECRET),
                "{rpc}: {shown}"
            );
            let answer = wide.call(rpc, &page(1)).await.expect(rpc);
            let (_, next) = answer.split_once(r#"next_page_token: ""#).expect("pages");
            let next = next.split('"').next().unwrap_or_default().to_owned();
            if next.is_empty() {
                break;
            }
            token = next;
        }
    }
}

async fn explained(caller: &Caller) -> ExplainResponse {
    let request = ExplainRequest {
        plan_id: "open".into(),
        target: Some(Target::Revision(10)),
        ..Default::default()
    };
    let answer = caller.history().explain(request).await;
    answer.expect("explained").into_inner()
}

fn of_secret(answer: &ExplainResponse) -> Vec<&ExplainedEvent> {
    let events = answer.events.iter();
    events.filter(|event| event.plan_id == SECRET).collect()
}

#[tokio::test]
async fn a_hidden_cause_is_a_bare_id_and_a_hidden_effect_is_not_there() {
    let (_dir, _daemon, narrow, wide) = with_two_plans().await;
    let answer = explained(&narrow).await;
    let bare = ExplainedEvent {
        plan_id: SECRET.into(),
        revision: 7,
        side: ExplainedSide::Cause.into(),
        depth: 1,
        hidden: true,
        ..ExplainedEvent::default()
    };
    assert_eq!(of_secret(&answer), [&bare]);
    assert!(
        !answer.truncated && answer.truncated_at.is_empty(),
        "{answer:?}"
    );
    let mut links = answer
        .links
        .iter()
        .filter(|link| link.earlier_plan_id == SECRET);
    let link = links.next().expect("what it was to what cites it");
    assert_eq!((link.earlier_revision, link.later_revision), (7, 10));
    assert_eq!(link.role(), LinkRole::Trigger);

    let answer = explained(&wide).await;
    let shown = of_secret(&answer);
    assert!(
        shown
            .iter()
            .all(|event| !event.hidden && event.event.is_some())
    );
    let sides: BTreeSet<_> = shown
        .iter()
        .map(|event| event.side().as_str_name())
        .collect();
    assert_eq!(
        sides,
        ["EXPLAINED_SIDE_CAUSE", "EXPLAINED_SIDE_EFFECT"].into()
    );

    let request = ListRevisionsRequest {
        plan_id: "open".into(),
        strategy_id: "s".into(),
        ..Default::default()
    };
    let revisions = narrow.history().list_revisions(request).await;
    let revisions = revisions.expect("listed").into_inner().revisions;
    let cited = revisions[1]
        .because
        .iter()
        .filter_map(|it| it.event.as_ref());
    let cited: Vec<_> = cited.collect();
    let bare = EventReference {
        plan_id: SECRET.into(),
        revision: 7,
        ..EventReference::default()
    };
    assert_eq!(cited[0], &bare);
    assert!(!cited[1].summary.is_empty(), "{cited:?}");
}

#[tokio::test]
async fn naming_a_plan_does_not_tell_whether_it_exists() {
    let (_dir, _daemon, narrow, _wide) = with_two_plans().await;
    let cite = |plan_id: &str, revision: u64| {
        format!(
            r#"{{"plan_id": "open", "validate_only": true,
                "because": [{{"plan_id": "{plan_id}", "revision": {revision}, "role": "CAUSE_ROLE_TRIGGER"}}],
                "commands": [{{"record_note": {{"subject": "plan", "text": "So it is"}}}}]}}"#
        )
    };
    let succeed = |plan_id: &str| {
        format!(
            r#"{{"plan_id": "open", "validate_only": true, "commands": [{{"archive_plan":
                {{"outcome": "PLAN_OUTCOME_MET", "successor_plan_id": "{plan_id}"}}}}]}}"#
        )
    };
    for plan_id in [SECRET, "absent"] {
        for request in [cite(plan_id, 1), cite(plan_id, 999), succeed(plan_id)] {
            let came = narrow.call("Execute", &request).await;
            is_refused(came, "Execute", plan_id, "", &request);
            let came = narrow.call("ExecuteStream", &request).await;
            is_refused(came, "ExecuteStream", plan_id, "", &request);
        }
    }
    let own = narrow.call("Execute", &cite("open", 1)).await;
    own.expect("a plan of the caller's own is cited");
    for rpc in ["GetPlan", "ListEvents", "SuggestTactic", "ReviewPlan"] {
        let said = async |plan_id: &str| {
            let request = format!(r#"{{"plan_id": "{plan_id}"}}"#);
            let status = narrow.call(rpc, &request).await.expect_err("refused");
            let said = reading(&status);
            assert_eq!(said.kind(), (Code::PermissionDenied, "NOT_PERMITTED"));
            status.message().replace(plan_id, "…")
        };
        assert_eq!(said(SECRET).await, said("absent").await, "{rpc}");
    }
}

#[tokio::test]
async fn a_watch_of_all_plans_is_told_of_those_alone_that_its_caller_may_read() {
    let (_dir, _daemon, narrow, wide) = with_two_plans().await;
    let request = WatchRequest {
        start: Some(Start::FromNow(true)),
        ..Default::default()
    };
    let watch = narrow.history().watch(request).await;
    let mut watch = watch.expect("watched").into_inner();
    let noted = |plan_id: &str| {
        let text = format!(
            r#"{{"plan_id": "{plan_id}", "commands": [{{"record_note": {{"subject": "plan", "text": "So it is"}}}}]}}"#
        );
        json::from_json::<strata::proto::ExecuteRequest>(&text).expect("a request")
    };
    for plan_id in [SECRET, SECRET, "open", SECRET, "open"] {
        wide.plans()
            .execute(noted(plan_id))
            .await
            .expect("recorded");
    }
    let mut positions = Vec::new();
    while positions.len() < 2 {
        let next = tokio::time::timeout(PATIENCE, watch.message()).await;
        let next = next.expect("in time").expect("it goes on").expect("no end");
        if let Some(Said::Entries(entries)) = next.response {
            for entry in entries.entries {
                let commit = strata::commit::decode(&entry.commit).expect("a commit");
                assert_eq!(commit.plan_id, "open");
                positions.push(entry.position);
            }
        }
    }
    assert_eq!(positions, [7, 9]);
}
