//! Making replicas equal: a replica gets the newest checkpoints that it is missing from the others.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;

use crate::format::index;
use crate::format::layout::{self, MANIFEST_FILE, ObjectName, SUMS_FILE};
use crate::format::manifest::ObjectRef;
use crate::storage::StorageError;
use crate::store::divergence::forks;
use crate::store::error::StoreError;
use crate::store::health::StoreNote;
use crate::store::root::Committed;
use crate::store::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// The largest event or pin that is copied, in bytes.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// What a replica was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Copied {
    checkpoints: u64,
    /// Bytes of objects.
    bytes: u64,
}

impl Store {
    /// Brings back the lost replicas that are available again: each gets every checkpoint that is newer than its own,
    /// the objects first, and counts again once it has them all.
    ///
    /// A replica that is still unavailable, or fails meanwhile, stays lost; that is not an error.
    pub fn catch_up(&self) {
        for index in self.health.all_lost().into_keys() {
            let back = self.is_back(index).and_then(|()| {
                self.check_one_history(&[&self.sound()[..], &[index]].concat())?;
                self.bring_up(index)
            });
            if let Ok(copied) = back {
                self.regained(index, copied, false);
            }
        }
    }

    /// Makes all replicas equal, for a caller that holds [`Store::lock`] and is about to commit: no run would copy
    /// what a replica is missing below the next checkpoint.
    ///
    /// Fails with [`StoreError::Diverged`] if two of them diverged.
    pub fn make_equal(&self) -> Result<(), StoreError> {
        self.level(&[])
    }

    /// Makes all replicas equal. Those in `empty` were not stores before.
    pub(super) fn level(&self, empty: &[usize]) -> Result<(), StoreError> {
        self.check_one_history(&self.sound())?;
        for index in self.sound() {
            match self.bring_up(index) {
                Ok(copied) if empty.contains(&index) || copied != Copied::default() => {
                    self.regained(index, copied, empty.contains(&index));
                }
                Ok(_) => {}
                Err(error) if self.replicas.len() == 1 => return Err(error),
                Err(error) => self.lose(index, &error),
            }
        }
        self.check_copies(self.sound().len())
    }

    /// Copies to replica `index` every checkpoint that another has and that is newer than its own newest.
    fn bring_up(&self, index: usize) -> Result<Copied, StoreError> {
        let own = self.replicas[index].sequences()?;
        let newest = own.last().copied();
        let mut missing = BTreeSet::new();
        for other in self.others(index) {
            // A replica that cannot be listed has nothing to give.
            let listed = self.replicas[other].sequences().unwrap_or_default();
            missing.extend(listed.into_iter().filter(|&sequence| Some(sequence) > newest));
        }
        let mut copied = Copied::default();
        // Checkpoints share most of their objects: one that exists or was copied is not examined again.
        let mut known = HashSet::new();
        for sequence in missing {
            self.copy_checkpoint(index, sequence, &mut known, &mut copied)?;
        }
        self.copy_records(index, layout::HISTORY)?;
        self.copy_records(index, layout::PINS)?;
        Ok(copied)
    }

    /// Copies the events or pins in `directory` that replica `index` is missing: those written while it was away.
    fn copy_records(&self, index: usize, directory: &'static str) -> Result<(), StoreError> {
        let directory = layout::directory(directory);
        let target = self.replicas[index].storage();
        let mut own: BTreeSet<String> = target.list(Some(&directory))?.into_iter().map(|entry| entry.name).collect();
        for other in self.others(index) {
            let source = self.replicas[other].storage();
            // A replica that cannot be listed or read has nothing to give.
            for entry in source.list(Some(&directory)).unwrap_or_default() {
                let is_record = layout::parse_event(&entry.name).is_some() || layout::parse_pin(&entry.name).is_some();
                let Ok(path) = directory.join(&entry.name) else { continue };
                if !is_record || own.contains(&entry.name) {
                    continue;
                }
                let Ok(bytes) = source.get(&path, MAX_RECORD_BYTES) else { continue };
                match target.create(&path, &bytes) {
                    Err(error) if !error.is_exists() => return Err(error.into()),
                    _ => drop(own.insert(entry.name)),
                }
            }
        }
        Ok(target.sync()?)
    }

