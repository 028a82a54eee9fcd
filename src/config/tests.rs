//! The layers of the configuration and what is said about mistakes in them.

use std::fmt::Write as _;

use super::*;

/// How wide the comments of the example file are.
const COMMENT_WIDTH_CHARS: usize = 96;

fn flags(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn env(given: &[(&str, &str)]) -> BTreeMap<String, OsString> {
    given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
        .collect()
}

fn file(text: &str) -> File {
    File {
        name: "strata.toml".to_owned(),
        text: Ok(text.to_owned()),
    }
}

#[track_caller]
fn mistakes(
    flags: &BTreeMap<String, String>,
    env: &BTreeMap<String, OsString>,
    file: Option<&File>,
) -> Vec<String> {
    let error = resolve(flags, env, file).expect_err("the configuration has mistakes");
    error.problems().iter().map(Problem::to_string).collect()
}

/// The example file: every key with its meaning and its default.
fn example() -> String {
    let mut text = comment(
        "The configuration of stratad, read with `stratad serve --config strata.toml` or \
         STRATA_CONFIG=strata.toml. Everything here is the default, so every line may be left out. \
         A flag counts before its variable in the environment, which counts before this file. A key \
         that does not exist is an error.",
    );
    for key in keys::all() {
        let default = match key.form {
            Form::Text | Form::Size => format!("{:?}", key.default_text()),
            Form::Number | Form::Switch => key.default_text(),
        };
        text.push('\n');
        text += &comment(key.meaning);
        text += &comment(&format!("Expected: {}.", key.expected));
        text += &comment(&format!(
            "Flag --{}, variable {}.",
            key.flag,
            key.variable()
        ));
        writeln!(text, "{} = {default}", key.name).ok();
    }
    text
}

fn comment(text: &str) -> String {
    let mut lines = String::from("#");
    let mut width_chars = 1;
    for word in text.split_whitespace() {
        let word_chars = word.chars().count() + 1;
        if width_chars + word_chars > COMMENT_WIDTH_CHARS {
            lines.push_str("\n#");
            width_chars = 1;
        }
        lines.push(' ');
        lines.push_str(word);
        width_chars += word_chars;
    }
    lines.push('\n');
    lines
}

#[test]
fn nothing_given_is_the_defaults() {
    let config = resolve(&flags(&[]), &env(&[("PATH", "/bin")]), None);
    assert_eq!(config, Ok(Config::default()));
}

#[test]
fn a_flag_counts_before_the_environment_and_that_before_the_file() {
    let config = resolve(
        &flags(&[("listen", "127.0.0.1:1")]),
        &env(&[("STRATA_LISTEN", "127.0.0.1:2"), ("STRATA_LOG", "warn")]),
        Some(&file(
            "listen = \"127.0.0.1:3\"\nlog = \"debug\"\nqueue_limit = 7\nplan_cache_bytes = \"1 MiB\"",
        )),
    )
    .expect("all layers are right");
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.log, "warn");
    assert_eq!(config.queue_limit, 7);
    assert_eq!(config.plan_cache_bytes, 1 << 20);
    assert_eq!(config.drain_seconds, Config::default().drain_seconds);
}

#[test]
fn every_mistake_of_every_layer_is_reported_at_once_with_its_place() {
    let found = mistakes(
        &flags(&[("listen", "localhost"), ("drain_seconds", "601")]),
        &env(&[("STRATA_LOG_FORMAT", "xml"), ("STRATA_QUEUE_LIMITS", "5")]),
        Some(&file(
            "queue_limit = 0\nlog = 5\nplan_cache_byte = 1\ncolour = true",
        )),
    );
    let names: Vec<_> = keys::all().map(|key| key.name).collect();
    let no_such_key = format!(
        "strata.toml: colour: there is no such key; expected one of {}",
        names.join(", ")
    );
    assert_eq!(
        found,
        [
            no_such_key.as_str(),
            "strata.toml: log: 5 is of type integer; expected a filter such as info, warn or \
             info,strata=debug",
            "strata.toml: plan_cache_byte: there is no such key; expected plan_cache_bytes, \
             perhaps?",
            "strata.toml: queue_limit: 0 is too small; expected a whole number from 1 to 1,000,000",
            "STRATA_LOG_FORMAT: \"xml\" is not a format; expected auto, human or json",
            "STRATA_QUEUE_LIMITS: there is no such variable; expected STRATA_QUEUE_LIMIT, perhaps?",
            "flag --listen: \"localhost\" is not an IP address and a port; expected an address and \
             a port, such as 127.0.0.1:7421 or [::1]:7421",
            "flag --drain-seconds: 601 is too large; expected a whole number of seconds from 0 to \
             600",
        ]
    );
}

#[test]
fn authorities_for_whom_nobody_is_asked_are_a_mistake() {
    let file = |text| mistakes(&flags(&[]), &env(&[]), Some(&file(text)));
    let otlp = file("otlp_endpoint = \"http://127.0.0.1:4317\"\notlp_ca_file = \"ca.pem\"");
    assert!(
        otlp.len() == 1 && otlp[0].contains("otlp_ca_file"),
        "{otlp:?}"
    );
    let jwt = file("jwt_keys_ca_file = \"ca.pem\"");
    assert!(
        jwt.len() == 1 && jwt[0].contains("jwt_keys_ca_file"),
        "{jwt:?}"
    );
}

