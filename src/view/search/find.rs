//! Answering a query from the index: every word must stand somewhere in what is told of a tactic; the
//! hits are ranked by BM25 over its texts as one, weighted by field. What ranks them follows from the
//! log alone, so a daemon that started anew gives the same answer.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{
    Hit, Query, TextAt, ViewError, Wanted,
    index::{Index, Kept, NONE, Owner, StrategyEntry, TacticEntry, get},
    passages::Field,
    postings::Postings,
    seen::Seen,
    stand::{Stand, State},
};
use crate::domain::{plan::Description, value::Subject};

/// How soon a word that comes again adds little: the usual value.
const SATURATION: f64 = 1.2;
/// How much a long record counts against a tactic. Less than the usual 0.75: what was tried often is
/// long because there is much to learn from it.
const LENGTH_SHARE: f64 = 0.3;
/// The length that counts neither for nor against a tactic, in words. Not the mean of what is there,
/// or each plan would move the ranks of all others.
const LENGTH_USUAL: f64 = 40.0;
/// Scores are told apart to so much, so that the order in which words are added up does not show.
const SCORE_STEPS: f64 = 1e6;
/// What the weights of the fields are multiples of.
const WEIGHT_UNIT: f64 = 2.0;
/// How many texts of a hit are shown to match at most.
const MATCHES_MAX: usize = 8;

/// A tactic on its way to being a hit.
struct Candidate {
    tactic: u32,
    /// How many of the words so far it has.
    words: u32,
    /// The sum of the last word's counts, each times the weight of its field.
    weighted: u32,
    /// How many words its own passages have.
    length: u32,
    score: f64,
}

impl Candidate {
    /// Counts that it has the word of this number.
    fn count(&mut self, number: u32, weighted: u32) {
        self.words = number + 1;
        self.weighted = self.weighted.saturating_add(weighted);
    }
}

/// The hits on one page, and how many there are on all.
pub(super) fn find(
    index: &Index,
    query: &Query,
    position: u64,
) -> Result<(Vec<Hit>, usize), ViewError> {
    let mut candidates = candidates(index, query, position)?;
    let total = candidates.len();
    let end = query.offset.saturating_add(query.limit).min(total);
    let begin = query.offset.min(end);
    keep_best(index, &mut candidates, end);
    candidates.drain(..begin);
    Ok((Page::of(index, query, position, &candidates).hits(), total))
}

/// Leaves the best so many, in order. Ids are compared only of those that tie where they count: among
/// tens of thousands many tie.
fn keep_best(index: &Index, candidates: &mut Vec<Candidate>, count: usize) {
    if count < candidates.len() {
        let by_score = |a: &Candidate, b: &Candidate| b.score.total_cmp(&a.score);
        if let Some(last) = count.checked_sub(1) {
            let (_, nth, _) = candidates.select_nth_unstable_by(last, by_score);
            let least = nth.score;
            candidates.retain(|candidate| candidate.score >= least);
        }
        if count < candidates.len() {
            candidates.select_nth_unstable_by(count, |a, b| rank(index, a, b));
            candidates.truncate(count);
        }
    }
    candidates.sort_unstable_by(|a, b| rank(index, a, b));
}

/// The best first; ties in the order of plans and tactics.
fn rank(index: &Index, a: &Candidate, b: &Candidate) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| {
        let name = |candidate: &Candidate| {
            let tactic = get(&index.tactics, candidate.tactic)?;
            let plan = get(&index.plans, tactic.plan)?;
            Some((&plan.plan_id, &tactic.tactic_id))
        };
        name(a).cmp(&name(b))
    })
}

/// The tactics that have all words and pass the filters, with their scores.
fn candidates(index: &Index, query: &Query, position: u64) -> Result<Vec<Candidate>, ViewError> {
    let mut terms = Vec::new();
    for term in &query.terms {
        match index.postings_of(term) {
            Some(postings) => terms.push(postings),
            None => return Ok(Vec::new()),
        }
    }
    // The rarest word leaves the fewest tactics to ask the others of.
    terms.sort_by_key(|postings| postings.len());
    let Some(filter) = Filter::of(index, query) else {
        return Ok(Vec::new());
    };
    let seen = Seen::of(index, query)?;
    let passages = match &seen {
        Some(seen) => seen.passages_until(index, position, &query.wanted)?,
        None => index.passages_until(position),
    };
    let mut gathering = Gathering::new(index, position, filter, seen.as_ref(), passages);
    for (number, postings) in (0..).zip(terms) {
        gathering.take(number, postings, &query.wanted)?;
    }
    for candidate in &mut gathering.candidates {
        candidate.score = (candidate.score * SCORE_STEPS).round() / SCORE_STEPS;
    }
    Ok(gathering.candidates)
}

