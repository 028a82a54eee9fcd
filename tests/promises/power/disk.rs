//! A model of what a disk holds after a loss of power. It knows what was written, in which order,
//! and what of it was synced; the rest is left to chance and to a policy. What it promises is the
//! least that POSIX does: `fsync` of a file makes its bytes and its length durable and not its
//! name; a name is durable by an `fsync` of its directory; nothing else is.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
};

use super::trace::{Effect, Event};
use crate::chance::Chance;

/// Disks write sectors of so many bytes whole; most file systems write whole pages.
const SECTOR_BYTES: usize = 512;
const PAGE_BYTES: usize = 4096;

/// What becomes of that which was not synced. Each is what some disk or file system does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Policy {
    /// All is lost: power fails before the system wrote anything back.
    Nothing,
    /// All is there, as after `kill -9`: the least that must work.
    Everything,
    /// Each write, length and name is dropped, kept or torn by itself, by sectors: a disk with a
    /// volatile cache below a file system without a journal.
    Anything,
    /// Names and lengths survive in their order, up to some moment; bytes by pages, in any order: a
    /// journal for metadata and the system's write-back, as ext4 and XFS have.
    Journaled,
    /// Of each file only the last write, and all lengths and names: a disk that reorders.
    Newest,
    /// Lengths and names, no bytes: delayed allocation, where a file that grew ends in zeros.
    Zeros,
    /// Bytes and lengths, no names: a directory that is written back last.
    Nameless,
}

impl Policy {
    pub(super) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Everything,
        Self::Anything,
        Self::Journaled,
        Self::Newest,
        Self::Zeros,
        Self::Nameless,
    ];
}

/// A file or a directory, whatever its name is.
type Node = usize;

/// The directory that is looked at; its own name is durable.
const ROOT: Node = 0;

/// All that happened to a tree of files.
pub(super) struct History {
    /// What was there before, durable.
    base: Vec<Content>,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Content {
    Directory(BTreeMap<String, Node>),
    File(Vec<u8>),
}

struct Change {
    begin: usize,
    end: usize,
    /// Whose sync makes it durable.
    node: Node,
    kind: Kind,
}

enum Kind {
    Write {
        offset: usize,
        data: Vec<u8>,
    },
    SetLength(usize),
    /// What the names stand for from then on. Those of one change are changed at once.
    Names(Vec<(String, Option<Node>)>),
    Sync,
}

impl History {
    /// What the events did to a tree that held `base`. All events have an end.
    pub(super) fn new(base: &Image, events: Vec<Event>) -> Self {
        let mut making = Making {
            base: vec![Content::Directory(BTreeMap::new())],
            live: HashMap::from([(String::new(), ROOT)]),
            changes: Vec::new(),
        };
        for (path, content) in &base.0 {
            making.put(path, content.as_deref());
        }
        for event in events {
            making.take(event);
        }
        Self {
            base: making.base,
            changes: making.changes,
        }
    }

    /// What a loss of power after line `moment` of the trace leaves, by a policy, chance, and what
    /// the disk lied about.
    pub(super) fn image(
        &self,
        moment: usize,
        policy: Policy,
        lied_about: Option<&Lie>,
        chance: &mut Chance,
    ) -> Image {
        let synced = self.synced(moment, lied_about);
        let happened = || self.changes.iter().filter(|change| change.begin <= moment);
        let unsynced = |change: &&Change| change.end >= synced[change.node];
        let mut newest: HashMap<Node, usize> = HashMap::new();
        for change in happened().filter(unsynced) {
            if matches!(change.kind, Kind::Write { .. }) {
                newest.insert(change.node, change.begin);
            }
        }
        let metadata = happened().filter(unsynced).filter(|c| c.is_metadata());
        let journaled = chance.below(metadata.count() as u64 + 1);
        let mut fates = Fates {
            policy,
            newest,
            metadata_left: journaled,
            unit: [SECTOR_BYTES, PAGE_BYTES][usize::from(policy == Policy::Journaled)],
            chance,
        };
        let mut nodes: Vec<OnDisk> = self.base.iter().map(OnDisk::new).collect();
        for change in happened() {
            let node = &mut nodes[change.node];
            if unsynced(&change) {
                node.perhaps(change, &mut fates);
            } else {
                node.surely(change);
            }
        }
        let mut image = Image::default();
        collect(&nodes, ROOT, "", &mut image);
        image
    }

