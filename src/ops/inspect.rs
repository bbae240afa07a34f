//! `ckpt inspect`: what a checkpoint is and contains.

use std::collections::HashSet;

use crate::format::index::{self, IndexRow, SegmentKind};
use crate::format::layout::ObjectName;
use crate::format::manifest::{ObjectRef, Routing};
use crate::format::positions::PositionRow;
use crate::ops::read::{ReadError, Selection, Snapshot, key_values};
use crate::store::records::pins::Pin;
use crate::store::{Committed, Store};
use crate::values::id::Sequence;
use crate::values::progress::Progress;
use crate::values::value::Value;

/// A summary of a checkpoint.
#[derive(Debug, Clone)]
pub struct Description {
    pub committed: Committed,
    /// How many shards have rows.
    pub filled_shards: u64,
    /// How many base segments there are.
    pub bases: u64,
    /// How many delta segments there are.
    pub deltas: u64,
    /// The most segments that the state of one shard is spread over.
    pub longest_chain: u64,
    /// How many objects there are, tables included.
    pub objects: u64,
    /// How many partitions had been read to the end.
    pub ended_partitions: u64,
    /// The time before which no more records were expected, in milliseconds since 1970, for a job with event time. If each
    /// partition has its own, that of the one that was furthest behind.
    pub watermark: Option<i64>,
    pub pin: Option<Pin>,
}

/// Describes checkpoint `sequence`.
pub fn describe(store: &Store, sequence: Sequence) -> Result<Description, ReadError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let positions = snapshot.positions(store)?;
    let count = |kind| snapshot.index.iter().filter(|row| row.kind == kind).count() as u64;
    Ok(Description {
        filled_shards: snapshot.chains().count() as u64,
        bases: count(SegmentKind::Base),
        deltas: count(SegmentKind::Delta),
        longest_chain: snapshot.chains().map(<[IndexRow]>::len).max().unwrap_or(0) as u64,
        objects: snapshot.objects().len() as u64,
        ended_partitions: latest_positions(&positions).filter(|row| row.ended).count() as u64,
        watermark: watermark(snapshot.manifest().routing, &positions),
        pin: store.pins()?.remove(&sequence),
        committed: snapshot.committed,
    })
}

/// Returns the watermark at `positions`, the smallest one if each partition has its own.
fn watermark(routing: Routing, positions: &[PositionRow]) -> Option<i64> {
    let watermarks = latest_positions(positions).filter_map(|row| row.watermark);
    match routing {
        Routing::KeyedPartition => watermarks.min(),
        Routing::KeyHash | Routing::Partition | Routing::Program => watermarks.max(),
    }
}

/// Returns the newest position of each partition. `rows` are sorted by partition and cut.
pub fn latest_positions(rows: &[PositionRow]) -> impl Iterator<Item = &PositionRow> {
    rows.chunk_by(|a, b| a.partition == b.partition).filter_map(<[PositionRow]>::last)
}

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Index,
    Positions,
    Job,
    /// What a topic gets.
    Messages {
        rows: u64,
    },
    /// Rows of a shard.
    Segment {
        shard: u32,
        /// Its index in the shard's chain.
        level: u32,
        kind: SegmentKind,
        /// How many rows, tombstones included.
        rows: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectUse {
    pub object: ObjectRef,
    pub role: Role,
    /// Whether the parent has it too; nothing if the parent cannot be read.
    pub shared: Option<bool>,
}

/// Returns the objects of checkpoint `sequence`: the tables, the messages, then the segments by shard and level.
pub fn objects(store: &Store, sequence: Sequence) -> Result<Vec<ObjectUse>, ReadError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let parents: Option<HashSet<ObjectName>> = match snapshot.manifest().parent {
        None => Some(HashSet::new()),
        // A parent that was removed or is damaged only makes the column empty.
        Some(parent) => Snapshot::open(store, parent.sequence)
            .ok()
            .map(|parent| parent.objects().iter().map(|object| object.object).collect()),
    };
    let tables = snapshot.manifest().tables;
    let tables = [(tables.index, Role::Index), (tables.positions, Role::Positions), (tables.job, Role::Job)];
    let messages = snapshot.manifest().messages.as_ref();
    let messages = messages.map(|messages| (messages.object_ref(), Role::Messages { rows: messages.rows }));
    let segments = snapshot.index.iter().map(|row| {
        let role = Role::Segment { shard: row.shard, level: row.level, kind: row.kind, rows: row.rows };
        (row.object_ref(), role)
    });
    let shared = |object: ObjectName| parents.as_ref().map(|parents| parents.contains(&object));
    let uses = tables.into_iter().chain(messages).chain(segments);
    Ok(uses.map(|(object, role)| ObjectUse { object, role, shared: shared(object.object) }).collect())
}

