//! A daemon that asks who calls, and those who call it: each by a token of its own, each call by its name
//! with its request as JSON, answered as the text of all that came.

use std::{
    fmt::{Debug, Write as _},
    fs,
    path::Path,
    sync::LazyLock,
};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use strata::{
    access::token::Token,
    proto::{
        ExecuteRequest, ExecuteStreamRequest, FILE_DESCRIPTOR_SET, WatchRequest,
        admin_service_client::AdminServiceClient, advice_service_client::AdviceServiceClient,
        audit_service_client::AuditServiceClient, execute_stream_response::Outcome,
        history_service_client::HistoryServiceClient, plan_service_client::PlanServiceClient,
        watch_response::Response as Said,
    },
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::daemon::{Daemon, PATIENCE};

/// Somebody with roles: the names of the roles, and patterns over plans.
pub(crate) type Grants = Vec<(&'static str, &'static str)>;

/// Sends a token with every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self.0.clone();
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
}

/// A channel of somebody.
type Line = InterceptedService<Channel, Bearer>;

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) name: String,
    line: Line,
}

/// What came of a call: the text of its answer, of a stream as far as it is read.
pub(crate) type Came = Result<String, Status>;

/// A daemon that asks who calls, and its callers in the order of their grants.
pub(crate) async fn asking(dir: &Path, callers: &[(&str, Grants)]) -> (Daemon, Vec<Caller>) {
    let mut file = String::new();
    let mut tokens = Vec::new();
    for (name, grants) in callers {
        let token = Token::random().expect("random bytes");
        let hash = token.hash();
        writeln!(
            file,
            "[[principal]]\nname = {name:?}\ntoken_sha256 = [\"{hash}\"]"
        )
        .expect("memory");
        let grant =
            |(role, plans): &(&str, &str)| format!("{{ roles = [{role:?}], plans = [{plans:?}] }}");
        let grants: Vec<_> = grants.iter().map(grant).collect();
        writeln!(file, "grants = [{}]", grants.join(", ")).expect("memory");
        tokens.push(token);
    }
    let path = dir.join("access.toml");
    fs::write(&path, file).expect("written");
    let path = path.to_str().expect("a path in UTF-8");
    let daemon = Daemon::start_with(&dir.join("data"), &["--access-file", path]).await;
    let channel = Endpoint::from_shared(daemon.url()).expect("a URL");
    let channel = channel.connect_lazy();
    let callers = callers.iter().zip(tokens).map(|((name, _), token)| {
        let bearer = format!("Bearer {}", token.reveal()).parse();
        let bearer = Bearer(bearer.expect("a header"));
        Caller {
            name: (*name).to_owned(),
            line: InterceptedService::new(channel.clone(), bearer),
        }
    });
    let callers = callers.collect();
    (daemon, callers)
}

/// The request of a call, read from JSON.
fn message<T: Message + Default>(rpc: &str, text: &str) -> Request<T> {
    static LANGUAGE: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the published language")
    });
    let name = match rpc {
        "ExecuteStream" => "strata.v1.ExecuteRequest".to_owned(),
        rpc => format!("strata.v1.{rpc}Request"),
    };
    let descriptor = LANGUAGE.get_message_by_name(&name).expect("a message");
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = DynamicMessage::deserialize(descriptor, &mut reader);
    let read = read.unwrap_or_else(|error| panic!("{rpc} {text}: {error}"));
    Request::new(read.transcode_to().expect("the same message"))
}

fn one<T: Debug>(answer: Result<Response<T>, Status>) -> Came {
    answer.map(|response| format!("{:?}", response.into_inner()))
}

/// All of a stream that ends.
async fn all<T: Debug>(answer: Result<Response<Streaming<T>>, Status>) -> Came {
    let (mut stream, mut text) = (answer?.into_inner(), String::new());
    while let Some(next) = stream.message().await? {
        writeln!(text, "{next:?}").expect("memory");
    }
    Ok(text)
}

impl Caller {
    pub(crate) fn plans(&self) -> PlanServiceClient<Line> {
        PlanServiceClient::new(self.line.clone())
    }

    pub(crate) fn history(&self) -> HistoryServiceClient<Line> {
        HistoryServiceClient::new(self.line.clone())
    }

