//! `ckpt diff`: what changed between two checkpoints, of one store or of two.
//!
//! Content is compared, not bytes: two checkpoints are equal when they hold the same keys with the same values at the same positions, however their
//! rows are laid out in segments. A segment that both share is read only to look keys up in it, and not at all when no key needs that.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::format::index::{self, IndexRow};
use crate::format::manifest::{Manifest, Routing};
use crate::format::positions::PositionRow;
use crate::ops::read::{ReadError, Snapshot};
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::progress::Progress;

mod columns;
mod positions;
mod rerouted;
mod shard;

pub use columns::{ColumnPair, Columns, ValueChange};
pub use positions::{PositionChange, position_changes};

/// How much is in memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many keys of a shard are looked up, whatever the size of the segments that they are looked up in. More than that only when they are few
    /// against the rows there; else all of these are decoded.
    pub lookup_rows: u64,
    /// Rows of the old checkpoint, when the two route keys to tasks in different ways.
    pub window_rows: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { lookup_rows: 1 << 16, window_rows: 4 << 20 }
    }
}

/// The part of the state that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Only keys of this task, by the routing of the new checkpoint.
    pub task: Option<u32>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
}

impl Scope {
    /// Tells whether everything is compared.
    pub fn is_all(&self) -> bool {
        *self == Scope::default()
    }

    fn holds(&self, task: u32, key: &[u8]) -> bool {
        self.holds_task(task) && self.holds_key(key)
    }

    fn holds_task(&self, task: u32) -> bool {
        self.task.is_none_or(|only| only == task)
    }

    fn holds_key(&self, key: &[u8]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_bytes()))
    }

    /// Tells whether a segment can hold rows of this part, by what the index says of it.
    fn may_be_in(&self, segment: &IndexRow) -> bool {
        let (smallest, largest) = (segment.smallest_key.as_str(), segment.largest_key.as_str());
        let keys = |prefix: &str| prefix <= largest && (smallest <= prefix || smallest.starts_with(prefix));
        self.task.is_none_or(|task| (segment.first_task..=segment.last_task).contains(&task))
            && self.prefix.as_deref().is_none_or(keys)
    }
}

/// One of the two checkpoints.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its store.
    pub store: Store,
    /// Its manifest and index.
    pub snapshot: Snapshot,
    /// Its positions, sorted by partition and cut.
    pub positions: Vec<PositionRow>,
}

impl Side {
    /// Reads the manifest, the index and the positions of checkpoint `sequence`.
    pub fn open(store: Store, sequence: Sequence) -> Result<Side, ReadError> {
        let snapshot = Snapshot::open(&store, sequence)?;
        let positions = snapshot.positions(&store)?;
        Ok(Side { store, snapshot, positions })
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        self.snapshot.manifest()
    }

    fn table_bytes(&self) -> u64 {
        let tables = self.manifest().tables;
        tables.index.bytes.saturating_add(tables.positions.bytes)
    }

    /// Returns the tasks of the partitions of a job without a key.
    fn partition_tasks(&self) -> HashMap<&str, u32> {
        self.positions.iter().filter_map(|row| Some((row.partition.as_str(), row.task?))).collect()
    }
}

/// Tells which task owns a key, if any does.
type TaskOf<'a> = Box<dyn Fn(u32, &[u8]) -> Option<u32> + 'a>;

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Only the new checkpoint has it.
    Added,
    /// Only the old checkpoint has it.
    Removed,
    /// Both have it, with different values.
    Changed,
}

/// A key whose values are not the same in both checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The task that owns the key: by the routing of the new checkpoint, of the old one when the new one routes it nowhere.
    pub task: u32,
    /// The key, UTF-8.
    pub key: &'a [u8],
    /// Its packed value in the old checkpoint, if it is there.
    pub old: Option<&'a [u8]>,
    /// Its packed value in the new checkpoint, if it is there.
    pub new: Option<&'a [u8]>,
}

impl Change<'_> {
    /// Returns what became of the key.
    pub fn kind(&self) -> ChangeKind {
        match (self.old, self.new) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        }
    }
}

/// How many keys are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Keys that only the new checkpoint has.
    pub added: u64,
    /// Keys that only the old checkpoint has.
    pub removed: u64,
    /// Keys with different values.
    pub changed: u64,
}

impl Tally {
    /// Returns how many there are of any kind.
    pub fn all(&self) -> u64 {
        self.added + self.removed + self.changed
    }

    fn count(&mut self, kind: ChangeKind) {
        match kind {
            ChangeKind::Added => self.added += 1,
            ChangeKind::Removed => self.removed += 1,
            ChangeKind::Changed => self.changed += 1,
        }
    }
}

/// How the keys of the two differ, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyTotals {
    /// Over all tasks.
    pub keys: Tally,
    /// By task, only those with a difference.
    pub tasks: BTreeMap<u32, Tally>,
    /// Bytes of objects that were read, tables included.
    pub bytes_read: u64,
}

