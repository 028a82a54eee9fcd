//! Who is compared: Strata, first and always, and those of the others that are chosen and installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    contender::{Contender, Failure},
    etcd::Etcd,
    installed::{self, Installed},
    message_db::MessageDb,
    nats::Nats,
    room,
    strata_server::StrataServer,
    tell,
    umadb::UmaDb,
};

/// The name of the first.
pub(crate) const STRATA: &str = "Strata";

/// The names of the others.
pub(crate) const OTHERS: [&str; 6] = [
    "bare echo",
    "bare sync",
    "UmaDB",
    "message-db",
    "NATS",
    "etcd",
];

/// What can be started.
pub(crate) struct Programs {
    pub(crate) stratad: PathBuf,
    installed: Installed,
}

impl Programs {
    /// The daemon, and those of the others that are installed.
    pub(crate) fn new(stratad: &Path, tools: &Path) -> Self {
        Self {
            stratad: stratad.to_owned(),
            installed: Installed::below(tools),
        }
    }

    /// Starts one that keeps what it is given, with nothing in it, in a directory of its own below `dir`; none if it
    /// is not installed, or keeps nothing.
    pub(crate) async fn start(
        &self,
        name: &str,
        dir: &Path,
    ) -> Result<Option<Box<dyn Contender>>, Failure> {
        let installed = &self.installed;
        let own = own(dir, name)?;
        Ok(match name {
            STRATA => Some(Box::new(StrataServer::new(&self.stratad, &own).await?)),
            "UmaDB" => match &installed.umadb {
                Some(binary) => Some(Box::new(UmaDb::start(binary, &own).await?)),
                None => None,
            },
            "message-db" => match &installed.message_db {
                Some((programs, functions)) => {
                    let started = MessageDb::start(programs, functions, &own).await?;
                    Some(Box::new(started))
                }
                None => None,
            },
            "NATS" => match &installed.nats {
                Some(binary) => Some(Box::new(Nats::start(binary, &own).await?)),
                None => None,
            },
            "etcd" => match &installed.etcd {
                Some(binary) => Some(Box::new(Etcd::start(binary, &own).await?)),
                None => None,
            },
            _ => None,
        })
    }

    /// What those that are named and installed say of their versions.
    pub(crate) fn versions(&self, names: &[&str]) -> Vec<String> {
        let installed = &self.installed;
        let mut versions = vec![installed::version(&self.stratad)];
        for name in names {
            let binary = match *name {
                "UmaDB" => &installed.umadb,
                "message-db" => {
                    if let Some((programs, _)) = &installed.message_db {
                        let postgres = installed::version(&programs.join("postgres"));
                        versions.push(format!("message-db on {postgres}"));
                    }
                    continue;
                }
                "NATS" => &installed.nats,
                "etcd" => &installed.etcd,
                _ => continue,
            };
            versions.extend(binary.iter().map(|it| installed::version(it)));
        }
        versions
    }
}

/// Starts Strata, with the plans that are asked for, and those of the others that are named, each with a directory of
/// its own below `dir`. Who is not installed is left out with a word.
pub(crate) async fn start(
    programs: &Programs,
    names: &[&str],
    dir: &Path,
) -> Result<Vec<Box<dyn Contender>>, Failure> {
    let answers = own(dir, STRATA)?;
    let strata = StrataServer::prepared(&programs.stratad, &answers).await?;
    let mut lineup: Vec<Box<dyn Contender>> = vec![Box::new(strata)];
    for name in names {
        let started: Option<Box<dyn Contender>> = match *name {
            "bare echo" => Some(Box::new(StrataServer::echo(&answers).await?)),
            "bare sync" => {
                let own = own(dir, name)?;
                Some(Box::new(StrataServer::sync(&answers, &own).await?))
            }
            other => {
                let started = programs.start(other, dir).await;
                started.map_err(|failure| format!("{name}: {failure}"))?
            }
        };
        match started {
            Some(started) => lineup.push(started),
            None => tell(&format!(
                "{name} is not installed and left out: benches/versus/install"
            )),
        }
    }
    Ok(lineup)
}

/// A new directory for one of them.
pub(crate) fn own(dir: &Path, name: &str) -> Result<PathBuf, Failure> {
    let own = dir.join(name.replace(' ', "-"));
    fs::create_dir(&own)?;
    room::let_others_in(&own)?;
    Ok(own)
}
