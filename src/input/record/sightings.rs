//! Which of the requested fields any record has had.

use std::sync::atomic::{AtomicBool, Ordering};

/// Which of the requested fields any record has had. Several extractors share it.
#[derive(Debug)]
pub struct Sightings {
    /// By field, in the order of the request.
    seen: Vec<AtomicBool>,
    has_records: AtomicBool,
}

impl Sightings {
    /// Starts with `count` fields, none of which was seen.
    pub fn new(count: usize) -> Sightings {
        Sightings { seen: (0..count).map(|_| AtomicBool::new(false)).collect(), has_records: AtomicBool::new(false) }
    }

    /// Returns whether there were good records, and field `index` was null in all of them.
    pub fn is_absent(&self, index: usize) -> bool {
        self.has_records.load(Ordering::Relaxed) && !self.seen[index].load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn see(&self, index: usize) {
        self.seen[index].store(true, Ordering::Relaxed);
    }

    pub(super) fn see_record(&self) {
        self.has_records.store(true, Ordering::Relaxed);
    }
}
