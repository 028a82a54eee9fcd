//! How searches are asked: page by page, and what is no search.

use prost_types::Timestamp;
use tonic::Code;

use super::*;

#[tokio::test]
async fn pages_of_hits_leave_none_out_and_repeat_none_while_others_write() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for number in 0..23 {
        let begun = [
            create("A plan", &[]),
            add(
                "t",
                "",
                "",
                &format!("Trade shows {}", "and more ".repeat(number % 5)),
            ),
            add("u", "", "", "Visit trade shows"),
        ];
        execute(&daemon, commands(&format!("plan-{number:02}"), "1", begun)).await;
    }
    let all = search(&daemon, asking("trade show")).await;
    assert_eq!((all.hits.len(), all.total_hits), (46, 46));
    assert_eq!(all.next_page_token, "");
    for (page_size, round) in [(1, "2"), (7, "3"), (45, "4")] {
        let expected = search(&daemon, asking("trade show")).await.hits;
        let mut query = SearchTacticsRequest {
            page_size,
            ..asking("trade show")
        };
        let mut paged = Vec::new();
        for plan in 0.. {
            let answer = search(&daemon, query.clone()).await;
            assert!(answer.hits.len() <= page_size as usize);
            assert_eq!(answer.total_hits, 46);
            paged.extend(answer.hits);
            query.page_token = answer.next_page_token;
            if query.page_token.is_empty() {
                break;
            }
            // It would move up, and there would be one more.
            let reworded = Kind::RewordTactic(RewordTactic {
                tactic_id: "u".into(),
                statement: "Trade shows, trade shows".into(),
                reason: "Better".into(),
                ..Default::default()
            });
            let more = [
                reworded,
                add(&format!("more-{round}"), "", "", "Trade show"),
            ];
            if plan < 23 {
                execute(&daemon, commands(&format!("plan-{plan:02}"), round, more)).await;
            }
        }
        assert_eq!(paged.len(), 46);
        assert_eq!(ids(&paged), ids(&expected), "{page_size}");
        for plan in 0..23 {
            let retired = Kind::RewordTactic(RewordTactic {
                tactic_id: format!("more-{round}"),
                statement: "Something else".into(),
                reason: "For the next round".into(),
                ..Default::default()
            });
            let undo = request(
                &format!("plan-{plan:02}"),
                &format!("undo-{round}"),
                retired,
            );
            drop(daemon.plans().execute(undo).await);
        }
    }
}

#[tokio::test]
async fn what_is_no_search_is_refused_with_all_that_is_wrong() {
    let (_dir, daemon) = with_experience().await;
    let malformed = async |query: SearchTacticsRequest, fields: &[&str]| {
        let refusal = refusal(&daemon, query).await;
        assert_eq!(refusal.kind(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
        assert_eq!(refusal.fields, fields);
    };
    for query in ["", "  ", "“…”", "the", &"x".repeat(201)] {
        malformed(asking(query), &["query"]).await;
    }
    let wrong = SearchTacticsRequest {
        states: vec![0, 99],
        outcomes: vec![1, 0],
        labels: vec!["=x".into()],
        plan_ids: vec!["growth".into(), "Growth".into()],
        kinds: vec![String::new(); 65],
        tried_from: Some(from_now(10)),
        tried_before: Some(from_now(10)),
        as_of: Some(Point {
            point: Some(point::Point::Revision(1)),
        }),
        page_size: 1_001,
        ..Default::default()
    };
    let mut refusal_fields = refusal(&daemon, wrong).await.fields;
    refusal_fields.sort();
    assert_eq!(
        refusal_fields,
        [
            "as_of",
            "kinds",
            "labels[0]",
            "outcomes[1]",
            "page_size",
            "plan_ids[1]",
            "query",
            "states[0]",
            "states[1]",
            "tried_before"
        ]
    );
    let no_time = SearchTacticsRequest {
        tried_from: Some(Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        tried_before: Some(Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        ..asking("trade")
    };
    malformed(no_time, &["tried_from", "tried_before"]).await;
    let occurred = point::Point::OccurredAt(from_now(-10));
    let of_a_plan = SearchTacticsRequest {
        as_of: Some(Point {
            point: Some(occurred),
        }),
        ..asking("trade")
    };
    malformed(of_a_plan, &["as_of"]).await;

    let first = SearchTacticsRequest {
        page_size: 1,
        ..asking("trade show")
    };
    let token = search(&daemon, first.clone()).await.next_page_token;
    let with_token = |query: &str, token: &str| SearchTacticsRequest {
        page_token: token.into(),
        ..asking(query)
    };
    assert_eq!(
        search(&daemon, with_token("trade show", &token))
            .await
            .hits
            .len(),
        2
    );
    malformed(with_token("trade", &token), &["page_token"]).await;
    malformed(with_token("trade show", "nonsense"), &["page_token"]).await;
    malformed(
        with_token("trade show", &token[..token.len() - 2]),
        &["page_token"],
    )
    .await;

    let beyond = refusal(&daemon, as_of("trade", daemon.head().await + 1)).await;
    assert_eq!(beyond.kind(), (Code::OutOfRange, "BEYOND_HEAD"));
}
