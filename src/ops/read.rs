//! Reads the state of a checkpoint: its live rows, in the order of task and key.

use std::borrow::Borrow;
use std::cell::Cell;

use bytes::Bytes;

use crate::format::error::TableError;
use crate::format::index::{self, IndexRow, SegmentKind};
use crate::format::key_shape::KeyShape;
use crate::format::manifest::{Manifest, ObjectRef, Routing};
use crate::format::positions::{self, PositionRow};
use crate::format::row_batch::RowBatch;
use crate::format::rows::{Row, RowCodec};
use crate::format::segment::SegmentReader;
use crate::format::segment::merge::Merge;
use crate::ops::key_filter::KeyFilter;
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::parallel::Outlet;
use crate::values::progress::Progress;
use crate::values::value::{ColumnType, Value};

/// How many rows a reading thread hands to the caller at once.
const BATCH_ROWS: usize = 4096;

/// Why the content of a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object has the bytes that its name promises, but they are not what they should be.
    #[error("cannot read object `{path}`")]
    Table {
        /// The object's path in the store.
        path: String,
        source: TableError,
    },
    /// The index and the manifest contradict each other.
    #[error("index `{path}` does not fit its checkpoint: {reason}")]
    Index {
        /// The index's path in the store.
        path: String,
        reason: String,
    },
    #[error("the job definition `{path}` is not UTF-8")]
    Job {
        /// The object's path in the store.
        path: String,
    },
}

impl ReadError {
    /// Tells whether the checkpoint does not exist, or was removed while it was read.
    pub fn is_removed(&self) -> bool {
        matches!(self, ReadError::Store(StoreError::NoCheckpoint { .. }))
    }

    /// Tells whether the error says nothing about the checkpoint, see [`StoreError::is_inconclusive`].
    pub fn is_inconclusive(&self) -> bool {
        matches!(self, ReadError::Store(error) if error.is_inconclusive())
    }
}

/// A part of a checkpoint's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only rows of this task.
    pub task: Option<u32>,
    /// A filter of single keys narrows the search to their tasks, see [`Snapshot::task_of_key`].
    pub keys: KeyFilter,
}

/// A checkpoint whose manifest and index have been read.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub committed: Committed,
    /// Its segments, sorted by shard and level.
    pub index: Vec<IndexRow>,
    /// Unpacks the values of the rows.
    pub codec: RowCodec,
}

impl Snapshot {
    /// Reads the manifest and the index of checkpoint `sequence`, and checks one against the other.
    pub fn open(store: &Store, sequence: Sequence) -> Result<Snapshot, ReadError> {
        Snapshot::of(store, store.manifest(sequence)?)
    }

    /// Reads the index of the checkpoint that `committed` describes.
    pub fn of(store: &Store, committed: Committed) -> Result<Snapshot, ReadError> {
        let table = committed.manifest.tables.index;
        let path = || table.object.path().to_string();
        let bytes = store.object_of(committed.manifest.sequence, table)?;
        let index = index::decode(bytes).map_err(|source| ReadError::Table { path: path(), source })?;
        if let Some(reason) = index_problems(&committed.manifest, &index).into_iter().next() {
            return Err(ReadError::Index { path: path(), reason });
        }
        let codec = RowCodec::new(committed.manifest.columns.clone());
        Ok(Snapshot { committed, index, codec })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.committed.manifest
    }

    /// Returns the segments of each shard that has any, the base first.
    pub fn chains(&self) -> impl Iterator<Item = &[IndexRow]> {
        self.index.chunk_by(|a, b| a.shard == b.shard)
    }

    /// Returns every object of the checkpoint once, sorted by name.
    pub fn objects(&self) -> Vec<ObjectRef> {
        self.manifest().objects(&self.index)
    }

    /// Reads one of the checkpoint's objects, see [`Store::object_of`].
    pub fn object(&self, store: &Store, object: ObjectRef) -> Result<Bytes, StoreError> {
        store.object_of(self.manifest().sequence, object)
    }