/// Candidates by the numbers of their tactics.
struct Gathering<'a> {
    index: &'a Index,
    position: u64,
    filter: Filter<'a>,
    /// What may be seen; nothing: all.
    seen: Option<&'a Seen>,
    /// How many texts there are, of those that may be seen.
    passages: u32,
    candidates: Vec<Candidate>,
    /// For each tactic its place among the candidates, from 1; 0: it is none.
    places: Vec<u32>,
}

impl<'a> Gathering<'a> {
    fn new(
        index: &'a Index,
        position: u64,
        filter: Filter<'a>,
        seen: Option<&'a Seen>,
        passages: u32,
    ) -> Self {
        Self {
            index,
            position,
            filter,
            seen,
            passages,
            candidates: Vec::new(),
            places: vec![0; index.tactics.len()],
        }
    }

    /// Takes in where the next word stands; those without it are candidates no more.
    fn take(&mut self, number: u32, postings: &Postings, wanted: &Wanted) -> Result<(), ViewError> {
        let mut written: u32 = 0;
        for (step, (passage, count)) in postings.iter().enumerate() {
            wanted.go_on_at(step)?;
            let Some(passage) = get(&self.index.passages, passage) else {
                continue;
            };
            if self.seen.is_some_and(|seen| !seen.has(self.index, passage)) {
                continue;
            }
            if passage.from <= self.position {
                written += 1;
            }
            if passage.counts_at(self.position) {
                self.add(number, passage, count * passage.field.weight());
            }
        }
        let rarity = rarity(written, self.passages);
        let places = &mut self.places;
        self.candidates.retain_mut(|candidate| {
            let has_all = candidate.words == number + 1;
            if has_all {
                candidate.score += rarity * saturated(candidate.weighted, candidate.length);
                candidate.weighted = 0;
            }
            if let Some(place) = places.get_mut(candidate.tactic as usize) {
                *place = 0;
            }
            has_all
        });
        for (place, candidate) in (1..).zip(&self.candidates) {
            if let Some(known) = places.get_mut(candidate.tactic as usize) {
                *known = place;
            }
        }
        Ok(())
    }

    fn add(&mut self, number: u32, passage: &Kept, weighted: u32) {
        match passage.owner {
            Owner::Tactic(tactic) => self.add_to(number, tactic, None, weighted),
            Owner::Strategy(strategy) => {
                let index = self.index;
                let served = get(&index.strategies, strategy).map(|it| it.tactics.as_slice());
                for tactic in served.unwrap_or_default() {
                    self.add_to(number, *tactic, Some(strategy), weighted);
                }
            }
        }
    }

    /// Counts a word for a tactic, if it serves the strategy that says it.
    fn add_to(&mut self, number: u32, tactic: u32, strategy: Option<u32>, weighted: u32) {
        let Some(place) = self.places.get_mut(tactic as usize) else {
            return;
        };
        let is_candidate = *place > 0;
        if !is_candidate && number > 0 {
            return;
        }
        // What is said of the tactic itself counts for it; of a strategy, while it serves that one.
        if is_candidate && strategy.is_none() {
            if let Some(candidate) = self.candidates.get_mut(*place as usize - 1) {
                candidate.count(number, weighted);
            }
            return;
        }
        let serves = |stand: &Stand| strategy.is_none_or(|strategy| strategy == stand.strategy);
        let entry = get(&self.index.tactics, tactic);
        let stand = entry.and_then(|entry| entry.at(self.position));
        let (Some(entry), Some(stand)) = (entry, stand.filter(|stand| serves(stand))) else {
            return;
        };
        if *place == 0 {
            let is_seen = self.seen.is_none_or(|seen| seen.has_plan(entry.plan));
            if !is_seen || !self.filter.takes(self.index, self.position, entry, stand) {
                return;
            }
            self.candidates.push(Candidate {
                tactic,
                words: 0,
                weighted: 0,
                length: stand.words,
                score: 0.0,
            });
            *place = u32::try_from(self.candidates.len()).unwrap_or(NONE);
        }
        if let Some(candidate) = self.candidates.get_mut(*place as usize - 1) {
            candidate.count(number, weighted);
        }
    }
}

