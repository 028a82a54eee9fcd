//! What the daemon was told: flags over `STRATA_*` environment over a TOML file over defaults, read
//! into one checked [`Config`]. Every mistake in every layer is reported at once, with the place it
//! came from; a value that cannot be read is a mistake even where a higher layer overrides it.

use std::{
    collections::BTreeMap, ffi::OsString, fmt, fs, net::SocketAddr, ops::Range, path::PathBuf,
};

use crate::{
    config::keys::{CONFIG_VARIABLE, Form, Key, VARIABLE_PREFIX},
    gateway,
    telemetry::LogFormat,
};

pub mod access;
pub mod keys;
pub mod limits;
mod nearest;
pub mod seeing;
pub mod serving;
mod value;

/// What the daemon was told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the API is served. Port 0: any free port.
    pub listen: SocketAddr,
    /// Where the log and the view are kept.
    pub data_dir: PathBuf,
    /// What is logged, as a filter of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// How many requests may wait to be decided.
    pub queue_limit: usize,
    /// About how much memory the plans that are kept at hand take.
    pub plan_cache_bytes: u64,
    /// How much memory the journal's store caches.
    pub journal_cache_bytes: u64,
    /// How much memory the ring of recent commits takes, which watchers read from.
    pub recent_commits_bytes: usize,
    /// How long calls under way may take once the daemon was told to stop.
    pub drain_seconds: u64,
    /// With fewer free bytes on the disk nothing is written; 0: it is written until it is full.
    pub disk_reserve_bytes: u64,
    /// A sync of the disk that takes longer is reported.
    pub sync_stall_seconds: u64,
    /// Where metrics are served. Nothing: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// How the API is served.
    pub serving: serving::Serving,
    /// Who may call.
    pub access: access::Access,
    /// How much callers may do at once.
    pub limits: gateway::limits::Limits,
    /// What is told of the daemon's work.
    pub seeing: seeing::Seeing,
}

/// A configuration file, as far as it could be read.
#[derive(Debug, Clone)]
pub struct File {
    /// How it was named.
    pub name: String,
    /// What it says, or why it could not be read.
    pub text: Result<String, String>,
}

/// Why a configuration is not used: all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was found: `flag --listen`, `STRATA_LISTEN` or `strata.toml: listen`.
    pub origin: String,
    /// What is wrong.
    pub wrong: String,
    /// What is expected instead.
    pub expected: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7421)),
            data_dir: PathBuf::from("./strata-data"),
            log: "info".to_owned(),
            log_format: LogFormat::Auto,
            queue_limit: 4096,
            plan_cache_bytes: 128 << 20,
            journal_cache_bytes: 64 << 20,
            recent_commits_bytes: 32 << 20,
            drain_seconds: 10,
            disk_reserve_bytes: 256 << 20,
            sync_stall_seconds: 10,
            metrics_listen: None,
            serving: serving::Serving::default(),
            access: access::Access::default(),
            limits: gateway::limits::Limits::default(),
            seeing: seeing::Seeing::default(),
        }
    }
}

impl ConfigError {
    /// All that is wrong, in the order file, environment, flags; at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is invalid, nothing was started:")?;
        for problem in &self.problems {
            write!(formatter, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}; expected {}",
            self.origin, self.wrong, self.expected
        )
    }
}

/// Reads the configuration file that the flags or the environment name, and resolves all layers.
/// `flags` are keyed by [`Key::name`]; of `env` only what begins with `STRATA_` is looked at.
pub fn load(
    flags: &BTreeMap<String, String>,
    env: &BTreeMap<String, OsString>,
    file: Option<PathBuf>,
) -> Result<Config, ConfigError> {
    let path = file.or_else(|| env.get(CONFIG_VARIABLE).map(PathBuf::from));
    let file = path.map(|path| File {
        name: path.display().to_string(),
        text: fs::read_to_string(&path).map_err(|error| error.to_string()),
    });
    resolve(flags, env, file.as_ref())
}

