//! One attempt of a run: from the latest checkpoint to the end of the input.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::format::layout::ObjectName;
use crate::format::manifest::Manifest;
use crate::input::record::Filter;
use crate::input::{InputError, Partition, ResumedPartitions};
use crate::job::{Difference, Effect, FieldPath, JobSpec};
use crate::runner::checkpoint::priority::Priorities;
use crate::runner::error::{JobError, ResumeError, RunError};
use crate::runner::observer::{Observer, RunEvent, Stage, Summary};
use crate::runner::options::{Control, Options};
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::OutputPlan;
use crate::runner::output::plans::OutputPlans;
use crate::runner::output::topic::{AssumedOutput, Outlet, OutletNote};
use crate::runner::pipeline::field_types::{resolve_types, with_types};
use crate::runner::pipeline::operation::{LoggingObserver, run_name};
use crate::runner::pipeline::paths::{check_paths, places};
use crate::runner::pipeline::prepare::open_store;
use crate::runner::pipeline::run::{RecordSteps, Run};
use crate::runner::pipeline::start::start;
use crate::runner::process::aggregate::Program;
use crate::runner::process::exec::mirror::Mirror;
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::processor::Processor;
use crate::runner::resume::damaged::skip;
use crate::runner::resume::outputs::History;
use crate::runner::resume::recover;
use crate::runner::resume::recover::{Effort, Resumed};
use crate::runner::resume::share::share_places;
use crate::runner::resume::undecided::take_undecided;
use crate::store::{Committed, Store};
use crate::values::id::Sequence;
use crate::values::url::is_url;
use crate::values::value::ColumnType;
use crate::{input, job};

/// Runs the job once, from its latest checkpoint. It has been restarted `restart` times before.
pub(crate) fn attempt(
    job: &JobSpec,
    options: &Options,
    control: &Control,
    observer: &dyn Observer,
    restart: u32,
) -> Result<Summary, RunError> {
    let begun = Instant::now();
    observer.event(&RunEvent::Stage(Stage::Opening));
    let outputs = OutputPlans::new(job, options.share.is_some())?;
    // Mistakes in the job file come first: they leave no store behind.
    let checked = CheckedJob::new(job, options, &outputs)?;
    let (store, _lock) = match job.checkpoint.enabled {
        true => Some(open_store(job, options, &outputs)?).unzip(),
        false => (None, None),
    };
    let seed = xxhash_rust::xxh3::xxh3_64(&options.random);
    let observer = LoggingObserver::start(observer, options, store.as_ref(), run_name(seed), restart);
    let outcome =
        attempt_on(store.as_ref(), job, options, checked, outputs, Given { control, observer: &observer, begun, seed });
    observer.end(&outcome);
    outcome
}

/// What an attempt is given from outside.
struct Given<'a> {
    control: &'a Control,
    observer: &'a dyn Observer,
    begun: Instant,
    /// Drawn at random for each run.
    seed: u64,
}

