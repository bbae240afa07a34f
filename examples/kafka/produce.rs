//! Makes a topic, unless it exists, and sends clicks to it: `BROKERS TOPIC PARTITIONS MESSAGES`. For `examples/kafka/run`.

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{env, thread};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [brokers, topic, partitions, messages] = &arguments[..] else {
        return Err("expected BROKERS TOPIC PARTITIONS MESSAGES".into());
    };
    let (partitions, messages): (i32, u64) = (partitions.parse()?, messages.parse()?);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "20").set("compression.codec", "lz4");
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    match &wait(admin.create_topics([&new], &AdminOptions::new()))?[0] {
        // It gets more messages.
        Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
        Err((_, code)) => return Err(code.to_string().into()),
    }
    let producer: BaseProducer = config.create()?;
    for number in 0..messages {
        let user = format!("u{}", number * 7919 % 1000);
        let value = format!("{{\"user\":\"{user}\",\"amount\":{}.{:02}}}", number % 90, number % 100);
        let mut record = BaseRecord::to(topic).key(&user).payload(&value);
        while let Err((_, again)) = producer.send(record) {
            record = again;
            producer.poll(Duration::from_millis(10));
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE)?;
    println!("sent {messages} messages to the {partitions} partitions of `{topic}`");
    Ok(())
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
