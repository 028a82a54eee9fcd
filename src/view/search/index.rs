//! The index itself, in memory: which words stand in which passages, and how each tactic stood, both
//! from which position of the log to which. So it answers for every position up to its own. Passages
//! and versions are only added, and the end of a passage is set once.

use std::{collections::HashMap, sync::Arc};

use super::{
    passages::{About, Change, Field, Passage, Step},
    postings::Postings,
    stand::{Stand, State},
};
use crate::domain::{
    plan::{Amendment, Description, Plan},
    value::Id,
};

/// The number of nothing: no passage, no strategy.
pub(super) const NONE: u32 = u32::MAX;
/// The end of a passage that counts to this day.
const OPEN: u64 = u64::MAX;

/// A text, as far as it is kept here: where it stands in the log, and while it counts.
pub(super) struct Kept {
    /// The position of the commit that says it; it counts from there on.
    pub(super) from: u64,
    /// The position from which it does not count any more.
    pub(super) until: u64,
    pub(super) owner: Owner,
    /// The event that it is known by; at most 50,000 in a plan.
    revision: u32,
    /// The passage of the same owner before it.
    pub(super) previous: u32,
    pub(super) words: u32,
    pub(super) field: Field,
}

impl Kept {
    pub(super) fn counts_at(&self, position: u64) -> bool {
        self.from <= position && position < self.until
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.into()
    }
}

/// Whom a passage is about, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    Tactic(u32),
    Strategy(u32),
}

/// A plan.
pub(super) struct PlanEntry {
    pub(super) plan_id: Id,
    /// Up to which position of the log it is taken in.
    pub(super) position: u64,
    /// Its title and labels, and from which position on.
    described: Vec<(u64, Arc<Description>)>,
    tactics: Vec<u32>,
    pub(super) strategies: Vec<u32>,
}

impl PlanEntry {
    pub(super) fn description_at(&self, position: u64) -> Option<&Arc<Description>> {
        let then = |(from, _): &&(u64, _)| *from <= position;
        let described = self.described.iter().rev().find(then);
        described.map(|(_, description)| description)
    }
}

/// A tactic.
pub(super) struct TacticEntry {
    pub(super) plan: u32,
    pub(super) tactic_id: Id,
    pub(super) last_passage: u32,
    /// How many words its passages have that count to this day.
    words: u32,
    /// How it stands; apart from the versions before, because most searches ask for this one.
    now: Option<Stand>,
    earlier: Vec<Stand>,
}

impl TacticEntry {
    /// How it stood at a position; nothing before it was added.
    pub(super) fn at(&self, position: u64) -> Option<&Stand> {
        let now = self.now.as_ref()?;
        if now.from <= position {
            return Some(now);
        }
        self.earlier.iter().rev().find(|then| then.from <= position)
    }
}

/// A strategy.
pub(super) struct StrategyEntry {
    pub(super) strategy_id: Id,
    pub(super) last_passage: u32,
    /// The tactics that serve it or did.
    pub(super) tactics: Vec<u32>,
}

/// All of it.
#[derive(Default)]
pub(super) struct Index {
    pub(super) plans: Vec<PlanEntry>,
    pub(super) tactics: Vec<TacticEntry>,
    pub(super) strategies: Vec<StrategyEntry>,
    pub(super) passages: Vec<Kept>,
    pub(super) postings: Vec<Postings>,
    pub(super) kinds: Vec<Box<str>>,
    tally: Tally,
    plan_numbers: HashMap<Id, u32>,
    terms: HashMap<Box<str>, u32>,
    kind_numbers: HashMap<Box<str>, u32>,
}

impl Index {
    /// The number of a plan.
    pub(super) fn plan(&self, plan_id: &str) -> Option<u32> {
        self.plan_numbers.get(plan_id).copied()
    }

    /// Up to which position a plan is taken in.
    pub(super) fn position_of(&self, plan_id: &str) -> u64 {
        let plan = self.plan(plan_id).and_then(|plan| get(&self.plans, plan));
        plan.map_or(0, |plan| plan.position)
    }