    /// Copies checkpoint `sequence` to replica `index` from the others. If none of them has it intact, that is only a
    /// note. `known` are objects that the replica is known to have.
    ///
    /// Fails if the replica cannot be written to, and with [`StoreError::Diverged`] if it has another checkpoint with
    /// that number.
    fn copy_checkpoint(
        &self,
        index: usize,
        sequence: Sequence,
        known: &mut HashSet<ObjectName>,
        copied: &mut Copied,
    ) -> Result<(), StoreError> {
        let target = &self.replicas[index];
        let others = self.others(index);
        let left_out = |error: &StoreError| {
            let is_listed = |&other: &usize| self.replicas[other].sequences().is_ok_and(|it| it.contains(&sequence));
            // Otherwise it was pruned meanwhile.
            if others.iter().any(is_listed) {
                let (place, reason) = (self.replicas[index].place(), in_one_line(error));
                self.health.note(StoreNote::LeftOut { place, sequence, reason });
            }
            Ok(())
        };
        let (committed, yaml, objects) = match self.read_whole(&others, sequence) {
            Ok(read) => read,
            Err(error) => return left_out(&error),
        };
        for &object in objects.iter().filter(|object| !known.contains(&object.object)).collect::<Vec<_>>() {
            let bytes = match self.first_good(&others, |replica| replica.object(object)) {
                Ok(bytes) => bytes,
                Err(error) => return left_out(&error),
            };
            if target.put(object.object, &bytes)? {
                copied.bytes += object.bytes;
            }
            known.insert(object.object);
        }
        target.sync()?;
        let sums = layout::sums_text(objects.iter().map(|object| object.object), committed.sha256);
        let files = [(SUMS_FILE, sums.as_bytes()), (MANIFEST_FILE, &yaml[..])];
        match target.commit(sequence, &files) {
            Ok(()) => copied.checkpoints += 1,
            // Another process was faster: a repair, or another run without locks.
            Err(StorageError::Exists { .. }) => {
                if target.manifest(&self.file, sequence)?.sha256 != committed.sha256 {
                    let (place, other) = (self.replicas[index].place(), self.place());
                    return Err(StoreError::Diverged { sequence, place, other });
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads a checkpoint's manifest and index from `replicas`. Also returns the manifest's bytes and all the objects,
    /// sorted by name.
    fn read_whole(
        &self,
        replicas: &[usize],
        sequence: Sequence,
    ) -> Result<(Committed, Bytes, Vec<ObjectRef>), StoreError> {
        let (committed, yaml) =
            self.first_good(replicas, |replica| replica.manifest_and_bytes(&self.file, sequence))?;
        let table = committed.manifest.tables.index;
        let bytes = self.first_good(replicas, |replica| replica.object(table))?;
        let rows = index::decode(bytes).map_err(|source| StoreError::Index { object: table.object, source })?;
        let objects = committed.manifest.objects(&rows);
        Ok((committed, yaml, objects))
    }

    /// Returns all replicas but `index`, in the order of reading.
    fn others(&self, index: usize) -> Vec<usize> {
        self.reading_order().into_iter().filter(|&other| other != index).collect()
    }

    /// Checks that a lost replica is available again and is of this store, and locks it.
    fn is_back(&self, index: usize) -> Result<(), StoreError> {
        let replica = &self.replicas[index];
        replica.storage().reopen();
        replica.check_store_file(&self.file, &replica.store_file()?)?;
        self.lock_again(index)
    }

    fn regained(&self, index: usize, copied: Copied, new: bool) {
        self.health.regain(index);
        self.health.note(StoreNote::CaughtUp {
            place: self.replicas[index].place(),
            new,
            checkpoints: copied.checkpoints,
            bytes: copied.bytes,
        });
    }

    /// Fails if two of `replicas` diverged. Replicas that cannot be listed are lost.
    fn check_one_history(&self, replicas: &[usize]) -> Result<(), StoreError> {
        let mut listed = Vec::new();
        for &index in replicas {
            match self.replicas[index].sequences() {
                Ok(_) => listed.push(self.replicas[index].clone()),
                Err(error) if self.replicas.len() == 1 => return Err(error),
                Err(error) => self.lose(index, &error),
            }
        }
        let fork = forks(&self.file, &listed).into_iter().next();
        fork.map_or(Ok(()), |fork| Err(fork.error()))
    }
}
