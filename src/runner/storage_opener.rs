//! How a run opens the store and the replicas that a job file names.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::storage::Storage;
use crate::storage::place;

/// Opens the storage at a path. This is a directory or a bucket, unless a program that embeds the runner provides
/// another kind.
#[derive(Clone)]
pub struct StorageOpener(Arc<Open>);

type Open = dyn Fn(&Path) -> Arc<dyn Storage> + Send + Sync;

impl StorageOpener {
    /// Makes an opener that calls `open`. The same path must always give the same storage.
    pub fn new(open: impl Fn(&Path) -> Arc<dyn Storage> + Send + Sync + 'static) -> StorageOpener {
        StorageOpener(Arc::new(open))
    }

    pub fn open(&self, path: &Path) -> Arc<dyn Storage> {
        (self.0)(path)
    }
}

impl Default for StorageOpener {
    fn default() -> StorageOpener {
        StorageOpener::new(place::open)
    }
}

impl fmt::Debug for StorageOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageOpener")
    }
}
