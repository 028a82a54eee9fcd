//! A plan's state carried along its log, as far as searches ask for it: its name and its tactics. An
//! amendment folds anew only what the amended event made, from at most some 130 events, not the plan.

use std::collections::{BTreeMap, BTreeSet};

use super::passages::told;
use crate::{
    domain::{
        evolve,
        plan::Plan,
        value::{Id, Subject},
    },
    proto::{self, Event, event::Kind},
};

/// A plan as searches see it, up to some commit.
pub(super) struct Carried {
    plan: Plan,
    /// What made a tactic, or the name of the plan, what it is, in order.
    makers: BTreeMap<Subject, BTreeMap<u64, Maker>>,
    /// What each of these events made.
    made: BTreeMap<u64, Vec<Subject>>,
    /// The events that say something that can be searched, or did as they were corrected once.
    saying: BTreeSet<u64>,
}

/// An event, and what last corrected it.
struct Maker {
    event: Event,
    correction: Option<Event>,
}

impl Maker {
    fn kind(&self) -> Option<&Kind> {
        self.event.kind.as_ref()
    }

    /// Of which only counts that it happened, also when it was part of a revision of the strategy.
    fn is_retirement(&self) -> bool {
        matches!(self.kind(), Some(Kind::TacticRetired(_)))
    }
}

impl Carried {
    /// Before the first commit.
    pub(super) fn unborn(plan_id: Id) -> Self {
        Self {
            plan: Plan::unborn(plan_id),
            makers: BTreeMap::new(),
            made: BTreeMap::new(),
            saying: BTreeSet::new(),
        }
    }

    /// The plan's name, its tactics but for what made them retire, and what was amended. Nothing else
    /// of it is kept.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether a search can find what the event of this revision says.
    pub(super) fn says(&self, revision: u64) -> bool {
        self.saying.contains(&revision)
    }

    /// Carries the state on by events. Returns the tactics that their amendments folded anew.
    pub(super) fn take_all(&mut self, events: &[Event]) -> Vec<Id> {
        events.iter().flat_map(|event| self.take(event)).collect()
    }

    fn take(&mut self, event: &Event) -> Vec<Id> {
        let Some(kind) = &event.kind else {
            return Vec::new();
        };
        if let Kind::EventCorrected(correction) = kind {
            evolve::evolve(&mut self.plan, event);
            let replacement = correction.replacement.as_ref();
            if let Some(kind) = replacement.and_then(|it| it.kind.as_ref())
                && !told(kind).said.is_empty()
            {
                self.saying.insert(correction.revision);
            }
            return self.amend(correction.revision, Some(event));
        }
        if let Kind::EventRetracted(retraction) = kind {
            evolve::evolve(&mut self.plan, event);
            return self.amend(retraction.revision, None);
        }
        let told = told(kind);
        if !told.said.is_empty() {
            self.saying.insert(event.revision);
        }
        if matches!(kind, Kind::PlanCreated(_) | Kind::PlanDescribed(_)) {
            self.make(Subject::Plan, event.clone());
        }
        for tactic_id in told.touched {
            self.make(Subject::Tactic(tactic_id.into()), made_of(tactic_id, event));
        }
        Vec::new()
    }

    fn make(&mut self, subject: Subject, event: Event) {
        evolve::evolve(&mut self.plan, &event);
        let makers = self.makers.entry(subject.clone()).or_default();
        // What cannot be retracted and is restated never counts again.
        let restated = makers
            .iter()
            .find(|(_, maker)| restates(event.kind.as_ref(), maker.kind()))
            .map(|(revision, _)| *revision);
        if let Some(restated) = restated {
            makers.remove(&restated);
            self.made.remove(&restated);
        }
        self.made.entry(event.revision).or_default().push(subject);
        let revision = event.revision;
        let correction = None;
        makers.insert(revision, Maker { event, correction });
    }

    /// Folds anew what the event made. Without a correction it is retracted.
    fn amend(&mut self, revision: u64, correction: Option<&Event>) -> Vec<Id> {
        let subjects = match correction {
            Some(_) => self.made.get(&revision).cloned(),
            None => self.made.remove(&revision),
        };
        let mut anew = Vec::new();
        for subject in subjects.unwrap_or_default() {
            let Some(makers) = self.makers.get_mut(&subject) else {
                continue;
            };
            if let Some(correction) = correction {
                if let Some(maker) = makers.get_mut(&revision)
                    && !maker.is_retirement()
                {
                    maker.correction = Some(correction.clone());
                }
            } else {
                makers.remove(&revision);
            }
            self.fold(&subject);
            if let Subject::Tactic(tactic_id) = subject {
                anew.push(tactic_id);
            }
        }
        anew
    }

    fn fold(&mut self, subject: &Subject) {
        let Some(makers) = self.makers.get(subject) else {
            return;
        };
        let events = makers
            .values()
            .flat_map(|maker| std::iter::once(&maker.event).chain(&maker.correction));
        let mut folded = evolve::fold(self.plan.plan_id.clone(), events);
        if let Subject::Tactic(tactic_id) = subject {
            match folded.tactics.remove(tactic_id) {
                Some(tactic) => self.plan.tactics.insert(tactic_id.clone(), tactic),
                None => self.plan.tactics.remove(tactic_id),
            };
        } else {
            self.plan.description = folded.description;
        }
    }
}

