//! The output file of a job that publishes its state at the end.

use rayon::prelude::*;

use crate::format::rows::Change;
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::{OutputPlan, Staged};
use crate::runner::output::staged::{PreparedRows, StagedFile};
use crate::runner::state::shard::Shard;
use crate::shape::RowShape;
use crate::values::id::Sequence;
use crate::values::prefix::{first_bytes, shared_bytes};

/// Rows that a thread prepares at once.
const CHUNK_ROWS: usize = 2048;
/// Chunks that are prepared while those before them are written.
const BATCH_CHUNKS: usize = 8;
/// Rows that are fetched into the cache together: in the order of their keys, each is somewhere else in memory.
const GROUP_ROWS: usize = 16;

/// A row of the state.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The first bytes of its key in which keys differ, see [`first_bytes`].
    prefix: u64,
    shard: u32,
    row: u32,
}

impl Place {
    /// Returns its shard and its index there.
    fn of(self, shards: &[(u32, Shard)]) -> (&Shard, usize) {
        (&shards[self.shard as usize].1, self.row as usize)
    }

    /// Fetches the row into the cache.
    fn fetch(self, shards: &[(u32, Shard)]) {
        let (shard, row) = self.of(shards);
        shard.fetch(row);
    }
}

/// Stages the file of checkpoint `sequence` with the rows of `shards`, sorted by key, and flushes it. The threads of the
/// pool in which it is called share the work.
pub fn stage(
    plan: &OutputPlan,
    shape: &RowShape,
    sequence: Sequence,
    shards: &[(u32, Shard)],
) -> Result<Staged, OutputError> {
    let order = sorted(shape, shards);
    let mut file = StagedFile::create(plan, sequence, &shape.columns())?;
    let preparer = file.preparer();
    let prepare = |chunk: &[Place]| -> Result<PreparedRows, OutputError> {
        let (mut rows, mut packed) = (preparer.start(), Vec::new());
        for group in chunk.chunks(GROUP_ROWS) {
            group.iter().for_each(|place| place.fetch(shards));
            for place in group {
                let (shard, row) = place.of(shards);
                packed.clear();
                shard.pack_row(row, &mut packed);
                let values = shape.values(Change::None, shard.key(row), Some(&packed));
                if shape.keeps(shard.key(row), &values)? {
                    preparer.add(values, &mut rows);
                }
            }
        }
        Ok(rows)
    };
    let prepare_all = |batch: &[Place]| -> Vec<Result<PreparedRows, OutputError>> {
        batch.par_chunks(CHUNK_ROWS).map(prepare).collect()
    };
    let mut prepared = Vec::new();
    for batch in order.chunks(BATCH_CHUNKS * CHUNK_ROWS) {
        let write = || prepared.into_iter().try_for_each(|rows| file.push_prepared(&rows?));
        let (written, next) = rayon::join(write, || prepare_all(batch));
        written?;
        prepared = next;
    }
    prepared.into_iter().try_for_each(|rows| file.push_prepared(&rows?))?;
    file.finish()
}

/// Returns all rows of `shards`, sorted by key and window.
fn sorted(shape: &RowShape, shards: &[(u32, Shard)]) -> Vec<Place> {
    let key = |place: &Place| {
        let (shard, row) = place.of(shards);
        shape.order_of(shard.key(row))
    };
    let places = |(number, (_, shard)): (usize, &(u32, Shard))| -> Vec<Place> {
        shard.indices().map(|row| Place { prefix: 0, shard: number as u32, row: row as u32 }).collect()
    };
    let mut order: Vec<Place> = shards.par_iter().enumerate().flat_map_iter(places).collect();
    let shared = shared_bytes(order.iter().map(|place| key(place).0));
    order.par_iter_mut().for_each(|place| place.prefix = first_bytes(&key(place).0[shared..]));
    order.par_sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(&key(b))));
    order
}
