//! `manifest.yaml`: the root of a checkpoint.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::document;
use crate::format::error::ManifestError;
use crate::format::layout::{ObjectKind, ObjectName};
use crate::values::digest::Digest;
use crate::values::id::{Sequence, StoreId};
use crate::values::value::Column;
use crate::values::yaml;

/// `manifest.yaml`: everything about one checkpoint that is not a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The store format.
    pub format: u32,
    /// The job.
    pub job: String,
    /// The store's identity.
    pub store: StoreId,
    /// This checkpoint's number.
    pub sequence: Sequence,
    /// The checkpoint before it; nothing for the first of a store.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<Parent>,
    /// When the cut was taken, in UTC with milliseconds.
    pub created: Timestamp,
    /// How the checkpoint chose what to take.
    pub mode: Mode,
    /// What caused it.
    pub trigger: Trigger,
    /// Whether the input had been read to its end.
    pub ended: bool,
    /// The checkpoint whose content this one put back, when a restore made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restored_from: Option<Sequence>,
    /// The number of tasks.
    pub tasks: u32,
    /// The number of shards; see [`crate::format::index::shard_of`].
    pub shards: u32,
    /// How keys find their task.
    pub routing: Routing,
    /// The cut: every block of the input before this number is applied, none from it on.
    pub block: u64,
    /// Older cuts that some shards still have, ascending, in mode priority.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub older_cuts: Vec<OlderCut>,
    /// The size of the grid that the input's blocks are laid on, in bytes.
    pub block_bytes: u64,
    /// The columns of the state's values.
    pub columns: Vec<Column>,
    /// What it took.
    pub timings: Timings,
    /// How much there is.
    pub totals: Totals,
    /// The files that this checkpoint publishes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub outputs: Vec<Output>,
    /// The dead-letter file, as far as this checkpoint knows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dead_letter: Option<DeadLetter>,
    /// The file of late records, as far as this checkpoint knows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub late_records: Option<DeadLetter>,
    /// The tables.
    pub tables: Tables,
}

/// A cut that some shards have instead of the checkpoint's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OlderCut {
    /// The cut: their state is that of all blocks before this number.
    pub block: u64,
    /// When it was taken.
    pub created: Timestamp,
    /// Records of input that were applied then, skipped ones included.
    pub records: u64,
    /// The shards, ascending.
    pub shards: Vec<u32>,
}

/// The link to the checkpoint before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Its number.
    pub sequence: Sequence,
    /// The SHA-256 of its `manifest.yaml`.
    pub sha256: Digest,
}

/// How a checkpoint chooses what to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only what changed; the rest is shared with the parent.
    #[default]
    Elided,
    /// The most important shards first.
    Priority,
    /// Everything, sharing nothing with earlier checkpoints.
    Scheduled,
}

impl Mode {
    /// Returns the name that job files and manifests use.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Elided => "elided",
            Mode::Priority => "priority",
            Mode::Scheduled => "scheduled",
        }
    }
}

/// What caused a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The job's `schedule`.
    Schedule,
    /// The job's `state_bytes`.
    StateBytes,
    /// The job's `records`.
    Records,
    /// SIGUSR1.
    Signal,
    /// `ckpt checkpoint`.
    Request,
    /// The input was read to its end.
    EndOfInput,
    /// SIGINT or SIGTERM.
    Shutdown,
    /// `ckpt restore`.
    Restore,
}

/// How a key finds its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// The job has a key: task = XXH3-64 of the key's bytes, modulo the number of tasks.
    KeyHash,
    /// It has none: each partition is a task of its own, numbered in the positions table, and its name is the key.
    Partition,
    /// The state is that of a program, which gives each of its tasks keys as it likes: any key may be in any task, also in several.
    Program,
}

/// What a checkpoint took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// The longest that any worker stood still for it.
    pub pause_micros: u64,
    /// From the cut until all changed rows were taken.
    pub snapshot_micros: u64,
    /// From then until every object was written and flushed.
    pub write_micros: u64,
}

