//! `AssessStrategy`: whether a strategy does the right things, and does them right.

use prost::Message as _;
use tonic::{Response, Status};

use super::suggest::strategy_of;
use crate::{
    domain::assess,
    proto::{AssessStrategyRequest, AssessStrategyResponse},
    rpc::{
        as_of::{self, Asked},
        gate::Caller,
        query::Checks,
        status,
    },
};

/// The largest answer: well below what clients take. Only plans that were made to be large come near.
const ANSWER_BYTES_MAX: usize = 3 << 20;

pub(super) async fn answer(
    caller: &Caller<'_>,
    request: AssessStrategyRequest,
) -> Result<Response<AssessStrategyResponse>, Status> {
    let mut check = Checks::default();
    check.id("plan_id", &request.plan_id);
    let strategy_id = strategy_of(&mut check, request.strategy_id);
    let as_of = check.point("as_of", request.as_of);
    check.finish()?;
    let plan = caller.plan(&request.plan_id)?;
    let core = caller.core_at(request.min_position).await?;
    let answer = as_of::ask(core, plan, as_of, move |_, asked| {
        let Asked {
            moment,
            position,
            inside_commit,
            ..
        } = asked;
        let strategy_id = strategy_id.as_deref();
        let assessments = assess::assess(&moment, strategy_id).ok_or_else(|| {
            status::no_subject(&format!("strategies/{}", strategy_id.unwrap_or_default()))
        })?;
        let mut response = AssessStrategyResponse {
            assessments,
            revision: moment.plan.revision,
            position,
            inside_commit,
        };
        fit(&mut response, ANSWER_BYTES_MAX);
        Ok(response)
    });
    Ok(Response::new(answer.await?))
}

/// Makes an answer fit into a message: the longest lists of observations lose the older half, until it
/// does.
fn fit(response: &mut AssessStrategyResponse, bytes_max: usize) {
    while response.encoded_len() > bytes_max {
        let assessments = response.assessments.iter_mut();
        let axes = assessments.flat_map(|it| [&mut it.right_things, &mut it.things_right]);
        let lists = axes.flatten().map(|axis| &mut axis.observations);
        let Some(longest) = lists
            .max_by_key(|list| list.len())
            .filter(|it| !it.is_empty())
        else {
            return;
        };
        longest.drain(..longest.len().div_ceil(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{AssessedAxis, AxisObservation, StrategyAssessment};

    #[test]
    fn an_answer_that_is_too_large_keeps_the_last_observations_and_all_counts() {
        let axis = |observed: u32| AssessedAxis {
            observed,
            observations: (0..observed)
                .map(|number| AxisObservation {
                    subject: format!("tactics/t{number}"),
                    text: "x".repeat(100),
                    ..AxisObservation::default()
                })
                .collect(),
            ..AssessedAxis::default()
        };
        let assessment = |observed| StrategyAssessment {
            right_things: Some(axis(2)),
            things_right: Some(axis(observed)),
            ..StrategyAssessment::default()
        };
        let mut response = AssessStrategyResponse {
            assessments: vec![assessment(40), assessment(3)],
            ..AssessStrategyResponse::default()
        };
        fit(&mut response, 3_000);
        assert!(response.encoded_len() <= 3_000);
        let things_right = response.assessments[0]
            .things_right
            .as_ref()
            .expect("an axis");
        assert_eq!(things_right.observed, 40);
        let last = things_right.observations.last().expect("an observation");
        assert_eq!(last.subject, "tactics/t39");
        assert_eq!(response.assessments[1], assessment(3));
    }
}
