//! One sorted stream of rows out of a chain of segments.

use crate::format::rows::{Row, RowBatch};
use crate::format::segment::TableError;

/// Merges sorted streams; where several have a key, the newest decides.
pub struct Merge<S> {
    _sources: Vec<S>,
}

impl<S: Iterator<Item = Result<RowBatch, TableError>>> Merge<S> {
    /// Merges `sources`, given from the oldest to the newest.
    pub fn new(sources: Vec<S>) -> Merge<S> {
        Merge { _sources: sources }
    }

    /// Hands every merged row, tombstones included, to `visit` in ascending order of task and key, until there are no more or `visit` says no.
    ///
    /// With one source its rows are handed on as they are.
    pub fn for_each(self, visit: impl FnMut(Row<'_>) -> bool) -> Result<(), TableError> {
        let _ = visit;
        todo!()
    }
}
