//! The command line: what can be asked of `stratad`, said so that `--help` teaches it, and what
//! came of it as an exit status. Each command has a file of its own.

use std::{
    io::{self, Write as _},
    process,
};

use clap::{Parser, Subcommand};

use crate::{
    access::token::{holds_token, without_tokens},
    backup::restore::RestoreError,
    telemetry,
};

pub mod backup;
pub mod data_dir;
pub mod explain;
pub mod export;
pub mod health;
pub mod import;
pub mod key;
pub mod progress;
pub mod remote;
pub mod restore;
pub mod serve;
pub mod token;
pub mod verify;

/// The exit status of a command that failed.
const EXIT_FAILED: u8 = 1;

/// The exit status of a command that was asked wrongly, and so says nothing of what was asked.
const EXIT_USAGE: u8 = 2;

/// The exit status of a daemon that was not started because its configuration is invalid.
const EXIT_CONFIG: u8 = 64;

/// Where a client command looks for the daemon when it is not told.
const DEFAULT_URL: &str = "http://127.0.0.1:7421";

/// The system of record for why a plan changed.
#[derive(Debug, Parser)]
#[command(
    name = "stratad",
    version,
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked of `stratad`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon.
    #[command(long_about = serve::LONG_ABOUT, after_help = serve::AFTER_HELP)]
    Serve(serve::Arguments),
    /// Record the requests of a file, one in JSON a line.
    #[command(long_about = import::LONG_ABOUT, after_help = import::AFTER_HELP)]
    Import(import::Arguments),
    /// Write the history of a plan as requests that can be imported.
    #[command(long_about = export::LONG_ABOUT, after_help = export::AFTER_HELP)]
    Export(export::Arguments),
    /// Tell why something in a plan is as it is.
    #[command(long_about = explain::LONG_ABOUT, after_help = explain::AFTER_HELP)]
    Explain(explain::Arguments),
    /// Ask a running daemon whether it serves.
    #[command(long_about = health::LONG_ABOUT, after_help = health::AFTER_HELP)]
    Health(health::Arguments),
    /// Take a backup from a running daemon.
    #[command(long_about = backup::LONG_ABOUT, after_help = backup::AFTER_HELP)]
    Backup(backup::Arguments),
    /// Make a data directory from backups.
    #[command(long_about = restore::LONG_ABOUT, after_help = restore::AFTER_HELP)]
    Restore(restore::Arguments),
    /// Show the public key of a log, and keep its secret key safe.
    #[command(long_about = key::LONG_ABOUT, after_help = key::AFTER_HELP)]
    Key(key::Arguments),
    /// Make, list and revoke the tokens by which callers are known.
    #[command(long_about = token::LONG_ABOUT, after_help = token::AFTER_HELP)]
    Token(token::Arguments),
    /// Prove that a log is whole, and what it was when you kept a checkpoint.
    #[command(long_about = verify::LONG_ABOUT, after_help = verify::AFTER_HELP)]
    Verify(verify::Arguments),
}

