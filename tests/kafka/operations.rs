//! What a person on duty asks several workers, and tells them.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::keyed::Keyed;
use super::runs::{records, signal};
use super::workers::{MESSAGES, PARTITIONS, end, job, start, start_with, until};
use crate::support::Env;
use crate::support::kafka::Broker;

const MESSAGES_OF_2: Keyed = Keyed { keys: 50, partitions: 2 };

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
    let mut more = MESSAGES.in_turn(broker, &topic);
    let all =
        |owned: &[(String, BTreeSet<u64>)]| owned.iter().map(|(_, owns)| owns.len() as u64).sum::<u64>() == PARTITIONS;
    until(&env, "both have committed", || {
        let total = more(60);
        until(&env, "all is applied", || records(&env) == total);
        let owned = owned(&workers(&env, &[]));
        owned.len() == 2 && all(&owned)
    });
    // Beside them, a check says what each partition would do, and for whom the store is locked.
    let checked = env.run(&["check", "job.yaml"]).expect(1).stdout;
    assert!(checked.contains(": would not start without `--worker`\n"), "{checked}");
    assert!(checked.contains("another one can join them with `--worker`"), "{checked}");
    let view: Value = serde_json::from_str(&env.run(&["check", "job.yaml", "--json"]).expect(1).stdout).expect("JSON");
    assert_eq!(view["workers_running"], true);
    let shown = |input: &Value| (input["worker"].as_str().map(str::to_owned), input["unread_messages"].as_u64());
    let shown: BTreeSet<_> = view["inputs"].as_array().expect("a list").iter().map(shown).collect();
    assert_eq!(shown, BTreeSet::from(["a", "b"].map(|name| (Some(name.to_owned()), Some(0)))), "{checked}");
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

/// Requests `path` from the server of a worker. Returns the status, and the body.
fn ask(address: &str, path: &str) -> (u32, String) {
    let Ok(mut stream) = TcpStream::connect(address) else { return (0, String::new()) };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
}

/// Returns the address of the server of the worker `name`, which it has printed.
fn address(env: &Env, name: &str) -> String {
    let log = || env.read(&format!("stderr-{name}"));
    until(env, "a worker serves", || log().contains("/metrics\n"));
    log().split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned()
}

#[test]
fn workers_say_what_they_have_and_how_far_they_are() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let workers = ["a", "b", "c"].map(|name| start_with(&env, name, &["--metrics", "0"]));
    let addresses = ["a", "b", "c"].map(|name| address(&env, name));
    let metric = |address: &str, name: &str| -> Option<u64> {
        let text = ask(address, "/metrics").1;
        let line = text.lines().find(|line| line.starts_with(name) && line.contains('}'))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let all = |name: &str| -> Option<u64> { addresses.iter().map(|address| metric(address, name)).sum() };
    until(&env, "all are ready", || addresses.iter().all(|address| ask(address, "/readyz").0 == 200));
    // There are more workers than partitions.
    until(&env, "one has nothing", || {
        all("ckpt_partitions") == Some(2) && addresses.iter().any(|at| ask(at, "/readyz").1 == "has no partitions\n")
    });
    assert!(addresses.iter().all(|address| ask(address, "/livez").0 == 200));
    MESSAGES_OF_2.send(broker, &topic, 0, 1_000);
    until(&env, "all is applied", || records(&env) == 1_000);
    let lags = || {
        let texts = addresses.iter().map(|address| ask(address, "/metrics").1).collect::<String>();
        let lags = texts.lines().filter(|line| line.starts_with("ckpt_partition_lag_messages{"));
        lags.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let none =
        [0, 1].map(|number| format!("ckpt_partition_lag_messages{{job_name=\"j-{topic}\",partition=\"{number}\"}} 0"));
    until(&env, "all lags are known", || lags() == none.clone().into());
    assert!(all("ckpt_rebalances_total") >= Some(2));
    let reading = addresses.iter().filter(|address| metric(address, "ckpt_partitions") > Some(0));
    reading.for_each(|address| assert_eq!(metric(address, "ckpt_restore_left_bytes"), Some(0)));
    workers.into_iter().for_each(|worker| end(&env, worker));
}

#[test]
fn a_worker_that_waits_for_brokers_is_alive_and_not_ready() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: away\ninput: {kafka: {brokers: 'localhost:1', topic: t}, format: json}\nkey: user\n\
         tasks: partitions\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: store}\n",
    );
    let worker = start_with(&env, "a", &["--metrics", "0"]);
    let address = address(&env, "a");
    for _ in 0..10 {
        assert_eq!(ask(&address, "/readyz"), (503, "waiting for the other workers\n".to_owned()));
        assert_eq!(ask(&address, "/livez").0, 200);
    }
    end(&env, worker);
}

#[test]
fn a_checkpoint_on_request_has_what_all_workers_have_applied() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    env.write("job.yaml", env.read("job.yaml").replace("schedule: 100ms", "schedule: 300d"));
    let workers = ["a", "b", "c"].map(|name| start_with(&env, name, &["--metrics", "0"]));
    until(&env, "all have partitions", || {
        ["a", "b", "c"].iter().all(|name| env.read(&format!("stderr-{name}")).contains("has partitions"))
    });
    let addresses = ["a", "b", "c"].map(|name| address(&env, name));
    until(&env, "the group has settled", || {
        addresses.iter().all(|address| {
            ask(address, "/metrics").1.contains("ckpt_partitions{job_name=\"j-")
                && ask(address, "/readyz").1 == "running\n"
        })
    });
    MESSAGES.send(broker, &topic, 0, 6_000);
    let applied = |address: &String| -> u64 {
        let text = ask(address, "/metrics").1;
        let line = text.lines().find(|line| line.starts_with("ckpt_records_total")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    };
    until(&env, "all is applied", || addresses.iter().map(applied).sum::<u64>() == 6_000);
    let output = env.run(&["checkpoint", "store", "--wait", "1m"]).expect(0);
    assert!(output.stdout.starts_with("checkpoint "), "{output}");
    assert_eq!(records(&env), 6_000);
    let output = env.run(&["checkpoint", "store", "--wait", "1m"]).expect(0);
    assert!(output.stdout.starts_with("no new checkpoint, because nothing has changed: the latest is "), "{output}");
    let left = |env: &Env| std::fs::read_dir(env.path("store/requests")).map_or(0, Iterator::count);
    assert_eq!(left(&env), 0);
    let [a, b, c] = workers;
    let mut c = c;
    signal(&c.0, rustix::process::Signal::KILL);
    let _ = c.0.wait();
    let output = env.run(&["checkpoint", "store", "--wait", "1s"]).expect(4);
    assert!(output.stderr.contains("no worker has answered for tasks "), "{output}");
    assert_eq!(left(&env), 0);
    [a, b].into_iter().for_each(|worker| end(&env, worker));
}
