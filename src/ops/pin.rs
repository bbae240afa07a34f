//! `ckpt pin` and `ckpt unpin`: keep a checkpoint from being pruned.

use jiff::Timestamp;

use crate::store::records::pins::Pin;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;

/// Pins checkpoint `sequence` at `now`, and returns the pin. An existing pin is kept, and gets the new reason if there
/// is one.
///
/// `holder` says who does it, for messages of processes that wait. Fails with [`StoreError::NoCheckpoint`] if there is
/// no such checkpoint, and with [`StoreError::Diverged`] if replicas may have different ones with this number.
pub fn pin(
    store: &Store,
    sequence: Sequence,
    reason: Option<&str>,
    now: Timestamp,
    holder: &str,
) -> Result<Pin, StoreError> {
    // A prune must not decide about the checkpoint meanwhile.
    let _lock = store.lock_prune(holder)?;
    let missing = || StoreError::NoCheckpoint { place: store.place(), sequence };
    if !store.sequences()?.contains(&sequence) {
        return Err(missing());
    }
    store.check_undivided_at(sequence)?;
    store.pin(sequence, reason, now)?;
    store.pins()?.remove(&sequence).ok_or_else(missing)
}

/// Removes the pin of checkpoint `sequence`, and tells whether there was one. Fails as [`pin`] does if replicas
/// diverged.
pub fn unpin(store: &Store, sequence: Sequence, holder: &str) -> Result<bool, StoreError> {
    let _lock = store.lock_prune(holder)?;
    store.check_undivided_at(sequence)?;
    store.unpin(sequence)
}
