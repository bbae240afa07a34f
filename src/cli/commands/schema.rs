//! `ckpt schema`: prints the JSON Schema of job files.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::job::schema;

/// Print the JSON Schema of job files, for editors
///
/// With it, an editor completes the keys of a job file, shows what they mean, and
/// underlines mistakes.
///
/// Save it next to your job files and name it in their first line, for editors
/// that use the YAML language server:
///
///   # yaml-language-server: $schema=ckpt.schema.json
///
/// Examples:
///   ckpt schema > ckpt.schema.json
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// Prints the schema. It is JSON with and without `--json`.
pub fn run(ui: &mut Ui) -> Result<Exit, CliError> {
    let text = serde_json::to_string_pretty(&schema()).expect("a JSON value can be written");
    ui.out_bytes(format!("{text}\n").as_bytes())?;
    Ok(Exit::Clean)
}
