//! The Parquet tables: the index, the positions, segments. The first byte selects one.

use std::collections::BTreeMap;

use bytes::Bytes;
use ckpt::format::rows::RowCodec;
use ckpt::format::segment::{SegmentReader, SegmentWriter};
use ckpt::format::{index, positions};
use ckpt::values::value::{Column, ColumnType};

/// The columns of the segments.
pub fn columns() -> Vec<Column> {
    [
        ("i", ColumnType::Int),
        ("n", ColumnType::Number),
        ("t", ColumnType::Text),
        ("b", ColumnType::Bool),
        ("j", ColumnType::Json),
        ("s", ColumnType::Sketch),
    ]
    .map(|(name, column_type)| Column::new(name, column_type))
    .into()
}

/// Rows that were read are in order, are written as the same rows, and are found again by key.
pub fn check(data: &[u8]) {
    let Some((&kind, table)) = data.split_first() else { return };
    let bytes = Bytes::copy_from_slice(table);
    match kind % 3 {
        0 => {
            if let Ok(rows) = index::decode(bytes) {
                assert_eq!(index::decode(index::encode(&rows).into()), Ok(rows));
            }
        }
        1 => {
            if let Ok(rows) = positions::decode(bytes) {
                assert_eq!(positions::decode(positions::encode(&rows).into()), Ok(rows));
            }
        }
        _ => segment(bytes),
    }
}

fn segment(bytes: Bytes) {
    let codec = RowCodec::new(columns());
    let Ok(reader) = SegmentReader::open(bytes.clone(), &columns()) else { return };
    let mut rows: BTreeMap<(u32, Vec<u8>), Option<Vec<u8>>> = BTreeMap::new();
    let mut last = None;
    for batch in reader {
        let Ok(batch) = batch else { return };
        for row in batch.iter() {
            let here = (row.task, row.key.to_vec());
            assert!(last < Some(here.clone()), "rows ascend");
            assert!(std::str::from_utf8(row.key).is_ok());
            if let Some(packed) = row.value {
                assert_eq!(codec.unpack(packed).len(), columns().len());
            }
            if rows.len() < 1_000 {
                rows.insert(here.clone(), row.value.map(<[u8]>::to_vec));
            }
            last = Some(here);
        }
    }
    let mut writer = SegmentWriter::new(&columns());
    for ((task, key), value) in &rows {
        writer.push(ckpt::format::rows::Row { task: *task, key, value: value.as_deref() });
    }
    let keys: Vec<(u32, &[u8])> = rows.keys().map(|(task, key)| (*task, key.as_slice())).collect();
    let mut found = 0;
    let written = SegmentReader::open(writer.finish().0.into(), &columns()).expect("written");
    let visit = |place: usize, value: Option<&[u8]>| {
        let (task, key) = keys[place];
        assert_eq!(rows[&(task, key.to_vec())].as_deref(), value);
        found += 1;
    };
    written.find(&keys, visit).expect("written");
    assert_eq!(found, rows.len());
}
