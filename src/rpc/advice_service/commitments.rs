//! `ListCommitments` and `GetReliability`: what was promised, and whose word holds. Both go over all
//! plans as of one position, which the token of a page carries on, so that later pages show what the first
//! one did.

use std::ops::Bound;

use prost::Message as _;
use prost_types::Timestamp;
use tonic::{Response, Status};

use crate::{
    domain::{
        permits::Permits,
        reliability::Reliability,
        value::{Id, Time},
    },
    proto::{
        self, CommitmentState, GetReliabilityRequest, GetReliabilityResponse,
        ListCommitmentsRequest, ListCommitmentsResponse, PlanCommitment,
    },
    rpc::{BATCH_BYTES, as_of, call, gate::Caller, page, query::Checks, working},
    view::{
        View, ViewError,
        commitments::{CommitmentKey, Due},
    },
};

/// How many commitments one page looks through before it ends early.
const SCANNED_COMMITMENTS_MAX: usize = 20_000;
/// How many assignees are asked for at a time.
const SCANNED_ASSIGNEES: usize = 64;
/// The longest name of an assignee, in characters.
const ASSIGNEE_CHARS_MAX: usize = 200;

pub(super) async fn list(
    caller: &Caller<'_>,
    mut query: ListCommitmentsRequest,
) -> Result<Response<ListCommitmentsResponse>, Status> {
    let mut check = Checks::default();
    let filter = ListFilter::of(&query, &mut check);
    let as_of = as_of::check_log_point(&mut check, "as_of", query.as_of);
    let page_size = page::size(&mut check, query.page_size);
    check.finish()?;
    let token = std::mem::take(&mut query.page_token);
    let min_position = std::mem::take(&mut query.min_position);
    query.page_size = 0;
    let place = page::place(&query, &token)?;
    caller.plans(&query.plan_ids)?;
    let core = caller.core_at(min_position).await?;
    let (position, after) = match place {
        Some(place) => page::pinned(core, &place, due_of)?,
        None => (as_of::position(core, as_of).await?, None),
    };
    let listing = Listing {
        query,
        filter,
        permits: caller.permits(),
        page_size,
        position,
    };
    let view = core.view.clone();
    let response = working(move || listing.read(&view, after)).await?;
    Ok(Response::new(response))
}

pub(super) async fn reliability(
    caller: &Caller<'_>,
    mut query: GetReliabilityRequest,
) -> Result<Response<GetReliabilityResponse>, Status> {
    let mut check = Checks::default();
    check_assignee(&query.assignee, &mut check);
    let plan_ids = plan_ids_of(&query.plan_ids, &mut check);
    let as_of = as_of::check_log_point(&mut check, "as_of", query.as_of);
    let page_size = page::size(&mut check, query.page_size);
    check.finish()?;
    let token = std::mem::take(&mut query.page_token);
    let min_position = std::mem::take(&mut query.min_position);
    query.page_size = 0;
    let place = page::place(&query, &token)?;
    caller.plans(&query.plan_ids)?;
    let core = caller.core_at(min_position).await?;
    let (position, after) = match place {
        Some(place) => page::pinned(core, &place, |name| String::from_utf8(name.to_vec()).ok())?,
        None => (as_of::position(core, as_of).await?, None),
    };
    let counting = Counting {
        query,
        plan_ids,
        permits: caller.permits(),
        page_size,
        position,
    };
    let view = core.view.clone();
    let response = working(move || counting.read(&view, after)).await?;
    Ok(Response::new(response))
}

fn due_bytes(due: &Due) -> Vec<u8> {
    let mut bytes = due.due.seconds.to_be_bytes().to_vec();
    bytes.extend_from_slice(&due.due.nanos.to_be_bytes());
    bytes.extend_from_slice(due.plan_id.as_bytes());
    // An id holds no slash.
    bytes.push(b'/');
    bytes.extend_from_slice(due.commitment_id.as_bytes());
    bytes
}

fn due_of(bytes: &[u8]) -> Option<Due> {
    let (seconds, rest) = bytes.split_first_chunk()?;
    let (nanos, ids) = rest.split_first_chunk()?;
    let (plan_id, commitment_id) = std::str::from_utf8(ids).ok()?.split_once('/')?;
    Some(Due {
        due: Time {
            seconds: i64::from_be_bytes(*seconds),
            nanos: i32::from_be_bytes(*nanos),
        },
        plan_id: plan_id.into(),
        commitment_id: commitment_id.into(),
    })
}

fn check_assignee(assignee: &str, check: &mut Checks) {
    if assignee.chars().count() > ASSIGNEE_CHARS_MAX {
        let wrong = format!("it has more than {ASSIGNEE_CHARS_MAX} characters");
        check.fault("assignee", wrong);
    }
}

