//! Compares what two jobs, or one job at two times, have processed.

use std::collections::{BTreeMap, BTreeSet};

use super::found::{Found, natural};
use crate::samza::checkpoint::Version;
use crate::samza::marker::Marker;
use crate::samza::snapshot_index::SnapshotIndex;

/// What is compared, of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The offset of an input.
    Input(String),
    /// The state of a store, or of the changelog in V1.
    State(String),
    /// A file of the latest snapshot of a store, in a blob store.
    SnapshotFile { store: String, path: String },
    /// The task as a whole: only one side has a checkpoint of it.
    Checkpoint,
}

/// One difference. `None` means that this side does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub task: String,
    pub subject: Subject,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// What both sides say of a task.
type Facts = BTreeMap<Subject, String>;

/// Compares two findings, task by task. Checkpoints of `version` are preferred where a task has both. A task that a file of
/// offsets for the checkpoint tool does not name is not changed by it.
pub fn differences(old: &Found, new: &Found, version: Version) -> Vec<Difference> {
    let changes_some = (old.changes_some, new.changes_some);
    let (mut old, mut new) = (facts(old, version), facts(new, version));
    if changes_some.0 {
        new.retain(|task, _| old.contains_key(task));
    }
    if changes_some.1 {
        old.retain(|task, _| new.contains_key(task));
    }
    let mut tasks: Vec<&String> = old.keys().chain(new.keys()).collect::<BTreeSet<_>>().into_iter().collect();
    tasks.sort_by_cached_key(|task| natural(task));
    tasks.into_iter().flat_map(|task| compare(task, old.get(task), new.get(task))).collect()
}

fn compare(task: &str, old: Option<&Facts>, new: Option<&Facts>) -> Vec<Difference> {
    let difference = |subject: &Subject, old: Option<&String>, new: Option<&String>| Difference {
        task: task.to_owned(),
        subject: subject.clone(),
        old: old.cloned(),
        new: new.cloned(),
    };
    let empty = Facts::new();
    let (before, after) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
    let subjects: BTreeSet<&Subject> = before.keys().chain(after.keys()).collect();
    let differs = subjects.into_iter().filter(|subject| before.get(subject) != after.get(subject));
    differs.map(|subject| difference(subject, before.get(subject), after.get(subject))).collect()
}

fn facts(found: &Found, version: Version) -> BTreeMap<String, Facts> {
    let mut tasks: BTreeMap<String, Facts> = BTreeMap::new();
    for task in &found.tasks {
        let Some(used) = task.used(version) else { continue };
        let facts = tasks.entry(task.name.clone()).or_default();
        facts.insert(Subject::Checkpoint, "exists".to_owned());
        for (partition, offset) in &used.checkpoint.inputs {
            facts.insert(Subject::Input(partition.to_string()), offset_text(offset.as_deref()));
        }
        for state in &used.checkpoint.state {
            let (name, text) = match &state.marker {
                Marker::Changelog { partition, offset, .. } => (partition.to_string(), offset_text(offset.as_deref())),
                Marker::Snapshot { index: text } | Marker::Other { text } | Marker::Unreadable { text } => {
                    (state.store.clone().unwrap_or_default(), text.clone())
                }
            };
            facts.insert(Subject::State(name), text);
        }
    }
    for ((task, store), index) in latest_snapshots(found) {
        let facts = tasks.entry(task).or_default();
        for (path, file) in index.files() {
            let text = format!("{} bytes, CRC-32 {:08x}", file.size(), file.checksum);
            facts.insert(Subject::SnapshotFile { store: store.clone(), path }, text);
        }
    }
    tasks
}

/// Returns the snapshot with the highest checkpoint id, by task and store.
fn latest_snapshots(found: &Found) -> BTreeMap<(String, String), &SnapshotIndex> {
    let mut latest: BTreeMap<(String, String), &SnapshotIndex> = BTreeMap::new();
    for snapshot in &found.snapshots {
        let owner = &snapshot.index.owner;
        let latest = latest.entry((owner.task_name.clone(), owner.store_name.clone())).or_insert(&snapshot.index);
        if latest.owner.checkpoint_id < owner.checkpoint_id {
            *latest = &snapshot.index;
        }
    }
    latest
}

fn offset_text(offset: Option<&str>) -> String {
    offset.unwrap_or("none").to_owned()
}
