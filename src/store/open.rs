//! Opening and creating: which of the places are the store.

use std::sync::Arc;

use crate::format::FORMAT;
use crate::format::layout;
use crate::format::manifest::Manifest;
use crate::format::replicas_file::ReplicasFile;
use crate::format::store_file::StoreFile;
use crate::storage::Storage;
use crate::store::replica::Replica;
use crate::store::{Store, StoreError, StoreLock, each};

/// A place that should be a replica and can not be used as one.
#[derive(Debug, Clone)]
pub struct Unavailable {
    /// The place.
    pub storage: Arc<dyn Storage>,
    /// What is wrong with it.
    pub error: Arc<StoreError>,
}

impl Store {
    /// Opens the store that is at `replicas`, which must be one and the same.
    ///
    /// Fails with [`StoreError::NoStore`] for the first replica that has no `store.yaml`, with
    /// [`StoreError::Mismatch`] for one that is of another store.
    ///
    /// # Panics
    ///
    /// When `replicas` is empty.
    pub fn open(replicas: Vec<Arc<dyn Storage>>) -> Result<Store, StoreError> {
        assert!(!replicas.is_empty(), "a store has at least one replica");
        let files: Vec<StoreFile> = read_store_files(&replicas).into_iter().collect::<Result<_, _>>()?;
        let file = files[0].clone();
        for (other, storage) in files.iter().zip(&replicas).skip(1) {
            check_same(storage.as_ref(), &file, other)?;
        }
        Ok(Store::new(file, replicas))
    }

    /// Opens the store at as many of `places` as can be opened; the others are [`Store::unavailable`].
    ///
    /// `places` are in the order that is the same for all who write, `preferred` is the one that is read first, and a
    /// commit needs `min_copies` of them. Fails with the preferred place's error when none can be opened.
    ///
    /// # Panics
    ///
    /// When `preferred` is none of the places.
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
            match read.and_then(|other| check_same(storage.as_ref(), &file, &other)) {
                Ok(()) => available.push((index, storage)),
                Err(error) => unavailable.push(Unavailable { storage, error: Arc::new(error) }),
            }
        }
        // The order of writing as positions in the order of reading.
        available.sort_by_key(|(index, _)| *index != preferred);
        let mut order: Vec<usize> = (0..available.len()).collect();
        order.sort_by_key(|&position| available[position].0);
        let replicas = available.into_iter().map(|(_, storage)| storage).collect();
        Ok(Store { unavailable, min_copies, order, ..Store::new(file, replicas) })
    }

    /// Creates a store at `replicas`.
    ///
    /// Fails with [`StoreError::StoreExists`] where there is one, also when several create it at once: the first
    /// replica decides. A crash may leave the store in the first replicas only.
    ///
    /// # Panics
    ///
    /// When `replicas` is empty.
    pub fn create(replicas: Vec<Arc<dyn Storage>>, file: StoreFile) -> Result<Store, StoreError> {
        assert!(!replicas.is_empty(), "a store has at least one replica");
        let store = Store::new(file, replicas);
        for index in 0..store.replicas.len() {
            store.replica(index).check_no_store()?;
        }
        for index in 0..store.replicas.len() {
            store.replica(index).create_store(&store.file)?;
        }
        Ok(store)
    }

    /// Opens the store that is at `places` for a run, locks it, and makes its replicas equal.
    ///
    /// A place that holds no store becomes one: a new disk, or the first replica after it was lost. What a place lacks
    /// of the newest checkpoints is copied to it, see [`Store::catch_up`]. A place that can not be read or written is
    /// lost, which is a note as long as `min_copies` are left.
    ///
    /// Fails with [`StoreError::NoStore`] when no place holds a store and all could be looked at, with
    /// [`StoreError::Mismatch`] when two hold different ones, with [`StoreError::Busy`] when somebody else writes to
    /// one, with [`StoreError::SamePlace`] when two are one directory, and with [`StoreError::Diverged`] when two hold
    /// different checkpoints of one number.
    ///
    /// # Panics
    ///
    /// When `places` is empty.
    pub fn open_for_writing(
        places: Vec<Arc<dyn Storage>>,
        min_copies: usize,
        holder: &str,
    ) -> Result<(Store, StoreLock), StoreError> {
        assert!(!places.is_empty(), "a store has at least one replica");
        let read = read_store_files(&places);
        let Some(file) = read.iter().find_map(|read| read.as_ref().ok()).cloned() else {
            // A place that can not be read may hold the store.
            let (none, unreadable): (Vec<_>, Vec<_>) = read.into_iter().filter_map(Result::err).partition(is_no_store);
            return Err(unreadable.into_iter().chain(none).next().expect("there are places, and each has an error"));
        };
        let store = Store { min_copies, ..Store::new(file, places) };
        let mut empty = Vec::new();
        for (index, read) in read.into_iter().enumerate() {
            match read {
                Ok(other) => check_same(store.replicas[index].as_ref(), &store.file, &other)?,
                Err(error) if is_no_store(&error) => empty.push(index),
                Err(error) => store.lose(index, &error),
            }
        }
        let lock = store.lock(holder)?;
        for &index in &empty {
            if store.health.lost(index).is_none()
                && let Err(error) = store.replica(index).create_store(&store.file)
            {
                store.lose(index, &error);
            }
        }
        store.level(&empty)?;
        Ok((store, lock))
    }

    /// Reads which places the store at `storage` is kept in, if it says so.
    pub fn places(storage: &dyn Storage) -> Option<ReplicasFile> {
        let bytes = storage.get(&layout::replicas_file(), Manifest::MAX_BYTES).ok()?;
        ReplicasFile::from_yaml(&bytes).ok()
    }

    /// Notes in every replica which `places` the store is kept in, so that all can be found from each. One place alone
    /// needs no note.
    pub fn set_places(&self, places: Vec<String>) -> Result<(), StoreError> {
        let alone = places.len() == 1;
        let file = ReplicasFile { format: FORMAT, min_copies: self.min_copies, places };
        let done = self.on_sound(|replica| match Store::places(replica.storage()) {
            Some(known) if known == file && !alone => Ok(()),
            None if alone => Ok(()),
            _ if alone => Ok(replica.storage().delete(&layout::replicas_file())?),
            _ => Ok(replica.storage().replace(&layout::replicas_file(), file.to_yaml().as_bytes())?),
        });
        done.map(drop)
    }
}

/// Decides which of the store files that were read counts: the first in `order`, unless they contradict each other and
/// a later one is what the newest checkpoint beside it says.
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
        let replica = Replica::new(places[index].as_ref());
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
    each(&places.iter().collect::<Vec<_>>(), |replica| replica.store_file())
}

/// Checks that `other`, found at `storage`, is of the store that `file` describes.
fn check_same(storage: &dyn Storage, file: &StoreFile, other: &StoreFile) -> Result<(), StoreError> {
    let replica = Replica::new(storage);
    replica.check(&layout::store_file(), "store", &file.store, &other.store)?;
    replica.check(&layout::store_file(), "job", &file.job, &other.job)
}

fn is_no_store(error: &StoreError) -> bool {
    matches!(error, StoreError::NoStore { .. })
}
