//! `stratad token`: makes bearer tokens, shows whose they are, and revokes them, in the access file. The
//! daemon notices by itself. A token is printed once, when it is made, and is nowhere else.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

use crate::{
    access::{
        file::{
            Directory, Entry, FILE_BYTES_MAX, FileProblems,
            edit::{self, EditError, NewToken, Which},
        },
        pattern::Pattern,
        rights::Role,
        token::{NoRandomness, NoToken, PREFIX, TOKEN_CHARS, Token, TokenHash, holds_token},
    },
    config::{self, ConfigError, keys::VARIABLE_PREFIX},
    telemetry,
};

/// The variables of `stratad serve` that say where the access file is.
const VARIABLES: [&str; 2] = ["CONFIG", "ACCESS_FILE"];

/// A new access file is for its owner alone.
const FILE_MODE: u32 = 0o600;

/// What `stratad token` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
    /// The access file
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        help = "The access file, as `stratad serve` is told it [env: STRATA_ACCESS_FILE]"
    )]
    access_file: Option<String>,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a token, and print it
    Add(Add),
    /// Show the principals, what they may do, and the beginnings of the hashes of their tokens
    List,
    /// Make tokens worthless
    Revoke(Revoke),
}

/// Which token is made.
#[derive(Debug, Args)]
pub struct Add {
    /// Whose it will be: their name in the log
    #[arg(long)]
    name: String,
    /// What they may do: reader, planner, auditor or operator; for somebody new, once or more
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    roles: Vec<Role>,
    /// With which plans: a pattern such as growth-*; once or more [default: all]
    #[arg(long = "plans", value_name = "PATTERN")]
    plans: Vec<Pattern>,
    /// When it expires: a time, a date, or a span such as 90d [default: never]
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<Timestamp>,
    /// What it is for, such as "laptop"; shown by `list`
    #[arg(long)]
    note: Option<String>,
}

/// Which tokens are revoked.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Revoke {
    /// The beginning of its hash, as `list` shows it: at least 8 digits
    hash: Option<String>,
    /// All tokens of somebody
    #[arg(long)]
    name: Option<String>,
    /// The token that is read from standard input, so that it stands in no list of processes
    #[arg(long)]
    stdin: bool,
}

