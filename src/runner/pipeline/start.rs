//! What a run prepares before its first thread starts.

use std::path::Path;
use std::sync::Arc;

use crate::format::manifest::{DeadLetter, Manifest};
use crate::input;
use crate::input::Partition;
use crate::input::StreamNames;
use crate::job::JobSpec;
use crate::runner::checkpoint::job_facts::JobFacts;
use crate::runner::checkpoint::priority::Priorities;
use crate::runner::error::{CheckpointError, RunError};
use crate::runner::lineage::Lineage;
use crate::runner::observer::{RunEvent, Summary};
use crate::runner::output::dead_letter::{DeadLetterFile, RollBack};
use crate::runner::output::error::OutputError;
use crate::runner::output::lines::LineOutput;
use crate::runner::output::plan::OutputPlan;
use crate::runner::output::plans::OutputPlans;
use crate::runner::output::topic::Outlet;
use crate::runner::pipeline::batch::Batch;
use crate::runner::pipeline::gauges::Gauges;
use crate::runner::pipeline::last_state::keep;
use crate::runner::pipeline::open_reader::open_reader;
use crate::runner::pipeline::operation::run_name;
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::run::{RecordSteps, Run};
use crate::runner::pipeline::threads::{self, Prepared};
use crate::runner::resume::adapt::{NewLayout, adapt};
use crate::runner::resume::recover::Recovered;
use crate::runner::state::shard::Shard;
use crate::store::Store;

/// The most threads that encode shards for a checkpoint. Each holds the rows of one shard a second time.
const MAX_ENCODERS: usize = 3;

/// Prepares everything, and runs until the input ends or the run is asked to stop. `recovered` is the state of the
/// latest checkpoint, with the job's definition in it.
pub(crate) fn start(
    run: &Run<'_>,
    steps: RecordSteps,
    store: Option<&Store>,
    recovered: Option<(Recovered, JobSpec)>,
    outlet: Option<Outlet>,
) -> Result<Summary, RunError> {
    let mut plan = run.plan(steps, recovered.as_ref().map(|(recovered, _)| &recovered.lineage));
    let before = recovered.as_ref().map(|(_, definition)| definition.clone());
    let (mut shards, mut lineage) = load(run, &plan, recovered)?;
    let shown = run.shown_rows(&plan, &shards, before.as_ref())?;
    if let (Some(store), None) = (store, lineage.newest) {
        lineage.newest = store.newest_number()?;
    }
    let (dead, late) = open_dead_letters(run, store, &lineage)?;
    let batch = Batch::of(run.share.and_then(|share| share.batch.as_deref()), &lineage);
    batch.event(&lineage).iter().for_each(|event| run.observer.event(event));
    let ended = batch == Batch::Complete;
    let reader = if ended { None } else { open_reader(run, &mut plan, &lineage, batch.ends())? };
    let Some(reader) = reader else {
        run.share.iter().for_each(|share| keep((0..).zip(std::mem::take(&mut shards)), &lineage.chains, share));
        return Ok(Summary { ended, ..run.stopped_early(&lineage) });
    };
    let gauges = prioritize(run, &mut plan);
    let names = Arc::new(StreamNames::new(reader.positions().iter().map(input::Position::logical)));
    if let Some(exec) = &mut plan.exec {
        exec.set_names(Arc::clone(&names));
    }
    let facts = JobFacts { batch: batch.ends().cloned(), ..job_facts(run, &plan) };
    threads::run(
        run,
        Prepared { plan, gauges, shards, lineage, facts, batch, reader, names, dead, late, shown, outlet },
        store,
    )
}

