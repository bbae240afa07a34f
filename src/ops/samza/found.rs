//! What was found in the paths that the user named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::finding::SamzaFinding;
use super::listing::Listing;
use crate::samza::checkpoint::{Checkpoint, Version};
use crate::samza::checkpoint_id::CheckpointId;
use crate::samza::offset_file::{OffsetFile, OffsetFileKind};
use crate::samza::snapshot_index::SnapshotIndex;

/// Everything that Samza wrote.
#[derive(Debug, Default)]
pub struct Found {
    /// By job and name; the numbers in names are ordered as numbers.
    pub tasks: Vec<Task>,
    pub stores: Vec<LocalStore>,
    pub snapshots: Vec<Snapshot>,
    /// Whether there are offsets for the checkpoint tool, which changes only the tasks that they name.
    pub changes_some: bool,
    /// What could not be read as what it should be.
    pub findings: Vec<SamzaFinding>,
    /// Files that the system refused to read, with its reasons. Nothing is known about them.
    pub refused: Vec<(String, String)>,
    /// The ways in which the messages of each dump group partitions.
    pub(super) groupers: BTreeMap<String, BTreeSet<String>>,
    /// The ids of each job whose messages were read.
    pub(super) ids: BTreeMap<String, BTreeSet<String>>,
    pub(super) listing: Listing,
    pub read_bytes: u64,
}

/// The latest checkpoints of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The job, if something names it.
    pub job: Option<String>,
    pub name: String,
    pub v1: Option<TaskCheckpoint>,
    pub v2: Option<TaskCheckpoint>,
}

/// A checkpoint of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCheckpoint {
    pub checkpoint: Checkpoint,
    /// The file, with the line if it is a dump.
    pub place: String,
    /// When the file or message was written, if known.
    pub written: Option<Timestamp>,
}

/// The files of a store of a task on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalStore {
    pub place: String,
    pub store: String,
    pub task: String,
    /// The checkpoint, according to the name of the directory; `None` for the files in use.
    pub snapshot: Option<CheckpointId>,
    pub files: BTreeMap<OffsetFileKind, OffsetFile>,
    /// Whether the rows are there, in files of RocksDB.
    pub has_database: bool,
    /// When the newest of the files was written.
    pub written: Option<Timestamp>,
}

/// A snapshot in a blob store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The file with the index.
    pub path: PathBuf,
    pub place: String,
    pub index: SnapshotIndex,
}

/// How much older the preferred version of a checkpoint may be before Samza uses the other one; its default for
/// `task.live.checkpoint.max.age`.
const LIVE_AGE: Duration = Duration::from_secs(600);

impl Task {
    /// Returns the checkpoint that Samza would use if it prefers `version`.
    pub fn used(&self, version: Version) -> Option<&TaskCheckpoint> {
        let (preferred, other) = match version {
            Version::V1 => (self.v1.as_ref(), self.v2.as_ref()),
            Version::V2 => (self.v2.as_ref(), self.v1.as_ref()),
        };
        let (Some(mine), Some(theirs)) = (preferred, other) else { return preferred.or(other) };
        let is_stale = match (mine.written, theirs.written) {
            (Some(mine), Some(theirs)) => theirs.duration_since(mine).unsigned_abs() > LIVE_AGE && theirs > mine,
            _ => false,
        };
        Some(if is_stale { theirs } else { mine })
    }

    /// Tells whether the two versions disagree about the inputs or the changelogs.
    pub fn is_divided(&self) -> bool {
        let (Some(v1), Some(v2)) = (&self.v1, &self.v2) else { return false };
        let has_changelogs = !v2.checkpoint.changelogs().is_empty();
        v1.checkpoint.inputs != v2.checkpoint.inputs
            || (has_changelogs && v1.checkpoint.changelogs() != v2.checkpoint.changelogs())
    }

    /// Returns both versions, the first one first.
    pub fn checkpoints(&self) -> impl Iterator<Item = &TaskCheckpoint> {
        self.v1.iter().chain(&self.v2)
    }
}

impl TaskCheckpoint {
    /// Returns when the checkpoint was begun, or else when it was written.
    pub fn time(&self) -> Option<Timestamp> {
        self.checkpoint.time().or(self.written)
    }
}

impl Found {
    /// Tells whether nothing of Samza's was found.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.stores.is_empty() && self.snapshots.is_empty() && self.findings.is_empty()
    }
}

/// Orders names so that `Partition 2` comes before `Partition 10`.
pub(super) fn natural(name: &str) -> (String, u64, String) {
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (prefix, rest) = name.split_at(digits);
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (prefix.to_owned(), number.parse().unwrap_or(u64::MAX), rest.to_owned())
}
