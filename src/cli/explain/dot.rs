//! An explanation as a graph for Graphviz: arrows lead from the earlier event to the later, what was
//! asked about stands out, and events of other plans stand in boxes of their own.

use std::collections::BTreeMap;

use super::{
    graph::{Graph, amended, date},
    text::{HIDDEN, label},
};
use crate::proto::{ExplainedEvent, ExplainedSide, LinkRole};

/// How long a line of a label is before it is broken, in characters.
const LINE_CHARS: usize = 40;

const HEADER: &str = "  rankdir=TB;
  node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=10];
  edge [fontname=\"sans-serif\", fontsize=9];";

/// The whole graph.
pub(super) fn of(graph: &Graph<'_>) -> String {
    let title = quoted(&format!("why {}", graph.plan_id));
    let mut lines = vec![format!("digraph {title} {{"), HEADER.to_owned()];
    let mut by_plan: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (event, number) in graph.answer.events.iter().zip(0..) {
        let nodes = by_plan.entry(&event.plan_id).or_default();
        nodes.push(node(graph, event, number));
    }
    let own = by_plan.remove(graph.plan_id).unwrap_or_default();
    lines.extend(own.into_iter().map(|node| format!("  {node}")));
    for (plan_id, nodes) in by_plan {
        let (id, label) = (quoted(&format!("cluster_{plan_id}")), quoted(plan_id));
        lines.push(format!("  subgraph {id} {{"));
        lines.push(format!("    label={label};"));
        lines.push("    color=gray;".to_owned());
        lines.extend(nodes.into_iter().map(|node| format!("    {node}")));
        lines.push("  }".to_owned());
    }
    for link in &graph.answer.links {
        let earlier = place(&link.earlier_plan_id, link.earlier_revision);
        let later = place(&link.later_plan_id, link.later_revision);
        // The arrow leads from what was corrected to what corrects it.
        let is_correction = link.role() == LinkRole::Corrects;
        let role = if is_correction {
            "corrected by"
        } else {
            label(link.role())
        };
        let (role, style) = (quoted(role), style(link.role()));
        lines.push(format!("  {earlier} -> {later} [label={role}, {style}];"));
    }
    if let Some(more) = graph.more() {
        lines.push(format!("  labelloc=b; label={};", quoted(more)));
    }
    lines.push("}\n".to_owned());
    lines.join("\n")
}

fn node(graph: &Graph<'_>, event: &ExplainedEvent, number: usize) -> String {
    let name = graph.name(event);
    let mut label = if event.hidden {
        vec![name, HIDDEN.to_owned()]
    } else {
        let first = format!("{name}  {}{}", date(event), amended(event));
        std::iter::once(first)
            .chain(broken(&event.summary))
            .collect()
    };
    label.extend(graph.is_cut_at(number).then(|| "(…)".to_owned()));
    let lines: Vec<_> = label.iter().map(|line| escaped(line)).collect();
    let look = match event.side() {
        ExplainedSide::Target => "style=\"rounded,bold,filled\", penwidth=3, fillcolor=lightyellow",
        ExplainedSide::Cause | ExplainedSide::Unspecified => "color=black",
        ExplainedSide::Effect => "color=blue",
        ExplainedSide::Context => "color=gray, fontcolor=gray40",
    };
    let look = if event.retracted {
        "style=\"rounded,dashed\", fontcolor=gray"
    } else {
        look
    };
    let place = place(&event.plan_id, event.revision);
    format!("{place} [label=\"{}\", {look}];", lines.join("\\n"))
}

fn place(plan_id: &str, revision: u64) -> String {
    quoted(&format!("{plan_id}/{revision}"))
}

fn style(role: LinkRole) -> &'static str {
    match role {
        LinkRole::Trigger => "style=solid",
        LinkRole::Evidence => "style=dashed",
        LinkRole::Corrects => "style=dotted, color=red",
        LinkRole::Parent => "style=bold, color=gray",
        LinkRole::Unspecified => "style=invis",
    }
}

/// A text between quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// A text as it stands between quotes: Graphviz gives a meaning to quotes and to backslashes, and in
/// labels to what follows these.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\\' => escaped.extend(['\\', char]),
            char if char.is_control() => escaped.push(' '),
            char => escaped.push(char),
        }
    }
    escaped
}

/// A text in lines, broken between words.
fn broken(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_full = line.chars().count() + word.chars().count() >= LINE_CHARS;
        if is_full && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_graphviz_would_take_for_its_own_is_escaped() {
        assert_eq!(quoted(r#"say "\N" now"#), r#""say \"\\N\" now""#);
        assert_eq!(quoted("a\nb\u{0}"), "\"a b \"");
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        let lines = broken(&"word ".repeat(20));
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.chars().count() <= LINE_CHARS));
        assert_eq!(lines.join(" "), "word ".repeat(20).trim_end());
        assert_eq!(broken(&"x".repeat(90)), ["x".repeat(90)]);
        assert_eq!(broken(""), [""]);
    }
}
