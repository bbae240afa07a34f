//! Pins, which keep checkpoints from being pruned.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::FORMAT;
use crate::format::layout::{self, PINS};
use crate::format::sealed::Sealed;
use crate::storage::{EntryKind, Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::hold::HOLD_REASON;
use crate::store::records::time::in_milliseconds;
use crate::store::store::Store;
use crate::values::id::Sequence;

/// The longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 500;

/// The largest pin that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024;

/// A checkpoint that is kept from being pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub sequence: Sequence,
    pub reason: Option<String>,
    /// Nothing if the file cannot be read. It keeps its checkpoint all the same.
    pub created: Option<Timestamp>,
}

/// A pin as it is on disk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinFile {
    format: u32,
    sequence: Sequence,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reason: Option<String>,
    created: Timestamp,
}

impl Store {
    /// Returns the pins of existing checkpoints, from all replicas that can be read.
    ///
    /// The name of the file is what counts: a file that cannot be read is a pin without a reason.
    pub fn pins(&self) -> Result<BTreeMap<Sequence, Pin>, StoreError> {
        let directory = layout::directory(PINS);
        let mut pins: BTreeMap<Sequence, Pin> = BTreeMap::new();
        for index in self.reading_order() {
            let storage = self.replicas[index].storage().as_ref();
            let entries = match storage.list(Some(&directory)) {
                Err(error) => {
                    self.lose_unless_last(index, error.into())?;
                    continue;
                }
                listed => listed?,
            };
            for entry in entries {
                let Some(sequence) = layout::parse_pin(&entry.name).filter(|_| entry.kind == EntryKind::File) else {
                    continue;
                };
                if pins.get(&sequence).is_none_or(|known| known.created.is_none()) {
                    pins.insert(sequence, read(storage, sequence));
                }
            }
        }
        if !pins.is_empty() {
            let sequences = self.sequences()?;
            pins.retain(|sequence, _| sequences.binary_search(sequence).is_ok());
        }
        Ok(pins)
    }

    /// Returns the numbers of all pins, whether their checkpoints exist or not.
    pub(in crate::store) fn pinned(&self) -> Result<BTreeSet<Sequence>, StoreError> {
        let directory = layout::directory(PINS);
        let mut pinned = BTreeSet::new();
        for index in self.reading_order() {
            match self.replicas[index].storage().list(Some(&directory)) {
                Err(error) => self.lose_unless_last(index, error.into())?,
                Ok(entries) => pinned.extend(entries.iter().filter_map(|entry| layout::parse_pin(&entry.name))),
            }
        }
        Ok(pinned)
    }

    /// Fails if checkpoint `sequence`, which was just pinned, is being pruned, where nothing is locked.
    ///
    /// A prune records what it removes, then looks at the pins; a pin is written before the history is read. So at least
    /// one of the two sees the other.
    pub(in crate::store) fn check_pin(&self, sequence: Sequence) -> Result<(), StoreError> {
        if !self.is_remote()
            || (self.history()?.departures().of(sequence).is_none() && self.sequences()?.contains(&sequence))
        {
            return Ok(());
        }
        Err(StoreError::NoCheckpoint { place: self.place(), sequence })
    }

    /// Pins a checkpoint in every replica that can be written to, durably. A pin that exists gets the new reason, if there is one.
    ///
    /// The caller holds the lock of [`Store::lock_prune`] and knows that the checkpoint exists.
    pub fn pin(&self, sequence: Sequence, reason: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
        let text = Store::pin_text(sequence, reason, now);
        let path = layout::pin(sequence);
        self.on_each(|storage| {
            match storage.create(&path, text.as_bytes()) {
                Err(StorageError::Exists { .. }) if reason.is_some() || is_hold(storage, sequence) => {
                    storage.replace(&path, text.as_bytes())?;
                }
                Err(StorageError::Exists { .. }) => {}
                created => created?,
            }
            Ok(storage.sync()?)
        })?;
        if let Err(error) = self.check_pin(sequence) {
            self.unpin(sequence)?;
            return Err(error);
        }
        Ok(())
    }

    /// Returns the content of a pin.
    pub(in crate::store) fn pin_text(sequence: Sequence, reason: Option<&str>, now: Timestamp) -> String {
        let reason = reason.map(str::to_owned);
        Sealed::write(&PinFile { format: FORMAT, sequence, reason, created: in_milliseconds(now) })
    }

