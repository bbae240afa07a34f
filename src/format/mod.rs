//! The store format, version 1, in code: bytes to values and back. `docs/format.md` is the same in words.
//!
//! Nothing here opens a file.

mod columns;
pub mod index;
pub mod keys;
pub mod layout;
pub mod manifest;
pub mod merge;
mod pages;
pub mod positions;
pub mod rows;
pub mod seal;
pub mod segment;
mod table;
pub mod values;

/// The store format that this version writes, and the only one it reads.
pub const FORMAT: u32 = 1;