/// What this process was asked. What cannot be understood ends it with usage and status; a token that `stratad token`
/// made is not repeated, for what is said may be kept.
#[must_use]
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|refused| {
        let said = refused.render().to_string();
        if !refused.use_stderr() || !holds_token(&said) {
            refused.exit();
        }
        let shown = without_tokens(&said);
        // Nothing can be done about a stderr that is gone.
        drop(io::stderr().write_all(shown.as_bytes()));
        process::exit(EXIT_USAGE.into())
    })
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The daemon could not start or did not stop cleanly.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    /// An import ended early.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// An export ended early.
    #[error(transparent)]
    Export(#[from] export::ExportError),
    /// Nothing was explained.
    #[error(transparent)]
    Explain(#[from] explain::ExplainError),
    /// The daemon does not serve, or cannot be asked.
    #[error(transparent)]
    Health(#[from] health::HealthError),
    /// There is no backup.
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    /// A backup was not restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The key was not shown, copied or put back.
    #[error(transparent)]
    Key(#[from] key::KeyCommandError),
    /// Tokens were not made, shown or revoked.
    #[error(transparent)]
    Token(#[from] token::TokenError),
    /// A log does not hold, or was not verified.
    #[error(transparent)]
    Verify(#[from] verify::VerifyError),
}

const LONG_ABOUT: &str = "\
The system of record for why a plan changed.

Clients send commands about plans: an objective, the strategies chosen to reach it, and the tactics \
tried under each strategy. stratad decides them, records them as events in a log that is only ever \
added to, and shows every plan as it is, as it was, and why it became so, all over one gRPC API.";

const AFTER_HELP: &str = "\
Try it:
  stratad serve                                    # in one terminal
  grpcurl -plaintext localhost:7421 list           # in another: what can be asked
  grpcurl -plaintext -d '{\"plan_id\":\"growth\",\"request_id\":\"first\",
    \"commands\":[{\"create_plan\":{\"title\":\"Grow the bakery\"}}]}' \\
    localhost:7421 strata.v1.PlanService/Execute
  grpcurl -plaintext -d '{\"plan_id\":\"growth\"}' localhost:7421 strata.v1.PlanService/GetPlan

Exit status: 0 done, 1 failed, 2 wrong usage, 64 invalid configuration.";

impl Failure {
    /// The exit status that tells scripts what kind of failure it was.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Serve(serve::ServeError::Config(_))
            | Self::Key(key::KeyCommandError::Config(_))
            | Self::Token(token::TokenError::Config(_)) => EXIT_CONFIG,
            Self::Verify(error) if error.is_not_verified() => EXIT_USAGE,
            Self::Serve(_)
            | Self::Import(_)
            | Self::Export(_)
            | Self::Explain(_)
            | Self::Health(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Key(_)
            | Self::Token(_)
            | Self::Verify(_) => EXIT_FAILED,
        }
    }
}

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(arguments) => serve::run(arguments)?,
        Command::Import(arguments) => import::run(&arguments)?,
        Command::Export(arguments) => export::run(&arguments)?,
        Command::Explain(arguments) => explain::run(&arguments)?,
        Command::Health(arguments) => health::run(&arguments)?,
        Command::Backup(arguments) => backup::run(&arguments)?,
        Command::Restore(arguments) => restore::run(&arguments)?,
        Command::Key(arguments) => key::run(&arguments)?,
        Command::Token(arguments) => token::run(&arguments)?,
        Command::Verify(arguments) => verify::run(&arguments)?,
    }
    Ok(())
}

/// Says on stderr why a command failed: as a line of the log where that is for programs.
pub fn report(failure: &Failure) {
    // What was given in the place of a path or an address is told, and may have been a token.
    let mut failure = failure.to_string();
    if holds_token(&failure) {
        failure = without_tokens(&failure);
    }
    if telemetry::logs_json() {
        tracing::error!("{failure}");
        return;
    }
    // Where stderr is closed nobody listens, and the exit status still speaks.
    writeln!(io::stderr(), "error: {failure}").ok();
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, error::ErrorKind};

    use super::*;
    use crate::config::keys;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bare_stratad_explains_itself_with_status_2() {
        let answer = Cli::try_parse_from(["stratad"]).expect_err("nothing was asked for");
        assert_eq!(
            answer.kind(),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        assert_eq!(answer.exit_code(), 2);
        let help = answer.to_string();
        assert!(help.contains("stratad serve"), "{help}");
        assert!(help.contains("grpcurl"), "{help}");
    }

    #[test]
    fn the_help_of_serve_names_every_key_with_its_default_and_its_variable() {
        let mut command = Cli::command();
        let serve = command.find_subcommand_mut("serve").expect("it exists");
        let help = serve.render_long_help().to_string();
        for key in keys::all() {
            let value = if key.form == keys::Form::Switch {
                "[=<"
            } else {
                " <"
            };
            let flag = format!("--{}{value}", key.flag);
            assert!(help.contains(&flag), "{}", key.name);
            assert!(help.contains(&key.default_text()), "{}", key.name);
            assert!(help.contains(&key.variable()), "{}", key.name);
        }
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:"), "{}", command.get_name());
        }
    }

    #[test]
    fn an_invalid_configuration_is_told_apart_from_a_failure() {
        let arguments = ["stratad", "serve", "--listen", "0.0.0.0:7421"];
        let cli = Cli::try_parse_from(arguments).expect("the usage is right");
        let failure = run(cli).expect_err("others reach the address, and nothing protects it");
        assert_eq!(failure.exit_status(), EXIT_CONFIG);
        assert!(
            failure.to_string().contains("listen: others can reach"),
            "{failure}"
        );
    }
}
