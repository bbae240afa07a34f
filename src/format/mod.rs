//! The store format, version 1, in code: bytes to values and back. `docs/format.md` is the same in words.
//!
//! Nothing here opens a file.

pub mod index;
pub mod layout;
pub mod manifest;
pub mod parquet;
pub mod positions;
pub mod rows;
pub mod sealed;
pub mod segment;

/// The store format that this version writes, and the only one it reads.
pub const FORMAT: u32 = 1;
