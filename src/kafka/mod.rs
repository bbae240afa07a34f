//! A narrow client of Apache Kafka: one topic, read partition by partition from offsets that the caller chooses, or written
//! in transactions.
//!
//! The client that reads joins no group and commits no offsets. What was read is in the checkpoints of the job. A member of
//! a group reads nothing.

#[cfg(feature = "kafka")]
mod client;
mod error;
#[cfg(feature = "kafka")]
mod member;
mod message;
#[cfg(feature = "kafka")]
mod metadata;
mod settings;
#[cfg(feature = "kafka")]
mod topic_id;
#[cfg(not(feature = "kafka"))]
mod unavailable;
#[cfg(feature = "kafka")]
mod writer;

#[cfg(feature = "kafka")]
pub use client::Topic;
pub use error::KafkaError;
#[cfg(feature = "kafka")]
pub use member::Member;
pub use message::{AtEnd, Bounds, Division, Mark, Message, Outgoing, Polled};
pub use settings::{OWN_PROPERTIES, Settings, WRITER_PROPERTIES, is_secret, parse_properties};
#[cfg(not(feature = "kafka"))]
pub use unavailable::{Marks, Member, Topic, Writer, look_at_mark};
#[cfg(feature = "kafka")]
pub use writer::{Marks, Writer, look_at_mark};
