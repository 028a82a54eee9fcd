//! Changes to an access file that leave everything else in it as it stands: comments, order, spaces.

use jiff::Timestamp;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::{Directory, FileProblems};
use crate::access::{BadName, check_name, pattern::Pattern, rights::Role, token::TokenHash};

/// What the first lines of a new access file say.
const OPENING: &str = "\
# Who may call stratad, and what they may do: see docs/access.md. Written by `stratad token`, and by
# hand; the daemon reads it again when it changes. Only hashes of tokens are in here.

";

/// How much of a hash names a token at least: less may name one by chance, or be nothing at all, as a
/// variable is that was never set.
const BEGINNING_CHARS_MIN: usize = 8;

/// A token that is to be added.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// Whose it will be.
    pub name: &'a str,
    /// The roles of a principal that is not there yet.
    pub roles: &'a [Role],
    /// The plans that those are for; none: all.
    pub plans: &'a [Pattern],
    /// What is kept of it.
    pub hash: TokenHash,
    /// From when on it is nobody's.
    pub expires: Option<Timestamp>,
    /// What it is for, in words.
    pub note: Option<&'a str>,
}

/// Which tokens are to be removed.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one whose hash begins so.
    HashBeginning(&'a str),
    /// All of a principal.
    Of(&'a str),
}

/// Why an access file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// It is not right as it is, or would not be.
    #[error("{0}")]
    Problems(#[from] FileProblems),
    /// Nobody can be called so.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A principal comes into being, and may do nothing.
    #[error("{0:?} is not in the file yet: say with --role what they may do")]
    NoRole(String),
    /// It is there, with other rights.
    #[error(
        "{0:?} is in the file already, with other roles or plans: leave out --role and --plans to give \
         them another token, or change their rights in the file"
    )]
    OtherRights(String),
    /// There is nothing to remove.
    #[error("no token in the file {0}: `stratad token list` shows which there are")]
    NoSuchToken(String),
    /// What was given is no beginning of a hash. It is not said again: it may be a secret.
    #[error(
        "what was given is no beginning of a hash, of which {BEGINNING_CHARS_MIN} or more of 0-9 and a-f \
         are needed: `stratad token list` shows enough of each"
    )]
    NoBeginning,
    /// More than one token could be meant.
    #[error("{count} tokens begin with {beginning}: give more of the hash")]
    Ambiguous {
        /// What was given.
        beginning: String,
        /// How many.
        count: usize,
    },
}

/// Adds a token, and its principal if that is new. Gives the text of the file from then on.
pub fn add(text: &str, token: &NewToken<'_>) -> Result<String, EditError> {
    check_name(token.name)?;
    let directory = Directory::parse(text)?;
    let mut document = document(text)?;
    let wanted = grants(token);
    match directory.named(token.name) {
        Some(entry) => {
            let is_other = !token.roles.is_empty() && *entry.principal.grants != wanted;
            if is_other || (token.roles.is_empty() && !token.plans.is_empty()) {
                return Err(EditError::OtherRights(token.name.to_owned()));
            }
        }
        None if token.roles.is_empty() => return Err(EditError::NoRole(token.name.to_owned())),
        None => {
            if text.is_empty() {
                document.decor_mut().set_prefix(OPENING);
            }
            let mut table = Table::new();
            table.insert("name", toml_edit::value(token.name));
            table.insert(
                "roles",
                toml_edit::value(texts(token.roles.iter().map(|it| it.name()))),
            );
            if !token.plans.is_empty() {
                let plans = token.plans.iter().map(ToString::to_string);
                table.insert("plans", toml_edit::value(texts(plans)));
            }
            if let Some(principals) = principals(&mut document) {
                principals.push(table);
            }
        }
    }
    let tables = principals(&mut document)
        .into_iter()
        .flat_map(ArrayOfTables::iter_mut);
    for table in tables.filter(|table| is_named(table, token.name)) {
        let tokens = table
            .entry("token_sha256")
            .or_insert(toml_edit::value(Array::new()));
        if let Some(tokens) = tokens.as_array_mut() {
            tokens.push_formatted(on_a_line(written(token)));
            tokens.set_trailing_comma(true);
            tokens.set_trailing("\n");
        }
    }
    checked(&document)
}

