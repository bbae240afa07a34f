//! What is checked of hostile bytes, one file a parser.
//!
//! `cargo fuzz` calls these with what it makes up, and the test suite of the package with the corpus. Each asks for more than that nothing panics: what
//! was read is written and read again, or a second reader that this project did not write agrees.

pub mod arguments;
pub mod expression;
pub mod job_file;
pub mod manifest;
pub mod protocol;
pub mod records;
pub mod store;
pub mod tables;
