//! Checks on hostile bytes, one file per parser.
//!
//! `cargo fuzz` calls these with generated input, and the test suite of the package with the corpus. Each checks more
//! than the absence of panics: a parsed value survives being written and read again, or an independent reader agrees.

pub mod arguments;
pub mod expression;
pub mod job_file;
pub mod manifest;
pub mod protocol;
pub mod records;
pub mod samza;
pub mod store;
pub mod tables;
