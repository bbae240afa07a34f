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
