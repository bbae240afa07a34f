//! What every client of Kafka must do: the conformance suite, against a real broker.

use std::time::{Duration, Instant};

use ckpt::kafka::{Bounds, KafkaError, Polled, Settings, Topic};

use crate::support::kafka::{Broker, Sent};

/// A message as the client hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    partition: u32,
    offset: u64,
    time: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn settings(broker: &Broker, topic: &str) -> Settings {
    let patience = Duration::from_secs(30);
    Settings { brokers: broker.address(), topic: topic.to_owned(), properties: vec![], patience }
}

fn open(broker: &Broker, topic: &str) -> Topic {
    Topic::open(&settings(broker, topic)).unwrap()
}

/// Reads until all `partitions` partitions have ended, or one has no message where it is read.
fn read(topic: &Topic, partitions: usize) -> (Vec<Seen>, Polled) {
    let (mut seen, mut ended) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "{seen:?}");
        let polled = topic.poll(Duration::from_millis(100), |message| {
            let headers = message.headers.iter().flatten();
            seen.push(Seen {
                partition: message.partition,
                offset: message.offset,
                time: message.time,
                key: message.key.map(<[u8]>::to_vec),
                value: message.value.map(<[u8]>::to_vec),
                headers: headers.map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec))).collect(),
            });
        });
        match polled.unwrap() {
            Polled::End { partition, offset } if !ended.contains(&partition) => {
                assert_eq!(offset, topic.bounds(partition).unwrap().0.end);
                ended.push(partition);
            }
            Polled::OutOfRange => return (seen, Polled::OutOfRange),
            _ => {}
        }
        if ended.len() == partitions {
            return (seen, Polled::Nothing);
        }
    }
}

fn values(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| String::from_utf8_lossy(seen.value.as_deref().unwrap_or(b"-")).into_owned()).collect()
}

fn value(value: &str) -> Sent<'_> {
    Sent { value: Some(value), ..Sent::default() }
}

#[test]
fn everything_of_a_message_arrives() {
    let Some(broker) = Broker::shared() else { return };
    let topic = broker.topic(2);
    let headers = [("trace", "a1"), ("trace", "a2"), ("", "")];
    let full =
        Sent { partition: 1, key: Some("k"), value: Some("v"), time: Some(1_700_000_000_123), headers: &headers };
    let tombstone = Sent { partition: 1, key: Some("k"), value: None, ..Sent::default() };
    let empty = Sent { partition: 0, key: Some(""), value: Some(""), ..Sent::default() };
    broker.send(&topic, [full, tombstone, empty]);
    let client = open(broker, &topic);
    assert_eq!(client.partition_count().unwrap(), 2);
    client.assign(&[(0, 0), (1, 0)]).unwrap();
    let (mut seen, _) = read(&client, 2);
    seen.sort_by_key(|seen| (seen.partition, seen.offset));
    let text = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!((&seen[0].key, &seen[0].value), (&text(""), &text("")));
    let headers = vec![("trace".to_owned(), text("a1")), ("trace".to_owned(), text("a2")), (String::new(), text(""))];
    assert_eq!(
        seen[1],
        Seen { partition: 1, offset: 0, time: Some(1_700_000_000_123), key: text("k"), value: text("v"), headers }
    );
    assert_eq!((seen[2].offset, &seen[2].key, &seen[2].value), (1, &text("k"), &None));
    assert!(seen[2].time.is_some());
}

#[test]
fn reading_starts_at_the_offset_that_is_asked_for_and_the_bounds_are_those_of_the_topic() {
    let Some(broker) = Broker::shared() else { return };
    let topic = broker.topic(1);
    broker.send(&topic, ["a", "b", "c", "d"].map(value));
    let client = open(broker, &topic);
    assert_eq!(client.bounds(0).unwrap(), Bounds(0..4));
    client.assign(&[(0, 2)]).unwrap();
    assert_eq!(values(&read(&client, 1).0), ["c", "d"]);
    client.assign(&[(0, 1)]).unwrap();
    assert_eq!(values(&read(&client, 1).0), ["b", "c", "d"], "it can be set back");
    broker.delete_before(&topic, 0, 3);
    assert_eq!(client.bounds(0).unwrap(), Bounds(3..4));
}

#[test]
fn an_offset_that_the_topic_does_not_have_is_never_skipped() {
    let Some(broker) = Broker::shared() else { return };
    let topic = broker.topic(1);
    broker.send(&topic, ["a", "b", "c"].map(value));
    broker.delete_before(&topic, 0, 2);
    for offset in [0, 1, 4, 1000] {
        let client = open(broker, &topic);
        client.assign(&[(0, offset)]).unwrap();
        assert_eq!(read(&client, 1), (vec![], Polled::OutOfRange), "{offset}");
    }
}

