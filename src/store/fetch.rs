//! Reading what is committed, from the first replica that has it intact.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::format::index;
use crate::format::manifest::ObjectRef;
use crate::store::error::StoreError;
use crate::store::health::StoreNote;
use crate::store::replica::Replica;
use crate::store::root::Committed;
use crate::store::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::parallel;

impl Store {
    /// Returns the numbers of the committed checkpoints, ascending. Anything but a checkpoint directory is skipped.
    ///
    /// A checkpoint that any replica has is committed. Fails if no replica can be listed.
    pub fn sequences(&self) -> Result<Vec<Sequence>, StoreError> {
        let mut all = BTreeSet::new();
        let (mut failed, mut listed) = (Vec::new(), None);
        for index in self.reading_order() {
            match self.replicas[index].sequences() {
                Ok(sequences) => {
                    all.extend(sequences);
                    listed.get_or_insert(index);
                }
                Err(error) => failed.push((index, error)),
            }
        }
        let Some(listed) = listed else {
            return Err(failed.swap_remove(0).1);
        };
        for (index, error) in failed {
            self.fell_back(index, &error, listed);
        }
        Ok(all.into_iter().collect())
    }

    /// Returns the highest number that was given to a checkpoint, as far as is known: a replica that is behind may know
    /// from its history that another one, which is away, has newer checkpoints.
    ///
    /// Fails if the system refuses to read the history, which may name one.
    pub fn newest_number(&self) -> Result<Option<Sequence>, StoreError> {
        let newest = self.sequences()?.pop();
        // A single place was ahead of all others, and to read its history would take many requests.
        if self.is_remote() && self.replicas.len() == 1 {
            return Ok(newest);
        }
        let named = match self.history() {
            Err(error) if error.is_inconclusive() => return Err(error),
            // A history that is damaged names nothing.
            history => history.unwrap_or_default().newest_named(),
        };
        Ok(newest.max(named))
    }

    /// Reads the manifest of checkpoint `sequence`, and checks that it is the one that was committed and has this store
    /// and number.
    ///
    /// Fails with [`StoreError::NoCheckpoint`] if no replica has a directory with that number. A directory without a
    /// manifest is damage: a [`StoreError::Storage`] that the file does not exist.
    pub fn manifest(&self, sequence: Sequence) -> Result<Committed, StoreError> {
        let read = |replica: &Replica| match replica.manifest(&self.file, sequence) {
            Err(error) if error.is_not_found() => match replica.sequences()?.contains(&sequence) {
                // It may just have been brought back.
                true => replica.manifest(&self.file, sequence),
                // A replica that does not have the checkpoint yet is behind, not damaged.
                false => Err(StoreError::NoCheckpoint { place: self.place(), sequence }),
            },
            read => read,
        };
        match self.first_good(&self.reading_order(), read) {
            // Whatever a replica has that cannot be read: the others had it pruned.
            Err(error) if error.is_inconclusive() && self.is_pruned(sequence) => {
                Err(StoreError::NoCheckpoint { place: self.place(), sequence })
            }
            read => read,
        }
    }

    /// Tells whether the history says why a checkpoint is gone, and no replica that can be listed has it.
    fn is_pruned(&self, sequence: Sequence) -> bool {
        self.sequences().is_ok_and(|sequences| !sequences.contains(&sequence))
            && self.history().is_ok_and(|history| history.departures().of(sequence).is_some())
    }

    /// Returns the bytes of the manifest that `committed` was read from.
    ///
    /// Fails with [`StoreError::ManifestDamaged`] if they have changed since, and with [`StoreError::NoCheckpoint`] if
    /// the checkpoint was removed since.
    pub fn manifest_bytes(&self, committed: &Committed) -> Result<Bytes, StoreError> {
        let read = self.first_good(&self.reading_order(), |replica| replica.manifest_bytes(committed));
        read.map_err(|error| self.unless_removed(committed.manifest.sequence, error))
    }

