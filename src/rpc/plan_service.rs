//! `PlanService`: writing plans and showing what they are.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use prost::Message as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tonic::{Request, Response, Status, Streaming};

use super::{
    BATCH_BYTES, Core, Gate, as_of,
    call::{self, Call},
    gate::Rights,
    noted, page,
    query::Checks,
    queue_deadline,
    status::{self, malformed_field},
    stopping, working,
};
use crate::{
    access::rights::Rpc,
    domain::{permits::Permits, plan::Plan, show, value::Id},
    proto::{
        self, ExecuteRequest, ExecuteResponse, ExecuteStreamRequest, ExecuteStreamResponse,
        GetPlanRequest, GetPlanResponse, ListPlansRequest, ListPlansResponse, PlanState,
        PlanSummary, PlanView, execute_stream_response::Outcome, plan_service_server::PlanService,
    },
    view::{View, ViewError, directory::DirectoryEntry},
    writer::{Answer, ExecuteError, Lane, Pending, QUEUE_WAIT},
};

/// How many requests of one stream are on their way at most.
const STREAM_IN_FLIGHT_MAX: usize = 1_024;
/// And how many bytes they have: a stream whose answers are not read is not taken from for ever. An
/// answer has about the bytes of its request.
const STREAM_IN_FLIGHT_BYTES: u32 = 4 << 20;
/// How many plans the directory hands over at a time.
const SCAN_PLANS: usize = 256;
/// How many plans one page looks at, at most; a page that matches little ends early.
const SCANNED_PLANS_MAX: usize = 20_000;
/// The longest text to search for, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// The service.
pub struct Plans {
    gate: Gate,
}

impl Plans {
    /// The service behind a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

/// What a stream of requests has come to.
enum Step {
    /// A request on its way, and its share of the stream's bytes.
    Answer(Box<Pending>, OwnedSemaphorePermit),
    /// A message of the stream that held no request.
    Refused(Status),
    /// The stream ends with this status.
    End(Status),
}

#[tonic::async_trait]
impl PlanService for Plans {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::Execute)?;
        let rights = caller.rights();
        let core = caller.core()?;
        let deadline = queue_deadline(&request);
        let request = request.into_inner();
        rights.check_execute(&request)?;
        let pending = core.writer.submit(request, rights.actor(), deadline).await;
        noted::course(pending.course());
        Ok(Response::new(respond(pending.answer().await)?))
    }

    type ExecuteStreamStream =
        Pin<Box<dyn Stream<Item = Result<ExecuteStreamResponse, Status>> + Send>>;

    async fn execute_stream(
        &self,
        request: Request<Streaming<ExecuteStreamRequest>>,
    ) -> Result<Response<Self::ExecuteStreamStream>, Status> {
        let caller = self.gate.caller(&request, Rpc::ExecuteStream)?;
        let core = caller.core()?.clone();
        let (steps, mut taken) = mpsc::channel(STREAM_IN_FLIGHT_MAX);
        let (gate, rights) = (self.gate.clone(), caller.rights().clone());
        tokio::spawn(noted::also(take_requests(
            gate,
            core,
            Call::current(),
            rights,
            request.into_inner(),
            steps,
        )));
        let answers = async_stream::try_stream! {
            while let Some(step) = taken.recv().await {
                let outcome = match step {
                    Step::Answer(pending, _share) => match respond(pending.answer().await) {
                        Ok(response) => Outcome::Response(response),
                        Err(refused) => Outcome::Error(to_proto(&refused)),
                    },
                    Step::Refused(refused) => Outcome::Error(to_proto(&refused)),
                    Step::End(end) => Err(end)?,
                };
                yield ExecuteStreamResponse { outcome: Some(outcome) };
            }
        };
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_plan(
        &self,
        request: Request<GetPlanRequest>,
    ) -> Result<Response<GetPlanResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::GetPlan)?;
        let request = request.into_inner();
        let mut check = Checks::default();
        check.id("plan_id", &request.plan_id);
        let point = check.point("as_of", request.as_of);
        let view = PlanView::try_from(request.view).unwrap_or_else(|_| {
            check.fault("view", format!("{} is no PlanView", request.view));
            PlanView::Unspecified
        });
        check.finish()?;
        let plan = caller.plan(&request.plan_id)?;
        let core = caller.core_at(request.min_position).await?;
        let Some(point) = point else {
            let (folded, position) = core.plan(plan).await?;
            return Ok(match view {
                PlanView::Basic => shown(view, &folded.plan, position, false),
                PlanView::Unspecified | PlanView::Full => {
                    let plan = core.view.shown(&folded);
                    Response::new(GetPlanResponse::of_encoded(plan, position, false))
                }
            });
        };
        let answer = as_of::ask(core, plan, Some(point), move |_, asked| {
            Ok(shown(
                view,
                &asked.moment.plan,
                asked.position,
                asked.inside_commit,
            ))
        });
        answer.await
    }

    async fn list_plans(
        &self,
        request: Request<ListPlansRequest>,
    ) -> Result<Response<ListPlansResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ListPlans)?;
        let mut query = request.into_inner();
        let mut check = Checks::default();
        let filter = ListFilter::of(&query, &mut check);
        let page_size = page::size(&mut check, query.page_size);
        check.finish()?;
        let token = std::mem::take(&mut query.page_token);
        let min_position = std::mem::take(&mut query.min_position);
        query.page_size = 0;
        let place = page::place(&query, &token)?;
        let core = caller.core_at(min_position).await?;

        let after = match place.map(String::from_utf8).transpose() {
            Ok(after) => after.map(|after| Id::from(after.as_str())),
            Err(_) => return Err(page::no_token()),
        };
        let listing = Listing {
            query,
            filter,
            page_size,
            permits: caller.permits(),
        };
        // Thousands of texts may be searched: not on a thread that serves others.
        let view = core.view.clone();
        let response = working(move || listing.read(&view, after)).await?;
        Ok(Response::new(response))
    }
}