    /// For each node the begin of its last sync that had ended: what ended before is durable.
    fn synced(&self, moment: usize, lied_about: Option<&Lie>) -> Vec<usize> {
        let mut synced = vec![0; self.base.len()];
        for change in &self.changes {
            let lie = lied_about.is_some_and(|lie| lie.covers(change));
            if matches!(change.kind, Kind::Sync) && change.end <= moment && !lie {
                synced[change.node] = synced[change.node].max(change.begin);
            }
        }
        synced
    }

    /// The node that had this name at the end, for a lie about it.
    pub(super) fn node(&self, path: &str) -> usize {
        let mut names = HashMap::new();
        for (node, content) in self.base.iter().enumerate() {
            if let Content::Directory(entries) = content {
                for (name, entry) in entries {
                    names.insert((node, name.as_str()), Some(*entry));
                }
            }
        }
        for change in &self.changes {
            if let Kind::Names(changed) = &change.kind {
                for (name, entry) in changed {
                    names.insert((change.node, name.as_str()), *entry);
                }
            }
        }
        path.split('/').fold(ROOT, |directory, name| {
            let found = names.get(&(directory, name)).copied().flatten();
            found.unwrap_or_else(|| panic!("{path} is not there"))
        })
    }
}

/// A disk that says it has synced, and has not.
pub(super) struct Lie {
    /// From this line of the trace on.
    pub(super) since: usize,
    /// About this file only, or about all.
    pub(super) node: Option<usize>,
}

impl Lie {
    fn covers(&self, sync: &Change) -> bool {
        sync.begin >= self.since && self.node.is_none_or(|node| node == sync.node)
    }
}

impl Change {
    fn is_metadata(&self) -> bool {
        match self.kind {
            Kind::Names(_) | Kind::SetLength(_) | Kind::Write { .. } => true,
            Kind::Sync => false,
        }
    }
}

/// A history while it is made: it knows which name stands for what.
struct Making {
    base: Vec<Content>,
    live: HashMap<String, Node>,
    changes: Vec<Change>,
}

impl Making {
    /// Puts a directory or a file with these bytes into the base.
    fn put(&mut self, path: &str, bytes: Option<&[u8]>) {
        let node = self.new_node(match bytes {
            Some(bytes) => Content::File(bytes.to_vec()),
            None => Content::Directory(BTreeMap::new()),
        });
        let (directory, name) = self.place(path);
        if let Content::Directory(entries) = &mut self.base[directory] {
            entries.insert(name, node);
        }
        self.live.insert(path.to_owned(), node);
    }

    fn new_node(&mut self, content: Content) -> Node {
        self.base.push(content);
        self.base.len() - 1
    }

    /// The directory of a path, and the name in it.
    fn place(&self, path: &str) -> (Node, String) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.live(directory), name.to_owned())
    }

    fn live(&self, path: &str) -> Node {
        let node = self.live.get(path);
        *node.unwrap_or_else(|| panic!("{path} is used, and nothing made it"))
    }

    fn take(&mut self, event: Event) {
        let (begin, end) = (event.begin, event.end.expect("settled"));
        let (node, kind) = match event.effect {
            Effect::Open {
                path,
                create,
                truncate,
            } => match self.live.get(&path) {
                Some(node) if truncate => (*node, Kind::SetLength(0)),
                None if create => self.make(path, Content::File(Vec::new())),
                Some(_) | None => return,
            },
            Effect::MakeDirectory { path } => self.make(path, Content::Directory(BTreeMap::new())),
            Effect::Write { path, offset, data } => {
                (self.live(&path), Kind::Write { offset, data })
            }
            Effect::SetLength { path, length } => (self.live(&path), Kind::SetLength(length)),
            Effect::Sync { path } => (self.live(&path), Kind::Sync),
            Effect::Remove { path } => {
                let (directory, name) = self.place(&path);
                self.live.remove(&path);
                (directory, Kind::Names(vec![(name, None)]))
            }
            Effect::Rename { from, to } => {
                let ((directory, old), (other, new)) = (self.place(&from), self.place(&to));
                assert_eq!(directory, other, "the model renames within a directory");
                let node = self.live.remove(&from).expect("a file");
                self.live.insert(to, node);
                (directory, Kind::Names(vec![(new, Some(node)), (old, None)]))
            }
            Effect::Send { .. } | Effect::Terminate => return,
        };
        self.changes.push(Change {
            begin,
            end,
            node,
            kind,
        });
    }

    fn make(&mut self, path: String, content: Content) -> (Node, Kind) {
        let node = self.new_node(content);
        let (directory, name) = self.place(&path);
        self.live.insert(path, node);
        (directory, Kind::Names(vec![(name, Some(node))]))
    }
}

