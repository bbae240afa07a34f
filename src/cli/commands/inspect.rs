//! `ckpt inspect`: what a checkpoint is and holds.

use std::collections::BTreeMap;
use std::ffi::OsString;

use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::table::{Column, Table};
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words::{self, counted};
use crate::format::manifest::{DeadLetter, Manifest, Mode, OlderCut, Output, Routing, Timings, Totals, Trigger};
use crate::format::positions::PositionRow;
use crate::ops::inspect::{self, Description, Excerpt, ObjectUse, Role, StateRow, TaskUse};
use crate::ops::read::{Selection, Snapshot};
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::units::{Age, Bytes, Count, Span};
use crate::values::value::{ColumnType, Value};

mod classes;

use classes::ClassView;

/// Show what a checkpoint is, or what it holds
///
/// Without an option: where it comes from, how far the input was applied, and
/// how much state there is. One of the options prints the rows of the state,
/// the tasks, the positions in the input, the objects, or the job file that
/// wrote it.
///
/// Examples:
///   ckpt inspect checkpoints/clicks
///   ckpt inspect checkpoints/clicks@42 --state --key ann
///   ckpt inspect checkpoints/clicks --positions --json
///   ckpt inspect checkpoints/clicks@latest~1 --job > job.yaml
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment, group(clap::ArgGroup::new("what").args(["state", "tasks", "positions", "objects", "job"])))]
pub struct Args {
    /// A checkpoint directory inside a store, or STORE@REF, where REF is a number, `latest`, `latest~2` or a time; a
    /// store is its latest checkpoint
    pub target: OsString,

    /// Show rows of the state, in the order of task and key, as they are stored: a mean is its sum and its count
    #[arg(long)]
    pub state: bool,

    /// Show each task that holds keys, with its shard, keys and bytes before encoding
    #[arg(long)]
    pub tasks: bool,

    /// Show how far each partition of the input was applied
    #[arg(long)]
    pub positions: bool,

    /// Show the objects and which of them the parent has too
    #[arg(long)]
    pub objects: bool,

    /// Print the job file that wrote it
    #[arg(long)]
    pub job: bool,

    /// Show only rows of task N
    #[arg(long, value_name = "N", requires = "state")]
    pub task: Option<u32>,

    /// Show only the row of key K, and end with exit code 1 when there is none; no more of the state is read than its
    /// shard
    #[arg(long, value_name = "K", requires = "state", allow_hyphen_values = true)]
    pub key: Option<String>,

    /// Show tasks without keys too
    #[arg(long, requires = "tasks")]
    pub all: bool,

    /// Show at most N rows or tasks; 0 means all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

impl Args {
    fn limit(&self) -> Option<usize> {
        (self.limit > 0).then_some(self.limit)
    }
}

/// Prints what was asked for.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = Target::parse(&args.target)?;
    let store = target.open(ui)?;
    let now = ui.now();
    let sequence = target.sequence(&store, &now)?;
    let head = Head { version: 1, store: store.place(), job: store.file.job.clone(), sequence: sequence.0 };
    if args.state {
        let snapshot = Snapshot::open(&store, sequence)?;
        let selection = Selection { task: args.task, key: args.key.clone() };
        check_task(args, snapshot.manifest())?;
        let rows = inspect::state(&store, &snapshot, &selection, args.limit(), &ui.progress("reading", Unit::Bytes))?;
        show_state(args, head, &snapshot, &rows, ui)?;
        // Whether a key is there is a question with an answer.
        return Ok(if args.key.is_some() && rows.rows.is_empty() { Exit::No } else { Exit::Clean });
    } else if args.tasks {
        let progress = ui.progress("reading", Unit::Bytes);
        let tasks = inspect::tasks(&store, sequence, args.all, args.limit(), &progress)?;
        drop(progress);
        show_tasks(head, &tasks, ui)?;
    } else if args.positions {
        show_positions(head, &Snapshot::open(&store, sequence)?.positions(&store)?, ui)?;
    } else if args.objects {
        show_objects(head, &inspect::objects(&store, sequence)?, ui)?;
    } else if args.job {
        show_job(head, &store, sequence, ui)?;
    } else {
        let description = inspect::describe(&store, sequence)?;
        let classes = match description.committed.manifest.mode {
            Mode::Priority => {
                let positions = Snapshot::open(&store, sequence)?.positions(&store)?;
                classes::classes(&store, &description.committed, &positions)
            }
            Mode::Elided | Mode::Scheduled => Vec::new(),
        };
        show_description(head, &description, &classes, &now, ui)?;
    }
    Ok(Exit::Clean)
}

