//! How often tactics worked: over all plans or in one, by kind, strategy or plan, page by page as of one
//! point, and the same after a restart.

use strata::proto::{
    FailTactic, Failure, GetTacticStatsRequest, GetTacticStatsResponse, Point, StatsGrouping,
    TacticStats, command::Kind, point::Point as At,
};
use tempfile::{TempDir, tempdir};
use tonic::Code;

use crate::{
    daemon::{Daemon, create_plan},
    language::{add_tactic, adopt_strategy, commands, execute, fail_tactic, refused, try_tactic},
    suggest::{add_option, succeed_tactic},
};

const MALFORMED: (Code, &str) = (Code::InvalidArgument, "MALFORMED_REQUEST");

/// What is asked for, grouped like this.
fn by(group_by: StatsGrouping) -> GetTacticStatsRequest {
    GetTacticStatsRequest {
        group_by: group_by.into(),
        ..Default::default()
    }
}

async fn page(daemon: &Daemon, request: GetTacticStatsRequest) -> GetTacticStatsResponse {
    let answer = daemon.advice().get_tactic_stats(request).await;
    answer.expect("statistics").into_inner()
}

/// All rows, of pages of every size, each as `plan/strategy/kind s f`.
async fn rows(daemon: &Daemon, query: GetTacticStatsRequest) -> Vec<String> {
    let mut found: Option<Vec<String>> = None;
    for page_size in [1, 2, 0] {
        let mut query = GetTacticStatsRequest {
            page_size,
            ..query.clone()
        };
        let mut rows = Vec::new();
        loop {
            let answer = page(daemon, query.clone()).await;
            rows.extend(answer.rows.iter().map(told));
            query.page_token = answer.next_page_token;
            if query.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(
            found.get_or_insert_with(|| rows.clone()),
            &rows,
            "{page_size}"
        );
    }
    found.expect("rows")
}

fn told(row: &TacticStats) -> String {
    assert_eq!(row.n, row.s + row.f);
    let float = |count: u64| f64::from(u32::try_from(count).expect("a few"));
    let mean = (1.0 + float(row.s)) / (3.0 + float(row.n));
    assert!((row.posterior_mean - mean).abs() < 1e-15);
    assert!(row.interval_low < mean && mean < row.interval_high);
    let TacticStats {
        plan_id,
        strategy_id,
        kind,
        s,
        f,
        ..
    } = row;
    format!("{plan_id}/{strategy_id}/{kind} {s} {f}")
}

/// The plans `bakery` and `growth`, in which these were tried under `s` and under no strategy.
async fn with_outcomes() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    for plan_id in ["bakery", "growth"] {
        let begun = [
            create_plan(),
            adopt_strategy("s"),
            add_option("mail", "mail", 1, None),
            add_option("call", "call", 2, None),
            add_tactic("loose"),
        ];
        execute(&daemon, commands(plan_id, "begun", begun)).await;
    }
    let tried = [
        try_tactic("mail"),
        fail_tactic("mail"),
        try_tactic("mail"),
        succeed_tactic("mail"),
        try_tactic("loose"),
        fail_tactic("loose"),
    ];
    execute(&daemon, commands("growth", "tried", tried)).await;
    let breaking = Kind::FailTactic(FailTactic {
        tactic_id: "call".to_owned(),
        failure: Failure::Precondition.into(),
        observed: "No telephone".to_owned(),
        ..Default::default()
    });
    let tried = [
        try_tactic("mail"),
        succeed_tactic("mail"),
        try_tactic("call"),
        breaking,
    ];
    execute(&daemon, commands("bakery", "tried", tried)).await;
    (dir, daemon)
}

