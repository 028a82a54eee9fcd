//! Who is compared: Strata, first and always, and those of the others that are chosen and installed.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    contender::{Contender, Failure},
    etcd::Etcd,
    installed::{self, Installed},
    message_db::MessageDb,
    nats::Nats,
    strata_server::StrataServer,
    tell,
    umadb::UmaDb,
};

/// The names of the others.
pub(crate) const OTHERS: [&str; 6] = [
    "bare echo",
    "bare sync",
    "UmaDB",
    "message-db",
    "NATS",
    "etcd",
];

/// All that run.
pub(crate) struct Lineup {
    pub(crate) contenders: Vec<Box<dyn Contender>>,
    /// What their programs say of their versions.
    pub(crate) versions: Vec<String>,
}

/// Starts Strata and those of the others that are named, each with a directory of its own below `dir`. Who is not
/// installed is left out with a word.
pub(crate) async fn start(
    stratad: &Path,
    names: &[&str],
    tools: &Path,
    dir: &Path,
) -> Result<Lineup, Failure> {
    let installed = Installed::below(tools);
    let answers = own(dir, "Strata")?;
    let mut lineup = Lineup {
        contenders: vec![Box::new(StrataServer::stratad(stratad, &answers).await?)],
        versions: vec![installed::version(stratad)],
    };
    for name in names {
        let started = lineup.start(name, &installed, &answers, dir).await;
        started.map_err(|failure| format!("{name}: {failure}"))?;
    }
    Ok(lineup)
}

impl Lineup {
    async fn start(
        &mut self,
        name: &str,
        installed: &Installed,
        answers: &Path,
        dir: &Path,
    ) -> Result<(), Failure> {
        let own = own(dir, name)?;
        let version = match name {
            "bare echo" => {
                self.add(StrataServer::echo(answers).await?);
                return Ok(());
            }
            "bare sync" => {
                self.add(StrataServer::sync(answers, &own).await?);
                return Ok(());
            }
            "UmaDB" => match &installed.umadb {
                Some(binary) => {
                    self.add(UmaDb::start(binary, &own).await?);
                    Some(installed::version(binary))
                }
                None => None,
            },
            "message-db" => match &installed.message_db {
                Some((programs, functions)) => {
                    self.add(MessageDb::start(programs, functions, &own).await?);
                    let postgres = installed::version(&programs.join("postgres"));
                    Some(format!("message-db on {postgres}"))
                }
                None => None,
            },
            "NATS" => match &installed.nats {
                Some(binary) => {
                    self.add(Nats::start(binary, &own).await?);
                    Some(installed::version(binary))
                }
                None => None,
            },
            _ => match &installed.etcd {
                Some(binary) => {
                    self.add(Etcd::start(binary, &own).await?);
                    Some(installed::version(binary))
                }
                None => None,
            },
        };
        match version {
            Some(version) => self.versions.push(version),
            None => tell(&format!(
                "{name} is not installed and left out: benches/versus/install"
            )),
        }
        Ok(())
    }

    fn add(&mut self, contender: impl Contender + 'static) {
        self.contenders.push(Box::new(contender));
    }
}

/// A directory that one may look into as somebody else, as `PostgreSQL` does.
fn own(dir: &Path, name: &str) -> Result<PathBuf, Failure> {
    let own = dir.join(name.replace(' ', "-"));
    fs::create_dir(&own)?;
    fs::set_permissions(&own, Permissions::from_mode(0o755))?;
    Ok(own)
}
