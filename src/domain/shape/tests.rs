//! What is refused, with the exact paths, and what is just within its bound.

mod published;

use prost_types::Timestamp;

use super::*;
use crate::json;

const NOW: Time = Time {
    seconds: 1_700_000_000,
    nanos: 0,
};

/// A request in proto3 JSON.
#[track_caller]
fn request(json: &str) -> proto::ExecuteRequest {
    json::from_json(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// A request of these commands, in proto3 JSON.
#[track_caller]
fn of_commands(commands: &str) -> proto::ExecuteRequest {
    request(&format!(r#"{{"plan_id":"p","commands":[{commands}]}}"#))
}

#[track_caller]
fn accepted(request: proto::ExecuteRequest) -> CheckedRequest {
    check(request, NOW).unwrap_or_else(|violations| panic!("refused: {violations:#?}"))
}

#[track_caller]
fn refused(request: proto::ExecuteRequest) -> Vec<Violation> {
    check(request, NOW).expect_err("it is wrong")
}

fn fields(violations: &[Violation]) -> Vec<&str> {
    violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect()
}

#[test]
fn every_violation_of_a_request_is_named_by_its_path() {
    let note = r#"{"record_note":{"subject":"plan","text":"x"}}"#;
    for (parts, expected) in [
        (r#""plan_id":"""#, vec!["plan_id"]),
        (r#""plan_id":"No""#, vec!["plan_id"]),
        (
            r#""occurred_at":"2023-11-14T22:18:21Z""#,
            vec!["occurred_at"],
        ),
        (r#""occurred_precision":9"#, vec!["occurred_precision"]),
        (r#""source":"a\u0000b""#, vec!["source"]),
        (r#""actor":"\u001b[2J""#, vec!["actor"]),
        (
            r#""because":[{}]"#,
            vec!["because[0].revision", "because[0].role"],
        ),
        (
            r#""because":[{"revision":1,"role":7,"plan_id":"-"}]"#,
            vec!["because[0].plan_id", "because[0].role"],
        ),
        (
            // The same event, once by the plan's name and once without it.
            r#""because":[{"revision":1,"role":1},{"revision":1,"role":2,"plan_id":"p"}]"#,
            vec!["because[1]"],
        ),
        (r#""commands":[]"#, vec!["commands"]),
        (r#""commands":[{}]"#, vec!["commands[0]"]),
        (
            r#""request_id":"\u0007","commands":[{},{"retire_tactic":{}}]"#,
            vec![
                "request_id",
                "commands[0]",
                "commands[1].retire_tactic.tactic_id",
                "commands[1].retire_tactic.reason",
            ],
        ),
    ] {
        // Of a name that stands twice the last value holds.
        let whole = format!(r#"{{"plan_id":"p","commands":[{note}],{parts}}}"#);
        let whole: serde_json::Value = serde_json::from_str(&whole).expect(&whole);
        let whole = whole.to_string();
        assert_eq!(fields(&refused(request(&whole))), expected, "{whole}");
    }
}

#[test]
fn every_violation_of_a_command_is_named_by_its_path() {
    for (command, expected) in [
        (
            r#"{"create_plan":{"title":" \t\n\u3000"}}"#,
            vec!["create_plan.title"],
        ),
        (
            r#"{"create_plan":{"title":"x","labels":{" ":"y","a\nb":"\u0001"}}}"#,
            vec![
                r#"create_plan.labels[" "]"#,
                r#"create_plan.labels["a\nb"]"#,
            ],
        ),
        (r#"{"archive_plan":{}}"#, vec!["archive_plan.outcome"]),
        (
            r#"{"set_objective":{"statement":"x","target":0,"measure":" "}}"#,
            vec!["set_objective.measure"],
        ),
        (
            r#"{"set_objective":{"statement":"x","baseline":"NaN","target":"Infinity","measure":"m"}}"#,
            vec!["set_objective.baseline", "set_objective.target"],
        ),
        (
            r#"{"define_indicator":{"indicator_id":"i","name":"n","cadence":"-1s"}}"#,
            vec![
                "define_indicator.unit",
                "define_indicator.direction",
                "define_indicator.cadence",
            ],
        ),
        (
            r#"{"record_measurement":{"indicator_id":"i","unit":"u","window":"0s"}}"#,
            vec!["record_measurement.value", "record_measurement.window"],
        ),
        (
            r#"{"adopt_strategy":{"strategy_id":"s","intent":"x","will":["a"," "],"assumption_ids":["a","","a"]}}"#,
            vec![
                "adopt_strategy.will[1]",
                "adopt_strategy.assumption_ids[1]",
                "adopt_strategy.assumption_ids[2]",
            ],
        ),
        (
            r#"{"revise_strategy":{"strategy_id":"s","intent":"x","reason":"y"}}"#,
            vec!["revise_strategy.parent_revision"],
        ),
        (
            r#"{"add_tactic":{"tactic_id":"t","statement":"x","cost":-1,"strategy_id":"S"}}"#,
            vec!["add_tactic.strategy_id", "add_tactic.cost"],
        ),
        (
            r#"{"try_tactic":{"tactic_id":"t","confidence":1.01,"stop_rule":{"state":"\u0000"}}}"#,
            vec!["try_tactic.confidence", "try_tactic.stop_rule.state"],
        ),
        (
            r#"{"try_tactic":{"tactic_id":"t","confidence":"NaN"}}"#,
            vec!["try_tactic.confidence"],
        ),
        (
            r#"{"fail_tactic":{"tactic_id":"t"}}"#,
            vec!["fail_tactic.failure", "fail_tactic.observed"],
        ),
        (
            r#"{"lapse_commitment":{"commitment_id":"c"}}"#,
            vec!["lapse_commitment.due"],
        ),
        (
            r#"{"acknowledge_finding":{"code":"STR0055","subject":"strategies/","reason":"x"}}"#,
            vec!["acknowledge_finding.code", "acknowledge_finding.subject"],
        ),
        (
            r#"{"acknowledge_finding":{"code":"STR999","subject":"plan","reason":"x"}}"#,
            vec!["acknowledge_finding.code"],
        ),
        (
            r#"{"acknowledge_finding":{"code":"é0é","subject":"","reason":"x"}}"#,
            vec!["acknowledge_finding.code", "acknowledge_finding.subject"],
        ),
        (
            r#"{"retract_event":{"reason":"x"}}"#,
            vec!["retract_event.revision"],
        ),
    ] {
        let found = refused(of_commands(command));
        let expected: Vec<_> = expected
            .iter()
            .map(|field| format!("commands[0].{field}"))
            .collect();
        assert_eq!(fields(&found), expected, "{command}");
    }
}

#[test]
fn a_replacement_obeys_the_rules_of_its_command() {
    for (replacement, expected) in [
        ("null", vec!["replacement"]),
        ("{}", vec!["replacement"]),
        (
            r#"{"revision":3,"source":"s","occurred_precision":1,"occurred_at":"2020-01-01T00:00:00Z","because":[{}],"note_recorded":{"subject":"plan","text":"x"}}"#,
            vec![
                "replacement.revision",
                "replacement.occurred_at",
                "replacement.occurred_precision",
                "replacement.because",
                "replacement.source",
            ],
        ),
        (
            r#"{"event_corrected":{"revision":1}}"#,
            vec!["replacement.event_corrected"],
        ),
        (
            r#"{"event_retracted":{}}"#,
            vec!["replacement.event_retracted"],
        ),
        (
            r#"{"measurement_recorded":{"indicator_id":"i","unit":"u","value":"NaN"}}"#,
            vec!["replacement.measurement_recorded.value"],
        ),
        (
            r#"{"objective_refined":{"statement":"x"}}"#,
            vec!["replacement.objective_refined.reason"],
        ),
        (
            r#"{"deadline_moved":{"commitment_id":"c","notice":9,"reason":"x"}}"#,
            vec![
                "replacement.deadline_moved.new",
                "replacement.deadline_moved.notice",
            ],
        ),
        (
            r#"{"deadline_missed":{"commitment_id":"c"}}"#,
            vec!["replacement.deadline_missed.reason"],
        ),
        (
            r#"{"deadline_missed":{"commitment_id":"c","silent":true}}"#,
            vec!["replacement.deadline_missed.due"],
        ),
        (
            r#"{"tactic_tried":{"tactic_id":"t","suggestion":{"verdict":9,"tactic_id":"T"}}}"#,
            vec![
                "replacement.tactic_tried.suggestion.verdict",
                "replacement.tactic_tried.suggestion.tactic_id",
            ],
        ),
    ] {
        let command = format!(
            r#"{{"correct_event":{{"revision":1,"reason":"r","replacement":{replacement}}}}}"#
        );
        let found = refused(of_commands(&command));
        let expected: Vec<_> = expected
            .iter()
            .map(|field| format!("commands[0].correct_event.{field}"))
            .collect();
        assert_eq!(fields(&found), expected, "{command}");
    }
}

#[test]
fn lists_may_be_full_and_no_fuller() {
    let ids = |count: usize| (0..count).map(|n| format!("i{n}")).collect::<Vec<_>>();
    let causes = |count: u64| {
        (1..=count).map(|revision| proto::Cause {
            revision,
            role: 1,
            ..Default::default()
        })
    };
    let mut full = of_commands(
        r#"{"adopt_strategy":{"strategy_id":"s","intent":"x"}},{"rank_tactics":{"strategy_id":"s"}},{"create_plan":{"title":"x"}}"#,
    );
    let crowd = |request: &mut proto::ExecuteRequest, more: usize| {
        request.because = causes((CAUSES_MAX + more) as u64).collect();
        for command in &mut request.commands {
            if let Some(Kind::AdoptStrategy(it)) = &mut command.kind {
                it.will = vec!["x".into(); LIST_MAX + more];
                it.will_not = vec!["x".into(); LIST_MAX + more];
                it.assumption_ids = ids(LIST_MAX + more);
                it.indicator_ids = ids(LIST_MAX + more);
            } else if let Some(Kind::RankTactics(it)) = &mut command.kind {
                it.tactic_ids = ids(RANKED_TACTICS_MAX + more);
            } else if let Some(Kind::CreatePlan(it)) = &mut command.kind {
                it.labels = ids(LIST_MAX + more)
                    .into_iter()
                    .map(|id| (id, String::new()))
                    .collect();
            }
        }
    };
    crowd(&mut full, 0);
    accepted(full.clone());
    crowd(&mut full, 1);
    assert_eq!(
        fields(&refused(full)),
        [
            "because",
            "commands[0].adopt_strategy.will",
            "commands[0].adopt_strategy.will_not",
            "commands[0].adopt_strategy.assumption_ids",
            "commands[0].adopt_strategy.indicator_ids",
            "commands[1].rank_tactics.tactic_ids",
            "commands[2].create_plan.labels",
        ]
    );
}

#[test]
fn the_names_and_values_of_labels_may_be_long_and_no_longer() {
    let labelled = |name: usize, value: usize| {
        let (name, value) = ("é".repeat(name), "é".repeat(value));
        of_commands(&format!(
            r#"{{"create_plan":{{"title":"x","labels":{{"{name}":"{value}"}}}}}}"#
        ))
    };
    accepted(labelled(200, 200));
    for request in [labelled(201, 200), labelled(200, 201)] {
        let [violation] = &refused(request)[..] else {
            panic!("one label is wrong");
        };
        // The path quotes the beginning of a long name only.
        assert_eq!(
            violation.field,
            format!(r#"commands[0].create_plan.labels["{}…"]"#, "é".repeat(40))
        );
        assert_eq!(violation.description, "at most 200 characters, found 201");
    }
}

#[test]
fn the_commands_beyond_the_bound_are_refused_and_the_others_still_checked() {
    let mut many = of_commands(r#"{"record_note":{"subject":"plan","text":"x"}}"#);
    many.commands = vec![many.commands[0].clone(); COMMANDS_MAX];
    accepted(many.clone());
    many.commands.push(proto::Command { kind: None });
    assert_eq!(fields(&refused(many.clone())), ["commands"]);
    many.commands[63] = proto::Command { kind: None };
    assert_eq!(fields(&refused(many)), ["commands", "commands[63]"]);
}

#[test]
fn a_request_may_be_as_large_as_a_commit_and_no_larger() {
    let note = r#"{"record_note":{"subject":"plan","text":"x"}}"#;
    let mut large = of_commands(&[note; 9].join(","));
    for command in &mut large.commands {
        if let Some(Kind::RecordNote(it)) = &mut command.kind {
            it.text = "x".repeat(7_000);
        }
    }
    large.source = "x".repeat(2_000);
    // What is missing goes into the last note, whose length stays a number of two bytes.
    let missing_bytes = COMMIT_BYTES_MAX - large.encoded_len();
    if let Some(Kind::RecordNote(it)) = large.commands.last_mut().and_then(|it| it.kind.as_mut()) {
        it.text.push_str(&"x".repeat(missing_bytes));
    }
    assert_eq!(large.encoded_len(), COMMIT_BYTES_MAX);
    accepted(large.clone());
    large.validate_only = true;
    let [violation] = &refused(large)[..] else {
        panic!("only the size is wrong");
    };
    assert_eq!(violation.field, "commands");
    assert!(
        violation.description.contains("65538 bytes"),
        "{}",
        violation.description
    );
}

#[test]
fn a_clock_may_run_five_minutes_ahead_and_no_more() {
    let at = |seconds, nanos| {
        let mut request = of_commands(
            r#"{"correct_event":{"revision":1,"reason":"r","replacement":{"plan_reopened":{"reason":"x"}}}}"#,
        );
        let time = Some(Timestamp { seconds, nanos });
        request.occurred_at = time;
        if let Some(Kind::CorrectEvent(it)) = &mut request.commands[0].kind {
            it.occurred_at = time;
        }
        request
    };
    accepted(at(NOW.seconds + 300, 0));
    for wrong in [
        at(NOW.seconds + 300, 1),
        at(i64::MAX, 0),
        at(i64::MIN, 0),
        at(Time::MIN_SECONDS - 1, 0),
        at(0, -1),
        at(0, 1_000_000_000),
    ] {
        assert_eq!(
            fields(&refused(wrong)),
            ["occurred_at", "commands[0].correct_event.occurred_at"]
        );
    }
    accepted(at(Time::MIN_SECONDS, 999_999_999));
}

#[test]
fn numbers_may_stand_on_their_bounds() {
    for command in [
        r#"{"try_tactic":{"tactic_id":"t","confidence":0}}"#,
        r#"{"try_tactic":{"tactic_id":"t","confidence":1}}"#,
        r#"{"add_tactic":{"tactic_id":"t","statement":"x","cost":0,"rank":4294967295}}"#,
        r#"{"record_measurement":{"indicator_id":"i","unit":"u","value":-1e308,"window":"0.000000001s"}}"#,
        r#"{"record_measurement":{"indicator_id":"i","unit":"u","value":0,"window":"315576000000s"}}"#,
    ] {
        accepted(of_commands(command));
    }
}

#[test]
fn a_report_says_how_much_it_leaves_out() {
    let nothing = proto::Command { kind: None };
    let mut request = of_commands("");
    request.plan_id.clear();
    request.commands = vec![nothing; COMMANDS_MAX];
    let report = refused(request.clone());
    assert_eq!(report.len(), VIOLATIONS_MAX + 1);
    let last = report.last().expect("there are some");
    assert_eq!(last.field, "");
    assert_eq!(last.description, "and 1 more, not listed");

    // Long lines make a shorter report: it has to fit into the headers that clients read.
    let wrong = of_commands(r#"{"record_note":{"subject":"nothing of the kind","text":"x"}}"#);
    request.commands = vec![wrong.commands[0].clone(); COMMANDS_MAX];
    let report = refused(request);
    let bytes: usize = report
        .iter()
        .map(|it| it.field.len() + it.description.len())
        .sum();
    assert!(bytes < VIOLATIONS_BYTES_MAX + 100, "{bytes}");
    assert!(report.len() > 20, "{}", report.len());
}

#[test]
fn a_text_of_blanks_is_empty() {
    let checked = accepted(request(
        r#"{"plan_id":"p","request_id":" ","source":"\t","actor":"\u00a0","commands":[
            {"create_plan":{"title":" x ","summary":" \n","labels":{"a":" "}}},
            {"try_tactic":{"tactic_id":"t","stop_rule":{"state":" "}}}]}"#,
    ));
    assert_eq!(
        checked.request(),
        &request(
            r#"{"plan_id":"p","commands":[
                {"create_plan":{"title":" x ","labels":{"a":""}}},
                {"try_tactic":{"tactic_id":"t","stop_rule":{}}}]}"#
        )
    );
}

#[test]
fn line_breaks_and_tabs_are_no_control_characters() {
    accepted(of_commands(
        r#"{"record_note":{"subject":"plan","text":"a\r\n\tb\u00a7\u200d"}}"#,
    ));
}

#[test]
fn the_digest_is_of_what_is_asked_for_and_not_of_how() {
    let one = request(
        r#"{"plan_id":"p","commands":[{"create_plan":{"title":"x","labels":{"b":"2","a":"1"}}}]}"#,
    );
    let digest = accepted(one.clone()).digest();
    // These bytes are recorded for ever: another digest needs another version byte.
    assert_eq!(
        hex::encode(digest),
        "01b7905865f53662aad383db04b6ab786b4b7e2dcaacb503bd355e23288fc7fc80"
    );
    let mut other = one.clone();
    other.request_id = "r".into();
    other.expected_revision = Some(0);
    other.validate_only = true;
    let checked = accepted(other.clone());
    assert_eq!(checked.digest(), digest);
    assert_eq!(checked.into_request(), other);
    for change in [
        |request: &mut proto::ExecuteRequest| request.plan_id.push('q'),
        |request: &mut proto::ExecuteRequest| request.actor.push('q'),
        |request: &mut proto::ExecuteRequest| request.source.push('q'),
        |request: &mut proto::ExecuteRequest| request.occurred_precision = 1,
        |request: &mut proto::ExecuteRequest| request.occurred_at = Some(Timestamp::default()),
        |request: &mut proto::ExecuteRequest| request.commands.extend(request.commands.clone()),
    ] {
        let mut changed = one.clone();
        change(&mut changed);
        assert_ne!(accepted(changed).digest(), digest);
    }
}

#[test]
fn a_correction_is_the_same_whether_or_not_it_says_that_it_corrects() {
    let causes = |because: &str, command: &str| {
        accepted(request(&format!(
            r#"{{"plan_id":"p","because":[{because}],"commands":[{command}]}}"#
        )))
    };
    let trigger = r#"{"revision":3,"role":"CAUSE_ROLE_TRIGGER"}"#;
    let corrects = r#"{"revision":3,"role":"CAUSE_ROLE_CORRECTS"}"#;
    let corrects_own = r#"{"revision":3,"role":"CAUSE_ROLE_CORRECTS","plan_id":"p"}"#;
    let corrects_other = r#"{"revision":4,"role":"CAUSE_ROLE_CORRECTS"}"#;
    let retract = r#"{"retract_event":{"revision":3,"reason":"x"}}"#;
    let note = r#"{"record_note":{"subject":"plan","text":"x"}}"#;

    let unsaid = causes(trigger, retract);
    for said in [corrects, corrects_own] {
        let said = causes(&format!("{said},{trigger}"), retract);
        assert_eq!(said.digest(), unsaid.digest());
        assert!(said.amends());
        assert_eq!(
            said.request().because.len(),
            2,
            "the request itself keeps its cause"
        );
        assert_eq!(said.request().because[1].role, 1, "and its order");
    }
    let another = causes(&format!("{corrects_other},{trigger}"), retract);
    assert_ne!(another.digest(), unsaid.digest());
    // Beside another command the cause is everybody's, and part of what is asked for.
    let both = format!("{retract},{note}");
    assert_ne!(causes(corrects, &both).digest(), causes("", &both).digest());
    assert!(causes("", &both).amends());
    assert!(!causes("", note).amends());
}

#[test]
fn the_cause_that_the_daemon_adds_does_not_count() {
    let mut full = of_commands(r#"{"retract_event":{"revision":99,"reason":"x"}}"#);
    full.because = (1..=64)
        .map(|revision| proto::Cause {
            revision,
            role: 1,
            ..Default::default()
        })
        .collect();
    full.because.push(proto::Cause {
        revision: 99,
        role: proto::CauseRole::Corrects.into(),
        ..Default::default()
    });
    accepted(full.clone());
    full.because[64].revision = 98;
    assert_eq!(fields(&refused(full)), ["because"]);
}
