//! What can keep a checkpoint from being restored.

use std::io;
use std::path::{Path, PathBuf};

use crate::job::definition::DefinitionError;
use crate::ops::read::ReadError;
use crate::shape::HavingError;
use crate::storage::StorageError;
use crate::store::StoreError;
use crate::values::id::Sequence;

/// Why a checkpoint could not be rolled back to, or written to files.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The job would resume from it anyway.
    #[error("checkpoint {} is the latest: there is nothing to roll back", .sequence.0)]
    AlreadyLatest { sequence: Sequence },
    #[error("the checkpoint has no input `{partition}`")]
    NoPartition { partition: String },
    /// Another checkpoint was committed after the plan was made.
    #[error("checkpoint {} was committed meanwhile", .latest.0)]
    Moved { latest: Sequence },
    #[error("`{}` exists and is not an empty directory", .path.display())]
    TargetTaken { path: PathBuf },
    /// Nothing but the store itself may write into its directory.
    #[error("`{}` is in the store `{}`", .path.display(), .store.display())]
    InStore { path: PathBuf, store: PathBuf },
    /// A prefix of a bucket has objects.
    #[error("`{url}` is not empty: it has `{name}`")]
    PrefixTaken { url: String, name: String },
    /// A URL does not name a prefix of a bucket.
    #[error("{reason}")]
    Url { reason: String },
    /// A bucket did not do what it was asked to.
    #[error(transparent)]
    Bucket(#[from] StorageError),
    #[error("`{}` is being written by another restore", .path.display())]
    InProgress { path: PathBuf },
    /// A value cannot be written in the format.
    #[error("column `{column}` of key {key:?} in task {task} is not valid JSON")]
    Value { task: u32, key: String, column: String },
    /// A key does not have the parts that the manifest says, and no column is text.
    #[error("key {key:?} in task {task} does not have the parts of the job's key")]
    Key { task: u32, key: String },
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    #[error("checkpoint {} is not consistent: {reason}", .sequence.0)]
    Contradiction { sequence: Sequence, reason: String },
    #[error("the job's output at checkpoint {} does not follow from its state: {reason}", .sequence.0)]
    OwnOutput { sequence: Sequence, reason: &'static str },
    #[error("cannot compute `having`")]
    Having(#[from] HavingError),
    #[error("cannot start a thread")]
    Thread { source: io::Error },
    /// `action` is `create`, `write`, `flush`, `rename`, `remove`, `lock` or `read`.
    #[error("cannot {action} `{}`", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl From<StoreError> for RestoreError {
    fn from(error: StoreError) -> RestoreError {
        RestoreError::Read(error.into())
    }
}

pub(super) fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RestoreError + 'a {
    move |source| RestoreError::Io { action, path: path.to_owned(), source }
}
