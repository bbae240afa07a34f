//! `ckpt restore`: rolls a job back to an older checkpoint, or exports its state.

use std::path::{Path, PathBuf};

use schemars::SchemaGenerator;

use crate::cli::args::{CHECKPOINT_HELP, TargetArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::ui::Ui;
use crate::input::SeekTo;
use crate::ops::read::ReadError;
use crate::ops::restore::{ExportFormat, PositionChanges, RestoreError, plan_export, plan_rollback};
use crate::ops::seek::{SeekError, seek};

mod export;
mod rollback;

/// What to do if a run has committed a checkpoint since the restore began.
const STOP_THE_RUN: &str = "stop the run first, then restore again";

/// Roll back to an older checkpoint, or export its state
///
/// Without --to, commits a new checkpoint with the content of TARGET, after
/// verifying every byte of it. The next run of the job resumes from there. No
/// checkpoint is lost: to undo the restore, restore the previous latest one. Stop
/// the job before: while a run or a worker uses the store, a restore is refused. In
/// a bucket, which has no locks, only workers are known, because the brokers of the
/// job are asked which of them are running.
///
/// --seek changes positions in the new checkpoint but not the state. Records that
/// the job reads again are counted twice, and records that it skips are never
/// counted. Use it, for example, to skip a broken file. PARTITION is the input as
/// `ckpt inspect --positions` names it. POSITION is `start`, `end`, the number of
/// bytes before it, or `record:N` for the number of records before it. It must be
/// at the start of a record; the input is read up to there to check it.
///
/// --forget lets an input go: the new checkpoint has no position in PARTITION, and
/// the state keeps what was counted of it. Use it for an input that is gone and was
/// not read to its end, or whose name another file has now. If a file with that name
/// matches the job's paths, it is read from its beginning.
///
/// With --to, writes the state into a directory, which must be empty or missing,
/// and not in a store. A missing one appears only when it is complete and flushed
/// to disk. An empty one is filled, and keeps its owner and mode. If a restore is
/// interrupted, the next one to the same directory keeps the files that are
/// complete. With the URL of a prefix in a bucket, such as s3://bucket/state/, the
/// prefix must be empty; each file appears when it is complete, and `_SUCCESS` when
/// all are. Rows are in the order of task and key. Parquet has one file per
/// shard; JSON lines and CSV have a single file. In those two, sketches are left
/// out, and only what they estimate is written.
///
/// With --as output, writes the file that the job would have written with `emit:
/// final` at TARGET, in the format of its output: the columns of the output, sorted
/// by key, without the rows that `having` leaves out. The rows are in memory
/// meanwhile. Rows that a program emitted are not in the state, nor are closed
/// windows, so jobs that publish these with each checkpoint are refused.
///
/// Examples:
///   ckpt restore checkpoints/clicks@latest~1 --dry-run
///   ckpt restore "checkpoints/clicks@2h ago"
///   ckpt restore checkpoints/clicks --seek data/clicks-1.jsonl=record:5000
///   ckpt restore checkpoints/clicks --forget data/clicks-1.jsonl
///   ckpt restore checkpoints/clicks --to state/ --format csv
///   ckpt restore checkpoints/clicks@42 --to old/ --as output
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(value_name = "TARGET", help = target_help())]
    pub target: TargetArg,

    /// Write the state into the directory or URL DIR, and leave the store unchanged
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,

    /// The format of the files
    #[arg(long, requires = "to", default_value = "parquet")]
    pub format: Format,

    /// What to write instead of the state
    #[arg(long = "as", value_name = "WHAT", requires = "to", conflicts_with = "format")]
    pub what: Option<What>,

    /// Resume the input PARTITION at another position: `start`, `end`, a number of bytes, or `record:N`
    #[arg(long, value_name = "PARTITION=POSITION", conflicts_with = "to", value_parser = parse_seek)]
    pub seek: Vec<(String, SeekTo)>,

    /// Let the input PARTITION go: the new checkpoint has no position in it
    #[arg(long, value_name = "PARTITION", conflicts_with = "to")]
    pub forget: Vec<String>,

    /// With --seek: the directory of the job file, which input paths are relative to
    #[arg(long, value_name = "DIR", requires = "seek", default_value = ".")]
    pub input_base: PathBuf,

    /// Show what would be done, without doing it
    #[arg(long)]
    pub dry_run: bool,
}

fn target_help() -> String {
    format!("{CHECKPOINT_HELP}; with --to, --seek or --forget, a store alone means its latest checkpoint")
}

/// The format of exported state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One Parquet file per shard
    Parquet,
    /// One JSON object per line; `jsonl` means the same
    #[value(alias = "jsonl")]
    Json,
    /// CSV with a header line
    Csv,
}

/// What to write instead of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// The file that the job's output would be
    Output,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> ExportFormat {
        match format {
            Format::Parquet => ExportFormat::Parquet,
            Format::Json => ExportFormat::JsonLines,
            Format::Csv => ExportFormat::Csv,
        }
    }
}

