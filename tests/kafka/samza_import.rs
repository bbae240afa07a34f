//! `ckpt samza import`: a job continues where a real Samza job was killed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::kafka::{Broker, Sent};
use crate::support::{Env, Output, repository};

/// A killed Samza job whose topics are on the broker, under names of their own.
struct Killed {
    broker: &'static Broker,
    env: Env,
    name: &'static str,
}

/// How many messages `files.ProduceClicks` wrote, half of them to each of two partitions.
const MESSAGES: u64 = 330;

pub(super) const WORDS: [&str; 12] = [
    "--job",
    "job.yaml",
    "--store",
    "totals",
    "--key-serde",
    "string",
    "--value-serde",
    "json",
    "--column",
    "clicks=value.clicks",
    "--column",
    "spent=value.spent",
];

impl Killed {
    /// Sends the golden checkpoints and changelog, and the first `clicks` of the input that they are about.
    fn new(broker: &'static Broker, name: &'static str, clicks: u64) -> Killed {
        let env = Env::new();
        let read = |path: &str| std::fs::read_to_string(repository::path(path)).expect("readable");
        let renamed = |text: String| {
            let text =
                text.replace("kafka.clicks.", &format!("kafka.{name}.")).replace("totals-log", &format!("{name}-log"));
            text.replace("\\\"stream\\\":\\\"clicks\\\"", &format!("\\\"stream\\\":\\\"{name}\\\""))
                .replace("[kafka, clicks,", &format!("[kafka, {name},"))
        };
        let checkpoints = renamed(read("tests/samza/golden/totals/topic.jsonl"));
        let changelog = renamed(read("tests/samza/golden/totals/totals-log.jsonl"));
        let topic = format!("__samza_checkpoint_ver_1_for_{name}_1");
        broker.make(&topic, 1);
        broker.make(&format!("{name}-log"), 2);
        broker.make(name, 2);
        let killed = Killed { broker, env, name };
        killed.send_lines(&topic, &checkpoints);
        killed.send_lines(&format!("{name}-log"), &changelog);
        killed.send_clicks(0, clicks);
        killed.write_job("job.yaml", "store");
        killed.env.write("topic.jsonl", checkpoints);
        killed.env.write("log.jsonl", changelog);
        killed
    }

    fn send_lines(&self, topic: &str, text: &str) {
        let text_of = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let messages: Vec<_> = lines
            .iter()
            .map(|line| (line["partition"].as_i64().expect("a number"), text_of(line, "key"), text_of(line, "payload")))
            .collect();
        let sent = messages.iter().map(|(partition, key, value)| Sent {
            partition: *partition as i32,
            key: key.as_deref(),
            value: value.as_deref(),
            ..Sent::default()
        });
        self.broker.send(topic, sent);
    }

    fn send_clicks(&self, first: u64, end: u64) {
        Clicks { broker: self.broker, topic: self.name }.send(first, end);
    }

    fn write_job(&self, file: &str, store: &str) {
        self.env.write(file, job(self.broker, self.name, store));
    }

    fn address(&self) -> String {
        format!("kafka://{}/{}/1", self.broker.address(), self.name)
    }

    fn import(&self, more: &[&str]) -> Output {
        self.env.run(&[&["samza", "import", &self.address()][..], &WORDS, more].concat())
    }

    fn rows(&self, store: &str) -> Vec<Value> {
        rows(&self.env, store)
    }
}

/// The input of the Samza job: a topic of two partitions.
pub(super) struct Clicks<'a> {
    pub(super) broker: &'a Broker,
    pub(super) topic: &'a str,
}

impl Clicks<'_> {
    /// Sends what `files.ProduceClicks` writes.
    pub(super) fn send(&self, first: u64, end: u64) {
        let messages: Vec<(u64, String, String)> = (first..end).map(click).collect();
        let sent = messages.iter().map(|(partition, key, value)| Sent {
            partition: *partition as i32,
            key: Some(key),
            value: Some(value),
            ..Sent::default()
        });
        self.broker.send(self.topic, sent);
    }
}

/// The job that computes what the Samza job does.
pub(super) fn job(broker: &Broker, topic: &str, store: &str) -> String {
    let brokers = broker.address();
    format!(
        "job: totals\ninput:\n  kafka: {{brokers: '{brokers}', topic: {topic}, until: latest}}\n  format: json\n\
         key: _key\ntasks: partitions\nprocess:\n  delete: amount == null\n  \
         aggregate: {{clicks: count, spent: sum(amount)}}\ncheckpoint: {{store: {store}}}\n"
    )
}

