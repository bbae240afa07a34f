//! The input: its partitions, the one order of their blocks, and the proof that a resumed input is the same.

mod block;
mod block_reader;
mod columns;
mod error;
mod follow;
pub mod globs;
mod gzip;
mod lane;
mod listing;
mod note;
mod partition;
pub mod partition_tasks;
mod position;
mod prefix_digest;
mod reader;
pub mod record;
mod resumed;
mod rules;
mod seek;
mod stream;
mod stream_names;
mod walk;

pub use block::{BLOCK_BYTES, Block};
pub use block_reader::BlockReader;
pub use columns::Columns;
pub use error::InputError;
pub use follow::FollowReader;
pub use listing::{is_input, one_per_file, partition, partitions, present};
pub use note::InputNote;
pub use partition::{Compression, Partition, Source};
pub use position::{Position, PositionChange};
pub use prefix_digest::PrefixDigest;
pub use reader::{Reader, Step};
pub use resumed::ResumedPartitions;
pub use seek::{FoundPosition, SeekError, SeekTo, seek};
pub use stream_names::StreamNames;
