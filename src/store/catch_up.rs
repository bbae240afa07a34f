//! Making replicas equal: what one lacks of the newest checkpoints is copied to it from the others.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::format::index;
use crate::format::layout::{self, MANIFEST_FILE, ObjectName, SUMS_FILE};
use crate::format::manifest::ObjectRef;
use crate::storage::{Storage, StorageError};
use crate::store::{Committed, Store, StoreError, StoreNote};
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// The most that is copied of an event or a pin, in bytes.
const MAX_MARK_BYTES: u64 = 1 << 20;

/// How far one replica is behind the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The replica.
    pub place: String,
    /// Its newest checkpoint.
    pub newest: Option<Sequence>,
    /// How many newer ones the others have; nothing when it can not be told.
    pub behind: Option<u64>,
    /// Why the replica can not be used, if so.
    pub error: Option<String>,
}

/// What a replica was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Checkpoints.
    pub checkpoints: u64,
    /// Bytes of objects.
    pub bytes: u64,
}

impl Store {
    /// Tells for each place of the store how far it is behind.
    pub fn lags(&self) -> Vec<Lag> {
        let listed: Vec<_> = (0..self.replicas.len()).map(|index| self.replica(index).sequences()).collect();
        let all: BTreeSet<Sequence> = listed.iter().flatten().flatten().copied().collect();
        let lag = |(storage, listed): (&Arc<dyn Storage>, _)| {
            let place = storage.place();
            match listed {
                Ok::<Vec<Sequence>, StoreError>(listed) => {
                    let newest = listed.last().copied();
                    let behind = all.iter().filter(|&&sequence| Some(sequence) > newest).count() as u64;
                    Lag { place, newest, behind: Some(behind), error: None }
                }
                Err(error) => Lag { place, newest: None, behind: None, error: Some(in_one_line(&error)) },
            }
        };
        let absent = self.unavailable.iter().map(|absent| Lag {
            place: absent.storage.place(),
            newest: None,
            behind: None,
            error: Some(in_one_line(&absent.error)),
        });
        self.replicas.iter().zip(listed).map(lag).chain(absent).collect()
    }

    /// Brings back the replicas that were lost, as far as they are there again: each gets every checkpoint that is
    /// newer than its own, the objects first, and counts again once it has all.
    ///
    /// A replica that is still not there, or fails meanwhile, stays lost; that is no error.
    pub fn catch_up(&self) {
        for index in self.health.all_lost().into_keys() {
            let back = self.is_back(index).and_then(|()| {
                self.check_one_history(&[&self.sound()[..], &[index]].concat())?;
                self.bring_up(index)
            });
            if let Ok(copied) = back {
                self.found(index, copied, false);
            }
        }
    }

    /// Makes all replicas equal, for who holds [`Store::lock`] and is about to commit: what one lacks below the next checkpoint no run would copy.
    ///
    /// Fails with [`StoreError::Diverged`] when two of them hold different checkpoints of one number.
    pub fn make_equal(&self) -> Result<(), StoreError> {
        self.level(&[])
    }

