//! The single checks, and the report they write. While nothing is wrong they allocate next to
//! nothing: the path to a field is spelt out only for a violation.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write as _},
    hash::Hash,
};

use foldhash::{HashMap, HashMapExt as _};

use prost_types::{Duration, Timestamp};

use super::{
    AHEAD_SECONDS_MAX, LIST_MAX, NAME_CHARS_MAX, NOTE_BYTES_MAX, STATEMENT_CHARS_MAX,
    TEXT_CHARS_MAX, VIOLATIONS_BYTES_MAX, VIOLATIONS_MAX, Violation,
};
use crate::domain::{
    review,
    value::{Id, Subject, Time},
};

/// The longest span that a protobuf duration can hold, in seconds: about 10,000 years.
const SPAN_SECONDS_MAX: i64 = 315_576_000_000;
/// How much of a wrong value is quoted, in characters.
const QUOTED_CHARS_MAX: usize = 40;

/// A step on the path to a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Segment {
    /// `try_tactic`
    Field(&'static str),
    /// `commands[2]`
    Element(&'static str, usize),
    /// `tactic_tried`, from the name of the event.
    Event(&'static str),
}

/// Collects what is wrong, with the path to where.
#[derive(Debug)]
pub(super) struct Checker {
    latest: Time,
    path: Vec<Segment>,
    violations: Vec<Violation>,
    listed_bytes: usize,
    unlisted: usize,
}

/// How much a text may hold.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Chars(usize),
    Bytes(usize),
}

impl Checker {
    pub(super) fn new(now: Time) -> Self {
        Self {
            latest: now.plus_seconds(AHEAD_SECONDS_MAX),
            path: Vec::with_capacity(4),
            violations: Vec::new(),
            listed_bytes: 0,
            unlisted: 0,
        }
    }

    /// Checks what lies one step further down.
    pub(super) fn within(&mut self, segment: Segment, check: impl FnOnce(&mut Self)) {
        self.path.push(segment);
        check(self);
        self.path.pop();
    }

    /// Reports a violation of a field below the place where the path stands.
    pub(super) fn fault(&mut self, field: impl Display, description: impl Display) {
        self.report(Some(&field), &description);
    }

    /// Reports a violation of the very place where the path stands.
    pub(super) fn fault_here(&mut self, description: impl Display) {
        self.report(None, &description);
    }

    pub(super) fn finish(mut self) -> Result<(), Vec<Violation>> {
        if self.unlisted > 0 {
            self.violations.push(Violation {
                field: String::new(),
                description: format!("and {} more, not listed", self.unlisted),
            });
        }
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(self.violations)
        }
    }

    fn report(&mut self, field: Option<&dyn Display>, description: &dyn Display) {
        if self.unlisted > 0 || self.violations.len() == VIOLATIONS_MAX {
            self.unlisted += 1;
            return;
        }
        let violation = Violation {
            field: self.path_to(field),
            description: description.to_string(),
        };
        let bytes = violation.field.len() + violation.description.len();
        if self.listed_bytes + bytes > VIOLATIONS_BYTES_MAX {
            self.unlisted += 1;
            return;
        }
        self.listed_bytes += bytes;
        self.violations.push(violation);
    }

    fn path_to(&self, field: Option<&dyn Display>) -> String {
        let steps = self.path.iter().map(|segment| segment as &dyn Display);
        let steps: Vec<String> = steps.chain(field).map(ToString::to_string).collect();
        steps.join(".")
    }
}

/// Ids and references.
impl Checker {
    pub(super) fn id(&mut self, field: impl Display, id: &str) {
        if id.is_empty() {
            self.fault(field, "required");
        } else {
            self.optional_id(field, id);
        }
    }

    pub(super) fn optional_id(&mut self, field: impl Display, id: &str) {
        if !id.is_empty() && !Id::is_valid(id) {
            self.fault(
                field,
                format_args!(
                    "an id is 1 to 63 of a-z, 0-9 and -, with no - at its ends; found {}",
                    Quoted(id)
                ),
            );
        }
    }

