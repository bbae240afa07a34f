//! `ckpt samza inspect`: shows what is in checkpoints of Samza.

use std::path::PathBuf;

use super::changelogs::StateArgs;
use super::open::{BrokerArgs, PATH_HELP, open, parse_version, warn_of_unreadable};
use super::{directories, offsets, rows, state, stores, views};
use crate::cli::args::most;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::table::{Column, Table};
use crate::cli::text::{counted, or_dash};
use crate::cli::ui::Ui;
use crate::ops::samza::found::{Found, Task, TaskCheckpoint};
use crate::samza::checkpoint::Version;
use crate::values::units::Age;

/// Show what is in checkpoints of Samza
///
/// Lists the tasks with the offsets of their inputs and the state of their stores,
/// V1 and V2 checkpoints side by side, then local stores and snapshots in blob
/// stores. An offset is that of the last message that was processed. Files that
/// cannot be read are reported as warnings, and the exit code is then 3; it is 10
/// if there is nothing of Samza, or no such topic.
///
/// A PATH such as kafka://localhost:9092/page-views/1 is the checkpoint topic of
/// job `page-views` with id 1, which is read from its brokers. This needs a build
/// with the feature `kafka`.
///
/// With --state, shows the keys and values of stores at the checkpoint, from their
/// changelogs: those of the brokers that the PATH names, or dumps of them. The
/// state of one task is in memory at a time.
///
/// With --state --rocksdb, shows what is in the RocksDB directories of stores below
/// the PATH, which may be one of them, and the checkpoint that the CHECKPOINT-V2 in
/// each names. The files in use may be ahead of it. This needs a build with the
/// feature `rocksdb`.
///
/// With --properties, prints the offsets as `checkpoint-tool.sh --new-offsets`
/// reads them.
///
/// Examples:
///   ckpt samza inspect samza/checkpoints
///   ckpt samza inspect samza/topic.jsonl --task 'Partition 0'
///   ckpt samza inspect samza/topic.jsonl --properties > offsets.properties
///   ckpt samza inspect topic.jsonl --state --store totals --changelog log.jsonl
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(required = true, value_name = "PATH", help = PATH_HELP)]
    pub paths: Vec<PathBuf>,

    /// Show only this task
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,

    /// Print the offsets as a Java properties file
    #[arg(long)]
    pub properties: bool,

    /// Show the keys and values of stores
    #[arg(long, conflicts_with = "properties")]
    pub state: bool,

    /// With --properties and --state: the version to use where a task has both, as `task.checkpoint.read.versions` of the
    /// job says [default: 1]
    #[arg(long, value_name = "1|2", value_parser = parse_version)]
    pub read_version: Option<Version>,

    /// With --state: show at most N rows of each store of a task; 0 means all [default: 20]
    #[arg(long, short = 'n', value_name = "N", requires = "state")]
    pub limit: Option<usize>,

    #[command(flatten)]
    pub changelogs: StateArgs,

    #[command(flatten)]
    pub brokers: BrokerArgs,
}

/// Prints what was found.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    check_options(args)?;
    let mut found = open(&args.paths, &args.brokers)?;
    if let Some(name) = &args.task {
        keep_task(&mut found, name)?;
    }
    let is_incomplete = warn_of_unreadable(&found, ui);
    let version = args.read_version.unwrap_or(Version::V1);
    if args.changelogs.rocksdb {
        let limit = most(args.limit.or(Some(20)));
        let shown = directories::show(&found, args.changelogs.store.as_deref(), args.changelogs.serdes(), limit, ui)?;
        return Ok(if is_incomplete { Exit::Incomplete } else { shown });
    }
    if args.state {
        let (stores, changelogs) = args.changelogs.stores(&found, &args.paths, &args.brokers, version)?;
        let shown = rows::show(&stores, &changelogs, args.changelogs.serdes(), most(args.limit.or(Some(20))), ui)?;
        return Ok(if is_incomplete { Exit::Incomplete } else { shown });
    }
    match (args.properties, ui.is_json()) {
        (true, true) => return Err(CliError::usage("`--properties` and `--json` cannot be used together")),
        (true, false) => offsets::show_properties(&found.tasks, version, ui)?,
        (false, true) => views::print(&found, ui)?,
        (false, false) => show(&found, ui)?,
    }
    Ok(if is_incomplete { Exit::Incomplete } else { Exit::Clean })
}

