//! `ckpt latest`: prints the path of the newest checkpoint.

use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::StoreArg;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::CheckpointHead;
use crate::cli::json_schema::Document;
use crate::cli::progress::Unit;
use crate::cli::ui::Ui;
use crate::format::layout;
use crate::format::manifest::Manifest;
use crate::ops::latest::{self, newest_intact};
use crate::store::records::line_log::Extent;
use crate::store::{Committed, Store};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units;
use crate::values::units::{Age, Span};

/// How far in the future a checkpoint may be dated without a warning: the clocks of two machines may differ that much.
const SKEW_SECONDS: i64 = 60;

/// Print the path of the newest checkpoint, for scripts
///
/// The checkpoint's manifest is intact and its objects exist; if not, or if
/// replicas diverged, nothing is printed, and the exit code is 12.
///
/// With --verified, prints the newest checkpoint that is intact, byte for byte.
/// Newer damaged ones are reported as warnings, and the exit code is still 0. If
/// no checkpoint is intact, nothing is printed, and the exit code is 12.
///
/// With --max-age, the exit code is 1 if the checkpoint is older than that, or if
/// it is dated further in the future than that, because then its age is unknown.
/// Its path is printed anyway. An attempt or a run that found nothing new renews
/// the newest checkpoint: a job without input is healthy.
///
/// Examples:
///   ckpt latest checkpoints/clicks
///   ckpt restore "$(ckpt latest checkpoints/clicks --verified)" --to state/
///   ckpt latest checkpoints/clicks --max-age 1h --quiet || mail -s 'too old' ops
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// Read every byte, and print the newest intact checkpoint
    #[arg(long)]
    pub verified: bool,

    /// Exit with code 1 if the checkpoint is older than this, such as `1h`, or as far in the future
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    pub max_age: Option<Duration>,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<LatestView>];

/// Prints the path.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let store = args.store.open(ui)?;
    // Which branch has the latest checkpoint, nobody can say.
    store.check_undivided()?;
    let (committed, damaged) = if args.verified { verified(&store, ui)? } else { (newest(&store)?, Vec::new()) };
    let manifest = &committed.manifest;
    for (sequence, error) in &damaged {
        ui.warn(format!("checkpoint {} is newer but damaged: {error}", sequence.0));
    }
    let confirmed = if damaged.is_empty() { confirmed(&store, manifest)? } else { manifest.created };
    let age = Age::between(confirmed, ui.now().timestamp());
    let is_beyond = |most: &Duration| i128::from(age.seconds.unsigned_abs()) > i128::from(most.as_secs());
    let too_old = args.max_age.filter(is_beyond);
    let path = args.store.path()?.join(layout::checkpoint_dir(manifest.sequence).as_str());
    if ui.is_json() {
        ui.json(&LatestView {
            head: CheckpointHead::new(&store, manifest.sequence),
            path: path.display().to_string(),
            created: manifest.created,
            age_seconds: Age::between(manifest.created, ui.now().timestamp()).seconds,
            confirmed,
            too_old: too_old.is_some(),
            verified: args.verified,
            damaged: damaged.into_iter().map(|(sequence, error)| DamagedView { sequence: sequence.0, error }).collect(),
        })?;
    } else {
        ui.out_bytes(&[path.as_os_str().as_encoded_bytes(), b"\n"].concat())?;
    }
    let number = manifest.sequence.0;
    if age.seconds <= -SKEW_SECONDS || (age.seconds < 0 && too_old.is_some()) {
        let created = ui.time(manifest.created);
        ui.warn(format!("checkpoint {number} is dated in the future ({created}): a clock is or was wrong"));
    } else if let Some(most) = too_old {
        let made = if confirmed > manifest.created { "was last confirmed" } else { "was made" };
        ui.note(format!("checkpoint {number} {made} {age}; the limit is {}", Span(most)));
    }
    Ok(if too_old.is_some() { Exit::No } else { Exit::Clean })
}

/// Returns when the newest checkpoint was last found to be up to date, see [`latest::confirmed`].
fn confirmed(store: &Store, newest: &Manifest) -> Result<Timestamp, CliError> {
    let attempts = store.attempts(Extent::Whole)?.attempts;
    let operations = store.operations(Extent::Whole)?.operations;
    Ok(latest::confirmed((newest.sequence, newest.created), attempts.iter(), operations.iter()))
}

/// Returns the newest checkpoint. Its objects exist, but their bytes are not read.
fn newest(store: &Store) -> Result<Committed, CliError> {
    let hint = "`ckpt latest --verified` prints the newest intact checkpoint";
    match store.latest_present() {
        Ok(Some(committed)) => Ok(committed),
        Ok(None) => Err(none(store)?),
        Err(error) if error.is_inconclusive() => Err(error.into()),
        Err(error) => Err(CliError::from(error).hint(hint)),
    }
}

/// Returns the newest intact checkpoint, and the newer ones with the reasons why they are not.
fn verified(store: &Store, ui: &Ui) -> Result<(Committed, Vec<(Sequence, String)>), CliError> {
    let found = newest_intact(store, None, &ui.progress("verifying", Unit::Bytes))?;
    let damaged: Vec<_> = found.damaged.iter().map(|(sequence, error)| (*sequence, in_one_line(error))).collect();
    match found.committed {
        Some(committed) => Ok((committed, damaged)),
        None if damaged.is_empty() => Err(none(store)?),
        None => {
            let mut error = CliError::new(Exit::Damaged, format!("`{}` has no intact checkpoint", store.place()));
            error.causes =
                damaged.iter().map(|(sequence, error)| format!("checkpoint {}: {error}", sequence.0)).collect();
            Err(error.hint("`ckpt verify STORE` lists all damage"))
        }
    }
}

fn none(store: &Store) -> Result<CliError, CliError> {
    store.check_not_lost()?;
    Ok(CliError::not_found(format!("`{}` has no checkpoint yet", store.place())))
}

#[derive(Debug, Serialize, JsonSchema)]
struct LatestView {
    #[serde(flatten)]
    head: CheckpointHead,
    path: String,
    created: Timestamp,
    age_seconds: i64,
    /// When an attempt or a run last found that the checkpoint is up to date, or else when it was made.
    confirmed: Timestamp,
    too_old: bool,
    /// Whether every byte was read.
    verified: bool,
    /// Newer checkpoints, which are damaged, newest first.
    damaged: Vec<DamagedView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DamagedView {
    sequence: u64,
    error: String,
}
