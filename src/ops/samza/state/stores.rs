//! Which stores the tasks have, and how far the changelog of each is part of the checkpoint.

use super::error::StateError;
use crate::ops::samza::found::Task;
use crate::samza::checkpoint::{StoreState, Version};
use crate::samza::checkpoint_id::CheckpointId;
use crate::samza::marker::Marker;
use crate::samza::partition::StreamPartition;

/// The store of a task at its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStore {
    pub job: Option<String>,
    pub task: String,
    pub store: String,
    pub changelog: StreamPartition,
    /// The last message of the changelog that is part of the state; nothing if the changelog was empty.
    pub last: Option<u64>,
    /// The checkpoint, if it says which one it is.
    pub checkpoint: Option<CheckpointId>,
}

/// Returns the stores of `tasks` that Samza would restore if it prefers `version`, and only those with the name `store`
/// if there is one. Fails if the state of one is not in a changelog.
pub fn task_stores(tasks: &[Task], store: Option<&str>, version: Version) -> Result<Vec<TaskStore>, StateError> {
    let mut found = Vec::new();
    for task in tasks {
        let Some(used) = task.used(version) else { continue };
        for state in &used.checkpoint.state {
            let name = store_name(task, state);
            if store.is_some_and(|store| store != name) {
                continue;
            }
            let not_in_changelog = |kept_in: String| {
                let (task, store) = (task.name.clone(), name.clone());
                StateError::NotInChangelog { task, store, kept_in }
            };
            let (changelog, offset) = match &state.marker {
                Marker::Changelog { partition, offset, .. } => (partition.clone(), offset),
                Marker::Snapshot { index } => return Err(not_in_changelog(format!("the blob store, blob `{index}`"))),
                Marker::Other { .. } => return Err(not_in_changelog("a backend of its own".to_owned())),
                Marker::Unreadable { .. } => return Err(not_in_changelog("a marker that cannot be read".to_owned())),
            };
            let last = offset.as_ref().map(|offset| {
                let (task, changelog, offset) = (task.name.clone(), changelog.to_string(), offset.clone());
                offset.parse().map_err(|_| StateError::BadOffset { task, changelog, offset })
            });
            found.push(TaskStore {
                job: task.job.clone(),
                task: task.name.clone(),
                store: name,
                changelog,
                last: last.transpose()?,
                checkpoint: used.checkpoint.id,
            });
        }
    }
    match store {
        Some(store) if found.is_empty() => Err(StateError::NoStore { store: store.to_owned() }),
        _ => Ok(found),
    }
}

/// Returns the name of a store. V1 has only the name of its changelog, so V2 is asked, and else that is the name.
fn store_name(task: &Task, state: &StoreState) -> String {
    let Marker::Changelog { partition, .. } = &state.marker else {
        return state.store.clone().unwrap_or_else(|| "-".to_owned());
    };
    let is_same =
        |other: &&StoreState| matches!(&other.marker, Marker::Changelog { partition: it, .. } if it == partition);
    let named = || task.v2.as_ref()?.checkpoint.state.iter().find(is_same)?.store.clone();
    state.store.clone().or_else(named).unwrap_or_else(|| partition.stream.clone())
}
