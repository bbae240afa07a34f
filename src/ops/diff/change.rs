//! Keys that differ, and how many there are.

use std::collections::BTreeMap;

/// How a key changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Only the new checkpoint has it.
    Added,
    /// Only the old checkpoint has it.
    Removed,
    /// Both have it, with different values.
    Changed,
}

/// A key whose values differ between the checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The task that owns the key, by the routing of the new checkpoint; by that of the old one if the new one routes
    /// it nowhere.
    pub task: u32,
    /// UTF-8.
    pub key: &'a [u8],
    /// Its packed value in the old checkpoint, if that has it.
    pub old: Option<&'a [u8]>,
    /// Its packed value in the new checkpoint, if that has it.
    pub new: Option<&'a [u8]>,
}

impl Change<'_> {
    pub fn kind(&self) -> ChangeKind {
        match (self.old, self.new) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        }
    }
}

/// How many keys differ.
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
    /// Returns the sum.
    pub fn all(&self) -> u64 {
        self.added + self.removed + self.changed
    }

    pub(super) fn count(&mut self, kind: ChangeKind) {
        match kind {
            ChangeKind::Added => self.added += 1,
            ChangeKind::Removed => self.removed += 1,
            ChangeKind::Changed => self.changed += 1,
        }
    }
}

/// How many keys differ, in all and by task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyTotals {
    pub keys: Tally,
    /// Only tasks with a difference.
    pub tasks: BTreeMap<u32, Tally>,
    /// Bytes of objects that were read, tables included.
    pub bytes_read: u64,
}
