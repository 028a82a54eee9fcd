//! `SuggestTactic`: which tactic comes next.

use std::collections::BTreeMap;

use prost::Message as _;
use tonic::{Response, Status};

use crate::{
    domain::{
        history::Moment,
        outcomes::Tally,
        permits::Permits,
        suggest::advice::{self, NoSuggestion, Policy},
        value::Id,
    },
    proto::{
        ErrorReason, EventReference, SuggestTacticRequest, SuggestTacticResponse, SuggestionPolicy,
        TacticSuggestion,
    },
    rpc::{
        as_of::{self, Asked},
        call,
        gate::Caller,
        query::Checks,
        status,
    },
    view::{View, ViewError},
};

/// The largest answer: well below what clients take. Only plans that were made to be large come near.
const ANSWER_BYTES_MAX: usize = 3 << 20;
/// How many options without a cost a refusal names: it travels in a header.
const COSTLESS_NAMED_MAX: usize = 16;

/// How the attempts of tactics of a kind ended.
type Counted<'a> = Box<dyn Fn(&str) -> Tally + 'a>;

pub(super) async fn answer(
    caller: &Caller<'_>,
    request: SuggestTacticRequest,
) -> Result<Response<SuggestTacticResponse>, Status> {
    let mut check = Checks::default();
    check.id("plan_id", &request.plan_id);
    let strategy_id = strategy_of(&mut check, request.strategy_id);
    let policy = policy_of(&mut check, request.policy);
    let as_of = check.point("as_of", request.as_of);
    check.finish()?;
    let plan = caller.plan(&request.plan_id)?;
    let core = caller.core_at(request.min_position).await?;
    let permits = caller.permits();
    let answer = as_of::ask(core, plan, as_of, move |core, asked| {
        let others =
            others(&core.view, &asked.moment, &permits).map_err(|error| status::of_view(&error))?;
        suggested(asked, strategy_id.as_deref(), policy, &others)
    });
    Ok(Response::new(answer.await?))
}

/// The strategy asked about, if one is named.
pub(super) fn strategy_of(check: &mut Checks, strategy_id: String) -> Option<String> {
    if strategy_id.is_empty() {
        return None;
    }
    check.id("strategy_id", &strategy_id);
    Some(strategy_id)
}

fn policy_of(check: &mut Checks, policy: i32) -> Policy {
    match SuggestionPolicy::try_from(policy) {
        Ok(SuggestionPolicy::Unspecified | SuggestionPolicy::Ranked) => Policy::Ranked,
        Ok(SuggestionPolicy::Ratio) => Policy::Ratio,
        Err(_) => {
            check.fault("policy", format!("{policy} is no SuggestionPolicy"));
            Policy::Ranked
        }
    }
}

fn suggested(
    asked: Asked,
    strategy_id: Option<&str>,
    policy: Policy,
    elsewhere: &dyn Fn(&str) -> Tally,
) -> Result<SuggestTacticResponse, Status> {
    let Asked {
        moment,
        position,
        inside_commit,
        ..
    } = asked;
    let suggestions = advice::suggest(&moment, strategy_id, policy, elsewhere);
    let mut response = SuggestTacticResponse {
        suggestions: suggestions.map_err(of_no_suggestion)?,
        revision: moment.plan.revision,
        position,
        inside_commit,
    };
    fit(&mut response, ANSWER_BYTES_MAX);
    Ok(response)
}

/// How the attempts of tactics of a kind ended in the other plans, as far as they may be shown: a count
/// over hidden ones would tell of them what `GetTacticStats` does not.
fn others<'a>(
    view: &'a View,
    moment: &Moment,
    permits: &Permits,
) -> Result<Counted<'a>, ViewError> {
    let (own_id, position) = (&moment.plan.plan_id, moment.position);
    if permits.is_all() {
        let own = own_totals(view, moment);
        return Ok(Box::new(move |kind| {
            let own = own.get(kind).copied().unwrap_or_default();
            view.kind_total(kind, position).minus(own)
        }));
    }
    let counts = |plan_id: &Id| plan_id != own_id && permits.hold(plan_id);
    let totals = view.kind_totals(position, counts, &call::wanted())?;
    let of_kind = move |kind: &str| totals.get(kind).copied().unwrap_or_default();
    Ok(Box::new(of_kind))
}

/// What the plan itself adds to the totals of kinds at the moment's position. The plan at the moment
/// may be another: one within a commit, or one as of an occurred time.
fn own_totals(view: &View, moment: &Moment) -> BTreeMap<String, Tally> {
    let mut totals: BTreeMap<String, Tally> = BTreeMap::new();
    for (cell, tally) in view.cells_of(&moment.plan.plan_id, moment.position) {
        let total = totals.entry(cell.kind).or_default();
        *total = total.plus(tally);
    }
    totals
}