    /// Copies one of the checkpoint's objects, see [`Store::copy_object_of`].
    pub fn copy_object<C>(
        &self,
        store: &Store,
        object: ObjectRef,
        begin: impl Fn() -> C,
        append: impl Fn(&mut C, &[u8]),
    ) -> Result<C, StoreError> {
        store.copy_object_of(self.manifest().sequence, object, begin, append)
    }

    pub fn positions(&self, store: &Store) -> Result<Vec<PositionRow>, ReadError> {
        let table = self.manifest().tables.positions;
        let path = || table.object.path().to_string();
        positions::decode(self.object(store, table)?).map_err(|source| ReadError::Table { path: path(), source })
    }

    /// Reads the definition of the job that wrote the checkpoint.
    pub fn job(&self, store: &Store) -> Result<String, ReadError> {
        let table = self.manifest().tables.job;
        let bytes = self.object(store, table)?;
        String::from_utf8(bytes.into()).map_err(|_| ReadError::Job { path: table.object.path().to_string() })
    }

    /// Returns the task that owns `key`. There is none if a job without a key has no partition of that name, or if any
    /// task may have the key.
    pub fn task_of_key(&self, store: &Store, key: &str) -> Result<Option<u32>, ReadError> {
        match self.manifest().routing {
            Routing::KeyHash => Ok(Some(index::task_of_key(key.as_bytes(), self.manifest().tasks))),
            Routing::Program | Routing::KeyedPartition => Ok(None),
            Routing::Partition => {
                Ok(self.positions(store)?.iter().find(|row| row.partition == key).and_then(|row| row.task))
            }
        }
    }

    /// Unpacks a row's value into one value for each column.
    pub fn values(&self, row: Row<'_>) -> Vec<Value> {
        row.value.map_or_else(Vec::new, |value| self.codec.unpack(value))
    }

    /// Passes the live rows that match `selection` to `visit`, in ascending order of task and key, until there are no
    /// more or `visit` returns false.
    ///
    /// Shards are read on several threads, a little ahead of the caller. Memory is bounded by the objects of one shard
    /// per thread and a few thousand rows per shard. `progress` counts bytes of objects.
    pub fn rows(
        &self,
        store: &Store,
        selection: &Selection,
        progress: &dyn Progress,
        mut visit: impl FnMut(Row<'_>) -> bool,
    ) -> Result<(), ReadError> {
        let tasks = self.tasks(store, selection)?;
        let in_tasks = |first: u32, last: u32| {
            tasks.as_ref().is_none_or(|tasks| tasks.iter().any(|task| (first..=last).contains(task)))
        };
        let keys = &selection.keys;
        let may_match = |row: &&IndexRow| in_tasks(row.first_task, row.last_task) && keys.may_be_in(row);
        let segments: Vec<&IndexRow> = self.index.iter().filter(may_match).collect();
        let chains: Vec<&[&IndexRow]> = segments.chunk_by(|a, b| a.shard == b.shard).collect();
        progress.start(segments.iter().map(|row| row.bytes).sum());
        let wanted = |row: &Row<'_>| in_tasks(row.task, row.task) && keys.holds(row.key);
        let read = |chain: &&[&IndexRow], outlet: &Outlet<'_, RowBatch, ReadError>| {
            let mut batch = RowBatch::new();
            self.chain_rows(store, chain, progress, |row| {
                if row.value.is_some() && wanted(&row) {
                    batch.push(row.task, row.key, row.value);
                    if batch.len() == BATCH_ROWS {
                        return outlet.send(std::mem::take(&mut batch));
                    }
                }
                outlet.is_open()
            })?;
            outlet.send(batch);
            Ok(())
        };
        parallel::in_order(&chains, read, |batch| batch.iter().all(&mut visit))
    }

