//! Opening and creating a store: which of the places belong to it.

use std::sync::Arc;
use std::time::Duration;

use crate::format::FORMAT;
use crate::format::layout;
use crate::format::manifest::Manifest;
use crate::format::replicas_file::ReplicasFile;
use crate::format::store_file::StoreFile;
use crate::storage::{Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::lock::StoreLock;
use crate::store::replica::Replica;
use crate::store::store::{PATIENCE, Store, Unavailable, at_once};

impl Store {
    /// Opens the store at `replicas`, which must all be of the same store.
    ///
    /// Fails with [`StoreError::NoStore`] for the first replica that has no `store.yaml`, and with
    /// [`StoreError::Mismatch`] for one of another store.
    ///
    /// # Panics
    ///
    /// If `replicas` is empty.
    pub fn open(replicas: Vec<Arc<dyn Storage>>) -> Result<Store, StoreError> {
        assert!(!replicas.is_empty(), "a store has at least one replica");
        let files: Vec<StoreFile> = read_store_files(&replicas).into_iter().collect::<Result<_, _>>()?;
        let file = files[0].clone();
        let store = Store::new(file, replicas);
        for (other, replica) in files.iter().zip(&store.replicas) {
            replica.check_store_file(&store.file, other)?;
        }
        Ok(store)
    }

    /// Opens the store at as many of `places` as possible; the others are [`Store::unavailable`].
    ///
    /// `places` are in the order that is the same for all writers, `preferred` is the index of the one that is read
    /// first, and a commit needs `min_copies` of them. Fails with the preferred place's error if none can be opened.
    ///
    /// # Panics
    ///
    /// If `preferred` is not an index of `places`.
    pub fn open_available(
        places: Vec<Arc<dyn Storage>>,
        preferred: usize,
        min_copies: usize,
    ) -> Result<Store, StoreError> {
        let mut read = read_store_files(&places);
        let order: Vec<usize> = iter_from(preferred, read.len()).collect();
        let Some(file) = choose_file(&places, &read, &order) else {
            return Err(read.swap_remove(preferred).expect_err("none was read"));
        };
        let mut available = Vec::new();
        let mut unavailable = Vec::new();
        for (index, (storage, read)) in places.into_iter().zip(read).enumerate() {
            let replica = Replica::new(storage.clone());
            match read.and_then(|other| replica.check_store_file(&file, &other)) {
                Ok(()) => available.push((index, storage)),
                Err(error) => unavailable.push(Unavailable { storage, error: Arc::new(error) }),
            }
        }
        // The order of writing, as indexes into the order of reading.
        available.sort_by_key(|(index, _)| *index != preferred);
        let mut order: Vec<usize> = (0..available.len()).collect();
        order.sort_by_key(|&position| available[position].0);
        let replicas = available.into_iter().map(|(_, storage)| storage).collect();
        Ok(Store { unavailable, min_copies, order, ..Store::new(file, replicas) })
    }

    /// Creates a store at `replicas`.
    ///
    /// Fails with [`StoreError::StoreExists`] if one of them holds a store, even if several processes create it at
    /// once: the first replica decides. A crash may leave the store in the first replicas only.
    ///
    /// # Panics
    ///
    /// If `replicas` is empty.
    pub fn create(replicas: Vec<Arc<dyn Storage>>, file: StoreFile) -> Result<Store, StoreError> {
        let store = Store::new(file, replicas);
        store.replicas.iter().try_for_each(Replica::check_no_store)?;
        // A server that is refused gets no store.
        store.replicas.iter().try_for_each(|replica| replica.storage().probe())?;
        store.replicas.iter().try_for_each(|replica| replica.create_store(&store.file))?;
        Ok(store)
    }

    /// Opens the store at `places` for a run, locks it, and makes its replicas equal.
    ///
    /// A place without a store becomes a replica: a new disk, or the first replica after it was lost. It gets the
    /// newest checkpoints that it is missing, see [`Store::catch_up`]. A place that cannot be read or written is lost,
    /// which is only a note as long as `min_copies` are left.
    ///
    /// Fails with [`StoreError::NoStore`] if every place was readable and none holds a store, with
    /// [`StoreError::Mismatch`] if two hold different stores, with [`StoreError::Busy`] if another process writes to
    /// one, with [`StoreError::SamePlace`] if two are the same directory, with [`StoreError::Diverged`] if two hold
    /// different checkpoints with the same number, and with [`StoreError::CheckpointsLost`] if no place has a checkpoint
    /// although one was committed. Then nothing is created.
    ///
    /// # Panics
    ///
    /// If `places` is empty.
    pub fn open_for_writing(
        places: Vec<Arc<dyn Storage>>,
        min_copies: usize,
        holder: &str,
    ) -> Result<(Store, StoreLock), StoreError> {
        Store::open_for_writing_within(places, min_copies, holder, PATIENCE)
    }

    /// Does the same, and waits at most for `patience` for a process that prunes.
    pub fn open_for_writing_within(
        places: Vec<Arc<dyn Storage>>,
        min_copies: usize,
        holder: &str,
        patience: Duration,
    ) -> Result<(Store, StoreLock), StoreError> {
        let (mut store, empty) = Store::open_for_run(places, min_copies)?;
        store.patience = patience;
        let lock = store.lock(holder)?;
        store.prepare(&empty)?;
        Ok((store, lock))
    }

    /// Opens the store at `place` for one of several workers, see [`Store::lock_shared`].
    pub fn open_for_group(place: Arc<dyn Storage>, holder: &str) -> Result<(Store, StoreLock), StoreError> {
        let (mut store, _) = Store::open_for_run(vec![place], 1)?;
        store.is_shared = true;
        let lock = store.lock_shared(holder)?;
        store.replicas.iter().for_each(|replica| replica.objects_lock().wait_as_worker());
        store.prepare(&[])?;
        Ok((store, lock))
    }

    /// Makes the replicas equal, and creates the store in those that are `empty`.
    fn prepare(&self, empty: &[usize]) -> Result<(), StoreError> {
        // A run that is refused creates nothing.
        self.check_one_history(&self.sound())?;
        for &index in empty {
            if self.health.lost(index).is_none()
                && let Err(error) = self.replicas[index].create_store(&self.file)
            {
                self.lose(index, &error);
            }
        }
        self.level(empty)?;
        self.complete_sums()
    }

    /// Opens the store at `places` as [`Store::open_for_writing`] does, but writes nothing and takes no lock. A place
    /// that a run could not write to is lost.
    ///
    /// Fails if a run would, except that another process may be writing to the store.
    pub fn examine(places: Vec<Arc<dyn Storage>>, min_copies: usize) -> Result<Store, StoreError> {
        let (store, _) = Store::open_for_run(places, min_copies)?;
        for index in store.sound() {
            let replica = &store.replicas[index];
            let is_usable = replica.storage().check_writable().map_err(StoreError::from);
            match is_usable.and_then(|()| known_places(replica)) {
                Err(error) if store.replicas.len() == 1 => return Err(error),
                Err(error) => store.lose(index, &error),
                Ok(_) => {}
            }
        }
        store.check_one_history(&store.sound())?;
        store.check_sound()?;
        Ok(store)
    }

    /// Returns the store at `places`, and the indexes of those that do not hold it yet.
    fn open_for_run(places: Vec<Arc<dyn Storage>>, min_copies: usize) -> Result<(Store, Vec<usize>), StoreError> {
        assert!(!places.is_empty(), "a store has at least one replica");
        let read = read_store_files(&places);
        let Some(file) = read.iter().find_map(|read| read.as_ref().ok()).cloned() else {
            // A place that cannot be read may hold the store.
            let (none, unreadable): (Vec<_>, Vec<_>) = read.into_iter().filter_map(Result::err).partition(is_no_store);
            return Err(unreadable.into_iter().chain(none).next().expect("there are places, and each has an error"));
        };
        let store = Store { min_copies, ..Store::new(file, places) };
        let mut empty = Vec::new();
        for (index, read) in read.into_iter().enumerate() {
            match read {
                Ok(other) => store.replicas[index].check_store_file(&store.file, &other)?,
                Err(error) if is_no_store(&error) => empty.push(index),
                Err(error) => store.lose(index, &error),
            }
        }
        // Before a lock makes the directory of a place that does not hold it yet.
        store.check_not_lost()?;
        Ok((store, empty))
    }

    /// Reads which places the store of `replica` is kept in, if it has a list of them.
    ///
    /// Fails if the list cannot be read or is damaged: the store may have replicas.
    pub fn places(replica: &Replica) -> Result<Option<ReplicasFile>, StoreError> {
        let path = layout::replicas_file();
        let bytes = match replica.get(&path, Manifest::MAX_BYTES) {
            Err(StorageError::NotFound { .. } | StorageError::NotADirectory { .. }) => return Ok(None),
            read => replica.bounded(&path, read)?,
        };
        ReplicasFile::from_yaml(&bytes).map(Some).map_err(|source| replica.unreadable(&path, source))
    }

    /// Writes into every replica which `places` the store is kept in, so that all can be found from each. A single
    /// place needs no list.
    pub fn set_places(&self, places: Vec<String>) -> Result<(), StoreError> {
        let alone = places.len() == 1;
        let file = ReplicasFile { format: FORMAT, min_copies: self.min_copies, places };
        let done = self.on_sound(|_, replica| match known_places(replica)? {
            Known::Places(known) if known == file && !alone => Ok(()),
            Known::None if alone => Ok(()),
            _ if alone => Ok(replica.storage().delete(&layout::replicas_file())?),
            _ => Ok(replica.storage().replace(&layout::replicas_file(), file.to_yaml().as_bytes())?),
        });
        done.map(drop)
    }
}

/// What a replica says about the places of its store.
enum Known {
    None,
    Places(ReplicasFile),
    /// A run writes it again.
    Damaged,
}

/// Reads the list of a replica. Fails if it was not read, or is of a later version: it may be right.
fn known_places(replica: &Replica) -> Result<Known, StoreError> {
    match Store::places(replica) {
        Ok(places) => Ok(places.map_or(Known::None, Known::Places)),
        Err(error) if error.is_inconclusive() || error.is_of_later_version() => Err(error),
        Err(_) => Ok(Known::Damaged),
    }
}

/// Chooses one of the store files that were read: the first in `order`, unless they contradict each other and the
/// newest checkpoint beside a later one confirms that one.
fn choose_file(
    places: &[Arc<dyn Storage>],
    read: &[Result<StoreFile, StoreError>],
    order: &[usize],
) -> Option<StoreFile> {
    let files: Vec<(usize, &StoreFile)> =
        order.iter().filter_map(|&index| Some((index, read[index].as_ref().ok()?))).collect();
    let (_, first) = files.first()?;
    let same = |other: &StoreFile| (&other.store, &other.job) == (&first.store, &first.job);
    if files.iter().all(|(_, other)| same(other)) {
        return Some((*first).clone());
    }
    let is_confirmed = |index: usize, file: &StoreFile| {
        let replica = Replica::new(places[index].clone());
        let newest = replica.sequences().ok().and_then(|sequences| sequences.last().copied());
        newest.is_some_and(|newest| replica.manifest(file, newest).is_ok())
    };
    let confirmed = files.iter().find(|(index, file)| is_confirmed(*index, file));
    Some(confirmed.map_or(*first, |(_, file)| *file).clone())
}

/// Returns all numbers below `count`, `first` first.
fn iter_from(first: usize, count: usize) -> impl Iterator<Item = usize> {
    std::iter::once(first).chain((0..count).filter(move |&index| index != first))
}

fn read_store_files(places: &[Arc<dyn Storage>]) -> Vec<Result<StoreFile, StoreError>> {
    at_once(places, |place| Replica::new(place.clone()).store_file())
}

fn is_no_store(error: &StoreError) -> bool {
    matches!(error, StoreError::NoStore { .. })
}