    /// Removes the pin of a checkpoint in every replica that can be written to, durably, and tells whether there was one.
    pub fn unpin(&self, sequence: Sequence) -> Result<bool, StoreError> {
        let mut was_pinned = false;
        self.on_each(|storage| {
            match storage.delete(&layout::pin(sequence)) {
                Err(StorageError::NotFound { .. }) => return Ok(()),
                deleted => deleted?,
            }
            was_pinned = true;
            Ok(storage.sync()?)
        })?;
        Ok(was_pinned)
    }
}

/// Tells whether a checkpoint is only pinned until another one is made of it.
fn is_hold(storage: &dyn Storage, sequence: Sequence) -> bool {
    read(storage, sequence).reason.is_some_and(|reason| reason.starts_with(HOLD_REASON))
}

/// Tells whether `bytes` are the pin of checkpoint `sequence`, as it was written.
pub fn is_whole(sequence: Sequence, bytes: &[u8]) -> bool {
    parse(sequence, bytes).is_some_and(|pin| pin.is_whole)
}

fn parse(sequence: Sequence, bytes: &[u8]) -> Option<Sealed<PinFile>> {
    Sealed::read(bytes).filter(|pin: &Sealed<PinFile>| pin.value.format == FORMAT && pin.value.sequence == sequence)
}

fn read(storage: &dyn Storage, sequence: Sequence) -> Pin {
    let bytes = storage.get(&layout::pin(sequence), MAX_BYTES).ok();
    let file = bytes.and_then(|bytes| parse(sequence, &bytes)).map(|pin| pin.value);
    let reason = |file: &PinFile| file.reason.as_ref().map(|text| text.chars().take(MAX_REASON_CHARS).collect());
    Pin { sequence, reason: file.as_ref().and_then(reason), created: file.map(|file| file.created) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::store_file::StoreFile;
    use crate::storage::memory::MemoryStorage;
    use crate::values::id::StoreId;
    use crate::values::relpath::RelPath;

    fn store() -> (Store, MemoryStorage) {
        let storage = MemoryStorage::new();
        let now = Timestamp::UNIX_EPOCH;
        let file = StoreFile { format: FORMAT, store: StoreId::new([1; 16]), job: "a".to_owned(), created: now };
        let store = Store::create(vec![Arc::new(storage.clone())], file).unwrap();
        for number in [2, 5] {
            let directory = layout::checkpoint_dir(Sequence(number));
            storage.create_dir(&directory, &[("manifest.yaml", b"x")]).unwrap();
        }
        (store, storage)
    }

    #[test]
    fn a_pin_is_set_once_and_taken_away_once() {
        let (store, _) = store();
        let now = Timestamp::UNIX_EPOCH;
        store.pin(Sequence(2), Some("before the \u{1b}[2J migration"), now).unwrap();
        store.pin(Sequence(2), None, now + jiff::SignedDuration::from_secs(9)).unwrap();
        store.pin(Sequence(9), None, now).unwrap();
        let pins = store.pins().unwrap();
        assert_eq!(pins.len(), 1, "a pin of a missing checkpoint does not count");
        assert_eq!(pins[&Sequence(2)].reason.as_deref(), Some("before the \u{1b}[2J migration"));
        assert_eq!(pins[&Sequence(2)].created, Some(now));
        store.pin(Sequence(2), Some("other"), now).unwrap();
        assert_eq!(store.pins().unwrap()[&Sequence(2)].reason.as_deref(), Some("other"));
        assert!(store.unpin(Sequence(2)).unwrap());
        assert!(!store.unpin(Sequence(2)).unwrap());
        assert!(store.pins().unwrap().is_empty());
    }

    #[test]
    fn a_damaged_pin_still_pins() {
        let (store, storage) = store();
        for (number, text) in [(2, &b"\xff\0"[..]), (5, b"format: 1\nsequence: 4\ncreated: 1970-01-01T00:00:00Z\n")] {
            storage.create(&layout::pin(Sequence(number)), text).unwrap();
        }
        storage.create(&RelPath::new("pins/notes.txt").unwrap(), b"x").unwrap();
        let pins: Vec<Pin> = store.pins().unwrap().into_values().collect();
        let pin = |number| Pin { sequence: Sequence(number), reason: None, created: None };
        assert_eq!(pins, [pin(2), pin(5)]);
    }
}