/// How much a word tells: the fewer texts have it, the more.
fn rarity(having: u32, of_all: u32) -> f64 {
    ((f64::from(of_all.max(having)) + 1.0) / (f64::from(having) + 0.5)).ln()
}

/// What a word that stands in a tactic's texts so often counts.
fn saturated(weighted: u32, words: u32) -> f64 {
    let often = f64::from(weighted) / WEIGHT_UNIT;
    let length = 1.0 - LENGTH_SHARE + LENGTH_SHARE * f64::from(words) / LENGTH_USUAL;
    often * (SATURATION + 1.0) / (often + SATURATION * length)
}

/// Which tactics a query takes, in the numbers of the index.
struct Filter<'a> {
    query: &'a Query,
    plans: Option<Vec<u32>>,
    kinds: Option<Vec<u32>>,
    /// The plan that was asked last and whether it has the labels: its tactics come together.
    labelled: Option<(u32, bool)>,
}

impl<'a> Filter<'a> {
    /// Nothing if it can take none.
    fn of(index: &Index, query: &'a Query) -> Option<Self> {
        let plans: Vec<u32> = query
            .plan_ids
            .iter()
            .filter_map(|id| index.plan(id))
            .collect();
        let kinds: Vec<u32> = query.kinds.iter().filter_map(|it| index.kind(it)).collect();
        let none_known = (plans.is_empty() && !query.plan_ids.is_empty())
            || (kinds.is_empty() && !query.kinds.is_empty());
        (!none_known).then_some(Self {
            query,
            plans: Some(plans).filter(|plans| !plans.is_empty()),
            kinds: Some(kinds).filter(|kinds| !kinds.is_empty()),
            labelled: None,
        })
    }

    fn takes(&mut self, index: &Index, position: u64, tactic: &TacticEntry, stand: &Stand) -> bool {
        let is_of = |numbers: &Option<Vec<u32>>, number| {
            numbers
                .as_ref()
                .is_none_or(|numbers| numbers.contains(&number))
        };
        let query = self.query;
        is_of(&self.plans, tactic.plan)
            && is_of(&self.kinds, stand.kind)
            && (query.states.is_empty() || query.states.contains(&stand.state.state))
            && (query.outcomes.is_empty() || query.takes_outcome(&stand.state))
            && (query.is_of_any_time() || query.takes_time(&stand.state))
            && (query.labels.is_empty() || self.is_labelled(index, position, tactic.plan))
    }

    fn is_labelled(&mut self, index: &Index, position: u64, plan: u32) -> bool {
        match self.labelled {
            Some((known, is_labelled)) if known == plan => is_labelled,
            Some(_) | None => {
                let described = get(&index.plans, plan).and_then(|it| it.description_at(position));
                let is_labelled = described.is_some_and(|it| self.query.takes_labels(it));
                self.labelled = Some((plan, is_labelled));
                is_labelled
            }
        }
    }
}

impl Query {
    fn is_of_any_time(&self) -> bool {
        self.tried_from.is_none() && self.tried_before.is_none()
    }

    /// Whether the last attempt began or ended within the times asked for.
    fn takes_time(&self, state: &State) -> bool {
        let times = [state.tried_at, state.end.map(|end| end.at)];
        times.into_iter().flatten().any(|time| {
            self.tried_from.is_none_or(|from| from <= time)
                && self.tried_before.is_none_or(|before| time < before)
        })
    }

    fn takes_outcome(&self, state: &State) -> bool {
        let outcome = state.outcome;
        outcome.is_some_and(|outcome| self.outcomes.contains(&outcome))
    }

    fn takes_labels(&self, description: &Description) -> bool {
        self.labels.iter().all(|(name, value)| {
            let found = description.labels.get(name);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        })
    }
}

/// The candidates of one page, and which of their passages have a word of the query.
struct Page<'a> {
    index: &'a Index,
    position: u64,
    candidates: &'a [Candidate],
    /// The passages of the hits and of their strategies that count, and how many of the words each
    /// has.
    passages: BTreeMap<u32, u32>,
}

impl<'a> Page<'a> {
    fn of(index: &'a Index, query: &Query, position: u64, candidates: &'a [Candidate]) -> Self {
        let mut page = Self {
            index,
            position,
            candidates,
            passages: BTreeMap::new(),
        };
        for candidate in candidates {
            for owner in page.owners(candidate) {
                let counting = page.counting(owner).map(|(number, _)| (number, 0));
                let counting: Vec<_> = counting.collect();
                page.passages.extend(counting);
            }
        }
        for term in &query.terms {
            if let Some(postings) = index.postings_of(term) {
                page.mark(postings);
            }
        }
        page
    }

