//! `ckpt workers`: shows which worker has which tasks, and how far they are.

use std::path::Path;

use jiff::Timestamp;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::{TARGET_HELP, TargetArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::JobHead;
use crate::cli::json_schema::Document;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::ops::workers::{TaskCommit, WorkerTasks, Workers, workers};
use crate::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::{Age, Count};

/// Show which worker has which tasks, and how old their checkpoints are
///
/// For a job that several workers run (`ckpt run --worker NAME`): each task is
/// a partition of the topic, and belongs to the worker that committed it last.
/// LAST COMMIT is the age of the newest commit of a worker, OLDEST TASK that of
/// the task that waits longest for its next one. A worker that has died keeps
/// its tasks here until another one commits them.
///
/// Only the store is read. With --lag, the brokers are asked too: LAG is the
/// number of messages that the latest checkpoint does not have yet. If they do
/// not answer, the rest is shown, and the exit code is 3.
///
/// The exit code is 1 if no worker has committed anything.
///
/// Examples:
///   ckpt workers checkpoints/clicks
///   ckpt workers checkpoints/clicks --tasks
///   ckpt workers checkpoints/clicks --json | jq '.workers[].oldest_age_seconds'
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(value_name = "TARGET", help = TARGET_HELP)]
    pub target: TargetArg,

    /// Show each task on a line of its own
    #[arg(long)]
    pub tasks: bool,

    /// Ask the brokers how far each task is behind
    #[arg(long)]
    pub lag: bool,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<WorkersView<'static>>];

/// Prints the workers, or the tasks.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = args.target.parse()?;
    let store = target.open_to_show(ui)?;
    let base = target.job_directory.as_deref().unwrap_or(Path::new(""));
    target.read(&store, &ui.now(), |sequence| show(args, &store, base, sequence, ui))
}

fn show(args: &Args, store: &Store, base: &Path, sequence: Sequence, ui: &mut Ui) -> Result<Exit, CliError> {
    let mut found = workers(store, sequence)?;
    let mut exit = Exit::Clean;
    if args.lag
        && found.committed.manifest.is_divisible()
        && let Err(error) = found.ask_lag(store, base)
    {
        ui.warn(format!("the lag is unknown: {}", in_one_line(&error)));
        exit = Exit::Incomplete;
    }
    let now = ui.now().timestamp();
    if ui.is_json() {
        ui.json(&WorkersView::new(store, &found, now))?;
    } else {
        show_tables(args, &found, now, ui)?;
    }
    if found.has_workers() {
        return Ok(exit);
    }
    ui.note(match found.committed.manifest.is_divisible() {
        true => "no worker has committed anything: the job was run without `--worker`",
        false => "the job has no workers: its tasks are not the partitions of a topic (`tasks: partitions`)",
    });
    Ok(Exit::No)
}

fn show_tables(args: &Args, found: &Workers, now: Timestamp, ui: &mut Ui) -> Result<(), CliError> {
    let manifest = &found.committed.manifest;
    let age = Age::between(manifest.created, now);
    ui.heading(format!("checkpoint {} of job {}, {age}", manifest.sequence.0, manifest.job))?;
    match () {
        () if found.tasks.is_empty() => Ok(()),
        () if args.tasks => ui.table(&table_of_tasks(&found.tasks, args.lag, now)),
        () => ui.table(&table_of_workers(&found.by_worker(), args.lag, now)),
    }
}

