//! Which part of the state is compared, and how much of it is in memory at once.

use crate::format::index::{self, IndexRow};
use crate::format::manifest::Routing;
use crate::ops::diff::side::Side;
use crate::ops::key_filter::KeyFilter;

/// How much is in memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many keys of a shard are looked up, whatever the size of the segments that they are looked up in. More are
    /// looked up only if they are few compared to the rows there; otherwise all rows are decoded.
    pub lookup_rows: u64,
    /// How many rows of the old checkpoint, if the two route keys to tasks in different ways.
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
    pub keys: KeyFilter,
}

impl Scope {
    /// Makes the scope of some keys. For a single key it is narrowed to the task that both checkpoints have it in, so
    /// that only one shard is read.
    pub fn of_keys(task: Option<u32>, keys: KeyFilter, old: &Side, new: &Side) -> Scope {
        let (old, new) = (old.manifest(), new.manifest());
        let is_hashed = [old, new].iter().all(|manifest| manifest.routing == Routing::KeyHash);
        let task = match (&keys, task) {
            (KeyFilter::Only(keys), None) if is_hashed && keys.len() == 1 => {
                Some(index::task_of_key(keys[0].as_bytes(), new.tasks))
            }
            (_, task) => task,
        };
        Scope { task, keys }
    }

    /// Tells whether everything is compared.
    pub fn is_all(&self) -> bool {
        *self == Scope::default()
    }

    pub(super) fn holds(&self, task: u32, key: &[u8]) -> bool {
        self.holds_task(task) && self.holds_key(key)
    }

    pub(super) fn holds_task(&self, task: u32) -> bool {
        self.task.is_none_or(|only| only == task)
    }

    pub(super) fn holds_key(&self, key: &[u8]) -> bool {
        self.keys.holds(key)
    }

    /// Tells whether a segment may hold rows in scope, according to the index.
    pub(super) fn may_be_in(&self, segment: &IndexRow) -> bool {
        self.task.is_none_or(|task| (segment.first_task..=segment.last_task).contains(&task))
            && self.keys.may_be_in(segment)
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
            Scope { task: None, keys: KeyFilter::StartsWith(prefix.to_owned()) }.may_be_in(&segment(smallest, largest))
        };
        assert!(may("b", "a", "c") && may("b", "b", "b") && may("b", "bx", "by") && may("b", "a", "b1"));
        assert!(may("", "", "") && may("b", "b1", "c"));
        assert!(!may("b", "c", "d") && !may("b", "a", "azz") && !may("bb", "bc", "d"));
        let task = |task| Scope { task: Some(task), keys: KeyFilter::All }.may_be_in(&segment("", ""));
        assert_eq!([1, 2, 3, 4].map(task), [false, true, true, false]);
    }
}
