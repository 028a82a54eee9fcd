//! A real history, as it would be imported: the eradication of smallpox from India.

use strata::{
    domain::{shape, value::Time},
    json, proto,
};

const NOW: Time = Time {
    seconds: 1_700_000_000,
    nanos: 0,
};

#[test]
fn a_real_history_has_nothing_wrong_by_itself() {
    let lines = include_str!("fixtures/smallpox-india.jsonl");
    for line in lines.lines() {
        let request: proto::ExecuteRequest = json::from_json(line).expect(line);
        let checked = shape::check(request.clone(), NOW).expect(line);
        assert_eq!(checked.request(), &request, "nothing of it is changed");
        assert_eq!(checked.amends(), line.contains("correct_event"));
    }
    assert_eq!(lines.lines().count(), 40);
}
