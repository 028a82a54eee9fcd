//! A text as words: where each one stands, in characters, and what separates it from the one before.

use unicode_segmentation::UnicodeSegmentation;

/// A word of a text, as Unicode's rules for word boundaries find it.
pub(super) struct Word<'a> {
    /// In lower case, without a possessive `'s`.
    pub(super) lower: String,
    /// Its first character, counted in characters of the text.
    pub(super) start: usize,
    /// The character behind it, counted likewise.
    pub(super) end: usize,
    /// Whether it is followed by a percent sign, which then belongs to it.
    pub(super) is_percent: bool,
    /// What stands between it and the word before.
    before: &'a str,
    /// What stands between it and the next word.
    behind: &'a str,
}

impl Word<'_> {
    /// Whether punctuation or a new line stands between it and the word before.
    pub(super) fn after_break(&self) -> bool {
        self.before.chars().any(is_break) || self.before.contains(" - ")
    }

    /// Whether a slash stands right before it, as in "4 days/week".
    pub(super) fn after_slash(&self) -> bool {
        self.before == "/"
    }

    /// Whether a colon or a dash stands behind it, as behind a label.
    pub(super) fn before_colon(&self) -> bool {
        let behind = self.behind.trim_start_matches(' ');
        behind.starts_with([':', '\u{2013}', '\u{2014}']) || behind.starts_with("- ")
    }

    /// Whether a hyphen binds it to the next word, as in "post-war".
    pub(super) fn before_hyphen(&self) -> bool {
        self.behind == "-"
    }

    /// Whether a closing bracket or a full stop follows at once, as behind the number of an item.
    pub(super) fn is_numbering(&self) -> bool {
        self.behind.starts_with(['.', ')', ']'])
    }
}

/// The words of `text` in order.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut found: Vec<Word<'_>> = Vec::new();
    let (mut byte, mut character) = (0, 0);
    let mut rest = text.unicode_word_indices().peekable();
    while let Some((at, word)) = rest.next() {
        let before = text.get(byte..at).unwrap_or_default();
        let start = character + before.chars().count();
        let mut end = start + word.chars().count();
        byte = at + word.len();
        // A sign may belong to the next word, with a mark on it: only what is between counts.
        let next = rest.peek().map_or(text.len(), |(at, _)| *at);
        let mut behind = text.get(byte..next).unwrap_or_default();
        let sign = behind.trim_start_matches(' ');
        let is_percent = sign.starts_with('%');
        if is_percent {
            let signed = behind.len() - sign.len() + 1;
            // Spaces and the sign are a byte each.
            end += signed;
            byte += signed;
            behind = behind.get(signed..).unwrap_or_default();
        }
        character = end;
        found.push(Word {
            lower: lower(word),
            start,
            end,
            is_percent,
            before,
            behind,
        });
    }
    found
}

/// The words from one on; none behind the end.
pub(super) fn from<'a, 'b>(words: &'b [Word<'a>], at: usize) -> &'b [Word<'a>] {
    words.get(at..).unwrap_or_default()
}

/// A word in lower case; nothing behind the end.
pub(super) fn text<'a>(words: &'a [Word<'_>], at: usize) -> &'a str {
    words.get(at).map_or("", |word| word.lower.as_str())
}

fn lower(word: &str) -> String {
    let lower = word.to_lowercase();
    match lower
        .strip_suffix("'s")
        .or_else(|| lower.strip_suffix("\u{2019}s"))
    {
        Some(owner) => owner.to_owned(),
        None => lower,
    }
}

fn is_break(character: char) -> bool {
    ",;:.!?()[]/&+|\n\u{2013}\u{2014}\u{2022}".contains(character)
}
