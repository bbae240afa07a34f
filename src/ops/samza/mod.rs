//! Looks at what Apache Samza left on disk: checkpoint files, dumps of checkpoint topics, local stores, blob stores.
//!
//! Everything is only read. `docs/samza.md` says what each of them is.

pub mod blobs;
pub mod diff;
pub mod finding;
pub mod found;
mod listing;
mod messages;
pub mod read;
pub mod verify;
