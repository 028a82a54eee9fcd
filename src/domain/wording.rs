//! What the words of an intent say about it. A strategy says where one wants to go and on what one
//! bets; a tactic is one action on the way there. A text that calls itself a strategy and reads as a
//! tactic is worth a remark, never more: words alone do not prove it, and nothing is refused for them.
//!
//! What introduces the matter ([`HitClass::Frame`]) is set aside. Then words speak for a tactic
//! (concrete action verbs, channels, artefacts, quantities, rhythms) or for a strategy (verbs of
//! intention, purposes, arenas, positions), each with a weight; a verb has its full weight where it
//! leads the text, less where it is coordinated, and what comes again in the same class counts half as
//! much each time. The score is the sum of the weights of all hits, and every hit is handed out.
//!
//! A text reads as a tactic when that sum is high enough and more than one kind of word speaks for
//! it, or when a plainly concrete action leads it and nothing speaks for a strategy. Precision
//! comes first: a wrong remark costs more than a missing one.
//!
//! How well it does, on 198 sentences of public plans and lists
//! (`tests/fixtures/wording/held-out.tsv`) that were labelled by reading and that the lexicons
//! were not built on: of 35 flagged, 34 are tactics (precision 0.97); of 103 tactics, 34 are
//! flagged (recall 0.33); of 95 strategies one is flagged, "Organize people and communities". On
//! the 341 sentences it was built on: 114 of 114, and 114 of 161. It misses tactics whose verb it
//! does not know, or whose verb serves intentions as well ("provide", "turn", "raise").
//!
//! English only. A text without a word that shows it to be English has no hits and a score of 0.

mod frame;
mod lexicon;
mod likeness;
mod quantity;
#[cfg(test)]
mod tests;
mod words;

pub use likeness::{Gist, SIMILAR_FROM, similarity};
pub use quantity::names_a_quantity;

use std::collections::BTreeMap;

use lexicon::Term;
use words::{Word, from, text};

/// From here on a text reads as a tactic, if hits of [`CLASSES_MIN`] classes speak for one.
const TACTIC_FROM: f64 = 1.5;

/// One kind of word alone proves little: "run the company for cash" has an action verb.
const CLASSES_MIN: usize = 2;

/// What a verb weighs that is coordinated with another one, or begins a later clause.
const COORDINATED: f64 = 0.6;

/// What an action verb weighs behind "to", where it tells what something else is for.
const INFINITIVE: f64 = 0.4;

/// "To become", "to increase" behind the matter.
const TO_INTEND: f64 = -0.5;

/// "By …ing": what comes before is the end, and this the means.
const BY_DOING: f64 = -0.8;

/// "30 accounts" speaks for a tactic; "by 30%" rather tells how much is wanted, and "two years" by
/// when.
const COUNT: f64 = 0.5;
const SHARE: f64 = 0.1;

/// "30 minutes": what takes a part of a day is done, not striven for.
const SHORT_WHILE: f64 = 0.8;

/// What purposes weigh behind a concrete action, as a multiple: an action may well say what it is for.
const BEHIND_ACTION: f64 = 0.5;

/// From here on a leading action verb is enough, if nothing at all speaks for a strategy.
const VERB_FROM: f64 = 1.2;

/// What a verb like "create" weighs with no thing behind it, as a multiple of what it weighs with one.
const LIGHT_INTENT: f64 = -2.0;

/// How far behind such a verb the thing may stand, in words.
const THING_WITHIN: usize = 5;

/// "Every month", "three times a week".
const CADENCE: f64 = 0.9;

/// Each further hit of a class weighs this much of the one before.
const AGAIN: f64 = 0.5;

/// What the words of an intent say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wording {
    /// The sum of the weights of all hits: above zero the text reads rather as a tactic, below as a
    /// strategy. Finite; 0 for a text that is not English.
    pub score: f64,
    /// What was found, in the order of the text, none over another.
    pub hits: Vec<Hit>,
    /// Whether it reads as a tactic: the score is high enough, and more than one kind of word speaks
    /// for it.
    pub reads_as_tactic: bool,
}

/// A place in a text that says something about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// What kind of word it is.
    pub class: HitClass,
    /// The words as they stand in the text.
    pub text: String,
    /// Its first character, counted in characters of the text from 0.
    pub start: usize,
    /// The character behind its last one, counted likewise.
    pub end: usize,
    /// What it adds to the score: above zero for a tactic, below for a strategy.
    pub weight: f64,
}

/// What kind of word a hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HitClass {
    /// Introduces the matter and says nothing of it: "our strategy is to".
    Frame,
    /// A concrete action: "send", "run".
    ActionVerb,
    /// Where something reaches people: "trade show", "radio".
    Channel,
    /// A thing that is made or handed over: "leaflet", "list".
    Artefact,
    /// A count or a share: "30", "half".
    Quantity,
    /// How often: "every month".
    Cadence,
    /// An intention: "become", "win".
    IntentVerb,
    /// What for, or by what means: "in order to", "by targeting".
    Purpose,
    /// Where one plays: "territories", "customers".
    Arena,
    /// How one stands there: "leader", "advantage".
    Position,
}

