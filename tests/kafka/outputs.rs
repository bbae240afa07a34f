//! Output to a topic: it has the rows that files would have, each once, whatever interrupts the run.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::runs::{ended, run, start, stop, until};
use crate::support::Env;
#[cfg(feature = "s3")]
use crate::support::bucket::Bucket;
use crate::support::kafka::{Broker, Received, Sent};
use crate::support::random::Random;

/// Writes a job that reads `input` and writes `output`. The names of jobs and stores are those of the topics.
fn job(env: &Env, broker: &Broker, name: &str, input: &str, output: &str, more: &str) {
    env.write(
        "job.yaml",
        format!(
            "job: {name}\ninput: {{kafka: {{brokers: '{}', topic: {input}}}, format: json}}\nkey: k\n\
             process: {{aggregate: {{n: count, total: sum(i)}}, delete: i < 0}}\n\
             checkpoint: {{store: store, schedule: 50ms}}\noutput: {output}\n{more}",
            broker.address()
        ),
    );
}

/// Writes the same job with a topic as output.
fn topic_job(env: &Env, broker: &Broker, input: &str, output: &str) {
    job(env, broker, &format!("j-{output}"), input, &format!("{{kafka: {{topic: {output}}}, emit: changes}}"), "");
}

fn send(broker: &Broker, topic: &str, messages: impl Iterator<Item = u64>) {
    let texts: Vec<String> = messages.map(|i| format!("{{\"k\":\"{}\",\"i\":{i}}}", i % 7)).collect();
    broker.send(topic, texts.iter().map(|text| Sent { value: Some(text), ..Sent::default() }));
}

/// The number of records of the latest checkpoint.
fn records(env: &Env) -> u64 {
    super::runs::records(env)
}

pub(super) fn committed(broker: &Broker, topic: &str) -> Vec<Received> {
    broker.read(topic, "read_committed")
}

/// The rows that the staged messages of all checkpoints of the store have: (checkpoint, key, value).
fn staged(env: &Env) -> Vec<(u64, Option<String>, Option<String>)> {
    let mut rows = Vec::new();
    for number in 1.. {
        let Ok(manifest) = fs::read_to_string(env.path(&format!("store/checkpoints/{number:08}/manifest.yaml"))) else {
            break;
        };
        let Some(messages) = manifest.split("\nmessages:\n").nth(1) else { continue };
        let field = |name: &str| {
            let line = messages.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: ")));
            line.expect("a field").to_owned()
        };
        if field("checkpoint") != number.to_string() {
            continue;
        }
        let object = field("object");
        let path = env.path(&format!("store/objects/sha256/{}/{object}", &object[..2]));
        let bytes = fs::read(path).expect("staged");
        let visit = |key: Option<&str>, value: Option<&str>| {
            rows.push((number, key.map(str::to_owned), value.map(str::to_owned)));
            Ok::<_, ckpt::format::error::TableError>(())
        };
        ckpt::format::messages::read(bytes.into(), visit).expect("messages");
    }
    rows
}

/// Proves that the topic has the messages of each checkpoint of the store once, in their order, and no others.
#[track_caller]
pub(super) fn proves(env: &Env, broker: &Broker, topic: &str) {
    let number = |message: &Received| -> u64 {
        let stamp = message.checkpoint.as_ref().expect("a stamp");
        stamp.split_once('-').expect("a number").0.parse().expect("a number")
    };
    let found = committed(broker, topic);
    let mut last: BTreeMap<i32, u64> = BTreeMap::new();
    for message in &found {
        let before = last.insert(message.partition, number(message)).unwrap_or_default();
        assert!(before <= number(message), "{before} before {message:?}");
    }
    let mut found: Vec<_> = found.into_iter().map(|message| (number(&message), message.key, message.value)).collect();
    let mut expected = staged(env);
    found.sort();
    expected.sort();
    assert!(!expected.is_empty());
    assert_eq!(found, expected, "{}", env.read("stderr"));
    env.run(&["verify", "--deep", "store"]).expect(0);
}

