//! `tasks: partitions`: a partition of a topic is a task.

use rustix::process::Signal;
use serde_json::Value;

use super::keyed::Keyed;
use super::runs::{records, run, signal, start, state, stop, until};
use crate::support::Env;
use crate::support::kafka::{Broker, Sent};

const PARTITIONS: u64 = 3;
const MESSAGES: Keyed = Keyed { keys: 10, partitions: PARTITIONS };

/// Writes a job that has the partitions of `topic` as its tasks. `kafka` follows in its section.
fn job(env: &Env, broker: &Broker, topic: &str, kafka: &str) {
    let address = broker.address();
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {{kafka: {{brokers: '{address}', topic: {topic}{kafka}}}, format: json}}\nkey: user\n\
             tasks: partitions\nprocess: {{aggregate: {{n: count, total: sum(i)}}}}\n\
             checkpoint: {{store: store, schedule: 50ms}}\n"
        ),
    );
}

/// The task, the key and the count of each row of the latest checkpoint.
fn rows(env: &Env) -> Vec<(u64, String, u64)> {
    let view = env.run(&["inspect", "store", "--state", "--json"]).expect(0).stdout;
    let view: Value = serde_json::from_str(&view).expect("JSON");
    let row = |row: &Value| {
        let number = |value: &Value| value.to_string().trim_matches('"').parse().expect("a number");
        (number(&row["task"]), row["key"].as_str().expect("a key").to_owned(), number(&row["values"]["n"]))
    };
    view["rows"].as_array().expect("a list").iter().map(row).collect()
}

fn inspect(env: &Env) -> Value {
    serde_json::from_str(&env.run(&["inspect", "store", "--json"]).expect(0).stdout).expect("JSON")
}

#[test]
fn the_keys_of_a_partition_are_a_task_and_survive_kills_and_changes_of_the_job() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "");
    let mut sent = 0;
    for turn in 0..6 {
        let mut child = start(&env);
        MESSAGES.send(broker, &topic, sent, sent + 2_000);
        sent += 2_000;
        let before = records(&env);
        until(&env, "something is applied", || records(&env) > before);
        std::thread::sleep(std::time::Duration::from_millis(turn * 11));
        signal(&child.0, Signal::KILL);
        let _ = child.0.wait();
    }
    job(&env, broker, &topic, ", until: latest");
    run(&env).expect(0);
    assert_eq!(state(&env), MESSAGES.expected(sent));
    let view = inspect(&env);
    assert_eq!((&view["tasks"], &view["shards"], &view["routing"]), (&3.into(), &3.into(), &"keyed_partition".into()));
    for (task, key, _) in rows(&env) {
        assert_eq!(task, key.parse::<u64>().unwrap() % PARTITIONS, "{key}");
    }
    // A key may be in any task, so all are looked at.
    let found = env.run(&["inspect", "store", "--state", "--key", "7", "--json"]).expect(0).stdout;
    assert!(found.contains("\"key\":\"7\""), "{found}");
    env.run(&["verify", "--deep", "store"]).expect(0);
    // Another column moves the rows to a new layout, in which each stays in its task.
    env.write("job.yaml", env.read("job.yaml").replace("n: count,", "n: count, last: max(i),"));
    MESSAGES.send(broker, &topic, sent, sent + 10);
    run(&env).expect(0);
    assert_eq!(state(&env), MESSAGES.expected(sent + 10));
    for (task, key, _) in rows(&env) {
        assert_eq!(task, key.parse::<u64>().unwrap() % PARTITIONS, "{key}");
    }
    env.run(&["verify", "--deep", "store"]).expect(0);
    env.run(&["diff", "store", "store"]).expect(0);
}

#[test]
fn a_key_that_is_not_that_of_its_message_is_a_bad_record() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    let sent = |key, value| Sent { key, value: Some(value), ..Sent::default() };
    broker.send(&topic, [sent(Some("7"), "{\"user\":7,\"i\":1}"), sent(Some("8"), "{\"user\":9,\"i\":2}")]);
    job(&env, broker, &topic, ", until: latest");
    let failed = run(&env).expect(5);
    let reason = "the key is `9`, but the key of its message is `8`: with `tasks: partitions` they must be equal";
    assert!(failed.stderr.contains(reason), "{failed}");
    env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_error: skip"));
    broker.send(&topic, [sent(None, "{\"user\":10,\"i\":3}")]);
    let skipped = run(&env).expect(3);
    assert!(skipped.stdout.contains("its message has no key"), "{skipped}");
    assert_eq!(rows(&env), [(0, "7".to_owned(), 1)]);
}

