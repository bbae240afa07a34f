//! Workers that read a topic up to its latest messages: all up to the same ends, whatever happens to each.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;
use rustix::process::Signal;
use serde_json::Value;

#[cfg(feature = "s3")]
use super::outputs;
use super::runs::{records, signal};
use super::shared_outputs::stop;
use super::workers::{MESSAGES, NAMES, PARTITIONS, has_partitions, job, start, until};
use crate::support::kafka::{Broker, Sent};
use crate::support::random::Random;
use crate::support::{Ending, Env};

const UNTIL: &str = ", until: latest";

/// Writes two jobs that read the topic up to its latest message, `job.yaml` for workers and `alone.yaml` for a run alone. `more`
/// follows, with `OUT` for the directory of the output.
fn jobs(env: &Env, broker: &Broker, topic: &str, process: &str, more: &str) {
    for (file, store) in [("job.yaml", "store"), ("alone.yaml", "alone")] {
        job(env, broker, topic, file, UNTIL, store);
        let text = env.read(file).replace("{n: count, total: sum(i)}", process);
        env.write(file, text + &more.replace("OUT", &format!("out-{store}")));
    }
}

/// Waits until the worker ends by itself, with exit code 0, or 3 if it has left out late records.
#[track_caller]
fn ends(env: &Env, mut worker: Ending) {
    let mut status = None;
    until(env, "the batch ends", || {
        status = worker.0.try_wait().expect("waited");
        status.is_some()
    });
    assert!(matches!(status.and_then(|status| status.code()), Some(0 | 3)), "{status:?}: {}", stderr(env));
}

fn stderr(env: &Env) -> String {
    NAMES.map(|name| fs::read_to_string(env.path(&format!("stderr-{name}"))).unwrap_or_default()).join("---\n")
}

/// The number of checkpoints in the store.
fn checkpoints(env: &Env) -> usize {
    fs::read_dir(env.path("store/checkpoints")).map_or(0, |entries| entries.flatten().count())
}

/// Proves that the workers have what a run alone has: state, positions, and that it was all.
#[track_caller]
fn is_as_alone(env: &Env) {
    let diff = env.run(&["diff", "store", "alone"]);
    assert_eq!(diff.status, 0, "{diff} {}", stderr(env));
    let view = env.run(&["inspect", "store", "--json"]).expect(0).stdout;
    let view: Value = serde_json::from_str(&view).expect("JSON");
    assert_eq!(view["ended"], true, "{view}");
    env.run(&["verify", "--deep", "store"]).expect(0);
}

/// The rows of all files in a directory, sorted.
fn rows(env: &Env, dir: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for file in fs::read_dir(env.path(dir)).into_iter().flatten().flatten() {
        if !file.file_name().to_string_lossy().starts_with('.') {
            rows.extend(fs::read_to_string(file.path()).expect("read").lines().map(str::to_owned));
        }
    }
    rows.sort();
    rows
}

/// Runs `work` while a producer sends the messages from `first` on. Returns how many were sent in the end.
fn while_sending(broker: &Broker, topic: &str, first: u64, work: impl FnOnce()) -> u64 {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = first;
            while !stop.load(Ordering::Relaxed) {
                MESSAGES.send(broker, topic, sent, sent + 200);
                sent += 200;
                std::thread::sleep(Duration::from_millis(50));
            }
            sent
        });
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sender.join().expect("sent")
    })
}

#[test]
fn all_workers_read_to_the_ends_that_the_first_one_saw() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    jobs(&env, broker, &topic, "{n: count, total: sum(i)}", "");
    MESSAGES.send(broker, &topic, 0, 60_000);
    env.run(&["run", "alone.yaml"]).expect(0);
    let first = NAMES.map(|name| (name != "c").then(|| start(&env, name)));
    until(&env, "the batch begins", || checkpoints(&env) > 0);
    let [Some(a), Some(mut b), None] = first else { unreachable!("two were started") };
    // Longer than the session time-out, while others come and go.
    signal(&a.0, Signal::STOP);
    let sent = while_sending(broker, &topic, 60_000, || {
        signal(&b.0, Signal::KILL);
        let _ = b.0.wait();
        let c = start(&env, "c");
        std::thread::sleep(Duration::from_secs(1));
        let b = start(&env, "b");
        std::thread::sleep(Duration::from_secs(7));
        signal(&a.0, Signal::CONT);
        [a, b, c].into_iter().for_each(|worker| ends(&env, worker));
    });
    assert_eq!(records(&env), 60_000);
    is_as_alone(&env);
    assert!(stderr(&env).contains("continues the batch"), "{}", stderr(&env));
    // What was sent meanwhile is the next batch.
    assert!(sent > 60_000);
    env.run(&["run", "alone.yaml"]).expect(0);
    let workers = NAMES.map(|name| start(&env, name));
    workers.into_iter().for_each(|worker| ends(&env, worker));
    assert_eq!(records(&env), sent);
    is_as_alone(&env);
    // There is nothing more.
    let before = checkpoints(&env);
    ends(&env, start(&env, "a"));
    assert_eq!(checkpoints(&env), before);
}

