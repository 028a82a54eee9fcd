//! Findings about the live strategies: whether they choose, whether they leave options, and whether
//! they change for a reason.

use std::cell::LazyCell;

use super::{
    Case, DAY_SECONDS, Draft, Message,
    codes::{STR001, STR002, STR003, STR004, STR005, STR006, STR007, STR008, STR009, STR010},
    counted, day, is_blank, listed,
};
use crate::{
    domain::{
        plan::{Strategy, StrategyState, Tactic},
        suggest::{is_exhausted, obstacles, speaking_for},
        value::Subject,
        wording::{Gist, Hit, HitClass, SIMILAR_FROM, wording},
    },
    proto::{self, FindingLevel},
};

/// A strategy may be without tactics this long: time to think of some.
const NO_TACTICS_DAYS: i64 = 14;

/// More live strategies than this share out attention until none has enough.
const LIVE_STRATEGIES_MAX: usize = 5;

/// So many revisions without an attempt between them test nothing.
const REVISIONS_MIN: usize = 3;

/// Tactics and what their statements come to.
type Gists<'a> = Vec<(&'a Tactic, Gist)>;

pub(super) fn find(case: &Case<'_>, found: &mut Vec<Draft>) {
    let gists = LazyCell::new(|| gists(case));
    for strategy in case.live_strategies() {
        found.extend(tactic_as_strategy(strategy, &gists));
        found.extend(no_tactics(case, strategy));
        found.extend(single_option(case, strategy));
        found.extend(exhausted(case, strategy));
        found.extend(no_choice_made(strategy));
        found.extend(no_diagnosis(strategy));
        found.extend(unprompted(strategy));
        found.extend(churn(case, strategy));
    }
    found.extend(no_focus(case));
    found.extend(no_strategy(case));
}

fn subject(strategy: &Strategy) -> Subject {
    Subject::Strategy(strategy.strategy_id.clone())
}

/// What the statements of all tactics come to, each read once.
fn gists<'a>(case: &Case<'a>) -> Gists<'a> {
    let tactics = case.plan.tactics.values().map(AsRef::as_ref);
    let gist = |tactic: &'a Tactic| (tactic, Gist::of(&tactic.statement));
    tactics.map(gist).collect()
}

fn tactic_as_strategy<'a, F: FnOnce() -> Gists<'a>>(
    strategy: &Strategy,
    gists: &LazyCell<Gists<'a>, F>,
) -> Option<Draft> {
    let choice = &strategy.choice;
    let hits = choice.tactical.get_or_make(|| {
        let said = wording(&choice.intent);
        said.reads_as_tactic.then_some(said.hits)
    });
    let hits = hits.as_ref()?;
    let id = &strategy.strategy_id;
    let intent = Gist::of(&choice.intent);
    let repeated = gists
        .iter()
        .find(|(_, statement)| intent.similarity(statement) >= SIMILAR_FROM);
    let (what, behind) = match repeated {
        None => (
            ": make the action a tactic with `add_tactic`, and".to_owned(),
            vec![strategy.revised_revision],
        ),
        Some((tactic, _)) => (
            format!(" and nearly repeats tactic `{}`:", tactic.tactic_id),
            vec![strategy.revised_revision, tactic.worded_revision],
        ),
    };
    let message = format!(
        "The intent of strategy `{id}` reads as an action{what} revise `{id}` to say what this and \
         other actions are to bring about."
    );
    let mut draft = Draft::new(&STR001, subject(strategy), behind, message);
    if repeated.is_some() {
        draft.level = FindingLevel::Warn;
    }
    draft.hits = hits.iter().map(shown).collect();
    Some(draft)
}

fn shown(hit: &Hit) -> proto::WordingHit {
    let class = match hit.class {
        HitClass::Frame => "frame",
        HitClass::ActionVerb => "action_verb",
        HitClass::Channel => "channel",
        HitClass::Artefact => "artefact",
        HitClass::Quantity => "quantity",
        HitClass::Cadence => "cadence",
        HitClass::IntentVerb => "intent_verb",
        HitClass::Purpose => "purpose",
        HitClass::Arena => "arena",
        HitClass::Position => "position",
    };
    proto::WordingHit {
        text: hit.text.clone(),
        class: class.to_owned(),
        weight: hit.weight,
        start: u32::try_from(hit.start).unwrap_or(u32::MAX),
        end: u32::try_from(hit.end).unwrap_or(u32::MAX),
    }
}

