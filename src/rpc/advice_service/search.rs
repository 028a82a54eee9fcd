//! `SearchTactics`: what was tried before, in all plans. The index knows which tactics match and where
//! their texts stand; the texts themselves are read from the log for the hits of one page.

use prost::Message as _;
use tonic::{Response, Status};

use crate::{
    domain::value::Id,
    proto::{
        AttemptState, SearchTacticsRequest, SearchTacticsResponse, TacticHit, TacticState,
        TextMatch, point::Point,
    },
    rpc::{BATCH_BYTES, Core, as_of, call, gate::Caller, page, query::Checks, working},
    view::{
        View, ViewError,
        search::{Hit, Query, Texts, terms},
    },
};

/// The longest query, in characters.
const QUERY_CHARS_MAX: usize = 200;

/// Answers a search.
pub(super) async fn answer(
    caller: &Caller<'_>,
    mut request: SearchTacticsRequest,
) -> Result<Response<SearchTacticsResponse>, Status> {
    let mut check = Checks::default();
    let mut query = checked(&request, &mut check);
    let point = as_of::check_log_point(&mut check, "as_of", request.as_of);
    query.limit = page::size(&mut check, request.page_size);
    check.finish()?;
    let token = std::mem::take(&mut request.page_token);
    let min_position = std::mem::take(&mut request.min_position);
    request.page_size = 0;
    let place = page::place(&request, &token)?;
    caller.plans(&request.plan_ids)?;
    query.permits = caller.permits();
    query.wanted = call::wanted();
    let core = caller.core_at(min_position).await?;
    match place {
        Some(place) => {
            let place = Place::read(&place).filter(|place| place.position <= core.view.position());
            let Place { position, offset } = place.ok_or_else(page::no_token)?;
            query.as_of = Some(position);
            query.offset = usize::try_from(offset).unwrap_or(usize::MAX);
        }
        None => query.as_of = position(core, point).await?,
    }
    let view = core.view.clone();
    let response = working(move || search(&view, &query, &request)).await?;
    Ok(Response::new(response))
}

/// The position that a search was asked about; none: now.
async fn position(
    core: &std::sync::Arc<Core>,
    point: Option<Point>,
) -> Result<Option<u64>, Status> {
    match point {
        None => Ok(None),
        Some(point) => Ok(Some(as_of::position(core, Some(point)).await?)),
    }
}

/// The place of a page: at which position of the log, and behind how many hits.
struct Place {
    position: u64,
    offset: u64,
}

impl Place {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (position, offset) = bytes.split_first_chunk()?;
        Some(Self {
            position: u64::from_be_bytes(*position),
            offset: u64::from_be_bytes(offset.try_into().ok()?),
        })
    }

    fn write(&self) -> Vec<u8> {
        [self.position.to_be_bytes(), self.offset.to_be_bytes()].concat()
    }
}

/// What a request asks for, and all that is wrong with it.
fn checked(request: &SearchTacticsRequest, check: &mut Checks) -> Query {
    let terms = terms(&request.query);
    if request.query.trim().is_empty() {
        check.fault("query", "required");
    } else if request.query.chars().count() > QUERY_CHARS_MAX {
        check.fault(
            "query",
            format!("it has more than {QUERY_CHARS_MAX} characters"),
        );
    } else if terms.is_empty() {
        check.fault("query", "it has no word that is worth looking for");
    }
    check.filters("kinds", request.kinds.len());
    check.filters("plan_ids", request.plan_ids.len());
    for (number, plan_id) in request.plan_ids.iter().enumerate() {
        check.id(format!("plan_ids[{number}]"), plan_id);
    }
    let tried_from = check.time("tried_from", request.tried_from);
    let tried_before = check.time("tried_before", request.tried_before);
    if let (Some(from), Some(before)) = (tried_from, tried_before)
        && from >= before
    {
        check.fault("tried_before", "it is not later than tried_from");
    }
    Query {
        terms,
        kinds: request.kinds.clone(),
        states: states(&request.states, check),
        outcomes: outcomes(&request.outcomes, check),
        labels: labels(&request.labels, check),
        tried_from,
        tried_before,
        plan_ids: request
            .plan_ids
            .iter()
            .map(|id| Id::from(id.as_str()))
            .collect(),
        ..Query::default()
    }
}

