//! The stored values, read from sled's file without sled: from a page of its tree to the next, each
//! value checked for its position and its checksum.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::super::super::pack;
use super::super::SEGMENT_BYTES;
use super::messages::{self, Fields, Kind};
use super::pages::{Page, Place, Table};

pub(super) mod salvage;

/// The page that names the root of each tree.
const META_PAGE: u64 = 0;
/// The page of sled's own counter.
const COUNTER_PAGE: u64 = 1;
/// The tree that a database has without asking.
const TREE: &[u8] = b"__sled__default";
/// A header fits in so many bytes.
const HEADER_BYTES_MAX: usize = 64;
/// A way through the tree that is longer goes round in circles.
const STEPS_MAX: usize = 1024;

/// Why the log cannot be read on.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) what: String,
    /// The first position that cannot be read.
    pub(super) position: u64,
}

/// Why something of the file cannot be had.
#[derive(Debug)]
pub(super) enum Fault<T> {
    /// It could not be read. It may be whole.
    Io(io::Error),
    /// It was read, and is not what was written.
    Flaw(T),
}

impl<T> Fault<T> {
    pub(super) fn map<U>(self, flaw: impl FnOnce(T) -> U) -> Fault<U> {
        match self {
            Self::Io(error) => Fault::Io(error),
            Self::Flaw(what) => Fault::Flaw(flaw(what)),
        }
    }
}

impl<T> From<io::Error> for Fault<T> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a page of the tree holds. Keys are whole.
struct Node {
    next: Option<u64>,
    /// Keys from here on are in the next page; empty in the last one.
    hi: Vec<u8>,
    prefix: Vec<u8>,
    data: Data,
}

enum Data {
    Leaf(Vec<(Vec<u8>, Vec<u8>)>),
    Index(Vec<(Vec<u8>, u64)>),
}

/// The tree in a file.
pub(super) struct Tree<'a> {
    pub(super) file: &'a File,
    pub(super) table: &'a Table,
}

impl Tree<'_> {
    /// Reads all values from the page on in which position `from` belongs, and returns the position
    /// of the last commit.
    pub(super) fn head(&self, from: u64) -> Result<u64, Fault<Flaw>> {
        let at = |position| move |fault: Fault<String>| fault.map(|what| Flaw { what, position });
        self.node_of(COUNTER_PAGE, Kind::Counter)
            .map_err(at(from))?;
        let mut leaf = self.leaf_of(from).map_err(at(from))?;
        let mut next = None;
        loop {
            if let Data::Leaf(values) = &leaf.data {
                for (key, value) in values {
                    let expected = next.or((from == 1).then_some(1));
                    next = Some(end_of(key, value, expected, from).map_err(Fault::Flaw)?);
                }
            }
            let Some(number) = leaf.next else {
                return Ok(next.map_or(0, |next| next - 1));
            };
            leaf = self.node(number).map_err(at(next.unwrap_or(from)))?;
        }
    }

    /// The last position up to which all can be read from the first on.
    pub(super) fn whole(&self) -> io::Result<u64> {
        match self.head(1) {
            Ok(head) => Ok(head),
            Err(Fault::Flaw(flaw)) => Ok(flaw.position.saturating_sub(1)),
            Err(Fault::Io(error)) => Err(error),
        }
    }

    /// The first position of a page, if it is a leaf and makes sense.
    pub(super) fn first_position(&self, number: u64) -> io::Result<Option<u64>> {
        match self.node(number) {
            Ok(Node {
                data: Data::Leaf(values),
                ..
            }) => Ok(values.first().and_then(|(key, _)| position(key))),
            Ok(Node {
                data: Data::Index(_),
                ..
            })
            | Err(Fault::Flaw(_)) => Ok(None),
            Err(Fault::Io(error)) => Err(error),
        }
    }

    /// The leaf where the key of a position belongs.
    fn leaf_of(&self, position: u64) -> Result<Node, Fault<String>> {
        let flaw = |what: &str| Fault::Flaw(what.to_owned());
        let key = position.to_be_bytes();
        let meta = self.node_of(META_PAGE, Kind::Meta)?;
        let root = root(&meta);
        let mut number = root.ok_or_else(|| flaw("the engine's list of trees makes no sense"))?;
        for _ in 0..STEPS_MAX {
            let node = self.node(number)?;
            let beyond = !node.hi.is_empty() && node.hi.as_slice() <= key.as_slice();
            number = match (node.next.filter(|_| beyond), &node.data) {
                (Some(next), _) => next,
                (None, Data::Leaf(_)) => return Ok(node),
                (None, Data::Index(children)) => {
                    let after = children.partition_point(|(at, _)| at.as_slice() <= &key[..]);
                    let child = children.get(after.saturating_sub(1));
                    child
                        .ok_or_else(|| flaw("a page of the engine's index is empty"))?
                        .1
                }
            };
        }
        Err(flaw("the engine's index does not end"))
    }

    fn node(&self, number: u64) -> Result<Node, Fault<String>> {
        let senseless = || Fault::Flaw(senseless(number));
        let base = self.node_of(number, Kind::Node)?;
        let mut node = node(&base).ok_or_else(senseless)?;
        let Some(Page::Present { links, .. }) = self.table.get(number) else {
            return Err(senseless());
        };
        for place in links {
            let link = self.message(*place, number, Kind::Link)?;
            apply(&mut node, &link).ok_or_else(senseless)?;
        }
        Ok(node)
    }

    /// The body of the base of a page.
    fn node_of(&self, number: u64, kind: Kind) -> Result<Vec<u8>, Fault<String>> {
        match self.table.get(number) {
            Some(Page::Present { base, .. }) => self.message(*base, number, kind),
            Some(Page::Free(_)) | None => Err(Fault::Flaw(format!(
                "page {number} of the storage engine is missing"
            ))),
        }
    }

    fn message(&self, place: Place, number: u64, kind: Kind) -> Result<Vec<u8>, Fault<String>> {
        let Place { lsn, offset } = place;
        let damaged = || {
            let what = format!("the storage file is damaged in what begins at byte {offset}");
            Fault::Flaw(what)
        };
        // To read where no file can be would be an error of the system.
        let within = usize::try_from(offset)
            .ok()
            .filter(|_| i64::try_from(offset).is_ok());
        let room = SEGMENT_BYTES - within.ok_or_else(damaged)? % SEGMENT_BYTES;
        let mut bytes = vec![0; HEADER_BYTES_MAX.min(room)];
        read_up_to(self.file, &mut bytes, offset)?;
        let length = messages::length(&bytes)
            .filter(|length| *length <= room)
            .ok_or_else(damaged)?;
        bytes.resize(length, 0);
        read_up_to(self.file, &mut bytes, offset)?;
        messages::read(&bytes, lsn / SEGMENT_BYTES as u64)
            .filter(|message| message.page == number && message.kind == kind)
            .map(|message| message.body.to_vec())
            .ok_or_else(damaged)
    }
}

