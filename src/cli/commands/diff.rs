//! `ckpt diff`: what changed between two checkpoints.

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
use crate::cli::ui::{Paint, Ui};
use crate::cli::words::{self, counted};
use crate::format::positions::PositionRow;
use crate::ops::diff::{
    Change, ChangeKind, ColumnPair, Comparison, KeyTotals, PositionChange, Scope, Side, Tally, ValueChange,
};
use crate::values::digest::Digest;
use crate::values::units::{Bytes, Count, Span};
use crate::values::value::{ColumnType, Value};

/// Show what changed between two checkpoints
///
/// Compares two checkpoints of one store, or of two stores: the keys of their
/// state by value, their positions in the input, and their columns. Without an
/// option: how much changed, and where most. Exit code 0 means that they are
/// equal, 1 that they differ.
///
/// Equal is what they hold. When and why they were made, how their rows lie in
/// segments, and what they published make no difference, and a job definition
/// that was edited is only told. With --task or --key only those keys count.
///
/// Segments that both share are read only to look keys up in them. When the
/// two have other numbers of tasks or shards, everything is read.
///
/// Examples:
///   ckpt diff checkpoints/clicks@41 checkpoints/clicks@42
///   ckpt diff checkpoints/clicks@latest~1 checkpoints/clicks --keys --key us-
///   ckpt diff checkpoints/clicks 'checkpoints/clicks@2h ago' --stat
///   ckpt diff a/store b/store --quiet > /dev/null && echo 'both runs agree'
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The checkpoint that changes are counted from: a checkpoint directory inside a store, or STORE@REF, where REF is
    /// a number, `latest`, `latest~2` or a time; a store is its latest checkpoint
    #[arg(value_name = "A")]
    pub old: OsString,

    /// The checkpoint that changes lead to, in the same forms
    #[arg(value_name = "B")]
    pub new: OsString,

    /// List every key that changed with its old and new values, in the order of task and key
    #[arg(long, conflicts_with = "stat")]
    pub keys: bool,

    /// Show how many keys changed in each task
    #[arg(long)]
    pub stat: bool,

    /// Compare only keys of task N
    #[arg(long, value_name = "N")]
    pub task: Option<u32>,

    /// Compare only keys that begin with PREFIX
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    pub key: Option<String>,

    /// Show at most N keys, or tasks and partitions; the totals are of all. 0 means all [default: 10 tasks and
    /// partitions, all keys]
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<u64>,
}

impl Args {
    fn limit_or(&self, default: u64) -> u64 {
        match self.limit.unwrap_or(default) {
            0 => u64::MAX,
            limit => limit,
        }
    }
}

/// The rows of a table in the summary unless a limit is given.
const SUMMARY_ROWS: u64 = 10;

/// Compares the two and prints what was asked for.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let now = ui.now();
    let comparison = Comparison::new(
        open(&args.old, &now, ui)?,
        open(&args.new, &now, ui)?,
        Scope { task: args.task, prefix: args.key.clone() },
    );
    check_task(args, &comparison)?;
    let positions = if comparison.scope.is_all() { comparison.positions() } else { Vec::new() };
    let listing = (args.keys || ui.is_json()) && !args.stat;
    if args.keys && !ui.is_json() {
        ui.painted(Paint::Old, format!("--- {}", place(&comparison.old)))?;
        ui.painted(Paint::New, format!("+++ {}", place(&comparison.new)))?;
    }
    let progress = ui.progress("comparing", Unit::Bytes);
    let mut left = args.limit_or(0);
    let mut outcome = Ok(());
    let totals = comparison.changes(&progress, |change| {
        if listing && left > 0 {
            left -= 1;
            outcome = match ui.is_json() {
                true => ui.json(&KeyView::new(&comparison, &change)),
                false => show_key(&comparison, &change, ui),
            };
        }
        // Whoever has had enough of a listing knows that there is a difference.
        outcome.is_ok() && !ui.is_closed()
    })?;
    drop(progress);
    outcome?;
    let report = Report { comparison: &comparison, totals: &totals, positions: &positions };
    if ui.is_json() {
        report.print_json(args, ui)?;
    } else if args.keys {
        note_left_out(totals.keys.all(), args.limit_or(0), "key", ui);
        notes(&comparison, ui);
    } else if args.stat {
        show_tasks(&totals, args.limit_or(0), false, ui)?;
        notes(&comparison, ui);
    } else {
        report.show(args, &now, ui)?;
        notes(&comparison, ui);
    }
    Ok(if report.is_equal() { Exit::Clean } else { Exit::No })
}

