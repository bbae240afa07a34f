//! `ckpt samza` on a checkpoint topic: it says what a dump of the same messages says.

use serde_json::Value;

use crate::support::kafka::{Broker, Sent};
use crate::support::{Env, repository};

/// A dump of the checkpoint topic of a real job.
const DUMP: &str = "tests/samza/golden/topic/topic.jsonl";

/// Messages of a dump: the key, the value and the time.
fn messages() -> Vec<(String, String, i64)> {
    let text = std::fs::read_to_string(repository::path(DUMP)).expect("readable");
    let message = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| line[name].as_str().expect("text").to_owned();
        (text("key"), text("payload"), line["ts"].as_i64().expect("a time"))
    };
    text.lines().map(message).collect()
}

fn sent<'a>((key, value, time): &'a (String, String, i64)) -> Sent<'a> {
    Sent { key: Some(key), value: Some(value), time: Some(*time), ..Sent::default() }
}

/// Makes the checkpoint topic of job `name`. Returns its address and the name of the topic.
fn topic(broker: &Broker, name: &str, partitions: i32) -> (String, String) {
    let topic = format!("__samza_checkpoint_ver_1_for_{}_1", name.replace('_', "-"));
    broker.make(&topic, partitions);
    (format!("kafka://{}/{name}/1", broker.address()), topic)
}

