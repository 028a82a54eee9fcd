//! Reads what `strace` recorded of a daemon: every change to files below one directory, every sync,
//! and what went out on sockets, each with the lines between which it took effect. What it does
//! not understand of such a call it panics on, for a change that is left out would make the tests
//! believe in a disk that is kinder than any.

use std::{collections::HashMap, path::Path};

/// The calls to trace: all that change files or make them durable, and what writes to sockets.
pub(super) const CALLS: &str = "openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,\
     truncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,sync_file_range,sync,syncfs,\
     rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,\
     sendto,sendmsg";

/// Those that name a file by its path, not by a descriptor in their first argument.
const BY_PATH: [&str; 16] = [
    "open",
    "openat",
    "creat",
    "truncate",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
];

/// One call that took effect after line `begin` and before line `end` of the trace.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) begin: usize,
    /// None if the daemon was killed within the call.
    pub(super) end: Option<usize>,
    pub(super) effect: Effect,
}

/// What a call did. Paths are relative to the directory that is looked at.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// A file may be new, and may have been emptied.
    Open {
        path: String,
        create: bool,
        truncate: bool,
    },
    Write {
        path: String,
        offset: usize,
        data: Vec<u8>,
    },
    SetLength {
        path: String,
        length: usize,
    },
    /// `fsync` or `fdatasync`. `sync_file_range` is none: it reaches neither the disk's cache nor
    /// the length of a file.
    Sync {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// Of a file or an empty directory.
    Remove {
        path: String,
    },
    MakeDirectory {
        path: String,
    },
    /// Bytes that went out on a socket.
    Send {
        data: Vec<u8>,
    },
    /// The daemon was told to stop.
    Terminate,
}

/// The events of one daemon's trace in the order in which they ended; those that never did come last.
pub(super) fn events(trace: &str, root: &Path) -> Vec<Event> {
    let mut reader = Reader {
        root: format!("{}/", root.to_str().expect("UTF-8")),
        root_itself: format!("<{}>", root.to_str().expect("UTF-8")),
        offsets: HashMap::new(),
        events: Vec::new(),
    };
    let mut open: HashMap<&str, (usize, &str)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let (thread, rest) = line.split_once(' ').expect("a thread and what it did");
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, tail) = resumed
                .split_once(" resumed>")
                .expect("a call that goes on");
            let (begin, head) = open.remove(thread).expect("a call that began");
            reader.take(begin, number, &format!("{head}{tail}"));
        } else if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(thread, (number, head));
        } else if rest.starts_with("--- SIGTERM") {
            reader.push(number, Some(number), Effect::Terminate);
        } else if !rest.starts_with("---") && !rest.starts_with("+++") {
            reader.take(number, number, rest);
        }
    }
    for (begin, head) in open.into_values() {
        reader.take_unfinished(begin, head);
    }
    reader
        .events
        .sort_by_key(|event| (event.end.unwrap_or(usize::MAX), event.begin));
    reader.events
}

struct Reader {
    /// With a slash at the end.
    root: String,
    /// As a descriptor names it.
    root_itself: String,
    /// Where each open file is written next by a call that does not say.
    offsets: HashMap<String, usize>,
    events: Vec<Event>,
}

impl Reader {
    fn push(&mut self, begin: usize, end: Option<usize>, effect: Effect) {
        self.events.push(Event { begin, end, effect });
    }

    fn take(&mut self, begin: usize, end: usize, call: &str) {
        if let Some(head) = call.strip_suffix(" <unfinished ...>) = ?") {
            return self.take_unfinished(begin, head);
        }
        let (call, result) = call.rsplit_once(" = ").expect("a result");
        let call = call.trim_end().strip_suffix(')').expect("a whole call");
        if result.starts_with('?') {
            return self.take_unfinished(begin, call);
        }
        let call = Call::parse(call);
        if result.starts_with('-') {
            let fails_often = matches!(call.name, "sendto" | "openat" | "open" | "mkdir");
            let harmless = fails_often || !self.concerns(&call);
            assert!(
                harmless || call.name == "unlink",
                "{call:?} failed: {result}"
            );
            return;
        }
        if let Some(effect) = self.effect(&call, Some(result)) {
            self.push(begin, Some(end), effect);
        }
    }

