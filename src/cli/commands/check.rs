//! `ckpt check`: says what a run would do.

use jiff::Timestamp;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::commands::run::job::{JobArgs, read_job};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::VERSION;
use crate::cli::json_schema::Document;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::job::{Effect, JobFileError};
use crate::runner::check::{Report, check};
use crate::runner::check_names::AbsentField;
use crate::runner::error::RunError;
use crate::values::id::Sequence;
use crate::values::units::{Age, Bytes, Count};

/// Show what `ckpt run` would do with a job, and whether it would start
///
/// Checks everything that a run checks before its first record: whether the job
/// file is valid, which checkpoint it would resume from, how a changed job file
/// affects the state, whether the input files still match what was read from them,
/// and whether their first records have the fields that the job names. Writes
/// nothing. The state itself is not read; `ckpt verify` does that.
///
/// Beside running workers, the table shows for each partition which of them has
/// committed it last, and what the latest checkpoint does not have yet.
///
/// The exit code is 0 if a run would start, 1 if it would not, and 2 if the job
/// file is invalid.
///
/// Examples:
///   ckpt check examples/clicks.yaml
///   ckpt check job.yaml --json
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    pub source: JobArgs,
}

/// The most files listed for people.
const MAX_LISTED: usize = 50;

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<CheckView<'static>>];

/// Checks the job and prints the report.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let (job, text, _) = read_job(&args.source)?;
    let mut report = check(&job).map_err(|error| match error {
        RunError::Store(error) => error.into(),
        error => CliError::of(Exit::Failed, &error),
    })?;
    if let Some(error) = report.filter.take() {
        let text = String::from_utf8_lossy(&text);
        let first = JobFileError::about_filter(&text, &args.source.job, &error);
        let mistakes: Vec<String> = std::iter::once(&first).chain(&first.others).map(JobFileError::to_string).collect();
        report.problems.splice(0..0, mistakes);
    }
    if ui.is_json() {
        ui.json(&CheckView::new(&job.job, &report))?;
    } else {
        show(&job.job, &report, ui)?;
    }
    for absent in &report.first_records.absent {
        let message = absence(absent, report.first_records.records);
        let text = String::from_utf8_lossy(&text);
        ui.warn(args.source.at_key(&text, &absent.key, message));
    }
    report.input_notes.iter().for_each(|note| ui.warn(note.to_string()));
    report.notes.iter().for_each(|note| ui.warn(note.to_string()));
    Ok(if report.would_run() { Exit::Clean } else { Exit::No })
}

fn show(job: &str, report: &Report, ui: &mut Ui) -> Result<(), CliError> {
    let verdict = match report.would_run() {
        true => outcome(report),
        false if report.are_workers_running => "would not start without `--worker`".to_owned(),
        false => "would not start".to_owned(),
    };
    ui.heading(format!("{job}: {verdict}"))?;
    let store = match (&report.store, &report.latest) {
        (None, _) => "checkpoints are disabled".to_owned(),
        (Some(store), None) if report.is_unreadable => store.clone(),
        (Some(store), None) => format!("{store}, no checkpoint yet"),
        (Some(store), Some(latest)) => {
            let age = Age::between(latest.created, ui.now().timestamp());
            let totals = &latest.totals;
            let (records, keys) = (text::counted(totals.records, "record"), text::counted(totals.keys, "key"));
            format!("{store}, checkpoint {} ({age}): {records}, {keys}", latest.sequence.0)
        }
    };
    ui.out(format!("  store    {store}"))?;
    if let Some(unsent) = &report.unsent {
        let numbers: Vec<String> = unsent.missing.iter().map(|missing| missing.0.to_string()).collect();
        ui.out(match &numbers[..] {
            [] => format!("  output   topic {}", unsent.topic),
            _ => format!("  output   topic {}, to which checkpoint {} is to be sent", unsent.topic, numbers.join(", ")),
        })?;
    }
    for problem in &report.problems {
        ui.out(format!("  problem  {problem}"))?;
    }
    for difference in report.differences.iter().filter(|difference| difference.effect() != Effect::Unfit) {
        ui.out(format!("  changed  {difference}: {}", meaning(difference.effect())))?;
    }
    if report.inputs.is_empty() {
        return Ok(());
    }
    ui.out("")?;
    let has_workers = report.inputs.iter().any(|input| input.worker.is_some());
    let mut columns =
        vec![Column::name("PARTITION"), Column::text("STATE"), Column::number("POSITION"), Column::number("UNREAD")];
    columns.extend(has_workers.then(|| Column::name("WORKER")));
    let mut table = Table::new(columns);
    for input in report.inputs.iter().take(MAX_LISTED) {
        let (position, unread) = match &input.message {
            Some(message) => (message.offset, text::counted(message.unread, "message")),
            None => {
                let unread = input.unread_bytes.map_or("-".to_owned(), |bytes| Bytes(bytes).to_string());
                (input.offset, unread)
            }
        };
        let mut cells =
            vec![input.partition.clone(), input.state.name().to_owned(), Count(position).to_string(), unread];
        cells.extend(has_workers.then(|| text::or_dash(input.worker.as_ref())));
        table.row(cells);
    }
    ui.table(&table)?;
    match report.inputs.len().checked_sub(MAX_LISTED) {
        None | Some(0) => Ok(()),
        Some(more) if is_topic(report) => ui.out(format!("and {}", text::counted(more as u64, "more partition"))),
        Some(more) => ui.out(format!("and {}", text::counted(more as u64, "more file"))),
    }
}