/// Two checkpoints, side by side.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The one that changes are counted from.
    pub old: Side,
    /// The one that changes lead to.
    pub new: Side,
    /// The columns of both, by name.
    pub columns: Columns,
    /// What is compared.
    pub scope: Scope,
    /// How much is in memory at once.
    pub limits: Limits,
}

impl Comparison {
    /// Puts two checkpoints side by side.
    pub fn new(old: Side, new: Side, scope: Scope) -> Comparison {
        let columns = Columns::new(old.snapshot.codec.clone(), new.snapshot.codec.clone());
        Comparison { old, new, columns, scope, limits: Limits::default() }
    }

    /// Tells whether the two lay keys out in the same tasks and shards, so that a shard of one can be held against the same shard of the other.
    ///
    /// When not, everything is read.
    pub fn same_layout(&self) -> bool {
        let (old, new) = (self.old.manifest(), self.new.manifest());
        let layout = |manifest: &Manifest| (manifest.tasks, manifest.shards, manifest.routing);
        let same_partitions = || {
            let new = self.new.partition_tasks();
            self.old.partition_tasks().iter().all(|(name, task)| new.get(name).is_none_or(|other| other == task))
        };
        layout(old) == layout(new) && (new.routing != Routing::Partition || same_partitions())
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

    /// Hands every key of the scope that is not the same in both to `visit`, until there are no more or it says no, and returns the totals of those
    /// that were handed on.
    ///
    /// Keys come in the order of the new checkpoint: by task, then by the bytes of the key. Memory is bounded by the objects of one shard a thread
    /// and the keys that are looked up in them; with another routing by [`Limits::window_rows`].
    pub fn changes(
        &self,
        progress: &dyn Progress,
        mut visit: impl FnMut(Change<'_>) -> bool,
    ) -> Result<KeyTotals, ReadError> {
        let mut totals = KeyTotals::default();
        let mut counted = |change: Change<'_>| {
            totals.keys.count(change.kind());
            totals.tasks.entry(change.task).or_default().count(change.kind());
            visit(change)
        };
        let segment_bytes = match self.same_layout() {
            true => shard::compare(self, progress, &mut counted)?,
            false => rerouted::compare(self, progress, &mut counted)?,
        };
        totals.bytes_read =
            [self.old.table_bytes(), self.new.table_bytes(), segment_bytes].into_iter().fold(0, u64::saturating_add);
        Ok(totals)
    }

    /// Returns how far the input of the old checkpoint and that of the new one differ, by partition.
    pub fn positions(&self) -> Vec<PositionChange> {
        position_changes(&self.old.positions, &self.new.positions)
    }

    /// Returns the task of a key by the routing of the new checkpoint: a function of its task in the old one, and the key.
    fn new_task(&self) -> TaskOf<'_> {
        let manifest = self.new.manifest();
        match manifest.routing {
            Routing::KeyHash => Box::new(|_, key| Some(index::task_of_key(key, manifest.tasks))),
            Routing::Program => Box::new(|task, _| (task < manifest.tasks).then_some(task)),
            Routing::Partition => {
                let tasks = self.new.partition_tasks();
                Box::new(move |_, key| std::str::from_utf8(key).ok().and_then(|key| tasks.get(key).copied()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::index::SegmentKind;
    use crate::format::layout::{ObjectKind, ObjectName};
    use crate::values::digest::Digest;

    fn segment(smallest_key: &str, largest_key: &str) -> IndexRow {
        IndexRow {
            shard: 0,
            level: 0,
            first_task: 2,
            last_task: 3,
            cut: 1,
            kind: SegmentKind::Base,
            object: ObjectName { digest: Digest::of(b""), kind: ObjectKind::Parquet },
            bytes: 1,
            rows: 1,
            tombstones: 0,
            smallest_key: smallest_key.to_owned(),
            largest_key: largest_key.to_owned(),
        }
    }

    #[test]
    fn a_segment_is_left_out_only_when_it_can_hold_nothing_of_the_scope() {
        let may = |prefix: &str, smallest: &str, largest: &str| {
            Scope { task: None, prefix: Some(prefix.to_owned()) }.may_be_in(&segment(smallest, largest))
        };
        assert!(may("b", "a", "c") && may("b", "b", "b") && may("b", "bx", "by") && may("b", "a", "b1"));
        assert!(may("", "", "") && may("b", "b1", "c"));
        assert!(!may("b", "c", "d") && !may("b", "a", "azz") && !may("bb", "bc", "d"));
        let task = |task| Scope { task: Some(task), prefix: None }.may_be_in(&segment("", ""));
        assert_eq!([1, 2, 3, 4].map(task), [false, true, true, false]);
    }
}