/// Why tokens were not made, shown or revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It was not said which file.
    #[error("say with --access-file which file, or in STRATA_ACCESS_FILE")]
    NoFile,
    /// There is nothing to show.
    #[error("there is no file {}; `stratad token add` makes it", .0.display())]
    NoSuchFile(PathBuf),
    /// The system refused.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done, with the path.
        doing: String,
        /// What it said.
        source: io::Error,
    },
    /// The file is not right.
    #[error("{}: {problems}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problems: FileProblems,
    },
    /// The file was not changed.
    #[error("{} was not changed: {source}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EditError,
    },
    /// There is no token to make.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// What was sent on standard input is none.
    #[error("what is on standard input is no token: {0}")]
    NoToken(#[from] NoToken),
    /// What was given in the place of a hash was meant for a token. It is not said again.
    #[error("what was given begins as a token does: {0}; send a token by --stdin")]
    NoTokenGiven(NoToken),
    /// A token was given in the place of a name or a note. It is not said again.
    #[error("a token was given as a name or a note, which are shown: send it by `revoke --stdin`")]
    TokenAsName,
    /// The token is in the file, and was not told.
    #[error(
        "cannot write the token to standard output: {source}; nobody has it now, so run `stratad token \
         revoke {hash}`"
    )]
    Untold {
        /// The beginning of its hash.
        hash: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What `stratad token --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Make, list and revoke the tokens by which callers are known.

A token is 256 random bits behind `strata_`. It is printed once, on standard output, when it is made; \
the access file keeps its SHA-256, from which it cannot be had. A caller sends it with every call as \
`authorization: Bearer TOKEN`. The daemon reads the file again when it changes, within about a second, \
so a token is good, or worthless, without a restart.";

/// What `stratad token --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad token add --access-file access.toml --name ana --role planner --plans 'growth-*'
  stratad token add --access-file access.toml --name ana --expires 90d --note laptop
  stratad token list --access-file access.toml
  stratad token revoke 5f70bf18a086 --access-file access.toml
  stratad token revoke --stdin --access-file access.toml < leaked-token
  stratad serve --access-file access.toml";

/// Makes, shows or revokes tokens.
pub fn run(arguments: &Arguments) -> Result<(), TokenError> {
    telemetry::init_client();
    let path = arguments.file()?;
    match &arguments.action {
        Action::Add(asked) => add(&path, asked),
        Action::List => list(&path),
        Action::Revoke(asked) => revoke(&path, asked),
    }
}

impl Arguments {
    fn file(&self) -> Result<PathBuf, TokenError> {
        let flags = self.access_file.iter();
        let flags = flags.map(|text| ("access_file".to_owned(), text.clone()));
        let variables = VARIABLES.map(|name| format!("{VARIABLE_PREFIX}{name}"));
        let environment: BTreeMap<_, _> = variables
            .into_iter()
            .filter_map(|name| Some((name.clone(), env::var_os(name)?)))
            .collect();
        let config = config::load(&flags.collect(), &environment, None)?;
        config.access.access_file.ok_or(TokenError::NoFile)
    }
}

fn add(path: &Path, asked: &Add) -> Result<(), TokenError> {
    no_token_in(&asked.name)?;
    no_token_in(asked.note.as_deref().unwrap_or_default())?;
    let token = Token::random()?;
    let new = NewToken {
        name: &asked.name,
        roles: &asked.roles,
        plans: &asked.plans,
        hash: token.hash(),
        expires: asked.expires,
        note: asked.note.as_deref(),
    };
    rewrite(path, |text| edit::add(text, &new))?;
    let hash = token.hash().short();
    let told = writeln!(io::stdout(), "{}", token.reveal()).and_then(|()| io::stdout().flush());
    told.map_err(|source| TokenError::Untold {
        hash: hash.clone(),
        source,
    })?;
    say(&format!(
        "this is the only time that the token of {} is shown; its hash, {hash}…, is in {}",
        asked.name,
        path.display()
    ));
    Ok(())
}

fn list(path: &Path) -> Result<(), TokenError> {
    let text = read(path)?.ok_or_else(|| TokenError::NoSuchFile(path.to_owned()))?;
    let directory = Directory::parse(&text).map_err(|problems| TokenError::Wrong {
        path: path.to_owned(),
        problems,
    })?;
    let lines: String = directory.entries().into_iter().map(shown).collect();
    let mut stdout = io::stdout();
    let written = stdout
        .write_all(lines.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(failed("writing to standard output", Path::new("")))
}

fn shown(entry: &Entry) -> String {
    let mut lines = format!("{}\n", entry.principal.name());
    for grant in entry.principal.grants() {
        let plans: Vec<_> = grant.plans.iter().map(ToString::to_string).collect();
        writeln!(lines, "  {} of {}", grant.role.name(), plans.join(" ")).ok();
    }
    if let Some(certificate) = &entry.certificate {
        writeln!(lines, "  certificate {certificate}").ok();
    }
    for token in &entry.tokens {
        write!(lines, "  token {}", token.hash.short()).ok();
        if let Some(expires) = token.expires {
            let verb = if expires <= Timestamp::now() {
                "expired"
            } else {
                "expires"
            };
            write!(lines, ", {verb} {expires}").ok();
        }
        if let Some(note) = &token.note {
            write!(lines, ", {note:?}").ok();
        }
        lines.push('\n');
    }
    lines
}

fn revoke(path: &Path, asked: &Revoke) -> Result<(), TokenError> {
    let hash = if asked.stdin {
        Some(hash_of_stdin()?)
    } else {
        asked.hash.as_deref().map(hash_meant).transpose()?
    };
    asked.name.as_deref().map_or(Ok(()), no_token_in)?;
    let which = match (&hash, &asked.name) {
        (None, Some(name)) => Which::Of(name),
        (hash, _) => Which::HashBeginning(hash.as_deref().unwrap_or_default()),
    };
    let mut count = 0;
    rewrite(path, |text| {
        let (text, revoked) = edit::revoke(text, which)?;
        count = revoked;
        Ok(text)
    })?;
    let tokens = if count == 1 {
        "1 token is"
    } else {
        &format!("{count} tokens are")
    };
    say(&format!(
        "{tokens} worthless as soon as the daemon reads {}",
        path.display()
    ));
    Ok(())
}

/// The hash, or that of the token that was given in its place: it has been seen, and must go.
fn hash_meant(text: &str) -> Result<String, TokenError> {
    let text = text.trim();
    if !text.contains(PREFIX) {
        return Ok(text.to_owned());
    }
    let hash = TokenHash::of_sent(text).map_err(TokenError::NoTokenGiven)?;
    Ok(hash.to_string())
}

/// Names and notes are shown, so a token must not come to be one, nor a piece of it.
fn no_token_in(text: &str) -> Result<(), TokenError> {
    if holds_token(text) {
        return Err(TokenError::TokenAsName);
    }
    Ok(())
}

fn hash_of_stdin() -> Result<String, TokenError> {
    let mut text = String::new();
    let mut stdin = io::stdin().take(TOKEN_CHARS as u64 + 2);
    stdin
        .read_to_string(&mut text)
        .map_err(failed("reading standard input", Path::new("")))?;
    Ok(TokenHash::of_sent(text.trim())?.to_string())
}

/// Changes the file, or makes it: a crash leaves the old one or the new one, whole, and of two who change
/// it at once each sees what the other did.
fn rewrite(
    path: &Path,
    change: impl FnOnce(&str) -> Result<String, EditError>,
) -> Result<(), TokenError> {
    // Not a link is replaced, but what it leads to.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    let locked = File::open(directory).map_err(failed("opening", directory))?;
    locked.lock().map_err(failed("locking", directory))?;
    let text = read(path)?;
    let changed =
        change(text.as_deref().unwrap_or_default()).map_err(|source| TokenError::Edit {
            path: path.clone(),
            source,
        })?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let written = write_new(&unfinished, path, &changed);
    if written.is_err() {
        // What went wrong before is what the user must hear of.
        fs::remove_file(&unfinished).ok();
    }
    written?;
    fs::rename(&unfinished, path).map_err(failed("writing", path))?;
    locked.sync_all().map_err(failed("syncing", directory))
}

/// Writes a file that whoever could read the old one can read, and nobody else.
fn write_new(unfinished: &Path, old: &Path, text: &str) -> Result<(), TokenError> {
    // Left there by one that was killed; nobody else is at it, for the directory is locked.
    fs::remove_file(unfinished).ok();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(unfinished)
        .map_err(failed("writing", unfinished))?;
    if let Ok(old) = fs::metadata(old) {
        let new = file.metadata().map_err(failed("reading", unfinished))?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))
                .map_err(failed("keeping the owner of", unfinished))?;
        }
        let permissions = fs::Permissions::from_mode(old.mode() & 0o777);
        file.set_permissions(permissions)
            .map_err(failed("keeping the mode of", unfinished))?;
    }
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed("writing", unfinished))
}

