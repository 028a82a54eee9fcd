//! The words that tests speak with a daemon: commands and requests, the calls that most of them
//! make, and what a refusal says to programs.

use std::{
    collections::HashMap,
    fmt::Debug,
    time::{SystemTime, UNIX_EPOCH},
};

use prost_types::Timestamp;
use strata::proto::{
    AddTactic, AdoptStrategy, Cause, CauseRole, Command, CorrectEvent, Direction, Event,
    ExecuteRequest, ExecuteResponse, FailTactic, Failure, GetPlanRequest, GetPlanResponse,
    LogEntry, NoteRecorded, Point, ReadLogRequest, RecordMeasurement, TryTactic, command::Kind,
    event, plan_service_client::PlanServiceClient, point,
};
use tempfile::{TempDir, tempdir};
use tonic::{Code, Response, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::daemon::{Daemon, create_plan, note, request};

/// What a status says to programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    /// The reason of its `ErrorInfo`.
    pub(crate) reason: String,
    /// The metadata of its `ErrorInfo`.
    pub(crate) metadata: HashMap<String, String>,
    /// The paths of the fields in its `BadRequest`.
    pub(crate) fields: Vec<String>,
}

impl Refused {
    /// Code and reason together, as most tests ask for both.
    pub(crate) fn kind(&self) -> (Code, &str) {
        (self.code, &self.reason)
    }

    /// One entry of the metadata; empty: there is none.
    pub(crate) fn metadata(&self, key: &str) -> &str {
        self.metadata.get(key).map_or("", String::as_str)
    }
}

/// What a call was refused with. Every refusal says its reason in our domain and has words.
#[track_caller]
pub(crate) fn refused<T: Debug>(answer: Result<Response<T>, Status>) -> Refused {
    reading(&answer.expect_err("it is refused"))
}

/// What a status says.
#[track_caller]
pub(crate) fn reading(status: &Status) -> Refused {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    assert_eq!(info.domain, "strata.v1", "{status:?}");
    assert!(!status.message().is_empty(), "{status:?}");
    let bad_request = status.get_details_bad_request();
    let violations = bad_request.map_or_else(Vec::new, |details| details.field_violations);
    for violation in &violations {
        assert!(!violation.description.is_empty(), "{status:?}");
    }
    Refused {
        code: status.code(),
        reason: info.reason,
        metadata: info.metadata,
        fields: violations.into_iter().map(|it| it.field).collect(),
    }
}

/// Has a request recorded.
pub(crate) async fn execute(daemon: &Daemon, request: ExecuteRequest) -> ExecuteResponse {
    let answer = daemon.plans().execute(request).await;
    answer.expect("recorded").into_inner()
}

/// The position of the commit in an answer.
pub(crate) fn position(answer: &ExecuteResponse) -> u64 {
    answer.entry.as_ref().expect("an entry").position
}

/// A plan as it is now.
pub(crate) async fn get_plan(daemon: &Daemon, plan_id: &str) -> GetPlanResponse {
    let request = GetPlanRequest {
        plan_id: plan_id.to_owned(),
        ..Default::default()
    };
    let answer = daemon.plans().get_plan(request).await;
    answer.expect("shown").into_inner()
}

/// A question for a plan as it was.
pub(crate) fn plan_as_of(plan_id: &str, point: point::Point) -> GetPlanRequest {
    GetPlanRequest {
        plan_id: plan_id.to_owned(),
        as_of: Some(Point { point: Some(point) }),
        ..Default::default()
    }
}

/// A request with several commands.
pub(crate) fn commands<const N: usize>(
    plan_id: &str,
    request_id: &str,
    commands: [Kind; N],
) -> ExecuteRequest {
    ExecuteRequest {
        plan_id: plan_id.to_owned(),
        request_id: request_id.to_owned(),
        commands: commands.map(|kind| Command { kind: Some(kind) }).to_vec(),
        ..Default::default()
    }
}

/// A cause that made something happen.
pub(crate) fn cause(plan_id: &str, revision: u64) -> Cause {
    Cause {
        plan_id: plan_id.to_owned(),
        revision,
        role: CauseRole::Trigger.into(),
    }
}

/// The command that adopts a strategy.
pub(crate) fn adopt_strategy(strategy_id: &str) -> Kind {
    Kind::AdoptStrategy(AdoptStrategy {
        strategy_id: strategy_id.to_owned(),
        intent: "Win those who know us already".to_owned(),
        ..Default::default()
    })
}

