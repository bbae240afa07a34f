//! `ckpt unpin`: removes the pin of a checkpoint.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::{CHECKPOINT_HELP, TargetArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::CheckpointHead;
use crate::cli::json_schema::Document;
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::ops::pin::unpin;

/// Remove the pin of a checkpoint
///
/// From then on, keep rules apply to the checkpoint as to any other. If it has
/// no pin, nothing changes.
///
/// Examples:
///   ckpt unpin checkpoints/clicks@42
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(value_name = "TARGET", help = CHECKPOINT_HELP)]
    pub target: TargetArg,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<UnpinView>];

/// Removes the pin.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let (store, sequence) = args.target.named_checkpoint(ui)?;
    let was_pinned = unpin(&store, sequence, &text::holder("`ckpt unpin`", &ui.now()))?;
    if ui.is_json() {
        ui.json(&UnpinView { head: CheckpointHead::new(&store, sequence), was_pinned })?;
    } else if was_pinned {
        ui.out(format!("unpinned checkpoint {}", sequence.0))?;
    } else {
        ui.out(format!("checkpoint {} was not pinned", sequence.0))?;
    }
    ui.warn_of_away(&store, "keeps a pin that it has");
    Ok(Exit::Clean)
}

#[derive(Debug, Serialize, JsonSchema)]
struct UnpinView {
    #[serde(flatten)]
    head: CheckpointHead,
    was_pinned: bool,
}
