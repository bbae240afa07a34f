//! Several workers that share a topic: together they give what one gives, whatever happens to each.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::keyed::Keyed;
#[cfg(feature = "s3")]
use super::runs::records_in;
use super::runs::{records, run, signal, state};
use crate::support::kafka::{Broker, Sent};
use crate::support::random::Random;
use crate::support::{Ending, Env};

pub(super) const PARTITIONS: u64 = 6;
pub(super) const MESSAGES: Keyed = Keyed { keys: 50, partitions: PARTITIONS };

const PATIENCE: Duration = Duration::from_secs(90);

/// Writes the job `file` of the topic, with its store.
pub(super) fn job(env: &Env, broker: &Broker, topic: &str, file: &str, kafka: &str, store: &str) {
    let address = broker.address();
    env.write(
        file,
        format!(
            "job: j-{topic}\ninput: {{kafka: {{brokers: '{address}', topic: {topic}, \
             settings: {{session.timeout.ms: '6000'}}{kafka}}}, format: json}}\nkey: user\n\
             tasks: partitions\nprocess: {{aggregate: {{n: count, total: sum(i)}}}}\n\
             checkpoint: {{store: {store}, schedule: 100ms}}\n"
        ),
    );
}

pub(super) fn start(env: &Env, name: &str) -> Ending {
    start_with(env, name, &[])
}

/// Starts the worker `name` with more arguments.
pub(super) fn start_with(env: &Env, name: &str, more: &[&str]) -> Ending {
    let stderr = fs::File::create(env.path(&format!("stderr-{name}"))).expect("created");
    let mut command = env.command(&[&["run", "job.yaml", "--worker", name], more].concat());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    Ending(command.spawn().expect("started"))
}

fn logs(env: &Env) -> String {
    ["a", "b", "c"]
        .map(|name| fs::read_to_string(env.path(&format!("stderr-{name}"))).unwrap_or_default())
        .join("---\n")
}

