//! Workers that wait for one that is stopped while it commits.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::runs::{records, signal};
use super::shared_outputs::is_free;
use super::workers::{MESSAGES, PARTITIONS, end, has_partitions, job, proves, start, until};
use crate::support::kafka::Broker;
use crate::support::{Ending, Env};

/// Stops a worker while it has the lock that a commit needs for a moment. Sends messages with `more` until that has worked.
fn stop_while_it_commits(env: &Env, worker: &Ending, name: &str, mut more: impl FnMut(u64) -> u64) -> u64 {
    let lock = fs::File::open(env.path("store/objects.lock")).expect("there was a commit");
    let (mut total, mut tries) = (more(100), 0);
    loop {
        signal(&worker.0, Signal::STOP);
        // A process that takes the lock names itself a moment later.
        let is_held = (0..5).all(|_| {
            std::thread::sleep(Duration::from_millis(2));
            !is_free(&lock) && env.read("store/objects.lock").contains(&format!("--worker {name}`"))
        });
        if is_held {
            return total;
        }
        signal(&worker.0, Signal::CONT);
        tries += 1;
        assert!(tries < 20_000, "it was never stopped while it commits");
        if tries % 20 == 0 {
            total = more(20);
        }
        std::thread::sleep(Duration::from_millis(tries % 7));
    }
}

#[test]
fn workers_wait_for_one_that_sleeps_while_it_commits_and_say_for_whom() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    env.write("job.yaml", env.read("job.yaml").replace("schedule: 100ms", "schedule: 10ms"));
    let (a, mut b) = (start(&env, "a"), start(&env, "b"));
    let mut more = MESSAGES.in_turn(broker, &topic);
    let total = more(100);
    until(&env, "both have partitions", || has_partitions(&env, &["a", "b"]));
    until(&env, "the first are applied", || records(&env) == total);
    stop_while_it_commits(&env, &a, "a", &mut more);
    let total = more(1_000);
    until(&env, "b says whom it waits for", || {
        let said = env.read("stderr-b");
        said.contains("objects.lock`, locked by `ckpt run --worker a` of job")
            && said.contains(&format!("process {} on ", a.0.id()))
    });
    // The session of the other one is over, and all its partitions are those of this one, which ended once after a minute.
    std::thread::sleep(Duration::from_secs(62));
    assert_eq!(b.0.try_wait().expect("waited"), None, "{}", env.read("stderr-b"));
    let before = records(&env);
    assert!(before < total, "nobody can commit");
    signal(&a.0, Signal::CONT);
    until(&env, "all is applied", || records(&env) == total);
    [a, b].into_iter().for_each(|worker| end(&env, worker));
    proves(&env, broker, &topic, total);
}
