//! The positions of a checkpoint: a Parquet table with one row per partition and cut.

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
    /// The watermark at the cut, in the same unit; all partitions of a cut have the same one.
    pub watermark: Option<i64>,
    /// The partition that a rotated file belongs to, if that has another name.
    pub generation_of: Option<String>,
    /// The inode of the file, for followed input. Only a hint: the fingerprint is the proof.
    pub inode: Option<u64>,
    /// The ETag of an object in a bucket, which proves that it was not replaced.
    pub etag: Option<String>,
    /// For a partition of a topic, where it is read next.
    pub message: Option<MessagePosition>,
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
}

impl PositionRow {
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
        messages: rows.iter().any(|row| row.message.is_some()),
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
        if optional.messages {
            let ids = rows.iter().map(|row| row.message.as_ref()?.topic_id.as_deref());
            let epochs = rows.iter().map(|row| row.message.as_ref()?.leader_epoch);
            arrays.push(Arc::new(ids.collect::<StringArray>()));
            arrays.push(large(|row| row.message.as_ref().map(|message| message.offset)));
            arrays.push(Arc::new(epochs.collect::<UInt32Array>()));
            arrays.push(large(|row| row.message.as_ref()?.proof_offset));
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
    /// Of jobs that read topics.
    messages: bool,
}

impl Optional {
    fn all() -> impl Iterator<Item = Optional> {
        (1..16).map(|bits| Optional {
            time: bits & 1 > 0,
            following: bits & 2 > 0,
            objects: bits & 4 > 0,
            messages: bits & 8 > 0,
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
    if optional.messages {
        columns.push(TableColumn::nullable("topic_id", ColumnKind::Text));
        columns.push(TableColumn::nullable("topic_offset", ColumnKind::UInt64));
        columns.push(TableColumn::nullable("leader_epoch", ColumnKind::UInt32));
        columns.push(TableColumn::nullable("proof_offset", ColumnKind::UInt64));
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
    });
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
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(partition: &str, cut: u64) -> PositionRow {
        PositionRow {
            partition: partition.to_owned(),
            task: None,
            cut,
            offset: u64::MAX,
            record: 7,
            ended: false,
            file_bytes: Some(1 << 40),
            fingerprint: Digest::of(partition.as_bytes()),
            event_time: None,
            watermark: None,
            generation_of: None,
            inode: None,
            etag: None,
            message: None,
        }
    }

    #[test]
    fn the_columns_of_time_are_there_only_when_a_row_has_a_time() {
        let plain = encode(&[row("a", 1), row("b", 1)]);
        let timed = PositionRow { event_time: Some(-5), watermark: Some(i64::MIN), ..row("a", 1) };
        let rows = vec![timed, row("b", 1)];
        let bytes = encode(&rows);
        assert_eq!(decode(bytes.clone().into()), Ok(rows));
        assert_eq!(decode(plain.into()), Ok(vec![row("a", 1), row("b", 1)]));
    }

    #[test]
    fn positions_are_read_as_they_were_written_in_order() {
        let stdin = PositionRow { task: Some(3), ended: true, file_bytes: None, ..row("-", 5) };
        let rows = vec![stdin, row("a/ü.jsonl", 1), row("a/ü.jsonl", 2), row("b", 0)];
        let bytes = encode(&rows);
        assert_eq!(decode(bytes.clone().into()), Ok(rows.clone()));
        let backwards: Vec<PositionRow> = rows.iter().rev().cloned().collect();
        assert_eq!(encode(&backwards), bytes);
        assert_eq!(decode(encode(&[]).into()), Ok(vec![]));
    }

    #[test]
    fn the_columns_of_followed_files_are_there_when_a_row_needs_them() {
        let rotated =
            PositionRow { generation_of: Some("a.log".to_owned()), inode: Some(u64::MAX), ..row("a.log.1", 4) };
        for rows in [vec![row("a.log", 4), rotated.clone()], vec![PositionRow { inode: Some(7), ..row("a.log", 4) }]] {
            let bytes = encode(&rows);
            assert_eq!(decode(bytes.into()), Ok(rows));
        }
        assert_eq!((rotated.logical(), row("b", 1).logical()), ("a.log", "b"));
    }

    #[test]
    fn the_column_of_objects_is_there_with_any_of_the_others() {
        let object = PositionRow { etag: Some("9b2cf5-3".to_owned()), ..row("s3://data/a.jsonl", 4) };
        let timed = PositionRow { event_time: Some(7), ..object.clone() };
        let followed = PositionRow { inode: Some(7), ..row("a.log", 4) };
        for rows in [vec![object], vec![timed.clone()], vec![followed, timed]] {
            assert_eq!(decode(encode(&rows).into()), Ok(rows));
        }
    }

    #[test]
    fn the_columns_of_messages_are_there_with_any_of_the_others() {
        let message = MessagePosition {
            topic_id: Some("x9zyOZ8XQO6cP0f1LLb0Mw".to_owned()),
            offset: 1 << 50,
            leader_epoch: Some(7),
            proof_offset: Some((1 << 50) - 2),
        };
        let least = MessagePosition { topic_id: None, leader_epoch: None, proof_offset: None, ..message.clone() };
        let read = PositionRow { message: Some(message), ..row("clicks/0", 4) };
        let unread = PositionRow { message: Some(least), event_time: Some(7), ..row("clicks/1", 4) };
        for rows in [vec![read.clone()], vec![read, unread, row("data.jsonl", 4)]] {
            assert_eq!(decode(encode(&rows).into()), Ok(rows));
        }
    }

    #[test]
    fn many_positions_are_read_whole() {
        let rows: Vec<PositionRow> = (0..10_000).map(|i| row(&format!("part-{i:05}"), 1)).collect();
        assert_eq!(decode(encode(&rows).into()), Ok(rows));
    }

    #[test]
    fn a_position_that_comes_twice_is_refused() {
        let error = decode(encode(&[row("a", 1), row("a", 1)]).into()).unwrap_err();
        assert_eq!(error.to_string(), "row 1: is not after the row before it by partition and cut");
    }
}
