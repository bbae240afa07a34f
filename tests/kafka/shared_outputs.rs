//! Output of several workers to one topic: each row is in it once, whatever happens to each of them.

use std::fs;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use super::keyed::Keyed;
use super::outputs::{committed, proves};
use super::runs::{Rows, records, signal, state};
use super::workers::{self, Fate, NAMES, PARTITIONS, befall, end, finish, has_partitions, one_stops, start, until};
use crate::support::kafka::{Broker, Received};
use crate::support::random::Random;
use crate::support::{Ending, Env};

/// Messages each of which has a key of its own, so no later row makes up for one that is missing.
pub(super) const ONCE: Keyed = Keyed { keys: 1_000_000, partitions: PARTITIONS };

/// Keys whose messages take longer to send than to commit.
const MANY: u64 = 60_000;

/// Writes the job of workers that read `input` and write `output`.
pub(super) fn job(env: &Env, broker: &Broker, input: &str, output: &str) {
    workers::job(env, broker, input, "job.yaml", "", "store");
    let text = env.read("job.yaml");
    env.write("job.yaml", format!("{text}output: {{kafka: {{topic: {output}}}, emit: changes}}\n"));
}

/// The last value of each key.
fn latest(messages: &[Received]) -> Rows {
    let mut rows = Rows::new();
    for message in messages {
        let key = message.key.clone().expect("a key");
        let row: serde_json::Value = serde_json::from_str(message.value.as_ref().expect("a value")).expect("JSON");
        let number = |name: &str| row[name].to_string().parse().expect("a number");
        rows.insert(key, (number("n"), number("total")));
    }
    rows
}

/// Proves that the topic has the rows of each checkpoint once, and last those of the state of the first `sent` messages.
#[track_caller]
pub(super) fn has_each_once(env: &Env, broker: &Broker, output: &str, messages: &Keyed, sent: u64) {
    proves(env, broker, output);
    assert_eq!(latest(&committed(broker, output)), messages.expected(sent));
    assert_eq!(state(env), messages.expected(sent));
}

#[test]
fn workers_that_come_and_go_send_each_row_once() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(2));
    job(&env, broker, &input, &output);
    let mut running = NAMES.map(|name| Some(start(&env, name)));
    let (mut random, mut sent) = (Random(11), 0);
    for _ in 0..24 {
        // Workers that commit at the same time are all but sure.
        for _ in 0..8 {
            ONCE.send(broker, &input, sent, sent + 60);
            sent += 60;
            std::thread::sleep(Duration::from_millis(random.below(150)));
        }
        befall(&env, &mut running, [Fate::Killed, Fate::Killed, Fate::Ended, Fate::Stopped], &mut random);
    }
    finish(&env, running, sent);
    has_each_once(&env, broker, &output, &ONCE, sent);
}

/// Starts worker a, and stops it for longer than the session time-out as soon as `is_time`; b takes its place. Returns both.
fn overtake(env: &Env, input: &str, broker: &Broker, is_time: impl FnMut() -> bool) -> (Ending, Ending) {
    let many = Keyed { keys: MANY, partitions: 1 };
    many.send(broker, input, 0, MANY);
    let a = start(env, "a");
    wait(is_time);
    stop(env, &a);
    let b = start(env, "b");
    many.send(broker, input, MANY, MANY + 10);
    until(env, "the other has all of it", || records(env) == MANY + 10);
    (a, b)
}

/// Stops a worker, but not while it holds the lock that a commit needs for a moment: the others would wait for that.
pub(super) fn stop(env: &Env, worker: &Ending) {
    let lock = fs::File::open(env.path("store/objects.lock")).expect("there was a commit");
    loop {
        signal(&worker.0, Signal::STOP);
        std::thread::sleep(Duration::from_millis(1));
        if is_free(&lock) {
            return;
        }
        signal(&worker.0, Signal::CONT);
    }
}

/// Returns whether nobody holds a lock.
pub(super) fn is_free(lock: &fs::File) -> bool {
    let taken = flock(lock, FlockOperation::NonBlockingLockExclusive);
    if taken.is_ok() {
        flock(lock, FlockOperation::Unlock).expect("unlocked");
    }
    taken.is_ok()
}

fn wait(mut is_time: impl FnMut() -> bool) {
    while !is_time() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_worker_that_sleeps_between_its_checkpoint_and_the_transaction_sends_nothing_when_it_wakes_up() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(1), broker.topic(2));
    job(&env, broker, &input, &output);
    let is_committed = || env.path("store/checkpoints/00000001/manifest.yaml").exists();
    let (a, b) = overtake(&env, &input, broker, is_committed);
    let many = Keyed { keys: MANY, partitions: 1 };
    until(&env, "b has sent what a has left, and its own", || {
        latest(&committed(broker, &output)) == many.expected(MANY + 10)
    });
    let before = committed(broker, &output).len();
    signal(&a.0, Signal::CONT);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(committed(broker, &output).len(), before);
    [a, b].into_iter().for_each(|worker| end(&env, worker));
    has_each_once(&env, broker, &output, &many, MANY + 10);
}

