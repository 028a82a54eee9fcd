//! Requests: what is accepted of any bytes, and of any sequence of commands, is what folding the events
//! gives again, and everything that is read of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use arbitrary::Unstructured;
use bytes::Bytes;
use prost::Message as _;
use strata::{
    commit,
    domain::{
        decide::{self, Context, Decision},
        event,
        evolve::{self, fold},
        history::{History, Moment, Recorded},
        plan::Plan,
        review::Review,
        shape::{self, CheckedRequest},
        show,
        value::Time,
    },
    json,
    proto::{Commit, Event, ExecuteRequest},
};

use crate::{NOW_SECONDS, generate};

/// The plan that everything is about, and the one other plan there is, with its revision.
pub const PLAN_ID: &str = "growth";
/// The other plan.
pub const OTHER_PLAN: (&str, u64) = ("retreat", 7);

const NOW: Time = Time {
    seconds: NOW_SECONDS,
    nanos: 0,
};

/// A plan with its events.
#[derive(Clone)]
struct World {
    plan: Plan,
    events: Vec<Event>,
    now: Time,
}

/// The real course of a plan, which sets what many a command needs.
static CONTINUED: LazyLock<World> = LazyLock::new(|| {
    let mut world = World::new("healthy-weight");
    for line in include_str!("../../tests/fixtures/founding/healthy-weight.jsonl").lines() {
        let request = json::from_json(line).expect("a request");
        let checked = shape::check(request, NOW).expect("nothing wrong");
        let decision = world.execute(&checked).expect("accepted");
        world.record(&checked, decision);
    }
    world
});

/// Bytes as a request, to a plan that is not there and to one with a history.
pub fn request(bytes: &[u8]) {
    let Ok(request) = ExecuteRequest::decode(bytes) else {
        return;
    };
    let digest = shape::digest_of(request.clone());
    let Ok(checked) = shape::check(request, NOW) else {
        return;
    };
    let again = shape::check(checked.request().clone(), NOW).expect("good requests stay good");
    assert_eq!(again, checked, "a request behind the gate is as it will be");
    let stored = ExecuteRequest::decode(checked.request().encode_to_vec().as_slice());
    assert_eq!(stored.as_ref(), Ok(checked.request()));
    // Only texts of blanks are changed.
    if !bytes.iter().any(u8::is_ascii_whitespace) && bytes.is_ascii() {
        assert_eq!(checked.digest(), digest);
    }
    for world in [&World::new(&checked.request().plan_id), &CONTINUED] {
        if let Ok(decision) = world.execute(&checked) {
            world.clone().record(&checked, decision);
        }
    }
}

/// Bytes as a sequence of requests that mean something, carried out one after another.
pub fn commands(bytes: &[u8]) {
    let mut source = Unstructured::new(bytes);
    let mut world = World::new(PLAN_ID);
    for turn in 0..64 {
        if turn > 0 && source.is_empty() {
            break;
        }
        let Ok(request) = generate::request(&mut source, world.now, turn == 0) else {
            break;
        };
        let Ok(checked) = shape::check(request, world.now) else {
            continue;
        };
        if let Ok(decision) = world.execute(&checked) {
            world.record(&checked, decision);
        }
        let waited = source.arbitrary::<u16>().unwrap_or(1);
        world.now = world.now.plus_seconds(i64::from(waited) * 60);
    }
    world.is_read();
}

impl World {
    fn new(plan_id: &str) -> Self {
        Self {
            plan: Plan::unborn(plan_id.into()),
            events: Vec::new(),
            now: NOW,
        }
    }

    fn execute(&self, request: &CheckedRequest) -> Result<Decision, decide::Refusal> {
        let context = Context {
            now: self.now,
            other_plans: &|plan_id| (plan_id == OTHER_PLAN.0).then_some(OTHER_PLAN.1),
            history: &self.events,
        };
        let decided = decide::execute(&self.plan, request.request(), &context);
        if let Err(refusal) = &decided {
            assert!(!refusal.message.is_empty() && !refusal.field.is_empty());
        }
        decided
    }