    /// A list of ids, each once.
    pub(super) fn ids(&mut self, field: &'static str, ids: &[String], ids_max: usize) {
        self.count(field, ids.len(), ids_max);
        let shown = || ids.iter().take(ids_max);
        for (index, id) in shown().enumerate() {
            self.id(format_args!("{field}[{index}]"), id);
        }
        self.distinct(field, shown());
    }

    /// That no two elements of a list are about the same.
    pub(super) fn distinct<K: Hash + Eq>(
        &mut self,
        field: &'static str,
        keys: impl ExactSizeIterator<Item = K>,
    ) {
        if keys.len() < 2 {
            return;
        }
        let mut first = HashMap::with_capacity(keys.len());
        for (index, key) in keys.enumerate() {
            let earlier = *first.entry(key).or_insert(index);
            if earlier != index {
                self.fault(
                    format_args!("{field}[{index}]"),
                    format_args!("the same as {field}[{earlier}]"),
                );
            }
        }
    }

    pub(super) fn count(&mut self, field: &'static str, count: usize, count_max: usize) {
        if count > count_max {
            self.fault(field, format_args!("at most {count_max}, found {count}"));
        }
    }

    pub(super) fn subject(&mut self, field: &'static str, subject: &str) {
        if subject.is_empty() {
            self.fault(field, "required");
        } else if Subject::parse(subject).is_none() {
            self.fault(
                field,
                format_args!(
                    "plan, objective, or strategies/, tactics/, assumptions/, indicators/ or \
                     commitments/ and an id; found {}",
                    Quoted(subject)
                ),
            );
        }
    }

    /// The code of a finding: three capital letters and three digits.
    pub(super) fn code(&mut self, field: &'static str, code: &str) {
        let (letters, digits) = code.as_bytes().split_at(code.len().min(3));
        if code.is_empty() {
            self.fault(field, "required");
        } else if code.len() != 6
            || !letters.iter().all(u8::is_ascii_uppercase)
            || !digits.iter().all(u8::is_ascii_digit)
        {
            self.fault(
                field,
                format_args!(
                    "three capital letters and three digits, such as STR005; found {}",
                    Quoted(code)
                ),
            );
        } else if review::codes::code(code).is_none() {
            self.fault(
                field,
                format_args!(
                    "no finding has the code {}; docs/findings.md lists all of them",
                    Quoted(code)
                ),
            );
        }
    }
}

/// Texts. A text of blanks is empty: refused where one is required, else made empty.
impl Checker {
    pub(super) fn statement(&mut self, field: &'static str, text: &str) {
        self.required(field, text, Bound::Chars(STATEMENT_CHARS_MAX));
    }

    pub(super) fn text(&mut self, field: &'static str, text: &str) {
        self.required(field, text, Bound::Chars(TEXT_CHARS_MAX));
    }

    pub(super) fn optional_text(&mut self, field: &'static str, text: &mut String) {
        self.optional(field, text, Bound::Chars(TEXT_CHARS_MAX));
    }

    pub(super) fn name(&mut self, field: &'static str, text: &str) {
        self.required(field, text, Bound::Chars(NAME_CHARS_MAX));
    }

    pub(super) fn optional_name(&mut self, field: &'static str, text: &mut String) {
        self.optional(field, text, Bound::Chars(NAME_CHARS_MAX));
    }

    pub(super) fn note(&mut self, field: &'static str, text: &str) {
        self.required(field, text, Bound::Bytes(NOTE_BYTES_MAX));
    }

    pub(super) fn optional_note(&mut self, field: &'static str, text: &mut String) {
        self.optional(field, text, Bound::Bytes(NOTE_BYTES_MAX));
    }

