//! Reads the checkpoint topic of a job from its brokers.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::found::Found;
use super::messages::{self, Latest, not_text};
use crate::kafka::{self, Bounds, KafkaError, Polled, Settings, Topic};
use crate::samza::topic::{Key, Message, parse_topic, topic_name};

/// How long the brokers may take until the topic is open, and until the next message comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// Where the checkpoint topic of a job is, `kafka://BROKERS/JOB/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAddress {
    /// The first brokers to ask, as `HOST:PORT,…`.
    pub brokers: String,
    pub job: String,
    pub id: String,
}

impl TopicAddress {
    /// Parses an address. Returns nothing for what does not begin as one, and an error for what is not a whole one.
    pub fn parse(text: &str) -> Option<Result<TopicAddress, String>> {
        let parts: Vec<&str> = text.strip_prefix("kafka://")?.split('/').collect();
        Some(match parts[..] {
            [brokers, job, id] if !brokers.is_empty() && !job.is_empty() && !id.is_empty() => {
                Ok(TopicAddress { brokers: brokers.to_owned(), job: job.to_owned(), id: id.to_owned() })
            }
            _ => Err(format!("expected `kafka://BROKERS/JOB/ID`, found `{text}`")),
        })
    }
}

impl fmt::Display for TopicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}/{}", self.brokers, self.job, self.id)
    }
}

/// Reads the messages that the topic has now. A message that is written meanwhile may be read too.
///
/// `properties` are those of librdkafka. Fails if the topic cannot be read to its end: then nothing is known, because
/// a message that was not read may replace one that was.
pub(super) fn read(
    address: &TopicAddress,
    properties: &[(String, String)],
    found: &mut Found,
    latest: &mut Latest,
) -> Result<(), KafkaError> {
    let name = topic_name(&address.job, &address.id);
    let settings = settings(&address.brokers, &name, properties);
    let topic = Topic::open(&settings)?;
    // The order of messages, which says which one counts, is known only within a partition.
    if topic.partition_count()? != 1 {
        return Err(refused(&settings, "a checkpoint topic has one partition, and this one has several"));
    }
    let Bounds(bounds) = topic.bounds(0)?;
    let source = address.to_string();
    read_partition(&topic, &settings, 0, bounds, |message| {
        found.read_bytes += (message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len)) as u64;
        let place = format!("{source}:{}", message.offset);
        messages::add(&source, place, parse(&name, &message), found, latest);
    })
}

/// Returns how a topic is reached, with the `properties` of librdkafka.
pub(super) fn settings(brokers: &str, topic: &str, properties: &[(String, String)]) -> Settings {
    Settings {
        brokers: brokers.to_owned(),
        topic: topic.to_owned(),
        properties: properties.to_vec(),
        patience: PATIENCE,
    }
}

/// Passes the messages of a partition with offsets in `bounds` to `take`, in their order. Fails if they cannot be read
/// to the last one.
pub(super) fn read_partition(
    topic: &Topic,
    settings: &Settings,
    partition: u32,
    bounds: Range<u64>,
    mut take: impl FnMut(kafka::Message<'_>),
) -> Result<(), KafkaError> {
    if bounds.is_empty() {
        return Ok(());
    }
    topic.assign(&[(partition, bounds.start)])?;
    let (mut next, mut last) = (bounds.start, Instant::now());
    while next < bounds.end {
        let polled = topic.poll(POLL, |message| {
            // What is left of another place that was read.
            if message.partition == partition && message.offset >= next {
                next = message.offset + 1;
                if message.offset < bounds.end {
                    take(message);
                }
            }
        })?;
        match polled {
            Polled::Message => last = Instant::now(),
            // Behind the last message there may be offsets without one. A broker that has fewer than were said is behind.
            Polled::End { partition: number, offset } if number == partition && offset >= bounds.end => break,
            Polled::OutOfRange => return Err(refused(settings, "messages were deleted while it was read; try again")),
            Polled::Nothing if last.elapsed() >= PATIENCE => {
                return Err(KafkaError::Away { brokers: settings.brokers.clone(), seconds: last.elapsed().as_secs() });
            }
            Polled::Nothing | Polled::End { .. } => {}
        }
    }
    Ok(())
}

fn refused(settings: &Settings, reason: &str) -> KafkaError {
    KafkaError::Refused { topic: settings.topic.clone(), reason: reason.to_owned() }
}

/// Parses a message of the topic `name`.
fn parse(name: &str, message: &kafka::Message<'_>) -> Result<Message, String> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(not_text);
    let key = text(message.key.ok_or("a message without a key")?)?;
    let millis = message.time.filter(|millis| *millis >= 0);
    Ok(Message {
        key: Key::parse(key).map_err(|error| error.to_string())?,
        value: message.value.map(text).transpose()?.map(str::to_owned),
        written: millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        job: parse_topic(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_brokers_a_job_and_an_id() {
        let address = TopicAddress::parse("kafka://a:1,b:2/my_job/1").expect("an address").expect("a whole one");
        assert_eq!((&*address.brokers, &*address.job, &*address.id), ("a:1,b:2", "my_job", "1"));
        assert_eq!(address.to_string(), "kafka://a:1,b:2/my_job/1");
        for part in
            ["kafka://", "kafka://a:1", "kafka://a:1/job", "kafka://a:1/job/", "kafka:///j/1", "kafka://a/b/c/d"]
        {
            assert!(TopicAddress::parse(part).expect("an address").is_err(), "{part}");
        }
        assert_eq!(TopicAddress::parse("./kafka:/a/b"), None);
    }
}
