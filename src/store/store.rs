//! The store itself: its replicas, and which of them can be used.

use std::iter;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::format::store_file::StoreFile;
use crate::storage::Storage;
use crate::store::error::StoreError;
use crate::store::health::{Health, StoreNote};
use crate::store::replica::Replica;
use crate::values::error_chain::in_one_line;
use crate::values::parallel;

/// How long [`Store::lock_prune`] waits by default for other processes, which are usually done in a moment.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How many small files are read at once in object storage.
const REMOTE_READERS: usize = 32;

/// How many objects are read at once in object storage.
const REMOTE_OBJECT_READERS: usize = 8;

/// How many objects are put at once in object storage.
const REMOTE_WRITERS: usize = 32;

/// The checkpoints of one job.
#[derive(Debug, Clone)]
pub struct Store {
    /// The content of `store.yaml`.
    pub file: StoreFile,
    /// Places that should be replicas and cannot be used.
    pub unavailable: Vec<Unavailable>,
    /// Replicas that [`Store::branch`] left out, and why.
    pub not_read: Vec<(String, String)>,
    /// Why the list of its replicas could not be used.
    pub(super) places_unread: Option<Arc<StoreError>>,
    /// How long to wait for another process that prunes, pins or copies.
    pub patience: Duration,
    /// In the order of reading; at least one.
    pub(super) replicas: Vec<Replica>,
    /// How many replicas a commit needs.
    pub(super) min_copies: usize,
    /// The order in which replicas are committed to, the same for all writers: the first decides who gets a number.
    pub(super) order: Vec<usize>,
    pub(super) health: Arc<Health>,
    /// Whether other workers may commit at the same time, see [`Store::open_for_group`].
    pub(super) is_shared: bool,
}

/// A place that should be a replica and cannot be used as one.
#[derive(Debug, Clone)]
pub struct Unavailable {
    pub storage: Arc<dyn Storage>,
    pub error: Arc<StoreError>,
}

impl Store {
    /// Makes a store of replicas that are known to belong to it; a commit needs all of them.
    ///
    /// # Panics
    ///
    /// If `replicas` is empty.
    pub fn new(file: StoreFile, replicas: Vec<Arc<dyn Storage>>) -> Store {
        assert!(!replicas.is_empty(), "a store has at least one replica");
        let (min_copies, order) = (replicas.len(), (0..replicas.len()).collect());
        let replicas = replicas.into_iter().map(Replica::new).collect();
        let (unavailable, not_read, places_unread) = (Vec::new(), Vec::new(), None);
        let (patience, health) = (PATIENCE, Arc::default());
        let is_shared = false;
        Store { file, unavailable, not_read, places_unread, patience, replicas, min_copies, order, health, is_shared }
    }

    /// Returns the replicas, the one that is read first at the front.
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// Returns how many threads read small files at once: in object storage they wait most of the time.
    pub fn readers(&self) -> usize {
        if self.is_remote() { REMOTE_READERS } else { parallel::thread_count() }
    }

    /// Returns how many small files are read at once in `storage`: on a disk one after another.
    pub(super) fn readers_of(&self, storage: &dyn Storage) -> usize {
        if storage.file_system().is_none() { REMOTE_READERS } else { 1 }
    }

    /// Returns how many threads read objects at once, each of which may be large.
    pub fn object_readers(&self) -> usize {
        if self.is_remote() { REMOTE_OBJECT_READERS } else { parallel::thread_count() }
    }

    /// Returns how many objects a caller puts at once. A disk flushes no faster if it gets several.
    pub fn writers(&self) -> usize {
        if self.is_remote() { REMOTE_WRITERS } else { 1 }
    }

    /// Tells whether a replica is in object storage.
    pub fn is_remote(&self) -> bool {
        self.replicas.iter().any(Replica::is_remote)
    }

    /// Returns where the store is, for messages: the place of the first replica.
    pub fn place(&self) -> String {
        self.replicas[0].place()
    }

    /// Returns the first note about a file that was read from another replica since notes were taken, and how many such
    /// files there are.
    pub fn read_elsewhere(&self) -> Option<(StoreNote, u64)> {
        self.health.read_elsewhere()
    }

    /// Returns the notes since the last call: files that were read from another replica than the first, replicas that
    /// were lost or have caught up.
    pub fn take_notes(&self) -> Vec<StoreNote> {
        self.health.take_notes()
    }

    /// Returns the places that cannot be written to, and why.
    pub fn lost(&self) -> Vec<(String, String)> {
        self.health.all_lost().into_iter().map(|(index, reason)| (self.replicas[index].place(), reason)).collect()
    }

    /// Returns the places that the store is kept in and that could not be written to or cannot be used at all, and why.
    /// No note reports them anymore.
    pub fn take_away(&self) -> Vec<(String, String)> {
        self.health.drop_lost_notes();
        let absent = self.unavailable.iter().map(|absent| (absent.storage.place(), in_one_line(&absent.error)));
        self.lost().into_iter().chain(absent).collect()
    }

