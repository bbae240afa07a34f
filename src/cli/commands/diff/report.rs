//! The result of a comparison.

use crate::cli::exit::Exit;
use crate::ops::diff::{Comparison, KeyTotals, PositionChange, Side};

/// The result of a comparison.
pub(super) struct Report<'a> {
    pub(super) comparison: &'a Comparison,
    pub(super) totals: &'a KeyTotals,
    pub(super) positions: &'a [PositionChange],
}

impl Report<'_> {
    /// Tells whether the two checkpoints are equal in the compared scope.
    pub(super) fn is_equal(&self) -> bool {
        let whole = self.comparison.scope.is_all();
        self.totals.keys.all() == 0 && (!whole || (self.positions.is_empty() && self.comparison.columns.are_equal()))
    }

    /// Returns the exit code of the command.
    pub(super) fn exit(&self) -> Exit {
        if self.is_equal() { Exit::Clean } else { Exit::No }
    }
}

/// Names one of the two checkpoints.
pub(super) fn name(side: &Side) -> String {
    format!("{}@{}", side.store.place(), side.manifest().sequence.0)
}