fn senseless(number: u64) -> String {
    format!("page {number} of the storage engine makes no sense")
}

/// Reads as many bytes as there are; those behind the end of the file stay as they are.
pub(super) fn read_up_to(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The position behind a stored value, which must be at the one expected.
fn end_of(key: &[u8], value: &[u8], expected: Option<u64>, from: u64) -> Result<u64, Flaw> {
    let flaw = |what: &str, position| Flaw {
        what: what.to_owned(),
        position,
    };
    let first =
        position(key).ok_or_else(|| flaw("a key is not a position", expected.unwrap_or(from)))?;
    if let Some(expected) = expected.filter(|expected| *expected != first) {
        return Err(flaw("its commit is missing", expected));
    }
    match count(first, value) {
        Ok(count) => Ok(first + count),
        Err(what) => Err(flaw(&what.to_string(), first)),
    }
}

fn position(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// How many commits a stored value holds, if it is whole.
fn count(first: u64, value: &[u8]) -> Result<u64, pack::Flaw> {
    let mut count = 0;
    for range in pack::decode(first, value)? {
        range?;
        count += 1;
    }
    Ok(count)
}

fn root(meta: &[u8]) -> Option<u64> {
    let mut fields = Fields(meta);
    while !fields.is_empty() {
        let (name, number) = (fields.bytes()?, fields.number()?);
        if name == TREE {
            return Some(number);
        }
    }
    None
}

fn node(body: &[u8]) -> Option<Node> {
    let mut fields = Fields(body);
    let next = fields.number()?;
    let _merging_child = fields.number()?;
    let _merging = fields.byte()?;
    let prefix_bytes = usize::from(fields.byte()?);
    let lo = fields.bytes()?;
    let hi = fields.bytes()?.to_vec();
    let prefix = lo.get(..prefix_bytes)?.to_vec();
    let is_index = fields.byte()? != 0;
    let count = fields.number()?;
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push([&prefix, fields.bytes()?].concat());
    }
    let data = if is_index {
        let children = keys.into_iter().map(|key| Some((key, fields.number()?)));
        Data::Index(children.collect::<Option<_>>()?)
    } else {
        let values = keys
            .into_iter()
            .map(|key| Some((key, fields.bytes()?.to_vec())));
        Data::Leaf(values.collect::<Option<_>>()?)
    };
    Some(Node {
        next: (next != 0).then_some(next),
        hi,
        prefix,
        data,
    })
}

/// A change of a leaf. Pages are merged only where values are removed, and we remove none.
fn apply(node: &mut Node, link: &[u8]) -> Option<()> {
    let mut fields = Fields(link);
    let kind = fields.byte()?;
    let key = [&node.prefix, fields.bytes()?].concat();
    let Data::Leaf(values) = &mut node.data else {
        return None;
    };
    let found = values.binary_search_by(|(other, _)| other.cmp(&key));
    match (kind, found) {
        (0, Ok(at)) => values.get_mut(at)?.1 = fields.bytes()?.to_vec(),
        (0, Err(at)) => values.insert(at, (key, fields.bytes()?.to_vec())),
        (1, Ok(at)) => drop(values.remove(at)),
        (1, Err(_)) => {}
        _ => return None,
    }
    Some(())
}