/// Adapts the recovered state to the plan. Without any, the state is empty.
fn load(
    run: &Run<'_>,
    plan: &Plan,
    recovered: Option<(Recovered, JobSpec)>,
) -> Result<(Vec<Shard>, Lineage), RunError> {
    let (mut shards, mut lineage) = (Vec::new(), Lineage::default());
    if let Some((recovered, definition)) = recovered {
        let layout = NewLayout { job: run.job, codec: &plan.codec, tasks: plan.tasks, shards: plan.shards };
        let task_of = |shard: u32, key: &[u8], hash: u64| plan.task_of_hashed(shard, key, hash);
        Recovered { shards, lineage } = adapt(recovered, &definition, &layout, task_of, run.threads, run.observer)?;
    }
    if let (Some(timing), Some(last)) = (&plan.timing, &lineage.last) {
        let inconsistent = |reason| CheckpointError::Inconsistent { sequence: last.manifest.sequence, reason };
        shards.iter_mut().try_for_each(|shard| timing.arm(shard)).map_err(inconsistent)?;
    }
    shards.resize_with(plan.shards as usize, || Shard::new(&plan.codec));
    Ok((shards, lineage))
}

fn job_facts(run: &Run<'_>, plan: &Plan) -> JobFacts {
    let job = run.job;
    JobFacts {
        job: job.job.clone(),
        definition: job.definition(),
        mode: job.checkpoint.mode,
        tasks: plan.tasks,
        shards: plan.shards,
        routing: plan.routing(),
        key: job.key_shape(),
        columns: plan.codec.columns().to_vec(),
        share: run.share.cloned(),
        batch: None,
        max_bad: job.input.max_bad.filter(|_| run.share.is_some()),
        block_bytes: input::BLOCK_BYTES,
        timeout: job.checkpoint.timeout,
        run: run_name(run.seed),
        encoders: plan.workers.min(MAX_ENCODERS),
    }
}

/// Opens the dead-letter file and the file of late records, where the job has them, at the end of what the latest
/// checkpoint counts. What a rolled back checkpoint has appended is moved out of the way.
fn open_dead_letters(
    run: &Run<'_>,
    store: Option<&Store>,
    lineage: &Lineage,
) -> Result<(Option<LineOutput>, Option<LineOutput>), RunError> {
    let job = run.job;
    let last = lineage.last.as_ref().map(|last| &last.manifest);
    let roll_back = store.zip(last).map(|(store, last)| RollBack::find(store, last)).transpose()?.flatten();
    let open = |plan: Option<&OutputPlan>, path: Option<&Path>, part: fn(&Manifest) -> Option<&DeadLetter>| {
        let Some(path) = path else { return Ok(None) };
        if let Some(plan) = plan {
            if let Some(file) = last.and_then(part).filter(|file| Path::new(&file.path) == path) {
                return Err(OutputError::LinesOfRunAlone { path: file.path.clone() }.into());
            }
            return Ok(Some(LineOutput::objects(plan.clone())));
        }
        let (name, path, committed) = (path.display().to_string(), job.resolve(path), last.and_then(part));
        if let Some(roll_back) = &roll_back
            && let Some((sequence, moved_to)) = roll_back.apply(&name, &path, committed, part)?
        {
            let (path, moved_to) = (path.display().to_string(), moved_to.display().to_string());
            run.observer.event(&RunEvent::Superseded { sequence, path, moved_to });
        }
        Ok::<_, RunError>(Some(LineOutput::File(DeadLetterFile::open(&name, &path, committed)?)))
    };
    let OutputPlans { dead, late, .. } = &run.outputs;
    let dead = open(dead.as_ref(), job.dead_letters(), |manifest| manifest.dead_letter.as_ref())?;
    let late = open(late.as_ref(), job.late_records(), |manifest| manifest.late_records.as_ref())?;
    Ok((dead, late))
}

/// Plans the priorities of shards, in mode priority. Returns the gauges, which then have one for each shard.
fn prioritize(run: &Run<'_>, plan: &mut Plan) -> Gauges {
    let mut gauges = Gauges::default();
    if let Some(spec) = &run.job.checkpoint.priority {
        let partition_tasks = plan.partition_tasks();
        let task = |partition: &Partition| Some((partition.name.clone(), partition_tasks?.task(&partition.name)?));
        let partitions: Vec<_> = run.partitions.iter().filter_map(task).collect();
        plan.priorities = Some(Arc::new(Priorities::new(spec, plan.tasks, plan.shards, &partitions)));
        gauges.shards.resize_with(plan.shards as usize, Default::default);
    }
    gauges
}