    /// Records what was decided, and checks what is promised of it.
    fn record(&mut self, request: &CheckedRequest, decision: Decision) {
        let first_revision = self.plan.revision + 1;
        self.events.extend(decision.events.iter().cloned());
        assert_eq!(decision.plan, fold(self.plan.plan_id.clone(), &self.events));
        if let Some(advanced) = evolve::advance(self.plan.clone(), &decision.events) {
            assert_eq!(decision.plan, advanced);
        }
        self.plan = decision.plan;
        let commit = Commit {
            plan_id: self.plan.plan_id.to_string(),
            first_revision,
            recorded_at: Some(self.now.into()),
            actor: "anonymous".to_owned(),
            on_behalf_of: request.request().actor.clone(),
            request_id: request.request().request_id.clone(),
            request_digest: Bytes::copy_from_slice(&request.digest()),
            events: decision.events,
        };
        is_kept(&commit);
        // What is exported can be imported.
        let again = event::request_of(&commit).expect("a commit has events");
        let again = shape::check(again, self.now).expect("what was recorded may be sent again");
        assert_eq!(again.request().commands.len(), commit.events.len());
    }

    /// Everything that is derived from a plan is derived of it.
    fn is_read(&self) {
        if self.events.is_empty() {
            return;
        }
        let recorded = self.events.iter().zip(1..).map(|(event, position)| {
            Arc::new(Recorded::new(
                position,
                self.now,
                "anonymous".into(),
                "".into(),
                event.clone(),
            ))
        });
        let plan_id = self.plan.plan_id.clone();
        let history = Arc::new(History::of(plan_id, recorded.collect()));
        for revision in [1, self.plan.revision / 2, self.plan.revision] {
            if revision == 0 {
                continue;
            }
            let moment = Moment::at_revision(history.clone(), revision, self.now, revision);
            let until = usize::try_from(revision).expect("few events");
            let expected = fold(self.plan.plan_id.clone(), &self.events[..until]);
            assert_eq!(*moment.plan, expected);
            for finding in Review::of(&moment).findings(&moment, |_, _, _| true) {
                assert!(!finding.code.is_empty() && !finding.message.is_empty());
            }
            let shown = show::basic(&moment.plan);
            let shown_bytes = shown.encode_to_vec();
            let text = json::to_json(&shown).expect("a plan in JSON");
            let read: strata::proto::Plan = json::from_json(&text).expect("read again");
            assert_eq!(read.encode_to_vec(), shown_bytes);
        }
        for event in &self.events {
            let time = event.occurred_at.map(Time::from).expect("always set");
            let then = Moment::at_occurred(history.clone(), self.plan.revision, time, 1);
            if let Some(moment) = then {
                assert!(moment.plan.revision <= self.plan.revision);
                let review = Review::of(&moment);
                review.findings(&moment, |_, _, _| true).for_each(drop);
            }
            assert!(!event::summary(event).is_empty());
            assert!(!event::type_name(event).is_empty());
        }
    }
}

/// A commit is read from its bytes and from its JSON as it was.
fn is_kept(commit: &Commit) {
    let bytes = Bytes::from(commit.encode_to_vec());
    let kept = commit::decode(&bytes).expect("a commit");
    assert_eq!(&kept, commit);
    let header = commit::header(&bytes).expect("a header");
    let kinds = commit.events.iter().map(|it| 1_u64 << event::bit_of(it));
    assert_eq!(header.kinds, kinds.fold(0, |mask, bit| mask | bit));
    assert_eq!(*header.plan_id, *commit.plan_id);
    let text = json::to_json(commit).expect("a commit in JSON");
    assert_eq!(json::from_json::<Commit>(&text).ok().as_ref(), Some(commit));
    let labels: BTreeMap<u64, &Event> = commit.events.iter().map(|it| (it.revision, it)).collect();
    assert_eq!(labels.len(), commit.events.len(), "one event a revision");
}