/// Describes what a run would do.
fn outcome(report: &Report) -> String {
    let (files, bytes) = report.to_go();
    let from = match &report.latest {
        Some(latest) => format!("would resume from checkpoint {}", latest.sequence.0),
        None => "would start from scratch".to_owned(),
    };
    match files {
        0 => format!("{from}; there is no new input"),
        partitions if is_topic(report) => {
            let unread = report.inputs.iter().filter_map(|input| input.message).map(|message| message.unread).sum();
            let (partitions, messages) = (text::counted(partitions, "partition"), text::counted(unread, "message"));
            format!("{from} and read {partitions} ({messages})")
        }
        files => format!("{from} and read {} ({})", text::counted(files, "file"), Bytes(bytes)),
    }
}

/// Returns whether the input is a topic.
fn is_topic(report: &Report) -> bool {
    report.inputs.iter().any(|input| input.message.is_some())
}

/// Says that none of the first records has a field.
fn absence(absent: &AbsentField, records: u64) -> String {
    let field = &absent.field;
    let near = absent.near.as_ref().map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    match records {
        1 => format!("the only record does not have `{field}`{near}"),
        records => format!("none of the first {} records has `{field}`{near}", Count(records)),
    }
}

fn meaning(effect: Effect) -> &'static str {
    match effect {
        Effect::Reroutes => "the state is re-routed",
        Effect::StartsEmpty => "it starts empty",
        Effect::Drops => "its values are dropped",
        Effect::Reorders => "the columns are reordered",
        Effect::Unfit => "does not fit the state",
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct CheckView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    job: &'a str,
    would_run: bool,
    store: Option<&'a str>,
    holder: Option<&'a str>,
    /// Whether the holder is one of several workers.
    workers_running: bool,
    checkpoint: Option<Sequence>,
    created: Option<Timestamp>,
    problems: &'a [String],
    changes: Vec<ChangeView>,
    first_records: u64,
    absent_fields: Vec<AbsentView<'a>>,
    inputs: Vec<InputView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<OutputView<'a>>,
    files_to_read: u64,
    bytes_to_read: u64,
}

/// The topic of the output.
#[derive(Debug, Serialize, JsonSchema)]
struct OutputView<'a> {
    topic: &'a str,
    /// The checkpoints whose messages a run would send at its start.
    unsent: Vec<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AbsentView<'a> {
    field: &'a str,
    key: &'a str,
    near: Option<&'a str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChangeView {
    change: String,
    #[schemars(extend("enum" = ["reroutes", "starts_empty", "drops", "reorders", "unfit"]))]
    effect: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct InputView<'a> {
    partition: &'a str,
    #[schemars(extend("enum" = ["new", "unread", "grown", "read", "rotated", "gone", "bad"]))]
    state: &'static str,
    offset: u64,
    unread_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread_messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
}

impl<'a> AbsentView<'a> {
    fn new(absent: &'a AbsentField) -> AbsentView<'a> {
        AbsentView { field: &absent.field, key: &absent.key, near: absent.near.as_deref() }
    }
}

impl<'a> CheckView<'a> {
    fn new(job: &'a str, report: &'a Report) -> CheckView<'a> {
        let (files_to_read, bytes_to_read) = report.to_go();
        let effect = |effect| match effect {
            Effect::Reroutes => "reroutes",
            Effect::StartsEmpty => "starts_empty",
            Effect::Drops => "drops",
            Effect::Reorders => "reorders",
            Effect::Unfit => "unfit",
        };
        let changes = report.differences.iter();
        let inputs = report.inputs.iter().map(|input| InputView {
            partition: &input.partition,
            state: input.state.name(),
            offset: input.offset,
            unread_bytes: input.unread_bytes,
            topic_offset: input.message.map(|message| message.offset),
            unread_messages: input.message.map(|message| message.unread),
            worker: input.worker.as_deref(),
        });
        CheckView {
            version: VERSION,
            job,
            would_run: report.would_run(),
            store: report.store.as_deref(),
            holder: report.holder.as_deref(),
            workers_running: report.are_workers_running,
            checkpoint: report.latest.as_ref().map(|latest| latest.sequence),
            created: report.latest.as_ref().map(|latest| latest.created),
            problems: &report.problems,
            changes: changes
                .map(|change| ChangeView { change: change.to_string(), effect: effect(change.effect()) })
                .collect(),
            first_records: report.first_records.records,
            absent_fields: report.first_records.absent.iter().map(AbsentView::new).collect(),
            inputs: inputs.collect(),
            output: report.unsent.as_ref().map(|unsent| OutputView {
                topic: &unsent.topic,
                unsent: unsent.missing.iter().map(|missing| missing.0).collect(),
            }),
            files_to_read,
            bytes_to_read,
        }
    }
}