#[tokio::test]
async fn attempts_are_counted_by_kind_strategy_and_plan_also_after_a_restart() {
    let (dir, mut daemon) = with_outcomes().await;
    for _ in 0..2 {
        let kinds = rows(&daemon, by(StatsGrouping::Unspecified)).await;
        assert_eq!(kinds, ["// 0 1", "//call 0 0", "//mail 2 1"]);
        let strategies = rows(&daemon, by(StatsGrouping::Strategy)).await;
        assert_eq!(
            strategies,
            ["bakery/s/ 1 0", "growth// 0 1", "growth/s/ 1 1"]
        );
        let plans = rows(&daemon, by(StatsGrouping::Plan)).await;
        assert_eq!(plans, ["bakery// 1 0", "growth// 1 2"]);

        let mail = |group_by| GetTacticStatsRequest {
            kinds: vec!["mail".to_owned(), "nothing".to_owned(), "mail".to_owned()],
            ..by(group_by)
        };
        assert_eq!(
            rows(&daemon, mail(StatsGrouping::Kind)).await,
            ["//mail 2 1"]
        );
        let plans = rows(&daemon, mail(StatsGrouping::Plan)).await;
        assert_eq!(plans, ["bakery// 1 0", "growth// 1 1"]);
        let unnamed = GetTacticStatsRequest {
            kinds: vec![String::new()],
            ..by(StatsGrouping::Kind)
        };
        assert_eq!(rows(&daemon, unnamed).await, ["// 0 1"]);

        let of_growth = |strategy_id: &str, group_by| GetTacticStatsRequest {
            plan_id: "growth".to_owned(),
            strategy_id: strategy_id.to_owned(),
            ..by(group_by)
        };
        let kinds = rows(&daemon, of_growth("", StatsGrouping::Kind)).await;
        assert_eq!(kinds, ["// 0 1", "//mail 1 1"]);
        let kinds = rows(&daemon, of_growth("s", StatsGrouping::Kind)).await;
        assert_eq!(kinds, ["//mail 1 1"]);
        let strategies = rows(&daemon, of_growth("", StatsGrouping::Strategy)).await;
        assert_eq!(strategies, ["growth// 0 1", "growth/s/ 1 1"]);

        daemon.stop().await;
        daemon = Daemon::start(dir.path()).await;
    }
    let answer = page(&daemon, by(StatsGrouping::Kind)).await;
    assert_eq!(answer.position, 4);
    let call = answer
        .rows
        .iter()
        .find(|row| row.kind == "call")
        .expect("a row");
    assert_eq!((call.n, call.precondition_failures, call.stops), (0, 1, 0));
    let mail = answer
        .rows
        .iter()
        .find(|row| row.kind == "mail")
        .expect("a row");
    // Beta(3, 3), as SciPy has it.
    assert!(
        (mail.interval_low - 0.189_255_377_443_8).abs() < 1e-9,
        "{mail:?}"
    );
    assert!(
        (mail.interval_high - 0.810_744_622_562_2).abs() < 1e-9,
        "{mail:?}"
    );
}

#[tokio::test]
async fn statistics_travel_in_time_and_pages_hold_on_to_the_first_ones_point() {
    let (_dir, daemon) = with_outcomes().await;
    let then = |query: GetTacticStatsRequest, point| GetTacticStatsRequest {
        as_of: Some(Point { point: Some(point) }),
        ..query
    };
    let kinds = then(by(StatsGrouping::Kind), At::Position(3));
    assert_eq!(rows(&daemon, kinds).await, ["// 0 1", "//mail 1 1"]);
    let of_growth = GetTacticStatsRequest {
        plan_id: "growth".to_owned(),
        ..by(StatsGrouping::Kind)
    };
    let kinds = then(of_growth.clone(), At::Revision(7));
    assert_eq!(rows(&daemon, kinds).await, ["//mail 0 1"]);

    for query in [
        by(StatsGrouping::Kind),
        by(StatsGrouping::Strategy),
        of_growth,
    ] {
        let expected = rows(&daemon, query.clone()).await;
        let mut query = GetTacticStatsRequest {
            page_size: 1,
            ..query
        };
        let mut seen = Vec::new();
        let first = page(&daemon, query.clone()).await.position;
        loop {
            let answer = page(&daemon, query.clone()).await;
            assert_eq!(answer.position, first);
            seen.extend(answer.rows.iter().map(told));
            query.page_token = answer.next_page_token;
            if query.page_token.is_empty() {
                break;
            }
            let more = [try_tactic("mail"), fail_tactic("mail")];
            execute(&daemon, commands("growth", "", more)).await;
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_question_for_statistics_that_makes_no_sense_says_why() {
    let (_dir, daemon) = with_outcomes().await;
    let mut client = daemon.advice();
    let mut refusal = async |request| refused(client.get_tactic_stats(request).await);
    let wrong = refusal(GetTacticStatsRequest {
        strategy_id: "s".to_owned(),
        kinds: vec![String::new(); 65],
        as_of: Some(Point {
            point: Some(At::Revision(1)),
        }),
        group_by: 9,
        page_size: 1_001,
        ..Default::default()
    });
    let wrong = wrong.await;
    assert_eq!(wrong.kind(), MALFORMED);
    assert_eq!(
        wrong.fields,
        ["plan_id", "kinds", "as_of", "group_by", "page_size"]
    );
    let unknown = refusal(GetTacticStatsRequest {
        plan_id: "growth".to_owned(),
        strategy_id: "nobody".to_owned(),
        ..Default::default()
    });
    assert_eq!(unknown.await.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    let token = refusal(GetTacticStatsRequest {
        page_token: "00".to_owned(),
        ..Default::default()
    });
    assert_eq!(token.await.kind(), MALFORMED);
}