    /// Where a word stands.
    pub(super) fn postings_of(&self, term: &str) -> Option<&Postings> {
        get(&self.postings, *self.terms.get(term)?)
    }

    /// How many passages were said up to a position.
    pub(super) fn passages_until(&self, position: u64) -> u32 {
        self.tally.until(position)
    }

    /// The number of a kind of tactics.
    pub(super) fn kind(&self, kind: &str) -> Option<u32> {
        self.kind_numbers.get(kind).copied()
    }

    /// The passages of an owner, the last one first.
    pub(super) fn passages_of(&self, owner: Owner) -> impl Iterator<Item = (u32, &Kept)> {
        let last = match owner {
            Owner::Tactic(tactic) => get(&self.tactics, tactic).map(|it| it.last_passage),
            Owner::Strategy(strategy) => get(&self.strategies, strategy).map(|it| it.last_passage),
        };
        let mut next = last.unwrap_or(NONE);
        std::iter::from_fn(move || {
            let number = next;
            let passage = get(&self.passages, number)?;
            next = passage.previous;
            Some((number, passage))
        })
    }

    /// Takes in one commit of a plan, which stands like this after it. One that was taken in before
    /// changes nothing.
    pub(super) fn take_in(&mut self, position: u64, step: &Step<'_>, state: &Plan) {
        let plan = self.plan_or_new(&state.plan_id);
        let Some(entry) = get_mut(&mut self.plans, plan) else {
            return;
        };
        if entry.position >= position {
            return;
        }
        entry.position = position;
        let described = entry.described.last().map(|(_, description)| description);
        if described.is_none_or(|last| **last != *state.description) {
            entry.described.push((position, state.description.clone()));
        }
        for change in &step.changes {
            match change {
                Change::Says(passage) => self.say(plan, position, passage),
                Change::Corrects(revision, passages) => {
                    let standing = state.amendments.get(revision);
                    // What was retracted stays so.
                    if !matches!(standing, Some(Amendment::Retracted(_))) {
                        self.correct(plan, position, *revision, passages);
                    }
                }
                Change::Retracts(revision) => self.retract(plan, position, *revision),
            }
        }
        self.stand(plan, position, step, state);
    }

    fn say(&mut self, plan: u32, position: u64, passage: &Passage<'_>) {
        let owner = self.owner(plan, passage.about);
        if passage.field.is_restated() {
            let is_before = |it: &Kept| it.field == passage.field && it.until == OPEN;
            let before = self.passages_of(owner).find(|(_, it)| is_before(it));
            if let Some((before, _)) = before {
                self.end(before, position);
            }
        }
        self.begin(owner, position, passage);
    }