    /// Returns the store reduced to the replicas that are not lost now, for work that is done in all of them or in
    /// none.
    pub fn without_lost(&self) -> Store {
        let sound = self.sound();
        if sound.is_empty() {
            return self.clone();
        }
        let position = |index: &usize| sound.iter().position(|other| other == index);
        let order = self.order.iter().filter_map(position).collect();
        let replicas: Vec<Arc<dyn Storage>> =
            sound.iter().map(|&index| self.replicas[index].storage().clone()).collect();
        let min_copies = self.min_copies.min(replicas.len());
        Store { min_copies, order, patience: self.patience, ..Store::new(self.file.clone(), replicas) }
    }

    /// Returns the store without replica `index`, for readers.
    pub(super) fn without(&self, index: usize) -> Store {
        let mut rest = self.clone();
        rest.replicas.remove(index);
        rest.order.retain(|&other| other != index);
        rest.order.iter_mut().filter(|other| **other > index).for_each(|other| *other -= 1);
        // What is known of replicas is known by index.
        Store { health: Arc::default(), ..rest }
    }

    /// Returns the storages of all replicas, lost or not.
    pub(super) fn storages(&self) -> impl Iterator<Item = &dyn Storage> {
        self.replicas.iter().map(|replica| replica.storage().as_ref())
    }

    /// Returns the indexes of the replicas that can be written to.
    pub(super) fn sound(&self) -> Vec<usize> {
        let lost = self.health.all_lost();
        (0..self.replicas.len()).filter(|index| !lost.contains_key(index)).collect()
    }

    /// Returns the indexes of all replicas in the order in which they are read: lost ones come last.
    pub(super) fn reading_order(&self) -> Vec<usize> {
        let lost = self.health.all_lost();
        let mut order: Vec<usize> = (0..self.replicas.len()).collect();
        order.sort_by_key(|index| lost.contains_key(index));
        order
    }

    /// Marks a replica as one that cannot be written to until it has caught up.
    pub(super) fn lose(&self, index: usize, error: &StoreError) {
        self.health.lose(index, self.replicas[index].place(), in_one_line(error));
    }

    /// Marks a replica as lost if another is left to work with; otherwise returns the error.
    pub(super) fn lose_unless_last(&self, index: usize, error: StoreError) -> Result<(), StoreError> {
        if self.sound().iter().all(|&other| other == index) {
            return Err(error);
        }
        self.lose(index, &error);
        Ok(())
    }

    /// Calls `act` with the storage of each replica that can be written to, one after another. One that refuses is lost,
    /// unless it is the last. A full disk is an error.
    pub(super) fn on_each(
        &self,
        mut act: impl FnMut(&dyn Storage) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.on_each_replica(|replica| act(replica.storage().as_ref()))
    }

    /// Does the same with each replica.
    pub(super) fn on_each_replica(
        &self,
        mut act: impl FnMut(&Replica) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for index in self.sound() {
            match act(&self.replicas[index]) {
                Err(error) if error.is_refusal() => self.lose_unless_last(index, error)?,
                done => done?,
            }
        }
        Ok(())
    }

    /// Calls `act` with the index of every replica that can be written to, and marks those as lost that fail.
    ///
    /// Fails if fewer are left than a commit needs; with the replica's own error if there is only one.
    pub(super) fn on_sound<T: Send>(
        &self,
        act: impl Fn(usize, &Replica) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        let sound = self.sound();
        let mut done = Vec::new();
        for (&index, outcome) in sound.iter().zip(at_once(&sound, |&index| act(index, &self.replicas[index]))) {
            match outcome {
                Ok(value) => done.push(value),
                Err(error) if self.replicas.len() == 1 => return Err(error),
                Err(error) => self.lose(index, &error),
            }
        }
        self.check_copies(done.len())?;
        Ok(done)
    }

    /// Fails if `copies` are too few, and names a replica that is not among them.
    pub(super) fn check_copies(&self, copies: usize) -> Result<(), StoreError> {
        if copies >= self.min_copies {
            return Ok(());
        }
        let absent = self.unavailable.iter().map(|absent| (absent.storage.place(), in_one_line(&absent.error)));
        let lost = self.lost().into_iter().chain(absent).next();
        let (place, reason) = lost.unwrap_or_else(|| (self.place(), "there is no other".to_owned()));
        Err(StoreError::TooFewCopies { place, reason, copies, min_copies: self.min_copies })
    }
}

/// Calls `act` with each item, at the same time if there are several, and returns the results in order.
pub(super) fn at_once<I: Sync, T: Send>(items: &[I], act: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let [first, others @ ..] = items else { return Vec::new() };
    let act = &act;
    thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|item| scope.spawn(move || act(item))).collect();
        let first = act(first);
        let others =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        iter::once(first).chain(others).collect()
    })
}
