//! What people should know about the input, and what is not an error.

use std::fmt;
use std::time::Duration;

use crate::values::units::exact_duration;

/// The most partitions that a message lists.
const MAX_LISTED: usize = 3;

/// What people should know about the input, and what is not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputNote {
    /// These partitions are gone, and nothing of them was left to read.
    Gone(Vec<String>),
    /// A partition is gone that was not read to its end.
    Lost { partition: String, offset: u64 },
    /// A followed file is gone, and another one has its name.
    Replaced { partition: String },
    /// A file may have been rotated from a partition before it was seen, but nothing proves it.
    Unproven { file: String, partition: String },
    /// No broker answers. The run waits that long.
    BrokersAway { brokers: String, patience: Duration },
    /// A broker answers again.
    BrokersBack { brokers: String },
    /// The messages with these offsets are gone, and were never read.
    MessagesLost { partition: String, from: u64, until: u64 },
}

impl fmt::Display for InputNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputNote::Gone(partitions) => match partitions.as_slice() {
                [one] => write!(f, "input `{one}` is gone; it was read before"),
                several => {
                    let listed: Vec<String> =
                        several.iter().take(MAX_LISTED).map(|partition| format!("`{partition}`")).collect();
                    let more = if several.len() > MAX_LISTED { ", …" } else { "" };
                    let (count, listed) = (several.len(), listed.join(", "));
                    write!(f, "{count} inputs are gone; they were read before: {listed}{more}")
                }
            },
            InputNote::Lost { partition, offset } => {
                write!(f, "input `{partition}` is gone: what it had after byte {offset} was never read")
            }
            InputNote::Replaced { partition } => write!(
                f,
                "input `{partition}` was replaced: the file that was followed is gone, and the new one is read from its \
                 beginning"
            ),
            InputNote::BrokersAway { brokers, patience } => {
                let patience = exact_duration(*patience);
                write!(f, "no Kafka broker at `{brokers}` answers; waiting up to {patience}")
            }
            InputNote::BrokersBack { brokers } => write!(f, "the Kafka brokers at `{brokers}` answer again"),
            InputNote::MessagesLost { partition, from, until } => {
                write!(f, "the messages of `{partition}` from offset {from} to {until} are gone, and were never read")
            }
            InputNote::Unproven { file, partition } => write!(
                f,
                "`{file}` is not read: it may have been rotated from `{partition}`, but it is unknown when it was created"
            ),
        }
    }
}