#[track_caller]
pub(super) fn until(env: &Env, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: {}", logs(env));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns whether the group has given partitions to all workers with these names.
pub(super) fn has_partitions(env: &Env, names: &[&str]) -> bool {
    names.iter().all(|name| env.read(&format!("stderr-{name}")).contains("has partition"))
}

/// Returns whether worker `name` listens for signals: before it has printed something it does not.
fn listens(env: &Env, name: &str) -> bool {
    !env.read(&format!("stderr-{name}")).is_empty()
}

#[track_caller]
pub(super) fn end(env: &Env, mut worker: Ending) {
    signal(&worker.0, Signal::TERM);
    let mut status = None;
    until(env, "a worker ends", || {
        status = worker.0.try_wait().expect("waited");
        status.is_some()
    });
    // 3 if it has left out bad or late records.
    assert!(matches!(status.and_then(|status| status.code()), Some(0 | 3)), "{status:?}: {}", logs(env));
}

/// Sends messages, round after round, until one of the workers a and b ends with exit code 4. Kills both, and returns what they
/// have said.
#[track_caller]
pub(super) fn one_stops(env: &Env, mut workers: [&mut Ending; 2], mut send: impl FnMut(u64)) -> String {
    let (mut round, mut status) = (0, None);
    until(env, "one of them stops", || {
        send(round);
        round += 1;
        std::thread::sleep(Duration::from_millis(200));
        status = workers.iter_mut().find_map(|worker| worker.0.try_wait().expect("waited"));
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(4));
    for worker in workers {
        worker.0.kill().expect("killed");
        worker.0.wait().expect("waited");
    }
    env.read("stderr-a") + &env.read("stderr-b")
}

/// The names of workers that come and go.
pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

/// What happens to a worker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Killed,
    Ended,
    /// For longer than others take to notice, or not.
    Stopped,
}

/// Picks one of the workers [`NAMES`]. Starts it, or lets one of `fates` happen to it if it runs.
pub(super) fn befall(env: &Env, workers: &mut [Option<Ending>; 3], fates: [Fate; 4], random: &mut Random) {
    let number = random.below(3) as usize;
    let Some(mut worker) = workers[number].take() else {
        workers[number] = Some(start(env, NAMES[number]));
        return;
    };
    match fates[random.below(4) as usize] {
        Fate::Killed => {
            signal(&worker.0, Signal::KILL);
            let _ = worker.0.wait();
        }
        Fate::Ended => end(env, worker),
        Fate::Stopped => {
            signal(&worker.0, Signal::STOP);
            std::thread::sleep(Duration::from_millis(random.below(9_000)));
            signal(&worker.0, Signal::CONT);
            workers[number] = Some(worker);
        }
    }
}

/// Waits until the first `sent` messages are applied, by at least one worker, and ends all workers.
pub(super) fn finish(env: &Env, mut workers: [Option<Ending>; 3], sent: u64) {
    if workers.iter().all(Option::is_none) {
        workers[0] = Some(start(env, NAMES[0]));
    }
    let running = || NAMES.into_iter().zip(&workers).filter(|(_, worker)| worker.is_some());
    until(env, "all is applied", || running().all(|(name, _)| listens(env, name)) && records(env) == sent);
    workers.into_iter().flatten().for_each(|worker| end(env, worker));
    // Ages are those at the time of the line, not at the start of the worker.
    assert!(!logs(env).contains("(in "), "{}", logs(env));
}

/// Proves that the store has the state of all messages before `end`, as a single worker makes it.
#[track_caller]
pub(super) fn proves(env: &Env, broker: &Broker, topic: &str, messages: u64) {
    assert_eq!(state(env), MESSAGES.expected(messages), "{}", logs(env));
    env.run(&["verify", "--deep", "store"]).expect(0);
    job(env, broker, topic, "alone.yaml", ", until: latest", "alone");
    env.run(&["run", "alone.yaml"]).expect(0);
    // Only this job has an end.
    let diff = env.run(&["diff", "store", "alone"]).expect(1).stdout;
    assert!(diff.contains("0 added, 0 removed, 0 changed"), "{diff}");
    assert!(diff.contains("6 of 6 partitions differ: 0 bytes, 0 records"), "{diff}");
}

#[test]
fn a_worker_that_is_killed_is_replaced_by_the_others() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let (a, b, c) = (start(&env, "a"), start(&env, "b"), start(&env, "c"));
    let mut more = MESSAGES.in_turn(broker, &topic);
    let total = more(5_000);
    until(&env, "the first are applied", || records(&env) == total);
    until(&env, "all have partitions", || has_partitions(&env, &["a", "b", "c"]));
    // Nobody else gets the store, and what a prune deletes is nothing that they need.
    let busy = env.run(&["run", "job.yaml"]).expect(11);
    assert!(busy.stderr.contains("is in use by"), "{busy}");
    env.run(&["restore", "store@1"]).expect(11);
    more(5_000);
    for _ in 0..10 {
        env.run(&["prune", "store", "--keep-last", "2", "--grace", "0s", "--yes"]).expect(0);
    }
    let mut b = b;
    signal(&b.0, Signal::KILL);
    let _ = b.0.wait();
    let total = more(5_000);
    until(&env, "the others have all of it", || records(&env) == total);
    let b = start(&env, "b");
    let total = more(5_000);
    until(&env, "all is applied", || records(&env) == total);
    [a, b, c].into_iter().for_each(|worker| end(&env, worker));
    proves(&env, broker, &topic, total);
    // A run alone continues what they have done together.
    job(&env, broker, &topic, "job.yaml", ", until: latest", "store");
    let total = more(100);
    run(&env).expect(0);
    assert_eq!(state(&env), MESSAGES.expected(total));
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn a_worker_that_wakes_up_after_it_was_replaced_does_no_harm() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let (a, b) = (start(&env, "a"), start(&env, "b"));
    MESSAGES.send(broker, &topic, 0, 3_000);
    until(&env, "the first are applied", || records(&env) == 3_000);
    until(&env, "both have partitions", || has_partitions(&env, &["a", "b"]));
    // What is on its way when it stops is either committed or not.
    MESSAGES.send(broker, &topic, 3_000, 6_000);
    signal(&a.0, Signal::STOP);
    MESSAGES.send(broker, &topic, 6_000, 9_000);
    until(&env, "the other has all of it", || records(&env) == 9_000);
    signal(&a.0, Signal::CONT);
    MESSAGES.send(broker, &topic, 9_000, 12_000);
    until(&env, "both continue", || records(&env) == 12_000);
    [a, b].into_iter().for_each(|worker| end(&env, worker));
    proves(&env, broker, &topic, 12_000);
}

#[test]
fn workers_that_come_and_go_count_each_message_once() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let mut workers = [None, None, None];
    let (mut random, mut sent) = (Random(7), 0);
    for _ in 0..30 {
        MESSAGES.send(broker, &topic, sent, sent + 400);
        sent += 400;
        befall(&env, &mut workers, [Fate::Killed, Fate::Ended, Fate::Stopped, Fate::Stopped], &mut random);
        std::thread::sleep(Duration::from_millis(random.below(1_500)));
    }
    finish(&env, workers, sent);
    proves(&env, broker, &topic, sent);
}

