//! The job that wrote a checkpoint.

use std::path::Path;

use crate::job::{JobFileError, JobSpec};
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;

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
    let bytes = store.object_of(sequence, committed.manifest.tables.job)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| DefinitionError::NotText { sequence })?;
    JobSpec::parse(text, Path::new("job definition")).map_err(|source| DefinitionError::Malformed { sequence, source })
}
