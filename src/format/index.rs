//! The index of a checkpoint: a Parquet table with one row per segment.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};

use crate::format::error::TableError;
use crate::format::layout::{ObjectKind, ObjectName};
use crate::format::manifest::{Manifest, ObjectRef};
use crate::format::owner::Owner;
use crate::format::parquet::reader::TableReader;
use crate::format::parquet::schema::{BATCH_ROWS, ColumnKind, TableColumn};
use crate::format::parquet::writer::TableWriter;

/// Which rows of its shard a segment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// All rows.
    Base,
    /// Changed rows and tombstones, which override the segments before it.
    Delta,
}

impl SegmentKind {
    /// Returns the name that the index uses.
    pub const fn name(self) -> &'static str {
        match self {
            SegmentKind::Base => "base",
            SegmentKind::Delta => "delta",
        }
    }
}

/// One segment of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRow {
    /// From 0.
    pub shard: u32,
    /// Its place in the shard's chain: 0 is the base, and higher levels override lower ones.
    pub level: u32,
    pub first_task: u32,
    pub last_task: u32,
    /// The cut at which it was taken. The segment with the highest level has the state of the shard from its own cut up
    /// to the cut of any checkpoint that names it: nothing in the shard changed in between.
    pub cut: u64,
    pub kind: SegmentKind,
    pub object: ObjectName,
    /// The size of the object.
    pub bytes: u64,
    /// Tombstones included.
    pub rows: u64,
    pub tombstones: u64,
    /// The smallest key of all its tasks, by bytes.
    pub smallest_key: String,
    /// The largest key of all its tasks, by bytes.
    pub largest_key: String,
}

impl IndexRow {
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef { object: self.object, bytes: self.bytes }
    }
}

impl Manifest {
    /// Returns every object that the manifest and its `index` name, each once, sorted by name.
    pub fn objects(&self, index: &[IndexRow]) -> Vec<ObjectRef> {
        let objects: BTreeMap<ObjectName, ObjectRef> =
            self.own_objects().chain(index.iter().map(IndexRow::object_ref)).map(|o| (o.object, o)).collect();
        objects.into_values().collect()
    }
}

/// Returns the shard of `task`: shards are contiguous ranges of tasks whose sizes differ by at most one.
pub fn shard_of(task: u32, tasks: u32, shards: u32) -> u32 {
    (u64::from(task) * u64::from(shards) / u64::from(tasks)) as u32
}

/// Returns the first and last task of `shard`.
pub fn tasks_of(shard: u32, tasks: u32, shards: u32) -> (u32, u32) {
    let first = |shard: u64| (shard * u64::from(tasks)).div_ceil(u64::from(shards)) as u32;
    (first(u64::from(shard)), first(u64::from(shard) + 1) - 1)
}

/// Returns the task that owns `key` in a job that routes by key: the XXH3-64 of the key modulo `tasks`, which is at
/// least 1.
pub fn task_of_key(key: &[u8], tasks: u32) -> u32 {
    (xxhash_rust::xxh3::xxh3_64(key) % u64::from(tasks)) as u32
}

/// Writes the table, sorted by shard and level. The rows may come in any order.
pub fn encode(rows: &[IndexRow]) -> Vec<u8> {
    encode_of(rows, &Owner::default())
}

/// Does the same for a table of `owner`.
pub fn encode_of(rows: &[IndexRow], owner: &Owner) -> Vec<u8> {
    let mut sorted: Vec<&IndexRow> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.shard, row.level));
    let mut table = TableWriter::new_of(&columns(), 2, owner);
    for rows in sorted.chunks(BATCH_ROWS) {
        let small = |field: fn(&IndexRow) -> u32| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(field(row))).collect::<UInt32Array>())
        };
        let large = |field: fn(&IndexRow) -> u64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(field(row))).collect::<UInt64Array>())
        };
        let text = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
        let objects: Vec<String> = rows.iter().map(|row| row.object.to_string()).collect();
        table.write(vec![
            small(|row| row.shard),
            small(|row| row.level),
            small(|row| row.first_task),
            small(|row| row.last_task),
            large(|row| row.cut),
            text(rows.iter().map(|row| row.kind.name()).collect()),
            text(objects.iter().map(String::as_str).collect()),
            large(|row| row.bytes),
            large(|row| row.rows),
            large(|row| row.tombstones),
            text(rows.iter().map(|row| row.smallest_key.as_str()).collect()),
            text(rows.iter().map(|row| row.largest_key.as_str()).collect()),
        ]);
    }
    table.finish()
}

