//! Converts state to another layout: other tasks, other columns. Checks that every row arrives.

use xxhash_rust::xxh3::xxh3_64;

use crate::format::index::shard_of;
use crate::format::rows::RowCodec;
use crate::format::sketch;
use crate::runner::state::content::{Content, ContentMismatch};
use crate::runner::state::shard::Shard;
use crate::values::value::Value;

/// The layout of a state.
#[derive(Debug)]
pub struct Layout<'a> {
    /// How the values of rows are packed.
    pub codec: &'a RowCodec,
    /// Where the values of each column come from.
    pub sources: Vec<Source>,
    pub tasks: u32,
    pub shards: u32,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The column with this index in the old state.
    Column(usize),
    /// All rows have this value.
    Constant(Value),
}

/// Moves the rows of `old`, whose values are packed by `old_codec`, to new shards in `layout`, with `threads` threads.
///
/// `task_of` returns the task of a key, given its shard before, the key and its XXH3-64; a task that is not found by the key
/// alone must not move to another shard. No checkpoint holds the new shards, so the next
/// one writes each of them as a base; still, rows that existed at the last cut do not count as new. The old shards are
/// moved one by one, so that the state is never in memory twice.
pub fn reroute(
    old: Vec<Shard>,
    old_codec: &RowCodec,
    layout: &Layout<'_>,
    task_of: impl Fn(u32, &[u8], u64) -> u32 + Sync,
    threads: usize,
) -> Result<(Vec<Shard>, Content), ContentMismatch> {
    let shard_of_key =
        |shard: u32, key: &[u8], hash: u64| shard_of(task_of(shard, key, hash), layout.tasks, layout.shards) as usize;
    let mut new: Vec<Shard> = (0..layout.shards).map(|_| Shard::new(layout.codec)).collect();
    let per_thread = new.len().div_ceil(threads.max(1)).max(1);
    let mut before = Content::default();
    for (number, shard) in (0..).zip(old) {
        let taken = for_each_part(&mut new, per_thread, |first, part| {
            let mut content = Content::default();
            let mut packed = Vec::new();
            let mut whole = Vec::new();
            for index in shard.indices() {
                let key = shard.key(index);
                let hash = xxh3_64(key);
                let at = shard_of_key(number, key, hash).wrapping_sub(first);
                let Some(target) = part.get_mut(at) else { continue };
                packed.clear();
                shard.pack_row(index, &mut packed);
                let value = layout.convert(old_codec, &packed, &mut whole);
                content.add(key, value);
                // The check below notices a value that was not loaded.
                let _ = target.load(hash, key, value);
            }
            content
        });
        before = before.join(taken);
    }
    let after = for_each_part(&mut new, per_thread, |first, part| {
        let mut content = Content::default();
        for (number, shard) in (first..).zip(part.iter_mut()) {
            shard.set_relaid();
            shard.for_each(|key, packed| {
                if shard_of_key(number as u32, key, xxh3_64(key)) == number {
                    content.add(key, packed);
                }
            });
        }
        content
    });
    if before == after { Ok((new, after)) } else { Err(ContentMismatch { before, after }) }
}

/// Splits the shards between threads. `work` is given the number of the first shard and the shards; what it returns is
/// joined.
fn for_each_part(shards: &mut [Shard], length: usize, work: impl Fn(usize, &mut [Shard]) -> Content + Sync) -> Content {
    let work = &work;
    std::thread::scope(|scope| {
        let parts = shards.chunks_mut(length).enumerate();
        let threads: Vec<_> = parts.map(|(i, part)| scope.spawn(move || work(i * length, part))).collect();
        let contents =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        contents.fold(Content::default(), Content::join)
    })
}