/// The plans that are asked about, in order; none: all.
fn plan_ids_of(plan_ids: &[String], check: &mut Checks) -> Vec<Id> {
    check.filters("plan_ids", plan_ids.len());
    for (number, plan_id) in plan_ids.iter().enumerate() {
        check.id(format!("plan_ids[{number}]"), plan_id);
    }
    let mut plan_ids: Vec<Id> = plan_ids.iter().map(|id| Id::from(id.as_str())).collect();
    plan_ids.sort_unstable();
    plan_ids
}

fn is_asked_for(plan_ids: &[Id], plan_id: &Id) -> bool {
    plan_ids.is_empty() || plan_ids.binary_search(plan_id).is_ok()
}

fn time(field: &'static str, time: Option<Timestamp>, check: &mut Checks) -> Option<Time> {
    let time = time?;
    if !Time::holds(&time) {
        check.fault(field, "it is no time of the years 1 to 9999");
    }
    Some(time.into())
}

/// What a list leaves out.
struct ListFilter {
    assignee: String,
    states: Vec<CommitmentState>,
    plan_ids: Vec<Id>,
    due_from: Option<Time>,
    due_before: Option<Time>,
}

impl ListFilter {
    fn of(query: &ListCommitmentsRequest, check: &mut Checks) -> Self {
        check_assignee(&query.assignee, check);
        check.filters("states", query.states.len());
        let mut states = Vec::new();
        for (number, state) in query.states.iter().enumerate() {
            match CommitmentState::try_from(*state) {
                Ok(CommitmentState::Unspecified) => check.fault(
                    format!("states[{number}]"),
                    "name a state, or leave the list empty for all",
                ),
                Ok(state) => states.push(state),
                Err(_) => check.fault(
                    format!("states[{number}]"),
                    format!("{state} is no CommitmentState"),
                ),
            }
        }
        let plan_ids = plan_ids_of(&query.plan_ids, check);
        let due_from = time("due_from", query.due_from, check);
        let due_before = time("due_before", query.due_before, check);
        if let (Some(from), Some(before)) = (due_from, due_before)
            && before <= from
        {
            check.fault("due_before", "it is not later than due_from");
        }
        Self {
            assignee: query.assignee.clone(),
            states,
            plan_ids,
            due_from,
            due_before,
        }
    }

    /// The commitment as it is shown, if it is asked for.
    fn shown(&self, due: &Due, commitment: proto::Commitment) -> Option<PlanCommitment> {
        let of_assignee = self.assignee.is_empty() || self.assignee == commitment.assignee;
        if !of_assignee || !is_asked_for(&self.plan_ids, &due.plan_id) {
            return None;
        }
        let in_state = self.states.is_empty() || self.states.contains(&commitment.state());
        in_state.then(|| PlanCommitment {
            plan_id: due.plan_id.to_string(),
            commitment: Some(commitment),
        })
    }
}

/// One page of commitments to be read.
struct Listing {
    /// The query that its token is bound to.
    query: ListCommitmentsRequest,
    filter: ListFilter,
    permits: Permits,
    page_size: usize,
    position: u64,
}

impl Listing {
    fn read(&self, view: &View, after: Option<Due>) -> Result<ListCommitmentsResponse, ViewError> {
        let mut response = ListCommitmentsResponse {
            position: self.position,
            ..ListCommitmentsResponse::default()
        };
        let (mut scanned, mut bytes) = (0, 0);
        let (mut looked_at, mut last) = (after.clone(), after);
        let first = Due {
            due: self.filter.due_from.unwrap_or(EARLIEST),
            plan_id: Id::from(""),
            commitment_id: Id::from(""),
        };
        loop {
            let start = looked_at
                .as_ref()
                .map_or(Bound::Included(&first), Bound::Excluded);
            call::go_on()?;
            let found = view.commitments_by_due(self.position, start);
            let Some((end, _)) = found.last() else {
                return Ok(response);
            };
            looked_at = Some(end.clone());
            for (due, commitment) in found {
                if self
                    .filter
                    .due_before
                    .is_some_and(|before| due.due >= before)
                {
                    return Ok(response);
                }
                // Walked past uncounted: no token may name a plan that is hidden.
                if !self.permits.hold(&due.plan_id) {
                    continue;
                }
                let full = response.commitments.len() == self.page_size || bytes >= BATCH_BYTES;
                if full || scanned == SCANNED_COMMITMENTS_MAX {
                    let last = last.as_ref().map(due_bytes).unwrap_or_default();
                    let place = page::pinned_place(self.position, &last);
                    response.next_page_token = page::token(&self.query, &place);
                    return Ok(response);
                }
                scanned += 1;
                let shown = commitment.and_then(|it| self.filter.shown(&due, it));
                if let Some(shown) = shown {
                    bytes += shown.encoded_len();
                    response.commitments.push(shown);
                }
                last = Some(due);
            }
        }
    }
}

