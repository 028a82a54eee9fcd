//! Quantities and rhythms in a text: numbers in digits and in words, shares and multiples, and how
//! often something is done.

use super::words::{Word, from, text, words};

const NUMBERS: &[&str] = &[
    "billion",
    "billions",
    "dozen",
    "dozens",
    "eight",
    "eighteen",
    "eighty",
    "eleven",
    "fifteen",
    "fifty",
    "five",
    "forty",
    "four",
    "fourteen",
    "hundred",
    "hundreds",
    "million",
    "millions",
    "nine",
    "nineteen",
    "ninety",
    "seven",
    "seventeen",
    "seventy",
    "six",
    "sixteen",
    "sixty",
    "ten",
    "thirteen",
    "thirty",
    "thousand",
    "thousands",
    "three",
    "trillion",
    "twelve",
    "twenty",
    "two",
    "zero",
];

/// Shares and multiples, which name a quantity without a number.
const SHARES: &[&str] = &[
    "double",
    "doubled",
    "doubles",
    "doubling",
    "fivefold",
    "fourfold",
    "half",
    "halve",
    "halved",
    "halves",
    "halving",
    "percent",
    "percentage",
    "quadruple",
    "tenfold",
    "thirds",
    "threefold",
    "treble",
    "triple",
    "tripled",
    "tripling",
    "twice",
    "twofold",
];

/// What counts only as "a third of", "three quarters of".
const PARTS: &[&str] = &["fifth", "fifths", "quarter", "quarters", "tenth", "third"];

/// Before these a number of four digits is a year.
const BEFORE_YEARS: &[&str] = &[
    "after", "before", "by", "during", "end", "from", "fy", "in", "of", "since", "through", "to",
    "until", "year",
];

/// Behind these a number is a name: "phase 2".
const BEFORE_LABELS: &[&str] = &[
    "chapter",
    "goal",
    "item",
    "level",
    "objective",
    "option",
    "part",
    "phase",
    "pillar",
    "priority",
    "stage",
    "step",
    "strategy",
    "tactic",
    "tier",
    "type",
    "version",
];

/// What may stand behind the digits of one word: "5k", "10km", "3x".
const SUFFIXES: &[&str] = &[
    "", "b", "bn", "cm", "eur", "g", "gb", "h", "hrs", "k", "kg", "km", "kw", "kwh", "l", "m",
    "min", "mins", "ml", "mm", "mn", "mw", "pct", "s", "tb", "usd", "x",
];

const TIMES: &[&str] = &[
    "afternoon",
    "afternoons",
    "autumn",
    "day",
    "days",
    "evening",
    "evenings",
    "fall",
    "fortnight",
    "friday",
    "fridays",
    "hour",
    "hours",
    "minute",
    "minutes",
    "monday",
    "mondays",
    "month",
    "months",
    "morning",
    "mornings",
    "night",
    "nights",
    "quarter",
    "quarters",
    "saturday",
    "saturdays",
    "season",
    "semester",
    "spring",
    "sprint",
    "summer",
    "sunday",
    "sundays",
    "term",
    "thursday",
    "thursdays",
    "tuesday",
    "tuesdays",
    "wednesday",
    "wednesdays",
    "week",
    "weekend",
    "weekends",
    "weeks",
    "winter",
    "year",
    "years",
];

const RHYTHMS: &[&str] = &[
    "annually",
    "biannually",
    "bimonthly",
    "biweekly",
    "daily",
    "fortnightly",
    "hourly",
    "monthly",
    "nightly",
    "quarterly",
    "semiannually",
    "weekly",
    "yearly",
];

/// Behind these words, "daily" and its like say nothing of a rhythm.
const NOT_RHYTHMS: &[&str] = &["life", "lives", "living", "routine", "work"];

/// Whether a text names a quantity: a number in digits or in words, a percentage, a share ("half",
/// "a third of") or a multiple ("double", "tenfold"). A year is none, nor is a number that only
/// names something ("phase 2", "B2B"). "One" is none either: it mostly says which, not how many.
#[must_use]
pub fn names_a_quantity(text: &str) -> bool {
    let words = words(text);
    (0..words.len()).any(|at| quantity(&words, at).is_some())
}