fn table_of_workers(workers: &[WorkerTasks<'_>], has_lag: bool, now: Timestamp) -> Table {
    let mut columns = vec![
        Column::name("WORKER"),
        Column::number("TASKS"),
        Column::number("LAST COMMIT"),
        Column::number("OLDEST TASK"),
    ];
    columns.extend(has_lag.then(|| Column::number("LAG")));
    columns.push(Column::wrapped("PARTITIONS"));
    let mut table = Table::new(columns);
    for worker in workers {
        let times = worker.times();
        let numbers: Vec<u64> = worker.tasks.iter().map(|task| u64::from(task.task)).collect();
        let mut cells = vec![
            text::or_dash(worker.worker),
            Count(numbers.len() as u64).to_string(),
            text::or_dash(times.and_then(|(_, newest)| age(newest, now))),
            text::or_dash(times.and_then(|(oldest, _)| age(oldest, now))),
        ];
        cells.extend(has_lag.then(|| text::or_dash(worker.lag().map(Count))));
        cells.push(text::ranges(&numbers));
        table.row(cells);
    }
    table
}

fn table_of_tasks(tasks: &[TaskCommit], has_lag: bool, now: Timestamp) -> Table {
    let mut columns = vec![
        Column::number("TASK"),
        Column::name("PARTITION"),
        Column::name("WORKER"),
        Column::number("LAST COMMIT"),
        Column::number("TOPIC OFFSET"),
        Column::number("RECORDS"),
    ];
    columns.extend(has_lag.then(|| Column::number("LAG")));
    let mut table = Table::new(columns);
    for task in tasks {
        let commit = task.commit.as_ref();
        let mut cells = vec![
            task.task.to_string(),
            text::or_dash(task.partition.as_ref()),
            text::or_dash(commit.map(|commit| &commit.worker)),
            text::or_dash(commit.and_then(|commit| age(commit.time, now))),
            text::or_dash(task.topic_offset.map(Count)),
            Count(task.records).to_string(),
        ];
        cells.extend(has_lag.then(|| text::or_dash(task.lag.map(Count))));
        table.row(cells);
    }
    table
}

/// Returns the age of a commit, whose time may be out of range in a forged table.
fn age(millis: i64, now: Timestamp) -> Option<Age> {
    Some(Age::between(Timestamp::from_millisecond(millis).ok()?, now))
}

#[derive(Debug, Serialize, JsonSchema)]
struct WorkersView<'a> {
    #[serde(flatten)]
    head: JobHead,
    sequence: u64,
    created: Timestamp,
    age_seconds: i64,
    /// Those that committed a task last, by name.
    workers: Vec<WorkerView<'a>>,
    tasks: Vec<TaskView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct WorkerView<'a> {
    worker: &'a str,
    /// The numbers of its tasks.
    owns: Vec<u32>,
    newest_age_seconds: Option<i64>,
    oldest_age_seconds: Option<i64>,
    lag: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TaskView<'a> {
    task: u32,
    partition: Option<&'a str>,
    worker: Option<&'a str>,
    committed: Option<Timestamp>,
    age_seconds: Option<i64>,
    topic_offset: Option<u64>,
    records: u64,
    lag: Option<u64>,
}

impl<'a> WorkersView<'a> {
    fn new(store: &Store, found: &'a Workers, now: Timestamp) -> WorkersView<'a> {
        let manifest = &found.committed.manifest;
        WorkersView {
            head: JobHead::new(store),
            sequence: manifest.sequence.0,
            created: manifest.created,
            age_seconds: Age::between(manifest.created, now).seconds,
            workers: found.by_worker().iter().filter_map(|worker| WorkerView::new(worker, now)).collect(),
            tasks: found.tasks.iter().map(|task| TaskView::new(task, now)).collect(),
        }
    }
}

impl<'a> WorkerView<'a> {
    /// Returns nothing for the tasks that no worker has.
    fn new(worker: &WorkerTasks<'a>, now: Timestamp) -> Option<WorkerView<'a>> {
        let times = worker.times();
        let seconds = |millis: Option<i64>| millis.and_then(|millis| age(millis, now)).map(|age| age.seconds);
        Some(WorkerView {
            worker: worker.worker?,
            owns: worker.tasks.iter().map(|task| task.task).collect(),
            newest_age_seconds: seconds(times.map(|(_, newest)| newest)),
            oldest_age_seconds: seconds(times.map(|(oldest, _)| oldest)),
            lag: worker.lag(),
        })
    }
}

impl<'a> TaskView<'a> {
    fn new(task: &'a TaskCommit, now: Timestamp) -> TaskView<'a> {
        let commit = task.commit.as_ref();
        TaskView {
            task: task.task,
            partition: task.partition.as_deref(),
            worker: commit.map(|commit| commit.worker.as_str()),
            committed: commit.and_then(|commit| Timestamp::from_millisecond(commit.time).ok()),
            age_seconds: commit.and_then(|commit| age(commit.time, now)).map(|age| age.seconds),
            topic_offset: task.topic_offset,
            records: task.records,
            lag: task.lag,
        }
    }
}