#[test]
fn workers_prune_by_the_keep_rules_of_the_job_and_nothing_that_another_needs() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store, keep: {last: 2, grace: 0s}");
    let mut workers = [Some(start(&env, "a")), Some(start(&env, "b")), None];
    let (mut random, mut sent) = (Random(11), 0);
    for _ in 0..25 {
        MESSAGES.send(broker, &topic, sent, sent + 400);
        sent += 400;
        befall(&env, &mut workers, [Fate::Killed, Fate::Ended, Fate::Ended, Fate::Stopped], &mut random);
        std::thread::sleep(Duration::from_millis(random.below(1_000)));
    }
    finish(&env, workers, sent);
    assert!(!logs(&env).contains("not pruned"), "{}", logs(&env));
    let history = env.run(&["log", "store"]).expect(0).stdout;
    assert!(history.matches("pruned").count() > 2, "{history}");
    proves(&env, broker, &topic, sent);
}

#[test]
fn bad_records_of_all_workers_together_are_not_more_than_the_job_allows() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_error: {max: 12}"));
    let send_bad = |partitions: std::ops::Range<i32>| {
        let bad = |partition| Sent { partition, key: Some("0"), value: Some("bad"), ..Sent::default() };
        broker.send(&topic, partitions.map(bad));
    };
    let skipped = || {
        let view = env.run(&["inspect", "store", "--json"]).stdout;
        let view: serde_json::Value = serde_json::from_str(&view).unwrap_or_default();
        view["totals"]["skipped"].as_u64().unwrap_or_default()
    };
    let mut workers = [start(&env, "a"), start(&env, "b")];
    until(&env, "both have partitions", || has_partitions(&env, &["a", "b"]));
    MESSAGES.send(broker, &topic, 0, 1_000);
    for _ in 0..2 {
        send_bad(0..PARTITIONS as i32);
    }
    until(&env, "as many as may be are left out", || (records(&env), skipped()) == (1_012, 12));
    // Each of the workers has read six of them. The one that reads the next one ends, and the other one in its place.
    send_bad(0..1);
    until(&env, "both end", || workers.iter_mut().all(|worker| worker.0.try_wait().expect("waited").is_some()));
    for (worker, name) in workers.iter_mut().zip(["a", "b"]) {
        assert_eq!(worker.0.wait().expect("ended").code(), Some(5), "{}", logs(&env));
        let stderr = env.read(&format!("stderr-{name}"));
        assert!(stderr.contains("too many bad records: 13 of 1013, and `max` is 12"), "{stderr}");
    }
    assert_eq!((records(&env), skipped()), (1_012, 12));
    assert_eq!(state(&env), MESSAGES.expected(1_000));
    env.run(&["verify", "--deep", "store"]).expect(0);
    // With a higher limit, they continue.
    env.write("job.yaml", env.read("job.yaml").replace("max: 12", "max: 13"));
    let worker = start(&env, "a");
    until(&env, "the last one is left out", || (records(&env), skipped()) == (1_013, 13));
    drop(worker);
}

#[test]
fn a_worker_can_be_stopped_at_any_time() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    MESSAGES.send(broker, &topic, 0, 1_000);
    for turn in 0..12 {
        let workers = ["a", "b"].map(|name| {
            std::thread::sleep(Duration::from_millis(turn * 20));
            start(&env, name)
        });
        std::thread::sleep(Duration::from_millis(150 + turn * 100));
        workers.into_iter().for_each(|worker| end(&env, worker));
    }
    let last = start(&env, "c");
    until(&env, "all is applied", || listens(&env, "c") && records(&env) == 1_000);
    end(&env, last);
    proves(&env, broker, &topic, 1_000);
}

