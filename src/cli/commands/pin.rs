//! `ckpt pin`: keeps a checkpoint from being pruned.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::{CHECKPOINT_HELP, TargetArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::CheckpointHead;
use crate::cli::json_schema::Document;
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::ops::pin::pin;
use crate::store::records::pins::MAX_REASON_CHARS;

/// Keep a checkpoint from being pruned
///
/// A pinned checkpoint is never pruned, regardless of the keep rules, until
/// `ckpt unpin` removes the pin. Pinning it again only changes the reason. The
/// job may be running.
///
/// Examples:
///   ckpt pin checkpoints/clicks@42 --reason "before the migration"
///   ckpt pin checkpoints/clicks@latest
///   ckpt list checkpoints/clicks
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(value_name = "TARGET", help = CHECKPOINT_HELP)]
    pub target: TargetArg,

    /// Why the checkpoint is pinned
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<PinView>];

/// Pins the checkpoint.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let reason = args.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    if let Some(found) = reason.map(|reason| reason.chars().count()).filter(|&found| found > MAX_REASON_CHARS) {
        let message = format!("expected a reason of at most {MAX_REASON_CHARS} characters, found {found}");
        return Err(CliError::usage(message));
    }
    let (store, sequence) = args.target.named_checkpoint(ui)?;
    let now = ui.now();
    let pin = pin(&store, sequence, reason, now.timestamp(), &text::holder("`ckpt pin`", &now))?;
    if ui.is_json() {
        ui.json(&PinView { head: CheckpointHead::new(&store, sequence), reason: pin.reason })?;
    } else {
        let reason = pin.reason.map_or_else(String::new, |reason| format!(": {reason}"));
        ui.out(format!("pinned checkpoint {}{reason}", sequence.0))?;
    }
    ui.warn_of_away(&store, "does not get the pin");
    Ok(Exit::Clean)
}

#[derive(Debug, Serialize, JsonSchema)]
struct PinView {
    #[serde(flatten)]
    head: CheckpointHead,
    reason: Option<String>,
}
