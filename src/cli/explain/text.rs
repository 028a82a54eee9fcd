//! An explanation as a tree to read: under each event that was asked about what led to it, and what
//! it led to.

use std::collections::{BTreeMap, HashSet};

use super::graph::{Graph, Link, amended, date};
use crate::proto::{
    AssumptionState, ExplainedEvent, ExplainedSide, IndicatorState, LineOfSight, LinkRole,
};

/// What is said of an event of a plan that the caller may not read.
pub(super) const HIDDEN: &str = "hidden: you may not read its plan";

/// Which way a tree grows.
#[derive(Clone, Copy)]
enum Way {
    Back,
    Forth,
}

/// A tree that is being written.
struct Tree<'a> {
    graph: &'a Graph<'a>,
    way: Way,
    /// How far each event is from those that were asked about.
    steps: BTreeMap<usize, usize>,
    /// The events that were told already.
    told: HashSet<usize>,
    lines: Vec<String>,
}

/// What an event is to the one above it in a tree.
struct Branch {
    label: &'static str,
    to: usize,
    /// Whether it is shown beside, and leads nowhere.
    is_beside: bool,
}

/// The whole text.
pub(super) fn of(graph: &Graph<'_>) -> String {
    let mut lines = Vec::new();
    if let Some(finding) = &graph.answer.finding {
        let (code, subject) = (&finding.code, &finding.subject);
        lines.push(format!("{code} on {subject}: {}", finding.message));
    }
    let trees = [Way::Back, Way::Forth].map(|way| Tree::of(graph, way));
    let [mut back, mut forth] = trees;
    for target in graph.targets() {
        lines.push(line(graph, target));
        lines.extend(back.below(target, "because"));
        lines.extend(forth.below(target, "led to"));
    }
    if let Some(sight) = &graph.answer.line_of_sight {
        lines.extend(line_of_sight(sight));
    }
    lines.extend(graph.more().map(str::to_owned));
    lines.join("\n") + "\n"
}

impl<'a> Tree<'a> {
    fn of(graph: &'a Graph<'a>, way: Way) -> Self {
        let steps = graph.steps(|graph, number| match way {
            Way::Back => follow_back(graph, number).collect(),
            Way::Forth => follow_forth(graph, number).collect(),
        });
        Self {
            graph,
            way,
            steps,
            told: graph.targets().into_iter().collect(),
            lines: Vec::new(),
        }
    }

    /// The tree below an event that was asked about, under a heading; nothing if it is bare.
    fn below(&mut self, target: usize, heading: &str) -> Vec<String> {
        self.grow(target, "  ");
        let lines = std::mem::take(&mut self.lines);
        let heading = (!lines.is_empty()).then(|| format!("  {heading}"));
        heading.into_iter().chain(lines).collect()
    }

    fn grow(&mut self, number: usize, indent: &str) {
        let branches = self.branches(number);
        let count = branches.len();
        for (branch, nth) in branches.into_iter().zip(1..) {
            let is_last = nth == count;
            let (knot, below) = if is_last {
                ("└─", "   ")
            } else {
                ("├─", "│  ")
            };
            let label = branch.label;
            if self.is_told_here(number, &branch) {
                let line = line(self.graph, branch.to);
                self.lines.push(format!("{indent}{knot} {label} {line}"));
                if !branch.is_beside {
                    self.told.insert(branch.to);
                    self.grow(branch.to, &format!("{indent}{below}"));
                }
            } else if let Some(event) = self.graph.event(branch.to) {
                let name = self.graph.name(event);
                self.lines
                    .push(format!("{indent}{knot} {label} see {name}"));
            }
        }
    }

    /// An event is told where it is nearest to what was asked about, and there once.
    fn is_told_here(&self, above: usize, branch: &Branch) -> bool {
        if branch.is_beside {
            let side = self.graph.event(branch.to).map(ExplainedEvent::side);
            return side == Some(ExplainedSide::Context);
        }
        let step = |number| self.steps.get(&number).copied();
        step(branch.to) == step(above).map(|step| step + 1) && !self.told.contains(&branch.to)
    }

    fn branches(&self, number: usize) -> Vec<Branch> {
        let led = |link: Link| Branch {
            label: label(link.role),
            to: link.to,
            is_beside: false,
        };
        match self.way {
            Way::Forth => follow_forth(self.graph, number).map(led).collect(),
            Way::Back => {
                let parents = self.graph.earlier(number).iter();
                let parents = parents.filter(|link| link.role == LinkRole::Parent);
                let corrections = self.graph.later(number).iter();
                let corrections = corrections.filter(|link| link.role == LinkRole::Corrects);
                let beside = |link: &Link, label| Branch {
                    label,
                    to: link.to,
                    is_beside: true,
                };
                follow_back(self.graph, number)
                    .map(led)
                    .chain(parents.map(|link| beside(link, label(link.role))))
                    .chain(corrections.map(|link| beside(link, "amended by")))
                    .collect()
            }
        }
    }
}

/// What an event came of.
fn follow_back(graph: &Graph<'_>, number: usize) -> impl Iterator<Item = Link> {
    let links = graph.earlier(number).iter().copied();
    links.filter(|link| link.role != LinkRole::Parent)
}

/// What came of an event.
fn follow_forth(graph: &Graph<'_>, number: usize) -> impl Iterator<Item = Link> {
    let links = graph.later(number).iter().copied();
    links.filter(|link| ![LinkRole::Parent, LinkRole::Corrects].contains(&link.role))
}

/// What an event is to another, as a word before it.
pub(super) fn label(role: LinkRole) -> &'static str {
    match role {
        LinkRole::Trigger => "trigger",
        LinkRole::Evidence => "evidence",
        LinkRole::Corrects => "corrects",
        LinkRole::Parent => "parent",
        LinkRole::Unspecified => "link",
    }
}

/// An event in a line.
fn line(graph: &Graph<'_>, number: usize) -> String {
    let Some(event) = graph.event(number) else {
        return String::new();
    };
    let name = graph.name(event);
    if event.hidden {
        return format!("{name}  {HIDDEN}");
    }
    let (date, amended) = (date(event), amended(event));
    let more = if graph.is_cut_at(number) {
        " (…)"
    } else {
        ""
    };
    format!("{name}  {date}  {}{amended}{more}", event.summary)
}

fn line_of_sight(sight: &LineOfSight) -> Vec<String> {
    let mut lines = vec!["line of sight".to_owned(), format!("  {}", sight.summary)];
    lines.extend(sight.assumptions.iter().map(|assumption| {
        let state = match assumption.state() {
            AssumptionState::Supported => "found to hold",
            AssumptionState::Refuted => "found not to hold",
            AssumptionState::Stated | AssumptionState::Unspecified => "taken for true",
        };
        format!(
            "  rests on assumptions/{}, {state}",
            assumption.assumption_id
        )
    }));
    lines.extend(sight.indicators.iter().map(|indicator| {
        let state = match indicator.state() {
            IndicatorState::Replaced => format!(", replaced by {}", indicator.replaced_by),
            IndicatorState::Retired => ", retired".to_owned(),
            IndicatorState::Live | IndicatorState::Unspecified => String::new(),
        };
        format!("  judged by indicators/{}{state}", indicator.indicator_id)
    }));
    lines.extend(sight.gaps.iter().map(|gap| format!("  gap: {gap}")));
    lines
}
