//! Topics of Apache Kafka as input. Each partition of the topic is a partition.
//!
//! The messages of all partitions come in the order in which the brokers send them, which another run does not repeat.

mod adopted;
mod connection;
mod lane;
mod listing;
mod proof;
mod reader;

pub use adopted::{adopt, partition_count};
pub use connection::{join, settings};
pub use lane::PartitionLag;
pub(super) use listing::partitions;
pub use listing::{members, offsets};
pub use reader::TopicReader;
