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
use crate::format::positions::PositionRow;
use crate::input::SeekTo;
use crate::ops::restore::{
    ExportFormat, ExportPlan, ExportedFile, RestoreError, RollbackPlan, Seek, apply_export, apply_rollback,
    plan_export, plan_rollback,
};
use crate::ops::seek::{SeekError, seek};
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::units::{Bytes, Count};

/// Put the content of an old checkpoint back, or write it out
///
/// Without --to, a new checkpoint with the content of TARGET is committed on
/// top of the latest, after every byte of it was verified; the next run of the
/// job goes on from there. No checkpoint is lost: to take it back, restore the
/// one that was the latest before.
///
/// With --seek, the positions that are named are changed in the new checkpoint,
/// and the state is not: records that the job goes back over are counted twice,
/// and those that it passes over never. That is what it is for, say to leave out
/// a file that is broken. PARTITION is the input as `ckpt inspect --positions`
/// names it. POSITION is `start`, `end`, the number of bytes before it, or
/// `record:N` for the number of records before it; it must be where a record
/// begins, and the input files are read up to it.
///
/// With --to, the state is written into a directory, which must be empty or not
/// be there, and appears only when all of it is written and flushed. Parquet
/// files that a restore has completed before it was cut short are kept by the
/// next one to the same directory. Rows are in the order
/// of task and key. Parquet has a file a shard; jsonl and csv have one file, in
/// which a sketch is only the number of its bytes.
///
/// Examples:
///   ckpt restore checkpoints/clicks@latest~1 --dry-run
///   ckpt restore "checkpoints/clicks@2h ago"
///   ckpt restore checkpoints/clicks --seek data/clicks-1.jsonl=record:5000
///   ckpt restore checkpoints/clicks --to state/ --format csv
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A checkpoint directory inside a store, or STORE@REF, where REF is a number, `latest`, `latest~2` or a time; with
    /// --to or --seek also a store, which is its latest checkpoint
    pub target: OsString,

    /// Write the state into the directory DIR, and leave the store as it is
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,

    /// What to write
    #[arg(long, requires = "to", default_value = "parquet")]
    pub format: Format,

    /// Go on at another position of the input PARTITION: `start`, `end`, a number of bytes, or `record:N`
    #[arg(long, value_name = "PARTITION=POSITION", conflicts_with = "to", value_parser = parse_seek)]
    pub seek: Vec<(String, SeekTo)>,

    /// The directory that the job's input paths are relative to: that of the job file
    #[arg(long, value_name = "DIR", requires = "seek", default_value = ".")]
    pub input_base: PathBuf,

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

fn parse_seek(text: &str) -> Result<(String, SeekTo), String> {
    let expected = "expected PARTITION=POSITION, where POSITION is `start`, `end`, a number of bytes or `record:N`";
    let (partition, position) = text.rsplit_once('=').ok_or(expected)?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let to = match (position, position.strip_prefix("record:")) {
        ("start", _) => Some(SeekTo::Start),
        ("end", _) => Some(SeekTo::End),
        (_, Some(record)) => number(record).map(SeekTo::Record),
        (offset, None) => number(offset).map(SeekTo::Offset),
    };
    Ok((partition.to_owned(), to.ok_or(expected)?))
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
        None if target.reference.is_none() && args.seek.is_empty() => {
            return Err(CliError::usage("expected a checkpoint to go back to, found a store")
                .hint("`ckpt list STORE` shows the checkpoints; name one as STORE@NUMBER"));
        }
        None => {
            let sequence = target.sequence(&store, &now)?;
            let positions = seek(&store, sequence, &args.seek, &args.input_base)?;
            let plan = plan_rollback(&store, sequence, positions, now.timestamp())?;
            roll_back(args, &store, &plan, &now, ui)?;
        }
    }
    Ok(Exit::Clean)
}

impl From<SeekError> for CliError {
    fn from(error: SeekError) -> CliError {
        match error {
            SeekError::Read(error) => error.into(),
            SeekError::NoPartition { ref partition, ref known } => no_partition(&error, partition, known),
            SeekError::Definition(_) => CliError::of(Exit::Damaged, &error),
            SeekError::NamedTwice { .. } | SeekError::Position(_) => CliError::of(Exit::Usage, &error),
            SeekError::Input(_) => {
                CliError::of(Exit::Failed, &error).hint("`--input-base` names the directory that the job file is in")
            }
        }
    }
}

fn no_partition(error: &SeekError, name: &str, known: &[String]) -> CliError {
    let error = CliError::of(Exit::Usage, error);
    let likeness = |known: &&String| (strsim::jaro_winkler(name, known) * 1000.0) as u32;
    match known.iter().max_by_key(likeness) {
        Some(near) => error.hint(format!("the nearest is `{near}`; `ckpt inspect --positions` shows all")),
        None => error.hint("it has no input at all"),
    }
}

fn roll_back(args: &Args, store: &Store, plan: &RollbackPlan, now: &Zoned, ui: &mut Ui) -> Result<(), CliError> {
    if !args.dry_run {
        let holder = words::holder("`ckpt restore`", now);
        apply_rollback(store, plan, &holder, &ui.progress("verifying", Unit::Bytes))?;
    }
    if ui.is_json() {
        ui.json(&RollbackView::new(args, store, plan))?;
        plan.seeks.iter().for_each(|seek| warn_of_seek(&seek.old, &seek.new, ui));
        return Ok(());
    }
    let manifest = &plan.manifest;
    let (would, number) = (if args.dry_run { "would commit" } else { "committed" }, manifest.sequence.0);
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
    if !plan.seeks.is_empty() {
        return Ok(());
    }
    if let Some(records) = plan.latest_manifest.as_ref().and_then(|latest| again(latest, manifest)) {
        ui.note(format!("the next run applies {} again that checkpoint {} had", records, plan.latest.sequence.0));
    }
    Ok(())
}

/// Says what a changed position does to the result: the state does not know of it.
fn warn_of_seek(old: &PositionRow, new: &PositionRow, ui: &Ui) {
    let partition = &new.partition;
    if new.record < old.record {
        let records = counted(old.record - new.record, "record");
        ui.warn(format!("{records} of `{partition}` will be applied a second time: the state has them already"));
    } else if new.record > old.record {
        ui.warn(format!("{} of `{partition}` will never be applied", counted(new.record - old.record, "record")));
    }
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
                let wrote = if file.kept { "kept" } else { "wrote" };
                ui.out(format!("{wrote} {directory}/{}: {rows} rows, {bytes}", file.name))?;
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
            RestoreError::NoPartition { .. } => CliError::of(Exit::Usage, &error),
            RestoreError::Moved { .. } => {
                CliError::of(Exit::Busy, &error).hint("stop the run first, then restore again")
            }
            RestoreError::TargetTaken { .. } => {
                CliError::of(Exit::Usage, &error).hint("name a directory that is not there")
            }
            RestoreError::InProgress { .. } => CliError::of(Exit::Busy, &error),
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
    /// The positions that were chosen by hand.
    seeks: Vec<SeekView>,
}

#[derive(Debug, Serialize)]
struct SeekView {
    partition: String,
    old_offset: u64,
    old_record: u64,
    offset: u64,
    record: u64,
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
            seeks: plan.seeks.iter().map(SeekView::new).collect(),
        }
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
    /// Whether an earlier restore, which was cut short, has written it.
    kept: bool,
}

impl ExportView {
    fn new(args: &Args, store: &Store, plan: &ExportPlan, files: Option<&[ExportedFile]>) -> ExportView {
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