    /// Both are in order, so each is gone through once.
    fn mark(&mut self, postings: &Postings) {
        let mut passages = self.passages.iter_mut().peekable();
        for (posted, _) in postings.iter() {
            while passages.next_if(|(number, _)| **number < posted).is_some() {}
            match passages.peek_mut() {
                Some((number, words)) if **number == posted => **words += 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn stand(&self, candidate: &Candidate) -> Option<&'a Stand> {
        get(&self.index.tactics, candidate.tactic)?.at(self.position)
    }

    fn owners(&self, candidate: &Candidate) -> impl Iterator<Item = Owner> + use<> {
        let strategy = self.stand(candidate).map(|stand| stand.strategy);
        let strategy = strategy
            .filter(|strategy| *strategy != NONE)
            .map(Owner::Strategy);
        std::iter::once(Owner::Tactic(candidate.tactic)).chain(strategy)
    }

    fn counting(&self, owner: Owner) -> impl Iterator<Item = (u32, &'a Kept)> {
        let passages = self.index.passages_of(owner);
        passages.filter(|(_, passage)| passage.counts_at(self.position))
    }

    fn hits(&self) -> Vec<Hit> {
        let hits = self
            .candidates
            .iter()
            .filter_map(|candidate| self.hit(candidate));
        hits.collect()
    }

    fn hit(&self, candidate: &Candidate) -> Option<Hit> {
        let tactic = get(&self.index.tactics, candidate.tactic)?;
        let plan = get(&self.index.plans, tactic.plan)?;
        let stand = self.stand(candidate)?;
        let strategy = get(&self.index.strategies, stand.strategy);
        let said = |owner, field| {
            let mut counting = self.counting(owner);
            let found = counting.find(|(_, passage)| passage.field == field);
            found.and_then(|(_, passage)| self.text_at(passage))
        };
        let own = Owner::Tactic(candidate.tactic);
        Some(Hit {
            plan_id: plan.plan_id.clone(),
            description: plan.description_at(self.position)?.clone(),
            tactic_id: tactic.tactic_id.clone(),
            strategy_id: strategy.map(|strategy| strategy.strategy_id.clone()),
            kind: get(&self.index.kinds, stand.kind)?.to_string(),
            state: stand.state.clone(),
            score: candidate.score,
            statement: said(own, Field::Statement),
            intent: said(Owner::Strategy(stand.strategy), Field::Intent),
            ending: self.ending(own, stand),
            matches: self.matches(candidate),
        })
    }

    /// What was said when the last attempt ended.
    fn ending(&self, own: Owner, stand: &Stand) -> Option<TextAt> {
        let end = stand.state.end?;
        let is_it = |it: &Kept| it.field == end.said_in && it.revision() == u64::from(end.revision);
        let mut counting = self.counting(own);
        let found = counting.find(|(_, passage)| is_it(passage));
        found.and_then(|(_, passage)| self.text_at(passage))
    }

    /// The texts that match: those with most words of the query first, then by what they tell, the
    /// latest first.
    fn matches(&self, candidate: &Candidate) -> Vec<TextAt> {
        let mut matching = Vec::new();
        for owner in self.owners(candidate) {
            matching.extend(self.counting(owner).filter_map(|(number, passage)| {
                let words = self.passages.get(&number).filter(|words| **words > 0)?;
                Some((std::cmp::Reverse(*words), passage))
            }));
        }
        let latest = |passage: &Kept| std::cmp::Reverse((passage.from, passage.revision()));
        matching.sort_by_key(|(words, passage)| (*words, passage.field, latest(passage)));
        matching.truncate(MATCHES_MAX);
        let texts = matching.into_iter();
        texts
            .filter_map(|(_, passage)| self.text_at(passage))
            .collect()
    }

    fn text_at(&self, passage: &Kept) -> Option<TextAt> {
        let of_tactic = |it: &TacticEntry| Subject::Tactic(it.tactic_id.clone());
        let of_strategy = |it: &StrategyEntry| Subject::Strategy(it.strategy_id.clone());
        let subject = match passage.owner {
            Owner::Tactic(tactic) => get(&self.index.tactics, tactic).map(of_tactic),
            Owner::Strategy(strategy) => get(&self.index.strategies, strategy).map(of_strategy),
        };
        Some(TextAt {
            position: passage.from,
            revision: passage.revision(),
            subject: subject?,
            field: passage.field,
        })
    }
}
