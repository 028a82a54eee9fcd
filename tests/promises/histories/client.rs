//! A client that writes down each of its calls: sent, answered, refused, or given up.

use std::time::Duration;

use strata::proto::{
    ExecuteRequest, ExecuteStreamRequest, GetPlanRequest, ListEventsRequest, ListPlansRequest,
    ReadLogRequest, WatchRequest, execute_stream_response, history_service_client,
    plan_service_client, watch_request, watch_response::Response,
};
use tonic::{Status, transport::Channel};

use super::record::{Call, History, Moment, Outcome, Read, Recorder, Request, Unknown, Watching};
use crate::daemon::Daemon;

/// How a call may end before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It does not.
    Endless,
    /// By a deadline that the daemon is told.
    Deadline(Duration),
    /// The client drops the call.
    Drop(Duration),
}

/// A client of one daemon.
#[derive(Clone)]
pub(super) struct Client {
    id: usize,
    recorder: Recorder,
    plans: plan_service_client::PlanServiceClient<Channel>,
    history: history_service_client::HistoryServiceClient<Channel>,
}

impl Client {
    pub(super) fn new(daemon: &Daemon, recorder: &Recorder, id: usize) -> Self {
        Self {
            id,
            recorder: recorder.clone(),
            plans: daemon.plans(),
            history: daemon.history(),
        }
    }

    /// The same under another name.
    pub(super) fn named(&self, id: usize) -> Self {
        Self { id, ..self.clone() }
    }

    pub(super) async fn execute(&self, request: ExecuteRequest, patience: Patience) -> Outcome {
        let mut sent = tonic::Request::new(request.clone());
        if let Patience::Deadline(deadline) = patience {
            sent.set_timeout(deadline);
        }
        let mut plans = self.plans.clone();
        let invoked = self.recorder.now();
        let call = plans.execute(sent);
        let answer = match patience {
            Patience::Endless | Patience::Deadline(_) => Ok(call.await),
            Patience::Drop(after) => tokio::time::timeout(after, call).await,
        };
        let outcome = match answer {
            Ok(answer) => of_answer(answer, Outcome::Executed),
            Err(_) => Outcome::Unknown(Unknown::Cancelled),
        };
        self.note(invoked, None, Request::Execute(request), outcome)
    }

    /// Sends requests by one stream without waiting, and returns what came of each.
    pub(super) async fn pipeline(&self, requests: Vec<ExecuteRequest>) -> Vec<Outcome> {
        let pipeline = self.recorder.now();
        let (moments, mut sent) = tokio::sync::mpsc::unbounded_channel();
        let recorder = self.recorder.clone();
        let stream = requests.clone().into_iter().map(move |request| {
            // Nobody listens any more when the daemon is gone.
            let _gone = moments.send(recorder.now()).is_err();
            ExecuteStreamRequest {
                execute: Some(request),
            }
        });
        let answers = self
            .plans
            .clone()
            .execute_stream(tokio_stream::iter(stream))
            .await;
        let mut answers = answers.map(tonic::Response::into_inner).ok();
        let mut outcomes = Vec::new();
        for request in requests {
            let answer = match &mut answers {
                Some(stream) => stream.message().await.ok().flatten(),
                None => None,
            };
            if answer.is_none() {
                answers = None;
            }
            // What was not taken by the stream was not sent, unless it is sent from now on.
            let invoked = sent.try_recv().unwrap_or_else(|_| self.recorder.now());
            let outcome = match answer.and_then(|answer| answer.outcome) {
                Some(execute_stream_response::Outcome::Response(response)) => {
                    Outcome::Executed(response)
                }
                Some(execute_stream_response::Outcome::Error(error)) => Outcome::of_error(&error),
                None => Outcome::Unknown(Unknown::Lost),
            };
            let request = Request::Execute(request);
            outcomes.push(self.note(invoked, Some(pipeline), request, outcome));
        }
        outcomes
    }

    pub(super) async fn get_plan(&self, request: GetPlanRequest) -> Outcome {
        let invoked = self.recorder.now();
        let answer = self.plans.clone().get_plan(request.clone()).await;
        let outcome = of_answer(answer, |shown| Outcome::Plan(Box::new(shown)));
        self.note(invoked, None, Request::GetPlan(request), outcome)
    }

