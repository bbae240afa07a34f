//! The command line: arguments, words, tables, JSON, progress and exit codes.
//!
//! The only floor that knows clap, terminals, the clock and the environment. A verb is a file with its `Args`, whose doc comment is its help, and
//! its `run`; it becomes a command by its line in [`Command`] and its line in `Command::run`.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::commands::Command;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Options, Ui};
use crate::runner::process::processor::Processors;

pub mod clock;
pub mod commands;
pub mod error;
pub mod escape;
pub mod exit;
pub mod log;
pub mod progress;
pub mod sparkline;
pub mod table;
pub mod target;
pub mod ui;
pub mod words;

/// Checkpoints for stateful jobs: run, resume, inspect, verify, compare and restore
///
/// `ckpt run` runs a job so that a crash costs seconds and never a wrong result. The other commands look after
/// the checkpoints that it leaves behind.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "ckpt", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// The options that every command has.
    #[command(flatten)]
    pub options: Options,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Returns what clap knows of the program, with the exit codes at the end of every help text.
pub fn command() -> clap::Command {
    Cli::command().after_help(Exit::help()).mut_subcommands(|command| command.after_help(Exit::help()))
}

/// Runs the program.
pub fn main() -> ExitCode {
    main_with(&Processors::default())
}

/// Runs the program with processors of its own: jobs with `process: {native: NAME}` are applied by them.
pub fn main_with(processors: &Processors) -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let parsed = command().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let options = match &parsed {
        Ok(cli) => cli.options.clone(),
        Err(_) => options_of_wrong(&arguments),
    };
    let mut ui = match Ui::new(&options) {
        Ok(ui) => ui,
        Err(error) => {
            error.lines().iter().for_each(|line| eprintln!("{line}"));
            return error.exit.into();
        }
    };
    let outcome = match parsed {
        Ok(cli) => cli.command.run(&mut ui, processors),
        Err(error) => explain(&error, &mut ui),
    };
    ui.warn_of_stores();
    // What could not be written was not done, whatever the command found out.
    let outcome = outcome.and_then(|exit| ui.finish().map(|()| exit));
    let exit = outcome.unwrap_or_else(|error| {
        // An answer that was begun goes out before the error that cut it short.
        let _ = ui.finish();
        ui.error(&error);
        error.exit
    });
    exit.into()
}

/// Returns as much of the options as can be told from arguments that are wrong: an error honors `--color` too.
fn options_of_wrong(arguments: &[OsString]) -> Options {
    let matches = command().ignore_errors(true).try_get_matches_from(arguments);
    matches.ok().and_then(|matches| Options::from_arg_matches(&matches).ok()).unwrap_or_default()
}

/// Prints what clap has to say: help and version as the answer, anything else as an error.
fn explain(error: &clap::Error, ui: &mut Ui) -> Result<Exit, CliError> {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ui.help(&text).map(|()| Exit::Clean),
        _ => {
            ui.usage(&text.to_string());
            Ok(Exit::Usage)
        }
    }
}
