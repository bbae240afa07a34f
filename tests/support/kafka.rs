//! A broker of Apache Kafka, which the first test that needs one starts.
//!
//! `CKPT_KAFKA` names the directory with its jars; without it, they are looked for in `target/tools/kafka/lib`. Without
//! them or without `java`, tests skip what needs a broker, unless `CKPT_REQUIRE_KAFKA` is 1.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tempfile::TempDir;

use super::repository;
use super::wire::Wire;

/// How long a broker may take to start or to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A broker that a test may kill and start again.
pub struct Broker {
    jars: PathBuf,
    dir: TempDir,
    port: u16,
    /// The shell that ends the broker with this process, however that ends.
    life: Option<Child>,
}

/// What a message has.
#[derive(Debug, Clone, Default)]
pub struct Sent<'a> {
    pub partition: i32,
    pub key: Option<&'a str>,
    pub value: Option<&'a str>,
    pub time: Option<i64>,
    pub headers: &'a [(&'a str, &'a str)],
}

/// A message of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Option<String>,
    /// The value of the only header `checkpoint`.
    pub checkpoint: Option<String>,
}

impl Received {
    fn new(message: &BorrowedMessage<'_>) -> Received {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let header = message.headers().map(|headers| {
            assert_eq!((headers.count(), headers.get(0).key), (1, "checkpoint"));
            text(headers.get(0).value.expect("a value"))
        });
        Received {
            partition: message.partition(),
            key: message.key().map(text),
            value: message.payload().map(text),
            checkpoint: header,
        }
    }
}