    /// Returns the newest committed checkpoint, if there is any. One that cannot be read is an error; it is never
    /// skipped.
    pub fn latest(&self) -> Result<Option<Committed>, StoreError> {
        self.newest(|sequence| self.manifest(sequence))
    }

    /// Returns the latest checkpoint as [`Store::latest`] does, unless it is `known`, which was the latest one when the caller
    /// looked before.
    ///
    /// The checkpoints before it are not listed: a store that several workers share may have very many.
    pub fn latest_after(&self, known: Option<&Committed>) -> Result<Option<Committed>, StoreError> {
        let Some(known) = known else { return self.latest() };
        let is_other = |latest: &Committed| latest.sha256 != known.sha256;
        if let [replica] = &self.replicas[..] {
            let newest = replica.newest_after(known.manifest.sequence)?.unwrap_or(known.manifest.sequence);
            match self.manifest(newest) {
                // It was pruned since it was listed.
                Err(StoreError::NoCheckpoint { .. }) => {}
                read => return read.map(|latest| Some(latest).filter(is_other)),
            }
        }
        Ok(self.latest()?.filter(is_other))
    }

    /// Returns the latest checkpoint as [`Store::latest`] does, or the error of [`Store::check_present`].
    pub fn latest_present(&self) -> Result<Option<Committed>, StoreError> {
        self.newest(|sequence| {
            let committed = self.manifest(sequence)?;
            self.check_present(&committed)?;
            Ok(committed)
        })
    }

    fn newest(
        &self,
        read: impl Fn(Sequence) -> Result<Committed, StoreError>,
    ) -> Result<Option<Committed>, StoreError> {
        let mut newest = self.sequences()?.pop();
        while let Some(sequence) = newest {
            match read(sequence) {
                // It was pruned since it was listed: there is a newer one.
                Err(error @ StoreError::NoCheckpoint { .. }) => match self.sequences()?.pop() {
                    again if again == newest => return Err(error),
                    again => newest = again,
                },
                read => return read.map(Some),
            }
        }
        Ok(None)
    }

    /// Returns the bytes of `object`, verified.
    ///
    /// Fails with [`StoreError::Damaged`] if they are not what its name and size promise, without reading more than
    /// that size. Memory is bounded by the actual size of the file, whatever size is promised.
    pub fn object(&self, object: ObjectRef) -> Result<Bytes, StoreError> {
        self.first_good(&self.reading_order(), |replica| replica.object(object))
    }

    /// Returns the bytes of an object that checkpoint `sequence` needs, as [`Store::object`] does.
    ///
    /// Fails with [`StoreError::NoCheckpoint`] if the checkpoint was removed while it was read: its objects are deleted
    /// afterwards, so a missing one is not damage.
    pub fn object_of(&self, sequence: Sequence, object: ObjectRef) -> Result<Bytes, StoreError> {
        self.object(object).map_err(|error| self.unless_removed(sequence, error))
    }

    /// Copies an object that checkpoint `sequence` needs: `append` gets its bytes one piece after another. Returns the
    /// copy of a replica whose bytes turned out to be intact.
    ///
    /// `begin` begins the copy, and begins it again if the bytes that were copied turn out to be damaged. On a disk this
    /// takes memory for one piece, whatever the size of the object. Fails as [`Store::object_of`] does.
    pub fn copy_object_of<C>(
        &self,
        sequence: Sequence,
        object: ObjectRef,
        begin: impl Fn() -> C,
        append: impl Fn(&mut C, &[u8]),
    ) -> Result<C, StoreError> {
        let copy = |replica: &Replica| {
            let mut copy = begin();
            replica.scan_object(object, &mut |piece| append(&mut copy, piece))?;
            Ok(copy)
        };
        self.first_good(&self.reading_order(), copy).map_err(|error| self.unless_removed(sequence, error))
    }

