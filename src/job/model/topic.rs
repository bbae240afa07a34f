//! `input: kafka:`

use std::path::PathBuf;
use std::time::Duration;

/// `input: kafka:` a topic of Apache Kafka. It is followed unless `until: latest` is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// `brokers:` the first brokers to ask, as `HOST:PORT,…`.
    pub brokers: String,
    pub topic: String,
    /// `start:` default `earliest`. Where a job without a checkpoint starts.
    pub start: TopicStart,
    /// `columns:` for CSV, the names of the fields of each message.
    pub columns: Vec<String>,
    /// `settings:` properties of librdkafka, none of them secret.
    pub settings: Vec<(String, String)>,
    /// `settings_file:` a file of more such properties, which may be secret.
    pub settings_file: Option<PathBuf>,
    /// `timeout:` default 5 minutes. How long a run waits for brokers that do not answer.
    pub timeout: Duration,
}

/// Where a job without a checkpoint starts to read a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicStart {
    /// At the first message that the topic still has.
    Earliest,
    /// After the last message.
    Latest,
}

impl TopicStart {
    /// The choices with their names in job files.
    pub const NAMED: [(&str, TopicStart); 2] = [("earliest", TopicStart::Earliest), ("latest", TopicStart::Latest)];

    /// Returns the value of `start:` in a job file.
    pub fn name(self) -> &'static str {
        TopicStart::NAMED.iter().find(|(_, start)| *start == self).map_or("", |(name, _)| name)
    }
}
