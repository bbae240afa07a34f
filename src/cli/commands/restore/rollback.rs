//! `ckpt restore` without `--to`: rolls back to an older checkpoint.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::DryRunHead;
use crate::cli::progress::Unit;
use crate::cli::text::{self, counted};
use crate::cli::ui::Ui;
use crate::format::manifest::Manifest;
use crate::format::positions::PositionRow;
use crate::ops::restore::{Forgotten, RollbackPlan, Seek, apply_rollback};
use crate::ops::workers::running;
use crate::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::units::Count;

/// Commits the new checkpoint, unless it is a dry run, and reports it.
pub(super) fn roll_back(dry_run: bool, store: &Store, plan: &RollbackPlan, ui: &mut Ui) -> Result<(), CliError> {
    if !dry_run {
        let holder = text::holder("`ckpt restore`", &ui.now());
        apply_rollback(store, plan, &holder, &ui.progress("verifying", Unit::Bytes))?;
    }
    if ui.is_json() {
        ui.json(&RollbackView::new(dry_run, store, plan))?;
        plan.seeks.iter().for_each(|seek| warn_of_seek(&seek.old, &seek.new, ui));
        plan.forgotten.iter().for_each(|forgotten| warn_of_forgotten(forgotten, ui));
        return Ok(());
    }
    let manifest = &plan.manifest;
    let (would, number) = (if dry_run { "would commit" } else { "committed" }, manifest.sequence.0);
    ui.out(format!(
        "{would} checkpoint {number} with the content of checkpoint {}: {}, {}",
        plan.snapshot.manifest().sequence.0,
        counted(manifest.totals.keys, "key"),
        counted(manifest.totals.records, "record"),
    ))?;
    for Seek { old, new } in &plan.seeks {
        ui.out(format!(
            "  {}: from record {} at byte {} to record {} at byte {}",
            new.partition,
            Count(old.record),
            Count(old.offset),
            Count(new.record),
            Count(new.offset)
        ))?;
        warn_of_seek(old, new, ui);
    }
    for forgotten in &plan.forgotten {
        let records = counted(forgotten.records, "record");
        ui.out(format!("  {}: no position any more; {records} of it stay in the state", forgotten.partition))?;
        warn_of_forgotten(forgotten, ui);
    }
    if !plan.seeks.is_empty() || !plan.forgotten.is_empty() {
        return Ok(());
    }
    if let Some(records) = plan.latest_manifest.as_ref().and_then(|latest| again(latest, manifest)) {
        ui.note(format!("the next run will apply {records} of checkpoint {} again", plan.latest.sequence.0));
    }
    Ok(())
}

/// Fails if workers run the job and its store has no locks: they would continue from the new checkpoint. Warns if the brokers do
/// not answer.
pub(super) fn refuse_workers(store: &Store, plan: &RollbackPlan, base: &Path, ui: &Ui) -> Result<(), CliError> {
    if !store.is_remote() {
        return Ok(());
    }
    let latest = store.manifest(plan.latest.sequence);
    let names = match running(store, latest.as_ref().unwrap_or(&plan.snapshot.committed), base) {
        Ok(names) => names,
        Err(error) => {
            let reason = in_one_line(&error);
            ui.warn(format!(
                "cannot tell whether workers are running: {reason}; if any are, they continue from this checkpoint"
            ));
            return Ok(());
        }
    };
    if names.is_empty() {
        return Ok(());
    }
    let noun = if names.len() == 1 { "worker" } else { "workers" };
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("the store is in use by {noun} {}", text::listed(&names));
    Err(CliError::new(Exit::Busy, message).hint(
        "stop the workers first; the group forgets one that was killed, or that ended without `--leave`, when its session time-out is over",
    ))
}

/// Warns about the effect of a changed position: the state stays as it is.
fn warn_of_seek(old: &PositionRow, new: &PositionRow, ui: &Ui) {
    let partition = &new.partition;
    if new.record < old.record {
        let records = counted(old.record - new.record, "record");
        ui.warn(format!("{records} of `{partition}` will be applied twice: the state already includes them"));
    } else if new.record > old.record {
        ui.warn(format!("{} of `{partition}` will never be applied", counted(new.record - old.record, "record")));
    }
}

/// Warns of records that only some shards have applied.
fn warn_of_forgotten(forgotten: &Forgotten, ui: &Ui) {
    if forgotten.missing_records > 0 {
        let records = counted(forgotten.missing_records, "record");
        ui.warn(format!("up to {records} of `{}` will never be applied to all shards", forgotten.partition));
    }
}

/// Returns how many records a run would apply again.
fn again(latest: &Manifest, restored: &Manifest) -> Option<String> {
    let records = latest.totals.records.checked_sub(restored.totals.records).filter(|records| *records > 0)?;
    Some(counted(records, "record"))
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RollbackView {
    #[serde(flatten)]
    head: DryRunHead,
    /// The checkpoint that was committed, or would be.
    sequence: u64,
    restored_from: u64,
    parent: u64,
    keys: u64,
    records: u64,
    bytes: u64,
    /// The changed positions.
    seeks: Vec<SeekView>,
    /// The partitions that were let go.
    forgotten: Vec<ForgottenView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ForgottenView {
    partition: String,
    records: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SeekView {
    partition: String,
    old_offset: u64,
    old_record: u64,
    offset: u64,
    record: u64,
}

impl RollbackView {
    fn new(dry_run: bool, store: &Store, plan: &RollbackPlan) -> RollbackView {
        RollbackView {
            head: DryRunHead::new(store, dry_run),
            sequence: plan.manifest.sequence.0,
            restored_from: plan.snapshot.manifest().sequence.0,
            parent: plan.latest.sequence.0,
            keys: plan.manifest.totals.keys,
            records: plan.manifest.totals.records,
            bytes: plan.manifest.totals.bytes,
            seeks: plan.seeks.iter().map(SeekView::new).collect(),
            forgotten: plan.forgotten.iter().map(ForgottenView::new).collect(),
        }
    }
}

impl ForgottenView {
    fn new(forgotten: &Forgotten) -> ForgottenView {
        ForgottenView { partition: forgotten.partition.clone(), records: forgotten.records }
    }
}

impl SeekView {
    fn new(seek: &Seek) -> SeekView {
        SeekView {
            partition: seek.new.partition.clone(),
            old_offset: seek.old.offset,
            old_record: seek.old.record,
            offset: seek.new.offset,
            record: seek.new.record,
        }
    }
}
