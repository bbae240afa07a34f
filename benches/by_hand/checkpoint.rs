//! Checkpoints that are made without a run.

use ckpt::format::index::{self, IndexRow, SegmentKind};
use ckpt::format::layout::ObjectKind;
use ckpt::format::manifest::{Manifest, Mode, Parent, Routing, Tables, Timings, Totals, Trigger};
use ckpt::format::positions::{self, PositionRow};
use ckpt::format::segment::SegmentStats;
use ckpt::store::{Store, StoreError};
use ckpt::values::digest::Digest;
use ckpt::values::id::Sequence;
use ckpt::values::value::Column;

/// How many keys there are, and how they are spread.
#[derive(Clone, Copy)]
pub struct Keys {
    pub total: u64,
    pub changed: u64,
    pub tasks: u32,
    pub shards: u32,
}

/// Puts a segment at `level` of a shard's chain. The triple is the shard, and the numbers of tasks and shards.
pub fn put_segment(
    store: &Store,
    (shard, tasks, shards): (u32, u32, u32),
    level: u32,
    bytes: &[u8],
    stats: SegmentStats,
) -> Result<IndexRow, StoreError> {
    let (first_task, last_task) = index::tasks_of(shard, tasks, shards);
    let object = store.put(bytes, ObjectKind::Parquet)?.object;
    Ok(IndexRow {
        shard,
        level,
        first_task,
        last_task,
        cut: 1,
        kind: if level == 0 { SegmentKind::Base } else { SegmentKind::Delta },
        object: object.object,
        bytes: object.bytes,
        rows: stats.rows,
        tombstones: stats.tombstones,
        smallest_key: stats.smallest_key,
        largest_key: stats.largest_key,
    })
}

/// Commits a checkpoint of these segments after `parent`.
pub fn commit(
    store: &Store,
    columns: &[Column],
    segments: &[IndexRow],
    parent: Option<Parent>,
    keys: Keys,
) -> Result<Parent, StoreError> {
    let position =
        PositionRow { cut: 1, ended: true, ..PositionRow::at_start("made.jsonl".to_owned(), Digest::of(&[])) };
    // Only the segments at the ends of the chains are new.
    let last_level = segments.iter().map(|row| row.level).max().unwrap_or_default();
    let new_segments = segments.iter().filter(|row| row.level == last_level);
    let mut new_bytes: u64 = new_segments.map(|row| row.bytes).sum();
    let mut put = |bytes: &[u8], kind| {
        let put = store.put(bytes, kind)?;
        new_bytes += if put.new { put.object.bytes } else { 0 };
        Ok::<_, StoreError>(put.object)
    };
    let job = format!("job: {}\ninput: made.jsonl\n", store.file.job);
    let tables = Tables {
        index: put(&index::encode(segments), ObjectKind::Parquet)?,
        positions: put(&positions::encode(&[position]), ObjectKind::Parquet)?,
        job: put(job.as_bytes(), ObjectKind::Yaml)?,
    };
    let of_tables = tables.index.bytes + tables.positions.bytes + tables.job.bytes;
    let bytes = segments.iter().map(|row| row.bytes).sum::<u64>() + of_tables;
    let manifest = Manifest {
        format: 1,
        job: store.file.job.clone(),
        store: store.file.store.clone(),
        sequence: parent.map_or(Sequence(1), |parent| parent.sequence.next()),
        parent,
        created: store.file.created,
        mode: Mode::Elided,
        trigger: Trigger::EndOfInput,
        ended: true,
        restored_from: None,
        worker: None,
        tasks: keys.tasks,
        shards: keys.shards,
        routing: Routing::KeyHash,
        block: 1,
        older_cuts: Vec::new(),
        block_bytes: 262_144,
        key: None,
        columns: columns.to_vec(),
        timings: Timings::default(),
        totals: Totals {
            keys: keys.total,
            changed_keys: keys.changed,
            bytes,
            new_bytes,
            partitions: 1,
            ..Totals::default()
        },
        outputs: Vec::new(),
        dead_letter: None,
        late_records: None,
        messages: None,
        tables,
    };
    let objects: Vec<_> = segments.iter().map(|row| row.object).collect();
    let committed = store.commit(&manifest, &objects)?;
    Ok(Parent { sequence: manifest.sequence, sha256: committed.sha256 })
}