    /// Makes all replicas equal. Those in `empty` were no store before.
    pub(super) fn level(&self, empty: &[usize]) -> Result<(), StoreError> {
        self.check_one_history(&self.sound())?;
        for index in self.sound() {
            match self.bring_up(index) {
                Ok(copied) if empty.contains(&index) || copied != Copied::default() => {
                    self.found(index, copied, empty.contains(&index));
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
        let own = self.replica(index).sequences()?;
        let newest = own.last().copied();
        let mut lacking = BTreeSet::new();
        for other in self.others(index) {
            // One that can not be listed has nothing to give.
            let listed = self.replica(other).sequences().unwrap_or_default();
            lacking.extend(listed.into_iter().filter(|&sequence| Some(sequence) > newest));
        }
        let mut copied = Copied::default();
        // Checkpoints share most of their objects: what was there or was copied once is not looked at again.
        let mut known = HashSet::new();
        for sequence in lacking {
            self.copy_checkpoint(index, sequence, &mut known, &mut copied)?;
        }
        self.copy_marks(index, layout::HISTORY)?;
        self.copy_marks(index, layout::PINS)?;
        Ok(copied)
    }

    /// Copies the files in `directory` that replica `index` lacks: what was noted down while it was away.
    fn copy_marks(&self, index: usize, directory: &'static str) -> Result<(), StoreError> {
        let directory = layout::directory(directory);
        let target = &self.replicas[index];
        let mut own: BTreeSet<String> = target.list(Some(&directory))?.into_iter().map(|entry| entry.name).collect();
        for other in self.others(index) {
            let source = &self.replicas[other];
            // One that can not be listed or read has nothing to give.
            for entry in source.list(Some(&directory)).unwrap_or_default() {
                let is_mark = layout::parse_event(&entry.name).is_some() || layout::parse_pin(&entry.name).is_some();
                let Ok(path) = directory.join(&entry.name) else { continue };
                if !is_mark || own.contains(&entry.name) {
                    continue;
                }
                let Ok(bytes) = source.get(&path, MAX_MARK_BYTES) else { continue };
                match target.create(&path, &bytes) {
                    Err(error) if !error.is_exists() => return Err(error.into()),
                    _ => drop(own.insert(entry.name)),
                }
            }
        }
        Ok(target.sync()?)
    }

    /// Copies checkpoint `sequence` to replica `index` from the others, unless it is whole in none of them, which is a
    /// note. `known` are objects that the replica is known to have.
    ///
    /// Fails when the replica can not be written to, and with [`StoreError::Diverged`] when it has another checkpoint
    /// of that number.
    pub(super) fn copy_checkpoint(
        &self,
        index: usize,
        sequence: Sequence,
        known: &mut HashSet<ObjectName>,
        copied: &mut Copied,
    ) -> Result<(), StoreError> {
        let target = self.replica(index);
        let others = self.others(index);
        let left_out = |error: &StoreError| {
            let is_listed = |&other: &usize| self.replica(other).sequences().is_ok_and(|it| it.contains(&sequence));
            // Else it was pruned meanwhile.
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
            // Somebody else was faster: a repair, or another run without locks.
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

    /// Reads a checkpoint's manifest and index from `replicas`: what it is, the manifest's bytes, and all its objects,
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

    /// Checks that a replica which was lost is there, is of this store, and is nobody else's.
    fn is_back(&self, index: usize) -> Result<(), StoreError> {
        self.replicas[index].reopen();
        let file = self.replica(index).store_file()?;
        let replica = self.replica(index);
        replica.check(&layout::store_file(), "store", &self.file.store, &file.store)?;
        self.lock_again(index)
    }

    fn found(&self, index: usize, copied: Copied, new: bool) {
        self.health.find(index);
        self.health.note(StoreNote::CaughtUp {
            place: self.replicas[index].place(),
            new,
            checkpoints: copied.checkpoints,
            bytes: copied.bytes,
        });
    }

    /// Fails when two of `replicas` hold different checkpoints of one number, or one holds another parent than a
    /// checkpoint of another one names.
    ///
    /// Looks at the newest checkpoint of each and at those that any has above the least of these: every manifest
    /// names the one before it by its SHA-256, so what is below is equal as well.
    fn check_one_history(&self, replicas: &[usize]) -> Result<(), StoreError> {
        let mut listed = Vec::new();
        for &index in replicas {
            match self.replica(index).sequences() {
                Ok(sequences) => listed.push((index, sequences)),
                Err(error) if self.replicas.len() == 1 => return Err(error),
                Err(error) => self.lose(index, &error),
            }
        }
        let Some(least) = listed.iter().filter_map(|(_, sequences)| sequences.last()).min().copied() else {
            return Ok(());
        };
        if listed.len() == 1 {
            return Ok(());
        }
        let mut said: BTreeMap<Sequence, (Digest, usize)> = BTreeMap::new();
        for (index, sequences) in listed {
            for sequence in sequences.into_iter().filter(|&sequence| sequence >= least) {
                // One that can not be read says nothing; whoever needs it will be told.
                let Ok(committed) = self.replica(index).manifest(&self.file, sequence) else { continue };
                let parent = committed.manifest.parent.map(|parent| (parent.sequence, parent.sha256));
                for (sequence, sha256) in [Some((sequence, committed.sha256)), parent].into_iter().flatten() {
                    let (known, by) = *said.entry(sequence).or_insert((sha256, index));
                    if known != sha256 {
                        let (place, other) = (self.replicas[by].place(), self.replicas[index].place());
                        return Err(StoreError::Diverged { sequence, place, other });
                    }
                }
            }
        }
        Ok(())
    }
}
