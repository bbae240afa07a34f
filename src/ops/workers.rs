//! The workers of a job: which of them committed each task last, and which run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::format::manifest::Manifest;
use crate::format::positions::WorkerCommit;
use crate::input::{self, InputError};
use crate::job::definition::{DefinitionError, definition};
use crate::ops::inspect::latest_positions;
use crate::ops::read::{ReadError, Snapshot};
use crate::store::{Committed, Store};
use crate::values::id::Sequence;

/// How long the brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// More partitions than a cluster can have: a forged manifest may say that there are more.
const MAX_TASKS: u32 = 1 << 18;

/// The tasks of a checkpoint, and who committed each of them last.
#[derive(Debug)]
pub struct Workers {
    pub committed: Committed,
    /// Ascending. None unless the tasks of the job are the partitions of a topic.
    pub tasks: Vec<TaskCommit>,
}

/// The last commit of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCommit {
    pub task: u32,
    /// The name of its partition, unless nobody has committed it yet.
    pub partition: Option<String>,
    /// Nothing if no worker made it: the task was never committed, or a run alone did.
    pub commit: Option<WorkerCommit>,
    /// The offset of the next message.
    pub topic_offset: Option<u64>,
    /// The number of records applied.
    pub records: u64,
    /// The number of offsets that are not applied yet, if the brokers were asked.
    pub lag: Option<u64>,
}

/// The tasks that one worker committed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerTasks<'a> {
    /// The name of the worker; nothing for tasks that no worker has committed.
    pub worker: Option<&'a str>,
    /// Ascending.
    pub tasks: Vec<&'a TaskCommit>,
}

/// Why the brokers were not asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error(transparent)]
    Input(#[from] InputError),
}

/// Reads who committed each task of checkpoint `sequence` last. Reads its manifest, its index and its positions, whatever
/// the number of checkpoints.
pub fn workers(store: &Store, sequence: Sequence) -> Result<Workers, ReadError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let positions = snapshot.positions(store)?;
    let mut tasks: Vec<TaskCommit> = (0..task_count(snapshot.manifest())).map(TaskCommit::never).collect();
    for row in latest_positions(&positions) {
        if let Some(task) = row.task.and_then(|task| tasks.get_mut(task as usize)) {
            task.partition = Some(row.partition.clone());
            task.commit.clone_from(&row.committed);
            task.topic_offset = row.message.as_ref().map(|message| message.offset);
            task.records = row.record;
        }
    }
    Ok(Workers { committed: snapshot.committed, tasks })
}

/// Asks the brokers of the job that committed `committed` for the names of the workers that run it, ascending. None if its
/// tasks are not the partitions of a topic. Paths in the job start from `base`.
///
/// A worker that has died is one of them until its session time-out is over.
pub fn running(store: &Store, committed: &Committed, base: &Path) -> Result<Vec<String>, AskError> {
    let manifest = &committed.manifest;
    if !manifest.is_divisible() {
        return Ok(Vec::new());
    }
    let job = definition(store, committed)?;
    let Some(topic) = &job.input.topic else { return Ok(Vec::new()) };
    Ok(input::members(topic, base, &manifest.job, PATIENCE)?)
}

/// Returns the number of tasks that workers may divide.
fn task_count(manifest: &Manifest) -> u32 {
    if manifest.is_divisible() { manifest.tasks.min(MAX_TASKS) } else { 0 }
}

impl TaskCommit {
    fn never(task: u32) -> TaskCommit {
        TaskCommit { task, partition: None, commit: None, topic_offset: None, records: 0, lag: None }
    }
}

impl Workers {
    /// Returns whether a worker has committed any of the tasks.
    pub fn has_workers(&self) -> bool {
        self.tasks.iter().any(|task| task.commit.is_some())
    }

    /// Returns the tasks by worker, those without one last.
    pub fn by_worker(&self) -> Vec<WorkerTasks<'_>> {
        let mut workers: BTreeMap<(bool, Option<&str>), Vec<&TaskCommit>> = BTreeMap::new();
        for task in &self.tasks {
            let worker = task.commit.as_ref().map(|commit| commit.worker.as_str());
            workers.entry((worker.is_none(), worker)).or_default().push(task);
        }
        workers.into_iter().map(|((_, worker), tasks)| WorkerTasks { worker, tasks }).collect()
    }

    /// Asks the brokers of the job how many messages of each task are not applied yet. Paths in the job start from `base`.
    ///
    /// A task that was never committed lags by all messages that its partition has.
    pub fn ask_lag(&mut self, store: &Store, base: &Path) -> Result<(), AskError> {
        let job = definition(store, &self.committed)?;
        let Some(topic) = &job.input.topic else { return Ok(()) };
        for (task, offsets) in self.tasks.iter_mut().zip(input::offsets(topic, base, PATIENCE)?) {
            task.lag = Some(offsets.end.saturating_sub(task.topic_offset.unwrap_or(offsets.start)));
        }
        Ok(())
    }
}

impl WorkerTasks<'_> {
    /// Returns when the first and the last of the commits were made, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn times(&self) -> Option<(i64, i64)> {
        let times = || self.tasks.iter().filter_map(|task| Some(task.commit.as_ref()?.time));
        Some((times().min()?, times().max()?))
    }

    /// Returns the sum of the lags, if they are known.
    pub fn lag(&self) -> Option<u64> {
        self.tasks.iter().map(|task| task.lag).sum()
    }
}
