//! Which contenders are on this machine: below target/ where `install` puts them, or where others do.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What can be started.
pub(crate) struct Installed {
    pub(crate) umadb: Option<PathBuf>,
    pub(crate) nats: Option<PathBuf>,
    pub(crate) etcd: Option<PathBuf>,
    /// The directory with the programs of the server, and the script with the functions of message-db.
    pub(crate) message_db: Option<(PathBuf, PathBuf)>,
}

impl Installed {
    pub(crate) fn below(tools: &Path) -> Self {
        let functions = tools.join("message-db/package/database/install.sh");
        Self {
            umadb: found(&tools.join("umadb/bin"), "umadb"),
            nats: found(&tools.join("python/bin"), "nats-server"),
            etcd: found(&tools.join("etcd/usr/bin"), "etcd"),
            message_db: postgres().zip(functions.exists().then_some(functions)),
        }
    }
}

/// What a program says of its version, on the first line.
pub(crate) fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let said = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    let said = said.unwrap_or_default();
    said.lines().next().unwrap_or_default().trim().to_owned()
}

fn found(dir: &Path, program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = vec![dir.to_owned()];
    places.extend(env::split_paths(&path));
    let mut programs = places.into_iter().map(|place| place.join(program));
    programs.find(|it| it.is_file())
}

/// Debian keeps its programs out of the path, each version apart: the latest.
fn postgres() -> Option<PathBuf> {
    if let Some(initdb) = found(Path::new("/nowhere"), "initdb") {
        return initdb.parent().map(Path::to_owned);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut places: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|place| place.join("initdb").is_file())
        .collect();
    places.sort();
    places.pop()
}
