//! What the pass says of logs that no daemon would write.

use prost::Message as _;

use super::*;
use crate::proto::{Commit, Event};

/// The `number`th commit of a plan, with one event, recorded at that second.
fn commit(plan: &str, number: u64) -> Bytes {
    let commit = Commit {
        plan_id: plan.to_owned(),
        first_revision: number,
        recorded_at: Some(prost_types::Timestamp::default()),
        events: vec![Event {
            revision: number,
            ..Default::default()
        }],
        ..Default::default()
    };
    commit.encode_to_vec().into()
}

fn root(size: u64) -> Hash {
    let mut tree = Frontier::default();
    for number in 1..=size {
        tree.push(commit::leaf_hash(&commit("growth", number)));
    }
    tree.root()
}

fn claim(size: u64, root: Hash) -> Claim {
    Claim {
        name: "somebody".to_owned(),
        size,
        root,
        witness: Witness::Log(Signature::None),
    }
}

fn outcomes(verified: &Verified) -> Vec<Outcome> {
    verified
        .claims
        .iter()
        .map(|(_, outcome)| *outcome)
        .collect()
}

#[test]
fn claims_are_compared_at_their_sizes_whenever_they_are_made() {
    let ahead = [
        claim(0, root(0)),
        claim(2, root(2)),
        claim(2, root(3)),
        claim(9, root(3)),
    ];
    let mut checker = Checker::new(Frontier::default(), ahead.to_vec());
    for number in 1..=3 {
        checker.commit(number, &commit("growth", number));
    }
    checker.claim(claim(3, root(3)));
    let verified = checker.finish();
    assert_eq!(
        outcomes(&verified),
        [
            Outcome::Holds,
            Outcome::Holds,
            Outcome::Differs { found: root(2) },
            Outcome::Beyond { head: 3 },
            Outcome::Holds,
        ]
    );
    assert_eq!(verified.verdict(), Verdict::DoesNotHold);
}

#[test]
fn behind_what_cannot_be_read_there_is_no_root_but_what_is_whole_is_named() {
    let claims = vec![claim(1, root(1)), claim(5, root(5))];
    let mut checker = Checker::new(Frontier::default(), claims);
    checker.commit(1, &commit("growth", 1));
    assert!(checker.unreadable("is damaged"));
    assert!(checker.unreadable("is damaged"));
    // Where the plan is by then, nobody knows.
    checker.commit(4, &commit("growth", 4));
    checker.commit(5, &commit("growth", 6));
    let verified = checker.finish();
    assert_eq!(outcomes(&verified), [Outcome::Holds, Outcome::NotCompared]);
    assert_eq!(verified.whole, [1..=1, 4..=5]);
    assert_eq!(verified.root, None);
    let said: Vec<_> = verified.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "positions 2 to 3: is damaged",
            "position 5: goes on with plan \"growth\" at revision 6, and the plan is at 4",
        ]
    );
}

#[test]
fn a_hole_a_repetition_and_bytes_that_are_no_commit_are_found() {
    let mut checker = Checker::new(Frontier::default(), Vec::new());
    checker.commit(1, &commit("growth", 1));
    checker.commit(1, &commit("growth", 1));
    checker.commit(3, &Bytes::from_static(b"\xff\xff"));
    let verified = checker.finish();
    let at: Vec<_> = verified.findings.iter().map(|it| it.at.clone()).collect();
    assert_eq!(at, [Some(1..=1), Some(2..=2), Some(3..=3)]);
    assert_eq!((verified.commits, verified.head), (1, 3));
}

#[test]
fn what_is_found_is_bounded_and_the_rest_is_counted() {
    let mut checker = Checker::new(Frontier::default(), Vec::new());
    for number in 0..FINDINGS_MAX as u64 + 5 {
        checker.find(Some(number * 2), "is wrong".to_owned());
    }
    let verified = checker.finish();
    assert_eq!(verified.findings.len(), FINDINGS_MAX);
    assert_eq!(verified.more_findings, 5);
}

#[test]
fn only_the_log_and_what_it_signed_convict_it() {
    let key = || "strata/log+9d4d9255".to_owned();
    let of_another = || Signature::OfAnother {
        signers: key(),
        given: "strata/log+00000000".to_owned(),
    };
    let differs = Outcome::Differs { found: root(1) };
    let (beyond, later) = (Outcome::Beyond { head: 1 }, Outcome::Later { head: 1 });
    for (witness, outcome, judgement) in [
        (Witness::Log(Signature::None), differs, Judgement::Convicts),
        (Witness::Log(of_another()), differs, Judgement::Convicts),
        (
            Witness::Log(of_another()),
            Outcome::Holds,
            Judgement::Unsigned,
        ),
        (
            Witness::Auditor(Signature::Holds(key())),
            differs,
            Judgement::Convicts,
        ),
        (
            Witness::Auditor(Signature::Holds(key())),
            beyond,
            Judgement::Convicts,
        ),
        (
            Witness::Auditor(Signature::Holds(key())),
            later,
            Judgement::Unknown,
        ),
        (
            Witness::Auditor(Signature::NotChecked),
            differs,
            Judgement::Differs,
        ),
        (
            Witness::Auditor(Signature::NotChecked),
            beyond,
            Judgement::Differs,
        ),
        (
            Witness::Auditor(Signature::NotChecked),
            Outcome::Holds,
            Judgement::Holds,
        ),
    ] {
        let claim = Claim {
            witness,
            ..claim(2, root(2))
        };
        assert_eq!(claim.judge(outcome), judgement, "{claim:?}, {outcome:?}");
    }
}

#[test]
fn what_may_end_early_is_not_convicted_by_what_comes_later() {
    let claims = vec![claim(3, root(3))];
    let mut checker = Checker::over_a_part(Frontier::default(), claims);
    checker.commit(1, &commit("growth", 1));
    let verified = checker.finish();
    assert_eq!(outcomes(&verified), [Outcome::Later { head: 1 }]);
    assert_eq!(verified.verdict(), Verdict::NotVerified);
}

#[test]
fn commits_that_were_not_asked_for_end_the_pass_and_none_overflows() {
    for position in [3, u64::MAX] {
        let mut checker = Checker::new(Frontier::default(), Vec::new());
        let sent = [(1, commit("growth", 1)), (position, commit("growth", 2))];
        assert!(checker.commits_up_to(2, sent).is_break());
        let verified = checker.finish();
        assert_eq!(verified.head, 1);
        let found: Vec<_> = verified.findings.iter().map(Finding::to_string).collect();
        let expected =
            format!("position {position}: was sent, and positions up to 2 were asked for");
        assert_eq!(found, [expected]);
    }
    // Nor one that was asked for.
    let mut checker = Checker::new(Frontier::default(), Vec::new());
    let last = [
        (u64::MAX, commit("growth", 1)),
        (u64::MAX, commit("growth", 1)),
    ];
    assert!(checker.commits_up_to(u64::MAX, last).is_continue());
    assert_eq!(checker.finish().verdict(), Verdict::DoesNotHold);
}