/// Removes tokens. Gives the text of the file from then on, and how many are gone.
pub fn revoke(text: &str, which: Which<'_>) -> Result<(String, usize), EditError> {
    if matches!(which, Which::HashBeginning(beginning) if !is_beginning(beginning)) {
        return Err(EditError::NoBeginning);
    }
    let directory = Directory::parse(text)?;
    let entries = directory.entries();
    let chosen: Vec<TokenHash> = entries
        .iter()
        .flat_map(|entry| entry.tokens.iter().map(move |token| (entry, token.hash)))
        .filter(|(entry, hash)| match which {
            Which::HashBeginning(beginning) => hash.to_string().starts_with(beginning),
            Which::Of(name) => **entry.principal.name() == *name,
        })
        .map(|(_, hash)| hash)
        .collect();
    match which {
        Which::HashBeginning(beginning) if chosen.len() > 1 => {
            return Err(EditError::Ambiguous {
                beginning: beginning.to_owned(),
                count: chosen.len(),
            });
        }
        Which::HashBeginning(beginning) if chosen.is_empty() => {
            return Err(EditError::NoSuchToken(format!("begins with {beginning}")));
        }
        Which::Of(name) if chosen.is_empty() => {
            return Err(EditError::NoSuchToken(format!("is {name:?}'s")));
        }
        Which::HashBeginning(_) | Which::Of(_) => {}
    }
    let mut document = document(text)?;
    let tables = principals(&mut document)
        .into_iter()
        .flat_map(ArrayOfTables::iter_mut);
    for table in tables {
        if let Some(tokens) = table.get_mut("token_sha256").and_then(Item::as_array_mut) {
            tokens.retain(|token| hash_of(token).is_none_or(|hash| !chosen.contains(&hash)));
        }
    }
    Ok((checked(&document)?, chosen.len()))
}

fn is_beginning(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() >= BEGINNING_CHARS_MIN && text.bytes().all(is_digit)
}

fn grants(token: &NewToken<'_>) -> Vec<super::Grant> {
    let all = vec![Pattern::all()];
    let plans = if token.plans.is_empty() {
        &all
    } else {
        token.plans
    };
    let grant = |role: &Role| super::Grant {
        role: *role,
        plans: plans.to_vec(),
    };
    token.roles.iter().map(grant).collect()
}

fn document(text: &str) -> Result<DocumentMut, FileProblems> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        FileProblems::of_file(format!("this is not TOML: {}", error.message()))
    })
}

/// The principals, as tables under headings.
fn principals(document: &mut DocumentMut) -> Option<&mut ArrayOfTables> {
    let item = document
        .entry("principal")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if !item.is_array_of_tables() {
        // They may stand in brackets.
        match std::mem::take(item).into_array_of_tables() {
            Ok(tables) => *item = Item::ArrayOfTables(tables),
            Err(none) if none.as_array().is_some_and(Array::is_empty) => {
                *item = Item::ArrayOfTables(ArrayOfTables::new());
            }
            Err(other) => *item = other,
        }
    }
    item.as_array_of_tables_mut()
}

