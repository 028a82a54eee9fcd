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