impl Layout<'_> {
    /// Returns `packed`, a value of `old`, in this layout. Uses `whole` as a buffer if the layouts differ.
    fn convert<'v>(&self, old: &RowCodec, packed: &'v [u8], whole: &'v mut Vec<u8>) -> &'v [u8] {
        if old == self.codec && self.sources.iter().enumerate().all(|(at, source)| *source == Source::Column(at)) {
            return packed;
        }
        let values = old.unpack(packed);
        let value = |source: &Source| match source {
            Source::Column(column) => values[*column].clone(),
            Source::Constant(value) => value.clone(),
        };
        let mut new: Vec<Value> = self.sources.iter().map(value).collect();
        for estimate in self.codec.estimates() {
            if let Value::Sketch(bytes) = &new[estimate.sketch] {
                let column_type = self.codec.columns()[estimate.sketch].column_type;
                new[estimate.column] = sketch::estimate(column_type, bytes, estimate.quantile).unwrap_or_default();
            }
        }
        whole.clear();
        self.codec.pack(&new, whole);
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::format::index::SegmentKind;
    use crate::values::value::{Column, ColumnType};

    fn columns(names: &[(&str, ColumnType)]) -> RowCodec {
        RowCodec::new(names.iter().map(|(name, column_type)| Column::new(*name, *column_type)).collect())
    }

    fn by_hash(tasks: u32) -> impl Fn(u32, &[u8], u64) -> u32 + Sync {
        move |_, _, hash| (hash % u64::from(tasks)) as u32
    }

    fn filled(codec: &RowCodec, tasks: u32, shards: u32, keys: u64) -> Vec<Shard> {
        let mut filled: Vec<Shard> = (0..shards).map(|_| Shard::new(codec)).collect();
        for n in 0..keys {
            let key = format!("key {n}");
            let hash = xxh3_64(key.as_bytes());
            let mut packed = Vec::new();
            codec.pack(&[Value::Int(n as i64), Value::Text(format!("text {n}"))], &mut packed);
            let shard = shard_of(by_hash(tasks)(0, &[], hash), tasks, shards) as usize;
            assert!(filled[shard].load(hash, key.as_bytes(), &packed));
        }
        filled
    }

    #[test]
    fn every_row_is_in_the_shard_of_its_key_and_is_written_again() {
        let codec = columns(&[("n", ColumnType::Int), ("t", ColumnType::Text)]);
        for (tasks, shards, threads) in [(128, 16, 3), (1, 1, 8), (5, 5, 1), (64, 16, 16)] {
            let layout = Layout { codec: &codec, sources: vec![Source::Column(0), Source::Column(1)], tasks, shards };
            let (mut new, content) =
                reroute(filled(&codec, 64, 16, 1_000), &codec, &layout, by_hash(tasks), threads).unwrap();
            assert_eq!(content.keys, 1_000);
            let mut rows = BTreeMap::new();
            for (number, shard) in new.iter_mut().enumerate() {
                shard.for_each(|key, packed| {
                    let task = by_hash(tasks)(0, key, xxh3_64(key));
                    assert_eq!(shard_of(task, tasks, shards) as usize, number);
                    rows.insert(String::from_utf8(key.to_vec()).unwrap(), codec.unpack(packed));
                });
                shard.freeze(false);
                let frozen = shard.take(usize::MAX / 2, |_| 0).unwrap();
                assert_eq!(frozen.kind, SegmentKind::Base);
                assert_eq!(frozen.rows.len() as u64, shard.keys());
            }
            let expected =
                (0..1_000).map(|n| (format!("key {n}"), vec![Value::Int(n), Value::Text(format!("text {n}"))]));
            assert_eq!(rows, expected.collect());
        }
    }

    #[test]
    fn columns_are_moved_added_empty_and_removed() {
        let old = columns(&[("n", ColumnType::Int), ("t", ColumnType::Text)]);
        let new = columns(&[("fresh", ColumnType::Number), ("t", ColumnType::Text)]);
        let layout = Layout {
            codec: &new,
            sources: vec![Source::Constant(Value::Null), Source::Column(1)],
            tasks: 64,
            shards: 16,
        };
        let (shards, _) = reroute(filled(&old, 64, 16, 10), &old, &layout, by_hash(64), 2).unwrap();
        let mut values = Vec::new();
        shards.iter().for_each(|shard| shard.for_each(|_, packed| values.push(new.unpack(packed))));
        assert_eq!(values.len(), 10);
        assert!(
            values
                .iter()
                .all(|row| row[0] == Value::Null && matches!(&row[1], Value::Text(t) if t.starts_with("text ")))
        );
    }

    #[test]
    fn a_lost_row_is_noticed() {
        let codec = columns(&[("n", ColumnType::Int), ("t", ColumnType::Text)]);
        let layout = Layout { codec: &codec, sources: vec![Source::Column(0), Source::Column(1)], tasks: 4, shards: 4 };
        // A route that changes its mind, as it would with broken memory.
        let calls = std::sync::atomic::AtomicU32::new(0);
        let fickle = |_: u32, _: &[u8], _: u64| calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3;
        let lost = reroute(filled(&codec, 64, 16, 50), &codec, &layout, fickle, 1).unwrap_err();
        assert_eq!(lost.before.keys, 50);
        assert!(lost.after.keys < 50, "{lost}");
    }
}
