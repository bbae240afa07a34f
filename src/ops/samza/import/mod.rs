//! From checkpoints of Samza to the state and the positions of a job: what its first checkpoint needs.

mod mapping;
mod rows;
mod tasks;

pub use mapping::{Mapping, MappingError};
pub use rows::{RowError, digest};
pub use tasks::{TaskError, TaskInput, task_inputs};

use crate::ops::samza::state::{Changelogs, Serdes, StateError, TaskStore, read};
use crate::values::value::{Column, Value};

/// Why the state of a store does not become that of a job.
#[derive(Debug, thiserror::Error)]
pub enum StateImportError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("task `{task}`: {error}")]
    Row { task: String, error: RowError },
    /// See [`crate::samza::changelog::Changelog`].
    #[error("task `{task}`: the value of key `{key}` at the checkpoint may have been compacted")]
    Doubtful { task: String, key: String },
}

/// Reads the state of a task, and turns it into rows with `columns`, sorted by the bytes of their keys.
pub fn rows(
    store: &TaskStore,
    changelogs: &Changelogs,
    serdes: Serdes,
    mapping: &Mapping,
    columns: &[Column],
) -> Result<Vec<(String, Vec<Value>)>, StateImportError> {
    let contents = read(store, changelogs)?;
    if let Some(key) = contents.doubtful.first() {
        return Err(StateImportError::Doubtful { task: store.task.clone(), key: serdes.show_key(key) });
    }
    let mut rows = Vec::with_capacity(contents.rows.len());
    for (key, value) in &contents.rows {
        let row = serdes.read(store, key, value)?;
        let row = mapping.row(&row, columns);
        rows.push(row.map_err(|error| StateImportError::Row { task: store.task.clone(), error })?);
    }
    rows::sort(&mut rows).map_err(|error| StateImportError::Row { task: store.task.clone(), error })?;
    Ok(rows)
}
