//! `ckpt samza import`: makes the first checkpoint of a job from one of Samza.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::changelogs::{StateArgs, explain_state};
use super::directories::{explain_directory, explain_snapshot};
use super::open::{BrokerArgs, PATH_HELP, open, parse_version, warn_of_unreadable};
use crate::cli::commands::run::explain::explain;
use crate::cli::commands::run::job::{JobArgs, read_job};
use crate::cli::entropy::random;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::VERSION;
use crate::cli::table::{Column, Table};
use crate::cli::text::{self, counted, or_dash};
use crate::cli::ui::Ui;
use crate::job::JobSpec;
use crate::ops::samza::directory::{self, check_whole, snapshot_of};
use crate::ops::samza::found::Found;
use crate::ops::samza::import::{Mapping, StateImportError, TaskError, TaskInput, digest, rows, task_inputs};
use crate::ops::samza::state::{self, Changelogs, TaskStore};
use crate::runner::import::{ImportError, Imported, ImportedPartition, columns, import, partition_count};
use crate::runner::options::Options;
use crate::runner::process::processor::Processors;
use crate::runner::storage_opener::StorageOpener;
use crate::runner::wall_clock::WallClock;
use crate::samza::changelog::StoreContents;
use crate::samza::checkpoint::Version;

/// Make the first checkpoint of a job from a checkpoint of Samza
///
/// Takes the state of a store from its changelog, and the positions from the
/// checkpoint: `ckpt run` with the same job file then continues where Samza
/// stopped. Stop the Samza job first.
///
/// The job reads the topic that the Samza tasks read, with `tasks: partitions`:
/// `Partition 0` of Samza becomes partition 0. Its key is that of the store. Each
/// --column says which part of a value becomes a column of the state; a part that
/// is missing or has another type is an error. The store of the job must not have
/// a checkpoint yet. If anything is wrong, nothing is committed.
///
/// With --rocksdb, takes the state from the snapshots of local stores that Samza
/// made together with the checkpoint, which are below a PATH. Their CHECKPOINT-V2
/// has to say the same as the checkpoint; the files in use are never taken. This
/// needs a build with the feature `rocksdb`.
///
/// The digest is the SHA-256 of all rows, one line of JSON each, as `rows[]` of
/// `ckpt inspect --state --limit 0 --json` has them.
///
/// Topics need a build with the feature `kafka`. For example:
///   ckpt samza import kafka://localhost:9092/page-views/1 --job job.yaml \
///     --store totals --key-serde string --value-serde json \
///     --column clicks=value.clicks --column spent=value.spent
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(required = true, value_name = "PATH", help = PATH_HELP)]
    pub paths: Vec<PathBuf>,

    /// The job file
    #[arg(long, value_name = "JOB")]
    pub job: PathBuf,

    /// Use VALUE instead of what the job file has for KEY; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,

    /// Fill a column of the state from `value` or from a field such as `value.total`; may be repeated. The only column of
    /// a job gets a value that is a number without it
    #[arg(long = "column", value_name = "COLUMN=value")]
    pub columns: Vec<String>,

    /// The version of checkpoints to use, as `task.checkpoint.read.versions` of the job says; needed if the versions of a
    /// task differ
    #[arg(long, value_name = "1|2", value_parser = parse_version)]
    pub read_version: Option<Version>,

    #[command(flatten)]
    pub changelogs: StateArgs,

    #[command(flatten)]
    pub brokers: BrokerArgs,
}

/// Where the state of the tasks is.
enum Source<'a> {
    Changelogs {
        stores: Vec<TaskStore>,
        changelogs: Changelogs,
    },
    /// In the snapshots of local stores, of the one with this name if there are several.
    Snapshots {
        found: &'a Found,
        store: Option<&'a str>,
        version: Version,
    },
}

/// Where the state of a task was.
enum Kept {
    Changelog(TaskStore),
    /// In this directory.
    Snapshot(String),
}

/// What is imported of a task.
struct TaskRows<'a> {
    input: &'a TaskInput,
    kept: Kept,
    partition: ImportedPartition,
}

