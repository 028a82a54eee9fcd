//! The lines of an import: found, parsed, and given a `request_id` where they have none, the same
//! one each time the file is read.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use uuid::Builder;

use crate::{json, proto};

/// The longest line: far more than a commit of 64 KiB takes as JSON, and no burden to memory.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// How much of what can be read only once (standard input, a pipe) is held in memory.
const HELD_BYTES_MAX: u64 = 256 << 20;

/// How many bad lines are shown before the rest is only counted.
const BAD_LINES_SHOWN_MAX: usize = 20;

/// What ids of lines are made of besides the line, so that they can meet no other use of SHA-256.
const REQUEST_ID_DOMAIN: &[u8] = b"strata import line v1\0";

/// Where the lines come from; it can be read more than once.
#[derive(Debug)]
pub enum Source {
    /// A file on disk.
    File(PathBuf),
    /// What was read to its end, held in memory.
    Held(Arc<[u8]>),
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number in the file, from 1, blank lines counted.
    pub number: u64,
    /// What it asks for; with a `request_id`.
    pub request: proto::ExecuteRequest,
}

/// The lines of a reader, in order, without the blank ones.
pub struct Lines<R> {
    reader: R,
    number: u64,
    /// How often each line without a `request_id` has come, by its digest.
    occurrences: HashMap<[u8; 32], u64>,
}

/// Why a line is not a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It cannot be read at all, and nothing after it.
    #[error("line {number} cannot be read: {error}")]
    Read {
        /// The line.
        number: u64,
        /// What the system said.
        error: io::Error,
    },
    /// It is something else.
    #[error("line {number}: {reason}")]
    Bad {
        /// The line.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a file cannot be imported as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It cannot be opened or read.
    #[error("cannot read {name}: {error}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// It can be read only once, and is too large to be held.
    #[error("{name} holds more than {HELD_BYTES_MAX} bytes: import it from a file")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// Lines of it are not requests.
    #[error("nothing was sent, {0}")]
    BadLines(BadLines),
}

/// The lines that are not requests.
#[derive(Debug, Default)]
pub struct BadLines {
    /// The first of them, as many as are shown.
    pub shown: Vec<LineError>,
    /// How many there are.
    pub count: u64,
}

impl fmt::Display for BadLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => formatter.write_str("1 line is not a request:")?,
            count => write!(formatter, "{count} lines are not requests:")?,
        }
        for error in &self.shown {
            write!(formatter, "\n  {error}")?;
        }
        let more = self.count - self.shown.len() as u64;
        if more > 0 {
            write!(formatter, "\n  and {more} more")?;
        }
        Ok(())
    }
}

impl Source {
    /// Finds the lines at a path; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, CheckError> {
        if path == Path::new("-") {
            return Self::hold(io::stdin().lock(), "standard input".to_owned());
        }
        let name = path.display().to_string();
        let unreadable = |error| CheckError::Unreadable {
            name: name.clone(),
            error,
        };
        let file = File::open(path).map_err(unreadable)?;
        // A pipe that the shell passes as a path ends after one reading.
        if file.metadata().map_err(unreadable)?.is_file() {
            Ok(Self::File(path.to_owned()))
        } else {
            Self::hold(file, name)
        }
    }

    /// Reads every line once, and answers how many there are or which are not requests.
    pub fn check(&self) -> Result<u64, CheckError> {
        let mut lines_count = 0;
        let mut bad = BadLines::default();
        for line in self.lines()? {
            match line {
                Ok(_) => lines_count += 1,
                Err(error) => {
                    bad.count += 1;
                    if bad.shown.len() < BAD_LINES_SHOWN_MAX {
                        bad.shown.push(error);
                    }
                }
            }
        }
        if bad.count == 0 {
            Ok(lines_count)
        } else {
            Err(CheckError::BadLines(bad))
        }
    }

    /// The lines, from the first one.
    pub fn lines(&self) -> Result<Lines<Box<dyn BufRead>>, CheckError> {
        let reader: Box<dyn BufRead> = match self {
            Self::File(path) => {
                let file = File::open(path).map_err(|error| CheckError::Unreadable {
                    name: path.display().to_string(),
                    error,
                })?;
                Box::new(BufReader::new(file))
            }
            Self::Held(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        };
        Ok(Lines::new(reader))
    }

    fn hold(reader: impl Read, name: String) -> Result<Self, CheckError> {
        let mut bytes = Vec::new();
        match reader.take(HELD_BYTES_MAX + 1).read_to_end(&mut bytes) {
            Err(error) => Err(CheckError::Unreadable { name, error }),
            Ok(_) if bytes.len() as u64 > HELD_BYTES_MAX => Err(CheckError::TooLarge { name }),
            Ok(_) => Ok(Self::Held(bytes.into())),
        }
    }
}

