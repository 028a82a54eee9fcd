//! The codes of all findings, each with its level and what it detects in a few words. A code says the
//! same for ever: one that is no longer found is kept here, and its name is not used again.
//! `docs/findings.md` has the thinking behind each.

use crate::proto::FindingLevel::{self, Note, Warn};

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The code: `TAC001`.
    pub name: &'static str,
    /// How much its findings weigh, if nothing makes one weigh more.
    pub level: FindingLevel,
    /// What it detects, in a few words.
    pub title: &'static str,
}

impl Code {
    const fn new(name: &'static str, level: FindingLevel, title: &'static str) -> Self {
        Self { name, level, title }
    }

    /// Where the thinking behind it is written down.
    #[must_use]
    pub fn rationale(&self) -> String {
        format!("docs/findings.md#{}", self.name.to_lowercase())
    }
}

/// The code of this name.
#[must_use]
pub fn code(name: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.name == name)
}

/// All codes, in the order of their names.
pub static ALL: [&Code; 31] = [
    &ASM001, &ASM002, &ASM003, &COM001, &COM002, &COM003, &HIS001, &HIS002, &HIS003, &IND001,
    &IND002, &OBJ001, &OBJ002, &OBJ003, &STR001, &STR002, &STR003, &STR004, &STR005, &STR006,
    &STR007, &STR008, &STR009, &STR010, &TAC001, &TAC002, &TAC003, &TAC004, &TAC005, &TAC006,
    &TAC007,
];

pub(super) static ASM001: Code = Code::new("ASM001", Warn, "untested");
pub(super) static ASM002: Code = Code::new("ASM002", Warn, "refuted yet in use");
pub(super) static ASM003: Code = Code::new("ASM003", Note, "tactic without assumption");
pub(super) static COM001: Code = Code::new("COM001", Warn, "silent miss");
pub(super) static COM002: Code = Code::new("COM002", Warn, "serial mover");
pub(super) static COM003: Code = Code::new("COM003", Warn, "overload");
pub(super) static HIS001: Code = Code::new("HIS001", Note, "late record");
pub(super) static HIS002: Code = Code::new("HIS002", Note, "no expectation");
pub(super) static HIS003: Code = Code::new("HIS003", Note, "long plan");
pub(super) static IND001: Code = Code::new("IND001", Note, "no indicator");
pub(super) static IND002: Code = Code::new("IND002", Warn, "stale");
pub(super) static OBJ001: Code = Code::new("OBJ001", Warn, "vague objective");
pub(super) static OBJ002: Code = Code::new("OBJ002", Note, "no horizon");
pub(super) static OBJ003: Code = Code::new("OBJ003", Warn, "no objective");
pub(super) static STR001: Code = Code::new("STR001", Note, "a tactic stated as a strategy");
pub(super) static STR002: Code = Code::new("STR002", Warn, "no tactics");
pub(super) static STR003: Code = Code::new("STR003", Note, "single option");
pub(super) static STR004: Code = Code::new("STR004", Warn, "exhausted");
pub(super) static STR005: Code = Code::new("STR005", Note, "no choice made");
pub(super) static STR006: Code = Code::new("STR006", Note, "no diagnosis");
pub(super) static STR007: Code = Code::new("STR007", Warn, "no focus");
pub(super) static STR008: Code = Code::new("STR008", Note, "unprompted revision");
pub(super) static STR009: Code = Code::new("STR009", Warn, "churn");
pub(super) static STR010: Code = Code::new("STR010", Warn, "no strategy");
pub(super) static TAC001: Code = Code::new("TAC001", Warn, "tactical roulette");
pub(super) static TAC002: Code = Code::new("TAC002", Warn, "no owner or deadline");
pub(super) static TAC003: Code = Code::new("TAC003", Note, "no stop rule");
pub(super) static TAC004: Code = Code::new("TAC004", Warn, "past its stop rule");
pub(super) static TAC005: Code = Code::new("TAC005", Warn, "blind repeat");
pub(super) static TAC006: Code = Code::new("TAC006", Note, "ungrouped");
pub(super) static TAC007: Code = Code::new("TAC007", Warn, "too early");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/findings.md");

    /// What each code is explained by, in this order.
    const PARTS: [&str; 6] = [
        "- Level: ",
        "- Detects: ",
        "- Why it matters: ",
        "- What to do: ",
        "- Example: ",
        "- To accept it: ",
    ];

    #[test]
    fn the_page_explains_exactly_these_codes_with_their_levels_and_titles() {
        let mut explained = BTreeSet::new();
        for part in PAGE.split("\n### ").skip(1) {
            let (name, rest) = part.split_once('\n').expect("a heading and what is below");
            let title = rest.trim_start().lines().next().expect("a title");
            let level = part.split(PARTS[0]).nth(1).expect(name);
            let level = level.split(['\n', ',']).next().expect(name);
            let places: Vec<_> = PARTS.iter().map(|label| part.find(label)).collect();
            assert!(places.iter().all(Option::is_some), "{name}: {places:?}");
            assert!(places.is_sorted(), "{name}: {places:?}");
            assert!(
                explained.insert((name, title, level)),
                "{name} stands twice"
            );
        }
        let level = |code: &Code| match code.level {
            FindingLevel::Unspecified => "none",
            Note => "note",
            Warn => "warn",
        };
        let titles: Vec<_> = ALL.iter().map(|it| format!("**{}**", it.title)).collect();
        let expected: BTreeSet<_> = ALL
            .iter()
            .zip(&titles)
            .map(|(code, title)| (code.name, title.as_str(), level(code)))
            .collect();
        assert_eq!(explained, expected);
    }

    #[test]
    fn codes_stand_in_the_order_of_their_names_each_once() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
        for known in ALL {
            assert_eq!(code(known.name), Some(known));
        }
        assert_eq!(code("TAC999"), None);
    }
}
