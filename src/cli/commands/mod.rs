//! One module per verb: its arguments, whose doc comments are its help, one call, and views for people and programs.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::runner::process::processor::Processors;

pub mod check;
pub mod checkpoint;
pub mod completions;
pub mod copy;
pub mod diff;
pub mod init;
pub mod inspect;
pub mod latest;
pub mod list;
pub mod log;
pub mod pin;
pub mod prune;
pub mod report;
pub mod restore;
pub mod run;
pub mod samza;
pub mod schema;
pub mod stats;
pub mod unpin;
pub mod verify;
pub mod workers;

/// The commands, in the order of the help. The help of each is the doc comment of its arguments.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    Run(run::Args),
    Init(init::Args),
    Check(check::Args),
    Checkpoint(checkpoint::Args),
    List(list::Args),
    Log(log::Args),
    Report(report::Args),
    Inspect(inspect::Args),
    Workers(workers::Args),
    Verify(verify::Args),
    Diff(diff::Args),
    Restore(restore::Args),
    Prune(prune::Args),
    Pin(pin::Args),
    Unpin(unpin::Args),
    Copy(copy::Args),
    Latest(latest::Args),
    Stats(stats::Args),
    Samza(samza::Args),
    Schema(schema::Args),
    Completions(completions::Args),
}

impl Command {
    /// Runs the command and returns its exit code. `program` is the definition of the whole program.
    pub fn run(&self, ui: &mut Ui, processors: &Processors, program: clap::Command) -> Result<Exit, CliError> {
        match self {
            Command::Run(args) => run::run(args, ui, processors),
            Command::Init(args) => init::run(args, ui),
            Command::Check(args) => check::run(args, ui),
            Command::Checkpoint(args) => checkpoint::run(args, ui),
            Command::List(args) => list::run(args, ui),
            Command::Log(args) => log::run(args, ui),
            Command::Report(args) => report::run(args, ui),
            Command::Inspect(args) => inspect::run(args, ui),
            Command::Workers(args) => workers::run(args, ui),
            Command::Verify(args) => verify::run(args, ui),
            Command::Diff(args) => diff::run(args, ui),
            Command::Restore(args) => restore::run(args, ui),
            Command::Prune(args) => prune::run(args, ui),
            Command::Pin(args) => pin::run(args, ui),
            Command::Unpin(args) => unpin::run(args, ui),
            Command::Copy(args) => copy::run(args, ui),
            Command::Latest(args) => latest::run(args, ui),
            Command::Stats(args) => stats::run(args, ui),
            Command::Samza(args) => samza::run(args, ui),
            Command::Schema(args) => schema::run(args, ui),
            Command::Completions(args) => completions::run(args, program, ui),
        }
    }
}