fn states(asked: &[i32], check: &mut Checks) -> Vec<TacticState> {
    check.filters("states", asked.len());
    let mut states = Vec::new();
    for (number, state) in asked.iter().enumerate() {
        match TacticState::try_from(*state) {
            Ok(TacticState::Unspecified) | Err(_) => {
                check.fault(
                    format!("states[{number}]"),
                    format!("{state} is no TacticState"),
                );
            }
            Ok(state) => states.push(state),
        }
    }
    states
}

fn outcomes(asked: &[i32], check: &mut Checks) -> Vec<AttemptState> {
    check.filters("outcomes", asked.len());
    let mut outcomes = Vec::new();
    for (number, outcome) in asked.iter().enumerate() {
        match AttemptState::try_from(*outcome) {
            Ok(AttemptState::Unspecified) | Err(_) => {
                check.fault(
                    format!("outcomes[{number}]"),
                    format!("{outcome} is no AttemptState"),
                );
            }
            Ok(outcome) => outcomes.push(outcome),
        }
    }
    outcomes
}

fn labels(asked: &[String], check: &mut Checks) -> Vec<(String, Option<String>)> {
    check.filters("labels", asked.len());
    let mut labels = Vec::new();
    for (number, label) in asked.iter().enumerate() {
        let (name, value) = match label.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (label.as_str(), None),
        };
        if name.is_empty() {
            check.fault(format!("labels[{number}]"), "say `name` or `name=value`");
        }
        labels.push((name.to_owned(), value));
    }
    labels
}

/// Finds the hits of a page and reads their texts, as far as a message has room.
fn search(
    view: &View,
    query: &Query,
    request: &SearchTacticsRequest,
) -> Result<SearchTacticsResponse, ViewError> {
    let found = view.search_tactics(query)?;
    let mut response = SearchTacticsResponse {
        position: found.position,
        total_hits: u32::try_from(found.total).unwrap_or(u32::MAX),
        ..SearchTacticsResponse::default()
    };
    let mut texts = Texts::new(view);
    let mut bytes = 0;
    for hit in &found.hits {
        if bytes >= BATCH_BYTES {
            break;
        }
        call::go_on()?;
        let hit = show(hit, &mut texts, &query.terms)?;
        bytes += hit.encoded_len();
        response.hits.push(hit);
    }
    let next = query.offset.saturating_add(response.hits.len());
    if next < found.total {
        let place = Place {
            position: found.position,
            offset: next as u64,
        };
        response.next_page_token = page::token(request, &place.write());
    }
    Ok(response)
}

fn show(hit: &Hit, texts: &mut Texts<'_>, terms: &[String]) -> Result<TacticHit, ViewError> {
    let matches = hit.matches.iter().map(|at| {
        Ok(TextMatch {
            field: at.field.name().to_owned(),
            excerpt: texts.excerpt(at, terms)?,
        })
    });
    let matches = matches.collect::<Result<_, ViewError>>()?;
    Ok(TacticHit {
        plan_id: hit.plan_id.to_string(),
        plan_title: hit.description.title.clone(),
        strategy_id: hit
            .strategy_id
            .as_ref()
            .map(Id::to_string)
            .unwrap_or_default(),
        intent: texts.read(hit.intent.as_ref())?,
        tactic_id: hit.tactic_id.to_string(),
        statement: texts.read(hit.statement.as_ref())?,
        kind: hit.kind.clone(),
        state: hit.state.state.into(),
        outcome: hit.state.outcome.map(Into::into),
        attempt_count: hit.state.attempts.into(),
        successes: hit.state.successes.into(),
        effect_failures: hit.state.effect_failures.into(),
        precondition_failures: hit.state.precondition_failures.into(),
        last_tried_at: hit.state.tried_at.map(Into::into),
        last_ended_at: hit.state.end.map(|end| end.at.into()),
        observed: texts.read(hit.ending.as_ref())?,
        score: hit.score,
        matches,
    })
}
