//! Writing: objects first, then the checkpoint that names them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;

use crate::format::layout::{self, CHECKPOINTS, MANIFEST_FILE, ObjectKind, ObjectName, PRUNED, SUMS_FILE};
use crate::format::limits::MAX_SUMS_BYTES;
use crate::format::manifest::{Manifest, ObjectRef};
use crate::store::error::StoreError;
use crate::store::replica::Replica;
use crate::store::root::Committed;
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::lock::lock;
use crate::values::parallel;
use crate::values::relpath::RelPath;

/// The outcome of putting bytes into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    pub object: ObjectRef,
    /// Whether the object did not exist before.
    pub new: bool,
}

/// Objects that did not exist where they were put.
#[derive(Debug, Clone, Default)]
pub struct Created {
    /// The replicas in which each was created.
    objects: BTreeMap<ObjectName, BTreeSet<usize>>,
}

impl Created {
    /// Adds what `other` has.
    pub fn merge(&mut self, other: Created) {
        for (object, places) in other.objects {
            self.objects.entry(object).or_default().extend(places);
        }
    }

    /// Forgets the objects that `keep` does not name.
    pub fn retain(&mut self, keep: impl Fn(&ObjectName) -> bool) {
        self.objects.retain(|object, _| keep(object));
    }
}

impl Store {
    /// Puts `bytes` into every replica as an object. An object that exists and is intact is not written again; a
    /// damaged one is moved to `damaged/NAME.1`, `.2` and so on, and a good one is written.
    ///
    /// Objects are durable only once [`Store::commit`] has returned. A replica that fails is lost, which is a note as
    /// long as enough are left, and an error otherwise.
    pub fn put(&self, bytes: &[u8], kind: ObjectKind) -> Result<Put, StoreError> {
        let object = ObjectName { digest: Digest::of(bytes), kind };
        let written = self.on_sound(|_, replica| replica.put(object, bytes))?;
        let object = ObjectRef { object, bytes: bytes.len() as u64 };
        Ok(Put { object, new: written.into_iter().any(|written| written) })
    }

    /// Makes existing objects that the caller's next checkpoint needs as new as those that it puts.
    ///
    /// A caller that holds [`Store::lock`] and builds on an older checkpoint than the latest, which alone is never
    /// pruned, calls this first: nothing that is new is deleted while that lock is held. A replica from which the older
    /// checkpoint was pruned gets the objects that it is missing from the others. Those that none has are skipped. Fails
    /// if an object is missing and it is not known whether another replica has it.
    pub fn take_over(&self, objects: &[ObjectName]) -> Result<(), StoreError> {
        let take_over = |_, replica: &Replica| -> Result<(), StoreError> {
            let readers = if replica.is_remote() { self.readers() } else { 1 };
            let taken = parallel::map_on(readers, objects, |&object| self.take_over_in(replica, object));
            taken.into_iter().collect()
        };
        self.on_sound(take_over).map(drop)
    }

    fn take_over_in(&self, replica: &Replica, object: ObjectName) -> Result<(), StoreError> {
        if replica.take_over(object)? {
            return Ok(());
        }
        let mut unknown = None;
        for other in &self.replicas {
            match other.intact_object(object) {
                Ok(Some(bytes)) => return replica.put(object, &bytes).map(drop),
                Ok(None) => {}
                Err(error) => unknown = Some(error),
            }
        }
        unknown.map_or(Ok(()), Err)
    }

    /// Keeps objects that the caller has put, and that no checkpoint names yet, from being pruned, and makes sure that they
    /// exist: asks the place itself, whatever a cache has. When the first of them was put, the caller knew that checkpoint
    /// `since` existed.
    ///
    /// Where there are locks, they are as new afterward as those that are put now. In object storage, their age cannot be
    /// changed. But a prune deletes only what is five minutes older than the latest checkpoint. So if that is at most a
    /// minute younger than `since`, no prune can have deleted any of them, and one request is enough for all. Fails with an error
    /// that says [`StoreError::is_not_found`] if an object is gone.
    pub fn keep(&self, objects: &[ObjectRef], since: Option<Sequence>) -> Result<(), StoreError> {
        let keep = |_, replica: &Replica| -> Result<(), StoreError> {
            if !replica.is_remote() {
                return objects.iter().try_for_each(|&object| replica.keep(object));
            }
            if !objects.is_empty() && since.map_or(Ok(false), |since| replica.spares_since(since))? {
                return Ok(());
            }
            let checked = parallel::map_on(self.readers(), objects, |&object| replica.check_size(object));
            checked.into_iter().collect()
        };
        self.on_sound(keep).map(drop)
    }

