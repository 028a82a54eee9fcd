//! Whether a strategy does the right things, and does things right: on a real history, whose end is known.

use strata::proto::{
    AssessStrategyRequest, AssessStrategyResponse, AssessedAxis, AxisVerdict, Point, Quadrant,
    point::Point as At,
};
use tempfile::tempdir;
use tonic::Code;

use crate::{
    daemon::Daemon,
    language::refused,
    suggest::{HISTORY, imported},
};

fn asked(strategy_id: &str, as_of: Option<At>) -> AssessStrategyRequest {
    AssessStrategyRequest {
        plan_id: "smallpox-india".to_owned(),
        strategy_id: strategy_id.to_owned(),
        as_of: as_of.map(|point| Point { point: Some(point) }),
        ..Default::default()
    }
}

async fn assessed(daemon: &Daemon, request: AssessStrategyRequest) -> AssessStrategyResponse {
    let answer = daemon.advice().assess_strategy(request).await;
    answer.expect("an assessment").into_inner()
}

/// What an observation is about, whether it holds, the revisions behind it.
type Told<'a> = (&'a str, bool, Vec<u64>);

/// Its verdict, and each observation.
fn told(axis: Option<&AssessedAxis>) -> (AxisVerdict, Vec<Told<'_>>) {
    let axis = axis.expect("an axis");
    let told = axis.observations.iter().map(|it| {
        let revisions = it.events.iter().map(|event| event.revision).collect();
        (&*it.subject, it.holds, revisions)
    });
    (axis.verdict(), told.collect())
}

#[tokio::test]
async fn an_efficient_tactic_does_not_make_a_strategy_right() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--import", HISTORY]).await;
    imported(&daemon).await;

    // The needle works well; whether vaccinating everybody does cannot be told.
    let then = assessed(&daemon, asked("", Some(At::Revision(17)))).await;
    assert_eq!((then.revision, then.position), (17, 40));
    let [assessment] = &then.assessments[..] else {
        panic!("one strategy: {then:?}");
    };
    assert_eq!(assessment.strategy_id, "stop-transmission");
    assert_eq!(assessment.quadrant(), Quadrant::Unknown);
    let right_things = vec![
        ("assumptions/coverage-80", true, vec![4]),
        ("indicators/cases", false, vec![10]),
    ];
    assert_eq!(
        told(assessment.right_things.as_ref()),
        (AxisVerdict::Unknown, right_things)
    );
    let things_right = vec![
        ("tactics/mass-campaign", false, vec![7, 11]),
        ("tactics/jet-guns", false, vec![9, 14]),
        ("tactics/bifurcated-needle", true, vec![16, 17]),
    ];
    assert_eq!(
        told(assessment.things_right.as_ref()),
        (AxisVerdict::Fails, things_right)
    );
    assert_eq!(
        assessment.summary,
        "Whether it does the right things is not known: observed 2, needed 3; it does not do things \
         right."
    );

    // At the end outbreaks go down; the search that was stopped and the promise for no tactic say nothing.
    let end = assessed(&daemon, asked("stop-transmission", Some(At::Revision(40)))).await;
    let assessment = &end.assessments[0];
    let right_things = vec![
        ("assumptions/contain-contacts", true, vec![12, 13]),
        ("indicators/pending-outbreaks", true, vec![30, 37]),
    ];
    assert_eq!(
        told(assessment.right_things.as_ref()),
        (AxisVerdict::Unknown, right_things)
    );
    let things_right = vec![
        ("tactics/mass-campaign", false, vec![7, 11]),
        ("tactics/jet-guns", false, vec![9, 14]),
        ("tactics/bifurcated-needle", true, vec![16, 17]),
        ("tactics/reward", true, vec![34, 36]),
    ];
    assert_eq!(
        told(assessment.things_right.as_ref()),
        (AxisVerdict::Holds, things_right)
    );
    assert_eq!(assessment.quadrant(), Quadrant::Unknown);
    assert_eq!(assessed(&daemon, asked("", None)).await, end);

    daemon.stop().await;
    let daemon = Daemon::start(dir.path()).await;
    assert_eq!(
        assessed(&daemon, asked("", Some(At::Revision(17)))).await,
        then
    );
}

#[tokio::test]
async fn a_strategy_that_is_not_there_is_not_assessed() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start_with(dir.path(), &["--import", HISTORY]).await;
    imported(&daemon).await;
    let mut client = daemon.advice();
    let mut refusal = async |request| refused(client.assess_strategy(request).await);
    let unknown = refusal(asked("nobody", None)).await;
    assert_eq!(unknown.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    assert_eq!(unknown.metadata("subject"), "strategies/nobody");
    let too_early = refusal(asked("stop-transmission", Some(At::Revision(4)))).await;
    assert_eq!(too_early.kind(), (Code::NotFound, "SUBJECT_NOT_FOUND"));
    let wrong = AssessStrategyRequest {
        plan_id: "A".to_owned(),
        ..asked("B", Some(At::Revision(0)))
    };
    assert_eq!(
        refusal(wrong).await.fields,
        ["plan_id", "strategy_id", "as_of"]
    );
}