/// The last value of each key, as (n, total).
fn latest(messages: &[Received]) -> BTreeMap<String, (u64, u64)> {
    let mut rows = BTreeMap::new();
    for message in messages {
        let key = message.key.clone().expect("a key");
        match &message.value {
            None => _ = rows.remove(&key),
            Some(value) => {
                let row: serde_json::Value = serde_json::from_str(value).expect("JSON");
                assert_eq!(row["k"].as_str(), Some(key.as_str()));
                let number = |name: &str| row[name].to_string().parse().expect("a number");
                rows.insert(key, (number("n"), number("total")));
            }
        }
    }
    rows
}

#[test]
fn a_topic_gets_the_rows_that_files_get_and_tombstones_of_deleted_keys() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(1), broker.topic(3));
    let mut texts: Vec<String> = (0..100).map(|i| format!("{{\"k\":\"{}\",\"i\":{i}}}", i % 7)).collect();
    for round in 0..3 {
        broker.send(&input, texts.iter().map(|text| Sent { value: Some(text), ..Sent::default() }));
        texts = vec![format!("{{\"k\":\"{round}\",\"i\":-1}}"), format!("{{\"k\":\"new-{round}\",\"i\":1}}")];
        let once = |output: &str, store: &str| {
            job(&env, broker, &format!("j-{input}"), &input, output, "");
            let text = env.read("job.yaml").replace("store: store", store);
            env.write(
                "job.yaml",
                text.replace(&format!("topic: {input}}}"), &format!("topic: {input}, until: latest}}")),
            );
            run(&env).expect(0)
        };
        let summary = once(&format!("{{kafka: {{topic: {output}}}}}"), "store: store").stdout;
        assert!(summary.contains(&format!("output        topic {output} (")), "{summary}");
        once("{files: out, emit: changes}", "store: other");
    }
    let mut of_files = Vec::new();
    for file in fs::read_dir(env.path("out")).expect("listed") {
        for line in fs::read_to_string(file.expect("listed").path()).expect("read").lines() {
            let mut row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let key = row["k"].as_str().expect("a key").to_owned();
            let change = row.as_object_mut().expect("an object").remove("op").expect("a change");
            of_files.push((key, (change != "delete").then(|| row.to_string())));
        }
    }
    let compact = |text: String| serde_json::from_str::<serde_json::Value>(&text).expect("JSON").to_string();
    let mut of_topic: Vec<_> = committed(broker, &output)
        .into_iter()
        .map(|message| (message.key.expect("a key"), message.value.map(compact)))
        .collect();
    of_files.sort();
    of_topic.sort();
    assert_eq!(of_topic, of_files);
    assert!(of_topic.iter().any(|(_, value)| value.is_none()));
    proves(&env, broker, &output);
    let view = |number: u64| -> serde_json::Value {
        let view = env.run(&["inspect", &format!("store@{number}"), "--json"]).expect(0).stdout;
        serde_json::from_str(&view).expect("JSON")
    };
    let first = (1..).find(|number| !view(*number)["messages"].is_null()).expect("one with messages");
    let rows = view(first)["messages"]["rows"].as_u64().expect("a number");
    assert_eq!(view(first)["messages"]["checkpoint"], first);
    let first = format!("store@{first}");
    let described = env.run(&["inspect", &first]).expect(0).stdout;
    assert!(described.contains(&format!("output     topic {output}, {rows} message")), "{described}");
    // What was staged is part of the checkpoint.
    let objects = env.run(&["inspect", &first, "--objects", "--json"]).expect(0).stdout;
    let objects: serde_json::Value = serde_json::from_str(&objects).expect("JSON");
    let staged = objects["objects"].as_array().expect("a list").iter().find(|object| object["role"] == "messages");
    let path = env.path(staged.expect("messages")["path"].as_str().expect("a path"));
    env.run(&["copy", "store", "--to", "copied"]).expect(0);
    env.run(&["verify", "copied"]).expect(0);
    let mut bytes = fs::read(&path).expect("read");
    bytes[40] ^= 1;
    fs::write(&path, bytes).expect("written");
    let found = env.run(&["verify", "store"]).expect(1).stdout;
    assert!(found.contains(&format!("for the topic {output}, since checkpoint ")), "{found}");
}