fn no_tactics(case: &Case<'_>, strategy: &Strategy) -> Option<Draft> {
    let id = &strategy.strategy_id;
    let trail = case.trail.strategies.get(&**id)?;
    let waits_since = trail.short_since;
    if !case.options(id).is_empty() {
        return None;
    }
    let message = Message::Lasting(
        format!("Strategy `{id}` has had no tactic for "),
        waits_since,
        format!(
            ", since {}: add one with `add_tactic`, or end the strategy.",
            day(waits_since)
        ),
    );
    let due = waits_since.plus_seconds(NO_TACTICS_DAYS * DAY_SECONDS);
    let behind = trail.losses.iter().copied();
    let behind = behind.chain([strategy.adopted_revision]);
    Some(Draft::new(&STR002, subject(strategy), behind, message).from(due))
}

fn single_option(case: &Case<'_>, strategy: &Strategy) -> Option<Draft> {
    let id = &strategy.strategy_id;
    let options = case.options(id);
    let mut untried = options.iter().filter(|tactic| tactic.attempts.is_empty());
    let (Some(last), None) = (untried.next(), untried.next()) else {
        return None;
    };
    let message = format!(
        "Tactic `{}` is the only one of strategy `{id}` that is still untried: add another option \
         with `add_tactic` before it fails, so that there is something to choose from.",
        last.tactic_id
    );
    let first_tries = options.iter().filter_map(|tactic| tactic.attempts.first());
    let grouped = case.trail.tactics.get(&*last.tactic_id);
    let trail = case.trail.strategies.get(&**id);
    let behind = first_tries
        .map(|attempt| attempt.tried_revision)
        .chain(grouped.map(|it| it.grouped))
        .chain(trail.iter().flat_map(|it| it.losses.iter().copied()));
    Some(Draft::new(&STR003, subject(strategy), behind, message))
}

fn exhausted(case: &Case<'_>, strategy: &Strategy) -> Option<Draft> {
    let id = &strategy.strategy_id;
    let options = case.options(id);
    if options.is_empty() || !is_exhausted(case.plan, options) {
        return None;
    }
    let (closed, them) = match options {
        [only] => (
            format!(
                "The only tactic of strategy `{id}` (`{}`) can no longer be tried",
                only.tactic_id
            ),
            "it",
        ),
        more => (
            format!(
                "None of the {} tactics of strategy `{id}` can be tried any more",
                more.len()
            ),
            "them",
        ),
    };
    let mut behind: Vec<_> = options
        .iter()
        .flat_map(|tactic| closed_by(case, tactic))
        .collect();
    let is_revised_since = behind.iter().all(|it| *it < strategy.revised_revision);
    let message = if is_revised_since {
        behind.push(strategy.revised_revision);
        format!(
            "{closed}, and since it was revised none has been added: give it one that the revision asks \
             for with `add_tactic`."
        )
    } else {
        format!(
            "{closed}: revise the strategy with `revise_strategy`, because of the events that closed \
             {them}."
        )
    };
    Some(Draft::new(&STR004, subject(strategy), behind, message))
}

/// The events for which a tactic is no longer an option, as a suggestion shows them.
fn closed_by(case: &Case<'_>, tactic: &Tactic) -> Vec<u64> {
    let against = obstacles(case.plan, tactic).into_iter();
    against
        .flat_map(|obstacle| speaking_for(case.moment, tactic, obstacle))
        .collect()
}

fn no_choice_made(strategy: &Strategy) -> Option<Draft> {
    let mut given_up = strategy.choice.will_not.iter();
    if given_up.any(|text| !is_blank(text)) {
        return None;
    }
    let id = &strategy.strategy_id;
    let message = format!(
        "Strategy `{id}` says nothing that will not be done, so it rules nothing out: revise it to \
         say in `will_not` what is given up for it."
    );
    let behind = [strategy.revised_revision];
    Some(Draft::new(&STR005, subject(strategy), behind, message))
}