/// Makes the checkpoint.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let source = JobArgs { job: args.job.clone(), inputs: Vec::new(), settings: args.settings.clone() };
    let (job, text, _) = read_job(&source)?;
    let options = options(&job, ui)?;
    let explain_import = |error: ImportError| explain_import(error, &source, &text);
    let columns = columns(&job).map_err(explain_import)?;
    let serdes = args.changelogs.serdes();
    let mapping = Mapping::parse(&args.columns, &job, &columns, serdes.value).map_err(|error| {
        CliError::of(Exit::Usage, &error).hint("`--column COLUMN=value` or `--column COLUMN=value.FIELD` says so")
    })?;
    let count = partition_count(&job, &options).map_err(explain_import)?;
    let found = open(&args.paths, &args.brokers)?;
    if warn_of_unreadable(&found, ui) {
        let error = CliError::new(Exit::Failed, "nothing was imported, because not everything could be read");
        return Err(error.hint("what could not be read may be a newer checkpoint of a task"));
    }
    let topic = job.input.topic.as_ref().map_or("", |topic| &topic.topic);
    let inputs = task_inputs(&found.tasks, topic, count, args.read_version).map_err(explain_task)?;
    let version = args.read_version.unwrap_or(Version::V1);
    let source_of_state = if args.changelogs.rocksdb {
        Source::Snapshots { found: &found, store: args.changelogs.store.as_deref(), version }
    } else {
        let (stores, changelogs) = args.changelogs.stores(&found, &args.paths, &args.brokers, version)?;
        Source::Changelogs { stores, changelogs }
    };
    let mut tasks = Vec::new();
    for input in &inputs {
        let (contents, name, kept) = source_of_state.read(input)?;
        let rows = rows((&input.task, &name), &contents, serdes, &mapping, &columns).map_err(explain_rows)?;
        if input.last.is_none() && !rows.is_empty() {
            let message = format!("task `{}` has state, but it has not processed a message", input.task);
            return Err(CliError::new(Exit::Failed, message));
        }
        tasks.push(TaskRows { input, kept, partition: ImportedPartition { last: input.last, rows } });
    }
    let of_task = |task: &TaskRows<'_>| (task.input.partition, task.partition.rows.len());
    let keys: Vec<(u32, usize)> = tasks.iter().map(of_task).collect();
    let digest =
        digest(tasks.iter().map(|task| (task.input.partition, &task.partition.rows[..])), &columns).to_string();
    let (stores, partitions): (Vec<(&TaskInput, Kept)>, Vec<ImportedPartition>) =
        tasks.into_iter().map(|task| ((task.input, task.kept), task.partition)).unzip();
    let imported = import(&job, &options, &partitions).map_err(explain_import)?;
    let view = View::new(&job, &imported, &stores, &keys, &digest);
    if ui.is_json() {
        ui.json(&view)?
    } else {
        view.show(ui)?
    }
    Ok(Exit::Clean)
}

impl Source<'_> {
    /// Reads the state of a task. Returns its contents, the name of the store, and where it was.
    fn read(&self, input: &TaskInput) -> Result<(StoreContents, String, Kept), CliError> {
        match self {
            Source::Changelogs { stores, changelogs } => {
                let store = store_of(input, stores)?;
                let contents = state::read(store, changelogs).map_err(explain_state)?;
                Ok((contents, store.store.clone(), Kept::Changelog(store.clone())))
            }
            Source::Snapshots { found, store, version } => {
                let task = found.tasks.iter().find(|task| task.name == input.task);
                let used = task.and_then(|task| task.used(*version)).expect("its input was read from it");
                let snapshot = snapshot_of(&input.task, used, *store, &found.stores).map_err(explain_snapshot)?;
                let contents = directory::read(Path::new(&snapshot.place)).map_err(explain_directory)?;
                check_whole(&snapshot.place, &contents).map_err(explain_snapshot)?;
                let contents = StoreContents { rows: contents.rows, doubtful: Vec::new() };
                Ok((contents, snapshot.store.clone(), Kept::Snapshot(snapshot.place.clone())))
            }
        }
    }
}

/// Returns the store that a task has.
fn store_of<'a>(input: &TaskInput, stores: &'a [TaskStore]) -> Result<&'a TaskStore, CliError> {
    let mut of_task = stores.iter().filter(|store| store.task == input.task);
    match (of_task.next(), of_task.next()) {
        (Some(store), None) => Ok(store),
        (Some(first), Some(second)) => {
            let (first, second) = (&first.store, &second.store);
            Err(CliError::usage(format!("task `{}` has several stores, such as `{first}` and `{second}`", input.task))
                .hint("`--store` names the one to import"))
        }
        (None, _) => Err(CliError::not_found(format!("task `{}` has no such store", input.task))),
    }
}

fn options(job: &JobSpec, ui: &Ui) -> Result<Options, CliError> {
    let clock = ui.clock().clone();
    Ok(Options {
        threads: 1,
        must_resume: false,
        latest_good: false,
        holder: text::holder(&format!("`ckpt samza import` of job {}", job.job), &ui.now()),
        clock: WallClock::new(move || clock.now_in_millis()),
        random: random()?,
        environment: Vec::new(),
        processors: Processors::default(),
        storages: StorageOpener::default(),
        share: None,
        assumed_output: None,
    })
}

