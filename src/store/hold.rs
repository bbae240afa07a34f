//! Keeping a checkpoint from being deleted while another one is made of its objects, where nothing is locked.

use std::sync::Arc;

use jiff::Timestamp;

use crate::format::layout;
use crate::storage::Storage;
use crate::store::error::StoreError;
use crate::store::store::Store;
use crate::values::id::Sequence;

/// How the reason of such a pin begins.
pub(super) const HOLD_REASON: &str = "a checkpoint is being made of this one by ";

/// The longest pin that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024;

/// Pins a checkpoint until it is dropped, if it was not pinned before.
#[derive(Debug)]
pub(super) struct Hold {
    sequence: Sequence,
    text: String,
    /// The replicas in which it was not pinned before.
    storages: Vec<Arc<dyn Storage>>,
}

impl Store {
    /// Holds checkpoint `sequence` in the replicas without locks.
    ///
    /// Fails with [`StoreError::NoCheckpoint`] if it is being pruned. If the process dies, the pin stays: a dead process
    /// looks like one that sleeps and will commit. Its reason says who made it, and which command removes it.
    pub(super) fn hold(&self, sequence: Sequence, now: Timestamp) -> Result<Hold, StoreError> {
        let path = layout::pin(sequence);
        let text = Store::pin_text(sequence, Some(&self.hold_reason(sequence)), now);
        let mut hold = Hold { sequence, text, storages: Vec::new() };
        for index in self.sound().into_iter().filter(|&index| self.replicas[index].is_remote()) {
            let storage = self.replicas[index].storage();
            match storage.create(&path, hold.text.as_bytes()) {
                Ok(()) => hold.storages.push(Arc::clone(storage)),
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.check_pin(sequence).map(|()| hold)
    }

    fn hold_reason(&self, sequence: Sequence) -> String {
        let holder = self.health.holder().unwrap_or_else(|| "another process".to_owned());
        let command = format!("ckpt unpin {}@{}", self.place(), sequence.0);
        format!("{HOLD_REASON}{holder}. If it has ended, `{command}` removes this pin")
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for storage in &self.storages {
            let path = layout::pin(self.sequence);
            // Somebody may have pinned it meanwhile, for longer.
            if storage.get(&path, MAX_BYTES).is_ok_and(|found| found == self.text.as_bytes()) {
                let _ = storage.delete(&path);
            }
        }
    }
}
