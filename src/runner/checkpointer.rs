//! The thread that turns snapshots into checkpoints, beside the processing: sort, encode, hash, write, commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;

use crate::format::FORMAT;
use crate::format::index::{self, IndexRow, SegmentKind, tasks_of};
use crate::format::layout::{ObjectKind, ObjectName};
use crate::format::manifest::{
    DeadLetter, Manifest, Mode, ObjectRef, Output, Parent, Routing, Tables, Timings, Totals, Trigger,
};
use crate::format::merge::Merge;
use crate::format::positions::{self, PositionRow};
use crate::format::rows::RowBatch;
use crate::format::segment::{SegmentReader, SegmentStats, SegmentWriter, TableError};
use crate::id::Sequence;
use crate::runner::chain::{self, Fold};
use crate::runner::dead_letter::DeadLetterFile;
use crate::runner::error::RunError;
use crate::runner::input::{Partition, Place, fingerprint};
use crate::runner::run::Event;
use crate::runner::worker::ShardSnapshot;
use crate::store::{Committed, Store};
use crate::value::Column;

/// What every checkpoint of a run says alike.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The job's name.
    pub job: String,
    /// The job's definition, as YAML.
    pub definition: String,
    /// The mode.
    pub mode: Mode,
    /// The number of tasks.
    pub tasks: u32,
    /// The number of shards.
    pub shards: u32,
    /// How keys find their task.
    pub routing: Routing,
    /// The columns of the state.
    pub columns: Vec<Column>,
    /// The size of the input's grid in bytes.
    pub block_bytes: u64,
}

/// What the next checkpoint goes on from.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// The checkpoint that the next one changes.
    pub last: Option<Committed>,
    /// The highest number that is taken: that of `last`, unless the run has gone back behind a damaged checkpoint.
    pub newest: Option<Sequence>,
    /// The chain of each shard.
    pub chains: Vec<Vec<IndexRow>>,
    /// The keys of each shard.
    pub keys: Vec<u64>,
    /// The positions, by partition.
    pub positions: BTreeMap<String, PositionRow>,
    /// The objects of the latest checkpoint.
    pub objects: HashSet<ObjectName>,
}

/// Where one partition stands at a cut.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Bytes, and whether it has ended.
    pub place: Place,
    /// Records.
    pub record: u64,
}

/// A cut, as the directing thread knows it once all blocks before it are accounted for.
#[derive(Debug)]
pub struct Cut {
    /// The block number.
    pub number: u64,
    /// When it was taken.
    pub created: Timestamp,
    /// The same, for measuring.
    pub begun: Instant,
    /// What caused it.
    pub trigger: Trigger,
    /// Whether the input had been read to its end.
    pub ended: bool,
    /// Where the partitions stand, in their order.
    pub standings: Vec<Standing>,
    /// The task of each partition, for a job without a key.
    pub tasks: Option<Vec<u32>>,
    /// Bad records left out since the job began.
    pub skipped: u64,
    /// Lines for the dead-letter file.
    pub dead_lines: Vec<u8>,
    /// The files that the checkpoint publishes.
    pub outputs: Vec<Output>,
}

/// A checkpoint that was committed, with what it took.
#[derive(Debug, Clone)]
pub struct Done {
    /// The checkpoint.
    pub committed: Committed,
    /// From the cut to the commit, in microseconds.
    pub total_micros: u64,
}

/// Writes checkpoints one after another.
#[derive(Debug)]
pub struct Checkpointer {
    store: Store,
    facts: Facts,
    partitions: Arc<[Partition]>,
    lineage: Lineage,
    dead_letter: Option<DeadLetterFile>,
    definition: Option<ObjectRef>,
}

/// So many shards are folded to a new base in one checkpoint, of eight: none pays for all.
const SHARDS_PER_REBASE: u32 = 8;

/// What a checkpoint has taken and written so far.
struct Draft {
    chains: Vec<Vec<IndexRow>>,
    keys: Vec<u64>,
    changed_keys: u64,
    pause_micros: u64,
    rebases_left: u32,
    taken: Option<Instant>,
}

impl Checkpointer {
    /// Makes a checkpointer that goes on from `lineage`.
    pub fn new(
        store: Store,
        facts: Facts,
        partitions: Arc<[Partition]>,
        mut lineage: Lineage,
        dead_letter: Option<DeadLetterFile>,
    ) -> Checkpointer {
        let shards = facts.shards as usize;
        lineage.chains.resize(shards, Vec::new());
        lineage.keys.resize(shards, 0);
        Checkpointer { store, facts, partitions, lineage, dead_letter, definition: None }
    }