/// One page to be read.
struct Listing {
    /// The query that its token is bound to.
    query: ListPlansRequest,
    filter: ListFilter,
    page_size: usize,
    permits: Permits,
}

impl Listing {
    fn read(&self, view: &View, mut after: Option<Id>) -> Result<ListPlansResponse, ViewError> {
        // What the first plans show is what the whole answer is sure to reflect.
        let (mut plans, position) = view.page(after.as_ref(), SCAN_PLANS);
        let mut response = ListPlansResponse {
            position,
            ..ListPlansResponse::default()
        };
        let (mut scanned, mut bytes) = (0, 0);
        while let Some((last, _)) = plans.last() {
            call::go_on()?;
            let last = last.clone();
            for (plan_id, entry) in plans {
                // Walked past uncounted: no token may name a plan that is hidden.
                if !self.permits.hold(&plan_id) {
                    continue;
                }
                let full = response.plans.len() == self.page_size || bytes >= BATCH_BYTES;
                if full || scanned == SCANNED_PLANS_MAX {
                    let place = after.as_deref().unwrap_or_default();
                    response.next_page_token = page::token(&self.query, place.as_bytes());
                    return Ok(response);
                }
                scanned += 1;
                if self.filter.takes(&plan_id, &entry) {
                    let summary = summary(&plan_id, &entry);
                    bytes += summary.encoded_len();
                    response.plans.push(summary);
                }
                after = Some(plan_id);
            }
            (plans, _) = view.page(Some(&last), SCAN_PLANS);
        }
        Ok(response)
    }
}

/// Hands the requests of a stream in, one after another, and passes on what is to be awaited.
async fn take_requests(
    gate: Gate,
    core: Arc<Core>,
    call: Call,
    rights: Rights,
    mut requests: Streaming<ExecuteStreamRequest>,
    steps: mpsc::Sender<Step>,
) {
    let mut lane = core.writer.lane();
    let shares = Arc::new(Semaphore::new(STREAM_IN_FLIGHT_BYTES as usize));
    loop {
        let next = async {
            let message = requests.message().await.map_err(status::documented)?;
            // A stream whose caller sends too much is taken from at the rate that it may have.
            if message.is_some() {
                call.paced().await;
            }
            Ok(message)
        };
        let message = tokio::select! {
            // While messages come, the others are only looked at below, which costs no lock.
            biased;
            message = next => message,
            () = gate.stopping().cancelled() => Err(stopping()),
            refused = rights.withdrawn(&call) => Err(refused),
            // Nobody takes answers any more.
            () = steps.closed() => return,
        };
        let message = if gate.stopping().is_cancelled() {
            Err(stopping())
        } else {
            message
        };
        let step = match message {
            Ok(None) => return,
            Err(end) => Step::End(end),
            Ok(Some(ExecuteStreamRequest { execute: None })) => {
                Step::Refused(malformed_field("execute", "required"))
            }
            Ok(Some(ExecuteStreamRequest {
                execute: Some(request),
            })) => {
                // No message is larger than all shares, and nobody closes the semaphore.
                let bytes = u32::try_from(request.encoded_len()).unwrap_or(u32::MAX);
                let bytes = bytes.min(STREAM_IN_FLIGHT_BYTES);
                let Ok(share) = shares.clone().acquire_many_owned(bytes).await else {
                    return;
                };
                noted::one_of_plans(&request.plan_id);
                // It may have waited for its turn, and its caller's rights may be others by now.
                match rights.renewed().await {
                    Err(end) => Step::End(end),
                    Ok(rights) => hand_in(&mut lane, &rights, request, share).await,
                }
            }
        };
        let ends = matches!(step, Step::End(_));
        if steps.send(step).await.is_err() || ends {
            return;
        }
    }
}