/// Refuses options that say nothing without another one.
fn check_options(args: &Args) -> Result<(), CliError> {
    if args.read_version.is_some() && !args.properties && !args.state {
        return Err(CliError::usage("`--read-version` needs `--properties` or `--state`"));
    }
    if args.changelogs.is_given() && !args.state {
        return Err(CliError::usage("the options about stores and changelogs need `--state`"));
    }
    Ok(())
}

fn keep_task(found: &mut Found, name: &str) -> Result<(), CliError> {
    found.tasks.retain(|task| task.name == name);
    found.stores.retain(|store| store.task == name);
    found.snapshots.retain(|snapshot| snapshot.index.owner.task_name == name);
    if found.tasks.is_empty() && found.stores.is_empty() && found.snapshots.is_empty() {
        return Err(CliError::not_found(format!("there is no task `{name}`")));
    }
    Ok(())
}

fn show(found: &Found, ui: &mut Ui) -> Result<(), CliError> {
    let mut is_first = true;
    let mut begin = |heading: String, ui: &mut Ui| -> Result<(), CliError> {
        if !std::mem::take(&mut is_first) {
            ui.out("")?;
        }
        ui.heading(heading)
    };
    if !found.tasks.is_empty() {
        begin(counted(found.tasks.len() as u64, "task"), ui)?;
        show_tasks(&found.tasks, ui)?;
        begin("offsets of the last processed messages".to_owned(), ui)?;
        offsets::show(&found.tasks, ui)?;
    }
    if found.tasks.iter().flat_map(Task::checkpoints).any(|found| !found.checkpoint.state.is_empty()) {
        begin("state".to_owned(), ui)?;
        state::show(&found.tasks, ui)?;
    }
    if !found.stores.is_empty() {
        begin(counted(found.stores.len() as u64, "local store"), ui)?;
        stores::show_local(&found.stores, ui)?;
    }
    if !found.snapshots.is_empty() {
        begin(counted(found.snapshots.len() as u64, "snapshot"), ui)?;
        stores::show_snapshots(&found.snapshots, ui)?;
    }
    Ok(())
}

fn show_tasks(tasks: &[Task], ui: &mut Ui) -> Result<(), CliError> {
    let has_jobs = tasks.iter().any(|task| task.job.is_some());
    let mut columns: Vec<Column> = has_jobs.then(|| Column::name("JOB")).into_iter().collect();
    columns.extend([
        Column::name("TASK"),
        Column::text("VERSIONS"),
        Column::text("CHECKPOINT"),
        Column::text("AGE"),
        Column::name("PLACE").optional(),
    ]);
    let mut table = Table::new(columns);
    for task in tasks {
        let newest = task.checkpoints().max_by_key(|found| (found.checkpoint.id, found.time()));
        let age = newest.and_then(TaskCheckpoint::time).map(|time| Age::between(time, ui.now().timestamp()));
        let mut cells: Vec<String> = has_jobs.then(|| or_dash(task.job.as_ref())).into_iter().collect();
        cells.extend([
            task.name.clone(),
            versions(task).to_owned(),
            or_dash(newest.and_then(|found| found.checkpoint.id)),
            or_dash(age),
            or_dash(newest.map(|found| &found.place)),
        ]);
        table.row(cells);
    }
    ui.table(&table)
}

fn versions(task: &Task) -> &'static str {
    match (&task.v1, &task.v2) {
        (Some(_), Some(_)) if task.is_divided() => "V1 and V2, differ",
        (Some(_), Some(_)) => "V1 and V2",
        (Some(_), None) => "V1",
        (None, _) => "V2",
    }
}
