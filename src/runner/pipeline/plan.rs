//! How records find their tasks and shards, and what all workers share.

use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::format::index::shard_of;
use crate::format::manifest::Routing;
use crate::format::rows::RowCodec;
use crate::input::Block;
use crate::input::partition_tasks::PartitionTasks;
use crate::input::record::{BadRecord, Field, Filter, RecordPlace};
use crate::job::OnError;
use crate::runner::checkpoint::priority::Priorities;
use crate::runner::pipeline::route::{BlockKeys, Route};
use crate::runner::pipeline::worker::head::{HEAD_BYTES, Head};
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::processor::Processor;
use crate::runner::process::time_plan::TimePlan;
use crate::shape::task_key::split_key;

/// What all workers of a run share.
#[derive(Debug)]
pub struct Plan {
    /// What is done with each record.
    pub processor: Arc<dyn Processor>,
    /// How the values of its rows are packed.
    pub codec: RowCodec,
    /// How many fields it needs. They come first among the fields of a record.
    pub field_count: usize,
    /// The program that applies records instead of the processor, if the job has one.
    pub exec: Option<ExecPlan>,
    /// Which records are kept.
    pub filter: Option<RecordTest>,
    /// Which records delete the row of their key. Behind the key, a packed record then has a byte that says whether it
    /// does.
    pub delete: Option<RecordTest>,
    pub route: Route,
    pub tasks: u32,
    pub shards: u32,
    /// Which shards are taken first, in mode priority.
    pub priorities: Option<Arc<Priorities>>,
    /// What shards that were taken at an older cut than others apply again, if there are any.
    pub replay: Option<Replay>,
    /// Whether each cut takes all rows, changed or not.
    pub takes_all: bool,
    /// The number of workers; worker w owns the shards s with s modulo workers = w.
    pub workers: usize,
    /// What happens to bad records.
    pub on_error: OnError,
    /// For a job with event time.
    pub timing: Option<TimePlan>,
}

/// A condition on the fields of a record.
#[derive(Debug)]
pub struct RecordTest {
    pub filter: Filter,
    /// Where its fields are among the fields of a record.
    pub fields: Range<usize>,
}

/// What some shards apply again after the run has resumed from a checkpoint that has them at an older cut than others.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// For each partition, the offset of the newest cut. From there, every shard applies everything.
    pub until: Vec<u64>,
    /// For each partition, the number of records before reading starts.
    pub records: Vec<u64>,
    /// For each shard and partition, the offset from which the shard applies records.
    pub from: Vec<Vec<u64>>,
}

impl Replay {
    /// Returns whether a record that begins at `offset` of a partition comes after the newest cut.
    pub(crate) fn is_over(&self, partition: u32, offset: u64) -> bool {
        self.until.get(partition as usize).is_none_or(|until| offset >= *until)
    }

    /// Returns whether a shard has applied a record already.
    fn has_applied(&self, shard: usize, partition: u32, offset: u64) -> bool {
        let from = self.from.get(shard).and_then(|from| from.get(partition as usize));
        from.is_some_and(|from| offset < *from)
    }
}

impl Plan {
    /// Packs one record for the worker that owns its key, if the filter keeps it. If a program applies it, returns the
    /// number of that worker.
    #[inline]
    pub(crate) fn route(
        &self,
        keys: &mut BlockKeys<'_>,
        block: &Block,
        place: RecordPlace<'_>,
        fields: &[Field<'_>],
        replay: Option<&Replay>,
        updates: &mut [Vec<u8>],
    ) -> Result<Option<usize>, BadRecord> {
        if !self.keeps(fields)? {
            return Ok(None);
        }
        let (key, task) = keys.of(fields)?;
        if let Some(replay) = replay {
            let task = task.unwrap_or_else(|| self.task_of_hash(xxh3_64(key.as_bytes())));
            let shard = shard_of(task, self.tasks, self.shards) as usize;
            if replay.has_applied(shard, block.stream, block.offset + place.at as u64) {
                return Ok(None);
            }
        }
        if let Some(exec) = &self.exec {
            let task = task.unwrap_or_else(|| self.task_of_hash(xxh3_64(key.as_bytes())));
            let worker = shard_of(task, self.tasks, self.shards) as usize % self.workers;
            let update = &mut updates[worker];
            let start = update.len();
            exec.push(update, block, place, fields, task).inspect_err(|_| update.truncate(start))?;
            return Ok(Some(worker));
        }
        self.push(key.as_bytes(), task, updates, |update| self.pack(fields, update))?;
        Ok(None)
    }

    /// Appends to `packed` what is to be done with the row of a record.
    #[inline]
    pub(crate) fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        if let Some(delete) = &self.delete {
            let deletes = delete.filter.is_true(&fields[delete.fields.clone()], "`delete`")?;
            packed.push(u8::from(deletes));
            if deletes {
                return Ok(());
            }
        }
        self.processor.pack(&fields[..self.field_count], packed)
    }

