//! The one pass over a log: commits go in as they come, from wherever, and what is wrong with them
//! comes out. It keeps the right edge of the tree and a revision of each plan, and so grows with the
//! plans and not with the log.

use std::{
    collections::HashMap,
    fmt,
    ops::{ControlFlow, RangeInclusive},
};

use bytes::Bytes;

use crate::{
    commit,
    merkle::{Frontier, Hash},
    proto,
};

/// How many findings are kept in words; the rest is counted.
pub(super) const FINDINGS_MAX: usize = 100;

/// How many positions that cannot be read are passed over before the pass is given up: what is left
/// of such a log is told by other means, and each may cost a call.
const UNREADABLE_MAX: u64 = 10_000;

/// What somebody says that the log was: its root at a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Who says it, in words.
    pub(super) name: String,
    /// How many commits the log had.
    pub(super) size: u64,
    /// The root of the tree over them.
    pub(super) root: Hash,
    /// Who vouches for it.
    pub(super) witness: Witness,
}

/// Who vouches for a claim, and so what it weighs against a log that does not keep to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Witness {
    /// What was read says it of itself: a log that does not keep to it contradicts itself, whoever
    /// signed or did not.
    Log(Signature),
    /// Somebody kept it. Anybody can write such a file, so that it convicts only by its signature.
    Auditor(Signature),
}

/// What is known of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signature {
    /// None belongs there.
    None,
    /// It holds under a key that was given: its name and hash.
    Holds(String),
    /// No key was given.
    NotChecked,
    /// It is of keys that were not given.
    OfAnother {
        /// The names and hashes of those who signed.
        signers: String,
        /// Those of the keys that were given.
        given: String,
    },
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The log begins with what is claimed.
    Holds,
    /// The log has another root at that size.
    Differs {
        /// That root.
        found: Hash,
    },
    /// The log is shorter.
    Beyond {
        /// Where it ends.
        head: u64,
    },
    /// What was read ends before that size, and need not go further: a backup is no whole log.
    Later {
        /// Where it ends.
        head: u64,
    },
    /// Commits before that size could not be read, or were not in what was read.
    NotCompared,
}

/// What a claim says of the log, given what became of it and who vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Holds,
    /// The log keeps to it, but nobody known vouches for it.
    Unsigned,
    /// The log does not keep to it, and nobody known vouches for it.
    Differs,
    Unknown,
    /// The log does not keep to what it said, or to what it signed.
    Convicts,
}

/// What came of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// Nothing speaks against the log, but not all that was asked could be told.
    NotVerified,
    DoesNotHold,
}

/// Something that should not be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Where: positions that follow each other. Nothing if it has no place in the log.
    pub(super) at: Option<RangeInclusive<u64>>,
    /// What was found.
    pub(super) what: String,
}

/// What came of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verified {
    /// How many commits were read whole.
    pub(super) commits: u64,
    /// How many plans they are of.
    pub(super) plans: usize,
    /// Which positions were read whole, in order.
    pub(super) whole: Vec<RangeInclusive<u64>>,
    /// The position of the last commit, as far as it was read.
    pub(super) head: u64,
    /// The root at the head, if every commit before it went into it.
    pub(super) root: Option<Hash>,
    /// How many commits the pass stands on without having read them.
    pub(super) before: u64,
    /// What became of each claim, in the order in which they were made.
    pub(super) claims: Vec<(Claim, Outcome)>,
    /// The first of what was found.
    pub(super) findings: Vec<Finding>,
    /// How many findings there are beyond these.
    pub(super) more_findings: u64,
}

/// A pass under way.
pub(super) struct Checker {
    /// The tree up to the last commit; nothing behind commits that could not be read.
    tree: Option<Frontier>,
    /// The position that comes next.
    next: u64,
    /// Whether the end of what is read is the end of the log.
    is_whole_log: bool,
    before: u64,
    commits: u64,
    /// The revision of every plan, and how many gaps there were when it was seen.
    plans: HashMap<Box<str>, (u64, u32)>,
    /// Behind each, a plan may go on from a revision that was not seen.
    gaps: u32,
    last_recorded_at: (i64, i32),
    whole: Vec<RangeInclusive<u64>>,
    claims: Vec<(Claim, Option<Outcome>)>,
    findings: Vec<Finding>,
    more_findings: u64,
    unreadable: u64,
}

impl Checker {
    /// A pass that begins behind the commits of `before`, and compares the claims on its way.
    pub(super) fn new(before: Frontier, claims: Vec<Claim>) -> Self {
        let mut checker = Self {
            next: before.size() + 1,
            is_whole_log: true,
            before: before.size(),
            gaps: u32::from(before.size() > 0),
            tree: Some(before),
            commits: 0,
            plans: HashMap::new(),
            last_recorded_at: (i64::MIN, 0),
            whole: Vec::new(),
            claims: claims.into_iter().map(|claim| (claim, None)).collect(),
            findings: Vec::new(),
            more_findings: 0,
            unreadable: 0,
        };
        checker.compare();
        checker
    }

