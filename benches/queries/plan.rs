//! What the questions are about: a plan of 5,000 events with all that a review looks at, each in a
//! commit of its own, and a hundred smaller plans so that questions over all plans have something to
//! look through.

use std::error::Error;

use serde_json::{Value, json};
use strata::{
    json::from_json,
    proto::{ExecuteRequest, plan_service_client::PlanServiceClient},
};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// The long plan.
pub(crate) const PLAN: &str = "long";
/// How many events it has.
pub(crate) const EVENTS: u64 = 5_000;
/// How many tactics it has: as many as a plan may have, but a few.
const TACTICS: u64 = 500;
/// How many strategies share them.
const STRATEGIES: u64 = 20;
/// How many other plans there are, with the real history.
const OTHERS: usize = 100;

const HISTORY: &str = include_str!("../../tests/fixtures/smallpox-india.jsonl");

/// Records all plans.
pub(crate) async fn record(url: &str) -> Result<(), Box<dyn Error>> {
    let mut plans = PlanServiceClient::new(Endpoint::from_shared(url.to_owned())?.connect().await?);
    let mut clients = JoinSet::new();
    for number in 0..OTHERS {
        clients.spawn(record_history(plans.clone(), format!("other-{number}")));
    }
    while let Some(recorded) = clients.join_next().await {
        recorded?.map_err(|failure| failure.to_string())?;
    }
    let mut author = Author::default();
    while author.revision < EVENTS {
        for request in author.next() {
            plans
                .execute(from_json::<ExecuteRequest>(&request.to_string())?)
                .await?;
        }
    }
    Ok(())
}

async fn record_history(
    mut plans: PlanServiceClient<Channel>,
    plan_id: String,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    for line in HISTORY.lines() {
        let mut request: ExecuteRequest = from_json(line)?;
        request.plan_id.clone_from(&plan_id);
        plans.execute(request).await?;
    }
    Ok(())
}

/// Writes the long plan, some commits at a time.
#[derive(Default)]
struct Author {
    revision: u64,
    tactics: u64,
    attempts: u64,
    failed: u64,
}

impl Author {
    /// What comes next: the plan's beginning, or an attempt of a tactic from its adding to its end.
    fn next(&mut self) -> Vec<Value> {
        let mut requests = Vec::new();
        if self.revision == 0 {
            self.begin(&mut requests);
        } else {
            self.attempt(&mut requests);
        }
        requests.truncate(usize::try_from(EVENTS - self.first(&requests)).unwrap_or(0));
        self.revision = self.revision.min(EVENTS);
        requests
    }

    fn first(&self, requests: &[Value]) -> u64 {
        self.revision - requests.len() as u64
    }

    fn command(
        &mut self,
        requests: &mut Vec<Value>,
        because: Option<(u64, &str)>,
        command: &Value,
    ) {
        let because: Vec<Value> = because
            .map(|(revision, role)| json!({"revision": revision.to_string(), "role": role}))
            .into_iter()
            .collect();
        requests.push(json!({
            "plan_id": PLAN,
            "request_id": format!("long-{}", self.revision),
            "expected_revision": self.revision.to_string(),
            "because": because,
            "commands": [command],
        }));
        self.revision += 1;
    }

    fn begin(&mut self, requests: &mut Vec<Value>) {
        let commands = [
            json!({"create_plan": {"title": "A long plan", "labels": {"team": "bench"}}}),
            json!({"set_objective": {"statement": "Twice as many deals by the end of the year",
                "measure": "deals", "baseline": 40, "target": 80, "unit": "deals"}}),
            json!({"define_indicator": {"indicator_id": "deals", "name": "Deals closed", "unit": "deals",
                "direction": "DIRECTION_INCREASE", "target": 80, "cadence": "604800s"}}),
        ];
        for command in commands {
            self.command(requests, None, &command);
        }
        for number in 0..STRATEGIES {
            let assumption = format!("assumption-{number}");
            self.command(
                requests,
                None,
                &json!({"state_assumption": {"assumption_id": assumption,
                "statement": "Buyers of this kind decide within a quarter", "load_bearing": true,
                "kind": "ASSUMPTION_KIND_NECESSARY"}}),
            );
            self.command(
                requests,
                None,
                &json!({"adopt_strategy": {
                "strategy_id": format!("strategy-{number}"),
                "intent": "Become the first choice of companies that change their supplier",
                "diagnosis": "Nobody knows us where the decision is taken",
                "will": ["Work on accounts that fit"], "will_not": ["Answer tenders"],
                "assumption_ids": [assumption], "indicator_ids": ["deals"]}}),
            );
        }
    }

    fn attempt(&mut self, requests: &mut Vec<Value>) {
        let tactic = format!("tactic-{}", self.attempts % TACTICS);
        let number = self.attempts % TACTICS % STRATEGIES;
        let commitment = format!("commitment-{}", self.attempts);
        if self.tactics < TACTICS {
            self.tactics += 1;
            self.command(
                requests,
                None,
                &json!({"add_tactic": {"tactic_id": tactic,
                "strategy_id": format!("strategy-{number}"), "rank": self.tactics,
                "statement": format!("Call the {} companies on list {number}", 10 + number),
                "kind": format!("kind-{}", number % 7), "cost": 1 + number,
                "assumption_ids": [format!("assumption-{number}")]}}),
            );
        }
        self.command(
            requests,
            None,
            &json!({"make_commitment": {"commitment_id": commitment,
            "tactic_id": tactic, "assignee": format!("person-{}", number % 9),
            "promise": "All calls are made", "due": "2099-01-01T00:00:00Z"}}),
        );
        self.command(
            requests,
            None,
            &json!({"try_tactic": {"tactic_id": tactic,
            "expected": "Three meetings", "confidence": 0.4, "reason": "It is its turn"}}),
        );
        let tried = self.revision;
        self.command(
            requests,
            None,
            &json!({"record_measurement": {"indicator_id": "deals",
            "value": self.attempts, "unit": "deals"}}),
        );
        let evidence = Some((tried, "CAUSE_ROLE_EVIDENCE"));
        if self.attempts.is_multiple_of(4) {
            self.command(
                requests,
                evidence,
                &json!({"succeed_tactic": {"tactic_id": tactic,
                "observed": "Four meetings"}}),
            );
        } else {
            self.command(
                requests,
                evidence,
                &json!({"fail_tactic": {"tactic_id": tactic,
                "failure": "FAILURE_EFFECT", "observed": "No meeting in four weeks"}}),
            );
            self.failed = self.revision;
        }
        self.command(
            requests,
            None,
            &json!({"keep_commitment": {"commitment_id": commitment}}),
        );
        if self.attempts % 25 == 24 {
            let revision = self.attempts / 25 / STRATEGIES + 1;
            let strategy = self.attempts / 25 % STRATEGIES;
            let trigger = Some((self.failed, "CAUSE_ROLE_TRIGGER"));
            self.command(
                requests,
                trigger,
                &json!({"revise_strategy": {
                "strategy_id": format!("strategy-{strategy}"), "parent_revision": revision,
                "intent": format!("Become the first choice of companies, for the {revision} time"),
                "diagnosis": "Nobody knows us where the decision is taken",
                "will": ["Work on accounts that fit"], "will_not": ["Answer tenders"],
                "assumption_ids": [format!("assumption-{strategy}")], "indicator_ids": ["deals"],
                "reason": "What was tried did not work"}}),
            );
        }
        self.attempts += 1;
    }
}