    fn take_unfinished(&mut self, begin: usize, head: &str) {
        let call = Call::parse(head.strip_suffix(')').unwrap_or(head));
        // A sync that never returned promises nothing.
        if let Some(effect) = self.effect(&call, None)
            && !matches!(effect, Effect::Sync { .. })
        {
            self.push(begin, None, effect);
        }
    }

    /// Whether a path of the call, or the descriptor that comes first, is below the directory.
    fn concerns(&self, call: &Call) -> bool {
        let names = if BY_PATH.contains(&call.name) { 4 } else { 1 };
        let mut names = call.arguments.iter().take(names);
        names.any(|name| name.contains(&self.root) || name.contains(&self.root_itself))
    }

    fn effect(&mut self, call: &Call, result: Option<&str>) -> Option<Effect> {
        if !self.concerns(call) {
            let to_socket = call.arguments.first().is_some_and(|a| a.contains("<TCP:"));
            return to_socket.then(|| Effect::Send { data: call.data() });
        }
        Some(match call.name {
            "openat" | "open" => return self.opened(call, result),
            "write" => {
                let (path, data) = (self.file(call)?, written(call, result));
                let next = self.offsets.entry(call.arguments[0].clone()).or_default();
                let offset = *next;
                *next += data.len();
                Effect::Write { path, offset, data }
            }
            "pwrite64" => Effect::Write {
                path: self.file(call)?,
                offset: call.number(3),
                data: written(call, result),
            },
            "ftruncate" => Effect::SetLength {
                path: self.file(call)?,
                length: call.number(1),
            },
            "fsync" | "fdatasync" => Effect::Sync {
                path: self.file(call)?,
            },
            "sync_file_range" => return None,
            "rename" => Effect::Rename {
                from: self.relative(&call.text(0)),
                to: self.relative(&call.text(1)),
            },
            "unlink" | "rmdir" => Effect::Remove {
                path: self.relative(&call.text(0)),
            },
            "unlinkat" => Effect::Remove {
                path: self.relative(&call.path_at(0)),
            },
            "mkdir" => Effect::MakeDirectory {
                path: self.relative(&call.text(0)),
            },
            other => panic!("the model of a disk knows no {other}: {call:?}"),
        })
    }

    fn opened(&mut self, call: &Call, result: Option<&str>) -> Option<Effect> {
        let (path, flags) = if call.name == "openat" {
            (call.path_at(0), &call.arguments[2])
        } else {
            (call.text(0), &call.arguments[1])
        };
        assert!(!flags.contains("O_APPEND"), "not in the model: {call:?}");
        if let Some(result) = result {
            self.offsets.insert(result.to_owned(), 0);
        }
        let effect = Effect::Open {
            path: self.relative(&path),
            create: flags.contains("O_CREAT"),
            truncate: flags.contains("O_TRUNC"),
        };
        let may_change = matches!(
            effect,
            Effect::Open { create, truncate, .. } if create || truncate
        );
        may_change.then_some(effect)
    }

    /// The file that the first argument is a descriptor of, unless it is gone.
    fn file(&self, call: &Call) -> Option<String> {
        let path = decoration(&call.arguments[0]);
        let deleted = call.arguments[0].ends_with("(deleted)");
        (!deleted).then(|| self.relative(path))
    }

    fn relative(&self, path: &str) -> String {
        let path = path.strip_suffix('/').unwrap_or(path);
        path.strip_prefix(&self.root)
            .map(str::to_owned)
            .or_else(|| (format!("{path}/") == self.root).then(String::new))
            .unwrap_or_else(|| panic!("{path} is not below {}", self.root))
    }
}

/// What was written: of the buffer as much as the result says, or of a call that never returned
/// all that may have been.
fn written(call: &Call, result: Option<&str>) -> Vec<u8> {
    let mut data = call.data();
    if let Some(result) = result {
        let bytes = result.parse().expect("a count of bytes");
        assert!(
            bytes <= data.len(),
            "the trace holds the whole of {bytes} bytes"
        );
        data.truncate(bytes);
    }
    data
}

