//! What is wrong with a plan at a moment: findings with a stable code, how much they weigh, what they
//! are about, the events behind them and what to do. Nothing is refused for them, and whoever has
//! decided to live with one can say so; it is then shown with that, until the date that was named, or
//! until new events join it or one behind it is corrected. One file for each family of codes.

use std::fmt::Display;

use foldhash::{HashMap, HashMapExt as _};

use codes::Code;
use prost_types::Timestamp;
use trail::Trail;

use super::{
    history::{Moment, Recorded},
    plan::{Plan, Strategy, Tactic},
    value::{Subject, Time},
};
use crate::proto::{self, FindingLevel};

mod assumptions;
pub mod codes;
mod commitments;
mod history;
mod indicators;
mod objective;
mod roulette;
mod strategies;
mod tactics;
#[cfg(test)]
mod tests;
mod trail;

/// How many events a finding shows, the last ones: enough to follow it, and an answer of a thousand
/// findings stays a message.
const EVENTS_SHOWN_MAX: usize = 64;

/// How many names a message lists before it only counts the others.
const NAMES_LISTED_MAX: usize = 5;

/// The seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// What is wrong with a plan by its events, whatever the time: what comes with time alone is held back
/// until then. As long as nothing happens to the plan it holds.
#[derive(Debug)]
pub struct Review(Vec<Draft>);

impl Review {
    /// Of a plan as it is at a moment.
    #[must_use]
    pub fn of(moment: &Moment) -> Self {
        Self(drafts(&Case::new(moment)))
    }

    /// The findings at a moment of the same plan and events that are wanted, in the order of their codes,
    /// then of their subjects. Each is put into words only when it is taken.
    pub fn findings<'a>(
        &'a self,
        moment: &'a Moment,
        wanted: impl Fn(&Code, FindingLevel, &Subject) -> bool + 'a,
    ) -> impl Iterator<Item = proto::Finding> + 'a {
        let drafts = self.0.iter().filter(move |draft| {
            draft.from.is_none_or(|from| from <= moment.now)
                && wanted(draft.code, draft.level, &draft.subject)
        });
        drafts.map(|draft| draft.finding(moment))
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.0.iter().map(Draft::weight_bytes).sum()
    }
}

fn drafts(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    objective::find(case, &mut drafts);
    strategies::find(case, &mut drafts);
    tactics::find(case, &mut drafts);
    drafts.extend(roulette::tactical_roulette(case));
    assumptions::find(case, &mut drafts);
    indicators::find(case, &mut drafts);
    commitments::find(case, &mut drafts);
    history::find(case, &mut drafts);
    drafts.sort_by(|a, b| (a.code.name, &a.subject).cmp(&(b.code.name, &b.subject)));
    drafts
}

/// What findings are drawn from: the plan, and what a walk along its events says. What time it is has no part
/// in it.
struct Case<'a> {
    moment: &'a Moment,
    plan: &'a Plan,
    trail: Trail<'a>,
    /// The tactics that are not retired, by their strategies.
    options: HashMap<&'a str, Vec<&'a Tactic>>,
}

impl<'a> Case<'a> {
    fn new(moment: &'a Moment) -> Self {
        let plan = &moment.plan;
        let mut options: HashMap<_, Vec<_>> = HashMap::new();
        for tactic in plan.tactics.values().filter(|it| it.retired.is_none()) {
            if let Some(strategy_id) = tactic.strategy_id.as_deref() {
                options
                    .entry(strategy_id)
                    .or_default()
                    .push(tactic.as_ref());
            }
        }
        Self {
            moment,
            plan,
            trail: Trail::of(plan, &moment.events),
            options,
        }
    }

    fn live_strategies(&self) -> impl Iterator<Item = &'a Strategy> {
        let strategies = self.plan.strategies.values().map(AsRef::as_ref);
        strategies.filter(|strategy| strategy.is_live())
    }

    /// The tactics of a strategy that are not retired.
    fn options(&self, strategy_id: &str) -> &[&'a Tactic] {
        self.options.get(strategy_id).map_or(&[], Vec::as_slice)
    }

    /// The event with which the plan begins.
    fn beginning(&self) -> Option<u64> {
        self.moment.events.first().map(|it| it.event.revision)
    }
}

/// A finding before it is put into words that clients read.
#[derive(Debug)]
struct Draft {
    code: &'static Code,
    level: FindingLevel,
    subject: Subject,
    message: Message,
    /// The time that brings it about, where events alone do not.
    from: Option<Time>,
    /// The revisions of the events behind it, ascending, each once.
    revisions: Vec<u64>,
    subjects: Vec<Subject>,
    hits: Vec<proto::WordingHit>,
}