    /// Returns the tasks that may have rows of `selection`; `None` if any task may.
    fn tasks(&self, store: &Store, selection: &Selection) -> Result<Option<Vec<u32>>, ReadError> {
        let KeyFilter::Only(keys) = &selection.keys else { return Ok(selection.task.map(|task| vec![task])) };
        if matches!(self.manifest().routing, Routing::Program | Routing::KeyedPartition) {
            return Ok(selection.task.map(|task| vec![task]));
        }
        let mut tasks = Vec::new();
        for key in keys {
            tasks.extend(self.task_of_key(store, key)?);
        }
        tasks.retain(|owner| selection.task.is_none_or(|task| task == *owner));
        Ok(Some(tasks))
    }

    /// Passes the merged rows of one shard, tombstones included, to `visit` until there are no more or it returns
    /// false.
    ///
    /// `chain` has the shard's segments, the oldest first.
    pub fn chain_rows<R: Borrow<IndexRow>>(
        &self,
        store: &Store,
        chain: &[R],
        progress: &dyn Progress,
        visit: impl FnMut(Row<'_>) -> bool,
    ) -> Result<(), ReadError> {
        let path = |place: usize| chain[place].borrow().object.path().to_string();
        let failed = Cell::new(0);
        let failed = &failed;
        let mut sources = Vec::with_capacity(chain.len());
        for (place, row) in chain.iter().map(Borrow::borrow).enumerate() {
            let bytes = self.object(store, row.object_ref())?;
            progress.advance(row.bytes);
            let reader = SegmentReader::open(bytes, self.codec.columns())
                .map_err(|source| ReadError::Table { path: path(place), source })?;
            sources.push(reader.inspect(move |batch| {
                if batch.is_err() {
                    failed.set(place);
                }
            }));
        }
        Merge::new(sources).for_each(visit).map_err(|source| ReadError::Table { path: path(failed.get()), source })
    }
}

/// Returns the parts of a key, if keys have parts. A key that does not have them is the value of the first column of
/// text, or else of the first column, and the others are null.
pub fn key_values(shape: Option<&KeyShape>, key: &[u8]) -> Vec<Value> {
    let Some(shape) = shape else { return Vec::new() };
    shape.split(key).unwrap_or_else(|| {
        let columns = shape.columns();
        let place = columns.iter().position(|column| column.column_type == ColumnType::Text);
        let mut values = vec![Value::Null; columns.len()];
        values[place.unwrap_or(0)] = Value::Text(String::from_utf8_lossy(key).into_owned());
        values
    })
}

/// Returns how `index` contradicts `manifest`.
pub fn index_problems(manifest: &Manifest, index: &[IndexRow]) -> Vec<String> {
    let mut problems = Vec::new();
    let (tasks, shards) = (manifest.tasks, manifest.shards);
    if tasks == 0 || shards == 0 || shards > tasks {
        return vec![format!("the manifest has {tasks} tasks in {shards} shards")];
    }
    for row in index {
        let at = format!("shard {} level {}", row.shard, row.level);
        if row.shard >= shards {
            problems.push(format!("{at}: the manifest has {shards} shards"));
            continue;
        }
        let (first, last) = index::tasks_of(row.shard, tasks, shards);
        if (row.first_task, row.last_task) != (first, last) {
            problems
                .push(format!("{at}: expected tasks {first} to {last}, found {} to {}", row.first_task, row.last_task));
        }
        if row.cut > manifest.block {
            problems.push(format!("{at}: cut {} is past the checkpoint's {}", row.cut, manifest.block));
        }
        if row.tombstones > row.rows || (row.kind == SegmentKind::Base && row.tombstones > 0) {
            problems.push(format!("{at}: {} tombstones in {} rows", row.tombstones, row.rows));
        }
    }
    let objects = manifest.objects(index);
    let bytes = objects.iter().fold(0u64, |sum, object| sum.saturating_add(object.bytes));
    if bytes != manifest.totals.bytes {
        problems
            .push(format!("expected {} bytes of objects as the manifest says, found {bytes}", manifest.totals.bytes));
    }
    problems
}