fn of_no_suggestion(none: NoSuggestion) -> Status {
    let message = none.to_string();
    match none {
        NoSuggestion::NoStrategy(id) => status::no_subject(&format!("strategies/{id}")),
        NoSuggestion::Ended(id) => {
            let subject = format!("strategies/{id}");
            let metadata = [("subject".to_owned(), subject)].into();
            status::with_metadata(ErrorReason::NotLive, message, metadata)
        }
        NoSuggestion::NoCost(ids) => {
            let named = ids.iter().take(COSTLESS_NAMED_MAX);
            let subjects: Vec<_> = named.map(|id| format!("tactics/{id}")).collect();
            let metadata = [
                ("subjects".to_owned(), subjects.join(",")),
                ("count".to_owned(), ids.len().to_string()),
            ];
            status::with_metadata(ErrorReason::CostRequired, message, metadata.into())
        }
    }
}

/// Makes an answer fit into a message: first with one event a list, then without the options that come
/// last, those of the longest list first.
fn fit(response: &mut SuggestTacticResponse, bytes_max: usize) {
    if response.encoded_len() <= bytes_max {
        return;
    }
    for suggestion in &mut response.suggestions {
        events_of(suggestion, |events| {
            let last = events.pop();
            *events = last.into_iter().collect();
        });
    }
    let mut bytes = response.encoded_len();
    while bytes > bytes_max {
        let longest = response.suggestions.iter_mut();
        let Some(longest) = longest.max_by_key(|it| it.options.len()) else {
            return;
        };
        let Some(left_out) = longest.options.pop() else {
            return;
        };
        longest.options_left_out += 1;
        bytes = bytes.saturating_sub(left_out.encoded_len());
    }
}

fn events_of(suggestion: &mut TacticSuggestion, mut change: impl FnMut(&mut Vec<EventReference>)) {
    for option in &mut suggestion.options {
        change(&mut option.outcomes);
        change(&mut option.alike_outcomes);
        option
            .obstacles
            .iter_mut()
            .for_each(|it| change(&mut it.events));
        option
            .doubts
            .iter_mut()
            .for_each(|it| change(&mut it.events));
    }
    if let Some(reconsider) = &mut suggestion.reconsider {
        reconsider
            .assumptions
            .iter_mut()
            .for_each(|it| change(&mut it.events));
        reconsider
            .failures
            .iter_mut()
            .for_each(|it| change(&mut it.events));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::TacticOption;

    #[test]
    fn an_answer_that_is_too_large_loses_events_first_and_then_its_last_options() {
        let event = |revision| EventReference {
            revision,
            summary: "x".repeat(100),
            ..EventReference::default()
        };
        let option = |n: usize| TacticOption {
            tactic_id: format!("t{n}"),
            statement: "y".repeat(100),
            outcomes: (1..=9).map(event).collect(),
            alike_outcomes: (1..=9).map(event).collect(),
            ..TacticOption::default()
        };
        let suggestion = |options| TacticSuggestion {
            options: (0..options).map(option).collect(),
            ..TacticSuggestion::default()
        };
        let whole = SuggestTacticResponse {
            suggestions: vec![suggestion(9), suggestion(3)],
            ..SuggestTacticResponse::default()
        };
        let fitted = |bytes_max| {
            let mut response = whole.clone();
            fit(&mut response, bytes_max);
            response
        };
        assert_eq!(fitted(whole.encoded_len()), whole);

        let with_fewer_events = fitted(6_000);
        assert!(with_fewer_events.encoded_len() <= 6_000);
        let options: Vec<_> = with_fewer_events
            .suggestions
            .iter()
            .flat_map(|it| &it.options)
            .collect();
        assert_eq!(options.len(), 12);
        assert!(options.iter().all(|it| it.outcomes == [event(9)]));
        assert!(options.iter().all(|it| it.alike_outcomes == [event(9)]));

        let with_fewer_options = fitted(1_500);
        assert!(with_fewer_options.encoded_len() <= 1_500);
        let [long, short] = &with_fewer_options.suggestions[..] else {
            panic!("both are there");
        };
        assert_eq!(long.options.len() + long.options_left_out as usize, 9);
        assert_eq!(long.options[0].tactic_id, "t0");
        assert!(long.options.len() >= 2 && short.options.len() >= 2);
    }
}
