//! Given what was recorded, when a command comes, then this happens or that is refused.

use std::collections::BTreeSet;

use super::{Context, Decision, Refusal, execute};
use crate::{
    domain::{evolve::fold, plan::Plan, value::Time},
    proto::{self, Cause, ErrorReason, Event, command::Kind as Asked, event::Kind},
};

pub(super) mod commands;

/// The plan of all tests.
pub(super) const PLAN_ID: &str = "growth";
/// Another plan, at revision 7; there is no third.
pub(super) const OTHER_PLAN: (&str, u64) = ("retreat", 7);
/// When the first command of a test is recorded, in seconds.
pub(super) const BEGIN: i64 = 1_000_000;
/// How long after each other commands are recorded.
pub(super) const STEP_SECONDS: i64 = 10;

/// A plan, its history, and the clock.
#[derive(Clone)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) history: Vec<Event>,
    pub(super) now: Time,
}

/// A world in which these commands were accepted, each in a request of its own.
#[track_caller]
pub(super) fn given(commands: impl IntoIterator<Item = Asked>) -> World {
    let world = World {
        plan: Plan::unborn(PLAN_ID.into()),
        history: Vec::new(),
        now: at(BEGIN),
    };
    world.and(commands)
}

/// A world in which a plan was created and these commands were accepted after that.
#[track_caller]
pub(super) fn given_plan(commands: impl IntoIterator<Item = Asked>) -> World {
    given([commands::create()]).and(commands)
}

impl World {
    /// Goes on with commands that must be accepted.
    #[track_caller]
    pub(super) fn and(mut self, commands: impl IntoIterator<Item = Asked>) -> Self {
        for command in commands {
            let shown = format!("{command:?}");
            let decision = self.execute(&request([command]));
            let decision = decision.unwrap_or_else(|it| panic!("{shown} is refused: {it:?}"));
            self.accept(decision);
        }
        self
    }

    /// Goes on with many commands that must be accepted, in one request at one time.
    #[track_caller]
    pub(super) fn and_at_once(mut self, commands: impl IntoIterator<Item = Asked>) -> Self {
        let decision = self.execute(&request(commands));
        self.accept(decision.unwrap_or_else(|it| panic!("refused: {it:?}")));
        self
    }

    /// Sets the clock, in seconds.
    pub(super) fn at(mut self, seconds: i64) -> Self {
        self.now = at(seconds);
        self
    }

    pub(super) fn when(&self, command: Asked) -> Outcome {
        self.when_requested(&request([command]))
    }

    pub(super) fn when_requested(&self, request: &proto::ExecuteRequest) -> Outcome {
        Outcome(self.execute(request))
    }

    pub(super) fn execute(&self, request: &proto::ExecuteRequest) -> Result<Decision, Refusal> {
        let context = Context {
            now: self.now,
            other_plans: &|plan_id| (plan_id == OTHER_PLAN.0).then_some(OTHER_PLAN.1),
            history: &self.history,
        };
        execute(&self.plan, request, &context)
    }

    /// Records a decision, and checks that its plan is the fold of its events.
    #[track_caller]
    pub(super) fn accept(&mut self, decision: Decision) {
        self.history.extend(decision.events);
        assert_eq!(decision.plan, fold(PLAN_ID.into(), &self.history));
        self.plan = decision.plan;
        self.now = self.now.plus_seconds(STEP_SECONDS);
    }
}

/// What a request came to.
#[derive(Debug)]
pub(super) struct Outcome(pub(super) Result<Decision, Refusal>);

impl Outcome {
    /// The one event was this.
    #[track_caller]
    pub(super) fn then(self, kind: &Kind) {
        assert_eq!(self.events()[0].kind.as_ref(), Some(kind));
    }

    /// The plan is this.
    #[track_caller]
    pub(super) fn then_plan(self) -> Plan {
        self.0
            .unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
            .plan
    }

    /// The events are these.
    #[track_caller]
    pub(super) fn events(self) -> Vec<Event> {
        self.0
            .unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
            .events
    }

    /// It was refused for this reason, because of this field, naming this.
    #[track_caller]
    pub(super) fn then_refused(
        self,
        reason: ErrorReason,
        field: &str,
        metadata: &[(&'static str, &str)],
    ) {
        let refusal = self.0.expect_err("it is refused");
        assert_eq!(
            (refusal.reason, refusal.field.as_str()),
            (reason, field),
            "{refusal:?}"
        );
        let named = metadata
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        assert_eq!(refusal.metadata, named);
        is_told_as_promised(&refusal);
    }
}

/// Checks that a refusal is a sentence and names what the published language promises.
#[track_caller]
pub(super) fn is_told_as_promised(refusal: &Refusal) {
    assert!(refusal.message.ends_with('.'), "{refusal:?}");
    let named: BTreeSet<_> = refusal.metadata.keys().copied().collect();
    assert_eq!(named, promised_metadata(refusal.reason), "{refusal:?}");
}

/// What the comment of the reason in `errors.proto` says that its metadata names.
fn promised_metadata(reason: ErrorReason) -> BTreeSet<&'static str> {
    let published = include_str!("../../../proto/strata/v1/errors.proto");
    let (before, _) = published
        .split_once(&format!("{} = ", reason.as_str_name()))
        .expect("the reason is published");
    let comment = before.rsplit(';').next().unwrap_or_default();
    let Some((_, promise)) = comment.split_once("(metadata") else {
        return BTreeSet::new();
    };
    let (promise, _) = promise.split_once(')').expect("the promise ends");
    promise.split('`').skip(1).step_by(2).collect()
}

/// A request with these commands and nothing else.
pub(super) fn request(commands: impl IntoIterator<Item = Asked>) -> proto::ExecuteRequest {
    proto::ExecuteRequest {
        plan_id: PLAN_ID.to_owned(),
        commands: commands
            .into_iter()
            .map(|kind| proto::Command { kind: Some(kind) })
            .collect(),
        ..proto::ExecuteRequest::default()
    }
}

/// A cause in the plan itself.
pub(super) fn cause(revision: u64, role: proto::CauseRole) -> Cause {
    Cause {
        plan_id: String::new(),
        revision,
        role: role as i32,
    }
}

/// A time, in seconds.
pub(super) fn at(seconds: i64) -> Time {
    Time { seconds, nanos: 0 }
}

/// A time as requests carry it, in seconds.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the fields of messages are optional"
)]
pub(super) fn timestamp(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(at(seconds).into())
}