    /// Puts other texts in the place of those of an event, but for one that a later event restated.
    fn correct(&mut self, plan: u32, position: u64, revision: u64, passages: &[Passage<'_>]) {
        let restated: Vec<_> = passages
            .iter()
            .map(|passage| {
                let owner = self.owner(plan, passage.about);
                let mut same = self
                    .passages_of(owner)
                    .filter(|(_, it)| it.revision() == revision && it.field == passage.field);
                let last = same.next();
                passage.field.is_restated() && last.is_none_or(|(_, it)| it.until != OPEN)
            })
            .collect();
        self.retract(plan, position, revision);
        for (passage, restated) in passages.iter().zip(restated) {
            if !restated {
                let owner = self.owner(plan, passage.about);
                self.begin(owner, position, passage);
            }
        }
    }

    /// Ends whatever an event says.
    fn retract(&mut self, plan: u32, position: u64, revision: u64) {
        let Some(entry) = get(&self.plans, plan) else {
            return;
        };
        let tactics = entry.tactics.iter().map(|tactic| Owner::Tactic(*tactic));
        let strategies = entry.strategies.iter().map(|it| Owner::Strategy(*it));
        let ended: Vec<u32> = tactics
            .chain(strategies)
            .flat_map(|owner| self.passages_of(owner))
            .filter(|(_, it)| it.revision() == revision && it.until == OPEN)
            .map(|(number, _)| number)
            .collect();
        for number in ended {
            self.end(number, position);
        }
    }

    fn begin(&mut self, owner: Owner, position: u64, passage: &Passage<'_>) {
        let number = count(self.passages.len());
        let words = passage.words.values().map(|count| u32::from(*count)).sum();
        let previous = match owner {
            Owner::Tactic(tactic) => get_mut(&mut self.tactics, tactic).map(|it| {
                it.words += words;
                std::mem::replace(&mut it.last_passage, number)
            }),
            Owner::Strategy(strategy) => get_mut(&mut self.strategies, strategy)
                .map(|it| std::mem::replace(&mut it.last_passage, number)),
        };
        self.tally.add(position);
        self.passages.push(Kept {
            from: position,
            until: OPEN,
            owner,
            revision: u32::try_from(passage.revision).unwrap_or(u32::MAX),
            previous: previous.unwrap_or(NONE),
            words,
            field: passage.field,
        });
        for (word, count) in &passage.words {
            let term = match self.terms.get(word.as_str()) {
                Some(term) => *term,
                None => self.new_term(word),
            };
            if let Some(postings) = get_mut(&mut self.postings, term) {
                postings.push(number, *count);
            }
        }
    }

    fn end(&mut self, number: u32, position: u64) {
        let Some(passage) = get_mut(&mut self.passages, number) else {
            return;
        };
        passage.until = position;
        if let Owner::Tactic(tactic) = passage.owner
            && let Some(tactic) = get_mut(&mut self.tactics, tactic)
        {
            tactic.words = tactic.words.saturating_sub(passage.words);
        }
    }

    /// Notes how tactics stand after a commit: those that it names, or all if it amends an event.
    fn stand(&mut self, plan: u32, position: u64, step: &Step<'_>, state: &Plan) {
        if step.amends {
            for tactic_id in state.tactics.keys() {
                self.stand_of(plan, position, tactic_id, state);
            }
        } else {
            for tactic_id in &step.touched {
                self.stand_of(plan, position, tactic_id, state);
            }
        }
    }

    fn stand_of(&mut self, plan: u32, position: u64, tactic_id: &str, state: &Plan) {
        let Some(tactic) = state.tactics.get(tactic_id) else {
            return;
        };
        let Owner::Tactic(number) = self.owner(plan, About::Tactic(tactic_id)) else {
            return;
        };
        let strategy = tactic.strategy_id.as_ref().map_or(NONE, |strategy_id| {
            match self.owner(plan, About::Strategy(strategy_id)) {
                Owner::Strategy(strategy) => strategy,
                Owner::Tactic(_) => NONE,
            }
        });
        let kind = self.kind_or_new(&tactic.kind);
        let Some(entry) = get_mut(&mut self.tactics, number) else {
            return;
        };
        let stand = Stand {
            from: position,
            strategy,
            kind,
            words: entry.words,
            state: State::of(tactic),
        };
        let was_served = entry.now.as_ref().map_or(NONE, |now| now.strategy);
        match &mut entry.now {
            Some(now) if now.from == position => *now = stand,
            Some(now) if now.differs(&stand) => {
                // Most tactics change two or three times: no room is kept for more.
                entry.earlier.reserve_exact(1);
                entry.earlier.push(std::mem::replace(now, stand));
            }
            Some(_) => {}
            none => *none = Some(stand),
        }
        if strategy != was_served
            && let Some(served) = get_mut(&mut self.strategies, strategy)
            && !served.tactics.contains(&number)
        {
            served.tactics.push(number);
        }
    }

    fn plan_or_new(&mut self, plan_id: &Id) -> u32 {
        if let Some(plan) = self.plan(plan_id) {
            return plan;
        }
        let number = count(self.plans.len());
        self.plans.push(PlanEntry {
            plan_id: plan_id.clone(),
            position: 0,
            described: Vec::new(),
            tactics: Vec::new(),
            strategies: Vec::new(),
        });
        self.plan_numbers.insert(plan_id.clone(), number);
        number
    }

    /// The number of a tactic or strategy, which a plan has at most some hundred of.
    fn owner(&mut self, plan: u32, about: About<'_>) -> Owner {
        let Some(entry) = get_mut(&mut self.plans, plan) else {
            return Owner::Tactic(NONE);
        };
        match about {
            About::Tactic(tactic_id) => {
                let is_it = |number: &&u32| {
                    get(&self.tactics, **number).is_some_and(|it| *it.tactic_id == *tactic_id)
                };
                if let Some(number) = entry.tactics.iter().rev().find(is_it) {
                    return Owner::Tactic(*number);
                }
                let number = count(self.tactics.len());
                entry.tactics.push(number);
                self.tactics.push(TacticEntry {
                    plan,
                    tactic_id: Id::from(tactic_id),
                    last_passage: NONE,
                    words: 0,
                    now: None,
                    earlier: Vec::new(),
                });
                Owner::Tactic(number)
            }
            About::Strategy(strategy_id) => {
                let is_it = |number: &&u32| {
                    get(&self.strategies, **number)
                        .is_some_and(|it| *it.strategy_id == *strategy_id)
                };
                if let Some(number) = entry.strategies.iter().rev().find(is_it) {
                    return Owner::Strategy(*number);
                }
                let number = count(self.strategies.len());
                entry.strategies.push(number);
                self.strategies.push(StrategyEntry {
                    strategy_id: Id::from(strategy_id),
                    last_passage: NONE,
                    tactics: Vec::new(),
                });
                Owner::Strategy(number)
            }
        }
    }

    fn new_term(&mut self, word: &str) -> u32 {
        let number = count(self.postings.len());
        self.postings.push(Postings::default());
        self.terms.insert(word.into(), number);
        number
    }

    fn kind_or_new(&mut self, kind: &str) -> u32 {
        if let Some(number) = self.kind(kind) {
            return number;
        }
        let number = count(self.kinds.len());
        self.kinds.push(kind.into());
        self.kind_numbers.insert(kind.into(), number);
        number
    }

    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let stands: usize = self.tactics.iter().map(|it| it.earlier.capacity()).sum();
        let postings: usize = self.postings.iter().map(Postings::bytes).sum();
        // An id's text and its counts; a word, its number and its place in the table.
        let (id_bytes, term_bytes) = (48, 64);
        self.passages.capacity() * size_of::<Kept>()
            + self.tactics.capacity() * size_of::<TacticEntry>()
            + stands * size_of::<Stand>()
            + self.strategies.capacity() * size_of::<StrategyEntry>()
            + self.plans.capacity() * size_of::<PlanEntry>()
            + (self.tactics.len() + self.strategies.len() + self.plans.len()) * id_bytes
            + self.postings.capacity() * size_of::<Postings>()
            + postings
            + self.tally.each.capacity() * size_of::<u16>()
            + self.terms.len() * term_bytes
    }
}

