//! Making replicas equal: a replica gets what it is missing from the others.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;

use crate::format::index;
use crate::format::layout::{self, MANIFEST_FILE, ObjectName, SUMS_FILE};
use crate::format::manifest::ObjectRef;
use crate::storage::StorageError;
use crate::store::divergence::{Branch, Fork, forks};
use crate::store::error::StoreError;
use crate::store::health::StoreNote;
use crate::store::replica::Replica;
use crate::store::root::Committed;
use crate::store::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// The largest pin that is copied, in bytes.
const MAX_PIN_BYTES: u64 = 1 << 20;

/// What a replica does not have and others do.
struct Missing {
    /// The checkpoints that are older than its newest and were not pruned on purpose.
    older: BTreeSet<Sequence>,
    /// The checkpoints that are newer than its own.
    newer: BTreeSet<Sequence>,
    /// Whether its history differs.
    has_events: bool,
    /// The pins, each with the index of a replica that has it.
    pins: BTreeMap<RelPath, usize>,
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.older.is_empty() && self.newer.is_empty() && !self.has_events && self.pins.is_empty()
    }
}

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
            match back {
                Ok(copied) => self.regained(index, copied, false),
                // It is back, and is not a copy of this store: that does not change by waiting.
                Err(
                    error @ (StoreError::Diverged { .. } | StoreError::Unrelated { .. } | StoreError::Mismatch { .. }),
                ) => {
                    self.health.refuse(index, self.replicas[index].place(), in_one_line(&error));
                }
                Err(_) => {}
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

    /// Copies the checkpoints `sequences` to every replica that does not have them: one that was caught up after they
    /// were pruned never had them.
    ///
    /// The caller holds the lock of [`Store::lock_prune`].
    pub(super) fn complete(&self, sequences: impl Iterator<Item = Sequence> + Clone) -> Result<(), StoreError> {
        for index in self.sound() {
            let own = self.replicas[index].sequences()?;
            let (mut known, mut copied) = (HashSet::new(), Copied::default());
            let mut missing = sequences.clone().filter(|sequence| own.binary_search(sequence).is_err());
            let done = missing.try_for_each(|sequence| self.copy_checkpoint(index, sequence, &mut known, &mut copied));
            match done {
                Err(error) if error.is_refusal() => self.lose_unless_last(index, error)?,
                done => done?,
            }
        }
        Ok(())
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
                // What it is missing must not be left behind below the next checkpoint.
                Err(error @ StoreError::Busy { .. }) => {
                    self.lose_unless_last(index, error)?;
                }
                Err(error) if self.replicas.len() == 1 => return Err(error),
                Err(error) => self.lose(index, &error),
            }
        }
        self.check_copies(self.sound().len())
    }

    /// Copies to replica `index` every checkpoint that another has, if it is newer than its own newest or was not pruned
    /// on purpose, and the events and pins that it is missing.
    ///
    /// A prune would remove in one replica what is being copied to another, so neither happens during the other. Fails
    /// with [`StoreError::Busy`] if another process prunes for longer than a few seconds.
    fn bring_up(&self, index: usize) -> Result<Copied, StoreError> {
        let mut copied = Copied::default();
        if self.missing(index)?.is_empty() {
            return Ok(copied);
        }
        let mut replicas: BTreeSet<usize> = self.sound().into_iter().chain([index]).collect();
        let holder = self.health.holder().unwrap_or_default();
        let in_order: Vec<usize> = replicas.iter().copied().collect();
        let _lock = self.lock_prune_in(&in_order, Some(index), &holder)?;
        // Checkpoints share most of their objects: one that exists or was copied is not examined again.
        let mut known = HashSet::new();
        // A merged history may say that they were brought back: from then on, nothing explains why one is missing.
        for other in in_order {
            let given = self.copy_older(other);
            match given {
                Ok((given, objects)) if other == index => (copied, known) = (given, objects),
                Ok((given, _)) if given == Copied::default() => {}
                Ok((given, _)) => self.regained(other, given, false),
                Err(error) if other == index => return Err(error),
                Err(error) => {
                    self.lose(other, &error);
                    replicas.remove(&other);
                }
            }
        }
        // Before the newer ones, whose parents it may say were pruned.
        for (other, error) in self.merge_histories(&replicas) {
            if other == index {
                return Err(error);
            }
            self.lose(other, &error);
        }
        // Another process may have pruned or pinned before the lock was taken.
        let missing = self.missing(index)?;
        if !missing.newer.is_empty() {
            known.extend(self.objects_of_newest(index)?);
        }
        for sequence in missing.newer {
            self.copy_checkpoint(index, sequence, &mut known, &mut copied)?;
        }
        self.copy_pins(index, missing.pins)?;
        Ok(copied)
    }

    /// Returns the objects of the newest checkpoint of a replica in object storage, which need not be written again: it is
    /// never pruned. On a disk it is cheap to see what exists.
    fn objects_of_newest(&self, index: usize) -> Result<Vec<ObjectName>, StoreError> {
        let replica = &self.replicas[index];
        if !replica.is_remote() {
            return Ok(Vec::new());
        }
        let Some(&newest) = replica.sequences()?.last() else { return Ok(Vec::new()) };
        match self.read_whole(&[index], newest) {
            Ok((_, _, objects)) => Ok(objects.into_iter().map(|object| object.object).collect()),
            Err(error) if error.is_inconclusive() => Err(error),
            // Damaged: everything is written again.
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Copies to replica `index` the checkpoints that are older than its newest. Also returns the objects that it now
    /// has.
    fn copy_older(&self, index: usize) -> Result<(Copied, HashSet<ObjectName>), StoreError> {
        let (mut known, mut copied) = (HashSet::new(), Copied::default());
        for sequence in self.missing(index)?.older {
            self.copy_checkpoint(index, sequence, &mut known, &mut copied)?;
        }
        Ok((copied, known))
    }

    /// Returns what replica `index` should get from the others.
    fn missing(&self, index: usize) -> Result<Missing, StoreError> {
        let own = self.replicas[index].sequences()?;
        let newest = own.last().copied();
        let mut missing = BTreeSet::new();
        for other in self.others(index) {
            // A replica that cannot be listed has nothing to give.
            missing.extend(self.replicas[other].sequences().unwrap_or_default());
        }
        missing.retain(|sequence| own.binary_search(sequence).is_err());
        let (newer, mut older): (BTreeSet<_>, BTreeSet<_>) =
            missing.into_iter().partition(|&sequence| Some(sequence) > newest);
        if !older.is_empty() {
            // Read last: a prune records what it removes before it does.
            match self.whole_history().map(|history| history.departures()) {
                Ok(departures) => older.retain(|&sequence| departures.of(sequence).is_none()),
                // It may say that all of them were pruned.
                Err(_) => older.clear(),
            }
        }
        let has_events = self.history_differs(index)?;
        Ok(Missing { older, newer, has_events, pins: self.missing_pins(index)? })
    }

    fn missing_pins(&self, index: usize) -> Result<BTreeMap<RelPath, usize>, StoreError> {
        let directory = layout::directory(layout::PINS);
        let own = self.replicas[index].storage().list(Some(&directory))?;
        let own: BTreeSet<String> = own.into_iter().map(|entry| entry.name).collect();
        let mut pins = BTreeMap::new();
        for other in self.others(index) {
            let listed = self.replicas[other].storage().list(Some(&directory)).unwrap_or_default();
            for name in listed.into_iter().map(|entry| entry.name).filter(|name| !own.contains(name)) {
                if let (Some(_), Ok(path)) = (layout::parse_pin(&name), directory.join(&name)) {
                    pins.entry(path).or_insert(other);
                }
            }
        }
        Ok(pins)
    }

    /// Copies pins to replica `index`: those set while it was away.
    fn copy_pins(&self, index: usize, pins: BTreeMap<RelPath, usize>) -> Result<(), StoreError> {
        let target = self.replicas[index].storage();
        for (path, from) in pins {
            // One that cannot be read there has nothing to give.
            let Ok(bytes) = self.replicas[from].get(&path, MAX_PIN_BYTES) else { continue };
            match target.create(&path, &bytes) {
                Err(error) if !error.is_exists() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(target.sync()?)
    }

    /// Copies checkpoint `sequence` to replica `index` from the others. If it is damaged in all of them, that is only a
    /// note. `known` are objects that the replica is known to have.
    ///
    /// Fails if the system refuses to read the checkpoint, which may be intact, or to write to the replica, and with
    /// [`StoreError::Diverged`] if the replica has another checkpoint with that number.
    fn copy_checkpoint(
        &self,
        index: usize,
        sequence: Sequence,
        known: &mut HashSet<ObjectName>,
        copied: &mut Copied,
    ) -> Result<(), StoreError> {
        let target = &self.replicas[index];
        let others = self.others(index);
        let left_out = |error: StoreError| {
            if error.is_inconclusive() {
                return Err(error);
            }
            let is_listed = |&other: &usize| self.replicas[other].sequences().is_ok_and(|it| it.contains(&sequence));
            // Otherwise it was pruned meanwhile, in a replica that is lost and was not locked.
            if others.iter().any(is_listed) {
                let (place, reason) = (self.replicas[index].place(), in_one_line(&error));
                self.health.note(StoreNote::LeftOut { place, sequence, reason });
            }
            Ok(())
        };
        let (committed, yaml, objects) = match self.read_whole(&others, sequence) {
            Ok(read) => read,
            Err(error) => return left_out(error),
        };
        for &object in objects.iter().filter(|object| !known.contains(&object.object)).collect::<Vec<_>>() {
            let bytes = match self.first_good(&others, |replica| replica.object(object)) {
                Ok(bytes) => bytes,
                Err(error) => return left_out(error),
            };
            if target.put(object.object, &bytes)? {
                copied.bytes += object.bytes;
            }
            known.insert(object.object);
        }
        target.sync()?;
        let sums = layout::sums_text(objects.iter().map(|object| object.object), committed.sha256);
        let files = [(MANIFEST_FILE, &yaml[..]), (SUMS_FILE, sums.as_bytes())];
        match target.commit(sequence, &files) {
            Ok(()) => copied.checkpoints += 1,
            // Another process was faster: a repair, or another run without locks.
            Err(StorageError::Exists { .. }) => {
                let [own, others] = [target.manifest(&self.file, sequence)?, committed].map(|committed| Branch {
                    place: String::new(),
                    sha256: Some(committed.sha256),
                    checkpoints: vec![sequence],
                });
                if own.sha256 != others.sha256 {
                    let branches = [Branch { place: target.place(), ..own }, Branch { place: self.place(), ..others }];
                    return Err(Fork { shared: None, sequence: Some(sequence), branches }.error());
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

    /// Writes the checksum list of the newest checkpoint of each replica in object storage that does not have it: its
    /// writer died after it had committed the manifest.
    pub(super) fn complete_sums(&self) -> Result<(), StoreError> {
        for index in self.sound().into_iter().filter(|&index| self.replicas[index].is_remote()) {
            let replica = &self.replicas[index];
            let Some(&newest) = replica.sequences()?.last() else { continue };
            let path = layout::sums(newest);
            match replica.size(&path) {
                Err(error) if error.is_not_found() => {}
                _ => continue,
            }
            // A damaged checkpoint is left to a repair.
            let Ok((committed, _, objects)) = self.read_whole(&[index], newest) else { continue };
            let sums = layout::sums_text(objects.iter().map(|object| object.object), committed.sha256);
            replica.storage().replace(&path, sums.as_bytes())?;
        }
        Ok(())
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

    /// Fails if two of `replicas` diverged. Replicas that cannot be read are lost.
    pub(super) fn check_one_history(&self, replicas: &[usize]) -> Result<(), StoreError> {
        let mut readable = replicas.to_vec();
        loop {
            let compared: Vec<Replica> = readable.iter().map(|&index| self.replicas[index].clone()).collect();
            match forks(&self.file, &compared) {
                Ok(forks) => return forks.into_iter().next().map_or(Ok(()), |fork| Err(fork.error())),
                Err((_, error)) if self.replicas.len() == 1 => return Err(error),
                Err((position, error)) => self.lose(readable.remove(position), &error),
            }
        }
    }
}