/// The rows of the latest checkpoint, as `ckpt inspect` shows them.
pub(super) fn rows(env: &Env, store: &str) -> Vec<Value> {
    let output = env.run(&["inspect", store, "--state", "-n", "0", "--json"]).expect(0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    document["rows"].as_array().expect("rows").clone()
}

/// The partition, the key and the value of a click.
fn click(number: u64) -> (u64, String, String) {
    let user = number % 40;
    let amount = number as i64 * 7 % 1000 - 100;
    let value = if number % 97 == 96 { "{}".to_owned() } else { format!("{{\"amount\":{amount}}}") };
    (user % 2, format!("user-{user}"), value)
}

/// The state after `counts` clicks of the two partitions, of `messages` in all, as `ckpt inspect` shows it.
pub(super) fn expected(messages: u64, counts: [u64; 2]) -> Vec<Value> {
    let mut rows: BTreeMap<(u64, String), (u64, i64)> = BTreeMap::new();
    for (partition, count) in (0..).zip(counts) {
        // The users of a partition are all even or all odd, as the numbers of their clicks are.
        for number in (0..messages).skip(partition as usize).step_by(2).take(count as usize) {
            let (partition, user, value) = click(number);
            let value: Value = serde_json::from_str(&value).expect("JSON");
            match value["amount"].as_i64() {
                Some(amount) => {
                    let row = rows.entry((partition, user)).or_default();
                    *row = (row.0 + 1, row.1 + amount);
                }
                None => _ = rows.remove(&(partition, user)),
            }
        }
    }
    let row = |((task, key), (clicks, spent))| json!({"task": task, "key": key, "values": {"clicks": clicks, "spent": spent}});
    rows.into_iter().map(row).collect()
}

#[test]
fn a_job_continues_where_samza_was_killed_with_the_same_result() {
    let Some(broker) = Broker::shared() else { return };
    let killed = Killed::new(broker, "taken-over", MESSAGES);
    let output = killed.import(&["--json"]).expect(0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&document["keys"], &document["checkpoint"]), (&json!(39), &json!(1)), "{document}");
    for (number, partition) in (0..).zip(document["partitions"].as_array().expect("partitions")) {
        // Samza has processed offset 149 of each partition, so 150 comes next.
        let facts = json!({"partition": format!("taken-over/{number}"), "task": format!("Partition {number}"),
            "changelog": format!("kafka.taken-over-log.{number}"), "changelog_offset": 149,
            "keys": if number == 0 { 19 } else { 20 }, "offset": 150, "proven": true});
        assert_eq!(partition, &facts);
    }
    let rows = killed.rows("store");
    assert_eq!(rows, expected(MESSAGES, [150, 150]));
    let line =
        |row: &Value| format!("{{\"task\":{},\"key\":{},\"values\":{}}}\n", row["task"], row["key"], row["values"]);
    killed.env.write("rows", rows.iter().map(line).collect::<String>());
    let sum = killed.env.shell("sha256sum rows").stdout;
    assert_eq!(sum.split_whitespace().next(), document["sha256"].as_str());
    let verified = killed.env.run(&["verify", "store", "--deep"]).expect(0);
    assert!(verified.stdout.starts_with("intact"), "{verified}");

    let run = killed.env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
    assert!(run.stdout.contains("records       30 in"), "{run}");
    assert_eq!(killed.rows("store"), expected(MESSAGES, [165, 165]));
    killed.write_job("whole.yaml", "whole");
    killed.env.run(&["run", "whole.yaml"]).expect(0);
    assert_eq!(killed.rows("whole"), expected(MESSAGES, [165, 165]));
    killed.env.run(&["verify", "store", "--deep"]).expect(0);
}

#[test]
fn a_partition_is_proven_even_if_the_last_message_of_another_one_is_gone() {
    let Some(broker) = Broker::shared() else { return };
    let killed = Killed::new(broker, "gone-over", MESSAGES);
    let proven = |store: &str| {
        let output = killed.env.run(&["inspect", store, "--positions", "--json"]).expect(0).stdout;
        let document: Value = serde_json::from_str(&output).expect("JSON");
        let rows = document["positions"].as_array().expect("positions").clone();
        rows.iter().map(|row| row["proof_offset"].as_u64()).collect::<Vec<_>>()
    };
    broker.delete_before(killed.name, 0, 150);
    killed.import(&[]).expect(0);
    assert_eq!(proven("store"), [None, Some(149)]);
    killed.env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(proven("store"), [Some(164), Some(164)]);
    // Also when a run resumes, the other one is read again.
    broker.delete_before(killed.name, 0, 165);
    killed.send_clicks(MESSAGES, MESSAGES + 2);
    killed.env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(proven("store"), [Some(165), Some(165)]);
}

