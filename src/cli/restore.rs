//! `stratad restore`: makes a data directory from backups. Nothing is touched before all files were
//! read whole and found to belong together, and what was made is read back before it is served.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;

use crate::{
    backup::{
        chain::{self, Chain, ChainError, Checked},
        restore::{self, RestoreError, Step},
    },
    cli::progress,
    journal::sled::SledJournal,
    telemetry,
};

/// What `stratad restore` can be told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A full backup and the incremental ones behind it, in any order.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The directory to make: missing or empty, or left by a restore that was interrupted.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// What `stratad restore --help` begins with.
pub(super) const LONG_ABOUT: &str = "\
Make a data directory from backups. All files are read whole first, and must lead from the first \
commit to the last without a gap: one that is damaged, cut, of another log or of another history is \
named, and nothing is touched. They may be given in any order.

The new directory holds the same log: the same commits at the same positions under the same log id. \
Requests that are sent again get their first answers, and bookmarks from before the backup resume; \
one from after it is refused as LOG_DIVERGED. The view is made again when the daemon first starts. \
The signing key is not in a backup: restore it by itself, before the first start, or the daemon \
makes a new one.

While it works the directory holds a file RESTORING, and no daemon serves it. It goes when the new \
log was read back and its root is that of the backup. A restore that was interrupted is begun anew \
by running it again.";

/// What `stratad restore --help` ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  stratad restore full.strata --data-dir /var/lib/strata
  stratad restore full.strata monday.strata tuesday.strata --data-dir strata-data
  stratad restore /backups/2026-11/*.strata --data-dir drill && stratad serve --data-dir drill";

/// Makes a data directory.
pub fn run(arguments: &Arguments) -> Result<(), RestoreError> {
    telemetry::init_client();
    // It is cheap, and the files may be large.
    SledJournal::refuse_restore(&arguments.data_dir)?;
    let chain = Chain::link(check(&arguments.files)?)?;
    let trailer = chain.last().trailer;

    let progress = progress::bar(trailer.head, "commits").with_message("restoring");
    let restored = restore::restore(&chain, &arguments.data_dir, |step| match step {
        Step::Appended(position) => progress.set_position(position),
        Step::ReadBack(position) => {
            progress.set_message("reading back");
            progress.set_position(position);
        }
    });
    progress.finish_and_clear();
    restored?;
    // It is restored whether or not anyone reads this.
    writeln!(
        io::stdout(),
        "restored positions 1 to {} of log {} into {}, root {}\nserve it: stratad serve --data-dir \
         {}",
        trailer.head,
        chain.last().header.log_id,
        arguments.data_dir.display(),
        hex::encode(trailer.root),
        arguments.data_dir.display()
    )
    .ok();
    Ok(())
}

/// Reads all files to their ends.
fn check(paths: &[PathBuf]) -> Result<Vec<Checked>, ChainError> {
    let bytes = paths.iter().filter_map(|path| fs::metadata(path).ok());
    let progress = progress::bytes_bar(bytes.map(|file| file.len()).sum());
    progress.set_message("checking");
    let mut before = 0;
    let mut files = Vec::new();
    for path in paths {
        let file = chain::check(path, |bytes| progress.set_position(before + bytes));
        if file.is_err() {
            progress.finish_and_clear();
        }
        let file = file?;
        before += file.bytes;
        files.push(file);
    }
    progress.finish_and_clear();
    Ok(files)
}