    /// Returns the arguments of the processor in what [`Plan::pack`] packed, or nothing if the row is to be deleted.
    #[inline]
    pub(crate) fn arguments<'a>(&self, packed: &'a [u8]) -> Option<&'a [u8]> {
        match &self.delete {
            None => Some(packed),
            Some(_) => (packed[0] == 0).then(|| &packed[1..]),
        }
    }

    /// Returns the tasks of the partitions, if a record's task is that of its partition.
    pub(crate) fn partition_tasks(&self) -> Option<&Arc<PartitionTasks>> {
        match &self.route {
            Route::Key(_) | Route::Parts(..) => None,
            Route::Partition(tasks) | Route::KeyedPartition { tasks, .. } => Some(tasks),
        }
    }

    /// Returns whether the filter keeps a record.
    #[inline]
    pub(crate) fn keeps(&self, fields: &[Field<'_>]) -> Result<bool, BadRecord> {
        match &self.filter {
            Some(test) => test.filter.keeps(&fields[test.fields.clone()]),
            None => Ok(true),
        }
    }

    /// Appends a record of the row `key` to the updates of the row's owner; `pack` appends what follows the key.
    #[inline]
    pub(crate) fn push(
        &self,
        key: &[u8],
        task: Option<u32>,
        updates: &mut [Vec<u8>],
        pack: impl FnOnce(&mut Vec<u8>) -> Result<(), BadRecord>,
    ) -> Result<(), BadRecord> {
        let hash = xxh3_64(key);
        let task = task.unwrap_or_else(|| self.task_of_hash(hash));
        let shard = shard_of(task, self.tasks, self.shards);
        // One 32-bit division gives both.
        let (worker, place) = (shard % self.workers as u32, shard / self.workers as u32);
        let update = &mut updates[worker as usize];
        let start = update.len();
        update.extend_from_slice(&[0; HEAD_BYTES]);
        update.extend_from_slice(key);
        if let Err(bad) = pack(update) {
            update.truncate(start);
            return Err(bad);
        }
        let head = Head { hash, place, key_bytes: key.len() as u32, record_bytes: (update.len() - start) as u32 };
        update[start..start + HEAD_BYTES].copy_from_slice(&head.pack());
        Ok(())
    }

    #[inline]
    fn task_of_hash(&self, hash: u64) -> u32 {
        (hash % u64::from(self.tasks)) as u32
    }

    /// Returns how keys find their task, in the words of the manifest.
    pub fn routing(&self) -> Routing {
        match &self.route {
            _ if self.exec.is_some() => Routing::Program,
            Route::Key(_) | Route::Parts(..) => Routing::KeyHash,
            Route::Partition { .. } => Routing::Partition,
            Route::KeyedPartition { .. } => Routing::KeyedPartition,
        }
    }

    /// Returns the task of a key in `shard`.
    pub fn task_of(&self, shard: u32, key: &[u8]) -> u32 {
        self.task_of_hashed(shard, key, xxh3_64(key))
    }

    /// Returns the task of a key in `shard` whose XXH3-64 is `hash`.
    pub fn task_of_hashed(&self, shard: u32, key: &[u8], hash: u64) -> u32 {
        if self.exec.is_some() {
            return split_key(key).0;
        }
        match &self.route {
            Route::Key(_) | Route::Parts(..) => self.task_of_hash(hash),
            Route::Partition(partition_tasks) => {
                let name = std::str::from_utf8(key).expect("the name of a partition is text");
                partition_tasks.task(name).expect("the keys of a job without one are its partitions")
            }
            // Each shard has one.
            Route::KeyedPartition { .. } => shard,
        }
    }
}
