//! `objects.lock`: it keeps one process from deleting objects that another one is taking over.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use crate::storage::{LockGuard, StorageError};
use crate::store::error::StoreError;
use crate::store::health::StoreNote;
use crate::values::lock::lock;

/// How long it is waited for. It is never held for long, but its holder may be asleep.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a worker that waits longer says so.
const NOTE_AFTER: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(2);

/// Passes on a note about a lock that is waited for.
pub(super) type Report = Arc<dyn Fn(StoreNote) + Send + Sync>;

/// How the processes of a replica take its `objects.lock`: what all clones of the replica know.
#[derive(Clone, Default)]
pub(super) struct ObjectsLock(Arc<Mutex<Holder>>);

#[derive(Default)]
struct Holder {
    /// How this process describes itself, for others that wait.
    name: String,
    /// Whether it is one of several workers, which wait for each other.
    is_worker: bool,
    report: Option<Report>,
}

impl fmt::Debug for ObjectsLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectsLock")
    }
}

impl ObjectsLock {
    /// Says who this process is, unless that is known.
    pub(super) fn name(&self, name: &str) {
        let mut holder = lock(&self.0);
        if holder.name.is_empty() {
            holder.name = name.to_owned();
        }
    }

    /// Says that it is one of several workers.
    pub(super) fn wait_as_worker(&self) {
        lock(&self.0).is_worker = true;
    }

    /// Lets `report` have a note when it is waited for longer than a few seconds.
    pub(super) fn report_to(&self, report: &Report) {
        lock(&self.0).report = Some(Arc::clone(report));
    }

    /// Takes it with `try_lock`, which is given the name of this process. Returns nothing where there are no locks.
    ///
    /// The system lets go of the lock when its holder dies, but not while the holder is stopped. A worker waits for that as
    /// long as it takes: when its holder wakes up, all continue, and nobody could commit before. Anyone else fails with
    /// [`StorageError::Held`], which names the holder, after a minute.
    pub(super) fn take(
        &self,
        try_lock: impl Fn(&str) -> Result<Option<Box<dyn LockGuard>>, StorageError>,
    ) -> Result<Option<Box<dyn LockGuard>>, StoreError> {
        let (name, is_worker, report) = {
            let holder = lock(&self.0);
            (holder.name.clone(), holder.is_worker, holder.report.clone())
        };
        let begun = Instant::now();
        let mut report = report.filter(|_| is_worker);
        loop {
            match try_lock(&name) {
                Ok(guard) => return Ok(guard),
                Err(StorageError::Held { path, holder }) if is_worker || begun.elapsed() < PATIENCE => {
                    if let Some(report) = report.take_if(|_| begun.elapsed() >= NOTE_AFTER) {
                        report(StoreNote::Waits { path, holder });
                    }
                    thread::sleep(PAUSE);
                }
                // No space for it: a prune also spares, by age, what a run may need.
                Err(error) if error.is_full() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
