//! `manifest.yaml`: the root of a checkpoint.

use std::collections::HashSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::document;
use crate::format::error::ManifestError;
use crate::format::key_shape::KeyShape;
use crate::format::layout::{ObjectKind, ObjectName};
use crate::values::digest::Digest;
use crate::values::id::{Sequence, StagingId, StoreId};
use crate::values::value::{Column, ColumnType};
use crate::values::yaml;

/// `manifest.yaml`: everything about one checkpoint that is not a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub job: String,
    pub store: StoreId,
    pub sequence: Sequence,
    /// The checkpoint before it; nothing for the first one of a store.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<Parent>,
    /// When the cut was taken, in UTC with milliseconds.
    pub created: Timestamp,
    /// How the checkpoint chose what to save.
    pub mode: Mode,
    pub trigger: Trigger,
    /// Whether the input was read to its end.
    pub ended: bool,
    /// The checkpoint whose content this one has, if a restore made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restored_from: Option<Sequence>,
    /// The worker that made the checkpoint, if several share the job.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worker: Option<String>,
    pub tasks: u32,
    /// See [`crate::format::index::shard_of`].
    pub shards: u32,
    /// How keys are assigned to tasks.
    pub routing: Routing,
    /// The cut: all blocks of the input before this number are applied, and no others.
    pub block: u64,
    /// In mode priority: the older cuts that some shards still have, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub older_cuts: Vec<OlderCut>,
    /// The block size of the input in bytes: blocks begin at its multiples.
    pub block_bytes: u64,
    /// What keys consist of, if they have several parts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<KeyShape>,
    pub columns: Vec<Column>,
    pub timings: Timings,
    pub totals: Totals,
    /// The output files that this checkpoint publishes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub outputs: Vec<Output>,
    /// The part of the dead-letter file that belongs to this checkpoint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dead_letter: Option<DeadLetter>,
    /// The part of the file of late records that belongs to this checkpoint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub late_records: Option<DeadLetter>,
    /// The messages that this checkpoint publishes in a topic.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub messages: Option<StagedMessages>,
    pub tables: Tables,
}

/// An older cut that some shards have instead of the checkpoint's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OlderCut {
    /// The cut: the shards have the state after all blocks before this number.
    pub block: u64,
    pub created: Timestamp,
    /// The number of records that were applied at the cut, skipped ones included.
    pub records: u64,
    /// Ascending.
    pub shards: Vec<u32>,
}

/// A link to the checkpoint before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    pub sequence: Sequence,
    /// The SHA-256 of its `manifest.yaml`.
    pub sha256: Digest,
}

/// How a checkpoint chooses what to save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What changed; the rest is shared with the parent.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// `schedule` in the job file.
    Schedule,
    /// `state_bytes` in the job file.
    StateBytes,
    /// `records` in the job file.
    Records,
    /// SIGUSR1.
    Signal,
    /// `ckpt checkpoint` or `ckpt samza import`.
    Request,
    /// The input was read to its end.
    EndOfInput,
    /// SIGINT or SIGTERM.
    Shutdown,
    /// `ckpt restore`.
    Restore,
}

/// How keys are assigned to tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// By the key: the XXH3-64 of its bytes modulo the number of tasks.
    KeyHash,
    /// The job has no key: each partition is a task, numbered in the positions table, and its name is the key.
    Partition,
    /// By the partition that the records of a key are in: each partition is a task and a shard, numbered in the positions
    /// table. A key that is in several partitions has a row in each.
    KeyedPartition,
    /// By the program that keeps the state: any key may be in any task, and also in several.
    Program,
}

/// How long a checkpoint took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// The longest pause of any worker.
    pub pause_micros: u64,
    /// From the cut until all changed rows were copied.
    pub snapshot_micros: u64,
    /// From then until every object was written and flushed.
    pub write_micros: u64,
}

/// Counts and sizes of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Keys in the state.
    pub keys: u64,
    /// Rows that the checkpoint wrote: changed keys and tombstones.
    pub changed_keys: u64,
    /// The size of all its objects.
    pub bytes: u64,
    /// The size of the objects that its parent does not have.
    pub new_bytes: u64,
    pub partitions: u64,
    /// Bytes of input applied since the job started.
    pub input_bytes: u64,
    /// Records applied since the job started, skipped ones included.
    pub records: u64,
    /// Records skipped or written to the dead-letter file since the job started.
    pub skipped: u64,
    /// Late records since the job started: all their windows were closed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub late: u64,
    /// The part of `input_bytes` in files that the positions no longer name.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub past_input_bytes: u64,
    /// The part of `records` in files that the positions no longer name.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub past_records: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An output file that a checkpoint publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// As in the job file: absolute, or relative to the directory of the job file.
    pub path: String,
    pub sha256: Digest,
    pub bytes: u64,
    pub rows: u64,
    /// What the name of the staged file ends with, if several workers share the job.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub staged: Option<StagingId>,
}