/// Runs a job that was checked. The caller holds `store`.
fn attempt_on(
    store: Option<&Store>,
    job: &JobSpec,
    options: &Options,
    checked: CheckedJob,
    outputs: OutputPlans,
    given: Given<'_>,
) -> Result<Summary, RunError> {
    let Given { control, observer, begun, seed } = given;
    let CheckedJob { filter, delete, native, partitions } = checked;
    report_notes(store, observer);
    let threads = options.threads.max(1);
    // Before the latest checkpoint is read: nobody else can send what follows it, but for other workers.
    let outlet = Outlet::open(job, options.share.is_some())?;
    let resumed = match store {
        None => None,
        Some(store) => resume(store, job, options, &outputs, observer)?,
    };
    let plans = output_plans(job, &outputs, resumed.as_ref())?;
    let declared: HashSet<FieldPath> = job.input.types.iter().map(|(field, _)| field.clone()).collect();
    // The definition in the checkpoint has the types that its run inferred; this one keeps them.
    let (mut job, undecided, recovered, damaged) = match resumed {
        None => (job.clone(), Vec::new(), None, Vec::new()),
        Some(Resumed { recovered, definition, undecided, damaged }) => {
            (with_types(job, &definition), undecided, Some((recovered, definition)), damaged)
        }
    };
    let (partitions, notes) = match &recovered {
        _ if job.input.follow || job.input.topic.is_some() => (partitions, Vec::new()),
        None => (input::one_per_file(partitions, &job.base, |_| false), Vec::new()),
        Some((recovered, _)) => {
            let lineage = &recovered.lineage;
            let created = lineage.last.as_ref().map(|last| last.manifest.created).unwrap_or_default();
            let rows = lineage.newest_positions();
            let listed = ResumedPartitions::list(&job.input, &job.base, &rows, created.into())?;
            if let Some(row) = listed.missing(&job.input).next() {
                return Err(InputError::Gone { partition: row.partition.clone(), offset: row.offset }.into());
            }
            let notes = listed.notes();
            (listed.partitions, notes)
        }
    };
    let partitions: Arc<[Partition]> = partitions.into();
    resolve_types(&mut job, &undecided, &partitions, observer)?;
    let (processor, exec) = processor(&job, &declared, native, options);

    let lineage = recovered.as_ref().map(|(recovered, _)| &recovered.lineage);
    let last = lineage.and_then(|lineage| lineage.last.as_ref()).map(|last| &last.manifest);
    if let (Some(last), false) = (last, damaged.is_empty()) {
        skip(last, &damaged, outputs.rows.as_ref(), observer)?;
    }
    let newest = lineage.and_then(|lineage| lineage.newest);
    let share = options.share.as_deref();
    // Other workers may have committed what is newer.
    let newest_known = if share.is_some() { last.map(|last| last.sequence) } else { newest };
    share_places(store, last, &outputs, &plans, share)?;
    let history = History::of(store, last, newest_known, &plans)?;
    // Another machine may run the job at the same time only if the store is where both can reach it.
    let is_alone = share.is_none() && !places(&job).iter().any(|place| is_url(place));
    history.reconcile(store, &plans, is_alone, observer)?;
    report_begin(store, last, observer);
    let before = recovered.as_ref().map(|(_, definition)| JobSpec { base: job.base.clone(), ..definition.clone() });
    let outlet = match store {
        None => None,
        Some(store) => {
            let last = lineage.and_then(|lineage| lineage.last.as_ref());
            settle(outlet, before.as_ref(), &job, (store, last, newest), options, observer)?
        }
    };
    notes.into_iter().for_each(|note| observer.event(&RunEvent::Input(note)));
    report_notes(store, observer);
    let run = Run {
        job: &job,
        control,
        observer,
        clock: options.clock.clone(),
        seed,
        holder: options.holder.as_str(),
        partitions,
        outputs,
        begun,
        skipped_checkpoints: damaged.into_iter().map(|damaged| damaged.sequence).collect(),
        threads,
        share,
    };
    let mut summary = start(&run, RecordSteps { filter, delete, processor, exec }, store, recovered, outlet)?;
    if let Some(store) = store {
        // A replica that was lost in the last checkpoint, or came back after it, gets a last chance.
        store.catch_up();
        summary.replicas_behind = store.lost().into_iter().map(|(place, _)| place).collect();
    }
    report_notes(store, observer);
    Ok(summary)
}

/// What is known to be right about a job before its store is opened.
struct CheckedJob {
    filter: Option<Filter>,
    delete: Option<Filter>,
    /// The built-in processor, if the job names one.
    native: Option<Arc<dyn Processor>>,
    partitions: Vec<Partition>,
}