/// How much a checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Keys in the state.
    pub keys: u64,
    /// Rows that this checkpoint wrote: changed keys and tombstones.
    pub changed_keys: u64,
    /// Bytes of all its objects.
    pub bytes: u64,
    /// Bytes of the objects that its parent did not have.
    pub new_bytes: u64,
    /// Partitions of the input.
    pub partitions: u64,
    /// Bytes of input applied since the job began.
    pub input_bytes: u64,
    /// Records of input applied since the job began, skipped ones included.
    pub records: u64,
    /// Records skipped or sent to the dead-letter file since the job began.
    pub skipped: u64,
    /// Records that came after all their windows were closed, since the job began.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub late: u64,
    /// Of the bytes of input, those of files that the positions do not name any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub past_input_bytes: u64,
    /// Of the records, those of files that the positions do not name any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub past_records: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A file that a checkpoint publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Where, as the job file says it, relative to the job file's directory unless absolute.
    pub path: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
}

/// How far a dead-letter file is part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// Where, as the job file says it.
    pub path: String,
    /// Its first so many bytes belong to this checkpoint; what follows was written after it.
    pub bytes: u64,
}

/// The tables of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// A row a segment, see [`crate::format::index`].
    pub index: ObjectRef,
    /// A row a partition, see [`crate::format::positions`].
    pub positions: ObjectRef,
    /// The job's definition, YAML.
    pub job: ObjectRef,
}

/// An object and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// Its name.
    pub object: ObjectName,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Manifest {
    /// The largest manifest that is read, in bytes.
    pub const MAX_BYTES: u64 = document::MAX_BYTES;

    /// Writes the manifest as YAML, the same bytes each time.
    pub fn to_yaml(&self) -> String {
        yaml::to_string(self)
    }

    /// Reads a manifest, of format 1 only, and checks what can be checked without any other file.
    pub fn from_yaml(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = document::read(bytes)?;
        document::check_format(manifest.format)?;
        manifest.check().map_err(|reason| ManifestError::Malformed { reason })?;
        Ok(manifest)
    }

    /// Says what in the manifest contradicts itself.
    fn check(&self) -> Result<(), String> {
        let Manifest { sequence, tasks, shards, .. } = self;
        if sequence.0 == 0 {
            return Err("sequence: expected at least 1, found 0".to_owned());
        }
        for (field, earlier) in
            [("parent", self.parent.map(|parent| parent.sequence)), ("restored_from", self.restored_from)]
        {
            if let Some(earlier) = earlier.filter(|earlier| earlier.0 == 0 || earlier >= sequence) {
                return Err(format!(
                    "{field}: expected a checkpoint before {}, which this is, found {}",
                    sequence.0, earlier.0
                ));
            }
        }
        if *tasks == 0 {
            return Err("tasks: expected at least 1, found 0".to_owned());
        }
        if *shards == 0 || shards > tasks {
            return Err(format!("shards: expected 1 to {tasks}, the number of tasks, found {shards}"));
        }
        let mut last = None;
        let mut behind = HashSet::new();
        for cut in &self.older_cuts {
            if cut.block >= self.block || last >= Some(cut.block) {
                let block = self.block;
                return Err(format!("older_cuts: expected ascending blocks before {block}, found {}", cut.block));
            }
            last = Some(cut.block);
            if let Some(wrong) = cut.shards.iter().find(|shard| *shard >= shards || !behind.insert(**shard)) {
                return Err(format!("older_cuts: expected shards from 0 to {}, each once, found {wrong}", shards - 1));
            }
        }
        if self.block_bytes == 0 {
            return Err("block_bytes: expected at least 1, found 0".to_owned());
        }
        let mut names = HashSet::new();
        if let Some(twice) = self.columns.iter().find(|column| !names.insert(&column.name)) {
            return Err(format!("columns: found {:?} twice", twice.name));
        }
        for (field, table, kind) in [
            ("index", self.tables.index, ObjectKind::Parquet),
            ("positions", self.tables.positions, ObjectKind::Parquet),
            ("job", self.tables.job, ObjectKind::Yaml),
        ] {
            if table.object.kind != kind {
                return Err(format!("tables.{field}: expected a {kind} object, found `{}`", table.object));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
