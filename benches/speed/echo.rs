//! The bare server: tonic and the same messages with nothing behind them. Its answers were given by
//! the daemon before and are read from files, so that both servers send the same bytes.

use std::{collections::BTreeMap, error::Error, fs, path::Path, pin::Pin};

use futures_util::{Stream, StreamExt as _, stream};
use prost::Message;
use strata::proto::{
    DiffPlanRequest, DiffPlanResponse, ExecuteRequest, ExecuteResponse, ExecuteStreamRequest,
    ExecuteStreamResponse, ExplainRequest, ExplainResponse, GetPlanRequest, GetPlanResponse,
    ListEventsRequest, ListEventsResponse, ListPlansRequest, ListPlansResponse,
    ListRevisionsRequest, ListRevisionsResponse, ReadLogRequest, ReadLogResponse, WatchRequest,
    WatchResponse,
    execute_stream_response::Outcome,
    history_service_server::{HistoryService, HistoryServiceServer},
    plan_service_server::{PlanService, PlanServiceServer},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

/// The file of the answer to Execute.
pub(crate) const EXECUTE: &str = "execute.answer";
/// The file of the answer to `GetPlan` of plans whose names begin like the file's.
pub(crate) const PLAN: &str = "typical.plan";
/// The file of the first message that `ReadLog` answers with.
pub(crate) const LOG: &str = "log.answer";

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves the answers in a directory on a free port, which it says on stderr as the daemon does.
pub(crate) async fn serve(answers: &Path) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!(r#"{{"address":"{}"}}"#, listener.local_addr()?);
    let plans = EchoPlans {
        execute: read(&answers.join(EXECUTE))?,
        plans: plans(answers)?,
    };
    let history = EchoHistory {
        log: read(&answers.join(LOG))?,
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .add_service(PlanServiceServer::new(plans))
        .add_service(HistoryServiceServer::new(history))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

fn read<T: Message + Default>(path: &Path) -> Result<T, Box<dyn Error>> {
    Ok(T::decode(fs::read(path)?.as_slice())?)
}

/// The answers to `GetPlan`, with plans that are encoded already, as the daemon keeps them for who asks again.
fn plans(answers: &Path) -> Result<BTreeMap<String, GetPlanResponse>, Box<dyn Error>> {
    let mut plans = BTreeMap::new();
    for file in fs::read_dir(answers)? {
        let path = file?.path();
        if path.extension().is_some_and(|it| it == "plan") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let answer: GetPlanResponse = read(&path)?;
            let plan = answer.plan.unwrap_or_default().encode_to_vec();
            let encoded = GetPlanResponse::of_encoded(plan.into(), answer.position, false);
            plans.insert(name.into_owned(), encoded);
        }
    }
    Ok(plans)
}

struct EchoPlans {
    execute: ExecuteResponse,
    /// By what the names of the plans begin with.
    plans: BTreeMap<String, GetPlanResponse>,
}

#[tonic::async_trait]
impl PlanService for EchoPlans {
    async fn execute(
        &self,
        _request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        Ok(Response::new(self.execute.clone()))
    }

    type ExecuteStreamStream = Answers<ExecuteStreamResponse>;

    async fn execute_stream(
        &self,
        request: Request<Streaming<ExecuteStreamRequest>>,
    ) -> Result<Response<Self::ExecuteStreamStream>, Status> {
        let answer = self.execute.clone();
        let answers = request.into_inner().map(move |request| {
            request.map(|_| ExecuteStreamResponse {
                outcome: Some(Outcome::Response(answer.clone())),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_plan(
        &self,
        request: Request<GetPlanRequest>,
    ) -> Result<Response<GetPlanResponse>, Status> {
        let plan_id = request.into_inner().plan_id;
        let kind = plan_id.split('-').next().unwrap_or_default();
        let answer = self.plans.get(kind);
        let answer = answer.ok_or_else(|| Status::not_found("there is no such answer"))?;
        Ok(Response::new(answer.clone()))
    }

    async fn list_plans(
        &self,
        _request: Request<ListPlansRequest>,
    ) -> Result<Response<ListPlansResponse>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }
}

struct EchoHistory {
    log: ReadLogResponse,
}

#[tonic::async_trait]
impl HistoryService for EchoHistory {
    async fn list_events(
        &self,
        _request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }

    type ReadLogStream = Answers<ReadLogResponse>;

    /// Sends the one message again and again until there are as many entries as were asked for.
    async fn read_log(
        &self,
        request: Request<ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        let entries = usize::try_from(request.into_inner().to_position).unwrap_or(usize::MAX);
        let messages = entries.div_ceil(self.log.entries.len().max(1));
        let log = self.log.clone();
        let answers = stream::repeat_with(move || Ok(log.clone())).take(messages);
        Ok(Response::new(Box::pin(answers)))
    }

    type WatchStream = Answers<WatchResponse>;

    async fn watch(
        &self,
        _request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }

    async fn diff_plan(
        &self,
        _request: Request<DiffPlanRequest>,
    ) -> Result<Response<DiffPlanResponse>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }

    async fn list_revisions(
        &self,
        _request: Request<ListRevisionsRequest>,
    ) -> Result<Response<ListRevisionsResponse>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }

    async fn explain(
        &self,
        _request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("it is not measured"))
    }
}
