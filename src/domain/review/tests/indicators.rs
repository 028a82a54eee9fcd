//! Whether anything is measured, and still is.

use super::*;

const NONE: [&str; 0] = [];

fn retiring(indicator_id: &str) -> Kind {
    Kind::IndicatorRetired(proto::IndicatorRetired {
        indicator_id: indicator_id.into(),
        reason: "Nobody looks".into(),
    })
}

/// The sound plan with an indicator that is to be measured every ten days.
fn with_cadence(later: impl IntoIterator<Item = (i64, Kind)>) -> Story {
    let mut story = sound_then(later);
    story[2].1 = Kind::IndicatorDefined(proto::IndicatorDefined {
        indicator_id: "replies".into(),
        name: "Replies".into(),
        unit: "replies".into(),
        cadence: Some(prost_types::Duration {
            seconds: 10 * DAY_SECONDS,
            nanos: 0,
        }),
        ..proto::IndicatorDefined::default()
    });
    story
}

#[test]
fn a_plan_without_an_indicator_is_found() {
    let finding = only(&told(0, [(0, given::created())]), "IND001");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [1]);
    assert_eq!(about(&told(0, sound()), "IND001"), NONE);
    let retired = only(&told(1, sound_then([(1, retiring("replies"))])), "IND001");
    assert_eq!(behind(&retired), [1, NEXT]);
}

#[test]
fn an_indicator_is_stale_after_two_cadences_without_a_measurement() {
    let story = with_cadence([(3, given::measured("replies", 1.0))]);
    assert_eq!(about(&told(22, story.clone()), "IND002"), NONE);
    let finding = only(&told(23, story.clone()), "IND002");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("indicators/replies", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [3, NEXT]);
    says(&finding, &["`replies`", "1970-01-04", "20 days ago"]);
    let later = |kind| story.clone().into_iter().chain([(23, kind)]);
    assert_eq!(
        about(&told(23, later(given::measured("replies", 2.0))), "IND002"),
        NONE
    );
    assert_eq!(about(&told(23, later(retiring("replies"))), "IND002"), NONE);
}

#[test]
fn an_indicator_never_measured_is_stale_by_its_definition() {
    assert_eq!(about(&told(19, with_cadence([])), "IND002"), NONE);
    let finding = only(&told(20, with_cadence([])), "IND002");
    assert_eq!(behind(&finding), [3]);
    says(&finding, &["never measured", "1970-01-01"]);
}

#[test]
fn an_indicator_without_a_cadence_is_never_stale() {
    assert_eq!(about(&told(9_999, sound()), "IND002"), NONE);
}