#[test]
fn a_run_that_is_killed_at_any_time_sends_each_row_once() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(2), broker.topic(2));
    topic_job(&env, broker, &input, &output);
    let (mut random, mut sent) = (Random(7), 0);
    for turn in 0..15 {
        let mut child = start(&env);
        let before = records(&env);
        send(broker, &input, sent..sent + 3_000);
        sent += 3_000;
        if turn % 3 != 0 {
            until(&env, "something is applied", || records(&env) > before);
        }
        std::thread::sleep(Duration::from_millis(random.below(150)));
        child.0.kill().expect("killed");
        child.0.wait().expect("waited");
    }
    let child = start(&env);
    until(&env, "all is applied", || records(&env) == sent);
    stop(&env, child);
    proves(&env, broker, &output);
    assert_eq!(latest(&committed(broker, &output)), super::runs::totals(7, 0..sent));
}

/// Writes a job whose input are the lines of `data.jsonl`, each with a key of its own.
fn file_job(env: &Env, broker: &Broker, output: &str, kafka: &str, follow: bool) {
    env.write(
        "job.yaml",
        format!(
            "job: j-{output}\ninput: {{files: data.jsonl, follow: {follow}}}\nkey: k\n\
             process: {{aggregate: {{n: count}}}}\ncheckpoint: {{store: store, schedule: 50ms}}\n\
             output: {{kafka: {{brokers: '{}', topic: {output}{kafka}}}}}\n",
            broker.address()
        ),
    );
}

fn append(env: &Env, keys: std::ops::Range<u64>) {
    env.append("data.jsonl", keys.map(|key| format!("{{\"k\":{key}}}\n")).collect::<String>());
}

/// The number of the latest checkpoint.
fn newest(env: &Env) -> u64 {
    let checkpoints = fs::read_dir(env.path("store/checkpoints")).expect("listed");
    let name = |file: std::io::Result<fs::DirEntry>| file.ok()?.file_name().to_str()?.parse().ok();
    checkpoints.filter_map(name).max().expect("a checkpoint")
}

#[test]
fn messages_wait_for_brokers_and_are_sent_once_by_this_run_or_the_next() {
    let Some(mut broker) = Broker::start() else { return };
    let (env, output) = (Env::new(), "rows");
    broker.make(output, 2);
    file_job(&env, &broker, output, "", true);
    append(&env, 0..50);
    let mut child = start(&env);
    until(&env, "the first are sent", || committed(&broker, output).len() == 50);
    broker.kill();
    append(&env, 50..80);
    until(&env, "the run waits", || env.read("stderr").contains("answers; waiting up to 5m") && records(&env) == 80);
    broker.start_again();
    until(&env, "the next are sent", || committed(&broker, output).len() == 80);
    until(&env, "the run says so", || env.read("stderr").contains("answer again"));
    append(&env, 80..90);
    until(&env, "the run continues", || committed(&broker, output).len() == 90);
    broker.kill();
    append(&env, 90..100);
    until(&env, "the run waits again", || records(&env) == 100);
    let unsent = newest(&env);
    child.0.kill().expect("killed");
    child.0.wait().expect("waited");
    broker.start_again();
    assert_eq!(committed(&broker, output).len(), 90);
    let check = env.run(&["check", "job.yaml"]).expect(0).stdout;
    assert!(check.contains(&format!("output   topic rows, to which checkpoint {unsent} is to be sent")), "{check}");
    let check: serde_json::Value =
        serde_json::from_str(&env.run(&["check", "job.yaml", "--json"]).expect(0).stdout).expect("JSON");
    assert_eq!(check["output"], serde_json::json!({ "topic": "rows", "unsent": [unsent] }));
    file_job(&env, &broker, output, "", false);
    run(&env).expect(0);
    assert_eq!(committed(&broker, output).len(), 100);
    proves(&env, &broker, output);
    // Without brokers, a run that may not wait long stops, and says what follows.
    file_job(&env, &broker, output, ", timeout: 1s", false);
    broker.kill();
    append(&env, 100..101);
    let stopped = run(&env).expect(4).stderr;
    assert!(stopped.contains("no Kafka broker at"), "{stopped}");
    assert!(stopped.contains("the next run sends what the topic lacks"), "{stopped}");
}