    /// Writes a checkpoint for each cut: takes the snapshots of all shards as they come, then the cut, then commits. A cut at the place of the
    /// latest checkpoint is passed over.
    ///
    /// Returns when the snapshots or cuts end, also in the middle of a checkpoint, which then never was.
    pub fn run(mut self, snapshots: &Receiver<ShardSnapshot>, cuts: &Receiver<Cut>, events: &Sender<Event>) {
        loop {
            let mut draft = Draft {
                chains: self.lineage.chains.clone(),
                keys: self.lineage.keys.clone(),
                changed_keys: 0,
                pause_micros: 0,
                rebases_left: self.facts.shards.div_ceil(SHARDS_PER_REBASE),
                taken: None,
            };
            let mut failure = None;
            for _ in 0..self.facts.shards {
                let Ok(snapshot) = snapshots.recv() else { return };
                draft.taken = Some(Instant::now());
                // After a failure the rest is taken and dropped: no worker waits for a checkpoint that can not be.
                if failure.is_none() {
                    failure = self.write_shard(snapshot, &mut draft).err();
                }
            }
            let Ok(cut) = cuts.recv() else { return };
            let is_new = cut.ended || self.lineage.last.as_ref().is_none_or(|last| last.manifest.block != cut.number);
            let result = match failure {
                Some(error) => Err(error),
                None if is_new => self.commit(cut, draft).map(|done| Some(Box::new(done))),
                None => Ok(None),
            };
            let failed = result.is_err();
            if !failed {
                // A replica that is back gets what it missed, this checkpoint included, before it counts again.
                self.store.catch_up();
            }
            for note in self.store.take_notes() {
                let _ = events.send(Event::Replica(note));
            }
            let _ = events.send(Event::Checkpoint(result.map_err(Box::new)));
            if failed {
                return;
            }
        }
    }

    fn write_shard(&self, taken: ShardSnapshot, draft: &mut Draft) -> Result<(), RunError> {
        let ShardSnapshot { shard, cut, snapshot, pause_micros } = taken;
        let chain = &mut draft.chains[shard as usize];
        draft.keys[shard as usize] = snapshot.keys;
        draft.pause_micros = draft.pause_micros.max(pause_micros);
        draft.changed_keys += snapshot.rows.len() as u64;
        if snapshot.rows.is_empty() {
            return Ok(());
        }
        let mut rows = snapshot.rows;
        rows.sort();
        let sizes: Vec<u64> = chain.iter().map(|segment| segment.bytes).collect();
        let fold = match snapshot.kind {
            SegmentKind::Base => {
                chain.clear();
                Fold::Append
            }
            SegmentKind::Delta => chain::decide(&sizes, estimate_bytes(chain, rows.len()), draft.rebases_left > 0),
        };
        let from_level = match fold {
            Fold::Append => chain.len(),
            Fold::Merge { from_level } => from_level,
            Fold::Rebase => {
                draft.rebases_left -= 1;
                0
            }
        };
        let kind = if from_level == 0 { SegmentKind::Base } else { SegmentKind::Delta };
        let (bytes, stats) = self.encode(&chain[from_level..], rows, kind)?;
        chain.truncate(from_level);
        if stats.rows == 0 {
            return Ok(());
        }
        let put = self.store.put(&bytes, ObjectKind::Parquet)?;
        let (first_task, last_task) = tasks_of(shard, self.facts.tasks, self.facts.shards);
        chain.push(IndexRow {
            shard,
            level: from_level as u32,
            first_task,
            last_task,
            cut,
            kind,
            object: put.object.object,
            bytes: put.object.bytes,
            rows: stats.rows,
            tombstones: stats.tombstones,
            smallest_key: stats.smallest_key,
            largest_key: stats.largest_key,
        });
        Ok(())
    }

    /// Encodes `rows` on top of the segments that are merged with them. A base has no tombstones.
    fn encode(
        &self,
        below: &[IndexRow],
        rows: RowBatch,
        kind: SegmentKind,
    ) -> Result<(Vec<u8>, SegmentStats), RunError> {
        let mut writer = SegmentWriter::new(&self.facts.columns);
        if below.is_empty() {
            for row in rows.iter().filter(|row| row.value.is_some() || kind == SegmentKind::Delta) {
                writer.push(row);
            }
            return Ok(writer.finish());
        }
        let mut sources: Vec<Box<dyn Iterator<Item = Result<RowBatch, TableError>>>> = Vec::new();
        for segment in below {
            let bytes = self.store.object(segment.object_ref())?;
            let reader = SegmentReader::open(bytes, &self.facts.columns).map_err(RunError::table(segment.object))?;
            sources.push(Box::new(reader));
        }
        sources.push(Box::new(std::iter::once(Ok(rows))));
        let merged = Merge::new(sources).for_each(|row| {
            if row.value.is_some() || kind == SegmentKind::Delta {
                writer.push(row);
            }
            true
        });
        merged.map_err(RunError::table(below[0].object))?;
        Ok(writer.finish())
    }

