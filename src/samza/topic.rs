//! The checkpoint topic of a job, and dumps of it: one message per line.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::checkpoint::Version;
use super::error::FormatError;

/// A message of the checkpoint topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub key: Key,
    /// The checkpoint; `None` if the message deletes it.
    pub value: Option<String>,
    /// When the message was written, if the dump says so.
    pub written: Option<Timestamp>,
    /// The job and its id, if the dump names the topic.
    pub job: Option<JobName>,
}

/// A job, as the name of its checkpoint topic has it: with hyphens for underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobName {
    pub job: String,
    pub id: String,
}

/// The key of a message. The last message with a key counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub task: String,
    /// `None` for messages that are not checkpoints.
    pub version: Option<Version>,
    /// The class name of what groups the partitions into tasks.
    pub grouper: String,
}

#[derive(Deserialize)]
struct KeyDocument {
    #[serde(rename = "systemstreampartition-grouper-factory")]
    grouper: String,
    #[serde(rename = "taskName")]
    task: String,
    #[serde(rename = "type")]
    kind: String,
}

/// A message as `kcat -J` prints it.
#[derive(Deserialize)]
struct Printed<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow, alias = "value")]
    payload: &'a RawValue,
    ts: Option<i64>,
    topic: Option<String>,
}

/// What a line says, before its parts are parsed.
struct Line {
    key: String,
    value: Option<String>,
    millis: Option<i64>,
    topic: Option<String>,
}

impl Message {
    /// Parses a line of a dump: what `kcat -J` prints, or what `kafka-console-consumer` prints with `print.key=true`.
    ///
    /// In the JSON of kcat, `payload` may also be called `value`, and both may be JSON themselves instead of text.
    pub fn parse(line: &str) -> Result<Message, FormatError> {
        // JSON without spaces has no tab.
        let line = if line.contains('\t') { Line::parse_columns(line) } else { Line::parse_json(line) }?;
        let millis = line.millis.filter(|millis| *millis >= 0);
        Ok(Message {
            key: Key::parse(&line.key)?,
            value: line.value,
            written: millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            job: line.topic.as_deref().and_then(parse_topic),
        })
    }
}

impl Line {
    fn parse_json(line: &str) -> Result<Line, FormatError> {
        let fault = |error: &serde_json::Error| FormatError::json(line.as_bytes(), error);
        let printed: Printed = serde_json::from_str(line).map_err(|error| fault(&error))?;
        let text = |value: &RawValue| match value.get() {
            json if json.starts_with('"') => serde_json::from_str(json).map_err(|error| fault(&error)),
            json => Ok(json.to_owned()),
        };
        let key = text(printed.key)?;
        let value = if printed.payload.get() == "null" { None } else { Some(text(printed.payload)?) };
        Ok(Line { key, value, millis: printed.ts, topic: printed.topic })
    }

    fn parse_columns(line: &str) -> Result<Line, FormatError> {
        let mut millis = None;
        let mut rest = line;
        // The time, the partition and the offset come before the key, if they are printed.
        while !rest.starts_with('{') {
            let (column, after) = rest.split_once('\t').ok_or_else(|| FormatError::new(0, "expected a key"))?;
            let time = column.strip_prefix("CreateTime:").or_else(|| column.strip_prefix("LogAppendTime:"));
            millis = millis.or(time.and_then(|time| time.parse().ok()));
            rest = after;
        }
        let (key, value) = rest.split_once('\t').ok_or_else(|| FormatError::new(line.len(), "expected a value"))?;
        let value = (value != "null").then(|| value.to_owned());
        Ok(Line { key: key.to_owned(), value, millis, topic: None })
    }
}

/// Returns the name of the checkpoint topic of a job. Underscores in names and ids of jobs are hyphens there.
///
/// This is `KafkaUtil.getCheckpointTopic` of Samza 1.8.0.
pub fn topic_name(job: &str, id: &str) -> String {
    format!("__samza_checkpoint_ver_1_for_{}_{}", job.replace('_', "-"), id.replace('_', "-"))
}

/// Returns the job in the name of its checkpoint topic.
pub fn parse_topic(topic: &str) -> Option<JobName> {
    let (job, id) = topic.strip_prefix("__samza_checkpoint_ver_1_for_")?.rsplit_once('_')?;
    Some(JobName { job: job.to_owned(), id: id.to_owned() })
}

impl Key {
    /// Parses the key of a message.
    pub fn parse(text: &str) -> Result<Key, FormatError> {
        let document: KeyDocument =
            serde_json::from_str(text).map_err(|error| FormatError::json(text.as_bytes(), &error))?;
        let version = match document.kind.as_str() {
            "checkpoint" => Some(Version::V1),
            "checkpoint-v2" => Some(Version::V2),
            _ => None,
        };
        Ok(Key { task: document.task, version, grouper: document.grouper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"systemstreampartition-grouper-factory":"G","taskName":"Partition 7","type":"checkpoint"}"#;

    #[test]
    fn a_message_is_read_from_both_kinds_of_dump() {
        let json = serde_json::to_string(KEY).expect("text");
        let topic = "__samza_checkpoint_ver_1_for_my-job_1";
        let key = Key { task: "Partition 7".to_owned(), version: Some(Version::V1), grouper: "G".to_owned() };
        let message = |value: Option<&str>, written: Option<i64>, job: Option<&str>| Message {
            key: key.clone(),
            value: value.map(str::to_owned),
            written: written.map(|millis| Timestamp::from_millisecond(millis).expect("a time")),
            job: job.map(|job| JobName { job: job.to_owned(), id: "1".to_owned() }),
        };
        let kcat = format!(r#"{{"topic":"{topic}","ts":1795826404436,"key":{json},"payload":"{{}}"}}"#);
        for (line, expected) in [
            (kcat, message(Some("{}"), Some(1_795_826_404_436), Some("my-job"))),
            (format!(r#"{{"key":{KEY},"value":{{}}}}"#), message(Some("{}"), None, None)),
            (format!(r#"{{"key":{json},"payload":null,"ts":-1}}"#), message(None, None, None)),
            (format!("{KEY}\t{{}}"), message(Some("{}"), None, None)),
            (format!("CreateTime:5\tPartition:0\t{KEY}\tnull"), message(None, Some(5), None)),
        ] {
            assert_eq!(Message::parse(&line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn the_name_of_a_topic_has_the_job_and_its_id() {
        assert_eq!(topic_name("my_job", "1"), "__samza_checkpoint_ver_1_for_my-job_1");
        let name = JobName { job: "my-job".to_owned(), id: "a-b".to_owned() };
        assert_eq!(parse_topic(&topic_name("my_job", "a_b")), Some(name));
        assert_eq!(parse_topic("page-views"), None);
    }

    #[test]
    fn a_message_without_a_value_is_not_one_that_deletes() {
        for line in [format!(r#"{{"key":{KEY}}}"#), KEY.to_owned(), String::new(), format!("x\t{KEY}"), "\t".to_owned()]
        {
            assert!(Message::parse(&line).is_err(), "{line}");
        }
    }
}