fn check_task(args: &Args, manifest: &Manifest) -> Result<(), CliError> {
    match args.task {
        Some(task) if task >= manifest.tasks => {
            let last = manifest.tasks.saturating_sub(1);
            Err(CliError::usage(format!("there is no task {task}: tasks are 0 to {last}")))
        }
        _ => Ok(()),
    }
}

/// What every document begins with.
#[derive(Debug, Serialize)]
struct Head {
    version: u32,
    store: String,
    job: String,
    sequence: u64,
}

fn show_description(
    head: Head,
    description: &Description,
    classes: &[ClassView],
    now: &Zoned,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let manifest = &description.committed.manifest;
    if ui.is_json() {
        return ui.json(&DescriptionView::new(head, description, classes));
    }
    let totals = manifest.totals;
    let created = manifest.created.to_zoned(now.time_zone().clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    let parent = match manifest.parent {
        Some(parent) => format!("{}, manifest {}", parent.sequence.0, parent.sha256.short()),
        None => "none: the first".to_owned(),
    };
    let micros = |micros| Span(std::time::Duration::from_micros(micros));
    let timings = manifest.timings;
    ui.heading(format!("checkpoint {} of job {}", manifest.sequence.0, manifest.job))?;
    let mut line = |name: &str, text: String| ui.out(format!("{name:<10} {text}"));
    line("store", head.store)?;
    line("created", format!("{created}, {}", Age::between(manifest.created, now.timestamp())))?;
    if let Some(pin) = &description.pin {
        let since =
            pin.created.map_or_else(String::new, |created| format!(", {}", Age::between(created, now.timestamp())));
        line("pinned", format!("{}{since}", pin.reason.as_deref().unwrap_or("without a reason")))?;
    }
    line("cause", words::cause(manifest))?;
    line("mode", manifest.mode.name().to_owned())?;
    line("parent", parent)?;
    line("manifest", description.committed.sha256.to_string())?;
    line(
        "input",
        format!(
            "{}, {} in {}, {} ended{}",
            counted(totals.records, "record"),
            Bytes(totals.input_bytes),
            counted(totals.partitions, "partition"),
            Count(description.ended_partitions),
            if manifest.ended { "; read to its end" } else { "" },
        ),
    )?;
    if totals.skipped > 0 {
        line("skipped", counted(totals.skipped, "record"))?;
    }
    if let Some(watermark) = moment(description.watermark) {
        line("watermark", watermark.to_string())?;
    }
    if totals.late > 0 {
        line("late", counted(totals.late, "record"))?;
    }
    line("cut", format!("block {} of {}", Count(manifest.block), Bytes(manifest.block_bytes)))?;
    line(
        "tasks",
        format!(
            "{} in {}, {}",
            Count(u64::from(manifest.tasks)),
            counted(u64::from(manifest.shards), "shard"),
            words::routing(manifest.routing)
        ),
    )?;
    for class in classes.iter().filter(|class| class.is_shown()) {
        line("class", class.line())?;
    }
    line("state", format!("{}, {} changed", counted(totals.keys, "key"), Count(totals.changed_keys)))?;
    let columns = manifest.columns.iter().map(|column| format!("{} {}", column.name, column.column_type.name()));
    line("columns", columns.collect::<Vec<_>>().join(", "))?;
    line(
        "objects",
        format!("{}, {}, {} of it new", Count(description.objects), Bytes(totals.bytes), Bytes(totals.new_bytes)),
    )?;
    line(
        "segments",
        format!(
            "{}, {} in {}, at most {} a shard",
            counted(description.bases, "base"),
            counted(description.deltas, "delta"),
            counted(description.filled_shards, "shard"),
            description.longest_chain
        ),
    )?;
    line(
        "took",
        format!(
            "pause {}, snapshot {}, write {}",
            micros(timings.pause_micros),
            micros(timings.snapshot_micros),
            micros(timings.write_micros)
        ),
    )?;
    for output in &manifest.outputs {
        line("output", format!("{}, {}, {}", output.path, counted(output.rows, "row"), Bytes(output.bytes)))?;
    }
    if let Some(dead_letter) = &manifest.dead_letter {
        line("dead", format!("{}, {}", dead_letter.path, Bytes(dead_letter.bytes)))?;
    }
    if let Some(late) = &manifest.late_records {
        line("late records", format!("{}, {}", late.path, Bytes(late.bytes)))?;
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct DescriptionView<'a> {
    #[serde(flatten)]
    head: Head,
    manifest_sha256: String,
    created: Timestamp,
    trigger: Trigger,
    mode: Mode,
    ended: bool,
    restored_from: Option<u64>,
    parent: Option<ParentView>,
    block: u64,
    block_bytes: u64,
    tasks: u32,
    shards: u32,
    routing: Routing,
    columns: Vec<ColumnView<'a>>,
    timings: Timings,
    totals: Totals,
    ended_partitions: u64,
    filled_shards: u64,
    bases: u64,
    deltas: u64,
    longest_chain: u64,
    objects: u64,
    outputs: &'a [Output],
    dead_letter: &'a Option<DeadLetter>,
    late_records: &'a Option<DeadLetter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<Timestamp>,
    pin: Option<PinView<'a>>,
    classes: &'a [ClassView],
    older_cuts: &'a [OlderCut],
}

#[derive(Debug, Serialize)]
struct PinView<'a> {
    reason: Option<&'a str>,
    created: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct ParentView {
    sequence: u64,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct ColumnView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    column_type: &'static str,
}

impl<'a> DescriptionView<'a> {
    fn new(head: Head, description: &'a Description, classes: &'a [ClassView]) -> DescriptionView<'a> {
        let manifest = &description.committed.manifest;
        let parent = manifest.parent;
        DescriptionView {
            head,
            manifest_sha256: description.committed.sha256.to_string(),
            created: manifest.created,
            trigger: manifest.trigger,
            mode: manifest.mode,
            ended: manifest.ended,
            restored_from: manifest.restored_from.map(|sequence| sequence.0),
            parent: parent.map(|p| ParentView { sequence: p.sequence.0, sha256: p.sha256.to_string() }),
            block: manifest.block,
            block_bytes: manifest.block_bytes,
            tasks: manifest.tasks,
            shards: manifest.shards,
            routing: manifest.routing,
            columns: column_views(manifest),
            timings: manifest.timings,
            totals: manifest.totals,
            ended_partitions: description.ended_partitions,
            filled_shards: description.filled_shards,
            bases: description.bases,
            deltas: description.deltas,
            longest_chain: description.longest_chain,
            objects: description.objects,
            outputs: &manifest.outputs,
            dead_letter: &manifest.dead_letter,
            late_records: &manifest.late_records,
            watermark: moment(description.watermark),
            pin: description.pin.as_ref().map(|pin| PinView { reason: pin.reason.as_deref(), created: pin.created }),
            classes,
            older_cuts: &manifest.older_cuts,
        }
    }
}

fn column_views(manifest: &Manifest) -> Vec<ColumnView<'_>> {
    let columns = manifest.columns.iter();
    columns.map(|column| ColumnView { name: &column.name, column_type: column.column_type.name() }).collect()
}