fn inspect(env: &Env, path: &str) -> Value {
    let output = env.run(&["samza", "inspect", path, "--json"]).expect(0);
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// Returns the document without what is different for a dump, and the places of the checkpoints.
fn without_places(mut document: Value) -> (Value, Vec<String>) {
    let mut places = Vec::new();
    for task in document["tasks"].as_array_mut().expect("tasks") {
        task["job"] = Value::Null;
        for version in ["v1", "v2"] {
            places.push(task[version]["path"].take().as_str().expect("a place").to_owned());
        }
    }
    (document, places)
}

#[test]
fn a_checkpoint_topic_says_what_its_dump_says() {
    let Some(broker) = Broker::shared() else { return };
    let mut env = Env::new();
    env.at("2026-11-28T12:00:00Z");
    let dump = repository::path(DUMP).display().to_string();
    let (address, topic) = topic(broker, "said_twice", 1);
    let messages = messages();
    broker.send(&topic, messages.iter().map(sent));
    let (of_dump, lines) = without_places(inspect(&env, &dump));
    let (of_topic, offsets) = without_places(inspect(&env, &address));
    assert_eq!(of_topic, of_dump);
    let number = |place: &String| place.rsplit_once(':').expect("a number").1.parse::<u64>().expect("a number");
    for (line, offset) in lines.iter().zip(&offsets) {
        assert_eq!((number(line) - 1, offset.rsplit_once(':').unwrap().0), (number(offset), address.as_str()));
    }
    assert_eq!(inspect(&env, &address)["tasks"][0]["job"], "said-twice");
    let properties = |path: &str| env.run(&["samza", "inspect", path, "--properties"]).expect(0).stdout;
    assert!(properties(&address) == properties(&dump) && !properties(&dump).is_empty());
    let verified = env.run(&["samza", "verify", &address]).expect(0).stdout;
    assert!(verified.starts_with("intact: 4 checkpoints"), "{verified}");
    // The job continued: a commit in the form of the last one, with newer offsets.
    let (key, value, time) = messages.last().expect("messages");
    let newer = (key.clone(), value.replace("\"99\"", "\"120\""), time + 1_000);
    assert_ne!(&newer.1, value);
    broker.send(&topic, [sent(&newer)]);
    let differences = env.run(&["samza", "diff", &dump, &address, "--read-version", "2"]);
    assert!(differences.status == 1 && differences.stdout.contains("+21"), "{differences}");
}

#[test]
fn a_message_that_deletes_a_checkpoint_and_one_that_was_aborted_count_as_for_samza() {
    let Some(broker) = Broker::shared() else { return };
    let env = Env::new();
    let (address, topic) = topic(broker, "deleted", 1);
    let messages = messages();
    let empty = env.run(&["samza", "inspect", &address]).expect(10);
    assert!(empty.stderr.contains(&format!("found nothing that Samza wrote in `{address}`")), "{empty}");
    broker.send(&topic, messages.iter().map(sent));
    let find = |kind: &str| {
        let is_it = |(key, ..): &&(String, String, i64)| key.contains("Partition 0") && key.ends_with(kind);
        messages.iter().find(is_it).expect("a message").0.clone()
    };
    let deletion = find("\"checkpoint\"}");
    broker.send_in_transaction(&topic, true, [Sent { key: Some(&deletion), value: None, ..Sent::default() }]);
    // The topic ends with the marker of a transaction that was aborted.
    let aborted = find("\"checkpoint-v2\"}");
    broker.send_in_transaction(&topic, false, [Sent { key: Some(&aborted), value: None, ..Sent::default() }]);
    let document = inspect(&env, &address);
    let has = |task: usize, version: &str| !document["tasks"][task][version].is_null();
    assert_eq!((has(0, "v1"), has(0, "v2"), has(1, "v1"), has(1, "v2")), (false, true, true, true), "{document}");
}

#[test]
fn a_message_that_cannot_be_read_is_damage_with_its_offset() {
    let Some(broker) = Broker::shared() else { return };
    let env = Env::new();
    let (address, topic) = topic(broker, "damaged", 1);
    let messages = messages();
    broker.send(&topic, messages.iter().map(sent));
    let last = messages.len();
    let (key, value, _) = &messages[last - 1];
    broker.send(&topic, [Sent { value: Some("{}"), ..Sent::default() }]);
    broker.send(&topic, [Sent { key: Some(key), value: Some(&value[..value.len() / 2]), ..Sent::default() }]);
    let output = env.run(&["samza", "verify", &address]).expect(1);
    for (place, found) in [(last, "found a message without a key"), (last + 1, "affects task `Partition")] {
        let finding = format!("damage: samza-checkpoint-damaged: `{address}:{place}`");
        assert!(output.stdout.contains(&finding) && output.stdout.contains(found), "{output}");
    }
    env.run(&["samza", "inspect", &address]).expect(3);
}

#[test]
fn a_topic_that_does_not_exist_or_has_several_partitions_is_refused() {
    let Some(broker) = Broker::shared() else { return };
    let env = Env::new();
    let (address, _) = topic(broker, "several", 2);
    let several = env.run(&["samza", "inspect", &address]).expect(4);
    assert!(several.stderr.contains("a checkpoint topic has one partition"), "{several}");
    let missing = env.run(&["samza", "verify", &format!("kafka://{}/none/1", broker.address())]).expect(10);
    let name = "`__samza_checkpoint_ver_1_for_none_1` does not exist";
    assert!(missing.stderr.contains(name) && missing.stderr.contains("job"), "{missing}");
    env.write("settings", "auto.offset.reset=latest\n");
    let refused = env.run(&["samza", "inspect", &address, "--kafka-settings", "settings"]).expect(2);
    assert!(refused.stderr.contains("auto.offset.reset"), "{refused}");
}

#[test]
fn the_state_in_a_changelog_is_what_its_dump_says() {
    let Some(broker) = Broker::shared() else { return };
    let env = Env::new();
    let read = |path: &str| std::fs::read_to_string(repository::path(path)).expect("readable");
    let (address, topic) = topic(broker, "of_totals", 1);
    // The golden files name the changelog; this broker has it under a name of its own.
    let checkpoints = read("tests/samza/golden/totals/topic.jsonl").replace("totals-log", "of-totals-log");
    let changelog = read("tests/samza/golden/totals/totals-log.jsonl").replace("totals-log", "of-totals-log");
    let lines =
        |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect() };
    let text = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    for line in lines(&checkpoints) {
        let (key, value) = (text(&line, "key"), text(&line, "payload"));
        broker.send(&topic, [Sent { key: key.as_deref(), value: value.as_deref(), ..Sent::default() }]);
    }
    broker.make("of-totals-log", 2);
    let messages: Vec<_> = lines(&changelog)
        .iter()
        .map(|line| (line["partition"].as_i64().expect("a number") as i32, text(line, "key"), text(line, "payload")))
        .collect();
    broker.send(
        "of-totals-log",
        messages.iter().map(|(partition, key, value)| Sent {
            partition: *partition,
            key: key.as_deref(),
            value: value.as_deref(),
            ..Sent::default()
        }),
    );
    env.write("topic.jsonl", &checkpoints);
    env.write("log.jsonl", &changelog);
    let state = |words: &[&str]| {
        let all =
            ["--state", "--store", "totals", "--key-serde", "string", "--value-serde", "json", "--json", "-n", "0"];
        let output = env.run(&[&["samza", "inspect"], words, &all].concat()).expect(0);
        let mut document: Value = serde_json::from_str(&output.stdout).expect("JSON");
        document["contents"].as_array_mut().expect("stores").iter_mut().for_each(|store| _ = store["job"].take());
        document
    };
    let of_dump = state(&["topic.jsonl", "--changelog", "log.jsonl"]);
    assert_eq!(of_dump["contents"][0]["keys"], 19);
    assert_eq!(state(&[&address]), of_dump);
    assert_eq!(state(&["topic.jsonl", "--brokers", &broker.address()]), of_dump);
    // The other store has no topic here.
    let missing = env.run(&["samza", "inspect", &address, "--state", "--store", "clicks"]).expect(10);
    assert!(missing.stderr.contains("topic `clicks-log` does not exist"), "{missing}");
    // A changelog that was made again has fewer messages, and one whose first messages were deleted lacks state.
    env.write("short.jsonl", checkpoints.replace("of-totals-log", "of-short-log"));
    broker.make("of-short-log", 2);
    let inspect = |path: &str| {
        env.run(&["samza", "inspect", path, "--state", "--store", "totals", "--brokers", &broker.address()]).expect(4)
    };
    assert!(inspect("short.jsonl").stderr.contains("which ends before offset 0"), "{}", inspect("short.jsonl"));
    broker.delete_before("of-totals-log", 1, 3);
    let deleted = inspect("topic.jsonl");
    assert!(deleted.stderr.contains("the messages before offset 3 of the changelog"), "{deleted}");
}
