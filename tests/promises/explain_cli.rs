//! `stratad explain`: a tree to read, a graph that Graphviz can read, JSON for programs, and words
//! for what is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    process::{Command, Stdio},
};

use strata::proto::{CreatePlan, ExecuteRequest, command::Kind};
use tempfile::tempdir;

use crate::{
    daemon::{Daemon, create_plan, note, request},
    language::{cause, execute},
    run::{Run, stratad, well},
    why::{PLAN, with_history},
};

fn explain(daemon: &Daemon, arguments: &[&str]) -> Run {
    let url = daemon.url();
    stratad(&[&["explain"], arguments, &["--to", &url]].concat())
}

#[track_caller]
fn explained(daemon: &Daemon, arguments: &[&str]) -> String {
    well(explain(daemon, arguments))
}

/// A line of a tree that tells an event.
#[track_caller]
fn line_of<'a>(tree: &'a str, beginning: &str) -> &'a str {
    let mut lines = tree.lines();
    let found = lines.find(|line| {
        line.trim_start_matches([' ', '│', '├', '└', '─'])
            .starts_with(beginning)
    });
    found.unwrap_or_else(|| panic!("no {beginning:?} in\n{tree}"))
}

#[tokio::test]
async fn a_tree_tells_each_event_once_and_where_it_belongs() {
    let (_dir, daemon) = with_history().await;
    let tree = explained(&daemon, &[PLAN, "strategies/stop-transmission@2"]);
    assert!(
        tree.starts_with("20  1972-10  strategy stop-transmission revised"),
        "{tree}"
    );
    let (causes, effects) = tree.split_once("  led to\n").expect("both");
    assert!(causes.contains("\n  because\n"), "{causes}");
    for revision in [5, 6, 7, 10, 11, 12, 13, 18, 19] {
        let told = |line: &&str| {
            let words: Vec<_> = line
                .split_whitespace()
                .skip_while(|it| !["trigger", "evidence"].contains(it))
                .collect();
            words.get(1).is_some_and(|it| *it == revision.to_string())
        };
        assert_eq!(
            causes.lines().filter(told).count(),
            1,
            "{revision} in\n{causes}"
        );
    }
    assert!(
        line_of(causes, "evidence 18").contains("births-outrun-coverage"),
        "{causes}"
    );
    assert!(
        line_of(causes, "trigger 19").starts_with("  ├─"),
        "{causes}"
    );
    line_of(causes, "evidence see 18");
    line_of(causes, "parent see 5");
    assert!(
        line_of(effects, "trigger 21").contains("1972-11"),
        "{effects}"
    );
    assert!(!tree.contains("There is more"), "{tree}");

    let cut = explained(&daemon, &[PLAN, "20", "--max-depth", "1"]);
    assert!(line_of(&cut, "trigger 11").ends_with(" (…)"), "{cut}");
    assert!(
        cut.ends_with("or raise --max-depth or --max-events.\n"),
        "{cut}"
    );
    let asked = [PLAN, "20", "--max-depth", "1", "--format", "dot"];
    let drawn = explained(&daemon, &asked);
    assert!(drawn.contains("label=\"There is more"), "{drawn}");
}

#[tokio::test]
async fn left_out_the_target_is_the_strategy_that_was_revised_last() {
    let (_dir, daemon) = with_history().await;
    assert!(explained(&daemon, &[PLAN]).starts_with("35  "));
    let then = explained(&daemon, &[PLAN, "--as-of", "revision:30"]);
    assert!(then.starts_with("20  "), "{then}");
    let then = explained(&daemon, &[PLAN, "--as-of", "occurred:1965-01-01"]);
    assert!(then.starts_with("5  "), "{then}");
    execute(&daemon, request("empty", "begun", create_plan())).await;
    assert!(explained(&daemon, &["empty"]).starts_with("1  "));
}