fn parse_seek(text: &str) -> Result<(String, SeekTo), String> {
    let expected = "expected PARTITION=POSITION, where POSITION is `start`, `end`, a number of bytes, or `record:N`";
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

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] =
    &[SchemaGenerator::subschema_for::<rollback::RollbackView>, SchemaGenerator::subschema_for::<export::ExportView>];

/// Rolls back, or exports the state.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    if let Some(directory) = &args.to {
        let target = args.target.parse()?;
        let store = target.open_to_show(ui)?;
        return target.read(&store, &ui.now(), |sequence| {
            let format = match args.what {
                Some(What::Output) => ExportFormat::Output,
                None => args.format.into(),
            };
            let plan = plan_export(&store, sequence, directory, format)?;
            export::export(args.dry_run, &store, &plan, ui)?;
            Ok(Exit::Clean)
        });
    }
    let store = args.target.parse()?.open_to_change(ui)?;
    if args.seek.is_empty() && args.forget.is_empty() {
        args.target.refuse_store()?;
    }
    let sequence = args.target.parse()?.sequence(&store, &ui.now())?;
    if let Some((partition, _)) = args.seek.iter().find(|(partition, _)| args.forget.contains(partition)) {
        return Err(CliError::usage(format!("both `--seek` and `--forget` name the input `{partition}`")));
    }
    let seeks = seek(&store, sequence, &args.seek, &args.input_base)?;
    let changes = PositionChanges { seeks, forget: args.forget.clone() };
    let plan = plan_rollback(&store, sequence, changes, ui.now().timestamp())?;
    if !args.dry_run {
        let target = args.target.parse()?;
        rollback::refuse_workers(&store, &plan, target.job_directory.as_deref().unwrap_or(Path::new("")), ui)?;
    }
    rollback::roll_back(args.dry_run, &store, &plan, ui)?;
    Ok(Exit::Clean)
}

impl From<SeekError> for CliError {
    fn from(error: SeekError) -> CliError {
        match error {
            SeekError::Read(error) => error.into(),
            SeekError::NoPartition { ref partition, ref known } => no_partition(&error, partition, known),
            SeekError::Definition(_) => CliError::of(Exit::Damaged, &error),
            SeekError::NamedTwice { .. } | SeekError::Topic { .. } | SeekError::Position(_) => {
                CliError::of(Exit::Usage, &error)
            }
            SeekError::Input(_) => {
                CliError::of(Exit::Failed, &error).hint("set `--input-base` to the directory of the job file")
            }
        }
    }
}

fn no_partition(error: &SeekError, name: &str, known: &[String]) -> CliError {
    let error = CliError::of(Exit::Usage, error);
    let likeness = |known: &&String| (strsim::jaro_winkler(name, known) * 1000.0) as u32;
    match known.iter().max_by_key(likeness) {
        Some(near) => error.hint(format!("the nearest is `{near}`; `ckpt inspect --positions` lists all")),
        None => error.hint("it has no input"),
    }
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> CliError {
        match error {
            RestoreError::Read(ReadError::Store(error)) if error.is_taken() => {
                CliError::of(Exit::Busy, &error).hint(STOP_THE_RUN)
            }
            RestoreError::Read(error) => error.into(),
            RestoreError::AlreadyLatest { .. } => {
                CliError::of(Exit::Usage, &error).hint("`ckpt list STORE` lists the older checkpoints")
            }
            RestoreError::NoPartition { .. } => CliError::of(Exit::Usage, &error)
                .hint("`ckpt inspect STORE --positions` lists the inputs of the checkpoint"),
            RestoreError::Moved { .. } => CliError::of(Exit::Busy, &error).hint(STOP_THE_RUN),
            RestoreError::TargetTaken { .. } => {
                CliError::of(Exit::Usage, &error).hint("name an empty directory, or one that does not exist")
            }
            RestoreError::InStore { .. } => CliError::of(Exit::Usage, &error)
                .hint("name a directory outside of it; without `--to`, `ckpt restore` rolls the store back"),
            RestoreError::PrefixTaken { .. } => CliError::of(Exit::Usage, &error)
                .hint("name a prefix that has no objects; an interrupted restore continues only with the same checkpoint and format"),
            RestoreError::Url { .. } => CliError::of(Exit::Usage, &error),
            RestoreError::Bucket(error) => error.into(),
            RestoreError::InProgress { .. } => CliError::of(Exit::Busy, &error),
            RestoreError::Value { .. } | RestoreError::Key { .. } | RestoreError::Definition(_) | RestoreError::Contradiction { .. } => {
                CliError::of(Exit::Damaged, &error)
            }
            RestoreError::OwnOutput { .. } => {
                CliError::of(Exit::Usage, &error).hint("leave out `--as output` to write the state")
            }
            RestoreError::Having(_) | RestoreError::Thread { .. } => CliError::of(Exit::Failed, &error),
            RestoreError::Io { .. } => CliError::of(Exit::Failed, &error),
        }
    }
}
