//! The access file: principals with their roles, and what names them. Read from a text to a checked
//! [`Directory`], with every mistake at once and its line.

use std::{collections::HashMap, fmt, ops::Range};

use jiff::Timestamp;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub mod edit;

use super::{
    Grant, Principal, check_name,
    pattern::Pattern,
    rights::Role,
    token::{TokenHash, without_tokens},
};

/// The largest access file. Ten thousand principals take less.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// How many mistakes are told at once.
const PROBLEMS_MAX: usize = 50;

/// The longest name in a certificate by which a principal is known: a URI.
const CERTIFICATE_NAME_BYTES_MAX: usize = 2_048;

/// The keys of a principal.
const KEYS_OF_PRINCIPAL: [&str; 6] = [
    "name",
    "roles",
    "plans",
    "grants",
    "token_sha256",
    "certificate",
];

/// The keys of a grant.
const KEYS_OF_GRANT: [&str; 2] = ["roles", "plans"];

/// The keys of a token.
const KEYS_OF_TOKEN: [&str; 3] = ["sha256", "expires", "note"];

/// What an access file says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Directory {
    names: HashMap<String, Entry>,
    /// Looked up by the hash of what was sent. How long that takes tells of hashes at most, from which
    /// no token follows.
    tokens: HashMap<TokenHash, Known>,
    certificates: HashMap<String, Principal>,
}

/// A principal as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who it is.
    pub principal: Principal,
    /// Its tokens, in the order of the file.
    pub tokens: Vec<TokenEntry>,
    /// The name in its client certificate.
    pub certificate: Option<String>,
}

/// A token as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEntry {
    /// What is kept of it.
    pub hash: TokenHash,
    /// From when on it is nobody's.
    pub expires: Option<Timestamp>,
    /// What it is for, in words.
    pub note: Option<String>,
}

/// Whom something that was shown names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Who it is.
    pub principal: Principal,
    /// From when on it names nobody.
    pub expires: Option<Timestamp>,
}

/// All that is wrong with an access file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FileProblems(Vec<Problem>);

/// One mistake in an access file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub wrong: String,
}

impl Directory {
    /// Reads an access file.
    pub fn parse(text: &str) -> Result<Self, FileProblems> {
        let mut reader = Reader {
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            problems: Vec::new(),
            directory: Self::default(),
            lines: HashMap::new(),
        };
        match DeTable::parse(text) {
            Ok(table) => reader.file(table.get_ref()),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                // Not its whole text, which shows the line: a token may have been pasted into it.
                reader.wrong(&span, &format!("this is not TOML: {}", error.message()));
            }
        }
        if reader.problems.is_empty() {
            return Ok(reader.directory);
        }
        reader.problems.sort_by_key(|problem| problem.line);
        reader.problems.truncate(PROBLEMS_MAX);
        Err(FileProblems(reader.problems))
    }

    /// The principal of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Entry> {
        self.names.get(name)
    }

    /// Whose a token is, also when it has expired.
    #[must_use]
    pub fn holder(&self, token: &TokenHash) -> Option<&Known> {
        self.tokens.get(token)
    }

    /// Whose a certificate with this name is.
    #[must_use]
    pub fn certified(&self, name: &str) -> Option<&Principal> {
        self.certificates.get(name)
    }

    /// All principals, by name.
    #[must_use]
    pub fn entries(&self) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.names.values().collect();
        entries.sort_by(|a, b| a.principal.name().cmp(b.principal.name()));
        entries
    }
}

/// What was read so far.
struct Reader {
    /// Where the lines end, in bytes.
    line_ends: Vec<usize>,
    problems: Vec<Problem>,
    directory: Directory,
    /// Where a name, a hash or a certificate was first given, by what it is and its text.
    lines: HashMap<(&'static str, String), usize>,
}

type Value<'t> = Spanned<DeValue<'t>>;

impl Reader {
    fn file(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            if key.get_ref() != "principal" {
                self.unknown(&key.span(), key.get_ref(), &["principal"]);
                continue;
            }
            let Some(principals) = value.get_ref().as_array() else {
                self.wrong(&value.span(), "write [[principal]], in double brackets");
                continue;
            };
            for principal in principals {
                match principal.get_ref().as_table() {
                    Some(table) => self.principal(&principal.span(), table),
                    None => self.wrong(&principal.span(), "a principal is a table"),
                }
            }
        }
    }