/// The part of a dead-letter file that belongs to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// As in the job file.
    pub path: String,
    /// The size of that part. Whatever follows was written later.
    pub bytes: u64,
}

/// Messages that are staged in the store, and that a topic gets after the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagedMessages {
    pub topic: String,
    /// The checkpoint that staged them: this one, or the one that it was restored from.
    pub checkpoint: Sequence,
    /// The checkpoint whose messages the topic got before these, or that it was new at; 0 if there was none.
    pub after: u64,
    pub rows: u64,
    /// See [`crate::format::messages`].
    pub object: ObjectName,
    /// The size of the object.
    pub bytes: u64,
}

/// The tables of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// See [`crate::format::index`].
    pub index: ObjectRef,
    /// See [`crate::format::positions`].
    pub positions: ObjectRef,
    /// The job file in its canonical form.
    pub job: ObjectRef,
}

/// An object and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    pub object: ObjectName,
    pub bytes: u64,
}

impl StagedMessages {
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef { object: self.object, bytes: self.bytes }
    }
}

impl Manifest {
    /// Returns the objects that the manifest itself names: its tables, and its messages.
    pub fn own_objects(&self) -> impl Iterator<Item = ObjectRef> + use<> {
        let tables = [self.tables.index, self.tables.positions, self.tables.job];
        tables.into_iter().chain(self.messages.as_ref().map(StagedMessages::object_ref))
    }

    /// The largest manifest that is read, in bytes.
    pub const MAX_BYTES: u64 = document::MAX_BYTES;

    /// Writes the manifest as YAML. Equal manifests give equal bytes.
    pub fn to_yaml(&self) -> String {
        yaml::to_string(self)
    }

    /// Reads a manifest of this format, and checks what can be checked without any other file.
    pub fn from_yaml(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = document::read(bytes)?;
        document::check_format(manifest.format)?;
        manifest.check().map_err(|reason| ManifestError::Malformed { reason })?;
        Ok(manifest)
    }

    /// Returns whether several workers can divide the tasks between them.
    pub fn is_divisible(&self) -> bool {
        self.routing == Routing::KeyedPartition
    }

    /// Returns what is wrong with the manifest by itself.
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
                    "{field}: expected a checkpoint before this one ({}), found {}",
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
        if self.routing == Routing::KeyedPartition && shards != tasks {
            return Err(format!("shards: expected {tasks}, one for each partition, found {shards}"));
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
        if let Some(key) = &self.key {
            let (count, most) = (key.parts.len(), KeyShape::MAX_PARTS);
            if !(2..=most).contains(&count) {
                return Err(format!("key: expected 2 to {most} parts, found {count}"));
            }
            let columns = key.columns();
            let mut names: HashSet<&String> = self.columns.iter().map(|column| &column.name).collect();
            if let Some(twice) = columns.iter().find(|column| !names.insert(&column.name)) {
                return Err(format!("key: found {:?} twice", twice.name));
            }
        }
        if let Some(wrong) = self.columns.iter().find(|column| !is_sound_estimate(column, &self.columns)) {
            return Err(format!("columns: {:?} cannot be an estimate of the sketch that it names", wrong.name));
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
        self.messages.as_ref().map_or(Ok(()), |messages| messages.check(*sequence))
    }
}

impl StagedMessages {
    /// Returns what is wrong with the messages of checkpoint `sequence`.
    fn check(&self, sequence: Sequence) -> Result<(), String> {
        let StagedMessages { checkpoint, after, object, .. } = self;
        if checkpoint.0 == 0 || *checkpoint > sequence {
            return Err(format!("messages.checkpoint: expected 1 to {}, found {}", sequence.0, checkpoint.0));
        }
        if *after >= checkpoint.0 {
            return Err(format!("messages.after: expected a checkpoint before {}, found {after}", checkpoint.0));
        }
        if object.kind != ObjectKind::Parquet {
            return Err(format!("messages.object: expected a parquet object, found `{object}`"));
        }
        Ok(())
    }
}

/// Returns whether a column that is an estimate has the type of one, and names a sketch of the right kind.
fn is_sound_estimate(column: &Column, columns: &[Column]) -> bool {
    let Some(estimate) = &column.estimate else { return true };
    let sketch = columns.iter().find(|sketch| sketch.name == estimate.sketch).map(|sketch| sketch.column_type);
    match estimate.quantile {
        None => (column.column_type, sketch) == (ColumnType::Int, Some(ColumnType::Sketch)),
        Some(_) => (column.column_type, sketch) == (ColumnType::Number, Some(ColumnType::Quantiles)),
    }
}

#[cfg(test)]
mod tests;
