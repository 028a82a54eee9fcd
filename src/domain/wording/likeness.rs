//! How nearly two texts say the same: by the stems of the words that carry meaning.

use frostem::{Algorithm, Stemmer};

use super::{
    frame::frame,
    words::{from, words},
};

/// From here on two texts nearly say the same. Of two texts with five stems each this takes four in
/// common. A short text of at least three stems that are all in another, at most twice as long,
/// reaches it as well; one with a third of its stems elsewhere does not.
pub const SIMILAR_FROM: f64 = 0.7;

/// With fewer stems than this, one text being a part of the other says little.
const CONTAINED_MIN: usize = 3;

/// Words that carry little meaning, as Unicode's word boundaries leave them.
const EMPTY: &[&str] = &[
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "being",
    "but", "by", "can", "do", "does", "doing", "done", "each", "every", "for", "from", "had",
    "has", "have", "i", "if", "in", "into", "is", "it", "its", "many", "more", "most", "much",
    "my", "no", "not", "of", "on", "or", "other", "our", "out", "over", "own", "per", "shall",
    "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "this", "those", "to", "up", "us", "very", "was", "we", "were", "what",
    "when", "which", "while", "who", "will", "with", "would", "you", "your",
];

/// How nearly two texts say the same, from 0 to 1: the mean of the share of stems they have in common
/// (Jaccard) and of the share of the shorter text that is in the other. What only introduces the
/// matter ("our strategy is to") and words without meaning of their own do not count; texts without
/// any other words are not alike. The order of the words does not matter.
#[must_use]
pub fn similarity(a: &str, b: &str) -> f64 {
    Gist::of(a).similarity(&Gist::of(b))
}

/// What of a text counts when it is compared: kept, so that one text can be compared with many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gist(Vec<String>);

impl Gist {
    /// The gist of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(stems(text))
    }

    /// As [`similarity`] of the two texts.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> f64 {
        let (Self(a), Self(b)) = (self, other);
        let shorter = a.len().min(b.len());
        if shorter == 0 {
            return 0.0;
        }
        let common = a
            .iter()
            .filter(|stem| b.binary_search(stem).is_ok())
            .count();
        let jaccard = share(common, a.len() + b.len() - common);
        if shorter < CONTAINED_MIN {
            return jaccard;
        }
        f64::midpoint(jaccard, share(common, shorter))
    }
}

/// Sorted, each once.
fn stems(text: &str) -> Vec<String> {
    let words = words(text);
    let stemmer = Stemmer::new(Algorithm::English);
    let mut stems: Vec<String> = from(&words, frame(&words))
        .iter()
        .filter(|word| EMPTY.binary_search(&word.lower.as_str()).is_err())
        .map(|word| stemmer.stem(&word.lower).into_owned())
        .collect();
    stems.sort_unstable();
    stems.dedup();
    stems
}

/// Both are counts of words of one text.
fn share(part: usize, whole: usize) -> f64 {
    let count = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    count(part) / count(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_or_a_search_would_miss() {
        assert!(EMPTY.is_sorted());
    }

    #[test]
    fn a_text_nearly_repeats_one_that_says_the_same_in_other_forms() {
        for (a, b) in [
            ("Run a webinar every month", "run monthly webinars"),
            (
                "Our strategy for next year will be to do more trade shows",
                "Do more trade shows",
            ),
            (
                "send the top 10 a free product sample",
                "Sending free product samples to the top 10 accounts",
            ),
        ] {
            assert!(
                similarity(a, b) >= SIMILAR_FROM,
                "{a} / {b}: {}",
                similarity(a, b)
            );
        }
    }

    #[test]
    fn an_intent_does_not_repeat_a_tactic_that_only_serves_it() {
        for (a, b) in [
            (
                "Interrupt transmission by vaccinating the whole population",
                "Run a two-phase mass vaccination campaign, half of the districts of each state per phase",
            ),
            (
                "Win accounts one at a time",
                "list of 30 accounts and a tailored email",
            ),
            (
                "Go back to mass vaccination in Bihar",
                "mass campaign in Bihar",
            ),
            ("", ""),
            ("the", "the"),
        ] {
            assert!(
                similarity(a, b) < SIMILAR_FROM,
                "{a} / {b}: {}",
                similarity(a, b)
            );
        }
    }
}
