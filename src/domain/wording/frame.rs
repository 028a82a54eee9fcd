//! What stands before the matter itself: "our strategy for next year will be to", "we plan to",
//! "Strategy 2.1:". It says nothing of what the text is, so it is set aside.

use super::words::{Word, from};

/// What a text may call itself.
const NAMES: &[&str] = &[
    "action",
    "activity",
    "aim",
    "ambition",
    "approach",
    "focus",
    "goal",
    "idea",
    "initiative",
    "intent",
    "intention",
    "method",
    "mission",
    "objective",
    "plan",
    "policy",
    "priority",
    "purpose",
    "solution",
    "strategies",
    "strategy",
    "tactic",
    "tactics",
    "vision",
];

/// What joins the name to the matter.
const JOINTS: &[&str] = &["are", "be", "is", "remain", "remains", "was"];

const BEGINNINGS: &[&[&str]] = &[
    &["i"],
    &["let", "us"],
    &["let's"],
    &["let\u{2019}s"],
    &["the", "company"],
    &["the", "organisation"],
    &["the", "organization"],
    &["they"],
    &["we"],
];

/// Verbs that only announce another one: "we plan to", "we are going to".
const ANNOUNCEMENTS: &[&str] = &[
    "aim", "are", "aspire", "can", "going", "have", "hope", "intend", "must", "need", "plan",
    "propose", "shall", "should", "want", "will", "wish", "would",
];

/// How far into a text its name of itself may stand, and how far behind that the joint, in words.
const NAME_WITHIN: usize = 5;
const JOINT_WITHIN: usize = 8;

/// How many words at the start are frame.
pub(super) fn frame(words: &[Word<'_>]) -> usize {
    let start = numbering(words);
    let named = start + name(from(words, start));
    let begun = named + beginning(from(words, named));
    // "To" belongs to the frame whatever came before it: "to become", "our aim is to become".
    match words.get(begun) {
        Some(word) if word.lower == "to" && begun + 1 < words.len() => begun + 1,
        _ if begun == words.len() => start,
        _ => begun,
    }
}

/// "1.", "2.3)", "a)".
fn numbering(words: &[Word<'_>]) -> usize {
    let is_number = words.first().is_some_and(|word| {
        let is_digit = word.lower.starts_with(|c: char| c.is_ascii_digit());
        words.len() > 1 && word.is_numbering() && (word.lower.len() == 1 || is_digit)
    });
    usize::from(is_number)
}

/// "Our strategy for next year will be", "Strategy 2.1:".
fn name(words: &[Word<'_>]) -> usize {
    let Some(at) = words
        .iter()
        .take(NAME_WITHIN)
        .position(|word| NAMES.binary_search(&word.lower.as_str()).is_ok())
    else {
        return 0;
    };
    // Only at the start: behind one of these the name is a part of the matter.
    let mut before = words.iter().take(at);
    let is_matter =
        before.any(|word| matches!(word.lower.as_str(), "a" | "an" | "to" | "and" | "of"));
    let mut up_to_name = words.iter().take(at + 1).skip(1);
    if is_matter || up_to_name.any(Word::after_break) {
        return 0;
    }
    for (behind, word) in from(words, at).iter().take(JOINT_WITHIN).enumerate() {
        if behind > 0 && word.after_break() {
            break;
        }
        if word.before_colon() && behind <= 1 {
            return at + behind + 1;
        }
        if behind > 0 && JOINTS.contains(&word.lower.as_str()) {
            return at + behind + 1;
        }
    }
    0
}

/// "We plan", "we are going", "I will".
fn beginning(words: &[Word<'_>]) -> usize {
    let begins = BEGINNINGS.iter().find(|beginning| {
        beginning.len() < words.len()
            && beginning
                .iter()
                .zip(words)
                .all(|(expected, word)| *expected == word.lower)
    });
    let start = begins.map_or(0, |beginning| beginning.len());
    let announced = from(words, start)
        .iter()
        .take_while(|word| start > 0 && ANNOUNCEMENTS.contains(&word.lower.as_str()))
        .count();
    start + announced
}