#[test]
fn nothing_is_committed_unless_everything_fits() {
    let Some(broker) = Broker::shared() else { return };
    let killed = Killed::new(broker, "refused-over", MESSAGES);
    let refuse = |more: &[&str], exit: i32, message: &str| {
        let output = killed.import(more).expect(exit);
        assert!(output.stderr.contains(message), "{message}\n{output}");
        assert!(!killed.env.path("store").exists(), "{message}");
    };
    // An option that is given again replaces the one in WORDS, except for columns, which are added.
    refuse(&["--column", "clicks=value.n"], 2, "column `clicks` is given twice");
    refuse(&["--column", "count=value.n"], 2, "the state of the job has no column `count`; it has `clicks`, `spent`");
    refuse(
        &["--set", "process.aggregate={clicks: count, spent: sum(amount), last: last(amount)}"],
        2,
        "the type of the field `amount` is not known",
    );
    refuse(
        &["--set", "tasks=4"],
        2,
        "state can only be imported into a job with `input: kafka` and `tasks: partitions`",
    );
    let import = |words: &[&str], exit: i32, message: &str| {
        let address = killed.address();
        let common = ["--job", "job.yaml", "--store", "totals"];
        let output = killed.env.run(&[&["samza", "import", &address][..], &common, words].concat()).expect(exit);
        assert!(output.stderr.contains(message), "{message}\n{output}");
        assert!(!killed.env.path("store").exists(), "{message}");
    };
    let text = ["--key-serde", "string", "--value-serde", "json"];
    let columns = |clicks, spent| [&text[..], &["--column", clicks, "--column", spent]].concat();
    import(&text, 2, "it is not said where the values of `clicks`, `spent` come from");
    let missing = "task `Partition 0`: key `user-0`, column `spent`: the value has no field `cost`";
    import(&columns("clicks=value.clicks", "spent=value.cost"), 4, missing);
    let mistyped = "task `Partition 0`: key `user-0`, column `clicks`: expected the type int, found `{\"clicks\":8";
    import(&columns("clicks=value", "spent=value.spent"), 4, mistyped);
    let unknown =
        [&["--value-serde", "json"][..], &["--column", "clicks=value.clicks", "--column", "spent=value.spent"]];
    import(&unknown.concat(), 4, "task `Partition 0`: a key cannot be bytes of an unknown serde");
    // The topic got a partition that no task of Samza has read.
    broker.add_partitions(killed.name, 3);
    refuse(&[], 4, "there is no checkpoint of task `Partition 2`, and topic `refused-over` has 3 partitions");
}

#[test]
fn a_store_with_a_checkpoint_and_a_topic_without_the_next_message_are_refused() {
    let Some(broker) = Broker::shared() else { return };
    // The topic ends before what Samza has processed.
    let short = Killed::new(broker, "short-over", 200);
    let output = short.import(&[]).expect(4);
    assert!(output.stderr.contains("the partition ends at offset 100"), "{output}");
    assert!(!short.env.path("store").exists());
    short.send_clicks(200, MESSAGES);
    broker.delete_before("short-over", 1, 160);
    let output = short.import(&[]).expect(4);
    assert!(output.stderr.contains("10 messages of `short-over/1` are gone"), "{output}");

    let killed = Killed::new(broker, "twice-over", MESSAGES);
    killed.import(&[]).expect(0);
    let before = killed.rows("store");
    let again = killed.import(&[]).expect(4);
    assert!(again.stderr.contains("store `store` already has checkpoints"), "{again}");
    assert_eq!(killed.rows("store"), before);
    // From dumps, the same.
    let dumps = ["samza", "import", "topic.jsonl", "--changelog", "log.jsonl", "--set", "checkpoint.store=dumped"];
    killed.env.run(&[&dumps[..], &WORDS].concat()).expect(0);
    assert_eq!(killed.rows("dumped"), before);
}

#[test]
fn the_next_run_finds_out_that_the_topic_is_another_one() {
    let Some(broker) = Broker::shared() else { return };
    let killed = Killed::new(broker, "again-over", MESSAGES);
    killed.import(&[]).expect(0);
    broker.delete(killed.name);
    broker.make(killed.name, 2);
    killed.send_clicks(0, MESSAGES);
    let output = killed.env.run(&["run", "job.yaml"]).expect(4);
    assert!(output.stderr.contains("made again"), "{output}");
}