fn no_diagnosis(strategy: &Strategy) -> Option<Draft> {
    if !is_blank(&strategy.choice.diagnosis) {
        return None;
    }
    let id = &strategy.strategy_id;
    let message = format!(
        "Strategy `{id}` does not say what stands in the way of the objective: revise it to say in \
         `diagnosis` what the challenge is."
    );
    let behind = [strategy.revised_revision];
    Some(Draft::new(&STR006, subject(strategy), behind, message))
}

fn no_focus(case: &Case<'_>) -> Option<Draft> {
    let live: Vec<_> = case.live_strategies().collect();
    if live.len() <= LIVE_STRATEGIES_MAX {
        return None;
    }
    let message = format!(
        "{} strategies are live at once ({}): choose at most {LIVE_STRATEGIES_MAX}, and supersede, abandon or \
         fulfil the others.",
        live.len(),
        listed(live.iter().map(|it| &it.strategy_id))
    );
    let behind = live.iter().map(|it| it.adopted_revision);
    let draft = Draft::new(&STR007, Subject::Plan, behind, message);
    Some(draft.about(live.iter().map(|it| subject(it))))
}

fn unprompted(strategy: &Strategy) -> Option<Draft> {
    if !strategy.unprompted {
        return None;
    }
    let id = &strategy.strategy_id;
    let message = format!(
        "Revision {} of strategy `{id}` was made on {} without an event that forced it: record what \
         it rests on, and cite that in `because` when you revise it again.",
        strategy.revision,
        day(strategy.revised_at)
    );
    let behind = [strategy.revised_revision];
    Some(Draft::new(&STR008, subject(strategy), behind, message))
}

fn churn(case: &Case<'_>, strategy: &Strategy) -> Option<Draft> {
    let id = &strategy.strategy_id;
    let revisions = &case.trail.strategies.get(&**id)?.revised_in_a_row;
    if revisions.len() < REVISIONS_MIN {
        return None;
    }
    let todo = if case.options(id).is_empty() {
        "give it a tactic with `add_tactic`, and try that"
    } else {
        "try one of its tactics"
    };
    let message = format!(
        "Strategy `{id}` was revised {} times with no attempt of a tactic between: {todo} before you \
         revise it again.",
        revisions.len()
    );
    let behind = revisions.iter().copied();
    Some(Draft::new(&STR009, subject(strategy), behind, message))
}

fn no_strategy(case: &Case<'_>) -> Option<Draft> {
    let mut strategies = case.plan.strategies.values();
    let is_followed_or_done = |it: &Strategy| match it.state {
        StrategyState::Live | StrategyState::Fulfilled { .. } => true,
        StrategyState::Superseded { .. } | StrategyState::Abandoned { .. } => false,
    };
    if strategies.any(|it| is_followed_or_done(it)) {
        return None;
    }
    let tactics = case.plan.tactics.values();
    let options: Vec<_> = tactics.filter(|it| it.retired.is_none()).collect();
    if options.is_empty() {
        return None;
    }
    let message = format!(
        "The plan has {} ({}) but no strategy that says {} with `regroup_tactic`.",
        counted(options.len(), "tactic"),
        listed(options.iter().map(|it| &it.tactic_id)),
        match options.len() {
            1 => {
                "what it is for, or what comes after it: adopt one with `adopt_strategy`, and group \
                 the tactic there"
            }
            _ => {
                "which comes next, or what they have in common: adopt one with `adopt_strategy`, and \
                 put them under it"
            }
        }
    );
    let added = options.iter().map(|it| it.added_revision);
    let behind = added.chain(case.trail.strategies.values().filter_map(|it| it.ended));
    let draft = Draft::new(&STR010, Subject::Plan, behind, message);
    let subjects = options
        .iter()
        .map(|it| Subject::Tactic(it.tactic_id.clone()));
    Some(draft.about(subjects))
}