    pub(super) async fn list_plans(&self, request: ListPlansRequest) -> Outcome {
        let invoked = self.recorder.now();
        let answer = self.plans.clone().list_plans(request.clone()).await;
        let outcome = of_answer(answer, Outcome::Plans);
        self.note(invoked, None, Request::ListPlans(request), outcome)
    }

    pub(super) async fn list_events(&self, request: ListEventsRequest) -> Outcome {
        let invoked = self.recorder.now();
        let answer = self.history.clone().list_events(request.clone()).await;
        let outcome = of_answer(answer, Outcome::Events);
        self.note(invoked, None, Request::ListEvents(request), outcome)
    }

    pub(super) async fn read_log(&self, request: ReadLogRequest) -> Outcome {
        let invoked = self.recorder.now();
        let mut read = Read::default();
        let streamed = self.stream_log(request.clone(), &mut read).await;
        let outcome = match streamed {
            Err(status) if read.entries.is_empty() => Outcome::of_status(&status),
            Ok(()) | Err(_) => {
                read.whole = streamed.is_ok();
                Outcome::Entries(read)
            }
        };
        self.note(invoked, None, Request::ReadLog(request), outcome)
    }

    async fn stream_log(&self, request: ReadLogRequest, read: &mut Read) -> Result<(), Status> {
        let stream = self.history.clone().read_log(request).await?;
        let mut stream = stream.into_inner();
        while let Some(response) = stream.message().await? {
            read.entries.extend(response.entries);
            read.position = response.position;
        }
        Ok(())
    }

    /// Watches until the daemon is gone or `enough` says so of what came. `from` is the first
    /// position that may come. Returns the request by which to go on, and from where.
    pub(super) async fn watch(
        &self,
        request: WatchRequest,
        from: u64,
        enough: impl Fn(&Response) -> bool,
    ) -> (WatchRequest, u64) {
        let watching = Watching {
            invoked: self.recorder.now(),
            request: request.clone(),
            from,
            messages: Vec::new(),
        };
        let mut index = 0;
        self.recorder.note(|history| {
            index = history.watches.len();
            history.watches.push(watching);
        });
        let (mut resume, mut next) = (request.clone(), from);
        let Ok(stream) = self.history.clone().watch(request).await else {
            return (resume, next);
        };
        let mut stream = stream.into_inner();
        while let Ok(Some(message)) = stream.message().await {
            let response = message.response.expect("a response");
            let moment = self.recorder.now();
            let message = (moment, response.clone());
            self.recorder
                .note(|history| history.watches[index].messages.push(message));
            if let Some((start, after)) = place(&response) {
                resume.start = Some(start);
                next = after;
            }
            if enough(&response) {
                break;
            }
        }
        (resume, next)
    }

    fn note(
        &self,
        invoked: Moment,
        pipeline: Option<Moment>,
        request: Request,
        outcome: Outcome,
    ) -> Outcome {
        let call = Call {
            client: self.id,
            invoked,
            returned: self.recorder.now(),
            pipeline,
            request,
            outcome: outcome.clone(),
        };
        self.recorder
            .note(|history: &mut History| history.calls.push(call));
        outcome
    }
}

/// Where a watch goes on that ends after this.
fn place(response: &Response) -> Option<(watch_request::Start, u64)> {
    match response {
        Response::Entries(entries) => {
            let after = entries.entries.last()?.position + 1;
            Some((watch_request::Start::FromPosition(after), after))
        }
        Response::Checkpoint(checkpoint) => {
            let start = watch_request::Start::Bookmark(checkpoint.bookmark.clone());
            Some((start, checkpoint.position + 1))
        }
        Response::CaughtUp(_) => None,
    }
}

fn of_answer<T>(
    answer: Result<tonic::Response<T>, Status>,
    outcome: impl FnOnce(T) -> Outcome,
) -> Outcome {
    match answer {
        Ok(response) => outcome(response.into_inner()),
        Err(status) => Outcome::of_status(&status),
    }
}