/// The text of the file. `None`: there is none.
fn read(path: &Path) -> Result<Option<String>, TokenError> {
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("reading", path)(error)),
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::named(text).ok_or_else(|| format!("roles are {}", Role::ALL.map(Role::name).join(", ")))
}

/// Reads a time that is yet to come.
fn moment(text: &str) -> Result<Timestamp, String> {
    let now = Timestamp::now();
    let midnight = |date: Date| {
        date.to_zoned(TimeZone::UTC)
            .ok()
            .map(|time| time.timestamp())
    };
    let after = |span: Span| {
        let then = now.to_zoned(TimeZone::UTC).checked_add(span).ok()?;
        Some(then.timestamp())
    };
    let time = text
        .parse()
        .ok()
        .or_else(|| midnight(text.parse().ok()?))
        .or_else(|| after(text.parse().ok()?))
        .ok_or("write 2027-01-01T00:00:00Z, 2027-01-01 or 90d")?;
    if time <= now {
        return Err(format!("{time} is not to come"));
    }
    // Whole seconds are what people write.
    Timestamp::from_second(time.as_second()).map_err(|error| error.to_string())
}

fn failed(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> TokenError {
    let doing = format!("{verb} {}", path.display()).trim_end().to_owned();
    move |source| TokenError::Io { doing, source }
}

/// It is done whether or not anyone reads this.
fn say(what: &str) {
    writeln!(io::stderr(), "{what}").ok();
}