    /// A list of texts, none of them blank.
    pub(super) fn texts(&mut self, field: &'static str, texts: &[String]) {
        self.count(field, texts.len(), LIST_MAX);
        for (index, text) in texts.iter().take(LIST_MAX).enumerate() {
            let bound = Bound::Chars(TEXT_CHARS_MAX);
            self.required(format_args!("{field}[{index}]"), text, bound);
        }
    }

    pub(super) fn labels(&mut self, field: &'static str, labels: &mut BTreeMap<String, String>) {
        self.count(field, labels.len(), LIST_MAX);
        for (name, value) in labels.iter_mut().take(LIST_MAX) {
            let bound = Bound::Chars(NAME_CHARS_MAX);
            let place = Entry(field, name);
            if is_blank(name) {
                self.fault(place, "a label needs a name");
            }
            self.bounded(place, name, bound);
            self.optional(place, value, bound);
        }
    }

    fn required(&mut self, field: impl Display, text: &str, bound: Bound) {
        if text.is_empty() {
            self.fault(field, "required");
        } else if is_blank(text) {
            self.fault(field, "required, found blanks only");
        } else {
            self.bounded(field, text, bound);
        }
    }

    fn optional(&mut self, field: impl Display, text: &mut String, bound: Bound) {
        if is_blank(text) {
            text.clear();
        } else {
            self.bounded(field, text, bound);
        }
    }

    fn bounded(&mut self, field: impl Display, text: &str, bound: Bound) {
        if !bound.holds(text) {
            self.fault(
                &field,
                format_args!("at most {bound}, found {}", bound.measure(text)),
            );
        }
        if is_plain(text) {
            return;
        }
        if let Some((at, found)) = text.char_indices().find(|(_, char)| is_control(*char)) {
            self.fault(
                field,
                format_args!(
                    "control characters but tab and line breaks are refused; found U+{:04X} at \
                     byte {at}",
                    u32::from(found)
                ),
            );
        }
    }
}

/// Enumerations, numbers and times.
impl Checker {
    pub(super) fn choice<T: TryFrom<i32>>(&mut self, field: &'static str, value: i32) {
        if value == 0 {
            self.fault(field, "required");
        } else {
            self.optional_choice::<T>(field, value);
        }
    }

    pub(super) fn optional_choice<T: TryFrom<i32>>(&mut self, field: &'static str, value: i32) {
        if T::try_from(value).is_err() {
            self.fault(
                field,
                format_args!("not a value of this enumeration; found {value}"),
            );
        }
    }

    /// A revision, which counts from 1.
    pub(super) fn revision(&mut self, field: &'static str, revision: impl Into<u64>) {
        if revision.into() == 0 {
            self.fault(field, "required, from 1");
        }
    }

    pub(super) fn optional_number(&mut self, field: &'static str, number: Option<f64>) {
        if let Some(number) = number.filter(|number| !number.is_finite()) {
            self.fault(field, format_args!("a finite number; found {number}"));
        }
    }

    pub(super) fn number(&mut self, field: &'static str, number: Option<f64>) {
        if number.is_none() {
            self.fault(field, "required; 0 is a value and must be sent");
        }
        self.optional_number(field, number);
    }

    pub(super) fn optional_cost(&mut self, field: &'static str, cost: Option<f64>) {
        if let Some(cost) = cost.filter(|cost| !cost.is_finite() || *cost < 0.0) {
            self.fault(
                field,
                format_args!("a finite number, not negative; found {cost}"),
            );
        }
    }

    pub(super) fn optional_probability(&mut self, field: &'static str, chance: Option<f64>) {
        if let Some(chance) = chance.filter(|chance| !(0.0..=1.0).contains(chance)) {
            self.fault(field, format_args!("from 0 to 1; found {chance}"));
        }
    }

    pub(super) fn time(&mut self, field: &'static str, time: Option<&Timestamp>) {
        if time.is_none() {
            self.fault(field, "required");
        }
        self.optional_time(field, time);
    }