/// A call's name and its arguments as they are printed.
#[derive(Debug)]
struct Call<'a> {
    name: &'a str,
    arguments: Vec<String>,
}

impl<'a> Call<'a> {
    fn parse(text: &'a str) -> Self {
        let (name, rest) = text.split_once('(').expect("a call");
        Self {
            name,
            arguments: split(rest),
        }
    }

    fn number(&self, index: usize) -> usize {
        self.arguments[index].parse().expect("a number")
    }

    fn text(&self, index: usize) -> String {
        let bytes = unquoted(&self.arguments[index]);
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// The path of an argument that is relative to the directory before it.
    fn path_at(&self, directory: usize) -> String {
        let path = self.text(directory + 1);
        if path.starts_with('/') {
            path
        } else {
            format!("{}/{path}", decoration(&self.arguments[directory]))
        }
    }

    /// The bytes of all buffers of the second argument.
    fn data(&self) -> Vec<u8> {
        unquoted(self.arguments.get(1).map_or("", String::as_str))
    }
}

/// What stands in angle brackets after a descriptor.
fn decoration(argument: &str) -> &str {
    let (_, rest) = argument.split_once('<').expect("a decorated descriptor");
    rest.rsplit_once('>').expect("its end").0
}

/// The arguments, at commas that stand in no string and no bracket.
fn split(text: &str) -> Vec<String> {
    let (mut arguments, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    let mut begin = 0;
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                arguments.push(text[begin..at].trim().to_owned());
                begin = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(text[begin..].trim().to_owned());
    arguments
}

/// The bytes of the strings in an argument, one after another.
fn unquoted(argument: &str) -> Vec<u8> {
    assert!(!argument.contains("\"..."), "the trace cuts off a buffer");
    let (mut bytes, mut quoted) = (Vec::new(), false);
    let text = argument.as_bytes();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                let (byte, length) = unescaped(&text[at..]);
                bytes.push(byte);
                at += length;
            }
            other if quoted => bytes.push(other),
            _ => {}
        }
    }
    bytes
}

