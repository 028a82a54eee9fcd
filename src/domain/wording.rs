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
//! English only. A text without a word that shows it to be English has no hits and a score of 0.

mod frame;
mod lexicon;
mod likeness;
mod quantity;
#[cfg(test)]
mod tests;
mod words;

pub use likeness::{SIMILAR_FROM, similarity};
pub use quantity::names_a_quantity;

use lexicon::Term;
use words::Word;

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

/// "30 accounts" speaks for a tactic; "by 30%" rather tells how much is wanted, and "two years" by when.
const COUNT: f64 = 0.5;
const SHARE: f64 = 0.1;

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
    let score: f64 = found.iter().map(|it| it.weight).sum();
    let mut classes: Vec<HitClass> = found.iter().map(|it| it.class).collect();
    classes.retain(|class| class.is_tactical());
    classes.sort_unstable();
    classes.dedup();
    Wording {
        score,
        reads_as_tactic: score >= TACTIC_FROM && classes.len() >= CLASSES_MIN,
        hits: found.iter().map(|it| it.hit(intent, &words)).collect(),
    }
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

    fn hit(&self, text: &str, words: &[Word]) -> Hit {
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
fn look(words: &[Word], start: usize, at: usize) -> Option<Found> {
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
            weight: if rest[0].lower == "to" {
                TO_INTEND
            } else {
                BY_DOING
            },
        });
    }
    let other = lexicon::other(rest);
    if let Some(verb) = lexicon::verb(rest)
        && other.is_none_or(|other| other.len() <= verb.len() && is_verb_here(rest, verb))
        && let Some(found) = as_verb(verb, place(words, start, at), at)
    {
        return Some(found);
    }
    if let Some(verb) = lexicon::light_verb(rest)
        && let Some(mut found) = as_verb(verb, place(words, start, at), at)
    {
        if !is_done_with_a_thing(&rest[verb.len()..]) {
            found.class = HitClass::IntentVerb;
            found.weight *= LIGHT_INTENT;
        }
        return Some(found);
    }
    if let Some(len) = quantity::quantity(words, at) {
        let is_share = rest[..len]
            .iter()
            .any(|it| it.is_percent || it.lower.starts_with("perc"));
        let is_horizon = rest[len..]
            .iter()
            .take(2)
            .any(|it| it.lower.starts_with("year"));
        return Some(Found {
            class: HitClass::Quantity,
            at,
            len,
            weight: if is_share || is_horizon { SHARE } else { COUNT },
        });
    }
    other.map(|term| Found::of(term, at))
}

/// Whether a channel or an artefact stands close behind a verb, before any aim.
fn is_done_with_a_thing(behind: &[Word]) -> bool {
    let near = (0..behind.len().min(THING_WITHIN)).map_while(|at| {
        let is_over = at > 0 && behind[at].after_break || purpose(&behind[at..]).is_some();
        (!is_over).then(|| lexicon::other(&behind[at..]).map(|term| term.class))
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
fn purpose(rest: &[Word]) -> Option<usize> {
    let next = rest.get(1).filter(|next| !next.after_break)?;
    let is_purpose = match rest[0].lower.as_str() {
        "to" => lexicon::verb(&rest[1..])
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

fn place(words: &[Word], start: usize, at: usize) -> Place {
    if at == start {
        return Place::Head;
    }
    let Some(before) = at.checked_sub(1).and_then(|at| words.get(at)) else {
        return Place::None;
    };
    // "Actively engage": an adverb leaves the verb where it stands.
    if before.lower.ends_with("ly") && !words[at].after_break {
        return place(words, start, at - 1);
    }
    match before.lower.as_str() {
        "to" => Place::Infinitive,
        "and" | "or" | "then" | "will" | "also" | "we" | "i" | "should" | "must" => Place::Later,
        _ if words[at].after_break => Place::Later,
        _ => Place::None,
    }
}

/// Whether a word that may be a noun as well is a verb: "email all customers", not "email to all".
fn is_verb_here(rest: &[Word], verb: &Term) -> bool {
    let Some(next) = rest.get(verb.len()) else {
        return false;
    };
    !next.after_break
        && !matches!(
            next.lower.as_str(),
            "and"
                | "at"
                | "by"
                | "for"
                | "from"
                | "in"
                | "of"
                | "on"
                | "or"
                | "that"
                | "to"
                | "with"
        )
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
fn is_english(words: &[Word], found: &[Found]) -> bool {
    let shown = found.iter().any(|it| {
        let is_verb = matches!(it.class, HitClass::ActionVerb | HitClass::IntentVerb);
        is_verb || matches!(it.class, HitClass::Cadence | HitClass::Purpose)
    });
    shown || words.iter().any(lexicon::is_english)
}

/// What comes again in a class weighs less each time, so that a long list proves no more than a few
/// words do.
fn weigh_again(found: &mut [Found]) {
    for at in 0..found.len() {
        let (before, rest) = found.split_at_mut(at);
        if let Some(it) = rest.first_mut() {
            for _ in before.iter().filter(|other| other.class == it.class) {
                it.weight *= AGAIN;
            }
        }
    }
}
