//! The result of a comparison as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::report::Report;
use crate::cli::error::CliError;
use crate::cli::json::{VERSION, parts, raw, raw_text};
use crate::cli::text::sketch_with_digest;
use crate::cli::ui::Ui;
use crate::format::positions::PositionRow;
use crate::ops::diff::{Change, ChangeKind, Comparison, PositionChange, Side, Tally, ValueChange};
use crate::ops::read::key_values;
use crate::values::value::{ColumnType, Value};

/// Prints the documents that follow the changed keys. `task_limit` is the most tasks to list; `None` lists none.
pub(super) fn print(report: &Report, task_limit: Option<u64>, ui: &mut Ui) -> Result<(), CliError> {
    let limit = usize::try_from(task_limit.unwrap_or(0)).unwrap_or(usize::MAX);
    for (task, tally) in report.totals.tasks.iter().take(limit) {
        ui.json(&TaskChangeView { version: VERSION, kind: "task", task: *task, tally: tally.into() })?;
    }
    for change in report.positions {
        ui.json(&PositionChangeView::new(change))?;
    }
    ui.json(&TotalView::new(report))
}

/// A changed key.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KeyView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    #[serde(rename = "type")]
    #[schemars(extend("const" = "key"))]
    kind: &'static str,
    #[schemars(extend("enum" = ["added", "removed", "changed"]))]
    change: &'static str,
    task: u32,
    key: String,
    /// By column, if the key has several parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<BTreeMap<String, Box<RawValue>>>,
    /// By column. Of a changed key, only the columns that differ.
    old: Option<BTreeMap<&'a str, Box<RawValue>>>,
    new: Option<BTreeMap<&'a str, Box<RawValue>>>,
}

impl<'a> KeyView<'a> {
    /// Makes the document of a changed key.
    pub(super) fn new(comparison: &'a Comparison, change: &Change<'_>) -> KeyView<'a> {
        let values = comparison.columns.values(change);
        let map = |side: fn(&ValueChange<'_>) -> Option<Value>| {
            values.iter().filter_map(|value| Some((value.column, value_json(&side(value)?)))).collect()
        };
        KeyView {
            version: VERSION,
            kind: "key",
            change: match change.kind() {
                ChangeKind::Added => "added",
                ChangeKind::Removed => "removed",
                ChangeKind::Changed => "changed",
            },
            task: change.task,
            key: String::from_utf8_lossy(change.key).into_owned(),
            parts: comparison.shape_of(change).map(|shape| parts(shape, &key_values(Some(shape), change.key))),
            old: change.old.map(|_| map(|value| value.old.clone())),
            new: change.new.map(|_| map(|value| value.new.clone())),
        }
    }
}

/// Returns a value as JSON, with digests for sketches so that those of one size can be told apart.
fn value_json(value: &Value) -> Box<RawValue> {
    match value {
        Value::Sketch(bytes) => raw_text(&sketch_with_digest(bytes)),
        other => raw(other),
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TaskChangeView {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    #[serde(rename = "type")]
    #[schemars(extend("const" = "task"))]
    kind: &'static str,
    task: u32,
    #[serde(flatten)]
    tally: TallyView,
}

#[derive(Debug, Serialize, JsonSchema)]
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

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PositionChangeView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    #[serde(rename = "type")]
    #[schemars(extend("const" = "position"))]
    kind: &'static str,
    partition: &'a str,
    /// Whether both positions are equal but the inputs are not.
    input_differs: bool,
    old: Option<PositionView>,
    new: Option<PositionView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PositionView {
    offset: u64,
    record: u64,
    ended: bool,
}

impl<'a> PositionChangeView<'a> {
    fn new(change: &'a PositionChange) -> PositionChangeView<'a> {
        let position = |row: &PositionRow| PositionView { offset: row.offset, record: row.record, ended: row.ended };
        PositionChangeView {
            version: VERSION,
            kind: "position",
            partition: &change.partition,
            input_differs: change.input_differs(),
            old: change.old.as_ref().map(position),
            new: change.new.as_ref().map(position),
        }
    }
}

/// The totals: the last document.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TotalView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    #[serde(rename = "type")]
    #[schemars(extend("const" = "total"))]
    kind: &'static str,
    equal: bool,
    old: SideView<'a>,
    new: SideView<'a>,
    #[serde(flatten)]
    keys: TallyView,
    tasks: u64,
    /// Partitions whose positions differ; null if only part of the keys was compared.
    positions: Option<u64>,
    columns: Vec<ColumnChangeView<'a>>,
    job_differs: bool,
    same_layout: bool,
    bytes_read: u64,
    bytes_shared: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SideView<'a> {
    store: String,
    job: &'a str,
    sequence: u64,
    created: Timestamp,
    keys: u64,
    bytes: u64,
    records: u64,
}

/// A column that the two checkpoints do not both have with the same type.
#[derive(Debug, Serialize, JsonSchema)]
struct ColumnChangeView<'a> {
    name: &'a str,
    old: Option<ColumnType>,
    new: Option<ColumnType>,
}

impl<'a> TotalView<'a> {
    fn new(report: &Report<'a>) -> TotalView<'a> {
        let comparison = report.comparison;
        let different = comparison.columns.pairs().iter().filter(|pair| !pair.is_common());
        TotalView {
            version: VERSION,
            kind: "total",
            equal: report.is_equal(),
            old: SideView::new(&comparison.old),
            new: SideView::new(&comparison.new),
            keys: (&report.totals.keys).into(),
            tasks: report.totals.tasks.len() as u64,
            positions: comparison.scope.is_all().then_some(report.positions.len() as u64),
            columns: different
                .map(|pair| ColumnChangeView { name: &pair.name, old: pair.old, new: pair.new })
                .collect(),
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
