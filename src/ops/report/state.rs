//! The largest tasks and keys of a checkpoint.

use crate::format::index;
use crate::ops::inspect::TaskUse;
use crate::ops::read::{ReadError, Selection, Snapshot};
use crate::ops::report::top::Top;
use crate::store::Store;
use crate::values::progress::Progress;

/// How many tasks are kept.
const MAX_TASKS: usize = 100;

/// How many keys are kept.
const MAX_KEYS: usize = 50;

/// A key and its size. Ordered by size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyUse {
    /// The bytes of the key and its values, before encoding.
    pub bytes: u64,
    pub task: u32,
    pub key: String,
}

/// How the state of a checkpoint is spread over tasks and keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    pub keys: u64,
    /// The bytes of all keys and values, before encoding.
    pub bytes: u64,
    /// How many tasks have keys.
    pub tasks: u64,
    /// The largest tasks, the largest first.
    pub largest_tasks: Vec<TaskUse>,
    /// The largest keys, the largest first.
    pub largest_keys: Vec<KeyUse>,
}

impl State {
    /// Reads all rows of a checkpoint. `progress` counts bytes.
    pub(super) fn read(store: &Store, snapshot: &Snapshot, progress: &dyn Progress) -> Result<State, ReadError> {
        let (tasks, shards) = (snapshot.manifest().tasks, snapshot.manifest().shards);
        let mut state = State::default();
        let (mut largest_tasks, mut largest_keys) = (Top::new(MAX_TASKS), Top::new(MAX_KEYS));
        let mut open: Option<TaskUse> = None;
        let mut close = |done: TaskUse, state: &mut State| {
            state.tasks += 1;
            let size = (done.state_bytes, done.keys, done.task);
            largest_tasks.offer(|least| *least >= size, || size);
        };
        snapshot.rows(store, &Selection::default(), progress, |row| {
            if open.is_some_and(|open| open.task != row.task) {
                open.take().into_iter().for_each(|done| close(done, &mut state));
            }
            let bytes = (row.key.len() + row.value.map_or(0, <[u8]>::len)) as u64;
            let task = open.get_or_insert(TaskUse { task: row.task, shard: 0, keys: 0, state_bytes: 0 });
            task.keys += 1;
            task.state_bytes += bytes;
            state.keys += 1;
            state.bytes += bytes;
            largest_keys.offer(
                |least: &KeyUse| least.bytes >= bytes,
                || KeyUse { bytes, task: row.task, key: String::from_utf8_lossy(row.key).into_owned() },
            );
            true
        })?;
        open.into_iter().for_each(|done| close(done, &mut state));
        let task_use = |(state_bytes, keys, task)| {
            let shard = index::shard_of(task, tasks, shards);
            TaskUse { task, shard, keys, state_bytes }
        };
        state.largest_tasks = largest_tasks.finish().into_iter().map(task_use).collect();
        state.largest_keys = largest_keys.finish();
        Ok(state)
    }
}
