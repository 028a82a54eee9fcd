//! The part of a text that shows why it was found.

use super::words::words;

/// How long an excerpt is, about, in bytes.
const EXCERPT_BYTES: usize = 200;
/// How much of it stands before the first word that was looked for, about, in bytes.
const BEFORE_BYTES: usize = 50;
/// Where a text was cut.
const CUT: char = '…';

/// The stretch of a text with most of the words looked for, cut between words.
pub(super) fn excerpt(text: &str, terms: &[String]) -> String {
    if text.len() <= EXCERPT_BYTES {
        return text.to_owned();
    }
    let first = best_start(text, terms);
    let start = first.saturating_sub(BEFORE_BYTES);
    // An end of the text that has room to spare shows more of what comes before.
    let start = start.min(text.len() - EXCERPT_BYTES);
    let begin = if start == 0 {
        0
    } else {
        after_space(text, start, first)
    };
    let end = begin.saturating_add(EXCERPT_BYTES);
    let end = if end >= text.len() {
        text.len()
    } else {
        before_space(text, end)
    };
    let cut = |is_cut: bool| is_cut.then_some(CUT);
    let part = text.get(begin..end).unwrap_or_default().trim();
    let front = cut(begin > 0).into_iter();
    let back = cut(end < text.len());
    front.chain(part.chars()).chain(back).collect()
}

/// Where the stretch begins that has most of the words; of several the first.
fn best_start(text: &str, terms: &[String]) -> usize {
    let found: Vec<(usize, usize)> = words(text)
        .filter_map(|word| {
            let term = terms.iter().position(|term| *term == word.stem)?;
            Some((word.place.start, term))
        })
        .collect();
    let mut best = (0, 0);
    for (number, (start, _)) in found.iter().enumerate() {
        let within = found.iter().skip(number);
        let within = within.take_while(|(at, _)| at - start < EXCERPT_BYTES - BEFORE_BYTES);
        let mut seen = vec![false; terms.len()];
        for (_, term) in within {
            if let Some(seen) = seen.get_mut(*term) {
                *seen = true;
            }
        }
        let count = seen.into_iter().filter(|seen| *seen).count();
        if count > best.0 {
            best = (count, *start);
        }
        if count == terms.len() {
            break;
        }
    }
    best.1
}

/// The next beginning of a word up to the one that is to be shown; the place itself, if a word goes
/// on for so long.
fn after_space(text: &str, at: usize, shown: usize) -> usize {
    let at = boundary(text, at);
    let rest = text.get(at..).unwrap_or_default();
    let space = rest.char_indices().find(|(_, it)| it.is_whitespace());
    let after = space.map(|(place, space)| at + place + space.len_utf8());
    after.filter(|after| *after <= shown).unwrap_or(at)
}

/// The end of the word before.
fn before_space(text: &str, at: usize) -> usize {
    let at = boundary(text, at);
    let head = text.get(..at).unwrap_or_default();
    let space = head.rfind(char::is_whitespace);
    space
        .filter(|space| at - space < BEFORE_BYTES)
        .unwrap_or(at)
}

/// The place itself, or the end of the character that it lies in.
fn boundary(text: &str, at: usize) -> usize {
    let later = (at..text.len()).find(|at| text.is_char_boundary(*at));
    later.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::search::words::terms;

    #[test]
    fn a_short_text_is_shown_whole() {
        assert_eq!(excerpt("Nobody came", &terms("came")), "Nobody came");
    }

    #[test]
    fn a_long_text_is_cut_around_the_words_between_words() {
        let filler = "lorem ipsum dolor ".repeat(40);
        let text = format!("{filler}the trade shows brought nobody {filler}");
        let shown = excerpt(&text, &terms("trade show"));
        assert!(shown.contains("trade shows brought nobody"), "{shown}");
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        let inner = shown.trim_matches('…');
        assert!(text.contains(&format!(" {inner} ")), "{shown}");
        assert!((150..=210).contains(&shown.len()), "{}", shown.len());
    }

    #[test]
    fn the_stretch_with_most_of_the_words_is_shown() {
        let filler = "lorem ipsum dolor ".repeat(40);
        let text = format!("a show here {filler} a trade show there {filler}");
        let shown = excerpt(&text, &terms("trade show"));
        assert!(shown.contains("trade show there"), "{shown}");
    }

    #[test]
    fn a_text_with_wide_spaces_is_cut_between_words() {
        let filler = "\u{3000}漢字漢字漢字".repeat(20);
        let text = format!("{filler}\u{3000}trade\u{3000}{filler}");
        let shown = excerpt(&text, &terms("trade"));
        assert!(shown.contains("\u{3000}trade\u{3000}"), "{shown}");
        assert!(shown.starts_with("…漢字漢字漢字\u{3000}"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_can_be_cut(
            text in "[a-zé漢 \n’\u{3000}\u{a0}]{0,600}",
            query in "[a-zé漢 \u{3000}\u{a0}]{0,5}",
        ) {
            let shown = excerpt(&text, &terms(&query));
            prop_assert!(shown.len() <= EXCERPT_BYTES.max(text.len().min(EXCERPT_BYTES)) + 8);
        }

        #[test]
        fn the_word_that_matches_is_shown_whatever_spaces_stand_around_it(
            before in "[a-y漢 \u{3000}\u{a0}]{0,300}",
            space in "[ \n\u{3000}\u{a0}]",
            after in "[a-y漢 \u{3000}\u{a0}]{0,300}",
        ) {
            let text = format!("{before}{space}zulu{space}{after}");
            let shown = excerpt(&text, &terms("zulu"));
            prop_assert!(shown.contains("zulu"), "{shown}");
        }
    }
}
