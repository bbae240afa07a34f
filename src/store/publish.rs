//! Writing: objects first, then the checkpoint that names them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::format::layout::{self, MANIFEST_FILE, ObjectKind, ObjectName, SUMS_FILE};
use crate::format::manifest::{Manifest, ObjectRef};
use crate::store::replica::Replica;
use crate::store::{Committed, Put, Store, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Objects that were put where they had not been before.
#[derive(Debug, Clone, Default)]
pub struct Created {
    /// The replicas in which each was created.
    objects: BTreeMap<ObjectName, BTreeSet<usize>>,
}

impl Created {
    /// Forgets the objects that `keep` does not name.
    pub fn retain(&mut self, keep: impl Fn(&ObjectName) -> bool) {
        self.objects.retain(|object, _| keep(object));
    }
}

impl Store {
    /// Puts `bytes` into every replica under their name. Bytes that are there already, and intact, are not written
    /// again; damaged ones are set aside as `damaged/NAME.1`, `.2` and so on, and good ones written.
    ///
    /// They are there for good only once [`Store::commit`] has returned. A replica that fails is lost, which is a note
    /// as long as enough are left, and an error otherwise.
    pub fn put(&self, bytes: &[u8], kind: ObjectKind) -> Result<Put, StoreError> {
        let object = ObjectName { digest: Digest::of(bytes), kind };
        let written = self.on_sound(|replica| replica.put(object, bytes))?;
        let object = ObjectRef { object, bytes: bytes.len() as u64 };
        Ok(Put { object, new: written.into_iter().any(|written| written) })
    }

    /// Makes objects that are there, and that the caller's next checkpoint needs, as new as those that it puts.
    ///
    /// Who holds [`Store::lock`] and goes on from another checkpoint than the latest, which alone is never pruned,
    /// calls this first: what is new is not deleted while that lock is held. Objects that are not there are passed
    /// over.
    pub fn take_over(&self, objects: &[ObjectName]) -> Result<(), StoreError> {
        let take_over = |replica: Replica<'_>| -> Result<(), StoreError> {
            objects.iter().try_for_each(|object| replica.take_over(&object.path()).map(drop))
        };
        self.on_sound(take_over).map(drop)
    }

    /// Does what [`Store::put`] does, and notes in `created` where the object was not there before, also when it fails.
    pub fn put_noted(&self, bytes: &[u8], kind: ObjectKind, created: &mut Created) -> Result<ObjectRef, StoreError> {
        let object = ObjectName { digest: Digest::of(bytes), kind };
        let sound = self.sound();
        let written: Vec<AtomicBool> = self.replicas.iter().map(|_| AtomicBool::new(false)).collect();
        let put = self.on_sound(|replica| {
            let is_new = replica.put(object, bytes)?;
            let index = self.replicas.iter().position(|other| std::ptr::eq(other.as_ref(), replica.storage()));
            written[index.expect("it is one of them")].store(is_new, Ordering::Relaxed);
            Ok(())
        });
        for index in sound.into_iter().filter(|&index| written[index].load(Ordering::Relaxed)) {
            created.objects.entry(object).or_default().insert(index);
        }
        put.map(|_| ObjectRef { object, bytes: bytes.len() as u64 })
    }

    /// Removes the objects that were created, each where it was. What can not be removed is left to the next prune.
    ///
    /// The caller holds [`Store::lock`], so that no checkpoint of anybody else names them, and knows that none of its own does.
    pub fn discard(&self, created: Created) {
        let sound = self.sound();
        for (object, places) in created.objects {
            for index in places.into_iter().filter(|index| sound.contains(index)) {
                let _ = self.replicas[index].delete(&object.path());
            }
        }
    }

    /// Fails when fewer replicas can be written to than a commit needs.
    pub fn check_sound(&self) -> Result<(), StoreError> {
        self.check_copies(self.sound().len())
    }

    /// Makes every object that was put last, so that [`Store::commit`] has only its own files left to flush.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.on_sound(|replica| replica.sync()).map(drop)
    }

    /// Commits a checkpoint: flushes what was put, then puts its directory in place in every replica that is not lost.
    ///
    /// `objects` are all that the checkpoint needs; the tables that the manifest names are among them, given or not.
    /// `SHA256SUMS` lists them, sorted by name, then the manifest. After a crash at any time the checkpoint is there
    /// whole or not at all in each replica; [`Store::open_for_writing`] makes the replicas equal again.
    ///
    /// Fails with [`StoreError::NumberTaken`] when the number is not free: the first replica that can be written to
    /// decides. Fails with [`StoreError::TooFewCopies`] when too many replicas are lost on the way; the checkpoint may
    /// be in some of them by then.
    pub fn commit(&self, manifest: &Manifest, objects: &[ObjectName]) -> Result<Committed, StoreError> {
        self.adopt(manifest.sequence, manifest.to_yaml().as_bytes(), objects)
    }

    /// Commits checkpoint `sequence` with exactly these bytes as its manifest: those that another copy of the store has
    /// committed, so that the chain of hashes stays whole.
    ///
    /// All else is as with [`Store::commit`]. The checkpoint's parent need not be there.
    pub fn adopt(&self, sequence: Sequence, manifest: &[u8], objects: &[ObjectName]) -> Result<Committed, StoreError> {
        // What could not be read again is not written.
        let read = self.replica(0).check_manifest(&self.file, sequence, manifest)?;
        // The number may be known to a later replica only, when the first has lost it.
        let free = self.on_sound(|replica| match replica.check_free(sequence) {
            Err(StoreError::NumberTaken { .. }) => Ok(false),
            checked => checked.map(|()| true),
        })?;
        if free.contains(&false) {
            return Err(StoreError::NumberTaken { sequence });
        }
        self.sync()?;
        let sha256 = Digest::of(manifest);
        let sums = sums(&read, objects, sha256);
        let files = [(SUMS_FILE, sums.as_bytes()), (MANIFEST_FILE, manifest)];
        let sound = self.sound();
        let mut copies = 0;
        for &index in self.order.iter().filter(|index| sound.contains(index)) {
            match self.replica(index).commit(sequence, &files) {
                Ok(()) => copies += 1,
                Err(error) if error.is_exists() && copies == 0 => return Err(StoreError::NumberTaken { sequence }),
                Err(error) if self.replicas.len() == 1 => return Err(error.into()),
                Err(error) => self.lose(index, &error.into()),
            }
        }
        self.check_copies(copies)?;
        Ok(Committed { manifest: read, sha256 })
    }
}

/// Returns what `SHA256SUMS` holds, as `sha256sum` writes it, with paths relative to the checkpoint's directory.
fn sums(manifest: &Manifest, objects: &[ObjectName], sha256: Digest) -> String {
    let tables = &manifest.tables;
    let tables = [tables.index, tables.positions, tables.job].map(|table| table.object);
    let names: BTreeSet<ObjectName> = objects.iter().copied().chain(tables).collect();
    layout::sums_text(names, sha256)
}
