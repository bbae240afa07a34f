//! The positions of a checkpoint: a Parquet table with one row per partition and cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};

use crate::format::error::TableError;
use crate::format::owner::Owner;
use crate::format::parquet::reader::TableReader;
use crate::format::parquet::schema::{BATCH_ROWS, ColumnKind, TableColumn};
use crate::format::parquet::writer::TableWriter;
use crate::values::digest::Digest;

/// How far one partition was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    /// The path as the job file has it, or `-` for standard input.
    pub partition: String,
    /// The task of the partition, in a job without a key.
    pub task: Option<u32>,
    /// The cut that this position belongs to.
    pub cut: u64,
    /// The number of bytes applied, counted after decompression.
    pub offset: u64,
    /// The number of records applied, skipped ones included.
    pub record: u64,
    /// Whether the partition was read to its end.
    pub ended: bool,
    /// The size of the file on disk when the position was taken; nothing for standard input.
    pub file_bytes: Option<u64>,
    /// A digest of the input before the position; `docs/format.md` says of which bytes.
    pub fingerprint: Digest,
    /// The latest time of its records, in milliseconds since 1970-01-01T00:00:00Z, in a job with event time.
    pub event_time: Option<i64>,
    /// The watermark at the cut, in the same unit; all partitions of a cut have the same one, unless each
    /// is a task with several keys.
    pub watermark: Option<i64>,
    /// The partition that a rotated file belongs to, if that has another name.
    pub generation_of: Option<String>,
    /// The inode of the file, for followed input. Only a hint: the fingerprint is the proof.
    pub inode: Option<u64>,
    /// The ETag of an object in a bucket, which proves that it was not replaced.
    pub etag: Option<String>,
    /// A digest of a compressed file as it is stored, if it was read to its end; `docs/format.md` says of which bytes.
    pub stored_fingerprint: Option<Digest>,
    /// For a partition of a topic, where it is read next.
    pub message: Option<MessagePosition>,
    /// The last commit of the partition, if one of several workers made it.
    pub committed: Option<WorkerCommit>,
}

/// A commit of one of several workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommit {
    /// The name of the worker.
    pub worker: String,
    /// When its cut was taken, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

/// A position in a partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePosition {
    /// The id that the cluster has given the topic, if it is known. A topic that is made again has another one.
    pub topic_id: Option<String>,
    /// The offset of the next message.
    pub offset: u64,
    /// The epoch of the leader that the last message came from, if it is known.
    pub leader_epoch: Option<u32>,
    /// The offset of the last message that was applied, of which the fingerprint is; nothing if there was none.
    pub proof_offset: Option<u64>,
    /// In a batch of several workers, the offset that it ends before.
    pub batch_end: Option<u64>,
}

/// Where a batch of several workers ends: the offset that it ends before in each partition, by task.
pub type BatchEnds = BTreeMap<u32, u64>;

/// Returns where the batch ends that the checkpoint with the positions `rows` is part of, if it is part of one.
pub fn batch_ends<'a>(rows: impl IntoIterator<Item = &'a PositionRow>) -> Option<BatchEnds> {
    let ends = rows.into_iter().map(|row| Some((row.task?, row.message.as_ref()?.batch_end?)));
    ends.collect::<Option<BatchEnds>>().filter(|ends| !ends.is_empty())
}

impl PositionRow {
    /// Returns a position with this fingerprint at the start of a partition, of which nothing else is known.
    pub fn at_start(partition: String, fingerprint: Digest) -> PositionRow {
        PositionRow {
            partition,
            task: None,
            cut: 0,
            offset: 0,
            record: 0,
            ended: false,
            file_bytes: None,
            fingerprint,
            event_time: None,
            watermark: None,
            generation_of: None,
            inode: None,
            etag: None,
            stored_fingerprint: None,
            message: None,
            committed: None,
        }
    }

    /// Returns the name of the partition that the file belongs to.
    pub fn logical(&self) -> &str {
        self.generation_of.as_deref().unwrap_or(&self.partition)
    }
}

/// Writes the table, sorted by partition and cut. The rows may come in any order.
pub fn encode(rows: &[PositionRow]) -> Vec<u8> {
    encode_of(rows, &Owner::default())
}

