//! Workers that cannot reach the brokers, or the store, for a while. What they have sent arrives later.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::runs::records;
#[cfg(feature = "s3")]
use super::runs::records_in;
use super::shared_outputs::{self, ONCE, has_each_once};
use super::workers::{self, MESSAGES, NAMES, PARTITIONS, end, has_partitions, proves, start, until};
use crate::support::kafka::{Broker, Sent, free_port};
use crate::support::random::Random;
use crate::support::wire::Wire;
use crate::support::{Ending, Env};

/// Some of these times are shorter than what the others take to notice, and some are longer.
const CUTS: [u64; 4] = [300, 3_000, 9_000, 12_000];

/// Starts worker c, which reads another job file, with more of an environment.
fn start_apart(env: &Env, variables: &[(&str, &str)]) -> Ending {
    let stderr = fs::File::options().create(true).append(true).open(env.path("stderr-c")).expect("created");
    let mut command = env.command(&["run", "apart.yaml", "--worker", "c"]);
    command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    Ending(command.spawn().expect("started"))
}

/// Starts worker `name` again if it has ended because one of its own requests arrived so late that the brokers took it for
/// that of another worker with its name.
fn revive(env: &Env, name: &str, worker: &mut Ending, again: impl Fn() -> Ending) {
    if let Some(status) = worker.0.try_wait().expect("waited") {
        let said = env.read(&format!("stderr-{name}"));
        assert_eq!(status.code(), Some(4), "{said}");
        assert!(said.contains("error: another worker with the same name has joined the group"), "{said}");
        *worker = again();
    }
}

/// Cuts the wire for a while, and sends messages with `more` meanwhile and after that. Returns how many were sent in all.
fn send_while_cut(wire: &Wire, millis: u64, mut more: impl FnMut(u64) -> u64, random: &mut Random) -> u64 {
    std::thread::scope(|scope| {
        let cut = scope.spawn(|| wire.cut_for(Duration::from_millis(millis)));
        while !cut.is_finished() {
            more(60);
            std::thread::sleep(Duration::from_millis(random.below(150)));
        }
    });
    more(60)
}

/// Does so again and again. Calls `revive` after each time.
fn cut_while_sending(env: &Env, wire: &Wire, mut more: impl FnMut(u64) -> u64, mut revive: impl FnMut()) -> u64 {
    let (mut random, mut total) = (Random(5), 0);
    for millis in CUTS {
        total = send_while_cut(wire, millis, &mut more, &mut random);
        until(env, "all is applied", || {
            revive();
            records(env) == total
        });
    }
    total
}

#[test]
fn a_worker_that_cannot_reach_the_brokers_is_replaced_and_returns_and_all_wait_for_brokers_that_start_again() {
    let wire = Wire::to(free_port());
    let Some(mut broker) = Broker::start_behind(&wire) else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    workers::job(&env, &broker, &topic, "job.yaml", "", "store");
    env.write("apart.yaml", env.read("job.yaml").replace(&broker.address(), &wire.address()));
    let mut workers = [start(&env, "a"), start(&env, "b"), start_apart(&env, &[])];
    until(&env, "all have partitions", || has_partitions(&env, &NAMES));
    let mut revive = || revive(&env, "c", &mut workers[2], || start_apart(&env, &[]));
    let mut total = cut_while_sending(&env, &wire, MESSAGES.in_turn(&broker, &topic), &mut revive);
    for millis in [0, 8_000] {
        broker.kill();
        std::thread::sleep(Duration::from_millis(millis));
        broker.start_again();
        MESSAGES.send(&broker, &topic, total, total + 300);
        total += 300;
        until(&env, "all is applied again", || records(&env) == total);
    }
    until(&env, "c has returned", || {
        revive();
        env.read("stderr-c").matches("has partition").count() > 1
    });
    workers.into_iter().for_each(|worker| end(&env, worker));
    proves(&env, &broker, &topic, total);
}

