//! Fills and reads the topics of `benches/kafka/run`.
//!
//!     topics fill BROKERS TOPIC PARTITIONS FILE...   sends each line, a click as `by_hand clicks` makes them
//!     topics mark BROKERS TOPIC COUNT                sends COUNT clicks, each of a new user
//!     topics make BROKERS TOPIC PARTITIONS           makes an empty topic
//!     topics remove BROKERS TOPIC...                 deletes topics
//!     topics drain BROKERS TOPIC                     reads all messages and counts them and their bytes: the limit
//!     topics rows BROKERS TOPIC                      prints the last value of each key: text, or a count and a float

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::future::Future;
use std::io::{BufRead, BufReader, Write as _, stdout};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["fill", brokers, topic, partitions, files @ ..] => {
            make(brokers, topic, partitions.parse()?)?;
            let producer = producer(brokers)?;
            files.iter().try_for_each(|file| send_file(&producer, topic, file))?;
            Ok(producer.flush(PATIENCE)?)
        }
        ["mark", brokers, topic, count] => {
            let producer = producer(brokers)?;
            for number in 0..count.parse::<u32>()? {
                let user = format!("mark-{number:07}");
                let click = format!(r#"{{"ts":1767225600000,"user":"{user}","country":"US","amount":1.00}}"#);
                send(&producer, topic, &user, &click);
            }
            Ok(producer.flush(PATIENCE)?)
        }
        ["make", brokers, topic, partitions] => make(brokers, topic, partitions.parse()?),
        ["remove", brokers, topics @ ..] => {
            let removed = wait(admin(brokers)?.delete_topics(topics, &AdminOptions::new()))?;
            each(removed)
        }
        ["drain", brokers, topic] => {
            let (mut messages, mut bytes) = (0_u64, 0_u64);
            read(brokers, topic, |message| {
                messages += 1;
                bytes += message.payload_len() as u64;
            })?;
            println!(r#"{{"messages":{messages},"bytes":{bytes}}}"#);
            Ok(())
        }
        ["rows", brokers, topic] => print_rows(brokers, topic),
        _ => Err("usage: see the top of benches/kafka/topics.rs".into()),
    }
}

fn make(brokers: &str, topic: &str, partitions: i32) -> Outcome {
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    each(wait(admin(brokers)?.create_topics([&new], &AdminOptions::new()))?)
}

fn admin(brokers: &str) -> Outcome<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", brokers).create()?)
}

fn each(topics: Vec<TopicResult>) -> Outcome {
    topics.into_iter().try_for_each(|done| done.map(drop)).map_err(|(topic, code)| format!("{topic}: {code}").into())
}

fn producer(brokers: &str) -> Outcome<BaseProducer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "20").set("compression.codec", "lz4");
    // As producers in Java choose the partition.
    config.set("partitioner", "murmur2_random");
    Ok(config.create()?)
}

fn send_file(producer: &BaseProducer, topic: &str, file: &str) -> Outcome {
    for line in BufReader::with_capacity(1 << 20, File::open(file)?).lines() {
        let line = line?;
        let (_, rest) = line.split_once(r#""user":""#).ok_or("a click without a user")?;
        let (user, _) = rest.split_once('"').ok_or("a click without a user")?;
        send(producer, topic, user, &line);
    }
    Ok(())
}

fn send(producer: &BaseProducer, topic: &str, key: &str, value: &str) {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    // It waits while the queue is full.
    while let Err((_, again)) = producer.send(record) {
        record = again;
        producer.poll(Duration::from_millis(10));
    }
    producer.poll(Duration::ZERO);
}

/// Passes each message of a topic to `take`, up to the ends that its partitions have when the client reaches them.
fn read(brokers: &str, topic: &str, mut take: impl FnMut(&BorrowedMessage<'_>)) -> Outcome {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "bench").set("enable.auto.commit", "false");
    // As `ckpt` sets them.
    config.set("check.crcs", "true").set("enable.partition.eof", "true").set("isolation.level", "read_committed");
    config.set("queued.max.messages.kbytes", "32768").set("fetch.queue.backoff.ms", "10");
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = metadata.topics().first().ok_or("no such topic")?.partitions();
    let mut starts = TopicPartitionList::new();
    for partition in partitions {
        starts.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    let mut open = partitions.len();
    consumer.assign(&starts)?;
    while open > 0 {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => take(&message),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
            None => return Err("no answer".into()),
        }
    }
    Ok(())
}

fn print_rows(brokers: &str, topic: &str) -> Outcome {
    let mut rows = HashMap::new();
    read(brokers, topic, |message| {
        let key = message.key().unwrap_or_default().to_vec();
        match message.payload() {
            Some(value) => rows.insert(key, value.to_vec()),
            None => rows.remove(&key),
        };
    })?;
    let mut text = String::new();
    for (key, value) in rows {
        write!(text, "{}\t", String::from_utf8(key)?)?;
        if let Ok([count, sum]) = <[[u8; 8]; 2]>::try_from(value.as_chunks().0)
            && value.len() == 16
        {
            writeln!(text, "{}\t{:.2}", i64::from_be_bytes(count), f64::from_be_bytes(sum))?;
        } else {
            writeln!(text, "{}", String::from_utf8(value)?)?;
        }
    }
    Ok(stdout().write_all(text.as_bytes())?)
}

fn wait<T>(answer: impl Future<Output = T>) -> T {
    let (mut answer, mut context) = (pin!(answer), Context::from_waker(Waker::noop()));
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::sleep(Duration::from_millis(5)),
        }
    }
}
