//! One life of a run: from the latest checkpoint to the end of the input.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::format::layout::ObjectName;
use crate::format::manifest::Manifest;
use crate::input::Partition;
use crate::input::record::Filter;
use crate::job::{Effect, FieldPath, InputFormat, JobSpec};
use crate::runner::checkpoint::priority::Priorities;
use crate::runner::error::{JobError, ResumeError, RunError};
use crate::runner::observer::{Observer, RunEvent, Summary};
use crate::runner::options::{Control, Options};
use crate::runner::output::plan::OutputPlan;
use crate::runner::pipeline::prepare::{check_paths, open_store, resolve_types, with_types};
use crate::runner::pipeline::run::Run;
use crate::runner::process::aggregate::Program;
use crate::runner::process::exec::mirror::Mirror;
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::processor::Processor;
use crate::runner::resume::damaged::skip;
use crate::runner::resume::{outputs, recover};
use crate::store::Store;
use crate::values::value::ColumnType;
use crate::{input, job};

/// Runs the job once.
pub(crate) fn attempt(
    job: &JobSpec,
    options: &Options,
    control: &Control,
    observer: &dyn Observer,
) -> Result<Summary, RunError> {
    let begun = Instant::now();
    let output = OutputPlan::new(job);
    // Mistakes in the job file come first: they leave no store behind.
    let filter = match &job.filter {
        None => None,
        Some(expression) => {
            let filter = Filter::new(expression).map_err(|reason| JobError::Filter { reason })?;
            let untyped = matches!(job.input.format, InputFormat::Csv { .. });
            Some(if untyped { filter.with_numbers_in_text() } else { filter })
        }
    };
    let native = job.native.as_ref().map(|name| options.processors.make(name, job)).transpose();
    let native = native.map_err(|reason| JobError::Processor { reason })?;
    let list = if job.input.follow { input::present } else { input::partitions };
    let partitions: Arc<[Partition]> = list(&job.input, &job.base)?.into();
    check_paths(job, output.as_ref())?;
    let opened = if job.checkpoint.enabled { Some(open_store(job, options, output.as_ref())?) } else { None };
    let store = opened.as_ref().map(|(store, _)| store.clone());
    let tell_notes = || {
        let notes = store.as_ref().map(Store::take_notes).unwrap_or_default();
        notes.into_iter().for_each(|note| observer.event(&RunEvent::Replica(note)));
    };
    tell_notes();
    if let Some((store, _)) = &opened
        && store.sequences()?.is_empty()
    {
        let place = store.place();
        if let Some(published) = output.as_ref().and_then(OutputPlan::published) {
            return Err(ResumeError::CheckpointsMissing { place, output: published.display().to_string() }.into());
        }
        if options.must_resume {
            return Err(ResumeError::NothingToResume { place }.into());
        }
    }
    let workers = options.threads.max(1);
    let resumed = match &opened {
        None => None,
        Some((store, _)) => recover::resume(
            store,
            options.latest_good,
            workers,
            |manifest| ranks(job, manifest),
            |sequence, old| {
                let mut differences = job::differences(old, &with_types(job, old));
                differences.retain(|difference| difference.effect() == Effect::Unfit);
                if differences.is_empty() { Ok(()) } else { Err(ResumeError::Unfit { sequence, differences }.into()) }
            },
        )?,
    };
    // The definition in the checkpoint has the types that its run found out, which this one goes on with.
    let mut plans: Vec<OutputPlan> = output.iter().cloned().collect();
    if let Some(resumed) = &resumed {
        let before = JobSpec { base: job.base.clone(), ..resumed.definition.clone() };
        plans.extend(OutputPlan::new(&before).filter(|before| Some(before) != output.as_ref()));
    }
    let mut job = resumed.as_ref().map_or_else(|| job.clone(), |resumed| with_types(job, &resumed.definition));
    let (recovered, definition, damaged) = match resumed {
        None => (None, None, Vec::new()),
        Some(resumed) => (Some(resumed.recovered), Some(resumed.definition), resumed.damaged),
    };
    if let (Some((store, _)), Some(recovered), false) = (&opened, &recovered, damaged.is_empty()) {
        // A prune knows that a run needs the latest checkpoint, not that it has gone back to an older one.
        let objects: Vec<ObjectName> = recovered.lineage.objects.iter().copied().collect();
        store.take_over(&objects)?;
    }
    let last = recovered.as_ref().and_then(|recovered| recovered.lineage.last.clone());
    resolve_types(&mut job, &partitions, observer)?;
    let types: HashMap<FieldPath, ColumnType> = job.input.types.iter().cloned().collect();
    let processor: Arc<dyn Processor> = match (&job.exec, native) {
        (_, Some(native)) => native,
        (None, None) => Arc::new(Program::new(&job.aggregates, &job.input.format, |field| types[field])),
        (Some(_), None) => Arc::new(Mirror::new(&job.input.format)),
    };
    let exec = job.exec.as_ref().map(|exec| ExecPlan::new(&job, exec, &options.environment));

    if let (Some(last), false) = (&last, damaged.is_empty()) {
        skip(&last.manifest, &damaged, output.as_ref(), observer)?;
    }
    let newest = recovered.as_ref().and_then(|recovered| recovered.lineage.newest);
    outputs::reconcile(store.as_ref(), last.as_ref().map(|last| &last.manifest), newest, &plans, observer)?;
    let store_place = opened.as_ref().map(|(store, _)| store.place());
    match &last {
        None => observer.event(&RunEvent::Fresh { store: store_place }),
        Some(last) => observer.event(&RunEvent::Resumed {
            store: store_place.unwrap_or_default(),
            sequence: last.manifest.sequence,
            created: last.manifest.created,
            records: last.manifest.totals.records,
            keys: last.manifest.totals.keys,
        }),
    }
    tell_notes();
    let skipped_checkpoints = damaged.into_iter().map(|damaged| damaged.sequence).collect();
    let (clock, holder) = (options.clock, options.holder.as_str());
    let seed = xxhash_rust::xxh3::xxh3_64(&options.random);
    let run = Run {
        job: &job,
        control,
        observer,
        clock,
        seed,
        holder,
        partitions,
        output,
        begun,
        skipped_checkpoints,
        threads: workers,
    };
    let mut summary = run.go(processor, exec, filter, opened, recovered.zip(definition))?;
    if let Some(store) = &store {
        // One that was lost in the last checkpoint, or came back after it, gets a last chance.
        store.catch_up();
        summary.replicas_behind = store.lost().into_iter().map(|(place, _)| place).collect();
    }
    tell_notes();
    Ok(summary)
}

/// Returns the rank of each shard of a checkpoint, the most important first, for a job with priorities.
fn ranks(job: &JobSpec, manifest: &Manifest) -> Vec<usize> {
    let Some(spec) = &job.checkpoint.priority else { return Vec::new() };
    let priorities = Priorities::new(spec, manifest.tasks, manifest.shards, &[]);
    (0..manifest.shards).map(|shard| priorities.rank(shard)).collect()
}