    /// Does the same as [`Store::put`], and notes in `created` where the object did not exist before, even if it fails.
    pub fn put_noted(&self, bytes: &[u8], kind: ObjectKind, created: &mut Created) -> Result<ObjectRef, StoreError> {
        let object = ObjectName { digest: Digest::of(bytes), kind };
        let created = Mutex::new(created);
        let put = self.on_sound(|index, replica| {
            if replica.put(object, bytes)? {
                let mut created = lock(&created);
                created.objects.entry(object).or_default().insert(index);
            }
            Ok(())
        });
        put.map(|_| ObjectRef { object, bytes: bytes.len() as u64 })
    }

    /// Puts several objects as [`Store::put_noted`] does, in object storage at once.
    pub fn put_all_noted(
        &self,
        objects: &[(&[u8], ObjectKind)],
        created: &mut Created,
    ) -> Result<Vec<ObjectRef>, StoreError> {
        let put = parallel::map_on(self.writers(), objects, |&(bytes, kind)| {
            let mut created = Created::default();
            (self.put_noted(bytes, kind, &mut created), created)
        });
        let put = put.into_iter().map(|(put, new)| {
            created.merge(new);
            put
        });
        // All of them are noted, even if one failed.
        put.collect::<Vec<_>>().into_iter().collect()
    }

    /// Deletes the objects that were created, each where it was created, unless a checkpoint there names them: another
    /// process may have repaired one. What cannot be deleted is left to the next prune.
    ///
    /// The caller holds [`Store::lock`], and knows that none of its own checkpoints names them.
    pub fn discard(&self, created: Created) {
        let holder = self.health.holder().unwrap_or_default();
        for index in self.sound() {
            let of_replica = created.objects.iter().filter(|(_, places)| places.contains(&index));
            let objects: Vec<ObjectName> = of_replica.map(|(object, _)| *object).collect();
            // Without locks, only the sweep of a prune can tell what nobody needs.
            if objects.is_empty() || self.replicas[index].is_remote() {
                continue;
            }
            let Ok(_lock) = self.lock_prune_in(&[index], Some(index), &holder) else { continue };
            let replica = &self.replicas[index];
            let Some(named) = named_objects(replica) else { continue };
            for object in objects.iter().filter(|object| !named.contains(object)) {
                let _ = replica.storage().delete(&object.path());
            }
        }
    }

    /// Fails if fewer replicas can be written to than a commit needs.
    pub fn check_sound(&self) -> Result<(), StoreError> {
        self.check_copies(self.sound().len())
    }