/// No commitment is due before.
const EARLIEST: Time = Time {
    seconds: i64::MIN,
    nanos: i32::MIN,
};

/// One page of assignees to be counted.
struct Counting {
    /// The query that its token is bound to.
    query: GetReliabilityRequest,
    plan_ids: Vec<Id>,
    permits: Permits,
    page_size: usize,
    position: u64,
}

impl Counting {
    fn read(
        &self,
        view: &View,
        after: Option<String>,
    ) -> Result<GetReliabilityResponse, ViewError> {
        let mut response = GetReliabilityResponse {
            position: self.position,
            ..GetReliabilityResponse::default()
        };
        let mut scanned = 0;
        if !self.query.assignee.is_empty() {
            let counted = self.count(view, &self.query.assignee, &mut scanned)?;
            response.assignees.extend(counted);
            return Ok(response);
        }
        let (mut looked_at, mut last) = (after.clone(), after);
        loop {
            call::go_on()?;
            let holders = view.holders(looked_at.as_deref(), SCANNED_ASSIGNEES);
            let Some(end) = holders.last() else {
                return Ok(response);
            };
            looked_at = Some(end.to_string());
            for holder in holders {
                // Walked past uncounted: no token may name somebody of hidden plans only.
                if !self.is_shown(view, &holder)? {
                    continue;
                }
                let full = response.assignees.len() == self.page_size;
                if full || scanned >= SCANNED_COMMITMENTS_MAX {
                    let last = last.unwrap_or_default();
                    let place = page::pinned_place(self.position, last.as_bytes());
                    response.next_page_token = page::token(&self.query, &place);
                    return Ok(response);
                }
                // Whoever is passed over costs a look too.
                scanned += 1;
                response
                    .assignees
                    .extend(self.count(view, &holder, &mut scanned)?);
                last = Some(holder.to_string());
            }
        }
    }

    /// Whether somebody is known from a plan that may be shown.
    fn is_shown(&self, view: &View, assignee: &str) -> Result<bool, ViewError> {
        if self.permits.is_all() {
            return Ok(true);
        }
        let mut after: Option<CommitmentKey> = None;
        loop {
            call::go_on()?;
            let held = view.held_by(assignee, self.position, after.as_ref());
            let mut plan_ids = held.iter().map(|(key, _)| &key.plan_id);
            if plan_ids.any(|plan_id| self.permits.hold(plan_id)) {
                return Ok(true);
            }
            let Some((last, _)) = held.last() else {
                return Ok(false);
            };
            after = Some(last.clone());
        }
    }

    /// How somebody keeps commitments; nothing if they held none of those asked about. All that they ever
    /// held is looked at, however much that is: their counts are one row, which no page can end in. The view
    /// is let go of between pages of 256, and a page of rows ends behind whoever took it past its bound.
    fn count(
        &self,
        view: &View,
        assignee: &str,
        scanned: &mut usize,
    ) -> Result<Option<proto::Reliability>, ViewError> {
        let mut reliability = Reliability::default();
        let mut held_one = false;
        let mut after: Option<CommitmentKey> = None;
        loop {
            call::go_on()?;
            let held = view.held_by(assignee, self.position, after.as_ref());
            let Some((last, _)) = held.last() else {
                break;
            };
            after = Some(last.clone());
            for (key, holding) in held {
                if !self.permits.hold(&key.plan_id) {
                    continue;
                }
                *scanned += 1;
                let asked_for = is_asked_for(&self.plan_ids, &key.plan_id);
                if let Some(holding) = holding.filter(|_| asked_for) {
                    held_one = true;
                    reliability.count(&holding.held, holding.state.as_ref());
                }
            }
        }
        Ok(held_one.then(|| shown(assignee, &reliability)))
    }
}

fn shown(assignee: &str, reliability: &Reliability) -> proto::Reliability {
    let Reliability {
        kept,
        kept_after_notice,
        kept_late,
        moved_with_notice,
        moved_late,
        missed_with_notice,
        missed_late,
        missed_silently,
        released,
        open,
        overdue,
    } = *reliability;
    proto::Reliability {
        assignee: assignee.to_owned(),
        kept,
        kept_after_notice,
        kept_late,
        moved_with_notice,
        moved_late,
        missed_with_notice,
        missed_late,
        missed_silently,
        released,
        open,
        overdue,
    }
}