    fn commit(&mut self, cut: Cut, draft: Draft) -> Result<Done, RunError> {
        let dead_letter = match &mut self.dead_letter {
            None => None,
            Some(file) => Some(DeadLetter { path: file.name().to_owned(), bytes: file.append(&cut.dead_lines)? }),
        };
        let rows: Vec<IndexRow> = draft.chains.iter().flatten().cloned().collect();
        let (position_rows, input_bytes, records) = self.positions(&cut)?;
        let tables = Tables {
            index: self.store.put(&index::encode(&rows), ObjectKind::Parquet)?.object,
            positions: self.store.put(&positions::encode(&position_rows), ObjectKind::Parquet)?.object,
            job: match self.definition {
                Some(object) => object,
                None => {
                    *self.definition.insert(self.store.put(self.facts.definition.as_bytes(), ObjectKind::Yaml)?.object)
                }
            },
        };
        let mut objects: HashMap<ObjectName, u64> = rows.iter().map(|row| (row.object, row.bytes)).collect();
        objects.extend([tables.index, tables.positions, tables.job].map(|table| (table.object, table.bytes)));
        self.store.sync()?;
        let written = Instant::now();

        let new = |object: &ObjectName| !self.lineage.objects.contains(object);
        let micros = |from: Instant, to: Instant| to.saturating_duration_since(from).as_micros() as u64;
        let taken = draft.taken.unwrap_or(cut.begun);
        let last = self.lineage.last.as_ref();
        let manifest = Manifest {
            format: FORMAT,
            job: self.facts.job.clone(),
            store: self.store.file.store.clone(),
            sequence: self.lineage.newest.map_or(Sequence::FIRST, Sequence::next),
            parent: last.map(|last| Parent { sequence: last.manifest.sequence, sha256: last.sha256 }),
            created: cut.created,
            mode: self.facts.mode,
            trigger: cut.trigger,
            ended: cut.ended,
            restored_from: None,
            tasks: self.facts.tasks,
            shards: self.facts.shards,
            routing: self.facts.routing,
            block: cut.number,
            block_bytes: self.facts.block_bytes,
            columns: self.facts.columns.clone(),
            timings: Timings {
                pause_micros: draft.pause_micros,
                snapshot_micros: micros(cut.begun, taken),
                write_micros: micros(taken, written),
            },
            totals: Totals {
                keys: draft.keys.iter().sum(),
                changed_keys: draft.changed_keys,
                bytes: objects.values().sum(),
                new_bytes: objects.iter().filter(|(name, _)| new(name)).map(|(_, bytes)| bytes).sum(),
                partitions: position_rows.len() as u64,
                input_bytes,
                records,
                skipped: cut.skipped,
            },
            outputs: cut.outputs,
            dead_letter,
            tables,
        };
        let names: Vec<ObjectName> = objects.keys().copied().collect();
        let committed = self.store.commit(&manifest, &names)?;
        self.lineage = Lineage {
            newest: Some(manifest.sequence),
            last: Some(committed.clone()),
            chains: draft.chains,
            keys: draft.keys,
            positions: position_rows.into_iter().map(|row| (row.partition.clone(), row)).collect(),
            objects: names.into_iter().collect(),
        };
        Ok(Done { committed, total_micros: micros(cut.begun, Instant::now()) })
    }

    /// Returns the positions, sorted, and the sums of their bytes and records.
    fn positions(&self, cut: &Cut) -> Result<(Vec<PositionRow>, u64, u64), RunError> {
        let mut rows = Vec::with_capacity(cut.standings.len());
        let (mut input_bytes, mut records) = (0, 0);
        for (i, (partition, standing)) in self.partitions.iter().zip(&cut.standings).enumerate() {
            let Standing { place, record } = standing;
            input_bytes += place.offset;
            records += record;
            let known = self.lineage.positions.get(&partition.name);
            let fingerprint = match known {
                Some(known) if known.offset == place.offset => known.fingerprint,
                _ => fingerprint(partition, place)?,
            };
            rows.push(PositionRow {
                partition: partition.name.clone(),
                task: cut.tasks.as_ref().map(|tasks| tasks[i]),
                cut: cut.number,
                offset: place.offset,
                record: *record,
                ended: place.ended,
                file_bytes: partition.file_bytes,
                fingerprint,
            });
        }
        rows.sort_by(|a, b| a.partition.cmp(&b.partition));
        Ok((rows, input_bytes, records))
    }
}

/// Estimates the size of a delta of `rows` from the sizes of what is there.
fn estimate_bytes(chain: &[IndexRow], rows: usize) -> u64 {
    let (bytes, stored) =
        chain.iter().fold((0, 0), |(bytes, rows), segment| (bytes + segment.bytes, rows + segment.rows));
    rows as u64 * bytes / stored.max(1)
}