fn open(text: &OsString, now: &Zoned, ui: &Ui) -> Result<Side, CliError> {
    let target = Target::parse(text)?;
    let store = target.open(ui)?;
    let sequence = target.sequence(&store, now)?;
    Ok(Side::open(store, sequence)?)
}

fn check_task(args: &Args, comparison: &Comparison) -> Result<(), CliError> {
    let tasks = comparison.new.manifest().tasks;
    match args.task {
        Some(task) if task >= tasks => {
            let last = tasks.saturating_sub(1);
            Err(CliError::usage(format!("there is no task {task}: tasks are 0 to {last}")))
        }
        _ => Ok(()),
    }
}

fn place(side: &Side) -> String {
    format!("{}@{}", side.store.place(), side.manifest().sequence.0)
}

/// What was found out, together.
struct Report<'a> {
    comparison: &'a Comparison,
    totals: &'a KeyTotals,
    positions: &'a [PositionChange],
}

impl Report<'_> {
    fn is_equal(&self) -> bool {
        let whole = self.comparison.scope.is_all();
        self.totals.keys.all() == 0 && (!whole || (self.positions.is_empty() && self.comparison.columns.are_equal()))
    }

    fn show(&self, args: &Args, now: &Zoned, ui: &mut Ui) -> Result<(), CliError> {
        let (comparison, totals) = (self.comparison, self.totals);
        let (old, new) = (comparison.old.manifest(), comparison.new.manifest());
        ui.heading(if self.is_equal() { "equal" } else { "different" })?;
        let mut line = |name: &str, text: String| ui.out(format!("{name:<10} {text}"));
        for (name, side) in [("old", &comparison.old), ("new", &comparison.new)] {
            let manifest = side.manifest();
            let created = manifest.created.to_zoned(now.time_zone().clone()).strftime("%Y-%m-%d %H:%M:%S");
            let size = Bytes(manifest.totals.bytes);
            line(name, format!("{}, {created}, {}, {size}", place(side), counted(manifest.totals.keys, "key")))?;
        }
        let apart = new.created.duration_since(old.created);
        let order = if apart.is_negative() { "earlier" } else { "later" };
        line("apart", format!("{} {order}", Span(apart.unsigned_abs())))?;
        line("keys", tally(&totals.keys))?;
        line("tasks", format!("{} of {} touched", Count(totals.tasks.len() as u64), Count(new.tasks.into())))?;
        if comparison.scope.is_all() {
            line("positions", self.position_totals())?;
        }
        for pair in comparison.columns.pairs().iter().filter(|pair| !pair.is_common()) {
            line("column", column_change(pair))?;
        }
        let shared = comparison.shared_bytes();
        line("read", format!("{}; {} of segments are shared", Bytes(totals.bytes_read), Bytes(shared)))?;
        let limit = args.limit_or(SUMMARY_ROWS);
        if !self.positions.is_empty() {
            ui.out("")?;
            show_positions(self.positions, limit, ui)?;
        }
        if !totals.tasks.is_empty() {
            ui.out("")?;
            show_tasks(totals, limit, true, ui)?;
        }
        Ok(())
    }

    fn position_totals(&self) -> String {
        if self.positions.is_empty() {
            return "the same".to_owned();
        }
        let sum = |part: fn(&PositionChange) -> i128| self.positions.iter().map(part).sum::<i128>();
        let partitions = counted(self.comparison.new.manifest().totals.partitions, "partition");
        let moved = Count(self.positions.len() as u64);
        format!(
            "{moved} of {partitions} differ: {} bytes, {} records",
            signed(sum(PositionChange::bytes)),
            signed(sum(PositionChange::records))
        )
    }

    fn print_json(&self, args: &Args, ui: &mut Ui) -> Result<(), CliError> {
        if args.stat {
            let limit = usize::try_from(args.limit_or(0)).unwrap_or(usize::MAX);
            for (task, tally) in self.totals.tasks.iter().take(limit) {
                ui.json(&TaskView { version: 1, kind: "task", task: *task, tally: tally.into() })?;
            }
        }
        for change in self.positions {
            ui.json(&PositionView::new(change))?;
        }
        ui.json(&TotalView::new(self))
    }
}