    pub(crate) fn advice(&self) -> AdviceServiceClient<Line> {
        AdviceServiceClient::new(self.line.clone())
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Line> {
        AuditServiceClient::new(self.line.clone())
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Line> {
        AdminServiceClient::new(self.line.clone())
    }

    /// Makes the call of this name. A watch is read until it has caught up.
    pub(crate) async fn call(&self, rpc: &str, request: &str) -> Came {
        let called = self.answered(rpc, request);
        let answer = tokio::time::timeout(PATIENCE, called).await;
        answer.unwrap_or_else(|_| panic!("{rpc} {request} was not answered"))
    }

    async fn answered(&self, rpc: &str, request: &str) -> Came {
        match rpc {
            "Execute" => one(self.plans().execute(message(rpc, request)).await),
            "ExecuteStream" => {
                let mut answers = self
                    .execute_all(vec![message(rpc, request).into_inner()])
                    .await?;
                answers.pop().expect("an answer")
            }
            "GetPlan" => one(self.plans().get_plan(message(rpc, request)).await),
            "ListPlans" => one(self.plans().list_plans(message(rpc, request)).await),
            "ListEvents" => one(self.history().list_events(message(rpc, request)).await),
            "ReadLog" => all(self.history().read_log(message(rpc, request)).await).await,
            "Watch" => self.caught_up(message(rpc, request)).await,
            "DiffPlan" => one(self.history().diff_plan(message(rpc, request)).await),
            "ListRevisions" => one(self.history().list_revisions(message(rpc, request)).await),
            "Explain" => one(self.history().explain(message(rpc, request)).await),
            "SuggestTactic" => one(self.advice().suggest_tactic(message(rpc, request)).await),
            "ReviewPlan" => one(self.advice().review_plan(message(rpc, request)).await),
            "ListCommitments" => one(self.advice().list_commitments(message(rpc, request)).await),
            "GetReliability" => one(self.advice().get_reliability(message(rpc, request)).await),
            "GetTacticStats" => one(self.advice().get_tactic_stats(message(rpc, request)).await),
            "AssessStrategy" => one(self.advice().assess_strategy(message(rpc, request)).await),
            "SearchTactics" => one(self.advice().search_tactics(message(rpc, request)).await),
            "GetCheckpoint" => one(self.audit().get_checkpoint(message(rpc, request)).await),
            "ProveInclusion" => one(self.audit().prove_inclusion(message(rpc, request)).await),
            "ProveConsistency" => one(self.audit().prove_consistency(message(rpc, request)).await),
            "ReadRaw" => all(self.audit().read_raw(message(rpc, request)).await).await,
            "GetStatus" => one(self.admin().get_status(message(rpc, request)).await),
            "Backup" => all(self.admin().backup(message(rpc, request)).await).await,
            "ConfirmClock" => one(self.admin().confirm_clock(message(rpc, request)).await),
            "SetLogFilter" => one(self.admin().set_log_filter(message(rpc, request)).await),
            "ServerReflectionInfo" => self.reflected().await,
            other => panic!("there is no call {other}"),
        }
    }

    /// Sends requests over one stream, and answers with what came of each.
    pub(crate) async fn execute_all(
        &self,
        requests: Vec<ExecuteRequest>,
    ) -> Result<Vec<Came>, Status> {
        let requests = requests.into_iter().map(|execute| ExecuteStreamRequest {
            execute: Some(execute),
        });
        let requests: Vec<_> = requests.collect();
        let answers = self
            .plans()
            .execute_stream(tokio_stream::iter(requests))
            .await;
        let (mut answers, mut came) = (answers?.into_inner(), Vec::new());
        while let Some(answer) = answers.message().await? {
            came.push(match answer.outcome.expect("an outcome") {
                Outcome::Response(response) => Ok(format!("{response:?}")),
                Outcome::Error(error) => Err(Status::with_details(
                    Code::from(error.code),
                    error.message.clone(),
                    error.encode_to_vec().into(),
                )),
            });
        }
        Ok(came)
    }

    async fn caught_up(&self, request: Request<WatchRequest>) -> Came {
        let mut stream = self.history().watch(request).await?.into_inner();
        let mut text = String::new();
        while let Some(next) = stream.message().await? {
            // Comes by the clock.
            if matches!(next.response, Some(Said::Checkpoint(_))) {
                continue;
            }
            writeln!(text, "{next:?}").expect("memory");
            if matches!(next.response, Some(Said::CaughtUp(_))) {
                break;
            }
        }
        Ok(text)
    }

    async fn reflected(&self) -> Came {
        let request = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let mut client = ServerReflectionClient::new(self.line.clone());
        let requests = tokio_stream::iter([request]);
        all(client.server_reflection_info(requests).await).await
    }
}
