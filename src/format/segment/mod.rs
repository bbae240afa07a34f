//! Segments: sorted, immutable Parquet tables of a shard's rows.

pub mod footer;
pub mod keys;
pub mod merge;
pub mod reader;
pub mod writer;

pub use footer::{FOOTER_BYTES, SegmentFooter};
pub use reader::{KeyReader, SegmentReader};
pub use writer::{SegmentStats, SegmentWriter};

#[cfg(test)]
mod tests;