/// How many passages each position added, and each thousand (1,024) of them.
#[derive(Default)]
struct Tally {
    each: Vec<u16>,
    thousands: Vec<u32>,
}

impl Tally {
    fn add(&mut self, position: u64) {
        let place = usize::try_from(position).unwrap_or(usize::MAX);
        if self.each.len() <= place {
            self.each.resize(place + 1, 0);
            self.thousands.resize((place >> 10) + 1, 0);
        }
        if let (Some(each), Some(thousand)) = (
            self.each.get_mut(place),
            self.thousands.get_mut(place >> 10),
        ) {
            *each = each.saturating_add(1);
            *thousand += 1;
        }
    }

    fn until(&self, position: u64) -> u32 {
        let place = usize::try_from(position).unwrap_or(usize::MAX);
        let thousands = self.thousands.iter().take(place >> 10).sum::<u32>();
        let last = self
            .each
            .iter()
            .take(place.saturating_add(1))
            .skip(place >> 10 << 10);
        thousands + last.map(|each| u32::from(*each)).sum::<u32>()
    }
}

pub(super) fn get<T>(items: &[T], number: u32) -> Option<&T> {
    items.get(number as usize)
}

fn get_mut<T>(items: &mut [T], number: u32) -> Option<&mut T> {
    items.get_mut(number as usize)
}

/// The number of the next of so many: four billion of them do not fit a machine's memory.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}
