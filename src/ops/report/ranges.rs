//! How much the segments of ranges of tasks take, over time.

use jiff::Timestamp;

use crate::ops::read::Snapshot;
use crate::ops::report::part::{Missing, Part};
use crate::ops::stats::Sizes;
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::parallel;

/// How many checkpoints are looked at.
const MAX_CHECKPOINTS: usize = 60;

/// How many ranges there are: more lines in a chart cannot be told apart.
const MAX_RANGES: u32 = 5;

/// A contiguous range of tasks, as the newest checkpoint has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRange {
    pub first_task: u32,
    pub last_task: u32,
    /// The bytes of its segments in each of [`Ranges::checkpoints`].
    pub bytes: Vec<u64>,
}

/// How much the segments of ranges of tasks take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// The checkpoints that were looked at, the oldest first.
    pub checkpoints: Vec<(Sequence, Timestamp)>,
    pub ranges: Vec<TaskRange>,
}

/// Reads the indexes of some of the checkpoints, evenly spread, the newest among them.
pub(super) fn read(store: &Store, readable: &[&Sizes]) -> Part<Ranges> {
    let latest = &readable.last().ok_or(Missing::Nothing)?.manifest;
    let count = latest.shards.clamp(1, MAX_RANGES);
    // A range has whole shards. Where the layout was another one, shards are assigned by their place among all.
    let range_of = |shard: u32, shards: u32| (u64::from(shard) * u64::from(count) / u64::from(shards.max(1))) as usize;
    let sampled = sample(readable, MAX_CHECKPOINTS);
    let read = parallel::map_on(store.readers(), &sampled, |sizes| {
        let snapshot = Snapshot::open(store, sizes.manifest.sequence).ok()?;
        let mut bytes = vec![0u64; count as usize];
        for row in &snapshot.index {
            let sum = &mut bytes[range_of(row.shard, snapshot.manifest().shards)];
            *sum = sum.saturating_add(row.bytes);
        }
        Some(((snapshot.manifest().sequence, snapshot.manifest().created), bytes))
    });
    let (checkpoints, bytes): (Vec<_>, Vec<_>) = read.into_iter().flatten().unzip();
    let range = |place: u32| {
        let shards = (0..latest.shards).filter(|shard| range_of(*shard, latest.shards) == place as usize);
        let tasks = shards.map(|shard| crate::format::index::tasks_of(shard, latest.tasks, latest.shards));
        let (first, last) = tasks.fold((u32::MAX, 0), |(first, last), (a, b)| (first.min(a), last.max(b)));
        TaskRange {
            first_task: first,
            last_task: last,
            bytes: bytes.iter().map(|bytes: &Vec<u64>| bytes[place as usize]).collect(),
        }
    };
    Ok(Ranges { ranges: (0..count).map(range).collect(), checkpoints })
}

/// Returns at most `most` items, evenly spread, the first and the last among them.
fn sample<'a>(readable: &[&'a Sizes], most: usize) -> Vec<&'a Sizes> {
    let last = readable.len().saturating_sub(1);
    let steps = most.min(readable.len()).saturating_sub(1).max(1);
    let mut places: Vec<usize> = (0..=steps).map(|step| step * last / steps).collect();
    places.dedup();
    places.into_iter().map(|place| readable[place]).collect()
}
