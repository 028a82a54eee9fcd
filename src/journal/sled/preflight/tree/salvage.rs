//! The leaves of sled's tree without its index: page by page, each with all that can be read of it, so
//! that what is damaged costs what it held and nothing else.

use super::super::messages::Kind;
use super::super::pages::Page;
use super::{COUNTER_PAGE, Data, Fault, META_PAGE, Node, Tree, apply, node, position, senseless};

/// A stored value: the position of its first commit, and its bytes.
pub(in super::super) type Value = (u64, Vec<u8>);

/// A leaf: where it begins, and the number of its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Leaf {
    first: u64,
    number: u64,
}

impl Tree<'_> {
    /// All leaves that can be found, in order. `damaged` is told what cannot be read.
    pub(in super::super) fn leaves(&self, mut damaged: impl FnMut(String)) -> Vec<Leaf> {
        for (number, kind) in [(META_PAGE, Kind::Meta), (COUNTER_PAGE, Kind::Counter)] {
            if let Err(fault) = self.node_of(number, kind) {
                damaged(in_words(fault));
            }
        }
        let mut leaves = Vec::new();
        for number in self.table.numbers().filter(|number| *number > COUNTER_PAGE) {
            let Some(node) = self.spared(number, &mut damaged) else {
                continue;
            };
            if let Data::Leaf(values) = node.data {
                if values.iter().any(|(key, _)| position(key).is_none()) {
                    damaged("a key is not a position".to_owned());
                }
                let first = values.iter().find_map(|(key, _)| position(key));
                leaves.extend(first.map(|first| Leaf { first, number }));
            }
        }
        leaves.sort_unstable();
        leaves
    }

    /// What can be read of a leaf, in order.
    pub(in super::super) fn values(&self, leaf: Leaf) -> Vec<Value> {
        match self.spared(leaf.number, &mut |_| {}).map(|node| node.data) {
            Some(Data::Leaf(values)) => values
                .into_iter()
                .filter_map(|(key, value)| Some((position(&key)?, value)))
                .collect(),
            Some(Data::Index(_)) | None => Vec::new(),
        }
    }

    /// A page with those of its changes that can be read. Each adds a value, so that one does not need
    /// the other.
    fn spared(&self, number: u64, damaged: &mut impl FnMut(String)) -> Option<Node> {
        let Some(Page::Present { links, .. }) = self.table.get(number) else {
            return None;
        };
        let base = self.node_of(number, Kind::Node);
        let base = base.map_err(in_words);
        let base = base.and_then(|base| node(&base).ok_or_else(|| senseless(number)));
        let mut spared = base.map_err(&mut *damaged).ok()?;
        for place in links {
            let link = self.message(*place, number, Kind::Link).map_err(in_words);
            let applied =
                link.and_then(|link| apply(&mut spared, &link).ok_or_else(|| senseless(number)));
            if let Err(what) = applied {
                damaged(what);
            }
        }
        Some(spared)
    }
}

/// What is wrong with a page. All was read before, so that an error of the disk is a new one.
fn in_words(fault: Fault<String>) -> String {
    match fault {
        Fault::Io(error) => format!("the storage file cannot be read: {error}"),
        Fault::Flaw(what) => what,
    }
}
