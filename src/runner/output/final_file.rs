//! The output file of a job that publishes its state at the end.

use crate::format::rows::Change;
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::{OutputPlan, Staged};
use crate::runner::output::staged::StagedFile;
use crate::runner::state::shard::Shard;
use crate::shape::RowShape;
use crate::values::id::Sequence;

/// Stages the file of checkpoint `sequence` with the rows of `shards`, sorted by key, and flushes it.
pub fn stage(
    plan: &OutputPlan,
    shape: &RowShape,
    sequence: Sequence,
    shards: &[(u32, Shard)],
) -> Result<Staged, OutputError> {
    let mut order: Vec<(u32, u32)> = Vec::new();
    for (place, (_, shard)) in shards.iter().enumerate() {
        order.extend(shard.indices().map(|row| (place as u32, row as u32)));
    }
    let key = |&(place, row): &(u32, u32)| shards[place as usize].1.key(row as usize);
    order.sort_unstable_by(|a, b| shape.order_of(key(a)).cmp(&shape.order_of(key(b))));
    let mut file = StagedFile::create(plan, sequence, &shape.columns())?;
    let mut packed = Vec::new();
    for place in &order {
        packed.clear();
        shards[place.0 as usize].1.pack_row(place.1 as usize, &mut packed);
        let values = shape.values(Change::None, key(place), Some(&packed));
        if shape.keeps(key(place), &values)? {
            file.push(&values)?;
        }
    }
    file.finish()
}
