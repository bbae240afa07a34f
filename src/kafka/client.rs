//! The client, which is librdkafka.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::error::KafkaError;
use crate::kafka::message::{Bounds, Message, Polled};
use crate::kafka::settings::{OWN_PROPERTIES, Settings};
use crate::kafka::topic_id::topic_id;
use crate::values::lock::lock;

/// How long one request may take while the topic is read.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// How long a broker that was lost may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// A topic that is being read.
pub struct Topic {
    settings: Settings,
    consumer: BaseConsumer<Events>,
    reads_headers: bool,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("topic", &self.settings.topic).finish_non_exhaustive()
    }
}

/// What the client reports beside messages.
#[derive(Debug, Default)]
struct Events {
    /// Whether a broker was lost since this was last checked.
    has_lost_brokers: AtomicBool,
    /// The end of each partition that is read, as the brokers said with its messages.
    ends: Mutex<BTreeMap<u32, u64>>,
    /// The offset at which the partition ends that was last reported to be at its end.
    end_reached: Mutex<Option<u64>>,
}

impl ClientContext for Events {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.into_values().flat_map(|topic| topic.partitions);
        // A negative end is not known, a negative number not that of a partition.
        let ends = partitions.filter_map(|(number, partition)| {
            Some((u32::try_from(number).ok()?, u64::try_from(partition.ls_offset).ok()?))
        });
        lock(&self.ends).extend(ends);
    }

    fn error(&self, error: ClientError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(Code::PartitionEOF) {
            *lock(&self.end_reached) = end_in(reason);
        }
        if code.is_some_and(is_about_brokers) {
            self.has_lost_brokers.store(true, Ordering::Relaxed);
        }
    }
}

impl ConsumerContext for Events {}

impl Topic {
    /// Connects to the brokers, and finds the topic. Fails if nobody answers in time.
    pub fn open(settings: &Settings) -> Result<Topic, KafkaError> {
        let consumer = consumer(settings)?;
        let topic = Topic { settings: settings.clone(), consumer, reads_headers: true };
        topic.count_partitions(settings.patience)?;
        Ok(topic)
    }

    /// Leaves out the headers of messages, which take a quarter of the time of reading.
    pub fn leave_out_headers(&mut self) {
        self.reads_headers = false;
    }

    /// Returns the number of partitions. They are numbered from 0.
    pub fn partition_count(&self) -> Result<u32, KafkaError> {
        self.count_partitions(REQUEST_PATIENCE)
    }