    pub(super) fn optional_time(&mut self, field: &'static str, time: Option<&Timestamp>) {
        if let Some(time) = time.filter(|time| !Time::holds(time)) {
            self.fault(
                field,
                format_args!(
                    "a time of the years 1 to 9999, nanos 0 to 999999999; found {} seconds, {} \
                     nanos",
                    time.seconds, time.nanos
                ),
            );
        }
    }

    /// A time that has been, give or take what clocks differ.
    pub(super) fn past(&mut self, field: &'static str, time: Option<&Timestamp>) {
        self.optional_time(field, time);
        let ahead = |time: &&Timestamp| Time::holds(time) && Time::from(**time) > self.latest;
        if let Some(time) = time.filter(ahead) {
            self.fault(
                field,
                format_args!(
                    "at most {AHEAD_SECONDS_MAX} seconds ahead of the daemon's clock; found {} \
                     seconds more",
                    time.seconds.saturating_sub(self.latest.seconds)
                ),
            );
        }
    }

    /// A span of time above 0.
    pub(super) fn optional_span(&mut self, field: &'static str, span: Option<&Duration>) {
        let positive = |span: &&Duration| {
            (0..=SPAN_SECONDS_MAX).contains(&span.seconds)
                && (0..=999_999_999).contains(&span.nanos)
                && (span.seconds, span.nanos) != (0, 0)
        };
        if let Some(span) = span.filter(|span| !positive(span)) {
            self.fault(
                field,
                format_args!(
                    "above 0, at most {SPAN_SECONDS_MAX} seconds, nanos 0 to 999999999; found {} \
                     seconds, {} nanos",
                    span.seconds, span.nanos
                ),
            );
        }
    }
}

impl Bound {
    fn holds(self, text: &str) -> bool {
        match self {
            // No text has more characters than bytes, so that most need no counting.
            Self::Chars(max) => text.len() <= max || text.chars().count() <= max,
            Self::Bytes(max) => text.len() <= max,
        }
    }

    fn measure(self, text: &str) -> usize {
        match self {
            Self::Chars(_) => text.chars().count(),
            Self::Bytes(_) => text.len(),
        }
    }
}

impl Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chars(max) => write!(formatter, "{max} characters"),
            Self::Bytes(max) => write!(formatter, "{max} bytes"),
        }
    }
}

impl Display for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => formatter.write_str(name),
            Self::Element(name, index) => write!(formatter, "{name}[{index}]"),
            Self::Event(name) => {
                for (index, char) in name.char_indices() {
                    if char.is_ascii_uppercase() && index > 0 {
                        formatter.write_char('_')?;
                    }
                    formatter.write_char(char.to_ascii_lowercase())?;
                }
                Ok(())
            }
        }
    }
}

/// The place of a value in a map: `labels["x"]`.
#[derive(Clone, Copy)]
struct Entry<'a>(&'static str, &'a str);

impl Display for Entry<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(field, key) = self;
        write!(formatter, "{field}[{}]", Quoted(key))
    }
}

/// A value that is not ours, cut and escaped.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTED_CHARS_MAX) {
            Some((end, _)) => {
                let (shown, _) = self.0.split_at(end);
                write!(formatter, "\"{}…\"", shown.escape_debug())
            }
            None => write!(formatter, "\"{}\"", self.0.escape_debug()),
        }
    }
}

/// Whether a text says nothing: blanks are what Unicode calls white space.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Whether all is printable ASCII, as most text is; told without a look at single characters.
fn is_plain(text: &str) -> bool {
    // Without an early end, so that many bytes are looked at with one instruction.
    text.bytes()
        .fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'))
}

/// Whether a character would act on a terminal or cut a text short instead of being shown.
fn is_control(char: char) -> bool {
    char.is_control() && !matches!(char, '\t' | '\n' | '\r')
}