/// What an event makes of one tactic. A revision of its strategy retires it as if by itself.
fn made_of(tactic_id: &str, event: &Event) -> Event {
    let Some(Kind::StrategyRevised(revised)) = &event.kind else {
        return event.clone();
    };
    Event {
        kind: Some(Kind::TacticRetired(proto::TacticRetired {
            tactic_id: tactic_id.to_owned(),
            reason: revised.reason.clone(),
        })),
        ..event.clone()
    }
}

/// Whether an event says all anew that an earlier one of the same subject said.
fn restates(later: Option<&Kind>, earlier: Option<&Kind>) -> bool {
    let both = |is: fn(&Kind) -> bool| later.is_some_and(is) && earlier.is_some_and(is);
    both(|kind| matches!(kind, Kind::PlanCreated(_) | Kind::PlanDescribed(_)))
        || both(|kind| matches!(kind, Kind::TacticReworded(_)))
        || both(|kind| matches!(kind, Kind::TacticRegrouped(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::given;

    fn carried(events: &[Event]) -> Carried {
        let mut carried = Carried::unborn("growth".into());
        carried.take_all(events);
        carried
    }

    fn reworded(statement: &str) -> Kind {
        Kind::TacticReworded(proto::TacticReworded {
            tactic_id: "t".into(),
            statement: statement.into(),
            ..proto::TacticReworded::default()
        })
    }

    #[test]
    fn an_amendment_folds_anew_only_the_tactic_that_it_is_about() {
        let history = given::history([
            given::created(),
            given::indicator("replies"),
            given::measured("replies", 4.0),
            given::tactic("t", ""),
            given::tactic("u", ""),
            given::tried("t", 1),
        ]);
        let anew = |kind| carried(&history).take(&given::event(7, kind));
        let none: [Id; 0] = [];
        assert_eq!(anew(given::retracted(6)), ["t".into()]);
        assert_eq!(
            anew(given::corrected(6, given::tried("t", 1))),
            ["t".into()]
        );
        assert_eq!(anew(given::corrected(1, given::created())), none);
        assert_eq!(anew(given::retracted(3)), none);
    }

    #[test]
    fn however_often_a_tactic_was_reworded_an_amendment_of_it_costs_the_same() {
        let kinds = (0..2_000).map(|number| reworded(&format!("Wording {number}")));
        let first = [given::created(), given::tactic("t", "")];
        let mut carried = carried(&given::history(first.into_iter().chain(kinds)));
        let makers = |carried: &Carried| carried.makers[&Subject::Tactic("t".into())].len();
        assert_eq!((makers(&carried), carried.made.len()), (2, 3));
        carried.take(&given::event(
            2_003,
            given::corrected(2_002, reworded("The last")),
        ));
        carried.take(&given::event(
            2_004,
            given::corrected(2_001, reworded("Another")),
        ));
        assert_eq!(carried.plan.tactics["t"].statement, "The last");
        assert_eq!(makers(&carried), 2);
    }

    #[test]
    fn the_name_of_a_plan_is_as_it_was_corrected_last() {
        let named = |title: &str| {
            Kind::PlanDescribed(proto::PlanDescribed {
                title: title.into(),
                ..proto::PlanDescribed::default()
            })
        };
        let title = |amendments: &[Kind]| {
            let first = [given::created(), named("Reach")];
            let history = first.into_iter().chain(amendments.iter().cloned());
            let carried = carried(&given::history(history));
            carried.plan.description.title.clone()
        };
        let late = given::corrected(2, named("Wide reach"));
        assert_eq!(title(&[given::corrected(1, given::created())]), "Reach");
        assert_eq!(title(std::slice::from_ref(&late)), "Wide reach");
        let again = given::corrected(2, named("Far reach"));
        assert_eq!(title(&[late, again]), "Far reach");
    }

    #[test]
    fn a_tactic_that_a_revision_retired_stays_so_when_the_revision_is_corrected() {
        let revised = |reason: &str| {
            Kind::StrategyRevised(proto::StrategyRevised {
                strategy_id: "s".into(),
                retire_tactic_ids: vec!["t".into()],
                reason: reason.into(),
                ..proto::StrategyRevised::default()
            })
        };
        let carried = carried(&given::history([
            given::created(),
            given::strategy("s"),
            given::tactic("t", "s"),
            revised("Too slow"),
            given::corrected(4, revised("Too dear")),
        ]));
        assert!(carried.plan.tactics["t"].retired.is_some());
    }

    fn tried_for(reason: &str) -> Kind {
        Kind::TacticTried(proto::TacticTried {
            tactic_id: "t".into(),
            attempt: 1,
            reason: reason.into(),
            ..proto::TacticTried::default()
        })
    }

    #[test]
    fn events_that_say_nothing_are_told_apart() {
        let carried = carried(&given::history([
            given::created(),
            given::strategy("s"),
            given::tactic("t", "s"),
            given::measured("replies", 4.0),
            given::tried("t", 1),
            given::corrected(5, tried_for("It is cheap")),
        ]));
        let says: Vec<_> = (1..=5).filter(|it| carried.says(*it)).collect();
        assert_eq!(says, [2, 3, 5]);
    }
}