    fn count_partitions(&self, patience: Duration) -> Result<u32, KafkaError> {
        let begun = Instant::now();
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            let metadata = self.consumer.fetch_metadata(Some(&self.settings.topic), left);
            let metadata = metadata.map_err(|error| self.failure(&error, patience))?;
            let found = metadata.topics().first().map(|topic| (topic.error(), topic.partitions().len()));
            match found {
                Some((None, count)) if count > 0 => return Ok(u32::try_from(count).unwrap_or(u32::MAX)),
                // A broker that has just started, or a topic that was just made, is not known everywhere.
                Some((error, _)) if !is_final(error.map(Code::from)) && begun.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Some((error, _)) => {
                    let code = error.map_or(Code::UnknownTopicOrPartition, Code::from);
                    return Err(self.failure(&ClientError::MetadataFetch(code), patience));
                }
                None => return Err(KafkaError::UnknownTopic { topic: self.settings.topic.clone() }),
            }
        }
    }

    /// Returns the id that the cluster has given the topic, if it is known.
    pub fn id(&self) -> Result<Option<String>, KafkaError> {
        Ok(topic_id(self.consumer.client().native_ptr(), &self.settings.topic, REQUEST_PATIENCE))
    }

    /// Returns the names of the members of the group `group`, ascending. None if the brokers know no such group.
    ///
    /// A member that has died is one of them until its session time-out is over.
    pub fn members_of(&self, group: &str) -> Result<Vec<String>, KafkaError> {
        let found = self.consumer.fetch_group_list(Some(group), REQUEST_PATIENCE);
        let found = found.map_err(|error| self.failure(&error, REQUEST_PATIENCE))?;
        let members = found.groups().iter().filter(|found| found.name() == group).flat_map(|group| group.members());
        let mut names: Vec<String> = members.map(|member| name_of(member.id()).to_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Returns the offsets of a partition that can be read now: of transactions, only those that were committed.
    pub fn bounds(&self, partition: u32) -> Result<Bounds, KafkaError> {
        let found = self.consumer.fetch_watermarks(&self.settings.topic, number(partition), REQUEST_PATIENCE);
        let (low, high) = found.map_err(|error| self.failure(&error, REQUEST_PATIENCE))?;
        Ok(Bounds(low.max(0).unsigned_abs()..high.max(0).unsigned_abs()))
    }

    /// Returns the end of each partition that is read, as far as the brokers have said it. Asks nobody.
    pub fn ends(&self) -> BTreeMap<u32, u64> {
        lock(&self.consumer.context().ends).clone()
    }

    /// Returns the offset of the first message of a partition whose time is `millis` or later, in milliseconds since
    /// 1970-01-01T00:00:00Z; the end if there is none.
    pub fn offset_at(&self, partition: u32, millis: i64) -> Result<u64, KafkaError> {
        let failure = |error: ClientError| self.failure(&error, REQUEST_PATIENCE);
        let mut times = TopicPartitionList::new();
        let (topic, partition) = (&self.settings.topic, number(partition));
        times.add_partition_offset(topic, partition, Offset::Offset(millis.max(0))).map_err(failure)?;
        let found = self.consumer.offsets_for_times(times, REQUEST_PATIENCE).map_err(failure)?;
        let found = found.find_partition(topic, partition).expect("it was asked for");
        found.error().map_err(failure)?;
        match found.offset() {
            Offset::Offset(offset) => Ok(offset.max(0).unsigned_abs()),
            _ => self.bounds(partition.unsigned_abs()).map(|Bounds(range)| range.end),
        }
    }

    /// Starts to read these partitions, each from an offset.
    pub fn assign(&self, starts: &[(u32, u64)]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in starts {
            let offset = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
            let added = list.add_partition_offset(&self.settings.topic, number(*partition), offset);
            added.map_err(|error| self.refused(&error))?;
        }
        self.consumer.assign(&list).map_err(|error| self.refused(&error))?;
        self.settle()
    }

    /// Waits until the client has stopped reading what it read before. It aborts the process if it is asked to stop reading
    /// a partition twice before it has answered once.
    ///
    /// Its main thread takes requests in their order: the stop, which the assignment has asked for, comes before the first
    /// question here, and the answer to it before the second.
    fn settle(&self) -> Result<(), KafkaError> {
        for _ in 0..2 {
            self.consumer.assignment().map_err(|error| self.refused(&error))?;
        }
        Ok(())
    }

    /// Waits for the next message, which is passed to `take`. Messages of one partition come in their order.
    pub fn poll(&self, patience: Duration, take: impl FnOnce(Message<'_>)) -> Result<Polled, KafkaError> {
        match self.consumer.poll(patience) {
            None => Ok(Polled::Nothing),
            Some(Ok(message)) => {
                take(borrowed(&message, self.reads_headers));
                Ok(Polled::Message)
            }
            Some(Err(ClientError::PartitionEOF(partition))) => {
                let unknown = || KafkaError::Refused {
                    topic: self.settings.topic.clone(),
                    reason: "the client does not say where a partition ends".to_owned(),
                };
                // The client has just passed it to the context.
                let offset = lock(&self.consumer.context().end_reached).take().ok_or_else(unknown)?;
                Ok(Polled::End { partition: partition.unsigned_abs(), offset })
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Ok(Polled::OutOfRange),
                code if is_final(code) => Err(self.failure(&error, patience)),
                // Everything else is retried by the client, until a broker answers.
                _ => {
                    self.consumer.context().has_lost_brokers.store(true, Ordering::Relaxed);
                    Ok(Polled::Nothing)
                }
            },
        }
    }

    /// Returns whether the brokers answer. Asks them only if one was lost since the last call that returned true.
    pub fn answers(&self) -> Result<bool, KafkaError> {
        let lost = &self.consumer.context().has_lost_brokers;
        if !lost.load(Ordering::Relaxed) {
            return Ok(true);
        }
        match self.consumer.fetch_metadata(Some(&self.settings.topic), ANSWER_PATIENCE) {
            Ok(_) => {
                lost.store(false, Ordering::Relaxed);
                Ok(true)
            }
            Err(error) if is_final(error.rdkafka_error_code()) => Err(self.failure(&error, ANSWER_PATIENCE)),
            Err(_) => Ok(false),
        }
    }

    /// Returns the error for what the client has reported after `waited`.
    fn failure(&self, error: &ClientError, waited: Duration) -> KafkaError {
        match error.rdkafka_error_code() {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                KafkaError::UnknownTopic { topic: self.settings.topic.clone() }
            }
            code if is_final(code) => self.refused(error),
            _ => KafkaError::Away { brokers: self.settings.brokers.clone(), seconds: waited.as_secs().max(1) },
        }
    }

    fn refused(&self, error: &ClientError) -> KafkaError {
        refused(&self.settings.topic, error)
    }
}

/// Sets the properties in `settings`, and those that the client sets itself. Fails if `settings` has one of the latter.
pub(super) fn set_all(config: &mut ClientConfig, settings: &Settings) -> Result<(), KafkaError> {
    if let Some((property, _)) = settings.properties.iter().find(|(name, _)| OWN_PROPERTIES.contains(&name.as_str())) {
        let reason = "ckpt sets it itself".to_owned();
        return Err(KafkaError::Setting { property: property.clone(), reason });
    }
    for (name, value) in &settings.properties {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("allow.auto.create.topics", "false")
        // Without it, messages that are gone would be skipped without a word.
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed");
    Ok(())
}

fn consumer(settings: &Settings) -> Result<BaseConsumer<Events>, KafkaError> {
    let mut config = ClientConfig::new();
    // The client asks for a group even though it joins none; smaller queues, because workers are seldom slower than it.
    config.set("group.id", "ckpt").set("client.id", "ckpt").set("queued.max.messages.kbytes", "32768");
    // Without this, the client asks for no more messages for a whole second whenever a queue is full.
    config.set("fetch.queue.backoff.ms", "10");
    // The client says with them where each partition ends, which it learns with the messages.
    config.set("statistics.interval.ms", "1000");
    set_all(&mut config, settings)?;
    create(&config, Events::default())
}

/// Creates the consumer.
pub(super) fn create<C: ConsumerContext>(config: &ClientConfig, context: C) -> Result<BaseConsumer<C>, KafkaError> {
    config.create_with_context(context).map_err(create_error)
}

/// Returns why no client was created.
pub(super) fn create_error(error: ClientError) -> KafkaError {
    match error {
        ClientError::ClientConfig(_, reason, property, _) => KafkaError::Setting { property, reason },
        other => KafkaError::Setting { property: "bootstrap.servers".to_owned(), reason: other.to_string() },
    }
}

/// Returns the error of a request about `topic` that was refused.
pub(super) fn refused(topic: &str, error: &ClientError) -> KafkaError {
    let reason = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
    KafkaError::Refused { topic: topic.to_owned(), reason }
}

/// Returns the name of a member of a group. Brokers make its id of the name, or else of `client.id`, and a UUID.
fn name_of(id: &str) -> &str {
    const UUID: usize = 36;
    let name = id.len().checked_sub(UUID).and_then(|end| id.get(..end)).and_then(|name| name.strip_suffix('-'));
    name.filter(|name| !name.is_empty()).unwrap_or(id)
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

fn borrowed<'a>(message: &'a BorrowedMessage<'_>, reads_headers: bool) -> Message<'a> {
    // The client allocates memory to find out that there are none.
    let headers = reads_headers.then(|| {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        headers.map(|header| (header.key, header.value)).collect()
    });
    Message {
        partition: message.partition().unsigned_abs(),
        offset: message.offset().unsigned_abs(),
        time: message.timestamp().to_millis(),
        key: message.key(),
        value: message.payload(),
        headers,
    }
}

/// Returns whether waiting cannot help.
pub(super) fn is_final(code: Option<Code>) -> bool {
    code.is_some_and(|code| {
        matches!(
            code,
            Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::InvalidTopic
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::UnsupportedSASLMechanism
                | Code::Fatal
                | Code::BadMessage
                | Code::BadCompression
                | Code::NotImplemented
                | Code::UnsupportedFeature
        )
    })
}

/// Returns the offset at which a partition ends, from what the client says about it. It has no other way to say it.
fn end_in(reason: &str) -> Option<u64> {
    let (_, rest) = reason.split_once("end of partition at offset ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn is_about_brokers(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut | Code::SSL
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_where_a_partition_ends() {
        let said = "Fetch from broker 2 reached end of partition at offset 1042 (HighwaterMark 1043)";
        assert_eq!(end_in(said), Some(1042));
        assert_eq!(end_in("Broker: No more messages"), None);
        assert_eq!(end_in("reached end of partition at offset INVALID (HighwaterMark 7)"), None);
    }
}
