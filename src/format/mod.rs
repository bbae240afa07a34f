//! The store format, version 1: bytes to values and back. `docs/format.md` describes it in words.
//!
//! Nothing here opens a file.

mod ddsketch;
mod document;
pub mod error;
pub mod index;
pub mod key_shape;
pub mod layout;
pub mod limits;
pub mod manifest;
pub mod messages;
pub mod owner;
pub mod parquet;
pub mod positions;
pub mod quantiles;
pub mod replicas_file;
pub mod row_batch;
pub mod rows;
pub mod sealed;
pub mod segment;
pub mod sketch;
pub mod store_file;

/// The store format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;