fn explain_import(error: ImportError, source: &JobArgs, text: &[u8]) -> CliError {
    match error {
        ImportError::Run(error) => explain(error, source, text),
        ImportError::NotEmpty { .. } => CliError::of(Exit::Failed, &error)
            .hint("name a new store in the job file (`checkpoint: store:`), or with `--set checkpoint.store=PATH`"),
        ImportError::Type { .. } => {
            CliError::of(Exit::Usage, &error).hint("declare it in the job file (`input: types:`)")
        }
        ImportError::Job { .. } | ImportError::Partitions { .. } => CliError::of(Exit::Usage, &error),
    }
}

fn explain_task(error: TaskError) -> CliError {
    let explained = CliError::of(Exit::Failed, &error);
    match error {
        TaskError::Divided { .. } => explained
            .hint("`--read-version` says which one to use, as `task.checkpoint.read.versions` of the Samza job does"),
        TaskError::SeveralJobs { .. } => explained.hint("name only what one job wrote"),
        _ => explained,
    }
}

fn explain_rows(error: StateImportError) -> CliError {
    match error {
        StateImportError::State(error) => explain_state(error),
        StateImportError::Row { .. } => {
            CliError::of(Exit::Failed, &error).hint("nothing was imported; `--column` says where values come from")
        }
        StateImportError::Doubtful { .. } => CliError::of(Exit::Failed, &error)
            .hint("nothing was imported; start the Samza job again, and stop it without killing it"),
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SamzaImportView")]
pub(super) struct View<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    job: &'a str,
    store: &'a str,
    checkpoint: u64,
    keys: u64,
    sha256: &'a str,
    partitions: Vec<PartitionView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SamzaImportedPartitionView")]
struct PartitionView<'a> {
    partition: &'a str,
    task: &'a str,
    /// Null if the state was in a snapshot.
    changelog: Option<String>,
    changelog_offset: Option<u64>,
    /// The directory of the snapshot; absent without `--rocksdb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a str>,
    keys: u64,
    /// The offset of the next message.
    offset: u64,
    /// Whether the last message before it is still in the topic, and the next run compares it.
    proven: bool,
}

impl<'a> View<'a> {
    fn new(
        job: &'a JobSpec,
        imported: &'a Imported,
        stores: &'a [(&'a TaskInput, Kept)],
        keys: &[(u32, usize)],
        sha256: &'a str,
    ) -> View<'a> {
        let partitions = imported.positions.iter().zip(stores).zip(keys).map(|((row, (input, kept)), (_, keys))| {
            let message = row.message.as_ref();
            let (changelog, changelog_offset, snapshot) = match kept {
                Kept::Changelog(store) => (Some(store.changelog.to_string()), store.last, None),
                Kept::Snapshot(place) => (None, None, Some(place.as_str())),
            };
            PartitionView {
                partition: &row.partition,
                task: &input.task,
                changelog,
                changelog_offset,
                snapshot,
                keys: *keys as u64,
                offset: message.map_or(0, |message| message.offset),
                proven: message.is_some_and(|message| message.proof_offset.is_some()),
            }
        });
        View {
            version: VERSION,
            job: &job.job,
            store: &imported.place,
            checkpoint: imported.committed.manifest.sequence.0,
            keys: imported.committed.manifest.totals.keys,
            sha256,
            partitions: partitions.collect(),
        }
    }

    fn show(&self, ui: &mut Ui) -> Result<(), CliError> {
        let (keys, partitions) = (counted(self.keys, "key"), counted(self.partitions.len() as u64, "partition"));
        ui.heading(format!("checkpoint {} in {}: {keys} of {partitions}", self.checkpoint, self.store))?;
        let mut table = Table::new([
            Column::name("TASK"),
            Column::name("KEPT IN"),
            Column::number("UP TO"),
            Column::number("KEYS"),
            Column::name("PARTITION"),
            Column::number("NEXT"),
        ]);
        for partition in &self.partitions {
            table.row([
                partition.task.to_owned(),
                or_dash(partition.changelog.as_deref().or(partition.snapshot)),
                or_dash(partition.changelog_offset),
                partition.keys.to_string(),
                partition.partition.to_owned(),
                partition.offset.to_string(),
            ]);
        }
        ui.table(&table)?;
        ui.out(format!("sha256 of the rows: {}", self.sha256))
    }
}