fn tally(tally: &Tally) -> String {
    let Tally { added, removed, changed } = *tally;
    format!("{} added, {} removed, {} changed", Count(added), Count(removed), Count(changed))
}

fn column_change(pair: &ColumnPair) -> String {
    match (pair.old, pair.new) {
        (Some(old), Some(new)) => {
            format!("{} was {}, is {}; its values are not compared", pair.name, old.name(), new.name())
        }
        (None, Some(new)) => format!("{} {} is new; its values are not compared", pair.name, new.name()),
        (Some(old), None) => format!("{} {} is gone; its values are not compared", pair.name, old.name()),
        (None, None) => pair.name.clone(),
    }
}

/// Returns a number with its sign: `+1,234`.
fn signed(number: i128) -> String {
    let sign = match number {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", Count(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX)))
}

/// Says what is no difference by itself, and explains some.
fn notes(comparison: &Comparison, ui: &Ui) {
    let (old, new) = (comparison.old.manifest(), comparison.new.manifest());
    if old.job != new.job {
        ui.note(format!("the jobs differ: `{}` and `{}`", old.job, new.job));
    } else if comparison.job_differs() {
        ui.note("the job definition differs: `ckpt inspect TARGET --job` prints each");
    }
    if !comparison.same_layout() {
        let layout = |tasks: u32, shards: u32, routing| {
            let tasks = counted(tasks.into(), "task");
            format!("{tasks} in {}, {}", counted(shards.into(), "shard"), words::routing(routing))
        };
        ui.note(format!(
            "the layouts differ, so that all was read: {}; {}",
            layout(old.tasks, old.shards, old.routing),
            layout(new.tasks, new.shards, new.routing)
        ));
    }
}

fn note_left_out(all: u64, limit: u64, noun: &str, ui: &Ui) {
    if all > limit {
        ui.note(format!("{} not shown: `--limit 0` shows all", counted(all - limit, &format!("more {noun}"))));
    }
}

fn show_positions(positions: &[PositionChange], limit: u64, ui: &mut Ui) -> Result<(), CliError> {
    let mut sorted: Vec<&PositionChange> = positions.iter().collect();
    sorted.sort_by_key(|change| std::cmp::Reverse(change.bytes().unsigned_abs()));
    let mut table = Table::new([
        Column::long("PARTITION"),
        Column::number("BYTES"),
        Column::number("RECORDS"),
        Column::number("OFFSET"),
        Column::text(""),
    ]);
    for change in sorted.iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        let offset = change.new.as_ref().map(|row| Count(row.offset));
        table.row([
            change.partition.clone(),
            signed(change.bytes()),
            signed(change.records()),
            words::or_dash(offset),
            position_word(change).to_owned(),
        ]);
    }
    ui.table(&table)?;
    note_left_out(positions.len() as u64, limit, "partition", ui);
    Ok(())
}

/// Says what numbers do not show.
fn position_word(change: &PositionChange) -> &'static str {
    let ended = |row: &Option<PositionRow>| row.as_ref().is_some_and(|row| row.ended);
    match (&change.old, &change.new) {
        (None, _) => "new",
        (_, None) => "gone",
        _ if change.input_differs() => "other input",
        _ if ended(&change.new) && !ended(&change.old) => "ended",
        _ if ended(&change.old) && !ended(&change.new) => "goes on",
        _ => "",
    }
}

