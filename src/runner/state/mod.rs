//! Keyed state in memory: shards, their rows, and what changed since the last checkpoint.

pub mod bitmap;
pub mod content;
pub mod deadlines;
pub mod emitted;
pub mod frozen;
pub mod kept;
pub mod row_mut;
pub mod rows;
pub mod shard;
pub mod table;
pub mod variables;
