//! The command line: arguments, text, tables, JSON, progress and exit codes.
//!
//! Only this floor uses clap, terminals, the clock and the environment. Each verb is a module with `Args`, whose doc
//! comment is its help, and `run`; it becomes a command by a line in [`Command`] and one in `Command::run`.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::cli::commands::Command;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::options::GlobalOptions;
use crate::cli::ui::Ui;
use crate::runner::process::processor::Processors;

pub mod args;
mod cache;
pub mod clock;
pub mod color;
pub mod commands;
pub mod entropy;
pub mod error;
pub mod exit;
mod exposition;
pub mod json;
pub mod json_schema;
mod key;
pub mod log;
pub mod options;
pub mod progress;
mod replace_file;
pub mod sparkline;
pub mod table;
pub mod target;
pub mod text;
pub mod times;
pub mod ui;
mod version;
#[cfg(feature = "s3")]
mod waiting;

/// Checkpoints for stateful jobs: run, resume, inspect, verify, compare and restore
///
/// `ckpt run` runs a job so that a crash costs seconds and never changes the result. The other commands manage the
/// checkpoints that a run makes.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "ckpt", version, disable_version_flag = true, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version)]
    version: Option<bool>,

    /// With --version, also print the commit, the target, the features, and the formats
    #[arg(long, requires = "version")]
    verbose: bool,

    #[command(flatten)]
    pub options: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

/// Returns the clap definition of the program, with the exit codes at the end of every help text.
pub fn command() -> clap::Command {
    with_exit_codes(Cli::command())
}

fn with_exit_codes(command: clap::Command) -> clap::Command {
    command.after_help(Exit::help()).mut_subcommands(with_exit_codes)
}

/// Runs the program.
pub fn main() -> ExitCode {
    main_with(&Processors::default())
}

/// Runs the program with additional processors, for jobs with `process: {native: NAME}`.
pub fn main_with(processors: &Processors) -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let parsed = command().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let options = match &parsed {
        Ok(cli) => cli.options.clone(),
        Err(_) => options_of_invalid(&arguments),
    };
    let mut ui = match Ui::new(&options) {
        Ok(ui) => ui,
        Err(error) => {
            error.lines().iter().for_each(|line| eprintln!("{line}"));
            return error.exit.into();
        }
    };
    ui.report_waiting();
    let outcome = match parsed {
        Ok(cli) => cli.command.run(&mut ui, processors, command()),
        Err(error) => explain(&error, &arguments, &mut ui),
    };
    ui.warn_of_stores();
    // If the answer could not be written, the command failed, whatever it returned.
    let outcome = outcome.and_then(|exit| ui.finish().map(|()| exit));
    let exit = outcome.unwrap_or_else(|error| {
        // The part of the answer that was printed comes before the error.
        let _ = ui.finish();
        ui.error(&error);
        error.exit
    });
    exit.into()
}

/// Parses the options from invalid arguments as far as possible, so that an error respects `--color` too.
fn options_of_invalid(arguments: &[OsString]) -> GlobalOptions {
    let matches = parse_leniently(arguments);
    let options = matches.and_then(|matches| GlobalOptions::from_arg_matches(&matches).ok()).unwrap_or_default();
    // Nothing after the first mistake was parsed.
    let has_json = arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    GlobalOptions { json: options.json || has_json, ..options }
}

/// Parses arguments as far as possible. Unlike errors, `--help` ends the parsing.
fn parse_leniently(arguments: &[OsString]) -> Option<ArgMatches> {
    let command = command().ignore_errors(true).mut_arg("version", |version| version.action(ArgAction::SetTrue));
    command.try_get_matches_from(arguments).ok()
}

/// Prints clap's message: help and version as the answer, anything else as an error.
fn explain(error: &clap::Error, arguments: &[OsString], ui: &mut Ui) -> Result<Exit, CliError> {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp => ui.help(&text).map(|()| Exit::Clean),
        ErrorKind::DisplayVersion => {
            // clap stops at `--version`, wherever it is, so `--verbose` may follow it.
            let is_verbose = parse_leniently(arguments).is_some_and(|matches| matches.get_flag("verbose"));
            version::print(is_verbose, ui).map(|()| Exit::Clean)
        }
        _ => {
            ui.usage(&text.to_string());
            Ok(Exit::Usage)
        }
    }
}
