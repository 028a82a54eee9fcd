//! Words as searches see them: cut where Unicode says that words end, in lower case, and reduced to
//! their English stem, so that `trade show` finds `trade shows`. Texts in other languages are cut and
//! compared in the same way; only their word forms are not told apart.

use std::ops::Range;

use frostem::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation as _;

/// What is cut off is not compared: no word that people look for is longer, in characters.
const WORD_CHARS_MAX: usize = 64;

/// Words that are in every English text and tell none from another. They are neither kept nor looked
/// for. Words that deny (`no`, `not`) are not among them.
const STOP_WORDS: [&str; 30] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this",
    "to", "was", "with",
];

/// A word of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it stands in the text, in bytes.
    pub(super) place: Range<usize>,
    /// What is compared.
    pub(super) stem: String,
}

/// The words of a text that are worth looking for, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = Word> {
    let stemmer = Stemmer::new(Algorithm::English);
    text.unicode_word_indices().filter_map(move |(at, word)| {
        let lower: String = word
            .chars()
            .take(WORD_CHARS_MAX)
            .flat_map(char::to_lowercase)
            .map(|letter| if letter == '’' { '\'' } else { letter })
            .collect();
        let is_worth = STOP_WORDS.binary_search(&lower.as_str()).is_err();
        is_worth.then(|| Word {
            place: at..at + word.len(),
            stem: stemmer.stem(&lower).into_owned(),
        })
    })
}

/// The words of a query, each once, in order.
pub(super) fn terms(query: &str) -> Vec<String> {
    let mut terms = Vec::new();
    for word in words(query) {
        if !terms.contains(&word.stem) {
            terms.push(word.stem);
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_alike() {
        assert_eq!(terms("Trade SHOWS"), terms("trade show"));
        assert_eq!(terms("vaccinating"), terms("vaccinated"));
        assert_eq!(terms("the shop’s door"), terms("shop's doors"));
        assert_ne!(terms("trade"), terms("trace"));
    }

    #[test]
    fn a_word_is_found_where_it_stands() {
        let found: Vec<_> = words("Éclairs, and loaves").collect();
        let text = "Éclairs, and loaves";
        let texts: Vec<_> = found.iter().map(|word| &text[word.place.clone()]).collect();
        assert_eq!(texts, ["Éclairs", "loaves"]);
    }

    #[test]
    fn words_of_every_text_and_signs_are_not_looked_for() {
        assert!(terms("the of, and — !").is_empty());
        assert_eq!(terms("no show no"), ["no", "show"]);
    }

    #[test]
    fn stop_words_are_sorted_so_that_halving_finds_them() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn the_end_of_an_endless_word_is_not_compared() {
        assert_eq!(terms(&"x".repeat(64)), terms(&"x".repeat(2_000)));
    }
}