impl HitClass {
    /// Whether it speaks for a tactic.
    #[must_use]
    pub fn is_tactical(self) -> bool {
        match self {
            Self::ActionVerb | Self::Channel | Self::Artefact | Self::Quantity | Self::Cadence => {
                true
            }
            Self::Frame | Self::IntentVerb | Self::Purpose | Self::Arena | Self::Position => false,
        }
    }
}

/// What the words of an intent say about it. It takes any text; what is no English says nothing.
#[must_use]
pub fn wording(intent: &str) -> Wording {
    let words = words::words(intent);
    let start = frame::frame(&words);
    let mut found: Vec<Found> = Vec::new();
    if start > 0 {
        found.push(Found {
            class: HitClass::Frame,
            at: 0,
            len: start,
            weight: 0.0,
        });
    }
    let mut at = start;
    while at < words.len() {
        match look(&words, start, at) {
            Some(it) => {
                at += it.len;
                found.push(it);
            }
            None => at += 1,
        }
    }
    if !is_english(&words, &found) {
        found.clear();
    }
    weigh_again(&mut found);
    let leads = found.iter().find(|it| it.at == start);
    let leads_with_action =
        leads.is_some_and(|it| it.class == HitClass::ActionVerb && it.weight >= VERB_FROM);
    if leads_with_action {
        for it in found.iter_mut().filter(|it| it.class == HitClass::Purpose) {
            it.weight *= BEHIND_ACTION;
        }
    }
    let matter = from(&words, start);
    let leads_surely = leads_with_action
        && lexicon::verb(matter).is_some_and(|verb| lexicon::is_surely_verb(matter, verb));
    // Not `sum`, which begins at a negative zero.
    let score = found.iter().fold(0.0, |sum, it| sum + it.weight);
    Wording {
        score,
        reads_as_tactic: reads_as_tactic(score, &found, leads_surely),
        hits: found.iter().map(|it| it.hit(intent, &words)).collect(),
    }
}

/// Enough weight from more than one kind of word; or a concrete action in the lead, and nothing that
/// speaks for a strategy.
fn reads_as_tactic(score: f64, found: &[Found], leads_surely: bool) -> bool {
    let mut classes: Vec<HitClass> = found.iter().map(|it| it.class).collect();
    classes.retain(|class| class.is_tactical());
    classes.sort_unstable();
    classes.dedup();
    let is_pure = leads_surely && found.iter().all(|it| it.weight >= 0.0);
    is_pure || (score >= TACTIC_FROM && classes.len() >= CLASSES_MIN)
}

/// A hit, in words.
struct Found {
    class: HitClass,
    at: usize,
    len: usize,
    weight: f64,
}

impl Found {
    fn of(term: &Term, at: usize) -> Self {
        Self {
            class: term.class,
            at,
            len: term.len(),
            weight: term.weight,
        }
    }

    fn hit(&self, text: &str, words: &[Word<'_>]) -> Hit {
        let start = words.get(self.at).map_or(0, |word| word.start);
        let last = (self.at + self.len).saturating_sub(1);
        let end = words.get(last).map_or(start, |word| word.end);
        Hit {
            class: self.class,
            text: text.chars().skip(start).take(end - start).collect(),
            start,
            end,
            weight: self.weight,
        }
    }
}

/// Where a verb could stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It leads the text.
    Head,
    /// It leads a later clause, or is coordinated with another verb.
    Later,
    /// Behind "to".
    Infinitive,
    /// No verb is expected here.
    None,
}

