//! One partition of a stream.

use std::fmt;

/// A partition of a stream of a system, such as partition 7 of a Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPartition {
    pub system: String,
    pub stream: String,
    pub partition: u32,
}

impl StreamPartition {
    /// Parses a key such as `kafka.page-views.7`.
    ///
    /// Nothing in a key is escaped. The name of the stream is what is between the first dot and the last one. Versions
    /// of 2022 wrote a fourth part, the key bucket, which is `-1` if there are no buckets.
    pub fn parse_key(key: &str) -> Option<StreamPartition> {
        let key = key.strip_suffix(".-1").unwrap_or(key);
        let (system, rest) = key.split_once('.')?;
        let (stream, partition) = rest.rsplit_once('.')?;
        let is_number = partition.bytes().all(|byte| byte.is_ascii_digit());
        let partition = if is_number { partition.parse().ok()? } else { return None };
        (!system.is_empty() && !stream.is_empty()).then(|| StreamPartition {
            system: system.to_owned(),
            stream: stream.to_owned(),
            partition,
        })
    }

    /// Tells whether Samza misreads or refuses the key of the partition: it splits keys at every dot.
    pub fn is_ambiguous(&self) -> bool {
        self.system.contains('.') || self.stream.contains('.')
    }
}

impl fmt::Display for StreamPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.system, self.stream, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_between_the_first_dot_and_the_last() {
        let parse = |key: &str| {
            StreamPartition::parse_key(key).map(|found| (found.system.clone(), found.stream.clone(), found.partition))
        };
        let found = |system: &str, stream: &str, partition| Some((system.to_owned(), stream.to_owned(), partition));
        assert_eq!(parse("kafka.page-views.7"), found("kafka", "page-views", 7));
        assert_eq!(parse("kafka.site.page.views.7"), found("kafka", "site.page.views", 7));
        assert_eq!(parse("kafka.v1.2.7"), found("kafka", "v1.2", 7));
        assert_eq!(parse("kafka.page-views.7.-1"), found("kafka", "page-views", 7));
        for key in ["", "kafka", "kafka.7", "kafka..7", ".s.7", "kafka.s.", "kafka.s.x", "kafka.s.+1", "k.s.4294967296"]
        {
            assert_eq!(parse(key), None, "{key}");
        }
    }
}
