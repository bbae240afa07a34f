//! Objects in buckets as partitions.
//!
//! An object never grows: one that is replaced has another ETag, which every read names. So nothing of an object that
//! was read to its end is read again to prove that it is the same.

pub(super) mod fault;
#[cfg(feature = "s3")]
mod find;
#[cfg(feature = "s3")]
mod reader;
#[cfg(not(feature = "s3"))]
mod unavailable;
#[cfg_attr(not(feature = "s3"), allow(dead_code))]
pub(crate) mod url;

#[cfg(feature = "s3")]
pub(super) use find::find;
#[cfg(feature = "s3")]
pub(super) use reader::ObjectReader;
#[cfg(not(feature = "s3"))]
pub(super) use unavailable::{ObjectReader, find};
