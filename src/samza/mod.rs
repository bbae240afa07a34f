//! The checkpoints of Apache Samza: its files and messages, from bytes to values. `docs/samza.md` describes them.
//!
//! Nothing here opens a file, and nothing is written: Samza is the only writer of its formats.

pub mod changelog;
pub mod changelog_dump;
pub mod checkpoint;
pub mod checkpoint_id;
pub mod error;
pub mod java_stream;
pub mod marker;
pub mod names;
pub mod offset_file;
pub mod partition;
pub mod properties;
pub mod serde;
pub mod snapshot_index;
pub mod topic;
