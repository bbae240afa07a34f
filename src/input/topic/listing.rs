//! The partitions of a topic.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::input::error::InputError;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::topic::connection::settings;
use crate::job::model::TopicSpec;
use crate::kafka::{Bounds, Settings, Topic};

/// Lists the partitions of `topic`, in the order of their numbers.
pub(crate) fn partitions(topic: &TopicSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    let count = Topic::open(&settings(topic, base)?)?.partition_count()?;
    Ok((0..count).map(|number| partition(&topic.topic, number)).collect())
}

/// Asks the brokers which offsets each partition of `topic` has, in the order of their numbers. They may take `patience` for
/// the first answer.
pub fn offsets(topic: &TopicSpec, base: &Path, patience: Duration) -> Result<Vec<Range<u64>>, InputError> {
    let topic = open(topic, base, patience)?;
    let bounds = |number| topic.bounds(number).map(|Bounds(range)| range);
    Ok((0..topic.partition_count()?).map(bounds).collect::<Result<_, _>>()?)
}

/// Asks the brokers for the names of the workers in the group `group`, ascending. They may take `patience` for the first
/// answer.
pub fn members(topic: &TopicSpec, base: &Path, group: &str, patience: Duration) -> Result<Vec<String>, InputError> {
    Ok(open(topic, base, patience)?.members_of(group)?)
}

fn open(topic: &TopicSpec, base: &Path, patience: Duration) -> Result<Topic, InputError> {
    let settings = settings(topic, base)?;
    Ok(Topic::open(&Settings { patience: settings.patience.min(patience), ..settings })?)
}

/// Returns partition `number` of `topic`.
pub(super) fn partition(topic: &str, number: u32) -> Partition {
    Partition {
        name: format!("{topic}/{number}"),
        source: Source::Topic,
        compression: Compression::None,
        file_bytes: None,
        etag: None,
    }
}

/// Returns the number of the partition `name`, if it is one of `topic`.
pub(super) fn number(topic: &str, name: &str) -> Option<u32> {
    name.strip_prefix(topic)?.strip_prefix('/')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_after_their_topic() {
        assert_eq!(partition("clicks", 12).name, "clicks/12");
        assert_eq!(number("clicks", "clicks/12"), Some(12));
        for other in ["clicks", "clicks/", "clicks/x", "clicks2/1", "data/clicks/1"] {
            assert_eq!(number("clicks", other), None, "{other}");
        }
    }
}