#[test]
#[cfg(feature = "s3")]
fn workers_share_a_store_in_a_bucket() {
    let (Some(broker), Some(bucket)) = (Broker::shared(), crate::support::bucket::Bucket::fresh()) else { return };
    let (mut env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    bucket.reach_from(&mut env);
    let store = format!("{}/store", bucket.url);
    job(&env, broker, &topic, "job.yaml", "", &store);
    let (mut a, b) = (start(&env, "a"), start(&env, "b"));
    MESSAGES.send(broker, &topic, 0, 3_000);
    until(&env, "the first are applied", || records_in(&env, &store) == 3_000);
    MESSAGES.send(broker, &topic, 3_000, 6_000);
    signal(&a.0, Signal::KILL);
    let _ = a.0.wait();
    let a = start(&env, "c");
    until(&env, "all is applied", || records_in(&env, &store) == 6_000);
    MESSAGES.send(broker, &topic, 6_000, 6_100);
    until(&env, "the last are applied", || records_in(&env, &store) == 6_100);
    [a, b].into_iter().for_each(|worker| end(&env, worker));
    env.run(&["copy", &store, "--to", "store"]).expect(0);
    proves(&env, broker, &topic, 6_100);
}

#[test]
#[cfg(feature = "s3")]
fn a_restore_in_a_bucket_is_refused_while_the_group_has_members() {
    let (Some(broker), Some(bucket)) = (Broker::shared(), crate::support::bucket::Bucket::fresh()) else { return };
    let (mut env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    bucket.reach_from(&mut env);
    let store = format!("{}/store", bucket.url);
    // The command knows the job by its checkpoint, and finds the settings in the current directory.
    env.write("client.properties", "socket.nagle.disable=true\n");
    job(&env, broker, &topic, "job.yaml", ", settings_file: client.properties", &store);
    let (a, b) = (start(&env, "a"), start_with(&env, "worker-b", &["--leave"]));
    MESSAGES.send(broker, &topic, 0, 1_000);
    until(&env, "the first are applied", || records_in(&env, &store) == 1_000);
    MESSAGES.send(broker, &topic, 1_000, 2_000);
    until(&env, "all are applied", || records_in(&env, &store) == 2_000);
    let restore = ["restore", &format!("{store}@1")];
    let refused = env.run(&restore).expect(11).stderr;
    assert!(
        refused.contains("error: the store is in use by workers `a` and `worker-b`\nhint: stop the workers first;"),
        "{refused}"
    );
    // A dry run only says what would be committed.
    env.run(&[&restore[..], &["--dry-run"]].concat()).expect(0);
    end(&env, b);
    let refused = env.run(&restore).expect(11).stderr;
    assert!(refused.contains("in use by worker `a`\n"), "{refused}");
    let mut a = a;
    signal(&a.0, Signal::KILL);
    let _ = a.0.wait();
    // The group waits for it until its session time-out is over.
    env.run(&restore).expect(11);
    until(&env, "the group has forgotten the worker", || env.run(&restore).status == 0);
    let a = start(&env, "a");
    until(&env, "all are applied again", || records_in(&env, &store) == 2_000);
    // A restore beside workers loses nothing, so it does not depend on the brokers.
    fs::rename(env.path("client.properties"), env.path("elsewhere")).expect("renamed");
    let unknown = env.run(&restore).expect(0).stderr;
    assert!(unknown.contains("warning: cannot tell whether workers are running: "), "{unknown}");
    assert!(unknown.contains("client.properties"), "{unknown}");
    fs::rename(env.path("elsewhere"), env.path("client.properties")).expect("renamed");
    MESSAGES.send(broker, &topic, 2_000, 2_100);
    until(&env, "the worker has continued from there", || records_in(&env, &store) == 2_100);
    end(&env, a);
    env.run(&["copy", &store, "--to", "store"]).expect(0);
    proves(&env, broker, &topic, 2_100);
}

#[test]
fn the_older_of_two_workers_with_one_name_ends() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let mut older = start(&env, "a");
    until(&env, "the first has partitions", || has_partitions(&env, &["a"]));
    fs::rename(env.path("stderr-a"), env.path("stderr-b")).expect("renamed");
    let newer = start(&env, "a");
    let mut status = None;
    until(&env, "the older one ends", || {
        status = older.0.try_wait().expect("waited");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(4), "{}", logs(&env));
    let said = format!("another worker with the same name has joined the group `j-{topic}`");
    assert!(env.read("stderr-b").contains(&said), "{}", logs(&env));
    until(&env, "the newer one has partitions", || has_partitions(&env, &["a"]));
    end(&env, newer);
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let text = env.read("job.yaml");
    for (from, to, what) in [
        ("tasks: partitions", "tasks: 8", "other tasks than the partitions of a topic"),
        ("}, format: json}", ", until: latest}, format: json}\noutput: {files: out/}", "`emit: final`"),
        ("schedule: 100ms}", "schedule: 100ms, replicas: [copy]}", "`replicas`"),
    ] {
        env.write("job.yaml", text.replace(from, to));
        let refused = env.run(&["run", "job.yaml", "--worker", "a"]).expect(2);
        assert!(refused.stderr.contains(&format!("a job of several workers cannot have {what}")), "{refused}");
    }
}
