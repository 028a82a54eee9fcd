//! What came of a verification, in words for people: what holds, what does not, and what could not be
//! told, each on a line of its own; the last line says it all.

use std::fmt;

use super::{
    checker::{Claim, Judgement, Outcome, Positions, Signature, Verdict, Verified},
    sources::Pass,
};

/// What came of a verification, for people; the last line says it all.
pub(super) struct Report<'a> {
    /// What was verified.
    pub(super) name: &'a str,
    /// What came of it.
    pub(super) pass: &'a Pass,
    /// Whether signatures could be checked.
    pub(super) has_keys: bool,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pass { log_id, verified } = self.pass;
        match log_id {
            None if verified.commits == 0 => {
                writeln!(formatter, "{}: no commit can be read", self.name)?;
            }
            None => {
                writeln!(formatter, "{}: a log without its id", self.name)?;
                write_counts(formatter, verified)?;
            }
            Some(log_id) => {
                writeln!(formatter, "{}: log {log_id}", self.name)?;
                write_counts(formatter, verified)?;
            }
        }
        for (claim, outcome) in &verified.claims {
            write_claim(formatter, claim, *outcome)?;
        }
        for finding in &verified.findings {
            writeln!(formatter, "DAMAGED  {finding}")?;
        }
        if verified.more_findings > 0 {
            writeln!(formatter, "and {} more like these", verified.more_findings)?;
        }
        if !self.has_keys {
            writeln!(formatter, "signatures were not checked: there is no --key")?;
        }
        match verified.verdict() {
            Verdict::Holds => writeln!(formatter, "HOLDS: {} commits", verified.commits),
            Verdict::NotVerified => writeln!(formatter, "NOT VERIFIED: {}", Reasons(verified)),
            Verdict::DoesNotHold => writeln!(formatter, "DOES NOT HOLD: {}", Reasons(verified)),
        }
    }
}

fn write_counts(formatter: &mut fmt::Formatter<'_>, verified: &Verified) -> fmt::Result {
    let Verified {
        commits,
        plans,
        head,
        ..
    } = verified;
    if verified.before > 0 {
        writeln!(
            formatter,
            "positions 1 to {} are not in these files, and stand for what their header says",
            verified.before
        )?;
    }
    write!(formatter, "{commits} commits of {plans} plans are whole")?;
    for (number, range) in verified.whole.iter().enumerate() {
        let before = if number == 0 { ": " } else { ", " };
        write!(formatter, "{before}{}", Positions(range))?;
    }
    writeln!(formatter)?;
    match verified.root {
        Some(root) => writeln!(formatter, "root at position {head}: {}", hex::encode(root)),
        None => writeln!(
            formatter,
            "no root at position {head}: commits before it are not known"
        ),
    }
}

fn write_claim(formatter: &mut fmt::Formatter<'_>, claim: &Claim, outcome: Outcome) -> fmt::Result {
    let Claim { name, size, .. } = claim;
    let judgement = claim.judge(outcome);
    let word = match judgement {
        Judgement::Holds => "holds   ",
        Judgement::Unsigned => "UNSIGNED",
        Judgement::Differs => "DIFFERS ",
        Judgement::Unknown => "UNKNOWN ",
        Judgement::Convicts => "CONVICTS",
    };
    write!(formatter, "{word} {name}, of {size} commits")?;
    match claim.signature() {
        Signature::None => {}
        Signature::Holds(key) => write!(formatter, " (signed by {key})")?,
        Signature::NotChecked => write!(formatter, " (signature not checked)")?,
        Signature::OfAnother { signers, given } => write!(
            formatter,
            ": signed by the key {signers}, which you did not give: you gave {given}; if the log was \
             restored it may have a new key: ask the operator, and add it with --key"
        )?,
    }
    match outcome {
        Outcome::Holds => {}
        Outcome::Differs { found } => write!(
            formatter,
            ": these commits are not those of the log: it had root {} and has {}",
            hex::encode(claim.root),
            hex::encode(found)
        )?,
        Outcome::Beyond { head } => write!(
            formatter,
            ": the log ends at position {head}: commits were taken back"
        )?,
        Outcome::Later { head } => write!(
            formatter,
            ": what was read ends at position {head}, and the backup was taken before this \
             checkpoint; name a later one"
        )?,
        Outcome::NotCompared => write!(
            formatter,
            ": cannot be compared, as commits before it are not known"
        )?,
    }
    if judgement == Judgement::Differs {
        write!(
            formatter,
            "; that says nothing yet: its signature was not checked, give --key"
        )?;
    }
    writeln!(formatter)
}

/// Why a log does not hold or was not verified, in half a line.
struct Reasons<'a>(&'a Verified);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verified) = self;
        let counts = [
            (
                verified.count(Judgement::Convicts),
                "checked against it, and convicting",
            ),
            (
                verified.findings.len() as u64 + verified.more_findings,
                "damaged or wrong",
            ),
            (
                verified.count(Judgement::Differs),
                "that differs, with a signature that was not checked",
            ),
            (
                verified.count(Judgement::Unsigned),
                "signed by a key that was not given",
            ),
            (
                verified.count(Judgement::Unknown),
                "that cannot be compared with what was read",
            ),
        ];
        let mut separator = "";
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(formatter, "{separator}{count} {what}")?;
            separator = ", ";
        }
        Ok(())
    }
}
