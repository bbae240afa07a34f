//! `ckpt restore --seek`: finds the input positions that somebody asks for.

use std::path::Path;

use crate::format::positions::PositionRow;
use crate::input::{self, InputError, SeekTo};
use crate::job::definition::{DefinitionError, definition};
use crate::ops::read::{ReadError, Snapshot};
use crate::store::Store;
use crate::values::id::Sequence;

/// Why a position could not be found.
#[derive(Debug, thiserror::Error)]
pub enum SeekError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error("the checkpoint has no input `{partition}`")]
    NoPartition {
        partition: String,
        /// The partitions that the checkpoint has.
        known: Vec<String>,
    },
    #[error("`--seek` names the input `{partition}` twice")]
    NamedTwice { partition: String },
    /// Where a message is, only the brokers know.
    #[error("cannot seek in `{partition}`, a partition of a topic")]
    Topic { partition: String },
    /// The input is not where it was looked for, or cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The input has no such position.
    #[error(transparent)]
    Position(input::SeekError),
}

/// Finds positions in the inputs of checkpoint `sequence`, each named by its partition.
///
/// Relative input paths start at `base`. The rows keep the task and the cut that the checkpoint has for the partition.
pub fn seek(
    store: &Store,
    sequence: Sequence,
    wanted: &[(String, SeekTo)],
    base: &Path,
) -> Result<Vec<PositionRow>, SeekError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let snapshot = Snapshot::open(store, sequence)?;
    let known = snapshot.positions(store)?;
    let job = definition(store, &snapshot.committed)?;
    let mut rows: Vec<PositionRow> = Vec::new();
    for (name, to) in wanted {
        let Some(old) = known.iter().find(|row| row.partition == *name) else {
            let known = known.into_iter().map(|row| row.partition).collect();
            return Err(SeekError::NoPartition { partition: name.clone(), known });
        };
        if rows.iter().any(|row| row.partition == *name) {
            return Err(SeekError::NamedTwice { partition: name.clone() });
        }
        if old.message.is_some() {
            return Err(SeekError::Topic { partition: name.clone() });
        }
        let partition = input::partition(name, base)?;
        let sought = input::seek(&job.input, &partition, *to).map_err(|error| match error {
            input::SeekError::Input(error) => SeekError::Input(error),
            error => SeekError::Position(error),
        })?;
        rows.push(PositionRow {
            task: old.task,
            cut: old.cut,
            offset: sought.offset,
            record: sought.record,
            ended: sought.ended,
            file_bytes: sought.file_bytes,
            generation_of: old.generation_of.clone(),
            etag: partition.etag,
            ..PositionRow::at_start(name.clone(), sought.fingerprint)
        });
    }
    Ok(rows)
}