fn show_state(
    args: &Args,
    head: Head,
    snapshot: &Snapshot,
    rows: &Excerpt<StateRow>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let manifest = snapshot.manifest();
    if ui.is_json() {
        return ui.json(&StateView::new(head, manifest, rows));
    }
    let mut columns = vec![Column::number("TASK"), Column::long("KEY")];
    columns.extend(manifest.columns.iter().map(|column| match column.column_type {
        ColumnType::Int | ColumnType::Number => Column::number(column.name.clone()),
        ColumnType::Text | ColumnType::Json | ColumnType::Sketch => Column::long(column.name.clone()),
        ColumnType::Bool => Column::text(column.name.clone()),
    }));
    let mut table = Table::new(columns);
    for row in &rows.rows {
        let values = row.values.iter().map(|value| match value {
            Value::Sketch(bytes) => format!("sketch ({} bytes)", bytes.len()),
            other => other.to_string(),
        });
        table.row([row.task.to_string(), row.key.clone()].into_iter().chain(values));
    }
    ui.table(&table)?;
    match &args.key {
        Some(key) if rows.rows.is_empty() => ui.note(format!("there is no key `{key}`")),
        _ => note_cut(rows.cut, "rows", ui),
    }
    Ok(())
}

fn note_cut(cut: bool, what: &str, ui: &Ui) {
    if cut {
        ui.note(format!("there are more {what}: `--limit 0` shows all"));
    }
}