/// The contents of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskUse {
    pub task: u32,
    pub shard: u32,
    /// How many keys it has.
    pub keys: u64,
    /// The bytes of its keys and values, before encoding.
    pub state_bytes: u64,
}

/// The first of the requested items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt<T> {
    pub rows: Vec<T>,
    /// Whether the limit left any out.
    pub cut: bool,
}

impl<T> Excerpt<T> {
    fn new() -> Excerpt<T> {
        Excerpt { rows: Vec::new(), cut: false }
    }

    /// Adds a row unless the limit is reached, and tells whether there may be more.
    fn push(&mut self, limit: Option<usize>, row: impl FnOnce() -> T) -> bool {
        self.cut = limit.is_some_and(|limit| self.rows.len() >= limit);
        if !self.cut {
            self.rows.push(row());
        }
        !self.cut
    }
}

/// Returns the first `limit` tasks that have keys, or of all tasks, ascending. Reads the state.
pub fn tasks(
    store: &Store,
    sequence: Sequence,
    empty_too: bool,
    limit: Option<usize>,
    progress: &dyn Progress,
) -> Result<Excerpt<TaskUse>, ReadError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let (tasks, shards) = (snapshot.manifest().tasks, snapshot.manifest().shards);
    let of = |task| TaskUse { task, shard: index::shard_of(task, tasks, shards), keys: 0, state_bytes: 0 };
    let mut excerpt = Excerpt::new();
    let mut open: Option<TaskUse> = None;
    let mut next_empty = 0;
    let mut close = |excerpt: &mut Excerpt<TaskUse>, done: Option<TaskUse>| {
        let until = done.map_or(tasks, |done| done.task);
        let mut more = true;
        while empty_too && more && next_empty < until {
            more = excerpt.push(limit, || of(next_empty));
            next_empty += 1;
        }
        next_empty = until.saturating_add(1);
        more && done.is_none_or(|done| excerpt.push(limit, || done))
    };
    snapshot.rows(store, &Selection::default(), progress, |row| {
        if open.is_some_and(|open| open.task != row.task) && !close(&mut excerpt, open.take()) {
            return false;
        }
        let task = open.get_or_insert_with(|| of(row.task));
        task.keys += 1;
        task.state_bytes += (row.key.len() + row.value.map_or(0, <[u8]>::len)) as u64;
        true
    })?;
    if !excerpt.cut && (open.is_none() || close(&mut excerpt, open)) {
        close(&mut excerpt, None);
    }
    Ok(excerpt)
}

/// One key of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    pub task: u32,
    pub key: String,
    /// The parts of the key, if it has several: one value for each column of the key's shape.
    pub parts: Vec<Value>,
    /// One value for each column of the manifest.
    pub values: Vec<Value>,
}

/// Returns the first `limit` rows of the state that match `selection`, in the order of task and key.
pub fn state(
    store: &Store,
    snapshot: &Snapshot,
    selection: &Selection,
    limit: Option<usize>,
    progress: &dyn Progress,
) -> Result<Excerpt<StateRow>, ReadError> {
    let mut excerpt = Excerpt::new();
    snapshot.rows(store, selection, progress, |row| {
        excerpt.push(limit, || StateRow {
            task: row.task,
            key: String::from_utf8_lossy(row.key).into_owned(),
            parts: key_values(snapshot.manifest().key.as_ref(), row.key),
            values: snapshot.values(row),
        })
    })?;
    Ok(excerpt)
}
