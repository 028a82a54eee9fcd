//! Plans as the world writes them: the requests of the real history, told again and again under new
//! ids for as long as a plan goes on, so that kinds of events, causes, corrections and lengths of
//! texts keep its proportions; and lengths of plans with a long tail.

use std::{collections::HashMap, error::Error, sync::Arc};

use serde_json::Value;
use strata::{json, proto::ExecuteRequest};

const HISTORY: &str = include_str!("../../tests/fixtures/smallpox-india.jsonl");

/// How often the history is told in the longest plan: a plan has room for 64 strategies, one of
/// which is adopted each time.
const TELLINGS: usize = 63;
/// Half of the plans have fewer commits than the real history, half have more.
const MEDIAN_COMMITS: f64 = 40.0;
/// How far the lengths of plans are spread: the logarithm's standard deviation. The mean is twice the
/// median with this, and one plan in a hundred has more than 600 commits.
const SPREAD: f64 = 1.2;

/// What names a thing of the plan; told again it is another thing.
const IDS: [&str; 9] = [
    "strategy_id",
    "tactic_id",
    "assumption_id",
    "evidence_id",
    "commitment_id",
    "proposal_id",
    "assumption_ids",
    "retire_tactic_ids",
    "suspected_assumption_ids",
];

/// The requests of the longest plan, in order; every shorter plan is a beginning of it.
#[derive(Clone)]
pub(crate) struct Story(Arc<[ExecuteRequest]>);

impl Story {
    /// Reads the real history and tells it again.
    pub(crate) fn tell() -> Result<Self, Box<dyn Error>> {
        let history: Vec<Value> = HISTORY
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let mut story = Vec::new();
        for telling in 0..TELLINGS {
            tell_once(&history, telling, &mut story)?;
        }
        Ok(Self(story.into()))
    }

    /// How many commits the longest plan has.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The request of a plan's commit number `at`, from 0.
    pub(crate) fn request(&self, plan_id: &str, at: usize) -> ExecuteRequest {
        ExecuteRequest {
            plan_id: plan_id.to_owned(),
            request_id: format!("{plan_id}-{at}"),
            ..self.0[at].clone()
        }
    }
}

fn tell_once(
    history: &[Value],
    telling: usize,
    story: &mut Vec<ExecuteRequest>,
) -> Result<(), Box<dyn Error>> {
    // Where each revision of the history is found in this telling.
    let mut revisions = HashMap::new();
    for (revision, request) in (1_u64..).zip(history) {
        let command = &request["commands"][0];
        let ends = command.get("archive_plan").is_some();
        let only_once = ["create_plan", "define_indicator", "replace_indicator"]
            .iter()
            .any(|name| command.get(name).is_some());
        if ends || (only_once && telling > 0) {
            continue;
        }
        let mut request = request.clone();
        if telling > 0 {
            tell_again(&mut request, telling);
        }
        shift(&mut request, &revisions);
        request["expected_revision"] = story.len().into();
        story.push(json::from_json(&request.to_string())?);
        revisions.insert(revision, story.len() as u64);
    }
    Ok(())
}

/// Gives the things of a request the ids of a later telling.
fn tell_again(value: &mut Value, telling: usize) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if IDS.contains(&name.as_str()) {
                    rename(field, telling);
                } else if name == "indicator_id" || name == "indicator_ids" {
                    live_on(field);
                } else {
                    tell_again(field, telling);
                }
            }
            if fields.contains_key("measure") {
                fields.insert("reason".into(), format!("Round {telling}.").into());
            }
            if fields.get("unit").is_some_and(|unit| unit == "cases") {
                fields.insert("unit".into(), "outbreaks".into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| tell_again(item, telling)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rename(value: &mut Value, telling: usize) {
    match value {
        Value::String(id) => *id = format!("{id}-{telling}"),
        Value::Array(ids) => ids.iter_mut().for_each(|id| rename(id, telling)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}

/// The first telling replaces its indicator, and the second one lives on.
fn live_on(value: &mut Value) {
    match value {
        Value::String(id) => "pending-outbreaks".clone_into(id),
        Value::Array(ids) => ids.iter_mut().for_each(live_on),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}

/// Points causes and corrections at the revisions of this telling.
fn shift(value: &mut Value, revisions: &HashMap<u64, u64>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let revision = match field {
                    Value::String(text) => text.parse().ok(),
                    Value::Number(number) => number.as_u64(),
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
                };
                match revision.filter(|_| name == "revision") {
                    Some(revision) => *field = revisions[&revision].to_string().into(),
                    None => shift(field, revisions),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, revisions)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Draws the lengths of plans: log-normal, and the same ones each time.
pub(crate) struct Lengths {
    state: u64,
    longest: usize,
}

impl Lengths {
    /// Lengths up to that of the longest plan.
    pub(crate) fn new(longest: usize) -> Self {
        Self { state: 1, longest }
    }

    /// The next plan's length in commits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is bounded by the longest plan"
    )]
    pub(crate) fn draw(&mut self) -> usize {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.uniform()).cos();
        let commits = MEDIAN_COMMITS * (SPREAD * normal).exp();
        (commits.min(1e6) as usize).clamp(1, self.longest)
    }

    /// A number between 0 and 1, neither of them (splitmix64).
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit an f64")]
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        ((bits >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }
}
