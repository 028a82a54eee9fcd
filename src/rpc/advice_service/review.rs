//! `ReviewPlan`: what is wrong with a plan.

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use tonic::{Response, Status};

use crate::{
    domain::{
        review::codes::{self, Code},
        value::Subject,
    },
    proto::{Finding, FindingLevel, ReviewPlanRequest, ReviewPlanResponse},
    rpc::{as_of, call, gate::Caller, query::Checks, status::quoted},
};

/// How many findings an answer holds at most: some of a plan with as many things wrong are enough to
/// begin with.
const FINDINGS_MAX: usize = 1_000;

/// What the findings of an answer take at most, so that it stays below what clients accept.
const FINDINGS_BYTES_MAX: usize = 3 << 20;

/// How much memory is taken at once for encoded findings.
const BLOCK_BYTES: usize = 64 << 10;

pub(super) async fn answer(
    caller: &Caller<'_>,
    request: ReviewPlanRequest,
) -> Result<Response<ReviewPlanResponse>, Status> {
    let mut check = Checks::default();
    check.id("plan_id", &request.plan_id);
    let codes = codes_of(&mut check, &request.codes);
    let min_level = level_of(&mut check, request.min_level);
    let point = check.point("as_of", request.as_of);
    check.finish()?;
    let plan = caller.plan(&request.plan_id)?;
    let core = caller.core_at(request.min_position).await?;
    let reviewed = as_of::ask(core, plan, point, move |core, asked| {
        let review = asked.review(core);
        let is_wanted = |code: &Code, level: FindingLevel, _: &Subject| {
            // Nobody reads what is found for a caller who has gone.
            call::go_on().is_ok()
                && level >= min_level
                && (codes.is_empty() || codes.contains(&code))
        };
        let (findings, truncated) = first(review.findings(&asked.moment, is_wanted));
        Ok(ReviewPlanResponse {
            findings,
            reviewed_at: Some(asked.moment.now.into()),
            revision: asked.moment.plan.revision,
            position: asked.position,
            inside_commit: asked.inside_commit,
            truncated,
        })
    });
    Ok(Response::new(reviewed.await?))
}

/// As many findings as an answer holds, each encoded before the next one is drawn, and whether there are more.
fn first(findings: impl Iterator<Item = Finding>) -> (Vec<Bytes>, bool) {
    let (mut held, mut bytes) = (Vec::new(), 0);
    let mut encoded = BytesMut::new();
    for finding in findings {
        let length = finding.encoded_len();
        bytes += length;
        if held.len() == FINDINGS_MAX || bytes > FINDINGS_BYTES_MAX {
            return (held, true);
        }
        if encoded.capacity() < length {
            encoded = BytesMut::with_capacity(BLOCK_BYTES.max(length));
        }
        finding.encode_raw(&mut encoded);
        held.push(encoded.split().freeze());
    }
    (held, false)
}

/// The codes asked for; none: all.
fn codes_of(check: &mut Checks, names: &[String]) -> Vec<&'static Code> {
    check.filters("codes", names.len());
    let mut asked_for = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        match codes::code(name) {
            Some(code) => asked_for.push(code),
            None => check.fault(
                format!("codes[{number}]"),
                format!(
                    "a code is one of docs/findings.md, such as TAC001; found {}",
                    quoted(name)
                ),
            ),
        }
    }
    asked_for
}

fn level_of(check: &mut Checks, level: i32) -> FindingLevel {
    FindingLevel::try_from(level).unwrap_or_else(|_| {
        check.fault("min_level", format!("no FindingLevel is {level}"));
        FindingLevel::Unspecified
    })
}