#[tokio::test]
async fn a_line_of_sight_and_what_was_corrected_are_told() {
    let (_dir, daemon) = with_history().await;
    let tree = explained(&daemon, &[PLAN, "tactics/mass-campaign"]);
    let (_, sight) = tree.split_once("line of sight\n").expect("a line of sight");
    assert!(sight.starts_with("  tactics/mass-campaign: Run"), "{sight}");
    line_of(sight, "rests on assumptions/coverage-80, found not to hold");
    assert!(sight.contains("  gap: The assumption `coverage-80` was found not to hold."));

    let corrected = explained(&daemon, &[PLAN, "37"]);
    assert!(
        corrected
            .lines()
            .next()
            .is_some_and(|it| it.contains("[corrected by 38: ") && it.contains("22 May 1975"))
    );
    line_of(&corrected, "amended by 38");
}

#[tokio::test]
async fn json_is_the_answer_of_the_daemon() {
    let (_dir, daemon) = with_history().await;
    let out = explained(&daemon, &[PLAN, "20", "--format", "json"]);
    assert_eq!(out.lines().count(), 1);
    let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(answer["events"][0]["revision"], "20");
    assert_eq!(answer["events"][0]["side"], "EXPLAINED_SIDE_TARGET");
    assert_eq!(answer["position"], "40");
}

/// A graph as Graphviz would read it: what it says of nodes, edges and clusters.
#[derive(Default)]
struct Dot {
    nodes: BTreeMap<String, String>,
    edges: BTreeSet<(String, String)>,
    clusters: BTreeSet<String>,
}

impl Dot {
    /// Reads the part of the language that `explain` writes; panics on anything else.
    fn parse(text: &str) -> Self {
        let mut dot = Self::default();
        let mut rest = text.strip_prefix("digraph ").expect("a graph");
        rest = string(rest).1.strip_prefix(" {\n").expect("its body");
        let mut depth = 1;
        while depth > 0 {
            let (line, next) = rest.split_once('\n').expect("the body ends");
            rest = next;
            let line = line.trim_start();
            if line == "}" {
                depth -= 1;
            } else if let Some(cluster) = line.strip_prefix("subgraph ") {
                let (name, behind) = string(cluster);
                assert_eq!(behind, " {");
                dot.clusters.insert(name);
                depth += 1;
            } else if line.starts_with('"') {
                dot.statement(line);
            } else {
                assert!(line.ends_with(';'), "{line}");
            }
        }
        assert_eq!(rest, "", "nothing behind the graph");
        dot
    }

    fn statement(&mut self, line: &str) {
        let (from, mut behind) = string(line);
        if let Some(edge) = behind.strip_prefix(" -> ") {
            let (to, attributes) = string(edge);
            assert!(
                self.nodes.contains_key(&from) && self.nodes.contains_key(&to),
                "{line}"
            );
            assert!(self.edges.insert((from, to)) || !attributes.is_empty());
            behind = attributes;
        } else {
            let label = behind.strip_prefix(" [label=").expect("a label");
            let (label, attributes) = string(label);
            assert!(
                self.nodes
                    .insert(from, format!("{label}{attributes}"))
                    .is_none(),
                "{line}"
            );
        }
        assert!(behind.starts_with(" [") && behind.ends_with("];"), "{line}");
        let quotes = behind.replace("\\\\", "").replace("\\\"", "");
        assert_eq!(quotes.matches('"').count() % 2, 0, "{line}");
    }
}

/// A quoted string at the start of a text, and what is behind it.
#[track_caller]
fn string(text: &str) -> (String, &str) {
    let mut inside = text.strip_prefix('"').expect("a quote").char_indices();
    let mut read = String::new();
    while let Some((at, char)) = inside.next() {
        match char {
            '"' => return (read, &text[at + 2..]),
            '\\' => read.extend(
                inside
                    .next()
                    .map(|(_, escaped)| if escaped == 'n' { '\n' } else { escaped }),
            ),
            char => read.push(char),
        }
    }
    panic!("a quote that does not end: {text}");
}

/// Asks Graphviz too, where there is one.
fn is_read_by_graphviz(dot: &str) {
    let mut command = Command::new("dot");
    command
        .arg("-Tcanon")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let Ok(mut graphviz) = command.spawn() else {
        return;
    };
    let mut stdin = graphviz.stdin.take().expect("a pipe");
    stdin.write_all(dot.as_bytes()).expect("written");
    drop(stdin);
    assert!(graphviz.wait().expect("it ends").success(), "{dot}");
}