#[derive(Debug, Serialize)]
struct StateView<'a> {
    #[serde(flatten)]
    head: Head,
    columns: Vec<ColumnView<'a>>,
    /// Whether the limit left rows out.
    cut: bool,
    rows: Vec<StateRowView<'a>>,
}

#[derive(Debug, Serialize)]
struct StateRowView<'a> {
    task: u32,
    key: &'a str,
    /// By column; numbers with all their digits.
    values: BTreeMap<&'a str, Box<RawValue>>,
}

impl<'a> StateView<'a> {
    fn new(head: Head, manifest: &'a Manifest, rows: &'a Excerpt<StateRow>) -> StateView<'a> {
        let names = || manifest.columns.iter().map(|column| column.name.as_str());
        let row_view = |row: &'a StateRow| StateRowView {
            task: row.task,
            key: &row.key,
            values: names().zip(row.values.iter().map(raw)).collect(),
        };
        let rows_view = rows.rows.iter().map(row_view).collect();
        StateView { head, columns: column_views(manifest), cut: rows.cut, rows: rows_view }
    }
}

/// Returns a value as JSON; text that claims to be JSON and is not, as a string.
fn raw(value: &Value) -> Box<RawValue> {
    let text = |text: &str| serde_json::value::to_raw_value(text).expect("text is always JSON");
    RawValue::from_string(value.to_json()).unwrap_or_else(|_| text(&value.to_string()))
}

fn show_tasks(head: Head, tasks: &Excerpt<TaskUse>, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        let rows = tasks.rows.iter().map(|task| TaskView {
            task: task.task,
            shard: task.shard,
            keys: task.keys,
            state_bytes: task.state_bytes,
        });
        return ui.json(&TasksView { head, cut: tasks.cut, tasks: rows.collect() });
    }
    let names = ["TASK", "SHARD", "KEYS", "BYTES"].map(Column::number);
    let mut table = Table::new(names);
    for task in &tasks.rows {
        table.row([
            task.task.to_string(),
            task.shard.to_string(),
            Count(task.keys).to_string(),
            Count(task.state_bytes).to_string(),
        ]);
    }
    ui.table(&table)?;
    note_cut(tasks.cut, "tasks", ui);
    Ok(())
}

#[derive(Debug, Serialize)]
struct TasksView {
    #[serde(flatten)]
    head: Head,
    /// Whether the limit left tasks out.
    cut: bool,
    tasks: Vec<TaskView>,
}

#[derive(Debug, Serialize)]
struct TaskView {
    task: u32,
    shard: u32,
    keys: u64,
    state_bytes: u64,
}

/// Returns a time of records as a moment. A table may hold any number.
fn moment(millis: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis?).ok()
}

