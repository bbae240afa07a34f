//! How a run reaches the places that a job file names.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::storage::Storage;
use crate::storage::local::LocalStorage;

/// Makes the storage of a place from its path: a directory, unless a program that has the runner built in brings another kind.
#[derive(Clone)]
pub struct Places(Arc<Open>);

type Open = dyn Fn(&Path) -> Arc<dyn Storage> + Send + Sync;

impl Places {
    /// Reaches every place through `open`. The same path gives the same place.
    pub fn new(open: impl Fn(&Path) -> Arc<dyn Storage> + Send + Sync + 'static) -> Places {
        Places(Arc::new(open))
    }

    /// Returns the storage at `path`.
    pub fn open(&self, path: &Path) -> Arc<dyn Storage> {
        (self.0)(path)
    }
}

impl Default for Places {
    fn default() -> Places {
        Places::new(|path| Arc::new(LocalStorage::new(path)))
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}
