//! The rows in a directory of RocksDB, where Samza keeps a store. Nothing there is changed or locked.

mod contents;
#[cfg(feature = "rocksdb")]
mod database;
mod error;
#[cfg(feature = "rocksdb")]
mod files;
#[cfg(feature = "rocksdb")]
mod log_file;
#[cfg(feature = "rocksdb")]
mod reading;
mod snapshot;
#[cfg(not(feature = "rocksdb"))]
mod unavailable;

pub use contents::{CURRENT, DirectoryContents};
pub use error::DirectoryError;
#[cfg(feature = "rocksdb")]
pub use reading::read;
pub use snapshot::{SnapshotError, check_whole, snapshot_of};
#[cfg(not(feature = "rocksdb"))]
pub use unavailable::read;
