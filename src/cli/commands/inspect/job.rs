//! `ckpt inspect --job`: the job file that made a checkpoint.

use schemars::JsonSchema;
use serde::Serialize;

use super::head::Head;
use crate::cli::error::CliError;
use crate::cli::ui::Ui;

/// Prints the job file.
pub(super) fn show(head: Head, definition: &str, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        return ui.json(&JobView { head, definition });
    }
    ui.out_text(definition)
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JobView<'a> {
    #[serde(flatten)]
    head: Head,
    /// The text of the job file, in YAML.
    definition: &'a str,
}