impl Broker {
    /// Returns the broker that all tests share, or says that the test is skipped and returns nothing if none is
    /// installed.
    pub fn shared() -> Option<&'static Broker> {
        static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
        BROKER.get_or_init(Broker::start).as_ref()
    }

    /// Starts a broker of its own.
    pub fn start() -> Option<Broker> {
        Broker::start_with("", "")
    }

    /// Does the same. Clients that are given the port of `wire` reach it through that only.
    pub fn start_behind(wire: &Wire) -> Option<Broker> {
        let (port, target) = (wire.port(), wire.target());
        Broker::start_with(&format!(",WIRE://127.0.0.1:{target}"), &format!(",WIRE://127.0.0.1:{port}"))
    }

    fn start_with(listeners: &str, advertised: &str) -> Option<Broker> {
        let Some(jars) = jars() else {
            let required = env::var_os("CKPT_REQUIRE_KAFKA").is_some_and(|value| value == "1");
            assert!(!required, "CKPT_REQUIRE_KAFKA=1, and no broker was found");
            println!("skipped: no Kafka broker was found, which the tests of topics need");
            return None;
        };
        let dir = tempfile::tempdir().expect("a directory");
        let (port, controller) = (free_port(), free_port());
        let data = dir.path().join("data");
        // Messages of tests have times of their own, of any age: none is deleted for that.
        let config = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,WIRE:PLAINTEXT\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\noffsets.topic.num.partitions=1\noffsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nauto.create.topics.enable=false\nlog.cleaner.enable=false\n\
             log.retention.ms=-1\n",
            data.display()
        );
        fs::write(dir.path().join("server.properties"), config).expect("written");
        let mut broker = Broker { jars, dir, port, life: None };
        let format = ["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qk"];
        let formatted = broker.java(&format).arg("--config").arg(broker.config()).output().expect("java");
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        broker.start_again();
        Some(broker)
    }

    /// Returns a broker at `port` that somebody else has started, and ends.
    pub fn of_others(port: u16) -> Broker {
        Broker { jars: PathBuf::new(), dir: tempfile::tempdir().expect("a directory"), port, life: None }
    }

    /// Returns the directory with the jars that it was started from.
    pub fn jars(&self) -> &Path {
        &self.jars
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("server.properties")
    }

    fn java(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.arg("-Xmx384m").arg("-cp").arg(self.jars.join("*")).args(arguments);
        command
    }

    /// Starts the broker after [`Broker::kill`], and waits until it answers.
    pub fn start_again(&mut self) {
        const LINE: &str = r#""$@" >/dev/null 2>&1 & server=$!; cat >/dev/null; kill -9 $server"#;
        let java = self.java(&["kafka.Kafka"]);
        let mut command = Command::new("sh");
        command.args(["-c", LINE, "sh", "java"]).args(java.get_args()).arg(self.config());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.life = Some(command.spawn().expect("a shell"));
        let begun = Instant::now();
        let client: BaseProducer = self.client().create().expect("a client");
        while client.client().fetch_metadata(None, Duration::from_secs(1)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the broker does not answer");
        }
    }

    /// Kills the broker.
    pub fn kill(&mut self) {
        if let Some(mut life) = self.life.take() {
            drop(life.stdin.take());
            let _ = life.wait();
        }
    }

    /// Returns `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("message.timeout.ms", "60000");
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("a client")
    }

    /// Makes a topic with a name of its own.
    pub fn topic(&self, partitions: i32) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        self.make(&name, partitions);
        name
    }

    pub fn make(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let begun = Instant::now();
        // A topic that was just deleted is gone a little later.
        loop {
            let made = wait(self.admin().create_topics([&topic], &AdminOptions::new())).expect("answered");
            match &made[0] {
                Ok(_) => return,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error:?}"),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Makes a topic unless it exists. Waits for a broker that has just been started.
    pub fn make_once(&self, name: &str, partitions: i32) {
        let client: BaseProducer = self.client().create().expect("a client");
        let begun = Instant::now();
        while client.client().fetch_metadata(None, Duration::from_secs(1)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the broker does not answer");
        }
        let metadata = client.client().fetch_metadata(None, PATIENCE).expect("answered");
        if !metadata.topics().iter().any(|topic| topic.name() == name) {
            self.make(name, partitions);
        }
    }

    pub fn delete(&self, name: &str) {
        let deleted = wait(self.admin().delete_topics(&[name], &AdminOptions::new())).expect("answered");
        assert!(deleted[0].is_ok(), "{deleted:?}");
    }

    /// Adds partitions up to `count`.
    pub fn add_partitions(&self, name: &str, count: usize) {
        let more = rdkafka::admin::NewPartitions::new(name, count);
        let added = wait(self.admin().create_partitions([&more], &AdminOptions::new())).expect("answered");
        assert!(added[0].is_ok(), "{added:?}");
    }

    /// Deletes the messages of a partition before `offset`, as a retention does.
    pub fn delete_before(&self, name: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(name, partition, Offset::Offset(offset)).expect("an offset");
        wait(self.admin().delete_records(&list, &AdminOptions::new())).expect("deleted");
    }

    /// Deletes all messages of a topic, as a retention does.
    pub fn delete_messages(&self, name: &str, partitions: i32) {
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(name, partition, Offset::End).expect("an offset");
        }
        wait(self.admin().delete_records(&list, &AdminOptions::new())).expect("deleted");
    }

    /// Sends messages, and waits until the broker has them.
    pub fn send<'a>(&self, topic: &str, messages: impl IntoIterator<Item = Sent<'a>>) {
        self.send_with(topic, &[], messages);
    }

    /// Does the same with more properties of the producer.
    pub fn send_with<'a>(
        &self,
        topic: &str,
        properties: &[(&str, &str)],
        messages: impl IntoIterator<Item = Sent<'a>>,
    ) {
        let mut config = self.client();
        config.set("linger.ms", "5");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        let producer: BaseProducer = config.create().expect("a producer");
        for message in messages {
            while produce(&producer, topic, &message).is_err() {
                producer.poll(Duration::from_millis(10));
            }
        }
        producer.flush(PATIENCE).expect("sent");
    }

    /// Returns the messages of a topic, those of each partition in their order; with `isolation.level`, `read_committed` or
    /// `read_uncommitted`.
    pub fn read(&self, topic: &str, isolation: &str) -> Vec<Received> {
        let mut config = self.client();
        config.set("group.id", "tests").set("isolation.level", isolation).set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("answered");
        let partitions = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("assigned");
        let (mut messages, mut ended) = (Vec::new(), 0);
        while ended < partitions {
            match consumer.poll(PATIENCE).expect("answered") {
                Ok(message) => messages.push(Received::new(&message)),
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{error}"),
            }
        }
        messages.sort_by_key(|message| message.partition);
        messages
    }

    /// Deletes a group with its offsets, as the brokers do by themselves after a week.
    pub fn delete_group(&self, group: &str) {
        let deleted = wait(self.admin().delete_groups(&[group], &AdminOptions::new())).expect("answered");
        assert!(deleted[0].is_ok(), "{deleted:?}");
    }

    /// Sends messages in one transaction, which is committed or aborted.
    pub fn send_in_transaction<'a>(&self, topic: &str, commits: bool, messages: impl IntoIterator<Item = Sent<'a>>) {
        let producer: BaseProducer = self.client().set("transactional.id", topic).create().expect("a producer");
        producer.init_transactions(PATIENCE).expect("ready");
        producer.begin_transaction().expect("begun");
        for message in messages {
            produce(&producer, topic, &message).expect("room");
        }
        producer.flush(PATIENCE).expect("sent");
        let ended = if commits { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) };
        ended.expect("ended");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn produce(producer: &BaseProducer, topic: &str, message: &Sent<'_>) -> Result<(), ()> {
    let mut record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(message.partition);
    record.key = message.key;
    record.payload = message.value;
    record.timestamp = message.time;
    let add = |headers: OwnedHeaders, (key, value): &(&str, &str)| headers.insert(Header { key, value: Some(*value) });
    if !message.headers.is_empty() {
        record = record.headers(message.headers.iter().fold(OwnedHeaders::new(), add));
    }
    producer.send(record).map_err(drop)
}

/// Waits for the answer of an admin client.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    let (mut answer, mut context) = (pin!(answer), Context::from_waker(Waker::noop()));
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Returns the directory with the jars of the broker, if they are installed and `java` is.
fn jars() -> Option<PathBuf> {
    let named = env::var_os("CKPT_KAFKA").map(PathBuf::from);
    let jars = named.unwrap_or_else(|| repository::path("target/tools/kafka/lib"));
    let has_java = || Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    (is_broker(&jars) && has_java()).then_some(jars)
}

fn is_broker(jars: &Path) -> bool {
    let files = fs::read_dir(jars).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("kafka_2.13"))
}

pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Below the ports that the system gives to connections, one of which might take it before the broker does.
        let number = std::process::id() * 7 + NEXT.fetch_add(2, Ordering::Relaxed);
        let port = 10_000 + (number % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