    /// Flushes every object that was put, so that [`Store::commit`] has only its own files left to flush.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.on_sound(|_, replica| replica.sync()).map(drop)
    }

    /// Commits a checkpoint: flushes what was put, then puts its directory in place in every replica that is not lost.
    ///
    /// `objects` are all that the checkpoint needs; the tables that the manifest names may be left out. `SHA256SUMS`
    /// lists them, sorted by name, then the manifest. After a crash at any time each replica has all of the checkpoint
    /// or nothing of it; [`Store::open_for_writing`] makes the replicas equal again.
    ///
    /// Fails with [`StoreError::NumberTaken`] if the number is taken: the first replica that can be written to decides.
    /// Fails with [`StoreError::TooFewCopies`] if too many replicas are lost on the way; some of them may have the
    /// checkpoint by then.
    pub fn commit(&self, manifest: &Manifest, objects: &[ObjectName]) -> Result<Committed, StoreError> {
        self.put_checkpoint(manifest.sequence, manifest.to_yaml().as_bytes(), objects, true)
    }

    /// Commits checkpoint `sequence` with exactly these bytes as its manifest, which another copy of the store has
    /// committed: the chain of hashes stays intact.
    ///
    /// Everything else is as with [`Store::commit`]. The checkpoint's parent need not exist.
    pub fn adopt(&self, sequence: Sequence, manifest: &[u8], objects: &[ObjectName]) -> Result<Committed, StoreError> {
        self.put_checkpoint(sequence, manifest, objects, false)
    }

    /// Confirms a checkpoint that was committed without an answer: fails if its number was not free, see
    /// [`Store::commit`].
    pub fn confirm(&self, committed: &Committed) -> Result<(), StoreError> {
        let (sequence, sha256) = (committed.manifest.sequence, committed.sha256);
        self.on_sound(|index, _| self.confirm_in(index, sequence, sha256)).map(drop)
    }

    /// Confirms that the number of checkpoint `sequence`, which was just committed in replica `index`, was never used
    /// before, where nothing is locked. Otherwise its writer slept while others committed and pruned, until the number
    /// was free again; the checkpoint is then taken back.
    ///
    /// The latest checkpoint is never pruned. So a number that was used before has a newer one after it, and the history
    /// names the checkpoint that had it.
    fn confirm_in(&self, index: usize, sequence: Sequence, sha256: Digest) -> Result<(), StoreError> {
        let replica = &self.replicas[index];
        if replica.is_remote() && replica.has_newer(sequence)? {
            return self.confirm_number(index, sequence, sha256);
        }
        Ok(())
    }

    /// Does the same where a checkpoint with a higher number exists.
    fn confirm_number(&self, index: usize, sequence: Sequence, sha256: Digest) -> Result<(), StoreError> {
        let replica = &self.replicas[index];
        match self.history()?.departures().of(sequence) {
            Some(departure) if departure.sha256 != Some(sha256) => {
                replica.storage().delete(&layout::manifest(sequence))?;
                replica.storage().delete(&layout::sums(sequence))?;
                Err(StoreError::NumberTaken { sequence })
            }
            _ => Ok(()),
        }
    }

    /// Puts a checkpoint in place. A new one builds on another one, whose objects it shares.
    fn put_checkpoint(
        &self,
        sequence: Sequence,
        manifest: &[u8],
        objects: &[ObjectName],
        is_new: bool,
    ) -> Result<Committed, StoreError> {
        // Nothing is written that could not be read again.
        let read = self.replicas[0].check_manifest(&self.file, sequence, manifest)?;
        // Only a later replica may know the number, if the first has lost the checkpoint. A single one needs no question
        // where a commit refuses a taken number by itself.
        if self.replicas.len() > 1 || !self.is_remote() {
            let free = self.on_sound(|_, replica| match replica.check_free(sequence) {
                Err(StoreError::NumberTaken { .. }) => Ok(false),
                checked => checked.map(|()| true),
            })?;
            if free.contains(&false) {
                return Err(StoreError::NumberTaken { sequence });
            }
        }
        self.sync()?;
        let sha256 = Digest::of(manifest);
        let sums = sums(&read, objects, sha256);
        let files = [(MANIFEST_FILE, manifest), (SUMS_FILE, sums.as_bytes())];
        // What is not the latest may be pruned at any time.
        let base = builds_on(&read).filter(|base| is_new && self.is_remote() && base.next() != sequence);
        let _hold = base.map(|base| self.hold(base, read.created)).transpose()?;
        let sound = self.sound();
        let mut copies = 0;
        for &index in self.order.iter().filter(|index| sound.contains(index)) {
            let replica = &self.replicas[index];
            let committed = match is_new {
                true if self.is_shared && !replica.is_remote() => {
                    replica.commit_after_all(sequence, &files).map(|()| false)
                }
                true => replica.commit_and_look(sequence, manifest, sums.as_bytes()),
                false => replica.commit(sequence, &files).map(|()| false).map_err(StoreError::from),
            };
            let confirm = |has_newer| if has_newer { self.confirm_number(index, sequence, sha256) } else { Ok(()) };
            match committed.and_then(confirm) {
                Ok(()) => copies += 1,
                Err(StoreError::Storage(error)) if error.is_exists() && copies == 0 => {
                    return Err(self.taken_in(index, sequence));
                }
                Err(error) if error.is_taken() && copies == 0 => return Err(self.taken_in(index, sequence)),
                Err(error) if self.replicas.len() == 1 => return Err(error),
                Err(error) => self.lose(index, &error),
            }
        }
        self.check_copies(copies)?;
        Ok(Committed { manifest: read, sha256 })
    }
}

/// Returns the checkpoint whose objects a new one shares.
fn builds_on(manifest: &Manifest) -> Option<Sequence> {
    manifest.restored_from.or(manifest.parent.map(|parent| parent.sequence))
}

/// Returns the objects that the checkpoints of a replica need, even pruned ones; nothing if that is unknown.
fn named_objects(replica: &Replica) -> Option<HashSet<ObjectName>> {
    let mut named = HashSet::new();
    for (directory, dir_of) in
        [(CHECKPOINTS, layout::checkpoint_dir as fn(Sequence) -> RelPath), (PRUNED, layout::pruned_dir)]
    {
        for sequence in replica.sequences_in(directory).ok()? {
            let path = layout::file_in(&dir_of(sequence), SUMS_FILE);
            let sums = replica.get(&path, MAX_SUMS_BYTES).ok()?;
            named.extend(layout::parse_sums(&sums)?.0);
        }
    }
    Some(named)
}

/// Returns the content of `SHA256SUMS`, as `sha256sum` writes it, with paths relative to the checkpoint's directory.
fn sums(manifest: &Manifest, objects: &[ObjectName], sha256: Digest) -> String {
    let own = manifest.own_objects().map(|own| own.object);
    let names: BTreeSet<ObjectName> = objects.iter().copied().chain(own).collect();
    layout::sums_text(names, sha256)
}
