//! The names of files and directories.

use std::sync::LazyLock;

use regex::Regex;

use super::checkpoint_id::CheckpointId;

/// What the name of a checkpoint file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFileName {
    /// The name of the job; `None` if nothing shows where it ends. The id of the job is not in the name.
    pub job: Option<String>,
    pub task: String,
}

static JOB_AND_TASK: LazyLock<Regex> = LazyLock::new(|| {
    let task = r"Partition \d+(?: \d+)?|SystemStreamPartition \[.*\](?: \d+)?";
    Regex::new(&format!(r"(?s)^(.+)-({task})$")).expect("well formed")
});

/// Parses the name of a checkpoint file: `JOB-TASK-checkpoints`. The names of jobs may have hyphens.
pub fn parse_checkpoint_file(name: &str) -> Option<CheckpointFileName> {
    let rest = name.strip_suffix("-checkpoints").filter(|rest| !rest.is_empty())?;
    let Some(found) = JOB_AND_TASK.captures(rest) else {
        return Some(CheckpointFileName { job: None, task: rest.to_owned() });
    };
    let (job, task) = (&found[1], &found[2]);
    Some(match job.strip_suffix("-Standby") {
        Some(job) => CheckpointFileName { job: Some(job.to_owned()), task: format!("Standby-{task}") },
        None => CheckpointFileName { job: Some(job.to_owned()), task: task.to_owned() },
    })
}

/// What the name of a directory of a local store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreDirectoryName {
    /// The task; its spaces are underscores in the name.
    pub task: String,
    /// The checkpoint of which the directory is a snapshot; `None` for the files in use.
    pub snapshot: Option<CheckpointId>,
}

/// The least digits of the milliseconds in a checkpoint id: they have twelve since 1973.
const LEAST_DIGITS: usize = 12;

/// Parses the name of a directory of a local store: `TASK` or `TASK-ID`.
pub fn parse_store_directory(name: &str) -> StoreDirectoryName {
    let snapshot = name.rmatch_indices('-').nth(1).and_then(|(at, _)| {
        let (task, id) = (&name[..at], &name[at + 1..]);
        let is_long = id.find('-').is_some_and(|digits| digits >= LEAST_DIGITS);
        Some((task, id.parse().ok().filter(|_| is_long && !task.is_empty())?))
    });
    match snapshot {
        Some((task, id)) => StoreDirectoryName { task: task_name(task), snapshot: Some(id) },
        None => StoreDirectoryName { task: task_name(name), snapshot: None },
    }
}

/// Returns the name of a task from that of a directory: `Partition 0` for `Partition_0`. A name of the user's own keeps
/// its underscores.
fn task_name(directory: &str) -> String {
    let spaced = directory.replace('_', " ");
    let is_known = JOB_AND_TASK.is_match(&format!("x-{}", spaced.strip_prefix("Standby-").unwrap_or(&spaced)));
    match (is_known, directory.split_once("[")) {
        (false, _) => directory.to_owned(),
        // Only what Samza put there was a space: names of streams may have underscores.
        (true, Some((begin, rest))) => format!("{}[{}", begin.replace('_', " "), rest.replace(",_", ", ")),
        (true, None) => spaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_parsed_from_the_end() {
        let parse = |name: &str| parse_checkpoint_file(name).map(|found| (found.job.unwrap_or_default(), found.task));
        let found = |job: &str, task: &str| Some((job.to_owned(), task.to_owned()));
        assert_eq!(parse("files-Partition 0-checkpoints"), found("files", "Partition 0"));
        assert_eq!(parse("a-Partition 1-Partition 12 3-checkpoints"), found("a-Partition 1", "Partition 12 3"));
        assert_eq!(parse("j-Standby-Partition 1-checkpoints"), found("j", "Standby-Partition 1"));
        let task = "SystemStreamPartition [kafka, page-views, 7]";
        assert_eq!(parse(&format!("by-stream-{task}-checkpoints")), found("by-stream", task));
        assert_eq!(parse("custom-checkpoints"), found("", "custom"));
        assert_eq!(parse("-checkpoints"), None);
        assert_eq!(parse("Partition 0"), None);
    }

    #[test]
    fn a_snapshot_has_the_id_of_its_checkpoint_in_its_name() {
        let parse = |name: &str| {
            let found = parse_store_directory(name);
            (found.task, found.snapshot.map(|id| id.to_string()).unwrap_or_default())
        };
        let found = |task: &str, id: &str| (task.to_owned(), id.to_owned());
        assert_eq!(parse("Partition_0"), found("Partition 0", ""));
        assert_eq!(parse("Partition_0-1795824609081-793050"), found("Partition 0", "1795824609081-793050"));
        assert_eq!(
            parse("SystemStreamPartition_[kafka,_page_views,_0]-1795824609081-7"),
            found("SystemStreamPartition [kafka, page_views, 0]", "1795824609081-7")
        );
        assert_eq!(parse("my_task-1-2"), found("my_task-1-2", ""));
    }
}