/// Decides what becomes of what was not synced.
struct Fates<'a> {
    policy: Policy,
    /// Where the last unsynced write of each file begins.
    newest: HashMap<Node, usize>,
    /// How many more changes of names and lengths a journal holds.
    metadata_left: u64,
    unit: usize,
    chance: &'a mut Chance,
}

enum Fate {
    Dropped,
    Kept,
    /// Each unit by itself.
    Torn,
}

impl Fates<'_> {
    fn of_bytes(&mut self, change: &Change) -> Fate {
        match self.policy {
            Policy::Everything | Policy::Nameless => Fate::Kept,
            Policy::Newest if self.newest.get(&change.node) == Some(&change.begin) => Fate::Kept,
            Policy::Nothing | Policy::Zeros | Policy::Newest => Fate::Dropped,
            Policy::Anything | Policy::Journaled => match self.chance.below(3) {
                0 => Fate::Dropped,
                1 => Fate::Kept,
                _ => Fate::Torn,
            },
        }
    }

    fn coin(&mut self) -> bool {
        self.chance.below(2) == 0
    }

    fn keeps_name(&mut self) -> bool {
        match self.policy {
            Policy::Nothing | Policy::Nameless => false,
            Policy::Everything | Policy::Newest | Policy::Zeros => true,
            Policy::Anything => self.coin(),
            Policy::Journaled => self.journal_holds(),
        }
    }

    /// The length after a change of it from `old` to `new`.
    fn length(&mut self, old: usize, new: usize) -> usize {
        let keeps = match self.policy {
            Policy::Nothing => false,
            Policy::Everything | Policy::Newest | Policy::Zeros | Policy::Nameless => true,
            Policy::Anything => {
                if new > old && self.coin() {
                    // Write-back may have come as far as any unit.
                    let units = ((new - old) / self.unit) as u64;
                    let grown = usize::try_from(self.chance.below(units + 1)).expect("small");
                    return old + grown * self.unit;
                }
                self.coin()
            }
            Policy::Journaled => self.journal_holds(),
        };
        if keeps { new } else { old }
    }

    fn journal_holds(&mut self) -> bool {
        let holds = self.metadata_left > 0;
        self.metadata_left = self.metadata_left.saturating_sub(1);
        holds
    }
}

/// A node in the system's memory and on the disk.
enum OnDisk {
    Directory(BTreeMap<String, Node>),
    File {
        cached: Vec<u8>,
        disk: Vec<u8>,
        /// The length on the disk. Bytes beyond it may have been written and are not to be seen.
        length: usize,
    },
}

impl OnDisk {
    fn new(content: &Content) -> Self {
        match content {
            Content::Directory(entries) => Self::Directory(entries.clone()),
            Content::File(bytes) => Self::File {
                cached: bytes.clone(),
                disk: bytes.clone(),
                length: bytes.len(),
            },
        }
    }

    fn surely(&mut self, change: &Change) {
        match (self, &change.kind) {
            (Self::Directory(entries), Kind::Names(names)) => set_names(entries, names),
            (
                Self::File {
                    cached,
                    disk,
                    length,
                },
                Kind::Write { offset, data },
            ) => {
                write(cached, *offset, data);
                write_back(cached, disk, *offset..offset + data.len(), SECTOR_BYTES);
                *length = cached.len();
            }
            (
                Self::File {
                    cached,
                    disk,
                    length,
                },
                Kind::SetLength(new),
            ) => {
                cached.resize(*new, 0);
                disk.resize(*new, 0);
                *length = *new;
            }
            (Self::Directory(_) | Self::File { .. }, Kind::Sync) => {}
            (Self::Directory(_), Kind::Write { .. } | Kind::SetLength(_))
            | (Self::File { .. }, Kind::Names(_)) => panic!("a change of another kind of node"),
        }
    }

