//! Which data directory a command works on that needs no daemon: found as `stratad serve` finds it,
//! so that what the one was told need not be told the other.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::config::{self, ConfigError, keys::VARIABLE_PREFIX};

/// The variables of `stratad serve` that say where the data is.
const VARIABLES: [&str; 2] = ["CONFIG", "DATA_DIR"];

/// The flag.
#[derive(Debug, Args)]
pub struct DataDir {
    /// The data directory of the log.
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        help = "The data directory of the log [default: ./strata-data] [env: STRATA_DATA_DIR]"
    )]
    data_dir: Option<String>,
}

/// A directory without a log.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no log in {}: say with --data-dir where it is, or begin one with `stratad serve`",
    dir.display()
)]
pub struct NoLog {
    dir: PathBuf,
}

impl DataDir {
    /// The directory by flag, environment or default.
    pub fn resolve(&self) -> Result<PathBuf, ConfigError> {
        let flags = self.data_dir.iter();
        let flags = flags.map(|text| ("data_dir".to_owned(), text.clone()));
        let variables = VARIABLES.map(|name| format!("{VARIABLE_PREFIX}{name}"));
        let environment: BTreeMap<_, _> = variables
            .into_iter()
            .filter_map(|name| Some((name.clone(), env::var_os(name)?)))
            .collect();
        Ok(config::load(&flags.collect(), &environment, None)?.data_dir)
    }
}

/// Refuses a directory that never was a data directory.
pub fn refuse_no_log(dir: &Path) -> Result<(), NoLog> {
    // What else may be wrong with it is said by who opens it.
    match dir.join("FORMAT").try_exists() {
        Ok(false) => Err(NoLog {
            dir: dir.to_owned(),
        }),
        Ok(true) | Err(_) => Ok(()),
    }
}