    fn principal(&mut self, span: &Range<usize>, table: &DeTable<'_>) {
        self.known_keys(table, &KEYS_OF_PRINCIPAL);
        let name = table.get("name").map(|value| self.name(value));
        if name.is_none() {
            self.wrong(span, "this principal has no name: add name = \"…\"");
        }
        let name = name.flatten();
        let mut grants = Vec::new();
        if table.contains_key("roles") || !table.contains_key("grants") {
            grants.extend(self.grant(span, table));
        } else if let Some(plans) = table.get("plans") {
            self.wrong(
                &plans.span(),
                "plans without roles: add roles, or remove it",
            );
        }
        for (span, grant) in self.tables(table, "grants") {
            self.known_keys(grant, &KEYS_OF_GRANT);
            grants.extend(self.grant(&span, grant));
        }
        let tokens = self.tokens(table);
        let certificate = table.get("certificate").and_then(|value| {
            let text = self.text_of(value, "certificate")?;
            let is_long = text.len() > CERTIFICATE_NAME_BYTES_MAX;
            if text.trim().is_empty() || is_long || text.chars().any(char::is_control) {
                let wrong = "certificate is empty, or no name on one line: name the principal as \
                             its certificate does, or remove it";
                self.wrong(&value.span(), wrong);
            }
            self.once("certificate", text, &value.span());
            Some(text.to_owned())
        });
        let Some(name) = name else {
            return;
        };
        let principal = Principal::new(&name, grants.into_iter().flatten().collect());
        for token in &tokens {
            let known = Known {
                principal: principal.clone(),
                expires: token.expires,
            };
            self.directory.tokens.insert(token.hash, known);
        }
        if let Some(certificate) = &certificate {
            let of = principal.clone();
            self.directory.certificates.insert(certificate.clone(), of);
        }
        let entry = Entry {
            principal,
            tokens,
            certificate,
        };
        self.directory.names.insert(name, entry);
    }

    fn name(&mut self, value: &Value<'_>) -> Option<String> {
        let name = self.text_of(value, "name")?;
        if let Err(bad) = check_name(name) {
            self.wrong(&value.span(), &format!("name: {bad}"));
            return None;
        }
        self.once("name", name, &value.span());
        Some(name.to_owned())
    }

