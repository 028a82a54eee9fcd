//! What access files say, and what is said of those that are wrong.

use proptest::prelude::*;

use super::*;
use crate::access::{
    rights::Rpc,
    token::{PREFIX, Token},
};

fn parse(text: &str) -> Directory {
    Directory::parse(text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn problems(text: &str) -> Vec<String> {
    let problems = Directory::parse(text).expect_err("the file has mistakes");
    let told = |it: &Problem| format!("{}: {}", it.line, it.wrong);
    problems.problems().iter().map(told).collect()
}

fn hash(number: u8) -> String {
    hex::encode([number; 32])
}

#[test]
fn an_empty_file_names_nobody() {
    for text in ["", "# nobody yet\n"] {
        assert_eq!(parse(text), Directory::default());
    }
}

#[test]
fn a_principal_has_roles_over_plans_and_what_names_it() {
    let text = format!(
        r#"
# The planners.
[[principal]]
name = "ana"
roles = ["planner", "reader"]
plans = ["growth-*", "ops"]
token_sha256 = [
  "{}",
  {{ sha256 = "{}", expires = 2027-01-01T00:00:00Z, note = "laptop" }},
]
certificate = "ana@example.org"

[[principal]]
name = "https://id.example.org/#7"
roles = ["auditor"]
"#,
        hash(1),
        hash(2)
    );
    let directory = parse(&text);
    let ana = directory.named("ana").expect("she is there");
    assert_eq!(ana.tokens.len(), 2);
    let token = TokenHash::parse(&hash(2)).expect("a hash");
    let known = directory.holder(&token).expect("hers");
    assert_eq!(known.principal, ana.principal);
    assert_eq!(
        known.expires.map(|it| it.to_string()).as_deref(),
        Some("2027-01-01T00:00:00Z")
    );
    assert_eq!(ana.tokens[1].note.as_deref(), Some("laptop"));
    assert_eq!(directory.certified("ana@example.org"), Some(&ana.principal));
    let scope = ana.principal.scope(Rpc::GetPlan);
    assert!(scope.holds("growth-1") && scope.holds("ops") && !scope.holds("hr"));
    // Without plans: all; without credentials: whoever shows a signed token of that name.
    let auditor = directory
        .named("https://id.example.org/#7")
        .expect("it is there");
    assert!(auditor.principal.scope(Rpc::ReadRaw).is_all());
    assert_eq!(directory.entries().len(), 2);
}

#[test]
fn one_may_have_other_roles_over_other_plans() {
    let text = r#"
[[principal]]
name = "ana"
roles = ["planner"]
plans = ["growth-*"]
grants = [{ roles = ["reader", "auditor"] }, { roles = ["operator"], plans = ["ops"] }]

[[principal]]
name = "ben"
[[principal.grants]]
roles = ["reader"]
plans = ["hr"]
"#;
    let directory = parse(text);
    let ana = &directory.named("ana").expect("she is there").principal;
    assert!(ana.scope(Rpc::GetPlan).is_all() && !ana.scope(Rpc::Execute).is_all());
    assert!(ana.scope(Rpc::Execute).holds("growth-1") && ana.scope(Rpc::Backup).holds("ops"));
    assert!(!ana.scope(Rpc::Backup).is_all() && ana.scope(Rpc::ReadRaw).is_all());
    let ben = &directory.named("ben").expect("he is there").principal;
    assert!(ben.scope(Rpc::GetPlan).holds("hr") && !ben.scope(Rpc::GetPlan).holds("growth"));
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let one = hash(1);
    let text = format!(
        r#"users = 1
[[principal]]
name = "ana"
role = ["planner"]
roles = ["planer", 7]
plans = ["Growth"]
[[principal]]
roles = []
token_sha256 = "{one}"
[[principal]]
name = "stratad"
roles = ["reader"]
certificate = ""
[[principal]]
name = "ben"
[[principal]]
name = "ana"
roles = "reader"
token_sha256 = ["{one}", "{one}", {{ expires = 2027-01-01 }}, 7]
grants = [{{ plans = ["a"] }}, 3]
[[principal]]
name = "cleo"
plans = ["x"]
grants = [{{ roles = ["reader"] }}]
"#
    );
    let told = problems(&text);
    let expected = [
        "1: there is no key \"users\" here: there may be principal",
        "4: there is no key \"role\" here: there may be name, roles, plans, grants, token_sha256, \
         certificate",
        "5: roles: \"planer\" is not a role: roles are reader, planner, auditor, operator",
        "5: roles is of type integer; it is a list of texts",
        "6: plans: \"Growth\" matches no plan id: a pattern is made of a-z, 0-9, - and *, such as \
         growth-*",
        "7: this principal has no name: add name = \"…\"",
        "8: roles is empty, which gives nothing",
        "9: token_sha256 is of type string; it is a list",
        "11: name: the names stratad and anonymous are the daemon's own",
        "13: certificate is empty, or no name on one line: name the principal as its certificate does, or \
         remove it",
        "14: no roles here: add roles = […], of reader, planner, auditor, operator",
        "17: this name stands in line 3 already",
        "18: roles is of type string; it is a list",
        "19: this token_sha256 stands in line 19 already",
        "19: expires is not a time with an offset, such as 2027-01-01T00:00:00Z, without quotes",
        "19: this token has no sha256",
        "19: token_sha256 is of type integer; it is a text in quotes",
        "20: no roles here: add roles = […], of reader, planner, auditor, operator",
        "20: grants is of type integer; it is a list of tables",
        "23: plans without roles: add roles, or remove it",
    ];
    let mut told_sorted = told.clone();
    told_sorted.sort();
    let mut expected_sorted: Vec<_> = expected.map(String::from).into();
    expected_sorted.sort();
    assert_eq!(told_sorted, expected_sorted);
    // In the order of the file.
    let line = |told: &String| {
        told.split(':')
            .next()
            .and_then(|it| it.parse::<usize>().ok())
    };
    assert!(told.is_sorted_by_key(line), "{told:#?}");
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let told = problems("[[principal]]\nname = \n");
    assert!(told[0].starts_with("2: this is not TOML: "), "{told:?}");
}

#[test]
fn a_single_table_is_told_to_be_a_list() {
    let told = problems("[principal]\nname = \"ana\"\nroles = [\"reader\"]\n");
    assert!(told[0].contains("[[principal]]"), "{told:?}");
}

#[test]
fn a_token_in_place_of_its_hash_is_shown_to_nobody() {
    let token = Token::random().expect("random bytes");
    let token = token.reveal();
    for text in [
        format!("[[principal]]\nname = \"a\"\nroles = [\"reader\"]\ntoken_sha256 = [\"{token}\"]"),
        format!("[[principal]]\nname = \"a\"\nroles = [\"reader\"]\ntoken_sha256 = \"{token}\""),
        format!("[[principal]]\nname = \"a\"\nroles = [\"reader\"]\ntoken_sha256 = [{token}]"),
        format!("[[principal]]\nname = \"a\"\nroles = [{{ sha256 = \"{token}\" }}]"),
        format!("[[principal]]\nname = \"a\"\nroles = [\"{token}\"]\n"),
        format!("[[principal]]\nname = \"a\"\nplans = [\"{token}\"]\nroles = [\"reader\"]\n"),
        format!("[[principal]]\nname = \"a\"\nroles = [\"reader\"]\n{token} = 1\n"),
        format!("{token}\n"),
    ] {
        let error = Directory::parse(&text).expect_err("no hash");
        let said = format!("{error} {error:?}");
        assert!(!said.contains(&token[PREFIX.len()..]), "{said}");
    }
}

#[test]
fn many_mistakes_are_told_in_part() {
    let text = "[[principal]]\n".repeat(1_000);
    assert_eq!(problems(&text).len(), PROBLEMS_MAX);
}

proptest! {
    #[test]
    fn any_text_is_an_access_file_or_refused(
        text in "(\\[\\[principal\\]\\]\n|name = \"[a-z]{0,3}\"\n|roles = \\[\"reader\"\\]\n|\\PC{0,9}|\n){0,9}",
    ) {
        if let Err(problems) = Directory::parse(&text) {
            prop_assert!(!problems.problems().is_empty());
            prop_assert!(problems.problems().iter().all(|it| it.line <= text.lines().count() + 1));
        }
    }
}
