//! Fields whose type was assumed, because no record has had a value of them.

use crate::job::{FieldPath, JobSpec};
use crate::runner::resume::recover::Recovered;
use crate::runner::state::shard::Shard;
use crate::values::value::ColumnType;

/// Removes from `definition`, the job that made the state, the types of fields that have no value in it, and returns
/// them: nothing is lost if the next run gives such a field another type.
pub fn take_undecided(definition: &mut JobSpec, recovered: &Recovered) -> Vec<(FieldPath, ColumnType)> {
    let Some(last) = &recovered.lineage.last else { return Vec::new() };
    // Rows of windows and of expired keys are gone, and may have had values. Shards at several cuts keep their columns.
    let removes_rows = definition.window.is_some() || definition.ttl.is_some();
    let may_be_gone = removes_rows && last.manifest.totals.records > 0;
    if may_be_gone || !recovered.lineage.older.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = last.manifest.columns.iter().map(|column| column.name.as_str()).collect();
    let has_value = |name: &str| {
        names.iter().position(|other| *other == name).is_some_and(|column| any_has(&recovered.shards, column))
    };
    let aggregates = &definition.aggregates;
    let is_undecided = |field: &FieldPath| {
        let columns = aggregates.iter().filter(|aggregate| aggregate.kept_fields().any(|kept| kept == field));
        !columns.flat_map(|aggregate| aggregate.column_names()).any(|name| has_value(&name))
    };
    let (undecided, decided) = definition.input.types.iter().cloned().partition(|(field, _)| is_undecided(field));
    definition.input.types = decided;
    undecided
}

fn any_has(shards: &[Shard], column: usize) -> bool {
    shards.iter().any(|shard| shard.indices().any(|index| shard.has(index, column)))
}
