//! The good clients: they write and read plans of their own, and wait for each answer.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use strata::proto::{ExecuteRequest, GetPlanRequest, plan_service_client::PlanServiceClient};
use tokio::task::JoinSet;
use tonic::{Request, Status, transport::Channel};

use crate::{Failure, seen::Seen, writing};

/// A client begins a new plan after so many commits.
const PLAN_COMMITS: u64 = 200;

/// A client that calls again and again.
#[derive(Clone)]
pub(crate) struct Client {
    plans: PlanServiceClient<Channel>,
    token: String,
    /// How long after one call it makes the next; nothing: at once.
    every: Option<Duration>,
    /// Of so many calls one reads.
    reads_each: u64,
    /// Whether it goes on when it is refused.
    is_stubborn: bool,
}

impl Client {
    /// One that writes as fast as it is answered.
    pub(crate) fn busy(channel: Channel, token: String) -> Self {
        Self {
            plans: PlanServiceClient::new(channel),
            token,
            every: None,
            reads_each: u64::MAX,
            is_stubborn: false,
        }
    }

    /// One of a principal that writes and reads a few times a second.
    pub(crate) fn modest(channel: Channel, token: String, every: Duration) -> Self {
        Self {
            every: Some(every),
            reads_each: 2,
            is_stubborn: true,
            ..Self::busy(channel, token)
        }
    }

    /// Calls for a while.
    async fn call_for(mut self, time: Duration) -> Result<Seen, Failure> {
        let began = Instant::now();
        let mut author = Author::default();
        let mut seen = Seen::default();
        for number in 1.. {
            if began.elapsed() >= time {
                break;
            }
            let asked = Instant::now();
            let outcome = if number % self.reads_each == 0 {
                self.read(&author).await
            } else {
                self.write(&mut author).await
            };
            match outcome {
                Ok(()) => seen.latencies.push(asked.elapsed()),
                Err(_) if self.is_stubborn => seen.failed += 1,
                Err(refused) => return Err(refused.into()),
            }
            if let Some(every) = self.every {
                tokio::time::sleep(every.saturating_sub(asked.elapsed())).await;
            }
        }
        seen.took = began.elapsed();
        Ok(seen)
    }

    async fn write(&mut self, author: &mut Author) -> Result<(), Status> {
        let call = self.call(author.write())?;
        self.plans.execute(call).await?;
        author.revision += 1;
        Ok(())
    }

    async fn read(&mut self, author: &Author) -> Result<(), Status> {
        let call = self.call(GetPlanRequest {
            plan_id: author.plan_id.clone(),
            ..GetPlanRequest::default()
        })?;
        self.plans.get_plan(call).await?;
        Ok(())
    }

    fn call<T>(&self, message: T) -> Result<Request<T>, Status> {
        call_of(&self.token, message)
    }
}

/// A call of whoever has a token.
pub(crate) fn call_of<T>(token: &str, message: T) -> Result<Request<T>, Status> {
    let mut call = Request::new(message);
    let bearer = format!("Bearer {token}").parse();
    let bearer = bearer.map_err(|_| Status::internal("the token is no header"))?;
    call.metadata_mut().insert("authorization", bearer);
    Ok(call)
}

/// Lets clients call side by side for a while.
pub(crate) async fn call_for(clients: &[Client], time: Duration) -> Result<Seen, Failure> {
    let mut calling = JoinSet::new();
    for client in clients {
        calling.spawn(client.clone().call_for(time));
    }
    let mut seen = Seen::default();
    while let Some(ended) = calling.join_next().await {
        seen.join(ended??);
    }
    Ok(seen)
}

/// Writes plans, one after another.
#[derive(Default)]
struct Author {
    plan_id: String,
    revision: u64,
}

impl Author {
    /// The next request.
    fn write(&mut self) -> ExecuteRequest {
        static PLANS: AtomicU64 = AtomicU64::new(0);
        if self.plan_id.is_empty() || self.revision == PLAN_COMMITS {
            self.plan_id = format!("plan-{}", PLANS.fetch_add(1, Ordering::Relaxed));
            self.revision = 0;
        }
        ExecuteRequest {
            expected_revision: None,
            ..writing::request(&self.plan_id, self.revision)
        }
    }
}
