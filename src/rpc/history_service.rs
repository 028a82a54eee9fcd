//! `HistoryService`: what happened.

use std::{ops::Range, pin::Pin, sync::Arc};

use futures_util::Stream;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{
    BATCH_BYTES, Gate, blocking,
    log_stream::{self, Start},
    page,
    plan_service::required_id,
    status::{self, malformed, malformed_field, quoted},
};
use crate::{
    domain::{event, shape::Violation, value::Subject},
    proto::{
        Commit, Event, ListEventsRequest, ListEventsResponse, Point, ReadLogRequest,
        ReadLogResponse, RecordedEvent, WatchRequest, WatchResponse,
        history_service_server::HistoryService, point, read_log_request, watch_request,
    },
    view::{View, ViewError, plans::Folded},
};

/// How many commits are read at a time.
const READ_COMMITS: usize = 64;
/// How many commits one page looks at, at most; a page that matches little ends early.
const SCANNED_COMMITS_MAX: usize = 4_096;
/// The longest list of filters.
const FILTERS_MAX: usize = 64;

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
        let mut query = request.into_inner();
        required_id("plan_id", &query.plan_id)?;
        let filter = EventFilter::check(&query)?;
        let page_size = page::size(query.page_size)?;
        let token = std::mem::take(&mut query.page_token);
        let min_position = std::mem::take(&mut query.min_position);
        query.page_size = 0;
        let place = match page::place(&query, &token)? {
            Some(place) => Some(place.try_into().map_err(|_| page::no_token())?),
            None => None,
        };
        let core = self.gate.core_at(min_position).await?;
        let (folded, position) = core.plan(&query.plan_id).await?;
        let mut revisions = revisions(&query, &folded, position)?;
        // A page goes on where the one before ended, whatever was recorded since.
        match place.map(u64::from_be_bytes) {
            Some(last) if query.newest_first => revisions.end = last.min(revisions.end),
            Some(last) => revisions.start = last.saturating_add(1).max(revisions.start),
            None => {}
        }
        let listing = Listing {
            filter,
            revisions,
            newest_first: query.newest_first,
            page_size,
        };
        let core = core.clone();
        let (events, last) = blocking(move || listing.read(&core.view, &folded)).await?;
        let next_page_token =
            last.map_or_else(String::new, |last| page::token(&query, &last.to_be_bytes()));
        Ok(Response::new(ListEventsResponse {
            events,
            next_page_token,
            position,
        }))
    }

    type ReadLogStream = Pin<Box<dyn Stream<Item = Result<ReadLogResponse, Status>> + Send>>;

    async fn read_log(
        &self,
        request: Request<ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        let request = request.into_inner();
        let filter = log_stream::filter(&request.plan_ids, &request.event_types)?;
        if request.start == Some(read_log_request::Start::FromNow(false)) {
            return Err(from_now_is_false());
        }
        let core = self.gate.core_at(request.min_position).await?.clone();
        let head = core.feed.head();
        let to = match request.to_position {
            0 => head,
            to if to > head => return Err(status::beyond_head("position", to, head)),
            to => to,
        };
        let from = Start::from(request.start).resolve(&core).await?;
        let stream = log_stream::read_log(self.gate.clone(), core, filter, from, to);
        Ok(Response::new(Box::pin(stream)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let filter = log_stream::filter(&request.plan_ids, &request.event_types)?;
        if request.start == Some(watch_request::Start::FromNow(false)) {
            return Err(from_now_is_false());
        }
        let core = self.gate.core_at(request.min_position).await?.clone();
        let from = Start::from(request.start).resolve(&core).await?;
        Ok(Response::new(Box::pin(log_stream::watch(
            self.gate.clone(),
            core,
            filter,
            from,
        ))))
    }
}

fn from_now_is_false() -> Status {
    malformed_field("from_now", "it must be true, or leave it out")
}

/// The revisions that a listing covers.
fn revisions(query: &ListEventsRequest, folded: &Folded, head: u64) -> Result<Range<u64>, Status> {
    let point = |field: &str, point: Option<Point>| match point {
        None => Ok(None),
        Some(Point { point: Some(point) }) => Ok(Some(point)),
        Some(Point { point: None }) => Err(malformed_field(
            field,
            "say a revision or a position, or leave it out",
        )),
    };
    let last = folded.plan.revision;
    let start = match point("from", query.from)? {
        None => 1,
        Some(point::Point::Revision(0) | point::Point::Position(0)) => {
            return Err(malformed_field(
                "from",
                "revisions and positions start at 1",
            ));
        }
        Some(point::Point::Revision(revision)) if revision > last => {
            return Err(status::beyond_head("revision", revision, last));
        }
        Some(point::Point::Revision(revision)) => revision,
        Some(point::Point::Position(position)) if position > head => {
            return Err(status::beyond_head("position", position, head));
        }
        Some(point::Point::Position(position)) => {
            let before = folded.index.commits_up_to(position - 1);
            folded
                .index
                .get(before)
                .map_or(last + 1, |entry| entry.first_revision)
        }
    };
    let end = match point("to", query.to)? {
        None => last,
        Some(point::Point::Revision(0) | point::Point::Position(0)) => {
            return Err(malformed_field("to", "revisions and positions start at 1"));
        }
        Some(point::Point::Revision(revision)) => revision.min(last),
        Some(point::Point::Position(position)) => {
            let through = folded.index.commits_up_to(position);
            folded
                .index
                .get(through)
                .map_or(last, |entry| entry.first_revision - 1)
        }
    };
    Ok(start..end + 1)
}

/// Which events a listing takes.
struct EventFilter {
    kinds: u64,
    subjects: Vec<Subject>,
    actors: Vec<String>,
}

impl EventFilter {
    fn check(query: &ListEventsRequest) -> Result<Self, Status> {
        let mut violations = Vec::new();
        let lists = [
            ("event_types", &query.event_types),
            ("subjects", &query.subjects),
            ("actors", &query.actors),
        ];
        for (field, list) in lists {
            if list.len() > FILTERS_MAX {
                let description = format!("{} are more than {FILTERS_MAX}", list.len());
                violations.push(Violation {
                    field: field.into(),
                    description,
                });
            }
        }
        let kinds = log_stream::kinds("event_types", &query.event_types, &mut violations);
        let mut subjects = Vec::new();
        for (number, text) in query.subjects.iter().enumerate() {
            if let Some(subject) = Subject::parse(text) {
                subjects.push(subject);
            } else {
                let field = format!("subjects[{number}]");
                let description = format!(
                    "plan, objective, or strategies/, tactics/, assumptions/, indicators/ or \
                     commitments/ and an id; found {}",
                    quoted(text)
                );
                violations.push(Violation { field, description });
            }
        }
        if violations.is_empty() {
            Ok(Self {
                kinds,
                subjects,
                actors: query.actors.clone(),
            })
        } else {
            Err(malformed(violations))
        }
    }

    fn takes(&self, commit: &Commit, event: &Event) -> bool {
        let is_sender = |actor: &String| {
            *actor == commit.actor || (*actor == commit.on_behalf_of && !actor.is_empty())
        };
        (self.kinds == u64::MAX || self.kinds & (1 << event::bit_of(event)) != 0)
            && (self.actors.is_empty() || self.actors.iter().any(is_sender))
            && (self.subjects.is_empty()
                || event::subjects(event)
                    .iter()
                    .any(|about| self.subjects.contains(about)))
    }
}

/// One page to be read.
struct Listing {
    filter: EventFilter,
    revisions: Range<u64>,
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
        if self.revisions.is_empty() {
            return Ok((events, None));
        }
        let mut bytes = 0;
        let mut last = None;
        let first = folded
            .index
            .holding_revision(self.revisions.start)
            .unwrap_or(0);
        let end = folded
            .index
            .holding_revision(self.revisions.end - 1)
            .map_or(0, |n| n + 1);
        let mut numbers = first..end;
        let mut scanned = 0;
        while !numbers.is_empty() {
            for stored in view.commits(folded, self.next_numbers(&mut numbers))? {
                for event in self.in_order(&stored.commit.events) {
                    if events.len() == self.page_size || bytes >= BATCH_BYTES {
                        return Ok((events, last));
                    }
                    last = Some(event.revision);
                    if self.filter.takes(&stored.commit, event) {
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
        let wanted = |event: &&Event| self.revisions.contains(&event.revision);
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
