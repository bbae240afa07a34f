//! What a person on duty asks several workers, and tells them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::runs::{records, signal};
use super::workers::{MESSAGES, PARTITIONS, end, job, start, start_with, until};
use crate::support::Env;
use crate::support::kafka::Broker;

/// Returns what `ckpt workers` says of the store.
fn workers(env: &Env, arguments: &[&str]) -> Value {
    let output = env.run(&[&["workers", "store", "--json"], arguments].concat()).expect(0);
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// Returns the partitions that each worker has committed last.
fn owned(view: &Value) -> Vec<(String, BTreeSet<u64>)> {
    let workers = view["workers"].as_array().expect("a list").iter();
    let owns = |worker: &Value| worker["owns"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    workers.map(|worker| (worker["worker"].as_str().expect("a name").to_owned(), owns(worker))).collect()
}

#[test]
fn the_tasks_of_a_worker_that_died_are_shown_as_its_own_until_others_have_committed_them() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let (mut a, b) = (start(&env, "a"), start(&env, "b"));
    until(&env, "both have partitions", || {
        ["a", "b"].iter().all(|name| env.read(&format!("stderr-{name}")).contains("has partitions"))
    });
    let mut sent = 0;
    let mut more = |count: u64| {
        MESSAGES.send(broker, &topic, sent, sent + count);
        sent += count;
        sent
    };
    let all =
        |owned: &[(String, BTreeSet<u64>)]| owned.iter().map(|(_, owns)| owns.len() as u64).sum::<u64>() == PARTITIONS;
    until(&env, "both have committed", || {
        let total = more(60);
        until(&env, "all is applied", || records(&env) == total);
        let owned = owned(&workers(&env, &[]));
        owned.len() == 2 && all(&owned)
    });
    signal(&a.0, rustix::process::Signal::KILL);
    let _ = a.0.wait();
    let before = workers(&env, &["--lag"]);
    assert_eq!(before["workers"][0]["worker"], "a");
    assert_eq!((before["workers"][0]["lag"].as_u64(), before["workers"][1]["lag"].as_u64()), (Some(0), Some(0)));
    let total = more(600);
    let behind = workers(&env, &["--lag"]);
    until(&env, "the other has all of it", || records(&env) == total);
    let after = workers(&env, &["--lag"]);
    assert_eq!(owned(&after), [("b".to_owned(), (0..PARTITIONS).collect())]);
    assert_eq!(after["workers"][0]["lag"], 0);
    // Nobody had the partitions of the one that died, so all that was sent to them was still to be applied.
    let tasks = |view: &Value| view["tasks"].as_array().expect("a list").clone();
    let of_a = tasks(&behind).into_iter().zip(tasks(&after)).filter(|(task, _)| task["worker"] == "a");
    let number = |value: &Value| value.as_u64().expect("a number");
    let lags: Vec<(u64, u64)> = of_a
        .map(|(then, now)| (number(&then["lag"]), number(&now["topic_offset"]) - number(&then["topic_offset"])))
        .collect();
    assert!(!lags.is_empty() && lags.iter().all(|(lag, applied)| lag == applied && *lag > 0), "{lags:?}");
    let shown = env.run(&["workers", "job.yaml", "--lag", "--tasks"]).expect(0).stdout;
    assert!(shown.contains(&format!("{topic}/5  b ")), "{shown}");
    let manifest = env.read("store/checkpoints/00000001/manifest.yaml");
    assert!(manifest.contains("\nworker: a\n") || manifest.contains("\nworker: b\n"), "{manifest}");
    end(&env, b);
}

#[test]
fn the_others_get_the_partitions_of_a_worker_that_leaves_at_once() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let text = env.read("job.yaml");
    assert!(text.contains("session.timeout.ms: '6000'"));
    env.write("job.yaml", text.replace("session.timeout.ms: '6000'", "session.timeout.ms: '60000'"));
    let (a, b) = (start_with(&env, "a", &["--leave"]), start(&env, "b"));
    until(&env, "both have partitions", || {
        ["a", "b"].iter().all(|name| env.read(&format!("stderr-{name}")).contains("has partitions"))
    });
    MESSAGES.send(broker, &topic, 0, 600);
    until(&env, "the first are applied", || records(&env) == 600);
    MESSAGES.send(broker, &topic, 600, 1_200);
    end(&env, a);
    let left = Instant::now();
    MESSAGES.send(broker, &topic, 1_200, 1_800);
    until(&env, "the other has all of it", || records(&env) == 1_800);
    assert!(left.elapsed() < Duration::from_secs(30), "{:?}", left.elapsed());
    assert!(env.read("stderr-b").contains("has partitions 0, 1, 2, 3, 4, 5\n"), "{}", env.read("stderr-b"));
    end(&env, b);
    assert_eq!(super::runs::state(&env), MESSAGES.expected(1_800));
    let refused = env.run(&["run", "job.yaml", "--leave"]).expect(2);
    assert!(refused.stderr.contains("--worker <NAME>"), "{refused}");
}
