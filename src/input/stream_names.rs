//! The partition that each stream of a run belongs to.

use std::sync::{Arc, RwLock};

use crate::values::lock::{read, write};

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
        write(&self.0).push(name);
    }

    /// Returns the partition of stream `number`.
    ///
    /// # Panics
    ///
    /// If there is no such stream.
    pub fn get(&self, number: u32) -> Arc<str> {
        Arc::clone(&read(&self.0)[number as usize])
    }
}
