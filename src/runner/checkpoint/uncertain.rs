//! A commit that failed, although its checkpoint may exist.

use crate::runner::error::RunError;
use crate::runner::lineage::Lineage;
use crate::runner::output::changes::ShardChanges;
use crate::runner::output::plan::Staged;
use crate::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// What is needed to continue, whether the checkpoint exists or not.
#[derive(Debug)]
pub(super) struct UncertainCommit {
    pub(super) sequence: Sequence,
    /// The digest of its manifest.
    pub(super) sha256: Digest,
    /// What the next checkpoint continues from if this one exists.
    pub(super) after: Lineage,
    pub(super) total_micros: u64,
    /// The files that it publishes.
    pub(super) staged: Vec<Staged>,
    /// What each shard publishes with a later checkpoint if this one does not exist.
    pub(super) changes: Vec<ShardChanges>,
}

impl UncertainCommit {
    /// Returns whether the checkpoint exists, intact. Fails if another checkpoint has its number.
    pub(super) fn exists(&self, store: &Store) -> Result<bool, RunError> {
        let sequence = self.sequence;
        if !store.sequences()?.contains(&sequence) {
            return Ok(false);
        }
        if store.manifest(sequence)?.sha256 != self.sha256 {
            return Err(store.taken(sequence).into());
        }
        store.check_sound()?;
        self.after.last.as_ref().map_or(Ok(()), |committed| store.confirm(committed))?;
        Ok(true)
    }
}
