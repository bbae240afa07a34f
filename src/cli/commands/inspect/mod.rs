//! `ckpt inspect`: shows what a checkpoint is and holds.

use std::path::Path;

use schemars::SchemaGenerator;

use crate::cli::args::{TARGET_HELP, TargetArg, check_task, most};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::key;
use crate::cli::progress::Unit;
use crate::cli::ui::Ui;
use crate::format::manifest::Mode;
use crate::ops::inspect::{self, Description};
use crate::ops::read::{Selection, Snapshot};
use crate::store::Store;
use crate::values::id::Sequence;

mod classes;
mod description;
mod head;
mod job;
mod objects;
mod positions;
mod state;
mod tasks;

use head::Head;

/// Show what a checkpoint is, or what it holds
///
/// Without options, shows where the checkpoint comes from, how far the input
/// was applied, and how much state there is. The options show the rows of the
/// state, the tasks, the positions in the input, the objects, or the job file
/// that made the checkpoint.
///
/// Examples:
///   ckpt inspect checkpoints/clicks
///   ckpt inspect checkpoints/clicks@42 --state --key ann
///   ckpt inspect checkpoints/clicks --positions --json
///   ckpt inspect checkpoints/clicks@latest~1 --job > job.yaml
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group(clap::ArgGroup::new("what").args(["state", "tasks", "positions", "objects", "job"])))]
pub struct Args {
    #[arg(value_name = "TARGET", help = TARGET_HELP)]
    pub target: TargetArg,

    /// Show the rows of the state by task and key, as stored: a mean is its sum and its count
    #[arg(long)]
    pub state: bool,

    /// Show each task that has keys, with its shard, keys, and bytes before encoding
    #[arg(long)]
    pub tasks: bool,

    /// Show how far each partition of the input was applied
    #[arg(long)]
    pub positions: bool,

    /// Show the objects, and which of them the parent has too
    #[arg(long)]
    pub objects: bool,

    /// Print the job file
    #[arg(long)]
    pub job: bool,

    /// Show only rows of task N
    #[arg(long, value_name = "N", requires = "state")]
    pub task: Option<u32>,

    /// Show only the row of key K, reading only its shard; exit with code 1 if there is no such key. A key of several
    /// fields is `--key path=/cart --key status=500` or `--key '["/cart",500]'`
    #[arg(long, value_name = "K", requires = "state", conflicts_with = "prefix", allow_hyphen_values = true)]
    pub key: Vec<String>,

    /// Show only rows whose key starts with PREFIX; a key of several fields is a list such as `["/cart",500]`
    #[arg(long, value_name = "PREFIX", requires = "state", allow_hyphen_values = true)]
    pub prefix: Option<String>,

    /// Show tasks without keys too
    #[arg(long, requires = "tasks")]
    pub all: bool,

    /// Show at most N rows or tasks; 0 means all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

impl Args {
    fn limit(&self) -> Option<usize> {
        most(Some(self.limit))
    }
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[
    SchemaGenerator::subschema_for::<description::DescriptionView<'static>>,
    SchemaGenerator::subschema_for::<state::StateView<'static>>,
    SchemaGenerator::subschema_for::<tasks::TasksView>,
    SchemaGenerator::subschema_for::<positions::PositionsView<'static>>,
    SchemaGenerator::subschema_for::<objects::ObjectsView>,
    SchemaGenerator::subschema_for::<job::JobView<'static>>,
];

/// Prints the requested part of the checkpoint.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = args.target.parse()?;
    let store = target.open_to_show(ui)?;
    let job_directory = target.job_directory.as_deref().unwrap_or(Path::new(""));
    target.read(&store, &ui.now(), |sequence| show(args, &store, job_directory, sequence, ui))
}

fn show(args: &Args, store: &Store, job_directory: &Path, sequence: Sequence, ui: &mut Ui) -> Result<Exit, CliError> {
    let head = Head::new(store, sequence);
    if args.state {
        return show_state(args, head, store, sequence, ui);
    } else if args.tasks {
        let progress = ui.progress("reading", Unit::Bytes);
        let tasks = inspect::tasks(store, sequence, args.all, args.limit(), &progress)?;
        drop(progress);
        tasks::show(head, &tasks, ui)?;
    } else if args.positions {
        positions::show(head, &Snapshot::open(store, sequence)?.positions(store)?, ui)?;
    } else if args.objects {
        objects::show(head, &inspect::objects(store, sequence)?, ui)?;
    } else if args.job {
        job::show(head, &Snapshot::open(store, sequence)?.job(store)?, ui)?;
    } else {
        let description = inspect::describe(store, sequence)?;
        let classes = classes_of(store, sequence, &description)?;
        description::show(head, &description, job_directory, &classes, ui)?;
    }
    Ok(Exit::Clean)
}

fn show_state(args: &Args, head: Head, store: &Store, sequence: Sequence, ui: &mut Ui) -> Result<Exit, CliError> {
    let snapshot = Snapshot::open(store, sequence)?;
    check_task(args.task, snapshot.manifest())?;
    let progress = ui.progress("reading", Unit::Bytes);
    let keys = key::filter(snapshot.manifest().key.as_ref(), &args.key, args.prefix.as_deref())?;
    let rows = inspect::state(store, &snapshot, &Selection { task: args.task, keys }, args.limit(), &progress)?;
    drop(progress);
    state::show(head, snapshot.manifest(), &rows, &args.key, ui)?;
    // Whether a key exists is a question with an answer.
    Ok(if !args.key.is_empty() && rows.rows.is_empty() { Exit::No } else { Exit::Clean })
}

fn classes_of(
    store: &Store,
    sequence: Sequence,
    description: &Description,
) -> Result<Vec<classes::ClassView>, CliError> {
    match description.committed.manifest.mode {
        Mode::Priority => {
            let positions = Snapshot::open(store, sequence)?.positions(store)?;
            Ok(classes::classes(store, &description.committed, &positions))
        }
        Mode::Elided | Mode::Scheduled => Ok(Vec::new()),
    }
}