    /// The roles and plans of a table.
    fn grant(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> Option<Vec<Grant>> {
        let Some(roles) = table.get("roles") else {
            let names = Role::ALL.map(Role::name).join(", ");
            self.wrong(span, &format!("no roles here: add roles = […], of {names}"));
            return None;
        };
        let plans = match table.get("plans") {
            Some(plans) => self.texts(plans, "plans", |text| {
                text.parse::<Pattern>().map_err(|error| error.to_string())
            })?,
            None => vec![Pattern::all()],
        };
        let roles = self.texts(roles, "roles", |text| {
            Role::named(text).ok_or_else(|| {
                let names = Role::ALL.map(Role::name).join(", ");
                format!("{text:?} is not a role: roles are {names}")
            })
        })?;
        let grant = |role| Grant {
            role,
            plans: plans.clone(),
        };
        Some(roles.into_iter().map(grant).collect())
    }

    fn tokens(&mut self, table: &DeTable<'_>) -> Vec<TokenEntry> {
        let Some(value) = table.get("token_sha256") else {
            return Vec::new();
        };
        let Some(tokens) = value.get_ref().as_array() else {
            self.of_type(value, "token_sha256", "a list");
            return Vec::new();
        };
        tokens
            .iter()
            .filter_map(|token| self.token(token))
            .collect()
    }

    fn token(&mut self, value: &Value<'_>) -> Option<TokenEntry> {
        let Some(table) = value.get_ref().as_table() else {
            return Some(TokenEntry {
                hash: self.hash(value)?,
                expires: None,
                note: None,
            });
        };
        self.known_keys(table, &KEYS_OF_TOKEN);
        let note = table.get("note").map(|value| self.text_of(value, "note"));
        let expires = table.get("expires").map(|value| self.time(value));
        let Some(hash) = table.get("sha256") else {
            self.wrong(&value.span(), "this token has no sha256");
            return None;
        };
        Some(TokenEntry {
            hash: self.hash(hash)?,
            expires: expires.flatten(),
            note: note.flatten().map(str::to_owned),
        })
    }

    fn hash(&mut self, value: &Value<'_>) -> Option<TokenHash> {
        let text = self.text_of(value, "token_sha256")?;
        // Never the text: whoever errs here may have written the token itself.
        let Ok(hash) = TokenHash::parse(text) else {
            let hint = "token_sha256 holds what is not a SHA-256 in 64 of 0-9 and a-f; if it is a \
                        token, revoke it, and make one with `stratad token add`";
            self.wrong(&value.span(), hint);
            return None;
        };
        self.once("token_sha256", &hash.to_string(), &value.span());
        Some(hash)
    }

    fn time(&mut self, value: &Value<'_>) -> Option<Timestamp> {
        let time = value.get_ref().as_datetime().map(ToString::to_string);
        let time = time.and_then(|text| text.parse::<Timestamp>().ok());
        if time.is_none() {
            let hint = "expires is not a time with an offset, such as 2027-01-01T00:00:00Z, without \
                        quotes";
            self.wrong(&value.span(), hint);
        }
        time
    }

    /// The tables in a list.
    fn tables<'a, 't>(
        &mut self,
        table: &'a DeTable<'t>,
        key: &'static str,
    ) -> Vec<(Range<usize>, &'a DeTable<'t>)> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.of_type(value, key, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(table) => tables.push((item.span(), table)),
                None => self.of_type(item, key, "a list of tables"),
            }
        }
        tables
    }

    /// A list of at least one text, each read by `read`.
    fn texts<T>(
        &mut self,
        value: &Value<'_>,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.get_ref().as_array() else {
            self.of_type(value, key, "a list");
            return None;
        };
        if items.is_empty() {
            self.wrong(
                &value.span(),
                &format!("{key} is empty, which gives nothing"),
            );
            return None;
        }
        let mut read_ones = Vec::new();
        for item in items {
            match item.get_ref().as_str().map(&read) {
                Some(Ok(one)) => read_ones.push(one),
                Some(Err(wrong)) => self.wrong(&item.span(), &format!("{key}: {wrong}")),
                None => self.of_type(item, key, "a list of texts"),
            }
        }
        Some(read_ones)
    }

    fn text_of<'a>(&mut self, value: &'a Value<'_>, key: &'static str) -> Option<&'a str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.of_type(value, key, "a text in quotes");
        }
        text
    }

    /// Notes where something stands that may stand once.
    fn once(&mut self, what: &'static str, text: &str, span: &Range<usize>) {
        let line = self.line(span);
        if let Some(first) = self.lines.get(&(what, text.to_owned())) {
            let wrong = format!("this {what} stands in line {first} already");
            self.wrong(span, &wrong);
            return;
        }
        self.lines.insert((what, text.to_owned()), line);
    }

    fn known_keys(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for (key, _) in table {
            if !known.contains(&key.get_ref().as_ref()) {
                self.unknown(&key.span(), key.get_ref(), known);
            }
        }
    }

    fn unknown(&mut self, span: &Range<usize>, key: &str, known: &[&str]) {
        let known = known.join(", ");
        self.wrong(
            span,
            &format!("there is no key {key:?} here: there may be {known}"),
        );
    }

    fn of_type(&mut self, value: &Value<'_>, key: &'static str, expected: &str) {
        let found = value.get_ref().type_str();
        self.wrong(
            &value.span(),
            &format!("{key} is of type {found}; it is {expected}"),
        );
    }

    fn wrong(&mut self, span: &Range<usize>, wrong: &str) {
        let line = self.line(span);
        let wrong = without_tokens(wrong);
        self.problems.push(Problem { line, wrong });
    }

    fn line(&self, span: &Range<usize>) -> usize {
        self.line_ends.partition_point(|end| *end < span.start) + 1
    }
}

impl FileProblems {
    /// One that has no line.
    fn of_file(wrong: String) -> Self {
        Self(vec![Problem { line: 1, wrong }])
    }

    /// All of them in the order of the file, or the first ones if there are many; at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for FileProblems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let before = if number == 0 { "" } else { "; " };
            write!(
                formatter,
                "{before}line {}: {}",
                problem.line, problem.wrong
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