    /// A pass over what may end before the log does, and so cannot tell that the log is too short.
    pub(super) fn over_a_part(before: Frontier, claims: Vec<Claim>) -> Self {
        Self {
            is_whole_log: false,
            ..Self::new(before, claims)
        }
    }

    /// The position that comes next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Goes on behind the commits of another tree, after some could not be read.
    pub(super) fn go_on_from(&mut self, before: Frontier) {
        self.next = before.size() + 1;
        self.tree = Some(before);
        self.gaps += 1;
        self.compare();
    }

    /// Takes in commits up to the position that was asked for. Whoever sends others is not heard on.
    pub(super) fn commits_up_to(
        &mut self,
        end: u64,
        commits: impl IntoIterator<Item = (u64, Bytes)>,
    ) -> ControlFlow<()> {
        for (position, bytes) in commits {
            if position > end {
                let beyond = format!("was sent, and positions up to {end} were asked for");
                self.find(Some(position), beyond);
                return ControlFlow::Break(());
            }
            self.commit(position, &bytes);
        }
        ControlFlow::Continue(())
    }

    /// Takes in the commit at a position.
    pub(super) fn commit(&mut self, position: u64, bytes: &Bytes) {
        if position < self.next {
            self.find(
                Some(position),
                "comes a second time, or out of order".into(),
            );
            return;
        }
        let Some(next) = position.checked_add(1) else {
            self.find(Some(position), "is a position that no log reaches".into());
            return;
        };
        if position > self.next {
            self.pass_over(position - 1, "are missing");
        }
        self.next = next;
        if let Some(tree) = &mut self.tree {
            tree.push(commit::leaf_hash(bytes));
        }
        match commit::decode(bytes) {
            Ok(commit) => {
                self.commits += 1;
                extend(&mut self.whole, position);
                self.check(position, &commit);
            }
            Err(error) => {
                self.gaps += 1;
                self.find(Some(position), error.to_string());
            }
        }
        self.compare();
    }

    /// Says that the commit that comes next cannot be read. Answers whether to go on.
    #[must_use]
    pub(super) fn unreadable(&mut self, what: &str) -> bool {
        self.unreadable += 1;
        self.pass_over(self.next, what);
        if self.unreadable == UNREADABLE_MAX {
            let given_up = format!("{UNREADABLE_MAX} positions cannot be read: given up here");
            self.find(Some(self.next), given_up);
        }
        self.unreadable < UNREADABLE_MAX
    }

    /// Keeps what was found.
    pub(super) fn find(&mut self, position: Option<u64>, what: String) {
        self.keep(Finding {
            at: position.map(|position| position..=position),
            what,
        });
    }

    /// Compares one more claim, about what was read already.
    pub(super) fn claim(&mut self, claim: Claim) {
        self.claims.push((claim, None));
        self.compare();
    }

    /// Ends the pass.
    pub(super) fn finish(self) -> Verified {
        let head = self.next - 1;
        let settle = |(claim, outcome): (Claim, Option<Outcome>)| {
            let outcome = outcome.unwrap_or(match (claim.size > head, self.is_whole_log) {
                (true, true) => Outcome::Beyond { head },
                (true, false) => Outcome::Later { head },
                (false, _) => Outcome::NotCompared,
            });
            (claim, outcome)
        };
        Verified {
            commits: self.commits,
            plans: self.plans.len(),
            whole: self.whole,
            head,
            root: self.tree.map(|tree| tree.root()),
            before: self.before,
            claims: self.claims.into_iter().map(settle).collect(),
            findings: self.findings,
            more_findings: self.more_findings,
        }
    }

    /// Compares the claims about the log as it is just now.
    fn compare(&mut self) {
        let size = self.next - 1;
        let Some(tree) = &self.tree else {
            return;
        };
        for (claim, outcome) in &mut self.claims {
            if claim.size == size && outcome.is_none() {
                let found = tree.root();
                *outcome = Some(if found == claim.root {
                    Outcome::Holds
                } else {
                    Outcome::Differs { found }
                });
            }
        }
    }

    /// Goes on behind positions up to `last` of which nothing is known.
    fn pass_over(&mut self, last: u64, what: &str) {
        self.keep(Finding {
            at: Some(self.next..=last),
            what: what.to_owned(),
        });
        self.next = last + 1;
        self.tree = None;
        self.gaps += 1;
    }

    /// Checks what must hold between a commit and those before it.
    fn check(&mut self, position: u64, commit: &proto::Commit) {
        if let Some(what) = self.wrong_time(commit) {
            self.find(Some(position), what);
        }
        if let Some(what) = self.wrong_revision(commit) {
            self.find(Some(position), what);
        }
    }

