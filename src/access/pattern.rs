//! Patterns over plan ids: `*` for any run of characters, everything else for itself.

use std::{fmt, str::FromStr};

use crate::domain::value::Id;

/// A pattern over plan ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} matches no plan id: a pattern is made of a-z, 0-9, - and *, such as growth-*")]
pub struct NoPattern(String);

impl Pattern {
    /// The pattern that matches every plan.
    #[must_use]
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Whether it matches every plan id there can be.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == "*"
    }

    /// Whether it matches a plan id.
    #[must_use]
    pub fn matches(&self, plan_id: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = plan_id.strip_prefix(first) else {
            return false;
        };
        let Some(last) = pieces.next_back() else {
            return rest.is_empty();
        };
        for piece in pieces {
            let Some((_, after)) = rest.split_once(piece) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    }
}

impl FromStr for Pattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        // Without its stars it is an id, or a piece of one.
        let shortened = text.replace('*', "");
        let is_piece = shortened
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
        let names_something = text.contains('*') || Id::is_valid(text);
        if text.is_empty() || !is_piece || !names_something || text.len() > 256 {
            return Err(NoPattern(text.to_owned()));
        }
        // Runs of stars say what one says.
        let mut pattern = text.to_owned();
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        Ok(Self(pattern))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, as it is said: a star is any run of characters.
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => matches(rest, text),
            (Some((b'*', rest)), Some((_, tail))) => matches(rest, text) || matches(pattern, tail),
            (Some((letter, rest)), Some((other, tail))) => letter == other && matches(rest, tail),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    #[test]
    fn a_pattern_is_matched_from_end_to_end() {
        for (pattern, plan_id, expected) in [
            ("growth", "growth", true),
            ("growth", "growth-2", false),
            ("growth-*", "growth-2", true),
            ("growth-*", "growth", false),
            ("*-2", "growth-2", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("*", "", true),
        ] {
            let parsed: Pattern = pattern.parse().expect(pattern);
            assert_eq!(parsed.matches(plan_id), expected, "{pattern} {plan_id}");
        }
    }

    #[test]
    fn what_can_match_no_plan_is_no_pattern() {
        for text in [
            "", "Growth", "growth_1", "a b", "-a", "a-", "ä*", "*?", "a.b", "*\n",
        ] {
            let refused = text.parse::<Pattern>().expect_err(text);
            assert!(refused.to_string().contains("growth-*"), "{refused}");
        }
        assert!("a".repeat(64).parse::<Pattern>().is_err());
        assert!("*".repeat(257).parse::<Pattern>().is_err());
    }

    #[test]
    fn stars_alone_are_every_plan() {
        for text in ["*", "**", "***"] {
            assert!(text.parse::<Pattern>().expect(text).is_all());
        }
        assert!(!"a*".parse::<Pattern>().expect("a pattern").is_all());
    }

    proptest! {
        #[test]
        fn it_matches_what_it_says(pattern in "[ab*]{1,8}", plan_id in "[ab]{0,10}") {
            let parsed: Pattern = pattern.parse().expect("a pattern");
            let naive = matches(pattern.as_bytes(), plan_id.as_bytes());
            prop_assert_eq!(parsed.matches(&plan_id), naive);
            let again: Pattern = parsed.to_string().parse().expect("as it is shown");
            prop_assert_eq!(again, parsed);
        }

        #[test]
        fn any_text_is_a_pattern_or_refused(text in "[a-z*-]{0,12}|[a-z-]{0,300}|\\PC{0,40}", id in "[a-z-]{0,20}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.is_all(), text.bytes().all(|byte| byte == b'*'));
                prop_assert_eq!(pattern.matches(&id), matches(text.as_bytes(), id.as_bytes()));
            }
        }
    }
}
