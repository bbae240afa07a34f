//! What changed between two checkpoints: totals, the tasks and keys that grew most, and examples.

use std::collections::BTreeMap;

use crate::format::manifest::Manifest;
use crate::ops::diff::{Change, ChangeKind, Comparison, KeyTotals, PositionChange};
use crate::ops::read::ReadError;
use crate::ops::report::top::Top;
use crate::values::progress::Progress;
use crate::values::value::Value;

/// How many tasks are kept.
const MAX_TASKS: usize = 100;

/// How many keys are kept.
const MAX_KEYS: usize = 50;

/// How many changes of keys are kept as examples.
const MAX_EXAMPLES: usize = 100;

/// By how much a task grew. Ordered by bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskGrowth {
    /// Bytes of keys and values, before encoding.
    pub bytes: i64,
    pub keys: i64,
    pub changed_keys: u64,
    pub task: u32,
}

/// By how much a key grew. Ordered by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyGrowth {
    /// Bytes of the key and its values, before encoding.
    pub bytes: i64,
    pub task: u32,
    pub key: String,
    pub is_new: bool,
}

/// A key that differs, and the values that differ.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyChange {
    pub kind: ChangeKind,
    pub task: u32,
    pub key: String,
    /// The column, its old value and its new one.
    pub values: Vec<(String, Option<Value>, Option<Value>)>,
}

/// What changed between two checkpoints.
#[derive(Debug, Clone)]
pub struct Changes {
    pub old: Manifest,
    pub new: Manifest,
    pub totals: KeyTotals,
    /// The tasks that grew most, the fastest first.
    pub tasks: Vec<TaskGrowth>,
    /// The keys that grew most, the fastest first.
    pub keys: Vec<KeyGrowth>,
    /// The first changes in the order of task and key.
    pub examples: Vec<KeyChange>,
    pub positions: Vec<PositionChange>,
    pub job_differs: bool,
}

impl Changes {
    /// Reads what differs. `progress` counts bytes.
    pub(super) fn read(comparison: &Comparison, progress: &dyn Progress) -> Result<Changes, ReadError> {
        let mut by_task: BTreeMap<u32, TaskGrowth> = BTreeMap::new();
        let mut keys = Top::new(MAX_KEYS);
        let mut examples = Vec::new();
        let totals = comparison.changes(progress, |change| {
            let bytes = size(&change, change.new) - size(&change, change.old);
            let empty = TaskGrowth { bytes: 0, keys: 0, changed_keys: 0, task: change.task };
            let task = by_task.entry(change.task).or_insert(empty);
            task.bytes += bytes;
            task.changed_keys += 1;
            task.keys += i64::from(change.new.is_some()) - i64::from(change.old.is_some());
            let key = || String::from_utf8_lossy(change.key).into_owned();
            if bytes > 0 {
                let is_new = change.old.is_none();
                keys.offer(
                    |least: &KeyGrowth| least.bytes >= bytes,
                    || KeyGrowth { bytes, task: change.task, key: key(), is_new },
                );
            }
            if examples.len() < MAX_EXAMPLES {
                let values = comparison.columns.values(&change).into_iter();
                let values = values.map(|value| (value.column.to_owned(), value.old, value.new)).collect();
                examples.push(KeyChange { kind: change.kind(), task: change.task, key: key(), values });
            }
            true
        })?;
        let mut tasks = Top::new(MAX_TASKS);
        for growth in by_task.into_values().filter(|growth| growth.bytes > 0) {
            tasks.offer(|least| *least >= growth, || growth);
        }
        Ok(Changes {
            old: comparison.old.manifest().clone(),
            new: comparison.new.manifest().clone(),
            totals,
            tasks: tasks.finish(),
            keys: keys.finish(),
            examples,
            positions: comparison.positions(),
            job_differs: comparison.job_differs(),
        })
    }
}

/// Returns the bytes of a key with its packed value, 0 if there is none.
fn size(change: &Change<'_>, value: Option<&[u8]>) -> i64 {
    value.map_or(0, |value| i64::try_from(change.key.len() + value.len()).unwrap_or(i64::MAX))
}
