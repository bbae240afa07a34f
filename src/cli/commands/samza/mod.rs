//! `ckpt samza`: looks at checkpoints of Apache Samza, and takes them over.

use schemars::SchemaGenerator;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::ui::Ui;

mod changelogs;
mod diff;
mod directories;
mod finding;
mod import;
mod inspect;
mod offsets;
mod open;
mod rows;
mod state;
mod stores;
mod verify;
mod views;

/// Look at checkpoints of Apache Samza, or take them over
///
/// Reads what a Samza job left on disk or in its checkpoint topic, without Samza,
/// and changes nothing of it. docs/samza.md says what can be read.
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment, subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with the checkpoints.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    Inspect(inspect::Args),
    Verify(verify::Args),
    Diff(diff::Args),
    Import(import::Args),
}

/// The documents of the subcommands.
pub const DOCUMENTS: &[Document] = &[
    SchemaGenerator::subschema_for::<views::FoundView<'static>>,
    SchemaGenerator::subschema_for::<rows::RowsView<'static>>,
    SchemaGenerator::subschema_for::<directories::View<'static>>,
    SchemaGenerator::subschema_for::<verify::View<'static>>,
    SchemaGenerator::subschema_for::<diff::View<'static>>,
    SchemaGenerator::subschema_for::<import::View<'static>>,
];

/// Runs the subcommand.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    match &args.command {
        Command::Inspect(args) => inspect::run(args, ui),
        Command::Verify(args) => verify::run(args, ui),
        Command::Diff(args) => diff::run(args, ui),
        Command::Import(args) => import::run(args, ui),
    }
}
