//! What can fail in a store.

use std::sync::Arc;

use crate::format::error::ManifestError;
use crate::format::error::TableError;
use crate::format::layout::ObjectName;
use crate::storage::StorageError;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// What could not be done with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("`{place}` is not a store: it has no `store.yaml`")]
    NoStore { place: String },
    /// A place cannot be used, for a reason that is reported elsewhere too.
    #[error("`{place}` cannot be used")]
    Unusable { place: String, source: Arc<StoreError> },
    /// A place that was named as a replica is not one of this store.
    #[error("`{place}` is not a replica")]
    NotAReplica { place: String, source: Arc<StoreError> },
    /// The list of its replicas cannot be used, and what is changed or deleted here may be needed there.
    #[error("cannot tell which replicas `{place}` has")]
    PlacesUnread { place: String, source: Arc<StoreError> },
    #[error("`{place}` has checkpoints, but no `store.yaml`")]
    StoreFileGone { place: String },
    /// A store is not new, and has no checkpoint.
    #[error(
        "`{place}` has no checkpoint, but its history names checkpoint {}: the checkpoints are missing",
        .sequence.0
    )]
    CheckpointsLost {
        place: String,
        /// The newest that is named.
        sequence: Sequence,
    },
    #[error("`{place}` already holds a store")]
    StoreExists { place: String },
    /// A manifest or store file cannot be used.
    #[error("cannot read `{path}`")]
    Manifest { path: String, source: ManifestError },
    /// A file belongs to something else: another store, job or checkpoint.
    #[error("`{path}` says {field} {found}, expected {expected}")]
    Mismatch { path: String, field: &'static str, expected: String, found: String },
    #[error("`{place}` has no checkpoint {sequence}")]
    NoCheckpoint { place: String, sequence: Sequence },
    /// No replica has the bytes that the object's name promises.
    #[error(
        "object `{path}` is damaged: expected SHA-256 {expected} and {expected_bytes} bytes, found {}",
        describe(.found, .found_bytes)
    )]
    Damaged {
        path: String,
        expected: Digest,
        expected_bytes: u64,
        /// Nothing if the object is too large, and was not read.
        found: Option<Digest>,
        found_bytes: u64,
    },
    #[error("manifest `{path}` is damaged: expected SHA-256 {expected}, as `SHA256SUMS` says, found {found}")]
    ManifestDamaged { path: String, expected: Digest, found: Digest },
    #[error("`{path}` is damaged: expected `SHA-256  manifest.yaml` in its last line")]
    SumsDamaged { path: String },
    /// The index has the bytes that its name promises, but they are not an index.
    #[error("cannot read index `{object}`")]
    Index { object: ObjectName, source: TableError },
    /// Two replicas hold different checkpoints with the same number.
    #[error("`{place}` and `{other}` have different checkpoints {}: they are not copies of each other", .sequence.0)]
    Diverged {
        sequence: Sequence,
        place: String,
        other: String,
        /// The checkpoints that only `place` has, in words.
        own: String,
        /// The checkpoints that only `other` has, in words.
        others: String,
    },
    /// Two replicas have so little in common that nothing shows whether they diverged.
    #[error("cannot tell whether `{place}` with {own} and `{other}` with {others} are copies of each other")]
    Unrelated { place: String, other: String, own: String, others: String },
    #[error("`{place}` and `{other}` are the same directory")]
    SamePlace { other: String, place: String },
    /// Fewer replicas can be written to than the store asks for.
    #[error("only {copies} of {min_copies} copies can be made: replica `{place}`: {reason}")]
    TooFewCopies {
        /// A replica that cannot be written to.
        place: String,
        /// Why it cannot.
        reason: String,
        copies: usize,
        min_copies: usize,
    },
    /// Another writer committed this number first.
    #[error("checkpoint {sequence} was committed by another run")]
    NumberTaken { sequence: Sequence },
    /// The same, in a place without locks; `holder` is how the other writer names itself.
    #[error("checkpoint {sequence} was committed by another run: `{place}` is in use by {holder}")]
    Overtaken { place: String, sequence: Sequence, holder: String },
    /// Another writer has the store; `holder` is how it names itself.
    #[error("`{place}` is in use by {holder}")]
    Busy { place: String, holder: String },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl StoreError {
    /// Tells whether the error is that a file does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, StoreError::Storage(error) if error.is_not_found())
    }

    /// Tells whether the error says nothing about what the store holds, see [`StorageError::is_inconclusive`].
    pub fn is_inconclusive(&self) -> bool {
        self.refusal().is_some()
    }

    /// Returns the error of the system that refused to read a file, if that is what happened.
    pub fn refusal(&self) -> Option<&StorageError> {
        match self {
            StoreError::Storage(error) => Some(error).filter(|error| error.is_inconclusive()),
            StoreError::Unusable { source, .. }
            | StoreError::NotAReplica { source, .. }
            | StoreError::PlacesUnread { source, .. } => source.refusal(),
            _ => None,
        }
    }

    /// Tells whether a later version of ckpt wrote the file.
    pub fn is_of_later_version(&self) -> bool {
        matches!(self, StoreError::Manifest { source: ManifestError::Format { .. }, .. })
    }

    /// Tells whether the system refused, and not for lack of space: the place is unmounted, read-only, broken or not for
    /// this user.
    pub fn is_refusal(&self) -> bool {
        matches!(self, StoreError::Storage(error) if error.is_refusal() && !error.is_full())
    }

    /// Tells whether another writer has taken the number of a checkpoint.
    pub fn is_taken(&self) -> bool {
        matches!(self, StoreError::NumberTaken { .. } | StoreError::Overtaken { .. })
    }

    /// Tells whether the error is that the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Storage(error) if error.is_full())
    }
}

/// Describes what was found in the place of an object.
fn describe(found: &Option<Digest>, found_bytes: &u64) -> String {
    match found {
        Some(digest) => format!("{digest} and {found_bytes} bytes"),
        None => format!("{found_bytes} bytes"),
    }
}
