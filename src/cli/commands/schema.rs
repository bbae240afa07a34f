//! `ckpt schema`: prints the JSON Schema of job files, or of what a command prints with `--json`.

use clap::ValueEnum as _;
use schemars::SchemaGenerator;
use serde_json::Value;

use super::{
    check, checkpoint, copy, diff, init, inspect, latest, list, log, pin, prune, report, restore, run as run_command,
    samza, stats, unpin, verify, workers,
};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::ErrorView;
use crate::cli::json_schema::{self, Document};
use crate::cli::ui::Ui;
use crate::cli::version;
use crate::job::schema;

/// Print the JSON Schema of job files, or of what a command prints with --json
///
/// With the schema of job files, an editor completes the keys of a job file, shows
/// what they mean, and underlines mistakes. Save it next to your job files and name
/// it in their first line, for editors that use the YAML language server:
///
///   # yaml-language-server: $schema=ckpt.schema.json
///
/// `ckpt schema list` is the schema of what `ckpt list --json` prints. Where a
/// command prints several documents, each on a line of its own, every line fits it.
///
/// Examples:
///   ckpt schema > ckpt.schema.json
///   ckpt schema verify > verify.schema.json
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to print the schema of: `job` for job files, a command for its --json documents, `error` for the errors of all
    /// commands, or `version` for `ckpt --version`
    #[arg(value_enum, value_name = "WHAT", default_value = "job", hide_possible_values = true)]
    pub what: What,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    Job,
    Error,
    Version,
    Run,
    Init,
    Check,
    Checkpoint,
    List,
    Log,
    Report,
    Inspect,
    Workers,
    Verify,
    Diff,
    Restore,
    Prune,
    Pin,
    Unpin,
    Copy,
    Latest,
    Stats,
    Samza,
}

impl What {
    /// Returns the kinds of documents, or `None` for job files.
    fn documents(self) -> Option<&'static [Document]> {
        Some(match self {
            What::Job => return None,
            What::Error => &[SchemaGenerator::subschema_for::<ErrorView<'static>>],
            What::Version => version::DOCUMENTS,
            What::Run => run_command::DOCUMENTS,
            What::Init => init::DOCUMENTS,
            What::Check => check::DOCUMENTS,
            What::Checkpoint => checkpoint::DOCUMENTS,
            What::List => list::DOCUMENTS,
            What::Log => log::DOCUMENTS,
            What::Report => report::DOCUMENTS,
            What::Inspect => inspect::DOCUMENTS,
            What::Workers => workers::DOCUMENTS,
            What::Verify => verify::DOCUMENTS,
            What::Diff => diff::DOCUMENTS,
            What::Restore => restore::DOCUMENTS,
            What::Prune => prune::DOCUMENTS,
            What::Pin => pin::DOCUMENTS,
            What::Unpin => unpin::DOCUMENTS,
            What::Copy => copy::DOCUMENTS,
            What::Latest => latest::DOCUMENTS,
            What::Stats => stats::DOCUMENTS,
            What::Samza => samza::DOCUMENTS,
        })
    }

    fn title(self) -> String {
        match self {
            What::Error => "an error, with --json".to_owned(),
            What::Version => "ckpt --version --json".to_owned(),
            _ => {
                let name = self.to_possible_value();
                format!("ckpt {} --json", name.as_ref().map_or("", |value| value.get_name()))
            }
        }
    }

    fn schema(self) -> Value {
        match self.documents() {
            None => schema(),
            Some(documents) => json_schema::schema(&self.title(), documents).to_value(),
        }
    }
}

/// Prints the schema. It is JSON with and without `--json`.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let text = serde_json::to_string_pretty(&args.what.schema()).expect("a JSON value can be written");
    ui.out_bytes(format!("{text}\n").as_bytes())?;
    Ok(Exit::Clean)
}
