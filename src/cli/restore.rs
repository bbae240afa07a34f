//! `ckpt restore`: puts an old checkpoint's content back, or writes it out.

use std::ffi::OsString;
use std::path::PathBuf;

use jiff::Zoned;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words::{self, counted};
use crate::format::manifest::Manifest;
use crate::id::Sequence;
use crate::ops::restore::{
    ExportFormat, ExportPlan, ExportedFile, RestoreError, RollbackPlan, apply_export, apply_rollback, plan_export,
    plan_rollback,
};
use crate::store::Store;
use crate::units::{Bytes, Count};

/// Put the content of an old checkpoint back, or write it out
///
/// Without --to, a new checkpoint with the content of TARGET is committed on
/// top of the latest, after every byte of it was verified; the next run of the
/// job goes on from there. No checkpoint is lost: to take it back, restore the
/// one that was the latest before.
///
/// With --to, the state is written into a directory, which must be empty or not
/// be there, and appears only when all of it is written. Rows are in the order
/// of task and key. Parquet has a file a shard; jsonl and csv have one file, in
/// which a sketch is only the number of its bytes.
///
/// Examples:
///   ckpt restore checkpoints/clicks@latest~1 --dry-run
///   ckpt restore "checkpoints/clicks@2h ago"
///   ckpt restore checkpoints/clicks --to state/ --format csv
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A checkpoint directory inside a store, or STORE@REF, where REF is a number, `latest`, `latest~2` or a time; with
    /// --to also a store, which is its latest checkpoint
    pub target: OsString,

    /// Write the state into the directory DIR, and leave the store as it is
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,

    /// What to write
    #[arg(long, requires = "to", default_value = "parquet")]
    pub format: Format,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What state is written out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A Parquet file a shard
    Parquet,
    /// A JSON object a line
    Jsonl,
    /// With a header line
    Csv,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> ExportFormat {
        match format {
            Format::Parquet => ExportFormat::Parquet,
            Format::Jsonl => ExportFormat::JsonLines,
            Format::Csv => ExportFormat::Csv,
        }
    }
}

/// Rolls back or writes out.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = Target::parse(&args.target)?;
    let store = target.open(ui)?;
    let now = ui.now();
    match &args.to {
        Some(directory) => {
            let sequence = target.sequence(&store, &now)?;
            let plan = plan_export(&store, sequence, directory, args.format.into())?;
            export(args, &store, &plan, ui)?;
        }
        None if target.reference.is_none() => {
            return Err(CliError::usage("expected a checkpoint to go back to, found a store")
                .hint("`ckpt list STORE` shows the checkpoints; name one as STORE@NUMBER"));
        }
        None => {
            let plan = plan_rollback(&store, target.sequence(&store, &now)?, now.timestamp())?;
            roll_back(args, &store, &plan, &now, ui)?;
        }
    }
    Ok(Exit::Clean)
}

fn roll_back(args: &Args, store: &Store, plan: &RollbackPlan, now: &Zoned, ui: &mut Ui) -> Result<(), CliError> {
    if !args.dry_run {
        let holder = words::holder("`ckpt restore`", now);
        apply_rollback(store, plan, &holder, &ui.progress("verifying", Unit::Bytes))?;
    }
    if ui.is_json() {
        return ui.json(&RollbackView::new(args, store, plan));
    }
    let manifest = &plan.manifest;
    let (would, number) = (if args.dry_run { "would commit" } else { "committed" }, manifest.sequence.0);
    ui.out(format!(
        "{would} checkpoint {number} with the content of checkpoint {}: {}, {}",
        plan.snapshot.manifest().sequence.0,
        counted(manifest.totals.keys, "key"),
        counted(manifest.totals.records, "record"),
    ))?;
    if let Some(records) = plan.latest_manifest.as_ref().and_then(|latest| again(latest, manifest)) {
        ui.note(format!("the next run applies {} again that checkpoint {} had", records, plan.latest.sequence.0));
    }
    Ok(())
}

/// Returns how many records a run would read once more.
fn again(latest: &Manifest, restored: &Manifest) -> Option<String> {
    let records = latest.totals.records.checked_sub(restored.totals.records).filter(|records| *records > 0)?;
    Some(counted(records, "record"))
}

fn export(args: &Args, store: &Store, plan: &ExportPlan, ui: &mut Ui) -> Result<(), CliError> {
    let files =
        if args.dry_run { None } else { Some(apply_export(store, plan, &ui.progress("writing", Unit::Bytes))?) };
    if ui.is_json() {
        return ui.json(&ExportView::new(args, store, plan, files.as_deref()));
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
                let (rows, bytes) = (Count(file.rows), Bytes(file.bytes));
                ui.out(format!("wrote {directory}/{}: {rows} rows, {bytes}", file.name))?;
            }
            let rows = files.iter().map(|file| file.rows).sum();
            ui.out(format!("{} in {}", counted(rows, "key"), counted(files.len() as u64, "file")))
        }
    }
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> CliError {
        match error {
            RestoreError::Read(error) => error.into(),
            RestoreError::AlreadyLatest { .. } => {
                CliError::of(Exit::Usage, &error).hint("`ckpt list STORE` shows the older ones")
            }
            RestoreError::Moved { .. } => {
                CliError::of(Exit::Busy, &error).hint("stop the run first, then restore again")
            }
            RestoreError::TargetTaken { .. } => {
                CliError::of(Exit::Usage, &error).hint("name a directory that is not there")
            }
            RestoreError::Value { .. } => CliError::of(Exit::Damaged, &error),
            RestoreError::Io { .. } => CliError::of(Exit::Failed, &error),
        }
    }
}

#[derive(Debug, Serialize)]
struct RollbackView {
    version: u32,
    dry_run: bool,
    store: String,
    /// The checkpoint that was committed, or would be.
    sequence: u64,
    restored_from: u64,
    parent: u64,
    keys: u64,
    records: u64,
    bytes: u64,
}

impl RollbackView {
    fn new(args: &Args, store: &Store, plan: &RollbackPlan) -> RollbackView {
        RollbackView {
            version: 1,
            dry_run: args.dry_run,
            store: store.place(),
            sequence: plan.manifest.sequence.0,
            restored_from: plan.snapshot.manifest().sequence.0,
            parent: plan.latest.sequence.0,
            keys: plan.manifest.totals.keys,
            records: plan.manifest.totals.records,
            bytes: plan.manifest.totals.bytes,
        }
    }
}

#[derive(Debug, Serialize)]
struct ExportView {
    version: u32,
    dry_run: bool,
    store: String,
    sequence: Sequence,
    directory: String,
    keys: u64,
    files: Vec<FileView>,
}

/// A file; its rows and bytes are known once it was written.
#[derive(Debug, Serialize)]
struct FileView {
    name: String,
    rows: Option<u64>,
    bytes: Option<u64>,
}

impl ExportView {
    fn new(args: &Args, store: &Store, plan: &ExportPlan, files: Option<&[ExportedFile]>) -> ExportView {
        let planned =
            || plan.files.iter().map(|name| FileView { name: name.clone(), rows: None, bytes: None }).collect();
        let written =
            |file: &ExportedFile| FileView { name: file.name.clone(), rows: Some(file.rows), bytes: Some(file.bytes) };
        ExportView {
            version: 1,
            dry_run: args.dry_run,
            store: store.place(),
            sequence: plan.snapshot.manifest().sequence,
            directory: plan.directory.display().to_string(),
            keys: plan.snapshot.manifest().totals.keys,
            files: files.map_or_else(planned, |files| files.iter().map(written).collect()),
        }
    }
}