#[test]
fn a_key_in_several_partitions_has_a_row_in_each() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    let sent = |partition| Sent { partition, key: Some("1"), value: Some("{\"user\":1,\"i\":5}"), ..Sent::default() };
    broker.send(&topic, [sent(0), sent(1), sent(1)]);
    job(&env, broker, &topic, ", until: latest");
    run(&env).expect(0);
    assert_eq!(rows(&env), [(0, "1".to_owned(), 1), (1, "1".to_owned(), 2)]);
    // Nothing is lost by loading them.
    broker.send(&topic, [sent(0)]);
    run(&env).expect(0);
    assert_eq!(rows(&env), [(0, "1".to_owned(), 2), (1, "1".to_owned(), 2)]);
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn partitions_that_are_added_stop_the_job() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    MESSAGES.send(broker, &topic, 0, 100);
    job(&env, broker, &topic, ", until: latest");
    run(&env).expect(0);
    broker.add_partitions(&topic, 4);
    let failed = run(&env).expect(4);
    let added = format!("the topic has a new partition, `{topic}/3`: it had 3 when the job began");
    assert!(failed.stderr.contains(&added) && failed.stderr.contains("start over"), "{failed}");
    let checked = env.run(&["check", "job.yaml"]);
    assert!(checked.status == 1 && checked.stdout.contains(&added), "{checked}");
    assert_eq!(state(&env), MESSAGES.expected(100));
}

#[test]
fn hashed_tasks_and_partitions_are_not_exchanged() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    MESSAGES.send(broker, &topic, 0, 100);
    job(&env, broker, &topic, "");
    let by_partition = env.read("job.yaml");
    env.write("job.yaml", by_partition.replace("tasks: partitions\n", ""));
    let child = start(&env);
    until(&env, "all are applied", || records(&env) == 100);
    stop(&env, child);
    assert_eq!(inspect(&env)["routing"], "key_hash");
    let by_hash = env.read("job.yaml");
    env.write("job.yaml", by_partition);
    let refused = run(&env).expect(2);
    let reason = "`tasks` was 64, is now `partitions`: keys cannot move to other tasks";
    assert!(refused.stderr.contains(reason), "{refused}");
    env.write("job.yaml", by_hash.replace("}, format", ", until: latest}, format"));
    MESSAGES.send(broker, &topic, 100, 150);
    run(&env).expect(0);
    assert_eq!(state(&env), MESSAGES.expected(150));
}

#[test]
fn windows_of_a_key_stay_in_the_task_of_their_messages() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    let sent = |partition, key, time: i64| Sent {
        partition,
        key: Some(key),
        value: Some("{}"),
        time: Some(1_795_000_020_000 + time),
        ..Sent::default()
    };
    broker.send(&topic, [sent(0, "a", 0), sent(1, "b", 10_000), sent(1, "b", 20_000), sent(0, "a", 61_000)]);
    let text = |until: &str| {
        format!(
            "job: j\ninput: {{kafka: {{brokers: '{}', topic: {topic}{until}}}, format: json}}\nkey: _key\n\
             tasks: partitions\nprocess: {{aggregate: {{n: count}}, window: {{time: _time, unit: ms, every: 1m}}}}\n\
             checkpoint: {{store: store, schedule: 50ms}}\noutput: {{files: out/, emit: changes}}\n",
            broker.address()
        )
    };
    env.write("job.yaml", text(""));
    let child = start(&env);
    until(&env, "all are applied", || records(&env) == 4);
    env.run(&["verify", "--deep", "store"]).expect(0);
    stop(&env, child);
    env.write("job.yaml", text(", until: latest"));
    run(&env).expect(0);
    let mut counts: Vec<(String, u64)> = Vec::new();
    for file in std::fs::read_dir(env.path("out")).unwrap() {
        for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            counts.push((row["_key"].as_str().unwrap().to_owned(), row["n"].as_u64().unwrap()));
        }
    }
    counts.sort();
    assert_eq!(counts, [("a".to_owned(), 1), ("a".to_owned(), 1), ("b".to_owned(), 2)]);
    env.run(&["verify", "--deep", "store"]).expect(0);
}
