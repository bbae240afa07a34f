//! The command line: arguments, words, tables, JSON, progress and exit codes.
//!
//! The only floor that knows clap, terminals, the clock and the environment. A verb is a file with its `Args`, whose doc comment is its help, and
//! its `run`; it becomes a command by its line in [`Command`] and its line in `Command::run`.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Options, Ui};
use crate::runner::process::processor::Processors;

pub mod check;
pub mod checkpoint;
pub mod clock;
pub mod completions;
pub mod copy;
pub mod diff;
pub mod error;
pub mod escape;
pub mod exit;
pub mod inspect;
pub mod journal;
pub mod latest;
pub mod list;
pub mod log;
pub mod pin;
pub mod progress;
pub mod prune;
pub mod restore;
pub mod run;
pub mod sparkline;
pub mod stats;
pub mod table;
pub mod target;
pub mod ui;
pub mod unpin;
pub mod verify;
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

/// The commands, in the order of the help, which is the doc comment of their arguments.
#[derive(Debug, Clone, clap::Subcommand)]
#[allow(missing_docs)]
pub enum Command {
    Run(run::Args),
    Check(check::Args),
    Checkpoint(checkpoint::Args),
    List(list::Args),
    Log(log::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Diff(diff::Args),
    Restore(restore::Args),
    Prune(prune::Args),
    Pin(pin::Args),
    Unpin(unpin::Args),
    Copy(copy::Args),
    Latest(latest::Args),
    Stats(stats::Args),
    Completions(completions::Args),
}

impl Command {
    fn run(&self, ui: &mut Ui, processors: &Processors) -> Result<Exit, CliError> {
        match self {
            Command::Run(args) => run::run(args, ui, processors),
            Command::Check(args) => check::run(args, ui),
            Command::Checkpoint(args) => checkpoint::run(args, ui),
            Command::List(args) => list::run(args, ui),
            Command::Log(args) => log::run(args, ui),
            Command::Inspect(args) => inspect::run(args, ui),
            Command::Verify(args) => verify::run(args, ui),
            Command::Diff(args) => diff::run(args, ui),
            Command::Restore(args) => restore::run(args, ui),
            Command::Prune(args) => prune::run(args, ui),
            Command::Pin(args) => pin::run(args, ui),
            Command::Unpin(args) => unpin::run(args, ui),
            Command::Copy(args) => copy::run(args, ui),
            Command::Latest(args) => latest::run(args, ui),
            Command::Stats(args) => stats::run(args, ui),
            Command::Completions(args) => completions::run(args, ui),
        }
    }
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