/// Shows tasks with a difference: those with the most first, or in their order.
fn show_tasks(totals: &KeyTotals, limit: u64, most_first: bool, ui: &mut Ui) -> Result<(), CliError> {
    let mut tasks: Vec<(u32, &Tally)> = totals.tasks.iter().map(|(task, tally)| (*task, tally)).collect();
    if most_first {
        tasks.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.all()));
    }
    let mut table = Table::new(["TASK", "ADDED", "REMOVED", "CHANGED"].map(Column::number));
    for (task, tally) in tasks.iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        let Tally { added, removed, changed } = tally;
        table.row([task.to_string()].into_iter().chain([added, removed, changed].map(|n| Count(*n).to_string())));
    }
    ui.table(&table)?;
    note_left_out(tasks.len() as u64, limit, "task", ui);
    Ok(())
}

/// Shows a key, and under it a line for each old and each new value.
fn show_key(comparison: &Comparison, change: &Change<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let (sign, paint) = match change.kind() {
        ChangeKind::Added => ('+', Paint::New),
        ChangeKind::Removed => ('-', Paint::Old),
        ChangeKind::Changed => ('~', Paint::Changed),
    };
    ui.painted(paint, format!("{sign} {}  (task {})", String::from_utf8_lossy(change.key), change.task))?;
    let values = comparison.columns.values(change);
    let width = values.iter().map(|value| value.column.chars().count()).max().unwrap_or(0);
    for value in values {
        for (sign, paint, value_of) in [('-', Paint::Old, &value.old), ('+', Paint::New, &value.new)] {
            if let Some(shown) = value_of.as_ref().and_then(shown) {
                ui.painted(paint, format!("  {sign} {:<width$}  {shown}", value.column))?;
            }
        }
    }
    Ok(())
}

/// Returns a value as people read it; nothing where there is none. Text whose ends would not be seen is quoted.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Sketch(bytes) => Some(sketch(bytes)),
        Value::Text(text) if text.trim() != text || text.is_empty() => Some(value.to_json()),
        other => Some(other.to_string()),
    }
}

/// Tells sketches apart that have one size.
fn sketch(bytes: &[u8]) -> String {
    format!("sketch of {} bytes, SHA-256 {}", bytes.len(), Digest::of(bytes).short())
}

/// A key, as JSON.
#[derive(Debug, Serialize)]
struct KeyView<'a> {
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    change: &'static str,
    task: u32,
    key: String,
    /// By column; of a changed key those that differ.
    old: Option<BTreeMap<&'a str, Box<RawValue>>>,
    new: Option<BTreeMap<&'a str, Box<RawValue>>>,
}

impl<'a> KeyView<'a> {
    fn new(comparison: &'a Comparison, change: &Change<'_>) -> KeyView<'a> {
        let values = comparison.columns.values(change);
        let map = |side: fn(&ValueChange<'_>) -> Option<Value>| {
            values.iter().filter_map(|value| Some((value.column, raw(&side(value)?)))).collect()
        };
        KeyView {
            version: 1,
            kind: "key",
            change: match change.kind() {
                ChangeKind::Added => "added",
                ChangeKind::Removed => "removed",
                ChangeKind::Changed => "changed",
            },
            task: change.task,
            key: String::from_utf8_lossy(change.key).into_owned(),
            old: change.old.map(|_| map(|value| value.old.clone())),
            new: change.new.map(|_| map(|value| value.new.clone())),
        }
    }
}

/// Returns a value as JSON; text that claims to be JSON and is not, as a string.
fn raw(value: &Value) -> Box<RawValue> {
    let text = |text: &str| serde_json::value::to_raw_value(text).expect("text is always JSON");
    match value {
        Value::Sketch(bytes) => text(&sketch(bytes)),
        other => RawValue::from_string(other.to_json()).unwrap_or_else(|_| text(&other.to_string())),
    }
}

#[derive(Debug, Serialize)]
struct TaskView {
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    task: u32,
    #[serde(flatten)]
    tally: TallyView,
}

#[derive(Debug, Serialize)]
struct TallyView {
    added: u64,
    removed: u64,
    changed: u64,
}