#[test]
fn workers_that_cannot_reach_the_brokers_send_each_row_once() {
    let wire = Wire::to(free_port());
    let Some(broker) = Broker::start_behind(&wire) else { return };
    let (env, input, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(2));
    shared_outputs::job(&env, &broker, &input, &output);
    env.write("job.yaml", env.read("job.yaml").replace(&broker.address(), &wire.address()));
    let mut workers = NAMES.map(|name| start(&env, name));
    until(&env, "all have partitions", || has_partitions(&env, &NAMES));
    let total = cut_while_sending(&env, &wire, ONCE.in_turn(&broker, &input), || {
        for (name, worker) in NAMES.into_iter().zip(&mut workers) {
            revive(&env, name, worker, || start(&env, name));
        }
    });
    workers.into_iter().for_each(|worker| end(&env, worker));
    has_each_once(&env, &broker, &output, &ONCE, total);
}

#[test]
fn a_broker_that_is_behind_does_not_end_a_batch_before_its_messages() {
    let wire = Wire::to(free_port());
    let Some(broker) = Broker::start_behind(&wire) else { return };
    let pad = "x".repeat(1_000);
    for (topic, more) in [(broker.topic(1), [].as_slice()), (broker.topic(1), &["--worker", "a"])] {
        let env = Env::new();
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: {{kafka: {{brokers: '{}', topic: {topic}, until: latest, settings: \
                 {{fetch.message.max.bytes: '60000'}}}}, format: json}}\nkey: k\ntasks: partitions\n\
                 process: {{aggregate: {{n: count}}}}\ncheckpoint: {{store: store}}\n",
                wire.address()
            ),
        );
        let text = format!("{{\"k\":\"a\",\"pad\":\"{pad}\"}}");
        let sent = Sent { key: Some("a"), value: Some(&text), ..Sent::default() };
        // Two batches of messages, of which the brokers send one after the other.
        for _ in 0..2 {
            let properties = [("linger.ms", "1000"), ("batch.num.messages", "50")];
            broker.send_with(&topic, &properties, std::iter::repeat_n(sent.clone(), 50));
        }
        // The broker says in its first answers with messages that the partition ends after those of the first batch, as a
        // new leader does which has not learned yet that the others have more.
        let ends = |offset: u64| offset.to_be_bytes().repeat(2);
        wire.change(&ends(100), &ends(50), 2);
        env.run(&[&["run", "job.yaml"], more].concat()).expect(0);
        assert_eq!((wire.changes_left(), records(&env)), (0, 100));
    }
}

#[test]
#[cfg(feature = "s3")]
fn a_worker_that_cannot_reach_the_store_is_replaced_and_counts_nothing_twice() {
    let (Some(broker), Some(bucket)) = (Broker::shared(), crate::support::bucket::Bucket::fresh()) else { return };
    let (mut env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    bucket.reach_from(&mut env);
    let endpoint = bucket.variable("AWS_ENDPOINT_URL");
    let port = endpoint.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
    let Some(port) = port.filter(|_| endpoint.starts_with("http://127.0.0.1:")) else { return };
    let wire = Wire::to(port);
    let behind = format!("http://{}", wire.address());
    let store = format!("{}/store", bucket.url);
    workers::job(&env, broker, &topic, "job.yaml", "", &store);
    env.write("apart.yaml", env.read("job.yaml"));
    let (a, b) = (start(&env, "a"), start(&env, "b"));
    let variables = [("AWS_ENDPOINT_URL", behind.as_str())];
    let mut c = start_apart(&env, &variables);
    until(&env, "all have partitions", || has_partitions(&env, &NAMES));
    let mut more = MESSAGES.in_turn(broker, &topic);
    let mut random = Random(6);
    for millis in CUTS {
        let total = send_while_cut(&wire, millis, &mut more, &mut random);
        // It may have given up.
        if let Some(status) = c.0.try_wait().expect("waited") {
            assert_eq!(status.code(), Some(4), "{}", env.read("stderr-c"));
            c = start_apart(&env, &variables);
        }
        until(&env, "all is applied", || records_in(&env, &store) == total);
    }
    let total = more(60);
    until(&env, "all is applied", || records_in(&env, &store) == total);
    [a, b, c].into_iter().for_each(|worker| end(&env, worker));
    env.run(&["copy", &store, "--to", "store"]).expect(0);
    proves(&env, broker, &topic, total);
}
