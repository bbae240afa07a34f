//! The places that output files go to, and what a directory and a bucket both do well.
//!
//! A file is staged under a name that no reader takes for an output, and is published when it gets its own name. A
//! directory renames it. A bucket cannot rename: it copies the object and then deletes the staged one, so an interrupted
//! publication is done again.

#[cfg(feature = "s3")]
mod bucket;
mod directory;
mod error;
mod interface;
mod open;
mod strays;
mod writer;

#[cfg(test)]
pub(super) use directory::Directory;
pub(crate) use error::PlaceError;
pub(crate) use interface::{Found, OutputPlace};
pub(super) use open::{open, tidy};
pub(crate) use writer::PlaceWriter;
