//! From checkpoints of Samza to the state and the positions of a job: what its first checkpoint needs.

mod mapping;
mod rows;
mod tasks;

pub use mapping::{Mapping, MappingError};
pub use rows::{RowError, digest};
pub use tasks::{TaskError, TaskInput, task_inputs};

use crate::ops::samza::state::{Serdes, StateError};
use crate::samza::changelog::StoreContents;
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

/// Turns the contents of `store` of `task` into rows with `columns`, sorted by the bytes of their keys.
pub fn rows(
    (task, store): (&str, &str),
    contents: &StoreContents,
    serdes: Serdes,
    mapping: &Mapping,
    columns: &[Column],
) -> Result<Vec<(String, Vec<Value>)>, StateImportError> {
    if let Some(key) = contents.doubtful.first() {
        return Err(StateImportError::Doubtful { task: task.to_owned(), key: serdes.show_key(key) });
    }
    let wrong = |error| StateImportError::Row { task: task.to_owned(), error };
    let mut rows = Vec::with_capacity(contents.rows.len());
    for (key, value) in &contents.rows {
        let row = serdes.read(task, store, key, value)?;
        rows.push(mapping.row(&row, columns).map_err(wrong)?);
    }
    rows::sort(&mut rows).map_err(wrong)?;
    Ok(rows)
}