#[test]
fn a_run_that_is_killed_within_a_transaction_leaves_messages_that_nobody_should_read() {
    let Some(broker) = Broker::shared() else { return };
    let (env, output) = (Env::new(), broker.topic(2));
    file_job(&env, broker, &output, "", false);
    append(&env, 0..150_000);
    let mut child = start(&env);
    until(&env, "messages are being sent", || !broker.read(&output, "read_uncommitted").is_empty());
    child.0.kill().expect("killed");
    child.0.wait().expect("waited");
    let uncommitted = broker.read(&output, "read_uncommitted").len();
    run(&env).expect(0);
    assert_eq!(committed(broker, &output).len(), 150_000);
    let all = broker.read(&output, "read_uncommitted").len();
    assert!(all >= 150_000 + uncommitted, "{all} with {uncommitted} of the first try");
    proves(&env, broker, &output);
}

#[test]
fn where_the_mark_is_lost_the_topic_tells_or_the_run_asks() {
    let Some(broker) = Broker::shared() else { return };
    let (env, output) = (Env::new(), broker.topic(2));
    let group = format!("j-{output}.output");
    file_job(&env, broker, &output, "", false);
    append(&env, 0..20);
    run(&env).expect(0);
    assert_eq!(committed(broker, &output).len(), 20);
    // The topic has the messages.
    broker.delete_group(&group);
    append(&env, 20..30);
    run(&env).expect(0);
    proves(&env, broker, &output);
    // The topic lacks them: nobody has sent what another topic of this name had.
    broker.delete_group(&group);
    broker.delete(&output);
    broker.make(&output, 2);
    run(&env).expect(0);
    assert_eq!(committed(broker, &output).len(), 10, "those of the latest checkpoint");
    // Messages may have been deleted.
    broker.delete_group(&group);
    broker.delete_messages(&output, 2);
    append(&env, 30..40);
    let asked = run(&env).expect(4).stderr;
    assert!(
        asked.contains(&format!("cannot tell whether topic `{output}` has the messages of checkpoint 2")),
        "{asked}"
    );
    assert!(asked.contains("--assume-output sent") && asked.contains("--assume-output missing"), "{asked}");
    assert_eq!(records(&env), 30);
    env.run(&["run", "job.yaml", "--assume-output", "missing"]).expect(0);
    assert_eq!(committed(broker, &output).len(), 20, "those of checkpoint 2 again, and the new ones");
    broker.delete_group(&group);
    broker.delete_messages(&output, 2);
    append(&env, 40..45);
    env.run(&["run", "job.yaml", "--assume-output", "sent"]).expect(0);
    assert_eq!(committed(broker, &output).len(), 5, "the new ones");
    append(&env, 45..47);
    run(&env).expect(0);
    assert_eq!(committed(broker, &output).len(), 7);
}

