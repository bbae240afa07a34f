//! A store of one checkpoint with big rows, to measure what depends on bytes and not on rows.

use std::path::Path;
use std::sync::Arc;

use ckpt::format::index::{self, IndexRow};
use ckpt::format::rows::{Row, RowCodec};
use ckpt::format::segment::SegmentWriter;
use ckpt::format::store_file::StoreFile;
use ckpt::storage::local::LocalStorage;
use ckpt::store::{Store, StoreError};
use ckpt::values::id::StoreId;
use ckpt::values::parallel;
use ckpt::values::value::{Column, ColumnType, Value};

use crate::Outcome;
use crate::checkpoint::{self, Keys};
use crate::inputs::Random;

const SHARDS: u32 = 32;
const TASKS: u32 = 64;
/// The size of a value, of characters with six random bits each: they compress to six eighths of it, and no further.
const VALUE_BYTES: usize = 8 << 10;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Makes a store of about `mebibytes` at `directory`.
pub fn make(directory: &Path, mebibytes: u64) -> Outcome {
    std::fs::create_dir_all(directory)?;
    let created = "2026-01-01T00:00:00Z".parse()?;
    let file = StoreFile { format: 1, store: StoreId::new([7; 16]), job: "big".to_owned(), created };
    let store = Store::create(vec![Arc::new(LocalStorage::new(directory))], file)?;
    let codec = RowCodec::new(vec![Column::new("value", ColumnType::Text)]);
    let rows_in_shard = mebibytes * (1 << 20) * 8 / 6 / VALUE_BYTES as u64 / u64::from(SHARDS);
    let shards: Vec<u32> = (0..SHARDS).collect();
    let segments = parallel::map(&shards, |&shard| write_segment(&store, &codec, shard, rows_in_shard));
    let segments: Vec<IndexRow> = segments.into_iter().collect::<Result<_, _>>()?;
    let rows = segments.iter().map(|row| row.rows).sum();
    let keys = Keys { total: rows, changed: rows, tasks: TASKS, shards: SHARDS };
    checkpoint::commit(&store, codec.columns(), &segments, None, keys)?;
    Ok(())
}

fn write_segment(store: &Store, codec: &RowCodec, shard: u32, rows: u64) -> Result<IndexRow, StoreError> {
    let (first_task, last_task) = index::tasks_of(shard, TASKS, SHARDS);
    let mut keys: Vec<(u32, String)> = (0u64..)
        .map(|number| format!("key-{number:08}"))
        .map(|key| (index::task_of_key(key.as_bytes(), TASKS), key))
        .filter(|(task, _)| (first_task..=last_task).contains(task))
        .take(rows as usize)
        .collect();
    keys.sort();
    let mut random = Random(u64::from(shard));
    let mut writer = SegmentWriter::new(codec.columns());
    let (mut text, mut packed) = (String::new(), Vec::new());
    for (task, key) in keys {
        text.clear();
        while text.len() < VALUE_BYTES {
            let bits = random.next();
            text.extend((0..10).map(|digit| char::from(DIGITS[(bits >> (6 * digit)) as usize & 63])));
        }
        packed.clear();
        codec.pack(&[Value::Text(std::mem::take(&mut text))], &mut packed);
        writer.push(Row { task, key: key.as_bytes(), value: Some(&packed) });
    }
    let (bytes, stats) = writer.finish();
    checkpoint::put_segment(store, (shard, TASKS, SHARDS), 0, &bytes, stats)
}