impl CheckedJob {
    fn new(job: &JobSpec, options: &Options, outputs: &OutputPlans) -> Result<CheckedJob, RunError> {
        let filter = job.filter.as_ref().map(|expression| Filter::of_input(expression, &job.input));
        let filter = filter.transpose().map_err(JobError::Filter)?;
        let delete = job.delete.as_ref().map(|delete| Filter::of_input(&delete.expression, &job.input));
        let delete = delete.map(|delete| delete.expect("the job file was checked"));
        let native = job.native.as_ref().map(|name| options.processors.make(name, job)).transpose();
        let native = native.map_err(|reason| JobError::Processor { reason })?;
        let partitions = match input::partitions(&job.input, &job.base) {
            // Files may come later, or may be gone since a checkpoint.
            Err(InputError::NothingMatches { .. }) if job.input.follow || has_checkpoints(job, options) => {
                input::present(&job.input, &job.base)?
            }
            listed => listed?,
        };
        check_paths(job, outputs)?;
        Ok(CheckedJob { filter, delete, native, partitions })
    }
}

/// Returns whether the job's store, or a replica of it, has a checkpoint to resume from.
fn has_checkpoints(job: &JobSpec, options: &Options) -> bool {
    let checkpoint = &job.checkpoint;
    let mut places = std::iter::once(&checkpoint.store).chain(&checkpoint.replicas);
    let has_any = |path: &PathBuf| {
        let store = Store::open(vec![options.storages.open(&job.resolve(path))]);
        store.and_then(|store| store.sequences()).is_ok_and(|sequences| !sequences.is_empty())
    };
    checkpoint.enabled && places.any(has_any)
}

/// Reads the latest checkpoint; returns nothing if there is none, where that is fine.
fn resume(
    store: &Store,
    job: &JobSpec,
    options: &Options,
    outputs: &OutputPlans,
    observer: &dyn Observer,
) -> Result<Option<Resumed>, RunError> {
    if store.sequences()?.is_empty() {
        let place = store.place();
        match outputs.published()? {
            // Another worker has committed and published meanwhile.
            Some(_) if options.share.is_some() && !store.sequences()?.is_empty() => {}
            Some(output) => return Err(ResumeError::CheckpointsMissing { place, output }.into()),
            None => {}
        }
        if options.must_resume {
            return Err(ResumeError::NothingToResume { place }.into());
        }
    }
    let ranks = |manifest: &Manifest| ranks(job, manifest);
    // Whether another type of a field fits, the state shows.
    let is_known = |difference: &Difference| !matches!(difference, Difference::FieldType { .. });
    let left = |shards, bytes| observer.event(&RunEvent::Stage(Stage::Restoring { shards, bytes }));
    let threads = options.threads.max(1);
    let effort = Effort { threads, left: &left, share: options.share.as_deref() };
    let resumed = recover::resume(store, options.latest_good, effort, ranks, |sequence, old| {
        refuse_unfit(job, sequence, old, is_known)
    })?;
    let Some(mut resumed) = resumed else { return Ok(None) };
    resumed.undecided = take_undecided(&mut resumed.definition, &resumed.recovered);
    let lineage = &resumed.recovered.lineage;
    if let Some(last) = &lineage.last {
        refuse_unfit(job, last.manifest.sequence, &resumed.definition, |_| true)?;
    }
    if !resumed.damaged.is_empty() {
        // A prune knows that a run needs the latest checkpoint, not that it has gone back to an older one.
        let objects: Vec<ObjectName> = lineage.objects.iter().copied().collect();
        store.take_over(&objects)?;
    }
    Ok(Some(resumed))
}

/// Fails if `job` does not fit the state that `old` has made, as far as the differences that `counts` accepts show.
fn refuse_unfit(
    job: &JobSpec,
    sequence: Sequence,
    old: &JobSpec,
    counts: impl Fn(&Difference) -> bool,
) -> Result<(), RunError> {
    let mut differences = job::differences(old, &with_types(job, old));
    differences.retain(|difference| difference.effect() == Effect::Unfit && counts(difference));
    if differences.is_empty() { Ok(()) } else { Err(ResumeError::Unfit { sequence, differences }.into()) }
}

