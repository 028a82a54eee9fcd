//! Questions whose caller has left, of one who may not see all plans: for those more is looked at.

use super::*;
use crate::{
    access::{Grant, rights::Role},
    proto::{
        GetReliabilityRequest, GetTacticStatsRequest, SearchTacticsRequest,
        advice_service_server::AdviceService,
    },
    rpc::{
        advice_service::Advice,
        call::{Call, answering},
    },
};

fn ada() -> Principal {
    let grant = Grant {
        role: Role::Reader,
        plans: vec!["g*".parse().expect("a pattern")],
    };
    Principal::new("ada", vec![grant])
}

/// What comes of an answer to somebody who waits for it, or has left.
async fn asked<T>(
    waits: bool,
    answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> bool {
    let call = Call::new("ada".into(), None, None);
    if !waits {
        call.end();
    }
    answering(call, answer).await.is_ok()
}

#[tokio::test]
async fn what_takes_going_over_all_plans_stops_when_its_caller_has_left() {
    let world = World::new();
    let advice = Advice::new(world.gate.clone());
    for waits in [true, false] {
        let stats = by(&ada(), GetTacticStatsRequest::default());
        let reliability = by(&ada(), GetReliabilityRequest::default());
        let words = SearchTacticsRequest {
            query: "growth".into(),
            ..Default::default()
        };
        let answered = [
            asked(waits, advice.get_tactic_stats(stats)).await,
            asked(waits, advice.get_reliability(reliability)).await,
            asked(waits, advice.search_tactics(by(&ada(), words))).await,
        ];
        assert_eq!(answered, [waits; 3]);
    }
}
