//! `ckpt restore --to`: exports the state of a checkpoint.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::json::DryRunHead;
use crate::cli::progress::Unit;
use crate::cli::text::counted;
use crate::cli::ui::Ui;
use crate::ops::restore::{ExportPlan, ExportedFile, apply_export};
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::units::Bytes;

/// Writes the files, unless it is a dry run, and reports them.
pub(super) fn export(dry_run: bool, store: &Store, plan: &ExportPlan, ui: &mut Ui) -> Result<(), CliError> {
    let files = if dry_run { None } else { Some(apply_export(store, plan, &ui.progress("writing", Unit::Bytes))?) };
    if ui.is_json() {
        return ui.json(&ExportView::new(dry_run, store, plan, files.as_deref()));
    }
    let directory = plan.directory.display();
    match files {
        None => {
            for name in &plan.files {
                ui.out(format!("would write {directory}/{name}"))?;
            }
            let keys = counted(plan.snapshot.manifest().totals.keys, "key");
            ui.out(format!("{keys} in {}", counted(plan.files.len() as u64, "file")))
        }
        Some(files) => {
            for file in &files {
                let (rows, bytes) = (counted(file.rows, "row"), Bytes(file.bytes));
                let wrote = if file.kept { "kept" } else { "wrote" };
                ui.out(format!("{wrote} {directory}/{}: {rows}, {bytes}", file.name))?;
            }
            let rows = files.iter().map(|file| file.rows).sum();
            ui.out(format!("{} in {}", counted(rows, "key"), counted(files.len() as u64, "file")))
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ExportView {
    #[serde(flatten)]
    head: DryRunHead,
    sequence: Sequence,
    directory: String,
    keys: u64,
    files: Vec<FileView>,
}

/// A file. Its rows and bytes are null until it is written.
#[derive(Debug, Serialize, JsonSchema)]
struct FileView {
    name: String,
    rows: Option<u64>,
    bytes: Option<u64>,
    /// Whether an interrupted restore had already written it.
    kept: bool,
}

impl ExportView {
    fn new(dry_run: bool, store: &Store, plan: &ExportPlan, files: Option<&[ExportedFile]>) -> ExportView {
        let planned = || {
            plan.files
                .iter()
                .map(|name| FileView { name: name.clone(), rows: None, bytes: None, kept: false })
                .collect()
        };
        let written = |file: &ExportedFile| FileView {
            name: file.name.clone(),
            rows: Some(file.rows),
            bytes: Some(file.bytes),
            kept: file.kept,
        };
        ExportView {
            head: DryRunHead::new(store, dry_run),
            sequence: plan.snapshot.manifest().sequence,
            directory: plan.directory.display().to_string(),
            keys: plan.snapshot.manifest().totals.keys,
            files: files.map_or_else(planned, |files| files.iter().map(written).collect()),
        }
    }
}
