//! Two checkpoints, side by side.

use std::collections::{HashMap, HashSet};

use crate::format::index;
use crate::format::key_shape::KeyShape;
use crate::format::manifest::{Manifest, Routing};
use crate::ops::diff::change::Change;
use crate::ops::diff::columns::Columns;
use crate::ops::diff::positions::{PositionChange, position_changes};
use crate::ops::diff::scope::{Limits, Scope};
use crate::ops::diff::side::Side;

/// Returns the task that owns a key, if any does.
pub(super) type TaskOf<'a> = Box<dyn Fn(u32, &[u8]) -> Option<u32> + 'a>;

/// Two checkpoints, side by side.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub old: Side,
    pub new: Side,
    pub columns: Columns,
    pub scope: Scope,
    pub limits: Limits,
}

impl Comparison {
    pub fn new(old: Side, new: Side, scope: Scope) -> Comparison {
        let columns = Columns::new(old.snapshot.codec.clone(), new.snapshot.codec.clone());
        Comparison { old, new, columns, scope, limits: Limits::default() }
    }

    /// Tells whether both have the same keys in the same tasks and shards, so that they can be compared shard by shard.
    ///
    /// If not, everything is read.
    pub fn same_layout(&self) -> bool {
        let (old, new) = (self.old.manifest(), self.new.manifest());
        let layout = |manifest: &Manifest| (manifest.tasks, manifest.shards, manifest.routing);
        let same_partitions = || {
            let new = self.new.partition_tasks();
            self.old.partition_tasks().iter().all(|(name, task)| new.get(name).is_none_or(|other| other == task))
        };
        layout(old) == layout(new) && (new.routing != Routing::Partition || same_partitions())
    }

    /// Returns what the key of `change` consists of, if it has several parts.
    pub fn shape_of(&self, change: &Change<'_>) -> Option<&KeyShape> {
        let side = if change.new.is_some() { &self.new } else { &self.old };
        side.manifest().key.as_ref()
    }

    /// Tells whether the two were written by different job definitions.
    pub fn job_differs(&self) -> bool {
        let job = |side: &Side| (side.manifest().job.clone(), side.manifest().tables.job.object);
        job(&self.old) != job(&self.new)
    }

    /// Returns the bytes of segments that both have.
    pub fn shared_bytes(&self) -> u64 {
        let old: HashSet<_> = self.old.snapshot.index.iter().map(|row| row.object).collect();
        let new: HashMap<_, u64> = self.new.snapshot.index.iter().map(|row| (row.object, row.bytes)).collect();
        new.iter().filter(|(object, _)| old.contains(object)).fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// Returns how far the two have read their input differently, by partition.
    pub fn positions(&self) -> Vec<PositionChange> {
        position_changes(&self.old.positions, &self.new.positions)
    }

    /// Returns the routing of the new checkpoint: a function of a key's task in the old one, and the key.
    pub(super) fn new_task(&self) -> TaskOf<'_> {
        let manifest = self.new.manifest();
        match manifest.routing {
            Routing::KeyHash => Box::new(|_, key| Some(index::task_of_key(key, manifest.tasks))),
            Routing::Program | Routing::KeyedPartition => Box::new(|task, _| (task < manifest.tasks).then_some(task)),
            Routing::Partition => {
                let tasks = self.new.partition_tasks();
                Box::new(move |_, key| std::str::from_utf8(key).ok().and_then(|key| tasks.get(key).copied()))
            }
        }
    }
}