impl Draft {
    /// A finding that rests on these events, in any order.
    fn new(
        code: &'static Code,
        subject: Subject,
        revisions: impl IntoIterator<Item = u64>,
        message: impl Into<Message>,
    ) -> Self {
        let mut revisions: Vec<_> = revisions.into_iter().collect();
        revisions.sort_unstable();
        revisions.dedup();
        Self {
            code,
            level: code.level,
            subject,
            message: message.into(),
            from: None,
            revisions,
            subjects: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// It is one from this time on, if nothing happens until then.
    fn from(mut self, time: Time) -> Self {
        self.from = Some(time);
        self
    }

    /// Says what a finding about the whole plan is about.
    fn about(mut self, subjects: impl IntoIterator<Item = Subject>) -> Self {
        self.subjects.extend(subjects);
        self
    }

    fn finding(&self, moment: &Moment) -> proto::Finding {
        let behind = self.behind(moment);
        let shown = behind.len().saturating_sub(EVENTS_SHOWN_MAX)..;
        let shown = behind.get(shown).unwrap_or_default().iter();
        let plan_id = &moment.plan.plan_id;
        proto::Finding {
            code: self.code.name.to_owned(),
            level: self.level.into(),
            subject: self.subject.to_string(),
            title: self.code.title.to_owned(),
            message: self.message.at(moment.now),
            events: shown.map(|recorded| recorded.reference(plan_id)).collect(),
            event_count: u32::try_from(behind.len()).unwrap_or(u32::MAX),
            subjects: self.subjects.iter().map(Subject::to_string).collect(),
            acknowledgement: self.acknowledgement(moment),
            hits: self.hits.clone(),
            rationale: self.code.rationale(),
        }
    }

    fn weight_bytes(&self) -> usize {
        let hits = self.hits.iter().map(|hit| hit.text.len() + hit.class.len());
        size_of::<Self>()
            + self.message.len()
            + size_of_val(&*self.revisions)
            + size_of_val(&*self.subjects)
            + size_of_val(&*self.hits)
            + hits.sum::<usize>()
    }

    /// The events behind it that count.
    fn behind<'a>(&self, moment: &'a Moment) -> Vec<&'a Recorded> {
        let at_its_place = |revision: u64| {
            let place = usize::try_from(revision.checked_sub(1)?).ok()?;
            let recorded = moment.events.get(place)?;
            (recorded.event.revision == revision).then_some(recorded)
        };
        // A place is searched for only where an event before it does not count.
        let found = self.revisions.iter().filter_map(|revision| {
            let recorded = at_its_place(*revision).or_else(|| moment.event(*revision));
            recorded.map(AsRef::as_ref)
        });
        found.collect()
    }

    /// The acknowledgement that holds: its date has not come, and no event behind the finding came
    /// after it or was corrected since.
    fn acknowledgement(&self, moment: &Moment) -> Option<proto::Acknowledgement> {
        let key = (self.code.name.to_owned(), self.subject.to_string());
        let accepted = moment.plan.acknowledgements.get(&key)?;
        let is_due = accepted.until.is_some_and(|until| until <= moment.now);
        let amendments = &moment.plan.amendments;
        let changed_at = |revision: &u64| {
            let amended = amendments.get(revision);
            amended.map_or(*revision, |amendment| amendment.revision())
        };
        let has_changed = self.revisions.iter().map(changed_at).max() > Some(accepted.revision);
        let (code, subject) = key;
        (!is_due && !has_changed).then(|| proto::Acknowledgement {
            code,
            subject,
            until: accepted.until.map(Into::into),
            reason: accepted.reason.clone(),
            revision: accepted.revision,
        })
    }
}

/// What a finding says.
#[derive(Debug)]
enum Message {
    Text(String),
    /// How long it has lasted stands between two texts.
    Lasting(String, Time, String),
}

impl Message {
    fn at(&self, now: Time) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Lasting(before, since, after) => {
                format!("{before}{}{after}", days_between(*since, now))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Lasting(before, _, after) => before.len() + after.len(),
        }
    }
}

impl<T: Into<String>> From<T> for Message {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// Ids as a sentence lists them: "`a`, `b` and `c`", and only how many others there are.
fn listed<Name: Display>(ids: impl IntoIterator<Item = Name>) -> String {
    enumerated(ids.into_iter().map(|id| format!("`{id}`")).collect())
}

fn enumerated(mut names: Vec<String>) -> String {
    let count = names.len();
    let last = if count > NAMES_LISTED_MAX {
        names.truncate(NAMES_LISTED_MAX - 1);
        format!("{} more", count - names.len())
    } else {
        names.pop().unwrap_or_default()
    };
    if names.is_empty() {
        return last;
    }
    format!("{} and {last}", names.join(", "))
}

/// "1 attempt", "3 attempts".
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// "once", "3 times".
fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// The day of a time: "2024-03-05".
fn day(time: Time) -> String {
    let time = Timestamp::from(time);
    jiff::Timestamp::new(time.seconds, time.nanos).map_or_else(
        |_| "an unknown day".to_owned(),
        |time| time.strftime("%F").to_string(),
    )
}

/// The whole days from one time to another: "3 days".
fn days_between(earlier: Time, later: Time) -> String {
    let seconds = later.seconds.saturating_sub(earlier.seconds);
    match usize::try_from(seconds / DAY_SECONDS).unwrap_or_default() {
        0 => "less than a day".to_owned(),
        days => counted(days, "day"),
    }
}

/// A text of blanks says nothing.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}
