//! The state of a job as it was, in the layout that the job needs as it is now.

use crate::format::manifest::{Manifest, Routing};
use crate::format::rows::RowCodec;
use crate::job::{AggregateFunction, Difference, FieldPath, JobSpec, TtlSpec};
use crate::runner::error::RunError;
use crate::runner::observer::RunEvent;
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::run::Run;
use crate::runner::process::aggregate::Program;
use crate::runner::process::exec::mirror::Mirror;
use crate::runner::process::processor::Processor;
use crate::runner::resume::recover::Recovered;
use crate::runner::resume::reroute::{Layout, Source, reroute};
use crate::values::value::{Column, ColumnType, Value};
use crate::{input, job};

impl Run<'_> {
    /// Puts the state of a checkpoint, which `definition` has left, into the layout of `plan` where that is another one, and tells what it did.
    pub(crate) fn adapt(
        &self,
        mut recovered: Recovered,
        definition: &JobSpec,
        plan: &Plan,
    ) -> Result<Recovered, RunError> {
        let Some(last) = &recovered.lineage.last else { return Ok(recovered) };
        let manifest = &last.manifest;
        let sequence = manifest.sequence;
        fits(manifest, definition)?;
        for difference in job::differences(definition, self.job) {
            match difference {
                Difference::AggregateAdded { new } => {
                    let record = manifest.totals.records;
                    self.observer.event(&RunEvent::AggregateAdded { name: new.name, record });
                }
                Difference::AggregateRemoved { old } => {
                    self.observer.event(&RunEvent::AggregateRemoved { name: old.name });
                }
                _ => {}
            }
        }
        let codec = &plan.codec;
        if manifest.tasks == plan.tasks && manifest.columns == codec.columns() {
            return Ok(recovered);
        }
        if self.job.native.is_some() && manifest.columns != codec.columns() {
            return Err(RunError::NativeColumns { sequence });
        }
        if !recovered.lineage.older.is_empty() {
            return Err(RunError::SeveralCuts { sequence });
        }
        let sources = sources(definition, self.job, &manifest.columns, codec.columns());
        let layout = Layout { codec, sources, tasks: plan.tasks, shards: plan.shards };
        let (old_tasks, old_codec) = (manifest.tasks, RowCodec::new(manifest.columns.clone()));
        let task_of = |key: &[u8], hash: u64| plan.task_of_hashed(key, hash);
        let old = std::mem::take(&mut recovered.shards);
        let routed = reroute(old, &old_codec, &layout, task_of, self.threads);
        let (shards, content) = routed.map_err(|source| RunError::Rerouting { sequence, source })?;
        if old_tasks != plan.tasks {
            self.observer.event(&RunEvent::Rerouted { content, old_tasks, new_tasks: plan.tasks });
        }
        recovered.lineage.chains = Vec::new();
        recovered.lineage.keys = shards.iter().map(crate::runner::state::shard::Shard::keys).collect();
        recovered.lineage.is_relaid = true;
        recovered.shards = shards;
        Ok(recovered)
    }
}

/// Returns where the values of each of the `new` columns come from: from the `old` one of an aggregate that is the same as it was. One that is new has
/// counted nothing yet.
fn sources(before: &JobSpec, now: &JobSpec, old: &[Column], new: &[Column]) -> Vec<Source> {
    let source = |column: &Column| {
        let owner = now.aggregates.iter().find(|aggregate| aggregate.column_names().contains(&column.name));
        let is_kept = owner.is_none_or(|owner| before.aggregates.contains(owner));
        match old.iter().position(|old| old == column).filter(|_| is_kept) {
            Some(number) => Source::Column(number),
            None if owner.is_some_and(|owner| owner.function == AggregateFunction::Count) => {
                Source::Alike(Value::Int(0))
            }
            None => Source::Alike(Value::Null),
        }
    };
    new.iter().map(source).collect()
}

/// Fails when a manifest says something else of the state than the definition in the same checkpoint.
fn fits(manifest: &Manifest, definition: &JobSpec) -> Result<(), RunError> {
    let routing = match (&definition.exec, &definition.key) {
        (Some(_), _) => Routing::Program,
        (None, Some(_)) => Routing::KeyHash,
        (None, None) => Routing::Partition,
    };
    let is_told = definition.native.is_none();
    let reason = if is_told && columns(definition).as_deref() != Some(&manifest.columns) {
        "its columns are not those of the job in it".to_owned()
    } else if definition.key.is_some() && manifest.tasks != definition.tasks {
        format!("it has {} tasks, the job in it {}", manifest.tasks, definition.tasks)
    } else if manifest.routing != routing {
        "its routing is not that of the job in it".to_owned()
    } else if manifest.block_bytes != input::BLOCK_BYTES {
        format!("its input is cut into blocks of {} bytes, not {}", manifest.block_bytes, input::BLOCK_BYTES)
    } else {
        return Ok(());
    };
    Err(RunError::Inconsistent { sequence: manifest.sequence, reason })
}

/// Returns the columns of a job's state; nothing when the definition does not tell the type of a field that it needs.
fn columns(definition: &JobSpec) -> Option<Vec<Column>> {
    if definition.exec.is_some() {
        return Some(Mirror::new(&definition.input.format).columns().to_vec());
    }
    let mut is_typed = true;
    let type_of = |field: &FieldPath| {
        let known = definition.input.types.iter().find(|(known, _)| known == field);
        is_typed &= known.is_some();
        known.map_or(ColumnType::Text, |(_, column_type)| *column_type)
    };
    let program = Program::new(&definition.aggregates, &definition.input.format, type_of);
    let mut columns = program.columns().to_vec();
    columns.extend(definition.ttl.as_ref().map(|_| TtlSpec::column()));
    is_typed.then_some(columns)
}
