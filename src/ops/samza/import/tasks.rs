//! Which task of Samza becomes which partition of the job, and where that continues.

use crate::ops::samza::found::Task;
use crate::samza::checkpoint::Version;
use crate::samza::partition::StreamPartition;

/// Where a task continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskInput {
    pub task: String,
    /// The number of the partition.
    pub partition: u32,
    /// The offset of the last message that the task has processed; nothing if it has processed none.
    pub last: Option<u64>,
}

/// Why the tasks do not become the partitions of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    #[error("there are checkpoints of several jobs: {}", .jobs.join(", "))]
    SeveralJobs { jobs: Vec<String> },
    #[error("the V1 and the V2 checkpoint of task `{task}` differ")]
    Divided { task: String },
    #[error("task `{task}` is not the task of one partition, such as `Partition 0`")]
    Name { task: String },
    #[error("task `{task}` reads `{found}`, and the job reads only partition {partition} of `{topic}`")]
    OtherInput { task: String, found: String, partition: u32, topic: String },
    #[error("task `{task}` has no offset of `{topic}`")]
    NoInput { task: String, topic: String },
    #[error("task `{task}` has the offset `{offset}`, expected a number")]
    Offset { task: String, offset: String },
    #[error("there is no checkpoint of task `Partition {partition}`, and topic `{topic}` has {count} partitions")]
    Missing { partition: u32, topic: String, count: u32 },
    #[error("there are several checkpoints of task `{task}`")]
    Twice { task: String },
    #[error("there is a checkpoint of task `{task}`, but topic `{topic}` has only {count} partitions")]
    TooMany { task: String, topic: String, count: u32 },
}

/// Returns the inputs of `tasks` by the numbers of their partitions: one for each of the `count` partitions of `topic`,
/// which is all that they read. Without a `version`, both versions of a checkpoint have to agree.
pub fn task_inputs(
    tasks: &[Task],
    topic: &str,
    count: u32,
    version: Option<Version>,
) -> Result<Vec<TaskInput>, TaskError> {
    let mut jobs: Vec<String> =
        tasks.iter().map(|task| format!("`{}`", task.job.as_deref().unwrap_or("without a name"))).collect();
    jobs.sort();
    jobs.dedup();
    if jobs.len() > 1 {
        return Err(TaskError::SeveralJobs { jobs });
    }
    let mut inputs: Vec<TaskInput> =
        tasks.iter().map(|task| task_input(task, topic, version)).collect::<Result<_, _>>()?;
    inputs.sort_by_key(|input| input.partition);
    if let Some(input) = inputs.iter().find(|input| input.partition >= count) {
        return Err(TaskError::TooMany { task: input.task.clone(), topic: topic.to_owned(), count });
    }
    if let Some(twice) = inputs.windows(2).find(|pair| pair[0].partition == pair[1].partition) {
        return Err(TaskError::Twice { task: twice[0].task.clone() });
    }
    let missing = (0..count).find(|number| inputs.get(*number as usize).is_none_or(|input| input.partition != *number));
    match missing {
        Some(partition) => Err(TaskError::Missing { partition, topic: topic.to_owned(), count }),
        None => Ok(inputs),
    }
}

