//! Keeping a checkpoint from being deleted while another one is made of its objects, where nothing is locked.

use std::sync::Arc;

use jiff::Timestamp;

use crate::format::layout;
use crate::storage::Storage;
use crate::store::error::StoreError;
use crate::store::store::Store;
use crate::values::id::Sequence;

/// The reason that the pin gives.
const REASON: &str = "another checkpoint is being made of this one";

/// Pins a checkpoint until it is dropped, if it was not pinned before.
#[derive(Debug)]
pub(super) struct Hold {
    sequence: Sequence,
    /// The replicas in which it was not pinned before.
    storages: Vec<Arc<dyn Storage>>,
}

impl Store {
    /// Holds checkpoint `sequence` in the replicas without locks.
    ///
    /// Fails with [`StoreError::NoCheckpoint`] if it is being pruned. If the process dies, the pin stays.
    pub(super) fn hold(&self, sequence: Sequence, now: Timestamp) -> Result<Hold, StoreError> {
        let mut hold = Hold { sequence, storages: Vec::new() };
        let (path, text) = (layout::pin(sequence), Store::pin_text(sequence, Some(REASON), now));
        for index in self.sound().into_iter().filter(|&index| self.replicas[index].is_remote()) {
            let storage = self.replicas[index].storage();
            match storage.create(&path, text.as_bytes()) {
                Ok(()) => hold.storages.push(Arc::clone(storage)),
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.check_pin(sequence).map(|()| hold)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for storage in &self.storages {
            let _ = storage.delete(&layout::pin(self.sequence));
        }
    }
}