#[test]
fn a_batch_closes_all_windows_once_whatever_happens_to_the_workers() {
    let Some(broker) = Broker::shared() else { return };
    let mut random = Random(5);
    for turn in 0..4 {
        let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
        let process = "{n: count, total: sum(i)}, window: {time: _time, unit: ms, every: 1m, late: 5s}";
        jobs(&env, broker, &topic, process, "output: {files: OUT/, emit: changes, format: jsonl}\n");
        let texts: Vec<(String, String)> =
            (0..20_000_u64).map(|i| ((i % 50).to_string(), format!("{{\"user\":{},\"i\":{i}}}", i % 50))).collect();
        let messages = texts.iter().zip(0..).map(|((key, value), i)| Sent {
            partition: (i % 50 % PARTITIONS as i64) as i32,
            key: Some(key),
            value: Some(value),
            time: Some(1_795_356_000_000 + i * 90),
            ..Sent::default()
        });
        broker.send(&topic, messages);
        // The producer may send some of the first messages of a partition after later ones.
        let alone = env.run(&["run", "alone.yaml"]);
        assert!(matches!(alone.status, 0 | 3), "{alone}");
        let mut workers = NAMES.map(|name| start(&env, name));
        until(&env, "the batch begins", || checkpoints(&env) > 0);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(random.below(300)));
            let number = random.below(3) as usize;
            signal(&workers[number].0, Signal::KILL);
            let _ = workers[number].0.wait();
            workers[number] = start(&env, NAMES[number]);
        }
        workers.into_iter().for_each(|worker| ends(&env, worker));
        is_as_alone(&env);
        let expected = rows(&env, "out-alone");
        assert!(expected.len() > 1_000, "{}", expected.len());
        assert_eq!(rows(&env, "out-store"), expected, "turn {turn}");
    }
}

#[test]
fn partitions_without_a_last_message_are_at_their_ends_as_for_a_run_alone() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    jobs(&env, broker, &topic, "{n: count, total: sum(i)}", "");
    let of =
        |partition: i32| Sent { partition, key: Some("7"), value: Some("{\"user\":7,\"i\":1}"), ..Sent::default() };
    let round = || {
        // Partition 0 never has any. The last offsets of 1 and 2 have no message, all of 3 and some of 4 were deleted.
        broker.send(&topic, [1, 2, 3, 4, 4, 4, 5].map(of));
        broker.send_in_transaction(&topic, false, [1, 1].map(of));
        broker.send_in_transaction(&topic, true, [2].map(of));
    };
    round();
    broker.delete_before(&topic, 3, 1);
    broker.delete_before(&topic, 4, 2);
    for expected in [5, 13] {
        env.run(&["run", "alone.yaml"]).expect(0);
        let workers = ["a", "b"].map(|name| start(&env, name));
        workers.into_iter().for_each(|worker| ends(&env, worker));
        assert_eq!(records(&env), expected);
        is_as_alone(&env);
        round();
    }
}

#[test]
fn an_empty_topic_is_a_batch_and_runs_alone_take_turns_with_workers() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    jobs(&env, broker, &topic, "{n: count, total: sum(i)}", "");
    let pair = || ["a", "b"].map(|name| start(&env, name)).into_iter().for_each(|worker| ends(&env, worker));
    let alone = |file: &str| drop(env.run(&["run", file]).expect(0));
    alone("alone.yaml");
    pair();
    is_as_alone(&env);
    let mut more = MESSAGES.in_turn(broker, &topic);
    for turn in 0..4 {
        let total = more(1_000);
        alone("alone.yaml");
        if turn % 2 == 0 {
            alone("job.yaml")
        } else {
            pair()
        }
        assert_eq!(records(&env), total);
        is_as_alone(&env);
    }
    // A run alone has its own end: what the workers have begun is over.
    more(60_000);
    let worker = start(&env, "a");
    let before = checkpoints(&env);
    until(&env, "the batch begins", || checkpoints(&env) > before);
    signal(&worker.0, Signal::KILL);
    drop(worker);
    let total = more(10);
    alone("alone.yaml");
    alone("job.yaml");
    assert_eq!(records(&env), total);
    is_as_alone(&env);
    pair();
    is_as_alone(&env);
}