fn task_input(task: &Task, topic: &str, version: Option<Version>) -> Result<TaskInput, TaskError> {
    let name = || task.name.clone();
    if version.is_none() && task.is_divided() {
        return Err(TaskError::Divided { task: name() });
    }
    let number = task.name.strip_prefix("Partition ").and_then(|number| number.parse::<u32>().ok());
    let partition = number.filter(|number| task.name == format!("Partition {number}"));
    let partition = partition.ok_or_else(|| TaskError::Name { task: name() })?;
    let used = task.used(version.unwrap_or(Version::V1)).ok_or_else(|| TaskError::Name { task: name() })?;
    let mut inputs = used.checkpoint.inputs.iter();
    let is_ours = |found: &StreamPartition| found.stream == topic && found.partition == partition;
    if let Some((found, _)) = used.checkpoint.inputs.iter().find(|(found, _)| !is_ours(found)) {
        let (task, found, topic) = (name(), found.to_string(), topic.to_owned());
        return Err(TaskError::OtherInput { task, found, partition, topic });
    }
    let (Some((_, offset)), None) = (inputs.next(), inputs.next()) else {
        return Err(TaskError::NoInput { task: name(), topic: topic.to_owned() });
    };
    let last = offset.as_ref().map(|offset| {
        let wrong = || TaskError::Offset { task: name(), offset: offset.clone() };
        offset.parse().map_err(|_| wrong())
    });
    Ok(TaskInput { task: name(), partition, last: last.transpose()? })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ops::samza::found::TaskCheckpoint;
    use crate::samza::checkpoint::Checkpoint;

    fn task(name: &str, inputs: &[(&str, u32, Option<&str>)]) -> Task {
        let input = |(stream, partition, offset): &(&str, u32, Option<&str>)| {
            let (system, stream) = ("kafka".to_owned(), (*stream).to_owned());
            (StreamPartition { system, stream, partition: *partition }, offset.map(str::to_owned))
        };
        let inputs: BTreeMap<_, _> = inputs.iter().map(input).collect();
        let checkpoint = Checkpoint { version: Version::V1, id: None, inputs, state: Vec::new() };
        let v1 = Some(TaskCheckpoint { checkpoint, place: String::new(), written: None });
        Task { job: None, name: name.to_owned(), v1, v2: None }
    }

    #[test]
    fn tasks_become_the_partitions_with_their_numbers() {
        let tasks = [task("Partition 1", &[("t", 1, Some("41"))]), task("Partition 0", &[("t", 0, None)])];
        let inputs = task_inputs(&tasks, "t", 2, None).expect("inputs");
        let found: Vec<_> = inputs.iter().map(|input| (input.partition, input.last)).collect();
        assert_eq!(found, [(0, None), (1, Some(41))]);
    }

    #[test]
    fn what_the_job_would_not_continue_is_refused() {
        let error = |tasks: &[Task], count| task_inputs(tasks, "t", count, None).unwrap_err().to_string();
        let zero = || task("Partition 0", &[("t", 0, Some("1"))]);
        for (tasks, count, message) in [
            (vec![zero()], 2, "there is no checkpoint of task `Partition 1`"),
            (vec![zero(), zero()], 1, "there are several checkpoints of task `Partition 0`"),
            (vec![task("Partition 3", &[("t", 3, None)])], 2, "but topic `t` has only 2 partitions"),
            (vec![task("Partition 0 1", &[("t", 0, None)])], 1, "is not the task of one partition"),
            (vec![task("Partition 00", &[("t", 0, None)])], 1, "is not the task of one partition"),
            (vec![task("Partition 0", &[("t", 0, None), ("u", 0, None)])], 1, "reads `kafka.u.0`"),
            (vec![task("Partition 0", &[("t", 1, None)])], 1, "reads `kafka.t.1`"),
            (vec![task("Partition 0", &[])], 1, "has no offset of `t`"),
            (vec![task("Partition 0", &[("t", 0, Some("x"))])], 1, "has the offset `x`"),
            (vec![zero(), Task { job: Some("j".to_owned()), ..zero() }], 1, "several jobs: `j`, `without a name`"),
        ] {
            assert!(error(&tasks, count).contains(message), "{message}: {}", error(&tasks, count));
        }
        let mut divided = zero();
        divided.v2 = task("", &[("t", 0, Some("2"))]).v1;
        assert!(error(&[divided.clone()], 1).contains("differ"));
        let v2 = task_inputs(&[divided], "t", 1, Some(Version::V2)).expect("inputs");
        assert_eq!(v2[0].last, Some(2));
    }
}
