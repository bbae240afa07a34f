//! `ckpt unpin`: take a pin away.

use serde::Serialize;

use crate::cli::commands::pin::one_checkpoint;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::cli::words;
use crate::ops::pin::unpin;

/// Take the pin of a checkpoint away
///
/// The next prune decides about the checkpoint by its rules, as about any
/// other. A checkpoint that is not pinned stays as it is.
///
/// Examples:
///   ckpt unpin checkpoints/clicks@42
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A checkpoint directory inside a store, or STORE@REF, where REF is a number, `latest`, `latest~2` or a time
    pub target: std::ffi::OsString,
}

/// Takes the pin away.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = one_checkpoint(&args.target)?;
    let store = target.open(ui)?;
    let now = ui.now();
    let sequence = target.sequence(&store, &now)?;
    let was_pinned = unpin(&store, sequence, &words::holder("`ckpt unpin`", &now))?;
    if ui.is_json() {
        ui.json(&UnpinView { version: 1, store: store.place(), sequence: sequence.0, was_pinned })?;
    } else if was_pinned {
        ui.out(format!("unpinned checkpoint {}", sequence.0))?;
    } else {
        ui.out(format!("checkpoint {} was not pinned", sequence.0))?;
    }
    Ok(Exit::Clean)
}

#[derive(Debug, Serialize)]
struct UnpinView {
    version: u32,
    store: String,
    sequence: u64,
    was_pinned: bool,
}
