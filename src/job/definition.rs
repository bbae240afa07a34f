//! The job that wrote a checkpoint.

use crate::format::manifest::{Manifest, Routing};
use crate::job::state_columns::{state_columns, without_estimates};
use crate::job::{FieldPath, JobFileError, JobSpec, TtlSpec};
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;
use crate::values::value::{Column, ColumnType};

/// Why the definition in a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("checkpoint {sequence} is not consistent: the job's definition is not UTF-8")]
    NotText { sequence: Sequence },
    #[error("cannot read the job's definition in checkpoint {sequence}")]
    Malformed { sequence: Sequence, source: JobFileError },
}

/// Reads the definition of the job that wrote a checkpoint.
pub fn definition(store: &Store, committed: &Committed) -> Result<JobSpec, DefinitionError> {
    let sequence = committed.manifest.sequence;
    parse(&store.object_of(sequence, committed.manifest.tables.job)?, sequence)
}

/// Reads `bytes`, the definition in the checkpoint `sequence`.
pub fn parse(bytes: &[u8], sequence: Sequence) -> Result<JobSpec, DefinitionError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DefinitionError::NotText { sequence })?;
    JobSpec::parse_definition(text).map_err(|source| DefinitionError::Malformed { sequence, source })
}

/// Returns how `manifest` contradicts the definition in its checkpoint, which keeps every run from resuming.
/// `block_bytes` is the size of the blocks of input that a run reads.
pub fn contradiction(manifest: &Manifest, definition: &JobSpec, block_bytes: u64) -> Option<String> {
    let routing = match (&definition.exec, definition.key.is_empty()) {
        (Some(_), _) => Routing::Program,
        (None, false) if definition.is_partitioned => Routing::KeyedPartition,
        (None, false) => Routing::KeyHash,
        (None, true) => Routing::Partition,
    };
    let has_columns = definition.native.is_none();
    if has_columns && !has_columns_of(manifest, definition) {
        Some("its columns are not those of its job definition".to_owned())
    } else if !definition.key.is_empty() && !definition.is_partitioned && manifest.tasks != definition.tasks {
        Some(format!("it has {} tasks, its job definition {}", manifest.tasks, definition.tasks))
    } else if manifest.routing != routing {
        Some("its routing is not that of its job definition".to_owned())
    } else if manifest.key != definition.key_shape() {
        Some("the parts of its key are not those of its job definition".to_owned())
    } else if manifest.block_bytes != block_bytes {
        let found = manifest.block_bytes;
        Some(format!("its input is divided into blocks of {found} bytes, expected {block_bytes}"))
    } else {
        None
    }
}

/// Returns whether the columns are those that this version or an older one gives to the job's state.
fn has_columns_of(manifest: &Manifest, definition: &JobSpec) -> bool {
    let Some(columns) = columns(definition) else { return false };
    columns == manifest.columns || without_estimates(&columns) == manifest.columns
}

/// Returns the columns of a job's state. Returns `None` if the definition lacks the type of a field.
fn columns(definition: &JobSpec) -> Option<Vec<Column>> {
    if let Some(exec) = &definition.exec {
        return Some(exec.state_columns());
    }
    let mut is_typed = true;
    let type_of = |field: &FieldPath| {
        let known = definition.input.types.iter().find(|(known, _)| known == field);
        is_typed &= known.is_some();
        known.map_or(ColumnType::Text, |(_, column_type)| *column_type)
    };
    let mut columns: Vec<Column> = state_columns(&definition.aggregates, type_of).into_iter().flatten().collect();
    columns.extend(definition.ttl.as_ref().map(|_| TtlSpec::column()));
    is_typed.then_some(columns)
}
