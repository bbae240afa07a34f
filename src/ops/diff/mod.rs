//! `ckpt diff`: what changed between two checkpoints, of one store or of two.
//!
//! Content is compared, not bytes: two checkpoints are equal if they have the same keys with the same values at the
//! same positions, however their rows are spread over segments. A segment that both share is read only to look up keys
//! in it, and not at all if no key needs that.

mod change;
mod columns;
mod comparison;
mod keys;
mod positions;
mod rerouted;
mod scope;
mod shard;
mod side;

pub use change::{Change, ChangeKind, KeyTotals, Tally};
pub use columns::{ColumnPair, Columns, ValueChange};
pub use comparison::Comparison;
pub use positions::{PositionChange, position_changes};
pub use scope::{Limits, Scope};
pub use side::Side;