    /// Returns `error`, by which reading checkpoint `sequence` failed, or [`StoreError::NoCheckpoint`] if the checkpoint
    /// does not exist any more.
    fn unless_removed(&self, sequence: Sequence, error: StoreError) -> StoreError {
        let is_removed = || self.sequences().is_ok_and(|listed| listed.binary_search(&sequence).is_err());
        match error.is_inconclusive() || !is_removed() {
            true => error,
            false => StoreError::NoCheckpoint { place: self.place(), sequence },
        }
    }

    /// Fails if an object of a checkpoint is missing or has another size, or with [`StoreError::NoCheckpoint`] if the
    /// checkpoint does not exist any more. Reads the index, and no other object.
    pub fn check_present(&self, committed: &Committed) -> Result<(), StoreError> {
        let sequence = committed.manifest.sequence;
        self.find_objects(committed).map_err(|error| self.unless_removed(sequence, error))
    }

    fn find_objects(&self, committed: &Committed) -> Result<(), StoreError> {
        // A replica that does not have the checkpoint yet is behind, not damaged.
        let has_it = |index: &usize| {
            if self.replicas.len() == 1 {
                return true;
            }
            let listed = self.replicas[*index].sequences();
            listed.is_ok_and(|listed| listed.binary_search(&committed.manifest.sequence).is_ok())
        };
        let order: Vec<usize> = self.reading_order().into_iter().filter(has_it).collect();
        let table = committed.manifest.tables.index;
        let bytes = self.first_good(&order, |replica| replica.object(table))?;
        let rows = index::decode(bytes).map_err(|source| StoreError::Index { object: table.object, source })?;
        let objects = committed.manifest.objects(&rows);
        let checked = parallel::map_on(self.readers(), &objects, |&object| {
            self.first_good(&order, |replica| replica.check_size(object))
        });
        checked.into_iter().collect()
    }

    /// Asks `replicas` one after another, and notes which could not answer. If none has a good answer, returns the
    /// first error that leaves open whether a replica has one; otherwise the first that says more than that something
    /// does not exist.
    pub(super) fn first_good<T>(
        &self,
        replicas: &[usize],
        read: impl Fn(&Replica) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut failed: Vec<(usize, StoreError)> = Vec::new();
        for &index in replicas {
            match read(&self.replicas[index]) {
                Ok(good) => {
                    for (other, error) in &failed {
                        self.fell_back(*other, error, index);
                    }
                    return Ok(good);
                }
                Err(error) => failed.push((index, error)),
            }
        }
        // A replica that was not read may be intact. Damage says more than a missing file, and that says more than a
        // missing checkpoint.
        let rank = |error: &StoreError| match error {
            error if error.is_inconclusive() => 0,
            error if error.is_not_found() => 2,
            StoreError::NoCheckpoint { .. } => 3,
            _ => 1,
        };
        let worst = failed.into_iter().min_by_key(|(_, error)| rank(error)).map(|(_, error)| error);
        Err(worst.unwrap_or_else(|| StoreError::NoStore { place: self.place() }))
    }

    /// Notes that replica `index` failed where `other` did not. A lost replica, or one that is behind, was reported.
    fn fell_back(&self, index: usize, error: &StoreError, other: usize) {
        if self.health.lost(index).is_some() || matches!(error, StoreError::NoCheckpoint { .. }) {
            return;
        }
        let path = match error {
            StoreError::Damaged { path, .. }
            | StoreError::ManifestDamaged { path, .. }
            | StoreError::SumsDamaged { path }
            | StoreError::Manifest { path, .. }
            | StoreError::Mismatch { path, .. } => path.clone(),
            StoreError::Storage(error) => error.path().to_owned(),
            _ => self.replicas[index].place(),
        };
        let place = self.replicas[other].place();
        self.health.note(StoreNote::FellBack { path, reason: in_one_line(error), place });
    }
}
