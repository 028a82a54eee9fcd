//! `HistoryService`: what happened.

use std::{collections::BTreeMap, ops::Range, pin::Pin, sync::Arc};

use futures_util::Stream;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{
    BATCH_BYTES, Core, Gate, as_of, call,
    log_stream::{self, Start},
    page,
    query::Checks,
    status::{self, of_view, quoted},
    working,
};
use crate::{
    access::rights::Rpc,
    domain::{
        event,
        value::{Subject, Time},
    },
    proto::{
        Commit, DiffPlanRequest, DiffPlanResponse, Event, ExplainRequest, ExplainResponse,
        ListEventsRequest, ListEventsResponse, ListRevisionsRequest, ListRevisionsResponse,
        ReadLogRequest, ReadLogResponse, RecordedEvent, WatchRequest, WatchResponse,
        history_service_server::HistoryService, point::Point,
    },
    view::{View, ViewError, plans::Folded},
};

mod diff;
mod explain;
mod revisions;

/// How many commits are read at a time.
const READ_COMMITS: usize = 64;
/// How many commits one page looks at, at most; a page that matches little ends early.
const SCANNED_COMMITS_MAX: usize = 4_096;

/// The service.
pub struct History {
    gate: Gate,
}

impl History {
    /// The service behind a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

#[tonic::async_trait]
impl HistoryService for History {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ListEvents)?;
        let mut query = request.into_inner();
        let mut check = Checks::default();
        check.id("plan_id", &query.plan_id);
        let filter = EventFilter::of(&query, &mut check);
        let span = Span {
            from: check.point("from", query.from),
            to: check.point("to", query.to),
        };
        let page_size = page::size(&mut check, query.page_size);
        check.finish()?;
        let token = std::mem::take(&mut query.page_token);
        let min_position = std::mem::take(&mut query.min_position);
        query.page_size = 0;
        let place = match page::place(&query, &token)? {
            Some(place) => Some(place.try_into().map_err(|_| page::no_token())?),
            None => None,
        };
        let place = place.map(u64::from_be_bytes);
        let plan = caller.plan(&query.plan_id)?;
        let core = caller.core_at(min_position).await?.clone();
        let (folded, position) = core.plan(plan).await?;
        let newest_first = query.newest_first;
        let listed = working(move || {
            let read = || {
                let listing = Listing {
                    filter,
                    window: span
                        .window(&core, &folded, position)?
                        .after(place, newest_first),
                    newest_first,
                    page_size,
                };
                listing
                    .read(&core.view, &folded)
                    .map_err(|error| of_view(&error))
            };
            Ok(read())
        });
        let (events, last) = listed.await??;
        let next_page_token =
            last.map_or_else(String::new, |last| page::token(&query, &last.to_be_bytes()));
        Ok(Response::new(ListEventsResponse {
            events,
            next_page_token,
            position,
        }))
    }

    async fn diff_plan(
        &self,
        request: Request<DiffPlanRequest>,
    ) -> Result<Response<DiffPlanResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::DiffPlan)?;
        diff::answer(&caller, request.into_inner()).await
    }

    async fn list_revisions(
        &self,
        request: Request<ListRevisionsRequest>,
    ) -> Result<Response<ListRevisionsResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::ListRevisions)?;
        revisions::answer(&caller, request.into_inner()).await
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let caller = self.gate.caller(&request, Rpc::Explain)?;
        explain::answer(&caller, request.into_inner()).await
    }

    type ReadLogStream = Pin<Box<dyn Stream<Item = Result<ReadLogResponse, Status>> + Send>>;

    async fn read_log(
        &self,
        request: Request<ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        let caller = self.gate.caller(&request, Rpc::ReadLog)?;
        let request = request.into_inner();
        let mut check = Checks::default();
        let start = Start::of(request.start, &mut check);
        let filter = log_stream::filter(&request.plan_ids, &request.event_types, &mut check);
        check.finish()?;
        let filter = log_stream::permitted(filter, &caller)?;
        let core = caller.core_at(request.min_position).await?.clone();
        let head = core.feed.head();
        let to = match request.to_position {
            0 => head,
            to if to > head => return Err(status::beyond_head("position", to, head)),
            to => to,
        };
        let from = start.resolve(&core).await?;
        let stream = log_stream::read_log(self.gate.clone(), core, filter, from, to);
        Ok(Response::new(Box::pin(stream)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = self.gate.caller(&request, Rpc::Watch)?;
        let request = request.into_inner();
        let mut check = Checks::default();
        let start = Start::of(request.start.map(Into::into), &mut check);
        let filter = log_stream::filter(&request.plan_ids, &request.event_types, &mut check);
        check.finish()?;
        let filter = log_stream::permitted(filter, &caller)?;
        let core = caller.core_at(request.min_position).await?.clone();
        let from = start.resolve(&core).await?;
        Ok(Response::new(Box::pin(log_stream::watch(
            self.gate.clone(),
            core,
            filter,
            from,
        ))))
    }
}

/// Between which points a listing looks.
struct Span {
    from: Option<Point>,
    to: Option<Point>,
}

impl Span {
    /// What it covers.
    fn window(&self, core: &Core, folded: &Folded, head: u64) -> Result<Window, Status> {
        for point in self.from.iter().chain(&self.to) {
            check_reached(core, *point, folded, head)?;
        }
        let last = folded.plan.revision;
        let first_after = |position| {
            let index = &folded.index;
            let next = index.get(index.commits_up_to(position));
            next.map_or(last + 1, |entry| entry.first_revision)
        };
        let recorded_before = |time: Time| {
            let first = log_stream::first_recorded_from(&core.view, time, head);
            first
                .map(|first| first - 1)
                .map_err(|error| of_view(&error))
        };
        let start = match self.from {
            None | Some(Point::OccurredAt(_)) => 1,
            Some(Point::Revision(revision)) => revision,
            Some(Point::Position(position)) => first_after(position - 1),
            Some(Point::RecordedAt(time)) => first_after(recorded_before(time.into())?),
        };
        let end = match self.to {
            None | Some(Point::OccurredAt(_)) => last + 1,
            Some(Point::Revision(revision)) => revision + 1,
            Some(Point::Position(position)) => first_after(position),
            Some(Point::RecordedAt(time)) => first_after(recorded_before(Time::from(time).next())?),
        };
        Ok(Window {
            revisions: start..end,
            occurred: self.occurred(core, folded)?,
        })
    }

    /// When the events have occurred that it takes.
    fn occurred(&self, core: &Core, folded: &Folded) -> Result<Occurred, Status> {
        let time = |point: Option<Point>| match point {
            Some(Point::OccurredAt(time)) => Some(Time::from(time)),
            Some(Point::Revision(_) | Point::Position(_) | Point::RecordedAt(_)) | None => None,
        };
        let (from, to) = (time(self.from), time(self.to));
        let corrected = if from.is_some() || to.is_some() {
            let history = core.view.history(folded).map_err(|error| of_view(&error))?;
            history.corrected_times(folded.plan.revision)
        } else {
            BTreeMap::new()
        };
        Ok(Occurred {
            from,
            to,
            corrected,
        })
    }
}

/// Refuses a point that lies beyond what there is.
fn check_reached(core: &Core, point: Point, folded: &Folded, head: u64) -> Result<(), Status> {
    let last = folded.plan.revision;
    match point {
        Point::Revision(revision) if revision > last => {
            Err(status::beyond_head("revision", revision, last))
        }
        Point::Position(position) if position > head => {
            Err(status::beyond_head("position", position, head))
        }
        Point::RecordedAt(time) | Point::OccurredAt(time) => {
            as_of::past(core, time.into()).map(|_| ())
        }
        Point::Revision(_) | Point::Position(_) => Ok(()),
    }
}

/// What a listing looks at.
struct Window {
    revisions: Range<u64>,
    occurred: Occurred,
}

impl Window {
    /// What is left of it: a page goes on where the one before ended, whatever was recorded since.
    fn after(mut self, place: Option<u64>, newest_first: bool) -> Self {
        let revisions = &mut self.revisions;
        match place {
            Some(last) if newest_first => revisions.end = last.min(revisions.end),
            Some(last) => revisions.start = last.saturating_add(1).max(revisions.start),
            None => {}
        }
        self
    }
}

/// Between which times an event occurred, as far as that is asked.
struct Occurred {
    from: Option<Time>,
    to: Option<Time>,
    /// The times that hold of events whose time was corrected, by revision.
    corrected: BTreeMap<u64, Time>,
}

impl Occurred {
    fn takes(&self, event: &Event) -> bool {
        let recorded = event.occurred_at.map_or_else(Time::default, Time::from);
        let at = *self.corrected.get(&event.revision).unwrap_or(&recorded);
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }
}

/// Which events a listing takes.
struct EventFilter {
    kinds: u64,
    subjects: Vec<Subject>,
    actors: Vec<String>,
}

impl EventFilter {
    fn of(query: &ListEventsRequest, check: &mut Checks) -> Self {
        let kinds = check.kinds("event_types", &query.event_types);
        check.filters("subjects", query.subjects.len());
        check.filters("actors", query.actors.len());
        let mut subjects = Vec::new();
        for (number, text) in query.subjects.iter().enumerate() {
            if let Some(subject) = Subject::parse(text) {
                subjects.push(subject);
            } else {
                let description = format!(
                    "plan, objective, or strategies/, tactics/, assumptions/, indicators/ or \
                     commitments/ and an id; found {}",
                    quoted(text)
                );
                check.fault(format!("subjects[{number}]"), description);
            }
        }
        Self {
            kinds,
            subjects,
            actors: query.actors.clone(),
        }
    }

    fn takes(&self, commit: &Commit, event: &Event) -> bool {
        let is_sender = |actor: &String| {
            *actor == commit.actor || (*actor == commit.on_behalf_of && !actor.is_empty())
        };
        (self.kinds == u64::MAX || self.kinds & (1 << event::bit_of(event)) != 0)
            && (self.actors.is_empty() || self.actors.iter().any(is_sender))
            && (self.subjects.is_empty()
                || self
                    .subjects
                    .iter()
                    .any(|subject| event::is_about(event, subject)))
    }
}

/// One page to be read.
struct Listing {
    filter: EventFilter,
    window: Window,
    newest_first: bool,
    page_size: usize,
}

impl Listing {
    /// The events, and the last revision looked at if there are more to look at.
    fn read(
        &self,
        view: &View,
        folded: &Arc<Folded>,
    ) -> Result<(Vec<RecordedEvent>, Option<u64>), ViewError> {
        let mut events: Vec<RecordedEvent> = Vec::new();
        if self.window.revisions.is_empty() {
            return Ok((events, None));
        }
        let mut bytes = 0;
        let mut last = None;
        let first = folded
            .index
            .holding_revision(self.window.revisions.start)
            .unwrap_or(0);
        let end = folded
            .index
            .holding_revision(self.window.revisions.end - 1)
            .map_or(0, |n| n + 1);
        let mut numbers = first..end;
        let mut scanned = 0;
        while !numbers.is_empty() {
            call::go_on()?;
            for stored in view.commits(folded, self.next_numbers(&mut numbers))? {
                for event in self.in_order(&stored.commit.events) {
                    if events.len() == self.page_size || bytes >= BATCH_BYTES {
                        return Ok((events, last));
                    }
                    last = Some(event.revision);
                    if self.window.occurred.takes(event) && self.filter.takes(&stored.commit, event)
                    {
                        let recorded = recorded(folded, stored.position, &stored.commit, event);
                        bytes += recorded.encoded_len();
                        events.push(recorded);
                    }
                }
                scanned += 1;
            }
            if scanned >= SCANNED_COMMITS_MAX && !numbers.is_empty() {
                return Ok((events, last));
            }
        }
        Ok((events, None))
    }

    /// The next few commits in the order of the listing.
    fn next_numbers(&self, left: &mut Range<usize>) -> Vec<usize> {
        let count = left.len().min(READ_COMMITS);
        if self.newest_first {
            left.end -= count;
            (left.end..left.end + count).rev().collect()
        } else {
            left.start += count;
            (left.start - count..left.start).collect()
        }
    }

    /// The commit's events within the revisions, in the order of the listing.
    fn in_order<'a>(&'a self, events: &'a [Event]) -> impl Iterator<Item = &'a Event> {
        let wanted = |event: &&Event| self.window.revisions.contains(&event.revision);
        let (forward, backward) = if self.newest_first {
            (0, events.len())
        } else {
            (events.len(), 0)
        };
        events
            .iter()
            .take(forward)
            .chain(events.iter().rev().take(backward))
            .filter(wanted)
    }
}

fn recorded(folded: &Folded, position: u64, commit: &Commit, event: &Event) -> RecordedEvent {
    let amendment = folded.plan.amendments.get(&event.revision);
    RecordedEvent {
        position,
        recorded_at: commit.recorded_at,
        actor: commit.actor.clone(),
        on_behalf_of: commit.on_behalf_of.clone(),
        request_id: commit.request_id.clone(),
        r#type: event::type_name(event).to_owned(),
        summary: event::summary(event),
        corrected_by: amendment.map_or(0, |amendment| amendment.revision()),
        event: Some(event.clone()),
    }
}
