//! `ListRevisions`: how one strategy evolved.

use prost::Message as _;
use tonic::{Response, Status};

use super::explain::told_of;
use crate::{
    domain::{
        permits::Permits,
        revisions::{self, Evolution},
    },
    proto::{ListRevisionsRequest, ListRevisionsResponse, StrategyRevision},
    rpc::{
        BATCH_BYTES, Core, as_of,
        gate::Caller,
        page,
        query::Checks,
        status::{self, of_view},
    },
};

/// Answers with a page of revisions.
pub(super) async fn answer(
    caller: &Caller<'_>,
    mut query: ListRevisionsRequest,
) -> Result<Response<ListRevisionsResponse>, Status> {
    let mut check = Checks::default();
    check.id("plan_id", &query.plan_id);
    check.id("strategy_id", &query.strategy_id);
    let point = check.point("as_of", query.as_of);
    let page_size = page::size(&mut check, query.page_size);
    check.finish()?;
    let token = std::mem::take(&mut query.page_token);
    let min_position = std::mem::take(&mut query.min_position);
    query.page_size = 0;
    let start = match page::place(&query, &token)? {
        Some(place) => u32::from_be_bytes(place.try_into().map_err(|_| page::no_token())?),
        None => 0,
    };
    let plan_id = query.plan_id.clone();
    let plan = caller.plan(&plan_id)?;
    let core = caller.core_at(min_position).await?;
    let permits = caller.permits();
    let answer = as_of::ask(core, plan, point, move |core, asked| {
        let evolution = revisions::evolution(&asked.moment, &query.strategy_id)
            .ok_or_else(|| status::no_subject(&format!("strategies/{}", query.strategy_id)))?;
        let revisions = read(core, &permits, &evolution, start, page_size)?;
        let next = start.saturating_add(u32::try_from(revisions.len()).unwrap_or(u32::MAX));
        let is_last = next as usize >= evolution.count();
        Ok(ListRevisionsResponse {
            revisions,
            next_page_token: if is_last {
                String::new()
            } else {
                page::token(&query, &next.to_be_bytes())
            },
            position: asked.position,
        })
    });
    Ok(Response::new(answer.await?))
}

/// The revisions of a page; at least one, if there is one.
fn read(
    core: &Core,
    permits: &Permits,
    evolution: &Evolution<'_>,
    start: u32,
    page_size: usize,
) -> Result<Vec<StrategyRevision>, Status> {
    let mut revisions: Vec<StrategyRevision> = Vec::new();
    let mut bytes = 0;
    for number in (start as usize..evolution.count()).take(page_size) {
        let revision = evolution
            .revision(number, |plan_id| told_of(core, permits, plan_id))
            .map_err(|error| of_view(&error))?;
        let Some(revision) = revision else { break };
        bytes += revision.encoded_len();
        if bytes > BATCH_BYTES && !revisions.is_empty() {
            break;
        }
        revisions.push(revision);
    }
    Ok(revisions)
}