fn show_positions(head: Head, rows: &[PositionRow], ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        let positions = rows.iter().map(PositionView::new).collect();
        return ui.json(&PositionsView { head, positions });
    }
    let mut columns = vec![
        Column::long("PARTITION"),
        Column::number("TASK"),
        Column::number("OFFSET"),
        Column::number("RECORD"),
        Column::number("FILE SIZE"),
        Column::number("CUT"),
        Column::text("ENDED"),
    ];
    let has_time = rows.iter().any(|row| row.event_time.is_some());
    columns.extend(has_time.then(|| Column::text("TIME")));
    let mut table = Table::new(columns);
    for row in rows {
        let time = has_time.then(|| words::or_dash(moment(row.event_time)));
        let mut cells = vec![
            row.partition.clone(),
            words::or_dash(row.task),
            Count(row.offset).to_string(),
            Count(row.record).to_string(),
            words::or_dash(row.file_bytes.map(Count)),
            Count(row.cut).to_string(),
            words::yes(row.ended).to_owned(),
        ];
        cells.extend(time);
        table.row(cells);
    }
    ui.table(&table)
}

#[derive(Debug, Serialize)]
struct PositionsView<'a> {
    #[serde(flatten)]
    head: Head,
    positions: Vec<PositionView<'a>>,
}

#[derive(Debug, Serialize)]
struct PositionView<'a> {
    partition: &'a str,
    task: Option<u32>,
    cut: u64,
    offset: u64,
    record: u64,
    ended: bool,
    file_bytes: Option<u64>,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<Timestamp>,
}

impl<'a> PositionView<'a> {
    fn new(row: &'a PositionRow) -> PositionView<'a> {
        PositionView {
            partition: &row.partition,
            task: row.task,
            cut: row.cut,
            offset: row.offset,
            record: row.record,
            ended: row.ended,
            file_bytes: row.file_bytes,
            fingerprint: row.fingerprint.to_string(),
            event_time: moment(row.event_time),
            watermark: moment(row.watermark),
        }
    }
}

fn show_objects(head: Head, objects: &[ObjectUse], ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        return ui.json(&ObjectsView { head, objects: objects.iter().map(ObjectView::new).collect() });
    }
    let mut table = Table::new([
        Column::text("ROLE"),
        Column::number("SHARD"),
        Column::number("ROWS"),
        Column::number("SIZE"),
        Column::text("PARENT"),
        Column::long("OBJECT"),
    ]);
    for object in objects {
        let view = ObjectView::new(object);
        table.row([
            view.role.to_owned(),
            words::or_dash(view.shard),
            words::or_dash(view.rows.map(Count)),
            Bytes(view.bytes).to_string(),
            words::or_dash(object.shared.map(|shared| if shared { "shared" } else { "new" })),
            view.object,
        ]);
    }
    ui.table(&table)
}

#[derive(Debug, Serialize)]
struct ObjectsView {
    #[serde(flatten)]
    head: Head,
    objects: Vec<ObjectView>,
}

#[derive(Debug, Serialize)]
struct ObjectView {
    object: String,
    path: String,
    bytes: u64,
    role: &'static str,
    shard: Option<u32>,
    level: Option<u32>,
    rows: Option<u64>,
    /// Whether the parent has it too; nothing when that can not be told.
    shared: Option<bool>,
}

impl ObjectView {
    fn new(object: &ObjectUse) -> ObjectView {
        let (role, segment) = match object.role {
            Role::Index => ("index", None),
            Role::Positions => ("positions", None),
            Role::Job => ("job", None),
            Role::Segment { shard, level, kind, rows } => (kind.name(), Some((shard, level, rows))),
        };
        ObjectView {
            object: object.object.object.to_string(),
            path: object.object.object.path().to_string(),
            bytes: object.object.bytes,
            role,
            shard: segment.map(|(shard, _, _)| shard),
            level: segment.map(|(_, level, _)| level),
            rows: segment.map(|(_, _, rows)| rows),
            shared: object.shared,
        }
    }
}

fn show_job(head: Head, store: &Store, sequence: Sequence, ui: &mut Ui) -> Result<(), CliError> {
    let definition = Snapshot::open(store, sequence)?.job(store)?;
    if ui.is_json() {
        return ui.json(&JobView { head, definition });
    }
    ui.out_text(&definition)
}

#[derive(Debug, Serialize)]
struct JobView {
    #[serde(flatten)]
    head: Head,
    /// The job file's text, YAML.
    definition: String,
}