#[tokio::test]
async fn a_graph_has_each_event_and_each_link_and_what_was_asked_about_stands_out() {
    let (_dir, daemon) = with_history().await;
    let out = explained(&daemon, &[PLAN, "20", "--format", "dot"]);
    let dot = Dot::parse(&out);
    for revision in [5, 6, 7, 10, 11, 12, 13, 18, 19, 20, 21, 35] {
        assert!(
            dot.nodes.contains_key(&format!("{PLAN}/{revision}")),
            "{revision}"
        );
    }
    let edge = |from: u64, to: u64| (format!("{PLAN}/{from}"), format!("{PLAN}/{to}"));
    for (from, to) in [(19, 20), (18, 20), (5, 20), (20, 21)] {
        assert!(dot.edges.contains(&edge(from, to)), "{from} -> {to}");
    }
    let bold = dot
        .nodes
        .iter()
        .filter(|(_, look)| look.contains("penwidth=3"));
    assert_eq!(
        bold.map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["smallpox-india/20"]
    );
    assert!(out.contains("[label=\"evidence\", style=dashed]"));
    assert!(dot.clusters.is_empty());
    is_read_by_graphviz(&out);
}

#[tokio::test]
async fn texts_that_graphviz_would_take_for_its_own_are_drawn_as_they_are() {
    let dir = tempdir().expect("a directory");
    let daemon = Daemon::start(dir.path()).await;
    let title = r#"A "plan" \N with \ and -> { } ; and a backslash at its end \"#;
    let begun = Kind::CreatePlan(CreatePlan {
        title: title.to_owned(),
        ..Default::default()
    });
    execute(&daemon, request("mill", "begun", begun)).await;
    execute(&daemon, request("growth", "begun", create_plan())).await;
    let told = ExecuteRequest {
        because: vec![cause("mill", 1)],
        ..request("growth", "told", note("Flour\nis dear"))
    };
    execute(&daemon, told).await;
    let out = explained(&daemon, &["growth", "2", "--format", "dot"]);
    let dot = Dot::parse(&out);
    assert_eq!(dot.clusters, ["cluster_mill".to_owned()].into());
    let label = dot.nodes["mill/1"].replace('\n', " ");
    assert!(label.contains(title), "{label}");
    assert_eq!(
        dot.edges,
        [("mill/1".to_owned(), "growth/2".to_owned())].into()
    );
    is_read_by_graphviz(&out);
    let tree = explained(&daemon, &["growth", "2"]);
    line_of(&tree, "trigger mill/1");
}

#[tokio::test]
async fn what_cannot_be_explained_is_said_with_a_status() {
    let (_dir, daemon) = with_history().await;
    for (arguments, words) in [
        (vec!["nowhere", "1"], "NOT_FOUND (PLAN_NOT_FOUND)"),
        (vec![PLAN, "41"], "NOT_FOUND (REVISION_NOT_FOUND)"),
        (vec![PLAN, "tactics/none"], "subject: tactics/none"),
        (
            vec![PLAN, "--as-of", "position:41"],
            "OUT_OF_RANGE (BEYOND_HEAD)",
        ),
    ] {
        let run = explain(&daemon, &arguments);
        assert_eq!((run.status, run.out.as_str()), (1, ""), "{arguments:?}");
        assert!(run.error.contains(words), "{}", run.error);
    }
    for arguments in [
        vec![],
        vec![PLAN, "tactic/x"],
        vec![PLAN, "1", "--as-of", "yesterday"],
        vec![PLAN, "1", "--format", "svg"],
        vec![PLAN, "1", "--max-depth", "65"],
        vec![PLAN, "1", "--max-events", "0"],
    ] {
        assert_eq!(explain(&daemon, &arguments).status, 2, "{arguments:?}");
    }
    let mut nobody = Command::new(env!("CARGO_BIN_EXE_stratad"));
    nobody.args(["explain", PLAN, "1", "--to", "http://127.0.0.1:9"]);
    let output = nobody.output().expect("stratad runs");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(
        error.contains("is `stratad serve` running there?"),
        "{error}"
    );
}
