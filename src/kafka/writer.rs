//! Messages into one topic, in transactions.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::client::{Topic, create, create_error, is_final, set_all};
use crate::kafka::error::KafkaError;
use crate::kafka::message::{Mark, Outgoing};
use crate::kafka::metadata::metadata;
use crate::kafka::settings::{Settings, WRITER_PROPERTIES};
use crate::values::lock::lock;

/// How long a request of a transaction may take.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);

/// How long one look at the queue takes, which nothing ends earlier, and a pause before the mark is read again.
const POLL: Duration = Duration::from_millis(2);

/// How long the brokers may take to settle a transaction that is committed.
const SETTLING: Duration = Duration::from_millis(500);

/// The partition of the topic whose offset in the group is the mark.
const MARKED_PARTITION: i32 = 0;

/// A topic that is written in transactions, each of which also sets a mark. A mark is an offset of a group with a text; no
/// member of the group reads it.
pub struct Writer {
    settings: Settings,
    /// The name of the group and of the writer.
    name: String,
    producer: BaseProducer<Deliveries>,
    marks: Marks,
}

/// Reads the mark of a topic that somebody else may be writing.
pub struct Marks {
    settings: Settings,
    consumer: BaseConsumer<Silent>,
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marks").field("topic", &self.settings.topic).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("topic", &self.settings.topic).finish_non_exhaustive()
    }
}

/// Why a message was not delivered.
#[derive(Debug, Default)]
struct Deliveries {
    first_failure: Mutex<Option<Code>>,
}

impl ClientContext for Deliveries {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: ClientError, _: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result
            && let Some(code) = error.rdkafka_error_code()
        {
            lock(&self.first_failure).get_or_insert(code);
        }
    }
}

struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: ClientError, _: &str) {}
}

impl ConsumerContext for Silent {}

impl Writer {
    /// Becomes the writer `name` of the topic, which must exist. A writer that had the name before can
    /// commit no transaction anymore, and what it has not committed is aborted.
    pub fn open(settings: &Settings, name: &str) -> Result<Writer, KafkaError> {
        if let Some((property, _)) =
            settings.properties.iter().find(|(name, _)| WRITER_PROPERTIES.contains(&name.as_str()))
        {
            let reason = "ckpt sets it itself".to_owned();
            return Err(KafkaError::Setting { property: property.clone(), reason });
        }
        let marks = Marks::open(settings, name)?;
        let mut config = ClientConfig::new();
        config
            .set("client.id", "ckpt")
            .set("linger.ms", "5")
            // As producers in Java do it: equal keys of several topics are in partitions of equal numbers.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.kbytes", "65536")
            .set("delivery.report.only.error", "true");
        set_all(&mut config, settings)?;
        config.set("transactional.id", name);
        let producer = config.create_with_context(Deliveries::default()).map_err(create_error)?;
        let writer = Writer { settings: settings.clone(), name: name.to_owned(), producer, marks };
        let ready = writer.producer.init_transactions(settings.patience);
        ready.map_err(|error| writer.failure(&error))?;
        Ok(writer)
    }

    /// Returns the mark that the last committed transaction has set. Waits for one that is being committed.
    pub fn mark(&self) -> Result<Option<Mark>, KafkaError> {
        self.marks.read(REQUEST_PATIENCE)
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<(), KafkaError> {
        lock(&self.producer.context().first_failure).take();
        self.producer.begin_transaction().map_err(|error| self.failure(&error))
    }

    /// Adds a message to the transaction.
    pub fn send(&self, message: &Outgoing<'_>) -> Result<(), KafkaError> {
        let begun = Instant::now();
        loop {
            let (key, value) = message.header;
            let header = OwnedHeaders::new_with_capacity(1).insert(Header { key, value: Some(value) });
            let mut record: BaseRecord<'_, str, str> =
                BaseRecord::to(&self.settings.topic).headers(header).timestamp(message.time);
            (record.key, record.payload) = (message.key, message.value);
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => {
                    if begun.elapsed() > REQUEST_PATIENCE {
                        return Err(self.failure(&error));
                    }
                    self.producer.poll(POLL);
                }
                Err((error, _)) => return Err(self.failure(&error)),
            }
        }
    }