/// Does the same for a table of `owner`.
pub fn encode_of(rows: &[PositionRow], owner: &Owner) -> Vec<u8> {
    let mut sorted: Vec<&PositionRow> = rows.iter().collect();
    sorted.sort_by_key(|row| row.sort_key());
    let optional = Optional {
        time: rows.iter().any(|row| row.event_time.is_some() || row.watermark.is_some()),
        following: rows.iter().any(|row| row.generation_of.is_some() || row.inode.is_some()),
        objects: rows.iter().any(|row| row.etag.is_some()),
        packed: rows.iter().any(|row| row.stored_fingerprint.is_some()),
        messages: rows.iter().any(|row| row.message.is_some()),
        batch: rows.iter().any(|row| row.message.as_ref().is_some_and(|message| message.batch_end.is_some())),
        workers: rows.iter().any(|row| row.committed.is_some()),
    };
    let mut table = TableWriter::new_of(&columns(optional), 0, owner);
    for rows in sorted.chunks(BATCH_ROWS) {
        let large = |field: fn(&PositionRow) -> Option<u64>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| field(row)).collect::<UInt64Array>())
        };
        let fingerprints: Vec<String> = rows.iter().map(|row| row.fingerprint.to_string()).collect();
        let signed = |field: fn(&PositionRow) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| field(row)).collect::<Int64Array>())
        };
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.partition))),
            Arc::new(rows.iter().map(|row| row.task).collect::<UInt32Array>()),
            large(|row| Some(row.cut)),
            large(|row| Some(row.offset)),
            large(|row| Some(row.record)),
            Arc::new(rows.iter().map(|row| Some(row.ended)).collect::<BooleanArray>()),
            large(|row| row.file_bytes),
            Arc::new(StringArray::from(fingerprints)),
        ];
        if optional.time {
            arrays.extend([signed(|row| row.event_time), signed(|row| row.watermark)]);
        }
        if optional.following {
            arrays.push(Arc::new(rows.iter().map(|row| row.generation_of.as_deref()).collect::<StringArray>()));
            arrays.push(large(|row| row.inode));
        }
        if optional.objects {
            arrays.push(Arc::new(rows.iter().map(|row| row.etag.as_deref()).collect::<StringArray>()));
        }
        if optional.packed {
            let stored = rows.iter().map(|row| row.stored_fingerprint.map(|digest| digest.to_string()));
            arrays.push(Arc::new(stored.collect::<StringArray>()));
        }
        if optional.messages {
            let ids = rows.iter().map(|row| row.message.as_ref()?.topic_id.as_deref());
            let epochs = rows.iter().map(|row| row.message.as_ref()?.leader_epoch);
            arrays.push(Arc::new(ids.collect::<StringArray>()));
            arrays.push(large(|row| row.message.as_ref().map(|message| message.offset)));
            arrays.push(Arc::new(epochs.collect::<UInt32Array>()));
            arrays.push(large(|row| row.message.as_ref()?.proof_offset));
        }
        if optional.batch {
            arrays.push(large(|row| row.message.as_ref()?.batch_end));
        }
        if optional.workers {
            let workers = rows.iter().map(|row| Some(row.committed.as_ref()?.worker.as_str()));
            arrays.push(Arc::new(workers.collect::<StringArray>()));
            arrays.push(signed(|row| row.committed.as_ref().map(|commit| commit.time)));
        }
        table.write(arrays);
    }
    table.finish()
}