#[test]
fn a_worker_without_partitions_ends_with_the_others() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    jobs(&env, broker, &topic, "{n: count, total: sum(i)}", "");
    let send = || {
        let message = Sent { key: Some("7"), value: Some("{\"user\":7,\"i\":1}"), ..Sent::default() };
        broker.send(&topic, std::iter::repeat_n(message, 5_000));
    };
    send();
    for expected in [5_000, 10_000] {
        env.run(&["run", "alone.yaml"]).expect(0);
        let workers = NAMES.map(|name| start(&env, name));
        workers.into_iter().for_each(|worker| ends(&env, worker));
        assert_eq!(records(&env), expected);
        is_as_alone(&env);
        send();
    }
}

#[test]
fn a_worker_that_ends_publishes_what_the_one_that_has_completed_the_batch_has_not() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    let more = "output: {files: OUT/, emit: changes, format: jsonl}\n";
    jobs(&env, broker, &topic, "{n: count, total: sum(i)}", more);
    // So that the checkpoint that ends the batch has all the rows.
    let job = env.read("job.yaml");
    env.write("job.yaml", job.replace("schedule: 100ms", "schedule: 1h"));
    MESSAGES.send(broker, &topic, 0, 1_000);
    ends(&env, start(&env, "a"));
    let before = rows(&env, "out-store");
    // As if it had been killed after its last commit.
    let store = Store::open(vec![Arc::new(LocalStorage::new(env.path("store")))]).expect("opened");
    let last = store.latest().expect("read").expect("a checkpoint").manifest;
    let output = &last.outputs[0];
    let (dir, name) = output.path.rsplit_once('/').expect("in a directory");
    let staged = format!("{dir}/.{name}.ckpt-{}-{}", last.sequence, output.staged.as_ref().expect("of a worker"));
    fs::rename(env.path(&output.path), env.path(&staged)).expect("renamed");
    ends(&env, start(&env, "b"));
    assert_eq!(rows(&env, "out-store"), before);
    assert!(!env.path(&staged).exists());
    assert_eq!(store.latest().expect("read").expect("a checkpoint").manifest, last);
}

#[test]
#[cfg(feature = "s3")]
fn a_batch_in_a_bucket_ends_and_sends_each_row_once_whatever_happens_to_a_worker() {
    let (Some(broker), Some(bucket)) = (Broker::shared(), crate::support::bucket::Bucket::fresh()) else { return };
    let (mut env, topic, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(2));
    bucket.reach_from(&mut env);
    jobs(&env, broker, &topic, "{n: count, total: sum(i)}", "");
    let store = format!("{}/store", bucket.url);
    let job = env.read("job.yaml").replace("store: store", &format!("store: {store}"));
    env.write("job.yaml", format!("{job}output: {{kafka: {{topic: {output}}}, emit: changes}}\n"));
    let (mut more, mut random) = (MESSAGES.in_turn(broker, &topic), Random(7));
    for _ in 0..3 {
        let total = more(20_000);
        env.run(&["run", "alone.yaml"]).expect(0);
        let [mut a, b, c] = NAMES.map(|name| start(&env, name));
        std::thread::sleep(Duration::from_millis(random.below(3_000)));
        signal(&a.0, Signal::KILL);
        let _ = a.0.wait();
        [start(&env, "a"), b, c].into_iter().for_each(|worker| ends(&env, worker));
        env.run(&["copy", &store, "--to", "store"]).expect(0);
        assert_eq!(records(&env), total);
        is_as_alone(&env);
        outputs::proves(&env, broker, &output);
    }
}

#[test]
fn a_checkpoint_on_request_is_answered_while_workers_wait_for_the_end_of_a_batch() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    jobs(&env, broker, &topic, "{n: count, total: sum(i)}", "");
    MESSAGES.send(broker, &topic, 0, 60_000);
    env.run(&["run", "alone.yaml"]).expect(0);
    let [a, b, c] = NAMES.map(|name| start(&env, name));
    until(&env, "all have partitions, and the batch begins", || has_partitions(&env, &NAMES) && checkpoints(&env) > 0);
    // The others read their own partitions to the ends, and wait for those of this one.
    stop(&env, &c);
    let output = env.run(&["checkpoint", "store", "--wait", "1m"]).expect(0).stdout;
    let number = output.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
    assert!(number.is_none_or(|number| number <= checkpoints(&env)), "{output}");
    signal(&c.0, Signal::CONT);
    [a, b, c].into_iter().for_each(|worker| ends(&env, worker));
    is_as_alone(&env);
}