    /// Sets the mark, and commits the transaction. After an error it may be committed or not: [`Writer::mark`] of a new
    /// writer of the same name says which.
    pub fn commit(&self, mark: &Mark) -> Result<(), KafkaError> {
        let mut offsets = TopicPartitionList::new();
        let mut marked = offsets.add_partition(&self.settings.topic, MARKED_PARTITION);
        let number = i64::try_from(mark.number).unwrap_or(i64::MAX);
        marked.set_offset(Offset::Offset(number)).map_err(|error| self.failure(&error))?;
        marked.set_metadata(&mark.text);
        let group = self.marks.consumer.group_metadata().expect("the consumer has a group");
        let committed = self.producer.send_offsets_to_transaction(&offsets, &group, REQUEST_PATIENCE).and_then(|()| {
            self.wait_for_deliveries();
            self.producer.commit_transaction(REQUEST_PATIENCE)
        });
        committed.map_err(|error| self.failure(&error))
    }

    /// Waits until the brokers have everything. The client does so, too, but looks only ten times a second.
    fn wait_for_deliveries(&self) {
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 && begun.elapsed() < REQUEST_PATIENCE {
            self.producer.poll(POLL);
        }
    }

    fn failure(&self, error: &ClientError) -> KafkaError {
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        let undelivered = *lock(&self.producer.context().first_failure);
        let codes = [fatal, undelivered.filter(|code| !is_purged(*code)), error.rdkafka_error_code()];
        let code = |wanted: fn(Code) -> bool| codes.into_iter().flatten().find(|code| wanted(*code));
        let topic = self.settings.topic.clone();
        if code(is_fenced).is_some() {
            return KafkaError::Fenced { topic, name: self.name.clone() };
        }
        match code(is_lasting) {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                KafkaError::UnknownTopic { topic }
            }
            Some(code) => KafkaError::Unwritable { topic, reason: code.to_string() },
            None => KafkaError::Unsent { topic, reason: unsent_reason(codes, error) },
        }
    }
}

impl Marks {
    /// Opens the marks of the group `name` in a topic, which must exist.
    pub fn open(settings: &Settings, name: &str) -> Result<Marks, KafkaError> {
        Topic::open(settings)?;
        let mut config = ClientConfig::new();
        // The brokers settle a transaction in less than the tenth of a second that is usual here.
        config.set("client.id", "ckpt").set("retry.backoff.ms", "10");
        set_all(&mut config, settings)?;
        config.set("group.id", name).remove("group.instance.id");
        Ok(Marks { settings: settings.clone(), consumer: create(&config, Silent)? })
    }

    /// Returns the mark that the last committed transaction has set. Waits a moment for one that is being committed, and
    /// at most `patience` for the brokers.
    pub fn read(&self, patience: Duration) -> Result<Option<Mark>, KafkaError> {
        let topic = &self.settings.topic;
        let begun = Instant::now();
        loop {
            let error = match self.try_to_read(patience) {
                Ok(mark) => return Ok(mark),
                Err(error) => error,
            };
            match error.rdkafka_error_code() {
                Some(code) if is_lasting(code) => {
                    return Err(KafkaError::Unwritable { topic: topic.clone(), reason: code.to_string() });
                }
                _ if begun.elapsed() < SETTLING.min(patience) => thread::sleep(POLL),
                _ => {
                    let brokers = self.settings.brokers.clone();
                    return Err(KafkaError::Away { brokers, seconds: patience.as_secs() });
                }
            }
        }
    }

    fn try_to_read(&self, patience: Duration) -> Result<Option<Mark>, ClientError> {
        let topic = &self.settings.topic;
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(topic, MARKED_PARTITION);
        let offsets = self.consumer.committed_offsets(wanted, patience)?;
        let Some(found) = offsets.find_partition(topic, MARKED_PARTITION) else { return Ok(None) };
        found.error()?;
        let Offset::Offset(number) = found.offset() else { return Ok(None) };
        Ok(Some(Mark { number: number.max(0).unsigned_abs(), text: metadata(&offsets, topic, MARKED_PARTITION) }))
    }
}

/// Returns the mark of the group `name` in a topic that somebody else may be writing.
pub fn look_at_mark(settings: &Settings, name: &str) -> Result<Option<Mark>, KafkaError> {
    Marks::open(settings, name)?.read(REQUEST_PATIENCE)
}

/// Returns whether another writer has the name by now.
fn is_fenced(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// Returns whether trying again cannot help.
fn is_lasting(code: Code) -> bool {
    let is_refusal = matches!(
        code,
        Code::TransactionalIdAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::MessageSizeTooLarge
            | Code::InvalidRecord
            | Code::InvalidTransactionTimeout
    );
    is_refusal || (is_final(Some(code)) && code != Code::Fatal)
}

/// Returns whether a message was dropped only because its transaction was.
fn is_purged(code: Code) -> bool {
    matches!(code, Code::PurgeQueue | Code::PurgeInflight)
}

fn unsent_reason(codes: [Option<Code>; 3], error: &ClientError) -> String {
    codes.into_iter().flatten().next().map_or_else(|| error.to_string(), |code| code.to_string())
}
