//! The partition that each stream of a run belongs to.

use std::sync::{Arc, PoisonError, RwLock};

/// The partition that each stream of a run belongs to. Streams can be added during the run.
#[derive(Debug, Default)]
pub struct StreamNames(RwLock<Vec<Arc<str>>>);

impl StreamNames {
    /// Returns the list of the streams at the start of the run.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> StreamNames {
        StreamNames(RwLock::new(names.map(Arc::from).collect()))
    }

    /// Adds the next stream.
    pub fn push(&self, name: Arc<str>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    /// Returns the partition of stream `number`.
    ///
    /// # Panics
    ///
    /// If there is no such stream.
    pub fn get(&self, number: u32) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)[number as usize])
    }
}