    fn wrong_time(&mut self, commit: &proto::Commit) -> Option<String> {
        let Some(at) = &commit.recorded_at else {
            return Some("does not say when it was recorded".to_owned());
        };
        let at = (at.seconds, at.nanos);
        let runs_back = at < self.last_recorded_at;
        self.last_recorded_at = at;
        runs_back.then(|| "was recorded earlier than the commit before it".to_owned())
    }

    fn wrong_revision(&mut self, commit: &proto::Commit) -> Option<String> {
        let plan_id = commit.plan_id.as_str();
        if plan_id.is_empty() {
            return Some("names no plan".to_owned());
        }
        let claimed = commit.first_revision.saturating_sub(1);
        let before = match self.plans.get(plan_id) {
            Some((revision, gaps)) if *gaps == self.gaps => *revision,
            Some((revision, _)) => claimed.max(*revision),
            None if self.gaps > 0 => claimed,
            None => 0,
        };
        let expected = (before + 1..).zip(&commit.events);
        let out_of_order = expected
            .into_iter()
            .find(|(revision, event)| event.revision != *revision);
        let last = commit.events.last().map(|event| event.revision);
        let wrong = if commit.first_revision != before + 1 {
            Some(format!(
                "goes on with plan {plan_id:?} at revision {}, and the plan is at {before}",
                commit.first_revision
            ))
        } else if let Some((expected, event)) = out_of_order {
            Some(format!(
                "holds an event of revision {} of plan {plan_id:?} where {expected} belongs",
                event.revision
            ))
        } else if last.is_none() {
            Some("holds no event".to_owned())
        } else {
            None
        };
        let revision = last.unwrap_or(before).max(before);
        self.plans.insert(plan_id.into(), (revision, self.gaps));
        wrong
    }

    /// Keeps a finding, joined with the one before where it says the same of the next position.
    fn keep(&mut self, finding: Finding) {
        let Finding { at, what } = finding;
        if let (Some(last), Some(at)) = (self.findings.last_mut(), &at)
            && let Some(before) = &last.at
            && last.what == what
            && before.end().checked_add(1) == Some(*at.start())
        {
            last.at = Some(*before.start()..=*at.end());
        } else if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { at, what });
        } else {
            self.more_findings += 1;
        }
    }
}

impl Claim {
    /// What it says of the log.
    pub(super) fn judge(&self, outcome: Outcome) -> Judgement {
        match (outcome, &self.witness) {
            (Outcome::NotCompared | Outcome::Later { .. }, _) => Judgement::Unknown,
            (
                Outcome::Holds,
                Witness::Log(Signature::OfAnother { .. })
                | Witness::Auditor(Signature::OfAnother { .. }),
            ) => Judgement::Unsigned,
            (Outcome::Holds, Witness::Log(_) | Witness::Auditor(_)) => Judgement::Holds,
            (
                Outcome::Differs { .. } | Outcome::Beyond { .. },
                Witness::Log(_) | Witness::Auditor(Signature::Holds(_)),
            ) => Judgement::Convicts,
            (Outcome::Differs { .. } | Outcome::Beyond { .. }, Witness::Auditor(_)) => {
                Judgement::Differs
            }
        }
    }

    /// What is known of its signature.
    pub(super) fn signature(&self) -> &Signature {
        match &self.witness {
            Witness::Log(signature) | Witness::Auditor(signature) => signature,
        }
    }
}

impl Verified {
    /// How many claims come to this.
    pub(super) fn count(&self, judgement: Judgement) -> u64 {
        let claims = self.claims.iter();
        let judged = claims.filter(|(claim, outcome)| claim.judge(*outcome) == judgement);
        judged.count() as u64
    }

    /// What came of all of it.
    pub(super) fn verdict(&self) -> Verdict {
        let told = [Judgement::Unsigned, Judgement::Differs, Judgement::Unknown];
        if !self.findings.is_empty() || self.count(Judgement::Convicts) > 0 {
            Verdict::DoesNotHold
        } else if told.into_iter().any(|judgement| self.count(judgement) > 0) {
            Verdict::NotVerified
        } else {
            Verdict::Holds
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            None => write!(formatter, "{}", self.what),
            Some(at) => write!(formatter, "{}: {}", Positions(at), self.what),
        }
    }
}

/// A range of positions in words.
pub(super) struct Positions<'a>(pub(super) &'a RangeInclusive<u64>);

impl fmt::Display for Positions<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last {
            write!(formatter, "position {first}")
        } else {
            write!(formatter, "positions {first} to {last}")
        }
    }
}

/// Adds a position to ranges in order.
fn extend(ranges: &mut Vec<RangeInclusive<u64>>, position: u64) {
    match ranges.last_mut() {
        Some(last) if last.end().checked_add(1) == Some(position) => {
            *last = *last.start()..=position;
        }
        Some(_) | None => ranges.push(position..=position),
    }
}

#[cfg(test)]
mod tests;