/// Sends what the topic of the output lacks. If the job had another topic `before`, that one comes first.
fn settle(
    outlet: Option<Outlet>,
    before: Option<&JobSpec>,
    job: &JobSpec,
    (store, last, newest): (&Store, Option<&Committed>, Option<Sequence>),
    options: &Options,
    observer: &dyn Observer,
) -> Result<Option<Outlet>, RunError> {
    let (assumed, is_shared) = (options.assumed_output, options.share.is_some());
    let note = &mut |note| {
        observer.event(&match note {
            OutletNote::Brokers(note) => RunEvent::Input(note),
            OutletNote::Abandoned { topic, sequence } => RunEvent::OutputAbandoned { topic, sequence },
            OutletNote::Sent(messages) => RunEvent::sent(&messages),
        });
    };
    let is_same = |before: &&JobSpec| outlet.as_ref().is_some_and(|outlet| outlet.is_of(before));
    let mut outlet = match before.filter(|before| !is_same(before) && assumed != Some(AssumedOutput::Sent)) {
        Some(before) if last.is_some_and(|last| last.manifest.messages.is_some()) => {
            drop(outlet);
            if let Some(mut old) = Outlet::open(before, is_shared)? {
                old.begin(store, last, newest, assumed, note)?;
            }
            Outlet::open(job, is_shared)?
        }
        _ => outlet,
    };
    if let Some(outlet) = &mut outlet {
        outlet.begin(store, last, newest, assumed, note)?;
    }
    Ok(outlet)
}

/// Returns where the job's output goes and, if that has changed, where the output of the checkpoint went.
fn output_plans(
    job: &JobSpec,
    outputs: &OutputPlans,
    resumed: Option<&Resumed>,
) -> Result<Vec<OutputPlan>, OutputError> {
    let mut plans: Vec<OutputPlan> = outputs.iter().cloned().collect();
    if let Some(resumed) = resumed {
        let before = JobSpec { base: job.base.clone(), ..resumed.definition.clone() };
        // Workers may have made the checkpoint.
        let before = OutputPlans::new(&before, before.is_partitioned)?;
        for plan in before.iter() {
            if !plans.contains(plan) {
                plans.push(plan.clone());
            }
        }
    }
    Ok(plans)
}

/// Returns what is done with the records of `job`, whose types are resolved. The job file itself says the types of the
/// `declared` fields.
fn processor(
    job: &JobSpec,
    declared: &HashSet<FieldPath>,
    native: Option<Arc<dyn Processor>>,
    options: &Options,
) -> (Arc<dyn Processor>, Option<ExecPlan>) {
    let exec = job.exec.as_ref().map(|exec| ExecPlan::new(job, exec, &options.environment));
    if let Some(native) = native {
        return (native, exec);
    }
    if let Some(spec) = &job.exec {
        return (Arc::new(Mirror::new(&job.input.format, spec)), exec);
    }
    let types: HashMap<FieldPath, ColumnType> = job.input.types.iter().cloned().collect();
    let is_inferred = |field: &FieldPath| {
        !declared.contains(field) && !job.aggregates.iter().any(|aggregate| aggregate.needs_numbers(field))
    };
    let program = Program::new(&job.aggregates, &job.input, |field| types[field]);
    (Arc::new(program.with_inferred(is_inferred)), exec)
}

/// Reports what happened to the replicas.
fn report_notes(store: Option<&Store>, observer: &dyn Observer) {
    let notes = store.map(Store::take_notes).unwrap_or_default();
    notes.into_iter().for_each(|note| observer.event(&RunEvent::Replica(note)));
}

/// Reports what the run starts from.
fn report_begin(store: Option<&Store>, last: Option<&Manifest>, observer: &dyn Observer) {
    let store = store.map(Store::place);
    observer.event(&match last {
        None => RunEvent::Fresh { store },
        Some(last) => RunEvent::Resumed {
            store: store.unwrap_or_default(),
            sequence: last.sequence,
            created: last.created,
            totals: last.totals,
        },
    });
}

/// Returns the rank of each shard of a checkpoint, the most important first, for a job with priorities.
fn ranks(job: &JobSpec, manifest: &Manifest) -> Vec<usize> {
    let Some(spec) = &job.checkpoint.priority else { return Vec::new() };
    let priorities = Priorities::new(spec, manifest.tasks, manifest.shards, &[]);
    (0..manifest.shards).map(|shard| priorities.rank(shard)).collect()
}