/// The quantity that begins at a word: how many words it has.
pub(super) fn quantity(words: &[Word<'_>], at: usize) -> Option<usize> {
    let word = words.get(at)?;
    let this = text(words, at);
    let before = at.checked_sub(1).map(|before| text(words, before));
    let next = words.get(at + 1).map(|next| next.lower.as_str());
    if this.starts_with(|c: char| c.is_ascii_digit()) {
        if !is_number(word, before) || (at == 0 && word.is_numbering()) {
            return None;
        }
        let more = from(words, at + 1)
            .iter()
            .take_while(|it| !it.after_break() && is_scale(&it.lower))
            .count();
        return Some(1 + more);
    }
    if has(NUMBERS, this) {
        if before.is_some_and(|it| has(BEFORE_LABELS, it)) {
            return None;
        }
        let more = from(words, at + 1)
            .iter()
            .take_while(|it| !it.after_break() && (has(NUMBERS, &it.lower) || is_scale(&it.lower)))
            .count();
        return Some(1 + more);
    }
    if has(SHARES, this) {
        // "Double down" is no multiple.
        return (next != Some("down")).then_some(1);
    }
    if has(PARTS, this) {
        let is_part = next == Some("of") || before.is_some_and(|it| has(NUMBERS, it));
        return is_part.then_some(1);
    }
    // "One hundred", "one day".
    let counts_one =
        this == "one" && next.is_some_and(|it| is_scale(it) || has(NUMBERS, it) || has(TIMES, it));
    counts_one.then_some(1)
}

/// The rhythm that begins at a word: how many words it has.
pub(super) fn cadence(words: &[Word<'_>], at: usize) -> Option<usize> {
    let text = |at: usize| text(words, at);
    match text(at) {
        "every" | "each" | "per" => {
            let skipped = match text(at + 1) {
                "other" | "second" | "third" | "fourth" | "few" | "single" => 1,
                _ => quantity(words, at + 1).unwrap_or(0),
            };
            has(TIMES, text(at + 1 + skipped)).then_some(2 + skipped)
        }
        "a" | "an" => (has(TIMES, text(at + 1)) && counts_before(words, at)).then_some(2),
        "once" | "twice" | "thrice" => {
            let is_rate = matches!(text(at + 1), "a" | "an" | "per" | "each" | "every");
            (is_rate && has(TIMES, text(at + 2))).then_some(3)
        }
        "on" => (text(at + 1).ends_with("days") && has(TIMES, text(at + 1))).then_some(2),
        // "4 days/week".
        time if has(TIMES, time) => {
            let is_rate = words.get(at).is_some_and(Word::after_slash);
            (is_rate && counts_before(words, at)).then_some(1)
        }
        rhythm if has(RHYTHMS, rhythm) => (!has(NOT_RHYTHMS, text(at + 1))).then_some(1),
        _ => None,
    }
}

/// Whether a quantity of so many words is a stretch of a day: "30 minutes", "two hours".
pub(super) fn is_short_while(words: &[Word<'_>], behind: usize) -> bool {
    words.get(behind).is_some_and(|word| {
        let text = word.lower.as_str();
        !word.after_break() && (text.starts_with("minute") || text.starts_with("hour"))
    })
}

/// Whether a count stands shortly before, so that "a day" says how often: "30 minutes a day".
fn counts_before(words: &[Word<'_>], at: usize) -> bool {
    (at.saturating_sub(4)..at).any(|it| quantity(words, it).is_some())
}

/// Whether a word that begins with a digit is a number, and not a year or a name.
fn is_number(word: &Word, before: Option<&str>) -> bool {
    if word.is_percent {
        return true;
    }
    let text = word.lower.as_str();
    let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    let is_year = text.len() == 4
        && (text.starts_with("19") || text.starts_with("20"))
        && before.is_none_or(|it| has(BEFORE_YEARS, it));
    let is_label = before.is_some_and(|it| has(BEFORE_LABELS, it));
    has(SUFFIXES, suffix) && !is_year && !is_label
}

fn is_scale(text: &str) -> bool {
    matches!(
        text,
        "percent" | "cent" | "hundred" | "thousand" | "million" | "billion" | "dozen"
    )
}

fn has(sorted: &[&str], text: &str) -> bool {
    sorted.binary_search(&text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_or_a_search_would_miss() {
        for list in [
            NUMBERS,
            SHARES,
            PARTS,
            BEFORE_YEARS,
            BEFORE_LABELS,
            SUFFIXES,
            TIMES,
            RHYTHMS,
            NOT_RHYTHMS,
        ] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn numbers_shares_and_multiples_are_quantities() {
        for text in [
            "sign 40 customers",
            "cut waste by 12.5%",
            "cut waste by 10 percent",
            "halve the number of outages",
            "double revenue",
            "reach a third of the villages",
            "two new offices",
            "no more than zero cases",
            "raise $5m",
            "from 3,000 to 4,000 members",
            "half of the districts",
            "one million doses",
            "Objective 3: enrol 200 pupils",
        ] {
            assert!(names_a_quantity(text), "{text}");
        }
    }

    #[test]
    fn years_labels_and_names_are_no_quantities() {
        for text in [
            "",
            "become the leader by 2030",
            "the best company of 2027",
            "1. be happier",
            "Objective 3: be happier",
            "finish phase two",
            "sell to B2B customers",
            "stop COVID-19x4y",
            "be number one",
            "win accounts one at a time",
            "find third parties",
            "double down on service",
            "improve quarter by quarter",
        ] {
            assert!(!names_a_quantity(text), "{text}");
        }
    }
}