/// Reads a table that [`encode`] wrote.
///
/// Fails if it is another kind of table, if its rows are not sorted by shard and level, if a chain is not a base at
/// level 0 followed by deltas, if two rows of a shard disagree about its tasks, or if a row contradicts itself.
pub fn decode(bytes: bytes::Bytes) -> Result<Vec<IndexRow>, TableError> {
    let mut table = TableReader::open(bytes, columns())?;
    let mut rows: Vec<IndexRow> = Vec::new();
    while let Some((first_row, batch)) = table.next_batch()? {
        for at in 0..batch.num_rows() {
            let refuse = |reason| TableError::Row { row: first_row + at as u64, reason };
            let row = read_row(&batch, at).map_err(refuse)?;
            check_row(&row).map_err(refuse)?;
            check_place(rows.last(), &row).map_err(refuse)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

fn columns() -> Vec<TableColumn> {
    [
        ("shard", ColumnKind::UInt32),
        ("level", ColumnKind::UInt32),
        ("first_task", ColumnKind::UInt32),
        ("last_task", ColumnKind::UInt32),
        ("cut", ColumnKind::UInt64),
        ("kind", ColumnKind::Text),
        ("object", ColumnKind::Text),
        ("bytes", ColumnKind::UInt64),
        ("rows", ColumnKind::UInt64),
        ("tombstones", ColumnKind::UInt64),
        ("smallest_key", ColumnKind::Text),
        ("largest_key", ColumnKind::Text),
    ]
    .map(|(name, kind)| TableColumn::required(name, kind))
    .into()
}

fn read_row(batch: &RecordBatch, at: usize) -> Result<IndexRow, String> {
    let small = |column: usize| batch.column(column).as_primitive::<UInt32Type>().value(at);
    let large = |column: usize| batch.column(column).as_primitive::<UInt64Type>().value(at);
    let text = |column: usize| batch.column(column).as_string::<i32>().value(at);
    let kind = match text(5) {
        "base" => SegmentKind::Base,
        "delta" => SegmentKind::Delta,
        found => return Err(format!("expected kind `base` or `delta`, found {:?}", short(found))),
    };
    Ok(IndexRow {
        shard: small(0),
        level: small(1),
        first_task: small(2),
        last_task: small(3),
        cut: large(4),
        kind,
        object: text(6).parse::<ObjectName>().map_err(|error| error.to_string())?,
        bytes: large(7),
        rows: large(8),
        tombstones: large(9),
        smallest_key: text(10).to_owned(),
        largest_key: text(11).to_owned(),
    })
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Checks a row by itself.
fn check_row(row: &IndexRow) -> Result<(), String> {
    let kind_at_level = if row.level == 0 { SegmentKind::Base } else { SegmentKind::Delta };
    if row.kind != kind_at_level {
        return Err(format!("expected a {} at level {}, found a {}", kind_at_level.name(), row.level, row.kind.name()));
    }
    if row.object.kind != ObjectKind::Parquet {
        return Err(format!("expected a Parquet object, found {}", row.object));
    }
    if row.first_task > row.last_task {
        return Err(format!("its first task {} is after its last, {}", row.first_task, row.last_task));
    }
    let most = if row.kind == SegmentKind::Base { 0 } else { row.rows };
    if row.tombstones > most {
        return Err(format!("expected at most {most} tombstones, found {}", row.tombstones));
    }
    let no_keys = row.smallest_key.is_empty() && row.largest_key.is_empty();
    if row.smallest_key > row.largest_key || (row.rows == 0 && !no_keys) {
        let (smallest, largest) = (short(&row.smallest_key), short(&row.largest_key));
        return Err(format!("{} rows cannot be between the keys {smallest:?} and {largest:?}", row.rows));
    }
    Ok(())
}

/// Checks a row against the one before it.
fn check_place(before: Option<&IndexRow>, row: &IndexRow) -> Result<(), String> {
    let Some(before) = before else {
        return if row.level == 0 { Ok(()) } else { Err(format!("shard {} begins at level {}", row.shard, row.level)) };
    };
    let (first, last) = (row.first_task, row.last_task);
    if row.shard == before.shard {
        if before.level.checked_add(1) != Some(row.level) {
            return Err(format!("level {} of shard {} comes after level {}", row.level, row.shard, before.level));
        }
        if (first, last) != (before.first_task, before.last_task) {
            return Err(format!(
                "shard {} has tasks {} to {} in one row and {first} to {last} in the next",
                row.shard, before.first_task, before.last_task
            ));
        }
        if row.cut < before.cut {
            return Err(format!("cut {} of shard {} comes after cut {}", row.cut, row.shard, before.cut));
        }
        return Ok(());
    }
    if row.shard < before.shard {
        return Err(format!("shard {} comes after shard {}", row.shard, before.shard));
    }
    if row.level != 0 {
        return Err(format!("shard {} begins at level {}", row.shard, row.level));
    }
    if first <= before.last_task {
        return Err(format!("tasks {first} to {last} come after task {}", before.last_task));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::values::digest::Digest;

    fn row(shard: u32, level: u32) -> IndexRow {
        let (first_task, last_task) = tasks_of(shard, 64, 4);
        IndexRow {
            shard,
            level,
            first_task,
            last_task,
            cut: 1000 + u64::from(level),
            kind: if level == 0 { SegmentKind::Base } else { SegmentKind::Delta },
            object: ObjectName { digest: Digest::of(&[shard as u8, level as u8]), kind: ObjectKind::Parquet },
            bytes: u64::MAX,
            rows: 10,
            tombstones: u64::from(level),
            smallest_key: "a".to_owned(),
            largest_key: "å".to_owned(),
        }
    }

    #[test]
    fn an_index_is_read_as_it_was_written_in_order() {
        let rows = vec![row(0, 0), row(0, 1), row(1, 0), row(3, 0), row(3, 1), row(3, 2)];
        let bytes = encode(&rows);
        assert_eq!(decode(bytes.clone().into()), Ok(rows.clone()));
        let backwards: Vec<IndexRow> = rows.iter().rev().cloned().collect();
        assert_eq!(encode(&backwards), bytes);
        assert_eq!(decode(encode(&[]).into()), Ok(vec![]));
    }

    #[test]
    fn a_long_index_is_read_whole() {
        let rows: Vec<IndexRow> = (0..20_000)
            .map(|shard| IndexRow { first_task: shard, last_task: shard, ..row(shard, 0) })
            .map(|row| IndexRow { rows: 0, smallest_key: String::new(), largest_key: String::new(), ..row })
            .collect();
        assert_eq!(decode(encode(&rows).into()), Ok(rows));
    }

    #[test]
    fn rows_that_the_format_does_not_allow_are_refused() {
        type Damage = fn(&mut IndexRow);
        let refused: [(&str, Damage, &str); 12] = [
            ("no base", |row| row.level = 5, "expected a delta at level 5, found a base"),
            ("twice", |row| row.shard = 0, "level 0 of shard 0 comes after level 0"),
            ("another shard's tasks", |row| row.first_task = 15, "tasks 15 to 31 come after task 15"),
            ("no tasks", |row| row.first_task = 32, "its first task 32 is after its last, 31"),
            ("tombstones in a base", |row| row.tombstones = 1, "expected at most 0 tombstones, found 1"),
            ("a descending key", |row| row.largest_key.clear(), "10 rows cannot be between the keys \"a\" and \"\""),
            ("keys of no rows", |row| row.rows = 0, "0 rows cannot be between the keys \"a\" and \"å\""),
            ("no segment", |row| row.object.kind = ObjectKind::Yaml, "expected a Parquet object, found "),
            ("a delta at the bottom", |row| row.kind = SegmentKind::Delta, "expected a base at level 0, found a delta"),
            ("a chain with a hole", |row| *row = self::row(0, 3), "level 3 of shard 0 comes after level 1"),
            (
                "a chain that changes its tasks",
                |row| *row = IndexRow { last_task: 16, ..self::row(0, 2) },
                "shard 0 has tasks 0 to 15 in one row and 0 to 16 in the next",
            ),
            (
                "a cut that goes back",
                |row| *row = IndexRow { cut: 7, ..self::row(0, 2) },
                "cut 7 of shard 0 comes after cut 1001",
            ),
        ];
        for (name, damage, reason) in refused {
            let mut rows = vec![row(0, 0), row(0, 1), row(1, 0)];
            damage(&mut rows[2]);
            match decode(encode(&rows).into()) {
                Err(TableError::Row { reason: found, .. }) => assert!(found.starts_with(reason), "{name}: {found}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_table_of_another_kind_is_refused() {
        let positions = crate::format::positions::encode(&[]);
        assert!(matches!(decode(positions.into()), Err(TableError::Columns { .. })));
        assert!(matches!(decode(b"PAR1".as_slice().into()), Err(TableError::Unreadable { .. })));
    }

    proptest! {
        #[test]
        fn shards_are_contiguous_and_of_about_one_size(tasks in 1u32..=1_000_000, some in 0u32..1_000_000) {
            let shards = some % tasks.min(1000) + 1;
            let mut next = 0;
            for shard in 0..shards {
                let (first, last) = tasks_of(shard, tasks, shards);
                prop_assert_eq!(first, next);
                prop_assert!((tasks / shards..=tasks.div_ceil(shards)).contains(&(last - first + 1)));
                prop_assert_eq!((shard_of(first, tasks, shards), shard_of(last, tasks, shards)), (shard, shard));
                next = last + 1;
            }
            prop_assert_eq!(next, tasks);
        }
    }
}