#[test]
fn a_bad_value_is_reported_even_where_it_is_overridden() {
    let found = mistakes(
        &flags(&[("queue_limit", "5")]),
        &env(&[("STRATA_QUEUE_LIMIT", "many")]),
        None,
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn a_file_that_is_not_toml_is_reported_with_its_line() {
    let found = mistakes(
        &flags(&[("queue_limit", "x")]),
        &env(&[]),
        Some(&file("log = \"info\"\nlisten = \n")),
    );
    assert!(found[0].starts_with("strata.toml: line 2: "), "{found:?}");
    assert!(found[1].starts_with("flag --queue-limit: "), "{found:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_reported_beside_the_rest() {
    let path = PathBuf::from("/nonexistent/strata.toml");
    let error = load(
        &flags(&[("queue_limit", "x")]),
        &env(&[("STRATA_CONFIG", "/ignored")]),
        Some(path),
    )
    .expect_err("there is no such file");
    assert_eq!(error.problems().len(), 2);
    assert_eq!(error.problems()[0].origin, "/nonexistent/strata.toml");
}

#[test]
fn the_environment_may_name_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("s.toml");
    fs::write(&path, "queue_limit = 9").expect("a file");
    let mut environment = env(&[]);
    environment.insert(CONFIG_VARIABLE.to_owned(), path.into());
    let config = load(&flags(&[]), &environment, None).expect("the file is right");
    assert_eq!(config.queue_limit, 9);
}

#[test]
fn a_flag_is_its_key_with_hyphens() {
    for key in keys::all() {
        assert_eq!(key.flag, key.name.replace('_', "-"));
    }
}

#[test]
fn every_default_can_be_given_and_is_the_default() {
    for key in keys::all() {
        let config = resolve(&flags(&[(key.name, &key.default_text())]), &env(&[]), None);
        assert_eq!(config, Ok(Config::default()), "{}", key.name);
    }
}

#[test]
fn the_example_file_names_every_key_and_means_the_defaults() {
    let shipped = include_str!("../../deploy/strata.toml");
    assert_eq!(
        shipped,
        example(),
        "deploy/strata.toml is what the table of keys says"
    );
    let config = resolve(&flags(&[]), &env(&[]), Some(&file(shipped)));
    assert_eq!(config, Ok(Config::default()));
    for key in keys::all() {
        assert!(
            shipped.contains(&format!("\n{} = ", key.name)),
            "{}",
            key.name
        );
    }
}

#[test]
fn whose_tokens_are_believed_is_said_whole_or_not_at_all() {
    let keys = ("jwt_keys", "https://id.example.org/keys");
    let found = mistakes(&flags(&[keys]), &env(&[("STRATA_JWT_AUDIENCE", " ")]), None);
    assert_eq!(
        found,
        [
            "jwt_issuer: jwt_keys is https://id.example.org/keys, and this is not set; expected the \
             issuer as it stands in the tokens, such as https://id.example.org/",
            "jwt_audience: jwt_keys is https://id.example.org/keys, and this is not set; expected \
             the audience as it stands in the tokens, such as strata",
        ]
    );
    let whole = [
        keys,
        ("jwt_issuer", "https://id.example.org/"),
        ("jwt_audience", "strata"),
    ];
    let config = resolve(&flags(&whole), &env(&[]), None).expect("it is whole");
    assert!(config.access.is_required());
    let jwt = config.access.settings().jwt.expect("there is an issuer");
    assert_eq!(
        (&*jwt.issuer, &*jwt.audience),
        ("https://id.example.org/", "strata")
    );
    assert_eq!(jwt.leeway_seconds, 60);
    let found = mistakes(
        &flags(&[("jwt_keys", "http://id.example.org/")]),
        &env(&[]),
        None,
    );
    assert!(found[0].contains("https only"), "{found:?}");
}

#[test]
fn others_are_served_with_protection_or_when_it_was_said_that_they_need_none() {
    let tls = [("tls_cert_file", "c"), ("tls_key_file", "k")];
    let asks = [("access_file", "a")];
    let no_tls = [("insecure_without_tls", "true")];
    let no_questions = [("insecure_without_authentication", "true")];
    for (address, given, problems) in [
        ("127.0.0.1:7421", vec![], 0),
        ("[::1]:7421", vec![], 0),
        ("[::ffff:127.0.0.1]:7421", vec![], 0),
        ("0.0.0.0:7421", vec![], 2),
        ("[::]:7421", vec![], 2),
        ("192.168.1.2:7421", vec![&tls[..]], 1),
        ("192.168.1.2:7421", vec![&asks[..]], 1),
        ("192.168.1.2:7421", vec![&tls[..], &asks], 0),
        ("192.168.1.2:7421", vec![&tls[..], &no_questions], 0),
        ("192.168.1.2:7421", vec![&no_tls[..], &asks], 0),
        ("192.168.1.2:7421", vec![&no_tls[..], &no_questions], 0),
        ("192.168.1.2:7421", vec![&no_tls[..]], 1),
    ] {
        let given = [&[("listen", address)][..], &given.concat()].concat();
        let found = resolve(&flags(&given), &env(&[]), None);
        let found = found.map_or_else(|error| error.problems().len(), |_| 0);
        assert_eq!(found, problems, "{given:?}");
    }
}

#[test]
fn a_switch_is_a_boolean_in_the_file() {
    for (text, is_on) in [("true", true), ("false", false), ("\"true\"", true)] {
        let line = format!("insecure_without_tls = {text}");
        let config = resolve(&flags(&[]), &env(&[]), Some(&file(&line))).expect(text);
        assert_eq!(config.serving.insecure_without_tls, is_on);
    }
    for text in ["1", "\"yes\""] {
        let line = format!("insecure_without_tls = {text}");
        assert!(
            resolve(&flags(&[]), &env(&[]), Some(&file(&line))).is_err(),
            "{text}"
        );
    }
}