/// The command that adds a tactic without a strategy.
pub(crate) fn add_tactic(tactic_id: &str) -> Kind {
    Kind::AddTactic(AddTactic {
        tactic_id: tactic_id.to_owned(),
        statement: "Hand out samples".to_owned(),
        ..Default::default()
    })
}

/// The command that begins an attempt.
pub(crate) fn try_tactic(tactic_id: &str) -> Kind {
    Kind::TryTactic(TryTactic {
        tactic_id: tactic_id.to_owned(),
        ..Default::default()
    })
}

/// The command that ends an attempt as failed.
pub(crate) fn fail_tactic(tactic_id: &str) -> Kind {
    Kind::FailTactic(FailTactic {
        tactic_id: tactic_id.to_owned(),
        failure: Failure::Effect.into(),
        observed: "Nobody came back".to_owned(),
        ..Default::default()
    })
}

/// The command that defines an indicator in pieces.
pub(crate) fn define_indicator(indicator_id: &str) -> Kind {
    Kind::DefineIndicator(strata::proto::DefineIndicator {
        indicator_id: indicator_id.to_owned(),
        name: "Loaves sold".to_owned(),
        unit: "pieces".to_owned(),
        direction: Direction::Increase.into(),
        ..Default::default()
    })
}

/// The command that records a value of an indicator in pieces.
pub(crate) fn measure(indicator_id: &str, value: f64) -> Kind {
    Kind::RecordMeasurement(RecordMeasurement {
        indicator_id: indicator_id.to_owned(),
        value: Some(value),
        unit: "pieces".to_owned(),
        ..Default::default()
    })
}

/// The command that corrects a note about the plan.
pub(crate) fn correct_note(revision: u64, text: &str) -> Kind {
    let corrected = NoteRecorded {
        subject: "plan".to_owned(),
        text: text.to_owned(),
    };
    Kind::CorrectEvent(CorrectEvent {
        revision,
        replacement: Some(Event {
            kind: Some(event::Kind::NoteRecorded(corrected)),
            ..Default::default()
        }),
        reason: "A slip of the pen".to_owned(),
        ..Default::default()
    })
}

/// A connection of one's own to write over.
pub(crate) async fn connect(daemon: &Daemon) -> PlanServiceClient<Channel> {
    let connected = PlanServiceClient::connect(daemon.url()).await;
    connected.expect("connected")
}

/// The whole log, as `ReadLog` streams it.
pub(crate) async fn read_log(daemon: &Daemon, request: ReadLogRequest) -> Vec<LogEntry> {
    let answer = daemon.history().read_log(request).await.expect("streamed");
    let mut stream = answer.into_inner();
    let mut entries = Vec::new();
    while let Some(response) = stream.message().await.expect("read") {
        if let Some(last) = response.entries.last() {
            assert!(
                last.position <= response.position,
                "what was sent was announced"
            );
        }
        entries.extend(response.entries);
    }
    entries
}

/// The same point of the same clock, some seconds away from now.
pub(crate) fn from_now(seconds: i64) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("a clock after 1970").as_secs();
    Timestamp {
        seconds: i64::try_from(since).expect("a clock of our time") + seconds,
        nanos: 0,
    }
}

/// A daemon with the plans `growth`, at revision 3 with a tactic, and `bakery`, at revision 1.
pub(crate) async fn with_plans() -> (TempDir, Daemon) {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let begun = [create_plan(), add_tactic("samples"), note("Begun")];
    execute(&daemon, commands("growth", "begun", begun)).await;
    execute(&daemon, request("bakery", "begun", create_plan())).await;
    (dir, daemon)
}

pub(crate) async fn refusal_of(daemon: &Daemon, request: ExecuteRequest) -> Refused {
    refused(daemon.plans().execute(request).await)
}

/// Expects that a request is malformed in these fields, and that nothing comes of it.
pub(crate) async fn malformed(daemon: &Daemon, request: ExecuteRequest, fields: &[&str]) {
    let refusal = refusal_of(daemon, request).await;
    assert_eq!(
        refusal.kind(),
        (Code::InvalidArgument, "MALFORMED_REQUEST"),
        "{fields:?}"
    );
    assert_eq!(refusal.fields, fields);
}