/// Resolves the layers: flags (keyed by [`Key::name`]) over environment over file over defaults.
pub fn resolve(
    flags: &BTreeMap<String, String>,
    env: &BTreeMap<String, OsString>,
    file: Option<&File>,
) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    let mut problems = Vec::new();
    if let Some(file) = file {
        apply_file(&mut config, file, &mut problems);
    }
    apply_environment(&mut config, env, &mut problems);
    for (key, text) in keys::all().filter_map(|key| Some((key, flags.get(key.name)?))) {
        let origin = format!("flag --{}", key.flag);
        apply(&mut config, key, text, origin, &mut problems);
    }
    serving::check(&config, &mut problems);
    config.access.check(&mut problems);
    config.seeing.check(&mut problems);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError { problems })
    }
}

fn apply(config: &mut Config, key: &Key, text: &str, origin: String, problems: &mut Vec<Problem>) {
    if let Err(wrong) = (key.set)(config, text) {
        problems.push(Problem {
            origin,
            wrong,
            expected: key.expected.to_owned(),
        });
    }
}

fn apply_environment(
    config: &mut Config,
    env: &BTreeMap<String, OsString>,
    problems: &mut Vec<Problem>,
) {
    let ours = env
        .iter()
        .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX) && *name != CONFIG_VARIABLE);
    for (variable, value) in ours {
        let Some(key) = keys::all().find(|key| key.variable() == *variable) else {
            let known = keys::all()
                .map(Key::variable)
                .chain([CONFIG_VARIABLE.to_owned()]);
            problems.push(Problem {
                origin: variable.clone(),
                wrong: "there is no such variable".to_owned(),
                expected: nearest::expectation(variable, known),
            });
            continue;
        };
        match value.to_str() {
            Some(text) => apply(config, key, text, variable.clone(), problems),
            None => problems.push(Problem {
                origin: variable.clone(),
                wrong: "the value is not UTF-8".to_owned(),
                expected: key.expected.to_owned(),
            }),
        }
    }
}

fn apply_file(config: &mut Config, file: &File, problems: &mut Vec<Problem>) {
    let text = match &file.text {
        Ok(text) => text,
        Err(reason) => {
            problems.push(Problem {
                origin: file.name.clone(),
                wrong: format!("the file cannot be read: {reason}"),
                expected: "a readable TOML file".to_owned(),
            });
            return;
        }
    };
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            problems.push(Problem {
                origin: format!("{}: line {}", file.name, line_of(text, error.span())),
                wrong: error.message().to_owned(),
                expected: "lines of TOML, such as listen = \"127.0.0.1:7421\"".to_owned(),
            });
            return;
        }
    };
    for (name, value) in &table {
        let origin = format!("{}: {name}", file.name);
        let Some(key) = keys::all().find(|key| key.name == name) else {
            problems.push(Problem {
                origin,
                wrong: "there is no such key".to_owned(),
                expected: nearest::expectation(name, keys::all().map(|key| key.name.to_owned())),
            });
            continue;
        };
        match text_of(key, value) {
            Ok(text) => apply(config, key, &text, origin, problems),
            Err(wrong) => problems.push(Problem {
                origin,
                wrong,
                expected: key.expected.to_owned(),
            }),
        }
    }
}

/// A value of the file as it would be written in a flag.
fn text_of(key: &Key, value: &toml::Value) -> Result<String, String> {
    if let Some(text) = value.as_str() {
        Ok(text.to_owned())
    } else if let Some(number) = value.as_integer().filter(|_| key.form.is_number()) {
        Ok(number.to_string())
    } else if let Some(is_on) = value.as_bool().filter(|_| key.form == Form::Switch) {
        Ok(is_on.to_string())
    } else {
        Err(format!("{value} is of type {}", value.type_str()))
    }
}

fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or("");
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests;
