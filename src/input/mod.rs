//! The input: its partitions, the one order of their blocks, and the proof that a resumed input is the same.

mod block;
mod block_reader;
mod columns;
mod error;
mod follow;
pub mod globs;
mod gzip;
mod headers;
mod lane;
mod listing;
pub(crate) mod messages;
mod note;
pub(crate) mod object;
pub mod partition;
pub mod partition_tasks;
mod pipe;
mod position;
pub mod prefix_digest;
mod progress;
mod read_ahead;
mod reader;
pub mod record;
mod resumed;
mod rules;
mod sampled_digest;
mod seek;
mod stream;
mod stream_names;
mod topic;
mod walk;
mod zstandard;

pub use block::{BLOCK_BYTES, Block};
pub use block_reader::BlockReader;
pub use columns::Columns;
pub use error::InputError;
pub use follow::FollowReader;
pub use headers::absent_columns;
pub use listing::{is_input, names, one_per_file, partition, partitions, present};
pub use messages::Messages;
pub use note::InputNote;
pub use partition::{Compression, Partition, Source};
pub use position::{Position, PositionChange};
pub use prefix_digest::PrefixDigest;
pub use reader::{Reader, Step};
pub use resumed::ResumedPartitions;
pub use seek::{FoundPosition, SeekError, SeekTo, seek};
pub use stream_names::StreamNames;
pub use topic::{
    PartitionLag, TopicReader, adopt, join, members, offsets, partition_count, settings as topic_settings,
};
