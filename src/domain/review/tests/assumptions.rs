//! Whether assumptions were tested, and whether anybody heeds the result.

use super::*;

const NONE: [&str; 0] = [];

#[test]
fn a_load_bearing_assumption_is_untested_once_a_tactic_on_it_is_tried() {
    let story = sound_then([(1, tried("a", 1)), (2, tried("b", 1))]);
    let finding = only(&told(2, story.clone()), "ASM001");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("assumptions/load", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [4, NEXT, NEXT + 1]);
    says(
        &finding,
        &["`load`", "2 tactics", "`a` and `b`", "`record_evidence`"],
    );
    assert_eq!(about(&told(1, sound()), "ASM001"), NONE);
    let tested = evidence("e", "load", proto::Verdict::Inconclusive);
    let tested = story.into_iter().chain([(3, tested)]);
    assert_eq!(about(&told(3, tested), "ASM001"), NONE);
}

#[test]
fn an_assumption_that_carries_nothing_need_not_be_tested() {
    let mut story = sound_then([(1, tried("a", 1))]);
    story[3].1 = given::assumption("load", false);
    assert_eq!(about(&told(1, story), "ASM001"), NONE);
}

#[test]
fn a_tactic_that_does_not_name_the_assumption_does_not_depend_on_it() {
    let other = proto::TacticAdded {
        assumption_ids: Vec::new(),
        ..tactic("other", "s")
    };
    let story = sound_then([(1, Kind::TacticAdded(other)), (1, tried("other", 1))]);
    assert_eq!(about(&told(1, story), "ASM001"), NONE);
}

#[test]
fn a_refuted_assumption_is_in_use_while_a_head_revision_rests_on_it() {
    let story = sound_then([
        (1, evidence("for", "load", proto::Verdict::Supports)),
        (1, evidence("against", "load", proto::Verdict::Refutes)),
    ]);
    assert_eq!(about(&told(1, story.clone()), "ASM002"), NONE);
    let story: Story = story.into_iter().chain([(2, refuted("load"))]).collect();
    let finding = only(&told(2, story.clone()), "ASM002");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("assumptions/load", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [5, NEXT + 1, NEXT + 2]);
    says(
        &finding,
        &["`load`", "strategy `s`", "1970-01-03", "revision 10"],
    );
    let without = proto::StrategyRevised {
        assumption_ids: Vec::new(),
        ..revised("s", 2)
    };
    for change in [
        Kind::StrategyRevised(without),
        abandoned("s"),
        Kind::AssumptionReopened(proto::AssumptionReopened {
            assumption_id: "load".into(),
            reason: "We asked the wrong people".into(),
        }),
    ] {
        let story = story.clone().into_iter().chain([(3, change)]);
        assert_eq!(about(&told(3, story), "ASM002"), NONE);
    }
    let still = Kind::StrategyRevised(revised("s", 2));
    let story = story.into_iter().chain([(3, still)]);
    assert_eq!(
        behind(&only(&told(3, story), "ASM002")),
        [NEXT + 1, NEXT + 2, NEXT + 3]
    );
}

#[test]
fn evidence_after_the_conclusion_did_not_refute_and_an_acceptance_outlives_it() {
    let acknowledged = Kind::FindingAcknowledged(proto::FindingAcknowledged {
        code: "ASM002".into(),
        subject: "assumptions/load".into(),
        reason: "The revision is being worked out".into(),
        ..proto::FindingAcknowledged::default()
    });
    let story = sound_then([
        (1, evidence("before", "load", proto::Verdict::Refutes)),
        (1, refuted("load")),
        (2, acknowledged),
        (3, evidence("after", "load", proto::Verdict::Refutes)),
    ]);
    let finding = only(&told(3, story), "ASM002");
    assert_eq!(behind(&finding), [5, NEXT, NEXT + 1]);
    assert!(finding.acknowledgement.is_some());
}

#[test]
fn a_refuted_assumption_need_not_be_load_bearing() {
    let mut story = sound_then([(1, refuted("load"))]);
    story[3].1 = given::assumption("load", false);
    assert_eq!(about(&told(1, story), "ASM002"), ["assumptions/load"]);
}

#[test]
fn tactics_without_an_assumption_are_found_once_a_plan() {
    let without = |id: &str, strategy_id: &str| {
        Kind::TacticAdded(proto::TacticAdded {
            assumption_ids: Vec::new(),
            ..tactic(id, strategy_id)
        })
    };
    let story = sound_then([(1, without("d", "s")), (1, without("c", ""))]);
    let finding = only(&told(1, story.clone()), "ASM003");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Note)
    );
    assert_eq!(finding.subjects, ["tactics/c", "tactics/d"]);
    assert_eq!(behind(&finding), [NEXT, NEXT + 1]);
    says(&finding, &["2 tactics name", "`c` and `d`"]);
    let one = story.clone().into_iter().chain([(2, retired("c"))]);
    assert_eq!(only(&told(2, one), "ASM003").subjects, ["tactics/d"]);
    let none = [(2, retired("c")), (2, abandoned("s"))];
    assert_eq!(
        about(&told(2, story.into_iter().chain(none)), "ASM003"),
        NONE
    );
}
