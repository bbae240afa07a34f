//! A run: what does not change while its threads work, and the plan that they share.

use std::sync::Arc;
use std::time::Instant;

use crate::format::manifest::{Manifest, Mode};
use crate::format::rows::{Change, RowCodec};
use crate::input::partition_tasks::PartitionTasks;
use crate::input::record::{Filter, Sightings, record_fields};
use crate::input::{Columns, Partition, Position};
use crate::job::message_field::MessageField;
use crate::job::{Emit, FieldPath, JobSpec, TtlSpec};
use crate::runner::error::RunError;
use crate::runner::lineage::Lineage;
use crate::runner::observer::{Observer, Summary};
use crate::runner::options::{Control, Share};
use crate::runner::output::error::OutputError;
use crate::runner::output::plans::OutputPlans;
use crate::runner::output::shown::ShownRows;
use crate::runner::pipeline::key_parts::KeyParts;
use crate::runner::pipeline::plan::{Plan, RecordTest};
use crate::runner::pipeline::route::{KeyPlace, Route};
use crate::runner::pipeline::spawn::on_deep_stack;
use crate::runner::process::event_clock::EventClock;
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::processor::Processor;
use crate::runner::process::processor_rows::ProcessorRows;
use crate::runner::process::time_plan::TimePlan;
use crate::runner::state::shard::Shard;
use crate::runner::wall_clock::WallClock;
use crate::shape::RowShape;
use crate::values::id::Sequence;

/// The most shards that a job has.
const MAX_SHARDS: u32 = 16;

/// What does not change during a run.
pub(crate) struct Run<'a> {
    pub(crate) job: &'a JobSpec,
    pub(crate) control: &'a Control,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) clock: WallClock,
    /// Drawn at random for each run.
    pub(crate) seed: u64,
    pub(crate) holder: &'a str,
    pub(crate) partitions: Arc<[Partition]>,
    pub(crate) outputs: OutputPlans,
    pub(crate) begun: Instant,
    /// Damaged ones, the newest first.
    pub(crate) skipped_checkpoints: Vec<Sequence>,
    pub(crate) threads: usize,
    /// As [`Options::share`](crate::runner::options::Options::share).
    pub(crate) share: Option<&'a Share>,
}

/// What is done with each record.
pub(crate) struct RecordSteps {
    pub(crate) filter: Option<Filter>,
    /// Which records delete the row of their key.
    pub(crate) delete: Option<Filter>,
    pub(crate) processor: Arc<dyn Processor>,
    /// The program that applies records instead of the processor, if the job has one.
    pub(crate) exec: Option<ExecPlan>,
}

/// The fields of a job that records should have.
pub(crate) struct WatchedFields {
    /// The index of each among the fields of the record that are extracted, and its name.
    names: Vec<(usize, String)>,
    pub(crate) sightings: Arc<Sightings>,
}

impl WatchedFields {
    /// Returns those that no record of the run has had.
    pub(crate) fn absent(&self) -> Vec<String> {
        let mut absent: Vec<String> = Vec::new();
        for (index, name) in &self.names {
            if self.sightings.is_absent(*index) && !absent.contains(name) {
                absent.push(name.clone());
            }
        }
        absent
    }
}