#[test]
fn of_transactions_only_those_that_were_committed_are_read() {
    let Some(broker) = Broker::shared() else { return };
    let topic = broker.topic(1);
    broker.send_in_transaction(&topic, true, ["a", "b"].map(value));
    broker.send_in_transaction(&topic, false, ["x", "y"].map(value));
    broker.send_in_transaction(&topic, true, [value("c")]);
    let client = open(broker, &topic);
    let Bounds(bounds) = client.bounds(0).unwrap();
    client.assign(&[(0, 0)]).unwrap();
    let (seen, _) = read(&client, 1);
    assert_eq!(values(&seen), ["a", "b", "c"]);
    let last = seen.last().unwrap().offset;
    assert!(last + 1 < bounds.end, "the last offset is that of a marker: {last}, {bounds:?}");
}

#[test]
fn all_kinds_of_compressed_batches_are_read() {
    let Some(broker) = Broker::shared() else { return };
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let topic = broker.topic(1);
        let sent: Vec<String> = (0..2_000).map(|number| format!("message {number} {codec}")).collect();
        broker.send_with(&topic, &[("compression.codec", codec)], sent.iter().map(|text| value(text)));
        let client = open(broker, &topic);
        client.assign(&[(0, 0)]).unwrap();
        assert_eq!(values(&read(&client, 1).0), sent, "{codec}");
    }
}

#[test]
fn a_topic_that_does_not_exist_and_a_broker_that_does_not_answer_are_errors_in_time() {
    let Some(broker) = Broker::shared() else { return };
    let begun = Instant::now();
    let unknown = Topic::open(&settings(broker, "no-such-topic")).unwrap_err();
    assert_eq!(unknown, KafkaError::UnknownTopic { topic: "no-such-topic".to_owned() });
    let brokers = "127.0.0.1:1".to_owned();
    let patience = Duration::from_secs(2);
    let away = Topic::open(&Settings { brokers: brokers.clone(), patience, ..settings(broker, "t") }).unwrap_err();
    assert_eq!(away, KafkaError::Away { brokers, seconds: 2 });
    let property = ("auto.offset.reset".to_owned(), "earliest".to_owned());
    let own = Topic::open(&Settings { properties: vec![property], ..settings(broker, "t") }).unwrap_err();
    assert!(matches!(own, KafkaError::Setting { .. }), "{own:?}");
    let property = ("sasl.passwort".to_owned(), "hunter2".to_owned());
    let unknown = Topic::open(&Settings { properties: vec![property], ..settings(broker, "t") }).unwrap_err();
    assert!(unknown.to_string().contains("sasl.passwort") && !unknown.to_string().contains("hunter2"), "{unknown}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

#[test]
fn a_topic_that_is_made_again_has_another_id() {
    let Some(broker) = Broker::shared() else { return };
    let topic = broker.topic(1);
    let id = open(broker, &topic).id().unwrap().expect("an id");
    assert_eq!(open(broker, &topic).id().unwrap().as_ref(), Some(&id));
    broker.delete(&topic);
    broker.make(&topic, 1);
    let again = open(broker, &topic).id().unwrap().expect("an id");
    assert_ne!(again, id);
}

#[test]
fn a_broker_that_is_killed_and_started_again_loses_nothing_and_repeats_nothing() {
    let Some(mut broker) = Broker::start() else { return };
    let topic = broker.topic(1);
    broker.send(&topic, ["a", "b"].map(value));
    let client = open(&broker, &topic);
    client.assign(&[(0, 0)]).unwrap();
    let mut seen = values(&read(&client, 1).0);
    broker.kill();
    let begun = Instant::now();
    while client.answers().unwrap() {
        client.poll(Duration::from_millis(100), |_| ()).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody has noticed");
    }
    broker.start_again();
    broker.send(&topic, ["c", "d"].map(value));
    while seen.len() < 4 {
        client
            .poll(Duration::from_millis(100), |message| {
                seen.push(String::from_utf8_lossy(message.value.unwrap_or_default()).into_owned());
            })
            .unwrap();
        assert!(begun.elapsed() < Duration::from_secs(120), "{seen:?}");
    }
    assert_eq!(seen, ["a", "b", "c", "d"]);
    assert!(client.answers().unwrap());
}

#[test]
fn what_is_read_can_be_changed_several_times_at_once_and_given_up() {
    let Some(broker) = Broker::shared() else { return };
    let topic = broker.topic(4);
    broker.send(&topic, (0..4).map(|partition| Sent { partition, value: Some("x"), ..Sent::default() }));
    for _ in 0..100 {
        let client = open(broker, &topic);
        for _ in 0..3 {
            client.assign(&[(0, 0), (1, 0), (2, 0), (3, 0)]).unwrap();
        }
    }
}