/// Hands one request in, if its caller may make it.
async fn hand_in(
    lane: &mut Lane,
    rights: &Rights,
    request: ExecuteRequest,
    share: OwnedSemaphorePermit,
) -> Step {
    if let Err(refused) = rights.check_execute(&request) {
        return Step::Refused(refused);
    }
    let deadline = Instant::now() + QUEUE_WAIT;
    let pending = lane.submit(request, rights.actor(), deadline).await;
    Step::Answer(Box::new(pending), share)
}

fn respond(answer: Result<Answer, ExecuteError>) -> Result<ExecuteResponse, Status> {
    let Answer {
        entry,
        revision,
        replayed,
    } = answer.map_err(status::of_execute)?;
    Ok(ExecuteResponse {
        entry: Some(entry),
        revision,
        replayed,
    })
}

/// The status as a message: its details are one already.
fn to_proto(status: &Status) -> tonic_types::pb::Status {
    tonic_types::pb::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::pb::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// Encoded where it was made: what is made on one thread and taken apart on another costs both.
fn shown(
    view: PlanView,
    plan: &Plan,
    position: u64,
    inside_commit: bool,
) -> Response<GetPlanResponse> {
    let plan = match view {
        PlanView::Basic => show::basic(plan),
        PlanView::Unspecified | PlanView::Full => proto::Plan::from(plan),
    };
    let plan = plan.encode_to_vec().into();
    Response::new(GetPlanResponse::of_encoded(plan, position, inside_commit))
}

/// Which plans a list takes.
struct ListFilter {
    archived: Option<bool>,
    /// Names, with values where one is asked for.
    labels: Vec<(String, Option<String>)>,
    text: String,
}

impl ListFilter {
    fn of(query: &ListPlansRequest, check: &mut Checks) -> Self {
        let archived = match PlanState::try_from(query.state) {
            Ok(PlanState::Unspecified) => None,
            Ok(PlanState::Active) => Some(false),
            Ok(PlanState::Archived) => Some(true),
            Err(_) => {
                check.fault("state", format!("{} is no PlanState", query.state));
                None
            }
        };
        check.filters("labels", query.labels.len());
        for (number, label) in query.labels.iter().enumerate() {
            if label.split('=').next().is_none_or(str::is_empty) {
                check.fault(format!("labels[{number}]"), "say `name` or `name=value`");
            }
        }
        if query.text.chars().count() > TEXT_CHARS_MAX {
            check.fault(
                "text",
                format!("it has more than {TEXT_CHARS_MAX} characters"),
            );
        }
        let labels = query
            .labels
            .iter()
            .map(|label| match label.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (label.clone(), None),
            });
        Self {
            archived,
            labels: labels.collect(),
            text: query.text.to_lowercase(),
        }
    }

    fn takes(&self, plan_id: &Id, entry: &DirectoryEntry) -> bool {
        let labelled = |(name, value): &(String, Option<String>)| {
            let found = entry.description.labels.get(name);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        };
        self.archived
            .is_none_or(|archived| archived == entry.archived)
            && self.labels.iter().all(labelled)
            && (self.text.is_empty() || entry.mentions(plan_id, &self.text))
    }
}

fn summary(plan_id: &Id, entry: &DirectoryEntry) -> PlanSummary {
    let state = if entry.archived {
        PlanState::Archived
    } else {
        PlanState::Active
    };
    PlanSummary {
        plan_id: plan_id.to_string(),
        revision: entry.revision,
        state: state.into(),
        title: entry.description.title.clone(),
        summary: entry.description.summary.clone(),
        labels: entry.description.labels.clone(),
        objective: entry.objective.clone(),
        last_position: entry.last_position,
        last_recorded_at: Some(entry.last_recorded_at.into()),
    }
}
