//! Converts the state of a checkpoint to the layout that the job needs now.

use crate::format::rows::RowCodec;
use crate::job;
use crate::job::state_columns::without_estimates;
use crate::job::{AggregateFunction, AggregateSpec, Difference, JobSpec};
use crate::runner::error::{ResumeError, RunError};
use crate::runner::observer::{Observer, RunEvent};
use crate::runner::resume::recover::Recovered;
use crate::runner::resume::reroute::{Layout, Source, reroute};
use crate::runner::state::shard::Shard;
use crate::values::value::{Column, ColumnType, Value};

/// The layout that a job needs its state in.
#[derive(Debug, Clone, Copy)]
pub struct NewLayout<'a> {
    pub job: &'a JobSpec,
    /// How the values of rows are packed.
    pub codec: &'a RowCodec,
    pub tasks: u32,
    pub shards: u32,
}

/// Converts the state of a checkpoint, written by a run of `definition`, to the layout `new` where the two differ, and
/// reports what changed.
///
/// `task_of` returns the task of a key, given its shard before, the key and its XXH3-64.
pub fn adapt(
    mut recovered: Recovered,
    definition: &JobSpec,
    new: &NewLayout<'_>,
    task_of: impl Fn(u32, &[u8], u64) -> u32 + Sync,
    threads: usize,
    observer: &dyn Observer,
) -> Result<Recovered, RunError> {
    let Some(last) = &recovered.lineage.last else { return Ok(recovered) };
    let manifest = &last.manifest;
    let sequence = manifest.sequence;
    for difference in job::differences(definition, new.job) {
        match difference {
            Difference::AggregateAdded { new } => {
                let record = manifest.totals.records;
                observer.event(&RunEvent::AggregateAdded { name: new.name, record });
            }
            Difference::AggregateRemoved { old } => {
                observer.event(&RunEvent::AggregateRemoved { name: old.name });
            }
            _ => {}
        }
    }
    let (old_columns, new_columns) = (&manifest.columns[..], new.codec.columns());
    if manifest.tasks == new.tasks && old_columns == new_columns {
        return Ok(recovered);
    }
    if new.job.native.is_some() && old_columns != new_columns {
        return Err(ResumeError::NativeColumns { sequence }.into());
    }
    // What an older version has left out can wait until something changes, and leaves each row in its shard.
    let is_asked = manifest.tasks != new.tasks || without_estimates(new_columns) != old_columns;
    if !recovered.lineage.older.is_empty() && (is_asked || manifest.shards != new.shards) {
        return Err(ResumeError::SeveralCuts { sequence }.into());
    }
    let sources = sources(definition, new.job, old_columns, new_columns);
    let layout = Layout { codec: new.codec, sources, tasks: new.tasks, shards: new.shards };
    let (old_tasks, old_codec) = (manifest.tasks, RowCodec::new(manifest.columns.clone()));
    let old = std::mem::take(&mut recovered.shards);
    let routed = reroute(old, &old_codec, &layout, task_of, threads);
    let (shards, content) = routed.map_err(|source| ResumeError::Rerouting { sequence, source })?;
    if old_tasks != new.tasks {
        observer.event(&RunEvent::Rerouted { content, old_tasks, new_tasks: new.tasks });
    }
    recovered.lineage.chains = Vec::new();
    recovered.lineage.keys = shards.iter().map(Shard::keys).collect();
    recovered.lineage.is_relaid = is_asked;
    recovered.shards = shards;
    Ok(recovered)
}

/// Returns where the values of each column in `new` come from. An unchanged aggregate keeps its column in `old`; a new
/// one has counted nothing yet.
fn sources(before: &JobSpec, now: &JobSpec, old: &[Column], new: &[Column]) -> Vec<Source> {
    let source = |column: &Column| {
        let owner = now.aggregates.iter().find(|aggregate| aggregate.column_names().contains(&column.name));
        let is_kept = owner.is_none_or(|owner| before.aggregates.contains(owner));
        let place = match owner.filter(|_| is_sketch(column.column_type)) {
            Some(owner) => sketch_of(owner, before, old),
            None => old.iter().position(|old| old == column).filter(|_| is_kept),
        };
        match place {
            Some(number) => Source::Column(number),
            None if owner.is_some_and(|owner| owner.function == AggregateFunction::Count) => {
                Source::Constant(Value::Int(0))
            }
            None => Source::Constant(Value::Null),
        }
    };
    new.iter().map(source).collect()
}

fn is_sketch(column_type: ColumnType) -> bool {
    matches!(column_type, ColumnType::Sketch | ColumnType::Quantiles)
}

/// Returns the place of the sketch in `old`, the columns of the job `before`, that has what `aggregate` needs. Older
/// versions named it after the aggregate.
fn sketch_of(aggregate: &AggregateSpec, before: &JobSpec, old: &[Column]) -> Option<usize> {
    let place = |name: &str| old.iter().position(|column| column.name == name && is_sketch(column.column_type));
    let name = aggregate.sketch_column(&before.aggregates)?;
    place(&name).or_else(|| place(&aggregate.name))
}