impl<R: BufRead> Lines<R> {
    /// The lines of `reader`, from number 1.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            number: 0,
            occurrences: HashMap::new(),
        }
    }

    /// The bytes of the next line; `None` at the end.
    fn read(&mut self) -> Option<Result<Vec<u8>, LineError>> {
        self.number += 1;
        let number = self.number;
        let mut bytes = Vec::new();
        let mut bounded = self.reader.by_ref().take(LINE_BYTES_MAX + 1);
        let outcome = match bounded.read_until(b'\n', &mut bytes) {
            Ok(0) => return None,
            Ok(_) if bytes.len() as u64 <= LINE_BYTES_MAX => return Some(Ok(bytes)),
            Ok(_) => self.reader.skip_until(b'\n'),
            Err(error) => Err(error),
        };
        Some(Err(match outcome {
            Ok(_) => LineError::Bad {
                number,
                reason: format!("longer than {LINE_BYTES_MAX} bytes"),
            },
            Err(error) => LineError::Read { number, error },
        }))
    }

    fn parse(&mut self, text: &str) -> Result<Line, LineError> {
        let bad = |reason| LineError::Bad {
            number: self.number,
            reason,
        };
        let mut request: proto::ExecuteRequest = json::from_json(text).map_err(|error| {
            // The reader knows one line only, and calls it the first.
            bad(error
                .to_string()
                .replace(" at line 1 column ", " at column "))
        })?;
        // One of blanks is none to the daemon.
        if request.request_id.trim().is_empty() {
            let digest = Sha256::digest(text.as_bytes()).into();
            let occurrence = self.occurrences.entry(digest).or_insert(0);
            *occurrence += 1;
            request.request_id = request_id(&digest, *occurrence);
        }
        Ok(Line {
            number: self.number,
            request,
        })
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Line, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let bytes = match self.read()? {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
            let Ok(text) = str::from_utf8(&bytes) else {
                return Some(Err(LineError::Bad {
                    number: self.number,
                    reason: "not UTF-8".to_owned(),
                }));
            };
            // Some editors open a file with a byte order mark.
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                return Some(self.parse(text));
            }
        }
    }
}

/// The id of a line that has none: made of its text and its place among equal lines, so that it is
/// the same whenever the file is imported.
fn request_id(line_digest: &[u8; 32], occurrence: u64) -> String {
    let digest = Sha256::new()
        .chain_update(REQUEST_ID_DOMAIN)
        .chain_update(line_digest)
        .chain_update(occurrence.to_be_bytes())
        .finalize();
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(digest) {
        *byte = hashed;
    }
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn held(text: &str) -> Source {
        Source::Held(text.as_bytes().into())
    }

    #[track_caller]
    fn ids(text: &str) -> Vec<String> {
        let lines = held(text).lines().expect("it is held");
        lines
            .map(|line| line.expect("a request").request.request_id)
            .collect()
    }

    #[test]
    fn blank_lines_are_skipped_and_counted() {
        let source = held("\u{feff}{\"plan_id\":\"a\"}\r\n\n  \n{\"plan_id\":\"b\"}");
        assert_eq!(source.check().expect("all are requests"), 2);
        let lines: Vec<Line> = source
            .lines()
            .expect("it is held")
            .map(|line| line.expect("a request"))
            .collect();
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.number, line.request.plan_id.as_str()))
            .collect();
        assert_eq!(found, [(1, "a"), (4, "b")]);
    }

    #[test]
    fn every_bad_line_is_reported_with_its_number_and_reason() {
        let source = held("{\"plan_id\":\"a\"}\n{\"plan\":\"a\"}\n\nnothing\n{\"plan_id\":7}\n");
        let error = source.check().expect_err("three lines are bad").to_string();
        assert!(error.contains("3 lines are not requests"), "{error}");
        for place in ["line 2: ", "line 4: ", "line 5: "] {
            assert!(error.contains(place), "{error}");
        }
        assert!(!error.contains("line 1"), "{error}");
    }

    #[test]
    fn the_report_of_bad_lines_is_bounded() {
        let error = held(&"x\n".repeat(30)).check().expect_err("all are bad");
        assert!(error.to_string().ends_with("and 10 more"), "{error}");
    }

    #[test]
    fn a_line_that_is_not_utf_8_or_too_long_is_bad_and_the_next_is_read() {
        let mut bytes = vec![b'{'; 5 << 20];
        bytes.extend_from_slice(b"\n\xff\n{\"plan_id\":\"a\"}");
        let outcomes: Vec<_> = Lines::new(Cursor::new(bytes)).collect();
        assert!(
            matches!(&outcomes[0], Err(LineError::Bad { number: 1, reason }) if reason.contains("longer"))
        );
        assert!(matches!(
            &outcomes[1],
            Err(LineError::Bad { number: 2, .. })
        ));
        assert!(matches!(&outcomes[2], Ok(Line { number: 3, .. })));
        assert_eq!(outcomes.len(), 3);
    }

    #[test]
    fn a_request_id_that_is_given_is_kept() {
        assert_eq!(ids("{\"plan_id\":\"a\",\"request_id\":\"mine\"}"), ["mine"]);
    }

    #[test]
    fn a_line_without_a_request_id_gets_the_same_one_each_time() {
        let text = "{\"plan_id\":\"a\"}\n{\"plan_id\":\"b\"}\n{\"plan_id\":\"a\"}";
        let first = ids(text);
        assert_eq!(first, ids(text));
        assert_eq!(first, ids(&text.replace('\n', " \r\n\r\n")));
        // Pinned: another version must make the same ids, or importing again would record twice.
        assert_eq!(first[0], "26bbf3fd-b0cc-8459-9727-a3fe3dd4833d");
    }

    #[test]
    fn equal_lines_of_one_file_get_different_request_ids() {
        let ids = ids("{\"plan_id\":\"a\"}\n{\"plan_id\":\"a\"}\n{\"plan_id\":\"b\"}");
        assert_ne!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
        assert_ne!(ids[1], ids[2]);
    }

    #[test]
    fn a_file_is_read_where_it_lies_and_a_missing_one_is_named() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "{{\"plan_id\":\"a\"}}").expect("it can be written");
        let source = Source::open(file.path()).expect("it exists");
        assert!(matches!(source, Source::File(_)));
        assert_eq!(source.check().expect("one request"), 1);
        let error = Source::open(Path::new("/nonexistent.jsonl")).expect_err("it does not exist");
        assert!(error.to_string().contains("/nonexistent.jsonl"), "{error}");
    }
}