impl From<&Tally> for TallyView {
    fn from(tally: &Tally) -> TallyView {
        let Tally { added, removed, changed } = *tally;
        TallyView { added, removed, changed }
    }
}

#[derive(Debug, Serialize)]
struct PositionView<'a> {
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    partition: &'a str,
    /// Whether both are equally far in inputs that are not the same.
    input_differs: bool,
    old: Option<PlaceView>,
    new: Option<PlaceView>,
}

#[derive(Debug, Serialize)]
struct PlaceView {
    offset: u64,
    record: u64,
    ended: bool,
}

impl<'a> PositionView<'a> {
    fn new(change: &'a PositionChange) -> PositionView<'a> {
        let place = |row: &PositionRow| PlaceView { offset: row.offset, record: row.record, ended: row.ended };
        PositionView {
            version: 1,
            kind: "position",
            partition: &change.partition,
            input_differs: change.input_differs(),
            old: change.old.as_ref().map(place),
            new: change.new.as_ref().map(place),
        }
    }
}

/// The last line.
#[derive(Debug, Serialize)]
struct TotalView<'a> {
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    equal: bool,
    old: SideView<'a>,
    new: SideView<'a>,
    #[serde(flatten)]
    keys: TallyView,
    tasks: u64,
    /// Partitions with another position; nothing when only a part of the keys was compared.
    positions: Option<u64>,
    columns: Vec<ColumnView<'a>>,
    job_differs: bool,
    same_layout: bool,
    bytes_read: u64,
    bytes_shared: u64,
}

#[derive(Debug, Serialize)]
struct SideView<'a> {
    store: String,
    job: &'a str,
    sequence: u64,
    created: Timestamp,
    keys: u64,
    bytes: u64,
    records: u64,
}

/// A column that both do not have with one type.
#[derive(Debug, Serialize)]
struct ColumnView<'a> {
    name: &'a str,
    old: Option<ColumnType>,
    new: Option<ColumnType>,
}

impl<'a> TotalView<'a> {
    fn new(report: &Report<'a>) -> TotalView<'a> {
        let comparison = report.comparison;
        let different = comparison.columns.pairs().iter().filter(|pair| !pair.is_common());
        TotalView {
            version: 1,
            kind: "total",
            equal: report.is_equal(),
            old: SideView::new(&comparison.old),
            new: SideView::new(&comparison.new),
            keys: (&report.totals.keys).into(),
            tasks: report.totals.tasks.len() as u64,
            positions: comparison.scope.is_all().then_some(report.positions.len() as u64),
            columns: different.map(|pair| ColumnView { name: &pair.name, old: pair.old, new: pair.new }).collect(),
            job_differs: comparison.job_differs(),
            same_layout: comparison.same_layout(),
            bytes_read: report.totals.bytes_read,
            bytes_shared: comparison.shared_bytes(),
        }
    }
}

impl<'a> SideView<'a> {
    fn new(side: &'a Side) -> SideView<'a> {
        let manifest = side.manifest();
        SideView {
            store: side.store.place(),
            job: &manifest.job,
            sequence: manifest.sequence.0,
            created: manifest.created,
            keys: manifest.totals.keys,
            bytes: manifest.totals.bytes,
            records: manifest.totals.records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_its_sign() {
        assert_eq!([0, 1234, -5].map(signed), ["0", "+1,234", "-5"]);
        assert_eq!(signed(-i128::from(u64::MAX)), "-18,446,744,073,709,551,615");
    }

    #[test]
    fn a_value_is_shown_so_that_it_is_seen() {
        let text = |text: &str| shown(&Value::Text(text.to_owned()));
        assert_eq!(text("oslo").as_deref(), Some("oslo"));
        assert_eq!(text("").as_deref(), Some("\"\""));
        assert_eq!(text("oslo ").as_deref(), Some("\"oslo \""));
        assert_eq!(shown(&Value::Null), None);
        assert_ne!(shown(&Value::Sketch(vec![1])), shown(&Value::Sketch(vec![2])));
    }
}