impl Run<'_> {
    /// Plans how records are routed. A job without a key has a task for each partition that it ever had.
    pub(crate) fn plan(&self, steps: RecordSteps, lineage: Option<&Lineage>) -> Plan {
        let RecordSteps { filter, delete, processor, exec } = steps;
        let job = self.job;
        let field_count = processor.fields().len();
        let last = lineage.and_then(|lineage| lineage.last.as_ref()).map(|last| &last.manifest);
        let (route, tasks) = match &job.key[..] {
            [key] if job.is_partitioned => {
                let tasks = Arc::new(self.topic_tasks(last));
                let message_key = self.message_key().map(|_| field_count + 1);
                let count = tasks.tasks();
                let key = KeyPlace { index: field_count, field: key.field.clone() };
                (Route::KeyedPartition { key, message_key, tasks }, count)
            }
            [key] => (Route::Key(KeyPlace { index: field_count, field: key.field.clone() }), job.tasks),
            [_, ..] => (Route::Parts(field_count, KeyParts::new(job)), job.tasks),
            [] => {
                let known = lineage.into_iter().flat_map(|lineage| lineage.positions.values());
                let known = known.filter_map(|row| Some((row.logical(), row.task?)));
                let new = self.partitions.iter().map(|partition| partition.name.as_str());
                let partition_tasks = Arc::new(PartitionTasks::new(known, new, job.input.follow));
                let tasks = partition_tasks.tasks();
                (Route::Partition(partition_tasks), tasks)
            }
        };
        let same = last.filter(|manifest| manifest.tasks == tasks);
        // Mode priority takes or leaves whole shards, so it has more of them.
        let most = if job.checkpoint.mode == Mode::Priority { 4 * MAX_SHARDS } else { MAX_SHARDS };
        let shards = match &route {
            Route::KeyedPartition { .. } => tasks,
            _ => same.map_or_else(|| tasks.min(most), |manifest| manifest.shards),
        };
        let mut next_field = field_count + job.key.len() + self.message_key().iter().count();
        let mut test = |filter: Filter| {
            let fields = next_field..next_field + filter.fields().len();
            next_field = fields.end;
            RecordTest { filter, fields }
        };
        let (filter, delete) = (filter.map(&mut test), delete.map(&mut test));
        let mut columns = processor.columns().to_vec();
        columns.extend(job.ttl.as_ref().map(|_| TtlSpec::column()));
        let codec = RowCodec::new(columns);
        Plan {
            timing: TimePlan::new(job, next_field, &codec),
            codec,
            processor,
            field_count,
            exec,
            filter,
            delete,
            route,
            tasks,
            shards,
            priorities: None,
            replay: None,
            takes_all: job.checkpoint.mode == Mode::Scheduled,
            workers: self.threads.min(shards as usize),
            on_error: job.input.on_error.clone(),
        }
    }

    /// Returns the tasks of a topic whose partitions are tasks: as many as in the latest checkpoint, or else in the topic.
    fn topic_tasks(&self, last: Option<&Manifest>) -> PartitionTasks {
        let tasks = last.map_or(self.partitions.len() as u32, |last| last.tasks);
        PartitionTasks::fixed(self.partitions.iter().map(|partition| partition.name.as_str()).zip(0..tasks), tasks)
    }

    /// Returns the key of messages, if it is compared with the key of the job.
    fn message_key(&self) -> Option<FieldPath> {
        let [key] = &self.job.key[..] else { return None };
        let is_compared = self.job.is_partitioned && MessageField::of(&key.field) != Some(MessageField::Key);
        is_compared.then(|| FieldPath::of("_key"))
    }

    /// Returns the clock of a job with event time, as it was at the checkpoint that the run resumes from.
    ///
    /// One of several workers has no clocks of the tasks of others.
    pub(crate) fn event_clock(&self, plan: &Plan, lineage: &Lineage, positions: &[Position]) -> Option<EventClock> {
        let mut clock = plan.timing.as_ref()?.clock(positions.len());
        match &mut clock {
            EventClock::Shared(clock) => {
                let watermark = lineage.positions.values().filter_map(|row| row.watermark).max();
                for (index, position) in positions.iter().enumerate() {
                    clock.resume(index, position.event_time, position.record, position.ended, watermark);
                }
            }
            EventClock::ByTask(clocks) => {
                let is_own = |task: u32| self.share.is_none_or(|share| share.partitions.contains(&task));
                for ((clock, position), _) in
                    clocks.iter_mut().zip(positions).zip(0..).filter(|(_, task)| is_own(*task))
                {
                    let row = lineage.positions.get(&position.partition.name);
                    clock.resume(position.event_time, row.and_then(|row| row.watermark));
                }
            }
        }
        Some(clock)
    }

    /// Returns the shape of the output rows.
    pub(crate) fn shape(&self, plan: &Plan) -> RowShape {
        let emit = self.job.output.as_ref().map(|output| output.emit);
        let has_change = emit == Some(Emit::Changes) && self.job.window.is_none();
        let output = Arc::new(ProcessorRows(Arc::clone(&plan.processor)));
        RowShape::new(self.job, output, plan.codec.clone(), has_change)
    }

    /// Returns the rows that readers of the files of changes have, if `having` keeps others from them: those of the
    /// latest checkpoint, made by a run of `before`. Unless that one had the same `having`, readers may have any row.
    pub(crate) fn shown_rows(
        &self,
        plan: &Plan,
        shards: &[Shard],
        before: Option<&JobSpec>,
    ) -> Result<Option<ShownRows>, RunError> {
        let shape = self.shape(plan);
        let Some(output) = self.job.output.as_ref().filter(|_| shape.has_change && shape.having.is_some()) else {
            return Ok(None);
        };
        let old = before.and_then(|before| before.output.as_ref());
        let is_same = old.is_some_and(|old| (old.emit, &old.having) == (output.emit, &output.having));
        let keys = || -> Result<Vec<Box<[u8]>>, OutputError> {
            let (mut keys, mut packed) = (Vec::new(), Vec::new());
            for (shard, index) in shards.iter().flat_map(|shard| shard.indices().map(move |index| (shard, index))) {
                packed.clear();
                shard.pack_row(index, &mut packed);
                let key = shard.key(index);
                if !is_same || shape.keeps(key, &shape.values(Change::None, key, Some(&packed)))? {
                    keys.push(key.into());
                }
            }
            Ok(keys)
        };
        Ok(Some(ShownRows::new(on_deep_stack(keys)?.into_iter())))
    }

    /// Returns the fields that are extracted from each record: the processor's, the key and that of the message it is compared
    /// with, those of `where` and `delete`, the time.
    pub(crate) fn fields(&self, plan: &Plan) -> Vec<FieldPath> {
        let mut fields = plan.processor.fields().to_vec();
        fields.extend(self.job.key_fields().cloned());
        fields.extend(self.message_key());
        fields.extend(plan.filter.iter().chain(&plan.delete).flat_map(|test| test.filter.fields().to_vec()));
        fields.extend(self.time_field().cloned());
        fields
    }

    /// Returns the fields of records that `where`, `delete` and the aggregates use, to watch for. A program or the
    /// processor of an embedder decides by itself.
    pub(crate) fn watched_fields(&self, plan: &Plan) -> WatchedFields {
        let is_own = self.job.native.is_none() && plan.exec.is_none();
        let is_tested = |index: usize| plan.filter.iter().chain(&plan.delete).any(|test| test.fields.contains(&index));
        let is_asked = |index: usize| (is_own && index < plan.field_count) || is_tested(index);
        let fields = self.fields(plan);
        let of_record = record_fields(&self.job.input, &fields);
        let asked = fields.into_iter().enumerate().filter(|(index, _)| is_asked(*index));
        let asked = record_fields(&self.job.input, &asked.map(|(_, field)| field).collect::<Vec<_>>());
        let sightings = Arc::new(Sightings::new(of_record.len()));
        let watched = of_record.into_iter().enumerate().filter(|(_, field)| asked.contains(field));
        WatchedFields { names: watched.map(|(index, field)| (index, field.to_string())).collect(), sightings }
    }

    /// Returns the columns that CSV files must have. A field of `where` is null in a file that does not have it, and
    /// the processor of an embedder decides by itself.
    pub(crate) fn columns(&self, plan: &Plan) -> Columns {
        let fields_of =
            |test: &Option<RecordTest>| test.iter().flat_map(|test| test.filter.fields().to_vec()).collect();
        let mut optional: Vec<FieldPath> = fields_of(&plan.filter);
        let mut required: Vec<FieldPath> = self.job.key_fields().chain(self.time_field()).cloned().collect();
        required.extend::<Vec<FieldPath>>(fields_of(&plan.delete));
        let own = if self.job.native.is_some() { &mut optional } else { &mut required };
        own.extend_from_slice(plan.processor.fields());
        let [required, optional] = [required, optional].map(|fields| record_fields(&self.job.input, &fields));
        Columns { required, optional, all: plan.exec.is_some() }
    }

    /// Returns the field of event time.
    fn time_field(&self) -> Option<&FieldPath> {
        let windows = self.job.window.as_ref().map(|window| &window.time);
        windows.or(self.job.ttl.as_ref().map(|ttl| &ttl.time)).map(|time| &time.field)
    }

    /// Returns the summary of a run that was stopped before it read anything: everything is as in the latest
    /// checkpoint.
    pub(crate) fn stopped_early(&self, lineage: &Lineage) -> Summary {
        let manifest = lineage.last.as_ref().map(|last| &last.manifest);
        let sequence = manifest.map(|manifest| manifest.sequence);
        let totals = manifest.map(|manifest| manifest.totals).unwrap_or_default();
        Summary {
            resumed_from: sequence,
            skipped_checkpoints: self.skipped_checkpoints.clone(),
            latest: sequence,
            records_in_all: totals.records,
            skipped_in_all: totals.skipped,
            late_in_all: totals.late,
            keys: lineage.keys.iter().sum(),
            loading: self.begun.elapsed(),
            ..Summary::default()
        }
    }
}
