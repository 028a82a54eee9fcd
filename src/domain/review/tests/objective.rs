//! Whether there is an objective, and whether it could be missed.

use super::*;

fn stated(change: impl FnOnce(&mut proto::ObjectiveSet)) -> Moment {
    let mut stated = objective();
    change(&mut stated);
    let story = [(0, given::created()), (0, Kind::ObjectiveSet(stated))];
    told(0, story)
}

#[test]
fn a_plan_without_an_objective_is_found_by_its_beginning() {
    let finding = only(&told(0, [(0, given::created())]), "OBJ003");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("plan", FindingLevel::Warn)
    );
    assert_eq!(behind(&finding), [1]);
    assert_eq!(about(&told(0, sound()), "OBJ003"), [""; 0]);
}

#[test]
fn an_objective_without_measure_or_target_is_vague() {
    for moment in [
        stated(|it| it.measure = " ".into()),
        stated(|it| it.target = None),
    ] {
        let finding = only(&moment, "OBJ001");
        assert_eq!(
            (finding.subject.as_str(), level(&finding)),
            ("objective", FindingLevel::Warn)
        );
        assert_eq!(behind(&finding), [2]);
    }
    assert_eq!(
        about(&stated(|it| it.target = Some(0.0)), "OBJ001"),
        [""; 0]
    );
}

#[test]
fn an_objective_that_names_a_quantity_is_not_vague() {
    let said = |statement: &str| {
        stated(|it| {
            it.statement = statement.into();
            it.measure = String::new();
            it.target = None;
        })
    };
    assert_eq!(about(&said("Increased sales"), "OBJ001"), ["objective"]);
    assert_eq!(about(&said("Sell 900 loaves a day"), "OBJ001"), [""; 0]);
}

#[test]
fn what_is_missing_is_named() {
    says(
        &only(&stated(|it| it.measure.clear()), "OBJ001"),
        &["no measure"],
    );
    says(
        &only(&stated(|it| it.target = None), "OBJ001"),
        &["no target"],
    );
}

#[test]
fn an_objective_without_a_horizon_is_found_until_it_gets_one() {
    let open_ended = proto::ObjectiveSet {
        horizon: None,
        ..objective()
    };
    let story = [(0, given::created()), (0, Kind::ObjectiveSet(open_ended))];
    let finding = only(&told(0, story.clone()), "OBJ002");
    assert_eq!(
        (finding.subject.as_str(), level(&finding)),
        ("objective", FindingLevel::Note)
    );
    assert_eq!(behind(&finding), [2]);
    let refined = Kind::ObjectiveRefined(proto::ObjectiveRefined {
        statement: "Sell more".into(),
        horizon: Some(given::at(9)),
        ..proto::ObjectiveRefined::default()
    });
    let moment = told(0, story.into_iter().chain([(1, refined)]));
    assert_eq!(about(&moment, "OBJ002"), [""; 0]);
    // The statement that counts is the last one.
    assert_eq!(behind(&only(&moment, "OBJ001")), [3]);
}
