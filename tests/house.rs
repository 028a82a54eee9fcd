//! The house rules that a compiler does not keep: which room may name which, what the domain and the
//! journal must not know, and how every file opens. ARCHITECTURE.md gives the reasons.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The rooms in reading order. A room may name itself and those after it.
const ROOMS: [&str; 19] = [
    "cli",
    "daemon",
    "config",
    "telemetry",
    "gateway",
    "rpc",
    "access",
    "writer",
    "view",
    "feed",
    "backup",
    "journal",
    "notary",
    "merkle",
    "commit",
    "domain",
    "json",
    "client",
    "proto",
];

/// What the domain must not name: whatever has a clock, does I/O or waits.
const DOMAIN_FOREIGN: [&str; 12] = [
    "async_stream",
    "futures_util",
    "sled",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "tokio",
    "tonic",
];

/// What the journal must not name: it keeps bytes at positions and knows no plan.
const JOURNAL_FOREIGN: [&str; 7] = [
    "crate::commit",
    "crate::domain",
    "crate::json",
    "crate::proto",
    "prost",
    "tokio",
    "tonic",
];

/// The only places that may name a crate: what it is for stands there, and nowhere else.
const KEPT_IN: [(&str, &[&str]); 18] = [
    ("clap", &["main", "cli"]),
    ("governor", &["gateway"]),
    ("jsonwebtoken", &["access"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("rustls", &["client", "gateway"]),
    ("tokio_rustls", &["client", "gateway"]),
    ("ureq", &["access"]),
    ("x509_parser", &["access", "gateway"]),
    ("ed25519_dalek", &["notary"]),
    ("indicatif", &["cli"]),
    ("signed_note", &["notary"]),
    ("sled", &["journal", "view"]),
    ("tlog_tiles", &["merkle", "notary"]),
    (
        "tonic",
        &["cli", "client", "daemon", "gateway", "proto", "rpc"],
    ),
    ("tracing_appender", &["telemetry"]),
    // The configuration checks filters before the telemetry uses them.
    ("tracing_subscriber", &["config", "telemetry"]),
];

/// A room that grows beyond this is two.
const LINES_MAX: usize = 600;

/// A file of `src/`.
struct SourceFile {
    path: PathBuf,
    text: String,
    /// Its place in the tree of modules: `["journal", "sled", "cache"]`; of `main.rs` and `lib.rs`
    /// the name of the file.
    module: Vec<String>,
    /// Whether only tests are built from it.
    is_test: bool,
}

#[test]
fn the_arrows_of_the_house_point_one_way() {
    let mut wrong = Vec::new();
    for file in code() {
        let Some(own) = rank(&file.module[0]) else {
            continue;
        };
        for path in paths(&file) {
            if let Some(room) = path.strip_prefix("crate::").and_then(first)
                && rank(room).is_some_and(|other| other < own)
            {
                wrong.push(format!("{} names {path}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up: {wrong:#?}");
}

#[test]
fn the_map_in_lib_rs_names_the_rooms_in_the_order_of_the_arrows() {
    let lib = fs::read_to_string(src().join("lib.rs")).expect("lib.rs");
    let named = lib
        .lines()
        .filter_map(|line| Some(line.strip_prefix("//! - [`")?.split_once('`')?.0));
    assert_eq!(named.collect::<Vec<_>>(), ROOMS);
    let declared: BTreeSet<_> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(declared, BTreeSet::from(ROOMS));
}

#[test]
fn the_domain_is_pure_and_the_journal_knows_no_plan() {
    let mut wrong = Vec::new();
    for file in code() {
        let foreign: &[&str] = match file.module[0].as_str() {
            "domain" => &DOMAIN_FOREIGN,
            "journal" => &JOURNAL_FOREIGN,
            _ => continue,
        };
        for path in paths(&file) {
            if foreign.iter().any(|prefix| is_under(&path, prefix)) {
                wrong.push(format!("{} names {path}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_crate_is_named_only_where_it_belongs() {
    let mut wrong = Vec::new();
    for file in code() {
        for path in paths(&file) {
            for (name, rooms) in KEPT_IN {
                if is_under(&path, name) && !rooms.contains(&file.module[0].as_str()) {
                    wrong.push(format!("{} names {path}", file.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_for_and_is_no_longer_than_a_room() {
    for file in files() {
        let path = file.path.display();
        assert!(
            file.text.starts_with("//! "),
            "{path} does not open with what it is for"
        );
        let lines = file.text.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines: split it");
        assert!(
            !file.path.ends_with("mod.rs"),
            "{path}: `foo.rs` stands beside `foo/`"
        );
    }
}

#[test]
fn the_page_on_architecture_names_what_there_is() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page");
    let code: String = files().into_iter().map(|file| file.text).collect();
    let tests: String = rust_files(root().join("tests/promises"))
        .iter()
        .map(|path| fs::read_to_string(path).expect("a file"))
        .collect();
    // Every other piece stands between backticks; what is in code blocks stands alike.
    let named: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    let mut missing: Vec<&str> = Vec::new();
    for name in named {
        let is_place = ["src/", "tests/", "proto/", ".ci/"]
            .iter()
            .any(|dir| name.starts_with(dir));
        let is_constant =
            name.contains('_') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let is_promise = name.ends_with('_');
        let is_there = (!is_place || root().join(name).exists())
            && (!is_constant || code.contains(&format!("const {name}: ")))
            && (!is_promise
                || [&code, &tests]
                    .iter()
                    .any(|it| it.contains(&format!("fn {name}"))));
        if !is_there {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md names {missing:?}");
}

#[test]
fn the_scan_itself_sees_what_it_must() {
    let file = |text: &str| SourceFile {
        path: "src/journal/sled/cache.rs".into(),
        text: text.into(),
        module: ["journal", "sled", "cache"].map(String::from).to_vec(),
        is_test: false,
    };
    for (text, expected) in [
        ("use crate::view;", "crate::view"),
        (
            "use crate::{\n    commit::{self, Header},\n    view::plans::Plan,\n};",
            "crate::view::plans::Plan",
        ),
        ("use super::super::Entry as Other;", "crate::journal::Entry"),
        (
            "fn f() { super::super::super::writer::go() }",
            "crate::writer::go",
        ),
        ("let x: crate::rpc::Core = y;", "crate::rpc::Core"),
        ("use ::sled::{Batch, Db};", "sled::Db"),
    ] {
        assert!(
            paths(&file(text)).contains(expected),
            "{text}: {:?}",
            paths(&file(text))
        );
    }
    for text in [
        "// crate::view\n",
        "/// [`crate::view`]\n",
        "const TEXT: &str = \"crate::view\";",
        "#[cfg(test)]\nmod tests { use crate::view; }",
    ] {
        assert!(!paths(&file(text)).contains("crate::view"), "{text}");
    }
}

/// The files from which the program is built, without its tests.
fn code() -> impl Iterator<Item = SourceFile> {
    files().into_iter().filter(|file| !file.is_test)
}

fn files() -> Vec<SourceFile> {
    let mut found: Vec<_> = rust_files(src())
        .into_iter()
        .map(|path| SourceFile {
            text: fs::read_to_string(&path).expect("a file"),
            module: module_of(&path),
            path,
            is_test: false,
        })
        .collect();
    let test_modules: Vec<_> = found.iter().flat_map(test_modules).collect();
    for file in &mut found {
        file.is_test = test_modules.iter().any(|it| file.module.starts_with(it));
    }
    assert!(found.len() > 50, "the scan finds the source");
    found
}

fn rust_files(dir: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut unread = vec![dir];
    while let Some(dir) = unread.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                unread.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn src() -> PathBuf {
    root().join("src")
}

fn module_of(path: &Path) -> Vec<String> {
    path.strip_prefix(src())
        .expect("below src")
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect()
}

/// The modules that a file declares for tests only and keeps in files of their own.
fn test_modules(file: &SourceFile) -> Vec<Vec<String>> {
    let lines: Vec<_> = file.text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].trim() == "#[cfg(test)]")
        .filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod "))
        .map(|(_, name)| [file.module.as_slice(), &[name.to_owned()]].concat())
        .collect()
}

/// All paths of a file of the program, from the root: `use` trees are unfolded, `super::` and
/// `self::` resolved. What stands in comments, texts and modules of tests does not count.
fn paths(file: &SourceFile) -> BTreeSet<String> {
    let code = bare(&file.text);
    let mut found = BTreeSet::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
        rest = rest[at..].trim_start_matches(':');
        if !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        rest = unfold(rest, "", &mut found);
    }
    found
        .iter()
        .map(|path| from_root(path, &file.module))
        .collect()
}

/// Reads one path or tree of paths at the start of `text`; returns what comes behind it.
fn unfold<'a>(text: &'a str, prefix: &str, found: &mut BTreeSet<String>) -> &'a str {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let path = if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}::{name}")
    };
    let Some(behind) = rest.strip_prefix("::") else {
        found.insert(path);
        return rest;
    };
    if !behind.starts_with('{') {
        if behind.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return unfold(behind, &path, found);
        }
        // A turbofish or a glob: the path so far is what is named.
        found.insert(path);
        return behind;
    }
    rest = behind[1..].trim_start();
    while !rest.is_empty() && !rest.starts_with('}') {
        rest = unfold(rest, &path, found);
        // `as Name`, a comma, white space.
        let next = rest.find([',', '}']).unwrap_or(rest.len());
        rest = rest[next..].trim_start_matches(',').trim_start();
    }
    rest.get(1..).unwrap_or_default()
}

/// The code without comments, texts and the module of tests at its end.
fn bare(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let mut code = String::new();
    for line in text.lines() {
        let mut in_text = false;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if in_text => drop(characters.next()),
                '"' => in_text = !in_text,
                '/' if !in_text && characters.peek() == Some(&'/') => break,
                _ if !in_text => code.push(character),
                _ => {}
            }
        }
        code.push('\n');
    }
    code
}

fn from_root(path: &str, module: &[String]) -> String {
    let mut parts: Vec<&str> = path.split("::").collect();
    let mut above: Vec<&str> = module.iter().map(String::as_str).collect();
    match parts.first() {
        Some(&"self") => drop(parts.remove(0)),
        Some(&"super") => {
            while parts.first() == Some(&"super") {
                parts.remove(0);
                above.pop();
            }
        }
        _ => return path.to_owned(),
    }
    above.insert(0, "crate");
    above.extend(parts);
    above.join("::")
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|name| *name == room)
}

fn first(path: &str) -> Option<&str> {
    path.split("::").next()
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