#[test]
fn a_worker_that_sleeps_within_a_transaction_cannot_commit_it_when_it_wakes_up() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(1), broker.topic(2));
    job(&env, broker, &input, &output);
    let is_sending = || !broker.read(&output, "read_uncommitted").is_empty();
    let (a, b) = overtake(&env, &input, broker, is_sending);
    signal(&a.0, Signal::CONT);
    Keyed { keys: MANY, partitions: 1 }.send(broker, &input, MANY + 10, MANY + 20);
    until(&env, "all is applied", || records(&env) == MANY + 20);
    [a, b].into_iter().for_each(|worker| end(&env, worker));
    has_each_once(&env, broker, &output, &Keyed { keys: MANY, partitions: 1 }, MANY + 20);
}

#[test]
fn a_worker_commits_on_top_of_another_only_when_the_messages_of_that_one_are_sent() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(2), broker.topic(2));
    job(&env, broker, &input, &output);
    let two = Keyed { keys: 2 * MANY, partitions: 2 };
    let (a, b) = (start(&env, "a"), start(&env, "b"));
    until(&env, "both have a partition", || has_partitions(&env, &["a", "b"]));
    two.send(broker, &input, 0, 2 * MANY);
    // The one that commits first is stopped at once; the other one keeps its own partition.
    let manifest = env.path("store/checkpoints/00000001/manifest.yaml");
    wait(|| manifest.exists());
    let of_a = fs::read_to_string(&manifest).expect("read").contains("worker: a");
    let (stopped, other) = if of_a { (a, b) } else { (b, a) };
    stop(&env, &stopped);
    until(&env, "the other one commits", || env.path("store/checkpoints/00000002/manifest.yaml").exists());
    let first = |message: &Received| message.checkpoint.as_ref().is_some_and(|stamp| stamp.starts_with("1-"));
    let found = committed(broker, &output);
    assert!(found.iter().any(first), "the messages of checkpoint 1 come before checkpoint 2");
    signal(&stopped.0, Signal::CONT);
    until(&env, "all is applied", || records(&env) == 2 * MANY);
    [stopped, other].into_iter().for_each(|worker| end(&env, worker));
    has_each_once(&env, broker, &output, &two, 2 * MANY);
}

#[test]
fn workers_whose_output_goes_elsewhere_stop_rather_than_leave_messages_behind() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(2), broker.topic(1));
    job(&env, broker, &input, &output);
    let text = env.read("job.yaml");
    let without = text.lines().filter(|line| !line.starts_with("output:")).collect::<Vec<_>>().join("\n");
    let mut a = start(&env, "a");
    until(&env, "a has partitions", || has_partitions(&env, &["a"]));
    env.write("job.yaml", without);
    let mut b = start(&env, "b");
    until(&env, "b has partitions", || has_partitions(&env, &["b"]));
    let two = Keyed { keys: 50, partitions: 2 };
    let told = one_stops(&env, [&mut a, &mut b], |round| two.send(broker, &input, 50 * round, 50 * round + 50));
    assert!(
        told.contains(&format!("has messages for topic `{output}`, which is not the output of this worker")),
        "{told}"
    );
    assert!(told.contains("run all workers with the same job file"), "{told}");
}

#[test]
fn where_the_mark_is_lost_a_worker_asks_for_a_run_alone_that_is_told() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(2));
    job(&env, broker, &input, &output);
    // So that each checkpoint has all messages of its round.
    let text = env.read("job.yaml");
    env.write(
        "job.yaml",
        text.replace("schedule: 100ms", "schedule: 1h").replace("}}, format", "}, until: latest}, format"),
    );
    let mut more = ONCE.in_turn(broker, &input);
    let work = || env.run(&["run", "job.yaml", "--worker", "a"]);
    let assume = |state| drop(env.run(&["run", "job.yaml", "--assume-output", state]).expect(0));
    let lose_the_mark = || {
        broker.delete_group(&format!("j-{input}.output"));
        broker.delete_messages(&output, 2);
    };
    more(20);
    work().expect(0);
    let before = committed(broker, &output);
    assert_eq!(before.len(), 20);
    let latest = before.iter().filter_map(|message| message.checkpoint.clone()).max().expect("a message");
    let of_latest = before.iter().filter(|message| message.checkpoint.as_ref() == Some(&latest)).count();
    lose_the_mark();
    more(10);
    let asked = work().expect(4).stderr;
    let reason = format!("cannot tell whether topic `{output}` has the messages of checkpoint {}", &latest[..1]);
    assert!(asked.contains(&reason) && asked.contains("without `--worker`, while no worker runs"), "{asked}");
    assert_eq!(records(&env), 20);
    assume("missing");
    assert_eq!(
        committed(broker, &output).len(),
        of_latest + 10,
        "those of the latest checkpoint again, and the new ones"
    );
    lose_the_mark();
    more(5);
    assume("sent");
    assert_eq!(committed(broker, &output).len(), 5, "the new ones");
    more(2);
    work().expect(0);
    assert_eq!(committed(broker, &output).len(), 7);
}