fn is_named(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

fn hash_of(token: &Value) -> Option<TokenHash> {
    let table = token
        .as_inline_table()
        .and_then(|table| table.get("sha256"));
    TokenHash::parse(table.unwrap_or(token).as_str()?).ok()
}

fn written(token: &NewToken<'_>) -> Value {
    let mut table = InlineTable::new();
    table.insert("sha256", token.hash.to_string().into());
    if let Some(expires) = token.expires
        && let Ok(time) = expires.to_string().parse::<toml_edit::Datetime>()
    {
        table.insert("expires", time.into());
    }
    if let Some(note) = token.note {
        table.insert("note", note.into());
    }
    table.into()
}

fn on_a_line(value: Value) -> Value {
    value.decorated("\n  ", "")
}

fn texts<T: Into<Value>>(items: impl Iterator<Item = T>) -> Array {
    items.collect()
}

/// What is written is read before, so that no file is made that the daemon would not take.
fn checked(document: &DocumentMut) -> Result<String, EditError> {
    let text = document.to_string();
    Directory::parse(&text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::token::Token;

    fn token() -> Token {
        Token::random().expect("random bytes")
    }

    fn new<'a>(name: &'a str, roles: &'a [Role], hash: TokenHash) -> NewToken<'a> {
        NewToken {
            name,
            roles,
            plans: &[],
            hash,
            expires: None,
            note: None,
        }
    }

    #[test]
    fn the_first_token_makes_a_file_that_says_what_it_is() {
        let token = token();
        let plans = ["growth-*".parse().expect("a pattern")];
        let asked = NewToken {
            plans: &plans,
            expires: "2027-01-01T00:00:00Z".parse().ok(),
            note: Some("laptop"),
            ..new("ana", &[Role::Planner], token.hash())
        };
        let text = add("", &asked).expect("added");
        assert_eq!(
            text,
            format!(
                "{OPENING}[[principal]]\nname = \"ana\"\nroles = [\"planner\"]\nplans = \
                 [\"growth-*\"]\ntoken_sha256 = [\n  {{ sha256 = \"{}\", expires = \
                 2027-01-01T00:00:00Z, note = \"laptop\" }},\n]\n",
                token.hash()
            )
        );
    }

    #[test]
    fn whatever_else_stands_there_stays_as_it_is() {
        let (one, two) = (token(), token());
        let text = format!(
            "# Ours.\n[[principal]] # the first\nname = 'ana'\nroles = [ \"reader\" ]\n\
             token_sha256 = [ \"{}\" ] # old\n\n[[principal]]\nname = \"ben\"\nroles = \
             [\"auditor\"]\n# The end.\n",
            one.hash()
        );
        let more = add(&text, &new("ana", &[], two.hash())).expect("added");
        let directory = Directory::parse(&more).expect("right");
        assert_eq!(directory.named("ana").expect("there").tokens.len(), 2);
        let kept = [
            "# Ours.\n",
            "# the first\nname = 'ana'\nroles = [ \"reader\" ]\n",
            "# old\n\n[[principal]]\nname = \"ben\"",
            "# The end.\n",
        ];
        for kept in kept {
            assert!(more.contains(kept), "{more}");
        }
        // And is so again when the token is gone.
        let (less, count) = revoke(&more, Which::HashBeginning(&two.hash().short())).expect("gone");
        assert_eq!(count, 1);
        assert_eq!(Directory::parse(&less), Directory::parse(&text));
    }

    #[test]
    fn somebody_new_needs_a_role_and_somebody_known_keeps_theirs() {
        let hash = token().hash();
        let refused = add("", &new("ana", &[], hash)).expect_err("no role");
        assert!(matches!(refused, EditError::NoRole(_)), "{refused}");
        let text = add("", &new("ana", &[Role::Reader], hash)).expect("added");
        let other = token().hash();
        for roles in [&[][..], &[Role::Reader]] {
            assert!(add(&text, &new("ana", roles, other)).is_ok());
        }
        let refused = add(&text, &new("ana", &[Role::Operator], other)).expect_err("other rights");
        assert!(matches!(refused, EditError::OtherRights(_)), "{refused}");
        let plans = ["growth".parse().expect("a pattern")];
        let narrower = NewToken {
            plans: &plans,
            ..new("ana", &[], other)
        };
        let refused = add(&text, &narrower).expect_err("other plans");
        assert!(matches!(refused, EditError::OtherRights(_)), "{refused}");
        for name in ["stratad", "", "a\nb"] {
            let refused = add(&text, &new(name, &[Role::Reader], other)).expect_err(name);
            assert!(matches!(refused, EditError::Name(_)), "{refused}");
        }
    }

    #[test]
    fn tokens_are_revoked_by_their_hash_or_by_their_holder() {
        let (one, two, three) = (token(), token(), token());
        let mut text = add("", &new("ana", &[Role::Reader], one.hash())).expect("added");
        text = add(&text, &new("ana", &[], two.hash())).expect("added");
        text = add(&text, &new("ben", &[Role::Reader], three.hash())).expect("added");
        let absent = token().hash().to_string();
        let refused = revoke(&text, Which::HashBeginning(&absent)).expect_err("none");
        assert!(matches!(refused, EditError::NoSuchToken(_)), "{refused}");
        let refused = revoke(&text, Which::Of("cleo")).expect_err("nobody");
        assert!(matches!(refused, EditError::NoSuchToken(_)), "{refused}");
        let (left, count) = revoke(&text, Which::Of("ana")).expect("hers");
        assert_eq!(count, 2);
        let directory = Directory::parse(&left).expect("right");
        assert!(directory.holder(&one.hash()).is_none() && directory.holder(&two.hash()).is_none());
        assert!(directory.holder(&three.hash()).is_some() && directory.named("ana").is_some());
        let whole = three.hash().to_string();
        let (left, _) = revoke(&left, Which::HashBeginning(&whole)).expect("his");
        assert!(
            Directory::parse(&left)
                .expect("right")
                .holder(&three.hash())
                .is_none()
        );
    }

    #[test]
    fn what_does_not_name_one_token_beyond_doubt_revokes_none() {
        let [one, two] = ["0", "1"].map(|end| {
            let hash = TokenHash::parse(&format!("{}{end}", "5f70bf18a".repeat(7)));
            hash.expect("64 digits")
        });
        let only = add("", &new("ana", &[Role::Reader], one)).expect("added");
        for beginning in [
            "",
            "5",
            "5f70bf1",
            "5F70BF18A",
            "5f70bf18…",
            "strata_5f70bf18",
        ] {
            let refused = revoke(&only, Which::HashBeginning(beginning)).expect_err(beginning);
            assert!(matches!(refused, EditError::NoBeginning), "{refused}");
        }
        assert!(revoke(&only, Which::HashBeginning("5f70bf18")).is_ok());
        let both = add(&only, &new("ana", &[], two)).expect("added");
        let refused = revoke(&both, Which::HashBeginning("5f70bf18")).expect_err("either");
        assert!(
            matches!(refused, EditError::Ambiguous { count: 2, .. }),
            "{refused}"
        );
    }

    #[test]
    fn brackets_with_nothing_in_them_make_room_for_the_first_principal() {
        let hash = token().hash();
        for text in ["principal = []#nobody yet\n", "principal = []\n"] {
            let added = add(text, &new("ana", &[Role::Reader], hash)).expect("added");
            let directory = Directory::parse(&added).expect("right");
            assert!(directory.holder(&hash).is_some(), "{added}");
        }
    }

    #[test]
    fn principals_in_brackets_are_changed_as_well() {
        let hash = token().hash();
        let text = "principal = [{ name = \"ana\", roles = [\"reader\"] }]\n";
        let more = add(text, &new("ana", &[], hash)).expect("added");
        assert!(
            Directory::parse(&more)
                .expect("right")
                .holder(&hash)
                .is_some()
        );
        let more = add(&more, &new("ben", &[Role::Reader], token().hash())).expect("added");
        let (left, _) = revoke(&more, Which::Of("ana")).expect("hers");
        assert!(
            Directory::parse(&left)
                .expect("right")
                .holder(&hash)
                .is_none()
        );
    }

    #[test]
    fn a_file_that_is_wrong_is_not_changed() {
        let hash = token().hash();
        let text = "[[principal]]\nname = \"ana\"\n";
        let refused = add(text, &new("ben", &[Role::Reader], hash)).expect_err("wrong");
        assert!(
            refused.to_string().contains("line 1: no roles"),
            "{refused}"
        );
        assert!(revoke(text, Which::Of("ana")).is_err());
    }
}
