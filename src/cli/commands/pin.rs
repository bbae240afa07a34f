//! `ckpt pin`: keep a checkpoint from being pruned.

use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words;
use crate::ops::pin::pin;
use crate::store::records::pins::MAX_REASON_CHARS;

/// Keep a checkpoint from being pruned
///
/// A pinned checkpoint stays, whatever the rules of a prune or of the job file
/// say, until `ckpt unpin` takes the pin away. Pinning it again changes
/// nothing but the reason. A job may be running meanwhile.
///
/// Examples:
///   ckpt pin checkpoints/clicks@42 --reason "before the migration"
///   ckpt pin checkpoints/clicks@latest
///   ckpt list checkpoints/clicks
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A checkpoint directory inside a store, or STORE@REF, where REF is a number, `latest`, `latest~2` or a time
    pub target: std::ffi::OsString,

    /// Why, for whoever finds the pin
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Pins the checkpoint.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let reason = args.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    if let Some(found) = reason.map(|reason| reason.chars().count()).filter(|&found| found > MAX_REASON_CHARS) {
        let message = format!("expected a reason of at most {MAX_REASON_CHARS} characters, found {found}");
        return Err(CliError::usage(message));
    }
    let target = one_checkpoint(&args.target)?;
    let store = target.open(ui)?;
    let now = ui.now();
    let sequence = target.sequence(&store, &now)?;
    let pin = pin(&store, sequence, reason, now.timestamp(), &words::holder("`ckpt pin`", &now))?;
    if ui.is_json() {
        let view = PinView { version: 1, store: store.place(), sequence: sequence.0, reason: pin.reason };
        ui.json(&view)?;
    } else {
        let reason = pin.reason.map_or_else(String::new, |reason| format!(": {reason}"));
        ui.out(format!("pinned checkpoint {}{reason}", sequence.0))?;
    }
    Ok(Exit::Clean)
}

/// Takes an argument apart that must name one checkpoint.
pub(super) fn one_checkpoint(text: &std::ffi::OsStr) -> Result<Target, CliError> {
    let target = Target::parse(text)?;
    if target.reference.is_none() {
        return Err(CliError::usage("expected a checkpoint, found a store")
            .hint("`ckpt list STORE` shows the checkpoints; name one as STORE@NUMBER or STORE@latest"));
    }
    Ok(target)
}

#[derive(Debug, Serialize)]
struct PinView {
    version: u32,
    store: String,
    sequence: u64,
    reason: Option<String>,
}
