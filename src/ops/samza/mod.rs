//! Looks at what Apache Samza left on disk: checkpoint files, dumps of checkpoint topics, local stores, blob stores.
//!
//! Everything is only read, a checkpoint topic from its brokers and the rows of stores from RocksDB too. `docs/samza.md` says what each of them is.

pub mod blobs;
pub mod diff;
pub mod directory;
pub mod finding;
pub mod found;
pub mod import;
mod listing;
mod messages;
pub mod read;
pub mod state;
pub mod topic;
pub mod verify;