/// What begins at a word, if anything does. `start` is the first word behind the frame.
fn look(words: &[Word<'_>], start: usize, at: usize) -> Option<Found> {
    let rest = words.get(at..)?;
    if let Some(len) = quantity::cadence(words, at) {
        return Some(Found {
            class: HitClass::Cadence,
            at,
            len,
            weight: CADENCE,
        });
    }
    if let Some(len) = purpose(rest) {
        return Some(Found {
            class: HitClass::Purpose,
            at,
            len,
            weight: if text(rest, 0) == "to" {
                TO_INTEND
            } else {
                BY_DOING
            },
        });
    }
    let has_hyphen = rest.first().is_some_and(Word::before_hyphen);
    let is_bound = |term: &Term| term.len() == 1 && has_hyphen;
    let other = lexicon::other(rest).filter(|term| !is_bound(term));
    if let Some(verb) = lexicon::verb(rest)
        && !is_bound(verb)
        && other
            .is_none_or(|other| other.len() <= verb.len() && is_verb_here(rest, verb, at == start))
        && let Some(found) = as_verb(verb, place(words, start, at), at)
    {
        return Some(found);
    }
    if let Some(verb) = lexicon::light_verb(rest)
        && let Some(mut found) = as_verb(verb, place(words, start, at), at)
    {
        if !is_done_with_a_thing(from(rest, verb.len())) {
            found.class = HitClass::IntentVerb;
            found.weight *= LIGHT_INTENT;
        }
        return Some(found);
    }
    if let Some(len) = quantity::quantity(words, at) {
        let is_share = rest
            .iter()
            .take(len)
            .any(|it| it.is_percent || it.lower.starts_with("perc"));
        let is_horizon = from(rest, len)
            .iter()
            .take(2)
            .any(|it| it.lower.starts_with("year"));
        return Some(Found {
            class: HitClass::Quantity,
            at,
            len,
            weight: if is_share || is_horizon {
                SHARE
            } else if quantity::is_short_while(words, at + len) {
                SHORT_WHILE
            } else {
                COUNT
            },
        });
    }
    other.map(|term| Found::of(term, at))
}

/// Whether a channel or an artefact stands close behind a verb, before any aim.
fn is_done_with_a_thing(behind: &[Word<'_>]) -> bool {
    let near = (0..behind.len().min(THING_WITHIN)).map_while(|at| {
        let rest = from(behind, at);
        let is_break = at > 0 && rest.first().is_some_and(Word::after_break);
        let is_over = is_break || purpose(rest).is_some();
        (!is_over).then(|| lexicon::other(rest).map(|term| term.class))
    });
    near.flatten()
        .find(|class| {
            matches!(
                class,
                HitClass::Channel | HitClass::Artefact | HitClass::Purpose
            )
        })
        .is_some_and(|class| class != HitClass::Purpose)
}

/// "To become", "by targeting": how many words.
fn purpose(rest: &[Word<'_>]) -> Option<usize> {
    let next = rest.get(1).filter(|next| !next.after_break())?;
    let is_purpose = match text(rest, 0) {
        "to" => lexicon::verb(from(rest, 1))
            .is_some_and(|verb| verb.class == HitClass::IntentVerb && !verb.is_gerund),
        "by" | "through" | "via" => is_gerund(&next.lower),
        _ => false,
    };
    is_purpose.then_some(2)
}

fn is_gerund(word: &str) -> bool {
    let is_noun = matches!(
        word,
        "beijing"
            | "building"
            | "evening"
            | "meeting"
            | "morning"
            | "nothing"
            | "spring"
            | "string"
            | "thing"
            | "training"
            | "wedding"
    );
    word.len() > 4 && word.ends_with("ing") && !is_noun
}

fn place(words: &[Word<'_>], start: usize, at: usize) -> Place {
    // "Actively engage": an adverb leaves the verb where it stands.
    let adverbs = words
        .get(start..=at)
        .unwrap_or_default()
        .windows(2)
        .rev()
        .take_while(|pair| {
            let [before, word] = pair else { return false };
            before.lower.ends_with("ly") && !word.after_break()
        })
        .count();
    let at = at - adverbs;
    if at == start {
        return Place::Head;
    }
    let after_break = words.get(at).is_some_and(Word::after_break);
    match text(words, at.wrapping_sub(1)) {
        "to" => Place::Infinitive,
        "and" | "or" | "then" | "will" | "also" | "we" | "i" | "should" | "must" => Place::Later,
        _ if after_break => Place::Later,
        _ => Place::None,
    }
}

/// Whether a word that may be a noun as well is a verb: "email all customers", not "email for all".
fn is_verb_here(rest: &[Word<'_>], verb: &Term, leads: bool) -> bool {
    let Some(next) = rest.get(verb.len()) else {
        return false;
    };
    let ends_noun = match next.lower.as_str() {
        "and" | "by" | "for" | "from" | "of" | "or" | "that" => true,
        // "Post on LinkedIn" leads as a verb.
        "at" | "in" | "on" | "to" | "with" => !leads,
        _ => false,
    };
    !next.after_break() && !ends_noun
}

fn as_verb(verb: &Term, place: Place, at: usize) -> Option<Found> {
    let mut found = Found::of(verb, at);
    found.weight *= match place {
        Place::Head => 1.0,
        // "By hosting and attending": still the means.
        Place::Later | Place::Infinitive | Place::None if verb.is_gerund => return None,
        Place::Later => COORDINATED,
        Place::Infinitive => INFINITIVE,
        Place::None => return None,
    };
    Some(found)
}

/// Whether a word or a hit shows that this is English.
fn is_english(words: &[Word<'_>], found: &[Found]) -> bool {
    let shown = found.iter().any(|it| {
        let is_verb = matches!(it.class, HitClass::ActionVerb | HitClass::IntentVerb);
        is_verb || matches!(it.class, HitClass::Cadence | HitClass::Purpose)
    });
    shown || words.iter().any(lexicon::is_english)
}

/// What comes again in a class weighs less each time, so that a long list proves no more than a few
/// words do.
fn weigh_again(found: &mut [Found]) {
    let mut factors: BTreeMap<HitClass, f64> = BTreeMap::new();
    for it in found {
        let factor = factors.entry(it.class).or_insert(1.0);
        it.weight *= *factor;
        *factor *= AGAIN;
    }
}