#[test]
fn after_a_restore_what_follows_is_sent_and_what_was_sent_stays() {
    let Some(broker) = Broker::shared() else { return };
    let (env, output) = (Env::new(), broker.topic(1));
    file_job(&env, broker, &output, "", false);
    append(&env, 0..10);
    run(&env).expect(0);
    append(&env, 10..30);
    run(&env).expect(0);
    env.run(&["restore", "store@1"]).expect(0);
    env.run(&["prune", "store", "--keep-last", "1", "--yes", "--grace", "0s"]).expect(0);
    let summary = run(&env).expect(0).stderr;
    assert!(summary.contains(&format!("topic `{output}` keeps the messages of checkpoint 2")), "{summary}");
    let keys: Vec<u64> =
        committed(broker, &output).iter().map(|message| message.key.as_ref().unwrap().parse().unwrap()).collect();
    let expected: Vec<u64> = (0..30).chain(10..30).collect();
    let sorted = |mut keys: Vec<u64>| {
        keys.sort_unstable();
        keys
    };
    assert_eq!(sorted(keys), sorted(expected));
    append(&env, 30..31);
    let after = run(&env).expect(0).stderr;
    assert!(!after.contains("keeps the messages"), "{after}");
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn a_job_of_the_same_name_stops_the_older_run_and_another_store_is_not_taken_for_this_one() {
    let Some(broker) = Broker::shared() else { return };
    let (env, other, output) = (Env::new(), Env::new(), broker.topic(1));
    file_job(&env, broker, &output, "", true);
    append(&env, 0..10);
    let mut child = start(&env);
    until(&env, "the first are sent", || committed(broker, &output).len() == 10);
    file_job(&other, broker, &output, "", false);
    append(&other, 0..10);
    let refused = run(&other).expect(4).stderr;
    assert!(refused.contains(&format!("topic `{output}` has the output of another store")), "{refused}");
    assert!(refused.contains("write to another topic"), "{refused}");
    append(&env, 10..20);
    assert_eq!(ended(&env, &mut child), Some(4));
    let stopped = env.read("stderr");
    assert!(stopped.contains("another run of this job writes to it by now"), "{stopped}");
    file_job(&env, broker, &output, "", false);
    run(&env).expect(0);
    assert_eq!(committed(broker, &output).len(), 20);
    proves(&env, broker, &output);
}

#[test]
fn another_topic_begins_after_the_old_one_is_complete() {
    let Some(broker) = Broker::shared() else { return };
    let (env, first, second) = (Env::new(), broker.topic(1), broker.topic(1));
    file_job(&env, broker, &first, "", false);
    append(&env, 0..10);
    run(&env).expect(0);
    env.write("job.yaml", env.read("job.yaml").replace(&format!("topic: {first}"), &format!("topic: {second}")));
    append(&env, 10..15);
    run(&env).expect(0);
    assert_eq!((committed(broker, &first).len(), committed(broker, &second).len()), (10, 5));
    run(&env).expect(0);
    env.write("job.yaml", env.read("job.yaml").replace(&format!("topic: {second}"), "topic: no-such-topic"));
    let refused = run(&env).expect(2).stderr;
    assert!(refused.contains("topic `no-such-topic` does not exist"), "{refused}");
    let check = env.run(&["check", "job.yaml"]).expect(1).stdout;
    assert!(check.contains("topic `no-such-topic` does not exist"), "{check}");
}

/// Runs a job whose output is `output` in a store of its own, and returns nothing.
fn run_with_output(env: &Env, head: &str, number: u32, output: &str) {
    env.write("job.yaml", format!("{head}checkpoint: {{store: store-{number}}}\noutput: {output}\n"));
    run(env).expect(0);
}

#[test]
fn windows_and_keys_of_several_fields_are_sent_as_they_are_in_files() {
    let Some(broker) = Broker::shared() else { return };
    let (env, output) = (Env::new(), broker.topic(1));
    let line = |i: u64| format!("{{\"k\":\"a\\\"{}\",\"n\":{},\"t\":{}}}\n", i % 3, i % 2, i * 1_000);
    env.write("data.jsonl", (0..500).map(line).collect::<String>());
    let head = format!(
        "job: j-{output}\ninput: data.jsonl\nkey: [k, {{n: int}}]\n\
         process: {{aggregate: {{count: count}}, window: {{time: t, unit: ms, every: 1m, late: 1s}}}}\n"
    );
    run_with_output(&env, &head, 1, "{files: out, emit: changes}");
    run_with_output(&env, &head, 2, &format!("{{kafka: {{topic: {output}, brokers: '{}'}}}}", broker.address()));
    let mut of_files: Vec<String> = fs::read_dir(env.path("out"))
        .expect("listed")
        .flat_map(|file| {
            let text = fs::read_to_string(file.expect("listed").path()).expect("read");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let messages = committed(broker, &output);
    let mut of_topic: Vec<String> = messages.iter().map(|message| message.value.clone().expect("a value")).collect();
    of_files.sort();
    of_topic.sort();
    assert_eq!(of_topic, of_files);
    assert!(of_topic.len() > 6 && of_topic[0].contains("window_start"), "{of_topic:?}");
    for message in &messages {
        let (key, value) = (message.key.as_ref().unwrap(), message.value.as_ref().unwrap());
        let [key, value]: [serde_json::Value; 2] = [key, value].map(|text| serde_json::from_str(text).expect("JSON"));
        assert_eq!(key, serde_json::json!([value["k"], value["n"]]));
    }
}

#[test]
fn rows_that_a_program_emits_are_sent_without_a_key() {
    let Some(broker) = Broker::shared() else { return };
    let (env, output) = (Env::new(), broker.topic(1));
    let script = format!(
        "from samza import SamzaJob\n\nclass Job(SamzaJob):\n    def setup(self):\n        \
         self.configs.update(key='k', job='j-{output}', checkpoint={{'store': 's'}},\n            \
         output={{'kafka': {{'topic': '{output}', 'brokers': '{}'}}}})\n\n    \
         def process(self, data):\n        self.emit({{'k': data['k'], 'twice': 2 * data['k']}})\n\n\
         if __name__ == '__main__':\n    Job().run()\n",
        broker.address()
    );
    env.write("job.py", script);
    append(&env, 0..30);
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    let mut twice: Vec<u64> = committed(broker, &output)
        .iter()
        .map(|message| {
            assert_eq!(message.key, None);
            let row: serde_json::Value = serde_json::from_str(message.value.as_ref().unwrap()).expect("JSON");
            row["twice"].as_u64().expect("a number")
        })
        .collect();
    twice.sort_unstable();
    assert_eq!(twice, (0..30).map(|key| 2 * key).collect::<Vec<u64>>());
}

#[test]
#[cfg(feature = "s3")]
fn two_runs_on_one_store_in_a_bucket_send_each_row_once() {
    let (Some(broker), Some(bucket)) = (Broker::shared(), Bucket::fresh()) else { return };
    let (mut env, output) = (Env::new(), broker.topic(2));
    bucket.reach_from(&mut env);
    let write = |follow: bool| {
        file_job(&env, broker, &output, "", follow);
        env.write("job.yaml", env.read("job.yaml").replace("store: store", &format!("store: '{}'", bucket.url)));
    };
    let mut count = 0;
    for round in 0..3 {
        write(true);
        append(&env, count..count + 10);
        count += 10;
        let mut first = start(&env);
        until(&env, "the first run sends", || committed(broker, &output).len() == count as usize);
        let mut second = start(&env);
        if round > 0 {
            append(&env, count..count + 10);
            count += 10;
        }
        until(&env, "the second run sends or stops", || {
            append(&env, count..count + 1);
            count += 1;
            std::thread::sleep(Duration::from_millis(200));
            first.0.try_wait().expect("waited").is_some() || second.0.try_wait().expect("waited").is_some()
        });
        for run in [&mut first, &mut second] {
            run.0.kill().expect("killed");
            run.0.wait().expect("waited");
        }
        write(false);
        run(&env).expect(0);
        let mut keys: Vec<u64> =
            committed(broker, &output).iter().map(|message| message.key.as_ref().unwrap().parse().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..count).collect::<Vec<u64>>(), "round {round}");
    }
}