    fn perhaps(&mut self, change: &Change, fates: &mut Fates) {
        match (self, &change.kind) {
            (Self::Directory(entries), Kind::Names(names)) => {
                if fates.keeps_name() {
                    set_names(entries, names);
                }
            }
            (
                Self::File {
                    cached,
                    disk,
                    length,
                },
                Kind::Write { offset, data },
            ) => {
                write(cached, *offset, data);
                let end = offset + data.len();
                match fates.of_bytes(change) {
                    Fate::Dropped => {}
                    Fate::Kept => write_back(cached, disk, *offset..end, fates.unit),
                    Fate::Torn => {
                        for start in (offset - offset % fates.unit..end).step_by(fates.unit) {
                            if fates.coin() {
                                write_back(cached, disk, start..start + 1, fates.unit);
                            }
                        }
                    }
                }
                if cached.len() > *length {
                    *length = fates.length(*length, cached.len());
                }
            }
            (
                Self::File {
                    cached,
                    disk,
                    length,
                },
                Kind::SetLength(new),
            ) => {
                cached.resize(*new, 0);
                *length = fates.length(*length, *new);
                if *length == *new {
                    disk.resize(*new, 0);
                }
            }
            (Self::Directory(_) | Self::File { .. }, Kind::Sync) => {}
            (Self::Directory(_), Kind::Write { .. } | Kind::SetLength(_))
            | (Self::File { .. }, Kind::Names(_)) => panic!("a change of another kind of node"),
        }
    }
}

fn set_names(entries: &mut BTreeMap<String, Node>, names: &[(String, Option<Node>)]) {
    for (name, node) in names {
        match node {
            Some(node) => entries.insert(name.clone(), *node),
            None => entries.remove(name),
        };
    }
}

fn write(file: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(data);
}

/// Copies what the system's memory holds onto the disk, in whole units: what was written to a unit
/// before goes with it.
fn write_back(cached: &[u8], disk: &mut Vec<u8>, range: Range<usize>, unit: usize) {
    let start = range.start - range.start % unit;
    let end = range.end.next_multiple_of(unit).min(cached.len());
    write(disk, start, &cached[start..end]);
}

fn collect(nodes: &[OnDisk], node: Node, path: &str, image: &mut Image) {
    match &nodes[node] {
        OnDisk::Directory(entries) => {
            if node != ROOT {
                image.0.insert(path.to_owned(), None);
            }
            for (name, entry) in entries {
                let path = if node == ROOT {
                    name.clone()
                } else {
                    format!("{path}/{name}")
                };
                collect(nodes, *entry, &path, image);
            }
        }
        OnDisk::File { disk, length, .. } => {
            let mut bytes = disk.clone();
            bytes.resize(*length, 0);
            image.0.insert(path.to_owned(), Some(bytes));
        }
    }
}

/// A tree of files: the bytes of each, and of a directory nothing. In order, a directory comes
/// before what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Image(pub(super) BTreeMap<String, Option<Vec<u8>>>);

impl Image {
    /// What a directory holds.
    pub(super) fn read(dir: &Path) -> Self {
        let mut image = Self::default();
        image.read_into("", dir);
        image
    }

    fn read_into(&mut self, prefix: &str, dir: &Path) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            let path = format!("{prefix}{}", entry.file_name().to_str().expect("UTF-8"));
            if entry.file_type().expect("a type").is_dir() {
                self.read_into(&format!("{path}/"), &entry.path());
                self.0.insert(path, None);
            } else {
                self.0
                    .insert(path, Some(fs::read(entry.path()).expect("read")));
            }
        }
    }

    /// Writes it to an empty directory. Pages of zeros take no room.
    pub(super) fn write(&self, dir: &Path) {
        for (path, content) in &self.0 {
            let path = dir.join(path);
            let Some(bytes) = content else {
                fs::create_dir(path).expect("created");
                continue;
            };
            let file = fs::File::create(path).expect("created");
            file.set_len(bytes.len() as u64).expect("grown");
            for (page, offset) in bytes.chunks(PAGE_BYTES).zip((0..).step_by(PAGE_BYTES)) {
                if page.iter().any(|byte| *byte != 0) {
                    file.write_all_at(page, offset).expect("written");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
