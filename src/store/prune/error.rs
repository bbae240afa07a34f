//! What can keep checkpoints from being pruned or brought back.

use crate::storage::StorageError;
use crate::store::error::StoreError;
use crate::store::prune::policy::PolicyError;
use crate::values::id::Sequence;

/// Why nothing, or not everything, was pruned or brought back.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("cannot tell what checkpoint {} needs, so nothing was deleted", .sequence.0)]
    Unreadable { sequence: Sequence, source: Box<StoreError> },
    /// The store is not as it was when the plan was made.
    #[error("the store has changed since the plan was made: {reason}")]
    Moved { reason: String },
    #[error("`{place}` has nothing to bring back")]
    NothingToUndo { place: String },
    /// A pruned checkpoint cannot be brought back intact.
    #[error("checkpoint {} cannot be brought back: {missing} of its objects are gone", .sequence.0)]
    ObjectsGone {
        sequence: Sequence,
        /// How many objects.
        missing: u64,
    },
    /// The disk is full, and only a prune without a grace period frees space.
    #[error("no space to record what would be pruned")]
    NoRoom { source: StoreError },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StorageError> for PruneError {
    fn from(error: StorageError) -> PruneError {
        PruneError::Store(error.into())
    }
}