/// Reads a table that [`encode`] wrote.
///
/// Fails if it is another kind of table, or if its rows are not strictly sorted by partition and cut.
pub fn decode(bytes: bytes::Bytes) -> Result<Vec<PositionRow>, TableError> {
    let mut table = match TableReader::open(bytes.clone(), columns(Optional::default())) {
        Err(error @ TableError::Columns { .. }) => Optional::all()
            .find_map(|optional| TableReader::open(bytes.clone(), columns(optional)).ok())
            .ok_or(error)?,
        opened => opened?,
    };
    let mut rows: Vec<PositionRow> = Vec::new();
    while let Some((first_row, batch)) = table.next_batch()? {
        for at in 0..batch.num_rows() {
            let refuse = |reason| TableError::Row { row: first_row + at as u64, reason };
            let row = read_row(&batch, at).map_err(refuse)?;
            if rows.last().is_some_and(|before| before.sort_key() >= row.sort_key()) {
                return Err(refuse("is not after the row before it by partition and cut".to_owned()));
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

impl PositionRow {
    fn sort_key(&self) -> (&str, u64) {
        (&self.partition, self.cut)
    }
}

/// Which columns a table has besides those that every table has.
#[derive(Debug, Clone, Copy, Default)]
struct Optional {
    /// Of jobs with event time.
    time: bool,
    /// Of jobs that follow their input.
    following: bool,
    /// Of jobs that read objects in buckets.
    objects: bool,
    /// Of jobs that have read compressed files to their ends.
    packed: bool,
    /// Of jobs that read topics.
    messages: bool,
    /// Of batches of several workers.
    batch: bool,
    /// Of jobs that several workers run.
    workers: bool,
}

impl Optional {
    fn all() -> impl Iterator<Item = Optional> {
        (1..128).map(|bits| Optional {
            time: bits & 1 > 0,
            following: bits & 2 > 0,
            objects: bits & 4 > 0,
            messages: bits & 8 > 0,
            workers: bits & 16 > 0,
            packed: bits & 32 > 0,
            batch: bits & 64 > 0,
        })
    }
}

fn columns(optional: Optional) -> Vec<TableColumn> {
    let mut columns = vec![
        TableColumn::required("partition", ColumnKind::Text),
        TableColumn::nullable("task", ColumnKind::UInt32),
        TableColumn::required("cut", ColumnKind::UInt64),
        TableColumn::required("offset", ColumnKind::UInt64),
        TableColumn::required("record", ColumnKind::UInt64),
        TableColumn::required("ended", ColumnKind::Bool),
        TableColumn::nullable("file_bytes", ColumnKind::UInt64),
        TableColumn::required("fingerprint", ColumnKind::Text),
    ];
    if optional.time {
        columns.extend(["event_time", "watermark"].map(|name| TableColumn::nullable(name, ColumnKind::Int)));
    }
    if optional.following {
        columns.push(TableColumn::nullable("generation_of", ColumnKind::Text));
        columns.push(TableColumn::nullable("inode", ColumnKind::UInt64));
    }
    if optional.objects {
        columns.push(TableColumn::nullable("etag", ColumnKind::Text));
    }
    if optional.packed {
        columns.push(TableColumn::nullable("stored_fingerprint", ColumnKind::Text));
    }
    if optional.messages {
        columns.push(TableColumn::nullable("topic_id", ColumnKind::Text));
        columns.push(TableColumn::nullable("topic_offset", ColumnKind::UInt64));
        columns.push(TableColumn::nullable("leader_epoch", ColumnKind::UInt32));
        columns.push(TableColumn::nullable("proof_offset", ColumnKind::UInt64));
    }
    if optional.batch {
        columns.push(TableColumn::nullable("batch_end", ColumnKind::UInt64));
    }
    if optional.workers {
        columns.push(TableColumn::nullable("worker", ColumnKind::Text));
        columns.push(TableColumn::nullable("committed", ColumnKind::Int));
    }
    columns
}

fn read_row(batch: &RecordBatch, at: usize) -> Result<PositionRow, String> {
    let large = |column: usize| batch.column(column).as_primitive::<UInt64Type>().value(at);
    let text = |column: usize| batch.column(column).as_string::<i32>().value(at);
    let signed = |name: &str| {
        let array = batch.column_by_name(name)?.as_primitive::<Int64Type>();
        array.is_valid(at).then(|| array.value(at))
    };
    let text_of = |name: &str| {
        let array = batch.column_by_name(name)?.as_string::<i32>();
        array.is_valid(at).then(|| array.value(at).to_owned())
    };
    let large_of = |name: &str| {
        let array = batch.column_by_name(name)?.as_primitive::<UInt64Type>();
        array.is_valid(at).then(|| array.value(at))
    };
    let epoch = || {
        let array = batch.column_by_name("leader_epoch")?.as_primitive::<UInt32Type>();
        array.is_valid(at).then(|| array.value(at))
    };
    let message = large_of("topic_offset").map(|offset| MessagePosition {
        topic_id: text_of("topic_id"),
        offset,
        leader_epoch: epoch(),
        proof_offset: large_of("proof_offset"),
        batch_end: large_of("batch_end"),
    });
    if message.is_none() && large_of("batch_end").is_some() {
        return Err("batch_end: expected a topic_offset with it".to_owned());
    }
    let committed = match (text_of("worker"), signed("committed")) {
        (Some(worker), Some(time)) => Some(WorkerCommit { worker, time }),
        (None, None) => None,
        _ => return Err("worker: expected a time with it, and no time without it".to_owned()),
    };
    let stored = text_of("stored_fingerprint").map(|text| text.parse()).transpose();
    let task = batch.column(1).as_primitive::<UInt32Type>();
    Ok(PositionRow {
        partition: text(0).to_owned(),
        task: task.is_valid(at).then(|| task.value(at)),
        cut: large(2),
        offset: large(3),
        record: large(4),
        ended: batch.column(5).as_boolean().value(at),
        file_bytes: batch.column(6).is_valid(at).then(|| large(6)),
        fingerprint: text(7).parse().map_err(|error| format!("fingerprint: {error}"))?,
        event_time: signed("event_time"),
        watermark: signed("watermark"),
        generation_of: text_of("generation_of"),
        inode: large_of("inode"),
        etag: text_of("etag"),
        stored_fingerprint: stored.map_err(|error| format!("stored_fingerprint: {error}"))?,
        message,
        committed,
    })
}

#[cfg(test)]
mod tests;