/// The byte that an escape stands for, and the length of the escape behind its backslash.
fn unescaped(text: &[u8]) -> (u8, usize) {
    let octal = text
        .iter()
        .take(3)
        .take_while(|b| (b'0'..=b'7').contains(b));
    let digits = octal.clone().count();
    match text[0] {
        _ if digits > 0 => {
            let value = octal.fold(0, |value, digit| value * 8 + u16::from(digit - b'0'));
            (u8::try_from(value).expect("a byte"), digits)
        }
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'r' => (b'\r', 1),
        b'v' => (0x0b, 1),
        b'f' => (0x0c, 1),
        other => (other, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(trace: &str) -> Vec<Event> {
        events(trace, Path::new("/root"))
    }

    fn write(begin: usize, end: Option<usize>, path: &str, offset: usize, data: &[u8]) -> Event {
        let (path, data) = (path.to_owned(), data.to_vec());
        Event {
            begin,
            end,
            effect: Effect::Write { path, offset, data },
        }
    }

    #[test]
    fn a_write_is_read_byte_for_byte() {
        let trace = r#"7 pwrite64(5</root/db>, "a\"\\\n\0\0012\377,]", 9, 4096) = 9"#;
        let data = [b'a', b'"', b'\\', b'\n', 0, 1, b'2', 0xff, b','];
        assert_eq!(parsed(trace), [write(0, Some(0), "db", 4096, &data)]);
    }

    #[test]
    fn a_call_spans_the_lines_between_its_begin_and_its_end() {
        let trace = "7 pwrite64(5</root/db>, \"ab\", 2, 0 <unfinished ...>\n\
                     8 fdatasync(6</root/db>)   = 0\n\
                     7 <... pwrite64 resumed>)  = 2\n";
        let sync = Event {
            begin: 1,
            end: Some(1),
            effect: Effect::Sync { path: "db".into() },
        };
        assert_eq!(parsed(trace), [sync, write(0, Some(2), "db", 0, b"ab")]);
    }

    #[test]
    fn writes_that_say_no_place_follow_each_other_from_the_opening_on() {
        let trace = "7 openat(AT_FDCWD</>, \"/root/a\", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 5</root/a>\n\
                     7 write(5</root/a>, \"ab\", 2) = 2\n\
                     7 write(5</root/a>, \"cd\", 2) = 1\n\
                     7 write(5</root/a>, \"e\", 1) = 1\n\
                     7 openat(AT_FDCWD</>, \"/root/a\", O_RDWR|O_CREAT, 0666) = 5</root/a>\n\
                     7 write(5</root/a>, \"f\", 1) = 1\n";
        let written = parsed(trace).into_iter().filter_map(|event| {
            if let Effect::Write { offset, data, .. } = event.effect {
                Some((offset, data))
            } else {
                None
            }
        });
        let expected = [(0, "ab"), (2, "c"), (3, "e"), (0, "f")]
            .map(|(offset, data)| (offset, data.as_bytes().to_vec()));
        assert_eq!(written.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_are_found_by_path_and_by_directory() {
        let trace = "7 mkdir(\"/root/d\", 0777) = 0\n\
                     7 mkdir(\"/root/d\", 0777) = -1 EEXIST (File exists)\n\
                     7 rename(\"/root/d/a\", \"/root/d/b\") = 0\n\
                     7 unlinkat(3</root/d>, \"b\", 0) = 0\n\
                     7 fsync(3</root>) = 0\n\
                     7 unlink(\"/elsewhere\") = 0\n";
        let effects: Vec<Effect> = parsed(trace)
            .into_iter()
            .map(|event| event.effect)
            .collect();
        let expected = [
            Effect::MakeDirectory { path: "d".into() },
            Effect::Rename {
                from: "d/a".into(),
                to: "d/b".into(),
            },
            Effect::Remove { path: "d/b".into() },
            Effect::Sync {
                path: String::new(),
            },
        ];
        assert_eq!(effects, expected);
    }

    #[test]
    fn what_goes_out_on_a_socket_is_kept_and_sync_file_range_is_no_sync() {
        let trace = "7 writev(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base=\"ab\", iov_len=2}, \
                     {iov_base=\"c\", iov_len=1}], 2) = 3\n\
                     7 sync_file_range(5</root/db>, 0, 96, SYNC_FILE_RANGE_WRITE) = 0\n\
                     7 --- SIGTERM {si_signo=SIGTERM} ---\n";
        let effects: Vec<Effect> = parsed(trace)
            .into_iter()
            .map(|event| event.effect)
            .collect();
        let data = b"abc".to_vec();
        assert_eq!(effects, [Effect::Send { data }, Effect::Terminate]);
    }

    #[test]
    fn a_call_within_which_the_daemon_was_killed_has_no_end() {
        let trace = "7 pwrite64(5</root/db>, \"ab\", 2, 0 <unfinished ...>\n\
                     8 pwrite64(5</root/db>, \"cd\", 2, 2 <unfinished ...>) = ?\n\
                     9 fsync(5</root/db> <unfinished ...>\n\
                     7 <... pwrite64 resumed>)  = ?\n\
                     9 <... fsync resumed>) = ?\n\
                     7 +++ killed by SIGKILL +++\n";
        let expected = [
            write(0, None, "db", 0, b"ab"),
            write(1, None, "db", 2, b"cd"),
        ];
        assert_eq!(parsed(trace), expected);
    }

    #[test]
    #[should_panic(expected = "the model of a disk knows no fallocate")]
    fn a_change_that_is_not_understood_is_not_passed_over() {
        drop(parsed("7 fallocate(5</root/db>, 0, 0, 4096) = 0"));
    }

    #[test]
    #[should_panic(expected = "the trace cuts off a buffer")]
    fn a_buffer_that_is_cut_off_is_not_passed_over() {
        drop(parsed("7 pwrite64(5</root/db>, \"ab\"..., 200, 0) = 200"));
    }
}
